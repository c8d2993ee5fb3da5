//! Watch: from the clone to the outcome.
//!
//! One loop waits for whatever comes first: a frame of the sandbox, its end, a signal to us, output, input, the
//! deadline, the next reading. What ends a sandbox is always the death of its pid 1, and with it the kernel ends
//! all others; nothing here looks for processes to kill.

mod verdict;

use super::Delivery;
use super::meter::{Meter, Reading, Use};
use super::plan::Plan;
use super::relay::{Inlet, Outlet, Relays};
use super::report::{Frame, SIZE};
use super::throttle::{PATIENCE, Throttle};
use crate::error::Error;
use crate::host::Host;
use crate::outcome::Outcome;
use crate::spec::Spec;
use crate::sys::signal::{Listening, stop_self};
use crate::sys::tty::{RawTerminal, copy_size};
use crate::sys::{fd, proc};
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
/// How fast a machine can fill memory, bytes a second for each CPU: what may happen between two readings.
const FILL_RATE: u64 = 4 << 30;

/// What a CPU keeps to itself of the host's counters, at most: 125 pages.
const COUNTED_LATE: u64 = 512 << 10;
/// Memory below this is not worth a closer look.
const NOTHING_MUCH: u64 = 16 << 20;

/// An exact reading. Where more processes run than there are CPUs it would take many times as long as it should, and
/// they fill memory meanwhile: they are stopped for it, and go on if they stay below the limit.
fn look_closely(meter: &mut Meter, reading: &Reading, limit: u64, cpus: u32) -> Use {
    let mut all = Throttle::everything();
    if reading.running > cpus {
        all.stop(meter, FAST);
    }
    let memory = meter.exact_memory(reading);
    if memory.bytes <= limit {
        all.resume(meter.proc());
    }
    memory
}

/// The nearer the limit, the sooner the next reading: half of the room that is left must not fill meanwhile.
fn pause(room: u64, cpus: u32) -> Duration {
    let nanoseconds = (room / 2).saturating_mul(1_000_000_000) / (FILL_RATE * u64::from(cpus));
    Duration::from_nanos(nanoseconds).clamp(FAST, SLOW)
}

