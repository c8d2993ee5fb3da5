//! Streams: raw bytes both ways between a caller and a process inside, over one connection.
//!
//! The caller's [`Stream`] speaks with the tool inside, that passes everything on to the keeper and back as it comes, and the keeper with
//! the process. What it promises:
//!
//! - Each side waits for the other. What the process does not read stays with the caller, and a process of kind
//!   [`Stream`](super::Kind::Stream) that writes more than 256 KiB that nobody takes waits in write(2). No part of the way holds more than
//!   that; nothing is dropped or reordered.
//! - A terminal waits for nobody: who looks at it is shown the last 256 KiB first, and somebody who is too slow misses what was shown
//!   meanwhile.
//! - Several may be there at once, and each is given all from then on. A stream goes at the pace of the quickest; who falls
//!   256 KiB behind that is told so, and is there no longer.
//! - Whoever goes away leaves the process running. What waits then is for the next who comes; what was on its way is lost.
//! - The end of the caller's input is the process's, but for a terminal, which has others that type.
//!
//! ```text
//! to the keeper      d bytes for the process, s columns and rows (16 bits each, little endian), e the end of the input
//! from the keeper    d bytes of standard output, i JSON of what else is said (standard error, the end), p, and e as ever
//! ```

pub mod forward;

use super::{Ask, End, Said};
use crate::error::{self, Error};
use crate::tools::client::Client;
use crate::tools::wire::{self, Ending};
use crate::tools::{Name, Request, said};
use nix::poll::{PollFd, PollFlags, poll};
use std::io;
use std::time::Instant;

/// The size of the caller's terminal.
pub const SIZE: u8 = b's';
/// Bytes in one frame to the keeper.
const PIECE: usize = 32 << 10;
/// Between two looks whether nothing has come for too long.
const LOOK_MS: u16 = 1000;
/// What is read at once.
const AT_ONCE: usize = 64 << 10;

