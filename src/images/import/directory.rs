//! A directory with an OCI image layout, or with what an archive of `docker save` holds.
//!
//! Opens only what lies below it, whatever its links say, and only regular files: nothing that blocks, and nothing of
//! the caller's that somebody else has pointed at.

use super::super::intake::{Expected, Intake, Staged};
use super::super::store::{LARGEST_DOCUMENT, refused};
use super::{Parts, about, wrong_entry};
use crate::error::{Error, Problem};
use crate::sys::directory::open_within;
use crate::trees::progress::{Followed, Progress};
use crate::trees::unpack::Bounds;
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// An open directory.
pub struct Directory<'s, 'i> {
    intake: &'i Intake<'s>,
    root: File,
    progress: &'i dyn Progress,
}

impl<'s, 'i> Directory<'s, 'i> {
    /// That at `path`.
    pub fn new(intake: &'i Intake<'s>, path: &Path, progress: &'i dyn Progress) -> Result<Self, Error> {
        let root = File::open(path).map_err(|error| refused(format!("open `{}`", path.display()), &error))?;
        let directory = Directory { intake, root, progress };
        if directory.open("index.json")?.is_none() && directory.open("manifest.json")?.is_none() {
            let why = format!("`{}` is a directory without an `index.json`: no OCI layout", path.display());
            let problem = Problem::new("archive", why);
            return Err(Error::invalid(vec![problem.hint(
                "a root file system comes in as an archive: `tar -C DIR -c . | belljar image import - --name NAME`",
            )]));
        }
        Ok(directory)
    }

    fn open(&self, name: &str) -> Result<Option<File>, Error> {
        let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let file = match open_within(&self.root, name, OFlag::O_RDONLY | OFlag::O_NONBLOCK, resolve) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            Err(Errno::EXDEV) => return Err(wrong_entry(name, "is a link that leads out of the directory")),
            Err(errno) => return Err(about(name, refused("open it", &errno.into()))),
        };
        let found = file.metadata().map_err(|error| about(name, refused("look at it", &error)))?;
        if !found.is_file() {
            return Err(wrong_entry(name, "is no regular file"));
        }
        Ok(Some(file))
    }
}

impl<'s> Parts<'s> for Directory<'s, '_> {
    fn resolve(&self, name: &str) -> Result<String, Error> {
        Ok(name.to_owned())
    }

    fn document(&mut self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(file) = self.open(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(LARGEST_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| about(name, refused("read it", &error)))?;
        if bytes.len() as u64 > LARGEST_DOCUMENT {
            return Err(wrong_entry(name, format!("is a document of more than {LARGEST_DOCUMENT} bytes")));
        }
        Ok(Some(bytes))
    }

    fn layer(&mut self, name: &str, expected: Option<&Expected>) -> Result<Option<Staged<'s>>, Error> {
        let Some(file) = self.open(name)? else { return Ok(None) };
        let size = file.metadata().map_err(|error| about(name, refused("look at it", &error)))?.len();
        if let Some(expected) = expected.filter(|expected| expected.size != size) {
            return Err(wrong_entry(name, format!("has {size} bytes, {} were announced", expected.size)));
        }
        let what = expected.map_or_else(|| name.to_owned(), |expected| expected.digest.short());
        let followed = Followed::new(file, self.progress.begin(&format!("unpacking {what}"), Some(size)));
        self.intake.stage(followed, expected, &Bounds::default()).map(Some).map_err(|error| about(name, error))
    }
}
