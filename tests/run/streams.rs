//! Input and output: nothing is lost, nothing hangs, nothing grows, whatever stands at the other end.

use crate::common::{
    Scratch, Started, call, call_with_input, caller, command, eventually, mark, python_result, result, said, shell,
    shell_result, stdout,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What became of both streams.
fn streams(result: &Value) -> Value {
    let keys = ["stdout", "stdout_encoding", "stdout_truncated", "stderr", "stderr_encoding", "stderr_truncated"];
    json!(keys.map(|key| result[key].clone()))
}

/// The highest resident memory of a process so far, bytes.
fn high_water(pid: nix::unistd::Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) << 10
}

#[test]
fn an_endless_printer_is_cut_and_does_not_grow_the_supervisor() {
    let printers = "yes & yes & cat /dev/zero >&2";
    let words = ["run", "--json", "--timeout", "2s", "--output-limit", "1M", "--cpus", "8", "--", "sh", "-c", printers];
    let started = Started::new(&mut command(words));
    // So long it has printed by then.
    std::thread::sleep(Duration::from_millis(1500));
    let memory = high_water(started.pid());
    let run = started.finish();
    let result = result(&run);
    assert_eq!((run.code, &result["status"]), (Some(124), &json!("timed_out")));
    let cut = |name: &str| (result[name].as_str().map(str::len), result[format!("{name}_truncated")].clone());
    assert_eq!((cut("stdout"), cut("stderr")), ((Some(1 << 20), json!(true)), (Some(1 << 20), json!(true))));
    println!("supervisor of an endless printer: {} KiB", memory >> 10);
    assert!((1..48 << 20).contains(&memory), "the supervisor has {memory} bytes");
}

#[test]
fn the_default_cap_on_captured_output_is_ten_mebibytes_for_each_stream() {
    let result = shell_result(&[], "head -c 11000000 /dev/zero; head -c 10485760 /dev/zero >&2");
    let length = |name: &str| (result[name].as_str().map(str::len), result[format!("{name}_truncated")].clone());
    let whole = Some(10 << 20);
    assert_eq!([length("stdout"), length("stderr")], [(whole, json!(true)), (whole, json!(false))]);
}

#[test]
fn output_beyond_the_limit_ends_the_command_where_that_was_asked_for() {
    // The last ends by itself just when its output is read: the result does not depend on which of both is seen first.
    let short = std::iter::repeat_n("head -c 1025 /dev/zero", 60);
    for script in ["yes", "yes >&2"].into_iter().chain(short) {
        let run = shell(&["--json", "--output-limit", "1K:kill"], script);
        let result = result(&run);
        assert_eq!((run.code, &result["status"]), (Some(137), &json!("output_limit")), "{script}");
    }
}

#[test]
fn output_up_to_the_limit_does_not_end_the_command() {
    let run = shell(&["--json", "--output-limit", "1K:kill"], "head -c 1024 /dev/zero");
    let result = result(&run);
    assert_eq!((run.code, &result["stdout_truncated"]), (Some(0), &json!(false)));
}

#[test]
fn live_output_is_cut_when_that_was_asked_for() {
    let run = shell(&["--output-limit", "4"], "echo 123456; echo ab >&2; exit 3");
    assert_eq!(said(&run), (Some(3), "1234", "ab\n"));
}

#[test]
fn live_output_without_a_limit_is_whole() {
    let run = shell(&[], "head -c 30000000 /dev/zero | tr '\\0' x");
    assert_eq!((run.code, run.stdout.len()), (Some(0), 30_000_000));
}

#[test]
fn what_is_no_text_comes_as_base64() {
    let result = shell_result(&[], r"printf '\377\000x'; printf 'text\033[1m' >&2");
    assert_eq!(streams(&result), json!(["/wB4", "base64", false, "text\u{1b}[1m", "utf-8", false]));
}

#[test]
fn a_cut_in_the_middle_of_a_character_goes_before_it() {
    let result = shell_result(&["--output-limit", "4"], "printf 'abcé'; printf 'éé€' >&2");
    assert_eq!(streams(&result), json!(["abc", "utf-8", true, "éé", "utf-8", true]));
}

