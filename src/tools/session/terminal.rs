//! A command with a terminal of its own, for several viewers, one after another or at once.
//!
//! What it shows goes to everybody who is there, and the last of it to whoever comes. A process of our own program takes the
//! terminal before it becomes the command: only who leads a session can (setsid(2), ioctl_tty(2)).

use super::pump::Streams;
use crate::own::Own;
use nix::fcntl::{OFlag, open};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Columns and rows until somebody says otherwise.
const SIZE: (u16, u16) = (80, 24);

/// Makes the terminal, and what will start the command on it.
pub fn make(words: &[OsString]) -> io::Result<(Streams, Command)> {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = ptsname_r(&master)?;
    let master = File::from(OwnedFd::from(master));
    crate::sys::tty::set_size(&master, SIZE).map_err(io::Error::from_raw_os_error)?;
    let mut command = Own::Terminal { path: path.into(), words: words.to_vec() }.command();
    command.env("TERM", "xterm-256color");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    Ok((Streams([Some(master), None]), command))
}

/// Starts it, and waits until it is the command, or cannot be.
pub fn start(mut command: Command) -> io::Result<Child> {
    let mut child = command.spawn()?;
    let mut why = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(4).read_to_end(&mut why)?;
    }
    match <[u8; 4]>::try_from(why.as_slice()) {
        Ok(errno) => {
            child.wait()?;
            Err(io::Error::from_raw_os_error(i32::from_le_bytes(errno)))
        }
        Err(_) => Ok(child),
    }
}

/// Takes the terminal at `path`, and becomes the command; answers only why it cannot, and tells whoever has started it.
pub fn take(path: &OsStr, words: &[OsString]) -> io::Error {
    // A copy that the command does not inherit: its end says that there is one.
    let tell = io::stdout().as_fd().try_clone_to_owned();
    let error = become_command(path, words);
    if let (Ok(tell), Some(errno)) = (tell, error.raw_os_error()) {
        // Who is gone does not want to know.
        let _ = File::from(tell).write_all(&errno.to_le_bytes());
    }
    error
}

fn become_command(path: &OsStr, words: &[OsString]) -> io::Error {
    let taken = || -> nix::Result<()> {
        setsid()?;
        // Without O_NOCTTY the first terminal that is opened becomes the session's.
        let terminal = open(Path::new(path), OFlag::O_RDWR, Mode::empty())?;
        dup2_stdin(&terminal)?;
        dup2_stdout(&terminal)?;
        dup2_stderr(&terminal)
    };
    if let Err(errno) = taken() {
        return errno.into();
    }
    let become_ = |program: &OsStr, rest: &[OsString]| Command::new(program).args(rest).exec();
    match words.split_first() {
        Some((program, rest)) => become_(program, rest),
        None => {
            let interactive = ["-i".into(), "-l".into()];
            become_(OsStr::new("bash"), &interactive);
            become_(OsStr::new("sh"), &interactive[..1])
        }
    }
}
