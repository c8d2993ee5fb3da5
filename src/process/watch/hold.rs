//! Holding a sandbox to its limits: what a cgroup holds is only counted, everything else is sampled.
//!
//! [`Holder`] reads, throttles and stops, and says what it has found; it ends nothing.

use super::ending::Cause;
use crate::cgroup::{Cgroup, Wish};
use crate::process::meter::{Meter, Process, Reading, Use};
use crate::process::throttle::{PATIENCE, Throttle};
use crate::spec::Spec;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

/// Between two readings, at most and at least.
const SLOW: Duration = Duration::from_millis(20);
const FAST: Duration = Duration::from_micros(500);
/// Between two while processes come and go.
const QUICK: Duration = Duration::from_millis(4);
/// Between two looks at counters that no limit waits for.
const IDLE: Duration = Duration::from_millis(50);
/// Between two at what does nothing of its own.
const DOZE: Duration = Duration::from_millis(500);
/// Between two looks at the CPU time, at least.
const CLOSE: Duration = Duration::from_millis(1);
/// How fast a machine can fill memory, bytes a second for each CPU: what may happen between two readings.
const FILL_RATE: u64 = 4 << 30;
/// How long everybody inside may take to stand still.
const FREEZING: Duration = Duration::from_secs(2);
/// What a CPU keeps to itself of the host's counters, at most: 125 pages.
const COUNTED_LATE: u64 = 512 << 10;
/// Memory below this is not worth a closer look.
const NOTHING_MUCH: u64 = 16 << 20;

/// An exact reading. Where more processes run than there are CPUs it would take many times as long as it should, and
/// they fill memory meanwhile: they are stopped for it, and go on if they stay below the limit.
fn look_closely(meter: &mut Meter, reading: &Reading, limit: u64, cpus: u32) -> Use {
    let mut all = Throttle::everything();
    if reading.running > cpus {
        all.stop(meter, FAST);
    }
    let memory = meter.exact_memory(reading);
    if memory.bytes <= limit {
        all.resume(meter.proc());
    }
    memory
}

/// The nearer the limit, the sooner the next reading: half of the room that is left must not fill meanwhile.
fn pause(room: u64, cpus: u32) -> Duration {
    let nanoseconds = (room / 2).saturating_mul(1_000_000_000) / (FILL_RATE * u64::from(cpus));
    Duration::from_nanos(nanoseconds).clamp(FAST, SLOW)
}

/// At a moment that nobody inside can know: whoever knew it would not run just then.
fn unforeseen(pause: Duration) -> Duration {
    let part = RandomState::new().hash_one(pause) % 1024;
    pause * (1024 + part as u32) / 2048
}

/// The highest values of all readings.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peak {
    pub memory: u64,
    /// The highest value that was looked into.
    looked_at: u64,
    pub pids: u32,
    pub cpu: Duration,
    pub disk_full: bool,
}

impl Peak {
    fn note(&mut self, reading: &Reading, memory: Use) {
        if memory.exact || reading.processes.len() == 1 {
            self.memory = self.memory.max(memory.bytes);
        }
        self.pids = self.pids.max(reading.threads);
        self.cpu = reading.cpu;
        self.disk_full |= reading.disk_full;
    }
}

/// What a sandbox may use, as far as it can be changed while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: u64,
    /// Thousandths of a CPU.
    pub millicpus: u32,
    /// Processes and threads.
    pub pids: u32,
}

/// What a sandbox uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Bytes of memory.
    pub memory: u64,
    /// Processes and threads.
    pub pids: u32,
    /// CPU time.
    pub cpu: Duration,
    /// Bytes of the writable layer.
    pub disk: u64,
}

/// What a reading has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Finding {
    /// Nobody runs inside.
    pub(super) empty: bool,
    /// A limit was passed.
    pub(super) passed: Option<Cause>,
}

impl Finding {
    fn passed(cause: Cause) -> Finding {
        Finding { empty: false, passed: Some(cause) }
    }
}

/// Reads a sandbox, and stops and continues what is in it. A command that joins has one to be looked at; the limits are the
/// sandbox's own supervisor's to hold.
pub(super) struct Holder {
    /// There once the root is ready.
    pub(super) meter: Option<Meter>,
    limits: Limits,
    cpu_time: Option<Duration>,
    cpus: u32,
    /// Whether no cgroup holds the memory limit.
    samples_memory: bool,
    /// Whether what is inside does nothing of its own.
    dozes: bool,
    throttle: Option<Throttle>,
    /// When a rest is over.
    resume_at: Option<Instant>,
    /// Everybody that was stopped because somebody wants to look at the files as they are.
    frozen: Option<Throttle>,
    next_reading: Instant,
    /// When to read all processes again, however little the host's memory has grown.
    whole_reading: Instant,
    /// By how much it may grow before.
    room: u64,
    pub(super) peak: Peak,
    /// How many leaders stand inside and wait for a command.
    standing: u32,
}

