//! What is said between a template's supervisor, its maker, the warm interpreter and whoever runs code: one datagram of JSON each, with
//! descriptors where something is handed over.

use crate::error::{Error, Problem};
use crate::name::Name;
use crate::outcome::Enforcement;
use crate::spec::Language;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// From the supervisor to the maker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// First: comes with the template's namespaces of users and of pids, and with the socket to the interpreter.
    Begin,
    /// Somebody wants to run code; comes with the socket to him.
    Serve,
}

/// From the maker to the supervisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// First: the maker goes on inside as the process of this pid; comes with a pidfd of it.
    Inside(i32),
    /// The interpreter has done what every run begins with.
    Ready(Ready),
    /// There will be no spares, and why.
    Failed(Error),
    /// What there is now.
    State(State),
}

/// What the interpreter says of itself when it is ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WarmInterpreter"))]
pub struct Ready {
    /// Its version.
    pub version: String,
    /// Modules that it has imported.
    pub modules: u64,
    /// Bytes that it has in memory.
    pub rss: u64,
}

/// What a maker has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WarmState"))]
pub struct State {
    /// Copies that wait.
    pub parked: u32,
    /// Bytes that those have each for itself alone, together: what they share with the interpreter counts for that.
    pub parked_bytes: u64,
    /// Runs under way.
    pub running: u32,
    /// Runs so far that a parked copy was there for.
    pub from_parked: u64,
    /// Runs so far that were forked for.
    pub from_forked: u64,
    /// Why the last copy could not be made; null where it could.
    pub trouble: Option<String>,
}

/// What a template has at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WarmStats {
    /// Its interpreter.
    pub interpreter: Ready,
    /// Its copies.
    #[serde(flatten)]
    pub state: State,
}

/// From who runs code to the maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// A copy in a sandbox of its own.
    Take,
}

/// From the maker to who runs code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// A copy; comes with the descriptors of a [`Handed`](crate::process::Handed) in their order: control, pidfd, socket, sights.
    Copy {
        /// Whether it had waited.
        parked: bool,
        /// The root file system, as results name it.
        image: String,
        /// How far each protection is enforced.
        enforcement: BTreeMap<String, Enforcement>,
        /// The sandbox's cgroup.
        cgroup: Option<PathBuf>,
        /// The controllers that hold limits there: cpu, io, memory, pids.
        controllers: [bool; 4],
        /// The environment of any run, as lines `NAME=VALUE`.
        environment: Vec<Name>,
        /// The directory in which a run begins.
        directory: Name,
    },
    /// There is none, and why.
    None(String),
    /// Its sandbox has ended, and has used so much: CPU time in microseconds, and bytes of the largest process.
    Used {
        /// Microseconds.
        cpu_us: u64,
        /// Bytes.
        largest: u64,
    },
}

impl Given {
    /// What the kernel says that it used.
    pub fn used(usage: &libc::rusage) -> Given {
        let time = |time: libc::timeval| time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_usec.unsigned_abs();
        Given::Used {
            cpu_us: time(usage.ru_utime) + time(usage.ru_stime),
            largest: usage.ru_maxrss.unsigned_abs() << 10,
        }
    }
}

/// From the interpreter to the maker: one of these.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Said {
    /// It is ready.
    pub ready: Option<Ready>,
    /// It cannot be copied.
    pub refused: Option<Refused>,
    /// A copy was made.
    pub forked: Option<bool>,
    /// None was.
    pub failed: Option<Failure>,
}

/// Why an interpreter cannot be copied.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Refused {
    /// `threads`, `shared memory`, `descriptors`, `children` or `exception`.
    pub why: String,
    /// Which.
    pub what: serde_json::Value,
}

impl Refused {
    /// As an error of the parameter that is to blame.
    pub fn error(&self, language: Language) -> Error {
        let shows = format!("`belljar code {} -e CODE` shows the same in a sandbox", language.name());
        let what = match &self.what {
            serde_json::Value::String(text) => text.trim_end().to_owned(),
            serde_json::Value::Array(all) => {
                let words = all.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned));
                words.collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        let (message, hint) = match self.why.as_str() {
            "threads" => (
                format!("leaves threads behind, which no copy would have: {what}"),
                "end them before the preload ends, or leave what starts them to the runs",
            ),
            "shared memory" => (
                format!("maps memory that all copies would write to: {what}"),
                "leave what maps it (`mmap`, `multiprocessing.Value`, shared memory) to the runs",
            ),
            "descriptors" => (
                format!("leaves files open whose offsets all copies would share: {what}"),
                "close them before the preload ends",
            ),
            "children" => (
                format!("leaves processes behind, which no copy would be the parent of: {what}"),
                "wait for them before the preload ends",
            ),
            "exception" => (format!("fails:\n{what}"), shows.as_str()),
            "exit" => (format!("ends the interpreter, with exit code {what}"), "leave out what does so"),
            "python" => (
                format!("needs a Python that can be copied: {what}"),
                "name an image with CPython 3.8 or later, as `--image python`",
            ),
            why => (format!("cannot be copied: {why}: {what}"), "leave what does that to the runs"),
        };
        Error::invalid(vec![Problem::new("preload", message).hint(hint)])
    }
}

/// Which call of which list was refused.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Failure {
    /// The list.
    pub list: String,
    /// The number of the call in it.
    pub call: i64,
    /// What the kernel said.
    pub errno: i32,
}

impl Failure {
    /// As an error.
    pub fn error(&self) -> Error {
        let Failure { list, call, errno } = self;
        Error::setup(format!("copy the warm interpreter into a sandbox (`{list}`, call {call})"), *errno)
    }
}

/// From a copy to the maker: one of these.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Copied {
    /// Its number inside.
    pub pid: Option<i32>,
    /// What was refused to it.
    pub failed: Option<Failure>,
    /// Of one that runs the preload itself: why it cannot.
    pub refused: Option<Refused>,
}
