//! `git init`, `add`, `commit`, `reset` and `restore`.

use super::here;
use super::look::{Stands, Untracked, stands};
use super::run::{Repository, check_names};
use crate::error::{Error, Kind, Problem};
use crate::git::{self, Deed};
use crate::name::Name;
use crate::verbs::faults::{Env, problems_of};
use crate::verbs::words::{Text, Word, many, some};
use crate::verbs::{Site, Told, Verb};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;

/// `belljar git SANDBOX init`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitInit"))]
pub struct Init {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// Its directory, which is made where it is not there [default: the sandbox's working directory]
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// The first branch
    #[arg(long, value_name = "NAME", default_value = "main")]
    #[serde(default = "main")]
    branch: Word,
    /// Without a working tree, for others to push to
    #[arg(long)]
    #[serde(default)]
    bare: bool,
}

fn main() -> Word {
    Word::from("main")
}

/// A repository that was made, or was there.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitMade"))]
pub struct Made {
    /// Its directory, absolute.
    path: Name,
    /// Whether it has no working tree.
    bare: bool,
}

impl Verb for Init {
    type Told = Made;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(check_names([("branch", Some(&self.branch))]))
    }

    fn run(self, site: &Site<'_>) -> Result<Made, Error> {
        check_names([("branch", Some(&self.branch))])?;
        let from = here();
        let above = Repository::new(site, &self.sandbox, &from);
        let mut words: Vec<OsString> = vec!["init".into(), "--quiet".into()];
        let mut branch = OsString::from("--initial-branch=");
        branch.push(&self.branch.0);
        words.push(branch);
        words.extend(self.bare.then(|| "--bare".into()));
        words.extend(["--".into(), self.path.0.clone()]);
        above.change(words)?;
        let repository = Repository::new(site, &self.sandbox, &self.path);
        let path = repository.look(["rev-parse", "--absolute-git-dir"])?;
        let git = Name(path.strip_suffix(b"\n").unwrap_or(&path).to_vec());
        let path = if self.bare { git } else { Name(git.0.strip_suffix(b"/.git").unwrap_or(&git.0).to_vec()) };
        Ok(Made { path, bare: self.bare })
    }
}

impl Told for Made {
    fn people(&self) -> String {
        format!("{}\n", self.path)
    }
}

/// `belljar git SANDBOX add`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitAdd"))]
pub struct Add {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// Files, and directories with all that is in them; counted from the directory, and no patterns
    #[arg(value_name = "FILE", required = true)]
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrSome<Word>"))]
    files: Vec<Word>,
    /// Add files too that git is told to ignore
    #[arg(short, long)]
    #[serde(default)]
    force: bool,
}

impl Verb for Add {
    type Told = Stands;

    fn run(self, site: &Site<'_>) -> Result<Stands, Error> {
        let repository = Repository::new(site, &self.sandbox, &self.path);
        let mut words: Vec<OsString> = vec!["add".into()];
        words.extend(self.force.then(|| "--force".into()));
        words.push("--".into());
        words.extend(self.files.into_iter().map(|file| file.0));
        repository.change(words)?;
        stands(&repository, Untracked::default(), false)
    }
}

/// `belljar git SANDBOX commit`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitCommitOf"))]
pub struct Commit {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// What it says
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    message: Word,
    /// Who wrote it, by name [default: `user.name` of the settings]
    #[arg(long, value_name = "NAME")]
    author: Option<Word>,
    /// The author's address [default: `user.email` of the settings]
    #[arg(long, value_name = "EMAIL")]
    email: Option<Word>,
    /// Commit all changes of files that git knows, staged or not
    #[arg(short, long)]
    #[serde(default)]
    all: bool,
    /// In the place of the last commit
    #[arg(long)]
    #[serde(default)]
    amend: bool,
    /// Even where nothing differs
    #[arg(long)]
    #[serde(default)]
    allow_empty: bool,
}

/// A commit that was made.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitCommitted"))]
pub struct Committed {
    /// Its hash, whole.
    hash: String,
    /// The commit.
    commit: git::Commit,
}

impl Verb for Commit {
    type Told = Committed;

    fn run(self, site: &Site<'_>) -> Result<Committed, Error> {
        let mut repository = Repository::new(site, &self.sandbox, &self.path);
        let mut who = |part: &str, word: Option<Word>| {
            for role in ["AUTHOR", "COMMITTER"] {
                repository.env.extend(word.clone().map(|word| (format!("GIT_{role}_{part}").into(), word.0)));
            }
        };
        who("NAME", self.author);
        who("EMAIL", self.email);
        let flags = [("--all", self.all), ("--amend", self.amend), ("--allow-empty", self.allow_empty)];
        let mut words: Vec<OsString> = vec!["commit".into(), "--quiet".into(), "--cleanup=whitespace".into()];
        words.extend(flags.into_iter().filter(|(_, wanted)| *wanted).map(|(word, _)| word.into()));
        // One word, so that it is no option, whatever it begins with.
        let mut message = OsString::from("--message=");
        message.push(&self.message.0);
        words.push(message);
        repository.change(words).map_err(explain)?;
        let mut made = git::commits(&repository.look(["log", "-1", "-z", git::LOG_FORMAT])?)?;
        let commit = made.pop().ok_or_else(|| Error::new(Kind::Failed, "git inside made no commit"))?;
        Ok(Committed { hash: commit.hash.clone(), commit })
    }
}

