//! From `create` to `rm`, and what is left when somebody is killed in between.

use crate::common::chance::{Chance, scaled_from};
use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, Started, eventually, said};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn kill_all(pids: Vec<i32>) {
    for pid in pids {
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("kill a supervisor");
    }
}

#[test]
fn a_sandbox_is_made_listed_stopped_and_gone() {
    let sandboxes = Sandboxes::new("life");
    let listed = said(&sandboxes.call(&["ls"])).1.to_owned();
    assert_eq!(listed, "no sandboxes; `belljar create` makes one\n");
    sandboxes.create("one", &[]);
    assert_eq!(sandboxes.states(), [("one".to_owned(), "running".to_owned())]);
    assert_eq!(sandboxes.supervisors().len(), 1);
    assert_eq!(sandboxes.done(&["stop", "one"]), "one\n");
    assert_eq!(sandboxes.states(), []);
    assert!(eventually(5, || sandboxes.supervisors().is_empty()), "its supervisor goes on");
    assert_eq!(sandboxes.leavings(), [""; 0]);
}

#[test]
fn a_sandbox_without_a_name_is_called_by_its_id_or_the_beginning_of_it() {
    let sandboxes = Sandboxes::new("ids");
    let id = sandboxes.done(&["create"]).trim().to_owned();
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    for word in [&id[..], &id[..6]] {
        assert_eq!(said(&sandboxes.shell(word, "echo here")), (Some(0), "here\n", ""));
    }
    // Fewer digits could be the name of one that is gone: nothing else is removed in its place.
    for length in 1..6 {
        assert_eq!(sandboxes.call(&["rm", "-f", &id[..length]]).code, Some(1), "{length}");
    }
    assert_eq!(sandboxes.done(&["rm", "-f", &id[..10]]), format!("{}\n", &id[..10]));
    assert_eq!(sandboxes.leavings(), [""; 0]);
}

#[test]
fn a_home_that_counts_from_the_working_directory_is_the_same_for_all() {
    let sandboxes = Sandboxes::new("relative");
    for words in [&["create", "--keep", "box"][..], &["exec", "box", "--", "true"], &["stop", "box"], &["start", "box"]]
    {
        let mut command = sandboxes.command(words);
        let run: Run = command.env("BELLJAR_HOME", "home").current_dir(&sandboxes.0.0).output().expect("start").into();
        assert_eq!(run.code, Some(0), "{words:?}: {run:?}");
    }
    assert_eq!(sandboxes.states(), [("box".to_owned(), "running".to_owned())]);
}

#[test]
fn what_is_not_there_is_named_and_typed() {
    let sandboxes = Sandboxes::new("missing");
    let hint = "belljar: sandbox: no sandbox `none`\nhint: `belljar ls` lists them\n";
    for words in [
        vec!["start", "none"],
        vec!["stop", "none"],
        vec!["rm", "none"],
        vec!["inspect", "none"],
        vec!["wait", "none"],
        vec!["logs", "none"],
        vec!["stats", "none"],
        vec!["rename", "none", "other"],
        vec!["label", "none", "a=b"],
        vec!["resize", "none", "--memory", "1G"],
    ] {
        assert_eq!(sandboxes.call(&words).stderr, hint, "{words:?}");
        assert_eq!(sandboxes.call(&words).code, Some(1), "{words:?}");
    }
    assert_eq!(said(&sandboxes.shell("none", "true")), (Some(125), "", hint));
    let found = sandboxes.result(&[], "none", "true");
    assert_eq!((&found["status"], &found["error"]["kind"]), (&json!("setup_failed"), &json!("not_found")));
    let run = sandboxes.call(&["exec", "../../etc", "--", "true"]);
    assert_eq!(run.stderr, "belljar: sandbox: no sandbox `../../etc`\nhint: `belljar ls` lists them\n");
}

