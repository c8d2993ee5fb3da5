//! Jobs that are ended: by time, by a verb, by a caller who goes; and keepers that answer nobody.

use crate::common::sandboxes::Sandboxes;
use crate::common::{Started, eventually, installed, said};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A sandbox with a shell in it.
fn with_shell(name: &str) -> Sandboxes {
    let sandboxes = Sandboxes::new(name);
    sandboxes.create("box", &[]);
    sandboxes.done(&["session", "create", "box", "sh"]);
    sandboxes
}

fn ends(sandboxes: &Sandboxes) -> Vec<Value> {
    let listed: Value = serde_json::from_str(&sandboxes.done(&["session", "ls", "box", "--json"])).expect("an object");
    listed["sessions"][0]["jobs"].as_array().expect("a list").iter().map(|job| job["end"].clone()).collect()
}

#[test]
fn a_caller_who_goes_takes_his_job_with_him() {
    let sandboxes = with_shell("goes");
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
        let mut caller =
            Started::new(&mut sandboxes.command(&["session", "exec", "box", "sh", "echo begun; sleep 60; echo after"]));
        assert_eq!(caller.first_line(), "begun");
        caller.signal(signal);
        caller.finish();
        // What comes behind it does not wait for it.
        let began = Instant::now();
        assert_eq!(said(&sandboxes.call(&["session", "exec", "box", "sh", "echo next"])), (Some(0), "next\n", ""));
        assert!(began.elapsed() < Duration::from_secs(30), "{signal}");
    }
    let interrupted = ends(&sandboxes).iter().filter(|end| end["interrupted"] == json!(true)).count();
    assert_eq!(interrupted, 4);
}

#[test]
fn a_job_is_interrupted_by_a_verb_and_those_behind_it_go_on() {
    let sandboxes = with_shell("verb");
    let nothing = "belljar: nothing runs in the session `sh`\n";
    assert_eq!(said(&sandboxes.call(&["session", "interrupt", "box", "sh"])), (Some(1), "", nothing));
    sandboxes.done(&["session", "exec", "-d", "box", "sh", "sleep 60"]);
    sandboxes.done(&["session", "exec", "-d", "box", "sh", "echo never"]);
    sandboxes.done(&["session", "exec", "-d", "box", "sh", "echo third"]);
    sandboxes.done(&["session", "interrupt", "box", "sh", "2"]);
    sandboxes.done(&["session", "interrupt", "box", "sh"]);
    let ended = "belljar: ended: it was interrupted\n";
    assert_eq!(
        said(&sandboxes.call(&["session", "logs", "-f", "box", "sh", "1"])),
        (Some(130), "", "Terminated\nbelljar: ended: it was interrupted\n")
    );
    assert_eq!(said(&sandboxes.call(&["session", "logs", "-f", "box", "sh", "2"])), (Some(130), "", ended));
    assert_eq!(said(&sandboxes.call(&["session", "logs", "-f", "box", "sh", "3"])), (Some(0), "third\n", ""));
    assert_eq!(sandboxes.call(&["session", "interrupt", "box", "sh", "9"]).code, Some(1));
    let over = "belljar: the job 3 has ended\n";
    assert_eq!(said(&sandboxes.call(&["session", "interrupt", "box", "sh", "3"])), (Some(1), "", over));
}

#[test]
fn the_time_of_a_job_counts_from_the_call() {
    let sandboxes = with_shell("from-the-call");
    sandboxes.done(&["session", "exec", "-d", "box", "sh", "sleep 60"]);
    let began = Instant::now();
    let run = sandboxes.call(&["session", "exec", "--timeout", "500ms", "box", "sh", "echo never"]);
    assert_eq!(said(&run), (Some(124), "", "belljar: ended: its deadline passed\n"));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    sandboxes.done(&["session", "interrupt", "box", "sh"]);
    assert_eq!(said(&sandboxes.call(&["session", "exec", "box", "sh", "echo free"])), (Some(0), "free\n", ""));
}

#[test]
fn what_earlier_lines_have_left_in_the_background_outlives_an_interrupt() {
    let sandboxes = with_shell("background");
    sandboxes.done(&["session", "exec", "box", "sh", "sleep 1013 & echo $! > /tmp/pid; sleep 0.1"]);
    assert_eq!(sandboxes.call(&["session", "exec", "--timeout", "300ms", "box", "sh", "sleep 60"]).code, Some(124));
    assert_eq!(
        said(&sandboxes.call(&["session", "exec", "box", "sh", "kill -0 $(cat /tmp/pid) && echo lives"])),
        (Some(0), "lives\n", "")
    );
}

#[test]
fn lines_that_signal_their_group_or_hide_what_we_use_end_neither_keeper_nor_shell() {
    let sandboxes = with_shell("group");
    let exec = |lines: &str| sandboxes.call(&["session", "exec", "box", "sh", lines]);
    exec("kept=1");
    assert_eq!(exec("bash -c 'trap \"kill 0\" EXIT; sleep .1'").code, Some(143));
    assert_eq!(exec("bash -c 'kill -9 0'").code, Some(137));
    assert_eq!(exec("sh -c 'kill -STOP $$'; true").code, Some(0));
    assert_eq!(exec("echo() { :; }; printf() { :; }; IFS=0123456789; (exit 12)").code, Some(12));
    assert_eq!(exec("unset -f echo printf; unset IFS; set -C; echo $kept").stdout, "1\n");
    // What ends the shell itself ends the session, and the keeper says so.
    let run = exec("kill -9 0");
    assert_eq!(said(&run), (Some(137), "", "belljar: the session has ended with it\n"));
}

