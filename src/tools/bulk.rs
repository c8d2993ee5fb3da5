//! File contents through a pipe, moved by splice(2) where possible: one copy, as by cp(1), instead of two through our memory.
//!
//! What the sandbox is given that way is the content of the very file that is copied, in pages that nobody can write to through a pipe,
//! and never a descriptor of the file: that could be opened anew for writing by `/proc/self/fd`, locked and leased. Where the kernel
//! cannot, or something is wrong, bytes are read and written; what was wrong is told there, with its side.
//!
//! A [`Sink`] keeps its word: so many bytes as were announced come, whatever happens to the file meanwhile.

use super::patient::{Patience, Patient};
use super::wire::PIECE;
use crate::trees::unpack::Source;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::poll::PollFlags;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// Shorter files are read and written: several of them are moved at once then.
pub const LONG: u64 = 128 << 10;
/// What a pipe holds that long files go through: the most that everybody may ask for (`/proc/sys/fs/pipe-max-size`).
const PIPE: i32 = 1 << 20;
/// Whoever writes more than this goes on writing, and each wait for the other side costs more than room in a pipe.
const SMALL: usize = 256 << 10;
/// What is moved at once: the pipe has room for what stands before it, too.
pub const AT_ONCE: u64 = (1 << 20) - (64 << 10);

/// What kept a file from being read to its end, if something did. An error: what cannot be written.
pub type Filled = io::Result<Option<io::Error>>;

/// Where bytes go.
pub trait Sink: Write {
    /// Writes the next `length` bytes of `file`, and always so many: from where it cannot be read on they are zeros, and the answer
    /// says why.
    ///
    /// # Errors
    ///
    /// What cannot be written.
    fn file(&mut self, file: &File, length: u64) -> Filled {
        copy(file, length, self)
    }
}

impl Sink for Vec<u8> {}
impl Sink for io::Sink {}

/// So many bytes of a file that is written in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As they stand there.
    Read(u64),
    /// They could not be read.
    Zeros(u64),
}

impl Piece {
    /// How many.
    pub fn length(self) -> u64 {
        let (Piece::Read(length) | Piece::Zeros(length)) = self;
        length
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// What cannot be written.
    pub fn write(self, file: &File, to: &mut dyn Sink) -> Filled {
        match self {
            Piece::Read(length) => to.file(file, length),
            Piece::Zeros(length) => zeros(length, to).map(|()| None),
        }
    }
}

/// Writes `length` bytes of a file in pieces by `one`; behind one that is not whole nothing more is read.
///
/// # Errors
///
/// What cannot be written.
pub fn in_pieces(length: u64, one: &mut dyn FnMut(Piece) -> Filled) -> Filled {
    let (mut left, mut fault) = (length, None);
    while left > 0 {
        let piece = left.min(AT_ONCE);
        let failed = one(if fault.is_none() { Piece::Read(piece) } else { Piece::Zeros(piece) })?;
        fault = fault.or(failed);
        left -= piece;
    }
    Ok(fault)
}

/// Reads and writes the next `length` bytes of `file`, and always so many.
///
/// # Errors
///
/// What cannot be written.
pub fn copy(file: &File, length: u64, to: &mut (impl Write + ?Sized)) -> Filled {
    let (mut file, mut left) = (file, length);
    let mut piece = vec![0; PIECE.min(usize::try_from(length).unwrap_or(PIECE))];
    while left > 0 {
        let most = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match file.read(&mut piece[..most]) {
            Ok(0) => {
                zeros(left, to)?;
                return Ok(Some(io::Error::other("it became shorter while it was read")));
            }
            Ok(count) => {
                to.write_all(&piece[..count])?;
                left -= count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                zeros(left, to)?;
                return Ok(Some(error));
            }
        }
    }
    Ok(None)
}

/// Writes so many zeros.
///
/// # Errors
///
/// What cannot be written.
fn zeros(length: u64, to: &mut (impl Write + ?Sized)) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(length), to).map(drop)
}

