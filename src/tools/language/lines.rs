//! A text by its lines, and the columns of three ways to count: characters, units of UTF-16, bytes of UTF-8.
//!
//! People count lines from 1 as the protocol ends them, and characters. A server counts from 0, units of the encoding that was agreed on
//! with it, and lines by what ends one in its eyes, which is not always what the protocol says ([`Counting`]). Between the two stands
//! the byte. A place of a server that is not in the text is the nearest one that is, except where text is to be changed.

use super::protocol::Position;
use super::{Point, Range, Units, protocol};

/// What the server counts in a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// Units of UTF-16.
    #[default]
    Utf16,
    /// Characters.
    Utf32,
}

/// What ends a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ends {
    /// A line feed, a carriage return, or both, as the protocol says.
    #[default]
    Protocol,
    /// Those, and the separators of Unicode, as ECMAScript has it.
    Ecma,
    /// A line feed alone.
    Feed,
}

/// How a server counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counting {
    /// What in a line.
    pub encoding: Encoding,
    /// What ends one.
    pub ends: Ends,
    /// Whether the mark at the beginning of a file (U+FEFF) counts, where the server has read the file itself.
    pub mark: bool,
}

/// The mark at the beginning of a file.
pub const MARK: char = '\u{feff}';
/// The longest piece of a line that is told.
const LONGEST_SHOWN: usize = 200;

/// A text, without a mark, whose lines can be found.
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    /// Where lines begin in the server's eyes, if that is elsewhere.
    theirs: Option<Vec<usize>>,
    encoding: Encoding,
    /// Units before the first character that the server counts and the text does not have.
    before: u32,
}

fn starts(text: &str, ends: Ends) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut starts = vec![0];
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' => starts.push(at + 1),
            b'\r' if ends != Ends::Feed && bytes.get(at + 1) != Some(&b'\n') => starts.push(at + 1),
            // U+2028 and U+2029 end with one of these.
            0xa8 | 0xa9 if ends == Ends::Ecma && bytes[..at].ends_with(&[0xe2, 0x80]) => starts.push(at + 1),
            _ => {}
        }
    }
    starts
}

impl<'t> Lines<'t> {
    /// Of a text for a server that counts like that; `marked`: it has read the text from a file that begins with a mark.
    pub fn of(text: &'t str, counting: Counting, marked: bool) -> Lines<'t> {
        let own = starts(text, Ends::Protocol);
        let theirs = Some(counting.ends).filter(|ends| *ends != Ends::Protocol).map(|ends| starts(text, ends));
        let encoding = counting.encoding;
        let before = if marked && counting.mark { width(encoding)(MARK) as u32 } else { 0 };
        Lines { text, theirs: theirs.filter(|theirs| *theirs != own), starts: own, encoding, before }
    }

    /// The text.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// How many there are; behind the last line end is one more, which is empty.
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// What lies between the beginning of a line and the next, without its end; empty behind the last.
    fn between(&self, starts: &[usize], number: usize) -> &'t str {
        let Some(start) = starts.get(number) else { return "" };
        match starts.get(number + 1) {
            Some(next) => {
                let line = &self.text[*start..*next];
                let end = line.strip_suffix("\r\n").or_else(|| line.strip_suffix(['\n', '\r', '\u{2028}', '\u{2029}']));
                end.unwrap_or(line)
            }
            None => &self.text[*start..],
        }
    }

