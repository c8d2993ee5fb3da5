//! `cp`: files and directories between the host and a sandbox.

use super::interrupt::{Interrupt, check};
use super::{FileEncoding, UNDONE, encoded, fits, from_stdin, keep, print};
use crate::error::{Error, Problem};
use crate::tools::bulk::{self, Filled, Sink};
use crate::tools::{Client, EntryKind, Most, Name, Pushed, Request, Skipped, tree, wire};
use crate::trees::progress::{Progress, Quiet, Task};
use crate::trees::unpack::Source;
use crate::verbs::faults::all;
use crate::verbs::text::size;
use crate::verbs::words::{Word, some};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// Bytes of what is remembered of what was left out.
const MOST_REMEMBERED: usize = 32 << 20;

/// `belljar cp`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CopyOf"))]
#[command(
    override_usage = "belljar cp [OPTIONS] SANDBOX:PATH... PATH\n       belljar cp [OPTIONS] PATH... SANDBOX:PATH",
    after_help = "A directory is copied with all that is in it, and into the place that is named, where that is a directory; DIR/. is what is \
in it alone. Several are copied into a directory that is there. With - as PATH a file's bytes go to stdout or come from stdin. Links \
are copied as links. Fifos, sockets and devices are left out and named; so is what cannot be read, and the exit code is 1 then. Relative paths inside count from the sandbox's working directory."
)]
pub struct Copy {
    /// Where from: a path here, `SANDBOX:PATH`, or `-`
    #[arg(value_name = "FROM", required = true)]
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrSome<Word>"))]
    from: Vec<Word>,
    /// Where to: a path here, `SANDBOX:PATH`, or `-`
    #[arg(value_name = "TO")]
    to: Word,
    /// No progress
    #[arg(short, long)]
    #[serde(default)]
    quiet: bool,
}

/// What was copied.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Copied {
    /// Where it is now; where there were several, the directory that they are in; `-` for what was printed.
    to: Name,
    /// Bytes of content of all files; where TO is `-`, of what was printed.
    bytes: u64,
    /// What was not copied of what is in them.
    skipped: Vec<Skipped>,
    /// So many more, which nobody remembers.
    skipped_more: u64,
    /// Of several sources those that were not copied; of one alone that is an error.
    failed: Vec<NotCopied>,
    /// Only where TO is `-`, and nobody was told it as it came: the file as text, of a directory a tar archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    /// How `content` has the bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<FileEncoding>,
    #[serde(skip)]
    code: i32,
}

/// A source that was not copied.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NotCopied {
    /// As it was asked for.
    path: Name,
    /// Why.
    error: Error,
}

impl Told for Copied {
    fn people(&self) -> String {
        String::new()
    }

    fn code(&self) -> i32 {
        self.code
    }
}

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
    /// What nobody was told as it came.
    kept: Option<Vec<u8>>,
}

/// How copies are made.
struct Copying<'c> {
    site: &'c Site<'c>,
    progress: &'c dyn Progress,
    /// Whether the progress is seen, so that a total is worth a look.
    seen: bool,
    interrupt: Interrupt,
}

impl Verb for Copy {
    type Told = Copied;

    fn run(self, site: &Site<'_>) -> Result<Copied, Error> {
        site.home()?;
        let seen = !self.quiet && site.live.is_some() && io::stderr().is_terminal();
        let progress: Box<dyn Progress> = if seen { (site.progress)() } else { Box::new(Quiet) };
        let to = side(&self.to);
        let several = self.from.len() > 1;
        // Before anything is copied.
        all(self.from.iter().map(|from| possible(&side(from), &to, several)))?;
        let copying = Copying { site, progress: &*progress, seen, interrupt: Interrupt::watch(site.say)? };
        let (mut sum, mut code, mut failed) = (Done::default(), 0, Vec::new());
        for from in &self.from {
            let part = if matches!(to, Side::Inside(..)) { "to" } else { "from" };
            let done = copying.one(side(from), &to, several).map_err(|error| error.rename_field("sandbox", part));
            copying.interrupt.finish();
            match done {
                Ok(done) => {
                    sum.to = done.to;
                    sum.bytes += done.bytes;
                    sum.more += done.more;
                    sum.skipped.extend(done.skipped);
                    sum.kept = done.kept;
                }
                Err(error) if !several => return Err(error),
                // The others are copied all the same.
                Err(error) => {
                    (site.complain)(&error);
                    code = crate::verbs::exit_code(&error);
                    failed.push(NotCopied { path: Name::from(from.clone()), error });
                }
            }
        }
        for left_out in &sum.skipped {
            (site.say)(&format!("left out {}: {}", left_out.path, left_out.why));
        }
        if sum.more > 0 {
            (site.say)(&format!("left out {} more", sum.more));
        }
        if sum.more > 0 || sum.skipped.iter().any(|left_out| left_out.failed) {
            code = UNDONE;
        }
        if seen && !matches!(to, Side::Stream) {
            progress.note(&format!("copied {}", size(sum.bytes)));
        }
        if several && let Side::Inside(_, path) = &to {
            sum.to = path.clone();
        } else if several {
            sum.to = Name::from(self.to);
        }
        let Done { to, bytes, skipped, more: skipped_more, kept } = sum;
        let (content, encoding) = kept.map(encoded).unzip();
        Ok(Copied { to, bytes, skipped, skipped_more, failed, content, encoding, code })
    }
}