/// Something that comes from the process.
pub enum Heard<'a> {
    /// Bytes on standard output, or what a terminal shows.
    Output(&'a [u8]),
    /// Bytes on standard error.
    Error(&'a [u8]),
}

/// The caller's end. Nothing here waits but [`open`](Stream::open).
pub struct Stream {
    client: Client,
    /// Frames that are not written yet: one that was begun, at most, and sizes.
    waiting: Vec<u8>,
    /// Bytes that have come and are no whole frame yet.
    come: Vec<u8>,
    /// When something came last.
    last: Instant,
    end: End,
    input_ended: bool,
}

impl Stream {
    /// Goes to the process of the session `id`, and gives its terminal that size.
    ///
    /// # Errors
    ///
    /// Why there is no such session, or no tool.
    pub fn open(mut client: Client, id: &str, size: Option<(u16, u16)>) -> Result<Stream, Error> {
        let request = Request::Session { id: Some(id.to_owned()), ask: Ask::Attach { size } };
        client.begin(&request)?;
        let (waiting, come, last) = (Vec::new(), Vec::new(), Instant::now());
        let mut stream = Stream { client, waiting, come, last, end: End::default(), input_ended: false };
        // The session's first word is that it is there.
        loop {
            stream.read()?;
            let kind = wire::head_of(&stream.come).map_err(|error| said(&error))?.map(|(kind, _)| kind);
            let has_failed = matches!(kind, Some(wire::END | wire::FAILED));
            if kind.is_some() && !has_failed {
                return Ok(stream);
            }
            if has_failed && stream.take_frames(&mut |_| Ok(()))?.is_some() {
                return Err(said(&wire::nonsense("an end of nothing")));
            }
            let mut list = Vec::new();
            stream.interests(&mut list);
            // What is wrong with it comes by the next step.
            let _ = poll(&mut list, LOOK_MS);
        }
    }

    /// Takes bytes for the process; how many. None as long as the last of them wait.
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        if !self.waiting.is_empty() || self.input_ended {
            return 0;
        }
        let piece = &bytes[..bytes.len().min(PIECE)];
        self.frame(wire::DATA, piece);
        piece.len()
    }

    /// Whether [`send`](Stream::send) takes something.
    pub fn is_ready(&self) -> bool {
        self.waiting.is_empty() && !self.input_ended
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, (columns, rows): (u16, u16)) {
        self.frame(SIZE, &[columns.to_le_bytes(), rows.to_le_bytes()].concat());
    }

    /// Nothing more is sent.
    pub fn end_input(&mut self) {
        if !std::mem::replace(&mut self.input_ended, true) {
            self.frame(wire::END, &[]);
        }
    }

    fn frame(&mut self, kind: u8, bytes: &[u8]) {
        // A vector takes everything, and a piece is no frame that would be too long.
        let _ = wire::write(&mut self.waiting, kind, bytes);
    }

    /// What to wait for before the next step.
    pub fn interests<'a>(&'a self, list: &mut Vec<PollFd<'a>>) {
        let (to, from, word) = self.client.descriptors();
        list.extend(from.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        list.extend(to.filter(|_| !self.waiting.is_empty()).map(|fd| PollFd::new(fd, PollFlags::POLLOUT)));
        list.push(PollFd::new(word, PollFlags::POLLIN));
    }

    /// Moves what can be moved, and passes on what has come; at last, how the process ended.
    ///
    /// # Errors
    ///
    /// What the session or the tool says, or why there is none any more, or an error of `heard`.
    pub fn step(&mut self, heard: &mut dyn FnMut(Heard<'_>) -> io::Result<()>) -> Result<Option<End>, Error> {
        while !self.waiting.is_empty() {
            match self.client.try_write(&self.waiting) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // It has ended, and why comes from the other side.
                Err(_) => self.waiting.clear(),
            }
        }
        // What came with the session's first word may be all, and the tool gone by now.
        if let Some(end) = self.take_frames(heard)? {
            return Ok(Some(end));
        }
        self.read()?;
        self.take_frames(heard)
    }

    /// Takes what has come.
    fn read(&mut self) -> Result<(), Error> {
        let start = self.come.len();
        self.come.resize(start + AT_ONCE, 0);
        let read = self.client.try_read(&mut self.come[start..]);
        self.come.truncate(start + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => {
                let why = self.client.last_word();
                return Err(why.unwrap_or_else(|| said(&io::ErrorKind::UnexpectedEof.into())));
            }
            Ok(_) => self.last = Instant::now(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let patience = Request::Session { id: None, ask: Ask::Attach { size: None } }.patience();
                if patience.is_some_and(|time| self.last.elapsed() > time) {
                    return Err(said(&io::ErrorKind::TimedOut.into()));
                }
            }
            Err(error) => return Err(said(&error)),
        }
        Ok(())
    }

    fn take_frames(&mut self, heard: &mut dyn FnMut(Heard<'_>) -> io::Result<()>) -> Result<Option<End>, Error> {
        let mut done = 0;
        let mut result = Ok(None);
        loop {
            let rest = &self.come[done..];
            let Some((kind, length)) = wire::head_of(rest).map_err(|error| said(&error))? else { break };
            let Some(frame) = rest.get(wire::HEAD..wire::HEAD + length) else { break };
            done += wire::HEAD + length;
            let taken = match kind {
                wire::DATA => heard(Heard::Output(frame)),
                wire::PULSE => Ok(()),
                wire::ITEM => match wire::parse::<Said>(frame) {
                    Ok(Said::Ended(end)) => {
                        self.end = end;
                        Ok(())
                    }
                    Ok(Said::Stdout(Name(bytes))) => heard(Heard::Output(&bytes)),
                    Ok(Said::Stderr(Name(bytes))) => heard(Heard::Error(&bytes)),
                    Ok(_) => Err(wire::nonsense("nothing that a stream says")),
                    Err(error) => Err(error),
                },
                wire::FAILED => {
                    result = Err(wire::parse::<Error>(frame).map_err(|error| said(&error))?.from_inside());
                    break;
                }
                wire::END => {
                    result = match wire::parse::<Ending>(frame).map_err(|error| said(&error))? {
                        Some(trouble) => Err(trouble.from_inside()),
                        None => Ok(Some(std::mem::take(&mut self.end))),
                    };
                    break;
                }
                _ => Err(wire::nonsense("an unexpected frame")),
            };
            taken.map_err(|error| said(&error))?;
        }
        self.come.drain(..done);
        match result {
            // The whole sandbox may have ended with it, and only the host's side knows that and why.
            Err(trouble) if trouble.kind == error::Kind::Ended => Err(self.client.word_of_the_end().unwrap_or(trouble)),
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn all_that_came_with_the_first_word_is_taken_before_the_tool_is_missed() {
        let mut said = Vec::new();
        wire::write(&mut said, wire::PULSE, &[]).unwrap();
        wire::write(&mut said, wire::DATA, b"seen").unwrap();
        let end = End { exit_code: Some(4), ..End::default() };
        wire::write_json(&mut said, wire::ITEM, &Said::Ended(end.clone())).unwrap();
        wire::write_json(&mut said, wire::END, &Ending::None).unwrap();
        let file = std::env::temp_dir().join(format!("belljar-stream-{}", std::process::id()));
        std::fs::write(&file, said).unwrap();
        let tool = |_| {
            let mut command = Command::new("cat");
            command.arg(&file);
            command
        };
        let mut stream = Stream::open(Client::of(tool).unwrap(), "t", None).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
        let mut shown = Vec::new();
        let heard = &mut |heard: Heard<'_>| {
            let (Heard::Output(bytes) | Heard::Error(bytes)) = heard;
            shown.extend_from_slice(bytes);
            Ok(())
        };
        assert_eq!((stream.step(heard).unwrap(), shown), (Some(end), b"seen".to_vec()));
        std::fs::remove_file(file).unwrap();
    }
}
