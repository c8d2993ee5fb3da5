//! What is left on the host when something is over: nothing.

use super::{Scratch, eventually};
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard};

/// A test that counts what is left, measures the machine or uses it up runs alone: every child of this process is then one
/// of its own. Each test of the program `alone` begins with this.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The host before something happens, to compare with afterwards.
pub struct Before {
    _alone: MutexGuard<'static, ()>,
    /// Whatever wants to leave a file finds only these directories to leave it in.
    pub scratch: Scratch,
    mounts: String,
    cgroups: BTreeSet<PathBuf>,
}

const PLACES: [&str; 4] = ["TMPDIR", "HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"];

impl Before {
    /// Takes it down; `name` shows whose it is.
    pub fn new(name: &str) -> Before {
        let alone = alone();
        // What loses its parent becomes ours.
        nix::sys::prctl::set_child_subreaper(true).expect("become a subreaper");
        let scratch = Scratch::new(name);
        for place in PLACES {
            std::fs::create_dir(scratch.0.join(place)).expect("make a place");
        }
        Before { _alone: alone, scratch, mounts: mounts(), cgroups: cgroups(Path::new("/sys/fs/cgroup")) }
    }

    /// Makes `command` see the scratch directories and no other.
    pub fn around<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for place in PLACES {
            command.env(place, self.scratch.0.join(place));
        }
        command.current_dir(self.scratch.0.join("HOME")).stdin(Stdio::null())
    }

    /// No child is left, alive or dead: what had lost its parent would be one.
    pub fn no_process_is_left(&self) {
        let none = || loop {
            match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Err(Errno::ECHILD) => return true,
                Ok(status) if status.pid().is_some() => {}
                _ => return false,
            }
        };
        assert!(eventually(20, none), "left behind: {:?}", children());
    }

    /// Cgroups that have come since.
    pub fn cgroups_left(&self) -> Vec<PathBuf> {
        cgroups(Path::new("/sys/fs/cgroup")).difference(&self.cgroups).cloned().collect()
    }

    /// Neither processes nor mounts, files or cgroups.
    pub fn nothing_is_left(&self) {
        self.no_process_is_left();
        assert_eq!(mounts(), self.mounts);
        for place in PLACES {
            let found = std::fs::read_dir(self.scratch.0.join(place)).expect("read a directory").count();
            assert_eq!(found, 0, "files left in {place}");
        }
        assert!(eventually(20, || self.cgroups_left().is_empty()), "left behind: {:?}", self.cgroups_left());
    }
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").expect("read mounts")
}

/// Cgroups of sandboxes, and scopes that were asked for, by their names.
fn cgroups(directory: &Path) -> BTreeSet<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return BTreeSet::new() };
    let directories =
        entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path());
    directories
        .flat_map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let scope = name.starts_with("belljar-") && name.ends_with(".scope");
            let ours = scope || name.starts_with("belljar.sandbox-");
            let mut found = cgroups(&path);
            found.extend(ours.then_some(path));
            found
        })
        .collect()
}

/// What the children of this process are, for a message.
fn children() -> Vec<String> {
    let of = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let tasks = std::fs::read_dir("/proc/self/task").expect("read the threads").flatten();
    let pids = tasks.map(|task| of(task.path().join("children"))).collect::<Vec<_>>().join(" ");
    pids.split_whitespace().map(|pid| of(format!("/proc/{pid}/stat").into())).collect()
}
