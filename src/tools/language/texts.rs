//! Files as text, for as long as one question takes: read once each, and not without end.

use super::documents::Documents;
use super::lines::{Counting, Lines, MARK};
use super::{Location, Point, Range, Units, protocol};
use crate::error::{Error, Kind};
use crate::tools::Name;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::borrow::Cow;
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

/// What a file says, without the mark at its beginning, which is no part of the text: editors do not show it, and do not tell servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The text.
    pub text: String,
    /// Whether there is a mark before it.
    pub marked: bool,
}

/// The same as text.
pub fn read_text(path: &Path) -> io::Result<Content> {
    let not_text = |_| io::Error::other(Error::new(Kind::Invalid, "it is no text: its bytes are not UTF-8"));
    let text = String::from_utf8(read(path, LONGEST)?).map_err(not_text)?;
    Ok(match text.strip_prefix(MARK) {
        Some(rest) => Content { text: rest.to_owned(), marked: true },
        None => Content { text, marked: false },
    })
}

/// A text without what ends a line for `str.splitlines` of Python and for nobody else: in its place is what takes as many bytes and
/// characters, so that all places are the same.
pub fn stand_in(text: &str) -> Cow<'_, str> {
    let of = |letter: char| match letter {
        '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' => ' ',
        '\u{85}' => '\u{a0}',
        '\u{2028}' | '\u{2029}' => '\u{2003}',
        letter => letter,
    };
    if text.chars().all(|letter| of(letter) == letter) { text.into() } else { text.chars().map(of).collect() }
}

/// The texts of the files that one question is about.
pub struct Texts<'d> {
    open: &'d Documents,
    read: BTreeMap<PathBuf, Option<Content>>,
    bytes: usize,
    units: Units,
    counting: Counting,
}

impl<'d> Texts<'d> {
    /// None read yet; those that are open are as the server has them.
    pub fn new(open: &'d Documents, units: Units, counting: Counting) -> Texts<'d> {
        Texts { open, read: BTreeMap::new(), bytes: 0, units, counting }
    }

    /// What columns count.
    pub fn units(&self) -> Units {
        self.units
    }

    /// Whether the server has the text from us, and not from the file.
    pub fn is_open(&self, path: &Path) -> bool {
        self.open.text(path).is_some()
    }

    /// The lines of a file, as people and the server count them, if it can be had.
    pub fn lines(&mut self, path: &Path) -> Option<Lines<'_>> {
        if let Some(text) = self.open.text(path) {
            return Some(Lines::of(text, self.counting, false));
        }
        if !self.read.contains_key(path) {
            let content = if self.bytes < MOST { read_text(path).ok() } else { None };
            self.bytes += content.as_ref().map_or(0, |content| content.text.len());
            self.read.insert(path.to_owned(), content);
        }
        let content = self.read.get(path)?.as_ref()?;
        Some(Lines::of(&content.text, self.counting, content.marked))
    }

    /// Ranges of one file as people count. Of a file that cannot be read the server's columns are taken as they are.
    pub fn ranges(&mut self, path: &Path, ranges: &[protocol::Range]) -> Vec<(Range, Option<String>)> {
        let units = self.units;
        let Some(lines) = self.lines(path) else {
            let point = |at: protocol::Position| Point {
                line: at.line.saturating_add(1),
                column: at.character.saturating_add(1),
            };
            return ranges.iter().map(|one| (Range { start: point(one.start), end: point(one.end) }, None)).collect();
        };
        ranges.iter().map(|one| (lines.range(*one, units), Some(lines.shown(one.start)))).collect()
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
