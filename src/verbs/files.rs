//! Files of sandboxes: requests to the tool inside, and results from its answers.
//!
//! A list or a file may be long. Where what is printed is wanted as it comes, it goes there in bounded memory and the result has null in
//! its place; else it goes into the result, which has room for so much and no more.

mod change;
mod content;
mod copy;
mod interrupt;
mod listing;
mod look;
mod watch;

pub use change::{Chmod, Mkdir, Mv, Rm};
pub use content::{Cat, Replace, Write};
pub use copy::Copy;
pub use look::{Find, Grep, Ls, Stat, Tree};
pub use watch::Watch;

use super::{Site, table};
use crate::error::{Error, Kind, Problem};
use crate::tools::bulk::Sink;
use crate::tools::{Client, Entry, EntryKind, Name};
use crate::verbs::text::moment;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io::{self, Read, Write as _};

table! {
    /// What to do with files.
    Fs, METHODS, described {
        /// List a directory
        Ls(Ls) = "fs.ls",
        /// Show a directory with all that is in it
        Tree(Tree) = "fs.tree",
        /// Show what a path is
        Stat(Stat) = "fs.stat",
        /// Print a file
        Cat(Cat) = "fs.cat",
        /// Write standard input to a file, all at once or not at all
        Write(Write) = "fs.write",
        /// Make a directory
        Mkdir(Mkdir) = "fs.mkdir",
        /// Remove a file or an empty directory
        Rm(Rm) = "fs.rm",
        /// Rename, or move to another directory
        Mv(Mv) = "fs.mv",
        /// Set permissions
        Chmod(Chmod) = "fs.chmod",
        /// List paths below a directory by name and kind
        Find(Find) = "fs.find",
        /// Print the lines of text files that have TEXT in them
        Grep(Grep) = "fs.grep",
        /// Replace a text in files, everywhere
        Replace(Replace) = "fs.replace",
        /// Tell what changes in a directory, as it changes
        Watch(Watch) = "fs.watch",
    }
}

table! {
    /// What to do with files on their way.
    Copies, COPY_METHODS, copies_described {
        /// Copy files and directories between the host and a sandbox
        Cp(Copy) = "cp",
    }
}

/// Exit code where a part could not be done.
const UNDONE: i32 = 1;
/// Bytes of a file that are told in a result.
const LONGEST_CONTENT: u64 = 64 << 20;

/// What is known of a path in a sandbox.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FileEntry"))]
pub struct Found {
    /// As it was asked for, with what lies below it.
    path: Name,
    /// Its last part.
    name: Name,
    /// What it is.
    kind: EntryKind,
    /// Bytes.
    size: u64,
    /// Permissions, with the bits above them, as octal digits.
    mode: String,
    /// When its content was last changed, as RFC 3339 has it.
    modified: String,
    /// Its owner, as seen inside.
    uid: u32,
    /// Its group, as seen inside.
    gid: u32,
    /// Where a link leads; null for anything else.
    target: Option<Name>,
}

impl From<Entry> for Found {
    fn from(entry: Entry) -> Found {
        Found {
            name: Name::from(entry.path.path().file_name().unwrap_or_default().to_owned()),
            path: entry.path,
            kind: entry.kind,
            size: entry.size,
            mode: format!("{:04o}", entry.mode),
            modified: moment(entry.modified),
            uid: entry.uid,
            gid: entry.gid,
            target: entry.target,
        }
    }
}

/// How bytes are told as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum FileEncoding {
    /// As they are: all of them are UTF-8.
    #[serde(rename = "utf-8")]
    Utf8,
    /// In base64: they are no text, or text that JSON would make far longer.
    #[serde(rename = "base64")]
    Base64,
}

/// Bytes as a result has them. Text that JSON would make longer than base64 makes the longest file is told as base64 too: a control
/// character is six there.
fn encoded(bytes: Vec<u8>) -> (String, FileEncoding) {
    match String::from_utf8(bytes) {
        Ok(text) if length_in_json(&text) > LONGEST_CONTENT.div_ceil(3) * 4 => {
            (STANDARD.encode(text), FileEncoding::Base64)
        }
        Ok(text) => (text, FileEncoding::Utf8),
        Err(error) => (STANDARD.encode(error.as_bytes()), FileEncoding::Base64),
    }
}

