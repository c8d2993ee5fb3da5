//! What nobody needs any more: images without a name and a user, layers and blobs without an image, work that was
//! never finished.
//!
//! Removes only under the exclusive lock, which nobody who adds to the store can have at the same time, and never an
//! image whose record somebody holds.

use super::digest::Digest;
use super::store::{Record, Store, refused};
use crate::error::Error;
use crate::trees::tree;
use nix::fcntl::{Flock, FlockArg};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Images.
    pub images: Vec<Digest>,
    /// Layers' trees.
    pub layers: usize,
    /// Blobs, whole and partial.
    pub blobs: usize,
    /// Bytes on disk that this freed.
    pub bytes: u64,
    /// Images without a name that a sandbox still uses.
    pub in_use: Vec<Digest>,
}

impl Store {
    /// Removes what nobody needs. `None`: somebody adds to the store, and `wait` is not wanted.
    ///
    /// # Errors
    ///
    /// `Setup`, where something cannot be read or removed; what can be is.
    pub fn collect(&self, wait: bool) -> Result<Option<Removed>, Error> {
        self.make()?;
        let how = if wait { FlockArg::LockExclusive } else { FlockArg::LockExclusiveNonblock };
        let Some(_lock) = self.lock(how)? else { return Ok(None) };
        let mut removed = Removed::default();
        let mut first = self.unfinished();
        let partials = self.partials(&mut removed);
        let kept = self.images(&mut removed)?;
        let layers = self.layers(&kept, &mut removed);
        let blobs = self.blobs(&kept, &mut removed);
        for result in [partials, layers, blobs] {
            first = first.or(result.err());
        }
        match first {
            Some(error) => Err(error),
            None => Ok(Some(removed)),
        }
    }

    /// Removes work in progress, which under the exclusive lock is nobody's; the first refusal.
    pub fn unfinished(&self) -> Option<Error> {
        let names = match self.entries("tmp") {
            Ok(names) => names,
            Err(error) => return Some(error),
        };
        // All of them, whatever becomes of the first.
        names
            .iter()
            .filter_map(|name| self.remove(&self.root().join("tmp").join(name)).err())
            .fold(None, |_, error| Some(error))
    }

    fn partials(&self, removed: &mut Removed) -> Result<(), Error> {
        for name in self.entries("partial")? {
            removed.blobs += 1;
            removed.bytes += self.remove(&self.root().join("partial").join(name))?;
        }
        Ok(())
    }

    /// Removes images without a name and a user; the records of all others.
    fn images(&self, removed: &mut Removed) -> Result<Vec<Record>, Error> {
        let named: BTreeSet<Digest> = self.names()?.into_iter().map(|named| named.manifest).collect();
        let mut kept = Vec::new();
        for manifest in self.manifests()? {
            let path = self.root().join("images").join(manifest.hex());
            let record = self.record(&manifest)?;
            if !named.contains(&manifest) {
                let file = File::open(&path).map_err(|error| refused(format!("open `{}`", path.display()), &error))?;
                // A second link to its record is a sandbox's that is kept.
                let pinned = file.metadata().is_ok_and(|found| found.nlink() > 1);
                if let (false, Ok(_unused)) = (pinned, Flock::lock(file, FlockArg::LockExclusiveNonblock)) {
                    removed.bytes += self.remove(&path)?;
                    removed.images.push(manifest);
                    continue;
                }
                removed.in_use.push(manifest);
            }
            kept.extend(record);
        }
        Ok(kept)
    }

    fn layers(&self, kept: &[Record], removed: &mut Removed) -> Result<(), Error> {
        let needed: BTreeSet<String> = kept.iter().flat_map(|record| &record.layers).map(Digest::hex).collect();
        for name in self.entries("layers")?.into_iter().filter(|name| !needed.contains(name)) {
            // Out of its place at once: half a layer is none.
            let away = self.temporary();
            let path = self.root().join("layers").join(name);
            fs::rename(&path, &away).map_err(|error| refused(format!("remove `{}`", path.display()), &error))?;
            removed.layers += 1;
            removed.bytes += self.remove(&away)?;
        }
        Ok(())
    }

    fn blobs(&self, kept: &[Record], removed: &mut Removed) -> Result<(), Error> {
        let of = |record: &Record| [record.manifest, record.config_digest].into_iter().chain(record.blobs.clone());
        let needed: BTreeSet<String> =
            kept.iter().flat_map(|record| of(record).map(|digest| digest.hex()).collect::<Vec<_>>()).collect();
        let plain = |name: &String| name.strip_suffix(".zst").unwrap_or(name).to_owned();
        for name in self.entries("blobs/sha256")?.into_iter().filter(|name| !needed.contains(&plain(name))) {
            removed.blobs += 1;
            removed.bytes += self.remove(&self.root().join("blobs/sha256").join(name))?;
        }
        Ok(())
    }

    /// Removes a file or a tree; the bytes that it had on disk.
    pub fn remove(&self, path: &Path) -> Result<u64, Error> {
        let failed = |error: io::Error| refused(format!("remove `{}`", path.display()), &error);
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            other => other.map_err(failed)?,
        };
        if !found.is_dir() {
            fs::remove_file(path).map_err(failed)?;
            return Ok(std::os::unix::fs::MetadataExt::blocks(&found) * 512);
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(0) };
        let parent = File::open(parent).map_err(failed)?;
        let bytes = tree::usage(File::open(path).map_err(failed)?.as_fd()).map_or(0, |usage| usage.bytes);
        tree::remove(parent.as_fd(), name).map_err(Error::from)?;
        Ok(bytes)
    }
}
