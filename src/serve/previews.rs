//! Previews: a server in a sandbox, at a name of its own below `localhost`.
//!
//! `PORT-SANDBOX.localhost` leads to a port of a sandbox for whoever has its token (in a header, a cookie, or once in the query, as
//! browsers have it) or the server's own; `PORT-TOKEN.localhost` is signed, and holds for a while. What passes is HTTP with all of its
//! methods and websockets; what proves who asks is taken off, so that nothing inside hears it.
//!
//! The way in is a verb, `preview`, which goes when nobody has used it for a while: a sandbox with a preview is not idle.

use super::App;
use super::backend::{Said, Stream};
use super::failure::{Answer, Failure};
use super::{daytona, e2b};
use crate::error::{Error, Kind};
use axum::body::Body;
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq as _;
use tokio::net::TcpStream;

/// How long a way in stays that nobody uses.
const IDLE: Duration = Duration::from_secs(30);
/// The header, the cookie and the word of a query that a token comes by.
pub const HEADER: &str = "x-daytona-preview-token";
const COOKIE: &str = "belljar-preview";
const QUERY: &str = "DAYTONA_SANDBOX_AUTH_KEY";
/// Digits of a signature in a name.
const DIGITS: usize = 24;
/// Digits of the second until when it holds.
const UNTIL: usize = 10;
/// Tokens that were taken back and are remembered.
const MOST_EXPIRED: usize = 10_000;

/// Ways in, and what was taken back.
pub struct Previews {
    signing: Mutex<Signing>,
    open: Mutex<HashMap<(String, u16), Open>>,
}

/// What signs, and what was taken back of it.
struct Signing {
    key: [u8; 32],
    expired: HashSet<String>,
}

impl Signing {
    fn new() -> Result<Signing, Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| Error::new(Kind::Failed, format!("get random bytes: {error}")))?;
        Ok(Signing { key, expired: HashSet::new() })
    }
}

struct Open {
    /// The port of the loopback that leads in.
    port: u16,
    used: Instant,
}

/// What a name asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    /// As it was asked.
    pub host: String,
    port: u16,
    /// A sandbox, or a signed token.
    who: String,
}

/// What a request asks for whose host is the name of a preview.
pub fn wanted(uri: &Uri, headers: &HeaderMap) -> Option<Wanted> {
    let host =
        uri.authority().map(|authority| authority.as_str()).or_else(|| headers.get(header::HOST)?.to_str().ok())?;
    let (label, _) = host.split_once('.')?;
    let (port, who) = label.split_once('-')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (!who.is_empty()).then(|| Wanted { host: host.to_owned(), port, who: who.to_owned() })
}

impl Previews {
    /// None yet.
    ///
    /// # Errors
    ///
    /// The kernel gives no chance.
    pub fn new() -> Result<Previews, Error> {
        Ok(Previews { signing: Mutex::new(Signing::new()?), open: Mutex::default() })
    }

    fn signing(&self) -> MutexGuard<'_, Signing> {
        self.signing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token of a sandbox's previews, which is the same for every server with this secret.
    pub fn token(&self, id: &str, secret: &str) -> String {
        digits(secret.as_bytes(), &format!("preview:{id}"))
    }

    /// A token that stands in a name and holds for some seconds.
    ///
    /// # Errors
    ///
    /// The sandbox has no id that fits.
    pub fn sign(&self, id: &str, port: u16, seconds: u64) -> Answer<String> {
        let until = now() + seconds;
        let plain = format!("{id}{until:010x}");
        Ok(format!("{plain}{}", digits(&self.signing().key, &format!("signed:{plain}:{port}"))))
    }

    /// Takes it back. One that holds no longer is not remembered, and where there are too many, all that were signed end with it.
    ///
    /// # Errors
    ///
    /// The kernel gives no chance.
    pub fn expire(&self, id: &str, port: u16, token: &str) -> Answer<()> {
        if self.signed(token, port).as_deref() != Some(id) {
            return Ok(());
        }
        let mut signing = self.signing();
        signing.expired.retain(|token| until_of(token).is_some_and(|until| until >= now()));
        if signing.expired.len() >= MOST_EXPIRED {
            *signing = Signing::new()?;
        } else {
            signing.expired.insert(token.to_owned());
        }
        Ok(())
    }

    /// The sandbox that a signed token is for, as long as it holds.
    fn signed(&self, token: &str, port: u16) -> Option<String> {
        let (plain, given) = token.split_at_checked(token.len().checked_sub(DIGITS)?)?;
        let id = plain.get(..plain.len().checked_sub(UNTIL)?)?;
        let signing = self.signing();
        let right = digits(&signing.key, &format!("signed:{plain}:{port}"));
        let holds: bool = right.as_bytes().ct_eq(given.as_bytes()).into();
        (holds && until_of(token)? >= now() && !signing.expired.contains(token)).then(|| id.to_owned())
    }

