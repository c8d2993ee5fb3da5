//! `git push`.

use super::here;
use super::line::{Line, Reached};
use super::reach::Reach;
use super::run::{Repository, check_branch, check_names};
use super::transfer::{PROTOCOLS, checked, find, open, reaching};
use crate::error::{Error, Kind, Problem};
use crate::git;
use crate::name::Name;
use crate::verbs::faults::{Env, both, problems_of};
use crate::verbs::words::{Text, Time, Word};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::ffi::OsString;

reaching! {
    /// `belljar git SANDBOX push`.
    Push(PushOwn), "GitPush"
}

/// What `push` takes of its own.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PushOwn {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// The remote [default: that of the branch, else `origin`]
    #[arg(value_name = "REMOTE")]
    remote: Option<Word>,
    /// The branch or tag, which is called the same there [default: the branch that is checked out]
    #[arg(value_name = "BRANCH")]
    branch: Option<Word>,
    /// Let the branch follow the one that it was pushed to
    #[arg(short = 'u', long)]
    #[serde(default)]
    set_upstream: bool,
    /// Even where commits are lost there
    #[arg(short, long)]
    #[serde(default)]
    force: bool,
    /// All tags too
    #[arg(long)]
    #[serde(default)]
    tags: bool,
    /// Delete the branch there
    #[arg(short, long, requires = "branch")]
    #[serde(default)]
    delete: bool,
    /// Give up after this time, as in 30s or 10m [default: never]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    timeout: Option<Time>,
}

/// What was pushed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitPushResult"))]
pub struct PushTold {
    /// To where, by name.
    remote: Name,
    /// Its address.
    url: String,
    /// Branches and tags, and what became of each.
    refs: Vec<git::PushedRef>,
    /// What was given away for it.
    reached: Reached,
}

impl PushOwn {
    fn check(&self) -> Result<(), Error> {
        both(check_names([("remote", self.remote.as_ref())]), check_branch("branch", self.branch.as_ref()))?;
        if self.delete && self.branch.is_none() {
            return Err(Error::misused(vec![Problem::new("branch", "is missing").hint("say which")]));
        }
        Ok(())
    }
}

impl Verb for Push {
    type Told = PushTold;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(checked(self.own.check(), self.own.timeout.as_ref(), &self.reach))
    }

    fn run(self, site: &Site<'_>) -> Result<PushTold, Error> {
        let (_, deadline) = checked(self.own.check(), self.own.timeout.as_ref(), &self.reach)?;
        let own = self.own;
        let repository = Repository::new(site, &own.sandbox, &own.path);
        let found = find(&repository, own.remote.as_ref(), true)?;
        let branch = own.branch.as_ref().map(|word| word.0.clone());
        let branch = branch.or_else(|| found.branch.as_ref().map(|name| name.path().as_os_str().to_owned()));
        let Some(branch) = branch else {
            let error = Error::new(Kind::RefNotFound, "no branch is checked out, so that none can be pushed");
            return Err(error.hint("say which, as in `push origin main`"));
        };
        let opened = open(&self.reach, site, &found.address)?;
        let line = Line { site, sandbox: &own.sandbox, address: &found.address, opened: &opened, deadline };
        let mut words: Vec<OsString> = ["push", "--porcelain"].map(OsString::from).to_vec();
        let flags = [
            ("--set-upstream", own.set_upstream),
            ("--force", own.force),
            ("--tags", own.tags),
            ("--delete", own.delete),
        ];
        words.extend(flags.into_iter().filter(|(_, wanted)| *wanted).map(|(word, _)| word.into()));
        words.extend(["--".into(), found.name.clone(), branch]);
        let (stdout, reached) = line.run(&own.path, &words, PROTOCOLS)?;
        let remote = Name::from(found.name);
        Ok(PushTold { remote, url: found.address.url, refs: git::pushed(&stdout), reached })
    }
}

impl Told for PushTold {
    fn people(&self) -> String {
        let mut text = String::new();
        for one in &self.refs {
            text.push_str(&format!("{}  {}\n", one.remote, one.summary));
        }
        if self.refs.is_empty() {
            text.push_str("nothing new\n");
        }
        text + &self.reached.lines()
    }
}
