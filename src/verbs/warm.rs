//! `warm`: templates, of which an interpreter that has done what every run begins with is copied into a fresh sandbox for each.

use super::create::{lasting, misused};
use super::faults::{Env, Faults, problems_of};
use super::options::{OwnOptions, SandboxOptions};
use super::parameters::Take;
use super::resolve::resolve;
use super::sandbox::Limits;
use super::text::{heading, size, table, time};
use super::wish::{self, Request};
use super::words::{Count, Deadline, Text, Time, Word, pairs, some};
use super::{Site, Told, Verb, options::Options, table};
use crate::error::{Error, Kind, Problem};
use crate::outcome::Enforcement;
use crate::sandbox::{self, Entry, Sandboxes, Wish};
use crate::spec::{self, Code, Language, Network, Order, Program, Source, Spec, UnitError, Userns, Warm as Template};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

/// Copies that wait, unless somebody says otherwise.
const READY: u32 = 2;
/// The most.
const MOST: u32 = 64;
/// The longest preload: it goes to the interpreter as one word.
const LONGEST: u64 = crate::program::LONGEST_ARGUMENT as u64;
/// How long it may take, unless somebody says otherwise.
const PATIENCE: Duration = Duration::from_secs(600);

const LIFE: &str = "Life";

table! {
    /// What to do with warm templates.
    Warm, METHODS, described {
        /// Make a warm template: an interpreter that has loaded what every run needs
        Create(Create) = "warm.create",
        /// List warm templates, and what they have ready
        Ls(Ls) = "warm.ls",
        /// Show all that is known of a warm template, as JSON
        Inspect(Inspect) = "warm.inspect",
        /// End and remove warm templates, and what runs by them
        Rm(Rm) = "warm.rm",
    }
}

/// `belljar warm create`.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WarmCreate"))]
#[command(
    override_usage = "belljar warm create [OPTIONS] NAME",
    after_help = "Each run by the template (`belljar code python --warm NAME -e CODE`) has a sandbox of its own with the limits that are given here, and the \
template has one with the same. It is a persistent sandbox: `stats`, `logs`, `life` and `stop` take it too."
)]
pub struct Create {
    /// The options of its sandbox, and of each run's.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub options: Box<SandboxOptions>,
    /// What it has ready, and how it lasts.
    #[command(flatten)]
    #[cfg_attr(test, schemars(flatten))]
    pub what: What,
}

/// What a template has ready, and how it lasts.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WarmWhat"))]
pub struct What {
    /// Code that it runs once, before all runs, as in 'import numpy, pandas' [default: none]
    ///
    /// A run finds what that has imported, and its names in the module `__preload__`. It may leave no thread, no process, no open file and
    /// no shared memory behind, which runs would have in common. No secret belongs there: each run can read its memory. A template of Node
    /// runs it in each of its interpreters, as in "require('typescript')".
    #[arg(long, value_name = "CODE", allow_hyphen_values = true)]
    pub preload: Option<Word>,
    /// The same from a file, or `-` for standard input [default: none]
    #[arg(long, value_name = "FILE")]
    pub preload_file: Option<Word>,
    /// How long that may take, or `none` [default: 10m]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub preload_timeout: Option<Deadline>,
    /// The interpreter: `python` or `node` [default: python]
    #[arg(long, value_name = "LANG")]
    pub lang: Option<Word>,
    /// How many copies wait, each for one run; 0 for none [default: 2]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub ready: Option<Count>,
    /// Remove it after this time, as in 30s or 2h [default: never]
    #[arg(long, value_name = "TIME", help_heading = LIFE, allow_hyphen_values = true)]
    pub ttl: Option<Time>,
    /// Remove it when nobody has run anything by it for this time [default: never]
    #[arg(long, value_name = "TIME", help_heading = LIFE, allow_hyphen_values = true)]
    pub idle_stop: Option<Time>,
    /// Give it a label (repeatable) [default: none]
    #[arg(long, value_name = "K=V", help_heading = LIFE)]
    #[serde(default, deserialize_with = "pairs")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::Pairs"))]
    pub label: Vec<Word>,
    /// What to call it
    #[arg(value_name = "NAME")]
    pub name: Option<Word>,
}

