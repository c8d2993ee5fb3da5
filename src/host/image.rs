//! An image as a sandbox is started from it: its layers on disk, and what its makers configured.
//!
//! Plain data, written by the store when an image comes in, so that a start reads one small file.

use crate::outcome::signal_number;
use crate::spec::User;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// An unpacked image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Its name and its digest, as the result says it: `python@sha256:…`.
    pub shown: String,
    /// The layers' trees, the lowest first.
    pub layers: Vec<PathBuf>,
    /// What its makers configured.
    pub config: Config,
}

/// What of an image's configuration bears on a sandbox (OCI image specification, "Image Configuration").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Words before the command.
    pub entrypoint: Vec<String>,
    /// The command where none is given.
    pub cmd: Vec<String>,
    /// `KEY=VALUE`.
    pub env: Vec<String>,
    /// The ids of its user, names resolved in its own `/etc/passwd`.
    pub user: Option<(u32, u32)>,
    /// Where commands begin.
    pub workdir: Option<String>,
    /// What tells its command to end, by name or number.
    pub stop_signal: Option<String>,
    /// Its `/etc/passwd`.
    pub passwd: String,
    /// Its `/etc/group`.
    pub group: String,
}

impl Config {
    /// Its user.
    pub fn user(&self) -> Option<User> {
        self.user.map(|(uid, gid)| User { uid, gid })
    }

    /// The number of the signal that tells its command to end.
    pub fn stop_signal(&self) -> Option<i32> {
        let word = self.stop_signal.as_deref()?;
        let named = || signal_number(word).or_else(|| signal_number(&format!("SIG{word}")));
        word.parse().ok().filter(|number| (1..=64).contains(number)).or_else(named)
    }

    /// Name and home directory of a user, by `/etc/passwd`.
    pub fn account(&self, uid: u32) -> Option<(&str, &str)> {
        self.passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.len() == 7 && fields[2].parse() == Ok(uid)).then(|| (fields[0], fields[5]))
        })
    }

    /// Whether `/etc/group` has that id.
    pub fn has_group(&self, gid: u32) -> bool {
        self.group.lines().any(|line| line.split(':').nth(2).is_some_and(|id| id.parse() == Ok(gid)))
    }
}
