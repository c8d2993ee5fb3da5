//! Names that need not be UTF-8, as JSON has them: a string, or an object with `base64` where no string can say it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// Longer names are shortened in messages.
const LONGEST_SHOWN: usize = 200;

/// Bytes of a path, a file's name or a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub Vec<u8>);

/// The two ways in JSON.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
enum Written {
    Text(String),
    Bytes { base64: String },
}

impl Name {
    /// As a path.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }
}

impl From<&Path> for Name {
    fn from(path: &Path) -> Name {
        Name(path.as_os_str().as_bytes().to_vec())
    }
}

impl From<OsString> for Name {
    fn from(text: OsString) -> Name {
        Name(text.into_vec())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Name {
        Name(text.as_bytes().to_vec())
    }
}

/// For people: on one line, without control characters, and not long.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(&self.0))
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Written::Bytes { base64: STANDARD.encode(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Name(text.into_bytes())),
            Written::Bytes { base64 } => STANDARD.decode(base64).map(Name).map_err(serde::de::Error::custom),
        }
    }
}

/// A name for people: on one line, without control characters or ones that turn the direction of text, and not long.
pub fn escaped(name: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in name.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\'' | '"' => shown.push(letter),
                '`' => shown.push_str("\\`"),
                _ => shown.extend(letter.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            shown.extend(byte.escape_ascii().map(char::from));
        }
        if shown.len() > LONGEST_SHOWN {
            let end = (0..=LONGEST_SHOWN).rev().find(|at| shown.is_char_boundary(*at)).unwrap_or(0);
            shown.truncate(end);
            shown.push('…');
            break;
        }
    }
    shown
}

#[cfg(test)]
impl schemars::JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_SHOWN, Name, escaped};

    #[test]
    fn names_are_shown_on_one_line_and_without_tricks() {
        let table: [(&[u8], &str); 6] = [
            (b"usr/bin/env", "usr/bin/env"),
            (b"it's \"so\"", "it's \"so\""),
            (b"a\nb\x1b[31m", "a\\nb\\u{1b}[31m"),
            (b"\xff\xfe`", "\\xff\\xfe\\`"),
            ("ex\u{202e}gpj".as_bytes(), "ex\\u{202e}gpj"),
            ("größe".as_bytes(), "größe"),
        ];
        for (name, shown) in table {
            assert_eq!(escaped(name), shown);
        }
        assert_eq!(escaped(&[b'a'; 4000]).chars().count(), LONGEST_SHOWN + 1);
    }

    #[test]
    fn bytes_that_are_no_text_come_through_json() {
        for bytes in [&b"a/b"[..], b"", b"\xff\n\0", "é".as_bytes()] {
            let name = Name(bytes.to_vec());
            let json = serde_json::to_string(&name).expect("written");
            assert_eq!(serde_json::from_str::<Name>(&json).expect("read"), name, "{json}");
        }
        assert!(serde_json::from_str::<Name>(r#"{"base64":"!"}"#).is_err());
    }
}
