//! The end: from what was seen to the outcome, or to the error that says why nothing ran.

use super::Running;
use super::ending::{Cause, Ended, leader_lost};
use crate::cgroup::Events;
use crate::error::{Error, Failure};
use crate::host::diagnose;
use crate::outcome::{Outcome, Output, Status, Usage};
use crate::process::exec;
use crate::process::meter::Meter;
use crate::process::report::Refusal;
use crate::spec::Protection;
use crate::step::Step;
use nix::sys::signal::Signal;
use std::time::Duration;

impl Running {
    pub(super) fn usage(&self, wall: Duration, waited: Option<&libc::rusage>, counted: Option<Events>) -> Usage {
        let time = |time: libc::timeval| {
            Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
        };
        let cpu = waited.map_or(Duration::ZERO, |usage| time(usage.ru_utime) + time(usage.ru_stime));
        let largest = waited.map_or(0, |usage| usage.ru_maxrss.unsigned_abs() << 10);
        let largest = largest.saturating_sub(self.holder.meter.as_ref().map_or(0, Meter::lent));
        let counted = counted.unwrap_or_default();
        // Where the kernel counted, the largest single process says nothing more.
        let largest = if counted.memory_peak > 0 { counted.memory_peak } else { largest.max(self.holder.peak.memory) };
        Usage {
            wall_ms: wall.as_millis() as u64,
            cpu_ms: cpu.max(self.holder.peak.cpu).max(counted.cpu).as_millis() as u64,
            peak_memory_bytes: largest,
            // pid 1 is not the payload's.
            peak_pids: self
                .holder
                .peak
                .pids
                .max(counted.pids_peak.saturating_sub(1))
                .max(u32::from(self.ending.status().is_some())),
            disk_bytes: self.holder.disk_bytes(),
        }
    }

    pub(super) fn conclude(&mut self, usage: Usage, counted: Option<Events>) -> Result<Outcome, Error> {
        if let Some(fault) = self.ending.fault() {
            return Err(fault);
        }
        if let Some((number, errno)) = self.relays.lost() {
            let attempt = match number {
                0 => "read standard input",
                1 => "write the command's standard output",
                _ => "write the command's standard error",
            };
            return Err(Error::setup(attempt, errno));
        }
        // The kernel was quicker than anybody's report. Killed without having reached its own limit, a sandbox is the
        // victim of a host without memory.
        if counted.is_some_and(|counted| counted.oom > 0 && counted.oom_kill > 0) {
            self.ending.decide_late(Cause::Memory);
        }
        let (status, exit_code, signal) = match (self.ending.cause(), self.ending.ended()) {
            (Some(cause), _) => (cause.status(), None, cause.signal()),
            (None, Some(Ended::Lost(status))) => {
                let attempt = format!("the payload was lost before it ran (wait status {status:#x})");
                return Err(Error::setup(attempt, 0));
            }
            (None, Some(Ended::Status(status))) => self.ended_by_itself(status),
            (None, Some(Ended::Refused) | None) if self.first.leads() => return Err(leader_lost()),
            (None, Some(Ended::Refused) | None) => {
                let attempt = "pid 1 of the sandbox was killed from outside; perhaps the host is out of memory";
                return Err(Error::setup(attempt, 0));
            }
        };
        let captured = self.capture.then(|| Output::new(self.relays.captured(1), self.relays.captured(2)));
        Ok(Outcome {
            version: 1,
            sandbox: std::mem::take(&mut self.sandbox),
            image: std::mem::take(&mut self.plan.image),
            status,
            exit_code,
            signal,
            output: captured,
            usage,
            limits_reached: self.limits_reached(counted.is_some_and(|counted| counted.pids_max > 0)),
            enforcement: self
                .plan
                .enforcement
                .iter()
                .map(|(protection, enforcement)| (protection.name().to_owned(), enforcement.clone()))
                .collect(),
            network: self.network.take(),
            published: self.published().to_vec(),
            warm: None,
            error: None,
        })
    }

