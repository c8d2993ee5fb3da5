//! `belljar cp`.

use clap::Args;
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
