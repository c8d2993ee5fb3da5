//! `git stash`.

use super::here;
use super::run::Repository;
use crate::error::{Error, Kind, Problem};
use crate::git;
use crate::verbs::faults::{Env, problems_of};
use crate::verbs::text::{heading, moment, table};
use crate::verbs::words::{Text, Word, number_or_none};
use crate::verbs::{Site, Told, Verb};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;

/// What to do with changes that were put aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitStashDeed"))]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Put all changes aside
    #[default]
    Push,
    /// Bring them back, and forget them
    Pop,
    /// Bring them back, and keep them
    Apply,
    /// Forget them
    Drop,
    /// List them
    List,
}

/// `belljar git SANDBOX stash`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitStashOf"))]
pub struct Stash {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// What to do
    #[arg(value_name = "DEED", default_value = "push")]
    #[serde(default)]
    deed: Deed,
    /// Which, by its number [default: the newest]
    #[arg(value_name = "N")]
    #[serde(default, deserialize_with = "number_or_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::verbs::words::Count>"))]
    index: Option<u64>,
    /// What it says, of `push`
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    message: Option<Word>,
    /// Put files aside too that git does not know
    #[arg(short = 'u', long)]
    #[serde(default)]
    include_untracked: bool,
}

/// What is put aside, after what was done.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitStashes"))]
pub struct Stashes {
    /// The newest first.
    stashes: Vec<git::Stash>,
}

impl Stash {
    fn check(&self) -> Result<(), Error> {
        let is_push = self.deed == Deed::Push;
        let mut problems = Vec::new();
        for (field, given) in [("message", self.message.is_some()), ("include_untracked", self.include_untracked)] {
            if given && !is_push {
                problems.push(Problem::new(field, "goes only with `push`").hint("leave it out"));
            }
        }
        if self.index.is_some() && matches!(self.deed, Deed::Push | Deed::List) {
            problems.push(Problem::new("index", "goes only with `pop`, `apply` and `drop`").hint("leave it out"));
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::misused(problems)) }
    }
}

impl Verb for Stash {
    type Told = Stashes;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.check())
    }

    fn run(self, site: &Site<'_>) -> Result<Stashes, Error> {
        self.check()?;
        let mut repository = Repository::new(site, &self.sandbox, &self.path);
        // It names files by patterns of its own.
        repository.env.push(("GIT_LITERAL_PATHSPECS".into(), "0".into()));
        let mut words: Vec<OsString> = vec!["stash".into()];
        let deed = match self.deed {
            Deed::Push => "push",
            Deed::Pop => "pop",
            Deed::Apply => "apply",
            Deed::Drop => "drop",
            Deed::List => "list",
        };
        words.push(deed.into());
        words.extend(self.include_untracked.then(|| "--include-untracked".into()));
        words.extend(self.message.map(|message| {
            let mut word = OsString::from("--message=");
            word.push(message.0);
            word
        }));
        if matches!(self.deed, Deed::Pop | Deed::Apply) {
            words.push("--index".into());
        }
        words.extend(self.index.map(|index| format!("stash@{{{index}}}").into()));
        let said = if self.deed == Deed::List { Vec::new() } else { repository.change(words)? };
        if self.deed == Deed::Push && said.starts_with(b"No local changes to save") {
            let error = Error::new(Kind::NothingToCommit, "nothing has changed that could be put aside");
            return Err(error.hint("files that are not tracked come with `--include-untracked`"));
        }
        let listed = repository.look(["stash", "list", "-z", git::STASH_FORMAT])?;
        Ok(Stashes { stashes: git::stashes(&listed)? })
    }
}

impl Told for Stashes {
    fn people(&self) -> String {
        if self.stashes.is_empty() {
            return "nothing is put aside\n".to_owned();
        }
        let mut rows = vec![heading(["N", "TIME", "WHAT"])];
        let row = |one: &git::Stash| vec![one.index.to_string(), moment(one.time), one.message.to_string()];
        rows.extend(self.stashes.iter().map(row));
        table(&rows)
    }
}
