//! Builds the headers of packets for the sandbox: everything in front of the payload, virtio's header included.
//!
//! Sums of TCP and UDP are left to the device (`VIRTIO_NET_HDR_F_NEEDS_CSUM`): the field holds the sum of the pseudo header, and nobody
//! sums up a payload. Those of ICMP are complete. A segment longer than the receiver's is cut by the kernel (TSO).

use super::checksum;
use super::headers::{Ends, ICMP, ICMPV6, TCP, UDP};
use std::net::IpAddr;

/// virtio_net_hdr without the number of buffers, Ethernet, IPv6, TCP with 8 bytes of options.
const MOST: usize = 10 + 14 + 40 + 28;
const HOPS: u8 = 64;
const NEEDS_CHECKSUM: u8 = 1;
const SEGMENT_TCP4: u8 = 1;
const SEGMENT_TCP6: u8 = 4;

/// What stands in front of a payload.
#[derive(Clone, Copy, Debug)]
pub enum Transport {
    /// TCP.
    Tcp(Tcp),
    /// UDP.
    Udp,
    /// The payload is a whole message of ICMP or ICMPv6, sum included.
    Icmp,
}

/// The header of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Tcp {
    /// Number of its first byte.
    pub seq: u32,
    /// Number of the byte that we wait for.
    pub ack: u32,
    /// [`super::headers::SYN`] and so on.
    pub flags: u8,
    /// As it stands there, scaled already.
    pub window: u16,
    /// Longest segment that the receiver takes.
    pub mss: u16,
    /// Our longest segment and scale, where it opens a connection.
    pub opening: Option<(u16, Option<u8>)>,
}

/// Headers, built from the last to the first.
pub struct Head {
    bytes: [u8; MOST],
    start: usize,
}

impl Head {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn prepend(&mut self, header: &[u8]) {
        let start = self.start.saturating_sub(header.len());
        // `MOST` is the sum of all headers, so each finds its place.
        if let Some(place) = self.bytes.get_mut(start..self.start)
            && place.len() == header.len()
        {
            place.copy_from_slice(header);
            self.start = start;
        }
    }

    fn length(&self) -> usize {
        self.bytes().len()
    }
}

/// Where a packet goes, seen from its sender.
#[derive(Clone, Copy)]
pub struct Way {
    /// The sender: outside.
    pub source: (IpAddr, u16),
    /// The receiver: inside.
    pub target: (IpAddr, u16),
}

impl Way {
    /// The way of an answer.
    pub fn back(ends: &Ends) -> Way {
        Way { source: (ends.target.ip(), ends.target.port()), target: (ends.source.ip(), ends.source.port()) }
    }
}

/// The headers of a packet with `length` bytes of payload; `ethernet`: the receiver's address, on a device that has some. `None` when the
/// packet is too long for IP.
pub fn build(way: Way, transport: Transport, length: usize, ethernet: Option<[u8; 6]>) -> Option<Head> {
    let mut head = Head { bytes: [0; MOST], start: MOST };
    let protocol = match transport {
        Transport::Tcp(_) => TCP,
        Transport::Udp => UDP,
        Transport::Icmp if way.source.0.is_ipv4() => ICMP,
        Transport::Icmp => ICMPV6,
    };
    match transport {
        Transport::Tcp(tcp) => prepend_tcp(&mut head, way, &tcp, length),
        Transport::Udp => prepend_udp(&mut head, way, length)?,
        Transport::Icmp => {}
    }
    let inner = head.length();
    prepend_ip(&mut head, way, protocol, inner + length)?;
    let outer = head.length() - inner;
    if let Some(receiver) = ethernet {
        let kind: [u8; 2] = if way.source.0.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] };
        head.prepend(&kind);
        head.prepend(&[2, 0, 0, 0, 0, 1]);
        head.prepend(&receiver);
    }
    let virtio =
        virtio(&transport, outer + if ethernet.is_some() { 14 } else { 0 }, (inner, length), way.source.0.is_ipv4());
    head.prepend(&virtio);
    Some(head)
}

