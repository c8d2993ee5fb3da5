//! Connections, UDP flows and series of echo requests: those that are being made, and those that live.

use crate::network::policy::Dial;
use crate::network::wire::{Check, Flow, Protocol};
use std::collections::{HashMap, VecDeque};
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

/// All connects on their way.
#[derive(Debug)]
pub struct Connects {
    all: HashMap<u64, Connect>,
    /// In the order in which they end, since all have the same time.
    ends: VecDeque<(Instant, u64)>,
    next: u64,
    most: usize,
}

impl Connects {
    /// None yet; `descriptors` is how many files the process may have open.
    pub fn new(descriptors: usize) -> Connects {
        let most = MOST_CONNECTS.min(descriptors.saturating_sub(OTHERS)).max(16);
        Connects { all: HashMap::new(), ends: VecDeque::new(), next: 0, most }
    }

    /// Whether there are as many as there may be.
    pub fn is_full(&self) -> bool {
        self.all.len() >= self.most
    }

    /// The number of the next.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// One more.
    pub fn insert(&mut self, number: u64, connect: Connect) {
        self.ends.push_back((Instant::now() + PATIENCE, number));
        self.all.insert(number, connect);
    }

    /// It has ended, one way or the other.
    pub fn remove(&mut self, number: u64) -> Option<Connect> {
        self.all.remove(&number)
    }

    /// The socket of one.
    pub fn socket(&self, number: u64) -> Option<&OwnedFd> {
        self.all.get(&number).map(|connect| &connect.socket)
    }

    /// When the first of them has taken too long.
    pub fn next_deadline(&mut self) -> Option<Instant> {
        while let Some((end, number)) = self.ends.front() {
            if self.all.contains_key(number) {
                return Some(*end);
            }
            self.ends.pop_front();
        }
        None
    }

    /// One that has taken too long.
    pub fn expired(&mut self, now: Instant) -> Option<Connect> {
        if self.next_deadline()? > now {
            return None;
        }
        let (_, number) = self.ends.pop_front()?;
        self.all.remove(&number)
    }
}
