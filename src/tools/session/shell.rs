//! A shell that runs jobs one after another.
//!
//! It reads, on its standard input, for each job: to take in a file with the job's lines, with three fifos as its streams, and to
//! say the status on a pipe of its own. The lines are taken in by the shell itself, so that everything they set stays.

use super::End;
use super::jobs::Jobs;
use super::pump::Streams;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

/// The running shell.
pub struct Shell {
    directory: PathBuf,
    lines: ChildStdin,
    status: File,
    /// How it says something, whatever functions jobs have made.
    say: &'static str,
    /// The exit code of the last job.
    last: u8,
}

/// Starts it; its process is the caller's to wait for.
pub fn start(directory: &Path) -> io::Result<(Shell, Child)> {
    let status = directory.join("status");
    mkfifo(&status, Mode::from_bits_truncate(0o600))?;
    let control = open_fifo(&status)?;
    let spawn = |program: &str, options: &[&str]| {
        let mut command = Command::new(program);
        command.args(options).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Who signals his process group is not to reach the keeper.
        command.process_group(0).spawn()
    };
    // With job control each command has a group of its own, and who signals that does not reach the shell. Other shells have it only
    // on a terminal.
    let (mut child, say) = match spawn("bash", &["--norc", "--noprofile"]) {
        Ok(child) => (child, "builtin echo"),
        Err(_) => (spawn("sh", &[])?, "command echo"),
    };
    let mut lines = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    if say == "builtin echo" {
        // Not as an option, with which it looks for a terminal first.
        writeln!(lines, "set -m")?;
    }
    // Of all descriptors above 2 that shells can name it is the last, and no job has it.
    writeln!(lines, "exec 9>'{}'", status.display())?;
    Ok((Shell { directory: directory.to_owned(), lines, status: control, say, last: 0 }, child))
}

/// Opens a fifo for both, so that it does not end before anybody has written to it.
fn open_fifo(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Opens it to read what others write, and ends with them.
fn open_to_end(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

impl Shell {
    /// Runs one job to its end.
    pub fn run(&mut self, jobs: &Arc<Jobs>, job: u64, text: &str, fed: bool) -> io::Result<()> {
        let path = |what: &str| self.directory.join(format!("{job}.{what}"));
        fs::write(path("sh"), format!("{text}\n"))?;
        for stream in ["in", "out", "err"] {
            mkfifo(&path(stream), Mode::from_bits_truncate(0o600))?;
        }
        let mut streams = Streams([Some(open_fifo(&path("out"))?), Some(open_fifo(&path("err"))?)]);
        let [lines, mut read, out, error] = ["sh", "in", "out", "err"].map(|what| path(what).display().to_string());
        if fed {
            let input = open_fifo(&path("in"))?;
            jobs.change(|state| state.job(job).map(|job| job.input = Some(input)));
        } else {
            "/dev/null".clone_into(&mut read);
        }
        // `$?` is what the last job has left; as the condition of a list it is no failure that `set -e` or a trap would hear of.
        let before = if self.last == 0 { "true &&".to_owned() } else { format!("(exit {}) ||", self.last) };
        let say = self.say;
        writeln!(self.lines, "{before} . '{lines}' <'{read}' >'{out}' 2>'{error}' 9>&-; {say} \"$?\" >&9")?;
        let mut code = Vec::new();
        streams.pump(jobs, job, Some(&mut self.status), true, &mut |bytes| {
            code.extend_from_slice(bytes);
            code.ends_with(b"\n")
        });
        let still = [open_to_end(&path("out"))?, open_to_end(&path("err"))?];
        for what in ["sh", "in", "out", "err"] {
            // The shell has opened them by now, or never will.
            let _ = fs::remove_file(path(what));
        }
        if let Some(code) = std::str::from_utf8(&code).ok().and_then(|code| code.trim().parse().ok()) {
            self.last = u8::try_from(code).unwrap_or(1);
            jobs.end(job, End { exit_code: Some(code), ..End::default() });
        }
        drop(streams);
        Streams(still.map(Some)).leave(jobs, job);
        Ok(())
    }
}