    fn open(&self) -> MutexGuard<'_, HashMap<(String, u16), Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until when a token holds, as it says itself.
fn until_of(token: &str) -> Option<u64> {
    let plain = token.get(..token.len().checked_sub(DIGITS)?)?;
    u64::from_str_radix(plain.get(plain.len().checked_sub(UNTIL)?..)?, 16).ok()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn digits(key: &[u8], text: &str) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// Answers a request for a preview.
///
/// # Errors
///
/// Who asks may not, the sandbox does not run, or nothing listens there.
pub async fn answer(app: &Arc<App>, wanted: Wanted, mut request: Request) -> Answer<Response> {
    let id = match app.previews.signed(&wanted.who, wanted.port) {
        Some(id) => id,
        None => {
            let sandbox = daytona::sandboxes::find(app, &wanted.who).await.map_err(|_| unknown())?;
            let token = app.previews.token(sandbox.id(), app.access.token());
            let is_token = |words: &str| bool::from(words.as_bytes().ct_eq(token.as_bytes()));
            if let Some(answer) = by_query(&request, &is_token) {
                return Ok(answer);
            }
            let headers = request.headers();
            let in_header = headers.get(HEADER).and_then(|value| value.to_str().ok()).is_some_and(is_token);
            let in_cookie = cookie(headers).is_some_and(|value| is_token(&value));
            let public = sandbox.record.public || e2b::is_public(&sandbox.known);
            let has_token = in_header || in_cookie || e2b::has_token(app, sandbox.id(), headers);
            if !public && !has_token && !app.access.knows(headers) {
                return Err(unknown());
            }
            sandbox.id().to_owned()
        }
    };
    let known = app.access.knows(request.headers());
    let headers = request.headers_mut();
    headers.remove(HEADER);
    if known {
        headers.remove(header::AUTHORIZATION);
        headers.remove("x-api-key");
    }
    e2b::without_token(headers);
    without_cookie(headers);
    if wanted.port == daytona::ways::TOOLBOX_PORT {
        return daytona::ways::tools(app, &id, request).await;
    }
    let port = way_in(app, &id, wanted.port).await?;
    pass(port, request).await
}

fn unknown() -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "a preview needs its token; `get_preview_link` tells it")
}

/// A token in the query is put into a cookie, and out of what anybody sees.
fn by_query(request: &Request, is_token: &dyn Fn(&str) -> bool) -> Option<Response> {
    let Query(query) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()).ok()?;
    let token = query.iter().find(|(key, value)| key == QUERY && is_token(value)).map(|(_, value)| value)?;
    let kept: Vec<&str> = request.uri().query()?.split('&').filter(|pair| !pair.starts_with(QUERY)).collect();
    // Not to the machine that a path with two slashes would name.
    let path = format!("/{}", request.uri().path().trim_start_matches('/'));
    let place = if kept.is_empty() { path } else { format!("{path}?{}", kept.join("&")) };
    let set = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax");
    Some((StatusCode::FOUND, [(header::LOCATION, place), (header::SET_COOKIE, set)]).into_response())
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

/// Takes our cookie off, and leaves those of the server inside.
fn without_cookie(headers: &mut HeaderMap) {
    let lines: Vec<String> =
        headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok()).map(str::to_owned).collect();
    headers.remove(header::COOKIE);
    let rest: Vec<&str> =
        lines.iter().flat_map(|line| line.split(';')).map(str::trim).filter(|pair| !pair.starts_with(COOKIE)).collect();
    if let (false, Ok(value)) = (rest.is_empty(), HeaderValue::from_str(&rest.join("; "))) {
        headers.insert(header::COOKIE, value);
    }
}

/// The port of the loopback that leads to a port of a sandbox, opened where it is not.
async fn way_in(app: &Arc<App>, id: &str, port: u16) -> Answer<u16> {
    let key = (id.to_owned(), port);
    if let Some(open) = app.previews.open().get_mut(&key) {
        open.used = Instant::now();
        return Ok(open.port);
    }
    let (mut to, mut told) = app.backend.stream("preview", json!({ "name": id, "port": port })).await?;
    to.end().await?;
    let line = match told.next().await? {
        Said::Output { bytes, .. } => String::from_utf8_lossy(&bytes).into_owned(),
        Said::Result(result) => result.to_string(),
    };
    let place = serde_json::from_str::<Value>(&line).ok().and_then(|told| told["port"].as_u64());
    let by_url = || line.trim().trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
    let place = place.or_else(by_url).and_then(|place| u16::try_from(place).ok());
    let place = place.ok_or_else(|| Failure::new(StatusCode::BAD_GATEWAY, "the port could not be opened"))?;
    app.previews.open().insert(key.clone(), Open { port: place, used: Instant::now() });
    tokio::spawn(keep_open(Arc::clone(app), key, told));
    Ok(place)
}