impl Take for Create {
    fn take(given: &mut Map<String, Value>, problems: &mut Vec<Problem>) -> Option<Create> {
        let (options, what) = (SandboxOptions::take(given, problems), What::take(given, problems));
        Some(Create { options: Box::new(options?), what: what? })
    }

    fn names() -> Vec<&'static str> {
        [SandboxOptions::names(), What::names()].concat()
    }
}

/// What is asked for: the sandbox, how it lasts, how many wait, and where the preload comes from.
struct Asked {
    request: Request,
    wish: Wish,
    language: Language,
    ready: u32,
    preload: Option<Source>,
    patience: Option<Duration>,
}

impl Create {
    /// What is asked for; nothing is opened.
    fn request(self, env: Env<'_>) -> Result<Asked, Error> {
        let mut faults = Faults::default();
        let What { preload, preload_file, preload_timeout, lang, ready, ttl, idle_stop, label, name } = self.what;
        if name.is_none() {
            faults.0.push(Problem::new("name", "is missing").hint("end with what to call it"));
        }
        if preload.is_some() && preload_file.is_some() {
            let problem = Problem::new("preload_file", "does not go with `preload`");
            faults.0.push(problem.hint("leave one of them out"));
        }
        for (field, given, why) in [
            ("timeout", self.options.timeout.is_some(), "belongs to a run"),
            ("cpu_time", self.options.cpu_time.is_some(), "is not counted for a run by a template"),
            ("publish", !self.options.publish.is_empty(), "runs by a template publish no ports"),
        ] {
            if given {
                let hint = format!("leave `--{}` out, or run the code without a template", field.replace('_', "-"));
                faults.0.push(Problem::new(field, why).hint(hint));
            }
        }
        let labels = label.iter().filter_map(|label| faults.label(label)).collect();
        let mut time =
            |field, word: Option<Time>| word.and_then(|word| faults.unit(field, &*word, spec::parse_duration));
        let (ttl, idle) = (time("ttl", ttl), time("idle_stop", idle_stop));
        let ready = ready.and_then(|word| faults.unit("ready", &*word, parse_ready)).unwrap_or(READY);
        let patience = preload_timeout.and_then(|word| faults.unit("preload_timeout", &*word, spec::parse_timeout));
        let language = lang.and_then(|word| faults.word("lang", &word.to_string_lossy(), spec::parse_language));
        let language = language.unwrap_or_default();
        if language == Language::Shell {
            let problem = Problem::new("lang", "a shell has nothing to be ready with");
            faults.0.push(problem.hint("name `python` or `node`"));
        }
        let name = name.and_then(|name| faults.text("name", name.0));
        let preload = match (preload, preload_file) {
            (Some(code), _) => Some(Source::Text(code.0)),
            (None, Some(file)) if file.0 == "-" => Some(Source::Stdin),
            (None, Some(file)) => Some(Source::File(file.0.into())),
            (None, None) => None,
        };
        let options = Options { sandbox: *self.options, own: OwnOptions::default() };
        // Which interpreter it is, and with which words it is started, is not the caller's to say.
        let code = Code { language, source: Source::Text("".into()), args: Vec::new() };
        let request = lasting(wish::finish(options, Some(Program::Code(code)), None, env, &mut faults)?);
        let wish = Wish { name, labels, keep: false, ttl, idle_stop: idle, idle_rm: None };
        Ok(Asked { request, wish, language, ready, preload, patience: patience.unwrap_or(Some(PATIENCE)) })
    }
}

/// How many wait.
fn parse_ready(word: &str) -> Result<u32, UnitError> {
    match word.parse() {
        Ok(ready) if ready <= MOST => Ok(ready),
        _ => Err(UnitError {
            given: word.to_owned(),
            reason: "is no number of copies".to_owned(),
            right: "a number of copies is a whole number from 0 to 64, as in `2`",
        }),
    }
}

/// What no template can have.
fn check(spec: &Spec) -> Result<(), Error> {
    let mut problems = Vec::new();
    if !matches!(spec.net, Network::None | Network::Host) {
        let problem = Problem::new("net", "runs by a template reach nothing, or all that the host does");
        problems.push(problem.hint("`--net none` or `--net host`; other code is run without a template"));
    }
    if spec.userns == Userns::Range {
        let problem = Problem::new("userns", "runs by a template have one id");
        problems.push(problem.hint("leave `--userns range` out"));
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::misused(problems)) }
}

