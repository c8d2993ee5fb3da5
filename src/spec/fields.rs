//! The fields of a spec file, for every format that serde reads.
//!
//! The keys are the flags without their dashes. Each value is first read as it stands ([`Value`]) and then
//! understood, inside its own deserializer, so that the parser can say where in the text it is. [`Trace`]
//! carries what serde's errors cannot: the field and the cure.

use super::words::{self, WordError};
use super::{Code, Mount, PartialSpec, Program, Rule, Source, UnitError, units};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// Every field of a spec file, in the order of the documentation.
pub const KEYS: [&str; 29] = [
    "command",
    "code",
    "image",
    "memory",
    "cpus",
    "pids",
    "disk",
    "disk_bandwidth",
    "timeout",
    "cpu_time",
    "output_limit",
    "net",
    "allow",
    "deny",
    "net_rate",
    "net_connections",
    "publish",
    "mounts",
    "env",
    "workdir",
    "user",
    "userns",
    "hostname",
    "seccomp",
    "stdin",
    "tty",
    "cgroup_parent",
    "require",
    "allow_missing",
];

/// Which field is being read, and how to mend what is wrong with it.
#[derive(Default)]
pub struct Trace {
    /// The field, as `mounts[1]`.
    pub field: Option<String>,
    /// The cure.
    pub hint: Option<String>,
}

/// Reads the whole file.
pub struct Root<'t>(pub &'t RefCell<Trace>);

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = PartialSpec;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<PartialSpec, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = PartialSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of the fields of a spec")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PartialSpec, A::Error> {
        let mut partial = PartialSpec::default();
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            self.0.replace(Trace { field: Some(key.clone()), hint: None });
            let again = !seen.insert(key.clone());
            map.next_value_seed(Field { key: &key, again, partial: &mut partial, trace: self.0 })?;
            self.0.replace(Trace::default());
        }
        Ok(partial)
    }
}

/// Reads the value of one field into `partial`.
struct Field<'f> {
    key: &'f str,
    again: bool,
    partial: &'f mut PartialSpec,
    trace: &'f RefCell<Trace>,
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        // The key is judged before its value is read: nothing of an unknown field needs to be understood.
        let known = if self.again { Err(Wrong::new("given twice")) } else { known(self.key) };
        match known {
            Ok(()) => reader.deserialize_any(self),
            Err(wrong) => Err(self.refuse(wrong)),
        }
    }
}

impl Field<'_> {
    fn understand<E: de::Error>(self, value: Result<Value, E>) -> Result<(), E> {
        let value = value?;
        set(self.partial, self.key, value).map_err(|wrong| self.refuse(wrong))
    }

    fn refuse<E: de::Error>(&self, wrong: Wrong) -> E {
        let field = format!("{}{}", self.key, wrong.place);
        self.trace.replace(Trace { field: Some(field), hint: wrong.hint });
        de::Error::custom(wrong.message)
    }
}

