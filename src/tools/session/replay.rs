//! Earlier output of a terminal for a later viewer, without the queries that programs have sent to the terminal.
//!
//! A terminal answers by typing, and who asked has gone since: the answer would be typed into whatever runs now. Everything else
//! stays, cursor movements, modes and colours, so that what is seen is what was there (ECMA-48; "XTerm Control Sequences").

use super::Said;
use crate::tools::Name;

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;
/// "Who are you?", as one character.
const ENQUIRY: u8 = 0x05;
/// A string that is longer is shown as it is.
const LONGEST: usize = 64 << 10;

/// The same without questions, as one piece.
pub fn without_queries(said: Vec<Said>) -> Vec<Said> {
    let (mut shown, mut others) = (Vec::new(), Vec::new());
    for one in said {
        match one {
            Said::Stdout(Name(bytes)) => shown.extend(bytes),
            other => others.push(other),
        }
    }
    let shown = strip(&shown);
    let shown = (!shown.is_empty()).then_some(Said::Stdout(Name(shown)));
    shown.into_iter().flat_map(in_frames).chain(others).collect()
}

/// In pieces that a frame holds, however they are written.
fn in_frames(said: Said) -> Vec<Said> {
    match said {
        Said::Stdout(Name(bytes)) => bytes.chunks(32 << 10).map(|piece| Said::Stdout(Name(piece.to_vec()))).collect(),
        other => vec![other],
    }
}

fn strip(bytes: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, behind)) = rest.split_first() {
        let (length, asks) = match (first, behind.first()) {
            (ENQUIRY, _) => (1, true),
            (ESCAPE, Some(b'[')) => control(rest),
            (ESCAPE, Some(b'Z')) => (2, true),
            (ESCAPE, Some(b']' | b'P' | b'_')) => string(rest),
            _ => (1, false),
        };
        let (sequence, next) = rest.split_at(length.min(rest.len()));
        if !asks {
            kept.extend_from_slice(sequence);
        }
        rest = next;
    }
    kept
}

/// The length of a control sequence, and whether it asks.
fn control(bytes: &[u8]) -> (usize, bool) {
    let body = bytes.get(2..).unwrap_or_default();
    let Some(at) = body.iter().position(|byte| !(0x20..=0x3f).contains(byte)) else { return (bytes.len(), false) };
    let (parameters, last) = (body.get(..at).unwrap_or_default(), body.get(at).copied().unwrap_or_default());
    let (starts, ends) = (parameters.first().copied(), parameters.last().copied());
    let number = || std::str::from_utf8(parameters).ok()?.split(';').next()?.parse::<u32>().ok();
    let asks = match last {
        // Attributes of the device, and its status, the cursor's place among it.
        b'c' | b'n' => true,
        // Modes, locators, checksums, and what presents the state.
        b'p' => ends == Some(b'$'),
        b'y' => ends == Some(b'*'),
        b'w' | b'u' if ends == Some(b'$') => true,
        b'u' => starts == Some(b'?') || ends == Some(b'&'),
        b'x' => ends != Some(b'$') && ends != Some(b'*'),
        b'q' => starts == Some(b'>'),
        b'm' | b'S' => starts == Some(b'?'),
        b'|' => ends == Some(b'#') || ends == Some(b'\''),
        // Sizes and titles of the window; the other numbers change it.
        b't' => number().is_some_and(|number| matches!(number, 11 | 13..=16 | 18..=21)),
        _ => false,
    };
    (2 + at + 1, asks)
}

/// The length of a string, with its end, and whether it asks.
fn string(bytes: &[u8]) -> (usize, bool) {
    let body = bytes.get(2..).unwrap_or_default();
    let end = body.iter().take(LONGEST).position(|byte| matches!(*byte, BELL | ESCAPE));
    let Some(end) = end else { return (1, false) };
    let length = if body.get(end) == Some(&BELL) { end + 1 } else { end + 2 };
    let content = body.get(..end).unwrap_or_default();
    let asks = match bytes.get(1) {
        // A question stands in the place of a value.
        Some(b']') => content.split(|byte| *byte == b';').any(|part| part == b"?"),
        Some(b'P') => content.starts_with(b"+q") || content.starts_with(b"$q"),
        // What is told to the terminal's own programs, pictures among it, is answered by some.
        _ => true,
    };
    (2 + length, asks)
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn questions_go_and_everything_else_stays() {
        for question in [
            "\x1b[c",
            "\x1b[>c",
            "\x1b[=0c",
            "\x1b[6n",
            "\x1b[?6n",
            "\x1b[5n",
            "\x1b[?2026$p",
            "\x1b[4$p",
            "\x1b[>0q",
            "\x1b[?u",
            "\x1b[18t",
            "\x1b[14;2t",
            "\x1b]10;?\x07",
            "\x1b]11;?\x1b\\",
            "\x1b]4;1;?\x07",
            "\x1b]52;c;?\x07",
            "\x1bP+q544e\x1b\\",
            "\x1bP$qm\x1b\\",
            "\x1bZ",
            "\x05",
            "\x1b[x",
            "\x1b[?4m",
            "\x1b[1$w",
            "\x1b_Ga=q\x1b\\",
        ] {
            let text = format!("a{question}b");
            assert_eq!(strip(text.as_bytes()), b"ab", "{question:?}");
        }
        for other in [
            "\x1b[31m",
            "\x1b[2J",
            "\x1b[?1049h",
            "\x1b[!p",
            "\x1b[1;5r",
            "\x1b[u",
            "\x1b]0;a title\x07",
            "\x1b]8;;http://a/?b\x1b\\",
            "\x1b(B",
            "\x1b[8;24;80t",
            "\x1b[2 q",
            "\x1bPq#0\x1b\\",
            "é\r\n",
            "\x1b[",
            "\x1b",
            "\x1b]0;cut",
            "\x1b[>4;2m",
            "\x1b[22;0t",
        ] {
            let text = format!("a{other}");
            assert_eq!(strip(text.as_bytes()), text.as_bytes(), "{other:?}");
        }
    }
}
