//! Packs a tree that may change meanwhile: everything read lies below the top, whatever is swapped for a link.

use super::chain::{Chain, open_directory};
use super::{WITHOUT_WAITING, regular};
use crate::error::Error;
use crate::images::pack::{self, Opened};
use crate::sys::directory::entries;
use crate::tools::bulk::Sink;
use crate::tools::{Name, Skipped};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, fchmod, fchmodat, fstatat};
use nix::unistd::geteuid;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};

/// Bytes of a file that does not say how long it is, as in `/proc`: they wait in memory.
const MOST_UNTOLD: u64 = 16 << 20;
/// What is shorter, and has no blocks, may be one of those files too: those of `/sys` say 4096.
const MAY_BE_UNTOLD: u64 = 64 << 10;

/// What is told of each thing that is left out.
pub type LeaveOut<'a> = &'a mut dyn FnMut(Skipped) -> io::Result<()>;

/// Whose files are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The caller's: they stay as they are, and what denies its owner to read it is left out.
    Caller,
    /// The sandbox's: what denies its owner to read it is opened up as long as it is read.
    Sandbox,
}

/// Packs what `path` is into `to`, as `name`; `leave_out` is told what is left out.
///
/// # Errors
///
/// `path` itself cannot be read, or nothing can be written; `to` is of no use then.
pub fn pack(path: &Path, name: &Path, owner: Owner, to: &mut dyn Sink, leave_out: LeaveOut<'_>) -> Result<(), Error> {
    let mut walk = Walk::new(path, name, owner).map_err(|error| Error::of_io(&error).about(&Name::from(path)))?;
    // Dropped half-way it would write an end, and what is half would look whole.
    let builder = ManuallyDrop::new(tar::Builder::new(to));
    let mut packing = Packing { builder, leave_out };
    let mut is_top = true;
    while let Some(at) = walk.next() {
        match packing.one(&mut walk, &at) {
            Ok(()) => {}
            Err(Fault::Write(error)) => return Err(Error::of_io(&error)),
            Err(Fault::Read(error)) if is_top => return Err(Error::of_io(&error).about(&Name::from(path))),
            // Gone between the list and the look.
            Err(Fault::Read(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(Fault::Read(error)) => packing.miss(&at.path, why(&error), true)?,
        }
        is_top = false;
    }
    let Packing { builder, .. } = packing;
    ManuallyDrop::into_inner(builder).into_inner().and_then(|to| to.flush()).map_err(|error| Error::of_io(&error))
}

/// In words; these come of a change between a look and the next call, since nothing was opened that was seen to be a link.
fn why(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ELOOP | libc::ENOTDIR | libc::EINVAL) => "it was replaced while it was copied".to_owned(),
        Some(libc::ESTALE) => "what it is in was moved while it was copied".to_owned(),
        _ => Error::of_io(error).message,
    }
}

/// What keeps something from being packed.
enum Fault {
    /// It cannot be read, and the rest can.
    Read(io::Error),
    /// Nothing can be written any more.
    Write(io::Error),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        Fault::Read(errno.into())
    }
}

/// The walk: one thing after another, each directory before what is in it.
struct Walk {
    chain: Chain,
    levels: Vec<Level>,
    owner: Owner,
}

/// A directory whose entries are told.
struct Level {
    path: PathBuf,
    name: PathBuf,
    waiting: Vec<OsString>,
    /// The mode to be given back when it is left.
    closed: Option<u32>,
}

/// One thing in the innermost directory.
struct At {
    entry: OsString,
    /// For people.
    path: PathBuf,
    /// In the archive.
    name: PathBuf,
}

impl Walk {
    fn new(path: &Path, name: &Path, owner: Owner) -> io::Result<Walk> {
        // Without a last part it is the root, or leads up: it stands for itself.
        let (above, entry) = match (path.parent(), path.file_name()) {
            (Some(above), Some(entry)) if !above.as_os_str().is_empty() => (above, entry),
            (Some(_), Some(entry)) => (Path::new("."), entry),
            _ => (path, OsStr::new(".")),
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let chain = Chain::new(open(above, flags, Mode::empty())?);
        let above = if entry == "." { path } else { above };
        let top =
            Level { path: above.to_owned(), name: name.to_owned(), waiting: vec![entry.to_owned()], closed: None };
        Ok(Walk { chain, levels: vec![top], owner })
    }

    fn next(&mut self) -> Option<At> {
        loop {
            let is_top = self.levels.len() == 1;
            let level = self.levels.last_mut()?;
            let Some(entry) = level.waiting.pop() else {
                self.leave();
                continue;
            };
            let path = if entry == "." { level.path.clone() } else { level.path.join(&entry) };
            // The top has its name from the caller.
            let name = if is_top { level.name.clone() } else { level.name.join(&entry) };
            return Some(At { entry, path, name });
        }
    }

    fn here(&self) -> nix::Result<BorrowedFd<'_>> {
        self.chain.here()
    }