/// Understanding happens in the visitor and not after it: there the parser still stands at the value, and its
/// errors say so.
impl<'de> Visitor<'de> for Field<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        AnyValue.expecting(f)
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.understand(AnyValue.visit_unit())
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<(), E> {
        self.understand(AnyValue.visit_bool(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.understand(AnyValue.visit_i64(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        self.understand(AnyValue.visit_u64(number))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        self.understand(AnyValue.visit_f64(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.understand(AnyValue.visit_str(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        self.understand(AnyValue.visit_seq(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.understand(AnyValue.visit_map(map))
    }
}

fn known(key: &str) -> Result<(), Wrong> {
    if KEYS.contains(&key) {
        return Ok(());
    }
    let hint = match key {
        "mount" => "the mounts of a spec file are a list, `mounts`".to_owned(),
        _ => format!("the fields are {}", KEYS.join(", ")),
    };
    Err(Wrong { hint: Some(hint), ..Wrong::new("no such field") })
}

fn set(partial: &mut PartialSpec, key: &str, value: Value) -> Result<(), Wrong> {
    match key {
        "command" | "code" if partial.program.is_some() => {
            return Err(Wrong::new("`command` and `code` cannot both be given"));
        }
        "command" => partial.program = Some(Program::Command(value.list(Value::os_string)?)),
        "code" => partial.program = Some(Program::Code(code(value)?)),
        "image" => partial.image = Some(value.text()?),
        "memory" => partial.memory = Some(units::parse_bytes(&value.number()?)?),
        "cpus" => partial.millicpus = Some(units::parse_cpus(&value.decimal()?)?),
        "pids" => partial.pids = Some(units::parse_count(&value.number()?)?),
        "disk" => partial.disk = Some(units::parse_bytes(&value.number()?)?),
        "disk_bandwidth" => partial.disk_bandwidth = Some(units::parse_bytes(&value.number()?)?),
        "timeout" => partial.timeout = Some(units::parse_timeout(&value.decimal()?)?),
        "cpu_time" => partial.cpu_time = Some(units::parse_duration(&value.decimal()?)?),
        "output_limit" => partial.output_limit = Some(units::parse_output_limit(&value.number()?)?),
        "net" => partial.net = Some(words::parse_network(&value.text()?)?),
        "allow" => partial.allow = targets(value)?,
        "deny" => partial.deny = targets(value)?,
        "net_rate" => partial.net_rate = Some(units::parse_bytes(&value.number()?)?),
        "net_connections" => partial.net_connections = Some(units::parse_connections(&value.number()?)?),
        "publish" => partial.publish = value.list(|word| Ok(super::parse_publish(&word.text()?)?))?,
        "mounts" => partial.mounts = value.list(mount)?,
        "env" => partial.env = variables(value)?,
        "workdir" => partial.workdir = Some(value.text()?.into()),
        "user" => partial.user = Some(words::parse_user(&value.number()?)?),
        "userns" => partial.userns = Some(words::parse_userns(&value.text()?)?),
        "hostname" => partial.hostname = Some(value.text()?),
        "seccomp" => partial.seccomp = Some(words::parse_seccomp(OsStr::new(&value.text()?))),
        "stdin" => partial.stdin = Some(value.text()?.into()),
        "tty" => partial.tty = Some(value.flag()?),
        "cgroup_parent" => {
            partial.cgroup_parent = Some(words::parse_cgroup_parent(OsStr::new(&value.text()?))?);
        }
        "require" => partial.require = value.list(|word| Ok(words::parse_requirement(&word.text()?)?))?,
        "allow_missing" => partial.allow_missing = value.list(|word| Ok(words::parse_protection(&word.text()?)?))?,
        _ => return known(key),
    }
    Ok(())
}

fn targets(value: Value) -> Result<Vec<Rule>, Wrong> {
    let each = value.list(|word| Ok(words::parse_target(&word.text()?)?))?;
    Ok(each.into_iter().flatten().collect())
}

fn mount(value: Value) -> Result<Mount, Wrong> {
    if let Value::Text(word) = &value {
        return Ok(words::parse_mount(OsStr::new(word))?);
    }
    let (mut source, mut target, mut writable, mut volume) = (None, None, None, None);
    for (key, value) in value.table()? {
        match key.as_str() {
            "source" => source = Some(value.text().map_err(|wrong| wrong.under(".source"))?),
            "target" => target = Some(value.text().map_err(|wrong| wrong.under(".target"))?),
            "volume" => volume = Some(value.text().map_err(|wrong| wrong.under(".volume"))?),
            "writable" => writable = Some(value.flag().map_err(|wrong| wrong.under(".writable"))?),
            other => return Err(no_such(other, "source, volume, target, writable")),
        }
    }
    let target = target.ok_or_else(|| Wrong::new("a mount needs `target`"))?;
    match (source, volume) {
        (Some(source), None) => {
            let writable = writable.unwrap_or(false);
            Ok(Mount { source: source.into(), target: target.into(), writable, beneath: None })
        }
        (None, Some(volume)) => {
            let access = if writable.unwrap_or(true) { "rw" } else { "ro" };
            let named = words::parse_volume(OsStr::new(&format!("{volume}:/:{access}")))?;
            Ok(Mount { target: target.into(), ..named })
        }
        _ => Err(Wrong::new("a mount needs either `source` or `volume`")),
    }
}

fn code(value: Value) -> Result<Code, Wrong> {
    let (mut language, mut source, mut args) = (None, None, Vec::new());
    for (key, value) in value.table()? {
        let read = match key.as_str() {
            "language" => value.text().and_then(|word| {
                language = Some(words::parse_language(&word)?);
                Ok(())
            }),
            "args" => value.list(Value::os_string).map(|words| args = words),
            "text" | "file" | "stdin" if source.is_some() => Err(Wrong::new("the code is given twice")),
            "text" => value.text().map(|text| source = Some(Source::Text(text.into()))),
            "file" => value.text().map(|path| source = Some(Source::File(path.into()))),
            "stdin" => value.flag().map(|from| source = from.then_some(Source::Stdin)),
            other => return Err(no_such(other, "language, text, file, stdin, args")),
        };
        read.map_err(|wrong| wrong.under(&format!(".{key}")))?;
    }
    match (language, source) {
        (Some(language), Some(source)) => Ok(Code { language, source, args }),
        (None, _) => Err(Wrong::new("`language` is missing")),
        (_, None) => Err(Wrong::new("one of `text`, `file` and `stdin = true` is missing")),
    }
}

fn variables(value: Value) -> Result<Vec<(OsString, OsString)>, Wrong> {
    let table = value.table()?;
    let one = |(key, value): (String, Value)| match value.text() {
        Ok(text) => Ok((key.into(), text.into())),
        Err(wrong) => {
            Err(Wrong { hint: Some("write the value in quotes".to_owned()), ..wrong.under(&format!(".{key}")) })
        }
    };
    table.into_iter().map(one).collect()
}

fn no_such(key: &str, keys: &str) -> Wrong {
    Wrong { hint: Some(format!("the fields are {keys}")), ..Wrong::new("no such field") }.under(&format!(".{key}"))
}

/// What is wrong with a value.
struct Wrong {
    /// Where inside the field: empty, `[1]`, `.source`.
    place: String,
    message: String,
    hint: Option<String>,
}

impl Wrong {
    fn new(message: impl Into<String>) -> Self {
        Wrong { place: String::new(), message: message.into(), hint: None }
    }

    fn under(mut self, place: &str) -> Self {
        self.place.insert_str(0, place);
        self
    }
}

impl From<UnitError> for Wrong {
    fn from(error: UnitError) -> Self {
        Wrong { hint: Some(error.right.to_owned()), ..Wrong::new(error.to_string()) }
    }
}

impl From<WordError> for Wrong {
    fn from(error: WordError) -> Self {
        Wrong { hint: error.hint, ..Wrong::new(error.message) }
    }
}

/// A value as it stands in the file. Numbers keep their text: the grammar of flags decides about them.
enum Value {
    Null,
    Flag(bool),
    Whole(String),
    Fraction(String),
    Text(String),
    List(Vec<Value>),
    Table(Vec<(String, Value)>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Flag(_) => "true or false",
            Value::Whole(_) | Value::Fraction(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    fn is_not(&self, wanted: &str) -> Wrong {
        Wrong::new(format!("expected {wanted}, found {}", self.kind()))
    }

    fn text(self) -> Result<String, Wrong> {
        match self {
            Value::Text(text) => Ok(text),
            other => Err(other.is_not("a string")),
        }
    }

    fn os_string(self) -> Result<OsString, Wrong> {
        self.text().map(OsString::from)
    }

    fn flag(self) -> Result<bool, Wrong> {
        match self {
            Value::Flag(flag) => Ok(flag),
            other => Err(other.is_not("true or false")),
        }
    }

    /// A whole number or a string.
    fn number(self) -> Result<String, Wrong> {
        match self {
            Value::Whole(text) | Value::Text(text) => Ok(text),
            Value::Fraction(_) => Err(Wrong::new("expected a whole number or a string, found a fraction")),
            other => Err(other.is_not("a number or a string")),
        }
    }

    /// Any number or a string.
    fn decimal(self) -> Result<String, Wrong> {
        match self {
            Value::Whole(text) | Value::Fraction(text) | Value::Text(text) => Ok(text),
            other => Err(other.is_not("a number or a string")),
        }
    }

    fn list<T>(self, one: impl Fn(Value) -> Result<T, Wrong>) -> Result<Vec<T>, Wrong> {
        match self {
            Value::List(values) => {
                let each = values.into_iter().enumerate();
                each.map(|(index, value)| one(value).map_err(|wrong| wrong.under(&format!("[{index}]")))).collect()
            }
            other => Err(other.is_not("a list")),
        }
    }

    fn table(self) -> Result<Vec<(String, Value)>, Wrong> {
        match self {
            Value::Table(pairs) => Ok(pairs),
            other => Err(other.is_not("a table")),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Whole(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Whole(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Fraction(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            // JSON leaves the meaning of a repeated key open; two readers of one file must not differ about it.
            if !seen.insert(key.clone()) {
                return Err(de::Error::custom(format!("`{key}` is given twice")));
            }
            pairs.push((key, map.next_value()?));
        }
        Ok(Value::Table(pairs))
    }
}
