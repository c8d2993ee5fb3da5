//! HTTP with registries: one request, its redirects, its answer.
//!
//! Redirects are followed here and not by the library, because what is sent along depends on them: an `Authorization`
//! goes to the origin it was made for and to no other, and to that one only until the first redirect leads away. Nothing
//! leads from HTTPS to plain HTTP. There is no limit on how long a transfer takes, only on how long nothing comes.

use super::Site;
use super::proxy;
use super::trouble::{self, CONNECT, Failed, Road, STALL, broken, refused, unreachable};
use super::trust;
use super::url::{self, Uri};
use crate::error::{Error, Problem};
use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ureq::config::Config;
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout, time};
use ureq::{Agent, Body, Proxy};

/// Redirects of one request. A registry needs one, to where its blobs are.
const MOST_REDIRECTS: u32 = 5;
/// What is read of an answer that is an error.
const LARGEST_REFUSAL: u64 = 64 << 10;

/// Connections, kept open between requests.
pub struct Client {
    direct: Agent,
    /// With the proxy's host and port.
    proxied: Option<(Agent, String)>,
    no_proxy: String,
    reached: AtomicBool,
}

/// What is asked for.
#[derive(Clone, Copy, Default)]
pub struct Ask<'a> {
    /// Media types, as the header has them.
    pub accept: &'a str,
    /// The first byte that is wanted.
    pub from: u64,
    /// Who asks: for the origin of the address, and no other.
    pub authorization: Option<&'a str>,
}

/// An answer.
pub struct Answer {
    /// Who gave it, after all redirects.
    pub url: Uri,
    /// Whether that is who was asked.
    pub own: bool,
    /// Of HTTP.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Body,
}

impl Client {
    /// As the machine's environment has it.
    ///
    /// # Errors
    ///
    /// `Invalid` for a proxy or a file of authorities that is none.
    pub fn new(site: &Site) -> Result<Client, Error> {
        let authorities = Arc::new(trust::authorities(site.certificates.as_deref())?);
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::Specific(authorities))
            .build();
        let agent = |proxy: Option<Proxy>| {
            let config = Config::builder()
                .tls_config(tls.clone())
                .proxy(proxy)
                .user_agent(concat!("belljar/", env!("CARGO_PKG_VERSION")))
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .timeout_connect(Some(CONNECT))
                .timeout_per_read(Some(STALL))
                .timeout_per_write(Some(STALL))
                .build();
            Agent::with_parts(config, DefaultConnector::default(), Names)
        };
        let proxied = site.proxy.as_deref().map(through).transpose()?;
        let proxied = proxied.map(|proxy| (agent(Some(proxy.clone())), format!("{}:{}", proxy.host(), proxy.port())));
        Ok(Client { direct: agent(None), proxied, no_proxy: site.no_proxy.clone(), reached: AtomicBool::new(false) })
    }

    fn road(&self, url: &Uri) -> (&Agent, Road<'_>) {
        let reached = self.reached.load(Ordering::Relaxed);
        match self.proxied.as_ref().filter(|_| !proxy::is_direct(&self.no_proxy, url)) {
            Some((agent, proxy)) => (agent, Road { reached, proxy: Some(proxy) }),
            None => (&self.direct, Road { reached, proxy: None }),
        }
    }

    /// One attempt, its redirects followed. Every status but a redirect is an answer.
    pub fn get(&self, url: &Uri, ask: Ask<'_>) -> Result<Answer, Failed> {
        let (mut at, mut own) = (url.clone(), true);
        for _ in 0..=MOST_REDIRECTS {
            let mut request = self.road(&at).0.get(at.clone());
            if !ask.accept.is_empty() {
                request = request.header("Accept", ask.accept);
            }
            if ask.from > 0 {
                request = request.header("Range", format!("bytes={}-", ask.from));
            }
            if let Some(authorization) = ask.authorization.filter(|_| own) {
                request = request.header("Authorization", authorization);
            }
            let answer = self.answered(&at, own, request.call())?;
            if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let location = answer.header("Location").unwrap_or_default();
            let refused = |why: String| unreachable(&at, &format!("a redirect that is not followed: {why}"), None);
            let next = url::follow(&at, location).map_err(refused)?;
            own = own && url::origin(&next) == url::origin(&at);
            at = next;
        }
        Err(unreachable(url, &format!("more than {MOST_REDIRECTS} redirects"), None).into())
    }

    /// Sends a form. A redirect is an answer: what is in a form is for nobody else.
    pub fn post(&self, url: &Uri, form: &[(&str, &str)]) -> Result<Answer, Failed> {
        let pair = |(name, value): &(&str, &str)| format!("{}={}", url::encode(name), url::encode(value));
        let body = form.iter().map(pair).collect::<Vec<_>>().join("&");
        let request = self.road(url).0.post(url.clone()).header("Content-Type", "application/x-www-form-urlencoded");
        self.answered(url, true, request.send(body))
    }

    fn answered(&self, url: &Uri, own: bool, result: Result<Response<Body>, ureq::Error>) -> Result<Answer, Failed> {
        let (parts, body) = result.map_err(|error| broken(url, &error, self.road(url).1))?.into_parts();
        self.reached.store(true, Ordering::Relaxed);
        Ok(Answer { url: url.clone(), own, status: parts.status, headers: parts.headers, body })
    }
}

