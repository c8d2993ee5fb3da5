//! Persistent sandboxes: the verbs and their results.

mod copies;
mod lasting;
mod life;
mod look;

pub use copies::{Diff, Export, Fork, SnapshotCreate, SnapshotLs, SnapshotRm};
pub use lasting::Life;
pub use life::{Label, Rename, Resize, Rm, Start, Stop};
pub use look::{End, Inspect, Limits, Logs, Ls, Stats, Wait};

use super::create::{Create, Import};
use super::git::Cloned;
use super::table;
use crate::outcome::{Enforcement, Published};
use crate::sandbox::{Entry, Run};
use serde::Serialize;
use std::collections::BTreeMap;

table! {
    /// Persistent sandboxes.
    Sandbox, METHODS, described {
        /// Make a persistent sandbox
        Create(Create) = "create",
        /// List persistent sandboxes
        Ls(Ls) = "ls",
        /// Show all that is known of a sandbox, as JSON
        Inspect(Inspect) = "inspect",
        /// Show what a sandbox uses
        Stats(Stats) = "stats",
        /// Print what a sandbox's own command has written
        Logs(Logs) = "logs",
        /// Wait until a sandbox ends, and exit as its own command did
        Wait(Wait) = "wait",
        /// End sandboxes; those that are not kept are removed
        Stop(Stop) = "stop",
        /// Start kept sandboxes that were stopped
        Start(Start) = "start",
        /// Remove sandboxes and their files
        Rm(Rm) = "rm",
        /// Change the limits of a sandbox
        Resize(Resize) = "resize",
        /// Change how long a sandbox lasts
        Life(Life) = "life",
        /// Give a sandbox another name
        Rename(Rename) = "rename",
        /// Show and change the labels of a sandbox
        Label(Label) = "label",
        /// Make another sandbox with a copy of the files of this one
        Fork(Fork) = "fork",
        /// List what a sandbox has changed against its image
        Diff(Diff) = "diff",
        /// Write a whole sandbox to a file, for another machine
        Export(Export) = "export",
        /// Make a sandbox from a file that `belljar export` wrote, and start it
        Import(Import) = "import",
    }
}

table! {
    /// What to do with snapshots.
    Snapshot, SNAPSHOT_METHODS, snapshots_described {
        /// Make an image of a sandbox's image and its files, as they are at this moment
        ///
        /// The image of a sandbox on the machine's own files needs them: only `create --image` takes it.
        Create(SnapshotCreate) = "snapshot.create",
        /// List the images that are snapshots
        Ls(SnapshotLs) = "snapshot.ls",
        /// Take the names of snapshots away, and with the last name the image
        Rm(SnapshotRm) = "snapshot.rm",
    }
}

/// A sandbox that was made.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Made {
    /// Its id, unique on this host.
    pub id: String,
    /// Its name; the id, where it has none.
    pub name: String,
    /// The root file system: `host`, or an image with its digest.
    pub image: String,
    /// Each protection, and how far it is enforced.
    pub enforcement: BTreeMap<String, Enforcement>,
    /// Ports that are reached from the host; none where none were asked for.
    pub published: Vec<Published>,
    /// The repository that was cloned into it; null where none was asked for.
    pub git: Option<Cloned>,
}

impl Made {
    /// What is told of it.
    pub fn of((entry, run): (Entry, Run)) -> Made {
        let (name, published) = (entry.name(), run.published);
        Made { name, id: entry.id, image: run.image, enforcement: run.enforcement, published, git: None }
    }
}

impl super::Told for Made {
    fn people(&self) -> String {
        format!("{}\n", self.name)
    }
}
