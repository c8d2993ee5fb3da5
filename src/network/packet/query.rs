//! DNS over UDP: messages to port 53 go to the dialer, whose resolver alone answers, and its answers go back as if the server that was asked
//! had sent them. There is no socket.

use super::build::{Transport, Way};
use super::headers::Ends;
use super::rate::Time;
use super::shared::{Fate, Shared};
use crate::network::wire::End;

/// The port.
pub const PORT: u16 = 53;
/// How long an answer may take.
const PATIENCE: Time = 30_000_000;
/// Questions of one flow at once.
const MANY: u32 = 64;

/// Questions from one port to one server.
pub struct Query {
    ends: Ends,
    pending: u32,
    until: Time,
}

impl Query {
    /// No question yet.
    pub fn new(ends: Ends, now: Time) -> Query {
        Query { ends, pending: 0, until: now + PATIENCE }
    }

    /// When it is given up.
    pub fn deadline(&self) -> Time {
        self.until
    }

    /// Counts a question; `false`: there are too many, and this one is lost.
    pub fn ask(&mut self, now: Time) -> bool {
        self.until = now + PATIENCE;
        let has_room = self.pending < MANY;
        self.pending += u32::from(has_room);
        has_room
    }

    /// Hands an answer to the sandbox. With the last that was waited for it is over.
    pub fn answer(&mut self, message: &[u8], shared: &Shared) -> Fate {
        shared.write(Way::back(&self.ends), Transport::Udp, message);
        self.pending = self.pending.saturating_sub(1);
        if self.pending == 0 { Fate::Ended(End::Finished) } else { Fate::On }
    }
}