/// The preload's text.
fn read(source: Option<Source>) -> Result<String, Error> {
    let (field, bytes) = match source {
        None => return Ok(String::new()),
        Some(Source::File(path)) => {
            let unread = |error| Error::of_file("preload_file", Path::new(&path), &error).hint("name a file of code");
            ("preload_file", std::fs::read(&path).map_err(unread)?)
        }
        Some(Source::Text(text)) => ("preload", text.into_encoded_bytes()),
        Some(Source::Stdin) => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().take(LONGEST + 1).read_to_end(&mut bytes);
            read.map_err(|error| Error::attempt("read the preload from standard input", &error))?;
            ("preload_file", bytes)
        }
    };
    if bytes.len() as u64 > LONGEST {
        return Err(Error::misused(vec![Problem::new(field, format!("is longer than {LONGEST} bytes"))]));
    }
    String::from_utf8(bytes).map_err(|_| Error::misused(vec![Problem::new(field, "is not UTF-8")]))
}

/// A template.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WarmTemplate"))]
pub struct One {
    /// Its id, unique on this host.
    id: String,
    /// Its name.
    name: String,
    /// What its sandbox is doing.
    state: sandbox::State,
    /// The root file system: `host`, or an image with its digest.
    image: String,
    /// Its interpreter: `python` or `node`.
    language: &'static str,
    /// Code that it has run before all runs.
    preload: String,
    /// How many copies are to wait.
    ready: u32,
    /// Its labels.
    labels: BTreeMap<String, String>,
    /// When it was made, as RFC 3339 has it.
    created: String,
    /// The limits of its sandbox, and of each run's.
    limits: Limits,
    /// Each protection of its sandbox, and how far it is enforced.
    enforcement: BTreeMap<String, Enforcement>,
    /// What it has now; null where it does not run.
    now: Option<sandbox::WarmStats>,
}

impl One {
    /// `None` for a sandbox that is none.
    fn of(entry: &Entry) -> Result<Option<One>, Error> {
        let order = entry.order()?;
        order.warm.clone().map(|template| One::told(entry, order, template)).transpose()
    }

    fn told(entry: &Entry, order: Order, template: Template) -> Result<One, Error> {
        let (record, run) = (entry.record()?, entry.run());
        let Template { language, preload, ready, .. } = template;
        let state = entry.state();
        let now = match state {
            // It may end at this moment, and then has nothing.
            sandbox::State::Running => sandbox::warm_stats(entry).ok(),
            _ => None,
        };
        let planned = || order.spec.image.clone().unwrap_or_else(|| "host".to_owned());
        Ok(One {
            id: entry.id.clone(),
            name: record.name,
            state,
            image: if run.image.is_empty() { planned() } else { run.image },
            language: language.name(),
            preload,
            ready,
            labels: record.labels,
            created: time(record.created),
            limits: Limits::of(&order.spec),
            enforcement: run.enforcement,
            now,
        })
    }

    /// The template of that name.
    fn named(sandboxes: &Sandboxes, name: &str) -> Result<One, Error> {
        let (entry, order, template) = sandbox::template(sandboxes, name, "name")?;
        One::told(&entry, order, template)
    }
}

/// A template that was made.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WarmCreated"))]
pub struct Made(One);

impl Told for Made {
    fn people(&self) -> String {
        format!("{}\n", self.0.name)
    }
}

impl Verb for Create {
    type Told = Made;

    fn faults(self, env: Env<'_>) -> Vec<Problem> {
        problems_of(self.request(env))
    }

    fn run(self, site: &Site<'_>) -> Result<Made, Error> {
        let Asked { request, wish, language, ready, preload, patience } = self.request(site.env).map_err(misused)?;
        let (sandboxes, store) = (site.sandboxes()?, site.store()?);
        let mut order = resolve(request, site.home.as_deref()).map_err(misused)?;
        check(&order.spec)?;
        order.warm = Some(Template { language, preload: read(preload)?, ready, patience });
        let (entry, _) = sandbox::create(&sandboxes, Some(&store), order, &wish)?;
        One::named(&sandboxes, &entry.id).map(Made)
    }
}

