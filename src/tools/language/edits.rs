//! Edits of files: what a server proposes, told as ranges and texts, and made where that is asked for.
//!
//! A file is changed as a whole or not at all, and only where it is as the server knows it.

use super::asking::Tell;
use super::lines::{Encoding, Lines};
use super::protocol::{self, DocumentChange, TextEdit, WorkspaceEdit};
use super::texts::{self, Texts};
use super::{Edit, Range, Told};
use crate::error::{Error, Kind};
use crate::tools::Name;
use crate::tools::draft::{self, Draft};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Bytes of the text of one piece of an edit; a frame holds it, escaped.
const PIECE: usize = 128 << 10;

/// Those of one file.
pub fn of_one(path: &Path, edits: Vec<TextEdit>) -> WorkspaceEdit {
    let changes = (!edits.is_empty()).then(|| BTreeMap::from([(protocol::uri_of(path), edits)]));
    WorkspaceEdit { changes, document_changes: None }
}

/// Those of each file.
///
/// # Errors
///
/// What is no edit of a file's text.
pub fn by_file(edit: WorkspaceEdit) -> Result<BTreeMap<PathBuf, Vec<TextEdit>>, Error> {
    let mut files: BTreeMap<PathBuf, Vec<TextEdit>> = BTreeMap::new();
    let mut take = |uri: &str, edits: Vec<TextEdit>| {
        let nowhere = || {
            Error::new(Kind::Malformed, format!("the language server edits `{}`, which is no file", uri.escape_debug()))
        };
        files.entry(protocol::path_of(uri).ok_or_else(nowhere)?).or_default().extend(edits);
        Ok(())
    };
    match (edit.document_changes, edit.changes) {
        // Where there are both, a client that knows the first takes that.
        (Some(changes), _) => changes.into_iter().try_for_each(|change| match change {
            DocumentChange::Edits { text_document, edits } => take(&text_document.uri, edits),
            DocumentChange::Other { kind } => {
                let message = format!("the language server would {kind} files, and is allowed to edit them only");
                Err(Error::new(Kind::Invalid, message))
            }
        })?,
        (None, changes) => {
            changes.into_iter().flatten().try_for_each(|(uri, edits)| take(&uri, edits))?;
        }
    }
    Ok(files)
}

/// A file with its edits.
pub struct Changed {
    path: PathBuf,
    before: String,
    after: String,
    edits: Vec<(Range, String)>,
}

impl Changed {
    /// Of a file as the server knows it.
    ///
    /// # Errors
    ///
    /// It cannot be read, or edits overlap.
    pub fn new(
        path: PathBuf,
        mut edits: Vec<TextEdit>,
        texts: &mut Texts<'_>,
        encoding: Encoding,
    ) -> Result<Changed, Error> {
        // In order; those at one place in the order in which they came.
        edits.sort_by_key(|edit| edit.range);
        let name = Name::from(path.as_path());
        let Some(before) = texts.text(&path).map(str::to_owned) else {
            let why = texts::read_text(&path).map_or_else(|error| Error::of_io(&error), |_| too_many());
            return Err(why.about(&name));
        };
        let after = applied(&before, &edits, encoding).map_err(|error| error.about(&name))?;
        let (lines, units) = (Lines::of(&before), texts.units());
        let point = |byte: usize| lines.point_of_byte(byte, units);
        let mut told = Vec::new();
        for edit in edits {
            let (start, end) = (lines.byte(edit.range.start, encoding), lines.byte(edit.range.end, encoding));
            for (from, to, text) in pieces(before.get(start..end).unwrap_or_default(), &edit.new_text) {
                told.push((Range { start: point(start + from), end: point(start + to) }, text.to_owned()));
            }
        }
        let edits = told;
        Ok(Changed { path, before, after, edits })
    }

    /// The file is as the server knows it.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn check(&self) -> Result<(), Error> {
        let name = Name::from(self.path.as_path());
        let now = texts::read_text(&self.path).map_err(|error| Error::of_io(&error).about(&name))?;
        if now == self.before {
            return Ok(());
        }
        let message = "it was changed meanwhile, and was not written over";
        Err(Error::new(Kind::Busy, message).about(&name).hint("ask again"))
    }

    /// Puts the new text in the place of the old, with the permissions that the file has.
    ///
    /// # Errors
    ///
    /// What keeps it from being written; then the file is as it was.
    pub fn write(&self) -> Result<(), Error> {
        self.check()?;
        let failed = |error: std::io::Error| Error::of_io(&error).about(&Name::from(self.path.as_path()));
        // A link keeps leading there.
        let real = std::fs::canonicalize(&self.path).map_err(failed)?;
        let (Some(above), Some(name)) = (real.parent(), real.file_name()) else {
            return Err(Error::new(Kind::NotAFile, "it is no regular file").about(&Name::from(real.as_path())));
        };
        let permissions = std::fs::metadata(&real).map_err(failed)?.permissions();
        let draft = Draft::new(above, draft::Kind::File).map_err(failed)?;
        draft.open().write_all(self.after.as_bytes()).map_err(failed)?;
        draft.open().set_permissions(permissions).map_err(failed)?;
        draft.publish(name).map_err(failed)
    }

    /// Tells the edits.
    ///
    /// # Errors
    ///
    /// The caller has gone.
    pub fn tell(&self, written: bool, tell: Tell<'_>) -> Result<(), Error> {
        tell(&Told::File { path: Name::from(self.path.as_path()), done: written })?;
        for (range, text) in &self.edits {
            let mut rest = text.as_str();
            loop {
                let end = (0..=PIECE.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(0);
                let (piece, behind) = rest.split_at(end);
                let edit = Edit { range: *range, text: piece.to_owned() };
                tell(&Told::Edit { edit, more: !behind.is_empty() })?;
                if behind.is_empty() {
                    break;
                }
                rest = behind;
            }
        }
        Ok(())
    }
}