/// Whether one copy can be made at all.
fn possible(from: &Side, to: &Side, several: bool) -> Result<(), Error> {
    match (from, to) {
        (_, Side::Stream) if several => Err(misused("to", "`-` takes one source alone")),
        (Side::Stream, _) if several => Err(misused("from", "`-` is one of several sources")),
        (Side::Inside(..), Side::Inside(..)) => Err(misused("to", "is in a sandbox, and a source is too")),
        (Side::Here(_) | Side::Stream, Side::Here(_) | Side::Stream) => Err(neither()),
        _ => Ok(()),
    }
}

fn neither() -> Error {
    misused("to", "is in no sandbox, and a source is in none either")
}

fn misused(field: &str, why: &str) -> Error {
    let hint = "write a path in a sandbox as `SANDBOX:PATH`, and one here as `PATH` or `./PATH`";
    Error::misused(vec![Problem::new(field, why).hint(hint)])
}

/// The place that several things go into: it must be a directory.
fn directory(mut path: Vec<u8>, several: bool) -> Vec<u8> {
    if several && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path
}

/// Takes in what was left out. Whoever is inside could go on for ever, and so there is an end to what is remembered.
fn note(done: &mut Done, remembered: &mut usize, left_out: Skipped) {
    *remembered = remembered.saturating_add(size_of::<Skipped>() + left_out.path.0.len() + left_out.why.len());
    if *remembered > MOST_REMEMBERED {
        done.more += 1;
    } else {
        done.skipped.push(left_out);
    }
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
                Err(neither())
            }
        }
    }

    fn client(&self, sandbox: &OsStr) -> Result<Client, Error> {
        self.interrupt.outside(|| self.start(sandbox))
    }

    fn start(&self, sandbox: &OsStr) -> Result<Client, Error> {
        Client::start(self.site.home()?, sandbox, true)
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
        let mut heard = |item: &[u8]| wire::parse(item).map(|left_out| note(&mut done, &mut remembered, left_out));
        client.ask(&request, None, &mut heard, &mut |data| {
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
        let mut send = |to: &mut dyn Sink| {
            let mut counted = Counting { inner: to, task: &mut *task };
            tree::pack(&real, Path::new(tree::MEMBER), tree::Owner::Caller, &mut counted, &mut |left_out| {
                skipped.push(left_out);
                Ok(())
            })
        };
        let mut heard = |item: &[u8]| {
            match wire::parse(item)? {
                Pushed::Placed { place, bytes } => (done.to, done.bytes) = (place, bytes),
                Pushed::LeftOut(left_out) => note(&mut done, &mut remembered, left_out),
            }
            Ok(())
        };
        client.ask(&request, Some(&mut send), &mut heard, &mut |_| Ok(()))?;
        done.skipped.extend(skipped);
        Ok(done)
    }

    /// The bytes of a file, or a directory as a tar archive.
    fn print(&self, sandbox: &OsStr, path: Name) -> Result<Done, Error> {
        self.interrupt.release();
        let mut client = self.start(sandbox)?;
        let mut kind = None;
        client.list::<crate::tools::Entry>(&Request::Stat { path: path.clone() }, Most::One, &mut |entry| {
            kind = Some(entry.kind);
            Ok(())
        })?;
        let request = match kind {
            Some(EntryKind::Directory) => Request::Pull { name: Name::from(name(path.path())), path: path.clone() },
            _ => Request::Read { path: path.clone(), offset: 0, length: None },
        };
        let (mut done, mut remembered) = (Done { to: "-".into(), ..Done::default() }, 0);
        let mut heard = |item: &[u8]| wire::parse(item).map(|left_out| note(&mut done, &mut remembered, left_out));
        if let Some(live) = self.site.live {
            let mut bytes = 0;
            client.ask(&request, None, &mut heard, &mut |data| print(data, live()).map(|count| bytes = count))?;
            return Ok(Done { bytes, ..done });
        }
        let mut bytes = Vec::new();
        client.ask(&request, None, &mut heard, &mut |data| keep(data, &mut bytes))?;
        fits(&bytes, &path, "name a file in the place of `-`")?;
        Ok(Done { bytes: bytes.len() as u64, kept: Some(bytes), ..done })
    }

    fn take(&self, sandbox: &OsStr, path: Name) -> Result<Done, Error> {
        let request = Request::Write { path: path.clone(), mode: None, parents: false, append: false };
        let mut bytes = 0;
        self.interrupt.release();
        self.start(sandbox)?
            .ask(&request, Some(&mut |to| from_stdin(to, &mut bytes)), &mut |_| Ok(()), &mut |_| Ok(()))?;
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

struct Counted<'a> {
    inner: &'a mut dyn Source,
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

impl Source for Counted<'_> {
    fn pass(&mut self, file: &File, most: u64) -> io::Result<u64> {
        check()?;
        let count = self.inner.pass(file, most)?;
        self.task.advance(count);
        Ok(count)
    }
}

struct Counting<'a> {
    inner: &'a mut dyn Sink,
    task: &'a mut dyn Task,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        check()?;
        let count = self.inner.write(bytes)?;
        self.task.advance(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Sink for Counting<'_> {
    fn file(&mut self, file: &File, length: u64) -> Filled {
        bulk::in_pieces(length, &mut |piece| {
            check()?;
            let failed = piece.write(file, self.inner)?;
            self.task.advance(piece.length());
            Ok(failed)
        })
    }
}