impl Answer {
    /// A header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Its bytes, to be read up to a limit of the caller's.
    pub fn body(&mut self) -> impl Read + '_ {
        self.body.as_reader()
    }

    /// The body as a whole, up to `most` bytes.
    pub fn read(mut self, most: u64) -> Result<Vec<u8>, Failed> {
        let mut bytes = Vec::new();
        let result = self.body.as_reader().take(most.saturating_add(1)).read_to_end(&mut bytes);
        result.map_err(|error| stopped(&self.url, error))?;
        if bytes.len() as u64 > most {
            return Err(trouble::wrong(&self.url, &format!("more than {most} bytes"), None).into());
        }
        Ok(bytes)
    }

    /// What is said in place of what was asked for.
    pub fn refusal(mut self) -> Failed {
        let wait = self.header("Retry-After").and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        let mut said = Vec::new();
        // Words that do not come are no words: the status counts.
        let _ = self.body.as_reader().take(LARGEST_REFUSAL).read_to_end(&mut said);
        refused(&self.url, self.status, &String::from_utf8_lossy(&said), wait)
    }
}

/// A body that did not come to its end.
pub fn stopped(url: &Uri, error: io::Error) -> Failed {
    broken(url, &error.into(), Road { reached: true, proxy: None })
}

/// The proxy of that address.
fn through(address: &str) -> Result<Proxy, Error> {
    let proxy = Proxy::new(address).ok();
    let spoken = |proxy: &Proxy| matches!(proxy.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https);
    proxy.filter(spoken).ok_or_else(|| {
        // The address may have a password in it.
        let problem = Problem::new("image", "the proxy of the environment is none that we can speak to");
        Error::invalid(vec![
            problem.hint("set `HTTPS_PROXY` to `http://HOST:PORT` or `https://HOST:PORT`, or unset it"),
        ])
    })
}

/// Names of hosts: `localhost` is loopback whatever a name server says, because it is spoken to without TLS. All others are
/// the C library's, which waits no longer than `/etc/resolv.conf` says; a limit of ours would cost a thread for each.
#[derive(Debug)]
struct Names;

impl Resolver for Names {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        if uri.host().is_some_and(|host| host.eq_ignore_ascii_case("localhost")) {
            let mut found = self.empty();
            found.push(SocketAddr::from((Ipv4Addr::LOCALHOST, url::port(uri))));
            found.push(SocketAddr::from((Ipv6Addr::LOCALHOST, url::port(uri))));
            return Ok(found);
        }
        let unlimited = NextTimeout { after: time::Duration::NotHappening, ..timeout };
        DefaultResolver::default().resolve(uri, config, unlimited).map_err(|error| match error {
            // Name services have no error numbers of the kernel's.
            ureq::Error::Io(error) if error.raw_os_error().is_none() => ureq::Error::HostNotFound,
            other => other,
        })
    }
}
