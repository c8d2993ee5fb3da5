//! Whether the host's mounts have changed: what is made before it is asked for shows them as they were.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};

/// The mounts that this process sees. The kernel tells of each change at an open `/proc/self/mountinfo` (proc(5)).
pub struct Mounts {
    /// None where there is no procfs: nothing is told then.
    table: Option<File>,
    changes: u64,
}

impl Mounts {
    /// From now on.
    pub fn watch() -> Mounts {
        Mounts { table: File::open("/proc/self/mountinfo").ok(), changes: 0 }
    }

    /// To wait for, with [`PollFlags::POLLPRI`].
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.table.as_ref().map(File::as_fd)
    }

    /// Whoever waited was told of a change, which nobody is told of again.
    pub fn have_changed(&mut self) {
        self.changes += 1;
    }

    /// How often they have changed until now.
    pub fn changes(&mut self) -> u64 {
        if let Some(table) = &self.table {
            let mut list = [PollFd::new(table.as_fd(), PollFlags::POLLPRI)];
            let polled = poll(&mut list, PollTimeout::ZERO);
            let changed = list[0].revents().is_some_and(|told| told.contains(PollFlags::POLLPRI));
            self.changes += u64::from(polled.is_ok() && changed);
        }
        self.changes
    }
}
