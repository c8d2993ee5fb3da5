//! What goes wrong on the way to a registry: in words, with the cure, and whether to try again.
//!
//! No message has a query, a header or a name in front of a host in it: tokens and signatures stand there.

use super::url::{self, Uri};
use crate::error::{Blocker, Error, Kind, Problem, describe_io};
use crate::trees::progress::Progress;
use rustls::CertificateError;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use ureq::Timeout;

/// How long to wait for a connection.
pub const CONNECT: Duration = Duration::from_secs(10);
/// How long to wait for the next byte.
pub const STALL: Duration = Duration::from_secs(60);
/// The longest that a registry may ask us to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The first wait; each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How often to look whether waiting is still of use.
pub const PAUSE: Duration = Duration::from_millis(100);
/// Attempts, the first included.
const ATTEMPTS: u32 = 6;
/// Letters of a registry's own words that are shown.
const SHOWN: usize = 300;

/// An attempt that failed.
#[derive(Debug)]
pub struct Failed {
    /// What to say if it was the last.
    pub error: Error,
    /// Whether another is worth it.
    pub again: Again,
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It would end the same.
    Never,
    /// What was in the way may go away.
    Soon,
    /// The registry said when.
    After(Duration),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed { error, again: Again::Never }
    }
}

/// How often something is tried yet.
pub struct Patience<'a> {
    failures: u32,
    progress: &'a dyn Progress,
    stop: &'a AtomicBool,
}

impl<'a> Patience<'a> {
    /// With all attempts to come, unless `stop` is set.
    pub fn new(progress: &'a dyn Progress, stop: &'a AtomicBool) -> Patience<'a> {
        Patience { failures: 0, progress, stop }
    }

    /// Something came: the next failure is the first again.
    pub fn renew(&mut self) {
        self.failures = 0;
    }

    /// Waits until the next attempt.
    ///
    /// # Errors
    ///
    /// The failure's own, where there is none.
    pub fn wait(&mut self, failed: Failed) -> Result<(), Error> {
        self.failures += 1;
        let wait = match failed.again {
            Again::Never => return Err(failed.error),
            _ if self.failures >= ATTEMPTS => return Err(failed.error),
            Again::Soon => FIRST_WAIT * 2u32.pow(self.failures - 1),
            Again::After(wait) => wait,
        };
        let seconds = wait.as_secs_f32();
        self.progress.note(&format!("{}; again in {seconds} s", failed.error));
        let end = Instant::now() + wait;
        while Instant::now() < end {
            if self.stop.load(Ordering::Relaxed) {
                return Err(failed.error);
            }
            std::thread::sleep(PAUSE.min(end.saturating_duration_since(Instant::now())));
        }
        Ok(())
    }

    /// Tries until it works or patience ends.
    ///
    /// # Errors
    ///
    /// Those of the last attempt.
    pub fn persist<T>(progress: &dyn Progress, mut attempt: impl FnMut() -> Result<T, Failed>) -> Result<T, Error> {
        let never = AtomicBool::new(false);
        let mut patience = Patience::new(progress, &never);
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(failed) => patience.wait(failed)?,
            }
        }
    }
}

/// Something that was not to be had from `url`, for the machine's reasons or the network's.
pub fn unreachable(url: &Uri, why: &str, hint: Option<&str>) -> Error {
    Error::from(Blocker { message: format!("fetch `{}`: {why}", url::shown(url)), hint: hint.map(str::to_owned) })
}

/// Something about the image at `url` that is wrong.
pub fn wrong(url: &Uri, why: &str, hint: Option<&str>) -> Error {
    let problem = Problem::new("image", format!("`{}`: {why}", url::shown(url)));
    Error::invalid(vec![Problem { hint: hint.map(str::to_owned), ..problem }])
}

/// How a request goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Road<'a> {
    /// Somebody has answered on it before.
    pub reached: bool,
    /// Host and port of the proxy that it goes through.
    pub proxy: Option<&'a str>,
}

