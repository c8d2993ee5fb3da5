//! What there may be much of: objects that are never in memory twice.

use super::{is_active, unwritten};
use crate::tools::MOST_BYTES;
use serde::Serialize;
use std::io::{self, BufWriter, Write};

/// The items of an object, as they are written: in memory they take no more than that.
pub struct Listed {
    name: &'static str,
    text: Vec<u8>,
}

impl Listed {
    /// None yet, of what is called so.
    pub fn new(name: &'static str) -> Listed {
        Listed { name, text: Vec::new() }
    }

    /// One more.
    ///
    /// # Errors
    ///
    /// There are more than one object may have.
    pub fn push(&mut self, item: &impl Serialize) -> io::Result<()> {
        if !self.text.is_empty() {
            self.text.push(b',');
        }
        serde_json::to_writer(&mut self.text, item)?;
        if self.text.len() > MOST_BYTES {
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, "more than 32 MiB are too much for one object"));
        }
        Ok(())
    }
}

/// An object of one list on stdout; the exit code, `done` or [`FAILED`](super::FAILED).
pub fn listed(listed: &Listed, done: i32) -> i32 {
    written(done, |out| {
        write!(out, "{{\"{}\":[", listed.name)?;
        out.write_all(&listed.text)?;
        out.write_all(b"],\"version\":1}\n")
    })
}

/// Writes JSON to stdout, such as no terminal acts on; the exit code.
pub fn written(done: i32, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> i32 {
    let mut out = Inactive(BufWriter::new(io::stdout()));
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => done,
        Err(error) => unwritten(&error),
    }
}

/// What JSON itself lets stand and a terminal acts on is written as JSON writes control characters. Each piece has to be text.
struct Inactive<W>(W);

impl<W: Write> Write for Inactive<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut begun = 0;
        for (place, letter) in text.char_indices().filter(|(_, letter)| is_active(*letter) && *letter != '\n') {
            self.0.write_all(text.get(begun..place).unwrap_or_default().as_bytes())?;
            write!(self.0, "\\u{:04x}", u32::from(letter))?;
            begun = place + letter.len_utf8();
        }
        self.0.write_all(text.get(begun..).unwrap_or_default().as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_written_between_pieces_either() {
        let mut out = Inactive(Vec::new());
        let value = serde_json::json!({ "a\u{202e}": "\u{9b}\u{1b}\n\u{2066}e\u{301}" });
        serde_json::to_writer(&mut out, &value).expect("written");
        let text = String::from_utf8(out.0).expect("text");
        assert_eq!(text, r#"{"a\u202e":"\u009b\u001b\n\u2066é"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
    }

    #[test]
    fn a_list_has_an_end() {
        let mut listed = Listed::new("items");
        let item = "x".repeat(1 << 20);
        assert!((0..31).all(|_| listed.push(&item).is_ok()));
        assert!((0..2).any(|_| listed.push(&item).is_err()));
    }
}
