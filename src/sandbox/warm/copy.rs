//! A copy of the warm interpreter: a spare is made, and the interpreter told to fork into it. What is said here of a copy holds for a Node
//! that is executed in a spare as well; it takes longer until it waits.

use super::message::{Copied, Said};
use crate::error::{self, Error, Problem};
use crate::outcome::Enforcement;
use crate::process::{self, Ground, Load, Spare, SpareHeld};
use crate::sandbox::call::Line;
use crate::sandbox::silence;
use crate::spec::{Language, show_bytes};
use crate::sys::{fd, proc};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::time::{Duration, Instant};

/// How long the interpreter may take for a copy, and a copy for its first word.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at one that takes its time.
const GLANCE: Duration = Duration::from_millis(500);
/// Ticks of CPU time that one which waits may use between two looks: nothing, but for the kernel's rounding.
const AWAKE: u64 = 10;

/// What copies are of.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The interpreter's language.
    pub language: Language,
    /// How long one may take until it waits.
    pub patience: Duration,
    /// Bytes of memory that a sandbox may have.
    pub memory: u64,
}

/// A copy, which waits for code once it has said so.
pub struct Parked {
    /// Its sandbox.
    pub held: SpareHeld,
    /// The root file system, as results name it.
    pub image: String,
    /// How far each protection is enforced.
    pub enforcement: BTreeMap<String, Enforcement>,
    line: Line,
    /// Until when it has to say that it waits; `None`: it has.
    until: Option<Instant>,
    /// Its number inside, once it has said it.
    pid: i32,
    bytes: u64,
    kind: Kind,
    load: Load,
}

impl Parked {
    /// Ends it, which nobody has used.
    pub fn end(self) {
        end(&self.held);
    }

    /// Readable when its sandbox has ended.
    pub fn end_of(&self) -> BorrowedFd<'_> {
        self.held.pidfd.as_fd()
    }

    /// The socket to it: readable when it has said something.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.line.descriptor()
    }

    /// Until when it has to say that it waits, where it has not.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Looks what it has in memory: it changes nothing of that as long as it waits.
    pub fn weigh(&mut self) {
        self.bytes = self.held.private_bytes(self.pid);
    }

    /// Looks what its processes do: nobody else holds it to its limits as long as nobody has it.
    ///
    /// # Errors
    ///
    /// It does what nobody may do who waits.
    pub fn look(&mut self) -> Result<(), Error> {
        let before = std::mem::replace(&mut self.load, self.held.load());
        let Load { processes, memory, ticks } = self.load;
        let wrong = |message: String, hint: &str| Err(Problem::new("preload", message).hint(hint).into());
        // What a copy has it shares with what it was copied from, which is held to its limit.
        if self.kind.language == Language::Node && memory > self.kind.memory {
            let limit = show_bytes(self.kind.memory);
            return wrong(
                format!("needs more memory than the template may have, {limit}"),
                "give it more with `--memory`",
            );
        }
        if self.waits() && processes > 1 {
            return left_behind();
        }
        if self.waits() && ticks > before.ticks + AWAKE {
            return wrong("goes on working in interpreters that wait".to_owned(), "leave such work to the runs");
        }
        Ok(())
    }

    /// Bytes that it has for itself alone, where that was looked at.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it waits for code.
    pub fn waits(&self) -> bool {
        self.until.is_none()
    }

    /// Waits until it waits for code.
    ///
    /// # Errors
    ///
    /// It will not; it has to be ended.
    pub fn await_word(&mut self) -> Result<(), Error> {
        let Some(until) = self.until else { return Ok(()) };
        while !silence::await_word(self.line.descriptor(), None, Some(until.min(Instant::now() + GLANCE))) {
            if Instant::now() >= until {
                return Err(Error::setup("a copy of the warm interpreter says nothing", libc::ETIMEDOUT));
            }
            self.look()?;
        }
        let failed = |error: std::io::Error| Error::attempt("speak to a copy of the interpreter", &error);
        match self.line.hear::<Copied>().map_err(failed)?.map(|(copied, _)| copied) {
            Some(Copied { pid: Some(pid), .. }) => {
                let named = self.held.name_payload(pid);
                named.map_err(|errno| Error::setup("name the payload of a spare", errno as i32))?;
                (self.until, self.pid, self.load) = (None, pid, self.held.load());
                // Nobody would count what those have that are there before a run is.
                if self.load.processes > 1 { left_behind() } else { Ok(()) }
            }
            Some(Copied { failed: Some(failure), .. }) => Err(failure.error()),
            Some(Copied { refused: Some(refused), .. }) => Err(refused.error(self.kind.language)),
            _ if self.kind.language == Language::Node => {
                let problem = Problem::new("preload", "ends the interpreter before it waits for code");
                Err(problem.hint("`belljar code node -e CODE` shows the same in a sandbox").into())
            }
            _ => Err(Error::new(error::Kind::Setup, "a copy of the warm interpreter ended at once")),
        }
    }
}

