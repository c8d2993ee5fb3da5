//! The protocol that clients call "Connect", with bodies of JSON: one answer to one message, or a stream of messages, each behind
//! a byte of flags and four of its length. A stream ends with a message that says how.

use crate::serve::failure::{Answer, Failure};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;

/// The type of a stream, in both directions.
pub const STREAM: &str = "application/connect+json";
/// The flag of the message that ends a stream.
const END: u8 = 2;
/// Between two signs of life, where the client does not say.
const PULSE: Duration = Duration::from_secs(90);
/// Bytes before a message.
const HEAD: usize = 5;

/// A message of a stream.
pub fn framed(message: &Value) -> Bytes {
    with_flags(0, message)
}

/// The message that ends a stream; `error` where it did not end well.
pub fn end(error: Option<&Failure>) -> Bytes {
    let told = match error {
        None => json!({}),
        Some(failure) => json!({ "error": body(failure) }),
    };
    with_flags(END, &told)
}

fn with_flags(flags: u8, message: &Value) -> Bytes {
    let text = message.to_string();
    let mut bytes = vec![flags];
    bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.into()
}

/// The messages in the body of a request.
///
/// # Errors
///
/// It is cut off, or no JSON.
pub fn messages(mut body: &[u8]) -> Answer<Vec<Value>> {
    let mut all = Vec::new();
    while !body.is_empty() {
        let cut = || Failure::bad("the body: a message is cut off");
        let (head, rest) = body.split_at_checked(HEAD).ok_or_else(cut)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let (message, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        if head[0] & 1 != 0 {
            return Err(Failure::not_here("the body: compressed messages are not read"));
        }
        if head[0] & END == 0 {
            all.push(serde_json::from_slice(message).map_err(|error| Failure::bad(format!("the body: {error}")))?);
        }
        body = rest;
    }
    Ok(all)
}

/// The one message in the body of a request that streams its answer.
///
/// # Errors
///
/// As [`messages`], and there is none.
pub fn only(body: &[u8]) -> Answer<Value> {
    messages(body)?.into_iter().next().ok_or_else(|| Failure::bad("the body: it has no message"))
}

/// How long a stream may say nothing, as its client wishes it.
pub fn pulse(headers: &HeaderMap) -> Duration {
    let asked = headers.get("keepalive-ping-interval").and_then(|value| value.to_str().ok()?.parse().ok());
    asked.filter(|seconds| *seconds > 0).map_or(PULSE, Duration::from_secs)
}

/// The sign of life of a process.
pub fn alive() -> Value {
    json!({ "event": { "keepalive": {} } })
}

/// An answer that streams what is sent to the channel, and a sign of life where that is nothing for a while.
pub fn streamed(messages: mpsc::Receiver<Bytes>, pulse: Duration, alive: Value) -> Response {
    let begin = (messages, framed(&alive));
    let body = futures_util::stream::unfold(begin, move |(mut messages, alive)| async move {
        let message = match tokio::time::timeout(pulse, messages.recv()).await {
            Ok(message) => message?,
            Err(_) => alive.clone(),
        };
        Some((Ok::<_, std::convert::Infallible>(message), (messages, alive)))
    });
    ([(header::CONTENT_TYPE, STREAM)], Body::from_stream(body)).into_response()
}

/// A stream that ends at once, because it could not begin.
pub fn refused(failure: &Failure) -> Response {
    ([(header::CONTENT_TYPE, STREAM)], Body::from(end(Some(failure)))).into_response()
}

/// An error as clients read it.
pub fn body(failure: &Failure) -> Value {
    json!({ "code": code_of(failure), "message": failure.message })
}

/// The word for a status.
fn code_of(failure: &Failure) -> &'static str {
    if let Some(code) = failure.code {
        return code;
    }
    match failure.status {
        StatusCode::UNAUTHORIZED => "unauthenticated",
        StatusCode::FORBIDDEN => "permission_denied",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::CONFLICT => "already_exists",
        StatusCode::NOT_IMPLEMENTED => "unimplemented",
        StatusCode::GONE | StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => "deadline_exceeded",
        StatusCode::TOO_MANY_REQUESTS | StatusCode::INSUFFICIENT_STORAGE => "resource_exhausted",
        status if status.is_client_error() => "invalid_argument",
        _ => "internal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_are_written() {
        let body = [framed(&json!({ "a": 1 })), framed(&json!([])), end(None)].concat();
        assert_eq!(messages(&body).unwrap(), [json!({ "a": 1 }), json!([])]);
    }

    #[test]
    fn a_body_that_is_cut_off_or_lies_about_its_length_is_refused() {
        let whole = framed(&json!({ "a": 1 }));
        for length in 1..whole.len() {
            assert!(messages(&whole[..length]).is_err(), "{length}");
        }
        assert!(messages(&[0, 255, 255, 255, 255, b'{']).is_err());
        assert!(messages(&[1, 0, 0, 0, 2, b'{', b'}']).is_err());
        assert!(only(&[]).is_err() && only(&end(None)).is_err());
    }
}
