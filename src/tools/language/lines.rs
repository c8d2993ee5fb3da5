//! A text by its lines, and the columns of three ways to count: characters, units of UTF-16, bytes of UTF-8.
//!
//! The protocol counts lines from 0, and in them units of the encoding that was agreed on with the server; people count from 1, and
//! characters. A place that is not in the text is the nearest one that is, as the protocol has it.

use super::protocol::Position;
use super::{Point, Range, Units, protocol};

/// What the server counts in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// Units of UTF-16.
    Utf16,
    /// Characters.
    Utf32,
}

/// The longest piece of a line that is told.
const LONGEST_SHOWN: usize = 200;

/// A text whose lines can be found.
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    /// Of a text.
    pub fn of(text: &'t str) -> Lines<'t> {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        for (at, byte) in bytes.iter().enumerate() {
            // A line ends with a line feed, or with a carriage return that none follows.
            if *byte == b'\n' || *byte == b'\r' && bytes.get(at + 1) != Some(&b'\n') {
                starts.push(at + 1);
            }
        }
        Lines { text, starts }
    }

    /// How many there are; behind the last line end is one more, which is empty.
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// A line without its end; empty behind the last.
    pub fn line(&self, number: usize) -> &'t str {
        let Some(start) = self.starts.get(number) else { return "" };
        let end = self.starts.get(number + 1).copied().unwrap_or(self.text.len());
        self.text[*start..end].trim_end_matches(['\r', '\n'])
    }

    /// A line for people.
    pub fn shown(&self, number: usize) -> String {
        self.line(number).chars().take(LONGEST_SHOWN).collect()
    }

    /// The protocol's place of a point; one that is before the first line or column is that.
    pub fn position(&self, point: Point, units: Units, encoding: Encoding) -> Position {
        let line = self.line(point.line.saturating_sub(1) as usize);
        let at = match units {
            Units::Characters => byte_of(line, point.column.saturating_sub(1), |_| 1),
            Units::Utf16 => byte_of(line, point.column.saturating_sub(1), char::len_utf16),
        };
        Position { line: point.line.saturating_sub(1), character: count(&line[..at], encoding) }
    }

    /// The point of a place.
    pub fn point(&self, position: Position, units: Units, encoding: Encoding) -> Point {
        let line = self.line(position.line as usize);
        let at = byte_of(line, position.character, width(encoding));
        let column = match units {
            Units::Characters => count(&line[..at], Encoding::Utf32),
            Units::Utf16 => count(&line[..at], Encoding::Utf16),
        };
        Point { line: position.line.saturating_add(1), column: column.saturating_add(1) }
    }

    /// The range between two places.
    pub fn range(&self, range: protocol::Range, units: Units, encoding: Encoding) -> Range {
        Range { start: self.point(range.start, units, encoding), end: self.point(range.end, units, encoding) }
    }

    /// The point of a byte, which begins a character.
    pub fn point_of_byte(&self, byte: usize, units: Units) -> Point {
        let line = self.starts.partition_point(|start| *start <= byte).saturating_sub(1);
        let start = self.starts.get(line).copied().unwrap_or(0);
        let before = self.text.get(start..byte).unwrap_or_default();
        let column = match units {
            Units::Characters => count(before, Encoding::Utf32),
            Units::Utf16 => count(before, Encoding::Utf16),
        };
        Point { line: line as u32 + 1, column: column.saturating_add(1) }
    }

    /// The byte of a place.
    pub fn byte(&self, position: Position, encoding: Encoding) -> usize {
        match self.starts.get(position.line as usize) {
            None => self.text.len(),
            Some(start) => start + byte_of(self.line(position.line as usize), position.character, width(encoding)),
        }
    }
}

fn width(encoding: Encoding) -> fn(char) -> usize {
    match encoding {
        Encoding::Utf8 => char::len_utf8,
        Encoding::Utf16 => char::len_utf16,
        Encoding::Utf32 => |_| 1,
    }
}

/// The byte that so many units of a line end before; where they end within a character, its first.
fn byte_of(line: &str, units: u32, width: impl Fn(char) -> usize) -> usize {
    let mut left = units as usize;
    for (at, letter) in line.char_indices() {
        if left < width(letter) || left == 0 {
            return at;
        }
        left -= width(letter);
    }
    line.len()
}

fn count(text: &str, encoding: Encoding) -> u32 {
    text.chars().map(width(encoding)).sum::<usize>() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "eins\r\nzwei \u{1f600} \u{e4}x\rdrei\n";

    #[test]
    fn lines_end_as_the_protocol_says() {
        let lines = Lines::of(TEXT);
        assert_eq!([0, 1, 2, 3, 9].map(|at| lines.line(at)), ["eins", "zwei \u{1f600} \u{e4}x", "drei", "", ""]);
        assert_eq!(Lines::of("").line(0), "");
    }

    #[test]
    fn columns_are_counted_as_each_side_counts() {
        let lines = Lines::of(TEXT);
        // Before the `x`: 8 characters, one of two units and four bytes, one of two bytes.
        let point = |column| Point { line: 2, column };
        for (encoding, character) in [(Encoding::Utf8, 12), (Encoding::Utf16, 9), (Encoding::Utf32, 8)] {
            let position = Position { line: 1, character };
            assert_eq!(lines.position(point(9), Units::Characters, encoding), position);
            assert_eq!(lines.position(point(10), Units::Utf16, encoding), position);
            assert_eq!(lines.point(position, Units::Characters, encoding), point(9));
            assert_eq!(lines.point(position, Units::Utf16, encoding), point(10));
            assert_eq!(&TEXT[lines.byte(position, encoding)..][..1], "x");
        }
    }

    #[test]
    fn a_place_that_is_not_there_is_the_nearest() {
        let lines = Lines::of(TEXT);
        let far = |line, column| lines.position(Point { line, column }, Units::Characters, Encoding::Utf16);
        assert_eq!(far(1, 99), Position { line: 0, character: 4 });
        assert_eq!(far(0, 0), Position { line: 0, character: 0 });
        assert_eq!(far(99, 4), Position { line: 98, character: 0 });
        // In the middle of a pair of units.
        assert_eq!(lines.byte(Position { line: 1, character: 6 }, Encoding::Utf16), 6 + 5);
        assert_eq!(lines.byte(Position { line: 99, character: 6 }, Encoding::Utf16), TEXT.len());
    }
}
