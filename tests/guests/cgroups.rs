//! Limits that a cgroup holds. These run in guests of `tests/vm` that have cgroup v2, as an ordinary user; the variable
//! `BELLJAR_PLACE` says which road there is to a cgroup: `delegated` or `scope`.

use crate::common::chance::Chance;
use crate::common::{Run, Started, belljar, call, command, eventually, result, stdout};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Who looks at the whole tree does so alone, and so do those who move the others.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn run(options: &[&str], words: &[&str]) -> Run {
    call([&["run"], options, &["--"], words].concat())
}

fn python(options: &[&str], code: &str) -> Value {
    result(&run(&[&["--json"], options].concat(), &["python3", "-c", code]))
}

fn usage(result: &Value, field: &str) -> u64 {
    result["usage"][field].as_u64().unwrap_or_else(|| panic!("no {field} in {result}"))
}

/// Cgroups of sandboxes anywhere in the tree.
fn left() -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with("belljar.sandbox-") {
                    found.push(entry.path());
                }
                walk(&entry.path(), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), &mut found);
    found
}

#[test]
fn memory_processes_cpu_and_cpu_time_are_held_by_a_cgroup_and_exactly() {
    let _alone = alone();
    let result = python(&["--cpu-time", "10"], "print(open('/proc/self/cgroup').read(), end='')");
    // The sandbox's cgroup is the root of what it sees.
    assert_eq!(stdout(&result), "0::/\n");
    for limit in ["memory", "pids", "cpu", "cpu_time"] {
        assert_eq!(result["enforcement"][limit], json!({"by": "cgroup", "exact": true}), "{limit} in {result}");
    }
    let exact = ["--require", "memory=exact", "--require", "cpu=exact", "--require", "pids=exact"];
    assert_eq!(run(&exact, &["true"]).code, Some(0));
    assert_eq!(left(), [""; 0].map(PathBuf::from));
}

#[test]
fn memory_never_passes_its_limit() {
    let _alone = alone();
    let one = "x = bytearray(100 << 20)";
    let many = "import os\nfor _ in range(8):\n  if os.fork() == 0: break\nx = bytearray(20 << 20)\nimport time; time.sleep(9)";
    // Files alone are full before.
    let files = "x = bytearray(b'x' * (24 << 20))\nf = open('/tmp/x', 'wb')\nfor _ in range(100): f.write(bytes(1 << 20)); f.flush()";
    let shared = "x = bytearray(b'x' * (24 << 20))\nf = open('/dev/shm/x', 'wb')\nfor _ in range(100): f.write(bytes(1 << 20)); f.flush()";
    for code in [one, many, files, shared] {
        let result = python(&["--memory", "64M"], code);
        let ended = (&result["status"], &result["exit_code"], &result["signal"]);
        assert_eq!(ended, (&json!("out_of_memory"), &Value::Null, &json!("SIGKILL")), "{result}");
        let peak = usage(&result, "peak_memory_bytes");
        assert!(peak > 32 * MIB && peak <= 64 * MIB, "peak {peak} in {result}");
    }
    assert_eq!(left().len(), 0);
}

#[test]
fn who_dies_of_memory_takes_everybody_along() {
    let _alone = alone();
    // The shell would go on and exit with 0.
    let code = "import os\nif os.fork() == 0: x = bytearray(100 << 20)\nos.wait()\nprint('survived')";
    let result = python(&["--memory", "64M"], code);
    assert_eq!((&result["status"], stdout(&result)), (&json!("out_of_memory"), ""));
}

#[test]
fn no_more_processes_than_allowed_come_into_being() {
    let _alone = alone();
    let code = "import os, time\nn = 1\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(9); os._exit(0)\n    n += 1\nexcept OSError as e: print(n, e.errno)";
    let result = python(&["--pids", "9"], code);
    assert_eq!((stdout(&result), usage(&result, "peak_pids")), ("9 11\n", 9));
    assert_eq!(result["limits_reached"], json!(["pids"]));
    // Who keeps below it is not told that it was reached.
    let result = python(&["--pids", "9"], "print(1)");
    assert_eq!(result["limits_reached"], json!([]));
}

