//! The supervisor's ends of the command's streams.
//!
//! The sandbox holds pipes only; the caller's files, terminals and sockets stay outside. Nothing here ever waits:
//! [`Relays::pump`] moves what can be moved, up to a measure, and the event loop polls for the rest. Input is read
//! ahead only as far as the pipe holds, and what the command did not read is given back where the caller's file can
//! be rewound.

use super::tap::Tap;
use crate::outcome::Captured;
use crate::spec::OutputLimit;
use crate::sys::fd as sys;
use crate::sys::tty::read_to_the_end;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::SFlag;
use nix::unistd::{Whence, lseek, read, write};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

/// Bytes moved at a time: as much as a pipe holds.
const CHUNK: usize = 64 << 10;

/// Chunks of one stream moved before the event loop has its turn: who writes or reads as fast as we do must not
/// keep us from the clock.
const MEASURE: usize = 16;
/// More than a terminal holds (TTYB_DEFAULT_MEM_LIMIT and its line discipline's buffer).
const MOST_IN_TERMINAL: usize = 128 << 10;

/// All streams of one run.
#[derive(Default)]
pub struct Relays {
    /// Standard input, if it is relayed and no pipe.
    pub input: Option<Inlet>,
    /// Standard input, if it is a pipe.
    pub tap: Option<Tap>,
    /// What of an input that has ended may still be given back.
    rest: Option<Rest>,
    /// Why input could not be read to its end.
    unread: Option<i32>,
    /// Standard output (1) and standard error (2), as far as they are relayed.
    pub outputs: Vec<(usize, Outlet)>,
    /// Where a terminal's output goes, until the terminal is there.
    pub terminal: Option<Sink>,
}

/// What became of an attempt to move bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// There is more to come.
    Open,
    /// The stream has ended.
    Ended,
    /// The output limit was passed, and the command is to be ended for it.
    OverLimit,
}

impl Relays {
    /// Moves what can be moved without waiting; `true` when a stream passed a limit that ends the command.
    pub fn pump(&mut self) -> bool {
        if self.input.as_mut().is_some_and(|inlet| inlet.pump() == Flow::Ended) {
            self.input_ended();
        }
        if self.tap.as_mut().is_some_and(|tap| tap.pump() == Flow::Ended) {
            self.close_tap();
        }
        let mut over = false;
        for (_, outlet) in &mut self.outputs {
            over |= outlet.pump() == Flow::OverLimit;
        }
        over
    }

    /// What the event loop waits for.
    pub fn interests<'a>(&'a self, list: &mut Vec<PollFd<'a>>) {
        if let Some(inlet) = &self.input {
            inlet.interests(list);
        }
        if let Some(tap) = &self.tap {
            tap.interests(list);
        }
        for (_, outlet) in &self.outputs {
            outlet.interests(list);
        }
    }

    /// Nothing more will come, or nobody reads it any more: the command sees the end of its input.
    fn input_ended(&mut self) {
        if let Some(inlet) = self.input.take() {
            self.unread = inlet.unread;
            self.rest = inlet.end();
        }
    }

    fn close_tap(&mut self) {
        if let Some(tap) = self.tap.take() {
            tap.close();
        }
    }

    /// No more input is taken; what was not read is given back.
    pub fn close_input(&mut self) {
        self.close_tap();
        self.input_ended();
        if let Some(rest) = self.rest.take() {
            rest.give_back();
        }
    }

    /// Nobody is left to write. What has neither bytes nor an end by now is a terminal that was never opened, and of
    /// those the end never comes.
    pub fn forget_unopened(&mut self) {
        for (_, outlet) in &mut self.outputs {
            outlet.source.take_if(|source| !is_ready(source.as_fd(), PollFlags::POLLIN));
        }
    }

    /// Takes what is there by now and nothing more, however slow its reader is: the other side may stay open, and be written to.
    pub fn close_sources(&mut self) {
        for (_, outlet) in &mut self.outputs {
            outlet.close_source();
        }
    }

    /// Whether all output has been delivered.
    pub fn drained(&self) -> bool {
        self.outputs.iter().all(|(_, outlet)| outlet.source.is_none() && outlet.pending.is_empty())
    }

    /// The stream that was cut short, if one was, and why: input that could not be read, output that could not be
    /// delivered.
    pub fn lost(&self) -> Option<(usize, i32)> {
        let input = self.unread.map(|errno| (0, errno));
        input.or_else(|| self.outputs.iter().find_map(|(number, outlet)| Some((*number, outlet.lost?))))
    }

    /// What was captured of stream `number`.
    pub fn captured(&mut self, number: usize) -> Captured {
        let found = self.outputs.iter_mut().find(|(stream, _)| *stream == number);
        found.map(|(_, outlet)| outlet.captured()).unwrap_or_default()
    }
}

