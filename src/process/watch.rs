//! Watch: from the clone to the outcome.
//!
//! One loop waits for whatever comes first: a frame of the sandbox, its end, a signal to us, output, input, the
//! deadline, the next reading. What ends a sandbox is always the death of its pid 1, and with it the kernel ends
//! all others; nothing here looks for processes to kill.

mod attend;
mod hear;
mod hold;
mod verdict;

pub use attend::{Attendant, Nobody};

use super::Held;
use super::child::Role;
use super::meter::Meter;
use super::plan::Plan;
use super::relay::Relays;
use super::throttle::{PATIENCE, Throttle};
use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::host::Host;
use crate::identity::IdMaps;
use crate::outcome::Outcome;
use crate::spec::Spec;
use crate::sys::proc;
use crate::sys::signal::{Listening, stop_self};
use crate::sys::tty::{RawTerminal, copy_size};
use hold::Peak;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::Signal;
use nix::sys::time::{TimeSpec, TimeValLike as _};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};
use verdict::failure;

/// How long a command may take to end after a signal that asks for it.
const GRACE: Duration = Duration::from_secs(1);
/// Between two readings, at most and at least.
const SLOW: Duration = Duration::from_millis(20);
const FAST: Duration = Duration::from_micros(500);
/// Between two while processes come and go.
const QUICK: Duration = Duration::from_millis(4);
/// How long a leader may take to end what it leads; after that the whole sandbox is ended.
const LEADERS_TIME: Duration = Duration::from_secs(3);

/// What the launch hands over to the watch.
pub struct Launched {
    /// What the first process is there for.
    pub role: Role,
    /// Whether output goes into the outcome.
    pub capture: bool,
    /// The supervisor's ends of the streams.
    pub relays: Relays,
    /// The sandbox's cgroup.
    pub cgroup: Option<Cgroup>,
    /// When the launch began.
    pub started: Instant,
    /// pid 1, or the messenger that brings a leader inside.
    pub pid: i32,
    /// Its descriptor.
    pub pidfd: OwnedFd,
    /// The socket to pid 1 or the leader.
    pub control: OwnedFd,
    /// The signals to us.
    pub listening: Listening,
}

/// A sandbox between its clone and its outcome.
pub struct Running {
    spec: Spec,
    role: Role,
    mount_is_directory: Vec<bool>,
    cpus: u32,
    /// The sandbox's cgroup; what it holds is not sampled.
    cgroup: Option<Cgroup>,
    plan: Plan,
    capture: bool,
    relays: Relays,
    started: Instant,
    /// pid 1, or the leader.
    pid: i32,
    pidfd: OwnedFd,
    /// What others need to join.
    held: Held,
    /// Whether somebody is about to join, or may be.
    busy: bool,
    /// Whether there is nothing to sample: nobody runs inside, and nobody is about to.
    quiet: bool,
    /// When a leader that was told to end has had time enough.
    leader_until: Option<Instant>,
    /// That of pid 1, where there are users inside who are not the caller.
    user_namespace: Option<OwnedFd>,
    control: OwnedFd,
    listening: Listening,
    meter: Option<Meter>,
    throttle: Option<Throttle>,
    next_reading: Instant,
    /// When to read all processes again, however little the host's memory has grown.
    whole_reading: Instant,
    /// By how much it may grow before.
    room: u64,
    resume_at: Option<Instant>,
    /// Everybody that was stopped because somebody wants to look at the files as they are.
    frozen: Option<Throttle>,
    cause: Option<Cause>,
    /// What was passed on, and when it has had time enough.
    forwarded: Option<(Instant, Signal)>,
    ended: Option<Ended>,
    /// Why a step was refused.
    refusal: Option<Error>,
    /// `false` when pid 1 has closed its side.
    hearing: bool,
    /// Why the supervisor could not go on.
    fault: Option<Error>,
    peak: Peak,
    sandbox: String,
}

