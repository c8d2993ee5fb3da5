//! `belljar cp`.

use super::interrupt::{Interrupt, check};
use super::{Told, UNDONE, client, complain};
use crate::cli::args::files as args;
use crate::cli::progress::followed;
use crate::cli::render;
use crate::error::{Error, Kind};
use crate::tools::{Client, EntryKind, Most, Name, Request, Skipped, tree, wire};
use crate::trees::progress::{Progress, Quiet, Task};
use serde_json::json;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// Bytes of what is remembered of what was left out.
const MOST_REMEMBERED: usize = 32 << 20;

/// One side of a copy.
enum Side {
    Here(OsString),
    Stream,
    Inside(OsString, Name),
}

/// `NAME:PATH` with no slash before the colon is inside a sandbox, as in `docker cp`.
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

/// What one source came to.
#[derive(Default)]
struct Done {
    to: Name,
    bytes: u64,
    skipped: Vec<Skipped>,
    /// So many more, which nobody remembers.
    more: u64,
}

/// How copies are made.
struct Copying<'c> {
    progress: &'c dyn Progress,
    /// Whether the progress is seen, so that a total is worth a look.
    seen: bool,
    interrupt: Interrupt,
}

pub fn copy(copy: &args::Copy) -> Result<Told, Error> {
    let seen = !copy.quiet && !copy.json && io::IsTerminal::is_terminal(&io::stderr());
    let progress: Box<dyn Progress> = if seen { followed() } else { Box::new(Quiet) };
    let to = side(&copy.to);
    let several = copy.from.len() > 1;
    // Before anything is copied.
    copy.from.iter().try_for_each(|from| possible(&side(from), &to, several, copy.json))?;
    let copying = Copying { progress: &*progress, seen, interrupt: Interrupt::watch()? };
    let (mut all, mut code) = (Done::default(), 0);
    for from in &copy.from {
        let done = copying.one(side(from), &to, several);
        copying.interrupt.finish();
        match done {
            Ok(done) => {
                all.to = done.to;
                all.bytes += done.bytes;
                all.more += done.more;
                all.skipped.extend(done.skipped);
            }
            Err(trouble) if !several => return Err(trouble),
            // The others are copied all the same.
            Err(trouble) => code = complain(&trouble, false, UNDONE),
        }
    }
    drop(progress);
    if all.more > 0 {
        render::say(&format!("left out {} more", all.more));
    }
    if all.more > 0 || all.skipped.iter().any(|left_out| left_out.failed) {
        code = UNDONE;
    }
    if seen && !matches!(to, Side::Stream) {
        render::bare(&format!("copied {}", crate::verbs::text::size(all.bytes)));
    }
    if several && let Side::Inside(_, path) = &to {
        all.to = path.clone();
    } else if several {
        all.to = Name::from(copy.to.clone());
    }
    let Done { to, bytes, skipped, more } = all;
    let object =
        json!({ "version": 1, "to": to, "bytes": bytes, "skipped": leave_out(&skipped), "skipped_more": more });
    Ok(Told { code, ..Told::new("", object) })
}

/// Whether one copy can be made at all.
fn possible(from: &Side, to: &Side, several: bool, json: bool) -> Result<(), Error> {
    match (from, to) {
        (Side::Stream, _) | (_, Side::Stream) if several => Err(misused("`-` stands alone")),
        (Side::Inside(..), Side::Stream) if json => {
            Err(Error::new(Kind::Misused, "json: the bytes go to standard output, where the object would")
                .hint("name a file in the place of `-`, or go without `--json`"))
        }
        (Side::Inside(..), Side::Inside(..)) => Err(misused("FROM and TO are both in sandboxes")),
        (Side::Here(_) | Side::Stream, Side::Here(_) | Side::Stream) => {
            Err(misused("neither FROM nor TO is in a sandbox"))
        }
        _ => Ok(()),
    }
}

fn misused(why: &str) -> Error {
    Error::new(Kind::Misused, why)
        .hint("write a path in a sandbox as `SANDBOX:PATH`, and one here as `PATH` or `./PATH`")
}

/// The place that several things go into: it must be a directory.
fn directory(mut path: Vec<u8>, several: bool) -> Vec<u8> {
    if several && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path
}

/// Takes in what was left out. Whoever is inside could go on for ever, and so there is an end to what is remembered.
fn note(done: &mut Done, remembered: &mut usize, item: &[u8]) -> io::Result<()> {
    *remembered = remembered.saturating_add(item.len());
    if *remembered > MOST_REMEMBERED {
        done.more += 1;
        return Ok(());
    }
    done.skipped.push(wire::parse(item)?);
    Ok(())
}

/// Names what was not copied.
fn leave_out(skipped: &[Skipped]) -> Vec<serde_json::Value> {
    for left_out in skipped {
        render::say(&format!("left out {}: {}", left_out.path, left_out.why));
    }
    skipped.iter().map(|left_out| json!(left_out)).collect()
}

