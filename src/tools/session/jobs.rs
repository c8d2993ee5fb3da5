//! Jobs: what was requested, the output, and how each ended. A keeper's threads share them.

use super::{End, JobState, Kind, MOST_RESULTS, Raised, Said, Session, descendants};
use crate::tools::Name;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of what one job says that are kept.
pub const LONGEST_LOG: usize = 10 << 20;
/// Bytes of what a terminal showed last that are kept, for whoever comes to it, and of what waits in a stream for anybody.
const LONGEST_SCREEN: usize = 256 << 10;
/// Bytes of a stream that are kept for callers who take them later than the first: whoever reads is not too slow because another has
/// emptier pipes.
const LONGEST_BEHIND: usize = 1 << 20;
/// What a process that has ended may have left in its pipes: the most that they can hold for everybody.
const MOST_LEFT: usize = 2 << 20;
/// Jobs that are remembered after their end.
const MOST_REMEMBERED: usize = 64;
/// Jobs that wait for those before them.
const MOST_WAITING: usize = 128;
/// The longest text of a job that is told in a list.
const LONGEST_SHOWN: usize = 200;

/// All of a session's jobs.
pub struct Jobs {
    state: Mutex<State>,
    changed: Condvar,
    /// Wakes whoever hears what goes on between two jobs.
    bell: UnixStream,
    /// Of the second there is something to read once the session has ended: for whoever waits for output.
    over: [UnixStream; 2],
}

/// Why a job is told to end.
#[derive(Clone, Copy)]
pub enum Why {
    /// Its time is over.
    TimedOut,
    /// Somebody says so, or nobody waits for it any more.
    Interrupted,
}

/// What there is to do.
pub enum Next {
    /// Run the job of this number, with what was asked for, and whether it may be given input.
    Job(u64, String, bool),
    /// Wait.
    Nothing,
    /// The session has ended.
    Ended,
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
    /// Of a terminal or a stream only what was said last is kept, and so many things were let go.
    gone: Option<usize>,
    /// Of a stream, the place behind what somebody has taken: what lies behind it is not let go.
    taken: Option<usize>,
    kept: usize,
    /// Of a stream, the bytes among them that nobody has taken yet.
    untaken: usize,
    /// Values and pictures among it.
    results: usize,
    /// Whether it may be given input.
    fed: bool,
    /// When it began, in the ticks of proc_pid_stat(5).
    pub started: Option<u64>,
    stopped: Option<Why>,
    /// What it reads.
    pub input: Option<File>,
    end: Option<End>,
}

impl Jobs {
    /// None yet, and what there is to read when there is something to do.
    pub fn new() -> io::Result<(Jobs, File)> {
        let (bell, heard) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        let heard = File::from(std::os::fd::OwnedFd::from(heard));
        let over = UnixStream::pair()?.into();
        Ok((Jobs { state: Mutex::default(), changed: Condvar::new(), bell, over }, heard))
    }

    /// Readable from the end of the session on.
    pub fn over(&self) -> BorrowedFd<'_> {
        self.over[1].as_fd()
    }

    /// Says that there is something to do.
    pub fn ring(&self) {
        self.changed.notify_all();
        // Where it is full it rings already.
        let _ = (&self.bell).write(b"!");
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
            let length = length_of(&said);
            let result = usize::from(matches!(said, Said::Result { .. }));
            if job.gone.is_some() {
                job.scroll(said, length);
            } else if job.kept + length <= LONGEST_LOG && job.results + result <= MOST_RESULTS {
                job.kept += length;
                job.results += result;
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
                job.finish(end);
            }
            while state.jobs.len() > MOST_REMEMBERED && state.jobs.front().is_some_and(|job| job.end.is_some()) {
                state.jobs.pop_front();
            }
        });
    }

    /// The session's process has ended with this. What it wrote before is still taken.
    pub fn process_ended(&self, code: i32) {
        self.change(|state| *state.ended.get_or_insert(code));
        // It can only have been done before.
        let _ = self.over[0].shutdown(Shutdown::Both);
    }

    /// The session has ended: nothing is run any more.
    pub fn close(&self, code: i32) {
        self.process_ended(code);
        self.change(|state| {
            for job in &mut state.jobs {
                job.finish(End { exit_code: Some(code), session_ended: true, ..End::default() });
            }
        });
    }

    /// Whether a stream takes nothing at the moment; every other job always does.
    pub fn is_full(&self, job: u64) -> bool {
        self.lock().is_full(job)
    }

    /// Waits until it does, or, with `while_open`, the session has ended.
    pub fn await_room(&self, job: u64, while_open: bool) {
        let mut state = self.lock();
        while state.is_full(job) && !(while_open && state.ended.is_some()) {
            state = self.wait(state, None);
        }
    }

    /// Begins the job of a session that has one alone; its number.
    pub fn begin(&self) -> u64 {
        self.change(|state| {
            let job = state.jobs.front_mut();
            job.map_or(0, |job| {
                job.started = Some(descendants::now());
                job.number
            })
        })
    }

    /// The next job that nobody has begun, and begins it.
    pub fn next(&self) -> Next {
        let mut state = self.lock();
        if state.ended.is_some() {
            return Next::Ended;
        }
        let Some(job) = state.jobs.iter_mut().find(|job| job.started.is_none() && job.end.is_none()) else {
            return Next::Nothing;
        };
        job.started = Some(descendants::now());
        Next::Job(job.number, job.text.clone(), job.fed)
    }

    /// The same, and waits for one; none where the session has ended.
    pub fn await_next(&self) -> Option<(u64, String, bool)> {
        loop {
            match self.next() {
                Next::Job(number, text, fed) => return Some((number, text, fed)),
                Next::Ended => return None,
                Next::Nothing => {}
            }
            let state = self.lock();
            // Looked at under the lock: what has come since was told to nobody.
            if state.ended.is_none() && !state.jobs.iter().any(|job| job.started.is_none() && job.end.is_none()) {
                drop(self.wait(state, None));
            }
        }
    }
}

