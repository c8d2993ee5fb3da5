//! The dialer: one process a sandbox that owns the policy, resolves names and makes connections. It never sees a packet.
//!
//! It answers the packet process: may this be, and if so, here is the socket. It listens to the supervisor, whose end is its end, as is the
//! end of the packet process: then there is no network any more, never an open one. One loop, no threads; nothing in it waits but epoll, and
//! everything that can grow is bounded.
//!
//! System calls (after `serve` was entered): epoll_create1, epoll_ctl, epoll_pwait or epoll_wait; socket (AF_INET and AF_INET6, always
//! SOCK_CLOEXEC and SOCK_NONBLOCK: STREAM, DGRAM, DGRAM with ICMP and ICMPv6), socketpair (AF_UNIX, STREAM), connect, getsockname, getsockopt
//! (SO_ERROR), sendto and recvfrom (without an address), sendmsg, recvmsg, close, fcntl (F_GETFD, F_SETFD); open or openat (for reading), read, and
//! stat or statx for resolv.conf and hosts; write, pread64, ftruncate, and fstat or statx on the log; prlimit64 (reading RLIMIT_NOFILE, once),
//! getrandom, clock_gettime; mmap, munmap, mremap, madvise and brk of the allocator; exit_group, rt_sigreturn.

mod bindings;
mod channel;
mod dial;
mod dns;
mod events;
mod flows;
mod journal;
mod opening;
mod orders;
mod revising;
mod streams;
mod watch;

#[cfg(test)]
mod tests;

pub use dns::message;
pub use orders::{LONGEST, Order, Report};

use super::wire::{self, Limits, ToDialer, ToPacket};
use crate::spec::network::Policy;
use bindings::Bindings;
use channel::{Channel, Received};
use dns::{Around, Asker, Done, Resolver};
use flows::{Connects, Live};
use journal::Journal;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use streams::Streams;
use watch::{Kind, Ready, Watch};

/// How long the packet process has to close everything.
const STOPPING: Duration = Duration::from_secs(1);
/// Messages of one channel that are taken in one go.
const AT_ONCE: usize = 64;

/// What a dialer begins with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What the sandbox may reach.
    pub policy: Policy,
    /// Bytes of the log, beyond which its older half is dropped.
    pub log_limit: u64,
    /// The file that names the servers.
    pub resolver: PathBuf,
    /// The file of names and addresses.
    pub hosts: PathBuf,
    /// The port of the servers: 53, but for tests.
    pub server_port: u16,
    /// The addresses that stand for the host.
    pub gateways: Vec<IpAddr>,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            policy: Policy::default(),
            log_limit: 4 << 20,
            resolver: PathBuf::from("/etc/resolv.conf"),
            hosts: PathBuf::from("/etc/hosts"),
            server_port: 53,
            gateways: vec![
                IpAddr::V4(Ipv4Addr::new(192, 0, 0, 1)),
                IpAddr::V6(Ipv6Addr::new(0xfd62, 0x6a61, 0x7200, 0, 0, 0, 0, 1)),
            ],
        }
    }
}

/// Serves a sandbox until the supervisor or the packet process ends.
///
/// # Errors
///
/// What makes it impossible to go on: epoll, or a message that is none.
pub fn serve(supervisor: OwnedFd, packet: OwnedFd, log: File, setup: Setup) -> io::Result<()> {
    let mut dialer = Dialer::new(supervisor, packet, log, setup)?;
    let result = dialer.run();
    dialer.close_all();
    result
}

/// All that a dialer knows.
struct Dialer {
    watch: Watch,
    supervisor: Channel,
    packet: Channel,
    policy: Policy,
    gateways: Vec<IpAddr>,
    bindings: Bindings,
    flows: HashMap<wire::Flow, Live>,
    connects: Connects,
    resolver: Resolver,
    streams: Streams,
    /// Connections that ask for names and may go on.
    woken: Vec<u64>,
    journal: Journal,
    buffer: Vec<u8>,
    /// Set while the packet process closes everything: when it must have.
    stopping: Option<Instant>,
    /// Whether it is over.
    over: bool,
    /// What is waited for of each channel: to read, to write.
    interests: [(bool, bool); 2],
}

