//! Whether a layer on disk is still what its archive says.
//!
//! The archive is read once, into a list of what unpacking it makes: names, types, modes, links, attributes, and a
//! digest of each content. Then the tree is walked through and compared with it, entry by entry. Times and owners are
//! not compared. The digests are keyed with a secret of this run, so that nobody can prepare another content for them.

mod content;
mod listing;
#[cfg(test)]
mod tests;

use crate::sys::xattr;
use crate::trees::tree::{Found, Walk};
use crate::trees::unpack::archive::Archive;
use crate::trees::unpack::entry::{Entry, What};
use crate::trees::unpack::{Bounds, Refusal, escaped};
use content::Content;
use listing::{Kind, Listing, Node};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstatat};
use std::collections::HashMap;
use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::hash::RandomState;
use std::io::Read;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;

/// In what a layer differs from its archive. The first that was found; there may be others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The archive has it and the disk does not.
    Missing(String),
    /// The disk has it and the archive does not.
    Extra(String),
    /// Both have it.
    Changed {
        /// Where.
        path: String,
        /// How it differs.
        how: String,
    },
    /// They cannot be compared.
    Unreadable(Refusal),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Missing(path) => write!(f, "`{path}` is missing"),
            Difference::Extra(path) => write!(f, "`{path}` is not of the layer"),
            Difference::Changed { path, how } => write!(f, "`{path}` {how}"),
            Difference::Unreadable(refusal) => write!(f, "cannot compare: {refusal}"),
        }
    }
}

impl std::error::Error for Difference {}

impl From<Refusal> for Difference {
    fn from(refusal: Refusal) -> Self {
        Difference::Unreadable(refusal)
    }
}

/// Compares what [`unpack`](super::unpack::unpack) has made in `directory` of the archive `tar` with the archive, which is
/// read to its end.
pub fn compare(tar: &mut (dyn Read + Send), directory: BorrowedFd<'_>) -> Result<(), Difference> {
    let key = RandomState::new();
    let listing = read_archive(tar, &key)?;
    Comparison { listing, key, inodes: HashMap::new(), buffer: vec![0; BUFFER] }.run(directory)
}

const BUFFER: usize = 256 << 10;

fn read_archive(tar: &mut (dyn Read + Send), key: &RandomState) -> Result<Listing, Refusal> {
    let mut archive = Archive::new(tar);
    let mut listing = Listing::new();
    let bounds = Bounds::default();
    let mut buffer = vec![0; BUFFER];
    let mut left = bounds.entries;
    while let Some(member) = archive.next()? {
        let name = member.name.clone();
        let size = member.stored;
        left = left.checked_sub(1).ok_or_else(|| Refusal::new("the layer has too many entries to compare"))?;
        let entry = Entry::new(member, &bounds)?;
        let content = match &entry.what {
            What::File(map) => {
                let mut content = Content::new(key);
                let whole = [(0, size)];
                for (offset, length) in map.as_ref().map_or(&whole[..], |map| &map.parts) {
                    content.skip_to(*offset);
                    let mut left = *length;
                    while left > 0 {
                        let piece = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                        let count = archive.read(&mut buffer[..piece]).map_err(|refusal| refusal.about(&name))?;
                        content.write(&buffer[..count]);
                        left -= count as u64;
                    }
                }
                (map.as_ref().map_or(size, |map| map.size), content.digest())
            }
            _ => (0, 0),
        };
        listing.add(entry, content).map_err(|refusal| refusal.about(&name))?;
    }
    listing.tidy();
    Ok(listing)
}

struct Comparison {
    listing: Listing,
    key: RandomState,
    /// Inodes with several names, and which file of the archive each is.
    inodes: HashMap<(u64, u64), usize>,
    buffer: Vec<u8>,
}

impl Comparison {
    fn run(mut self, directory: BorrowedFd<'_>) -> Result<(), Difference> {
        let mut path = Vec::new();
        let mut walk = Walk::new(directory).map_err(|errno| unreadable("the directory of the layer", b"", errno))?;
        self.check_directory(directory, &path)?;
        self.check_attributes(directory, &path)?;
        while let Some(found) = walk.next() {
            match found {
                Found::Directory { at, name } | Found::Other { at, name } => {
                    self.check(at, &name, &join(&path, &name))?
                }
                Found::Entered { here, name } => {
                    path = join(&path, &name);
                    self.check_attributes(here, &path)?;
                }
                Found::Left { name, .. } => path.truncate(path.len().saturating_sub(name.len() + 1)),
                Found::Trouble { name, errno } => return Err(unreadable("it", &join(&path, &name), errno)),
            }
        }
        match self.listing.unseen() {
            Some(path) => Err(Difference::Missing(escaped(path))),
            None => Ok(()),
        }
    }

