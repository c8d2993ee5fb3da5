//! Who stands beside the loop: the supervisor of a sandbox that lasts answers calls, and whoever runs a command in one hears of
//! the sandbox's end.

use super::Running;
use super::ending::Cause;
use super::hold::{Limits, Used};
use crate::error::Error;
use crate::outcome::{Enforcements, Outcome};
use crate::process::meter::{Meter, Nameless, Process};
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

/// What a persistent sandbox has for those who join it.
#[derive(Debug, Default)]
pub struct Held {
    /// Its namespaces, in the order of `namespaces::to_join`.
    pub namespaces: Vec<OwnedFd>,
    /// The user namespace of what runs in it, where it has a range of ids.
    pub users: Option<OwnedFd>,
    /// Its writable layer, where that is in memory: the directory as it is without what is mounted over it.
    pub writable: Option<OwnedFd>,
}

/// Whether a sandbox without a command of its own has anything to do.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Whether somebody is about to join, or may be.
    busy: bool,
    /// Whether there is nothing to sample: nobody runs inside, and nobody is about to.
    quiet: bool,
}

impl Running {
    /// What others need to join, once all of it is here: the namespace of users of a range comes behind the rest, from the
    /// payload, and whoever joined without it would take another namespace for it.
    pub fn held(&self) -> Option<&Held> {
        let whole =
            self.holder.is_ready() && self.has_published() && (self.held.users.is_some() || !self.plan.reports_users());
        whole.then_some(&self.held)
    }

    /// The sandbox's cgroup.
    pub fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        self.guards.cgroup.as_ref()?.descriptor()
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

    /// What the sandbox uses now.
    pub fn look(&mut self) -> Used {
        self.holder.look(self.guards.cgroup.as_ref())
    }

    /// What it may use.
    pub fn limits(&self) -> Limits {
        self.holder.limits()
    }

    /// Holds the sandbox to other limits from now on. Where no cgroup counts processes, what runs already keeps its own.
    pub fn set_limits(&mut self, limits: Limits) -> Result<(), Error> {
        if let (Some(cgroup), Some(wish)) = (&self.guards.cgroup, &self.plan.cgroup) {
            cgroup.limit_anew(wish, limits.memory, limits.millicpus, limits.pids)?;
        }
        let throttles = self.plan.cgroup.as_ref().is_none_or(|wish| wish.millicpus.is_none());
        self.holder.set_limits(limits, throttles);
        Ok(())
    }

    /// Whether the sandbox's own command has been executed.
    pub fn has_executed(&mut self) -> bool {
        let executed = self.holder.meter.as_mut().is_some_and(Meter::has_executed);
        // What it had to tell on the way, it has told: nobody is to learn less because it was not read yet.
        while executed && self.ending.is_hearing() && self.first.has_told() {
            self.hear();
        }
        executed
    }

