//! Sandboxes that `belljar rpc --ready N` makes before somebody asks for them: nobody sees them, and who gets one sees no difference.

use crate::common::images::Image;
use crate::common::sandboxes::Sandboxes;
use crate::common::{eventually, installed};
use crate::rpc::Driver;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

fn driver(sandboxes: &Sandboxes, count: &str) -> Driver {
    Driver::of(sandboxes.command(&["rpc", "--ready", count]))
}

/// The ids of so many.
fn waits(sandboxes: &Sandboxes, count: usize) -> BTreeSet<String> {
    assert!(eventually(20, || sandboxes.ready().len() == count), "{:?}", sandboxes.leavings());
    // Whoever makes them has said so too.
    std::thread::sleep(Duration::from_millis(200));
    sandboxes.ready()
}

fn id(made: &Value) -> String {
    made["id"].as_str().expect("an id").to_owned()
}

/// Asks for one, which must be one of those.
fn taken(driver: &mut Driver, parameters: Value, from: &BTreeSet<String>) -> Value {
    let made = driver.result("create", parameters);
    assert!(from.contains(&id(&made)), "{made}, {from:?}");
    made
}

#[test]
fn one_that_was_ready_is_as_one_that_was_made_just_now() {
    let sandboxes = Sandboxes::new("ready");
    let mut driver = driver(&sandboxes, "2");
    let wish = |name: &str| json!({ "name": name, "memory": "256M", "env": { "A": "b" }, "label": { "for": name } });
    let first = driver.result("create", wish("first"));
    let from = waits(&sandboxes, 2);
    std::thread::sleep(Duration::from_secs(2));
    let second = taken(&mut driver, wish("second"), &from);
    let known = ["first", "second"].map(|name| sandboxes.inspect(name));
    let but = |object: &Value, names: &[&str]| {
        let mut object = object.as_object().expect("an object").clone();
        names.iter().for_each(|name| drop(object.remove(*name).expect("is there")));
        object
    };
    assert_eq!(but(&first, &["id", "name"]), but(&second, &["id", "name"]));
    let own = ["id", "name", "labels", "created", "started"];
    assert_eq!(but(&known[0], &own), but(&known[1], &own));
    assert_eq!((&known[1]["name"], &known[1]["labels"]), (&json!("second"), &json!({ "for": "second" })));
    // As text, which sorts by time; seconds at most lie between making and starting one.
    for name in ["created", "started"] {
        let times = [0, 1].map(|at: usize| known[at][name].as_str().expect("a time").to_owned());
        assert!(times[0] < times[1], "{times:?}");
    }
    let stats: Value = serde_json::from_str(&sandboxes.done(&["stats", "--json", "second"])).expect("an object");
    assert!(stats["uptime_ms"].as_u64().is_some_and(|up| up < 2000) && stats["leases"] == 0, "{stats}");
    let script = "echo $A; id -u; cat /proc/self/status | grep -c 'NoNewPrivs:.1'; ls -A /tmp | wc -l";
    let said = ["first", "second"].map(|name| sandboxes.shell(name, script).stdout);
    assert!(said[0] == said[1] && said[0].starts_with("b\n"), "{said:?}");
    // It is by itself now.
    driver.killed();
    let names = ["first", "second"].map(|name| (name.to_owned(), "running".to_owned()));
    assert!(eventually(10, || sandboxes.supervisors().len() == 2), "{:?}", sandboxes.leavings());
    assert_eq!(sandboxes.states(), names);
    sandboxes.done(&["stop", "second"]);
    assert_eq!(sandboxes.states(), names[..1]);
    assert!(sandboxes.call(&["wait", "second"]).code.is_some_and(|code| code > 128), "how it ended is known");
}

#[test]
fn those_that_were_taken_are_made_anew_and_nothing_of_one_is_seen_in_the_next() {
    let sandboxes = Sandboxes::new("ready-anew");
    let mut driver = driver(&sandboxes, "1");
    driver.result("create", json!({ "name": "box" }));
    let mut seen = BTreeSet::new();
    for number in 0..4 {
        let from = waits(&sandboxes, 1);
        assert!(from.is_disjoint(&seen), "{from:?}, {seen:?}");
        let name = format!("box-{number}");
        taken(&mut driver, json!({ "name": name }), &from);
        let left = sandboxes
            .shell(&name, "ls -A /tmp /dev/shm; ls /proc | grep -c '^[0-9]'; sleep 100 & echo mine > /tmp/mine");
        assert_eq!(left.stdout, "/dev/shm:\n\n/tmp:\n5\n".replace('5', left.stdout.lines().last().unwrap_or_default()));
        assert!(!left.stdout.contains("mine"), "{left:?}");
        driver.result("rm", json!({ "name": [name], "force": true }));
        seen.extend(from);
    }
}

