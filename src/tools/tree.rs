//! A file or a directory on its way from one place to another, as a tar archive with one member at its top.
//!
//! What is packed: files, directories, symbolic links as links, modes and times; hard links as files of their own, and holes
//! as holes. Fifos, sockets, devices and what cannot be read are left out and named, so that the archive is whole whatever is in
//! the tree. Nothing blocks: whatever is opened is opened without waiting and looked at before it is read.
//!
//! What is put is first unpacked in a directory of its own beside the place ([`draft`](super::draft)), by the rules for archives
//! that anybody may have made, and moved there once it is whole. A directory is merged into one that is there, and a file takes
//! the place of a file; nothing is followed below the place that was named, and nothing is ever written through a link.

use super::draft::{Draft, Kind};
use super::{Name, Skipped, Trouble};
use crate::images::pack::{self, Opened};
use crate::images::unpack;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};

/// The name of the archive's member on its way to a place.
pub const MEMBER: &str = "it";

/// What is told of each thing that is left out.
pub type LeaveOut<'a> = &'a mut dyn FnMut(Skipped) -> io::Result<()>;

/// Whose files are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The caller's: they stay as they are, and what denies its owner to read it is left out.
    Caller,
    /// The sandbox's: what denies its owner to read it is opened up as long as it is read.
    Sandbox,
}

/// Packs what `path` is into `to`, as `name`; `leave_out` is told what is left out.
///
/// # Errors
///
/// `path` itself cannot be read, or nothing can be written; `to` is of no use then.
pub fn pack(
    path: &Path,
    name: &Path,
    owner: Owner,
    to: &mut dyn Write,
    leave_out: LeaveOut<'_>,
) -> Result<(), Trouble> {
    // Dropped half-way it would write an end, and what is half would look whole.
    let builder = ManuallyDrop::new(tar::Builder::new(to));
    let mut packing = Packing { builder, owner, leave_out, opened: Vec::new() };
    // Each a path on disk, and its name in the archive.
    let mut waiting = vec![(path.to_owned(), name.to_owned())];
    while let Some((path, name)) = waiting.pop() {
        let is_top = name.components().count() == 1;
        match packing.one(&path, &name, &mut waiting) {
            Ok(()) => {}
            Err(Fault::Write(error)) => return Err(Trouble::of(&error)),
            // Gone between the list and the look.
            Err(Fault::Read(error)) if error.kind() == io::ErrorKind::NotFound && !is_top => {}
            Err(Fault::Read(error)) if is_top => return Err(Trouble::of(&error).about(&Name::from(path.as_path()))),
            Err(Fault::Read(error)) => packing.miss(&path, Trouble::of(&error).message, true)?,
        }
    }
    let Packing { builder, .. } = packing;
    ManuallyDrop::into_inner(builder).into_inner().and_then(|to| to.flush()).map_err(|error| Trouble::of(&error))
}

/// What keeps something from being packed.
enum Fault {
    /// It cannot be read, and the rest can.
    Read(io::Error),
    /// Nothing can be written any more.
    Write(io::Error),
}

struct Packing<'w, 'l> {
    builder: ManuallyDrop<tar::Builder<&'w mut dyn Write>>,
    owner: Owner,
    leave_out: LeaveOut<'l>,
    opened: Vec<OpenedUp>,
}

impl Packing<'_, '_> {
    fn one(&mut self, path: &Path, name: &Path, waiting: &mut Vec<(PathBuf, PathBuf)>) -> Result<(), Fault> {
        let found = fs::symlink_metadata(path).map_err(Fault::Read)?;
        let (kind, time) = (found.file_type(), (found.mtime(), found.mtime_nsec()));
        if pack::is_too_long(name) {
            return Err(Fault::Read(io::Error::from_raw_os_error(libc::ENAMETOOLONG)));
        }
        if kind.is_dir() {
            self.open_up(path, &found, 0o500);
            let listed: Vec<OsString> = fs::read_dir(path)
                .and_then(|listed| listed.map(|entry| Ok(entry?.file_name())).collect())
                .map_err(Fault::Read)?;
            let header = header(&found, EntryType::Directory);
            pack::empty(&mut self.builder, header, name, time).map_err(Fault::Write)?;
            waiting.extend(listed.into_iter().map(|entry| (path.join(&entry), name.join(&entry))));
        } else if kind.is_symlink() {
            let target = fs::read_link(path).map_err(Fault::Read)?;
            let header = header(&found, EntryType::Symlink);
            pack::link(&mut self.builder, header, name, &target, time).map_err(Fault::Write)?;
        } else if kind.is_file() {
            let (file, found) = self.open(path, &found).map_err(Fault::Read)?;
            let length = found.len();
            let sparse = found.blocks() * 512 < length;
            let header = header(&found, EntryType::Regular);
            let opened = Opened { file, length, sparse, time: (found.mtime(), found.mtime_nsec()) };
            if let Some(fault) = pack::file(&mut self.builder, header, name, opened).map_err(Fault::Write)? {
                let why = format!("not all of it could be read: {}", Trouble::of(&fault).message);
                self.miss(path, why, true).map_err(|trouble| Fault::Write(io::Error::other(trouble)))?;
            }
        } else {
            let why = if kind.is_fifo() {
                "a fifo"
            } else if kind.is_socket() {
                "a socket"
            } else {
                "a device"
            };
            self.miss(path, why.to_owned(), false).map_err(|trouble| Fault::Write(io::Error::other(trouble)))?;
        }
        Ok(())
    }

