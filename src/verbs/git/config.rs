//! `git config` and `git remote`.

use super::here;
use super::run::{Repository, check_names};
use crate::error::{Error, Kind, Problem};
use crate::git::{self, Deed};
use crate::name::Name;
use crate::verbs::faults::{Env, Faults, problems_of};
use crate::verbs::text::{heading, table};
use crate::verbs::words::{Text, Word};
use crate::verbs::{Site, Told, Verb};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;

/// Whose settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitScope"))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The repository's
    Local,
    /// The user's inside, for all repositories
    Global,
    /// The image's
    System,
}

impl Scope {
    fn word(self) -> &'static str {
        match self {
            Scope::Local => "--local",
            Scope::Global => "--global",
            Scope::System => "--system",
        }
    }
}

/// `belljar git SANDBOX config`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitConfig"))]
pub struct Config {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// The setting, as in `user.name` [default: none, all are listed]
    #[arg(value_name = "KEY")]
    key: Option<Word>,
    /// Its new value [default: none, it is shown]
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    value: Option<Word>,
    /// Remove it
    #[arg(long, conflicts_with = "value")]
    #[serde(default)]
    unset: bool,
    /// Whose settings [default: to look, all; to change, local]
    #[arg(long, value_name = "SCOPE")]
    scope: Option<Scope>,
}

/// Settings, after what was done.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitSettings"))]
pub struct Settings {
    /// The value that holds of the key that was asked for; null where there is none.
    value: Option<Name>,
    /// Those that were asked for, in the order in which git reads them: of several the last holds.
    settings: Vec<git::Setting>,
}

impl Config {
    fn check(&self) -> Result<(), Error> {
        let problem = match &self.key {
            Some(key) => git::why_no_name(key).map(|why| Problem::new("key", why).hint("as in `user.name`")),
            None if self.unset || self.value.is_some() => Some(Problem::new("key", "is missing").hint("say which")),
            None => None,
        };
        let both = self.unset && self.value.is_some();
        let both = both.then(|| Problem::new("value", "does not go with `unset`").hint("leave one of them out"));
        let problems: Vec<Problem> = problem.into_iter().chain(both).collect();
        if problems.is_empty() { Ok(()) } else { Err(Error::misused(problems)) }
    }
}

/// A key as git compares it: what stands between the first and the last dot is kept as it is, the rest is small.
fn folded(key: &[u8]) -> Vec<u8> {
    let first = key.iter().position(|byte| *byte == b'.').unwrap_or(key.len());
    let last = key.iter().rposition(|byte| *byte == b'.').unwrap_or(0);
    let small = |(at, byte): (usize, &u8)| if at > first && at < last { *byte } else { byte.to_ascii_lowercase() };
    key.iter().enumerate().map(small).collect()
}

impl Verb for Config {
    type Told = Settings;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.check())
    }

    fn run(self, site: &Site<'_>) -> Result<Settings, Error> {
        self.check()?;
        let repository = Repository::new(site, &self.sandbox, &self.path);
        let key = self.key.as_ref().map(|key| folded(key.as_encoded_bytes()));
        if let Some(key) = self.key.filter(|_| self.unset || self.value.is_some()) {
            let scope = self.scope.unwrap_or(Scope::Local);
            let mut words: Vec<OsString> = vec!["config".into(), scope.word().into()];
            match self.value {
                // Of several none stays.
                Some(value) => words.extend(["--replace-all".into(), key.0, value.0]),
                None => words.extend(["--unset-all".into(), key.0]),
            }
            let answer = repository.call(Deed::Change, &words)?;
            match answer.code {
                0 => {}
                5 => return Err(Error::new(Kind::NotFound, "there is no such setting")),
                _ => return Err(repository.failure("config", &answer)),
            }
        }
        let mut settings = list(&repository, self.scope)?;
        if let Some(key) = &key {
            settings.retain(|setting| folded(&setting.key.0) == *key);
        }
        let value = key.and(settings.last()).map(|last| last.value.clone().unwrap_or_else(|| Name::from("true")));
        Ok(Settings { value, settings })
    }
}

fn list(repository: &Repository<'_>, scope: Option<Scope>) -> Result<Vec<git::Setting>, Error> {
    let mut words = vec!["config"];
    words.extend(scope.map(Scope::word));
    words.extend(["--list", "-z", "--show-scope", "--includes"]);
    let answer = repository.call(Deed::Look, &words.into_iter().map(OsString::from).collect::<Vec<_>>())?;
    // A file of settings that nobody has written yet has none.
    let missing =
        scope.is_some_and(|scope| scope != Scope::Local) && answer.stderr.ends_with(b"No such file or directory\n");
    match answer.code {
        0 => git::settings(&answer.stdout),
        _ if missing => Ok(Vec::new()),
        _ => Err(repository.failure("config", &answer)),
    }
}

impl Told for Settings {
    fn people(&self) -> String {
        let row = |one: &git::Setting| {
            let value = one.value.as_ref().map(ToString::to_string).unwrap_or_default();
            vec![one.scope.clone(), one.key.to_string(), value]
        };
        if self.settings.is_empty() {
            return "no settings\n".to_owned();
        }
        let mut rows = vec![heading(["SCOPE", "KEY", "VALUE"])];
        rows.extend(self.settings.iter().map(row));
        table(&rows)
    }
}