/// What has a descriptor, read and written by that alone: no library holds anything back.
pub struct Bare<F>(pub F);

impl<F: AsFd> AsFd for Bare<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<F: AsFd> Read for Bare<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Ok(nix::unistd::read(&self.0, into)?)
    }
}

impl<F: AsFd> Write for Bare<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(nix::unistd::write(&self.0, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe to the other side.
pub struct Out<P: AsFd + Write> {
    inner: BufWriter<Patient<P>>,
    /// Bytes until it is made larger.
    small: usize,
}

impl<P: AsFd + Write> Out<P> {
    /// The same pipe, which belongs to nobody else on our side.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn new(pipe: P, patience: Patience) -> io::Result<Out<P>> {
        Ok(Out { inner: BufWriter::with_capacity(PIECE, Patient::new(pipe, patience)?), small: SMALL })
    }

    /// Writes what can be written without waiting; nothing of [`Write`] may wait to be written.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, and what the kernel answers.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.get_mut().try_write(bytes)
    }

    /// Closes it; what was not written by now is not wanted any more.
    pub fn close(self) {
        drop(self.inner.into_parts());
    }

    /// As large as it may be. Where it may not, it does as it is.
    fn enlarge(&mut self) {
        if std::mem::take(&mut self.small) > 0 {
            let _ = fcntl(self.inner.get_ref(), FcntlArg::F_SETPIPE_SZ(PIPE));
        }
    }
}

impl<P: AsFd + Write> AsFd for Out<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.get_ref().as_fd()
    }
}

impl<P: AsFd> AsFd for In<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<P: AsFd + Write> Write for Out<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        if self.small > count {
            self.small -= count;
        } else {
            self.enlarge();
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<P: AsFd + Write> Sink for Out<P> {
    fn file(&mut self, file: &File, length: u64) -> Filled {
        self.flush()?;
        self.enlarge();
        let (pipe, mut left) = (self.inner.get_ref(), length);
        while left > 0
            && let Some(count) = between(file, pipe, left, || pipe.wait(PollFlags::POLLOUT))?
        {
            left -= count;
        }
        copy(file, left, self)
    }
}

/// A pipe from the other side.
pub struct In<P> {
    inner: Patient<P>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether what is read next is short, and what comes behind it is to stay in the pipe.
    lean: bool,
}

impl<P: AsFd + Read> In<P> {
    /// The same pipe, which belongs to nobody else on our side.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn new(pipe: P, patience: Patience) -> io::Result<In<P>> {
        Ok(In { inner: Patient::new(pipe, patience)?, buffer: vec![0; PIECE], start: 0, end: 0, lean: false })
    }

    /// Waits until something can be read, or nothing more will come.
    ///
    /// # Errors
    ///
    /// The patience has ended.
    pub fn await_more(&mut self) -> io::Result<()> {
        if self.start < self.end { Ok(()) } else { self.fill() }
    }

    /// Whether something was read that nobody has taken.
    pub fn has_some(&self) -> bool {
        self.start < self.end
    }

    /// Reads what can be read without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, and what the kernel answers.
    pub fn try_read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.has_some() { self.read(into) } else { self.inner.try_read(into) }
    }

    fn fill(&mut self) -> io::Result<()> {
        (self.start, self.end) = (0, 0);
        self.end = self.inner.read(&mut self.buffer)?;
        Ok(())
    }
}

impl<P: AsFd + Read> Read for In<P> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end {
            if std::mem::take(&mut self.lean) || into.len() >= self.buffer.len() {
                return self.inner.read(into);
            }
            self.fill()?;
        }
        let count = into.len().min(self.end - self.start);
        into[..count].copy_from_slice(&self.buffer[self.start..self.start + count]);
        self.start += count;
        Ok(count)
    }
}

