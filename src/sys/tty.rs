//! Terminals: the caller's, and the sandbox's own.
#![allow(unsafe_code)]

use super::Answer;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// The caller's terminal in raw mode; `close` puts it back as it was.
#[derive(Debug)]
pub struct RawTerminal<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> RawTerminal<'a> {
    /// Switches `terminal` to raw mode; `None` when it is no terminal.
    pub fn enter(terminal: BorrowedFd<'a>) -> Option<RawTerminal<'a>> {
        let before = tcgetattr(terminal).ok()?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(terminal, SetArg::TCSADRAIN, &raw).ok()?;
        Some(RawTerminal { terminal, before })
    }

    /// Puts the terminal back.
    pub fn close(self) -> Answer<()> {
        tcsetattr(self.terminal, SetArg::TCSADRAIN, &self.before).map_err(|errno| errno as i32)
    }
}

/// Gives the sandbox's terminal the size of the caller's; 80 by 24 when that has none.
pub fn copy_size(from: impl AsFd, to: impl AsFd) {
    let mut size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: both requests read or write one `winsize`.
    unsafe {
        libc::ioctl(from.as_fd().as_raw_fd(), libc::TIOCGWINSZ as _, &raw mut size);
        libc::ioctl(to.as_fd().as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size);
    }
}
