//! A sandbox's cgroup v2: made before the clone, entered by it, killed and removed at the end.
//!
//! ```text
//! settle          get the place ready: ask systemd for a scope, move who stands in the way, switch controllers on
//! plan            which limits a cgroup holds, and with which numbers
//! Cgroup::create  the directory, its limits, a lock that says that somebody owns it
//! Cgroup::events  what the kernel counted
//! Cgroup::remove  everybody in it is killed; the directory goes
//! ```
//!
//! The sandbox sees no cgroup file system that it could write to, and its cgroup namespace begins at this cgroup: the
//! limits stand where nobody inside can reach them. A supervisor that is killed leaves an empty cgroup behind; the next
//! one that works in the same place removes it, since nobody holds its lock any more.

mod events;
pub mod scope;
mod settle;

pub use events::Events;
pub use settle::{approach, settle};

use crate::error::{Error, Failure};
use crate::host::Host;
use crate::host::cgroup::Cgroup as Found;
use crate::spec::Spec;
use cgroups_rs::fs::blkio::BlkIoController;
use cgroups_rs::fs::cpu::CpuController;
use cgroups_rs::fs::error::Error as CgroupsError;
use cgroups_rs::fs::memory::MemController;
use cgroups_rs::fs::pid::PidController;
use cgroups_rs::fs::{MaxValue, error};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::error::Error as _;
use std::fmt;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Microseconds in which `cpu.max` is counted; the kernel's default.
const PERIOD: u64 = 100_000;
/// The name of every sandbox's cgroup begins like this.
const PREFIX: &str = "belljar.sandbox-";
/// How often a cgroup is made anew that somebody has taken for a leftover.
const ATTEMPTS: usize = 16;
/// How long the kernel may take until the last process of a cgroup has left it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the sandbox's cgroup will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The cgroup to make it in.
    pub parent: PathBuf,
    /// `memory.max`, bytes; nothing is swapped.
    pub memory: Option<u64>,
    /// `pids.max`, with pid 1.
    pub pids: Option<u32>,
    /// `cpu.max`, thousandths of a CPU.
    pub millicpus: Option<u32>,
    /// `io.max`: bytes a second, of these disks.
    pub io: Option<(u64, Vec<(u64, u64)>)>,
}

/// The limits that `host` can hold by a cgroup.
pub fn plan(spec: &Spec, host: &Host) -> Option<Wish> {
    let parent = match &host.cgroup {
        Found::In(place) => place.directory.clone(),
        // Known when it is there.
        Found::Scope => PathBuf::from("the scope"),
        Found::Without { .. } => return None,
    };
    let has = host.cgroup.controllers();
    Some(Wish {
        parent,
        memory: has.memory.then_some(spec.memory),
        pids: has.pids.then_some(spec.pids.saturating_add(1)),
        millicpus: has.cpu.then_some(spec.millicpus),
        io: spec.disk_bandwidth.filter(|_| has.io).map(|rate| (rate, host.disks.clone())),
    })
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cgroup in {}:", self.parent.display())?;
        if let Some(bytes) = self.memory {
            write!(f, " memory.max={bytes}")?;
        }
        if let Some(pids) = self.pids {
            write!(f, " pids.max={pids}")?;
        }
        if let Some(millicpus) = self.millicpus {
            write!(f, " cpu.max={}", quota(millicpus))?;
        }
        if let Some((rate, disks)) = &self.io {
            for (major, minor) in disks {
                write!(f, " io.max={major}:{minor}={rate}")?;
            }
        }
        Ok(())
    }
}

/// Microseconds in each period.
fn quota(millicpus: u32) -> u64 {
    // The kernel takes no less than a millisecond.
    (u64::from(millicpus) * PERIOD / 1000).max(1000)
}

/// A sandbox's cgroup. It goes when this is dropped.
#[derive(Debug)]
pub struct Cgroup {
    directory: PathBuf,
    /// Held as long as the sandbox lives; whoever can have the lock may remove the cgroup.
    lock: Option<Flock<File>>,
}

