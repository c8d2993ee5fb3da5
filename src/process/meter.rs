//! What the sandbox uses, read from its own procfs: exactly its processes, whatever their parents or sessions.
//!
//! Two prices. A reading costs one small file for each process and overestimates memory (pages that several
//! processes share count for each, and what the whole host shares counts too). Only when that estimate passes the
//! limit is it found out exactly ([`memory`]), which costs a walk through page tables.

mod files;
mod fleeting;
mod kernel;
mod memory;
mod nameless;
mod nested;

pub use memory::{Use, kibibytes};
pub use nameless::Nameless;

use crate::sys::proc;
use fleeting::{Fleeting, Since};
use kernel::Kernel;
use memory::Memory;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// Reads a sandbox.
pub struct Meter {
    proc: OwnedFd,
    root: OwnedFd,
    /// Whether the writable layer is in memory.
    in_memory: bool,
    /// Whether anybody inside can make files in memory that have no name.
    files: bool,
    /// File systems in memory with a size of their own.
    places: Vec<OwnedFd>,
    /// The sandbox's user namespace, where it has users who are not the caller.
    user_namespace: Option<OwnedFd>,
    page: u64,
    tick: Duration,
    buffer: Vec<u8>,
    listed: Vec<u32>,
    /// What the last reading saw, by id.
    known: Vec<(u32, Stat)>,
    /// Ticks of the last reading with those of waited-for children, and of all readings together.
    latest: u64,
    total: u64,
    /// The same with what those used who came and went in between. Never falls.
    used: Duration,
    fleeting: Fleeting,
    cpus: f64,
    memory: Memory,
    kernel: Kernel,
    /// Of a sandbox with others below it.
    nested: Option<nested::Nested>,
    blind: Option<i32>,
}

/// One reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Processes without pid 1, in the order of their ids.
    pub processes: Vec<Process>,
    /// Their threads together.
    pub threads: u32,
    /// How many of them wait for a CPU or have one.
    pub running: u32,
    /// CPU time since the first reading and before, as far as it was seen. Never falls.
    pub cpu: Duration,
    /// Whether somebody runs who was not there before.
    pub fleeting: bool,
    /// Bytes that the processes have in memory; what they share counts for each.
    pub resident: u64,
    /// Bytes by which what they use can have grown since the reading before, files in memory aside.
    pub growth: u64,
    /// Bytes that children touched who have ended since.
    pub unseen: u64,
    /// Whose memory is another than in the reading before.
    pub changed: Vec<u32>,
    /// Whether there is a process that was not there before.
    pub arrived: bool,
    /// Bytes in the writable layer.
    pub disk: u64,
    /// Whether the writable layer has neither bytes nor inodes left.
    pub disk_full: bool,
    /// Bytes of all shared memory of the host.
    pub host_shared: u64,
    /// Bytes that the kernel may use for it: page tables, and what sockets and open files take.
    pub kernel: u64,
}

/// One process of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id inside.
    pub pid: u32,
    /// Its parent's; 0 when that is outside.
    pub parent: u32,
    /// Whether it is stopped, traced, or dead already.
    pub halted: bool,
    /// Whether it is dead, and only its parent has not asked how.
    pub dead: bool,
    /// Bytes of its address space.
    pub space: u64,
}

impl Process {
    /// Whether it is a leader: code of ours that leads a command from outside, or waits for one. It shows itself to nobody, and has
    /// nothing of the sandbox's.
    pub fn leads(&self) -> bool {
        self.parent == 0
    }
}

/// What a sandbox is read through.
pub struct Sight {
    /// Its `/`.
    pub root: OwnedFd,
    /// Its own `/proc`.
    pub proc: OwnedFd,
    /// Whether the writable layer is in memory.
    pub in_memory: bool,
    /// File systems in memory besides that of the root.
    pub places: Vec<OwnedFd>,
    /// Its user namespace, where it has users who are not the caller: what is theirs is read from inside of it.
    pub user_namespace: Option<OwnedFd>,
}

