//! Frames between the two sides: a length (32 bits, little endian), one byte for the kind, and so many bytes.
//!
//! ```text
//! to the tool      q JSON of a request, then, where it has data, d bytes ... and e
//! from the tool    i JSON of an item, d bytes, as many as it takes, p now and then, and at last e JSON of how it went
//! from the host    x JSON of why there is no tool, or no longer, in the place of what the tool says
//! ```

use crate::error::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};

/// The longest frame: a piece of code of 128 KiB of which every character is escaped.
pub const LONGEST: usize = 1 << 20;
/// Bytes in one frame of data.
pub const PIECE: usize = 64 << 10;

/// A request.
pub const REQUEST: u8 = b'q';
/// One of several answers.
pub const ITEM: u8 = b'i';
/// Bytes.
pub const DATA: u8 = b'd';
/// The tool is at work, and has nothing to say yet.
pub const PULSE: u8 = b'p';
/// The end of data, or of an answer.
pub const END: u8 = b'e';
/// There is no tool.
pub const FAILED: u8 = b'x';

/// How a request went.
pub type Ending = Option<Error>;

/// Writes one frame.
pub fn write(to: &mut dyn Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length as usize <= LONGEST);
    let length = length.ok_or_else(|| io::Error::other("a frame would be too long"))?;
    let mut head = [0; 5];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4] = kind;
    to.write_all(&head)?;
    to.write_all(bytes)
}

/// Writes one frame of JSON.
pub fn write_json(to: &mut dyn Write, kind: u8, value: &impl Serialize) -> io::Result<()> {
    write(to, kind, &serde_json::to_vec(value)?)
}

/// Reads one frame into `bytes`; `None` at the end.
pub fn read(from: &mut dyn Read, bytes: &mut Vec<u8>) -> io::Result<Option<u8>> {
    let mut head = [0; 5];
    let mut filled = 0;
    while filled < head.len() {
        match from.read(&mut head[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let [a, b, c, d, kind] = head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > LONGEST {
        return Err(nonsense("a frame is too long"));
    }
    bytes.resize(length, 0);
    from.read_exact(bytes)?;
    Ok(Some(kind))
}

/// What a frame of JSON says.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(|_| nonsense("a frame says nothing that is known"))
}

/// The other side does not keep to this.
pub fn nonsense(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the other side sent a malformed message: {what}"))
}

/// Data on its way out, in frames.
pub struct Outlet<'a> {
    to: &'a mut dyn Write,
    waiting: Vec<u8>,
}

impl<'a> Outlet<'a> {
    /// Nothing yet.
    pub fn new(to: &'a mut dyn Write) -> Outlet<'a> {
        Outlet { to, waiting: Vec::with_capacity(PIECE) }
    }
}

impl Write for Outlet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..count]);
        if self.waiting.len() == PIECE {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.waiting.is_empty() {
            write(self.to, DATA, &self.waiting)?;
            self.waiting.clear();
        }
        Ok(())
    }
}

/// Data on its way in: ends with its frame, and takes in other frames by `aside`.
pub struct Inlet<'a> {
    from: &'a mut (dyn Read + Send),
    aside: &'a mut (dyn FnMut(u8, &[u8]) -> io::Result<()> + Send),
    piece: Vec<u8>,
    start: usize,
    /// The frame at the end, once it has come.
    pub end: Option<Vec<u8>>,
    /// Whether the tool was cut off, or does not speak as it should.
    pub broken: bool,
}

impl<'a> Inlet<'a> {
    /// Nothing yet.
    pub fn new(
        from: &'a mut (dyn Read + Send),
        aside: &'a mut (dyn FnMut(u8, &[u8]) -> io::Result<()> + Send),
    ) -> Inlet<'a> {
        Inlet { from, aside, piece: Vec::new(), start: 0, end: None, broken: false }
    }

    /// Reads to the end, and gives nothing to anybody.
    pub fn drain(&mut self) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        while self.read(&mut piece)? > 0 {}
        Ok(())
    }
}

