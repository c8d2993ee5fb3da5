//! Sessions: shells that keep running, and what they were given to do.
//!
//! A command's id is the number of its job, as text. Its log has three bytes before each line, 1 for standard output and 2 for
//! standard error, as the clients of today split it; to those of before it goes as text.

use super::{App, Body, sandboxes};
use crate::error::{Error, Kind};
use crate::serve::backend::Said;
use crate::serve::failure::{Answer, Failure};
use crate::serve::sockets;
use axum::Json;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// The session that stands for a sandbox's own command.
const ENTRYPOINT: &str = "entrypoint";
/// What stands before a line of standard output, and of standard error.
const MARKS: [&[u8]; 2] = [&[1, 1, 1], &[2, 2, 2]];

/// `POST /process/session`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Create {
    session_id: String,
}

/// An error that is about a session or a job.
fn of_session(error: Error) -> Failure {
    let code = match error.kind {
        Kind::SessionEnded | Kind::Lost => Some("SESSION_ENDED"),
        Kind::NotFound => Some("PROCESS_NOT_FOUND"),
        _ => None,
    };
    let failure = Failure::from(error);
    match code {
        Some(code) => failure.code(code),
        None => failure,
    }
}

/// Bytes of a result: text, or an object with `base64`.
pub fn bytes_of(value: &Value) -> Vec<u8> {
    match (value.as_str(), value["base64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(text)) => STANDARD.decode(text).unwrap_or_default(),
        (None, None) => Vec::new(),
    }
}

/// What clients read of a session.
fn view(session: &Value) -> Value {
    let commands: Vec<Value> = session["jobs"].as_array().into_iter().flatten().map(command_view).collect();
    json!({ "sessionId": session["id"], "commands": commands })
}

fn command_view(job: &Value) -> Value {
    let mut told = json!({ "id": job["job"].to_string(), "command": job["text"] });
    if let Some(code) = exit_code(&job["end"]) {
        told["exitCode"] = json!(code);
    }
    told
}

/// The exit code of a job that has ended.
fn exit_code(end: &Value) -> Option<i64> {
    (!end.is_null())
        .then(|| end["exit_code"].as_i64().unwrap_or(if end["timed_out"] == json!(true) { 124 } else { -1 }))
}

/// Shells of a sandbox.
async fn all(app: &App, id: &str) -> Answer<Vec<Value>> {
    sandboxes::find(app, id).await?.running()?;
    let told = app.backend.call("session.ls", json!({ "sandbox": id })).await.map_err(of_session)?;
    let sessions = told["sessions"].as_array().into_iter().flatten();
    Ok(sessions.filter(|session| session["kind"] == "shell" && session["ended"].is_null()).cloned().collect())
}

async fn one(app: &App, id: &str, session: &str) -> Answer<Value> {
    let missing = || Failure::not_found(format!("not found: session not found: {}", session.escape_debug()));
    all(app, id).await?.into_iter().find(|one| one["id"] == session).ok_or_else(missing)
}

/// `POST /process/session`.
pub async fn create(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(wish): Body<Create>,
) -> Answer<StatusCode> {
    if wish.session_id.is_empty() || wish.session_id == ENTRYPOINT {
        return Err(Failure::bad(format!("bad request: session id `{}` is empty or reserved", wish.session_id)));
    }
    let sandbox = sandboxes::find(&app, &id).await?;
    sandbox.running()?;
    let parameters = json!({ "sandbox": id, "id": wish.session_id });
    match app.backend.call("session.create", parameters).await {
        Ok(_) => {}
        Err(error) if error.kind == Kind::Exists => return Err(Failure::conflict("conflict: session already exists")),
        Err(error) => return Err(of_session(error)),
    }
    Ok(StatusCode::CREATED)
}

/// `GET /process/session`.
pub async fn list(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(all(&app, &id).await?.iter().map(view).collect()))
}

/// `GET /process/session/{session}`.
pub async fn get(State(app): State<Arc<App>>, Path((id, session)): Path<(String, String)>) -> Answer<Json<Value>> {
    if session == ENTRYPOINT {
        let commands: Vec<Value> = match entrypoint(&app, &id).await? {
            None => Vec::new(),
            Some(name) => {
                let told = app.backend.call("session.ls", json!({ "sandbox": id })).await.map_err(of_session)?;
                let mut sessions = told["sessions"].as_array().into_iter().flatten();
                let jobs = sessions.find(|one| one["id"] == name).and_then(|one| one["jobs"].as_array()).cloned();
                jobs.unwrap_or_default().iter().map(command_view).collect()
            }
        };
        return Ok(Json(json!({ "sessionId": ENTRYPOINT, "commands": commands })));
    }
    Ok(Json(view(&one(&app, &id, &session).await?)))
}

