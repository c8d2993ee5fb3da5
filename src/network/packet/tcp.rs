//! A TCP connection between the sandbox and a socket outside. There is no stack here: segments of the sandbox become `send`, and what the
//! socket holds becomes segments. The socket outside repeats, paces and buffers on its side; here only the device lies in between, which
//! loses little.
//!
//! The sandbox's SYN is answered when the connection outside stands, or when it is known why not. Segments out of order are not kept: a
//! duplicate acknowledgement has them repeated. Selective acknowledgement and time stamps are not offered.

mod down;
mod push;
mod up;

use self::down::{Acknowledged, Down, TRIES, before};
use self::up::{SCALE, Up};
use super::build::{Tcp, Transport, Way};
use super::headers::{ACK, Ends, FIN, PSH, RST, SYN, Segment, TCP};
use super::icmp;
use super::names::{Gate, Verdict};
use super::rate::Time;
use super::shared::{Fate, Shared, Traffic};
use super::stream::Stream;
use crate::network::wire::{Check, End, Flow, Refusal, ToDialer};
use nix::sys::epoll::EpollFlags;
use std::os::fd::OwnedFd;

/// How long the dialer may take.
const OPENING: Time = 180_000_000;
/// Repetitions of a SYN-ACK.
const ANSWERS: u8 = 6;
/// When the sandbox has finished and nothing comes any more, it is asked so often whether it still knows the connection.
const ASK: Time = 60_000_000;
/// What a device with an MTU of 65520 carries, with the headers of IPv4 and of IPv6.
const MSS_IPV4: u16 = 65480;
const MSS_IPV6: u16 = 65460;
/// A sandbox that wants shorter segments gets these (RFC 9293 section 3.7.1).
const MSS_LEAST: u16 = 536;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The dialer has not answered.
    Opening,
    /// The SYN is answered.
    Answered,
    /// The sandbox has acknowledged the answer.
    Established,
}

/// A connection.
pub struct Connection {
    flow: Flow,
    ends: Ends,
    phase: Phase,
    /// Number of the sandbox's SYN.
    syn: u32,
    /// Longest segment that the sandbox takes.
    mss: u16,
    /// Scale of the sandbox's windows, where it scales.
    scale: Option<u8>,
    up: Up,
    down: Down,
    stream: Option<Stream>,
    opened: Time,
    /// Bytes so far.
    pub traffic: Traffic,
}

impl Connection {
    /// Begins with a SYN.
    pub fn new(flow: Flow, ends: Ends, segment: &Segment<'_>, now: Time) -> Connection {
        // Numbers follow the clock (RFC 9293 section 3.4.1). Nobody but the sandbox can send here, so they need not be secret.
        let first = u32::try_from((now / 4) & u64::from(u32::MAX)).unwrap_or(0).wrapping_add(1);
        let mut connection = Connection {
            flow,
            ends,
            phase: Phase::Opening,
            syn: 0,
            mss: MSS_LEAST,
            scale: None,
            up: Up::default(),
            down: Down::new(first),
            stream: None,
            opened: now,
            traffic: Traffic::default(),
        };
        connection.read_syn(segment);
        connection
    }

    /// Whether the sandbox has not got through yet.
    pub fn is_opening(&self) -> bool {
        self.phase == Phase::Opening
    }

    /// When [`Connection::expire`] wants to be called.
    pub fn deadline(&self) -> Option<Time> {
        if self.phase == Phase::Opening {
            return Some(self.opened + OPENING);
        }
        let gate = self.up.gate.as_ref().and_then(|gate| gate.deadline);
        [self.down.deadline, gate].into_iter().flatten().min()
    }

    fn read_syn(&mut self, segment: &Segment<'_>) {
        let most = if self.ends.source.is_ipv4() { MSS_IPV4 } else { MSS_IPV6 };
        self.syn = segment.seq;
        self.mss = segment.mss.unwrap_or(MSS_LEAST).clamp(MSS_LEAST, most);
        self.scale = segment.scale;
        self.up.scale = if segment.scale.is_some() { SCALE } else { 0 };
        self.up.next = segment.seq.wrapping_add(1);
        self.up.edge = self.up.next;
        self.down.window = u32::from(segment.window);
    }

    /// The dialer has connected. The caller lets epoll watch the socket.
    pub fn connect(&mut self, fd: OwnedFd, local: bool, check: Option<Check>, shared: &mut Shared) -> Fate {
        self.stream = Some(Stream::new(fd, local, shared.peek_offset));
        self.up.gate = check.map(|check| Gate::new(check, shared.now));
        self.phase = Phase::Answered;
        self.answer_syn(shared);
        self.down.sent(1, shared.now);
        Fate::On
    }

    /// The dialer has not connected.
    pub fn refuse(&mut self, refusal: Refusal, shared: &mut Shared) {
        match refusal {
            Refusal::Prohibited | Refusal::Port => self.reset(shared),
            Refusal::Host | Refusal::Network | Refusal::Silence => {
                shared.write_unreachable(&self.ends, TCP, icmp::tcp_start(&self.ends, self.syn), refusal);
            }
        }
    }

