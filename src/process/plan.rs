//! From the wish and the facts to the steps: pure, no I/O, and printable.

mod join;

use crate::cgroup::{self, Wish};
use crate::error::{Blocker, Error, Problem};
use crate::host::Host;
use crate::identity::IdMaps;
use crate::outcome::{Enforcement, Enforcements};
use crate::spec::{Order, Privileges, Protection, Runs, Seccomp, Spec};
use crate::step::{Command, Step, Steps};
use crate::{identity, landlock, limits, mounts, namespaces, network, program, seccomp};
use std::borrow::Cow;
use std::ffi::CString;
use std::fmt;

/// Everything that will be done, in order, and what it will be worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The steps of pid 1 and of the payload.
    pub steps: Steps,
    /// Namespaces of the clone.
    pub namespaces: i32,
    /// The sandbox's cgroup, made before the clone.
    pub cgroup: Option<Wish>,
    /// What the supervisor writes into the id maps of pid 1, where pid 1 cannot.
    pub id_maps: Option<IdMaps>,
    /// The root file system, as the result says it.
    pub image: String,
    /// What tells the command to end, where the image does not want SIGTERM.
    pub stop_signal: Option<i32>,
    /// How far each protection is enforced, if all steps succeed.
    pub enforcement: Enforcements,
}

impl Plan {
    /// Plans the sandbox of `order` on `host`.
    ///
    /// # Errors
    ///
    /// `Invalid` for a seccomp profile with a fault, `Host` for a protection that this machine does not have and
    /// that may not be missing.
    pub fn new(order: &Order, host: &Host) -> Result<Plan, Error> {
        // Enough for most plans: a list that has to grow is copied, and nothing comes back from the arena.
        let mut steps = Steps { init: Vec::with_capacity(160), payload: Vec::with_capacity(48) };
        steps.init.extend([Step::DieWithSupervisor, Step::BeExpendable]);
        identity::plan_nested(&order.spec, host, &mut steps);
        // First of all, since the network takes as long as everything else.
        namespaces::plan_start(&order.spec, host, &mut steps);
        let maker = if host.ranges.is_some() { &mut steps.init } else { &mut steps.payload };
        network::plan_device(order.spec.net, host, maker);
        namespaces::plan_ready(&order.spec, host, &mut steps);
        let filter = filter(order)?;
        if order.runs() != Runs::Nothing {
            before_root(order, host, &filter, &mut steps);
            steps.payload.push(Step::AwaitRoot);
        }
        steps.init.push(Step::ForgetCommandLine);
        identity::plan_maps(&order.spec, host, &mut steps)?;
        namespaces::plan_host_name(&order.spec, &mut steps);
        let cgroup = if host.cgroup.is_there() { mounts::Cgroup::MountPoint } else { mounts::Cgroup::Files };
        mounts::plan(order, host, cgroup, |place| program::code_file(order, place), &mut steps);
        if network::opens_by_path(order.spec.net, host) {
            // Once the root is the sandbox's, nobody finds the host's device any more.
            namespaces::plan_join(&order.spec, host, &mut steps);
            steps.init.push(Step::EnterRoot);
        } else {
            steps.init.push(Step::EnterRoot);
            namespaces::plan_join(&order.spec, host, &mut steps);
        }
        let pings = network::device(order.spec.net, host).map(|_| identity::user(&order.spec, host).gid);
        mounts::plan_network(namespaces::own_network(&order.spec), pings, host, &mut steps.init);
        if order.spec.tty {
            steps.init.push(Step::OpenTerminal);
            identity::plan_terminal(&order.spec, host, &mut steps.init);
        }
        if host.ranges.is_some() {
            // To the kernel a process is in a chroot as long as another tree lies on its root, and makes no user namespace.
            steps.init.push(Step::DetachHost);
            limits::plan_counted(order, host, &mut steps.init);
            identity::plan_payload(host, &mut steps.init);
            steps.init.push(Step::OfferRoot);
        } else {
            // What the payload does as itself it does while pid 1 cleans up.
            steps.init.push(Step::OfferRoot);
            steps.init.push(Step::DetachHost);
        }
        mounts::plan_seal(order, &mut steps.init);
        steps.init.push(Step::ReportReady { namespaces: namespaces::to_join(order) });
        identity::plan_drop_of_init(&order.spec, host, &mut steps.init);
        // A change of credentials takes it back.
        steps.init.push(Step::DieWithSupervisor);
        // After the last look at the payload's process, which shares our memory.
        steps.init.push(Step::BeUndumpable);
        if !order.spec.publish.is_empty() {
            steps.init.push(Step::AwaitPublisher);
        }
        // Last: nothing hostile runs before pid 1 has given up its privileges, and nothing at all where one of its
        // steps is refused.
        steps.init.push(Step::ReleasePayload);
        if order.lasting.is_some() && host.ranges.is_some() {
            steps.payload.push(Step::ReportUsers);
        }
        match order.runs() {
            Runs::Nothing => steps.payload.extend([Step::AwaitRelease, Step::Leave]),
            Runs::Command(_) | Runs::Code(_) | Runs::Own(_) => payload(order, host, filter, &mut steps)?,
        }
        let plan = Plan {
            steps,
            namespaces: namespaces::OF_THE_CLONE,
            cgroup: cgroup::plan(&order.spec, host),
            image: image(host),
            stop_signal: host.image.as_ref().and_then(|image| image.config.stop_signal()),
            id_maps: identity::id_maps(&order.spec, host),
            enforcement: enforcement(order, host),
        };
        plan.meet(order, host)?;
        Ok(plan)
    }

