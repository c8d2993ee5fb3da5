//! Servers that flood, hang, die and lie (`tests/programs/lsp/server.py`): whoever asks has an error in his time, and nobody's memory is
//! taken.

use crate::common::{eventually, fixtures, installed};
use crate::world::World;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A sandbox whose image names our server for a language of its own; `how` it behaves.
fn world(name: &str, how: &str) -> World {
    let world = World::new(name);
    world.0.done(&["cp", fixtures().join("lsp/server.py").to_str().expect("a path"), "box:/tmp/server.py"]);
    world.write("/tmp/a.odd", "one\ntwo\n");
    start(&world, how);
    world
}

fn start(world: &World, how: &str) {
    let words = ["start", "odd", "/tmp", "--json", "--", "python3", "/tmp/server.py", how, "/tmp/log"];
    let run = world.call(&words);
    assert_eq!(run.code, Some(0), "{run:?}");
}

/// Asks within five seconds; the error, and how long that took.
fn asked(world: &World) -> (Value, Duration) {
    let begun = Instant::now();
    let error = world.refused(&["hover", "/tmp/a.odd:1:1", "--language", "odd", "--timeout", "5s"]);
    (error, begun.elapsed())
}

fn hover(world: &World) -> String {
    let told = world.told(&["hover", "/tmp/a.odd:1:1", "--language", "odd"]);
    told["hover"]["text"].as_str().expect("a text").to_owned()
}

/// The most memory that the keeper has had, in kilobytes.
fn peak_of_keeper(world: &World) -> u64 {
    let script = "for one in /proc/[0-9]*; do tr '\\0' ' ' <$one/cmdline 2>/dev/null | grep -q '^[^ ]* keep-session lsp' && cat $one/status; done";
    let told = world.0.shell("box", script).stdout;
    let line = told.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_else(|| panic!("no keeper: {told}"));
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn a_server_that_writes_what_is_no_message_is_ended_and_takes_no_memory() {
    if !installed("python3") {
        return;
    }
    for (how, kind, message) in [
        ("flood", "malformed", "what stands before a message does not end"),
        ("lines", "malformed", "what stands before a message does not end"),
        ("giant", "malformed", "a message of 99999999999999 bytes, and 16 MiB is the most"),
        ("nonsense", "malformed", "a message that is no JSON-RPC"),
        ("shape", "malformed", "its answer to `textDocument/hover`"),
        ("refuses", "failed", "says to `textDocument/hover`: not today"),
        // Whichever comes first on this machine: the end of what waits for it, or that of the caller's time.
        ("requests", "busy timed_out", "the language server `python3` d"),
    ] {
        let world = world("lsp-hostile", how);
        let before = peak_of_keeper(&world);
        let (error, took) = asked(&world);
        assert!(kind.split(' ').any(|kind| error["kind"] == kind), "{how}: {error}");
        assert!(error["message"].as_str().expect("a text").contains(message), "{how}: {error}");
        assert!(took < Duration::from_secs(8), "{how}: {took:?}");
        let more = peak_of_keeper(&world) - before;
        assert!(more < 100 << 10, "{how}: {more} kB");
    }
}

#[test]
fn a_server_that_only_ever_says_something_else_is_given_up_in_time_and_takes_no_memory() {
    if !installed("python3") {
        return;
    }
    let world = world("lsp-notes", "notes");
    let before = peak_of_keeper(&world);
    let (error, took) = asked(&world);
    assert_eq!(error["kind"], "timed_out", "{error}");
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(8), "{took:?}");
    let more = peak_of_keeper(&world) - before;
    assert!(more < 8 << 10, "{more} kB");
}