impl Meter {
    /// Reads through what is seen from here on.
    pub fn new(sight: Sight) -> Meter {
        let Sight { root, proc, in_memory, places, user_namespace } = sight;
        let value = |name| nix::unistd::sysconf(name).ok().flatten();
        let page = value(nix::unistd::SysconfVar::PAGE_SIZE).unwrap_or(4096);
        let ticks = value(nix::unistd::SysconfVar::CLK_TCK).unwrap_or(100);
        let mut meter = Meter {
            proc,
            root,
            in_memory,
            files: true,
            places,
            user_namespace,
            page: page.unsigned_abs(),
            tick: Duration::from_secs(1) / u32::try_from(ticks).unwrap_or(100).max(1),
            buffer: vec![0; 4096],
            listed: Vec::new(),
            known: Vec::new(),
            latest: 0,
            total: 0,
            used: Duration::ZERO,
            fleeting: Fleeting::default(),
            cpus: value(nix::unistd::SysconfVar::_NPROCESSORS_ONLN).unwrap_or(1).max(1) as f64,
            memory: Memory::default(),
            kernel: Kernel::default(),
            nested: None,
            blind: None,
        };
        let disk = meter.disk().0;
        let (host, kernel) = meter.host();
        meter.kernel_memory(&Reading::default(), kernel);
        let shared = meter.memory.note_host(host);
        meter.memory.explain(shared, disk);
        meter
    }

    /// The sandbox's root, to look at files that were there before anything ran.
    pub fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// The sandbox's procfs.
    pub fn proc(&self) -> &OwnedFd {
        &self.proc
    }

    /// Reads all processes.
    pub fn read(&mut self) -> Reading {
        let mut reading = Reading::default();
        let mut known = Vec::with_capacity(self.known.len());
        let (mut with_children, mut alone, mut of_known, mut new) = (0, 0, 0, 0.0);
        let time = self.fleeting.since_last_look(Instant::now());
        self.list();
        for index in 0..self.listed.len() {
            let pid = self.listed[index];
            // A process that is gone by now uses nothing.
            let Some(stat) = self.stat(pid) else { continue };
            let before = self.before(pid, &stat);
            with_children += stat.ticks + stat.children_ticks;
            alone += stat.ticks.saturating_sub(before.ticks);
            if before.start > 0 {
                of_known += stat.ticks.saturating_sub(before.ticks);
            } else {
                new += self.threads_running(pid, &stat);
            }
            if pid != 1 {
                reading.threads += stat.threads;
                reading.running += u32::from(stat.state == b'R');
                reading.resident += stat.resident * self.page;
                // A page that was shared and is written to becomes the writer's own, which is a fault and no more.
                let pages = stat.resident.saturating_sub(before.resident) + stat.faults.saturating_sub(before.faults);
                reading.growth += pages * self.page;
                reading.arrived |= before.start == 0;
                if stat.resident != before.resident || stat.faults != before.faults {
                    reading.changed.push(pid);
                }
                reading.processes.push(self.process(pid, &stat));
            }
            // What children touched that were never seen alive.
            let unseen = stat.children_faults.saturating_sub(before.children_faults);
            reading.unseen += unseen * self.page;
            known.push((pid, stat));
        }
        self.known = known;
        // Two ways to count, neither complete: what a child used passes to its parent only when that waits for it
        // (not where SIGCHLD is ignored), and what lived between two readings was never seen alive.
        let measured = alone.max(with_children.saturating_sub(self.latest));
        self.total += measured;
        self.latest = with_children;
        // Those who came and went are not in either.
        let (measured, of_known) = (self.ticks(measured), self.ticks(of_known));
        let since = Since { time, measured, known: of_known, new: new.min(self.cpus) };
        self.used = self.used.max(self.ticks(self.total) + self.fleeting.account(&since));
        reading.fleeting = new > 0.0;
        reading.cpu = self.used;
        (reading.disk, reading.disk_full) = self.disk();
        let (host, kernel) = self.host();
        reading.host_shared = self.memory.note_host(host);
        reading.kernel = self.kernel_memory(&reading, kernel);
        reading
    }

