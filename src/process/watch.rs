//! Watch: from the clone to the outcome.
//!
//! One loop waits for whatever comes first: a frame of the sandbox, its end, a signal to us, output, input, the
//! deadline, the next reading. What ends a sandbox is always the death of its pid 1, and with it the kernel ends
//! all others; nothing here looks for processes to kill.
//!
//! Each part of [`Running`] has a file: `first` the process that was cloned, `hold` what holds it to its limits, `ending` what is known
//! of its end, `guards` what is given back at the end.

mod attend;
mod begin;
mod ending;
mod first;
mod guards;
mod hear;
mod hold;
mod network;
mod polled;
mod published;
mod spare;
mod verdict;

pub use attend::{Attendant, Held};
pub(super) use begin::Beginning;
pub(super) use first::First;
pub(super) use guards::Guards;
pub use hold::Limits;

use super::child::Duty;
use super::network::Network;
use super::plan::Plan;
use super::relay::Relays;
use crate::error::Error;
use crate::host::Host;
use crate::identity::IdMaps;
use crate::outcome::{self, Outcome};
use crate::process::publish::Publisher;
use crate::spec::Order;
use crate::sys::signal::stop_self;
use crate::sys::tty::{RawTerminal, copy_size};
use attend::Waiting;
use ending::{Cause, Ending, leader_lost, together};
use hold::Holder;
use nix::sys::signal::Signal;
use polled::Polled;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// How long a command may take to end after a signal that asks for it.
const GRACE: Duration = Duration::from_secs(1);

/// What the launch hands over to the watch.
pub(super) struct Launched {
    /// What the first process is there for.
    pub duty: Duty,
    /// Whether output goes into the outcome.
    pub capture: bool,
    /// The supervisor's ends of the streams.
    pub relays: Relays,
    /// When the launch began.
    pub started: Instant,
    /// pid 1, or the messenger that brings a leader inside.
    pub first: First,
    /// What is given back at the end.
    pub guards: Guards,
}

/// A sandbox between its clone and its outcome.
pub struct Running {
    order: Order,
    mount_is_directory: Vec<bool>,
    plan: Plan,
    capture: bool,
    relays: Relays,
    started: Instant,
    sandbox: String,
    /// pid 1, or the leader.
    first: First,
    holder: Holder,
    ending: Ending,
    guards: Guards,
    /// What others need to join.
    held: Held,
    /// Of a sandbox without a command.
    waiting: Option<Waiting>,
    /// What it did on its network, once it has ended.
    network: Option<outcome::Network>,
}

impl Running {
    /// Takes over what was launched.
    pub(super) fn new(order: &Order, host: Host, plan: Plan, launched: Launched) -> Running {
        let Launched { duty, capture, relays, started, first, guards } = launched;
        let mut holder = Holder::new(&order.spec, host.cpus, plan.cgroup.as_ref(), started);
        if !host.cgroup.controllers().cpu && !first.leads() {
            holder.throttle();
        }
        Running {
            order: order.clone(),
            mount_is_directory: host.mount_is_directory,
            plan,
            capture,
            relays,
            started,
            sandbox: format!("{:016x}", RandomState::new().hash_one(first.pid)),
            first,
            holder,
            ending: Ending::default(),
            guards,
            held: Held::default(),
            waiting: (duty == Duty::Wait).then(Waiting::default),
            network: None,
        }
    }

    /// What the supervisor has to write into the id maps.
    pub(super) fn id_maps(&self) -> Option<IdMaps> {
        self.plan.id_maps.clone()
    }

    /// It counts as begun now: until now nobody had asked for it.
    pub fn count_from_now(&mut self) {
        self.started = Instant::now();
    }

    /// Takes hold of pid 1's user namespace; later the kernel lets nobody look at pid 1.
    pub(super) fn hold_user_namespace(&mut self) -> std::io::Result<()> {
        let file = std::fs::File::open(format!("/proc/{}/ns/user", self.seen_pid()))?;
        self.first.user_namespace = Some(file.into());
        Ok(())
    }

    /// pid 1, as `/proc` numbers it.
    pub(super) fn seen_pid(&self) -> i32 {
        crate::sys::proc::seen_pid(self.first.pidfd.as_fd()).unwrap_or(self.first.pid)
    }

    /// The socket to pid 1.
    pub(super) fn control(&self) -> &OwnedFd {
        &self.first.control
    }

