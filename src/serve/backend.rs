//! The one way from HTTP to the verbs: `belljar rpc`, in processes of its own.
//!
//! What answers at once is asked of one child that all share. What streams, a terminal or a log that is followed, has a child of
//! its own: whoever reads slowly makes that one wait, and nobody else. A child that is lost fails what it had in flight, and the
//! next request starts another; sandboxes outlive it. Whoever goes away cancels what he had asked for, unless the route is one of those
//! that are done to their end ([`Routes::settled`](super::routes::Routes::settled)).

use crate::error::{Error, Kind};
use crate::trees::progress::Quiet;
use crate::verbs::{self, Site};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};

/// How long a verb that was called off may take to end.
const CALLED_OFF: Duration = Duration::from_secs(5);
/// Requests that may wait for the shared child to take them.
const WAITING: usize = 64;

/// Verbs that only read what is written about sandboxes and images: no process is made for them, here or there.
const LOOKS: [&str; 3] = ["inspect", "ls", "image.ls"];

/// What came of a request.
pub type Answer = Result<Value, Error>;

/// Starts children, and knows the shared one.
#[derive(Clone)]
pub struct Backend {
    inner: Arc<Inner>,
}

struct Inner {
    program: PathBuf,
    home: Option<OsString>,
    /// How many sandboxes are kept ready.
    ready: u8,
    shared: Mutex<Option<Arc<Line>>>,
}

impl Backend {
    /// `program` is belljar itself, `home` what it is told of where sandboxes are; so many sandboxes are kept `ready`.
    pub fn new(program: PathBuf, home: Option<OsString>, ready: u8) -> Backend {
        Backend { inner: Arc::new(Inner { program, home, ready, shared: Mutex::default() }) }
    }

    /// Asks for a verb by its method's name.
    ///
    /// # Errors
    ///
    /// The verb's own, and the child was lost.
    pub async fn call(&self, method: &str, parameters: Value) -> Answer {
        match (LOOKS.iter().find(|look| **look == method), parameters) {
            (Some(look), Value::Object(parameters)) => self.look(look, parameters).await,
            (_, parameters) => self.line()?.call(method, parameters).await,
        }
    }

    /// Does here what only reads files of ours: most requests begin with it, and it takes less time than to ask somebody else.
    async fn look(&self, name: &'static str, parameters: Map<String, Value>) -> Answer {
        let home = self.inner.home.as_deref().map(PathBuf::from);
        let looked = tokio::task::spawn_blocking(move || {
            let method = verbs::method(name).ok_or_else(|| Error::new(Kind::Failed, format!("no method `{name}`")))?;
            let site = Site {
                home,
                // Whoever asks has no environment here.
                env: &|_| None,
                live: None,
                live_error: &|| Box::new(std::io::sink()),
                is_read: true,
                say: &|_| {},
                complain: &|_| {},
                progress: &|| Box::new(Quiet),
                ready: verbs::Ready::default(),
            };
            method.call(parameters, &site).map(|(told, _)| told)
        });
        looked.await.unwrap_or_else(|error| Err(Error::new(Kind::Failed, format!("`{name}` was not done: {error}"))))
    }

    /// The same, telling what is printed as it comes.
    ///
    /// # Errors
    ///
    /// No child can be started. What the verb says comes by the stream.
    pub async fn stream(&self, method: &str, mut parameters: Value) -> Result<(Sender, Stream), Error> {
        if let Some(parameters) = parameters.as_object_mut() {
            parameters.insert("stream".to_owned(), Value::Bool(true));
            parameters.entry("input").or_insert(Value::Bool(true));
        }
        // One request, and no other.
        let (child, input, output) = self.start(&["--workers", "0"])?;
        let mut sender = Sender { input };
        sender.say(&request(1, method, parameters)).await?;
        Ok((sender, Stream { _child: child, output: BufReader::new(output) }))
    }