impl Cgroup {
    /// Makes a cgroup with these limits, after removing what others have left in the same place.
    ///
    /// # Errors
    ///
    /// `Setup`, with the file that could not be written; nothing is left behind then.
    pub fn create(wish: &Wish) -> Result<Cgroup, Error> {
        sweep(&wish.parent);
        for _ in 0..ATTEMPTS {
            if let Some(cgroup) = Cgroup::claim(&wish.parent)? {
                cgroup.limit(wish)?;
                return Ok(cgroup);
            }
        }
        Err(failure("keep a new cgroup, which others remove again and again", None))
    }

    /// The sandbox's cgroup that somebody else has made, who holds its lock.
    pub fn adopt(directory: PathBuf) -> Cgroup {
        Cgroup { directory, lock: None }
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What a process is put into it by, that of whoever writes there: the right to is the opener's.
    ///
    /// # Errors
    ///
    /// `Setup`, where it cannot be opened.
    pub fn door(&self) -> Result<File, Error> {
        let opened = File::options().write(true).open(self.directory.join("cgroup.procs"));
        opened.map_err(|error| failure("open cgroup.procs of the sandbox's cgroup", error.raw_os_error()))
    }

    /// Makes the directory and locks it. Until it is locked somebody who sweeps takes it for a leftover: `None`.
    fn claim(parent: &Path) -> Result<Option<Cgroup>, Error> {
        let name = format!("{PREFIX}{:016x}", RandomState::new().hash_one(std::process::id()));
        let directory = parent.join(name);
        let failed = |attempt: &str, errno: Option<i32>| {
            failure(&format!("{attempt} the cgroup `{}`", directory.display()), errno)
        };
        fs::create_dir(&directory).map_err(|error| failed("make", error.raw_os_error()))?;
        let mut cgroup = Cgroup { lock: None, directory: directory.clone() };
        let file = match File::open(&directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", error.raw_os_error())),
            Ok(file) => file,
        };
        let locked = Flock::lock(file, FlockArg::LockExclusive);
        cgroup.lock = Some(locked.map_err(|(_, errno)| failed("lock", Some(errno as i32)))?);
        Ok(directory.exists().then_some(cgroup))
    }

    /// The limits of a sandbox that runs, as far as this cgroup holds them.
    pub fn limit_anew(&self, wish: &Wish, memory: u64, millicpus: u32, pids: u32) -> Result<(), Error> {
        self.limit(&Wish {
            memory: wish.memory.map(|_| memory),
            millicpus: wish.millicpus.map(|_| millicpus),
            pids: wish.pids.map(|_| pids.saturating_add(1)),
            ..wish.clone()
        })
    }

    fn limit(&self, wish: &Wish) -> Result<(), Error> {
        let wrote = |file: &'static str, written: Result<(), CgroupsError>| {
            written.map_err(|error| failure(&format!("set {file} of the sandbox's cgroup"), errno(&error)))
        };
        let own = || (self.directory.clone(), PathBuf::new());
        if let Some(bytes) = wish.memory {
            let (point, root) = own();
            let memory = MemController::new(point, root, true);
            wrote("memory.max", memory.set_limit(i64::try_from(bytes).unwrap_or(-1)))?;
            // Kernels without swap have no such file, and nothing to limit.
            if self.directory.join("memory.swap.max").exists() {
                wrote("memory.swap.max", memory.set_memswap_limit(0))?;
            }
            // All or none: a sandbox that has lost some of its processes is not what anybody asked for.
            self.write("memory.oom.group", "1")?;
        }
        if let Some(pids) = wish.pids {
            let (point, root) = own();
            let limit = MaxValue::Value(i64::from(pids));
            wrote("pids.max", PidController::new(point, root, true).set_pid_max(limit))?;
        }
        if let Some(millicpus) = wish.millicpus {
            let (point, root) = own();
            let quota = i64::try_from(quota(millicpus)).unwrap_or(-1);
            let cpu = CpuController::new(point, root, true);
            wrote("cpu.max", cpu.set_cfs_quota_and_period(Some(quota), Some(PERIOD)))?;
        }
        for (major, minor) in wish.io.iter().flat_map(|(_, disks)| disks) {
            let rate = wish.io.as_ref().map_or(0, |(rate, _)| *rate);
            let (point, root) = own();
            let io = BlkIoController::new(point, root, true);
            wrote("io.max", io.throttle_read_bps_for_device(*major, *minor, rate))?;
            wrote("io.max", io.throttle_write_bps_for_device(*major, *minor, rate))?;
        }
        Ok(())
    }

