//! What is done to sandboxes.

use super::{Told, complain, no_home, place, supervisor, word};
use crate::cli::args::sandbox as args;
use crate::cli::parse::RunRequest;
use crate::cli::render;
use crate::cli::resolve::{self, resolve};
use crate::error::{Error, Kind, Problem};
use crate::sandbox::{self, Sandboxes, Wish};
use crate::spec::{self, PartialSpec, UnitError};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

/// How long everybody inside has to end, unless somebody says otherwise.
const GRACE: Duration = Duration::from_secs(1);

/// A sandbox to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateRequest {
    /// The sandbox itself.
    pub run: RunRequest,
    /// What else is wanted of it.
    pub wish: Wish,
}

/// Makes it; the exit code.
pub fn create(request: CreateRequest) -> i32 {
    let json = request.run.report.json;
    let Some(home) = request.run.home.clone() else { return complain(no_home(), json) };
    let store = resolve::store(&home);
    let made = resolve(request.run)
        .map_err(misused)
        .and_then(|spec| sandbox::create(&place(&home), Some(&store), spec, &request.wish, &supervisor()));
    match made {
        Ok((entry, run)) if json => {
            let object = json!({ "version": 1, "id": entry.id, "name": entry.name(), "image": run.image,
                "enforcement": run.enforcement });
            render::object(&object, 0)
        }
        Ok((entry, _)) => render::people(&format!("{}\n", entry.name()), 0),
        Err(trouble) => complain(trouble, json),
    }
}

/// A spec that cannot be is a request that is not understood.
pub fn misused(error: Error) -> Error {
    let kind = if error.kind == Kind::Invalid { Kind::Misused } else { error.kind };
    Error { kind, ..error }
}

/// The same for each name; what could not be done is told at once, and the rest is done all the same.
fn each(names: &args::Names, mut act: impl FnMut(&str) -> Result<Value, Error>) -> Result<Told, Error> {
    let (mut people, mut done, mut code) = (String::new(), Vec::new(), 0);
    for name in &names.names {
        let name = word(name);
        match act(&name) {
            Ok(object) => {
                people.push_str(&format!("{name}\n"));
                done.push(object);
            }
            Err(trouble) if names.names.len() == 1 => return Err(trouble),
            Err(trouble) => {
                done.push(json!({ "name": name, "error": trouble.kind }));
                code = complain(trouble, false);
            }
        }
    }
    Ok(Told { code, ..Told::new(people, json!({ "version": 1, "sandboxes": done })) })
}

pub fn start(sandboxes: &Sandboxes, names: &args::Names) -> Result<Told, Error> {
    each(names, |name| {
        let (entry, run) = sandbox::start(sandboxes, name, &supervisor())?;
        Ok(json!({ "id": entry.id, "name": entry.name(), "image": run.image }))
    })
}

pub fn stop(sandboxes: &Sandboxes, stop: &args::Stop) -> Result<Told, Error> {
    // None at all is a time here.
    let grace = match stop.grace.as_ref().and_then(|text| text.to_str()) {
        Some("0" | "0s") => Duration::ZERO,
        _ => time("grace", stop.grace.as_ref())?.unwrap_or(GRACE),
    };
    each(&stop.names, |name| {
        let run = sandbox::stop(sandboxes, name, grace)?;
        Ok(json!({ "name": name, "end": run.end }))
    })
}

pub fn rm(sandboxes: &Sandboxes, rm: &args::Rm) -> Result<Told, Error> {
    each(&rm.names, |name| {
        sandbox::remove(sandboxes, name, rm.force)?;
        Ok(json!({ "name": name }))
    })
}

fn time(field: &str, text: Option<&OsString>) -> Result<Option<Duration>, Error> {
    unit(field, text, spec::parse_duration)
}

fn unit<T>(
    field: &str,
    text: Option<&OsString>,
    read: impl Fn(&str) -> Result<T, UnitError>,
) -> Result<Option<T>, Error> {
    let wrong = |error: UnitError| Error::misused(vec![Problem::new(field, error.to_string()).hint(error.right)]);
    text.map(|text| read(&text.to_string_lossy()).map_err(wrong)).transpose()
}

pub fn resize(sandboxes: &Sandboxes, resize: &args::Resize) -> Result<Told, Error> {
    let wish = PartialSpec {
        memory: unit("memory", resize.memory.as_ref(), spec::parse_bytes)?,
        millicpus: unit("cpus", resize.cpus.as_ref(), spec::parse_cpus)?,
        pids: unit("pids", resize.pids.as_ref(), spec::parse_count)?,
        disk: unit("disk", resize.disk.as_ref(), spec::parse_bytes)?,
        ..PartialSpec::default()
    };
    if wish == PartialSpec::default() {
        let problem = Problem::new("command line", "no limit").hint("give `--memory`, `--cpus`, `--pids` or `--disk`");
        return Err(Error::misused(vec![problem]));
    }
    let spec = sandbox::resize(sandboxes, &word(&resize.name), &wish)?;
    let (name, cpus) = (word(&resize.name), f64::from(spec.millicpus) / 1000.0);
    let sizes = [spec.memory, spec.disk].map(spec::show_bytes);
    let people = format!("{name}: memory {}, cpus {cpus}, processes {}, disk {}\n", sizes[0], spec.pids, sizes[1]);
    Ok(Told::new(people, json!({ "version": 1, "name": name, "limits": super::look::limits(&spec) })))
}

pub fn rename(sandboxes: &Sandboxes, rename: &args::Rename) -> Result<Told, Error> {
    let (name, new) = (word(&rename.name), word(&rename.new));
    sandbox::rename(sandboxes, &name, &new)?;
    Ok(Told::new(format!("{name} is {new} now\n"), json!({ "version": 1, "name": new, "was": name })))
}

pub fn label(sandboxes: &Sandboxes, label: &args::Label) -> Result<Told, Error> {
    let mut wanted = BTreeMap::new();
    for text in &label.labels {
        let (key, value) = split(text).map_err(|problem| Error::misused(vec![problem]))?;
        wanted.insert(key, (!value.is_empty()).then_some(value));
    }
    let labels = sandbox::label(sandboxes, &word(&label.name), &wanted)?;
    // Older records may have what is refused now.
    let people: String = labels.iter().map(|(key, value)| in_one_line(&format!("{key}={value}")) + "\n").collect();
    Ok(Told::new(people, json!({ "version": 1, "labels": labels })))
}

fn in_one_line(text: &str) -> String {
    let escaped = |char: char| if char.is_control() { char.escape_default().collect() } else { char.to_string() };
    text.chars().map(escaped).collect()
}

/// `K=V`.
pub fn split(text: &OsString) -> Result<(String, String), Problem> {
    let shown = text.to_string_lossy();
    if shown.chars().any(char::is_control) {
        // Printed as it is, one would look like two.
        let problem = Problem::new("label", format!("`{}` has control characters in it", shown.escape_debug()));
        return Err(problem.hint("a label is one line of text"));
    }
    match text.to_str().and_then(|text| text.split_once('=')).filter(|(key, _)| !key.is_empty()) {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => {
            let problem = Problem::new("label", format!("`{}` is not a label", shown.escape_debug()));
            Err(problem.hint("write `KEY=VALUE`"))
        }
    }
}
