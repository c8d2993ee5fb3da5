//! `fork`, `diff`, `export` and `snapshot`.

use super::Made;
use crate::error::{Error, Kind, Problem};
use crate::images::save::Target;
use crate::images::store::short;
use crate::images::{Digest, Reference, Store, capture};
use crate::name::Name;
use crate::sandbox;
use crate::tools::EntryKind;
use crate::trees::changes::{self, How};
use crate::verbs::faults::all;
use crate::verbs::text::{heading, now, table, time};
use crate::verbs::words::{Text, Word, some};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// `belljar fork`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fork {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
    /// What to call the other [default: its id]
    #[arg(value_name = "NEW")]
    new: Option<Text>,
}

impl Verb for Fork {
    type Told = Made;

    fn run(self, site: &Site<'_>) -> Result<Made, Error> {
        let (sandboxes, store) = (site.sandboxes()?, site.store()?);
        let forked = sandbox::fork(&sandboxes, &self.name, self.new.as_deref(), Some(&store));
        forked.map(Made::of).map_err(|error| error.rename_field("name", "new"))
    }
}

/// `belljar diff`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Diff {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
}

/// One difference.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Change {
    /// What became of the path.
    change: How,
    /// What is there now; null where it is gone.
    kind: Option<EntryKind>,
    /// From the root.
    path: Name,
}

impl Change {
    fn of(change: &changes::Change) -> Change {
        let kind = match change.kind {
            0 => None,
            libc::S_IFREG => Some(EntryKind::File),
            libc::S_IFDIR => Some(EntryKind::Directory),
            libc::S_IFLNK => Some(EntryKind::Link),
            _ => Some(EntryKind::Special),
        };
        Change { change: change.how, kind, path: Name([b"/".as_slice(), &change.path].concat()) }
    }
}

/// What a sandbox has changed against its image.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Changes {
    /// By their paths.
    changes: Vec<Change>,
}

impl Verb for Diff {
    type Told = Changes;

    fn run(self, site: &Site<'_>) -> Result<Changes, Error> {
        let found = sandbox::diff(&site.sandboxes()?, &self.name, &site.store()?)?;
        Ok(Changes { changes: found.iter().map(Change::of).collect() })
    }
}

impl Told for Changes {
    fn people(&self) -> String {
        let letter = |how| match how {
            How::Added => 'A',
            How::Changed => 'C',
            How::Deleted => 'D',
        };
        self.changes.iter().map(|change| format!("{} {}\n", letter(change.change), change.path)).collect()
    }
}

/// `belljar export`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Export {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
    /// The file, or `-` for standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Word,
    /// Leave the image out: where the file goes, it is there [default: off]
    #[arg(long)]
    #[serde(default)]
    without_image: bool,
}

/// A sandbox as a file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Exported {
    /// The file; `-` where it went to standard output.
    file: String,
    /// Fields of the sandbox that are the host's, and given again where the file is imported.
    left_out: Vec<String>,
}

fn invalid(field: &str, message: &str, hint: &str) -> Error {
    Error::invalid(vec![Problem::new(field, message).hint(hint)])
}

impl Verb for Export {
    type Told = Exported;

    fn run(self, site: &Site<'_>) -> Result<Exported, Error> {
        let (sandboxes, store) = (site.sandboxes()?, site.store()?);
        // Before there is a file for it.
        sandboxes.find(&self.name)?;
        let exported = sandbox::Export { sandbox: &self.name, with_image: !self.without_image };
        let progress = (site.progress)();
        let left_out = if &*self.output == "-" {
            sandbox::export(&sandboxes, &store, exported, &mut *site.raw_output()?, &*progress)?
        } else {
            let mut target = Target::open(Path::new(&*self.output))?;
            let left_out = sandbox::export(&sandboxes, &store, exported, target.file(), &*progress)?;
            target.finish()?;
            left_out
        };
        for field in &left_out {
            (site.say)(&format!("left out {field}: it is this host's, and can be given again at import"));
        }
        let left_out = left_out.iter().map(ToString::to_string).collect();
        Ok(Exported { file: self.output.to_string_lossy().into_owned(), left_out })
    }
}

impl Told for Exported {
    fn people(&self) -> String {
        if self.file == "-" { String::new() } else { format!("{}\n", self.file) }
    }
}

/// `belljar snapshot create`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SnapshotCreate {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
    /// Name of the image
    #[arg(value_name = "IMAGE")]
    image: Text,
    /// Give it the name of an image that is there
    #[arg(short, long)]
    #[serde(default)]
    force: bool,
}

