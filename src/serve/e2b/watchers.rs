//! Directories that are watched: a stream for one client, or a list that fills until somebody asks for it.

use super::connect::{end, framed, streamed};
use super::record::Sandbox;
use crate::error::{Error, Kind};
use crate::serve::App;
use crate::serve::access::unguessable;
use crate::serve::backend::{Said, Stream};
use crate::serve::failure::{Answer, Failure};
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Events that wait for a slow client.
const WAITING: usize = 256;
/// Events that are kept until somebody asks for them.
const MOST_KEPT: usize = 10_000;
/// Lists that fill, of all sandboxes.
const MOST: usize = 256;

/// Lists that fill, by their names.
#[derive(Default)]
pub struct Watchers(Mutex<HashMap<String, Watcher>>);

struct Watcher {
    sandbox: String,
    kept: Arc<Mutex<Kept>>,
    /// Ends the watching with the value.
    _watching: tokio::task::JoinSet<()>,
}

#[derive(Default)]
struct Kept {
    events: Vec<Value>,
    /// Why no more come.
    ended: Option<Failure>,
}

impl Watchers {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Watcher>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn locked(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory that is watched.
struct Watched {
    told: Stream,
    /// The beginning of a line.
    line: Vec<u8>,
    /// Lines that have come and were not told.
    lines: std::collections::VecDeque<Value>,
}

impl Watched {
    /// Watches from now on.
    async fn begin(app: &App, sandbox: &Sandbox, asked: &Value) -> Answer<Watched> {
        let path = asked["path"].as_str().filter(|path| !path.is_empty());
        let path = app.path_inside(sandbox.id(), path.ok_or_else(|| Failure::bad("path: is missing"))?).await?;
        let recursive = asked["recursive"] == json!(true);
        let parameters = json!({ "sandbox": sandbox.id(), "path": path, "recursive": recursive });
        let (mut to, told) = app.backend.stream("fs.watch", parameters).await?;
        to.end().await?;
        let mut watched = Watched { told, line: Vec::new(), lines: std::collections::VecDeque::new() };
        // The first word is that it has begun.
        watched.next().await.map_err(of_watch)?;
        Ok(watched)
    }

    /// The next change; nothing, where the directory has gone.
    async fn next(&mut self) -> Result<Option<Value>, Error> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(Some(line));
            }
            match self.told.next().await? {
                Said::Output { error: false, bytes } => {
                    self.line.extend(bytes);
                    while let Some(at) = self.line.iter().position(|byte| *byte == b'\n') {
                        let line: Vec<u8> = self.line.drain(..=at).collect();
                        self.lines.extend(serde_json::from_slice::<Value>(&line).ok());
                    }
                }
                Said::Output { error: true, .. } => {}
                Said::Result(_) => return Ok(None),
            }
        }
    }
}

fn of_watch(error: Error) -> Failure {
    match error.kind {
        Kind::NotFound => Failure::not_found(error.to_string()),
        Kind::Ended | Kind::Lost | Kind::NotRunning => Failure::from(error).code("unavailable"),
        _ => error.into(),
    }
}

/// A change as clients read it. A name that is no text cannot be told to them.
fn event_of(changed: &Value) -> Option<Value> {
    let kind = match changed["what"].as_str()? {
        "created" => "EVENT_TYPE_CREATE",
        "written" => "EVENT_TYPE_WRITE",
        "removed" => "EVENT_TYPE_REMOVE",
        "renamed" => "EVENT_TYPE_RENAME",
        "permissions" => "EVENT_TYPE_CHMOD",
        _ => return None,
    };
    Some(json!({ "name": changed["path"].as_str()?, "type": kind }))
}

