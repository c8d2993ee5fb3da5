//! Sessions: processes that keep running inside between calls, with no process outside that waits for them.
//!
//! A session is a shell, an interpreter or a single command, with a keeper: a process of our own program inside the sandbox, started by
//! the [tool](super::inside) and left behind by it. The keeper runs jobs one after another, holds what they wrote, and listens on a
//! socket in a directory of its own, `/tmp/.belljar-UID/ID`. It ends with the sandbox, or when it is told to, and then everything that
//! its jobs have started ends too. Whoever else is inside may do what he likes to it: he gains nothing that he does not have.

pub(in crate::tools) mod descendants;
pub(in crate::tools) mod forward;
mod interpreter;
mod jobs;
pub mod keeper;
mod pump;
mod replay;
mod shell;
pub mod stream;
pub mod terminal;

pub use forward::{answer, attach, killed};
pub use jobs::LONGEST_LOG;

use super::Name;
use super::language::Asked;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "SessionKind"))]
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
    /// One command whose standard input and output are a stream: nothing that it writes is dropped.
    Stream,
    /// A stream that ends when whoever listens to it goes, and that has a moment to be found.
    Bridge,
    /// A language server: [`language`](crate::tools::language).
    Language,
    /// One of which nothing is known, because it does not answer.
    Silent,
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
            Kind::Stream => "stream",
            Kind::Bridge => "bridge",
            Kind::Language => "language",
            Kind::Silent => "silent",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Kind> {
        use Kind::{Bridge, Command, Language, Node, Python, Shell, Stream, Terminal};
        [Shell, Python, Node, Command, Terminal, Stream, Bridge, Language].into_iter().find(|kind| kind.name() == name)
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
        /// What the session has to be.
        kind: Kind,
        /// Lines for the shell, or code.
        text: String,
        /// Whether to wait for its end, and hear what it writes. Else it may be given input.
        wait: bool,
        /// Milliseconds from now on until it is interrupted, whether it has begun or not.
        timeout_ms: Option<u64>,
    },
    /// Interrupts a job, as the end of its time does; one that has not begun does not begin.
    Interrupt {
        /// Its number; the one that runs, where none is said.
        job: Option<u64>,
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
    /// Makes the connection a [`stream`] from here on.
    Attach {
        /// Columns and rows of the caller's terminal, for that of the session.
        size: Option<(u16, u16)>,
    },
    /// A question for a language server. Items are [`Told`](crate::tools::language::Told).
    Language(Asked),
    /// Ends it, and everything that it has started.
    Remove,
}

/// Jobs of which a session tells in a list. A keeper remembers fewer, and lets fewer wait.
pub const MOST_JOBS: usize = 256;
/// Values and pictures of one job that are kept.
pub const MOST_RESULTS: usize = 4096;

/// What is known of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

impl Session {
    /// Whether a keeper of ours can have said this: whoever has taken its place says what he likes.
    pub fn is_credible(&self) -> bool {
        is_id(&self.id) && self.jobs.len() <= MOST_JOBS
    }
}

/// What is known of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Job"))]
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
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "JobEnd"))]
pub struct End {
    /// Of a shell's job or a command.
    pub exit_code: Option<i32>,
    /// The session ended with it, or before it.
    pub session_ended: bool,
    /// It was interrupted because its time was over.
    pub timed_out: bool,
    /// It was interrupted because somebody said so, or because its caller went.
    #[serde(default)]
    pub interrupted: bool,
    /// What code raised; where the session keeps it, and in lists, it is shortened.
    pub error: Option<Raised>,
}

/// An exception.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// A piece of a value or a picture, by its media type: text as it is, anything else as base64.
    Result {
        /// `text/plain`, `text/html`, `image/png`.
        media_type: String,
        /// The content.
        data: String,
        /// Whether the next result is a piece of the same.
        more: bool,
    },
    /// A piece of what code raised, each part behind what was said of it before: it may be longer than the end could hold.
    Raised(Raised),
    /// What it wrote from here on was dropped: there was too much.
    Truncated,
    /// Its end.
    Ended(End),
}

/// Whether a session may be called so.
pub fn is_id(id: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= 64 && id.bytes().all(good) && !id.starts_with('.')
}

/// Where the sessions of this user are.
pub(in crate::tools) fn place() -> PathBuf {
    PathBuf::from(format!("/tmp/.belljar-{}", nix::unistd::geteuid()))
}