impl Dialer {
    fn new(supervisor: OwnedFd, packet: OwnedFd, log: File, setup: Setup) -> io::Result<Dialer> {
        use nix::sys::resource::{Resource, getrlimit};
        // Where the limit cannot be read there are at least so many (POSIX, `_POSIX_OPEN_MAX` is 20; no system has less than this).
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(256, |(soft, _)| soft);
        let watch = Watch::new()?;
        if !watch.add(&supervisor, Kind::Supervisor, 0, true, false)
            || !watch.add(&packet, Kind::Packet, 0, true, false)
        {
            return Err(io::Error::last_os_error());
        }
        Ok(Dialer {
            watch,
            supervisor: Channel::new(supervisor),
            packet: Channel::new(packet),
            policy: setup.policy,
            gateways: setup.gateways,
            bindings: Bindings::default(),
            flows: HashMap::new(),
            connects: Connects::new(usize::try_from(descriptors).unwrap_or(usize::MAX)),
            resolver: Resolver::new(setup.resolver, setup.hosts, setup.server_port),
            streams: Streams::default(),
            woken: Vec::new(),
            journal: Journal::new(log, setup.log_limit),
            buffer: vec![0; LONGEST.max(wire::LONGEST)],
            stopping: None,
            over: false,
            interests: [(true, false); 2],
        })
    }

    fn run(&mut self) -> io::Result<()> {
        self.send_limits();
        while !self.over {
            self.renew_interests();
            let deadline = self.next_deadline();
            for ready in self.watch.wait(deadline)? {
                self.handle(ready)?;
            }
            self.expire(Instant::now());
            self.journal.flush();
        }
        self.say_the_rest();
        Ok(())
    }

    fn handle(&mut self, ready: Ready) -> io::Result<()> {
        match ready.kind {
            Kind::Supervisor => self.hear_supervisor(),
            Kind::Packet => self.hear_packet(),
            Kind::Connect => {
                self.connect_ended(ready.number);
                Ok(())
            }
            Kind::Question => {
                let done = {
                    let (resolver, mut around, buffer) = self.resolving();
                    resolver.ready(&mut around, ready.number, buffer)
                };
                self.deliver(done);
                self.go_on_with_streams();
                Ok(())
            }
            Kind::Stream => {
                self.streams.ready(ready.number, ready.hung_up, &mut self.buffer);
                self.woken.push(ready.number);
                self.go_on_with_streams();
                Ok(())
            }
        }
    }

    /// The resolver, and what it works with.
    fn resolving(&mut self) -> (&mut Resolver, Around<'_>, &mut [u8]) {
        let around = Around {
            policy: &self.policy,
            gateways: &self.gateways,
            bindings: &mut self.bindings,
            journal: &mut self.journal,
            watch: &self.watch,
        };
        (&mut self.resolver, around, &mut self.buffer)
    }

    /// Reads what the supervisor wants.
    fn hear_supervisor(&mut self) -> io::Result<()> {
        // A channel may be ready only because there is room to send.
        self.supervisor.flush()?;
        for _ in 0..AT_ONCE {
            match self.supervisor.receive(&mut self.buffer)? {
                Received::Message(order, descriptor) => self.obey(order, descriptor),
                Received::Nothing => break,
                Received::End => {
                    self.over = true;
                    break;
                }
            }
        }
        Ok(())
    }

    fn obey(&mut self, order: Order, descriptor: Option<OwnedFd>) {
        let report = match order {
            Order::Device(kind) => {
                self.tell_packet(&ToPacket::Device(kind), descriptor);
                Report::Done
            }
            Order::Policy(policy) => Report::Policy { cut: self.revise(policy) },
            Order::End => {
                self.stopping.get_or_insert(Instant::now() + STOPPING);
                self.tell_packet(&ToPacket::Stop, None);
                return;
            }
        };
        self.tell_supervisor(&report);
    }

    /// Reads what the packet process wants.
    fn hear_packet(&mut self) -> io::Result<()> {
        if self.packet.flush().is_err() {
            self.over = true;
        }
        for _ in 0..AT_ONCE {
            if self.over || !self.packet.wants_to_receive() {
                break;
            }
            match self.packet.receive(&mut self.buffer)? {
                Received::Message(message, _) => self.listen(message),
                Received::Nothing => break,
                Received::End => self.over = true,
            }
        }
        Ok(())
    }

    fn listen(&mut self, message: ToDialer) {
        match message {
            ToDialer::Open { .. } | ToDialer::Query { .. } if self.stopping.is_some() => {}
            ToDialer::Open { flow, protocol, source: _, target } => self.open(flow, protocol, target),
            ToDialer::Query { flow, target, message } => self.ask(Asker::Flow(flow), target, &message),
            ToDialer::Named { flow, name, accepted } => self.named(flow, name, accepted),
            ToDialer::Counted { flow, sent, received } => self.counted(flow, sent, received),
            ToDialer::Closed { flow, sent, received, end } => self.closed(flow, (sent, received), end),
            ToDialer::Full { protocol, target } => self.full(protocol, target),
            ToDialer::Stopped => self.over = true,
        }
    }