fn too_many() -> Error {
    Error::new(Kind::TooLarge, "the files to be edited are more than 64 MiB together")
}

/// What an edit changes of a text: some servers write the whole file anew for one word. Line by line, where it has as many as before.
fn pieces<'n>(old: &str, new: &'n str) -> Vec<(usize, usize, &'n str)> {
    let lines = |text: &str| text.split_inclusive('\n').count();
    if old == new {
        return Vec::new();
    }
    if lines(old) != lines(new) {
        return vec![trimmed(old, new)];
    }
    let (mut found, mut at) = (Vec::new(), 0);
    for (old, new) in old.split_inclusive('\n').zip(new.split_inclusive('\n')) {
        if old != new {
            let (from, to, text) = trimmed(old, new);
            found.push((at + from, at + to, text));
        }
        at += old.len();
    }
    // One of nothing is one of nothing.
    if found.is_empty() { vec![(0, old.len(), new)] } else { found }
}

/// The same without what is common to both ends, as far as whole words are.
fn trimmed<'n>(old: &str, new: &'n str) -> (usize, usize, &'n str) {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let same = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum::<usize>();
    let start = old[..same].trim_end_matches(is_word).len();
    let (old, new) = (&old[start..], &new[start..]);
    let both = old.chars().rev().zip(new.chars().rev()).take_while(|(a, b)| a == b);
    let same: usize = both.map(|(a, _)| a.len_utf8()).sum();
    let end = old[old.len() - same..].trim_start_matches(is_word).len();
    (start, start + old.len() - end, &new[..new.len() - end])
}

/// A text with all edits made, of which none is in another's way.
fn applied(before: &str, edits: &[TextEdit], encoding: Encoding) -> Result<String, Error> {
    let lines = Lines::of(before);
    let (mut after, mut done) = (String::with_capacity(before.len()), 0);
    for edit in edits {
        let (start, end) = (lines.byte(edit.range.start, encoding), lines.byte(edit.range.end, encoding));
        let (Some(kept), true) = (before.get(done..start), start <= end) else {
            return Err(Error::new(Kind::Malformed, "edits of the language server overlap"));
        };
        after.push_str(kept);
        after.push_str(&edit.new_text);
        done = end;
    }
    after.push_str(&before[done..]);
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::protocol::Position;
    use super::*;

    fn edit(from: (u32, u32), to: (u32, u32), text: &str) -> TextEdit {
        let position = |(line, character)| Position { line, character };
        TextEdit { range: protocol::Range { start: position(from), end: position(to) }, new_text: text.to_owned() }
    }

    #[test]
    fn edits_are_made_together_in_units_of_the_server() {
        let text = "\u{1f600} = ab\nab\n";
        let edits = [edit((0, 0), (0, 0), "let "), edit((0, 5), (0, 7), "xyz"), edit((1, 0), (1, 2), "")];
        assert_eq!(applied(text, &edits, Encoding::Utf16).unwrap(), "let \u{1f600} = xyz\n\n");
        let whole = [edit((0, 0), (9, 9), "new\n")];
        assert_eq!(applied(text, &whole, Encoding::Utf16).unwrap(), "new\n");
        let overlapping = [edit((0, 0), (1, 0), ""), edit((0, 5), (0, 7), "xyz")];
        assert_eq!(applied(text, &overlapping, Encoding::Utf16).unwrap_err().kind, Kind::Malformed);
        assert_eq!(applied(text, &[edit((1, 1), (0, 0), "")], Encoding::Utf16).unwrap_err().kind, Kind::Malformed);
    }

    #[test]
    fn an_edit_of_the_whole_file_is_told_as_what_it_changes() {
        let old = "a_b.c = a_b()\nrest\n  \u{e4}a_b\n";
        assert_eq!(pieces(old, &old.replace("a_b", "a_d")), [(0, 11, "a_d.c = a_d"), (21, 26, "\u{e4}a_d")]);
        assert_eq!(pieces("x = old + 1\n", "x = older + 1\n"), [(4, 7, "older")]);
        assert_eq!(pieces("same\n", "same\n"), []);
        assert_eq!(pieces("", "new"), [(0, 0, "new")]);
        assert_eq!(pieces("a\nb\nc\n", "a\nc\n"), [(2, 5, "c")]);
        assert_eq!(pieces("aa", "a"), [(0, 2, "a")]);
    }

    proptest::proptest! {
        #[test]
        fn what_an_edit_changes_makes_of_the_old_text_the_new(old in "[ab_ .\n\u{e4}\u{1f600}]{0,30}", new in "[ab_ .\n\u{e4}\u{1f600}]{0,30}") {
            let (mut made, mut done) = (String::new(), 0);
            for (from, to, text) in pieces(&old, &new) {
                made.push_str(&old[done..from]);
                made.push_str(text);
                done = to;
            }
            made.push_str(&old[done..]);
            proptest::prop_assert_eq!(made, new);
        }
    }

    #[test]
    fn a_server_makes_and_removes_no_files() {
        let edit = serde_json::json!({ "documentChanges": [{ "kind": "delete", "uri": "file:///etc/passwd" }] });
        let error = by_file(serde_json::from_value(edit).unwrap()).unwrap_err();
        assert_eq!(error.message, "the language server would delete files, and is allowed to edit them only");
    }
}
