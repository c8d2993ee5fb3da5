//! Pipes to the tool with an end to waiting: whoever is inside may stop the tool, and must not stop the host.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the other side may be silent. Shared by both pipes; `None`: for ever.
pub type Patience = Arc<Mutex<Option<Duration>>>;

/// A pipe that is given up when nothing moves for too long.
pub struct Patient<P> {
    pipe: P,
    patience: Patience,
}

impl<P: AsFd> Patient<P> {
    /// The same pipe, which belongs to nobody else on our side.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn new(pipe: P, patience: Patience) -> io::Result<Patient<P>> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Patient { pipe, patience })
    }

    fn wait(&self, for_what: PollFlags) -> io::Result<()> {
        let patience = *self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        let timeout =
            patience.map_or(PollTimeout::NONE, |time| PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX));
        match poll(&mut [PollFd::new(self.pipe.as_fd(), for_what)], timeout) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::TimedOut, "the tool inside does not answer any more")),
            Ok(_) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl<P: AsFd + Read> Read for Patient<P> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.pipe.read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::POLLIN)?,
                read => return read,
            }
        }
    }
}

impl<P: AsFd + Write> Write for Patient<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.pipe.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::POLLOUT)?,
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}
