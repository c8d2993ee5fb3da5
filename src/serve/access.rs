//! Who may ask: whoever knows the token, by a name of ours, and from no foreign page.
//!
//! Every request but `/health` needs the token, compared in constant time; routes with an authority of their own (a signature, a
//! token of a preview) are looked at where they are answered. A `Host` that is not ours is refused, so that no name of somebody
//! else's that leads to the loopback (DNS rebinding) makes a browser ask for him; so is an `Origin` of any other page.

use super::failure::Failure;
use crate::error::Error;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use subtle::ConstantTimeEq as _;

/// Bytes of chance in a token.
const CHANCE: usize = 24;
/// The longest file that can be a token.
const LONGEST: u64 = 4096;

/// What is asked of whoever asks.
pub struct Access {
    token: String,
    /// The key of the page of this server, which opens all that the token does.
    key: Option<String>,
    /// Names of this server in `Host`, in lower case, without a port.
    names: Vec<String>,
}

impl Access {
    /// For a server at `listen`, that clients may call by `names` too.
    pub fn new(token: String, listen: Option<SocketAddr>, names: &[String]) -> Access {
        let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        // At every address it has names that nobody can list; those that are named count.
        all.extend(listen.filter(|place| !place.ip().is_unspecified()).map(|place| match place.ip() {
            std::net::IpAddr::V4(address) => address.to_string(),
            std::net::IpAddr::V6(address) => format!("[{address}]"),
        }));
        all.extend(names.iter().map(|name| name.to_ascii_lowercase()));
        Access { token, key: None, names: all }
    }

    /// With a key for its page.
    pub fn and(self, key: Option<String>) -> Access {
        Access { key, ..self }
    }

    /// The token, for whoever starts the server.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether these words are the token, or the page's key.
    pub fn is_token(&self, words: &str) -> bool {
        let is = |known: &str| bool::from(words.as_bytes().ct_eq(known.as_bytes()));
        is(&self.token) | self.key.as_deref().is_some_and(is)
    }

    /// Whether the request is for us, and from no foreign page.
    ///
    /// # Errors
    ///
    /// It is not; 403, 400 without a `Host`.
    pub fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
        let host = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => text(headers, header::HOST).ok_or_else(|| Failure::bad("the request has no `Host`"))?,
        };
        if !self.is_ours(host) {
            let why =
                format!("`{}` is no name of this server; start it with `--name` to allow it", host.escape_debug());
            return Err(Failure::new(StatusCode::FORBIDDEN, why));
        }
        match headers.get(header::ORIGIN) {
            None => Ok(()),
            Some(origin) => {
                let page = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
                if page.is_some_and(|page| page.eq_ignore_ascii_case(host)) {
                    return Ok(());
                }
                Err(Failure::new(StatusCode::FORBIDDEN, "pages of other sites may not ask"))
            }
        }
    }

    /// Whether a `Host` is one of our names, with any port, or one below them, as previews have.
    pub fn is_ours(&self, host: &str) -> bool {
        let name = name_of(host).to_ascii_lowercase();
        self.names
            .iter()
            .any(|ours| name == *ours || name.strip_suffix(ours.as_str()).is_some_and(|rest| rest.ends_with('.')))
    }

    /// Whether the token is in one of the places where clients put it.
    pub fn knows(&self, headers: &HeaderMap) -> bool {
        let bearer = text(headers, header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let key = headers.get("x-api-key").or_else(|| headers.get("x-access-token"));
        let words = bearer.or_else(|| key.and_then(|key| key.to_str().ok())).or_else(|| super::ui::offered(headers));
        words.is_some_and(|words| self.is_token(words))
    }
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rfind(':') {
        Some(at) if !host.ends_with(']') => &host[..at],
        _ => host,
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// New words that nobody can guess.
///
/// # Errors
///
/// The kernel gives no chance.
pub fn unguessable() -> Result<String, Error> {
    let mut bytes = [0; CHANCE];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(crate::error::Kind::Failed, format!("get random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The token in a file, and whether it was made just now. A file that is not there is made, for its owner alone.
///
/// # Errors
///
/// It cannot be read or made, is empty, or others can read it.
pub fn token_in(path: &Path) -> Result<(String, bool), Error> {
    let failed = |what: &str, error: &std::io::Error| Error::attempt(format!("{what} {}", path.display()), error);
    // A pipe would have us wait for somebody.
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return make_token(path).map(|token| (token, true)),
        Err(error) => return Err(failed("open", &error)),
    };
    let meta = file.metadata().map_err(|error| failed("look at", &error))?;
    let refused = |why: &str, hint: String| {
        Error::new(crate::error::Kind::Invalid, format!("token-file: {}: {why}", path.display())).hint(hint)
    };
    if !meta.is_file() {
        return Err(refused(
            "it is no regular file",
            "give another, or none: then it lies in belljar's own directory".to_owned(),
        ));
    }
    if meta.uid() != nix::unistd::geteuid().as_raw() {
        return Err(refused(
            "it belongs to somebody else",
            "give a file of your own; one that is not there is made".to_owned(),
        ));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(refused("others can read or change it", format!("chmod 600 {}", path.display())));
    }
    let mut token = String::new();
    file.take(LONGEST).read_to_string(&mut token).map_err(|error| failed("read", &error))?;
    let token = token.trim();
    if token.len() < 16 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused(
            "it has no token of at least 16 printable characters",
            "remove it, and one is made".to_owned(),
        ));
    }
    Ok((token.to_owned(), false))
}

fn make_token(path: &Path) -> Result<String, Error> {
    let token = unguessable()?;
    let failed = |error: &std::io::Error| Error::attempt(format!("write {}", path.display()), error);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| failed(&error))?;
    }
    // Whole or not at all: another server may start at this moment.
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
        writeln!(file, "{token}")?;
        file.sync_all()
    });
    let placed = written.and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match placed {
        Ok(()) => Ok(token),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => token_in(path).map(|(token, _)| token),
        Err(error) => Err(failed(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &str, origin: Option<&str>) -> bool {
        let access = Access::new("t".repeat(20), "127.0.0.1:3000".parse().ok(), &["box.example".to_owned()]);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        access.admit(&Uri::from_static("/sandbox"), &headers).is_ok()
    }

    #[test]
    fn only_our_own_names_are_answered_and_no_foreign_page() {
        for host in
            ["127.0.0.1:3000", "localhost", "LOCALHOST:1", "[::1]:3000", "3000-abc.localhost:3000", "box.example"]
        {
            assert!(asked(host, None), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "evillocalhost", "127.0.0.1.evil.example", "[::2]:3000"]
        {
            assert!(!asked(host, None), "{host}");
        }
        assert!(asked("localhost:3000", Some("http://localhost:3000")));
        for origin in ["http://localhost:3001", "https://evil.example", "null", "http://localhost"] {
            assert!(!asked("localhost:3000", Some(origin)), "{origin}");
        }
    }

    #[test]
    fn the_token_is_taken_from_where_clients_put_it() {
        let access = Access::new("0123456789abcdef".to_owned(), None, &[]);
        let knows = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            access.knows(&headers)
        };
        assert!(knows("authorization", "Bearer 0123456789abcdef"));
        assert!(knows("x-api-key", "0123456789abcdef") && knows("x-access-token", "0123456789abcdef"));
        assert!(!knows("authorization", "0123456789abcdef") && !knows("authorization", "Basic 0123456789abcdef"));
        assert!(!knows("authorization", "Bearer 0123456789abcde") && !knows("x-api-key", ""));
    }
}
