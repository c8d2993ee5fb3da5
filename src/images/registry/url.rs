//! Addresses of registries, and which may be asked for: HTTPS everywhere, plain HTTP only on this machine's own
//! loopback addresses.
//!
//! There is no switch for it. Whoever is on the way could otherwise read tokens, and see what is pulled.

use super::super::reference::DOCKER_HUB;
use std::net::IpAddr;
pub use ureq::http::Uri;

/// Where Docker Hub's registry really is.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// Scheme, host and port: what credentials are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

/// The address of the registry that images call `HOST[:PORT]`.
///
/// # Errors
///
/// What is wrong with it, for people.
pub fn registry(name: &str) -> Result<Uri, String> {
    let host = if name == DOCKER_HUB { DOCKER_HUB_HOST } else { name };
    let parse = |scheme: &str| format!("{scheme}://{host}/").parse::<Uri>();
    let plain = parse("http").ok().filter(is_loopback);
    plain.map_or_else(|| parse("https").map_err(|error| format!("`{}`: {error}", name.escape_debug())), Ok)
}

/// The address that `word` is on this origin: `word` begins with `/`.
pub fn on(base: &Uri, word: &str) -> Result<Uri, String> {
    format!("{}://{}{word}", base.scheme_str().unwrap_or_default(), authority(base))
        .parse()
        .map_err(|error| format!("`{}`: {error}", word.escape_debug()))
}

/// Where `location`, which came from `from`, leads.
///
/// # Errors
///
/// Why we do not go there.
pub fn follow(from: &Uri, location: &str) -> Result<Uri, String> {
    let scheme = from.scheme_str().unwrap_or_default();
    let whole = match location {
        whole if has_scheme(whole) => whole.to_owned(),
        rest if rest.starts_with("//") => format!("{scheme}:{rest}"),
        path if path.starts_with('/') => format!("{scheme}://{}{path}", authority(from)),
        relative => {
            let directory = from.path().rsplit_once('/').map_or("", |(directory, _)| directory);
            format!("{scheme}://{}{directory}/{relative}", authority(from))
        }
    };
    // What follows a `#` is the browser's.
    let whole = whole.split_once('#').map_or(whole.as_str(), |(whole, _)| whole);
    let to: Uri = whole.parse().map_err(|error| format!("what it names is no address ({error})"))?;
    match to.scheme_str() {
        _ if to.host().is_none_or(str::is_empty) => Err("what it names has no host".to_owned()),
        // Names in front of a host are there to deceive.
        _ if to.authority().is_some_and(|authority| authority.as_str().contains('@')) => {
            Err(format!("`{}` comes with a user name", shown(&to)))
        }
        Some("https") => Ok(to),
        Some("http") if is_plain(from) && is_loopback(&to) => Ok(to),
        Some("http") => Err(format!("`{}` is plain HTTP, which anybody on the way can read", shown(&to))),
        _ => Err(format!("`{}` is neither HTTP nor HTTPS", shown(&to))),
    }
}

fn has_scheme(location: &str) -> bool {
    let letters = |scheme: &str| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    location.split_once("://").is_some_and(|(scheme, _)| letters(scheme))
}

/// Whether it is plain HTTP.
pub fn is_plain(url: &Uri) -> bool {
    url.scheme_str() == Some("http")
}

/// Whether the host is this machine's own: `localhost`, or a loopback address.
pub fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Scheme, host and port.
pub fn origin(url: &Uri) -> Origin {
    Origin {
        scheme: url.scheme_str().unwrap_or_default().to_owned(),
        host: url.host().unwrap_or_default().to_ascii_lowercase(),
        port: port(url),
    }
}

/// The port, which may go without saying.
pub fn port(url: &Uri) -> u16 {
    url.port_u16().unwrap_or(if is_plain(url) { 80 } else { 443 })
}

/// For messages: no query, which is where addresses carry signatures and tokens, and no user.
pub fn shown(url: &Uri) -> String {
    format!("{}://{}{}", url.scheme_str().unwrap_or_default(), authority(url), url.path())
}

