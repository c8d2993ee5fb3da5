//! A sandbox's directory: its records, durable where its files are kept, and its two locks, `turn` and `alive`.
//!
//! Never follows a path that the sandbox controls, and never takes what cannot be read for what is not there.

use super::{End, Reason, Record, Run, State, errors};
use crate::error::Error;
use crate::spec::{Order, Spec};
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a supervisor that was killed may take to let go of its sandbox.
const LETTING_GO: Duration = Duration::from_millis(200);
/// Between two looks at what changes by itself.
pub(super) const GLANCE: Duration = Duration::from_millis(2);

/// One sandbox of a caller.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// Its directory.
    pub directory: PathBuf,
    /// What its caller calls it: for messages, when nothing else is left of it.
    pub(super) called: String,
}

impl Entry {
    pub(super) fn at(id: &str, directory: PathBuf) -> Entry {
        Entry { id: id.to_owned(), directory, called: id.to_owned() }
    }

    /// A file of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What its maker said.
    pub fn record(&self) -> Result<Record, Error> {
        self.read("record.json")
    }

    /// What was asked for.
    pub fn spec(&self) -> Result<Spec, Error> {
        Ok(self.order()?.spec)
    }

    /// The same with how it outlives its command.
    pub fn order(&self) -> Result<Order, Error> {
        let mut order: Order = self.read("spec.json")?;
        // Wherever it is now: whoever has moved or copied it means these files.
        if let Some(kept) = order.lasting.as_mut().and_then(|lasting| lasting.kept.as_mut()) {
            kept.clone_from(&self.directory);
        }
        Ok(order)
    }

    /// What its supervisor said.
    pub fn run(&self) -> Run {
        self.read("run.json").unwrap_or_default()
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        // In this order: a supervisor writes its last word before it lets go.
        let lives = self.lives();
        let run = self.run();
        match (lives, run.started, run.end) {
            (true, _, Some(_)) => State::Stopping,
            (true, 0, None) => State::Starting,
            (true, _, None) => State::Running,
            (false, 0, None) => State::Stopped,
            (false, _, Some(_)) => State::Stopped,
            (false, _, None) => State::Lost,
        }
    }

    /// Its name, for messages.
    pub fn name(&self) -> String {
        self.record().map_or_else(|_| self.called.clone(), |record| record.name)
    }

    /// That it has ended so while a call was under way.
    pub(super) fn ended_so(&self, run: &Run) -> Error {
        errors::ended(&self.name(), run.end.as_ref().map(End::told).as_deref())
    }

    /// That it has ended while a call was under way, of which its supervisor has not told us.
    pub(super) fn ended(&self) -> Error {
        // A supervisor that was killed lets go of the call first, and of the sandbox in the next moment.
        let until = Instant::now() + LETTING_GO;
        while self.lives() && self.run().end.is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        match (self.directory.exists(), self.run(), self.state()) {
            (false, ..) => self.removed(),
            (true, run, _) if run.end.is_some() => self.ended_so(&run),
            (true, _, State::Lost) => errors::ended(&self.name(), Some("its supervisor was killed")),
            _ => errors::ended(&self.name(), None),
        }
    }

