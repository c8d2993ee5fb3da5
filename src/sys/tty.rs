//! Terminals: the caller's, and the sandbox's own.
#![allow(unsafe_code)]

use super::Answer;
use nix::errno::Errno;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::os::fd::{AsFd, AsRawFd};

/// The caller's terminal in raw mode; `close` puts it back as it was.
#[derive(Debug)]
pub struct RawTerminal<T> {
    terminal: T,
    before: Termios,
}

impl<T: AsFd> RawTerminal<T> {
    /// Switches `terminal` to raw mode; `None` when it is no terminal.
    pub fn enter(terminal: T) -> Option<RawTerminal<T>> {
        let before = tcgetattr(terminal.as_fd()).ok()?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(terminal.as_fd(), SetArg::TCSADRAIN, &raw).ok()?;
        Some(RawTerminal { terminal, before })
    }

    /// Puts the terminal back.
    pub fn close(self) -> Answer<()> {
        tcsetattr(self.terminal.as_fd(), SetArg::TCSADRAIN, &self.before).map_err(|errno| errno as i32)
    }
}

/// Reads from a terminal's own side by `read`, which is asked once more where it answers EIO.
///
/// EIO says that nobody has the other side open any more. But the kernel looks for input first, and whether the other side is closed after that
/// (`n_tty_read`): what was written last and the close may both come in between. Whoever asks again, after the close, gets it.
///
/// # Errors
///
/// What `read` answers; EIO only where everything was read.
pub fn read_to_the_end<T>(mut read: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    match read() {
        Err(Errno::EIO) => read(),
        answer => answer,
    }
}

/// Columns and rows; `None` for what is no terminal, or has no size.
pub fn size(of: impl AsFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request writes one `winsize`.
    let answer = unsafe { libc::ioctl(of.as_fd().as_raw_fd(), libc::TIOCGWINSZ as _, &raw mut size) };
    (answer == 0 && size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

/// Sets columns and rows; who runs in the foreground there is told (SIGWINCH).
pub fn set_size(of: impl AsFd, (columns, rows): (u16, u16)) -> Answer<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request reads one `winsize`.
    match unsafe { libc::ioctl(of.as_fd().as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size) } {
        0 => Ok(()),
        _ => Err(nix::errno::Errno::last_raw()),
    }
}

/// Gives the sandbox's terminal the size of the caller's; 80 by 24 when that has none.
pub fn copy_size(from: impl AsFd, to: impl AsFd) {
    // One that takes no size keeps its own: nothing depends on it.
    let _ = set_size(to, size(from).unwrap_or((80, 24)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::{OpenptyResult, openpty};
    use nix::unistd::{read, write};

    #[test]
    fn what_was_written_last_is_read_however_closely_the_close_follows() {
        for round in 0..1000 {
            let OpenptyResult { master, slave } = openpty(None, None).unwrap();
            let writer = std::thread::spawn(move || {
                write(&slave, b"last").unwrap();
                drop(slave);
            });
            let (mut all, mut piece) = (Vec::new(), [0; 64]);
            crate::sys::fd::set_nonblocking(master.as_fd()).unwrap();
            loop {
                match read_to_the_end(|| read(&master, &mut piece)) {
                    Ok(count) => all.extend_from_slice(&piece[..count]),
                    Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Err(errno) => break assert_eq!(errno, Errno::EIO),
                }
            }
            writer.join().unwrap();
            assert_eq!(all, b"last", "round {round}");
        }
    }
}
