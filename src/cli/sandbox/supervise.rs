//! The supervisor's process, which `create` and `start` start.

use super::{place, render};
use crate::error::Error;
use crate::sandbox::{self, Report, Run};
use crate::verbs::store;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Supervises, with leaders that stand inside where `ahead`; the exit code.
pub fn supervise(id: &str, home: Option<&Path>, ahead: bool) -> i32 {
    let Some(home) = home else { return render::FAILED };
    // Of its caller nothing stays: no session whose end would be ours, no directory that could not be unmounted.
    let _ = nix::unistd::setsid();
    let _ = nix::unistd::chdir("/");
    let store = store(home);
    let mut pipe = crate::sys::fd::take_stdout();
    let mut ready = |result: Result<&Run, &Error>| {
        tell(
            pipe.take(),
            match result {
                Ok(run) => Report::Ready(run.clone()),
                Err(error) => Report::Failed(error.clone()),
            },
        );
    };
    match sandbox::supervise(&place(home), (id, ahead), Some(&store), &mut ready) {
        Ok(()) => 0,
        Err(trouble) => {
            // Told already, if the sandbox was ever tried.
            ready(Err(&trouble));
            render::FAILED
        }
    }
}

/// Brings a leader into a sandbox; the exit code of who brings it.
pub fn stand_by(id: &str, home: Option<&Path>) -> i32 {
    let Some(home) = home else { return render::FAILED };
    let (Some(line), store) = (crate::sys::fd::take_stdin(), store(home)) else { return render::FAILED };
    // Whoever has started it hears from the socket that it came to nothing, and does without.
    match sandbox::stand_by(&place(home), id, Some(&store), line) {
        Ok(()) => 0,
        Err(_) => render::FAILED,
    }
}

/// Makes sandboxes ahead for the runs of a template; the exit code.
pub fn make_spares(id: &str, home: Option<&Path>) -> i32 {
    let Some(home) = home else { return render::FAILED };
    match sandbox::make_spares(&place(home), id, &store(home)) {
        Ok(()) => 0,
        // Told to the supervisor, who waits for it.
        Err(_) => render::FAILED,
    }
}

/// One line, once; then nobody listens any more.
fn tell(pipe: Option<File>, report: Report) {
    if let (Some(mut pipe), Ok(mut line)) = (pipe, serde_json::to_string(&report)) {
        line.push('\n');
        // A caller that is gone finds the sandbox by `ls`.
        let _ = pipe.write_all(line.as_bytes());
    }
}
