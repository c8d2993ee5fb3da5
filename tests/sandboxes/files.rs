//! Files in and out of sandboxes, and what a hostile inside can do about it.

use crate::common::chance::scaled_from;
use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, Scratch, said};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

/// The call with `input` on its standard input.
fn fed(sandboxes: &Sandboxes, words: &[&str], input: &[u8]) -> Run {
    let mut command = sandboxes.command(words);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start belljar");
    // Where it does not read to the end, what it says tells why.
    let _ = child.stdin.take().expect("its input").write_all(input);
    child.wait_with_output().expect("wait for belljar").into()
}

fn object(run: &Run) -> Value {
    assert_eq!(run.code, Some(0), "{run:?}");
    serde_json::from_str(&run.stdout).expect("an object")
}

/// A directory with something of every kind.
fn make_tree(top: &Path) {
    fs::create_dir_all(top.join("sub/deeper")).expect("directories");
    fs::write(top.join("a"), "hello\n").expect("a file");
    fs::set_permissions(top.join("a"), fs::Permissions::from_mode(0o741)).expect("its mode");
    fs::write(top.join(OsStr::from_bytes(b"sub/\xff\n")), "odd").expect("a file with an odd name");
    fs::write(top.join(".wh.a"), "a name that means something in layers").expect("a file");
    symlink("../nowhere", top.join("sub/link")).expect("a link");
    nix::unistd::mkfifo(&top.join("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("a fifo");
    fs::File::create(top.join("sub/giant")).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    let old = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    fs::File::options().write(true).open(top.join("a")).and_then(|file| file.set_times(old)).expect("its time");
}

#[test]
fn a_tree_goes_in_and_comes_out_as_it_was() {
    let sandboxes = Sandboxes::new("trees");
    sandboxes.create("box", &[]);
    let scratch = Scratch::new("trees-here");
    make_tree(&scratch.0.join("tree"));
    let run = sandboxes.call(&["cp", text(&scratch.0.join("tree")), "box:/tmp"]);
    let left_out = format!("belljar: left out {}: a fifo\n", scratch.0.join("tree/fifo").display());
    assert_eq!(said(&run), (Some(0), "", left_out.as_str()));
    let look = "cd /tmp/tree; cat a sub/$(printf '\\377')*; stat -c '%a %Y' a; readlink sub/link; stat -c '%s %b' sub/giant; ls -A | wc -l";
    assert_eq!(
        said(&sandboxes.shell("box", look)),
        (Some(0), "hello\nodd741 1000000000\n../nowhere\n1099511627776 0\n3\n", "")
    );
    // Into what is not there, under that name; into what is there, under its own.
    for (to, found) in [("new", "new"), ("there", "there/tree")] {
        let to = scratch.0.join(to);
        if found.contains('/') {
            fs::create_dir(&to).expect("a directory");
        }
        assert_eq!(said(&sandboxes.call(&["cp", "box:/tmp/tree", text(&to)])), (Some(0), "", ""));
        let found = scratch.0.join(found);
        assert_eq!(fs::read_to_string(found.join("a")).expect("a file"), "hello\n");
        let a = fs::metadata(found.join("a")).expect("a file");
        assert_eq!((a.mode() & 0o7777, a.mtime()), (0o741, 1_000_000_000));
        assert_eq!(fs::read(found.join(OsStr::from_bytes(b"sub/\xff\n"))).expect("a file"), b"odd");
        assert!(found.join(".wh.a").exists() && found.join("sub/deeper").is_dir());
        assert_eq!(fs::read_link(found.join("sub/link")).expect("a link"), Path::new("../nowhere"));
        let giant = fs::metadata(found.join("sub/giant")).expect("a file");
        assert_eq!((giant.len(), giant.blocks()), (1 << 40, 0));
    }
    let left: Vec<_> =
        fs::read_dir(&scratch.0).expect("listed").map(|entry| entry.expect("entry").file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn old_dates_closed_modes_and_nanoseconds_are_copied_as_they_are() {
    let sandboxes = Sandboxes::new("true-copies");
    sandboxes.create("box", &["--keep"]);
    let scratch = Scratch::new("true-here");
    let prepared = "umask 022; mkdir -p /tmp/t/read-only/sub /tmp/t/shut; cd /tmp/t; echo old > old; echo x > closed; echo in > read-only/sub/f; \
        echo in > shut/f; touch -d '1960-02-03 04:05:06.75' old; touch -d '2001-02-03 04:05:06.123456789' shut/f read-only/sub; \
        touch -d '1969-12-31 23:59:59.25' read-only; chmod 0 closed; chmod 0555 read-only/sub read-only; chmod 0 shut";
    assert_eq!(said(&sandboxes.shell("box", prepared)), (Some(0), "", ""));
    let to = scratch.0.join("t");
    assert_eq!(said(&sandboxes.call(&["cp", "box:/tmp/t", text(&to)])), (Some(0), "", ""));
    let is = |path: &str| {
        let found = fs::metadata(to.join(path)).expect(path);
        (found.mode() & 0o7777, found.mtime(), found.mtime_nsec())
    };
    assert_eq!(is("old"), (0o644, -312_753_294, 750_000_000));
    assert_eq!(is("read-only"), (0o555, -1, 250_000_000));
    assert_eq!(is("read-only/sub"), (0o555, 981_173_106, 123_456_789));
    assert_eq!((is("closed").0, is("shut").0), (0, 0));
    let opened = |mode| fs::set_permissions(to.join("shut"), fs::Permissions::from_mode(mode)).expect("a mode");
    opened(0o700);
    assert_eq!(is("shut/f"), (0o644, 981_173_106, 123_456_789));
    // What was opened up to be read is closed again.
    let look = "cd /tmp/t; stat -c %a closed shut read-only read-only/sub; ls -A /tmp";
    assert_eq!(said(&sandboxes.shell("box", look)), (Some(0), "0\n0\n555\n555\nt\n", ""));
    // And in again: here nobody opens anything up, and what cannot be read is named.
    let run = sandboxes.call(&["cp", text(&to), "box:/tmp/u"]);
    if !crate::common::is_root() {
        let left_out = format!("belljar: left out {}: Permission denied\n", to.join("closed").display());
        assert_eq!(said(&run), (Some(1), "", left_out.as_str()));
    }
    let look = "cd /tmp/u; stat -c '%a %Y %y' old read-only read-only/sub shut/f; cat read-only/sub/f shut/f";
    let seen = sandboxes.shell("box", look);
    let old = "644 -312753294 1960-02-03 04:05:06.750000000 +0000\n555 -1 1969-12-31 23:59:59.250000000 +0000\n";
    let rest = "555 981173106 2001-02-03 04:05:06.123456789 +0000\n644 981173106 2001-02-03 04:05:06.123456789 +0000\nin\nin\n";
    assert_eq!(said(&seen), (Some(0), format!("{old}{rest}").as_str(), ""));
    // A copy of the sandbox, and an image of it, have the same times.
    let stamps = "stat -c '%Y %y' /tmp/t/old /tmp/t/read-only /tmp/t/read-only/sub";
    let expected = sandboxes.shell("box", stamps).stdout;
    sandboxes.done(&["fork", "box", "twin"]);
    assert_eq!(sandboxes.shell("twin", stamps).stdout, expected);
    fs::set_permissions(to.join("read-only"), fs::Permissions::from_mode(0o755)).expect("a mode");
    fs::set_permissions(to.join("read-only/sub"), fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[test]
fn an_archive_on_a_stream_is_whole_whatever_is_in_the_tree() {
    let sandboxes = Sandboxes::new("archives");
    sandboxes.create("box", &[]);
    let scratch = Scratch::new("archives-here");
    let prepared = "mkdir -p /tmp/t/shut; cd /tmp/t; echo x > none; touch -d 1901-12-13 old; echo y > shut/y; mkfifo fifo; ln -s nowhere link; \
        truncate -s 1T sparse; printf middle | dd of=sparse bs=1 seek=1000000 conv=notrunc 2>/dev/null; chmod 0 none shut; \
        n=$(printf 'n%.0s' $(seq 200)); mkdir $n; mv sparse $n";
    assert_eq!(said(&sandboxes.shell("box", prepared)), (Some(0), "", ""));
    let archive = scratch.0.join("t.tar");
    let mut command = sandboxes.command(&["cp", "box:/tmp/t", "-"]);
    let done = command.stdout(fs::File::create(&archive).expect("a file")).output().expect("start belljar");
    assert_eq!((done.status.code(), &done.stderr[..]), (Some(0), &b"belljar: left out /tmp/t/fifo: a fifo\n"[..]));
    // Others can read it: GNU tar, which knows holes, and Python.
    let listed = std::process::Command::new("tar").arg("tf").arg(&archive).output().expect("start tar");
    assert_eq!((listed.status.code(), &listed.stderr[..]), (Some(0), &b""[..]));
    let names = String::from_utf8(listed.stdout).expect("text");
    assert_eq!(names.lines().count(), 8, "{names}");
    let unpacked = std::process::Command::new("tar").arg("xf").arg(&archive).arg("-C").arg(&scratch.0).status();
    assert!(unpacked.expect("start tar").success());
    let sparse = scratch.0.join("t").join("n".repeat(200)).join("sparse");
    let found = fs::metadata(&sparse).expect("a file");
    assert_eq!((found.len(), found.blocks() < 100), (1 << 40, true));
    let mut middle = [0; 6];
    std::os::unix::fs::FileExt::read_exact_at(&fs::File::open(sparse).expect("opened"), &mut middle, 1_000_000)
        .expect("read");
    assert_eq!(&middle, b"middle");
    fs::set_permissions(scratch.0.join("t/shut"), fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[test]
fn several_things_are_copied_into_a_directory_that_is_there() {
    let sandboxes = Sandboxes::new("several");
    sandboxes.create("box", &[]);
    let scratch = Scratch::new("several-here");
    let (a, b) = (scratch.file("a", "a"), scratch.file("b", "b"));
    let missing = sandboxes.call(&["cp", text(&a), text(&b), "box:/tmp/no"]);
    let line = "belljar: /tmp/no/: there is no such directory\n";
    assert_eq!(said(&missing), (Some(1), "", format!("{line}{line}").as_str()));
    sandboxes.done(&["fs", "mkdir", "box", "/tmp/yes"]);
    let nowhere = scratch.0.join("nowhere");
    let run = sandboxes.call(&["cp", "--json", text(&a), text(&nowhere), text(&b), "box:/tmp/yes"]);
    assert_eq!((run.code, run.stderr.contains("nowhere: No such file")), (Some(1), true), "{run:?}");
    let done: Value = serde_json::from_str(&run.stdout).expect("an object");
    assert_eq!((&done["to"], &done["skipped"]), (&json!("/tmp/yes"), &json!([])));
    assert_eq!(sandboxes.shell("box", "cat /tmp/yes/a /tmp/yes/b").stdout, "ab");
    let back = scratch.0.join("back");
    fs::create_dir(&back).expect("a directory");
    assert_eq!(said(&sandboxes.call(&["cp", "box:/tmp/yes/a", "box:/tmp/yes/b", text(&back)])), (Some(0), "", ""));
    assert_eq!(fs::read_to_string(back.join("b")).expect("come"), "b");
    for words in [["cp", "-", "box:a", "box:/b"], ["cp", "box:a", "box:b", "-"], ["cp", "a", "box:b", "box:c"]] {
        assert_eq!(sandboxes.call(&words).code, Some(2), "{words:?}");
    }
}

#[test]
fn trees_deeper_than_any_path_are_removed_and_what_is_too_large_is_left_out() {
    let sandboxes = Sandboxes::new("deep-files");
    sandboxes.create("box", &[]);
    let scratch = Scratch::new("deep-here");
    let deep = "mkdir /tmp/t; cd /tmp/t; echo x > f; truncate -s 7E giant; p=$(printf 'd/%.0s' $(seq 500)); \
        for i in 1 2 3 4 5 6; do mkdir -p new/$p; [ -e d ] && mv d new/$p; mv new/d d; rmdir new; done";
    let run = sandboxes.shell("box", deep);
    assert_eq!(run.code, Some(0), "{run:?}");
    let to = scratch.0.join("t");
    let run = sandboxes.call(&["cp", "box:/tmp/t", text(&to)]);
    let takes_giants = fs::File::create(scratch.0.join("giant")).and_then(|file| file.set_len(7 << 60)).is_ok();
    assert_eq!((run.code, run.stderr.lines().count()), (Some(1), 2 - usize::from(takes_giants)), "{run:?}");
    assert_ne!(run.stderr.contains("/t/giant: File too large\n"), takes_giants, "{run:?}");
    assert_eq!(to.join("giant").exists(), takes_giants);
    assert!(run.stderr.contains(": File name too long\n"), "{run:?}");
    assert_eq!(fs::read_to_string(to.join("f")).expect("come"), "x\n");
    assert_eq!(said(&sandboxes.call(&["fs", "rm", "-r", "box", "/tmp/t"])), (Some(0), "", ""));
    assert_eq!(said(&sandboxes.shell("box", "ls -A /tmp")), (Some(0), "", ""));
}

#[test]
fn what_is_in_a_directory_is_merged_and_nothing_is_written_through_links() {
    let sandboxes = Sandboxes::new("merged");
    sandboxes.create("box", &[]);
    let scratch = Scratch::new("merged-here");
    let outside = scratch.0.join("outside");
    fs::create_dir_all(scratch.0.join("into/sub")).expect("directories");
    fs::create_dir(&outside).expect("a directory");
    fs::write(outside.join("secret"), "untouched").expect("a file");
    fs::write(scratch.0.join("into/sub/own"), "own").expect("a file");
    symlink(&outside, scratch.0.join("into/door")).expect("a link");
    symlink(outside.join("secret"), scratch.0.join("into/window")).expect("a link");
    sandboxes.shell("box", "mkdir -p /tmp/t/sub; cd /tmp/t; echo in > sub/f; echo through > window");
    let into = scratch.0.join("into");
    assert_eq!(said(&sandboxes.call(&["cp", "box:/tmp/t/.", text(&into)])), (Some(0), "", ""));
    assert_eq!(fs::read_to_string(into.join("sub/own")).expect("kept"), "own");
    assert_eq!(fs::read_to_string(into.join("sub/f")).expect("come"), "in\n");
    assert_eq!(fs::read_to_string(into.join("window")).expect("replaced"), "through\n");
    assert_eq!(fs::read_to_string(outside.join("secret")).expect("there"), "untouched");
    // A directory where a link to one stands is in the way.
    sandboxes.shell("box", "rm /tmp/t/window; mkdir /tmp/t/door; echo x > /tmp/t/door/f");
    let run = sandboxes.call(&["cp", "box:/tmp/t/.", text(&into)]);
    let message = format!("belljar: {}: Not a directory\n", into.join("door").display());
    assert_eq!(said(&run), (Some(1), "", message.as_str()));
    assert_eq!(fs::read_dir(&outside).expect("listed").count(), 1);
}

#[test]
fn nothing_inside_makes_a_copy_wait_or_lets_it_lead_elsewhere() {
    let sandboxes = Sandboxes::new("traps");
    sandboxes.create("box", &["--memory", "256M"]);
    let scratch = Scratch::new("traps-here");
    let prepared = "mkdir /tmp/t; cd /tmp/t; mkfifo fifo; ln -s /proc/self/root root; ln -s /dev/zero zero; ln -s fifo wait; \
        i=0; while [ $i -lt 200 ]; do mkdir d; cd d; i=$((i+1)); done; echo bottom > f";
    assert_eq!(said(&sandboxes.shell("box", prepared)), (Some(0), "", ""));
    let started = Instant::now();
    let run = sandboxes.call(&["cp", "box:/tmp/t", text(&scratch.0.join("t"))]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), "belljar: left out /tmp/t/fifo: a fifo\n"));
    assert_eq!(fs::read_link(scratch.0.join("t/root")).expect("a link"), Path::new("/proc/self/root"));
    for (path, why) in [
        ("fifo", "it is no regular file"),
        ("zero", "it is no regular file"),
        ("wait", "it is no regular file"),
        ("d", "Is a directory"),
    ] {
        let path = format!("/tmp/t/{path}");
        let message = format!("belljar: {path}: {why}\n");
        assert_eq!(said(&sandboxes.call(&["fs", "cat", "box", &path])), (Some(1), "", message.as_str()));
        let run = sandboxes.call(&["fs", "grep", "box", &path, "x"]);
        assert!(matches!(run.code, Some(0 | 1)), "{run:?}");
    }
    for path in ["/tmp/t/fifo", "/dev/null", "/tmp/t/d"] {
        assert_eq!(fed(&sandboxes, &["fs", "write", "box", path], b"x").code, Some(1), "{path}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn names_that_change_under_a_copy_never_lead_out_of_the_destination() {
    let sandboxes = Sandboxes::new("races");
    sandboxes.create("box", &["--cpus", "2"]);
    let scratch = Scratch::new("races-here");
    fs::write(scratch.0.join("canary"), "untouched").expect("a file");
    let race = "mkdir -p /tmp/t /tmp/real; echo real > /tmp/real/canary; cd /tmp/t; \
        (while :; do mkdir d; echo x > d/canary; rm -r d; ln -s ../.. d; rm d; mkfifo d; rm d; done) >/dev/null 2>&1 &";
    assert_eq!(said(&sandboxes.shell("box", race)), (Some(0), "", ""));
    for round in 0..scaled_from(5, 40) {
        let to = scratch.0.join(format!("copy{round}"));
        // What is moved away while it is read may be an error; it is never a way out, and nothing half is left.
        let run = sandboxes.call(&["cp", "-q", "box:/tmp/t", text(&to)]);
        assert!(run.code == Some(0) || !to.exists(), "{run:?}");
    }
    assert_eq!(fs::read_to_string(scratch.0.join("canary")).expect("there"), "untouched");
    let odd = fs::read_dir(&scratch.0).expect("listed").filter(|entry| {
        let name = entry.as_ref().expect("entry").file_name();
        !name.as_bytes().starts_with(b"copy") && name != "canary"
    });
    assert_eq!(odd.count(), 0);
}

#[test]
fn files_are_read_written_and_changed_all_at_once_or_not_at_all() {
    let sandboxes = Sandboxes::new("changed");
    sandboxes.create("box", &[]);
    let call = |words: &[&str]| sandboxes.call(words);
    let write = |path: &str, options: &[&str], input: &[u8]| {
        let mut words = vec!["fs", "write", "box", path];
        words.extend(options);
        fed(&sandboxes, &words, input)
    };
    let missing = "belljar: /tmp/x/y: No such file or directory\n";
    assert_eq!(said(&write("/tmp/x/y", &[], b"one")), (Some(1), "", missing));
    assert_eq!(said(&write("/tmp/x/y", &["-p", "--mode", "600"], b"one two")), (Some(0), "", ""));
    assert_eq!(said(&write("/tmp/x/y", &["-a"], b" three")), (Some(0), "", ""));
    assert_eq!(said(&call(&["fs", "cat", "box", "/tmp/x/y"])), (Some(0), "one two three", ""));
    let part = call(&["fs", "cat", "--offset", "4", "--length", "3", "box", "/tmp/x/y"]);
    assert_eq!(said(&part), (Some(0), "two", ""));
    assert_eq!(said(&write("/tmp/x/y", &[], b"new")), (Some(0), "", ""));
    let entry = object(&call(&["fs", "stat", "--json", "box", "/tmp/x/y"]));
    assert_eq!((&entry["mode"], &entry["size"], &entry["kind"]), (&json!("0600"), &json!(3), &json!("file")));
    // A link keeps leading where it does.
    sandboxes.shell("box", "ln -s y /tmp/x/link");
    assert_eq!(said(&write("/tmp/x/link", &[], b"by the link")), (Some(0), "", ""));
    assert_eq!(said(&sandboxes.shell("box", "cat /tmp/x/y; readlink /tmp/x/link")), (Some(0), "by the linky\n", ""));
    assert_eq!(said(&call(&["fs", "mkdir", "box", "/tmp/d", "--mode", "700"])), (Some(0), "", ""));
    let there = "belljar: /tmp/d: File exists\n";
    assert_eq!(said(&call(&["fs", "mkdir", "box", "/tmp/d"])), (Some(1), "", there));
    assert_eq!(said(&call(&["fs", "mv", "box", "/tmp/x/y", "/tmp/d"])), (Some(0), "", ""));
    assert_eq!(said(&write("/tmp/y", &[], b"another")), (Some(0), "", ""));
    let taken = "belljar: /tmp/d/y: there is something already\nhint: `--force` replaces it\n";
    assert_eq!(said(&call(&["fs", "mv", "box", "/tmp/y", "/tmp/d"])), (Some(1), "", taken));
    assert_eq!(said(&call(&["fs", "mv", "-f", "box", "/tmp/y", "/tmp/d"])), (Some(0), "", ""));
    assert_eq!(said(&call(&["fs", "chmod", "-r", "box", "/tmp/d", "711"])), (Some(0), "", ""));
    assert_eq!(
        said(&sandboxes.shell("box", "stat -c %a /tmp/d /tmp/d/y; cat /tmp/d/y")),
        (Some(0), "711\n711\nanother", "")
    );
    let full = "belljar: /tmp/d: Directory not empty\nhint: `-r` removes it with all that is in it\n";
    assert_eq!(said(&call(&["fs", "rm", "box", "/tmp/d"])), (Some(1), "", full));
    assert_eq!(said(&call(&["fs", "rm", "-r", "box", "/tmp/d"])), (Some(0), "", ""));
    assert_eq!(
        said(&call(&["fs", "rm", "box", "/tmp/d"])),
        (Some(1), "", "belljar: /tmp/d: No such file or directory\n")
    );
    assert_eq!(said(&call(&["fs", "rm", "-f", "box", "/tmp/d"])), (Some(0), "", ""));
    assert_eq!(call(&["fs", "rm", "-r", "box", "/"]).code, Some(1));
    let refused = call(&["fs", "rm", "-r", "box", "/usr/bin"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert_eq!(said(&sandboxes.shell("box", "ls -A /tmp")), (Some(0), "x\n", ""));
}

#[test]
fn what_is_searched_is_found_and_replaced() {
    let sandboxes = Sandboxes::new("searched");
    sandboxes.create("box", &[]);
    let prepared = "mkdir -p /tmp/t/sub; cd /tmp/t; printf 'one\\nTwo one\\n' > a.py; echo one > sub/b.txt; printf 'one\\0' > binary; \
        truncate -s 1T giant; mkfifo fifo; printf 'no end one' > sub/c.py";
    assert_eq!(said(&sandboxes.shell("box", prepared)), (Some(0), "", ""));
    let call = |words: &[&str]| sandboxes.call(words);
    let found = "/tmp/t/a.py:1:one\n/tmp/t/a.py:2:Two one\n/tmp/t/sub/b.txt:1:one\n/tmp/t/sub/c.py:1:no end one\n";
    assert_eq!(said(&call(&["fs", "grep", "box", "/tmp/t", "one"])), (Some(0), found, ""));
    let run = call(&["fs", "grep", "-i", "--name", "*.py", "box", "/tmp/t", "tWO"]);
    assert_eq!(said(&run), (Some(0), "/tmp/t/a.py:2:Two one\n", ""));
    let lines = object(&call(&["fs", "grep", "--json", "box", "/tmp/t/sub", "end"]));
    assert_eq!(lines["lines"], json!([{ "path": "/tmp/t/sub/c.py", "line": 1, "content": "no end one" }]));
    let run = call(&["fs", "find", "--name", "*.py", "box", "/tmp/t"]);
    assert_eq!(said(&run), (Some(0), "/tmp/t/a.py\n/tmp/t/sub/c.py\n", ""));
    let run = call(&["fs", "find", "--kind", "directory", "box", "/tmp/t"]);
    assert_eq!(said(&run), (Some(0), "/tmp/t/sub\n", ""));
    let run = call(&["fs", "find", "--depth", "1", "--kind", "special", "box", "/tmp/t"]);
    assert_eq!(said(&run), (Some(0), "/tmp/t/fifo\n", ""));
    let run = call(&["fs", "tree", "box", "/tmp/t/sub"]);
    assert_eq!(said(&run), (Some(0), "/tmp/t/sub\n  b.txt\n  c.py\n", ""));
    let run = call(&["fs", "replace", "box", "one", "1", "/tmp/t/a.py", "/tmp/t/fifo", "/tmp/t/sub/c.py"]);
    let message = "belljar: /tmp/t/fifo: it is no regular file\n";
    assert_eq!(said(&run), (Some(1), "/tmp/t/a.py: 2\n/tmp/t/sub/c.py: 1\n", message));
    assert_eq!(said(&sandboxes.shell("box", "cat /tmp/t/a.py")), (Some(0), "1\nTwo 1\n", ""));
    let entries = object(&call(&["fs", "ls", "--json", "box", "/tmp/t/sub"]));
    let names: Vec<&str> =
        entries["entries"].as_array().expect("a list").iter().filter_map(|entry| entry["name"].as_str()).collect();
    assert_eq!(names, ["b.txt", "c.py"]);
}

#[test]
fn what_cannot_be_done_is_said_and_typed() {
    let sandboxes = Sandboxes::new("refused-files");
    sandboxes.create("box", &[]);
    let call = |words: &[&str]| sandboxes.call(words);
    let unknown = "belljar: sandbox: no sandbox `nope`\nhint: `belljar ls` lists them\n";
    assert_eq!(said(&call(&["fs", "ls", "nope", "/"])), (Some(1), "", unknown));
    assert_eq!(said(&call(&["cp", "nope:/x", "."])), (Some(1), "", unknown));
    for words in [["cp", "a", "b"], ["cp", "box:a", "box:b"], ["cp", "-", "b"]] {
        assert_eq!(call(&words).code, Some(2), "{words:?}");
    }
    assert_eq!(call(&["fs", "chmod", "box", "/tmp", "rwx"]).code, Some(2));
    let run = call(&["fs", "cat", "box", "/nope"]);
    assert_eq!(said(&run), (Some(1), "", "belljar: /nope: No such file or directory\n"));
    let run = call(&["fs", "ls", "--json", "box", "/nope"]);
    let error: Value = serde_json::from_str(&run.stdout).expect("an object");
    assert_eq!((run.code, &error["error"]["kind"]), (Some(1), &json!("not_found")));
    let run = call(&["fs", "ls", "--json", "nope", "/"]);
    let error: Value = serde_json::from_str(&run.stdout).expect("an object");
    assert_eq!(error["error"]["kind"], json!("not_found"));
    let scratch = Scratch::new("refused-here");
    let run = call(&["cp", "box:/etc/hostname", text(&scratch.0.join("no/such"))]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.ends_with("no: No such file or directory\n"), "{run:?}");
    let run = call(&["cp", text(&scratch.0.join("nothing")), "box:/tmp"]);
    assert!(run.code == Some(1) && run.stderr.ends_with("nothing: No such file or directory\n"), "{run:?}");
}

#[test]
fn files_of_a_stopped_sandbox_are_at_hand_and_its_limit_holds() {
    let sandboxes = Sandboxes::new("stopped-files");
    sandboxes.create("box", &["--keep", "--disk", "4M"]);
    sandboxes.shell("box", "echo kept > /var/f; head -c 1000000 /dev/zero > /var/filled");
    sandboxes.done(&["stop", "box"]);
    let call = |words: &[&str]| sandboxes.call(words);
    assert_eq!(said(&call(&["fs", "cat", "box", "/var/f"])), (Some(0), "kept\n", ""));
    assert_eq!(said(&fed(&sandboxes, &["fs", "write", "box", "/var/g"], b"written")), (Some(0), "", ""));
    let run = fed(&sandboxes, &["fs", "write", "box", "/var/large"], &vec![1; 5 << 20]);
    assert_eq!(said(&run), (Some(1), "", "belljar: /var/large: No space left on device\n"));
    let scratch = Scratch::new("stopped-here");
    fs::write(scratch.0.join("large"), vec![1; 5 << 20]).expect("a file");
    let run = call(&["cp", text(&scratch.0.join("large")), "box:/var"]);
    assert_eq!((run.code, run.stderr.contains("No space left on device")), (Some(1), true), "{run:?}");
    assert_eq!(sandboxes.states(), [("box".to_owned(), "stopped".to_owned())]);
    sandboxes.done(&["start", "box"]);
    assert_eq!(
        said(&sandboxes.shell("box", "cat /var/f /var/g; ls /var | grep -c large")),
        (Some(1), "kept\nwritten0\n", "")
    );
}

#[test]
fn a_full_disk_inside_leaves_files_to_be_listed_fetched_and_deleted() {
    let sandboxes = Sandboxes::new("full-files");
    sandboxes.create("box", &["--disk", "2M"]);
    sandboxes.shell("box", "echo wanted > /tmp/f; cat /dev/zero > /tmp/filled");
    let run = fed(&sandboxes, &["fs", "write", "box", "/tmp/g"], &vec![1; 1 << 20]);
    assert_eq!(said(&run), (Some(1), "", "belljar: /tmp/g: No space left on device\n"));
    assert_eq!(sandboxes.done(&["fs", "find", "box", "/tmp"]), "/tmp/f\n/tmp/filled\n");
    assert_eq!(said(&sandboxes.call(&["cp", "box:/tmp/f", "-"])), (Some(0), "wanted\n", ""));
    assert_eq!(said(&sandboxes.call(&["fs", "rm", "box", "/tmp/filled"])), (Some(0), "", ""));
    assert_eq!(said(&fed(&sandboxes, &["fs", "write", "box", "/tmp/g"], b"x")), (Some(0), "", ""));
}

#[test]
fn the_tool_inside_is_restricted_as_every_command_is() {
    let sandboxes = Sandboxes::new("tool");
    sandboxes.create("box", &[]);
    // What a command sees of itself, the tool sees of itself.
    let read = |path: &str| sandboxes.done(&["fs", "cat", "box", path]);
    let of = |status: &str, name: &str| {
        status.lines().find(|line| line.starts_with(name)).map(str::to_owned).unwrap_or_else(|| panic!("no {name}"))
    };
    let command = sandboxes.shell("box", "cat /proc/self/status").stdout;
    let tool = read("/proc/self/status");
    for name in ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp:"] {
        assert_eq!(of(&tool, name), of(&command, name));
    }
    assert_eq!(read("/proc/self/limits"), sandboxes.shell("box", "cat /proc/self/limits").stdout);
    let seen = sandboxes.done(&["fs", "find", "box", "/proc/self/fd"]);
    assert_eq!(seen.lines().count(), 3, "{seen}");
    // Its program is a copy that nobody can change.
    let link = object(&sandboxes.call(&["fs", "stat", "--json", "box", "/proc/self/exe"]));
    assert_eq!(link["target"], json!("/memfd:belljar (deleted)"));
    let run = fed(&sandboxes, &["fs", "write", "box", "/proc/self/exe", "-a"], b"x");
    assert_eq!(run.code, Some(1), "{run:?}");
}
