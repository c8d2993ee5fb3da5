//! Messages to the dialer: sent at once, or kept in order until its socket takes them.

use crate::network::wire::ToDialer;
use crate::sys::packet as sys;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

/// Messages that wait before queries and openings are refused.
const MANY: usize = 1024;

/// The socket and what waits for it.
pub struct Outbox {
    socket: OwnedFd,
    waiting: VecDeque<Vec<u8>>,
    /// The dialer is gone.
    pub closed: bool,
}

impl Outbox {
    /// Nothing waits yet.
    pub fn new(socket: OwnedFd) -> Outbox {
        Outbox { socket, waiting: VecDeque::new(), closed: false }
    }

    /// The descriptor, to be waited for and to be received from.
    pub fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Whether so much waits that nothing new should begin. What ends is told in any case: it is bounded by what had begun.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= MANY
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Sends a message, or keeps it.
    pub fn send(&mut self, message: &ToDialer) {
        // Encoding into memory does not fail for these types; one that did would be a message that the dialer cannot read either.
        if let Ok(bytes) = postcard::to_allocvec(message) {
            self.waiting.push_back(bytes);
            self.flush();
        }
    }

    /// Sends what waits, as far as the socket takes it.
    pub fn flush(&mut self) {
        while let Some(bytes) = self.waiting.front() {
            match sys::send(self.socket.as_fd(), bytes) {
                Ok(_) => drop(self.waiting.pop_front()),
                Err(libc::EAGAIN | libc::EINTR | libc::ENOBUFS) => return,
                Err(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
        // A burst's memory is given back.
        self.waiting.shrink_to(16);
    }
}
