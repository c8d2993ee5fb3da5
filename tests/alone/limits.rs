//! Limits where no cgroup can be had: each hog ends in the status that names its limit, and the host does not notice.

use crate::common::leavings::alone;
use crate::common::{Started, command, ended, mark, python_result, result, shell, shell_result, stdout};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

fn killed_for(result: &Value, status: &str) {
    assert_eq!(ended(result), (status, &Value::Null, &json!("SIGKILL")), "{result}");
}

fn usage(result: &Value, field: &str) -> u64 {
    result["usage"][field].as_u64().unwrap_or_else(|| panic!("no {field} in {result}"))
}

fn reached(result: &Value) -> Vec<&str> {
    result["limits_reached"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Runs a memory bomb. It ends for memory, a tenth above the limit at most: as far as the machine lets us look, so
/// that one of three attempts has to meet it, and no attempt goes far beyond.
fn stops_at_its_limit(limit: u64, options: &[&str], code: &str) {
    let memory = limit.to_string();
    let options = [&["--memory", &memory], options].concat();
    let mut peaks = Vec::new();
    while peaks.len() < 3 && peaks.iter().all(|peak| *peak > limit + limit / 10) {
        let result = raging(&options, code);
        killed_for(&result, "out_of_memory");
        peaks.push(usage(&result, "peak_memory_bytes"));
    }
    println!("limit {limit}, peaks {peaks:?}");
    assert!(peaks.iter().all(|peak| *peak > limit / 2 && *peak < limit * 2), "peaks {peaks:?} at a limit of {limit}");
    assert!(peaks.iter().any(|peak| *peak <= limit + limit / 10), "peaks {peaks:?} at a limit of {limit}");
}

/// A trivial command on the host, while something rages.
fn host_answers() {
    let begun = Instant::now();
    assert!(std::process::Command::new("true").status().expect("start `true`").success());
    assert!(begun.elapsed() < Duration::from_secs(5), "the host took {:?}", begun.elapsed());
}

/// The result of python code, the host being asked to answer meanwhile.
fn raging(options: &[&str], code: &str) -> Value {
    let words = [&["code", "python", "--json"], options, &["-e", code]].concat();
    let started = Started::new(&mut command(words));
    // Somewhere in its rage, or after it.
    std::thread::sleep(Duration::from_millis(200));
    host_answers();
    result(&started.finish())
}

#[test]
fn no_more_processes_than_allowed_come_into_being() {
    let _alone = alone();
    let code = r#"
import os, errno, time
count = 1
while True:
    try:
        if os.fork() == 0: time.sleep(60); os._exit(0)
    except OSError as error:
        time.sleep(0.2)
        print(count, errno.errorcode[error.errno]); break
    count += 1
"#;
    let result = python_result(&["--pids", "40"], code);
    assert_eq!((stdout(&result), usage(&result, "peak_pids")), ("40 EAGAIN\n", 40));
    assert_eq!(reached(&result), ["pids"]);
}

#[test]
fn threads_count_as_processes() {
    let _alone = alone();
    let code = r#"
import threading, time
count = 1
while True:
    try: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    except RuntimeError: time.sleep(0.2); print(count, flush=True); import os; os._exit(0)
    count += 1
"#;
    let result = python_result(&["--pids", "20"], code);
    assert_eq!((stdout(&result), usage(&result, "peak_pids")), ("20\n", 20));
}

#[test]
fn a_fork_bomb_dies_alone() {
    let _alone = alone();
    let mark = mark("bomb");
    let script = format!("bomb() {{ bomb | bomb & }}; : {mark}; bomb; sleep 60");
    let bomb = ["run", "--json", "--timeout", "4s", "--pids", "100", "--", "bash", "-c", &script];
    let started = Started::new(&mut command(bomb));
    assert!(crate::common::eventually(20, || crate::common::processes_with(&mark).len() > 50));
    host_answers();
    let result = result(&started.finish());
    assert_eq!(result["status"], "timed_out");
    assert_eq!(reached(&result), ["pids"]);
    crate::common::assert_gone(&mark);
}

#[test]
fn memory_that_grows_step_by_step_ends_at_the_limit() {
    let _alone = alone();
    stops_at_its_limit(200 * MIB, &[], "x = []\nwhile True: x.append(bytearray(1 << 20))");
}

#[test]
fn memory_that_is_asked_for_at_once_ends_at_the_limit() {
    let _alone = alone();
    stops_at_its_limit(256 * MIB, &[], "x = bytearray(1 << 34)");
}

#[test]
fn a_small_memory_limit_holds_too() {
    let _alone = alone();
    stops_at_its_limit(64 * MIB, &[], "x = bytearray(1 << 34)");
}

#[test]
fn many_processes_with_half_the_limit_each_are_counted_together() {
    let _alone = alone();
    let code = r#"
import os, time
for _ in range(63):
    if os.fork() == 0: break
x = bytearray(128 << 20)
time.sleep(60)
"#;
    stops_at_its_limit(256 * MIB, &["--pids", "100"], code);
}

const SHARED_BY_FORK: &str = r#"
import os, time
x = bytearray(300 << 20)
for _ in range(8):
    if os.fork() == 0: time.sleep(60)
time.sleep(1.5)
"#;

#[test]
fn memory_shared_by_forks_counts_once() {
    let _alone = alone();
    let result = python_result(&["--memory", "512M"], SHARED_BY_FORK);
    assert_eq!(ended(&result), ("exited", &json!(0), &Value::Null), "{result}");
    let peak = usage(&result, "peak_memory_bytes");
    assert!((300 * MIB..400 * MIB).contains(&peak), "peak {peak}");
}

#[test]
fn memory_shared_by_forks_counts_once_far_below_the_limit_too() {
    let _alone = alone();
    let result = python_result(&["--memory", "8G"], SHARED_BY_FORK);
    let peak = usage(&result, "peak_memory_bytes");
    assert!((300 * MIB..400 * MIB).contains(&peak), "peak {peak}");
}

#[test]
fn memory_that_forks_stop_sharing_counts_for_each() {
    let _alone = alone();
    let code = r#"
import os, time
x = bytearray(100 << 20)
for _ in range(8):
    if os.fork() == 0:
        for i in range(0, len(x), 4096): x[i] = 1
        time.sleep(60)
time.sleep(60)
"#;
    // To look through page tables that eight processes are changing takes a while, in which they go on.
    let result = raging(&["--memory", "400M"], code);
    killed_for(&result, "out_of_memory");
    let peak = usage(&result, "peak_memory_bytes");
    println!("limit {}, peak {peak}", 400 * MIB);
    assert!((400 * MIB..700 * MIB).contains(&peak), "{peak}");
}

#[test]
fn shared_anonymous_memory_counts() {
    let _alone = alone();
    let code = "import mmap\nx = []\nwhile True: x.append(mmap.mmap(-1, 4 << 20)); x[-1].write(b'x' * (4 << 20))";
    stops_at_its_limit(200 * MIB, &[], code);
}

#[test]
fn shared_memory_and_files_of_the_writable_layer_add_up() {
    let _alone = alone();
    let code = r#"
import mmap, time
open('/tmp/file', 'wb').write(bytes(150 << 20))
x = mmap.mmap(-1, 200 << 20)
for _ in range(200): x.write(bytes(1 << 20)); time.sleep(0.0005)
time.sleep(5)
"#;
    stops_at_its_limit(300 * MIB, &[], code);
}

#[test]
fn a_mapped_file_of_the_writable_layer_counts_once() {
    let _alone = alone();
    let code = r#"
import mmap, time
with open('/tmp/file', 'wb') as file: file.write(bytes(150 << 20))
with open('/tmp/file', 'r+b') as file: x = mmap.mmap(file.fileno(), 0)
sum(x[i] for i in range(0, len(x), 4096))
time.sleep(0.5)
"#;
    let result = python_result(&["--memory", "250M"], code);
    assert_eq!(ended(&result), ("exited", &json!(0), &Value::Null), "{result}");
}

#[test]
fn what_fills_the_writable_layer_counts_as_memory() {
    let _alone = alone();
    let code = "file = open('/dev/shm/x', 'wb', 0)\nfor _ in range(140): file.write(bytes(1 << 20))\nx = []\nwhile True: x.append(bytearray(b'x' * (1 << 20)))";
    stops_at_its_limit(200 * MIB, &["--disk", "2G"], code);
}

#[test]
fn a_writable_layer_that_is_full_has_no_space_left_and_ends_nothing() {
    let code = "try:\n  file = open('/tmp/x', 'wb', 0)\n  while True: file.write(bytes(1 << 20))\nexcept OSError as error: print(error.errno)";
    for options in [&[][..], &["--disk", "8G", "--memory", "200M"]] {
        let result = python_result(options, code);
        assert_eq!((&result["status"], &result["stdout"]), (&json!("exited"), &json!("28\n")), "{result}");
        assert_eq!(result["limits_reached"], json!(["disk"]));
    }
}

#[test]
fn files_in_memory_that_nobody_maps_count() {
    let _alone = alone();
    let code =
        "import os\nwhile True:\n  fd = os.memfd_create('x')\n  for _ in range(10): os.write(fd, bytes(1 << 20))";
    stops_at_its_limit(200 * MIB, &["--seccomp", "debug"], code);
}

#[test]
fn a_file_in_memory_counts_once_however_many_have_it_open_and_mapped() {
    let _alone = alone();
    let code = r#"
import mmap, os, time
fd = os.memfd_create('x')
os.write(fd, bytes(100 << 20))
x = mmap.mmap(fd, 0)
for _ in range(8):
    if os.fork() == 0: sum(x[i] for i in range(0, len(x), 4096)); time.sleep(60)
time.sleep(1.5)
"#;
    let result = python_result(&["--memory", "220M", "--cpus", "2", "--seccomp", "debug"], code);
    assert_eq!(ended(&result), ("exited", &json!(0), &Value::Null), "{result}");
    assert!(usage(&result, "peak_memory_bytes") >= 100 * MIB, "{result}");
}

/// CPUs that `code` got in two seconds under `--cpus`; fewer, where others on the host want them too.
fn share(cpus: &str, code: &str) -> f64 {
    let result = python_result(&["--cpus", cpus, "--timeout", "2500ms"], code);
    killed_for(&result, "timed_out");
    let share = usage(&result, "cpu_ms") as f64 / usage(&result, "wall_ms") as f64;
    println!("{cpus} CPUs: share {share:.3}");
    share
}

const SPIN: &str = "while True: pass";
const SPIN_IN_FOUR: &str = "import os\nos.fork(); os.fork()\nwhile True: pass";

#[test]
fn a_fifth_of_a_cpu_is_a_fifth() {
    let _alone = alone();
    assert!((0.05..0.30).contains(&share("0.2", SPIN)));
}

#[test]
fn half_a_cpu_is_half() {
    let _alone = alone();
    assert!((0.15..0.65).contains(&share("0.5", SPIN)));
}

#[test]
fn several_hogs_share_what_one_would_get() {
    let _alone = alone();
    assert!((0.05..0.32).contains(&share("0.2", SPIN_IN_FOUR)));
}

#[test]
fn more_than_one_cpu_is_a_share_too() {
    let _alone = alone();
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if !crate::common::available("a second CPU", cpus > 1) {
        return;
    }
    assert!((0.30..1.75).contains(&share("1.5", SPIN_IN_FOUR)));
}

#[test]
fn who_forks_all_the_time_does_not_escape_the_rate() {
    let _alone = alone();
    // Each process spins for 4 ms, leaves a child that goes on, and ends.
    let chain = "import os, time\nwhile True:\n  end = time.process_time() + 0.004\n  while time.process_time() < end: pass\n  if os.fork(): os._exit(0)";
    let code = format!("import os, time\nif os.fork(): time.sleep(60)\n{chain}");
    assert!(share("0.2", &code) < 0.40);
}

#[test]
fn children_that_nobody_waits_for_do_not_escape_the_rate() {
    let _alone = alone();
    let code = r#"
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    if os.fork() == 0:
        while time.process_time() < 0.2: pass
        os._exit(0)
    try: os.wait()
    except ChildProcessError: pass
"#;
    let result = python_result(&["--cpus", "0.2", "--cpu-time", "300ms", "--timeout", "20s"], code);
    killed_for(&result, "cpu_time_exceeded");
    assert!(usage(&result, "cpu_ms") >= 300, "{result}");
}

#[test]
fn cpu_time_is_used_up_by_one_process() {
    let _alone = alone();
    let result = python_result(&["--cpu-time", "500ms"], SPIN);
    killed_for(&result, "cpu_time_exceeded");
    println!("cpu time 500 ms: {} ms", usage(&result, "cpu_ms"));
    assert!((500..700).contains(&usage(&result, "cpu_ms")), "{result}");
}

#[test]
fn cpu_time_is_used_up_by_many_processes_together() {
    let _alone = alone();
    let result = python_result(&["--cpu-time", "600ms", "--cpus", "4"], SPIN_IN_FOUR);
    killed_for(&result, "cpu_time_exceeded");
    assert!((600..900).contains(&usage(&result, "cpu_ms")), "{result}");
}

#[test]
fn cpu_time_counts_children_that_are_gone() {
    let _alone = alone();
    let script = "while :; do (i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done); done";
    killed_for(&shell_result(&["--cpu-time", "500ms", "--timeout", "30s"], script), "cpu_time_exceeded");
}

#[test]
fn job_control_inside_does_not_notice_the_throttle() {
    let _alone = alone();
    // A parent that asks for every change of its child hears of none.
    let code = r#"
import os, signal, time
child = os.fork()
if child == 0:
    while True: pass
end = time.monotonic() + 2
seen = []
while time.monotonic() < end:
    pid, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
    if pid: seen.append(os.WIFSTOPPED(status))
    time.sleep(0.001)
print(seen)
"#;
    assert_eq!(stdout(&python_result(&["--cpus", "0.3"], code)), "[]\n");
}

#[test]
fn a_parent_that_waits_for_its_child_to_stop_waits_on() {
    let _alone = alone();
    let code = r#"
import os, signal, time
child = os.fork()
if child == 0:
    end = time.process_time() + 0.5
    while time.process_time() < end: pass
    os._exit(3)
print(os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1]))
"#;
    assert_eq!(stdout(&python_result(&["--cpus", "0.3"], code)), "False\n");
}

