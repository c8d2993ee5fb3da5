//! Commands in a sandbox that is there: as one that has it to itself, but for what they share.

use crate::common::chance::Chance;
use crate::common::sandboxes::Sandboxes;
use crate::common::{Scratch, Started, bind, call_with_input, eventually, is_root, said, shell_result, stdout};
use serde_json::json;
use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn commands_share_files_processes_and_the_loopback() {
    let sandboxes = Sandboxes::new("share");
    sandboxes.create("box", &[]);
    let server = "import socket\ns = socket.create_server(('127.0.0.1', 4000))\nprint('up', flush=True)\n\
        c, _ = s.accept()\nc.sendall(b'hello')\n";
    let mut serving = Started::new(&mut sandboxes.command(&["exec", "box", "--", "python3", "-c", server]));
    assert_eq!(serving.first_line(), "up");
    let script = "echo note > /tmp/note; python3 -c \"import socket; print(socket.create_connection(('127.0.0.1', 4000)).recv(9))\"";
    assert_eq!(said(&sandboxes.shell("box", script)), (Some(0), "b'hello'\n", ""));
    assert_eq!(serving.finish().code, Some(0));
    sandboxes.shell("box", "sleep 1000 >/dev/null 2>&1 & echo $! > /tmp/pid");
    let script = "cat /tmp/note; kill -0 $(cat /tmp/pid) && echo alive";
    assert_eq!(said(&sandboxes.shell("box", script)), (Some(0), "note\nalive\n", ""));
}

#[test]
fn a_command_ends_as_it_would_in_a_sandbox_of_its_own() {
    let sandboxes = Sandboxes::new("exits");
    sandboxes.create("box", &[]);
    assert_eq!(said(&sandboxes.shell("box", "echo out; echo err >&2; exit 9")), (Some(9), "out\n", "err\n"));
    assert_eq!(sandboxes.shell("box", "kill -SEGV $$").code, Some(139));
    assert_eq!(sandboxes.call(&["exec", "box", "--", "nothing"]).code, Some(127));
    assert_eq!(sandboxes.call(&["exec", "box", "--", "/etc/passwd"]).code, Some(126));
    let found = sandboxes.result(&["--env", "A=b", "--workdir", "/tmp"], "box", "echo $A; pwd; printf '\\377' >&2");
    let told = [&found["stdout"], &found["stderr"], &found["stderr_encoding"], &found["exit_code"]];
    assert_eq!(told, [&json!("b\n/tmp\n"), &json!("/w=="), &json!("base64"), &json!(0)]);
    assert_eq!(found["sandbox"], sandboxes.inspect("box")["id"]);
}

#[test]
fn a_command_reads_its_callers_input() {
    let sandboxes = Sandboxes::new("input");
    sandboxes.create("box", &[]);
    let mut child = sandboxes
        .command(&["exec", "box", "--", "sh", "-c", "read a; echo got $a; cat | wc -c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start belljar");
    let mut pipe = child.stdin.take().expect("its standard input");
    pipe.write_all(b"first\n").expect("write");
    pipe.write_all(&[b'x'; 100_000]).expect("write");
    drop(pipe);
    let output = child.wait_with_output().expect("wait");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "got first\n100000\n");
    assert_eq!(call_with_input(["run", "--", "cat"], b"as before").stdout, "as before");
}

#[test]
fn a_deadline_ends_the_command_and_all_that_descends_from_it_and_nothing_else() {
    let sandboxes = Sandboxes::new("deadline");
    sandboxes.create("box", &[]);
    sandboxes.shell("box", "sleep 1001 >/dev/null 2>&1 &");
    let script = "setsid sh -c 'sleep 1002 & sleep 1003' & (sleep 1004 & ) ; sleep 1005";
    let begun = Instant::now();
    let found = sandboxes.result(&["--timeout", "500ms"], "box", script);
    assert_eq!((&found["status"], &found["exit_code"]), (&json!("timed_out"), &json!(null)), "{found}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let left = sandboxes.shell("box", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 's[l]eep [0-9]*'");
    assert_eq!(left.stdout, "sleep 1001\n");
}