    /// Whether this plan makes the same as that one, up to the command.
    pub fn is_made_as(&self, made: &Plan) -> bool {
        let before = |plan: &Plan| plan.steps.payload.len().saturating_sub(1);
        self.steps.init == made.steps.init
            && self.steps.payload.get(..before(self)) == made.steps.payload.get(..before(made))
            && (self.namespaces, &self.image) == (made.namespaces, &made.image)
            && (&self.cgroup, &self.id_maps) == (&made.cgroup, &made.id_maps)
    }

    /// Whether the payload hands over a namespace of users that those who join need.
    pub fn reports_users(&self) -> bool {
        self.steps.payload.contains(&Step::ReportUsers)
    }

    /// Nothing is weaker than asked for without the caller having said that it may be.
    fn meet(&self, order: &Order, host: &Host) -> Result<(), Error> {
        for (protection, enforcement) in &self.enforcement {
            let name = protection.name();
            let required = order.spec.require.iter().find(|requirement| requirement.protection == *protection);
            match enforcement {
                Enforcement::Off(why)
                    if !order.spec.allow_missing.contains(protection) && *protection != Protection::Network =>
                {
                    return Err(Error::from(Blocker {
                        message: format!("{name}: {why}"),
                        hint: Some(match protection {
                            Protection::DiskBandwidth => host.cgroup.cure().to_owned(),
                            _ => format!("see `belljar doctor`; `--allow-missing {name}` goes on without it"),
                        }),
                    }));
                }
                Enforcement::Off(why) | Enforcement::Partly(why) if required.is_some() => {
                    return Err(Error::from(Blocker {
                        message: format!("{name} is required: {why}"),
                        hint: Some(
                            match protection {
                                Protection::Capabilities => {
                                    "only user 0 of a range keeps any: `--user` another, or leave the range out"
                                }
                                _ => "see `belljar doctor`",
                            }
                            .to_owned(),
                        ),
                    }));
                }
                Enforcement::By { by, exact: false } if required.is_some_and(|required| required.exact) => {
                    return Err(Error::from(Blocker {
                        message: format!(
                            "{name} is required exactly, and is enforced by {by}, which is approximate{}",
                            controller(*protection).map_or_else(String::new, |controller| {
                                format!(": {}", host.cgroup.why_not(controller))
                            })
                        ),
                        hint: Some(match protection {
                            Protection::Network => {
                                "allow addresses instead of names, or `--require network`".to_owned()
                            }
                            _ => {
                                format!("{}; or take the approximate mechanism: `--require {name}`", host.cgroup.cure())
                            }
                        }),
                    }));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes down that the payload had to do without a session keyring of its own.
    pub fn keyring_is_shared(&mut self) {
        let why =
            "the user's quota of keys is used up, and the session keyring is the caller's; no system call reaches it";
        self.enforcement.insert(Protection::Namespaces, Enforcement::Partly(why.to_owned()));
    }

    /// The step of that number (from 1, pid 1's first), and of how many.
    pub fn step(&self, payload: bool, index: usize) -> Option<(usize, usize, &Step)> {
        let total = self.steps.init.len() + self.steps.payload.len();
        let (list, before) = if payload { (&self.steps.payload, self.steps.init.len()) } else { (&self.steps.init, 0) };
        list.get(index).map(|step| (before + index + 1, total, step))
    }
}

/// The root file system, as the result says it.
fn image(host: &Host) -> String {
    host.image.as_ref().map_or_else(|| "host".to_owned(), |image| image.shown.clone())
}

/// What the payload's process can do while pid 1 still mounts.
fn before_root(order: &Order, host: &Host, filter: &Step, steps: &mut Steps) {
    steps.payload.push(Step::NewSession);
    steps.payload.push(Step::FileModeMask(0o022));
    if host.ranges.is_none() {
        limits::plan_counted(order, host, &mut steps.payload);
    }
    limits::plan(order, host, &mut steps.payload);
    steps.payload.push(Step::SessionKeyring { needed: needs_keyring(&order.spec, filter) });
    steps.payload.push(Step::DefaultSignals);
    steps.payload.push(Step::DropBounding { last: host.last_capability, keep: identity::kept(order, host) });
    // Not sooner: while it makes the network it should have whichever CPU pid 1 does not have.
    mounts::plan_processors(&order.spec, host, steps);
}

/// From the root to the execution.
fn payload(order: &Order, host: &Host, filter: Step, steps: &mut Steps) -> Result<(), Error> {
    steps.payload.push(if order.spec.tty { Step::TakeTerminal } else { Step::StandardStreams });
    identity::plan_drop(&order.spec, host, identity::kept(order, host), &mut steps.payload);
    restrict(order, host, filter, steps);
    steps.payload.push(Step::Execute(program::command(order, host)?));
    Ok(())
}

/// What is done as the payload's user, last of all.
fn restrict(order: &Order, host: &Host, filter: Step, steps: &mut Steps) {
    // As the payload's own user, so that it can only begin where that user may go.
    let home = || match order.is_guest() {
        true => "/".into(),
        false => identity::home(identity::user(&order.spec, host), host).into(),
    };
    let workdir = identity::working_directory(&order.spec, host).unwrap_or_else(home);
    steps.payload.push(Step::WorkingDirectory(crate::step::c_string(workdir.into_os_string().into_encoded_bytes())));
    limits::plan_descriptors(order, host, &mut steps.payload);
    landlock::plan(order, host, &mounts::writable_directories(order, host), steps);
    steps.payload.push(Step::CloseDescriptors);
    steps.payload.push(Step::UnblockSignals);
    // To install a filter takes as long as pid 1 still needs. But a profile of the caller's may forbid to wait.
    steps.payload.extend(match order.spec.seccomp {
        Seccomp::Builtin(_) => [filter, Step::AwaitRelease],
        Seccomp::Custom { .. } => [Step::AwaitRelease, filter],
    });
}

/// Whether a sandbox that gets no session keyring of its own must not be: its program could ask for the caller's keys, or
/// somebody wants to be sure.
fn needs_keyring(spec: &Spec, filter: &Step) -> bool {
    let required = spec.require.iter().any(|requirement| requirement.protection == Protection::Namespaces);
    let reachable = match filter {
        Step::Seccomp { program, .. } => seccomp::lets_keyrings_through(program),
        _ => true,
    };
    required || reachable
}

/// Whether anybody inside can make a file in memory that has no name.
pub fn files_in_memory(order: &Order) -> bool {
    let name = match (&order.privileges, &order.spec.seccomp) {
        (Privileges::Build { .. }, _) => seccomp::BUILD,
        (_, Seccomp::Builtin(name)) => name,
        (_, Seccomp::Custom { .. }) => return true,
    };
    seccomp::builtin(name).is_none_or(|program| seccomp::lets_through(program, libc::SYS_memfd_create as u32))
}

/// The controller that would hold a limit exactly; what may be reached none would.
fn controller(limit: Protection) -> Option<&'static str> {
    match limit {
        Protection::Memory => Some("memory"),
        Protection::Pids => Some("pids"),
        Protection::DiskBandwidth => Some("io"),
        Protection::Network => None,
        _ => Some("cpu"),
    }
}

fn filter(order: &Order) -> Result<Step, Error> {
    let unknown = |message: String| Error::invalid(vec![Problem::new("seccomp", message)]);
    let built_in = |name: &str| {
        let program = seccomp::builtin(name).ok_or_else(|| unknown(format!("no profile `{name}`")))?;
        Ok(Step::Seccomp { name: name.to_owned(), program: Cow::Borrowed(program) })
    };
    if let Privileges::Build { .. } = order.privileges {
        return built_in(seccomp::BUILD);
    }
    if order.warm.is_some() {
        return built_in(seccomp::ZYGOTE);
    }
    match &order.spec.seccomp {
        Seccomp::Builtin(name) => built_in(name),
        Seccomp::Custom { path, json } => {
            let shown = path.display();
            let program = seccomp::compile(json).map_err(|error| unknown(format!("`{shown}`: {error}")))?;
            Ok(Step::Seccomp { name: shown.to_string(), program: Cow::Owned(program) })
        }
    }
}

fn enforcement(order: &Order, host: &Host) -> Enforcements {
    Protection::ALL
        .into_iter()
        .filter_map(|protection| {
            let enforcement = match protection {
                Protection::Namespaces | Protection::Seccomp | Protection::Proc => Some(Enforcement::Enforced),
                Protection::Capabilities => Some(identity::enforcement(order, host)),
                Protection::Network => Some(network::enforcement(&order.spec, host)),
                Protection::Landlock => Some(landlock::enforcement(&order.spec, host)),
                Protection::Memory
                | Protection::Cpu
                | Protection::CpuTime
                | Protection::Pids
                | Protection::Disk
                | Protection::DiskBandwidth
                | Protection::Timeout => limits::enforcement(order, host, protection),
            };
            Some((protection, enforcement?))
        })
        .collect()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cgroup) = &self.cgroup {
            writeln!(f, "{cgroup}")?;
        }
        writeln!(f, "clone: user mount pid uts ipc")?;
        for (title, payload, list) in [("init", false, &self.steps.init), ("payload", true, &self.steps.payload)] {
            writeln!(f, "{title}:")?;
            for index in 0..list.len() {
                if let Some((number, _, step)) = self.step(payload, index) {
                    writeln!(f, "{number:4}  {step}")?;
                }
            }
        }
        Ok(())
    }
}

impl Plan {
    /// Each step as it is read aloud, in order, for those who print it as data.
    pub fn lines(&self) -> Vec<String> {
        self.steps.init.iter().chain(&self.steps.payload).map(ToString::to_string).collect()
    }

    /// The command's candidates, in the order in which they are tried.
    pub fn candidates(&self) -> &[CString] {
        self.command().map_or(&[], |command| &command.candidates)
    }

    /// The command, where it is known.
    pub fn command(&self) -> Option<&Command> {
        match self.steps.payload.last() {
            Some(Step::Execute(command)) => Some(command),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
