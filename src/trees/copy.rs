//! The files of a sandbox for another sandbox on the same host: directory to directory, sharing blocks where the file system can (`FICLONE`),
//! else by the kernel's own copying.
//!
//! A sandbox may have made them as it liked, and nobody writes meanwhile: see [`files`](super::files). Where they go is a directory of
//! ours that nobody else has. What an overlay means by a file stays so; modes lose the bits that lend rights, and the owner can always read
//! and enter what is copied.

use super::files::{Files, cannot, open_anyway};
use super::tree::{Found, Walk};
use super::unpack::{OPAQUE, is_opaque};
use crate::error::{Error, Failure, used_up};
use crate::sys::xattr;
use crate::trees::unpack::escaped;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstatat, mkdirat, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, Whence, fchownat, ftruncate, linkat, lseek, mkfifoat, symlinkat};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// Of a mode what is kept: the bits that lend rights are not.
const KEPT: u32 = 0o1777;
const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Copies `files` into the empty directory `into`, all of it for `owner` where there is one. Sockets are left out.
///
/// # Errors
///
/// `Setup` for what cannot be read or written.
pub fn copy(files: Files<'_>, into: BorrowedFd<'_>, owner: Option<(u32, u32)>) -> Result<(), Error> {
    let top = openat(into, ".", DIRECTORY, Mode::empty()).map_err(|errno| unwritten(b".", errno))?;
    let mut copying = Copying { top: into, here: top, path: Vec::new(), owner, linked: HashMap::new() };
    let mut walk = Walk::of_what_lasts(files.upper).map_err(|errno| cannot("look through", b".", errno))?;
    while let Some(found) = walk.next() {
        match found {
            Found::Directory { .. } => {}
            Found::Entered { here, name } => {
                copying.enter(here, &name).map_err(|errno| unwritten(&name, errno))?;
            }
            Found::Left { at, name } => copying.leave(at, &name).map_err(|errno| unwritten(&name, errno))?,
            Found::Other { at, name } => copying.other(at, &name)?,
            Found::Trouble { name, errno } => return Err(cannot("look through", &name, errno)),
        }
    }
    files.gone.iter().try_for_each(|path| copying.hide(path).map_err(|errno| unwritten(path, errno)))
}

fn unwritten(name: &[u8], errno: Errno) -> Error {
    let attempt = format!("copy `{}` of the sandbox", escaped(name));
    Error::from(Failure { step: None, attempt, errno: errno as i32, hint: used_up(errno as i32).map(str::to_owned) })
}

struct Copying<'c> {
    top: BorrowedFd<'c>,
    /// Where what is found is copied to.
    here: OwnedFd,
    /// The same from the top.
    path: Vec<Vec<u8>>,
    owner: Option<(u32, u32)>,
    /// Files with several names: device and inode, and the first of them in the copy.
    linked: HashMap<(u64, u64), Vec<u8>>,
}

