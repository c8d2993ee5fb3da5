//! A pipe of the caller's as standard input, without a drop spilled.
//!
//! The sandbox must not hold the caller's pipe: its user is the caller, who may reopen it through `/proc/self/fd/0`
//! for writing, and so put words into the mouth of whoever writes there. It reads from a pipe of ours instead. But what
//! is read from a pipe cannot be given back, and what the command does not read belongs to the next reader
//! (`while read -r x; do belljar run …; done`). So nothing is read ahead: tee(2) copies what the caller's pipe holds into
//! ours, which has room for one buffer only, and it is taken from the caller's pipe when the command has read it.

use super::relay::{Flow, is_ready};
use crate::sys::fd as sys;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, tee};
use nix::poll::{PollFd, PollFlags};
use nix::unistd::read;
use std::os::fd::{AsFd as _, OwnedFd};

/// Bytes of a pipe with one buffer, the smallest there is; also the most that one buffer holds.
const ONE_BUFFER: usize = 4096;

/// From the caller's pipe to the command.
pub struct Tap {
    /// The caller's pipe, opened anew so that reading does not wait.
    source: OwnedFd,
    /// Our end of the command's pipe.
    pipe: OwnedFd,
    /// Bytes that are in both pipes.
    shown: u64,
}

impl Tap {
    /// From `source` into `pipe`; both are pipes.
    pub fn new(source: OwnedFd, pipe: OwnedFd) -> Result<Tap, i32> {
        sys::set_nonblocking(pipe.as_fd())?;
        fcntl(&pipe, FcntlArg::F_SETPIPE_SZ(ONE_BUFFER as i32)).map_err(|errno| errno as i32)?;
        Ok(Tap { source, pipe, shown: 0 })
    }

    /// Shows the command what there is, a buffer at a time.
    pub fn pump(&mut self) -> Flow {
        // Bounded, so that no stream keeps the clock waiting.
        for _ in 0..64 {
            if self.shown > 0 {
                if !is_ready(self.pipe.as_fd(), PollFlags::POLLOUT) {
                    return Flow::Open;
                }
                if sys::waiting_bytes(self.pipe.as_fd()) > 0 {
                    // The command has closed its standard input with something left in it.
                    return Flow::Ended;
                }
                self.take(self.shown);
            }
            match tee(&self.source, &self.pipe, ONE_BUFFER, SpliceFFlags::SPLICE_F_NONBLOCK) {
                Ok(0) => return Flow::Ended,
                Ok(count) => self.shown = count as u64,
                Err(Errno::EAGAIN | Errno::EINTR) if is_hung_up(&self.pipe) => return Flow::Ended,
                Err(Errno::EAGAIN | Errno::EINTR) => return Flow::Open,
                // The command has closed its standard input.
                Err(_) => return Flow::Ended,
            }
        }
        Flow::Open
    }

    /// Takes what the command has read out of the caller's pipe.
    fn take(&mut self, mut count: u64) {
        let mut buffer = [0u8; ONE_BUFFER];
        while count > 0 {
            let part = buffer.len().min(usize::try_from(count).unwrap_or(usize::MAX));
            match read(&self.source, &mut buffer[..part]) {
                Err(Errno::EINTR) => {}
                // Another reader was quicker; it is gone as it should be.
                Ok(0) | Err(_) => break,
                Ok(taken) => count -= taken as u64,
            }
        }
        self.shown = 0;
    }

    /// What the event loop waits for.
    pub fn interests<'a>(&'a self, list: &mut Vec<PollFd<'a>>) {
        if self.shown > 0 {
            list.push(PollFd::new(self.pipe.as_fd(), PollFlags::POLLOUT));
        } else {
            list.push(PollFd::new(self.source.as_fd(), PollFlags::POLLIN));
            // No event but the reader's going away.
            list.push(PollFd::new(self.pipe.as_fd(), PollFlags::empty()));
        }
    }

    /// The end: what the command has read so far is taken, the rest stays where it is.
    pub fn close(mut self) {
        let read = self.shown.saturating_sub(sys::waiting_bytes(self.pipe.as_fd()));
        self.take(read);
    }
}

fn is_hung_up(pipe: &OwnedFd) -> bool {
    is_ready(pipe.as_fd(), PollFlags::empty())
}
