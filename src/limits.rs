//! Limits: what a cgroup holds where there is one, and what stands in for it where there is none.
//!
//! Without a cgroup:
//!
//! | limit | mechanism | exact |
//! |---|---|---|
//! | pids | `RLIMIT_NPROC`, counted in the sandbox's own user namespace (since Linux 5.14) | yes |
//! | memory | the supervisor samples all processes and ends them | no |
//! | cpu | the supervisor samples, stops and continues | no |
//! | cpu_time | the supervisor samples; `RLIMIT_CPU` for each process as a backstop | no |
//! | disk | size and inodes of the tmpfs | yes |
//! | timeout | a timer of the supervisor | yes |

use crate::host::Host;
use crate::outcome::Enforcement;
use crate::spec::{Protection, Spec};
use crate::step::{Step, Steps};
use std::time::Duration;

/// Open files of a process: what interpreters expect as soft limit, and room to raise it.
const OPEN_FILES: (u64, u64) = (1024, 4096);
/// Locked memory of a process.
const LOCKED_MEMORY: u64 = 8 << 20;
/// Bytes in POSIX message queues; pending signals.
const MESSAGE_QUEUES: u64 = 819_200;
const PENDING_SIGNALS: u64 = 4096;

/// Steps of the payload, before it loses its privileges.
pub fn plan(spec: &Spec, host: &Host, steps: &mut Steps) {
    let mut asked_for = |resource: u32, name: &'static str, soft: u64, hard: u64| {
        steps.payload.push(Step::Limit { resource, name, soft, hard });
    };
    if !host.cgroup.controllers().pids {
        // pid 1 counts too.
        let processes = u64::from(spec.pids) + 1;
        asked_for(libc::RLIMIT_NPROC as u32, "RLIMIT_NPROC", processes, processes);
    }
    if let Some(cpu_time) = spec.cpu_time {
        let seconds = whole_seconds(cpu_time) + 1;
        asked_for(libc::RLIMIT_CPU as u32, "RLIMIT_CPU", seconds, seconds + 1);
    }
    // Nobody asked for these: where the caller may have less, less will do.
    let mut limit = |resource: u32, name: &'static str, soft: u64, hard: u64| {
        let most = host.hard_limits.get(resource as usize).copied().unwrap_or(u64::MAX);
        steps.payload.push(Step::Limit { resource, name, soft: soft.min(most), hard: hard.min(most) });
    };
    limit(libc::RLIMIT_NOFILE as u32, "RLIMIT_NOFILE", OPEN_FILES.0, OPEN_FILES.1);
    // 1, not 0: to the kernel 1 means "no dump, not even into a pipe", and so no handler of the host's is started
    // for a crash inside (CVE-2025-4598, CVE-2025-5054). A caller with a hard limit of 0 cannot have 1.
    limit(libc::RLIMIT_CORE as u32, "RLIMIT_CORE", 1, 1);
    limit(libc::RLIMIT_MEMLOCK as u32, "RLIMIT_MEMLOCK", LOCKED_MEMORY, LOCKED_MEMORY);
    limit(libc::RLIMIT_MSGQUEUE as u32, "RLIMIT_MSGQUEUE", MESSAGE_QUEUES, MESSAGE_QUEUES);
    limit(libc::RLIMIT_SIGPENDING as u32, "RLIMIT_SIGPENDING", PENDING_SIGNALS, PENDING_SIGNALS);
    limit(libc::RLIMIT_RTPRIO as u32, "RLIMIT_RTPRIO", 0, 0);
    // No process may reserve more than the machine has, whatever the host's overcommit policy; between two samples
    // this is what stands.
    let data = host.memory.max(spec.memory);
    limit(libc::RLIMIT_DATA as u32, "RLIMIT_DATA", data, data);
    of_the_bundle(spec, host, &mut steps.payload);
}

/// Resources of which a bundle may want more than what we take for enough.
const OURS_TO_GIVE: [u32; 4] = [
    libc::RLIMIT_NOFILE as u32,
    libc::RLIMIT_MEMLOCK as u32,
    libc::RLIMIT_MSGQUEUE as u32,
    libc::RLIMIT_SIGPENDING as u32,
];

/// What a bundle wants in the place of what is there; where the caller may have less, less will do.
fn of_the_bundle(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    let Some(bundle) = &spec.bundle else { return };
    for asked in &bundle.limits {
        let most = host.hard_limits.get(asked.resource as usize).copied().unwrap_or(u64::MAX);
        let (mut least_soft, mut least_hard) = (asked.soft.min(most), asked.hard.min(most));
        let there =
            steps.iter().position(|step| matches!(step, Step::Limit { resource, .. } if *resource == asked.resource));
        if let Some(Step::Limit { soft, hard, .. }) = there.map(|index| steps.remove(index))
            && !OURS_TO_GIVE.contains(&asked.resource)
        {
            (least_soft, least_hard) = (least_soft.min(soft), least_hard.min(hard));
        }
        let (resource, name) = (asked.resource, asked.name);
        steps.push(Step::Limit { resource, name, soft: least_soft, hard: least_hard });
    }
}

/// Rounded up: `RLIMIT_CPU` knows whole seconds only.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// How each limit is enforced.
pub fn enforcement(spec: &Spec, host: &Host, protection: Protection) -> Option<Enforcement> {
    let has = host.cgroup.controllers();
    let by_cgroup = Some(Enforcement::by("cgroup", true));
    match protection {
        Protection::Memory if has.memory => by_cgroup,
        Protection::Cpu if has.cpu => by_cgroup,
        Protection::Pids if has.pids => by_cgroup,
        // Every cgroup counts CPU time.
        Protection::CpuTime if host.cgroup.is_there() => spec.cpu_time.and(by_cgroup),
        Protection::DiskBandwidth => spec.disk_bandwidth.map(|_| match has.io {
            true => Enforcement::by("cgroup", true),
            false => Enforcement::Off(host.cgroup.why_not("io")),
        }),
        Protection::Memory => Some(Enforcement::by("sampling", false)),
        Protection::Cpu => Some(Enforcement::by("sampling, stop and continue", false)),
        Protection::CpuTime => spec.cpu_time.map(|_| Enforcement::by("sampling, rlimit", false)),
        Protection::Pids => Some(Enforcement::by("rlimit", true)),
        Protection::Disk => Some(Enforcement::by("tmpfs", true)),
        Protection::Timeout => spec.timeout.map(|_| Enforcement::by("timer", true)),
        Protection::Namespaces
        | Protection::Network
        | Protection::Seccomp
        | Protection::Landlock
        | Protection::Proc => None,
    }
}
