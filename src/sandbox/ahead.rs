//! A leader that stands inside, ready for the next command (decision 032).
//!
//! Whoever uses a sandbox once uses it again, and half of what `exec` takes is the way inside. So when a command has ended, its
//! supervisor has somebody brought there who clones leaders, and has one wait: the next caller is handed it with the namespaces, and gives it
//! its command. It leads that one and leaves, and the next is cloned meanwhile. Ten seconds after the last command nobody waits any more.
//!
//! A command has a few things from the process that leads it: limits of resources, the priority, the processors, and where the sandbox has no
//! cgroup, that. So a caller gets only a leader whose own are the same as the caller's, and which runs the very program that the caller runs.

use super::call::{Answer, Call, Line};
use super::{Entry, Sandboxes, exec, program};
use crate::error::{Error, Kind};
use crate::images::Store;
use crate::own::Own;
use crate::process::{self, Delivery, Heard, Standing};
use crate::spec::{Order, Privileges, Userns};
use crate::sys::inherited::Inherited;
use crate::sys::{fd, proc};
use nix::poll::{PollFd, PollFlags};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long a leader waits. An idle sandbox has none.
const KEPT: Duration = Duration::from_secs(10);
/// After the end of a command: whoever waits for its result comes first, and a sandbox that is removed now needs none.
const PAUSE: Duration = Duration::from_millis(2);
/// So often in a row it may come to nothing before nobody tries any more.
const TRIES: u32 = 3;
/// Between two looks for those of whom nobody was told, and how long somebody looks.
const ROUND: Duration = Duration::from_millis(30);
const STRAYS: Duration = Duration::from_secs(15);
/// Of a sandbox that may have fewer processes, none of them is ours.
const FEW_PROCESSES: u32 = 16;

/// Whether a leader that knows nothing of the command can lead it: a range of ids has privileges to give up that a waiting leader must
/// not have, and a terminal is its caller's.
fn can_be_led(order: &Order) -> bool {
    let spec = &order.spec;
    spec.userns == Userns::Single
        && !spec.tty
        && order.bundle.is_none()
        && order.privileges == Privileges::None
        && spec.pids >= FEW_PROCESSES
}

/// What a process has from whoever started it and passes on to a command, with the program that it runs; and its cgroup, which only counts
/// where the sandbox has none.
pub type Surroundings = (String, String);

fn surroundings() -> io::Result<Surroundings> {
    let inherited = Inherited::now();
    Ok((format!("{} {}", program::key()?, inherited.place()), inherited.cgroup()))
}

/// Asks to join, with a leader where there is one.
///
/// # Errors
///
/// As [`Line::ask`].
pub fn join(
    entry: &Entry,
    line: &mut Line,
    order: &Order,
    delivery: Delivery,
) -> Result<(Answer, Vec<OwnedFd>), Error> {
    // A test counts the steps of the whole way.
    let led = can_be_led(order) && delivery.fail_step.is_none();
    let Some((key, cgroup)) = led.then(surroundings).and_then(Result::ok) else {
        return line.ask(entry, &Call::Join);
    };
    match line.ask(entry, &Call::JoinLed { key, cgroup }) {
        // A supervisor of an older program hangs up on what it does not know; one that has ended answers neither.
        Err(error) if error.kind == Kind::Ended => {
            *line = Line::to(entry)?;
            line.ask(entry, &Call::Join)
        }
        answer => answer,
    }
}

/// Brings inside who clones leaders: what that takes comes from the supervisor through `socket`, and so will the leaders' sockets. Ends the process where all goes well.
///
/// # Errors
///
/// What keeps it from being brought there.
pub fn stand_by(sandboxes: &Sandboxes, id: &str, store: Option<&Store>, socket: OwnedFd) -> Result<(), Error> {
    let entry = sandboxes.find(id)?;
    let order = entry.order()?;
    let line = Line::of(socket);
    let heard = line.hear::<Answer>().map_err(|error| Error::attempt("hear from the supervisor", &error))?;
    let (answer, descriptors) = heard.ok_or_else(|| entry.ended())?;
    let joined = exec::joined(answer, descriptors).ok_or_else(|| entry.ended())?;
    process::stand_by(&order, store, &joined, line.into_socket())
}

