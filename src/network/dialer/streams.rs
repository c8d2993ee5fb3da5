//! Names by TCP: connections from inside to port 53, whatever the address, end here (RFC 7766).

use super::watch::{Kind, Watch};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use std::collections::HashMap;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// Connections at once.
const MOST: usize = 64;
/// Questions of one connection that wait for their answers.
const MOST_WAITING: usize = 16;
/// Bytes that wait to be read by the other side; beyond, no more questions are read.
const MOST_OUTPUT: usize = 256 << 10;
/// Bytes that were read and not understood yet; a question has fewer.
const MOST_INPUT: usize = 68 << 10;
/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(30);

/// All such connections, by numbers of our own.
#[derive(Debug, Default)]
pub struct Streams {
    all: HashMap<u64, Stream>,
    next: u64,
}

#[derive(Debug)]
struct Stream {
    socket: OwnedFd,
    input: Vec<u8>,
    output: Vec<u8>,
    waiting: usize,
    until: Instant,
    /// The other side says nothing more.
    ended: bool,
}

impl Streams {
    /// A new connection: its number, and the end that goes to the packet process.
    ///
    /// # Errors
    ///
    /// There are too many, or there are no descriptors left.
    pub fn open(&mut self, watch: &Watch) -> nix::Result<(u64, OwnedFd)> {
        if self.all.len() >= MOST {
            return Err(Errno::EMFILE);
        }
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, flags)?;
        let number = self.next;
        self.next += 1;
        if !watch.add(&ours, Kind::Stream, number, true, false) {
            return Err(Errno::ENOSPC);
        }
        let until = Instant::now() + IDLE;
        let stream = Stream { socket: ours, input: Vec::new(), output: Vec::new(), waiting: 0, until, ended: false };
        self.all.insert(number, stream);
        Ok((number, theirs))
    }

    /// Reads and writes what goes without waiting.
    pub fn ready(&mut self, number: u64, hung_up: bool, buffer: &mut [u8]) {
        let Some(stream) = self.all.get_mut(&number) else { return };
        if hung_up {
            return stream.fail();
        }
        stream.write();
        if stream.reads() {
            stream.read(buffer);
        }
    }

    /// Questions that are whole, and for whose answers there is room.
    pub fn questions(&mut self, number: u64) -> Vec<Vec<u8>> {
        self.all.get_mut(&number).map(Stream::questions).unwrap_or_default()
    }

    /// An answer; empty, where a message gets none.
    pub fn answer(&mut self, number: u64, message: &[u8]) {
        let Some(stream) = self.all.get_mut(&number) else { return };
        stream.waiting = stream.waiting.saturating_sub(1);
        stream.until = Instant::now() + IDLE;
        // No answer is longer than TCP allows.
        if let Some(length) = u16::try_from(message.len()).ok().filter(|length| *length > 0) {
            stream.output.extend_from_slice(&length.to_be_bytes());
            stream.output.extend_from_slice(message);
        }
        stream.write();
    }

    /// Ends what was idle for too long; their numbers.
    pub fn expire(&mut self, now: Instant) -> Vec<u64> {
        let idle: Vec<u64> =
            self.all.iter().filter(|(_, stream)| stream.until <= now).map(|(number, _)| *number).collect();
        idle.iter().for_each(|number| drop(self.all.remove(number)));
        idle
    }

    /// When to look for what was idle for too long.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.all.values().map(|stream| stream.until).min()
    }

    /// Ends one.
    pub fn close(&mut self, number: u64) {
        self.all.remove(&number);
    }

    /// Ends what has nothing more to do, or waits for what it needs; whether it lives.
    pub fn settle(&mut self, watch: &Watch, number: u64) -> bool {
        let Some(stream) = self.all.get(&number) else { return false };
        if stream.ended && stream.waiting == 0 && stream.output.is_empty() {
            self.all.remove(&number);
            return false;
        }
        watch.change(&stream.socket, Kind::Stream, number, stream.reads(), !stream.output.is_empty());
        true
    }
}

impl Stream {
    /// Whether to read more.
    fn reads(&self) -> bool {
        !self.ended && self.input.len() < MOST_INPUT && self.answers()
    }

    /// Whether there is room for answers.
    fn answers(&self) -> bool {
        self.waiting < MOST_WAITING && self.output.len() < MOST_OUTPUT
    }

    fn read(&mut self, buffer: &mut [u8]) {
        match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.input.extend_from_slice(buffer.get(..count).unwrap_or_default());
                self.until = Instant::now() + IDLE;
            }
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => self.fail(),
        }
    }

    fn write(&mut self) {
        while !self.output.is_empty() {
            match send(self.socket.as_raw_fd(), &self.output, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(_) => self.fail(),
            }
        }
    }

    /// The other side is gone: nobody waits for anything.
    fn fail(&mut self) {
        self.ended = true;
        self.waiting = 0;
        self.input.clear();
        self.output.clear();
    }

    /// Takes whole questions out of what was read.
    fn questions(&mut self) -> Vec<Vec<u8>> {
        let mut questions = Vec::new();
        while self.answers()
            && let Some((length, rest)) = self.input.split_first_chunk::<2>()
            && let Some(message) = rest.get(..usize::from(u16::from_be_bytes(*length)))
        {
            let message = message.to_vec();
            self.input.drain(..message.len() + 2);
            self.waiting += 1;
            questions.push(message);
        }
        questions
    }
}
