//! One call of git that reaches another machine: passwords and signatures are given here, to that machine and to nobody else.

use super::brought;
use super::reach::Opened;
use crate::error::{Error, Kind};
use crate::git::{self, Address, Credentials, Deed};
use crate::name::Name;
use crate::outcome::network::{Allowance, Event};
use crate::sandbox;
use crate::spec::Network;
use crate::tools::Client;
use crate::tools::remote::{self, Answer, Call, Caller};
use crate::verbs::Site;
use serde::Serialize;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The longest answer of an agent.
const LONGEST_ANSWER: u32 = 256 << 10;
/// How long an agent may take: its owner may have to touch a key.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was given away in a call, and what was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitReached"))]
pub struct Reached {
    /// Machines that the password was given to.
    pub password_for: BTreeSet<String>,
    /// Machines that asked for a password and were given none, as after a redirect.
    pub password_refused: BTreeSet<String>,
    /// How many logins the caller's agent has signed.
    pub signatures: u32,
    /// The keys by which ssh knew the machines, as `--known-hosts` takes them; where none were given, those that they have shown.
    pub host_keys: Name,
}

/// A sandbox, and how a machine is reached from it.
pub struct Line<'a> {
    /// Where it is asked for.
    pub site: &'a Site<'a>,
    /// The sandbox.
    pub sandbox: &'a str,
    /// The machine.
    pub address: &'a Address,
    /// What was given for it.
    pub opened: &'a Opened,
    /// When it is given up.
    pub deadline: Option<Instant>,
}

/// Answers what comes from inside.
struct Answering<'a> {
    address: &'a Address,
    credentials: Option<&'a Credentials>,
    agent: Option<&'a PathBuf>,
    reached: Reached,
}

