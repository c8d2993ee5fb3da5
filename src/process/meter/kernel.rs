//! Memory that the kernel uses for the sandbox, and that no process has mapped.
//!
//! System V segments, semaphores and messages by the kernel's own lists. Page tables by what each process is said to have. Of
//! sockets and open files only the number is known: as much of what has come on top on the whole host counts as they can hold,
//! and nothing where nothing has.

use super::memory::kibibytes;
use super::{Meter, Reading};
use crate::sys::proc;
use nix::fcntl::AtFlags;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// What the rest of the host may take meanwhile without anybody being looked at.
const UNNOTICED: u64 = 16 << 20;
/// What may come on top before the next look.
const STEP: u64 = 4 << 20;
const SOMETIMES: Duration = Duration::from_secs(1);
/// Page tables take an eighth of a page for each that is mapped: below this the address space of a process is not worth a look.
const SMALL_SPACE: u64 = 512 << 20;
/// What a socket can hold at most: what may be written to it before anybody has read (`net.core.wmem_default`, doubled by the
/// kernel's own account), and what waits in a connection.
const SOCKET: u64 = 512 << 10;
/// What an open file takes, and what waits in it where it is a pipe: two pages, or sixteen where the user has not yet filled
/// `fs.pipe-user-pages-soft` (16384 pages).
const FILE: u64 = 1280 + PIPE;
const PIPE: u64 = 2 * 4096;
const LARGE_PIPE: u64 = 16 * 4096;
const LARGE_PIPES: u64 = 1024;
/// What a semaphore takes, and a message beside its bytes.
const SEMAPHORE: u64 = 64;
const MESSAGE: u64 = 64;

/// What is known of it.
#[derive(Default)]
pub struct Kernel {
    /// The lists of segments, semaphores and messages.
    lists: Vec<File>,
    /// What the kernel used on the host that is not the sandbox's.
    foreign: Option<u64>,
    /// At the last look: what it used, and what of it may be the sandbox's.
    seen: u64,
    bound: u64,
    looked: Option<Instant>,
}

impl Meter {
    /// Counts what these lists show; files in memory only where there can be `files`.
    pub fn count_ipc(&mut self, lists: Vec<OwnedFd>, files: bool) {
        self.kernel.lists = lists.into_iter().map(File::from).collect();
        self.files = files;
    }

    /// Bytes of each System V segment, by its id, which is its inode.
    pub(super) fn segments(&mut self) -> BTreeMap<u64, u64> {
        rows(&self.list_of_ipc(0)).filter_map(|row| Some((*row.get(1)?, *row.get(14)?))).collect()
    }

    /// Bytes of System V semaphores and messages.
    fn semaphores_and_messages(&mut self) -> u64 {
        let semaphores: u64 = rows(&self.list_of_ipc(1)).filter_map(|row| Some(row.get(3)? * SEMAPHORE)).sum();
        let messages: u64 =
            rows(&self.list_of_ipc(2)).filter_map(|row| Some(row.get(3)? + row.get(4)? * MESSAGE)).sum();
        semaphores + messages
    }

    /// A list that cannot be read is empty: the host then shows the memory as somebody else's.
    fn list_of_ipc(&mut self, number: usize) -> String {
        let mut text = String::new();
        if let Some(list) = self.kernel.lists.get_mut(number) {
            let _ = list.rewind().and_then(|()| list.read_to_string(&mut text));
        }
        text
    }

    /// Bytes that the kernel uses for the sandbox, as far as the host shows that it uses more. `host`: all that it uses there.
    pub(super) fn kernel_memory(&mut self, reading: &Reading, host: u64) -> u64 {
        let foreign = self.kernel.foreign.get_or_insert(host);
        *foreign = host.min(*foreign);
        let grown = host - *foreign;
        if grown < UNNOTICED {
            return 0;
        }
        let due = self.kernel.looked.is_none_or(|looked| looked.elapsed() > SOMETIMES);
        if due || host > self.kernel.seen + STEP {
            self.kernel.bound = self.kernel_bound(reading);
            (self.kernel.seen, self.kernel.looked) = (host, Some(Instant::now()));
            if self.kernel.bound < UNNOTICED {
                // It is somebody else's.
                self.kernel.foreign = Some(host);
                return 0;
            }
        }
        grown.min(self.kernel.bound)
    }

