//! `start`, `stop`, `rm`, `resize`, `rename` and `label`.

use super::look::{End, Limits};
use crate::error::{Error, Problem};
use crate::outcome::Published;
use crate::sandbox;
use crate::spec::{self, PartialSpec};
use crate::verbs::faults::{Env, Faults, problems_of};
use crate::verbs::published;
use crate::verbs::words::{Count, Cpus, Size, Text, Time, Word, pairs, some};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long everybody inside has to end, unless somebody says otherwise.
const GRACE: Duration = Duration::from_secs(1);

/// One of several sandboxes.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Each{T}"))]
#[serde(untagged)]
pub enum Each<T> {
    /// It was done.
    Done(T),
    /// It was not.
    Undone {
        /// As it was asked for.
        name: String,
        /// Why.
        error: Error,
    },
}

/// What became of each sandbox that was named, in that order.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "All{T}"))]
pub struct All<T> {
    /// Where there is one alone, and it could not be done, that is an error.
    pub sandboxes: Vec<Each<T>>,
    #[serde(skip)]
    names: Vec<String>,
}

impl<T> All<T> {
    /// The same for each name; what could not be done is said at once, and the rest is done all the same.
    fn do_each(names: Vec<Text>, site: &Site<'_>, act: impl Fn(&str) -> Result<T, Error>) -> Result<All<T>, Error> {
        let several = names.len() > 1;
        let (mut sandboxes, mut done) = (Vec::new(), Vec::new());
        for Text(name) in names {
            match act(&name) {
                Ok(told) => {
                    sandboxes.push(Each::Done(told));
                    done.push(name);
                }
                Err(error) if several => {
                    (site.complain)(&error);
                    sandboxes.push(Each::Undone { name, error });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(All { sandboxes, names: done })
    }
}

impl<T: Serialize> Told for All<T> {
    fn people(&self) -> String {
        self.names.iter().map(|name| format!("{name}\n")).collect()
    }

    fn code(&self) -> i32 {
        let failed = |each: &Each<T>| match each {
            Each::Done(_) => 0,
            Each::Undone { error, .. } => crate::verbs::exit_code(error),
        };
        self.sandboxes.iter().map(failed).rfind(|code| *code != 0).unwrap_or(0)
    }
}

/// `belljar start`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Start {
    /// The sandboxes, by name or the beginning of the id
    #[arg(value_name = "NAME", required = true)]
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrSome<Text>"))]
    name: Vec<Text>,
}

/// A sandbox that was started.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Started {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// The root file system: `host`, or an image with its digest.
    image: String,
    /// Ports that are reached from the host; none where none were asked for.
    published: Vec<Published>,
}

impl Verb for Start {
    type Told = All<Started>;

    fn run(self, site: &Site<'_>) -> Result<All<Started>, Error> {
        let sandboxes = site.sandboxes()?;
        All::do_each(self.name, site, |name| {
            let (entry, run) = sandbox::start(&sandboxes, name)?;
            published::say(site, &entry.spec()?.publish, &run.published);
            Ok(Started { name: entry.name(), id: entry.id, image: run.image, published: run.published })
        })
    }
}

/// `belljar stop`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stop {
    /// The sandboxes, by name or the beginning of the id
    #[arg(value_name = "NAME", required = true)]
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrSome<Text>"))]
    name: Vec<Text>,
    /// Time between asking everybody inside to end and killing them [default: 1s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    grace: Option<Time>,
}

/// A sandbox that was stopped.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stopped {
    /// As it was asked for.
    name: String,
    /// How it ended; null where nobody knows.
    end: Option<End>,
}

impl Stop {
    fn grace(&self) -> Result<Option<Duration>, Error> {
        let mut faults = Faults::default();
        let grace = match self.grace.as_ref().and_then(|text| text.to_str()) {
            // `0` is allowed here.
            Some("0" | "0s") => Some(Duration::ZERO),
            _ => self.grace.as_ref().and_then(|time| faults.unit("grace", &**time, spec::parse_duration)),
        };
        faults.none().map(|()| grace)
    }
}

impl Verb for Stop {
    type Told = All<Stopped>;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.grace())
    }

    fn run(self, site: &Site<'_>) -> Result<All<Stopped>, Error> {
        let grace = self.grace()?;
        let sandboxes = site.sandboxes()?;
        All::do_each(self.name, site, |name| {
            let run = sandbox::stop(&sandboxes, name, grace.unwrap_or(GRACE))?;
            Ok(Stopped { name: name.to_owned(), end: run.end.as_ref().map(End::of) })
        })
    }
}

/// `belljar rm`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rm {
    /// The sandboxes, by name or the beginning of the id
    #[arg(value_name = "NAME", required = true)]
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrSome<Text>"))]
    name: Vec<Text>,
    /// Kill it first, if it runs
    #[arg(short, long)]
    #[serde(default)]
    force: bool,
}

/// A sandbox that was removed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Removed {
    /// As it was asked for.
    name: String,
}

