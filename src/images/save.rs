//! Saving: images as one file that another machine loads with nothing else.
//!
//! It is an OCI image layout as a tar archive, packed with zstd, which other programs read too. Beside `index.json` there is
//! the `manifest.json` of `docker save`, for those that look for that one.
//!
//! Promises: the same images give the same bytes, whatever the order they are named in, the machine and its number of
//! processors. Every blob is hashed on its way; what is damaged in the store is an error, and never in a file. A file is
//! there as a whole or not at all.

mod target;

pub use target::Target;

use super::digest::{Digest, Hashing};
use super::intake::Expected;
use super::manifest::{FULL_NAME, LAYOUT_VERSION, OCI_INDEX, OCI_MANIFEST, SHORT_NAME, parse};
use super::reference::Reference;
use super::store::{Lease, Store, damaged, refused};
use crate::error::{Error, describe_io, used_up};
use crate::trees::codec::{Compressor, Effort};
use crate::trees::progress::{Progress, Task};
use oci_spec::image::{ImageConfiguration, ImageManifest};
use serde_json::{Value, json};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::Path;

const BLOCK: u64 = 512;
const BUFFER: usize = 256 << 10;

/// An image to save, and the name that it has in the file.
#[derive(Debug)]
pub struct Wanted {
    /// `None`: whoever loads it has to name it.
    pub name: Option<Reference>,
    /// Kept from being removed meanwhile.
    pub lease: Lease,
}

/// Writes `images` to `out`.
///
/// # Errors
///
/// `Setup`, where something cannot be read or written, or is damaged in the store.
pub fn save(store: &Store, images: &[Wanted], out: &mut dyn Write, progress: &dyn Progress) -> Result<(), Error> {
    let contents = Contents::of(store, images)?;
    let task = progress.begin("saving", Some(contents.bytes()));
    let out = Compressor::new(out, Effort::Usual).map_err(|error| unwritten(&error))?;
    let mut archive = Archive { out, store, task };
    for (name, content) in &contents.0 {
        archive.entry(name, content)?;
    }
    archive.finish()
}

/// The same, to a file that replaces whatever is at `path`. A pipe or a device there is written to.
///
/// # Errors
///
/// As for [`save`]. Then there is nothing new at `path`, nor beside it.
pub fn save_file(store: &Store, images: &[Wanted], path: &Path, progress: &dyn Progress) -> Result<(), Error> {
    let mut target = target::Target::open(path)?;
    save(store, images, target.file(), progress)?;
    target.finish()
}

/// What is in the archive, in its order.
struct Contents(BTreeMap<String, Content>);

enum Content {
    Directory,
    Document(Vec<u8>),
    Blob(Expected),
}

/// An image as both lists have it.
struct Listed {
    names: BTreeSet<Reference>,
    descriptor: Value,
    config: String,
    layers: Vec<String>,
}

impl Contents {
    fn of(store: &Store, images: &[Wanted]) -> Result<Contents, Error> {
        let mut entries: BTreeMap<String, Content> =
            ["blobs/", "blobs/sha256/"].map(|name| (name.to_owned(), Content::Directory)).into();
        let mut listed: BTreeMap<Digest, Listed> = BTreeMap::new();
        for image in images {
            let digest = image.lease.record.manifest;
            if let Entry::Vacant(unlisted) = listed.entry(digest) {
                unlisted.insert(list(store, &digest, &mut entries)?);
            }
            if let Some(known) = listed.get_mut(&digest) {
                known.names.extend(image.name.iter().map(|name| Reference { digest: None, ..name.clone() }));
            }
        }
        let layout = json!({ "imageLayoutVersion": LAYOUT_VERSION });
        for (name, document) in
            [("index.json", index(&listed)), ("manifest.json", manifests(&listed)), ("oci-layout", layout)]
        {
            entries.insert(name.to_owned(), Content::Document(document.to_string().into_bytes()));
        }
        Ok(Contents(entries))
    }

    fn bytes(&self) -> u64 {
        let bytes = |content: &Content| match content {
            Content::Directory => 0,
            Content::Document(bytes) => bytes.len() as u64,
            Content::Blob(blob) => blob.size,
        };
        self.0.values().map(bytes).sum()
    }
}

