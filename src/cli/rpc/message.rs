//! Messages: JSON-RPC 2.0 (<https://www.jsonrpc.org/specification>), one object a line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// What went wrong, by the numbers of the specification and ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// No JSON.
    Parse = -32700,
    /// No request.
    Request = -32600,
    /// No such method.
    Method = -32601,
    /// A parameter is wrong.
    Parameters = -32602,
    /// A worker was lost.
    Internal = -32603,
    /// The verb failed; `data` says how.
    Failed = -32000,
    /// It was cancelled before it had a result.
    Cancelled = -32800,
}

/// A request, or a notification when it has no id.
#[derive(Debug, PartialEq)]
pub struct Request {
    pub id: Option<Value>,
    pub method: String,
    pub parameters: Map<String, Value>,
}

/// Why a line is no request: the id as far as it is known, and what to answer.
pub type Refusal = (Value, Code, String);

/// Reads a line.
pub fn read(line: &[u8]) -> Result<Request, Refusal> {
    let value: Value =
        serde_json::from_slice(line).map_err(|error| (Value::Null, Code::Parse, format!("no JSON: {error}")))?;
    let Value::Object(mut object) = value else {
        return Err((Value::Null, Code::Request, "a request is one object a line; there are no batches".to_owned()));
    };
    let id = object.remove("id");
    let shown = id.clone().unwrap_or_default();
    let wrong = |why: &str| Err((shown.clone(), Code::Request, why.to_owned()));
    if !matches!(id, None | Some(Value::String(_) | Value::Number(_))) {
        return Err((Value::Null, Code::Request, "id: is a text or a number".to_owned()));
    }
    if object.get("jsonrpc") != Some(&json!("2.0")) {
        return wrong("jsonrpc: is \"2.0\"");
    }
    let Some(Value::String(method)) = object.remove("method") else { return wrong("method: is a text") };
    let parameters = match object.remove("params") {
        None => Map::new(),
        Some(Value::Object(parameters)) => parameters,
        Some(_) => return wrong("params: is an object, with parameters by name"),
    };
    Ok(Request { id, method, parameters })
}

/// A result.
pub fn result(id: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

/// An error; `data`: what more is known.
pub fn error(id: &Value, code: Code, message: &str, data: Option<Value>) -> Value {
    let mut error = json!({ "code": code as i32, "message": message });
    if let Some(data) = data {
        error["data"] = data;
    }
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}

/// What a request's command printed, as it came.
pub fn output(id: &Value, stream: &str, bytes: &[u8]) -> Value {
    let mut parameters = text(bytes);
    parameters["id"] = id.clone();
    parameters["stream"] = stream.into();
    json!({ "jsonrpc": "2.0", "method": "output", "params": parameters })
}

/// `{"data": TEXT}`, or `{"base64": ...}` for what is no text.
pub fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "data": text }),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// How much of `bytes` can be told now: a character whose end is still to come waits for it.
pub fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_request_or_says_why_not() {
        let whole = read(br#"{"jsonrpc":"2.0","id":7,"method":"ls","params":{"a":1}}"#).unwrap();
        assert_eq!((whole.id, whole.method.as_str(), whole.parameters.len()), (Some(json!(7)), "ls", 1));
        assert_eq!(read(br#"{"jsonrpc":"2.0","method":"ls"}"#).unwrap().id, None);
        let table: [(&[u8], Value, Code, &str); 7] = [
            (b"{", Value::Null, Code::Parse, "no JSON: "),
            (b"\xff", Value::Null, Code::Parse, "no JSON: "),
            (b"[]", Value::Null, Code::Request, "a request is one object a line"),
            (br#"{"id":1,"method":"ls"}"#, json!(1), Code::Request, "jsonrpc"),
            (br#"{"jsonrpc":"2.0","id":{},"method":"ls"}"#, Value::Null, Code::Request, "id"),
            (br#"{"jsonrpc":"2.0","id":"x"}"#, json!("x"), Code::Request, "method"),
            (br#"{"jsonrpc":"2.0","id":"x","method":"ls","params":[]}"#, json!("x"), Code::Request, "params"),
        ];
        for (line, id, code, why) in table {
            let refusal = read(line).unwrap_err();
            assert!(refusal.0 == id && refusal.1 == code && refusal.2.starts_with(why), "{refusal:?}");
        }
    }

    #[test]
    fn a_character_waits_for_its_end_and_what_is_no_text_does_not() {
        assert_eq!(whole_characters("aé".as_bytes()), 3);
        assert_eq!(whole_characters(&"aé".as_bytes()[..2]), 1);
        assert_eq!(whole_characters(b"a\xffb"), 3);
        assert_eq!(text(b"a\xffb"), json!({ "base64": "Yf9i" }));
    }
}
