//! What a sandbox has changed: its writable layer, compared with what lies below it.
//!
//! A sandbox may have made the layer as it liked. Nothing is followed, or opened without being looked at. Whoever calls sees to it that
//! nobody writes meanwhile.

use super::tree::{Found, Walk};
use super::unpack::{escaped, is_opaque};
use crate::error::{Error, Failure};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// From the root, without a slash before it.
    pub path: Vec<u8>,
    /// What became of it.
    pub how: How,
    /// `S_IFMT` of what is there now; of what is gone 0.
    pub kind: u32,
}

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// There was nothing by that name.
    Added,
    /// Another kind, other permissions, or written to.
    Changed,
    /// With all that was in it.
    Deleted,
}

/// What lies below a writable layer.
#[derive(Debug, Default)]
pub struct Base {
    /// Those of the image, the lowest first.
    pub layers: Vec<File>,
    /// What every sandbox is given, by paths without a slash before them; it hides what the layers have.
    pub given: BTreeMap<Vec<u8>, Given>,
}

/// One thing that a sandbox is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// What it is.
    pub item: Item,
    /// It was made in the writable layer itself, and is no change as long as it is as it was.
    pub inside: bool,
}

/// What it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A directory of this mode.
    Directory(u32),
    /// A file with this content.
    File(Vec<u8>),
    /// A link to there.
    Link(Vec<u8>),
}

const MODE: u32 = 0o7777;

/// What is different in `upper`, sorted by path.
///
/// # Errors
///
/// `Setup` for what cannot be looked at.
pub fn changes(upper: BorrowedFd<'_>, base: &Base) -> Result<Vec<Change>, Error> {
    let (path, found, seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut comparison = Comparison { base, path, alone: None, found, seen };
    let mut walk = Walk::of_what_lasts(upper).map_err(|errno| cannot(b".", errno))?;
    while let Some(found) = walk.next() {
        match found {
            Found::Directory { .. } => {}
            Found::Entered { here, name } => {
                comparison.path.push(name.clone());
                comparison.directory(here).map_err(|errno| cannot(&name, errno))?;
            }
            Found::Left { .. } => comparison.leave(),
            Found::Other { at, name } => comparison.other(at, &name).map_err(|errno| cannot(&name, errno))?,
            Found::Trouble { name, errno } => return Err(cannot(&name, errno)),
        }
    }
    comparison.missing();
    let mut changes = comparison.found;
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(changes)
}

fn cannot(name: &[u8], errno: Errno) -> Error {
    let attempt = format!("look at `{}` of the sandbox", escaped(name));
    Error::from(Failure { step: None, attempt, errno: errno as i32, hint: None })
}

struct Comparison<'b> {
    base: &'b Base,
    /// Of the directory at hand.
    path: Vec<Vec<u8>>,
    /// From that depth on the base has nothing: it is not asked, as each time it would be from its root on.
    alone: Option<usize>,
    found: Vec<Change>,
    /// Of what was given, what is there.
    seen: BTreeSet<Vec<u8>>,
}

fn kind(found: &FileStat) -> u32 {
    found.st_mode & libc::S_IFMT
}

impl Comparison<'_> {
    fn note(&mut self, path: Vec<u8>, how: How, kind: u32) {
        self.found.push(Change { path, how, kind });
    }

    /// What the layers have there.
    fn lookup(&self, path: &[u8]) -> nix::Result<Option<FileStat>> {
        if self.alone.is_some() { Ok(None) } else { self.base.lookup(path) }
    }

    fn leave(&mut self) {
        self.alone = self.alone.filter(|depth| *depth < self.path.len());
        self.path.pop();
    }

    fn directory(&mut self, here: BorrowedFd<'_>) -> nix::Result<()> {
        let path = self.path.join(&b'/');
        let now = fstat(here)?;
        self.seen.insert(path.clone());
        let was = match self.base.given.get(&path) {
            Some(Given { item: Item::Directory(mode), .. }) => Some(libc::S_IFDIR | mode),
            Some(_) => Some(0),
            None => self.lookup(&path)?.map(|found| found.st_mode),
        };
        match was {
            None => {
                self.alone.get_or_insert(self.path.len());
                self.note(path.clone(), How::Added, libc::S_IFDIR);
            }
            Some(mode) if mode & (libc::S_IFMT | MODE) == now.st_mode & (libc::S_IFMT | MODE) => {}
            Some(_) => self.note(path.clone(), How::Changed, libc::S_IFDIR),
        }
        if was.is_some() && is_opaque(here)? {
            for name in self.base.names(&path)? {
                let below = [path.as_slice(), &name].join(&b'/');
                let gone = fstatat(here, &name[..], AtFlags::AT_SYMLINK_NOFOLLOW) == Err(Errno::ENOENT);
                if gone && self.base.has(&below)? {
                    self.note(below, How::Deleted, 0);
                }
            }
        }
        Ok(())
    }

    fn other(&mut self, at: BorrowedFd<'_>, name: &[u8]) -> nix::Result<()> {
        self.path.push(name.to_vec());
        let path = self.path.join(&b'/');
        self.path.pop();
        let now = fstatat(at, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        self.seen.insert(path.clone());
        // overlayfs: "a whiteout is created as a character device with 0/0 device number".
        if kind(&now) == libc::S_IFCHR && now.st_rdev == 0 {
            if self.base.given.contains_key(&path) || self.lookup(&path)?.is_some() {
                self.note(path, How::Deleted, 0);
            }
            return Ok(());
        }
        let how = match self.base.given.get(&path) {
            Some(given) if given.inside && is_as_given(at, name, &now, &given.item)? => return Ok(()),
            Some(_) => How::Changed,
            None if self.lookup(&path)?.is_some() => How::Changed,
            None => How::Added,
        };
        self.note(path, how, kind(&now));
        Ok(())
    }

    /// What was given in the layer itself and is there no more; of a directory only itself.
    fn missing(&mut self) {
        let is_there = |path: &[u8]| path.is_empty() || self.seen.contains(path);
        let gone: Vec<Vec<u8>> = self
            .base
            .given
            .iter()
            .filter(|(path, given)| given.inside && !is_there(path) && is_there(parent(path)))
            .map(|(path, _)| path.clone())
            .collect();
        gone.into_iter().for_each(|path| self.note(path, How::Deleted, 0));
    }
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').and_then(|at| path.get(..at)).unwrap_or_default()
}