    /// Goes into a directory; answers what it is.
    fn enter(&mut self, at: &At, found: &FileStat) -> Result<FileStat, Errno> {
        let here = self.chain.here()?;
        let mut closed = self.open_up(&at.entry, found, 0o500)?;
        let opened = open_directory(here, &at.entry).and_then(|fd| {
            let now = nix::sys::stat::fstat(&fd)?;
            Ok((list(fd.as_fd())?, fd, now))
        });
        let (waiting, fd, mut now) = match opened {
            Ok(opened) => opened,
            Err(errno) => {
                close_again(here, &at.entry, closed);
                return Err(errno);
            }
        };
        if (now.st_dev, now.st_ino) != (found.st_dev, found.st_ino) {
            // Another one has come there since: the mode is none of it.
            closed = None;
        } else if let Some(mode) = closed {
            now.st_mode = now.st_mode & libc::S_IFMT | mode;
        }
        self.chain.enter(fd)?;
        self.levels.push(Level { path: at.path.clone(), name: at.name.clone(), waiting, closed });
        Ok(now)
    }

    fn leave(&mut self) {
        if let Some(Level { closed: Some(mode), .. }) = self.levels.pop()
            && let Ok(here) = self.chain.here()
        {
            // It may be another's by now.
            let _ = fchmod(here, Mode::from_bits_truncate(mode));
        }
        self.chain.leave();
    }

    /// Opens a regular file.
    fn open(&self, at: &At, found: &FileStat) -> io::Result<File> {
        let here = self.here()?;
        let open = || openat(here, at.entry.as_os_str(), WITHOUT_WAITING | OFlag::O_NOFOLLOW, Mode::empty());
        match open() {
            Err(Errno::EACCES) => {
                let closed = self.open_up(&at.entry, found, 0o400)?;
                let opened = open();
                match (&opened, closed) {
                    (Ok(file), Some(mode)) => drop(fchmod(file, Mode::from_bits_truncate(mode))),
                    (_, closed) => close_again(here, &at.entry, closed),
                }
                Ok(opened?.into())
            }
            opened => Ok(opened?.into()),
        }
    }

    /// Gives the owner rights that a file or directory denies it, and answers what it had. Where that cannot be, what is tried next
    /// says so.
    fn open_up(&self, entry: &OsStr, found: &FileStat, needed: u32) -> nix::Result<Option<u32>> {
        let mode = found.st_mode & 0o7777;
        if self.owner == Owner::Caller || mode & needed == needed || found.st_uid != geteuid().as_raw() {
            return Ok(None);
        }
        let open = Mode::from_bits_truncate(mode | needed);
        let done = fchmodat(self.here()?, entry, open, FchmodatFlags::NoFollowSymlink);
        Ok(done.ok().map(|()| mode))
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        while !self.levels.is_empty() {
            self.leave();
        }
    }
}

fn close_again(here: BorrowedFd<'_>, entry: &OsStr, closed: Option<u32>) {
    if let Some(mode) = closed {
        // It may be gone.
        let _ = fchmodat(here, entry, Mode::from_bits_truncate(mode), FchmodatFlags::NoFollowSymlink);
    }
}

/// The names of what is in a directory.
fn list(directory: BorrowedFd<'_>) -> nix::Result<Vec<OsString>> {
    Ok(entries(directory)?.into_iter().map(|(name, _)| OsString::from_vec(name)).collect())
}

struct Packing<'w, 'l> {
    builder: ManuallyDrop<tar::Builder<&'w mut dyn Sink>>,
    leave_out: LeaveOut<'l>,
}

