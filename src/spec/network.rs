//! What a sandbox may reach: the rules of `--allow` and `--deny`, and the policy that they make.
//!
//! Text in, data out: no name is resolved and no file is opened here. A name is made canonical once, by [`canonical`], and everything
//! that later compares names (queries, the server name of a TLS hello, the Host of a request) goes through the same function: two
//! readers of one name are a way around a policy. What cannot be understood is refused with what to type instead, never guessed.

mod file;
mod names;
mod rule;
mod sets;

pub use file::{MAX_FILE, PolicyFile, from_toml};
pub use names::{NameError, canonical, canonical_of_labels};
pub use rule::parse_rule;
pub use sets::set_names;

use crate::error::Problem;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// Connections at once, where nobody says how many.
pub const DEFAULT_CONNECTIONS: u32 = 2048;
/// The most connections at once that can be asked for.
pub const MOST_CONNECTIONS: u32 = 32_768;
/// The name by which the sandbox finds its gateway, and so the host's loopback.
pub const HOST_NAME: &str = "host.belljar.internal";
/// The most rules in each of the two lists, those of sets counted.
pub const MOST_RULES: usize = 1000;
/// The most bytes of the rules of each list, as they are written: a policy travels as one message, and so do the names that it denies.
pub const MOST_RULE_BYTES: usize = 36 << 10;

/// What a rule can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP or ICMPv6 echo.
    Icmp,
}

impl Protocol {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Icmp => "icmp",
        }
    }
}

/// One rule of `--allow` or `--deny`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// As it was written. Of a rule that comes from a set: as the set writes it.
    pub text: String,
    /// The protocol, where one was written.
    pub protocol: Option<Protocol>,
    /// Whom it is about.
    pub target: Target,
    /// The ports, where some were written.
    pub ports: Option<Ports>,
    /// The set that it comes from.
    pub origin: Option<Origin>,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Addresses.
    Net(Net),
    /// One name, canonical.
    Name(String),
    /// Every name below this one, which is canonical; not the name itself.
    Below(String),
    /// The host's loopback, which the sandbox sees as its gateway.
    Host,
}

/// A range of addresses (RFC 4632, RFC 4291). Host bits are zero, and an IPv4 range is never written in its IPv6 form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Net {
    /// The first address.
    pub address: IpAddr,
    /// Leading bits that count.
    pub prefix: u8,
}

/// A range of ports, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// The first, from 1.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// Where a rule comes from that nobody wrote by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The set, as `python`.
    pub set: String,
    /// What the rule is for.
    pub reason: String,
}

/// What a sandbox may reach. Deny beats allow; with nothing allowed, nothing is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Whether public addresses may be reached without a rule.
    pub open: bool,
    /// What may be reached.
    pub allow: Vec<Rule>,
    /// What may not, whatever `allow` says.
    pub deny: Vec<Rule>,
    /// Bytes a second in each direction; `None`: as many as go.
    pub rate: Option<u64>,
    /// Connections at once, UDP flows and series of echo requests among them.
    pub flows: u32,
}

impl Default for Policy {
    /// Nothing is allowed.
    fn default() -> Self {
        Policy { open: false, allow: Vec::new(), deny: Vec::new(), rate: None, flows: DEFAULT_CONNECTIONS }
    }
}

impl Policy {
    /// All that is wrong with it as a whole, once flags and files have come together.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (field, rules) in [("allow", &self.allow), ("deny", &self.deny)] {
            let bytes: usize = rules.iter().map(Rule::written_bytes).sum();
            if rules.len() > MOST_RULES {
                problems.push(Problem::new(field, format!("{} rules; at most {MOST_RULES} are kept", rules.len())));
            } else if bytes > MOST_RULE_BYTES {
                let message = format!("rules of {bytes} bytes; at most {MOST_RULE_BYTES} are kept");
                problems
                    .push(Problem::new(field, message).hint("name ranges and `*.example.org` instead of single hosts"));
            }
        }
        if !(1..=MOST_CONNECTIONS).contains(&self.flows) {
            let message = format!("`{}` is no number of connections", self.flows);
            problems.push(
                Problem::new("net_connections", message).hint(format!("a whole number from 1 to {MOST_CONNECTIONS}")),
            );
        }
        problems
    }
}

