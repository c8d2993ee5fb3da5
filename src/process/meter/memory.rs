//! Memory of a sandbox without cgroups: what is charged to whom, found out from outside.
//!
//! Counts private memory by the kernel's proportional shares, files of the writable layer by its tmpfs, files in
//! memory (memfd_create(2)) by their own size wherever a process has them open, and other shared memory by the
//! proportional shares of those who have it mapped; and System V segments by the kernel's list. What a mapping has let go of and
//! not given back counts by what has come on top on the host, as far as somebody inside can have touched it. What the kernel
//! uses for the sandbox is added ([`super::kernel`]). Not seen: files in memory whose descriptor waits in a socket.

use super::files::Place;
use super::{Meter, Reading};
use crate::sys::{fd, proc};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// Mapped shared memory below this is not worth finding out whose it is.
const SMALL: u64 = 1 << 20;
/// An exact reading may cost one part in so many of the time that passes, as long as nothing can have gone wrong.
const THRIFT: u32 = 16;
/// How long the walks through page tables of one reading may take.
const BUDGET: Duration = Duration::from_millis(250);
/// How often to look for what may have hidden behind somebody else's giving memory back.
const SOMETIMES: Duration = Duration::from_secs(1);

/// Memory in use, as far as it was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Bytes, of which some may count twice.
    pub bytes: u64,
    /// Bytes that it cannot exceed.
    pub at_most: u64,
    /// Whether nothing counts twice.
    pub exact: bool,
}

/// What is known from the last exact reading.
#[derive(Default)]
pub struct Memory {
    /// Memory of the whole host at the last reading.
    host: u64,
    /// Shared memory of the host that is not the sandbox's, and that is.
    foreign: u64,
    own: u64,
    /// What the sandbox used.
    exact: u64,
    /// By how much that can have grown since.
    growth: u64,
    /// What anybody inside can have touched since, and shared memory that nobody has mapped any more.
    touched: u64,
    left: u64,
    /// When it was read, and how long that took.
    taken: Option<(Instant, Duration)>,
    /// Each process's share of private and of mapped shared memory.
    shares: BTreeMap<u32, (u64, u64)>,
    /// Whose share is another by now.
    changed: BTreeSet<u32>,
    /// When all of them were read last; not since a process came.
    complete: Option<Instant>,
    /// Where files in memory are.
    place: Option<Place>,
    /// Those that belong to the supervisor, by their inodes.
    ours: BTreeSet<u64>,
    /// Private memory, and all of it, that a process had from its beginning and shares with others outside.
    lent: (u64, u64),
}

impl Memory {
    /// The host had so much private and shared memory.
    pub fn note_host(&mut self, (private, shared): (u64, u64)) -> u64 {
        self.host = private + shared;
        shared
    }

    /// Of `host` bytes of shared memory `own` are the sandbox's.
    pub fn explain(&mut self, host: u64, own: u64) {
        self.foreign = host.saturating_sub(own);
        self.own = own;
    }
}

impl Meter {
    /// What the processes inside have by now they share with others outside, who have it in any case: it does not count. A page of it that
    /// is written to is one that counts too little: there cannot be more of those than were lent.
    pub fn lend(&mut self) {
        let reading = self.read();
        let private = reading.processes.iter().map(|process| self.full_shares(process.pid).0).sum();
        self.memory.lent = (private, reading.resident);
    }

    /// Of a file in memory that the supervisor has and that nobody inside can change: it counts for nobody inside, and what comes on top
    /// on the host is not laid to those who have it mapped. Without that, whoever ran a tool of ours beside a host that fills its shared
    /// memory was taken for the one who does that.
    pub fn disregard(&mut self, file: &OwnedFd) {
        if fd::is_sealed(file)
            && let Ok(status) = nix::sys::stat::fstat(file)
        {
            self.memory.ours.insert(status.st_ino);
        }
    }

    /// Bytes that were lent.
    pub fn lent(&self) -> u64 {
        self.memory.lent.1
    }

    /// Bytes by which the memory of the whole host has grown since the last reading: one file, however many processes
    /// there are. Who reads each of them all the time has no time left when they run all the time.
    pub fn host_growth(&mut self) -> u64 {
        let ((private, shared), _) = self.host();
        (private + shared).saturating_sub(self.memory.host)
    }

