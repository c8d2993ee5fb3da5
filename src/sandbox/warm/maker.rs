//! The maker of a template: a process of its own, inside of the template's namespaces of users and of pids but among the host's files, so
//! that it makes sandboxes as anybody does and each is below the template.
//!
//! It has one thread, serves one caller after another, and makes copies ready while nobody waits. It runs nothing for a caller, and
//! reads nothing that a sandbox controls but two short words of a process that no run's code is in yet. With it end the template and
//! all that it has made.

use super::copy::{self, Kind, PATIENCE, Parked};
use super::message::{Given, News, Ready, Said, State, Task, Wish};
use crate::error::Error;
use crate::identity;
use crate::images::Store;
use crate::name::Name;
use crate::process::Ground;
use crate::sandbox::Sandboxes;
use crate::sandbox::call::Line;
use crate::spec::{Language, Warm};
use crate::sys::clone::go_on_inside;
use crate::sys::{child, proc};
use crate::warm;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// After a copy that could not be made, until the next is tried unasked.
const REST: Duration = Duration::from_secs(1);
/// So many may begin at the same time.
const AT_ONCE: usize = 2;
/// Between two looks at interpreters that wait and are no copies: a preload may have left threads in them. A copy has none.
const LOOK: Duration = Duration::from_secs(2);
/// Longer than anybody waits.
const FOREVER: Duration = Duration::from_secs(1 << 30);

/// Makes spares for the template of that id, as long as its supervisor, who is at the other end of standard input, is there.
///
/// # Errors
///
/// Why there are none; the supervisor has been told.
pub fn make_spares(sandboxes: &Sandboxes, id: &str, store: &Store) -> Result<(), Error> {
    let line = std::io::stdin().as_fd().try_clone_to_owned().map(Line::of);
    let line = line.map_err(|error| Error::attempt("speak to the supervisor", &error))?;
    // As long as the interpreter hears that there is somebody it stays, and with it the template that we are in.
    let mut held = None;
    let made = serve(&line, (sandboxes, id), store, &mut held);
    if let Err(error) = &made {
        // A supervisor that is gone has ended the template.
        let _ = line.say(&News::Failed(error.clone()), &[]);
    }
    drop(held);
    made
}

fn failed(attempt: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::attempt(attempt, &error)
}

fn serve(
    line: &Line,
    (sandboxes, id): (&Sandboxes, &str),
    store: &Store,
    held: &mut Option<OwnedFd>,
) -> Result<(), Error> {
    let begun = line.hear::<Task>().map_err(failed("hear the supervisor"))?;
    let Some((Task::Begin, descriptors)) = begun else { return Ok(()) };
    let [users, pids, interpreter] = <[OwnedFd; 3]>::try_from(descriptors)
        .map_err(|_| Error::setup("take over the template's descriptors", libc::EMFILE))?;
    let order = sandboxes.find(id)?.order()?;
    let wish = order.warm.clone().unwrap_or_default();
    // As anybody looks at the machine: from inside of the template much of it has other numbers.
    let mut ground = Ground::survey(&order, Some(store))?;
    let refused = |errno| Error::setup("go inside of the template", errno);
    child::process_control(libc::PR_SET_DUMPABLE, 0, 0).map_err(refused)?;
    let namespaces = [(users.as_fd(), libc::CLONE_NEWUSER), (pids.as_fd(), libc::CLONE_NEWPID)];
    if let Some((pid, pidfd)) = go_on_inside(&namespaces).map_err(refused)? {
        return line.say(&News::Inside(pid), &[pidfd.as_raw_fd()]).map_err(failed("tell the supervisor"));
    }
    ground.enter();
    *held = interpreter.try_clone().ok();
    let interpreter = Line::of(interpreter);
    let ready = begin(&interpreter, &wish)?;
    let memory = ground.order().spec.memory;
    // Which the supervisor sees to as long as the template is not ready.
    let patience = wish.patience.unwrap_or(FOREVER);
    let kind = Kind { language: wish.language, patience: patience.max(PATIENCE), memory };
    let mut maker = Maker::new(line, interpreter, ground, (wish.ready as usize, kind));
    // That it can be done at all is part of being ready.
    let begun = Instant::now();
    let mut first = maker.make_now(true)?;
    first.weigh();
    maker.keep(first);
    // Nobody waits much longer for any other than for this one.
    maker.kind.patience = PATIENCE.max(begun.elapsed() * 4);
    line.say(&News::Ready(ready), &[]).map_err(failed("tell the supervisor"))?;
    maker.work()
}

