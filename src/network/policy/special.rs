//! Addresses that are not just somewhere on the Internet: they lead to this machine, to its neighbours, to whoever runs it, or nowhere.
//!
//! Sources: the registries of special-purpose addresses that RFC 6890 founded, of which every block is here that is not "globally
//! reachable"; RFC 4291; and what clouds document of their metadata services. An IPv4 address that is carried inside an IPv6 address counts as much as the outer one.

use crate::spec::network::Net;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is special about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stands for no address, and is taken for this machine by some systems.
    Unspecified,
    /// This machine.
    Loopback,
    /// A network of somebody's own (RFC 1918, RFC 4193).
    Private,
    /// The neighbours on one link.
    LinkLocal,
    /// A service of a cloud that gives out credentials to whoever asks from inside.
    Metadata,
    /// Between a provider and its customers (RFC 6598).
    Shared,
    /// Many receivers.
    Multicast,
    /// Everybody.
    Broadcast,
    /// Of nobody, for examples in documents.
    Documentation,
    /// Set apart for something else: tests of devices, protocols, the future.
    Reserved,
    /// An address of this machine itself, which may be public.
    Own,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Unspecified => "an unspecified address",
            Kind::Loopback => "a loopback address",
            Kind::Private => "a private address",
            Kind::LinkLocal => "a link-local address",
            Kind::Metadata => "the address of a cloud's metadata service",
            Kind::Shared => "an address between a provider and its customers",
            Kind::Multicast => "a multicast address",
            Kind::Broadcast => "a broadcast address",
            Kind::Documentation => "an address for documents",
            Kind::Reserved => "a reserved address",
            Kind::Own => "an address of the host itself",
        })
    }
}

/// Why an address needs a rule that means it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    /// What is special about it.
    pub kind: Kind,
    /// The address that is, if it is carried inside the one that was asked about.
    pub inner: Option<Ipv4Addr>,
    /// How many leading bits make it so. A rule means it if it has at least as many: `0.0.0.0/0` means no private address.
    pub bits: u8,
}

/// Of IPv4; the first that matches counts.
const FOUR: &[(Kind, [u8; 4], u8)] = &[
    (Kind::Metadata, [169, 254, 169, 254], 32), // AWS, Azure, Google, Oracle, IBM, DigitalOcean
    (Kind::Metadata, [169, 254, 170, 2], 32),   // credentials of AWS ECS tasks
    (Kind::Metadata, [100, 100, 100, 200], 32), // Alibaba
    (Kind::Metadata, [192, 0, 0, 192], 32),     // Oracle, older
    (Kind::Metadata, [168, 63, 129, 16], 32),   // Azure: a public address that leads to the machine's own host
    (Kind::Broadcast, [255, 255, 255, 255], 32),
    (Kind::Unspecified, [0, 0, 0, 0], 8),
    (Kind::Loopback, [127, 0, 0, 0], 8),
    (Kind::Private, [10, 0, 0, 0], 8),
    (Kind::Private, [172, 16, 0, 0], 12),
    (Kind::Private, [192, 168, 0, 0], 16),
    (Kind::LinkLocal, [169, 254, 0, 0], 16),
    (Kind::Shared, [100, 64, 0, 0], 10),
    (Kind::Reserved, [192, 0, 0, 0], 24), // protocols (RFC 6890); a sandbox's own addresses are among them
    (Kind::Documentation, [192, 0, 2, 0], 24), // RFC 5737, as the next two
    (Kind::Documentation, [198, 51, 100, 0], 24),
    (Kind::Documentation, [203, 0, 113, 0], 24),
    (Kind::Reserved, [192, 88, 99, 0], 24), // relays of 6to4 (RFC 7526)
    (Kind::Reserved, [198, 18, 0, 0], 15),  // tests of devices (RFC 2544)
    (Kind::Multicast, [224, 0, 0, 0], 4),
    (Kind::Reserved, [240, 0, 0, 0], 4),
];

