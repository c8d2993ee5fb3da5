//! Supervisors that do not answer: a stopped one never does, a busy one does in time.
//!
//! Nobody waits for a supervisor without looking whether it is stopped. A call may take its time all the same: others may hold the
//! sandbox still, or count what it has written. Which process it is stands in the file that it holds locked.

use super::{Entry, State, errors};
use crate::error::Error;
use nix::fcntl::Flock;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getsid};
use std::fs::{self, File};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Between two looks at one that says nothing.
const GLANCE: Duration = Duration::from_millis(500);
/// As often in a row it has to be found stopped: a moment of it harms nobody.
const LOOKS: u32 = 6;

/// One that is watched.
#[derive(Default)]
pub struct Watch {
    stopped: u32,
}

impl Watch {
    /// Looks at it; whether it has been stopped for a while.
    pub fn look(&mut self, supervisor: Option<Pid>) -> bool {
        self.stopped = if supervisor.is_some_and(is_stopped) { self.stopped + 1 } else { 0 };
        self.stopped >= LOOKS
    }
}

/// Waits until there is something to hear; whether there is. There is not where the supervisor is stopped, or `until` is over.
pub fn await_word(from: BorrowedFd<'_>, supervisor: Option<Pid>, until: Option<Instant>) -> bool {
    let mut watch = Watch::default();
    loop {
        let rest = until.map_or(GLANCE, |until| until.saturating_duration_since(Instant::now()).min(GLANCE));
        let timeout = PollTimeout::try_from(rest).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(from, PollFlags::POLLIN)], timeout) {
            Ok(0) if until.is_some_and(|until| Instant::now() >= until) || watch.look(supervisor) => return false,
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            // What is wrong with it is found by who reads.
            Ok(_) | Err(_) => return true,
        }
    }
}

/// Whether it is stopped, by a signal or a debugger.
fn is_stopped(pid: Pid) -> bool {
    matches!(stat(pid), Some((b'T' | b't', _)))
}

/// State and parent: proc_pid_stat(5), fields 3 and 4; field 2 may hold anything.
fn stat(pid: Pid) -> Option<(u8, Pid)> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(stat.get(end + 1..)?).ok()?.split_ascii_whitespace();
    Some((*fields.next()?.as_bytes().first()?, Pid::from_raw(fields.next()?.parse().ok()?)))
}

impl Entry {
    /// The supervisor, which has written down who it is when it had locked the file.
    pub(super) fn supervisor(&self) -> Option<Pid> {
        let number = fs::read_to_string(self.path("alive")).ok()?.trim().parse().ok().filter(|pid| *pid > 1)?;
        // One that was killed may have left its number to somebody else.
        let supervisor = Pid::from_raw(number);
        (self.lives() && self.is_of_it(supervisor)).then_some(supervisor)
    }

    /// Whether that is our program and works for this sandbox.
    fn is_of_it(&self, pid: Pid) -> bool {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == self.id.as_bytes())
    }

    /// Kills the supervisor: its end is the end of everything inside. What it has cloned in this moment does not know that yet, and
    /// may be stopped as well; it is its child, or of its session.
    pub(super) fn kill_supervisor(&self) {
        let Some(supervisor) = self.supervisor() else { return };
        let numbers = fs::read_dir("/proc").into_iter().flatten();
        let numbers = numbers.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Pid::from_raw));
        let is_child = |pid: Pid| stat(pid).is_some_and(|(_, parent)| parent == supervisor);
        let is_with_it = |pid: Pid| getsid(Some(pid)).is_ok_and(|session| session == supervisor) && self.is_of_it(pid);
        let others: Vec<Pid> = numbers.filter(|pid| is_child(*pid) || is_with_it(*pid)).collect();
        for pid in [supervisor].into_iter().chain(others) {
            // Gone by now is as good.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }

    /// That the supervisor does not answer.
    pub(super) fn silent(&self) -> Error {
        errors::silent(&self.name(), self.supervisor().map(Pid::as_raw))
    }

    /// Waits for the right to change it, so that it can be ended: whoever has it may wait for a supervisor that is stopped.
    pub(super) fn turn_by_force(&self) -> Result<Flock<File>, Error> {
        let mut watch = Watch::default();
        let mut looked = Instant::now();
        loop {
            if let Some(turn) = self.turn_at_once()? {
                return Ok(turn);
            }
            std::thread::sleep(super::entry::GLANCE);
            if looked.elapsed() >= GLANCE {
                looked = Instant::now();
                if watch.look(self.supervisor()) {
                    self.kill_supervisor();
                }
            }
        }
    }

    /// Waits, for one who has its turn, until it neither starts nor stops: then it stays as it is. Whether it runs.
    ///
    /// # Errors
    ///
    /// `Silent`: it stays as it is because its supervisor is stopped.
    pub(super) fn at_rest(&self) -> Result<bool, Error> {
        let mut watch = Watch::default();
        let mut looked = Instant::now();
        while self.lives() {
            if self.state() == State::Running {
                return Ok(true);
            }
            std::thread::sleep(super::entry::GLANCE);
            if looked.elapsed() >= GLANCE {
                looked = Instant::now();
                if watch.look(self.supervisor()) {
                    return Err(self.silent());
                }
            }
        }
        Ok(false)
    }
}