/// From the caller to the command.
pub struct Inlet {
    source: OwnedFd,
    pipe: OwnedFd,
    pending: Vec<u8>,
    ended: bool,
    /// A terminal is told the end of input by a character, not by closing.
    terminal: bool,
    /// Offset at which reading began, where the source can be rewound.
    began: Option<i64>,
    taken: u64,
    /// Why the source could not be read to its end.
    unread: Option<i32>,
}

/// What was read ahead of a file and may stay unread.
struct Rest {
    source: OwnedFd,
    /// The command's end of the pipe, kept to see how much is still in it.
    pipe: OwnedFd,
    began: i64,
    written: u64,
}

/// `VEOF` as a new terminal has it: control-D.
const END_OF_FILE: u8 = 4;

impl Inlet {
    /// From `source` into `pipe`.
    pub fn new(source: OwnedFd, pipe: OwnedFd) -> Result<Inlet, i32> {
        sys::set_nonblocking(pipe.as_fd())?;
        let began = lseek(&source, 0, Whence::SeekCur).ok().filter(|_| is_kind(source.as_fd(), SFlag::S_IFREG));
        Ok(Inlet { source, pipe, pending: Vec::new(), ended: false, terminal: false, began, taken: 0, unread: None })
    }

    /// From `source` to the master side of a terminal.
    pub fn to_terminal(source: OwnedFd, master: OwnedFd) -> Result<Inlet, i32> {
        Ok(Inlet { terminal: true, began: None, ..Inlet::new(source, master)? })
    }

    /// A terminal or a socket whose other side is gone has ended; anything else was cut short.
    fn is_end(&self, errno: Errno) -> bool {
        errno == Errno::ECONNRESET || (errno == Errno::EIO && self.began.is_none())
    }

    fn pump(&mut self) -> Flow {
        for _ in 0..MEASURE {
            if self.pending.is_empty() {
                if self.ended {
                    return Flow::Open;
                }
                if self.in_background() || !is_ready(self.source.as_fd(), PollFlags::POLLIN) {
                    return self.hung_up();
                }
                self.pending.resize(CHUNK, 0);
                let result = read(&self.source, &mut self.pending);
                self.pending.truncate(result.unwrap_or(0));
                self.taken += self.pending.len() as u64;
                match result {
                    // Somebody else has read it meanwhile.
                    Err(Errno::EAGAIN | Errno::EINTR) => return Flow::Open,
                    Ok(0) | Err(_) => {
                        self.unread = result.err().filter(|errno| !self.is_end(*errno)).map(|errno| errno as i32);
                        self.ended = true;
                        // At once, whatever is left of the measure: nothing would wake us again.
                        if !self.terminal {
                            return Flow::Ended;
                        }
                        self.pending.push(END_OF_FILE);
                    }
                    Ok(_) => {}
                }
            }
            match write(&self.pipe, &self.pending) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(Errno::EAGAIN | Errno::EINTR) => return Flow::Open,
                // The command has closed its standard input.
                Err(_) => return Flow::Ended,
            }
        }
        Flow::Open
    }

    /// A terminal in whose background we are is somebody else's to read: it answers EIO.
    fn in_background(&self) -> bool {
        nix::unistd::tcgetpgrp(&self.source).is_ok_and(|group| group != nix::unistd::getpgrp())
    }

    fn hung_up(&self) -> Flow {
        if is_ready(self.pipe.as_fd(), PollFlags::empty()) && !self.terminal { Flow::Ended } else { Flow::Open }
    }

    fn interests<'a>(&'a self, list: &mut Vec<PollFd<'a>>) {
        if self.pending.is_empty() {
            // In the background we look again at the next reading.
            if !self.ended && !self.in_background() {
                list.push(PollFd::new(self.source.as_fd(), PollFlags::POLLIN));
            }
            if !self.terminal {
                // No event but the reader's going away.
                list.push(PollFd::new(self.pipe.as_fd(), PollFlags::empty()));
            }
        } else {
            list.push(PollFd::new(self.pipe.as_fd(), PollFlags::POLLOUT));
        }
    }

    /// Closes the pipe to the command.
    fn end(self) -> Option<Rest> {
        let began = self.began?;
        // A writer's end would keep the command waiting. Without /proc nothing is given back, as for a pipe.
        let pipe = sys::open_anew(self.pipe.as_fd(), OFlag::O_RDONLY)?;
        Some(Rest { source: self.source, pipe, began, written: self.taken - self.pending.len() as u64 })
    }
}

