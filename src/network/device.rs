//! The device of a sandbox with a network, as steps of the process that made its network namespace: a tun device or, where the host
//! has no `/dev/net/tun` for us, a veth pair with a packet socket on its other end. Whoever holds the descriptor reads and writes
//! whole packets, with the header of virtio in front that lets the kernel leave segmentation and checksums to nobody. With the last
//! descriptor the device goes, so that nothing inside waits for a network that is gone: a tun device does by itself; the other end of a
//! pair is alone in a network namespace that nothing but the socket keeps alive.
//!
//! Interfaces have numbers of our choice, so that each message to the kernel is known before the namespace is there (rtnetlink(7)).

use super::wire::Device;
use crate::host::Host;
use crate::outcome::Enforcement;
use crate::spec::{ADDRESS, ADDRESS6, GATEWAY, GATEWAY6, Network, Rule, Spec};
use crate::step::Step;
use std::net::IpAddr;

const PREFIX: u8 = 29;
const PREFIX6: u8 = 64;

/// A packet holds what one write can carry, without any rest.
const MTU: u32 = 65520;
/// Packets that wait to be read: the usual 500 lose some when a thousand connections begin at once.
const QUEUE: u32 = 4096;

/// Numbers of the interfaces: far from those that the kernel gives.
const INDEX: u32 = 1000;
const PEER_INDEX: u32 = 1001;
const NAME: &str = "eth0";
const PEER_NAME: &str = "up0";
/// The hardware address of the sandbox's end, which frames to it have to name. Locally administered.
const HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 2];
const PEER_HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// The device's steps, for the process that made the network namespace, which is told the supervisor at the end. `None` where the
/// sandbox has no network to reach.
pub fn plan_device(net: Network, host: &Host, steps: &mut Vec<Step>) {
    let Some(device) = device(net, host) else { return };
    match device {
        Device::Tun => steps.push(Step::OpenTun { index: INDEX }),
        // A packet socket that is bound to an interface which is down begins with an error.
        Device::Veth => steps.extend([
            Step::NewPeerNetwork,
            Step::MakePair { message: veth().finish() },
            netlink("bring up0 up", link_up(PEER_INDEX)),
            Step::OpenPacketSocket { index: PEER_INDEX },
            Step::ReturnToNetwork,
        ]),
    }
    steps.push(netlink("bring eth0 up", link_up(INDEX)));
    steps.push(netlink("set address 192.0.0.2/29", address(ADDRESS.into(), PREFIX)));
    steps.push(netlink("set the default route", route(GATEWAY.into())));
    if host.reach.ipv6 {
        steps.push(netlink("set address fd62:6a61:7200::2/64", address(ADDRESS6.into(), PREFIX6)));
        steps.push(netlink("set the default IPv6 route", route(GATEWAY6.into())));
    }
    steps.push(Step::HandDevice);
}

/// What the sandbox's packets leave it through, if any do.
pub fn device(net: Network, host: &Host) -> Option<Device> {
    net.has_policy().then_some(if host.reach.tun { Device::Tun } else { Device::Veth })
}

/// How far what may be reached is enforced. Addresses and ports always are; a name is what a client asked the resolver for and named in
/// its first bytes, and whoever serves several names at one address may serve another than the one that was named.
pub fn enforcement(spec: &Spec, host: &Host) -> Enforcement {
    let device = match device(spec.net, host) {
        None if spec.net == Network::Host => return Enforcement::Off("the host's network was asked for".to_owned()),
        None => return Enforcement::Enforced,
        Some(Device::Tun) => "tun device",
        Some(Device::Veth) => "veth pair",
    };
    if spec.allow.iter().chain(&spec.deny).any(Rule::is_of_names) {
        let by = format!(
            "policy on a {device}: addresses and ports, and names by their addresses and by TLS server name or HTTP host; \
             what else is served there under an allowed name is not seen"
        );
        return Enforcement::by(&by, false);
    }
    Enforcement::by(&format!("policy on a {device}: addresses and ports"), true)
}

/// Whether the device is opened by its path on the host.
pub fn opens_by_path(net: Network, host: &Host) -> bool {
    device(net, host) == Some(Device::Tun)
}

fn netlink(what: &'static str, message: Message) -> Step {
    Step::Netlink { what, message: message.finish() }
}

/// A request of rtnetlink(7), while it is written.
struct Message(Vec<u8>);