/// Why we ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Deadline,
    CpuTime,
    Memory,
    Output,
    Cancelled(Signal),
}

/// How it ended, as its pid 1 told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Status(i32),
    Refused,
    Lost(i32),
}

impl Running {
    /// Takes over what was launched.
    pub fn new(spec: &Spec, host: &Host, plan: Plan, launched: Launched) -> Running {
        let Launched { role, capture, relays, cgroup, started, pid, pidfd, control, listening } = launched;
        Running {
            spec: spec.clone(),
            role,
            mount_is_directory: host.mount_is_directory.clone(),
            cpus: host.cpus,
            cgroup,
            throttle: Throttle::new(spec.millicpus, host.cpus)
                .filter(|_| !host.cgroup.controllers().cpu && role != Role::Leader),
            plan,
            capture,
            relays,
            started,
            pid,
            pidfd,
            held: Held::default(),
            busy: false,
            quiet: false,
            leader_until: None,
            user_namespace: None,
            control,
            listening,
            meter: None,
            next_reading: started + SLOW,
            whole_reading: started,
            room: 0,
            resume_at: None,
            frozen: None,
            cause: None,
            forwarded: None,
            ended: None,
            refusal: None,
            hearing: true,
            fault: None,
            peak: Peak::default(),
            sandbox: format!("{:016x}", RandomState::new().hash_one(pid)),
        }
    }

    /// What the supervisor has to write into the id maps.
    pub fn id_maps(&self) -> Option<IdMaps> {
        self.plan.id_maps.clone()
    }

    /// Takes hold of pid 1's user namespace; later the kernel lets nobody look at pid 1.
    pub fn hold_user_namespace(&mut self) -> std::io::Result<()> {
        let file = std::fs::File::open(format!("/proc/{}/ns/user", self.pid))?;
        self.user_namespace = Some(file.into());
        Ok(())
    }

    /// pid 1, as the host numbers it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The socket to pid 1.
    pub fn control(&self) -> &OwnedFd {
        &self.control
    }

    /// Ends everything without an outcome. What pid 1 had to say about it says more than the caller knows.
    pub fn abandon(mut self, error: Error) -> Error {
        self.end();
        // The only child we have; its end is not asked about.
        let _ = proc::wait_with_usage(self.pid);
        while self.hearing {
            self.hear();
        }
        let _ = self.listening.close();
        self.refusal.unwrap_or(error)
    }

