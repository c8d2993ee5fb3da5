//! The keeper of one server: starts it when somebody asks, again when it has died, stops it when nobody asks, and hears callers.

use super::asking;
use super::documents::Documents;
use super::project;
use super::server::Server;
use super::table::{self, Entry};
use super::wait::Wait;
use super::{Asked, Phase, State, Told, What};
use crate::error::{Error, Kind};
use crate::tools::Name;
use crate::tools::session::{self, Ask, Session, descendants, forward};
use crate::tools::wire;
use nix::sys::wait::{WaitStatus, wait};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

const STACK: usize = 1 << 20;
/// Callers at once.
const MOST_CALLERS: usize = 32;
/// How long a server may take to say what it can do.
const START: Duration = Duration::from_secs(120);
/// How long a caller may not read.
const DEAF: Duration = Duration::from_secs(5);
/// So many times within [`CRASHES`] a server may die before it is not started again.
const MOST_CRASHES: usize = 3;
const CRASHES: Duration = Duration::from_secs(300);
/// Without a question.
pub const IDLE: Duration = Duration::from_secs(15 * 60);

/// A server that answers, and what is open in it.
pub struct Running {
    pub server: Arc<Server>,
    documents: Mutex<Documents>,
}

impl Running {
    pub fn documents(&self) -> MutexGuard<'_, Documents> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server now.
#[derive(Default)]
enum Now {
    #[default]
    Stopped,
    Starting(Option<Arc<Server>>),
    Running(Arc<Running>),
    /// It is told to end, and what it has left behind is killed: whoever asks waits until the next can be started.
    Ending(Arc<Server>),
}

#[derive(Default)]
struct Keeping {
    now: Now,
    /// Why it died last or could not be started.
    failure: Option<Error>,
    crashes: Vec<Instant>,
    restarts: u32,
    callers: usize,
    used: Option<Instant>,
    idle: Duration,
    /// Whether the keeper is about to end.
    over: bool,
}

impl Keeping {
    /// From now on the server is one that ends, if it runs.
    fn begin_end(&mut self) -> Option<Arc<Server>> {
        let Now::Running(running) = &self.now else { return None };
        let server = running.server.clone();
        self.now = Now::Ending(server.clone());
        Some(server)
    }
}

/// The keeper.
pub struct Keeper {
    id: String,
    pub entry: Entry,
    pub project: PathBuf,
    directory: PathBuf,
    keeping: Mutex<Keeping>,
    changed: Condvar,
    /// Documents that somebody has opened himself: they are open in the next server too.
    pub held: Mutex<BTreeSet<PathBuf>>,
    /// One writes files at a time.
    pub writing: Mutex<()>,
}

/// Keeps a server to the end of its session; `words`: language, project, milliseconds until it is idle, and the command where the
/// table's is not wanted. `ready` is told when it can be reached, or why it cannot.
pub fn keep(id: &str, words: &[OsString], ready: &mut dyn FnMut(Result<(), Error>)) -> i32 {
    match begin(id, words) {
        Ok((keeper, listener)) => {
            ready(Ok(()));
            serve(&Arc::new(keeper), &listener)
        }
        Err(error) => {
            ready(Err(error));
            1
        }
    }
}

fn begin(id: &str, words: &[OsString]) -> Result<(Keeper, std::os::unix::net::UnixListener), Error> {
    let failed = |error: io::Error| Error::of_io(&error);
    let [language, top, idle, command @ ..] = words else { return Err(failed(io::ErrorKind::InvalidInput.into())) };
    let language = language.to_string_lossy();
    let mut entry = if command.is_empty() { table::entry(&language)? } else { table::entry_or_bare(&language)? };
    if !command.is_empty() {
        (entry.counting, entry.options, entry.reloads) = Default::default();
        (entry.stands_in, entry.hesitates, entry.rereads) = (false, false, false);
        entry = entry.by(command.iter().map(|word| word.to_string_lossy().into_owned()).collect());
        "name another behind `--`, or install it inside".clone_into(&mut entry.cure);
    }
    let idle = idle.to_str().and_then(|word| word.parse().ok()).map_or(IDLE, Duration::from_millis);
    nix::sys::prctl::set_child_subreaper(true).map_err(|errno| failed(errno.into()))?;
    let (listener, directory) = forward::given(id).map_err(failed)?;
    // Before anybody is answered: by this the next who asks about a file of the project finds us.
    fs::write(project::note(&directory), top.as_encoded_bytes()).map_err(failed)?;
    let keeper = Keeper {
        id: id.to_owned(),
        entry,
        project: PathBuf::from(top),
        directory,
        keeping: Mutex::new(Keeping { idle, ..Keeping::default() }),
        changed: Condvar::new(),
        held: Mutex::default(),
        writing: Mutex::default(),
    };
    Ok((keeper, listener))
}

fn serve(keeper: &Arc<Keeper>, listener: &std::os::unix::net::UnixListener) -> i32 {
    let idling = keeper.clone();
    if Builder::new().stack_size(STACK).spawn(move || idling.stop_idle()).is_err() {
        keeper.end();
        return 1;
    }
    for caller in listener.incoming() {
        let Ok(mut caller) = caller else { continue };
        let keeper = keeper.clone();
        // Where there is no room for another thread the caller hears that we broke off.
        let _ = Builder::new().stack_size(STACK).spawn(move || {
            let _ = keeper.hear(&mut caller);
        });
    }
    1
}

impl Keeper {
    /// One caller, one question.
    fn hear(self: &Arc<Self>, caller: &mut UnixStream) -> io::Result<()> {
        caller.set_write_timeout(Some(DEAF))?;
        let mut frame = Vec::new();
        if wire::read(caller, &mut frame)? != Some(wire::REQUEST) {
            return Ok(());
        }
        let result = match wire::parse(&frame)? {
            Ask::Look => {
                let session =
                    Session { id: self.id.clone(), kind: session::Kind::Language, ended: None, jobs: Vec::new() };
                wire::write_json(caller, wire::ITEM, &session).map(Ok)?
            }
            Ask::Language(asked) => self.hear_question(&asked, caller),
            Ask::Remove => return self.leave(caller, Ok(())),
            _ => Err(Error::new(Kind::Misused, "the session keeps a language server, and is asked by `belljar lsp`")),
        };
        if self.lock().over {
            return self.leave(caller, result);
        }
        wire::write_json(caller, wire::END, &result.err())
    }

