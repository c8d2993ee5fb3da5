//! The keeper's answers, one function for each request.
//!
//! A caller that waits for a job is why it runs: where he goes, it is interrupted.

use super::Keeper;
use crate::error::{self, Error};
use crate::sys::tty;
use crate::tools::session::jobs::Why;
use crate::tools::session::{Ask, Kind, Said, descendants, replay};
use crate::tools::wire;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Between two steps on the way to a job's end; the third cannot be refused.
const STEP: Duration = Duration::from_secs(1);
/// So many of them end whatever can be ended.
const STEPS: u32 = 8;
/// How long a job may take to make room for what it is given.
const READERS_TIME: u16 = 2000;
/// Between two looks whether a caller is still there.
const GLANCE: Duration = Duration::from_millis(100);
/// Between two signs of life of a keeper whose job says nothing.
const PULSE: Duration = Duration::from_secs(1);
/// What a terminal takes for Ctrl-C.
const INTERRUPT: &[u8] = b"\x03";

/// One caller, one question.
pub fn hear(keeper: &Keeper, caller: &mut UnixStream) -> io::Result<()> {
    let mut frame = Vec::new();
    if wire::read(caller, &mut frame)? != Some(wire::REQUEST) {
        return Ok(());
    }
    let result = match wire::parse(&frame)? {
        Ask::Look => wire::write_json(caller, wire::ITEM, &keeper.jobs.lock().look(&keeper.id, keeper.kind)).map(Ok)?,
        Ask::Run { kind, text, wait, timeout_ms } => match keeper.add(kind, text, wait) {
            Ok(job) => {
                let deadline = timeout_ms.map(|time| Instant::now() + Duration::from_millis(time));
                wire::write_json(caller, wire::ITEM, &Said::Job(job))?;
                if wait { keeper.attend(job, deadline, caller)? } else { Ok(()) }
            }
            Err(trouble) => Err(trouble),
        },
        Ask::Interrupt { job } => keeper.interrupt(job),
        Ask::Logs { job, follow } => keeper.tell(job, follow, None, caller)?,
        Ask::Input { job, bytes } => keeper.input(job, &bytes.0),
        Ask::Attach { size } if keeper.kind == Kind::Bridge => {
            let shown = keeper.attach(size, caller);
            // Whether its process has ended or the caller has gone, it was for him alone.
            keeper.end();
            if let Ok(result) = shown {
                wire::write_json(caller, wire::END, &result.err())?;
            }
            crate::sys::child::exit(0);
        }
        Ask::Attach { size } => keeper.attach(size, caller)?,
        Ask::Resize { columns, rows } => keeper.resize(columns, rows),
        Ask::Remove => {
            keeper.end();
            wire::write_json(caller, wire::END, &wire::Ending::None)?;
            // With all threads.
            crate::sys::child::exit(0);
        }
        Ask::Language(_) => {
            Err(Error::new(error::Kind::Misused, format!("the session `{}` keeps no language server", keeper.id)))
        }
        Ask::Create { .. } => Err(Error::new(error::Kind::Exists, "the session is there already")),
    };
    wire::write_json(caller, wire::END, &result.err())
}

/// Gives it to a job that reads, at its pace; one that does not read for a while gets no more.
fn feed(file: &mut File, bytes: &[u8]) -> Result<(), Error> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut list = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
                if poll(&mut list, READERS_TIME) == Ok(0) {
                    let taken = bytes.len() - rest.len();
                    let message = format!("the job does not read: it took {taken} of {} bytes", bytes.len());
                    return Err(Error::new(error::Kind::Failed, message));
                }
            }
            Err(error) => return Err(Error::of_io(&error)),
        }
    }
    Ok(())
}

fn ended(job: u64) -> Error {
    Error::new(error::Kind::Ended, format!("the job {job} has ended"))
}

/// Whether a caller has gone.
pub fn is_gone(caller: &UnixStream) -> bool {
    let mut list = [PollFd::new(caller.as_fd(), PollFlags::POLLHUP)];
    poll(&mut list, 0u16).is_ok_and(|count| count > 0)
}

