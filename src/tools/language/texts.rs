//! Files as text, for as long as one question takes: read once each, and not without end.

use super::documents::Documents;
use super::lines::{Encoding, Lines};
use super::{Location, Point, Range, Units, protocol};
use crate::error::{Error, Kind};
use crate::tools::Name;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The longest file that is opened in a server.
pub const LONGEST: u64 = 4 << 20;
/// Bytes of all files that are read for one question, beside those that are open.
const MOST: usize = 64 << 20;

/// Opens a regular file: nothing else, which could make us wait.
pub fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty())?);
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    if !found.is_file() {
        return Err(io::Error::other(Error::new(Kind::NotAFile, "it is no regular file")));
    }
    Ok((file, found))
}

/// The content of a file that is not longer than that.
pub fn read(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    let (file, _) = open_regular(path)?;
    let mut bytes = Vec::new();
    file.take(longest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        let message = format!("it is longer than {} MiB", longest >> 20);
        return Err(io::Error::other(Error::new(Kind::TooLarge, message)));
    }
    Ok(bytes)
}

/// The same as text.
pub fn read_text(path: &Path) -> io::Result<String> {
    let not_text = |_| io::Error::other(Error::new(Kind::Invalid, "it is no text: its bytes are not UTF-8"));
    String::from_utf8(read(path, LONGEST)?).map_err(not_text)
}

/// The texts of the files that one question is about.
pub struct Texts<'d> {
    open: &'d Documents,
    read: BTreeMap<PathBuf, Option<String>>,
    bytes: usize,
    units: Units,
    encoding: Encoding,
}

impl<'d> Texts<'d> {
    /// None read yet; those that are open are as the server has them.
    pub fn new(open: &'d Documents, units: Units, encoding: Encoding) -> Texts<'d> {
        Texts { open, read: BTreeMap::new(), bytes: 0, units, encoding }
    }

    /// What columns count.
    pub fn units(&self) -> Units {
        self.units
    }

    /// The text of a file, if it can be had.
    pub fn text(&mut self, path: &Path) -> Option<&str> {
        if let Some(text) = self.open.text(path) {
            return Some(text);
        }
        if !self.read.contains_key(path) {
            let text = if self.bytes < MOST { read_text(path).ok() } else { None };
            self.bytes += text.as_ref().map_or(0, String::len);
            self.read.insert(path.to_owned(), text);
        }
        self.read.get(path)?.as_deref()
    }

    /// Ranges of one file as people count. Of a file that cannot be read the server's columns are taken as they are.
    pub fn ranges(&mut self, path: &Path, ranges: &[protocol::Range]) -> Vec<(Range, Option<String>)> {
        let (units, encoding) = (self.units, self.encoding);
        let Some(text) = self.text(path) else {
            let point = |at: protocol::Position| Point {
                line: at.line.saturating_add(1),
                column: at.character.saturating_add(1),
            };
            return ranges.iter().map(|one| (Range { start: point(one.start), end: point(one.end) }, None)).collect();
        };
        let lines = Lines::of(text);
        let of =
            |one: &protocol::Range| (lines.range(*one, units, encoding), Some(lines.shown(one.start.line as usize)));
        ranges.iter().map(of).collect()
    }

    /// One of them.
    pub fn range(&mut self, path: &Path, range: protocol::Range) -> Range {
        self.ranges(path, &[range]).first().map_or(NOWHERE, |(range, _)| *range)
    }

    /// Places as they are told, in the order in which they come; those that are in no file are left out.
    pub fn locations(&mut self, places: Vec<(String, protocol::Range)>) -> Vec<Location> {
        // File by file, so that the lines of each are found once.
        let mut files: BTreeMap<PathBuf, Vec<(usize, protocol::Range)>> = BTreeMap::new();
        for (number, (uri, range)) in places.into_iter().enumerate() {
            if let Some(path) = protocol::path_of(&uri) {
                files.entry(path).or_default().push((number, range));
            }
        }
        let mut told = BTreeMap::new();
        for (path, places) in files {
            let ranges: Vec<protocol::Range> = places.iter().map(|(_, range)| *range).collect();
            let found = self.ranges(&path, &ranges);
            for ((number, _), (range, text)) in places.iter().zip(found) {
                told.insert(*number, Location { path: Name::from(path.as_path()), range, text });
            }
        }
        told.into_values().collect()
    }
}

const NOWHERE: Range = Range { start: Point { line: 1, column: 1 }, end: Point { line: 1, column: 1 } };
