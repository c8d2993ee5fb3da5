//! `git diff --raw --numstat -z`, and the same of `git show`.

use super::status::{State, state};
use super::{nonsense, number, parts};
use crate::error::Error;
use crate::name::Name;
use serde::Serialize;

/// What `diff` and `show` are told so that [`changes`] can read them, and no program of the repository's choice runs.
pub const DIFF_WORDS: [&str; 7] =
    ["--raw", "--numstat", "-z", "--find-renames", "--no-ext-diff", "--no-textconv", "--no-abbrev"];

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitChangedFile"))]
pub struct ChangedFile {
    /// From the top of the repository.
    pub path: Name,
    /// What it was called, or is a copy of; null for anything else.
    pub old_path: Option<Name>,
    /// What became of it.
    pub state: State,
    /// Lines that are new; null for what is no text.
    pub additions: Option<u64>,
    /// Lines that are gone; null for what is no text.
    pub deletions: Option<u64>,
    /// Permissions and kind before, as git has them; `000000` where it was not there.
    pub old_mode: String,
    /// The same after.
    pub mode: String,
}

/// All that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitChange"))]
pub struct Change {
    /// File by file.
    pub files: Vec<ChangedFile>,
    /// Lines that are new, in all of them.
    pub additions: u64,
    /// Lines that are gone.
    pub deletions: u64,
}

/// Reads it.
///
/// # Errors
///
/// It is nothing that git writes.
pub fn changes(bytes: &[u8]) -> Result<Change, Error> {
    let mut change = Change::default();
    let mut records = parts(bytes);
    let mut counted = 0;
    while let Some(record) = records.next() {
        if record.is_empty() {
            continue;
        }
        let read = if record.first() == Some(&b':') {
            raw(record, &mut records).map(|file| change.files.push(file))
        } else {
            count(record, &mut records).and_then(|(path, additions, deletions)| {
                // In the same order as the files; a file that both sides of a merge have changed is told once.
                let at = change.files.iter().skip(counted).position(|file| file.path.0 == path)? + counted;
                let file = change.files.get_mut(at)?;
                (file.additions, file.deletions) = (additions, deletions);
                counted = at + 1;
                Some(())
            })
        };
        read.ok_or_else(|| nonsense("a difference"))?;
    }
    change.additions = change.files.iter().filter_map(|file| file.additions).sum();
    change.deletions = change.files.iter().filter_map(|file| file.deletions).sum();
    Ok(change)
}

/// `:mode mode hash hash X[score]`, the path, and of a rename or copy a second one.
fn raw<'a>(record: &[u8], records: &mut impl Iterator<Item = &'a [u8]>) -> Option<ChangedFile> {
    let record = std::str::from_utf8(record.strip_prefix(b":")?).ok()?;
    let [old_mode, mode, _, _, letter] = record.split(' ').collect::<Vec<_>>()[..] else { return None };
    let state = state(*letter.as_bytes().first()?)?;
    let first = Name(records.next()?.to_vec());
    let (path, old_path) = match state {
        State::Renamed | State::Copied => (Name(records.next()?.to_vec()), Some(first)),
        _ => (first, None),
    };
    let (old_mode, mode) = (old_mode.to_owned(), mode.to_owned());
    Some(ChangedFile { path, old_path, state, additions: None, deletions: None, old_mode, mode })
}

/// What a file's lines are counted as: its path, and how many are new and gone.
type Counted<'a> = (&'a [u8], Option<u64>, Option<u64>);

/// `new TAB gone TAB path`; of a rename no path there, and two behind it. `-` for what is no text.
fn count<'a>(record: &'a [u8], records: &mut impl Iterator<Item = &'a [u8]>) -> Option<Counted<'a>> {
    let mut fields = record.splitn(3, |byte| *byte == b'\t');
    let (additions, deletions, path) = (fields.next()?, fields.next()?, fields.next()?);
    let read = |field: &[u8]| if field == b"-" { Some(None) } else { number(field).map(Some) };
    let path = if path.is_empty() { records.next().and_then(|_| records.next())? } else { path };
    Some((path, read(additions)?, read(deletions)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASHES: &str = "0123456789012345678901234567890123456789 0123456789012345678901234567890123456789";

    #[test]
    fn files_are_told_with_what_became_of_them_and_their_lines() {
        let text = format!(
            ":100644 100644 {HASHES} M\0a b\n\0:100644 100755 {HASHES} R090\0old\0new\0:000000 100644 {HASHES} A\0bin\0\
             3\t1\ta b\n\x002\t0\t\0old\0new\0-\t-\tbin\0"
        );
        let read = changes(text.as_bytes()).unwrap();
        let told: Vec<_> =
            read.files.iter().map(|file| (file.path.to_string(), file.state, file.additions, file.deletions)).collect();
        let wanted = [
            ("a b\\n".to_owned(), State::Modified, Some(3), Some(1)),
            ("new".to_owned(), State::Renamed, Some(2), Some(0)),
            ("bin".to_owned(), State::Added, None, None),
        ];
        assert_eq!(told, wanted);
        assert_eq!((read.additions, read.deletions), (5, 1));
        assert_eq!(read.files[1].old_path, Some("old".into()));
        assert_eq!((read.files[1].old_mode.as_str(), read.files[1].mode.as_str()), ("100644", "100755"));
        assert_eq!(changes(b"").unwrap(), Change::default());
    }

    #[test]
    fn what_git_does_not_write_is_an_error() {
        for text in [":1 2 M\0a\0", "1\t2\0", "1\t2\tnobody\0", "x\t2\ta\0", ":100644 100644 a b R1\0old\0"] {
            assert!(changes(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
