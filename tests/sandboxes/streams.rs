//! Streams to a process inside: raw bytes both ways, at the pace of the slower side.

use crate::common::sandboxes::Sandboxes;
use crate::common::{belljar, eventually};
use belljar::error::{self, Error};
use belljar::own::Own;
use belljar::tools::session::stream::{Heard, Stream};
use belljar::tools::session::{Ask, End, Kind};
use belljar::tools::{Client, Name, Request};
use nix::poll::poll;
use std::fs::DirEntry;
use std::process::Command;
use std::time::{Duration, Instant};

/// A tool in the box, started by the binary.
fn client(sandboxes: &Sandboxes) -> Client {
    client_of(sandboxes, "box")
}

/// The same in another.
fn client_of(sandboxes: &Sandboxes, name: &str) -> Client {
    let enter = |descriptor| {
        let own = Own::Enter { sandbox: name.into(), stopped_too: false, descriptor };
        let mut command = Command::new(belljar());
        command.args(own.words()).env("BELLJAR_HOME", sandboxes.home());
        command
    };
    Client::of(enter).expect("start belljar")
}

/// Makes a session `id` of one command.
fn create(sandboxes: &Sandboxes, kind: Kind, id: &str, words: &[&str]) {
    let words = words.iter().copied().map(Name::from).collect();
    let ask = Ask::Create { kind, words, env: Vec::new(), directory: None };
    client(sandboxes).order(&Request::Session { id: Some(id.to_owned()), ask }).expect("a session");
}

fn open(sandboxes: &Sandboxes, id: &str) -> Stream {
    Stream::open(client(sandboxes), id, None).expect("a stream")
}

/// One step, and a wait before it where there is nothing to do.
fn step(stream: &mut Stream, heard: &mut Vec<u8>) -> Result<Option<End>, Error> {
    let mut list = Vec::new();
    stream.interests(&mut list);
    let _ = poll(&mut list, 1000u16);
    drop(list);
    stream.step(&mut |said| {
        let (Heard::Output(bytes) | Heard::Error(bytes)) = said;
        heard.extend_from_slice(bytes);
        Ok(())
    })
}

/// Steps until so many bytes were heard.
fn hear(stream: &mut Stream, count: usize) -> Vec<u8> {
    let (mut heard, until) = (Vec::new(), Instant::now() + Duration::from_secs(120));
    while heard.len() < count {
        assert!(Instant::now() < until, "only {} bytes of {count}", heard.len());
        assert_eq!(step(stream, &mut heard).expect("it goes on"), None);
    }
    heard
}

/// Sends something short, with what is heard next.
fn send(stream: &mut Stream, bytes: &[u8]) {
    assert_eq!(stream.send(bytes), bytes.len());
}

fn pid(entry: DirEntry) -> Option<u32> {
    entry.file_name().to_str()?.parse().ok()
}

/// The command line of a process, with zeros between its words.
fn words_of(pid: u32) -> String {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).into_owned()
}

