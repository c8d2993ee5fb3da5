//! The code interpreter: contexts that remember, and what code says as lines of JSON, while it runs.
//!
//! A context is a session of the sandbox, started when it is first needed, with a front of ours in it that tells results in all of
//! their forms at once. Which contexts there are stands in the sandbox's record; what they remember goes with their session. Who goes
//! away interrupts the code that he waits for.

mod imports;

use super::inside;
use super::record::{Context, Sandbox};
use crate::error::Kind;
use crate::serve::App;
use crate::serve::access::unguessable;
use crate::serve::backend::{Said, Stream};
use crate::serve::daytona::{Body, env_of};
use crate::serve::failure::{Answer, Failure};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// What stands before a context's name among the sandbox's sessions.
const PREFIX: &str = "e2b-";
/// The type of what the fronts tell.
const TOLD: &str = "application/vnd.belljar.e2b+json";
/// Lines that wait for a slow client.
const WAITING: usize = 64;
/// Code that is longer than a request of a verb takes goes as a file.
const LONGEST: usize = 100 << 10;
const PYTHON: &str = concat!(include_str!("../figures.py"), include_str!("interpreter/front.py"));
const NODE: &str = include_str!("interpreter/front.js");

/// What can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Python,
    JavaScript,
    Bash,
}

impl Language {
    fn of(name: &str) -> Answer<Language> {
        match name {
            "" | "python" | "python3" => Ok(Language::Python),
            "javascript" | "js" | "node" => Ok(Language::JavaScript),
            "bash" | "sh" | "shell" => Ok(Language::Bash),
            other => Err(Failure::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("language `{}` is not run here; python, javascript and bash are", other.escape_debug()),
            )),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::JavaScript => "javascript",
            Language::Bash => "bash",
        }
    }

    /// As verbs call it.
    fn verb(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::JavaScript => "node",
            Language::Bash => "sh",
        }
    }

    /// What runs first in each of its sessions.
    fn front(self) -> &'static str {
        match self {
            Language::Python => PYTHON,
            Language::JavaScript => NODE,
            Language::Bash => ":",
        }
    }
}

/// `POST /execute`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Execute {
    code: String,
    context_id: Option<String>,
    language: Option<String>,
    env_vars: Option<BTreeMap<String, String>>,
}

/// `POST /contexts`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Create {
    language: Option<String>,
    cwd: Option<String>,
}

fn given_to_all(language: Language) -> Context {
    Context { id: language.name().to_owned(), language: language.name().to_owned(), cwd: String::new() }
}

/// The context of that name: one that was made, or one of those that are always there.
fn find(sandbox: &Sandbox, id: &str) -> Answer<(Context, Language)> {
    let always = [Language::Python, Language::JavaScript, Language::Bash].map(given_to_all);
    let found = sandbox.record.contexts.iter().chain(&always).find(|context| context.id == id);
    let missing = || Failure::not_found(format!("context {} not found", id.escape_debug()));
    let context = found.cloned().ok_or_else(missing)?;
    let language = Language::of(&context.language)?;
    Ok((context, language))
}

fn session_of(context: &Context) -> String {
    format!("{PREFIX}{}", context.id)
}

/// `GET /contexts`.
pub async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer<Json<Value>> {
    let sandbox = inside(&app, &headers).await?;
    let cwd = app.path_inside(sandbox.id(), ".").await?;
    let always =
        [Language::Python, Language::JavaScript].map(|language| Context { cwd: cwd.clone(), ..given_to_all(language) });
    let all: Vec<&Context> = always.iter().chain(&sandbox.record.contexts).collect();
    Ok(Json(json!(all)))
}