#[test]
fn a_command_reads_a_file_as_far_as_it_reads_it() {
    let scratch = Scratch::new("stdin");
    scratch.file("file", "0123456789abcdefghij\n");
    let read = |code: &str| format!("(belljar run -- python3 -c '{code}'; echo =; cat) < file");
    let ten = caller(&scratch, &read("import os; os.write(1, os.read(0, 10))"));
    assert_eq!(said(&ten), (Some(0), "0123456789=\nabcdefghij\n", ""));
    let nothing = caller(&scratch, &read("pass"));
    assert_eq!(said(&nothing), (Some(0), "=\n0123456789abcdefghij\n", ""));
    let all = caller(&scratch, "(belljar run -- cat; echo =; cat) < file");
    assert_eq!(said(&all), (Some(0), "0123456789abcdefghij\n=\n", ""));
    let late = caller(&scratch, &read("import os, time; time.sleep(0.3); os.write(1, os.read(0, 4)); os.close(0)"));
    assert_eq!(said(&late), (Some(0), "0123=\n456789abcdefghij\n", ""));
}

#[test]
fn a_large_file_is_given_back_to_the_byte() {
    let scratch = Scratch::new("large");
    let lines: String = (0..100_000).map(|number| format!("{number:09}\n")).collect();
    scratch.file("file", &lines);
    // A read of a pipe may be short.
    let code = "import os\nleft = 500000\nwhile left: left -= len(os.read(0, min(left, 10)))";
    let run = caller(&scratch, &format!("(belljar run -- python3 -c '{code}'; head -c 10) < file"));
    assert_eq!(said(&run), (Some(0), "000050000\n", ""));
}

#[test]
fn a_command_that_reads_no_input_is_not_kept_by_it() {
    let run = call_with_input(["run", "--", "echo", "done"], &vec![b'x'; 4 << 20]);
    assert_eq!(said(&run), (Some(0), "done\n", ""));
}

#[test]
fn large_input_arrives_whole() {
    let scratch = Scratch::new("input");
    scratch.file("file", vec![b'x'; 20_000_000]);
    for script in
        ["belljar run -- wc -c < file", "cat file | belljar run -- wc -c", "belljar run --stdin file -- wc -c"]
    {
        assert_eq!(said(&caller(&scratch, script)), (Some(0), "20000000\n", ""), "{script}");
    }
}

