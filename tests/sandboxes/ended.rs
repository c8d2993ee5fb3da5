//! Calls that meet the end of their sandbox: each says that it has ended, which one, and why.

use crate::common::chance::{Chance, scaled_from};
use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, Started, eventually, result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::time::Duration;

/// How a sandbox is brought to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Stop,
    StopAtOnce,
    Remove,
    KillFirst,
    KillSupervisor,
    Memory,
    OwnCommand,
    Ttl,
}

impl End {
    const ALL: [End; 8] = [
        End::Stop,
        End::StopAtOnce,
        End::Remove,
        End::KillFirst,
        End::KillSupervisor,
        End::Memory,
        End::OwnCommand,
        End::Ttl,
    ];

    /// Options and command of a sandbox that comes to this end.
    fn create(self, keep: bool) -> Vec<&'static str> {
        let mut words = vec!["create"];
        words.extend(keep.then_some("--keep"));
        words.extend(match self {
            End::Memory => &["--memory", "100M"][..],
            End::Ttl => &["--ttl", "1s"],
            _ => &[],
        });
        words.push("box");
        if self == End::OwnCommand {
            words.extend(["--", "sh", "-c", "while ! test -e /tmp/end; do sleep 0.01; done; exit 3"]);
        }
        words
    }

    /// Brings it about, or waits for it. What is asked may come too late, as everything here.
    fn come(self, sandboxes: &Sandboxes) {
        match self {
            End::Stop => drop(sandboxes.call(&["stop", "box"])),
            End::StopAtOnce => drop(sandboxes.call(&["stop", "--grace", "0", "box"])),
            End::Remove => drop(sandboxes.call(&["rm", "-f", "box"])),
            End::KillFirst => first_processes(sandboxes).into_iter().for_each(kill_hard),
            End::KillSupervisor => sandboxes.supervisors().into_iter().for_each(kill_hard),
            End::Memory => drop(sandboxes.shell("box", "exec python3 -c 'b = bytearray(400 << 20)'")),
            End::OwnCommand => drop(sandboxes.shell("box", "touch /tmp/end")),
            End::Ttl => {}
        }
    }

    /// Why the sandbox has ended, as it may be told.
    fn why(self) -> &'static str {
        match self {
            End::Stop | End::StopAtOnce => "it was stopped",
            End::Remove => "it was removed",
            End::KillFirst => "pid 1 of the sandbox was killed from outside; perhaps the host is out of memory",
            End::KillSupervisor => "its supervisor was killed",
            End::Memory => "its memory limit was passed",
            End::OwnCommand => "its own command exited with 3",
            End::Ttl => "its `--ttl` was over",
        }
    }
}

