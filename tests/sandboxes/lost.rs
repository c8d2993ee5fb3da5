//! Files of sandboxes that are kept: whatever ends a sandbox, and whatever becomes of what is written about it, they stay.

use crate::common::sandboxes::Sandboxes;
use crate::common::{bind, eventually, installed, result, said};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// A kept sandbox `k` with a file, and its directory.
fn kept(name: &str, options: &[&str]) -> (Sandboxes, PathBuf) {
    let boxes = Sandboxes::new(name);
    boxes.create("k", &[&["--keep"], options].concat());
    assert_eq!(boxes.shell("k", "echo kept >/tmp/file").code, Some(0));
    let id = boxes.inspect("k")["id"].as_str().expect("an id").to_owned();
    let directory = boxes.home().join("sandboxes").join(id);
    (boxes, directory)
}

fn state(boxes: &Sandboxes) -> String {
    boxes.states().into_iter().find(|(name, _)| name == "k").expect("the sandbox").1
}

#[test]
fn a_sandbox_that_cannot_be_started_again_keeps_its_files_and_says_why() {
    let scratch = crate::common::Scratch::new("lost-mount");
    let (here, elsewhere) = (scratch.0.join("here"), scratch.0.join("elsewhere"));
    std::fs::create_dir(&here).expect("make a directory");
    let (boxes, _) = kept("lost-start", &["--mount", &bind(&here, "/mnt")]);
    boxes.done(&["stop", "k"]);
    std::fs::rename(&here, &elsewhere).expect("move it");
    let run = boxes.call(&["start", "k"]);
    assert!(run.code != Some(0) && run.stderr.contains("No such file or directory"), "{run:?}");
    assert_eq!(state(&boxes), "stopped");
    let end = boxes.inspect("k")["end"].take();
    assert_eq!(end["status"], "setup_failed");
    assert!(end["error"].as_str().expect("an error").contains("No such file or directory"), "{end}");
    std::fs::rename(&elsewhere, &here).expect("move it back");
    boxes.done(&["start", "k"]);
    assert_eq!(said(&boxes.shell("k", "cat /tmp/file")), (Some(0), "kept\n", ""));
}

#[test]
fn a_sandbox_whose_first_process_or_supervisor_is_killed_keeps_its_files() {
    let (boxes, _) = kept("lost-killed", &[]);
    for kill_supervisor in [false, true, false] {
        let [supervisor] = boxes.supervisors()[..] else { panic!("one supervisor") };
        let children = std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"));
        let init = children.expect("its children").split_whitespace().next().expect("pid 1").to_owned();
        let victim = if kill_supervisor { supervisor } else { init.parse().expect("a pid") };
        let killed = nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim), nix::sys::signal::Signal::SIGKILL);
        killed.expect("kill it");
        assert!(eventually(10, || boxes.supervisors().is_empty()), "it goes on");
        assert_eq!(state(&boxes), if kill_supervisor { "lost" } else { "stopped" });
        boxes.done(&["start", "k"]);
        assert_eq!(said(&boxes.shell("k", "cat /tmp/file")), (Some(0), "kept\n", ""));
    }
}

#[test]
fn a_sandbox_whose_command_cannot_be_begun_is_not_made() {
    let boxes = Sandboxes::new("lost-command");
    for options in [&[][..], &["--keep"]] {
        for (command, why) in [("nosuchcmd", "command not found"), ("/etc/passwd", "not executable")] {
            let run = boxes.call(&[&["create"], options, &["k", "--", command]].concat());
            assert!(run.code != Some(0) && run.stderr.contains(why), "{run:?}");
            assert_eq!((boxes.states(), boxes.leavings()), (Vec::new(), Vec::new()));
        }
    }
    boxes.done(&["create", "k", "--", "sh", "-c", "exit 7"]);
}

#[test]
fn how_a_sandbox_has_ended_that_is_gone_can_still_be_asked() {
    let boxes = Sandboxes::new("lost-end");
    for code in ["3", "0", "5"] {
        boxes.done(&["create", "w", "--", "sh", "-c", &format!("exit {code}")]);
        assert!(eventually(10, || boxes.states().is_empty()), "it is still there");
        assert_eq!(boxes.call(&["wait", "w"]).stdout, format!("{code}\n"));
    }
    let told = result(&boxes.call(&["wait", "--json", "w"]));
    assert_eq!((&told["end"]["status"], &told["end"]["exit_code"]), (&"exited".into(), &5.into()));
    boxes.create("r", &[]);
    boxes.done(&["rm", "-f", "r"]);
    assert_eq!(boxes.call(&["wait", "nobody"]).code, Some(1));
}

#[test]
fn files_of_a_sandbox_that_is_being_started_can_be_listed() {
    let (boxes, _) = kept("lost-turn", &[]);
    for _ in 0..20 {
        boxes.done(&["stop", "k"]);
        let mut start =
            boxes.command(&["start", "k"]).stdout(std::process::Stdio::null()).spawn().expect("start belljar");
        let run: crate::common::Run = Command::new("timeout")
            .arg("20")
            .arg(crate::common::belljar())
            .args(["fs", "ls", "k", "/tmp"])
            .envs([("BELLJAR_HOME", boxes.home().into_os_string()), ("BELLJAR_CGROUP_PARENT", "none".into())])
            .output()
            .expect("start timeout")
            .into();
        assert!(run.code == Some(0) && run.stdout.contains("file"), "{run:?}");
        assert!(start.wait().expect("wait for it").success());
    }
}