impl State {
    /// Adds a job; its number. `None`: too many wait already.
    pub fn add(&mut self, text: String, fed: bool) -> Option<u64> {
        if self.jobs.iter().filter(|job| job.end.is_none()).count() > MOST_WAITING {
            return None;
        }
        self.last += 1;
        self.jobs.push_back(Job { number: self.last, text, fed, ..Job::default() });
        Some(self.last)
    }

    /// The job of that number, if it is remembered.
    pub fn job(&mut self, number: u64) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.number == number)
    }

    fn is_full(&mut self, job: u64) -> bool {
        // What the process has left in its pipes is not lost.
        let most = if self.ended.is_some() { LONGEST_SCREEN + MOST_LEFT } else { LONGEST_SCREEN };
        self.job(job).is_some_and(|job| job.taken.is_some() && job.untaken >= most)
    }

    /// The number of the job that runs, or will be the next to.
    pub fn current(&self) -> Option<u64> {
        self.jobs.iter().find(|job| job.end.is_none()).map(|job| job.number)
    }

    /// What is known of the session.
    pub fn look(&self, id: &str, kind: Kind) -> Session {
        let shown = |text: &str| text.chars().take(LONGEST_SHOWN).collect();
        let short = |raised: &Raised| Raised {
            name: shown(&raised.name),
            value: shown(&raised.value),
            traceback: String::new(),
        };
        let end = |end: &End| End { error: end.error.as_ref().map(short), ..end.clone() };
        let state = |job: &Job| JobState { job: job.number, text: shown(&job.text), end: job.end.as_ref().map(end) };
        Session { id: id.to_owned(), kind, ended: self.ended, jobs: self.jobs.iter().map(state).collect() }
    }
}

/// The bytes of something said.
fn length_of(said: &Said) -> usize {
    match said {
        Said::Stdout(Name(bytes)) | Said::Stderr(Name(bytes)) => bytes.len(),
        Said::Result { data, .. } => data.len(),
        Said::Raised(Raised { name, value, traceback }) => name.len() + value.len() + traceback.len(),
        Said::Job(_) | Said::Truncated | Said::Ended(_) => 0,
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

    /// Makes it one of which what was taken is let go, and which says no more until that is.
    pub fn on_stream(&mut self, input: File) {
        (self.gone, self.taken) = (Some(0), Some(0));
        self.input = Some(input);
    }

    /// Takes down that somebody has taken what lies before that place.
    pub fn take(&mut self, place: usize) {
        let (Some(taken), Some(gone)) = (&mut self.taken, self.gone) else { return };
        let new = self.said.iter().take(place.saturating_sub(gone)).skip(taken.saturating_sub(gone));
        self.untaken -= new.map(length_of).sum::<usize>();
        *taken = place.max(*taken);
        self.let_go();
    }

    /// Where somebody who comes now begins.
    pub fn beginning(&self) -> usize {
        self.taken.unwrap_or(0)
    }

    /// Whether it is a stream that has let go something behind that place.
    pub fn has_lost(&self, place: usize) -> bool {
        self.taken.is_some() && self.gone.is_some_and(|gone| gone > place)
    }

    fn scroll(&mut self, said: Said, length: usize) {
        self.kept += length;
        self.untaken += length;
        self.said.push_back(said);
        self.let_go();
    }

    /// Lets go what is too much and may go.
    fn let_go(&mut self) {
        let most = if self.taken.is_some() { LONGEST_BEHIND } else { LONGEST_SCREEN };
        while self.kept >= most && self.taken.is_none_or(|taken| self.gone.is_some_and(|gone| gone < taken)) {
            let Some(said) = self.said.pop_front() else { break };
            self.kept -= length_of(&said);
            self.gone = self.gone.map(|gone| gone + 1);
        }
    }

    fn finish(&mut self, end: End) {
        self.input = None;
        let timed_out = matches!(self.stopped, Some(Why::TimedOut));
        let interrupted = matches!(self.stopped, Some(Why::Interrupted));
        self.end.get_or_insert(End { timed_out, interrupted, ..end });
    }

    /// Takes down why it is about to end; whether it runs. One that does not has ended with that.
    pub fn stop(&mut self, why: Why) -> bool {
        self.stopped.get_or_insert(why);
        if self.started.is_none() {
            self.finish(End::default());
        }
        self.started.is_some()
    }

    /// Whether it has said nothing from that place on, and goes on.
    pub fn is_silent_since(&self, place: usize) -> bool {
        self.end.is_none() && self.gone.unwrap_or(0) + self.said.len() <= place
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
