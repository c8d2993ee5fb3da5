//! Processes of a sandbox: started, listened to by any number of clients, typed into and ended. Those on a terminal are
//! [`terminals`]'.
//!
//! A process outlives the client that started it, and ends with this server. Whoever listens is told everything from when he came;
//! who reads slowly makes it wait, and who has gone is forgotten.

use super::connect::{self, end, framed, streamed};
use super::record::Sandbox;
use super::watchers::Watchers;
use super::{inside, terminals};
use crate::error::{Error, Kind};
use crate::serve::App;
use crate::serve::backend::{Said, Sender, Stream};
use crate::serve::failure::{Answer, Failure};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Messages that wait for a slow listener.
const WAITING: usize = 64;
/// Says its number, and becomes the command.
const BEGIN: &str = "echo $$; exec \"$@\"";
/// What is taken at once of what is typed.
const PIECE: usize = 1 << 20;

/// All processes that were started here.
#[derive(Default)]
pub struct Processes {
    all: Mutex<Vec<Arc<Process>>>,
    /// Directories that are watched.
    pub watchers: Watchers,
    /// Who begins an interpreter.
    pub contexts: tokio::sync::Mutex<()>,
}

/// One that runs.
pub struct Process {
    sandbox: String,
    pid: u64,
    tag: Option<String>,
    config: Value,
    /// The session of its terminal.
    pub terminal: Option<String>,
    listeners: Mutex<Vec<mpsc::Sender<Bytes>>>,
    input: tokio::sync::Mutex<Sender>,
}

/// What a client asks for, as verbs have it.
pub struct Wanted {
    /// The command and its arguments.
    pub words: Vec<String>,
    /// Variables of its own.
    pub env: BTreeMap<String, String>,
    /// Where it begins.
    pub directory: Option<String>,
    /// How long it may take, in milliseconds.
    pub limit: Option<u64>,
}

/// What a process says, from a verb.
pub struct Begun {
    /// Its number.
    pub pid: u64,
    /// The session of its terminal.
    pub terminal: Option<String>,
    /// Takes what is typed.
    pub input: Sender,
    /// What it says.
    pub told: Stream,
    /// What it has said behind its number.
    pub rest: Vec<u8>,
    /// How long it may take, where the verb does not know.
    pub limit: Option<Duration>,
}

impl Processes {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<Process>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that a client means.
    fn find(&self, sandbox: &str, selector: &Value) -> Answer<Arc<Process>> {
        let pid = selector["pid"].as_u64();
        let tag = selector["tag"].as_str();
        let all = self.all();
        let mut of = all.iter().filter(|process| process.sandbox == sandbox);
        let found = of.find(|process| pid == Some(process.pid) || (tag.is_some() && process.tag.as_deref() == tag));
        found.cloned().ok_or_else(|| Failure::not_found(format!("there is no process {selector}")))
    }
}

impl Process {
    fn listeners(&self) -> MutexGuard<'_, Vec<mpsc::Sender<Bytes>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self) -> mpsc::Receiver<Bytes> {
        let (to, from) = mpsc::channel(WAITING);
        // There is room for what comes first.
        let _ = to.try_send(framed(&json!({ "event": { "start": { "pid": self.pid } } })));
        self.listeners().push(to);
        from
    }

    async fn tell(&self, message: Bytes) {
        let listeners = self.listeners().clone();
        for listener in listeners {
            // Who has gone is forgotten below.
            let _ = listener.send(message.clone()).await;
        }
        self.listeners().retain(|listener| !listener.is_closed());
    }
}

