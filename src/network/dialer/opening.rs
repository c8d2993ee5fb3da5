//! From a wish to a socket.

use super::Dialer;
use super::dial;
use super::flows::{Connect, Live, MOST_FLOWS, State};
use super::journal::About;
use super::watch::Kind;
use crate::network::policy::{Asked, Dial, Verdict, decide};
use crate::network::wire::{Flow, LONGEST, Protocol, Refusal, ToPacket};
use crate::spec::network as spec;
use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Instant;

impl Dialer {
    /// Somebody inside wants to reach `target`.
    pub(super) fn open(&mut self, flow: Flow, protocol: Protocol, target: SocketAddr) {
        // A number is never used twice; a packet process that does is not what it was.
        if self.flows.contains_key(&flow) {
            return;
        }
        let target = SocketAddr::new(target.ip().to_canonical(), target.port());
        let about = About { flow: Some(flow), protocol, target: Some(target), name: None };
        // The packet process keeps the limit, and may know of an end before we do: this is only a bound for one that is not what it was.
        let most = usize::try_from(self.policy.flows).unwrap_or(usize::MAX).saturating_mul(2).saturating_add(64);
        if self.flows.len() >= most.min(MOST_FLOWS) {
            self.journal.failed(about, None, "too many connections are open");
            return self.refuse(flow, Refusal::Silence);
        }
        if protocol == Protocol::Tcp && target.port() == 53 {
            return self.open_names(flow, target);
        }
        let verdict = match self.judge(protocol, target) {
            Ok(verdict) => verdict,
            Err(errno) => {
                self.journal.failed(about, None, &reason(protocol, errno));
                return self.refuse(flow, dial::refusal(errno));
            }
        };
        if !verdict.allowed {
            self.journal.refused(About { name: verdict.name.as_deref(), ..about }, &verdict);
            return self.refuse(flow, Refusal::Prohibited);
        }
        self.make_room();
        let (to, instead) = addresses(&verdict, target);
        self.bindings.hold(target.ip());
        self.flows.insert(flow, live(protocol, target, verdict));
        self.dial(flow, protocol, to, instead);
    }

    /// The decision, which takes the machine's own addresses into account.
    ///
    /// # Errors
    ///
    /// It could not be found out whether the address is one of them.
    pub(super) fn judge(&self, protocol: Protocol, target: SocketAddr) -> nix::Result<Verdict> {
        let address = target.ip();
        let names = self.bindings.names(address, Instant::now());
        let port = if protocol == Protocol::Icmp { 0 } else { target.port() };
        let gateway = self.gateways.contains(&address);
        let asked = Asked { protocol, address, port, names: &names, gateway, own: false };
        let verdict = decide(&self.policy, &asked);
        if verdict.allowed && verdict.dial == Dial::Asked && dial::is_own(address)? {
            return Ok(decide(&self.policy, &Asked { own: true, ..asked }));
        }
        Ok(verdict)
    }

    fn dial(&mut self, flow: Flow, protocol: Protocol, to: SocketAddr, instead: Option<SocketAddr>) {
        let socket = match dial::socket_for(protocol, to) {
            Ok(socket) => socket,
            Err(errno) => return self.not_connected(flow, errno, None),
        };
        match dial::connect(&socket, to) {
            Ok(()) => self.connected(flow, socket),
            Err(Errno::EINPROGRESS) => {
                let number = self.connects.number();
                if !self.watch.add(&socket, Kind::Connect, number, false, true) {
                    return self.not_connected(flow, Errno::ENOMEM, None);
                }
                if let Some(live) = self.flows.get_mut(&flow) {
                    live.state = State::Connecting(number);
                    self.connects.insert(number, Connect { flow, socket, instead });
                }
            }
            Err(errno) => self.not_connected(flow, errno, instead),
        }
    }

    /// A connect that took a while has ended.
    pub(super) fn connect_ended(&mut self, number: u64) {
        let Some(result) = self.connects.socket(number).map(dial::result) else { return };
        let Some(connect) = self.connects.remove(number) else { return };
        self.watch.remove(&connect.socket);
        match result {
            Ok(()) => self.connected(connect.flow, connect.socket),
            Err(errno) => self.not_connected(connect.flow, errno, connect.instead),
        }
    }

    /// Connects that have taken too long.
    pub(super) fn expire_connects(&mut self, now: Instant) {
        while let Some(connect) = self.connects.expired(now) {
            self.not_connected(connect.flow, Errno::ETIMEDOUT, None);
        }
    }

