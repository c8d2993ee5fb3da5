//! Any packets of a sandbox, any messages of the dialer and any peers, in any order: no flow too many, every flow that began is told to have
//! ended, all memory comes back, and what goes inside are whole packets.
//!
//! The bytes are steps: one that says what happens, and what it needs. Sums are made right, as no mutation would make them.
#![no_main]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};

use belljar::network::packet::{Device, Outbox, Shared, Translator};
use belljar::network::wire::{self, Check, Limits, Naming, Protocol, Refusal, ToDialer, ToPacket};
use libfuzzer_sys::fuzz_target;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent};

/// virtio's header, and that of Ethernet.
const VIRTIO: usize = 10;
const ETHERNET: usize = 14;
/// Flows at once, unless the dialer says otherwise.
const FLOWS: u32 = 8;
/// Sockets outside at once.
const FAR: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let mut script = Script(bytes);
    let kind = script.byte();
    let mut bench = Bench::new(kind & 1 == 0, if kind & 2 == 0 { wire::Device::Tun } else { wire::Device::Veth });
    let share = bench.translator.shared.budget.share();
    while !script.0.is_empty() {
        bench.step(&mut script);
        bench.settle();
    }
    bench.translator.stop();
    bench.listen();
    assert_eq!(bench.translator.flows(), 0);
    assert!(bench.open.is_empty(), "nobody was told that these ended: {:?}", bench.open);
    assert_eq!(bench.translator.shared.budget.share(), share, "memory was kept");
});

/// Steps.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// The next byte; 0 at the end.
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// So many bytes, or as many as there are.
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}

/// A connection as the sandbox sees it: by version of IP, port inside and port outside.
type Line = (bool, u16, u16);

/// A socket outside, of the kind that the dialer gives a flow.
enum Far {
    Stream(UnixStream),
    Datagrams(UnixDatagram),
}

struct Bench {
    translator: Translator,
    veth: bool,
    dialer: UnixDatagram,
    inside: UnixDatagram,
    far: Vec<Far>,
    /// Flows that the dialer has heard to begin, and not to end, and what they speak.
    open: BTreeMap<u64, Protocol>,
    /// Flows that have asked for a name.
    asked: Vec<u64>,
    most: u32,
    /// The number that the sandbox sends next, and that it waits for.
    lines: BTreeMap<Line, (u32, u32)>,
}

impl Bench {
    fn new(peek_offset: bool, kind: wire::Device) -> Bench {
        let ((ours, dialer), (device, inside)) = (datagrams(), datagrams());
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
        let mut shared = Shared::new(Outbox::new(ours.into()), peek_offset);
        let veth = kind == wire::Device::Veth;
        shared.device = Some(Device::new(device.into(), kind));
        let mut translator = Translator::new(shared, epoll);
        translator.obey(ToPacket::Limits(Limits { rate: None, flows: FLOWS }), None);
        let (far, open, asked, lines) = (Vec::new(), BTreeMap::new(), Vec::new(), BTreeMap::new());
        Bench { translator, veth, dialer, inside, far, open, asked, most: FLOWS, lines }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 10 {
            0 => {
                // Anything, with the sum of its IPv4 header made right or left.
                let flags = script.byte();
                let length = usize::from(script.number());
                let mut packet = script.bytes(length).to_vec();
                if flags & 2 == 0 {
                    sum_header(&mut packet);
                }
                self.send(flags, &packet);
            }
            1..=3 => self.segment(script),
            4 => self.datagram(script),
            5 | 6 => self.answer(script),
            7 => {
                let length = usize::from(script.byte());
                let has_socket = script.byte() & 1 == 0;
                if let Ok(message) = postcard::from_bytes(script.bytes(length)) {
                    if let ToPacket::Limits(limits) = &message {
                        self.most = self.most.max(limits.flows);
                    }
                    let flow = if let ToPacket::Connected { flow, .. } = &message { *flow } else { 0 };
                    let socket = has_socket.then(|| self.socket(flow));
                    self.translator.obey(message, socket);
                }
            }
            8 => self.outside(script),
            _ => self.translator.shared.now += u64::from(script.number()) << (script.byte() % 16),
        }
    }

