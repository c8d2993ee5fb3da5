//! `fs ls`, `tree`, `stat`, `find` and `grep`.

use super::listing::{Listed, list};
use super::{Found, client};
use crate::error::{Error, Kind, Problem};
use crate::tools::{Entry, EntryKind, Line, Most, Name, Request};
use crate::verbs::faults::{Env, Faults, problems_of};
use crate::verbs::text::moment;
use crate::verbs::words::{Text, Word, number, number_or_none};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::{Deserialize, Serialize};

/// Where commands begin.
fn here() -> Word {
    Word::from(".")
}

/// A directory alone.
fn one() -> u32 {
    1
}

/// Paths, and what is known of them.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FileEntries"))]
pub struct Entries {
    /// In the order in which they were found; null where they were told as they came.
    #[cfg_attr(test, schemars(with = "Option<Vec<Found>>"))]
    entries: Option<Listed<Found>>,
}

impl Told for Entries {
    fn people(&self) -> String {
        String::new()
    }
}

/// Letter, permissions, size, time and path, as ls -l has them.
fn row(entry: &Entry) -> String {
    let letter = match entry.kind {
        EntryKind::File => '-',
        EntryKind::Directory => 'd',
        EntryKind::Link => 'l',
        EntryKind::Special => '?',
    };
    let bits: String =
        (0..9).map(|bit| if entry.mode & (0o400 >> bit) == 0 { '-' } else { ['r', 'w', 'x'][bit % 3] }).collect();
    let when = moment(entry.modified);
    format!("{letter}{bits}  {:>10}  {when}  {}{}\n", entry.size, entry.path, target(entry))
}

fn target(entry: &Entry) -> String {
    entry.target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default()
}

