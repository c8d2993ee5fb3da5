//! Callers in every state: what they have ignored, closed, limited or deleted must not reach the sandbox, and many of
//! them at once must not meet.

use crate::common::chance::scaled_from;
use crate::common::{
    Run, Scratch, Started, assert_gone, belljar, call, caller, command, mark, python_result, result, said, stdout,
};
use serde_json::json;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

/// `belljar run -- sh -c SCRIPT`, started by a process that has made `state` its own between fork and exec.
fn from_state(state: fn() -> std::io::Result<()>, script: &str) -> Run {
    let mut command = command(["run", "--", "sh", "-c", script]);
    // SAFETY: the states below are single system calls.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(state)
    };
    command.output().expect("start belljar").into()
}

#[test]
fn a_caller_that_ignores_sigchld_learns_the_exit_code() {
    // SAFETY: signal(2) runs no code of ours.
    #[allow(unsafe_code)]
    let state = || unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        Ok(())
    };
    assert_eq!(said(&from_state(state, "sleep 0.1; exit 7")), (Some(7), "", ""));
}

#[test]
fn signals_that_the_caller_blocks_or_ignores_are_the_commands_own() {
    fn state() -> std::io::Result<()> {
        nix::sys::signal::SigSet::all().thread_block()?;
        for signal in 1..=64 {
            // SAFETY: signal(2) runs no code of ours; some numbers are refused.
            #[allow(unsafe_code)]
            unsafe {
                libc::signal(signal, libc::SIG_IGN)
            };
        }
        Ok(())
    }
    let run = from_state(state, "grep -E '^Sig(Blk|Ign)' /proc/self/status; kill -TERM $$");
    assert_eq!(said(&run), (Some(143), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", ""));
}

#[test]
fn the_callers_umask_is_not_the_commands() {
    fn state() -> std::io::Result<()> {
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o777));
        Ok(())
    }
    let run = from_state(state, "umask; mkdir /tmp/d && : > /tmp/d/f && ls -ld /tmp /tmp/d/f | cut -c1-10");
    assert_eq!(said(&run), (Some(0), "0022\ndrwxrwxrwt\n-rw-r--r--\n", ""));
}

fn few_files(soft: u64, hard: u64) -> std::io::Result<()> {
    Ok(nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, soft, hard)?)
}

fn hard_limit_of_files() -> u64 {
    nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).map_or(16, |(_, hard)| hard)
}

#[test]
fn sixteen_open_files_are_enough() {
    let most = hard_limit_of_files().min(1024);
    assert_eq!(
        said(&from_state(|| few_files(16, hard_limit_of_files()), "ulimit -n")),
        (Some(0), &*format!("{most}\n"), "")
    );
}

#[test]
fn a_hard_limit_of_sixteen_open_files_is_kept() {
    assert_eq!(said(&from_state(|| few_files(16, 16), "ulimit -n; ulimit -Hn")), (Some(0), "16\n16\n", ""));
}

#[test]
fn too_few_open_files_are_an_error_that_says_so() {
    for limit in 4..14 {
        let mut command = command(["run", "--json", "--memory", "64M", "--", "sh", "-c", "exit 3"]);
        // SAFETY: setrlimit(2) is a single system call.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(move || few_files(limit, limit))
        };
        let run: Run = command.output().expect("start belljar").into();
        match run.code {
            Some(3) => assert_eq!(run.stderr, ""),
            Some(125) => assert!(run.stderr.starts_with("belljar: "), "{limit}: {run:?}"),
            other => panic!("{limit}: {other:?}: {}", run.stderr),
        }
    }
}

#[test]
fn a_deleted_working_directory_is_no_obstacle() {
    let scratch = Scratch::new("deleted");
    let run = caller(&scratch, "mkdir gone; cd gone; rmdir ../gone; belljar run -- pwd");
    assert_eq!((run.code, run.stdout.starts_with('/'), run.stderr.as_str()), (Some(0), true, ""));
    let run = caller(&scratch, "mkdir gone; cd gone; rmdir ../gone; belljar run --mount data:/mnt -- pwd");
    assert_eq!(run.code, Some(125), "{run:?}");
    assert!(run.stderr.starts_with("belljar: mount: `data` counts from the current directory: "), "{run:?}");
}

#[test]
fn an_empty_environment_is_no_obstacle() {
    let mut command = command(["run", "--", "env"]);
    let run: Run = command.env_clear().output().expect("start belljar").into();
    let mut lines: Vec<&str> =
        run.stdout.lines().filter(|line| !line.starts_with("HOME=") && !line.starts_with("USER=")).collect();
    lines.sort_unstable();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!((run.code, lines), (Some(0), vec!["LANG=C.UTF-8", path, "TERM=dumb"]));
}

#[test]
fn an_odd_name_of_our_own_changes_nothing() {
    for name in ["", "-", "--help", "belljar run", "\u{1b}[31m", &"x".repeat(5000)] {
        let mut command = command(["run", "--", "echo", "hello"]);
        let run: Run = command.arg0(name).output().expect("start belljar").into();
        assert_eq!(said(&run), (Some(0), "hello\n", ""), "{name:?}");
    }
}