    /// Ends it on both sides, as a network does that breaks.
    pub fn cut(&mut self, shared: &mut Shared) {
        self.reset(shared);
        if let Some(stream) = &self.stream {
            stream.reset_on_close();
        }
    }

    /// Gives back what it holds of the shared memory, which nobody was sent. Nothing else may follow.
    pub fn release(&mut self, shared: &mut Shared) {
        self.traffic.sent = self.traffic.sent.saturating_sub(u64::try_from(self.up.held.length()).unwrap_or(0));
        self.up.held.clear(&mut shared.budget);
    }

    /// Reads a segment. [`Connection::settle`] is to follow, once for many segments.
    pub fn receive(&mut self, segment: &Segment<'_>, shared: &mut Shared) -> Fate {
        if segment.has(RST) {
            return self.receive_reset(segment, shared);
        }
        if segment.has(SYN) {
            self.receive_syn(segment, shared);
            return Fate::On;
        }
        if self.phase == Phase::Opening || !segment.has(ACK) {
            return Fate::On;
        }
        let window = u32::from(segment.window) << self.scale.unwrap_or(0);
        // What was never sent cannot be acknowledged, and a SYN-ACK only as a whole.
        let is_late = self.phase == Phase::Answered && segment.ack != self.down.top;
        if is_late || self.down.acknowledge(segment, window, shared.now) == Acknowledged::Unsent {
            self.write(ACK, self.down.top, &[], shared);
            return Fate::On;
        }
        if self.phase == Phase::Answered {
            // Of our SYN, which is no byte in the socket.
            self.down.discard = 0;
            self.phase = Phase::Established;
        }
        self.take(segment, shared);
        Fate::On
    }

    /// A reset counts when it has the very number that comes next; one nearby is asked about (RFC 5961 section 3).
    fn receive_reset(&mut self, segment: &Segment<'_>, shared: &mut Shared) -> Fate {
        if self.phase == Phase::Opening {
            return Fate::On;
        }
        if segment.seq == self.up.next {
            if let Some(stream) = &self.stream {
                stream.reset_on_close();
            }
            return Fate::Ended(End::Reset);
        }
        if !before(segment.seq, self.up.next) && before(segment.seq, self.up.edge) {
            self.write(ACK, self.down.top, &[], shared);
        }
        Fate::On
    }

    /// A SYN that is repeated gets its answer once more; another one is asked about (RFC 5961 section 4).
    fn receive_syn(&mut self, segment: &Segment<'_>, shared: &mut Shared) {
        match self.phase {
            Phase::Opening if !segment.has(ACK) => self.read_syn(segment),
            Phase::Opening => {}
            Phase::Answered if segment.seq == self.syn => self.answer_syn(shared),
            Phase::Answered | Phase::Established => self.write(ACK, self.down.top, &[], shared),
        }
    }

    /// Takes the bytes of a segment that come next.
    fn take(&mut self, segment: &Segment<'_>, shared: &mut Shared) {
        let Some(stream) = &self.stream else { return };
        let ahead = segment.seq.wrapping_sub(self.up.next);
        if segment.length() == 0 {
            // Somebody asks whether we are still here.
            self.up.ack |= ahead != 0;
            return;
        }
        let known = self.up.next.wrapping_sub(segment.seq);
        if known >= segment.length() || self.up.finished {
            // Out of order, or known as a whole: each is answered at once, so that three make the sandbox repeat.
            self.write(ACK, self.down.top, &[], shared);
            return;
        }
        let fresh = usize::try_from(known).ok().and_then(|known| segment.payload.get(known..)).unwrap_or_default();
        let taken = self.up.take(fresh, stream, &mut shared.rate.up, shared.now, &mut shared.budget);
        self.traffic.sent = self.traffic.sent.saturating_add(u64::try_from(taken).unwrap_or(0));
        self.up.next = self.up.next.wrapping_add(u32::try_from(taken).unwrap_or(0));
        if segment.has(FIN) && taken == fresh.len() {
            self.up.finished = true;
            self.up.next = self.up.next.wrapping_add(1);
        }
        self.up.ack = true;
    }

    /// Notes what epoll says of the socket. [`Connection::settle`] is to follow.
    pub fn notice(&mut self, events: EpollFlags) {
        let ends = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        self.down.hung_up |= events.intersects(ends);
        // An error of the socket means that nothing goes either way any more.
        self.up.broken |= events.contains(EpollFlags::EPOLLERR);
        self.down.readable |= events.intersects(ends | EpollFlags::EPOLLIN);
    }

