//! `fs cat`, `write` and `replace`.

use super::listing::{Lines, Listed, too_many};
use super::{FileEncoding, UNDONE, client, encoded, fits, from_stdin, keep, octal, print};
use crate::error::{Error, Problem};
use crate::tools::bulk::Sink;
use crate::tools::{Most, Name, Replaced, Request};
use crate::verbs::faults::{Env, Faults, problems_of};
use crate::verbs::words::{Mode, Text, Word, number, number_or_none, some};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};

/// `belljar fs cat`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FsCat"))]
pub struct Cat {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The path inside
    #[arg(value_name = "PATH")]
    path: Word,
    /// The first byte
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    #[serde(default, deserialize_with = "number")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::Count"))]
    offset: u64,
    /// How many bytes, at most
    #[arg(long, value_name = "BYTES")]
    #[serde(default, deserialize_with = "number_or_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::verbs::words::Count>"))]
    length: Option<u64>,
}

/// The content of a file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FileContent"))]
pub struct Content {
    /// As it was asked for.
    path: Name,
    /// As text; null where it was told as it came.
    content: Option<String>,
    /// How `content` has the bytes; null with it.
    encoding: Option<FileEncoding>,
}

impl Verb for Cat {
    type Told = Content;

    fn run(self, site: &Site<'_>) -> Result<Content, Error> {
        let path = Name::from(self.path);
        let request = Request::Read { path: path.clone(), offset: self.offset, length: self.length };
        let mut client = client(site, &self.sandbox)?;
        if let Some(live) = site.live {
            client.ask(&request, None, &mut |_| Ok(()), &mut |data| print(data, live()).map(drop))?;
            return Ok(Content { path, content: None, encoding: None });
        }
        let mut bytes = Vec::new();
        client.ask(&request, None, &mut |_| Ok(()), &mut |data| keep(data, &mut bytes))?;
        fits(&bytes, &path, "take a part of it with `--offset` and `--length`")?;
        let (content, encoding) = encoded(bytes);
        Ok(Content { path, content: Some(content), encoding: Some(encoding) })
    }
}

impl Told for Content {
    fn people(&self) -> String {
        String::new()
    }
}

/// `belljar fs write`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FsWrite"))]
pub struct Write {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The path inside
    #[arg(value_name = "PATH")]
    path: Word,
    /// Permissions, octal [default: those of the file that is there, else 0644]
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// Make the directories above it
    #[arg(short, long)]
    #[serde(default)]
    parents: bool,
    /// Behind what is there
    #[arg(short, long)]
    #[serde(default)]
    append: bool,
}

/// A file that was written.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FileWritten"))]
pub struct Written {
    /// As it was asked for.
    path: Name,
    /// How many were written.
    bytes: u64,
}

impl Verb for Write {
    type Told = Written;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.mode.as_deref().map(octal).transpose())
    }

    fn run(self, site: &Site<'_>) -> Result<Written, Error> {
        let path = Name::from(self.path);
        let mode = self.mode.as_deref().map(octal).transpose()?;
        let request = Request::Write { path: path.clone(), mode, parents: self.parents, append: self.append };
        let mut bytes = 0;
        let mut data = |to: &mut dyn Sink| from_stdin(to, &mut bytes);
        client(site, &self.sandbox)?.ask(&request, Some(&mut data), &mut |_| Ok(()), &mut |_| Ok(()))?;
        Ok(Written { path, bytes })
    }
}

impl Told for Written {
    fn people(&self) -> String {
        String::new()
    }
}

/// `belljar fs replace`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FsReplace"))]
pub struct Replace {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The text, as it is
    #[arg(value_name = "TEXT")]
    #[cfg_attr(test, schemars(with = "Text"))]
    text: Word,
    /// What comes in its place
    #[arg(value_name = "NEW")]
    #[cfg_attr(test, schemars(with = "Text"))]
    new: Word,
    /// The files
    #[arg(value_name = "FILE", required = true)]
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrSome<Word>"))]
    file: Vec<Word>,
}

/// What became of each file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FilesReplaced"))]
pub struct Replacements {
    /// In the order in which they were asked for; null where they were told as they came.
    #[cfg_attr(test, schemars(with = "Option<Vec<Replaced>>"))]
    files: Option<Listed<Replaced>>,
    /// Those of them in which nothing could be replaced.
    failed: Vec<Replaced>,
}

impl Replace {
    /// What is looked for, and what comes in its place.
    fn texts(&self) -> Result<(String, String), Error> {
        let mut faults = Faults::default();
        let read = (faults.text("text", self.text.0.clone()), faults.text("new", self.new.0.clone()));
        faults.not_empty("text", read.0.as_deref());
        faults.none().map(|()| (read.0.unwrap_or_default(), read.1.unwrap_or_default()))
    }
}

impl Verb for Replace {
    type Told = Replacements;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.texts())
    }

    fn run(self, site: &Site<'_>) -> Result<Replacements, Error> {
        let (pattern, text) = self.texts()?;
        let request = Request::Replace { files: self.file.into_iter().map(Name::from).collect(), pattern, text };
        let mut client = client(site, &self.sandbox)?;
        let mut failed = Vec::new();
        let mut fails = |file: &Replaced| {
            let error = file.error.as_ref();
            if let Some(error) = error {
                (site.say)(&error.to_string());
                failed.push(file.clone());
            }
            error.is_some()
        };
        let Some(live) = site.live else {
            let mut listed = Listed::default();
            let mut each = |file: Replaced| {
                fails(&file);
                listed.push(&file)
            };
            client.list(&request, Most::Many, &mut each).map_err(too_many)?;
            return Ok(Replacements { files: Some(listed), failed });
        };
        let mut lines = Lines::new(live(), String::new());
        let came = client.follow(&request, &mut |file: Replaced| {
            if fails(&file) { Ok(()) } else { lines.show(&format!("{}: {}\n", file.path, file.count)) }
        });
        lines.end(came)?;
        Ok(Replacements { files: None, failed })
    }
}

impl Told for Replacements {
    fn people(&self) -> String {
        String::new()
    }

    fn code(&self) -> i32 {
        if self.failed.is_empty() { 0 } else { UNDONE }
    }
}
