//! How a run can end, and that nothing is left of it whatever the end.

use crate::common::chance::{Chance, scaled};
use crate::common::{
    Scratch, Started, assert_gone, belljar, call, command, ended, mark, python_result, result, shell, shell_result,
    stdout,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::os::unix::process::CommandExt as _;
use std::time::{Duration, Instant};

#[test]
fn every_exit_code_of_the_command_is_its_own() {
    for code in [0, 1, 2, 42, 99, 100, 123, 124, 125, 126, 127, 128, 130, 137, 143, 254, 255] {
        let run = shell(&["--json"], &format!("exit {code}"));
        assert_eq!(run.code, Some(code));
        assert_eq!(ended(&result(&run)), ("exited", &json!(code), &Value::Null));
    }
}

/// Python ignores some signals, and catches one.
const PLAIN: &str = "import os, signal\nfor n in range(1, 65):\n  try: signal.signal(n, signal.SIG_DFL)\n  except (OSError, ValueError): pass\n";

#[test]
fn every_signal_that_ends_the_command_is_named() {
    let harmless = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
    let stopping = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    for number in Chance::new("signals").sample((1..=31).chain([34, 35, 50, 64])) {
        if stopping.contains(&number) {
            continue;
        }
        let run = call(["code", "python", "--json", "-e", &format!("{PLAIN}os.kill(os.getpid(), {number})")]);
        let result = result(&run);
        if harmless.contains(&number) {
            assert_eq!((ended(&result), run.code), (("exited", &json!(0), &Value::Null), Some(0)), "{number}");
            continue;
        }
        let name = match number {
            34 => "SIGRTMIN".to_owned(),
            35.. => format!("SIGRTMIN+{}", number - 34),
            _ => Signal::try_from(number).expect("a signal").as_str().to_owned(),
        };
        // The kernel does not tell whether SIGSYS came from the filter.
        let status = if number == libc::SIGSYS { "forbidden_syscall" } else { "signaled" };
        assert_eq!((ended(&result), run.code), ((status, &Value::Null, &json!(name)), Some(128 + number)));
    }
}

#[test]
fn a_command_that_stops_itself_runs_into_the_deadline() {
    for signal in ["STOP", "TSTP", "TTIN"] {
        let run = shell(&["--json", "--timeout", "600ms"], &format!("kill -{signal} $$; echo on"));
        let result = result(&run);
        let expected = ("timed_out", &Value::Null, &json!("SIGKILL"));
        // An orphaned process group is not stopped by a terminal's signals (POSIX), and a session of one is orphaned.
        if signal == "STOP" {
            assert_eq!((ended(&result), run.code), (expected, Some(124)));
        } else {
            assert_eq!(stdout(&result), "on\n");
        }
    }
}

#[test]
fn the_deadline_kills_whatever_has_detached_itself() {
    let mark = mark("detached");
    let script = format!(
        "trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM; while :; do sleep 60; done; : {mark}' & \
         (setsid sh -c '(trap \"\" TERM HUP; sleep 60; : {mark}) & exit' &) ; while :; do sleep 60; done; : {mark}"
    );
    let run = shell(&["--json", "--timeout", "700ms"], &script);
    let result = result(&run);
    assert_eq!((ended(&result).0, run.code), ("timed_out", Some(124)));
    let late = result["usage"]["wall_ms"].as_u64().expect("wall_ms") as i64 - 700;
    println!("deadline of 700 ms: {late} ms late");
    assert!((0..50_000).contains(&late), "{late} ms late");
    assert_gone(&mark);
}

#[test]
fn a_grandchild_that_holds_the_output_delays_nothing_and_dies() {
    let mark = mark("grandchild");
    let begun = Instant::now();
    let run = shell(&["--json"], &format!("setsid sh -c 'sleep 100; : {mark}' & echo done"));
    assert_eq!((stdout(&result(&run)), run.code), ("done\n", Some(0)));
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_gone(&mark);
}

#[test]
fn pid_1_cannot_be_killed_or_stopped_from_inside() {
    let script = "kill -9 1; kill -STOP 1; kill -SEGV 1; kill -TERM 1; echo alive; exit 5";
    let result = shell_result(&["--timeout", "20s"], script);
    assert_eq!((stdout(&result), ended(&result)), ("alive\n", ("exited", &json!(5), &Value::Null)));
}

#[test]
fn killing_everybody_inside_spares_pid_1_and_the_killer() {
    let result = shell_result(&["--timeout", "20s"], "sleep 60 & kill -9 -1; echo alive; exit 6");
    assert_eq!((stdout(&result), ended(&result)), ("alive\n", ("exited", &json!(6), &Value::Null)));
}

#[test]
fn orphans_are_reaped() {
    let code = r#"
import os, time
for _ in range(300):
    if os.fork() == 0:
        if os.fork(): os._exit(0)
        os._exit(0)
    os.wait()
left = lambda: [name for name in os.listdir("/proc") if name.isdigit() and int(name) > 2]
end = time.time() + 10
while left() and time.time() < end: time.sleep(0.01)
print(left())
"#;
    let result = python_result(&["--pids", "20"], code);
    assert_eq!(stdout(&result), "[]\n", "{result}");
}

/// Exit code and the error of a command that cannot be executed.
fn refused(options: &[&str], words: &[&str]) -> (Option<i32>, Value) {
    let run = call([&["run", "--json"], options, &["--"], words].concat());
    let result = result(&run);
    assert_eq!(ended(&result), ("setup_failed", &Value::Null, &Value::Null));
    let kind = match run.code {
        Some(127) => "no_command",
        Some(126) => "not_executable",
        _ => "invalid",
    };
    assert_eq!((&result["error"]["kind"], &result["error"]["fields"]), (&json!(kind), &json!(["command"])));
    (run.code, result["error"]["message"].clone())
}

#[test]
fn a_command_that_is_nowhere_is_not_found() {
    let not_found = |name: &str| (Some(127), json!(format!("`{name}`: command not found in the sandbox")));
    for name in ["no-such-command", "/no/such/command", "/usr/bin/env/command", "/etc/passwd/x", "./x"] {
        assert_eq!(refused(&[], &[name]), not_found(name));
    }
}

/// A directory with one file of each kind that cannot be executed, mounted on `/mnt`.
fn unexecutable() -> (Scratch, String) {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new("exec");
    let file = |name: &str, content: &[u8], mode: u32| {
        let path = scratch.file(name, content);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set its mode");
    };
    let mut foreign = std::fs::read(belljar()).expect("read a program");
    foreign.truncate(4096);
    // e_machine of an ELF header: 0xf3 is RISC-V.
    foreign[18..20].copy_from_slice(&0xf3u16.to_le_bytes());
    file("foreign", &foreign, 0o755);
    file("no-mode", b"#!/bin/sh\n", 0o644);
    file("no-line", b"echo hello\n", 0o755);
    file("empty", b"", 0o755);
    file("no-interpreter", b"#!/no/such/interpreter\n", 0o755);
    let mount = format!("{}:/mnt", scratch.0.display());
    (scratch, mount)
}

#[test]
fn each_reason_why_a_file_cannot_be_executed_is_told_apart() {
    let (_scratch, mount) = unexecutable();
    let table = [
        ("/mnt/no-mode", "not executable: permission denied"),
        ("/mnt", "is a directory"),
        ("/mnt/foreign", "built for another architecture"),
        ("/mnt/no-line", "neither a program nor a script with a `#!` line"),
        ("/mnt/empty", "neither a program nor a script with a `#!` line"),
        ("/mnt/no-interpreter", "its interpreter does not exist in the sandbox"),
    ];
    for (name, reason) in table {
        let expected = (Some(126), json!(format!("`{name}`: {reason}")));
        assert_eq!(refused(&["--mount", &mount], &[name]), expected);
    }
}

#[test]
fn what_is_not_executable_is_no_matter_where_the_path_has_another() {
    let (scratch, mount) = unexecutable();
    std::fs::rename(scratch.0.join("no-mode"), scratch.0.join("true")).expect("rename");
    let run = call(["run", "--mount", &mount, "--env", "PATH=/mnt:/usr/bin", "--", "true"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
}

#[test]
fn arguments_that_are_too_large_are_a_reason_of_their_own() {
    // A spec file can hold an argument that no execution of ours could.
    let run = crate::common::call_with_input(
        ["run", "--json", "--spec", "-"],
        json!({ "command": ["true", "x".repeat(200_000)] }).to_string().as_bytes(),
    );
    assert_eq!(
        (run.code, &result(&run)["error"]["message"]),
        (Some(126), &json!("`true`: arguments and environment are too large"))
    );
}

#[test]
fn a_command_without_a_name_is_refused_before_anything_is_done() {
    assert_eq!(refused(&[], &[""]), (Some(125), json!("command: the name of the command is empty")));
}

/// Sends `signal` to a run that ignores it (`trap`) or does not; its result and how long the end took.
fn signalled(signal: Signal, trap: &str) -> (Option<i32>, Value, Duration) {
    let mark = mark("signalled");
    // A child that comes after the trap; nobody before has its name in one piece.
    let script = format!("trap {trap}; mark={mark}; sh -c \"sleep 60; : $mark-set\" & while :; do sleep 0.05; done");
    let mut command = command(["run", "--json", "--", "sh", "-c", &script]);
    let started = Started::new(&mut command);
    assert!(crate::common::eventually(10, || !crate::common::processes_with(&format!("{mark}-set")).is_empty()));
    let begun = Instant::now();
    started.signal(signal);
    let run = started.finish();
    let took = begun.elapsed();
    assert_gone(&mark);
    (run.code, result(&run), took)
}

#[test]
fn a_signal_to_belljar_reaches_the_command() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGALRM] {
        let (code, result, _) = signalled(signal, "'' USR2");
        let expected = ("signaled", &Value::Null, &json!(signal.as_str()));
        assert_eq!((code, ended(&result)), (Some(128 + signal as i32), expected));
    }
}

#[test]
fn a_command_may_answer_a_signal_by_ending_well() {
    let (code, result, _) = signalled(Signal::SIGTERM, "'exit 3' TERM");
    assert_eq!((code, ended(&result)), (Some(3), ("exited", &json!(3), &Value::Null)));
}

#[test]
fn a_command_that_ignores_a_signal_is_killed_after_a_second() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (code, result, took) = signalled(signal, "'' TERM INT");
        let expected = ("cancelled", &Value::Null, &json!(signal.as_str()));
        assert_eq!((code, ended(&result)), (Some(128 + signal as i32), expected));
        assert!((Duration::from_millis(900)..Duration::from_secs(50)).contains(&took), "{took:?}");
    }
}

