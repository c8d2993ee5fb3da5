//! A file that is there as a whole or not at all.
//!
//! Until it is finished it has no name, so that nothing is left of it, whatever ends us. Where the file system cannot do
//! that, it has one beside its place, which goes with an error but not with a kill.

use super::unwritten_to;
use crate::error::{Error, Problem};
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::linkat;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where something is written.
pub struct Target {
    file: File,
    /// What it becomes; `None` for what is no regular file, and is written to as it is.
    place: Option<PathBuf>,
    /// Its name meanwhile.
    beside: Option<Beside>,
}

impl Target {
    /// For a file at `path`, which need not be there.
    pub fn open(path: &Path) -> Result<Target, Error> {
        let failed = |error: &io::Error| about(path, error);
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                let problem = Problem::new("output", format!("`{}` is a directory", path.display()));
                return Err(Error::invalid(vec![problem.hint("name the file in it")]));
            }
            Ok(found) if !found.is_file() => {
                let file = OpenOptions::new().write(true).open(path).map_err(|error| failed(&error))?;
                return Ok(Target { file, place: None, beside: None });
            }
            // A link stays one: what it leads to is replaced.
            Ok(_) => Target::at(path.canonicalize().map_err(|error| failed(&error))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Target::at(path.to_owned()),
            Err(error) => Err(error),
        }
        .map_err(|error| failed(&error))
    }

    fn at(place: PathBuf) -> io::Result<Target> {
        let unnamed =
            OpenOptions::new().write(true).mode(0o666).custom_flags(libc::O_TMPFILE).open(directory_of(&place));
        match unnamed {
            Ok(file) => Ok(Target { file, place: Some(place), beside: None }),
            Err(error) if [libc::EOPNOTSUPP, libc::EISDIR].contains(&error.raw_os_error().unwrap_or(0)) => {
                let beside = beside(&place);
                let file = OpenOptions::new().write(true).create_new(true).mode(0o666).open(&beside)?;
                Ok(Target { file, place: Some(place), beside: Some(Beside(beside)) })
            }
            Err(error) => Err(error),
        }
    }

    /// What is to be written to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// To its place.
    pub fn finish(self) -> Result<(), Error> {
        let Some(place) = &self.place else { return Ok(()) };
        let finish = || -> io::Result<()> {
            // What the disk has no room for, some file systems say only now.
            self.file.sync_all()?;
            let beside = match self.beside {
                Some(beside) => beside,
                None => Beside::link(&self.file, place)?,
            };
            fs::rename(&beside.0, place)
        };
        finish().map_err(|error| about(place, &error))
    }
}

/// A name beside the file's place. It goes when this is dropped.
struct Beside(PathBuf);

impl Beside {
    /// For a file that has none.
    fn link(file: &File, place: &Path) -> io::Result<Beside> {
        let beside = beside(place);
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(AT_FDCWD, own.as_str(), AT_FDCWD, &beside, AtFlags::AT_SYMLINK_FOLLOW)?;
        Ok(Beside(beside))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Renamed, it is no more; what else refuses this refused the file too, and was said.
        let _ = fs::remove_file(&self.0);
    }
}

fn beside(place: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(place.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    place.with_file_name(name)
}

fn directory_of(place: &Path) -> &Path {
    place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn about(path: &Path, error: &io::Error) -> Error {
    unwritten_to(&format!("`{}`", path.display()), error)
}