/// A sandbox between its clone and its outcome.
pub struct Running {
    spec: Spec,
    cpus: u32,
    plan: Plan,
    capture: bool,
    relays: Relays,
    started: Instant,
    pid: i32,
    pidfd: OwnedFd,
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

/// The highest values of all readings.
#[derive(Clone, Copy, Debug, Default)]
struct Peak {
    memory: u64,
    /// The highest value that was looked into.
    looked_at: u64,
    pids: u32,
    cpu: Duration,
    disk_full: bool,
}

impl Peak {
    fn note(&mut self, reading: &Reading, memory: Use) {
        if memory.exact || reading.processes.len() == 1 {
            self.memory = self.memory.max(memory.bytes);
        }
        self.pids = self.pids.max(reading.threads);
        self.cpu = reading.cpu;
        self.disk_full |= reading.disk_full;
    }
}

impl Running {
    /// Takes over what was launched.
    #[allow(clippy::too_many_arguments)] // called once, by `launch`, with what it holds
    pub fn new(
        spec: &Spec,
        host: &Host,
        plan: Plan,
        delivery: Delivery,
        relays: Relays,
        started: Instant,
        (pid, pidfd): (i32, OwnedFd),
        control: OwnedFd,
        listening: Listening,
    ) -> Running {
        Running {
            spec: spec.clone(),
            cpus: host.cpus,
            plan,
            capture: delivery.capture,
            relays,
            started,
            pid,
            pidfd,
            control,
            listening,
            meter: None,
            throttle: Throttle::new(spec.millicpus, host.cpus),
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
    pub fn plan_id_maps(&self) -> Option<(String, String)> {
        self.plan.id_maps.clone()
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

    /// Kills pid 1, and with it the kernel kills all. It may be gone already, which is as good.
    fn end(&self) {
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
        let usage = self.usage(wall, waited.as_ref().ok().map(|(_, usage)| usage));
        let result = self.conclude(usage);
        self.listening.close().and(restored).map_err(|errno| failure("put the caller's state back", errno))?;
        result
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
        if signalled {
            self.listen();
        }
        if told {
            self.hear();
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
        }
    }

    /// Ends a rest.
    fn resume(&mut self) {
        self.resume_at = None;
        if let (Some(throttle), Some(meter)) = (&mut self.throttle, &self.meter) {
            throttle.resume(meter.proc());
        }
    }

    fn end_for(&mut self, cause: Cause) {
        if self.ended.is_none() && self.cause.is_none() {
            self.cause = Some(cause);
            self.end();
        }
    }

    /// Reads what the sandbox uses, and holds it against its limits.
    fn take_reading(&mut self, now: Instant) {
        let Some(meter) = &mut self.meter else { return };
        if now < self.whole_reading {
            let room = self.room.saturating_sub(meter.host_growth());
            if room > 0 {
                self.next_reading = now + pause(room, self.cpus);
                return;
            }
        }
        let reading = meter.read();
        let mut memory = match meter.memory(&reading, self.spec.memory) {
            Some(memory) => memory,
            None => look_closely(meter, &reading, self.spec.memory, self.cpus),
        };
        // What several processes share counts for each in a cheap reading. For the record it is read exactly whenever
        // a quarter has come on top.
        if reading.processes.len() > 1 && memory.bytes > self.peak.looked_at / 4 * 5 + NOTHING_MUCH {
            self.peak.looked_at = memory.bytes;
            memory = meter.exact_memory(&reading);
        }
        self.peak.note(&reading, memory);
        let room = self.spec.memory.saturating_sub(memory.at_most);
        let pause = pause(room, self.cpus);
        self.room = room.saturating_sub(COUNTED_LATE * u64::from(self.cpus));
        self.whole_reading = now + SLOW;
        if memory.bytes > self.spec.memory {
            return self.end_for(Cause::Memory);
        }
        if self.spec.cpu_time.is_some_and(|limit| reading.cpu >= limit) {
            return self.end_for(Cause::CpuTime);
        }
        if self.resume_at.is_some() && reading.processes.iter().any(|process| !process.halted) {
            // Forked while it was stopped, or continued from inside.
            if let Some(throttle) = &mut self.throttle {
                throttle.stop(meter, pause);
            }
        }
        if self.resume_at.is_none()
            && self.forwarded.is_none()
            && let Some(throttle) = &mut self.throttle
            && let Some(rest) = throttle.account(now, &reading)
        {
            throttle.stop(meter, pause);
            self.resume_at = Some(now + rest);
        }
        self.next_reading = now + pause;
    }

    /// A frame of pid 1, or its end.
    fn hear(&mut self) {
        let mut bytes = [0u8; SIZE];
        let descriptors = match fd::receive(self.control.as_fd(), &mut bytes) {
            Ok((SIZE, descriptors)) => descriptors,
            // Told once, before what is still to be read, when pid 1 ended without having read all that we sent.
            Err(libc::ECONNRESET | libc::EINTR) => return,
            Ok(_) | Err(_) => {
                self.hearing = false;
                return;
            }
        };
        match Frame::decode(bytes) {
            Some(Frame::Ready) => self.ready(descriptors),
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
            // Without its eyes the supervisor would hold nobody to any limit.
            self.fault = Some(("take over the sandbox's descriptors", errno));
            self.end();
        }
    }

    fn take_over(&mut self, descriptors: Vec<OwnedFd>) -> Result<(), i32> {
        let mut descriptors = descriptors.into_iter();
        // The kernel delivers as many as we have room for, without another word.
        let mut next = || descriptors.next().ok_or(libc::EMFILE);
        self.meter = Some(Meter::new(next()?, next()?));
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
                Signal::SIGUSR1 | Signal::SIGUSR2 => self.forward(signal),
                _ if self.forwarded.is_some() || self.meter.is_none() => self.end_for(Cause::Cancelled(signal)),
                _ => {
                    self.forwarded = Some((Instant::now(), signal));
                    self.forward(signal);
                    // Nobody can put things in order while stopped.
                    self.resume();
                }
            }
        }
    }

    /// Passes a signal on. Where pid 1 is gone, its end is about to be seen.
    fn forward(&self, signal: Signal) {
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
