//! One end of a socket pair that keeps packets apart: messages out, bounded while the other side is slow, and messages in.

use crate::sys::net::{receive_packet, send_packet};
use nix::errno::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Messages that may wait; beyond, nothing is read from the other side, whose requests they answer.
const MANY: usize = 1024;
/// Messages that may wait at most. More only come without being asked for, and the other side is as good as gone.
const TOO_MANY: usize = 65_536;
/// How long to wait when the kernel holds too many descriptors that are on their way (unix(7), `ETOOMANYREFS`).
const PAUSE: Duration = Duration::from_millis(5);

/// One end.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    queue: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    paused: Option<Instant>,
}

/// What came.
#[derive(Debug)]
pub enum Received<T> {
    /// A message, and a descriptor if one came along.
    Message(T, Option<OwnedFd>),
    /// Nothing for now.
    Nothing,
    /// The other side is gone.
    End,
}

impl Channel {
    /// Over this socket.
    pub fn new(socket: OwnedFd) -> Channel {
        Channel { socket, queue: VecDeque::new(), paused: None }
    }

    /// Sends a message, or keeps it until the other side takes it.
    ///
    /// # Errors
    ///
    /// EMSGSIZE: it is longer than `longest`, and nothing was sent. Anything else: the other side is gone.
    pub fn send<T: Serialize>(&mut self, message: &T, descriptor: Option<OwnedFd>, longest: usize) -> io::Result<()> {
        let bytes = postcard::to_allocvec(message).map_err(io::Error::other)?;
        if bytes.len() > longest {
            return Err(Errno::EMSGSIZE.into());
        }
        if self.queue.len() >= TOO_MANY {
            return Err(Errno::ENOBUFS.into());
        }
        self.queue.push_back((bytes, descriptor));
        // Behind others it waits for them.
        if self.queue.len() == 1 { self.flush() } else { Ok(()) }
    }

    /// Sends what waits, as far as the other side takes it.
    ///
    /// # Errors
    ///
    /// The other side is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        self.paused = None;
        while let Some((bytes, descriptor)) = self.queue.front() {
            match send_packet(self.socket.as_fd(), bytes, descriptor.as_ref().map(AsFd::as_fd)) {
                Ok(()) => drop(self.queue.pop_front()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(Errno::ETOOMANYREFS | Errno::ENOBUFS | Errno::ENOMEM) => {
                    self.paused = Some(Instant::now() + PAUSE);
                    break;
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// The next message. A packet that is none is an error: both sides are ours, so the other one is not what it was.
    ///
    /// # Errors
    ///
    /// EMFILE, when there was no number left for a descriptor; anything else ends the channel.
    pub fn receive<T: DeserializeOwned>(&mut self, buffer: &mut [u8]) -> io::Result<Received<T>> {
        loop {
            return match receive_packet(self.socket.as_fd(), buffer) {
                Ok((0, _)) => Ok(Received::End),
                Ok((count, descriptor)) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    let message = postcard::from_bytes(bytes).map_err(io::Error::other)?;
                    Ok(Received::Message(message, descriptor))
                }
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => Ok(Received::Nothing),
                Err(Errno::ECONNRESET | Errno::EPIPE) => Ok(Received::End),
                Err(errno) => Err(errno.into()),
            };
        }
    }

    /// Whether to wait for room to send.
    pub fn wants_to_send(&self) -> bool {
        !self.queue.is_empty() && self.paused.is_none()
    }

    /// Whether to read: not while too much waits to be sent.
    pub fn wants_to_receive(&self) -> bool {
        self.queue.len() < MANY
    }

    /// When to try again what the kernel would not take.
    pub fn pause_ends(&self) -> Option<Instant> {
        self.paused
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
