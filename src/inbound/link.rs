//! One connection: its two ends, and the bytes on their way between them. Never waits.
//!
//! Bytes go from a socket into a pipe and from there into the other socket, by splice(2). As long as something is in the pipe no more is
//! taken from the sender, so that a slow reader holds the writer back as it would without us. A connection that is idle has no pipe.

use nix::errno::Errno;
use nix::fcntl::{OFlag, SpliceFFlags, splice};
use nix::sys::epoll::EpollFlags;
use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

/// Bytes of one splice(2), at most; a pipe has room for less.
const MOST: usize = 1 << 20;
/// How often a direction may move bytes before others have their turn.
const TURNS: usize = 16;
/// Pipes that are kept for the next who needs one.
const SPARE_PIPES: usize = 64;

/// A pipe with nothing in it.
#[derive(Debug)]
pub struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
}

/// Pipes that nobody uses.
#[derive(Debug)]
pub struct Pipes(Vec<Pipe>);

impl Pipes {
    /// None yet, with room for all that are kept.
    pub fn new() -> Pipes {
        Pipes(Vec::with_capacity(SPARE_PIPES))
    }

    fn take(&mut self) -> nix::Result<Pipe> {
        if let Some(pipe) = self.0.pop() {
            return Ok(pipe);
        }
        let (out, into) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        Ok(Pipe { out, into })
    }

    fn give(&mut self, pipe: Pipe) {
        if self.0.len() < SPARE_PIPES {
            self.0.push(pipe);
        }
    }
}

/// One side of a connection.
#[derive(Debug)]
pub struct End {
    socket: OwnedFd,
    readable: bool,
    writable: bool,
    /// The kernel has nothing more to do with it.
    dead: bool,
}

impl End {
    /// Of which nothing is known yet.
    pub fn new(socket: OwnedFd) -> End {
        End { socket, readable: false, writable: false, dead: false }
    }

    /// The socket.
    pub fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Takes down what the kernel tells of it.
    pub fn note(&mut self, events: EpollFlags) {
        let over = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
        self.readable |= events.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | over);
        self.writable |= events.intersects(EpollFlags::EPOLLOUT | over);
        self.dead |= events.intersects(over);
    }
}

/// How far one direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It goes on.
    Open,
    /// There will be no more, and the other side does not know yet.
    Ended,
    /// The other side knows it.
    Done,
    /// The other side takes no more.
    Broken,
    /// The sender was reset, or cannot be read.
    Reset,
}

/// One direction.
#[derive(Debug)]
struct Flow {
    state: State,
    /// What is on its way.
    pipe: Option<Pipe>,
    held: usize,
}

impl Flow {
    const fn new() -> Flow {
        Flow { state: State::Open, pipe: None, held: 0 }
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Broken)
    }

    /// Moves what can be moved; whether there may be more to do at once.
    fn pump(&mut self, from: &mut End, to: &mut End, pipes: &mut Pipes) -> bool {
        let mut turns = 0;
        while !self.is_over() && self.state != State::Reset {
            if self.held > 0 {
                if !to.writable {
                    return false;
                }
                self.write(to, pipes);
            } else if self.state == State::Ended {
                // Where it has gone meanwhile, its own direction tells.
                let _ = shutdown(to.socket.as_raw_fd(), Shutdown::Write);
                self.state = State::Done;
            } else if !from.readable {
                break;
            } else if turns == TURNS {
                return true;
            } else {
                turns += 1;
                self.read(from, pipes);
            }
        }
        false
    }

    fn read(&mut self, from: &mut End, pipes: &mut Pipes) {
        let Ok(pipe) = pipes.take() else {
            // No pipe can be had in the whole system: better an end than a connection that stands still.
            self.state = State::Reset;
            return;
        };
        match splice(from.socket.as_fd(), None, pipe.into.as_fd(), None, MOST, HOW) {
            Ok(0) => {
                self.state = State::Ended;
                pipes.give(pipe);
            }
            Ok(count) => {
                self.held = count;
                self.pipe = Some(pipe);
            }
            Err(errno) => {
                pipes.give(pipe);
                match errno {
                    Errno::EAGAIN => from.readable = false,
                    Errno::EINTR => {}
                    _ => self.state = State::Reset,
                }
            }
        }
    }

    fn write(&mut self, to: &mut End, pipes: &mut Pipes) {
        let Some(pipe) = &self.pipe else {
            self.held = 0;
            return;
        };
        match splice(pipe.out.as_fd(), None, to.socket.as_fd(), None, self.held, HOW) {
            Ok(count) if count < self.held => self.held -= count,
            Ok(_) => {
                self.held = 0;
                if let Some(pipe) = self.pipe.take() {
                    pipes.give(pipe);
                }
            }
            Err(Errno::EAGAIN) => to.writable = false,
            Err(Errno::EINTR) => {}
            Err(_) => {
                // With what is in it.
                self.pipe = None;
                self.held = 0;
                self.state = State::Broken;
            }
        }
    }
}

/// Never waits, and hands pages over where it can.
const HOW: SpliceFFlags = SpliceFFlags::SPLICE_F_NONBLOCK.union(SpliceFFlags::SPLICE_F_MOVE);

/// What is to be done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for the kernel.
    Wait,
    /// Go on as soon as others had their turn.
    GoOn,
    /// Both sides have said all.
    Close,
    /// One side was reset: the other is to know.
    Reset,
}

/// Which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The host's.
    Outside,
    /// The sandbox's.
    Inside,
}

/// A connection with both ends.
#[derive(Debug)]
pub struct Link {
    outside: End,
    inside: End,
    inward: Flow,
    outward: Flow,
}

impl Link {
    /// Of two sockets that are connected, or about to be.
    pub fn new(outside: End, inside: OwnedFd) -> Link {
        Link { outside, inside: End::new(inside), inward: Flow::new(), outward: Flow::new() }
    }

    /// One of its ends.
    pub fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Outside => &mut self.outside,
            Side::Inside => &mut self.inside,
        }
    }

    /// Another socket inside, where the first led nowhere.
    pub fn replace_inside(&mut self, socket: OwnedFd) {
        self.inside = End::new(socket);
    }

    /// Moves what can be moved. `last`: nobody inside lives any more, and what they have sent is all that matters.
    pub fn pump(&mut self, pipes: &mut Pipes, last: bool) -> Next {
        let more = self.inward.pump(&mut self.outside, &mut self.inside, pipes)
            | self.outward.pump(&mut self.inside, &mut self.outside, pipes);
        // A side that has said all and is reset after that is heard of in no other way.
        let [inward, outward] = [self.inward.state, self.outward.state];
        for (said, end, other) in
            [(inward, &self.outside, &mut self.outward), (outward, &self.inside, &mut self.inward)]
        {
            if said == State::Done && end.dead && !other.is_over() {
                other.state = State::Broken;
            }
        }
        let states = [self.inward.state, self.outward.state];
        let over = self.outward.is_over() && (last || self.inward.is_over());
        match (states.contains(&State::Reset), over) {
            (true, _) => Next::Reset,
            (false, true) if states.contains(&State::Broken) => Next::Reset,
            (false, true) => Next::Close,
            (false, false) if more => Next::GoOn,
            (false, false) => Next::Wait,
        }
    }

    /// Ends it so that both sides know that something is missing.
    pub fn reset(self) {
        reset(self.outside.socket);
        reset(self.inside.socket);
    }
}

/// Closes a connection by a reset and not by an end.
pub fn reset(socket: OwnedFd) {
    // Where it is dead already there is nobody to tell.
    let _ = setsockopt(&socket, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 });
}
