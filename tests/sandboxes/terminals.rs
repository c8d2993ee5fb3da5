//! Terminals that go on inside between calls.

use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, Started, eventually, said};
use nix::pty::openpty;
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, tcgetattr};
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Somebody before the terminal `t` of the box.
struct Viewer {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    showing: JoinHandle<()>,
}

impl Viewer {
    fn new(sandboxes: &Sandboxes) -> Viewer {
        let mut command = sandboxes.command(&["pty", "attach", "box", "t"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("start belljar");
        let keys = child.stdin.take().expect("its input");
        let mut screen = child.stdout.take().expect("its output");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let seen = shown.clone();
        let showing = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut piece) {
                seen.lock().expect("nobody panics").extend_from_slice(&piece[..count]);
            }
        });
        Viewer { child, keys, shown, showing }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("typed");
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("nobody panics")).into_owned()
    }

    /// Waits until each of these was shown.
    fn sees(&self, parts: &[&str]) {
        let seen = || parts.iter().all(|part| self.shown().contains(part));
        assert!(eventually(30, seen), "not all of {parts:?}: {}", self.shown());
    }

    /// Presses Ctrl-].
    fn leaves(mut self) -> Option<i32> {
        self.types("\x1d");
        self.ends()
    }

    /// The exit code.
    fn ends(mut self) -> Option<i32> {
        let status = self.child.wait().expect("wait for belljar");
        self.showing.join().expect("it shows to the end");
        status.code()
    }
}

#[test]
fn a_terminal_goes_on_when_nobody_looks_and_shows_what_was_there() {
    let sandboxes = Sandboxes::new("terminal");
    sandboxes.create("box", &[]);
    assert_eq!(said(&sandboxes.call(&["pty", "create", "box", "t", "--", "sh"])), (Some(0), "t\n", ""));
    let mut first = Viewer::new(&sandboxes);
    first.types("kept=5; test -t 0 && test -t 1 && echo a-$((1+1))-terminal; stty size\n");
    first.sees(&["a-2-terminal", "24 80"]);
    assert_eq!(first.leaves(), Some(0));
    assert_eq!(
        said(&sandboxes.call(&["pty", "resize", "box", "t", "100", "40"])),
        (Some(0), "t: 100 columns, 40 rows\n", "")
    );
    let wrong = "belljar: columns: `0` is not from 1 to 1000\nbelljar: rows: `4000` is not from 1 to 1000\n";
    assert_eq!(said(&sandboxes.call(&["pty", "resize", "box", "t", "0", "4000"])), (Some(2), "", wrong));
    // What was shown before comes first, to each of those who look at once.
    let (mut one, other) = (Viewer::new(&sandboxes), Viewer::new(&sandboxes));
    other.sees(&["a-2-terminal"]);
    one.types("echo $kept-kept; stty size; exit 3\n");
    for viewer in [one, other] {
        viewer.sees(&["a-2-terminal", "5-kept", "40 100"]);
        assert_eq!(viewer.ends(), Some(3));
    }
    let run = sandboxes.call(&["session", "ls", "box"]);
    assert!(run.stdout.contains("terminal  ended (3)"), "{run:?}");
    let ended = "belljar: the session has no terminal, or it has ended\n";
    assert_eq!(said(&sandboxes.call(&["pty", "resize", "box", "t", "80", "24"])), (Some(1), "", ended));
}

#[test]
fn a_command_in_a_terminal_gets_its_signals_from_the_keys() {
    let sandboxes = Sandboxes::new("keys");
    sandboxes.create("box", &[]);
    let script = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.1; done";
    assert_eq!(sandboxes.call(&["pty", "create", "box", "t", "--", "sh", "-c", script]).code, Some(0));
    let mut viewer = Viewer::new(&sandboxes);
    viewer.sees(&["ready"]);
    viewer.types("\x03");
    viewer.sees(&["caught"]);
    assert_eq!(viewer.ends(), Some(7));
    assert_eq!(sandboxes.call(&["session", "rm", "box", "t"]).code, Some(0));
    // What is not there is told before there is a terminal.
    assert_eq!(sandboxes.call(&["pty", "create", "box", "t", "--", "no-such-program"]).code, Some(127));
    let run = Started::new(&mut sandboxes.command(&["pty", "attach", "box", "t"])).finish();
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), "belljar: no session `t`\n"), "{run:?}");
}