impl Verb for Rm {
    type Told = All<Removed>;

    fn run(self, site: &Site<'_>) -> Result<All<Removed>, Error> {
        let sandboxes = site.sandboxes()?;
        All::do_each(self.name, site, |name| {
            sandbox::remove(&sandboxes, name, self.force)?;
            Ok(Removed { name: name.to_owned() })
        })
    }
}

/// `belljar resize`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Resize {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
    /// Memory of all processes together, in bytes or with K, M, G
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory: Option<Size>,
    /// CPU rate, in CPUs
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    cpus: Option<Cpus>,
    /// Number of processes and threads
    ///
    /// Where no cgroup counts them, what runs already keeps its own limit.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pids: Option<Count>,
    /// Size of the writable layer, upward only
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    disk: Option<Size>,
}

/// The limits that a sandbox has now.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Resized {
    /// As it was asked for.
    name: String,
    /// All of them, the changed and the others.
    limits: Limits,
}

impl Resize {
    fn wish(&self) -> Result<PartialSpec, Error> {
        let mut faults = Faults::default();
        let wish = PartialSpec {
            memory: self.memory.as_ref().and_then(|word| faults.unit("memory", &**word, spec::parse_bytes)),
            millicpus: self.cpus.as_ref().and_then(|word| faults.unit("cpus", &**word, spec::parse_cpus)),
            pids: self.pids.as_ref().and_then(|word| faults.unit("pids", &**word, spec::parse_count)),
            disk: self.disk.as_ref().and_then(|word| faults.unit("disk", &**word, spec::parse_bytes)),
            ..PartialSpec::default()
        };
        if faults.0.is_empty() && wish == PartialSpec::default() {
            let problem = Problem::new("memory", "is missing, and so are `cpus`, `pids` and `disk`");
            faults.0.push(problem.hint("give `--memory`, `--cpus`, `--pids` or `--disk`"));
        }
        faults.none().map(|()| wish)
    }
}

impl Verb for Resize {
    type Told = Resized;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.wish())
    }

    fn run(self, site: &Site<'_>) -> Result<Resized, Error> {
        let wish = self.wish()?;
        let spec = sandbox::resize(&site.sandboxes()?, &self.name, &wish)?;
        Ok(Resized { name: self.name.0, limits: Limits::of(&spec) })
    }
}

impl Told for Resized {
    fn people(&self) -> String {
        let Limits { memory_bytes, cpus, pids, disk_bytes } = &self.limits;
        let [memory, disk] = [memory_bytes, disk_bytes].map(|bytes| spec::show_bytes(*bytes));
        format!("{}: memory {memory}, cpus {cpus}, processes {pids}, disk {disk}\n", self.name)
    }
}

/// `belljar rename`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rename {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
    /// What to call it from now on
    #[arg(value_name = "NEW")]
    new: Text,
}

/// A sandbox that has another name.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Renamed {
    /// Its name now.
    name: String,
    /// As it was asked for.
    was: String,
}

impl Verb for Rename {
    type Told = Renamed;

    fn run(self, site: &Site<'_>) -> Result<Renamed, Error> {
        let renamed = sandbox::rename(&site.sandboxes()?, &self.name, &self.new);
        renamed.map_err(|error| error.rename_field("name", "new"))?;
        Ok(Renamed { name: self.new.0, was: self.name.0 })
    }
}

impl Told for Renamed {
    fn people(&self) -> String {
        format!("{} is {} now\n", self.was, self.name)
    }
}

/// `belljar label`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Label {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
    /// Labels to set; `K=` takes one away
    #[arg(value_name = "K=V")]
    #[serde(default, deserialize_with = "pairs")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::Pairs"))]
    label: Vec<Word>,
}

/// The labels that a sandbox has now.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Labels {
    /// By their keys.
    labels: BTreeMap<String, String>,
}

impl Label {
    fn wanted(&self) -> Result<BTreeMap<String, Option<String>>, Error> {
        let mut faults = Faults::default();
        let wanted = self.label.iter().filter_map(|word| faults.label(word));
        let wanted = wanted.map(|(key, value)| (key, (!value.is_empty()).then_some(value))).collect();
        faults.none().map(|()| wanted)
    }
}

impl Verb for Label {
    type Told = Labels;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.wanted())
    }

    fn run(self, site: &Site<'_>) -> Result<Labels, Error> {
        let wanted = self.wanted()?;
        Ok(Labels { labels: sandbox::label(&site.sandboxes()?, &self.name, &wanted)? })
    }
}

impl Told for Labels {
    fn people(&self) -> String {
        // Older records may have what is refused now.
        let escaped = |char: char| if char.is_control() { char.escape_default().collect() } else { char.to_string() };
        let line = |text: String| text.chars().map(escaped).collect::<String>() + "\n";
        self.labels.iter().map(|(key, value)| line(format!("{key}={value}"))).collect()
    }
}
