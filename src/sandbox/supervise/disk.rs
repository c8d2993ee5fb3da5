//! How a supervisor holds what is kept to its disk limit: by counting.

use super::super::call::Answer;
use super::super::quota::{Next, Quota};
use super::Supervisor;
use crate::process::Running;
use crate::spec::Protection;
use std::cell::RefCell;
use std::fs::File;
use std::time::Instant;

impl Supervisor<'_> {
    /// Begins to count the files that are kept.
    pub(super) fn count(&mut self) -> std::io::Result<()> {
        if self.order.keeps_files() {
            let empty = !self.has_command();
            self.quota = Some(RefCell::new(Quota::new(File::open(self.entry.path("upper"))?, empty)?));
        }
        Ok(())
    }

    /// Kills what writes beyond the disk limit, and says so to everybody who has a command inside.
    pub(super) fn hold_disk(&mut self, running: &mut Running, now: Instant) {
        let Some(quota) = &self.quota else { return };
        let (mut quota, limit) = (quota.borrow_mut(), self.disk.get());
        let passed = match quota.look(now, limit, self.quiet) {
            Next::Nothing => {
                drop(quota);
                if self.waits() && !self.frozen.get() {
                    self.let_in(running);
                }
                return;
            }
            Next::Stop => {
                running.hold_still();
                return quota.count(now);
            }
            Next::Judge => quota.judge(limit, running.nameless()),
        };
        drop(quota);
        if passed {
            // First: the news of the kill must not be quicker than its reason.
            self.tell_joined(&Answer::Reached(Protection::Disk.name().to_owned()));
            running.kill_commands();
        }
        if !self.frozen.get() {
            running.thaw();
            self.let_in(running);
        }
    }

    /// Whether a command may begin that may write: none, as long as that has to be found out.
    pub(super) fn has_room(&self) -> Option<bool> {
        self.quota.as_ref().map_or(Some(true), |quota| quota.borrow_mut().has_room(self.disk.get()))
    }
}
