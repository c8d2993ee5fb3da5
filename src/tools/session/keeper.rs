//! The keeper of one session: starts the process that runs its jobs, runs them, and answers callers.

mod answers;
mod stream;

use super::jobs::Jobs;
use super::pump::{Streams, without_waiting};
use super::{End, Kind, Raised, descendants, forward, interpreter, is_id, shell, terminal};
use crate::error::{self, CommandError, CommandReason, Error};
use crate::tools::Name;
use nix::sys::wait::{WaitStatus, wait};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;
use std::time::Duration;

/// Of each thread: they keep no more than a piece of what goes through.
const STACK: usize = 256 << 10;
/// How long somebody may take to come for a stream that is for him alone.
const FOUND: Duration = Duration::from_secs(30);

struct Keeper {
    id: String,
    kind: Kind,
    directory: PathBuf,
    jobs: Arc<Jobs>,
    /// The shell, interpreter or command.
    pid: i32,
    /// Whether somebody has come for the stream.
    attached: AtomicBool,
}

/// What runs the jobs.
enum Runner {
    Shell(shell::Shell),
    Interpreter(interpreter::Interpreter),
    Command(Streams),
}

/// Keeps a session to its end. `ready` is told when it can be reached, or why it cannot.
pub fn keep(id: &str, kind: Kind, words: &[OsString], ready: &mut dyn FnMut(Result<(), Error>)) -> i32 {
    // Of whoever made it nothing stays: no session whose end would be ours.
    let _ = nix::unistd::setsid();
    if kind == Kind::Language {
        return crate::tools::language::keep(id, words, ready);
    }
    match begin(id, kind, words) {
        Ok((keeper, runner, listener)) => {
            ready(Ok(()));
            serve(keeper, runner, &listener)
        }
        Err(trouble) => {
            ready(Err(trouble));
            1
        }
    }
}

/// Why what the session is to run could not be started.
fn not_started(kind: Kind, words: &[OsString]) -> impl Fn(io::Error) -> Error {
    let missing = match (kind, words.first()) {
        (Kind::Command | Kind::Terminal | Kind::Stream | Kind::Bridge, Some(word)) => Err(PathBuf::from(word)),
        (Kind::Python, _) => Ok("python3"),
        (Kind::Node, _) => Ok("node"),
        _ => Ok("bash and no sh"),
    };
    move |error| match &missing {
        Err(word) => not_executed(word, &error),
        Ok(missing) if error.kind() == io::ErrorKind::NotFound => {
            Error::new(error::Kind::NotFound, format!("there is no {missing} inside"))
        }
        Ok(_) => Error::of_io(&error),
    }
}

/// As `exec` has it, but for a hint about the image, of which nothing is known inside.
fn not_executed(word: &Path, error: &io::Error) -> Error {
    let is_path = word.as_os_str().as_encoded_bytes().contains(&b'/');
    let reason = match error.raw_os_error().unwrap_or_default() {
        libc::ENOENT | libc::ENOTDIR if is_path && word.is_file() => CommandReason::InterpreterNotFound,
        libc::ENOENT | libc::ENOTDIR => CommandReason::NotFound,
        libc::EACCES if is_path && word.is_dir() => CommandReason::Directory,
        libc::EACCES => CommandReason::NotExecutable,
        libc::ENOEXEC => CommandReason::NoInterpreterLine,
        libc::E2BIG => CommandReason::TooLarge,
        errno => CommandReason::Other(errno),
    };
    let command = Name::from(word).to_string();
    let error = CommandError { command, reason, image: String::new() };
    let (kind, hint) = match reason {
        CommandReason::NotFound => (error::Kind::NoCommand, None),
        _ => (error::Kind::NotExecutable, error.hint()),
    };
    Error { hint, ..Error::new(kind, error.to_string()) }
}

fn begin(id: &str, kind: Kind, words: &[OsString]) -> Result<(Keeper, Runner, UnixListener), Error> {
    let failed = |error: io::Error| Error::of_io(&error);
    if !is_id(id) {
        return Err(failed(io::ErrorKind::InvalidInput.into()));
    }
    nix::sys::prctl::set_child_subreaper(true).map_err(|errno| failed(errno.into()))?;
    let (listener, directory) = forward::given(id).map_err(failed)?;
    let (jobs, bell) = Jobs::new().map_err(failed)?;
    let jobs = Arc::new(jobs);
    let not_started = not_started(kind, words);
    let (runner, mut child) = match kind {
        Kind::Shell => {
            shell::start(&directory).map(|(shell, child)| (Runner::Shell(shell), child)).map_err(not_started)?
        }
        Kind::Python | Kind::Node => interpreter::start(kind, &directory, bell)
            .map(|(interpreter, child)| (Runner::Interpreter(interpreter), child))
            .map_err(not_started)?,
        Kind::Command => command(words, Stdio::null())
            .map(|(streams, child)| (Runner::Command(streams), child))
            .map_err(not_started)?,
        Kind::Stream | Kind::Bridge => command(words, Stdio::piped())
            .map(|(streams, child)| (Runner::Command(streams), child))
            .map_err(not_started)?,
        Kind::Terminal => {
            let (streams, command) = terminal::make(words).map_err(failed)?;
            (Runner::Command(streams), terminal::start(command).map_err(not_started)?)
        }
        Kind::Silent | Kind::Language => return Err(failed(io::ErrorKind::InvalidInput.into())),
    };
    if matches!(kind, Kind::Command | Kind::Terminal | Kind::Stream | Kind::Bridge) {
        let text: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        let added = jobs.lock().add(text.join(" "), false);
        let job = added.ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        if let (Kind::Terminal, Runner::Command(Streams([Some(master), _]))) = (kind, &runner) {
            let master = master.try_clone().map_err(failed)?;
            jobs.change(|state| state.job(job).map(|job| job.on_terminal(master)));
        }
        if let (Kind::Stream | Kind::Bridge, Some(input)) = (kind, child.stdin.take()) {
            let input = File::from(OwnedFd::from(input));
            without_waiting(&input).map_err(failed)?;
            jobs.change(|state| state.job(job).map(|job| job.on_stream(input)));
        }
    }
    let (pid, attached) = (child.id() as i32, AtomicBool::new(false));
    let keeper = Keeper { id: id.to_owned(), kind, directory, jobs, pid, attached };
    Ok((keeper, runner, listener))
}

