//! JSON on standard output without characters that a terminal acts on.

use super::{is_active, unwritten};
use std::io::{self, BufWriter, Write};

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
}
