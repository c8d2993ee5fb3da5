//! What the kernel counted in a cgroup: the reader behind statuses and usage.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// The counters of one cgroup. A file that this kernel does not have counts nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Times that an allocation failed at this cgroup's own `memory.max` (`memory.events`: `oom`).
    pub oom: u64,
    /// Processes killed for want of memory, here or on the whole host (`oom_kill`).
    pub oom_kill: u64,
    /// Bytes in use now (`memory.current`).
    pub memory: u64,
    /// The most bytes ever in use (`memory.peak`, Linux 5.19).
    pub memory_peak: u64,
    /// Processes and threads now, with pid 1 (`pids.current`).
    pub pids: u32,
    /// The most ever (`pids.peak`, Linux 6.13).
    pub pids_peak: u32,
    /// Times that fork failed at `pids.max` (`pids.events`: `max`).
    pub pids_max: u64,
    /// CPU time of all that ever ran here (`cpu.stat`: `usage_usec`).
    pub cpu: Duration,
}

impl Events {
    /// Reads the counters of the cgroup in `directory`.
    pub fn read(directory: &Path) -> Events {
        let text = |file: &str| fs::read_to_string(directory.join(file)).unwrap_or_default();
        let number = |file: &str| text(file).trim().parse().unwrap_or(0);
        let memory = text("memory.events");
        Events {
            oom: keyed(&memory, "oom"),
            oom_kill: keyed(&memory, "oom_kill"),
            memory: number("memory.current"),
            memory_peak: number("memory.peak"),
            pids: u32::try_from(number("pids.current")).unwrap_or(u32::MAX),
            pids_peak: u32::try_from(number("pids.peak")).unwrap_or(u32::MAX),
            pids_max: keyed(&text("pids.events"), "max"),
            cpu: Duration::from_micros(keyed(&text("cpu.stat"), "usage_usec")),
        }
    }

    /// CPU time alone.
    pub fn read_cpu(directory: &Path) -> Duration {
        let text = fs::read_to_string(directory.join("cpu.stat")).unwrap_or_default();
        Duration::from_micros(keyed(&text, "usage_usec"))
    }
}

/// The value of a line `KEY VALUE`.
fn keyed(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_whole_words() {
        let text = "low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 1\n";
        assert_eq!([keyed(text, "oom"), keyed(text, "oom_kill"), keyed(text, "none")], [2, 3, 0]);
    }

    #[test]
    fn a_cgroup_that_is_gone_counts_nothing() {
        assert_eq!(Events::read(Path::new("/nonexistent")), Events::default());
    }
}
