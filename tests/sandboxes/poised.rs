//! Sandboxes that `belljar rpc --ready N` makes before there is a command for them: `run` and `code` find one, and no difference.

use crate::common::images::Image;
use crate::common::sandboxes::Sandboxes;
use crate::common::{allowed_to_be_missing, eventually, installed, is_root};
use crate::rpc::Driver;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

fn driver(sandboxes: &Sandboxes, count: &str) -> Driver {
    Driver::of(sandboxes.command(&["rpc", "--ready", count]))
}

/// Parameters of `run`, on the machine's own files where nothing else is said.
fn wish(more: Value) -> Value {
    let missing: Vec<&str> =
        allowed_to_be_missing().iter().filter(|word| !word.starts_with("--")).map(|word| &**word).collect();
    and(json!({ "allow_missing": missing, "image": "host" }), &more)
}

fn shell(script: &str) -> Value {
    wish(json!({ "command": ["sh", "-c", script] }))
}

/// A wish with more to it.
fn and(mut wish: Value, more: &Value) -> Value {
    wish.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    wish
}

fn children(pid: i32) -> Vec<i32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// When a process that lives began, in the host's ticks, which are those inside as well (proc_pid_stat(5), field 22).
fn began(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let is_dead = stat.contains(") Z ") || stat.contains(") X ");
    stat.rsplit(' ').nth(30).filter(|_| !is_dead).map(str::to_owned)
}

/// The first processes of sandboxes that wait for a command of this `rpc`, and when each began.
fn waiting(driver: &Driver) -> BTreeMap<i32, String> {
    let first = children(driver.pid()).into_iter().flat_map(children);
    first.filter_map(|pid| Some((pid, began(pid)?))).collect()
}

/// Waits until there are so many, each with a process that stands before its command.
fn waits(driver: &Driver, count: usize) -> BTreeMap<i32, String> {
    let stand = || {
        let found = waiting(driver);
        found.len() == count && found.keys().all(|pid| children(*pid).len() == 1)
    };
    assert!(eventually(20, stand), "{:?}", waiting(driver));
    // Nobody begins in the same tick as whoever comes now.
    std::thread::sleep(Duration::from_millis(300));
    waiting(driver)
}

const WHEN: &str = "cut -d' ' -f22 /proc/1/stat";

/// Runs a script in one of those; what it says.
fn taken(driver: &mut Driver, script: &str, from: &BTreeMap<i32, String>) -> String {
    let ran = driver.result("run", shell(&format!("{WHEN}; {script}")));
    let (first, rest) = ran["stdout"].as_str().expect("text").split_once('\n').expect("a line");
    assert!(from.values().any(|when| when == first), "{ran}, {from:?}");
    rest.to_owned()
}

/// What is the same in every run of the same.
fn but_for_numbers(result: &Value) -> Value {
    let mut result = result.clone();
    let object = result.as_object_mut().expect("an object");
    object.remove("usage").expect("is there");
    object.remove("sandbox").expect("is there");
    result
}

#[test]
fn a_command_finds_what_it_finds_in_a_sandbox_that_was_made_for_it() {
    let sandboxes = Sandboxes::new("poised");
    let (mut plain, mut driver) = (Driver::new(&sandboxes), driver(&sandboxes, "1"));
    let script = "id; pwd; hostname; umask; ulimit -a; env | sort; echo \"$0 $*\"; ls -A /tmp /dev /run; ls -l /proc/self/fd | wc -l; \
        grep -E '^(Cap|Sig|NoNew|Seccomp|Groups|NSpid|NSsid)' /proc/self/status; cat /proc/self/oom_score_adj /proc/self/cgroup /proc/mounts; \
        echo /proc/[0-9]*; cat /proc/self/limits";
    let plainly = json!({ "command": ["sh", "-c", script, "a", "b c"], "env": { "A": "1" }, "timeout": "20s" });
    let of = |more: Value| and(wish(plainly.clone()), &more);
    let wishes = [
        of(json!({})),
        of(
            json!({ "memory": "300M", "pids": 40, "cpus": 0.5, "disk": "20M", "hostname": "other", "workdir": "/tmp", "user": "5:6" }),
        ),
        of(json!({ "seccomp": "debug", "net": "host", "output_limit": "300" })),
    ];
    for wish in wishes {
        driver.result("run", wish.clone());
        waits(&driver, 1);
        let [fresh, found] = [plain.result("run", wish.clone()), driver.result("run", wish)];
        assert_eq!(but_for_numbers(&fresh), but_for_numbers(&found));
        assert_eq!(found["status"], "exited", "{found}");
    }
    if installed("python3") {
        let code = "import os, sys; print(sys.argv, sorted(os.environ), os.getpid()); sys.exit(3)";
        let wish = wish(json!({ "lang": "python", "code": code, "file": ["x", "--y"], "env": { "B": "2" } }));
        driver.result("code", wish.clone());
        waits(&driver, 1);
        let [fresh, found] = [plain.result("code", wish.clone()), driver.result("code", wish)];
        assert_eq!((but_for_numbers(&fresh), &found["exit_code"]), (but_for_numbers(&found), &json!(3)));
    }
}

