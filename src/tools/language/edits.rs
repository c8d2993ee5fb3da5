//! Edits of files: what a server proposes, told as ranges and texts, and made where that is asked for.
//!
//! A file is changed as a whole or not at all, and only where it is as the server knows it: an edit that lies outside of it, or that in a
//! renaming is not of what is renamed, says that the server knows another text, and then nothing is written. Of several files all are
//! changed or none.

use super::asking::Tell;
use super::lines::{Lines, MARK};
use super::protocol::{self, DocumentChange, TextEdit, WorkspaceEdit};
use super::texts::{self, Texts};
use super::{Edit, Range, Told};
use crate::error::{Error, Kind};
use crate::tools::Name;
use crate::tools::draft::{self, Draft};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
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

/// What is known of edits before they are looked at.
#[derive(Clone, Copy, Default)]
pub struct Wish<'w> {
    /// The name that is to be another: whatever is edited has it.
    pub name: Option<&'w str>,
    /// Whether the server has [stand-ins](texts::stand_in) in the texts that are open.
    pub stands_in: bool,
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
    /// It cannot be read, or the edits cannot be of it: they overlap, lie outside of it, or are not of what is renamed.
    pub fn new(
        path: PathBuf,
        mut edits: Vec<TextEdit>,
        texts: &mut Texts<'_>,
        wish: Wish<'_>,
    ) -> Result<Changed, Error> {
        // In order; those at one place in the order in which they came.
        edits.sort_by_key(|edit| edit.range);
        let name = Name::from(path.as_path());
        let (units, is_open) = (texts.units(), texts.is_open(&path));
        let Some(lines) = texts.lines(&path) else {
            let why = texts::read_text(&path).map_or_else(|error| Error::of_io(&error), |_| too_many());
            return Err(why.about(&name));
        };
        let before = lines.text().to_owned();
        let found = pieces_of(&lines, &edits, Wish { stands_in: wish.stands_in && is_open, ..wish });
        let found = found.map_err(|error| error.about(&name))?;
        let (mut after, mut done, mut told) = (String::with_capacity(before.len()), 0, Vec::new());
        for (from, to, text) in found {
            after.push_str(before.get(done..from).unwrap_or_default());
            after.push_str(text);
            let range = Range { start: lines.point_of_byte(from, units), end: lines.point_of_byte(to, units) };
            told.push((range, text.to_owned()));
            done = to;
        }
        after.push_str(before.get(done..).unwrap_or_default());
        Ok(Changed { path, before, after, edits: told })
    }

    /// Whether anything is another.
    pub fn is_any(&self) -> bool {
        !self.edits.is_empty()
    }

    /// The file is as the server knows it.
    ///
    /// # Errors
    ///
    /// It is not.
    fn check(&self) -> Result<(), Error> {
        self.read_as(&self.before).map(drop)
    }

    /// The file, which has that text; whether a mark is before it.
    fn read_as(&self, text: &str) -> Result<bool, Error> {
        let name = Name::from(self.path.as_path());
        let now = texts::read_text(&self.path).map_err(|error| Error::of_io(&error).about(&name))?;
        if now.text == text {
            return Ok(now.marked);
        }
        let message = "it was changed meanwhile, and was not written over";
        Err(Error::new(Kind::Busy, message).about(&name).hint("ask again"))
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::of_io(error).about(&Name::from(self.path.as_path()))
    }

    /// The directory in which it lies, and its name there; a link keeps leading there.
    fn place(&self) -> Result<(PathBuf, OsString), Error> {
        let real = std::fs::canonicalize(&self.path).map_err(|error| self.failed(&error))?;
        let (Some(above), Some(name)) = (real.parent(), real.file_name()) else {
            return Err(Error::new(Kind::NotAFile, "it is no regular file").about(&Name::from(real.as_path())));
        };
        Ok((above.to_owned(), name.to_owned()))
    }

    /// Puts one text in the place of the other, with the permissions that the file has, and the mark. Where that fails, the file is as
    /// it was.
    fn put(&self, old: &str, new: &str) -> Result<(), Error> {
        let marked = self.read_as(old)?;
        let (above, name) = self.place()?;
        let write = || {
            let permissions = std::fs::metadata(&self.path)?.permissions();
            let draft = Draft::new(&above, draft::Kind::File)?;
            if marked {
                draft.open().write_all(MARK.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
            draft.open().write_all(new.as_bytes())?;
            draft.open().set_permissions(permissions)?;
            draft.publish(&name)
        };
        write().map_err(|error| self.failed(&error))
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

/// Writes all of them, or none.
///
/// # Errors
///
/// One is not as the server knows it, or cannot be written. Those that were written by then are as they were, or are named.
pub fn write(all: &[Changed]) -> Result<(), Error> {
    let mut tried = BTreeSet::new();
    for one in all {
        one.check()?;
        let (above, _) = one.place()?;
        if !tried.contains(&above) {
            // Where nothing can be made, nothing is written.
            drop(Draft::new(&above, draft::Kind::File).map_err(|error| one.failed(&error))?);
            tried.insert(above);
        }
    }
    for (number, one) in all.iter().enumerate() {
        one.put(&one.before, &one.after).map_err(|error| undone(all.get(..number).unwrap_or_default(), error))?;
    }
    Ok(())
}

/// Writes the old text where the new one is already; what cannot be undone is named.
fn undone(written: &[Changed], error: Error) -> Error {
    let left = written.iter().filter(|one| one.put(&one.after, &one.before).is_err());
    let left: Vec<String> = left.map(|one| format!("`{}`", Name::from(one.path.as_path()))).collect();
    let message = match (written, left.as_slice()) {
        ([], _) => return error,
        (_, []) => format!("{}; the other files are as they were", error.message),
        (_, left) => format!("{}; already changed were, and are: {}", error.message, left.join(", ")),
    };
    Error { message, ..error }
}

fn too_many() -> Error {
    Error::new(Kind::TooLarge, "the files to be edited are more than 64 MiB together")
}

/// What the edits change, in order, byte by byte of the text.
fn pieces_of<'e>(
    lines: &Lines<'_>,
    edits: &'e [TextEdit],
    wish: Wish<'_>,
) -> Result<Vec<(usize, usize, &'e str)>, Error> {
    let text = lines.text();
    let seen = if wish.stands_in { texts::stand_in(text) } else { text.into() };
    let wrong = |what: String| {
        Error::new(Kind::Malformed, what).hint("nothing was changed; `belljar lsp stop` has the server begin anew")
    };
    let (mut found, mut done) = (Vec::new(), 0);
    for edit in edits {
        let (start, end) = lines.span(edit.range).ok_or_else(|| {
            let (start, end) = (edit.range.start, edit.range.end);
            let place = format!("{}:{}-{}:{}", start.line, start.character, end.line, end.character);
            wrong(format!("the language server edits what is not in the file, at {place} from 0"))
        })?;
        if start < done {
            return Err(wrong("edits of the language server overlap".to_owned()));
        }
        done = end;
        // The mark is not in our text, and stays where it is.
        let new = edit.new_text.strip_prefix(MARK).filter(|_| start == 0).unwrap_or(&edit.new_text);
        for (from, to, new) in pieces(&seen[start..end], new) {
            let (from, to) = (start + from, start + to);
            if let Some(name) = wish.name.filter(|name| !has_name(&seen, (from, to), name)) {
                let old: String = seen[from..to].chars().take(40).collect();
                let (old, name) = (old.escape_debug(), name.escape_debug());
                return Err(wrong(format!("the language server would edit `{old}`, and `{name}` is what is renamed")));
            }
            if seen[from..to] != text[from..to] {
                let what = "the language server would edit characters that it takes for ends of lines, and nobody else";
                return Err(Error::new(Kind::Invalid, what).hint("nothing was changed"));
            }
            found.push((from, to, new));
        }
    }
    Ok(found)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The word at a byte of a text, or the one letter of what is no word; empty where there is none.
pub fn word_at(text: &str, byte: usize) -> &str {
    let (before, behind) = text.split_at(byte);
    let start = before.trim_end_matches(is_word).len();
    let end = text.len() - behind.trim_start_matches(is_word).len();
    if start < end {
        return &text[start..end];
    }
    let letter = behind.chars().next().filter(|letter| !letter.is_whitespace());
    &behind[..letter.map_or(0, char::len_utf8)]
}

/// Whether a piece of a text has a name in it, or, where it is of nothing, beside it: as a whole word, if it is one.
fn has_name(text: &str, (from, to): (usize, usize), name: &str) -> bool {
    let is_cut = |a: Option<char>, b: Option<char>| a.is_some_and(is_word) && b.is_some_and(is_word);
    let is_whole = |at: usize| {
        let (before, behind) = (&text[..at], &text[at + name.len()..]);
        let begins_within = is_cut(before.chars().next_back(), name.chars().next());
        !begins_within && !is_cut(name.chars().next_back(), behind.chars().next())
    };
    if from < to {
        return text[from..to].match_indices(name).any(|(at, _)| is_whole(from + at));
    }
    text[from..].starts_with(name) && is_whole(from) || text[..to].ends_with(name) && is_whole(to - name.len())
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
    let same = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum::<usize>();
    let start = old[..same].trim_end_matches(is_word).len();
    let (old, new) = (&old[start..], &new[start..]);
    let both = old.chars().rev().zip(new.chars().rev()).take_while(|(a, b)| a == b);
    let same: usize = both.map(|(a, _)| a.len_utf8()).sum();
    let end = old[old.len() - same..].trim_start_matches(is_word).len();
    (start, start + old.len() - end, &new[..new.len() - end])
}

#[cfg(test)]
mod tests {
    use super::protocol::Position;
    use super::*;
    use crate::tools::language::lines::{Counting, Encoding, Ends};

    fn edit(from: (u32, u32), to: (u32, u32), text: &str) -> TextEdit {
        let position = |(line, character)| Position { line, character };
        TextEdit { range: protocol::Range { start: position(from), end: position(to) }, new_text: text.to_owned() }
    }

    const UTF16: Counting = Counting { encoding: Encoding::Utf16, ends: Ends::Protocol, mark: false };

    fn applied(text: &str, edits: &[TextEdit], wish: Wish<'_>) -> Result<String, Kind> {
        let lines = Lines::of(text, UTF16, false);
        let (mut after, mut done) = (String::new(), 0);
        for (from, to, new) in pieces_of(&lines, edits, wish).map_err(|error| error.kind)? {
            after.push_str(&text[done..from]);
            after.push_str(new);
            done = to;
        }
        Ok(after + &text[done..])
    }

    #[test]
    fn edits_are_made_together_in_units_of_the_server() {
        let text = "\u{1f600} = ab\nab\n";
        let made = |edits: &[TextEdit]| applied(text, edits, Wish::default());
        let edits = [edit((0, 0), (0, 0), "let "), edit((0, 5), (0, 7), "xyz"), edit((1, 0), (1, 2), "")];
        assert_eq!(made(&edits).unwrap(), "let \u{1f600} = xyz\n\n");
        assert_eq!(made(&[edit((0, 0), (9, 9), "new\n")]).unwrap(), "new\n");
        assert_eq!(made(&[edit((0, 0), (0, 2), "\u{feff}b")]).unwrap(), "b = ab\nab\n");
        let overlapping = [edit((0, 0), (1, 0), ""), edit((0, 5), (0, 7), "xyz")];
        assert_eq!(made(&overlapping), Err(Kind::Malformed));
        assert_eq!(made(&[edit((1, 1), (0, 0), "")]), Err(Kind::Malformed));
        for outside in [edit((3, 0), (3, 2), "x"), edit((1, 1), (1, 3), "x"), edit((1, 3), (1, 3), "x")] {
            assert_eq!(made(&[outside]), Err(Kind::Malformed));
        }
    }

    #[test]
    fn only_what_is_called_so_is_renamed() {
        let text = "use(abc); x.abcd = { abc };\n";
        let wish = Wish { name: Some("abc"), ..Wish::default() };
        let made = |from, to, new: &str| applied(text, &[edit((0, from), (0, to), new)], wish);
        assert_eq!(made(4, 7, "y").unwrap(), "use(y); x.abcd = { abc };\n");
        assert_eq!(made(21, 24, "abc: y").unwrap(), "use(abc); x.abcd = { abc: y };\n");
        assert_eq!(made(21, 21, "y: ").unwrap(), "use(abc); x.abcd = { y: abc };\n");
        // One column beside it, in another word, and where it is not.
        for (from, to) in [(5, 8), (3, 6), (12, 15), (10, 10), (0, 3)] {
            assert_eq!(made(from, to, "y"), Err(Kind::Malformed), "{from}");
        }
        let all = |new: &str| applied(text, &[edit((0, 0), (1, 0), new)], wish);
        let whole = text.replace("abc)", "y)");
        assert_eq!(all(&whole).unwrap(), whole);
        assert_eq!(all(&text.replace("use", "used")), Err(Kind::Malformed));
        assert_eq!([0, 2, 4, 7, 9, 12].map(|at| word_at(text, at)), ["use", "use", "abc", "abc", "", "abcd"]);
        assert_eq!([word_at("$ = 1", 0), word_at("", 0)], ["$", ""]);
    }

    #[test]
    fn what_stands_in_for_a_line_end_is_not_written() {
        let text = "abc\u{c}\nx = abc\u{2028}\n";
        let wish = Wish { stands_in: true, ..Wish::default() };
        let seen = texts::stand_in(text);
        let made = |new: &str| applied(text, &[edit((0, 0), (9, 0), new)], wish);
        assert_eq!(made(&seen.replace("abc", "de")).unwrap(), text.replace("abc", "de"));
        assert_eq!(made("de\nx = de\n"), Err(Kind::Invalid));
    }

    #[test]
    fn files_are_written_all_or_none_and_what_was_is_undone() {
        let place = std::env::temp_dir().join(format!("belljar-edits-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        let of = |name: &str, before: &str| {
            let text = |text: &str| text.to_owned();
            Changed { path: place.join(name), before: text(before), after: text("new"), edits: Vec::new() }
        };
        let read = |name: &str| std::fs::read_to_string(place.join(name)).unwrap();
        std::fs::write(place.join("a"), "\u{feff}old").unwrap();
        std::fs::write(place.join("b"), "other").unwrap();
        let files = [of("a", "old"), of("b", "old")];
        assert_eq!(write(&files).unwrap_err().kind, Kind::Busy);
        assert_eq!(read("a"), "\u{feff}old");
        std::fs::write(place.join("b"), "old").unwrap();
        write(&files).unwrap();
        assert_eq!((read("a"), read("b")), ("\u{feff}new".to_owned(), "new".to_owned()));
        // Somebody else's text is not undone, and is named.
        std::fs::write(place.join("b"), "mine").unwrap();
        let failed = || Error::new(Kind::Denied, "no");
        let message = undone(&files, failed()).message;
        assert_eq!(message, format!("no; already changed were, and are: `{}`", place.join("b").display()));
        assert_eq!((read("a"), read("b")), ("\u{feff}old".to_owned(), "mine".to_owned()));
        assert_eq!(undone(&[], failed()).message, "no");
        std::fs::remove_dir_all(place).unwrap();
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
