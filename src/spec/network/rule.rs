//! From the words of `--allow` and `--deny` to rules.

use super::names::{NameError, canonical};
use super::sets;
use super::{HOST_NAME, Net, Ports, Protocol, Rule, Target};
use crate::spec::words::WordError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const FORMS: &str = "a rule is an address, a range of addresses or a name, and if wanted a port, as in `pypi.org:443`, `*.example.org`, `10.0.0.0/8:80`, \
     `[2001:db8::]/32:443`, `udp://192.0.2.1:53`, `host:8080` or `@python`";
/// No rule is longer; a message about one that is must not be either.
const LONGEST: usize = 300;

/// The rules that one word stands for: one, or those of a set.
///
/// # Errors
///
/// What is wrong with the word, and what to type instead.
pub fn parse_rule(word: &str) -> Result<Vec<Rule>, WordError> {
    if let Some(set) = word.strip_prefix('@') {
        return sets::rules(set);
    }
    one(word).map(|rule| vec![rule])
}

/// A rule that is no set.
pub(super) fn one(word: &str) -> Result<Rule, WordError> {
    let shown = shorten(word);
    if word.is_empty() {
        return Err(wrong("a rule is empty", FORMS));
    }
    if word.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong(format!("`{shown}` {}", NameError::Control), FORMS));
    }
    if word.len() > LONGEST {
        return Err(wrong(format!("`{shown}` has more than {LONGEST} bytes"), FORMS));
    }
    let (protocol, rest) = scheme(word)?;
    let (target, ports) = target(word, rest)?;
    if let (Some(Protocol::Icmp), Some(_)) = (protocol, ports) {
        let hint = "write it without the port, as in `icmp://192.0.2.1`";
        return Err(wrong(format!("`{shown}` names a port, which echo requests do not have"), hint));
    }
    Ok(Rule { text: word.to_owned(), protocol, target, ports, origin: None })
}

fn wrong(message: impl Into<String>, hint: impl Into<String>) -> WordError {
    WordError { message: message.into(), hint: Some(hint.into()) }
}

/// As it may stand in a message: without control characters, and short.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

/// The protocol before `://`.
fn scheme(word: &str) -> Result<(Option<Protocol>, &str), WordError> {
    let Some((scheme, rest)) = word.split_once("://") else { return Ok((None, word)) };
    match scheme {
        "tcp" => Ok((Some(Protocol::Tcp), rest)),
        "udp" => Ok((Some(Protocol::Udp), rest)),
        "icmp" => Ok((Some(Protocol::Icmp), rest)),
        other => {
            let name = rest.split(['/', ':', '?', '#']).next().unwrap_or_default();
            let hint = match (other, canonical(name)) {
                ("https" | "wss", Ok(name)) => format!("name the host and the port, as in `{name}:443`"),
                ("http" | "ws", Ok(name)) => format!("name the host and the port, as in `{name}:80`"),
                _ => "the protocols are `tcp://`, `udp://` and `icmp://`; without one a name stands for TCP".to_owned(),
            };
            Err(wrong(
                format!("`{}` has the protocol `{}`, which rules do not know", shorten(word), shorten(other)),
                hint,
            ))
        }
    }
}

/// Whom it is about, and the ports.
fn target(word: &str, rest: &str) -> Result<(Target, Option<Ports>), WordError> {
    if let Some(inner) = rest.strip_prefix('[') {
        return bracketed(word, inner);
    }
    // More colons than one port needs: an IPv6 address without brackets, which leaves no place for a port.
    if rest.matches(':').count() > 1 {
        let (address, prefix) = rest.split_once('/').map_or((rest, None), |(address, prefix)| (address, Some(prefix)));
        let parsed = address.parse::<Ipv6Addr>().map_err(|_| no_ipv6(word, address))?;
        if let Some((length, port)) = prefix.and_then(|prefix| prefix.split_once(':')) {
            let hint =
                format!("write the address in brackets, as in `[{parsed}]/{}:{}`", shorten(length), shorten(port));
            return Err(wrong(format!("`{}` has a port after an address without brackets", shorten(word)), hint));
        }
        return Ok((Target::Net(net(word, parsed.into(), prefix)?), None));
    }
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let ports = port.map(|port| ports(word, port)).transpose()?;
    let (start, prefix) = host.split_once('/').map_or((host, None), |(start, prefix)| (start, Some(prefix)));
    if let Ok(address) = start.parse::<Ipv4Addr>() {
        return Ok((Target::Net(net(word, address.into(), prefix)?), ports));
    }
    if prefix.is_some() {
        let hint = format!("only addresses have a length; write `{}` with a port, as in `{0}:443`", shorten(start));
        let message = match canonical(start) {
            Ok(_) => "has a path: a rule says who is talked to, not what is asked for".to_owned(),
            Err(error) => error.to_string(),
        };
        return Err(wrong(format!("`{}` {message}", shorten(word)), hint));
    }
    if canonical(host).is_ok_and(|name| name == "host" || name == HOST_NAME) {
        return Ok((Target::Host, ports));
    }
    Ok((name(word, host)?, ports))
}