#[test]
fn two_sandboxes_never_have_the_same_name() {
    let sandboxes = Sandboxes::new("names");
    let calls: Vec<Started> = (0..6).map(|_| Started::new(&mut sandboxes.command(&["create", "same"]))).collect();
    let codes: Vec<Option<i32>> = calls.into_iter().map(|call| call.finish().code).collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == Some(1)).count(), 5, "{codes:?}");
    assert_eq!(sandboxes.states(), [("same".to_owned(), "running".to_owned())]);
    let taken =
        "belljar: sandbox: there is a sandbox `same` already\nhint: choose another name, or `belljar rm` that one\n";
    assert_eq!(said(&sandboxes.call(&["create", "same"])), (Some(1), "", taken));
    sandboxes.create("other", &[]);
    assert_eq!(said(&sandboxes.call(&["rename", "other", "same"])), (Some(1), "", taken));
    sandboxes.done(&["rename", "same", "third"]);
    sandboxes.done(&["rename", "other", "same"]);
    assert_eq!(said(&sandboxes.shell("third", "echo third")).1, "third\n");
    assert_eq!(sandboxes.leavings().len(), 4);
}

#[test]
fn what_cannot_be_made_leaves_nothing_and_says_why() {
    let sandboxes = Sandboxes::new("refused");
    let table: [(&[&str], &str, i32); 4] = [
        (&["create", "a/b"], "name: `a/b` is not a valid sandbox name", 2),
        (&["create", "x", "--memory", "1"], "memory:", 2),
        (&["create", "x", "--image", "nowhere"], "image: no image `nowhere` here", 1),
        (&["create", "x", "--mount", "/nonexistent:/mnt"], "mount: source `/nonexistent`", 1),
    ];
    for (words, why, code) in table {
        let run = sandboxes.call(words);
        assert!(run.code == Some(code) && run.stderr.contains(why), "{words:?}: {run:?}");
        assert_eq!(sandboxes.leavings(), [""; 0], "{words:?}");
    }
    assert!(eventually(5, || sandboxes.supervisors().is_empty()), "its supervisor goes on");
}

#[test]
fn a_sandbox_with_a_command_of_its_own_ends_with_it() {
    let sandboxes = Sandboxes::new("command");
    let script = "echo begun; sleep 0.3; echo ended >&2; exit 3";
    assert_eq!(sandboxes.done(&["create", "job", "--", "sh", "-c", script]), "job\n");
    let follower = Started::new(&mut sandboxes.command(&["logs", "-f", "job"]));
    assert_eq!(said(&sandboxes.call(&["wait", "job"])), (Some(3), "3\n", ""));
    assert_eq!(said(&follower.finish()), (Some(0), "begun\nended\n", ""));
    assert_eq!(sandboxes.states(), []);
}

#[test]
fn a_sandbox_says_how_it_ended() {
    let sandboxes = Sandboxes::new("ends");
    let table = [
        ("exit 7", json!("exited"), json!(7), 7),
        ("kill -9 $$", json!("signaled"), json!(null), 137),
        ("exec python3 -c 'b = bytearray(300 << 20)'", json!("out_of_memory"), json!(null), 137),
    ];
    for (script, status, code, exit) in table {
        sandboxes.done(&["create", "--keep", "--memory", "64M", "job", "--", "sh", "-c", script]);
        assert_eq!(sandboxes.call(&["wait", "job"]).code, Some(exit), "{script}");
        assert!(eventually(5, || sandboxes.states() == [("job".to_owned(), "stopped".to_owned())]));
        let found = sandboxes.inspect("job");
        assert_eq!((&found["end"]["status"], &found["end"]["exit_code"]), (&status, &code), "{script}: {found}");
        sandboxes.done(&["rm", "job"]);
    }
}