    /// A line without its end; empty behind the last.
    pub fn line(&self, number: usize) -> &'t str {
        self.between(&self.starts, number)
    }

    /// The line for people in which a place of the server is.
    pub fn shown(&self, position: Position) -> String {
        let number = self.number_of(self.byte(position));
        self.line(number).chars().take(LONGEST_SHOWN).collect()
    }

    /// Columns of a line, of which the last is behind its last character.
    pub fn columns(&self, number: usize, units: Units) -> u32 {
        count(self.line(number), of_units(units)).saturating_add(1)
    }

    /// The byte of a point; one that is not there is the nearest.
    pub fn byte_of_point(&self, point: Point, units: Units) -> usize {
        let number = point.line.saturating_sub(1) as usize;
        let Some(start) = self.starts.get(number) else { return self.text.len() };
        start + byte_of(self.line(number), point.column.saturating_sub(1), width(of_units(units))).0
    }

    /// The server's place of a point; one that is not there is the nearest.
    pub fn position(&self, point: Point, units: Units) -> Position {
        let byte = self.byte_of_point(point, units);
        let theirs = self.theirs.as_deref().unwrap_or(&self.starts);
        let line = theirs.partition_point(|start| *start <= byte).saturating_sub(1);
        let start = theirs.get(line).copied().unwrap_or(0);
        let before = if line == 0 { self.before } else { 0 };
        Position { line: line as u32, character: before + count(&self.text[start..byte], self.encoding) }
    }

    /// The point of a place.
    pub fn point(&self, position: Position, units: Units) -> Point {
        self.point_of_byte(self.byte(position), units)
    }

    /// The range between two places.
    pub fn range(&self, range: protocol::Range, units: Units) -> Range {
        Range { start: self.point(range.start, units), end: self.point(range.end, units) }
    }

    fn number_of(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }

    /// The point of a byte, which begins a character.
    pub fn point_of_byte(&self, byte: usize, units: Units) -> Point {
        let line = self.number_of(byte);
        let start = self.starts.get(line).copied().unwrap_or(0);
        let before = self.text.get(start..byte).unwrap_or_default();
        Point { line: line as u32 + 1, column: count(before, of_units(units)).saturating_add(1) }
    }

    /// The byte of a place, and whether there is one.
    fn found(&self, position: Position) -> (usize, bool) {
        let theirs = self.theirs.as_deref().unwrap_or(&self.starts);
        let Some(start) = theirs.get(position.line as usize) else { return (self.text.len(), false) };
        let before = if position.line == 0 { self.before } else { 0 };
        let line = self.between(theirs, position.line as usize);
        let (at, is_there) = byte_of(line, position.character.saturating_sub(before), width(self.encoding));
        (start + at, is_there)
    }

    /// The byte of a place; of one that is not there the nearest.
    pub fn byte(&self, position: Position) -> usize {
        self.found(position).0
    }

    /// The bytes of what is to be changed.
    ///
    /// No end is too far where all of the text is meant, or all from the beginning of a line on, or the rest of a line (which servers
    /// say with the largest numbers); any other place that is not there means that the server knows another text.
    pub fn span(&self, range: protocol::Range) -> Option<(usize, usize)> {
        /// From here on it is no count, but a word for the end.
        const ENDLESS: u32 = i32::MAX as u32;
        let ((start, starts), (end, ends)) = (self.found(range.start), self.found(range.end));
        let theirs = self.theirs.as_deref().unwrap_or(&self.starts);
        let is_whole = range.start == Position { line: 0, character: 0 };
        let is_behind_last = range.end == Position { line: theirs.len() as u32, character: 0 };
        let is_end = ends || is_whole || is_behind_last || range.end.line >= ENDLESS || range.end.character >= ENDLESS;
        (starts && is_end && start <= end && range.start <= range.end).then_some((start, end))
    }
}

fn of_units(units: Units) -> Encoding {
    match units {
        Units::Characters => Encoding::Utf32,
        Units::Utf16 => Encoding::Utf16,
    }
}

fn width(encoding: Encoding) -> fn(char) -> usize {
    match encoding {
        Encoding::Utf8 => char::len_utf8,
        Encoding::Utf16 => char::len_utf16,
        Encoding::Utf32 => |_| 1,
    }
}

/// The byte that so many units of a line end before, and whether they end there; where they end within a character, its first.
fn byte_of(line: &str, units: u32, width: impl Fn(char) -> usize) -> (usize, bool) {
    let mut left = units as usize;
    for (at, letter) in line.char_indices() {
        if left < width(letter) || left == 0 {
            return (at, left == 0);
        }
        left -= width(letter);
    }
    (line.len(), left == 0)
}