impl Copying<'_> {
    fn enter(&mut self, source: BorrowedFd<'_>, name: &[u8]) -> nix::Result<()> {
        mkdirat(&self.here, name, Mode::S_IRWXU)?;
        let made = openat(&self.here, name, DIRECTORY, Mode::empty())?;
        if is_opaque(source)? {
            xattr::set(made.as_fd(), OPAQUE, b"y").map_err(Errno::from_raw)?;
        }
        self.give(name)?;
        self.here = made;
        self.path.push(name.to_vec());
        Ok(())
    }

    /// Its mode and time at the end: what is made in it changes both.
    fn leave(&mut self, source: BorrowedFd<'_>, name: &[u8]) -> nix::Result<()> {
        let found = fstatat(source, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        fchmod(&self.here, Mode::from_bits_truncate(found.st_mode & KEPT | 0o700))?;
        self.here = openat(&self.here, "..", DIRECTORY, Mode::empty())?;
        self.path.pop();
        self.set_time(name, &found)
    }

    fn other(&mut self, at: BorrowedFd<'_>, name: &[u8]) -> Result<(), Error> {
        let found = fstatat(at, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|errno| cannot("look at", name, errno))?;
        if found.st_mode & libc::S_IFMT == libc::S_IFREG {
            let mut source = match self.link(name, &found).map_err(|errno| unwritten(name, errno))? {
                true => return Ok(()),
                false => open_anyway(at, name, &found).map_err(|errno| cannot("read", name, errno))?,
            };
            return self.file(&mut source, name, &found).map_err(|errno| unwritten(name, errno));
        }
        let target = match found.st_mode & libc::S_IFMT {
            libc::S_IFLNK => Some(readlinkat(at, name).map_err(|errno| cannot("read", name, errno))?),
            _ => None,
        };
        let made = match (found.st_mode & libc::S_IFMT, &target) {
            (_, Some(target)) => symlinkat(target.as_os_str(), &self.here, name),
            // overlayfs: "a whiteout is created as a character device with 0/0 device number".
            (libc::S_IFCHR, _) if found.st_rdev == 0 => {
                mknodat(&self.here, name, SFlag::S_IFCHR, Mode::empty(), 0).map_err(|errno| unwritten(name, errno))?;
                return Ok(());
            }
            (libc::S_IFIFO, _) => mkfifoat(&self.here, name, Mode::from_bits_truncate(found.st_mode & 0o777)),
            _ => return Ok(()),
        };
        made.and_then(|()| self.give(name))
            .and_then(|()| self.set_time(name, &found))
            .map_err(|errno| unwritten(name, errno))
    }

    /// Gives a file that was copied another name; whether it was.
    fn link(&mut self, name: &[u8], found: &FileStat) -> nix::Result<bool> {
        if found.st_nlink < 2 {
            return Ok(false);
        }
        if let Some(first) = self.linked.get(&(found.st_dev, found.st_ino)) {
            linkat(self.top, first.as_slice(), &self.here, name, AtFlags::empty())?;
            return Ok(true);
        }
        let mut path = self.path.clone();
        path.push(name.to_vec());
        self.linked.insert((found.st_dev, found.st_ino), path.join(&b'/'));
        Ok(false)
    }

    fn file(&self, source: &mut File, name: &[u8], found: &FileStat) -> nix::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut made = File::from(openat(&self.here, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        if !crate::sys::fd::share_blocks(source.as_fd(), made.as_fd()) {
            content(source, &mut made, found.st_size)?;
        }
        self.give(name)?;
        fchmod(&made, Mode::from_bits_truncate(found.st_mode & KEPT | 0o400))?;
        self.set_time(name, found)
    }

    fn give(&self, name: &[u8]) -> nix::Result<()> {
        let Some((user, group)) = self.owner else { return Ok(()) };
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        fchownat(&self.here, name, Some(user), Some(group), AtFlags::AT_SYMLINK_NOFOLLOW)
    }

    fn set_time(&self, name: &[u8], found: &FileStat) -> nix::Result<()> {
        let time = TimeSpec::new(found.st_mtime, found.st_mtime_nsec);
        utimensat(&self.here, name, &TimeSpec::UTIME_OMIT, &time, UtimensatFlags::NoFollowSymlink)
    }

    /// Hides what lies below by this path, where its directory is there.
    fn hide(&self, path: &[u8]) -> nix::Result<()> {
        let mut at = openat(self.top, ".", DIRECTORY, Mode::empty())?;
        let mut parts = path.split(|byte| *byte == b'/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return mknodat(&at, part, SFlag::S_IFCHR, Mode::empty(), 0);
            }
            at = openat(&at, part, DIRECTORY, Mode::empty())?;
        }
        Ok(())
    }
}