/// `belljar warm ls`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WarmLs"))]
pub struct Ls {}

/// The templates that there are.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WarmTemplates"))]
pub struct All {
    /// In the order in which they were made.
    templates: Vec<One>,
}

impl Verb for Ls {
    type Told = All;

    fn run(self, site: &Site<'_>) -> Result<All, Error> {
        let mut templates = Vec::new();
        for entry in site.sandboxes()?.list()? {
            // One that cannot be read, or goes just now, is `ls`'s to tell of.
            templates.extend(One::of(&entry).ok().flatten());
        }
        Ok(All { templates })
    }
}

impl Told for All {
    fn people(&self) -> String {
        if self.templates.is_empty() {
            return "no warm templates; `belljar warm create` makes one\n".to_owned();
        }
        let mut rows = vec![heading(["NAME", "STATE", "PARKED", "EACH", "RUNS", "MEMORY", "INTERPRETER", "PRELOAD"])];
        rows.extend(self.templates.iter().map(|one| {
            let now = one.now.as_ref();
            let of = |what: &dyn Fn(&sandbox::WarmStats) -> String| now.map_or_else(|| "-".to_owned(), what);
            let preload: String = one.preload.lines().next().unwrap_or_default().chars().take(40).collect();
            vec![
                one.name.clone(),
                one.state.name().to_owned(),
                of(&|now| format!("{}/{}", now.state.parked, one.ready)),
                of(&|now| match u64::from(now.state.parked) {
                    0 => "-".to_owned(),
                    parked => size(now.state.parked_bytes / parked),
                }),
                of(&|now| (now.state.from_parked + now.state.from_forked).to_string()),
                of(&|now| size(now.interpreter.rss)),
                now.map_or_else(
                    || one.language.to_owned(),
                    |now| format!("{} {}", one.language, now.interpreter.version),
                ),
                preload,
            ]
        }));
        table(&rows)
    }
}

/// `belljar warm inspect`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WarmInspect"))]
pub struct Inspect {
    /// Which
    #[arg(value_name = "NAME")]
    name: Text,
}

impl Told for One {
    const IS_OBJECT: bool = true;

    fn people(&self) -> String {
        String::new()
    }
}

impl Verb for Inspect {
    type Told = One;

    fn run(self, site: &Site<'_>) -> Result<One, Error> {
        One::named(&site.sandboxes()?, &self.name)
    }
}

/// `belljar warm rm`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WarmRm"))]
pub struct Rm {
    /// Which
    #[arg(value_name = "NAME", required = true)]
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrSome<Text>"))]
    name: Vec<Text>,
}

/// What became of each template that was named.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WarmRemoved"))]
pub struct Removed {
    /// Those that are gone, in the order in which they were asked for.
    removed: Vec<String>,
    /// Those that are not; where one alone was asked for, that is an error.
    failed: Vec<NotRemoved>,
}

/// A template that was not removed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WarmNotRemoved"))]
pub struct NotRemoved {
    /// As it was asked for.
    name: String,
    /// Why.
    error: Error,
}

impl Verb for Rm {
    type Told = Removed;

    fn run(self, site: &Site<'_>) -> Result<Removed, Error> {
        let sandboxes = site.sandboxes()?;
        let several = self.name.len() > 1;
        let (mut removed, mut failed) = (Vec::new(), Vec::new());
        for Text(name) in self.name {
            let gone = One::named(&sandboxes, &name).and_then(|one| match sandbox::remove(&sandboxes, &one.id, true) {
                Err(error) if error.kind != Kind::NotFound => Err(error),
                _ => Ok(()),
            });
            match gone {
                Ok(()) => removed.push(name),
                // The rest is removed all the same.
                Err(error) if several => {
                    (site.complain)(&error);
                    failed.push(NotRemoved { name, error });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Removed { removed, failed })
    }
}

impl Told for Removed {
    fn people(&self) -> String {
        self.removed.iter().map(|name| format!("{name}\n")).collect()
    }

    fn code(&self) -> i32 {
        self.failed.last().map_or(0, |failed| super::exit_code(&failed.error))
    }
}