impl Holder {
    /// Says how many leaders wait inside.
    pub(super) fn set_standing(&mut self, standing: u32) {
        self.standing = standing;
    }

    /// Holds nothing yet. `cgroup` is what a cgroup holds.
    pub(super) fn new(spec: &Spec, cpus: u32, cgroup: Option<&Wish>, started: Instant) -> Holder {
        Holder {
            meter: None,
            limits: Limits { memory: spec.memory, millicpus: spec.millicpus, pids: spec.pids },
            cpu_time: spec.cpu_time,
            cpus,
            samples_memory: cgroup.is_none_or(|cgroup| cgroup.memory.is_none()),
            dozes: false,
            throttle: None,
            resume_at: None,
            frozen: None,
            next_reading: started + SLOW,
            whole_reading: started,
            room: 0,
            peak: Peak::default(),
            standing: 0,
        }
    }

    /// What is held to the limits began at that moment.
    pub(super) fn begin(&mut self, started: Instant) {
        (self.next_reading, self.whole_reading) = (started + SLOW, started);
    }

    /// Holds the CPU rate from now on, where the host has more CPUs than may be used.
    pub(super) fn throttle(&mut self) {
        self.throttle = Throttle::new(self.limits.millicpus, self.cpus);
    }

    /// Whether the root is ready, and with it everything that can be looked at.
    pub(super) fn is_ready(&self) -> bool {
        self.meter.is_some()
    }

    /// Whether there is anything to hold to a limit: there is nothing in a sandbox that stands still.
    pub(super) fn can_hold(&self) -> bool {
        self.is_ready() && self.frozen.is_none()
    }

    /// Looks less often as long as nobody runs inside.
    pub(super) fn doze(&mut self) {
        self.dozes = true;
    }

    /// When to read the next time.
    pub(super) fn next_reading(&self) -> Instant {
        self.next_reading
    }

    /// When a rest is over, where there is one.
    pub(super) fn resume_at(&self) -> Option<Instant> {
        self.resume_at
    }

    /// What it holds.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Holds other limits from now on; the CPU rate where no cgroup holds that.
    pub(super) fn set_limits(&mut self, limits: Limits, throttles: bool) {
        self.limits = limits;
        if throttles {
            self.resume();
            self.throttle();
        }
    }

    /// Why the last reading did not see everything.
    pub(super) fn blind(&self) -> Option<i32> {
        self.meter.as_ref().and_then(Meter::blind)
    }

