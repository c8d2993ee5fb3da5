//! The verbs of sandboxes that last.

use super::{FILES, IDENTITY, IO, LIMITS, SandboxOptions};
use clap::Args;
use std::ffi::OsString;

const LIFE: &str = "Life";

/// `belljar create`.
#[derive(Debug, Args)]
#[command(
    about = "Make a sandbox that lasts, for `exec` and the like",
    override_usage = "belljar create [OPTIONS] [NAME] [-- COMMAND [ARG]...]",
    after_help = "Without a COMMAND it lasts until it is stopped, with one until that ends. It is removed when it ends, with all of \
its files, unless `--keep` is given. Sandboxes are kept in $BELLJAR_HOME, else $XDG_DATA_HOME/belljar, else ~/.local/share/belljar."
)]
pub struct Create {
    /// The options of the sandbox.
    #[command(flatten)]
    pub options: SandboxOptions,
    /// Keep it, with its files, when it ends [default: off]
    #[arg(long, help_heading = LIFE)]
    pub keep: bool,
    /// Remove it after this time, as in 30s or 2h [default: never]
    #[arg(long, value_name = "TIME", help_heading = LIFE, allow_hyphen_values = true)]
    pub ttl: Option<OsString>,
    /// Stop it when it was not called for this time [default: never]
    ///
    /// A command that runs by `exec` is a call, what goes on in the background is not.
    #[arg(long, value_name = "TIME", help_heading = LIFE, allow_hyphen_values = true)]
    pub idle_stop: Option<OsString>,
    /// Remove it when it was not called for this time [default: never]
    #[arg(long, value_name = "TIME", help_heading = LIFE, allow_hyphen_values = true)]
    pub idle_rm: Option<OsString>,
    /// Give it a label (repeatable) [default: none]
    #[arg(long, value_name = "K=V", help_heading = LIFE)]
    pub label: Vec<OsString>,
    /// What to call it [default: its id]
    #[arg(value_name = "NAME")]
    pub name: Option<OsString>,
    /// The sandbox's own command and its arguments
    #[arg(value_name = "COMMAND", last = true, num_args = 0..)]
    pub words: Vec<OsString>,
}

/// `belljar exec`.
#[derive(Debug, Args)]
#[command(
    about = "Run a command in a sandbox that lasts",
    override_usage = "belljar exec [OPTIONS] NAME [--] COMMAND [ARG]...",
    after_help = super::EXIT_CODES
)]
pub struct Exec {
    /// Leave it behind as a session of its own, and print that session's id [default: off]
    #[arg(short, long, conflicts_with_all = ["timeout", "output_limit", "user", "stdin", "tty", "status_fd"])]
    pub detach: bool,
    /// Wall clock, in seconds or with h, m, s, ms; or `none` [default: none]
    ///
    /// When it has passed, the command and everything that it has started is killed (status timed_out, exit code 124).
    #[arg(long, value_name = "TIME", help_heading = LIMITS, allow_hyphen_values = true)]
    pub timeout: Option<OsString>,
    /// Output per stream, in bytes or with K, M, G; `SIZE:kill` ends the command [default: 10M when captured]
    #[arg(long, value_name = "SIZE[:kill]", help_heading = LIMITS, allow_hyphen_values = true)]
    pub output_limit: Option<OsString>,
    /// Working directory inside, absolute [default: the sandbox's]
    #[arg(long, value_name = "DIR", help_heading = FILES)]
    pub workdir: Option<OsString>,
    /// Ids of a sandbox with a range of them, as numbers [default: the sandbox's]
    #[arg(long, value_name = "UID[:GID]", help_heading = IDENTITY, allow_hyphen_values = true)]
    pub user: Option<OsString>,
    /// Set a variable; `K` alone copies the caller's (repeatable) [default: the sandbox's]
    #[arg(long, value_name = "K=V", help_heading = IDENTITY)]
    pub env: Vec<OsString>,
    /// Read standard input from a file [default: the caller's standard input]
    #[arg(long, value_name = "FILE", help_heading = IO)]
    pub stdin: Option<OsString>,
    /// Give the command a terminal of its own [default: off]
    #[arg(short, long, help_heading = IO)]
    pub tty: bool,
    /// Read the caller's standard input, which is always so: for those who write `-it`
    #[arg(short, long, help_heading = IO)]
    pub interactive: bool,
    /// Print the result as one JSON object on stdout, the output in it [default: off]
    #[arg(long, help_heading = IO)]
    pub json: bool,
    /// Write the result without the output to a descriptor, as a number above 2 [default: none]
    #[arg(long, value_name = "N", help_heading = IO, allow_hyphen_values = true)]
    pub status_fd: Option<OsString>,
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    pub name: Option<OsString>,
    /// The command and its arguments
    ///
    /// Everything from it on is its own, options too.
    #[arg(value_name = "COMMAND", trailing_var_arg = true, num_args = 0..)]
    pub words: Vec<OsString>,
}

/// `belljar import`.
#[derive(Debug, Args)]
#[command(
    about = "Make a sandbox from a file that `belljar export` wrote, and start it",
    override_usage = "belljar import [OPTIONS] FILE [NAME]",
    after_help = "Limits, variables, command and labels are the file's, unless options say otherwise. What is the host's is never taken from a file: give \
`--mount`, `--volume`, `--net` and the like again."
)]
pub struct Import {
    /// The options of the sandbox, over those of the file.
    #[command(flatten)]
    pub options: SandboxOptions,
    /// The file, or `-` for standard input
    #[arg(value_name = "FILE")]
    pub file: OsString,
    /// What to call it [default: as it was called]
    #[arg(value_name = "NAME")]
    pub name: Option<OsString>,
}