    /// Does what has become possible: after segments, after events, and when the rate lets it go on.
    pub fn settle(&mut self, shared: &mut Shared) -> Fate {
        if self.phase != Phase::Established {
            return Fate::On;
        }
        if self.is_refused(shared) {
            self.cut(shared);
            return Fate::Ended(End::Refused);
        }
        let Some(stream) = &self.stream else { return Fate::On };
        let discard = std::mem::take(&mut self.down.discard);
        self.traffic.received = self.traffic.received.saturating_add(u64::try_from(discard).unwrap_or(0));
        if !stream.discard(discard, &mut shared.sink) {
            self.up.broken = true;
        }
        if self.up.held.length() > 0 || self.up.finished {
            self.up.flush(stream, &mut shared.rate.up, shared.now, &mut shared.budget);
        }
        if self.up.slow {
            shared.waiting.insert(self.flow);
        }
        // A socket that takes nothing any more tells why when it is looked at.
        self.down.readable |= self.up.broken;
        if let Fate::Ended(end) = self.push(shared) {
            return Fate::Ended(end);
        }
        if self.up.ack || self.up.has_reopened(&shared.budget) {
            self.write(ACK, self.down.top, &[], shared);
        }
        if self.up.shut && self.down.fin_acked {
            return Fate::Ended(End::Finished);
        }
        if self.up.finished && self.down.deadline.is_none() {
            self.down.deadline = Some(shared.now + ASK);
        }
        Fate::On
    }

    /// Shows the gate what is held. One who has finished and named nobody is refused, unless it has sent nothing at all.
    fn is_refused(&mut self, shared: &mut Shared) -> bool {
        let Some(gate) = &mut self.up.gate else { return false };
        let outbox = &mut shared.outbox;
        // Names alternate as fast as the sandbox wants; a dialer that does not read them all misses some.
        let report = |message: &ToDialer| match message {
            ToDialer::Named { accepted: true, .. } if outbox.is_full() => {}
            message => outbox.send(message),
        };
        match gate.read(self.up.held.whole(), self.flow, shared.now, report) {
            Verdict::Hold => {}
            Verdict::Open => {
                self.up.gate = None;
                return false;
            }
            Verdict::Refused => return true,
        }
        let held = self.up.held.length();
        self.up.finished && (!gate.accepted || held > gate.released)
    }

    /// A deadline has passed.
    pub fn expire(&mut self, shared: &mut Shared) -> Fate {
        if self.phase == Phase::Opening {
            return Fate::Ended(End::Idle);
        }
        let has_passed = |deadline: Option<Time>| deadline.is_some_and(|deadline| deadline <= shared.now);
        if has_passed(self.up.gate.as_ref().and_then(|gate| gate.deadline)) {
            shared.outbox.send(&ToDialer::Named { flow: self.flow, name: None, accepted: false });
            self.cut(shared);
            return Fate::Ended(End::Refused);
        }
        if !has_passed(self.down.deadline) {
            return Fate::On;
        }
        self.down.tries = self.down.tries.saturating_add(1);
        self.down.stalled = self.down.stalled.saturating_add(1);
        self.down.deadline = Some(shared.now + self.down.pause());
        let most = if self.phase == Phase::Answered { ANSWERS } else { TRIES };
        if self.down.tries > most {
            self.cut(shared);
            return Fate::Ended(End::Idle);
        }
        if self.phase == Phase::Answered {
            self.answer_syn(shared);
            return Fate::On;
        }
        self.repeat(shared);
        self.settle(shared)
    }

    fn answer_syn(&mut self, shared: &mut Shared) {
        let mss = if self.ends.source.is_ipv4() { MSS_IPV4 } else { MSS_IPV6 };
        // The window of a SYN is not scaled (RFC 7323 section 2.2).
        let room = self.up.room(&shared.budget).min(usize::from(u16::MAX));
        let window = u16::try_from(room).unwrap_or(u16::MAX);
        self.up.edge = self.up.next.wrapping_add(u32::from(window));
        let opening = Some((mss, self.scale.map(|_| SCALE)));
        let tcp = Tcp { seq: self.down.acked, ack: self.up.next, flags: SYN | ACK, window, mss: self.mss, opening };
        shared.write(Way::back(&self.ends), Transport::Tcp(tcp), &[]);
    }

    /// Writes a segment with the current acknowledgement and window.
    fn write(&mut self, flags: u8, seq: u32, payload: &[u8], shared: &Shared) {
        let window = self.up.window(&shared.budget);
        self.up.ack = false;
        let tcp = Tcp { seq, ack: self.up.next, flags, window, mss: self.mss, opening: None };
        shared.write(Way::back(&self.ends), Transport::Tcp(tcp), payload);
    }

    fn reset(&mut self, shared: &Shared) {
        if self.phase == Phase::Opening {
            let tcp = Tcp { seq: 0, ack: self.up.next, flags: RST | ACK, window: 0, mss: self.mss, opening: None };
            shared.write(Way::back(&self.ends), Transport::Tcp(tcp), &[]);
        } else {
            self.write(RST | ACK, self.down.top, &[], shared);
        }
    }
}

/// Answers a segment that belongs to no connection (RFC 9293 section 3.10.7.1).
pub fn reject(ends: &Ends, segment: &Segment<'_>, shared: &Shared) {
    if segment.has(RST) {
        return;
    }
    let (seq, ack, flags) = match segment.has(ACK) {
        true => (segment.ack, 0, RST),
        false => (0, segment.seq.wrapping_add(segment.length()), RST | ACK),
    };
    let tcp = Tcp { seq, ack, flags, window: 0, mss: MSS_LEAST, opening: None };
    shared.write(Way::back(ends), Transport::Tcp(tcp), &[]);
}
