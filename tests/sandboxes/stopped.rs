//! Processes of ours that somebody stops (SIGSTOP): no call waits for them for ever, and `rm -f` always wins.

use crate::common::sandboxes::Sandboxes;
use crate::common::{Started, eventually, said};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// No call may take longer, the load of a machine that runs other tests included.
const PATIENCE: Duration = Duration::from_secs(40);

fn stop_supervisors(sandboxes: &Sandboxes) {
    for pid in sandboxes.supervisors() {
        // It may have ended by now.
        let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP);
    }
}

#[test]
fn a_supervisor_that_is_stopped_is_named_by_every_call_that_needs_it() {
    let sandboxes = Sandboxes::new("stopped-supervisor");
    sandboxes.create("box", &["--keep"]);
    sandboxes.done(&["session", "create", "box", "sh"]);
    stop_supervisors(&sandboxes);
    let calls: Vec<Started> = [
        &["exec", "box", "--", "true"][..],
        &["exec", "-d", "box", "--", "true"],
        &["stats", "box"],
        &["fs", "ls", "box", "/"],
        &["cp", "box:/etc/passwd", "-"],
        &["session", "ls", "box"],
        &["session", "exec", "box", "sh", "true"],
        &["code", "--sandbox", "box", "sh", "-e", "true"],
        &["diff", "box"],
        &["fork", "box", "copy"],
        &["resize", "box", "--memory", "200M"],
    ]
    .into_iter()
    .map(|words| Started::new(&mut sandboxes.command(words)))
    .collect();
    let began = Instant::now();
    for call in calls {
        let run = call.finish();
        assert!(matches!(run.code, Some(1 | 125)), "{run:?}");
        let told = "belljar: sandbox: the supervisor of `box` does not answer: it is stopped, or has no time\nhint: `belljar rm -f box` removes the sandbox in any case; `kill -CONT ";
        assert!(run.stderr.starts_with(told), "{run:?}");
    }
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    // What needs no supervisor goes on.
    assert_eq!(sandboxes.states(), [("box".to_owned(), "running".to_owned())]);
    sandboxes.done(&["label", "box", "a=b"]);
    sandboxes.supervisors().into_iter().for_each(|pid| kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it is there"));
    assert_eq!(said(&sandboxes.shell("box", "echo on")), (Some(0), "on\n", ""));
    stop_supervisors(&sandboxes);
    assert_eq!(said(&sandboxes.call(&["stop", "--grace", "0s", "box"])), (Some(0), "box\n", ""));
    assert_eq!(said(&sandboxes.call(&["start", "box"])), (Some(0), "box\n", ""));
    stop_supervisors(&sandboxes);
    assert_eq!(said(&sandboxes.call(&["rm", "-f", "box"])), (Some(0), "box\n", ""));
    assert!(eventually(5, || sandboxes.supervisors().is_empty()));
    assert!(began.elapsed() < 3 * PATIENCE, "{:?}", began.elapsed());
}

#[test]
fn so_many_callers_of_a_stopped_supervisor_that_nobody_else_is_heard_are_in_nobodys_way() {
    let sandboxes = Sandboxes::new("queue");
    sandboxes.create("box", &["--keep"]);
    stop_supervisors(&sandboxes);
    let id = sandboxes.inspect("box")["id"].as_str().expect("its id").to_owned();
    let place = sandboxes.home().join("sandboxes").join(id);
    // By a short name: those of sockets have 107 bytes at most.
    let script = "import os, socket, sys\nos.chdir(sys.argv[1])\nheld = []\ntry:\n while True:\n  one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n  one.setblocking(False)\n  one.connect('call')\n  held.append(one)\nexcept BlockingIOError:\n print(len(held) > 100, flush=True)\nsys.stdin.read()";
    let mut held = std::process::Command::new("python3");
    let mut held = Started::new(held.args(["-c", script]).arg(&place).stdin(std::process::Stdio::piped()));
    assert_eq!(held.first_line(), "True");
    let began = Instant::now();
    let run = sandboxes.call(&["stats", "box"]);
    assert!(run.code == Some(1) && run.stderr.contains("does not answer"), "{run:?}");
    assert_eq!(said(&sandboxes.call(&["rm", "-f", "box"])), (Some(0), "box\n", ""));
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    drop(held);
}

/// Stops the supervisor that is a child of this maker; whether there is one. It takes a tenth of a millisecond, where a look at all
/// processes may take longer than the start.
fn stop_supervisor_of(maker: Pid) -> bool {
    for _ in 0..1000 {
        // Kernels without this list have the other way.
        let listed = std::fs::read_to_string(format!("/proc/{maker}/task/{maker}/children")).unwrap_or_default();
        for child in listed.split_ascii_whitespace() {
            let words = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            if words.starts_with(b"/proc/self/exe\0supervise-sandbox") {
                return kill(Pid::from_raw(child.parse().expect("a number")), Signal::SIGSTOP).is_ok();
            }
        }
    }
    false
}

/// A sandbox whose supervisor was stopped while it started, and the call that makes it.
fn stopped_while_it_starts(sandboxes: &Sandboxes) -> Started {
    // The more there is to be mounted the longer it takes.
    let mounts: Vec<String> = (0..200).map(|number| format!("--mount=/usr:/tmp/m{number}")).collect();
    let mut words = vec!["create", "--keep"];
    words.extend(mounts.iter().map(String::as_str).chain(["box"]));
    for _ in 0..200 {
        let maker = Started::new(&mut sandboxes.command(&words));
        while !stop_supervisor_of(maker.pid()) && sandboxes.supervisors().is_empty() {}
        stop_supervisors(sandboxes);
        if sandboxes.states().iter().any(|(_, state)| state == "starting") {
            return maker;
        }
        sandboxes.supervisors().into_iter().for_each(|pid| {
            // It may have ended by now.
            let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
        });
        maker.finish();
        sandboxes.done(&["rm", "-f", "box"]);
    }
    panic!("no supervisor was slow enough to be stopped while it starts");
}

#[test]
fn a_supervisor_that_is_stopped_while_it_starts_is_given_up_by_its_maker() {
    let sandboxes = Sandboxes::new("stopped-start");
    let began = Instant::now();
    let run = stopped_while_it_starts(&sandboxes).finish();
    assert!(run.code == Some(1) && run.stderr.contains("the supervisor of `box` does not answer"), "{run:?}");
    assert_eq!(sandboxes.states(), []);
    assert!(eventually(5, || sandboxes.supervisors().is_empty()));
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

#[test]
fn a_sandbox_whose_supervisor_was_stopped_while_it_starts_is_removed() {
    for maker_is_killed in [false, true] {
        let sandboxes = Sandboxes::new("stopped-removed");
        let maker = stopped_while_it_starts(&sandboxes);
        // Who is stopped himself gives nobody up, and is no reason to wait.
        maker.signal(if maker_is_killed { Signal::SIGKILL } else { Signal::SIGSTOP });
        let began = Instant::now();
        let removed = Started::new(&mut sandboxes.command(&["rm", "-f", "box"]));
        if !maker_is_killed {
            assert!(eventually(20, || sandboxes.supervisors().is_empty()));
            maker.signal(Signal::SIGCONT);
            maker.finish();
        }
        let run = removed.finish();
        // Its maker may have been quicker.
        assert!(run.code == Some(0) || run.stderr.contains("no sandbox") || run.stderr.contains("ended"), "{run:?}");
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        assert_eq!(sandboxes.states(), []);
        assert!(eventually(5, || sandboxes.supervisors().is_empty()));
    }
}

#[test]
fn a_job_behind_a_keeper_that_is_stopped_is_given_up_and_one_that_is_silent_is_not() {
    let sandboxes = Sandboxes::new("stopped-keeper");
    sandboxes.create("box", &[]);
    for id in ["sh", "quiet"] {
        sandboxes.done(&["session", "create", "box", id]);
    }
    let quiet = Started::new(&mut sandboxes.command(&["session", "exec", "box", "quiet", "sleep 25; echo heard"]));
    let stop = "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline | grep -q 'keep-session sh shel[l]' && kill -STOP ${p#/proc/}; done 2>/dev/null; true";
    let mut waiting = Started::new(&mut sandboxes.command(&["session", "exec", "box", "sh", "echo begun; sleep 1015"]));
    assert_eq!(waiting.first_line(), "begun");
    sandboxes.shell("box", stop);
    let began = Instant::now();
    let behind = Started::new(&mut sandboxes.command(&["session", "exec", "box", "sh", "true"]));
    let followed = Started::new(&mut sandboxes.command(&["session", "logs", "-f", "box", "sh", "1"]));
    for call in [waiting, behind, followed] {
        let run = call.finish();
        assert!(run.code == Some(1) && run.stderr.contains("the session `sh` does not answer"), "{run:?}");
    }
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert_eq!(said(&quiet.finish()), (Some(0), "heard\n", ""));
}