    fn miss(&mut self, path: &Path, why: String, failed: bool) -> Result<(), Trouble> {
        (self.leave_out)(Skipped { path: Name::from(path), why, failed }).map_err(|error| Trouble::of(&error))
    }

    fn open(&mut self, path: &Path, found: &Metadata) -> io::Result<(File, Metadata)> {
        match open_file(path, OFlag::O_NOFOLLOW) {
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
                let before = self.opened.len();
                self.open_up(path, found, 0o400);
                let opened = open_file(path, OFlag::O_NOFOLLOW);
                self.opened.truncate(before);
                opened.map(|(file, now)| {
                    // With the mode that it had.
                    (file, if now.ino() == found.ino() { found.clone() } else { now })
                })
            }
            opened => opened,
        }
    }

    /// Gives the owner rights that a file or directory denies it, until the value is dropped. Where that cannot be, what
    /// is tried next says so.
    fn open_up(&mut self, path: &Path, found: &Metadata, needed: u32) {
        let denies = found.mode() & needed != needed;
        if self.owner == Owner::Sandbox && denies && found.uid() == geteuid().as_raw() {
            self.opened.extend(OpenedUp::new(path, found.mode() & 0o7777, needed));
        }
    }
}

/// Something that was opened up, and is closed again with the value.
struct OpenedUp(PathBuf, u32);

impl OpenedUp {
    fn new(path: &Path, mode: u32, needed: u32) -> Option<OpenedUp> {
        // Somebody inside may have put a link there: it is the sandbox's own files that are at stake, by its own rights.
        fs::set_permissions(path, Permissions::from_mode(mode | needed)).ok()?;
        Some(OpenedUp(path.to_owned(), mode))
    }
}

impl Drop for OpenedUp {
    fn drop(&mut self) {
        // It may be gone.
        let _ = fs::set_permissions(&self.0, Permissions::from_mode(self.1));
    }
}

fn header(found: &Metadata, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_metadata(found);
    header.set_entry_type(kind);
    header
}

/// Bytes on disk of all regular files below `path`, as far as they can be seen: for a bar of progress.
pub fn measure(path: &Path) -> u64 {
    let (mut bytes, mut waiting) = (0, vec![path.to_owned()]);
    while let Some(path) = waiting.pop() {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => {
                let listed = fs::read_dir(&path).into_iter().flatten();
                waiting.extend(listed.filter_map(|entry| Some(entry.ok()?.path())));
            }
            Ok(found) if found.is_file() => bytes += found.len().min(found.blocks() * 512),
            Ok(_) | Err(_) => {}
        }
    }
    bytes
}

/// Opens a regular file and nothing else, without ever waiting.
pub fn open_file(path: &Path, more: OFlag) -> io::Result<(File, Metadata)> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | more;
    let file = File::from(open(path, flags, Mode::empty())?);
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok((file, found))
}

/// What came of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// Where it is now.
    pub place: PathBuf,
    /// Bytes of content.
    pub bytes: u64,
    /// What this file system or a limit has no room for.
    pub skipped: Vec<Skipped>,
}