/// What to do with a remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitRemoteDeed"))]
#[serde(rename_all = "snake_case")]
pub enum RemoteDeed {
    /// List them
    #[default]
    List,
    /// Give one a name
    Add,
    /// Give one another address
    SetUrl,
    /// Forget one, and its branches
    Rm,
    /// Call one something else
    Rename,
}

/// `belljar git SANDBOX remote`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitRemoteOf"))]
pub struct Remote {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The repository's directory, or one in it [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// What to do
    #[arg(value_name = "DEED", default_value = "list")]
    #[serde(default)]
    deed: RemoteDeed,
    /// Its name
    #[arg(value_name = "NAME")]
    name: Option<Word>,
    /// Its address, of `add` and `set-url`; what it is called from now on, of `rename`
    ///
    /// A user and a password in an address of a web server are left out: nothing of that kind is kept in the sandbox.
    #[arg(value_name = "URL|NAME")]
    to: Option<Word>,
    /// Replace one of that name, of `add`
    #[arg(long)]
    #[serde(default)]
    overwrite: bool,
}

/// The remotes, after what was done.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitRemotes"))]
pub struct Remotes {
    /// All of them.
    remotes: Vec<git::Remote>,
}

impl Remote {
    /// The words of the change; none to list.
    fn words(&self) -> Result<Vec<OsString>, Error> {
        let mut faults = Faults::default();
        let (takes_name, takes_to) = match self.deed {
            RemoteDeed::List => (false, false),
            RemoteDeed::Rm => (true, false),
            RemoteDeed::Add | RemoteDeed::SetUrl | RemoteDeed::Rename => (true, true),
        };
        for (field, takes, given) in [("name", takes_name, self.name.is_some()), ("to", takes_to, self.to.is_some())] {
            if takes && !given {
                faults.0.push(Problem::new(field, "is missing").hint("as in `remote add origin https://HOST/PATH`"));
            }
            if given && !takes {
                faults.0.push(Problem::new(field, "is one word too many").hint("leave it out"));
            }
        }
        if self.overwrite && self.deed != RemoteDeed::Add {
            faults.0.push(Problem::new("overwrite", "goes only with `add`").hint("leave it out"));
        }
        let to = match (self.deed, &self.to) {
            (RemoteDeed::Add | RemoteDeed::SetUrl, Some(to)) => {
                let text = faults.text("to", to.0.clone()).unwrap_or_default();
                match git::address("to", &text) {
                    Ok(address) => Some(OsString::from(address.url)),
                    Err(problem) => {
                        faults.0.push(problem);
                        None
                    }
                }
            }
            (_, to) => to.as_ref().map(|to| to.0.clone()),
        };
        let new_name = self.to.as_ref().filter(|_| self.deed == RemoteDeed::Rename);
        if let Err(error) = check_names([("name", self.name.as_ref()), ("to", new_name)]) {
            faults.0.extend(error.problems);
        }
        faults.none()?;
        let deed = match self.deed {
            RemoteDeed::List => return Ok(Vec::new()),
            RemoteDeed::Add => "add",
            RemoteDeed::SetUrl => "set-url",
            RemoteDeed::Rm => "remove",
            RemoteDeed::Rename => "rename",
        };
        let names = [self.name.as_ref().map(|name| name.0.clone()), to].into_iter().flatten();
        Ok(["remote", deed, "--"].into_iter().map(OsString::from).chain(names).collect())
    }
}

impl Verb for Remote {
    type Told = Remotes;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.words())
    }

    fn run(self, site: &Site<'_>) -> Result<Remotes, Error> {
        let words = self.words()?;
        let repository = Repository::new(site, &self.sandbox, &self.path);
        if !words.is_empty() {
            let done = repository.change(&words);
            match (done, &self.name, &self.to) {
                (Err(error), Some(name), Some(_)) if self.overwrite && error.kind == Kind::Exists => {
                    let mut words = words;
                    words[1] = "set-url".into();
                    let _ = name;
                    repository.change(&words)?;
                }
                (done, ..) => drop(done?),
            }
        }
        let local = list(&repository, Some(Scope::Local))?;
        Ok(Remotes { remotes: git::remotes(&local) })
    }
}

impl Told for Remotes {
    fn people(&self) -> String {
        if self.remotes.is_empty() {
            return "no remotes\n".to_owned();
        }
        let mut rows = vec![heading(["NAME", "URL", "PUSH"])];
        rows.extend(self.remotes.iter().map(|one| {
            vec![
                one.name.to_string(),
                one.url.to_string(),
                one.push_url.as_ref().map(ToString::to_string).unwrap_or_default(),
            ]
        }));
        table(&rows)
    }
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn the_middle_of_a_key_is_compared_as_it_stands() {
        assert_eq!(folded(b"User.Name"), b"user.name");
        assert_eq!(folded(b"Remote.Origin.X.URL"), b"remote.Origin.X.url");
        assert_eq!(folded(b"odd"), b"odd");
    }
}