/// The supervisor's side.
pub struct Ahead {
    id: String,
    /// Whether one can lead what runs in this sandbox.
    can: bool,
    stage: Option<Stage>,
    /// When somebody is to be brought inside.
    wanted: Option<Instant>,
    failed: u32,
    /// Whoever has a command, or leaves; they are our children.
    left: Vec<OwnedFd>,
    /// When to look next for those of whom nobody was told, and until when.
    strays: Option<(Instant, Instant)>,
}

/// Who is inside, or on the way.
struct Stage {
    /// The socket to whoever clones leaders.
    control: OwnedFd,
    /// Who brings that one inside, until it has.
    messenger: Option<Child>,
    cloner: Option<OwnedFd>,
    /// Our end of the next leader's socket.
    socket: Option<OwnedFd>,
    leader: Option<OwnedFd>,
    until: Instant,
    /// What they have from us, as we were when they were brought there.
    surroundings: Surroundings,
}

impl Stage {
    /// Asks for the next leader.
    fn ask(&mut self) -> io::Result<()> {
        let (ours, theirs) = fd::pair()?;
        process::ask_for_leader(self.control.as_fd(), theirs.as_fd()).map_err(io::Error::from_raw_os_error)?;
        self.socket = Some(ours);
        Ok(())
    }

    /// Hears what has come.
    fn hear(&mut self) -> Result<(), i32> {
        loop {
            match process::hear_leaders(self.control.as_fd())? {
                Heard::Nothing => return Ok(()),
                Heard::Inside(cloner) => {
                    self.cloner = Some(cloner);
                    // That was its last word.
                    if let Some(mut messenger) = self.messenger.take() {
                        let _ = messenger.wait();
                    }
                }
                Heard::Leader(leader) => self.leader = Some(leader),
            }
        }
    }
}

impl Ahead {
    /// Nobody yet.
    pub fn new(id: &str, order: &Order, may: bool) -> Ahead {
        let can = may && can_be_led(order);
        Ahead { id: id.to_owned(), can, stage: None, wanted: None, failed: 0, left: Vec::new(), strays: None }
    }

    /// A command has ended.
    pub fn used(&mut self, now: Instant) {
        match &mut self.stage {
            Some(stage) => stage.until = now + KEPT,
            None if self.can && self.failed < TRIES => self.wanted = Some(now + PAUSE),
            None => {}
        }
    }

