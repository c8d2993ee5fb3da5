//! Directories: the way to them, and what they hold.
#![allow(unsafe_code)]

use super::Answer;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

/// Opens the directory `path`, and never leaves the one that it begins at: not by links, not by `..`, not by mounts
/// (openat2(2)). ELOOP: a link on the way; EXDEV: a mount, or a way out.
pub fn open_beneath(directory: BorrowedFd<'_>, path: &[u8]) -> nix::Result<OwnedFd> {
    let how = OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC).resolve(
        ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS
            | ResolveFlag::RESOLVE_NO_XDEV,
    );
    loop {
        // EAGAIN: something was renamed or mounted somewhere meanwhile, and the kernel could not be sure.
        match openat2(directory, path, how) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            answer => return answer,
        }
    }
}

/// Fills `buffer` with the next entries of an open directory; 0 at its end (getdents64(2)).
pub fn read(directory: BorrowedFd<'_>, buffer: &mut [u8]) -> Answer<usize> {
    // SAFETY: the buffer is writable for its length during the call.
    let length =
        unsafe { libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
    usize::try_from(length).map_err(|_| Errno::last_raw())
}

/// Name and type (`DT_*`) of the first entry in what [`read`] has read, and what comes behind it.
pub fn first(records: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    // struct linux_dirent64: ino 8, off 8, reclen 2, type 1, name with its NUL.
    let length = records.get(16..18).map(|bytes| usize::from(u16::from_ne_bytes([bytes[0], bytes[1]])))?;
    let (record, rest) = records.split_at_checked(length)?;
    let name = record.get(19..)?;
    let end = name.iter().position(|byte| *byte == 0)?;
    Some((&name[..end], record[18], rest))
}