/// A connection that did not come about, or broke.
pub fn broken(url: &Uri, error: &ureq::Error, road: Road<'_>) -> Failed {
    // Where nobody ever answered, waiting only makes the message late.
    let first = if road.reached { Again::Soon } else { Again::Never };
    let through = road.proxy.map_or_else(String::new, |proxy| format!("the proxy `{proxy}`: "));
    let network = match road.proxy {
        Some(_) => "check `HTTPS_PROXY` and `NO_PROXY`",
        None => "check the name; is the network there? behind a proxy set `HTTPS_PROXY`",
    };
    let (why, hint, again) = match error {
        ureq::Error::HostNotFound => {
            let host = road.proxy.unwrap_or(url.host().unwrap_or_default());
            (format!("no address is known for `{host}`"), Some(network), first)
        }
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
            (format!("{through}no connection within {} s", CONNECT.as_secs()), Some(network), first)
        }
        ureq::Error::Timeout(_) => (format!("not a byte for {} s", STALL.as_secs()), None, Again::Soon),
        ureq::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => return untrusted(url, error),
            None if error.kind() == ErrorKind::ConnectionRefused => {
                let hint = road.proxy.map_or("nothing listens there: check host and port", |_| network);
                (format!("{through}{}", describe_io(error)), Some(hint), first)
            }
            None if matches!(error.kind(), ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
                (format!("{through}{}", describe_io(error)), Some(network), first)
            }
            None => (format!("the connection broke: {}", describe_io(error)), None, Again::Soon),
        },
        ureq::Error::Rustls(error) => return untrusted(url, error),
        ureq::Error::ConnectProxyFailed(why) => {
            (format!("{through}refuses: {}", limited(why)), Some(network), Again::Never)
        }
        // It would be shown with its query.
        ureq::Error::BadUri(_) => ("no address that can be asked".to_owned(), None, Again::Never),
        other => (limited(&other.to_string()), None, Again::Soon),
    };
    Failed { error: unreachable(url, &why, hint), again }
}

/// A conversation that TLS did not let come about.
fn untrusted(url: &Uri, error: &rustls::Error) -> Failed {
    let unknown = "its certificate is signed by nobody that this machine trusts";
    let authority =
        "install `ca-certificates`, or the registry's own authority, or name a file with it by `SSL_CERT_FILE`";
    let (why, hint) = match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => (unknown.to_owned(), Some(authority)),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => (limited(&error.to_string()), Some("check this machine's clock")),
        rustls::Error::InvalidCertificate(_) => (limited(&error.to_string()), None),
        rustls::Error::InvalidMessage(_) => (
            "what answers there does not speak TLS".to_owned(),
            Some("plain HTTP is spoken with registries on `localhost` and loopback addresses only"),
        ),
        other => (format!("TLS: {}", limited(&other.to_string())), None),
    };
    unreachable(url, &why, hint).into()
}

/// An answer that is none: its status, what the registry says about it, and how long it asks to wait.
pub fn refused(url: &Uri, status: ureq::http::StatusCode, said: &str, wait: Option<Duration>) -> Failed {
    let said = words(said).map_or_else(String::new, |said| format!(" ({said})"));
    let why = format!("{} {}{said}", status.as_u16(), status.canonical_reason().unwrap_or("unknown"));
    match status.as_u16() {
        401 | 403 => {
            let hint = "it is private, or is not there: check the name, or log in by `--username USER \
                        --password-stdin` or `docker login`";
            wrong(url, &why, Some(hint)).into()
        }
        404 => Error { kind: Kind::NotFound, ..wrong(url, &why, Some("check name and tag")) }.into(),
        429 if wait.is_some_and(|wait| wait > LONGEST_WAIT) => {
            let why = format!("{why}: it asks to wait {} s", wait.unwrap_or_default().as_secs());
            unreachable(url, &why, Some("try again then; who is logged in may often pull more")).into()
        }
        429 => {
            let error = unreachable(url, &why, Some("try again later; who is logged in may often pull more"));
            Failed { error, again: wait.map_or(Again::Soon, Again::After) }
        }
        408 | 500 | 502 | 503 | 504 => {
            let wait = wait.filter(|wait| *wait <= LONGEST_WAIT);
            Failed { error: unreachable(url, &why, None), again: wait.map_or(Again::Soon, Again::After) }
        }
        400 if url::is_plain(url) => {
            let hint = "registries on `localhost` and loopback addresses are spoken to without TLS";
            unreachable(url, &why, Some(hint)).into()
        }
        _ => unreachable(url, &why, None).into(),
    }
}

/// A registry's own words for an error (distribution specification, "Error Codes").
fn words(body: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(body).ok()?;
    let first = value.get("errors").and_then(|errors| errors.get(0)).unwrap_or(&value);
    let word = |name: &str| first.get(name).and_then(serde_json::Value::as_str).filter(|word| !word.is_empty());
    let found: Vec<&str> = ["code", "message", "details"].into_iter().filter_map(word).collect();
    (!found.is_empty()).then(|| limited(&found.join(": ")))
}