#[test]
fn a_caller_that_is_killed_takes_its_command_with_it() {
    let sandboxes = Sandboxes::new("caller");
    sandboxes.create("box", &[]);
    let mut call = Started::new(&mut sandboxes.command(&[
        "exec",
        "box",
        "--",
        "sh",
        "-c",
        "setsid sleep 1006 & echo on; sleep 1007",
    ]));
    assert_eq!(call.first_line(), "on");
    call.signal(nix::sys::signal::Signal::SIGKILL);
    call.finish();
    let processes = || sandboxes.shell("box", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 's[l]eep 100'").stdout;
    assert!(eventually(5, || processes() == "0\n"), "{}", processes());
}

#[test]
fn a_signal_to_the_caller_reaches_the_command() {
    let sandboxes = Sandboxes::new("signals");
    sandboxes.create("box", &[]);
    let script = "trap 'echo interrupted; exit 4' INT; echo on; while :; do sleep 0.05; done";
    let mut call = Started::new(&mut sandboxes.command(&["exec", "box", "--", "sh", "-c", script]));
    assert_eq!(call.first_line(), "on");
    call.signal(nix::sys::signal::Signal::SIGINT);
    let run = call.finish();
    assert_eq!((run.code, &*run.stdout), (Some(4), "interrupted\n"));
}

#[test]
fn output_has_a_limit_of_its_own() {
    let sandboxes = Sandboxes::new("output");
    sandboxes.create("box", &[]);
    let found = sandboxes.result(&["--output-limit", "1000"], "box", "head -c 5000 /dev/zero | tr '\\0' x");
    assert_eq!((stdout(&found).len(), &found["stdout_truncated"]), (1000, &json!(true)));
    let found = sandboxes.result(&["--output-limit", "1000:kill"], "box", "yes");
    assert_eq!(found["status"], "output_limit");
    assert_eq!(said(&sandboxes.shell("box", "echo still here")).1, "still here\n");
}

#[test]
fn a_command_has_a_terminal_when_it_is_asked_for() {
    let sandboxes = Sandboxes::new("terminal");
    sandboxes.create("box", &[]);
    for _ in 0..2 {
        let run = sandboxes.call(&[
            "exec",
            "--tty",
            "box",
            "--",
            "sh",
            "-c",
            "tty; test -t 0 && test -t 2 && echo < /dev/tty yes",
        ]);
        assert_eq!((run.code, &*run.stdout), (Some(0), "/dev/pts/0\r\nyes\r\n"), "{run:?}");
    }
}

#[test]
fn many_commands_at_once_all_end_right() {
    let sandboxes = Sandboxes::new("many");
    sandboxes.create("box", &[]);
    let scripts: Vec<String> = (0..40).map(|number| format!("echo {number}; exit {number}")).collect();
    let calls: Vec<Started> = scripts
        .iter()
        .map(|script| Started::new(&mut sandboxes.command(&["exec", "box", "--", "sh", "-c", script])))
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        let run = call.finish();
        assert_eq!(said(&run), (Some(number as i32), &*format!("{number}\n"), ""));
    }
}

#[test]
fn what_restricts_a_command_is_what_restricts_one_of_run() {
    let sandboxes = Sandboxes::new("same");
    sandboxes.create("box", &[]);
    let script = "grep -E '^(Cap|NoNewPrivs|Seccomp|Groups|Uid|Gid|Umask|Sig(Blk|Ign|Cgt))' /proc/self/status; \
        ulimit -a; ls -l /proc/self/fd | wc -l; cat /proc/self/limits; env | sort; id; pwd; \
        cut -d' ' -f 3- /proc/self/mountinfo | sed 's/[0-9]*:[0-9]*//; s/master:[0-9]*//' | sort; \
        for x in user mnt pid net uts ipc cgroup; do test -e /proc/self/ns/$x && echo $x; done; nproc; hostname; cat /proc/meminfo | head -1";
    let joined = sandboxes.result(&[], "box", script);
    let alone = shell_result(&[], script);
    assert_eq!(stdout(&joined), stdout(&alone));
    let (mut ours, mut theirs) = (joined["enforcement"].clone(), alone["enforcement"].clone());
    ours["timeout"] = json!(null);
    theirs["timeout"] = json!(null);
    assert_eq!(ours, theirs);
}