    fn start(&self, options: &[&str]) -> Result<(Child, ChildStdin, ChildStdout), Error> {
        let mut command = Command::new(&self.inner.program);
        command.arg("rpc").args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        if let Some(home) = &self.inner.home {
            command.env("BELLJAR_HOME", home);
        }
        let mut child = command.spawn().map_err(|error| Error::attempt("start `belljar rpc`", &error))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok((child, input, output)),
            _ => Err(Error::new(Kind::Failed, "start `belljar rpc`: it has no pipes")),
        }
    }

    /// The shared child, another one if it was lost.
    fn line(&self) -> Result<Arc<Line>, Error> {
        let mut shared = self.inner.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = shared.as_ref().filter(|line| !line.to_write.is_closed()) {
            return Ok(Arc::clone(line));
        }
        let ready = self.inner.ready.to_string();
        let (child, input, output) = self.start(&["--ready", &ready])?;
        let line = Line::over(child, input, output);
        *shared = Some(Arc::clone(&line));
        Ok(line)
    }
}

fn request(id: u64, method: &str, parameters: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters })
}

fn line_of(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// The child that was asked is gone.
pub fn lost() -> Error {
    Error::new(Kind::Broken, "`belljar rpc` has ended").hint("ask again")
}

/// A line of the child, without its end; nothing at the end of what it says.
async fn read_line<R: AsyncRead + Unpin>(from: &mut BufReader<R>) -> Result<Option<Value>, Error> {
    let mut line = Vec::new();
    match from.read_until(b'\n', &mut line).await {
        Ok(0) => Ok(None),
        Ok(_) => serde_json::from_slice(&line)
            .map(Some)
            .map_err(|error| Error::new(Kind::Failed, format!("read what `belljar rpc` says: {error}"))),
        Err(error) => Err(Error::attempt("read what `belljar rpc` says", &error)),
    }
}

/// The result or the error in an answer.
fn answer_of(mut message: Value) -> Answer {
    let Some(error) = message.get_mut("error").map(Value::take) else {
        return Ok(message.get_mut("result").map(Value::take).unwrap_or_default());
    };
    let of_verb = error.get("data").and_then(|data| serde_json::from_value::<Error>(data.clone()).ok());
    Err(of_verb.unwrap_or_else(|| {
        Error::new(Kind::Failed, error.get("message").and_then(Value::as_str).unwrap_or("no reason is given"))
    }))
}

type Waiting = Mutex<HashMap<u64, oneshot::Sender<Answer>>>;

/// The shared child.
struct Line {
    to_write: mpsc::Sender<Vec<u8>>,
    waiting: Arc<Waiting>,
    next: AtomicU64,
}

impl Line {
    fn over(child: Child, mut input: ChildStdin, output: ChildStdout) -> Arc<Line> {
        let (to_write, mut lines) = mpsc::channel::<Vec<u8>>(WAITING);
        let waiting = Arc::new(Waiting::default());
        let answered = Arc::clone(&waiting);
        tokio::spawn(async move {
            // Held here: with this task the child ends.
            let _child = child;
            let mut output = BufReader::new(output);
            let written = async {
                while let Some(line) = lines.recv().await {
                    if input.write_all(&line).await.is_err() {
                        break;
                    }
                }
            };
            let heard = async {
                while let Ok(Some(message)) = read_line(&mut output).await {
                    let id = message.get("id").and_then(Value::as_u64);
                    let asked = id.and_then(|id| locked(&answered).remove(&id));
                    if let Some(asked) = asked {
                        // Who has gone meanwhile hears nothing.
                        let _ = asked.send(answer_of(message));
                    }
                }
            };
            tokio::select! { () = written => {}, () = heard => {} }
            lines.close();
            // Their askers hear that nobody answers.
            locked(&answered).clear();
        });
        Arc::new(Line { to_write, waiting, next: AtomicU64::new(1) })
    }

    async fn call(self: Arc<Line>, method: &str, parameters: Value) -> Answer {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, asked) = oneshot::channel();
        locked(&self.waiting).insert(id, answer);
        let mut asking = Asking { line: Arc::clone(&self), id, answered: false };
        self.to_write.send(line_of(&request(id, method, parameters))).await.map_err(|_| lost())?;
        let answer = asked.await;
        asking.answered = true;
        answer.unwrap_or_else(|_| Err(lost()))
    }
}

