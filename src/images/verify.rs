//! Verifying: everything in the store is read again and compared with its digest, and every tree with its archive.
//!
//! Changes nothing. What is damaged is told with what to do; what nobody needs is no damage. Only what cannot be read at
//! all because of the system, and not because of its content, is an error.

use super::config;
use super::digest::{Digest, Hashing};
use super::intake::Expected;
use super::manifest;
use super::reference::Reference;
use super::store::{Record, Store, refused, short};
use crate::error::{Error, describe_io};
use crate::trees::codec::Decoder;
use crate::trees::compare::compare;
use crate::trees::progress::{Followed, Progress};
use nix::fcntl::FlockArg;
use oci_spec::image::{ImageConfiguration, ImageManifest};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More at once than this are faster on no disk.
const MOST_AT_ONCE: usize = 8;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fault {
    /// The name, image, blob or layer.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
    /// What to do.
    pub cure: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// Looks at the image that `which` names, as [`Store::lease`] takes it, or at everything. The faults, in order.
///
/// # Errors
///
/// `NotFound`, where there is no such image; `Setup`, where the store cannot be read.
pub fn verify(store: &Store, which: Option<&str>, progress: &dyn Progress) -> Result<Vec<Fault>, Error> {
    if !store.root().exists() {
        return which.map_or(Ok(Vec::new()), |word| store.lease(word).map(|_| Vec::new()));
    }
    // As one of those who add: nothing is removed meanwhile.
    let _lock = store.lock(FlockArg::LockShared)?;
    let lease = which.map(|word| store.lease(word)).transpose()?;
    let mut faults = Vec::new();
    let manifests = match &lease {
        Some(lease) => vec![lease.record.manifest],
        None => {
            names(store, &mut faults)?;
            store.manifests()?
        }
    };
    let mut layers = Layers::new();
    let mut documents = BTreeSet::new();
    for manifest in manifests {
        let shown = shown(store, &manifest);
        match store.record(&manifest) {
            Ok(Some(record)) => {
                documents.extend([record.manifest, record.config_digest]);
                faults.extend(image(store, &record, &shown).err());
                for (blob, diff_id) in record.blobs.iter().zip(&record.layers) {
                    layers.entry((*blob, *diff_id)).or_default().insert(shown.clone());
                }
            }
            // It was removed before the lock was ours.
            Ok(None) => {}
            Err(error) => faults.push(anew(format!("the image {shown}"), error.to_string(), &shown)),
        }
    }
    let known: BTreeSet<Digest> = layers.keys().map(|(blob, _)| *blob).chain(documents).collect();
    let mut jobs: Vec<Job> = layers.into_iter().map(|(layer, users)| Job::Layer(layer, users)).collect();
    if lease.is_none() {
        jobs.extend(others(store, &known, &mut faults)?);
    }
    faults.extend(at_once(store, &jobs, progress)?);
    faults.sort();
    Ok(faults)
}

/// Layers, each a blob and its archive, and the images that have them.
type Layers = BTreeMap<(Digest, Digest), BTreeSet<String>>;

/// Something that takes long.
enum Job {
    Layer((Digest, Digest), BTreeSet<String>),
    /// A blob of no image, by the name of its file.
    Blob(Digest, String),
}

fn shown(store: &Store, manifest: &Digest) -> String {
    let names = store.names().unwrap_or_default();
    let name = names.iter().find(|named| named.manifest == *manifest);
    name.map_or_else(|| manifest.short(), |named| short(&named.reference))
}

/// A fault whose cure is to bring an image in again.
fn anew(what: String, why: String, image: &str) -> Fault {
    Fault { what, why, cure: format!("remove it with `belljar image rm {image}`, and bring it in again") }
}

/// Names that are none, or that stand for nothing.
fn names(store: &Store, faults: &mut Vec<Fault>) -> Result<(), Error> {
    let manifests = store.manifests()?;
    for file in store.entries("names")? {
        let path = store.root().join("names").join(&file);
        let remove = format!("remove `{}`", path.display());
        let Some(reference) = Reference::from_file_name(&file) else {
            faults.push(Fault { what: format!("`{}`", path.display()), why: "is no name".to_owned(), cure: remove });
            continue;
        };
        let (what, name) = (format!("the name {}", short(&reference)), short(&reference));
        match store.named(&reference) {
            Ok(Some(manifest)) if manifests.contains(&manifest) => {}
            Ok(Some(manifest)) => {
                let cure = format!("take it away with `belljar image rm {name}`, and bring the image in again");
                faults.push(Fault { what, why: format!("stands for {manifest}, which is not here"), cure });
            }
            Ok(None) => {}
            Err(error) => faults.push(Fault { what, why: error.to_string(), cure: remove }),
        }
    }
    Ok(())
}

/// Whether manifest, configuration and record say the same.
fn image(store: &Store, record: &Record, shown: &str) -> Result<(), Fault> {
    let fault = |why: String| anew(format!("the image {shown}"), why, shown);
    let read = |digest: &Digest| store.document(digest).map_err(|error| fault(error.to_string()));
    let manifest: ImageManifest =
        manifest::parse(&read(&record.manifest)?).map_err(|why| fault(format!("its manifest: {why}")))?;
    let configuration: ImageConfiguration =
        manifest::parse(&read(&record.config_digest)?).map_err(|why| fault(format!("its configuration: {why}")))?;
    let layers = manifest::layers(&manifest, &configuration).map_err(fault)?;
    let config_digest = Expected::of(manifest.config()).map_err(|error| fault(error.to_string()))?.digest;
    let known: Vec<(Digest, Digest)> = record.blobs.iter().copied().zip(record.layers.iter().copied()).collect();
    let said: Vec<(Digest, Digest)> = layers.iter().map(|layer| (layer.blob.digest, layer.diff_id)).collect();
    if (config_digest, said) != (record.config_digest, known) || record.blobs.len() != record.layers.len() {
        return Err(fault("its record has other layers than its manifest".to_owned()));
    }
    // What a record says of its layers can be compared only where they are; that they are missing is a fault of its own.
    if !record.layers.iter().all(|layer| store.layer(layer).exists()) {
        return Ok(());
    }
    let config = config::read(store, &record.layers, &configuration).map_err(|error| fault(error.to_string()))?;
    if config != record.config || *configuration.created() != record.created {
        return Err(fault("its record says something else than its configuration".to_owned()));
    }
    if store.hidden(&record.layers).map_err(|error| fault(error.to_string()))? != record.hidden {
        return Err(fault("its record hides other layers than its layers do".to_owned()));
    }
    Ok(())
}

/// Blobs of no image, and what is no blob.
fn others(store: &Store, known: &BTreeSet<Digest>, faults: &mut Vec<Fault>) -> Result<Vec<Job>, Error> {
    let mut jobs = Vec::new();
    for file in store.entries("blobs/sha256")? {
        match Digest::from_hex(file.strip_suffix(".zst").unwrap_or(&file)) {
            Some(digest) if known.contains(&digest) => {}
            Some(digest) => jobs.push(Job::Blob(digest, file)),
            None => {
                let path = store.root().join("blobs/sha256").join(&file);
                let cure = "`belljar image gc` removes it".to_owned();
                faults.push(Fault { what: format!("`{}`", path.display()), why: "is no blob".to_owned(), cure });
            }
        }
    }
    Ok(jobs)
}

/// Does the jobs, as many at once as there are processors.
fn at_once(store: &Store, jobs: &[Job], progress: &dyn Progress) -> Result<Vec<Fault>, Error> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_AT_ONCE).min(jobs.len());
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Result<Vec<Fault>, Error>>> = Mutex::new(Vec::new());
    let work = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = match job {
                Job::Layer((blob, diff_id), users) => layer(store, blob, diff_id, users, progress),
                Job::Blob(digest, file) => blob(store, digest, file, progress),
            };
            // A panic of another worker ends everything anyway.
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(found);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers {
            // Where there are no processes left for another thread, those that there are do the work.
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let faults: Vec<Vec<Fault>> = done.into_iter().collect::<Result<_, Error>>()?;
    Ok(faults.into_iter().flatten().collect())
}