#[test]
fn sandboxes_can_be_made_while_others_are_listed() {
    let boxes = Sandboxes::new("lost-made");
    let ends = std::thread::scope(|scope| {
        let lists = scope.spawn(|| {
            let (mut count, begun) = (0, std::time::Instant::now());
            while begun.elapsed() < std::time::Duration::from_secs(3) {
                boxes.done(&["ls"]);
                count += 1;
            }
            count
        });
        while !lists.is_finished() {
            let run = boxes.call(&["create", "--", "true"]);
            assert_eq!(run.code, Some(0), "{run:?}");
        }
        lists.join().expect("the lists")
    });
    assert!(ends > 10, "{ends} lists");
    assert!(eventually(10, || boxes.states().is_empty()), "{:?}", boxes.states());
}

/// A power cut leaves files as they were, empty, cut off, or not there at all.
#[test]
fn a_sandbox_of_which_something_written_is_damaged_is_listed_and_keeps_its_files() {
    for file in ["record.json", "spec.json", "run.json"] {
        for damage in ["empty", "half", "missing"] {
            let (boxes, directory) = kept("lost-damage", &[]);
            boxes.done(&["stop", "k"]);
            let path = directory.join(file);
            let whole = std::fs::read(&path).expect("read it");
            match damage {
                "empty" => std::fs::write(&path, ""),
                "half" => std::fs::write(&path, &whole[..whole.len() / 2]),
                _ => std::fs::remove_file(&path),
            }
            .expect("damage it");
            let listed: Value = serde_json::from_str(&boxes.done(&["ls", "--json"])).expect("an object");
            let listed = listed["sandboxes"].as_array().expect("a list").clone();
            assert_eq!(listed.len(), 1, "{file} {damage}: {listed:?}");
            let file_inside = std::fs::read_to_string(directory.join("upper/tmp/file"));
            assert_eq!(file_inside.expect("its file"), "kept\n", "{file} {damage}");
            let id = directory.file_name().expect("an id").to_string_lossy().into_owned();
            if file == "run.json" {
                boxes.done(&["start", "k"]);
                assert_eq!(boxes.shell("k", "cat /tmp/file").stdout, "kept\n");
                continue;
            }
            assert_eq!(listed[0]["state"], "broken", "{file} {damage}: {listed:?}");
            let run = boxes.call(&["inspect", &id]);
            let (code, hint) = (run.code, format!("hint: its files are in `{}`", directory.join("upper").display()));
            assert!(code != Some(0) && run.stderr.contains(file) && run.stderr.contains(&hint), "{run:?}");
            boxes.done(&["rm", &id]);
            assert_eq!(boxes.states(), Vec::new());
        }
    }
}

/// The link may be lost where the sandbox is not.
#[test]
fn a_sandbox_whose_name_is_lost_is_found_by_what_is_written_in_it() {
    let (boxes, _) = kept("lost-name", &[]);
    std::fs::remove_file(boxes.home().join("sandboxes/names/k")).expect("remove the link");
    assert_eq!(boxes.shell("k", "cat /tmp/file").stdout, "kept\n");
}

/// fsync(2) of the file before it gets its name, and of the directory afterwards.
#[test]
fn what_is_written_of_a_kept_sandbox_is_on_the_disk_before_it_is_told() {
    if !installed("strace") {
        return;
    }
    let boxes = Sandboxes::new("lost-durable");
    let calls = boxes.0.0.join("calls");
    let mut strace = Command::new("strace");
    strace.args(["-y", "-e", "trace=fsync,rename,write", "-o"]).arg(&calls).arg(crate::common::belljar());
    strace.args(["create", "--keep"]).args(crate::common::allowed_to_be_missing()).arg("k");
    strace.env("BELLJAR_HOME", boxes.home()).env("BELLJAR_CGROUP_PARENT", "none");
    let run: crate::common::Run = strace.output().expect("start strace").into();
    assert_eq!(said(&run).0, Some(0), "{run:?}");
    let calls = std::fs::read_to_string(&calls).expect("read the calls");
    let lines: Vec<&str> = calls.lines().collect();
    let told = lines.iter().position(|line| line.starts_with("write(1<")).expect("the name");
    for file in ["record.json", "spec.json"] {
        let renamed = |line: &str| line.starts_with("rename(") && line.contains(&format!("/{file}\""));
        let at = lines.iter().position(|line| renamed(line)).unwrap_or_else(|| panic!("{file}: {calls}"));
        let draft = format!("/.{file}>)");
        assert!(lines[..at].iter().any(|line| line.starts_with("fsync(") && line.contains(&draft)), "{file}: {calls}");
        assert!(
            lines[at..told].iter().any(|line| line.starts_with("fsync(") && !line.contains(".json")),
            "{file}: {calls}"
        );
    }
    let names = lines[..told].iter().any(|line| line.starts_with("fsync(") && line.contains("/names>"));
    assert!(names, "{calls}");
}