/// What is in a file, without its holes.
fn content(source: &mut File, made: &mut File, length: i64) -> nix::Result<()> {
    let errno = |error: io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    ftruncate(&*made, length)?;
    let mut from = 0;
    while from < length {
        from = match lseek(&*source, from, Whence::SeekData) {
            // Nothing but a hole is left.
            Err(Errno::ENXIO) => return Ok(()),
            data => data?,
        };
        let hole = lseek(&*source, from, Whence::SeekHole)?.min(length);
        lseek(&*source, from, Whence::SeekSet)?;
        lseek(&*made, from, Whence::SeekSet)?;
        let mut part = io::Read::take(&*source, (hole - from).max(0) as u64);
        // Within one file system, and between some, the kernel does it alone (copy_file_range(2)).
        io::copy(&mut part, made).map_err(errno)?;
        from = hole.max(from + 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek as _, SeekFrom, Write as _};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::{Path, PathBuf};

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("belljar-copy-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn copied(from: &Path, to: &Path, gone: &[Vec<u8>]) -> Result<(), Error> {
        let (from, to) = (File::open(from).unwrap(), File::open(to).unwrap());
        copy(Files { upper: from.as_fd(), gone }, to.as_fd(), None)
    }

    #[test]
    fn a_copy_has_the_content_modes_times_links_and_holes() {
        let (from, to) = (scratch("from"), scratch("to"));
        std::fs::create_dir_all(from.join("a/b")).unwrap();
        std::fs::write(from.join("a/b/f"), "content").unwrap();
        std::fs::set_permissions(from.join("a/b/f"), std::fs::Permissions::from_mode(0o4751)).unwrap();
        std::fs::hard_link(from.join("a/b/f"), from.join("a/hard")).unwrap();
        symlink("/etc/passwd", from.join("a/link")).unwrap();
        let mut sparse = File::create(from.join("sparse")).unwrap();
        sparse.write_all(b"begin").unwrap();
        sparse.seek(SeekFrom::Start(50 << 20)).unwrap();
        sparse.write_all(b"end").unwrap();
        std::fs::set_permissions(from.join("a/b"), std::fs::Permissions::from_mode(0o1711)).unwrap();
        copied(&from, &to, &[]).unwrap();
        let look = |path: &str| std::fs::symlink_metadata(to.join(path)).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("a/hard")).unwrap(), "content");
        assert_eq!((look("a/b/f").mode() & 0o7777, look("a/b/f").nlink()), (0o751, 2));
        assert_eq!(look("a/b").mode() & 0o7777, 0o1711);
        assert_eq!(look("a/b").mtime_nsec(), std::fs::metadata(from.join("a/b")).unwrap().mtime_nsec());
        assert_eq!(std::fs::read_link(to.join("a/link")).unwrap(), Path::new("/etc/passwd"));
        assert_eq!(look("sparse").len(), (50 << 20) + 3);
        assert!(look("sparse").blocks() * 512 < 1 << 20, "{}", look("sparse").blocks());
        assert!(std::fs::read(to.join("sparse")).unwrap().ends_with(b"\0end"));
        [from, to].iter().for_each(|path| std::fs::remove_dir_all(path).unwrap());
    }

    #[test]
    fn deep_trees_are_copied_and_nothing_is_followed_on_the_way_to_what_is_gone() {
        let (from, to) = (scratch("deep-from"), scratch("deep-to"));
        let mut at = OwnedFd::from(File::open(&from).unwrap());
        for _ in 0..3000 {
            mkdirat(&at, "d", Mode::S_IRWXU).unwrap();
            at = openat(&at, "d", DIRECTORY, Mode::empty()).unwrap();
        }
        symlink("/tmp", from.join("link")).unwrap();
        copied(&from, &to, &[]).unwrap();
        let mut depth = 0;
        let mut at = OwnedFd::from(File::open(&to).unwrap());
        while let Ok(below) = openat(&at, "d", DIRECTORY, Mode::empty()) {
            (at, depth) = (below, depth + 1);
        }
        assert_eq!(depth, 3000);
        let other = scratch("gone");
        let error = copied(&from, &other, &[b"link/x".to_vec()]).unwrap_err();
        assert!(error.to_string().starts_with("copy `link/x` of the sandbox"), "{error}");
        for path in [from, to, other] {
            let parent = File::open(path.parent().unwrap()).unwrap();
            crate::trees::tree::remove(parent.as_fd(), path.file_name().unwrap()).unwrap();
        }
    }
}
