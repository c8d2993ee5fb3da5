//! One running server: its process, what it is told, what it answers.
//!
//! Three threads serve its pipes, so that nobody who asks ever waits for them: a server that does not read fills a queue with an end,
//! one that does not answer is given up at the caller's time, and one that writes what is no message is killed.

mod pipes;

use super::lines::{Counting, Encoding};
use super::message::{self, Refusal};
use super::protocol::{self, Initialized, uri_of};
use super::table::Entry;
use super::wait::Wait;
use crate::error::{Error, Kind};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

const STACK: usize = 256 << 10;
/// Bytes that wait for a server that does not read.
const MOST_WAITING: usize = 32 << 20;
/// Bytes of what it wrote to standard error last.
const LAST_WORDS: usize = 2 << 10;
/// How long a server has to end when it is told to.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long it may take until a server has taken in what it was told.
const TURN: Duration = Duration::from_secs(2);
/// After so many questions in a row without an answer a server is taken for dead.
const MOST_UNANSWERED: usize = 3;
/// How long a server says nothing more of a file when it has said all: some say first what the grammar knows.
const SETTLED: Duration = Duration::from_millis(300);

/// What a server says is wrong with a file.
#[derive(Clone)]
pub struct Published {
    /// The version that it speaks of, if it says it.
    pub version: Option<i64>,
    /// When it came.
    pub at: Instant,
    /// All of it; none where it was too much.
    pub diagnostics: Option<Arc<RawValue>>,
}

type Answered = Result<Option<Box<RawValue>>, Refusal>;

#[derive(Default)]
struct State {
    asked: i64,
    /// Questions that somebody waits for.
    awaited: BTreeMap<i64, Option<Answered>>,
    /// Files that are open, with what was said of them last.
    published: BTreeMap<PathBuf, Option<Published>>,
    waiting: VecDeque<Vec<u8>>,
    /// Bytes of these.
    length: usize,
    /// Why it is no more.
    gone: Option<Error>,
    /// The exit code of its process, or 128 and the number of a signal.
    code: Option<i32>,
    last_words: Vec<u8>,
    /// Questions that it has not answered in time since it last answered one, in time or not.
    unanswered: BTreeSet<i64>,
    /// Where edits go that it wants to make, while somebody has asked for them.
    wanted: Option<Vec<Box<RawValue>>>,
}

/// A running server.
pub struct Server {
    state: Mutex<State>,
    changed: Condvar,
    pid: i32,
    name: String,
    folders: Value,
    settings: Option<Value>,
    counting: Counting,
    can: Mutex<Value>,
}

impl Server {
    /// Starts its process, which is the caller's to wait for.
    ///
    /// # Errors
    ///
    /// Why it cannot be started.
    pub fn start(entry: &Entry, project: &Path) -> io::Result<Arc<Server>> {
        let (program, arguments) = entry.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = std::process::Command::new(program);
        command.args(arguments).current_dir(project).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let name = project.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let server = Arc::new(Server {
            state: Mutex::default(),
            changed: Condvar::new(),
            pid: child.id() as i32,
            name: program.clone(),
            folders: json!([{ "uri": uri_of(project), "name": name }]),
            settings: entry.settings.clone(),
            counting: entry.counting,
            can: Mutex::default(),
        });
        let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
        let ((to, from), words) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        let [a, b, c] = [server.clone(), server.clone(), server.clone()];
        let threads = [
            Builder::new().stack_size(STACK).spawn(move || a.tell(to)),
            Builder::new().stack_size(STACK).spawn(move || b.hear(from)),
            Builder::new().stack_size(STACK).spawn(move || c.overhear(words)),
        ];
        if let Some(error) = threads.into_iter().find_map(Result::err) {
            server.kill();
            return Err(error);
        }
        Ok(server)
    }

    /// Says who asks, and hears what it can do.
    ///
    /// # Errors
    ///
    /// It does not answer, or has ended.
    pub fn greet(&self, entry: &Entry, project: &Path, wait: &Wait<'_>) -> Result<(), Error> {
        let params = json!({
            "processId": std::process::id(),
            "clientInfo": { "name": "belljar", "version": env!("CARGO_PKG_VERSION") },
            "rootPath": project.to_str(),
            "rootUri": uri_of(project),
            "workspaceFolders": self.folders,
            "capabilities": protocol::capabilities(),
            "initializationOptions": entry.options,
            "trace": "off",
        });
        let can: Option<Initialized> = self.ask("initialize", &params, wait)?;
        *self.can.lock().unwrap_or_else(PoisonError::into_inner) = can.map(|can| can.capabilities).unwrap_or_default();
        self.notify("initialized", &json!({}))?;
        match &self.settings {
            Some(settings) => self.notify("workspace/didChangeConfiguration", &json!({ "settings": settings })),
            None => Ok(()),
        }
    }

