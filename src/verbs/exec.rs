//! `exec`: a command in a persistent sandbox.

use super::faults::{Env, Faults, problems_of};
use super::options::{EXIT_CODES, FILES, IDENTITY, IO, LIMITS};
use super::session::{new_id, send_request};
use super::words::{Deadline, Ids, OutputLimit, Text, Word, many, pairs};
use super::{Site, Told, Verb, wish};
use crate::error::{Error, Problem};
use crate::name::Name;
use crate::outcome::Outcome;
use crate::sandbox;
use crate::spec::{self, Spec};
use crate::tools::session::{Ask, Kind};
use clap::Args;
use serde::{Deserialize, Serialize};

/// `belljar exec`.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[command(override_usage = "belljar exec [OPTIONS] NAME [--] COMMAND [ARG]...", after_help = EXIT_CODES)]
pub struct Exec {
    /// Leave it behind as a session of its own, and print that session's id [default: off]
    #[arg(short, long, conflicts_with = "status_fd")]
    #[serde(default)]
    pub detach: bool,
    /// Wall clock, in seconds or with h, m, s, ms; or `none` [default: none]
    ///
    /// When it has passed, the command and everything that it has started is killed (status timed_out, exit code 124).
    #[arg(long, value_name = "TIME", help_heading = LIMITS, allow_hyphen_values = true)]
    pub timeout: Option<Deadline>,
    /// Output per stream, in bytes or with K, M, G; `SIZE:kill` ends the command [default: 10M when captured]
    #[arg(long, value_name = "SIZE[:kill]", help_heading = LIMITS, allow_hyphen_values = true)]
    pub output_limit: Option<OutputLimit>,
    /// Working directory inside, absolute [default: the sandbox's]
    #[arg(long, value_name = "DIR", help_heading = FILES)]
    pub workdir: Option<Word>,
    /// Ids of a sandbox with a range of them, as numbers [default: the sandbox's]
    #[arg(long, value_name = "UID[:GID]", help_heading = IDENTITY, allow_hyphen_values = true)]
    pub user: Option<Ids>,
    /// Set a variable; `K` alone copies the caller's (repeatable) [default: the sandbox's]
    #[arg(long, value_name = "K=V", help_heading = IDENTITY)]
    #[serde(default, deserialize_with = "pairs")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::Pairs"))]
    pub env: Vec<Word>,
    /// Read standard input from a file [default: the caller's standard input]
    #[arg(long, value_name = "FILE", help_heading = IO)]
    pub stdin: Option<Word>,
    /// Give the command a terminal of its own [default: off]
    #[arg(short, long, help_heading = IO)]
    #[serde(default)]
    pub tty: bool,
    /// Read the caller's standard input, which is always so: for those who write `-it`
    #[arg(short, long, help_heading = IO)]
    #[serde(default)]
    pub interactive: bool,
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    pub name: Option<Text>,
    /// The command and its arguments
    ///
    /// Everything from it on is its own, options too.
    #[arg(value_name = "COMMAND", trailing_var_arg = true, num_args = 0..)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    pub command: Vec<Word>,
}

impl Exec {
    /// The sandbox's name and what is to run in it; nothing is opened.
    ///
    /// # Errors
    ///
    /// `misused`, with everything that is wrong with it.
    pub fn request(self, env: Env<'_>) -> Result<(String, sandbox::Exec), Error> {
        let mut faults = Faults::default();
        let name = self.name.map(|name| name.0).unwrap_or_default();
        if name.is_empty() {
            faults.0.push(Problem::new("name", "is missing").hint("`belljar ls` lists the sandboxes"));
        }
        if self.command.is_empty() {
            let problem = Problem::new("command", "is missing");
            faults.0.push(problem.hint("end with what to run, as in `belljar exec NAME -- ls -l`"));
        }
        if self.detach {
            let given = [
                ("timeout", self.timeout.is_some()),
                ("output_limit", self.output_limit.is_some()),
                ("user", self.user.is_some()),
                ("stdin", self.stdin.is_some()),
                ("tty", self.tty),
            ];
            let given = given.into_iter().filter(|(_, given)| *given);
            faults.0.extend(
                given.map(|(field, _)| {
                    Problem::new(field, "does not go with `detach`").hint("leave it or `--detach` out")
                }),
            );
        }
        let command = sandbox::Exec {
            own: None,
            stopped_too: false,
            words: self.command.into_iter().map(|word| word.0).collect(),
            env: self.env.into_iter().filter_map(|word| faults.variable(word.0, env)).collect(),
            workdir: self.workdir.map(|path| path.0.into()),
            user: self.user.and_then(|word| faults.word("user", &word.to_string_lossy(), spec::parse_user)),
            timeout: self.timeout.and_then(|word| faults.unit("timeout", &*word, spec::parse_timeout)).flatten(),
            output_limit: self
                .output_limit
                .and_then(|word| faults.unit("output_limit", &*word, spec::parse_output_limit)),
            stdin: self.stdin.map(|path| path.0.into()),
            tty: self.tty,
            term: wish::term(env),
        };
        if faults.0.is_empty() { Ok((name, command)) } else { Err(Error::misused(faults.0)) }
    }
}

/// What came of it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ExecTold"))]
#[serde(untagged)]
pub enum Executed {
    /// The command ran.
    Ran {
        /// How it went.
        #[serde(flatten)]
        outcome: Box<Outcome>,
        /// What was wished, for what is said of limits.
        #[serde(skip)]
        spec: Box<Spec>,
    },
    /// `--detach`: it runs on.
    Detached {
        /// Version of this object; 1.
        version: u32,
        /// The session that it is.
        session: String,
        /// Its job there; 1.
        job: u64,
    },
}

impl Told for Executed {
    const HAS_VERSION: bool = true;

    fn people(&self) -> String {
        match self {
            Executed::Ran { .. } => String::new(),
            Executed::Detached { session, .. } => format!("{session}\n"),
        }
    }

    fn code(&self) -> i32 {
        match self {
            Executed::Ran { outcome, .. } => outcome.exit_code(),
            Executed::Detached { .. } => 0,
        }
    }
}

impl Verb for Exec {
    type Told = Executed;

    const RUNS_A_COMMAND: bool = true;

    fn faults(self, env: Env<'_>) -> Vec<Problem> {
        problems_of(self.request(env))
    }

    fn run(self, site: &Site<'_>) -> Result<Executed, Error> {
        let detach = self.detach;
        let (name, command) = self.request(site.env)?;
        let (sandboxes, store) = (site.sandboxes()?, site.store()?);
        if detach {
            return start_detached(site, &name, command);
        }
        let (outcome, spec) = sandbox::exec(&sandboxes, &name, Some(&store), &command, site.delivery())?;
        Ok(Executed::Ran { outcome: Box::new(outcome), spec: Box::new(spec) })
    }
}

/// Starts the command as a session of its own.
fn start_detached(site: &Site<'_>, name: &str, command: sandbox::Exec) -> Result<Executed, Error> {
    let session = new_id("run");
    let pair = |(name, value)| (Name::from(name), Name::from(value));
    let ask = Ask::Create {
        kind: Kind::Command,
        words: command.words.into_iter().map(Name::from).collect(),
        env: command.env.into_iter().map(pair).collect(),
        directory: command.workdir.as_deref().map(Name::from),
    };
    send_request(site.home()?, name, &session, ask)?;
    Ok(Executed::Detached { version: 1, session, job: 1 })
}
