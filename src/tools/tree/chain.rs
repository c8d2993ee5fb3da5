//! Position of a walk through a tree: descriptors from the first directory to the innermost.
//!
//! Each directory is opened in the one above it by its name, and a link is never followed, so that whoever changes the tree meanwhile
//! leads nobody out of it. The first and the innermost directories stay open. The way back to one that was closed is `..`, and it must
//! be the very directory that was entered; where it is not, what is still to do there cannot be done.

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// So many directories stay open, and the first.
const MOST_OPEN: usize = 32;

/// The directories from the first to the innermost.
pub struct Chain {
    first: OwnedFd,
    below: Vec<Level>,
}

struct Level {
    /// None while it is closed.
    fd: Option<OwnedFd>,
    identity: (u64, u64),
}

impl Chain {
    /// Begins in an open directory.
    pub fn new(first: OwnedFd) -> Chain {
        Chain { first, below: Vec::new() }
    }

    /// The innermost directory.
    ///
    /// # Errors
    ///
    /// ESTALE: it was moved while something deep in it was looked at.
    pub fn here(&self) -> nix::Result<BorrowedFd<'_>> {
        match self.below.last() {
            None => Ok(self.first.as_fd()),
            Some(level) => level.fd.as_ref().map(OwnedFd::as_fd).ok_or(Errno::ESTALE),
        }
    }

    /// Goes into a directory that was opened here.
    ///
    /// # Errors
    ///
    /// It cannot be looked at.
    pub fn enter(&mut self, opened: OwnedFd) -> nix::Result<()> {
        let identity = identity(&opened)?;
        self.below.push(Level { fd: Some(opened), identity });
        if let Some(outer) = self.below.len().checked_sub(MOST_OPEN + 1) {
            self.below[outer].fd = None;
        }
        Ok(())
    }

    /// Goes back to the directory above.
    pub fn leave(&mut self) {
        let Some(left) = self.below.pop() else { return };
        if let (Some(from), Some(above @ Level { fd: None, .. })) = (left.fd, self.below.last_mut()) {
            above.fd = open_directory(from.as_fd(), OsStr::new(".."))
                .ok()
                .filter(|fd| identity(fd).is_ok_and(|found| found == above.identity));
        }
    }
}

/// Opens the directory `name` of another one, and nothing that a link leads to.
pub fn open_directory(at: BorrowedFd<'_>, name: &OsStr) -> nix::Result<OwnedFd> {
    openat(at, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
}

fn identity(fd: &OwnedFd) -> nix::Result<(u64, u64)> {
    fstat(fd).map(|found| (found.st_dev, found.st_ino))
}
