//! Messages on standard input and output, a line each.
//!
//! The library passes over a line that it cannot read, and whoever asked waits for ever. So every line is looked at first: one that is
//! no message, or too long, is answered here, with its id where that can be read.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::Mutex;

/// The longest message. Bytes.
pub const LONGEST: usize = 32 << 20;
/// Bytes on the way to the library, and back.
const ROOM: usize = 64 << 10;

/// What JSON-RPC says of a message that cannot be taken.
const UNREAD: i64 = -32700;
const INVALID: i64 = -32600;

#[derive(Deserialize)]
struct Head<'l> {
    #[serde(borrow)]
    id: Option<&'l RawValue>,
}

/// The id in a message that is wrong somewhere else.
fn id_of(line: &[u8]) -> Value {
    let head = serde_json::from_slice::<Head<'_>>(line).ok().and_then(|head| head.id);
    head.and_then(|id| serde_json::from_str(id.get()).ok()).unwrap_or_default()
}

/// Why a line is no message, as it is answered.
fn refusal(line: &[u8]) -> Option<Value> {
    let refused = |code: i64, why: String| {
        Some(json!({ "jsonrpc": "2.0", "id": id_of(line), "error": { "code": code, "message": why } }))
    };
    match serde_json::from_slice::<Value>(line) {
        Ok(message) if message["jsonrpc"] == "2.0" => None,
        Ok(_) => refused(INVALID, "it is no message of JSON-RPC 2.0".to_owned()),
        Err(error) => refused(UNREAD, format!("it cannot be read: {error}")),
    }
}

/// What a library reads and writes in the place of these two. What it was told is written when the second is awaited.
pub fn between(
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
) -> (DuplexStream, impl Future<Output = ()>) {
    let (theirs, ours) = duplex(ROOM);
    let (mut heard, told) = tokio::io::split(ours);
    let output = Arc::new(Mutex::new(output));
    let refusals = Arc::clone(&output);
    tokio::spawn(async move {
        let mut input = BufReader::new(input);
        // Where nobody hears us any more, or nothing more comes, the library is told that by the end.
        let mut told = told;
        while let Ok(Some(line)) = next(&mut input).await {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let refusal = if line.len() > LONGEST {
                let why = format!("a message has at most {} MiB", LONGEST >> 20);
                Some(json!({ "jsonrpc": "2.0", "id": null, "error": { "code": INVALID, "message": why } }))
            } else {
                refusal(&line)
            };
            let passed = match refusal {
                None => told.write_all(&line).await,
                Some(refusal) => write(&refusals, format!("{refusal}\n").as_bytes()).await,
            };
            if passed.is_err() {
                break;
            }
        }
        // The library hears the end by this.
        let _ = told.shutdown().await;
    });
    let written = async move {
        let mut lines = BufReader::new(&mut heard);
        loop {
            let mut line = Vec::new();
            match lines.read_until(b'\n', &mut line).await {
                Ok(count) if count > 0 && write(&output, &line).await.is_ok() => {}
                // Nobody reads, or nobody writes.
                _ => return,
            }
        }
    };
    (theirs, written)
}

async fn write(output: &Mutex<impl AsyncWrite + Unpin>, bytes: &[u8]) -> std::io::Result<()> {
    let mut output = output.lock().await;
    output.write_all(bytes).await?;
    output.flush().await
}

/// The next line with its end; of one that is too long, a little more than may be.
async fn next(input: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if (&mut *input).take(LONGEST as u64 + 1).read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    let mut rest = Vec::new();
    while line.len() > LONGEST && !line.ends_with(b"\n") && !rest.ends_with(b"\n") {
        rest.clear();
        if (&mut *input).take(ROOM as u64).read_until(b'\n', &mut rest).await? == 0 {
            break;
        }
    }
    if !line.ends_with(b"\n") {
        line.push(b'\n');
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_message_is_answered_with_its_id() {
        let of = |line: &str| refusal(line.as_bytes()).map(|told| (told["id"].clone(), told["error"]["code"].clone()));
        assert_eq!(of(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), None);
        assert_eq!(of(r#"{"jsonrpc":"1.0","id":77}"#), Some((json!(77), json!(INVALID))));
        assert_eq!(of(r#"{"jsonrpc":"2.0","id":"a","params":{"x":"\udcff"}}"#), Some((json!("a"), json!(UNREAD))));
        assert_eq!(of("no json"), Some((Value::Null, json!(UNREAD))));
        assert_eq!(of("[]"), Some((Value::Null, json!(INVALID))));
    }
}