    /// Bytes in the writable layer.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.meter.as_ref().map_or(0, |meter| meter.disk().0)
    }

    /// Whether the writable layer was full at some reading, or is.
    pub(super) fn disk_was_full(&self) -> bool {
        self.peak.disk_full || self.meter.as_ref().is_some_and(|meter| meter.disk().1)
    }

    /// What the sandbox uses now.
    pub(super) fn look(&mut self, cgroup: Option<&Cgroup>) -> Used {
        let counted = cgroup.and_then(|cgroup| cgroup.events().ok());
        let Some(meter) = &mut self.meter else { return Used::default() };
        let reading = meter.read();
        let memory = match counted {
            Some(counted) if !self.samples_memory => counted.memory,
            _ => meter.exact_memory(&reading).bytes,
        };
        let cpu = counted.map_or(reading.cpu, |counted| counted.cpu);
        Used { memory, pids: reading.threads, cpu, disk: reading.disk }
    }

    /// Ends a rest.
    pub(super) fn resume(&mut self) {
        self.resume_at = None;
        if let (Some(throttle), Some(meter)) = (&mut self.throttle, &self.meter) {
            throttle.resume(meter.proc());
        }
    }

    /// Stops everything inside for as long as `meanwhile` takes.
    pub(super) fn still(&mut self, meanwhile: impl FnOnce()) {
        let mut all = Throttle::everything();
        if let Some(meter) = &mut self.meter {
            all.stop(meter, PATIENCE);
        }
        meanwhile();
        if let Some(meter) = &self.meter {
            all.resume(meter.proc());
        }
    }

    /// Stops everybody inside. Whether all of them stand still: who waits for a disk may not.
    pub(super) fn freeze(&mut self) -> bool {
        self.resume();
        let Some(meter) = &mut self.meter else { return false };
        let mut all = self.frozen.take().unwrap_or_else(Throttle::everything);
        let begun = Instant::now();
        let still = loop {
            all.stop(meter, PATIENCE);
            let everybody = meter.processes();
            // A parent inside vfork(2) goes on when its child does, and that is stopped.
            let lends = |pid| everybody.iter().any(|child| child.parent == pid && child.halted);
            let stands =
                |process: &Process| process.halted || (lends(process.pid) && meter.is_out_of_reach(process.pid));
            if everybody.iter().all(stands) {
                break true;
            }
            if begun.elapsed() > FREEZING {
                break false;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        self.frozen = Some(all);
        still
    }

    /// Stops whoever can be stopped at once. Whoever waits for a disk stops when it has done so much.
    pub(super) fn hold_still(&mut self) {
        self.resume();
        let Some(meter) = &mut self.meter else { return };
        let mut all = self.frozen.take().unwrap_or_else(Throttle::everything);
        all.stop(meter, PATIENCE);
        self.frozen = Some(all);
    }

    /// Lets everybody go on who was stopped so.
    pub(super) fn thaw(&mut self) {
        if let (Some(mut all), Some(meter)) = (self.frozen.take(), &self.meter) {
            all.resume(meter.proc());
        }
    }

    /// Whether a limit rests on how much CPU time was seen to be used.
    fn holds_cpu(&self) -> bool {
        self.throttle.is_some() || self.cpu_time.is_some()
    }

    /// Where a cgroup holds everything else, the writable layer and the CPU time are left to be looked at.
    fn count(&mut self, now: Instant, cgroup: &Cgroup) -> Result<Finding, i32> {
        let Some(meter) = &self.meter else { return Ok(Finding::default()) };
        self.peak.disk_full |= meter.disk().1;
        let events = cgroup.events()?;
        // For kernels that keep no record of the highest values; pid 1 is not the payload's.
        self.peak.memory = self.peak.memory.max(events.memory);
        self.peak.pids = self.peak.pids.max(events.pids.saturating_sub(1));
        self.next_reading = now + if self.dozes { DOZE } else { IDLE };
        let mut finding = Finding { empty: events.pids <= 1 + self.standing, passed: None };
        if let Some(limit) = self.cpu_time {
            let room = limit.saturating_sub(events.cpu);
            if room.is_zero() {
                finding.passed = Some(Cause::CpuTime);
            } else {
                self.next_reading = now + (room / self.cpus.max(1)).clamp(CLOSE, IDLE);
            }
        }
        Ok(finding)
    }

    /// Reads what the sandbox uses, and holds it against its limits. Nobody is made to rest who is `asked` to end: nobody can
    /// put things in order while stopped.
    ///
    /// # Errors
    ///
    /// The error number of what could not be read.
    pub(super) fn read(&mut self, now: Instant, cgroup: Option<&Cgroup>, asked: bool) -> Result<Finding, i32> {
        if let Some(cgroup) = cgroup.filter(|_| !self.samples_memory && self.throttle.is_none()) {
            return self.count(now, cgroup);
        }
        let limit = if self.samples_memory { self.limits.memory } else { u64::MAX };
        let counted = cgroup.filter(|_| self.cpu_time.is_some()).map(Cgroup::cpu).transpose()?;
        let holds_cpu = self.holds_cpu();
        let Some(meter) = &mut self.meter else { return Ok(Finding::default()) };
        if now < self.whole_reading {
            let room = self.room.saturating_sub(meter.host_growth());
            if room > 0 {
                self.next_reading = now + pause(room, self.cpus);
                return Ok(Finding::default());
            }
        }
        let reading = meter.read();
        let mut memory = match meter.memory(&reading, limit) {
            Some(memory) => memory,
            None => look_closely(meter, &reading, limit, self.cpus),
        };
        // What several processes share counts for each in a cheap reading. For the record it is read exactly whenever
        // a quarter has come on top.
        if reading.processes.len() > 1 && memory.bytes > self.peak.looked_at / 4 * 5 + NOTHING_MUCH {
            self.peak.looked_at = memory.bytes;
            memory = meter.exact_memory(&reading);
        }
        self.peak.note(&reading, memory);
        if reading.processes.iter().all(Process::leads) {
            return Ok(Finding { empty: true, passed: None });
        }
        let room = limit.saturating_sub(memory.at_most);
        let pause = pause(room, self.cpus);
        self.room = room.saturating_sub(COUNTED_LATE * u64::from(self.cpus));
        // Who comes and goes is seen the better the more often somebody looks.
        let whole = unforeseen(if reading.fleeting && holds_cpu { QUICK } else { SLOW });
        let pause = if self.dozes && reading.running == 0 { DOZE } else { pause.min(whole) };
        self.whole_reading = now + whole;
        if memory.bytes > limit {
            // What it is judged by is what is told of it.
            self.peak.memory = self.peak.memory.max(memory.bytes);
            return Ok(Finding::passed(Cause::Memory));
        }
        if self.cpu_time.is_some_and(|limit| counted.unwrap_or(reading.cpu) >= limit) {
            return Ok(Finding::passed(Cause::CpuTime));
        }
        if self.resume_at.is_some() && reading.processes.iter().any(|process| !process.halted) {
            // Forked while it was stopped, or continued from inside.
            if let Some(throttle) = &mut self.throttle {
                throttle.stop(meter, pause);
            }
        }
        if self.resume_at.is_none()
            && !asked
            && let Some(throttle) = &mut self.throttle
            && let Some(rest) = throttle.account(now, &reading)
        {
            throttle.stop(meter, pause);
            self.resume_at = Some(now + rest);
        }
        self.next_reading = now + pause;
        Ok(Finding::default())
    }
}