/// Has the interpreter do what every run begins with.
fn begin(interpreter: &Line, wish: &Warm) -> Result<Ready, Error> {
    let failed = failed("speak to the interpreter");
    let library = crate::sys::fd::sealed_file(c"belljar-fork", warm::FORK).map_err(&failed)?;
    let order = serde_json::json!({ "preload": wish.preload, "version": 1 });
    // A Node has its library with its first words, and takes no descriptors.
    let along: &[RawFd] = if wish.language == Language::Python { &[library.as_raw_fd()] } else { &[] };
    interpreter.say(&order, along).map_err(&failed)?;
    let said = interpreter.hear::<Said>().map_err(&failed)?.map(|(said, _)| said);
    match said {
        Some(Said { ready: Some(ready), .. }) => Ok(ready),
        Some(Said { refused: Some(refused), .. }) => Err(refused.error(wish.language)),
        _ => Err(Error::setup("the interpreter ended before it was ready", libc::ECHILD)),
    }
}

/// The copy once it waits for code; one that does not is ended.
fn settled(mut parked: Parked) -> Result<Parked, Error> {
    match parked.await_word() {
        Ok(()) => Ok(parked),
        Err(error) => {
            parked.end();
            Err(error)
        }
    }
}

/// A copy that somebody has.
struct Taken {
    pid: i32,
    pidfd: OwnedFd,
    /// Goes when its run has ended and its caller is gone.
    _cgroup: Option<crate::cgroup::Cgroup>,
    caller: Option<Line>,
    ended: bool,
}

struct Maker<'l> {
    supervisor: &'l Line,
    interpreter: Line,
    ground: Ground,
    wanted: usize,
    kind: Kind,
    /// When those that wait are looked at again.
    look: Instant,
    parked: VecDeque<Parked>,
    /// Who is there and has not asked yet.
    callers: Vec<Line>,
    taken: Vec<Taken>,
    state: State,
    told: State,
    /// Until then nothing is made unasked.
    rests_until: Option<Instant>,
    /// Why there will be no more copies.
    lost: Option<Error>,
}

/// What has come.
#[derive(Debug, Default)]
struct Come {
    supervisor: bool,
    interpreter: bool,
    callers: Vec<bool>,
    parked: Vec<(bool, bool)>,
    taken: Vec<(bool, bool)>,
}