    /// Bytes of private and of shared memory of the whole host, and of the kernel's own, from `/proc/meminfo`; 0 where that cannot
    /// be read.
    pub fn host(&mut self) -> ((u64, u64), u64) {
        use std::io::Read as _;
        let read = std::fs::File::open("/proc/meminfo").and_then(|mut file| file.read(&mut self.buffer));
        let read = self.seen(read.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO)));
        read.map_or(((0, 0), 0), |length| {
            let of = |key| kibibytes(&self.buffer[..length], key);
            ((of("AnonPages:"), of("Shmem:")), super::kernel::of_the_host(&self.buffer[..length]))
        })
    }

    /// Memory that the sandbox uses; `None` where it takes an exact reading to hold it against `limit`.
    pub fn memory(&mut self, reading: &Reading, limit: u64) -> Option<Use> {
        self.memory.growth = self.memory.growth.saturating_add(reading.growth);
        self.memory.touched = self.memory.touched.saturating_add(reading.growth).saturating_add(reading.unseen);
        self.memory.changed.extend(&reading.changed);
        if reading.arrived {
            self.memory.complete = None;
        }
        // No less than it uses, unless somebody else on the host has given shared memory back.
        let shared = reading.host_shared.saturating_sub(self.memory.foreign);
        let resident = reading.resident.saturating_sub(self.memory.lent.1);
        let estimate = resident + reading.disk.max(shared) + reading.kernel;
        let since = self.memory.taken.map(|(when, _)| when.elapsed());
        let cost = self.memory.taken.map_or(Duration::ZERO, |(_, cost)| cost);
        let hidden = resident + reading.host_shared > limit;
        let rested = |pause: Duration| since.is_none_or(|since| since >= pause.max(cost * THRIFT));
        if estimate <= limit && !(hidden && rested(SOMETIMES)) {
            let bytes = resident + reading.disk + reading.kernel;
            return Some(Use { bytes, at_most: estimate, exact: false });
        }
        let shared_growth = shared.saturating_sub(self.memory.own);
        let bound = self.memory.exact.saturating_add(self.memory.growth).saturating_add(shared_growth) + reading.kernel;
        if self.memory.taken.is_some() && bound <= limit && !rested(Duration::ZERO) {
            return Some(Use { bytes: bound, at_most: bound, exact: false });
        }
        None
    }

    /// Memory that the sandbox uses, whatever it costs to find out.
    pub fn exact_memory(&mut self, reading: &Reading) -> Use {
        let begun = Instant::now();
        self.read_shares(reading);
        let private: u64 = self.memory.shares.values().map(|(private, _)| private).sum();
        let private = private.saturating_sub(self.memory.lent.0);
        let mapped = self.memory.shares.values().map(|(_, mapped)| mapped).sum();
        let sharers: Vec<u32> =
            self.memory.shares.iter().filter(|(_, (_, mapped))| *mapped > 0).map(|(pid, _)| *pid).collect();
        let (own, exact) = self.shared(reading, &sharers, mapped);
        self.memory.explain(reading.host_shared, own);
        self.memory.exact = private + own;
        (self.memory.growth, self.memory.touched) = (0, 0);
        self.memory.taken = Some((Instant::now(), begun.elapsed()));
        let bytes = self.memory.exact + reading.kernel;
        Use { bytes, at_most: bytes, exact }
    }

    /// Reads the shares of those in which something has changed, which is quick when many wait while few fill memory.
    /// A share of somebody else can only have grown by that: two stop sharing a page. Where a process came, pages are
    /// shared by more, and all are read.
    fn read_shares(&mut self, reading: &Reading) {
        let begun = Instant::now();
        let mut before = std::mem::take(&mut self.memory.shares);
        let changed = std::mem::take(&mut self.memory.changed);
        if self.memory.complete.is_none_or(|complete| complete.elapsed() >= SOMETIMES) {
            before.clear();
            self.memory.complete = Some(Instant::now());
        }
        for process in &reading.processes {
            let known = before.get(&process.pid).filter(|_| !changed.contains(&process.pid)).copied();
            let shares = match known {
                Some(shares) => shares,
                None if begun.elapsed() < BUDGET => self.shares(process.pid),
                // Whoever makes it a long walk counts in full.
                None => self.full_shares(process.pid),
            };
            self.memory.shares.insert(process.pid, shares);
        }
    }

    /// A process's share of private memory, and of shared memory that it has mapped.
    fn shares(&mut self, pid: u32) -> (u64, u64) {
        match proc::read_process_file(self.proc.as_fd(), pid, "smaps_rollup", &mut self.buffer) {
            Ok(bytes) => {
                let of = |key: &str| kibibytes(bytes, key);
                (of("Pss_Anon:") + of("SwapPss:"), of("Pss_Shmem:"))
            }
            // A process that made itself unreadable counts in full.
            Err(libc::EACCES | libc::EPERM) => self.full_shares(pid),
            Err(errno) => {
                self.seen::<()>(Err(errno));
                (0, 0)
            }
        }
    }

    /// All that a process has, whoever shares it: the kernel has counted it already.
    fn full_shares(&mut self, pid: u32) -> (u64, u64) {
        let file = proc::read_process_file(self.proc.as_fd(), pid, "status", &mut self.buffer);
        let of = |key: &str| file.as_ref().map_or(0, |bytes| kibibytes(bytes, key));
        (of("RssAnon:") + of("VmSwap:"), of("RssShmem:"))
    }

    /// Bytes of the sandbox's shared memory: the writable layer, files in memory that are open, and what else is mapped
    /// outside of both; and whether nothing of it is guessed.
    fn shared(&mut self, reading: &Reading, sharers: &[u32], mapped: u64) -> (u64, bool) {
        let Some(place) = self.place() else { return (reading.disk.max(mapped), true) };
        // Under most profiles nobody inside can make any.
        let (mut files, hidden) =
            if self.files { self.files_in_memory(reading, place) } else { (BTreeMap::new(), false) };
        files.extend(self.segments());
        let mut own = reading.disk + files.values().sum::<u64>();
        if mapped >= SMALL {
            for pid in sharers {
                own += self.mapped_elsewhere(*pid, place.device, &files);
            }
        }
        let unexplained = reading.host_shared.saturating_sub(self.memory.foreign).saturating_sub(own);
        if unexplained >= SMALL && !hidden && self.shares_memory(reading, place.device) {
            self.memory.left = self.memory.left.saturating_add(self.memory.touched).min(unexplained);
            own += self.memory.left;
        } else {
            self.memory.left = 0;
        }
        if hidden {
            // Whoever hides its files is taken to have all that has come on top on the host.
            own = own.max(reading.host_shared.saturating_sub(self.memory.foreign));
        }
        (own, !hidden)
    }

    /// Whether a file in memory is the supervisor's.
    pub(super) fn is_ours(&self, inode: u64) -> bool {
        self.memory.ours.contains(&inode)
    }

    /// The kernel's own tmpfs: memfd_create(2), shared anonymous memory, SysV.
    pub(super) fn place(&mut self) -> Option<Place> {
        if self.memory.place.is_none() {
            let file = self.seen(fd::memory_file(c"belljar-meter"))?;
            self.memory.place = Place::of(&file);
        }
        self.memory.place
    }

    /// A process's shares of what it has mapped of `device`, but for those files that are counted already.
    fn mapped_elsewhere(&mut self, pid: u32, device: libc::dev_t, files: &BTreeMap<u64, u64>) -> u64 {
        let opened = proc::open_process_entry(self.proc.as_fd(), pid, "smaps");
        let Some(file) = self.seen(opened) else { return 0 };
        let mut counts = false;
        let mut sum = 0;
        for line in BufReader::new(std::fs::File::from(file)).split(b'\n').map_while(Result::ok) {
            if let Some((found, inode)) = mapping(&line) {
                counts = found == device && !files.contains_key(&inode) && !self.is_ours(inode);
            } else if counts && line.starts_with(b"Pss:") {
                sum += kibibytes(&line, "Pss:");
            }
        }
        sum
    }
}

