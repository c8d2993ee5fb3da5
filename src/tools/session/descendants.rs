//! All descendants of a keeper's jobs, whatever sessions(7) they have made: the keeper is their reaper (prctl(2),
//! `PR_SET_CHILD_SUBREAPER`).

use crate::own::Own;
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, getpid};
use std::collections::BTreeMap;
use std::fs;

/// Ticks of a second in proc_pid_stat(5), for whoever asks on x86-64 and aarch64.
const TICKS: u64 = 100;

/// What is known of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Process {
    parent: i32,
    started: u64,
}

/// Everybody who can be seen.
fn processes() -> BTreeMap<i32, Process> {
    let Ok(listed) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let numbers = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter_map(|pid| Some((pid, process(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?))).collect()
}

/// proc_pid_stat(5), fields 4 and 22; field 2 may hold anything.
fn process(stat: &str) -> Option<Process> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some(Process { parent: fields.nth(1)?.parse().ok()?, started: fields.nth(17)?.parse().ok()? })
}

/// The time in which processes are dated.
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap_or(TimeSpec::new(0, 0));
    now.tv_sec() as u64 * TICKS + now.tv_nsec() as u64 * TICKS / 1_000_000_000
}

/// Those that descend from `top`, without it and without what descends from those that began before `since`.
fn below(top: i32, since: u64) -> Vec<i32> {
    let all = processes();
    let mut found = vec![top];
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        let children = all.iter().filter(|(_, process)| process.parent == pid && process.started >= since);
        found.extend(children.map(|(child, _)| *child));
        at += 1;
    }
    found.split_off(1)
}

/// Sends a signal to all that descend from `top` and began since then, once.
pub fn signal_started_since(top: i32, since: Option<u64>, signal: Signal) {
    for pid in below(top, since.unwrap_or(0)) {
        // Gone by now is as good.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Kills all that descend from us, until nobody is left. Who forks meanwhile is found in the next round.
pub fn kill_all() {
    let own = getpid().as_raw();
    // Where somebody forks faster than he is found, the limit of processes is his end.
    for _ in 0..1000 {
        let all = below(own, 0);
        if all.is_empty() {
            return;
        }
        for pid in all {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// The keeper of the session `id`, by its command line: where the kernel does not say who it is.
pub fn keeper_of(id: &str) -> Option<i32> {
    let mark = Own::mark_of_session(id);
    let is_it = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(mark.len()).any(|part| part == mark)
    };
    processes().into_keys().find(is_it)
}

/// Kills `pid` and all that descend from it, from somewhere else: it may be stopped, and reaps nobody. Whoever is left without a
/// parent meanwhile was found before.
pub fn kill_with_all_below(pid: i32) {
    let mut known: Vec<i32> = Vec::new();
    for _ in 0..1000 {
        let new: Vec<i32> = below(pid, 0).into_iter().filter(|found| !known.contains(found)).collect();
        if new.is_empty() {
            break;
        }
        for found in &new {
            let _ = kill(Pid::from_raw(*found), Signal::SIGKILL);
        }
        known.extend(new);
    }
    // Last, because until then it is the reaper of all of them.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

#[cfg(test)]
mod tests {
    use super::{Process, process};

    #[test]
    fn parent_and_start_are_found_behind_any_name() {
        let rest = "7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 5150 0";
        let of = |parent| Some(Process { parent, started: 5150 });
        assert_eq!(process(&format!("7 (sh) S 1 {rest}")), of(1));
        assert_eq!(process(&format!("7 (a) S 2 (b) R) S 12 {rest}")), of(12));
        assert_eq!(process("nonsense"), None);
        assert_eq!(process("7 (sh) S 1 7 7"), None);
    }
}
