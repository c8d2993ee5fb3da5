//! What all websockets have in common.

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use std::time::Duration;

/// How long a client has to answer that it closes too.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest reason that a close frame can give.
const LONGEST_REASON: usize = 120;

/// Ends a connection with a code and its reason, and lets what was sent before arrive.
pub async fn close(mut socket: WebSocket, code: u16, reason: &str) {
    let mut end = reason.len().min(LONGEST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = reason[..end].to_owned();
    if socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await.is_err() {
        return;
    }
    // Until the other side has closed: a reset would take what is on its way.
    let _ = tokio::time::timeout(PATIENCE, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
}
