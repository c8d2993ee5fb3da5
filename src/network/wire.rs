//! What the two processes of a sandbox's network say to each other: one message a packet, on a socket pair that keeps packets apart.
//!
//! The packet process moves bytes between the sandbox's device and sockets; it may make no socket. The dialer owns the policy, resolves
//! names, connects, and hands over sockets that are connected already. A message is postcard's encoding of one of the enums below;
//! a descriptor comes along with [`ToPacket::Device`] and [`ToPacket::Connected`], and with nothing else.

/// What a flow speaks. Of echo requests the port is the identifier of the series.
pub use crate::spec::network::Protocol;

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A connection, a UDP flow or a series of echo requests, by the number that the packet process gave it. Never used twice.
pub type Flow = u64;

/// Bytes of the longest message: a DNS message of 64 KiB and what stands around it.
pub const LONGEST: usize = 68 << 10;

/// From the packet process to the dialer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToDialer {
    /// Somebody inside wants to reach `target`.
    Open {
        /// Its number.
        flow: Flow,
        /// What it speaks.
        protocol: Protocol,
        /// Where it comes from, inside.
        source: SocketAddr,
        /// Where it is to go, as the program inside wrote it.
        target: SocketAddr,
    },
    /// A DNS message to UDP port 53, whatever the address. Answered by [`ToPacket::Answer`] or not at all.
    Query {
        /// The flow that the answer goes to.
        flow: Flow,
        /// The server that the program inside asked.
        target: SocketAddr,
        /// The message.
        message: Vec<u8>,
    },
    /// A connection with a [`Check`] has said whom it wants to talk to.
    Named {
        /// Which.
        flow: Flow,
        /// The name, canonical; `None`: it named nobody.
        name: Option<String>,
        /// Whether it may go on.
        accepted: bool,
    },
    /// Bytes so far; for flows that moved some, at most once a second.
    Counted {
        /// Which.
        flow: Flow,
        /// Bytes of payload from the sandbox.
        sent: u64,
        /// Bytes of payload to the sandbox.
        received: u64,
    },
    /// A flow has ended; its number means nothing any more.
    Closed {
        /// Which.
        flow: Flow,
        /// Bytes of payload from the sandbox.
        sent: u64,
        /// Bytes of payload to the sandbox.
        received: u64,
        /// How.
        end: End,
    },
    /// A flow could not begin, since there were too many.
    Full {
        /// What it speaks.
        protocol: Protocol,
        /// Where it was to go.
        target: SocketAddr,
    },
    /// All flows are closed and nothing comes any more: the answer to [`ToPacket::Stop`].
    Stopped,
}

/// How a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Both sides had finished.
    Finished,
    /// One side reset it, or the other side refused.
    Reset,
    /// Nothing moved for too long.
    Idle,
    /// The dialer cut it, or the network ended.
    Cut,
    /// Its check refused it.
    Refused,
}

/// From the dialer to the packet process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToPacket {
    /// Comes with the descriptor of the sandbox's device. Once, before anything else but [`ToPacket::Limits`].
    Device(Device),
    /// What the sandbox may use, from now on.
    Limits(Limits),
    /// Comes with the connected socket.
    Connected {
        /// Which.
        flow: Flow,
        /// A socket pair of ours, not a socket of the network: reading with `MSG_TRUNC` discards nothing there.
        local: bool,
        /// What is to be compared before a byte goes out.
        check: Option<Check>,
    },
    /// It is not to be, or could not be.
    Refused {
        /// Which.
        flow: Flow,
        /// How the program inside is told.
        refusal: Refusal,
    },
    /// A DNS message for whoever asked.
    Answer {
        /// The flow of the query.
        flow: Flow,
        /// The message.
        message: Vec<u8>,
    },
    /// The policy has changed, and this is not allowed any more.
    Cut {
        /// Which.
        flow: Flow,
    },
    /// The network ends: count everything, close everything, and say so.
    Stop,
}

/// What the packet process reads packets from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Device {
    /// A tun device with `IFF_VNET_HDR`: a header of 10 bytes, then an IP packet.
    Tun,
    /// A packet socket on the other end of a veth pair, with `PACKET_VNET_HDR`: the same header, 14 bytes of Ethernet, an IP packet.
    Veth,
}

/// What a sandbox may use of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes a second in each direction. `None`: no limit.
    pub rate: Option<u64>,
    /// Flows at once, half-open ones among them.
    pub flows: u32,
}

/// How a refusal looks inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The policy says no. TCP: a reset; else ICMP "administratively prohibited".
    Prohibited,
    /// The other side refused: a reset, or "port unreachable".
    Port,
    /// "Host unreachable".
    Host,
    /// "Network unreachable".
    Network,
    /// No answer came: nothing is said, as by a network that loses packets.
    Silence,
}

/// What the first bytes of a connection must name before any of them goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Where the name stands.
    pub names: Naming,
    /// Names that are allowed, canonical: those that were asked for and led to this address. `None`: all but the denied.
    pub allowed: Option<Vec<String>>,
    /// Names that are denied, canonical; `*.` before one stands for everything below it.
    pub denied: Vec<String>,
}

/// Where the name of a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Naming {
    /// In the server name of a TLS hello (RFC 6066).
    Tls,
    /// In the Host of each HTTP/1 request (RFC 9112).
    Http,
}
