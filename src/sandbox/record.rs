//! What is written about a sandbox, as types.

use crate::outcome::{Enforcement, Outcome, Status, Usage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What its maker and later calls say. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Version of this object; 1.
    pub version: u32,
    /// Unique on this host.
    pub id: String,
    /// Unique among the caller's sandboxes.
    pub name: String,
    /// Whatever its maker wants to find again.
    pub labels: BTreeMap<String, String>,
    /// When it was made.
    pub created: u64,
    /// Whether it stays, with its files, when it ends.
    pub keep: bool,
    /// Its files are still being copied: if nobody has its turn, nobody ever will go on with that.
    pub filling: bool,
    /// Seconds from its making to its removal.
    pub ttl: Option<u64>,
    /// Seconds without a call until it is stopped.
    pub idle_stop: Option<u64>,
    /// Seconds without a call until it is removed.
    pub idle_rm: Option<u64>,
}

/// What its supervisor says of the last time it ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// When it was ready; seconds since 1970.
    pub started: u64,
    /// The root file system, as the result names it.
    pub image: String,
    /// Each protection, and how far it is enforced.
    pub enforcement: BTreeMap<String, Enforcement>,
    /// Of each mount, whether it is a directory.
    pub mount_is_directory: Vec<bool>,
    /// How it ended; nothing as long as it runs, and for ever where its supervisor was killed.
    pub end: Option<End>,
}

/// How a sandbox ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// When; seconds since 1970.
    pub at: u64,
    /// Why: a limit, its own command's end, or `cancelled` where it was told to.
    pub status: Status,
    /// Of its own command.
    pub exit_code: Option<i32>,
    /// The signal that ended its own command.
    pub signal: Option<String>,
    /// What it used.
    pub usage: Usage,
    /// Why nothing ran.
    pub error: Option<String>,
}

impl End {
    /// The exit code that says so, as of `run`.
    pub fn exit_code(&self) -> i32 {
        self.as_outcome().exit_code()
    }

    fn as_outcome(&self) -> Outcome {
        Outcome {
            version: 1,
            sandbox: String::new(),
            image: String::new(),
            status: self.status,
            exit_code: self.exit_code,
            signal: self.signal.clone(),
            output: None,
            usage: self.usage,
            limits_reached: Vec::new(),
            enforcement: BTreeMap::new(),
            error: None,
        }
    }

    /// The end that `outcome` tells.
    pub fn of(outcome: &Outcome, at: u64) -> End {
        End {
            at,
            status: outcome.status,
            exit_code: outcome.exit_code,
            signal: outcome.signal.clone(),
            usage: outcome.usage,
            error: None,
        }
    }
}

/// What a sandbox is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its supervisor is there, and it is not ready.
    Starting,
    /// It can be entered.
    Running,
    /// Everything inside has ended, and its supervisor puts things in order.
    Stopping,
    /// It has ended.
    Stopped,
    /// Its supervisor was killed, and with it everything inside.
    Lost,
}

impl State {
    /// The state's name, for people.
    pub fn name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Running => "running",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
            State::Lost => "lost",
        }
    }
}