#[test]
fn no_descriptor_of_the_caller_reaches_the_command() {
    let scratch = Scratch::new("descriptors");
    let code = r#"import os; print([n for n in range(5000) if n > 2 and os.path.exists(f"/proc/self/fd/{n}")])"#;
    let script = format!(
        "for n in $(seq 3 200) $(($(ulimit -n) - 1)); do eval \"exec $n<.\"; done; belljar run -- python3 -c '{code}'; \
         belljar run -- sh -c 'ls /proc/1/fd 2>&1 | tail -1'"
    );
    let run = caller(&scratch, &script);
    assert_eq!(run.stdout.lines().next(), Some("[]"), "{run:?}");
    // pid 1 cannot be looked into from inside.
    assert!(run.stdout.ends_with("Permission denied\n"), "{run:?}");
}

#[test]
fn nice_and_scheduling_of_the_caller_stay_as_they_are() {
    let scratch = Scratch::new("nice");
    let run = caller(&scratch, "nice -n 7 \"$BELLJAR\" run -- nice; ionice -c 3 \"$BELLJAR\" run -- ionice");
    assert_eq!(said(&run), (Some(0), "7\nidle\n", ""));
}

#[test]
fn a_personality_of_the_caller_is_no_obstacle() {
    let scratch = Scratch::new("personality");
    let run = caller(&scratch, "setarch -R \"$BELLJAR\" run -- sh -c 'exit 5'; echo $?");
    assert_eq!(said(&run), (Some(0), "5\n", ""));
}

#[test]
fn a_core_limit_and_a_small_stack_are_no_obstacle() {
    let scratch = Scratch::new("small");
    let run = caller(&scratch, "ulimit -c 0; ulimit -s 512; belljar run -- echo hello");
    assert_eq!(said(&run), (Some(0), "hello\n", ""));
}

#[test]
fn an_alarm_of_the_caller_ends_the_run() {
    let mark = mark("alarm");
    let mut command = command(["run", "--json", "--", "sh", "-c", &format!("sleep 60; : {mark}")]);
    // SAFETY: alarm(2) is a single system call.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| {
            libc::alarm(1);
            Ok(())
        })
    };
    let run = Run::from(command.output().expect("start belljar"));
    assert_eq!((run.code, &result(&run)["signal"]), (Some(142), &json!("SIGALRM")));
    assert_gone(&mark);
}

#[test]
fn two_hundred_runs_at_once_do_not_meet() {
    let mark = mark("crowd");
    let script = format!("echo $0 > /tmp/own; sleep 0.2; cat /tmp/own; ls /tmp | wc -l; exit $(($0 % 100)); : {mark}");
    let numbers: Vec<usize> = (0..scaled_from(20, 200)).collect();
    // Each has two pipes to us, and we may have few descriptors.
    for at_once in numbers.chunks((hard_limit_of_files() / 8).clamp(10, 200) as usize) {
        let words = |number: usize| {
            ["run", "--timeout", "60s", "--", "sh", "-c", &script]
                .map(str::to_owned)
                .into_iter()
                .chain([number.to_string()])
        };
        let runs: Vec<Started> = at_once.iter().map(|number| Started::new(&mut command(words(*number)))).collect();
        for (number, run) in at_once.iter().zip(runs) {
            let expected = format!("{number}\n1\n");
            assert_eq!(said(&run.finish()), (Some((number % 100) as i32), expected.as_str(), ""));
        }
    }
    assert_gone(&mark);
}

#[test]
fn runs_from_many_threads_of_one_caller_do_not_meet() {
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            std::thread::spawn(move || {
                for round in 0..10 {
                    let word = format!("{thread}.{round}");
                    assert_eq!(said(&call(["run", "--", "echo", &word])), (Some(0), format!("{word}\n").as_str(), ""));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("every run gives its own word");
    }
}

#[test]
fn a_caller_that_leads_a_session_without_a_terminal_is_no_obstacle() {
    fn state() -> std::io::Result<()> {
        nix::unistd::setsid()?;
        Ok(())
    }
    assert_eq!(said(&from_state(state, "echo hello")), (Some(0), "hello\n", ""));
}

#[test]
fn a_sandbox_sees_none_of_its_callers_children() {
    let sleeper = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn();
    let mut sleeper = sleeper.expect("start sleep");
    let code = "import os; print(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()))";
    let run = python_result(&[], code);
    sleeper.kill().expect("end sleep");
    sleeper.wait().expect("wait for sleep");
    assert_eq!(stdout(&run), "[1, 2]\n");
}

#[test]
fn the_binary_can_be_run_from_a_descriptor_and_after_it_was_deleted() {
    let scratch = Scratch::new("binary");
    crate::common::copy_program(belljar(), scratch.0.join("copy"));
    let run = caller(&scratch, "exec 9<copy; rm copy; /proc/self/fd/9 run -- echo hello");
    assert_eq!(said(&run), (Some(0), "hello\n", ""));
}