fn entry_of(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Adds the parts of an image.
fn list(store: &Store, digest: &Digest, entries: &mut BTreeMap<String, Content>) -> Result<Listed, Error> {
    let unusable = |why: String| damaged(&format!("the blob {digest}"), &why);
    let bytes = store.document(digest)?;
    let manifest: ImageManifest = parse(&bytes).map_err(unusable)?;
    let config_digest = Expected::of(manifest.config())?.digest;
    let config = store.document(&config_digest)?;
    let read: ImageConfiguration = parse(&config).map_err(unusable)?;
    let layers: Vec<Expected> = manifest.layers().iter().map(Expected::of).collect::<Result<_, Error>>()?;
    let kind = manifest.media_type().as_ref().map_or_else(|| OCI_MANIFEST.to_owned(), ToString::to_string);
    let descriptor = json!({
        "mediaType": kind,
        "digest": digest,
        "size": bytes.len(),
        "platform": { "architecture": read.architecture().to_string(), "os": read.os().to_string() },
    });
    entries.insert(entry_of(digest), Content::Document(bytes));
    entries.insert(entry_of(&config_digest), Content::Document(config));
    entries.extend(layers.iter().map(|layer| (entry_of(&layer.digest), Content::Blob(*layer))));
    let layers = layers.iter().map(|layer| entry_of(&layer.digest)).collect();
    Ok(Listed { names: BTreeSet::new(), descriptor, config: entry_of(&config_digest), layers })
}

/// `index.json`: an entry for every name. What goes by a tag elsewhere goes by it here, where no two have the same.
fn index(listed: &BTreeMap<Digest, Listed>) -> Value {
    let mut tags: BTreeMap<&str, usize> = BTreeMap::new();
    for name in listed.values().flat_map(|image| &image.names) {
        *tags.entry(&name.tag).or_default() += 1;
    }
    let named = |image: &'_ Listed| -> Vec<(Option<Reference>, Value)> {
        let entry = |name: &Reference| {
            let alone = tags.get(name.tag.as_str()).is_none_or(|count| *count == 1);
            let short = if alone { name.tag.clone() } else { name.name() };
            let mut entry = image.descriptor.clone();
            entry["annotations"] = json!({ FULL_NAME: name.remote().name(), SHORT_NAME: short });
            (Some(name.clone()), entry)
        };
        if image.names.is_empty() {
            return vec![(None, image.descriptor.clone())];
        }
        image.names.iter().map(entry).collect()
    };
    let mut entries: Vec<(Option<Reference>, Value)> = listed.values().flat_map(named).collect();
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    let entries: Vec<Value> = entries.into_iter().map(|(_, entry)| entry).collect();
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries })
}

/// `manifest.json`, with names as people know them.
fn manifests(listed: &BTreeMap<Digest, Listed>) -> Value {
    let item = |image: &Listed| {
        let names: Vec<String> = image.names.iter().map(Reference::name).collect();
        json!({ "Config": image.config, "RepoTags": names, "Layers": image.layers })
    };
    listed.values().map(item).collect()
}

/// The archive on its way out.
struct Archive<'a, 'o> {
    out: Compressor<&'a mut (dyn Write + 'o)>,
    store: &'a Store,
    task: Box<dyn Task>,
}

impl Archive<'_, '_> {
    fn entry(&mut self, name: &str, content: &Content) -> Result<(), Error> {
        match content {
            Content::Directory => self.header(name, tar::EntryType::Directory, 0),
            Content::Document(bytes) => {
                self.header(name, tar::EntryType::Regular, bytes.len() as u64)?;
                self.write(bytes)?;
                self.fill(bytes.len() as u64)
            }
            Content::Blob(blob) => {
                self.header(name, tar::EntryType::Regular, blob.size)?;
                self.blob(blob)?;
                self.fill(blob.size)
            }
        }
    }

    fn header(&mut self, name: &str, kind: tar::EntryType, size: u64) -> Result<(), Error> {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).map_err(|error| unwritten(&error))?;
        header.set_entry_type(kind);
        header.set_mode(if kind == tar::EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.out.write_all(header.as_bytes()).map_err(|error| unwritten(&error))
    }

    /// A blob, hashed on its way.
    fn blob(&mut self, blob: &Expected) -> Result<(), Error> {
        let what = format!("the blob {}", blob.digest);
        let unreadable = |error: io::Error| damaged(&what, &describe_io(&error));
        let bytes = self.store.content(&blob.digest).map_err(unreadable)?;
        // One byte more than there should be is enough to know.
        let mut bytes = Hashing::new(bytes.take(blob.size.saturating_add(1)));
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = match bytes.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(error)),
            };
            self.write(&buffer[..count])?;
        }
        let (digest, size, _) = bytes.finish();
        if (digest, size) != (blob.digest, blob.size) {
            return Err(damaged(&what, "its content has another digest"));
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(|error| unwritten(&error))?;
        self.task.advance(bytes.len() as u64);
        Ok(())
    }

    /// Zeros up to a whole block.
    fn fill(&mut self, size: u64) -> Result<(), Error> {
        let zeros = [0; BLOCK as usize];
        let missing = (size.wrapping_neg() % BLOCK) as usize;
        self.out.write_all(&zeros[..missing]).map_err(|error| unwritten(&error))
    }

    fn finish(mut self) -> Result<(), Error> {
        let end = [0; 2 * BLOCK as usize];
        let written = self.out.write_all(&end).and_then(|()| self.out.finish()).and_then(|out| out.flush());
        written.map_err(|error| unwritten(&error))
    }
}

/// What the other end refused.
fn unwritten(error: &io::Error) -> Error {
    unwritten_to("the archive", error)
}

/// The same about a file that is named. The store's own hint is not about where the archive goes.
fn unwritten_to(what: &str, error: &io::Error) -> Error {
    let refused = refused(format!("write {what}"), error);
    Error { hint: refused.errno.and_then(used_up).map(str::to_owned), ..refused }
}