/// A preload has begun others in it.
fn left_behind() -> Result<(), Error> {
    let problem = Problem::new("preload", "leaves processes behind in each interpreter that waits");
    Err(problem.hint("leave what starts them to the runs").into())
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

/// Makes one: ahead of its code, or for code that waits. It has not said yet that it waits.
///
/// # Errors
///
/// What kept it from being made; with `ETIMEDOUT` the interpreter's next word would be the answer to this.
pub fn make(ground: &mut Ground, interpreter: &Line, ahead: bool, kind: Kind) -> Result<Parked, Error> {
    let mut spare = ground.prepare()?;
    let made = fork(&mut spare, interpreter, ahead);
    let Spare { held, plan, .. } = spare;
    let enforcement =
        plan.enforcement.iter().map(|(protection, how)| (protection.name().to_owned(), how.clone())).collect();
    match made {
        Ok(line) => {
            let (until, load) = (Some(Instant::now() + kind.patience), Load::default());
            Ok(Parked { held, image: plan.image, enforcement, line, until, pid: 0, bytes: 0, kind, load })
        }
        Err(error) => {
            end(&held);
            Err(error)
        }
    }
}

fn fork(spare: &mut Spare, interpreter: &Line, ahead: bool) -> Result<Line, Error> {
    let failed = |error: std::io::Error| Error::attempt("speak to the interpreter", &error);
    let Spare { held, plan, ruleset, command } = spare;
    let door = held.cgroup.as_ref().map(|cgroup| cgroup.door().map(OwnedFd::from)).transpose()?;
    let namespaces = std::mem::take(&mut held.namespaces);
    let script = process::write_script(plan, namespaces, door, ruleset.take(), command.as_ref())?;
    let blob = process::in_memory(&script.encode())?;
    let (ours, theirs) = fd::pair().map_err(|errno| Error::setup("make a socket pair", errno as i32))?;
    let sent = std::iter::once(blob.as_raw_fd()).chain(script.descriptors().map(|fd| fd.as_raw_fd()));
    let sent: Vec<_> = sent.chain([theirs.as_raw_fd()]).collect();
    // One that waits touches beforehand what every run touches.
    interpreter.say_text(if ahead { b"park" } else { b"now" }, &sent).map_err(failed)?;
    drop(theirs);
    if !silence::await_word(interpreter.descriptor(), None, Some(Instant::now() + PATIENCE)) {
        return Err(Error::setup("the warm interpreter does not answer", libc::ETIMEDOUT));
    }
    let said = interpreter.hear::<Said>().map_err(failed)?.map(|(said, _)| said);
    match said {
        Some(Said { forked: Some(true), .. }) => Ok(Line::of(ours)),
        Some(Said { failed: Some(failure), .. }) => Err(failure.error()),
        _ => Err(Error::setup("copy the warm interpreter: it ended", libc::ECHILD)),
    }
}