    /// Gives up the oldest attempt where there is no room for one more: targets that are dead must not keep others waiting.
    fn make_room(&mut self) {
        let Some(connect) = self.connects.displaced() else { return };
        let Some(live) = self.forget(connect.flow) else { return };
        let reason = "it gave way to newer ones, since too many connections are being made at once";
        self.journal.failed(about(connect.flow, &live), live.rule.as_deref(), reason);
        // The program inside tries again by itself.
        self.refuse(connect.flow, Refusal::Silence);
    }

    fn connected(&mut self, flow: Flow, socket: OwnedFd) {
        let Some(live) = self.flows.get_mut(&flow) else { return };
        live.state = State::Up;
        let message = ToPacket::Connected { flow, local: false, check: live.check.clone() };
        let about = about(flow, live);
        match self.packet.send(&message, Some(socket), LONGEST) {
            Ok(()) => self.journal.opened(about, live.rule.as_deref(), &live.reason),
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                // A check that cannot be told is one that cannot be made.
                self.journal.failed(about, live.rule.as_deref(), "the rules deny more names than can be compared");
                self.forget(flow);
                self.refuse(flow, Refusal::Prohibited);
            }
            Err(_) => self.over = true,
        }
    }

    fn not_connected(&mut self, flow: Flow, errno: Errno, instead: Option<SocketAddr>) {
        let Some(live) = self.flows.get(&flow) else { return };
        if let Some(to) = instead {
            return self.dial(flow, live.protocol, to, None);
        }
        self.journal.failed(about(flow, live), live.rule.as_deref(), &reason(live.protocol, errno));
        self.forget(flow);
        self.refuse(flow, dial::refusal(errno));
    }

    /// A connection that asks for names ends here.
    fn open_names(&mut self, flow: Flow, target: SocketAddr) {
        match self.streams.open(&self.watch) {
            Ok((number, theirs)) => {
                let verdict = Verdict {
                    allowed: true,
                    dial: Dial::Asked,
                    rule: None,
                    reason: String::new(),
                    hint: None,
                    name: None,
                    check: None,
                };
                self.bindings.hold(target.ip());
                self.flows.insert(flow, Live { state: State::Names(number), ..live(Protocol::Tcp, target, verdict) });
                self.tell_packet(&ToPacket::Connected { flow, local: true, check: None }, Some(theirs));
            }
            Err(_) => {
                let about = About { flow: Some(flow), protocol: spec::Protocol::Tcp, target: Some(target), name: None };
                self.journal.failed(about, None, "too many connections ask for names");
                self.refuse(flow, Refusal::Silence);
            }
        }
    }

    /// Tells the packet process that it is not to be, or could not be.
    pub(super) fn refuse(&mut self, flow: Flow, refusal: Refusal) {
        self.tell_packet(&ToPacket::Refused { flow, refusal }, None);
    }

    /// Forgets a flow, and what hangs on it.
    pub(super) fn forget(&mut self, flow: Flow) -> Option<Live> {
        let live = self.flows.remove(&flow)?;
        self.bindings.release(live.target.ip());
        match live.state {
            State::Connecting(number) => drop(self.connects.remove(number)),
            State::Names(number) => {
                self.streams.close(number);
                self.resolver.forget(super::Asker::Stream(number));
            }
            State::Up => {}
        }
        Some(live)
    }
}

/// What the log says of a flow.
pub(super) fn about(flow: Flow, live: &Live) -> About<'_> {
    About { flow: Some(flow), protocol: live.protocol, target: Some(live.target), name: live.name.as_deref() }
}

/// Why it could not be.
fn reason(protocol: Protocol, errno: Errno) -> String {
    match (protocol, errno) {
        (Protocol::Icmp, Errno::EACCES | Errno::EPERM) => {
            "the host lets this user send no echo requests (net.ipv4.ping_group_range)".to_owned()
        }
        (_, Errno::EMFILE | Errno::ENFILE) => "there are no descriptors left for it".to_owned(),
        (_, Errno::ETIMEDOUT) => "nobody answered".to_owned(),
        (_, errno) => errno.desc().to_owned(),
    }
}

/// What is dialled, and what instead if nobody listens there.
fn addresses(verdict: &Verdict, target: SocketAddr) -> (SocketAddr, Option<SocketAddr>) {
    let on = |address: IpAddr| SocketAddr::new(address, target.port());
    match verdict.dial {
        Dial::Asked => (target, None),
        Dial::Host => (on(Ipv4Addr::LOCALHOST.into()), Some(on(Ipv6Addr::LOCALHOST.into()))),
    }
}

fn live(protocol: Protocol, target: SocketAddr, verdict: Verdict) -> Live {
    Live {
        protocol,
        target,
        dial: verdict.dial,
        name: verdict.name,
        named: false,
        rule: verdict.rule,
        reason: verdict.reason,
        check: verdict.check,
        state: State::Up,
        sent: 0,
        received: 0,
        since: Instant::now(),
    }
}
