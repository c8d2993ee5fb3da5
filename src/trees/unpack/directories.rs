//! The directories of a layer, and the way to them.
//!
//! Entries come directory by directory, so those on the way to the last entry stay open, and the next costs no lookup.
//! Whatever changes is in the innermost of them. So each one's time is known when it is opened, and put back when it is
//! left: no list of directories grows in memory.

use super::Owner;
use super::attributes::{describe, give, set_mode, set_opaque, set_time};
use super::entry::Entry;
use super::names::split;
use super::pax::Time;
use super::refusal::Refusal;
use crate::name::escaped;
use crate::sys::directory::{first, open_beneath, read};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// So many stay open; deeper down, those that were entered first are closed.
const MOST_OPEN: usize = 64;

/// The mode of directories that the archive has no entry for.
const UNNAMED: u32 = 0o755;

/// What the owner of a directory needs, to fill it.
const OWNERS: u32 = 0o700;
/// Bytes for directories that deny their owner something.
const MOST_REMEMBERED: usize = 32 << 20;

/// The way from the root of the layer to one of its directories.
pub struct Directories {
    /// Each lies below the one before it; the first is the root.
    open: Vec<Open>,
    /// The innermost, from the root.
    path: Vec<u8>,
    owner: Owner,
    /// How many more entries there may be, those counted that were made without one.
    left: u64,
    most: u64,
    some_opaque: bool,
    /// Directories that deny their owner something, and their modes: closed at the end, since more may come into them.
    closed: Vec<(Vec<u8>, u32)>,
    /// Bytes of their paths.
    remembered: usize,
}

struct Open {
    fd: OwnedFd,
    /// The first bytes of `path` that lead here.
    length: usize,
    /// To be put back when it is left.
    time: Time,
    changed: bool,
}

impl Directories {
    /// Begins at the root, which must be empty: what is there already is nothing that we could vouch for.
    pub fn new(root: BorrowedFd<'_>, owner: Owner, most: u64) -> Result<Directories, Refusal> {
        let unusable = |errno| Refusal::kernel("cannot unpack into the directory", errno);
        let root = open_beneath(root, b".").map_err(unusable)?;
        give(root.as_fd(), owner)?;
        if !is_empty(root.as_fd()).map_err(unusable)? {
            return Err(Refusal::new("the directory to unpack into is not empty"));
        }
        let open = vec![Open::new(root, 0)?];
        Ok(Directories {
            open,
            path: Vec::new(),
            owner,
            left: most,
            most,
            some_opaque: false,
            closed: Vec::new(),
            remembered: 0,
        })
    }

    /// One entry more.
    pub fn count(&mut self) -> Result<(), Refusal> {
        let too_many = || Refusal::new(format!("the layer has more than {} files, directories and links", self.most));
        self.left = self.left.checked_sub(1).ok_or_else(too_many)?;
        Ok(())
    }

