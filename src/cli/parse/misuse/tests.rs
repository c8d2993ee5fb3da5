//! Each kind of error that clap reports, and belljar's message for it.

use super::super::{Usage, parse};
use super::*;
use std::os::unix::ffi::OsStringExt as _;

/// What is said, each with its hint.
fn said(line: &[&str]) -> Vec<(String, Option<String>)> {
    of(line.iter().map(OsString::from).collect(), &format!("{line:?}"))
}

fn of(words: Vec<OsString>, shown: &str) -> Vec<(String, Option<String>)> {
    match parse(std::iter::once("belljar".into()).chain(words), &|_| None) {
        Err(Usage::Wrong { problems, .. }) => {
            problems.into_iter().map(|problem| (problem.to_string(), problem.hint)).collect()
        }
        other => panic!("{shown}: {other:?}"),
    }
}

#[test]
fn every_kind_of_fault_is_said_in_our_words_with_a_hint_that_works() {
    let table: [(&[&str], &str, &str); 23] = [
        (&[], "command line: no verb", "try `belljar --help`"),
        (&["session"], "command line: no verb", "try `belljar session --help`"),
        (&["runn"], "command line: `runn` is no verb of `belljar`", "a similar verb is `run`; try `belljar --help`"),
        (
            &["session", "lss"],
            "command line: `lss` is no verb of `belljar session`",
            "similar verbs are `logs` and `ls`; try `belljar session --help`",
        ),
        (&["help", "runn"], "command line: `runn` is no verb of `belljar`", "try `belljar --help`"),
        (
            &["run", "--memroy=1G", "true"],
            "memroy: `--memroy` is no option of `belljar run`",
            "a similar option is `--memory`; try `belljar run --help`",
        ),
        (&["run", "-x", "true"], "x: `-x` is no option of `belljar run`", "try `belljar run --help`"),
        (
            &["--json", "ls"],
            "json: `--json` is no option of `belljar`",
            "an option stands behind its verb, as in `belljar ls --json`; try `belljar --help`",
        ),
        (&["ls", "a"], "command line: `a` is one word too many for `belljar ls`", "try `belljar ls --help`"),
        (&["ls", "--", "--x"], "command line: `--x` is one word too many for `belljar ls`", "try `belljar ls --help`"),
        (&["ls", "--x", "--", "--x"], "x: `--x` is no option of `belljar ls`", "try `belljar ls --help`"),
        (&["rpc", "-"], "command line: `-` is one word too many for `belljar rpc`", "try `belljar rpc --help`"),
        (&["run", "--cpu-time"], "cpu_time: `--cpu-time` has no value", "try `belljar run --help`"),
        (&["run", "--tty=yes", "a"], "tty: `--tty` takes no value, and `yes` is one", "try `belljar run --help`"),
        (
            &["schema", "everything"],
            "of: `everything` is not `result`, `spec`, `doctor` or `rpc`",
            "try `belljar schema --help`",
        ),
        (
            &["completions", "tcsh"],
            "shell: `tcsh` is not `bash`, `zsh` or `fish`",
            "a similar value is `zsh`; try `belljar completions --help`",
        ),
        (
            &["fs", "find", "--kind", "x", "a", "b"],
            "kind: `x` is not `file`, `directory`, `link` or `special`",
            "try `belljar fs find --help`",
        ),
        (&["run", "--pids=1", "--pids=2", "a"], "pids: `--pids` is given twice", "try `belljar run --help`"),
        (
            &["exec", "-d", "--status-fd", "3", "a", "b"],
            "detach: `--detach` cannot be used with `--status-fd`",
            "try `belljar exec --help`",
        ),
        (
            &["doctor", "--json", "--apparmor-profile"],
            "json: `--json` cannot be used with `--apparmor-profile`",
            "try `belljar doctor --help`",
        ),
        (&["rm"], "name: is missing", "write `belljar rm <NAME>...`; `belljar rm --help` tells more"),
        (
            &["cp", "a"],
            "from: is missing",
            "write `belljar cp [OPTIONS] SANDBOX:PATH... PATH` or `belljar cp [OPTIONS] PATH... SANDBOX:PATH`; `belljar cp --help` tells more",
        ),
        (&["man"], "dir: is missing", "write `belljar man <DIR>`; `belljar man --help` tells more"),
    ];
    for (line, message, hint) in table {
        assert_eq!(said(line), [(message.to_owned(), Some(hint.to_owned()))], "{line:?}");
    }
}

#[test]
fn each_parameter_that_is_missing_is_named_as_rpc_has_it() {
    let hint = "write `belljar fs write <SANDBOX> <PATH>`; `belljar fs write --help` tells more";
    let both = [("sandbox: is missing".to_owned(), None), ("path: is missing".to_owned(), Some(hint.to_owned()))];
    assert_eq!(said(&["fs", "write"]), both);
    assert_eq!(said(&["fs", "write", "box"]), both[1..]);
    let words = serde_json::Map::new();
    let method = crate::verbs::method("fs.write").expect("a method");
    let error = method.check(words, &|_| None).expect_err("a parameter that is missing");
    assert!(error.is_of("sandbox") && error.message.contains("is missing"), "{error}");
}

#[test]
fn a_word_that_is_no_text_where_text_is_wanted_is_shown() {
    let bytes = OsString::from_vec(b"\xff".to_vec());
    let found = of(vec!["completions".into(), bytes], "completions");
    assert_eq!(found[0].0, "command line: `\u{fffd}` is not UTF-8");
}
