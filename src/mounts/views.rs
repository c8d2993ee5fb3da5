//! What programs read to size themselves: the sandbox's limits in the kernel's own formats, where the kernel would
//! tell of the machine. `/proc/meminfo`, `cpuinfo`, `stat` and `cgroups`, and a `/sys` of a few files.
//!
//! Views, not limits: they tell programs what they have, and nothing rests on their being believed. All lie in the one
//! sealed file system that masks are made of, so that nobody inside can write, replace or take them away; each is shown
//! by one bind. They are of the moment of the start.

use super::tree::{SEALED, Skeleton};
use crate::host::{Host, Machine};
use crate::spec::Spec;
use crate::step::{Processors, Step, c_string};

/// What stands at `/sys/fs/cgroup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cgroup {
    /// Files that name the limits.
    Files,
    /// The sandbox's own cgroup, mounted there.
    MountPoint,
}

const CGROUP: &str = "sys/fs/cgroup";
const CPU: &str = "sys/devices/system/cpu";

/// CPUs of the payload, by number and in ascending order: as many as its rate can keep busy, beginning with the one
/// that the supervisor runs on, which will be idle as soon as the supervisor waits.
fn processors(spec: &Spec, machine: &Machine) -> Vec<u32> {
    let count = spec.millicpus.div_ceil(1000).max(1) as usize;
    let mut chosen: Vec<u32> = machine.processors.iter().copied().take(count).collect();
    chosen.sort_unstable();
    chosen
}

/// Confines the payload to the CPUs that it is shown, where the caller has more.
pub fn plan_processors(spec: &Spec, host: &Host, payload: &mut Vec<Step>) {
    let chosen = processors(spec, &host.machine);
    if chosen.len() < host.machine.processors.len() {
        payload.push(Step::Processors(Processors::new(&chosen)));
    }
}

/// Makes the files.
pub fn plan(spec: &Spec, host: &Host, cgroup: Cgroup, skeleton: &mut Skeleton) {
    let (machine, processors) = (&host.machine, processors(spec, &host.machine));
    skeleton.sealed_file("meminfo", meminfo(spec.memory.min(host.memory)));
    skeleton.sealed_file("stat", stat(&processors, machine));
    if let Some(first) = &machine.description {
        skeleton.sealed_file("cpuinfo", cpuinfo(first, &processors));
    }
    if machine.lists_cgroups {
        skeleton.sealed_file("cgroups", cgroups());
    }
    // Numbers as the kernel has them, not counted anew: allocators keep arrays as long as the highest number of
    // `possible`, and index them by the CPU that they find themselves on.
    skeleton.sealed_file(&format!("{CPU}/online"), list(&processors));
    for name in ["possible", "present"] {
        skeleton.sealed_link("online", &format!("{CPU}/{name}"));
    }
    skeleton.sealed_directory(CGROUP);
    match cgroup {
        Cgroup::Files => {
            for (name, content) in cgroup_files(spec) {
                skeleton.sealed_file(&format!("{CGROUP}/{name}"), content);
            }
        }
        Cgroup::MountPoint => {}
    }
    skeleton.directory("sys", 0o755);
}

/// Shows `/sys`, once its source is sealed.
pub fn show_sys(cgroup: Cgroup, init: &mut Vec<Step>) {
    let show = |source: &str| Step::Show {
        source: c_string(format!("{SEALED}/{source}")),
        target: c_string(format!("root/{source}")),
    };
    init.push(show("sys"));
    match cgroup {
        Cgroup::Files => init.extend([Step::MountCgroups, show(CGROUP)]),
        Cgroup::MountPoint => init.push(Step::MountCgroups),
    }
}

/// Shows the files of `/proc`, in the new procfs.
pub fn show_proc(host: &Host, init: &mut Vec<Step>) {
    let machine = &host.machine;
    for (name, made) in [
        ("meminfo", true),
        ("stat", true),
        ("cpuinfo", machine.description.is_some()),
        ("cgroups", machine.lists_cgroups),
    ] {
        if made {
            init.push(Step::View { source: c_string(format!("/proc/{SEALED}/{name}")), name: c_string(name) });
        }
    }
}

