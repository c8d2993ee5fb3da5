//! Sandboxes that are made before somebody asks for them: empty, restricted, and nobody's.
//!
//! A directory `ready.ID` in the place of `ID`, which no lookup finds, with a supervisor as every other. It is there as long as whoever
//! had it made holds the other end of its supervisor's standard input, and no longer; a process that is killed leaves nothing.
//! Whoever takes one has its turn, claims its name, and asks the supervisor to make it a sandbox as any other: which it does in one
//! rename(2), after all that is written about it is as for one that was made just now. Nothing that somebody had is ever taken again.

use super::call::{Answer, Call, Line};
use super::entry::sync_directory;
use super::place::now;
use super::start::{launch_ready, new_id, pin_image};
use super::{Entry, Reason, Record, Run, Sandboxes};
use crate::error::{Error, Kind};
use crate::images::Store;
use crate::spec::{Lasting, Order, Runs, Userns};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;

/// A directory of one that waits.
pub(super) const READY: &str = "ready.";

/// What is read of the host when a sandbox is made, and is not seen to change from inside: where one of these is another file than
/// before, or was written to, what is ready is not what would be made now.
const READ_AT_THE_START: [&str; 4] = ["/", "/etc", "/etc/resolv.conf", "/etc/hosts"];

/// What those that wait are made for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    order: Order,
    keep: bool,
}

/// Those that wait, as one who makes a sandbox finds them.
#[derive(Debug, Default)]
pub struct Ready {
    /// Ids; others may take them first.
    ids: Vec<String>,
    /// What was wanted.
    wanted: RefCell<Option<Template>>,
}

/// What was known of the host at one moment.
#[derive(Debug, PartialEq, Eq)]
pub struct Facts([Option<Stamp>; READ_AT_THE_START.len()]);

/// Which file it is, and when it was written to: device, inode, seconds, nanoseconds, and its size.
type Stamp = (u64, u64, i64, i64, u64);

impl Facts {
    /// How it is now.
    pub fn now() -> Facts {
        Facts(READ_AT_THE_START.map(|path| {
            let found = fs::metadata(path).ok()?;
            Some((found.dev(), found.ino(), found.mtime(), found.mtime_nsec(), found.size()))
        }))
    }
}

impl Template {
    /// Of an order whose image is named by its digest. `None`: what is made for it is begun by it, or sees what may have changed by then.
    fn of(order: &Order, keep: bool) -> Option<Template> {
        let spec = &order.spec;
        let is_plain = order.bundle.is_none()
            && order.runs() == Runs::Nothing
            && spec.mounts.is_empty()
            && spec.publish.is_empty()
            && spec.timeout.is_none()
            && spec.userns != Userns::Range;
        is_plain.then(|| Template { order: Order { lasting: Some(Lasting::default()), ..order.clone() }, keep })
    }
}

impl Ready {
    /// Of sandboxes that [`prepare`] has made.
    pub fn new(ids: Vec<String>) -> Ready {
        Ready { ids, wanted: RefCell::default() }
    }

    /// What was wanted of whoever asked, where that can be made before it is asked for.
    pub fn wanted(self) -> Option<Template> {
        self.wanted.into_inner()
    }

    /// Takes one that is as this order wants it, where its name is free. `record` says what becomes of it, but for its id, and its
    /// name where it has none.
    ///
    /// # Errors
    ///
    /// What the file system refused.
    pub(super) fn take(
        &self,
        sandboxes: &Sandboxes,
        store: Option<&Store>,
        order: &Order,
        record: &Record,
    ) -> Result<Option<(Entry, Run)>, Error> {
        let Some(wanted) = Template::of(order, record.keep) else { return Ok(None) };
        for id in &self.ids {
            let entry = sandboxes.ready(id);
            let Some(turn) = entry.try_turn() else { continue };
            // By now it may be somebody's, and its turn that of another.
            if !entry.directory.exists() || !wanted.is_of(&entry) {
                continue;
            }
            let name = if record.name == record.id { id } else { &record.name };
            let record = Record { id: id.clone(), name: name.clone(), created: now(), ..record.clone() };
            match sandboxes.claim(&record.name, id) {
                // By one that has ended, maybe, and goes before another is made.
                Err(error) if error.kind == Kind::NameTaken => break,
                claimed => claimed?,
            }
            let adopted = pin_image(&entry, &record, order, store).and_then(|()| entry.adopt(&record));
            if let Ok(run) = adopted {
                let entry = Entry { called: record.name.clone(), ..Entry::at(id, sandboxes.place(id)) };
                if record.keep {
                    sync_directory(&sandboxes.names())?;
                    sync_directory(&sandboxes.place("."))?;
                }
                drop(turn);
                self.wanted.replace(Some(wanted));
                return Ok(Some((entry, run)));
            }
            // One is made instead, for which the name is wanted.
            sandboxes.unname(&record.name, id);
            if let Some(entry) = sandboxes.entry(id).filter(|entry| !entry.lives()) {
                sandboxes.remove(&entry)?;
            }
        }
        self.wanted.replace(Some(wanted));
        Ok(None)
    }
}

