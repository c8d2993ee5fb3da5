//! What a copy of a process has from it, and what others may change of it from outside while it runs: its limits (prlimit(2)), its
//! place among those that compute (renice(1), taskset(1), chrt(1), ionice(1)), how late its timers may be, what a core dump of it
//! has, its cgroup, and how soon it is killed when memory is short. Nobody can change its environment, directory, umask or signal mask from outside.
#![allow(unsafe_code)]

use super::proc::{self, Limits};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::fs::File;
use std::io::Read as _;

/// What is told of it by files of its own.
const FILES: [&str; 3] = ["cgroup", "oom_score_adj", "coredump_filter"];
/// More than one of them says, mostly: each is read in one go.
const PIECE: usize = 8 << 10;
/// The process itself, in ioprio_get(2).
const IOPRIO_WHO_PROCESS: libc::c_long = 1;

/// What was found at one moment.
#[derive(Debug, PartialEq, Eq)]
pub struct Inherited {
    limits: Limits,
    told: [Vec<u8>; FILES.len()],
    numbers: [libc::c_long; 4],
    cpus: Option<CpuSet>,
}

impl Inherited {
    /// How it is now. What a kernel does not tell cannot be seen to change.
    pub fn now() -> Inherited {
        let numbers = [
            ask(libc::SYS_getpriority, libc::PRIO_PROCESS.into()),
            ask(libc::SYS_sched_getscheduler, 0),
            ask(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS),
            ask(libc::SYS_prctl, libc::PR_GET_TIMERSLACK.into()),
        ];
        let mut piece = [0; PIECE];
        let told = FILES.map(|name| told(name, &mut piece).unwrap_or_default());
        Inherited { limits: proc::limits(), told, numbers, cpus: sched_getaffinity(Pid::from_raw(0)).ok() }
    }

    /// What a command has of it wherever it runs: the limits, and its place among those that compute. The same words for the same.
    pub fn place(&self) -> String {
        format!("{:?} {:?} {:?}", self.limits, self.numbers, self.cpus)
    }

    /// What a command has of it that no cgroup of its own holds.
    pub fn cgroup(&self) -> String {
        let [cgroup, ..] = &self.told;
        String::from_utf8_lossy(cgroup).into_owned()
    }
}

/// What one of the files says.
fn told(name: &str, piece: &mut [u8; PIECE]) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(format!("/proc/self/{name}"))?;
    let mut told = Vec::new();
    loop {
        match file.read(piece)? {
            0 => return Ok(told),
            count => told.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
}

/// A number that the kernel knows of this process.
fn ask(call: libc::c_long, what: libc::c_long) -> libc::c_long {
    // SAFETY: numbers only; 0 is this process.
    unsafe { libc::syscall(call, what, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    #[test]
    fn what_is_changed_is_seen_and_what_is_not_stays_the_same() {
        let before = Inherited::now();
        assert_eq!(before, Inherited::now());
        assert!(before.told.iter().all(|told| !told.is_empty()), "{before:?}");
        // A thing of this process that no other test looks at.
        let (soft, hard) = getrlimit(Resource::RLIMIT_MSGQUEUE).unwrap();
        setrlimit(Resource::RLIMIT_MSGQUEUE, soft.saturating_sub(1), hard).unwrap();
        assert_ne!(before, Inherited::now());
        setrlimit(Resource::RLIMIT_MSGQUEUE, soft, hard).unwrap();
        assert_eq!(before, Inherited::now());
    }
}
