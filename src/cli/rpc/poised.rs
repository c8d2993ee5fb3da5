//! Workers that wait for a request with a sandbox that waits for its command: `run` and `code` are given to them.
//!
//! Each has made the sandbox of the kind that was asked for last, and is used once. It ends when we let go of its socket, and its sandbox with it.
//! What has changed since of the host or of us it would not show, and it is not asked then. One that ends by itself could not make
//! its sandbox, or has lost it; after [`MOST_LOST`] of them no more are made until somebody has asked again.

use super::ahead::Now;
use super::ready::Known;
use super::worker::{LONGEST_HANDED, Worker};
use crate::process::Shape;
use crate::sys::proc::Entered;
use nix::poll::PollTimeout;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long nothing may happen before one is made, in milliseconds: whoever was just answered goes on with that.
const QUIET: u8 = 5;
/// How many may end by themselves from one request to the next.
const MOST_LOST: usize = 4;
/// How long those that were let go of may take to end by themselves, and how often that is looked at.
const LEAVING: Duration = Duration::from_secs(2);
const GLANCE: Duration = Duration::from_millis(1);

/// Those that wait.
pub struct Poised {
    wanted: usize,
    shape: Option<Shape>,
    /// The number of the request that has said so.
    said_by: u64,
    lost: usize,
    waiting: VecDeque<(Worker, Known)>,
    /// Those that end.
    leaving: Vec<Pid>,
    /// What each of them will enter.
    entered: Option<Entered>,
}

impl Poised {
    /// So many, when somebody has said of what kind.
    pub fn new(wanted: u8) -> Poised {
        let (waiting, leaving) = (VecDeque::new(), Vec::new());
        let entered = (wanted > 0).then(Entered::find).flatten();
        Poised { wanted: wanted.into(), shape: None, said_by: 0, lost: 0, waiting, leaving, entered }
    }

    /// Whether a request may be given to one: it runs a command in a sandbox of its own.
    pub fn does(&self, method: &str, parameters: &Map<String, Value>) -> bool {
        const OTHERWISE: [&str; 4] = ["sandbox", "warm", "bundle", "dry_run"];
        let has =
            |name: &&str| parameters.get(*name).is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)));
        self.wanted > 0 && matches!(method, "run" | "code") && !OTHERWISE.iter().any(has)
    }

    /// How long to wait for anything else before one is made, where one is to be made.
    pub fn patience(&self) -> Option<PollTimeout> {
        let wanted = self.shape.is_some() && self.waiting.len() < self.wanted && self.lost < MOST_LOST;
        wanted.then(|| PollTimeout::from(QUIET))
    }

    /// Makes one.
    pub fn make(&mut self, mask: &SigSet, mounts: u64) {
        let Some(shape) = self.shape.clone() else { return };
        // Before the fork: what changes meanwhile is taken for a difference.
        let known = Known::now(mounts);
        match Worker::poised(shape, self.entered, mask) {
            Ok(worker) => self.waiting.push_back((worker, known)),
            // There may be room for it when the next command is run.
            Err(_) => self.shape = None,
        }
    }

    /// One that has been handed this line, of the request of that number. `now`: how we and the host are.
    pub fn take(&mut self, line: &[u8], number: u64, (now, mounts): (&Now, u64)) -> Option<Worker> {
        self.lost = 0;
        if line.len() > LONGEST_HANDED || self.waiting.is_empty() {
            return None;
        }
        let host = Known::facts(mounts);
        while let Some((worker, known)) = self.waiting.pop_front() {
            if known.is(now, &host) && worker.ask(line, None) {
                self.said_by = number;
                return Some(worker);
            }
            self.let_go_of(worker);
        }
        None
    }

    /// The request of that number has run a command in a sandbox of this shape, and there was none. Who was asked later knows better.
    pub fn want(&mut self, shape: Shape, number: u64) {
        if self.wanted == 0 || number < self.said_by {
            return;
        }
        self.said_by = number;
        if self.shape.as_ref() != Some(&shape) {
            self.let_go();
            self.shape = Some(shape);
            // Those were of another kind.
            self.lost = 0;
        }
    }

    /// What waits shows what is not so any more. No more are made until somebody asks.
    pub fn forget(&mut self) {
        self.shape = None;
        self.let_go();
    }

    /// A child has ended.
    pub fn reaped(&mut self, pid: Pid) {
        let before = self.waiting.len();
        self.waiting.retain(|(worker, _)| worker.pid != pid);
        self.lost += before - self.waiting.len();
        self.leaving.retain(|leaving| *leaving != pid);
    }

    /// Lets go of what they hold; whether there was any.
    pub fn let_go(&mut self) -> bool {
        let any = !self.waiting.is_empty();
        for (worker, _) in std::mem::take(&mut self.waiting) {
            self.let_go_of(worker);
        }
        any
    }

    fn let_go_of(&mut self, worker: Worker) {
        let pid = worker.pid;
        // It ends when our end of its socket is closed, once whoever has stopped it does so no more.
        drop(worker);
        let _ = kill(pid, Signal::SIGCONT);
        self.leaving.push(pid);
    }

    /// No more are made, and those that wait end.
    pub fn end(&mut self) {
        self.wanted = 0;
        self.forget();
    }

    /// Waits until they have ended. One that was stopped is killed, and its sandbox with it.
    pub fn await_end(&mut self) {
        self.end();
        let until = Instant::now() + LEAVING;
        for pid in std::mem::take(&mut self.leaving) {
            while matches!(waitpid(pid, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive)) {
                if Instant::now() < until {
                    std::thread::sleep(GLANCE);
                } else {
                    // Where it has ended by now, that is as good.
                    let _ = kill(pid, Signal::SIGKILL);
                    let _ = waitpid(pid, None);
                    break;
                }
            }
        }
    }
}
