//! Files of the writable layer that are open and have no name: no walk through a tree finds them.
//!
//! Looked at while everybody inside stands still. What is mapped and closed, waits in a socket, or is open in a process that
//! shows nobody its files, has no size here; then it is only said that there may be some.

use super::Meter;
use super::files::mount;
use crate::sys::{Answer, proc};
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, fstatat};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::Duration;

/// How long all those together are waited for who are about to execute a program, and between two looks.
const PATIENCE: Duration = Duration::from_millis(100);
const MOMENT: Duration = Duration::from_millis(1);

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nameless {
    /// Bytes on the disk.
    pub bytes: u64,
    /// How many files.
    pub files: u64,
    /// Whether there may be more.
    pub may_hide: bool,
}

impl Meter {
    /// Looks through the open files and the mappings of every process.
    pub fn nameless(&mut self) -> Nameless {
        let told = std::fs::read(format!("/proc/self/fdinfo/{}", self.root.as_raw_fd())).ok();
        let own = told.and_then(|told| mount(&told));
        let mut found = BTreeMap::new();
        let mut may_hide = own.is_none();
        let mut waited = Duration::ZERO;
        // Who leads a command has its parent outside, shows nobody its files, and writes none.
        for process in self.processes().into_iter().filter(|process| !process.leads()) {
            let mut answer = self.nameless_of(process.pid, own, &mut found);
            // Whoever is about to execute a program shows nothing, and stops only when it has.
            while matches!(answer, Err(libc::EACCES | libc::EPERM)) && waited < PATIENCE {
                let halted = self.is_halted(process.pid);
                if !halted {
                    std::thread::sleep(MOMENT);
                    waited += MOMENT;
                }
                answer = self.nameless_of(process.pid, own, &mut found);
                if halted {
                    break;
                }
            }
            match answer {
                Ok(hides) => may_hide |= hides,
                Err(libc::ENOENT | libc::ESRCH) => {}
                Err(_) => may_hide = true,
            }
        }
        Nameless { bytes: found.values().sum(), files: found.len() as u64, may_hide }
    }

    fn nameless_of(&mut self, pid: u32, own: Option<u64>, found: &mut BTreeMap<u64, u64>) -> Answer<bool> {
        let directory = proc::open_process_entry(self.proc.as_fd(), pid, "fd")?;
        let mut numbers = Vec::new();
        proc::for_each_number(directory.as_fd(), &mut self.buffer, |number| numbers.push(number))?;
        let mut may_hide = false;
        for number in numbers {
            let Ok(status) = fstatat(&directory, number.to_string().as_str(), AtFlags::empty()) else { continue };
            let kind = status.st_mode & libc::S_IFMT;
            if !(kind == libc::S_IFSOCK || kind == libc::S_IFREG && status.st_nlink == 0) {
                continue;
            }
            let told = proc::read_process_file(self.proc.as_fd(), pid, &format!("fdinfo/{number}"), &mut self.buffer)?;
            if kind == libc::S_IFSOCK {
                may_hide |= in_flight(told);
            } else if mount(told) == own {
                found.insert(status.st_ino, bytes(&status));
            }
        }
        Ok(may_hide || self.maps_nameless(pid)?)
    }

    /// Whether a process has something mapped that lost its name, and is no file in memory.
    fn maps_nameless(&mut self, pid: u32) -> Answer<bool> {
        let maps = proc::open_process_entry(self.proc.as_fd(), pid, "maps")?;
        let in_memory = self.places.iter().filter_map(|place: &OwnedFd| nix::sys::stat::fstat(place).ok());
        let mut devices: Vec<_> = in_memory.map(|status| status.st_dev).collect();
        devices.extend(self.place().map(|place| place.device));
        let lines = BufReader::new(std::fs::File::from(maps)).split(b'\n').map_while(Result::ok);
        let mut nameless = lines.filter(|line| line.ends_with(b" (deleted)"));
        Ok(nameless.any(|line| super::memory::mapping(&line).is_none_or(|(device, _)| !devices.contains(&device))))
    }
}

fn bytes(status: &FileStat) -> u64 {
    status.st_blocks.unsigned_abs() * 512
}

/// Whether descriptors wait in a socket (since Linux 5.15; before, none are seen).
fn in_flight(told: &[u8]) -> bool {
    let text = String::from_utf8_lossy(told);
    let count = text.lines().find_map(|line| line.strip_prefix("scm_fds:")?.trim().parse::<u64>().ok());
    count.is_some_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::in_flight;

    #[test]
    fn descriptors_in_flight_are_read_from_what_the_kernel_tells_of_a_socket() {
        assert!(in_flight(b"pos:\t0\nflags:\t02\nmnt_id:\t10\nino:\t9\nscm_fds: 3\n"));
        assert!(!in_flight(b"mnt_id:\t10\nscm_fds: 0\n") && !in_flight(b"mnt_id:\t10\n"));
    }
}
