//! Running a command in a running sandbox: in its namespaces, under all restrictions of its first process.

use super::call::{Answer, Call, Line};
use super::entry::GLANCE;
use super::{Entry, Reason, Run, Sandboxes, ahead, errors, life, network, program};
use crate::error::{Error, Kind, Problem};
use crate::images::Store;
use crate::outcome::{Enforcement, Outcome, Status, signal_number};
use crate::own::Own;
use crate::process::{self, Attendant, Delivery, Joined, Running, Standing};
use crate::spec::{Lasting, Order, OutputLimit, Program, Protection, Spec, User, Userns};
use crate::trees::tree;
use nix::poll::{PollFd, PollFlags};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long it may take to say so after a command was killed.
const LAST_WORD: Duration = Duration::from_millis(500);
/// How long a supervisor may take to say that its sandbox has ended.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a sandbox may take to end in which nothing can begin any more: everybody inside is being killed.
const DYING: Duration = Duration::from_secs(10);

/// One command, and what is its own; the rest is the sandbox's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exec {
    /// The command and its arguments.
    pub words: Vec<OsString>,
    /// What of belljar's own runs in the place of a command: for what our own tools do inside.
    pub own: Option<Own>,
    /// Whether a stopped sandbox will do: only its files are needed.
    pub stopped_too: bool,
    /// Variables on top of the sandbox's.
    pub env: Vec<(OsString, OsString)>,
    /// Where it begins.
    pub workdir: Option<PathBuf>,
    /// Who it is.
    pub user: Option<User>,
    /// Its wall clock. `None`: no deadline.
    pub timeout: Option<Duration>,
    /// The cap on its output.
    pub output_limit: Option<OutputLimit>,
    /// A file to read standard input from.
    pub stdin: Option<PathBuf>,
    /// Whether it has a terminal of its own.
    pub tty: bool,
    /// Value of `TERM`.
    pub term: Option<String>,
}

impl Exec {
    /// The sandbox's order with this command in the place of its own.
    fn over(&self, sandbox: &Order) -> Order {
        let spec = &sandbox.spec;
        let mut env = spec.env.clone();
        env.extend(self.env.iter().cloned());
        // For user 0 of a range a home was made where no image decides for whom.
        let hosts = spec.user.is_none() && spec.image.is_none() && self.user == Some(User { uid: 0, gid: 0 });
        let guest = self.user.is_some() && self.user != spec.user && !hosts;
        let spec = Spec {
            program: Program::Command(self.words.clone()),
            env,
            workdir: self.workdir.clone().or_else(|| spec.workdir.clone()),
            user: self.user.or(spec.user),
            timeout: self.timeout,
            cpu_time: None,
            output_limit: self.output_limit,
            stdin: self.stdin.clone(),
            tty: self.tty,
            ..spec.clone()
        };
        Order {
            spec,
            warm: None,
            lasting: sandbox.lasting.clone().map(|lasting| Lasting { guest, ..lasting }),
            term: self.term.clone(),
            own: self.own.clone(),
            ..sandbox.clone()
        }
    }
}

/// Runs a command in the sandbox that `word` names, and says what became of it.
///
/// # Errors
///
/// `NotRunning`; `Ended`, when the sandbox went before there was an answer; whatever keeps the command from running.
pub fn exec(
    sandboxes: &Sandboxes,
    word: &str,
    store: Option<&Store>,
    exec: &Exec,
    delivery: Delivery,
) -> Result<(Outcome, Spec), Error> {
    let entry = sandboxes.find(word)?;
    let own = entry.order()?;
    check_user(&own.spec, exec)?;
    let order = exec.over(&own);
    let ((answer, descriptors), line, program) = loop {
        let called = Line::to(&entry).and_then(|mut line| {
            let program = exec.own.as_ref().map(|_| program::of(&entry, &line)).transpose()?;
            Ok((ahead::join(&entry, &mut line, &order, delivery)?, line, program))
        });
        match called {
            // Files can be had without anything of the sandbox's running.
            Err(error)
                if exec.own.is_some() && exec.stopped_too && matches!(error.kind, Kind::NotRunning | Kind::Ended) =>
            {
                if let Some(outcome) = run_on_stopped(&entry, &order, store, delivery)? {
                    return Ok((outcome, order.spec));
                }
                std::thread::sleep(GLANCE);
            }
            called => break called?,
        }
    };
    // The supervisor has one that stood inside already.
    let hands_leader = matches!(answer, Answer::Joined { holds_leaders: true, led: false, .. });
    let mut joined = joined(answer, descriptors).ok_or_else(|| entry.ended())?;
    joined.program = program;
    let mut lease = Lease { line, hands_leader, ending: None, ended: None, reached: Vec::new() };
    let mark = network::Mark::of(&entry, &own.spec);
    let outcome = process::join(&order, store, &joined, delivery, &mut lease);
    match outcome {
        Ok(mut outcome) => {
            outcome.sandbox.clone_from(&entry.id);
            // The last word may still be on its way to us. Where the kernel has killed everybody together, its news of the one is
            // quicker than the supervisor's of all.
            let killed = outcome.status == Status::Signaled && outcome.signal.as_deref() == Some("SIGKILL");
            lease.listen(if killed { LAST_WORD } else { Duration::ZERO });
            if let Some(trouble) = lease.ended_with_it(&entry, &outcome) {
                let memory = lease.end() == Some(Status::OutOfMemory);
                outcome.status = if memory { Status::OutOfMemory } else { Status::Cancelled };
                outcome.signal = outcome.signal.filter(|_| memory);
                outcome.exit_code = None;
                outcome.error = Some(trouble);
            }
            outcome.network = mark.map(|mark| mark.since(&entry)).transpose()?;
            outcome.limits_reached.append(&mut lease.reached);
            outcome.limits_reached.dedup();
            Ok((outcome, order.spec))
        }
        Err(error) if lease.is_over(&error) => Err(lease.trouble(&entry)),
        Err(error) if error.kind == Kind::OutOfReach => {
            // Somebody inside is out of reach of this command's limits: the sandbox's own end holds for everybody. Where that
            // has come in the meantime it is the reason.
            let _ = life::end_for(sandboxes, &entry.id, Duration::ZERO, Reason::LeaderLost);
            lease.listen(PATIENCE);
            if lease.ended.is_some() && !lease.is_for(Reason::LeaderLost) {
                return Err(lease.trouble(&entry));
            }
            Err(error.hint("the sandbox was stopped, so that nothing in it keeps running without limits"))
        }
        Err(error) => Err(error),
    }
}