impl Read for Inlet<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.start == self.piece.len() {
            if self.end.is_some() {
                return Ok(0);
            }
            self.start = 0;
            // Until a frame was understood.
            let broken = std::mem::replace(&mut self.broken, true);
            match read(self.from, &mut self.piece)? {
                Some(DATA) => {}
                Some(PULSE) => self.piece.clear(),
                Some(END) => {
                    self.end = Some(std::mem::take(&mut self.piece));
                    self.broken = broken;
                    return Ok(0);
                }
                Some(kind) => {
                    let piece = std::mem::take(&mut self.piece);
                    (self.aside)(kind, &piece)?;
                }
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
            self.broken = broken;
        }
        let count = into.len().min(self.piece.len() - self.start);
        into[..count].copy_from_slice(&self.piece[self.start..self.start + count]);
        self.start += count;
        Ok(count)
    }
}

/// Passes bytes on, and remembers the last of them: a tool that was killed may have left half a frame, and why there is none
/// any more then stands behind that.
pub struct Tail<R> {
    inner: R,
    last: Vec<u8>,
}

/// The longest frame of the host's side.
const LAST: usize = 16 << 10;

impl<R: Read> Tail<R> {
    /// Nothing yet.
    pub fn new(inner: R) -> Tail<R> {
        Tail { inner, last: Vec::new() }
    }

    /// What the host's side said at the very end, if it did: in a frame that begins with `key`.
    pub fn last_word(&self, key: &str) -> Option<Error> {
        (0..self.last.len()).find_map(|start| {
            let mut rest = self.last.get(start..)?;
            let mut frame = Vec::new();
            let whole = read(&mut rest, &mut frame).is_ok_and(|kind| kind == Some(FAILED)) && rest.is_empty();
            whole.then(|| parse(frame.strip_prefix(key.as_bytes())?).ok())?
        })
    }
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        let bytes = into.get(..count).unwrap_or_default();
        self.last.extend_from_slice(bytes.get(count.saturating_sub(LAST)..).unwrap_or_default());
        self.last.drain(..self.last.len().saturating_sub(LAST));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_last_word_is_found_behind_half_a_frame() {
        let trouble = Error::new(crate::error::Kind::Ended, "it has ended");
        for begun in [0, 3, 5, 30_000] {
            let mut bytes = Vec::new();
            write(&mut bytes, DATA, &[b'x'; 40_000]).expect("written");
            bytes.truncate(begun);
            let said = serde_json::to_string(&trouble).expect("text");
            write(&mut bytes, FAILED, format!("key{said}").as_bytes()).expect("written");
            let mut tail = Tail::new(&bytes[..]);
            io::copy(&mut tail, &mut io::sink()).expect("read");
            assert_eq!(tail.last_word("key").as_ref(), Some(&trouble), "{begun}");
            assert_eq!(tail.last_word("another"), None, "{begun}");
        }
        let mut tail = Tail::new(&b"\x02\x00\x00\x00xno"[..]);
        io::copy(&mut tail, &mut io::sink()).expect("read");
        assert_eq!(tail.last_word("key"), None);
    }

    #[test]
    fn data_comes_out_as_it_went_in_and_ends() {
        let mut bytes = Vec::new();
        let sent: Vec<u8> = (0..200_000u32).map(|number| number as u8).collect();
        let mut outlet = Outlet::new(&mut bytes);
        outlet.write_all(&sent).expect("sent");
        outlet.flush().expect("sent");
        write(&mut bytes, END, b"null").expect("ended");
        let mut heard = Vec::new();
        let (mut from, mut aside) = (&bytes[..], |_: u8, _: &[u8]| Ok(()));
        let mut inlet = Inlet::new(&mut from, &mut aside);
        inlet.read_to_end(&mut heard).expect("heard");
        assert_eq!(inlet.end.as_deref(), Some(&b"null"[..]));
        assert!(heard == sent);
    }

    #[test]
    fn a_frame_that_is_too_long_or_cut_off_is_refused() {
        let mut bytes = Vec::new();
        let mut read_all = |frame: &[u8]| read(&mut &frame[..], &mut bytes);
        assert!(read_all(b"").expect("the end").is_none());
        assert_eq!(read_all(b"\x00\x00").expect_err("cut off").kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read_all(b"\x05\x00\x00\x00dab").expect_err("cut off").kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read_all(b"\xff\xff\xff\xffd").expect_err("too long").kind(), io::ErrorKind::InvalidData);
    }
}
