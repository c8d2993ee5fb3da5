//! Finds the flow of each packet, message and event, begins new ones, and ends those that are over.

use super::datagrams::Datagrams;
use super::headers::{ACK, RST, SYN};
use super::headers::{Body, Ends, ICMP, Packet, Segment, TCP, UDP};
use super::query::{self, Query};
use super::rate::Time;
use super::shared::{Fate, Shared, Traffic};
use super::table::{Entry, Key, Kind, Table};
use super::tcp::{self, Connection};
use crate::network::wire::{Check, End, Flow, Limits, Protocol, Refusal, ToDialer, ToPacket};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::os::fd::OwnedFd;

/// Flows, until the dialer says how many there may be.
const FLOWS: usize = 1024;
/// Flows that wait for the dialer: more than it works at (its connects and its questions), since it is the one that chooses whom to give up.
const OPENING: usize = 2048;
/// Between two reports.
const SECOND: Time = 1_000_000;

/// All flows, and what moves them.
pub struct Translator {
    /// What they share.
    pub shared: Shared,
    /// Watches their sockets.
    pub epoll: Epoll,
    table: Table,
    limit: usize,
    /// Flows that something happened to in this turn.
    touched: Vec<Flow>,
    /// Flows that have moved something since the last report.
    counted: Vec<Flow>,
    next_report: Time,
    next_full: Time,
    /// When the rate lets those go on who wait for it.
    resume: Option<Time>,
    /// Whose turn it is then.
    turn: Flow,
}

impl Translator {
    /// Without flows.
    pub fn new(shared: Shared, epoll: Epoll) -> Translator {
        Translator {
            shared,
            epoll,
            table: Table::default(),
            limit: FLOWS,
            touched: Vec::new(),
            counted: Vec::new(),
            next_report: 0,
            next_full: 0,
            resume: None,
            turn: 0,
        }
    }

    /// When [`Translator::finish_turn`] has something to do although nothing happens.
    pub fn next_time(&self) -> Option<Time> {
        let again = (!self.shared.again.is_empty()).then_some(self.shared.now);
        let reports = !self.counted.is_empty() && !self.shared.outbox.is_full();
        let report = reports.then_some(self.next_report);
        [again, report, self.resume, self.table.earliest()].into_iter().flatten().min()
    }

    /// How many flows there are.
    pub fn flows(&self) -> usize {
        self.table.count()
    }

    /// Takes a packet of the device.
    pub fn receive(&mut self, frame: &[u8]) {
        let Some(Packet { ends, body }) = self.shared.device.as_mut().and_then(|device| device.parse(frame)) else {
            return;
        };
        match body {
            Body::Tcp(segment) => self.receive_segment(ends, &segment),
            Body::Udp(message) if ends.target.port() == query::PORT => self.receive_query(ends, message),
            Body::Udp(datagram) => self.receive_datagram(Key { protocol: UDP, ends }, Protocol::Udp, datagram),
            Body::Echo(message) => self.receive_datagram(Key { protocol: ICMP, ends }, Protocol::Icmp, message),
        }
    }

    fn receive_segment(&mut self, ends: Ends, segment: &Segment<'_>) {
        let key = Key { protocol: TCP, ends };
        if let Some(flow) = self.table.find(&key) {
            self.touch(flow, |kind, shared| match kind {
                Kind::Tcp(connection) => connection.receive(segment, shared),
                Kind::Datagrams(_) | Kind::Query(_) => Fate::On,
            });
            return self.mark(flow);
        }
        if segment.flags & (SYN | ACK | RST) != SYN {
            return tcp::reject(&ends, segment, &self.shared);
        }
        if self.table.opening() >= OPENING || self.shared.outbox.is_full() {
            // The sandbox tries again, and by then there may be room.
            return;
        }
        if self.is_full(Protocol::Tcp, &ends) {
            return tcp::reject(&ends, segment, &self.shared);
        }
        let connection = Connection::new(self.table.number(), ends, segment, self.shared.now);
        self.open(key, Protocol::Tcp, Kind::Tcp(Box::new(connection)));
    }

    fn receive_datagram(&mut self, key: Key, protocol: Protocol, datagram: &[u8]) {
        let flow = match self.table.find(&key) {
            Some(flow) => flow,
            None if self.table.opening() >= OPENING || self.shared.outbox.is_full() => return,
            None => {
                let datagrams = Datagrams::new(self.table.number(), protocol, key.ends, self.shared.now);
                if self.is_full(protocol, &key.ends) {
                    return datagrams.refuse(Refusal::Prohibited, &self.shared);
                }
                self.open(key, protocol, Kind::Datagrams(Box::new(datagrams)))
            }
        };
        self.touch(flow, |kind, shared| {
            if let Kind::Datagrams(datagrams) = kind {
                datagrams.receive(datagram, shared);
            }
            Fate::On
        });
    }

