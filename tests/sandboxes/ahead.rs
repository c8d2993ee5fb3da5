//! Workers of `belljar rpc` that wait for requests: each is used once, and what waits is never seen in what is answered.

use crate::common::eventually;
use crate::common::sandboxes::Sandboxes;
use crate::rpc::Driver;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

fn children(pid: i32) -> BTreeSet<i32> {
    let told = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    told.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Two workers that wait.
fn waiting(driver: &Driver) -> BTreeSet<i32> {
    assert!(eventually(10, || children(driver.pid()).len() == 2), "{:?}", children(driver.pid()));
    children(driver.pid())
}

fn signal(pids: &BTreeSet<i32>, signal: Signal) {
    pids.iter().for_each(|pid| kill(Pid::from_raw(*pid), signal).expect("it is there"));
}

/// The state of a process, as in `/proc/PID/stat`; nothing where it has ended.
fn state(pid: i32) -> Option<String> {
    let told = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    told.rsplit(')').next()?.split_ascii_whitespace().next().filter(|state| *state != "Z").map(str::to_owned)
}

fn stopped(pids: &BTreeSet<i32>) {
    signal(pids, Signal::SIGSTOP);
    assert!(eventually(5, || pids.iter().all(|pid| state(*pid).as_deref() == Some("T"))));
}

fn exec(script: &str) -> Value {
    json!({ "name": "box", "command": ["sh", "-c", script] })
}

#[test]
fn workers_wait_for_requests_and_each_does_one() {
    let sandboxes = Sandboxes::new("ahead");
    sandboxes.create("box", &[]);
    let mut driver = Driver::new(&sandboxes);
    let mut used = BTreeSet::new();
    for _ in 0..3 {
        let before = waiting(&driver);
        assert!(before.is_disjoint(&used), "{before:?}, {used:?}");
        driver.asks(1, "exec", json!({ "name": "box", "command": ["cat"], "input": true }));
        // As many wait as before, and one of them works.
        assert!(eventually(10, || children(driver.pid()).len() == 3));
        driver.asks(2, "input", json!({ "id": 1, "data": "hello", "end": true }));
        let answers = [driver.hears(), driver.hears()];
        assert!(answers.iter().any(|answer| answer["result"]["stdout"] == "hello"), "{answers:?}");
        let after = waiting(&driver);
        let gone: BTreeSet<i32> = before.difference(&after).copied().collect();
        assert_eq!(gone.len(), 1, "{before:?}, {after:?}");
        used.extend(gone);
    }
    assert_eq!(driver.ends(), Some(0));
}

#[test]
fn nobody_waits_where_that_is_not_wanted_or_the_end_has_come() {
    let sandboxes = Sandboxes::new("ahead-none");
    let mut driver = Driver::of(sandboxes.command(&["rpc", "--workers", "0"]));
    for _ in 0..2 {
        driver.result("ls", json!({}));
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(children(driver.pid()), BTreeSet::new());
    }
    let driver = Driver::new(&sandboxes);
    let (pids, mut killed) = (waiting(&driver), Driver::new(&sandboxes));
    assert_eq!(driver.ends(), Some(0));
    assert!(pids.iter().all(|pid| state(*pid).is_none()), "nobody is left by the time it has ended");
    let pids = waiting(&killed);
    killed.result("ls", json!({}));
    killed.killed();
    assert!(eventually(10, || pids.iter().all(|pid| state(*pid).is_none())));
    for (words, wrong) in [(["rpc", "--workers", "17"], "17"), (["rpc", "--workers", "x"], "x")] {
        let run = sandboxes.call(&words);
        let told = format!("belljar: workers: `{wrong}`: is not a number from 0 to 16\n");
        assert!(run.code == Some(2) && run.stderr.starts_with(&told), "{run:?}");
    }
}

#[test]
fn who_waits_ends_with_rpc_though_signals_are_blocked() {
    let sandboxes = Sandboxes::new("ahead-blocked");
    let rpc = sandboxes.command(&["rpc"]);
    let mut blocked = Command::new("env");
    blocked.arg("--block-signal=TERM").arg(rpc.get_program()).args(rpc.get_args());
    blocked.envs(rpc.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let driver = Driver::of(blocked);
    let pids = waiting(&driver);
    driver.killed();
    assert!(eventually(10, || pids.iter().all(|pid| state(*pid).is_none())));
}

#[test]
fn a_worker_that_died_before_it_was_asked_costs_its_request_nothing() {
    let sandboxes = Sandboxes::new("ahead-died");
    sandboxes.create("box", &[]);
    let mut driver = Driver::new(&sandboxes);
    for _ in 0..10 {
        signal(&waiting(&driver), Signal::SIGKILL);
        assert_eq!(driver.result("exec", exec("echo hello"))["stdout"], "hello\n");
    }
    // Whatever kills them all keeps it busy for a while only: until somebody asks.
    let killed = || {
        for pid in children(driver.pid()) {
            // It may have gone by itself.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(50));
        children(driver.pid()).is_empty()
    };
    assert!(eventually(10, killed));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(children(driver.pid()), BTreeSet::new());
    driver.result("ls", json!({}));
    waiting(&driver);
}

#[test]
fn a_worker_that_died_with_its_request_unread_is_replaced_and_input_is_given_once() {
    let sandboxes = Sandboxes::new("ahead-unread");
    sandboxes.create("box", &[]);
    let mut driver = Driver::new(&sandboxes);
    let cat = |input: Value| json!({ "name": "box", "command": ["cat"], "input": input });
    let mut pids = waiting(&driver);
    stopped(&pids);
    driver.asks(1, "exec", cat("all of it".into()));
    driver.result("version", json!({}));
    signal(&pids, Signal::SIGKILL);
    let answer = driver.hears();
    assert_eq!(answer["result"]["stdout"], "all of it", "{answer}");

    pids = waiting(&driver);
    stopped(&pids);
    driver.asks(1, "exec", cat(true.into()));
    driver.asks(2, "input", json!({ "id": 1, "data": "in " }));
    driver.asks(3, "input", json!({ "id": 1, "data": "parts", "end": true }));
    driver.asks(4, "version", json!({}));
    assert_eq!(driver.hears()["id"], 4, "who gives input is answered when somebody has it");
    signal(&pids, Signal::SIGKILL);
    let answers: Vec<Value> = (0..3).map(|_| driver.hears()).collect();
    assert!(answers.iter().all(|answer| answer["error"].is_null()), "{answers:?}");
    assert!(answers.iter().any(|answer| answer["result"]["stdout"] == "in parts"), "{answers:?}");
}

#[test]
fn a_request_is_cancelled_whether_its_worker_has_read_it_or_not() {
    let sandboxes = Sandboxes::new("ahead-cancel");
    sandboxes.create("box", &[]);
    let mut driver = Driver::new(&sandboxes);
    let pids = waiting(&driver);
    stopped(&pids);
    driver.asks(1, "exec", exec("sleep 100"));
    driver.asks(2, "cancel", json!({ "id": 1 }));
    assert_eq!(driver.hears()["id"], 2);
    signal(&pids, Signal::SIGCONT);
    let answer = driver.hears();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(-32800)), "{answer}");
    driver.asks(3, "exec", json!({ "name": "box", "command": ["sh", "-c", "echo; exec sleep 100"], "stream": true }));
    assert_eq!(driver.hears()["params"]["data"], "\n");
    driver.asks(4, "cancel", json!({ "id": 3 }));
    assert_eq!(driver.hears()["id"], 4);
    assert_eq!(driver.hears()["result"]["signal"], "SIGTERM");
}

#[test]
fn what_others_change_of_rpc_holds_for_the_next_request() {
    let sandboxes = Sandboxes::new("ahead-changed");
    sandboxes.create("box", &[]);
    let mut driver = Driver::new(&sandboxes);
    let of = |pid: i32, name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let nice = |pid: i32| of(pid, "stat").rsplit(')').next().and_then(|rest| Some(rest.split(' ').nth(17)?.to_owned()));
    let queue = |pid: i32| {
        let told = of(pid, "limits");
        let line = told.lines().find(|line| line.starts_with("Max msgqueue size")).expect("a limit");
        line.split_ascii_whitespace().nth(3).map(str::to_owned)
    };
    let mut change = |program: &str, words: &[&str], holds: &dyn Fn(i32) -> bool| {
        let before = waiting(&driver);
        let changed = Command::new(program).args(words).arg(driver.pid().to_string()).output().expect("it is there");
        assert!(changed.status.success(), "{changed:?}");
        driver.asks(1, "exec", json!({ "name": "box", "command": ["cat"], "input": true }));
        // Those that are not used any more take a moment to be gone.
        let anew = || Some(children(driver.pid())).filter(|now| now.len() == 3 && now.is_disjoint(&before));
        assert!(eventually(10, || anew().is_some()), "{program}: {before:?}, {:?}", children(driver.pid()));
        assert!(anew().is_some_and(|now| now.iter().all(|pid| holds(*pid))), "{program}");
        driver.asks(2, "input", json!({ "id": 1, "end": true }));
        let answers = [driver.hears(), driver.hears()];
        assert!(answers.iter().any(|answer| answer["result"]["exit_code"] == 0), "{answers:?}");
    };
    change("renice", &["-n", "5", "-p"], &|pid| nice(pid).as_deref() == Some("5"));
    change("prlimit", &["--msgqueue=1000:", "--pid"], &|pid| queue(pid).as_deref() == Some("1000"));
}

#[test]
fn as_many_requests_are_in_flight_as_there_are_descriptors_for() {
    let sandboxes = Sandboxes::new("ahead-descriptors");
    sandboxes.create("box", &[]);
    let mut count = Vec::new();
    for workers in ["0", "2"] {
        let rpc = sandboxes.command(&["rpc", "--workers", workers]);
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n 40; exec \"$@\"", "sh"]).arg(rpc.get_program()).args(rpc.get_args());
        shell.envs(rpc.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut driver = Driver::of(shell);
        std::thread::sleep(Duration::from_millis(200));
        for id in 0..20 {
            driver.asks(id, "exec", json!({ "name": "box", "command": ["cat"], "input": true }));
        }
        driver.asks("last", "version", json!({}));
        let answers: Vec<Value> =
            std::iter::repeat_with(|| driver.hears()).take_while(|said| said["id"] != "last").collect();
        assert!(answers.iter().all(|answer| answer["error"]["code"] == -32603), "{answers:?}");
        count.push(20 - answers.len());
    }
    assert!(count[0] == count[1] && count[0] > 3, "{count:?}");
}
