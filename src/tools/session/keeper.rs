//! The keeper of one session.

use super::jobs::Jobs;
use super::pump::{Streams, without_waiting};
use super::{Ask, End, Kind, Raised, Said, descendants, interpreter, is_id, place, shell, terminal};
use crate::sys::tty;
use crate::tools::wire;
use crate::tools::{Name, Trouble};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, wait};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Between an interrupt and what cannot be refused.
const GRACE: Duration = Duration::from_secs(2);
/// How long a job may take to make room for what it is given.
const READERS_TIME: u16 = 2000;
/// Of each thread: they keep no more than a piece of what goes through.
const STACK: usize = 256 << 10;

struct Keeper {
    id: String,
    kind: Kind,
    directory: PathBuf,
    jobs: Arc<Jobs>,
    /// The shell, interpreter or command.
    pid: i32,
}

/// What runs the jobs.
enum Runner {
    Shell(shell::Shell),
    Interpreter(interpreter::Interpreter),
    Command(Streams),
}

/// Keeps a session to its end. `ready` is told when it can be reached, or why it cannot.
pub fn keep(id: &str, kind: Kind, words: &[OsString], ready: &mut dyn FnMut(Result<(), Trouble>)) -> i32 {
    // Of whoever made it nothing stays: no session whose end would be ours.
    let _ = nix::unistd::setsid();
    match begin(id, kind, words) {
        Ok((keeper, runner, listener)) => {
            ready(Ok(()));
            serve(keeper, runner, &listener)
        }
        Err(error) => {
            let trouble = match error.kind() {
                io::ErrorKind::NotFound => {
                    Trouble::new("not_found", format!("there is no {} inside", wanted(kind, words)))
                }
                _ => Trouble::of(&error),
            };
            ready(Err(trouble));
            1
        }
    }
}

fn wanted(kind: Kind, words: &[OsString]) -> String {
    match kind {
        Kind::Shell => "bash and no sh".to_owned(),
        Kind::Python => "python3".to_owned(),
        Kind::Node => "node".to_owned(),
        Kind::Command | Kind::Terminal => {
            format!("`{}`", words.first().map(|word| Name::from(word.clone())).unwrap_or_default())
        }
    }
}

fn begin(id: &str, kind: Kind, words: &[OsString]) -> io::Result<(Keeper, Runner, UnixListener)> {
    if !is_id(id) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    nix::sys::prctl::set_child_subreaper(true)?;
    let directory = place().join(id);
    let listener = UnixListener::bind(directory.join("socket"))?;
    let (runner, child) = match kind {
        Kind::Shell => shell::start(&directory).map(|(shell, child)| (Runner::Shell(shell), child))?,
        Kind::Python | Kind::Node => interpreter::start(kind, &directory)
            .map(|(interpreter, child)| (Runner::Interpreter(interpreter), child))?,
        Kind::Command => command(words).map(|(streams, child)| (Runner::Command(streams), child))?,
        Kind::Terminal => terminal::start(words).map(|(streams, child)| (Runner::Command(streams), child))?,
    };
    let jobs = Arc::new(Jobs::new());
    if matches!(kind, Kind::Command | Kind::Terminal) {
        let text: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        let job = jobs.lock().add(text.join(" "), false);
        if let (Kind::Terminal, Runner::Command(Streams([Some(master), _]))) = (kind, &runner) {
            let master = master.try_clone()?;
            jobs.change(|state| state.job(job).map(|job| job.on_terminal(master)));
        }
    }
    let keeper = Keeper { id: id.to_owned(), kind, directory, jobs, pid: child.id() as i32 };
    Ok((keeper, runner, listener))
}

fn command(words: &[OsString]) -> io::Result<(Streams, Child)> {
    let (program, rest) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
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
    for caller in listener.incoming() {
        let Ok(caller) = caller else { continue };
        let keeper = keeper.clone();
        // A caller for whom there is no thread hears that the line is dead.
        let _ = Builder::new().stack_size(STACK).spawn(move || {
            let mut caller = caller;
            // Who is gone does not want to know.
            let _ = hear(&keeper, &mut caller);
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
        keeper.jobs.change(|state| state.ended.get_or_insert(code).to_owned());
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
            while let Some((job, text, fed)) = jobs.next() {
                if let Err(error) = shell.run(jobs, job, &text, fed) {
                    jobs.end(job, not_begun(&error));
                }
            }
        }
        Runner::Interpreter(mut interpreter) => {
            while let Some((job, text, _)) = jobs.next() {
                if let Err(error) = interpreter.run(jobs, job, &text) {
                    jobs.end(job, not_begun(&error));
                }
            }
        }
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
    let value = Trouble::of(error).message;
    let traceback = format!("belljar: the job could not be begun: {value}");
    End { error: Some(Raised { name: "NotBegun".to_owned(), value, traceback }), ..End::default() }
}

/// Gives it to a job that reads, at its pace; one that does not read for a while gets no more.
fn feed(file: &mut File, bytes: &[u8]) -> Result<(), Trouble> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut list = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
                if poll(&mut list, READERS_TIME) == Ok(0) {
                    let taken = bytes.len() - rest.len();
                    let message = format!("the job does not read: it took {taken} of {} bytes", bytes.len());
                    return Err(Trouble::new("failed", message));
                }
            }
            Err(error) => return Err(Trouble::of(&error)),
        }
    }
    Ok(())
}