#[test]
fn everybody_inside_is_asked_to_end_before_they_are_killed() {
    let sandboxes = Sandboxes::new("asked");
    let job = "trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    sandboxes.done(&["create", "--keep", "job", "--", "sh", "-c", job]);
    assert!(eventually(5, || sandboxes.done(&["logs", "job"]) == "ready\n"));
    sandboxes.done(&["stop", "--grace", "5s", "job"]);
    let log = sandboxes.done(&["logs", "job"]);
    assert!(log.starts_with("ready\n") && log.ends_with("asked\n"), "{log}");
    sandboxes.create("deaf", &[]);
    sandboxes.shell("deaf", "trap '' TERM; (while :; do sleep 1; done) >/dev/null 2>&1 &");
    let begun = Instant::now();
    sandboxes.done(&["stop", "--grace", "300ms", "deaf"]);
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn a_sandbox_ends_when_its_time_is_over_or_nobody_calls() {
    let sandboxes = Sandboxes::new("time");
    sandboxes.create("short", &["--ttl", "1s"]);
    sandboxes.create("idle", &["--idle-stop", "1s"]);
    sandboxes.create("kept", &["--keep", "--idle-stop", "1s"]);
    sandboxes.create("used", &["--idle-rm", "1s"]);
    let long = Started::new(&mut sandboxes.command(&["exec", "used", "--", "sleep", "3"]));
    let left = || sandboxes.states();
    let running = |name: &str| (name.to_owned(), "running".to_owned());
    let stopped = |name: &str| (name.to_owned(), "stopped".to_owned());
    assert!(eventually(10, || left() == [stopped("kept"), running("used")]), "{:?}", left());
    assert_eq!(long.finish().code, Some(0));
    // The time without a call begins when the last one is over: counted from its beginning it would have passed thrice.
    assert_eq!(left(), [stopped("kept"), running("used")]);
    assert!(eventually(10, || left() == [stopped("kept")]), "{:?}", left());
    sandboxes.done(&["start", "kept"]);
    assert!(eventually(10, || left() == [stopped("kept")]), "{:?}", left());
}

#[test]
fn how_long_a_sandbox_lasts_is_changed_while_it_does() {
    let sandboxes = Sandboxes::new("lasting");
    sandboxes.create("short", &["--idle-stop", "1s"]);
    sandboxes.create("long", &["--keep"]);
    let told = sandboxes.done(&["life", "--idle-stop", "none", "--ttl", "2h", "short"]);
    assert_eq!(told, "short: not kept; removed after 2h, stopped when idle for never, removed when idle for never\n");
    let told: Value =
        serde_json::from_str(&sandboxes.done(&["life", "--idle-stop", "1s", "long", "--json"])).expect("an object");
    assert_eq!(
        (&told["keep"], &told["idle_stop_seconds"], &told["ttl_seconds"]),
        (&json!(true), &json!(1), &Value::Null)
    );
    let stopped = |name: &str| (name.to_owned(), "stopped".to_owned());
    assert!(eventually(10, || sandboxes.states().contains(&stopped("long"))), "{:?}", sandboxes.states());
    // By its old time it would have ended long ago.
    assert!(sandboxes.states().contains(&("short".to_owned(), "running".to_owned())));
    sandboxes.done(&["life", "--ttl", "1s", "short"]);
    assert!(eventually(10, || sandboxes.states() == [stopped("long")]), "{:?}", sandboxes.states());
    sandboxes.create("box", &[]);
    for (words, why) in [
        (&["life", "box"][..], "ttl: is missing"),
        (&["life", "box", "--keep", "true"], "keep: its files are in memory"),
        (&["life", "box", "--ttl", "soon"], "ttl: `soon`"),
        (&["life", "nobody", "--ttl", "1h"], "nobody"),
    ] {
        let run = sandboxes.call(words);
        assert!(run.code != Some(0) && run.stderr.contains(why), "{words:?}: {run:?}");
    }
}

#[test]
fn a_kept_sandbox_that_is_stopped_has_its_files_until_nobody_has_called_for_its_time() {
    let sandboxes = Sandboxes::new("idle-rm");
    sandboxes.create("box", &["--keep", "--idle-rm", "1h"]);
    sandboxes.shell("box", "echo kept >~/file");
    sandboxes.done(&["stop", "box"]);
    assert_eq!(sandboxes.states(), [("box".to_owned(), "stopped".to_owned())]);
    sandboxes.done(&["start", "box"]);
    assert_eq!(sandboxes.shell("box", "cat ~/file").stdout, "kept\n");
    // And at once where it ends by itself.
    sandboxes.done(&["create", "--keep", "--idle-rm", "1h", "own", "--", "true"]);
    assert!(eventually(10, || sandboxes.states().contains(&("own".to_owned(), "stopped".to_owned()))));
}

#[test]
fn labels_find_what_they_are_given_to() {
    let sandboxes = Sandboxes::new("labels");
    sandboxes.create("red", &["--label", "colour=red", "--label", "size=1"]);
    sandboxes.create("blue", &["--label", "colour=blue"]);
    assert_eq!(sandboxes.done(&["label", "blue", "size=1", "colour="]), "size=1\n");
    let names = |label: &str| {
        let text = sandboxes.done(&["ls", "--label", label]);
        text.lines().skip(1).map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((names("colour=red").len(), names("size=1").len(), names("colour=blue").len()), (1, 2, 0));
    let run = sandboxes.call(&["label", "red", "nothing"]);
    assert_eq!(said(&run), (Some(2), "", "belljar: label: `nothing` is not a label\nhint: write `KEY=VALUE`\n"));
}

#[test]
fn a_label_is_one_line_of_text_wherever_it_comes_from_and_is_printed_as_one() {
    let sandboxes = Sandboxes::new("odd-labels");
    sandboxes.create("box", &["--label", "kept=\u{fc} \"x\\y"]);
    for words in [
        &["label", "box", "a\nb=1"][..],
        &["label", "box", "a=1\u{1b}[2J"],
        &["create", "--label", "a=1\nb=2", "other"],
        &["ls", "--label", "a\u{85}=1"],
    ] {
        let run = sandboxes.call(words);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{words:?}: {run:?}");
        assert!(run.stderr.starts_with("belljar: label: `a"), "{words:?}: {run:?}");
        assert!(run.stderr.ends_with("has control characters in it\nhint: a label is one line of text\n"), "{run:?}");
    }
    assert_eq!(sandboxes.done(&["label", "box"]), "kept=\u{fc} \"x\\y\n");
    assert_eq!(sandboxes.call(&["inspect", "other"]).code, Some(1));
    // What an older belljar has taken is one line all the same.
    let record = sandboxes.home().join("sandboxes");
    let entries =
        std::fs::read_dir(&record).expect("read").map(|entry| entry.expect("an entry").path().join("record.json"));
    let path = entries.into_iter().find(|path| path.is_file()).expect("a record");
    let text = std::fs::read_to_string(&path).expect("read").replace("\"kept\":", "\"a\\nb\":");
    std::fs::write(&path, text).expect("write");
    assert_eq!(sandboxes.done(&["label", "box"]), "a\\nb=\u{fc} \"x\\y\n");
}

#[test]
fn a_running_sandbox_gets_other_limits() {
    let sandboxes = Sandboxes::new("resize");
    sandboxes.create("box", &["--memory", "512M", "--cpus", "2"]);
    sandboxes.done(&["resize", "box", "--memory", "48M", "--cpus", "0.5", "--pids", "20"]);
    let limits = &sandboxes.inspect("box")["limits"];
    assert_eq!(limits, &json!({ "memory_bytes": 48 << 20, "cpus": 0.5, "pids": 20, "disk_bytes": 2_u64 << 30 }));
    let stats: serde_json::Value =
        serde_json::from_str(&sandboxes.done(&["stats", "--json", "box"])).expect("an object");
    assert_eq!((&stats["memory_limit_bytes"], &stats["pids_limit"]), (&json!(48 << 20), &json!(20)));
    let found = sandboxes.result(&[], "box", "exec python3 -c 'b = bytearray(200 << 20)'");
    assert_eq!(found["status"], "out_of_memory", "{found}");
    assert!(eventually(5, || sandboxes.states().is_empty()));
    sandboxes.create("other", &["--disk", "8M"]);
    let fill = "head -c 12000000 /dev/zero > /tmp/f; stat -c %s /tmp/f; rm /tmp/f";
    assert!(sandboxes.shell("other", fill).stderr.contains("No space left on device"));
    sandboxes.done(&["resize", "other", "--disk", "2G"]);
    assert_eq!(sandboxes.shell("other", fill).stdout, "12000000\n");
    assert_eq!(
        sandboxes.shell("other", "df --output=size -B1 /tmp | tail -1").stdout.trim(),
        (768_u64 << 20).to_string()
    );
    assert!(sandboxes.done(&["stats", "--json", "other"]).contains(&format!("\"disk_limit_bytes\":{}", 768_u64 << 20)));
    sandboxes.create("kept", &["--keep", "--disk", "8M"]);
    sandboxes.done(&["resize", "kept", "--disk", "200M"]);
    let slow = "for i in 1 2 3 4; do head -c 12000000 /dev/zero > /tmp/f$i; sleep 0.5; done; echo done";
    assert_eq!(sandboxes.shell("kept", slow).stdout, "done\n");
    let run = sandboxes.call(&["resize", "other", "--disk", "1G"]);
    assert!(run.code == Some(1) && run.stderr.contains("can only be made larger"), "{run:?}");
    let run = sandboxes.call(&["resize", "other"]);
    assert!(run.code == Some(2) && run.stderr.starts_with("belljar: memory: is missing, and so are "), "{run:?}");
}

#[test]
fn a_supervisor_that_is_killed_takes_everything_with_it_and_the_next_call_tells_the_truth() {
    let sandboxes = Sandboxes::new("killed");
    sandboxes.create("gone", &[]);
    sandboxes.create("kept", &["--keep"]);
    let mark = crate::common::mark("killed");
    for name in ["gone", "kept"] {
        sandboxes.shell(name, &format!("echo data > $HOME/file; sh -c 'sleep 1000; :' {mark} >/dev/null 2>&1 &"));
    }
    let command = Started::new(&mut sandboxes.command(&["exec", "kept", "--", "sleep", "1000"]));
    // And at most two who stand inside for the next command.
    let pids = || sandboxes.done(&["stats", "--json", "kept"]);
    assert!(eventually(5, || [4, 5, 6].iter().any(|count| pids().contains(&format!("\"pids\":{count}")))));
    kill_all(sandboxes.supervisors());
    assert_eq!(command.finish().code, Some(125));
    // A process that was killed lives until it is its turn.
    let states = || sandboxes.states();
    assert!(eventually(5, || states() == [("kept".to_owned(), "lost".to_owned())]), "{:?}", states());
    let left = || crate::common::processes_with(&mark);
    assert!(eventually(5, || left().is_empty()), "left behind: {:?}", left());
    assert_eq!(sandboxes.shell("kept", "true").code, Some(125));
    sandboxes.done(&["start", "kept"]);
    assert_eq!(said(&sandboxes.shell("kept", "cat $HOME/file")), (Some(0), "data\n", ""));
    sandboxes.done(&["rm", "-f", "kept"]);
    assert_eq!(sandboxes.leavings(), [""; 0]);
}

#[test]
fn calls_that_race_for_one_sandbox_end_in_one_state() {
    let sandboxes = Sandboxes::new("race");
    for round in 0..scaled_from(2, 6) {
        sandboxes.create("box", &["--keep"]);
        let verbs: [&[&str]; 6] = [
            &["stop", "box"],
            &["start", "box"],
            &["exec", "box", "--", "true"],
            &["rm", "-f", "box"],
            &["stop", "box"],
            &["inspect", "box"],
        ];
        let calls: Vec<Started> = verbs.iter().map(|words| Started::new(&mut sandboxes.command(words))).collect();
        for (call, words) in calls.into_iter().zip(verbs) {
            let run = call.finish();
            let typed = ["no sandbox `", "is not running", "is running", "has ended meanwhile"];
            let expected = run.code == Some(0) || typed.iter().any(|why| run.stderr.contains(why));
            assert!(expected, "round {round}: {words:?}: {run:?}");
        }
        if !sandboxes.states().is_empty() {
            sandboxes.done(&["rm", "-f", "box"]);
        }
        assert_eq!(sandboxes.leavings(), [""; 0]);
        assert!(eventually(5, || sandboxes.supervisors().is_empty()));
    }
}

#[test]
fn a_caller_that_is_killed_at_any_moment_leaves_a_sandbox_that_can_be_listed_and_removed() {
    let sandboxes = Sandboxes::new("callers");
    for moment in Chance::new("callers").sample(0..40) {
        let call = Started::new(&mut sandboxes.command(&["create", "--keep", "box"]));
        std::thread::sleep(Duration::from_micros(moment * 250));
        call.signal(Signal::SIGKILL);
        call.finish();
        assert!(
            eventually(5, || sandboxes
                .states()
                .iter()
                .all(|(_, state)| state == "running" || state == "stopped" || state == "lost")),
            "{:?}",
            sandboxes.states()
        );
        for entry in sandboxes.states() {
            sandboxes.done(&["rm", "-f", &entry.0]);
        }
        // What was being filled goes a minute later; nobody sees it.
        assert!(sandboxes.leavings().iter().all(|name| name.starts_with("new.")), "{:?}", sandboxes.leavings());
    }
    assert!(eventually(5, || sandboxes.supervisors().is_empty()));
}
