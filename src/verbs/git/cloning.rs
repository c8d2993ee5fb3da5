//! `git clone`.

use super::branch::head;
use super::line::{Line, Reached};
use super::reach::Opened;
use super::reach::Reach;
use super::run::{Repository, check_branch};
use super::transfer::{PROTOCOLS, check_depth, checked, deadline, fetch_words, open, reaching};
use crate::error::{Error, Kind, Problem};
use crate::git::{self, Address, Deed};
use crate::name::Name;
use crate::tools::{Client, Request};
use crate::verbs::faults::{Env, both, problems_of};
use crate::verbs::words::{Text, Time, Word, number_or_none};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::ffi::{OsStr, OsString};

/// What submodules may be fetched by: a repository that nobody has read says where they are.
const PROTOCOLS_OF_SUBMODULES: &str = "https:http:ssh:git";

reaching! {
    /// `belljar git SANDBOX clone`.
    CloneOf(CloneOwn), "GitClone"
}

/// What `clone` takes of its own.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CloneOwn {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// `https://HOST/PATH`, `ssh://USER@HOST/PATH`, `USER@HOST:PATH`, or a directory inside
    ///
    /// A user and a password in an address of a web server are used for this call, and not kept.
    #[arg(value_name = "URL")]
    pub url: Word,
    /// Where it goes; it must not be there, or be empty [default: the last part of the address]
    #[arg(value_name = "DIR")]
    pub path: Option<Word>,
    /// The branch or tag to check out [default: the one that the other side has checked out]
    #[arg(short, long, value_name = "NAME")]
    pub branch: Option<Word>,
    /// The commit to check out; the head is detached then
    #[arg(long, value_name = "COMMIT")]
    pub commit: Option<Word>,
    /// Commits at most, from the end of the branch [default: all]
    #[arg(long, value_name = "N")]
    #[serde(default, deserialize_with = "number_or_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::verbs::words::Count>"))]
    pub depth: Option<u32>,
    /// Submodules too, and theirs
    #[arg(long)]
    #[serde(default)]
    pub submodules: bool,
    /// Give up after this time, as in 30s or 10m [default: never]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub timeout: Option<Time>,
}

/// A repository that was cloned.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitCloned"))]
pub struct Cloned {
    /// Its directory, absolute.
    path: Name,
    /// Where it was cloned from, as it stands in the settings.
    url: String,
    /// The branch; null where the head is detached.
    branch: Option<Name>,
    /// The commit; null of an empty repository.
    commit: Option<String>,
    /// What was given away for it.
    reached: Reached,
}

impl CloneOwn {
    /// Where it is cloned from, and where it goes.
    pub fn check(&self) -> Result<(Address, Word), Error> {
        let names = both(
            both(check_branch("branch", self.branch.as_ref()), check_branch("commit", self.commit.as_ref())),
            check_depth(self.depth),
        );
        let url = self.url.to_str().unwrap_or_default();
        let address = git::address("url", url).map_err(|problem| Error::misused(vec![problem]));
        let path = match &self.path {
            Some(path) if path.is_empty() => Err(Error::misused(vec![Problem::new("path", "is empty")])),
            Some(path) => Ok(path.clone()),
            None => directory_of(url).ok_or_else(|| {
                let problem = Problem::new("path", "is missing, and the address has no last part");
                Error::misused(vec![problem.hint("say where it goes")])
            }),
        };
        let (_, (address, path)) = both(names, both(address, path))?;
        Ok((address, path))
    }
}

/// The directory that is named after an address.
fn directory_of(url: &str) -> Option<Word> {
    let path = url.split(['?', '#']).next()?.trim_end_matches('/').trim_end_matches("/.git");
    let last = path.rsplit(['/', ':']).next()?.trim_end_matches(".git");
    let odd = last.is_empty() || last.starts_with('-') || last == "." || last == "..";
    (!odd).then(|| Word::from(last))
}

impl Verb for CloneOf {
    type Told = Cloned;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(checked(self.own.check(), self.own.timeout.as_ref(), &self.reach))
    }

    fn run(self, site: &Site<'_>) -> Result<Cloned, Error> {
        let ((address, _), _) = checked(self.own.check(), self.own.timeout.as_ref(), &self.reach)?;
        let opened = open(&self.reach, site, &address)?;
        self.own.run(site, &opened)
    }
}

impl CloneOwn {
    /// Clones, with what was given for the machine. Where that fails nothing of it stays.
    pub fn run(&self, site: &Site<'_>, opened: &Opened) -> Result<Cloned, Error> {
        let ((address, path), deadline) = both(self.check(), deadline(self.timeout.as_ref()))?;
        let line = Line { site, sandbox: &self.sandbox, address: &address, opened, deadline };
        let mut words: Vec<OsString> = ["clone", "--quiet", "--no-checkout"].map(OsString::from).to_vec();
        words.extend(self.depth.map(|depth| format!("--depth={depth}").into()));
        let valued = |option: &str, word: &Word| {
            let mut all = OsString::from(option);
            all.push(&word.0);
            all
        };
        words.extend(self.branch.as_ref().map(|branch| valued("--branch=", branch)));
        words.extend(["--".into(), address.url.clone().into(), path.0.clone()]);
        // Where this fails git takes away what it has made: it may be somebody else's that is there.
        let (_, reached) = line.run(".".as_ref(), &words, PROTOCOLS)?;
        self.check_out(&line, &path, reached).map_err(|error| self.clear(site, &path, error))
    }

