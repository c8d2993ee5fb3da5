//! Whiteouts: what hides files of lower layers, as OCI writes it and as overlayfs reads it.
//!
//! Overlayfs drops a whiteout from a listing only where it merges directories. Below a directory that hides all
//! that lower layers have in it nothing is merged, and a whiteout would show as a file that cannot be opened. There is nothing left
//! to hide there, so such whiteouts are taken out again.

use super::Unpacking;
use super::attributes::{is_opaque, set_time};
use super::directories::{is_directory, is_whiteout};
use super::entry::Entry;
use super::names::split;
use super::pax::Time;
use super::refusal::Refusal;
use crate::name::escaped;
use crate::trees::tree::{Found, Walk};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{Mode, SFlag, fstat, fstatat, mknodat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::os::fd::BorrowedFd;

impl Unpacking {
    /// Hides what lower layers have of that name. An entry of this layer stays, whichever came first; if it is a directory,
    /// nothing of a lower one shows in it.
    pub(super) fn whiteout(&mut self, entry: &Entry) -> Result<(), Refusal> {
        let (parent, name) = split(&entry.path);
        self.directories.enter(parent)?;
        match make_whiteout(self.directories.here(), name) {
            Ok(()) => {
                self.whiteouts = true;
                self.directories.changed();
                self.describe_closed(entry)
            }
            Err(Errno::EEXIST) => {
                let there = fstatat(self.directories.here(), name, AtFlags::AT_SYMLINK_NOFOLLOW)
                    .map_err(|errno| Refusal::kernel("cannot look at what it hides", errno))?;
                if !is_directory(&there) {
                    return Ok(());
                }
                self.directories.enter(&entry.path)?;
                self.directories.make_opaque()
            }
            Err(errno) => Err(Refusal::kernel("cannot make a whiteout", errno)
                .hint("keep images on ext4, xfs, btrfs or tmpfs; in a container, on a volume")),
        }
    }

    /// Takes out the whiteouts that have nothing to hide.
    pub(super) fn tidy(&self) -> Result<(), Refusal> {
        if !self.whiteouts || !self.directories.some_opaque() {
            return Ok(());
        }
        let cannot = |errno| Refusal::kernel("cannot look through what was unpacked", errno);
        let root = self.directories.root();
        // Whether each directory on the way, from the root, lies in one that hides everything, or is one.
        let mut hidden = vec![is_opaque(root).map_err(cannot)?];
        let mut walk = Walk::new(root).map_err(cannot)?;
        while let Some(found) = walk.next() {
            let above = hidden.last().is_some_and(|hidden| *hidden);
            match found {
                Found::Directory { .. } => {}
                Found::Entered { here, .. } => hidden.push(above || is_opaque(here).map_err(cannot)?),
                Found::Left { .. } => drop(hidden.pop()),
                Found::Other { at, name } if above => take_out(at, &name).map_err(cannot)?,
                Found::Other { .. } => {}
                Found::Trouble { name, errno } => {
                    return Err(Refusal::kernel(format!("cannot look through `{}`", escaped(&name)), errno));
                }
            }
        }
        Ok(())
    }
}

/// Removes `name` if it is a whiteout; its directory keeps its time.
fn take_out(directory: BorrowedFd<'_>, name: &[u8]) -> nix::Result<()> {
    if !is_whiteout(&fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?) {
        return Ok(());
    }
    let found = fstat(directory)?;
    unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)?;
    set_time(directory, Time { seconds: found.st_mtime, nanoseconds: found.st_mtime_nsec as u32 })
}

/// Since Linux 5.8 everybody may make this one device, which opens nothing.
fn make_whiteout(directory: BorrowedFd<'_>, name: &[u8]) -> nix::Result<()> {
    mknodat(directory, name, SFlag::S_IFCHR, Mode::empty(), 0)
}