    /// A packet, behind what the device puts before it.
    fn send(&mut self, flags: u8, packet: &[u8]) {
        let mut frame = vec![0; VIRTIO];
        frame[0] = flags & 1;
        if self.veth {
            frame.resize(VIRTIO + ETHERNET, 2);
        }
        frame.extend_from_slice(packet);
        self.translator.receive(&frame);
    }

    /// A segment, which may well continue what was said before.
    fn segment(&mut self, script: &mut Script<'_>) {
        let (line, flags, shift) = (self.line(script), script.byte(), script.byte());
        let (seq, ack) = self.lines.get(&line).copied().unwrap_or((1000, 0));
        // Mostly nothing; else a little before or behind, or far away.
        let off = |script: &mut Script<'_>, how: u8| match how & 3 {
            0 | 1 => 0,
            2 => i32::from(script.byte().cast_signed()),
            _ => i32::from(script.number().cast_signed()) << 14,
        };
        let seq = seq.wrapping_add_signed(off(script, shift));
        let ack = ack.wrapping_add_signed(off(script, shift >> 2));
        let window = if shift & 0x10 == 0 { 0xffff } else { script.number() };
        let options = if shift & 0x20 == 0 { &[][..] } else { script.bytes(8) };
        let length = usize::from(script.byte()) << (shift >> 6 << 1);
        let payload = script.bytes(length);
        let start = u8::try_from((20 + options.len().next_multiple_of(4)) / 4).expect("short") << 4;
        let (_, source, target) = line;
        let mut segment =
            [&source.to_be_bytes()[..], &target.to_be_bytes(), &seq.to_be_bytes(), &ack.to_be_bytes()].concat();
        segment.extend_from_slice(&[start, flags]);
        segment.extend_from_slice(&window.to_be_bytes());
        segment.extend_from_slice(&[0; 4]);
        segment.extend_from_slice(options);
        segment.resize(usize::from(start >> 2), 0);
        segment.extend_from_slice(payload);
        let numbers = u32::try_from(payload.len()).expect("short") + u32::from(flags & 1) + u32::from(flags >> 1 & 1);
        self.lines.insert(line, (seq.wrapping_add(numbers), ack));
        self.send(1, &ip(line, 6, &segment));
    }

    fn datagram(&mut self, script: &mut Script<'_>) {
        let line = self.line(script);
        let (is_six, source, target) = line;
        let length = usize::from(script.byte());
        let payload = script.bytes(length);
        if target == 7 {
            // An echo request; its port is its number. The sum is of the message, and over IPv6 of the addresses as well.
            let mut message =
                [&[if is_six { 128 } else { 8 }, 0, 0, 0][..], &source.to_be_bytes(), &[0, 1], payload].concat();
            let before = if is_six { pseudo(line, 58, message.len()) } else { Vec::new() };
            let sum = sum(&[before, message.clone()].concat());
            message[2..4].copy_from_slice(&sum);
            return self.send(0, &ip(line, if is_six { 58 } else { 1 }, &message));
        }
        let length = u16::try_from(payload.len() + 8).expect("short");
        let header = [source.to_be_bytes(), target.to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
        self.send(1, &ip(line, 17, &[&header, payload].concat()));
    }

    /// One of few, so that flows are met again.
    fn line(&mut self, script: &mut Script<'_>) -> Line {
        let which = script.byte();
        let port = [80, 443, 53, 7][usize::from(which >> 1 & 3)];
        (which & 1 == 1, 40_000 + u16::from(which >> 3), port)
    }

    /// A socket for a flow.
    fn socket(&mut self, flow: u64) -> OwnedFd {
        let (near, far) = match self.open.get(&flow) {
            Some(Protocol::Udp | Protocol::Icmp) => {
                let (near, far) = datagrams();
                (near.into(), Far::Datagrams(far))
            }
            Some(Protocol::Tcp) | None => {
                let (near, far) = UnixStream::pair().expect("a pair");
                near.set_nonblocking(true).expect("a socket");
                far.set_nonblocking(true).expect("a socket");
                (near.into(), Far::Stream(far))
            }
        };
        if self.far.len() < FAR {
            self.far.push(far);
        }
        near
    }

    /// The dialer answers a flow, one that it knows or not.
    fn answer(&mut self, script: &mut Script<'_>) {
        let (how, which) = (script.byte(), usize::from(script.byte()));
        let known = if how & 0x80 == 0 { self.open.keys().nth_back(which % self.open.len().max(1)) } else { None };
        let asked = self.asked.iter().nth_back(which % self.asked.len().max(1));
        let flow = known.or(asked).copied().unwrap_or(u64::try_from(which).expect("small"));
        let refusals = [Refusal::Prohibited, Refusal::Port, Refusal::Host, Refusal::Network, Refusal::Silence];
        match how & 7 {
            0 => {
                let refusal = refusals[usize::from(how >> 3 & 7) % 5];
                self.translator.obey(ToPacket::Refused { flow, refusal }, None);
            }
            1 => {
                let flow = asked.copied().unwrap_or(flow);
                let message = vec![7; usize::from(script.number())];
                self.translator.obey(ToPacket::Answer { flow, message }, None);
            }
            2 => self.translator.obey(ToPacket::Cut { flow }, None),
            _ => {
                let names = if how & 0x20 == 0 { Naming::Http } else { Naming::Tls };
                let check = || Check { names, allowed: None, denied: vec!["b".to_owned()] };
                let check = (how & 0x10 != 0).then(check);
                let socket = self.socket(flow);
                self.translator.obey(ToPacket::Connected { flow, local: true, check }, Some(socket));
            }
        }
    }

    /// A peer sends, reads, finishes or goes away.
    fn outside(&mut self, script: &mut Script<'_>) {
        let (what, which) = (script.byte(), usize::from(script.byte()));
        let length = usize::from(script.number());
        let which = which % self.far.len().max(1);
        let Some(far) = self.far.get_mut(which) else { return };
        match (what % 6, far) {
            (0..=2, Far::Stream(far)) => drop(far.write(&vec![1; length])),
            (0..=2, Far::Datagrams(far)) => drop(far.send(&vec![0; length])),
            (3, Far::Stream(far)) => drop(far.read(&mut vec![0; length])),
            (3, Far::Datagrams(far)) => drop(far.recv(&mut vec![0; length])),
            (4, Far::Stream(far)) => drop(far.shutdown(Shutdown::Write)),
            _ => drop(self.far.swap_remove(which)),
        }
    }

    /// Lets happen what follows, as the process does in its turns, until there is nothing more to do now.
    fn settle(&mut self) {
        for turn in 0.. {
            let (next, now) = (self.translator.next_time(), self.translator.shared.now);
            assert!(turn < 1000, "it does not come to rest: {next:?} at {now}");
            let mut events = [EpollEvent::empty(); 128];
            let count = self.translator.epoll.wait(&mut events, 0_u8).expect("epoll");
            for event in &events[..count] {
                self.translator.notice(event.data(), event.events());
            }
            self.translator.finish_turn();
            self.listen();
            assert!(self.translator.flows() <= usize::try_from(self.most).expect("64 bits"), "too many flows");
            let is_due = self.translator.next_time().is_some_and(|time| time <= self.translator.shared.now);
            if count == 0 && !is_due {
                return;
            }
        }
    }

    /// Hears what the translator says to the dialer, and what it sends inside.
    fn listen(&mut self) {
        let mut buffer = vec![0; wire::LONGEST];
        while !self.read_messages(&mut buffer) || !self.translator.shared.outbox.is_empty() {
            self.translator.shared.outbox.flush();
        }
        while let Ok(length) = self.inside.recv(&mut buffer) {
            let before = if self.veth { VIRTIO + ETHERNET } else { VIRTIO };
            self.heard(&buffer[before..length]);
        }
    }

    /// Reads all messages that are there. Whether there were none.
    fn read_messages(&mut self, buffer: &mut [u8]) -> bool {
        let mut none = true;
        while let Ok(length) = self.dialer.recv(buffer) {
            none = false;
            match postcard::from_bytes(&buffer[..length]).expect("a message") {
                ToDialer::Open { flow, protocol, .. } => {
                    assert!(self.open.insert(flow, protocol).is_none(), "{flow} began twice");
                }
                ToDialer::Closed { flow, .. } => {
                    assert!(self.open.remove(&flow).is_some(), "{flow} ended, and is none")
                }
                ToDialer::Counted { flow, .. } | ToDialer::Named { flow, .. } => {
                    assert!(self.open.contains_key(&flow), "{flow} is none");
                }
                ToDialer::Query { flow, .. } => {
                    self.asked.retain(|asked| *asked != flow);
                    self.asked.push(flow);
                }
                ToDialer::Full { .. } | ToDialer::Stopped => {}
            }
        }
        none
    }

    /// A packet for the sandbox.
    fn heard(&mut self, packet: &[u8]) {
        let is_six = packet[0] >> 4 == 6;
        let length = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
        let (whole, protocol, start) =
            if is_six { (length(4) + 40, packet[6], 40) } else { (length(2), packet[9], 20) };
        assert!(whole == packet.len() && (is_six || packet[0] == 0x45), "no whole packet: {packet:02x?}");
        let inner = &packet[start..];
        if protocol == 6 {
            let port = |at: usize| u16::from_be_bytes([inner[at], inner[at + 1]]);
            let seq = u32::from_be_bytes([inner[4], inner[5], inner[6], inner[7]]);
            let payload = inner.len().checked_sub(usize::from(inner[12] >> 4) * 4).expect("a whole header");
            let numbers =
                u32::try_from(payload).expect("short") + u32::from(inner[13] & 1) + u32::from(inner[13] >> 1 & 1);
            let line = self.lines.entry((is_six, port(2), port(0))).or_default();
            line.1 = seq.wrapping_add(numbers);
        }
    }
}

