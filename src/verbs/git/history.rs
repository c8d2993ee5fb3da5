//! `git log`, `diff` and `show`.

use super::here;
use super::run::{Repository, check_names};
use crate::error::{Error, Kind, Problem};
use crate::git::{self, Change};
use crate::name::{Name, escaped};
use crate::outcome::Encoding;
use crate::verbs::faults::{Env, problems_of};
use crate::verbs::text::moment;
use crate::verbs::words::{Text, Word, many, number};
use crate::verbs::{Site, Told, Verb};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;

/// `belljar git SANDBOX log`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitLog"))]
pub struct Log {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// The commit or branch to begin with, or a range as in `main..topic` [default: what is checked out]
    #[arg(value_name = "COMMIT")]
    from: Option<Word>,
    /// Commits at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = hundred())]
    #[serde(default = "hundred", deserialize_with = "number")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::Count"))]
    limit: u64,
    /// Commits to pass over first
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[serde(default, deserialize_with = "number")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::Count"))]
    skip: u64,
    /// Only commits that changed this file, or something in this directory (repeatable)
    #[arg(long = "file", value_name = "FILE")]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    files: Vec<Word>,
}

fn hundred() -> u64 {
    100
}

/// Commits.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitCommits"))]
pub struct Commits {
    /// The newest first.
    commits: Vec<git::Commit>,
}

impl Verb for Log {
    type Told = Commits;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(check_names([("from", self.from.as_ref())]))
    }

    fn run(self, site: &Site<'_>) -> Result<Commits, Error> {
        check_names([("from", self.from.as_ref())])?;
        let repository = Repository::new(site, &self.sandbox, &self.path);
        let mut words: Vec<OsString> = ["log", "-z", git::LOG_FORMAT].map(OsString::from).to_vec();
        words.push(format!("--max-count={}", self.limit).into());
        words.push(format!("--skip={}", self.skip).into());
        let any = self.from.is_none();
        words.extend(self.from.map(|from| from.0));
        words.push("--".into());
        words.extend(self.files.into_iter().map(|file| file.0));
        let answer = repository.call(git::Deed::Look, &words)?;
        match answer.code {
            0 => Ok(Commits { commits: git::commits(&answer.stdout)? }),
            _ if any && answer.stderr.windows(10).any(|part| part == b"any commit") => {
                Ok(Commits { commits: Vec::new() })
            }
            _ => Err(repository.failure("log", &answer)),
        }
    }
}

/// A commit in a line.
fn line(commit: &git::Commit) -> String {
    let hash: String = commit.hash.chars().take(12).collect();
    format!("{hash}  {}  {}  {}\n", moment(commit.time), commit.author, commit.subject())
}

impl Told for Commits {
    fn people(&self) -> String {
        if self.commits.is_empty() { "no commits\n".to_owned() } else { self.commits.iter().map(line).collect() }
    }
}

/// What differs, as files and as text.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitDifference"))]
pub struct Difference {
    /// File by file.
    files: Vec<git::ChangedFile>,
    /// Lines that are new, in all of them.
    additions: u64,
    /// Lines that are gone.
    deletions: u64,
    /// The text that patch(1) takes, as `patch_encoding` says; null where it was not wanted.
    patch: Option<String>,
    /// Encoding of `patch`.
    patch_encoding: Option<Encoding>,
}

impl Difference {
    fn of(change: Change, patch: Option<Vec<u8>>) -> Difference {
        let (patch, patch_encoding) = match patch.map(String::from_utf8) {
            None => (None, None),
            Some(Ok(text)) => (Some(text), Some(Encoding::Utf8)),
            Some(Err(bytes)) => (Some(STANDARD.encode(bytes.as_bytes())), Some(Encoding::Base64)),
        };
        let Change { files, additions, deletions } = change;
        Difference { files, additions, deletions, patch, patch_encoding }
    }
}

/// `belljar git SANDBOX diff`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitDiff"))]
pub struct Diff {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// The commit that differs from the files, or from `--to` [default: what is staged]
    #[arg(long, value_name = "COMMIT")]
    from: Option<Word>,
    /// The commit that it differs from
    #[arg(long, value_name = "COMMIT", requires = "from")]
    to: Option<Word>,
    /// What is staged, against the last commit or `--from`
    #[arg(long, conflicts_with = "to")]
    #[serde(default)]
    staged: bool,
    /// The files alone, without the text
    #[arg(long)]
    #[serde(default)]
    summary: bool,
    /// Only these files, and what is in these directories
    #[arg(value_name = "FILE")]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    files: Vec<Word>,
}

