//! `belljar session` and its verbs.

use clap::{Args, Subcommand};
use std::ffi::OsString;

/// `belljar session`.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "A session is a shell, an interpreter (`belljar code --context`) or a single command (`belljar exec --detach`) that goes on inside a \
sandbox between calls. Its jobs run one after another, and what they have set stays."
)]
pub struct Session {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct One {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    pub sandbox: OsString,
    /// The session
    #[arg(value_name = "ID")]
    pub id: String,
}

/// What to do with sessions.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Verb {
    /// Start a shell
    Create {
        /// Which.
        #[command(flatten)]
        one: One,
        /// Where it begins [default: the sandbox's working directory]
        #[arg(long, value_name = "DIR")]
        workdir: Option<OsString>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the sessions of a sandbox
    Ls {
        /// The sandbox, by its name or the beginning of its id
        #[arg(value_name = "SANDBOX")]
        sandbox: OsString,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Run lines of shell in a session, after those before them
    Exec {
        /// Which.
        #[command(flatten)]
        one: One,
        /// The lines, as the shell takes them
        #[arg(value_name = "LINES")]
        text: String,
        /// Do not wait for their end; print the number of the job
        #[arg(short, long)]
        detach: bool,
        /// Interrupt them after this time, as in 30s or 2m [default: never]
        #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "detach")]
        timeout: Option<OsString>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print what a job has written
    Logs {
        /// Which.
        #[command(flatten)]
        one: One,
        /// The number of the job [default: 1]
        #[arg(value_name = "JOB", default_value_t = 1)]
        job: u64,
        /// Go on until it ends
        #[arg(short, long)]
        follow: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Give standard input to what a job reads that was started with --detach
    Input {
        /// Which.
        #[command(flatten)]
        one: One,
        /// The number of the job
        #[arg(value_name = "JOB")]
        job: u64,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Interrupt a job, as the end of its time does; those behind it go on
    Interrupt {
        /// Which.
        #[command(flatten)]
        one: One,
        /// The number of the job [default: the one that runs]
        #[arg(value_name = "JOB")]
        job: Option<u64>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// End a session, and everything that it has started
    Rm {
        /// Which.
        #[command(flatten)]
        one: One,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// `belljar pty`.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "`belljar session ls` lists terminals among the sessions, and `belljar session rm` ends them."
)]
pub struct Pty {
    /// What to do.
    #[command(subcommand)]
    pub verb: PtyVerb,
}

/// What to do with terminals.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum PtyVerb {
    /// Start a shell, or a command, with a terminal of its own
    Create {
        /// Which.
        #[command(flatten)]
        one: One,
        /// Where it begins [default: the sandbox's working directory]
        #[arg(long, value_name = "DIR")]
        workdir: Option<OsString>,
        /// The command and its arguments [default: bash, or sh]
        #[arg(value_name = "COMMAND", last = true, num_args = 0..)]
        words: Vec<OsString>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Look at it and type into it; Ctrl-] leaves it alone again
    Attach {
        /// Which.
        #[command(flatten)]
        one: One,
    },
    /// Give it another size
    Resize {
        /// Which.
        #[command(flatten)]
        one: One,
        /// Columns
        #[arg(value_name = "COLUMNS")]
        columns: u16,
        /// Rows
        #[arg(value_name = "ROWS")]
        rows: u16,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}