#[test]
fn endless_input_does_not_keep_the_deadline() {
    let scratch = Scratch::new("endless");
    let begun = Instant::now();
    let run = caller(&scratch, "belljar run --timeout 1s -- sh -c 'cat > /dev/null' < /dev/zero");
    assert_eq!((run.code, run.stderr.as_str()), (Some(124), "belljar: ended: deadline of 1s passed\n"));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_directory_is_no_input() {
    let scratch = Scratch::new("directory");
    let run = caller(&scratch, "belljar run -- cat < .");
    assert_eq!(said(&run), (Some(125), "", "belljar: read standard input: Is a directory\n"));
    let run = caller(&scratch, "belljar run --stdin . -- cat");
    assert_eq!(said(&run), (Some(125), "", "belljar: stdin: `.`: is a directory\n"));
}

#[test]
fn a_named_pipe_as_input_is_read_until_its_writers_are_gone() {
    let scratch = Scratch::new("fifo");
    let run = caller(&scratch, "mkfifo pipe; (echo one; sleep 0.3; echo two) > pipe & belljar run -- cat < pipe");
    assert_eq!(said(&run), (Some(0), "one\ntwo\n", ""));
}

#[test]
fn an_output_pipe_that_nobody_reads_ends_the_command_as_usual() {
    let scratch = Scratch::new("closed");
    let run = caller(&scratch, "belljar run --timeout 20s -- yes | head -1; echo ${PIPESTATUS[0]}");
    assert_eq!(said(&run), (Some(0), "y\n141\n", ""));
    // Through the relay too, which a limit brings in.
    let run = caller(&scratch, "belljar run --timeout 20s --output-limit 1G -- yes | head -1; echo ${PIPESTATUS[0]}");
    assert_eq!(said(&run), (Some(0), "y\n141\n", ""));
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_never_silent() {
    let scratch = Scratch::new("full");
    let run = caller(&scratch, "belljar run -- echo hello > /dev/full");
    let message = "belljar: write the command's standard output: No space left on device\nhint: what is written to is \
        full: free space there, or write elsewhere\n";
    assert_eq!(said(&run), (Some(125), "", message));
    let run = caller(&scratch, "belljar run --json -- echo hello > /dev/full");
    assert_eq!((run.code, run.stderr.starts_with("belljar: cannot write to stdout: ")), (Some(125), true), "{run:?}");
}

#[test]
fn a_slow_reader_gets_everything() {
    let scratch = Scratch::new("slow");
    let script = "belljar run --output-limit 1G -- head -c 300000 /dev/zero | (sleep 0.5; wc -c)";
    assert_eq!(said(&caller(&scratch, script)), (Some(0), "300000\n", ""));
    let script = "mkfifo pipe; (sleep 0.5; wc -c) < pipe & belljar run -- head -c 300000 /dev/zero > pipe; wait";
    assert_eq!(said(&caller(&scratch, script)), (Some(0), "300000\n", ""));
}

#[test]
fn a_reader_that_never_reads_does_not_keep_the_deadline_from_killing() {
    let scratch = Scratch::new("never");
    let mark = mark("never");
    let script = format!(
        "mkfifo pipe go; exec 8<>pipe; \"$BELLJAR\" run --timeout 2s -- sh -c 'yes; : {mark}' > pipe & \
         read x < go; kill -0 $! && echo waiting; kill $!; wait $!; echo $?"
    );
    let go = scratch.0.join("go");
    let watcher = std::thread::spawn(move || {
        // Who is inside, and neither the shell of this test nor what it has forked and not executed yet: then the sandbox is gone, and
        // the supervisor waits for its reader.
        let line = format!("sh\0-c\0yes; : {mark}\0");
        let is_inside =
            |pid: &String| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|its| its == line);
        let inside = || crate::common::processes_with(&mark).iter().any(is_inside);
        let seen = [eventually(20, inside), eventually(20, || !inside())];
        std::fs::write(go, "on\n").expect("let the shell go on");
        seen
    });
    let run = caller(&scratch, &script);
    assert_eq!((run.stdout.as_str(), run.code), ("waiting\n124\n", Some(0)));
    assert_eq!(watcher.join().expect("join the watcher"), [true, true]);
}

#[test]
fn both_streams_into_one_file_keep_their_order() {
    let scratch = Scratch::new("order");
    let expected: String = (0..200).map(|number| format!("o{number}\ne{number}\n")).collect();
    let script = "i=0; while [ $i -lt 200 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done";
    for redirection in ["> file 2>&1", "2> file >&2", "2>&1 | cat > file", ">> file 2>> file"] {
        let run = caller(&scratch, &format!(": > file; belljar run -- sh -c '{script}' {redirection}; cat file"));
        assert_eq!(said(&run), (Some(0), expected.as_str(), ""), "{redirection}");
    }
}

#[test]
fn output_is_appended_where_the_caller_appends() {
    let scratch = Scratch::new("append");
    let run = caller(&scratch, "echo before > file; belljar run -- echo after >> file; cat file");
    assert_eq!(said(&run), (Some(0), "before\nafter\n", ""));
}

#[test]
fn closed_standard_streams_of_the_caller_are_empty_or_a_sink() {
    let scratch = Scratch::new("closed-streams");
    let code =
        r#"import os, sys; sys.exit(int(all(os.fstat(n) for n in (0, 1, 2))) + 2 * len(os.listdir("/proc/self/fd")))"#;
    for closed in 0..8 {
        let redirections: String = ["<&- ", ">&- ", "2>&- "]
            .iter()
            .enumerate()
            .filter(|(bit, _)| closed >> bit & 1 == 1)
            .map(|(_, word)| *word)
            .collect();
        // 0, 1, 2, and the descriptor that lists them.
        let run = caller(&scratch, &format!("belljar run -- python3 -c '{code}' {redirections}; echo $?"));
        assert_eq!(said(&run), (Some(0), "9\n", ""), "{redirections}");
    }
}

#[test]
fn a_terminal_as_input_and_output_of_the_caller_works() {
    let code = r#"
import os, pty, sys, time
pid, terminal = pty.fork()
if pid == 0: os.execv(os.environ["BELLJAR"], ["belljar", "run", "--", "sh", "-c", "read x; echo got $x; test -t 0 || echo no terminal"])
os.write(terminal, b"word\n")
seen = b""
while True:
    try: chunk = os.read(terminal, 1000)
    except OSError: break
    if not chunk: break
    seen += chunk
sys.stdout.write(seen.decode().replace("\r", "")); sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
    let scratch = Scratch::new("terminal");
    scratch.file("run.py", code);
    let run = caller(&scratch, "python3 run.py");
    assert_eq!(said(&run), (Some(0), "word\ngot word\nno terminal\n", ""));
}

#[test]
fn in_the_background_the_terminal_is_left_to_whoever_is_in_front() {
    // The caller's shell reads a line while a sandbox runs behind it; in front again, the sandbox reads the next.
    let code = r#"
import os, pty, signal, sys, time
pid, terminal = pty.fork()
if pid == 0:
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.execv(os.environ["BELLJAR"], ["belljar", "run", "--", "sh", "-c", "echo up; read x; echo sandbox $x"])
    os.write(1, b"shell " + os.read(0, 100))
    os.tcsetpgrp(0, job)
    os.waitpid(job, 0)
    os._exit(0)
seen = b""
def until(word):
    global seen
    while word not in seen: seen += os.read(terminal, 1000)
until(b"up")
os.write(terminal, b"first\n")
until(b"shell first")
while os.tcgetpgrp(terminal) == pid: time.sleep(0.01)
os.write(terminal, b"second\n")
while True:
    try: chunk = os.read(terminal, 1000)
    except OSError: break
    if not chunk: break
    seen += chunk
sys.stdout.write(seen.decode().replace("\r", ""))
"#;
    let scratch = Scratch::new("background");
    scratch.file("run.py", code);
    let run = caller(&scratch, "timeout 20 python3 run.py");
    assert_eq!(said(&run), (Some(0), "up\nfirst\nshell first\nsecond\nsandbox second\n", ""));
}

#[test]
fn a_terminal_that_cannot_be_opened_anew_does_not_keep_the_deadline() {
    let code = r#"
import os, pty, sys, time, termios
master, slave = pty.openpty()
os.fchmod(slave, 0)
pid = os.fork()
if pid == 0:
    os.dup2(slave, 1); os.close(master); os.close(slave)
    os.execv(os.environ["BELLJAR"], ["belljar", "run", "--timeout", "500ms", "--", "yes"])
os.close(slave)
# Nobody reads for a while; the sandbox ends all the same.
time.sleep(2)
seen = 0
while True:
    try: seen += len(os.read(master, 65536))
    except OSError: break
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen > 100)
"#;
    let scratch = Scratch::new("unopenable");
    scratch.file("run.py", code);
    let run = caller(&scratch, "timeout 20 python3 run.py");
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "124 True\n"), "{}", run.stderr);
}

