//! What a run by a template finds, and what is told of it.

use crate::common::{Scratch, Started, ended, eventually, python_result, result, said, stdout};
use crate::{known, run, template};
use serde_json::json;

/// What a process can know of the sandbox that it is in.
const LOOK: &str = "
import os, resource, socket
status = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())
print({name: status[name].strip() for name in ('Uid', 'Gid', 'Groups', 'CapEff', 'CapPrm', 'CapInh', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Umask', 'SigBlk')})
print(sorted(os.listdir('/')), sorted(os.listdir('/dev')), os.listdir('/tmp'), os.getcwd(), socket.gethostname())
print(sorted(os.environ.items()), sorted(os.listdir('/sys/class/net')) if os.path.exists('/sys/class/net') else '')
print([resource.getrlimit(kind) for kind in range(16)], len(os.sched_getaffinity(0)))
print([line.split()[4:6] for line in open('/proc/self/mountinfo')])
def refused(what, *arguments):
    try:
        return what(*arguments)
    except OSError as error:
        return error.errno
print(refused(open, '/usr/x', 'w'), refused(open, '/proc/sys/kernel/hostname', 'w'), refused(os.mkdir, '/x'))
print(refused(os.listdir, '/proc/1/fd'), refused(os.readlink, '/proc/1/root'), sorted(os.listdir('/proc/self/fd')))
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for call in ((272, 0x10000000), (165, 0, 0, 0, 0, 0), (101, 16, 1, 0, 0), (308, 3, 0), (321, 0, 0, 0), (250, 0, 0), (425, 1, 0)):
    print(call[0], libc.syscall(*call), ctypes.get_errno())
";

#[test]
fn a_run_is_restricted_exactly_as_code_in_a_fresh_sandbox_is() {
    let sandboxes = template("warm-same", &[]);
    let fresh = python_result(&["--image", "host"], LOOK);
    let warm = run(&sandboxes, &[], LOOK);
    assert_eq!(ended(&warm), ("exited", &json!(0), &json!(null)), "{warm}");
    let shares = ["hash seed", "layout of memory", "stack canary"];
    assert_eq!(warm["warm"], json!({ "how": "parked", "why": null, "shares": shares }));
    let lines = |result: &serde_json::Value| stdout(result).lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&warm), lines(&fresh));
    let names = |result: &serde_json::Value| {
        let all = result["enforcement"].as_object().expect("an object").keys().cloned();
        all.collect::<std::collections::BTreeSet<_>>()
    };
    let more: Vec<String> = names(&warm).difference(&names(&fresh)).cloned().collect();
    assert_eq!((names(&fresh).is_subset(&names(&warm)), more), (true, vec!["randomization".to_owned()]));
    let told = "hash seed, layout of memory and stack canary are those of all runs by the template";
    assert_eq!(warm["enforcement"]["randomization"], json!({ "partly": told }));
}

#[test]
fn each_run_has_a_sandbox_of_its_own_and_what_was_imported() {
    let sandboxes = template("warm-own", &["--preload", "import json, decimal; NAME = 'of the preload'"]);
    let code = "
import os, sys
print('decimal' in sys.modules, sys.modules['__preload__'].NAME, os.path.exists('/tmp/left'), os.getppid())
open('/tmp/left', 'w').write('x')
print(len([pid for pid in os.listdir('/proc') if pid.isdigit()]))";
    for _ in 0..5 {
        let result = run(&sandboxes, &[], code);
        assert_eq!(stdout(&result), "True of the preload False 1\n2\n", "{result}");
    }
    let now = known(&sandboxes)["now"].clone();
    let number = |name: &str| now[name].as_u64().expect("a number");
    assert_eq!(number("from_parked") + number("from_forked"), 5, "{now}");
    assert_eq!(now["trouble"], json!(null), "{now}");
}

#[test]
fn arguments_streams_and_exit_codes_are_those_of_code_in_a_fresh_sandbox() {
    let sandboxes = template("warm-streams", &[]);
    let scratch = Scratch::new("warm-streams-files");
    let file = scratch.file("tell.py", "import sys; print(__file__, sys.argv[1:], sys.stdin.read()); sys.exit(3)");
    let input = scratch.file("input", "said").to_string_lossy().into_owned();
    let words = ["code", "python", "--warm", "numbers", "--stdin", &input, &file.to_string_lossy(), "a", "-b"];
    let told = sandboxes.call(&words);
    assert_eq!(said(&told), (Some(3), "/run/code/tell.py ['a', '-b'] said\n", ""));
    let result = run(&sandboxes, &["--env", "A=b"], "import os; print(os.environ['A']); 1/0");
    assert_eq!((ended(&result).1, stdout(&result)), (&json!(1), "b\n"));
    assert!(result["stderr"].as_str().expect("text").ends_with("ZeroDivisionError: division by zero\n"), "{result}");
    let killed = run(&sandboxes, &[], "import os, signal; os.kill(os.getpid(), signal.SIGTERM)");
    assert_eq!(ended(&killed), ("signaled", &json!(null), &json!("SIGTERM")), "{killed}");
}

#[test]
fn the_limits_of_the_template_hold_for_each_run() {
    let options = ["--memory", "96M", "--pids", "20", "--disk", "8M"];
    let sandboxes = template("warm-limits", &options);
    let late = run(&sandboxes, &["--timeout", "500ms"], "import time; time.sleep(60)");
    assert_eq!(ended(&late).0, "timed_out", "{late}");
    let large = run(&sandboxes, &[], "x = b'x' * (200 << 20); import time; time.sleep(30)");
    assert_eq!(ended(&large).0, "out_of_memory", "{large}");
    let full = run(&sandboxes, &[], "f = open('/tmp/x', 'wb')\nfor _ in range(16): f.write(bytes(1 << 20)); f.flush()");
    assert!(full["stderr"].as_str().expect("text").contains("No space left"), "{full}");
    let forks = "
import os, time
made = 0
try:
    for _ in range(100):
        if os.fork() == 0:
            time.sleep(60)
        made += 1
except OSError:
    pass
print(made)
os.kill(-1, 9)";
    for _ in 0..2 {
        let result = run(&sandboxes, &[], forks);
        assert_eq!(stdout(&result), "19\n", "{result}");
    }
    let drop = run(&sandboxes, &["--output-limit", "10"], "print('x' * 100)");
    assert_eq!((stdout(&drop), &drop["stdout_truncated"]), ("xxxxxxxxxx", &json!(true)));
    // None of that has hurt the template.
    assert_eq!(run(&sandboxes, &[], "print(1)")["warm"]["how"], "parked");
}

#[test]
fn a_run_whose_caller_is_killed_ends_with_it() {
    let sandboxes = template("warm-killed", &[]);
    let mark = "a-mark-of-a-run-that-is-killed";
    let code = format!("import time; time.sleep(600) # {mark}");
    let mut command = sandboxes.command(&["code", "python", "--warm", "numbers", "-e", &code]);
    let mut caller = command.stdout(std::process::Stdio::null()).spawn().expect("start belljar");
    assert!(eventually(20, || known(&sandboxes)["now"]["running"] == 1), "{}", known(&sandboxes));
    caller.kill().expect("kill the caller");
    caller.wait().expect("its end");
    assert!(eventually(20, || known(&sandboxes)["now"]["running"] == 0), "{}", known(&sandboxes));
}

#[test]
fn a_run_whose_template_is_removed_says_that_it_ran_and_what_it_wrote() {
    let sandboxes = template("warm-removed", &[]);
    let code = "import time; print('began', flush=True); time.sleep(600)";
    let mut command = sandboxes.command(&["code", "python", "--json", "--warm", "numbers", "-e", code]);
    let running = Started::new(&mut command);
    assert!(eventually(20, || known(&sandboxes)["now"]["running"] == 1), "{}", known(&sandboxes));
    std::thread::sleep(std::time::Duration::from_millis(500));
    sandboxes.done(&["warm", "rm", "numbers"]);
    let told = result(&running.finish());
    assert_eq!((&told["status"], stdout(&told)), (&json!("cancelled"), "began\n"), "{told}");
    assert!(told["error"]["message"].as_str().is_some_and(|message| message.contains("numbers")), "{told}");
}

#[test]
fn without_copies_that_wait_each_run_has_one_made_and_without_a_template_that_runs_it_begins_anew() {
    let sandboxes = template("warm-ways", &["--ready", "0"]);
    assert_eq!(run(&sandboxes, &[], "print(1)")["warm"]["how"], "forked");
    // Nobody is left who could make a copy.
    for pid in sandboxes.supervisors() {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("kill it");
    }
    assert!(eventually(10, || sandboxes.supervisors().is_empty()));
    let cold = run(&sandboxes, &[], "print(2)");
    assert_eq!((stdout(&cold), &cold["warm"]["how"]), ("2\n", &json!("cold")), "{cold}");
    assert!(cold["warm"]["why"].as_str().is_some_and(|why| why.contains("numbers")), "{cold}");
}
