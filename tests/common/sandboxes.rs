//! Persistent sandboxes, for the tests: a home of their own, in which nothing runs any more when the test is over.

use super::{Run, Scratch, allowed_to_be_missing, command, eventually, result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

/// Sandboxes of the test's own, gone with the value.
pub struct Sandboxes(pub Scratch);

impl Sandboxes {
    /// None yet.
    pub fn new(name: &str) -> Sandboxes {
        Sandboxes(Scratch::new(name))
    }

    /// Where belljar keeps them.
    pub fn home(&self) -> PathBuf {
        self.0.0.join("home")
    }

    /// A call of the binary that works on them.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut all = words.to_vec();
        if words.first() == Some(&"create") {
            all.splice(1..1, allowed_to_be_missing().iter().copied());
        }
        let mut command = command(all);
        command.env("BELLJAR_HOME", self.home());
        command
    }

    /// Calls the binary.
    pub fn call(&self, words: &[&str]) -> Run {
        self.command(words).output().expect("start belljar").into()
    }

    /// Calls the binary, which must succeed; what it printed.
    pub fn done(&self, words: &[&str]) -> String {
        let run = self.call(words);
        assert_eq!(run.code, Some(0), "{words:?}: {run:?}");
        run.stdout
    }

    /// Makes one that is called `name`.
    pub fn create(&self, name: &str, options: &[&str]) {
        let mut words = vec!["create"];
        words.extend(options);
        words.push(name);
        assert_eq!(self.done(&words), format!("{name}\n"));
    }

    /// `belljar exec NAME -- sh -c SCRIPT`.
    pub fn shell(&self, name: &str, script: &str) -> Run {
        self.call(&["exec", name, "--", "sh", "-c", script])
    }

    /// The same with `--json` and options; the result.
    pub fn result(&self, options: &[&str], name: &str, script: &str) -> Value {
        let mut words = vec!["exec", "--json"];
        words.extend(options);
        words.extend([name, "--", "sh", "-c", script]);
        result(&self.call(&words))
    }

    /// What `inspect` says.
    pub fn inspect(&self, name: &str) -> Value {
        serde_json::from_str(&self.done(&["inspect", name])).expect("an object")
    }

    /// Names and states, as `ls` says them.
    pub fn states(&self) -> Vec<(String, String)> {
        let listed: Value = serde_json::from_str(&self.done(&["ls", "--json"])).expect("an object");
        let word = |object: &Value, key: &str| object[key].as_str().expect("a word").to_owned();
        let sandboxes = listed["sandboxes"].as_array().expect("a list");
        let mut states: Vec<(String, String)> =
            sandboxes.iter().map(|object| (word(object, "name"), word(object, "state"))).collect();
        states.sort();
        states
    }

    /// Process ids of the supervisors of these sandboxes.
    pub fn supervisors(&self) -> Vec<i32> {
        let home = self.home();
        let numbers = std::fs::read_dir("/proc")
            .expect("read /proc")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let read = |pid: i32, name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let ours = |pid: &i32| {
            let has = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
            has(&read(*pid, "cmdline"), b"supervise-sandbox")
                && has(&read(*pid, "environ"), home.as_os_str().as_encoded_bytes())
        };
        let found: Vec<i32> = numbers.filter(ours).collect();
        // A child that has not executed anything yet has its parent's words.
        let parent = |pid: i32| -> Option<i32> {
            let stat = String::from_utf8(read(pid, "stat")).ok()?;
            stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
        };
        found.iter().copied().filter(|pid| parent(*pid).is_none_or(|parent| !found.contains(&parent))).collect()
    }

    /// How many hold a sandbox by a lease.
    pub fn leases(&self, name: &str) -> u64 {
        let stats: serde_json::Value = serde_json::from_str(&self.done(&["stats", "--json", name])).expect("an object");
        stats["leases"].as_u64().expect("a number")
    }

    /// Ids of those that wait for somebody who wants one.
    pub fn ready(&self) -> BTreeSet<String> {
        let started = |id: &String| {
            let run = std::fs::read(self.home().join(format!("sandboxes/ready.{id}/run.json"))).unwrap_or_default();
            serde_json::from_slice::<Value>(&run).is_ok_and(|run| run["started"].as_u64().is_some_and(|at| at > 0))
        };
        let ids = self.leavings().into_iter().filter_map(|name| name.strip_prefix("ready.").map(str::to_owned));
        ids.filter(started).collect()
    }

    /// The only one, once it is there.
    pub fn one_ready(&self) -> String {
        assert!(eventually(20, || self.ready().len() == 1), "{:?}", self.leavings());
        // Whoever makes it knows by then.
        std::thread::sleep(std::time::Duration::from_millis(200));
        self.ready().pop_first().expect("one")
    }

    /// What is left of sandboxes on the disk.
    pub fn leavings(&self) -> Vec<String> {
        let mut found = Vec::new();
        for directory in ["sandboxes", "sandboxes/names"] {
            let entries = std::fs::read_dir(self.home().join(directory)).into_iter().flatten();
            let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
            found.extend(names.filter(|name| name != "names" && name != "ended"));
        }
        found
    }
}

impl Drop for Sandboxes {
    fn drop(&mut self) {
        for pid in self.supervisors() {
            // It may have ended by now.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        eventually(5, || self.supervisors().is_empty());
        super::reap_adopted();
    }
}
