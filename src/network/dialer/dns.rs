//! The resolver of a sandbox: the only one it has.
//!
//! A name that no rule allows never leaves the machine, since a question carries data out as well as an answer carries it in. What is
//! allowed is asked of the machine's own servers, from a new port and with a new id each time. What they say is passed on without
//! addresses that lead back into the machine or its networks, and is remembered: see [`super::bindings`]. Questions, sockets and answers are
//! bounded.

mod answering;
mod cache;
mod exchange;
mod files;
pub mod message;

#[cfg(test)]
mod tests;

use super::bindings::Bindings;
use super::dial;
use super::journal::Journal;
use super::watch::{Kind, Watch};
use crate::spec::network::Policy;
use cache::Cache;
use exchange::Exchange;
use files::{Hosts, Servers, Watched};
use message::{Answer, Heard, Query, Read, Record, Reply, UNREACHABLE};
use simple_dns::{RCODE, TYPE};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Questions that are on their way to servers at once. The oldest gives way to a new one: servers that are dead must not keep others waiting.
const MOST_TASKS: usize = 256;
/// How long a question may take, whatever the servers do. Programs wait for 5 s and ask again.
const LONGEST: Duration = Duration::from_secs(10);
/// How long a server may take by TCP.
const TCP_PATIENCE: Duration = Duration::from_secs(5);
/// How often an alias is asked for on its own, since the answer did not say where it leads.
const MOST_HOPS: u8 = 8;
/// How long is believed that there is a way to the IPv6 Internet, or none.
const IPV6_HOLDS: Duration = Duration::from_secs(5);

/// Where an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// To the packet process, by UDP.
    Flow(u64),
    /// To one of our own ends of a TCP connection.
    Stream(u64),
}

/// An answer.
#[derive(Debug)]
pub struct Done {
    /// Where it goes.
    pub asker: Asker,
    /// The message; empty, where there is none.
    pub message: Vec<u8>,
}

/// What the resolver works with and does not own.
pub struct Around<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The addresses of the host, as the sandbox sees it.
    pub gateways: &'a [IpAddr],
    /// Which names led where.
    pub bindings: &'a mut Bindings,
    /// The log.
    pub journal: &'a mut Journal,
    /// What is waited for.
    pub watch: &'a Watch,
}

/// The resolver.
#[derive(Debug)]
pub struct Resolver {
    servers: Watched<Servers>,
    hosts: Watched<Hosts>,
    /// The port of the servers.
    port: u16,
    cache: Cache,
    /// By age.
    tasks: BTreeMap<u64, Task>,
    next: u64,
    /// The server that answered last.
    preferred: usize,
    ipv6: Option<(Instant, bool)>,
}

/// A question that is on its way.
#[derive(Debug)]
struct Task {
    asker: Asker,
    query: Query,
    /// The name that was asked for, and what is asked for now: the end of its aliases.
    name: String,
    current: String,
    chain: Vec<Record>,
    hops: u8,
    tries: u32,
    first: usize,
    edns: bool,
    exchange: Option<Exchange>,
    until: Instant,
    give_up: Instant,
}

impl Resolver {
    /// Of a machine with these files; its servers listen on `port`.
    pub fn new(servers: PathBuf, hosts: PathBuf, port: u16) -> Resolver {
        Resolver {
            servers: Watched::new(servers, Servers::parse),
            hosts: Watched::new(hosts, files::parse_hosts),
            port,
            cache: Cache::default(),
            tasks: BTreeMap::new(),
            next: 0,
            preferred: 0,
            ipv6: None,
        }
    }

    /// A message from inside: what is answered at once, to it and to a question that it takes the place of.
    pub fn ask(&mut self, around: &mut Around<'_>, asker: Asker, server: SocketAddr, message: &[u8]) -> Vec<Done> {
        let query = match message::read_query(message) {
            Read::Query(query) => query,
            Read::Wrong(message) => return vec![Done { asker, message }],
            // Who asks by TCP is owed something for each message, if only nothing.
            Read::Nothing if matches!(asker, Asker::Stream(_)) => return vec![Done { asker, message: Vec::new() }],
            Read::Nothing => return Vec::new(),
        };
        let reply = match self.judge(around, asker, server, &query) {
            Ok(name) => match self.answer_at_once(around, &query, &name) {
                Some(reply) => reply,
                None => {
                    let displaced = self.make_room();
                    return displaced.into_iter().chain(self.start(around, asker, query, name)).collect();
                }
            },
            Err(reply) => *reply,
        };
        vec![done(asker, &query, &reply)]
    }

