//! The direction from the sandbox: bytes go to the socket at once, and what it does not take waits here. The window that the sandbox sees
//! is what there is still room for.

use super::super::budget::{Budget, FLOW, Held};
use super::super::names::Gate;
use super::super::rate::{self, Bucket, Time};
use super::super::stream::Stream;

/// Windows are given in units of 128 bytes.
pub const SCALE: u8 = 7;

/// The window of a flow that nothing waits of, however little memory there is: what comes goes straight on, and what does not is repeated.
const LEAST: usize = 64 << 10;

/// The state of the direction.
#[derive(Default)]
pub struct Up {
    /// The byte that we wait for.
    pub next: u32,
    /// We have said that we take everything before it.
    pub edge: u32,
    /// The scale of our windows; 0 when the sandbox does not scale.
    pub scale: u8,
    /// Bytes that the socket has not taken.
    pub held: Held,
    /// The sandbox has finished.
    pub finished: bool,
    /// The other side knows.
    pub shut: bool,
    /// The other side takes nothing any more: what comes is dropped, and the connection is reset once the sandbox has what came before.
    pub broken: bool,
    /// An acknowledgement is due.
    pub ack: bool,
    /// It waits for the rate.
    pub slow: bool,
    /// What the first bytes must name.
    pub gate: Option<Gate>,
}

impl Up {
    /// The window, as bytes that we have room for.
    pub fn room(&self, budget: &Budget) -> usize {
        let held = self.held.length();
        FLOW.saturating_sub(held).min(budget.share()).max(LEAST.saturating_sub(held))
    }

    /// The window as it stands in a header. Moves the edge, never back.
    pub fn window(&mut self, budget: &Budget) -> u16 {
        let promised = self.edge.wrapping_sub(self.next);
        // Not more than the promise is taken back, and not less: RFC 9293 section 3.8.6.
        let promised = if promised > 1 << 30 { 0 } else { promised };
        let room = u32::try_from(self.room(budget)).unwrap_or(0).max(promised.min(u32::from(u16::MAX)));
        let units = u16::try_from(room >> self.scale).unwrap_or(u16::MAX);
        self.edge = self.next.wrapping_add(u32::from(units) << self.scale);
        units
    }

    /// Whether so much more room has come up that the sandbox should know.
    pub fn has_reopened(&self, budget: &Budget) -> bool {
        let promised = self.edge.wrapping_sub(self.next);
        let promised = if promised > 1 << 30 { 0 } else { usize::try_from(promised).unwrap_or(0) };
        let room = self.room(budget);
        room >= promised + FLOW / 2 || (promised < 1 << SCALE && room >= FLOW / 4)
    }

    /// Takes bytes that come next. Answers how many.
    pub fn take(
        &mut self,
        bytes: &[u8],
        stream: &Stream,
        bucket: &mut Option<Bucket>,
        now: Time,
        budget: &mut Budget,
    ) -> usize {
        if self.broken {
            return bytes.len();
        }
        let mut gone = 0;
        if self.gate.is_none() && self.held.length() == 0 {
            let allowed = rate::allowed(bucket, now, bytes.len());
            match stream.send(bytes.get(..allowed).unwrap_or(bytes)) {
                Some(count) => gone = count,
                None => {
                    self.broken = true;
                    return bytes.len();
                }
            }
            rate::take(bucket, gone);
            self.slow = allowed < bytes.len() && gone == allowed;
        }
        gone + self.held.append(bytes.get(gone..).unwrap_or_default(), self.gate.is_some(), budget)
    }

    /// Sends what waits, as far as the socket, the gate and the rate let it go.
    pub fn flush(&mut self, stream: &Stream, bucket: &mut Option<Bucket>, now: Time, budget: &mut Budget) {
        self.slow = false;
        loop {
            let ready = self.gate.as_ref().map_or(usize::MAX, |gate| gate.released);
            let first = self.held.first();
            let first = first.get(..ready).unwrap_or(first);
            if first.is_empty() {
                break;
            }
            let allowed = rate::allowed(bucket, now, first.len());
            if allowed == 0 {
                self.slow = true;
                break;
            }
            match stream.send(first.get(..allowed).unwrap_or(first)) {
                Some(0) => break,
                Some(count) => {
                    rate::take(bucket, count);
                    self.held.remove(count, budget);
                    if let Some(gate) = &mut self.gate {
                        gate.released = gate.released.saturating_sub(count);
                    }
                }
                None => {
                    self.broken = true;
                    self.held.clear(budget);
                    break;
                }
            }
        }
        if self.finished && !self.shut && self.held.length() == 0 {
            stream.finish();
            self.shut = true;
        }
    }
}
