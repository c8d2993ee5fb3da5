//! `git branch` and `git checkout`.

use super::here;
use super::run::{Repository, check_names};
use crate::error::{Error, Problem};
use crate::git;
use crate::name::Name;
use crate::verbs::faults::{Env, problems_of};
use crate::verbs::text::{heading, table};
use crate::verbs::words::{Text, Word};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;

/// `belljar git SANDBOX branch`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitBranchOf"))]
pub struct Branch {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// The branch to make; with --delete or --rename one that is there [default: none, all are listed]
    #[arg(value_name = "NAME")]
    name: Option<Word>,
    /// Where it begins [default: the commit that is checked out]
    #[arg(long, value_name = "COMMIT", conflicts_with_all = ["delete", "rename"])]
    from: Option<Word>,
    /// Delete it
    #[arg(short, long)]
    #[serde(default)]
    delete: bool,
    /// Call it something else
    #[arg(long, value_name = "NAME", conflicts_with = "delete")]
    rename: Option<Word>,
    /// Delete it although its commits are nowhere else, or replace one of that name
    #[arg(short, long)]
    #[serde(default)]
    force: bool,
}

/// The branches, after what was done.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitBranches"))]
pub struct Branches {
    /// The one that is checked out; null where none is.
    current: Option<Name>,
    /// All of them, and those of remotes as they were last fetched.
    branches: Vec<git::Branch>,
}

impl Branch {
    fn check(&self) -> Result<(), Error> {
        check_names([("name", self.name.as_ref()), ("from", self.from.as_ref()), ("rename", self.rename.as_ref())])?;
        let given = [("from", self.from.is_some()), ("delete", self.delete), ("rename", self.rename.is_some())];
        let mut given = given.into_iter().filter(|(_, given)| *given).map(|(field, _)| field);
        let (first, second) = (given.next(), given.next());
        let problem = match (first, second) {
            (Some(first), Some(second)) => Problem::new(second, format!("does not go with `{first}`")),
            (Some(_), None) if self.name.is_none() => Problem::new("name", "is missing").hint("say which branch"),
            _ => return Ok(()),
        };
        Err(Error::misused(vec![problem]))
    }
}

impl Verb for Branch {
    type Told = Branches;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.check())
    }

    fn run(self, site: &Site<'_>) -> Result<Branches, Error> {
        self.check()?;
        let repository = Repository::new(site, &self.sandbox, &self.path);
        if let Some(name) = self.name {
            let mut words: Vec<OsString> = vec!["branch".into()];
            words.extend(self.force.then(|| "--force".into()));
            match (self.delete, self.rename) {
                (true, _) => words.extend(["--delete".into(), "--".into(), name.0]),
                (false, Some(new)) => words.extend(["--move".into(), "--".into(), name.0, new.0]),
                (false, None) => {
                    words.extend(["--no-track".into(), "--".into(), name.0]);
                    words.extend(self.from.map(|from| from.0));
                }
            }
            repository.change(words)?;
        }
        list(&repository)
    }
}

fn list(repository: &Repository<'_>) -> Result<Branches, Error> {
    let listed = repository.look(["for-each-ref", git::BRANCH_FORMAT, "refs/heads", "refs/remotes"])?;
    let branches = git::branches(&listed)?;
    let current = branches.iter().find(|branch| branch.current).map(|branch| branch.name.clone());
    // A branch without a commit is none yet, and is checked out all the same.
    let current = match current {
        None => unborn(repository)?,
        found => found,
    };
    Ok(Branches { current, branches })
}

/// The branch that the head names, where it has no commit.
fn unborn(repository: &Repository<'_>) -> Result<Option<Name>, Error> {
    let answer = repository.call(git::Deed::Look, &["symbolic-ref", "--quiet", "HEAD"].map(OsString::from))?;
    let name = answer.stdout.strip_prefix(b"refs/heads/").map(|name| name.strip_suffix(b"\n").unwrap_or(name));
    Ok(name.filter(|_| answer.code == 0).map(|name| Name(name.to_vec())))
}

impl Told for Branches {
    fn people(&self) -> String {
        if self.branches.is_empty() {
            return "no branches\n".to_owned();
        }
        let mut rows = vec![heading(["", "BRANCH", "COMMIT", "UPSTREAM", "AHEAD", "BEHIND"])];
        rows.extend(self.branches.iter().map(|branch| {
            let mark = if branch.current { "*" } else { "" };
            let upstream = branch.upstream.as_ref().map(ToString::to_string).unwrap_or_default();
            let count = |count: u64| if branch.published { count.to_string() } else { String::new() };
            let commit = branch.commit.chars().take(12).collect();
            let (ahead, behind) = (count(branch.ahead), count(branch.behind));
            vec![mark.to_owned(), branch.name.to_string(), commit, upstream, ahead, behind]
        }));
        table(&rows)
    }
}

/// `belljar git SANDBOX checkout`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitCheckout"))]
pub struct Checkout {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// A branch, a tag or a commit; a branch that only a remote has is made to follow it
    #[arg(value_name = "NAME")]
    name: Word,
    /// Make the branch
    #[arg(short = 'b', long)]
    #[serde(default)]
    create: bool,
    /// Where the new branch begins [default: the commit that is checked out]
    #[arg(long, value_name = "COMMIT", requires = "create")]
    from: Option<Word>,
    /// Throw changes away that are in the way
    #[arg(short, long)]
    #[serde(default)]
    force: bool,
}

/// What is checked out now.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitCheckedOut"))]
pub struct CheckedOut {
    /// The branch; null where the head is detached.
    branch: Option<Name>,
    /// The commit; null before the first.
    commit: Option<String>,
    /// Whether the head is at a commit and on no branch.
    detached: bool,
}

impl Checkout {
    fn check(&self) -> Result<(), Error> {
        check_names([("name", Some(&self.name)), ("from", self.from.as_ref())])?;
        if self.from.is_some() && !self.create {
            let problem = Problem::new("from", "goes only with `create`").hint("leave it out, or make a branch");
            return Err(Error::misused(vec![problem]));
        }
        Ok(())
    }
}

impl Verb for Checkout {
    type Told = CheckedOut;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.check())
    }

    fn run(self, site: &Site<'_>) -> Result<CheckedOut, Error> {
        self.check()?;
        let repository = Repository::new(site, &self.sandbox, &self.path);
        let mut words: Vec<OsString> = vec!["checkout".into(), "--quiet".into()];
        words.extend(self.force.then(|| "--force".into()));
        words.extend(self.create.then(|| "-b".into()));
        words.push(self.name.0);
        words.extend(self.from.map(|from| from.0));
        // What stands before it is no file.
        words.push("--".into());
        repository.change(words)?;
        head(&repository)
    }
}

/// What is checked out in a repository.
pub fn head(repository: &Repository<'_>) -> Result<CheckedOut, Error> {
    let told = repository.look([
        "status",
        "--porcelain=v2",
        "-z",
        "--branch",
        "--untracked-files=no",
        "--ignore-submodules",
    ])?;
    let status = git::status(&told)?;
    Ok(CheckedOut { branch: status.branch, commit: status.commit, detached: status.detached })
}

impl CheckedOut {
    /// The branch, and its commit.
    pub fn parts(self) -> (Option<Name>, Option<String>) {
        (self.branch, self.commit)
    }
}

impl Told for CheckedOut {
    fn people(&self) -> String {
        let commit = self.commit.as_deref().unwrap_or("no commit yet");
        match &self.branch {
            Some(branch) => format!("on {branch}, {commit}\n"),
            None => format!("detached at {commit}\n"),
        }
    }
}
