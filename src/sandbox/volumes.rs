//! Volumes: directories that several sandboxes share and that outlive them.
//!
//! `volumes/NAME/data` below belljar's own directory, which nobody else may enter: what is in a volume was written by code that nobody has
//! read. Nothing here follows a link in one.

use super::{Sandboxes, is_name};
use crate::error::{Error, Failure, Kind, Problem, describe_io};
use crate::host::{UNPRIVILEGED_ID, is_real_root};
use crate::spec::Mount;
use crate::trees::tree;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Gid, Uid, fchown};
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Their place.
#[derive(Clone, Debug)]
pub struct Volumes {
    root: PathBuf,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Where its files are on the host.
    pub path: PathBuf,
    /// When it was made.
    pub created: Option<SystemTime>,
    /// What its files take on the disk.
    pub bytes: u64,
    /// Names of sandboxes that have it.
    pub sandboxes: Vec<String>,
}

impl Volumes {
    /// Those in belljar's own directory, which may count from the current one.
    pub fn new(home: &Path) -> Volumes {
        let home = std::path::absolute(home).unwrap_or_else(|_| home.to_owned());
        Volumes { root: home.join("volumes") }
    }

    fn data(&self, name: &str) -> PathBuf {
        self.root.join(name).join("data")
    }

    /// Makes one.
    ///
    /// # Errors
    ///
    /// `Invalid` for a name that is none, or that another has.
    pub fn create(&self, name: &str) -> Result<(), Error> {
        if !is_name(name) {
            let problem = Problem::new("volume", format!("`{}` is not a valid volume name", name.escape_debug()));
            let hint = "use letters, digits, `-`, `_` and `.`, at most 128, and begin with a letter or digit";
            return Err(Error::misused(vec![problem.hint(hint)]));
        }
        let closed = |path: &Path| DirBuilder::new().mode(0o700).recursive(true).create(path);
        closed(&self.root).map_err(|error| Error::attempt(format!("make `{}`", self.root.display()), &error))?;
        // Whole or not at all, for whoever looks at the same time.
        let draft = self.root.join(format!(".{name}.{}", std::process::id()));
        let data = draft.join("data");
        let made = || -> Result<(), Error> {
            closed(&data).map_err(|error| Error::attempt(format!("make `{}`", data.display()), &error))?;
            let inside = File::open(&data).map_err(|error| Error::attempt("open the volume", &error))?;
            give(&inside.into()).map_err(|errno| Error::attempt("give the volume away", &errno.into()))?;
            fs::rename(&draft, self.root.join(name)).map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty => {
                    let problem = Problem::new("volume", format!("there is a volume `{name}` already"));
                    let problem = problem.hint("choose another name, or `belljar volume rm` that one");
                    Error::of(Kind::NameTaken, vec![problem])
                }
                _ => Error::attempt(format!("name the volume `{name}`"), &error),
            })
        };
        made().inspect_err(|_| {
            // What kept it from being made is what the caller has to know.
            let _ = fs::remove_dir_all(&draft);
        })
    }

    /// All of them, by name.
    ///
    /// # Errors
    ///
    /// `Setup`, where they cannot be looked at.
    pub fn list(&self, sandboxes: &Sandboxes) -> Result<Vec<Volume>, Error> {
        let listed = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(|error| Error::attempt(format!("read `{}`", self.root.display()), &error))?,
        };
        let mut names: Vec<String> = listed
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| is_name(name))
            .collect();
        names.sort();
        let users = users(sandboxes)?;
        let look = |name: String| -> Option<Result<Volume, Error>> {
            let path = self.data(&name);
            // Gone between the list and the look.
            let directory = File::open(&path).ok()?;
            let usage = match tree::usage(directory.as_fd()) {
                Ok(usage) => usage,
                Err(failure) => return Some(Err(setup(failure))),
            };
            // Nothing is made in it, or removed, but `data` at the beginning.
            let created = fs::metadata(self.root.join(&name)).and_then(|found| found.modified()).ok();
            let has = |(_, mounted): &&(String, PathBuf)| *mounted == path;
            let sandboxes = users.iter().filter(has).map(|(sandbox, _)| sandbox.clone()).collect();
            Some(Ok(Volume { name, path, created, bytes: usage.bytes, sandboxes }))
        };
        names.into_iter().filter_map(look).collect()
    }

    /// Removes one with all that is in it.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Invalid` for one that a sandbox has which lasts.
    pub fn remove(&self, name: &str, sandboxes: &Sandboxes) -> Result<(), Error> {
        if !is_name(name) || !self.data(name).is_dir() {
            return Err(missing(name));
        }
        let path = self.data(name);
        let users: Vec<String> =
            users(sandboxes)?.into_iter().filter(|(_, mounted)| *mounted == path).map(|(name, _)| name).collect();
        if !users.is_empty() {
            let problem = Problem::new("volume", format!("`{name}` is used by {}", users.join(", ")));
            return Err(invalid(problem.hint("remove these sandboxes before")));
        }
        let gone = format!(".{name}.gone.{}", std::process::id());
        fs::rename(self.root.join(name), self.root.join(&gone)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => missing(name),
            _ => Error::attempt(format!("remove the volume `{name}`"), &error),
        })?;
        let root = File::open(&self.root)
            .map_err(|error| Error::attempt(format!("open `{}`", self.root.display()), &error))?;
        tree::remove(root.as_fd(), gone.as_ref()).map_err(setup)
    }

    /// Looks for the volume of a mount, and makes the path in it that is to be shown.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for the field `mount`.
    pub fn resolve(&self, mount: &mut Mount) -> Result<(), Problem> {
        let Some(name) = mount.beneath.as_ref().filter(|name| name.is_relative()) else { return Ok(()) };
        let name = name.to_string_lossy().into_owned();
        let wrong = |message: String| Problem::new("volume", message);
        let data = self.data(&name);
        let mut at: OwnedFd = match File::open(&data) {
            Ok(directory) if is_name(&name) => directory.into(),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(wrong(format!("`{name}`: {}", describe_io(&error))));
            }
            _ => {
                let problem = wrong(format!("there is no volume `{}`", name.escape_debug()));
                return Err(problem.hint(format!("`belljar volume create {name}` makes it")));
            }
        };
        let below: PathBuf = mount.source.components().skip(1).collect();
        for part in below.components() {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let part = part.as_os_str();
            let entered = match mkdirat(&at, part, Mode::from_bits_truncate(0o755)) {
                Ok(()) => openat(&at, part, flags, Mode::empty()).and_then(|made| give(&made).map(|()| made)),
                Err(Errno::EEXIST) => openat(&at, part, flags, Mode::empty()),
                Err(errno) => Err(errno),
            };
            at = entered.map_err(|errno| {
                let shown = below.display();
                wrong(format!("`{shown}` in `{name}` is no directory, or not without a link: {}", errno.desc()))
            })?;
        }
        mount.source = data.join(&below);
        mount.beneath = Some(data);
        Ok(())
    }
}

