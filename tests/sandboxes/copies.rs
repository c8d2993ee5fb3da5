//! Copies of trees that somebody changes meanwhile, of files that are no plain ones, and copies that are ended.

use crate::common::chance::scaled_from;
use crate::common::sandboxes::Sandboxes;
use crate::common::{Scratch, Started, said};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

#[allow(unsafe_code)]
fn exchange(one: &Path, other: &Path) {
    let [one, other] = [one, other].map(|path| std::ffi::CString::new(text(path)).expect("a path"));
    let (here, flags) = (libc::AT_FDCWD, libc::RENAME_EXCHANGE);
    // SAFETY: the C library has no function for it; both texts outlive the call.
    let answer = unsafe { libc::syscall(libc::SYS_renameat2, here, one.as_ptr(), here, other.as_ptr(), flags) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
}

/// Calls `work` while `one` and `other` change places as fast as they can, as whoever is inside could make them with a mount of the
/// directory; they are where they were at the end.
fn while_exchanged(one: PathBuf, other: PathBuf, work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                (0..2).for_each(|_| exchange(&one, &other));
            }
        });
        // The other thread has to end too where this one fails.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn nothing_outside_is_read_while_directories_are_swapped_for_links() {
    let sandboxes = Sandboxes::new("swapped");
    sandboxes.create("box", &[]);
    let scratch = Scratch::new("swapped-here");
    let (top, outside) = (scratch.0.join("top"), scratch.0.join("outside"));
    fs::create_dir_all(top.join("sub")).expect("directories");
    fs::create_dir_all(&outside).expect("a directory");
    for number in 0..200 {
        fs::write(top.join(format!("sub/own{number}")), "own").expect("a file");
        fs::write(outside.join(format!("secret{number}")), "secret").expect("a file");
        fs::write(outside.join(format!("own{number}")), "secret").expect("a file");
    }
    symlink(&outside, top.join("link")).expect("a link");
    while_exchanged(top.join("sub"), top.join("link"), || {
        for round in 0..scaled_from(15, 60) {
            let run = sandboxes.call(&["cp", text(&top), &format!("box:/tmp/{round}")]);
            let told = run.stderr.lines().all(|line| line.ends_with(": it was replaced while it was copied"));
            assert!(told && (run.code == Some(0)) == run.stderr.is_empty(), "{run:?}");
        }
    });
    let look = "find /tmp -name 'secret*'; grep -rl secret /tmp; true";
    assert_eq!(said(&sandboxes.shell("box", look)), (Some(0), "", ""));
}

#[test]
fn nothing_is_written_outside_while_directories_are_swapped_for_links() {
    let sandboxes = Sandboxes::new("written");
    sandboxes.create("box", &[]);
    let scratch = Scratch::new("written-here");
    let (top, outside) = (scratch.0.join("top"), scratch.0.join("outside"));
    fs::create_dir_all(top.join("sub")).expect("directories");
    fs::create_dir_all(&outside).expect("a directory");
    symlink(&outside, top.join("link")).expect("a link");
    let script = "mkdir -p /tmp/t/sub; i=0; while [ $i -lt 200 ]; do echo evil >/tmp/t/sub/f$i; i=$((i+1)); done";
    assert_eq!(said(&sandboxes.shell("box", script)), (Some(0), "", ""));
    let mut done = 0;
    while_exchanged(top.join("sub"), top.join("link"), || {
        for _ in 0..scaled_from(15, 60) {
            let run = sandboxes.call(&["cp", "box:/tmp/t/.", text(&top)]);
            // It meets a directory or a link, and goes on only where it is the first.
            assert!(run.code == Some(0) || run.code == Some(1) && run.stderr.contains("/sub"), "{run:?}");
            done += u32::from(run.code == Some(0));
        }
    });
    let written = |directory: &Path| fs::read_dir(directory).expect("a directory").count();
    assert_eq!(
        (written(&outside), written(&top.join("sub"))),
        (0, if done > 0 { 200 } else { written(&top.join("sub")) })
    );
}