/// A number in a file as `/proc/PID/status` is.
fn status_of(path: &str, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(path).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The keeper of a session whose id no other test gives.
fn keeper(id: &str) -> u32 {
    let mark = format!("keep-session\0{id}\0");
    let mut pids = std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(pid);
    pids.find(|pid| words_of(*pid).contains(&mark)).expect("a keeper")
}

/// The most memory that the keeper of a session has had, in kilobytes.
fn peak_of_keeper(id: &str) -> u64 {
    status_of(&format!("/proc/{}/status", keeper(id)), "VmHWM:").expect("VmHWM")
}

#[test]
fn fifty_megabytes_come_back_as_they_went_and_the_keeper_stays_small() {
    let sandboxes = Sandboxes::new("stream");
    sandboxes.create("box", &[]);
    let id = format!("echo-{}", std::process::id());
    create(&sandboxes, Kind::Stream, &id, &["cat"]);
    let mut stream = open(&sandboxes, &id);
    let before = peak_of_keeper(&id);
    let bytes: Vec<u8> = (0..50_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (mut sent, mut heard, mut checked) = (0, Vec::new(), 0);
    let until = Instant::now() + Duration::from_secs(200);
    while checked < bytes.len() {
        sent += stream.send(&bytes[sent..]);
        assert_eq!(step(&mut stream, &mut heard).expect("it goes on"), None);
        assert!(heard[..] == bytes[checked..checked + heard.len()], "other bytes behind {checked}");
        checked += heard.len();
        heard.clear();
        assert!(Instant::now() < until, "only {checked} bytes");
    }
    let more = peak_of_keeper(&id) - before;
    assert!(more < 8 << 10, "{more} kB");
    stream.end_input();
    let end = loop {
        if let Some(end) = step(&mut stream, &mut heard).expect("it goes on") {
            break end;
        }
    };
    assert_eq!((end.exit_code, heard.len()), (Some(0), 0));
}

#[test]
fn a_process_whose_bytes_nobody_takes_waits_and_loses_none() {
    let sandboxes = Sandboxes::new("pressure");
    sandboxes.create("box", &[]);
    let script = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $i >/tmp/count; head -c 65535 /dev/zero; echo; done";
    create(&sandboxes, Kind::Stream, "s", &["sh", "-c", script]);
    let count = || -> u64 {
        let run = sandboxes.shell("box", "cat /tmp/count");
        run.stdout.trim().parse().unwrap_or(0)
    };
    let waits = |most: u64| {
        let waits = || {
            let before = count();
            std::thread::sleep(Duration::from_millis(700));
            before > 0 && count() == before
        };
        assert!(eventually(60, waits), "it goes on: {}", count());
        assert!(count() <= most, "{}", count());
    };
    // The pipe and what the keeper holds.
    waits(8);
    let mut stream = open(&sandboxes, "s");
    // And what is on its way.
    waits(40);
    let mut heard = Vec::new();
    let end = loop {
        if let Some(end) = step(&mut stream, &mut heard).expect("it goes on") {
            break end;
        }
    };
    assert_eq!((end.exit_code, heard.len(), count()), (Some(0), 200 << 16, 200));
    assert_eq!(heard.iter().filter(|byte| **byte == b'\n').count(), 200);
}

#[test]
fn who_does_not_read_stops_nobody_else_and_is_told() {
    let sandboxes = Sandboxes::new("slow");
    sandboxes.create("box", &[]);
    create(&sandboxes, Kind::Stream, "s", &["sh", "-c", "read go; head -c 9000000 /dev/zero; read end"]);
    let (mut idle, mut busy) = (open(&sandboxes, "s"), open(&sandboxes, "s"));
    send(&mut busy, b"go\n");
    assert_eq!(hear(&mut busy, 9_000_000).len(), 9_000_000);
    let mut heard = Vec::new();
    let told = loop {
        match step(&mut idle, &mut heard) {
            Ok(None) => assert!(heard.len() < 9_000_000),
            told => break told,
        }
    };
    assert_eq!(
        told.expect_err("it missed something").message,
        "it was too slow: another took what it had not read yet"
    );
    create(&sandboxes, Kind::Terminal, "t", &["sh", "-c", "read go; head -c 3000000 /dev/zero; echo all; read end"]);
    let (_idle, mut busy) = (open(&sandboxes, "t"), open(&sandboxes, "t"));
    send(&mut busy, b"go\n");
    let mut shown = Vec::new();
    let all = |shown: &[u8]| shown.windows(4).any(|part| part == b"all\r");
    while !all(&shown) {
        assert_eq!(step(&mut busy, &mut shown).expect("it goes on"), None);
    }
    // Who comes later is shown the last of it.
    let mut late = open(&sandboxes, "t");
    let mut shown = Vec::new();
    while !all(&shown) {
        assert_eq!(step(&mut late, &mut shown).expect("it goes on"), None);
    }
    assert!((200 << 10..=290 << 10).contains(&shown.len()), "{}", shown.len());
}

#[test]
fn who_goes_away_leaves_the_process_running() {
    let sandboxes = Sandboxes::new("leaves");
    sandboxes.create("box", &[]);
    create(
        &sandboxes,
        Kind::Stream,
        "s",
        &["sh", "-c", "while read word; do echo got-$word; done; echo end >&2; exit 5"],
    );
    for word in ["one", "two"] {
        let mut stream = open(&sandboxes, "s");
        send(&mut stream, format!("{word}\n").as_bytes());
        assert_eq!(String::from_utf8_lossy(&hear(&mut stream, 8)), format!("got-{word}\n"));
    }
    // What was sent last arrives, although nobody waits for an answer.
    let mut stream = open(&sandboxes, "s");
    send(&mut stream, b"three\n");
    assert_eq!(step(&mut stream, &mut Vec::new()).expect("it goes on"), None);
    drop(stream);
    let mut stream = open(&sandboxes, "s");
    stream.end_input();
    let mut heard = Vec::new();
    let end = loop {
        if let Some(end) = step(&mut stream, &mut heard).expect("it goes on") {
            break end;
        }
    };
    let heard = String::from_utf8_lossy(&heard);
    assert!(end.exit_code == Some(5) && heard.ends_with("end\n"), "{end:?} {heard}");
    let error = Stream::open(client(&sandboxes), "none", None).err().expect("there is none");
    assert_eq!((error.kind, error.message.as_str()), (error::Kind::NotFound, "no session `none`"));
    sandboxes.done(&["session", "create", "box", "sh"]);
    let error = Stream::open(client(&sandboxes), "sh", None).err().expect("it is none");
    assert_eq!(error.message, "the session `sh` is one of shell, and no stream");
}

/// The namespace of processes that a process is in.
fn namespace(pid: u32) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

/// How often the threads of a process have gone to sleep.
fn sleeps(pid: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").flatten();
    let status = threads.map(|thread| thread.path().join("status"));
    status.filter_map(|status| status_of(&status.to_string_lossy(), "voluntary_ctxt_switches:")).sum()
}

#[test]
fn keys_are_answered_without_anybody_looking_for_them() {
    let sandboxes = Sandboxes::new("key");
    let (name, id) = (format!("key-{}", std::process::id()), format!("keys-{}", std::process::id()));
    sandboxes.create(&name, &[]);
    let words = ["sh", "-c", "stty raw -echo; echo ready; exec cat"].map(Name::from).to_vec();
    let ask = Ask::Create { kind: Kind::Terminal, words, env: Vec::new(), directory: None };
    client_of(&sandboxes, &name).order(&Request::Session { id: Some(id.clone()), ask }).expect("a session");
    let mut stream = Stream::open(client_of(&sandboxes, &name), &id, None).expect("a stream");
    let mut shown = Vec::new();
    while !shown.ends_with(b"ready\n") {
        step(&mut stream, &mut shown).expect("it goes on");
    }
    for _ in 0..40 {
        send(&mut stream, b"k");
        assert_eq!(hear(&mut stream, 1), b"k");
    }
    // Whoever looked every 100 ms would have done so ten times in a second in which nothing comes.
    let keeper = keeper(&id);
    // Who brought it inside, or a leader that stood there, is its parent: by the sandbox it is known all the same.
    let inside = namespace(keeper);
    let all: Vec<u32> = std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(pid).collect();
    let tool: Vec<u32> =
        all.into_iter().filter(|pid| namespace(*pid) == inside && words_of(*pid).contains("serve-tools")).collect();
    assert_eq!(tool.len(), 1, "{tool:?}");
    let asleep = || sleeps(keeper) + sleeps(tool[0]);
    let before = asleep();
    std::thread::sleep(Duration::from_secs(1));
    let more = asleep() - before;
    assert!(more <= 3, "{more}");
}