#[test]
fn nobody_sees_one_that_is_ready() {
    let sandboxes = Sandboxes::new("ready-unseen");
    let mut driver = driver(&sandboxes, "2");
    driver.result("create", json!({ "name": "box" }));
    let from = waits(&sandboxes, 2);
    assert_eq!(sandboxes.states(), [("box".to_owned(), "running".to_owned())]);
    for id in &from {
        for word in [id.clone(), id[..8].to_owned(), format!("ready.{id}")] {
            for words in
                [&["inspect"][..], &["rm", "-f"], &["stop"], &["wait"], &["stats"], &["logs"], &["label"], &["fork"]]
            {
                let run = sandboxes.call(&[words, &[&word]].concat());
                assert!(run.code == Some(1) && run.stderr.contains("no sandbox"), "{words:?} {word}: {run:?}");
            }
            assert_eq!(sandboxes.call(&["exec", &word, "--", "true"]).code, Some(125));
            assert_eq!(driver.error("fs.ls", json!({ "sandbox": word })).2["kind"], "not_found");
        }
    }
    assert_eq!(sandboxes.ready(), from, "nobody has done anything to them");
}

#[test]
fn nothing_waits_unless_it_is_wanted_and_waiting_takes_no_time() {
    let sandboxes = Sandboxes::new("ready-none");
    let mut plain = Driver::new(&sandboxes);
    plain.result("create", json!({ "name": "plain" }));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(sandboxes.supervisors().len(), 1);
    let mut driver = driver(&sandboxes, "2");
    driver.result("create", json!({ "name": "box" }));
    waits(&sandboxes, 2);
    // After a second each lets go of what it took to make it.
    std::thread::sleep(Duration::from_millis(1500));
    let used = || {
        let of = |pid: &i32| {
            let told = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there");
            let rest = told.rsplit(')').next().expect("fields").to_owned();
            rest.split_ascii_whitespace()
                .skip(11)
                .take(2)
                .map(|ticks| ticks.parse::<u64>().expect("a number"))
                .sum::<u64>()
        };
        let pids = [sandboxes.supervisors(), vec![driver.pid()]].concat();
        pids.iter().map(|pid| (*pid, of(pid))).collect::<Vec<_>>()
    };
    let before = used();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(before, used());
}

#[test]
fn whatever_ends_rpc_ends_those_that_are_ready() {
    let sandboxes = Sandboxes::new("ready-ends");
    let gone = || sandboxes.supervisors().is_empty() && sandboxes.leavings().is_empty();
    for end in ["killed", "told", "input"] {
        let mut driver = driver(&sandboxes, "2");
        driver.result("create", json!({ "name": "box" }));
        driver.result("rm", json!({ "name": ["box"], "force": true }));
        waits(&sandboxes, 2);
        match end {
            "killed" => driver.killed(),
            "told" => kill(Pid::from_raw(driver.pid()), Signal::SIGTERM).expect("it is there"),
            _ => assert_eq!(driver.ends(), Some(0)),
        }
        assert!(eventually(10, gone), "{end}: {:?}, {:?}", sandboxes.leavings(), sandboxes.supervisors());
    }
    // In the middle of making one too.
    for moment in [0, 5, 10, 15, 20, 30, 40, 60, 80, 120] {
        let mut driver = driver(&sandboxes, "3");
        driver.result("create", json!({ "name": "box" }));
        driver.result("rm", json!({ "name": ["box"], "force": true }));
        std::thread::sleep(Duration::from_millis(moment));
        driver.killed();
        assert!(eventually(20, || sandboxes.supervisors().is_empty()), "{moment}: {:?}", sandboxes.supervisors());
        // What a maker that was killed leaves on the disk goes with the next look; an empty directory, after a minute.
        assert!(
            sandboxes.states().is_empty() && eventually(90, || sandboxes.states().is_empty() && gone()),
            "{moment}: {:?}",
            sandboxes.leavings()
        );
    }
}

#[test]
fn another_wish_gets_none_and_is_what_is_made_from_then_on() {
    let sandboxes = Sandboxes::new("ready-other");
    let mut driver = driver(&sandboxes, "1");
    driver.result("create", json!({ "name": "box" }));
    let mut from = waits(&sandboxes, 1);
    let wishes = [
        json!({ "memory": "256M" }),
        json!({ "env": { "A": "1" } }),
        json!({ "net": "host" }),
        json!({ "keep": true }),
    ];
    for (number, mut wish) in wishes.into_iter().enumerate() {
        wish["name"] = json!(format!("box-{number}"));
        let made = driver.result("create", wish.clone());
        assert!(!from.contains(&id(&made)), "{wish}");
        assert!(eventually(10, || sandboxes.ready().is_disjoint(&from)), "those of another kind have gone");
        from = waits(&sandboxes, 1);
        wish["name"] = json!(format!("again-{number}"));
        taken(&mut driver, wish, &from);
        from = waits(&sandboxes, 1);
    }
    // Nothing is made before it is asked for that sees the host's files, has a deadline or begins something.
    let own = sandboxes.0.0.to_string_lossy().into_owned();
    for mut wish in [
        json!({ "mount": [format!("{own}:/data")] }),
        json!({ "timeout": "10m" }),
        json!({ "command": ["sleep", "100"] }),
    ] {
        wish["keep"] = json!(true);
        assert!(!from.contains(&id(&driver.result("create", wish.clone()))), "{wish}");
        assert_eq!(waits(&sandboxes, 1), from, "{wish}");
    }
}

