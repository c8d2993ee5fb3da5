//! CPU time of processes that come and go between two readings.
//!
//! What a process has used passes to its parent when that waits for it, and to nobody where the parent ignores SIGCHLD. Whoever
//! lets children end like that, each after a few milliseconds, would use what it likes and be seen with nothing. So looking at
//! whoever runs is taken for a sample: one that is there for the first time and runs stands for the whole time since the look
//! before. On average that is exactly what it and its like have used, and in the single case it is not: only as much of it counts as
//! it is almost certainly at least, and only as far as it is more than what was read.
//!
//! The kernel could count it (perf_event_open(2), an inherited task clock), and does not for us: the first such clock on the
//! machine takes 8 to 11 ms to open, more than a sandbox takes to start, and whoever executes a program that it may not read
//! has left it, with all its descendants.

use super::{Meter, Stat};
use crate::sys::proc;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

/// The longest time that one sample stands for: nobody was looking for longer while all stood still.
const LONGEST: Duration = Duration::from_millis(50);
/// How many standard deviations below the estimate it is certain enough.
const CERTAIN: f64 = 2.0;
/// After how much of its own time an estimate is taken for a fact, and a new one begun: it grows less certain with all that is waited
/// for as it should be.
const SETTLED: Duration = Duration::from_secs(10);
/// What the kernel may not have written down yet of what a process has used, seconds.
const UNTOLD: f64 = 1e-3;

/// What is known of those who come and go, in seconds.
#[derive(Debug, Default)]
pub struct Fleeting {
    looked: Option<Instant>,
    /// What counts on top for good.
    kept: f64,
    /// Since the estimate was last no more than what was read: how long that is, both, the variance of the estimate, and what counts on top.
    lasted: Duration,
    estimated: f64,
    measured: f64,
    variance: f64,
    counted: f64,
}

/// What happened since the reading before.
pub struct Since {
    /// How long that is.
    pub time: Duration,
    /// What has come on top of what was read.
    pub measured: Duration,
    /// Of it, what those used who were there before.
    pub known: Duration,
    /// How many run who were not there before.
    pub new: f64,
}

impl Fleeting {
    /// For how long a look at `now` stands, which is the first since the one before.
    pub fn since_last_look(&mut self, now: Instant) -> Duration {
        let since = self.looked.map_or(Duration::ZERO, |looked| now.duration_since(looked));
        self.looked = Some(now);
        since.min(LONGEST)
    }

    /// What is to be counted on top of all that was read. It falls when what was read catches up with it.
    pub fn account(&mut self, since: &Since) -> Duration {
        let time = since.time.as_secs_f64();
        self.lasted += since.time;
        self.estimated += since.known.as_secs_f64() + time * since.new;
        self.measured += since.measured.as_secs_f64();
        // No more than where nobody's coming has to do with anybody else's (a Poisson process).
        self.variance += time * time * since.new;
        if self.estimated <= self.measured {
            self.begin(0.0);
        }
        let certain = self.estimated - CERTAIN * self.variance.sqrt() - self.measured;
        self.counted = self.counted.max(certain);
        if self.lasted > SETTLED {
            self.begin(self.counted);
        }
        Duration::from_secs_f64(self.kept + self.counted)
    }

    fn begin(&mut self, kept: f64) {
        *self = Fleeting { looked: self.looked, kept: self.kept + kept, ..Fleeting::default() };
    }
}

impl Meter {
    /// How many threads of a process have a CPU, on average of its life.
    pub(super) fn threads_running(&mut self, pid: u32, stat: &Stat) -> f64 {
        if stat.threads <= 1 {
            return if stat.state == b'R' { self.fraction(pid) } else { 0.0 };
        }
        let threads = self.threads(pid).into_iter().filter(|(_, thread)| thread.state == b'R');
        // The number of a thread names it in a procfs as that of a process does.
        threads.map(|(thread, _)| self.fraction(thread)).sum()
    }

    fn fraction(&mut self, pid: u32) -> f64 {
        match proc::read_process_file(self.proc.as_fd(), pid, "schedstat", &mut self.buffer) {
            Ok(told) => fraction(told),
            // It ran a moment ago; a kernel without this file tells nobody who waits for a CPU.
            Err(_) => 1.0,
        }
    }
}

/// How much of its time a thread that wants a CPU has had one: nanoseconds with one, nanoseconds of waiting, and how often it got one
/// (the kernel's Documentation/scheduler/sched-stats.rst).
fn fraction(schedstat: &[u8]) -> f64 {
    let mut numbers = schedstat.split(|byte| !byte.is_ascii_digit()).filter_map(|digits| {
        // Ours are digits only.
        std::str::from_utf8(digits).ok()?.parse::<f64>().ok()
    });
    let (Some(had), Some(waited), Some(times)) = (numbers.next(), numbers.next(), numbers.next()) else { return 1.0 };
    let had = had / 1e9 + UNTOLD;
    if times == 0.0 { 0.0 } else { had / (had + waited / 1e9) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_millis(4);

    fn since(read: Duration, new: f64) -> Since {
        Since { time: LOOK, measured: read, known: Duration::ZERO, new }
    }

    #[test]
    fn who_is_seen_once_and_never_again_counts() {
        let mut fleeting = Fleeting::default();
        let mut after = |looks: u32| {
            let counted = (0..looks).map(|_| fleeting.account(&since(Duration::ZERO, 1.0))).last().unwrap_or_default();
            counted.as_secs_f64()
        };
        let (soon, later) = (after(125), after(10_000));
        assert!((0.4..0.5).contains(&soon) && (38.0..40.5).contains(&later), "{soon} {later}");
    }

    #[test]
    fn what_was_read_anyway_does_not_count_twice() {
        let mut fleeting = Fleeting::default();
        let (mut counted, mut read) = (Duration::ZERO, Duration::ZERO);
        for round in 0..50_000u32 {
            // Half of the time somebody runs who is new; it is waited for, and read, a little later.
            let run = f64::from(round.wrapping_mul(2_654_435_761) >> 31);
            counted = fleeting.account(&since(read, run));
            read = LOOK.mul_f64(run);
        }
        // Of 100 seconds.
        assert!(counted < Duration::from_millis(100), "{counted:?}");
    }

    #[test]
    fn who_waits_for_a_cpu_has_none() {
        assert_eq!(fraction(b"0 0 0\n"), 0.0);
        assert!((fraction(b"9000000 30000000 7\n") - 0.25).abs() < 1e-9);
        assert_eq!(fraction(b""), 1.0);
    }
}