/// `DELETE /process/session/{session}`.
pub async fn delete(State(app): State<Arc<App>>, Path((id, session)): Path<(String, String)>) -> Answer<StatusCode> {
    one(&app, &id, &session).await?;
    app.backend.call("session.rm", json!({ "sandbox": id, "id": session })).await.map_err(of_session)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The session in which what the image starts by itself runs, if it starts something.
async fn entrypoint(app: &App, id: &str) -> Answer<Option<String>> {
    Ok(sandboxes::find(app, id).await?.record.entrypoint_session)
}

/// `GET /process/session/entrypoint/logs`.
pub async fn entrypoint_logs(
    State(app): State<Arc<App>>,
    Path((id, session)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer<Json<Value>> {
    if session != ENTRYPOINT {
        return Err(Failure::not_found("logs are those of a command of the session"));
    }
    let Some(name) = entrypoint(&app, &id).await? else {
        return Ok(Json(json!({ "output": "", "stdout": "", "stderr": "" })));
    };
    let told =
        app.backend.call("session.logs", json!({ "sandbox": id, "id": name, "job": 1 })).await.map_err(of_session)?;
    let (stdout, stderr) = (bytes_of(&told["stdout"]), bytes_of(&told["stderr"]));
    Ok(Json(json!({
        "output": String::from_utf8_lossy(&logged(&headers, &stdout, &stderr)),
        "stdout": String::from_utf8_lossy(&stdout),
        "stderr": String::from_utf8_lossy(&stderr),
    })))
}

/// `POST /process/session/{session}/exec`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Exec {
    command: String,
    run_async: Option<bool>,
    r#async: Option<bool>,
}

/// `POST /process/session/{session}/exec`.
pub async fn exec(
    State(app): State<Arc<App>>,
    Path((id, session)): Path<(String, String)>,
    headers: HeaderMap,
    Body(wish): Body<Exec>,
) -> Answer<Response> {
    if wish.command.trim().is_empty() {
        return Err(Failure::bad("bad request: empty command"));
    }
    let detach = wish.run_async.or(wish.r#async).unwrap_or(false);
    let parameters = json!({ "sandbox": id, "id": session, "lines": wish.command, "detach": detach });
    let told = app.backend.call("session.exec", parameters).await.map_err(of_session)?;
    let job = told["job"].to_string();
    if detach {
        return Ok((StatusCode::ACCEPTED, Json(json!({ "cmdId": job }))).into_response());
    }
    let (stdout, stderr) = (bytes_of(&told["stdout"]), bytes_of(&told["stderr"]));
    Ok(Json(json!({
        "cmdId": job,
        "output": String::from_utf8_lossy(&logged(&headers, &stdout, &stderr)),
        "stdout": String::from_utf8_lossy(&stdout),
        "stderr": String::from_utf8_lossy(&stderr),
        "exitCode": exit_code(&told["end"]),
    }))
    .into_response())
}

/// The log as this client reads it.
fn logged(headers: &HeaderMap, stdout: &[u8], stderr: &[u8]) -> Vec<u8> {
    if !marks_lines(headers) {
        return [stdout, stderr].concat();
    }
    let mut log = Marker::default().mark(0, stdout);
    log.extend(Marker::default().mark(1, stderr));
    log
}

/// Clients before 0.27 read text.
fn marks_lines(headers: &HeaderMap) -> bool {
    let version = headers.get("x-daytona-sdk-version").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(0), Some(minor)) => minor >= 27,
        _ => true,
    }
}

/// Puts marks before lines, of two streams in turn.
#[derive(Default)]
struct Marker {
    /// The stream whose line is open.
    open: Option<usize>,
}

impl Marker {
    /// The bytes of a stream, with marks where a line begins.
    fn mark(&mut self, stream: usize, bytes: &[u8]) -> Vec<u8> {
        let mut marked = Vec::with_capacity(bytes.len() + 16);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.open != Some(stream) {
                if self.open.is_some() {
                    marked.push(b'\n');
                }
                marked.extend_from_slice(MARKS.get(stream).copied().unwrap_or_default());
            }
            marked.extend_from_slice(line);
            self.open = (!line.ends_with(b"\n")).then_some(stream);
        }
        marked
    }

    /// A last line without an end gets one.
    fn end(&mut self) -> Vec<u8> {
        self.open.take().map(|_| b"\n".to_vec()).unwrap_or_default()
    }
}

