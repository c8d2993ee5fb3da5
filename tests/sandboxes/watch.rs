//! `fs watch`: what changes in a directory.

use crate::common::sandboxes::Sandboxes;
use std::io::{BufRead as _, Write as _};
use std::process::Stdio;

#[test]
fn what_changes_in_a_directory_is_told_as_it_changes() {
    let sandboxes = Sandboxes::new("watch");
    sandboxes.create("box", &[]);
    sandboxes.shell("box", "mkdir -p /tmp/w/sub; echo 1 >/tmp/w/there");
    let mut watching = sandboxes
        .command(&["fs", "watch", "-r", "box", "/tmp/w"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("start belljar");
    let mut lines = std::io::BufReader::new(watching.stdout.take().expect("its output")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    // It is at work when it tells something.
    let probe = sandboxes
        .command(&[
            "exec",
            "box",
            "--",
            "sh",
            "-c",
            "until [ -e /tmp/w/stop ]; do touch /tmp/w/probe; sleep 0.05; done",
        ])
        .spawn();
    assert!(next().ends_with(" probe"));
    sandboxes.shell("box", "touch /tmp/w/stop");
    probe.expect("start belljar").wait().expect("its end");
    while !next().ends_with(" stop") {}
    let shell =
        "cd /tmp/w; echo 2 >>there; mv there sub/here; mkdir new; echo 3 >new/file; chmod 600 new/file; rm -r new";
    assert_eq!(sandboxes.shell("box", shell).code, Some(0));
    let mut writing = sandboxes
        .command(&["fs", "write", "box", "/tmp/w/sub/here"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("start belljar");
    writing.stdin.take().expect("its input").write_all(b"4").expect("write");
    assert!(writing.wait().expect("its end").success());
    let mut told = Vec::new();
    while told.last().is_none_or(|line: &String| line != "written sub/here") {
        told.push(next().split_whitespace().collect::<Vec<_>>().join(" "));
    }
    for line in ["written there", "renamed there", "created sub/here", "created new", "removed new"] {
        assert!(told.iter().any(|one| one == line), "{line}: {told:?}");
    }
    // What belljar writes all at once is no new file, and nothing is told of its draft.
    assert!(!told.iter().any(|line| line.contains(".belljar.")), "{told:?}");
    watching.kill().expect("kill it");
    watching.wait().expect("its end");
    let json = sandboxes.call(&["fs", "watch", "box", "/tmp/w", "--json"]);
    assert!(json.code == Some(2) && json.stderr.contains("stream: is needed"), "{json:?}");
    let missing = sandboxes.call(&["fs", "watch", "box", "/tmp/nowhere"]);
    assert!(missing.code == Some(1) && missing.stderr.contains("/tmp/nowhere"), "{missing:?}");
}