    fn kernel_bound(&mut self, reading: &Reading) -> u64 {
        let (mut bound, mut open) = (self.semaphores_and_messages(), 0);
        for process in &reading.processes {
            if process.space > SMALL_SPACE {
                let status = proc::read_process_file(self.proc.as_fd(), process.pid, "status", &mut self.buffer);
                bound += status.map_or(0, |bytes| kibibytes(bytes, "VmPTE:"));
            }
            // How many there are is said since Linux 6.2.
            let directory = format!("{}/fd", process.pid);
            let files = nix::sys::stat::fstatat(&self.proc, directory.as_str(), AtFlags::empty());
            open += files.map_or(0, |status| status.st_size.unsigned_abs());
        }
        bound += open * FILE + open.min(LARGE_PIPES) * (LARGE_PIPE - PIPE);
        // All are in one network namespace.
        let first = reading.processes.first().map(|process| process.pid);
        let sockets = first.and_then(|pid| {
            let text = proc::read_process_file(self.proc.as_fd(), pid, "net/sockstat", &mut self.buffer).ok()?;
            used(&String::from_utf8_lossy(text))
        });
        bound + sockets.unwrap_or(0) * SOCKET
    }

    /// Whether a process has shared memory mapped, of which it may have let go without giving it back. Of a file of ours nobody inside can
    /// make more.
    pub(super) fn shares_memory(&mut self, reading: &Reading, device: libc::dev_t) -> bool {
        reading.processes.iter().filter(|process| !process.leads()).any(|process| {
            let maps = match proc::open_process_entry(self.proc.as_fd(), process.pid, "maps") {
                Ok(maps) => maps,
                Err(errno) => return !matches!(errno, libc::ENOENT | libc::ESRCH),
            };
            let mut text = String::new();
            // Whoever shows nobody its mappings may have any.
            match File::from(maps).read_to_string(&mut text) {
                Ok(_) => text
                    .lines()
                    .filter_map(|line| super::memory::mapping(line.as_bytes()))
                    .any(|(on, inode)| on == device && !self.is_ours(inode)),
                Err(_) => true,
            }
        })
    }
}

/// The numbers of each line but the first.
fn rows(text: &str) -> impl Iterator<Item = Vec<u64>> {
    text.lines().skip(1).map(|line| {
        // Keys and times may be negative, and are not asked for.
        line.split_ascii_whitespace().map(|word| word.parse().unwrap_or(0)).collect()
    })
}

/// How many sockets there are.
fn used(sockstat: &str) -> Option<u64> {
    sockstat.lines().find_map(|line| line.strip_prefix("sockets: used ")?.trim().parse().ok())
}

/// Bytes of the host that the kernel uses for itself, by `/proc/meminfo`: what is neither free nor anybody's pages.
pub fn of_the_host(meminfo: &[u8]) -> u64 {
    let of = |key| kibibytes(meminfo, key);
    let known = ["MemFree:", "Buffers:", "Cached:", "SwapCached:", "AnonPages:", "SReclaimable:"].map(of);
    of("MemTotal:").saturating_sub(known.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_system_v_ipc_are_read_by_columns() {
        let text = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n         0          7   600               8388608     3     3      0  1000  1000  1000  1000 1700000000          0 1700000000               8388608                     0\n";
        let rows: Vec<Vec<u64>> = rows(text).collect();
        assert_eq!((rows.len(), rows[0][1], rows[0][14]), (1, 7, 8 << 20));
        assert_eq!(used("sockets: used 12\nTCP: inuse 0 orphan 0 tw 0 alloc 1 mem 0\n"), Some(12));
    }

    #[test]
    fn what_is_neither_free_nor_anybodys_is_the_kernels() {
        let text = b"MemTotal:  1000 kB\nMemFree:  300 kB\nBuffers:  100 kB\nCached:  200 kB\nAnonPages:  150 kB\nSReclaimable:  50 kB\n";
        assert_eq!(of_the_host(text), 200 << 10);
    }
}
