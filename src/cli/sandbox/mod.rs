//! The verbs of sandboxes that last: each read, handed down and told.
//!
//! Tables for people, one object for `--json`. 0: done; 1: failed; 2: not understood. Of `exec` 125 means that we failed.

mod capture;
mod carry;
mod exec;
mod life;
mod look;
mod supervise;
mod volume;

pub use carry::{ImportRequest, import};
pub use exec::{ExecRequest, exec};
pub use life::{CreateRequest, create, split};
pub use look::{moment, time};
pub use supervise::{VERB, supervise};
pub use volume::volume;

use super::args::sandbox::LifeVerb;
use super::render;
use crate::error::{Error, Kind, Problem};
use crate::sandbox::Sandboxes;
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Exit code of what could not be done.
const UNDONE: i32 = 1;
/// Exit code of what is not understood.
const MISUSED: i32 = 2;

/// What a verb tells: lines for people, an object for programs, and an exit code.
pub struct Told {
    pub people: String,
    pub object: Value,
    pub code: i32,
    /// The object, where it is a list that may be long.
    pub listed: Option<render::Listed>,
}

impl Told {
    pub fn new(people: impl Into<String>, object: Value) -> Told {
        Told { people: people.into(), object, code: 0, listed: None }
    }
}

/// Does it; the exit code.
pub fn run(verb: LifeVerb, home: Option<&Path>) -> i32 {
    let (json, told) = match home.map(place) {
        None => (false, Err(no_home())),
        Some(sandboxes) => match verb {
            LifeVerb::Start(names) => (names.json, life::start(&sandboxes, &names)),
            LifeVerb::Stop(stop) => (stop.names.json, life::stop(&sandboxes, &stop)),
            LifeVerb::Rm(rm) => (rm.names.json, life::rm(&sandboxes, &rm)),
            LifeVerb::Ls(ls) => (ls.json, look::ls(&sandboxes, &ls)),
            LifeVerb::Inspect(name) => (true, look::inspect(&sandboxes, &word(&name.name))),
            LifeVerb::Wait(name) => (name.json, look::wait(&sandboxes, &word(&name.name))),
            LifeVerb::Logs(logs) => (logs.json, look::logs(&sandboxes, &logs)),
            LifeVerb::Stats(name) => (name.json, look::stats(&sandboxes, &word(&name.name))),
            LifeVerb::Resize(resize) => (resize.json, life::resize(&sandboxes, &resize)),
            LifeVerb::Rename(rename) => (rename.json, life::rename(&sandboxes, &rename)),
            LifeVerb::Fork(fork) => (fork.json, capture::fork(&sandboxes, home.unwrap_or(Path::new("")), &fork)),
            LifeVerb::Export(export) => {
                (export.json, carry::export(&sandboxes, home.unwrap_or(Path::new("")), &export))
            }
            LifeVerb::Diff(name) => {
                (name.json, capture::diff(&sandboxes, home.unwrap_or(Path::new("")), &word(&name.name)))
            }
            LifeVerb::Snapshot(verb) => capture::snapshot(&sandboxes, home.unwrap_or(Path::new("")), verb),
            LifeVerb::Label(label) => (label.json, life::label(&sandboxes, &label)),
        },
    };
    match told {
        Ok(told) if json => render::object(&told.object, told.code),
        Ok(told) => render::people(&told.people, told.code),
        Err(trouble) => complain(trouble, json),
    }
}

/// Tells what went wrong; the exit code.
fn complain(error: Error, json: bool) -> i32 {
    if render::is_refused() {
        return render::FAILED;
    }
    let code = if error.kind == Kind::Misused { MISUSED } else { UNDONE };
    render::failure(&error);
    if json {
        return render::error_object(&error, code);
    }
    code
}

/// The sandboxes in belljar's own directory, which may count from the current one.
pub fn place(home: &Path) -> Sandboxes {
    Sandboxes::new(&std::path::absolute(home).unwrap_or_else(|_| home.to_owned()))
}

pub fn no_home() -> Error {
    let problem = Problem::new("sandbox", "there is no place for sandboxes");
    Error::invalid(vec![problem.hint("set `BELLJAR_HOME`, `XDG_DATA_HOME` or `HOME`")])
}

/// A name that somebody typed; what is no text is no name.
fn word(word: &OsString) -> String {
    word.to_string_lossy().into_owned()
}

/// How a supervisor is started: this program again.
fn supervisor() -> [OsString; 2] {
    // By the kernel's own name for it: the file may have been replaced meanwhile.
    [PathBuf::from("/proc/self/exe").into(), VERB.into()]
}

/// Columns as wide as what is in them.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
