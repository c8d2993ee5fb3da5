//! `git status`.

use super::here;
use super::run::Repository;
use crate::error::{Error, Problem};
use crate::git::{self, State};
use crate::verbs::faults::{Env, problems_of};
use crate::verbs::words::{Text, Word};
use crate::verbs::{Site, Told, Verb};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// Which files are listed that git does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitUntracked"))]
#[serde(rename_all = "snake_case")]
pub enum Untracked {
    /// Each of them
    #[default]
    All,
    /// Directories that hold nothing else, as one
    Normal,
    /// None
    No,
}

impl Untracked {
    fn word(self) -> &'static str {
        match self {
            Untracked::All => "--untracked-files=all",
            Untracked::Normal => "--untracked-files=normal",
            Untracked::No => "--untracked-files=no",
        }
    }
}

/// `belljar git SANDBOX status`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitStatusOf"))]
pub struct Status {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// Which files to list that git does not know
    #[arg(long, value_name = "WHICH", default_value = "all")]
    #[serde(default)]
    untracked: Untracked,
    /// List files too that git is told to ignore
    #[arg(long)]
    #[serde(default)]
    ignored: bool,
}

/// Where the repository stands.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitStatusTold"))]
#[serde(transparent)]
pub struct Stands(git::Status);

impl Status {
    fn check(&self) -> Result<(), Error> {
        if self.ignored && self.untracked == Untracked::No {
            let problem = Problem::new("ignored", "does not go with `untracked`, where that is `no`");
            return Err(Error::misused(vec![problem.hint("leave one of them out")]));
        }
        Ok(())
    }
}

impl Verb for Status {
    type Told = Stands;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.check())
    }

    fn run(self, site: &Site<'_>) -> Result<Stands, Error> {
        self.check()?;
        stands(&Repository::new(site, &self.sandbox, &self.path), self.untracked, self.ignored)
    }
}

/// Where a repository stands, after something was changed too.
pub fn stands(repository: &Repository<'_>, untracked: Untracked, ignored: bool) -> Result<Stands, Error> {
    let mut words = vec!["status", "--porcelain=v2", "-z", "--branch", "--find-renames", untracked.word()];
    if ignored {
        words.push("--ignored=matching");
    }
    Ok(Stands(git::status(&repository.look(words)?)?))
}

impl Stands {
    /// The branch that is checked out, or the commit.
    fn place(&self) -> String {
        let status = &self.0;
        let commit = status.commit.as_deref().map_or("no commit yet", |commit| &commit[..commit.len().min(12)]);
        match &status.branch {
            Some(branch) => format!("on {branch}, {commit}"),
            None => format!("detached at {commit}"),
        }
    }
}

fn letter(state: State) -> char {
    match state {
        State::Unmodified => ' ',
        State::Untracked => '?',
        State::Ignored => '!',
        State::Modified => 'M',
        State::TypeChanged => 'T',
        State::Added => 'A',
        State::Deleted => 'D',
        State::Renamed => 'R',
        State::Copied => 'C',
        State::Unmerged => 'U',
    }
}

impl Told for Stands {
    fn people(&self) -> String {
        let status = &self.0;
        let mut text = self.place();
        match &status.upstream {
            Some(upstream) if status.published => {
                text.push_str(&format!("; {upstream}: {} ahead, {} behind", status.ahead, status.behind));
            }
            Some(upstream) => text.push_str(&format!("; {upstream}: not there yet")),
            None => {}
        }
        text.push('\n');
        for file in &status.files {
            let old = file.old_path.as_ref().map(|old| format!("{old} -> ")).unwrap_or_default();
            let conflict = file.conflict.as_ref().map(|letters| format!("  (conflict {letters})")).unwrap_or_default();
            let (staged, unstaged) = (letter(file.staged), letter(file.unstaged));
            text.push_str(&format!("{staged}{unstaged} {old}{}{conflict}\n", file.path));
        }
        if status.clean {
            text.push_str("nothing differs\n");
        }
        text
    }
}
