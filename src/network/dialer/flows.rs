//! Connections, UDP flows and series of echo requests: those that are being made, and those that live.

use crate::network::policy::Dial;
use crate::network::wire::{Check, Flow, Protocol};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a connect may take.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Connects on their way at once, where there are descriptors for as many.
const MOST_CONNECTS: usize = 1024;
/// Descriptors for everything else: channels, files, questions, connections that ask for names.
const OTHERS: usize = 400;
/// Flows that are remembered: more than a packet process may ever have, which is the only one to open any.
pub const MOST_FLOWS: usize = 65_536;

/// A flow.
#[derive(Debug)]
pub struct Live {
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it was to go.
    pub target: SocketAddr,
    /// What was dialled for it.
    pub dial: Dial,
    /// The name that led there, or that it named itself.
    pub name: Option<String>,
    /// Whether it named that itself, and was accepted.
    pub named: bool,
    /// The rule that allows it.
    pub rule: Option<String>,
    /// Why it is allowed.
    pub reason: String,
    /// What it must name.
    pub check: Option<Check>,
    /// How far it is.
    pub state: State,
    /// Bytes from the sandbox.
    pub sent: u64,
    /// Bytes to the sandbox.
    pub received: u64,
    /// When it was asked for.
    pub since: Instant,
}

/// How far a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// This connect is on its way.
    Connecting(u64),
    /// The packet process has its socket.
    Up,
    /// It asks for names, at this end of ours.
    Names(u64),
}

/// A connect on its way.
#[derive(Debug)]
pub struct Connect {
    /// For this flow.
    pub flow: Flow,
    /// With this socket.
    pub socket: OwnedFd,
    /// What is dialled if nobody listens there.
    pub instead: Option<SocketAddr>,
}

/// All connects on their way, by number, which is by age: all have the same time.
#[derive(Debug)]
pub struct Connects {
    all: BTreeMap<u64, (Instant, Connect)>,
    next: u64,
    most: usize,
}

impl Connects {
    /// None yet; `descriptors` is how many files the process may have open.
    pub fn new(descriptors: usize) -> Connects {
        let most = MOST_CONNECTS.min(descriptors.saturating_sub(OTHERS)).max(16);
        Connects { all: BTreeMap::new(), next: 0, most }
    }

    /// The number of the next.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// One more.
    pub fn insert(&mut self, number: u64, connect: Connect) {
        self.all.insert(number, (Instant::now() + PATIENCE, connect));
    }

    /// It has ended, one way or the other.
    pub fn remove(&mut self, number: u64) -> Option<Connect> {
        self.all.remove(&number).map(|(_, connect)| connect)
    }

    /// The socket of one.
    pub fn socket(&self, number: u64) -> Option<&OwnedFd> {
        self.all.get(&number).map(|(_, connect)| &connect.socket)
    }

    /// The oldest, taken out where there are as many as there may be.
    pub fn displaced(&mut self) -> Option<Connect> {
        (self.all.len() >= self.most).then(|| self.take_oldest()).flatten()
    }

    /// When the first of them has taken too long.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.all.first_key_value().map(|(_, (end, _))| *end)
    }

    /// One that has taken too long.
    pub fn expired(&mut self, now: Instant) -> Option<Connect> {
        (self.next_deadline()? <= now).then(|| self.take_oldest()).flatten()
    }

    fn take_oldest(&mut self) -> Option<Connect> {
        self.all.pop_first().map(|(_, (_, connect))| connect)
    }
}