    fn hear_question(self: &Arc<Self>, asked: &Asked, caller: &UnixStream) -> Result<(), Error> {
        {
            let mut keeping = self.lock();
            if keeping.callers >= MOST_CALLERS {
                let message =
                    format!("more than {MOST_CALLERS} ask the language server of `{}` at once", self.entry.language);
                return Err(Error::new(Kind::Busy, message).hint("ask again when some of them have been answered"));
            }
            keeping.callers += 1;
        }
        let mut to = io::BufWriter::with_capacity(wire::PIECE, caller);
        let mut tell = |told: &Told| wire::write_json(&mut to, wire::ITEM, told).map_err(|error| Error::of_io(&error));
        let wait = Wait::new(Some(caller), Duration::from_millis(asked.timeout_ms));
        let result = asking::ask(self, asked, &wait, &mut tell);
        let flushed = io::Write::flush(&mut to);
        let mut keeping = self.lock();
        keeping.callers -= 1;
        // Who only looks wants nothing of it.
        if asked.what != What::Look {
            keeping.used = Some(Instant::now());
        }
        drop(keeping);
        self.changed.notify_all();
        result.and(flushed.map_err(|error| Error::of_io(&error)))
    }

    /// The server, started if it does not run.
    ///
    /// # Errors
    ///
    /// It cannot be started, dies too often, or is not ready in time.
    pub fn running(self: &Arc<Self>, wait: &Wait<'_>) -> Result<Arc<Running>, Error> {
        let mut awaited = false;
        loop {
            let step = wait.step()?;
            let mut keeping = self.lock();
            match &keeping.now {
                Now::Running(running) => match running.server.gone() {
                    None => return Ok(running.clone()),
                    Some(why) => {
                        keeping.crashes.push(Instant::now());
                        keeping.failure = Some(why);
                        keeping.now = Now::Stopped;
                        continue;
                    }
                },
                Now::Starting(_) => awaited = true,
                Now::Ending(_) => {}
                Now::Stopped => {
                    if let Some(failure) = keeping.failure.clone().filter(|_| awaited) {
                        return Err(failure);
                    }
                    keeping.crashes.retain(|at| at.elapsed() < CRASHES);
                    if keeping.crashes.len() >= MOST_CRASHES {
                        let last = keeping.failure.as_ref().map(|error| error.message.clone()).unwrap_or_default();
                        let message = format!(
                            "it is not started again: it died {MOST_CRASHES} times in 5 minutes; the last time {last}"
                        );
                        return Err(Error::new(Kind::Ended, message)
                            .hint("`belljar lsp stop` forgets that, and the next question starts it"));
                    }
                    self.begin_start(&mut keeping)?;
                    awaited = true;
                }
            }
            let Some(step) = step else {
                let message = format!("the language server `{}` was not ready in time", self.program());
                return Err(Error::new(Kind::TimedOut, message)
                    .hint("it goes on starting: ask again, or with a longer `--timeout`"));
            };
            drop(self.changed.wait_timeout(keeping, step).unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn program(&self) -> &str {
        self.entry.command.first().map_or("", String::as_str)
    }

    /// Begins to start it, in a thread of its own: whoever has begun may go meanwhile.
    fn begin_start(self: &Arc<Self>, keeping: &mut Keeping) -> Result<(), Error> {
        if keeping.failure.is_some() {
            keeping.restarts += 1;
        }
        keeping.now = Now::Starting(None);
        let keeper = self.clone();
        let started = Builder::new().stack_size(STACK).spawn(move || {
            let started = keeper.start();
            let mut keeping = keeper.lock();
            match started {
                Ok(running) => keeping.now = Now::Running(Arc::new(running)),
                Err(failure) => {
                    // Where nothing can be started at all, it has not died.
                    if failure.errno != Some(libc::EAGAIN) {
                        keeping.crashes.push(Instant::now());
                    }
                    // Somebody will install it, or name another: there is nothing to keep.
                    keeping.over |= failure.kind == Kind::NoCommand;
                    keeping.now = Now::Stopped;
                    keeping.failure = Some(failure);
                }
            }
            keeping.used = Some(Instant::now());
            drop(keeping);
            keeper.changed.notify_all();
        });
        started.map(drop).map_err(|error| {
            keeping.now = Now::Stopped;
            self.not_started(&error)
        })
    }

    fn start(self: &Arc<Self>) -> Result<Running, Error> {
        // What the last one has left behind.
        descendants::kill_all();
        let server = Server::start(&self.entry, &self.project).map_err(|error| self.not_started(&error))?;
        self.lock().now = Now::Starting(Some(server.clone()));
        let keeper = self.clone();
        // Without it nobody waits for the process, and only its exit code is not known.
        let _ = Builder::new().stack_size(STACK).spawn(move || keeper.reap());
        let greeted = server.greet(&self.entry, &self.project, &Wait::new(None, START));
        if let Err(error) = greeted {
            server.end();
            return Err(error);
        }
        let running = Running { server, documents: Mutex::default() };
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for path in held {
            // One that is gone meanwhile is not open any more.
            let _ = running.documents().open(&path, true, &running.server, &self.entry);
        }
        Ok(running)
    }

    fn not_started(&self, error: &io::Error) -> Error {
        if error.raw_os_error() == Some(libc::EAGAIN) {
            let message = format!("`{}` cannot be started: the sandbox has no process left to have", self.program());
            return Error { errno: Some(libc::EAGAIN), ..Error::new(Kind::Failed, message) }
                .hint("end what runs inside, or let it have more: `belljar resize --pids`");
        }
        if error.kind() != io::ErrorKind::NotFound {
            return Error::of_io(error).hint(self.entry.cure.clone());
        }
        let message =
            format!("there is no `{}` inside, the language server for {}", self.program(), self.entry.language);
        Error::new(Kind::NoCommand, message).hint(self.entry.cure.clone())
    }

    /// Waits for whoever ends, as long as there is anybody: the server, and what it has left to us.
    fn reap(&self) {
        loop {
            let (pid, code) = match wait() {
                Ok(WaitStatus::Exited(pid, code)) => (pid, code),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
                Ok(_) | Err(nix::errno::Errno::EINTR) => continue,
                Err(_) => return,
            };
            if let Some(server) = self.server() {
                server.reaped(pid.as_raw(), code);
            }
        }
    }

    fn server(&self) -> Option<Arc<Server>> {
        match &self.lock().now {
            Now::Running(running) => Some(running.server.clone()),
            Now::Starting(server) => server.clone(),
            Now::Ending(server) => Some(server.clone()),
            Now::Stopped => None,
        }
    }

    /// How the server is.
    pub fn state(&self) -> State {
        let keeping = self.lock();
        let (state, documents) = match &keeping.now {
            Now::Running(running) if running.server.gone().is_none() => (Phase::Running, running.documents().count()),
            Now::Starting(_) => (Phase::Starting, 0),
            Now::Running(_) | Now::Ending(_) | Now::Stopped => (Phase::Stopped, 0),
        };
        let gone = match &keeping.now {
            Now::Running(running) => running.server.gone(),
            Now::Starting(_) | Now::Ending(_) | Now::Stopped => None,
        };
        State {
            language: self.entry.language.clone(),
            project: Name::from(self.project.as_path()),
            server: self.entry.command.clone(),
            state,
            documents: documents as u32,
            restarts: keeping.restarts,
            failure: gone.or_else(|| keeping.failure.clone()).map(|error| error.message),
            session: self.id.clone(),
        }
    }

    /// Takes another time without a question.
    pub fn idle_after(&self, time: Duration) {
        self.lock().idle = time;
        self.changed.notify_all();
    }

    /// Stops the server whenever nobody has asked for a while.
    fn stop_idle(&self) {
        let mut keeping = self.lock();
        loop {
            let left = match (&keeping.now, keeping.used) {
                (Now::Running(_), Some(used)) if keeping.callers == 0 => keeping.idle.saturating_sub(used.elapsed()),
                _ => Duration::MAX,
            };
            if left.is_zero()
                && let Some(server) = keeping.begin_end()
            {
                drop(keeping);
                server.end();
                descendants::kill_all();
                keeping = self.lock();
                (keeping.now, keeping.used) = (Now::Stopped, None);
                self.changed.notify_all();
                continue;
            }
            keeping = match left {
                Duration::MAX => self.changed.wait(keeping).unwrap_or_else(PoisonError::into_inner),
                left => self.changed.wait_timeout(keeping, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Ends the server; nothing is asked any more.
    pub fn stop(&self) {
        let server = {
            let mut keeping = self.lock();
            keeping.over = true;
            keeping.begin_end()
        };
        if let Some(server) = server {
            server.end();
        }
    }

    /// Ends everything, and tells the caller that it is done.
    fn leave(&self, caller: &mut UnixStream, result: Result<(), Error>) -> io::Result<()> {
        self.end();
        wire::write_json(caller, wire::END, &result.err())?;
        // With all threads.
        crate::sys::child::exit(0);
    }

    fn end(&self) {
        let _ = fs::remove_dir_all(&self.directory);
        descendants::kill_all();
    }

    fn lock(&self) -> MutexGuard<'_, Keeping> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
