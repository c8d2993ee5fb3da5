//! Puts unpacked files in their place: renames them, or merges them into an existing directory.
//!
//! The directory that was named is open already. Each directory below it is opened in the one above, without following a link, and
//! what is in it is named from there: whoever swaps directories for links meanwhile has nothing written elsewhere.

use crate::error::{Error, Kind};
use crate::sys::directory::entries;
use crate::tools::Name;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What its owner needs to move a directory and what is in it.
const OPEN: u32 = 0o700;

/// Something in a directory.
pub struct At<'n> {
    /// The directory.
    pub directory: Rc<OwnedFd>,
    /// Its name there; none for the directory itself.
    pub name: Option<&'n OsStr>,
}

struct Move {
    from: Rc<OwnedFd>,
    name: OsString,
    to: Rc<OwnedFd>,
    new: OsString,
    /// The place, for people.
    shown: PathBuf,
}

/// Moves what is called `from` there to its place `to`, which is called `shown` for people.
///
/// # Errors
///
/// What is in the way. What was moved before stays.
pub fn place(from: (Rc<OwnedFd>, &OsStr), to: At<'_>, shown: &Path) -> Result<(), Error> {
    let (source, name) = from;
    let mut waiting = Vec::new();
    match to.name {
        Some(new) => {
            waiting.push(Move {
                from: source,
                name: name.into(),
                to: to.directory,
                new: new.into(),
                shown: shown.into(),
            });
        }
        None => {
            let kind = kind_of(&source, name).map_err(|errno| came(errno, shown))?;
            if kind.0 != SFlag::S_IFDIR {
                return Err(about(Errno::EISDIR, shown));
            }
            open_up(&source, name, kind.1).map_err(|errno| about(errno, shown))?;
            merge(&source, name, &to.directory, shown, &mut waiting)?;
        }
    }
    while let Some(one) = waiting.pop() {
        let failed = |errno: Errno| about(errno, &one.shown);
        let (kind, mode) = kind_of(&one.from, &one.name).map_err(|errno| came(errno, &one.shown))?;
        let is_directory = kind == SFlag::S_IFDIR;
        let closed = if is_directory { open_up(&one.from, &one.name, mode).map_err(failed)? } else { None };
        match kind_of(&one.to, &one.new) {
            Ok((SFlag::S_IFDIR, _)) if is_directory => {
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let to = openat(&*one.to, &*one.new, flags, Mode::empty()).map_err(failed)?;
                merge(&one.from, &one.name, &Rc::new(to), &one.shown, &mut waiting)?;
            }
            Ok((SFlag::S_IFDIR, _)) => return Err(failed(Errno::EISDIR)),
            Ok(_) if is_directory => return Err(failed(Errno::ENOTDIR)),
            Ok((SFlag::S_IFREG | SFlag::S_IFLNK, _)) | Err(Errno::ENOENT) => {
                renameat(&*one.from, &*one.name, &*one.to, &*one.new).map_err(failed)?;
                if let Some(moved) = closed {
                    set_mode(&moved, mode).map_err(failed)?;
                }
            }
            Ok(_) => {
                let why = "a device, a fifo or a socket is in its place, and stays";
                return Err(Error::new(Kind::NotAFile, why).about(&Name::from(one.shown.as_path())));
            }
            Err(errno) => return Err(failed(errno)),
        }
    }
    Ok(())
}

/// All that is in the directory `name` is to go into `to`.
fn merge(above: &OwnedFd, name: &OsStr, to: &Rc<OwnedFd>, shown: &Path, waiting: &mut Vec<Move>) -> Result<(), Error> {
    let failed = |errno: Errno| about(errno, shown);
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let from = Rc::new(openat(above, name, flags, Mode::empty()).map_err(failed)?);
    for (name, _) in entries(from.as_fd()).map_err(failed)? {
        let name = OsString::from_vec(name);
        let (from, to, new, shown) = (from.clone(), to.clone(), name.clone(), shown.join(&name));
        waiting.push(Move { from, name, to, new, shown });
    }
    Ok(())
}

fn about(errno: Errno, shown: &Path) -> Error {
    Error::of_io(&errno.into()).about(&Name::from(shown))
}

fn came(errno: Errno, shown: &Path) -> Error {
    if errno == Errno::ENOENT { Error::new(Kind::Invalid, "nothing came") } else { about(errno, shown) }
}

/// Kind and permissions; of a link its own.
fn kind_of(directory: &OwnedFd, name: &OsStr) -> nix::Result<(SFlag, u32)> {
    let found = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    Ok((SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT, found.st_mode & 0o7777))
}

/// Lets its owner into a directory, who may have been shut out; the directory, whose mode is to be set again then.
fn open_up(above: &OwnedFd, name: &OsStr, mode: u32) -> nix::Result<Option<OwnedFd>> {
    if mode & OPEN == OPEN {
        return Ok(None);
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = openat(above, name, flags, Mode::empty())?;
    set_mode(&directory, mode | OPEN)?;
    Ok(Some(directory))
}

/// By its descriptor, which may be one that only names it: fchmod(2) takes none of those.
fn set_mode(directory: &OwnedFd, mode: u32) -> nix::Result<()> {
    let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|error: io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}
