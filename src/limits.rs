//! Limits: what a cgroup holds where there is one, and what stands in for it where there is none.
//!
//! Without a cgroup:
//!
//! | limit | mechanism | exact |
//! |---|---|---|
//! | pids | `RLIMIT_NPROC`, counted in the sandbox's own user namespace (since Linux 5.14), for all of its ids together | yes |
//! | memory | the supervisor samples all processes and ends them | no |
//! | cpu | the supervisor samples, stops and continues | no |
//! | cpu_time | the supervisor samples; `RLIMIT_CPU` for each process as a backstop | no |
//! | disk | size and inodes of the tmpfs | yes |
//! | timeout | a timer of the supervisor | yes |

use crate::host::Host;
use crate::outcome::Enforcement;
use crate::spec::{Order, Protection};
use crate::step::Step;
use std::time::Duration;

/// Open files of a process: what interpreters expect as soft limit, and room to raise it.
const OPEN_FILES: (u64, u64) = (1024, 4096);
/// Locked memory of a process.
const LOCKED_MEMORY: u64 = 8 << 20;
/// Bytes in POSIX message queues, a quarter of what a user usually has; pending signals.
const MESSAGE_QUEUES: u64 = 204_800;
const PENDING_SIGNALS: u64 = 4096;

/// Runs of a template at a time whose processes find room.
const MOST_RUNS: u64 = 1024;

