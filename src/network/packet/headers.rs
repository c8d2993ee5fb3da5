//! Reads packets of the sandbox. Everything here is input of a stranger: a packet that is cut, damaged, a fragment or not ours to move
//! is `None`, and no input panics.
//!
//! Options of IPv4 are skipped: a route that they ask for is not taken. Extension headers of IPv6 are not understood, so such a packet is
//! dropped; so are jumbograms (RFC 2675).

use super::checksum;
use std::net::{IpAddr, SocketAddr};

/// Numbers of protocols (IANA).
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;
pub const ICMPV6: u8 = 58;

/// Bits of a TCP header (RFC 9293 section 3.1).
pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// Where a packet comes from and where it goes: the sandbox and its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ends {
    /// Inside. For an echo the port is its identifier.
    pub source: SocketAddr,
    /// Outside. For an echo the port is 0.
    pub target: SocketAddr,
}

/// A packet that we move.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its addresses and ports.
    pub ends: Ends,
    /// What it carries.
    pub body: Body<'a>,
}

/// What a packet carries.
#[derive(Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// A segment of TCP.
    Tcp(Segment<'a>),
    /// The payload of a datagram of UDP.
    Udp(&'a [u8]),
    /// An echo request, its ICMP header included.
    Echo(&'a [u8]),
}

/// A segment of TCP.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Number of its first byte.
    pub seq: u32,
    /// Number of the byte that its sender waits for.
    pub ack: u32,
    /// [`FIN`] and so on.
    pub flags: u8,
    /// As it stands there, without scale.
    pub window: u16,
    /// Longest segment that its sender wants; only with [`SYN`].
    pub mss: Option<u16>,
    /// Scale of the windows that its sender will give (RFC 7323); only with [`SYN`].
    pub scale: Option<u8>,
    /// The bytes. Urgent ones are bytes as all others (RFC 6093).
    pub payload: &'a [u8],
}

impl Segment<'_> {
    /// Whether all of these bits are set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// How many numbers it takes: its bytes, [`SYN`] and [`FIN`].
    pub fn length(&self) -> u32 {
        let marks = u32::from(self.has(SYN)) + u32::from(self.has(FIN));
        u32::try_from(self.payload.len()).unwrap_or(u32::MAX).wrapping_add(marks)
    }
}

/// Reads an IP packet. `complete`: its checksum stands there and is to be verified; otherwise the kernel left it to the device.
pub fn parse(packet: &[u8], complete: bool) -> Option<Packet<'_>> {
    let inner = match packet.first()? >> 4 {
        4 => parse_ipv4(packet)?,
        6 => parse_ipv6(packet)?,
        _ => return None,
    };
    if !is_host(inner.source) || !is_host(inner.target) {
        return None;
    }
    match inner.protocol {
        TCP => parse_tcp(&inner, complete),
        UDP => parse_udp(&inner, complete),
        ICMP if inner.source.is_ipv4() => parse_echo(&inner, 8),
        ICMPV6 if inner.source.is_ipv6() => parse_echo(&inner, 128),
        _ => None,
    }
}

/// What stands inside an IP packet.
struct Inner<'a> {
    source: IpAddr,
    target: IpAddr,
    protocol: u8,
    bytes: &'a [u8],
}

impl Inner<'_> {
    fn ends(&self, source: u16, target: u16) -> Ends {
        Ends { source: SocketAddr::new(self.source, source), target: SocketAddr::new(self.target, target) }
    }

    fn sum(&self) -> u16 {
        checksum::finish(checksum::add(
            checksum::pseudo(self.source, self.target, self.protocol, self.bytes.len()),
            self.bytes,
        ))
    }
}

fn parse_ipv4(packet: &[u8]) -> Option<Inner<'_>> {
    let header = packet.get(..usize::from(packet.first()? & 0xf) * 4)?;
    let (fixed, _) = header.split_first_chunk::<20>()?;
    let [_, _, high, low, _, _, fragment, offset, _, protocol, _, _, addresses @ ..] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    // More fragments follow, or this is a later one; the bit above is "do not fragment".
    let is_fragment = u16::from_be_bytes([fragment, offset]) & 0x3fff != 0;
    if is_fragment || checksum::finish(checksum::add(0, header)) != 0 {
        return None;
    }
    let [s0, s1, s2, s3, t0, t1, t2, t3] = addresses;
    let bytes = packet.get(header.len()..length)?;
    Some(Inner { source: [s0, s1, s2, s3].into(), target: [t0, t1, t2, t3].into(), protocol, bytes })
}