#[test]
fn what_stopped_itself_stays_stopped() {
    let _alone = alone();
    let code = r#"
import os, signal, time
child = os.fork()
if child == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
    print("continued", flush=True); os._exit(0)
os.waitpid(child, os.WUNTRACED)
end = time.monotonic() + 1.5
while time.monotonic() < end: pass
print(open(f"/proc/{child}/stat").read().split()[2])
"#;
    assert_eq!(stdout(&python_result(&["--cpus", "0.3"], code)), "T\n");
}

#[test]
fn a_full_disk_is_refused_to_the_command_and_named_in_the_result() {
    let _alone = alone();
    let script =
        "dd if=/dev/zero of=/tmp/x bs=1M count=100 2>&1 | grep -o 'No space left on device'; df -k /tmp | tail -1";
    let result = shell_result(&["--disk", "20M"], script);
    assert_eq!(stdout(&result).lines().next(), Some("No space left on device"));
    assert_eq!((ended(&result).0, reached(&result)), ("exited", vec!["disk"]));
    assert!((19 * MIB..=20 * MIB).contains(&usage(&result, "disk_bytes")), "{result}");
}

#[test]
fn inodes_end_at_their_quota() {
    let _alone = alone();
    let code = r#"
import errno
count = 0
try:
    while True: open(f'/tmp/{count}', 'w').close(); count += 1
except OSError as error: print(errno.errorcode[error.errno], 500 < count <= 1024)
"#;
    let result = python_result(&["--disk", "2M"], code);
    assert_eq!((stdout(&result), reached(&result)), ("ENOSPC True\n", vec!["disk"]));
}

