//! A sandbox with a project of some hundred files whose answers are known.

use crate::common::Run;
use crate::common::sandboxes::Sandboxes;
use serde_json::Value;

/// Files of a generated project beside those that are asked about.
pub const FILES: usize = 300;

/// A sandbox `box`, and what is asked of the servers in it.
pub struct World(pub Sandboxes);

impl World {
    /// With enough room for a server.
    pub fn new(name: &str) -> World {
        let sandboxes = Sandboxes::new(name);
        sandboxes.create("box", &["--memory", "3G", "--workdir", "/tmp", "--cpus", "2"]);
        World(sandboxes)
    }

    /// Puts a directory there, which `fill` fills outside.
    pub fn put(&self, directory: &str, fill: impl FnOnce(&std::path::Path)) {
        let here = self.0.0.0.join("project");
        std::fs::create_dir(&here).expect("a directory");
        fill(&here);
        self.0.done(&["cp", here.to_str().expect("a path"), &format!("box:{directory}")]);
        std::fs::remove_dir_all(here).expect("remove it");
    }

    /// Writes a file inside.
    pub fn write(&self, path: &str, text: &str) {
        let outside = self.0.0.file("written", text);
        self.0.done(&["cp", outside.to_str().expect("a path"), &format!("box:{path}")]);
    }

    /// The content of a file inside.
    pub fn read(&self, path: &str) -> String {
        self.0.done(&["fs", "cat", "box", path])
    }

    /// Asks.
    pub fn call(&self, words: &[&str]) -> Run {
        self.0.call(&[&["lsp", "box"], words].concat())
    }

    /// The result object of what must succeed.
    pub fn told(&self, words: &[&str]) -> Value {
        let patience: &[&str] = if words[0] == "stop" { &[] } else { &["--timeout", "100s"] };
        let run = self.call(&[words, &["--json"], patience].concat());
        assert_eq!(run.code, Some(0), "{words:?}: {run:?}");
        serde_json::from_str(&run.stdout).expect("an object")
    }

    /// The error of what must fail.
    pub fn refused(&self, words: &[&str]) -> Value {
        let run = self.call(&[words, &["--json"]].concat());
        assert_ne!(run.code, Some(0), "{words:?}: {run:?}");
        let told: Value = serde_json::from_str(&run.stdout).expect("an object");
        told["error"].clone()
    }

    /// How the servers are.
    pub fn servers(&self) -> Vec<Value> {
        let run = self.call(&["ls", "--json"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        let told: Value = serde_json::from_str(&run.stdout).expect("an object");
        told["servers"].as_array().expect("a list").clone()
    }
}

/// Path, line and column of each place, in order.
pub fn places(told: &Value, list: &str) -> Vec<(String, u64, u64)> {
    let of = |one: &Value| {
        let path = one["path"].as_str().expect("a path").to_owned();
        let start = &one["range"]["start"];
        (path, start["line"].as_u64().expect("a line"), start["column"].as_u64().expect("a column"))
    };
    let mut places: Vec<_> = told[list].as_array().expect("a list").iter().map(of).collect();
    places.sort();
    places
}

/// The words of one field of each.
pub fn words(told: &Value, list: &str, field: &str) -> Vec<String> {
    let word = |one: &Value| one[field].as_str().expect("a word").to_owned();
    told[list].as_array().expect("a list").iter().map(word).collect()
}
