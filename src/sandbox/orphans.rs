//! Commands whose `exec` process is gone.
//!
//! Their leader ends them, and everything that descends from them, as soon as it hears of it. Whoever is inside may keep it from that
//! for ever, by stopping it; so the supervisor does the same from outside, where nobody inside reaches it. A leader that is stopped is
//! still the reaper of whatever its command leaves behind, and so it goes last of all.

use crate::process::Running;
use crate::sys::proc;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// Between two looks.
const ROUND: Duration = Duration::from_millis(10);
/// How long it may take. After that nothing is left but to end the sandbox.
const PATIENCE: Duration = Duration::from_secs(5);

/// All of them.
#[derive(Debug, Default)]
pub struct Orphans {
    all: Vec<Orphan>,
    next: Option<Instant>,
}

#[derive(Debug)]
struct Orphan {
    leader: OwnedFd,
    until: Instant,
    /// Who descended from it and lived, at the last look.
    seen: Vec<u32>,
}

/// What a look has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// All have ended.
    Done,
    /// Some have not yet.
    Again,
    /// Nobody knows any more who descends from whom, or they cannot be ended.
    Lost,
}

impl Orphans {
    /// Takes a leader whose caller is gone. It has usually ended, since its command had.
    pub fn take(&mut self, leader: OwnedFd, now: Instant) {
        if !proc::has_ended(leader.as_fd()) {
            self.all.push(Orphan { leader, until: now + PATIENCE, seen: Vec::new() });
            self.next = Some(now);
        }
    }

    /// When to be asked at the latest.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Does what is to be done now. `false`: one of them got away.
    pub fn tend(&mut self, running: &mut Running, now: Instant) -> bool {
        if self.next.is_none_or(|next| now < next) {
            return true;
        }
        let mut held = true;
        self.all.retain_mut(|orphan| {
            let look = orphan.look(running, now);
            held &= look != Look::Lost;
            look == Look::Again
        });
        self.next = (!self.all.is_empty()).then(|| now + ROUND);
        held
    }
}

impl Orphan {
    fn look(&mut self, running: &mut Running, now: Instant) -> Look {
        if proc::has_ended(self.leader.as_fd()) {
            // A leader that has done its work leaves nobody. One that was killed leaves them to pid 1.
            return if running.any_lives(&self.seen) { Look::Lost } else { Look::Done };
        }
        if now >= self.until {
            return Look::Lost;
        }
        if let Some(leader) = proc::innermost_pid(self.leader.as_fd()) {
            self.seen = running.kill_descendants(leader);
            if self.seen.is_empty() {
                // It may have ended by now, which is as good.
                let _ = proc::send_signal(self.leader.as_raw_fd(), libc::SIGKILL);
            }
        }
        Look::Again
    }
}