/// What follows an opening bracket: `2001:db8::]/32:443`.
fn bracketed(word: &str, inner: &str) -> Result<(Target, Option<Ports>), WordError> {
    let shown = shorten(word);
    let Some((address, after)) = inner.split_once(']') else {
        return Err(wrong(format!("`{shown}` has an opening bracket and no closing one"), FORMS));
    };
    let address = address.parse::<Ipv6Addr>().map_err(|_| no_ipv6(word, address))?;
    let (prefix, port) = match after.split_once(':') {
        Some((prefix, port)) => (prefix, Some(port)),
        None => (after, None),
    };
    let prefix = match prefix.strip_prefix('/') {
        Some(prefix) => Some(prefix),
        None if prefix.is_empty() => None,
        None => return Err(wrong(format!("`{shown}` has `{}` after the address", shorten(after)), FORMS)),
    };
    let ports = port.map(|port| ports(word, port)).transpose()?;
    Ok((Target::Net(net(word, address.into(), prefix)?), ports))
}

fn no_ipv6(word: &str, address: &str) -> WordError {
    let shown = shorten(word);
    if address.contains('%') {
        let hint = "write the address without `%` and what follows it";
        return wrong(format!("`{shown}` names an interface, which a sandbox does not share"), hint);
    }
    wrong(format!("`{shown}` has no IPv6 address where one should be"), FORMS)
}

fn net(word: &str, address: IpAddr, prefix: Option<&str>) -> Result<Net, WordError> {
    let width: u8 = if address.is_ipv4() { 32 } else { 128 };
    let length = match prefix {
        None => width,
        Some(text) => match number(text).and_then(|length| u8::try_from(length).ok()) {
            Some(length) if length <= width => length,
            _ => {
                let message = format!("`{}` has `/{}`, which is no length of a range", shorten(word), shorten(text));
                return Err(wrong(
                    message,
                    format!("the length is a number from 0 to {width}, as in `{address}/{width}`"),
                ));
            }
        },
    };
    let net = Net::new(address, length).ok_or_else(|| wrong(format!("`{}` is no range", shorten(word)), FORMS))?;
    if net.address.to_canonical() != address.to_canonical() {
        let right = match net.address {
            IpAddr::V4(first) => format!("`{first}/{}` for the range, `{address}` for the one address", net.prefix),
            IpAddr::V6(first) => format!("`[{first}]/{}` for the range, `[{address}]` for the one address", net.prefix),
        };
        return Err(wrong(
            format!("`{}` is not the first address of a range of that length", shorten(word)),
            format!("write {right}"),
        ));
    }
    Ok(net)
}

fn ports(word: &str, text: &str) -> Result<Ports, WordError> {
    let shown = shorten(word);
    let hint = "a port is a number from 1 to 65535, or a range, as in `8000-8100`; several ports are several rules, no port is all ports";
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| number(text).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let (Some(first), Some(last)) = (port(first), port(last)) else {
        return Err(wrong(format!("`{shown}` has `{}` where a port should be", shorten(text)), hint));
    };
    if first > last {
        return Err(wrong(format!("`{shown}` has a range of ports that ends before it begins"), hint));
    }
    Ok(Ports { first, last })
}

/// Decimal digits and nothing else: no sign, no leading zero.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn name(word: &str, text: &str) -> Result<Target, WordError> {
    let shown = shorten(word);
    if text == "*" {
        return Err(wrong(format!("`{shown}` stands for every name"), "`--net open` allows every public address"));
    }
    let (parent, below) = text.strip_prefix("*.").map_or((text, false), |parent| (parent, true));
    if parent.contains('*') {
        let hint = "a star stands for whole parts at the beginning, as in `*.example.org`";
        return Err(wrong(format!("`{shown}` has a star where none can be"), hint));
    }
    let name = canonical(parent).map_err(|error| wrong(format!("`{shown}` {error}"), error.hint()))?;
    if name == "localhost" || super::is_below(&name, "localhost") {
        let hint =
            "inside, `localhost` is the sandbox itself; the loopback of the host is `host:PORT`, as in `host:8080`";
        return Err(wrong(format!("`{shown}` is never asked for"), hint));
    }
    if below && name == "host" {
        return Err(wrong(
            format!("`{shown}` is no name"),
            "the loopback of the host is `host:PORT`, as in `host:8080`",
        ));
    }
    Ok(if below { Target::Below(name) } else { Target::Name(name) })
}