/// Refuses another user where the sandbox has one id only: outside of it that would be nobody, or the caller by another name.
fn check_user(own: &Spec, exec: &Exec) -> Result<(), Error> {
    if exec.user.is_none() || exec.user == own.user || own.userns == Userns::Range {
        return Ok(());
    }
    let problem = Problem::new("user", "the sandbox has one user, and `exec` cannot be another");
    Err(Error::misused(vec![problem.hint("make the sandbox with `--user`, or with `--userns range` to have several")]))
}

/// Runs our own program over the files of a sandbox that does not run and keeps them, in a sandbox of its own that is exactly like
/// it. Nobody starts or removes it meanwhile. `None` for one that somebody has started before we had its turn: it can be joined.
fn run_on_stopped(
    entry: &Entry,
    order: &Order,
    store: Option<&Store>,
    delivery: Delivery,
) -> Result<Option<Outcome>, Error> {
    let _turn = entry.turn()?;
    if entry.at_rest()? {
        return Ok(None);
    }
    if !entry.record()?.keep {
        return Err(errors::not_running(&entry.name()));
    }
    let mut order = order.clone();
    if let Some(Own::Tools { room }) = &mut order.own {
        // Nobody counts what is written, and so it is told how much that may be.
        let upper = File::open(entry.path("upper")).map_err(|error| Error::attempt("open `upper`", &error))?;
        let usage = tree::usage(upper.as_fd()).map_err(Error::from)?;
        *room = Some(order.spec.disk.saturating_sub(usage.bytes));
    }
    Ok(Some(process::run(&order, store, delivery)?))
}

/// What the supervisor handed over, if it is what it says.
pub(super) fn joined(answer: Answer, descriptors: Vec<OwnedFd>) -> Option<Joined> {
    let Answer::Joined { namespaces, users, cgroup, enforcement, mount_is_directory, led, .. } = answer else {
        return None;
    };
    let mut descriptors = descriptors.into_iter();
    let all: Vec<OwnedFd> = descriptors.by_ref().take(namespaces).collect();
    let users = if users { Some(descriptors.next()?) } else { None };
    let cgroup = if cgroup { Some(descriptors.next()?) } else { None };
    let mut leader = None;
    if led {
        leader = Some(Standing { leader: descriptors.next()?, control: descriptors.next()? });
    }
    let known = |(name, how): (String, Enforcement)| Some((Protection::from_name(&name)?, how));
    let enforced: BTreeMap<Protection, Enforcement> = enforcement.into_iter().filter_map(known).collect();
    (all.len() == namespaces).then_some(Joined {
        namespaces: all,
        users,
        cgroup,
        enforced,
        mount_is_directory,
        program: None,
        leader: RefCell::new(leader),
        leader_lost: Cell::default(),
    })
}

/// The connection to the supervisor: as long as it is there the sandbox counts as used, and over it comes the sandbox's end.
struct Lease {
    line: Line,
    /// Whether the supervisor has still to be given the leader of the command: should we be killed, it sees to the end of that.
    hands_leader: bool,
    /// Why everybody inside is asked to end, and by which signal.
    ending: Option<(Reason, i32)>,
    /// It has ended; how, where its supervisor said so.
    ended: Option<Option<Run>>,
    /// Limits of the sandbox for which commands were killed.
    reached: Vec<Protection>,
}

