//! What the supervisor of a warm template has beyond that of any sandbox: the socket to the interpreter, which is the template's command, and
//! the maker, which speaks through it.

use super::super::WarmStats;
use super::super::call::{Answer, Call, Line};
use super::super::warm::message::{News, Ready, State, Task};
use super::Supervisor;
use crate::error::{Error, Kind, Problem};
use crate::outcome::{Outcome, Status};
use crate::own::Own;
use crate::process::Running;
use crate::spec::{Order, Warm, show_bytes, show_duration};
use crate::sys::{fd, proc};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A template that lasts no longer is not made once more.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long an interpreter without a maker may take to end, as it does with whatever it was that ended the maker.
const LETTING_GO: Duration = Duration::from_secs(2);

/// One that lasts so long is not counted among those that were made anew in vain.
const STEADY: Duration = Duration::from_secs(60);
/// So often in a row a template is made anew.
const MOST_IN_VAIN: u32 = 5;

/// How often a template was made anew, and when it was last.
pub(super) struct Remade {
    in_vain: u32,
    last: Instant,
}

impl Default for Remade {
    fn default() -> Remade {
        Remade { in_vain: 0, last: Instant::now() }
    }
}

impl Remade {
    /// Whether it may be once more: whatever ends it again and again is its own.
    pub(super) fn may(&mut self) -> bool {
        self.in_vain = if self.last.elapsed() < STEADY { self.in_vain + 1 } else { 0 };
        self.last = Instant::now();
        self.in_vain <= MOST_IN_VAIN
    }
}