#[test]
fn a_sparse_file_costs_nothing_and_a_reserved_one_what_it_reserves() {
    let _alone = alone();
    let script =
        "truncate -s 100G /tmp/sparse && echo sparse; rm /tmp/sparse; fallocate -l 1G /tmp/x 2>/dev/null || echo no";
    let result = shell_result(&["--disk", "16M"], script);
    assert_eq!(stdout(&result), "sparse\nno\n");
    assert!(usage(&result, "disk_bytes") <= 16 * MIB, "{result}");
}

#[test]
fn open_files_end_at_their_limit() {
    let _alone = alone();
    let code = r#"
import errno
files = []
try:
    while True: files.append(open('/dev/null'))
except OSError as error: print(errno.errorcode[error.errno], len(files) < 1024)
"#;
    assert_eq!(stdout(&python_result(&[], code)), "EMFILE True\n");
}

#[test]
fn each_limit_says_by_what_it_is_enforced_and_whether_exactly() {
    let _alone = alone();
    let result = shell_result(&["--cpu-time", "5s"], "true");
    let of = |name: &str| result["enforcement"][name].clone();
    let expected = json!([
        { "by": "sampling", "exact": false },
        { "by": "sampling, stop and continue", "exact": false },
        { "by": "sampling, rlimit", "exact": false },
        { "by": "rlimit", "exact": true },
        { "by": "tmpfs", "exact": true },
        { "by": "timer", "exact": true },
    ]);
    assert_eq!(json!(["memory", "cpu", "cpu_time", "pids", "disk", "timeout"].map(of)), expected);
}

