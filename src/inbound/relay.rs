//! The publisher's loop: takes connections outside, makes one inside for each, and moves bytes until there is no sandbox any more.
//!
//! It has all the memory that it needs before it begins, and makes nothing but sockets and pipes. As many connections as it has room
//! for; whoever comes then is reset at once, which is better than a connection that nobody answers.

use super::link::{End, Link, Next, Pipes, Side, reset};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, accept4, connect, getsockopt, setsockopt, socket,
    sockopt,
};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

/// Connections at once.
const MOST: usize = 1024;
/// Descriptors of a connection: two sockets, and two pipes at worst.
const OF_ONE: u64 = 6;
/// What is open besides.
const OTHERS: u64 = 160;
/// Connections that are taken before those that are there have their turn.
const AT_ONCE: usize = 64;
/// Events of one look.
const EVENTS: usize = 256;

/// The supervisor's line, among the tokens.
const LINE: u64 = u64::MAX;
/// The bit of a token of a socket that listens.
const LISTENS: u64 = 1 << 63;

/// How far a connection is.
#[derive(Debug)]
enum Stage {
    /// It is being made inside, at the IPv4 loopback or, after that, at the IPv6 one.
    Dialling { fourth: bool },
    /// Bytes are moved.
    Open,
}

#[derive(Debug)]
struct Slot {
    link: Link,
    stage: Stage,
    port: u16,
}

/// All connections of one publisher.
#[derive(Debug)]
pub struct Relay {
    epoll: Epoll,
    /// A message or the end of the supervisor. Nothing is read from it.
    line: OwnedFd,
    /// With the ports inside that they lead to.
    listeners: Vec<(OwnedFd, u16)>,
    slots: Vec<Option<Slot>>,
    /// How often each was used: what the kernel still tells of the one before is not for the next.
    uses: Vec<u32>,
    free: Vec<usize>,
    /// Slots that have something to do at once.
    ready: VecDeque<usize>,
    /// Whether a slot stands among them, whoever has it now.
    queued: Vec<bool>,
    pipes: Pipes,
    /// Given up for a moment where there is no descriptor left to refuse a connection with.
    spare: Option<OwnedFd>,
    /// The sandbox has ended.
    last: bool,
}

