//! A spare: a sandbox that is made before anybody has a command for it, empty and restricted, and used once.
//!
//! Its first process does what that of any sandbox does, and then waits to be told which process is the payload: somebody else brings
//! one inside. What the payload of such a sandbox would have done to itself before it executes is data here ([`Spare::plan`]), for
//! whoever does it to that process.
//!
//! Spares of a template are made inside of its namespaces of users and of pids, so that each is below them, and everywhere else where
//! sandboxes are made: [`Ground`] is looked at before, as anybody looks at the machine.

use super::meter::{Stat, kibibytes};
use super::plan::Plan;
use super::report::Errand;
use super::role::Role;
use super::{launch, root};
use crate::cgroup::{self, Cgroup};
use crate::error::Error;
use crate::host::Host;
use crate::images::{self, Lease, Store};
use crate::spec::{Code, Lasting, Order, Program, Source, Spec, User};
use crate::step::Command;
use crate::sys::{child, proc};
use crate::{identity, landlock, namespaces, program};
use std::os::fd::{AsFd as _, OwnedFd};

/// What there is of a spare that waits.
#[derive(Debug)]
pub struct Held {
    /// Its first process, as its maker numbers it.
    pub pid: i32,
    /// The same as a descriptor.
    pub pidfd: OwnedFd,
    /// The socket to it: the sandbox ends when nobody has it any more.
    pub control: OwnedFd,
    /// Its `/`, its `/proc`, and lists of System V IPC.
    pub sights: Vec<OwnedFd>,
    /// Its cgroup.
    pub cgroup: Option<Cgroup>,
    /// Its namespaces, each with its kind, in the order in which they are joined.
    pub namespaces: Vec<(OwnedFd, i32)>,
}

impl Held {
    /// Tells its first process that the process of that number, which is inside, is the payload.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn name_payload(&self, pid: i32) -> nix::Result<()> {
        nix::unistd::write(self.control.as_fd(), &Errand::Payload(pid).encode()).map(drop)
    }
}

/// What the processes of a spare have and do, but for its first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How many there are.
    pub processes: u32,
    /// Bytes that they have in memory and in no file, whoever shares them.
    pub memory: u64,
    /// CPU time that they have used, in ticks: a hundredth of a second each.
    pub ticks: u64,
}

impl Held {
    /// What its processes have and do now: proc_pid_stat(5), proc_pid_status(5). What cannot be read has ended.
    pub fn load(&self) -> Load {
        let mut load = Load::default();
        let Some(proc) = self.sights.get(1) else { return load };
        let (mut pids, mut buffer) = (Vec::new(), [0; 4096]);
        // One that cannot be read is that of a sandbox that has ended.
        let _ = proc::for_each_number(proc.as_fd(), &mut buffer, |pid| pids.push(pid));
        for pid in pids.into_iter().filter(|pid| *pid != 1) {
            let stat = proc::read_process_file(proc.as_fd(), pid, "stat", &mut buffer).ok().and_then(Stat::parse);
            // Who has brought a copy inside may have ended just now.
            let Some(stat) = stat.filter(|stat| !stat.is_dead()) else { continue };
            load.processes += 1;
            load.ticks += stat.ticks;
            let status = proc::read_process_file(proc.as_fd(), pid, "status", &mut buffer).unwrap_or_default();
            load.memory += kibibytes(status, "RssAnon:") + kibibytes(status, "RssShmem:");
        }
        load
    }

    /// Bytes that the process of that number, which is inside, has for itself alone: proc_pid_smaps_rollup(5). Nothing where that cannot be read.
    pub fn private_bytes(&self, pid: i32) -> u64 {
        let (Some(proc), Ok(pid)) = (self.sights.get(1), u32::try_from(pid)) else { return 0 };
        let mut buffer = [0; 4096];
        let read = proc::read_process_file(proc.as_fd(), pid, "smaps_rollup", &mut buffer);
        let of = |key: &str| read.as_ref().map_or(0, |bytes| kibibytes(bytes, key));
        of("Private_Clean:") + of("Private_Dirty:")
    }
}

/// A spare, and what is to be done to its payload.
#[derive(Debug)]
pub struct Spare {
    /// The sandbox.
    pub held: Held,
    /// The plan of a sandbox that runs the command; its payload's steps are not taken yet.
    pub plan: Plan,
    /// What the rules of its Landlock step are added to.
    pub ruleset: Option<OwnedFd>,
    /// What its payload executes, where it is no copy.
    pub command: Option<Command>,
}

/// What spares are made from.
pub struct Ground {
    order: Order,
    host: Host,
    /// What is executed in each, where an interpreter cannot be copied.
    command: Option<Command>,
    /// The image stays as long as spares are made.
    _lease: Option<Lease>,
}

impl Ground {
    /// Looks at the machine, for code by the template of `order` in sandboxes like that one.
    ///
    /// # Errors
    ///
    /// As of a sandbox that runs the code.
    pub fn survey(order: &Order, store: Option<&Store>) -> Result<Ground, Error> {
        let template = order.warm.clone().unwrap_or_default();
        let code = Code { language: template.language, source: Source::Text("".into()), args: Vec::new() };
        let spec = Spec { program: Program::Code(code), timeout: None, ..order.spec.clone() };
        let mut order = Order { spec, lasting: None, warm: None, ..order.clone() };
        let lease = images::lease(&order, store)?;
        let image = root(&order, lease.as_ref());
        let host = cgroup::settle(&order.spec, Host::probe(&order.spec, image)?)?;
        // Who we are inside of the template is its user already.
        order.spec.user = Some(identity::user(&order.spec, &host));
        let command = program::parked(&template, &order, &host);
        Ok(Ground { order, host, command, _lease: lease })
    }

    /// From here on the caller's process is inside of the template's namespace of users, where it has other numbers.
    pub fn enter(&mut self) {
        self.host.uid = nix::unistd::geteuid().as_raw();
        self.host.gid = nix::unistd::getegid().as_raw();
        let User { uid, gid } = identity::user(&self.order.spec, &self.host);
        self.host.nested = Some([uid, gid]);
    }

    /// The order of what runs.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// What the machine can do.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Makes a spare. The caller's process is its parent, and has no other threads.
    ///
    /// # Errors
    ///
    /// As of a sandbox that runs the command.
    pub fn prepare(&mut self) -> Result<Spare, Error> {
        // Each on another CPU, where it may not have all of them.
        self.host.machine.processors.rotate_left(1);
        let spec = Spec { program: Program::Nothing, ..self.order.spec.clone() };
        let empty = Order { spec, lasting: Some(Lasting::default()), ..self.order.clone() };
        let plan = Plan::new(&self.order, &self.host)?;
        let ruleset = landlock::create_ruleset(&self.order, &self.host)?;
        let made = launch::launch(&empty, None, self.host.clone(), Plan::new(&empty, &self.host)?, Role::Spare);
        // A launch needs to be; nobody inside of the template looks at us.
        child::process_control(libc::PR_SET_DUMPABLE, 0, 0).map_err(|errno| Error::setup("be undumpable", errno))?;
        let kinds = namespaces::to_join(&empty);
        Ok(Spare { held: made?.await_spare(&kinds)?, plan, ruleset, command: self.command.clone() })
    }
}