    /// Adds what to wait for; when to be asked at the latest.
    pub fn interests<'a>(&'a self, list: &mut Vec<PollFd<'a>>) -> Option<Instant> {
        list.extend(self.left.iter().map(|one| PollFd::new(one.as_fd(), PollFlags::POLLIN)));
        let strays = self.strays.map(|(next, _)| next);
        let Some(stage) = &self.stage else { return self.wanted.into_iter().chain(strays).min() };
        // Its end is an end of the socket too.
        list.push(PollFd::new(stage.control.as_fd(), PollFlags::POLLIN));
        list.extend(stage.leader.as_ref().map(|leader| PollFd::new(leader.as_fd(), PollFlags::POLLIN)));
        Some(strays.map_or(stage.until, |next| stage.until.min(next)))
    }

    /// Whether somebody is inside, or will be: then the next command is likely to come soon.
    pub fn expects(&self) -> bool {
        self.stage.is_some() || self.wanted.is_some()
    }

    /// How many are inside without a command.
    pub fn count(&self) -> u32 {
        let stage = self.stage.as_ref();
        stage.map_or(0, |stage| u32::from(stage.cloner.is_some()) + u32::from(stage.leader.is_some()))
    }

    /// Whether somebody is to be brought inside now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.stage.is_none() && self.wanted.is_some_and(|at| now >= at)
    }

    /// Does what is to be done now. `handed` is what is needed to join, where somebody is to and may.
    pub fn tend(&mut self, now: Instant, handed: Option<(Answer, Vec<RawFd>)>) {
        let expected = self.expects();
        self.tend_to_all(now, handed);
        if expected && !self.expects() {
            // Nobody is likely to call soon.
            proc::release_instructions();
        }
    }

    fn tend_to_all(&mut self, now: Instant, handed: Option<(Answer, Vec<RawFd>)>) {
        // Who has ended is asked how, or would stay for ever.
        self.left.retain(|one| !proc::reap(one.as_fd()));
        if let Some((_, until)) = self.strays.filter(|(next, _)| now >= *next) {
            proc::reap_inside();
            self.strays = (now < until).then_some((now + ROUND, until));
        }
        self.hear();
        if self.stage.as_ref().is_some_and(|stage| now >= stage.until) {
            self.let_go();
        }
        if self.is_due(now) {
            self.wanted = None;
            let Some((answer, descriptors)) = handed else { return };
            // Who cannot be brought is done without.
            match self.bring(&answer, &descriptors, now) {
                Ok(stage) => self.stage = Some(stage),
                Err(_) => self.failed += 1,
            }
        }
    }

    fn bring(&self, answer: &Answer, descriptors: &[RawFd], now: Instant) -> io::Result<Stage> {
        let (ours, theirs) = fd::pair()?;
        let line = Line::of(ours);
        line.say(answer, descriptors)?;
        let mut stage = Stage {
            control: line.into_socket(),
            messenger: None,
            cloner: None,
            socket: None,
            leader: None,
            until: now + KEPT,
            surroundings: surroundings()?,
        };
        stage.ask()?;
        let mut command = Own::StandBy { id: self.id.clone() }.command();
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        stage.messenger = Some(command.spawn()?);
        Ok(stage)
    }

    /// Hears what has come; whoever fails, or was killed, is let go with all others.
    fn hear(&mut self) {
        let Some(stage) = &mut self.stage else { return };
        let lost = stage.leader.as_ref().is_some_and(|leader| proc::has_ended(leader.as_fd()));
        match stage.hear() {
            Ok(()) if !lost => self.failed = if stage.leader.is_some() { 0 } else { self.failed },
            _ => {
                self.failed += 1;
                self.let_go();
                self.used(Instant::now());
            }
        }
    }

    /// The leader that waits, for a caller who can use it; and asks for the next. `held`: whether the sandbox has a cgroup.
    pub fn take(&mut self, (key, cgroup): &Surroundings, held: bool) -> Option<Standing> {
        self.hear();
        let stage = self.stage.as_mut().filter(|stage| stage.leader.is_some() && stage.socket.is_some())?;
        if stage.surroundings.0 != *key || !held && stage.surroundings.1 != *cgroup {
            return None;
        }
        let (leader, control) = (stage.leader.take()?, stage.socket.take()?);
        self.left.extend(leader.try_clone());
        if stage.ask().is_err() {
            self.let_go();
        }
        Some(Standing { leader, control })
    }

    /// Lets everybody go who has no command.
    pub fn let_go(&mut self) {
        self.wanted = None;
        let Some(mut stage) = self.stage.take() else { return };
        if let Some(messenger) = &mut stage.messenger {
            let _ = messenger.kill();
            let _ = messenger.wait();
        }
        // Of some nobody was told yet. Once who clones is gone there are no more.
        let _ = stage.hear();
        // Whoever clones may be killed, with everybody inside or by us, before it says whom it has cloned. Until that one is asked how it
        // ended, pid 1 cannot end.
        if stage.cloner.is_none() || stage.leader.is_none() {
            let now = Instant::now();
            self.strays = Some((now + ROUND, now + STRAYS));
        }
        for one in [stage.cloner, stage.leader].into_iter().flatten() {
            // It would leave by itself, with its socket; but somebody inside may have stopped it. It may have ended, which is as good.
            let _ = proc::send_signal(one.as_raw_fd(), libc::SIGKILL);
            self.left.push(one);
        }
    }
}
