//! What the supervisor of a warm template has beyond that of any sandbox: the socket to the interpreter, which is the template's command, and
//! the maker, which speaks through it.

use super::super::WarmStats;
use super::super::call::{Answer, Call, Line};
use super::super::warm::message::{News, Ready, State, Task};
use super::Supervisor;
use crate::error::{Error, Kind};
use crate::outcome::{Outcome, Status};
use crate::own::Own;
use crate::process::Running;
use crate::sys::{fd, proc};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::process::Stdio;
use std::time::Duration;

/// A template that lasts no longer is not made once more.
const SHORTEST: Duration = Duration::from_secs(1);

/// How far a template is.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    /// It is not ready yet.
    Waits,
    /// It is.
    Ready,
}

/// The template's side of a supervisor.
pub(super) struct Forge {
    id: String,
    /// Whoever has it made, until it is ready.
    wanted_by: Option<OwnedFd>,
    /// Our end of the interpreter's standard input, until the maker has it.
    interpreter: Option<OwnedFd>,
    maker: Option<Line>,
    /// Its pid, once it is inside, and a descriptor of it.
    inside: Option<(i32, OwnedFd)>,
    ready: Option<Ready>,
    state: State,
    /// There will be nothing more.
    over: bool,
}

impl Forge {
    /// One for the template of that id, and the interpreter's standard input. It ends with `wanted_by`, as long as it is not ready.
    pub(super) fn new(id: &str, wanted_by: Option<OwnedFd>) -> Result<(Forge, OwnedFd), Error> {
        let (ours, theirs) = pair()?;
        let forge = Forge {
            id: id.to_owned(),
            wanted_by,
            interpreter: Some(ours),
            maker: None,
            inside: None,
            ready: None,
            state: State::default(),
            over: false,
        };
        Ok((forge, theirs))
    }

    /// Whether a template that has ended is made once more: it was ready, and nobody asked for its end. Its interpreter or its maker was
    /// killed, for the memory limit or because the machine had no more.
    pub(super) fn is_made_anew(supervisor: &Supervisor<'_>, outcome: &Result<Outcome, Error>) -> bool {
        let was_ready = supervisor.forge.as_ref().is_some_and(|forge| forge.ready.is_some());
        let asked = supervisor.reason.is_some() || outcome.as_ref().is_ok_and(|one| one.status == Status::Cancelled);
        was_ready && !asked && supervisor.born.elapsed() >= SHORTEST
    }

    /// To wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let maker = self.maker.as_ref().filter(|_| !self.over).map(Line::descriptor);
        let wanted_by = self.wanted_by.as_ref().filter(|_| !self.over).map(OwnedFd::as_fd);
        maker.into_iter().chain(self.inside.iter().map(|(_, pidfd)| pidfd.as_fd())).chain(wanted_by)
    }

    /// Waits for a maker that has ended: the namespace of pids that it is in ends no sooner.
    fn bury(&mut self) {
        if let Some((pid, _)) = self.inside.take_if(|(_, pidfd)| proc::has_ended(pidfd.as_fd())) {
            let _ = proc::wait_with_usage(pid);
        }
    }

    /// Starts the maker where there is none, and hears it.
    ///
    /// # Errors
    ///
    /// Why the template cannot be used: it has to end.
    pub(super) fn tend(&mut self, running: &mut Running) -> Result<Progress, Error> {
        self.bury();
        if self.over {
            return Ok(Progress::Waits);
        }
        if self.wanted_by.as_ref().is_some_and(|maker| proc::has_ended(maker.as_fd())) {
            self.over = true;
            return Err(Error::new(Kind::Cancelled, "nobody waits for the template any more"));
        }
        let tended = if self.maker.is_none() { self.start(running) } else { Ok(()) };
        // It is said once.
        tended.and_then(|()| self.hear(running)).inspect_err(|_| self.over = true)?;
        Ok(if self.ready.is_some() { Progress::Ready } else { Progress::Waits })
    }

    fn start(&mut self, running: &mut Running) -> Result<(), Error> {
        let attempt = "start the maker of spares";
        let failed = |error: std::io::Error| Error::attempt(attempt, &error);
        let places = running.held().map(|held| held.namespaces.as_slice()).unwrap_or_default();
        let (Some(users), Some(pids), Some(interpreter)) = (places.first(), places.get(2), self.interpreter.take())
        else {
            return Err(Error::setup(attempt, libc::ESRCH));
        };
        let (ours, theirs) = pair()?;
        let mut command = Own::Spares { id: self.id.clone() }.command();
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        let mut messenger = command.spawn().map_err(failed)?;
        let line = Line::of(ours);
        let descriptors = [users, pids, &interpreter].map(|fd| fd.as_raw_fd());
        line.say(&Task::Begin, &descriptors).map_err(failed)?;
        // It leaves as soon as the maker is inside.
        match line.hear::<News>().map_err(failed)? {
            Some((News::Inside(pid), descriptors)) => {
                let pidfd = descriptors.into_iter().next().ok_or_else(|| Error::setup(attempt, libc::EMFILE))?;
                running.leave_nested_out(pidfd.as_fd());
                self.inside = Some((pid, pidfd));
            }
            Some((News::Failed(error), _)) => return Err(error),
            _ => return Err(Error::setup(attempt, libc::ECHILD)),
        }
        let _ = messenger.wait();
        crate::sys::fd::set_nonblocking(line.descriptor()).map_err(|errno| Error::setup(attempt, errno))?;
        self.maker = Some(line);
        Ok(())
    }

    fn hear(&mut self, running: &mut Running) -> Result<(), Error> {
        let Some(line) = &self.maker else { return Ok(()) };
        loop {
            match line.hear::<News>() {
                Ok(Some((News::Ready(ready), _))) => {
                    (self.ready, self.wanted_by) = (Some(ready), None);
                    running.doze();
                }
                Ok(Some((News::State(state), _))) => self.state = state,
                Ok(Some((News::Failed(error), _))) => return Err(error),
                Ok(Some((News::Inside(_), _))) => {}
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => return Ok(()),
                Ok(None) | Err(_) => return Err(Error::setup("make spares: the maker was killed", libc::ECHILD)),
            }
        }
    }

    /// What there is now.
    fn stats(&self) -> Answer {
        match &self.ready {
            Some(ready) => Answer::Warm(WarmStats { interpreter: ready.clone(), state: self.state.clone() }),
            None => Answer::Refused("the template is not ready".to_owned()),
        }
    }

    /// Answers a call of a template, or of no template.
    pub(super) fn answer(forge: Option<&Forge>, call: &Call, line: &Line) -> std::io::Result<()> {
        match (forge, call) {
            (Some(forge), Call::WarmStats) => line.say(&forge.stats(), &[]),
            (Some(forge), _) => forge.serve(line),
            (None, _) => line.say(&Answer::Refused("it is no warm template".to_owned()), &[]),
        }
    }

    /// Brings a caller to the maker.
    fn serve(&self, line: &Line) -> std::io::Result<()> {
        let refused = |why: &str| line.say(&Answer::Refused(why.to_owned()), &[]);
        let Some(maker) = &self.maker else { return refused("the template is not ready") };
        let Ok((one, other)) = pair() else { return refused("no descriptor is left") };
        match maker.say(&Task::Serve, &[one.as_raw_fd()]) {
            Ok(()) => line.hand(&Answer::Done, &[other.as_raw_fd()]),
            Err(error) => refused(&format!("its maker does not hear: {error}")),
        }
    }
}

fn pair() -> Result<(OwnedFd, OwnedFd), Error> {
    fd::pair().map_err(|errno| Error::setup("make a socket pair", errno as i32))
}
