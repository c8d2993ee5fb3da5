//! Frames between the two sides: a length (32 bits, little endian), one byte for the kind, then the content.
//!
//! ```text
//! to the tool      q JSON of a request, then, where it has data, d bytes ... and e
//! from the tool    i JSON of an item, d bytes, as many as it takes, p now and then, and at last e JSON of how it went
//! and where nothing else can be said    x JSON of why
//! ```

use super::bulk::{self, Filled, Sink};
use crate::error::Error;
use crate::trees::unpack::Source;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, Read, Write};

/// The longest frame: a piece of code of 128 KiB of which every character is escaped.
pub const LONGEST: usize = 1 << 20;
/// Bytes in one frame of data, but for those of long files.
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
/// The tool cannot go on.
pub const FAILED: u8 = b'x';

/// How a request went.
pub type Ending = Option<Error>;

/// Writes one frame.
pub fn write(to: &mut dyn Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    begin(to, kind, bytes.len())?;
    to.write_all(bytes)
}

/// Writes what stands before so many bytes.
fn begin(to: &mut dyn Write, kind: u8, length: usize) -> io::Result<()> {
    let length = u32::try_from(length).ok().filter(|length| *length as usize <= LONGEST);
    let length = length.ok_or_else(|| io::Error::other("a frame would be too long"))?;
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4] = kind;
    to.write_all(&head)
}

/// Writes one frame of JSON.
pub fn write_json(to: &mut dyn Write, kind: u8, value: &impl Serialize) -> io::Result<()> {
    write(to, kind, &serde_json::to_vec(value)?)
}

/// Reads one frame into `bytes`; `None` at the end.
pub fn read(from: &mut dyn Read, bytes: &mut Vec<u8>) -> io::Result<Option<u8>> {
    let Some((kind, length)) = head(from)? else { return Ok(None) };
    bytes.resize(length, 0);
    from.read_exact(bytes)?;
    Ok(Some(kind))
}

/// Bytes before those of a frame.
pub const HEAD: usize = 5;

/// The kind and length of the frame that begins with these bytes; `None` where they are too few.
///
/// # Errors
///
/// It is too long.
pub fn head_of(bytes: &[u8]) -> io::Result<Option<(u8, usize)>> {
    let Some([a, b, c, d, kind]) = bytes.first_chunk::<HEAD>() else { return Ok(None) };
    let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
    if length > LONGEST { Err(nonsense("a frame is too long")) } else { Ok(Some((*kind, length))) }
}

/// What stands before a frame: its kind and length; `None` at the end.
fn head(from: &mut (impl Read + ?Sized)) -> io::Result<Option<(u8, usize)>> {
    let mut head = [0; HEAD];
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
    head_of(&head)
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
    to: &'a mut dyn Sink,
    waiting: Vec<u8>,
}

impl<'a> Outlet<'a> {
    /// Nothing yet.
    pub fn new(to: &'a mut dyn Sink) -> Outlet<'a> {
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

impl Sink for Outlet<'_> {
    fn file(&mut self, file: &File, length: u64) -> Filled {
        if length < bulk::LONG {
            return bulk::copy(file, length, self);
        }
        self.flush()?;
        bulk::in_pieces(length, &mut |piece| {
            begin(self.to, DATA, usize::try_from(piece.length()).unwrap_or(usize::MAX))?;
            piece.write(file, self.to)
        })
    }
}

/// Data on its way in: ends with its frame, and takes in other frames by `aside`.
pub struct Inlet<'a> {
    from: &'a mut dyn Source,
    aside: &'a mut (dyn FnMut(u8, &[u8]) -> io::Result<()> + Send),
    /// Bytes of the frame of data at hand that are still to come.
    left: usize,
    /// The frame at the end, once it has come.
    pub end: Option<Vec<u8>>,
    /// Whether the tool was cut off, or does not speak as it should.
    pub broken: bool,
}

impl<'a> Inlet<'a> {
    /// Nothing yet.
    pub fn new(from: &'a mut dyn Source, aside: &'a mut (dyn FnMut(u8, &[u8]) -> io::Result<()> + Send)) -> Inlet<'a> {
        Inlet { from, aside, left: 0, end: None, broken: false }
    }

    /// Reads to the end, and gives nothing to anybody.
    pub fn drain(&mut self) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        while self.read(&mut piece)? > 0 {}
        Ok(())
    }

    /// Goes to the next bytes of data; whether there are any.
    fn advance(&mut self) -> io::Result<bool> {
        while self.left == 0 {
            if self.end.is_some() {
                return Ok(false);
            }
            // Until a frame was understood.
            let broken = std::mem::replace(&mut self.broken, true);
            let (kind, length) = head(self.from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if kind == DATA {
                self.left = length;
            } else {
                let mut frame = vec![0; length];
                self.from.read_exact(&mut frame)?;
                match kind {
                    PULSE => {}
                    END => self.end = Some(frame),
                    kind => (self.aside)(kind, &frame)?,
                }
            }
            self.broken = broken;
        }
        Ok(true)
    }
}

impl Read for Inlet<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() || !self.advance()? {
            return Ok(0);
        }
        let most = into.len().min(self.left);
        let broken = std::mem::replace(&mut self.broken, true);
        let count = match self.from.read(&mut into[..most]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) => {
                self.broken = broken || error.kind() != io::ErrorKind::Interrupted;
                return Err(error);
            }
        };
        self.left -= count;
        self.broken = broken;
        Ok(count)
    }
}

impl Source for Inlet<'_> {
    fn pass(&mut self, file: &File, most: u64) -> io::Result<u64> {
        if !self.advance()? {
            return Ok(0);
        }
        let count = self.from.pass(file, most.min(self.left as u64))?;
        self.left -= usize::try_from(count).unwrap_or(usize::MAX);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
