//! A file or a directory in transit, as a tar archive with one member at its top.
//!
//! What is packed: files, directories, symbolic links as links, modes and times; hard links as files of their own, and holes
//! as holes. Fifos, sockets, devices and what cannot be read are left out and named, so that the archive is whole whatever is in
//! the tree. Nothing blocks: whatever is opened is opened without waiting and looked at before it is read. Somebody may change the
//! tree meanwhile, and swap directories for links: each is opened in the one above it, and no link is followed below the top.
//!
//! What is put is first unpacked in a directory of its own beside the place ([`draft`](super::draft)), by the rules for archives
//! that anybody may have made, and moved there once it is whole. A directory is merged into one that is there, and a file takes
//! the place of a file; nothing is followed below the place that was named, and nothing is ever written through a link.

mod chain;
mod packing;
mod placing;

pub use packing::{LeaveOut, Owner, measure, pack};

use super::draft::{Draft, Kind};
use super::{Name, Skipped};
use crate::error::{self, Error};
use crate::trees::unpack::{self, Source};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The name of the archive's member on its way to a place.
pub const MEMBER: &str = "it";

/// Opens a regular file and nothing else, without ever waiting.
pub fn open_file(path: &Path, more: OFlag) -> io::Result<(File, Metadata)> {
    regular(File::from(open(path, WITHOUT_WAITING | more, Mode::empty())?))
}

const WITHOUT_WAITING: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

fn regular(file: File) -> io::Result<(File, Metadata)> {
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, no_file()));
    }
    Ok((file, found))
}

/// Something else was asked for as a file.
fn no_file() -> Error {
    Error::new(error::Kind::NotAFile, "it is no regular file")
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
pub fn put(from: &mut dyn Source, place: &Path, name: &OsStr, room: Option<u64>) -> Result<Put, Error> {
    // Where nothing comes nothing is made.
    let mut first = [0];
    if from.read(&mut first).map_err(|error| Error::of_io(&error))? == 0 {
        return Err(Error::new(error::Kind::Ended, "nothing came"));
    }
    let into = fs::metadata(place).is_ok_and(|found| found.is_dir());
    let is_named = !place.as_os_str().as_encoded_bytes().ends_with(b"/");
    if !into && !is_named {
        return Err(Error::new(error::Kind::NotADirectory, "there is no such directory").about(&Name::from(place)));
    }
    // `.` is what is in it, and not itself.
    let target = if into && name != "." { place.join(name) } else { place.to_owned() };
    let above = match place.parent() {
        _ if into => place,
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    let draft = Draft::new(above, Kind::Directory).map_err(|error| Error::of_io(&error).about(&Name::from(above)))?;
    let bounds = unpack::Bounds { bytes: u64::MAX, file: i64::MAX as u64, plain: true, ..unpack::Bounds::default() };
    let mut counted = Counted { first: Some(first[0]), from, left: room };
    let summary = unpack::unpack_passed(&mut counted, draft.open().as_fd(), &bounds).map_err(refused)?;
    if summary.unterminated {
        return Err(Error::new(error::Kind::Ended, "it was cut off"));
    }
    let skipped = summary.too_large.iter().map(|path| {
        let below = path.strip_prefix(MEMBER.as_bytes()).unwrap_or_default();
        let path = Name([target.as_os_str().as_encoded_bytes(), below].concat());
        Skipped { path, why: Error::of_io(&io::Error::from_raw_os_error(libc::EFBIG)).message, failed: true }
    });
    let skipped: Vec<Skipped> = skipped.collect();
    if summary.too_large.first().is_some_and(|path| path == MEMBER.as_bytes()) {
        return Err(Error::of_io(&io::Error::from_raw_os_error(libc::EFBIG)).about(&Name::from(target.as_path())));
    }
    let owned =
        |file: &File| file.try_clone().map(|file| Rc::new(OwnedFd::from(file))).map_err(|error| Error::of_io(&error));
    // The directory that was named is the draft's own, so that both are one whatever the path leads to by now.
    let name = match (into, name == ".") {
        (true, true) => None,
        (true, false) => Some(name),
        (false, _) => Some(target.file_name().unwrap_or(name)),
    };
    let to = placing::At { directory: owned(draft.above())?, name };
    placing::place((owned(draft.open())?, OsStr::new(MEMBER)), to, &target)?;
    Ok(Put { place: target, bytes: summary.bytes, skipped })
}

/// An archive that there is so much room for.
struct Counted<'a> {
    /// Its first byte, which was looked at.
    first: Option<u8>,
    from: &'a mut dyn Source,
    left: Option<u64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = match (into.first_mut(), self.first) {
            (Some(place), Some(byte)) => {
                (*place, self.first) = (byte, None);
                1
            }
            _ => self.from.read(into)?,
        };
        self.count(count as u64)?;
        Ok(count)
    }
}

impl Source for Counted<'_> {
    fn pass(&mut self, file: &File, most: u64) -> io::Result<u64> {
        let count = self.from.pass(file, self.left.map_or(most, |left| most.min(left)))?;
        self.count(count)?;
        Ok(count)
    }
}

impl Counted<'_> {
    fn count(&mut self, bytes: u64) -> io::Result<()> {
        if let Some(left) = &mut self.left {
            let less = left.checked_sub(bytes);
            *left = less.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSPC))?;
        }
        Ok(())
    }
}

fn refused(refusal: unpack::Refusal) -> Error {
    let kind = refusal.io.map_or(error::Kind::Invalid, error::Kind::of_errno);
    Error { errno: refusal.io, hint: refusal.hint.clone(), ..Error::new(kind, refusal.to_string()) }
}
