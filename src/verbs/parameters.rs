//! Reads a verb's parameters from JSON and reports everything that is wrong with them, not the first only.
//!
//! A verb's struct says its fields by serde; [`Take`] takes these out of the object, so that one struct may hold another whose
//! fields stand beside its own. Whatever nobody took is no parameter. A parameter that is missing or wrong is read as if it were
//! something that fits, so that the verb can say what is wrong with the values of the others.

use crate::error::{Error, Problem};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, Expected, IntoDeserializer, MapAccess, Unexpected, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// What can be read from parameters.
pub trait Take: Sized {
    /// Takes its own out of `given`. What is wrong is among `problems`, and something that fits is in its place; `None` where
    /// nothing fits.
    fn take(given: &mut Map<String, Value>, problems: &mut Vec<Problem>) -> Option<Self>;

    /// The names of its parameters.
    fn names() -> Vec<&'static str>;
}

impl<T: DeserializeOwned> Take for T {
    fn take(given: &mut Map<String, Value>, problems: &mut Vec<Problem>) -> Option<T> {
        let names = T::names();
        let mut own: BTreeMap<String, Given> = BTreeMap::new();
        for name in &names {
            // What is null was not given.
            if let Some(value) = given.remove(*name).filter(|value| !value.is_null()) {
                own.insert((*name).to_owned(), Given::Value(value));
            }
        }
        loop {
            let at = RefCell::new(None);
            let fault = match T::deserialize(Fields { own: &own, at: &at, names: None }) {
                Ok(read) => return Some(read),
                Err(fault) => fault,
            };
            let (name, message) = match (at.into_inner(), fault) {
                (Some(name), fault) => (name, fault.to_string()),
                (None, Fault::Missing(name)) => (name.to_owned(), "is missing".to_owned()),
                (None, Fault::Wrong(message)) => {
                    problems.push(Problem::new("parameters", message));
                    return None;
                }
            };
            if matches!(own.insert(name.clone(), Given::Anything), Some(Given::Anything)) {
                return None;
            }
            problems.push(Problem::new(&name, message));
        }
    }

    fn names() -> Vec<&'static str> {
        let names = RefCell::new(&[][..]);
        // It fails for want of anything to read, and has said by then what it wants to read.
        let _ = T::deserialize(Fields { own: &BTreeMap::new(), at: &RefCell::new(None), names: Some(&names) });
        names.into_inner().to_vec()
    }
}

/// Reads all parameters of a verb. `values`: what is wrong with the values of its parameters, asked for only where something
/// else is wrong, since the verb says it by itself otherwise.
///
/// # Errors
///
/// `misused`, with everything that is wrong.
pub fn read<T: Take>(
    method: &str,
    mut given: Map<String, Value>,
    values: impl FnOnce(T) -> Vec<Problem>,
) -> Result<T, Error> {
    let mut problems = Vec::new();
    let read = T::take(&mut given, &mut problems);
    let unknown = given
        .keys()
        .map(|name| Problem::new(name, format!("is no parameter of `{method}`")).hint(takes(method, &T::names())));
    problems.extend(unknown);
    match read {
        Some(read) if problems.is_empty() => Ok(read),
        read => {
            let more = read.map(values).unwrap_or_default();
            let new = more.into_iter().filter(|more| !problems.iter().any(|known| known.field == more.field));
            let new: Vec<Problem> = new.collect();
            problems.extend(new);
            Err(Error::misused(problems))
        }
    }
}

/// Names the fields of an error as `T` names its parameters: what the layers below call a sandbox or an image is the `name` of a
/// verb that takes nothing else.
pub fn name_fields<T: Take>(mut error: Error) -> Error {
    let names = T::names();
    let others = |field: &str| match field {
        "sandbox" | "volume" => &["name"][..],
        "image" | "name" => &["name", "ref"],
        "session" => &["id"],
        "archive" | "layer" => &["file", "ref"],
        "recipe" => &["dir"],
        _ => &[],
    };
    for problem in error.problems.iter_mut().filter(|problem| !names.contains(&problem.field.as_str())) {
        if let Some(name) = others(&problem.field).iter().find(|name| names.contains(name)) {
            (*name).clone_into(&mut problem.field);
        }
    }
    error
}

/// What there is instead of a parameter that is none.
fn takes(method: &str, names: &[&str]) -> String {
    if names.is_empty() { format!("`{method}` takes no parameters") } else { format!("it takes {}", names.join(", ")) }
}