/// Somebody else's words, as much as fits into a line.
pub fn limited(words: &str) -> String {
    words.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trees::progress::Quiet;
    use std::io;
    use ureq::http::StatusCode;

    fn url() -> Uri {
        "https://a.io/v2/x?token=secret".parse().unwrap()
    }

    #[test]
    fn every_trouble_has_words_and_most_have_a_cure() {
        let broken = |error: ureq::Error, reached| broken(&url(), &error, Road { reached, proxy: None });
        let io = |error: io::Error| broken(ureq::Error::Io(error), true);
        let tls = |error| io(io::Error::new(ErrorKind::InvalidData, rustls::Error::InvalidCertificate(error)));
        let status = |code| refused(&url(), StatusCode::from_u16(code).unwrap(), "", None);
        for (failed, message, cure, again) in [
            (broken(ureq::Error::HostNotFound, false), "no address is known for `a.io`", "HTTPS_PROXY", false),
            (broken(ureq::Error::HostNotFound, true), "no address is known for `a.io`", "HTTPS_PROXY", true),
            (broken(ureq::Error::Timeout(Timeout::Connect), false), "no connection within 10 s", "network", false),
            (broken(ureq::Error::Timeout(Timeout::PerRead), false), "not a byte for 60 s", "", true),
            (io(io::Error::from_raw_os_error(libc::ECONNREFUSED)), "Connection refused", "check host and port", true),
            (
                io(io::Error::from_raw_os_error(libc::ECONNRESET)),
                "the connection broke: Connection reset by peer",
                "",
                true,
            ),
            (tls(CertificateError::UnknownIssuer), "signed by nobody that this machine trusts", "SSL_CERT_FILE", false),
            (tls(CertificateError::Expired), "certificate", "clock", false),
            (status(401), "401 Unauthorized", "--username", false),
            (status(403), "403 Forbidden", "docker login", false),
            (status(404), "404 Not Found", "name and tag", false),
            (status(418), "418 I'm a teapot", "", false),
            (status(429), "429 Too Many Requests", "logged in", true),
            (status(503), "503 Service Unavailable", "", true),
        ] {
            let said = failed.error.to_string();
            assert!(said.contains("`https://a.io/v2/x`: ") && said.contains(message), "{said}");
            assert!(!said.contains("secret"), "{said}");
            let hints = failed.error.hints().collect::<Vec<_>>().join(" ");
            assert!(hints.contains(cure) && hints.is_empty() == cure.is_empty(), "{message}: {hints}");
            assert_eq!(failed.again != Again::Never, again, "{message}");
        }
    }

    #[test]
    fn what_a_proxy_does_is_said_of_the_proxy() {
        let road = Road { reached: false, proxy: Some("p:1") };
        for (error, message) in [
            (ureq::Error::HostNotFound, "no address is known for `p:1`"),
            (ureq::Error::Io(io::Error::from_raw_os_error(libc::ECONNREFUSED)), "the proxy `p:1`: Connection refused"),
            (ureq::Error::ConnectProxyFailed("403".to_owned()), "the proxy `p:1`: refuses: 403"),
        ] {
            let failed = broken(&url(), &error, road);
            assert_eq!(failed.error.to_string(), format!("fetch `https://a.io/v2/x`: {message}"));
            assert_eq!(
                (failed.error.hint.as_deref(), failed.again),
                (Some("check `HTTPS_PROXY` and `NO_PROXY`"), Again::Never)
            );
        }
    }

    #[test]
    fn a_registry_is_waited_for_as_long_as_it_asks_within_reason() {
        let ask = |seconds| refused(&url(), StatusCode::TOO_MANY_REQUESTS, "", Some(Duration::from_secs(seconds)));
        assert_eq!(ask(3).again, Again::After(Duration::from_secs(3)));
        let error = ask(3600);
        assert_eq!(error.again, Again::Never);
        assert!(error.error.to_string().ends_with("429 Too Many Requests: it asks to wait 3600 s"), "{}", error.error);
    }

    #[test]
    fn a_registrys_own_words_are_shown_as_far_as_they_are_words() {
        let long = format!(r#"{{"details":"{}"}}"#, "a".repeat(1000));
        for (body, said) in [
            (
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no\u001b[2Jsuch","detail":{}}]}"#,
                Some(r"NAME_UNKNOWN: no\u{1b}[2Jsuch"),
            ),
            (r#"{"details":"incorrect username or password"}"#, Some("incorrect username or password")),
            ("<html>", None),
            ("[]", None),
            (r#"{"errors":[]}"#, None),
        ] {
            assert_eq!(words(body).as_deref(), said, "{body}");
        }
        assert_eq!(words(&long).map(|said| said.len()), Some(SHOWN));
    }

    #[test]
    fn patience_ends_and_is_renewed() {
        let mut calls = 0;
        let error = Patience::persist::<()>(&Quiet, || {
            calls += 1;
            Err(Failed { error: unreachable(&url(), "x", None), again: Again::After(Duration::ZERO) })
        });
        assert_eq!((calls, error), (ATTEMPTS, Err(unreachable(&url(), "x", None))));
        let stop = AtomicBool::new(false);
        let mut patience = Patience::new(&Quiet, &stop);
        for _ in 0..100 {
            patience.renew();
            patience
                .wait(Failed { error: unreachable(&url(), "x", None), again: Again::After(Duration::ZERO) })
                .unwrap();
        }
    }
}
