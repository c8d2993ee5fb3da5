//! Unpacking one layer: a tar archive that anybody may have made, into a directory of ours.
//!
//! Promises that nothing outside the directory is touched, whatever the archive says: every name is opened beneath the
//! directory by the kernel (`openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`), and everything is made where nothing
//! was before (`O_EXCL`). Owners are not kept: all of it belongs to whoever unpacks. Whiteouts become those of
//! overlayfs. docs/images.md has the table of what is done with which entry.
//!
//! It stops at the first refusal, and leaves what it has made: the caller removes the directory ([`tree`](super::tree)).
//! It holds nothing in memory but the entry at hand and the directories that it lies in.

pub(crate) mod archive;
mod attributes;
mod directories;
pub(crate) mod entry;
mod files;
mod header;
mod links;
pub(crate) mod names;
mod pax;
mod refusal;
mod source;
mod sparse;
#[cfg(test)]
pub(in crate::trees) mod tests;
mod whiteouts;

pub use crate::name::escaped;
pub(crate) use attributes::{OPAQUE, is_opaque};
pub use refusal::Refusal;
pub use source::Source;

use archive::Archive;
use directories::Directories;
use entry::{Entry, What};
use nix::unistd::{Gid, Uid};
use std::io::Read;
use std::os::fd::BorrowedFd;

/// How much one layer may hold. The defaults are generous and finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of content of all files together, holes aside.
    pub bytes: u64,
    /// Files, directories and links together, and directories that had to be made for them.
    pub entries: u64,
    /// Length of one file, with its holes.
    pub file: u64,
    /// Length of a path. The kernel's own bound is 4095.
    pub name: usize,
    /// It is no layer but a tree as it is: names that layers hide things by are names like any other, the owner may do no more
    /// than the mode says, and files that the file system cannot hold are left out.
    pub plain: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { bytes: 64 << 30, entries: 4_000_000, file: 1 << 40, name: names::LONGEST_PATH, plain: false }
    }
}

/// What was unpacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of content of all files together.
    pub bytes: u64,
    /// Devices, which were not made.
    pub skipped: u64,
    /// The layer hides all that is below it (`.wh..wh..opq` at its root). Overlayfs does not look for that mark at a root:
    /// it is for the caller to leave out the layers below.
    pub opaque: bool,
    /// The archive ended behind a member, without the mark that says so: for whoever does not know its digest, it was
    /// cut off.
    pub unterminated: bool,
    /// Of a tree as it is: files that were left out because they are larger than the file system or a limit allows.
    pub too_large: Vec<Vec<u8>>,
}

/// Unpacks the tar archive `tar`, which is not packed itself, into the empty directory `into`, and reads it to its end.
/// `owner`: ids to give every file to, for root, who alone can.
pub fn unpack(
    tar: &mut (dyn Read + Send),
    into: BorrowedFd<'_>,
    owner: Option<(u32, u32)>,
    bounds: &Bounds,
) -> Result<Summary, Refusal> {
    unpack_from(Archive::new(tar), into, owner, bounds)
}

/// The same from a source that may move content to files by itself, and with files for whoever unpacks.
///
/// # Errors
///
/// As there.
pub fn unpack_passed(tar: &mut dyn Source, into: BorrowedFd<'_>, bounds: &Bounds) -> Result<Summary, Refusal> {
    unpack_from(Archive::passed(tar), into, None, bounds)
}

fn unpack_from(
    mut archive: Archive<'_>,
    into: BorrowedFd<'_>,
    owner: Option<(u32, u32)>,
    bounds: &Bounds,
) -> Result<Summary, Refusal> {
    let owner = owner.map(|(user, group)| (Uid::from_raw(user), Gid::from_raw(group)));
    let mut unpacking = Unpacking {
        directories: Directories::new(into, owner, bounds.entries)?,
        owner,
        buffer: vec![0; BUFFER],
        whiteouts: false,
    };
    let mut summary = Summary::default();
    while let Some(member) = archive.next()? {
        let (name, stored) = (member.name.clone(), member.stored);
        let entry = Entry::new(member, bounds)?;
        summary.entries += 1;
        summary.bytes = summary.bytes.saturating_add(stored);
        unpacking.directories.count().map_err(|refusal| refusal.about(&name))?;
        if summary.bytes > bounds.bytes {
            return Err(Refusal::new(format!("the layer has more than {} bytes of content", bounds.bytes)).about(&name));
        }
        summary.skipped += u64::from(entry.what == What::Device);
        summary.opaque |= entry.what == What::Opaque && entry.path.is_empty();
        match unpacking.make(&entry, &mut archive) {
            Err(Refusal { io: Some(libc::EFBIG), .. })
                if bounds.plain && matches!(entry.what, What::File(_)) && summary.too_large.len() < MOST_TOO_LARGE =>
            {
                unpacking.remove(&entry).map_err(|refusal| refusal.about(&name))?;
                summary.too_large.push(name);
            }
            made => made.map_err(|refusal| refusal.about(&name))?,
        }
    }
    unpacking.directories.leave()?;
    summary.unterminated = archive.is_unterminated();
    unpacking.tidy()?;
    Ok(summary)
}

/// More are not remembered.
const MOST_TOO_LARGE: usize = 1000;

/// Content is copied in pieces of this size.
const BUFFER: usize = 256 << 10;

/// Who the files are given to; only root can give them to anybody.
type Owner = Option<(Uid, Gid)>;

/// A layer on its way to the disk. What an entry becomes is told in `files`, `links` and `directories`.
struct Unpacking {
    directories: Directories,
    owner: Owner,
    buffer: Vec<u8>,
    /// Some were made.
    whiteouts: bool,
}

impl Unpacking {
    fn make(&mut self, entry: &Entry, archive: &mut Archive<'_>) -> Result<(), Refusal> {
        match &entry.what {
            What::File(map) => self.file(entry, map.as_ref(), archive),
            What::Directory => self.directories.make(entry),
            What::Symlink(target) => self.symlink(entry, target),
            What::Link(other) => self.link(entry, other),
            What::Fifo => self.fifo(entry),
            What::Whiteout => self.whiteout(entry),
            What::Opaque => self.directories.enter(&entry.path).and_then(|()| self.directories.make_opaque()),
            What::Device | What::Bookkeeping => Ok(()),
        }
    }
}
