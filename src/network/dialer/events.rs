//! What becomes of flows: names that they say, bytes, and their end.

use super::Dialer;
use super::flows::State;
use super::journal::About;
use super::opening::about;
use crate::network::policy::{Dial, Verdict, passes};
use crate::network::wire::{End, Flow, Protocol, ToPacket};
use crate::outcome::network::Summary;
use crate::spec::network::canonical;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

impl Dialer {
    /// A connection has said whom it wants to talk to.
    pub(super) fn named(&mut self, flow: Flow, name: Option<String>, accepted: bool) {
        let Some(live) = self.flows.get_mut(&flow) else { return };
        let name = name.and_then(|name| canonical(&name).ok());
        // The packet process compares; should it have been taken over, this is a second look.
        let passed = live.check.as_ref().is_none_or(|check| match &name {
            Some(name) => passes(check, name),
            None => check.allowed.is_none(),
        });
        let port = live.target.port();
        let verdict = match &name {
            Some(name) => refusal(
                format!("the connection is to `{name}`, which no rule allows at this address"),
                format!("--allow {name}:{port}"),
            ),
            None => refusal(
                "the connection does not say whom it is to".to_owned(),
                match live.target.ip() {
                    IpAddr::V4(address) => format!("--allow {address}:{port}"),
                    IpAddr::V6(address) => format!("--allow [{address}]:{port}"),
                },
            ),
        };
        live.name = name.or(live.name.take());
        live.named = accepted && passed;
        if !(accepted && passed) {
            self.journal.refused(about(flow, live), &verdict);
        }
        if accepted && !passed {
            self.tell_packet(&ToPacket::Cut { flow }, None);
        }
    }

    /// Bytes so far.
    pub(super) fn counted(&mut self, flow: Flow, sent: u64, received: u64) {
        if let Some(live) = self.flows.get_mut(&flow) {
            (live.sent, live.received) = (sent, received);
        }
    }

    /// A flow has ended.
    pub(super) fn closed(&mut self, flow: Flow, bytes: (u64, u64), end: End) {
        let Some(mut live) = self.forget(flow) else { return };
        (live.sent, live.received) = bytes;
        let reason = match end {
            End::Finished => "both sides had finished",
            End::Reset => "one side reset it",
            End::Idle => "nothing moved for too long",
            End::Cut => "the policy or the end of the network cut it",
            End::Refused => "the name that it said was refused",
        };
        match live.state {
            State::Connecting(_) => {
                self.journal.failed(about(flow, &live), live.rule.as_deref(), "the program inside gave up first");
            }
            State::Up => self.log_end(flow, &live, reason),
            State::Names(_) => {}
        }
    }

    fn log_end(&mut self, flow: Flow, live: &super::Live, reason: &str) {
        let lasted = u64::try_from(live.since.elapsed().min(Duration::from_secs(u64::from(u32::MAX))).as_millis());
        self.journal.closed(about(flow, live), (live.sent, live.received), lasted.unwrap_or(u64::MAX), reason);
    }

    /// A flow could not begin.
    pub(super) fn full(&mut self, protocol: Protocol, target: SocketAddr) {
        let about = About { flow: None, protocol, target: Some(target), name: None };
        let reason = format!("there are {} connections, which is the limit (`--net-connections`)", self.policy.flows);
        self.journal.failed(about, None, &reason);
    }

    /// What was done so far; what lives is counted as far as it is known.
    pub(super) fn summary(&mut self) -> Summary {
        let mut summary = self.journal.summary().clone();
        for live in self.flows.values().filter(|live| live.state == State::Up) {
            summary.sent = summary.sent.saturating_add(live.sent);
            summary.received = summary.received.saturating_add(live.received);
        }
        summary
    }

    /// It is over: everything that lives ends, in the log too.
    pub(super) fn close_all(&mut self) {
        let mut flows: Vec<Flow> = self.flows.keys().copied().collect();
        flows.sort_unstable();
        for flow in flows {
            let bytes = self.flows.get(&flow).map_or((0, 0), |live| (live.sent, live.received));
            self.closed(flow, bytes, End::Cut);
        }
        self.journal.flush();
    }
}

fn refusal(reason: String, hint: String) -> Verdict {
    Verdict { allowed: false, dial: Dial::Asked, rule: None, reason, hint: Some(hint), name: None, check: None }
}