fn kill_hard(pid: i32) {
    // It may have ended by now.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// pid 1 of each sandbox, by the host's numbers: the children of the supervisors.
fn first_processes(sandboxes: &Sandboxes) -> Vec<i32> {
    let children = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let pids = sandboxes.supervisors().into_iter().map(children).collect::<Vec<_>>().join(" ");
    pids.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
}

/// Calls, and the exit code of what could not be done.
const CALLS: [(&[&str], i32); 16] = [
    (&["exec", "box", "--", "true"], 125),
    (&["exec", "--json", "box", "--", "true"], 125),
    (&["exec", "box", "--", "sleep", "1000"], 125),
    (&["exec", "--json", "box", "--", "sleep", "1000"], 125),
    (&["exec", "--tty", "box", "--", "sleep", "1000"], 125),
    (&["exec", "--detach", "box", "--", "sleep", "1000"], 125),
    (&["code", "python", "--sandbox", "box", "-e", "import time; time.sleep(1000)"], 125),
    (&["session", "create", "box", "sh"], 1),
    (&["session", "ls", "box", "--json"], 1),
    (&["pty", "create", "box", "shell", "--", "sh"], 1),
    (&["fs", "ls", "box", "/usr/lib"], 1),
    (&["fs", "find", "box", "/usr"], 1),
    (&["cp", "box:/usr/bin/bash", "-"], 1),
    (&["cp", "/etc/passwd", "box:/tmp/copy"], 1),
    (&["stats", "box"], 1),
    (&["resize", "box", "--cpus", "1"], 1),
];

/// Whether a call that met this end says what it should.
fn is_told(run: &Run, failed: i32, end: End, json: bool) -> bool {
    if run.code == Some(0) {
        return true;
    }
    // The command may be the one that had the memory.
    let memory = end == End::Memory && run.code == Some(137) && run.stderr.contains("memory limit");
    // What is removed once it has ended may be found gone, and then it is all that is known.
    let whys = [end.why(), "it was removed"].map(|why| format!("`box` has ended meanwhile: {why}\n"));
    // Another call of the round may have made the session.
    let known = ["`box` is not running", "no sandbox `box`", "there is a session "]
        .iter()
        .any(|text| run.stderr.contains(text))
        || whys.iter().any(|why| run.stderr.contains(why));
    let kinds = [json!("ended"), json!("not_running"), json!("not_found")];
    let typed = !json || kinds.contains(&result(run)["error"]["kind"]);
    known && typed && (memory || run.code == Some(failed))
}

#[test]
fn a_call_that_meets_the_end_of_its_sandbox_says_which_and_why() {
    let mut chance = Chance::new("ended");
    for round in 0..scaled_from(End::ALL.len(), 64) {
        let sandboxes = Sandboxes::new("ended");
        let end = End::ALL[round % End::ALL.len()];
        sandboxes.done(&end.create(chance.below(2) == 0));
        let calls: Vec<(&[&str], i32)> = (0..4).map(|_| *chance.one(&CALLS)).collect();
        if end == End::Ttl {
            std::thread::sleep(Duration::from_millis(800) + chance.moment(Duration::from_millis(300)));
        }
        let (before, pauses) = (chance.below(5) as usize, [0; 4].map(|_| chance.moment(Duration::from_millis(25))));
        let runs = std::thread::scope(|scope| {
            let mut ending = false;
            let mut started = Vec::new();
            for (index, (words, _)) in calls.iter().enumerate() {
                if index == before {
                    scope.spawn(|| end.come(&sandboxes));
                    ending = true;
                }
                // Each is read to its end at once: whoever waits for its reader may have what another waits for.
                let call = Started::new(&mut sandboxes.command(words));
                started.push(scope.spawn(|| call.finish()));
                std::thread::sleep(pauses[index]);
            }
            if !ending {
                end.come(&sandboxes);
            }
            started.into_iter().map(|call| call.join().expect("join a reader")).collect::<Vec<Run>>()
        });
        for ((words, failed), run) in calls.iter().zip(&runs) {
            let json = words.contains(&"--json") && words[0] == "exec";
            let told = (run.code, &run.stderr, run.stdout.chars().take(200).collect::<String>());
            assert!(is_told(run, *failed, end, json), "round {round}, {end:?}, {words:?} before {before}: {told:?}");
        }
        assert!(eventually(10, || sandboxes.supervisors().is_empty()), "round {round}, {end:?}");
    }
}

#[test]
fn a_command_that_runs_ends_with_its_sandbox_and_the_result_says_so() {
    let sandboxes = Sandboxes::new("together");
    for (verb, why) in [(&["stop", "box"][..], "it was stopped"), (&["rm", "-f", "box"], "it was removed")] {
        sandboxes.create("box", &["--keep"]);
        let script = "echo begun; exec sleep 1000";
        let words = ["exec", "--json", "box", "--", "sh", "-c", script];
        let command = Started::new(&mut sandboxes.command(&words));
        assert!(eventually(10, || sandboxes.done(&["stats", "--json", "box"]).contains("\"pids\":2")));
        sandboxes.done(verb);
        let run = command.finish();
        let message = format!("`box` has ended meanwhile: {why}");
        assert_eq!(run.code, Some(125), "{run:?}");
        assert!(run.stderr.starts_with(&format!("belljar: sandbox: {message}\n")), "{run:?}");
        let found = result(&run);
        let told = [&found["status"], &found["exit_code"], &found["signal"], &found["stdout"], &found["error"]["kind"]];
        assert_eq!(told, [&json!("cancelled"), &json!(null), &json!(null), &json!("begun\n"), &json!("ended")]);
        assert_eq!(found["error"]["message"], format!("sandbox: {message}"));
        sandboxes.call(&["rm", "-f", "box"]);
    }
}

#[test]
fn a_command_that_puts_things_in_order_when_its_sandbox_is_stopped_ends_by_itself() {
    let sandboxes = Sandboxes::new("order");
    sandboxes.create("box", &[]);
    let script = "trap 'echo asked; exit 5' TERM; echo on; while :; do sleep 0.01; done";
    let mut command = Started::new(&mut sandboxes.command(&["exec", "box", "--", "sh", "-c", script]));
    assert_eq!(command.first_line(), "on");
    sandboxes.done(&["stop", "--grace", "10s", "box"]);
    let run = command.finish();
    assert_eq!((run.code, run.stdout.as_str()), (Some(5), "asked\n"), "{run:?}");
}
