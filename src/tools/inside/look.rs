//! Requests about directory entries and contents: stat, ls, read.

use super::Answer;
use crate::error::Error;
use crate::tools::tree::open_file;
use crate::tools::wire::Outlet;
use crate::tools::{Entry, EntryKind, Name};
use nix::fcntl::OFlag;
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What is known of `path` itself.
pub fn entry(path: &Path) -> io::Result<Entry> {
    let found = fs::symlink_metadata(path)?;
    let kind = found.file_type();
    let kind = if kind.is_dir() {
        EntryKind::Directory
    } else if kind.is_file() {
        EntryKind::File
    } else if kind.is_symlink() {
        EntryKind::Link
    } else {
        EntryKind::Special
    };
    // Gone or changed by now, it is not worth an error.
    let target = if kind == EntryKind::Link { fs::read_link(path).ok() } else { None };
    Ok(Entry {
        path: path.into(),
        kind,
        size: found.len(),
        mode: found.mode() & 0o7777,
        modified: found.mtime(),
        uid: found.uid(),
        gid: found.gid(),
        target: target.map(|target| Name::from(target.as_path())),
    })
}

pub fn stat(path: &Name, answer: &mut Answer<'_>) -> Result<(), Error> {
    entry(path.path()).and_then(|entry| answer.item(&entry)).map_err(|error| Error::of_io(&error).about(path))
}

pub fn list(path: &Name, depth: u32, answer: &mut Answer<'_>) -> Result<(), Error> {
    let is_directory = fs::metadata(path.path()).map_err(|error| Error::of_io(&error).about(path))?.is_dir();
    if !is_directory {
        return stat(path, answer);
    }
    walk(path, depth, &mut |_, entry| answer.item(entry))
}

/// Goes through what lies below a directory, down to `depth` levels, in the order of names. What is gone when it is looked at, and
/// directories that cannot be read below the first, are left out.
pub fn walk(top: &Name, depth: u32, each: &mut dyn FnMut(u32, &Entry) -> io::Result<()>) -> Result<(), Error> {
    let mut waiting = vec![(top.path().to_owned(), 0)];
    while let Some((path, level)) = waiting.pop() {
        let about = |error: io::Error| Error::of_io(&error).about(&Name::from(path.as_path()));
        if level > 0 {
            match entry(&path) {
                Ok(entry) => {
                    each(level, &entry).map_err(about)?;
                    if entry.kind != EntryKind::Directory {
                        continue;
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
                Err(error) => return Err(about(error)),
            }
        }
        if level == depth {
            continue;
        }
        let listed = match fs::read_dir(&path) {
            Err(_) if level > 0 => continue,
            listed => listed.map_err(about)?,
        };
        let mut names: Vec<_> = listed.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        names.sort_unstable_by(|a, b| b.cmp(a));
        waiting.extend(names.into_iter().map(|name| (path.join(name), level + 1)));
    }
    Ok(())
}

pub fn read(path: &Name, offset: u64, length: Option<u64>, answer: &mut Answer<'_>) -> Result<(), Error> {
    let about = |error: io::Error| Error::of_io(&error).about(path);
    let (mut file, _) = open_file(path.path(), OFlag::empty()).map_err(about)?;
    file.seek(SeekFrom::Start(offset)).map_err(about)?;
    let mut outlet = Outlet::new(answer.to);
    io::copy(&mut file.take(length.unwrap_or(u64::MAX)), &mut outlet).and_then(|_| outlet.flush()).map_err(about)
}