/// One caller, one question.
fn hear(keeper: &Keeper, caller: &mut UnixStream) -> io::Result<()> {
    let mut frame = Vec::new();
    if wire::read(caller, &mut frame)? != Some(wire::REQUEST) {
        return Ok(());
    }
    let result = match wire::parse(&frame)? {
        Ask::Look => wire::write_json(caller, wire::ITEM, &keeper.jobs.lock().look(&keeper.id, keeper.kind)).map(Ok)?,
        Ask::Run { text, wait, timeout_ms } => keeper.run_job(text, wait, timeout_ms, caller)?,
        Ask::Logs { job, follow } => keeper.tell(job, follow, None, caller)?,
        Ask::Input { job, bytes } => keeper.input(job, &bytes.0),
        Ask::Resize { columns, rows } => keeper.resize(columns, rows),
        Ask::Remove => {
            keeper.end();
            wire::write_json(caller, wire::END, &wire::Ending::None)?;
            leave();
        }
        Ask::Create { .. } => Err(Trouble::new("exists", "the session is there already")),
    };
    wire::write_json(caller, wire::END, &result.err())
}

/// The keeper's process ends, with all of its threads.
fn leave() -> ! {
    crate::sys::child::exit(0)
}

impl Keeper {
    /// Ends everything that it has started, and is found no more.
    fn end(&self) {
        let _ = fs::remove_dir_all(&self.directory);
        descendants::kill_all();
    }

    fn run_job(
        &self,
        text: String,
        wait: bool,
        timeout_ms: Option<u64>,
        to: &mut dyn Write,
    ) -> io::Result<Result<(), Trouble>> {
        if matches!(self.kind, Kind::Command | Kind::Terminal) {
            return Ok(Err(Trouble::new("invalid", "it is a single command, and takes no other")));
        }
        let job = self.jobs.change(|state| if state.ended.is_some() { None } else { Some(state.add(text, !wait)) });
        let Some(job) = job else {
            return Ok(Err(Trouble::new("session_ended", format!("the session `{}` has ended", self.id))
                .hint("`belljar session rm` it, and make another")));
        };
        wire::write_json(to, wire::ITEM, &Said::Job(job))?;
        let timeout = timeout_ms.map(Duration::from_millis);
        if wait { self.tell(job, true, timeout, to) } else { Ok(Ok(())) }
    }

    /// Tells what a job says; with `follow` until it ends, which it has to within its time.
    fn tell(
        &self,
        job: u64,
        follow: bool,
        timeout: Option<Duration>,
        to: &mut dyn Write,
    ) -> io::Result<Result<(), Trouble>> {
        let (mut place, mut deadline) = (0, None);
        let mut timed_out = 0;
        let mut state = self.jobs.lock();
        loop {
            let Some(known) = state.job(job) else {
                return Ok(Err(Trouble::new("not_found", format!("no job {job} in the session `{}`", self.id))));
            };
            if deadline.is_none() && known.is_running() {
                deadline = timeout.map(|timeout| Instant::now() + timeout);
            }
            let (said, next, end) = known.since(place);
            let over = end.is_some() || !follow;
            if said.is_empty() && !over {
                let now = Instant::now();
                if deadline.is_some_and(|deadline| now >= deadline) {
                    drop(state);
                    self.interrupt(timed_out);
                    timed_out += 1;
                    deadline = Some(Instant::now() + GRACE);
                    state = self.jobs.lock();
                    continue;
                }
                state = self.jobs.wait(state, deadline.map(|deadline| deadline - now));
                continue;
            }
            drop(state);
            place = next;
            for one in &said {
                wire::write_json(to, wire::ITEM, one)?;
            }
            if over {
                if let Some(end) = end {
                    wire::write_json(to, wire::ITEM, &Said::Ended(End { timed_out: timed_out > 0, ..end }))?;
                }
                return Ok(Ok(()));
            }
            state = self.jobs.lock();
        }
    }

    /// Interrupts what runs: first so that an interpreter raises it, or a shell goes on; then for good.
    fn interrupt(&self, time: u32) {
        let signal = if time == 0 { Signal::SIGINT } else { Signal::SIGKILL };
        match self.kind {
            // What the shell runs, and not the shell; a loop of its own ends with it.
            Kind::Shell if time < 2 => {
                descendants::signal_below(self.pid, if time == 0 { Signal::SIGTERM } else { Signal::SIGKILL });
            }
            _ => {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), signal);
            }
        }
    }

    fn resize(&self, columns: u16, rows: u16) -> Result<(), Trouble> {
        let sizes = 1..=1000;
        if !sizes.contains(&columns) || !sizes.contains(&rows) {
            return Err(Trouble::new("invalid", "a terminal has from 1 to 1000 columns and rows"));
        }
        let mut state = self.jobs.lock();
        let master = state.job(1).filter(|_| self.kind == Kind::Terminal).and_then(|job| job.input.as_ref());
        let master = master.ok_or_else(|| Trouble::new("invalid", "the session has no terminal, or it has ended"))?;
        tty::set_size(master, (columns, rows)).map_err(|errno| Trouble::of(&io::Error::from_raw_os_error(errno)))
    }

    fn input(&self, job: u64, bytes: &[u8]) -> Result<(), Trouble> {
        let mut file = {
            let mut state = self.jobs.lock();
            let unknown = || Trouble::new("not_found", format!("no job {job} in the session `{}`", self.id));
            let known = state.job(job).ok_or_else(unknown)?;
            if known.is_over() {
                return Err(Trouble::new("ended", format!("the job {job} has ended")));
            }
            let input = known.input.as_ref().ok_or_else(|| Trouble::new("invalid", "the job reads nothing"))?;
            input.try_clone().map_err(|error| Trouble::of(&error))?
        };
        feed(&mut file, bytes)
    }
}