#[test]
fn what_is_pasted_arrives_whole_and_one_that_does_not_read_is_told() {
    let sandboxes = Sandboxes::new("paste");
    sandboxes.create("box", &[]);
    let script = "stty raw -echo; echo ready; head -c 300000 | cksum; exit 4";
    assert_eq!(sandboxes.call(&["pty", "create", "box", "t", "--", "sh", "-c", script]).code, Some(0));
    let mut viewer = Viewer::new(&sandboxes);
    viewer.sees(&["ready"]);
    let pasted: String = (0..30_000).map(|number| format!("{number:09}\n")).collect();
    viewer.types(&pasted);
    viewer.sees(&["2078292238 300000"]);
    assert_eq!(viewer.ends(), Some(4));
    sandboxes.done(&["session", "create", "box", "s"]);
    sandboxes.done(&["session", "exec", "-d", "box", "s", "sleep 60"]);
    let mut command = sandboxes.command(&["session", "input", "box", "s", "1"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start belljar");
    // It may have given up before it has read all.
    let _ = child.stdin.take().expect("its input").write_all(pasted.as_bytes());
    let run = Run::from(child.wait_with_output().expect("wait for belljar"));
    assert!(run.code == Some(1) && run.stderr.contains("the job does not read: it took "), "{run:?}");
}

#[test]
fn questions_to_a_terminal_are_not_asked_again_of_whoever_comes_later() {
    let sandboxes = Sandboxes::new("questions");
    sandboxes.create("box", &[]);
    let script = "printf '\\033[6n\\033[c\\033]11;?\\007\\033P+q544e\\033\\\\\\033[31mred\\033[0m'; echo asked; read line; echo end";
    sandboxes.done(&["pty", "create", "box", "t", "--", "sh", "-c", script]);
    let shown = || sandboxes.call(&["session", "logs", "box", "t", "1"]).stdout;
    assert!(eventually(20, || shown().contains("asked")), "{:?}", shown());
    let viewer = Viewer::new(&sandboxes);
    viewer.sees(&["asked"]);
    let seen = viewer.shown();
    assert!(seen.contains("\x1b[31mred\x1b[0masked"), "{seen:?}");
    assert!(!["\x1b[6n", "\x1b[c", "\x1b]11", "\x1bP"].iter().any(|question| seen.contains(question)), "{seen:?}");
    assert_eq!(viewer.leaves(), Some(0));
}

#[test]
fn a_signal_that_ends_who_looks_leaves_the_callers_terminal_as_it_was() {
    let sandboxes = Sandboxes::new("terminal-signal");
    sandboxes.create("box", &[]);
    sandboxes.done(&["pty", "create", "box", "t", "--", "sh"]);
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let ends = openpty(None, None).expect("a terminal");
        let is_raw = || !tcgetattr(&ends.slave).expect("its modes").local_flags.contains(LocalFlags::ICANON);
        assert!(!is_raw());
        let end = || ends.slave.try_clone().expect("the terminal");
        let mut command = sandboxes.command(&["pty", "attach", "box", "t"]);
        let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("start belljar");
        assert!(eventually(20, is_raw), "it never looked");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), signal).expect("told");
        let status = child.wait().expect("wait for belljar");
        assert_eq!((status.signal(), is_raw()), (Some(signal as i32), false), "{signal}");
    }
    assert!(sandboxes.done(&["session", "ls", "box"]).contains("running"));
}
