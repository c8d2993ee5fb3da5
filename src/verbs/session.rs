//! `session`: shells, interpreters and commands in a sandbox that keep running between calls.
//!
//! What a job writes is passed on as it comes where the [`Site`] takes it so, else it is in the result, as far as the session keeps it.
//! A job that is waited for is interrupted by what interrupts the caller, and has its result all the same.

mod output;
mod wait;

pub use output::{Collected, Context, Ran};
pub use wait::run as wait_for;

use super::text::{heading, table};
use super::words::{Text, Time, Word, number, number_or_none};
use super::{Site, Told, Verb, table};
use crate::error::{Error, Kind, Problem};
use crate::spec;
use crate::tools::session::{self, Ask};
use crate::tools::{Client, Most, Name, Request, wire};
use crate::verbs::faults::{Env, Faults, problems_of};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

/// How long the tool inside may take for what needs no waiting: to start it takes time of its own where much runs.
const AT_ONCE: Duration = Duration::from_secs(30);
/// The longest piece of code or lines: a frame holds it, escaped.
pub const LONGEST: usize = 128 << 10;
/// What to do with a longer one.
pub const COPY_IT: &str = "copy it in with `belljar cp`, and read it there";
/// Letters of a job's text in a table.
const WIDEST: usize = 200;
/// What one call gives to a job at once.
const PIECE: usize = 32 << 10;

table! {
    /// What to do with sessions.
    Session, METHODS, described {
        /// Start a shell
        Create(Create) = "session.create",
        /// List the sessions of a sandbox
        Ls(Ls) = "session.ls",
        /// Run lines of shell in a session, after those before them
        Exec(Exec) = "session.exec",
        /// Print what a job has written
        Logs(Logs) = "session.logs",
        /// Give standard input to what a job reads that was started with --detach
        Input(Input) = "session.input",
        /// Interrupt a job, as its timeout does; later jobs still run
        Interrupt(Interrupt) = "session.interrupt",
        /// End a session, and everything that it has started
        Rm(Rm) = "session.rm",
    }
}

/// A tool in a sandbox that runs.
///
/// # Errors
///
/// What keeps a process from being started.
pub fn client(home: &Path, sandbox: &str) -> Result<Client, Error> {
    Client::start(home, OsStr::new(sandbox), false)
}

/// Asks of a session what has no answer but that it is done.
///
/// # Errors
///
/// Why it was not done.
pub fn send_request(home: &Path, sandbox: &str, id: &str, ask: Ask) -> Result<(), Error> {
    let mut client = client(home, sandbox)?;
    client.answers_within(AT_ONCE);
    client.order(&Request::Session { id: Some(id.to_owned()), ask })
}

/// Asks about one session, and takes in what it says.
fn collect(home: &Path, (sandbox, id): (&str, &str), ask: Ask, said: &mut Collected<'_>) -> Result<(), Error> {
    let mut client = client(home, sandbox)?;
    if let Ask::Logs { follow: false, .. } | Ask::Run { wait: false, .. } = &ask {
        client.answers_within(AT_ONCE);
    }
    said.collect(&mut client, &Request::Session { id: Some(id.to_owned()), ask })
}

/// An id that nobody has.
pub fn new_id(what: &str) -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{what}-{:08x}", RandomState::new().hash_one(std::process::id()) as u32)
}

/// `belljar session create`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Create {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The session
    #[arg(value_name = "ID")]
    id: Text,
    /// Where it begins [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR")]
    workdir: Option<Word>,
}

/// A session that was made.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "SessionMade"))]
pub struct Made {
    /// Its id.
    pub session: String,
    /// What it is.
    pub kind: session::Kind,
}

impl Verb for Create {
    type Told = Made;

    fn run(self, site: &Site<'_>) -> Result<Made, Error> {
        let home = site.home()?;
        let (kind, directory) = (session::Kind::Shell, self.workdir.map(|word| Name::from(word.0)));
        let ask = Ask::Create { kind, words: Vec::new(), env: Vec::new(), directory };
        send_request(home, &self.sandbox, &self.id, ask)?;
        Ok(Made { session: self.id.0, kind })
    }
}

