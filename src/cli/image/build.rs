//! `belljar image build`: a recipe becomes an image of the store.

use super::super::progress::followed;
use super::args::Build;
use super::{Told, bring, optional};
use crate::build::{Built, Draft, NETWORK_VARIABLES, Options, build as built};
use crate::error::{Error, Problem};
use crate::images::intake::Intake;
use crate::images::store::refused;
use crate::images::{Reference, Store, import};
use crate::trees::progress::Followed;
use serde_json::json;
use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Builds it. The sandbox comes first: what follows has threads, and who has threads never clones.
pub fn build(store: &Store, build: &Build) -> Result<Told, Error> {
    let wished = optional(build.name.as_deref())?;
    let draft = draft(&build.recipe.to_string_lossy())?;
    let name = name(wished, draft.recipe.name.as_deref())?;
    let intake = Intake::begin(store)?;
    let work = store.temporary();
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&work)
        .map_err(|error| refused("make a directory for the build", &error))?;
    let progress = followed();
    let result = built(&draft, &options(), &work, Box::new(move |line| progress.note(line)))
        .and_then(|built| bring_in(&intake, built, name));
    let removed = store.remove(&work);
    let image = result?;
    removed?;
    bring::imported(store, &[image])
}

/// A directory, or a recipe of ours. What could be a path is one.
fn draft(word: &str) -> Result<Draft, Error> {
    match Draft::ours(word) {
        Some(draft) if !word.contains('/') => Ok(draft),
        _ => Draft::read(Path::new(word)),
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

/// What the environment says of the network, of caches and of time.
fn options() -> Options {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let caches = set("XDG_CACHE_HOME").or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache").into_os_string()));
    Options {
        cache: caches.map(PathBuf::from).filter(|path| path.is_absolute()).map(|path| path.join("belljar/packages")),
        environment: NETWORK_VARIABLES.iter().filter_map(|name| Some(((*name).into(), set(name)?))).collect(),
        epoch: set("SOURCE_DATE_EPOCH").and_then(|value| value.to_str()?.parse().ok()),
    }
}

fn bring_in(intake: &Intake<'_>, built: Built, name: Reference) -> Result<import::Imported, Error> {
    let archive = File::open(&built.tar).map_err(|error| refused("open what was built", &error))?;
    let length = archive.metadata().map_err(|error| refused("look at what was built", &error))?.len();
    let progress = followed();
    let stream = Followed::new(archive, progress.begin("unpacking", Some(length)));
    let config = built.config;
    let labels: serde_json::Map<String, serde_json::Value> =
        config.labels.into_iter().map(|(key, value)| (key, value.into())).collect();
    let settings = json!({
        "Env": config.env, "Cmd": config.cmd, "Entrypoint": config.entrypoint, "WorkingDir": config.workdir,
        "User": config.user, "Labels": labels,
    });
    let created = rfc3339(built.created);
    import::with_configuration(intake, stream, name, json!({ "created": created, "config": without_null(settings) }))
}

/// What is not said has no place in a configuration.
fn without_null(settings: serde_json::Value) -> serde_json::Value {
    let said = |value: &serde_json::Value| match value {
        serde_json::Value::Null => false,
        serde_json::Value::Array(list) => !list.is_empty(),
        serde_json::Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    match settings {
        serde_json::Value::Object(map) => map.into_iter().filter(|(_, value)| said(value)).collect(),
        other => other,
    }
}

/// Seconds since 1970 as a date in UTC: days since 0000-03-01, in eras of 400 years (the proleptic Gregorian calendar).
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_shown_as_dates() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_795_406_706, "2026-11-23T04:05:06Z"),
        ] {
            assert_eq!(rfc3339(seconds), date);
        }
    }
}
