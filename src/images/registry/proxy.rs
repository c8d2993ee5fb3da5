//! Who is asked through a proxy, and who directly: `NO_PROXY` as other tools read it.
//!
//! A comma between entries; each a host (with all below it), an address, a network (`10.0.0.0/8`) or `*`, a port behind
//! it or not. Loopback is always asked directly.

use super::url::{self, Uri};
use std::net::IpAddr;

/// Whether `url` is asked directly.
pub fn is_direct(no_proxy: &str, url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    url::is_loopback(url) || no_proxy.split([',', ' ']).any(|entry| covers(entry.trim(), host, url::port(url)))
}

fn covers(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let (name, wanted) = divide(entry);
    if wanted.is_some_and(|wanted| wanted != port) {
        return false;
    }
    let name = name.trim_start_matches('*').trim_start_matches('.');
    match host.parse::<IpAddr>() {
        Ok(address) => network(name).is_some_and(|(network, bits)| is_in(address, network, bits)),
        Err(_) => {
            let (name, host) = (name.to_ascii_lowercase(), host.to_ascii_lowercase());
            let below = || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'));
            !name.is_empty() && (host == name || below())
        }
    }
}

/// A name and its port. What has several colons and no brackets is an address.
fn divide(entry: &str) -> (&str, Option<u16>) {
    let bare = |name: &str| name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::len);
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || bare(name).is_some() => {
            (name.trim_matches(['[', ']']), port.parse().ok().or(Some(0)))
        }
        _ => (entry.trim_matches(['[', ']']), None),
    }
}

fn network(word: &str) -> Option<(IpAddr, u32)> {
    match word.split_once('/') {
        Some((address, bits)) => Some((address.parse().ok()?, bits.parse().ok()?)),
        None => Some((word.parse().ok()?, 128)),
    }
}

fn is_in(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let rest = 32 - bits.min(32);
            (address.to_bits() ^ network.to_bits()).checked_shr(rest).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let rest = 128 - bits.min(128);
            (address.to_bits() ^ network.to_bits()).checked_shr(rest).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_names_hosts_addresses_and_networks() {
        for (no_proxy, direct, through) in [
            ("", "http://localhost:5000/", "https://a.io/"),
            ("a.io", "https://a.io/", "https://ba.io/"),
            ("a.io", "https://b.A.io:8443/", "https://a.io.b/"),
            (".a.io", "https://b.a.io/", "https://b.io/"),
            ("*.a.io", "https://b.a.io/", "https://b.io/"),
            ("x.org, a.io:8443", "https://a.io:8443/", "https://a.io/"),
            ("a.io:x", "http://127.0.0.1/", "https://a.io/"),
            ("*", "https://a.io/", ""),
            ("10.1.2.3", "https://10.1.2.3/", "https://10.1.2.4/"),
            ("10.0.0.0/8", "https://10.1.2.3:5000/", "https://11.1.2.3/"),
            ("fd00::/8", "https://[fd00::1]/", "https://[fe00::1]/"),
            ("fd00::1", "https://[fd00::1]/", "https://[fd00::2]/"),
            ("[fd00::1]:8443", "https://[fd00::1]:8443/", "https://[fd00::1]/"),
            ("0.0.0.0/0", "https://9.9.9.9/", "https://[fd00::1]/"),
        ] {
            let is_direct = |word: &str| is_direct(no_proxy, &word.parse().unwrap());
            assert!(is_direct(direct), "{no_proxy}: {direct}");
            assert!(through.is_empty() || !is_direct(through), "{no_proxy}: {through}");
        }
    }
}
