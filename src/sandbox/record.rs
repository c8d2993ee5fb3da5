//! What is written about a sandbox, as types.

use crate::error::Error;
use crate::outcome::{Enforcement, Outcome, Published, Status, Usage};
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
    /// Ports that are reached from the host.
    pub published: Vec<Published>,
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
    /// Who wanted it to end, where somebody did.
    pub reason: Option<Reason>,
}

/// Why a sandbox was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// `belljar stop`.
    Stopped,
    /// `belljar rm --force`.
    Removed,
    /// Its `--ttl` was over.
    Ttl,
    /// Nobody had called it for its `--idle-stop` or `--idle-rm`.
    Idle,
    /// A command in it could not be held to its limits any more.
    LeaderLost,
    /// The last `belljar wait --lease` had gone.
    LeaseOver,
}

impl Reason {
    /// For a message, after the sandbox's name.
    pub fn told(self) -> &'static str {
        match self {
            Reason::Stopped => "it was stopped",
            Reason::Removed => "it was removed",
            Reason::Ttl => "its `--ttl` was over",
            Reason::Idle => "nobody had called it for so long",
            Reason::LeaseOver => "whoever had a lease on it is gone",
            Reason::LeaderLost => "a command in it could not be held to its limits any more",
        }
    }
}

impl End {
    /// Why it ended, for a message, after the sandbox's name.
    pub fn told(&self) -> String {
        if let Some(reason) = self.reason {
            return reason.told().to_owned();
        }
        match self.status {
            Status::Exited => format!("its own command exited with {}", self.exit_code.unwrap_or_default()),
            Status::Signaled | Status::ForbiddenSyscall => {
                format!("its own command was ended by {}", self.signal.as_deref().unwrap_or("a signal"))
            }
            Status::TimedOut => "its deadline had passed".to_owned(),
            Status::CpuTimeExceeded => "its CPU time was used up".to_owned(),
            Status::OutOfMemory => "its memory limit was passed".to_owned(),
            Status::OutputLimit => "its output limit was passed".to_owned(),
            Status::Cancelled => {
                format!("its supervisor was told to end by {}", self.signal.as_deref().unwrap_or("a signal"))
            }
            Status::SetupFailed => self.error.clone().unwrap_or_else(|| "its supervisor could not go on".to_owned()),
        }
    }

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
            network: None,
            published: Vec::new(),
            warm: None,
            error: None,
        }
    }

    /// The end of a sandbox that could not be made, or not be kept going.
    pub fn of_error(error: &Error, at: u64) -> End {
        End {
            at,
            status: Status::SetupFailed,
            exit_code: None,
            signal: None,
            usage: Usage::default(),
            error: Some(error.to_string()),
            reason: None,
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
            reason: None,
        }
    }
}

/// What a sandbox is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// What is written about it cannot be read. Its files are there.
    Broken,
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
            State::Broken => "broken",
        }
    }
}
