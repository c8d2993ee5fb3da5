//! Requests that change files: mkdir, rm, mv, chmod, write.

use super::Answer;
use crate::error::{self, Error};
use crate::tools::Name;
use crate::tools::draft::{Draft, Kind};
use crate::trees::tree;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Content is copied in pieces of this size.
const PIECE: usize = 64 << 10;

fn trouble(error: io::Error) -> Error {
    Error::of_io(&error)
}

pub fn make_directory(path: &Path, parents: bool, mode: u32) -> Result<(), Error> {
    if parents {
        fs::create_dir_all(path).map_err(trouble)?;
        return fs::set_permissions(path, Permissions::from_mode(mode)).map_err(trouble);
    }
    DirBuilder::new().mode(mode).create(path).map_err(trouble)
}

/// The directory above, and the name in it.
fn split(path: &Path) -> Result<(&Path, &OsStr), Error> {
    let name =
        path.file_name().ok_or_else(|| Error::new(error::Kind::Invalid, "it is not to be removed or replaced"))?;
    match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => Ok((above, name)),
        _ => Ok((Path::new("."), name)),
    }
}

pub fn remove(path: &Path, recursive: bool, force: bool) -> Result<(), Error> {
    split(path)?;
    let found = match fs::symlink_metadata(path) {
        Err(error) if force && error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(trouble)?,
    };
    if found.is_dir() && recursive {
        // However deep it is.
        let (above, name) = split(path)?;
        let above = File::open(above).map_err(trouble)?;
        return tree::remove(above.as_fd(), name).map_err(|failure| Error {
            message: failure.to_string(),
            ..trouble(io::Error::from_raw_os_error(failure.errno))
        });
    }
    match found.is_dir() {
        true => fs::remove_dir(path).map_err(|error| {
            let trouble = trouble(error);
            if trouble.kind == error::Kind::NotEmpty {
                trouble.hint("`-r` removes it with all that is in it")
            } else {
                trouble
            }
        }),
        false => fs::remove_file(path).map_err(trouble),
    }
}

pub fn rename(from: &Name, to: &Name, replace: bool) -> Result<(), Error> {
    let into = fs::metadata(to.path()).is_ok_and(|found| found.is_dir());
    let target = if into { to.path().join(split(from.path())?.1) } else { to.path().to_owned() };
    let about = |trouble: Error| trouble.about(&Name::from(target.as_path()));
    // Whoever makes it meanwhile is inside, as we are.
    if !replace && fs::symlink_metadata(&target).is_ok() {
        return Err(about(Error::new(error::Kind::Exists, "there is something already").hint("`--force` replaces it")));
    }
    fs::rename(from.path(), &target).map_err(|error| match error.raw_os_error() {
        Some(libc::EXDEV) => Error::new(error::Kind::Invalid, "it would go to another file system")
            .about(from)
            .hint("`belljar cp` it there and remove it here"),
        Some(libc::ENOENT) if fs::symlink_metadata(from.path()).is_ok() => {
            about(Error::new(error::Kind::NotFound, "there is no such directory"))
        }
        _ => trouble(error).about(from),
    })
}

pub fn mode(path: &Name, mode: u32, recursive: bool) -> Result<(), Error> {
    let set = |path: &Path| fs::set_permissions(path, Permissions::from_mode(mode));
    if recursive && fs::symlink_metadata(path.path()).is_ok_and(|found| found.is_dir()) {
        // From the innermost: a directory that loses its bits is not entered any more.
        let mut all: Vec<PathBuf> = Vec::new();
        super::look::walk(path, u32::MAX, &mut |_, entry| {
            if entry.kind != crate::tools::EntryKind::Link {
                all.push(entry.path.path().to_owned());
            }
            Ok(())
        })?;
        for path in all.iter().rev() {
            set(path).map_err(|error| trouble(error).about(&Name::from(path.as_path())))?;
        }
    }
    set(path.path()).map_err(|error| trouble(error).about(path))
}

/// How content is written to a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writing {
    /// Permissions; those of the file that is there, else 0644.
    pub mode: Option<u32>,
    /// Makes directories above it.
    pub parents: bool,
    /// Behind what is there.
    pub append: bool,
}

/// Writes to a file beside the path, and gives it the name when it is whole.
pub fn write(path: &Path, how: Writing, data: &mut dyn Read, answer: &mut Answer<'_>) -> Result<(), Error> {
    // A link keeps leading there.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (above, name) = split(&real)?;
    if how.parents {
        fs::create_dir_all(above).map_err(trouble)?;
    }
    let there = match fs::metadata(&real) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        there => Some(there.map_err(trouble)?),
    };
    match &there {
        Some(found) if found.is_dir() => return Err(trouble(io::Error::from_raw_os_error(libc::EISDIR))),
        Some(found) if !found.is_file() => return Err(Error::new(error::Kind::NotAFile, "it is no regular file")),
        Some(_) if how.append => return add(&real, data, answer),
        _ => {}
    }
    let mode = how.mode.or_else(|| there.map(|found| found.permissions().mode() & 0o7777)).unwrap_or(0o644);
    let draft = Draft::new(above, Kind::File).map_err(trouble)?;
    fill(draft.open(), data, answer)?;
    draft.open().set_permissions(Permissions::from_mode(mode)).map_err(trouble)?;
    draft.publish(name).map_err(trouble)
}

fn add(path: &Path, data: &mut dyn Read, answer: &mut Answer<'_>) -> Result<(), Error> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = open(path, flags, Mode::empty()).map_err(|errno| trouble(errno.into()))?;
    if !nix::sys::stat::fstatat(&file, c"", AtFlags::AT_EMPTY_PATH)
        .is_ok_and(|found| found.st_mode & libc::S_IFMT == libc::S_IFREG)
    {
        return Err(Error::new(error::Kind::NotAFile, "it is no regular file"));
    }
    fill(&File::from(file), data, answer)
}

fn fill(mut file: &File, data: &mut dyn Read, answer: &mut Answer<'_>) -> Result<(), Error> {
    let mut piece = vec![0; PIECE];
    loop {
        let count = match data.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(trouble(error)),
        };
        answer.take(count as u64)?;
        file.write_all(&piece[..count]).map_err(trouble)?;
    }
}
