//! A template as a sandbox that lasts.

use crate::common::{Started, eventually, processes_with, stdout};
use crate::{known, run, template};
use serde_json::{Value, json};

#[test]
fn a_template_is_listed_and_is_gone_with_everything_that_waits() {
    let sandboxes = template("warm-listed", &["--ready", "3", "--preload", "import json"]);
    assert!(eventually(20, || known(&sandboxes)["now"]["parked"] == 3), "{}", known(&sandboxes));
    let listed = sandboxes.done(&["warm", "ls"]);
    assert!(listed.contains("numbers") && listed.contains("3/3") && listed.contains("import json"), "{listed}");
    let mark = sandboxes.inspect("numbers")["id"].as_str().expect("an id").to_owned();
    assert_eq!(processes_with(&mark).len(), 2, "its supervisor, and its maker");
    assert_eq!(sandboxes.done(&["warm", "rm", "numbers"]), "numbers\n");
    assert!(eventually(10, || processes_with(&mark).is_empty()), "{:?}", processes_with(&mark));
    assert_eq!(sandboxes.leavings(), Vec::<String>::new());
}

#[test]
fn a_template_that_nobody_uses_ends_by_itself() {
    let sandboxes = template("warm-idle", &["--idle-stop", "1s"]);
    run(&sandboxes, &[], "print(1)");
    assert!(eventually(20, || sandboxes.states().is_empty()), "{:?}", sandboxes.states());
}

#[test]
fn its_stats_say_what_it_costs() {
    let sandboxes = template("warm-stats", &[]);
    let stats: Value = serde_json::from_str(&sandboxes.done(&["stats", "--json", "numbers"])).expect("an object");
    assert!(stats["memory_bytes"].as_u64().expect("a number") > 1 << 20, "{stats}");
    assert!(eventually(20, || known(&sandboxes)["now"]["parked"] == 2));
    let now = known(&sandboxes)["now"].clone();
    let each = now["parked_bytes"].as_u64().expect("a number") / 2;
    assert!(each > 100 << 10 && each < 8 << 20, "{now}");
    assert!(now["interpreter"]["rss"].as_u64().expect("a number") > 1 << 20, "{now}");
    assert!(now["interpreter"]["version"].as_str().expect("text").starts_with("3."), "{now}");
}

/// The process of the template's interpreter.
fn interpreter(sandboxes: &crate::Sandboxes) -> i32 {
    let found = try_interpreter(sandboxes);
    found.unwrap_or_else(|| panic!("no interpreter below {:?}", sandboxes.supervisors()))
}

fn try_interpreter(sandboxes: &crate::Sandboxes) -> Option<i32> {
    let supervisors = sandboxes.supervisors();
    let children = |of: i32| -> Vec<i32> {
        let listed = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
        listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    };
    let below: Vec<i32> = supervisors.iter().flat_map(|pid| children(*pid)).flat_map(children).collect();
    let python =
        |pid: &&i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("python"));
    // Copies are below spares, and those below the maker: further down.
    below.iter().find(python).copied()
}

#[test]
fn a_template_whose_interpreter_was_killed_is_made_anew() {
    let sandboxes = template("warm-anew", &["--preload", "import decimal"]);
    std::thread::sleep(std::time::Duration::from_millis(1200));
    let before = interpreter(&sandboxes);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(before), nix::sys::signal::Signal::SIGKILL).expect("kill it");
    let parked = || run(&sandboxes, &[], "import sys; print('decimal' in sys.modules)")["warm"]["how"] == "parked";
    assert!(eventually(20, parked), "{}", sandboxes.done(&["warm", "ls", "--json"]));
    assert_ne!(interpreter(&sandboxes), before);
}

#[test]
fn a_template_that_nobody_waits_for_any_more_is_not_made() {
    let sandboxes = crate::Sandboxes::new("warm-left");
    let words = [&["warm", "create", "--image", "host"], crate::allowed_to_be_missing()].concat();
    let words = [&words[..], &["--preload", "while True: pass", "numbers"]].concat();
    for signal in [nix::sys::signal::Signal::SIGINT, nix::sys::signal::Signal::SIGKILL] {
        let maker = Started::new(&mut sandboxes.command(&words));
        assert!(eventually(20, || !sandboxes.supervisors().is_empty()), "nobody makes it");
        // Its interpreter has begun.
        std::thread::sleep(std::time::Duration::from_millis(700));
        maker.signal(signal);
        assert_ne!(maker.end_signal(), None);
        assert!(eventually(20, || sandboxes.supervisors().is_empty()), "{signal}: {:?}", sandboxes.states());
        assert_eq!(sandboxes.leavings(), Vec::<String>::new());
    }
}