#[test]
fn the_status_of_the_last_lines_is_there_for_the_next() {
    let sandboxes = with_shell("status");
    let exec = |lines: &str| sandboxes.call(&["session", "exec", "box", "sh", lines]);
    assert_eq!(exec("(exit 7)").code, Some(7));
    assert_eq!(exec("echo $?").stdout, "7\n");
    assert_eq!(exec("echo $?").stdout, "0\n");
    // As no failure of its own: nobody who hears of failures hears of it twice.
    assert_eq!(exec("trap 'echo heard' ERR; (exit 3)").stdout, "heard\n");
    assert_eq!(exec("echo $?; set -e").stdout, "3\n");
    assert_eq!(exec("echo still").stdout, "still\n");
}

#[test]
fn a_session_whose_keeper_was_killed_is_lost_and_says_so() {
    let sandboxes = with_shell("lost");
    let kill =
        "for p in /proc/[0-9]*; do grep -q [k]eep-session $p/cmdline && kill -9 ${p#/proc/}; done 2>/dev/null; true";
    sandboxes.shell("box", kill);
    let lost = "belljar: the session `sh` is lost: what kept it was killed, or the sandbox was stopped since\nhint: make another; what it had set is gone\n";
    assert_eq!(said(&sandboxes.call(&["session", "exec", "box", "sh", "true"])), (Some(1), "", lost));
    assert_eq!(said(&sandboxes.call(&["session", "create", "box", "sh"])), (Some(0), "sh\n", ""));
    sandboxes.shell("box", kill);
    // Made anew without a look at the old one.
    assert_eq!(said(&sandboxes.call(&["session", "create", "box", "sh"])), (Some(0), "sh\n", ""));
    assert_eq!(said(&sandboxes.call(&["session", "exec", "box", "sh", "echo new"])), (Some(0), "new\n", ""));
    if installed("python3") {
        let code = |text| sandboxes.call(&["code", "--sandbox", "box", "--context", "py", "python", "-e", text]);
        code("x = 1");
        sandboxes.shell("box", kill);
        let anew = "belljar: the context `py` had ended and was started anew: what it had set is gone\n";
        assert_eq!(said(&code("'x' in globals()")), (Some(0), "False\n", anew));
    }
}

#[test]
fn a_keeper_that_is_stopped_is_listed_and_removed() {
    let sandboxes = with_shell("stopped");
    let stop =
        "for p in /proc/[0-9]*; do grep -q [k]eep-session $p/cmdline && kill -STOP ${p#/proc/}; done 2>/dev/null; true";
    sandboxes.done(&["session", "exec", "-d", "box", "sh", "sleep 1014"]);
    sandboxes.shell("box", stop);
    let began = Instant::now();
    let listed = sandboxes.done(&["session", "ls", "box"]);
    assert!(listed.contains("does not answer"), "{listed}");
    let run = sandboxes.call(&["session", "exec", "--timeout", "1s", "box", "sh", "true"]);
    assert!(run.code == Some(1) && run.stderr.contains("does not answer"), "{run:?}");
    assert_eq!(said(&sandboxes.call(&["session", "rm", "box", "sh"])), (Some(0), "", ""));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let left =
        || sandboxes.shell("box", "grep -l [1]014 /proc/[0-9]*/cmdline 2>/dev/null | grep -v self | wc -l").stdout;
    assert!(eventually(10, || left().trim() == "0"), "{}", left());
    assert_eq!(said(&sandboxes.call(&["session", "create", "box", "sh"])), (Some(0), "sh\n", ""));
}

#[test]
fn a_memory_limit_that_ends_a_sandbox_with_its_sessions_is_named() {
    if !installed("python3") {
        return;
    }
    let sandboxes = Sandboxes::new("memory-limit");
    for (name, words) in [
        ("a", &["code", "--sandbox", "a", "--context", "py", "python", "-e", "x = bytearray(900 << 20)"][..]),
        ("b", &["session", "exec", "b", "sh", "python3 -c 'x = bytearray(900 << 20)'"]),
    ] {
        sandboxes.create(name, &["--memory", "300M"]);
        sandboxes.done(&["session", "create", name, "sh"]);
        let run = sandboxes.call(words);
        assert!(run.stderr.contains("its memory limit was passed") && run.code != Some(0), "{run:?}");
    }
}

#[test]
fn what_python_has_written_before_its_time_was_over_is_there() {
    if !installed("python3") {
        return;
    }
    let sandboxes = Sandboxes::new("unbuffered");
    sandboxes.create("box", &[]);
    let words =
        ["code", "--sandbox", "box", "--timeout", "1s", "python", "-e", "print('x')\nimport time; time.sleep(60)"];
    let run = sandboxes.call(&words);
    assert_eq!((run.code, run.stdout.as_str()), (Some(124), "x\n"), "{run:?}");
}