impl Keeper {
    fn unknown(&self, job: u64) -> Error {
        Error::new(error::Kind::NotFound, format!("no job {job} in the session `{}`", self.id)).of_field("job")
    }

    /// Takes a job in; its number.
    fn add(&self, kind: Kind, text: String, wait: bool) -> Result<u64, Error> {
        if matches!(self.kind, Kind::Command | Kind::Terminal | Kind::Stream | Kind::Bridge) {
            return Err(Error::new(error::Kind::Invalid, "it is a single command, and takes no other"));
        }
        if kind != self.kind {
            let (is, wanted) = (self.kind.name(), kind.name());
            return Err(Error::new(
                error::Kind::Misused,
                format!("the session `{}` is one of {is}, and not of {wanted}", self.id),
            )
            .hint("take another for it: each has one language"));
        }
        let job = self.jobs.change(|state| match state.ended {
            Some(code) => {
                let how = if self.kind == Kind::Shell { String::new() } else { format!(" ({code})") };
                Err(Error::new(error::Kind::SessionEnded, format!("the session `{}` has ended{how}", self.id))
                    .hint("`belljar session rm` it, and make another"))
            }
            None => state.add(text, !wait).ok_or_else(|| {
                Error::new(error::Kind::Busy, format!("too many jobs wait in the session `{}`", self.id))
                    .hint("wait until some have ended, or take another session")
            }),
        });
        self.jobs.ring();
        job
    }

    /// Tells the caller what a job says until it ends, which it has to at its time, and where he goes.
    fn attend(&self, job: u64, deadline: Option<Instant>, caller: &mut UnixStream) -> io::Result<Result<(), Error>> {
        let told = self.tell(job, true, deadline, caller);
        if told.is_err() {
            // Who is gone does not hear how that goes.
            let _ = self.interrupt(Some(job));
        }
        told
    }