/// `belljar fs ls`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FsLs"))]
pub struct Ls {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The path inside [default: the sandbox's working directory]
    #[arg(value_name = "PATH", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// Levels down
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[serde(default = "one", deserialize_with = "number")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::Count"))]
    depth: u32,
}

impl Verb for Ls {
    type Told = Entries;

    fn run(self, site: &Site<'_>) -> Result<Entries, Error> {
        let request = Request::List { path: Name::from(self.path), depth: self.depth };
        Ok(Entries { entries: list(site, &self.sandbox, &request, String::new(), row)? })
    }
}

/// `belljar fs tree`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FsTree"))]
pub struct Tree {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The path inside [default: the sandbox's working directory]
    #[arg(value_name = "PATH", default_value = ".", hide_default_value = true)]
    #[serde(default = "here")]
    path: Word,
    /// Levels down [default: all]
    #[arg(long, value_name = "N")]
    #[serde(default, deserialize_with = "number_or_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::verbs::words::Count>"))]
    depth: Option<u32>,
}

impl Verb for Tree {
    type Told = Entries;

    fn run(self, site: &Site<'_>) -> Result<Entries, Error> {
        let path = Name::from(self.path);
        let (head, above) = (format!("{path}\n"), path.0.len() + usize::from(!path.0.ends_with(b"/")));
        let depth = Some(self.depth.unwrap_or(u32::MAX));
        let request = Request::Find { path, pattern: None, kind: None, depth };
        let line = |entry: &Entry| {
            let below = entry.path.0.get(above..).unwrap_or_default();
            let level = below.iter().filter(|byte| **byte == b'/').count();
            let name = Name(below.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec());
            let mark = if entry.kind == EntryKind::Directory { "/" } else { "" };
            format!("{}{name}{mark}{}\n", "  ".repeat(level + 1), target(entry))
        };
        Ok(Entries { entries: list(site, &self.sandbox, &request, head, line)? })
    }
}

/// `belljar fs stat`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FsStat"))]
pub struct Stat {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The path inside
    #[arg(value_name = "PATH")]
    path: Word,
}

/// What a path is.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FileStat"))]
#[serde(transparent)]
pub struct Is {
    found: Found,
    #[serde(skip)]
    row: String,
}

impl Verb for Stat {
    type Told = Is;

    fn run(self, site: &Site<'_>) -> Result<Is, Error> {
        let request = Request::Stat { path: Name::from(self.path) };
        let mut found = None;
        client(site, &self.sandbox)?.list(&request, Most::One, &mut |entry: Entry| {
            found = Some(entry);
            Ok(())
        })?;
        let entry = found.ok_or_else(|| Error::new(Kind::Ended, "the tool inside gave no answer"))?;
        Ok(Is { row: row(&entry), found: Found::from(entry) })
    }
}

impl Told for Is {
    fn people(&self) -> String {
        self.row.clone()
    }
}

/// A kind by its name.
fn kind() -> impl TypedValueParser<Value = EntryKind> {
    PossibleValuesParser::new(["file", "directory", "link", "special"]).map(|word| match word.as_str() {
        "file" => EntryKind::File,
        "directory" => EntryKind::Directory,
        "link" => EntryKind::Link,
        _ => EntryKind::Special,
    })
}

/// `belljar fs find`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FsFind"))]
pub struct Find {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The path inside
    #[arg(value_name = "PATH")]
    path: Word,
    /// What a name must match, as in `*.py`
    #[arg(long, value_name = "PATTERN")]
    #[cfg_attr(test, schemars(with = "Option<Text>"))]
    name: Option<Word>,
    /// What it is
    #[arg(long, value_name = "KIND", value_parser = kind())]
    kind: Option<EntryKind>,
    /// Levels down [default: all]
    #[arg(long, value_name = "N")]
    #[serde(default, deserialize_with = "number_or_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::verbs::words::Count>"))]
    depth: Option<u32>,
}

impl Find {
    fn pattern(&self) -> Result<Option<String>, Error> {
        let mut faults = Faults::default();
        let pattern = self.name.as_ref().and_then(|word| faults.text("name", word.0.clone()));
        faults.none().map(|()| pattern)
    }
}

impl Verb for Find {
    type Told = Entries;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.pattern())
    }

    fn run(self, site: &Site<'_>) -> Result<Entries, Error> {
        let pattern = self.pattern()?;
        let request = Request::Find { path: Name::from(self.path), pattern, kind: self.kind, depth: self.depth };
        let line = |entry: &Entry| format!("{}\n", entry.path);
        Ok(Entries { entries: list(site, &self.sandbox, &request, String::new(), line)? })
    }
}

/// `belljar fs grep`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FsGrep"))]
pub struct Grep {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The path inside
    #[arg(value_name = "PATH")]
    path: Word,
    /// The text, as it is
    #[arg(value_name = "TEXT")]
    #[cfg_attr(test, schemars(with = "Text"))]
    text: Word,
    /// What a file's name must match, as in `*.py`
    #[arg(long, value_name = "PATTERN")]
    #[cfg_attr(test, schemars(with = "Option<Text>"))]
    name: Option<Word>,
    /// Small and capital letters are the same
    #[arg(short, long)]
    #[serde(default)]
    ignore_case: bool,
}

/// Lines that have a text in them.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FileLines"))]
pub struct Matches {
    /// In the order in which they were found; null where they were told as they came.
    #[cfg_attr(test, schemars(with = "Option<Vec<Line>>"))]
    lines: Option<Listed<Line>>,
}

impl Grep {
    /// What is looked for, and in which files.
    fn texts(&self) -> Result<(String, Option<String>), Error> {
        let mut faults = Faults::default();
        let pattern = faults.text("text", self.text.0.clone());
        faults.not_empty("text", pattern.as_deref());
        let files = self.name.as_ref().and_then(|word| faults.text("name", word.0.clone()));
        faults.none().map(|()| (pattern.unwrap_or_default(), files))
    }
}

impl Verb for Grep {
    type Told = Matches;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.texts())
    }

    fn run(self, site: &Site<'_>) -> Result<Matches, Error> {
        let (pattern, files) = self.texts()?;
        let request = Request::Grep { path: Name::from(self.path), pattern, files, ignore_case: self.ignore_case };
        let line = |line: &Line| format!("{}:{}:{}\n", line.path, line.line, line.content);
        Ok(Matches { lines: list(site, &self.sandbox, &request, String::new(), line)? })
    }
}

impl Told for Matches {
    fn people(&self) -> String {
        String::new()
    }
}