#[test]
fn signals_for_users_are_passed_on() {
    let (code, result, _) = signalled(Signal::SIGUSR1, "'exit 9' USR1");
    assert_eq!((code, ended(&result)), (Some(9), ("exited", &json!(9), &Value::Null)));
}

/// Whether a signal waits for a process to take it.
fn is_pending(pid: nix::unistd::Pid, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).expect("pending signals");
    u64::from_str_radix(line.trim(), 16).expect("a mask") >> (signal as i32 - 1) & 1 == 1
}

#[test]
fn a_second_signal_does_not_wait() {
    let took = || {
        let mut command = command(["run", "--", "sh", "-c", "trap '' INT; echo ready; while :; do sleep 0.05; done"]);
        let mut started = Started::new(&mut command);
        assert_eq!(started.first_line(), "ready");
        let begun = Instant::now();
        started.signal(Signal::SIGINT);
        // Two that wait are one.
        assert!(crate::common::eventually(10, || !is_pending(started.pid(), Signal::SIGINT)));
        started.signal(Signal::SIGINT);
        assert_eq!(started.finish().code, Some(130));
        begun.elapsed()
    };
    // On a busy machine it may take longer, and who waits for a second never takes less.
    assert!((0..10).any(|_| took() < Duration::from_millis(900)));
}

