//! The CPU rate without cgroups: an account that fills at the allowed rate and empties with use. Whoever overdraws
//! it is stopped until it is level again.
//!
//! A stopped parent cannot see that its child stopped, and so job control inside notices nothing: parents are
//! stopped first, and continued last.

use super::meter::{Meter, Process, Reading};
use crate::sys::proc;
use std::collections::HashMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// How much may be saved up while idle, and how far a burst may go: one period of the kernel's own bandwidth
/// control.
const PERIOD: Duration = Duration::from_millis(100);
/// Who forks while being stopped leaves children behind; who is stopped forks no more. Each round finds fewer.
const ROUNDS: usize = 8;
/// How long to wait at most, for all parents together, until they have stopped: each needs a CPU for that.
pub const PATIENCE: Duration = Duration::from_millis(40);
/// The same for one inside vfork(2), which stops only with its child.
const OUT_OF_REACH: Duration = Duration::from_millis(10);
const NAP: Duration = Duration::from_micros(100);

/// The account of one sandbox.
pub struct Throttle {
    /// Allowed CPU seconds for each second.
    rate: f64,
    /// CPU seconds in the account.
    balance: f64,
    before: Option<(Instant, Duration)>,
    /// Processes that we have stopped, in the order in which they were.
    stopped: Vec<u32>,
}

impl Throttle {
    /// `None` where the machine has no more CPUs than are allowed: nothing can overdraw.
    pub fn new(millicpus: u32, cpus: u32) -> Option<Throttle> {
        let needed = u64::from(millicpus) < u64::from(cpus) * 1000;
        let rate = f64::from(millicpus) / 1000.0;
        needed.then(|| Throttle { rate, balance: rate * PERIOD.as_secs_f64(), before: None, stopped: Vec::new() })
    }

    /// Keeps no account; for stopping everything with the supervisor.
    pub fn everything() -> Throttle {
        Throttle { rate: 0.0, balance: 0.0, before: None, stopped: Vec::new() }
    }

    /// Enters a reading; answers for how long the sandbox has to rest.
    pub fn account(&mut self, now: Instant, reading: &Reading) -> Option<Duration> {
        if let Some((then, used)) = self.before {
            let earned = now.duration_since(then).as_secs_f64() * self.rate;
            let spent = reading.cpu.saturating_sub(used).as_secs_f64();
            self.balance = (self.balance + earned - spent).min(self.rate * PERIOD.as_secs_f64());
        }
        self.before = Some((now, reading.cpu));
        (self.balance < 0.0).then(|| Duration::from_secs_f64(-self.balance / self.rate))
    }

    /// Stops every process that runs, waiting no longer than `patience` for parents.
    pub fn stop(&mut self, meter: &mut Meter, patience: Duration) {
        let begun = Instant::now();
        let patience = patience.min(PATIENCE);
        let mut told: Vec<u32> = Vec::new();
        for _ in 0..ROUNDS {
            let all = meter.processes();
            let running: Vec<Process> = parents_first(&all)
                .into_iter()
                .filter(|process| !process.halted && !told.contains(&process.pid))
                .collect();
            if running.is_empty() {
                return;
            }
            for process in running {
                told.push(process.pid);
                // What is gone by now need not be stopped.
                if proc::signal_process(meter.proc().as_fd(), process.pid, libc::SIGSTOP).is_err() {
                    continue;
                }
                if !self.stopped.contains(&process.pid) {
                    self.stopped.push(process.pid);
                }
                if all.iter().any(|child| child.parent == process.pid) {
                    while !meter.is_halted(process.pid) && begun.elapsed() < patience {
                        if begun.elapsed() > OUT_OF_REACH && meter.is_out_of_reach(process.pid) {
                            break;
                        }
                        std::thread::sleep(NAP);
                    }
                }
            }
        }
    }

    /// Continues what was stopped, children first.
    pub fn resume(&mut self, proc: &OwnedFd) {
        while let Some(pid) = self.stopped.pop() {
            // What has been killed meanwhile needs no continuing.
            let _ = proc::signal_process(proc.as_fd(), pid, libc::SIGCONT);
        }
    }
}

/// Each process after its parent. Ids alone do not tell: they start again from below when they are used up.
fn parents_first(processes: &[Process]) -> Vec<Process> {
    let parents: HashMap<u32, u32> = processes.iter().map(|process| (process.pid, process.parent)).collect();
    let depth = |process: &Process| {
        // A reading is no photograph; the bound is for what cannot be.
        std::iter::successors(Some(process.pid), |pid| parents.get(pid).copied()).take(processes.len() + 1).count()
    };
    let mut sorted = processes.to_vec();
    sorted.sort_by_cached_key(depth);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(milliseconds: u64) -> Reading {
        Reading { cpu: Duration::from_millis(milliseconds), ..Reading::default() }
    }

    #[test]
    fn a_machine_with_too_few_cpus_needs_no_throttle() {
        assert!(Throttle::new(2000, 2).is_none());
        assert!(Throttle::new(1999, 2).is_some());
    }

    #[test]
    fn who_overdraws_rests_until_the_account_is_level() {
        let start = Instant::now();
        let mut throttle = Throttle::new(500, 2).expect("half a CPU of two");
        assert_eq!(throttle.account(start, &used(0)), None);
        // 100 ms later 50 ms are earned on top of 50 saved; 200 are spent: 100 ms too many, 200 ms to earn them.
        let rest = throttle.account(start + Duration::from_millis(100), &used(200)).expect("overdrawn");
        assert!(rest > Duration::from_millis(190) && rest < Duration::from_millis(310), "{rest:?}");
    }

    #[test]
    fn who_stays_below_the_rate_never_rests() {
        let start = Instant::now();
        let mut throttle = Throttle::new(1000, 4).expect("one CPU of four");
        for step in 0..50u64 {
            let now = start + Duration::from_millis(step * 20);
            assert_eq!(throttle.account(now, &used(step * 19)), None);
        }
    }

    #[test]
    fn parents_come_before_their_children_whatever_their_ids() {
        let process = |pid, parent| Process { pid, parent, halted: false, dead: false, space: 0 };
        let sorted = parents_first(&[process(2, 900), process(3, 2), process(900, 1), process(901, 1)]);
        assert_eq!(sorted.iter().map(|process| process.pid).collect::<Vec<_>>(), [900, 901, 2, 3]);
    }
}