impl<P: AsFd + Read + Send> Source for In<P> {
    fn pass(&mut self, mut file: &File, most: u64) -> io::Result<u64> {
        if self.start < self.end {
            let count = (self.end - self.start).min(usize::try_from(most).unwrap_or(usize::MAX));
            let count = file.write(&self.buffer[self.start..self.start + count]).unwrap_or(0);
            self.start += count;
            return Ok(count as u64);
        }
        let pipe = &self.inner;
        let moved = between(pipe, file, most, || pipe.wait(PollFlags::POLLIN))?;
        self.lean = moved.is_some();
        Ok(moved.unwrap_or(0))
    }
}

/// Moves up to `most` bytes from one to the other, of which one is a pipe; none where it cannot, or nothing more comes. `wait`: until the
/// pipe is ready.
fn between(
    from: &impl AsFd,
    to: &impl AsFd,
    most: u64,
    mut wait: impl FnMut() -> io::Result<()>,
) -> io::Result<Option<u64>> {
    let most = usize::try_from(most.min(AT_ONCE)).unwrap_or(usize::MAX);
    let mut waited = false;
    loop {
        match splice(from, None, to, None, most, SpliceFFlags::SPLICE_F_NONBLOCK) {
            Ok(0) => return Ok(None),
            Ok(count) => return Ok(Some(count as u64)),
            Err(Errno::EINTR) => {}
            // Ready, and yet not: another inside is at the same pipe, or it is not the pipe that makes us wait.
            Err(Errno::EAGAIN) if !waited => {
                wait()?;
                waited = true;
            }
            Err(_) => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use std::io::Seek as _;

    fn pipe() -> (In<File>, Out<File>) {
        let (from, to) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        let (from, to) = (File::from(from), File::from(to));
        (In::new(from, Patience::default()).unwrap(), Out::new(to, Patience::default()).unwrap())
    }

    fn file(bytes: &[u8]) -> File {
        let memory = nix::sys::memfd::memfd_create(c"file", nix::sys::memfd::MFdFlags::empty()).unwrap();
        let mut file = File::from(memory);
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn a_file_comes_out_as_it_went_in_and_what_stands_around_it_too() {
        let (mut from, mut to) = pipe();
        let bytes: Vec<u8> = (0..3_000_017u32).map(|number| number.wrapping_mul(7919) as u8).collect();
        let sent = file(&bytes);
        let length = bytes.len() as u64;
        let send = std::thread::spawn(move || {
            to.write_all(b"before").unwrap();
            assert!(to.file(&sent, length).unwrap().is_none());
            to.write_all(b"behind").and_then(|()| to.flush()).unwrap();
        });
        let mut before = [0; 6];
        from.read_exact(&mut before).unwrap();
        let mut taken = file(b"");
        let mut left = length;
        while left > 0 {
            let moved = from.pass(&taken, left).unwrap();
            assert!(moved > 0);
            left -= moved;
        }
        let mut behind = String::new();
        from.read_to_string(&mut behind).unwrap();
        send.join().unwrap();
        assert_eq!((&before, behind.as_str()), (b"before", "behind"));
        let mut all = Vec::new();
        taken.rewind().unwrap();
        taken.read_to_end(&mut all).unwrap();
        assert!(all == bytes);
    }

    #[test]
    fn a_file_that_became_shorter_is_filled_up_with_zeros() {
        let (mut from, mut to) = pipe();
        let sent = file(&[1; 300_000]);
        let send = std::thread::spawn(move || to.file(&sent, 400_000).unwrap().map(|error| error.to_string()));
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        assert_eq!(send.join().unwrap().as_deref(), Some("it became shorter while it was read"));
        assert!(all.len() == 400_000 && all[..300_000].iter().all(|byte| *byte == 1));
        assert!(all[300_000..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_cannot_be_moved_is_left_to_be_read() {
        let (mut from, mut to) = pipe();
        to.write_all(b"something").and_then(|()| to.flush()).unwrap();
        let closed = File::open("/dev/null").unwrap();
        assert_eq!(from.pass(&closed, 9).unwrap(), 0);
        let mut all = [0; 9];
        from.read_exact(&mut all).unwrap();
        assert_eq!(from.pass(&closed, 0).unwrap(), 0);
        assert_eq!(&all, b"something");
    }
}
