//! `belljar fs`.

use super::copy::{from_stdin, to_stdout};
use super::{Told, UNDONE, client};
use crate::cli::args::files::{At, Verb};
use crate::cli::render::{self, Lines, Listed};
use crate::error::{Error, Kind};
use crate::tools::{Entry, EntryKind, Line, Most, Name, Replaced, Request};
use crate::verbs::text::moment;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::Read as _;

/// Bytes of a file that are told in an object.
const LONGEST_CONTENT: u64 = 64 << 20;

/// Does it; whether as JSON, and what is told.
pub fn run(verb: Verb) -> (bool, Result<Told, Error>) {
    match verb {
        Verb::Ls { at, depth } => {
            let at = At::from(at);
            (at.json, list(&at, Request::List { path: path(&at), depth }, String::new(), row))
        }
        Verb::Tree { at, depth } => {
            let at = At::from(at);
            (at.json, tree(&at, depth.unwrap_or(u32::MAX)))
        }
        Verb::Stat(at) => (at.json, stat(&at)),
        Verb::Cat { at, offset, length } => (at.json, cat(&at, offset, length)),
        Verb::Write { at, mode, parents, append } => (at.json, write(&at, mode.as_deref(), parents, append)),
        Verb::Mkdir { at, parents, mode } => (
            at.json,
            octal(&mode).and_then(|mode| done(&at, Request::MakeDirectory { path: path(&at), parents, mode })),
        ),
        Verb::Rm { at, recursive, force } => {
            (at.json, done(&at, Request::Remove { path: path(&at), recursive, force }))
        }
        Verb::Mv { at, to, force } => {
            (at.json, done(&at, Request::Move { from: path(&at), to: Name::from(to), replace: force }))
        }
        Verb::Chmod { at, mode, recursive } => {
            (at.json, octal(&mode).and_then(|mode| done(&at, Request::ChangeMode { path: path(&at), mode, recursive })))
        }
        Verb::Find { at, name, kind, depth } => {
            let kind = kind.as_deref().and_then(kind_of);
            (
                at.json,
                list(
                    &at,
                    Request::Find { path: path(&at), pattern: name, kind, depth },
                    String::new(),
                    |entry: &Entry| format!("{}\n", entry.path),
                ),
            )
        }
        Verb::Grep { at, text, name, ignore_case } => {
            let request = Request::Grep { path: path(&at), pattern: text, files: name, ignore_case };
            (
                at.json,
                list(&at, request, String::new(), |line: &Line| {
                    format!("{}:{}:{}\n", line.path, line.line, line.content)
                }),
            )
        }
        Verb::Replace { sandbox, text, new, files, json } => {
            let files = files.into_iter().map(Name::from).collect();
            (json, replace(&sandbox, json, Request::Replace { files, pattern: text, text: new }))
        }
    }
}

fn path(at: &At) -> Name {
    Name::from(at.path.clone())
}

fn kind_of(word: &str) -> Option<EntryKind> {
    Some(match word {
        "file" => EntryKind::File,
        "directory" => EntryKind::Directory,
        "link" => EntryKind::Link,
        "special" => EntryKind::Special,
        _ => return None,
    })
}

/// Permissions as chmod(1) has them in digits.
fn octal(text: &str) -> Result<u32, Error> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| {
        let shown = text.escape_debug();
        Error::new(Kind::Misused, format!("mode: `{shown}` is not an octal mode"))
            .hint("write octal digits, as in `644` or `0755`")
    })
}

/// Items of one shape, each a line for people behind `head`, or all of them one object.
fn list<T: DeserializeOwned + Shown>(
    at: &At,
    request: Request,
    head: String,
    line: impl Fn(&T) -> String + Send + Sync,
) -> Result<Told, Error> {
    if at.json {
        let mut listed = Listed::new(T::MANY);
        client(&at.sandbox, true)?.list(&request, Most::Many, &mut |item: T| listed.push(&item.object()))?;
        return Ok(Told { listed: Some(listed), ..Told::new("", Value::Null) });
    }
    let mut lines = Lines::new(head);
    let came = client(&at.sandbox, true)?.follow(&request, &mut |item: T| lines.show(&line(&item)));
    let code = lines.end(came)?;
    Ok(Told { code, ..Told::new("", Value::Null) })
}

/// As programs read it.
trait Shown: Serialize {
    /// Many of them.
    const MANY: &'static str;

    fn object(&self) -> Value {
        json!(self)
    }
}

impl Shown for Entry {
    const MANY: &'static str = "entries";

    fn object(&self) -> Value {
        let mut object = json!(self);
        object["name"] = json!(Name::from(self.path.path().file_name().unwrap_or_default().to_owned()));
        object["mode"] = json!(format!("{:04o}", self.mode));
        object["modified"] = json!(moment(self.modified));
        object
    }
}

