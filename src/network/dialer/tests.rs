//! The dialer as a whole, between a supervisor and a packet process that the tests play.

mod answers;
mod connecting;
mod life;
mod names;
mod outside;
mod server;
mod streams;

use super::*;
use crate::network::wire::{Device, End, Flow, Protocol, Refusal};
use crate::outcome::network::{Allowance, Event, Happening, Summary};
use crate::spec::network::parse_rule;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;

/// A dialer and both of its neighbours.
struct Peer {
    supervisor: Channel,
    packet: Channel,
    dialer: Option<JoinHandle<io::Result<()>>>,
    buffer: Vec<u8>,
    directory: PathBuf,
}

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap()
}

fn policy(allow: &[&str], deny: &[&str]) -> Policy {
    let rules = |words: &[&str]| words.iter().flat_map(|word| parse_rule(word).unwrap()).collect();
    Policy { allow: rules(allow), deny: rules(deny), ..Policy::default() }
}

fn open_policy(allow: &[&str], deny: &[&str]) -> Policy {
    Policy { open: true, ..policy(allow, deny) }
}

/// A directory of a test's own.
fn directory() -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("belljar-dialer-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

impl Peer {
    /// Of a machine whose servers listen on `port`, and whose resolv.conf and hosts say this.
    fn start(policy: Policy, port: u16, resolver: &str, hosts: &str) -> Peer {
        let directory = directory();
        std::fs::write(directory.join("resolv.conf"), resolver).unwrap();
        std::fs::write(directory.join("hosts"), hosts).unwrap();
        let setup = Setup {
            policy,
            resolver: directory.join("resolv.conf"),
            hosts: directory.join("hosts"),
            server_port: port,
            ..Setup::default()
        };
        Peer::with(setup, directory)
    }

    /// One that asks no server.
    fn of(policy: Policy) -> Peer {
        Peer::start(policy, 9, "", "")
    }

    fn with(setup: Setup, directory: PathBuf) -> Peer {
        let log = File::options().create(true).read(true).append(true).open(directory.join("log")).unwrap();
        let (ours, theirs) = pair();
        let (packet, its) = pair();
        let dialer = std::thread::spawn(move || serve(theirs, its, log, setup));
        let (supervisor, packet) = (Channel::new(ours), Channel::new(packet));
        let mut peer = Peer { supervisor, packet, dialer: Some(dialer), buffer: vec![0; LONGEST], directory };
        assert!(matches!(peer.hear().0, ToPacket::Limits(_)));
        peer
    }

    fn tell(&mut self, message: &ToDialer) {
        self.packet.send(message, None, wire::LONGEST).unwrap();
        while self.packet.wants_to_send() {
            wait(&self.packet, PollFlags::POLLOUT, 10_000);
            self.packet.flush().unwrap();
        }
    }

    fn hear(&mut self) -> (ToPacket, Option<OwnedFd>) {
        self.hear_within(10_000).expect("a message")
    }

    fn hear_within(&mut self, ms: u16) -> Option<(ToPacket, Option<OwnedFd>)> {
        wait(&self.packet, PollFlags::POLLIN, ms);
        match self.packet.receive(&mut self.buffer).unwrap() {
            Received::Message(message, descriptor) => Some((message, descriptor)),
            Received::Nothing | Received::End => None,
        }
    }

    fn order(&mut self, order: &Order, descriptor: Option<OwnedFd>) -> Report {
        self.supervisor.send(order, descriptor, LONGEST).unwrap();
        self.report()
    }

    fn report(&mut self) -> Report {
        wait(&self.supervisor, PollFlags::POLLIN, 10_000);
        match self.supervisor.receive(&mut self.buffer).unwrap() {
            Received::Message(report, _) => report,
            other => panic!("{other:?}"),
        }
    }

    /// Asks for a connection; what the dialer says to it.
    fn open(&mut self, flow: Flow, protocol: Protocol, target: &str) -> (ToPacket, Option<OwnedFd>) {
        let (source, target) = ("192.0.0.2:4000".parse().unwrap(), target.parse().unwrap());
        self.tell(&ToDialer::Open { flow, protocol, source, target });
        self.hear()
    }

    fn is_refused(&mut self, flow: Flow, protocol: Protocol, target: &str, refusal: Refusal) {
        let said = self.open(flow, protocol, target);
        assert_eq!(said.0, ToPacket::Refused { flow, refusal }, "{target}");
        assert!(said.1.is_none());
    }

    /// The connected socket, and its check.
    fn is_connected(&mut self, flow: Flow, protocol: Protocol, target: &str) -> (OwnedFd, Option<wire::Check>) {
        match self.open(flow, protocol, target) {
            (ToPacket::Connected { flow: its, local: false, check }, Some(socket)) if its == flow => (socket, check),
            other => panic!("{target}: {other:?}"),
        }
    }

    /// Asks for a name; the bytes of the answer.
    fn ask(&mut self, flow: Flow, message: &[u8]) -> Vec<u8> {
        self.ask_later(flow, message);
        match self.hear() {
            (ToPacket::Answer { flow: its, message }, None) if its == flow => message,
            other => panic!("{other:?}"),
        }
    }

    fn ask_later(&mut self, flow: Flow, message: &[u8]) {
        let target = "192.0.0.1:53".parse().unwrap();
        self.tell(&ToDialer::Query { flow, target, message: message.to_vec() });
    }

    /// Ends it in an orderly way.
    fn end(&mut self) -> Summary {
        self.supervisor.send(&Order::End, None, LONGEST).unwrap();
        loop {
            if self.hear().0 == ToPacket::Stop {
                break;
            }
        }
        self.tell(&ToDialer::Stopped);
        let Report::Ended(summary) = self.report() else { panic!("no end") };
        self.dialer.take().unwrap().join().unwrap().unwrap();
        summary
    }

    /// What the log says when it is over.
    fn log(&mut self) -> Vec<Event> {
        if self.dialer.is_some() {
            self.end();
        }
        let text = std::fs::read_to_string(self.directory.join("log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Whether this is the process that runs one test alone; starts that process otherwise.
fn alone(test: &str) -> bool {
    const MARK: &str = "BELLJAR_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let name = format!("network::dialer::tests::{test}");
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", &name, "--test-threads=1"]).env(MARK, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

fn wait(channel: &Channel, events: PollFlags, ms: u16) {
    let mut fds = [PollFd::new(channel.as_fd(), events)];
    poll(&mut fds, PollTimeout::from(ms)).unwrap();
}
