//! Symbolic links and hard links.

use super::Unpacking;
use super::directories::{is_directory, is_whiteout};
use super::entry::Entry;
use super::names::split;
use super::refusal::Refusal;
use crate::name::escaped;
use crate::sys::directory::open_beneath;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, fstatat};
use nix::unistd::{linkat, symlinkat};
use std::ffi::CStr;
use std::os::fd::{AsFd as _, OwnedFd};

impl Unpacking {
    /// The target is stored as it is: it is only ever followed in a sandbox.
    pub(super) fn symlink(&mut self, entry: &Entry, target: &CStr) -> Result<(), Refusal> {
        self.create(entry, |directory, name| symlinkat(target, directory, name))?;
        self.describe_closed(entry)
    }

    /// Another name of a file of this layer.
    pub(super) fn link(&mut self, entry: &Entry, other: &[u8]) -> Result<(), Refusal> {
        let (directory, there) = self.file_to_link(other)?;
        if is_directory(&there) {
            return Err(Refusal::new(format!("is a hard link to `{}`, which is a directory", escaped(other))));
        }
        if is_whiteout(&there) {
            return Err(Refusal::new(format!("is a hard link to `{}`, which is a whiteout", escaped(other))));
        }
        // To make room for it would remove it.
        if other == entry.path {
            return Ok(());
        }
        let from = directory.as_fd();
        let (_, file) = split(other);
        // Without AT_SYMLINK_FOLLOW a symbolic link is linked itself.
        self.create(entry, |directory, name| linkat(from, file, directory, name, AtFlags::empty()))
    }

    /// The directory of a path in this layer, reached without following a link, and what stands at the path.
    fn file_to_link(&self, path: &[u8]) -> Result<(OwnedFd, FileStat), Refusal> {
        let (parent, name) = split(path);
        let (parent, name) = (if parent.is_empty() { b"." } else { parent }, if name.is_empty() { b"." } else { name });
        let look = |directory: OwnedFd| {
            let there = fstatat(directory.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            Ok((directory, there))
        };
        let shown = || escaped(path);
        open_beneath(self.directories.root(), parent).and_then(look).map_err(|errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => {
                Refusal::new(format!("is a hard link to `{}`, which this layer does not have before it", shown()))
            }
            Errno::ELOOP => Refusal::new(format!("is a hard link to `{}` through a symbolic link", shown())),
            _ => Refusal::kernel(format!("cannot look at `{}` to link it", shown()), errno),
        })
    }
}
