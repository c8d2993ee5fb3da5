//! `belljar volume`.

use clap::{Args, Subcommand};
use std::ffi::OsString;

/// `belljar volume`.
#[derive(Clone, Debug, PartialEq, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Sandboxes get a volume by `--volume NAME[/SUB]:DST[:ro]`. What they write stays when they are gone, and counts for no disk limit."
)]
pub struct Volume {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do with volumes.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Verb {
    /// Make an empty volume
    Create {
        /// What to call it
        #[arg(value_name = "NAME")]
        name: OsString,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// List volumes, what they take on the disk, and who has them
    Ls {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Remove volumes and their files
    Rm {
        /// Which
        #[arg(value_name = "NAME", required = true)]
        names: Vec<OsString>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}
