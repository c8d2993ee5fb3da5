//! The tool's part of a stream: forwards bytes between the caller and the keeper, unchanged.
//!
//! It holds one piece each way, and takes the next when that has gone: whoever does not read makes the other wait.

use crate::tools::bulk::{In, Out};
use crate::tools::wire;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

const PIECE: usize = 64 << 10;

/// Bytes on their way.
struct Way {
    piece: Vec<u8>,
    start: usize,
    end: usize,
    open: bool,
}

impl Way {
    fn new() -> Way {
        Way { piece: vec![0; PIECE], start: 0, end: 0, open: true }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Moves what can be moved without waiting.
    fn pump(
        &mut self,
        read: &mut dyn FnMut(&mut [u8]) -> io::Result<usize>,
        write: &mut dyn FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        if self.is_empty() && self.open {
            match without_waiting(read(&mut self.piece))? {
                Some(0) => self.open = false,
                Some(count) => (self.start, self.end) = (0, count),
                None => {}
            }
        }
        if !self.is_empty() {
            self.start += without_waiting(write(&self.piece[self.start..self.end]))?.unwrap_or(0);
        }
        Ok(())
    }
}

/// None where it would have to wait.
fn without_waiting(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Follows frames, so that it is known where one ends.
#[derive(Default)]
struct Frames {
    head: Vec<u8>,
    left: usize,
    last: Option<u8>,
}

impl Frames {
    fn follow(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let content = self.left.min(bytes.len());
            (self.left, bytes) = (self.left - content, &bytes[content..]);
            let head = (wire::HEAD - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..head]);
            bytes = &bytes[head..];
            if let Some((kind, length)) = wire::head_of(&self.head)? {
                (self.left, self.last) = (length, Some(kind));
                self.head.clear();
            }
        }
        Ok(())
    }

    /// Whether something is missing and may be put there.
    fn broke_off(&self) -> bool {
        self.left == 0 && self.head.is_empty() && self.last != Some(wire::END)
    }
}

/// Passes everything on until the keeper has nothing more to say; whether it broke off between two words. A caller who is not shown
/// anything any more may still have sent something.
///
/// # Errors
///
/// A pipe or socket that breaks off.
pub fn forward<R: AsFd + Read, W: AsFd + Write>(
    keeper: &UnixStream,
    from: &mut In<R>,
    to: &mut Out<W>,
) -> io::Result<bool> {
    to.flush()?;
    keeper.set_nonblocking(true)?;
    let (mut there, mut back) = (Way::new(), Way::new());
    let (mut told, mut is_deaf, mut frames) = (false, false, Frames::default());
    while if is_deaf { there.open || !there.is_empty() } else { back.open || !back.is_empty() } {
        let mut list = Vec::with_capacity(4);
        if there.open && there.is_empty() {
            list.push(PollFd::new(from.as_fd(), PollFlags::POLLIN));
        }
        let mut of_keeper = PollFlags::empty();
        of_keeper.set(PollFlags::POLLIN, back.is_empty() && !is_deaf);
        of_keeper.set(PollFlags::POLLOUT, !there.is_empty());
        if !of_keeper.is_empty() {
            list.push(PollFd::new(keeper.as_fd(), of_keeper));
        }
        // No event but the caller's going away.
        let wanted = if back.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        if !is_deaf {
            list.push(PollFd::new(to.as_fd(), wanted));
        }
        let timeout = if there.is_empty() && from.has_some() { PollTimeout::ZERO } else { PollTimeout::NONE };
        match poll(&mut list, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let failed = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| events.contains(PollFlags::POLLERR));
        is_deaf |= list.last().is_some_and(failed);
        drop(list);
        let mut keeper_out = keeper;
        // A keeper that takes nothing more may still have something to say.
        if there.pump(&mut |piece| from.try_read(piece), &mut |piece| keeper_out.write(piece)).is_err() {
            (there.open, there.start) = (false, there.end);
        }
        if !there.open && there.is_empty() && !std::mem::replace(&mut told, true) {
            let _ = keeper.shutdown(Shutdown::Write);
        }
        let mut keeper_in = keeper;
        if !is_deaf {
            let mut read = |piece: &mut [u8]| {
                let count = keeper_in.read(piece)?;
                frames.follow(&piece[..count]).map(|()| count)
            };
            back.pump(&mut read, &mut |piece| to.try_write(piece))?;
        }
    }
    Ok(!is_deaf && frames.broke_off())
}