/// An image that was made of a sandbox.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SnapshotMade {
    /// Its name.
    name: String,
    /// Of its manifest.
    digest: Digest,
}

fn reference(text: &str) -> Result<Reference, Error> {
    Reference::parse(text).map_err(|why| Error::misused(vec![Problem::new("image", why)]))
}

impl Verb for SnapshotCreate {
    type Told = SnapshotMade;

    fn run(self, site: &Site<'_>) -> Result<SnapshotMade, Error> {
        let (sandboxes, store, image) = (site.sandboxes()?, site.store()?, reference(&self.image)?);
        let name = short(&image);
        if !self.force && store.names()?.iter().any(|named| named.reference == image) {
            let problem = Problem::new("image", format!("there is an image `{name}` already"));
            let problem = problem.hint("choose another name, or replace it with `--force`");
            return Err(Error::of(Kind::NameTaken, vec![problem]));
        }
        let digest = sandbox::snapshot(&sandboxes, &self.name, &store, &image, &time(now()))?;
        Ok(SnapshotMade { name, digest })
    }
}

impl Told for SnapshotMade {
    fn people(&self) -> String {
        format!("{}  {}\n", self.name, self.digest)
    }
}

/// `belljar snapshot ls`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SnapshotLs {}

/// An image that was made of a sandbox.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OneSnapshot {
    /// Its name.
    name: String,
    /// Of its manifest.
    digest: Digest,
    /// The sandbox that it was made of.
    sandbox: String,
    /// When it was made, as RFC 3339 has it; null where it does not say.
    created: Option<String>,
}

/// The images that are snapshots.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Snapshots {
    /// By their names.
    snapshots: Vec<OneSnapshot>,
}

impl Verb for SnapshotLs {
    type Told = Snapshots;

    fn run(self, site: &Site<'_>) -> Result<Snapshots, Error> {
        let store = site.store()?;
        let mut snapshots = Vec::new();
        for named in store.names()? {
            let lease = store.lease(&named.manifest.to_string())?;
            let Some(sandbox) = capture::of_sandbox(&store, &lease) else { continue };
            let (name, created) = (short(&named.reference), lease.record.created.clone());
            snapshots.push(OneSnapshot { name, digest: named.manifest, sandbox, created });
        }
        Ok(Snapshots { snapshots })
    }
}

impl Told for Snapshots {
    fn people(&self) -> String {
        if self.snapshots.is_empty() {
            return "no snapshots\n".to_owned();
        }
        let created = |one: &OneSnapshot| one.created.clone().unwrap_or_else(|| "-".to_owned());
        let mut rows = vec![heading(["NAME", "OF", "CREATED"])];
        rows.extend(self.snapshots.iter().map(|one| vec![one.name.clone(), one.sandbox.clone(), created(one)]));
        table(&rows)
    }
}

/// `belljar snapshot rm`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SnapshotRm {
    /// Names of images that are snapshots
    #[arg(value_name = "IMAGE", required = true)]
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrSome<Text>"))]
    image: Vec<Text>,
}

/// Names of snapshots that are gone.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SnapshotsRemoved {
    /// In the order in which they were asked for.
    removed: Vec<String>,
}

/// The name of an image that is a snapshot.
fn a_snapshot(store: &Store, image: &str) -> Result<Reference, Error> {
    let reference = reference(image)?;
    let shown = short(&reference);
    let lease = store.lease(&shown)?;
    if capture::of_sandbox(store, &lease).is_none() {
        let message = format!("`{shown}` is no snapshot");
        return Err(invalid("image", &message, "`belljar image rm` removes other images"));
    }
    Ok(reference)
}

impl Verb for SnapshotRm {
    type Told = SnapshotsRemoved;

    /// All are looked up before the first goes.
    fn run(self, site: &Site<'_>) -> Result<SnapshotsRemoved, Error> {
        let store = site.store()?;
        let going = all(self.image.iter().map(|image| a_snapshot(&store, image)))?;
        for reference in &going {
            store.unname(reference)?;
        }
        let removed = going.iter().map(short).collect();
        // Where others add to the store now, `belljar image gc` frees the space afterwards.
        store.collect(false)?;
        Ok(SnapshotsRemoved { removed })
    }
}

impl Told for SnapshotsRemoved {
    fn people(&self) -> String {
        self.removed.iter().map(|name| format!("{name}\n")).collect()
    }
}
