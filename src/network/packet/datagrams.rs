//! A flow of datagrams: UDP between two pairs of address and port, or a series of echo requests. Datagrams are not repeated, and what has
//! no room is lost, as on any network.

use super::build::{Transport, Way};
use super::headers::{Ends, UDP};
use super::icmp;
use super::rate::{self, Time};
use super::shared::{Fate, Shared, Traffic};
use crate::network::wire::{End, Flow, Protocol, Refusal};
use crate::sys::packet as sys;
use std::os::fd::{AsFd, OwnedFd};

/// How long the dialer may take.
const OPENING: Time = 30_000_000;
/// How long a flow lives without a datagram (RFC 4787 section 4.3 wants two minutes at least for one that is answered).
const UNANSWERED: Time = 60_000_000;
const ANSWERED: Time = 180_000_000;
/// Datagrams that wait for the dialer, and their bytes together.
const WAITING: usize = 8;
const WAITING_BYTES: usize = 64 << 10;
/// Datagrams of one flow in one turn.
const TURN: usize = 64;

/// A flow.
pub struct Datagrams {
    flow: Flow,
    protocol: Protocol,
    ends: Ends,
    socket: Option<OwnedFd>,
    waiting: Vec<Vec<u8>>,
    is_answered: bool,
    idle_at: Time,
    /// Bytes so far.
    pub traffic: Traffic,
}

impl Datagrams {
    /// Begins with a datagram.
    pub fn new(flow: Flow, protocol: Protocol, ends: Ends, now: Time) -> Datagrams {
        Datagrams {
            flow,
            protocol,
            ends,
            socket: None,
            waiting: Vec::new(),
            is_answered: false,
            idle_at: now + OPENING,
            traffic: Traffic::default(),
        }
    }

    /// Whether the dialer has not answered.
    pub fn is_opening(&self) -> bool {
        self.socket.is_none()
    }

    /// When it ends unless something moves.
    pub fn deadline(&self) -> Time {
        self.idle_at
    }

    /// The dialer has connected. The caller lets epoll watch the socket.
    pub fn connect(&mut self, fd: OwnedFd, shared: &mut Shared) {
        self.socket = Some(fd);
        self.release(shared).iter().for_each(|datagram| self.send(datagram, shared));
        self.stay(shared.now);
    }

    /// The dialer has not connected, or the other side refuses.
    pub fn refuse(&self, refusal: Refusal, shared: &Shared) {
        let (protocol, start) = match self.protocol {
            Protocol::Icmp => (icmp::protocol(&self.ends), icmp::echo_start(&self.ends)),
            Protocol::Udp | Protocol::Tcp => (UDP, icmp::udp_start(&self.ends)),
        };
        shared.write_unreachable(&self.ends, protocol, start, refusal);
    }

    /// Gives back what waits, and its share of the memory.
    pub fn release(&mut self, shared: &mut Shared) -> Vec<Vec<u8>> {
        let waiting = std::mem::take(&mut self.waiting);
        shared.budget.change(waiting.iter().map(Vec::len).sum(), 0);
        waiting
    }

    /// Takes a datagram of the sandbox.
    pub fn receive(&mut self, datagram: &[u8], shared: &mut Shared) {
        if self.socket.is_some() {
            self.send(datagram, shared);
            return self.stay(shared.now);
        }
        let bytes: usize = self.waiting.iter().map(Vec::len).sum();
        if self.waiting.len() < WAITING
            && bytes + datagram.len() <= WAITING_BYTES
            && datagram.len() <= shared.budget.left(false)
        {
            shared.budget.change(0, datagram.len());
            self.waiting.push(datagram.to_vec());
        }
    }

    fn send(&mut self, datagram: &[u8], shared: &mut Shared) {
        let Some(socket) = &self.socket else { return };
        if shared.rate.up.as_mut().is_some_and(|bucket| bucket.owes_much(shared.now)) {
            return;
        }
        let mut sent = sys::send(socket.as_fd(), datagram);
        if let Err(errno) = sent
            && self.tell(errno, shared)
        {
            // That was the answer to an earlier one.
            sent = sys::send(socket.as_fd(), datagram);
        }
        if let Ok(count) = sent {
            rate::take(&mut shared.rate.up, count);
            self.traffic.sent = self.traffic.sent.saturating_add(u64::try_from(count).unwrap_or(0));
        }
    }

    /// Tells the sandbox what the network has answered; `false`: nothing that it has to know.
    fn tell(&self, errno: i32, shared: &Shared) -> bool {
        let refusal = match errno {
            libc::ECONNREFUSED => Refusal::Port,
            libc::EHOSTUNREACH | libc::EHOSTDOWN => Refusal::Host,
            libc::ENETUNREACH => Refusal::Network,
            libc::EACCES | libc::EPERM => Refusal::Prohibited,
            _ => return false,
        };
        self.refuse(refusal, shared);
        true
    }

    /// Moves what has come to the sandbox: on an event, and when the rate or the turn lets it go on.
    pub fn settle(&mut self, shared: &mut Shared) -> Fate {
        let Some(socket) = &self.socket else { return Fate::On };
        let mut data = std::mem::take(&mut shared.data);
        let mut moved = false;
        for turn in 0..=TURN {
            if turn == TURN {
                shared.again.push(self.flow);
                break;
            }
            if rate::allowed(&mut shared.rate.down, shared.now, 1) == 0 {
                shared.waiting.insert(self.flow);
                break;
            }
            match sys::receive(socket.as_fd(), &mut data) {
                Ok(count) => {
                    moved = true;
                    rate::take(&mut shared.rate.down, count);
                    self.traffic.received = self.traffic.received.saturating_add(u64::try_from(count).unwrap_or(0));
                    self.write(data.get_mut(..count).unwrap_or_default(), shared);
                }
                Err(errno) if self.tell(errno, shared) => {}
                Err(_) => break,
            }
        }
        shared.data = data;
        if moved {
            self.is_answered = true;
            self.stay(shared.now);
        }
        Fate::On
    }

    fn write(&self, datagram: &mut [u8], shared: &Shared) {
        match self.protocol {
            Protocol::Udp | Protocol::Tcp => shared.write(Way::back(&self.ends), Transport::Udp, datagram),
            Protocol::Icmp => {
                if icmp::rewrite_answer(datagram, &self.ends).is_some() {
                    shared.write(Way::back(&self.ends), Transport::Icmp, datagram);
                }
            }
        }
    }

    fn stay(&mut self, now: Time) {
        self.idle_at = now + if self.is_answered { ANSWERED } else { UNANSWERED };
    }

    /// The deadline has passed.
    pub fn expire(&self, now: Time) -> Fate {
        if self.idle_at <= now { Fate::Ended(End::Idle) } else { Fate::On }
    }
}
