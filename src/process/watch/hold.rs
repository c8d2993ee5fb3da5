//! Holding the sandbox to its limits: what a cgroup holds is only counted, everything else is sampled.

use super::{Cause, FAST, QUICK, Running, SLOW};
use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::process::meter::{Meter, Reading, Use};
use crate::process::throttle::Throttle;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

/// Between two looks at counters that no limit waits for.
const IDLE: Duration = Duration::from_millis(50);
/// Between two looks at the CPU time, at least.
const CLOSE: Duration = Duration::from_millis(1);
/// How fast a machine can fill memory, bytes a second for each CPU: what may happen between two readings.
const FILL_RATE: u64 = 4 << 30;

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

impl Running {
    /// Ends a rest.
    pub(super) fn resume(&mut self) {
        self.resume_at = None;
        if let (Some(throttle), Some(meter)) = (&mut self.throttle, &self.meter) {
            throttle.resume(meter.proc());
        }
    }

    /// Whoever cannot look holds nobody to a limit; and what is inside may be what took the host's last open file.
    pub(super) fn end_blind(&mut self, errno: i32) {
        self.fault = Some(Error::setup("read what the sandbox uses", errno));
        self.end();
    }

    /// Whether a limit rests on how much CPU time was seen to be used.
    fn holds_cpu(&self) -> bool {
        self.throttle.is_some() || self.spec.cpu_time.is_some()
    }

    /// Whether no cgroup holds the memory limit.
    pub(super) fn samples_memory(&self) -> bool {
        self.plan.cgroup.as_ref().is_none_or(|cgroup| cgroup.memory.is_none())
    }

    /// Where a cgroup holds everything else, the writable layer and the CPU time are left to be looked at.
    fn take_count(&mut self, now: Instant) {
        let (Some(meter), Some(cgroup)) = (&self.meter, &self.cgroup) else { return };
        self.peak.disk_full |= meter.disk().1;
        let events = match cgroup.events() {
            Ok(events) => events,
            Err(errno) => return self.end_blind(errno),
        };
        // For kernels that keep no record of the highest values; pid 1 is not the payload's.
        self.peak.memory = self.peak.memory.max(events.memory);
        self.peak.pids = self.peak.pids.max(events.pids.saturating_sub(1));
        self.next_reading = now + IDLE;
        if events.pids <= 1 {
            self.nobody_inside();
        }
        if let Some(limit) = self.spec.cpu_time {
            let room = limit.saturating_sub(events.cpu);
            if room.is_zero() {
                return self.end_for(Cause::CpuTime);
            }
            self.next_reading = now + (room / self.cpus.max(1)).clamp(CLOSE, IDLE);
        }
    }

    /// Reads what the sandbox uses, and holds it against its limits.
    pub(super) fn take_reading(&mut self, now: Instant) {
        if self.cgroup.is_some() && !self.samples_memory() && self.throttle.is_none() {
            return self.take_count(now);
        }
        let limit = if self.samples_memory() { self.spec.memory } else { u64::MAX };
        let counted = self.cgroup.as_ref().filter(|_| self.spec.cpu_time.is_some()).map(Cgroup::cpu).transpose();
        let counted = match counted {
            Ok(counted) => counted,
            Err(errno) => return self.end_blind(errno),
        };
        let holds_cpu = self.holds_cpu();
        let Some(meter) = &mut self.meter else { return };
        if now < self.whole_reading {
            let room = self.room.saturating_sub(meter.host_growth());
            if room > 0 {
                self.next_reading = now + pause(room, self.cpus);
                return;
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
        if reading.processes.is_empty() {
            return self.nobody_inside();
        }
        let room = limit.saturating_sub(memory.at_most);
        let pause = pause(room, self.cpus);
        self.room = room.saturating_sub(COUNTED_LATE * u64::from(self.cpus));
        // Who comes and goes is seen the better the more often somebody looks.
        let whole = unforeseen(if reading.fleeting && holds_cpu { QUICK } else { SLOW });
        let pause = pause.min(whole);
        self.whole_reading = now + whole;
        if memory.bytes > limit {
            // What it is judged by is what is told of it.
            self.peak.memory = self.peak.memory.max(memory.bytes);
            return self.end_for(Cause::Memory);
        }
        if self.spec.cpu_time.is_some_and(|limit| counted.unwrap_or(reading.cpu) >= limit) {
            return self.end_for(Cause::CpuTime);
        }
        if self.resume_at.is_some() && reading.processes.iter().any(|process| !process.halted) {
            // Forked while it was stopped, or continued from inside.
            if let Some(throttle) = &mut self.throttle {
                throttle.stop(meter, pause);
            }
        }
        if self.resume_at.is_none()
            && self.forwarded.is_none()
            && let Some(throttle) = &mut self.throttle
            && let Some(rest) = throttle.account(now, &reading)
        {
            throttle.stop(meter, pause);
            self.resume_at = Some(now + rest);
        }
        self.next_reading = now + pause;
    }
}