/// What the kernel counts for each user. Whoever makes a user namespace passes these limits on to all of its users together
/// (since Linux 5.14): a step of the payload where it has one id, and of pid 1 before it makes the payload's namespace where it
/// has many.
pub fn plan_counted(order: &Order, host: &Host, steps: &mut Vec<Step>) {
    if !host.cgroup.controllers().pids {
        // pid 1 counts too, and the publisher, which joins the user namespace. Whoever asked for it has it or hears why not.
        let ours = 1 + u64::from(!order.spec.publish.is_empty());
        let resource = libc::RLIMIT_NPROC as u32;
        let mut processes = u64::from(order.spec.pids) + ours;
        if order.warm.is_some() {
            // What its copies start counts for a template too, and is limited for each of them.
            let most = host.hard_limits.get(resource as usize).copied().unwrap_or(u64::MAX);
            processes = (processes * MOST_RUNS).min(most);
        }
        steps.push(Step::Limit { resource, name: "RLIMIT_NPROC", soft: processes, hard: processes });
    }
    steps.push(unasked(host, libc::RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", (LOCKED_MEMORY, LOCKED_MEMORY)));
    steps.push(unasked(host, libc::RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE", (MESSAGE_QUEUES, MESSAGE_QUEUES)));
    steps.push(unasked(host, libc::RLIMIT_SIGPENDING, "RLIMIT_SIGPENDING", (PENDING_SIGNALS, PENDING_SIGNALS)));
    of_the_bundle(order, host, true, steps);
}

/// Steps of the payload, before it loses its privileges.
pub fn plan(order: &Order, host: &Host, steps: &mut Vec<Step>) {
    if let Some(cpu_time) = order.spec.cpu_time {
        let seconds = whole_seconds(cpu_time) + 1;
        let resource = libc::RLIMIT_CPU as u32;
        steps.push(Step::Limit { resource, name: "RLIMIT_CPU", soft: seconds, hard: seconds + 1 });
    }
    // 1, not 0: to the kernel 1 means "no dump, not even into a pipe", and so no handler of the host's is started
    // for a crash inside (CVE-2025-4598, CVE-2025-5054). A caller with a hard limit of 0 cannot have 1.
    steps.push(unasked(host, libc::RLIMIT_CORE, "RLIMIT_CORE", (1, 1)));
    steps.push(unasked(host, libc::RLIMIT_RTPRIO, "RLIMIT_RTPRIO", (0, 0)));
    // Files that are kept have no quota: where nothing else is written to, none of them is larger than the limit.
    if order.keeps_files() && !order.spec.mounts.iter().any(|mount| mount.writable) {
        steps.push(unasked(host, libc::RLIMIT_FSIZE, "RLIMIT_FSIZE", (order.spec.disk, order.spec.disk)));
    }
    of_the_bundle(order, host, false, steps);
}

/// Open files, when all descriptors that are sent have been: who may have as many open as the user has in flight sends none
/// (unix(7), `ETOOMANYREFS`).
pub fn plan_descriptors(order: &Order, host: &Host, steps: &mut Vec<Step>) {
    let mut asked = order.bundle.iter().flat_map(|bundle| &bundle.limits);
    let asked = asked.rfind(|asked| asked.resource == libc::RLIMIT_NOFILE as u32);
    let own = host.hard_limits.get(libc::RLIMIT_NOFILE as usize).copied().unwrap_or(u64::MAX);
    // What is sent must leave room for us, who may have no more than the caller.
    let room = if own >= 2 * OPEN_FILES.0 { own / 2 } else { own };
    let (soft, hard) = asked.map_or((OPEN_FILES.0, OPEN_FILES.1.min(room)), |asked| (asked.soft, asked.hard));
    steps.push(unasked(host, libc::RLIMIT_NOFILE, "RLIMIT_NOFILE", (soft, hard)));
}

/// What the kernel counts for each user, and a bundle may set.
const COUNTED: [u32; 3] = [libc::RLIMIT_MEMLOCK as u32, libc::RLIMIT_MSGQUEUE as u32, libc::RLIMIT_SIGPENDING as u32];

/// What a bundle wants in the place of what is there; where the caller may have less, less will do. Of some there is no more
/// than we gave, others are only what we take for enough.
fn of_the_bundle(order: &Order, host: &Host, counted: bool, steps: &mut Vec<Step>) {
    let Some(bundle) = &order.bundle else { return };
    for asked in bundle.limits.iter().filter(|asked| COUNTED.contains(&asked.resource) == counted) {
        if asked.resource == libc::RLIMIT_NOFILE as u32 {
            continue;
        }
        let same = |step: &Step| matches!(step, Step::Limit { resource, .. } if *resource == asked.resource);
        let there = steps.iter().position(same).map(|index| steps.remove(index));
        let mut wanted = unasked(host, asked.resource, asked.name, (asked.soft, asked.hard));
        if let (Step::Limit { soft, hard, .. }, Some(Step::Limit { soft: least, hard: most, .. })) =
            (&mut wanted, there)
            && !counted
        {
            (*soft, *hard) = ((*soft).min(least), (*hard).min(most));
        }
        steps.push(wanted);
    }
}

/// A limit that nobody asked for: where the caller may have less, less will do.
fn unasked<R: Into<i64>>(host: &Host, resource: R, name: &'static str, (soft, hard): (u64, u64)) -> Step {
    let resource = resource.into() as u32;
    let most = host.hard_limits.get(resource as usize).copied().unwrap_or(u64::MAX);
    Step::Limit { resource, name, soft: soft.min(most), hard: hard.min(most) }
}

/// Rounded up: `RLIMIT_CPU` knows whole seconds only.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// How each limit is enforced.
pub fn enforcement(order: &Order, host: &Host, protection: Protection) -> Option<Enforcement> {
    let has = host.cgroup.controllers();
    let by_cgroup = Some(Enforcement::by("cgroup", true));
    match protection {
        Protection::Memory if has.memory => by_cgroup,
        Protection::Cpu if has.cpu => by_cgroup,
        Protection::Pids if has.pids => by_cgroup,
        // Every cgroup counts CPU time.
        Protection::CpuTime if host.cgroup.is_there() => order.spec.cpu_time.and(by_cgroup),
        Protection::DiskBandwidth => order.spec.disk_bandwidth.map(|_| match has.io {
            true => Enforcement::by("cgroup", true),
            false => Enforcement::Off(host.cgroup.why_not("io")),
        }),
        Protection::Memory => Some(Enforcement::by("sampling", false)),
        Protection::Cpu => Some(Enforcement::by("sampling, stop and continue", false)),
        Protection::CpuTime => order.spec.cpu_time.map(|_| Enforcement::by("sampling, rlimit", false)),
        Protection::Pids => Some(Enforcement::by("rlimit", true)),
        Protection::Disk if order.keeps_files() => Some(Enforcement::by("sampling", false)),
        Protection::Disk => Some(Enforcement::by("tmpfs", true)),
        Protection::Timeout => order.spec.timeout.map(|_| Enforcement::by("timer", true)),
        Protection::Namespaces
        | Protection::Capabilities
        | Protection::Network
        | Protection::Seccomp
        | Protection::Landlock
        | Protection::Proc => None,
    }
}