#[test]
fn the_rate_of_the_cpu_is_a_share_of_it() {
    let _alone = alone();
    let spin = "import time\nend = time.monotonic() + 3\nwhile time.monotonic() < end: pass";
    for (cpus, share) in [("0.2", 0.2), ("0.5", 0.5)] {
        let result = python(&["--cpus", cpus], spin);
        let measured = usage(&result, "cpu_ms") as f64 / usage(&result, "wall_ms") as f64;
        assert!((measured - share).abs() < 0.1, "{measured} of {share} in {result}");
    }
}

#[test]
fn cpu_time_counts_children_that_nobody_waits_for() {
    let _alone = alone();
    // Each child is gone before anybody could have looked.
    let code = "import os, signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True:\n  if os.fork() == 0: sum(range(10000)); os._exit(0)";
    let result = python(&["--cpu-time", "500ms", "--timeout", "60"], code);
    assert_eq!(result["status"], json!("cpu_time_exceeded"), "{result}");
    assert!(usage(&result, "cpu_ms") < 1000, "{result}");
}

#[test]
fn the_cgroup_of_a_killed_supervisor_goes_with_the_next_sandbox() {
    let _alone = alone();
    let words = ["run", "--", "sh", "-c", "echo here; sleep 60"];
    let mut started = Started::new(&mut command(words));
    started.first_line();
    assert_eq!(left().len(), 1);
    started.signal(Signal::SIGKILL);
    started.end_signal();
    assert!(eventually(5, || {
        run(&[], &["true"]);
        left().is_empty()
    }));
}

#[test]
fn a_supervisor_that_is_killed_while_it_asks_for_a_scope_leaves_no_unit() {
    let _alone = alone();
    if place() != "scope" {
        return;
    }
    for round in Chance::new("scope").sample(0..150) {
        let mut child = command(["run", "--", "sleep", "60"]).stderr(Stdio::null()).spawn().expect("start belljar");
        std::thread::sleep(Duration::from_millis(round));
        child.kill().expect("kill the supervisor");
        child.wait().expect("wait for it");
    }
    // Failed ones too, which systemd keeps.
    let units = || {
        let mut systemctl = Command::new("systemctl");
        systemctl.args(["--user", "list-units", "--all", "--plain", "--no-legend", "belljar-*"]);
        String::from_utf8(systemctl.output().expect("start systemctl").stdout).expect("text")
    };
    assert!(eventually(20, || units().is_empty()), "left behind:\n{}", units());
}

#[test]
fn sandboxes_side_by_side_do_not_take_each_others_cgroups() {
    let _alone = alone();
    let words = || ["run", "--", "sh", "-c", "echo here; sleep 1; echo there"];
    let mut all: Vec<Started> = (0..8).map(|_| Started::new(&mut command(words()))).collect();
    for started in &mut all {
        assert_eq!(started.first_line(), "here");
    }
    for started in all {
        let run = started.finish();
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), "there\n"), "{run:?}");
    }
    assert_eq!(left().len(), 0);
}

#[test]
fn sandboxes_that_begin_and_end_at_once_do_not_take_each_others_cgroups_for_leftovers() {
    let _alone = alone();
    let words = || ["run", "--", "true"];
    for _ in 0..5 {
        let all: Vec<Started> = (0..24).map(|_| Started::new(&mut command(words()))).collect();
        for started in all {
            let run = started.finish();
            assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        }
    }
    assert_eq!(left().len(), 0);
}

#[test]
fn programs_find_their_limits_where_the_kernel_tells_them() {
    let _alone = alone();
    let script = "cd /sys/fs/cgroup; cat memory.max cpu.max pids.max; nproc; grep MemTotal /proc/meminfo";
    let run = run(&["--memory", "64M", "--cpus", "0.5", "--pids", "9"], &["sh", "-c", script]);
    let told = "67108864\n50000 100000\n10\n1\nMemTotal:          65536 kB\n";
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), told), "{run:?}");
}

