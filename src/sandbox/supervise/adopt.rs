//! A sandbox that waits for somebody who wants it, and becomes his.
//!
//! Whoever had it made holds a lease from the first moment on, by the supervisor's standard input: it ends with that, and is told by it
//! that it was taken.

use super::super::call::{Answer, Asked, Line};
use super::super::place::now;
use super::super::{Entry, Record, Run};
use super::Supervisor;
use super::term::Term;
use crate::process::Running;
use crate::sys::fd;
use crate::sys::proc::release_program;
use std::cell::RefCell;
use std::fs;
use std::io::{self, Error};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

/// How long a supervisor is busy with what it has just made.
const BUSY: Duration = Duration::from_secs(1);

/// Whether it waits, and what it was asked to become.
#[derive(Default)]
pub(super) struct Waiting {
    waits: bool,
    /// When it lets go of the memory that it does not need to wait.
    rest_at: Option<Instant>,
    asked: RefCell<Option<Record>>,
}

impl Waiting {
    /// One that waits, and the line of the lease that it was made with.
    pub fn begin() -> io::Result<(Waiting, Line)> {
        let socket = fd::take_stdin().ok_or_else(Error::last_os_error)?;
        fd::set_nonblocking(socket.as_fd()).map_err(Error::from_raw_os_error)?;
        let line = Line::of(socket);
        line.asked.set(Asked::Lease);
        let rest_at = Some(Instant::now() + BUSY);
        Ok((Waiting { waits: true, rest_at, asked: RefCell::default() }, line))
    }

    /// Whether nobody has wanted it yet.
    pub fn is_nobodys(&self) -> bool {
        self.waits
    }

    /// When it has something to do by itself.
    pub fn next(&self) -> Option<Instant> {
        self.rest_at.filter(|_| self.waits)
    }

    /// It may wait long: lets go of what was needed to make it, once. The last thing before it waits.
    pub fn rest(&mut self, now: Instant) {
        if self.next().is_some_and(|at| now >= at) {
            self.rest_at = None;
            release_program();
        }
    }

    /// Somebody wants it: done when everybody was heard.
    pub fn ask(&self, line: &Line, record: Record) {
        line.asked.set(Asked::Adopt);
        self.asked.replace(Some(record));
    }
}

impl Supervisor<'_> {
    /// Becomes what it was asked to become, where whoever asked is still there.
    pub(super) fn adopt(&mut self, lines: &mut Vec<Line>, running: &mut Running) {
        let Some(record) = self.waiting.asked.take() else { return };
        let Some(line) = lines.iter().find(|line| line.asked.get() == Asked::Adopt) else { return };
        line.asked.set(Asked::Nothing);
        let answer = match self.become_of(&record, running) {
            Ok(run) => Answer::Adopted(run),
            Err(why) => Answer::Refused(why),
        };
        // Who is gone has made a sandbox all the same, as with `create`.
        let _ = line.say(&answer, &[]);
        if matches!(answer, Answer::Adopted(_)) {
            for line in lines.iter().filter(|line| line.asked.get() == Asked::Lease) {
                // Where nobody hears it, nobody makes another.
                let _ = line.say(&Answer::Done, &[]);
            }
            lines.retain(|line| line.asked.get() != Asked::Lease);
        }
    }

    fn become_of(&mut self, record: &Record, running: &mut Running) -> Result<Run, String> {
        let told = |error: &dyn std::fmt::Display| error.to_string();
        // Nobody may hold it any more, and somebody may have it already.
        if !self.waiting.waits || self.leases.get() == 0 || self.asked.get().is_some() || self.reason.is_some() {
            return Err("it waits for nobody".to_owned());
        }
        let Some(run) = self.run.clone() else { return Err("it is not ready".to_owned()) };
        let (run, place) = (Run { started: now(), ..run }, self.entry.directory.with_file_name(&record.id));
        self.entry.write("record.json", record).map_err(|error| told(&error))?;
        self.entry.note("run.json", &run).map_err(|error| told(&error))?;
        fs::rename(&self.entry.directory, &place).map_err(|error| told(&error))?;
        self.entry = Entry { called: record.name.clone(), ..Entry::at(&record.id, place) };
        (self.waiting.waits, self.run) = (false, Some(run.clone()));
        self.leases.set(0);
        self.term = Term::of(record);
        (self.born, self.used) = (Instant::now(), Instant::now());
        running.count_from_now();
        Ok(run)
    }
}