    /// Whether nobody runs inside, and nobody is about to.
    pub fn is_quiet(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.quiet)
    }

    /// Kills every command inside, and what it has started; the sandbox, and those who lead commands, stay.
    pub fn kill_commands(&mut self) {
        let Some(meter) = &mut self.holder.meter else { return };
        // Who forks meanwhile is found the next time.
        for process in meter.read().processes.iter().filter(|process| !process.leads()) {
            // It may have ended by now, which is as good.
            let _ = proc::signal_process(meter.proc().as_fd(), process.pid, libc::SIGKILL);
        }
    }

    /// The leader of a command that has joined.
    pub fn leader(&self) -> Option<&OwnedFd> {
        self.first.leader()
    }

    /// Kills everything inside that descends from a leader, which as their reaper has everything below it that lives, and answers who
    /// that was. Who forks meanwhile is found the next time.
    pub fn kill_descendants(&mut self, leader: u32) -> Vec<u32> {
        let Some(meter) = &mut self.holder.meter else { return Vec::new() };
        let alive = descendants(leader, &meter.processes());
        for pid in &alive {
            // It may have ended by now, which is as good.
            let _ = proc::signal_process(meter.proc().as_fd(), *pid, libc::SIGKILL);
        }
        alive
    }

    /// Whether any of these lives.
    pub fn any_lives(&mut self, pids: &[u32]) -> bool {
        let all = self.holder.meter.as_mut().map(Meter::processes).unwrap_or_default();
        all.iter().any(|process| !process.dead && pids.contains(&process.pid))
    }

    /// Stops everybody inside. Whether all of them stand still: who waits for a disk may not.
    pub fn freeze(&mut self) -> bool {
        self.holder.freeze()
    }

    /// Stops whoever can be stopped at once. Whoever waits for a disk stops when it has done so much.
    pub fn hold_still(&mut self) {
        self.holder.hold_still();
    }

    /// What is open in the writable layer and has no name any more.
    pub fn nameless(&mut self) -> Nameless {
        self.holder.meter.as_mut().map(Meter::nameless).unwrap_or_default()
    }

    /// Lets everybody go on who was stopped so.
    pub fn thaw(&mut self) {
        self.holder.thaw();
    }

    /// Ends the sandbox, since its supervisor cannot go on.
    pub fn fail(&mut self, attempt: &'static str, errno: i32) {
        self.end_with(Error::setup(attempt, errno));
    }

    /// Holds from here on only who is in no sandbox below this one, and not the process of that descriptor, which makes those.
    pub fn leave_nested_out(&mut self, maker: BorrowedFd<'_>) {
        let maker = proc::innermost_pid(maker).unwrap_or_default();
        self.holder.meter.iter_mut().for_each(|meter| meter.leave_nested_out(maker));
    }

    /// Counts a program of ours that runs inside for nobody there: others on the host have it too.
    pub fn disregard(&mut self, program: &OwnedFd) {
        self.holder.meter.iter_mut().for_each(|meter| meter.disregard(program));
    }

    /// What runs inside does nothing of its own from here on, and is looked at less often as long as that is so.
    pub fn doze(&mut self) {
        self.holder.doze();
    }

    /// The same for this reason.
    pub fn fail_for(&mut self, fault: Error) {
        self.end_with(fault);
    }

    /// Says whether somebody may join at any moment. As long as nobody may and nothing runs inside, nothing is sampled.
    pub fn set_busy(&mut self, busy: bool) {
        if let Some(waiting) = &mut self.waiting {
            waiting.busy = busy;
            waiting.quiet &= !busy;
        }
    }

    /// Says how many leaders stand inside that have no command: they do nothing, and are nobody.
    pub fn set_standing(&mut self, standing: u32) {
        self.holder.set_standing(standing);
    }

    /// The signal by which everybody inside is asked to end.
    pub fn stop_signal(&self) -> i32 {
        self.plan.stop_signal.unwrap_or(Signal::SIGTERM as i32)
    }

    /// Asks everybody inside to end, and ends them when `grace` is over.
    pub fn ask_to_end(&mut self, grace: Duration) {
        self.thaw();
        if self.ending.ask(Signal::SIGTERM, Instant::now() + grace) {
            self.first.tell(self.stop_signal());
            self.holder.resume();
        }
    }

    /// The sandbox has ended for this reason, and with it the command that had joined it, unless that had ended before.
    pub fn sandbox_ended(&mut self, memory: bool) {
        self.ending.sandbox_ended(if memory { Cause::Memory } else { Cause::Cancelled(Signal::SIGTERM) });
    }

    /// Whether somebody here holds the sandbox to its limits, and there is anything to hold. A command that joins is held by the
    /// supervisor of the sandbox.
    pub(super) fn samples(&self) -> bool {
        self.holder.can_hold() && !self.first.leads() && !self.is_quiet()
    }

    /// Nobody runs inside: what was asked to end has, and there is nothing to sample.
    pub(super) fn nobody_inside(&mut self) {
        let Some(waiting) = &mut self.waiting else { return };
        match self.ending.asked() {
            Some(asked) => self.end_for(Cause::Cancelled(asked.signal)),
            None => waiting.quiet = !waiting.busy,
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