/// Gives what is made to whom it belongs inside: root's own id is not there.
fn give(directory: &OwnedFd) -> nix::Result<()> {
    if !is_real_root() {
        return Ok(());
    }
    fchown(directory, Some(Uid::from_raw(UNPRIVILEGED_ID)), Some(Gid::from_raw(UNPRIVILEGED_ID)))
}

/// Names of sandboxes, and the volumes that they have.
fn users(sandboxes: &Sandboxes) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut users = Vec::new();
    for entry in sandboxes.list()? {
        // Gone between the list and the look.
        let Ok(spec) = entry.spec() else { continue };
        let mut volumes: Vec<PathBuf> = spec.mounts.into_iter().filter_map(|mount| mount.beneath).collect();
        volumes.sort();
        volumes.dedup();
        users.extend(volumes.into_iter().map(|volume| (entry.name(), volume)));
    }
    Ok(users)
}

fn invalid(problem: Problem) -> Error {
    Error::invalid(vec![problem])
}

fn setup(failure: Failure) -> Error {
    Error::from(failure)
}

fn missing(name: &str) -> Error {
    let problem = Problem::new("volume", format!("there is no volume `{}`", name.escape_debug()));
    Error::of(Kind::NotFound, vec![problem.hint("`belljar volume ls` lists them")])
}
