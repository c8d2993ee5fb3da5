//! Terminals, over websockets.

use super::{App, Body, process, sandboxes};
use crate::error::{Error, Kind};
use crate::serve::backend::{Said, Sender, Stream};
use crate::serve::failure::{Answer, Failure};
use crate::serve::sockets;
use axum::Json;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// What a client offers who wants to hear how the terminal ended.
const CONTROL: &str = "X-Daytona-Pty-Exit-Control";
/// What a client gives variables by.
const ENVS: &str = "X-Daytona-Pty-Envs~";
const SIZE: (u16, u16) = (80, 24);
const LARGEST: u16 = 1000;
/// What leaves a terminal alone, as Ctrl-] does for people.
const LEAVE: &[u8] = b"\x1d";
/// How long a terminal may take for what was typed before its client went.
const PATIENCE: Duration = Duration::from_secs(5);

/// `POST /process/pty`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Create {
    id: String,
    cwd: Option<String>,
    envs: Option<BTreeMap<String, String>>,
    cols: Option<u16>,
    rows: Option<u16>,
}

/// `POST /process/pty/{pty}/resize`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Resize {
    cols: u16,
    rows: u16,
}

fn size_of(cols: Option<u16>, rows: Option<u16>) -> Answer<(u16, u16)> {
    let given = (cols.filter(|cols| *cols > 0).unwrap_or(SIZE.0), rows.filter(|rows| *rows > 0).unwrap_or(SIZE.1));
    if given.0 > LARGEST || given.1 > LARGEST {
        return Err(Failure::bad(format!("bad request: a terminal has at most {LARGEST} columns and rows")));
    }
    Ok(given)
}

async fn make(app: &App, id: &str, wish: &Create) -> Answer<()> {
    if wish.id.is_empty() {
        return Err(Failure::bad("bad request: id is missing"));
    }
    let size = size_of(wish.cols, wish.rows)?;
    let sandbox = sandboxes::find(app, id).await?;
    sandbox.running()?;
    let mut env = sandbox.record.env.clone();
    env.extend([("TERM".to_owned(), "xterm-256color".to_owned())]);
    env.extend(process::env_of(wish.envs.clone())?);
    let mut command: Vec<String> = vec!["env".to_owned()];
    command.extend(env.iter().map(|(name, value)| format!("{name}={value}")));
    command.extend(
        ["sh", "-c", "for s in /bin/bash /usr/bin/bash; do [ -x $s ] && exec $s -i -l; done; exec sh -i"]
            .map(str::to_owned),
    );
    let mut parameters = json!({ "sandbox": id, "id": wish.id, "command": command });
    if let Some(cwd) = wish.cwd.as_deref().filter(|cwd| !cwd.is_empty()) {
        parameters["workdir"] = Value::String(app.inside(&sandbox, cwd).await?);
    }
    match app.backend.call("pty.create", parameters).await {
        Ok(_) => {}
        Err(error) if error.kind == Kind::Exists => {
            return Err(Failure::conflict(format!("conflict: PTY session with ID '{}' already exists", wish.id)));
        }
        Err(error) => return Err(error.into()),
    }
    resized(app, id, &wish.id, size).await
}

async fn resized(app: &App, id: &str, pty: &str, (columns, rows): (u16, u16)) -> Answer<()> {
    app.backend.call("pty.resize", json!({ "sandbox": id, "id": pty, "columns": columns, "rows": rows })).await?;
    app.sizes().insert((id.to_owned(), pty.to_owned()), (columns, rows));
    Ok(())
}

/// The terminals of a sandbox that have not ended.
async fn all(app: &App, id: &str) -> Answer<Vec<Value>> {
    let sandbox = sandboxes::find(app, id).await?;
    sandbox.running()?;
    let told = app.backend.call("session.ls", json!({ "sandbox": id })).await?;
    let sessions = told["sessions"].as_array().into_iter().flatten();
    let live = |session: &&Value| {
        session["kind"] == "terminal"
            && session["ended"].is_null()
            && session["jobs"].as_array().is_none_or(|jobs| jobs.iter().all(|job| job["end"].is_null()))
    };
    let view = |session: &Value| {
        let name = session["id"].as_str().unwrap_or_default();
        let (cols, rows) = app.sizes().get(&(id.to_owned(), name.to_owned())).copied().unwrap_or(SIZE);
        // Where it began and with what is not kept.
        json!({ "id": name, "active": true, "cols": cols, "rows": rows, "cwd": "", "envs": {}, "createdAt": sandbox.known["started"], "lazyStart": false })
    };
    Ok(sessions.filter(live).map(view).collect())
}

async fn one(app: &App, id: &str, pty: &str) -> Answer<Value> {
    let missing = || Failure::not_found(format!("not found: PTY session {} not found", pty.escape_debug()));
    all(app, id).await?.into_iter().find(|one| one["id"] == pty).ok_or_else(missing)
}

/// `POST /process/pty`.
pub async fn create(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(wish): Body<Create>,
) -> Answer<(StatusCode, Json<Value>)> {
    make(&app, &id, &wish).await?;
    Ok((StatusCode::CREATED, Json(json!({ "sessionId": wish.id }))))
}

/// `GET /process/pty`.
pub async fn list(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(json!({ "sessions": all(&app, &id).await? })))
}

/// `GET /process/pty/{pty}`.
pub async fn get(State(app): State<Arc<App>>, Path((id, pty)): Path<(String, String)>) -> Answer<Json<Value>> {
    one(&app, &id, &pty).await.map(Json)
}

