//! Holds the first bytes of a connection until they name somebody who is allowed ([`Check`]): the server name of a TLS hello, or the Host
//! of each request of HTTP/1. No byte goes out before its name is known, and none comes in.

use super::hello;
use super::host::Requests;
use super::rate::Time;
use crate::network::wire::{Check, Flow, Naming, ToDialer};

/// Bytes that are held at most: a hello, or the head of a request.
pub const MOST: usize = 16 << 10;
/// How long the name may take.
pub const PATIENCE: Time = 10_000_000;

/// What a reader makes of the bytes in front of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// More bytes are needed.
    More,
    /// So many bytes may go.
    Pass(usize),
    /// So many bytes name this one; `None`: they name nobody.
    Name(Option<String>, usize),
    /// What follows is none of our business.
    Opaque,
    /// This is not what it should be.
    Refuse,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As far as it is known, it may go on.
    Hold,
    /// Nothing more is to be checked.
    Open,
    /// It may not go on.
    Refused,
}

/// A connection's check and how far it has come.
pub struct Gate {
    check: Check,
    requests: Requests,
    /// The name that was reported last.
    reported: Option<String>,
    /// Bytes at the front that may go out.
    pub released: usize,
    /// A name was accepted, so the other side may answer.
    pub accepted: bool,
    /// Until when the name must have come.
    pub deadline: Option<Time>,
}

impl Gate {
    /// Nothing has come yet.
    pub fn new(check: Check, now: Time) -> Gate {
        let requests = Requests::default();
        Gate { check, requests, reported: None, released: 0, accepted: false, deadline: Some(now + PATIENCE) }
    }

    /// Reads what is held, `held` from its first byte. Reports names as they come.
    pub fn read(&mut self, held: &[u8], flow: Flow, now: Time, mut report: impl FnMut(&ToDialer)) -> Verdict {
        loop {
            let rest = held.get(self.released..).unwrap_or_default();
            let step = match self.check.names {
                Naming::Tls => hello::read(rest),
                Naming::Http => self.requests.read(rest),
            };
            let (name, length) = match step {
                Step::More if rest.len() >= MOST => (None, 0),
                Step::More => {
                    let waits = !self.accepted || (!rest.is_empty() && !self.requests.waits());
                    self.deadline = if waits { self.deadline.or(Some(now + PATIENCE)) } else { None };
                    return Verdict::Hold;
                }
                Step::Pass(length) => {
                    self.released += length;
                    continue;
                }
                Step::Opaque => return Verdict::Open,
                Step::Name(name, length) => (name, length),
                Step::Refuse => (None, 0),
            };
            let accepted = name.as_deref().is_some_and(|name| self.allows(name));
            if !accepted || self.reported != name {
                report(&ToDialer::Named { flow, name: name.clone(), accepted });
            }
            if !accepted {
                return Verdict::Refused;
            }
            (self.reported, self.accepted, self.deadline) = (name, true, None);
            self.released += length;
            if self.check.names == Naming::Tls {
                return Verdict::Open;
            }
        }
    }

    /// Reads the first bytes of what the other side answers.
    pub fn read_answer(&mut self, bytes: &[u8]) {
        self.requests.read_answer(bytes);
    }

    fn allows(&self, name: &str) -> bool {
        let denied = self.check.denied.iter().any(|pattern| match pattern.strip_prefix('*') {
            Some(suffix) => suffix.starts_with('.') && name.len() > suffix.len() && name.ends_with(suffix),
            None => pattern == name,
        });
        !denied && self.check.allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|allowed| allowed == name))
    }
}

