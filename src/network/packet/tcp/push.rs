//! Sends to the sandbox what the socket holds, and repeats what was lost.

use super::super::rate;
use super::super::shared::{Fate, PIECE, Shared};
use super::super::stream::Look;
use super::{ACK, Connection, End, FIN, PSH};

/// Longest segment: what fits into one packet of IP.
const LONGEST: usize = 65460;
/// While something is in flight, less room than this is left alone until more comes up.
const LEAST: usize = 16 << 10;

impl Connection {
    /// Sends what the socket holds, as far as the sandbox's window goes.
    pub(super) fn push(&mut self, shared: &mut Shared) -> Fate {
        if std::mem::take(&mut self.down.resend) {
            self.repeat_first(shared);
        }
        if self.up.gate.as_ref().is_some_and(|gate| !gate.accepted) {
            return Fate::On;
        }
        while self.down.readable && !self.down.fin_sent() && !self.down.fin_acked {
            let flight = self.down.flight();
            let Some(wanted) = self.room(flight) else { break };
            if wanted == 0 {
                // Nobody tells us when a window opens and the telling is lost.
                let pause = self.down.pause();
                self.down.deadline.get_or_insert(shared.now + pause);
                break;
            }
            let wanted = rate::allowed(&mut shared.rate.down, shared.now, wanted);
            if wanted == 0 {
                shared.waiting.insert(self.flow);
                break;
            }
            match self.look(flight, wanted, shared) {
                Look::Bytes(count) => self.write_data(count, wanted, shared),
                Look::Nothing => self.down.readable = false,
                Look::End if self.up.broken => return self.break_off(shared),
                Look::End => self.write_fin(shared),
                Look::Broken => return self.break_off(shared),
            }
        }
        Fate::On
    }

    /// What the sandbox takes now; `None`: too little to be worth a segment, as long as acknowledgements are on their way.
    fn room(&self, flight: usize) -> Option<usize> {
        let most = self.stream.as_ref()?.flight();
        let window = usize::try_from(self.down.window).unwrap_or(usize::MAX).min(most);
        let room = window.saturating_sub(flight);
        let least = LEAST.min(window / 2);
        if flight > 0 && room <= least { None } else { Some(room.min(LONGEST)) }
    }

    fn look(&self, skip: usize, wanted: usize, shared: &mut Shared) -> Look {
        let Some(stream) = &self.stream else { return Look::Broken };
        let data = shared.data.get_mut(..wanted.min(PIECE)).unwrap_or_default();
        stream.look(skip, self.down.hung_up, data, &mut shared.sink)
    }

    fn write_data(&mut self, count: usize, wanted: usize, shared: &mut Shared) {
        let data = std::mem::take(&mut shared.data);
        let bytes = data.get(..count).unwrap_or_default();
        if let Some(gate) = &mut self.up.gate
            && self.down.next == self.down.top
        {
            gate.read_answer(bytes);
        }
        self.write(ACK | PSH, self.down.next, bytes, shared);
        shared.data = data;
        rate::take(&mut shared.rate.down, count);
        self.down.sent(u32::try_from(count).unwrap_or(0), shared.now);
        // The socket is empty; what comes later makes another event.
        if count < wanted && !self.down.hung_up {
            self.down.readable = false;
        }
    }

    fn write_fin(&mut self, shared: &mut Shared) {
        self.down.fin = Some(self.down.next);
        self.write(FIN | ACK, self.down.next, &[], shared);
        self.down.sent(1, shared.now);
    }

    /// The connection outside is broken, and the sandbox has had all that came before.
    fn break_off(&mut self, shared: &mut Shared) -> Fate {
        self.reset(shared);
        Fate::Ended(End::Reset)
    }

    /// Repeats the first segment in flight: the sandbox keeps what came after it.
    fn repeat_first(&mut self, shared: &mut Shared) {
        let flight = self.down.flight();
        let (next, acked) = (self.down.next, self.down.acked);
        if flight == 0 {
            if self.down.fin_sent() {
                self.write(FIN | ACK, acked, &[], shared);
            }
            return;
        }
        let Some(stream) = &self.stream else { return };
        stream.look_from(0);
        let found = self.look(0, flight.min(LONGEST), shared);
        if let Some(stream) = &self.stream {
            stream.look_from(flight);
        }
        if let Look::Bytes(count) = found {
            let data = std::mem::take(&mut shared.data);
            self.write(ACK | PSH, acked, data.get(..count).unwrap_or_default(), shared);
            shared.data = data;
        }
        self.down.next = next;
    }

    /// After a pause without an answer: everything in flight once more, or the question whether the sandbox is there and takes something.
    pub(super) fn repeat(&mut self, shared: &mut Shared) {
        let is_lost = self.down.is_waiting();
        if is_lost {
            self.down.go_back();
            if let Some(stream) = &self.stream {
                stream.look_from(0);
            }
        }
        if !is_lost || self.down.window == 0 {
            // A number that is known already: the answer tells the window.
            self.write(ACK, self.down.acked.wrapping_sub(1), &[], shared);
        }
    }
}
