//! A file or a directory on its way from one place to another, as a tar archive with one member at its top.
//!
//! What is packed: files, directories, symbolic links as links, modes and times; hard links as files of their own, and holes
//! as holes. Fifos, sockets and devices are left out and named. Nothing blocks: whatever is opened is opened without waiting
//! and looked at before it is read.
//!
//! What is put is first unpacked in a directory of its own beside the place, and moved there once it is whole. A directory is merged into one that is there, and a file takes the place of a file; nothing is
//! followed below the place that was named, and nothing is ever written through a link.

use super::{Name, Skipped, Trouble};
use crate::images::{tree, unpack};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The name of the archive's member on its way to a place.
pub const MEMBER: &str = "it";

/// Packs what `path` is into `to`, as `name`; `skipped` is told what is left out.
///
/// # Errors
///
/// What cannot be read, named; `to` is of no use then.
pub fn pack(
    path: &Path,
    name: &Path,
    to: &mut dyn Write,
    skipped: &mut dyn FnMut(Skipped) -> io::Result<()>,
) -> Result<(), Trouble> {
    // Dropped half-way it would write an end, and what is half would look whole.
    let mut builder = ManuallyDrop::new(tar::Builder::new(to));
    builder.follow_symlinks(false);
    // Each a path on disk, and its name in the archive.
    let mut waiting = vec![(path.to_owned(), name.to_owned())];
    while let Some((path, name)) = waiting.pop() {
        let about = |error: io::Error| Trouble::of(&error).about(&Name::from(path.as_path()));
        let found = match fs::symlink_metadata(&path) {
            // Gone between the list and the look.
            Err(error) if error.kind() == io::ErrorKind::NotFound && name.components().count() > 1 => continue,
            found => found.map_err(about)?,
        };
        let kind = found.file_type();
        if kind.is_dir() {
            builder.append_dir(&name, &path).map_err(about)?;
            for entry in fs::read_dir(&path).map_err(about)? {
                let entry = entry.map_err(about)?;
                waiting.push((entry.path(), name.join(entry.file_name())));
            }
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(about)?;
            let mut header = tar::Header::new_gnu();
            header.set_metadata(&found);
            header.set_size(0);
            builder.append_link(&mut header, &name, &target).map_err(about)?;
        } else if kind.is_file() {
            append(&mut builder, &path, &name).map_err(about)?;
        } else {
            let why = if kind.is_fifo() {
                "a fifo"
            } else if kind.is_socket() {
                "a socket"
            } else {
                "a device"
            };
            skipped(Skipped { path: Name::from(path.as_path()), why: why.to_owned() }).map_err(about)?;
        }
    }
    ManuallyDrop::into_inner(builder).into_inner().and_then(|to| to.flush()).map_err(|error| Trouble::of(&error))
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

fn append(builder: &mut tar::Builder<&mut dyn Write>, path: &Path, name: &Path) -> io::Result<()> {
    let (mut file, found) = open_file(path, OFlag::O_NOFOLLOW)?;
    if found.blocks() * 512 < found.len() {
        // With its holes. What shortens it meanwhile spoils the archive, which its reader finds.
        return builder.append_file(name, &mut file);
    }
    let mut header = tar::Header::new_gnu();
    header.set_metadata(&found);
    header.set_size(found.len());
    // As long as it was when it was looked at, whoever writes to it.
    let mut content = file.take(found.len()).chain(io::repeat(0)).take(found.len());
    builder.append_data(&mut header, name, &mut content)
}

/// Unpacks the archive `from`, whose one member is called [`MEMBER`], to `place`: into it under the name `name`, where it is
/// a directory. Answers where it is now, and the bytes of content.
///
/// # Errors
///
/// What is in the way, or what the archive is refused for. What was there is as it was then, but for a directory that was merged
/// half-way when the disk was full.
pub fn put(from: &mut (dyn Read + Send), place: &Path, name: &OsStr, trust: Trust) -> Result<(PathBuf, u64), Trouble> {
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
    let draft = Draft::new(above, trust).map_err(|error| Trouble::of(&error).about(&Name::from(above)))?;
    let bytes = match trust {
        Trust::Nobody => strictly(from, &draft)?,
        Trust::Caller { room } => plainly(from, &draft, room).map_err(|error| nested(&error))?,
    };
    move_to(&draft.0.join(MEMBER), &target)?;
    Ok((target, bytes))
}

/// Who made an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Anybody: it comes out of a sandbox.
    Nobody,
    /// The caller: it goes into a sandbox, where nothing is at stake but the sandbox's own files.
    Caller {
        /// How many bytes it may have, where nobody else counts them.
        room: Option<u64>,
    },
}

