//! Terminals (ioctl_tty(2), pts(4)).

use super::{Fd, belonging, done};
use crate::sys::Answer;
use syscalls::{Sysno, syscall};

/// ioctl(2) `TIOCSPTLCK` 0: opens the lock of a new terminal.
pub fn unlock_terminal(master: Fd) -> Answer<()> {
    let lock = 0i32;
    // SAFETY: the word outlives the call.
    done(unsafe { syscall!(Sysno::ioctl, master, libc::TIOCSPTLCK as u32, core::ptr::from_ref(&lock)) })
}

/// The other side of a terminal, by its master (`TIOCGPTPEER`, Linux 4.13).
pub fn terminal_peer(master: Fd, flags: i32) -> Answer<Fd> {
    belonging(master, libc::TIOCGPTPEER as u32, flags)
}
