//! Watch: from the clone to the outcome.
//!
//! One loop waits for whatever comes first: a frame of the sandbox, its end, a signal to us, output, input, the
//! deadline, the next reading. What ends a sandbox is always the death of its pid 1, and with it the kernel ends
//! all others; nothing here looks for processes to kill.

mod hold;
mod verdict;

use super::Delivery;
use super::meter::Meter;
use super::plan::Plan;
use super::relay::{Inlet, Outlet, Relays};
use super::report::{Frame, SIZE};
use super::throttle::{PATIENCE, Throttle};
use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::host::Host;
use crate::identity::IdMaps;
use crate::outcome::Outcome;
use crate::spec::Spec;
use crate::sys::signal::{Listening, stop_self};
use crate::sys::tty::{RawTerminal, copy_size};
use crate::sys::{fd, proc};
use hold::Peak;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
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
/// A sandbox between its clone and its outcome.
pub struct Running {
    spec: Spec,
    cpus: u32,
    /// The sandbox's cgroup; what it holds is not sampled.
    cgroup: Option<Cgroup>,
    plan: Plan,
    capture: bool,
    relays: Relays,
    started: Instant,
    pid: i32,
    pidfd: OwnedFd,
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
    cause: Option<Cause>,
    forwarded: Option<(Instant, Signal)>,
    ended: Option<Ended>,
    /// Why a step was refused.
    refusal: Option<Error>,
    /// `false` when pid 1 has closed its side.
    hearing: bool,
    /// Why the supervisor could not go on.
    fault: Option<(&'static str, i32)>,
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
    #[allow(clippy::too_many_arguments)] // called once, by `launch`, with what it holds
    pub fn new(
        spec: &Spec,
        host: &Host,
        plan: Plan,
        delivery: Delivery,
        (relays, cgroup): (Relays, Option<Cgroup>),
        started: Instant,
        (pid, pidfd): (i32, OwnedFd),
        control: OwnedFd,
        listening: Listening,
    ) -> Running {
        Running {
            spec: spec.clone(),
            cpus: host.cpus,
            cgroup,
            throttle: Throttle::new(spec.millicpus, host.cpus).filter(|_| !host.cgroup.controllers().cpu),
            plan,
            capture: delivery.capture,
            relays,
            started,
            pid,
            pidfd,
            user_namespace: None,
            control,
            listening,
            meter: None,
            next_reading: started + SLOW,
            whole_reading: started,
            room: 0,
            resume_at: None,
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
    /// good.
    fn end(&self) {
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
    pub fn watch(mut self) -> Result<Outcome, Error> {
        let stdin = std::io::stdin();
        let raw = if self.spec.tty && !self.capture { RawTerminal::enter(stdin.as_fd()) } else { None };
        while !self.step() {}
        let wall = self.started.elapsed();
        self.relays.close_input();
        let waited = proc::wait_with_usage(self.pid);
        self.flush();
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
        let removed = self.cgroup.take().map_or(Ok(()), Cgroup::remove);
        self.listening.close().and(restored).map_err(|errno| failure("put the caller's state back", errno))?;
        removed.and(result)
    }

    /// One turn of the loop; `true` when pid 1 is gone.
    fn step(&mut self) -> bool {
        let now = Instant::now();
        self.look_at_time(now);
        let mut list = vec![
            PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listening.descriptor().as_fd(), PollFlags::POLLIN),
        ];
        if self.hearing {
            list.push(PollFd::new(self.control.as_fd(), PollFlags::POLLIN));
        }
        self.relays.interests(&mut list);
        let wait = self.until_next(now).map(|wait| TimeSpec::nanoseconds(wait.as_nanos().min(i64::MAX as u128) as i64));
        // Interrupted or in error, the next turn looks again.
        let ready = ppoll(&mut list, wait, None).unwrap_or(0);
        if ready == 0 {
            return false;
        }
        let is_ready = |entry: &PollFd<'_>| entry.revents().is_some_and(|events| !events.is_empty());
        let (gone, signalled, told) = (is_ready(&list[0]), is_ready(&list[1]), self.hearing && is_ready(&list[2]));
        drop(list);
        // What the sandbox said came first: a signal must not find it unready because nobody had listened yet.
        if told {
            self.hear();
        }
        if signalled {
            self.listen();
        }
        if self.relays.pump() {
            self.end_for(Cause::Output);
        }
        gone
    }

    /// When the loop has to look at the time again; never, once the end is only a matter of the kernel's time.
    fn until_next(&self, now: Instant) -> Option<Duration> {
        if self.ended.is_some() || self.cause.is_some() {
            return None;
        }
        let deadline = self.spec.timeout.map(|timeout| self.started + timeout);
        let reading = self.meter.as_ref().map(|_| self.next_reading);
        let grace = self.forwarded.map(|(at, _)| at + GRACE);
        [deadline, reading, grace, self.resume_at]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.saturating_duration_since(now))
    }

    /// Deadline, grace, reading, rest: whatever is due.
    fn look_at_time(&mut self, now: Instant) {
        if self.ended.is_some() || self.cause.is_some() {
            return;
        }
        if self.spec.timeout.is_some_and(|timeout| now >= self.started + timeout) {
            return self.end_for(Cause::Deadline);
        }
        if let Some((at, signal)) = self.forwarded
            && now >= at + GRACE
        {
            return self.end_for(Cause::Cancelled(signal));
        }
        if self.resume_at.is_some_and(|at| now >= at) {
            self.resume();
        }
        if self.meter.is_some() && now >= self.next_reading {
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

    /// A frame of pid 1 or the payload, or their end.
    fn hear(&mut self) {
        let mut bytes = [0u8; SIZE];
        let descriptors = match fd::receive(self.control.as_fd(), &mut bytes) {
            Ok((SIZE, descriptors)) => descriptors,
            // Told once, before what is still to be read, when pid 1 ended without having read all that we sent.
            Err(libc::ECONNRESET | libc::EINTR) => return,
            Ok(_) => {
                self.hearing = false;
                return;
            }
            Err(errno) => {
                self.hearing = false;
                return self.end_without_eyes(errno);
            }
        };
        match Frame::decode(bytes) {
            Some(Frame::Ready) => self.ready(descriptors),
            Some(Frame::KeyringShared) => self.plan.keyring_is_shared(),
            Some(Frame::Refused { payload, refusal }) => {
                // As long as the mounts are there.
                self.refusal = Some(self.refused(payload, refusal));
                self.ended = Some(Ended::Refused);
                self.end();
            }
            Some(Frame::Ended(status)) => self.ended = Some(Ended::Status(status)),
            Some(Frame::Lost(status)) => self.ended = Some(Ended::Lost(status)),
            None => {}
        }
    }

    fn ready(&mut self, descriptors: Vec<OwnedFd>) {
        if let Err(errno) = self.take_over(descriptors) {
            self.end_without_eyes(errno);
        }
    }

    /// What a bundle has in memory besides the writable layer counts like it. Looked for before anything runs inside.
    fn own_places(&self, root: &OwnedFd) -> Result<Vec<OwnedFd>, i32> {
        let Some(bundle) = &self.spec.bundle else { return Ok(Vec::new()) };
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let own = bundle.tmpfs.iter().filter(|tmpfs| tmpfs.bytes.is_some());
        own.map(|tmpfs| openat2(root, &tmpfs.target, how).map_err(|errno| errno as i32)).collect()
    }

    /// The supervisor would hold nobody to any limit.
    fn end_without_eyes(&mut self, errno: i32) {
        self.fault = Some(("take over the sandbox's descriptors", errno));
        self.end();
    }

    fn take_over(&mut self, descriptors: Vec<OwnedFd>) -> Result<(), i32> {
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next().ok_or(libc::EMFILE);
        let (root, proc) = (next()?, next()?);
        let places = self.own_places(&root)?;
        self.meter = Some(Meter::new(root, proc, self.user_namespace.take(), places));
        if let Some(sink) = self.relays.terminal.take() {
            let master = next()?;
            copy_size(std::io::stdin(), &master);
            let errno = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EMFILE);
            let source = std::io::stdin().as_fd().try_clone_to_owned().map_err(errno)?;
            self.relays.input = Some(Inlet::to_terminal(source, master.try_clone().map_err(errno)?)?);
            self.relays.outputs.push((1, Outlet::new(master, sink)?));
        }
        Ok(())
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
                    self.forwarded = Some((Instant::now(), signal));
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
        // What stood in a socket or pipe when pid 1 ended.
        while self.hearing {
            self.hear();
        }
        self.pump_the_rest();
        self.relays.forget_unopened();
        while !self.relays.drained() {
            let mut list = vec![PollFd::new(self.listening.descriptor().as_fd(), PollFlags::POLLIN)];
            self.relays.interests(&mut list);
            let _ = ppoll(&mut list, None, None);
            let signalled = list[0].revents().is_some_and(|events| !events.is_empty());
            drop(list);
            if signalled && let Some(signal) = self.listening.next().filter(|signal| *signal != Signal::SIGWINCH) {
                self.cause.get_or_insert(Cause::Cancelled(signal));
                return;
            }
            self.pump_the_rest();
        }
    }

    /// What passes a limit passes it whether the command has ended by now or not.
    fn pump_the_rest(&mut self) {
        if self.relays.pump() {
            self.cause.get_or_insert(Cause::Output);
        }
    }
}
