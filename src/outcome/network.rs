//! What a sandbox did on the network: the lines of its log, and their sum.

use crate::spec::network::Protocol;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

/// One line of the log of a sandbox's network; a JSON object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// When, milliseconds since 1970.
    pub at: u64,
    /// What happened.
    pub event: Happening,
    /// The number of the connection, the same in all lines about it; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<u64>,
    /// What was spoken; of a query: over what it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// The name that led there or was asked for, canonical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it went; of a query: the server that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Whether it was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Allowance>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The flag that would allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Bytes from the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// Bytes to the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// How long it lasted, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// A connection was made.
    Opened,
    /// A connection was not made, or was ended by its check.
    Refused,
    /// A connection ended.
    Closed,
    /// A name was asked for.
    #[default]
    Query,
    /// The network was lost, since one of the processes that serve it was gone. Nothing is reached from then on.
    Lost,
}

impl Event {
    /// That this happens now.
    pub fn now(event: Happening) -> Event {
        Event { at: now(), event, ..Event::default() }
    }

    /// What was to be reached, as people read it: a name, an address with a port, or both.
    pub fn target(&self) -> String {
        // Of a query the address is that of the server that was asked.
        let address = self.address.filter(|_| self.event != Happening::Query).map(|address| {
            let place =
                self.port.map_or_else(|| address.to_string(), |port| SocketAddr::new(address, port).to_string());
            match self.protocol {
                Some(Protocol::Udp) => format!("udp://{place}"),
                Some(Protocol::Icmp) => format!("icmp://{place}"),
                Some(Protocol::Tcp) | None => place,
            }
        });
        match (&self.name, address) {
            (Some(name), Some(address)) => format!("{name} ({address})"),
            (Some(name), None) => name.clone(),
            (None, address) => address.unwrap_or_default(),
        }
    }
}

/// Whether something was allowed, and whether it worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Allowance {
    /// By the policy.
    Allowed,
    /// By the policy.
    Denied,
    /// It was allowed, and did not work.
    Failed,
}

/// What a sandbox did on the network, in sum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Summary {
    /// Connections, UDP flows and series of echo requests that were made.
    pub allowed: u64,
    /// Those that the policy refused, names among them.
    pub refused: u64,
    /// Those that were allowed and could not be made.
    pub failed: u64,
    /// Bytes from the sandbox.
    pub sent: u64,
    /// Bytes to the sandbox.
    pub received: u64,
    /// Names that were asked for.
    pub queries: u64,
    /// What was refused, each target once, in order of appearance.
    pub targets: Vec<RefusedTarget>,
    /// Refusals of targets that are not in the list, since it is full.
    pub more_targets: u64,
    /// Lines of the log that were dropped, since it was full.
    pub dropped_lines: u64,
}

/// Milliseconds since 1970, as events count.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Distinct targets in the sum.
const MOST_TARGETS: usize = 64;

impl Summary {
    /// The sum of these.
    pub fn of(events: &[Event]) -> Summary {
        let mut summary = Summary::default();
        events.iter().for_each(|event| summary.add(event));
        summary
    }

    /// With one more.
    pub fn add(&mut self, event: &Event) {
        let denied = event.verdict == Some(Allowance::Denied);
        match event.event {
            Happening::Opened => self.allowed += 1,
            Happening::Refused if denied => self.refused += 1,
            Happening::Refused => self.failed += 1,
            Happening::Query => {
                self.queries += 1;
                self.refused += u64::from(denied);
            }
            Happening::Closed | Happening::Lost => {}
        }
        self.sent += event.sent.unwrap_or(0);
        self.received += event.received.unwrap_or(0);
        if denied {
            self.add_target(event);
        }
    }

    fn add_target(&mut self, event: &Event) {
        let (target, reason) = (event.target(), event.reason.clone().unwrap_or_default());
        if let Some(known) = self.targets.iter_mut().find(|known| known.target == target && known.reason == reason) {
            known.times += 1;
        } else if self.targets.len() < MOST_TARGETS {
            self.targets.push(RefusedTarget { target, reason, hint: event.hint.clone(), times: 1 });
        } else {
            self.more_targets += 1;
        }
    }
}

/// A target that the policy refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RefusedTarget {
    /// A name, an address with a port, or both.
    pub target: String,
    /// Why.
    pub reason: String,
    /// The flag that would allow it.
    pub hint: Option<String>,
    /// How often.
    pub times: u64,
}
