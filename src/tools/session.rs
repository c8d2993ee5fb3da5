//! Sessions: what goes on inside between calls, without anybody waiting for it outside.
//!
//! A session is a shell, an interpreter or a single command, with a keeper: a process of our own program inside the sandbox, started by
//! the [tool](super::inside) and left behind by it. The keeper runs jobs one after another, holds what they wrote, and listens on a
//! socket in a directory of its own, `/tmp/.belljar-UID/ID`. It ends with the sandbox, or when it is told to, and then everything that
//! its jobs have started ends too. Whoever else is inside may do what he likes to it: he gains nothing that he does not have.

mod descendants;
mod interpreter;
mod jobs;
pub mod keeper;
mod pump;
mod shell;
pub mod terminal;

use super::wire;
use super::{Name, Trouble};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::io::{self, BufRead as _, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// bash, or sh where there is none: directory, variables and functions stay from job to job.
    Shell,
    /// A Python interpreter: globals stay.
    Python,
    /// A Node interpreter: globals stay.
    Node,
    /// One command, which is its only job.
    Command,
    /// The same with a terminal of its own; without words a shell.
    Terminal,
}

impl Kind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Shell => "shell",
            Kind::Python => "python",
            Kind::Node => "node",
            Kind::Command => "command",
            Kind::Terminal => "terminal",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Kind> {
        [Kind::Shell, Kind::Python, Kind::Node, Kind::Command, Kind::Terminal]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// What is asked of sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Makes one.
    Create {
        /// What.
        kind: Kind,
        /// Of a command, its words.
        words: Vec<Name>,
        /// Variables on top of the sandbox's.
        env: Vec<(Name, Name)>,
        /// Where it begins; the sandbox's working directory, where nothing is said.
        directory: Option<Name>,
    },
    /// What is known of it; of all, where no session is named. Items are [`Session`]s.
    Look,
    /// Runs a job when those before it are done. Items are [`Said`].
    Run {
        /// Lines for the shell, or code.
        text: String,
        /// Whether to wait for its end, and hear what it writes. Else it may be given input.
        wait: bool,
        /// Milliseconds until it is interrupted.
        timeout_ms: Option<u64>,
    },
    /// What a job wrote. Items are [`Said`].
    Logs {
        /// Its number.
        job: u64,
        /// Until it ends.
        follow: bool,
    },
    /// Gives bytes to what a job reads.
    Input {
        /// Its number.
        job: u64,
        /// The bytes.
        bytes: Name,
    },
    /// Gives its terminal another size.
    Resize {
        /// From 1 to 1000.
        columns: u16,
        /// From 1 to 1000.
        rows: u16,
    },
    /// Ends it, and everything that it has started.
    Remove,
}

/// What is known of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// How its shell, interpreter or command ended, if it has: exit code, or 128 and the number of a signal.
    pub ended: Option<i32>,
    /// The last of its jobs.
    pub jobs: Vec<JobState>,
}

/// What is known of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobState {
    /// From 1.
    pub job: u64,
    /// What was asked for.
    pub text: String,
    /// How it ended, if it has.
    pub end: Option<End>,
}

/// How a job ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Of a shell's job or a command.
    pub exit_code: Option<i32>,
    /// The session ended with it, or before it.
    pub session_ended: bool,
    /// It was interrupted because its time was over.
    pub timed_out: bool,
    /// What code raised.
    pub error: Option<Raised>,
}

/// An exception.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Raised {
    /// Its class.
    pub name: String,
    /// What it says.
    pub value: String,
    /// Where it came from, as the interpreter shows it.
    pub traceback: String,
}

/// One thing that a job says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// Its number.
    Job(u64),
    /// Bytes on standard output.
    Stdout(Name),
    /// Bytes on standard error.
    Stderr(Name),
    /// A value or a picture, by its media type: text as it is, anything else as base64.
    Result {
        /// `text/plain`, `text/html`, `image/png`.
        media_type: String,
        /// The content.
        data: String,
    },
    /// What it wrote from here on was dropped: there was too much.
    Truncated,
    /// Its end.
    Ended(End),
}

/// The hidden word for a keeper: `keep-session ID KIND [WORD...]`.
pub const KEEP: &str = "keep-session";

/// Whether a session may be called so.
pub fn is_id(id: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= 64 && id.bytes().all(good) && !id.starts_with('.')
}

/// Where the sessions of this user are.
fn place() -> PathBuf {
    PathBuf::from(format!("/tmp/.belljar-{}", nix::unistd::geteuid()))
}