impl Packing<'_, '_> {
    fn one(&mut self, walk: &mut Walk, at: &At) -> Result<(), Fault> {
        let found = look(walk, at)?;
        if pack::is_too_long(&at.name) {
            return Err(Errno::ENAMETOOLONG.into());
        }
        let time = (found.st_mtime, found.st_mtime_nsec);
        match found.st_mode & libc::S_IFMT {
            libc::S_IFDIR => {
                let found = walk.enter(at, &found)?;
                let (header, time) = (header(&found, EntryType::Directory), (found.st_mtime, found.st_mtime_nsec));
                pack::empty(&mut self.builder, header, &at.name, time).map_err(Fault::Write)
            }
            libc::S_IFLNK => {
                let target = PathBuf::from(readlinkat(walk.here()?, at.entry.as_os_str())?);
                let header = header(&found, EntryType::Symlink);
                pack::link(&mut self.builder, header, &at.name, &target, time).map_err(Fault::Write)
            }
            libc::S_IFREG => self.file(walk, at, &found),
            // Nothing would come of it.
            _ if walk.levels.len() == 1 => {
                Err(Fault::Read(io::Error::new(io::ErrorKind::InvalidInput, super::no_file())))
            }
            kind => {
                let why = match kind {
                    libc::S_IFIFO => "a fifo",
                    libc::S_IFSOCK => "a socket",
                    _ => "a device",
                };
                self.missed(&at.path, why.to_owned(), false)
            }
        }
    }

    fn file(&mut self, walk: &Walk, at: &At, seen: &FileStat) -> Result<(), Fault> {
        let (mut file, found) = walk.open(at, seen).and_then(regular).map_err(Fault::Read)?;
        let (length, time) = (found.len(), (found.mtime(), found.mtime_nsec()));
        let mut header = header(seen, EntryType::Regular);
        header.set_mode(found.mode());
        header.set_uid(found.uid().into());
        header.set_gid(found.gid().into());
        if length == 0 || found.blocks() == 0 && length <= MAY_BE_UNTOLD {
            let mut content = Vec::new();
            (&file).take(MOST_UNTOLD + 1).read_to_end(&mut content).map_err(Fault::Read)?;
            if content.len() as u64 > MOST_UNTOLD {
                return Err(Fault::Read(io::Error::other("it is longer than 16 MiB and does not say how long")));
            }
            if content.len() as u64 != length {
                return pack::bytes(&mut self.builder, header, &at.name, &content, time).map_err(Fault::Write);
            }
            file.rewind().map_err(Fault::Read)?;
        }
        let sparse = found.blocks() * 512 < length;
        let opened = Opened { file, length, sparse, time };
        let fault = if sparse {
            pack::file(&mut self.builder, header, &at.name, opened)
        } else {
            self.moved(header, &at.name, &opened)
        };
        if let Some(fault) = fault.map_err(Fault::Write)? {
            let why = format!("not all of it could be read: {}", Error::of_io(&fault).message);
            self.missed(&at.path, why, true)?;
        }
        Ok(())
    }

    /// Writes a file without holes, which the kernel moves where that is worth it.
    fn moved(&mut self, header: Header, name: &Path, from: &Opened) -> io::Result<Option<io::Error>> {
        pack::begin(&mut self.builder, header, name, from.length, from.time)?;
        let to = self.builder.get_mut();
        let fault = to.file(&from.file, from.length)?;
        to.write_all(pack::fills(from.length))?;
        Ok(fault)
    }

    fn missed(&mut self, path: &Path, why: String, failed: bool) -> Result<(), Fault> {
        self.miss(path, why, failed).map_err(|trouble| Fault::Write(io::Error::other(trouble)))
    }

    fn miss(&mut self, path: &Path, why: String, failed: bool) -> Result<(), Error> {
        (self.leave_out)(Skipped { path: Name::from(path), why, failed }).map_err(|error| Error::of_io(&error))
    }
}

fn look(walk: &Walk, at: &At) -> nix::Result<FileStat> {
    fstatat(walk.here()?, at.entry.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
}

fn header(found: &FileStat, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(found.st_mode);
    header.set_uid(found.st_uid.into());
    header.set_gid(found.st_gid.into());
    header.set_size(0);
    header.set_entry_type(kind);
    header
}

/// Bytes on disk of all regular files below `path`, as far as they can be seen: for a bar of progress.
pub fn measure(path: &Path) -> u64 {
    let Ok(mut walk) = Walk::new(path, path, Owner::Caller) else { return 0 };
    let mut bytes = 0;
    while let Some(at) = walk.next() {
        let Ok(found) = look(&walk, &at) else { continue };
        match found.st_mode & libc::S_IFMT {
            // What cannot be opened counts nothing.
            libc::S_IFDIR => drop(walk.enter(&at, &found)),
            libc::S_IFREG => bytes += found.st_size.min(found.st_blocks * 512).unsigned_abs(),
            _ => {}
        }
    }
    bytes
}