#[test]
fn a_fifo_in_the_place_of_a_file_stays() {
    let sandboxes = Sandboxes::new("fifo-there");
    sandboxes.create("box", &[]);
    assert_eq!(said(&sandboxes.shell("box", "mkdir /tmp/t; echo x >/tmp/t/f")), (Some(0), "", ""));
    let scratch = Scratch::new("fifo-here");
    nix::unistd::mkfifo(&scratch.0.join("f"), nix::sys::stat::Mode::S_IRWXU).expect("make a fifo");
    for (from, to) in [("box:/tmp/t/f", scratch.0.join("f")), ("box:/tmp/t/.", scratch.0.clone())] {
        let run = sandboxes.call(&["cp", from, text(&to)]);
        let why = format!(
            "belljar: {}: a device, a fifo or a socket is in its place, and stays\n",
            text(&scratch.0.join("f"))
        );
        assert_eq!(said(&run), (Some(1), "", why.as_str()));
    }
    use std::os::unix::fs::FileTypeExt as _;
    assert!(fs::metadata(scratch.0.join("f")).expect("it").file_type().is_fifo());
}

#[test]
fn files_that_do_not_say_how_long_they_are_are_copied_whole() {
    let sandboxes = Sandboxes::new("untold");
    sandboxes.create("box", &[]);
    let scratch = Scratch::new("untold-here");
    let version = fs::read_to_string("/proc/version").expect("the version");
    let to = scratch.0.join("version");
    assert_eq!(said(&sandboxes.call(&["cp", "box:/proc/version", text(&to)])), (Some(0), "", ""));
    assert_eq!(fs::read_to_string(&to).expect("a file"), version);
    assert_eq!(said(&sandboxes.call(&["cp", "/proc/version", "box:/tmp/v"])), (Some(0), "", ""));
    assert_eq!(said(&sandboxes.shell("box", "cat /tmp/v")), (Some(0), version.as_str(), ""));
    // Those of `/sys` say 4096.
    let count = fs::read_to_string("/sys/devices/system/cpu/online").expect("a number");
    assert_eq!(said(&sandboxes.call(&["cp", "/sys/devices/system/cpu/online", "box:/tmp/c"])), (Some(0), "", ""));
    assert_eq!(said(&sandboxes.shell("box", "cat /tmp/c")), (Some(0), count.as_str(), ""));
}

#[test]
fn a_copy_that_is_ended_leaves_nothing_and_a_killed_one_is_swept_by_the_next() {
    use nix::sys::signal::Signal;
    let sandboxes = Sandboxes::new("ended-copies");
    sandboxes.create("box", &["--disk", "400M"]);
    let scratch = Scratch::new("ended-here");
    sandboxes.shell("box", "mkdir /tmp/m /tmp/w; head -c 150M /dev/zero > /tmp/m/b; mkfifo /tmp/end");
    let (into, large) = (scratch.0.join("into"), scratch.0.join("large"));
    fs::create_dir(&into).expect("a directory");
    fs::File::create(&large)
        .and_then(|file| std::io::copy(&mut std::io::repeat(1).take(150 << 20), &mut &file))
        .expect("a file");
    let names = |path: &Path| -> Vec<String> {
        let listed = fs::read_dir(path).expect("listed");
        listed.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    };
    let begun = |seen: &dyn Fn() -> bool| assert!(crate::common::eventually(10, seen), "it never began");
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
        let copy = Started::new(&mut sandboxes.command(&["cp", "box:/tmp/m", text(&into)]));
        begun(&|| !names(&into).is_empty());
        copy.signal(signal);
        assert_eq!(copy.end_signal(), Some(signal as i32));
        if signal == Signal::SIGKILL {
            assert_eq!(said(&sandboxes.call(&["cp", "box:/etc/hostname", text(&into)])), (Some(0), "", ""));
            assert_eq!(names(&into), ["hostname"]);
        } else {
            assert_eq!(names(&into), [""; 0], "{signal}");
        }
        let inside = || sandboxes.shell("box", "ls -A /tmp/w").stdout;
        // It may be done before anybody has seen that it has begun.
        let ended = (0..10).find_map(|_| {
            sandboxes.shell("box", "rm -f /tmp/w/large");
            let copy = Started::new(&mut sandboxes.command(&["cp", text(&large), "box:/tmp/w"]));
            begun(&|| !inside().is_empty());
            copy.signal(signal);
            copy.end_signal()
        });
        assert_eq!(ended, Some(signal as i32));
        if signal == Signal::SIGKILL {
            // The tool takes back what is half where it has the time; else the next call does.
            std::thread::sleep(Duration::from_secs(2));
            assert_eq!(said(&sandboxes.call(&["cp", "/etc/hostname", "box:/tmp/w"])), (Some(0), "", ""));
            assert_eq!(inside(), "hostname\n");
        } else {
            assert!(crate::common::eventually(5, || inside().is_empty()), "{signal}: {}", inside());
        }
    }
}
