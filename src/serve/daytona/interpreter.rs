//! Interpreters that remember, over websockets.

use super::{App, Body, sandboxes};
use crate::error::Kind;
use crate::serve::backend::Said;
use crate::serve::failure::{Answer, Failure};
use crate::serve::sockets;
use axum::Json;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The context of whoever names none.
const DEFAULT: &str = "default";
/// What stands before a context's name among the sandbox's sessions.
const PREFIX: &str = "interpreter-";
/// Seconds for one piece of code, where nobody says otherwise.
const TIMEOUT: f64 = 600.0;
/// How long a client has to send what it asks.
const PATIENCE: Duration = Duration::from_secs(30);
/// The code of the end of one that took too long.
const TIMED_OUT: u16 = 4008;

/// `POST /process/interpreter/context`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Create {
    cwd: Option<String>,
    language: Option<String>,
}

/// What is to run.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Execute {
    code: String,
    context_id: Option<String>,
    envs: Option<BTreeMap<String, String>>,
    timeout: Option<f64>,
}

fn view(id: &str, cwd: &str, created: &Value) -> Value {
    json!({ "id": id, "cwd": cwd, "language": "python", "active": true, "createdAt": created })
}

/// Names of the contexts that were made.
async fn all(app: &App, id: &str) -> Answer<Vec<String>> {
    let told = app.backend.call("session.ls", json!({ "sandbox": id })).await?;
    let sessions = told["sessions"].as_array().into_iter().flatten();
    let python = sessions.filter(|session| session["kind"] == "python" && session["ended"].is_null());
    Ok(python.filter_map(|session| Some(session["id"].as_str()?.strip_prefix(PREFIX)?.to_owned())).collect())
}

/// `GET /process/interpreter/context`.
pub async fn list(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    let sandbox = sandboxes::find(&app, &id).await?;
    sandbox.running()?;
    let names = all(&app, &id).await?;
    let contexts: Vec<Value> =
        names.iter().filter(|name| *name != DEFAULT).map(|name| view(name, "", &sandbox.known["started"])).collect();
    Ok(Json(json!({ "contexts": contexts })))
}

/// `POST /process/interpreter/context`.
pub async fn create(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(wish): Body<Create>,
) -> Answer<Json<Value>> {
    if let Some(language) = wish.language.filter(|language| language != "python") {
        return Err(Failure::bad(format!("bad request: unsupported language: {}", language.escape_debug())));
    }
    let sandbox = sandboxes::find(&app, &id).await?;
    sandbox.running()?;
    let name = crate::serve::access::unguessable()?[..16].to_owned();
    let cwd = match wish.cwd.as_deref().filter(|cwd| !cwd.is_empty()) {
        Some(cwd) => app.inside(&sandbox, cwd).await?,
        None => app.inside(&sandbox, ".").await?,
    };
    // The first piece of code makes it.
    let parameters =
        code_of(&id, &name, &format!("import os as _os\n_os.chdir({})\ndel _os", Value::String(cwd.clone())));
    let told = app.backend.call("code", parameters).await?;
    if let Some(error) = told["end"]["error"].as_object() {
        let why = error.get("value").and_then(Value::as_str).unwrap_or("the interpreter did not begin");
        return Err(Failure::bad(format!("bad request: cwd: {why}")));
    }
    Ok(Json(view(&name, &cwd, &sandbox.known["started"])))
}

/// `DELETE /process/interpreter/context/{context}`.
pub async fn delete(State(app): State<Arc<App>>, Path((id, context)): Path<(String, String)>) -> Answer<Json<Value>> {
    if context == DEFAULT {
        return Err(Failure::bad("bad request: the default context cannot be deleted"));
    }
    sandboxes::find(&app, &id).await?.running()?;
    match app.backend.call("session.rm", json!({ "sandbox": id, "id": format!("{PREFIX}{context}") })).await {
        Ok(_) => Ok(Json(json!({ "message": "Context deleted" }))),
        Err(error) if error.kind == Kind::NotFound => {
            Err(Failure::not_found(format!("not found: context {} not found", context.escape_debug())))
        }
        Err(error) => Err(error.into()),
    }
}

fn code_of(id: &str, context: &str, code: &str) -> Value {
    json!({ "sandbox": id, "context": format!("{PREFIX}{context}"), "lang": "python", "code": code })
}

