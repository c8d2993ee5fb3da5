//! Sandboxes that last: made once, entered many times, without a daemon.
//!
//! State is a directory for each, below `$BELLJAR_HOME/sandboxes`:
//!
//! ```text
//! ID/spec.json     the wish
//! ID/record.json   name, labels, how long it may live                       written under `turn`
//! ID/run.json      what its supervisor says: ready, and how it ended        written by the supervisor
//! ID/turn          flock(2): one call at a time changes the sandbox
//! ID/alive         flock(2): held by the supervisor; the sandbox runs exactly as long as it is
//! ID/call          a socket of the supervisor
//! ID/log           what the sandbox's own command wrote
//! ID/upper, work   its files, where they are kept
//! ID/image         the record of its image, which is kept as long as this link is there
//! names/NAME       a link to ID
//! ended/AT-ID      how one that was not kept has ended, for an hour
//! ```
//!
//! Promises: what is told comes from the locks and files at that moment, and never from a process id; of two calls that race
//! one comes first; a sandbox whose supervisor is killed is known as such by the next call, and if nobody wanted it kept, the
//! next call that lists or creates removes it. Nothing here follows a path that a sandbox controls.

mod call;
mod capture;
mod carry;
mod diff;
mod ended;
mod entry;
mod exec;
mod life;
mod names;
mod orphans;
mod place;
mod program;
mod quota;
mod record;
mod silence;
mod start;
mod supervise;
mod volumes;

pub use call::Stats;
pub use capture::{fork, snapshot};
pub use carry::{Brought, Export, export, import, read};
pub use diff::diff;
pub use entry::Entry;
pub use exec::{Exec, exec};
pub use life::{follow_log, is_log_full, label, remove, rename, resize, stats, stop, wait};
pub use place::{Sandboxes, is_name};
pub use record::{End, Reason, Record, Run, State};
pub use start::{Report, Wish, create, start};
pub use supervise::supervise;
pub use volumes::{Volume, Volumes};

use crate::error::{Error, Failure, Problem};

/// Why a call did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no sandbox of that name or id.
    NotFound(String),
    /// Several ids begin like that.
    Ambiguous(String, Vec<String>),
    /// Another sandbox has the name.
    NameTaken(String),
    /// It has to run for that, and does not.
    NotRunning(String),
    /// It must not run for that, and does.
    Running(String),
    /// It ended while the call was under way, and why, as far as that is known.
    Ended(String, Option<String>),
    /// Its supervisor does not answer; the process, where it is known.
    Silent(String, Option<i32>),
    /// The request itself, by a kind of its own: `misused` where it cannot be understood.
    Refused(&'static str, Vec<Problem>),
    /// Anything else.
    Failed(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Failed(error)
    }
}

impl Trouble {
    /// The kind, as machines read it.
    pub fn kind(&self) -> &str {
        match self {
            Trouble::NotFound(_) => "not_found",
            Trouble::Ambiguous(..) => "ambiguous",
            Trouble::NameTaken(_) => "name_taken",
            Trouble::NotRunning(_) => "not_running",
            Trouble::Running(_) => "running",
            Trouble::Ended(..) => "ended",
            Trouble::Silent(..) => "silent",
            Trouble::Refused(kind, _) => kind,
            Trouble::Failed(error) => error.kind(),
        }
    }

    /// The same as an error of the house.
    pub fn error(self) -> Error {
        let problem = |message: String, hint: &str| Error::Invalid(vec![Problem::new("sandbox", message).hint(hint)]);
        match self {
            Trouble::NotFound(word) => {
                problem(format!("no sandbox `{}`", word.escape_debug()), "`belljar ls` lists them")
            }
            Trouble::Ambiguous(word, ids) => problem(
                format!("`{}` begins the ids of {}", word.escape_debug(), ids.join(" and ")),
                "give more of its digits",
            ),
            Trouble::NameTaken(name) => {
                problem(format!("there is a sandbox `{name}` already"), "choose another name, or `belljar rm` that one")
            }
            Trouble::NotRunning(name) => {
                problem(format!("`{name}` is not running"), &format!("start it first: `belljar start {name}`"))
            }
            Trouble::Running(name) => {
                problem(format!("`{name}` is running"), &format!("stop it first: `belljar stop {name}`"))
            }
            Trouble::Ended(name, None) => {
                problem(format!("`{name}` has ended meanwhile"), "`belljar inspect` says how")
            }
            Trouble::Ended(name, Some(why)) => problem(
                format!("`{name}` has ended meanwhile: {why}"),
                "`belljar ls` says whether it is still there; `belljar start` starts it again then",
            ),
            Trouble::Silent(name, supervisor) => {
                let goes_on = supervisor.map_or(String::new(), |pid| format!("; `kill -CONT {pid}` lets it go on"));
                problem(
                    format!("the supervisor of `{name}` does not answer: it is stopped, or has no time"),
                    &format!("`belljar rm -f {name}` removes the sandbox in any case{goes_on}"),
                )
            }
            Trouble::Refused(_, problems) => Error::Invalid(problems),
            Trouble::Failed(error) => error,
        }
    }
}

/// A failure of our own around a file.
fn failed(attempt: impl Into<String>, error: &std::io::Error) -> Trouble {
    let attempt = attempt.into();
    let (attempt, errno) = match error.raw_os_error() {
        Some(errno) => (attempt, errno),
        None => (format!("{attempt}: {error}"), 0),
    };
    Trouble::Failed(Error::Setup(Failure { step: None, attempt, errno, hint: None }))
}