/// By the rules for archives that anybody may have made.
fn strictly(from: &mut (dyn Read + Send), draft: &Draft) -> Result<u64, Trouble> {
    let bounds = unpack::Bounds { bytes: u64::MAX, file: i64::MAX as u64, plain: true, ..unpack::Bounds::default() };
    let directory = draft.open().map_err(|error| Trouble::of(&error))?;
    let summary = unpack::unpack(from, directory.as_fd(), None, &bounds).map_err(refused)?;
    if summary.unterminated {
        return Err(Trouble::new("ended", "it was cut off"));
    }
    Ok(summary.bytes)
}

/// As a library does it: inside, the filter lets nobody use openat2(2), which the rules rest on.
fn plainly(from: &mut dyn Read, draft: &Draft, room: Option<u64>) -> io::Result<u64> {
    let mut counted = Counted { from, bytes: 0, room: room.unwrap_or(u64::MAX) };
    let mut archive = tar::Archive::new(&mut counted);
    archive.set_preserve_permissions(true);
    archive.unpack(&draft.0)?;
    Ok(counted.bytes)
}

struct Counted<'a> {
    from: &'a mut dyn Read,
    bytes: u64,
    room: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        self.bytes += count as u64;
        if self.bytes > self.room {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        Ok(count)
    }
}

/// The reason behind what a library says.
fn nested(error: &io::Error) -> Trouble {
    let mut inner: &dyn std::error::Error = error;
    loop {
        let io = inner.downcast_ref::<io::Error>();
        if let Some(found) = io.filter(|found| found.raw_os_error().is_some()) {
            return Trouble::of(found);
        }
        // An error made of another shows it as its own source, or as what is in it.
        let within = io.and_then(io::Error::get_ref).map(|within| within as &dyn std::error::Error);
        match within.or_else(|| inner.source()) {
            Some(next) => inner = next,
            None => return Trouble::new("failed", inner.to_string()),
        }
    }
}

fn refused(refusal: unpack::Refusal) -> Trouble {
    let kind =
        refusal.io.map_or_else(|| "invalid".to_owned(), |errno| Trouble::of(&io::Error::from_raw_os_error(errno)).kind);
    Trouble { kind, message: refusal.to_string(), path: None, hint: refusal.hint }
}

/// A directory beside a place, for what is not whole yet.
struct Draft(PathBuf, Trust);

impl Draft {
    fn new(above: &Path, trust: Trust) -> io::Result<Draft> {
        for number in 0u32.. {
            let path = above.join(format!(".belljar.{}.{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Draft(path, trust)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn open(&self) -> io::Result<File> {
        File::open(&self.0)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What cannot be removed is found by its name; what was asked for has been done or has failed by now.
        let _ = match (self.1, self.0.parent(), self.0.file_name()) {
            (Trust::Nobody, Some(above), Some(name)) => {
                File::open(above).map(|above| drop(tree::remove(above.as_fd(), name)))
            }
            _ => fs::remove_dir_all(&self.0),
        };
    }
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
        match fs::symlink_metadata(&target) {
            Ok(there) if there.is_dir() && comes.is_dir() => {
                for entry in fs::read_dir(&from).map_err(about)? {
                    let name: OsString = entry.map_err(about)?.file_name();
                    waiting.push((from.join(&name), target.join(&name)));
                }
            }
            Ok(there) if there.is_dir() => return Err(about(io::Error::from_raw_os_error(libc::EISDIR))),
            Ok(_) if comes.is_dir() => return Err(about(io::Error::from_raw_os_error(libc::ENOTDIR))),
            _ => fs::rename(&from, &target).map_err(about)?,
        }
    }
    Ok(())
}
