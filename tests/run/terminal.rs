//! `--tty`: a terminal of the sandbox's own, and the caller's terminal untouched. Each test gives belljar a terminal as
//! a shell would: a new pseudo-terminal that is the controlling one of a session of its own.

use crate::common::{belljar, shell};
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A terminal with a person before it, and belljar in it.
struct Session {
    child: Child,
    keyboard: File,
    terminal: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

const SIZE: Winsize = Winsize { ws_row: 33, ws_col: 111, ws_xpixel: 0, ws_ypixel: 0 };

impl Session {
    /// Starts `belljar run --tty OPTIONS -- COMMAND`.
    fn new(options: &[&str], command: &[&str]) -> Session {
        let OpenptyResult { master, slave } = openpty(&SIZE, None).expect("make a terminal");
        // setsid(1) makes the terminal the controlling one; timeout(1), because a test must end.
        let mut starter = Command::new("setsid");
        starter
            .args(["--ctty", "--wait", "timeout", "--foreground", "20"])
            .arg(belljar())
            .args(["run", "--tty"])
            .args(options)
            .arg("--")
            .args(command);
        let end = || slave.try_clone().expect("duplicate the terminal");
        let child = starter.stdin(end()).stdout(end()).stderr(end()).spawn().expect("start setsid");
        drop(starter);
        let mut reader = File::from(master.try_clone().expect("duplicate the terminal"));
        let (send, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if send.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Session { child, keyboard: master.into(), terminal: slave.into(), screen, seen: String::new() }
    }

    /// Waits until `text` has appeared.
    fn expect(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(10);
        while !self.seen.contains(text) {
            let left = end.saturating_duration_since(Instant::now());
            let bytes = self.screen.recv_timeout(left).unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("press keys");
    }

    /// Everything on the screen and the exit code, when it has ended.
    fn end(mut self) -> (String, Option<i32>) {
        let code = self.child.wait().expect("wait for setsid").code();
        // The last process of the session is gone; a moment for the reader.
        while let Ok(bytes) = self.screen.recv_timeout(Duration::from_millis(100)) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (self.seen, code)
    }

    fn is_raw(&self) -> bool {
        let modes = tcgetattr(self.terminal.as_fd()).expect("ask the terminal").local_flags;
        !modes.intersects(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }
}

const PRELUDE: &str = "import ctypes, errno, fcntl, os, struct, sys, termios, time
L = ctypes.CDLL(None, use_errno=True)
def control(fd, request, argument): return 0 if L.syscall(ctypes.c_long(16), fd, ctypes.c_long(request), argument) == 0 else errno.errorcode[ctypes.get_errno()]
";

/// What python printed in a terminal, and its exit code.
fn python(options: &[&str], code: &str) -> (String, Option<i32>) {
    Session::new(options, &["python3", "-c", &format!("{PRELUDE}{code}")]).end()
}

#[test]
fn the_program_has_a_terminal_and_a_session_of_its_own() {
    let code = "print(os.ttyname(0), [os.isatty(fd) for fd in (0, 1, 2)], os.getsid(0) == os.getpid(), os.tcgetpgrp(0) == os.getpgrp())
print(open('/dev/tty').isatty(), sorted(os.listdir('/dev/pts')), len(os.listdir('/proc/self/fd')))";
    let expected = "/dev/pts/0 [True, True, True] True True\r\nTrue ['0', 'ptmx'] 4\r\n";
    assert_eq!(python(&[], code), (expected.to_owned(), Some(0)));
}

#[test]
fn without_the_option_there_is_no_terminal_even_if_the_caller_has_one() {
    let OpenptyResult { master: _master, slave } = openpty(&SIZE, None).expect("make a terminal");
    let end = || slave.try_clone().expect("duplicate the terminal");
    let script = "[ -t 0 ] || [ -t 1 ] || [ -t 2 ] || (exec </dev/tty) 2>/dev/null && exit 1; exit 7";
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(belljar()).args(["run", "--", "sh", "-c", script]);
    let status = command.stdin(end()).stdout(end()).stderr(end()).status().expect("start setsid");
    assert_eq!(status.code(), Some(7));
}

// CVE-2017-5226 (bubblewrap) and CVE-2019-10063 (flatpak), cases 28 to 30, where there is a terminal to attack.
#[test]
fn no_keystroke_can_be_put_into_the_terminal() {
    let code = "
requests = [(0x5412, b'x'), (0x100005412, b'x'), (0x541c, b'\\3'), (0x5423, struct.pack('i', 2)), (0x541d, 0)]
print([control(fd, request, argument) for fd in (0, os.open('/dev/tty', os.O_RDWR)) for request, argument in requests])";
    for profile in ["default", "strict", "debug"] {
        let (screen, _) = python(&["--seccomp", profile], code);
        assert_eq!(screen, format!("{:?}\r\n", ["EPERM"; 10]).replace('"', "'"), "{profile}");
    }
}

// CVE-2017-5226's effect: what the sandbox wrote must not wait in the caller's input.
#[test]
fn nothing_waits_in_the_callers_terminal_afterwards() {
    let mut session =
        Session::new(&[], &["sh", "-c", "printf '\\033[6n\\033[c'; echo x >/dev/tty; cat /dev/pts/0 & exit 0"]);
    session.expect("x");
    let terminal = session.terminal.try_clone().expect("duplicate the terminal");
    session.end();
    let mut waiting = [nix::poll::PollFd::new(terminal.as_fd(), nix::poll::PollFlags::POLLIN)];
    assert_eq!(nix::poll::poll(&mut waiting, nix::poll::PollTimeout::ZERO), Ok(0));
}

#[test]
fn the_terminal_has_the_size_of_the_callers_and_follows_it() {
    let code = "
import signal
resized = []
signal.signal(signal.SIGWINCH, lambda *_: resized.append(os.get_terminal_size()))
print(os.get_terminal_size(), flush=True)
while not resized: time.sleep(0.01)
print(resized[0])";
    let mut session = Session::new(&[], &["python3", "-c", &format!("{PRELUDE}{code}")]);
    session.expect("columns=111, lines=33");
    let resize = "import fcntl, termios, struct; fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 44, 99, 0, 0))";
    let terminal = session.terminal.try_clone().expect("duplicate the terminal");
    let done = Command::new("python3").args(["-c", resize]).stdin(terminal).status().expect("start python3");
    assert!(done.success());
    session.expect("columns=99, lines=44");
    assert_eq!(session.end().1, Some(0));
}

#[test]
fn control_c_reaches_the_program_and_not_belljar() {
    let mut session =
        Session::new(&[], &["sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done"]);
    session.expect("ready");
    session.press("\x03");
    let (screen, code) = session.end();
    assert!(screen.contains("caught") && code == Some(9), "{screen:?} {code:?}");
}

#[test]
fn control_d_ends_the_input() {
    let mut session = Session::new(&[], &["sh", "-c", "echo ready; cat; echo ended"]);
    session.expect("ready");
    session.press("typed\r");
    session.expect("typed\r\ntyped\r\n");
    session.press("\x04");
    let (screen, code) = session.end();
    assert!(screen.ends_with("ended\r\n") && code == Some(0), "{screen:?}");
}

#[test]
fn a_shell_has_job_control() {
    let mut session =
        Session::new(&["--env", "PS1=$ ", "--env", "HISTFILE="], &["bash", "--norc", "--noediting", "-i"]);
    session.expect("$ ");
    session.press("cat\r");
    session.press("one\r");
    session.expect("one\r\none\r\n");
    session.press("\x1a");
    session.expect("Stopped");
    session.seen.clear();
    session.press("fg\r");
    session.expect("cat\r\n");
    session.press("two\r");
    session.expect("two\r\ntwo\r\n");
    session.press("\x04");
    session.press("exit 5\r");
    let (screen, code) = session.end();
    assert!(code == Some(5) && !screen.contains("no job control"), "{screen:?}");
}

#[test]
fn the_callers_terminal_is_raw_meanwhile_and_as_before_afterwards() {
    let mut session = Session::new(&[], &["sh", "-c", "echo ready; stty raw -echo; read x; exit 3"]);
    let before = tcgetattr(session.terminal.as_fd()).expect("ask the terminal");
    session.expect("ready");
    assert!(session.is_raw(), "not raw");
    session.press("\r\n");
    let terminal = session.terminal.try_clone().expect("duplicate the terminal");
    assert_eq!(session.end().1, Some(3));
    let after = tcgetattr(terminal.as_fd()).expect("ask the terminal");
    assert!(after.local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG), "{after:?}");
    // The kernel has 19 of them; what the C library has beyond is nobody's.
    assert_eq!(after.control_chars[..19], before.control_chars[..19]);
}

#[test]
fn the_callers_terminal_is_as_before_after_a_deadline_too() {
    let mut session = Session::new(&["--timeout", "500ms"], &["sh", "-c", "echo ready; sleep 1000"]);
    session.expect("ready");
    let terminal = session.terminal.try_clone().expect("duplicate the terminal");
    assert_eq!(session.end().1, Some(124));
    let modes = tcgetattr(terminal.as_fd()).expect("ask the terminal").local_flags;
    assert!(modes.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG), "{modes:?}");
}

// A terminal that is left behind must neither hang the caller nor lose what was written.
#[test]
fn all_output_comes_out_although_a_child_keeps_the_terminal_open() {
    let mut session = Session::new(&[], &["sh", "-c", "sleep 1000 & seq 20000; echo the end"]);
    session.expect("the end");
    let (screen, code) = session.end();
    assert_eq!((screen.lines().count(), code), (20001, Some(0)));
}

// Hostile output is the caller's to print, but what is on the host's side of the terminal must not be in reach.
#[test]
fn the_callers_terminal_device_is_invisible() {
    let run = shell(&["--tty"], "ls -1 /dev/pts; readlink /proc/self/fd/1; ls -l /proc/1/fd/ 2>/dev/null | wc -l");
    assert!(run.code == Some(0) && run.stdout.starts_with("0\r\nptmx\r\n/dev/pts/0\r\n0\r\n"), "{run:?}");
}
