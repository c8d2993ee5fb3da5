//! Inbound: ports of a sandbox that are reached from the host.
//!
//! The supervisor binds what is asked for before there is a sandbox. A process of its own, the *publisher* (`process::publish`), gets
//! these sockets, joins the sandbox's network when there is one, gives up everything else, and connects inside for each connection from
//! outside. The kernel moves the bytes (splice(2)); they never are in the publisher's memory.
//!
//! Promises: nothing inside reaches the host by it. Its sockets of the host listen and are never given away; those it makes are in the
//! sandbox's network. It is in the host's pid namespace, so that no process inside sees it. Both ends of a connection hear of the end
//! and of the reset of the other; nothing is cut for being idle.
//!
//! A socket that was accepted could be turned round by connect(2) with `AF_UNSPEC`, and then lead into the host's network, if somebody
//! had taken the publisher over: where Landlock knows of TCP it allows the ports inside and no other.

mod link;
mod relay;

pub use relay::Relay;

use crate::error::{Error, Problem, describe_io};
use crate::outcome::Published;
use crate::spec::Publish;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, getsockname, listen, setsockopt, socket, sockopt,
};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// A socket that listens, and what it leads to.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub socket: OwnedFd,
    /// What is told of it.
    pub published: Published,
}

/// Opens all of these ports. A connection waits until somebody takes it.
///
/// # Errors
///
/// `Invalid` with everyone that cannot be had, by the field `field`.
pub fn open(field: &str, wanted: &[Publish]) -> Result<Vec<Listener>, Error> {
    let (mut listeners, mut problems) = (Vec::new(), Vec::new());
    for one in wanted {
        match listen_at(one.place()) {
            Ok((socket, place)) => {
                let published = Published { address: place.ip(), port: place.port(), to: one.inside, lost: None };
                listeners.push(Listener { socket, published });
            }
            Err(errno) => problems.push(refused(field, one.place(), errno)),
        }
    }
    if problems.is_empty() { Ok(listeners) } else { Err(Error::invalid(problems)) }
}

/// A socket that listens there, and where that is.
fn listen_at(place: SocketAddr) -> nix::Result<(OwnedFd, SocketAddr)> {
    let family = if place.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    // Connections of a sandbox that has ended may still be on their way out.
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    // Accepted sockets have these too. Whoever has gone without a word is found after hours, who is only silent never.
    setsockopt(&socket, sockopt::KeepAlive, &true)?;
    setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
    if place.is_ipv6() {
        // What is written is what is opened: `[::]` is not 0.0.0.0 too.
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(place))?;
    listen(&socket, Backlog::MAXCONN)?;
    let bound: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    let port = bound.as_sockaddr_in().map(|at| at.port());
    let port = port.or_else(|| bound.as_sockaddr_in6().map(|at| at.port()));
    Ok((socket, SocketAddr::new(place.ip(), port.unwrap_or(place.port()))))
}

fn refused(field: &str, place: SocketAddr, errno: Errno) -> Problem {
    let flag = format!("--{field}");
    match errno {
        Errno::EADDRINUSE => Problem::new(field, format!("{place} is in use"))
            .hint(format!("give `{flag}` another port of the host, or 0 for any that is free")),
        Errno::EACCES => Problem::new(field, format!("{place} is a privileged port"))
            .hint(format!("give `{flag}` a port of the host from 1024 on; {PRIVILEGED}")),
        Errno::EADDRNOTAVAIL => {
            Problem::new(field, format!("no interface of this machine has the address {}", place.ip()))
                .hint(format!("give `{flag}` 127.0.0.1, or an address that `ip address` shows"))
        }
        Errno::EAFNOSUPPORT => Problem::new(field, format!("this machine has no IPv6 for {place}"))
            .hint(format!("give `{flag}` an IPv4 address")),
        errno => Problem::new(field, format!("open {place}: {}", describe_io(&errno.into()))),
    }
}

/// What an administrator can do about it.
const PRIVILEGED: &str =
    "which ports are privileged the administrator sets (`sysctl net.ipv4.ip_unprivileged_port_start`)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::parse_publish;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    #[test]
    fn a_port_that_is_free_is_told() {
        let opened = open("publish", &[parse_publish("0:80").unwrap()]).unwrap();
        let published = &opened[0].published;
        assert_eq!((published.address, published.to), (Ipv4Addr::LOCALHOST.into(), 80));
        // It waits to be taken.
        TcpStream::connect(published.place()).unwrap();
    }

    #[test]
    fn all_ports_that_cannot_be_had_are_told_with_their_cures() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let wanted = [format!("{port}:80"), "192.0.2.77:0:80".to_owned(), "0:80".to_owned()];
        let error = open("publish", &wanted.map(|word| parse_publish(&word).unwrap())).unwrap_err();
        let said: Vec<_> =
            error.problems.iter().map(|problem| (problem.field.as_str(), problem.message.clone())).collect();
        assert_eq!(
            said,
            [
                ("publish", format!("127.0.0.1:{port} is in use")),
                ("publish", "no interface of this machine has the address 192.0.2.77".to_owned()),
            ]
        );
        assert!(error.problems.iter().all(|problem| problem.hint.is_some()));
    }
}