impl Copying<'_> {
    fn one(&self, from: Side, to: &Side, several: bool) -> Result<Done, Error> {
        match (from, to) {
            (Side::Inside(sandbox, path), Side::Here(to)) => {
                let to = OsString::from_vec(directory(to.as_bytes().to_vec(), several));
                self.pull(&sandbox, &path, Path::new(&to))
            }
            (Side::Inside(sandbox, path), Side::Stream) => self.print(&sandbox, path),
            (Side::Here(from), Side::Inside(sandbox, path)) => {
                self.push(Path::new(&from), sandbox, Name(directory(path.0.clone(), several)))
            }
            (Side::Stream, Side::Inside(sandbox, path)) => self.take(sandbox, path.clone()),
            (Side::Inside(..), Side::Inside(..)) | (Side::Here(_) | Side::Stream, Side::Here(_) | Side::Stream) => {
                Err(misused("neither FROM nor TO is in a sandbox"))
            }
        }
    }

    fn client(&self, sandbox: &OsStr) -> Result<Client, Error> {
        self.interrupt.outside(|| client(sandbox, true))
    }

    fn pull(&self, sandbox: &OsStr, path: &Name, to: &Path) -> Result<Done, Error> {
        let mut client = self.client(sandbox)?;
        let mut total = None;
        if self.seen {
            client.list(&Request::Measure { path: path.clone() }, Most::One, &mut |bytes: u64| {
                total = Some(bytes);
                Ok(())
            })?;
        }
        let request = Request::Pull { path: path.clone(), name: tree::MEMBER.into() };
        let (mut done, mut remembered, mut put) = (Done::default(), 0, None);
        let name = name(path.path());
        let mut task = self.progress.begin(&format!("from {path}"), total);
        client.ask(&request, None, &mut |item| note(&mut done, &mut remembered, item), &mut |data| {
            let mut counted = Counted { inner: data, task: &mut *task };
            put = Some(tree::put(&mut counted, to, &name, None)?);
            Ok(())
        })?;
        let tree::Put { place, bytes, skipped } = put.unwrap_or_default();
        done.skipped.extend(skipped);
        Ok(Done { to: Name::from(place.as_path()), bytes, ..done })
    }

    fn push(&self, from: &Path, sandbox: &OsStr, path: Name) -> Result<Done, Error> {
        let real = std::fs::canonicalize(from).map_err(|error| Error::of_io(&error).about(&Name::from(from)))?;
        let mut client = self.client(sandbox)?;
        let request = Request::Push { path: path.clone(), name: Name::from(name(from)) };
        let (mut done, mut remembered, mut skipped) = (Done::default(), 0, Vec::new());
        let total = self.seen.then(|| tree::measure(&real));
        let mut task = self.progress.begin(&format!("to {path}"), total);
        let mut bytes = 0;
        let mut send = |to: &mut dyn Write| {
            let mut counted = Counting { inner: to, task: &mut *task, bytes: &mut bytes };
            tree::pack(&real, Path::new(tree::MEMBER), tree::Owner::Caller, &mut counted, &mut |left_out| {
                skipped.push(left_out);
                Ok(())
            })
        };
        let mut heard = |item: &[u8]| note(&mut done, &mut remembered, item);
        client.ask(&request, Some(&mut send), &mut heard, &mut |_| Ok(()))?;
        done.skipped.extend(skipped);
        Ok(Done { to: path, bytes, ..done })
    }

    /// The bytes of a file, or a directory as a tar archive.
    fn print(&self, sandbox: &OsStr, path: Name) -> Result<Done, Error> {
        self.interrupt.release();
        let mut client = client(sandbox, true)?;
        let mut kind = None;
        client.list::<crate::tools::Entry>(&Request::Stat { path: path.clone() }, Most::One, &mut |entry| {
            kind = Some(entry.kind);
            Ok(())
        })?;
        let request = match kind {
            Some(EntryKind::Directory) => Request::Pull { name: Name::from(name(path.path())), path },
            _ => Request::Read { path, offset: 0, length: None },
        };
        let (mut done, mut remembered) = (Done::default(), 0);
        let mut heard = |item: &[u8]| note(&mut done, &mut remembered, item);
        client.ask(&request, None, &mut heard, &mut to_stdout)?;
        Ok(done)
    }

    fn take(&self, sandbox: &OsStr, path: Name) -> Result<Done, Error> {
        let request = Request::Write { path: path.clone(), mode: None, parents: false, append: false };
        let mut bytes = 0;
        self.interrupt.release();
        client(sandbox, true)?.ask(
            &request,
            Some(&mut |to| from_stdin(to, &mut bytes)),
            &mut |_| Ok(()),
            &mut |_| Ok(()),
        )?;
        Ok(Done { to: path, bytes, ..Done::default() })
    }
}

/// What a copy is called where it comes to: the last part of the path, or `.` for what is in a directory.
fn name(path: &Path) -> OsString {
    let bytes = path.as_os_str().as_bytes();
    if matches!(bytes, b"." | b"/") || bytes.ends_with(b"/.") {
        return ".".into();
    }
    path.file_name().map_or_else(|| ".".into(), OsStr::to_owned)
}

/// Everything to standard output.
pub fn to_stdout(data: &mut (dyn Read + Send)) -> Result<(), Error> {
    let mut out = render::out();
    io::copy(data, &mut out).and_then(|_| out.flush()).map_err(|error| crate::tools::said(&error))
}

/// Everything from standard input.
pub fn from_stdin(to: &mut dyn Write, bytes: &mut u64) -> Result<(), Error> {
    *bytes = io::copy(&mut io::stdin().lock(), to).map_err(|error| match error.kind() {
        // The tool has ended, and why is told in its place.
        io::ErrorKind::BrokenPipe => Error::new(Kind::Broken, "the tool does not listen any more"),
        _ => Error::of_io(&error),
    })?;
    Ok(())
}

struct Counted<'a> {
    inner: &'a mut (dyn Read + Send),
    task: &'a mut dyn Task,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        check()?;
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
        check()?;
        let count = self.inner.write(bytes)?;
        self.task.advance(count as u64);
        *self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