#[test]
fn a_question_without_an_answer_is_called_off_and_a_server_that_hangs_is_started_anew() {
    if !installed("python3") {
        return;
    }
    let world = world("lsp-hang", "hang");
    for _ in 0..3 {
        let (error, took) = asked(&world);
        assert_eq!(error["kind"], "timed_out", "{error}");
        assert!(took < Duration::from_secs(8), "{took:?}");
    }
    let log = world.read("/tmp/log");
    assert!(log.contains("$/cancelRequest"), "{log}");
    // Three in a row are the end of it.
    assert_eq!(world.servers()[0]["state"], "stopped");
    assert_eq!(asked(&world).0["kind"], "timed_out");
    assert_eq!(world.servers()[0]["restarts"], 1);
}

#[test]
fn a_server_that_answers_under_numbers_that_nobody_gave_it_has_not_answered() {
    if !installed("python3") {
        return;
    }
    let world = world("lsp-numbers", "numbers");
    for _ in 0..3 {
        let error = world.refused(&["hover", "/tmp/a.odd:1:1", "--language", "odd", "--timeout", "1s"]);
        assert_eq!(error["kind"], "timed_out", "{error}");
    }
    assert_eq!(world.servers()[0]["state"], "stopped");
}

#[test]
fn a_program_that_is_no_server_is_known_by_its_first_line() {
    if !installed("python3") {
        return;
    }
    let world = World::new("lsp-no-server");
    let begun = Instant::now();
    let words = ["start", "odd", "/tmp", "--json", "--timeout", "15s", "--", "sh", "-c", "echo hello; sleep 100"];
    let run = world.call(&words);
    let error: Value = serde_json::from_str(&run.stdout).expect("an object");
    assert_eq!(error["error"]["kind"], "malformed", "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(world.servers()[0]["state"], "stopped");
}

#[test]
fn a_keeper_that_is_stopped_is_given_up_in_time_and_ended_where_that_is_asked_for() {
    if !installed("python3") {
        return;
    }
    let world = world("lsp-stopped", "fine");
    hover(&world);
    let stop = "for one in /proc/[0-9]*; do tr '\\0' ' ' <$one/cmdline 2>/dev/null | grep -q '^[^ ]* keep-session lsp' && kill -STOP ${one#/proc/}; done; true";
    assert_eq!(world.0.shell("box", stop).code, Some(0));
    let begun = Instant::now();
    let error = world.refused(&["hover", "/tmp/a.odd:1:1", "--language", "odd", "--timeout", "3s"]);
    assert_eq!(error["kind"], "timed_out", "{error}");
    assert!(error["hint"].as_str().expect("a text").contains("lsp stop"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let begun = Instant::now();
    let listed = &world.servers()[0];
    assert_eq!((&listed["language"], &listed["project"]), (&json!("odd"), &json!("/tmp")), "{listed}");
    assert!(listed["failure"].as_str().expect("a text").contains("does not answer"), "{listed}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(world.told(&["stop", "odd"])["state"], "ended");
    assert_eq!(world.servers(), [Value::Null; 0]);
    start(&world, "fine");
    hover(&world);
}

#[test]
fn a_caller_who_goes_calls_his_question_off() {
    if !installed("python3") {
        return;
    }
    let world = world("lsp-gone", "hang");
    let mut command =
        world.0.command(&["lsp", "box", "hover", "/tmp/a.odd:1:1", "--language", "odd", "--timeout", "60s"]);
    let mut caller = command.spawn().expect("start belljar");
    assert!(eventually(20, || world.read("/tmp/log").contains("textDocument/hover")));
    caller.kill().expect("kill it");
    caller.wait().expect("wait for it");
    assert!(eventually(20, || world.read("/tmp/log").contains("$/cancelRequest")));
}

#[test]
fn a_server_that_dies_is_started_again_and_not_for_ever() {
    if !installed("python3") {
        return;
    }
    let world = world("lsp-dies", "third");
    let first = hover(&world);
    assert!(first.ends_with(" 1"), "{first}");
    hover(&world);
    let (error, took) = asked(&world);
    assert_eq!(error["kind"], "ended", "{error}");
    assert!(error["message"].as_str().expect("a text").ends_with("ended with exit code 3"), "{error}");
    assert!(error["hint"].as_str().expect("a text").contains("out of luck"), "{error}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let again = hover(&world);
    assert!(again.ends_with(" 1") && again != first, "{first} {again}");
    assert_eq!(world.servers()[0]["restarts"], 1);
    for _ in 0..2 {
        hover(&world);
        while world.call(&["hover", "/tmp/a.odd:1:1", "--language", "odd"]).code == Some(0) {}
    }
    let (error, _) = asked(&world);
    assert!(error["message"].as_str().expect("a text").contains("it died 3 times in 5 minutes"), "{error}");
    // Who stops it has it started.
    world.told(&["stop", "odd"]);
    start(&world, "fine");
    assert!(hover(&world).ends_with(" 1"));
}

#[test]
fn a_server_that_is_not_there_or_dies_at_once_says_why_and_what_to_do() {
    if !installed("python3") {
        return;
    }
    let world = World::new("lsp-missing");
    world.write("/tmp/a.rs", "fn main() {}\n");
    world.write("/tmp/a.unheard", "fn main() {}\n");
    let error = world.refused(&["hover", "/tmp/a.rs:1:4"]);
    assert_eq!(
        (&error["kind"], &error["message"]),
        (&json!("no_command"), &json!("there is no `rust-analyzer` inside, the language server for rust"))
    );
    assert!(error["hint"].as_str().expect("a text").contains("rustup component add rust-analyzer"), "{error}");
    assert_eq!(world.servers(), [Value::Null; 0]);
    let error = world.refused(&["hover", "/tmp/a.unheard:1:4"]);
    assert_eq!((&error["kind"], &error["fields"]), (&json!("misused"), &json!(["language"])));
    world.0.done(&["cp", fixtures().join("lsp/server.py").to_str().expect("a path"), "box:/tmp/server.py"]);
    let run = world.call(&["start", "odd", "/tmp", "--json", "--", "python3", "/tmp/server.py", "dead"]);
    let error: Value = serde_json::from_str(&run.stdout).expect("an object");
    assert_eq!(error["error"]["kind"], "ended", "{error}");
    assert!(error["error"]["hint"].as_str().expect("a text").contains("no licence"), "{error}");
    world.told(&["stop", "odd", "/tmp"]);
    let run =
        world.call(&["start", "odd", "/tmp", "--timeout", "2s", "--json", "--", "python3", "/tmp/server.py", "silent"]);
    let error: Value = serde_json::from_str(&run.stdout).expect("an object");
    assert_eq!(error["error"]["kind"], "timed_out", "{error}");
}

#[test]
fn what_a_server_asks_of_an_editor_is_answered() {
    if !installed("python3") {
        return;
    }
    let world = World::new("lsp-asks");
    world.0.done(&["cp", fixtures().join("lsp/server.py").to_str().expect("a path"), "box:/tmp/server.py"]);
    world.write("/tmp/a.odd", "one\n");
    let words = ["start", "odd", "/tmp", "--", "python3", "/tmp/server.py", "asks"];
    assert_eq!(world.call(&words).code, Some(0));
    let told: Value = serde_json::from_str(&hover(&world)).expect("a list");
    let refused = json!({ "applied": false, "failureReason": "nobody has asked for an edit" });
    assert_eq!(told, json!([[null, null], null, null, refused, -32601]));
}

#[test]
fn an_edit_that_no_frame_holds_comes_whole() {
    if !installed("python3") {
        return;
    }
    let world = world("lsp-large", "fine");
    let told = world.told(&["rename", "/tmp/a.odd:1:1", "y", "--language", "odd", "--write"]);
    assert_eq!(told["files"][0]["edits"][0]["text"].as_str().expect("a text").len(), 3 << 20);
    assert_eq!(told["files"][0]["edits"].as_array().expect("a list").len(), 1);
    let after = world.read("/tmp/a.odd");
    assert_eq!((after.len(), after.ends_with("xone\ntwo\n")), ((3 << 20) + 8, true));
}
