//! `belljar volume`.

use super::{Told, complain, no_home, place, table, time, word};
use crate::cli::args::volume::Verb;
use crate::cli::render::{self, size};
use crate::error::Error;
use crate::sandbox::Volumes;
use serde_json::json;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Does it; the exit code.
pub fn volume(verb: Verb, home: Option<&Path>) -> i32 {
    let Some(home) = home else { return complain(no_home(), false) };
    let (json, told) = match verb {
        Verb::Create { name, json } => (json, create(home, &word(&name))),
        Verb::Ls { json } => (json, ls(home)),
        Verb::Rm { names, json } => (json, rm(home, &names.iter().map(word).collect::<Vec<_>>())),
    };
    match told {
        Ok(told) if json => render::object(&told.object, told.code),
        Ok(told) => render::people(&told.people, told.code),
        Err(trouble) => complain(trouble, json),
    }
}

fn create(home: &Path, name: &str) -> Result<Told, Error> {
    Volumes::new(home).create(name)?;
    Ok(Told::new(format!("{name}\n"), json!({ "version": 1, "name": name })))
}

fn ls(home: &Path) -> Result<Told, Error> {
    let (mut rows, mut objects) =
        (vec![["NAME", "SIZE", "CREATED", "SANDBOXES"].map(str::to_owned).to_vec()], Vec::new());
    for volume in Volumes::new(home).list(&place(home))? {
        let created = volume.created.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map(|at| time(at.as_secs()));
        objects.push(json!({ "name": volume.name, "path": volume.path.to_string_lossy(), "bytes": volume.bytes,
            "created": created, "sandboxes": volume.sandboxes }));
        let users = if volume.sandboxes.is_empty() { "-".to_owned() } else { volume.sandboxes.join(" ") };
        rows.push(vec![volume.name, size(volume.bytes), created.unwrap_or_else(|| "-".to_owned()), users]);
    }
    let people =
        if objects.is_empty() { "no volumes; `belljar volume create` makes one\n".to_owned() } else { table(&rows) };
    Ok(Told::new(people, json!({ "version": 1, "volumes": objects })))
}

fn rm(home: &Path, names: &[String]) -> Result<Told, Error> {
    let (volumes, sandboxes) = (Volumes::new(home), place(home));
    let (mut people, mut removed, mut code) = (String::new(), Vec::new(), 0);
    for name in names {
        match volumes.remove(name, &sandboxes) {
            Ok(()) => {
                people.push_str(&format!("{name}\n"));
                removed.push(name);
            }
            Err(trouble) if names.len() == 1 => return Err(trouble),
            // The rest is removed all the same.
            Err(trouble) => code = complain(trouble, false),
        }
    }
    Ok(Told { code, ..Told::new(people, json!({ "version": 1, "removed": removed })) })
}