fn is_as_given(at: BorrowedFd<'_>, name: &[u8], now: &FileStat, item: &Item) -> nix::Result<bool> {
    Ok(match item {
        Item::Directory(_) => false,
        Item::Link(target) => kind(now) == libc::S_IFLNK && readlinkat(at, name)?.as_bytes() == target.as_slice(),
        Item::File(content) if kind(now) == libc::S_IFREG && now.st_size as usize == content.len() => {
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            let mut read = Vec::new();
            match openat(at, name, flags, Mode::empty()) {
                // Somebody has taken the right to read away.
                Err(Errno::EACCES) => return Ok(false),
                opened => {
                    let length = content.len() as u64;
                    let taken = File::from(opened?).take(length).read_to_end(&mut read);
                    taken.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
                }
            }
            read == *content
        }
        Item::File(_) => false,
    })
}

impl Base {
    /// Whether there is anything by that path.
    ///
    /// # Errors
    ///
    /// Those of fstatat(2) and openat(2) in a layer.
    pub fn has(&self, path: &[u8]) -> nix::Result<bool> {
        Ok(self.given.contains_key(path) || self.lookup(path)?.is_some())
    }

    /// What the layers have by that path, as an overlay of them shows it.
    fn lookup(&self, path: &[u8]) -> nix::Result<Option<FileStat>> {
        let mut found = None;
        self.descend(path, &mut |_, _, stat| {
            found = Some(stat);
            true
        })?;
        Ok(found)
    }

    /// The names that the layers, and what is given, have in a directory.
    fn names(&self, path: &[u8]) -> nix::Result<BTreeSet<Vec<u8>>> {
        let below = |given: &&Vec<u8>| parent(given) == path;
        let name = |given: &Vec<u8>| given.get(path.len() + 1..).unwrap_or_default().to_vec();
        let mut names: BTreeSet<Vec<u8>> = self.given.keys().filter(below).map(name).collect();
        let mut failed = None;
        self.descend(path, &mut |at, name, stat| {
            if kind(&stat) != libc::S_IFDIR {
                return true;
            }
            match list(at, name) {
                Ok(more) => names.extend(more),
                Err(errno) => failed = Some(errno),
            }
            failed.is_some()
        })?;
        failed.map_or(Ok(names), Err)
    }

    /// Tells `visit` what each layer has by that path, from the top, until it has had enough or a layer hides those below.
    fn descend(&self, path: &[u8], visit: &mut dyn FnMut(BorrowedFd<'_>, &[u8], FileStat) -> bool) -> nix::Result<()> {
        for layer in self.layers.iter().rev() {
            let mut hides = is_opaque(layer.as_fd())?;
            let mut at: OwnedFd = layer.as_fd().try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
            let mut parts = path.split(|byte| *byte == b'/').peekable();
            while let Some(name) = parts.next() {
                let stat = match fstatat(&at, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                    Err(Errno::ENOENT) => break,
                    stat => stat?,
                };
                if kind(&stat) == libc::S_IFCHR && stat.st_rdev == 0 {
                    return Ok(());
                }
                let directory = kind(&stat) == libc::S_IFDIR;
                if parts.peek().is_none() && visit(at.as_fd(), name, stat) || !directory {
                    return Ok(());
                }
                let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                at = openat(&at, name, flags, Mode::empty())?;
                hides |= is_opaque(at.as_fd())?;
            }
            if hides {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn list(at: BorrowedFd<'_>, name: &[u8]) -> nix::Result<Vec<Vec<u8>>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = openat(at, name, flags, Mode::empty())?;
    let errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    let entries = std::fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd())).map_err(errno)?;
    entries.map(|entry| Ok(entry.map_err(errno)?.file_name().as_bytes().to_vec())).collect()
}
