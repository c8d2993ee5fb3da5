//! Being let in by a registry: tokens and passwords (the token protocol of Docker's registry, RFC 6750, RFC 7617).
//!
//! Nothing is sent until the registry asks for it. A password goes to the registry itself, or to the place that it names
//! for tokens, and nowhere else; a token is asked for with the right to pull this one repository and no more.

use super::challenge::{self, Challenge};
use super::client::{Answer, Ask, Client};
use super::credentials::{self, Login, Secret};
use super::trouble::{Failed, limited, wrong};
use super::url::{self, Uri};
use super::{Password, Site};
use crate::error::{Error, Kind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::sync::{Mutex, PoisonError};
use ureq::http::StatusCode;

/// The largest answer of a place for tokens.
const LARGEST_TOKEN: u64 = 1 << 20;

/// One repository of a registry, and who we are there.
pub struct Session<'a> {
    client: &'a Client,
    site: &'a Site,
    base: Uri,
    registry: String,
    repository: String,
    password: Option<&'a Password>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The `Authorization` that was granted last.
    granted: Option<String>,
    /// Who we are, once that was looked up.
    login: Option<Option<Login>>,
}

#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'a> Session<'a> {
    /// With `registry`, as images call it, about `repository`.
    ///
    /// # Errors
    ///
    /// What is wrong with the name, for people.
    pub fn new(
        client: &'a Client,
        site: &'a Site,
        (registry, repository): (&str, &str),
        password: Option<&'a Password>,
    ) -> Result<Session<'a>, String> {
        let (registry, repository) = (registry.to_owned(), repository.to_owned());
        let base = url::registry(&registry)?;
        Ok(Session { client, site, base, registry, repository, password, state: Mutex::default() })
    }

    /// The address of something in the repository, as in `manifests/latest`.
    ///
    /// # Errors
    ///
    /// `Invalid`, where the name makes none.
    pub fn url(&self, word: &str) -> Result<Uri, Error> {
        url::on(&self.base, &format!("/v2/{}/{word}", self.repository)).map_err(|why| wrong(&self.base, &why, None))
    }

    /// One attempt to get something, with whatever it takes to be let in.
    pub fn get(&self, url: &Uri, accept: &str, from: u64) -> Result<Answer, Failed> {
        let before = self.state.lock().unwrap_or_else(PoisonError::into_inner).granted.clone();
        let ask = |authorization| self.client.get(url, Ask { accept, from, authorization });
        let mut answer = ask(before.as_deref())?;
        let mut from = None;
        // Only the registry itself may ask who we are: what it redirects to has nothing to ask for.
        if answer.status == StatusCode::UNAUTHORIZED && answer.own {
            let asked = answer.headers.get_all("WWW-Authenticate").iter().filter_map(|value| value.to_str().ok());
            let challenges: Vec<Challenge> = asked.flat_map(challenge::parse).collect();
            let granted;
            (granted, from) = self.grant(&challenges, before.as_deref())?;
            if granted.is_some() && granted != before {
                answer = ask(granted.as_deref())?;
            }
        }
        match answer.status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => Ok(answer),
            _ => Err(refusal(answer, from)),
        }
    }

    /// What answers the challenges, and where our login was found, if one was used; `stale`: what did not.
    fn grant(&self, challenges: &[Challenge], stale: Option<&str>) -> Result<(Option<String>, Option<String>), Failed> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.login.is_none() {
            state.login = Some(self.login()?);
        }
        let login = state.login.as_ref().and_then(Option::as_ref);
        let from = login.map(|login| login.from.clone());
        // Another thread was quicker.
        if state.granted.as_deref() != stale {
            return Ok((state.granted.clone(), from));
        }
        let by = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
        let granted = match (by("bearer"), by("basic"), login) {
            (Some(bearer), ..) => Some(format!("Bearer {}", self.token(bearer, login)?)),
            (None, Some(_), Some(Login { secret: Secret::Password(user, password), .. })) => {
                Some(basic(user, password))
            }
            (None, Some(_), Some(Login { secret: Secret::Identity(_), from })) => {
                let why = format!("it asks for a password, and {from} has a token for it");
                return Err(wrong(&self.base, &why, Some("log in by `--username USER --password-stdin`")).into());
            }
            (None, Some(_), None) => None,
            (None, None, _) if challenges.is_empty() => None,
            (None, None, _) => {
                let schemes: Vec<&str> = challenges.iter().map(|challenge| challenge.scheme.as_str()).collect();
                let schemes = limited(&schemes.join("`, `"));
                let why = format!("it asks who we are by `{schemes}`, not by a token or a password");
                return Err(wrong(&self.base, &why, None).into());
            }
        };
        if granted.is_some() {
            state.granted.clone_from(&granted);
        }
        Ok((granted, from))
    }

    fn login(&self) -> Result<Option<Login>, Error> {
        match self.password {
            Some(Password { user, password }) => {
                let secret = Secret::Password(user.clone(), password.clone());
                Ok(Some(Login { secret, from: "`--username`".to_owned() }))
            }
            None => credentials::find(&self.site.logins, &self.registry, &self.repository),
        }
    }

    /// A token from the place that the challenge names.
    fn token(&self, challenge: &Challenge, login: Option<&Login>) -> Result<String, Failed> {
        let refused = |why: &str| wrong(&self.base, &format!("the place for its tokens is not asked: {why}"), None);
        let realm = challenge.get("realm").ok_or_else(|| refused("it names none"))?;
        let realm = url::follow(&self.base, realm).map_err(|why| refused(&why))?;
        let own = format!("repository:{}:pull", self.repository);
        // A registry that knows no repositories in its scopes has its reasons; one that does gets no more than we need.
        let scope = challenge.get("scope").filter(|scope| !scope.starts_with("repository:")).unwrap_or(&own);
        let mut form = vec![("scope", scope)];
        form.extend(challenge.get("service").map(|service| ("service", service)));
        let answer = match login.map(|login| &login.secret) {
            Some(Secret::Identity(token)) => {
                form.extend([("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "belljar")]);
                self.client.post(&realm, &form)?
            }
            other => {
                let authorization = match other {
                    Some(Secret::Password(user, password)) => Some(basic(user, password)),
                    _ => None,
                };
                let pair = |(name, value): &(&str, &str)| format!("{name}={}", url::encode(value));
                let query = form.iter().map(pair).collect::<Vec<_>>().join("&");
                let joint = if realm.query().is_some() { '&' } else { '?' };
                let whole = format!("{realm}{joint}{query}").parse();
                let whole: Uri = whole.map_err(|_| refused("what it names is no address"))?;
                self.client.get(&whole, Ask { authorization: authorization.as_deref(), ..Ask::default() })?
            }
        };
        if answer.status != StatusCode::OK {
            return Err(refusal(answer, login.map(|login| login.from.clone())));
        }
        let granted: Option<Granted> = serde_json::from_slice(&answer.read(LARGEST_TOKEN)?).ok();
        let token = granted.and_then(|granted| granted.token.or(granted.access_token));
        let usable = |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        Ok(token.filter(usable).ok_or_else(|| wrong(&realm, "what it gives is no token", None))?)
    }
}

/// Whoever was logged in and is not let in has another cure than who was not.
fn refusal(answer: Answer, login: Option<String>) -> Failed {
    let shut_out = matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let mut failed = answer.refusal();
    if let (Kind::Invalid, true, Some(from)) = (failed.error.kind, shut_out, login) {
        let hint = format!("check the name, and the user and password from {from}");
        let problems = std::mem::take(&mut failed.error.problems);
        failed.error = Error::invalid(problems.into_iter().map(|problem| problem.hint(hint.clone())).collect());
    }
    failed
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