impl Template {
    /// Whether that is what the sandbox was made for.
    fn is_of(&self, entry: &Entry) -> bool {
        let same = |order: Order| Order { lasting: Some(Lasting::default()), ..order } == self.order;
        entry.keeps_files() == self.keep && entry.order().is_ok_and(same)
    }
}

impl Entry {
    /// Asks the supervisor of one that waits to make it this sandbox.
    fn adopt(&self, record: &Record) -> Result<Run, Error> {
        match Line::to(self)?.ask(self, &Call::Adopt { record: record.clone() })? {
            (Answer::Adopted(run), _) => Ok(run),
            _ => Err(self.ended()),
        }
    }
}

impl Sandboxes {
    /// One that waits.
    pub(super) fn ready(&self, id: &str) -> Entry {
        Entry::at(id, self.place(&format!("{READY}{id}")))
    }

    /// Those that wait, whoever had them made.
    fn all_ready(&self) -> Result<Vec<Entry>, Error> {
        let names = self.everything()?;
        Ok(names.iter().filter_map(|name| name.strip_prefix(READY)).map(|id| self.ready(id)).collect())
    }

    /// Removes what is left of one whose supervisor was killed.
    pub(super) fn sweep_ready(&self, id: &str) -> Result<(), Error> {
        let entry = self.ready(id);
        // Whoever has its turn knows what becomes of it.
        let Some(_turn) = entry.try_turn() else { return Ok(()) };
        if entry.lives() || !entry.directory.exists() {
            return Ok(());
        }
        self.remove(&entry)
    }
}

/// Makes one that waits, and is there as long as the other end of `lease`, a SOCK_SEQPACKET socket, is; its id.
///
/// # Errors
///
/// Whatever keeps it from being made; nothing is left of it then.
pub fn prepare(sandboxes: &Sandboxes, template: Template, lease: OwnedFd) -> Result<String, Error> {
    sandboxes.sweep()?;
    let Template { mut order, keep } = template;
    let id = new_id();
    if keep {
        order.lasting = Some(Lasting { kept: Some(sandboxes.ready(&id).directory), guest: false });
    }
    // Nobody's, and not kept: it is removed when it ends.
    let record = Record { version: 1, id: id.clone(), name: id.clone(), created: now(), ..Record::default() };
    let (entry, turn) = sandboxes.add_ready(&record, &order, keep)?;
    let started = launch_ready(&entry, lease);
    if started.is_err() {
        // What kept it from being made is what the caller has to know.
        let _ = sandboxes.remove(&entry);
    }
    drop(turn);
    started.map(|_| id)
}

/// Ends those that wait for somebody who wants an image that has no name any more. Nobody will, and the image can go.
///
/// # Errors
///
/// The names of images cannot be read.
pub fn end_nameless(sandboxes: &Sandboxes, store: &Store) -> Result<(), Error> {
    let waiting = sandboxes.all_ready()?;
    if waiting.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = store.names()?.iter().map(|named| named.manifest.to_string()).collect();
    let nameless = |entry: &Entry| {
        let image = entry.order().ok().and_then(|order| order.spec.image);
        image.is_some_and(|image| image.contains(':') && !named.contains(&image))
    };
    for entry in waiting.iter().filter(|entry| nameless(entry)) {
        // Whoever takes it at this moment has it.
        let Some(_turn) = entry.try_turn() else { continue };
        let Ok(line) = Line::to(entry) else { continue };
        if line.say(&Call::Stop { grace_ms: 0, reason: Reason::Removed }, &[]).is_ok() {
            entry.await_end();
        }
    }
    Ok(())
}