/// A pair of sockets for datagrams.
fn datagrams() -> (UnixDatagram, UnixDatagram) {
    let (one, other) = UnixDatagram::pair().expect("a pair");
    one.set_nonblocking(true).expect("a socket");
    other.set_nonblocking(true).expect("a socket");
    (one, other)
}

/// Addresses inside and outside.
fn addresses(is_six: bool) -> Vec<u8> {
    if is_six {
        let address = |start: [u8; 2], last: u8| [&start[..], &[0; 13], &[last]].concat();
        [address([0xfd, 0x62], 2), address([0x20, 0x01], 7)].concat()
    } else {
        vec![192, 0, 0, 2, 198, 51, 100, 7]
    }
}

/// A packet of IP.
fn ip((is_six, ..): Line, protocol: u8, inner: &[u8]) -> Vec<u8> {
    let length = |before: usize| u16::try_from(inner.len() + before).expect("short").to_be_bytes();
    let addresses = addresses(is_six);
    if is_six {
        return [&[0x60, 0, 0, 0][..], &length(0), &[protocol, 64], &addresses, inner].concat();
    }
    let mut packet = [&[0x45, 0][..], &length(20), &[0, 0, 0x40, 0, 64, protocol, 0, 0], &addresses, inner].concat();
    sum_header(&mut packet);
    packet
}

/// What stands before a message of ICMPv6 when it is summed up.
fn pseudo((is_six, ..): Line, protocol: u8, length: usize) -> Vec<u8> {
    let length = u32::try_from(length).expect("short").to_be_bytes();
    [&addresses(is_six)[..], &length, &[0, 0, 0, protocol]].concat()
}

/// The Internet's sum (RFC 1071).
fn sum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    u16::try_from(!sum & 0xffff).expect("16 bits").to_be_bytes()
}

/// Makes the sum of an IPv4 header right, where there is one.
fn sum_header(packet: &mut [u8]) {
    let length = packet.first().map_or(0, |first| usize::from(first & 15) * 4);
    if let Some(header) = packet.get_mut(..length)
        && header.len() >= 20
        && header[0] >> 4 == 4
    {
        header[10..12].fill(0);
        let sum = sum(header);
        header[10..12].copy_from_slice(&sum);
    }
}
