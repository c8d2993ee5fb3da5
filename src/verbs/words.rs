//! Values of verbs: words of a command line and JSON values alike.
//!
//! A word is kept as it was given and read later, by the verb, so that all that is wrong is said at once. In JSON it is text, a
//! number that stands for its digits, or `{"base64": "..."}` for bytes that are no text.

use crate::name::Name;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::marker::PhantomData;
use std::os::unix::ffi::OsStringExt as _;

/// What a value that is no word is told.
const EXPECTED: &str = "text, a number or {\"base64\": \"...\"}";

/// One word.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word(pub OsString);

impl From<OsString> for Word {
    fn from(word: OsString) -> Word {
        Word(word)
    }
}

impl From<&str> for Word {
    fn from(word: &str) -> Word {
        Word(word.into())
    }
}

impl From<Word> for Name {
    fn from(word: Word) -> Name {
        Name::from(word.0)
    }
}

impl std::ops::Deref for Word {
    type Target = OsStr;

    fn deref(&self) -> &OsStr {
        &self.0
    }
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Word;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Word, E> {
        Ok(Word(text.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Word, E> {
        Ok(Word(number.to_string().into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Word, E> {
        Ok(Word(number.to_string().into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Word, E> {
        Ok(Word(number.to_string().into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Word, A::Error> {
        match (map.next_entry::<String, String>()?, map.next_key::<String>()?) {
            (Some((key, text)), None) if key == "base64" => {
                let bytes = STANDARD.decode(text).map_err(|error| A::Error::custom(format!("base64: {error}")))?;
                Ok(Word(OsString::from_vec(bytes)))
            }
            _ => Err(A::Error::custom(format!("is {EXPECTED}"))),
        }
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
        deserializer.deserialize_any(WordVisitor)
    }
}

/// Text, such as a name. What is no text is no name either, and is shown with marks in the place of its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub String);

impl From<OsString> for Text {
    fn from(word: OsString) -> Text {
        Text(word.to_string_lossy().into_owned())
    }
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        Word::deserialize(deserializer).map(|word| Text::from(word.0))
    }
}

/// Words of one meaning, each with the schema that a client needs.
macro_rules! meant {
    ($($(#[doc = $about:literal])+ $name:ident: $types:tt, $example:literal;)+) => {$(
        $(#[doc = $about])+
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Word);

        impl From<OsString> for $name {
            fn from(word: OsString) -> $name {
                $name(Word(word))
            }
        }

        impl std::ops::Deref for $name {
            type Target = OsStr;

            fn deref(&self) -> &OsStr {
                &self.0
            }
        }

        #[cfg(test)]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let about = [$($about),+].map(str::trim).join(" ");
                schemars::json_schema!({ "type": $types, "description": about, "examples": [$example] })
            }
        }
    )+};
}

meant! {
    /// Bytes: a number, or one with K, M, G or T, which count in 1024s.
    Size: ["string", "number"], "512M";
    /// A time: seconds as a number, or with h, m, s or ms.
    Time: ["string", "number"], "30s";
    /// A time, or `none`.
    Deadline: ["string", "number"], "none";
    /// CPUs, to thousandths.
    Cpus: ["string", "number"], "0.5";
    /// A number of things.
    Count: ["string", "number"], "128";
    /// Bytes, or `SIZE:kill`.
    OutputLimit: ["string", "number"], "1M:kill";
    /// Ids inside, as `UID` or `UID:GID`.
    Ids: ["string", "number"], "1000:1000";
    /// Permissions as octal digits; a number stands for its digits.
    Mode: ["string", "number"], "0644";
}

#[cfg(test)]
impl schemars::JsonSchema for Word {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Text, a number that stands for its digits, or bytes that are no text.",
            "anyOf": [
                { "type": ["string", "number"] },
                { "type": "object", "properties": { "base64": { "type": "string" } }, "required": ["base64"], "additionalProperties": false },
            ],
        })
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Text {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "number"] })
    }
}

/// What may be given several times: a list, or one alone.
#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[schemars(untagged, rename = "OneOrMany{T}")]
#[allow(dead_code, missing_docs)] // For the schema.
pub enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

/// The same where there has to be one.
#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[schemars(untagged, rename = "OneOrSome{T}")]
#[allow(dead_code, missing_docs)] // For the schema.
pub enum OneOrSome<T> {
    Some(#[schemars(length(min = 1))] Vec<T>),
    One(T),
}

/// `K=V`, several times; or an object.
#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, missing_docs)] // For the schema.
pub enum Pairs {
    Object(std::collections::BTreeMap<String, Word>),
    Many(Vec<Word>),
    One(Word),
}

struct Many<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Many<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list, or {EXPECTED}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        Ok(all)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
        T::deserialize(serde::de::value::StrDeserializer::new(text)).map(|one| vec![one])
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Vec<T>, E> {
        T::deserialize(serde::de::value::U64Deserializer::new(number)).map(|one| vec![one])
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Vec<T>, E> {
        T::deserialize(serde::de::value::I64Deserializer::new(number)).map(|one| vec![one])
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Vec<T>, E> {
        T::deserialize(serde::de::value::F64Deserializer::new(number)).map(|one| vec![one])
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
        T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(|one| vec![one])
    }
}

/// A list, or one alone.
///
/// # Errors
///
/// Anything else.
pub fn many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(Many(PhantomData))
}

/// A list that is not empty, or one alone.
///
/// # Errors
///
/// Anything else.
pub fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let all: Vec<T> = many(deserializer)?;
    if all.is_empty() { Err(D::Error::custom("is an empty list, and takes at least one")) } else { Ok(all) }
}

struct PairVisitor;

impl<'de> Visitor<'de> for PairVisitor {
    type Value = Vec<Word>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object, a list, or {EXPECTED}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<Word>, A::Error> {
        Many(PhantomData).visit_seq(list)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<Word>, E> {
        Ok(vec![text.into()])
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Word>, A::Error> {
        let mut all = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Word>()? {
            // One that is no text, and not an object of such.
            if key == "base64" {
                let bytes = STANDARD.decode(value.0.as_encoded_bytes());
                let bytes = bytes.map_err(|error| A::Error::custom(format!("base64: {error}")))?;
                all.push(Word(OsString::from_vec(bytes)));
                continue;
            }
            let mut word = OsString::from(format!("{key}="));
            word.push(value.0);
            all.push(Word(word));
        }
        Ok(all)
    }
}

/// `K=V`, as a list, one alone, or an object.
///
/// # Errors
///
/// Anything else.
pub fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Word>, D::Error> {
    deserializer.deserialize_any(PairVisitor)
}

/// A whole number, or its digits.
///
/// # Errors
///
/// Anything else, and a number that `T` does not hold.
pub fn number<'de, D: Deserializer<'de>, T: std::str::FromStr + Default>(deserializer: D) -> Result<T, D::Error> {
    let word = Word::deserialize(deserializer)?;
    word.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| D::Error::custom("is a whole number"))
}

/// The same, which may be missing.
///
/// # Errors
///
/// As [`number`].
pub fn number_or_none<'de, D: Deserializer<'de>, T: std::str::FromStr + Default>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    number(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn word(value: Value) -> Result<Word, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_word_is_text_a_number_or_bytes() {
        for (value, bytes) in [
            (json!("a b"), &b"a b"[..]),
            (json!(5), b"5"),
            (json!(-5), b"-5"),
            (json!(0.5), b"0.5"),
            (json!({ "base64": "/wA=" }), b"\xff\0"),
        ] {
            assert_eq!(word(value).unwrap().0.as_encoded_bytes(), bytes);
        }
        for value in [json!(null), json!(true), json!(["a"]), json!({}), json!({ "base64": "/", }), json!({ "a": "b" })]
        {
            assert!(word(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn several_are_a_list_or_one_alone_and_pairs_an_object_too() {
        #[derive(Deserialize)]
        struct Of {
            #[serde(default, deserialize_with = "many")]
            name: Vec<Text>,
            #[serde(default, deserialize_with = "pairs")]
            env: Vec<Word>,
        }
        let of = |value: Value| -> Of { serde_json::from_value(value).unwrap() };
        assert_eq!(of(json!({ "name": "a" })).name, [Text("a".to_owned())]);
        assert_eq!(of(json!({ "name": ["a", 7] })).name, [Text("a".to_owned()), Text("7".to_owned())]);
        assert_eq!(of(json!({ "env": { "A": 1, "B": "x" } })).env, [Word::from("A=1"), Word::from("B=x")]);
        assert_eq!(of(json!({ "env": ["A=1"] })).env, [Word::from("A=1")]);
        assert_eq!(of(json!({ "env": "A=1" })).env, [Word::from("A=1")]);
    }
}