/// The template's side of a supervisor.
pub(super) struct Forge {
    id: String,
    /// Whoever has it made, until it is ready.
    wanted_by: Option<OwnedFd>,
    /// How long the preload may take, and until when; nothing once it is ready.
    patience: Option<Duration>,
    until: Option<Instant>,
    /// Until when an interpreter that has lost its maker may take to say by its end what it was.
    lost: Option<Instant>,
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
    pub(super) fn new(id: &str, template: &Warm, wanted_by: Option<OwnedFd>) -> Result<(Forge, OwnedFd), Error> {
        let (ours, theirs) = pair()?;
        let forge = Forge {
            id: id.to_owned(),
            wanted_by,
            patience: template.patience,
            until: template.patience.map(|patience| Instant::now() + patience),
            lost: None,
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

    /// When to be tended at the latest.
    pub(super) fn next(&self) -> Option<Instant> {
        [self.until, self.lost].into_iter().flatten().filter(|_| !self.over).min()
    }

    /// Whether runs can be served.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.is_some()
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
    pub(super) fn tend(&mut self, running: &mut Running) -> Result<(), Error> {
        self.bury();
        if self.over {
            return Ok(());
        }
        if let Some(why) = self.is_given_up(Instant::now()) {
            self.over = true;
            return Err(why);
        }
        let tended = if self.maker.is_none() && self.lost.is_none() { self.start(running) } else { Ok(()) };
        // It is said once.
        tended.and_then(|()| self.hear(running)).inspect_err(|_| self.over = true)
    }

    /// Why it is of no use any more, or will never be.
    fn is_given_up(&self, now: Instant) -> Option<Error> {
        if self.wanted_by.as_ref().is_some_and(|maker| proc::has_ended(maker.as_fd())) {
            return Some(Error::new(Kind::Cancelled, "nobody waits for the template any more"));
        }
        if self.lost.is_some_and(|until| now >= until) {
            return Some(Error::setup("make spares: the maker was killed", libc::ECHILD));
        }
        let patience = self.patience.filter(|_| self.until.is_some_and(|until| now >= until))?;
        let problem = Problem::new("preload", format!("has not come to its end within {}", show_duration(patience)));
        Some(Error::invalid(vec![
            problem.hint("give it more time with `--preload-timeout`, or leave such work to the runs"),
        ]))
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
        loop {
            let Some(line) = &self.maker else { return Ok(()) };
            match line.hear::<News>() {
                Ok(Some((News::Ready(ready), _))) => {
                    (self.ready, self.wanted_by, self.until) = (Some(ready), None, None);
                    running.doze();
                }
                Ok(Some((News::State(state), _))) => self.state = state,
                // The interpreter has ended, and how it did, or who wanted it, tells why better than who was left alone.
                Ok(Some((News::Failed(error), _))) if self.waits_for_an_end(&error) => return Ok(()),
                Ok(Some((News::Failed(error), _))) => return Err(error),
                Ok(Some((News::Inside(_), _))) => {}
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => return Ok(()),
                Ok(None) | Err(_) => {
                    let killed = Error::setup("make spares: the maker was killed", libc::ECHILD);
                    return if self.waits_for_an_end(&killed) { Ok(()) } else { Err(killed) };
                }
            }
        }
    }

    /// Whether the end of the interpreter is to say why there is nobody on the other side any more.
    fn waits_for_an_end(&mut self, error: &Error) -> bool {
        let waits = error.errno == Some(libc::ECHILD);
        if waits {
            (self.lost, self.maker) = (Some(Instant::now() + LETTING_GO), None);
        }
        waits
    }

    /// Why a template whose interpreter has ended so is not ready, where it is not. `asked`: whether somebody wanted its end.
    pub(super) fn told(&self, outcome: &Outcome, order: &Order, asked: bool) -> Option<Error> {
        if self.ready.is_some() || self.over {
            return None;
        }
        if asked || outcome.status == Status::Cancelled {
            return Some(Error::new(Kind::Cancelled, "the template was ended before it was ready"));
        }
        if let Some(error) = &outcome.error {
            return Some(error.clone());
        }
        let language = order.warm.as_ref().map(|warm| warm.language).unwrap_or_default();
        let shows = format!("`belljar code {} -e CODE` shows the same in a sandbox", language.name());
        let (message, hint) = match (outcome.status, outcome.exit_code, &outcome.signal) {
            (Status::OutOfMemory, ..) => {
                let limit = show_bytes(order.spec.memory);
                (format!("needs more memory than the template may have, {limit}"), "give it more with `--memory`")
            }
            (_, Some(code), _) => (format!("ends the interpreter, with exit code {code}"), shows.as_str()),
            (_, _, Some(signal)) => (format!("ends the interpreter: {signal}"), shows.as_str()),
            _ => ("ends the interpreter".to_owned(), shows.as_str()),
        };
        Some(Error::invalid(vec![Problem::new("preload", message).hint(hint)]))
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
            (Some(forge), _) if !forge.is_ready() => {
                line.say(&Answer::Refused("the template is not ready yet".to_owned()), &[])
            }
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

impl Supervisor<'_> {
    /// Tends a template; whether all else is to be tended too, which waits until that is ready.
    pub(super) fn tend_forge(&mut self, running: &mut Running, now: Instant) -> bool {
        let Some(forge) = self.forge.as_mut().filter(|_| running.held().is_some()) else { return true };
        if let Err(error) = forge.tend(running) {
            running.fail_for(error);
            return false;
        }
        if forge.is_ready() {
            return true;
        }
        // Somebody may want its end, whatever its preload does.
        self.accept();
        self.answer(running);
        self.tend_term(now);
        self.ask_to_end(running);
        false
    }

    /// Tells whoever has a template made why it is not ready, where it has ended before; whether it has.
    pub(super) fn tell_unready(&mut self, outcome: &Outcome) -> bool {
        let (asked, order) = (self.reason.is_some(), self.order);
        let unready = self.forge.as_ref().and_then(|forge| forge.told(outcome, order, asked));
        if let Some(error) = &unready {
            (self.ready)(Err(error));
        }
        unready.is_some()
    }
}

fn pair() -> Result<(OwnedFd, OwnedFd), Error> {
    fd::pair().map_err(|errno| Error::setup("make a socket pair", errno as i32))
}
