//! The direction to the sandbox: what is acknowledged, what is in flight, what is to be repeated and when. Numbers are those of RFC 9293
//! and wrap.

use super::super::headers::{FIN, Segment};
use super::super::rate::Time;

/// After so long without an acknowledgement everything in flight is repeated; doubled each time.
const REPEAT: Time = 200_000;
/// At most between two repetitions.
const REPEAT_MOST: Time = 10_000_000;
/// Repetitions without any answer before the sandbox is given up.
pub const TRIES: u8 = 10;

/// Whether `a` comes before `b`.
pub fn before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) >= 1 << 31
}

/// What an acknowledgement was.
#[derive(Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// Of something that was sent, or once more of the same.
    Sent,
    /// Of something that was never sent.
    Unsent,
}

/// The state of the direction.
#[derive(Debug, Default)]
pub struct Down {
    /// The sandbox has all before it.
    pub acked: u32,
    /// What comes next.
    pub next: u32,
    /// Nothing from here on was ever sent; more than `next` while something is repeated.
    pub top: u32,
    /// What the sandbox takes after `acked`.
    pub window: u32,
    window_seq: u32,
    /// The number of our FIN, as soon as there is one.
    pub fin: Option<u32>,
    /// The sandbox has our FIN.
    pub fin_acked: bool,
    /// Bytes that the sandbox has and that are still in the socket.
    pub discard: usize,
    duplicates: u8,
    /// Until this is acknowledged, each step forward shows the next hole (RFC 6582).
    recover: Option<u32>,
    /// The first segment in flight is to be repeated.
    pub resend: bool,
    /// The socket may have something.
    pub readable: bool,
    /// The kernel has said that the other side has finished.
    pub hung_up: bool,
    /// Repetitions or probes since the last answer.
    pub tries: u8,
    /// The same since the last progress: pauses double with it.
    pub stalled: u8,
    /// When to repeat, or to probe.
    pub deadline: Option<Time>,
}

impl Down {
    /// Begins with this number.
    pub fn new(first: u32) -> Down {
        Down { acked: first, next: first, top: first, ..Down::default() }
    }

    /// Bytes that are sent and not acknowledged; the FIN is none.
    pub fn flight(&self) -> usize {
        let numbers = self.next.wrapping_sub(self.acked).saturating_sub(u32::from(self.fin_sent()));
        usize::try_from(numbers).unwrap_or(usize::MAX)
    }

    /// Whether the FIN is on its way.
    pub fn fin_sent(&self) -> bool {
        self.fin.is_some_and(|fin| self.next == fin.wrapping_add(1))
    }

    /// Whether something waits for its acknowledgement.
    pub fn is_waiting(&self) -> bool {
        self.acked != self.top
    }

    /// Takes note of `count` numbers that were sent.
    pub fn sent(&mut self, count: u32, now: Time) {
        self.next = self.next.wrapping_add(count);
        if before(self.top, self.next) {
            self.top = self.next;
        }
        self.deadline.get_or_insert(now + self.pause());
    }

    /// How long to wait for an answer.
    pub fn pause(&self) -> Time {
        (REPEAT << self.stalled.min(10)).min(REPEAT_MOST)
    }

    /// Begins again with what the sandbox has not acknowledged.
    pub fn go_back(&mut self) {
        self.next = self.acked;
        (self.recover, self.duplicates, self.resend, self.readable) = (None, 0, false, true);
    }

    /// Reads the acknowledgement of a segment. `window` is scaled.
    pub fn acknowledge(&mut self, segment: &Segment<'_>, window: u32, now: Time) -> Acknowledged {
        let advance = segment.ack.wrapping_sub(self.acked);
        if advance > self.top.wrapping_sub(self.acked) {
            return if before(segment.ack, self.acked) { Acknowledged::Sent } else { Acknowledged::Unsent };
        }
        if advance > 0 {
            self.advance(segment.ack, advance, now);
        } else {
            self.repeat_after_duplicates(segment, window);
        }
        // Whoever answers is there, even with a window of 0.
        if !self.is_waiting() || window == 0 {
            self.tries = 0;
        }
        // An older segment that comes late tells an older window (RFC 9293 section 3.10.7.4).
        if advance > 0 || !before(segment.seq, self.window_seq) {
            if window > 0 && !self.is_waiting() {
                (self.deadline, self.stalled) = (None, 0);
            }
            (self.window, self.window_seq) = (window, segment.seq);
        }
        Acknowledged::Sent
    }

