//! The verbs of files in sandboxes.

use clap::{Args, Subcommand};
use std::ffi::OsString;

/// `belljar cp`.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(
    override_usage = "belljar cp [OPTIONS] SANDBOX:PATH... PATH\n       belljar cp [OPTIONS] PATH... SANDBOX:PATH",
    after_help = "A directory is copied with all that is in it, and into the place that is named, where that is a directory; DIR/. is what is \
in it alone. Several are copied into a directory that is there. With - as PATH a file's bytes go to stdout or come from stdin. Links \
are copied as links. Fifos, sockets and devices are left out and named; so is what cannot be read, and the exit code is 1 then. Relative paths inside count from the sandbox's working directory."
)]
pub struct Copy {
    /// Where from: a path here, `SANDBOX:PATH`, or `-`
    #[arg(value_name = "FROM", required = true, allow_hyphen_values = true)]
    pub from: Vec<OsString>,
    /// Where to: a path here, `SANDBOX:PATH`, or `-`
    #[arg(value_name = "TO", allow_hyphen_values = true)]
    pub to: OsString,
    /// No progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `belljar fs`.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "All of it is done inside, by the sandbox's own rules. Also works on a kept sandbox that is stopped. \
Relative paths count from the sandbox's working directory."
)]
pub struct Fs {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// A path in a sandbox.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct At {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    pub sandbox: OsString,
    /// The path inside
    #[arg(value_name = "PATH")]
    pub path: OsString,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// A directory in a sandbox, maybe the one that commands begin in.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Place {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    pub sandbox: OsString,
    /// The path inside [default: the sandbox's working directory]
    #[arg(value_name = "PATH", default_value = ".", hide_default_value = true)]
    pub path: OsString,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

impl From<Place> for At {
    fn from(Place { sandbox, path, json }: Place) -> At {
        At { sandbox, path, json }
    }
}

/// What to do with files.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Verb {
    /// List a directory
    Ls {
        /// Where.
        #[command(flatten)]
        at: Place,
        /// Levels down
        #[arg(long, value_name = "N", default_value_t = 1)]
        depth: u32,
    },
    /// Show a directory with all that is in it
    Tree {
        /// Where.
        #[command(flatten)]
        at: Place,
        /// Levels down [default: all]
        #[arg(long, value_name = "N")]
        depth: Option<u32>,
    },
    /// Show what a path is
    Stat(At),
    /// Print a file
    Cat {
        /// Where.
        #[command(flatten)]
        at: At,
        /// The first byte
        #[arg(long, value_name = "BYTES", default_value_t = 0)]
        offset: u64,
        /// How many bytes, at most
        #[arg(long, value_name = "BYTES")]
        length: Option<u64>,
    },
    /// Write standard input to a file, all at once or not at all
    Write {
        /// Where.
        #[command(flatten)]
        at: At,
        /// Permissions, octal [default: those of the file that is there, else 0644]
        #[arg(long, value_name = "MODE")]
        mode: Option<String>,
        /// Make the directories above it
        #[arg(short, long)]
        parents: bool,
        /// Behind what is there
        #[arg(short, long)]
        append: bool,
    },
    /// Make a directory
    Mkdir {
        /// Where.
        #[command(flatten)]
        at: At,
        /// Those above it too, and it is no error if it is there
        #[arg(short, long)]
        parents: bool,
        /// Permissions, octal
        #[arg(long, value_name = "MODE", default_value = "0755")]
        mode: String,
    },
    /// Remove a file or an empty directory
    Rm {
        /// Where.
        #[command(flatten)]
        at: At,
        /// A directory with all that is in it
        #[arg(short, long)]
        recursive: bool,
        /// What is not there is no error
        #[arg(short, long)]
        force: bool,
    },
    /// Rename, or move to another directory
    Mv {
        /// From where.
        #[command(flatten)]
        at: At,
        /// To where; into it, where it is a directory
        #[arg(value_name = "TO")]
        to: OsString,
        /// Replace a file that is there
        #[arg(short, long)]
        force: bool,
    },
    /// Set permissions
    Chmod {
        /// Where.
        #[command(flatten)]
        at: At,
        /// Permissions, octal
        #[arg(value_name = "MODE")]
        mode: String,
        /// Of everything in it too
        #[arg(short, long)]
        recursive: bool,
    },
    /// List paths below a directory by name and kind
    Find {
        /// Where.
        #[command(flatten)]
        at: At,
        /// What a name must match, as in `*.py`
        #[arg(long, value_name = "PATTERN")]
        name: Option<String>,
        /// `file`, `directory`, `link` or `special`
        #[arg(long, value_name = "KIND", value_parser = ["file", "directory", "link", "special"])]
        kind: Option<String>,
        /// Levels down [default: all]
        #[arg(long, value_name = "N")]
        depth: Option<u32>,
    },
    /// Print the lines of text files that have TEXT in them
    Grep {
        /// Where: a file, or a directory with all that is in it.
        #[command(flatten)]
        at: At,
        /// The text, as it is
        #[arg(value_name = "TEXT")]
        text: String,
        /// What a file's name must match, as in `*.py`
        #[arg(long, value_name = "PATTERN")]
        name: Option<String>,
        /// Small and capital letters are the same
        #[arg(short, long)]
        ignore_case: bool,
    },
    /// Replace a text in files, everywhere
    Replace {
        /// The sandbox, by its name or the beginning of its id
        #[arg(value_name = "SANDBOX")]
        sandbox: OsString,
        /// The text, as it is
        #[arg(value_name = "TEXT")]
        text: String,
        /// What comes in its place
        #[arg(value_name = "NEW")]
        new: String,
        /// The files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<OsString>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Everything about files.
#[derive(Clone, Debug, PartialEq)]
pub enum FilesVerb {
    /// `belljar cp`.
    Copy(Copy),
    /// `belljar fs`.
    Fs(Verb),
}
