//! Spec files: TOML or JSON text to a [`PartialSpec`].
//!
//! Text in, data out; no file is opened here. Nothing is skipped and nothing guessed: an unknown field, a field
//! given twice, a wrong type and a file beyond [`MAX_FILE`] are errors that name the field, the line and the
//! column. Nesting is bounded by the parsers, so no file can exhaust the stack.

use super::PartialSpec;
use super::fields::{Root, Trace};
use serde::de::DeserializeSeed;
use std::cell::RefCell;
use std::fmt;

/// The largest spec file, in bytes. A spec is written by hand or by a small program.
pub const MAX_FILE: usize = 1 << 20;

/// Why a spec file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// Line and column, from 1. `None`: the file as a whole is wrong.
    pub position: Option<(usize, usize)>,
    /// The field at fault, as `mounts[1]` or `env.PATH`. `None`: the text is no TOML or JSON at all.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.position {
            write!(f, "line {line}, column {column}: ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for LoadError {}

/// Reads a JSON spec.
pub fn from_json(text: &str) -> Result<PartialSpec, LoadError> {
    refuse_large(text)?;
    let trace = RefCell::new(Trace::default());
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Root(&trace).deserialize(&mut reader).and_then(|partial| reader.end().map(|()| partial));
    read.map_err(|error| {
        let position = (error.line() > 0).then(|| (error.line(), error.column().max(1)));
        let message = error.to_string();
        let suffix = format!(" at line {} column {}", error.line(), error.column());
        let message = message.strip_suffix(&suffix).unwrap_or(&message).to_owned();
        report(trace.into_inner(), position, message)
    })
}

/// Reads a TOML spec.
pub fn from_toml(text: &str) -> Result<PartialSpec, LoadError> {
    refuse_large(text)?;
    let trace = RefCell::new(Trace::default());
    let read = toml::Deserializer::parse(text).and_then(|reader| Root(&trace).deserialize(reader));
    read.map_err(|error| {
        let position = error.span().map(|span| position(text, span.start));
        report(trace.into_inner(), position, error.message().replace('\n', ", "))
    })
}

fn refuse_large(text: &str) -> Result<(), LoadError> {
    if text.len() <= MAX_FILE {
        return Ok(());
    }
    Err(LoadError {
        position: None,
        field: None,
        message: format!("a spec of {} bytes; at most {MAX_FILE} are read", text.len()),
        hint: Some("give large data by `--mount` or `--stdin`, not in the spec".to_owned()),
    })
}

fn report(trace: Trace, position: Option<(usize, usize)>, message: String) -> LoadError {
    LoadError { position, field: trace.field, message, hint: trace.hint }
}

/// Line and column, from 1, of a byte offset; columns count characters.
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