#[test]
fn what_cannot_be_executed_is_told_as_ever() {
    let sandboxes = Sandboxes::new("poised-not");
    let (mut plain, mut driver) = (Driver::new(&sandboxes), driver(&sandboxes, "1"));
    driver.result("run", shell("true"));
    let long = "x".repeat(40 << 10);
    for command in [&["no-such-command"][..], &["/etc/passwd"], &["/"], &["./x"], &["true", &long, &long, &long]] {
        waits(&driver, 1);
        let of = wish(json!({ "command": command }));
        let [fresh, found] = [plain.call("run", of.clone()), driver.call("run", of)];
        match command {
            ["true", ..] => assert_eq!(found["result"]["status"], "exited", "{found}"),
            _ => assert_eq!((&fresh["error"], found["error"].is_object()), (&found["error"], true)),
        }
    }
}

#[test]
fn each_is_used_once_and_nothing_of_one_is_seen_in_the_next() {
    let sandboxes = Sandboxes::new("poised-once");
    let mut driver = driver(&sandboxes, "2");
    driver.result("run", shell("true"));
    let mut seen = BTreeMap::new();
    for _ in 0..4 {
        let from = waits(&driver, 2);
        assert!(from.keys().filter(|pid| seen.contains_key(*pid)).count() <= 1, "{from:?}, {seen:?}");
        let found = taken(&mut driver, "ls -A /tmp /dev/shm; echo mine > /tmp/mine; sleep 100 & echo $A", &from);
        assert_eq!(found, "/dev/shm:\n\n/tmp:\n\n");
        seen.extend(from);
    }
    // Of several at once each has its own.
    let from = waits(&driver, 2);
    let script = format!("{WHEN}; sleep 0.3");
    (0..6).for_each(|id| driver.asks(id, "run", shell(&script)));
    let said: Vec<String> =
        (0..6).map(|_| driver.hears()["result"]["stdout"].as_str().expect("text").trim().to_owned()).collect();
    let took = |when: &String| said.iter().filter(|said| *said == when).count();
    assert!(from.values().map(took).sum::<usize>() == 2, "{said:?}, {from:?}");
}

