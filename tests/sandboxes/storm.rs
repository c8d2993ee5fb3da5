//! All verbs at random on a few sandboxes, from many callers at once: each answer is one that can be explained, no call hangs,
//! and no file is lost that somebody was told was written.

use crate::common::chance::{Chance, scaled_from};
use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, eventually, result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const CALLERS: usize = 16;
const BOXES: u64 = 8;
/// How long the slowest call may take on a machine that sixteen others keep busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// Why a call may fail that met others: the sandbox is not there, or not as the call needs it, or went meanwhile.
const EXPLAINED: [&str; 7] = [
    "no sandbox `",
    "is not running",
    "` is running",
    "there is a sandbox `",
    "has ended meanwhile",
    "the sandbox is not ready",
    "No such file or directory",
];

/// A file whose writing was told as done: the sandbox's id, and the name.
type Written = Mutex<Vec<(String, String)>>;

/// Runs one call to its end, which comes in time.
fn call(sandboxes: &Sandboxes, words: &[&str]) -> Run {
    let mut command = sandboxes.command(words);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start belljar");
    let pid = Pid::from_raw(child.id() as i32);
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Dropped at the end of the call, and told by that.
        let watched = &ended;
        scope.spawn(move || {
            let late = !eventually(PATIENCE.as_secs(), || watched.load(std::sync::atomic::Ordering::Relaxed));
            if late {
                let _ = kill(pid, Signal::SIGABRT);
            }
        });
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let text = |pipe: Option<&mut dyn std::io::Read>| {
            let mut text = Vec::new();
            pipe.expect("a pipe").read_to_end(&mut text).expect("read it");
            String::from_utf8_lossy(&text).into_owned()
        };
        let (mut stdout, mut stderr) = (stdout, stderr);
        let errors = scope.spawn(move || text(stderr.as_mut().map(|pipe| pipe as &mut dyn std::io::Read)));
        let stdout = text(stdout.as_mut().map(|pipe| pipe as &mut dyn std::io::Read));
        let status = child.wait().expect("wait for belljar");
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        let stderr = errors.join().expect("read its errors");
        assert_eq!(status.signal(), None, "{words:?} did not end in time");
        Run { code: status.code(), stdout, stderr }
    })
}

/// One call of a random verb.
fn one(sandboxes: &Sandboxes, chance: &mut Chance, written: &Written, number: usize) {
    let name = format!("s{}", chance.below(BOXES));
    let other = format!("s{}", chance.below(BOXES));
    let token = format!("{number}-{}", chance.below(u64::MAX));
    let file = format!("/tmp/{token}");
    let script = format!("echo {token} >{file}");
    let words: Vec<&str> = match chance.below(22) {
        0..4 => vec!["create", "--keep", "--memory", "64M", &name],
        4 | 5 => vec!["start", &name],
        6 => vec!["stop", "--grace", "0", &name],
        7 => vec!["stop", &name],
        8 if chance.below(4) == 0 => vec!["rm", "-f", &name],
        8..13 => vec!["exec", "--json", &name, "--", "sh", "-c", &script],
        13 => vec!["fs", "ls", &name, "/tmp"],
        14 => vec!["fork", &name, &other],
        15 => vec!["diff", &name],
        16 => vec!["stats", &name],
        17 => vec!["inspect", &name],
        18 => vec!["ls"],
        19 => vec!["label", &name, "a=b"],
        20 => vec!["resize", "--memory", "96M", &name],
        _ => vec!["logs", &name],
    };
    let run = call(sandboxes, &words);
    if words[0] == "exec" && run.code == Some(0) {
        let id = result(&run)["sandbox"].as_str().expect("an id").to_owned();
        written.lock().expect("the list").push((id, token));
        return;
    }
    // What ended with the sandbox is told in the result.
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(run.code == Some(0) || EXPLAINED.iter().any(|why| told.contains(why)), "{words:?}: {run:?}");
}

#[test]
fn sixteen_callers_with_all_verbs_lose_no_file_and_wait_for_nothing() {
    let sandboxes = Sandboxes::new("storm");
    let written = Written::default();
    let end = Instant::now() + Duration::from_secs(scaled_from(8, 120) as u64);
    std::thread::scope(|scope| {
        for number in 0..CALLERS {
            let (sandboxes, written) = (&sandboxes, &written);
            scope.spawn(move || {
                let mut chance = Chance::new(&format!("storm {number}"));
                while Instant::now() < end {
                    one(sandboxes, &mut chance, written, number);
                }
            });
        }
    });
    let listed: serde_json::Value = serde_json::from_str(&sandboxes.done(&["ls", "--json"])).expect("an object");
    let mut looked = 0;
    for object in listed["sandboxes"].as_array().expect("a list") {
        let (id, state) = (object["id"].as_str().expect("an id"), object["state"].as_str().expect("a state"));
        assert!(["running", "stopped"].contains(&state), "{object}");
        let files = sandboxes.done(&["fs", "ls", id, "/tmp"]);
        for (_, token) in written.lock().expect("the list").iter().filter(|(there, _)| there == id) {
            assert!(files.contains(token.as_str()), "{token} is not in {id}: {files}");
            looked += 1;
        }
    }
    println!("{} files written, {looked} of them in sandboxes that are still there", written.lock().expect("it").len());
}