/// Unpacks the archive `from`, whose one member is called [`MEMBER`], to `place`: into it under the name `name`, where it is
/// a directory. `room`: how many bytes it may have, where nobody else counts them.
///
/// # Errors
///
/// What is in the way, or what the archive is refused for. What was there is as it was then, but for a directory that was merged
/// half-way when the disk was full.
pub fn put(from: &mut (dyn Read + Send), place: &Path, name: &OsStr, room: Option<u64>) -> Result<Put, Trouble> {
    // Where nothing comes nothing is made.
    let mut first = [0];
    if from.read(&mut first).map_err(|error| Trouble::of(&error))? == 0 {
        return Err(Trouble::new("ended", "nothing came"));
    }
    let from = &mut first.chain(from);
    let into = fs::metadata(place).is_ok_and(|found| found.is_dir());
    let is_named = !place.as_os_str().as_encoded_bytes().ends_with(b"/");
    if !into && !is_named {
        return Err(Trouble::new("not_a_directory", "there is no such directory").about(&Name::from(place)));
    }
    // `.` is what is in it, and not itself.
    let target = if into && name != "." { place.join(name) } else { place.to_owned() };
    let above = match place.parent() {
        _ if into => place,
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    let draft = Draft::new(above, Kind::Directory).map_err(|error| Trouble::of(&error).about(&Name::from(above)))?;
    let bounds = unpack::Bounds { bytes: u64::MAX, file: i64::MAX as u64, plain: true, ..unpack::Bounds::default() };
    let mut counted = Counted { from, left: room };
    let summary = unpack::unpack(&mut counted, draft.open().as_fd(), None, &bounds).map_err(refused)?;
    if summary.unterminated {
        return Err(Trouble::new("ended", "it was cut off"));
    }
    let skipped = summary.too_large.iter().map(|path| {
        let below = path.strip_prefix(MEMBER.as_bytes()).unwrap_or_default();
        let path = Name([target.as_os_str().as_encoded_bytes(), below].concat());
        Skipped { path, why: Trouble::of(&io::Error::from_raw_os_error(libc::EFBIG)).message, failed: true }
    });
    let skipped: Vec<Skipped> = skipped.collect();
    if summary.too_large.first().is_some_and(|path| path == MEMBER.as_bytes()) {
        return Err(Trouble::of(&io::Error::from_raw_os_error(libc::EFBIG)).about(&Name::from(target.as_path())));
    }
    move_to(&draft.path().join(MEMBER), &target)?;
    Ok(Put { place: target, bytes: summary.bytes, skipped })
}

/// An archive that there is so much room for.
struct Counted<'a> {
    from: &'a mut (dyn Read + Send),
    left: Option<u64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        if let Some(left) = &mut self.left {
            let less = left.checked_sub(count as u64);
            *left = less.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSPC))?;
        }
        Ok(count)
    }
}

fn refused(refusal: unpack::Refusal) -> Trouble {
    let kind =
        refusal.io.map_or_else(|| "invalid".to_owned(), |errno| Trouble::of(&io::Error::from_raw_os_error(errno)).kind);
    Trouble { kind, message: refusal.to_string(), path: None, hint: refusal.hint }
}

/// Moves what was unpacked to its place.
fn move_to(from: &Path, target: &Path) -> Result<(), Trouble> {
    let mut waiting: Vec<(PathBuf, PathBuf)> = vec![(from.to_owned(), target.to_owned())];
    while let Some((from, target)) = waiting.pop() {
        let about = |error: io::Error| Trouble::of(&error).about(&Name::from(target.as_path()));
        let comes = fs::symlink_metadata(&from).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Trouble::new("invalid", "nothing came"),
            _ => about(error),
        })?;
        // Whoever moves a directory, or what is in it, changes it.
        let closed = (comes.is_dir() && comes.mode() & 0o700 != 0o700).then_some(comes.mode() & 0o7777);
        if let Some(mode) = closed {
            fs::set_permissions(&from, Permissions::from_mode(mode | 0o700)).map_err(about)?;
        }
        match fs::symlink_metadata(&target) {
            Ok(there) if there.is_dir() && comes.is_dir() => {
                for entry in fs::read_dir(&from).map_err(about)? {
                    let name: OsString = entry.map_err(about)?.file_name();
                    waiting.push((from.join(&name), target.join(&name)));
                }
            }
            Ok(there) if there.is_dir() => return Err(about(io::Error::from_raw_os_error(libc::EISDIR))),
            Ok(_) if comes.is_dir() => return Err(about(io::Error::from_raw_os_error(libc::ENOTDIR))),
            _ => {
                let moved = closed.map(|mode| (File::open(&from), mode));
                fs::rename(&from, &target).map_err(about)?;
                if let Some((moved, mode)) = moved {
                    moved.and_then(|moved| moved.set_permissions(Permissions::from_mode(mode))).map_err(about)?;
                }
            }
        }
    }
    Ok(())
}
