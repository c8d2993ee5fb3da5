//! Files, sessions and language servers of sandboxes: list, read, write, search and copy. All of it happens inside the sandbox.
//!
//! [`inside::serve`] is what runs inside: belljar's own binary, from a sealed copy in memory, restricted as every command of
//! the sandbox is. It answers one [`Request`] after another over its standard streams. [`Client`] is the host's side: it
//! moves bytes and prints names, and never opens a path that the sandbox controls. What comes from inside is believed by nobody: frames
//! have a longest length, and a tree is unpacked as the layer of an image that anybody may have made
//! ([`trees::unpack`](crate::trees::unpack)).
//!
//! Both sides use the one error of the house, [`Error`], and one for a tree on its way, a tar archive ([`tree`]).

pub mod bulk;
mod client;
pub mod draft;
pub mod inside;
pub mod language;

mod patient;
pub mod remote;
pub mod session;
pub mod tree;
pub mod wire;

pub use crate::name::Name;
pub use client::{Client, Heard, MOST_BYTES, Most, said};

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long the tool may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// The same where one call to the kernel after another is made and nothing is to be told.
const LONG_SILENCE: Duration = Duration::from_secs(600);

/// What is asked of the tool inside. Relative paths count from the sandbox's working directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Request {
    /// What is in a directory, down to `depth` levels. Items are [`Entry`]s.
    List {
        /// The directory; of anything else the item is itself.
        path: Name,
        /// 1: the directory alone.
        depth: u32,
    },
    /// What a path is, itself and not what a link leads to. One [`Entry`].
    Stat {
        /// The path.
        path: Name,
    },
    /// Makes a directory.
    MakeDirectory {
        /// The path.
        path: Name,
        /// Those above it too, and none is an error that is there.
        parents: bool,
        /// Permissions.
        mode: u32,
    },
    /// Removes a file or a directory.
    Remove {
        /// The path.
        path: Name,
        /// A directory with all that is in it.
        recursive: bool,
        /// What is not there is no error.
        force: bool,
    },
    /// Renames, or moves to another file system.
    Move {
        /// From.
        from: Name,
        /// To; into it, where it is a directory.
        to: Name,
        /// Whether a file that is there may go.
        replace: bool,
    },
    /// Sets permissions.
    ChangeMode {
        /// The path.
        path: Name,
        /// Permissions.
        mode: u32,
        /// Of everything in it too, links aside.
        recursive: bool,
    },
    /// The content of a regular file, as data.
    Read {
        /// The path; links are followed.
        path: Name,
        /// The first byte.
        offset: u64,
        /// How many, at most.
        length: Option<u64>,
    },
    /// Takes data as the content of a file, all at once or not at all.
    Write {
        /// The path; links are followed.
        path: Name,
        /// Permissions; those of the file that is there, else 0644.
        mode: Option<u32>,
        /// Makes directories above it.
        parents: bool,
        /// Behind what is there.
        append: bool,
    },
    /// Paths below a directory. Items are [`Entry`]s.
    Find {
        /// Where to begin.
        path: Name,
        /// What the last part of a path must match, as shells match names.
        pattern: Option<String>,
        /// What it must be.
        kind: Option<EntryKind>,
        /// Levels down, at most.
        depth: Option<u32>,
    },
    /// Lines that have a text in them, in regular files that are text. Items are [`Line`]s.
    Grep {
        /// A file, or a directory with all that is in it.
        path: Name,
        /// The text, as it is.
        pattern: String,
        /// What the last part of a file's path must match.
        files: Option<String>,
        /// Whether small and capital letters of ASCII are the same.
        ignore_case: bool,
    },
    /// What changes in a directory, until nobody listens any more. Items are [`Changed`]s, the first of which says that it has begun.
    Watch {
        /// The directory; a link is followed.
        path: Name,
        /// What is below it too.
        recursive: bool,
    },
    /// Replaces a text everywhere. Items are [`Replaced`]s.
    Replace {
        /// The files.
        files: Vec<Name>,
        /// The text, as it is.
        pattern: String,
        /// What comes in its place.
        text: String,
    },
    /// A file or directory with all that is in it, as a tar archive of one member, as data. What it leaves out are items
    /// ([`Skipped`]).
    Pull {
        /// The path. A link is followed here, and nowhere below.
        path: Name,
        /// The name of the archive's first member.
        name: Name,
    },
    /// How many bytes such an archive is about to have of content. One number.
    Measure {
        /// The path.
        path: Name,
    },
    /// Something about sessions; about all, where none is named.
    Session {
        /// Its id.
        id: Option<String>,
        /// What.
        ask: session::Ask,
    },
    /// Starts git with a line to its caller. From there on the pipes are its own ([`remote`]).
    Git(Box<remote::Call>),
    /// Takes data as such an archive. Items are [`Pushed`].
    Push {
        /// Where it goes; into it, where it is a directory.
        path: Name,
        /// What it is called there.
        name: Name,
    },
}