/// `DELETE /process/pty/{pty}`.
pub async fn delete(State(app): State<Arc<App>>, Path((id, pty)): Path<(String, String)>) -> Answer<Json<Value>> {
    one(&app, &id, &pty).await?;
    app.backend.call("session.rm", json!({ "sandbox": id, "id": pty })).await?;
    app.sizes().remove(&(id, pty));
    Ok(Json(json!({ "message": "PTY session deleted" })))
}

/// `POST /process/pty/{pty}/resize`.
pub async fn resize(
    State(app): State<Arc<App>>,
    Path((id, pty)): Path<(String, String)>,
    Body(wish): Body<Resize>,
) -> Answer<Json<Value>> {
    let size = size_of(Some(wish.cols), Some(wish.rows))?;
    one(&app, &id, &pty).await?;
    resized(&app, &id, &pty, size).await?;
    one(&app, &id, &pty).await.map(Json)
}

/// What a client offers beside the protocol itself.
fn offered(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|word| word.trim().to_owned()).collect()
}

fn envs_of(offered: &[String]) -> Answer<Option<BTreeMap<String, String>>> {
    let Some(text) = offered.iter().find_map(|word| word.strip_prefix(ENVS)) else { return Ok(None) };
    let read = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    read.map(Some).ok_or_else(|| Failure::bad("bad request: the variables of the terminal cannot be read"))
}

/// `GET /process/pty/create-connect`.
pub async fn create_connect(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Answer<Response> {
    let offered = offered(&headers);
    let number = |key: &str| query.get(key).and_then(|value| value.parse().ok());
    let wish = Create {
        id: query.get("id").cloned().unwrap_or_default(),
        cwd: query.get("cwd").cloned(),
        envs: envs_of(&offered)?,
        cols: number("cols"),
        rows: number("rows"),
    };
    make(&app, &id, &wish).await?;
    Ok(connected(app, id, wish.id, &offered, upgrade))
}

/// `GET /process/pty/{pty}/connect`.
pub async fn connect(
    State(app): State<Arc<App>>,
    Path((id, pty)): Path<(String, String)>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Answer<Response> {
    one(&app, &id, &pty).await?;
    Ok(connected(app, id, pty, &offered(&headers), upgrade))
}

fn connected(app: Arc<App>, id: String, pty: String, offered: &[String], upgrade: WebSocketUpgrade) -> Response {
    let control = offered.iter().any(|word| word == CONTROL);
    upgrade.protocols([CONTROL]).on_upgrade(move |socket| attach(app, id, pty, control, socket))
}

/// Shows a terminal and takes what is typed, until it ends or the client goes; the terminal stays then.
async fn attach(app: Arc<App>, id: String, pty: String, control: bool, mut socket: WebSocket) {
    let status = |status: &str, more: Value| {
        let mut told = json!({ "type": "control", "status": status });
        if let (Some(told), Value::Object(more)) = (told.as_object_mut(), more) {
            told.extend(more);
        }
        Message::text(told.to_string())
    };
    // At once: clients wait for it no longer than the tenth of a second.
    if socket.send(status("connected", json!({}))).await.is_err() {
        return;
    }
    let (mut to, mut told) = match app.backend.stream("pty.attach", json!({ "sandbox": id, "id": pty })).await {
        Ok(stream) => stream,
        Err(error) => {
            let _ = socket.send(status("error", json!({ "error": error.to_string() }))).await;
            return sockets::close(socket, 1011, &error.to_string()).await;
        }
    };
    loop {
        tokio::select! {
            said = told.next() => match said {
                Ok(Said::Output { bytes, .. }) => {
                    if socket.send(Message::Binary(bytes.into())).await.is_err() {
                        return;
                    }
                }
                Ok(Said::Result(result)) => {
                    let code = result["end"]["exit_code"].as_i64().or(result["exit_code"].as_i64()).unwrap_or(137);
                    let mut end = json!({ "exitCode": code });
                    if code > 128 {
                        end["exitReason"] = json!("killed by a signal");
                    }
                    if control && socket.send(status("exited", end.clone())).await.is_err() {
                        return;
                    }
                    app.sizes().remove(&(id, pty));
                    let number = if control || code == 0 { 1000 } else { 1011 };
                    return sockets::close(socket, number, &end.to_string()).await;
                }
                Err(error) => {
                    // Its session was ended while somebody looked.
                    let ended = matches!(error.kind, Kind::Ended | Kind::NotFound | Kind::SessionEnded | Kind::Lost);
                    let end = json!({ "exitCode": 137, "exitReason": error.to_string() });
                    let said = if ended { status("exited", end.clone()) } else { status("error", json!({ "error": error.to_string() })) };
                    let _ = socket.send(said).await;
                    return sockets::close(socket, if ended && control { 1000 } else { 1011 }, &end.to_string()).await;
                }
            },
            heard = socket.recv() => {
                let typed = match heard {
                    Some(Ok(Message::Binary(bytes))) => bytes.to_vec(),
                    Some(Ok(Message::Text(text))) => text.as_bytes().to_vec(),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return leave(to, told).await,
                };
                // The next thing that is told says why where nobody reads.
                let _ = to.write(&typed).await;
            }
        }
    }
}

/// Leaves a terminal when all that was typed has come there: who cancels would take it away.
async fn leave(mut to: Sender, mut told: Stream) {
    let left = async {
        to.write(LEAVE).await?;
        while let Said::Output { .. } = told.next().await? {}
        Ok::<(), Error>(())
    };
    // Nobody is there who could be told, and a terminal that takes nothing is left as it is.
    let _ = tokio::time::timeout(PATIENCE, left).await;
}
