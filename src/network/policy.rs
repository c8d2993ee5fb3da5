//! The decision: may a sandbox reach this address, and may it ask for this name?
//!
//! Pure: no name is resolved and no socket made here. What counts is the address that is dialled, at the time it is dialled. In order:
//!
//! 1. the gateway is the host's loopback, and needs a rule `host:PORT`;
//! 2. an address that a rule denies is refused;
//! 3. a special address is refused, unless a rule means it: with at least as many leading bits as make it special;
//! 4. an address that a rule allows is reached;
//! 5. an open policy reaches what is left;
//! 6. otherwise a name that led to this address, and that a rule allows, decides.
//!
//! Names that are denied hold for all of it: where a connection says whom it wants to talk to, that is compared ([`Check`]), and where it does
//! not, the names that led to the address are.

mod special;

pub use special::{Kind, Special, embedded, special};

use super::wire::{Check, Naming};
use crate::spec::network::{HOST_NAME, Policy, Protocol, Rule, Target};
use std::net::IpAddr;

/// What somebody inside wants to reach.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is to go.
    pub address: IpAddr,
    /// The port; of echo requests 0.
    pub port: u16,
    /// Names that the sandbox asked for and that led to this address, canonical.
    pub names: &'a [String],
    /// Whether it is the sandbox's gateway.
    pub gateway: bool,
    /// Whether it is an address of this machine itself.
    pub own: bool,
}

/// What is to be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dial {
    /// The address that was asked for.
    Asked,
    /// The port on the host's loopback.
    Host,
}

/// May it be?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether.
    pub allowed: bool,
    /// What to dial then.
    pub dial: Dial,
    /// The rule that decided, as a person would find it.
    pub rule: Option<String>,
    /// Why, in one sentence without a full stop.
    pub reason: String,
    /// The flag that would allow it.
    pub hint: Option<String>,
    /// The name that led there, where one decided.
    pub name: Option<String>,
    /// What the first bytes must name.
    pub check: Option<Check>,
}

/// Decides about an address.
pub fn decide(policy: &Policy, asked: &Asked<'_>) -> Verdict {
    let asked = &Asked { address: asked.address.to_canonical(), ..*asked };
    if asked.gateway {
        return gateway(policy, asked);
    }
    if let Some(rule) = policy.deny.iter().find(|rule| denies_address(rule, asked)) {
        return denied(rule, format!("`--deny {rule}` forbids the address"));
    }
    let by_address = policy.allow.iter().filter(|rule| rule.allows(asked.protocol, asked.port));
    let mut by_address = by_address.filter(|rule| rule.net().is_some_and(|net| net.contains(asked.address)));
    if let Some(special) = of(asked) {
        return match by_address.find(|rule| rule.net().is_some_and(|net| net.prefix >= special.bits)) {
            Some(rule) => unless_name_denied(policy, asked, allowed(rule)),
            None => refused(of_special(asked.address, &special), Some(flag_of_address(asked))),
        };
    }
    if let Some(rule) = by_address.next() {
        return unless_name_denied(policy, asked, allowed(rule));
    }
    if policy.open { open(policy, asked) } else { by_name(policy, asked) }
}

/// What is special about it, an address of the machine itself included.
fn of(asked: &Asked<'_>) -> Option<Special> {
    let own = || {
        let bits = if asked.address.is_ipv4() { 32 } else { 128 };
        asked.own.then_some(Special { kind: Kind::Own, inner: None, bits })
    };
    match special(asked.address) {
        // Each loopback address is one of the machine's own, and nothing more for it.
        Some(found) if found.kind == Kind::Loopback => Some(found),
        Some(found) => Some(own().map_or(found, |own| Special { kind: Kind::Own, ..own })),
        None => own(),
    }
}

fn of_special(address: IpAddr, special: &Special) -> String {
    match special.inner {
        Some(inner) => format!("{address} leads to {inner}, {}, which no rule names", special.kind),
        None => format!("{address} is {}, which no rule names", special.kind),
    }
}

/// A rule that denies an IPv4 address denies the IPv6 addresses that lead there.
fn denies_address(rule: &Rule, asked: &Asked<'_>) -> bool {
    let Some(net) = rule.net().filter(|_| rule.denies(asked.protocol, asked.port)) else { return false };
    let inside = match asked.address {
        IpAddr::V4(_) => Vec::new(),
        IpAddr::V6(six) => embedded(six),
    };
    net.contains(asked.address) || inside.into_iter().any(|(inner, _)| net.contains(inner.into()))
}