impl Request {
    /// How long the tool may be silent before it is given up. It says every second that it is at work where it looks for something;
    /// a job may take its time.
    pub fn patience(&self) -> Option<Duration> {
        match self {
            Request::Session { ask: session::Ask::Run { wait: true, timeout_ms, .. }, .. } => {
                Some(timeout_ms.map_or(LONG_SILENCE, |time| Duration::from_millis(time).saturating_add(SILENCE)))
            }
            // Its keeper gives a sign of life every second, and has a deadline from whoever asks.
            Request::Session { ask: session::Ask::Language(_), .. } => Some(SILENCE),
            // Its keeper gives a sign of life every second; while somebody takes a copy of the sandbox, everybody inside stands still.
            Request::Session { ask: session::Ask::Logs { follow: true, .. } | session::Ask::Attach { .. }, .. }
            | Request::Watch { .. } => Some(LONG_SILENCE),
            Request::Remove { .. } | Request::ChangeMode { .. } | Request::Push { .. } => Some(LONG_SILENCE),
            _ => Some(SILENCE),
        }
    }

    /// Whether data follows the request.
    pub fn has_data(&self) -> bool {
        matches!(self, Request::Write { .. } | Request::Push { .. })
    }
}

/// What stands in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A fifo, socket or device.
    Special,
}

/// One path and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// As it was asked for, with what lies below it.
    pub path: Name,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes.
    pub size: u64,
    /// Permissions, with the bits above them.
    pub mode: u32,
    /// Seconds since 1970 of the last change of content.
    pub modified: i64,
    /// As seen inside.
    pub uid: u32,
    /// As seen inside.
    pub gid: u32,
    /// Where a link leads.
    pub target: Option<Name>,
}

/// One line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FoundLine"))]
pub struct Line {
    /// The file.
    pub path: Name,
    /// From 1.
    pub line: u64,
    /// Without its end, and no longer than 64 KiB.
    pub content: Name,
}

/// What happened to a file of a directory that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Nothing yet: changes are told from here on.
    Begun,
    /// It is there now, or under this name.
    Created,
    /// Its content is another.
    Written,
    /// It is there no longer.
    Removed,
    /// It is there no longer, because it has another name.
    Renamed,
    /// Its permissions or owner are others.
    Permissions,
}

impl What {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            What::Begun => "begun",
            What::Created => "created",
            What::Written => "written",
            What::Removed => "removed",
            What::Renamed => "renamed",
            What::Permissions => "permissions",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// From the directory that is watched.
    pub path: Name,
    /// What happened.
    pub what: What,
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FileReplaced"))]
pub struct Replaced {
    /// The file.
    pub path: Name,
    /// How often the text stood there.
    pub count: u64,
    /// Why it was not replaced.
    pub error: Option<Error>,
}

/// What the tool inside says of an archive that it has put in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pushed {
    /// Where it is now.
    Placed {
        /// Inside.
        place: Name,
        /// Bytes of content.
        bytes: u64,
    },
    /// What there was no room for.
    LeftOut(Skipped),
}

/// Something that was not copied, or not whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Skipped {
    /// What.
    pub path: Name,
    /// Why.
    pub why: String,
    /// Whether it would have been copied, and could not be.
    #[serde(default)]
    pub failed: bool,
}
