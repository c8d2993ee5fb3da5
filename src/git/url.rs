//! Addresses of repositories, without the secrets that people write into them.

use crate::error::Problem;
use crate::spec::network::HOST_NAME;
use std::fmt;

/// Who one is on another machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub username: String,
    /// The password, or what stands for one.
    pub password: String,
}

/// The password is nobody's business.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// As git is given it: without a password, and without a user where the protocol asks for one.
    pub url: String,
    /// `https`, `http`, `ssh`, `git`, `file`; of a path `file` too.
    pub protocol: String,
    /// The machine, small letters; empty for files.
    pub host: String,
    /// The port, given or the protocol's own; 0 for files.
    pub port: u16,
    /// The user that stood in it.
    pub user: Option<String>,
    /// The password that stood in it.
    pub password: Option<String>,
}

impl Address {
    /// Whether git asks for a user and a password there.
    pub fn takes_password(&self) -> bool {
        matches!(self.protocol.as_str(), "https" | "http")
    }

    /// As `--allow` has it; `None` where no machine is reached.
    pub fn target(&self) -> Option<String> {
        if self.host == HOST_NAME {
            return Some(format!("host:{}", self.port));
        }
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        (!self.host.is_empty()).then(|| format!("{host}:{}", self.port))
    }

    /// Whether a question of git's for `protocol` and `host` (with a port, where one was given) is about this machine.
    pub fn is_asked(&self, protocol: &str, host: &str) -> bool {
        let (name, port) = split_port(host);
        let port = port.or_else(|| own_port(protocol));
        self.takes_password()
            && protocol == self.protocol
            && name.eq_ignore_ascii_case(&self.host)
            && port == Some(self.port)
    }
}

/// The protocols that are spoken; a transport of another name is a program of that name.
const PROTOCOLS: [&str; 6] = ["https", "http", "ssh", "git+ssh", "git", "file"];

fn own_port(protocol: &str) -> Option<u16> {
    match protocol {
        "https" => Some(443),
        "http" => Some(80),
        "ssh" | "git+ssh" => Some(22),
        "git" => Some(9418),
        _ => None,
    }
}

