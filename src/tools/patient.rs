//! Pipes to the tool with a limit on waiting: a process inside may stop the tool, and must not stop the host.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the other side may be silent. Shared by both pipes.
#[derive(Clone, Default)]
pub struct Patience {
    /// `None`: for ever.
    time: Arc<Mutex<Option<Duration>>>,
    /// Where something can be read, or has ended, when nothing more comes from the other side: others there may hold its pipe open.
    over: Option<Arc<OwnedFd>>,
}

impl Patience {
    /// One that also ends when there is something on `over`, or that has ended.
    pub fn until(over: Arc<OwnedFd>) -> Patience {
        Patience { time: Arc::default(), over: Some(over) }
    }

    /// From now on, so long.
    pub fn set(&self, time: Option<Duration>) {
        *self.time.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }
}

/// A pipe that is given up when nothing moves for too long.
pub struct Patient<P> {
    pipe: P,
    patience: Patience,
}

impl<P: AsFd> AsFd for Patient<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl<P: AsFd> Patient<P> {
    /// The same pipe, which belongs to nobody else on our side.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn new(pipe: P, patience: Patience) -> io::Result<Patient<P>> {
        crate::sys::fd::set_nonblocking(pipe.as_fd()).map_err(io::Error::from_raw_os_error)?;
        Ok(Patient { pipe, patience })
    }

    /// Waits until the pipe is ready.
    ///
    /// # Errors
    ///
    /// `TimedOut`, and `UnexpectedEof` where nothing more comes from the other side.
    pub fn wait(&self, for_what: PollFlags) -> io::Result<()> {
        let patience = *self.patience.time.lock().unwrap_or_else(PoisonError::into_inner);
        let timeout =
            patience.map_or(PollTimeout::NONE, |time| PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX));
        let mut list = vec![PollFd::new(self.pipe.as_fd(), for_what)];
        list.extend(self.patience.over.iter().map(|over| PollFd::new(over.as_fd(), PollFlags::POLLIN)));
        match poll(&mut list, timeout) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::TimedOut, "the tool inside does not answer any more")),
            // What has come until then comes first.
            Ok(_) if list[0].any() == Some(false) => {
                let last = poll(&mut [PollFd::new(self.pipe.as_fd(), for_what)], PollTimeout::ZERO);
                if last == Ok(0) { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
            }
            Ok(_) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl<P: Read> Patient<P> {
    /// Reads what can be read without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, and what the kernel answers.
    pub fn try_read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.pipe.read(into)
    }
}

impl<P: Write> Patient<P> {
    /// Writes what can be written without waiting.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pipe.write(bytes)
    }
}

impl<P: AsFd + Read> Read for Patient<P> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.pipe.read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.wait(PollFlags::POLLIN) {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                    waited => waited?,
                },
                read => return read,
            }
        }
    }
}

impl<P: AsFd + Write> Write for Patient<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.pipe.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.wait(PollFlags::POLLOUT) {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        return Err(io::ErrorKind::BrokenPipe.into());
                    }
                    waited => waited?,
                },
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}