/// A name as it is compared: lower case, one trailing dot off. `None`: no name of a host, nor an address.
pub fn canonical(name: &[u8]) -> Option<String> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let text = std::str::from_utf8(name).ok()?;
    if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().ok().map(|address| format!("[{address}]"));
    }
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(is_inner)
    };
    (text.len() <= 253 && text.split('.').all(is_label)).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(allowed: Option<&[&str]>, denied: &[&str], names: Naming) -> Gate {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Gate::new(Check { names, allowed: allowed.map(owned), denied: owned(denied) }, 0)
    }

    fn read(gate: &mut Gate, held: &[u8]) -> (Verdict, Vec<ToDialer>) {
        let mut told = Vec::new();
        let verdict = gate.read(held, 1, 0, |message| told.push(message.clone()));
        (verdict, told)
    }

    #[test]
    fn names_are_compared_in_one_form() {
        assert_eq!(canonical(b"ExAmple.ORG.").as_deref(), Some("example.org"));
        assert_eq!(canonical(b"[2001:DB8:0::1]").as_deref(), Some("[2001:db8::1]"));
        for odd in [&b"a..b"[..], b"", b".", b"a.org..", b"a\0.org", b"a@b", b"b\xc3\xbc.de", b"a b", b"[::1", b"*.a"] {
            assert_eq!(canonical(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_denied_name_is_refused_even_when_it_is_allowed() {
        let gate = gate(None, &["a.org", "*.b.org"], Naming::Http);
        for (name, allowed) in
            [("a.org", false), ("x.a.org", true), ("b.org", true), ("x.b.org", false), ("xb.org", true)]
        {
            assert_eq!(gate.allows(name), allowed, "{name}");
        }
    }

    #[test]
    fn each_request_is_checked_and_told_when_its_name_changes() {
        let mut gate = gate(Some(&["a.org", "b.org"]), &[], Naming::Http);
        let one = b"GET / HTTP/1.1\r\nHost: a.org\r\n\r\n";
        let named = |name: &str, accepted| ToDialer::Named { flow: 1, name: Some(name.to_owned()), accepted };
        assert_eq!(read(&mut gate, &[&one[..], one].concat()), (Verdict::Hold, vec![named("a.org", true)]));
        assert_eq!(gate.released, 2 * one.len());
        gate.released = 0;
        let other = b"GET / HTTP/1.1\r\nHost: c.org\r\n\r\n";
        assert_eq!(read(&mut gate, &[&one[..], other].concat()), (Verdict::Refused, vec![named("c.org", false)]));
    }

    #[test]
    fn who_says_nothing_of_use_in_16_kib_is_refused() {
        let mut gate = gate(None, &[], Naming::Http);
        let held = [&b"GET / HTTP/1.1\r\nX: "[..], &[b'x'; MOST]].concat();
        assert_eq!(read(&mut gate, &held).0, Verdict::Refused);
    }

    /// What becomes of it, in pieces of this length.
    fn in_pieces(names: Naming, bytes: &[u8], length: usize) -> Verdict {
        let mut gate = gate(None, &[], names);
        let ends = (1..=bytes.len().div_ceil(length)).map(|piece| bytes.len().min(piece * length));
        let mut verdicts = ends.map(|end| read(&mut gate, &bytes[..end]).0);
        verdicts.find(|verdict| *verdict != Verdict::Hold).unwrap_or(Verdict::Hold)
    }

    #[test]
    fn the_longest_hello_and_head_are_the_same_in_one_piece_and_in_many() {
        for (more, hello, head) in [(0, Verdict::Open, Verdict::Hold), (1, Verdict::Refused, Verdict::Refused)] {
            for length in [100, 1000, MOST - 1, MOST, MOST + 1, 3 * MOST] {
                let bytes = hello::tests::of_length(MOST + more);
                assert_eq!(bytes.len(), MOST + more);
                assert_eq!(in_pieces(Naming::Tls, &bytes, length), hello, "{more} {length}");
                let start = b"GET / HTTP/1.1\r\nHost: a.org\r\nX: ".to_vec();
                let filler = vec![b'x'; MOST + more - start.len() - 4];
                let bytes = [start, filler, b"\r\n\r\n".to_vec()].concat();
                assert_eq!(in_pieces(Naming::Http, &bytes, length), head, "{more} {length}");
            }
        }
    }
}
