//! `belljar fork`, `belljar diff` and `belljar snapshot`.

use super::look::now;
use super::{Told, supervisor, table, word};
use crate::cli::args::sandbox::{self as args, SnapshotVerb};
use crate::cli::resolve;
use crate::error::{Error, Kind, Problem};
use crate::images::store::short;
use crate::images::{Reference, Store, capture};
use crate::sandbox::{self, Sandboxes};
use crate::tools::Name;
use crate::trees::changes::How;
use serde_json::json;
use std::ffi::OsString;
use std::path::Path;

pub fn fork(sandboxes: &Sandboxes, home: &Path, fork: &args::Fork) -> Result<Told, Error> {
    let new = fork.new.as_ref().map(word);
    let store = resolve::store(home);
    let (entry, run) = sandbox::fork(sandboxes, &word(&fork.name), new.as_deref(), Some(&store), &supervisor())?;
    let object = json!({ "version": 1, "id": entry.id, "name": entry.name(), "image": run.image,
        "enforcement": run.enforcement });
    Ok(Told::new(format!("{}\n", entry.name()), object))
}

pub fn diff(sandboxes: &Sandboxes, home: &Path, name: &str) -> Result<Told, Error> {
    let (mut people, mut objects) = (String::new(), Vec::new());
    for change in sandbox::diff(sandboxes, name, &resolve::store(home))? {
        let path = Name([b"/".as_slice(), &change.path].concat());
        let (letter, how) = match change.how {
            How::Added => ('A', "added"),
            How::Changed => ('C', "changed"),
            How::Deleted => ('D', "deleted"),
        };
        people.push_str(&format!("{letter} {path}\n"));
        let kind = match change.kind {
            0 => None,
            libc::S_IFREG => Some("file"),
            libc::S_IFDIR => Some("directory"),
            libc::S_IFLNK => Some("link"),
            _ => Some("special"),
        };
        objects.push(json!({ "change": how, "kind": kind, "path": path }));
    }
    Ok(Told::new(people, json!({ "version": 1, "changes": objects })))
}

/// Does it; whether as JSON, and what is told.
pub fn snapshot(sandboxes: &Sandboxes, home: &Path, verb: SnapshotVerb) -> (bool, Result<Told, Error>) {
    let store = resolve::store(home);
    match verb {
        SnapshotVerb::Create { name, image, force, json } => {
            (json, create(sandboxes, &store, &word(&name), (&image, force)))
        }
        SnapshotVerb::Ls { json } => (json, ls(&store)),
        SnapshotVerb::Rm { images, json } => (json, rm(&store, &images)),
    }
}

fn reference(text: &OsString) -> Result<Reference, Error> {
    Reference::parse(&word(text)).map_err(|why| Error::misused(vec![Problem::new("image", why)]))
}

fn create(sandboxes: &Sandboxes, store: &Store, name: &str, (image, force): (&OsString, bool)) -> Result<Told, Error> {
    let image = reference(image)?;
    let shown = short(&image);
    if !force && store.names()?.iter().any(|named| named.reference == image) {
        let problem = Problem::new("image", format!("there is an image `{shown}` already"));
        return Err(Error::of(
            Kind::NameTaken,
            vec![problem.hint("choose another name, or replace it with `--force`")],
        ));
    }
    let digest = sandbox::snapshot(sandboxes, name, store, &image, &super::time(now()))?;
    Ok(Told::new(format!("{shown}  {digest}\n"), json!({ "version": 1, "name": shown, "digest": digest })))
}

fn ls(store: &Store) -> Result<Told, Error> {
    let (mut rows, mut objects) = (vec![["NAME", "OF", "CREATED"].map(str::to_owned).to_vec()], Vec::new());
    for named in store.names()? {
        let lease = store.lease(&named.manifest.to_string())?;
        let Some(of) = capture::of_sandbox(store, &lease) else { continue };
        let name = short(&named.reference);
        let created = lease.record.created.clone().unwrap_or_else(|| "-".to_owned());
        objects.push(json!({ "name": name, "digest": named.manifest, "sandbox": of, "created": lease.record.created }));
        rows.push(vec![name, of, created]);
    }
    let people = if objects.is_empty() { "no snapshots\n".to_owned() } else { table(&rows) };
    Ok(Told::new(people, json!({ "version": 1, "snapshots": objects })))
}

fn rm(store: &Store, images: &[OsString]) -> Result<Told, Error> {
    let mut gone = Vec::new();
    for image in images {
        let reference = reference(image)?;
        let shown = short(&reference);
        let lease = store.lease(&shown)?;
        if capture::of_sandbox(store, &lease).is_none() {
            let problem = Problem::new("image", format!("`{shown}` is no snapshot"))
                .hint("`belljar image rm` removes other images");
            return Err(Error::invalid(vec![problem]));
        }
        drop(lease);
        store.unname(&reference)?;
        gone.push(shown);
    }
    // Where others add to the store now, `belljar image gc` frees the space afterwards.
    store.collect(false)?;
    Ok(Told::new(
        gone.iter().map(|name| format!("{name}\n")).collect::<String>(),
        json!({ "version": 1, "removed": gone }),
    ))
}
