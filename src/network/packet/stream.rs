//! The outside of a TCP connection: a socket that the dialer has connected. What has come stays in it until the sandbox has acknowledged
//! it: the socket is the buffer for repetitions.

use crate::sys::packet as sys;
use std::os::fd::{AsFd, OwnedFd};

/// Bytes in flight to the sandbox at most: its acknowledgements come at once, and what is much more than a processor's cache costs
/// downloads a fifth.
const FLIGHT: usize = 1 << 20;
/// The same where each look copies them again.
const FLIGHT_COPIED: usize = 512 << 10;
/// Bytes that the kernel keeps of an upload whose peer takes nothing. Alone it takes 2.6 MB for each at once and 4 MiB at last
/// (`tcp_wmem`), which is memory of the machine that no limit of the sandbox counts.
const UNSENT: i32 = 256 << 10;

/// What a look found.
pub enum Look {
    /// So many bytes.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The other side has finished.
    End,
    /// The connection is broken.
    Broken,
}

/// The socket.
pub struct Stream {
    fd: OwnedFd,
    local: bool,
    peek_offset: bool,
}

impl Stream {
    /// Takes a connected socket over. `local`: a socket pair; `peek_offset`: try `SO_PEEK_OFF`, which each kind of socket knows since
    /// another version of Linux, so that it is probed on each.
    pub fn new(fd: OwnedFd, local: bool, peek_offset: bool) -> Stream {
        if !local {
            // Without these the connection is slower, loses an urgent byte, or takes more of the kernel's memory.
            let _ = sys::send_at_once(&fd);
            let _ = sys::keep_urgent_inline(&fd);
            // Linux knows it since 3.12.
            let _ = sys::bound_unsent(&fd, UNSENT);
        }
        let peek_offset = peek_offset && sys::set_peek_offset(fd.as_fd(), 0).is_ok();
        Stream { fd, local, peek_offset }
    }

    /// Bytes in flight at most.
    pub fn flight(&self) -> usize {
        if self.peek_offset { FLIGHT } else { FLIGHT_COPIED }
    }

    /// Copies what comes after the first `skip` bytes. `hung_up`: the kernel has said that the other side finished.
    pub fn look(&self, skip: usize, hung_up: bool, data: &mut [u8], sink: &mut [u8]) -> Look {
        let found = if self.peek_offset || skip == 0 {
            sys::peek(self.fd.as_fd(), data)
        } else {
            sys::peek_past(self.fd.as_fd(), skip, sink, data).map(|count| count.saturating_sub(skip))
        };
        match found {
            // Past skipped bytes, "nothing more" and "the end" look the same.
            Ok(0) if self.peek_offset || skip == 0 || hung_up => Look::End,
            Ok(0) | Err(libc::EAGAIN | libc::EINTR) => Look::Nothing,
            Ok(count) => Look::Bytes(count),
            Err(_) => Look::Broken,
        }
    }

    /// Lets the next look begin after `offset` bytes.
    pub fn look_from(&self, offset: usize) {
        if self.peek_offset {
            // The option is known, and takes every number that is not negative.
            let _ = sys::set_peek_offset(self.fd.as_fd(), i32::try_from(offset).unwrap_or(i32::MAX));
        }
    }

    /// Throws away the first `count` bytes: the sandbox has them. `false`: the connection is broken.
    pub fn discard(&self, mut count: usize, sink: &mut [u8]) -> bool {
        while count > 0 {
            let length = count.min(sink.len());
            let gone = match self.local {
                true => sys::receive(self.fd.as_fd(), sink.get_mut(..length).unwrap_or_default()),
                false => sys::discard(self.fd.as_fd(), count),
            };
            match gone {
                Ok(gone @ 1..) => count = count.saturating_sub(gone),
                Err(libc::EINTR) => {}
                Ok(0) | Err(_) => return false,
            }
        }
        true
    }

    /// Sends what fits; 0: nothing fits now.
    pub fn send(&self, bytes: &[u8]) -> Option<usize> {
        match sys::send(self.fd.as_fd(), bytes) {
            Ok(count) => Some(count),
            Err(libc::EAGAIN | libc::EINTR | libc::ENOBUFS) => Some(0),
            Err(_) => None,
        }
    }

    /// Tells the other side that nothing more comes.
    pub fn finish(&self) {
        // A connection that is broken shows when it is looked at.
        let _ = sys::finish_writing(self.fd.as_fd());
    }

    /// Lets closing reset the connection.
    pub fn reset_on_close(&self) {
        if !self.local {
            // Otherwise it closes in the ordinary way, which the other side sees as an end.
            let _ = sys::reset_on_close(&self.fd);
        }
    }
}