/// `POST /contexts`.
pub async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(wish): Body<Create>,
) -> Answer<Json<Context>> {
    let mut sandbox = inside(&app, &headers).await?;
    let language = Language::of(wish.language.as_deref().unwrap_or_default())?;
    let cwd = wish.cwd.as_deref().filter(|cwd| !cwd.is_empty()).unwrap_or(".");
    let cwd = app.path_inside(sandbox.id(), cwd).await?;
    let context = Context { id: unguessable()?[..16].to_owned(), language: language.name().to_owned(), cwd };
    ready(&app, &sandbox, &context, language).await?;
    sandbox.record.contexts.push(context.clone());
    sandbox.write(&app).await?;
    Ok(Json(context))
}

/// `DELETE /contexts/{id}`.
pub async fn remove(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Answer<StatusCode> {
    let mut sandbox = inside(&app, &headers).await?;
    let (context, _) = find(&sandbox, &id)?;
    ended(&app, &sandbox, &context).await?;
    sandbox.record.contexts.retain(|one| one.id != id);
    sandbox.write(&app).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /contexts/{id}/restart`.
pub async fn restart(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Answer<StatusCode> {
    let sandbox = inside(&app, &headers).await?;
    let (context, language) = find(&sandbox, &id)?;
    ended(&app, &sandbox, &context).await?;
    ready(&app, &sandbox, &context, language).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends the session of a context, where it has one.
async fn ended(app: &App, sandbox: &Sandbox, context: &Context) -> Answer<()> {
    match app.backend.call("session.rm", json!({ "sandbox": sandbox.id(), "id": session_of(context) })).await {
        Err(error) if error.kind != Kind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn code_of(sandbox: &Sandbox, context: &Context, language: Language, code: &str) -> Value {
    json!({ "sandbox": sandbox.id(), "context": session_of(context), "lang": language.verb(), "code": code })
}

/// Sees to it that a context has a session, with our front in it.
async fn ready(app: &App, sandbox: &Sandbox, context: &Context, language: Language) -> Answer<()> {
    // Two that come at once make one.
    let _alone = app.processes.contexts.lock().await;
    let told = app.backend.call("session.ls", json!({ "sandbox": sandbox.id() })).await?;
    let session = session_of(context);
    let mut sessions = told["sessions"].as_array().into_iter().flatten();
    if sessions.any(|one| one["id"] == session && one["ended"].is_null() && one["kind"] != "silent") {
        return Ok(());
    }
    let mut parameters = code_of(sandbox, context, language, language.front());
    parameters["env"] = json!(sandbox.env());
    if !context.cwd.is_empty() {
        parameters["workdir"] = json!(context.cwd);
    }
    let told = app.backend.call("code", parameters).await.map_err(|error| match error.kind {
        Kind::NotFound | Kind::NotADirectory if !context.cwd.is_empty() => Failure::bad(format!("cwd: {error}")),
        _ => error.into(),
    })?;
    match told["end"]["error"].as_object() {
        None => Ok(()),
        Some(error) => Err(Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the interpreter did not begin: {}", error.get("value").and_then(Value::as_str).unwrap_or("?")),
        )),
    }
}

/// `POST /execute`.
pub async fn execute(State(app): State<Arc<App>>, headers: HeaderMap, Body(wish): Body<Execute>) -> Answer<Response> {
    let sandbox = inside(&app, &headers).await?;
    let language = wish.language.as_deref().filter(|language| !language.is_empty());
    let (context, language) = match (wish.context_id.as_deref().filter(|id| !id.is_empty()), language) {
        (Some(_), Some(_)) => return Err(Failure::bad("only one of context_id and language can be given")),
        (Some(id), None) => find(&sandbox, id)?,
        (None, language) => {
            let language = Language::of(language.unwrap_or_default())?;
            (given_to_all(language), language)
        }
    };
    let env = env_of(wish.env_vars)?;
    ready(&app, &sandbox, &context, language).await?;
    let code = match language {
        Language::Python => headed(&app, &sandbox, &wish.code, &env).await?,
        Language::JavaScript => imports::as_calls(&wish.code),
        Language::Bash => wish.code,
    };
    let own = if language == Language::Python { BTreeMap::new() } else { env };
    if !own.is_empty() {
        let set = variables(language, own.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))));
        app.backend.call("code", code_of(&sandbox, &context, language, &set)).await?;
    }
    let (mut to, told) = app.backend.stream("code", code_of(&sandbox, &context, language, &code)).await?;
    to.end().await?;
    let (lines, heard) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        tokio::select! {
            // Who has gone interrupts it, because nobody holds the stream any more.
            () = lines.closed() => {}
            () = tell(told, language, &lines) => {}
        }
        if !own.is_empty() {
            let always = sandbox.env();
            let unset =
                variables(language, own.keys().map(|name| (name.as_str(), always.get(name).map(String::as_str))));
            // A sandbox that has gone has no variables.
            let _ = app.backend.call("code", code_of(&sandbox, &context, language, &unset)).await;
        }
    });
    let body = futures_util::stream::unfold(heard, |mut heard| async {
        let line: io::Result<Bytes> = heard.recv().await?;
        Some((line, heard))
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], axum::body::Body::from_stream(body)).into_response())
}

/// Python code behind a line for our front: variables of the call, and where the code is that is too long to stand here.
async fn headed(app: &App, sandbox: &Sandbox, code: &str, env: &BTreeMap<String, String>) -> Answer<String> {
    if code.len() <= LONGEST {
        return Ok(format!("#belljar {}\n{code}", json!({ "env": env })));
    }
    let path = format!("/tmp/.belljar-code-{}", &unguessable()?[..16]);
    app.backend.call("fs.write", json!({ "sandbox": sandbox.id(), "path": path, "input": code })).await?;
    Ok(format!("#belljar {}\n", json!({ "env": env, "file": path })))
}

/// Code that sets variables, or takes them away.
fn variables<'v>(language: Language, all: impl Iterator<Item = (&'v str, Option<&'v str>)>) -> String {
    let one = |(name, value): (&str, Option<&str>)| match (language, value) {
        (Language::Bash, Some(value)) => format!("export {name}='{}'\n", value.replace('\'', "'\\''")),
        (Language::Bash, None) => format!("unset {name}\n"),
        (_, Some(value)) => format!("process.env[{}] = {};\n", json!(name), json!(value)),
        (_, None) => format!("delete process.env[{}];\n", json!(name)),
    };
    let code: String = all.map(one).collect();
    if language == Language::Bash { code } else { format!("{code}undefined") }
}

type Lines = mpsc::Sender<io::Result<Bytes>>;

async fn say(lines: &Lines, told: Value) {
    // Who has gone is noticed by whoever waits for that.
    let _ = lines.send(Ok(format!("{told}\n").into())).await;
}

/// Tells what code says, to its end. A sandbox that goes cuts the answer off: clients ask why then.
async fn tell(mut told: Stream, language: Language, lines: &Lines) {
    let mut texts = [Text::default(), Text::default()];
    loop {
        match told.next().await {
            Ok(Said::Output { error, bytes }) => {
                let text = texts[usize::from(error)].take(&bytes);
                if !text.is_empty() {
                    say(lines, output(error, &text)).await;
                }
            }
            Ok(Said::Result(result)) => {
                for (error, rest) in [(false, texts[0].rest()), (true, texts[1].rest())] {
                    if !rest.is_empty() {
                        say(lines, output(error, &rest)).await;
                    }
                }
                for line in last_of(&result, language) {
                    say(lines, line).await;
                }
                return;
            }
            Err(error) => {
                let _ = lines.send(Err(io::Error::other(error.to_string()))).await;
                return;
            }
        }
    }
}

fn output(error: bool, text: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    json!({ "type": if error { "stderr" } else { "stdout" }, "text": text, "timestamp": now })
}

/// Text that comes in pieces, which may end within a letter.
#[derive(Default)]
struct Text(Vec<u8>);

impl Text {
    fn take(&mut self, bytes: &[u8]) -> String {
        self.0.extend_from_slice(bytes);
        // The beginning of a letter may go on.
        let last = self.0.utf8_chunks().last().map(|chunk| chunk.invalid()).unwrap_or_default();
        let is_open = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
        let rest = self.0.split_off(if is_open { self.0.len() - last.len() } else { self.0.len() });
        String::from_utf8_lossy(&std::mem::replace(&mut self.0, rest)).into_owned()
    }

    fn rest(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.0)).into_owned()
    }
}

/// What is told when code is over: its results, what it raised, and that it is over.
fn last_of(result: &Value, language: Language) -> Vec<Value> {
    let mut last = Vec::new();
    for one in result["results"].as_array().into_iter().flatten() {
        let (media_type, data) = (one["media_type"].as_str(), one["data"].as_str().unwrap_or_default());
        let Some(Value::Object(mut told)) =
            (media_type == Some(TOLD)).then(|| serde_json::from_str(data).ok()).flatten()
        else {
            continue;
        };
        let kind = if told.contains_key("execution_count") { "number_of_executions" } else { "result" };
        told.insert("type".to_owned(), json!(kind));
        last.push(Value::Object(told));
    }
    if result["truncated"] == json!(true) {
        last.push(output(true, "belljar: there was more than 10 MiB, and the rest was dropped\n"));
    }
    last.extend(error_of(&result["end"], language));
    last.push(json!({ "type": "end_of_execution" }));
    last
}

fn error_of(end: &Value, language: Language) -> Option<Value> {
    let told = |name: &str, value: &str, traceback: &str| {
        Some(json!({ "type": "error", "name": name, "value": value, "traceback": traceback }))
    };
    if let Some(error) = end["error"].as_object() {
        let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        return told(part("name"), part("value"), part("traceback"));
    }
    if end["session_ended"] == json!(true) {
        return told("ContextEnded", "the interpreter has ended, and what it remembered is gone", "");
    }
    let code = end["exit_code"].as_i64()?;
    match language {
        Language::Bash if code == 0 => None,
        Language::Bash => told("ExitCode", &code.to_string(), ""),
        Language::Python | Language::JavaScript => {
            told("SystemExit", &code.to_string(), &format!("SystemExit: {code}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_that_comes_in_two_pieces_is_one() {
        let mut text = Text::default();
        let bytes = "aü€".as_bytes();
        let told: Vec<String> = bytes.iter().map(|byte| text.take(&[*byte])).collect();
        assert_eq!(told.concat() + &text.rest(), "aü€");
        assert_eq!((text.take(b"\xffb\xe2"), text.rest()), ("\u{fffd}b".to_owned(), "\u{fffd}".to_owned()));
    }

    #[test]
    fn what_ended_code_is_an_error_with_a_name() {
        let name = |end: Value, language| error_of(&end, language).map(|error| error["name"].clone());
        assert_eq!(name(json!({ "exit_code": 0 }), Language::Bash), None);
        assert_eq!(name(json!({ "exit_code": 3 }), Language::Bash), Some(json!("ExitCode")));
        assert_eq!(name(json!({}), Language::Python), None);
        assert_eq!(name(json!({ "exit_code": 0 }), Language::Python), Some(json!("SystemExit")));
        assert_eq!(
            name(json!({ "exit_code": 9, "session_ended": true }), Language::Python),
            Some(json!("ContextEnded"))
        );
        assert_eq!(name(json!({ "error": { "name": "E" } }), Language::Python), Some(json!("E")));
    }

    #[test]
    fn variables_are_written_so_that_nothing_in_them_is_code() {
        let all = [("A", Some("it's `$x`")), ("B", None)];
        assert_eq!(variables(Language::Bash, all.into_iter()), "export A='it'\\''s `$x`'\nunset B\n");
        let script = "process.env[\"A\"] = \"it's `$x`\";\ndelete process.env[\"B\"];\nundefined";
        assert_eq!(variables(Language::JavaScript, all.into_iter()), script);
    }
}
