//! A copy of the warm interpreter: a spare is made, and the interpreter told to fork into it.

use super::message::{Copied, Said};
use crate::error::{Error, Kind};
use crate::outcome::Enforcement;
use crate::process::{self, Ground, Spare, SpareHeld};
use crate::sandbox::call::Line;
use crate::sandbox::silence;
use crate::sys::{fd, proc};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::time::{Duration, Instant};

/// How long the interpreter may take for a copy, and the copy for its first word.
const PATIENCE: Duration = Duration::from_secs(20);

/// A copy that waits for code.
pub struct Parked {
    /// Its sandbox.
    pub held: SpareHeld,
    /// The socket to it.
    pub socket: OwnedFd,
    /// The root file system, as results name it.
    pub image: String,
    /// How far each protection is enforced.
    pub enforcement: BTreeMap<String, Enforcement>,
}

impl Parked {
    /// Ends it, which nobody has used.
    pub fn end(self) {
        end(&self.held);
    }
}

/// Ends a sandbox that is nobody's. Where it has ended, that is as good.
fn end(held: &SpareHeld) {
    let _ = proc::send_signal(held.pidfd.as_raw_fd(), libc::SIGKILL);
    let _ = proc::wait_with_usage(held.pid);
}

/// Bytes as the system's strings are.
pub fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// Makes one: ahead of its code, or for code that waits.
///
/// # Errors
///
/// What kept it from being made.
pub fn make(ground: &mut Ground, interpreter: &Line, ahead: bool) -> Result<Parked, Error> {
    let Spare { mut held, plan, ruleset } = ground.prepare()?;
    let made = fork(&mut held, (&plan, ruleset), interpreter, ahead);
    let enforcement =
        plan.enforcement.iter().map(|(protection, how)| (protection.name().to_owned(), how.clone())).collect();
    match made {
        Ok(socket) => Ok(Parked { held, socket, image: plan.image, enforcement }),
        Err(error) => {
            end(&held);
            Err(error)
        }
    }
}

fn fork(
    held: &mut SpareHeld,
    (plan, ruleset): (&process::Plan, Option<OwnedFd>),
    interpreter: &Line,
    ahead: bool,
) -> Result<OwnedFd, Error> {
    let failed = |error: std::io::Error| Error::attempt("speak to the interpreter", &error);
    let door = held.cgroup.as_ref().map(|cgroup| cgroup.door().map(OwnedFd::from)).transpose()?;
    let script = process::write_script(plan, std::mem::take(&mut held.namespaces), door, ruleset)?;
    let blob = process::in_memory(&script.encode())?;
    let (ours, theirs) = fd::pair().map_err(|errno| Error::setup("make a socket pair", errno as i32))?;
    let sent = std::iter::once(blob.as_raw_fd()).chain(script.descriptors().map(|fd| fd.as_raw_fd()));
    let sent: Vec<_> = sent.chain([theirs.as_raw_fd()]).collect();
    // One that waits touches beforehand what every run touches.
    interpreter.say_text(if ahead { b"park" } else { b"now" }, &sent).map_err(failed)?;
    drop(theirs);
    await_word(interpreter, "the warm interpreter does not answer")?;
    let said = interpreter.hear::<Said>().map_err(failed)?.map(|(said, _)| said);
    match said {
        Some(Said { forked: Some(true), .. }) => {}
        Some(Said { failed: Some(failure), .. }) => return Err(failure.error()),
        _ => return Err(Error::setup("copy the warm interpreter: it ended", libc::ECHILD)),
    }
    let line = Line::of(ours);
    await_word(&line, "a copy of the warm interpreter says nothing")?;
    let copied = line.hear::<Copied>().map_err(failed)?.map(|(copied, _)| copied);
    match copied {
        Some(Copied { pid: Some(pid), .. }) => {
            held.name_payload(pid).map_err(|errno| Error::setup("name the payload of a spare", errno as i32))?;
            Ok(line.into_socket())
        }
        Some(Copied { failed: Some(failure), .. }) => Err(failure.error()),
        _ => Err(Error::new(Kind::Setup, "a copy of the warm interpreter ended at once")),
    }
}

fn await_word(line: &Line, otherwise: &str) -> Result<(), Error> {
    let told = silence::await_word(line.descriptor(), None, Some(Instant::now() + PATIENCE));
    told.then_some(()).ok_or_else(|| Error::setup(otherwise, libc::ETIMEDOUT))
}
