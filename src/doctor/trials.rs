//! Trials of limits: each is exceeded on purpose in a small sandbox of its own.
//!
//! What is asked for is far below what any host has, so that a limit that does not hold does no harm: 128 MiB, eight
//! processes, half a second of one CPU. Scripts use nothing but the shell and sleep(1).

use super::inside::{run, spec, text};
use super::report::Verified;
use crate::error::Kind;
use crate::outcome::{Outcome, Status};
use crate::spec::{Protection, Spec};
use std::collections::BTreeMap;
use std::time::Duration;

/// Doubles sixteen bytes 22 times, to 64 MiB; a shell that copies needs twice that. Then it waits to be ended.
const FILL_MEMORY: &str = "x=0123456789abcdef; n=0; while [ $n -lt 22 ]; do x=$x$x; n=$((n+1)); done; sleep 20";
const SPIN: &str = "while :; do :; done";
/// Says a line for each process that it could start.
const FORK: &str = "for n in 1 2 3 4 5 6 7 8; do sleep 20 & echo $n; done";
/// Says how many pieces of 64 KiB it could write.
const FILL_DISK: &str = "x=0123456789abcdef; n=0; while [ $n -lt 12 ]; do x=$x$x; n=$((n+1)); done
n=0; while [ $n -lt 64 ]; do echo $x >>/tmp/full || break; n=$((n+1)); done; echo $n";

const MEMORY: u64 = 24 << 20;
const DISK: u64 = 1 << 20;
const PIDS: u32 = 4;
const MILLICPUS: u32 = 200;
const SPINNING: Duration = Duration::from_millis(500);
const CPU_TIME: Duration = Duration::from_millis(100);

/// Runs into every limit.
pub fn run_all() -> BTreeMap<Protection, Verified> {
    let (cpu, timeout) = rate_and_deadline();
    BTreeMap::from([
        (Protection::Memory, memory()),
        (Protection::Cpu, cpu),
        (Protection::CpuTime, cpu_time()),
        (Protection::Pids, pids()),
        (Protection::Disk, disk()),
        (Protection::Timeout, timeout),
    ])
}

/// A trial that could not be made proves nothing.
fn judged(spec: &Spec, judge: impl Fn(&Outcome) -> Verified) -> Verified {
    match run(spec) {
        Ok(outcome) => judge(&outcome),
        Err(error) if matches!(error.kind, Kind::NoCommand | Kind::NotExecutable) => {
            Verified::NotTried("there is no shell inside to try it with".to_owned())
        }
        Err(error) => Verified::NotTried(format!("the sandbox to try it in failed: {error}")),
    }
}

fn memory() -> Verified {
    let spec = Spec { memory: MEMORY, ..spec(FILL_MEMORY) };
    judged(&spec, |outcome| match outcome.status {
        Status::OutOfMemory => Verified::Yes,
        _ => Verified::No(format!("64 MiB were used below a limit of 24 MiB ({})", ended(outcome))),
    })
}

fn cpu_time() -> Verified {
    let spec = Spec { cpu_time: Some(CPU_TIME), ..spec(SPIN) };
    judged(&spec, |outcome| match outcome.status {
        Status::CpuTimeExceeded => Verified::Yes,
        Status::TimedOut if outcome.usage.cpu_ms < 100 => Verified::NotTried("the machine is too busy".to_owned()),
        _ => {
            Verified::No(format!("{} ms were used below a limit of 100 ms ({})", outcome.usage.cpu_ms, ended(outcome)))
        }
    })
}

/// One trial for both: it spins until the deadline.
fn rate_and_deadline() -> (Verified, Verified) {
    let spec = Spec { millicpus: MILLICPUS, timeout: Some(SPINNING), ..spec(SPIN) };
    let deadline = |outcome: &Outcome| match outcome.status {
        Status::TimedOut => Verified::Yes,
        _ => Verified::No(format!("the deadline passed without effect ({})", ended(outcome))),
    };
    // A fifth of half a second, and as much again for the start and for what sampling misses.
    let rate = |outcome: &Outcome| match outcome.usage.cpu_ms {
        0..=250 => Verified::Yes,
        more => Verified::No(format!("{more} ms of CPU were used in 500 ms below a limit of 0.2 CPUs")),
    };
    match run(&spec) {
        Ok(outcome) => (rate(&outcome), deadline(&outcome)),
        Err(_) => (judged(&spec, rate), judged(&spec, deadline)),
    }
}

fn pids() -> Verified {
    // bash tries again for seconds, where other shells give up at once.
    let spec = Spec { pids: PIDS, timeout: Some(Duration::from_secs(2)), ..spec(FORK) };
    judged(&spec, |outcome| match text(outcome.output.as_ref()).lines().count() {
        0 => Verified::NotTried("not even one process could be started".to_owned()),
        started if started < PIDS as usize => Verified::Yes,
        started => Verified::No(format!("{started} processes were started beside the shell below a limit of {PIDS}")),
    })
}

fn disk() -> Verified {
    let spec = Spec { disk: DISK, ..spec(FILL_DISK) };
    judged(&spec, |outcome| match text(outcome.output.as_ref()).trim().parse::<u64>() {
        Ok(0) | Err(_) => Verified::NotTried("nothing could be written".to_owned()),
        Ok(pieces) if pieces << 16 <= DISK => Verified::Yes,
        Ok(pieces) => Verified::No(format!("{} KiB were written below a limit of 1024 KiB", pieces << 6)),
    })
}

/// How a trial ended, in words.
fn ended(outcome: &Outcome) -> String {
    match (outcome.exit_code, &outcome.signal) {
        (Some(code), _) => format!("it exited with {code}"),
        (None, Some(signal)) => format!("it ended by {signal}"),
        (None, None) => "it was ended".to_owned(),
    }
}
