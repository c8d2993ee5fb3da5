//! A walk through a tree, directory by directory, by descriptors.
//!
//! A directory is read to its end before any directory in it is entered, so that one buffer serves, and only names wait.
//! The innermost directories stay open. The way back to one that was closed is `..`, and somebody may have moved what was
//! left: it must be the very directory that was entered.
//!
//! Directories that deny their owner something are opened up to walk through them, and closed again behind us.

use crate::sys::directory::{first, open_beneath, read};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, fchmod, fchmodat, fstat, fstatat};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// So many directories stay open.
const MOST_OPEN: usize = 32;
const BUFFER: usize = 32 << 10;

/// One step of a walk. `at` is the directory that has `name`.
pub enum Found<'w> {
    /// A directory, before what is in it.
    Directory { at: BorrowedFd<'w>, name: Vec<u8> },
    /// The same directory, once it is open; `here` is what it is.
    Entered { here: BorrowedFd<'w>, name: Vec<u8> },
    /// Anything else.
    Other { at: BorrowedFd<'w>, name: Vec<u8> },
    /// A directory, after what is in it.
    Left { at: BorrowedFd<'w>, name: Vec<u8> },
    /// A directory that cannot be opened or read; its name is empty where it is the one that the walk began at. The walk
    /// goes on beside it, if it can.
    Trouble { name: Vec<u8>, errno: Errno },
}

/// A walk. Whoever gets a [`Found`] may remove it at once.
pub struct Walk {
    /// From the top to the innermost; empty when there is no way on.
    levels: Vec<Level>,
    /// What the owner must be allowed in each directory.
    needed: u32,
    /// Whether what belongs to processes alone is passed over.
    lasting: bool,
    /// Entries of the innermost directory that were read and not yet told: `buffer[start..end]`.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The innermost directory may have more.
    reading: bool,
}

struct Level {
    /// None while it is closed.
    fd: Option<OwnedFd>,
    /// Device and inode.
    identity: (u64, u64),
    /// In the directory above.
    name: Vec<u8>,
    /// Directories in it that are still to be entered.
    waiting: Vec<Vec<u8>>,
    /// What it allowed before it was opened up.
    closed: Option<u32>,
}

impl Walk {
    /// Through a directory that stays as it is.
    pub fn new(top: BorrowedFd<'_>) -> nix::Result<Walk> {
        Walk::begin(top, b".", 0o500)
    }

    /// The same through the files of a sandbox, but for what belongs to its sessions: they are processes, and no copy has them.
    pub fn of_what_lasts(top: BorrowedFd<'_>) -> nix::Result<Walk> {
        let mut walk = Walk::new(top)?;
        walk.lasting = true;
        Ok(walk)
    }

    /// Through the directory `name` of `parent`, where everything is to be removed.
    pub fn to_remove(parent: BorrowedFd<'_>, name: &[u8]) -> nix::Result<Walk> {
        Walk::begin(parent, name, 0o700)
    }

    fn begin(parent: BorrowedFd<'_>, name: &[u8], needed: u32) -> nix::Result<Walk> {
        let top = Level::open(parent, name, needed)?;
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Ok(Walk { levels: vec![top], needed, lasting: false, buffer, start: 0, end: 0, reading: true })
    }

    /// The next step; none at the end.
    pub fn next(&mut self) -> Option<Found<'_>> {
        loop {
            let depth = self.levels.len().checked_sub(1)?;
            if self.reading {
                match self.read(depth) {
                    Ok(Some((name, true))) => {
                        self.levels[depth].waiting.push(name.clone());
                        return self.levels[depth].here().map(|at| Found::Directory { at, name });
                    }
                    Ok(Some((name, false))) => return self.levels[depth].here().map(|at| Found::Other { at, name }),
                    Ok(None) => self.reading = false,
                    Err(errno) => {
                        self.reading = false;
                        return Some(Found::Trouble { name: self.levels[depth].name.clone(), errno });
                    }
                }
            } else if let Some(name) = self.levels[depth].waiting.pop() {
                return match self.enter(depth, &name) {
                    Ok(()) => self.levels[depth + 1].here().map(|here| Found::Entered { here, name }),
                    Err(errno) => Some(Found::Trouble { name, errno }),
                };
            } else if depth == 0 {
                return None;
            } else {
                return match self.leave() {
                    Ok(name) => self.levels[depth - 1].here().map(|at| Found::Left { at, name }),
                    Err((name, errno)) => {
                        // There is no way back.
                        self.levels.clear();
                        Some(Found::Trouble { name, errno })
                    }
                };
            }
        }
    }

    /// The next entry of the innermost directory, and whether it is a directory.
    fn read(&mut self, depth: usize) -> nix::Result<Option<(Vec<u8>, bool)>> {
        let here = self.levels[depth].here().ok_or(Errno::EBADF)?;
        loop {
            let Some((name, kind, rest)) = first(&self.buffer[self.start..self.end]) else {
                (self.start, self.end) = (0, read(here, &mut self.buffer).map_err(Errno::from_raw)?);
                if self.end == 0 {
                    return Ok(None);
                }
                continue;
            };
            let name = name.to_vec();
            self.start = self.end - rest.len();
            let is_directory = match kind {
                _ if matches!(&name[..], b"." | b"..") => continue,
                libc::DT_UNKNOWN => match fstatat(here, &name[..], AtFlags::AT_SYMLINK_NOFOLLOW) {
                    Ok(found) => found.st_mode & libc::S_IFMT == libc::S_IFDIR,
                    Err(Errno::ENOENT) => continue,
                    Err(errno) => return Err(errno),
                },
                kind => kind == libc::DT_DIR,
            };
            let in_tmp = depth == 1 && self.levels.get(1).is_some_and(|level| level.name == b"tmp");
            if self.lasting && is_directory && in_tmp && is_place_of_sessions(&name) {
                continue;
            }
            return Ok(Some((name, is_directory)));
        }
    }

    fn enter(&mut self, depth: usize, name: &[u8]) -> nix::Result<()> {
        let here = self.levels[depth].here().ok_or(Errno::EBADF)?;
        let level = Level::open(here, name, self.needed)?;
        self.levels.push(level);
        if let Some(outer) = self.levels.len().checked_sub(MOST_OPEN + 1) {
            self.levels[outer].fd = None;
        }
        (self.start, self.end, self.reading) = (0, 0, true);
        Ok(())
    }

    /// Goes back to the directory above, and gives the name of the one that was left.
    fn leave(&mut self) -> Result<Vec<u8>, (Vec<u8>, Errno)> {
        let Some(left) = self.levels.pop() else { return Err((Vec::new(), Errno::ENOENT)) };
        let back = left.here().ok_or(Errno::EBADF).and_then(|from| match self.levels.last_mut() {
            Some(above) => above.reopen(from),
            None => Ok(()),
        });
        let closed = if self.needed & 0o200 == 0 { left.close_again() } else { Ok(()) };
        match back.and(closed) {
            Ok(()) => Ok(left.name),
            Err(errno) => Err((left.name, errno)),
        }
    }
}

/// `/tmp/.belljar-UID`, as the sessions inside have it.
fn is_place_of_sessions(name: &[u8]) -> bool {
    let user = name.strip_prefix(b".belljar-").unwrap_or_default();
    !user.is_empty() && user.iter().all(u8::is_ascii_digit)
}

impl Drop for Walk {
    /// Whoever stops half-way finds the modes as they were, as far as there is a way back.
    fn drop(&mut self) {
        while !self.levels.is_empty() && self.leave().is_ok() {}
    }
}

impl Level {
    fn open(parent: BorrowedFd<'_>, name: &[u8], needed: u32) -> nix::Result<Level> {
        let (fd, closed) = match open_beneath(parent, name) {
            Err(Errno::EACCES) => {
                let found = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
                let open = Mode::from_bits_truncate(found.st_mode & 0o7777 | needed);
                fchmodat(parent, name, open, FchmodatFlags::NoFollowSymlink)?;
                (open_beneath(parent, name)?, Some(found.st_mode & 0o7777))
            }
            answer => (answer?, None),
        };
        let found = fstat(fd.as_fd())?;
        let mut level =
            Level { fd: None, identity: identity(&found), name: name.to_vec(), waiting: Vec::new(), closed };
        if found.st_mode & needed != needed {
            fchmod(fd.as_fd(), Mode::from_bits_truncate(found.st_mode & 0o7777 | needed))?;
            level.closed = Some(found.st_mode & 0o7777);
        }
        level.fd = Some(fd);
        Ok(level)
    }

    fn here(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(|fd| fd.as_fd())
    }

    /// Opens it again, from a directory in it.
    fn reopen(&mut self, from: BorrowedFd<'_>) -> nix::Result<()> {
        if self.fd.is_none() {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let above = openat(from, c"..", flags, Mode::empty())?;
            if identity(&fstat(above.as_fd())?) != self.identity {
                return Err(Errno::ESTALE);
            }
            self.fd = Some(above);
        }
        Ok(())
    }

    fn close_again(&self) -> nix::Result<()> {
        match (self.here(), self.closed) {
            (Some(fd), Some(mode)) => fchmod(fd, Mode::from_bits_truncate(mode)),
            (_, None) | (None, _) => Ok(()),
        }
    }
}

fn identity(found: &FileStat) -> (u64, u64) {
    (found.st_dev, found.st_ino)
}
