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
    ///
    /// # Errors
    ///
    /// The error number when a file is there and cannot be read: whoever takes that for "nothing" holds no limit.
    pub fn read(directory: &Path) -> Result<Events, i32> {
        let text = |file: &str| read(&directory.join(file));
        let number = |file: &str| Ok::<u64, i32>(text(file)?.trim().parse().unwrap_or(0));
        let memory = text("memory.events")?;
        Ok(Events {
            oom: keyed(&memory, "oom"),
            oom_kill: keyed(&memory, "oom_kill"),
            memory: number("memory.current")?,
            memory_peak: number("memory.peak")?,
            pids: u32::try_from(number("pids.current")?).unwrap_or(u32::MAX),
            pids_peak: u32::try_from(number("pids.peak")?).unwrap_or(u32::MAX),
            pids_max: keyed(&text("pids.events")?, "max"),
            cpu: Events::read_cpu(directory)?,
        })
    }

    /// CPU time alone.
    ///
    /// # Errors
    ///
    /// As [`Events::read`].
    pub fn read_cpu(directory: &Path) -> Result<Duration, i32> {
        Ok(Duration::from_micros(keyed(&read(&directory.join("cpu.stat"))?, "usage_usec")))
    }
}

/// A file's text; nothing, where the kernel or the cgroup does not have it.
fn read(path: &Path) -> Result<String, i32> {
    match fs::read_to_string(path) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => Ok(String::new()),
        other => other.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO)),
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
        assert_eq!(Events::read(Path::new("/nonexistent")), Ok(Events::default()));
    }

    #[test]
    fn what_is_there_and_cannot_be_read_is_an_error() {
        let directory = std::env::temp_dir().join(format!("belljar-events-{}", std::process::id()));
        fs::create_dir_all(directory.join("memory.events")).expect("make a directory in place of a file");
        assert_eq!(Events::read(&directory), Err(libc::EISDIR));
        fs::remove_dir_all(&directory).expect("remove it");
    }
}
