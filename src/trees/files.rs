//! The files of a sandbox, as they are read from outside when it does not run.
//!
//! A sandbox may have made them as it liked. Nothing is followed, and nothing waits for a pipe to be written. Whoever calls sees to it that
//! nobody writes meanwhile.

use super::unpack::escaped;
use crate::error::Error;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, fchmodat};
use std::fs::File;
use std::os::fd::BorrowedFd;

/// The files of a sandbox.
#[derive(Clone, Copy, Debug)]
pub struct Files<'f> {
    /// What it has written: an upper directory of overlayfs, or a directory of its own.
    pub upper: BorrowedFd<'f>,
    /// Paths below it that are gone, where nothing in `upper` says so.
    pub gone: &'f [Vec<u8>],
}

/// The error for a file that cannot be read.
pub(crate) fn cannot(attempt: &str, name: &[u8], errno: Errno) -> Error {
    let attempt = format!("{attempt} `{}` of the sandbox", escaped(name));
    Error::setup(attempt, errno as i32)
}

/// Opens a file that may deny its owner to read it.
pub(crate) fn open_anyway(at: BorrowedFd<'_>, name: &[u8], found: &FileStat) -> nix::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    match openat(at, name, flags, Mode::empty()) {
        Err(Errno::EACCES) => {
            let mode = |bits| fchmodat(at, name, Mode::from_bits_truncate(bits), FchmodatFlags::NoFollowSymlink);
            mode(found.st_mode & 0o7777 | 0o400)?;
            let opened = openat(at, name, flags, Mode::empty());
            mode(found.st_mode & 0o7777)?;
            opened.map(File::from)
        }
        opened => opened.map(File::from),
    }
}
