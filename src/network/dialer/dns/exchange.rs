//! One question to one server: by UDP, from a socket and so a port of its own, or by TCP where the answer is too long for that.

use super::message::{Heard, read_answer, write_question};
use crate::network::dialer::dial;
use crate::sys::net::random;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockType, recv, send};
use simple_dns::TYPE;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

/// Datagrams that are looked at in one go: somebody who floods us with guesses must not keep us from the rest.
const AT_ONCE: usize = 32;

/// A question on its way.
#[derive(Debug)]
pub struct Exchange {
    socket: OwnedFd,
    id: u16,
    stream: Option<Stream>,
}

/// What a TCP connection has still to send, and has received.
#[derive(Debug, Default)]
struct Stream {
    out: Vec<u8>,
    input: Vec<u8>,
}

impl Exchange {
    /// Asks `server` by UDP.
    ///
    /// # Errors
    ///
    /// It cannot be reached, or no socket be had.
    pub fn by_udp(server: SocketAddr, name: &str, kind: TYPE, edns: bool) -> nix::Result<Exchange> {
        let (id, question) = question(name, kind, edns)?;
        let socket = dial::socket(server, SockType::Datagram, None)?;
        dial::connect(&socket, server)?;
        send(socket.as_raw_fd(), &question, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)?;
        Ok(Exchange { socket, id, stream: None })
    }

    /// Asks `server` by TCP; what there is to send goes when the connection is there.
    ///
    /// # Errors
    ///
    /// It cannot be reached, or no socket be had.
    pub fn by_tcp(server: SocketAddr, name: &str, kind: TYPE) -> nix::Result<Exchange> {
        let (id, question) = question(name, kind, true)?;
        let socket = dial::socket(server, SockType::Stream, None)?;
        match dial::connect(&socket, server) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        let length = u16::try_from(question.len()).map_err(|_| Errno::EMSGSIZE)?;
        let out = [&length.to_be_bytes(), question.as_slice()].concat();
        Ok(Exchange { socket, id, stream: Some(Stream { out, input: Vec::new() }) })
    }

    /// Whether it goes by TCP.
    pub fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// Whether it has still to send.
    pub fn wants_to_send(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| !stream.out.is_empty())
    }

    /// What the server said so far. `None`: nothing that counts.
    ///
    /// # Errors
    ///
    /// It cannot be reached, or has hung up.
    pub fn hear(&mut self, name: &str, kind: TYPE, buffer: &mut [u8]) -> nix::Result<Option<Heard>> {
        match &mut self.stream {
            None => by_datagram(&self.socket, self.id, name, kind, buffer),
            Some(stream) => stream.go_on(&self.socket, buffer)?.map_or(Ok(None), |message| {
                match read_answer(&message, self.id, name, kind) {
                    // Nobody but the server can write into a connection: what is wrong there stays wrong.
                    Heard::Unrelated | Heard::Truncated => Ok(Some(Heard::Broken)),
                    heard => Ok(Some(heard)),
                }
            }),
        }
    }
}

impl AsFd for Exchange {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// An id that nobody can foresee, and the question with it.
fn question(name: &str, kind: TYPE, edns: bool) -> nix::Result<(u16, Vec<u8>)> {
    let [high, low, ..] = random().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    let id = u16::from_be_bytes([high, low]);
    write_question(id, name, kind, edns).map(|question| (id, question)).ok_or(Errno::EINVAL)
}

fn by_datagram(socket: &OwnedFd, id: u16, name: &str, kind: TYPE, buffer: &mut [u8]) -> nix::Result<Option<Heard>> {
    for _ in 0..AT_ONCE {
        match recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(count) => match read_answer(buffer.get(..count).unwrap_or_default(), id, name, kind) {
                Heard::Unrelated => {}
                heard => return Ok(Some(heard)),
            },
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(None)
}

impl Stream {
    /// Sends and receives what goes without waiting. The message, when it is whole.
    fn go_on(&mut self, socket: &OwnedFd, buffer: &mut [u8]) -> nix::Result<Option<Vec<u8>>> {
        while !self.out.is_empty() {
            match send(socket.as_raw_fd(), &self.out, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN | Errno::ENOTCONN) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        }
        loop {
            if let Some((length, rest)) = self.input.split_first_chunk::<2>()
                && let Some(message) = rest.get(..usize::from(u16::from_be_bytes(*length)))
            {
                return Ok(Some(message.to_vec()));
            }
            match recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return Err(Errno::ECONNRESET),
                // A message has 64 KiB at most, so this ends.
                Ok(count) => self.input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        }
    }
}
