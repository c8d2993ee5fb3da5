//! Directories: the way to them, and what they hold.
#![allow(unsafe_code)]

use super::Answer;
use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, fstat};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a directory that are read at once.
const PIECE: usize = 32 << 10;

static BY_STEPS: AtomicBool = AtomicBool::new(false);

/// From now on this process does without openat2(2), which no seccomp profile lets a sandbox use: for the tool inside.
pub fn go_by_steps() {
    BY_STEPS.store(true, Ordering::Relaxed);
}

/// Opens the directory `path`, and never leaves the one that it begins at: not by links, not by `..`, not by mounts
/// (openat2(2)). ELOOP: a link on the way; EXDEV: a mount, or a way out.
pub fn open_beneath(directory: BorrowedFd<'_>, path: &[u8]) -> nix::Result<OwnedFd> {
    if BY_STEPS.load(Ordering::Relaxed) {
        return open_by_steps(directory, path);
    }
    let how = OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC).resolve(
        ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS
            | ResolveFlag::RESOLVE_NO_XDEV,
    );
    open_as(directory, path, how)
}

/// Opens `path` and never leaves `root` (openat2(2)); `resolve` says what of links and `..` is followed in there.
pub fn open_within(
    root: impl AsFd,
    path: &(impl NixPath + ?Sized),
    flags: OFlag,
    resolve: ResolveFlag,
) -> nix::Result<OwnedFd> {
    open_as(root.as_fd(), path, OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve))
}

fn open_as(directory: BorrowedFd<'_>, path: &(impl NixPath + ?Sized), how: OpenHow) -> nix::Result<OwnedFd> {
    loop {
        // EAGAIN: something was renamed or mounted somewhere on the machine meanwhile, and the kernel could not be sure.
        match openat2(directory, path, how) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            answer => return answer,
        }
    }
}

/// The same name by name: none is followed where it is a link, none leads up, and each lies on the file system of the first.
fn open_by_steps(directory: BorrowedFd<'_>, path: &[u8]) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let device = fstat(directory)?.st_dev;
    let mut at = None;
    for name in path.split(|byte| *byte == b'/') {
        if name.is_empty() || name == b".." {
            return Err(Errno::EXDEV);
        }
        let above = at.as_ref().map_or(directory, OwnedFd::as_fd);
        let below = openat(above, name, flags, Mode::empty())?;
        if fstat(&below)?.st_dev != device {
            return Err(Errno::EXDEV);
        }
        at = Some(below);
    }
    at.ok_or(Errno::ENOENT)
}

/// Fills `buffer` with the next entries of an open directory; 0 at its end (getdents64(2)).
pub fn read(directory: BorrowedFd<'_>, buffer: &mut [u8]) -> Answer<usize> {
    // SAFETY: the buffer is writable for its length during the call.
    let length =
        unsafe { libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
    usize::try_from(length).map_err(|_| Errno::last_raw())
}

/// Names and types (`DT_*`) of all entries of an open directory that was not read before, but for itself and the one above.
pub fn entries(directory: BorrowedFd<'_>) -> nix::Result<Vec<(Vec<u8>, u8)>> {
    let (mut entries, mut buffer) = (Vec::new(), vec![0; PIECE]);
    loop {
        let length = read(directory, &mut buffer).map_err(Errno::from_raw)?;
        if length == 0 {
            return Ok(entries);
        }
        let mut records = &buffer[..length];
        while let Some((name, kind, rest)) = first(records) {
            if !matches!(name, b"." | b"..") {
                entries.push((name.to_vec(), kind));
            }
            records = rest;
        }
    }
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