/// `GET /process/interpreter/execute`.
pub async fn execute(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Answer<Response> {
    sandboxes::find(&app, &id).await?.running()?;
    Ok(upgrade.on_upgrade(move |socket| run(app, id, socket)))
}

async fn run(app: Arc<App>, id: String, mut socket: WebSocket) {
    let asked = tokio::time::timeout(PATIENCE, socket.recv()).await;
    let wish = match asked {
        Ok(Some(Ok(Message::Text(text)))) => serde_json::from_str::<Execute>(&text).map_err(|error| error.to_string()),
        Ok(Some(Ok(Message::Binary(bytes)))) => {
            serde_json::from_slice::<Execute>(&bytes).map_err(|error| error.to_string())
        }
        Ok(Some(Ok(_))) | Err(_) => Err("the first message has to be a request".to_owned()),
        Ok(Some(Err(_)) | None) => return,
    };
    let wish = match wish {
        Ok(wish) => wish,
        Err(why) => return sockets::close(socket, 1008, &why).await,
    };
    let context = wish.context_id.as_deref().unwrap_or(DEFAULT);
    if context != DEFAULT {
        match all(&app, &id).await {
            Ok(names) if names.iter().any(|name| name == context) => {}
            Ok(_) => return sockets::close(socket, 1008, &format!("context {context} not found")).await,
            Err(failure) => return sockets::close(socket, 1011, &failure.message).await,
        }
    }
    // Statements, whose last one is not shown; variables hold for this call.
    let code = wrapped(&wish.code, &wish.envs.unwrap_or_default());
    let mut parameters = code_of(&id, context, &code);
    let timeout = wish.timeout.unwrap_or(TIMEOUT);
    parameters["timeout"] =
        json!(if timeout > 0.0 { format!("{}ms", (timeout * 1000.0).ceil() as u64) } else { "none".to_owned() });
    let (mut to, mut told) = match app.backend.stream("code", parameters).await {
        Ok(stream) => stream,
        Err(error) => return sockets::close(socket, 1011, &error.to_string()).await,
    };
    let _ = to.end().await;
    loop {
        tokio::select! {
            said = told.next() => match said {
                Ok(Said::Output { error, bytes }) => {
                    let kind = if error { "stderr" } else { "stdout" };
                    let told = json!({ "type": kind, "text": String::from_utf8_lossy(&bytes) });
                    if socket.send(Message::text(told.to_string())).await.is_err() {
                        return;
                    }
                }
                Ok(Said::Result(result)) => return ended(socket, &result["end"]).await,
                Err(error) => return sockets::close(socket, 1011, &error.to_string()).await,
            },
            heard = socket.recv() => match heard {
                // Who goes away interrupts what he asked for.
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
}

async fn ended(mut socket: WebSocket, end: &Value) {
    if end["timed_out"] == json!(true) {
        return sockets::close(socket, TIMED_OUT, "execution timed out").await;
    }
    let mut last = Vec::new();
    if let Some(error) = end["error"].as_object() {
        let part = |key: &str| {
            error.get(key).map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned)).unwrap_or_default()
        };
        if part("name") != "SystemExit" {
            last.push(json!({ "type": "error", "name": part("name"), "value": part("value"), "traceback": part("traceback") }));
        }
    }
    let control = if end["interrupted"] == json!(true) { "interrupted" } else { "completed" };
    last.push(json!({ "type": "control", "text": control }));
    for message in last {
        if socket.send(Message::text(message.to_string())).await.is_err() {
            return;
        }
    }
    sockets::close(socket, 1000, "").await;
}

/// The code so that nothing of it is shown but what it prints.
fn wrapped(code: &str, envs: &BTreeMap<String, String>) -> String {
    // A statement at the end, so that no value is the last.
    if envs.is_empty() {
        return format!("{code}\npass");
    }
    let envs = Value::Object(envs.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect());
    format!(
        "import os as __os\n__old, __new = dict(__os.environ), {envs}\n__os.environ.update(__new)\ntry:\n    exec(compile({}, '<cell>', 'exec'), globals())\n\
         finally:\n    __os.environ.clear(); __os.environ.update(__old)\npass",
        Value::String(code.to_owned())
    )
}
