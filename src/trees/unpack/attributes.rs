//! What is said of a file that is open: owner, mode, extended attributes and time, in the order in which they last.

use super::Owner;
use super::entry::Entry;
use super::pax::Time;
use super::refusal::Refusal;
use crate::sys::xattr;
use nix::errno::Errno;
use nix::sys::stat::{Mode, fchmod, futimens};
use nix::sys::time::TimeSpec;
use nix::unistd::fchown;
use std::ffi::CStr;
use std::os::fd::BorrowedFd;

/// The mark of a directory of which overlayfs shows nothing from lower layers, where it is mounted with `userxattr`.
pub const OPAQUE: &CStr = c"user.overlay.opaque";

/// A time that is left as it is.
pub const UNCHANGED: TimeSpec = TimeSpec::UTIME_OMIT;

/// Owner first, since giving a file away takes bits of its mode; attributes before the mode, since only what may be
/// written can be given one; time last, since all else changes it.
pub fn describe(fd: BorrowedFd<'_>, entry: &Entry, owner: Owner) -> Result<(), Refusal> {
    give(fd, owner)?;
    if !entry.attributes.is_empty() {
        set_mode(fd, 0o700)?;
    }
    for (name, value) in &entry.attributes {
        set(fd, name, value)?;
    }
    set_mode(fd, entry.mode)?;
    set_time(fd, entry.time).map_err(|errno| Refusal::kernel("cannot set its time", errno))
}

/// The time of the last change; that of the last access stays.
pub fn set_time(fd: BorrowedFd<'_>, time: Time) -> nix::Result<()> {
    futimens(fd, &UNCHANGED, &spec(time))
}

pub fn give(fd: BorrowedFd<'_>, owner: Owner) -> Result<(), Refusal> {
    let Some((user, group)) = owner else { return Ok(()) };
    fchown(fd, Some(user), Some(group)).map_err(|errno| Refusal::kernel("cannot give it to its owner", errno))
}

pub fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Refusal> {
    fchmod(fd, Mode::from_bits_truncate(mode)).map_err(|errno| Refusal::kernel("cannot set its mode", errno))
}

/// Hides what lower layers have in this directory.
pub fn set_opaque(fd: BorrowedFd<'_>) -> Result<(), Refusal> {
    set(fd, OPAQUE, b"y")
}

pub fn is_opaque(fd: BorrowedFd<'_>) -> nix::Result<bool> {
    let mut value = [0; 1];
    match xattr::get(fd, OPAQUE, &mut value) {
        Ok(length) => Ok(value[..length] == *b"y"),
        Err(libc::ENODATA | libc::EOPNOTSUPP | libc::ERANGE) => Ok(false),
        Err(errno) => Err(Errno::from_raw(errno)),
    }
}

fn set(fd: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Result<(), Refusal> {
    xattr::set(fd, name, value).map_err(|errno| {
        let refusal = Refusal::kernel(
            format!("cannot set its attribute `{}`", super::escaped(name.to_bytes())),
            Errno::from_raw(errno),
        );
        match errno {
            libc::EOPNOTSUPP => refusal.hint(
                "keep images on a file system with attributes of users: ext4, xfs, btrfs, or tmpfs since Linux 6.6",
            ),
            libc::ENOSPC | libc::E2BIG | libc::ERANGE => {
                refusal.hint("the file system has no room for attributes as large")
            }
            _ => refusal,
        }
    })
}

pub fn spec(time: Time) -> TimeSpec {
    TimeSpec::new(time.seconds, i64::from(time.nanoseconds))
}
