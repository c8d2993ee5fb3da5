//! `git fetch` and `pull`, and what they have in common with `push`.

use super::branch::head;
use super::here;
use super::line::{Line, Reached};
use super::reach::Reach;
use super::run::{Repository, check_branch, check_names};
use crate::error::{Error, Kind, Problem};
use crate::git::{self, Address, Deed};
use crate::name::Name;
use crate::spec;
use crate::verbs::faults::{Env, Faults, both, problems_of};
use crate::verbs::words::{Text, Time, Word, number_or_none};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::time::Instant;

/// What may be spoken with a remote that the caller names.
pub const PROTOCOLS: &str = "https:http:ssh:git:file";

/// A verb with [`Reach`] beside its own parameters.
macro_rules! reaching {
    ($(#[doc = $about:literal])+ $verb:ident($own:ident), $schema:literal) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, Args)]
        #[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = $schema))]
        pub struct $verb {
            /// Its own.
            #[command(flatten)]
            #[cfg_attr(test, schemars(flatten))]
            pub own: $own,
            /// How the other machine is reached.
            #[command(flatten)]
            #[cfg_attr(test, schemars(flatten))]
            pub reach: $crate::verbs::git::reach::Reach,
        }

        impl $crate::verbs::parameters::Take for $verb {
            fn take(given: &mut Map<String, Value>, problems: &mut Vec<Problem>) -> Option<$verb> {
                let own = <$own as $crate::verbs::parameters::Take>::take(given, problems);
                let reach = <Reach as $crate::verbs::parameters::Take>::take(given, problems);
                Some($verb { own: own?, reach: reach? })
            }

            fn names() -> Vec<&'static str> {
                let own = <$own as $crate::verbs::parameters::Take>::names();
                [own, <Reach as $crate::verbs::parameters::Take>::names()].concat()
            }
        }
    };
}

pub(super) use reaching;

reaching! {
    /// `belljar git SANDBOX fetch`.
    Fetch(FetchOwn), "GitFetch"
}

reaching! {
    /// `belljar git SANDBOX pull`.
    Pull(PullOwn), "GitPull"
}

/// What `fetch` takes of its own.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FetchOwn {
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
    /// The branch, tag or commit there [default: all branches]
    #[arg(value_name = "BRANCH")]
    branch: Option<Word>,
    /// Forget branches that the remote has no longer
    #[arg(short, long)]
    #[serde(default)]
    prune: bool,
    /// All tags too
    #[arg(short, long)]
    #[serde(default)]
    tags: bool,
    /// Commits of each branch at most, from its end
    #[arg(long, value_name = "N")]
    #[serde(default, deserialize_with = "number_or_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::verbs::words::Count>"))]
    depth: Option<u32>,
    /// Give up after this time, as in 30s or 10m [default: never]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    timeout: Option<Time>,
}

/// A remote of a repository, found.
pub struct Found {
    /// Its name.
    pub name: OsString,
    /// Where it is.
    pub address: Address,
    /// The branch that is checked out.
    pub branch: Option<Name>,
    /// Its commit, or that of a head without a branch.
    pub commit: Option<String>,
    /// Whether that branch follows one of this remote.
    pub follows: bool,
}

