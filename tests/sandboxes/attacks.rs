//! What somebody inside does to those who join, and to what their caller believes.

use crate::common::chance::scaled_from;
use crate::common::sandboxes::Sandboxes;
use crate::common::{Started, eventually, mark, processes_with, said, stdout};
use nix::sys::signal::{Signal, kill};
use serde_json::json;

/// CVE-2016-9962, CVE-2019-5736: whoever enters is looked at, opened, traced and read before it has given up what it had.
#[test]
fn nobody_inside_can_look_into_a_command_that_is_joining() {
    let sandboxes = Sandboxes::new("peeping");
    sandboxes.create("box", &["--seccomp", "debug"]);
    let spy = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
own = os.getpid()
print('watching', flush=True)
caught, seen = set(), set()
while not os.path.exists('/tmp/stop'):
    for name in os.listdir('/proc'):
        if not name.isdigit() or int(name) in (1, own):
            continue
        try:
            if open(f'/proc/{name}/comm').read() != 'belljar\n':
                continue
        except OSError:
            continue
        seen.add(name)
        for entry in ('exe', 'root', 'cwd', 'fd', 'mem', 'maps', 'environ', 'auxv', 'ns/user'):
            try:
                # More than once: for a moment of execve(2) a new program still has the old one's name. What has ended has
                # an empty memory.
                for _ in range(4):
                    path = f'/proc/{name}/{entry}'
                    found = os.listdir(path) if entry == 'fd' else os.readlink(path) if entry in ('exe', 'root', 'cwd', 'ns/user') else open(path, 'rb').read(1)
                    if not found or open(f'/proc/{name}/comm').read() != 'belljar\n':
                        break
                else:
                    caught.add(entry)
            except OSError:
                pass
        # To seize stops nobody (ptrace(2), PTRACE_SEIZE); who is seized is waited for by us before its parent hears of its end.
        if libc.ptrace(0x4206, int(name), 0, 0) == 0:
            if open(f'/proc/{name}/comm').read() == 'belljar\n':
                caught.add('ptrace')
            os.waitpid(int(name), 0x40000000)
print(len(seen) > 0, sorted(caught))
"#;
    let mut watching = Started::new(&mut sandboxes.command(&["exec", "box", "--", "python3", "-c", spy]));
    assert_eq!(watching.first_line(), "watching");
    for _ in 0..scaled_from(10, 60) {
        sandboxes.call(&["exec", "box", "--", "true"]);
    }
    sandboxes.shell("box", "touch /tmp/stop");
    assert_eq!(said(&watching.finish()), (Some(0), "True []\n", ""));
}

/// CVE-2024-21626: a directory of the host among the descriptors, or as working directory.
#[test]
fn a_command_that_joins_has_nothing_of_the_host_open() {
    let sandboxes = Sandboxes::new("descriptors");
    sandboxes.create("box", &[]);
    let script = "ls /proc/self/fd | tr '\\n' ' '; pwd -P; cat /proc/self/cmdline | tr '\\0' ' '; cat /proc/1/cmdline";
    let found = sandboxes.shell("box", script);
    assert!(found.stdout.starts_with("0 1 2 3 /home/") || found.stdout.starts_with("0 1 2 3 /root"), "{found:?}");
    let run = sandboxes.call(&["exec", "--workdir", "/proc/self/fd/7", "box", "--", "pwd"]);
    assert_eq!(run.code, Some(125), "{run:?}");
    let leaders = "for p in /proc/[0-9]*; do grep -q '^belljar' $p/comm && tr '\\0' ' ' < $p/cmdline; done";
    assert!(!sandboxes.shell("box", leaders).stdout.contains("exec"), "a command line of the host is shown");
}

#[test]
fn nobody_escapes_a_deadline_by_killing_the_leader() {
    let sandboxes = Sandboxes::new("leader");
    sandboxes.create("box", &["--keep"]);
    let run = sandboxes.call(&["exec", "--timeout", "1s", "box", "--", "sh", "-c", "kill -9 $PPID; sleep 1008"]);
    // With Landlock from ABI 6 on, or another answer of the kernel, nobody can; otherwise the sandbox ends for it.
    match run.code {
        Some(124) => {}
        Some(125) => {
            assert!(run.stderr.contains("the sandbox was stopped"), "{run:?}");
            assert_eq!(sandboxes.states(), [("box".to_owned(), "stopped".to_owned())]);
        }
        _ => panic!("{run:?}"),
    }
}

