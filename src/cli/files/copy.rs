//! `belljar cp`.

use super::{Told, client};
use crate::cli::args::files as args;
use crate::cli::progress::followed;
use crate::cli::render;
use crate::images::progress::{Progress, Quiet, Task};
use crate::tools::{EntryKind, Name, Request, Skipped, Trouble, tree, wire};
use serde_json::json;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// The most that is remembered of what was left out: whoever is inside could go on for ever.
const MOST_SKIPPED: usize = 100_000;

/// One side of a copy.
enum Side {
    Here(OsString),
    Stream,
    Inside(OsString, Name),
}

/// What has no slash before its first colon is in a sandbox, as docker cp has it.
fn side(word: &OsStr) -> Side {
    let bytes = word.as_bytes();
    let colon = bytes.iter().position(|byte| *byte == b':');
    match (bytes, colon) {
        (b"-", _) => Side::Stream,
        (_, Some(at)) if !bytes[..at].contains(&b'/') && at > 0 => {
            let path = if at + 1 == bytes.len() { b".".to_vec() } else { bytes[at + 1..].to_vec() };
            Side::Inside(OsString::from_vec(bytes[..at].to_vec()), Name(path))
        }
        _ => Side::Here(word.to_owned()),
    }
}

pub fn copy(copy: &args::Copy) -> Result<Told, Trouble> {
    let progress: Box<dyn Progress> = if copy.quiet || copy.json || !io::IsTerminal::is_terminal(&io::stderr()) {
        Box::new(Quiet)
    } else {
        followed()
    };
    match (side(&copy.from), side(&copy.to)) {
        (Side::Inside(sandbox, path), Side::Here(to)) => pull(&sandbox, &path, Path::new(&to), &*progress),
        (Side::Inside(..), Side::Stream) if copy.json => {
            Err(Trouble::new("misused", "json: the bytes go to standard output, where the object would")
                .hint("name a file in the place of `-`, or go without `--json`"))
        }
        (Side::Inside(sandbox, path), Side::Stream) => print(&sandbox, path),
        (Side::Here(from), Side::Inside(sandbox, path)) => push(Path::new(&from), &sandbox, path, &*progress),
        (Side::Stream, Side::Inside(sandbox, path)) => take(&sandbox, path),
        (Side::Inside(..), Side::Inside(..)) => Err(misused("both places are in sandboxes")),
        (Side::Here(_) | Side::Stream, Side::Here(_) | Side::Stream) => Err(misused("no place is in a sandbox")),
    }
}

fn misused(why: &str) -> Trouble {
    Trouble::new("misused", why).hint("write a path in a sandbox as `SANDBOX:PATH`, and one here as `PATH` or `./PATH`")
}

/// Takes in what was left out.
fn note(skipped: &mut Vec<Skipped>, item: &[u8]) -> io::Result<()> {
    if skipped.len() == MOST_SKIPPED {
        return Err(wire::nonsense("there is more than anybody would keep"));
    }
    skipped.push(wire::parse(item)?);
    Ok(())
}

/// Names what no copy is made of.
fn leave_out(skipped: &[Skipped]) -> Vec<serde_json::Value> {
    for left_out in skipped {
        render::say(&format!("left out {}: {}", left_out.path, left_out.why));
    }
    skipped.iter().map(|left_out| json!(left_out)).collect()
}

fn told(to: &Name, bytes: u64, skipped: &[Skipped]) -> Told {
    Told::new("", json!({ "version": 1, "to": to, "bytes": bytes, "skipped": leave_out(skipped) }))
}

fn pull(sandbox: &OsStr, path: &Name, to: &Path, progress: &dyn Progress) -> Result<Told, Trouble> {
    let mut client = client(sandbox, true)?;
    let request = Request::Pull { path: path.clone(), name: tree::MEMBER.into() };
    let (mut skipped, mut done) = (Vec::new(), None);
    let name = name(path.path());
    let task = progress.begin(&format!("from {path}"), None);
    client.ask(&request, None, &mut |item| note(&mut skipped, item), &mut |data| {
        let mut counted = Counted { inner: data, task: progress.begin("", None) };
        done = Some(tree::put(&mut counted, to, &name, tree::Trust::Nobody)?);
        Ok(())
    })?;
    drop(task);
    let (to, bytes) = done.unwrap_or_default();
    Ok(told(&Name::from(to.as_path()), bytes, &skipped))
}