    fn advance(&mut self, ack: u32, advance: u32, now: Time) {
        let covers_fin = self.fin.is_some_and(|fin| ack == fin.wrapping_add(1));
        let bytes = advance.saturating_sub(u32::from(covers_fin));
        self.discard = self.discard.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.fin_acked |= covers_fin;
        self.acked = ack;
        if before(self.next, ack) {
            self.next = ack;
        }
        (self.duplicates, self.tries, self.stalled) = (0, 0, 0);
        match self.recover {
            Some(recover) if before(ack, recover) => self.resend = true,
            _ => self.recover = None,
        }
        self.deadline = self.is_waiting().then(|| now + REPEAT);
    }

    fn repeat_after_duplicates(&mut self, segment: &Segment<'_>, window: u32) {
        let is_bare = segment.payload.is_empty() && !segment.has(FIN);
        if !is_bare || window != self.window || !self.is_waiting() {
            return;
        }
        self.duplicates = self.duplicates.saturating_add(1);
        if self.duplicates == 3 && self.recover.is_none() {
            self.recover = Some(self.top);
            self.resend = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(ack: u32) -> Segment<'static> {
        Segment { seq: 1, ack, flags: 16, window: 1000, mss: None, scale: None, payload: &[] }
    }

    fn sent(count: u32) -> Down {
        let mut down = Down { window: 1000, ..Down::new(u32::MAX - 5) };
        down.sent(count, 0);
        down
    }

    #[test]
    fn an_acknowledgement_counts_across_the_wrap() {
        let mut down = sent(100);
        assert_eq!(down.acknowledge(&ack(44), 1000, 5), Acknowledged::Sent);
        assert_eq!((down.discard, down.flight(), down.deadline), (50, 50, Some(200_005)));
        assert_eq!(down.acknowledge(&ack(94), 1000, 5), Acknowledged::Sent);
        assert_eq!((down.discard, down.flight(), down.deadline), (100, 0, None));
    }

    #[test]
    fn what_was_never_sent_cannot_be_acknowledged() {
        let mut down = sent(100);
        assert_eq!(down.acknowledge(&ack(95), 1000, 0), Acknowledged::Unsent);
        assert_eq!(down.acknowledge(&ack(u32::MAX - 9), 1000, 0), Acknowledged::Sent);
        assert_eq!(down.discard, 0);
    }

    #[test]
    fn the_third_duplicate_repeats_the_first_segment_once() {
        let mut down = sent(100);
        for expected in [false, false, true] {
            let _ = down.acknowledge(&ack(u32::MAX - 5), 1000, 0);
            assert_eq!(down.resend, expected);
        }
        down.resend = false;
        (0..5).for_each(|_| assert_eq!(down.acknowledge(&ack(u32::MAX - 5), 1000, 0), Acknowledged::Sent));
        assert!(!down.resend);
        let _ = down.acknowledge(&ack(10), 1000, 0);
        assert!(down.resend, "a step forward that is not the whole shows the next hole");
    }

    #[test]
    fn after_going_back_an_acknowledgement_of_more_skips_ahead() {
        let mut down = sent(100);
        down.go_back();
        assert_eq!((down.flight(), down.is_waiting()), (0, true));
        down.sent(10, 0);
        let _ = down.acknowledge(&ack(44), 1000, 0);
        assert_eq!((down.discard, down.flight(), down.next), (50, 0, 44));
    }

    #[test]
    fn the_fin_is_acknowledged_but_is_no_byte() {
        let mut down = sent(100);
        down.fin = Some(down.next);
        down.sent(1, 0);
        assert_eq!(down.flight(), 100);
        let _ = down.acknowledge(&ack(95), 1000, 0);
        assert_eq!((down.discard, down.fin_acked, down.is_waiting()), (100, true, false));
    }
}
