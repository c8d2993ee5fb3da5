//! A day in the life of an agent: a repository goes in, is mended and tested, kept at a good moment, broken, taken up again
//! from there, and its result comes out. On the image of the recipe `python`.

use crate::common::{Run, Scratch, allowed_to_be_missing, command, languages};
use serde_json::Value;
use std::fs;

/// `available` and `released`, where `languages` looks for them.
#[allow(unused_imports)]
use crate::common::{available, released};

struct Agent(&'static [&'static str]);

impl Agent {
    fn call(&self, words: &[&str]) -> Run {
        let mut all = vec![words[0]];
        if words[0] == "create" {
            all.extend(allowed_to_be_missing());
        }
        all.extend(&words[1..]);
        command(all).env("BELLJAR_HOME", languages::home()).output().expect("start belljar").into()
    }

    fn done(&self, words: &[&str]) -> String {
        let run = self.call(words);
        assert_eq!(run.code, Some(0), "{words:?}: {run:?}");
        run.stdout
    }

    fn object(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.done(words)).expect("an object")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        for name in self.0 {
            // It may not have been made.
            self.call(&["rm", "-f", name]);
        }
        self.call(&["snapshot", "rm", "day-good"]);
    }
}

const CODE: &str = "def mean(numbers):\n    return sum(numbers) / (len(numbers) - 1)\n";
const TESTS: &str = "import unittest\nfrom stats import mean\n\n\nclass Mean(unittest.TestCase):\n    def test_of_three(self):\n        \
    self.assertEqual(mean([1, 2, 3]), 2)\n\n\nunittest.main()\n";

#[test]
fn an_agent_works_on_a_repository_for_a_day() {
    if !languages::built("python") {
        return;
    }
    let agent = Agent(&["day-box", "day-again", "day-other"]);
    for name in agent.0 {
        agent.call(&["rm", "-f", name]);
    }
    let scratch = Scratch::new("day");
    let repository = scratch.0.join("repository");
    fs::create_dir_all(repository.join("tests")).expect("make it");
    fs::write(repository.join("stats.py"), CODE).expect("write");
    fs::write(repository.join("tests/test_stats.py"), TESTS).expect("write");
    agent.done(&["create", "--keep", "--image", "python", "--label", "task=mean", "--memory", "1G", "day-box"]);

    // In, under git, and how bad it is.
    agent.done(&["cp", "--quiet", repository.to_str().expect("text"), "day-box:/project"]);
    agent.done(&["session", "create", "day-box", "shell"]);
    let shell = |lines: &str| -> Value {
        let run = agent.call(&["session", "exec", "--json", "day-box", "shell", lines]);
        serde_json::from_str(&run.stdout).expect("an object")
    };
    let git = "cd /project && git init -q -b main . && git config user.name agent && git config user.email agent@example.org \
        && git add . && git commit -qm 'As it came' && export PYTHONPATH=/project";
    assert_eq!(shell(git)["end"]["exit_code"], 0);
    let tested = shell("python3 tests/test_stats.py");
    assert!(
        tested["end"]["exit_code"] == 1 && tested["stderr"].as_str().expect("text").contains("3.0 != 2"),
        "{tested}"
    );

    // Looked for, looked into, mended.
    let found = agent.object(&["fs", "grep", "--json", "day-box", "/project", "len(numbers)"]);
    assert_eq!(
        (&found["lines"][0]["path"], found["lines"].as_array().map(Vec::len)),
        (&"/project/stats.py".into(), Some(1))
    );
    let code = ["code", "--sandbox", "day-box", "--context", "look", "--json", "python", "-e"];
    let look = "import sys; sys.path.insert(0, '/project')\nfrom stats import mean\nmean([4, 4])";
    let seen = agent.object(&[&code[..], &[look]].concat());
    assert!(seen["results"].to_string().contains("8.0"), "{seen}");
    agent.done(&["fs", "replace", "day-box", "(len(numbers) - 1)", "len(numbers)", "/project/stats.py"]);
    assert_eq!(shell("python3 tests/test_stats.py")["end"]["exit_code"], 0);
    assert_eq!(shell("git commit -qam 'Divide by the number'")["end"]["exit_code"], 0);
    let changed = agent.done(&["diff", "day-box"]);
    assert!(changed.contains("A /project/stats.py\n") && changed.contains("A /project/.git\n"), "{changed}");

    // A good moment, and how it was lost.
    agent.done(&["snapshot", "create", "day-box", "day-good"]);
    shell("rm -rf .git stats.py tests; echo broken > stats.py");
    assert_eq!(agent.done(&["fs", "cat", "day-box", "/project/stats.py"]), "broken\n");

    // Taken up again from there, twice, and neither knows of the other.
    agent.done(&["create", "--keep", "--image", "day-good", "day-again"]);
    agent.done(&["fork", "day-again", "day-other"]);
    let more = "cd /project && echo 'def twice(n): return 2 * n' >> stats.py && PYTHONPATH=. python3 tests/test_stats.py && git commit -qam 'More'";
    agent.done(&["exec", "day-again", "--", "sh", "-c", more]);
    assert_eq!(
        agent.done(&["exec", "day-other", "--", "git", "-C", "/project", "log", "--format=%s"]),
        "Divide by the number\nAs it came\n"
    );

    // Out.
    let result = scratch.0.join("result");
    agent.done(&["cp", "--quiet", "day-again:/project", result.to_str().expect("text")]);
    let code = fs::read_to_string(result.join("stats.py")).expect("read");
    assert_eq!(code, format!("{}def twice(n): return 2 * n\n", CODE.replace("(len(numbers) - 1)", "len(numbers)")));
    assert!(result.join(".git/HEAD").exists());
    let usage = agent.object(&["stats", "--json", "day-again"]);
    assert!(usage["memory_bytes"].as_u64().is_some() || usage["stats"].is_object(), "{usage}");
    agent.done(&["rm", "-f", "day-box", "day-again", "day-other"]);
    agent.done(&["snapshot", "rm", "day-good"]);
}
