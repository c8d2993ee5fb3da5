//! The channel by which clients hear of sandboxes that change: Socket.IO over one websocket, without its other transport.
//!
//! It tells of what is done through this server, after it is done. Clients that do not hear of something ask for it.

use super::record::Sandbox;
use crate::serve::App;
use crate::serve::access::unguessable;
use crate::serve::failure::{Answer, Failure};
use crate::serve::sockets;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

/// Events that wait for a slow listener, who misses older ones.
const WAITING: usize = 256;
/// Between two questions whether a listener is there, and how long he has for an answer.
const PING: Duration = Duration::from_secs(25);
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest message that a listener has to say.
const LONGEST: usize = 64 << 10;

/// Listeners who have not said yet that they may.
const MOST_STRANGERS: usize = 64;

/// Tells whoever listens.
pub struct Events {
    sender: broadcast::Sender<String>,
    /// Room for those who come by without a token: they say it over the websocket.
    strangers: Arc<Semaphore>,
}

impl Default for Events {
    fn default() -> Events {
        Events { sender: broadcast::channel(WAITING).0, strangers: Arc::new(Semaphore::new(MOST_STRANGERS)) }
    }
}

impl Events {
    fn tell(&self, name: &str, data: Value) {
        // Nobody may listen.
        let _ = self.sender.send(format!("42{}", json!([name, data])));
    }

    /// A sandbox was made.
    pub fn created(&self, view: &Value) {
        self.tell("sandbox.created", view.clone());
    }

    /// A sandbox is in another state than it was.
    pub fn changed(&self, before: &Sandbox, view: &Value) {
        let data = json!({ "sandbox": view, "oldState": before.state(), "newState": view["state"] });
        if data["oldState"] != data["newState"] {
            self.tell("sandbox.state.updated", data);
        }
    }
}

/// `GET /socket.io/`.
///
/// # Errors
///
/// It is not the websocket, or too many wait.
pub async fn connect(
    State(app): State<Arc<App>>,
    Query(query): Query<HashMap<String, String>>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Answer<Response> {
    let is = |key: &str, value: &str| query.get(key).is_some_and(|given| given == value);
    match upgrade {
        Ok(upgrade) if is("EIO", "4") && is("transport", "websocket") => {
            let Ok(stranger) = Arc::clone(&app.events.strangers).try_acquire_owned() else {
                let why = "socket.io: too many listeners have not said yet who they are; come again";
                return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, why));
            };
            Ok(upgrade.max_message_size(LONGEST).on_upgrade(move |socket| serve(app, socket, stranger)))
        }
        _ => Err(Failure::bad("socket.io: version 4, over a websocket, is spoken here")),
    }
}

async fn serve(app: Arc<App>, mut socket: WebSocket, stranger: OwnedSemaphorePermit) {
    let Ok(id) = unguessable() else { return sockets::close(socket, 1011, "no id can be made").await };
    let open = json!({
        "sid": &id[..20], "upgrades": [], "pingInterval": PING.as_millis() as u64,
        "pingTimeout": PATIENCE.as_millis() as u64, "maxPayload": LONGEST,
    });
    if socket.send(Message::text(format!("0{open}"))).await.is_err() {
        return;
    }
    // Whoever does not say in time that he may listen goes.
    match tokio::time::timeout(PATIENCE, said(&mut socket)).await {
        Ok(Some(text)) if may_listen(&app, &text) => {}
        Ok(Some(_)) => {
            let refused = json!({ "message": "the token is missing or wrong" });
            let _ = socket.send(Message::text(format!("44{refused}"))).await;
            return sockets::close(socket, 1008, "the token is missing or wrong").await;
        }
        Ok(None) => return,
        Err(_) => return sockets::close(socket, 1008, "nothing was said in time").await,
    }
    drop(stranger);
    let mut events = app.events.sender.subscribe();
    if socket.send(Message::text(format!("40{}", json!({ "sid": &id[20..40] })))).await.is_err() {
        return;
    }
    listen(&mut socket, &mut events).await;
}

/// Tells events, until the listener goes.
async fn listen(socket: &mut WebSocket, events: &mut broadcast::Receiver<String>) {
    let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING, PING);
    let mut answered = true;
    loop {
        let message = tokio::select! {
            event = events.recv() => match event {
                Ok(event) => event,
                // He asks for what he missed.
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return,
            },
            _ = ping.tick() => {
                if !std::mem::replace(&mut answered, false) {
                    return;
                }
                "2".to_owned()
            }
            text = said(socket) => match text.as_deref() {
                Some("3") => {
                    answered = true;
                    continue;
                }
                // He leaves.
                None | Some("1" | "41") => return,
                Some(_) => continue,
            },
        };
        if socket.send(Message::text(message)).await.is_err() {
            return;
        }
    }
}

/// The next text; nothing, where nothing more comes.
async fn said(socket: &mut WebSocket) -> Option<String> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => return Some(text.as_str().to_owned()),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
        }
    }
}

fn may_listen(app: &App, text: &str) -> bool {
    let told = text.strip_prefix("40").and_then(|told| serde_json::from_str::<Value>(told).ok());
    told.is_some_and(|told| told["token"].as_str().is_some_and(|token| app.access.is_token(token)))
}