/// Of IPv6; the first that matches counts.
const SIX: &[(Kind, [u16; 8], u8)] = &[
    (Kind::Metadata, [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), // AWS
    (Kind::Metadata, [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128),  // Google
    (Kind::Unspecified, [0, 0, 0, 0, 0, 0, 0, 0], 128),
    (Kind::Loopback, [0, 0, 0, 0, 0, 0, 0, 1], 128),
    (Kind::Private, [0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
    (Kind::Private, [0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), // site-local (RFC 3879), still routed by some
    (Kind::Private, [0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), // translators of somebody's own (RFC 8215)
    (Kind::LinkLocal, [0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    (Kind::Multicast, [0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
    (Kind::Reserved, [0x100, 0, 0, 0, 0, 0, 0, 0], 64), // discarded (RFC 6666)
    (Kind::Reserved, [0x100, 0, 0, 1, 0, 0, 0, 0], 64), // stands for no prefix (RFC 9780)
    (Kind::Reserved, [0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocols (RFC 2928): tests of devices and ORCHID among them
    (Kind::Documentation, [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // RFC 3849
    (Kind::Documentation, [0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // RFC 9637
    (Kind::Reserved, [0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), // segment routing (RFC 9602)
];

/// Parts of the blocks above that are somewhere on the Internet all the same.
const GLOBAL: &[([u16; 8], u8)] = &[
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), // Teredo (RFC 4380), which counts as what it carries
    ([0x2001, 1, 0, 0, 0, 0, 0, 1], 128), // PCP and TURN anycast, DNS-SD (RFC 7723, 8155, 9665)
    ([0x2001, 1, 0, 0, 0, 0, 0, 2], 128),
    ([0x2001, 1, 0, 0, 0, 0, 0, 3], 128),
    ([0x2001, 3, 0, 0, 0, 0, 0, 0], 32),     // AMT (RFC 7450)
    ([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48), // AS112 (RFC 7535)
    ([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28),  // drones (RFC 9374)
];

/// What is special about a canonical address (`IpAddr::to_canonical`). `None`: it is somewhere on the Internet.
pub fn special(address: IpAddr) -> Option<Special> {
    match address {
        IpAddr::V4(four) => of_four(four),
        IpAddr::V6(six) => {
            let is_global = GLOBAL.iter().any(|(start, bits)| within(six.into(), (*start).into(), *bits));
            let outer = SIX.iter().find(|(_, start, bits)| !is_global && within(six.into(), (*start).into(), *bits));
            let outer = outer.map(|(kind, _, bits)| Special { kind: *kind, inner: None, bits: *bits });
            embedded(six).into_iter().fold(outer, |found, (inner, offset)| {
                let more = of_four(inner).map(|special| Special {
                    kind: special.kind,
                    inner: Some(inner),
                    bits: offset.saturating_add(special.bits),
                });
                both(found, more)
            })
        }
    }
}

/// A rule must mean all that is special about an address.
fn both(one: Option<Special>, other: Option<Special>) -> Option<Special> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Special { bits: one.bits.max(other.bits), ..one }),
        (one, other) => one.or(other),
    }
}

fn of_four(address: Ipv4Addr) -> Option<Special> {
    let found = FOUR.iter().find(|(_, start, bits)| within(address.into(), (*start).into(), *bits))?;
    Some(Special { kind: found.0, inner: None, bits: found.2 })
}

fn within(address: IpAddr, start: IpAddr, bits: u8) -> bool {
    Net { address: start, prefix: bits }.contains(address)
}

/// The IPv4 addresses that an IPv6 address carries, each with the bit at which it begins.
pub fn embedded(address: Ipv6Addr) -> Vec<(Ipv4Addr, u8)> {
    let bits = address.to_bits();
    // Both casts keep the 32 bits that are meant.
    let at = |offset: u8| (Ipv4Addr::from_bits((bits >> (96 - u32::from(offset))) as u32), offset);
    let [a, b, c, d, e, f, ..] = address.segments();
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0) if bits > 1 => vec![at(96)], // IPv4-compatible (RFC 4291, 2.5.5.1)
        (0, 0, 0, 0, 0, 0xffff) => vec![at(96)],        // IPv4-mapped (RFC 4291, 2.5.5.2)
        (0, 0, 0, 0, 0xffff, 0) => vec![at(96)],        // IPv4-translated (RFC 2765)
        (0x64, 0xff9b, 0, 0, 0, 0) => vec![at(96)],     // NAT64 (RFC 6052)
        (0x2002, ..) => vec![at(16)],                   // 6to4 (RFC 3056)
        (0x2001, 0, ..) => {
            // Teredo (RFC 4380): the server, and the client with all bits inverted.
            let client = Ipv4Addr::from_bits(!(bits as u32));
            vec![at(32), (client, 96)]
        }
        (.., 0 | 0x200, 0x5efe) => vec![at(96)], // ISATAP (RFC 5214)
        _ => Vec::new(),
    }
}
