//! Names of sandboxes: links to their ids. A power cut may leave one behind or lose one.
//!
//! A link is made by symlink(2), which only one can win, and removed by whoever holds the lock of all names and has looked at where
//! it leads under that lock: so nobody removes the link that another has just made.

use super::place::{NEW, is_id};
use super::{Entry, Sandboxes, errors};
use crate::error::Error;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// How often a name is asked for that others give up and take at the same moment.
const TRIES: usize = 16;

impl Sandboxes {
    /// The id behind a name.
    pub(super) fn named(&self, name: &str) -> Option<String> {
        fs::read_link(self.link(name)).ok()?.to_str().filter(|id| is_id(id)).map(str::to_owned)
    }

    fn link(&self, name: &str) -> PathBuf {
        self.names().join(name)
    }

    /// Gives a sandbox a name that no other has.
    pub(super) fn claim(&self, name: &str, id: &str) -> Result<(), Error> {
        let link = self.link(name);
        for _ in 0..TRIES {
            match symlink(id, &link) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::attempt(format!("make `{}`", link.display()), &error)),
            }
            match self.named(name) {
                Some(other) if other == id => return Ok(()),
                Some(other) => self.sweep_new(&format!("{NEW}{other}"), &other)?,
                None => {}
            }
            if !self.remove_stale(name)? {
                break;
            }
        }
        Err(errors::name_taken(name))
    }

    /// Takes a name away from the sandbox of that id, if it has it.
    pub(super) fn unname(&self, name: &str, id: &str) {
        // What stays leads to no sandbox of that name, and is taken for what it is.
        let _ = self.remove_if(name, || self.named(name).as_deref() == Some(id));
    }

    /// Removes names that lead to no sandbox which is called so.
    pub(super) fn sweep_names(&self) {
        let names = fs::read_dir(self.names()).into_iter().flatten();
        for name in names.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
            if self.is_stale(&name) {
                // What cannot be removed here does no harm.
                let _ = self.remove_stale(&name);
            }
        }
    }

    /// Whether there is nothing in the way of the name any more.
    fn remove_stale(&self, name: &str) -> Result<bool, Error> {
        self.remove_if(name, || self.is_stale(name))
    }

    fn remove_if(&self, name: &str, wanted: impl Fn() -> bool) -> Result<bool, Error> {
        let names = self.names();
        let attempt = || format!("lock `{}`", names.display());
        let opened = File::open(&names).map_err(|error| Error::attempt(attempt(), &error))?;
        let lock = Flock::lock(opened, FlockArg::LockExclusive);
        let _lock = lock.map_err(|(_, errno)| Error::attempt(attempt(), &errno.into()))?;
        if !wanted() {
            return Ok(false);
        }
        match fs::remove_file(self.link(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::attempt(format!("remove `{}`", self.link(name).display()), &error))
            }
            _ => Ok(true),
        }
    }

    /// Whether a name leads to no sandbox, or to one that is called otherwise and that nobody is about to name.
    fn is_stale(&self, name: &str) -> bool {
        let Some(id) = self.named(name) else { return true };
        // In this order: what is being filled becomes a sandbox.
        if self.place(&format!("{NEW}{id}")).exists() {
            return false;
        }
        // Whoever takes one that waits has its turn; the next who does gives it a name of his own.
        let ready = self.ready(&id);
        if ready.directory.exists() {
            return ready.try_turn().is_some_and(|_turn| ready.directory.exists());
        }
        let Some(entry) = self.entry(&id) else { return true };
        let is_anothers = |entry: &Entry| entry.record().is_ok_and(|record| record.name != name);
        is_anothers(&entry) && entry.try_turn().is_some_and(|_turn| is_anothers(&entry))
    }
}