    /// Kills everybody in the cgroup; kills pid 1, and with it the kernel kills all. It may be gone already, which is as
    /// good. A leader is asked to do it, since with it nobody would know any more who descends from its command.
    fn end(&mut self) {
        if self.role == Role::Leader && self.held.leader {
            self.tell(libc::SIGKILL);
            // Whoever is inside may have stopped it.
            let _ = proc::send_signal(self.pidfd.as_raw_fd(), libc::SIGCONT);
            self.leader_until.get_or_insert_with(|| Instant::now() + LEADERS_TIME);
            return;
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        let _ = proc::send_signal(self.pidfd.as_raw_fd(), libc::SIGKILL);
    }

    /// Waits for the end and says what it was.
    ///
    /// # Errors
    ///
    /// `Setup`, `Host` and `Command` when no command ran; `Setup` when output was lost.
    pub fn watch(mut self, attendant: &mut dyn Attendant) -> Result<Outcome, Error> {
        let stdin = std::io::stdin();
        let raw = if self.spec.tty && !self.capture { RawTerminal::enter(stdin.as_fd()) } else { None };
        while !self.step(attendant) {}
        let wall = self.started.elapsed();
        self.relays.close_input();
        let waited = proc::wait_with_usage(self.pid);
        self.flush();
        let late = self.spec.timeout.is_some_and(|timeout| wall >= timeout);
        if late && self.cause.is_none() && matches!(self.ended, None | Some(Ended::Status(libc::SIGKILL))) {
            // pid 1 or the leader was first.
            self.cause = Some(Cause::Deadline);
        }
        if self.ended.is_none() && self.cause.is_none() {
            attendant.gone(&mut self);
        }
        let restored = raw.map_or(Ok(()), RawTerminal::close);
        let events = match self.cgroup.as_ref().map(Cgroup::events).transpose() {
            Ok(events) => events,
            Err(errno) => {
                self.end_blind(errno);
                None
            }
        };
        let usage = self.usage(wall, waited.as_ref().ok().map(|(_, usage)| usage), events);
        let result = self.conclude(usage, events);
        attendant.ended(&result);
        let removed = self.cgroup.take().map_or(Ok(()), Cgroup::remove);
        self.listening.close().and(restored).map_err(|errno| failure("put the caller's state back", errno))?;
        removed.and(result)
    }

    /// One turn of the loop; `true` when pid 1 is gone.
    fn step(&mut self, attendant: &mut dyn Attendant) -> bool {
        let now = Instant::now();
        self.look_at_time(now);
        attendant.attend(self, now);
        let mut list = vec![
            PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listening.descriptor().as_fd(), PollFlags::POLLIN),
        ];
        if self.hearing {
            list.push(PollFd::new(self.control.as_fd(), PollFlags::POLLIN));
        }
        self.relays.interests(&mut list);
        let wanted = attendant.interests(&mut list);
        let wanted = wanted.map(|at| at.saturating_duration_since(now));
        let wait = self
            .until_next(now)
            .into_iter()
            .chain(wanted)
            .min()
            .map(|wait| TimeSpec::nanoseconds(wait.as_nanos().min(i64::MAX as u128) as i64));
        // Interrupted or in error, the next turn looks again.
        let ready = ppoll(&mut list, wait, None).unwrap_or(0);
        if ready == 0 {
            return false;
        }
        let is_ready = |entry: &PollFd<'_>| entry.revents().is_some_and(|events| !events.is_empty());
        let watched = self.pid;
        let (gone, signalled, told) = (is_ready(&list[0]), is_ready(&list[1]), self.hearing && is_ready(&list[2]));
        drop(list);
        // What the sandbox said came first: a signal must not find it unready because nobody had listened yet.
        if told {
            self.hear();
        }
        if signalled {
            self.listen();
        }
        self.pump();
        // Whoever brought a leader inside has gone as it should, and what the leader said may stand before what it said.
        while gone && self.hearing && self.is_told() {
            self.hear();
        }
        gone && watched == self.pid
    }