    /// An entry of a directory.
    fn check(&mut self, at: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<(), Difference> {
        let found = fstatat(at, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|errno| unreadable("it", path, errno))?;
        let Some(id) = self.listing.see(path) else { return Err(Difference::Extra(escaped(path))) };
        let node = self.listing.node(id);
        self.check_inode(node, &found, path)?;
        let first = self.check_names(id, &found, path)?;
        let node = self.listing.node(id);
        match &node.kind {
            Kind::File { size, digest } if first => {
                if i128::from(found.st_size) != i128::from(*size) {
                    return Err(changed(path, format!("has {} bytes in place of {size}", found.st_size)));
                }
                let digest = *digest;
                let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
                let file = openat(at, name, flags, Mode::empty()).map_err(|errno| unreadable("it", path, errno))?;
                self.check_attributes(file.as_fd(), path)?;
                let found = content::of_file(&mut File::from(file), &self.key, &mut self.buffer)
                    .map_err(|errno| unreadable("it", path, errno))?;
                if found != digest {
                    return Err(changed(path, "has another content"));
                }
            }
            Kind::Symlink(target) => {
                let there = readlinkat(at, name).map_err(|errno| unreadable("it", path, errno))?;
                if there.as_bytes() != target.as_bytes() {
                    return Err(changed(path, format!("leads to `{}`", escaped(there.as_bytes()))));
                }
            }
            Kind::File { .. } | Kind::Directory { .. } | Kind::Fifo | Kind::Whiteout => {}
        }
        Ok(())
    }

    /// The directory of the layer itself.
    fn check_directory(&self, directory: BorrowedFd<'_>, path: &[u8]) -> Result<(), Difference> {
        let found = nix::sys::stat::fstat(directory).map_err(|errno| unreadable("it", path, errno))?;
        self.check_inode(self.listing.root(), &found, path)
    }

    /// Type and mode.
    fn check_inode(&self, node: &Node, found: &FileStat, path: &[u8]) -> Result<(), Difference> {
        let expected = node.kind.in_words();
        let there = match found.st_mode & libc::S_IFMT {
            libc::S_IFREG => "a file",
            libc::S_IFDIR => "a directory",
            libc::S_IFLNK => "a symbolic link",
            libc::S_IFIFO => "a fifo",
            libc::S_IFCHR if found.st_rdev == 0 => "a whiteout",
            libc::S_IFCHR | libc::S_IFBLK => "a device",
            libc::S_IFSOCK => "a socket",
            _ => "something unknown",
        };
        if there != expected {
            return Err(changed(path, format!("is {there} in place of {expected}")));
        }
        let mode = found.st_mode & 0o7777;
        match node.mode {
            Some(expected) if mode != expected => {
                Err(changed(path, format!("has mode {mode:o} in place of {expected:o}")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Names of one file are names of one inode, and names of two files are not. Whether it is the first one seen.
    fn check_names(&mut self, id: usize, found: &FileStat, path: &[u8]) -> Result<bool, Difference> {
        if self.listing.node(id).kind.is_directory() {
            return Ok(true);
        }
        let inode = (found.st_dev, found.st_ino);
        let one = self.listing.first_inode(id, inode) == inode;
        if !one || (found.st_nlink > 1 && *self.inodes.entry(inode).or_insert(id) != id) {
            return Err(changed(path, "is another hard link than in the archive"));
        }
        Ok(self.listing.first_name(id))
    }

    /// Attributes of the user's, those of overlayfs among them, are those of the archive, and no others.
    fn check_attributes(&mut self, fd: BorrowedFd<'_>, path: &[u8]) -> Result<(), Difference> {
        let Some(node) = self.listing.at(path) else { return Ok(()) };
        let length = match xattr::list(fd, &mut self.buffer) {
            Ok(length) => length,
            Err(libc::EOPNOTSUPP) => 0,
            Err(errno) => return Err(unreadable("its attributes", path, Errno::from_raw(errno))),
        };
        let names = self.buffer[..length].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user."));
        let names: Vec<_> = names.filter_map(|name| CString::new(name).ok()).collect();
        for name in &names {
            let shown = escaped(name.to_bytes());
            let length = xattr::get(fd, name, &mut self.buffer)
                .map_err(|errno| unreadable("its attributes", path, Errno::from_raw(errno)))?;
            match node.attributes.get(name) {
                Some(value) if value[..] == self.buffer[..length] => {}
                Some(_) => return Err(changed(path, format!("has another value of the attribute `{shown}`"))),
                None => return Err(changed(path, format!("has the attribute `{shown}`, which is not of the layer"))),
            }
        }
        match node.attributes.keys().find(|name| !names.contains(name)) {
            Some(name) => Err(changed(path, format!("has lost the attribute `{}`", escaped(name.to_bytes())))),
            None => Ok(()),
        }
    }
}

fn changed(path: &[u8], how: impl Into<String>) -> Difference {
    let path = if path.is_empty() { ".".to_owned() } else { escaped(path) };
    Difference::Changed { path, how: how.into() }
}

fn unreadable(what: &str, path: &[u8], errno: Errno) -> Difference {
    Difference::Unreadable(Refusal::kernel(format!("cannot read {what}"), errno).about(path))
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}
