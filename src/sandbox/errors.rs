//! Errors that several calls to sandboxes share.

use crate::error::{Error, Kind, Problem};

fn of(kind: Kind, message: String, hint: &str) -> Error {
    Error::of(kind, vec![Problem::new("sandbox", message).hint(hint)])
}

/// There is no sandbox of that name or id.
pub fn not_found(word: &str) -> Error {
    of(Kind::NotFound, format!("no sandbox `{}`", word.escape_debug()), "`belljar ls` lists them")
}

/// Several ids begin like that.
pub fn ambiguous(word: &str, ids: &[String]) -> Error {
    let message = format!("`{}` begins the ids of {}", word.escape_debug(), ids.join(" and "));
    of(Kind::Ambiguous, message, "give more of its digits")
}

/// Another sandbox has the name.
pub fn name_taken(name: &str) -> Error {
    let message = format!("there is a sandbox `{name}` already");
    of(Kind::NameTaken, message, "choose another name, or `belljar rm` that one")
}

/// It has to run for that, and does not.
pub fn not_running(name: &str) -> Error {
    of(Kind::NotRunning, format!("`{name}` is not running"), &format!("start it first: `belljar start {name}`"))
}

/// It must not run for that, and does.
pub fn running(name: &str) -> Error {
    of(Kind::Running, format!("`{name}` is running"), &format!("stop it first: `belljar stop {name}`"))
}

/// It ended while the call was under way, and why, as far as that is known.
pub fn ended(name: &str, why: Option<&str>) -> Error {
    let Some(why) = why else {
        return of(Kind::Ended, format!("`{name}` has ended meanwhile"), "`belljar inspect` says how");
    };
    let hint = "`belljar ls` says whether it is still there; `belljar start` starts it again then";
    of(Kind::Ended, format!("`{name}` has ended meanwhile: {why}"), hint)
}

/// Its supervisor does not answer; the process, where it is known.
pub fn silent(name: &str, supervisor: Option<i32>) -> Error {
    let goes_on = supervisor.map_or(String::new(), |pid| format!("; `kill -CONT {pid}` resumes it"));
    of(
        Kind::Silent,
        format!("the supervisor of `{name}` does not answer: it is stopped, or has no time"),
        &format!("`belljar rm -f {name}` removes the sandbox in any case{goes_on}"),
    )
}