/// A blob by itself.
fn blob(store: &Store, digest: &Digest, file: &str, progress: &dyn Progress) -> Result<Vec<Fault>, Error> {
    let path = store.root().join("blobs/sha256").join(file);
    let read = || -> io::Result<Digest> {
        let bytes = File::open(&path)?;
        let size = bytes.metadata()?.len();
        let bytes = Followed::new(bytes, progress.begin(&format!("checking {}", digest.short()), Some(size)));
        let mut hashed: Hashing<Box<dyn Read>> =
            Hashing::new(if file.ends_with(".zst") { Box::new(Decoder::new(bytes)?) } else { Box::new(bytes) });
        io::copy(&mut hashed, &mut io::sink())?;
        Ok(hashed.finish().0)
    };
    let why = match read() {
        Ok(found) if found == *digest => return Ok(Vec::new()),
        Ok(found) => format!("its content is {found}"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.raw_os_error().is_none() => error.to_string(),
        Err(error) => return Err(refused(format!("read `{}`", path.display()), &error)),
    };
    Ok(vec![Fault {
        what: format!("the blob {digest}"),
        why,
        cure: "no image has it: `belljar image gc` removes it".to_owned(),
    }])
}

/// A layer: its blob, the archive in it, and the tree.
fn layer(
    store: &Store,
    blob: &Digest,
    diff_id: &Digest,
    users: &BTreeSet<String>,
    progress: &dyn Progress,
) -> Result<Vec<Fault>, Error> {
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let fault = |what: String, why: String| Fault {
        what: format!("{what} of {}", users.join(", ")),
        why,
        cure: format!("remove what has it with `belljar image rm {}`, and bring it in again", users.join(" ")),
    };
    let of_blob = |why: String| vec![fault(format!("the blob {blob}"), why)];
    let of_tree = |why: String| vec![fault(format!("the layer {diff_id}"), why)];
    let packed = !store.blob(blob).exists();
    let file = match store.open_blob(blob) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(of_blob("is missing".to_owned())),
        Err(error) => return Err(refused(format!("read the blob {blob}"), &error)),
    };
    let tree = match File::open(store.layer(diff_id)) {
        Ok(tree) => tree,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(of_tree("is missing".to_owned())),
        Err(error) => return Err(refused(format!("read the layer {diff_id}"), &error)),
    };
    let size = file.metadata().ok().map(|found| found.len());
    let followed = Followed::new(file, progress.begin(&format!("checking {}", blob.short()), size));
    let archive = match Decoder::new(Hashing::new(followed)) {
        Ok(archive) => archive,
        Err(error) => return Ok(of_blob(describe_io(&error))),
    };
    let mut archive = Hashing::new(archive);
    let compared = compare(&mut archive, tree.as_fd());
    if let Err(error) = io::copy(&mut archive, &mut io::sink()) {
        return Ok(of_blob(describe_io(&error)));
    }
    let (inner, _, decoder) = archive.finish();
    let outer = if packed { inner } else { decoder.into_inner().finish().0 };
    if outer != *blob {
        return Ok(of_blob(format!("its content is {outer}")));
    }
    if inner != *diff_id {
        return Ok(of_blob(format!("the archive in it is {inner}, not {diff_id}")));
    }
    Ok(compared.map_or_else(|difference| of_tree(difference.to_string()), |()| Vec::new()))
}