    /// That it was removed after it was found.
    pub(super) fn removed(&self) -> Error {
        errors::ended(&self.called, Some(Reason::Removed.told()))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let path = self.path(name);
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound if !self.directory.exists() => self.removed(),
            _ => self.broken(&path, &error),
        })?;
        serde_json::from_slice(&bytes).map_err(|error| self.broken(&path, &error.into()))
    }

    /// That what is written about it cannot be read: which file, and what is still there.
    fn broken(&self, path: &Path, error: &std::io::Error) -> Error {
        let trouble = Error::attempt(format!("read `{}`", path.display()), error);
        if !self.keeps_files() {
            return trouble;
        }
        let files = self.path("upper");
        trouble.hint(format!("its files are in `{}`; `belljar rm {}` removes it", files.display(), self.id))
    }

    /// Writes a file so that nobody ever sees half of it. Where files are kept it is on the disk then.
    pub(super) fn write(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let durable = self.keeps_files();
        self.put(name, value, durable)?;
        if durable { sync_directory(&self.directory) } else { Ok(()) }
    }

    /// The same of what is known of a run that goes on: with the power it ends, and nobody asks what was known of it.
    pub(super) fn note(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        self.put(name, value, false)
    }

    /// The same in a directory that has no name yet, and that is on the disk before it gets one.
    pub(super) fn draft(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        self.put(name, value, self.keeps_files())
    }

    fn put(&self, name: &str, value: &impl Serialize, durable: bool) -> Result<(), Error> {
        let (path, draft) = (self.path(name), self.path(&format!(".{name}")));
        let attempt = format!("write `{}`", path.display());
        let text = serde_json::to_vec(value).map_err(|error| Error::attempt(attempt.clone(), &error.into()))?;
        let written = File::create(&draft).and_then(|mut file| {
            file.write_all(&text)?;
            // The name must not reach the disk before what it names (rename(2) promises nothing of that).
            if durable { file.sync_all() } else { Ok(()) }
        });
        let renamed = written.and_then(|()| fs::rename(&draft, &path));
        renamed.map_err(|error| match error.kind() {
            ErrorKind::NotFound => self.removed(),
            _ => Error::attempt(attempt, &error),
        })
    }

    /// The same on a disk that is full: over what stands there, whose room it has. A power cut in this moment damages it.
    pub(super) fn write_over(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        self.write(name, value).or_else(|trouble| {
            let full = matches!(trouble.errno, Some(libc::ENOSPC | libc::EDQUOT));
            let Some(text) = serde_json::to_vec(value).ok().filter(|_| full) else { return Err(trouble) };
            let written = File::options().write(true).open(self.path(name)).and_then(|mut file| {
                file.write_all(&text)?;
                file.set_len(text.len() as u64)?;
                file.sync_all()
            });
            written.map_err(|_| trouble)
        })
    }

    /// Whether files of it are kept on the disk: known even where nothing that is written about it can be read.
    pub fn keeps_files(&self) -> bool {
        self.path("upper").is_dir()
    }

    /// Its turn, in a directory that others may see already: a file that is locked before it has its name, since whoever finds
    /// it unlocked takes its maker for dead.
    pub(super) fn first_turn(&self) -> Result<Flock<File>, Error> {
        let (draft, path) = (self.path(".turn"), self.path("turn"));
        let attempt = |error: &std::io::Error| Error::attempt(format!("make `{}`", path.display()), error);
        let file = File::create(&draft).map_err(|error| attempt(&error))?;
        let turn = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| attempt(&errno.into()))?;
        fs::rename(&draft, &path).map_err(|error| attempt(&error))?;
        Ok(turn)
    }

    fn lock(&self, name: &str, how: FlockArg) -> Result<Option<Flock<File>>, Error> {
        let path = self.path(name);
        let opened = File::options().read(true).write(true).create(name == "turn").truncate(false).open(&path);
        let file = opened.map_err(|error| match error.kind() {
            ErrorKind::NotFound => self.removed(),
            _ => Error::attempt(format!("open `{}`", path.display()), &error),
        })?;
        match Flock::lock(file, how) {
            Ok(lock) => Ok(Some(lock)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(Error::attempt(format!("lock `{}`", path.display()), &errno.into())),
        }
    }

    /// Waits for the right to change it.
    pub(super) fn turn(&self) -> Result<Flock<File>, Error> {
        let turn = self.lock("turn", FlockArg::LockExclusive)?;
        turn.ok_or_else(|| self.removed())
    }

    /// The same, where nobody else has it.
    pub(super) fn turn_at_once(&self) -> Result<Option<Flock<File>>, Error> {
        self.lock("turn", FlockArg::LockExclusiveNonblock)
    }

    pub(super) fn try_turn(&self) -> Option<Flock<File>> {
        self.turn_at_once().ok().flatten()
    }

    /// The right to be its supervisor, which it writes down that it is.
    pub(super) fn life(&self) -> Result<Flock<File>, Error> {
        // Whoever looks whether it lives holds the lock for a moment.
        let life = self.lock("alive", FlockArg::LockExclusive)?;
        let mut life = life.ok_or_else(|| errors::running(&self.name()))?;
        let written = life.set_len(0).and_then(|()| write!(life, "{}", std::process::id()));
        written.map_err(|error| Error::attempt("write down who supervises", &error))?;
        Ok(life)
    }

    /// Waits until it has ended.
    pub(super) fn await_end(&self) {
        // Gone is ended too.
        let _ = self.lock("alive", FlockArg::LockShared);
    }

    /// Whether its supervisor is there.
    pub fn lives(&self) -> bool {
        matches!(self.lock("alive", FlockArg::LockSharedNonblock), Ok(None))
    }

    /// When it was last used, as far as a sandbox that does not run can tell.
    pub(super) fn used(&self) -> u64 {
        self.run().end.map_or_else(|| self.record().map_or(0, |record| record.created), |end| end.at)
    }
}

/// Waits until the names in a directory are on the disk.
pub(super) fn sync_directory(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(|error| Error::attempt(format!("write `{}` to the disk", path.display()), &error))
}