    fn write(&self, file: &str, text: &str) -> Result<(), Error> {
        fs::write(self.directory.join(file), text)
            .map_err(|error| failure(&format!("set {file} of the sandbox's cgroup"), error.raw_os_error()))
    }

    /// For `CLONE_INTO_CGROUP`.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.lock.as_ref().map(|lock| lock.as_fd())
    }

    /// What the kernel has counted so far.
    ///
    /// # Errors
    ///
    /// The error number when the counters are there and cannot be read.
    pub fn events(&self) -> Result<Events, i32> {
        Events::read(&self.directory)
    }

    /// CPU time of all that ever ran here.
    ///
    /// # Errors
    ///
    /// As [`Cgroup::events`].
    pub fn cpu(&self) -> Result<Duration, i32> {
        Events::read_cpu(&self.directory)
    }

    /// Kills everybody in it. Linux before 5.14 has no such file; there the death of pid 1 has to do.
    pub fn kill(&self) {
        let _ = fs::write(self.directory.join("cgroup.kill"), "1");
    }

    /// Kills everybody in it and removes it.
    ///
    /// # Errors
    ///
    /// `Setup` when it is still there.
    pub fn remove(mut self) -> Result<(), Error> {
        let removed = remove(&self.directory);
        self.lock = None;
        removed.map_err(|error| {
            failure(&format!("remove the cgroup `{}`", self.directory.display()), error.raw_os_error())
        })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.directory.exists() {
            // Where it cannot be removed now, the next sandbox in the same place does.
            let _ = remove(&self.directory);
        }
    }
}

/// Removes a cgroup and everybody in it. Processes that were killed need a moment to leave.
fn remove(directory: &Path) -> std::io::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        match fs::remove_dir(directory) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < end => {
                let _ = fs::write(directory.join("cgroup.kill"), "1");
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            other => return other,
        }
    }
}

/// Removes the cgroups of supervisors that were killed: nobody holds their locks.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let Ok(file) = File::open(entry.path()) else { continue };
        if let Ok(_lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            // Somebody else may be sweeping too.
            let _ = remove(&entry.path());
        }
    }
}

fn errno(error: &CgroupsError) -> Option<i32> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return io.raw_os_error();
        }
        source = cause.source();
    }
    matches!(error.kind(), error::ErrorKind::InvalidOperation).then_some(libc::EINVAL)
}

fn failure(attempt: &str, errno: Option<i32>) -> Error {
    let errno = errno.unwrap_or(libc::EIO);
    let hint = match Errno::from_raw(errno) {
        Errno::EAGAIN => Some("the parent cgroup holds as many cgroups as it may: see its cgroup.max.descendants"),
        Errno::EACCES | Errno::EPERM | Errno::ENODEV | Errno::ENOENT => {
            Some("the parent cgroup has changed since it was looked at; `--cgroup-parent none` does without")
        }
        _ => None,
    };
    Error::from(Failure { step: None, attempt: attempt.to_owned(), errno, hint: hint.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_a_cpu_is_a_part_of_each_period() {
        assert_eq!([1000, 500, 1500, 200, 1].map(quota), [100_000, 50_000, 150_000, 20_000, 1000]);
    }

    #[test]
    fn a_wish_reads_like_the_files_that_it_writes() {
        let wish = Wish {
            parent: "/sys/fs/cgroup/a".into(),
            memory: Some(1 << 20),
            pids: Some(9),
            millicpus: Some(500),
            io: Some((4096, vec![(8, 0)])),
        };
        let text = "cgroup in /sys/fs/cgroup/a: memory.max=1048576 pids.max=9 cpu.max=50000 io.max=8:0=4096";
        assert_eq!(wish.to_string(), text);
    }
}
