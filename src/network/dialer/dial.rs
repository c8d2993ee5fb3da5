//! Sockets to the outside.

use crate::network::wire::{Protocol, Refusal};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, getsockname, getsockopt, sockopt,
};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};

/// A socket for the family of `target` that never waits.
pub fn socket(target: SocketAddr, kind: SockType, protocol: Option<SockProtocol>) -> nix::Result<OwnedFd> {
    let family = if target.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    nix::sys::socket::socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, protocol)
}

/// Connects it; EINPROGRESS when that takes a while.
pub fn connect(socket: &OwnedFd, target: SocketAddr) -> nix::Result<()> {
    nix::sys::socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(target))
}

/// A socket for what a flow speaks.
pub fn socket_for(protocol: Protocol, target: SocketAddr) -> nix::Result<OwnedFd> {
    match protocol {
        Protocol::Tcp => socket(target, SockType::Stream, None),
        Protocol::Udp => socket(target, SockType::Datagram, None),
        Protocol::Icmp => {
            let echo = if target.is_ipv4() { SockProtocol::Icmp } else { SockProtocol::IcmpV6 };
            socket(target, SockType::Datagram, Some(echo))
        }
    }
}

/// How a connect that took a while went.
pub fn result(socket: &OwnedFd) -> nix::Result<()> {
    match getsockopt(socket, sockopt::SocketError)? {
        0 => Ok(()),
        errno => Err(Errno::from_raw(errno)),
    }
}

/// Whether an address is one of this machine's own: then, and only then, what goes there comes from there too. No packet is sent.
///
/// # Errors
///
/// It could not be found out, so that it must not be taken for another's.
pub fn is_own(address: IpAddr) -> nix::Result<bool> {
    // Any port will do: a UDP socket that connects only looks for a route.
    match local_address(SocketAddr::new(address, 9)) {
        Ok(local) => Ok(local == Some(address)),
        // Where there is no way, the connection will find none either.
        Err(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT | Errno::EINVAL) => {
            Ok(false)
        }
        Err(errno) => Err(errno),
    }
}

/// Whether the machine has a way to the IPv6 Internet: to the address of a root server, of which no packet hears.
pub fn has_ipv6() -> bool {
    const ROOT: Ipv6Addr = Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30);
    local_address(SocketAddr::new(ROOT.into(), 53)).is_ok()
}

/// The address from which packets to `target` would come.
fn local_address(target: SocketAddr) -> nix::Result<Option<IpAddr>> {
    let probe = socket(target, SockType::Datagram, None)?;
    connect(&probe, target)?;
    let name: SockaddrStorage = getsockname(probe.as_raw_fd())?;
    Ok(match (name.as_sockaddr_in(), name.as_sockaddr_in6()) {
        (Some(four), _) => Some(IpAddr::V4(four.ip())),
        (_, Some(six)) => Some(IpAddr::V6(six.ip()).to_canonical()),
        (None, None) => None,
    })
}

/// How an error of connect(2) looks inside.
pub fn refusal(errno: Errno) -> Refusal {
    match errno {
        Errno::ECONNREFUSED => Refusal::Port,
        Errno::ENETUNREACH | Errno::ENETDOWN | Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL => Refusal::Network,
        // A firewall of the machine (EPERM), or no right to echo requests (EACCES).
        Errno::EPERM | Errno::EACCES => Refusal::Prohibited,
        _ => Refusal::Host,
    }
}
