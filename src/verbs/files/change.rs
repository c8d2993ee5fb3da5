//! `fs mkdir`, `mv`, `chmod` and `rm`.

use super::{client, octal};
use crate::error::{Error, Problem};
use crate::tools::{Name, Request};
use crate::verbs::faults::{Env, problems_of};
use crate::verbs::words::{Mode, Text, Word};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};

/// What was done to a path.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FileChanged"))]
pub struct Changed {
    /// As it was asked for.
    path: Name,
}

impl Told for Changed {
    fn people(&self) -> String {
        String::new()
    }
}

/// Asks what has no answer but that it is done.
fn order(site: &Site<'_>, sandbox: &str, path: Name, request: &Request) -> Result<Changed, Error> {
    client(site, sandbox)?.ask(request, None, &mut |_| Ok(()), &mut |_| Ok(()))?;
    Ok(Changed { path })
}

/// What a new directory allows.
fn directory_mode() -> Mode {
    Mode("0755".into())
}

/// `belljar fs mkdir`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FsMkdir"))]
pub struct Mkdir {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The path inside
    #[arg(value_name = "PATH")]
    path: Word,
    /// Those above it too, and it is no error if it is there
    #[arg(short, long)]
    #[serde(default)]
    parents: bool,
    /// Permissions, octal
    #[arg(long, value_name = "MODE", default_value = "0755")]
    #[serde(default = "directory_mode")]
    mode: Mode,
}

impl Verb for Mkdir {
    type Told = Changed;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(octal(&self.mode))
    }

    fn run(self, site: &Site<'_>) -> Result<Changed, Error> {
        let (path, mode) = (Name::from(self.path), octal(&self.mode)?);
        let request = Request::MakeDirectory { path: path.clone(), parents: self.parents, mode };
        order(site, &self.sandbox, path, &request)
    }
}

/// `belljar fs rm`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FsRm"))]
pub struct Rm {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The path inside
    #[arg(value_name = "PATH")]
    path: Word,
    /// A directory with all that is in it
    #[arg(short, long)]
    #[serde(default)]
    recursive: bool,
    /// What is not there is no error
    #[arg(short, long)]
    #[serde(default)]
    force: bool,
}

impl Verb for Rm {
    type Told = Changed;

    fn run(self, site: &Site<'_>) -> Result<Changed, Error> {
        let path = Name::from(self.path);
        let request = Request::Remove { path: path.clone(), recursive: self.recursive, force: self.force };
        order(site, &self.sandbox, path, &request)
    }
}

/// `belljar fs mv`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FsMv"))]
pub struct Mv {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The path inside
    #[arg(value_name = "PATH")]
    path: Word,
    /// To where; into it, where it is a directory
    #[arg(value_name = "TO")]
    to: Word,
    /// Replace a file that is there
    #[arg(short, long)]
    #[serde(default)]
    force: bool,
}

impl Verb for Mv {
    type Told = Changed;

    fn run(self, site: &Site<'_>) -> Result<Changed, Error> {
        let path = Name::from(self.path);
        let request = Request::Move { from: path.clone(), to: Name::from(self.to), replace: self.force };
        order(site, &self.sandbox, path, &request)
    }
}

/// `belljar fs chmod`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FsChmod"))]
pub struct Chmod {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The path inside
    #[arg(value_name = "PATH")]
    path: Word,
    /// Permissions, octal
    #[arg(value_name = "MODE")]
    mode: Mode,
    /// Of everything in it too
    #[arg(short, long)]
    #[serde(default)]
    recursive: bool,
}

impl Verb for Chmod {
    type Told = Changed;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(octal(&self.mode))
    }

    fn run(self, site: &Site<'_>) -> Result<Changed, Error> {
        let (path, mode) = (Name::from(self.path), octal(&self.mode)?);
        let request = Request::ChangeMode { path: path.clone(), mode, recursive: self.recursive };
        order(site, &self.sandbox, path, &request)
    }
}