impl Lease {
    /// How the sandbox has ended, where that is known.
    fn end(&self) -> Option<Status> {
        Some(self.ended.as_ref()?.as_ref()?.end.as_ref()?.status)
    }

    /// Whether `error` is because the sandbox has ended. In a namespace of pids whose first process is dying nothing can
    /// be cloned any more, and clone(2) says ENOMEM long before the supervisor, who tells it when everybody has gone.
    fn is_over(&mut self, error: &Error) -> bool {
        let dying = error.errno == Some(libc::ENOMEM);
        self.listen(if dying { DYING } else { Duration::ZERO });
        self.ended.is_some()
    }

    /// Whether the sandbox has ended for this.
    fn is_for(&self, reason: Reason) -> bool {
        let run = self.ended.as_ref().and_then(Option::as_ref);
        run.and_then(|run| run.end.as_ref()).is_some_and(|end| end.reason == Some(reason))
    }

    /// The sandbox's end, as an error.
    fn trouble(&self, entry: &Entry) -> Error {
        match (&self.ended, self.ending) {
            (Some(Some(run)), _) => entry.ended_so(run),
            (_, Some((reason, _))) => errors::ended(&entry.name(), Some(reason.told())),
            _ => entry.ended(),
        }
    }

    /// The sandbox's end, where the command has ended with it and not by itself.
    fn ended_with_it(&self, entry: &Entry, outcome: &Outcome) -> Option<Error> {
        let asked = |(_, signal): (Reason, i32)| {
            outcome.signal.as_deref().and_then(signal_number).is_some_and(|by| [signal, libc::SIGKILL].contains(&by))
        };
        let with_it = match outcome.status {
            Status::Signaled if outcome.signal.as_deref() == Some("SIGKILL") && self.ended.is_some() => true,
            Status::Signaled => self.ending.is_some_and(asked),
            Status::Cancelled | Status::OutOfMemory => self.ended.is_some(),
            Status::Exited
            | Status::TimedOut
            | Status::CpuTimeExceeded
            | Status::OutputLimit
            | Status::ForbiddenSyscall
            | Status::SetupFailed => false,
        };
        with_it.then(|| self.trouble(entry))
    }

    /// Hears all that is said, and waits up to `patience` for the end.
    fn listen(&mut self, patience: Duration) {
        let until = Instant::now() + patience;
        while self.ended.is_none() {
            let mut list = [PollFd::new(self.line.descriptor(), PollFlags::POLLIN)];
            let left = until.saturating_duration_since(Instant::now());
            let timeout = nix::poll::PollTimeout::try_from(left).unwrap_or(nix::poll::PollTimeout::MAX);
            match nix::poll::poll(&mut list, timeout) {
                Err(nix::errno::Errno::EINTR) => continue,
                Ok(1..) => {}
                _ => return,
            }
            match self.line.hear::<Answer>() {
                Ok(Some((Answer::Reached(limit), _))) => self.reached.extend(Protection::from_name(&limit)),
                Ok(Some((Answer::Ending { reason, signal }, _))) => self.ending = Some((reason, signal)),
                Ok(Some((Answer::Ended(run), _))) => self.ended = Some(Some(run)),
                _ => self.ended = Some(None),
            }
        }
    }
}

impl Lease {
    fn hand_leader(&mut self, running: &mut Running) {
        let Some(leader) = running.leader().filter(|_| self.hands_leader) else { return };
        let handed = self.line.say(&Call::Lead, &[leader.as_raw_fd()]);
        self.hands_leader = false;
        match handed.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO)) {
            // The supervisor has gone, and everybody inside goes with it.
            Ok(()) | Err(libc::EPIPE | libc::ECONNRESET) => {}
            Err(errno) => running.fail("hand the leader of the command to the supervisor", errno),
        }
    }

    fn tell(&self, running: &mut Running) {
        // Of a supervisor that went without a word nothing is known.
        if let Some(Some(run)) = &self.ended {
            let end = run.end.as_ref();
            running.sandbox_ended(end.is_some_and(|end| end.status == Status::OutOfMemory));
        }
    }
}

impl Attendant for Lease {
    fn interests<'a>(&'a self, list: &mut Vec<PollFd<'a>>) -> Option<Instant> {
        if self.ended.is_none() {
            list.push(PollFd::new(self.line.descriptor(), PollFlags::POLLIN));
        }
        None
    }

    fn attend(&mut self, running: &mut Running, _now: Instant) {
        self.hand_leader(running);
        if self.ended.is_none() {
            self.listen(Duration::ZERO);
            self.tell(running);
        }
    }

    fn gone(&mut self, running: &mut Running) {
        // The kernel is quicker than the supervisor, who tells it when everybody inside has gone.
        if self.ended.is_none() {
            self.listen(PATIENCE);
            self.tell(running);
        }
    }
}