    /// What it said about something that it can do, if it can.
    pub fn can(&self, what: &str) -> Option<Value> {
        let can = self.can.lock().unwrap_or_else(PoisonError::into_inner);
        can.get(what).filter(|value| !matches!(value, Value::Null | Value::Bool(false))).cloned()
    }

    /// How it counts.
    pub fn counting(&self) -> Counting {
        let encoding = match self.can("positionEncoding").as_ref().and_then(Value::as_str) {
            Some("utf-8") => Encoding::Utf8,
            Some("utf-32") => Encoding::Utf32,
            Some(_) => Encoding::Utf16,
            None => self.counting.encoding,
        };
        Counting { encoding, ..self.counting }
    }

    /// Asks, and waits for the answer; what is not asked any more it is told.
    ///
    /// # Errors
    ///
    /// It does not answer in time, says that it cannot, or has ended.
    pub fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &impl Serialize,
        wait: &Wait<'_>,
    ) -> Result<Option<T>, Error> {
        let number = self.ask_for(method, params)?;
        let answered = self.until(wait, |state| state.awaited.get_mut(&number)?.take());
        self.lock().awaited.remove(&number);
        let answered = match answered {
            Ok(Some(answered)) => answered,
            Ok(None) => {
                self.cancel(number);
                let count = {
                    let mut state = self.lock();
                    state.unanswered.insert(number);
                    state.unanswered.len()
                };
                let message = format!("the language server `{}` did not answer `{method}` in time", self.name);
                let error = Error::new(Kind::TimedOut, message)
                    .hint("a large project takes a while at first: ask again, or with a longer `--timeout`");
                if count >= MOST_UNANSWERED {
                    self.fail(error.clone());
                }
                return Err(error);
            }
            Err(error) => {
                self.cancel(number);
                return Err(error);
            }
        };
        let result = answered.map_err(|refusal| {
            let why: String = refusal.message.chars().take(LAST_WORDS).collect();
            Error::new(Kind::Failed, format!("the language server `{}` says to `{method}`: {why}", self.name))
        })?;
        let Some(result) = result.filter(|result| result.get() != "null") else { return Ok(None) };
        serde_json::from_str(result.get())
            .map(Some)
            .map_err(|error| self.malformed(&format!("its answer to `{method}`: {error}")))
    }

    /// Has something done, and does not wait for it.
    ///
    /// # Errors
    ///
    /// It does not read, or has ended.
    pub fn have_done(&self, method: &str, params: &Value) -> Result<(), Error> {
        let number = self.ask_for(method, params)?;
        // Its answer is dropped.
        self.lock().awaited.remove(&number);
        Ok(())
    }

    /// Asks; the number of the question.
    fn ask_for(&self, method: &str, params: &impl Serialize) -> Result<i64, Error> {
        let number = {
            let mut state = self.lock();
            state.asked += 1;
            let number = state.asked;
            state.awaited.insert(number, None);
            number
        };
        let mut asked = json!({ "jsonrpc": "2.0", "id": number, "method": method, "params": params });
        without_nothing(&mut asked);
        self.send(&asked).inspect_err(|_| {
            self.lock().awaited.remove(&number);
        })?;
        Ok(number)
    }

    fn cancel(&self, number: i64) {
        // A server that is no more hears nothing.
        let _ = self.notify("$/cancelRequest", &json!({ "id": number }));
    }

    /// Tells something.
    ///
    /// # Errors
    ///
    /// It does not read, or has ended.
    pub fn notify(&self, method: &str, params: &Value) -> Result<(), Error> {
        let mut told = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        without_nothing(&mut told);
        self.send(&told)
    }

    fn send(&self, message: &Value) -> Result<(), Error> {
        let bytes = message::frame(message.to_string().as_bytes());
        let mut state = self.lock();
        if let Some(gone) = &state.gone {
            return Err(gone.clone());
        }
        if state.length + bytes.len() > MOST_WAITING {
            drop(state);
            let error =
                Error::new(Kind::Busy, format!("the language server `{}` does not read what it is told", self.name));
            self.fail(error.clone());
            return Err(error);
        }
        state.length += bytes.len();
        state.waiting.push_back(bytes);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits until there is something; none when the time is over.
    ///
    /// # Errors
    ///
    /// It has ended, or the caller has gone.
    fn until<T>(&self, wait: &Wait<'_>, mut look: impl FnMut(&mut State) -> Option<T>) -> Result<Option<T>, Error> {
        loop {
            // Not under the lock: a caller who does not read is his own trouble alone.
            let Some(step) = wait.step()? else { return Ok(None) };
            let mut state = self.lock();
            if let Some(found) = look(&mut state) {
                return Ok(Some(found));
            }
            if let Some(gone) = &state.gone {
                return Err(gone.clone());
            }
            drop(self.changed.wait_timeout(state, step).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// From now on what it says of the file is wanted, and what it has said is not.
    pub fn forget_diagnostics(&self, path: &Path) {
        self.lock().published.insert(path.to_owned(), None);
    }

    /// What it says of the file is not wanted any more.
    pub fn drop_diagnostics(&self, path: &Path) {
        self.lock().published.remove(path);
    }

    /// Waits until it has said anything of a file; that is no harm where it does not.
    ///
    /// # Errors
    ///
    /// As [`Server::ask`].
    pub fn await_word(&self, path: &Path, wait: &Wait<'_>) -> Result<(), Error> {
        let said = |state: &mut State| state.published.get(path).is_none_or(Option::is_some).then_some(());
        self.until(wait, said).map(drop)
    }

    /// Waits until it has taken in what it was told: nobody knows that question, and it says so in its turn. One that does not say it
    /// is not waited for any longer.
    ///
    /// # Errors
    ///
    /// It has ended, or the caller has gone.
    pub fn await_turn(&self, wait: &Wait<'_>) -> Result<(), Error> {
        let wait = wait.at_most(TURN);
        let number = self.ask_for("$/belljar/turn", &Value::Null)?;
        let answered = self.until(&wait, |state| state.awaited.get_mut(&number)?.take());
        self.lock().awaited.remove(&number);
        answered.map(drop)
    }

    /// Waits for what it says of a version of a file or a later one, and until it has said nothing else for a moment.
    ///
    /// # Errors
    ///
    /// As [`Server::ask`].
    pub fn diagnostics(&self, path: &Path, version: i64, wait: &Wait<'_>) -> Result<Option<Published>, Error> {
        let current = |state: &State| {
            let published = state.published.get(path).cloned().flatten();
            published.filter(|one| one.version.is_none_or(|of| of >= version))
        };
        let settled = |state: &mut State| current(state).filter(|one| one.at.elapsed() >= SETTLED);
        match self.until(wait, settled)? {
            Some(found) => Ok(Some(found)),
            // Whatever came until now is what there is.
            None => Ok(current(&self.lock())),
        }
    }

    /// Takes edits that it wants to make from now on, in the place of a refusal.
    pub fn want_edits(&self) {
        self.lock().wanted = Some(Vec::new());
    }

    /// What it wanted to make since; no more are taken.
    pub fn wanted_edits(&self) -> Vec<Box<RawValue>> {
        self.lock().wanted.take().unwrap_or_default()
    }

    /// Why it is no more, if it is.
    pub fn gone(&self) -> Option<Error> {
        self.lock().gone.clone()
    }

    /// A process has been waited for.
    pub fn reaped(&self, pid: i32, code: i32) {
        if pid == self.pid {
            self.lock().code = Some(code);
            self.changed.notify_all();
        }
    }

    /// Tells it to end, and sees to it.
    pub fn end(&self) {
        let wait = Wait::new(None, FAREWELL);
        let told = self.ask::<serde::de::IgnoredAny>("shutdown", &Value::Null, &wait);
        if told.and_then(|_| self.notify("exit", &Value::Null)).is_ok() {
            // Whoever does not go is killed.
            let _ = self.until(&wait, |state| state.code);
        }
        self.fail(Error::new(Kind::Ended, format!("the language server `{}` was stopped", self.name)));
    }

    fn malformed(&self, what: &str) -> Error {
        Error::new(Kind::Malformed, format!("the language server `{}` does not speak its protocol: {what}", self.name))
    }

    /// It is no more, because of that. What is known already stays.
    fn fail(&self, why: Error) {
        self.lock().gone.get_or_insert(why);
        self.changed.notify_all();
        self.kill();
    }

    fn kill(&self) {
        let state = self.lock();
        // Once it has been waited for, the number may be another's.
        if state.code.is_none() {
            let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Parameters are an object, or are not there (JSON-RPC 2.0, 4.2).
fn without_nothing(message: &mut Value) {
    if let Some(message) = message.as_object_mut()
        && message.get("params").is_some_and(Value::is_null)
    {
        message.remove("params");
    }
}