impl Shown for Line {
    const MANY: &'static str = "lines";
}

impl Shown for Replaced {
    const MANY: &'static str = "files";
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
    let target = entry.target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default();
    let when = moment(entry.modified);
    format!("{letter}{bits}  {:>10}  {when}  {}{target}\n", entry.size, entry.path)
}

fn tree(at: &At, depth: u32) -> Result<Told, Error> {
    let top = at.path.as_encoded_bytes();
    let above = top.len() + usize::from(!top.ends_with(b"/"));
    let request = Request::Find { path: path(at), pattern: None, kind: None, depth: Some(depth) };
    list(at, request, format!("{}\n", path(at)), |entry: &Entry| {
        let below = entry.path.0.get(above..).unwrap_or_default();
        let level = below.iter().filter(|byte| **byte == b'/').count();
        let name = Name(below.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec());
        let mark = if entry.kind == EntryKind::Directory { "/" } else { "" };
        let target = entry.target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default();
        format!("{}{name}{mark}{target}\n", "  ".repeat(level + 1))
    })
}

fn stat(at: &At) -> Result<Told, Error> {
    let mut found = None;
    client(&at.sandbox, true)?.list(&Request::Stat { path: path(at) }, Most::One, &mut |entry: Entry| {
        found = Some(entry);
        Ok(())
    })?;
    let entry = found.ok_or_else(|| Error::new(Kind::Ended, "the tool inside gave no answer"))?;
    let mut object = entry.object();
    object["version"] = json!(1);
    Ok(Told::new(row(&entry), object))
}

fn cat(at: &At, offset: u64, length: Option<u64>) -> Result<Told, Error> {
    let request = Request::Read { path: path(at), offset, length };
    let mut client = client(&at.sandbox, true)?;
    if !at.json {
        client.ask(&request, None, &mut |_| Ok(()), &mut to_stdout)?;
        return Ok(Told::new("", Value::Null));
    }
    let mut bytes = Vec::new();
    client.ask(&request, None, &mut |_| Ok(()), &mut |data| {
        let taken = data.take(LONGEST_CONTENT + 1).read_to_end(&mut bytes);
        taken.and_then(|_| std::io::copy(data, &mut std::io::sink())).map_err(|error| Error::of_io(&error))?;
        Ok(())
    })?;
    if bytes.len() as u64 > LONGEST_CONTENT {
        return Err(Error::new(Kind::TooLarge, "more than 64 MiB are too much for one object")
            .about(&path(at))
            .hint("take a part of it with `--offset` and `--length`, or go without `--json`"));
    }
    let (content, encoding) = match String::from_utf8(bytes) {
        Ok(text) => (text, "utf-8"),
        Err(error) => (STANDARD.encode(error.as_bytes()), "base64"),
    };
    Ok(Told::new("", json!({ "version": 1, "path": path(at), "content": content, "encoding": encoding })))
}

fn write(at: &At, mode: Option<&str>, parents: bool, append: bool) -> Result<Told, Error> {
    let mode = mode.map(octal).transpose()?;
    let request = Request::Write { path: path(at), mode, parents, append };
    let mut bytes = 0;
    client(&at.sandbox, true)?.ask(
        &request,
        Some(&mut |to| from_stdin(to, &mut bytes)),
        &mut |_| Ok(()),
        &mut |_| Ok(()),
    )?;
    Ok(Told::new("", json!({ "version": 1, "path": path(at), "bytes": bytes })))
}

/// Of which there is nothing to tell but that it is done.
fn done(at: &At, request: Request) -> Result<Told, Error> {
    client(&at.sandbox, true)?.ask(&request, None, &mut |_| Ok(()), &mut |_| Ok(()))?;
    Ok(Told::new("", json!({ "version": 1, "path": path(at) })))
}

fn replace(sandbox: &OsStr, json: bool, request: Request) -> Result<Told, Error> {
    let (mut listed, mut lines, mut code) = (Listed::new(Replaced::MANY), Lines::new(String::new()), 0);
    let mut client = client(sandbox, true)?;
    let mut each = |file: Replaced| {
        if let Some(trouble) = &file.error {
            render::say(&trouble.to_string());
            code = UNDONE;
        }
        match (&file.error, json) {
            (_, true) => listed.push(&file.object()),
            (None, false) => lines.show(&format!("{}: {}\n", file.path, file.count)),
            (Some(_), false) => Ok(()),
        }
    };
    if json {
        client.list(&request, Most::Many, &mut each)?;
        return Ok(Told { code, listed: Some(listed), ..Told::new("", Value::Null) });
    }
    let came = client.follow(&request, &mut each);
    let code = lines.end(came)?.max(code);
    Ok(Told { code, ..Told::new("", Value::Null) })
}
