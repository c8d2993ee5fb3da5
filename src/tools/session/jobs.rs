//! Jobs: what was asked for, what it wrote, and how it ended; shared by the threads of a keeper.

use super::{End, JobState, Kind, Said, Session};
use crate::tools::Name;
use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of what one job says that are kept.
const LONGEST_LOG: usize = 10 << 20;
/// Bytes of what a terminal showed last that are kept, for whoever comes to it.
const LONGEST_SCREEN: usize = 256 << 10;
/// Jobs that are remembered after their end.
const MOST_REMEMBERED: usize = 64;
/// The longest text of a job that is told in a list.
const LONGEST_SHOWN: usize = 200;

/// All of a session's jobs.
pub struct Jobs {
    state: Mutex<State>,
    changed: Condvar,
}

/// What is shared.
#[derive(Default)]
pub struct State {
    /// In the order of their numbers.
    jobs: VecDeque<Job>,
    last: u64,
    /// How the session ended.
    pub ended: Option<i32>,
}

/// One job.
#[derive(Default)]
pub struct Job {
    number: u64,
    text: String,
    said: VecDeque<Said>,
    /// Of a terminal only what was said last is kept, and so much was let go.
    gone: Option<usize>,
    kept: usize,
    /// Whether it may be given input.
    fed: bool,
    started: bool,
    /// What it reads.
    pub input: Option<File>,
    end: Option<End>,
}

impl Jobs {
    /// None yet.
    pub fn new() -> Jobs {
        Jobs { state: Mutex::default(), changed: Condvar::new() }
    }

    /// The state, to itself.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something has changed, or the time is over.
    pub fn wait<'g>(&self, state: MutexGuard<'g, State>, at_most: Option<Duration>) -> MutexGuard<'g, State> {
        match at_most {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(time) => self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    /// Changes something and says so.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Takes something in that a job says.
    pub fn say(&self, job: u64, said: Said) {
        self.change(|state| {
            let Some(job) = state.job(job) else { return };
            let length = match &said {
                Said::Stdout(bytes) | Said::Stderr(bytes) => bytes.0.len(),
                Said::Result { data, .. } => data.len(),
                _ => 0,
            };
            if job.gone.is_some() {
                job.scroll(said, length);
            } else if job.kept + length <= LONGEST_LOG {
                job.kept += length;
                job.said.push_back(said);
            } else if job.kept <= LONGEST_LOG {
                job.kept = LONGEST_LOG + 1;
                job.said.push_back(Said::Truncated);
            }
        });
    }

    /// A job has ended.
    pub fn end(&self, job: u64, end: End) {
        self.change(|state| {
            if let Some(job) = state.job(job) {
                job.input = None;
                job.end.get_or_insert(end);
            }
            while state.jobs.len() > MOST_REMEMBERED && state.jobs.front().is_some_and(|job| job.end.is_some()) {
                state.jobs.pop_front();
            }
        });
    }

    /// The session has ended: nothing is run any more.
    pub fn close(&self, code: i32) {
        self.change(|state| {
            state.ended.get_or_insert(code);
            for job in &mut state.jobs {
                job.input = None;
                job.end.get_or_insert_with(|| End { exit_code: Some(code), session_ended: true, ..End::default() });
            }
        });
    }

    /// Begins the job of a session that has one alone; its number.
    pub fn begin(&self) -> u64 {
        self.change(|state| {
            let job = state.jobs.front_mut();
            job.map_or(0, |job| {
                job.started = true;
                job.number
            })
        })
    }

    /// The next job that nobody has begun, what was asked for, and whether it may be given input; waits for one. `None`: the session has ended.
    pub fn next(&self) -> Option<(u64, String, bool)> {
        let mut state = self.lock();
        loop {
            if state.ended.is_some() {
                return None;
            }
            if let Some(job) = state.jobs.iter_mut().find(|job| !job.started && job.end.is_none()) {
                job.started = true;
                // Its time begins.
                self.changed.notify_all();
                return Some((job.number, job.text.clone(), job.fed));
            }
            state = self.wait(state, None);
        }
    }
}

impl State {
    /// Adds a job; its number.
    pub fn add(&mut self, text: String, fed: bool) -> u64 {
        self.last += 1;
        self.jobs.push_back(Job { number: self.last, text, fed, ..Job::default() });
        self.last
    }

    /// The job of that number, if it is remembered.
    pub fn job(&mut self, number: u64) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.number == number)
    }

    /// What is known of the session.
    pub fn look(&self, id: &str, kind: Kind) -> Session {
        let shown = |text: &str| text.chars().take(LONGEST_SHOWN).collect();
        let state = |job: &Job| JobState { job: job.number, text: shown(&job.text), end: job.end.clone() };
        Session { id: id.to_owned(), kind, ended: self.ended, jobs: self.jobs.iter().map(state).collect() }
    }
}

impl Job {
    /// What it has said from that place on and is kept, the place behind it, and its end.
    pub fn since(&self, place: usize) -> (Vec<Said>, usize, Option<End>) {
        let gone = self.gone.unwrap_or(0);
        let said = self.said.iter().skip(place.saturating_sub(gone)).cloned().collect();
        (said, gone + self.said.len(), self.end.clone())
    }

    /// Makes it one of which only what was said last is kept.
    pub fn on_terminal(&mut self, master: File) {
        self.gone = Some(0);
        self.input = Some(master);
    }

    fn scroll(&mut self, said: Said, length: usize) {
        self.kept += length;
        self.said.push_back(said);
        while self.kept > LONGEST_SCREEN {
            let Some(Said::Stdout(Name(bytes)) | Said::Stderr(Name(bytes))) = self.said.pop_front() else { break };
            self.kept -= bytes.len();
            self.gone = self.gone.map(|gone| gone + 1);
        }
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.started && self.end.is_none()
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.end.is_some()
    }
}

/// What is said on one of the two streams.
pub fn on_stream(number: usize, bytes: &[u8]) -> Said {
    let bytes = Name(bytes.to_vec());
    if number == 0 { Said::Stdout(bytes) } else { Said::Stderr(bytes) }
}
