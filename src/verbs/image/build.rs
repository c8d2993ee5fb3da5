//! `image build`: from a recipe to an image of the store.

use super::import::Brought;
use super::new_name;
use crate::build::{Built, Draft, NETWORK_VARIABLES, Options, build};
use crate::error::{Error, Problem};
use crate::images::intake::Intake;
use crate::images::store::refused;
use crate::images::{Reference, import};
use crate::spec::{self, Network, PartialSpec, Spec};
use crate::trees::progress::Followed;
use crate::verbs::faults::{Env, Faults, both};
use crate::verbs::text::time;
use crate::verbs::words::{Text, Word, many};
use crate::verbs::{Site, Verb, net, resolve};
use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// `belljar image build`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Build {
    /// A directory with a `recipe.toml`, or the name of a recipe that belljar brings
    #[arg(value_name = "DIR|NAME")]
    dir: Word,
    /// Name of the image [default: the recipe's]
    #[arg(long, value_name = "NAME")]
    name: Option<Text>,
    /// What packages and commands may reach: `none`, `only`, `open`, `host`, or a policy file [default: host]
    #[arg(long, value_name = "MODE|FILE")]
    net: Option<Word>,
    /// Reach this and nothing else, as in `belljar run --allow` (repeatable)
    #[arg(long, value_name = "TARGET")]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    allow: Vec<Word>,
    /// Never reach this (repeatable)
    #[arg(long, value_name = "TARGET")]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    deny: Vec<Word>,
}

impl Build {
    /// The network of the build: the host's, unless something is said.
    fn network(&self) -> Result<Spec, Error> {
        let mut faults = Faults::default();
        let wish = net::targets(self.net.as_ref(), &self.allow, &self.deny, &mut faults);
        faults.none()?;
        if wish == PartialSpec::default() {
            return Ok(Spec { net: Network::Host, ..Spec::default() });
        }
        let spec = resolve::policy(wish)?.into_spec();
        // Of these alone: a build has no command that is the caller's.
        let mut problems = Vec::new();
        spec::check_network(&spec, &mut problems);
        if problems.is_empty() { Ok(spec) } else { Err(Error::invalid(problems)) }
    }
}

impl Verb for Build {
    type Told = Brought;

    /// The sandbox comes first: what follows has threads, and who has threads never clones.
    fn run(self, site: &Site<'_>) -> Result<Brought, Error> {
        let wished = both(self.network(), self.name.as_deref().map(new_name).transpose());
        let (((network, wished), draft), store) = both(both(wished, draft(&self.dir)), site.store())?;
        let name = name(wished, draft.recipe.name.as_deref())?;
        let intake = Intake::begin(&store)?;
        let work = store.temporary();
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&work)
            .map_err(|error| refused("make a directory for the build", &error))?;
        let progress = (site.progress)();
        let result = build(&draft, &options(site.env, network), &work, Box::new(move |line| progress.note(line)))
            .and_then(|built| bring_in(site, &intake, built, name));
        let removed = store.remove(&work);
        let image = result?;
        removed?;
        Brought::of(site, &store, &[image])
    }
}

/// A directory, or a recipe of ours. What could be a path is one.
fn draft(word: &OsStr) -> Result<Draft, Error> {
    match word.to_str().filter(|word| !word.contains('/')).and_then(Draft::ours) {
        Some(draft) => Ok(draft),
        None => Draft::read(Path::new(word)),
    }
}

fn name(wished: Option<Reference>, recipes: Option<&str>) -> Result<Reference, Error> {
    let missing = || {
        let problem = Problem::new("name", "neither the recipe nor the request names the image");
        Error::invalid(vec![problem.hint("add `--name NAME`, or `name = \"…\"` to the recipe")])
    };
    match (wished, recipes) {
        (Some(name), _) => Ok(name),
        (None, Some(name)) => Reference::parse(name).map_err(|why| Error::invalid(vec![Problem::new("name", why)])),
        (None, None) => Err(missing()),
    }
}

/// What the environment says of the way to mirrors, of caches and of time.
fn options(env: Env<'_>, network: Spec) -> Options {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    let caches = set("XDG_CACHE_HOME").or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache").into_os_string()));
    Options {
        cache: caches.map(PathBuf::from).filter(|path| path.is_absolute()).map(|path| path.join("belljar/packages")),
        environment: NETWORK_VARIABLES.iter().filter_map(|name| Some(((*name).into(), set(name)?))).collect(),
        epoch: set("SOURCE_DATE_EPOCH").and_then(|value| value.to_str()?.parse().ok()),
        network,
    }
}

fn bring_in(site: &Site<'_>, intake: &Intake<'_>, built: Built, name: Reference) -> Result<import::Imported, Error> {
    let archive = File::open(&built.tar).map_err(|error| refused("open what was built", &error))?;
    let length = archive.metadata().map_err(|error| refused("look at what was built", &error))?.len();
    let progress = (site.progress)();
    let stream = Followed::new(archive, progress.begin("unpacking", Some(length)));
    let config = built.config;
    let labels: Map<String, Value> = config.labels.into_iter().map(|(key, value)| (key, value.into())).collect();
    let settings = json!({
        "Env": config.env, "Cmd": config.cmd, "Entrypoint": config.entrypoint, "WorkingDir": config.workdir,
        "User": config.user, "Labels": labels,
    });
    let whole = json!({ "created": time(built.created), "config": without_null(settings) });
    import::with_configuration(intake, stream, name, whole)
}

/// What is not said has no place in a configuration.
fn without_null(settings: Value) -> Value {
    let said = |value: &Value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    match settings {
        Value::Object(map) => map.into_iter().filter(|(_, value)| said(value)).collect(),
        other => other,
    }
}
