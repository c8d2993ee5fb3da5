//! What the sandbox uses, read from its own procfs: exactly its processes, whatever their parents or sessions.
//!
//! Two prices. A reading costs one small file for each process and overestimates memory (pages that several
//! processes share count for each). Only when that estimate passes the limit are the kernel's proportional shares
//! asked for, which costs a walk through page tables and is what the limit is held against.

use crate::sys::proc;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

/// Reads a sandbox.
pub struct Meter {
    proc: OwnedFd,
    root: OwnedFd,
    page: u64,
    tick: Duration,
    buffer: Vec<u8>,
    seen: Vec<u32>,
}

/// One reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Processes without pid 1, in the order of their ids.
    pub processes: Vec<Process>,
    /// Their threads together.
    pub threads: u32,
    /// CPU time of all processes that live and of the children they have waited for.
    pub cpu: Duration,
    /// No less than the memory they use, bytes.
    pub memory_estimate: u64,
    /// Bytes in the writable layer.
    pub disk: u64,
    /// Whether the writable layer has neither bytes nor inodes left.
    pub disk_full: bool,
}

/// One process of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id inside.
    pub pid: u32,
    /// Whether it is stopped or traced.
    pub stopped: bool,
}

impl Meter {
    /// Reads through the sandbox's own `/proc` and `/`.
    pub fn new(root: OwnedFd, proc: OwnedFd) -> Meter {
        let value = |name| nix::unistd::sysconf(name).ok().flatten();
        let page = value(nix::unistd::SysconfVar::PAGE_SIZE).unwrap_or(4096);
        let ticks = value(nix::unistd::SysconfVar::CLK_TCK).unwrap_or(100);
        Meter {
            proc,
            root,
            page: page.unsigned_abs(),
            tick: Duration::from_secs(1) / u32::try_from(ticks).unwrap_or(100).max(1),
            buffer: vec![0; 4096],
            seen: Vec::new(),
        }
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
        self.list();
        for index in 0..self.seen.len() {
            let pid = self.seen[index];
            // A process that is gone by now uses nothing.
            let Ok(bytes) = proc::read_process_file(self.proc.as_fd(), pid, "stat", &mut self.buffer) else { continue };
            let Some(stat) = Stat::parse(bytes) else { continue };
            reading.cpu += self.tick * u32::try_from(stat.ticks).unwrap_or(u32::MAX);
            if pid != 1 {
                reading.threads += stat.threads;
                reading.memory_estimate += stat.resident * self.page;
                reading.processes.push(Process { pid, stopped: matches!(stat.state, b'T' | b't') });
            }
        }
        (reading.disk, reading.disk_full) = self.disk();
        reading.memory_estimate += reading.disk;
        reading
    }

    /// Processes that live now.
    fn list(&mut self) {
        self.seen.clear();
        let seen = &mut self.seen;
        // Fails only when the procfs is gone, and then there is nobody left.
        let _ = proc::for_each_process(self.proc.as_fd(), &mut self.buffer, |pid| seen.push(pid));
    }

    /// Bytes used in the writable layer, and whether it is full.
    pub fn disk(&self) -> (u64, bool) {
        let Ok(status) = nix::sys::statvfs::fstatvfs(&self.root) else { return (0, false) };
        #[allow(clippy::unnecessary_cast)] // the types differ between C libraries
        let used = (status.blocks() - status.blocks_free()) as u64 * status.fragment_size() as u64;
        (used, status.blocks_free() == 0 || status.files_free() == 0)
    }

    /// Bytes of memory that the sandbox uses: the proportional shares of its processes, and its tmpfs.
    ///
    /// Shared memory that is mapped may be the tmpfs's or not, which the kernel does not tell: the larger of both
    /// counts.
    pub fn memory(&mut self, reading: &Reading) -> u64 {
        let mut anonymous = 0;
        let mut shared = 0;
        for process in &reading.processes {
            let file = proc::read_process_file(self.proc.as_fd(), process.pid, "smaps_rollup", &mut self.buffer);
            let (private, mapped) = match file {
                Ok(bytes) => {
                    let of = |key: &str| kibibytes(bytes, key);
                    (of("Pss_Anon:") + of("SwapPss:"), of("Pss_Shmem:"))
                }
                // A process that made itself unreadable counts in full.
                Err(libc::EACCES | libc::EPERM) => {
                    let file = proc::read_process_file(self.proc.as_fd(), process.pid, "status", &mut self.buffer);
                    let of = |key: &str| file.as_ref().map_or(0, |bytes| kibibytes(bytes, key));
                    (of("RssAnon:") + of("VmSwap:"), of("RssShmem:"))
                }
                Err(_) => (0, 0),
            };
            anonymous += private;
            shared += mapped;
        }
        anonymous + shared.max(reading.disk)
    }
}

/// The number of a line `KEY:   N kB`, in bytes.
fn kibibytes(bytes: &[u8], key: &str) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.split_ascii_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kibibytes| kibibytes << 10)
}

/// The fields of `/proc/PID/stat` that we need (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: u8,
    ticks: u64,
    threads: u32,
    resident: u64,
}

impl Stat {
    /// The name, field 2, may hold anything, closing parentheses too: the fields begin after the last one.
    fn parse(bytes: &[u8]) -> Option<Stat> {
        let end = bytes.iter().rposition(|byte| *byte == b')')?;
        let mut fields = std::str::from_utf8(bytes.get(end + 1..)?).ok()?.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        // Fields 4 to 13, then utime, stime, cutime, cstime (14 to 17).
        let mut number = |skip: usize| fields.nth(skip)?.parse::<u64>().ok();
        let ticks = number(10)? + number(0)? + number(0)? + number(0)?;
        // priority and nice (18, 19), num_threads (20); itrealvalue, starttime, vsize (21 to 23), rss (24).
        let threads = u32::try_from(number(2)?).ok()?;
        let resident = number(3)?;
        Some(Stat { state, ticks, threads, resident })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = b"7 (a) R 1 (x) T 1 7 7 0 -1 4194304 100 0 0 0 11 22 3 4 20 0 5 0 100 1000000 250 1 2\n";
        let expected = Stat { state: b'T', ticks: 40, threads: 5, resident: 250 };
        assert_eq!(Stat::parse(line), Some(expected));
    }

    #[test]
    fn a_cut_line_is_no_reading() {
        assert_eq!(Stat::parse(b"7 (a) R 1 7"), None);
        assert_eq!(Stat::parse(b""), None);
    }

    #[test]
    fn a_rollup_line_is_read_in_bytes() {
        let rollup = b"Rss:   12 kB\nPss_Anon:            1024 kB\nPss_Shmem:  0 kB\n";
        assert_eq!(kibibytes(rollup, "Pss_Anon:"), 1 << 20);
        assert_eq!(kibibytes(rollup, "SwapPss:"), 0);
    }
}
