//! Everything that a keeper's jobs have started, whatever sessions it has made: the keeper is its reaper (prctl(2),
//! `PR_SET_CHILD_SUBREAPER`), and so all of it descends from the keeper.

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};
use std::collections::BTreeMap;
use std::fs;

/// Parent and child, of everybody who can be seen.
fn parents() -> BTreeMap<i32, i32> {
    let Ok(listed) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let numbers = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter_map(|pid| Some((pid, parent(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?))).collect()
}

/// proc_pid_stat(5), field 4; field 2 may hold anything.
fn parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Those that descend from `top`, without it.
fn below(top: i32) -> Vec<i32> {
    let parents = parents();
    let mut found = vec![top];
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, parent)| **parent == pid).map(|(child, _)| *child));
        at += 1;
    }
    found.split_off(1)
}

/// Sends a signal to all that descend from `top`, once.
pub fn signal_below(top: i32, signal: Signal) {
    for pid in below(top) {
        // Gone by now is as good.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Kills all that descend from us, until nobody is left. Who forks meanwhile is found in the next round.
pub fn kill_all() {
    let own = getpid().as_raw();
    // Where somebody forks faster than he is found, the limit of processes is his end.
    for _ in 0..1000 {
        let all = below(own);
        if all.is_empty() {
            return;
        }
        for pid in all {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::parent;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent("7 (sh) S 1 7 7"), Some(1));
        assert_eq!(parent("7 (a) S 2 (b) R) S 12 7 7"), Some(12));
        assert_eq!(parent("nonsense"), None);
    }
}
