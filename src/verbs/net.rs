//! The network of lasting sandboxes: what they may reach, and what they did.

use super::resolve;
use super::text::{heading, moment, size, table};
use super::words::{Count, Size, Text, Word, many};
use super::{Site, Told, Verb, table};
use crate::error::{Error, Problem};
use crate::outcome::network::{Allowance, Event, Happening};
use crate::sandbox;
use crate::spec::{self, Network, PartialSpec, Rule, Spec};
use crate::verbs::faults::{Env, Faults, problems_of};
use clap::Args;
use serde::{Deserialize, Serialize};

table! {
    /// What to do with the network of sandboxes.
    Net, METHODS, described {
        /// Set what a sandbox may reach, in place of what it might before
        Set(Set) = "net.set",
        /// Show what a sandbox reached, and what it was refused
        Log(Log) = "net.log",
    }
}

/// `belljar net set`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "NetSet"))]
pub struct Set {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
    /// Network: `none`, `only`, `open`, or a policy file [default: only]
    #[arg(long, value_name = "MODE|FILE")]
    net: Option<Word>,
    /// What may be reached, as in `belljar run --allow` (repeatable)
    #[arg(long, value_name = "TARGET")]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    allow: Vec<Word>,
    /// What may never be reached (repeatable)
    #[arg(long, value_name = "TARGET")]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    deny: Vec<Word>,
    /// Bytes a second to send, and to receive, with K, M, G [default: no limit]
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    net_rate: Option<Size>,
    /// Connections at once [default: 2048]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    net_connections: Option<Count>,
}

/// What a sandbox may reach now.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "NetworkSet"))]
pub struct IsSet {
    /// As it was asked for.
    name: String,
    /// `none`, `only` or `open`.
    net: String,
    /// What may be reached, rule by rule; sets are written out.
    allow: Vec<String>,
    /// What may not.
    deny: Vec<String>,
    /// Connections that were cut, since they are not allowed any more.
    cut: u64,
}

impl Set {
    /// What is wished, as far as files are not asked.
    fn wish(&self) -> Result<PartialSpec, Error> {
        let mut faults = Faults::default();
        let wish = PartialSpec {
            net_rate: self.net_rate.as_ref().and_then(|word| faults.unit("net_rate", &**word, spec::parse_bytes)),
            net_connections: self
                .net_connections
                .as_ref()
                .and_then(|word| faults.unit("net_connections", &**word, spec::parse_connections)),
            ..targets(self.net.as_ref(), &self.allow, &self.deny, &mut faults)
        };
        if faults.0.is_empty() && wish == PartialSpec::default() {
            let problem = Problem::new("net", "nothing says what may be reached");
            let hint = "as in `belljar net set NAME --allow pypi.org:443`; `--net none` is nothing at all";
            faults.0.push(problem.hint(hint));
        }
        faults.none().map(|()| wish)
    }
}

impl Verb for Set {
    type Told = IsSet;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.wish())
    }

    fn run(self, site: &Site<'_>) -> Result<IsSet, Error> {
        let wish = resolve::policy(self.wish()?)?;
        // What is only denied, or slowed down, is denied of nothing.
        let wish = PartialSpec { net: wish.net.or(Some(spec::NetworkWish::Mode(Network::Only))), ..wish };
        let (spec, cut) = sandbox::set_policy(&site.sandboxes()?, &self.name, wish)?;
        Ok(IsSet::of(self.name.0, &spec, cut))
    }
}

/// What `--net`, `--allow` and `--deny` say, as far as files are not asked.
pub fn targets(net: Option<&Word>, allow: &[Word], deny: &[Word], faults: &mut Faults) -> PartialSpec {
    PartialSpec {
        net: net.and_then(|word| faults.word("net", &word.to_string_lossy(), spec::parse_network)),
        allow: rules("allow", allow, faults),
        deny: rules("deny", deny, faults),
        ..PartialSpec::default()
    }
}

fn rules(field: &str, words: &[Word], faults: &mut Faults) -> Vec<Rule> {
    words.iter().filter_map(|word| faults.word(field, &word.to_string_lossy(), spec::parse_target)).flatten().collect()
}

impl IsSet {
    fn of(name: String, spec: &Spec, cut: u64) -> IsSet {
        let shown = |rules: &[Rule]| rules.iter().map(ToString::to_string).collect();
        IsSet { name, net: spec.net.name().to_owned(), allow: shown(&spec.allow), deny: shown(&spec.deny), cut }
    }
}

impl Told for IsSet {
    fn people(&self) -> String {
        let mut text = format!("{}: network {}", self.name, self.net);
        for (what, rules) in [("allow", &self.allow), ("deny", &self.deny)] {
            if !rules.is_empty() {
                text.push_str(&format!(", {what} {}", rules.join(" ")));
            }
        }
        if self.cut > 0 {
            text.push_str(&format!("; connections cut: {}", self.cut));
        }
        text.push('\n');
        text
    }
}

/// `belljar net log`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "NetLog"))]
pub struct Log {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
    /// Go on until it ends
    #[arg(short, long)]
    #[serde(default)]
    follow: bool,
}

/// What a sandbox did on its network since it was started.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "NetworkLog"))]
pub struct Logged {
    /// What happened, in order; of a long log the newer part. Empty where it was told as it came.
    events: Vec<Event>,
    #[serde(skip)]
    told: bool,
}

impl Verb for Log {
    type Told = Logged;

    fn run(self, site: &Site<'_>) -> Result<Logged, Error> {
        let entry = site.sandboxes()?.find(&self.name)?;
        let mut events = Vec::new();
        match site.live.filter(|_| self.follow) {
            None => sandbox::follow_network(&entry, self.follow, &mut |event| {
                events.push(event);
                Ok(())
            })?,
            Some(out) => {
                let mut out = out();
                sandbox::follow_network(&entry, true, &mut |event| {
                    let line = table(&[row(&event)]);
                    let written = out.write_all(line.as_bytes()).and_then(|()| out.flush());
                    written.map_err(|error| Error::attempt("write the network log", &error))
                })?;
            }
        }
        Ok(Logged { events, told: self.follow && site.live.is_some() })
    }
}

impl Told for Logged {
    fn people(&self) -> String {
        if self.told {
            return String::new();
        }
        if self.events.is_empty() {
            return "nothing was reached, and nothing was refused\n".to_owned();
        }
        let mut rows = vec![heading(["TIME", "WHAT", "TO", "SENT", "RECEIVED", "WHY"])];
        rows.extend(self.events.iter().map(row));
        table(&rows)
    }
}

/// An event as a row of a table.
fn row(event: &Event) -> Vec<String> {
    let what = match event.event {
        Happening::Opened => "opened",
        Happening::Closed => "closed",
        Happening::Refused if event.verdict == Some(Allowance::Failed) => "failed",
        Happening::Refused => "refused",
        Happening::Query => "query",
        Happening::Lost => "lost",
    };
    let why = match (&event.hint, &event.rule, &event.reason) {
        (Some(hint), _, Some(reason)) => format!("{reason}; {hint}"),
        (_, Some(rule), _) => format!("rule {rule}"),
        (_, None, reason) => reason.clone().unwrap_or_default(),
    };
    let bytes = |count: Option<u64>| count.map_or_else(String::new, size);
    let at = moment((event.at / 1000).cast_signed());
    vec![at, what.to_owned(), event.target(), bytes(event.sent), bytes(event.received), why]
}