fn parse_ipv6(packet: &[u8]) -> Option<Inner<'_>> {
    let (fixed, rest) = packet.split_first_chunk::<8>()?;
    let (source, rest) = rest.split_first_chunk::<16>()?;
    let (target, rest) = rest.split_first_chunk::<16>()?;
    let [_, _, _, _, high, low, protocol, _] = *fixed;
    let bytes = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
    Some(Inner { source: (*source).into(), target: (*target).into(), protocol, bytes })
}

/// One machine, and not the sandbox itself: packets for many, for none or for loopback have no business here.
fn is_host(address: IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(address) => address.is_broadcast() || address.octets().first() == Some(&0),
        IpAddr::V6(_) => false,
    };
    !(special || address.is_multicast() || address.is_unspecified() || address.is_loopback())
}

fn parse_tcp<'a>(inner: &Inner<'a>, complete: bool) -> Option<Packet<'a>> {
    let (fixed, _) = inner.bytes.split_first_chunk::<20>()?;
    let [s0, s1, t0, t1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, w0, w1, _, _, _, _] = *fixed;
    let (source, target) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([t0, t1]));
    let start = usize::from(offset >> 4) * 4;
    let (options, payload) = (inner.bytes.get(20..start)?, inner.bytes.get(start..)?);
    if source == 0 || target == 0 || (complete && inner.sum() != 0) {
        return None;
    }
    let (mss, scale) = if flags & SYN != 0 { parse_options(options) } else { (None, None) };
    let segment = Segment {
        seq: u32::from_be_bytes([q0, q1, q2, q3]),
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        flags,
        window: u16::from_be_bytes([w0, w1]),
        mss,
        scale,
        payload,
    };
    Some(Packet { ends: inner.ends(source, target), body: Body::Tcp(segment) })
}

/// Longest segment and scale. What follows an option with a wrong length is not read.
fn parse_options(mut options: &[u8]) -> (Option<u16>, Option<u8>) {
    let (mut mss, mut scale) = (None, None);
    loop {
        options = match options {
            [] | [0, ..] => return (mss, scale),
            [1, rest @ ..] => rest,
            [kind, length, ..] => {
                let Some((option, rest)) = options.split_at_checked(usize::from(*length).max(2)) else {
                    return (mss, scale);
                };
                match (kind, option) {
                    (2, [_, _, high, low]) => mss = Some(u16::from_be_bytes([*high, *low])),
                    // More than 14 counts as 14 (RFC 7323 section 2.3).
                    (3, [_, _, shift]) => scale = Some((*shift).min(14)),
                    _ => {}
                }
                rest
            }
            [_] => return (mss, scale),
        };
    }
}

fn parse_udp<'a>(inner: &Inner<'a>, complete: bool) -> Option<Packet<'a>> {
    let (fixed, _) = inner.bytes.split_first_chunk::<8>()?;
    let [s0, s1, t0, t1, l0, l1, c0, c1] = *fixed;
    let (source, target) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([t0, t1]));
    let payload = inner.bytes.get(8..usize::from(u16::from_be_bytes([l0, l1])))?;
    // Over IPv4 a datagram may go without a sum (RFC 768), over IPv6 not.
    let without = inner.source.is_ipv4() && [c0, c1] == [0, 0];
    if target == 0 || payload.len() + 8 != inner.bytes.len() || (complete && !without && inner.sum() != 0) {
        return None;
    }
    Some(Packet { ends: inner.ends(source, target), body: Body::Udp(payload) })
}

fn parse_echo<'a>(inner: &Inner<'a>, request: u8) -> Option<Packet<'a>> {
    let (fixed, _) = inner.bytes.split_first_chunk::<8>()?;
    let [kind, code, _, _, i0, i1, _, _] = *fixed;
    let sum = match inner.source {
        IpAddr::V4(_) => checksum::finish(checksum::add(0, inner.bytes)),
        IpAddr::V6(_) => inner.sum(),
    };
    if kind != request || code != 0 || sum != 0 {
        return None;
    }
    Some(Packet { ends: inner.ends(u16::from_be_bytes([i0, i1]), 0), body: Body::Echo(inner.bytes) })
}

#[cfg(test)]
mod tests;