impl Rest {
    /// Rewinds the file to where the command stopped reading, as if it had read the file itself.
    fn give_back(self) {
        let consumed = self.written.saturating_sub(sys::waiting_bytes(self.pipe.as_fd()));
        // A source that can be asked for its offset can be given one.
        let _ = lseek(&self.source, self.began + consumed as i64, Whence::SeekSet);
    }
}

/// From the command to the caller.
pub struct Outlet {
    source: Option<OwnedFd>,
    sink: Sink,
    pending: Vec<u8>,
    seen: u64,
    lost: Option<i32>,
    /// How much is still taken, once that is known.
    left: Option<usize>,
    /// What was read last: kept for its memory, of which no more is touched than there is output.
    chunk: Vec<u8>,
}

/// Where output goes.
pub struct Sink {
    target: Target,
    limit: Option<OutputLimit>,
}

/// Somebody of ours who is told what the command writes, as it comes.
pub type Follower = Box<dyn FnMut(&[u8])>;

enum Target {
    Memory(Captured),
    Follower(Follower),
    Descriptor { fd: OwnedFd, way: Way },
}

/// How to write without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Writing never waits: a regular file, or a description of our own that says so.
    Plain,
    /// A socket can be told so with each call.
    Socket,
    /// The caller's own description of a terminal or pipe that we may not open: little at a time, when there is room.
    Careful,
}

/// What a terminal or pipe takes when it says that it takes anything (`WAKEUP_CHARS` of the kernel's line discipline).
const CAREFUL: usize = 256;

impl Sink {
    /// Into memory, up to a limit.
    pub fn capture(limit: OutputLimit) -> Sink {
        Sink { target: Target::Memory(Captured::default()), limit: Some(limit) }
    }

    /// To somebody of ours, without an end.
    pub fn follow(follower: Follower) -> Sink {
        Sink { target: Target::Follower(follower), limit: None }
    }

    /// To a stream of the caller. Its flags are the caller's: what could make us wait is opened anew instead.
    pub fn stream(fd: OwnedFd, limit: Option<OutputLimit>) -> Sink {
        let (fd, way) = if is_kind(fd.as_fd(), SFlag::S_IFREG) {
            (fd, Way::Plain)
        } else if is_kind(fd.as_fd(), SFlag::S_IFSOCK) {
            (fd, Way::Socket)
        } else {
            match sys::open_anew(fd.as_fd(), OFlag::O_WRONLY) {
                Some(again) => (again, Way::Plain),
                None => (fd, Way::Careful),
            }
        };
        Sink { target: Target::Descriptor { fd, way }, limit }
    }
}

impl Outlet {
    /// From `source`, our end of a pipe or terminal, to `sink`.
    pub fn new(source: OwnedFd, sink: Sink) -> Result<Outlet, i32> {
        sys::set_nonblocking(source.as_fd())?;
        Ok(Outlet {
            source: Some(source),
            sink,
            pending: Vec::new(),
            seen: 0,
            lost: None,
            left: None,
            chunk: Vec::new(),
        })
    }

    /// Our end of the stream, until it has ended.
    pub fn source(&self) -> Option<&OwnedFd> {
        self.source.as_ref()
    }

    fn close_source(&mut self) {
        self.source.take_if(|source| !is_ready(source.as_fd(), PollFlags::POLLIN));
        // A terminal does not tell how much it holds: until it has nothing more, but for a bound.
        let waiting = |source: &OwnedFd| match sys::waiting_bytes(source.as_fd()) {
            count if is_kind(source.as_fd(), SFlag::S_IFIFO) => count as usize,
            _ => MOST_IN_TERMINAL,
        };
        self.left = self.source.as_ref().map(waiting);
    }