/// The remote of that name, or the one that the branch follows; where it is fetched from or pushed to.
pub fn find(repository: &Repository<'_>, named: Option<&Word>, push: bool) -> Result<Found, Error> {
    let (branch, commit) = head(repository)?.parts();
    let followed = match &branch {
        Some(branch) => {
            let key = [b"branch.", branch.0.as_slice(), b".remote"].concat();
            let key = Name(key).path().as_os_str().to_owned();
            let answer = repository.call(Deed::Look, &["config".into(), "--get".into(), key])?;
            let name = Name(answer.stdout.trim_ascii_end().to_vec());
            (answer.code == 0).then(|| name.path().as_os_str().to_owned())
        }
        None => None,
    };
    let name = named.map(|word| word.0.clone()).or_else(|| followed.clone()).unwrap_or_else(|| "origin".into());
    let mut words: Vec<OsString> = vec!["remote".into(), "get-url".into()];
    words.extend(push.then(|| "--push".into()));
    words.extend(["--".into(), name.clone()]);
    let answer = repository.call(Deed::Look, &words)?;
    if answer.code != 0 {
        let shown = Name::from(name);
        let error = repository.failure("remote", &answer);
        let missing = Error::new(Kind::NotFound, format!("there is no remote `{shown}`"));
        return Err(match error.kind {
            Kind::NotFound => missing.hint("`belljar git SANDBOX remote` lists them, `remote add` makes one"),
            _ => error,
        });
    }
    let url = String::from_utf8_lossy(answer.stdout.trim_ascii_end()).into_owned();
    // What stands in the settings inside is written there by nobody in particular.
    let address = git::address("remote", &url).map_err(|problem| Error::invalid(vec![problem]))?;
    let follows = followed.as_ref() == Some(&name);
    Ok(Found { name, address, branch, commit, follows })
}

/// What is known of the branches and tags of remotes.
fn known(repository: &Repository<'_>) -> Result<BTreeMap<Name, String>, Error> {
    let format = "--format=%(objectname) %(refname)";
    let listed = repository.look(["for-each-ref", format, "refs/remotes", "refs/tags"])?;
    let lines = listed.split(|byte| *byte == b'\n').filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b' ')?;
        Some((Name(line[at + 1..].to_vec()), git::hash(&line[..at])?))
    });
    Ok(lines.collect())
}

/// A branch or tag of a remote that is elsewhere now.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitFetchedRef"))]
pub struct FetchedRef {
    /// Its whole name, as `refs/remotes/origin/main`.
    name: Name,
    /// Its commit before; null where it is new.
    before: Option<String>,
    /// Its commit now; null where it is gone.
    after: Option<String>,
}

/// What was fetched.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitFetched"))]
pub struct Fetched {
    /// From where, by name.
    remote: Name,
    /// Its address.
    url: String,
    /// Branches and tags that are elsewhere now.
    changed: Vec<FetchedRef>,
    /// What was given away for it.
    reached: Reached,
}

fn changed(before: &BTreeMap<Name, String>, after: &BTreeMap<Name, String>) -> Vec<FetchedRef> {
    let mut names: Vec<&Name> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let row = |name: &Name| {
        let (before, after) = (before.get(name).cloned(), after.get(name).cloned());
        (before != after).then(|| FetchedRef { name: name.clone(), before, after })
    };
    names.into_iter().filter_map(row).collect()
}

/// The words of a fetch of a branch, tag or commit; without one, of what the settings say of the remote.
pub fn fetch_words(options: &[&str], depth: Option<u32>, remote: &OsStr, wanted: Option<&OsStr>) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["fetch", "--quiet"].iter().chain(options).map(OsString::from).collect();
    words.extend(depth.map(|depth| format!("--depth={depth}").into()));
    words.extend(["--".into(), remote.to_owned()]);
    words.extend(wanted.map(OsStr::to_owned));
    words
}

impl FetchOwn {
    fn check(&self) -> Result<(), Error> {
        both(check_names([("remote", self.remote.as_ref())]), check_branch("branch", self.branch.as_ref()))?;
        check_depth(self.depth)
    }
}

impl Verb for Fetch {
    type Told = Fetched;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(checked(self.own.check(), self.own.timeout.as_ref(), &self.reach))
    }

    fn run(self, site: &Site<'_>) -> Result<Fetched, Error> {
        let (_, deadline) = checked(self.own.check(), self.own.timeout.as_ref(), &self.reach)?;
        let own = &self.own;
        let repository = Repository::new(site, &own.sandbox, &own.path);
        let found = find(&repository, own.remote.as_ref(), false)?;
        let opened = open(&self.reach, site, &found.address)?;
        let line = Line { site, sandbox: &own.sandbox, address: &found.address, opened: &opened, deadline };
        let before = known(&repository)?;
        let flags = [("--prune", own.prune), ("--tags", own.tags)];
        let options: Vec<&str> = flags.into_iter().filter(|(_, wanted)| *wanted).map(|(word, _)| word).collect();
        let words = fetch_words(&options, own.depth, &found.name, own.branch.as_deref());
        let (_, reached) = line.run(&own.path, &words, PROTOCOLS)?;
        let changed = changed(&before, &known(&repository)?);
        Ok(Fetched { remote: Name::from(found.name), url: found.address.url, changed, reached })
    }
}