    fn ticks(&self, ticks: u64) -> Duration {
        self.tick * u32::try_from(ticks).unwrap_or(u32::MAX)
    }

    /// Why something that is there could not be read: the host or the caller had no more of what it takes. What was
    /// not seen was not counted then, and no limit can be held.
    pub fn blind(&self) -> Option<i32> {
        self.blind
    }

    /// What a look at a process says; nothing, where it is gone by now or not to be looked at.
    fn seen<T>(&mut self, answer: Result<T, i32>) -> Option<T> {
        match answer {
            Ok(value) => Some(value),
            Err(errno) => {
                if matches!(errno, libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS) {
                    self.blind = Some(errno);
                }
                None
            }
        }
    }

    /// All processes but pid 1, as they are now.
    pub fn processes(&mut self) -> Vec<Process> {
        self.list();
        let listed = std::mem::take(&mut self.listed);
        let found = listed.iter().filter(|pid| **pid != 1);
        let found = found.filter_map(|pid| self.stat(*pid).map(|stat| self.process(*pid, &stat))).collect();
        self.listed = listed;
        found
    }

    /// Whether a process does not run any more.
    pub fn is_halted(&mut self, pid: u32) -> bool {
        self.stat(pid).is_none_or(|stat| self.process(pid, &stat).halted)
    }

    /// Whether somebody besides pid 1 has executed a program.
    pub fn has_executed(&mut self) -> bool {
        self.list();
        let listed = std::mem::take(&mut self.listed);
        let found = listed.iter().any(|pid| *pid != 1 && self.stat(*pid).is_some_and(|stat| stat.executed));
        self.listed = listed;
        found
    }

    /// Whether a process waits where no signal but a deadly one reaches it: in vfork(2), or for a disk.
    pub fn is_out_of_reach(&mut self, pid: u32) -> bool {
        self.stat(pid).is_some_and(|stat| stat.state == b'D')
    }

    /// A process has the state of its first thread, and goes on without it as long as there are others.
    fn process(&mut self, pid: u32, stat: &Stat) -> Process {
        let alone = stat.threads <= 1 || stat.state == b'T';
        let halted = stat.is_halted() && (alone || self.threads(pid).iter().all(|(_, thread)| thread.is_halted()));
        Process { pid, parent: stat.parent, halted, dead: halted && stat.is_dead(), space: stat.space }
    }

    /// The threads of a process; none, where it has ended meanwhile.
    fn threads(&mut self, pid: u32) -> Vec<(u32, Stat)> {
        let mut threads = Vec::new();
        let opened = proc::open_process_entry(self.proc.as_fd(), pid, "task");
        let Some(tasks) = self.seen(opened) else { return threads };
        let mut listed = Vec::new();
        // Fails only when the process is gone.
        let _ = proc::for_each_number(tasks.as_fd(), &mut self.buffer, |thread| listed.push(thread));
        for thread in listed {
            let read = proc::read_process_file(tasks.as_fd(), thread, "stat", &mut self.buffer).map(Stat::parse);
            threads.extend(self.seen(read).flatten().map(|stat| (thread, stat)));
        }
        threads
    }