impl Told for Made {
    fn people(&self) -> String {
        format!("{}\n", self.session)
    }
}

/// `belljar session ls`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ls {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
}

/// The sessions of a sandbox.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sessions {
    /// By their ids.
    sessions: Vec<session::Session>,
}

impl Verb for Ls {
    type Told = Sessions;

    fn run(self, site: &Site<'_>) -> Result<Sessions, Error> {
        let home = site.home()?;
        let mut sessions = Vec::new();
        let mut client = client(home, &self.sandbox)?;
        client.answers_within(AT_ONCE);
        client.list(&Request::Session { id: None, ask: Ask::Look }, Most::Few, &mut |one: session::Session| {
            if !one.is_credible() {
                return Err(wire::nonsense("what is told of a session"));
            }
            sessions.push(one);
            Ok(())
        })?;
        Ok(Sessions { sessions })
    }
}

impl Told for Sessions {
    fn people(&self) -> String {
        if self.sessions.is_empty() {
            return "no sessions\n".to_owned();
        }
        let first = |text: &str| text.lines().next().unwrap_or_default().chars().take(WIDEST).collect::<String>();
        let mut rows = vec![heading(["ID", "KIND", "STATE", "JOBS", "LAST"])];
        rows.extend(self.sessions.iter().map(|one| {
            let state = match one.ended {
                Some(code) => format!("ended ({code})"),
                None if one.kind == session::Kind::Silent => "does not answer".to_owned(),
                None => "running".to_owned(),
            };
            let last = one.jobs.last();
            let text = last.map(|job| Name::from(first(&job.text).as_str()).to_string()).unwrap_or_default();
            let count = last.map_or(0, |job| job.job).to_string();
            vec![one.id.clone(), one.kind.name().to_owned(), state, count, text]
        }));
        table(&rows)
    }
}

/// `belljar session exec`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Exec {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The session
    #[arg(value_name = "ID")]
    id: Text,
    /// The lines, as the shell takes them
    #[arg(value_name = "LINES")]
    lines: Word,
    /// Do not wait for their end; print the number of the job
    #[arg(short, long)]
    #[serde(default)]
    detach: bool,
    /// Interrupt them after this time, as in 30s or 2m [default: never]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    timeout: Option<Time>,
}

impl Exec {
    /// What runs, and for how long at most.
    fn text(&self) -> Result<(String, Option<Duration>), Error> {
        let mut faults = Faults::default();
        let text = faults.text("lines", self.lines.0.clone()).unwrap_or_default();
        let timeout = self.timeout.as_ref().and_then(|time| faults.unit("timeout", &**time, spec::parse_duration));
        if self.detach && self.timeout.is_some() {
            faults.0.push(Problem::new("timeout", "does not go with `detach`").hint("leave it or `--detach` out"));
        }
        if text.len() > LONGEST {
            faults.0.push(Problem::new("lines", "are longer than 128 KiB").hint(COPY_IT));
        }
        faults.none().map(|()| (text, timeout))
    }
}

impl Verb for Exec {
    type Told = Ran;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.text())
    }

    fn run(self, site: &Site<'_>) -> Result<Ran, Error> {
        let home = site.home()?;
        let (text, timeout) = self.text()?;
        let timeout_ms = timeout.map(|time| time.as_millis() as u64);
        let ask = Ask::Run { kind: session::Kind::Shell, text, wait: !self.detach, timeout_ms };
        let mut said = Collected::new(site, None);
        if self.detach {
            collect(home, (&self.sandbox, &self.id), ask, &mut said)?;
            return Ok(said.finish(site)?.whose_number_is_told());
        }
        wait::run(home, (&self.sandbox, &self.id), ask, &mut said)?;
        said.finish(site)
    }
}