fn command(words: &[OsString], input: Stdio) -> io::Result<(Streams, Child)> {
    let (program, rest) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(rest).stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let out = child.stdout.take().map(|pipe| File::from(OwnedFd::from(pipe)));
    let error = child.stderr.take().map(|pipe| File::from(OwnedFd::from(pipe)));
    for stream in [&out, &error].into_iter().flatten() {
        without_waiting(stream)?;
    }
    Ok((Streams([out, error]), child))
}

/// Runs jobs and answers, until it is told to end.
fn serve(keeper: Keeper, runner: Runner, listener: &UnixListener) -> i32 {
    let keeper = Arc::new(keeper);
    let (reaping, running) = (keeper.clone(), keeper.clone());
    let threads = [
        Builder::new().stack_size(STACK).spawn(move || reap(&reaping)),
        Builder::new().stack_size(STACK).spawn(move || run(&running, runner)),
    ];
    if threads.iter().any(Result::is_err) {
        keeper.end();
        return 1;
    }
    if keeper.kind == Kind::Bridge {
        let abandoned = keeper.clone();
        // Without it one is left that nobody came for, until the sandbox ends.
        let _ = Builder::new().stack_size(STACK).spawn(move || abandoned.end_alone());
    }
    for caller in listener.incoming() {
        let Ok(caller) = caller else { continue };
        let keeper = keeper.clone();
        // A caller for whom there is no thread hears that the line is dead.
        let _ = Builder::new().stack_size(STACK).spawn(move || {
            let mut caller = caller;
            // Who is gone does not want to know.
            let _ = answers::hear(&keeper, &mut caller);
        });
    }
    1
}

/// Waits for everybody who ends: the shell, and whatever its jobs have left to us.
fn reap(keeper: &Keeper) {
    loop {
        let code = match wait() {
            Ok(WaitStatus::Exited(pid, code)) if pid.as_raw() == keeper.pid => code,
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw() == keeper.pid => 128 + signal as i32,
            Ok(_) | Err(nix::errno::Errno::EINTR) => continue,
            // Nobody is left, and nobody comes who is not started by us.
            Err(_) => return,
        };
        // What it wrote last is read by whoever runs it, who looks for this.
        keeper.jobs.process_ended(code);
        keeper.jobs.ring();
    }
}

fn run(keeper: &Keeper, runner: Runner) {
    let jobs = &keeper.jobs;
    match runner {
        Runner::Command(mut streams) => {
            // The only one: it runs already, and may have ended by now.
            let job = jobs.begin();
            streams.pump(jobs, job, None, true, &mut |_| false);
            let code = {
                let mut state = jobs.lock();
                while state.ended.is_none() {
                    state = jobs.wait(state, None);
                }
                state.ended
            };
            jobs.end(job, End { exit_code: code, ..End::default() });
            streams.leave(jobs, job);
        }
        Runner::Shell(mut shell) => {
            while let Some((job, text, fed)) = jobs.await_next() {
                if let Err(error) = shell.run(jobs, job, &text, fed) {
                    jobs.end(job, not_begun(&error));
                }
            }
        }
        Runner::Interpreter(mut interpreter) => interpreter.serve(jobs),
    }
    let mut state = jobs.lock();
    while state.ended.is_none() {
        state = jobs.wait(state, None);
    }
    let code = state.ended.unwrap_or_default();
    drop(state);
    jobs.close(code);
}

/// How a job ends that could not be given to whoever runs it, on a full disk and the like. The next may have more luck.
fn not_begun(error: &io::Error) -> End {
    let value = Error::of_io(error).message;
    let traceback = format!("belljar: the job could not be begun: {value}");
    End { error: Some(Raised { name: "NotBegun".to_owned(), value, traceback }), ..End::default() }
}

impl Keeper {
    /// Ends, where nobody comes.
    fn end_alone(&self) {
        std::thread::sleep(FOUND);
        if !self.attached.load(Ordering::Acquire) {
            self.end();
            crate::sys::child::exit(0);
        }
    }

    /// Ends everything that it has started, and is found no more.
    fn end(&self) {
        let _ = fs::remove_dir_all(&self.directory);
        descendants::kill_all();
    }
}
