//! What all flows share: the device, the dialer, time, memory and rate.

use super::budget::Budget;
use super::build::{Transport, Way};
use super::device::Device;
use super::headers::Ends;
use super::icmp;
use super::outbox::Outbox;
use super::rate::{Rate, Time};
use crate::network::wire::{End, Flow, Refusal};
use std::collections::BTreeSet;

/// The longest payload that moves at once.
pub const PIECE: usize = 65536;

/// What becomes of a flow after something happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Fate {
    /// It goes on.
    On,
    /// It has ended, and its peers know.
    Ended(End),
}

/// Bytes of payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From the sandbox.
    pub sent: u64,
    /// To the sandbox.
    pub received: u64,
}

/// What all flows share.
pub struct Shared {
    /// The device, as soon as it has come.
    pub device: Option<Device>,
    /// Messages to the dialer.
    pub outbox: Outbox,
    /// Memory for bytes that wait.
    pub budget: Budget,
    /// Limits of bytes a second.
    pub rate: Rate,
    /// Microseconds since the start, read once a turn.
    pub now: Time,
    /// Room for a payload on its way.
    pub data: Vec<u8>,
    /// Room for bytes that nobody reads. The kernel gives memory only for pages that are written to.
    pub sink: Vec<u8>,
    /// Flows that wait for the rate.
    pub waiting: BTreeSet<Flow>,
    /// Flows that have more to do than one turn has time for.
    pub again: Vec<Flow>,
    /// Whether `SO_PEEK_OFF` may be used where a socket knows it.
    pub peek_offset: bool,
}

impl Shared {
    /// With nothing in it.
    pub fn new(outbox: Outbox, peek_offset: bool) -> Shared {
        Shared {
            device: None,
            outbox,
            budget: Budget::default(),
            rate: Rate::default(),
            now: 0,
            data: vec![0; PIECE],
            sink: vec![0; PIECE],
            waiting: BTreeSet::new(),
            again: Vec::new(),
            peek_offset,
        }
    }

    /// Writes a packet to the sandbox.
    pub fn write(&self, way: Way, transport: Transport, payload: &[u8]) {
        if let Some(device) = &self.device {
            device.write(way, transport, payload);
        }
    }

    /// Tells the sandbox by ICMP why something cannot be reached.
    pub fn write_unreachable(&self, ends: &Ends, protocol: u8, start: [u8; 8], refusal: Refusal) {
        if let Some(message) = icmp::unreachable(ends, protocol, start, refusal) {
            self.write(Way::back(ends), Transport::Icmp, &message);
        }
    }
}