/// Device and inode of a mapping's first line, `ADDRESS PERMISSIONS OFFSET MAJOR:MINOR INODE PATH`.
pub fn mapping(line: &[u8]) -> Option<(libc::dev_t, u64)> {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_ascii_whitespace();
    // Only such a line has an address range where the others have a word with a colon at its end.
    words.next().filter(|word| word.contains('-') && !word.ends_with(':'))?;
    let (major, minor) = words.nth(2)?.split_once(':')?;
    let number = |digits| u32::from_str_radix(digits, 16).ok();
    Some((libc::makedev(number(major)?, number(minor)?), words.next()?.parse().ok()?))
}

/// The number of a line `KEY:   N kB`, in bytes.
pub fn kibibytes(bytes: &[u8], key: &str) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.split_ascii_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kibibytes| kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollup_line_is_read_in_bytes() {
        let rollup = b"Rss:   12 kB\nPss_Anon:            1024 kB\nPss_Shmem:  0 kB\n";
        assert_eq!(kibibytes(rollup, "Pss_Anon:"), 1 << 20);
        assert_eq!(kibibytes(rollup, "SwapPss:"), 0);
    }

    #[test]
    fn the_first_line_of_a_mapping_names_its_device_and_inode() {
        let line = b"7f1c2e600000-7f1c2ea00000 rw-s 00000000 00:01 1031                       /dev/zero (deleted)";
        assert_eq!(mapping(line), Some((libc::makedev(0, 1), 1031)));
        for other in
            [&b"Pss:                 100 kB"[..], b"VmFlags: rd wr sh mr mw me ms sd", b"THPeligible:    0", b""]
        {
            assert_eq!(mapping(other), None);
        }
    }
}