/// What a copy is called where it comes to: the last part of the path, or `.` for what is in a directory.
fn name(path: &Path) -> OsString {
    let bytes = path.as_os_str().as_bytes();
    if matches!(bytes, b"." | b"/") || bytes.ends_with(b"/.") {
        return ".".into();
    }
    path.file_name().map_or_else(|| ".".into(), OsStr::to_owned)
}

fn push(from: &Path, sandbox: &OsStr, path: Name, progress: &dyn Progress) -> Result<Told, Trouble> {
    let real = std::fs::canonicalize(from).map_err(|error| Trouble::of(&error).about(&Name::from(from)))?;
    let mut client = client(sandbox, true)?;
    let request = Request::Push { path: path.clone(), name: Name::from(name(from)) };
    let mut skipped = Vec::new();
    let mut task = progress.begin(&format!("to {path}"), None);
    let mut bytes = 0;
    let mut send = |to: &mut dyn Write| {
        let mut counted = Counting { inner: to, task: &mut *task, bytes: &mut bytes };
        tree::pack(&real, Path::new(tree::MEMBER), &mut counted, &mut |left_out| {
            skipped.push(left_out);
            Ok(())
        })
    };
    client.ask(&request, Some(&mut send), &mut |_| Ok(()), &mut |_| Ok(()))?;
    Ok(told(&path, bytes, &skipped))
}

/// The bytes of a file, or a directory as a tar archive.
fn print(sandbox: &OsStr, path: Name) -> Result<Told, Trouble> {
    let mut client = client(sandbox, true)?;
    let mut kind = None;
    client.list::<crate::tools::Entry>(&Request::Stat { path: path.clone() }, &mut |entry| {
        kind = Some(entry.kind);
        Ok(())
    })?;
    let request = match kind {
        Some(EntryKind::Directory) => Request::Pull { name: Name::from(name(path.path())), path },
        _ => Request::Read { path, offset: 0, length: None },
    };
    let mut skipped = Vec::new();
    client.ask(&request, None, &mut |item| note(&mut skipped, item), &mut to_stdout)?;
    leave_out(&skipped);
    Ok(Told::new("", serde_json::Value::Null))
}

/// Everything to standard output.
pub fn to_stdout(data: &mut (dyn Read + Send)) -> Result<(), Trouble> {
    let mut out = io::stdout().lock();
    io::copy(data, &mut out).and_then(|_| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Trouble::new("failed", "nobody reads standard output any more"),
        _ => crate::tools::said(&error),
    })
}

fn take(sandbox: &OsStr, path: Name) -> Result<Told, Trouble> {
    let request = Request::Write { path: path.clone(), mode: None, parents: false, append: false };
    let mut bytes = 0;
    client(sandbox, true)?
        .ask(&request, Some(&mut |to| from_stdin(to, &mut bytes)), &mut |_| Ok(()), &mut |_| Ok(()))?;
    Ok(told(&path, bytes, &[]))
}

/// Everything from standard input.
pub fn from_stdin(to: &mut dyn Write, bytes: &mut u64) -> Result<(), Trouble> {
    *bytes = io::copy(&mut io::stdin().lock(), to).map_err(|error| match error.kind() {
        // The tool has ended, and why is told in its place.
        io::ErrorKind::BrokenPipe => Trouble::new("broken", "the tool does not listen any more"),
        _ => Trouble::of(&error),
    })?;
    Ok(())
}

struct Counted<'a> {
    inner: &'a mut (dyn Read + Send),
    task: Box<dyn Task>,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.task.advance(count as u64);
        Ok(count)
    }
}

struct Counting<'a> {
    inner: &'a mut dyn Write,
    task: &'a mut dyn Task,
    bytes: &'a mut u64,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.task.advance(count as u64);
        *self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