/// What a machine of that much memory says on which nothing runs yet (proc_meminfo(5)), without what only some kernels
/// have. Programs find lines by their names. `VmallocTotal`, a part of the kernel's address space, is a constant of
/// x86-64.
fn meminfo(bytes: u64) -> String {
    let all = bytes / 1024;
    format!(
        "\
MemTotal:       {all:>8} kB
MemFree:        {all:>8} kB
MemAvailable:   {all:>8} kB
Buffers:               0 kB
Cached:                0 kB
SwapCached:            0 kB
Active:                0 kB
Inactive:              0 kB
Active(anon):          0 kB
Inactive(anon):        0 kB
Active(file):          0 kB
Inactive(file):        0 kB
Unevictable:           0 kB
Mlocked:               0 kB
SwapTotal:             0 kB
SwapFree:              0 kB
Dirty:                 0 kB
Writeback:             0 kB
AnonPages:             0 kB
Mapped:                0 kB
Shmem:                 0 kB
KReclaimable:          0 kB
Slab:                  0 kB
SReclaimable:          0 kB
SUnreclaim:            0 kB
KernelStack:           0 kB
PageTables:            0 kB
NFS_Unstable:          0 kB
Bounce:                0 kB
WritebackTmp:          0 kB
CommitLimit:    {all:>8} kB
Committed_AS:          0 kB
VmallocTotal:   34359738367 kB
VmallocUsed:           0 kB
VmallocChunk:          0 kB
AnonHugePages:         0 kB
Hugepagesize:       2048 kB
"
    )
}

/// Kernel and machine have done nothing but wait since the machine started (proc_stat(5)).
fn stat(processors: &[u32], machine: &Machine) -> String {
    // In hundredths of a second, on every kernel (`USER_HZ`).
    let idle = machine.uptime.as_millis() / 10;
    let mut text = format!("cpu  0 0 0 {} 0 0 0 0 0 0\n", idle * processors.len() as u128);
    for number in processors {
        text.push_str(&format!("cpu{number} 0 0 0 {idle} 0 0 0 0 0 0\n"));
    }
    text.push_str(&format!(
        "intr 0\nctxt 0\nbtime {}\nprocesses 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
        machine.booted
    ));
    text
}

/// Every processor is described as the host's first is, but for its number and place: a core of its own, of one
/// package that has no others.
fn cpuinfo(first: &str, processors: &[u32]) -> String {
    fn key(line: &str) -> &str {
        line.split_once(':').map_or(line, |(key, _)| key).trim_end()
    }
    // What stands before the first processor stands there once.
    let start = first.split_inclusive('\n').take_while(|line| key(line) != "processor").map(str::len).sum();
    let (before, block) = first.split_at(start);
    let mut text = String::with_capacity(before.len() + (block.len() + 16) * processors.len());
    text.push_str(before);
    for (core, number) in (0..).zip(processors) {
        for line in block.trim_end_matches('\n').lines() {
            let place = match key(line) {
                "processor" | "apicid" | "initial apicid" => Some(*number),
                "core id" => Some(core),
                "physical id" => Some(0),
                "siblings" | "cpu cores" => u32::try_from(processors.len()).ok(),
                _ => None,
            };
            match (place, line.split_once(':')) {
                (Some(place), Some((name, _))) => text.push_str(&format!("{name}: {place}")),
                _ => text.push_str(line),
            }
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

/// The second version of cgroups, whatever the host's is: Java looks here for it. The root alone, so that nobody
/// learns how many the host has.
fn cgroups() -> String {
    let mut text = String::from("#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
    for name in ["cpuset", "cpu", "cpuacct", "memory", "pids"] {
        text.push_str(&format!("{name}\t0\t1\t1\n"));
    }
    text
}

/// The limits as cgroup v2 would have them (Documentation/admin-guide/cgroup-v2.rst of the kernel).
fn cgroup_files(spec: &Spec) -> [(&'static str, String); 5] {
    /// Microseconds, the kernel's own.
    const PERIOD: u64 = 100_000;
    const PAGE: u64 = 4096;
    [
        ("cgroup.controllers", "cpu memory pids\n".to_owned()),
        ("cpu.max", format!("{} {PERIOD}\n", u64::from(spec.millicpus) * PERIOD / 1000)),
        // libuv knows of no limit where it finds one of these two only.
        ("memory.high", "max\n".to_owned()),
        ("memory.max", format!("{}\n", spec.memory / PAGE * PAGE)),
        ("pids.max", format!("{}\n", spec.pids)),
    ]
}

/// Numbers in ascending order as the kernel lists them: `0-2,5`.
fn list(numbers: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let range = |(first, last): &(u32, u32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    ranges.iter().map(range).collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests;