#[test]
fn nobody_escapes_a_deadline_by_stopping_the_leader() {
    let sandboxes = Sandboxes::new("stopping");
    sandboxes.create("box", &["--keep"]);
    let script = "while :; do kill -STOP $PPID; done";
    let run = sandboxes.call(&["exec", "--timeout", "500ms", "box", "--", "sh", "-c", script]);
    assert!(matches!(run.code, Some(124 | 125)), "{run:?}");
    if run.code == Some(125) {
        assert_eq!(sandboxes.states(), [("box".to_owned(), "stopped".to_owned())]);
    } else {
        let left = sandboxes.result(&[], "box", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'kill -STO[P]'");
        assert_eq!(stdout(&left), "0\n");
    }
}

fn gone_soon(mark: &str) {
    assert!(eventually(3, || processes_with(mark).is_empty()), "still there: {:?}", processes_with(mark));
}

/// The leader was to end it at its deadline, and the caller to wake the leader.
#[test]
fn nobody_outlives_a_killed_caller_by_having_stopped_the_leader() {
    let sandboxes = Sandboxes::new("orphan");
    sandboxes.create("box", &[]);
    let (other, own) = (mark("background"), mark("orphan"));
    sandboxes.shell("box", &format!("setsid sh -c 'sleep 60; : {other}' > /dev/null 2>&1 &"));
    let stop = "(while kill -STOP $PPID; do :; done) 2> /dev/null &";
    let script =
        format!("{stop} setsid sh -c 'sleep 60; : {own}' & (sleep 60; : {own}) & echo ready; sleep 60; : {own}");
    let words = ["exec", "--timeout", "3s", "box", "--", "sh", "-c", &script];
    for by_the_host in [false, true] {
        let mut caller = Started::new(&mut sandboxes.command(&words));
        assert_eq!(caller.first_line(), "ready");
        if by_the_host {
            // The caller's child, or one that stood inside: the one whose child is the command.
            let parent = |pid: i32| {
                let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse::<i32>().ok()).unwrap_or(0)
            };
            let command = |pid: i32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let own = processes_with(&own);
            let leader = own
                .iter()
                .filter_map(|pid| Some(parent(pid.parse().ok()?)))
                .find(|pid| command(*pid).starts_with(b"belljar"));
            kill(nix::unistd::Pid::from_raw(leader.expect("one leader")), Signal::SIGSTOP).expect("stop");
        }
        caller.signal(Signal::SIGKILL);
        caller.end_signal();
        gone_soon(&own);
    }
    // Whoever has nothing to do with it goes on.
    assert_eq!(said(&sandboxes.shell("box", "echo on")), (Some(0), "on\n", ""));
    assert!(!processes_with(&other).is_empty());
}

#[test]
fn nobody_outlives_a_killed_caller_by_killing_the_leader_at_its_work() {
    let sandboxes = Sandboxes::new("orphan-killer");
    let own = mark("orphan-killer");
    let code = format!(
        "
import os, signal, time
leader = os.getppid()
for _ in range(20):
  if not os.fork(): time.sleep(60)
def react(*_):
  os.kill(leader, signal.SIGKILL)
signal.signal(signal.SIGCHLD, react)
if not os.fork():
  os.setsid()
  signal.signal(signal.SIGCHLD, react)
  if not os.fork(): time.sleep(60)
  while True: time.sleep(60)
print('ready', flush=True)
while True: time.sleep(60) # {own}"
    );
    for round in 0..scaled_from(3, 30) {
        let name = format!("box-{round}");
        sandboxes.create(&name, &[]);
        let mut caller = Started::new(&mut sandboxes.command(&["exec", &name, "--", "python3", "-u", "-c", &code]));
        assert_eq!(caller.first_line(), "ready");
        caller.signal(Signal::SIGKILL);
        caller.end_signal();
        // With the sandbox, where it cannot be told any more who descends from whom.
        gone_soon(&own);
    }
}

