//! A repository in a sandbox of the test's own.

use crate::common::Run;
use crate::common::sandboxes::Sandboxes;
use serde_json::Value;

/// Who commits.
pub const AUTHOR: [&str; 4] = ["--author", "Ann", "--email", "ann@example.org"];

/// The object that a call printed.
pub fn object(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("no object ({error}): {run:?}"))
}

/// A sandbox that is called `box`, with an empty repository in `r`.
pub struct Repository(pub Sandboxes);

impl Repository {
    /// A new one.
    pub fn new(name: &str) -> Repository {
        let sandboxes = Sandboxes::new(name);
        sandboxes.create("box", &["--memory", "512M"]);
        let repository = Repository(sandboxes);
        assert_eq!(repository.call("init", &["r"]).code, Some(0));
        repository
    }

    /// `belljar git box VERB --path r`, but for what takes no path.
    pub fn call(&self, verb: &str, words: &[&str]) -> Run {
        let path = if matches!(verb, "init" | "clone") { &[][..] } else { &["--path", "r"] };
        self.0.call(&[&["git", "box", verb], path, words].concat())
    }

    /// The same, which must succeed: its object.
    pub fn told(&self, verb: &str, words: &[&str]) -> Value {
        let run = self.call(verb, &[&["--json"], words].concat());
        assert_eq!(run.code, Some(0), "{verb} {words:?}: {run:?}");
        object(&run)
    }

    /// The same, which must fail: the kind of its error.
    pub fn refused(&self, verb: &str, words: &[&str]) -> String {
        let run = self.call(verb, &[&["--json"], words].concat());
        assert_ne!(run.code, Some(0), "{verb} {words:?}: {run:?}");
        let kind = object(&run)["error"]["kind"].as_str().map(str::to_owned);
        kind.unwrap_or_else(|| panic!("no kind: {run:?}"))
    }

    /// A shell in the repository, which must succeed: what it printed.
    pub fn shell(&self, script: &str) -> String {
        let run = self.0.shell("box", &format!("cd ~/r && {script}"));
        assert_eq!(run.code, Some(0), "{script}: {run:?}");
        run.stdout
    }

    /// Commits everything; the hash.
    pub fn commit(&self, message: &str) -> String {
        self.told("add", &["."]);
        let made = self.told("commit", &[&["--message", message], &AUTHOR[..]].concat());
        made["hash"].as_str().expect("a hash").to_owned()
    }

    /// What `status` says of each file: name, staged, unstaged.
    pub fn files(&self) -> Vec<(String, String, String)> {
        rows(&self.told("status", &[]))
    }
}

/// The files of a status.
pub fn rows(status: &Value) -> Vec<(String, String, String)> {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let row = |file: &Value| (word(&file["path"]), word(&file["staged"]), word(&file["unstaged"]));
    status["files"].as_array().expect("files").iter().map(row).collect()
}
