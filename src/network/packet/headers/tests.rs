//! Packets as a kernel writes them, and cut, damaged and odd ones.

use super::super::build::{self, Tcp, Transport, Way};
use super::*;

const V4: (&str, &str) = ("192.0.0.2:40000", "198.51.100.7:443");
const V6: (&str, &str) = ("[fd62::2]:40000", "[2001:db8::7]:443");

fn ends((source, target): (&str, &str)) -> Ends {
    Ends { source: source.parse().expect("an address"), target: target.parse().expect("an address") }
}

/// A packet from the sandbox, complete.
fn packet(ends: Ends, transport: Transport, payload: &[u8]) -> Vec<u8> {
    let way = Way::back(&Ends { source: ends.target, target: ends.source });
    let head = build::build(way, transport, payload.len(), None).expect("short");
    let mut bytes = [&head.bytes()[10..], payload].concat();
    let (start, place, protocol) = match (ends.source.is_ipv4(), transport) {
        (true, Transport::Tcp(_)) => (20, 16, TCP),
        (false, Transport::Tcp(_)) => (40, 16, TCP),
        (true, Transport::Udp) => (20, 6, UDP),
        (false, Transport::Udp) => (40, 6, UDP),
        (_, Transport::Icmp) => return bytes,
    };
    bytes[start + place..start + place + 2].fill(0);
    let sum = checksum::pseudo(ends.source.ip(), ends.target.ip(), protocol, bytes.len() - start);
    let sum = checksum::finish(checksum::add(sum, &bytes[start..]));
    bytes[start + place..start + place + 2].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn tcp(flags: u8, opening: Option<(u16, Option<u8>)>) -> Transport {
    Transport::Tcp(Tcp { seq: 1000, ack: 2000, flags, window: 3000, mss: 1460, opening })
}

#[test]
fn what_is_built_is_read_back() {
    for pair in [V4, V6] {
        let ends = ends(pair);
        let bytes = packet(ends, tcp(SYN, Some((65480, Some(7)))), b"early");
        let segment = Segment {
            seq: 1000,
            ack: 2000,
            flags: SYN,
            window: 3000,
            mss: Some(65480),
            scale: Some(7),
            payload: b"early",
        };
        assert_eq!(parse(&bytes, true), Some(Packet { ends, body: Body::Tcp(segment) }));
        let bytes = packet(ends, Transport::Udp, b"hello");
        assert_eq!(parse(&bytes, true), Some(Packet { ends, body: Body::Udp(b"hello") }));
    }
}

#[test]
fn what_is_cut_short_is_dropped() {
    for pair in [V4, V6] {
        for transport in [tcp(ACK, None), tcp(SYN, Some((1460, Some(14)))), Transport::Udp] {
            let bytes = packet(ends(pair), transport, b"hello");
            assert!(parse(&bytes, true).is_some());
            for end in 0..bytes.len() {
                assert_eq!(parse(&bytes[..end], false), None, "{end}");
            }
        }
    }
}

#[test]
fn a_wrong_sum_is_dropped_unless_the_device_was_to_write_it() {
    for pair in [V4, V6] {
        for transport in [tcp(ACK, None), Transport::Udp] {
            let mut bytes = packet(ends(pair), transport, b"hello");
            *bytes.last_mut().expect("not empty") ^= 1;
            assert_eq!(parse(&bytes, true), None);
            assert!(parse(&bytes, false).is_some());
        }
    }
}

#[test]
fn udp_without_a_sum_is_for_ipv4_only() {
    for (pair, place, is_taken) in [(V4, 26, true), (V6, 46, false)] {
        let mut bytes = packet(ends(pair), Transport::Udp, b"hello");
        bytes[place..place + 2].fill(0);
        assert_eq!(parse(&bytes, true).is_some(), is_taken);
    }
}

#[test]
fn fragments_and_broken_headers_of_ipv4_are_dropped() {
    let good = packet(ends(V4), Transport::Udp, b"hello");
    for (place, value) in [(6, 0x20), (6, 0x1f), (7, 1), (0, 0x44), (0, 0x4f), (3, 200), (10, 0), (9, 99), (9, 58)] {
        let mut bytes = good.clone();
        bytes[place] = value;
        if place != 10 {
            bytes[10..12].fill(0);
            let sum = checksum::finish(checksum::add(0, &bytes[..20]));
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        assert_eq!(parse(&bytes, false), None, "{place} {value}");
    }
}

#[test]
fn extension_headers_of_ipv6_are_dropped() {
    let good = packet(ends(V6), Transport::Udp, b"hello");
    for next in [0, 43, 44, 60, 51, 1] {
        let mut bytes = good.clone();
        bytes[6] = next;
        assert_eq!(parse(&bytes, false), None, "{next}");
    }
}

#[test]
fn packets_for_many_or_for_the_sandbox_itself_are_dropped() {
    for target in [
        "224.0.0.251:5353",
        "255.255.255.255:67",
        "0.0.0.0:1",
        "0.1.2.3:1",
        "127.0.0.1:1",
        "[ff02::fb]:5353",
        "[::1]:1",
        "[::]:1",
    ] {
        let source = if target.starts_with('[') { V6.0 } else { V4.0 };
        let bytes = packet(ends((source, target)), Transport::Udp, b"");
        assert_eq!(parse(&bytes, true), None, "{target}");
    }
}

#[test]
fn odd_options_end_the_reading_of_options() {
    assert_eq!(parse_options(&[1, 1, 2, 4, 5, 180, 3, 3, 20, 0, 2, 4]), (Some(1460), Some(14)));
    assert_eq!(parse_options(&[8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 1, 0]), (Some(256), None));
    for odd in [&[2][..], &[2, 0], &[2, 1, 3], &[2, 255, 1], &[3, 4, 1, 1], &[254, 3]] {
        assert_eq!(parse_options(odd), (None, None), "{odd:?}");
    }
}

#[test]
fn an_echo_request_is_taken_and_its_answer_is_not() {
    for (pair, request, answer) in [(V4, 8, 0), (V6, 128, 129)] {
        let mut ends = ends(pair);
        ends.source.set_port(77);
        ends.target.set_port(0);
        for (kind, is_taken) in [(request, true), (answer, false)] {
            let mut message = vec![kind, 0, 0, 0, 0, 77, 0, 1, b'x'];
            let start = if ends.source.is_ipv4() {
                0
            } else {
                checksum::pseudo(ends.source.ip(), ends.target.ip(), ICMPV6, message.len())
            };
            let sum = checksum::finish(checksum::add(start, &message)).to_be_bytes();
            message[2..4].copy_from_slice(&sum);
            let bytes = packet(ends, Transport::Icmp, &message);
            let expected = is_taken.then_some(Packet { ends, body: Body::Echo(&message) });
            assert_eq!(parse(&bytes, true), expected);
        }
    }
}
