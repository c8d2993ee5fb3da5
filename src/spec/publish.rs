//! Ports of a sandbox that are reached from the host: the word `[ADDR:]HOST:SANDBOX`, and what of several contradicts itself.

use super::{Network, Spec, WordError};
use crate::error::Problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The most ports of one sandbox: each is a descriptor, and they go to another process in one message.
const MOST: usize = 64;

/// One port of a sandbox, and where on the host it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Publish {
    /// The host's address. Loopback unless written out.
    pub address: IpAddr,
    /// The host's port. 0: any that is free.
    pub host: u16,
    /// The port inside.
    pub inside: u16,
}

impl Publish {
    /// Where on the host.
    pub fn place(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.host)
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.place(), self.inside)
    }
}

/// `HOST:SANDBOX` or `ADDR:HOST:SANDBOX`, each with `/tcp`, which it is anyway. An IPv6 address stands in brackets.
pub fn parse_publish(word: &str) -> Result<Publish, WordError> {
    let shown = word.escape_debug();
    let wrong = || {
        WordError::new(
            format!("`{shown}` is not of the form [ADDR:]HOST:SANDBOX"),
            "name the host's port and the sandbox's, as in `--publish 8080:80` or `--publish [::1]:8080:80`",
        )
    };
    let ports = match word.split_once('/') {
        None => word,
        Some((ports, "tcp")) => ports,
        Some((_, "udp")) => {
            let message = format!("`{shown}` is a UDP port, and only TCP ports are published");
            return Err(WordError::new(message, "leave `/udp` out"));
        }
        Some(_) => return Err(wrong()),
    };
    let (rest, inside) = ports.rsplit_once(':').ok_or_else(wrong)?;
    let (address, host) = rest.rsplit_once(':').map_or((None, rest), |(address, host)| (Some(address), host));
    let number = |text: &str| match text.parse::<u16>() {
        Ok(port) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(wrong()),
    };
    let inside = number(inside)?;
    if inside == 0 {
        let message = format!("`{shown}` has 0 in the place of the sandbox's port");
        return Err(WordError::new(message, "name a port inside from 1 to 65535; 0 can only stand for the host's"));
    }
    let address = match address {
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(text) => self::address(text).ok_or_else(wrong)?,
    };
    Ok(Publish { address, host: number(host)?, inside })
}

/// `127.0.0.1` or `[::1]`.
fn address(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().map(IpAddr::V4),
    }
}

/// `ADDR:PORT` or `PORT`, where a port is to be opened; loopback unless written out.
pub fn parse_listen(word: &str) -> Result<SocketAddr, WordError> {
    let (address, port) = word.rsplit_once(':').map_or((None, word), |(address, port)| (Some(address), port));
    let address = address.map_or(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), self::address);
    let port = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()));
    address.zip(port).map(SocketAddr::from).ok_or_else(|| {
        WordError::new(
            format!("`{}` is not of the form ADDR:PORT", word.escape_debug()),
            "name an address and a port, as in `127.0.0.1:8080`; port 0 is any that is free",
        )
    })
}

/// What of it cannot be.
pub(super) fn check(spec: &Spec, problems: &mut Vec<Problem>) {
    let Some(first) = spec.publish.first() else { return };
    if spec.net == Network::Host {
        let message = "with the host's network the sandbox's ports are the host's already";
        problems.push(Problem::new("publish", message).hint("leave `--publish` out, or leave `--net host` out"));
    }
    if spec.publish.len() > MOST {
        problems.push(Problem::new("publish", format!("{} ports, and {MOST} are the most", spec.publish.len())));
    }
    let mut seen = BTreeSet::new();
    let twice = spec.publish.iter().filter(|one| one.host != 0).find(|one| !seen.insert(one.place()));
    if let Some(twice) = twice {
        let message = format!("{} is published twice", twice.place());
        problems.push(Problem::new("publish", message).hint("take another port of the host for one of them"));
    }
    if first.inside == 0 || spec.publish.iter().any(|one| one.inside == 0) {
        problems.push(Problem::new("publish", "0 is no port of a sandbox"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(word: &str) -> String {
        parse_publish(word).map_or_else(|wrong| wrong.message, |read| read.to_string())
    }

    #[test]
    fn a_port_is_read_with_and_without_an_address() {
        for (word, read) in [
            ("8080:80", "127.0.0.1:8080:80"),
            ("0:80/tcp", "127.0.0.1:0:80"),
            ("0.0.0.0:8080:80", "0.0.0.0:8080:80"),
            ("[::1]:8080:80", "[::1]:8080:80"),
            ("127.0.0.1:65535:65535/tcp", "127.0.0.1:65535:65535"),
        ] {
            assert_eq!(shown(word), read, "{word}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused_with_the_word_that_was_given() {
        for word in [
            "",
            "80",
            ":80",
            "80:",
            "a:80",
            "80:a",
            "+1:80",
            "80:65536",
            "::1:80:80",
            "[::1]80:80",
            "[127.0.0.1]:80:80",
            "localhost:80:80",
            "80:80/",
            "80:80/sctp",
            "80:80/tcp/tcp",
            "1:2:3:4",
            " 80:80",
        ] {
            assert_eq!(shown(word), format!("`{word}` is not of the form [ADDR:]HOST:SANDBOX"));
        }
        assert_eq!(shown("80:0"), "`80:0` has 0 in the place of the sandbox's port");
        assert_eq!(shown("80:80/udp"), "`80:80/udp` is a UDP port, and only TCP ports are published");
    }

    #[test]
    fn a_place_to_listen_is_a_port_or_an_address_and_a_port() {
        let read = |word| parse_listen(word).map(|place| place.to_string()).map_err(|wrong| wrong.message);
        assert_eq!(read("8080").as_deref(), Ok("127.0.0.1:8080"));
        assert_eq!(read("[::]:0").as_deref(), Ok("[::]:0"));
        assert_eq!(read("0.0.0.0:80").as_deref(), Ok("0.0.0.0:80"));
        for word in ["", ":80", "::1:80", "a:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536"] {
            assert_eq!(read(word), Err(format!("`{word}` is not of the form ADDR:PORT")));
        }
    }

    #[test]
    fn ports_that_contradict_each_other_or_the_network_are_found_together() {
        let publish = ["8080:80", "8080:81", "0:80", "0:80"].map(|word| parse_publish(word).unwrap());
        let spec = Spec { net: Network::Host, publish: publish.to_vec(), ..Spec::default() };
        let mut problems = Vec::new();
        check(&spec, &mut problems);
        let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(
            messages,
            ["with the host's network the sandbox's ports are the host's already", "127.0.0.1:8080 is published twice"]
        );
    }
}