/// Until nobody uses it any more, or the sandbox ends.
async fn keep_open(app: Arc<App>, key: (String, u16), mut told: Stream) {
    let idle = async {
        loop {
            tokio::time::sleep(IDLE).await;
            if app.previews.open().get(&key).is_none_or(|open| open.used.elapsed() >= IDLE) {
                return;
            }
        }
    };
    let ended = async { while let Ok(Said::Output { .. }) = told.next().await {} };
    tokio::select! { () = idle => {}, () = ended => {} }
    app.previews.open().remove(&key);
}

/// Passes a request on, and what becomes of it back.
async fn pass(port: u16, mut request: Request) -> Answer<Response> {
    let closed = |why: &dyn std::fmt::Display| {
        Failure::new(StatusCode::BAD_GATEWAY, format!("nothing answers at this port: {why}"))
    };
    let stream = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).await.map_err(|error| closed(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| closed(&error))?;
    tokio::spawn(async move {
        // How it ended is said by what was asked.
        let _ = connection.with_upgrades().await;
    });
    let upgrade = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(|error| Failure::bad(format!("the address: {error}")))?;
    let mut response = sender.send_request(request).await.map_err(|error| closed(&error))?;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(ours)) = (response.status(), upgrade) {
        let theirs = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            if let (Ok(ours), Ok(theirs)) = (ours.await, theirs.await) {
                let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(ours), &mut TokioIo::new(theirs)).await;
            }
        });
    }
    Ok(response.map(Body::new).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(host: &str) -> Option<(u16, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        wanted(&Uri::from_static("/"), &headers).map(|wanted| (wanted.port, wanted.who))
    }

    #[test]
    fn the_name_of_a_preview_has_a_port_and_a_sandbox() {
        assert_eq!(host("3000-abc.localhost:80"), Some((3000, "abc".to_owned())));
        assert_eq!(host("3000-my-box.localhost"), Some((3000, "my-box".to_owned())));
        for other in [
            "localhost:3000",
            "127.0.0.1",
            "0-abc.localhost",
            "70000-abc.localhost",
            "x-abc.localhost",
            "3000-.localhost",
        ] {
            assert_eq!(host(other), None, "{other}");
        }
    }

    #[test]
    fn a_signed_name_holds_for_its_port_and_its_time_until_it_is_taken_back() {
        let previews = Previews::new().unwrap();
        let token = previews.sign("8377db6cc3fb4a12", 3000, 60).unwrap();
        assert!(format!("65535-{token}").len() <= 63);
        assert_eq!(previews.signed(&token, 3000).as_deref(), Some("8377db6cc3fb4a12"));
        assert_eq!(previews.signed(&token, 3001), None);
        assert_eq!(previews.signed(&token.replace("8377", "8378"), 3000), None);
        assert_eq!(Previews::new().unwrap().signed(&token, 3000), None);
        // Only as what it is.
        previews.expire("8377db6cc3fb4a12", 3001, &token).unwrap();
        previews.expire("8377db6cc3fb4a13", 3000, &token).unwrap();
        assert!(previews.signed(&token, 3000).is_some());
        previews.expire("8377db6cc3fb4a12", 3000, &token).unwrap();
        assert_eq!(previews.signed(&token, 3000), None);
        for odd in ["", "x", "ä", &"0".repeat(33), &"ä".repeat(40)] {
            assert_eq!(previews.signed(odd, 3000), None);
        }
    }

    #[test]
    fn tokens_that_were_taken_back_are_not_remembered_without_end() {
        let previews = Previews::new().unwrap();
        let id = "8377db6cc3fb4a12";
        let kept = previews.sign(id, 1, 60).unwrap();
        for seconds in 0..=MOST_EXPIRED as u64 {
            let token = previews.sign(id, 3000, 60 + seconds).unwrap();
            previews.expire(id, 3000, &token).unwrap();
            assert_eq!(previews.signed(&token, 3000), None);
        }
        assert!(previews.signing().expired.len() <= MOST_EXPIRED);
        // All that were signed went with the last of too many.
        assert_eq!(previews.signed(&kept, 1), None);
        let gone = previews.sign(id, 3000, 0).unwrap();
        previews.expire(id, 3000, &gone).unwrap();
        previews.expire(id, 3000, "nobody's").unwrap();
    }

    #[test]
    fn what_proves_who_asks_is_taken_off_and_other_cookies_stay() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=b; belljar-preview=secret; c=d".parse().unwrap());
        assert_eq!(cookie(&headers).as_deref(), Some("secret"));
        without_cookie(&mut headers);
        assert_eq!(headers.get(header::COOKIE).unwrap(), "a=b; c=d");
    }
}