/// Says what names an author, where nobody has.
fn explain(error: Error) -> Error {
    match error.kind {
        Kind::Invalid => error.hint(
            "name the author with `--author NAME --email EMAIL`, or once and for all with `belljar git SANDBOX config user.name NAME`",
        ),
        _ => error,
    }
}

impl Told for Committed {
    fn people(&self) -> String {
        format!("{}  {}\n", self.hash, self.commit.subject())
    }
}

/// What `reset` moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitResetMode"))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The branch alone
    Soft,
    /// The branch and what is staged
    #[default]
    Mixed,
    /// These and the files, whose changes are lost
    Hard,
    /// As hard, but what is not staged stays
    Merge,
    /// As hard, but only where no change would be lost
    Keep,
}

/// `belljar git SANDBOX reset`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitReset"))]
pub struct Reset {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// What is moved [default: mixed]
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// The commit, or a branch
    #[arg(long, value_name = "COMMIT", default_value = "HEAD")]
    #[serde(default = "head")]
    target: Word,
    /// Files that are staged as they are in the commit; the branch stays
    #[arg(value_name = "FILE")]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    files: Vec<Word>,
}

fn head() -> Word {
    Word::from("HEAD")
}

impl Reset {
    fn check(&self) -> Result<(), Error> {
        check_names([("target", Some(&self.target))])?;
        if self.mode.is_some() && !self.files.is_empty() {
            let problem = Problem::new("mode", "does not go with files, of which only what is staged is set back");
            return Err(Error::misused(vec![problem.hint("leave the files out, or use `restore` to change them")]));
        }
        Ok(())
    }
}

impl Verb for Reset {
    type Told = Stands;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.check())
    }

    fn run(self, site: &Site<'_>) -> Result<Stands, Error> {
        self.check()?;
        let repository = Repository::new(site, &self.sandbox, &self.path);
        let mut words: Vec<OsString> = vec!["reset".into(), "--quiet".into()];
        if self.files.is_empty() {
            let mode = match self.mode.unwrap_or_default() {
                Mode::Soft => "--soft",
                Mode::Mixed => "--mixed",
                Mode::Hard => "--hard",
                Mode::Merge => "--merge",
                Mode::Keep => "--keep",
            };
            words.push(mode.into());
        } else {
            are_known(&repository, &self.target, &self.files)?;
        }
        words.extend([self.target.0, "--".into()]);
        words.extend(self.files.into_iter().map(|file| file.0));
        repository.change(words)?;
        stands(&repository, Untracked::default(), false)
    }
}

/// Refuses a file that is neither staged nor in the commit: git would pass over it, and whoever meant a commit would not hear of it.
fn are_known(repository: &Repository<'_>, target: &Word, files: &[Word]) -> Result<(), Error> {
    let mut tree = OsString::from("--with-tree=");
    tree.push(&target.0);
    let mut words: Vec<OsString> = vec!["ls-files".into(), "--error-unmatch".into(), "-z".into(), tree, "--".into()];
    words.extend(files.iter().map(|file| file.0.clone()));
    let answer = repository.call(Deed::Look, &words)?;
    let error = repository.failure("reset", &answer);
    // Whatever else is wrong is told by the call itself.
    if answer.code == 0 || !error.message.contains("did not match any") {
        return Ok(());
    }
    Err(Error { kind: Kind::NotFound, ..error }.hint("a commit is named by `--target`"))
}

/// `belljar git SANDBOX restore`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitRestore"))]
pub struct Restore {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// Files, and directories with all that is in them; counted from the directory, and no patterns
    #[arg(value_name = "FILE", required = true)]
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrSome<Word>"))]
    files: Vec<Word>,
    /// The commit that they come from [default: what is staged; with --staged, the last commit]
    #[arg(long, value_name = "COMMIT")]
    source: Option<Word>,
    /// Set back what is staged
    #[arg(long)]
    #[serde(default)]
    staged: bool,
    /// Set back the files themselves [default: on, unless --staged is given]
    #[arg(long)]
    #[serde(default)]
    worktree: bool,
}

impl Verb for Restore {
    type Told = Stands;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(check_names([("source", self.source.as_ref())]))
    }

    fn run(self, site: &Site<'_>) -> Result<Stands, Error> {
        check_names([("source", self.source.as_ref())])?;
        let repository = Repository::new(site, &self.sandbox, &self.path);
        let mut words: Vec<OsString> = vec!["restore".into(), "--quiet".into()];
        words.extend(self.staged.then(|| "--staged".into()));
        words.extend(self.worktree.then(|| "--worktree".into()));
        words.extend(self.source.map(|source| {
            let mut word = OsString::from("--source=");
            word.push(source.0);
            word
        }));
        words.push("--".into());
        words.extend(self.files.into_iter().map(|file| file.0));
        repository.change(words)?;
        stands(&repository, Untracked::default(), false)
    }
}