    fn receive_query(&mut self, ends: Ends, message: &[u8]) {
        let key = Key { protocol: UDP, ends };
        // A question that is lost is asked again.
        let has_room = !self.shared.outbox.is_full() && self.table.opening() < OPENING;
        let flow = match self.table.find(&key) {
            Some(flow) => flow,
            None if !has_room || self.is_full(Protocol::Udp, &ends) => return,
            None => self.table.insert(key, Kind::Query(Query::new(ends, self.shared.now))),
        };
        self.touch(flow, |kind, shared| {
            if let Kind::Query(query) = kind
                && has_room
                && query.ask(shared.now)
            {
                shared.outbox.send(&ToDialer::Query { flow, target: ends.target, message: message.to_vec() });
            }
            Fate::On
        });
    }

    /// Whether there are as many flows as there may be. The dialer is told, once a second.
    fn is_full(&mut self, protocol: Protocol, ends: &Ends) -> bool {
        let is_full = self.flows() >= self.limit;
        if is_full && self.shared.now >= self.next_full {
            self.next_full = self.shared.now + SECOND;
            self.shared.outbox.send(&ToDialer::Full { protocol, target: ends.target });
        }
        is_full
    }

    fn open(&mut self, key: Key, protocol: Protocol, kind: Kind) -> Flow {
        let flow = self.table.insert(key, kind);
        let Ends { source, target } = key.ends;
        self.shared.outbox.send(&ToDialer::Open { flow, protocol, source, target });
        flow
    }

    /// Does what the dialer says; a flow that is over already is none any more.
    pub fn obey(&mut self, message: ToPacket, fd: Option<OwnedFd>) {
        match message {
            // The caller has seen to them.
            ToPacket::Device(_) | ToPacket::Stop => {}
            ToPacket::Limits(Limits { rate, flows }) => {
                self.limit = usize::try_from(flows).unwrap_or(usize::MAX);
                self.shared.rate.set(rate, self.shared.now);
            }
            ToPacket::Connected { flow, local, check } => match fd {
                Some(fd) => self.connect(flow, fd, local, check),
                // No number was left for the descriptor (RLIMIT_NOFILE).
                None => self.refuse(flow, Refusal::Prohibited, End::Reset),
            },
            ToPacket::Refused { flow, refusal } => self.refuse(flow, refusal, End::Reset),
            ToPacket::Answer { flow, message } => self.touch(flow, |kind, shared| match kind {
                Kind::Query(query) => query.answer(&message, shared),
                Kind::Tcp(_) | Kind::Datagrams(_) => Fate::On,
            }),
            ToPacket::Cut { flow } => self.cut(flow),
        }
    }

    fn connect(&mut self, flow: Flow, fd: OwnedFd, local: bool, check: Option<Check>) {
        let Some(entry) = self.table.get(flow).filter(|entry| entry.kind.is_opening()) else { return };
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        if matches!(entry.kind, Kind::Query(_)) {
            return;
        }
        if self.epoll.add(&fd, EpollEvent::new(flags, flow)).is_err() {
            // The kernel has no room for one more.
            return self.refuse(flow, Refusal::Prohibited, End::Reset);
        }
        self.touch(flow, |kind, shared| match kind {
            Kind::Tcp(connection) => connection.connect(fd, local, check, shared),
            Kind::Datagrams(datagrams) => {
                datagrams.connect(fd, shared);
                Fate::On
            }
            Kind::Query(_) => Fate::On,
        });
    }

    fn refuse(&mut self, flow: Flow, refusal: Refusal, end: End) {
        self.touch(flow, |kind, shared| {
            if !kind.is_opening() {
                return Fate::On;
            }
            match kind {
                Kind::Tcp(connection) => connection.refuse(refusal, shared),
                Kind::Datagrams(datagrams) => datagrams.refuse(refusal, shared),
                Kind::Query(_) => return Fate::On,
            }
            Fate::Ended(end)
        });
    }

    fn cut(&mut self, flow: Flow) {
        self.touch(flow, |kind, shared| {
            if let Kind::Tcp(connection) = kind {
                connection.cut(shared);
            }
            Fate::Ended(End::Cut)
        });
    }

