//! `fs watch`: what changes in a directory of a sandbox, as it changes.

use crate::error::{Error, Problem};
use crate::tools::{Changed, Client, Name, Request, What};
use crate::verbs::words::{Text, Word};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io;

/// `belljar fs watch`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FsWatch"))]
#[command(
    after_help = "Stays until Ctrl-C, the end of the sandbox or that of the directory. In `rpc` it takes `stream`, and each line is an object, \
with `what` (begun, created, written, removed, renamed, permissions) and `path`, which counts from the directory."
)]
pub struct Watch {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The directory inside
    #[arg(value_name = "PATH")]
    path: Word,
    /// What is below it too
    #[arg(short, long)]
    #[serde(default)]
    recursive: bool,
}

/// A directory that was watched to its end.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DirectoryWatched {
    /// The directory.
    path: Name,
    /// How many changes there were.
    changes: u64,
}

impl Verb for Watch {
    type Told = DirectoryWatched;

    fn run(self, site: &Site<'_>) -> Result<DirectoryWatched, Error> {
        // First, so that a sandbox that is not there is said in the same way by every verb.
        site.sandboxes()?.find(&self.sandbox)?;
        let Some(live) = site.live else {
            let problem = Problem::new("stream", "is needed, since changes are told as they come");
            return Err(Error::misused(vec![problem.hint("leave `--json` out; in `rpc` add `\"stream\": true`")]));
        };
        let mut out = live();
        let path = Name::from(self.path);
        let (mut changes, is_read) = (0, site.is_read);
        let mut client = Client::start(site.home()?, OsStr::new(&*self.sandbox), false)?;
        let mut line = |changed: Changed| -> io::Result<()> {
            let begun = changed.what == What::Begun;
            changes += u64::from(!begun);
            if is_read {
                serde_json::to_writer(&mut out, &changed)?;
                out.write_all(b"\n")?;
            } else if !begun {
                writeln!(out, "{:<12} {}", changed.what.name(), changed.path)?;
            }
            out.flush()
        };
        client.follow(&Request::Watch { path: path.clone(), recursive: self.recursive }, &mut line)?;
        Ok(DirectoryWatched { path, changes })
    }
}

impl Told for DirectoryWatched {
    fn people(&self) -> String {
        String::new()
    }
}