fn gateway(policy: &Policy, asked: &Asked<'_>) -> Verdict {
    let of_host = |rule: &&Rule| rule.target == Target::Host;
    if let Some(rule) = policy.deny.iter().filter(of_host).find(|rule| rule.denies(asked.protocol, asked.port)) {
        return denied(rule, format!("`--deny {rule}` forbids the host"));
    }
    match policy.allow.iter().filter(of_host).find(|rule| rule.allows(asked.protocol, asked.port)) {
        Some(rule) => Verdict { dial: Dial::Host, ..allowed(rule) },
        None => refused(
            format!("{} is the host, of which no rule names this port", asked.address),
            Some(flag(asked.protocol, "host", asked.port)),
        ),
    }
}

/// An open policy: all but the denied names.
fn open(policy: &Policy, asked: &Asked<'_>) -> Verdict {
    let quic = asked.protocol == Protocol::Udp && asked.port == 443;
    if quic && !denied_names(policy, asked).is_empty() && !has_udp_name(policy, asked) {
        return refused(
            "QUIC hides the name of who is talked to, and rules deny names; programs go on with TCP".to_owned(),
            Some(flag_of_address(asked)),
        );
    }
    let verdict = Verdict {
        reason: "the policy is open".to_owned(),
        name: asked.names.first().cloned(),
        ..allowed_without_rule()
    };
    unless_name_denied(policy, asked, verdict)
}

/// Whether a rule allows UDP to a name that led here.
fn has_udp_name(policy: &Policy, asked: &Asked<'_>) -> bool {
    let rules = policy.allow.iter().filter(|rule| rule.protocol == Some(Protocol::Udp));
    rules
        .filter(|rule| rule.allows(asked.protocol, asked.port))
        .any(|rule| asked.names.iter().any(|name| rule.names(name)))
}

/// What is allowed by address or by an open policy, unless a name says no.
fn unless_name_denied(policy: &Policy, asked: &Asked<'_>, verdict: Verdict) -> Verdict {
    let check = check(policy, asked, None);
    // Where the name is compared later, a shared address must not be refused for a name that nobody asked for now.
    if check.is_none()
        && let Some((rule, name)) = denying(policy, asked)
    {
        return Verdict {
            name: Some(name.clone()),
            ..denied(rule, format!("`--deny {rule}` forbids `{name}`, which led here"))
        };
    }
    Verdict { check, ..verdict }
}

/// The rule that denies a name which led here.
fn denying<'a>(policy: &'a Policy, asked: &Asked<'a>) -> Option<(&'a Rule, &'a String)> {
    asked.names.iter().find_map(|name| {
        let rule = policy.deny.iter().find(|rule| rule.names(name) && rule.denies(asked.protocol, asked.port));
        rule.map(|rule| (rule, name))
    })
}

/// No address rule matches and the policy is not open: a name must have led here.
fn by_name(policy: &Policy, asked: &Asked<'_>) -> Verdict {
    let mut rule = None;
    let mut names = Vec::new();
    for name in asked.names {
        let allow = policy.allow.iter().find(|rule| rule.names(name) && rule.allows(asked.protocol, asked.port));
        let deny = policy.deny.iter().any(|rule| rule.names(name) && rule.denies(asked.protocol, asked.port));
        if let (Some(allow), false) = (allow, deny) {
            rule.get_or_insert(allow);
            names.push(name.clone());
        }
    }
    match rule {
        Some(rule) => {
            Verdict { name: names.first().cloned(), check: check(policy, asked, Some(names)), ..allowed(rule) }
        }
        None => unnamed(policy, asked),
    }
}

/// Why nothing allows it.
fn unnamed(policy: &Policy, asked: &Asked<'_>) -> Verdict {
    if let Some((rule, name)) = denying(policy, asked) {
        return Verdict {
            name: Some(name.clone()),
            ..denied(rule, format!("`--deny {rule}` forbids `{name}`, which led here"))
        };
    }
    match asked.names.first() {
        Some(name) => {
            let tcp = policy.allow.iter().any(|rule| rule.names(name) && rule.allows(Protocol::Tcp, asked.port));
            let reason = if asked.protocol == Protocol::Udp && asked.port == 443 && tcp {
                format!(
                    "QUIC hides the name of who is talked to, and `{name}` is allowed by TCP; programs go on with that"
                )
            } else {
                format!("no rule allows this port and protocol of `{name}`")
            };
            let hint = Some(flag(asked.protocol, name, asked.port));
            Verdict { name: Some(name.clone()), ..refused(reason, hint) }
        }
        None => refused(
            format!("no rule allows {}, and no name that is allowed led there", asked.address),
            Some(flag_of_address(asked)),
        ),
    }
}