/// A host and its port; of an IPv6 address without its brackets.
fn split_port(authority: &str) -> (&str, Option<u16>) {
    if let Some(rest) = authority.strip_prefix('[')
        && let Some((host, port)) = rest.split_once(']')
    {
        return (host, port.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match authority.rsplit_once(':') {
        Some((host, "")) => (host, None),
        // What is no port makes another name of it, which nobody has.
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, port.parse().ok()),
        _ => (authority, None),
    }
}

/// `%40` as `@`.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads the address that `field` gives.
///
/// # Errors
///
/// What no repository has for an address, or what would make git start something else.
pub fn address(field: &str, url: &str) -> Result<Address, Problem> {
    let wrong = |why: &str, hint: &str| Err(Problem::new(field, why).hint(hint));
    let shape = "write `https://HOST/PATH`, `ssh://USER@HOST/PATH`, `USER@HOST:PATH` or a path inside";
    if url.is_empty() {
        return wrong("is empty", shape);
    }
    if url.starts_with('-') || url.chars().any(char::is_control) {
        return wrong("is no address: it begins with a dash, or has control characters in it", shape);
    }
    if let Some((protocol, rest)) = url.split_once("://") {
        let protocol = protocol.to_ascii_lowercase();
        if !PROTOCOLS.contains(&protocol.as_str()) {
            let known = "belljar speaks https, http, ssh, git and file";
            return wrong(&format!("`{}` is no protocol that git is asked to speak", protocol.escape_debug()), known);
        }
        return of_protocol(protocol, rest).map_err(|why| Problem::new(field, why).hint(shape));
    }
    let before_slash = url.split('/').next().unwrap_or_default();
    if before_slash.contains("::") && !before_slash.contains('[') {
        return wrong("names a program as its transport, which belljar does not let git start", shape);
    }
    // `USER@HOST:PATH`, as scp has it; a slash before the colon makes it a path.
    if let Some((place, path)) = before_slash.split_once(':').filter(|(place, _)| !place.is_empty()) {
        let _ = path;
        let (user, host) = place.rsplit_once('@').map_or((None, place), |(user, host)| (Some(user), host));
        if host.is_empty() || host.starts_with('-') || user.is_some_and(|user| user.starts_with('-')) {
            return wrong("has no host, or one that begins with a dash", shape);
        }
        return Ok(Address {
            url: url.to_owned(),
            protocol: "ssh".to_owned(),
            host: host.to_ascii_lowercase(),
            port: 22,
            user: user.map(str::to_owned),
            password: None,
        });
    }
    Ok(Address {
        url: url.to_owned(),
        protocol: "file".to_owned(),
        host: String::new(),
        port: 0,
        user: None,
        password: None,
    })
}

fn of_protocol(protocol: String, rest: &str) -> Result<Address, &'static str> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (userinfo, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
    let (host, port) = split_port(place);
    let (user, password) = match userinfo.map(|text| text.split_once(':').map_or((text, None), |(a, b)| (a, Some(b)))) {
        Some((user, password)) => (Some(decoded(user)).filter(|user| !user.is_empty()), password.map(decoded)),
        None => (None, None),
    };
    let odd = |text: &str| text.starts_with('-') || text.chars().any(char::is_control);
    if protocol != "file" && (host.is_empty() || odd(host)) {
        return Err("has no host, or one that begins with a dash");
    }
    if [&user, &password].into_iter().flatten().any(|text| odd(text)) {
        return Err("has a user that begins with a dash, or control characters in it");
    }
    // The user of ssh is part of where one goes; elsewhere it is asked for.
    let kept = match &user {
        Some(_) if protocol.ends_with("ssh") => {
            format!("{}@", userinfo.and_then(|text| text.split(':').next()).unwrap_or_default())
        }
        _ => String::new(),
    };
    Ok(Address {
        url: format!("{protocol}://{kept}{place}{path}"),
        host: host.to_ascii_lowercase(),
        port: port.or_else(|| own_port(&protocol)).unwrap_or(0),
        protocol,
        user,
        password,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> (String, String, String, u16) {
        let address = address("url", url).unwrap_or_else(|problem| panic!("{url}: {problem}"));
        (address.url, address.protocol, address.host, address.port)
    }

    fn of(url: &str, protocol: &str, host: &str, port: u16) -> (String, String, String, u16) {
        (url.to_owned(), protocol.to_owned(), host.to_owned(), port)
    }

    #[test]
    fn an_address_is_read_and_loses_its_secrets() {
        assert_eq!(read("https://u:p@Example.org/a"), of("https://Example.org/a", "https", "example.org", 443));
        assert_eq!(read("HTTP://u@h:81/a?x@y"), of("http://h:81/a?x@y", "http", "h", 81));
        assert_eq!(read("https://a@b:c@h/"), of("https://h/", "https", "h", 443));
        assert_eq!(read("ssh://git:pw@h:2222/a"), of("ssh://git@h:2222/a", "ssh", "h", 2222));
        assert_eq!(read("git@h:a/b"), of("git@h:a/b", "ssh", "h", 22));
        assert_eq!(read("git://[::1]:99/a"), of("git://[::1]:99/a", "git", "::1", 99));
        assert_eq!(read("file:///a/b"), of("file:///a/b", "file", "", 0));
        assert_eq!(read("/a/b:c"), of("/a/b:c", "file", "", 0));
        assert_eq!(read("./a:b"), of("./a:b", "file", "", 0));
        let secret = address("url", "https://us%40er:p%3Aw@h/").unwrap();
        assert_eq!((secret.user.as_deref(), secret.password.as_deref()), (Some("us@er"), Some("p:w")));
    }

    #[test]
    fn what_would_be_an_option_or_a_program_is_refused() {
        for url in [
            "",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c touch% /tmp/x",
            "fd::7",
            "ssh://-oProxyCommand=x/a",
            "ssh://-oProxyCommand=x@h/a",
            "-oProxyCommand=x:a",
            "a@-oProxyCommand=x:a",
            "https://h/a\nhost=other",
            "https://u%0ahost=x:p@h/a",
            "odd://h/a",
            "https:///a",
        ] {
            assert!(address("url", url).is_err(), "{url:?}");
        }
    }

    #[test]
    fn a_question_is_answered_for_the_machine_itself_alone() {
        let address = address("url", "https://h.example:8443/a").unwrap();
        assert!(address.is_asked("https", "H.example:8443"));
        for (protocol, host) in [
            ("http", "h.example:8443"),
            ("https", "h.example"),
            ("https", "h.example:84430"),
            ("https", "x.h.example:8443"),
            ("https", "h.example:8443x"),
        ] {
            assert!(!address.is_asked(protocol, host), "{protocol} {host}");
        }
        assert_eq!(address.target().as_deref(), Some("h.example:8443"));
        let plain = super::address("url", "http://h/").unwrap();
        assert!(plain.is_asked("http", "h") && plain.is_asked("http", "h:80") && !plain.is_asked("https", "h"));
    }

    #[test]
    fn a_password_is_not_shown_where_things_are_shown() {
        let credentials = Credentials { username: "u".to_owned(), password: "secret".to_owned() };
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
