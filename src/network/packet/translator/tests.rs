//! The whole way of input, with packets and messages that nobody would send.

use super::super::build::{self, Tcp, Transport, Way};
use super::super::device::Device;
use super::super::outbox::Outbox;
use super::*;
use crate::network::wire;
use nix::sys::epoll::EpollCreateFlags;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixStream};

/// Numbers that look like chance (xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 20).expect("64 bits") % end.max(1)
    }
}

/// A packet as the sandbox could send it, from few ports to few targets, so that flows are hit.
fn packet(chance: &mut Chance) -> Vec<u8> {
    let pairs = [("192.0.0.2", "198.51.100.7"), ("fd62::2", "2001:db8::7")];
    let (source, target) = pairs[chance.below(2)];
    let ports = [53, 80, 443, 7];
    let way = Way {
        source: (source.parse().expect("an address"), 40000 + u16::try_from(chance.below(20)).expect("few")),
        target: (target.parse().expect("an address"), ports[chance.below(4)]),
    };
    let numbers = [0, 1, 2, 1000, 1001, 1002, 1006, 2000, 65535, u32::MAX];
    let flags = [SYN, ACK, ACK, ACK, SYN | ACK, RST, RST | ACK, ACK | 1, ACK | 8, 0, 63, 255];
    let tcp = Tcp {
        seq: numbers[chance.below(10)],
        ack: numbers[chance.below(10)].wrapping_add(u32::try_from(chance.below(3)).expect("few")),
        flags: flags[chance.below(12)],
        window: u16::try_from(chance.below(65536)).expect("16 bits"),
        mss: 1460,
        opening: (chance.below(3) == 0).then_some((u16::try_from(chance.below(65536)).expect("16 bits"), Some(14))),
    };
    let transport = [Transport::Tcp(tcp), Transport::Tcp(tcp), Transport::Udp, Transport::Icmp][chance.below(4)];
    let payload: Vec<u8> = (0..chance.below(40)).map(|_| u8::try_from(chance.next() & 0xff).expect("8 bits")).collect();
    let head = build::build(way, transport, payload.len(), None).expect("short");
    let mut bytes = [head.bytes(), &payload].concat();
    if let Transport::Icmp = transport {
        let more = [if source.contains(':') { 128 } else { 8 }, 0, 0, 0, 0, 1, 0, 1];
        bytes.splice(bytes.len() - payload.len().min(8).., more);
    }
    for _ in 0..[0, 0, 0, 1, 1, 2, 20][chance.below(7)] {
        let place = chance.below(bytes.len());
        bytes[place] = u8::try_from(chance.next() & 0xff).expect("8 bits");
    }
    if chance.below(10) == 0 {
        bytes.truncate(chance.below(bytes.len() + 1));
    }
    bytes
}

struct Bench {
    translator: Translator,
    dialer: UnixDatagram,
    far: Vec<UnixStream>,
}

impl Bench {
    fn new(peek_offset: bool) -> Bench {
        let (ours, dialer) = UnixDatagram::pair().expect("a pair");
        dialer.set_nonblocking(true).expect("a socket");
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
        let mut shared = Shared::new(Outbox::new(ours.into()), peek_offset);
        let null = std::fs::File::options().read(true).write(true).open("/dev/null").expect("/dev/null");
        shared.device = Some(Device::new(null.into(), wire::Device::Tun));
        Bench { translator: Translator::new(shared, epoll), dialer, far: Vec::new() }
    }

    /// Answers what the translator asks, in every way that there is.
    fn answer(&mut self, chance: &mut Chance) {
        let mut buffer = vec![0; wire::LONGEST];
        while let Ok(length) = self.dialer.recv(&mut buffer) {
            let flow = match postcard::from_bytes(&buffer[..length]).expect("a message") {
                ToDialer::Open { flow, .. } | ToDialer::Query { flow, .. } | ToDialer::Closed { flow, .. } => flow,
                _ => continue,
            };
            let refusals = [Refusal::Prohibited, Refusal::Port, Refusal::Host, Refusal::Network, Refusal::Silence];
            let names = [wire::Naming::Tls, wire::Naming::Http][chance.below(2)];
            let check = (chance.below(4) == 0).then(|| Check { names, allowed: None, denied: Vec::new() });
            let refused = ToPacket::Refused { flow, refusal: refusals[chance.below(5)] };
            match chance.below(5) {
                0 => self.translator.obey(refused, None),
                1 => self.translator.obey(ToPacket::Answer { flow, message: vec![7; chance.below(70000)] }, None),
                2 if chance.below(4) == 0 => self.translator.obey(ToPacket::Cut { flow }, None),
                _ => {
                    let (near, far) = UnixStream::pair().expect("a pair");
                    far.set_nonblocking(true).expect("a socket");
                    self.far.push(far);
                    self.translator.obey(ToPacket::Connected { flow, local: true, check }, Some(near.into()));
                }
            }
        }
    }

    /// The outside sends, finishes and goes away.
    fn stir(&mut self, chance: &mut Chance) {
        use std::io::Write;
        if self.far.len() > 200 || (!self.far.is_empty() && chance.below(50) == 0) {
            self.far.swap_remove(chance.below(self.far.len()));
        }
        let count = self.far.len();
        if let Some(far) = self.far.get_mut(chance.below(count)) {
            let _ = far.write(&[1; 3000][..chance.below(3000)]);
            if chance.below(9) == 0 {
                let _ = far.shutdown(std::net::Shutdown::Write);
            }
        }
        let mut events = [EpollEvent::empty(); 32];
        let count = self.translator.epoll.wait(&mut events, 0_u8).expect("epoll");
        for event in &events[..count] {
            self.translator.notice(event.data(), event.events());
        }
        self.translator.shared.now += u64::try_from(chance.below(300_000)).expect("few");
        self.translator.finish_turn();
    }
}

#[test]
fn no_packet_and_no_message_ends_the_process() {
    let rounds = std::env::var("FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(50_000_u64);
    let seed =
        std::env::var("BELLJAR_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(88_172_645_463_325_252);
    let mut chance = Chance(seed);
    let mut bench = Bench::new(seed.is_multiple_of(2));
    let limits = Limits { rate: None, flows: 60 };
    bench.translator.obey(ToPacket::Limits(limits), None);
    for round in 0..rounds {
        let frame = packet(&mut chance);
        bench.translator.receive(&frame);
        if round % 7 == 0 {
            bench.answer(&mut chance);
            bench.stir(&mut chance);
        }
        if round % 50_000 == 0 {
            let rate = [None, Some(1), Some(100_000), Some(u64::MAX)][chance.below(4)];
            bench.translator.obey(ToPacket::Limits(Limits { rate, flows: 60 }), None);
        }
        assert!(bench.translator.flows() <= 60);
    }
    bench.translator.stop();
    assert_eq!(bench.translator.flows(), 0);
    assert_eq!(bench.translator.table.opening(), 0);
    assert_eq!(bench.translator.shared.budget.share(), super::super::budget::FLOW, "all memory was given back");
    assert!(bench.translator.table.earliest().is_none());
    let _ = bench.dialer.as_raw_fd();
}