/// Host and port as they stand in the address.
pub fn authority(url: &Uri) -> &str {
    let all = url.authority().map_or("", |authority| authority.as_str());
    all.rsplit_once('@').map_or(all, |(_, host)| host)
}

/// As a value in a query or a form.
pub fn encode(word: &str) -> String {
    let mut encoded = String::with_capacity(word.len());
    for byte in word.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(word: &str) -> Uri {
        word.parse().unwrap()
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for (name, address) in [
            ("docker.io", "https://registry-1.docker.io/"),
            ("ghcr.io", "https://ghcr.io/"),
            ("registry.local:5000", "https://registry.local:5000/"),
            ("10.0.0.1:5000", "https://10.0.0.1:5000/"),
            ("localhost.example.org", "https://localhost.example.org/"),
            ("localhost", "http://localhost/"),
            ("LocalHost:5000", "http://LocalHost:5000/"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000/"),
            ("127.8.9.1", "http://127.8.9.1/"),
            ("[::1]:5000", "http://[::1]:5000/"),
            ("[::ffff:127.0.0.1]", "http://[::ffff:127.0.0.1]/"),
            ("[::2]", "https://[::2]/"),
        ] {
            assert_eq!(registry(name).unwrap(), url(address), "{name}");
        }
    }

    #[test]
    fn a_redirect_is_followed_wherever_it_is_no_less_safe() {
        for (from, location, to) in [
            ("https://a.io/v2/x", "https://b.io/y?s=1", "https://b.io/y?s=1"),
            ("https://a.io/v2/x", "//b.io/y", "https://b.io/y"),
            ("https://a.io:8443/v2/x", "/y#z", "https://a.io:8443/y"),
            ("https://a.io/v2/x?q", "y?z=http://c", "https://a.io/v2/y?z=http://c"),
            ("https://a.io", "y", "https://a.io/y"),
            ("http://localhost:1/v2/x", "http://127.0.0.1:2/y", "http://127.0.0.1:2/y"),
            ("http://localhost:1/v2/x", "https://b.io/y", "https://b.io/y"),
        ] {
            assert_eq!(follow(&url(from), location), Ok(url(to)), "{location}");
        }
    }

    #[test]
    fn a_redirect_to_what_is_less_safe_is_refused() {
        for (from, location, why) in [
            ("https://a.io/x", "http://a.io/x", "`http://a.io/x` is plain HTTP, which anybody on the way can read"),
            (
                "https://a.io/x",
                "http://127.0.0.1/x",
                "`http://127.0.0.1/x` is plain HTTP, which anybody on the way can read",
            ),
            (
                "http://localhost/x",
                "http://a.io/x?s=1",
                "`http://a.io/x` is plain HTTP, which anybody on the way can read",
            ),
            ("https://a.io/x", "https://localhost@b.io/x", "`https://b.io/x` comes with a user name"),
            ("https://a.io/x", "file:///etc/passwd", "what it names is no address (invalid format)"),
            ("https://a.io/x", "https://:443/x", "what it names has no host"),
            ("https://a.io/x", "ftp://b.io/x", "`ftp://b.io/x` is neither HTTP nor HTTPS"),
            ("https://a.io/x", "https://", "what it names is no address (empty string)"),
        ] {
            assert_eq!(follow(&url(from), location), Err(why.to_owned()), "{location}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |a: &str, b: &str| origin(&url(a)) == origin(&url(b));
        assert!(same("https://a.io/x", "https://A.io:443/y?z"));
        assert!(!same("https://a.io/x", "https://a.io:444/x"));
        assert!(!same("https://a.io/x", "https://b.a.io/x"));
        assert!(!same("http://localhost:443/x", "https://localhost/x"));
    }

    #[test]
    fn what_is_shown_has_no_secrets() {
        assert_eq!(shown(&url("https://u:p@a.io:1/b/c?token=t")), "https://a.io:1/b/c");
    }

    #[test]
    fn a_value_is_encoded_for_a_query() {
        assert_eq!(encode("repository:a/b:pull ä&="), "repository%3Aa%2Fb%3Apull%20%C3%A4%26%3D");
    }
}
