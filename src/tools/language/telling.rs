//! Answers of a server as they are told: the protocol's shapes and numbers as words and places of ours.

use super::asking::Tell;
use super::protocol::{self, Completions, Location, Locations, ParameterLabel, SignatureHelp};
use super::texts::Texts;
use super::{Action, Completion, Hover, Range, Signature, Symbol, Told};
use crate::error::{Error, Kind};
use crate::tools::Name;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The longest text of one thing that is told; a frame holds it, escaped.
const LONGEST: usize = 128 << 10;
/// The tag of what is not to be used any more.
const DEPRECATED: u32 = 1;

/// What `workspace/applyEdit` brings.
#[derive(Deserialize)]
pub struct Wanted {
    /// What is to be edited.
    pub edit: protocol::WorkspaceEdit,
}

/// Text that is not too long.
fn short(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('\u{2026}');
    }
    text
}

pub fn completions(found: Completions, path: &Path, texts: &mut Texts<'_>, tell: Tell<'_>) -> Result<(), Error> {
    let (incomplete, items) = match found {
        Completions::List { incomplete, items } => (incomplete, items),
        Completions::Items(items) => (false, items),
    };
    if incomplete {
        tell(&Told::Incomplete)?;
    }
    let range_of = |one: &protocol::Completion| one.text_edit.as_ref().and_then(|edit| edit.range.or(edit.insert));
    let ranges: Vec<protocol::Range> = items.iter().filter_map(range_of).collect();
    let mut ranges = texts.ranges(path, &ranges).into_iter().map(|(range, _)| range);
    for item in items {
        let range = range_of(&item).and_then(|_| ranges.next());
        let insert = item.text_edit.map(|edit| edit.new_text).or(item.insert_text);
        tell(&Told::Completion(Completion {
            kind: item.kind.and_then(protocol::completion_kind),
            detail: item.detail.map(short),
            documentation: item.documentation.map(|text| short(text.read().0)).filter(|text| !text.is_empty()),
            insert: short(insert.unwrap_or_else(|| item.label.clone())),
            label: short(item.label),
            range,
            sort: item.sort_text.map(short),
            filter: item.filter_text.map(short),
            deprecated: item.deprecated || item.tags.contains(&DEPRECATED),
        }))?;
    }
    Ok(())
}

pub fn hover(found: protocol::Hover, path: &Path, texts: &mut Texts<'_>, tell: Tell<'_>) -> Result<(), Error> {
    let (text, markdown) = found.contents.read();
    if text.trim().is_empty() {
        return Ok(());
    }
    let range = found.range.map(|range| texts.range(path, range));
    tell(&Told::Hover(Hover { text: short(text), markdown, range }))
}

pub fn signatures(found: SignatureHelp, tell: Tell<'_>) -> Result<(), Error> {
    let active = found.active_signature.unwrap_or(0);
    for (number, one) in found.signatures.into_iter().enumerate() {
        let is_active = number as u32 == active;
        let units: Vec<u16> = one.label.encode_utf16().collect();
        let parameters = one.parameters.into_iter().map(|parameter| match parameter.label {
            ParameterLabel::Text(text) => short(text),
            // Always in units of UTF-16.
            ParameterLabel::Units(from, to) => {
                short(String::from_utf16_lossy(units.get(from as usize..to as usize).unwrap_or_default()))
            }
        });
        let place = one.active_parameter.or(found.active_parameter).filter(|_| is_active);
        tell(&Told::Signature(Signature {
            parameters: parameters.collect(),
            documentation: one.documentation.map(|text| short(text.read().0)).filter(|text| !text.is_empty()),
            label: short(one.label),
            active: is_active,
            active_parameter: place.map(|number| number.saturating_add(1)),
        }))?;
    }
    Ok(())
}

/// Places of an answer.
pub fn places(found: Locations) -> Vec<(String, protocol::Range)> {
    let all = match found {
        Locations::One(one) => vec![one],
        Locations::Many(all) => all,
    };
    let place = |one: Location| match one {
        Location::Plain { uri, range } => (uri, range),
        Location::Link { target_uri, target_selection_range } => (target_uri, target_selection_range),
    };
    all.into_iter().map(place).collect()
}

/// A symbol whose places are still the server's.
struct Flat {
    symbol: protocol::Symbol,
    container: Option<String>,
    path: PathBuf,
    ranges: [protocol::Range; 2],
}

fn flatten(all: Vec<protocol::Symbol>, container: Option<&str>, file: &Path, into: &mut Vec<Flat>) {
    for mut symbol in all {
        let children = std::mem::take(&mut symbol.children);
        let (path, range) = match &symbol.location {
            Some(location) => (protocol::path_of(&location.uri), location.range),
            None => (Some(file.to_owned()), symbol.range),
        };
        // What is in no file of this machine is nowhere to go to.
        let Some(path) = path else { continue };
        let range = range.unwrap_or_default();
        let ranges = [range, symbol.selection_range.unwrap_or(range)];
        let named = symbol.container_name.take().filter(|name| !name.is_empty());
        let name = symbol.name.clone();
        into.push(Flat {
            symbol,
            container: named.or_else(|| container.map(str::to_owned)),
            path: path.clone(),
            ranges,
        });
        flatten(children, Some(&name), &path, into);
    }
}

pub fn symbols(found: Vec<protocol::Symbol>, file: &Path, texts: &mut Texts<'_>, tell: Tell<'_>) -> Result<(), Error> {
    let mut flat = Vec::new();
    flatten(found, None, file, &mut flat);
    let mut told = flat.as_slice();
    // File by file, as they come, so that the lines of each are found once.
    while let Some(first) = told.first() {
        let count = told.iter().take_while(|one| one.path == first.path).count();
        let (some, rest) = told.split_at(count);
        let ranges: Vec<protocol::Range> = some.iter().flat_map(|one| one.ranges).collect();
        let ranges: Vec<Range> = texts.ranges(&first.path, &ranges).into_iter().map(|(range, _)| range).collect();
        for (one, places) in some.iter().zip(ranges.chunks(2)) {
            let [range, selection] = places else { continue };
            tell(&Told::Symbol(Symbol {
                name: short(one.symbol.name.clone()),
                kind: protocol::symbol_kind(one.symbol.kind),
                detail: one.symbol.detail.clone().filter(|detail| !detail.is_empty()).map(short),
                container: one.container.clone().map(short),
                path: Name::from(one.path.as_path()),
                range: *range,
                selection: *selection,
            }))?;
        }
        told = rest;
    }
    Ok(())
}

fn malformed(what: &str, error: &serde_json::Error) -> Error {
    Error::new(Kind::Malformed, format!("{what} of the language server: {error}"))
}

pub fn diagnostic(value: &Value) -> Result<protocol::Diagnostic, Error> {
    let mut read = protocol::Diagnostic::deserialize(value).map_err(|error| malformed("a diagnostic", &error))?;
    read.message = short(read.message);
    Ok(read)
}

pub fn parse_action(value: Value) -> Result<protocol::Action, Error> {
    serde_json::from_value(value).map_err(|error| malformed("an action", &error))
}

pub fn action(value: Value, number: u32) -> Result<Action, Error> {
    Ok(match parse_action(value)? {
        protocol::Action::Command(command) => {
            Action { number, title: short(command.title), kind: None, preferred: false, disabled: None }
        }
        protocol::Action::Action { title, kind, preferred, disabled, .. } => Action {
            number,
            title: short(title),
            kind,
            preferred,
            disabled: disabled.map(|disabled| short(disabled.reason)),
        },
    })
}