fn failed(what: &str) -> impl Fn(io::Error) -> Trouble {
    let what = what.to_owned();
    move |error| {
        let trouble = Trouble::of(&error);
        Trouble { message: format!("{what}: {}", trouble.message), ..trouble }
    }
}

/// The tool's part: makes a keeper, or passes on what is asked and what is answered.
pub fn answer(id: Option<&str>, ask: &Ask, to: &mut dyn Write) -> Result<(), Trouble> {
    match (id, ask) {
        (None, Ask::Look) => look_at_all(to),
        (None, _) => Err(Trouble::new("invalid", "no session is named")),
        (Some(id), _) if !is_id(id) => {
            Err(Trouble::new("invalid", format!("`{}` is no id of a session", id.escape_debug()))
                .hint("use letters, digits, `-`, `_` and `.`, at most 64"))
        }
        (Some(id), Ask::Create { kind, words, env, directory }) => create(id, *kind, words, env, directory.as_ref()),
        (Some(id), ask) => pass_on(id, ask, to),
    }
}

fn create(id: &str, kind: Kind, words: &[Name], env: &[(Name, Name)], directory: Option<&Name>) -> Result<(), Trouble> {
    let place = place();
    match DirBuilder::new().mode(0o700).create(&place) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("make a place for sessions")(error));
        }
        _ => {}
    }
    // Made by anybody else it would be his to exchange.
    let found = fs::symlink_metadata(&place).map_err(failed("look at the place for sessions"))?;
    if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() {
        return Err(Trouble::new("denied", "the place for sessions is somebody else's").about(&place.as_path().into()));
    }
    let own = place.join(id);
    match DirBuilder::new().mode(0o700).create(&own) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Trouble::new("exists", format!("there is a session `{id}` already")));
        }
        made => made.map_err(failed("make a place for the session"))?,
    }
    let mut command = Command::new("/proc/self/exe");
    command.arg(KEEP).arg(id).arg(kind.name()).args(words.iter().map(|word| word.path().as_os_str()));
    command.envs(env.iter().map(|(name, value)| (name.path(), value.path())));
    command.current_dir(directory.map_or(std::path::Path::new("."), Name::path));
    let started = start(command);
    if started.is_err() {
        // What kept it from being made is what is told.
        let _ = fs::remove_dir_all(&own);
    }
    started
}

/// Starts the keeper, and waits until it listens or has said why it does not.
fn start(mut command: Command) -> Result<(), Trouble> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed("start the session"))?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        io::BufReader::new(out.take(64 << 10)).read_line(&mut line).map_err(failed("start the session"))?;
    }
    match line.strip_suffix('\n') {
        Some("ready") => Ok(()),
        Some(why) => Err(wire::parse(why.as_bytes()).map_err(failed("start the session"))?),
        None => Err(Trouble::new("failed", "the session ended before it was ready")),
    }
}

/// Passes on one request and its answers, frame by frame.
fn pass_on(id: &str, ask: &Ask, to: &mut dyn Write) -> Result<(), Trouble> {
    let own = place().join(id);
    let gone = || Trouble::new("not_found", format!("no session `{id}`"));
    let mut socket = match UnixStream::connect(own.join("socket")) {
        Ok(socket) => socket,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(gone()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // Its keeper was killed, or went with the sandbox's last run.
            let _ = fs::remove_dir_all(&own);
            return Err(gone());
        }
        Err(error) => return Err(failed("reach the session")(error)),
    };
    wire::write_json(&mut socket, wire::REQUEST, ask).map_err(failed("reach the session"))?;
    let mut frame = Vec::new();
    loop {
        match wire::read(&mut socket, &mut frame).map_err(failed("hear the session"))? {
            Some(wire::END) => {
                return match wire::parse::<wire::Ending>(&frame).map_err(failed("hear the session"))? {
                    Some(trouble) => Err(trouble),
                    None => Ok(()),
                };
            }
            Some(kind) => {
                wire::write(to, kind, &frame)
                    .and_then(|()| to.flush())
                    .map_err(failed("tell what the session says"))?;
            }
            None if *ask == Ask::Remove => return Ok(()),
            None => return Err(Trouble::new("ended", format!("the session `{id}` was killed"))),
        }
    }
}

fn look_at_all(to: &mut dyn Write) -> Result<(), Trouble> {
    let listed = match fs::read_dir(place()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed.map_err(failed("look at the sessions"))?,
    };
    let mut ids: Vec<String> = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    ids.sort();
    for id in ids.iter().filter(|id| is_id(id)) {
        match pass_on(id, &Ask::Look, to) {
            Err(trouble) if matches!(trouble.kind.as_str(), "not_found" | "ended") => {}
            result => result?,
        }
    }
    Ok(())
}