#[test]
fn code_on_standard_input_runs() {
    let run = call_with_input(["code", "python", "-"], b"print('from input')");
    assert_eq!(said(&run), (Some(0), "from input\n", ""));
}

#[test]
fn a_run_without_input_sees_its_end_at_once() {
    assert_eq!(stdout(&python_result(&[], "import sys; print(repr(sys.stdin.read()))")), "''\n");
    assert_eq!(call(["run", "--", "cat"]).code, Some(0));
}

#[test]
fn of_a_pipe_only_what_the_command_reads_is_taken() {
    let scratch = Scratch::new("tap");
    let run = caller(&scratch, "printf abcdefghij | (belljar run -- head -c 4; echo; cat)");
    assert_eq!(said(&run), (Some(0), "abcd\nefghij", ""));
    let run = caller(&scratch, "seq 1 3 | while read -r x; do belljar run -- echo \"got $x\"; done");
    assert_eq!(said(&run), (Some(0), "got 1\ngot 2\ngot 3\n", ""));
}

#[test]
fn a_pipe_is_read_to_its_end_however_large() {
    let scratch = Scratch::new("large");
    let run = caller(&scratch, "head -c 5000001 /dev/zero | belljar run -- wc -c");
    assert_eq!(said(&run), (Some(0), "5000001\n", ""));
    let run = caller(&scratch, "(echo one; sleep 0.3; echo two) | belljar run -- cat");
    assert_eq!(said(&run), (Some(0), "one\ntwo\n", ""));
}

#[test]
fn the_streams_can_be_opened_by_their_names() {
    let scratch = Scratch::new("names");
    let run = caller(
        &scratch,
        "echo in | belljar run -- sh -c 'cat /dev/stdin; echo out >/dev/stdout; echo err >/dev/stderr'",
    );
    assert_eq!(said(&run), (Some(0), "in\nout\n", "err\n"));
}