/// Why something is no value of a parameter.
#[derive(Debug)]
enum Fault {
    /// There is none.
    Missing(&'static str),
    /// What it is, or has to be.
    Wrong(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Missing(name) => write!(f, "has no `{name}`"),
            Fault::Wrong(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Fault {
        Fault::Wrong(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::Wrong(format!("is {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::Wrong(format!("is {expected}"))
    }

    fn missing_field(name: &'static str) -> Fault {
        Fault::Missing(name)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Fault {
        Fault::Wrong(format!("`{}` is not {}", variant.escape_debug(), one_of(expected)))
    }
}

/// `a`, `b` or `c`.
fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.concat(),
    }
}

/// The value of a parameter.
#[derive(Clone)]
enum Given {
    /// As it was given.
    Value(Value),
    /// What fits, in the place of one that is missing or wrong.
    Anything,
}

impl Given {
    fn wrong(expected: &str) -> Fault {
        Fault::Wrong(format!("is {expected}"))
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Given {
    type Deserializer = Given;

    fn into_deserializer(self) -> Given {
        self
    }
}

impl<'de> Deserializer<'de> for Given {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            // Text stands for numbers too.
            Given::Anything => visitor.visit_str("0"),
            Given::Value(Value::Null) => visitor.visit_unit(),
            Given::Value(Value::Bool(value)) => visitor.visit_bool(value),
            Given::Value(Value::String(text)) => visitor.visit_string(text),
            Given::Value(Value::Number(number)) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            },
            Given::Value(Value::Array(items)) => {
                visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Given::Value)))
            }
            Given::Value(Value::Object(object)) => {
                let items = object.into_iter().map(|(name, value)| (name, Given::Value(value)));
                visitor.visit_map(MapDeserializer::new(items))
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Given::Anything => visitor.visit_bool(false),
            Given::Value(Value::Bool(value)) => visitor.visit_bool(value),
            Given::Value(_) => Err(Given::wrong("true or false")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Given::Value(Value::Null) => visitor.visit_none(),
            given => visitor.visit_some(given),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self {
            Given::Anything => visitor.visit_enum(words.first().copied().unwrap_or_default().into_deserializer()),
            Given::Value(Value::String(word)) => visitor.visit_enum(word.into_deserializer()),
            Given::Value(_) => Err(Given::wrong(&one_of(words))),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The fields of a struct: remembers what the struct wants, and which field is being read.
struct Fields<'a> {
    own: &'a BTreeMap<String, Given>,
    at: &'a RefCell<Option<String>>,
    names: Option<&'a RefCell<&'static [&'static str]>>,
}

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = Fault;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if let Some(names) = self.names {
            names.replace(fields);
        }
        let items = self.own.iter().map(|(name, value)| (name.clone(), value.clone()));
        visitor.visit_map(Watched { items: MapDeserializer::new(items), own: self.own.keys(), at: self.at })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_struct("", &[], visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Watched<'a, I> {
    items: I,
    own: std::collections::btree_map::Keys<'a, String, Given>,
    at: &'a RefCell<Option<String>>,
}

impl<'de, I: MapAccess<'de>> MapAccess<'de> for Watched<'_, I> {
    type Error = I::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, I::Error> {
        self.at.replace(self.own.next().cloned());
        self.items.next_key_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, I::Error> {
        let value = self.items.next_value_seed(seed)?;
        self.at.replace(None);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        #[serde(default)]
        keep: bool,
        size: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Stop {
        name: String,
        #[serde(default)]
        force: bool,
    }

    #[derive(Debug, PartialEq)]
    struct Both(Inner, Stop);

    impl Take for Both {
        fn take(given: &mut Map<String, Value>, problems: &mut Vec<Problem>) -> Option<Both> {
            let (inner, stop) = (Inner::take(given, problems), Stop::take(given, problems));
            Some(Both(inner?, stop?))
        }

        fn names() -> Vec<&'static str> {
            [Inner::names(), Stop::names()].concat()
        }
    }

    fn of<T: Take>(value: Value) -> Result<T, String> {
        read("stop", value.as_object().unwrap().clone(), |_| Vec::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_struct_in_a_struct_takes_what_is_its_own() {
        let both: Both = of(json!({ "name": "a", "keep": true, "size": null })).unwrap();
        assert_eq!(both, Both(Inner { keep: true, size: None }, Stop { name: "a".to_owned(), force: false }));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let said = of::<Stop>(json!({ "name": 5, "force": "yes", "nmae": 1 })).unwrap_err();
        assert_eq!(said, "force: is true or false; name: is a string; nmae: is no parameter of `stop`");
        assert_eq!(of::<Both>(json!({ "keep": 1 })).unwrap_err(), "keep: is true or false; name: is missing");
        assert_eq!(of::<Stop>(json!({})).unwrap_err(), "name: is missing");
    }

    #[test]
    fn the_fields_of_an_error_are_parameters_of_the_verb_that_was_asked() {
        let of = |field| name_fields::<Stop>(Error::invalid(vec![Problem::new(field, "is wrong")])).problems.remove(0);
        assert_eq!([of("sandbox"), of("volume"), of("grace")].map(|problem| problem.field), ["name", "name", "grace"]);
        #[derive(Deserialize)]
        struct Several {
            _name: Option<String>,
            #[serde(rename = "ref")]
            _reference: String,
            #[serde(rename = "sandbox")]
            _sandbox: String,
        }
        let of =
            |field| name_fields::<Several>(Error::invalid(vec![Problem::new(field, "is wrong")])).problems.remove(0);
        assert_eq!([of("image"), of("sandbox"), of("more")].map(|problem| problem.field), ["ref", "sandbox", "more"]);
    }

    #[test]
    fn every_parameter_that_is_missing_is_named_and_the_values_of_the_others_are_looked_at() {
        #[derive(Debug, Deserialize)]
        struct Move {
            _from: String,
            _to: String,
            size: Option<String>,
        }
        let values = |read: Move| match read.size.as_deref() {
            Some("x") => vec![Problem::new("size", "`x` is no size"), Problem::new("_to", "is nowhere")],
            _ => Vec::new(),
        };
        let given = json!({ "size": "x", "more": 1 });
        let said = read("move", given.as_object().unwrap().clone(), values).unwrap_err().to_string();
        let expected = "_from: is missing; _to: is missing; more: is no parameter of `move`; size: `x` is no size";
        assert_eq!(said, expected);
    }
}