#[test]
fn nobody_inside_reaches_the_limits() {
    let _alone = alone();
    let script = "for f in /sys/fs/cgroup/memory.max /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/../cgroup.procs; do
        echo max > $f && echo wrote $f; done 2>/dev/null; mkdir /sys/fs/cgroup/mine 2>/dev/null && echo made;
        mount -t cgroup2 none /mnt 2>/dev/null && echo mounted; true";
    let run = run(&[], &["sh", "-c", script]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
}

/// Whether the caller's cgroup has the io controller, and sandboxes get it.
fn io_is_delegated() -> bool {
    let own = std::fs::read_to_string("/proc/self/cgroup").expect("our cgroup");
    let path = own.trim().strip_prefix("0::").expect("cgroup v2");
    let controllers = std::fs::read_to_string(format!("/sys/fs/cgroup{path}/cgroup.controllers"));
    place() == "delegated" && controllers.expect("its controllers").contains("io")
}

fn place() -> String {
    std::env::var("BELLJAR_PLACE").expect("BELLJAR_PLACE says what the guest has")
}

#[test]
fn disks_are_read_no_faster_than_allowed_or_not_at_all() {
    let _alone = alone();
    let words = ["sh", "-c", "dd if=$(readlink -f /usr/bin/python3) of=/dev/null bs=64k count=48 iflag=direct"];
    let run = run(&["--json", "--disk-bandwidth", "1M"], &words);
    let result = result(&run);
    if io_is_delegated() {
        assert_eq!(result["enforcement"]["disk_bandwidth"], json!({"by": "cgroup", "exact": true}));
        // Three mebibytes.
        assert!(usage(&result, "wall_ms") > 2500, "{result}");
    } else {
        let message = result["error"]["message"].as_str().unwrap_or_default();
        assert!(run.code == Some(125) && message.starts_with("disk_bandwidth: "), "{result}");
        assert!(message.contains("io controller"), "{message}");
    }
}

#[test]
fn a_parent_that_is_none_is_refused_with_its_cure() {
    let refused = |parent: &str| {
        let run = run(&["--cgroup-parent", parent], &["true"]);
        assert_eq!(run.code, Some(125), "{run:?}");
        run.stderr
    };
    assert_eq!(
        refused("/no-such"),
        "belljar: cgroup_parent: `/no-such`: No such file or directory\n\
         hint: `belljar doctor` shows what this host has; `none` does without\n"
    );
    assert_eq!(
        refused("/../etc"),
        "belljar: cgroup_parent: `/../etc` has `..` or a NUL byte in it\n\
         hint: name a cgroup as /proc/self/cgroup shows it, as in `/user.slice/mine`, or `none`\n"
    );
    // Root's.
    let said = refused("/");
    assert!(said.starts_with("belljar: cgroup_parent: `/`: "), "{said}");
}

#[test]
fn without_a_cgroup_the_other_mechanisms_hold_and_the_result_says_so() {
    let _alone = alone();
    let result = python(&["--cgroup-parent", "none", "--memory", "64M"], "x = bytearray(200 << 20)");
    assert_eq!(result["status"], json!("out_of_memory"));
    assert_eq!(result["enforcement"]["memory"], json!({"by": "sampling", "exact": false}));
    let run = run(&["--cgroup-parent", "none", "--require", "memory=exact"], &["true"]);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (
            Some(125),
            "belljar: memory is required exactly, and is enforced by sampling, which is approximate: no cgroup is \
             wanted\nhint: leave `--cgroup-parent none` out; or take the approximate mechanism: `--require memory`\n"
        )
    );
}

#[test]
fn the_environment_names_the_parent_where_nobody_else_does() {
    let words = ["run", "--", "true"];
    let run: Run = command(words).env("BELLJAR_CGROUP_PARENT", "/no-such").output().expect("start belljar").into();
    assert_eq!(run.code, Some(125), "{run:?}");
    let run: Run = command([&["run", "--cgroup-parent", "none"], &words[1..]].concat())
        .env("BELLJAR_CGROUP_PARENT", "/no-such")
        .output()
        .expect("start belljar")
        .into();
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn doctor_says_which_road_leads_to_a_cgroup() {
    let _alone = alone();
    let report = Command::new(belljar()).args(["doctor", "--json"]).output().expect("start belljar");
    let report: Value = serde_json::from_slice(&report.stdout).expect("a report");
    let place = place();
    let cgroup = &report["host"]["cgroup"];
    assert_eq!((&cgroup["version"], &cgroup["delegated"]), (&json!("v2"), &json!(true)), "{cgroup}");
    assert_eq!(cgroup["scope"], json!(place == "scope"), "{cgroup}");
    assert_eq!(cgroup["directory"].is_null(), place == "scope", "{cgroup}");
}