fn prepend_tcp(head: &mut Head, way: Way, tcp: &Tcp, length: usize) {
    match tcp.opening {
        Some((mss, Some(scale))) => {
            head.prepend(&[1, 3, 3, scale]);
            head.prepend(&mss.to_be_bytes());
            head.prepend(&[2, 4]);
        }
        Some((mss, None)) => {
            head.prepend(&mss.to_be_bytes());
            head.prepend(&[2, 4]);
        }
        None => {}
    }
    let words = u8::try_from((20 + head.length()) / 4).unwrap_or(5);
    let sum = checksum::fold(checksum::pseudo(way.source.0, way.target.0, TCP, usize::from(words) * 4 + length));
    let ([s0, s1], [t0, t1]) = (way.source.1.to_be_bytes(), way.target.1.to_be_bytes());
    let ([q0, q1, q2, q3], [a0, a1, a2, a3]) = (tcp.seq.to_be_bytes(), tcp.ack.to_be_bytes());
    let ([w0, w1], [c0, c1]) = (tcp.window.to_be_bytes(), sum.to_be_bytes());
    head.prepend(&[s0, s1, t0, t1, q0, q1, q2, q3, a0, a1, a2, a3, words << 4, tcp.flags, w0, w1, c0, c1, 0, 0]);
}

fn prepend_udp(head: &mut Head, way: Way, length: usize) -> Option<()> {
    let length = length + 8;
    let sum = checksum::fold(checksum::pseudo(way.source.0, way.target.0, UDP, length));
    head.prepend(&sum.to_be_bytes());
    head.prepend(&u16::try_from(length).ok()?.to_be_bytes());
    head.prepend(&way.target.1.to_be_bytes());
    head.prepend(&way.source.1.to_be_bytes());
    Some(())
}

fn prepend_ip(head: &mut Head, way: Way, protocol: u8, length: usize) -> Option<()> {
    match (way.source.0, way.target.0) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            head.prepend(&ipv4(source.octets(), target.octets(), protocol, length)?);
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let [high, low] = u16::try_from(length).ok()?.to_be_bytes();
            head.prepend(&target.octets());
            head.prepend(&source.octets());
            head.prepend(&[0x60, 0, 0, 0, high, low, protocol, HOPS]);
        }
        _ => return None,
    }
    Some(())
}

/// A header of IPv4 with its sum.
pub fn ipv4(source: [u8; 4], target: [u8; 4], protocol: u8, length: usize) -> Option<[u8; 20]> {
    let [high, low] = u16::try_from(length + 20).ok()?.to_be_bytes();
    let ([s0, s1, s2, s3], [t0, t1, t2, t3]) = (source, target);
    // "Do not fragment", so the identification may be 0 (RFC 6864).
    let mut header = [0x45, 0, high, low, 0, 0, 0x40, 0, HOPS, protocol, 0, 0, s0, s1, s2, s3, t0, t1, t2, t3];
    let sum = checksum::finish(checksum::add(0, &header)).to_be_bytes();
    if let Some(place) = header.get_mut(10..12) {
        place.copy_from_slice(&sum);
    }
    Some(header)
}

/// The header of virtio (5.1.6): flags, kind of segments, length of all headers, length of a segment, start and place of the sum.
fn virtio(transport: &Transport, outer: usize, (inner, length): (usize, usize), is_ipv4: bool) -> [u8; 10] {
    let place: u16 = match transport {
        Transport::Tcp(_) => 16,
        Transport::Udp => 6,
        Transport::Icmp => return [0; 10],
    };
    let short = |number: usize| u16::try_from(number).unwrap_or(0).to_ne_bytes();
    let ([s0, s1], [p0, p1]) = (short(outer), place.to_ne_bytes());
    let (kind, [h0, h1], [g0, g1]) = match transport {
        Transport::Tcp(tcp) if length > usize::from(tcp.mss) => {
            let kind = if is_ipv4 { SEGMENT_TCP4 } else { SEGMENT_TCP6 };
            (kind, short(outer + inner), tcp.mss.to_ne_bytes())
        }
        _ => (0, [0, 0], [0, 0]),
    };
    [NEEDS_CHECKSUM, kind, h0, h1, g0, g1, s0, s1, p0, p1]
}