/// What must be compared before a byte goes out.
fn check(policy: &Policy, asked: &Asked<'_>, allowed: Option<Vec<String>>) -> Option<Check> {
    let names = match (asked.protocol, asked.port) {
        (Protocol::Tcp, 443) => Naming::Tls,
        (Protocol::Tcp, 80) => Naming::Http,
        (Protocol::Tcp | Protocol::Udp | Protocol::Icmp, _) => return None,
    };
    let denied = denied_names(policy, asked);
    (allowed.is_some() || !denied.is_empty()).then_some(Check { names, allowed, denied })
}

/// The names that rules deny at this port, as a [`Check`] has them.
fn denied_names(policy: &Policy, asked: &Asked<'_>) -> Vec<String> {
    let rules = policy.deny.iter().filter(|rule| rule.denies(asked.protocol, asked.port));
    rules
        .filter_map(|rule| match &rule.target {
            Target::Name(name) => Some(name.clone()),
            Target::Below(parent) => Some(format!("*.{parent}")),
            Target::Net(_) | Target::Host => None,
        })
        .collect()
}

/// Decides about a name that somebody inside asks for, canonical.
pub fn decide_name(policy: &Policy, name: &str) -> Verdict {
    if name == HOST_NAME {
        return Verdict { reason: "it is the gateway".to_owned(), ..allowed_without_rule() };
    }
    // A rule that denies one port leaves the others, so the name must still lead somewhere.
    let whole = |rule: &&Rule| rule.protocol.is_none() && rule.ports.is_none() && rule.names(name);
    if let Some(rule) = policy.deny.iter().find(whole) {
        return Verdict { name: Some(name.to_owned()), ..denied(rule, format!("`--deny {rule}` forbids the name")) };
    }
    match policy.allow.iter().find(|rule| rule.names(name)) {
        Some(rule) => Verdict { name: Some(name.to_owned()), ..allowed(rule) },
        None if policy.open => {
            Verdict { reason: "the policy is open".to_owned(), name: Some(name.to_owned()), ..allowed_without_rule() }
        }
        None => Verdict {
            name: Some(name.to_owned()),
            ..refused(format!("no rule allows `{name}`"), Some(format!("--allow {name}:443")))
        },
    }
}

/// Whether an answer may carry this address: special ones only if a rule means them, at whatever port.
pub fn may_be_answered(policy: &Policy, address: IpAddr) -> bool {
    let address = address.to_canonical();
    let Some(special) = special(address) else { return true };
    let mut nets = policy.allow.iter().filter_map(Rule::net);
    nets.any(|net| net.contains(address) && net.prefix >= special.bits)
}

/// Whether a name that a connection names passes its check; the packet process compares the same way.
pub fn passes(check: &Check, name: &str) -> bool {
    let denied = check.denied.iter().any(|denied| match denied.strip_prefix("*.") {
        Some(parent) => crate::spec::network::is_below(name, parent),
        None => denied == name,
    });
    !denied && check.allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|allowed| allowed == name))
}

fn allowed_without_rule() -> Verdict {
    Verdict { allowed: true, dial: Dial::Asked, rule: None, reason: String::new(), hint: None, name: None, check: None }
}

fn allowed(rule: &Rule) -> Verdict {
    let reason = match &rule.origin {
        Some(origin) => origin.reason.clone(),
        None => "a rule allows it".to_owned(),
    };
    Verdict { rule: Some(rule.to_string()), reason, ..allowed_without_rule() }
}

fn denied(rule: &Rule, reason: String) -> Verdict {
    Verdict { rule: Some(rule.to_string()), ..refused(reason, None) }
}

fn refused(reason: String, hint: Option<String>) -> Verdict {
    Verdict { allowed: false, reason, hint, ..allowed_without_rule() }
}

/// The flag that allows the address itself.
fn flag_of_address(asked: &Asked<'_>) -> String {
    match (asked.address, asked.protocol) {
        (IpAddr::V6(address), Protocol::Tcp | Protocol::Udp) => {
            flag(asked.protocol, &format!("[{address}]"), asked.port)
        }
        (address, protocol) => flag(protocol, &address.to_string(), asked.port),
    }
}

/// The flag that allows `target`.
fn flag(protocol: Protocol, target: &str, port: u16) -> String {
    match protocol {
        Protocol::Tcp => format!("--allow {target}:{port}"),
        Protocol::Udp => format!("--allow udp://{target}:{port}"),
        Protocol::Icmp => format!("--allow icmp://{target}"),
    }
}

#[cfg(test)]
mod tests;
