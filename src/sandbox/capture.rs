//! Files of a sandbox at one moment: for an image, or for another sandbox.
//!
//! Those of a sandbox that is not kept are in memory that no path leads to; its supervisor has taken hold of them.

use super::call::{Call, Line};
use super::entry::GLANCE;
use super::place::now;
use super::start::{launch, new_id};
use super::{Entry, Record, Run, Sandboxes};
use crate::error::{Error, Kind, Problem};
use crate::host::{UNPRIVILEGED_ID, is_real_root};
use crate::images::store::{HOST, Lease};
use crate::images::{self, Digest, Reference, Store, capture};
use crate::spec::{Lasting, Order, Spec, Userns};
use crate::trees::copy::copy;
use crate::trees::files::Files;
use nix::fcntl::Flock;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};

/// A sandbox in which nothing changes as long as the value is there.
pub(super) struct Still {
    pub(super) upper: File,
    gone: Vec<Vec<u8>>,
    _turn: Flock<File>,
    _frozen: Option<Line>,
}

impl Still {
    /// What is to be copied.
    pub(super) fn files(&self) -> Files<'_> {
        Files { upper: self.upper.as_fd(), gone: &self.gone }
    }

    pub(super) fn hold(entry: &Entry) -> Result<Still, Error> {
        let turn = entry.turn()?;
        let order = entry.order()?;
        let spec = &order.spec;
        if spec.userns == Userns::Range {
            let problem = Problem::new("userns", format!("the files of `{}` have several owners", entry.name()));
            let hint = "a layer has one: make the sandbox without `--userns range`";
            return Err(Error::invalid(vec![problem.hint(hint)]));
        }
        let kept = order.keeps_files();
        let image = spec.image.is_some();
        let (mut layers, line) = loop {
            if kept && !entry.at_rest()? {
                break (Vec::new(), None);
            }
            match Line::to(entry).and_then(|line| Ok((line.ask(entry, &Call::Freeze)?.1, line))) {
                // It has ended in this moment.
                Err(error) if kept && matches!(error.kind, Kind::NotRunning | Kind::Ended) => {
                    std::thread::sleep(GLANCE)
                }
                frozen => break frozen.map(|(layers, line)| (layers, Some(line)))?,
            }
        };
        let upper = match layers.pop() {
            Some(layer) => File::from(layer),
            None => File::open(entry.path("upper")).map_err(|error| Error::attempt("open `upper`", &error))?,
        };
        // Without an overlay nothing is left of what was given and is gone.
        let gone = if kept || image { Vec::new() } else { super::diff::gone(&upper, &order)? };
        Ok(Still { upper, gone, _turn: turn, _frozen: line })
    }
}

/// Makes an image of a sandbox's image with the sandbox's files on top. That of a sandbox on the machine's own files needs these.
///
/// # Errors
///
/// `Invalid` for a sandbox that has a range of ids.
pub fn snapshot(
    sandboxes: &Sandboxes,
    word: &str,
    store: &Store,
    name: &Reference,
    created: &str,
) -> Result<Digest, Error> {
    let entry = sandboxes.find(word)?;
    let base = images::lease(&entry.order()?, Some(store))?;
    let still = Still::hold(&entry)?;
    let snapshot = capture::Snapshot { name, of: &entry.name(), created };
    capture::snapshot(store, base.as_ref(), still.files(), snapshot)
}

/// The image of a snapshot that lies on the machine's own files, where `spec` names one.
pub(super) fn on_the_host(spec: &Spec, store: Option<&Store>) -> Result<Option<Lease>, Error> {
    let named = spec.image.as_deref().filter(|name| *name != HOST);
    let lease = named.zip(store).map(|(name, store)| store.find(name)).transpose()?.flatten();
    Ok(lease.filter(|lease| lease.record.needs_host))
}

/// Makes a sandbox on the machine's own files, with those of a snapshot.
pub(super) fn restore(
    sandboxes: &Sandboxes,
    store: &Store,
    lease: &Lease,
    draft: Draft,
) -> Result<(Entry, Run), Error> {
    let Draft { record, order } = draft;
    let record = Record { filling: true, ..record };
    let mut fill = |upper: BorrowedFd<'_>, owner| {
        for layer in &lease.record.layers {
            let layer =
                File::open(store.layer(layer)).map_err(|error| Error::attempt("open a layer of the image", &error))?;
            copy(Files { upper: layer.as_fd(), gone: &[] }, upper, owner)?;
        }
        Ok(())
    };
    made_with_files(sandboxes, Some(store), Draft { record, order }, &mut fill)
}

/// Makes another sandbox with a copy of the files of this one, and starts it.
///
/// # Errors
///
/// As [`snapshot`], and those of [`create`](super::create); nothing is left of it then.
pub fn fork(
    sandboxes: &Sandboxes,
    word: &str,
    name: Option<&str>,
    store: Option<&Store>,
) -> Result<(Entry, Run), Error> {
    let entry = sandboxes.find(word)?;
    if entry.order()?.warm.is_some() {
        let problem = Problem::new(
            "sandbox",
            format!("`{}` is a warm template, whose interpreter cannot be copied", entry.name()),
        );
        return Err(Error::misused(vec![problem.hint("`belljar warm create` makes another like it")]));
    }
    let id = new_id();
    let name = name.map_or_else(|| id.clone(), str::to_owned);
    super::start::check_name(&name)?;
    let record = Record { id, name, created: now(), filling: true, ..entry.record()? };
    let mut fill = |upper: BorrowedFd<'_>, owner| {
        let still = Still::hold(&entry)?;
        copy(still.files(), upper, owner)
    };
    let mut order = entry.order()?;
    // The host's ports are the other's, which has them as long as it runs.
    order.spec.publish.clear();
    made_with_files(sandboxes, store, Draft { record, order }, &mut fill)
}

/// Gives a directory files, each to this owner.
pub(super) type Fill<'f> = &'f mut dyn FnMut(BorrowedFd<'_>, Option<(u32, u32)>) -> Result<(), Error>;

/// A sandbox that is not made yet.
pub(super) struct Draft {
    pub(super) record: Record,
    pub(super) order: Order,
}

/// Makes a sandbox that has files before it is started. Killed meanwhile, it is removed by the next call that lists.
pub(super) fn made_with_files(
    sandboxes: &Sandboxes,
    store: Option<&Store>,
    draft: Draft,
    fill: Fill<'_>,
) -> Result<(Entry, Run), Error> {
    let Draft { mut record, mut order } = draft;
    let (entry, turn) = sandboxes.add(&record, &order)?;
    let mut filled = || -> Result<(), Error> {
        order.lasting = Some(Lasting { kept: Some(entry.directory.clone()), guest: false });
        entry.write("spec.json", &order)?;
        let upper = File::open(entry.path("upper")).map_err(|error| Error::attempt("open `upper`", &error))?;
        fill(upper.as_fd(), is_real_root().then_some((UNPRIVILEGED_ID, UNPRIVILEGED_ID)))?;
        super::start::pin_image(&entry, &record, &order, store)?;
        record.filling = false;
        entry.write("record.json", &record)
    };
    let started = filled().and_then(|()| launch(&entry));
    if started.is_err() {
        // What kept it from being made is what the caller has to know.
        let _ = sandboxes.remove(&entry);
    }
    drop(turn);
    started.map(|run| (entry, run))
}
