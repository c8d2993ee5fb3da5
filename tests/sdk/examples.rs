//! The examples of the repository run as their documents say.

use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, languages};
use crate::programs::{done, program, python, root};
use std::path::Path;

#[test]
fn an_agent_mends_its_own_code_until_the_tests_pass() {
    let sandboxes = Sandboxes::new("example-agent");
    let said = done(python(&sandboxes).arg(root().join("examples/coding_agent.py")));
    assert!(said.contains("2. run python3 -m unittest -q\n   exit code 1\n"), "{said}");
    assert!(said.contains("4. run python3 -m unittest -q\n   exit code 0\n"), "{said}");
    assert!(said.ends_with("5. done: The tests pass.\nthe tests pass\n"), "{said}");
    assert_eq!(sandboxes.states(), []);
}

#[test]
fn a_model_that_speaks_no_json_and_one_that_gives_up_are_told_and_do_not_pass() {
    let sandboxes = Sandboxes::new("example-model");
    let model = "import json\nSAID = iter(['hello', json.dumps({'do': 'fly'}), json.dumps({'do': 'run'}), json.dumps({'do': 'done', 'say': 'no'})])\n\
                 def answer(messages): return next(SAID)\n";
    sandboxes.0.file("mine.py", model);
    let mut command = python(&sandboxes);
    let path = std::env::join_paths([root().join("sdk/python"), sandboxes.0.0.clone()]).expect("paths");
    command.env("PYTHONPATH", path).arg(root().join("examples/coding_agent.py")).args(["--model", "mine:answer"]);
    let run = Run::from(command.output().expect("start Python"));
    assert_eq!(run.code, Some(1), "{run:?}");
    for line in ["error: that is no JSON", "there is no action `fly`", "error: 'command'", "the tests do not pass"] {
        assert!(run.stdout.contains(line), "{line}: {run:?}");
    }
}

#[test]
fn a_table_becomes_a_chart() {
    if !languages::built("python") {
        return;
    }
    let sandboxes = Sandboxes::new("example-chart");
    let mut command = python(&sandboxes);
    let said = done(command.env("BELLJAR_HOME", languages::home()).arg(root().join("examples/data_analysis.py")));
    assert!(said.contains("Bergen    626\nLisbon    322\n"), "{said}");
    assert!(
        said.contains("a bar chart, `Rain, January to April`\n  Bergen     626 mm\n  Lisbon     322 mm\n"),
        "{said}"
    );
    let picture = std::fs::read(sandboxes.0.0.join("chart.png")).expect("the picture");
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 5000);
}

/// A repository of three commits, whose second one breaks the tests.
fn repository(sandboxes: &Sandboxes, place: &Path) {
    let script = "git init -q -b main . && git config user.name Me && git config user.email me@example.org\n\
        test() { printf 'import unittest\\nclass Sum(unittest.TestCase):\\n    def test(self): self.assertEqual(%s, 4)\\n' \"$1\" > test_sum.py\n\
        git add . && git commit -q -m \"$2\"; }\n\
        test 2+2 first; test 2+3 'break it'; test 3+1 'mend it'";
    std::fs::create_dir(place).expect("make a directory");
    done(program(sandboxes, "sh").args(["-ec", script]).current_dir(place).env("HOME", place));
}

#[test]
fn the_tests_of_several_commits_run_at_once_and_the_last_one_counts() {
    let sandboxes = Sandboxes::new("example-runner");
    let place = sandboxes.0.0.join("repository");
    repository(&sandboxes, &place);
    let runner = |words: &[&str]| {
        let mut command = python(&sandboxes);
        command.arg(root().join("examples/test_runner.py")).arg(&place).args(words);
        Run::from(command.output().expect("start Python"))
    };
    let run = runner(&[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{run:?}");
    for (line, words) in lines.iter().zip([["mend it", "passed"], ["break it", "failed (1)"], ["first", "passed"]]) {
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    assert_eq!(runner(&["--commits", "1", "--command", "exit 5"]).code, Some(1));
    assert!(
        runner(&["--commits", "1", "--command", "sleep 60", "--timeout", "1"]).stdout.contains("took longer than 1 s")
    );
    assert_eq!(sandboxes.states(), []);
    let left = std::fs::read_dir(&place).expect("read it").count();
    assert_eq!(left, 2, "the tests of a repository leave nothing in it");
}
