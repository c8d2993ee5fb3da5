//! Requests that search: find by name, grep and replace by content.

use super::look::walk;
use super::{Answer, change};
use crate::error::{Error, Kind};
use crate::tools::tree::open_file;
use crate::tools::{Entry, EntryKind, Line, Name, Replaced};
use fast_glob::glob_match;
use nix::fcntl::OFlag;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A line that is longer is taken for several.
const LONGEST_LINE: usize = 64 << 10;
/// What is looked at to tell text from anything else.
const HEAD: u64 = 8 << 10;
/// The longest file that is replaced in: it is held in memory.
const LONGEST_FILE: u64 = 64 << 20;
/// As deep as paths go.
const ANY_DEPTH: u32 = u32::MAX;

fn matches(pattern: Option<&str>, path: &Path) -> bool {
    let Some(pattern) = pattern else { return true };
    path.file_name().is_some_and(|name| glob_match(pattern.as_bytes(), name.as_encoded_bytes()))
}

pub fn find(
    top: &Name,
    pattern: Option<&str>,
    kind: Option<EntryKind>,
    depth: Option<u32>,
    answer: &mut Answer<'_>,
) -> Result<(), Error> {
    walk(top, depth.unwrap_or(ANY_DEPTH), &mut |_, entry: &Entry| {
        let wanted = kind.is_none_or(|kind| kind == entry.kind) && matches(pattern, entry.path.path());
        if wanted { answer.item(entry) } else { answer.pulse() }
    })
}

pub fn grep(
    top: &Name,
    pattern: &str,
    files: Option<&str>,
    ignore_case: bool,
    answer: &mut Answer<'_>,
) -> Result<(), Error> {
    if pattern.is_empty() {
        return Err(Error::new(Kind::Invalid, "the text to look for is empty"));
    }
    let about = |error: io::Error| Error::of_io(&error).about(top);
    if !fs::metadata(top.path()).map_err(about)?.is_dir() {
        return lines(top, pattern, ignore_case, answer).map_err(about);
    }
    walk(top, ANY_DEPTH, &mut |_, entry| {
        answer.pulse()?;
        if entry.kind != EntryKind::File || !matches(files, entry.path.path()) {
            return Ok(());
        }
        match lines(&entry.path, pattern, ignore_case, answer) {
            // Gone, or nobody's to read: like grep -r -s.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EACCES)) => Ok(()),
            // A file without a size that cannot be read is the kernel's, as those of `/proc` are.
            Err(error) if entry.size == 0 && error.raw_os_error().is_some_and(is_the_kernels) => Ok(()),
            result => result,
        }
    })
}

/// How files of the kernel's refuse to be read.
fn is_the_kernels(errno: i32) -> bool {
    matches!(errno, libc::EINVAL | libc::EPERM | libc::ESRCH | libc::EIO)
}

/// The lines of one file, if it is text.
fn lines(path: &Name, pattern: &str, ignore_case: bool, answer: &mut Answer<'_>) -> io::Result<()> {
    let (mut file, _) = open_file(path.path(), OFlag::empty())?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head)?;
    if head.contains(&0) {
        return Ok(());
    }
    file.rewind()?;
    let mut reader = BufReader::new(file);
    let wanted = if ignore_case { pattern.to_ascii_lowercase() } else { pattern.to_owned() };
    let (mut number, mut bytes) = (0, Vec::new());
    loop {
        bytes.clear();
        if reader.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(());
        }
        number += 1;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        let text = if ignore_case { bytes.to_ascii_lowercase() } else { bytes.clone() };
        answer.pulse()?;
        if places(&text, wanted.as_bytes()).next().is_some() {
            answer.item(&Line { path: path.clone(), line: number, content: Name(bytes.clone()) })?;
        }
    }
}

/// Where `wanted` stands in `text`, without overlap.
fn places<'t>(text: &'t [u8], wanted: &'t [u8]) -> impl Iterator<Item = usize> + 't {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let first = *wanted.first()?;
        let mut from = 0;
        loop {
            from += rest.get(from..)?.iter().position(|byte| *byte == first)?;
            if rest.get(from..)?.starts_with(wanted) {
                let found = at + from;
                at = found + wanted.len();
                return Some(found);
            }
            from += 1;
        }
    })
}

pub fn replace(files: &[Name], pattern: &str, text: &str, answer: &mut Answer<'_>) -> Result<(), Error> {
    if pattern.is_empty() {
        return Err(Error::new(Kind::Invalid, "the text to look for is empty"));
    }
    for path in files {
        let (count, error) = match replace_in(path.path(), pattern.as_bytes(), text.as_bytes(), answer) {
            Ok(count) => (count, None),
            Err(trouble) => (0, Some(trouble.about(path))),
        };
        let replaced = Replaced { path: path.clone(), count, error };
        answer.item(&replaced).map_err(|error| Error::of_io(&error))?;
    }
    Ok(())
}

fn replace_in(path: &Path, pattern: &[u8], text: &[u8], answer: &mut Answer<'_>) -> Result<u64, Error> {
    let (file, found) = open_file(path, OFlag::empty()).map_err(|error| Error::of_io(&error))?;
    let mut old = Vec::new();
    file.take(LONGEST_FILE + 1).read_to_end(&mut old).map_err(|error| Error::of_io(&error))?;
    if old.len() as u64 > LONGEST_FILE {
        return Err(Error::new(Kind::TooLarge, "it is longer than 64 MiB"));
    }
    let (mut new, mut from, mut count) = (Vec::with_capacity(old.len()), 0, 0);
    for at in places(&old, pattern) {
        new.extend_from_slice(&old[from..at]);
        new.extend_from_slice(text);
        from = at + pattern.len();
        count += 1;
    }
    if count > 0 {
        new.extend_from_slice(&old[from..]);
        let how = change::Writing { mode: Some(found.mode() & 0o7777), ..change::Writing::default() };
        change::write(path, how, &mut &new[..], answer)?;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn a_text_is_found_wherever_it_stands() {
        let found = |text: &str, wanted: &str| places(text.as_bytes(), wanted.as_bytes()).collect::<Vec<_>>();
        assert_eq!(found("aaaa", "aa"), [0, 2]);
        assert_eq!(found("abacab", "ab"), [0, 4]);
        assert_eq!(found("aab", "ab"), [1]);
        assert_eq!(found("a", "ab"), Vec::<usize>::new());
        assert_eq!(found("", "a"), Vec::<usize>::new());
    }
}