#[test]
fn a_signal_at_any_moment_ends_the_run_as_that_signal() {
    let mut chance = Chance::new("early");
    for round in 0..scaled(60) {
        let (mark, moment) = (mark("early"), chance.moment(Duration::from_millis(6)));
        let mut command = command(["run", "--", "sh", "-c", &format!("sleep 60; : {mark}")]);
        let started = Started::new(&mut command);
        std::thread::sleep(moment);
        started.signal(Signal::SIGTERM);
        let run = started.finish();
        // Before the supervisor listens, the signal ends it as any other program.
        assert!(matches!(run.code, None | Some(143)), "round {round}, after {moment:?}: {run:?}");
        assert_gone(&mark);
    }
}

#[test]
fn a_supervisor_that_is_killed_takes_everything_along() {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("read mounts");
    let mark = mark("orphan");
    let mut chance = Chance::new("orphan");
    for _ in 0..scaled(200) {
        let mut command = command(["run", "--", "sh", "-c", &format!("setsid sleep 60 & sleep 60; : {mark}")]);
        let started = Started::new(&mut command);
        // Somewhere in the set-up.
        std::thread::sleep(chance.moment(Duration::from_millis(4)));
        started.signal(Signal::SIGKILL);
        assert_eq!(started.end_signal(), Some(libc::SIGKILL));
    }
    assert_gone(&mark);
    assert_eq!(std::fs::read_to_string("/proc/self/mountinfo").expect("read mounts"), mounts);
}

/// State letter of a process.
fn state(pid: &str) -> Option<char> {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn stopping_belljar_stops_the_command_and_continuing_continues_it() {
    let mark = mark("stopped");
    let mut command = command(["run", "--", "sh", "-c", &format!("echo ready; while :; do :; done; : {mark}")]);
    let mut started = Started::new(&mut command);
    assert_eq!(started.first_line(), "ready");
    let own = started.pid().to_string();
    let inside = crate::common::processes_with(&mark).into_iter().filter(|pid| *pid != own);
    // pid 1 shows the supervisor's own command line.
    let shell = inside.max_by_key(|pid| pid.parse::<u32>().unwrap_or(0)).expect("the shell inside");
    started.signal(Signal::SIGTSTP);
    assert!(crate::common::eventually(10, || state(&own) == Some('T') && state(&shell) == Some('T')));
    started.signal(Signal::SIGCONT);
    assert!(crate::common::eventually(10, || state(&own) != Some('T') && state(&shell) == Some('R')));
    started.signal(Signal::SIGTERM);
    assert_eq!(started.finish().code, Some(143));
    assert_gone(&mark);
}

#[test]
fn signals_that_the_caller_has_ignored_are_ignored() {
    let mut command = command(["run", "--", "sh", "-c", "echo ready; sleep 0.7; exit 4"]);
    // SAFETY: signal(2) is safe between fork and exec.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT] {
                libc::signal(signal, libc::SIG_IGN);
            }
            Ok(())
        })
    };
    let mut started = Started::new(&mut command);
    assert_eq!(started.first_line(), "ready");
    started.signal(Signal::SIGHUP);
    started.signal(Signal::SIGINT);
    assert_eq!(started.finish().code, Some(4));
}
