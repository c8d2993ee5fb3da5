//! Directory of all sandboxes: lookup, listing, and removal of leftovers.

use super::entry::sync_directory;
use super::ready::READY;
use super::{Entry, Record, errors};
use crate::error::Error;
use crate::host::{UNPRIVILEGED_ID, is_real_root};
use crate::spec::Order;
use crate::trees::tree;
use nix::fcntl::{Flock, FlockArg};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A directory that is still being filled.
pub(super) const NEW: &str = "new.";
/// A directory that is being removed.
const GONE: &str = "gone.";
/// How long somebody may take to fill a directory: no longer than it takes to write three small files.
const FILLING: Duration = Duration::from_secs(60);

/// The fewest digits of an id that stand for it.
const LEAST_DIGITS: usize = 6;

/// All sandboxes of one caller.
#[derive(Clone, Debug)]
pub struct Sandboxes {
    root: PathBuf,
}

/// Now, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Sandboxes {
    /// Those below belljar's own directory. Nothing is made.
    pub fn new(home: &Path) -> Sandboxes {
        Sandboxes { root: home.join("sandboxes") }
    }

    /// Makes the place.
    pub(super) fn make(&self) -> Result<(), Error> {
        let names = self.names();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&names);
        made.map_err(|error| Error::attempt(format!("make `{}`", names.display()), &error))
    }

    /// The sandbox that `word` names: its name, its id, or at least six digits of that, with which no other begins. Fewer could be
    /// the name of a sandbox that is gone, and would mean another.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Ambiguous`.
    pub fn find(&self, word: &str) -> Result<Entry, Error> {
        let not_found = || errors::not_found(word);
        if !is_name(word) {
            return Err(not_found());
        }
        if let Some(id) = self.named(word)
            && let Some(entry) = self.entry(&id)
        {
            return Ok(Entry { called: word.to_owned(), ..entry });
        }
        if let Some(entry) = self.entry(word) {
            return Ok(entry);
        }
        // A link may have been lost with the power; what stands in the sandbox was written to last.
        let ids = self.ids()?;
        let called =
            |id: &&String| self.entry(id).and_then(|entry| entry.record().ok()).is_some_and(|it| it.name == word);
        if let Some(id) = ids.iter().find(called) {
            return self.entry(id).map(|entry| Entry { called: word.to_owned(), ..entry }).ok_or_else(not_found);
        }
        let long = word.len() >= LEAST_DIGITS;
        let mut ids: Vec<String> = ids.into_iter().filter(|id| long && id.starts_with(word)).collect();
        match (ids.len(), ids.pop()) {
            (1, Some(id)) => self.entry(&id).ok_or_else(not_found),
            (0, _) | (_, None) => Err(not_found()),
            (_, Some(last)) => {
                ids.push(last);
                ids.sort();
                Err(errors::ambiguous(word, &ids))
            }
        }
    }

    /// Where it is said how those that are gone have ended.
    pub(super) fn ended(&self) -> PathBuf {
        self.root.join("ended")
    }

    /// Where their names are.
    pub(super) fn names(&self) -> PathBuf {
        self.root.join("names")
    }

    /// Where a directory of that name is.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The sandbox of that id, if there is one.
    pub(super) fn entry(&self, id: &str) -> Option<Entry> {
        let directory = self.root.join(id);
        (is_id(id) && directory.is_dir()).then(|| Entry::at(id, directory))
    }

    fn ids(&self) -> Result<Vec<String>, Error> {
        Ok(self.everything()?.into_iter().filter(|name| is_id(name)).collect())
    }

    pub(super) fn everything(&self) -> Result<Vec<String>, Error> {
        let listed = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(|error| Error::attempt(format!("read `{}`", self.root.display()), &error))?,
        };
        let mut names: Vec<String> = listed
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name != "names" && name != "ended")
            .collect();
        names.sort();
        Ok(names)
    }

    /// All of them, after what nobody wants any more has been removed.
    pub fn list(&self) -> Result<Vec<Entry>, Error> {
        self.sweep()?;
        self.sweep_names();
        Ok(self.ids()?.iter().filter_map(|id| self.entry(id)).collect())
    }

    /// Removes what is left of sandboxes that were killed, and those whose time is over.
    pub(super) fn sweep(&self) -> Result<(), Error> {
        for name in self.everything()? {
            if name.starts_with(GONE) {
                self.discard(&name)?;
            } else if let Some(id) = name.strip_prefix(NEW) {
                self.sweep_new(&name, id)?;
            } else if let Some(id) = name.strip_prefix(READY) {
                self.sweep_ready(id)?;
            } else if let Some(entry) = self.entry(&name) {
                self.sweep_one(&entry)?;
            }
        }
        Ok(())
    }

    /// Removes a directory that is still being filled, if whoever filled it was killed.
    pub(super) fn sweep_new(&self, name: &str, id: &str) -> Result<(), Error> {
        let entry = Entry::at(id, self.root.join(name));
        // It has its turn from the first moment on, or for that moment not yet.
        let lock = File::open(entry.path("turn")).ok().map(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock));
        let dead = match &lock {
            Some(lock) => lock.is_ok(),
            None => self.is_old(name),
        };
        // By now it may be whole, and its turn that of another.
        if !dead || !entry.directory.exists() {
            return Ok(());
        }
        if let Ok(record) = entry.record() {
            self.unname(&record.name, id);
        }
        self.discard(name)
    }

    fn is_old(&self, name: &str) -> bool {
        let age = fs::metadata(self.root.join(name)).and_then(|found| found.modified()).map(|at| at.elapsed());
        age.is_ok_and(|age| age.is_ok_and(|age| age > FILLING))
    }

    fn sweep_one(&self, entry: &Entry) -> Result<(), Error> {
        // Whoever has its turn knows what becomes of it.
        let Some(_turn) = entry.try_turn() else { return Ok(()) };
        if entry.lives() {
            return Ok(());
        }
        let Ok(record) = entry.record() else {
            // What cannot be read says nothing; that somebody wanted the files kept the directory says.
            return if entry.keeps_files() { Ok(()) } else { self.remove(entry) };
        };
        if !record.keep || record.filling || record.is_over(entry.used()) { self.remove(entry) } else { Ok(()) }
    }

    /// Makes the directory of a new sandbox and writes what is known of it. The caller has its turn.
    pub(super) fn add(&self, record: &Record, order: &Order) -> Result<(Entry, Flock<File>), Error> {
        self.add_as(&record.id, (record, order), record.keep || record.filling, || {
            // Before anybody sees it: whoever makes it may be killed at any moment.
            self.claim(&record.name, &record.id)
        })
    }

    /// The same of one that waits for somebody who wants it: it has no name, and may be kept by him.
    pub(super) fn add_ready(
        &self,
        record: &Record,
        order: &Order,
        keeps_files: bool,
    ) -> Result<(Entry, Flock<File>), Error> {
        self.add_as(&format!("{READY}{}", record.id), (record, order), keeps_files, || Ok(()))
    }

    fn add_as(
        &self,
        name: &str,
        (record, order): (&Record, &Order),
        keeps_files: bool,
        claim: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(Entry, Flock<File>), Error> {
        self.make()?;
        let filling = self.root.join(format!("{NEW}{}", record.id));
        let attempt = || format!("make `{}`", filling.display());
        DirBuilder::new().mode(0o700).create(&filling).map_err(|error| Error::attempt(attempt(), &error))?;
        let entry = Entry::at(&record.id, filling.clone());
        let filled = || -> Result<(Entry, Flock<File>), Error> {
            let turn = entry.first_turn()?;
            File::create(entry.path("alive")).map_err(|error| Error::attempt("make `alive`", &error))?;
            for name in ["upper", "work"].iter().filter(|_| keeps_files) {
                let made = DirBuilder::new().mode(0o755).create(entry.path(name));
                made.map_err(|error| Error::attempt(format!("make `{name}`"), &error))?;
                // Root's own id is not inside.
                if is_real_root() {
                    let given = chown(entry.path(name), Some(UNPRIVILEGED_ID), Some(UNPRIVILEGED_ID));
                    given.map_err(|error| Error::attempt(format!("give `{name}` away"), &error))?;
                }
            }
            entry.draft("spec.json", order)?;
            entry.draft("record.json", record)?;
            if entry.keeps_files() {
                sync_directory(&filling)?;
            }
            claim()?;
            let directory = self.root.join(name);
            fs::rename(&filling, &directory).map_err(|error| Error::attempt(attempt(), &error))?;
            if keeps_files {
                sync_directory(&self.names())?;
                sync_directory(&self.root)?;
            }
            Ok((Entry { called: record.name.clone(), ..Entry::at(&record.id, directory) }, turn))
        };
        filled().inspect_err(|_| {
            self.unname(&record.name, &record.id);
            // What kept it from being made is what the caller has to know.
            let _ = self.discard(&format!("{NEW}{}", record.id));
            // By that name where it was not known to have reached the disk.
            let _ = self.discard(name);
        })
    }

    /// Removes a sandbox that does not run. One that was kept does not come back after a power cut.
    pub(super) fn remove(&self, entry: &Entry) -> Result<(), Error> {
        let record = entry.record();
        if let Ok(record) = &record {
            self.unname(&record.name, &entry.id);
        }
        let gone = format!("{GONE}{}", entry.id);
        match fs::rename(&entry.directory, self.place(&gone)) {
            Ok(()) if record.map_or(true, |record| record.keep) => sync_directory(&self.root)?,
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::attempt(format!("rename `{}`", entry.directory.display()), &error));
            }
            _ => {}
        }
        self.discard(&gone)
    }

    /// A file without a name, for what has to be known as a whole before it is passed on.
    pub(super) fn spool(&self) -> Result<File, Error> {
        self.make()?;
        // Whoever is killed before it is unlinked leaves what the next call removes.
        let path = self.root.join(format!("{GONE}spool-{:016x}", RandomState::new().hash_one(std::process::id())));
        let opened = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = opened.map_err(|error| Error::attempt(format!("make `{}`", path.display()), &error))?;
        match fs::remove_file(&path) {
            // Swept away by somebody else already.
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::attempt(format!("remove `{}`", path.display()), &error))
            }
            _ => Ok(file),
        }
    }

    /// Removes a directory that is no sandbox, or no longer.
    fn discard(&self, name: &str) -> Result<(), Error> {
        let root = File::open(&self.root)
            .map_err(|error| Error::attempt(format!("open `{}`", self.root.display()), &error))?;
        tree::remove(root.as_fd(), OsStr::new(name)).map_err(Error::from)
    }
}

impl Record {
    /// Whether its time is over; `used`: when it was used last.
    pub(super) fn is_over(&self, used: u64) -> bool {
        self.ttl.is_some_and(|ttl| now() >= self.created.saturating_add(ttl))
            || self.idle_rm.is_some_and(|idle| now() >= used.saturating_add(idle))
    }
}

/// Sixteen hexadecimal digits.
pub(super) fn is_id(word: &str) -> bool {
    word.len() == 16 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What a sandbox may be called: no path, no option, no more than a file name holds.
pub fn is_name(word: &str) -> bool {
    let mut bytes = word.bytes();
    word.len() <= 128
        && bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_and_no_option() {
        for name in ["a", "my-box", "x.1_2", "0123456789abcdef"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", ".", "..", "a/b", "a b", "é", "_a", &"x".repeat(129)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_sandbox_is_over_when_its_time_is() {
        let record = |ttl, idle_rm| Record { created: now() - 10, ttl, idle_rm, ..Record::default() };
        assert!(!record(None, None).is_over(0));
        assert!(record(Some(10), None).is_over(now()));
        assert!(!record(Some(100), Some(100)).is_over(now()));
        assert!(record(None, Some(5)).is_over(now() - 6));
    }
}