#[test]
fn streams_input_and_endings_are_those_of_any_command() {
    let sandboxes = Sandboxes::new("poised-streams");
    let mut driver = driver(&sandboxes, "1");
    let with = |script: &str, more: Value| and(shell(script), &more);
    driver.result("run", shell("true"));
    waits(&driver, 1);
    let told = driver.result("run", with("cat; echo wrong >&2; kill -9 $$", json!({ "input": "given" })));
    assert_eq!(
        (&told["stdout"], &told["stderr"], &told["signal"]),
        (&json!("given"), &json!("wrong\n"), &json!("SIGKILL"))
    );
    waits(&driver, 1);
    driver.asks("later", "run", with("read a; read b; echo $b $a", json!({ "input": true })));
    driver.asks(2, "input", json!({ "id": "later", "data": "one\n" }));
    driver.asks(3, "input", json!({ "id": "later", "data": "two\n", "end": true }));
    let answers: Vec<Value> = (0..3).map(|_| driver.hears()).collect();
    let told = answers.iter().find(|answer| answer["id"] == "later").expect("an answer");
    assert_eq!(told["result"]["stdout"], "two one\n", "{answers:?}");
    waits(&driver, 1);
    let began = std::time::Instant::now();
    let told = driver.result("run", with("echo before; sleep 100", json!({ "timeout": "1s" })));
    assert_eq!((&told["status"], &told["stdout"]), (&json!("timed_out"), &json!("before\n")), "{told}");
    let wall = told["usage"]["wall_ms"].as_u64().expect("a number");
    assert!((1000..1800).contains(&wall) && began.elapsed() < Duration::from_secs(3), "{told}");
    waits(&driver, 1);
    let told = driver.result("run", with("a=x; while :; do a=$a$a; done", json!({ "memory": "512M" })));
    assert!(["out_of_memory", "exited"].contains(&told["status"].as_str().expect("text")), "{told}");
    // What comes as it is written is a kind of its own.
    driver.streamed("run", with("echo x", json!({ "stream": true })));
    waits(&driver, 1);
    driver.asks("s", "run", with(&format!("{WHEN}; echo wrong >&2"), json!({ "stream": true })));
    let mut streams = BTreeMap::from([("stdout".to_owned(), String::new()), ("stderr".to_owned(), String::new())]);
    loop {
        let said = driver.hears();
        if said["id"] == "s" {
            assert_eq!(said["result"]["exit_code"], 0, "{said}");
            break;
        }
        let told = &said["params"];
        let name = told["stream"].as_str().expect("a stream");
        streams.get_mut(name).expect("one of two").push_str(told["data"].as_str().expect("text"));
    }
    assert!(streams["stdout"].trim().parse::<u64>().is_ok() && streams["stderr"] == "wrong\n", "{streams:?}");
    waits(&driver, 1);
    let cancelled = |driver: &mut Driver| {
        driver.asks("long", "run", with("echo begun; sleep 100", json!({ "stream": true })));
        while driver.hears()["params"]["data"] != "begun\n" {}
        driver.asks(4, "cancel", json!({ "id": "long" }));
        let answers = [driver.hears(), driver.hears()];
        let told = answers.iter().find(|answer| answer["id"] == "long").expect("an answer");
        but_for_numbers(&told["result"])
    };
    assert_eq!(cancelled(&mut driver), cancelled(&mut Driver::new(&sandboxes)));
}

#[test]
fn another_wish_gets_none_and_is_what_is_made_from_then_on() {
    let sandboxes = Sandboxes::new("poised-other");
    let mut driver = self::driver(&sandboxes, "1");
    driver.result("run", shell("true"));
    let with = |driver: &mut Driver, more: &Value, from: &BTreeMap<i32, String>| {
        let told = driver.result("run", and(shell(WHEN), more));
        let when = told["stdout"].as_str().expect("text").trim();
        from.values().any(|began| began == when)
    };
    for other in
        [json!({ "memory": "256M" }), json!({ "net": "host" }), json!({ "hostname": "x" }), json!({ "user": "7:7" })]
    {
        let from = waits(&driver, 1);
        assert!(!with(&mut driver, &other, &from), "{other}");
        assert!(eventually(10, || !waiting(&driver).keys().any(|pid| from.contains_key(pid))), "{other}");
        let from = waits(&driver, 1);
        assert!(with(&mut driver, &other, &from), "{other}");
    }
    // What its words, variables and deadline are makes no other kind.
    driver.result("run", shell("true"));
    for more in [json!({ "env": { "A": "x" } }), json!({ "timeout": "7s" }), json!({ "timeout": "none" })] {
        let from = waits(&driver, 1);
        assert!(with(&mut driver, &more, &from), "{more}");
    }
    // Nothing is made before it is asked for that sees the host's files or is reached from it.
    let own = sandboxes.0.0.to_string_lossy().into_owned();
    for more in
        [json!({ "mount": [format!("{own}:/data")] }), json!({ "publish": ["0:80"] }), json!({ "stdin": "/dev/null" })]
    {
        let mut other = self::driver(&sandboxes, "1");
        other.result("run", and(shell("true"), &more));
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(waiting(&other), BTreeMap::new(), "{more}");
    }
}