/// Begins to make one whose preload has no end.
fn endless(sandboxes: &crate::Sandboxes, options: &[&str]) -> Started {
    let words = [&["warm", "create", "--image", "host"], crate::allowed_to_be_missing(), options].concat();
    let words = [&words[..], &["--preload", "while True: pass", "numbers"]].concat();
    let maker = Started::new(&mut sandboxes.command(&words));
    assert!(eventually(20, || !sandboxes.supervisors().is_empty()), "nobody makes it");
    std::thread::sleep(std::time::Duration::from_millis(500));
    maker
}

#[test]
fn a_template_that_is_not_ready_yet_keeps_nobody_waiting() {
    let sandboxes = crate::Sandboxes::new("warm-endless");
    for end in [&["rm", "-f", "numbers"][..], &["stop", "numbers"], &["warm", "rm", "numbers"]] {
        let maker = endless(&sandboxes, &[]);
        assert_eq!(sandboxes.states(), [("numbers".to_owned(), "starting".to_owned())]);
        let begun = std::time::Instant::now();
        let cold = run(&sandboxes, &[], "print(1)");
        assert_eq!((stdout(&cold), &cold["warm"]["how"]), ("1\n", &json!("cold")), "{cold}");
        let inside = sandboxes.call(&["exec", "numbers", "--", "true"]);
        assert!(inside.code == Some(125) && inside.stderr.contains("its preload still runs"), "{inside:?}");
        sandboxes.done(end);
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{end:?} took {:?}", begun.elapsed());
        let told = maker.finish();
        assert!(told.code == Some(1) && told.stderr.contains("was ended before it was ready"), "{end:?}: {told:?}");
        assert_eq!((sandboxes.states(), sandboxes.leavings()), (Vec::new(), Vec::new()));
    }
}

#[test]
fn a_preload_has_so_much_time_and_no_more() {
    let sandboxes = crate::Sandboxes::new("warm-late");
    let told = endless(&sandboxes, &["--preload-timeout", "1s"]).finish();
    assert!(told.code == Some(1) && told.stderr.contains("has not come to its end within 1s"), "{told:?}");
    assert!(told.stderr.contains("hint: give it more time with `--preload-timeout`"), "{told:?}");
    assert_eq!((sandboxes.states(), sandboxes.leavings()), (Vec::new(), Vec::new()));
}

#[test]
fn a_template_that_is_not_ready_yet_is_not_started_again_and_has_its_time() {
    let sandboxes = crate::Sandboxes::new("warm-starting");
    let maker = endless(&sandboxes, &["--ttl", "8s"]);
    let begun = std::time::Instant::now();
    let again = sandboxes.call(&["start", "numbers"]);
    assert!(again.code == Some(1) && again.stderr.contains("is running"), "{again:?}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    let told = maker.finish();
    assert!(told.code == Some(1) && told.stderr.contains("was ended before it was ready"), "{told:?}");
    assert_eq!((sandboxes.states(), sandboxes.leavings()), (Vec::new(), Vec::new()));
}

#[test]
fn who_waits_for_a_copy_waits_no_longer_than_the_run_may_take() {
    // Each copy loops from two seconds on.
    let preload = "import os, time\nend = time.time() + 2\ndef loop():\n while time.time() > end: pass\nos.register_at_fork(after_in_child=loop)";
    let sandboxes = template("warm-loops", &["--ready", "0", "--preload", preload]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    let begun = std::time::Instant::now();
    let cold = run(&sandboxes, &["--timeout", "4s"], "print(1)");
    assert_eq!((stdout(&cold), &cold["warm"]["how"]), ("1\n", &json!("cold")), "{cold}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(9), "{:?}", begun.elapsed());
}

#[test]
fn a_template_that_ends_again_and_again_is_not_made_anew_for_ever() {
    let sandboxes = template("warm-vain", &["--ready", "0"]);
    let begun = std::time::Instant::now();
    while !sandboxes.states().is_empty() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", sandboxes.states());
        if sandboxes.states().iter().any(|(_, state)| state == "running") {
            std::thread::sleep(std::time::Duration::from_millis(1100));
            let found = try_interpreter(&sandboxes);
            if let Some(pid) = found {
                // It may have ended by itself.
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            }
        }
    }
    assert_eq!(sandboxes.leavings(), Vec::<String>::new());
}

#[test]
fn what_cannot_be_a_template_or_be_copied_from_one_says_so() {
    let sandboxes = template("warm-copied", &[]);
    let copied = sandboxes.call(&["fork", "numbers"]);
    assert!(copied.code == Some(2) && copied.stderr.contains("is a warm template"), "{copied:?}");
    sandboxes.create("box", &[]);
    sandboxes.done(&["snapshot", "create", "box", "kept"]);
    let words = [&["warm", "create", "--image", "kept"], crate::allowed_to_be_missing(), &["other"]].concat();
    let made = sandboxes.call(&words);
    assert!(made.code == Some(2) && made.stderr.contains("image: a snapshot"), "{made:?}");
}
