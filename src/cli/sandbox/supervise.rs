//! The supervisor's process, which `create` and `start` start.

use super::{place, render};
use crate::error::Error;
use crate::sandbox::{self, Report, Run};
use crate::verbs::store;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Supervises; the exit code.
pub fn supervise(id: &str, home: Option<&Path>) -> i32 {
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
    match sandbox::supervise(&place(home), id, Some(&store), &mut ready) {
        Ok(()) => 0,
        Err(trouble) => {
            // Told already, if the sandbox was ever tried.
            ready(Err(&trouble));
            render::FAILED
        }
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