impl Message {
    /// A request that is acknowledged, with its fixed part.
    fn new(kind: u16, flags: i32, fixed: &[u8]) -> Message {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        // Sequence number and port: there is one request and one socket.
        bytes.extend([0; 8]);
        bytes.extend(fixed);
        Message(bytes)
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Message {
        let length = (value.len() + 4) as u16;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn text(self, kind: u16, value: &str) -> Message {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat())
    }

    fn number(self, kind: u16, value: u32) -> Message {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Attributes within an attribute.
    fn nested(self, kind: u16, inner: Vec<u8>) -> Message {
        self.attribute(kind, &inner)
    }

    fn finish(mut self) -> Vec<u8> {
        let length = (self.0.len() as u32).to_ne_bytes();
        if let Some(slot) = self.0.first_chunk_mut() {
            *slot = length;
        }
        self.0
    }
}

/// `struct ifinfomsg`.
fn link(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    for (slot, byte) in fixed.iter_mut().skip(4).zip([index, flags, change].into_iter().flat_map(u32::to_ne_bytes)) {
        *slot = byte;
    }
    fixed
}

/// No address resolution: there is nobody to ask but the other end.
fn link_up(index: u32) -> Message {
    let flags = (libc::IFF_UP | libc::IFF_NOARP) as u32;
    Message::new(libc::RTM_NEWLINK, 0, &link(index, flags, flags))
        .number(libc::IFLA_MTU, MTU)
        .number(libc::IFLA_TXQLEN, QUEUE)
}

/// `VETH_INFO_PEER` of linux/veth.h.
const VETH_INFO_PEER: u16 = 1;

/// Our end here, and the sandbox's in the network namespace whose descriptor is to stand in the last four bytes.
fn veth() -> Message {
    let (info_kind, info_data) = (libc::IFLA_INFO_KIND, libc::IFLA_INFO_DATA);
    let peer = Message(link(INDEX, 0, 0).to_vec())
        .text(libc::IFLA_IFNAME, NAME)
        .attribute(libc::IFLA_ADDRESS, &HARDWARE)
        .number(libc::IFLA_NET_NS_FD, 0);
    let data = Message(Vec::new()).nested(VETH_INFO_PEER, peer.0);
    let info = Message(Vec::new()).attribute(info_kind, b"veth").nested(info_data, data.0);
    Message::new(libc::RTM_NEWLINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &link(PEER_INDEX, 0, 0))
        .text(libc::IFLA_IFNAME, PEER_NAME)
        .attribute(libc::IFLA_ADDRESS, &PEER_HARDWARE)
        .nested(libc::IFLA_LINKINFO, info.0)
}

/// The family and bytes of an address.
fn of(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (libc::AF_INET as u8, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6 as u8, address.octets().to_vec()),
    }
}

/// `struct ifaddrmsg`; nobody else has the address, and so nobody is asked whether he has (`IFA_F_NODAD`).
fn address(address: IpAddr, prefix: u8) -> Message {
    let (family, bytes) = of(address);
    let [a, b, c, d] = INDEX.to_ne_bytes();
    let fixed = [family, prefix, libc::IFA_F_NODAD as u8, libc::RT_SCOPE_UNIVERSE, a, b, c, d];
    Message::new(libc::RTM_NEWADDR, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &fixed)
        .attribute(libc::IFA_LOCAL, &bytes)
        .attribute(libc::IFA_ADDRESS, &bytes)
}

/// `struct rtmsg`: everything goes to the gateway.
fn route(gateway: IpAddr) -> Message {
    let (family, bytes) = of(gateway);
    let (table, protocol) = (libc::RT_TABLE_MAIN, libc::RTPROT_BOOT);
    let fixed = [family, 0, 0, 0, table, protocol, libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST, 0, 0, 0, 0];
    Message::new(libc::RTM_NEWROUTE, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &fixed)
        .attribute(libc::RTA_GATEWAY, &bytes)
        .number(libc::RTA_OIF, INDEX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_how_long_it_is_and_its_attributes_are_aligned() {
        let message = Message::new(libc::RTM_NEWLINK, 0, &link(7, 1, 1)).text(libc::IFLA_IFNAME, "eth0").finish();
        assert_eq!(message.len(), 16 + 16 + 12);
        assert_eq!(message.first_chunk(), Some(&44u32.to_ne_bytes()));
        assert_eq!(message.get(32..41), Some(&[9, 0, 3, 0, b'e', b't', b'h', b'0', 0][..]));
    }

    #[test]
    fn the_message_for_a_pair_ends_with_the_place_for_a_descriptor() {
        let message = veth().finish();
        let attribute = [8u16.to_ne_bytes(), libc::IFLA_NET_NS_FD.to_ne_bytes(), [0; 2], [0; 2]].concat();
        assert!(message.ends_with(&attribute), "{message:?}");
    }
}
