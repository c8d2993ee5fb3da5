//! Trees on disk that are ours: how much they take, and how they are removed.
//!
//! A sandbox may have made them as it liked: directories that nobody may read, deeper than any path is long, with
//! millions of entries. Nothing here follows a link, crosses a mount, recurses, or holds more than some descriptors.

#[cfg(test)]
mod tests;
mod walk;

pub(crate) use walk::{Found, Walk};

use crate::error::{Failure, used_up};
use crate::trees::unpack::escaped;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;

/// What a tree takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on disk, in whole blocks, without holes; a file with several names counts once.
    pub bytes: u64,
    /// Files, directories and links.
    pub inodes: u64,
}

/// Removes whatever `name` in `parent` is, with all that is in it. It is no error if there is nothing. What cannot be
/// removed is left and named, once all else is gone.
pub fn remove(parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), Failure> {
    let name = name.as_bytes();
    match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        // POSIX has EPERM here.
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(errno) => return Err(failure("remove", name, errno)),
    }
    loop {
        let mut pass = Pass::default();
        pass.empty(parent, name);
        match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            // Some file systems pass over entries of a directory that is changed while it is read.
            Err(Errno::ENOTEMPTY | Errno::EEXIST) if pass.removed && pass.failure.is_none() => {}
            Err(errno) => return Err(pass.failure.unwrap_or_else(|| failure("remove", name, errno))),
        }
    }
}

/// What the directory takes, itself included.
pub fn usage(directory: BorrowedFd<'_>) -> Result<Usage, Failure> {
    let mut usage = Usage::default();
    let mut seen = HashSet::new();
    let mut add = |found: &FileStat| {
        let is_directory = found.st_mode & libc::S_IFMT == libc::S_IFDIR;
        if is_directory || found.st_nlink == 1 || seen.insert((found.st_dev, found.st_ino)) {
            usage.bytes += found.st_blocks as u64 * 512;
            usage.inodes += 1;
        }
    };
    let mut walk = Walk::new(directory).map_err(|errno| failure("look at", b".", errno))?;
    add(&fstat(directory).map_err(|errno| failure("look at", b".", errno))?);
    while let Some(found) = walk.next() {
        match found {
            Found::Directory { at, name } | Found::Other { at, name } => {
                match fstatat(at, &name[..], AtFlags::AT_SYMLINK_NOFOLLOW) {
                    Ok(found) => add(&found),
                    // Somebody is at work there.
                    Err(Errno::ENOENT) => {}
                    Err(errno) => return Err(failure("look at", &name, errno)),
                }
            }
            Found::Entered { .. } | Found::Left { .. } => {}
            Found::Trouble { name, errno: Errno::ENOENT } if !name.is_empty() && name != b"." => {}
            Found::Trouble { name, errno } => return Err(failure("read the directory", &name, errno)),
        }
    }
    Ok(usage)
}

/// One walk through a tree that is to go.
#[derive(Default)]
struct Pass {
    removed: bool,
    failure: Option<Failure>,
}

impl Pass {
    fn empty(&mut self, parent: BorrowedFd<'_>, name: &[u8]) {
        let mut walk = match Walk::to_remove(parent, name) {
            Ok(walk) => walk,
            Err(errno) => return self.note(Err(errno), name),
        };
        while let Some(found) = walk.next() {
            match found {
                Found::Directory { .. } | Found::Entered { .. } => {}
                Found::Other { at, name } => self.note(unlinkat(at, &name[..], UnlinkatFlags::NoRemoveDir), &name),
                Found::Left { at, name } => self.note(unlinkat(at, &name[..], UnlinkatFlags::RemoveDir), &name),
                Found::Trouble { name, errno } => self.note(Err(errno), &name),
            }
        }
    }

    fn note(&mut self, answer: nix::Result<()>, name: &[u8]) {
        match answer {
            Ok(()) => self.removed = true,
            Err(Errno::ENOENT) => {}
            // A directory of which something was passed over; what failed in it was noted.
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
            Err(errno) => drop(self.failure.get_or_insert_with(|| failure("remove", name, errno))),
        }
    }
}

fn failure(attempt: &str, name: &[u8], errno: Errno) -> Failure {
    let hint = match errno {
        Errno::EXDEV | Errno::EBUSY => Some("something is mounted there: unmount it first".to_owned()),
        Errno::EACCES | Errno::EPERM => Some("somebody else owns it: remove it as its owner, or as root".to_owned()),
        _ => used_up(errno as i32).map(str::to_owned),
    };
    Failure { step: None, attempt: format!("{attempt} `{}`", escaped(name)), errno: errno as i32, hint }
}