fn count(text: &str, encoding: Encoding) -> u32 {
    text.chars().map(width(encoding)).sum::<usize>() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "eins\r\nzwei \u{1f600} \u{e4}x\rdrei\n";

    fn lines(text: &str, encoding: Encoding, ends: Ends) -> Lines<'_> {
        Lines::of(text, Counting { encoding, ends, mark: false }, false)
    }

    fn at(line: u32, character: u32) -> Position {
        Position { line, character }
    }

    #[test]
    fn lines_end_as_the_protocol_says() {
        let of = lines(TEXT, Encoding::Utf16, Ends::Protocol);
        assert_eq!([0, 1, 2, 3, 9].map(|at| of.line(at)), ["eins", "zwei \u{1f600} \u{e4}x", "drei", "", ""]);
        assert_eq!(lines("", Encoding::Utf16, Ends::Protocol).line(0), "");
    }

    #[test]
    fn columns_are_counted_as_each_side_counts() {
        // Before the `x`: 8 characters, one of two units and four bytes, one of two bytes.
        let point = |column| Point { line: 2, column };
        for (encoding, character) in [(Encoding::Utf8, 12), (Encoding::Utf16, 9), (Encoding::Utf32, 8)] {
            let lines = lines(TEXT, encoding, Ends::Protocol);
            assert_eq!(lines.position(point(9), Units::Characters), at(1, character));
            assert_eq!(lines.position(point(10), Units::Utf16), at(1, character));
            assert_eq!(lines.point(at(1, character), Units::Characters), point(9));
            assert_eq!(lines.point(at(1, character), Units::Utf16), point(10));
            assert_eq!(&TEXT[lines.byte(at(1, character))..][..1], "x");
        }
    }

    #[test]
    fn a_server_may_end_lines_elsewhere_and_people_do_not_see_that() {
        let text = "a\u{2028}b\n\u{2029}c\rd\n";
        // What it ends lines by, and where it finds the `b`, the `c` and the `d`, which people find in lines 1, 2 and 3.
        for (ends, found) in [
            (Ends::Protocol, [at(0, 2), at(1, 1), at(2, 0)]),
            (Ends::Ecma, [at(1, 0), at(3, 0), at(4, 0)]),
            (Ends::Feed, [at(0, 2), at(1, 1), at(1, 3)]),
        ] {
            let lines = lines(text, Encoding::Utf16, ends);
            let points = [(1, 3), (2, 2), (3, 1)].map(|(line, column)| Point { line, column });
            for (point, position) in points.into_iter().zip(found) {
                assert_eq!(lines.position(point, Units::Characters), position, "{ends:?}");
                assert_eq!(lines.point(position, Units::Characters), point, "{ends:?}");
            }
        }
    }

    #[test]
    fn a_mark_that_a_server_counts_is_no_column() {
        let counting = Counting { encoding: Encoding::Utf8, ends: Ends::Protocol, mark: true };
        for (marked, before) in [(true, 3), (false, 0)] {
            let lines = Lines::of("ab\nab\n", counting, marked);
            for line in 0..2 {
                let position = at(line, if line == 0 { before + 1 } else { 1 });
                let point = Point { line: line + 1, column: 2 };
                assert_eq!(lines.point(position, Units::Characters), point);
                assert_eq!(lines.position(point, Units::Characters), position);
            }
        }
    }

    #[test]
    fn a_place_that_is_not_there_is_the_nearest() {
        let lines = lines(TEXT, Encoding::Utf16, Ends::Protocol);
        let far = |line, column| lines.position(Point { line, column }, Units::Characters);
        assert_eq!([far(1, 99), far(0, 0), far(99, 4)], [at(0, 4), at(0, 0), at(3, 0)]);
        // In the middle of a pair of units.
        assert_eq!(lines.byte(at(1, 6)), 6 + 5);
        assert_eq!(lines.byte(at(99, 6)), TEXT.len());
    }

    #[test]
    fn what_is_to_be_changed_is_there_or_is_all_of_it() {
        let lines = lines(TEXT, Encoding::Utf16, Ends::Protocol);
        let span = |start, end| lines.span(protocol::Range { start, end });
        let (all, most) = (TEXT.len(), i32::MAX as u32);
        assert_eq!(span(at(0, 1), at(0, 3)), Some((1, 3)));
        for end in [at(9, 9), at(3, 0), at(4, 0), at(most, 7)] {
            assert_eq!(span(at(0, 0), end), Some((0, all)), "{end:?}");
        }
        assert_eq!(span(at(2, 1), at(4, 0)), Some((all - 4, all)));
        assert_eq!(span(at(0, 1), at(0, most)), Some((1, 4)));
        let wrong = [(at(0, 1), at(0, 5)), (at(0, 5), at(1, 0)), (at(4, 0), at(4, 0)), (at(2, 1), at(5, 0))];
        // And what ends before it begins, or within a character.
        for (start, end) in wrong.into_iter().chain([(at(0, 2), at(0, 1)), (at(1, 6), at(1, 7))]) {
            assert_eq!(span(start, end), None, "{start:?} {end:?}");
        }
    }
}
