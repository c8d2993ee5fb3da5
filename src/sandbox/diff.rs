//! Differences between a sandbox's files and its image, or the root that sandboxes on the host's files start from.

use super::Sandboxes;
use super::capture::Still;
use crate::error::Error;
use crate::images::Store;
use crate::process;
use crate::spec::Order;
use crate::step::Step;
use crate::trees::changes::{Base, Change, Given, How, Item, changes};
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;

/// What is different, sorted by path; everybody inside stands still meanwhile.
///
/// # Errors
///
/// `Invalid` for a sandbox with a range of ids.
pub fn diff(sandboxes: &Sandboxes, word: &str, store: &Store) -> Result<Vec<Change>, Error> {
    let entry = sandboxes.find(word)?;
    let still = Still::hold(&entry)?;
    let order = entry.order()?;
    let plan = process::plan(&order, Some(store))?;
    let overlaid = plan.steps.init.iter().any(|step| matches!(step, Step::Overlay { .. }));
    let base = base(&plan.steps.init, overlaid)?;
    changes(still.upper.as_fd(), &base)
}

/// What of that which a sandbox on the machine's own files was given is gone.
pub(super) fn gone(upper: &File, order: &Order) -> Result<Vec<Vec<u8>>, Error> {
    let base = base(&process::plan(order, None)?.steps.init, false)?;
    let changes = changes(upper.as_fd(), &base)?;
    Ok(changes.into_iter().filter(|change| change.how == How::Deleted).map(|change| change.path).collect())
}

/// What pid 1 made before anything ran: the same steps say it. Without an overlay it lies in the writable layer itself.
fn base(steps: &[Step], overlaid: bool) -> Result<Base, Error> {
    let place = if overlaid { "upper/" } else { "root/" };
    let below = |path: &CString| path.as_bytes().strip_prefix(place.as_bytes()).map(<[u8]>::to_vec);
    let mut base = Base::default();
    for step in steps {
        let (path, item) = match step {
            Step::Directory { path, mode } => (path, Item::Directory(*mode)),
            Step::EmptyFile { path } => (path, Item::File(Vec::new())),
            Step::File { path, content, .. } => (path, Item::File(content.clone())),
            Step::Link { target, path } if path.as_bytes().starts_with(b"lower/") => {
                let layer = File::open(OsStr::from_bytes(target.as_bytes()));
                base.layers.push(layer.map_err(|error| Error::attempt("open a layer of the image", &error))?);
                continue;
            }
            Step::Link { target, path } => (path, Item::Link(target.as_bytes().to_vec())),
            _ => continue,
        };
        if let Some(path) = below(path) {
            base.given.insert(path, Given { item, inside: !overlaid });
        }
    }
    for step in steps {
        let Step::Place { path, mode, directory, .. } = step else { continue };
        let item = if *directory { Item::Directory(*mode) } else { Item::File(Vec::new()) };
        let there = base.has(path.as_bytes()).map_err(|errno| Error::attempt("look at the image", &errno.into()))?;
        if !there {
            base.given.insert(path.as_bytes().to_vec(), Given { item, inside: true });
        }
    }
    Ok(base)
}
