//! The shortest proof that anything works at all.

use crate::common::{call, python, shell, shell_result, stdout};
use serde_json::Value;

#[test]
fn a_command_runs_and_its_output_and_exit_code_come_back() {
    let run = shell(&[], "echo out; echo err >&2; exit 7");
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(7), "out\n", "err\n"));
}

#[test]
fn python_code_runs() {
    let run = python(&[], "print(6 * 7)");
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "42\n"));
}

#[test]
fn the_result_says_what_was_enforced() {
    let result = shell_result(&[], "echo hello");
    assert_eq!(stdout(&result), "hello\n");
    assert_eq!((&result["status"], &result["exit_code"]), (&Value::from("exited"), &Value::from(0)));
    for protection in [
        "namespaces",
        "capabilities",
        "network",
        "seccomp",
        "landlock",
        "proc",
        "memory",
        "cpu",
        "pids",
        "disk",
        "timeout",
    ] {
        assert_ne!(result["enforcement"][protection], Value::Null, "{protection}");
    }
}

#[test]
fn the_plan_can_be_seen_without_being_carried_out() {
    let run = call(["run", "--dry-run", "--", "true"]);
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.contains("pivot into root") && run.stdout.contains("execute"), "{}", run.stdout);
}