impl<'l> Maker<'l> {
    fn new(supervisor: &'l Line, interpreter: Line, ground: Ground, (wanted, kind): (usize, Kind)) -> Maker<'l> {
        Maker {
            supervisor,
            interpreter,
            ground,
            wanted,
            kind,
            look: Instant::now() + LOOK,
            parked: VecDeque::new(),
            callers: Vec::new(),
            taken: Vec::new(),
            state: State::default(),
            told: State::default(),
            rests_until: None,
            lost: None,
        }
    }

    /// Makes a spare and has the interpreter copied into it.
    fn make(&mut self, ahead: bool) -> Result<Parked, Error> {
        let made = copy::make(&mut self.ground, &self.interpreter, ahead, self.kind);
        if let Err(error) = &made
            && error.errno == Some(libc::ETIMEDOUT)
        {
            // What it says from here on would be the answer to something else.
            self.lost = Some(error.clone());
        }
        made
    }

    /// The same, and waits until it waits for code.
    fn make_now(&mut self, ahead: bool) -> Result<Parked, Error> {
        settled(self.make(ahead)?)
    }

    /// One that waits, or will soon; whether nobody has to wait for it.
    fn take(&mut self) -> Option<Result<(Parked, bool), Error>> {
        let at = self.parked.iter().position(Parked::waits);
        let parked = self.parked.remove(at.unwrap_or_default())?;
        Some(settled(parked).map(|parked| (parked, at.is_some())))
    }

    fn keep(&mut self, parked: Parked) {
        if self.parked.len() < self.wanted {
            self.parked.push_back(parked);
        } else {
            parked.end();
        }
    }

    /// Serves until the supervisor goes.
    fn work(&mut self) -> Result<(), Error> {
        loop {
            self.tell();
            if let Some(error) = self.lost.take() {
                return Err(error);
            }
            let come = self.wait()?;
            if come.interpreter {
                return Err(Error::setup("the warm interpreter ended", libc::ECHILD));
            }
            if come.supervisor && !self.hear_supervisor()? {
                return Ok(());
            }
            self.bury(&come);
            self.look();
            let served = self.hear_callers(&come);
            if !served && !come.supervisor && self.lacks() {
                self.refill();
            }
        }
    }

    /// Whether one is to be made now.
    fn lacks(&self) -> bool {
        let begin = self.parked.iter().filter(|parked| !parked.waits()).count();
        let rested = self.rests_until.is_none_or(|until| Instant::now() >= until);
        self.parked.len() < self.wanted && begin < AT_ONCE && rested
    }

    fn refill(&mut self) {
        match self.make(true) {
            Ok(parked) => self.keep(parked),
            Err(error) => self.rest(&error),
        }
    }

    /// Nothing is made unasked for a while.
    fn rest(&mut self, trouble: &Error) {
        self.state.trouble = Some(trouble.to_string());
        self.rests_until = Some(Instant::now() + REST);
    }

    fn wait(&self) -> Result<Come, Error> {
        let read = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut list: Vec<PollFd<'_>> = vec![read(self.supervisor.descriptor()), read(self.interpreter.descriptor())];
        list.extend(self.callers.iter().map(|line| read(line.descriptor())));
        list.extend(self.parked.iter().flat_map(|parked| [parked.end_of(), parked.socket()].map(read)));
        for taken in &self.taken {
            let caller = taken.caller.as_ref().map_or(taken.pidfd.as_fd(), Line::descriptor);
            let end = if taken.ended { caller } else { taken.pidfd.as_fd() };
            list.extend([end, caller].map(read));
        }
        let rested = self.rests_until.filter(|_| self.parked.len() < self.wanted);
        let look = self.looks().then_some(self.look);
        let until = rested.into_iter().chain(self.parked.iter().filter_map(Parked::until)).chain(look).min();
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        let timeout = match until {
            _ if self.lacks() => PollTimeout::ZERO,
            Some(until) => PollTimeout::try_from(left(until)).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        match poll(&mut list, timeout) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Ok(Come::default()),
            Err(errno) => return Err(Error::setup("wait for callers", errno as i32)),
        }
        let mut ready = list.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty()));
        let mut next = || ready.next().unwrap_or(false);
        Ok(Come {
            supervisor: next(),
            interpreter: next(),
            callers: self.callers.iter().map(|_| next()).collect(),
            parked: self.parked.iter().map(|_| (next(), next())).collect(),
            taken: self.taken.iter().map(|_| (next(), next())).collect(),
        })
    }

    /// Whether the supervisor is there.
    fn hear_supervisor(&mut self) -> Result<bool, Error> {
        match self.supervisor.hear::<Task>() {
            Ok(Some((Task::Serve, descriptors))) => {
                self.callers.extend(descriptors.into_iter().next().map(Line::of));
                Ok(true)
            }
            Ok(Some((Task::Begin, _))) => Ok(true),
            Ok(None) => Ok(false),
            Err(error) => Err(Error::attempt("hear the supervisor", &error)),
        }
    }

    /// Answers those who have asked; whether there was one.
    fn hear_callers(&mut self, come: &Come) -> bool {
        let mut served = false;
        let mut asked = come.callers.iter().copied().chain(std::iter::repeat(false));
        for line in std::mem::take(&mut self.callers) {
            if !asked.next().unwrap_or(false) {
                self.callers.push(line);
                continue;
            }
            served = true;
            // Who is gone without a wish wanted nothing.
            if let Ok(Some((Wish::Take, _))) = line.hear::<Wish>() {
                self.give(line);
            }
        }
        served
    }

    fn give(&mut self, caller: Line) {
        let found = self.take().unwrap_or_else(|| self.make_now(false).map(|parked| (parked, false)));
        let (parked, waited) = match found {
            Ok(found) => found,
            Err(error) => {
                self.state.trouble = Some(error.to_string());
                // Who is gone does not need to know.
                let _ = caller.say(&Given::None(error.to_string()), &[]);
                return;
            }
        };
        let (order, host) = (self.ground.order(), self.ground.host());
        let environment = identity::environment(order, host);
        let home = || identity::home(identity::user(&order.spec, host), host).into();
        let directory = identity::working_directory(&order.spec, host).unwrap_or_else(home);
        let held = &parked.held;
        let controllers = host.cgroup.controllers();
        let given = Given::Copy {
            parked: waited,
            image: parked.image.clone(),
            enforcement: parked.enforcement.clone(),
            cgroup: held.cgroup.as_ref().map(|cgroup| cgroup.directory().to_owned()),
            controllers: [controllers.cpu, controllers.io, controllers.memory, controllers.pids],
            environment: environment.iter().map(|line| Name::from(copy::os(line.as_bytes()))).collect(),
            directory: Name::from(directory.as_path()),
        };
        let descriptors: Vec<_> = [held.control.as_fd(), held.pidfd.as_fd(), parked.socket()]
            .into_iter()
            .chain(held.sights.iter().map(|sight| sight.as_fd()))
            .map(|fd| fd.as_raw_fd())
            .collect();
        if caller.say(&given, &descriptors).is_err() {
            return parked.end();
        }
        let (counter, other) = (&mut self.state.from_parked, &mut self.state.from_forked);
        *(if waited { counter } else { other }) += 1;
        let Parked { held, .. } = parked;
        // Nobody but the caller has the sockets from here on: with him ends the run.
        let taken =
            Taken { pid: held.pid, pidfd: held.pidfd, _cgroup: held.cgroup, caller: Some(caller), ended: false };
        self.taken.push(taken);
    }

    /// Whether there is any to be looked at.
    fn looks(&self) -> bool {
        self.kind.language == Language::Node && !self.parked.is_empty()
    }

    /// Looks at those that wait, and ends whoever does what nobody may do who waits.
    fn look(&mut self) {
        if !self.looks() || Instant::now() < self.look {
            return;
        }
        self.look = Instant::now() + LOOK;
        for mut parked in std::mem::take(&mut self.parked) {
            match parked.look() {
                Ok(()) => self.parked.push_back(parked),
                Err(error) => {
                    parked.end();
                    self.rest(&error);
                }
            }
        }
    }

    /// Waits for those that have ended.
    fn bury(&mut self, come: &Come) {
        let now = Instant::now();
        let mut come_of = come.parked.iter().copied().chain(std::iter::repeat((false, false)));
        for parked in std::mem::take(&mut self.parked) {
            let (ended, said) = come_of.next().unwrap_or_default();
            let late = parked.until().is_some_and(|until| now >= until);
            match parked.waits() {
                // Who waits has nothing more to say: it is its end.
                true if ended || said => parked.end(),
                false if said || late => match settled(parked) {
                    Ok(mut parked) => {
                        parked.weigh();
                        (self.state.trouble, self.rests_until) = (None, None);
                        self.parked.push_back(parked);
                    }
                    Err(error) => self.rest(&error),
                },
                false if ended => parked.end(),
                _ => self.parked.push_back(parked),
            }
        }
        let mut ended = come.taken.iter().copied().chain(std::iter::repeat((false, false)));
        self.taken.retain_mut(|taken| {
            let (end, caller) = ended.next().unwrap_or_default();
            if end && !taken.ended {
                taken.ended = true;
                let used = proc::wait_with_usage(taken.pid).ok().map(|(_, usage)| Given::used(&usage));
                if let (Some(line), Some(used)) = (&taken.caller, used) {
                    // Who is gone does not need to know.
                    let _ = line.say(&used, &[]);
                }
            } else if caller && taken.caller.is_some() {
                // He says nothing more: it is his end.
                taken.caller = None;
            }
            !taken.ended || taken.caller.is_some()
        });
    }

    fn tell(&mut self) {
        self.state.parked = self.parked.iter().filter(|parked| parked.waits()).count() as u32;
        self.state.parked_bytes = self.parked.iter().map(Parked::bytes).sum();
        self.state.running = self.taken.iter().filter(|taken| !taken.ended).count() as u32;
        if self.state != self.told && self.supervisor.say(&News::State(self.state.clone()), &[]).is_ok() {
            self.told = self.state.clone();
        }
    }
}