    /// Brings the files out, and what else belongs to them.
    fn check_out(&self, line: &Line<'_>, path: &Word, mut reached: Reached) -> Result<Cloned, Error> {
        let own = self;
        // From here on what was cloned may have a say, and nothing is given away.
        let repository = Repository::new(line.site, &own.sandbox, path);
        if let Some(commit) = &own.commit {
            reached.add(fetch_commit(line, &repository, path, commit, own.depth)?);
            repository.change(["checkout", "--quiet", "--detach", &commit.to_string_lossy(), "--"])?;
        } else {
            repository.change(["reset", "--quiet", "--hard"])?;
        }
        if own.submodules {
            let mut words: Vec<OsString> =
                ["submodule", "--quiet", "update", "--init", "--recursive"].map(OsString::from).to_vec();
            words.extend(own.depth.map(|depth| format!("--depth={depth}").into()));
            reached.add(line.run(path, &words, PROTOCOLS_OF_SUBMODULES)?.1);
        }
        let (branch, commit) = head(&repository)?.parts();
        let top = repository.look(["rev-parse", "--show-toplevel"])?;
        let path = Name(top.strip_suffix(b"\n").unwrap_or(&top).to_vec());
        Ok(Cloned { path, url: line.address.url.clone(), branch, commit, reached })
    }

    /// Removes a clone that cannot be checked out, so that the next one can go there. Its directory was not there, or empty.
    fn clear(&self, site: &Site<'_>, path: &Word, error: Error) -> Error {
        let removed = site.home().and_then(|home| {
            let request = Request::Remove { path: Name::from(path.clone()), recursive: true, force: true };
            let mut client = Client::start(home, OsStr::new(&*self.sandbox), false)?;
            client.ask(&request, None, &mut |_| Ok(()), &mut |_| Ok(()))
        });
        match removed {
            Ok(()) => error,
            // A sandbox that has ended has nothing left to say.
            Err(_) if error.kind == Kind::Ended => error,
            Err(left) => {
                let message = format!("{}; what came of it is still there: {}", error.message, left.message);
                Error { message, ..error }
            }
        }
    }
}

/// Fetches a commit that did not come with the branches.
fn fetch_commit(
    line: &Line<'_>,
    repository: &Repository<'_>,
    path: &Word,
    commit: &Word,
    depth: Option<u32>,
) -> Result<Reached, Error> {
    let mut object = commit.0.clone();
    object.push("^{commit}");
    let is_there = repository.call(Deed::Look, &["cat-file".into(), "-e".into(), object])?.code == 0;
    if is_there {
        return Ok(Reached::default());
    }
    let words = fetch_words(&[], depth, OsStr::new("origin"), Some(commit));
    let fetched = line.run(path, &words, PROTOCOLS).map_err(|error| match error.kind {
        Kind::Failed | Kind::Transport => Error { kind: Kind::RefNotFound, ..error },
        _ => error,
    });
    fetched.map(|(_, reached)| reached)
}

impl Reached {
    /// What a further call gave away.
    fn add(&mut self, other: Reached) {
        self.password_for.extend(other.password_for);
        self.password_refused.extend(other.password_refused);
        self.signatures += other.signatures;
        let new = other.host_keys.0.split_inclusive(|byte| *byte == b'\n');
        let missing: Vec<&[u8]> = new
            .filter(|line| !self.host_keys.0.split_inclusive(|byte| *byte == b'\n').any(|known| known == *line))
            .collect();
        let missing = missing.concat();
        self.host_keys.0.extend(missing);
    }
}

impl Told for Cloned {
    fn people(&self) -> String {
        let commit = self.commit.as_deref().unwrap_or("no commit yet");
        let place = self.branch.as_ref().map_or_else(|| "detached at".to_owned(), |branch| format!("on {branch},"));
        format!("{}: {place} {commit}\n{}", self.path, self.reached.lines())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_called_as_the_address_ends() {
        for (url, name) in [
            ("https://h/a/b.git", Some("b")),
            ("https://h/a/b/", Some("b")),
            ("git@h:b.git", Some("b")),
            ("/x/y/.git", Some("y")),
            ("https://h/a?x=y/z", Some("a")),
            ("https://h/-x", None),
            ("/", None),
            ("..", None),
        ] {
            assert_eq!(directory_of(url), name.map(Word::from), "{url}");
        }
    }
}
