//! Messages of the protocol on their way: `Content-Length: N`, an empty line, N bytes of JSON.
//!
//! Whoever writes them is believed nothing: what stands before a message is short, a message has a longest length, and no memory is
//! taken for what has not come.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::io::{self, BufRead, Read as _};

/// The longest message.
pub const LONGEST: usize = 16 << 20;
/// What may stand before one.
const LONGEST_HEAD: usize = 8 << 10;

/// A message, of which nothing is read that nobody asks for.
#[derive(Debug, Deserialize, Serialize)]
pub struct Message {
    /// Of a question and its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<RawValue>>,
    /// What is asked or told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// With what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Box<RawValue>>,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
}

/// Why there is no answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Refusal {
    /// A number of JSON-RPC's or the protocol's.
    pub code: i64,
    /// For people.
    #[serde(default)]
    pub message: String,
}

/// What is no message of the protocol.
pub fn nonsense(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

fn no_head() -> io::Error {
    nonsense("what stands before a message is no `Content-Length`")
}

/// The length that a head says.
fn length_of(head: &[u8]) -> io::Result<usize> {
    let text = std::str::from_utf8(head).map_err(|_| nonsense("what stands before a message is no text"))?;
    let mut found = None;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(no_head)?;
        if name.trim().eq_ignore_ascii_case("Content-Length") {
            let length = value.trim().parse::<u64>();
            found = Some(length.map_err(|_| nonsense("the length of a message is no number"))?);
        }
    }
    let length = found.ok_or_else(|| nonsense("a message does not say its length"))?;
    match usize::try_from(length) {
        Ok(length) if length <= LONGEST => Ok(length),
        _ => Err(nonsense(format!("a message of {length} bytes, and 16 MiB is the most"))),
    }
}

/// Reads the bytes of one message into `bytes`; `false` at the end.
///
/// # Errors
///
/// What is no message.
pub fn read(from: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut head = Vec::new();
    loop {
        let begun = head.len();
        let room = (LONGEST_HEAD - begun) as u64;
        from.by_ref().take(room).read_until(b'\n', &mut head)?;
        match &head[begun..] {
            [] if begun == 0 => return Ok(false),
            b"\r\n" | b"\n" if begun > 0 => break,
            // What else writes lines is known by its first one, and nobody waits for more of it.
            line if line.ends_with(b"\n") && !line.contains(&b':') => return Err(no_head()),
            line if line.ends_with(b"\n") => {}
            _ if head.len() >= LONGEST_HEAD => {
                return Err(nonsense("what stands before a message does not end"));
            }
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
    let length = length_of(&head)?;
    bytes.clear();
    if from.by_ref().take(length as u64).read_to_end(bytes)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(true)
}

/// A message as it is sent.
pub fn frame(json: &[u8]) -> Vec<u8> {
    let mut bytes = format!("Content-Length: {}\r\n\r\n", json.len()).into_bytes();
    bytes.extend_from_slice(json);
    bytes
}

/// The bytes of one message.
pub type Frame = Vec<u8>;

/// Messages out of bytes that come in pieces.
#[derive(Default)]
pub struct Frames {
    come: Vec<u8>,
    /// The length of the message that has begun.
    length: Option<usize>,
}

impl Frames {
    /// Takes in what has come.
    pub fn take(&mut self, bytes: &[u8]) {
        self.come.extend_from_slice(bytes);
    }

    /// The next message, if all of it has come.
    ///
    /// # Errors
    ///
    /// What is no message.
    pub fn following(&mut self) -> io::Result<Option<Frame>> {
        if self.length.is_none() {
            let end = self.come.windows(4).position(|part| part == b"\r\n\r\n");
            let Some(end) = end else {
                let is_long = self.come.len() > LONGEST_HEAD;
                return if is_long { Err(nonsense("what stands before a message does not end")) } else { Ok(None) };
            };
            self.length = Some(length_of(&self.come[..end])?);
            self.come.drain(..end + 4);
        }
        let Some(length) = self.length.filter(|length| self.come.len() >= *length) else { return Ok(None) };
        self.length = None;
        let rest = self.come.split_off(length);
        Ok(Some(std::mem::replace(&mut self.come, rest)))
    }

    /// Whether a message has begun and not ended.
    pub fn is_amid(&self) -> bool {
        self.length.is_some() || !self.come.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let sent = [frame(b"{}"), frame("{\"a\":\"\u{e4}\"}".as_bytes()), frame(b"")].concat();
        let mut from = &sent[..];
        let mut bytes = Vec::new();
        for expected in ["{}", "{\"a\":\"\u{e4}\"}", ""] {
            assert!(read(&mut from, &mut bytes).unwrap());
            assert_eq!(bytes, expected.as_bytes());
        }
        assert!(!read(&mut from, &mut bytes).unwrap());
        for size in 1..sent.len() {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for piece in sent.chunks(size) {
                frames.take(piece);
                while let Some(one) = frames.following().unwrap() {
                    found.push(String::from_utf8(one).unwrap());
                }
            }
            assert_eq!(found, ["{}", "{\"a\":\"\u{e4}\"}", ""], "{size}");
            assert!(!frames.is_amid());
        }
    }

    /// What would wait.
    struct Never;

    impl io::Read for Never {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("nobody waits for that")
        }
    }

    #[test]
    fn what_is_no_message_is_refused_before_it_takes_memory() {
        let told = |text: &[u8]| read(&mut &text[..], &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(
            told(b"Content-Length: 99999999999\r\n\r\n"),
            "a message of 99999999999 bytes, and 16 MiB is the most"
        );
        assert_eq!(told(b"Content-Length: x\r\n\r\n"), "the length of a message is no number");
        assert_eq!(told(b"hello\r\n\r\n"), "what stands before a message is no `Content-Length`");
        // Nobody waits for the rest, which may never come.
        let mut from = io::BufReader::new((&b"hello\n"[..]).chain(Never));
        let told_at_once = read(&mut from, &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(told_at_once, "what stands before a message is no `Content-Length`");
        assert_eq!(told(b"A: b\r\n\r\n"), "a message does not say its length");
        assert_eq!(told(&[b'x'; 20_000]), "what stands before a message does not end");
        assert_eq!(told(&b"A: b\n".repeat(4000)), "what stands before a message does not end");
        let cut = read(&mut &b"Content-Length: 5\r\n\r\n{}"[..], &mut Vec::new()).unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
        let mut frames = Frames::default();
        frames.take(&[b'x'; 20_000]);
        assert!(frames.following().is_err());
    }
}
