//! Sets of rules by name: what a package manager needs, as `@python`. They stand in `sets.toml`, a reason beside each rule.

use super::rule::{one, shorten};
use super::{Origin, Rule};
use crate::spec::words::WordError;

const TEXT: &str = include_str!("sets.toml");

/// The names of all sets, without `@`, in order.
pub fn set_names() -> Vec<String> {
    table().keys().cloned().collect()
}

/// The rules of a set.
pub(super) fn rules(set: &str) -> Result<Vec<Rule>, WordError> {
    let sets = table();
    let Some(lines) = sets.get(set).and_then(toml::Value::as_table) else {
        let names: Vec<String> = sets.keys().map(|name| format!("@{name}")).collect();
        return Err(WordError {
            message: format!("`@{}` is no set of rules", shorten(set)),
            hint: Some(format!("the sets are {}", names.join(", "))),
        });
    };
    lines
        .iter()
        .map(|(line, reason)| {
            let reason = reason.as_str().unwrap_or_default().to_owned();
            Ok(Rule { origin: Some(Origin { set: set.to_owned(), reason }), ..one(line)? })
        })
        .collect()
}

/// The file is ours: a test reads all of it, so that an error here is one that no user sees.
fn table() -> toml::Table {
    toml::from_str(TEXT).unwrap_or_default()
}
