//! Entries: members of an archive that have passed all rules which can be told without a look at the disk.
//!
//! What is on disk afterwards, and what is compared with it later, is decided here and only here: names, modes, attributes.

use super::Bounds;
use super::archive::{Kind, Member};
use super::names::{self, Role};
use super::pax::Time;
use super::refusal::Refusal;
use super::sparse::Map;
use std::ffi::CString;

/// One entry.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the root of the layer, normalised; empty for the root.
    pub path: Vec<u8>,
    pub what: What,
    /// As it is to be on disk. Links and whiteouts have none.
    pub mode: u32,
    pub time: Time,
    /// Those that are set: of the user's own, and none of overlayfs.
    pub attributes: Vec<(CString, Vec<u8>)>,
}

/// What an entry makes of the tree.
#[derive(Debug, PartialEq, Eq)]
pub enum What {
    /// With the holes of a sparse one.
    File(Option<Map>),
    Directory,
    Symlink(CString),
    /// With the normalised path of the other.
    Link(Vec<u8>),
    Fifo,
    /// Hides `path` of lower layers.
    Whiteout,
    /// Hides all that lower layers have in `path`.
    Opaque,
    /// Nothing: a device.
    Device,
    /// Nothing, and nobody misses it.
    Bookkeeping,
}

/// Nobody is to get anybody else's rights by running a file.
const LENT_RIGHTS: u32 = 0o6000;
/// What the owner may always do in a layer: read files, and list, change and enter directories. Without it we could not show,
/// compare or delete them.
const OWNER_OF_FILE: u32 = 0o400;
const OWNER_OF_DIRECTORY: u32 = 0o700;

const OF_THE_USER: &[u8] = b"user.";
const OF_OVERLAYFS: &[u8] = b"user.overlay.";

/// The longest target of a symbolic link: `PATH_MAX` without its NUL.
const LONGEST_TARGET: usize = 4095;

impl Entry {
    /// What `member` asks for, or why it is refused.
    pub fn new(member: Member, bounds: &Bounds) -> Result<Entry, Refusal> {
        let name = member.name.clone();
        Entry::of(member, bounds).map_err(|refusal| refusal.about(&name))
    }

    fn of(member: Member, bounds: &Bounds) -> Result<Entry, Refusal> {
        let path = named(&member.name, bounds)?;
        let role = if bounds.plain { Role::Itself } else { names::role(&path).map_err(Refusal::new)? };
        let (path, what) = match role {
            Role::Itself => (path, of_kind(member.kind, member.map, bounds)?),
            Role::Bookkeeping => (path, What::Bookkeeping),
            Role::Hides(hidden) => (hidden, whiteout(&member, What::Whiteout)?),
            Role::HidesAllIn(directory) => (directory, whiteout(&member, What::Opaque)?),
        };
        if path.is_empty() && !matches!(what, What::Directory | What::Opaque) {
            return Err(Refusal::new("is the root of the layer, but no directory"));
        }
        let mode = match &what {
            What::Directory | What::File(_) | What::Fifo if bounds.plain => member.mode & !LENT_RIGHTS,
            What::Directory => member.mode & !LENT_RIGHTS | OWNER_OF_DIRECTORY,
            What::File(_) | What::Fifo => member.mode & !LENT_RIGHTS | OWNER_OF_FILE,
            What::Symlink(_) | What::Link(_) | What::Whiteout | What::Opaque | What::Device | What::Bookkeeping => 0,
        };
        let attributes = attributes(member.attributes, &what)?;
        Ok(Entry { path, what, mode, time: member.time, attributes })
    }
}

fn named(name: &[u8], bounds: &Bounds) -> Result<Vec<u8>, Refusal> {
    names::normalised(name, bounds.name).map_err(|why| {
        let refusal = Refusal::new(why);
        if name.starts_with(b"/") {
            refusal.hint("make the archive from inside the tree: `tar -C TREE -c .`")
        } else {
            refusal
        }
    })
}

fn of_kind(kind: Kind, map: Option<Map>, bounds: &Bounds) -> Result<What, Refusal> {
    if map.as_ref().is_some_and(|map| map.size > bounds.file) {
        return Err(Refusal::new(format!("is a file of more than {} bytes", bounds.file)));
    }
    Ok(match kind {
        Kind::File => What::File(map),
        Kind::Directory => What::Directory,
        Kind::Fifo => What::Fifo,
        Kind::Device => What::Device,
        Kind::Link(target) => What::Link(
            named(&target, bounds)
                .map_err(|refusal| Refusal { why: format!("links to a name that {}", refusal.why), ..refusal })?,
        ),
        Kind::Symlink(target) if target.is_empty() => return Err(Refusal::new("is a symbolic link to nothing")),
        Kind::Symlink(target) if target.len() > LONGEST_TARGET => {
            return Err(Refusal::new(format!("is a symbolic link to more than {LONGEST_TARGET} bytes")));
        }
        Kind::Symlink(target) => {
            What::Symlink(CString::new(target).map_err(|_| Refusal::new("is a symbolic link to a name with a NUL"))?)
        }
    })
}

/// Whiteouts are empty files; aufs made hard links of them.
fn whiteout(member: &Member, what: What) -> Result<What, Refusal> {
    match member.kind {
        Kind::File | Kind::Link(_) if member.stored == 0 => Ok(what),
        Kind::File | Kind::Link(_) => Err(Refusal::new("is a whiteout with content")),
        Kind::Directory | Kind::Symlink(_) | Kind::Fifo | Kind::Device => {
            Err(Refusal::new("has the name of a whiteout, but is no file"))
        }
    }
}

/// Keeps what a program may have set for itself. Capabilities, labels and access lists speak of users that are not there
/// inside.
fn attributes(all: Vec<(Vec<u8>, Vec<u8>)>, what: &What) -> Result<Vec<(CString, Vec<u8>)>, Refusal> {
    if matches!(what, What::Bookkeeping | What::Device | What::Link(_)) {
        return Ok(Vec::new());
    }
    let mut kept = Vec::new();
    for (name, value) in all {
        if !name.starts_with(OF_THE_USER) {
            continue;
        }
        if name.starts_with(OF_OVERLAYFS) {
            // With these overlayfs would be led to other directories, or to files of lower layers.
            return Err(Refusal::new(format!(
                "has the attribute `{}`, by which overlayfs steers itself",
                crate::name::escaped(&name)
            )));
        }
        if !matches!(what, What::File(_) | What::Directory) {
            return Err(Refusal::new("has attributes, which only files and directories can have"));
        }
        let name = CString::new(name).map_err(|_| Refusal::new("has an attribute with a NUL in its name"))?;
        kept.push((name, value));
    }
    Ok(kept)
}
