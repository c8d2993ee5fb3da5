//! Objects of a configuration, whose keys are taken one by one. What nobody has taken in the end is refused.

use crate::error::Problem;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Everything wrong so far.
#[derive(Debug, Default)]
pub struct Reader {
    /// The field of each is a place in the file.
    pub problems: Vec<Problem>,
}

/// An object, and where it stands.
#[derive(Debug)]
pub struct Object {
    /// Its place in the file; empty for the whole.
    pub path: String,
    keys: Map<String, Value>,
}

impl Object {
    /// Where a key of it stands.
    pub fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Takes a key that says something; its place.
    pub fn present(&mut self, key: &str) -> Option<String> {
        self.keys.remove(key).filter(says_something).map(|_| self.at(key))
    }
}

/// Empty objects and lists, `null` and `false` ask for nothing.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Object(keys) => !keys.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

impl Reader {
    /// Takes down a problem with its cure.
    pub fn wrong(&mut self, path: &str, message: &str, cure: &str) {
        self.problems.push(Problem::new(path, message).hint(cure));
    }

    /// `value` as an object.
    pub fn object(&mut self, path: &str, value: Value) -> Option<Object> {
        match value {
            Value::Object(keys) => Some(Object { path: path.to_owned(), keys }),
            _ => {
                self.problems.push(Problem::new(if path.is_empty() { "JSON" } else { path }, "is not an object"));
                None
            }
        }
    }

    /// The value of a key, unless it is missing or `null`. One of another type is a problem.
    pub fn take<T: DeserializeOwned>(&mut self, object: &mut Object, key: &str) -> Option<T> {
        let value = object.keys.remove(key).filter(|value| !value.is_null())?;
        serde_json::from_value(value)
            .map_err(|error| self.problems.push(Problem::new(&object.at(key), error.to_string())))
            .ok()
    }

    /// The same for an object.
    pub fn take_object(&mut self, object: &mut Object, key: &str) -> Option<Object> {
        let value: Value = self.take(object, key)?;
        self.object(&object.at(key), value)
    }

    /// The same for a list of objects.
    pub fn take_list(&mut self, object: &mut Object, key: &str) -> Option<Vec<Object>> {
        let values: Vec<Value> = self.take(object, key)?;
        let path = object.at(key);
        let entries = values.into_iter().enumerate();
        Some(entries.filter_map(|(index, value)| self.object(&format!("{path}[{index}]"), value)).collect())
    }

    /// Refuses what is left and says something.
    pub fn nothing_else(&mut self, object: Object) {
        for (key, _) in object.keys.iter().filter(|(_, value)| says_something(value)) {
            let path = object.at(&key.escape_debug().to_string());
            self.wrong(&path, "is nothing that belljar does", "take it out, if the command can do without it");
        }
    }
}
