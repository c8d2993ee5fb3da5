//! What is told of sandboxes.

use crate::error::{Error, Problem};
use crate::name::Name;
use crate::outcome::{Enforcement, Published, Status, Usage};
use crate::sandbox::{self, Entry, Reason, State};
use crate::spec::{Spec, show_bytes};
use crate::verbs::faults::{Env, Faults, problems_of};
use crate::verbs::text::{ago, heading, size, table, time};
use crate::verbs::words::{Text, Word, pairs};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Exit code for an end that nobody has seen.
const UNKNOWN: i32 = 125;

/// How a sandbox ended, the same in every verb.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct End {
    /// When, as RFC 3339 has it.
    at: String,
    /// Why: a limit, its own command's end, or `cancelled` where it was told to.
    status: Status,
    /// Of its own command; null where it has none.
    exit_code: Option<i32>,
    /// The signal that ended its own command.
    signal: Option<String>,
    /// What it used.
    usage: Usage,
    /// Why nothing ran.
    error: Option<String>,
    /// Who wanted it to end, where somebody did.
    reason: Option<Reason>,
    #[serde(skip)]
    code: i32,
}

impl End {
    /// What is told of it.
    pub fn of(end: &sandbox::End) -> End {
        End {
            at: time(end.at),
            status: end.status,
            exit_code: end.exit_code,
            signal: end.signal.clone(),
            usage: end.usage,
            error: end.error.clone(),
            reason: end.reason,
            code: end.exit_code(),
        }
    }
}

/// The limits of a sandbox.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Limits {
    /// Of all processes together.
    pub memory_bytes: u64,
    /// The CPU rate.
    pub cpus: f64,
    /// Processes and threads.
    pub pids: u32,
    /// Of the writable layer.
    pub disk_bytes: u64,
}

impl Limits {
    /// Those that a spec has.
    pub fn of(spec: &Spec) -> Limits {
        Limits {
            memory_bytes: spec.memory,
            cpus: f64::from(spec.millicpus) / 1000.0,
            pids: spec.pids,
            disk_bytes: spec.disk,
        }
    }
}

/// Everything that is known of a sandbox.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Known {
    /// Its id, unique on this host.
    id: String,
    /// Its name; the id, where it has none.
    name: String,
    /// What it is doing.
    state: State,
    /// The root file system: `host`, or an image with its digest.
    image: String,
    /// Its labels.
    labels: BTreeMap<String, String>,
    /// Whether it stays, with its files, when it ends.
    keep: bool,
    /// When it was made, as RFC 3339 has it.
    created: String,
    /// When it was last ready; null where it never was.
    started: Option<String>,
    /// From its making to its removal.
    ttl_seconds: Option<u64>,
    /// Without a call until it is stopped.
    idle_stop_seconds: Option<u64>,
    /// Without a call until it is removed.
    idle_rm_seconds: Option<u64>,
    /// Its limits.
    limits: Limits,
    /// Its network: `none` or `host`.
    net: String,
    /// What may be reached, rule by rule; sets are written out.
    allow: Vec<String>,
    /// What may not.
    deny: Vec<String>,
    /// How it ended the last time; null as long as it runs.
    end: Option<End>,
    /// Each protection, and how far it is enforced.
    enforcement: BTreeMap<String, Enforcement>,
    /// Ports that are reached from the host, as long as it runs; none where none were asked for.
    published: Vec<Published>,
    #[serde(skip)]
    made: u64,
    #[serde(skip)]
    ran_on: String,
}

impl Known {
    fn of(entry: &Entry) -> Result<Known, Error> {
        let (record, spec, state, run) = (entry.record()?, entry.spec()?, entry.state(), entry.run());
        let planned = || spec.image.clone().unwrap_or_else(|| "host".to_owned());
        Ok(Known {
            id: entry.id.clone(),
            name: record.name,
            state,
            image: if run.image.is_empty() { planned() } else { run.image.clone() },
            labels: record.labels,
            keep: record.keep,
            created: time(record.created),
            started: (run.started > 0).then(|| time(run.started)),
            ttl_seconds: record.ttl,
            idle_stop_seconds: record.idle_stop,
            idle_rm_seconds: record.idle_rm,
            limits: Limits::of(&spec),
            net: spec.net.name().to_owned(),
            allow: spec.allow.iter().map(ToString::to_string).collect(),
            deny: spec.deny.iter().map(ToString::to_string).collect(),
            end: run.end.as_ref().map(End::of),
            published: if state == State::Running { run.published } else { Vec::new() },
            enforcement: run.enforcement,
            made: record.created,
            ran_on: run.image,
        })
    }
}

impl Told for Known {
    const IS_OBJECT: bool = true;

    fn people(&self) -> String {
        String::new()
    }
}

/// `belljar ls`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ls {
    /// Only those with this label (repeatable)
    #[arg(long, value_name = "K=V")]
    #[serde(default, deserialize_with = "pairs")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::Pairs"))]
    label: Vec<Word>,
}

/// One sandbox of a list.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Listed {
    /// With all that is known of it.
    Known(Box<Known>),
    /// One of which something cannot be read.
    Broken {
        /// Its id.
        id: String,
        /// `broken`.
        state: State,
        /// What cannot be read, and why.
        error: String,
    },
}

/// The sandboxes that last.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sandboxes {
    /// In the order in which they were made.
    sandboxes: Vec<Listed>,
}

impl Ls {
    fn wanted(&self) -> Result<Vec<(String, String)>, Error> {
        let mut faults = Faults::default();
        let wanted = self.label.iter().filter_map(|word| faults.label(word)).collect();
        faults.none().map(|()| wanted)
    }
}

