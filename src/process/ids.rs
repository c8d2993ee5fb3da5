//! The id maps of pid 1, where pid 1 may not write them: root does, and for everybody else newuidmap(1) and newgidmap(1).
//!
//! Part of the supervisor, between the clone and the first mount; pid 1 waits meanwhile. Starts those two programs and no
//! other, with no environment, and waits for them with a limit.

use crate::error::Error;
use crate::host::diagnose;
use crate::identity::IdMaps;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the two may take, who may have to ask a directory service.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most that is kept of what they say.
const LONGEST_MESSAGE: usize = 1024;

/// Writes the maps of `pid`.
///
/// # Errors
///
/// `Host`, when nobody may or nobody does; `Setup` for anything else.
pub fn write(pid: i32, maps: &IdMaps) -> Result<(), Error> {
    let Some(helpers) = &maps.helpers else {
        return [("uid_map", &maps.uids), ("gid_map", &maps.gids)].into_iter().try_for_each(|(name, map)| {
            let errno = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EIO);
            std::fs::write(format!("/proc/{pid}/{name}"), map)
                .map_err(|error| diagnose::ids_refused(&format!("write {name}"), errno(error)))
        });
    };
    let until = Instant::now() + PATIENCE;
    // Both at once: each is a program to be started.
    let started = [(&helpers.uids, &maps.uids), (&helpers.gids, &maps.gids)]
        .map(|(program, map)| (program, start(program, pid, map)));
    let ended = started.map(|(program, started)| started.and_then(|child| finish(program, child, until)));
    ended.into_iter().collect()
}

/// The lines of a map are the arguments, in the same order.
fn start(program: &Path, pid: i32, map: &str) -> Result<Child, Error> {
    let mut command = Command::new(program);
    command.arg(pid.to_string()).args(map.split_ascii_whitespace()).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().map_err(|error| diagnose::helper_failed(program, &error.to_string()))
}

fn finish(program: &Path, mut child: Child, until: Instant) -> Result<(), Error> {
    let said = listen(&mut child, until);
    if said.is_none() {
        // It may have ended at this very moment, which is as good.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| diagnose::helper_failed(program, &error.to_string()))?;
    match said {
        Some(_) if status.success() => Ok(()),
        Some(said) if said.is_empty() => Err(diagnose::helper_failed(program, &status.to_string())),
        Some(said) => Err(diagnose::helper_failed(program, &said)),
        None => Err(diagnose::helper_failed(program, &format!("no answer for {} s", PATIENCE.as_secs()))),
    }
}

/// What it says until it ends; nothing, if it does not end in time.
fn listen(child: &mut Child, until: Instant) -> Option<String> {
    let mut said = Vec::new();
    let Some(pipe) = &mut child.stderr else { return Some(String::new()) };
    loop {
        let left = until.checked_duration_since(Instant::now())?;
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        // Interrupted or in error, the next turn looks again.
        if poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], wait).is_ok_and(|ready| ready > 0) {
            let mut bytes = [0u8; 256];
            match pipe.read(&mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(count) => said.extend(bytes.iter().take(count)),
            }
        }
    }
    said.truncate(LONGEST_MESSAGE);
    let text = String::from_utf8_lossy(&said);
    Some(text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, patience: Duration) -> Result<(), Error> {
        let program = Path::new("/bin/sh");
        let mut command = Command::new(program);
        let child = command.args(["-c", script]).stderr(Stdio::piped()).spawn().expect("start sh");
        finish(program, child, Instant::now() + patience)
    }

    #[test]
    fn what_a_helper_says_is_the_reason() {
        assert_eq!(run("exit 0", PATIENCE), Ok(()));
        assert_eq!(run("echo warned >&2", PATIENCE), Ok(()));
        let said = |script| run(script, PATIENCE).unwrap_err().to_string();
        assert_eq!(said("echo a b >&2; echo c >&2; exit 1"), "`/bin/sh` does not map the range: a b; c");
        assert_eq!(said("exit 3"), "`/bin/sh` does not map the range: exit status: 3");
    }

    #[test]
    fn a_helper_that_does_not_end_is_ended() {
        let begun = Instant::now();
        assert!(run("exec sleep 60", Duration::from_millis(50)).is_err());
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_helper_that_is_not_there_is_named() {
        let error = start(Path::new("/nonexistent"), 1, "0 0 1\n").map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("`/nonexistent` does not map the range: No such file"), "{error}");
    }
}
