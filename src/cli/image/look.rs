//! The verbs that look at the store and put it in order.

use super::super::render::size;
use super::args::Tag;
use super::{Told, reference};
use crate::error::{Error, Kind, Problem};
use crate::images::garbage::Removed;
use crate::images::store::short;
use crate::images::{Digest, Reference, Store};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;

/// A line for each name, and for each image without one.
pub fn ls(store: &Store, digests: bool) -> Result<Told, Error> {
    let mut names: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
    for named in store.names()? {
        names.entry(named.manifest).or_default().push(named.reference);
    }
    let mut rows = Vec::new();
    let mut objects = Vec::new();
    for manifest in store.manifests()? {
        let Some(record) = store.record(&manifest)? else { continue };
        let called = names.remove(&manifest).unwrap_or_default();
        let digest = if digests { manifest.to_string() } else { manifest.short() };
        let created = record.created.as_deref().map_or("", |created| created.get(..10).unwrap_or(created)).to_owned();
        let shown: Vec<String> = called.iter().map(short).collect();
        let lines = if shown.is_empty() { vec!["<none>".to_owned()] } else { shown };
        rows.extend(lines.into_iter().map(|name| [name, digest.clone(), size(record.bytes), created.clone()]));
        objects.push(json!({
            "digest": manifest,
            "names": called.iter().map(Reference::name).collect::<Vec<_>>(),
            "bytes": record.bytes,
            "layers": record.layers.len(),
            "created": record.created,
        }));
    }
    rows.sort();
    let heading = ["NAME", "DIGEST", "SIZE", "CREATED"].map(str::to_owned);
    let people = if rows.is_empty() {
        "no images yet; `belljar image build`, `import`, `load` and `pull` bring them in\n".to_owned()
    } else {
        table(std::iter::once(heading).chain(rows).collect())
    };
    Ok(Told { people, object: json!({ "version": 1, "images": objects }) })
}

/// Columns as wide as what is in them.
fn table(rows: Vec<[String; 4]>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for [name, digest, size, created] in &rows {
        let line = format!("{name:0$}  {digest:1$}  {size:>2$}  {created}", widths[0], widths[1], widths[2]);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Everything that is known of one image.
pub fn inspect(store: &Store, name: &OsStr) -> Result<Told, Error> {
    let lease = store.lease(&name.to_string_lossy())?;
    let record = &lease.record;
    let document = |digest: &Digest| -> Result<Value, Error> {
        let bytes = store.document(digest)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| crate::images::store::damaged(&format!("the blob {digest}"), &error.to_string()))
    };
    let mut names: Vec<String> = store
        .names()?
        .into_iter()
        .filter(|named| named.manifest == record.manifest)
        .map(|named| named.reference.name())
        .collect();
    names.sort();
    let object = json!({
        "version": 1,
        "digest": record.manifest,
        "names": names,
        "bytes": record.bytes,
        "created": record.created,
        "manifest": document(&record.manifest)?,
        "config": document(&record.config_digest)?,
        "layers": record.layers.iter().map(|layer| json!({ "diff_id": layer, "path": store.layer(layer) })).collect::<Vec<_>>(),
    });
    Ok(Told { people: format!("{object:#}\n"), object })
}

/// Another name.
pub fn tag(store: &Store, tag: &Tag) -> Result<Told, Error> {
    let lease = store.lease(&tag.name.to_string_lossy())?;
    store.name(&reference(&tag.new)?, &lease.record.manifest)?;
    Ok(Told { people: String::new(), object: Value::Null })
}

/// Takes names away; all are looked up before the first goes.
pub fn rm(store: &Store, words: &[OsString]) -> Result<Told, Error> {
    let mut problems = Vec::new();
    let mut going: Vec<Reference> = Vec::new();
    let known = store.names()?;
    for word in words {
        match going_by(store, &known, &word.to_string_lossy()) {
            Ok(names) => going.extend(names),
            Err(error) if error.kind == Kind::Invalid => problems.extend(error.problems),
            Err(other) => return Err(other),
        }
    }
    if !problems.is_empty() {
        return Err(Error::invalid(problems));
    }
    for name in &going {
        store.unname(name)?;
    }
    let removed = store.collect(false)?;
    let mut people = String::new();
    for name in &going {
        let _ = writeln!(people, "removed the name {}", short(name));
    }
    match &removed {
        Some(removed) => people.push_str(&freed(removed)),
        None => people.push_str("others are adding to the store now: `belljar image gc` frees the space afterwards\n"),
    }
    let names: Vec<String> = going.iter().map(Reference::name).collect();
    Ok(Told { people, object: json!({ "version": 1, "names": names, "removed": removed.as_ref().map(as_object) }) })
}

/// The names that `word` means: itself, or all of the image by a digest.
fn going_by(store: &Store, known: &[crate::images::store::Named], word: &str) -> Result<Vec<Reference>, Error> {
    if let Ok(reference) = Reference::parse(word)
        && reference.digest.is_none()
        && store.named(&reference)?.is_some()
    {
        return Ok(vec![reference]);
    }
    let manifest = store.lease(word)?.record.manifest;
    let names: Vec<Reference> =
        known.iter().filter(|named| named.manifest == manifest).map(|named| named.reference.clone()).collect();
    // A name that somebody else's registry gives is not removed by a shorter one that only finds it.
    match names.as_slice() {
        [_] | [] => Ok(names),
        _ if manifest.to_string() == word || manifest.hex().starts_with(word) => Ok(names),
        several => {
            let shown: Vec<String> = several.iter().map(|name| format!("`{}`", short(name))).collect();
            let problem =
                Problem::new("name", format!("`{}` has several names: {}", word.escape_debug(), shown.join(", ")));
            Err(Error::invalid(vec![problem.hint("name the one to remove, or the image by its digest")]))
        }
    }
}

/// Removes what nobody needs.
pub fn gc(store: &Store) -> Result<Told, Error> {
    let removed = match store.collect(false)? {
        Some(removed) => removed,
        None => {
            super::super::render::say("waiting for others who are adding to the store");
            store.collect(true)?.unwrap_or_default()
        }
    };
    Ok(Told { people: freed(&removed), object: as_object(&removed) })
}

fn freed(removed: &Removed) -> String {
    let mut text = String::new();
    for image in &removed.in_use {
        let _ = writeln!(text, "{} is in use: it goes with the next `belljar image gc` after that", image.short());
    }
    let _ = writeln!(
        text,
        "freed {}: {} images, {} layers, {} blobs",
        size(removed.bytes),
        removed.images.len(),
        removed.layers,
        removed.blobs
    );
    text
}

fn as_object(removed: &Removed) -> Value {
    json!({
        "version": 1,
        "bytes": removed.bytes,
        "images": removed.images,
        "layers": removed.layers,
        "blobs": removed.blobs,
        "in_use": removed.in_use,
    })
}
