//! What listens in a sandbox: the kernel's tables of its network, and who has the sockets open.
//!
//! Read from outside, through the sandbox's procfs, which its supervisor hands over: inside, Landlock lets no command see what others
//! have open. Everything in there is the kernel's, but for the name that a process gives itself.

use super::Sandboxes;
use super::call::{Call, Line};
use crate::error::Error;
use crate::name::Name;
use crate::outcome::Published;
use crate::spec::network::Protocol;
use crate::sys::proc;
use nix::fcntl::readlinkat;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;

/// A port on which something listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ListeningPort"))]
pub struct Port {
    /// The protocol.
    pub protocol: Protocol,
    /// The address inside: `0.0.0.0` and `::` are all of them.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The process that has it, as numbered inside; null where that cannot be seen.
    pub pid: Option<u32>,
    /// What that process calls itself.
    pub program: Option<Name>,
    /// Where on the host it is published, as `127.0.0.1:8080`. A preview, which is its caller's, is not among them.
    pub published: Vec<String>,
}

/// Ports of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ListeningPorts"))]
pub struct Ports {
    /// On which something listens, by protocol and port.
    pub ports: Vec<Port>,
    /// What is published, whether something listens there or not.
    pub published: Vec<Published>,
}

/// The states of what listens, as the tables have them: `TCP_LISTEN`, and a socket of UDP that is not connected (`TCP_CLOSE`).
const TCP_LISTENS: &str = "0A";
const UDP_LISTENS: &str = "07";

/// The tables of the protocols that have ports, and the state in them of what listens.
const TABLES: [(Protocol, &str, [&str; 2]); 2] =
    [(Protocol::Tcp, TCP_LISTENS, ["net/tcp", "net/tcp6"]), (Protocol::Udp, UDP_LISTENS, ["net/udp", "net/udp6"])];

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Socket {
    protocol: Protocol,
    port: u16,
    address: IpAddr,
    inode: u64,
}

impl Socket {
    /// Whether a published port, which leads to the sandbox's loopback, leads here.
    fn is_reached_by(&self, published: &Published) -> bool {
        let is_there = self.address.is_unspecified() || self.address.is_loopback();
        self.protocol == Protocol::Tcp && self.port == published.to && is_there && published.lost.is_none()
    }
}

/// All that listen, and what is published.
///
/// # Errors
///
/// `NotRunning`, and what keeps its tables from being read.
pub fn ports(sandboxes: &Sandboxes, word: &str) -> Result<Ports, Error> {
    let entry = sandboxes.find(word)?;
    let (_, places) = Line::to(&entry)?.ask(&entry, &Call::Processes)?;
    let proc = places.first().ok_or_else(|| entry.ended())?.as_fd();
    let mut sockets = Vec::new();
    for (protocol, state, tables) in TABLES {
        for table in tables {
            match read(proc, 1, table) {
                Ok(text) => {
                    let text = String::from_utf8_lossy(&text);
                    sockets.extend(text.lines().skip(1).filter_map(|line| socket(protocol, state, line)));
                }
                // A kernel without IPv6.
                Err(error) if error.kind() == ErrorKind::NotFound && table.ends_with('6') => {}
                // With pid 1 it is gone.
                Err(_) if !entry.lives() => return Err(entry.ended()),
                Err(error) => return Err(Error::attempt(format!("read the sandbox's `/proc/{table}`"), &error)),
            }
        }
    }
    sockets.sort();
    let owners = if sockets.is_empty() { BTreeMap::new() } else { owners(proc) };
    let published = entry.run().published;
    let port = |socket: Socket| {
        let pid = owners.get(&socket.inode).copied();
        let places = published.iter().filter(|one| socket.is_reached_by(one)).map(|one| one.place().to_string());
        let Socket { protocol, port, address, .. } = socket;
        let (program, published) = (pid.and_then(|pid| program(proc, pid)), places.collect());
        Port { protocol, address, port, pid, program, published }
    };
    Ok(Ports { ports: sockets.into_iter().map(port).collect(), published })
}

fn read(proc: BorrowedFd<'_>, pid: u32, name: &str) -> std::io::Result<Vec<u8>> {
    let file = proc::open_process_entry(proc, pid, name).map_err(std::io::Error::from_raw_os_error)?;
    let mut bytes = Vec::new();
    File::from(file).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …`
fn socket(protocol: Protocol, wanted: &str, line: &str) -> Option<Socket> {
    let mut words = line.split_whitespace();
    let (local, state) = (words.nth(1)?, words.nth(1)?);
    let inode = words.nth(5)?.parse().ok()?;
    let (address, port) = local.split_once(':')?;
    let listens = state == wanted;
    listens.then_some(())?;
    Some(Socket { protocol, address: self::address(address)?, port: u16::from_str_radix(port, 16).ok()?, inode })
}

/// Words of 32 bits in the order of the machine's bytes, as hexadecimal digits.
fn address(digits: &str) -> Option<IpAddr> {
    let word = |index: usize| u32::from_str_radix(digits.get(index * 8..index * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match digits.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (index, place) in bytes.chunks_exact_mut(4).enumerate() {
                place.copy_from_slice(&word(index)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

/// Who has which socket open. Of several, who share it, the one with the lowest number, which has most often made it.
fn owners(proc: BorrowedFd<'_>) -> BTreeMap<u64, u32> {
    let numbers = |directory: BorrowedFd<'_>| {
        let (mut numbers, mut buffer) = (Vec::new(), vec![0; 32 << 10]);
        // Who ends meanwhile has nothing open any more.
        let _ = proc::for_each_number(directory, &mut buffer, |number| numbers.push(number));
        numbers.sort_unstable();
        numbers
    };
    let mut owners = BTreeMap::new();
    for pid in numbers(proc) {
        let Ok(directory) = proc::open_process_entry(proc, pid, "fd") else { continue };
        for fd in numbers(directory.as_fd()) {
            let Ok(link) = readlinkat(&directory, fd.to_string().as_str()) else { continue };
            let inode = link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode {
                owners.entry(inode).or_insert(pid);
            }
        }
    }
    owners
}

/// What a process calls itself.
fn program(proc: BorrowedFd<'_>, pid: u32) -> Option<Name> {
    let name = read(proc, pid, "comm").ok()?;
    let name = name.strip_suffix(b"\n").unwrap_or(&name);
    Some(Name::from(std::ffi::OsStr::from_bytes(name).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn lines_of_the_kernels_tables_are_read() {
        let tcp = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 8812 1 0000 100 0 0 10 0";
        let read = socket(Protocol::Tcp, TCP_LISTENS, tcp).unwrap();
        assert_eq!((read.address, read.port, read.inode), (Ipv4Addr::LOCALHOST.into(), 8080, 8812));
        let six = "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 9 1 0";
        let read = socket(Protocol::Tcp, TCP_LISTENS, six).unwrap();
        assert_eq!((read.address, read.port, read.inode), (Ipv6Addr::LOCALHOST.into(), 80, 9));
        let connected = tcp.replace(" 0A ", " 01 ");
        for line in [connected.as_str(), "", "a b c d e f g h i j", "0: 01:50 0 0A 0 0 0 0 0 9"] {
            assert_eq!(socket(Protocol::Tcp, TCP_LISTENS, line), None, "{line}");
        }
        assert_eq!(socket(Protocol::Udp, UDP_LISTENS, tcp), None);
        assert_eq!(socket(Protocol::Udp, UDP_LISTENS, &tcp.replace(" 0A ", " 07 ")).unwrap().port, 8080);
    }
}
