//! Messages: JSON-RPC 2.0 (<https://www.jsonrpc.org/specification>), one object a line.

use crate::error::{Error, Kind, Problem};
use crate::verbs;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::fmt;

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

/// Why a request is not done: what to answer.
#[derive(Debug, PartialEq)]
pub struct Refusal {
    pub code: Code,
    pub error: Error,
    /// What the command line would exit with.
    pub exit_code: i32,
}

impl Refusal {
    /// Of what is no verb that runs a command.
    pub fn new(code: Code, error: Error) -> Refusal {
        let exit_code = verbs::exit_code(&error);
        Refusal { code, error, exit_code }
    }

    /// Something is wrong with this field of the request.
    pub fn of(code: Code, field: &str, message: &str) -> Refusal {
        Refusal::new(code, Error::misused(vec![Problem::new(field, message)]))
    }

    /// It cannot be understood as a whole.
    pub fn whole(code: Code, message: impl Into<String>) -> Refusal {
        Refusal::new(code, Error::new(Kind::Misused, message))
    }
}

/// The id of a line that is no request, as far as it is known, and why it is none.
pub type Unread = Box<(Value, Refusal)>;

/// Reads a line.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read(line: &[u8]) -> Result<Request, Unread> {
    let twice = RefCell::new(Vec::new());
    let mut json = serde_json::Deserializer::from_slice(line);
    let value = Once(&twice).deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    let value =
        value.map_err(|error| Box::new((Value::Null, Refusal::whole(Code::Parse, format!("no JSON: {error}")))))?;
    let Value::Object(mut object) = value else {
        let why = "a request is one object a line; there are no batches";
        return Err(Box::new((Value::Null, Refusal::whole(Code::Request, why))));
    };
    let id = object.remove("id");
    if !matches!(id, None | Some(Value::String(_) | Value::Number(_))) {
        return Err(Box::new((Value::Null, Refusal::of(Code::Request, "id", "is a text or a number"))));
    }
    let mut problems: Vec<Problem> = Vec::new();
    let twice = twice.into_inner();
    // Readers of JSON differ in which of two they take (RFC 8259, 4).
    problems.extend(twice.iter().map(|name| Problem::new(name, "is given twice")));
    if object.get("jsonrpc") != Some(&json!("2.0")) {
        problems.push(Problem::new("jsonrpc", "is \"2.0\""));
    }
    let method = match object.remove("method") {
        Some(Value::String(method)) => method,
        _ => {
            problems.push(Problem::new("method", "is a text"));
            String::new()
        }
    };
    let parameters = match object.remove("params") {
        None => Map::new(),
        Some(Value::Object(parameters)) => parameters,
        Some(_) => {
            problems.push(Problem::new("params", "is an object, with parameters by name"));
            Map::new()
        }
    };
    if !problems.is_empty() {
        let id = id.filter(|_| !twice.iter().any(|name| name == "id"));
        let refusal = Refusal::new(Code::Request, Error::misused(problems));
        return Err(Box::new((id.unwrap_or_default(), refusal)));
    }
    Ok(Request { id, method, parameters })
}

/// Reads JSON, and remembers the names that an object has twice.
#[derive(Clone, Copy)]
struct Once<'t>(&'t RefCell<Vec<String>>);

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = items.next_key::<String>()? {
            let value = items.next_value_seed(self)?;
            if all.insert(name.clone(), value).is_some() && !self.0.borrow().contains(&name) {
                self.0.borrow_mut().push(name);
            }
        }
        Ok(all.into())
    }
}

/// A result.
pub fn result(id: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

/// An error, with the error object of belljar and the exit code that the command line would have.
pub fn error(id: &Value, code: Code, error: &Error, exit_code: i32) -> Value {
    let mut data = json!(error);
    data["exit_code"] = exit_code.into();
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code as i32, "message": error.message, "data": data } })
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
            let (of, refusal) = *read(line).unwrap_err();
            assert!(of == id && refusal.code == code && refusal.error.message.starts_with(why), "{refusal:?}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_in_an_object_is_refused() {
        let table: [(&[u8], Value, &[&str]); 3] = [
            (br#"{"jsonrpc":"2.0","id":1,"method":"rm","params":{"name":"a","name":"b"}}"#, json!(1), &["name"]),
            (br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ls","method":"rm"}"#, Value::Null, &["id", "method"]),
            (br#"{"jsonrpc":"2.0","id":1,"method":"run","params":{"env":{"A":1,"A":2}}}"#, json!(1), &["A"]),
        ];
        for (line, id, fields) in table {
            let (of, refusal) = *read(line).unwrap_err();
            let named: Vec<&str> = refusal.error.problems.iter().map(|problem| problem.field.as_str()).collect();
            assert_eq!((of, refusal.code, named.as_slice()), (id, Code::Request, fields));
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
