//! Directories of a layer that take the place of a link of a lower one.
//!
//! A layer whose archive has `lib/x`, above a layer in which `lib` is a link to `usr/lib`, does not put `x` into `usr/lib`: its own
//! directory `lib` hides the link, and with it everything that was found through it. The image specification wants it so, container
//! engines do the same, and an image that was built on another base than it is given breaks by it. So it is told.

use super::digest::Digest;
use super::store::{Store, refused};
use crate::error::Error;
use crate::sys::directory::entries;
use crate::trees::unpack::is_opaque;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Links that matter are near the root; whoever makes deeper trees makes no sense of them.
const DEPTH: usize = 64;

/// A link that is hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Where it is, from the root.
    pub path: PathBuf,
    /// Where it leads.
    pub target: PathBuf,
    /// The layer whose directory hides it, counted from 1.
    pub layer: usize,
}

/// The links that layers hide, the lowest layer first.
///
/// # Errors
///
/// `Setup`, where a tree cannot be read.
pub fn shadows(store: &Store, layers: &[Digest]) -> Result<Vec<Shadow>, Error> {
    let mut trees = Vec::new();
    let mut found = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let path = store.layer(layer);
        let tree = File::open(&path).map_err(|error| refused(format!("open `{}`", path.display()), &error))?;
        let below: Vec<BorrowedFd<'_>> = trees.iter().rev().map(OwnedFd::as_fd).collect();
        let mut search = Search { layer: index + 1, found: &mut found };
        search
            .directory(tree.as_fd(), &below, Path::new(""), 0)
            .map_err(|errno| refused(format!("read `{}`", path.display()), &errno.into()))?;
        trees.push(OwnedFd::from(tree));
    }
    Ok(found)
}

struct Search<'f> {
    layer: usize,
    found: &'f mut Vec<Shadow>,
}

impl Search<'_> {
    /// Looks into a directory of the layer; `below`: the same of lower layers that are seen through it, the highest first.
    fn directory(
        &mut self,
        above: BorrowedFd<'_>,
        below: &[BorrowedFd<'_>],
        path: &Path,
        depth: usize,
    ) -> nix::Result<()> {
        if below.is_empty() || depth == DEPTH {
            return Ok(());
        }
        for name in directories(above)? {
            let name = OsStr::from_bytes(&name);
            // What cannot be entered cannot be entered by a sandbox either.
            let Ok(own) = enter(above, name) else { continue };
            // It hides everything below on purpose.
            if is_opaque(own.as_fd())? {
                continue;
            }
            let mut seen = Vec::new();
            for lower in below {
                let Ok(status) = fstatat(lower, name, AtFlags::AT_SYMLINK_NOFOLLOW) else { continue };
                let kind = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT;
                if kind == SFlag::S_IFLNK && seen.is_empty() {
                    let target = readlinkat(lower, name)?.into();
                    self.found.push(Shadow { path: Path::new("/").join(path).join(name), target, layer: self.layer });
                }
                let entered = if kind == SFlag::S_IFDIR { enter(*lower, name).ok() } else { None };
                // A file, a link or a whiteout ends what is seen of lower layers.
                let Some(entered) = entered else { break };
                let ends = is_opaque(entered.as_fd())?;
                seen.push(entered);
                if ends {
                    break;
                }
            }
            let seen: Vec<BorrowedFd<'_>> = seen.iter().map(OwnedFd::as_fd).collect();
            self.directory(own.as_fd(), &seen, &path.join(name), depth + 1)?;
        }
        Ok(())
    }
}

fn enter(directory: BorrowedFd<'_>, name: &OsStr) -> nix::Result<OwnedFd> {
    openat(directory, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
}

/// Names of directories in a directory, in order; where the file system does not tell kinds, of everything.
fn directories(directory: BorrowedFd<'_>) -> nix::Result<Vec<Vec<u8>>> {
    let may_be = |(_, kind): &(Vec<u8>, u8)| matches!(*kind, nix::libc::DT_DIR | nix::libc::DT_UNKNOWN);
    let mut names: Vec<_> = entries(directory)?.into_iter().filter(may_be).map(|(name, _)| name).collect();
    names.sort_unstable();
    Ok(names)
}