impl Rule {
    /// Bytes of its text, and of the set's.
    fn written_bytes(&self) -> usize {
        let origin = self.origin.as_ref().map_or(0, |origin| origin.set.len() + origin.reason.len());
        self.text.len() + origin
    }

    /// Whether it allows this protocol and port. A name without a protocol, and the host, stand for TCP: whoever names a web server means
    /// no QUIC, whose names nobody can read.
    pub fn allows(&self, protocol: Protocol, port: u16) -> bool {
        let spoken = match (self.protocol, &self.target) {
            (Some(own), _) => own == protocol,
            (None, Target::Net(_)) => true,
            (None, Target::Name(_) | Target::Below(_) | Target::Host) => protocol == Protocol::Tcp,
        };
        spoken && self.covers(protocol, port)
    }

    /// Whether it denies this protocol and port: without a protocol, all of them.
    pub fn denies(&self, protocol: Protocol, port: u16) -> bool {
        self.protocol.is_none_or(|own| own == protocol) && self.covers(protocol, port)
    }

    /// Echo requests have no port, so a rule that names one is not about them.
    fn covers(&self, protocol: Protocol, port: u16) -> bool {
        match (self.ports, protocol) {
            (None, _) => true,
            (Some(_), Protocol::Icmp) => false,
            (Some(ports), Protocol::Tcp | Protocol::Udp) => ports.contains(port),
        }
    }

    /// Whether all that another allows is in what this one allows.
    pub fn includes(&self, other: &Rule) -> bool {
        let target = match (&self.target, &other.target) {
            (Target::Net(own), Target::Net(other)) => other.lies_within(own),
            (Target::Below(own), Target::Below(other)) => own == other || is_below(other, own),
            (Target::Below(own), Target::Name(other)) => is_below(other, own),
            (own, other) => own == other,
        };
        // Without a protocol a range stands for all of them, and a name for TCP.
        let of_names = |rule: &Rule| match rule.target {
            Target::Net(_) => rule.protocol,
            Target::Name(_) | Target::Below(_) | Target::Host => rule.protocol.or(Some(Protocol::Tcp)),
        };
        let spoken = of_names(self).is_none_or(|own| of_names(other) == Some(own));
        let ports = self
            .ports
            .is_none_or(|own| other.ports.is_some_and(|other| own.first <= other.first && other.last <= own.last));
        target && spoken && ports
    }

    /// Whether it is about this canonical name.
    pub fn names(&self, name: &str) -> bool {
        match &self.target {
            Target::Name(own) => own == name,
            Target::Below(parent) => is_below(name, parent),
            Target::Net(_) | Target::Host => false,
        }
    }

    /// Whether it is about names.
    pub fn is_of_names(&self) -> bool {
        matches!(self.target, Target::Name(_) | Target::Below(_))
    }

    /// Its addresses, if it is about addresses.
    pub fn net(&self) -> Option<Net> {
        match self.target {
            Target::Net(net) => Some(net),
            Target::Name(_) | Target::Below(_) | Target::Host => None,
        }
    }
}

/// As a person would find it: what was written, and the set where one was.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{} (@{})", self.text, origin.set),
            None => f.write_str(&self.text),
        }
    }
}

/// Whether `name` ends in `.parent`; both canonical.
pub fn is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).and_then(|rest| rest.strip_suffix('.')).is_some_and(|rest| !rest.is_empty())
}

impl Ports {
    /// Whether the port is one of them.
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl Net {
    /// The addresses that begin as `address` does, whose other bits are cleared. A range inside ::ffff:0:0/96 becomes the IPv4 range that
    /// it stands for. `None`: no such prefix.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Net> {
        if prefix > width(address) {
            return None;
        }
        let net = Net { address: cleared(address, prefix), prefix };
        match (net.address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(inner)) if prefix >= 96 => Net::new(IpAddr::V4(inner), prefix - 96),
            _ => Some(net),
        }
    }

    /// Whether the address, canonical (`IpAddr::to_canonical`), is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && cleared(address, self.prefix) == self.address
    }

    /// Whether each of its addresses is one of `other`.
    pub fn lies_within(&self, other: &Net) -> bool {
        self.prefix >= other.prefix && other.contains(self.address)
    }

    /// Whether it is one address.
    pub fn is_single(&self) -> bool {
        self.prefix == width(self.address)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all but its leading bits cleared.
fn cleared(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(prefix))).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(prefix))).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests;