#[test]
fn what_is_changed_of_rpc_or_the_image_holds_for_the_next_sandbox() {
    if !installed("busybox") {
        return;
    }
    let sandboxes = Sandboxes::new("ready-image");
    let import = |script: &str| {
        let layout = Image::busybox().above(&format!("mkdir etc; {script}")).layout(&sandboxes.0);
        sandboxes.done(&["image", "import", "--name", "demo", &layout.to_string_lossy()]);
    };
    import("echo one > etc/which");
    let mut driver = driver(&sandboxes, "1");
    let wish = |name: &str| json!({ "name": name, "image": "demo" });
    let which = |name: &str| sandboxes.shell(name, "cat /etc/which").stdout;
    driver.result("create", wish("first"));
    let mut from = waits(&sandboxes, 1);
    taken(&mut driver, wish("second"), &from);
    assert_eq!(which("second"), "one\n");
    from = waits(&sandboxes, 1);
    import("echo two > etc/which");
    let made = driver.result("create", wish("third"));
    assert_eq!((from.contains(&id(&made)), which("third").as_str()), (false, "two\n"));
    assert!(eventually(10, || sandboxes.ready().is_disjoint(&from)));
    from = waits(&sandboxes, 1);
    let changed =
        Command::new("renice").args(["-n", "5", "-p", &driver.pid().to_string()]).output().expect("it is there");
    assert!(changed.status.success(), "{changed:?}");
    assert!(!from.contains(&id(&driver.result("create", wish("fourth")))));
    // Those that are ready keep no image that nobody has any more.
    driver.result("rm", json!({ "name": ["first", "second", "third", "fourth"], "force": true }));
    waits(&sandboxes, 1);
    let removed: Value = serde_json::from_str(&sandboxes.done(&["image", "rm", "--json", "demo"])).expect("an object");
    assert_eq!(removed["removed"]["in_use"], json!([]), "{removed}");
    assert!(eventually(10, || sandboxes.supervisors().is_empty()), "{:?}", sandboxes.leavings());
    assert_eq!(driver.error("create", wish("fifth")).2["kind"], "not_found");
    std::thread::sleep(Duration::from_millis(300));
    assert!(sandboxes.supervisors().is_empty(), "none is made of what is not there");
}

#[test]
fn a_name_that_is_taken_is_refused_and_spoils_nothing() {
    let sandboxes = Sandboxes::new("ready-name");
    let mut driver = driver(&sandboxes, "2");
    driver.result("create", json!({ "name": "box" }));
    let from = waits(&sandboxes, 2);
    assert_eq!(driver.error("create", json!({ "name": "box" })).2["kind"], "name_taken");
    assert_eq!(driver.error("create", json!({ "name": "-" })).2["kind"], "misused");
    assert_eq!(sandboxes.ready(), from);
    taken(&mut driver, json!({ "name": "other" }), &from);
    let unnamed = driver.result("create", json!({}));
    assert_eq!(unnamed["name"], unnamed["id"]);
    sandboxes.done(&["rename", "other", "another"]);
    let name = id(&unnamed);
    let states = sandboxes.states();
    assert!(
        states.len() == 3 && [name.as_str(), "another", "box"].iter().all(|name| states.iter().any(|it| it.0 == *name)),
        "{states:?}"
    );
}

#[test]
fn of_several_at_once_each_gets_one_of_its_own() {
    let sandboxes = Sandboxes::new("ready-once");
    let mut driver = driver(&sandboxes, "2");
    driver.result("create", json!({ "name": "box" }));
    let from = waits(&sandboxes, 2);
    for number in 0..4 {
        driver.asks(number, "create", json!({ "name": format!("box-{number}") }));
    }
    let made: BTreeSet<String> = (0..4).map(|_| id(&driver.hears()["result"])).collect();
    assert!(made.len() == 4 && made.is_superset(&from), "{made:?}, {from:?}");
    waits(&sandboxes, 2);
    (0..3).for_each(|number| driver.asks(number, "create", json!({ "name": "same" })));
    let answers: Vec<Value> = (0..3).map(|_| driver.hears()).collect();
    let exist = answers.iter().filter(|answer| answer["error"]["data"]["kind"] == "name_taken").count();
    assert_eq!(exist, 2, "{answers:?}");
    assert_eq!(sandboxes.states().len(), 6);
    waits(&sandboxes, 2);
}

