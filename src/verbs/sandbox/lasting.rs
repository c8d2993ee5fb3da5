//! `life`: how long a sandbox lasts, changed while it does.

use crate::error::{Error, Problem};
use crate::sandbox::{self, Lasting};
use crate::spec;
use crate::verbs::faults::{Env, Faults, problems_of};
use crate::verbs::words::{Text, Time};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `belljar life`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[command(after_help = "Times are as those of `belljar create`, or `none`. What is not given stays as it is.")]
pub struct Life {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
    /// Whether it stays, with its files, when it ends; one that was made to go cannot be kept [default: as it is]
    #[arg(long, value_name = "true|false")]
    keep: Option<bool>,
    /// Remove it when this time has passed since it was made [default: as it is]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    ttl: Option<Time>,
    /// Stop it when it was not called for this time [default: as it is]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    idle_stop: Option<Time>,
    /// Remove it when it was not called for this time [default: as it is]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    idle_rm: Option<Time>,
}

/// How long a sandbox lasts now.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lasts {
    /// Its name.
    name: String,
    /// Whether it stays, with its files, when it ends.
    keep: bool,
    /// Seconds from its making to its removal.
    ttl_seconds: Option<u64>,
    /// Seconds without a call until it is stopped.
    idle_stop_seconds: Option<u64>,
    /// Seconds without a call until it is removed.
    idle_rm_seconds: Option<u64>,
}

impl Life {
    fn wanted(&self) -> Result<Lasting, Error> {
        let mut faults = Faults::default();
        let mut time = |field, word: &Option<Time>| {
            word.as_ref().and_then(|word| faults.unit(field, &**word, spec::parse_timeout))
        };
        let lasting = Lasting {
            keep: self.keep,
            ttl: time("ttl", &self.ttl),
            idle_stop: time("idle_stop", &self.idle_stop),
            idle_rm: time("idle_rm", &self.idle_rm),
        };
        if faults.0.is_empty() && lasting == Lasting::default() {
            let problem = Problem::new("ttl", "is missing, and so are `keep`, `idle_stop` and `idle_rm`");
            faults.0.push(problem.hint("give `--ttl`, `--idle-stop`, `--idle-rm` or `--keep`"));
        }
        faults.none().map(|()| lasting)
    }
}

impl Verb for Life {
    type Told = Lasts;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.wanted())
    }

    fn run(self, site: &Site<'_>) -> Result<Lasts, Error> {
        let record = sandbox::last(&site.sandboxes()?, &self.name, self.wanted()?)?;
        Ok(Lasts {
            name: record.name,
            keep: record.keep,
            ttl_seconds: record.ttl,
            idle_stop_seconds: record.idle_stop,
            idle_rm_seconds: record.idle_rm,
        })
    }
}

impl Told for Lasts {
    fn people(&self) -> String {
        let time = |seconds: Option<u64>| {
            seconds.map_or_else(|| "never".to_owned(), |seconds| spec::show_duration(Duration::from_secs(seconds)))
        };
        let kept = if self.keep { "kept" } else { "not kept" };
        let [ttl, stop, removal] = [self.ttl_seconds, self.idle_stop_seconds, self.idle_rm_seconds].map(time);
        format!(
            "{}: {kept}; removed after {ttl}, stopped when idle for {stop}, removed when idle for {removal}\n",
            self.name
        )
    }
}
