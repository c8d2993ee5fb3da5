//! All flows: by number, by addresses, and by the time at which each wants to be looked at. Ordered trees rather than hash tables, since
//! those who choose the keys are not to be trusted, and nothing here needs random numbers.

use super::datagrams::Datagrams;
use super::headers::Ends;
use super::query::Query;
use super::rate::Time;
use super::shared::Traffic;
use super::tcp::Connection;
use crate::network::wire::Flow;
use std::collections::{BTreeMap, BTreeSet};

/// What tells a flow from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Number of its protocol.
    pub protocol: u8,
    /// Its addresses.
    pub ends: Ends,
}

/// What a flow is.
pub enum Kind {
    /// A connection.
    Tcp(Box<Connection>),
    /// Datagrams or echo requests.
    Datagrams(Box<Datagrams>),
    /// Questions for the dialer's resolver.
    Query(Query),
}

impl Kind {
    /// Bytes so far.
    pub fn traffic(&self) -> Traffic {
        match self {
            Kind::Tcp(connection) => connection.traffic,
            Kind::Datagrams(datagrams) => datagrams.traffic,
            Kind::Query(_) => Traffic::default(),
        }
    }

    /// Whether it waits for the dialer.
    pub fn is_opening(&self) -> bool {
        match self {
            Kind::Tcp(connection) => connection.is_opening(),
            Kind::Datagrams(datagrams) => datagrams.is_opening(),
            Kind::Query(_) => true,
        }
    }

    fn deadline(&self) -> Option<Time> {
        match self {
            Kind::Tcp(connection) => connection.deadline(),
            Kind::Datagrams(datagrams) => Some(datagrams.deadline()),
            Kind::Query(query) => Some(query.deadline()),
        }
    }
}

/// A flow and what the table knows of it.
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Its addresses.
    pub key: Key,
    /// It is to be settled in this turn.
    pub is_touched: bool,
    /// It is to be counted in this second.
    pub is_counted: bool,
    /// What the dialer knows of it.
    pub reported: Traffic,
    /// The time that stands in the table for it.
    queued: Option<Time>,
    opening: bool,
}

/// All flows.
#[derive(Default)]
pub struct Table {
    flows: BTreeMap<Flow, Entry>,
    keys: BTreeMap<Key, Flow>,
    times: BTreeSet<(Time, Flow)>,
    last: Flow,
    opening: usize,
}

impl Table {
    /// The number of the flow with these addresses.
    pub fn find(&self, key: &Key) -> Option<Flow> {
        self.keys.get(key).copied()
    }

    /// A flow.
    pub fn get(&mut self, flow: Flow) -> Option<&mut Entry> {
        self.flows.get_mut(&flow)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.flows.len()
    }

    /// How many of them wait for the dialer.
    pub fn opening(&self) -> usize {
        self.opening
    }

    /// All numbers.
    pub fn numbers(&self) -> Vec<Flow> {
        self.flows.keys().copied().collect()
    }

    /// Adds a flow under the number that [`Table::number`] gives next.
    pub fn insert(&mut self, key: Key, kind: Kind) -> Flow {
        let flow = self.number();
        self.last = flow;
        let opening = kind.is_opening();
        self.opening += usize::from(opening);
        let entry = Entry {
            kind,
            key,
            is_touched: false,
            is_counted: false,
            reported: Traffic::default(),
            queued: None,
            opening,
        };
        self.flows.insert(flow, entry);
        self.keys.insert(key, flow);
        self.update(flow);
        flow
    }

    /// The number of the next flow. 64 bits do not run out.
    pub fn number(&self) -> Flow {
        self.last + 1
    }

    /// Notes when a flow wants to be looked at, and whether it still waits for the dialer. A time that has moved back stays where it is
    /// until it comes: acknowledgements would move it thousands of times a second.
    pub fn update(&mut self, flow: Flow) {
        let Some(entry) = self.flows.get_mut(&flow) else { return };
        let opening = entry.kind.is_opening();
        self.opening = self.opening - usize::from(entry.opening) + usize::from(opening);
        entry.opening = opening;
        let Some(deadline) = entry.kind.deadline() else { return };
        if entry.queued.is_some_and(|queued| queued <= deadline) {
            return;
        }
        if let Some(queued) = entry.queued.replace(deadline) {
            self.times.remove(&(queued, flow));
        }
        self.times.insert((deadline, flow));
    }

    /// The earliest time.
    pub fn earliest(&self) -> Option<Time> {
        self.times.first().map(|(time, _)| *time)
    }

    /// Takes out a flow whose time has come. [`Table::update`] is to follow.
    pub fn pop_due(&mut self, now: Time) -> Option<Flow> {
        let (time, flow) = *self.times.first().filter(|(time, _)| *time <= now)?;
        self.times.remove(&(time, flow));
        if let Some(entry) = self.flows.get_mut(&flow) {
            entry.queued = None;
        }
        Some(flow)
    }

    /// Takes a flow out for good.
    pub fn remove(&mut self, flow: Flow) -> Option<Entry> {
        let entry = self.flows.remove(&flow)?;
        self.keys.remove(&entry.key);
        self.opening -= usize::from(entry.opening);
        if let Some(queued) = entry.queued {
            self.times.remove(&(queued, flow));
        }
        Some(entry)
    }
}