/// What the verb's own parameters are read as, and when its call is given up; or everything that is wrong with any of them.
pub fn checked<T>(own: Result<T, Error>, timeout: Option<&Time>, reach: &Reach) -> Result<(T, Option<Instant>), Error> {
    both(both(own, deadline(timeout)), reach.check()).map(|(read, ())| read)
}

/// No history has none of its commits.
pub fn check_depth(depth: Option<u32>) -> Result<(), Error> {
    match depth {
        Some(0) => Err(Error::misused(vec![Problem::new("depth", "is zero").hint("ask for at least one commit")])),
        _ => Ok(()),
    }
}

/// When a call is given up.
pub fn deadline(timeout: Option<&Time>) -> Result<Option<Instant>, Error> {
    let mut faults = Faults::default();
    let time = timeout.and_then(|word| faults.unit("timeout", &**word, spec::parse_duration));
    faults.none().map(|()| time.and_then(|time| Instant::now().checked_add(time)))
}

/// Reads what was given for this machine, if that takes any of it.
pub fn open(reach: &Reach, site: &Site<'_>, address: &Address) -> Result<super::reach::Opened, Error> {
    let opened = reach.open(
        site.env,
        address.user.as_deref().filter(|_| address.takes_password()),
        address.password.as_deref(),
    )?;
    if opened.credentials.is_some() && !address.takes_password() {
        let problem = Problem::new("password", format!("does not go with `{}`, which asks for none", address.protocol));
        return Err(Error::misused(vec![problem.hint("use an address with https, or `--ssh-agent` for ssh")]));
    }
    if let (Some(_), Some(place)) = (&opened.credentials, &reach.password_for)
        && !address.is_asked(&address.protocol, place)
    {
        let target = address.target().unwrap_or_default();
        let message = format!("the password is for {}, and the address leads to {target}", Name::from(&**place));
        return Err(Error::new(Kind::Authentication, message).hint("look at it with `belljar git SANDBOX remote`"));
    }
    if opened.agent.is_some() && !address.protocol.ends_with("ssh") {
        let problem = Problem::new("ssh_agent", format!("does not go with `{}`", address.protocol));
        return Err(Error::misused(vec![problem.hint("use an address with ssh")]));
    }
    Ok(opened)
}

impl Told for Fetched {
    fn people(&self) -> String {
        let short = |hash: &Option<String>| {
            hash.as_ref().map_or_else(|| "-".to_owned(), |hash| hash.chars().take(12).collect())
        };
        let mut text = String::new();
        for one in &self.changed {
            text.push_str(&format!("{} -> {}  {}\n", short(&one.before), short(&one.after), one.name));
        }
        if self.changed.is_empty() {
            text.push_str("nothing new\n");
        }
        text + &self.reached.lines()
    }
}

impl Reached {
    /// What people have to know of it.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for place in &self.password_refused {
            text.push_str(&format!("no password was given to {place}, which asked for one\n"));
        }
        text
    }
}

/// What `pull` takes of its own.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PullOwn {
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
    /// The branch there [default: the one that is followed, else the one of the same name]
    #[arg(value_name = "BRANCH")]
    branch: Option<Word>,
    /// Merge where both sides have commits [default: only go forward]
    #[arg(long, conflicts_with = "rebase")]
    #[serde(default)]
    merge: bool,
    /// Put the own commits behind those of the other side
    #[arg(long)]
    #[serde(default)]
    rebase: bool,
    /// Give up after this time, as in 30s or 10m [default: never]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    timeout: Option<Time>,
}

