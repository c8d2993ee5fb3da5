//! Messages of ICMP (RFC 792) and ICMPv6 (RFC 4443) for the sandbox: why something cannot be reached, and answers to echo requests.

use super::build;
use super::checksum;
use super::headers::{Ends, ICMP, ICMPV6};
use crate::network::wire::Refusal;
use std::net::IpAddr;

/// "Destination unreachable" for a packet of a flow; `None` where nothing is to be said. Its first bytes, from which the sandbox's kernel
/// finds the socket, are written anew: `start` is what stood first in it, ports included.
pub fn unreachable(ends: &Ends, protocol: u8, start: [u8; 8], refusal: Refusal) -> Option<Vec<u8>> {
    let is_ipv4 = ends.source.is_ipv4();
    let code = match (refusal, is_ipv4) {
        (Refusal::Silence, _) => return None,
        (Refusal::Network, _) => 0,
        (Refusal::Host, true) => 1,
        (Refusal::Host, false) => 3,
        (Refusal::Port, true) => 3,
        (Refusal::Port, false) => 4,
        (Refusal::Prohibited, true) => 13,
        (Refusal::Prohibited, false) => 1,
    };
    let mut message = vec![if is_ipv4 { 3 } else { 1 }, code, 0, 0, 0, 0, 0, 0];
    match (ends.source.ip(), ends.target.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            message.extend(build::ipv4(source.octets(), target.octets(), protocol, start.len())?);
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            message.extend([0x60, 0, 0, 0, 0, 8, protocol, 64]);
            message.extend(source.octets());
            message.extend(target.octets());
        }
        _ => return None,
    }
    message.extend(start);
    complete(&mut message, ends);
    Some(message)
}

/// The first bytes of a datagram of UDP without payload.
pub fn udp_start(ends: &Ends) -> [u8; 8] {
    let ([s0, s1], [t0, t1]) = (ends.source.port().to_be_bytes(), ends.target.port().to_be_bytes());
    [s0, s1, t0, t1, 0, 8, 0, 0]
}

/// The first bytes of a segment of TCP.
pub fn tcp_start(ends: &Ends, seq: u32) -> [u8; 8] {
    let ([s0, s1], [t0, t1]) = (ends.source.port().to_be_bytes(), ends.target.port().to_be_bytes());
    let [q0, q1, q2, q3] = seq.to_be_bytes();
    [s0, s1, t0, t1, q0, q1, q2, q3]
}

/// The first bytes of an echo request. Its sequence number is not looked at.
pub fn echo_start(ends: &Ends) -> [u8; 8] {
    let [i0, i1] = ends.source.port().to_be_bytes();
    [if ends.source.is_ipv4() { 8 } else { 128 }, 0, 0, 0, i0, i1, 0, 0]
}

/// Makes the answer that a ping socket received the sandbox's: with the sandbox's identifier, which the kernel had replaced by its own
/// (icmp(7)), and the right sum. `None`: it is no answer to an echo.
pub fn rewrite_answer(message: &mut [u8], ends: &Ends) -> Option<()> {
    let answer = if ends.source.is_ipv4() { 0 } else { 129 };
    let [kind, code, _, _, i0, i1, ..] = message else { return None };
    if (*kind, *code) != (answer, 0) {
        return None;
    }
    [*i0, *i1] = ends.source.port().to_be_bytes();
    complete(message, ends);
    Some(())
}

/// Writes the sum of a message for the sandbox.
fn complete(message: &mut [u8], ends: &Ends) {
    if let [_, _, s0, s1, ..] = message {
        (*s0, *s1) = (0, 0);
    }
    let start = match ends.source.ip() {
        IpAddr::V4(_) => 0,
        IpAddr::V6(_) => checksum::pseudo(ends.target.ip(), ends.source.ip(), ICMPV6, message.len()),
    };
    let sum = checksum::finish(checksum::add(start, message)).to_be_bytes();
    if let [_, _, s0, s1, ..] = message {
        [*s0, *s1] = sum;
    }
}

/// The number of the protocol that echoes with this end speak.
pub fn protocol(ends: &Ends) -> u8 {
    if ends.source.is_ipv4() { ICMP } else { ICMPV6 }
}