    /// Ends everything without an outcome. What pid 1 had to say about it says more than the caller knows.
    pub(super) fn abandon(mut self, error: Error) -> Error {
        self.end();
        // The only child we have; its end is not asked about.
        let _ = self.first.wait();
        while self.ending.is_hearing() {
            self.hear();
        }
        let error = self.ending.refusal().unwrap_or(error);
        let errors = std::iter::once(error.clone()).chain(self.guards.close()).collect();
        together(errors).unwrap_or(error)
    }

    /// Sees to it that all of it ends.
    fn end(&mut self) {
        self.first.end(self.guards.cgroup.as_ref());
    }

    /// Ends it for this, where nothing has ended it yet.
    fn end_for(&mut self, cause: Cause) {
        if self.ending.decide(cause) {
            self.end();
        }
    }

    /// Ends it, since the supervisor cannot go on.
    fn end_with(&mut self, fault: Error) {
        self.ending.fail(fault);
        self.end();
    }

    /// Whoever cannot look holds nobody to a limit; and what is inside may be what took the host's last open file.
    fn end_blind(&mut self, errno: i32) {
        self.fail("read what the sandbox uses", errno);
    }

    /// Waits for the end and says what it was.
    ///
    /// # Errors
    ///
    /// `Setup`, `Host` and `Command` when no command ran; `Setup` when output was lost.
    pub(super) fn watch(mut self, attendants: &mut [&mut dyn Attendant]) -> Result<Outcome, Error> {
        if self.order.spec.tty && !self.capture {
            self.guards.terminal = RawTerminal::enter(std::io::stdin());
        }
        while !self.step(attendants) {}
        let wall = self.started.elapsed();
        self.relays.close_input();
        self.hear_publisher();
        let waited = self.first.wait();
        self.flush();
        if self.order.spec.timeout.is_some_and(|timeout| wall >= timeout) {
            self.ending.was_late();
        }
        for attendant in attendants.iter_mut() {
            if !self.ending.is_near() {
                attendant.gone(&mut self);
            }
        }
        let counted = self.guards.cgroup.as_ref().map(|cgroup| cgroup.events()).transpose();
        let counted = counted.unwrap_or_else(|errno| {
            self.end_blind(errno);
            None
        });
        let usage = self.usage(wall, waited.as_ref(), counted);
        self.finish_network();
        let result = self.conclude(usage, counted);
        for attendant in attendants.iter_mut() {
            attendant.ended(&result);
        }
        match together(self.guards.close()) {
            Some(error) => Err(error),
            None => result,
        }
    }

    /// One turn of the loop; `true` when the first process is gone.
    fn step(&mut self, attendants: &mut [&mut dyn Attendant]) -> bool {
        let now = Instant::now();
        self.look_at_time(now);
        for attendant in attendants.iter_mut() {
            attendant.attend(self, now);
        }
        let mut polled = Polled::default();
        let end = polled.read(self.first.pidfd.as_fd());
        let signals = polled.read(self.guards.listening.descriptor().as_fd());
        let frames = self.ending.is_hearing().then(|| polled.read(self.first.control.as_fd()));
        let network = self.guards.network.as_ref().and_then(Network::end).map(|end| polled.read(end));
        let published = self.guards.publisher.as_ref().and_then(Publisher::descriptor).map(|line| polled.read(line));
        self.relays.interests(polled.others());
        let wanted = attendants.iter().filter_map(|attendant| attendant.interests(polled.others())).min();
        let wanted = wanted.map(|at| at.saturating_duration_since(now));
        let wait = self.until_next(now).into_iter().chain(wanted).min();
        // Interrupted or in error, the next turn looks again.
        if polled.wait(wait).unwrap_or(0) == 0 {
            return false;
        }
        let watched = self.first.pid;
        let (gone, signalled) = (polled.is_ready(end), polled.is_ready(signals));
        let told = frames.is_some_and(|frames| polled.is_ready(frames));
        let network_lost = network.is_some_and(|network| polled.is_ready(network));
        let published = published.is_some_and(|line| polled.is_ready(line));
        drop(polled);
        if network_lost && let Some(network) = &mut self.guards.network {
            network.lose();
        }
        // What the sandbox said came first: a signal must not find it unready because nobody had listened yet.
        if told {
            self.hear();
        }
        if signalled {
            self.listen();
        }
        if published {
            self.hear_publisher();
        }
        self.pump();
        // Whoever brought a leader inside has gone as it should, and what the leader said may stand before what it said.
        while gone && self.ending.is_hearing() && self.first.has_told() {
            self.hear();
        }
        gone && watched == self.first.pid
    }