#[test]
fn an_approximate_limit_is_refused_to_who_requires_an_exact_one() {
    let _alone = alone();
    let result = shell_result(&["--require", "memory=exact"], "true");
    let error = json!({
        "kind": "host",
        "message": "memory is required exactly, and is enforced by sampling, which is approximate: no cgroup is wanted",
        "hint": "leave `--cgroup-parent none` out; or take the approximate mechanism: `--require memory`",
        "step": null, "fields": [], "problems": [], "path": null, "errno": null,
    });
    assert_eq!((&result["status"], &result["error"]), (&json!("setup_failed"), &error));
    assert_eq!(shell(&["--require", "memory=exact"], "true").code, Some(125));
}

#[test]
fn what_is_exact_may_be_required_exactly() {
    let _alone = alone();
    let options = ["pids", "disk", "timeout"].map(|name| format!("--require={name}=exact"));
    assert_eq!(shell(&options.each_ref().map(String::as_str), "true").code, Some(0));
}

#[test]
fn a_protection_that_may_be_missing_is_still_enforced_where_it_can_be() {
    let _alone = alone();
    let (result, enforced) = (shell_result(&["--allow-missing", "landlock"], "true"), shell_result(&[], "true"));
    assert_eq!(result["enforcement"]["landlock"], enforced["enforcement"]["landlock"]);
}

#[test]
fn usage_of_a_trivial_command_is_plausible() {
    let _alone = alone();
    let result = shell_result(&[], "true");
    assert!((100_000..64 * MIB).contains(&usage(&result, "peak_memory_bytes")), "{result}");
    assert!(usage(&result, "wall_ms") < 10_000 && usage(&result, "cpu_ms") < 2_000, "{result}");
    assert_eq!((usage(&result, "peak_pids"), reached(&result)), (1, Vec::new()));
    assert!(usage(&result, "disk_bytes") < MIB, "{result}");
}