    /// A question from inside.
    fn ask(&mut self, asker: Asker, server: SocketAddr, message: &[u8]) {
        let done = {
            let (resolver, mut around, _) = self.resolving();
            resolver.ask(&mut around, asker, server, message)
        };
        done.into_iter().for_each(|done| self.deliver(Some(done)));
    }

    /// Takes the questions that came by TCP. An answer makes room for more of them.
    fn go_on_with_streams(&mut self) {
        let server = SocketAddr::new(self.gateways.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED.into()), 53);
        while let Some(number) = self.woken.pop() {
            for question in self.streams.questions(number) {
                self.ask(Asker::Stream(number), server, &question);
            }
            if !self.streams.settle(&self.watch, number) {
                self.resolver.forget(Asker::Stream(number));
            }
        }
    }

    /// Sends an answer to where it was asked for.
    fn deliver(&mut self, done: Option<Done>) {
        match done {
            Some(Done { asker: Asker::Flow(flow), message }) => {
                self.tell_packet(&ToPacket::Answer { flow, message }, None)
            }
            Some(Done { asker: Asker::Stream(number), message }) => {
                self.streams.answer(number, &message);
                self.woken.push(number);
            }
            None => {}
        }
    }

    fn send_limits(&mut self) {
        let limits = Limits { rate: self.policy.rate, flows: self.policy.flows };
        self.tell_packet(&ToPacket::Limits(limits), None);
    }

    /// Tells the packet process. Where it is gone, it is over; what is too long is not sent, and there is nothing that is.
    fn tell_packet(&mut self, message: &ToPacket, descriptor: Option<OwnedFd>) {
        match self.packet.send(message, descriptor, wire::LONGEST) {
            Err(error) if error.raw_os_error() != Some(libc::EMSGSIZE) => self.over = true,
            Ok(()) | Err(_) => {}
        }
    }

    fn tell_supervisor(&mut self, report: &Report) {
        if self.supervisor.send(report, None, LONGEST).is_err() {
            self.over = true;
        }
    }

    /// Waits for what the channels need now.
    fn renew_interests(&mut self) {
        let wanted = [
            (self.supervisor.wants_to_receive(), self.supervisor.wants_to_send()),
            (self.packet.wants_to_receive(), self.packet.wants_to_send()),
        ];
        if wanted[0] != self.interests[0] {
            self.watch.change(&self.supervisor, Kind::Supervisor, 0, wanted[0].0, wanted[0].1);
        }
        if wanted[1] != self.interests[1] {
            self.watch.change(&self.packet, Kind::Packet, 0, wanted[1].0, wanted[1].1);
        }
        self.interests = wanted;
    }

    fn next_deadline(&self) -> Option<Instant> {
        let all = [
            self.stopping,
            self.connects.next_deadline(),
            self.resolver.next_deadline(),
            self.streams.next_deadline(),
            self.packet.pause_ends(),
            self.supervisor.pause_ends(),
        ];
        all.into_iter().flatten().min()
    }

    fn expire(&mut self, now: Instant) {
        if self.stopping.is_some_and(|end| end <= now) {
            self.over = true;
        }
        if self.packet.pause_ends().is_some_and(|end| end <= now) && self.packet.flush().is_err() {
            self.over = true;
        }
        if self.supervisor.pause_ends().is_some_and(|end| end <= now) && self.supervisor.flush().is_err() {
            self.over = true;
        }
        self.expire_connects(now);
        let done = {
            let (resolver, mut around, _) = self.resolving();
            resolver.expire(&mut around, now)
        };
        done.into_iter().for_each(|done| self.deliver(Some(done)));
        self.go_on_with_streams();
        for number in self.streams.expire(now) {
            self.resolver.forget(Asker::Stream(number));
        }
    }

    /// The last that the supervisor hears. It takes it at once, or is busy for a moment.
    fn say_the_rest(&mut self) {
        self.close_all();
        let report = Report::Ended(self.summary());
        let until = Instant::now() + STOPPING;
        let mut told = self.supervisor.send(&report, None, LONGEST);
        while told.is_ok() && (self.supervisor.wants_to_send() || self.supervisor.pause_ends().is_some()) {
            let now = Instant::now();
            if now >= until {
                break;
            }
            self.watch.change(&self.supervisor, Kind::Supervisor, 0, false, true);
            let next = self.supervisor.pause_ends().unwrap_or(until).max(now + Duration::from_millis(1));
            if self.watch.wait(Some(next.min(until))).is_err() {
                break;
            }
            told = self.supervisor.flush();
        }
    }
}
