//! `belljar cp`: read, asked of the tool inside, and told.
//!
//! Lines for people, one object for `--json`; progress on standard error. 0: done; 1: failed; 2: not understood.

mod copy;
mod enter;
mod interrupt;

pub use enter::{enter, keep, serve, take};

use super::args::files::Copy;
use super::render;
use super::sandbox::{Told, no_home};
use crate::error::{Error, Kind};
use crate::tools::Client;
use std::ffi::OsStr;
use std::path::Path;

/// Exit code of what could not be done.
const UNDONE: i32 = 1;
/// Exit code of what is not understood.
const MISUSED: i32 = 2;

/// Does it; the exit code.
pub fn run(copy: &Copy, home: Option<&Path>) -> i32 {
    if home.is_none() {
        render::failure(&no_home());
        return UNDONE;
    }
    match copy::copy(copy) {
        Ok(told) if copy.json => render::object(&told.object, told.code),
        Ok(told) => render::people(&told.people, told.code),
        Err(trouble) => complain(&trouble, copy.json, UNDONE),
    }
}

pub fn complain(trouble: &Error, json: bool, undone: i32) -> i32 {
    if render::is_refused() {
        return render::FAILED;
    }
    render::failure(trouble);
    let code = if trouble.kind == Kind::Misused { MISUSED } else { undone };
    if json {
        return render::error_object(trouble, code);
    }
    code
}

/// A tool in the sandbox of that name: this program brings it there. `aside`: it can do with the files of one that does not run.
pub fn client(sandbox: &OsStr, aside: bool) -> Result<Client, Error> {
    Client::start(sandbox, aside)
}