    fn stat(&mut self, pid: u32) -> Option<Stat> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = proc::read_process_file(self.proc.as_fd(), pid, "stat", &mut buffer).map(Stat::parse);
        self.buffer = buffer;
        self.seen(read)?
    }

    /// The same process in the reading before; nothing, if it was not there.
    fn before(&self, pid: u32, stat: &Stat) -> Stat {
        let found = self.known.binary_search_by_key(&pid, |(pid, _)| *pid).ok().map(|index| self.known[index].1);
        found.filter(|before| before.start == stat.start).unwrap_or_default()
    }

    /// Processes that live now, in the order of their ids.
    fn list(&mut self) {
        self.listed.clear();
        let listed = &mut self.listed;
        // Fails only when the procfs is gone, and then there is nobody left.
        let _ = proc::for_each_number(self.proc.as_fd(), &mut self.buffer, |pid| listed.push(pid));
        self.listed.sort_unstable();
        self.sift();
    }

    /// Bytes used in the writable layer, with the file systems that have a size of their own, and whether one is full.
    pub fn disk(&self) -> (u64, bool) {
        let of = |place: &OwnedFd| {
            let Ok(status) = nix::sys::statvfs::fstatvfs(place) else { return (0, false) };
            #[allow(clippy::unnecessary_cast)] // the types differ between C libraries
            let used = (status.blocks() - status.blocks_free()) as u64 * status.fragment_size() as u64;
            (used, status.blocks_free() == 0 || status.files_free() == 0)
        };
        let all = self.places.iter().chain(self.in_memory.then_some(&self.root)).map(of);
        all.fold((0, false), |(bytes, full), (more, also)| (bytes + more, full || also))
    }
}

/// `PF_FORKNOEXEC` of the kernel's include/linux/sched.h: forked, and nothing executed since.
const FORKED_ONLY: u64 = 0x40;

/// The fields of `/proc/PID/stat` that we need (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    state: u8,
    parent: u32,
    executed: bool,
    faults: u64,
    children_faults: u64,
    /// CPU time that it has used, in ticks.
    pub ticks: u64,
    children_ticks: u64,
    threads: u32,
    start: u64,
    space: u64,
    resident: u64,
}

impl Stat {
    fn is_halted(&self) -> bool {
        matches!(self.state, b'T' | b't' | b'Z' | b'X')
    }

    /// Whether it is dead, and only its parent has not asked how.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && self.threads <= 1
    }

    /// The name, field 2, may hold anything, closing parentheses too: the fields begin after the last one.
    pub fn parse(bytes: &[u8]) -> Option<Stat> {
        let end = bytes.iter().rposition(|byte| *byte == b')')?;
        let mut fields = std::str::from_utf8(bytes.get(end + 1..)?).ok()?.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let mut number = |skip: usize| fields.nth(skip)?.parse::<u64>().ok();
        // ppid (4); pgrp to tpgid (5 to 8), flags (9), minflt, cminflt (10, 11); majflt, cmajflt (12, 13), utime, stime, cutime,
        // cstime (14 to 17).
        let parent = u32::try_from(number(0)?).ok()?;
        let executed = number(4)? & FORKED_ONLY == 0;
        let (faults, children_faults) = (number(0)?, number(0)?);
        let ticks = number(2)? + number(0)?;
        let children_ticks = number(0)? + number(0)?;
        // priority and nice (18, 19), num_threads (20); itrealvalue, starttime (22), vsize, rss (24).
        let threads = u32::try_from(number(2)?).ok()?;
        let start = number(1)?;
        let (space, resident) = (number(0)?, number(0)?);
        Some(Stat {
            state,
            parent,
            executed,
            faults,
            children_faults,
            ticks,
            children_ticks,
            threads,
            start,
            space,
            resident,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = b"7 (a) R 1 (x) T 1 7 7 0 -1 4194304 100 0 0 0 11 22 3 4 20 0 5 0 900 1000000 250 1 2\n";
        let expected = Stat {
            state: b'T',
            parent: 1,
            executed: true,
            faults: 100,
            children_faults: 0,
            ticks: 33,
            children_ticks: 7,
            threads: 5,
            start: 900,
            space: 1_000_000,
            resident: 250,
        };
        assert_eq!(Stat::parse(line), Some(expected));
    }

    #[test]
    fn a_cut_line_is_no_reading() {
        assert_eq!(Stat::parse(b"7 (a) R 1 7"), None);
        assert_eq!(Stat::parse(b""), None);
    }
}