/// `POST /process.Process/{call}`.
pub async fn answer(
    State(app): State<Arc<App>>,
    Path(call): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let streams = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == connect::STREAM);
    let answered = async {
        let sandbox = inside(&app, &headers).await?;
        match call.as_str() {
            "Start" => start(&app, &sandbox, &headers, &connect::only(&body)?).await,
            "Connect" => {
                let asked = connect::only(&body)?;
                let process = app.processes.find(sandbox.id(), &asked["process"])?;
                Ok(streamed(process.listen(), connect::pulse(&headers), connect::alive()))
            }
            "StreamInput" => type_all(&app, &sandbox, connect::messages(&body)?).await,
            _ => one(&app, &sandbox, &call, &read(&body)?).await.map(|told| Json(told).into_response()),
        }
    };
    match answered.await {
        Ok(response) => response,
        Err(failure) if streams => connect::refused(&failure),
        Err(failure) => failure.into_response(),
    }
}

/// A message that stands alone.
pub fn read(body: &[u8]) -> Answer<Value> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|error| Failure::bad(format!("the body: {error}")))
}

fn words(value: &Value, key: &str) -> Vec<String> {
    value[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn wanted(sandbox: &Sandbox, headers: &HeaderMap, config: &Value) -> Answer<Wanted> {
    let command = config["cmd"].as_str().filter(|command| !command.is_empty());
    let command = command.ok_or_else(|| Failure::bad("process: cmd: is missing"))?;
    let mut all = vec![command.to_owned()];
    all.extend(words(config, "args"));
    let given: BTreeMap<String, String> = match &config["envs"] {
        Value::Null => BTreeMap::new(),
        envs => {
            serde_json::from_value(envs.clone()).map_err(|error| Failure::bad(format!("process: envs: {error}")))?
        }
    };
    let mut env = sandbox.env();
    env.extend(crate::serve::daytona::env_of(Some(given))?);
    let limit = headers.get("connect-timeout-ms").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let directory = config["cwd"].as_str().filter(|cwd| !cwd.is_empty()).map(str::to_owned);
    Ok(Wanted { words: all, env, directory, limit: limit.filter(|limit| *limit > 0) })
}

async fn start(app: &Arc<App>, sandbox: &Sandbox, headers: &HeaderMap, asked: &Value) -> Answer<Response> {
    let config = &asked["process"];
    let mut wanted = wanted(sandbox, headers, config)?;
    if let Some(directory) = &mut wanted.directory {
        *directory = app.path_inside(sandbox.id(), directory).await?;
    }
    let begun = if asked["pty"].is_object() {
        terminals::begin(app, sandbox, wanted, &asked["pty"]["size"]).await
    } else {
        // Standard input is open only where the client asks for it; it always did before it could ask.
        begin(app, sandbox, wanted, asked["stdin"] == json!(true)).await
    };
    let begun = begun.map_err(|failure| match failure.status {
        // The directory is what a client can have got wrong.
        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::NOT_FOUND if config["cwd"].is_string() => {
            Failure::bad(failure.message)
        }
        _ => failure,
    })?;
    let Begun { pid, terminal, input, told, rest, limit } = begun;
    let process = Arc::new(Process {
        sandbox: sandbox.id().to_owned(),
        pid,
        tag: asked["tag"].as_str().map(str::to_owned),
        config: config.clone(),
        terminal,
        listeners: Mutex::default(),
        input: tokio::sync::Mutex::new(input),
    });
    let listener = process.listen();
    app.processes.all().push(Arc::clone(&process));
    tokio::spawn(follow(Arc::clone(app), process, told, rest, limit));
    Ok(streamed(listener, connect::pulse(headers), connect::alive()))
}

async fn begin(app: &App, sandbox: &Sandbox, wanted: Wanted, has_input: bool) -> Answer<Begun> {
    let mut command = ["/bin/sh", "-c", BEGIN, "sh"].map(str::to_owned).to_vec();
    command.extend(wanted.words);
    let mut parameters = json!({ "name": sandbox.id(), "command": command, "env": wanted.env });
    if let Some(directory) = wanted.directory {
        parameters["workdir"] = Value::String(directory);
    }
    if let Some(limit) = wanted.limit {
        parameters["timeout"] = json!(format!("{limit}ms"));
    }
    let (mut input, mut told) = app.backend.stream("exec", parameters).await?;
    if !has_input {
        input.end().await?;
    }
    let (pid, rest) = first_line(&mut told).await?;
    Ok(Begun { pid, terminal: None, input, told, rest, limit: None })
}

/// The number of the process, and what it has written behind it.
pub async fn first_line(told: &mut Stream) -> Answer<(u64, Vec<u8>)> {
    let mut line = Vec::new();
    loop {
        match told.next().await? {
            Said::Output { error: false, bytes } => line.extend(bytes),
            Said::Output { error: true, .. } => {}
            Said::Result(result) => return Err(not_begun(&result)),
        }
        let Some(at) = line.iter().position(|byte| *byte == b'\n') else { continue };
        let rest = line.split_off(at + 1);
        let pid = std::str::from_utf8(&line[..at]).ok().and_then(|text| text.trim_end().parse().ok());
        let pid = pid.ok_or_else(|| Failure::new(StatusCode::BAD_GATEWAY, "the shell did not say its number"))?;
        return Ok((pid, rest));
    }
}

/// Why a command did not begin.
fn not_begun(result: &Value) -> Failure {
    let why = result["error"]["message"].as_str().unwrap_or("the command did not begin");
    match result["error"]["kind"].as_str() {
        Some("ended" | "lost") => Failure::new(StatusCode::BAD_GATEWAY, why),
        _ => Failure::bad(why),
    }
}

fn data(stream: &str, bytes: &[u8]) -> Bytes {
    framed(&json!({ "event": { "data": { stream: STANDARD.encode(bytes) } } }))
}

/// Tells what a process writes, to its end.
async fn follow(app: Arc<App>, process: Arc<Process>, mut told: Stream, rest: Vec<u8>, limit: Option<Duration>) {
    let name = |error: bool| match (&process.terminal, error) {
        (Some(_), _) => "pty",
        (None, true) => "stderr",
        (None, false) => "stdout",
    };
    let mut over = std::pin::pin!(async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    });
    if !rest.is_empty() {
        process.tell(data(name(false), &rest)).await;
    }
    let last = loop {
        let said = tokio::select! {
            said = told.next() => said,
            () = &mut over => break (None, Some(Failure::new(StatusCode::GATEWAY_TIMEOUT, "the time of the process is over"))),
        };
        match said {
            Ok(Said::Output { error, bytes }) => process.tell(data(name(error), &bytes)).await,
            Ok(Said::Result(result)) if process.terminal.is_some() => break terminals::ending(&result),
            Ok(Said::Result(result)) => break ending(&result),
            Err(error) => break (None, Some(of_end(error))),
        }
    };
    if let Some(session) = &process.terminal {
        terminals::remove(&app, &process.sandbox, session).await;
    }
    // Nobody finds it any more who comes now, and who is there is told.
    app.processes.all().retain(|other| !Arc::ptr_eq(other, &process));
    if let Some(event) = last.0 {
        process.tell(framed(&event)).await;
    }
    process.tell(end(last.1.as_ref())).await;
    process.listeners().clear();
}

/// A sandbox that has gone is no end of a process: its stream breaks off.
fn of_end(error: Error) -> Failure {
    let gone = matches!(error.kind, Kind::Ended | Kind::NotFound | Kind::Lost | Kind::NotRunning);
    let failure = Failure::from(error);
    if gone { failure.code("unavailable") } else { failure }
}

/// The event that ends a process, or the error that ends its stream.
pub type Ending = (Option<Value>, Option<Failure>);

/// A process that is over.
pub fn over(code: i64, exited: bool, status: String) -> Ending {
    let mut end = json!({ "exitCode": code, "exited": exited, "status": status });
    if code != 0 {
        end["error"] = json!(status);
    }
    (Some(json!({ "event": { "end": end } })), None)
}

fn ending(result: &Value) -> Ending {
    let failed = |status: StatusCode, why: &str| (None, Some(Failure::new(status, why)));
    match result["status"].as_str().unwrap_or_default() {
        "exited" => {
            let code = result["exit_code"].as_i64().unwrap_or(-1);
            over(code, true, format!("exit status {code}"))
        }
        "timed_out" => failed(StatusCode::GATEWAY_TIMEOUT, "the time of the process is over"),
        "out_of_memory" => over(137, false, "signal: killed (the sandbox's memory limit was passed)".to_owned()),
        "setup_failed" | "cancelled" => {
            let why = result["error"]["message"].as_str().unwrap_or("the sandbox has ended");
            failed(StatusCode::BAD_GATEWAY, why)
        }
        _ => {
            let name = result["signal"].as_str().unwrap_or("SIGKILL").trim_start_matches("SIG").to_lowercase();
            let name = if name == "kill" {
                "killed"
            } else if name == "term" {
                "terminated"
            } else {
                name.as_str()
            }
            .to_owned();
            over(-1, false, format!("signal: {name}"))
        }
    }
}

/// A call with one answer.
async fn one(app: &App, sandbox: &Sandbox, call: &str, asked: &Value) -> Answer<Value> {
    let find = || app.processes.find(sandbox.id(), &asked["process"]);
    match call {
        "List" => {
            let all = app.processes.all();
            let of = all.iter().filter(|process| process.sandbox == sandbox.id());
            let view = |process: &Arc<Process>| {
                let mut view = json!({ "config": process.config, "pid": process.pid });
                if let Some(tag) = &process.tag {
                    view["tag"] = json!(tag);
                }
                view
            };
            Ok(json!({ "processes": of.map(view).collect::<Vec<_>>() }))
        }
        "SendInput" => {
            type_in(app, &*find()?, &asked["input"]).await?;
            Ok(json!({}))
        }
        "Update" => {
            terminals::resize(app, sandbox.id(), &*find()?, &asked["pty"]["size"]).await?;
            Ok(json!({}))
        }
        "CloseStdin" => {
            let process = find()?;
            if process.terminal.is_some() {
                return Err(Failure::bad("process: a terminal has no standard input that ends; type Ctrl-D"));
            }
            process.input.lock().await.end().await?;
            Ok(json!({}))
        }
        "SendSignal" => {
            let process = find()?;
            let signal = match asked["signal"].as_str() {
                Some("SIGNAL_SIGKILL") => "KILL",
                Some("SIGNAL_SIGTERM") => "TERM",
                _ => return Err(Failure::bad("signal: it is none that is known")),
            };
            let command = json!(["/bin/sh", "-c", "kill -s \"$1\" \"$2\"", "sh", signal, process.pid.to_string()]);
            app.backend.call("exec", json!({ "name": sandbox.id(), "command": command })).await?;
            Ok(json!({}))
        }
        _ => Err(Failure::not_here(format!("process: `{}` is not done here", call.escape_debug()))),
    }
}

async fn type_in(app: &App, process: &Process, input: &Value) -> Answer<()> {
    let key = if process.terminal.is_some() { "pty" } else { "stdin" };
    let text = input[key].as_str().ok_or_else(|| Failure::bad(format!("input: {key}: is missing")))?;
    let bytes = STANDARD.decode(text).map_err(|error| Failure::bad(format!("input: {key}: {error}")))?;
    let mut to = process.input.lock().await;
    if let Some(session) = &process.terminal {
        return terminals::type_in(app, &process.sandbox, session, (&mut to, &bytes)).await;
    }
    for piece in bytes.chunks(PIECE) {
        to.write(piece).await?;
    }
    Ok(())
}

/// `StreamInput`: who it is for, and what is typed.
async fn type_all(app: &App, sandbox: &Sandbox, messages: Vec<Value>) -> Answer<Response> {
    let mut process = None;
    for message in messages {
        if message["start"].is_object() {
            process = Some(app.processes.find(sandbox.id(), &message["start"]["process"])?);
        } else if message["data"].is_object() {
            let process = process.as_ref().ok_or_else(|| Failure::bad("the first message says no process"))?;
            type_in(app, process, &message["data"]["input"]).await?;
        }
    }
    let body = [framed(&json!({})), end(None)].concat();
    Ok(([(header::CONTENT_TYPE, connect::STREAM)], body).into_response())
}
