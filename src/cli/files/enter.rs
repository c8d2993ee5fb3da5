//! The two hidden processes of the verbs of files: one brings belljar into a sandbox, the other answers requests there.

use crate::cli::render;
use crate::cli::sandbox::place;
use crate::error::{Error, Kind};
use crate::outcome::{Outcome, Status};
use crate::own::Own;
use crate::process::Delivery;
use crate::sandbox::{self, Exec};
use crate::spec::Protection;
use crate::sys::fd;
use crate::tools::{inside, session};
use crate::verbs::store;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::RawFd;
use std::path::Path;

/// Runs our own program in a sandbox, with our standard streams as its own; the exit
/// code. What goes wrong is said on the pipe with the number `descriptor`, which ends with us and which nobody inside has.
pub fn enter_sandbox(sandbox: &OsStr, stopped_too: bool, descriptor: RawFd, home: Option<&Path>) -> i32 {
    let Ok(mut word) = fd::inherited(descriptor).map(File::from) else { return render::FAILED };
    // What waits inside for something to happen does not hear that nobody listens any more. Where it cannot be asked for, a killed
    // caller leaves us until then.
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM);
    let Some(home) = home else { return render::FAILED };
    let store = store(home);
    let exec = Exec { own: Some(Own::Tools { room: None }), stopped_too, ..Exec::default() };
    let delivery = Delivery { capture: false, fail_step: None };
    let trouble = match sandbox::exec(&place(home), &sandbox.to_string_lossy(), Some(&store), &exec, delivery) {
        Ok((outcome, _)) if outcome.exit_code == Some(0) => return 0,
        Ok((outcome, _)) => ended(&outcome),
        Err(error) => error,
    };
    // A caller that is gone does not want to know.
    let _ = word.write_all(&serde_json::to_vec(&trouble).unwrap_or_default());
    render::FAILED
}

fn ended(outcome: &Outcome) -> Error {
    if let Some(error) = &outcome.error {
        return error.clone();
    }
    match outcome.limits_reached.first() {
        Some(Protection::Disk) => Error::new(Kind::NoSpace, "the sandbox's disk limit was passed, and writing stopped")
            .hint("remove files, or make a sandbox with a larger `--disk`"),
        Some(limit) => {
            let name = limit.name();
            Error::new(Kind::Ended, format!("the tool inside was ended: the limit of {name} was passed"))
        }
        None if outcome.status == Status::OutOfMemory => {
            Error::new(Kind::Ended, "the sandbox was ended: its memory limit was passed")
                .hint("make one with a larger `--memory`")
        }
        None if outcome.status == Status::Cancelled => Error::new(Kind::Ended, "its caller was told to end"),
        None => Error::new(Kind::Ended, "the tool inside was killed by a process inside, or crashed"),
    }
}

/// Keeps a session, inside; the exit code. Whether it can be reached is said in a line.
pub fn keep_session(id: &str, kind: &str, words: &[OsString]) -> i32 {
    let mut pipe = crate::sys::fd::take_stdout();
    let mut ready = |result: Result<(), Error>| {
        let line = match result {
            Ok(()) => "ready".to_owned(),
            Err(trouble) => serde_json::to_string(&trouble).unwrap_or_default(),
        };
        if let Some(mut pipe) = pipe.take() {
            // Who does not listen any more has gone.
            let _ = pipe.write_all(format!("{line}\n").as_bytes());
        }
    };
    match session::Kind::from_name(kind) {
        Some(kind) => session::keeper::keep(id, kind, words, &mut ready),
        None => {
            ready(Err(Error::new(Kind::Misused, format!("`{}` is no kind of session", kind.escape_debug()))));
            render::FAILED
        }
    }
}

/// Takes a terminal, inside, and becomes a command; the exit code where it cannot, as shells have it.
pub fn take_terminal(path: &OsStr, words: &[OsString]) -> i32 {
    let error = session::terminal::take(path, words);
    render::say(&crate::error::describe_io(&error));
    if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }
}

/// Answers what is asked over our standard streams; the exit code.
pub fn serve_tools(room: Option<u64>) -> i32 {
    match inside::serve(std::io::stdin(), std::io::stdout(), room) {
        Ok(()) => 0,
        // It has said why.
        Err(_) => render::FAILED,
    }
}