fn job_of(job: &str) -> Answer<u64> {
    job.parse().map_err(|_| Failure::not_found(format!("not found: command not found: {}", job.escape_debug())))
}

/// `GET /process/session/{session}/command/{job}`.
pub async fn command(
    State(app): State<Arc<App>>,
    Path((id, session, job)): Path<(String, String, String)>,
) -> Answer<Json<Value>> {
    let number = job_of(&job)?;
    let session = one(&app, &id, &session).await?;
    let found = session["jobs"].as_array().into_iter().flatten().find(|one| one["job"] == json!(number));
    found
        .map(|job| Json(command_view(job)))
        .ok_or_else(|| Failure::not_found(format!("not found: command not found: {job}")))
}

/// `GET /process/session/{session}/command/{job}/logs`: all there is, or, by a websocket, all that comes.
pub async fn logs(
    State(app): State<Arc<App>>,
    Path((id, session, job)): Path<(String, String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer<Response> {
    let number = job_of(&job)?;
    let parameters = json!({ "sandbox": id, "id": session, "job": number });
    if let Some(upgrade) = upgrade.ok().filter(|_| query.get("follow").is_none_or(|follow| follow != "false")) {
        // Said before the upgrade, as an answer that clients understand.
        app.backend.call("session.logs", parameters.clone()).await.map_err(of_session)?;
        return Ok(upgrade.on_upgrade(move |socket| follow(app, parameters, socket)));
    }
    let told = app.backend.call("session.logs", parameters).await.map_err(of_session)?;
    let (stdout, stderr) = (bytes_of(&told["stdout"]), bytes_of(&told["stderr"]));
    Ok(Json(json!({
        "output": String::from_utf8_lossy(&logged(&headers, &stdout, &stderr)),
        "stdout": String::from_utf8_lossy(&stdout),
        "stderr": String::from_utf8_lossy(&stderr),
    }))
    .into_response())
}

/// Sends what a job writes, until it ends.
async fn follow(app: Arc<App>, mut parameters: Value, mut socket: WebSocket) {
    parameters["follow"] = json!(true);
    let (mut to, mut told) = match app.backend.stream("session.logs", parameters).await {
        Ok(stream) => stream,
        Err(error) => return sockets::close(socket, 1011, &error.to_string()).await,
    };
    let _ = to.end().await;
    let mut marker = Marker::default();
    loop {
        tokio::select! {
            said = told.next() => match said {
                Ok(Said::Output { error, bytes }) => {
                    let marked = marker.mark(usize::from(error), &bytes);
                    if socket.send(Message::Binary(marked.into())).await.is_err() {
                        return;
                    }
                }
                Ok(Said::Result(_)) => {
                    let end = marker.end();
                    if !end.is_empty() && socket.send(Message::Binary(end.into())).await.is_err() {
                        return;
                    }
                    return sockets::close(socket, 1000, "").await;
                }
                Err(error) => return sockets::close(socket, 1011, &error.to_string()).await,
            },
            heard = socket.recv() => match heard {
                // Pings are answered below.
                Some(Ok(Message::Close(_))) | Some(Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
}

/// `POST /process/session/{session}/command/{job}/input`.
pub async fn input(
    State(app): State<Arc<App>>,
    Path((id, session, job)): Path<(String, String, String)>,
    Body(wish): Body<Value>,
) -> Answer<StatusCode> {
    let number = job_of(&job)?;
    let mut data = wish["data"].as_str().ok_or_else(|| Failure::bad("data: is missing"))?.to_owned();
    if !data.ends_with('\n') {
        data.push('\n');
    }
    let parameters = json!({ "sandbox": id, "id": session, "job": number, "input": data });
    match app.backend.call("session.input", parameters).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(error) if error.kind == Kind::Ended => {
            Err(Failure::new(StatusCode::GONE, "gone: command already completed").code("COMMAND_ALREADY_COMPLETED"))
        }
        Err(error) => Err(of_session(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_marked_with_its_stream_however_it_comes() {
        let mut marker = Marker::default();
        let mut log = marker.mark(0, b"a\nb");
        log.extend(marker.mark(0, b"c\n"));
        log.extend(marker.mark(1, b"e"));
        log.extend(marker.mark(0, b"f"));
        log.extend(marker.end());
        assert_eq!(log, b"\x01\x01\x01a\n\x01\x01\x01bc\n\x02\x02\x02e\n\x01\x01\x01f\n");
    }
}