    /// Notes what epoll says of a flow's socket.
    pub fn notice(&mut self, flow: Flow, events: EpollFlags) {
        if let Some(Entry { kind: Kind::Tcp(connection), .. }) = self.table.get(flow) {
            connection.notice(events);
        }
        self.mark(flow);
    }

    /// Lets a flow be settled at the end of the turn, once for all that happened to it.
    fn mark(&mut self, flow: Flow) {
        if let Some(entry) = self.table.get(flow)
            && !entry.is_touched
        {
            entry.is_touched = true;
            self.touched.push(flow);
        }
    }

    /// Settles the flows that something happened to, those whose time has come, and those that the rate lets go on.
    pub fn finish_turn(&mut self) {
        let now = self.shared.now;
        for flow in std::mem::take(&mut self.shared.again) {
            self.mark(flow);
        }
        if self.resume.is_some_and(|resume| resume <= now) {
            self.resume = None;
            let mut waiting = std::mem::take(&mut self.shared.waiting);
            // In turn, beginning with the one that found nothing left last time.
            let first = waiting.split_off(&self.turn);
            first.into_iter().chain(waiting).for_each(|flow| self.mark(flow));
        }
        let mut touched = std::mem::take(&mut self.touched);
        for flow in touched.drain(..) {
            let is_first = self.shared.waiting.is_empty();
            self.settle(flow);
            if is_first && !self.shared.waiting.is_empty() {
                self.turn = flow;
            }
        }
        self.touched = touched;
        while let Some(flow) = self.table.pop_due(now) {
            self.touch(flow, |kind, shared| match kind {
                Kind::Tcp(connection) => connection.expire(shared),
                Kind::Datagrams(datagrams) => datagrams.expire(now),
                Kind::Query(query) if query.deadline() <= now => Fate::Ended(End::Idle),
                Kind::Query(_) => Fate::On,
            });
        }
        if self.resume.is_none() && !self.shared.waiting.is_empty() {
            self.resume = Some(self.shared.rate.when(now));
        }
        // A dialer that does not read gets the sums later.
        if now >= self.next_report && !self.counted.is_empty() && !self.shared.outbox.is_full() {
            self.report();
        }
    }

    fn settle(&mut self, flow: Flow) {
        if let Some(entry) = self.table.get(flow) {
            entry.is_touched = false;
        }
        self.touch(flow, |kind, shared| match kind {
            Kind::Tcp(connection) => connection.settle(shared),
            Kind::Datagrams(datagrams) => datagrams.settle(shared),
            Kind::Query(_) => Fate::On,
        });
    }

    /// Lets something happen to a flow, and takes note of what has become of it.
    fn touch(&mut self, flow: Flow, act: impl FnOnce(&mut Kind, &mut Shared) -> Fate) {
        let Some(entry) = self.table.get(flow) else { return };
        let fate = act(&mut entry.kind, &mut self.shared);
        if !entry.is_counted && entry.kind.traffic() != entry.reported {
            entry.is_counted = true;
            self.counted.push(flow);
        }
        match fate {
            Fate::On => self.table.update(flow),
            Fate::Ended(end) => self.close(flow, end),
        }
    }

    fn close(&mut self, flow: Flow, end: End) {
        let Some(mut entry) = self.table.remove(flow) else { return };
        match &mut entry.kind {
            Kind::Tcp(connection) => connection.release(&mut self.shared),
            Kind::Datagrams(datagrams) => drop(datagrams.release(&mut self.shared)),
            // The dialer has never heard of it as a flow that ends.
            Kind::Query(_) => return,
        }
        let Traffic { sent, received } = entry.kind.traffic();
        self.shared.outbox.send(&ToDialer::Closed { flow, sent, received, end });
    }

    /// Tells the dialer how much has moved.
    fn report(&mut self) {
        self.next_report = self.shared.now + SECOND;
        for flow in std::mem::take(&mut self.counted) {
            let Some(entry) = self.table.get(flow) else { continue };
            entry.is_counted = false;
            entry.reported = entry.kind.traffic();
            let Traffic { sent, received } = entry.reported;
            self.shared.outbox.send(&ToDialer::Counted { flow, sent, received });
        }
    }

    /// Ends all flows, and says so.
    pub fn stop(&mut self) {
        for flow in self.table.numbers() {
            self.cut(flow);
        }
        self.shared.outbox.send(&ToDialer::Stopped);
    }
}

#[cfg(test)]
mod tests;