/// Nobody counts it for whoever forks by another call.
#[test]
fn commands_that_come_and_go_have_no_more_cpus_together_than_allowed() {
    let sandboxes = Sandboxes::new("fleeting");
    sandboxes.create("box", &["--cpus", "0.2"]);
    let code = "
import mmap, os, signal, struct, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
clocks, end, slot = mmap.mmap(-1, 1 << 20), time.time() + 2, 0
while time.time() < end:
  slot += 1
  pid = os.fork()
  if not pid:
    while time.process_time() < 0.005: pass
    struct.pack_into('d', clocks, 8 * slot, time.process_time()); os._exit(0)
  try:
    while time.time() < end: os.kill(pid, 0); time.sleep(0.0002)
  except ProcessLookupError: pass
print(sum(struct.unpack('131072d', clocks)) + time.process_time())";
    let exec = || Started::new(&mut sandboxes.command(&["exec", "box", "--", "python3", "-c", code]));
    let used: f64 =
        [exec(), exec()].map(|call| call.finish().stdout.trim().parse::<f64>().expect("seconds")).iter().sum();
    println!("{used:.3} s of 0.4");
    assert!(used < 0.7, "{used}");
}

#[test]
fn whoever_forks_faster_than_anybody_looks_ends_at_the_deadline_all_the_same() {
    let sandboxes = Sandboxes::new("chain");
    sandboxes.create("box", &["--keep"]);
    let chain =
        "import os, time\nend = time.time() + 60\nwhile time.time() < end:\n if os.fork(): os._exit(0)\n os.setsid()\n";
    let run = sandboxes.call(&["exec", "--timeout", "500ms", "box", "--", "python3", "-c", chain]);
    // The first of the chain has ended long before.
    assert!(matches!(run.code, Some(0 | 124 | 125)), "{run:?}");
    sandboxes.done(&["stop", "--grace", "0s", "box"]);
    assert!(eventually(5, || sandboxes.supervisors().is_empty()));
}

#[test]
fn a_sandbox_full_of_processes_can_still_be_stopped() {
    let sandboxes = Sandboxes::new("full");
    sandboxes.create("box", &["--pids", "20"]);
    let bomb = "for i in $(seq 30); do sleep 1009 >/dev/null 2>&1 & done; true";
    sandboxes.call(&["exec", "box", "--", "sh", "-c", bomb]);
    let run = sandboxes.shell("box", "true");
    assert!(run.code == Some(125) || run.code == Some(0), "{run:?}");
    sandboxes.done(&["stop", "box"]);
    assert_eq!(sandboxes.states(), []);
}

#[test]
fn memory_is_counted_for_all_commands_together_and_each_is_told() {
    let sandboxes = Sandboxes::new("memory");
    sandboxes.create("box", &["--memory", "96M"]);
    let hold = "import time\nb = bytearray(50 << 20)\nprint('held', flush=True)\ntime.sleep(60)";
    let mut first = Started::new(&mut sandboxes.command(&["exec", "--json", "box", "--", "python3", "-u", "-c", hold]));
    let held = || {
        let stats: serde_json::Value =
            serde_json::from_str(&sandboxes.done(&["stats", "--json", "box"])).expect("an object");
        stats["memory_bytes"].as_u64() > Some(50 << 20)
    };
    assert!(eventually(20, held), "{}", {
        first.signal(nix::sys::signal::Signal::SIGKILL);
        first.first_line()
    });
    let second = sandboxes.call(&["exec", "--json", "box", "--", "python3", "-c", hold]);
    for run in [first.finish(), second] {
        let found: serde_json::Value = serde_json::from_str(&run.stdout).expect("a result");
        assert_eq!((run.code, &found["status"]), (Some(137), &json!("out_of_memory")), "{found}");
    }
}

#[test]
fn files_of_the_kernels_that_cannot_be_read_keep_no_search_from_its_end() {
    let sandboxes = Sandboxes::new("grep-proc");
    sandboxes.create("box", &[]);
    // Some answer EINVAL, some EIO, some EPERM.
    let run = sandboxes.call(&["fs", "grep", "box", "/proc", "VmRSS:"]);
    assert!(run.code == Some(0) && run.stdout.contains("/status:"), "{run:?}");
}
