//! The verbs that bring images in and carry them away.

use super::super::progress::followed;
use super::super::render;
use super::args::{Import, Load, Pull, Save, Verify};
use super::{Told, optional, reference};
use crate::error::{Error, Problem, describe_io};
use crate::images::import::{self, Imported, Source};
use crate::images::intake::Intake;
use crate::images::manifest::Platform;
use crate::images::registry::{self, Password, Site};
use crate::images::save::{self, Wanted};
use crate::images::shadows::{Shadow, shadows};
use crate::images::store::short;
use crate::images::{Digest, Reference, Store, verify};
use crate::tools::Name;
use crate::trees::unpack::Bounds;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

/// The longest password that is read.
const LONGEST_PASSWORD: u64 = 64 << 10;

fn source(word: &OsStr) -> Source<'_> {
    if word == "-" { Source::Stream(Box::new(std::io::stdin())) } else { Source::Path(Path::new(word)) }
}

/// Links that layers of the image hide, which breaks images that were built on another base. They are told on standard error.
fn hidden_links(store: &Store, manifest: &Digest) -> Result<Value, Error> {
    let layers = store.record(manifest)?.map(|record| record.layers).unwrap_or_default();
    let found = shadows(store, &layers)?;
    for Shadow { path, target, layer } in &found {
        render::say(&format!(
            "layer {layer} has a directory `{}` where a lower layer has a link to `{}`: what was found by the link is hidden",
            path.display(),
            target.display()
        ));
    }
    let one = |Shadow { path, target, layer }: &Shadow| json!({ "path": Name::from(path.as_path()), "target": Name::from(target.as_path()), "layer": layer });
    Ok(found.iter().map(one).collect())
}

/// What came in.
pub fn imported(store: &Store, images: &[Imported]) -> Result<Told, Error> {
    let mut people = String::new();
    let mut listed = Vec::new();
    for image in images {
        let names: Vec<String> = image.names.iter().map(short).collect();
        let shown = if names.is_empty() { "without a name".to_owned() } else { names.join(", ") };
        // Writing to a string cannot fail.
        let _ = writeln!(people, "{shown}  {}", image.manifest);
        let names: Vec<String> = image.names.iter().map(Reference::name).collect();
        let hidden = hidden_links(store, &image.manifest)?;
        listed.push(json!({ "digest": image.manifest, "names": names, "hidden_links": hidden }));
    }
    Ok(Told { people, object: json!({ "version": 1, "images": listed }) })
}

/// `belljar image import`.
pub fn import(store: &Store, import: &Import) -> Result<Told, Error> {
    let name = optional(import.name.as_deref())?;
    let intake = Intake::begin(store)?;
    imported(store, &import::import(&intake, source(&import.source), name.as_ref(), &*followed())?)
}

/// `belljar image load`.
pub fn load(store: &Store, load: &Load) -> Result<Told, Error> {
    let intake = Intake::begin(store)?;
    imported(store, &import::load(&intake, source(&load.source), &*followed())?)
}

/// `belljar image save`.
pub fn save(store: &Store, save: &Save) -> Result<Told, Error> {
    let images: Vec<Wanted> =
        save.names.iter().map(|word| wanted(store, &word.to_string_lossy())).collect::<Result<_, _>>()?;
    if save.output != "-" {
        save::save_file(store, &images, Path::new(&save.output), &*followed())?;
        let shown = save.output.display();
        return Ok(Told {
            people: format!("{shown}\n"),
            object: json!({ "version": 1, "file": save.output.to_string_lossy() }),
        });
    }
    if std::io::stdout().is_terminal() {
        let problem = Problem::new("output", "standard output is a terminal");
        return Err(Error::invalid(vec![problem.hint("name a file, or pipe it into a program")]));
    }
    save::save(store, &images, &mut render::out(), &*followed())?;
    // Standard output holds the archive.
    Ok(Told { people: String::new(), object: Value::Null })
}

/// An image, and its name if `word` is one.
fn wanted(store: &Store, word: &str) -> Result<Wanted, Error> {
    let lease = store.lease(word)?;
    let reference = Reference::parse(word).ok().map(|reference| Reference { digest: None, ..reference });
    let names = reference.iter().flat_map(|reference| [reference.clone(), reference.remote()]);
    for name in names {
        if store.named(&name)? == Some(lease.record.manifest) {
            return Ok(Wanted { name: Some(name), lease });
        }
    }
    Ok(Wanted { name: None, lease })
}

/// `belljar image verify`.
pub fn verify(store: &Store, verify: &Verify) -> Result<Told, Error> {
    let name = verify.name.as_ref().map(|name| name.to_string_lossy().into_owned());
    let faults = verify::verify(store, name.as_deref(), &*followed())?;
    if faults.is_empty() {
        let object = json!({ "version": 1, "faults": [] });
        return Ok(Told { people: "all images match their digests\n".to_owned(), object });
    }
    Err(Error::invalid(faults.iter().map(|fault| Problem::new("store", fault.to_string()).hint(&fault.cure)).collect()))
}

/// `belljar image pull`.
pub fn pull(store: &Store, pull: &Pull) -> Result<Told, Error> {
    let reference = reference(&pull.reference)?;
    let password = match &pull.username {
        None => None,
        Some(_) if !pull.password_stdin => {
            let problem = Problem::new("username", "needs a password");
            return Err(Error::invalid(vec![
                problem.hint("add `--password-stdin` and write the password to standard input"),
            ]));
        }
        Some(user) => Some(Password { user: user.to_string_lossy().into_owned(), password: password()? }),
    };
    let site = Site::of(|name| std::env::var_os(name));
    let asked = registry::Pull {
        reference: &reference,
        platform: Platform::ours(),
        password,
        site: &site,
        bounds: &Bounds::default(),
    };
    let intake = Intake::begin(store)?;
    let pulled = registry::pull(&intake, &asked, &*followed())?;
    let people = format!("{}  {}\n", short(&pulled.name), pulled.manifest);
    let object = json!({
        "version": 1, "digest": pulled.manifest, "names": [pulled.name.name()],
        "fetched_bytes": pulled.fetched_bytes, "kept_bytes": pulled.kept_bytes,
        "hidden_links": hidden_links(store, &pulled.manifest)?,
    });
    Ok(Told { people, object })
}

/// One line of standard input.
fn password() -> Result<String, Error> {
    let wrong = |why: String| Error::invalid(vec![Problem::new("password_stdin", why)]);
    let mut text = String::new();
    let read = std::io::stdin().take(LONGEST_PASSWORD).read_to_string(&mut text);
    read.map_err(|error| wrong(format!("standard input: {}", describe_io(&error))))?;
    let password = text.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() { Err(wrong("standard input is empty".to_owned())) } else { Ok(password) }
}