    fn ended_by_itself(&self, status: i32) -> (Status, Option<i32>, Option<String>) {
        if libc::WIFEXITED(status) {
            return (Status::Exited, Some(libc::WEXITSTATUS(status)), None);
        }
        let number = libc::WTERMSIG(status);
        let status = match number {
            libc::SIGSYS => Status::ForbiddenSyscall,
            // The backstop was quicker than our reading.
            libc::SIGXCPU if self.order.spec.cpu_time.is_some() => Status::CpuTimeExceeded,
            _ => Status::Signaled,
        };
        (status, None, Some(signal_name(number)))
    }

    fn limits_reached(&self, refused_to_fork: bool) -> Vec<Protection> {
        let mut reached = Vec::new();
        let at_most = self.holder.peak.pids >= self.holder.limits().pids && self.guards.cgroup.is_none();
        if refused_to_fork || at_most {
            reached.push(Protection::Pids);
        }
        let too_long = self
            .ending
            .status()
            .is_some_and(|status| libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGXFSZ);
        if too_long && self.order.keeps_files() || self.holder.disk_was_full() {
            reached.push(Protection::Disk);
        }
        reached
    }

    /// The error for a step that was refused.
    pub(super) fn refused(&self, payload: bool, refusal: Refusal) -> Error {
        let Some((number, total, step)) = self.plan.step(payload, usize::from(refusal.step)) else {
            return Error::setup("a step that is not in the plan was refused", refusal.stop.errno);
        };
        match step {
            // execve(2): whoever became a user that has too many processes may execute nothing. That is no fault of the command's.
            Step::Execute(_) if refusal.stop.errno == libc::EAGAIN => Error::from(Failure {
                step: Some((number, total)),
                attempt: "execute the command: the sandbox has as many processes as it may have".to_owned(),
                errno: 0,
                hint: Some("end some of them, or give it more with `belljar resize --pids`".to_owned()),
            }),
            Step::Execute(command) => Error::from(exec::explain(
                command,
                &self.plan.image,
                refusal.stop,
                self.holder.meter.as_ref().map(Meter::root),
            )),
            step => diagnose::step_refused(number, total, step, refusal.stop.call(), refusal.stop.errno),
        }
    }
}

impl Cause {
    fn status(self) -> Status {
        match self {
            Cause::Deadline => Status::TimedOut,
            Cause::CpuTime => Status::CpuTimeExceeded,
            Cause::Memory => Status::OutOfMemory,
            Cause::Output => Status::OutputLimit,
            Cause::Cancelled(_) => Status::Cancelled,
        }
    }

    /// The signal that the command was ended by, as the result names it.
    fn signal(self) -> Option<String> {
        match self {
            Cause::Cancelled(signal) => Some(signal.as_str().to_owned()),
            Cause::Deadline | Cause::CpuTime | Cause::Memory | Cause::Output => Some("SIGKILL".to_owned()),
        }
    }
}

/// `SIGKILL`; real-time signals by their number above the first in user space, as `signal_number` reads them.
fn signal_name(number: i32) -> String {
    match (Signal::try_from(number), number) {
        (Ok(signal), _) => signal.as_str().to_owned(),
        (Err(_), 34) => "SIGRTMIN".to_owned(),
        (Err(_), 35..) => format!("SIGRTMIN+{}", number - 34),
        (Err(_), _) => format!("SIG{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::signal_name;
    use crate::outcome::signal_number;

    #[test]
    fn the_name_of_every_signal_is_read_back_as_its_number() {
        for number in 1..=64 {
            assert_eq!(signal_number(&signal_name(number)), Some(number));
        }
    }

    #[test]
    fn real_time_signals_count_from_the_first_that_programs_may_use() {
        assert_eq!([32, 34, 35, 64].map(signal_name), ["SIG32", "SIGRTMIN", "SIGRTMIN+1", "SIGRTMIN+30"]);
    }
}
