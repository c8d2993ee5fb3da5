//! What is answered without asking, and what is left of what servers say.

use super::message::{self, Answer, BLOCKED, FILTERED, Query, Reply};
use super::{Around, Asker, Resolver, cache, is_forwarded};
use crate::network::dialer::journal::About;
use crate::network::policy::{Verdict, decide_name, may_be_answered, special};
use crate::spec::network::{HOST_NAME, Protocol};
use simple_dns::rdata::{A, AAAA, PTR, RData};
use simple_dns::{Name, RCODE, TYPE};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Seconds that answers of our own live.
const OWN_TTL: u32 = 60;

impl Resolver {
    /// Whether a name may be asked for: the canonical name, or the answer that it may not.
    pub(super) fn judge(
        &self,
        around: &mut Around<'_>,
        asker: Asker,
        server: SocketAddr,
        query: &Query,
    ) -> Result<String, Box<Reply>> {
        let protocol = match asker {
            Asker::Flow(_) => Protocol::Udp,
            Asker::Stream(_) => Protocol::Tcp,
        };
        let about = |name| About { flow: None, protocol, target: Some(server), name };
        let Some(name) = &query.name else {
            // Nothing that a rule could allow, and nothing that could be written down.
            let verdict = refusal("what was asked for is no name of a host".to_owned(), None);
            around.journal.asked(about(None), &verdict);
            return Err(Box::new(blocked(&verdict)));
        };
        let own = message::reversed(name).is_some_and(|address| around.gateways.contains(&address));
        let verdict = match own || name == "localhost" {
            true => Verdict { allowed: true, ..refusal("it is answered here".to_owned(), None) },
            false => decide_name(around.policy, name),
        };
        around.journal.asked(about(Some(name)), &verdict);
        if verdict.allowed { Ok(name.clone()) } else { Err(Box::new(blocked(&verdict))) }
    }

    /// The answer to a name that may be asked for, where it is known here.
    pub(super) fn answer_at_once(&mut self, around: &mut Around<'_>, query: &Query, name: &str) -> Option<Reply> {
        let now = Instant::now();
        let own =
            |addresses: &[IpAddr]| Some(Reply { answers: records(query, addresses), ..Reply::empty(RCODE::NoError) });
        if name == HOST_NAME {
            return own(around.gateways);
        }
        if name == "localhost" {
            return own(&[IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16])]);
        }
        if message::reversed(name).is_some_and(|address| around.gateways.contains(&address)) {
            let target = Name::new(HOST_NAME).ok()?.into_owned();
            let answers = match query.kind {
                TYPE::PTR => vec![query.record(OWN_TTL, RData::PTR(PTR(target)))],
                _ => Vec::new(),
            };
            return Some(Reply { answers, ..Reply::empty(RCODE::NoError) });
        }
        if !is_forwarded(query.kind) {
            return Some(Reply::empty(RCODE::NoError));
        }
        if let (TYPE::A | TYPE::AAAA, Some(addresses)) = (query.kind, self.hosts.get(now).get(name)) {
            let records = records(query, addresses);
            let answer =
                Answer { code: RCODE::NoError, chain: Vec::new(), records, last: name.to_owned(), authority: None };
            return Some(reply(around, query, name, answer, now));
        }
        // A rule about IPv6 addresses says that there is a way to them.
        let meant = || around.policy.allow.iter().filter_map(|rule| rule.net()).any(|net| net.address.is_ipv6());
        if query.kind == TYPE::AAAA && !meant() && !self.has_ipv6(now) {
            return Some(Reply::empty(RCODE::NoError));
        }
        let answer = self.cache.get(name, query.kind, now)?;
        Some(reply(around, query, name, answer, now))
    }
}

fn refusal(reason: String, hint: Option<String>) -> Verdict {
    let dial = crate::network::policy::Dial::Asked;
    Verdict { allowed: false, dial, rule: None, reason, hint, name: None, check: None }
}

/// NXDOMAIN and not REFUSED: with that programs would ask again, and elsewhere.
fn blocked(verdict: &Verdict) -> Reply {
    let text = match &verdict.hint {
        Some(hint) => format!("belljar: {}; {hint}", verdict.reason),
        None => format!("belljar: {}", verdict.reason),
    };
    Reply::empty(RCODE::NameError).because(BLOCKED, &text)
}

/// Addresses as records of the kind that was asked for.
fn records(query: &Query, addresses: &[IpAddr]) -> Vec<message::Record> {
    let data = addresses.iter().filter_map(|address| match (query.kind, address) {
        (TYPE::A, IpAddr::V4(four)) => Some(RData::A(A { address: four.to_bits() })),
        (TYPE::AAAA, IpAddr::V6(six)) => Some(RData::AAAA(AAAA { address: six.to_bits() })),
        _ => None,
    });
    data.map(|data| query.record(OWN_TTL, data)).collect()
}

/// What is left of an answer: no special addresses, unless a rule means them. What is left is bound to the name that was asked for.
pub(super) fn reply(around: &mut Around<'_>, query: &Query, name: &str, answer: Answer, now: Instant) -> Reply {
    // The policy may have changed while the question was on its way.
    let verdict = decide_name(around.policy, name);
    if !verdict.allowed {
        return blocked(&verdict);
    }
    let lives = Duration::from_secs(cache::shortest(&answer).into());
    let mut dropped = None;
    let mut answers = answer.chain;
    for record in answer.records {
        match message::address(&record) {
            Some(address) if !may_be_answered(around.policy, address) => dropped = Some(address),
            Some(address) => {
                around.bindings.bind(name, address, lives, now);
                answers.push(record);
            }
            // A record of an address that says none is not passed on.
            None if matches!(query.kind, TYPE::A | TYPE::AAAA) => {}
            None => answers.push(record),
        }
    }
    let reply = Reply { code: answer.code, answers, authority: answer.authority, extended: None };
    match dropped {
        Some(address) => {
            let reason = special(address.to_canonical()).map_or_else(String::new, |found| {
                format!("`{name}` leads to {address}, {}, which no rule names", found.kind)
            });
            let verdict = refusal(reason, Some(format!("--allow {address}")));
            let about = About { flow: None, protocol: Protocol::Udp, target: None, name: Some(name) };
            around.journal.refused(about, &verdict);
            reply.because(FILTERED, &format!("belljar: {}", verdict.reason))
        }
        None => reply,
    }
}