    fn pump(&mut self) -> Flow {
        for _ in 0..MEASURE {
            if !self.pending.is_empty() && self.deliver() == Flow::Open {
                return Flow::Open;
            }
            let Some(source) = &self.source else { return Flow::Ended };
            let length = self.left.unwrap_or(CHUNK).min(CHUNK);
            match read_to_the_end(|| sys::read_anew(source.as_fd(), &mut self.chunk, length)) {
                Err(Errno::EAGAIN | Errno::EINTR) if self.left.is_none() => return Flow::Open,
                // A terminal answers EIO when nobody has its other side open any more.
                Ok(0) | Err(_) => {
                    self.source = None;
                    return Flow::Ended;
                }
                Ok(count) => {
                    self.left = self.left.map(|left| left - count);
                    let chunk = std::mem::take(&mut self.chunk);
                    let flow = self.take(&chunk);
                    self.chunk = chunk;
                    if flow == Flow::OverLimit {
                        return Flow::OverLimit;
                    }
                }
            }
        }
        Flow::Open
    }

    /// Keeps what the limit allows and drops the rest.
    fn take(&mut self, bytes: &[u8]) -> Flow {
        let room = self.sink.limit.map_or(u64::MAX, |limit| limit.bytes.saturating_sub(self.seen));
        self.seen += bytes.len() as u64;
        let kept = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        let over = kept.len() < bytes.len();
        match &mut self.sink.target {
            Target::Memory(captured) => {
                captured.bytes.extend_from_slice(kept);
                captured.truncated |= over;
            }
            Target::Follower(follower) => follower(kept),
            Target::Descriptor { .. } => self.pending.extend_from_slice(kept),
        }
        if over && self.sink.limit.is_some_and(|limit| limit.kill) { Flow::OverLimit } else { Flow::Open }
    }

    /// Writes what is pending; `Open` when some of it has to wait.
    fn deliver(&mut self) -> Flow {
        let Target::Descriptor { fd, way } = &self.sink.target else { return Flow::Ended };
        while !self.pending.is_empty() {
            let result = match way {
                Way::Plain => write(fd, &self.pending),
                Way::Socket => send(fd.as_raw_fd(), &self.pending, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL),
                Way::Careful if !is_ready(fd.as_fd(), PollFlags::POLLOUT) => Err(Errno::EAGAIN),
                Way::Careful => write(fd, &self.pending[..self.pending.len().min(CAREFUL)]),
            };
            match result {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Flow::Open,
                Err(errno) => {
                    // The command learns it as it would without us: its next write is refused.
                    self.pending.clear();
                    self.source = None;
                    self.lost = (errno != Errno::EPIPE).then_some(errno as i32);
                }
            }
        }
        Flow::Ended
    }

    fn interests<'a>(&'a self, list: &mut Vec<PollFd<'a>>) {
        match (&self.sink.target, &self.source) {
            (Target::Descriptor { fd, .. }, _) if !self.pending.is_empty() => {
                list.push(PollFd::new(fd.as_fd(), PollFlags::POLLOUT));
            }
            (_, Some(source)) => list.push(PollFd::new(source.as_fd(), PollFlags::POLLIN)),
            (_, None) => {}
        }
    }

    /// What was captured. A limit that cut a character in two must not turn text into base64: the cut moves to the
    /// character's beginning.
    fn captured(&mut self) -> Captured {
        let Target::Memory(captured) = &mut self.sink.target else { return Captured::default() };
        let mut captured = std::mem::take(captured);
        if captured.truncated
            && let Err(error) = std::str::from_utf8(&captured.bytes)
            && error.error_len().is_none()
        {
            captured.bytes.truncate(error.valid_up_to());
        }
        captured
    }
}

fn is_kind(fd: BorrowedFd<'_>, kind: SFlag) -> bool {
    nix::sys::stat::fstat(fd).is_ok_and(|status| SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT == kind)
}

/// Whether any of `events`, an error or a hang-up is there now.
pub fn is_ready(fd: BorrowedFd<'_>, events: PollFlags) -> bool {
    let mut list = [PollFd::new(fd, events)];
    nix::poll::poll(&mut list, PollTimeout::ZERO).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, fcntl};
    use std::io::{Seek as _, Write as _};

    #[test]
    fn input_that_ends_with_the_measure_has_ended() {
        let memory = nix::sys::memfd::memfd_create(c"input", nix::sys::memfd::MFdFlags::empty()).unwrap();
        let mut file = std::fs::File::from(memory);
        file.write_all(&vec![b'x'; (MEASURE - 1) * CHUNK]).unwrap();
        file.rewind().unwrap();
        let (_reader, writer) = nix::unistd::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ((MEASURE * CHUNK) as i32)).unwrap();
        let mut inlet = Inlet::new(file.into(), writer).unwrap();
        assert_eq!(inlet.pump(), Flow::Ended);
    }
}
