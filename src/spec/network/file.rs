//! Policy files: `--net FILE.toml`.
//!
//! ```toml
//! default = "deny"                  # or "open": every public address
//! allow = ["@python", "api.example.org:443"]
//! deny = ["*.ads.example"]
//! rate = "10M"                      # bytes a second, each way
//! connections = 500
//! ```
//!
//! Everything that is wrong with a file is said at once; an unknown key is an error, so that a slip never opens anything.

use super::rule::shorten;
use super::{DEFAULT_CONNECTIONS, MOST_CONNECTIONS, MOST_RULES, Policy, Rule, parse_rule};
use crate::error::Problem;
use crate::spec::units;
use serde::{Deserialize, Serialize};

/// The largest policy file, in bytes.
pub const MAX_FILE: usize = 1 << 20;
const KEYS: &str = "default, allow, deny, rate and connections";

/// What a policy file says; `None` and empty lists: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFile {
    /// See [`Policy::open`].
    pub open: Option<bool>,
    /// See [`Policy::allow`].
    pub allow: Vec<Rule>,
    /// See [`Policy::deny`].
    pub deny: Vec<Rule>,
    /// See [`Policy::rate`].
    pub rate: Option<u64>,
    /// See [`Policy::flows`].
    pub connections: Option<u32>,
}

impl PolicyFile {
    /// The whole policy: what is not said takes its default, which allows nothing.
    pub fn into_policy(self) -> Policy {
        Policy {
            open: self.open.unwrap_or(false),
            allow: self.allow,
            deny: self.deny,
            rate: self.rate,
            flows: self.connections.unwrap_or(DEFAULT_CONNECTIONS),
        }
    }
}

/// Reads a policy file.
///
/// # Errors
///
/// All that is wrong with it, in the order of the file's keys.
pub fn from_toml(text: &str) -> Result<PolicyFile, Vec<Problem>> {
    if text.len() > MAX_FILE {
        return Err(vec![Problem::new(
            "net",
            format!("a policy of {} bytes; at most {MAX_FILE} are read", text.len()),
        )]);
    }
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let line = error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
        let place = line.map_or_else(String::new, |line| format!("line {line}: "));
        vec![Problem::new("net", format!("{place}{}", error.message().replace('\n', ", ")))]
    })?;
    let mut file = PolicyFile::default();
    let mut problems = Vec::new();
    for (key, value) in &table {
        if let Err(found) = set(&mut file, key, value) {
            problems.extend(found);
        }
    }
    if problems.is_empty() { Ok(file) } else { Err(problems) }
}

fn set(file: &mut PolicyFile, key: &str, value: &toml::Value) -> Result<(), Vec<Problem>> {
    match key {
        "default" => file.open = Some(default(value).map_err(|problem| vec![problem])?),
        "allow" => file.allow = rules("allow", value)?,
        "deny" => file.deny = rules("deny", value)?,
        "rate" => file.rate = Some(rate(value).map_err(|problem| vec![problem])?),
        "connections" => file.connections = Some(connections(value).map_err(|problem| vec![problem])?),
        other => {
            let hint = match other {
                "block" | "blocked" => "what may not be reached stands in `deny`".to_owned(),
                _ => format!("the fields of a policy are {KEYS}"),
            };
            return Err(vec![Problem::new(&shorten(other), "no such field in a policy").hint(hint)]);
        }
    }
    Ok(())
}

fn default(value: &toml::Value) -> Result<bool, Problem> {
    match value.as_str() {
        Some("deny") => Ok(false),
        Some("open") => Ok(true),
        _ => Err(Problem::new("default", format!("`{}` is neither `deny` nor `open`", written(value)))
            .hint("`deny` reaches what `allow` names, `open` every public address")),
    }
}

fn rules(field: &str, value: &toml::Value) -> Result<Vec<Rule>, Vec<Problem>> {
    let hint = "a list of rules, as in `[\"pypi.org:443\", \"@git\"]`";
    let Some(list) = value.as_array() else {
        return Err(vec![Problem::new(field, format!("`{}` is no list", written(value))).hint(hint)]);
    };
    let mut rules = Vec::new();
    let mut problems = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let place = format!("{field}[{index}]");
        match item.as_str().map(parse_rule) {
            None => problems.push(Problem::new(&place, format!("`{}` is no text", written(item))).hint(hint)),
            Some(Ok(more)) => rules.extend(more),
            Some(Err(error)) => problems.push(Problem { field: place, message: error.message, hint: error.hint }),
        }
    }
    if rules.len() > MOST_RULES {
        problems.push(Problem::new(field, format!("{} rules; at most {MOST_RULES} are kept", rules.len())));
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

fn rate(value: &toml::Value) -> Result<u64, Problem> {
    let text = match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        other => return Err(Problem::new("rate", format!("`{}` is no size", written(other)))),
    };
    units::parse_bytes(&text).map_err(|error| Problem::new("rate", error.to_string()).hint(error.right))
}

fn connections(value: &toml::Value) -> Result<u32, Problem> {
    let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
    number.filter(|number| (1..=MOST_CONNECTIONS).contains(number)).ok_or_else(|| {
        Problem::new("connections", format!("`{}` is no number of connections", written(value)))
            .hint(format!("a whole number from 1 to {MOST_CONNECTIONS}, as in `500`"))
    })
}

/// A value as it may stand in a message.
fn written(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => shorten(text),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(flag) => flag.to_string(),
        toml::Value::Datetime(time) => time.to_string(),
        toml::Value::Array(_) => "[…]".to_owned(),
        toml::Value::Table(_) => "{…}".to_owned(),
    }
}
