//! Files in memory (memfd_create(2)): how large those are that the sandbox's processes have open.
//!
//! The list of a process's open files belongs to its user. Where that is another than the caller, as with a range of ids, a
//! process of ours looks that joins the sandbox's user namespace for it and nothing else. A process may also hide the list
//! from everybody, by not being dumpable; then it can only be said whether there are such files on it.

use super::{Meter, Reading};
use crate::sys::{Answer, clone, proc};
use nix::fcntl::AtFlags;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

/// The file system that files in memory are on, which no path leads to.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its device.
    pub device: libc::dev_t,
    /// Its mount; none where the kernel does not say.
    mount: Option<u64>,
}

impl Place {
    /// Where `file`, a file in memory, lies.
    pub fn of(file: &OwnedFd) -> Option<Place> {
        let device = nix::sys::stat::fstat(file).ok()?.st_dev;
        let told = std::fs::read(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok();
        Some(Place { device, mount: told.and_then(|told| mount(&told)) })
    }
}

impl Meter {
    /// Bytes of each file, by its inode; and whether there are more that cannot be looked at.
    pub(super) fn files_in_memory(&mut self, reading: &Reading, place: Place) -> (BTreeMap<u64, u64>, bool) {
        let mut files = BTreeMap::new();
        let mut closed = Vec::new();
        for process in reading.processes.iter().filter(|process| !process.leads()) {
            let opened = open_files(self.proc.as_fd(), process.pid, place, &mut self.buffer, |inode, bytes| {
                files.insert(inode, bytes);
            });
            match opened {
                Err(libc::EACCES | libc::EPERM) => closed.push(process.pid),
                other => {
                    self.seen(other);
                }
            }
        }
        if !closed.is_empty() {
            closed = self.look_from_inside(&closed, place, &mut files);
        }
        (files, closed.into_iter().any(|pid| self.may_hide_files(pid, place)))
    }

    /// Looks at the processes `closed` as who is root in there; answers those that are closed all the same.
    fn look_from_inside(&mut self, closed: &[u32], place: Place, files: &mut BTreeMap<u64, u64>) -> Vec<u32> {
        let Some(user_namespace) = &self.user_namespace else { return closed.to_vec() };
        let proc = self.proc.as_fd();
        let told = clone::in_user_namespace(user_namespace.as_fd(), || {
            let mut told = String::new();
            let mut buffer = vec![0; 4096];
            for pid in closed {
                let opened = open_files(proc, *pid, place, &mut buffer, |inode, bytes| {
                    // Writing to a String cannot fail.
                    let _ = writeln!(told, "{inode} {bytes}");
                });
                if matches!(opened, Err(libc::EACCES | libc::EPERM)) {
                    let _ = writeln!(told, "{pid}");
                }
            }
            told.into_bytes()
        });
        if let Err(errno) = told {
            self.blind = Some(errno);
        }
        let mut left = Vec::new();
        for line in String::from_utf8_lossy(&told.unwrap_or_default()).lines() {
            let mut numbers = line.split(' ').map(str::parse::<u64>);
            match (numbers.next(), numbers.next()) {
                (Some(Ok(inode)), Some(Ok(bytes))) => {
                    files.insert(inode, bytes);
                }
                (Some(Ok(pid)), None) => left.push(pid as u32),
                _ => {}
            }
        }
        left
    }

    /// Whether a process whose list is closed has files in memory on it. Where nothing tells, it may.
    fn may_hide_files(&mut self, pid: u32, place: Place) -> bool {
        let Some(mount_of_files) = place.mount else { return true };
        let directory = match proc::open_process_entry(self.proc.as_fd(), pid, "fdinfo") {
            Ok(directory) => directory,
            Err(libc::ENOENT | libc::ESRCH) => return false,
            Err(_) => return true,
        };
        let mut numbers = Vec::new();
        if proc::for_each_number(directory.as_fd(), &mut self.buffer, |number| numbers.push(number)).is_err() {
            return true;
        }
        numbers.into_iter().any(|number| {
            let told = proc::read_process_file(self.proc.as_fd(), pid, &format!("fdinfo/{number}"), &mut self.buffer);
            match told {
                Ok(told) => mount(told).is_none_or(|mount| mount == mount_of_files),
                Err(errno) => !matches!(errno, libc::ENOENT | libc::ESRCH),
            }
        })
    }
}

/// Tells of each file on `place` that a process has open: its inode, and its bytes.
fn open_files(
    proc: BorrowedFd<'_>,
    pid: u32,
    place: Place,
    buffer: &mut [u8],
    mut tell: impl FnMut(u64, u64),
) -> Answer<()> {
    let directory = proc::open_process_entry(proc, pid, "fd")?;
    let mut numbers = Vec::new();
    let _ = proc::for_each_number(directory.as_fd(), buffer, |number| numbers.push(number));
    for number in numbers {
        let name = number.to_string();
        let Ok(status) = nix::sys::stat::fstatat(&directory, name.as_str(), AtFlags::empty()) else { continue };
        if status.st_dev == place.device {
            tell(status.st_ino, status.st_blocks.unsigned_abs() * 512);
        }
    }
    Ok(())
}

/// The mount of an open file (proc_pid_fdinfo(5)).
pub fn mount(told: &[u8]) -> Option<u64> {
    String::from_utf8_lossy(told).lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_of_an_open_file_is_read() {
        assert_eq!(mount(b"pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t9\n"), Some(17));
        assert_eq!((mount(b""), mount(b"mnt_id:\tx\n")), (None, None));
    }

    #[test]
    fn all_files_in_memory_lie_in_the_same_place() {
        let place = || Place::of(&crate::sys::fd::memory_file(c"x").expect("a file")).expect("a place");
        let (one, other) = (place(), place());
        assert_eq!((one.device, one.mount), (other.device, other.mount));
    }
}