#[test]
fn times_count_from_when_it_was_asked_for() {
    let sandboxes = Sandboxes::new("ready-times");
    let mut driver = driver(&sandboxes, "2");
    driver.result("create", json!({ "name": "box" }));
    let from = waits(&sandboxes, 2);
    std::thread::sleep(Duration::from_secs(3));
    taken(&mut driver, json!({ "name": "ttl", "ttl": "3s" }), &from);
    taken(&mut driver, json!({ "name": "idle", "idle_rm": "3s" }), &from);
    let left = || sandboxes.states().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(left(), ["box", "idle", "ttl"]);
    std::thread::sleep(Duration::from_millis(1000));
    assert_eq!(left(), ["box", "idle", "ttl"]);
    assert!(eventually(10, || left() == ["box"]), "{:?}", left());
}

#[test]
fn one_that_is_kept_stays_with_its_files() {
    let sandboxes = Sandboxes::new("ready-kept");
    let mut driver = driver(&sandboxes, "1");
    let wish = |name: &str| json!({ "name": name, "keep": true, "disk": "64M" });
    driver.result("create", wish("first"));
    let from = waits(&sandboxes, 1);
    std::thread::sleep(Duration::from_secs(2));
    taken(&mut driver, wish("box"), &from);
    assert_eq!(sandboxes.shell("box", "echo mine > /tmp/mine").code, Some(0));
    let full = sandboxes.shell("box", "head -c 80000000 /dev/zero > /tmp/full; sleep 10");
    assert_ne!(full.code, Some(0), "its disk is counted: {full:?}");
    sandboxes.done(&["fs", "rm", "box", "/tmp/full"]);
    sandboxes.done(&["stop", "box"]);
    let end = &sandboxes.inspect("box")["end"];
    assert!(end["usage"]["wall_ms"].as_u64().is_some_and(|wall| wall > 0), "{end}");
    driver.killed();
    assert!(eventually(10, || sandboxes.supervisors().len() == 1));
    sandboxes.done(&["start", "box"]);
    assert_eq!(sandboxes.shell("box", "cat /tmp/mine").stdout, "mine\n");
    sandboxes.done(&["rm", "-f", "box", "first"]);
    assert!(eventually(10, || sandboxes.leavings().is_empty()), "{:?}", sandboxes.leavings());
}

#[test]
fn whoever_dies_while_he_takes_one_leaves_the_name_and_nothing_half() {
    let sandboxes = Sandboxes::new("ready-dies");
    let mut driver = driver(&sandboxes, "1");
    driver.result("create", json!({ "name": "first" }));
    waits(&sandboxes, 1);
    let supervisor = |id: &str| {
        let told = std::fs::read_to_string(sandboxes.home().join(format!("sandboxes/ready.{id}/alive")));
        Pid::from_raw(told.expect("it is there").parse().expect("a process id"))
    };
    let pid = supervisor(sandboxes.ready().first().expect("one"));
    kill(pid, Signal::SIGSTOP).expect("it is there");
    driver.asks(7, "create", json!({ "name": "box" }));
    let link = sandboxes.home().join("sandboxes/names/box");
    assert!(eventually(5, || link.is_symlink()), "it has its name, and no answer");
    assert_eq!(sandboxes.states(), [("first".to_owned(), "running".to_owned())]);
    let workers = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", driver.pid())).expect("its children");
    for worker in workers.split_ascii_whitespace() {
        kill(Pid::from_raw(worker.parse().expect("a process id")), Signal::SIGKILL).expect("it is there");
    }
    assert_eq!(driver.hears()["error"]["code"], -32603);
    kill(pid, Signal::SIGCONT).expect("it is there");
    assert_eq!(sandboxes.states(), [("first".to_owned(), "running".to_owned())]);
    assert_eq!(driver.result("create", json!({ "name": "box" }))["name"], "box");
    assert_eq!(sandboxes.shell("box", "echo here").stdout, "here\n");
    // Where the supervisor does not answer, another is made.
    waits(&sandboxes, 1);
    let pid = supervisor(sandboxes.ready().first().expect("one"));
    kill(pid, Signal::SIGSTOP).expect("it is there");
    let made = driver.result("create", json!({ "name": "other" }));
    kill(pid, Signal::SIGCONT).expect("it is there");
    assert_eq!(sandboxes.shell("other", "echo here").stdout, "here\n");
    assert_eq!(sandboxes.inspect("other")["id"], made["id"]);
    assert_eq!(sandboxes.states().len(), 3);
}