/// `WatchDir`: tells changes as they come, to its client alone.
///
/// # Errors
///
/// There is no such directory.
pub async fn stream(app: &App, sandbox: &Sandbox, asked: &Value, pulse: Duration) -> Answer<Response> {
    let mut watched = Watched::begin(app, sandbox, asked).await?;
    let (to, from) = mpsc::channel::<Bytes>(WAITING);
    tokio::spawn(async move {
        let told = async {
            let mut next = framed(&json!({ "start": {} }));
            loop {
                if to.send(next).await.is_err() {
                    return;
                }
                next = loop {
                    match watched.next().await {
                        Ok(Some(changed)) => {
                            if let Some(event) = event_of(&changed) {
                                break framed(&json!({ "filesystem": event }));
                            }
                        }
                        Ok(None) => return drop(to.send(end(None)).await),
                        Err(error) => return drop(to.send(end(Some(&of_watch(error)))).await),
                    }
                };
            }
        };
        // Who has gone watches no more.
        tokio::select! { () = told => {}, () = to.closed() => {} }
    });
    Ok(streamed(from, pulse, json!({ "keepalive": {} })))
}

/// `CreateWatcher`, `GetWatcherEvents` and `RemoveWatcher`.
///
/// # Errors
///
/// There is no such directory or watcher.
pub async fn one(app: &App, sandbox: &Sandbox, call: &str, asked: &Value) -> Answer<Value> {
    if call == "CreateWatcher" {
        return create(app, sandbox, asked).await;
    }
    let missing = || Failure::not_found("there is no such watcher");
    let name = asked["watcherId"].as_str().ok_or_else(|| Failure::bad("watcherId: is missing"))?;
    let mut all = app.processes.watchers.all();
    let watcher = all.get(name).filter(|watcher| watcher.sandbox == sandbox.id()).ok_or_else(missing)?;
    if call == "RemoveWatcher" {
        all.remove(name);
        return Ok(json!({}));
    }
    let kept = Arc::clone(&watcher.kept);
    let mut kept = locked(&kept);
    let events = std::mem::take(&mut kept.events);
    match kept.ended.take() {
        Some(failure) if events.is_empty() => {
            all.remove(name);
            Err(failure)
        }
        ended => {
            kept.ended = ended;
            Ok(json!({ "events": events }))
        }
    }
}

async fn create(app: &App, sandbox: &Sandbox, asked: &Value) -> Answer<Value> {
    let mut watched = Watched::begin(app, sandbox, asked).await?;
    let kept = Arc::new(Mutex::new(Kept::default()));
    let filled = Arc::clone(&kept);
    let mut watching = tokio::task::JoinSet::new();
    watching.spawn(async move {
        let why = loop {
            match watched.next().await {
                Ok(Some(changed)) => {
                    let mut kept = locked(&filled);
                    kept.events.extend(event_of(&changed));
                    if kept.events.len() > MOST_KEPT {
                        break Failure::new(
                            StatusCode::TOO_MANY_REQUESTS,
                            "there were more changes than are kept; watch again",
                        );
                    }
                }
                Ok(None) => break Failure::not_found("the directory has gone"),
                Err(error) => break of_watch(error),
            }
        };
        locked(&filled).ended = Some(why);
    });
    let name = unguessable()?[..24].to_owned();
    let mut all = app.processes.watchers.all();
    // Nobody asks for those of a sandbox that has gone.
    all.retain(|_, watcher| locked(&watcher.kept).ended.is_none() || watcher.sandbox == sandbox.id());
    if all.len() >= MOST {
        return Err(Failure::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!("more than {MOST} directories are watched; stop some"),
        ));
    }
    all.insert(name.clone(), Watcher { sandbox: sandbox.id().to_owned(), kept, _watching: watching });
    Ok(json!({ "watcherId": name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_an_event_of_theirs_and_nothing_else_is() {
        let of = |what: &str| event_of(&json!({ "what": what, "path": "a/b" })).map(|event| event["type"].clone());
        assert_eq!(of("created"), Some(json!("EVENT_TYPE_CREATE")));
        assert_eq!(of("permissions"), Some(json!("EVENT_TYPE_CHMOD")));
        assert_eq!(of("begun"), None);
        assert_eq!(event_of(&json!({ "what": "created", "path": { "base64": "/w==" } })), None);
    }
}
