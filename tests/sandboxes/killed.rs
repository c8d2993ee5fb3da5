//! kill -9 of any process of ours at any moment: the next call tells the truth and clears up.

use crate::common::chance::{Chance, scaled_from};
use crate::common::eventually;
use crate::common::sandboxes::Sandboxes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Stdio;
use std::time::Duration;

fn kill_hard(pid: i32) {
    // It may have ended by now.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// Everybody who descends from that process, by what the kernel says of children.
fn below(pid: i32) -> Vec<i32> {
    // It may have ended by now.
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split(' ').filter_map(|child| child.parse::<i32>().ok());
    children.flat_map(|child| [vec![child], below(child)].concat()).collect()
}

fn is_keeper(pid: &i32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.split(|byte| *byte == 0).any(|word| word == b"keep-session"))
}

#[test]
fn whatever_is_killed_at_whatever_moment_the_next_call_puts_it_right() {
    let sandboxes = Sandboxes::new("killed");
    sandboxes.create("kept", &["--keep"]);
    sandboxes.shell("kept", "echo kept > /var/f");
    sandboxes.done(&["stop", "kept"]);
    let calls: [&[&str]; 11] = [
        &["create", "box"],
        &["create", "--keep", "other"],
        &["exec", "box", "--", "sleep", "0.02"],
        &["exec", "--tty", "other", "--", "true"],
        &["fs", "ls", "kept", "/var"],
        &["fork", "kept", "copy"],
        &["session", "create", "box", "sh"],
        &["session", "exec", "box", "sh", "sleep 0.01"],
        &["session", "ls", "box"],
        &["stop", "other"],
        &["start", "kept"],
    ];
    let mut chance = Chance::new("killed");
    for round in 0..scaled_from(2 * calls.len(), 200) {
        let words = calls[round % calls.len()];
        let mut command = sandboxes.command(words);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start belljar");
        std::thread::sleep(chance.moment(Duration::from_millis(30)));
        // The caller, whoever supervises, whoever leads the command inside, or keeps a session there.
        match round % 5 {
            0 => kill_hard(child.id() as i32),
            1 => sandboxes.supervisors().into_iter().for_each(kill_hard),
            2 => below(child.id() as i32).into_iter().for_each(kill_hard),
            3 => sandboxes.supervisors().into_iter().flat_map(below).filter(is_keeper).for_each(kill_hard),
            _ => {}
        }
        child.wait().expect("wait for belljar");
        for (name, state) in sandboxes.states() {
            let known = ["starting", "running", "stopping", "stopped", "lost"];
            assert!(known.contains(&state.as_str()), "round {round}, {words:?}: {name} is {state}");
        }
        if round % 20 == 19 {
            for name in ["box", "other", "copy"] {
                // What is not there has been cleared up already.
                sandboxes.call(&["rm", "-f", name]);
            }
        }
    }
    sandboxes.call(&["stop", "kept"]);
    // Files of a kept one are there, whoever was killed.
    assert_eq!(sandboxes.done(&["fs", "cat", "kept", "/var/f"]), "kept\n");
    for (name, _) in sandboxes.states() {
        sandboxes.done(&["rm", "-f", &name]);
    }
    assert_eq!(sandboxes.states(), []);
    assert!(eventually(5, || sandboxes.supervisors().is_empty()));
    // What was being filled goes a minute later; nobody sees it.
    assert!(sandboxes.leavings().iter().all(|name| name.starts_with("new.")), "{:?}", sandboxes.leavings());
}