    /// When the loop has to look at the time again; never, once the end is only a matter of the kernel's time.
    fn until_next(&self, now: Instant) -> Option<Duration> {
        if let Some(until) = self.leader_until {
            return Some(until.saturating_duration_since(now));
        }
        if self.ended.is_some() || self.cause.is_some() {
            return None;
        }
        let deadline = self.spec.timeout.map(|timeout| self.started + timeout);
        let reading = self.samples().then_some(self.next_reading);
        let grace = self.forwarded.map(|(until, _)| until);
        [deadline, reading, grace, self.resume_at]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.saturating_duration_since(now))
    }

    /// Deadline, grace, reading, rest: whatever is due.
    fn look_at_time(&mut self, now: Instant) {
        if self.leader_until.is_some_and(|until| now >= until) {
            // It cannot, or is kept from it. The caller ends the sandbox.
            self.leader_until = None;
            self.held.leader = false;
            self.fault = Some(verdict::leader_lost());
            self.end();
            return;
        }
        if self.ended.is_some() || self.cause.is_some() {
            return;
        }
        if self.spec.timeout.is_some_and(|timeout| now >= self.started + timeout) {
            return self.end_for(Cause::Deadline);
        }
        if let Some((until, signal)) = self.forwarded
            && now >= until
        {
            return self.end_for(Cause::Cancelled(signal));
        }
        if self.resume_at.is_some_and(|at| now >= at) {
            self.resume();
        }
        if self.samples() && now >= self.next_reading {
            self.take_reading(now);
            if let Some(errno) = self.meter.as_ref().and_then(Meter::blind) {
                self.end_blind(errno);
            }
        }
    }

    fn end_for(&mut self, cause: Cause) {
        if self.ended.is_none() && self.cause.is_none() {
            self.cause = Some(cause);
            self.end();
        }
    }

    /// Signals to us.
    fn listen(&mut self) {
        while let Some(signal) = self.listening.next() {
            match signal {
                Signal::SIGWINCH => {
                    if let Some((_, outlet)) = self.relays.outputs.first().filter(|_| self.spec.tty)
                        && let Some(master) = outlet.source()
                    {
                        copy_size(std::io::stdin(), master);
                    }
                }
                Signal::SIGTSTP => self.stop(),
                Signal::SIGUSR1 | Signal::SIGUSR2 => self.tell(signal as i32),
                _ if self.forwarded.is_some() || self.meter.is_none() => self.end_for(Cause::Cancelled(signal)),
                _ => {
                    self.forwarded = Some((Instant::now() + GRACE, signal));
                    self.tell(match (signal, self.plan.stop_signal) {
                        (Signal::SIGTERM, Some(stop)) => stop,
                        (signal, _) => signal as i32,
                    });
                    // Nobody can put things in order while stopped.
                    self.resume();
                }
            }
        }
    }

    /// Passes a signal on. Where pid 1 is gone, its end is about to be seen.
    fn tell(&self, signal: i32) {
        let _ = nix::unistd::write(&self.control, &[signal as u8]);
    }

    /// Stops with everything in the sandbox, as job control wants; the clock of the deadline goes on.
    fn stop(&mut self) {
        let mut all = Throttle::everything();
        if let Some(meter) = &mut self.meter {
            all.stop(meter, PATIENCE);
        }
        stop_self();
        if let Some(meter) = &self.meter {
            all.resume(meter.proc());
        }
    }

    /// All processes are gone: what is still in the pipes is all there will ever be. Waits for the reader only.
    fn flush(&mut self) {
        // What stood in a socket or pipe when pid 1 ended. After a leader, its command may still have the other side.
        while self.hearing && (self.role != Role::Leader || self.is_told()) {
            self.hear();
        }
        self.pump();
        match self.role {
            // What goes on in the background may hold the streams, and write for ever: what was there by now is what the
            // command has written.
            Role::Leader => self.relays.close_sources(),
            Role::Command | Role::Host => self.relays.forget_unopened(),
        }
        // Whoever asked for the end, in the moment of it even, does not wait for ever for a reader who takes nothing.
        let asked = self.forwarded.map(|(_, signal)| signal);
        while !self.relays.drained() {
            let mut list = vec![PollFd::new(self.listening.descriptor().as_fd(), PollFlags::POLLIN)];
            self.relays.interests(&mut list);
            let ready = ppoll(&mut list, asked.map(|_| TimeSpec::from_duration(GRACE)), None);
            if let (Some(signal), Ok(0)) = (asked, ready) {
                self.cause.get_or_insert(Cause::Cancelled(signal));
                return;
            }
            let signalled = list[0].revents().is_some_and(|events| !events.is_empty());
            drop(list);
            if signalled && let Some(signal) = self.listening.next().filter(|signal| *signal != Signal::SIGWINCH) {
                self.cause.get_or_insert(Cause::Cancelled(signal));
                return;
            }
            self.pump();
        }
    }

    /// Whether there is a frame, or the end, to be heard.
    fn is_told(&self) -> bool {
        let mut list = [PollFd::new(self.control.as_fd(), PollFlags::POLLIN)];
        ppoll(&mut list, Some(TimeSpec::nanoseconds(0)), None).is_ok_and(|ready| ready > 0)
    }

    /// What passes a limit passes it whether the command has ended by now or not: only the time of our reading differs.
    fn pump(&mut self) {
        if self.relays.pump() && self.cause.is_none() {
            self.cause = Some(Cause::Output);
            self.end();
        }
    }
}