impl Verb for Ls {
    type Told = Sandboxes;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.wanted())
    }

    fn run(self, site: &Site<'_>) -> Result<Sandboxes, Error> {
        let wanted = self.wanted()?;
        let mut entries = site.sandboxes()?.list()?;
        // Those of one second by their names.
        entries.sort_by_cached_key(|entry| entry.record().ok().map(|record| (record.created, record.name)));
        let mut sandboxes = Vec::new();
        for entry in entries {
            match Known::of(&entry) {
                Ok(known) if wanted.iter().all(|(key, value)| known.labels.get(key) == Some(value)) => {
                    sandboxes.push(Listed::Known(Box::new(known)));
                }
                Ok(_) => {}
                // Gone between the list and the look.
                Err(_) if !entry.directory.exists() => {}
                Err(error) => {
                    let (id, state, error) = (entry.id, State::Broken, error.to_string());
                    sandboxes.push(Listed::Broken { id, state, error });
                }
            }
        }
        Ok(Sandboxes { sandboxes })
    }
}

impl Told for Sandboxes {
    fn people(&self) -> String {
        if self.sandboxes.is_empty() {
            return "no sandboxes; `belljar create` makes one\n".to_owned();
        }
        let mut rows = vec![heading(["NAME", "ID", "STATE", "IMAGE", "CREATED"])];
        rows.extend(self.sandboxes.iter().map(|listed| match listed {
            Listed::Known(known) => {
                let image = known.ran_on.split('@').next().unwrap_or_default().to_owned();
                let name = if known.name == known.id { "-".to_owned() } else { known.name.clone() };
                vec![name, known.id.clone(), known.state.name().to_owned(), image, ago(known.made)]
            }
            Listed::Broken { id, state, .. } => {
                vec!["-".to_owned(), id.clone(), state.name().to_owned(), String::new(), String::new()]
            }
        }));
        table(&rows)
    }
}

/// `belljar inspect`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Inspect {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
}

impl Verb for Inspect {
    type Told = Known;

    fn run(self, site: &Site<'_>) -> Result<Known, Error> {
        Known::of(&site.sandboxes()?.find(&self.name)?)
    }
}

/// `belljar wait`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Wait {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
    /// End the sandbox when this command ends first, however it ends: by Ctrl-C, kill -9, or with the `rpc` that it was asked of
    ///
    /// Where several have a lease, the last one counts. A sandbox that is kept is stopped, and its files stay.
    #[arg(long)]
    #[serde(default)]
    lease: bool,
}

/// The end of a sandbox.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Waited {
    /// How it ended; null where nobody knows.
    end: Option<End>,
}

impl Verb for Wait {
    type Told = Waited;

    fn run(self, site: &Site<'_>) -> Result<Waited, Error> {
        let run = sandbox::wait(&site.sandboxes()?, &self.name, self.lease)?;
        Ok(Waited { end: run.end.as_ref().map(End::of) })
    }
}

impl Told for Waited {
    fn people(&self) -> String {
        format!("{}\n", self.code())
    }

    /// As if the caller had run the sandbox's command itself; without a word of its supervisor nothing is known.
    fn code(&self) -> i32 {
        self.end.as_ref().map_or(UNKNOWN, |end| end.code)
    }
}

/// `belljar logs`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Logs {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
    /// Go on until it ends
    #[arg(short, long)]
    #[serde(default)]
    follow: bool,
}

/// What a sandbox's own command has written.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Log {
    /// All that is kept of it; null where it was told as it came.
    log: Option<Name>,
    /// Whether it wrote more than is kept.
    truncated: bool,
}

impl Verb for Logs {
    type Told = Log;

    fn run(self, site: &Site<'_>) -> Result<Log, Error> {
        let entry = site.sandboxes()?.find(&self.name)?;
        let Some(out) = site.live else {
            let mut bytes = Vec::new();
            sandbox::follow_log(&entry, self.follow, &mut bytes)?;
            return Ok(Log { log: Some(Name(bytes)), truncated: sandbox::is_log_full(&entry) });
        };
        sandbox::follow_log(&entry, self.follow, &mut *out())?;
        let truncated = sandbox::is_log_full(&entry);
        if truncated {
            (site.say)("the command wrote more than is kept of it (10 MiB), and the rest was dropped");
        }
        Ok(Log { log: None, truncated })
    }
}

impl Told for Log {
    fn people(&self) -> String {
        String::new()
    }
}

/// `belljar stats`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stats {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
}

impl Verb for Stats {
    type Told = sandbox::Stats;

    fn run(self, site: &Site<'_>) -> Result<sandbox::Stats, Error> {
        sandbox::stats(&site.sandboxes()?.find(&self.name)?)
    }
}

impl Told for sandbox::Stats {
    fn people(&self) -> String {
        let mut rows = vec![
            ("memory", format!("{} of {}", size(self.memory_bytes), show_bytes(self.memory_limit_bytes))),
            ("processes", format!("{} of {}", self.pids, self.pids_limit)),
            ("cpu time", format!("{:.2} s", self.cpu_ms as f64 / 1000.0)),
            ("cpus", format!("{}", f64::from(self.millicpus_limit) / 1000.0)),
            ("disk", format!("{} of {}", size(self.disk_bytes), show_bytes(self.disk_limit_bytes))),
            ("up", format!("{:.0} s", self.uptime_ms as f64 / 1000.0)),
        ];
        if self.leases > 0 {
            rows.push(("leases", self.leases.to_string()));
        }
        table(&rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect::<Vec<_>>())
    }
}