impl Line<'_> {
    /// Runs git in `directory`; what it has printed, and what was given away. `protocols`: those that it may speak.
    pub fn run(&self, directory: &OsStr, words: &[OsString], protocols: &str) -> Result<(Vec<u8>, Reached), Error> {
        let verb = words.iter().find_map(|word| word.to_str().filter(|word| !word.starts_with('-')));
        let verb = verb.unwrap_or_default().to_owned();
        let name = |word: &OsStr| Name(word.as_bytes().to_vec());
        let mut env = git::variables(Deed::Change);
        let fixed = ["core.hooksPath=/dev/null", "gc.auto=0", "maintenance.auto=false", "submodule.recurse=false"];
        let mut settings: Vec<OsString> = fixed.iter().flat_map(|one| ["-c".into(), one.into()]).collect();
        if self.address.protocol.starts_with("http") {
            self.hold_to_certificates(&mut settings, &mut env);
        }
        let all = git::words(directory, settings.iter().chain(words));
        env.push(("GIT_ALLOW_PROTOCOL".into(), protocols.into()));
        if self.opened.ssh.is_none() {
            env.push(("GIT_SSH_COMMAND".into(), "ssh -o BatchMode=yes".into()));
        }
        let call = Call {
            program: Name::default(),
            words: all.iter().map(|word| name(word)).collect(),
            env: env.iter().map(|(key, value)| (name(key), name(value))).collect(),
            asks: self.opened.credentials.is_some(),
            ssh: self.opened.ssh.clone(),
        };
        let began = crate::outcome::network::now();
        let (answer, mut reached) = brought::with(self.site, self.sandbox, |program| {
            let mut answering = Answering {
                address: self.address,
                credentials: self.opened.credentials.as_ref(),
                agent: self.opened.agent.as_ref(),
                reached: Reached::default(),
            };
            let call = Call { program: Name::from(program), ..call.clone() };
            let client = Client::start(self.site.home()?, OsStr::new(self.sandbox), false)?;
            let answer = remote::run(client, call, &mut answering, self.deadline)?;
            Ok((answer, answering.reached))
        })?;
        if answer.ended.code == Some(0) {
            reached.host_keys = answer.ended.host_keys;
            return Ok((answer.stdout, reached));
        }
        Err(self.failure(&verb, &answer, &reached, began))
    }

    /// Neither the settings inside nor those for this address decide whether a certificate is checked, and whose address it is.
    fn hold_to_certificates(&self, settings: &mut Vec<OsString>, env: &mut Vec<(OsString, OsString)>) {
        let url = &self.address.url;
        let checked = (!self.opened.insecure_tls).to_string();
        for (key, value, variable) in
            [("sslVerify", checked.as_str(), "BELLJAR_GIT_CHECKED"), ("curloptResolve", "", "BELLJAR_GIT_NOTHING")]
        {
            settings.extend(["-c".into(), format!("http.{key}={value}").into()]);
            if url.contains('=') {
                // `-c` would end the name there. Git knows this since 2.31.
                settings.push(format!("--config-env=http.{url}.{key}={variable}").into());
                env.push((variable.into(), value.into()));
            } else {
                settings.extend(["-c".into(), format!("http.{url}.{key}={value}").into()]);
            }
        }
    }

    /// Why it did not work.
    fn failure(&self, verb: &str, answer: &Answer, reached: &Reached, began: u64) -> Error {
        // What became of each branch stands among the results of a push.
        let said =
            if verb == "push" { [&answer.stderr[..], b"\n", &answer.stdout].concat() } else { answer.stderr.clone() };
        let error = git::failure(verb, &answer.stdout, &said);
        if answer.ended.code.is_none() {
            return Error::new(Kind::Ended, format!("git {verb}: it was ended by a signal inside"));
        }
        if !matches!(error.kind, Kind::Transport | Kind::Authentication | Kind::RepositoryNotFound | Kind::Failed) {
            return error;
        }
        if let Some(refused) = self.refused(began) {
            return refused;
        }
        let others: Vec<&str> = reached.password_refused.iter().map(String::as_str).collect();
        if error.kind == Kind::Authentication && !others.is_empty() {
            let target = self.address.target().unwrap_or_default();
            return error.hint(format!(
                "the password is for {target} and was not given to {}, which asked for one",
                others.join(", ")
            ));
        }
        if error.message.contains("Host key verification failed") {
            return error.hint(
                "the machine shows another key than the one it is known by, or none is known: see `--known-hosts`, and `--ssh-agent`, with which \
                 keys that are seen for the first time are taken and told",
            );
        }
        error
    }

    /// What the sandbox's network has refused since then.
    fn refused(&self, began: u64) -> Option<Error> {
        let entry = self.site.sandboxes().ok()?.find(self.sandbox).ok()?;
        let target = self.address.target()?;
        let local =
            self.address.host == "localhost" || self.address.host.starts_with("127.") || self.address.host == "::1";
        let message = format!("the sandbox may not reach {target}");
        match entry.spec().ok()?.net {
            Network::None if !local => {
                let hint = format!(
                    "it has no network: make it with `--allow {target}`, or with `--net only` to say later what it may reach"
                );
                return Some(Error::new(Kind::NetworkRefused, message).hint(hint));
            }
            Network::None | Network::Host => return None,
            Network::Open | Network::Only => {}
        }
        let mut denied: Option<Event> = None;
        // What cannot be read is not known.
        let _ = sandbox::follow_network(&entry, false, &mut |event| {
            if event.at >= began && event.verdict == Some(Allowance::Denied) {
                denied = Some(event);
            }
            Ok(())
        });
        let event = denied?;
        let meant = event.name.as_deref() == Some(self.address.host.as_str())
            || event.address.is_some_and(|address| address.to_string() == self.address.host);
        let place = if meant { target.clone() } else { event.target() };
        let flag = match (&event.hint, meant) {
            (_, true) => format!("--allow {target}"),
            (Some(hint), false) => hint.clone(),
            (None, false) => return None,
        };
        let why = event.reason.unwrap_or_default();
        let message = format!("the sandbox may not reach {place}: {why}");
        let name = entry.name();
        let hint = format!(
            "make the sandbox with `{flag}`, or `belljar net set {name}` with all that it may reach and `{flag}`"
        );
        Some(Error::new(Kind::NetworkRefused, message).hint(hint))
    }
}

impl Caller for Answering<'_> {
    fn credentials(&mut self, question: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(question);
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let (protocol, host) = (value("protocol").unwrap_or_default(), value("host").unwrap_or_default());
        let nothing = b"\n".to_vec();
        let Some(credentials) = self.credentials else { return nothing };
        let other = value("username").is_some_and(|user| user != credentials.username);
        let place = Name::from(format!("{protocol}://{host}").as_str()).to_string();
        if other || !self.address.is_asked(protocol, host) {
            // Whoever asks is inside and may ask for ever.
            if self.reached.password_refused.len() < 64 {
                self.reached.password_refused.insert(place);
            }
            return nothing;
        }
        self.reached.password_for.insert(place);
        format!("username={}\npassword={}\n\n", credentials.username, credentials.password).into_bytes()
    }

    fn sign(&mut self, message: &[u8]) -> Vec<u8> {
        let refused = vec![git::agent::FAILURE];
        let Some(agent) = self.agent.filter(|_| git::agent::may_pass(message, self.address.user.as_deref())) else {
            return refused;
        };
        match ask(agent, message) {
            Ok(answer) => {
                // Answers to requests for a signature begin so.
                self.reached.signatures += u32::from(answer.first() == Some(&14));
                answer
            }
            Err(_) => refused,
        }
    }
}

/// Asks the caller's agent.
fn ask(agent: &PathBuf, message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(agent)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&[&(message.len() as u32).to_be_bytes(), message].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST_ANSWER {
        return Err(std::io::Error::other("an answer that is too long"));
    }
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