    /// Tells what a job says; with `follow` until it ends, which it has to at its time.
    fn tell(
        &self,
        job: u64,
        follow: bool,
        deadline: Option<Instant>,
        to: &mut UnixStream,
    ) -> io::Result<Result<(), Error>> {
        let (mut place, mut ending) = (0, deadline.map(|at| (0, at)));
        let mut spoken = Instant::now();
        loop {
            let (mut said, next, end) = {
                let mut state = self.jobs.lock();
                let Some(known) = state.job(job) else { return Ok(Err(self.unknown(job))) };
                known.since(place)
            };
            let over = end.is_some() || !follow;
            if said.is_empty() && !over {
                if is_gone(to) {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                if let Some((step, at)) = ending.filter(|(_, at)| Instant::now() >= *at) {
                    self.step(job, step, Why::TimedOut);
                    ending = Some((step + 1, at + STEP));
                }
                if spoken.elapsed() >= PULSE {
                    wire::write(to, wire::PULSE, &[])?;
                    spoken = Instant::now();
                }
                let glance = Instant::now() + GLANCE;
                self.await_more(job, place, ending.map_or(glance, |(_, at)| glance.min(at)));
                continue;
            }
            if place == 0 && self.kind == Kind::Terminal {
                said = replay::without_queries(said);
            }
            place = next;
            spoken = Instant::now();
            for one in &said {
                wire::write_json(to, wire::ITEM, one)?;
            }
            if over {
                if let Some(end) = end {
                    wire::write_json(to, wire::ITEM, &Said::Ended(end))?;
                }
                return Ok(Ok(()));
            }
        }
    }

    /// Waits until the job has said more, or it is time to look at something else.
    pub(super) fn await_more(&self, job: u64, place: usize, until: Instant) {
        let rest = until.saturating_duration_since(Instant::now());
        let mut state = self.jobs.lock();
        // What it has said since was told to nobody.
        if state.job(job).is_some_and(|job| job.is_silent_since(place)) {
            drop(self.jobs.wait(state, Some(rest)));
        }
    }

    /// Interrupts a job, and sees to its end.
    fn interrupt(&self, job: Option<u64>) -> Result<(), Error> {
        let job = {
            let mut state = self.jobs.lock();
            let nothing = || Error::new(error::Kind::NotFound, format!("nothing runs in the session `{}`", self.id));
            let job = job.or_else(|| state.current()).ok_or_else(nothing)?;
            if state.job(job).ok_or_else(|| self.unknown(job))?.is_over() {
                return Err(ended(job));
            }
            job
        };
        let began = Instant::now();
        for step in 0..STEPS {
            self.step(job, step, Why::Interrupted);
            if self.kind == Kind::Terminal {
                return Ok(());
            }
            let until = began + STEP * (step + 1);
            let mut state = self.jobs.lock();
            loop {
                if state.job(job).is_none_or(|job| job.is_over()) {
                    return Ok(());
                }
                let rest = until.saturating_duration_since(Instant::now());
                if rest.is_zero() {
                    break;
                }
                state = self.jobs.wait(state, Some(rest));
            }
        }
        Err(Error::new(error::Kind::Failed, format!("the job {job} does not end")))
    }

    /// One step on the way to a job's end: first so that an interpreter raises it, or a shell goes on; then for good. One that has not
    /// begun does not begin.
    fn step(&self, job: u64, step: u32, why: Why) {
        let mut state = self.jobs.lock();
        let Some(known) = state.job(job).filter(|job| !job.is_over()) else { return };
        if !known.stop(why) {
            drop(state);
            // It has ended with that: nobody has begun it.
            return self.jobs.ring();
        }
        // Under the lock the next job does not begin, and none of this reaches it.
        let since = known.started;
        let to_itself = |signal| {
            // Gone by now is as good.
            let _ = kill(Pid::from_raw(self.pid), signal);
        };
        let to_started = |signal| descendants::signal_started_since(self.pid, since, signal);
        match (self.kind, step) {
            (Kind::Shell, 0) => to_started(Signal::SIGTERM),
            (Kind::Shell, 2 | 3) => to_started(Signal::SIGKILL),
            (Kind::Shell, 1) | (Kind::Silent | Kind::Language, _) => {}
            (Kind::Terminal, _) => {
                if let Some(mut master) = known.input.as_ref() {
                    // Where it is full, somebody types already.
                    let _ = master.write(INTERRUPT);
                }
            }
            (Kind::Python | Kind::Node | Kind::Command | Kind::Stream | Kind::Bridge, 0 | 1) => {
                to_itself(Signal::SIGINT);
                to_started(Signal::SIGINT);
            }
            (Kind::Shell | Kind::Python | Kind::Node | Kind::Command | Kind::Stream | Kind::Bridge, _) => {
                to_started(Signal::SIGKILL);
                to_itself(Signal::SIGKILL);
            }
        }
    }

    pub(super) fn resize(&self, columns: u16, rows: u16) -> Result<(), Error> {
        let sizes = 1..=1000;
        if !sizes.contains(&columns) || !sizes.contains(&rows) {
            return Err(Error::new(error::Kind::Misused, "a terminal has from 1 to 1000 columns and rows"));
        }
        let mut state = self.jobs.lock();
        let master = state.job(1).filter(|_| self.kind == Kind::Terminal).and_then(|job| job.input.as_ref());
        let master =
            master.ok_or_else(|| Error::new(error::Kind::Invalid, "the session has no terminal, or it has ended"))?;
        tty::set_size(master, (columns, rows)).map_err(|errno| Error::of_io(&io::Error::from_raw_os_error(errno)))
    }

    fn input(&self, job: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut file = {
            let mut state = self.jobs.lock();
            let known = state.job(job).ok_or_else(|| self.unknown(job))?;
            if known.is_over() {
                return Err(ended(job));
            }
            let input =
                known.input.as_ref().ok_or_else(|| Error::new(error::Kind::Invalid, "the job reads nothing"))?;
            input.try_clone().map_err(|error| Error::of_io(&error))?
        };
        feed(&mut file, bytes)
    }
}
