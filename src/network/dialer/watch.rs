//! What the dialer waits for: epoll, and what stands behind each of its events.

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// What has something to say. Each has numbers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The supervisor.
    Supervisor = 0,
    /// The packet process.
    Packet = 1,
    /// A connect that takes a while.
    Connect = 2,
    /// A question to a server.
    Question = 3,
    /// A connection from inside that asks for names.
    Stream = 4,
}

/// The bits of an event's word that hold the kind.
const SHIFT: u32 = 56;

/// An event.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// What has something to say.
    pub kind: Kind,
    /// Which.
    pub number: u64,
    /// Whether the other side is gone, in both directions.
    pub hung_up: bool,
}

/// What is waited for.
#[derive(Debug)]
pub struct Watch {
    epoll: Epoll,
}

impl Watch {
    /// Nothing yet.
    ///
    /// # Errors
    ///
    /// What epoll_create1(2) answers.
    pub fn new() -> nix::Result<Watch> {
        Ok(Watch { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)? })
    }

    /// Waits for `fd` as well. It ends when the descriptor is closed, if nobody else has it. Whether it could be added.
    pub fn add(&self, fd: impl AsFd, kind: Kind, number: u64, read: bool, write: bool) -> bool {
        self.epoll.add(fd, event(kind, number, read, write)).is_ok()
    }

    /// Waits for `fd` no more. Whoever is handed it would else be watched for ever: what epoll(7) holds is the open file, not the number.
    pub fn remove(&self, fd: impl AsFd) {
        // It was added, so that there is nothing to fail.
        let _ = self.epoll.delete(fd);
    }

    /// Waits for something else of `fd`.
    pub fn change(&self, fd: impl AsFd, kind: Kind, number: u64, read: bool, write: bool) {
        // It was added, so that there is nothing to fail; if it did, a deadline would end what waits.
        let _ = self.epoll.modify(fd, &mut event(kind, number, read, write));
    }

    /// What has something to say, at the latest when `deadline` comes.
    ///
    /// # Errors
    ///
    /// What epoll_wait(2) answers.
    pub fn wait(&self, deadline: Option<Instant>) -> nix::Result<Vec<Ready>> {
        let mut events = [EpollEvent::empty(); 64];
        let count = match self.epoll.wait(&mut events, timeout(deadline)) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(errno) => return Err(errno),
        };
        Ok(events.iter().take(count).filter_map(ready).collect())
    }
}

/// Rounded up, or we would look again and again in the last millisecond.
fn timeout(deadline: Option<Instant>) -> EpollTimeout {
    let Some(deadline) = deadline else { return EpollTimeout::NONE };
    let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
    EpollTimeout::try_from(left).unwrap_or(EpollTimeout::MAX)
}

fn event(kind: Kind, number: u64, read: bool, write: bool) -> EpollEvent {
    let mut flags = EpollFlags::empty();
    flags.set(EpollFlags::EPOLLIN, read);
    flags.set(EpollFlags::EPOLLOUT, write);
    EpollEvent::new(flags, (kind as u64) << SHIFT | number & ((1 << SHIFT) - 1))
}

fn ready(event: &EpollEvent) -> Option<Ready> {
    let word = event.data();
    let kind = match word >> SHIFT {
        0 => Kind::Supervisor,
        1 => Kind::Packet,
        2 => Kind::Connect,
        3 => Kind::Question,
        4 => Kind::Stream,
        _ => return None,
    };
    let hung_up = event.events().contains(EpollFlags::EPOLLHUP);
    Some(Ready { kind, number: word & ((1 << SHIFT) - 1), hung_up })
}