#[test]
fn mounts_of_the_sandbox_are_there_whatever_becomes_of_them_outside() {
    let scratch = Scratch::new("shown");
    scratch.file("note", "shown");
    if is_root() {
        std::os::unix::fs::chown(&scratch.0, Some(65534), Some(65534)).expect("give the directory away");
    }
    let sandboxes = Sandboxes::new("mounted");
    sandboxes.create("box", &["--mount", &bind(&scratch.0, "/mnt/shown:rw")]);
    assert_eq!(said(&sandboxes.shell("box", "cat /mnt/shown/note; echo more > /mnt/shown/new")).1, "shown");
    std::fs::remove_file(scratch.0.join("new")).expect("written outside");
    let moved = scratch.0.with_extension("moved");
    std::fs::rename(&scratch.0, &moved).expect("move the source away");
    let run = sandboxes.shell("box", "cat /mnt/shown/note && touch /mnt/shown/again");
    std::fs::rename(&moved, &scratch.0).expect("move it back");
    assert_eq!(said(&run), (Some(0), "shown", ""));
}

#[test]
fn every_step_of_a_command_that_joins_can_fail() {
    if !cfg!(debug_assertions) {
        return;
    }
    let sandboxes = Sandboxes::new("steps");
    sandboxes.create("box", &[]);
    for tty in [false, true] {
        let options: &[&str] =
            if tty { &["exec", "--tty", "box", "--", "true"] } else { &["exec", "box", "--", "true"] };
        let call = |step: usize| -> crate::common::Run {
            let mut command = sandboxes.command(options);
            command.env("BELLJAR_FAIL_STEP", step.to_string()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let child = RefCell::new(command.spawn().expect("start belljar"));
            let ended = eventually(30, || child.borrow_mut().try_wait().expect("wait for belljar").is_some());
            assert!(ended, "step {step}, terminal {tty}: it hangs");
            child.into_inner().wait_with_output().expect("wait for belljar").into()
        };
        let first = call(1).stderr;
        let count = first.strip_prefix("belljar: step 1 of ").and_then(|rest| rest.split(':').next()?.parse().ok());
        let count: usize = count.unwrap_or_else(|| panic!("{first}"));
        assert!(count > 25, "only {count} steps");
        for step in Chance::new(&options.join(" ")).sample(1..=count) {
            let run = call(step);
            let named = run.stderr.starts_with(&format!("belljar: step {step} of {count}: "));
            assert!(run.code == Some(125) && named || run.code == Some(126), "step {step}: {run:?}");
        }
        assert_eq!(call(count + 1).code, Some(0));
    }
    // pid 1, the leader and the command that look, and at most two who stand inside for the next.
    let count = || sandboxes.shell("box", "ls -d /proc/[0-9]* | wc -l").stdout;
    assert!(eventually(5, || ["5", "6", "7"].contains(&count().trim())), "{}", count());
    assert_eq!(sandboxes.states(), [("box".to_owned(), "running".to_owned())]);
}

#[test]
fn a_slow_reader_gets_all_that_was_written_though_others_hold_the_stream() {
    let sandboxes = Sandboxes::new("slow-reader");
    sandboxes.create("box", &[]);
    for options in [&["exec", "box"][..], &["exec", "--tty", "box"]] {
        // It leaves somebody behind who could write on.
        let script = "stty raw -echo 2>/dev/null; sleep 60 & head -c 300000 /dev/zero";
        let mut command = sandboxes.command(options);
        command.args(["--", "sh", "-c", script]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start belljar");
        // The slow reader: the command has ended long before.
        std::thread::sleep(Duration::from_millis(700));
        let mut read = Vec::new();
        child.stdout.take().expect("its output").read_to_end(&mut read).expect("read");
        assert_eq!((read.len(), child.wait().expect("wait").code()), (300_000, Some(0)), "{options:?}");
    }
}