    /// When the loop has to look at the time again; never, once the end is only a matter of the kernel's time.
    fn until_next(&self, now: Instant) -> Option<Duration> {
        let next = match self.first.until() {
            Some(until) => Some(until),
            None if self.ending.is_near() => None,
            None => {
                let deadline = self.order.spec.timeout.map(|timeout| self.started + timeout);
                let reading = self.samples().then_some(self.holder.next_reading());
                let grace = self.ending.asked().map(|asked| asked.until);
                [deadline, reading, grace, self.holder.resume_at()].into_iter().flatten().min()
            }
        };
        next.map(|at| at.saturating_duration_since(now))
    }

    /// Deadline, grace, reading, rest: whatever is due.
    fn look_at_time(&mut self, now: Instant) {
        if self.first.until().is_some_and(|until| now >= until) {
            // The caller ends the sandbox.
            self.first.give_up();
            return self.end_with(leader_lost());
        }
        if self.ending.is_near() {
            return;
        }
        if self.order.spec.timeout.is_some_and(|timeout| now >= self.started + timeout) {
            return self.end_for(Cause::Deadline);
        }
        if let Some(asked) = self.ending.asked().filter(|asked| now >= asked.until) {
            return self.end_for(Cause::Cancelled(asked.signal));
        }
        if self.holder.resume_at().is_some_and(|at| now >= at) {
            self.holder.resume();
        }
        if self.samples() && now >= self.holder.next_reading() {
            self.take_reading(now);
        }
    }

    /// Reads what is used, and draws the consequences.
    fn take_reading(&mut self, now: Instant) {
        match self.holder.read(now, self.guards.cgroup.as_ref(), self.ending.asked().is_some()) {
            Ok(finding) => {
                if finding.empty {
                    self.nobody_inside();
                }
                if let Some(cause) = finding.passed {
                    self.end_for(cause);
                }
            }
            Err(errno) => self.end_blind(errno),
        }
        if let Some(errno) = self.holder.blind() {
            self.end_blind(errno);
        }
    }

    /// Signals to us.
    fn listen(&mut self) {
        while let Some(signal) = self.guards.listening.next() {
            match signal {
                Signal::SIGWINCH => {
                    if let Some((_, outlet)) = self.relays.outputs.first().filter(|_| self.order.spec.tty)
                        && let Some(master) = outlet.source()
                    {
                        copy_size(std::io::stdin(), master);
                    }
                }
                // As job control wants; the clock of the deadline goes on.
                Signal::SIGTSTP => self.holder.still(stop_self),
                Signal::SIGUSR1 | Signal::SIGUSR2 => self.first.tell(signal as i32),
                _ if self.ending.asked().is_some() || !self.holder.is_ready() => {
                    self.end_for(Cause::Cancelled(signal));
                }
                _ => {
                    self.ending.ask(signal, Instant::now() + GRACE);
                    self.first.tell(match (signal, self.plan.stop_signal) {
                        (Signal::SIGTERM, Some(stop)) => stop,
                        (signal, _) => signal as i32,
                    });
                    // Nobody can put things in order while stopped.
                    self.holder.resume();
                }
            }
        }
    }

    /// All processes are gone: what is still in the pipes is all there will ever be. Waits for the reader only.
    fn flush(&mut self) {
        // What stood in a socket or pipe when pid 1 ended. After a leader, its command may still have the other side.
        while self.ending.is_hearing() && (!self.first.leads() || self.first.has_told()) {
            self.hear();
        }
        self.pump();
        if self.first.leads() {
            // What goes on in the background may hold the streams, and write for ever: what was there by now is what the
            // command has written.
            self.relays.close_sources();
        } else {
            self.relays.forget_unopened();
        }
        // Whoever asked for the end, in the moment of it even, does not wait for ever for a reader who takes nothing.
        let asked = self.ending.asked().map(|asked| asked.signal);
        while !self.relays.drained() {
            let mut polled = Polled::default();
            let signals = polled.read(self.guards.listening.descriptor().as_fd());
            self.relays.interests(polled.others());
            let ready = polled.wait(asked.map(|_| GRACE));
            if let (Some(signal), Some(0)) = (asked, ready) {
                self.ending.decide_late(Cause::Cancelled(signal));
                return;
            }
            let signalled = polled.is_ready(signals);
            drop(polled);
            let next = || self.guards.listening.next().filter(|signal| *signal != Signal::SIGWINCH);
            if let Some(signal) = signalled.then(next).flatten() {
                self.ending.decide_late(Cause::Cancelled(signal));
                return;
            }
            self.pump();
        }
    }

    /// What passes a limit passes it whether the command has ended by now or not: only the time of our reading differs.
    fn pump(&mut self) {
        if self.relays.pump() && self.ending.decide_late(Cause::Output) {
            self.end();
        }
    }
}