    /// The innermost directory.
    pub fn here(&self) -> BorrowedFd<'_> {
        self.innermost().fd.as_fd()
    }

    /// The root of the layer.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.open[0].fd.as_fd()
    }

    /// Whether any hides what lower layers have in it.
    pub fn some_opaque(&self) -> bool {
        self.some_opaque
    }

    /// Says that something was made or removed here.
    pub fn changed(&mut self) {
        let last = self.open.len() - 1;
        self.open[last].changed = true;
    }

    /// Goes to the directory `path`, and makes what is missing of it.
    pub fn enter(&mut self, path: &[u8]) -> Result<(), Refusal> {
        while !leads_to(&self.path, path) {
            self.leave_one()?;
        }
        if self.path.len() == path.len() {
            return Ok(());
        }
        match open_beneath(self.here(), below(path, self.path.len())) {
            Ok(fd) => self.push(fd, path.len(), path),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => self.enter_one_by_one(path),
            Err(errno) => Err(unreachable(path, errno)),
        }
    }

    /// Makes the directory of an entry, or updates the one that is there.
    pub fn make(&mut self, entry: &Entry) -> Result<(), Refusal> {
        let (parent, name) = split(&entry.path);
        self.enter(parent)?;
        let here = if name.is_empty() { Ok(None) } else { self.make_here(name).map(Some) }?;
        let fd = match &here {
            Some(fd) => fd.as_fd(),
            None => self.root(),
        };
        describe(fd, entry, self.owner)?;
        if entry.mode & OWNERS != OWNERS {
            set_mode(fd, entry.mode | OWNERS)?;
            self.remembered += entry.path.len() + size_of::<(Vec<u8>, u32)>();
            if self.remembered > MOST_REMEMBERED {
                return Err(Refusal::new("is one of too many directories that deny their owner something"));
            }
            self.closed.push((entry.path.clone(), entry.mode));
        }
        match here {
            // What follows usually lies in it.
            Some(fd) => self.push(fd, entry.path.len(), &entry.path),
            None => {
                self.open[0].time = entry.time;
                Ok(())
            }
        }
    }

    /// Hides what lower layers have in this directory.
    pub fn make_opaque(&mut self) -> Result<(), Refusal> {
        self.some_opaque = true;
        set_opaque(self.here())
    }

    /// Removes what stands where an entry is to be made, as tar does: a later entry replaces an earlier one, but for a
    /// directory that is not empty. Gives what it was.
    pub fn make_room(&mut self, name: &[u8]) -> Result<FileStat, Refusal> {
        let cannot = |errno| Refusal::kernel("cannot replace an earlier entry of that name", errno);
        let there = fstatat(self.here(), name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(cannot)?;
        let flags = if is_directory(&there) { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
        self.changed();
        match unlinkat(self.here(), name, flags) {
            Ok(()) => Ok(there),
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {
                Err(Refusal::new("stands where the archive has made a directory that is not empty"))
            }
            Err(errno) => Err(cannot(errno)),
        }
    }

    /// Puts back the times of all that are open.
    pub fn leave(&mut self) -> Result<(), Refusal> {
        while self.open.len() > 1 {
            self.leave_one()?;
        }
        self.open[0].put_back()?;
        self.close()
    }

    /// Gives those that deny their owner something their modes, from the innermost.
    fn close(&mut self) -> Result<(), Refusal> {
        let mut closed = std::mem::take(&mut self.closed);
        closed.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        for (path, mode) in closed {
            let (parent, name) = split(&path);
            let failed = |errno| Refusal::kernel("cannot set its mode", errno).about(&path);
            let above = open_beneath(self.root(), if parent.is_empty() { b"." } else { parent }).map_err(failed)?;
            let name = if name.is_empty() { b"." } else { name };
            match open_beneath(above.as_fd(), name) {
                Ok(fd) => set_mode(fd.as_fd(), mode).map_err(|refusal| refusal.about(&path))?,
                // A later entry has taken its place.
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Ok(())
    }

    /// The directory `name` in the innermost one, made if it is not there. A whiteout of the same name hides what lower
    /// layers have in it.
    fn make_here(&mut self, name: &[u8]) -> Result<OwnedFd, Refusal> {
        let mode = Mode::from_bits_truncate(0o700);
        let mut replaced = None;
        loop {
            match mkdirat(self.here(), name, mode) {
                Ok(()) => {
                    self.changed();
                    break;
                }
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(Refusal::kernel("cannot make the directory", errno)),
            }
            match open_beneath(self.here(), name) {
                Ok(fd) => return Ok(fd),
                Err(Errno::ENOTDIR | Errno::ELOOP) => replaced = Some(self.make_room(name)?),
                Err(errno) => return Err(Refusal::kernel("cannot open the directory", errno)),
            }
        }
        let made = self.open_new(name).map_err(|errno| Refusal::kernel("cannot open the directory", errno))?;
        if replaced.as_ref().is_some_and(is_whiteout) {
            self.some_opaque = true;
            set_opaque(made.as_fd())?;
        }
        Ok(made)
    }

    /// Opens a directory that was just made. The caller's umask may have taken our own rights from it.
    fn open_new(&self, name: &[u8]) -> nix::Result<OwnedFd> {
        match open_beneath(self.here(), name) {
            Err(Errno::EACCES) => {
                let mode = Mode::from_bits_truncate(0o700);
                fchmodat(self.here(), name, mode, FchmodatFlags::NoFollowSymlink)?;
                open_beneath(self.here(), name)
            }
            answer => answer,
        }
    }

    /// The long way: makes what is missing, and tells what stands in the way.
    fn enter_one_by_one(&mut self, path: &[u8]) -> Result<(), Refusal> {
        let ends = (self.path.len() + 1..=path.len()).filter(|at| *at == path.len() || path[*at] == b'/');
        for end in ends.collect::<Vec<_>>() {
            let (upto, name) = (&path[..end], split(&path[..end]).1);
            let fd = match open_beneath(self.here(), name) {
                Ok(fd) => fd,
                Err(Errno::ENOENT) => self.make_unnamed(name)?,
                Err(Errno::ELOOP) => {
                    return Err(Refusal::new(format!("goes through the symbolic link `{}`", escaped(upto))));
                }
                Err(Errno::ENOTDIR) => {
                    let there = fstatat(self.here(), name, AtFlags::AT_SYMLINK_NOFOLLOW);
                    if !there.is_ok_and(|there| is_whiteout(&there)) {
                        return Err(Refusal::new(format!("goes through `{}`, which is no directory", escaped(upto))));
                    }
                    self.make_unnamed(name)?
                }
                Err(errno) => return Err(unreachable(upto, errno)),
            };
            self.push(fd, end, path)?;
        }
        Ok(())
    }

    /// A directory that the archive has no entry for, or none yet.
    fn make_unnamed(&mut self, name: &[u8]) -> Result<OwnedFd, Refusal> {
        self.count()?;
        let made = self.make_here(name)?;
        give(made.as_fd(), self.owner)?;
        set_mode(made.as_fd(), UNNAMED)?;
        Ok(made)
    }

    fn innermost(&self) -> &Open {
        &self.open[self.open.len() - 1]
    }

    fn push(&mut self, fd: OwnedFd, length: usize, path: &[u8]) -> Result<(), Refusal> {
        if self.open.len() == MOST_OPEN {
            self.open.remove(1).put_back()?;
        }
        self.open.push(Open::new(fd, length)?);
        self.path.truncate(0);
        self.path.extend_from_slice(&path[..length]);
        Ok(())
    }

    fn leave_one(&mut self) -> Result<(), Refusal> {
        if self.open.len() > 1
            && let Some(left) = self.open.pop()
        {
            left.put_back()?;
        }
        self.path.truncate(self.innermost().length);
        Ok(())
    }
}

impl Open {
    fn new(fd: OwnedFd, length: usize) -> Result<Open, Refusal> {
        let found = fstat(fd.as_fd()).map_err(|errno| Refusal::kernel("cannot look at its directory", errno))?;
        let time = Time { seconds: found.st_mtime, nanoseconds: found.st_mtime_nsec as u32 };
        Ok(Open { fd, length, time, changed: false })
    }

    fn put_back(&self) -> Result<(), Refusal> {
        if !self.changed {
            return Ok(());
        }
        set_time(self.fd.as_fd(), self.time)
            .map_err(|errno| Refusal::kernel("cannot set the time of its directory", errno))
    }
}

fn is_empty(directory: BorrowedFd<'_>) -> nix::Result<bool> {
    let mut buffer = [0; 4096];
    let length = read(directory, &mut buffer).map_err(Errno::from_raw)?;
    let mut records = &buffer[..length];
    while let Some((name, _, rest)) = first(records) {
        if !matches!(name, b"." | b"..") {
            return Ok(false);
        }
        records = rest;
    }
    Ok(true)
}

pub fn is_directory(found: &FileStat) -> bool {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
}

/// A whiteout of overlayfs: the character device 0:0. No entry of an archive becomes one but by its name.
pub fn is_whiteout(found: &FileStat) -> bool {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR && found.st_rdev == 0
}

fn unreachable(path: &[u8], errno: Errno) -> Refusal {
    let refusal = Refusal::kernel(format!("cannot open `{}`", escaped(path)), errno);
    match errno {
        Errno::ENOSYS | Errno::EPERM => {
            refusal.hint("openat2(2) is needed: in a container, allow it in the seccomp profile of the engine")
        }
        _ => refusal,
    }
}

/// Whether the directory `outer` is `path` or lies on the way to it.
fn leads_to(outer: &[u8], path: &[u8]) -> bool {
    outer.is_empty() || path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// What is left of `path` behind its first `length` bytes and a slash.
fn below(path: &[u8], length: usize) -> &[u8] {
    if length == 0 { path } else { &path[length + 1..] }
}