/// The job that `session logs` means, where nobody says which.
fn first() -> u64 {
    1
}

/// `belljar session logs`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Logs {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The session
    #[arg(value_name = "ID")]
    id: Text,
    /// The number of the job
    #[arg(value_name = "JOB", default_value_t = first())]
    #[serde(default = "first", deserialize_with = "number")]
    job: u64,
    /// Go on until it ends
    #[arg(short, long)]
    #[serde(default)]
    follow: bool,
}

impl Verb for Logs {
    type Told = Ran;

    fn run(self, site: &Site<'_>) -> Result<Ran, Error> {
        let home = site.home()?;
        let mut said = Collected::new(site, None);
        let ask = Ask::Logs { job: self.job, follow: self.follow };
        collect(home, (&self.sandbox, &self.id), ask, &mut said)?;
        said.finish(site)
    }
}

/// `belljar session input`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Input {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The session
    #[arg(value_name = "ID")]
    id: Text,
    /// The number of the job
    #[arg(value_name = "JOB")]
    #[serde(deserialize_with = "number")]
    job: u64,
}

/// What was given to a job.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InputGiven {
    /// The session.
    session: String,
    /// The number of the job.
    job: u64,
    /// How many bytes it was given.
    bytes: usize,
}

impl Verb for Input {
    type Told = InputGiven;

    fn run(self, site: &Site<'_>) -> Result<InputGiven, Error> {
        let home = site.home()?;
        let (Text(id), job) = (self.id, self.job);
        let ask = |ask: Ask| Request::Session { id: Some(id.clone()), ask };
        let mut client = client(home, &self.sandbox)?;
        // Whether there is such a job is known before anything is read, also where there is nothing to read.
        let mut known = false;
        client.list(&ask(Ask::Look), Most::One, &mut |session: session::Session| {
            known |= session.jobs.iter().any(|one| one.job == job);
            Ok(())
        })?;
        if !known {
            let message = format!("no job {job} in the session `{}`", Name::from(id.as_str()));
            return Err(Error::new(Kind::NotFound, message));
        }
        let (mut stdin, mut piece, mut bytes) = (std::io::stdin().lock(), vec![0; PIECE], 0);
        loop {
            let count = stdin.read(&mut piece).map_err(|error| Error::of_io(&error))?;
            let Some(given) = piece.get(..count).filter(|given| !given.is_empty()) else {
                return Ok(InputGiven { session: id, job, bytes });
            };
            bytes += given.len();
            client.order(&ask(Ask::Input { job, bytes: Name(given.to_vec()) }))?;
        }
    }
}

impl Told for InputGiven {
    fn people(&self) -> String {
        String::new()
    }
}

/// `belljar session interrupt`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Interrupt {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The session
    #[arg(value_name = "ID")]
    id: Text,
    /// The number of the job [default: the one that runs]
    #[arg(value_name = "JOB")]
    #[serde(default, deserialize_with = "number_or_none")]
    job: Option<u64>,
}

/// A session to which something was done.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SessionDone {
    /// Its id.
    session: String,
}

impl Verb for Interrupt {
    type Told = SessionDone;

    fn run(self, site: &Site<'_>) -> Result<SessionDone, Error> {
        let home = site.home()?;
        send_request(home, &self.sandbox, &self.id, Ask::Interrupt { job: self.job })?;
        Ok(SessionDone { session: self.id.0 })
    }
}

impl Told for SessionDone {
    fn people(&self) -> String {
        String::new()
    }
}

/// `belljar session rm`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rm {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The session
    #[arg(value_name = "ID")]
    id: Text,
}

impl Verb for Rm {
    type Told = SessionDone;

    fn run(self, site: &Site<'_>) -> Result<SessionDone, Error> {
        let home = site.home()?;
        send_request(home, &self.sandbox, &self.id, Ask::Remove)?;
        Ok(SessionDone { session: self.id.0 })
    }
}
