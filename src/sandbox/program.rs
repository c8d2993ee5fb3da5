//! belljar's own program for use inside: a sealed copy in memory. The supervisor keeps it for a while, since making one takes longer than
//! most requests.
//!
//! Who wants it and who has it are the same user, or root. Still it is asked for by what it was copied from, so that nobody gets the
//! program of another version, and taken only where it is sealed.

use super::Entry;
use super::call::{Answer, Call, Line};
use crate::error::Error;
use crate::sys::fd;
use std::cell::RefCell;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

/// How long it is kept after its last use. An idle sandbox has nothing of it.
const KEPT: Duration = Duration::from_secs(20);

/// Which program this process runs.
pub fn key() -> std::io::Result<String> {
    let own = std::fs::metadata("/proc/self/exe")?;
    let key = [own.dev(), own.ino(), own.size(), own.mtime() as u64, own.mtime_nsec() as u64, own.ctime_nsec() as u64];
    Ok(key.map(|number| format!("{number:x}")).join("-"))
}

/// The caller's side: the supervisor's copy, or a new one, which it is given.
pub fn of(entry: &Entry, line: &Line) -> Result<OwnedFd, Error> {
    let failed = |error: std::io::Error| Error::attempt("copy our own program into memory", &error);
    let key = key().map_err(failed)?;
    let there = line.ask(entry, &Call::Program { key: key.clone() })?.1.pop();
    if let Some(program) = there.filter(fd::is_sealed) {
        return Ok(program);
    }
    let program = fd::own_program().map_err(failed)?;
    line.ask_with(entry, &Call::KeepProgram { key }, &[program.as_raw_fd()])?;
    Ok(program)
}

/// The supervisor's side.
#[derive(Default)]
pub struct Kept(RefCell<Option<(String, OwnedFd, Instant)>>);

impl Kept {
    /// Until when it is kept.
    pub fn until(&self) -> Option<Instant> {
        self.0.borrow().as_ref().map(|(.., until)| *until)
    }

    /// Lets it go when nobody has used it for a while.
    pub fn tend(&self, now: Instant) {
        self.0.borrow_mut().take_if(|(.., until)| now >= *until);
    }

    /// Takes it over.
    pub fn take(&self, key: String, program: OwnedFd) {
        *self.0.borrow_mut() = Some((key, program, Instant::now() + KEPT));
    }

    /// Hands it to a caller.
    pub fn answer(&self, line: &Line, wanted: &str) -> std::io::Result<()> {
        let mut kept = self.0.borrow_mut();
        let mut found: Option<RawFd> = None;
        if let Some((_, program, until)) = kept.as_mut().filter(|(key, ..)| key == wanted) {
            *until = Instant::now() + KEPT;
            found = Some(program.as_raw_fd());
        }
        line.say(&Answer::Done, found.as_slice())
    }
}
