//! Reads a verb's parameters from JSON and reports everything that is wrong with them, not the first only.
//!
//! A verb's struct says its fields by serde; [`Take`] takes these out of the object, so that one struct may hold another whose
//! fields stand beside its own. Whatever nobody took is no parameter.

use crate::error::{Error, Problem};
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};
use serde_json::{Map, Value};
use std::cell::RefCell;

/// What can be read from parameters.
pub trait Take: Sized {
    /// Takes its own out of `given`. `None`: something is wrong, and is among `problems`.
    fn take(given: &mut Map<String, Value>, problems: &mut Vec<Problem>) -> Option<Self>;

    /// The names of its parameters.
    fn names() -> Vec<&'static str>;
}

impl<T: DeserializeOwned> Take for T {
    fn take(given: &mut Map<String, Value>, problems: &mut Vec<Problem>) -> Option<T> {
        let names = T::names();
        let mut own: Map<String, Value> = Map::new();
        for name in &names {
            // What is null was not given.
            if let Some(value) = given.remove(*name).filter(|value| !value.is_null()) {
                own.insert((*name).to_owned(), value);
            }
        }
        let mut wrong = false;
        loop {
            let at = RefCell::new(None);
            let error = match T::deserialize(Fields { own: &own, at: &at, names: None }) {
                Ok(read) => return (!wrong).then_some(read),
                Err(error) => error,
            };
            let field = at.into_inner();
            match field.as_ref().and_then(|name| own.remove(name).map(|_| name)) {
                Some(name) => problems.push(Problem::new(name, plain(&error.to_string()))),
                None => {
                    let missing = error.to_string();
                    let missing = missing.split('`').nth(1).unwrap_or_default();
                    // One that was given and is wrong was said already.
                    if !problems.iter().any(|problem| problem.field == missing) {
                        problems.push(Problem::new(missing, "is missing"));
                    }
                    return None;
                }
            }
            wrong = true;
        }
    }

    fn names() -> Vec<&'static str> {
        let names = RefCell::new(&[][..]);
        // It fails for want of anything to read, and has said by then what it wants to read.
        let _ = T::deserialize(Fields { own: &Map::new(), at: &RefCell::new(None), names: Some(&names) });
        names.into_inner().to_vec()
    }
}

/// serde's words as ours.
fn plain(message: &str) -> String {
    match message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((_, "a boolean")) => "is true or false".to_owned(),
        Some((_, expected)) => format!("is {expected}"),
        None => message.to_owned(),
    }
}

/// Reads all parameters of a verb.
///
/// # Errors
///
/// `misused`, with everything that is wrong.
pub fn read<T: Take>(method: &str, mut given: Map<String, Value>) -> Result<T, Error> {
    let mut problems = Vec::new();
    let read = T::take(&mut given, &mut problems);
    let unknown = given.keys().map(|name| {
        Problem::new(name, format!("is no parameter of `{method}`")).hint(format!("it takes {}", T::names().join(", ")))
    });
    problems.extend(unknown);
    match read {
        Some(read) if problems.is_empty() => Ok(read),
        _ => Err(Error::misused(problems)),
    }
}

/// The fields of a struct: remembers what the struct wants, and which field is being read.
struct Fields<'a> {
    own: &'a Map<String, Value>,
    at: &'a RefCell<Option<String>>,
    names: Option<&'a RefCell<&'static [&'static str]>>,
}

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = serde_json::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, serde_json::Error> {
        if let Some(names) = self.names {
            names.replace(fields);
        }
        let items = self.own.iter().map(|(name, value)| (name.clone(), value.clone()));
        visitor.visit_map(Watched { items: MapDeserializer::new(items), own: self.own.keys(), at: self.at })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        self.deserialize_struct("", &[], visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Watched<'a, I> {
    items: I,
    own: serde_json::map::Keys<'a>,
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
        read("stop", value.as_object().unwrap().clone()).map_err(|error| error.to_string())
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
}