#[test]
fn whatever_ends_rpc_ends_those_that_wait() {
    let sandboxes = Sandboxes::new("poised-ends");
    for end in ["killed", "told", "input", "stopped"] {
        let mut driver = driver(&sandboxes, "3");
        driver.result("run", shell("true"));
        let from = waits(&driver, 3);
        let gone = || from.keys().all(|pid| began(*pid).as_ref() != from.get(pid));
        match end {
            "killed" => driver.killed(),
            "told" => kill(Pid::from_raw(driver.pid()), Signal::SIGTERM).expect("it is there"),
            "stopped" => {
                children(driver.pid())
                    .into_iter()
                    .for_each(|pid| kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it is there"));
                assert_eq!(driver.ends(), Some(0));
            }
            _ => {
                assert_eq!(driver.ends(), Some(0));
                assert!(gone(), "with rpc they are gone");
            }
        }
        assert!(eventually(10, gone), "{end}");
    }
    for moment in [0, 2, 4, 6, 8, 10, 12, 15, 20, 30] {
        let mut driver = driver(&sandboxes, "3");
        driver.result("run", shell("true"));
        std::thread::sleep(Duration::from_millis(moment));
        let from = waiting(&driver);
        driver.killed();
        assert!(eventually(20, || from.keys().all(|pid| began(*pid).as_ref() != from.get(pid))), "{moment}");
    }
    assert_eq!(sandboxes.leavings(), Vec::<String>::new());
}

/// The processes that one of them is made of: its worker, its first process, and the one that becomes the command.
fn parts(driver: &Driver, first: i32) -> [i32; 3] {
    let worker = children(driver.pid()).into_iter().find(|worker| children(*worker).contains(&first));
    [worker.expect("its worker"), first, children(first)[0]]
}

#[test]
fn one_that_is_ended_or_told_to_end_meanwhile_costs_nobody_his_command() {
    let sandboxes = Sandboxes::new("poised-dies");
    let mut driver = driver(&sandboxes, "1");
    driver.result("run", shell("true"));
    let signals = [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGALRM];
    for (signal, part) in signals.into_iter().flat_map(|signal| [0, 1, 2].map(|part| (signal, part))) {
        // Who becomes the command may be killed as late as any command.
        for pause in [0, 50].into_iter().filter(|pause| *pause > 0 || part < 2) {
            let (first, _) = waits(&driver, 1).pop_first().expect("one");
            kill(Pid::from_raw(parts(&driver, first)[part]), signal).expect("it is there");
            std::thread::sleep(Duration::from_millis(pause));
            let told = driver.result("run", shell("sleep 0.05; echo here"));
            assert_eq!(
                (&told["status"], &told["stdout"]),
                (&json!("exited"), &json!("here\n")),
                "{signal} {part}: {told}"
            );
        }
    }
    // Whoever is stopped begins nothing, and is not waited for.
    let (first, _) = waits(&driver, 1).pop_first().expect("one");
    kill(Pid::from_raw(first), Signal::SIGSTOP).expect("it is there");
    assert_eq!(driver.result("run", shell("echo here"))["stdout"], "here\n");
    assert!(eventually(10, || began(first).is_none()));
    // One that was ended is made anew without being asked for.
    let (first, _) = waits(&driver, 1).pop_first().expect("one");
    kill(Pid::from_raw(first), Signal::SIGKILL).expect("it is there");
    assert!(eventually(10, || waiting(&driver).keys().any(|pid| *pid != first)));
}

#[test]
fn nobody_waits_for_one_whose_processes_are_killed_while_it_is_made() {
    let sandboxes = Sandboxes::new("poised-making");
    let mut driver = driver(&sandboxes, "2");
    driver.result("run", shell("true"));
    for number in 0..60 {
        std::thread::sleep(Duration::from_millis(4 + number % 12));
        let inside = waiting(&driver).into_keys().flat_map(|first| [children(first), vec![first]].concat());
        // Those that have gone by now are as good.
        inside.for_each(|pid| {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        });
        let asked = std::time::Instant::now();
        let told = driver.call("run", shell("echo here"));
        let lost = told["error"]["message"].as_str().is_some_and(|message| message.contains("lost before it ran"));
        assert!(lost || told["result"]["stdout"] == "here\n", "{told}");
        assert!(asked.elapsed() < Duration::from_secs(10), "{number}: {:?}", asked.elapsed());
    }
}

#[test]
fn one_whose_worker_is_stopped_goes_with_rpc_and_when_it_is_not_wanted_any_more() {
    let sandboxes = Sandboxes::new("poised-stopped");
    for killed in [false, true] {
        let mut driver = driver(&sandboxes, "1");
        driver.result("run", shell("true"));
        let (first, _) = waits(&driver, 1).pop_first().expect("one");
        kill(Pid::from_raw(parts(&driver, first)[0]), Signal::SIGSTOP).expect("it is there");
        if killed {
            driver.killed();
        } else {
            // From then on it is not what would be made.
            let pid = driver.pid().to_string();
            let changed =
                std::process::Command::new("renice").args(["-n", "5", "-p", &pid]).output().expect("start it");
            assert!(changed.status.success(), "{changed:?}");
            assert_eq!(driver.result("run", shell("nice"))["stdout"], "5\n");
        }
        assert!(eventually(10, || began(first).is_none()), "{killed}");
    }
}

#[test]
fn what_waits_takes_nothing_that_others_of_its_user_miss() {
    if !installed("python3") {
        return;
    }
    let sandboxes = Sandboxes::new("poised-apart");
    let mut driver = driver(&sandboxes, "20");
    driver.result("run", shell("true"));
    waits(&driver, 20);
    // What is on its way between processes counts for all of a user together (unix(7), ETOOMANYREFS).
    let sends = "import resource, socket\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n\
        a, b = socket.socketpair()\nsocket.send_fds(a, [b'x'], [0])\nprint('sent')";
    let sent = std::process::Command::new("python3").args(["-c", sends]).output().expect("start it");
    assert_eq!(String::from_utf8_lossy(&sent.stdout), "sent\n", "{sent:?}");
}

/// Mounts are root's to change; `rpc` has its own here.
#[test]
fn what_the_host_has_mounted_since_is_there() {
    if !is_root() {
        return;
    }
    let sandboxes = Sandboxes::new("poised-mounts");
    let command = sandboxes.command(&["rpc", "--ready", "1"]);
    let mut apart = std::process::Command::new("unshare");
    apart.args(["--mount", "--propagation", "private", "--"]).arg(command.get_program()).args(command.get_args());
    apart.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut driver = Driver::of(apart);
    driver.result("run", shell("true"));
    let mounts = |driver: &Driver, words: &[&str]| {
        let pid = driver.pid().to_string();
        let done = std::process::Command::new("nsenter").args(["-t", &pid, "-m", "--"]).args(words).output();
        assert!(done.as_ref().is_ok_and(|done| done.status.success()), "{done:?}");
    };
    let counts = |driver: &mut Driver| {
        let told = driver.result("run", shell("ls -A /usr/share | wc -l"));
        told["stdout"].as_str().expect("text").trim().parse::<u32>().expect("a number")
    };
    let from = waits(&driver, 1);
    mounts(&driver, &["mount", "-t", "tmpfs", "x", "/usr/share"]);
    // It is not kept until somebody asks.
    assert!(eventually(10, || from.keys().all(|pid| began(*pid).is_none())));
    assert_eq!(counts(&mut driver), 0);
    waits(&driver, 1);
    mounts(&driver, &["umount", "/usr/share"]);
    assert!(counts(&mut driver) > 0);
}

#[test]
fn what_is_found_is_never_older_than_the_request_where_others_can_change_it() {
    let sandboxes = Sandboxes::new("poised-old");
    // A directory of the machine's own files may be another by then.
    for workdir in ["/usr", "/usr/share", "/bin", "/"] {
        let mut driver = driver(&sandboxes, "1");
        driver.result("run", and(shell("true"), &json!({ "workdir": workdir })));
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(waiting(&driver), BTreeMap::new(), "{workdir}");
    }
    // What fails before the command is told as ever, with the same numbers, and each time anew.
    let (mut plain, mut driver) = (Driver::new(&sandboxes), driver(&sandboxes, "1"));
    for _ in 0..3 {
        let of = and(shell("true"), &json!({ "workdir": "/dev/null" }));
        let [fresh, found] = [plain.call("run", of.clone()), driver.call("run", of)];
        assert_eq!((&fresh["error"], fresh["error"].is_object()), (&found["error"], true));
        std::thread::sleep(Duration::from_millis(100));
    }
    // Who began earlier and ends later does not say what is to be ready.
    driver.asks("long", "run", and(shell("sleep 3"), &json!({ "memory": "300M" })));
    driver.asks("short", "run", shell("true"));
    assert_eq!(driver.hears()["id"], "short");
    // The long one's own, and one that waits.
    let from = waits(&driver, 2);
    assert_eq!(driver.hears()["id"], "long");
    std::thread::sleep(Duration::from_millis(300));
    let left = waiting(&driver);
    assert!(left.len() == 1 && left.keys().all(|pid| from.contains_key(pid)), "{left:?}, {from:?}");
}

#[test]
fn waiting_takes_no_time_and_nothing_waits_unless_it_is_wanted() {
    let sandboxes = Sandboxes::new("poised-none");
    let mut plain = Driver::new(&sandboxes);
    plain.result("run", shell("true"));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(waiting(&plain), BTreeMap::new());
    let mut driver = driver(&sandboxes, "2");
    driver.result("run", shell("true"));
    let from = waits(&driver, 2);
    let used = || {
        let workers = children(driver.pid());
        let inside = from.keys().flat_map(|pid| children(*pid));
        let all = workers.into_iter().chain(inside).chain(from.keys().copied()).chain([driver.pid()]);
        all.map(|pid| std::fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("it is there"))
            .collect::<Vec<_>>()
    };
    let before = used();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(before, used());
}

#[test]
fn an_image_that_is_changed_or_removed_is_not_what_waits() {
    if !installed("busybox") {
        return;
    }
    let sandboxes = Sandboxes::new("poised-image");
    let import = |script: &str| {
        let layout = Image::busybox().above(&format!("mkdir etc; {script}")).layout(&sandboxes.0);
        sandboxes.done(&["image", "import", "--name", "demo", &layout.to_string_lossy()]);
    };
    import("echo one > etc/which");
    let mut driver = driver(&sandboxes, "1");
    let wish = || wish(json!({ "image": "demo", "command": ["sh", "-c", format!("cat /etc/which; {WHEN}")] }));
    let which = |told: &Value, from: &BTreeMap<i32, String>| {
        let (which, when) = told["stdout"].as_str().expect("text").trim().split_once('\n').expect("two lines");
        (which.to_owned(), from.values().any(|began| began == when))
    };
    driver.result("run", wish());
    let from = waits(&driver, 1);
    assert_eq!(which(&driver.result("run", wish()), &from), ("one".to_owned(), true));
    let from = waits(&driver, 1);
    import("echo two > etc/which");
    assert_eq!(which(&driver.result("run", wish()), &from), ("two".to_owned(), false));
    let from = waits(&driver, 1);
    // Removed and there again, it is the same by its digest.
    let removed: Value = serde_json::from_str(&sandboxes.done(&["image", "rm", "--json", "demo"])).expect("an object");
    assert_eq!(removed["removed"]["in_use"], json!([]), "{removed}");
    assert_eq!(driver.error("run", wish()).2["kind"], "not_found");
    drop(from);
    import("echo two > etc/which");
    driver.result("run", wish());
    let from = waits(&driver, 1);
    sandboxes.done(&["image", "rm", "demo"]);
    import("echo two > etc/which");
    assert_eq!(which(&driver.result("run", wish()), &from), ("two".to_owned(), false));
}
