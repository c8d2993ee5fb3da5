//! Who stands beside the loop: the supervisor of a sandbox that lasts answers calls, and whoever runs a command in one hears of
//! the sandbox's end.

use super::{Cause, Running};
use crate::error::Error;
use crate::outcome::{Enforcements, Outcome};
use crate::process::Held;
use crate::process::child::Role;
use crate::process::meter::{Meter, Nameless, Process};
use crate::process::throttle::{PATIENCE, Throttle};
use crate::sys::proc;
use nix::poll::PollFd;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Somebody who is asked at every turn of the loop. Must not wait.
pub trait Attendant {
    /// Adds what to wait for; answers when to be asked at the latest.
    fn interests<'a>(&'a self, list: &mut Vec<PollFd<'a>>) -> Option<Instant>;
    /// Does what is to be done now.
    fn attend(&mut self, running: &mut Running, now: Instant);
    /// Whom we watched is gone without a word, and nobody has said why.
    fn gone(&mut self, _running: &mut Running) {}
    /// Everything inside has ended; nothing was told to anybody else yet.
    fn ended(&mut self, _result: &Result<Outcome, Error>) {}
}

/// How long everybody inside may take to stand still.
const FREEZING: Duration = Duration::from_secs(2);

/// Nobody stands there.
pub struct Nobody;

impl Attendant for Nobody {
    fn interests<'a>(&'a self, _list: &mut Vec<PollFd<'a>>) -> Option<Instant> {
        None
    }

    fn attend(&mut self, _running: &mut Running, _now: Instant) {}
}

impl Running {
    /// What others need to join, once all of it is here: the namespace of users of a range comes behind the rest, from the
    /// payload, and whoever joined without it would take another namespace for it.
    pub fn held(&self) -> Option<&Held> {
        let whole = self.meter.is_some() && (self.held.users.is_some() || !self.plan.reports_users());
        whole.then_some(&self.held)
    }