fn locked(waiting: &Waiting) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Answer>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Somebody who waits for an answer; who goes away cancels.
struct Asking {
    line: Arc<Line>,
    id: u64,
    answered: bool,
}

impl Drop for Asking {
    fn drop(&mut self) {
        if self.answered || locked(&self.line.waiting).remove(&self.id).is_none() {
            return;
        }
        let cancel = line_of(&request(0, "cancel", json!({ "id": self.id })));
        let line = Arc::clone(&self.line);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { line.to_write.send(cancel).await });
        }
    }
}

/// What a stream says.
#[derive(Debug)]
pub enum Said {
    /// The verb has printed something.
    Output {
        /// Whether to standard error.
        error: bool,
        /// What.
        bytes: Vec<u8>,
    },
    /// It is done.
    Result(Value),
}

/// Takes the standard input of a verb that streams.
pub struct Sender {
    input: ChildStdin,
}

impl Sender {
    /// Gives more of it.
    ///
    /// # Errors
    ///
    /// Nobody reads it any more.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let data = json!({ "base64": STANDARD.encode(bytes) });
        self.say(&request(2, "input", json!({ "id": 1, "data": data }))).await
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    ///
    /// As [`Sender::write`].
    pub async fn end(&mut self) -> Result<(), Error> {
        self.say(&request(2, "input", json!({ "id": 1, "end": true }))).await
    }

    /// Calls the verb off. Half a line may have been written before.
    async fn cancel(&mut self) -> Result<(), Error> {
        self.input.write_all(b"\n").await.map_err(|_| lost())?;
        self.say(&request(0, "cancel", json!({ "id": 1 }))).await
    }

    async fn say(&mut self, message: &Value) -> Result<(), Error> {
        self.input.write_all(&line_of(message)).await.map_err(|_| lost())
    }
}

/// A verb that reads to the end of its input, and does nothing with a part of it. Who drops this before `done` calls it off: to end the child
/// alone would be the end of the input, and a part would be taken for the whole.
pub struct Whole {
    ways: Option<(Sender, Stream)>,
}

impl Whole {
    /// Of a verb that was asked for.
    pub fn new(ways: (Sender, Stream)) -> Whole {
        Whole { ways: Some(ways) }
    }

    /// Its ways, until it is done.
    pub fn ways(&mut self) -> Option<(&mut Sender, &mut Stream)> {
        self.ways.as_mut().map(|(sender, stream)| (sender, stream))
    }

    /// Its result has come.
    pub fn done(&mut self) {
        self.ways = None;
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let (Some((mut sender, mut stream)), Ok(runtime)) = (self.ways.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(async move {
            let called_off = async {
                sender.cancel().await?;
                while let Said::Output { .. } = stream.next().await? {}
                Ok::<(), Error>(())
            };
            // With the child ends what does not answer.
            let _ = tokio::time::timeout(CALLED_OFF, called_off).await;
        });
    }
}

/// Hears what a verb that streams prints, and its result. Who drops it cancels the verb.
pub struct Stream {
    /// It ends with us.
    _child: Child,
    output: BufReader<ChildStdout>,
}

impl Stream {
    /// The next thing. To be called until it has answered the result.
    ///
    /// # Errors
    ///
    /// The verb's own, and the child was lost.
    pub async fn next(&mut self) -> Result<Said, Error> {
        loop {
            let Some(message) = read_line(&mut self.output).await? else { return Err(lost()) };
            if message.get("id").and_then(Value::as_u64) == Some(1) {
                return answer_of(message).map(Said::Result);
            }
            if let Some(output) = message.get("params").filter(|_| message["method"] == "output") {
                let bytes = match (output["data"].as_str(), output["base64"].as_str()) {
                    (Some(text), _) => text.as_bytes().to_vec(),
                    (None, Some(text)) => STANDARD
                        .decode(text)
                        .map_err(|error| Error::new(Kind::Failed, format!("read what was printed: {error}")))?,
                    (None, None) => continue,
                };
                return Ok(Said::Output { error: output["stream"] == "stderr", bytes });
            }
        }
    }
}
