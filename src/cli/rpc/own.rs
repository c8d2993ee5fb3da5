//! Parameters of the methods that are rpc's own, and those that every method takes besides its own. All are read as those of verbs are.

use super::call::Input;
use crate::error::Problem;
use crate::verbs::parameters::Take;
use crate::verbs::words::Word;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;

/// The id of a request.
#[derive(Debug, PartialEq)]
pub struct Id(pub Value);

/// `cancel`.
#[derive(Debug, Deserialize)]
pub struct Cancel {
    /// Of the request that is to end.
    pub id: Id,
}

/// `input`.
#[derive(Debug, Deserialize)]
pub struct InputOf {
    /// Of the request that reads it.
    pub id: Id,
    /// What it reads.
    pub data: Option<Word>,
    /// Whether nothing comes after it.
    #[serde(default)]
    pub end: bool,
}

/// `version`.
#[derive(Debug, Deserialize)]
pub struct Version {}

/// What every method takes besides.
#[derive(Debug, Deserialize)]
struct Streams {
    /// Whether what it prints is told as it comes.
    #[serde(default)]
    stream: bool,
    input: Option<Given>,
}

/// Standard input, or whether other requests give it.
#[derive(Debug, PartialEq)]
enum Given {
    Later(bool),
    All(Word),
}

/// Takes out of `parameters` whether what is printed is told as it comes, and what standard input is.
///
/// # Errors
///
/// Everything that is wrong with these two.
pub fn streams(parameters: &mut Map<String, Value>) -> Result<(bool, Input), Vec<Problem>> {
    let mut problems = Vec::new();
    let read = Streams::take(parameters, &mut problems);
    let Some(Streams { stream, input }) = read.filter(|_| problems.is_empty()) else { return Err(problems) };
    let input = match input {
        None | Some(Given::Later(false)) => Input::None,
        Some(Given::Later(true)) => Input::Given,
        Some(Given::All(word)) => Input::All(word.0.into_vec()),
    };
    Ok((stream, input))
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id of a request, text or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
        Ok(Id(text.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Id, E> {
        Ok(Id(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Id, E> {
        Ok(Id(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Id, E> {
        Ok(Id(number.into()))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Id, D::Error> {
        from.deserialize_any(IdVisitor)
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Given, D::Error> {
        let value = Value::deserialize(from)?;
        match value {
            Value::Bool(later) => Ok(Given::Later(later)),
            value => Word::deserialize(value)
                .map(Given::All)
                .map_err(|_| D::Error::custom("is true, text, a number or {\"base64\": \"...\"}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::parameters::read;
    use serde_json::json;

    fn of<T: Take>(value: Value) -> Result<T, String> {
        read("input", value.as_object().unwrap().clone(), |_| Vec::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_of_rpcs_own_methods_are_read_as_strictly_as_those_of_verbs() {
        let given: InputOf = of(json!({ "id": "a", "data": "x", "end": true })).unwrap();
        assert_eq!((given.id, given.data, given.end), (Id(json!("a")), Some("x".into()), true));
        let wrong = of::<InputOf>(json!({ "data": true, "end": "yes", "ned": 1 })).unwrap_err();
        let expected = "data: is text, a number or {\"base64\": \"...\"}; end: is true or false; id: is missing; \
            ned: is no parameter of `input`";
        assert_eq!(wrong, expected);
        assert_eq!(of::<Cancel>(json!({ "id": {} })).unwrap_err(), "id: is the id of a request, text or a number");
        assert!(of::<Version>(json!({ "x": 1 })).is_err());
    }

    #[test]
    fn input_is_all_of_it_or_what_other_requests_give() {
        let of = |value: Value| {
            let mut given = value.as_object().unwrap().clone();
            streams(&mut given).map(|(stream, input)| (stream, input, given))
        };
        assert!(matches!(of(json!({})), Ok((false, Input::None, _))));
        assert!(
            matches!(of(json!({ "stream": true, "input": true, "a": 1 })), Ok((true, Input::Given, rest)) if rest.len() == 1)
        );
        assert!(matches!(of(json!({ "input": 7 })), Ok((false, Input::All(bytes), _)) if bytes == b"7"));
        let problems = of(json!({ "stream": "yes", "input": ["a"] })).err().unwrap();
        assert_eq!(problems.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), ["input", "stream"]);
    }
}