    /// The sandbox's cgroup.
    pub fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        self.cgroup.as_ref()?.descriptor()
    }

    /// How far each protection is enforced.
    pub fn enforcement(&self) -> &Enforcements {
        &self.plan.enforcement
    }

    /// The root file system, as the result says it.
    pub fn image(&self) -> &str {
        &self.plan.image
    }

    /// Of each mount of the spec, whether it is a directory.
    pub fn mount_is_directory(&self) -> &[bool] {
        &self.mount_is_directory
    }

    /// What the sandbox uses now: bytes of memory, processes and threads, CPU time, bytes of the writable layer.
    pub fn look(&mut self) -> (u64, u32, Duration, u64) {
        let counted = self.cgroup.as_ref().and_then(|cgroup| cgroup.events().ok());
        let sampled = self.samples_memory();
        let Some(meter) = &mut self.meter else { return Default::default() };
        let reading = meter.read();
        let memory = match counted {
            Some(counted) if !sampled => counted.memory,
            _ => meter.exact_memory(&reading).bytes,
        };
        (memory, reading.threads, counted.map_or(reading.cpu, |counted| counted.cpu), reading.disk)
    }

    /// Bytes of memory, thousandths of a CPU, processes and threads.
    pub fn limits(&self) -> (u64, u32, u32) {
        (self.spec.memory, self.spec.millicpus, self.spec.pids)
    }

    /// Holds the sandbox to other limits from now on. Where no cgroup counts processes, what runs already keeps its own.
    pub fn set_limits(&mut self, memory: u64, millicpus: u32, pids: u32) -> Result<(), Error> {
        if let (Some(cgroup), Some(wish)) = (&self.cgroup, &self.plan.cgroup) {
            cgroup.limit_anew(wish, memory, millicpus, pids)?;
        }
        if self.plan.cgroup.as_ref().is_none_or(|wish| wish.millicpus.is_none()) {
            self.resume();
            self.throttle = Throttle::new(millicpus, self.cpus);
        }
        (self.spec.memory, self.spec.millicpus, self.spec.pids) = (memory, millicpus, pids);
        Ok(())
    }

    /// Whether the sandbox's own command has been executed.
    pub fn has_executed(&mut self) -> bool {
        let executed = self.meter.as_mut().is_some_and(Meter::has_executed);
        // What it had to tell on the way, it has told: nobody is to learn less because it was not read yet.
        while executed && self.hearing && self.is_told() {
            self.hear();
        }
        executed
    }

    /// Whether nobody runs inside, and nobody is about to.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Kills every command inside, and what it has started; the sandbox, and those who lead commands, stay.
    pub fn kill_commands(&mut self) {
        let Some(meter) = &mut self.meter else { return };
        // Who forks meanwhile is found the next time.
        for process in meter.read().processes.iter().filter(|process| process.parent != 0) {
            // It may have ended by now, which is as good.
            let _ = proc::signal_process(meter.proc().as_fd(), process.pid, libc::SIGKILL);
        }
    }

    /// The leader of a command that has joined.
    pub fn leader(&self) -> Option<&OwnedFd> {
        Some(&self.pidfd).filter(|_| self.held.leader)
    }

    /// Kills everything inside that descends from a leader, which as their reaper has everything below it that lives, and answers who
    /// that was. Who forks meanwhile is found the next time.
    pub fn kill_descendants(&mut self, leader: u32) -> Vec<u32> {
        let Some(meter) = &mut self.meter else { return Vec::new() };
        let alive = descendants(leader, &meter.processes());
        for pid in &alive {
            // It may have ended by now, which is as good.
            let _ = proc::signal_process(meter.proc().as_fd(), *pid, libc::SIGKILL);
        }
        alive
    }

    /// Whether any of these lives.
    pub fn any_lives(&mut self, pids: &[u32]) -> bool {
        let all = self.meter.as_mut().map(Meter::processes).unwrap_or_default();
        all.iter().any(|process| !process.dead && pids.contains(&process.pid))
    }

    /// Stops everybody inside. Whether all of them stand still: who waits for a disk may not.
    pub fn freeze(&mut self) -> bool {
        self.resume();
        let Some(meter) = &mut self.meter else { return false };
        let mut all = self.frozen.take().unwrap_or_else(Throttle::everything);
        let begun = Instant::now();
        let still = loop {
            all.stop(meter, PATIENCE);
            let everybody = meter.processes();
            // A parent inside vfork(2) goes on when its child does, and that is stopped.
            let lends = |pid| everybody.iter().any(|child| child.parent == pid && child.halted);
            let stands =
                |process: &Process| process.halted || (lends(process.pid) && meter.is_out_of_reach(process.pid));
            if everybody.iter().all(stands) {
                break true;
            }
            if begun.elapsed() > FREEZING {
                break false;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        self.frozen = Some(all);
        still
    }

    /// Stops whoever can be stopped at once. Whoever waits for a disk stops when it has done so much.
    pub fn hold_still(&mut self) {
        self.resume();
        let Some(meter) = &mut self.meter else { return };
        let mut all = self.frozen.take().unwrap_or_else(Throttle::everything);
        all.stop(meter, PATIENCE);
        self.frozen = Some(all);
    }

    /// What is open in the writable layer and has no name any more.
    pub fn nameless(&mut self) -> Nameless {
        self.meter.as_mut().map(Meter::nameless).unwrap_or_default()
    }

    /// Lets everybody go on who was stopped so.
    pub fn thaw(&mut self) {
        if let (Some(mut all), Some(meter)) = (self.frozen.take(), &self.meter) {
            all.resume(meter.proc());
        }
    }

    /// Ends the sandbox, since its supervisor cannot go on.
    pub fn fail(&mut self, attempt: &'static str, errno: i32) {
        self.fault = Some(Error::setup(attempt, errno));
        self.end();
    }

    /// Says whether somebody may join at any moment. As long as nobody may and nothing runs inside, nothing is sampled.
    pub fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
        if busy {
            self.quiet = false;
        }
    }

    /// The signal by which everybody inside is asked to end.
    pub fn stop_signal(&self) -> i32 {
        self.plan.stop_signal.unwrap_or(Signal::SIGTERM as i32)
    }

    /// Asks everybody inside to end, and ends them when `grace` is over.
    pub fn ask_to_end(&mut self, grace: Duration) {
        self.thaw();
        let asked = self.forwarded.map_or(Signal::SIGTERM, |(_, signal)| signal);
        if self.forwarded.is_none() {
            self.tell(self.stop_signal());
            self.resume();
        }
        let until = Instant::now() + grace;
        self.forwarded = Some((self.forwarded.map_or(until, |(before, _)| before.min(until)), asked));
    }

    /// The sandbox has ended for this reason, and with it the command that had joined it, unless that had ended before.
    pub fn sandbox_ended(&mut self, memory: bool) {
        if self.ended.is_none() {
            self.cause.get_or_insert(if memory { Cause::Memory } else { Cause::Cancelled(Signal::SIGTERM) });
        }
    }

    /// Whether somebody here holds the sandbox to its limits, and there is anything to hold.
    pub(super) fn samples(&self) -> bool {
        self.meter.is_some() && self.role != Role::Leader && !self.quiet && self.frozen.is_none()
    }

    /// Nobody runs inside: what was asked to end has, and there is nothing to sample.
    pub(super) fn nobody_inside(&mut self) {
        if self.role != Role::Host {
            return;
        }
        match self.forwarded {
            Some((_, signal)) => self.end_for(Cause::Cancelled(signal)),
            None => self.quiet = !self.busy,
        }
    }
}

/// Who of `all` lives and descends from `ancestor`.
fn descendants(ancestor: u32, all: &[Process]) -> Vec<u32> {
    let mut family = BTreeSet::from([ancestor]);
    loop {
        let before = family.len();
        family.extend(
            all.iter()
                .filter(|process| family.contains(&process.parent))
                .map(|process| process.pid)
                .collect::<Vec<_>>(),
        );
        if family.len() == before {
            break;
        }
    }
    let alive = all.iter().filter(|process| process.pid != ancestor && family.contains(&process.pid) && !process.dead);
    alive.map(|process| process.pid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_descends_from_a_leader_is_found_whatever_the_order() {
        let process = |pid, parent, dead| Process { pid, parent, halted: dead, dead, space: 0 };
        let all = [
            process(3, 9, false),
            process(5, 0, false),
            process(7, 5, true),
            process(9, 7, false),
            process(11, 1, false),
        ];
        assert_eq!(descendants(5, &all), [3, 9]);
    }
}
