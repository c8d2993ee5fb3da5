//! The machine's own files about names: /etc/resolv.conf (resolv.conf(5)) and /etc/hosts (hosts(5)).
//!
//! Opened by path each time, read at most every two seconds, and only when they have changed.

use crate::spec::network::canonical;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a file is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// Bytes of a file that are read.
const MOST_BYTES: u64 = 4 << 20;
/// Servers that are asked, as in glibc (`MAXNS`).
const MOST_SERVERS: usize = 3;
/// How long a server has to answer, at most: a client inside does not wait longer for us than it would for a server.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whom to ask, and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// In order.
    pub addresses: Vec<IpAddr>,
    /// How long each has to answer.
    pub timeout: Duration,
    /// How often each is asked.
    pub attempts: u32,
}

impl Default for Servers {
    fn default() -> Self {
        Servers { addresses: Vec::new(), timeout: PATIENCE, attempts: 2 }
    }
}

impl Servers {
    /// Reads the text of a resolv.conf. Addresses with an interface (`fe80::1%eth0`) are passed over.
    pub fn parse(text: &str) -> Servers {
        let mut servers = Servers::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address: Option<IpAddr> = words.next().and_then(|word| word.parse().ok());
                    let room = servers.addresses.len() < MOST_SERVERS;
                    servers.addresses.extend(address.filter(|_| room));
                }
                Some("options") => words.for_each(|word| servers.option(word)),
                _ => {}
            }
        }
        servers
    }

    fn option(&mut self, word: &str) {
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
        if let Some(seconds) = word.strip_prefix("timeout:").and_then(number) {
            self.timeout = Duration::from_secs(seconds.into()).min(PATIENCE);
        }
        if let Some(attempts) = word.strip_prefix("attempts:").and_then(number) {
            self.attempts = attempts.min(5);
        }
    }
}

/// Addresses by canonical name.
pub type Hosts = HashMap<String, Vec<IpAddr>>;

/// Reads the text of a hosts file.
pub fn parse_hosts(text: &str) -> Hosts {
    let mut hosts = Hosts::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
        for name in words.filter_map(|word| canonical(word).ok()) {
            let addresses = hosts.entry(name).or_default();
            if addresses.len() < 16 && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    hosts
}

/// A file that is read again when it has changed.
#[derive(Debug)]
pub struct Watched<T> {
    path: PathBuf,
    parse: fn(&str) -> T,
    looked: Option<Instant>,
    seen: Option<(u64, i64, i64, u64)>,
    value: T,
}

impl<T: Default> Watched<T> {
    /// Of this file, which is not read yet.
    pub fn new(path: PathBuf, parse: fn(&str) -> T) -> Watched<T> {
        Watched { path, parse, looked: None, seen: None, value: T::default() }
    }

    /// What it says now. Where it cannot be read it says nothing.
    pub fn get(&mut self, now: Instant) -> &T {
        if self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= EVERY) {
            self.looked = Some(now);
            let seen = std::fs::metadata(&self.path).ok();
            let seen = seen.map(|seen| (seen.ino(), seen.mtime(), seen.mtime_nsec(), seen.len()));
            if seen.is_none() || seen != self.seen {
                self.seen = seen;
                self.value = read(&self.path).map_or_else(|_| T::default(), |text| (self.parse)(&text));
            }
        }
        &self.value
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolv_conf_names_servers_and_options_and_the_rest_is_passed_over() {
        let text = "# a\nnameserver 127.0.0.53\nsearch example\n  nameserver ::1 # b\noptions edns0 timeout:1 attempts:3 rotate\nnameserver fe80::1%eth0\nnameserver\nnameserver 1.1.1.1\nnameserver 8.8.8.8\n";
        let servers = Servers::parse(text);
        assert_eq!(servers.addresses, ["127.0.0.53", "::1", "1.1.1.1"].map(|text| text.parse::<IpAddr>().unwrap()));
        assert_eq!((servers.timeout, servers.attempts), (Duration::from_secs(1), 3));
        let odd = Servers::parse(
            "options timeout:0 attempts:99999999999 timeout:x attempts:50 timeout:30\nnameserver 1.2.3\n\0",
        );
        assert_eq!(odd, Servers { attempts: 5, ..Servers::default() });
    }

    #[test]
    fn a_hosts_file_gives_each_name_its_addresses() {
        let hosts = parse_hosts(
            "127.0.0.1 localhost\n10.0.0.5\tDB.Example db # x\n::1 localhost\nx y\n10.0.0.6 db a@b\n10.0.0.6 db",
        );
        let of =
            |name: &str| hosts.get(name).map(|found| found.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "));
        assert_eq!(of("localhost").as_deref(), Some("127.0.0.1 ::1"));
        assert_eq!((of("db.example").as_deref(), of("db").as_deref()), (Some("10.0.0.5"), Some("10.0.0.5 10.0.0.6")));
        assert_eq!(hosts.len(), 3);
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed_and_not_before_two_seconds() {
        let path = std::env::temp_dir().join(format!("belljar-watched-{}", std::process::id()));
        let now = Instant::now();
        let mut watched: Watched<Servers> = Watched::new(path.clone(), Servers::parse);
        assert!(watched.get(now).addresses.is_empty());
        std::fs::write(&path, "nameserver 1.1.1.1").unwrap();
        assert!(watched.get(now + Duration::from_secs(1)).addresses.is_empty());
        assert_eq!(watched.get(now + Duration::from_secs(2)).addresses.len(), 1);
        std::fs::remove_file(&path).unwrap();
        assert!(watched.get(now + Duration::from_secs(4)).addresses.is_empty());
    }
}
