//! Whether the host's mounts have changed where sandboxes show its files: what is made before it is asked for shows them as they were.
//! Elsewhere mounts come and go by the minute, on machines with services and containers, and are nobody's business.

use crate::host::is_shown;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

/// The mounts that this process sees. The kernel tells of each change at an open `/proc/self/mountinfo` (proc(5)), once.
pub struct Mounts {
    wanted: bool,
    /// None where nobody wants to know, or there is no procfs.
    table: Option<File>,
    /// What was last read of them.
    shown: Vec<String>,
    changes: u64,
}

impl Mounts {
    /// From now on, where that is `wanted`.
    pub fn watch(wanted: bool) -> Mounts {
        let table = wanted.then(|| File::open("/proc/self/mountinfo").ok()).flatten();
        let mut mounts = Mounts { wanted, table, shown: Vec::new(), changes: 0 };
        mounts.look();
        mounts
    }

    /// To wait for, with [`PollFlags::POLLPRI`].
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.table.as_ref().map(File::as_fd)
    }

    /// Whoever waited was told of a change; whether it is one of those that count. What cannot be read may be any.
    pub fn look(&mut self) -> bool {
        let mut text = Vec::new();
        let read = self.table.as_mut().map(|table| table.rewind().and_then(|()| table.read_to_end(&mut text)));
        let text = String::from_utf8_lossy(&text);
        let shown: Vec<String> = text.lines().filter(|line| counts(line)).map(str::to_owned).collect();
        let changed = !matches!(read, Some(Ok(_))) || shown != self.shown;
        self.shown = shown;
        self.changes += u64::from(changed);
        changed
    }

    /// How often they have changed until now.
    pub fn changes(&mut self) -> u64 {
        if self.wanted && self.may_have_changed() {
            self.look();
        }
        self.changes
    }

    fn may_have_changed(&self) -> bool {
        let Some(table) = &self.table else { return true };
        let mut list = [PollFd::new(table.as_fd(), PollFlags::POLLPRI)];
        poll(&mut list, PollTimeout::ZERO) != Ok(0)
    }
}

/// Whether a line of the table is of a place that is shown: proc_pid_mountinfo(5), field 5. What is odd in a name stands as its number.
fn counts(line: &str) -> bool {
    let point = line.split(' ').nth(4).unwrap_or_default();
    point == "/" || is_shown(Path::new(point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_is_what_sandboxes_show() {
        let at = |point: &str| counts(&format!("36 35 98:0 /mnt1 {point} rw,noatime master:1 - ext3 /dev/root rw"));
        assert!(["/", "/usr", "/usr/share/a\\040b", "/etc/ssl", "/nix/store/x"].into_iter().all(at));
        assert!(!["/run/credentials/x.service", "/usrlocal", "/home", "/proc", "/var/lib/x"].into_iter().any(at));
    }
}
