//! Importing: images from files and directories that other programs made.
//!
//! What a source is, its content tells, never its name: an OCI image layout, as a directory or as an archive; an
//! archive of `docker save`; a plain archive of a root file system, which becomes an image of one layer. Archives are
//! packed with gzip, zstd or xz, or not at all, and are read once, from beginning to end, so that a pipe will do.
//!
//! Promises: what is wrong is named with its entry. Until all of it is known to be right nothing is in the store but in
//! `tmp`, which is cleared at the end whatever the end is. No name in a source is ever a path on this machine.

mod archive;
mod assemble;
mod directory;
mod docker;
pub(in crate::images) use docker::manifest as docker_manifest;
mod layout;
mod names;
mod plain;
mod sniff;

use super::digest::Digest;
use super::intake::{Expected, Intake, Staged};
use super::reference::Reference;
use super::store::refused;
use crate::error::{Error, Problem};
use crate::trees::codec::Decoder;
use crate::trees::progress::{Followed, Progress};
use names::Wish;
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use plain::with_configuration;

/// An image that was brought in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Digest of its manifest.
    pub manifest: Digest,
    /// What it is called now.
    pub names: Vec<Reference>,
}

/// What there is to read: by its path, or as it comes.
pub enum Source<'a> {
    /// A file or a directory.
    Path(&'a Path),
    /// An archive.
    Stream(Box<dyn Read + Send + 'a>),
}

/// Brings in all images of `source`. `name` is for a single one; without it they get the names that they come with, or
/// that of the file.
///
/// # Errors
///
/// `Invalid` for a source that holds no image or one that is not whole; `Setup`, where something cannot be read or written.
pub fn import(
    intake: &Intake<'_>,
    source: Source<'_>,
    name: Option<&Reference>,
    progress: &dyn Progress,
) -> Result<Vec<Imported>, Error> {
    let (stem, opened) = open(source, progress)?;
    let wish = Wish { name, stem: stem.as_deref() };
    match opened {
        Opened::Directory(path) => {
            assemble::images(intake, &mut directory::Directory::new(intake, path, progress)?, &wish)
        }
        Opened::Archive(stream) => match sniff::sniff(stream)? {
            (sniff::Kind::Images, stream) => images(intake, stream, &wish),
            (sniff::Kind::Root, stream) => plain::import(intake, stream, &wish),
        },
    }
}

/// Brings in an archive of images, as `save` and others write it. It has the names.
///
/// # Errors
///
/// As for [`import`], and for anything but an archive of images.
pub fn load(intake: &Intake<'_>, source: Source<'_>, progress: &dyn Progress) -> Result<Vec<Imported>, Error> {
    let other = |what: &str| {
        let problem = Problem::new("archive", format!("{what}, no archive of images with names"));
        Error::invalid(vec![problem.hint("`belljar image import` takes it")])
    };
    let (stem, opened) = open(source, progress)?;
    match opened {
        Opened::Directory(_) => Err(other("it is a directory")),
        Opened::Archive(stream) => match sniff::sniff(stream)? {
            (sniff::Kind::Images, stream) => images(intake, stream, &Wish { name: None, stem: stem.as_deref() }),
            (sniff::Kind::Root, _) => Err(other("it is an archive of a root file system")),
        },
    }
}

fn images(intake: &Intake<'_>, stream: impl Read + Send, wish: &Wish<'_>) -> Result<Vec<Imported>, Error> {
    let mut stream = Decoder::new(stream).map_err(|error| unreadable(&error))?;
    let mut contents = archive::Contents::read(intake, &mut stream)?;
    assemble::images(intake, &mut contents, wish)
}

enum Opened<'a> {
    Directory(&'a Path),
    Archive(Box<dyn Read + Send + 'a>),
}

/// The source, and what images in it are called where they have no name of their own.
fn open<'a>(source: Source<'a>, progress: &dyn Progress) -> Result<(Option<String>, Opened<'a>), Error> {
    let path = match source {
        Source::Path(path) => path,
        Source::Stream(stream) => {
            let task = progress.begin("reading standard input", None);
            return Ok((None, Opened::Archive(Box::new(Followed::new(stream, task)))));
        }
    };
    let failed = |error: std::io::Error| Error::of_file("archive", path, &error);
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    let stem = names::stem(path);
    if found.is_dir() {
        return Ok((stem, Opened::Directory(path)));
    }
    let length = found.is_file().then_some(found.len());
    let shown = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let task = progress.begin(&format!("reading {shown}"), length);
    Ok((stem, Opened::Archive(Box::new(Followed::new(file, task)))))
}

/// Where the parts of images come from, by the names that they have there.
trait Parts<'s> {
    /// The name behind links.
    fn resolve(&self, name: &str) -> Result<String, Error>;
    /// The whole of a document; `None`: there is no such entry.
    fn document(&mut self, name: &str) -> Result<Option<Vec<u8>>, Error>;
    /// A layer, by a name behind links, each but once; `None`: there is no such entry.
    fn layer(&mut self, name: &str, expected: Option<&Expected>) -> Result<Option<Staged<'s>>, Error>;
}

/// Something wrong with the source as a whole.
fn wrong(why: impl Into<String>) -> Error {
    Error::invalid(vec![Problem::new("archive", why)])
}

/// Something wrong with one entry.
fn wrong_entry(name: &str, why: impl std::fmt::Display) -> Error {
    wrong(format!("entry `{}`: {why}", crate::trees::unpack::escaped(name.as_bytes())))
}

/// The same error, which says of which entry it is.
fn about(name: &str, error: Error) -> Error {
    let prefix = format!("entry `{}`: ", crate::name::escaped(name.as_bytes()));
    error.within(&prefix)
}

/// What could not be read is the archive's fault, unless the system says otherwise.
fn unreadable(error: &std::io::Error) -> Error {
    match error.raw_os_error() {
        Some(_) => refused("read the archive", error),
        None => wrong(error.to_string()),
    }
}