impl Relay {
    /// With everything that it will need.
    pub fn new(line: OwnedFd, listeners: Vec<(OwnedFd, u16)>) -> nix::Result<Relay> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&line, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP, LINE))?;
        for (number, (socket, _)) in listeners.iter().enumerate() {
            epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, LISTENS | number as u64))?;
        }
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        let most = (descriptors.saturating_sub(OTHERS) / OF_ONE).clamp(1, MOST as u64) as usize;
        Ok(Relay {
            epoll,
            line,
            listeners,
            slots: (0..most).map(|_| None).collect(),
            uses: vec![0; most],
            free: (0..most).rev().collect(),
            ready: VecDeque::with_capacity(most),
            queued: vec![false; most],
            pipes: Pipes::new(),
            spare: spare(),
            last: false,
        })
    }

    /// Serves until the supervisor has gone or says that the sandbox has, and then until what was sent inside has been delivered.
    ///
    /// # Errors
    ///
    /// The kernel tells nothing any more.
    pub fn serve(mut self) -> nix::Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS];
        while !(self.last && self.free.len() == self.slots.len()) {
            let wait = if self.ready.is_empty() { EpollTimeout::NONE } else { EpollTimeout::ZERO };
            let count = match self.epoll.wait(&mut events, wait) {
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            };
            for event in events.iter().take(count) {
                match event.data() {
                    LINE => self.end(),
                    token if token & LISTENS != 0 => self.accept((token & !LISTENS) as usize),
                    token => self.hear(token, event.events()),
                }
            }
            for _ in 0..self.ready.len() {
                // In the order in which they came; who is not done stands behind all others.
                let Some(slot) = self.ready.pop_front() else { break };
                if let Some(queued) = self.queued.get_mut(slot) {
                    *queued = false;
                }
                self.pump(slot);
            }
        }
        Ok(())
    }

    /// The sandbox has ended: nobody comes any more, and who is there gets what was meant for him.
    fn end(&mut self) {
        let _ = self.epoll.delete(&self.line);
        self.last = true;
        self.listeners.clear();
        for slot in 0..self.slots.len() {
            self.pump(slot);
        }
    }

    fn accept(&mut self, number: usize) {
        for _ in 0..AT_ONCE {
            let Some((listener, port)) = self.listeners.get(number) else { return };
            let port = *port;
            let outside = match accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK) {
                Ok(number) => crate::sys::fd::own(number),
                Err(Errno::EMFILE | Errno::ENFILE) if self.spare.take().is_some() => continue,
                // It has gone again.
                Err(Errno::ECONNABORTED | Errno::EINTR) => continue,
                Err(_) => return,
            };
            if self.spare.is_none() {
                reset(outside);
                self.spare = spare();
                continue;
            }
            self.begin(outside, port);
        }
    }

    /// Makes the connection inside; where there is no room for it the one outside is reset.
    fn begin(&mut self, outside: OwnedFd, port: u16) {
        let Some(slot) = self.free.pop() else { return reset(outside) };
        let (inside, fourth) = match dial(port, true) {
            Ok(inside) => (Some(inside), true),
            Err(_) => (dial(port, false).ok(), false),
        };
        let Some(inside) = inside else {
            self.free.push(slot);
            return reset(outside);
        };
        if let Some(uses) = self.uses.get_mut(slot) {
            *uses = uses.wrapping_add(1) & (u32::MAX >> 1);
        }
        let watched = self.watch(&inside, slot, Side::Inside).and_then(|()| self.watch(&outside, slot, Side::Outside));
        if watched.is_err() {
            self.free.push(slot);
            return reset(outside);
        }
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(Slot { link: Link::new(End::new(outside), inside), stage: Stage::Dialling { fourth }, port });
        }
    }

    fn watch(&self, socket: &OwnedFd, slot: usize, side: Side) -> nix::Result<()> {
        let uses = u64::from(self.uses.get(slot).copied().unwrap_or_default());
        let token = uses << 32 | (slot as u64) << 1 | u64::from(side == Side::Inside);
        let all = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        self.epoll.add(socket.as_fd(), EpollEvent::new(all, token))
    }

    /// What the kernel tells of a connection.
    fn hear(&mut self, token: u64, events: EpollFlags) {
        let (slot, side) = ((token & 0xffff_ffff) as usize >> 1, token & 1);
        if self.uses.get(slot).is_none_or(|uses| u64::from(*uses) != token >> 32) {
            return;
        }
        let Some(Some(found)) = self.slots.get_mut(slot) else { return };
        let side = if side == 1 { Side::Inside } else { Side::Outside };
        match found.stage {
            Stage::Dialling { fourth } if side == Side::Inside => {
                let connected = getsockopt(found.link.end(side).socket(), sockopt::SocketError) == Ok(0);
                if !connected {
                    return self.dial_again(slot, fourth);
                }
                found.stage = Stage::Open;
            }
            Stage::Dialling { .. } | Stage::Open => {}
        }
        found.link.end(side).note(events);
        if matches!(found.stage, Stage::Open) {
            self.queue(slot);
        }
    }

    fn queue(&mut self, slot: usize) {
        if let Some(queued) = self.queued.get_mut(slot).filter(|queued| !**queued) {
            *queued = true;
            self.ready.push_back(slot);
        }
    }

    /// Nobody listens at the IPv4 loopback: there is another.
    fn dial_again(&mut self, slot: usize, fourth: bool) {
        let Some(Some(found)) = self.slots.get_mut(slot) else { return };
        let next = if fourth { dial(found.port, false).ok() } else { None };
        let Some(socket) = next else { return self.close(slot, true) };
        if self.watch(&socket, slot, Side::Inside).is_err() {
            return self.close(slot, true);
        }
        if let Some(Some(found)) = self.slots.get_mut(slot) {
            found.link.replace_inside(socket);
            found.stage = Stage::Dialling { fourth: false };
        }
    }

    fn pump(&mut self, slot: usize) {
        let Some(Some(found)) = self.slots.get_mut(slot) else { return };
        let next = match found.stage {
            Stage::Open => found.link.pump(&mut self.pipes, self.last),
            // Nobody inside will take it any more.
            Stage::Dialling { .. } if self.last => Next::Reset,
            Stage::Dialling { .. } => Next::Wait,
        };
        match next {
            Next::Wait => {}
            Next::GoOn => self.queue(slot),
            Next::Close => self.close(slot, false),
            Next::Reset => self.close(slot, true),
        }
    }

    fn close(&mut self, slot: usize, by_reset: bool) {
        let Some(found) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        self.free.push(slot);
        if by_reset {
            found.link.reset();
        }
    }
}

/// A connection to the sandbox's own loopback, made or about to be.
fn dial(port: u16, fourth: bool) -> nix::Result<OwnedFd> {
    let family = if fourth { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    let connected = match fourth {
        true => connect(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))),
        false => connect(socket.as_raw_fd(), &SockaddrIn6::from(SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0))),
    };
    match connected {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// Any descriptor that can be had at any time.
fn spare() -> Option<OwnedFd> {
    socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).ok()
}