impl Diff {
    fn check(&self) -> Result<(), Error> {
        check_names([("from", self.from.as_ref()), ("to", self.to.as_ref())])?;
        let problem = match (&self.from, &self.to, self.staged) {
            (None, Some(_), _) => Problem::new("from", "is missing").hint("say from which commit"),
            (_, Some(_), true) => Problem::new("staged", "does not go with `to`").hint("leave one of them out"),
            _ => return Ok(()),
        };
        Err(Error::misused(vec![problem]))
    }
}

impl Verb for Diff {
    type Told = Difference;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.check())
    }

    fn run(self, site: &Site<'_>) -> Result<Difference, Error> {
        self.check()?;
        let repository = Repository::new(site, &self.sandbox, &self.path);
        let mut rest: Vec<OsString> = Vec::new();
        rest.extend(self.staged.then(|| "--cached".into()));
        rest.extend([self.from, self.to].into_iter().flatten().map(|commit| commit.0));
        rest.push("--".into());
        rest.extend(self.files.into_iter().map(|file| file.0));
        difference(&repository, "diff", &rest, !self.summary)
    }
}

/// Asks twice: for what can be read by programs, and for the text.
fn difference(repository: &Repository<'_>, verb: &str, rest: &[OsString], text: bool) -> Result<Difference, Error> {
    let ask = |words: &[&str]| {
        let words = std::iter::once(verb).chain(words.iter().copied()).map(OsString::from);
        repository.look(words.chain(rest.iter().cloned()))
    };
    let change = git::changes(&ask(&git::DIFF_WORDS)?)?;
    let patch =
        text.then(|| ask(&["--patch", "--find-renames", "--no-ext-diff", "--no-textconv", "--full-index", "--binary"]));
    Ok(Difference::of(change, patch.transpose()?))
}

impl Told for Difference {
    fn people(&self) -> String {
        match (&self.patch, self.patch_encoding) {
            (Some(patch), Some(Encoding::Utf8)) => return patch.clone(),
            (Some(patch), _) => {
                let bytes = STANDARD.decode(patch).unwrap_or_default();
                return bytes.split_inclusive(|byte| *byte == b'\n').map(shown).collect();
            }
            (None, _) => {}
        }
        if self.files.is_empty() {
            return "nothing differs\n".to_owned();
        }
        let mut text = String::new();
        for file in &self.files {
            let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
            let old = file.old_path.as_ref().map(|old| format!("{old} -> ")).unwrap_or_default();
            let (additions, deletions) = (count(file.additions), count(file.deletions));
            text.push_str(&format!("{additions:>6} {deletions:>6}  {old}{}\n", file.path));
        }
        text
    }
}

/// A line of bytes that need be no text.
fn shown(line: &[u8]) -> String {
    match std::str::from_utf8(line) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("{}\n", escaped(line.strip_suffix(b"\n").unwrap_or(line))),
    }
}

/// `belljar git SANDBOX show`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitShow"))]
pub struct Show {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// The commit, or a branch or tag
    #[arg(value_name = "COMMIT", default_value = "HEAD")]
    #[serde(default = "head")]
    commit: Word,
    /// The files alone, without the text
    #[arg(long)]
    #[serde(default)]
    summary: bool,
}

fn head() -> Word {
    Word::from("HEAD")
}

/// A commit, and what it changed; of a merge against its first parent.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitShown"))]
pub struct Shown {
    /// The commit.
    commit: git::Commit,
    /// What it changed.
    changed: Difference,
}

impl Verb for Show {
    type Told = Shown;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(check_names([("commit", Some(&self.commit))]))
    }

    fn run(self, site: &Site<'_>) -> Result<Shown, Error> {
        check_names([("commit", Some(&self.commit))])?;
        let repository = Repository::new(site, &self.sandbox, &self.path);
        let mut commit = self.commit.0;
        commit.push("^{commit}");
        let asked = [OsString::from("log"), "-1".into(), "-z".into(), git::LOG_FORMAT.into(), commit, "--".into()];
        let found = git::commits(&repository.look(asked)?)?.pop();
        let commit = found.ok_or_else(|| Error::new(Kind::RefNotFound, "git inside knows no such commit"))?;
        // By its hash: a branch may have moved meanwhile.
        let rest = ["--format=", "-m", "--first-parent", &commit.hash, "--"].map(OsString::from);
        Ok(Shown { changed: difference(&repository, "show", &rest, !self.summary)?, commit })
    }
}

impl Told for Shown {
    fn people(&self) -> String {
        let commit = &self.commit;
        let message: String = commit
            .message
            .0
            .split(|byte| *byte == b'\n')
            .map(|line| format!("    {}\n", Name(line.to_vec())))
            .collect();
        let (author, email, time) = (&commit.author, &commit.email, moment(commit.time));
        format!("{}\n{author} <{email}>  {time}\n\n{message}\n{}", commit.hash, self.changed.people())
    }
}
