//! Every step of every plan is refused once: the message names exactly that step, no command runs, nothing is left.

use crate::common::chance::Chance;
use crate::common::ranges::ranged;
use crate::common::{Scratch, assert_gone, call, command, mark, result, shell};
use serde_json::{Value, json};
use std::path::Path;

/// The steps of `words`, as `--dry-run` prints them.
fn steps(words: &[String]) -> Vec<String> {
    let split = words.iter().position(|word| word == "--" || word.ends_with(".py")).expect("where the command begins");
    let run = call([&words[..split], &["--dry-run".to_owned()], &words[split..]].concat());
    let plan = result(&run);
    let lines = plan["steps"].as_array().expect("the steps").iter();
    let steps: Vec<String> = lines.map(|line| line.as_str().expect("a step").to_owned()).collect();
    assert!(steps.len() > 50, "{} steps", steps.len());
    steps
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").expect("read mounts")
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("read a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("read a directory").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Runs `words` once for each of its steps, or for as many of them as the scale wants. The command would leave a file in `scratch`.
fn every_step_fails_once(scratch: &Scratch, mark: &str, words: &[String]) {
    let steps = steps(words);
    let (before, mounts_before) = (names(&scratch.0), mounts());
    for (index, step) in Chance::new(&words.join(" ").replace(mark, "")).sample(steps.iter().enumerate()) {
        let mut command = command(words);
        command.env("BELLJAR_FAIL_STEP", (index + 1).to_string());
        command.env("TMPDIR", &scratch.0).current_dir(&scratch.0);
        let run: crate::common::Run = command.output().expect("start belljar").into();
        let result = result(&run);
        assert_eq!((&result["status"], &result["exit_code"]), (&json!("setup_failed"), &Value::Null), "{step}");
        let error = &result["error"];
        let message = error["message"].as_str().expect("a message");
        if step.starts_with("execute ") {
            assert_eq!((run.code, &error["kind"]), (Some(126), &json!("not_executable")));
            assert!(message.ends_with(": cannot execute: I/O error"), "{message}");
        } else {
            let number = format!("{} of {}", index + 1, steps.len());
            assert_eq!((run.code, &error["kind"], &error["step"]), (Some(125), &json!("setup"), &json!(number)));
            assert!(message.starts_with(&format!("step {number}: {step}: ")), "{message}");
            assert!(message.ends_with(": I/O error"), "{message}");
        }
        assert!(run.stderr.starts_with(&format!("belljar: {message}\n")), "{}", run.stderr);
        assert_eq!(names(&scratch.0), before, "left behind by step {}: {step}", index + 1);
    }
    assert_gone(mark);
    assert_eq!(mounts(), mounts_before);
}

/// Words of a run whose command leaves a file where it is mounted.
fn words(scratch: &Scratch, mark: &str, options: &[&str]) -> Vec<String> {
    let mount = format!("{}:/mnt:rw", scratch.0.display());
    let script = format!("touch /mnt/ran; : {mark}");
    [&["run", "--json", "--mount", &mount], options, &["--", "sh", "-c", &script]]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_command_of_these_tests_leaves_its_file_when_no_step_fails() {
    let scratch = Scratch::new("no-step");
    assert_eq!(call(words(&scratch, "no-mark", &[])).code, Some(0));
    assert_eq!(names(&scratch.0), ["ran"]);
}

#[test]
fn every_step_of_a_plan_can_fail() {
    let (scratch, mark) = (Scratch::new("step"), mark("step"));
    every_step_fails_once(&scratch, &mark, &words(&scratch, &mark, &[]));
}

#[test]
fn every_step_of_a_plan_with_mounts_and_limits_can_fail() {
    let (scratch, mark) = (Scratch::new("step-mounts"), mark("step-mounts"));
    let options = ["--mount", "/usr/share:/srv/share", "--workdir", "/srv", "--user", "7:8", "--cpu-time", "5s"];
    every_step_fails_once(&scratch, &mark, &words(&scratch, &mark, &options));
}

#[test]
fn every_step_of_a_plan_with_code_from_a_file_can_fail() {
    let (scratch, mark) = (Scratch::new("step-code"), mark("step-code"));
    let code = scratch.file("code.py", "open('/mnt/ran', 'w')").display().to_string();
    let mount = format!("{}:/mnt:rw", scratch.0.display());
    let words = ["code", "python", "--json", "--mount", &mount, &code, &mark].map(str::to_owned);
    every_step_fails_once(&scratch, &mark, &words);
}

#[test]
fn every_step_of_a_plan_with_a_terminal_can_fail() {
    let (scratch, mark) = (Scratch::new("step-tty"), mark("step-tty"));
    every_step_fails_once(&scratch, &mark, &words(&scratch, &mark, &["--tty"]));
}

#[test]
fn every_step_of_a_plan_with_a_range_of_ids_can_fail() {
    if !ranged() {
        return;
    }
    let (scratch, mark) = (Scratch::new("step-range"), mark("step-range"));
    for options in [&["--userns", "range"][..], &["--userns", "range", "--tty", "--user", "1000", "--workdir", "/srv"]]
    {
        every_step_fails_once(&scratch, &mark, &words(&scratch, &mark, options));
    }
}

#[test]
fn no_child_with_a_range_of_ids_allocates_on_its_way_to_the_command() {
    if !ranged() {
        return;
    }
    for options in [&["--userns", "range"][..], &["--userns", "range", "--user", "1000", "--tty"]] {
        let run = shell(options, "exit 7");
        assert_eq!((run.code, run.stderr.as_str()), (Some(7), ""), "{options:?}");
    }
}

#[test]
fn every_step_of_a_plan_on_the_hosts_network_can_fail() {
    let (scratch, mark) = (Scratch::new("step-net"), mark("step-net"));
    every_step_fails_once(&scratch, &mark, &words(&scratch, &mark, &["--net", "host"]));
}

#[test]
fn no_child_allocates_on_its_way_to_the_command() {
    // The allocator of the debug build ends a child that allocates with 99, before it can tell of a step.
    for options in [&[][..], &["--tty"], &["--net", "host"], &["--user", "0"], &["--cpu-time", "1s"]] {
        let run = shell(options, "exit 7");
        assert_eq!((run.code, run.stderr.as_str()), (Some(7), ""), "{options:?}");
    }
}