/// Bytes that JSON needs for a text, as serde_json escapes it.
fn length_in_json(text: &str) -> u64 {
    let length = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..=31 => 6,
        _ => 1,
    };
    text.bytes().map(length).sum()
}

/// A tool in the sandbox of that name, or over the files of one that is stopped.
fn client(site: &Site<'_>, sandbox: &str) -> Result<Client, Error> {
    Client::start(site.home()?, OsStr::new(sandbox), true)
}

/// Takes in all of `data`; of more than a result has room for one byte more.
fn keep(data: &mut dyn Read, bytes: &mut Vec<u8>) -> Result<(), Error> {
    let taken = data.take(LONGEST_CONTENT + 1).read_to_end(bytes);
    taken.and_then(|_| io::copy(data, &mut io::sink())).map_err(|error| Error::of_io(&error))?;
    Ok(())
}

/// As much as a result has room for.
fn fits(bytes: &[u8], path: &Name, instead: &str) -> Result<(), Error> {
    if bytes.len() as u64 <= LONGEST_CONTENT {
        return Ok(());
    }
    let error = Error::new(Kind::TooLarge, "more than 64 MiB are too much for one object").about(path);
    Err(error.hint(format!("{instead}, or go without `--json` (in `rpc`: with `stream`)")))
}

/// Everything to where it is printed; how many bytes.
fn print(data: &mut dyn Read, mut out: Box<dyn io::Write + Send>) -> Result<u64, Error> {
    io::copy(data, &mut out).and_then(|count| out.flush().map(|()| count)).map_err(|error| crate::tools::said(&error))
}

/// Everything from standard input.
fn from_stdin(to: &mut dyn Sink, bytes: &mut u64) -> Result<(), Error> {
    *bytes = io::copy(&mut io::stdin().lock(), to).map_err(|error| match error.kind() {
        // The tool has ended, and why is told in its place.
        io::ErrorKind::BrokenPipe => Error::new(Kind::Broken, "the tool does not listen any more"),
        _ => Error::of_io(&error),
    })?;
    Ok(())
}

/// Permissions as chmod(1) has them in digits.
fn octal(word: &OsStr) -> Result<u32, Error> {
    let mode = word.to_str().and_then(|text| u32::from_str_radix(text, 8).ok()).filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| {
        let problem = Problem::new("mode", format!("`{}` is not an octal mode", word.to_string_lossy().escape_debug()));
        Error::misused(vec![problem.hint("write octal digits, as in `644` or `0755`")])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_octal_digits() {
        assert_eq!([octal(OsStr::new("644")).ok(), octal(OsStr::new("07777")).ok()], [Some(0o644), Some(0o7777)]);
        for word in ["", "rwx", "8", "10000"] {
            let error = octal(OsStr::new(word)).unwrap_err();
            assert_eq!(
                (error.kind, error.to_string()),
                (Kind::Misused, format!("mode: `{word}` is not an octal mode"))
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_encoded() {
        assert_eq!(encoded(b"a\0b".to_vec()), ("a\0b".to_owned(), FileEncoding::Utf8));
        assert_eq!(encoded(b"\0\xff\n".to_vec()), ("AP8K".to_owned(), FileEncoding::Base64));
        let every: String = (0..=127).map(char::from).collect();
        assert_eq!(length_in_json(&every) + 2, serde_json::to_string(&every).unwrap().len() as u64);
        let long = encoded(vec![0; LONGEST_CONTENT as usize / 4]);
        assert_eq!((long.0.len() as u64, long.1), (LONGEST_CONTENT / 4 / 3 * 4 + 4, FileEncoding::Base64));
    }

    #[test]
    fn more_than_there_is_room_for_is_refused_and_read_to_its_end() {
        let mut data = io::repeat(b'x').take(LONGEST_CONTENT + 5);
        let mut bytes = Vec::new();
        keep(&mut data, &mut bytes).unwrap();
        assert_eq!((bytes.len() as u64, data.limit()), (LONGEST_CONTENT + 1, 0));
        let error = fits(&bytes, &"f".into(), "take a part").unwrap_err();
        assert_eq!(error.kind, Kind::TooLarge);
        assert!(fits(&bytes[1..], &"f".into(), "take a part").is_ok());
    }
}
