//! Workers that wait for requests: forked while nobody asks, so that a request costs no fork. Each works for one request.
//!
//! What a worker was forked with and what others may have changed of us since ([`Inherited`]) are the same where it is used; else it
//! is not. A worker that goes before it was used is replaced; after [`MOST_LOST`] of them nothing is done until the next request has come: whatever
//! ends them all would keep us busy.

use super::worker::{LONGEST_HANDED, Worker};
use crate::sys::inherited::Inherited;
use crate::sys::proc::Entered;
use nix::poll::PollTimeout;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::cell::LazyCell;
use std::collections::VecDeque;

/// How many wait where nobody says.
pub const USUAL: u8 = 2;
/// The most.
pub const MOST: u8 = 16;
/// How many may go unused, or not come to be, from one request to the next.
const MOST_LOST: usize = 4;
/// How long nothing may happen before another is forked beside one that is there, in milliseconds: whoever has just been answered
/// may ask again at once.
const QUIET: u8 = 2;

/// How we are at this moment: looked at once, by whoever has to know.
pub type Now = LazyCell<Inherited>;

/// Those that wait.
pub struct Ahead {
    wanted: usize,
    waiting: VecDeque<(Worker, Inherited)>,
    /// How many have gone unused, or could not be made, since the last request.
    lost: usize,
    /// What each of them will enter.
    entered: Option<Entered>,
}

impl Ahead {
    /// So many, when there is time.
    pub fn new(wanted: u8) -> Ahead {
        let entered = (wanted > 0).then(Entered::find).flatten();
        Ahead { wanted: wanted.into(), waiting: VecDeque::new(), lost: 0, entered }
    }

    /// How long to wait for anything else before one is made, where one is to be made.
    pub fn patience(&self, in_flight: usize, most: usize) -> Option<PollTimeout> {
        let count = self.waiting.len();
        let wanted = count < self.wanted && count + in_flight < most && self.lost < MOST_LOST;
        wanted.then(|| if count == 0 { PollTimeout::ZERO } else { PollTimeout::from(QUIET) })
    }

    /// Makes one. A request does without where there is none.
    pub fn make(&mut self, mask: &SigSet) {
        // Before the fork: what changes meanwhile is taken for a difference.
        let inherited = Inherited::now();
        match Worker::ahead(self.entered, mask) {
            Ok(worker) => self.waiting.push_back((worker, inherited)),
            Err(_) => self.lost = MOST_LOST,
        }
    }

    /// One that has been handed this line, and what is offered to it. `now`: how we are.
    pub fn take(&mut self, line: &[u8], offered: Option<&[String]>, now: &Now) -> Option<Worker> {
        self.lost = 0;
        if line.len() > LONGEST_HANDED || self.waiting.is_empty() {
            return None;
        }
        while let Some((worker, inherited)) = self.waiting.pop_front() {
            if inherited == **now && worker.ask(line, offered) {
                return Some(worker);
            }
            end(&worker);
        }
        None
    }

    /// A child has ended: where it waited it does no more.
    pub fn reaped(&mut self, pid: Pid) {
        let before = self.waiting.len();
        self.waiting.retain(|(worker, _)| worker.pid != pid);
        self.lost += before - self.waiting.len();
    }

    /// Lets go of what they hold, where that is needed for a request; whether there was any.
    pub fn let_go(&mut self) -> bool {
        let any = !self.waiting.is_empty();
        self.waiting.drain(..).for_each(|(worker, _)| end(&worker));
        any
    }

    /// Nothing more is asked: ends them, and waits for that.
    pub fn end(&mut self) {
        self.wanted = 0;
        for (worker, _) in self.waiting.drain(..) {
            end(&worker);
            // Where it was reaped already there is nobody to wait for.
            let _ = waitpid(worker.pid, None);
        }
    }
}

/// It has done nothing, and may stand still.
fn end(worker: &Worker) {
    // Where it has ended, that is about to be seen.
    let _ = kill(worker.pid, Signal::SIGKILL);
}