/// What was pulled.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitPulled"))]
pub struct Pulled {
    /// From where, by name.
    remote: Name,
    /// Its address.
    url: String,
    /// The branch that is checked out; null where the head is detached.
    branch: Option<Name>,
    /// Its commit before; null before the first.
    before: Option<String>,
    /// Its commit now.
    after: Option<String>,
    /// What was given away for it.
    reached: Reached,
}

impl PullOwn {
    fn check(&self) -> Result<(), Error> {
        both(check_names([("remote", self.remote.as_ref())]), check_branch("branch", self.branch.as_ref()))?;
        if self.merge && self.rebase {
            let problem = Problem::new("rebase", "does not go with `merge`").hint("leave one of them out");
            return Err(Error::misused(vec![problem]));
        }
        Ok(())
    }
}

impl Verb for Pull {
    type Told = Pulled;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(checked(self.own.check(), self.own.timeout.as_ref(), &self.reach))
    }

    fn run(self, site: &Site<'_>) -> Result<Pulled, Error> {
        let (_, deadline) = checked(self.own.check(), self.own.timeout.as_ref(), &self.reach)?;
        let own = self.own;
        let repository = Repository::new(site, &own.sandbox, &own.path);
        let found = find(&repository, own.remote.as_ref(), false)?;
        let opened = open(&self.reach, site, &found.address)?;
        let line = Line { site, sandbox: &own.sandbox, address: &found.address, opened: &opened, deadline };
        let same = found.branch.as_ref().filter(|_| !found.follows).map(|name| name.path().as_os_str());
        let wanted = own.branch.as_deref().or(same);
        let words = fetch_words(&[], None, &found.name, wanted);
        let (_, reached) = line.run(&own.path, &words, PROTOCOLS)?;
        // Without the line: what runs here was fetched, and may be anything.
        let from = if wanted.is_some() { "FETCH_HEAD" } else { "@{upstream}" };
        match (own.merge, own.rebase) {
            (_, true) => rebase(&repository, from)?,
            (true, _) => repository.change(["merge", "--quiet", "--no-edit", from])?,
            (false, false) => repository.change(["merge", "--quiet", "--ff-only", from])?,
        };
        let (_, after) = head(&repository)?.parts();
        let Found { name, address, branch, commit: before, .. } = found;
        Ok(Pulled { remote: Name::from(name), url: address.url, branch, before, after, reached })
    }
}

/// Puts the own commits behind those of `from`; all of them, or none.
fn rebase(repository: &Repository<'_>, from: &str) -> Result<Vec<u8>, Error> {
    let error = match repository.change(["rebase", "--quiet", from]) {
        Ok(said) => return Ok(said),
        Err(error) => error,
    };
    // Git begins none where one is open, and that one is somebody else's.
    if error.message.contains("there is already a rebase-") {
        return Err(Error::new(Kind::Conflict, "a rebase is open in the repository").hint(
            "end it first, with `belljar exec SANDBOX -- git rebase --continue` or `--abort` in the repository's directory",
        ));
    }
    // What stopped in the middle is undone, since no verb goes on with it.
    let aborted = repository.call(Deed::Change, &["rebase".into(), "--abort".into()])?;
    match (error.kind, aborted.code) {
        (Kind::Conflict, 0) => Err(Error { message: format!("{}; the rebase was undone", error.message), ..error }
            .hint("`belljar git SANDBOX pull --merge` leaves the conflicts in the files, where they can be resolved")),
        _ => Err(error),
    }
}

impl Told for Pulled {
    fn people(&self) -> String {
        let text = match (&self.before, &self.after) {
            (before, after) if before == after => "nothing new\n".to_owned(),
            (_, Some(after)) => format!(
                "{} is at {after} now\n",
                self.branch.as_ref().map_or_else(|| "HEAD".to_owned(), ToString::to_string)
            ),
            _ => "no commit yet\n".to_owned(),
        };
        text + &self.reached.lines()
    }
}