    /// A socket has something to say.
    pub fn ready(&mut self, around: &mut Around<'_>, number: u64, buffer: &mut [u8]) -> Option<Done> {
        let task = self.tasks.get_mut(&number)?;
        let exchange = task.exchange.as_mut()?;
        match exchange.hear(&task.current, task.query.kind, buffer) {
            Ok(None) => {
                if exchange.is_stream() {
                    let write = exchange.wants_to_send();
                    around.watch.change(&*exchange, Kind::Question, number, true, write);
                }
                None
            }
            Ok(Some(heard)) => self.heard(around, number, heard),
            // Nobody listens there: the next server, at once.
            Err(_) => self.try_next(around, number),
        }
    }

    /// What has taken too long goes on with the next server, or ends.
    pub fn expire(&mut self, around: &mut Around<'_>, now: Instant) -> Vec<Done> {
        let late: Vec<u64> =
            self.tasks.iter().filter(|(_, task)| task.until <= now).map(|(number, _)| *number).collect();
        late.into_iter().filter_map(|number| self.try_next(around, number)).collect()
    }

    /// When to look for what has taken too long.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.tasks.values().map(|task| task.until).min()
    }

    /// Forgets the questions of a connection that has ended.
    pub fn forget(&mut self, asker: Asker) {
        self.tasks.retain(|_, task| task.asker != asker);
    }

    /// Ends the oldest question where there is no room for one more.
    fn make_room(&mut self) -> Option<Done> {
        let oldest = (self.tasks.len() >= MOST_TASKS).then(|| self.tasks.pop_first()).flatten();
        let reply = Reply::empty(RCODE::ServerFailure).because(UNREACHABLE, "it gave way to newer questions");
        oldest.map(|(_, task)| done(task.asker, &task.query, &reply))
    }

    fn start(&mut self, around: &mut Around<'_>, asker: Asker, query: Query, name: String) -> Option<Done> {
        let now = Instant::now();
        let number = self.next;
        self.next += 1;
        let task = Task {
            asker,
            query,
            current: name.clone(),
            name,
            chain: Vec::new(),
            hops: 0,
            tries: 0,
            first: self.preferred,
            edns: true,
            exchange: None,
            until: now,
            give_up: now + LONGEST,
        };
        self.tasks.insert(number, task);
        self.try_next(around, number)
    }

    /// Asks the next server, or gives up.
    fn try_next(&mut self, around: &mut Around<'_>, number: u64) -> Option<Done> {
        let now = Instant::now();
        let servers = self.servers.get(now).clone();
        let most = servers.attempts.saturating_mul(u32::try_from(servers.addresses.len()).unwrap_or(0));
        loop {
            let task = self.tasks.get_mut(&number)?;
            task.exchange = None;
            let server = self.preferred_server(&servers, number)?;
            let task = self.tasks.get_mut(&number)?;
            let Some(server) = server.filter(|_| task.tries < most && now < task.give_up) else {
                let text = if servers.addresses.is_empty() { "the host names no server" } else { "no server answers" };
                let reply = Reply::empty(RCODE::ServerFailure).because(UNREACHABLE, text);
                return self.finish(number, &reply);
            };
            task.tries += 1;
            task.until = (now + servers.timeout).min(task.give_up);
            let Ok(exchange) = Exchange::by_udp(server, &task.current, task.query.kind, task.edns) else { continue };
            if around.watch.add(&exchange, Kind::Question, number, true, false) {
                task.exchange = Some(exchange);
                return None;
            }
        }
    }

    /// The server that a task has to ask now. The outer `None`: there is no such task.
    fn preferred_server(&self, servers: &Servers, number: u64) -> Option<Option<SocketAddr>> {
        let task = self.tasks.get(&number)?;
        let tries = usize::try_from(task.tries).unwrap_or(0);
        let index = task.first.wrapping_add(tries).checked_rem(servers.addresses.len());
        let address = index.and_then(|index| servers.addresses.get(index));
        Some(address.map(|address| SocketAddr::new(*address, self.port)))
    }

    fn heard(&mut self, around: &mut Around<'_>, number: u64, heard: Heard) -> Option<Done> {
        match heard {
            Heard::Unrelated => None,
            Heard::Truncated => self.by_tcp(around, number),
            Heard::NotUnderstood => {
                let task = self.tasks.get_mut(&number)?;
                if task.edns {
                    // The same server once more, without what it may not know (RFC 6891, 6.2.2).
                    task.edns = false;
                    task.tries = task.tries.saturating_sub(1);
                }
                self.try_next(around, number)
            }
            Heard::Broken => self.try_next(around, number),
            Heard::Answer(answer) if matches!(answer.code, RCODE::NoError | RCODE::NameError) => {
                self.answered(around, number, *answer)
            }
            // The server has no answer; another may have.
            Heard::Answer(_) => self.try_next(around, number),
        }
    }

    /// The same question to the same server, by TCP.
    fn by_tcp(&mut self, around: &mut Around<'_>, number: u64) -> Option<Done> {
        let now = Instant::now();
        let servers = self.servers.get(now).clone();
        let task = self.tasks.get_mut(&number)?;
        let tries = usize::try_from(task.tries.saturating_sub(1)).unwrap_or(0);
        let index = task.first.wrapping_add(tries).checked_rem(servers.addresses.len());
        let server =
            index.and_then(|index| servers.addresses.get(index)).map(|address| SocketAddr::new(*address, self.port));
        task.exchange = None;
        task.until = (now + TCP_PATIENCE).min(task.give_up);
        if let Some(Ok(exchange)) = server.map(|server| Exchange::by_tcp(server, &task.current, task.query.kind))
            && around.watch.add(&exchange, Kind::Question, number, true, true)
        {
            task.exchange = Some(exchange);
            return None;
        }
        self.try_next(around, number)
    }

    /// A server has answered: the end, or an alias that has to be asked for.
    fn answered(&mut self, around: &mut Around<'_>, number: u64, answer: Answer) -> Option<Done> {
        let now = Instant::now();
        let count = self.servers.get(now).addresses.len();
        let task = self.tasks.get_mut(&number)?;
        let tries = usize::try_from(task.tries.saturating_sub(1)).unwrap_or(0);
        self.preferred = task.first.wrapping_add(tries).checked_rem(count).unwrap_or(0);
        let leads_on = answer.records.is_empty() && !answer.chain.is_empty() && answer.code == RCODE::NoError;
        let on_the_way = task.chain.len() + answer.chain.len();
        task.chain.extend(answer.chain);
        if leads_on && task.hops < MOST_HOPS && on_the_way <= message::MOST_ALIASES && answer.authority.is_none() {
            task.hops += 1;
            task.tries = 0;
            task.first = self.preferred;
            task.current = answer.last;
            return self.try_next(around, number);
        }
        let whole = Answer { chain: std::mem::take(&mut task.chain), ..answer };
        self.cache.put(&task.name, task.query.kind, &whole, now);
        let task = self.tasks.remove(&number)?;
        let reply = answering::reply(around, &task.query, &task.name, whole, now);
        Some(done(task.asker, &task.query, &reply))
    }

    fn finish(&mut self, number: u64, reply: &Reply) -> Option<Done> {
        let task = self.tasks.remove(&number)?;
        Some(done(task.asker, &task.query, reply))
    }

    /// Whether the machine has a way to the IPv6 Internet.
    fn has_ipv6(&mut self, now: Instant) -> bool {
        match self.ipv6 {
            Some((since, found)) if now.saturating_duration_since(since) < IPV6_HOLDS => found,
            _ => {
                let found = dial::has_ipv6();
                self.ipv6 = Some((now, found));
                found
            }
        }
    }
}

/// The answer as bytes, as long as the way there allows.
fn done(asker: Asker, query: &Query, reply: &Reply) -> Done {
    let limit = match asker {
        Asker::Flow(_) => query.udp_limit(),
        Asker::Stream(_) => usize::from(u16::MAX),
    };
    Done { asker, message: query.write(reply, limit) }
}

/// What is forwarded: records of names and texts. Others carry keys (HTTPS, SVCB) or what no program in a sandbox asks for.
fn is_forwarded(kind: TYPE) -> bool {
    matches!(
        kind,
        TYPE::A
            | TYPE::AAAA
            | TYPE::CNAME
            | TYPE::MX
            | TYPE::TXT
            | TYPE::SRV
            | TYPE::PTR
            | TYPE::NS
            | TYPE::SOA
            | TYPE::NAPTR
            | TYPE::CAA
    )
}
