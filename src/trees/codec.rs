//! Compression: what a stream of bytes is packed with is found out by its first bytes, never by its name.
//!
//! Promises bounded memory for any input: 128 MiB for zstd, 256 MiB for xz, 32 KiB for gzip. Several streams one after the other
//! are read as one, as gzip(1), zstd(1) and xz(1) do; zeros may follow the last one, anything else is an error. So is
//! a stream that is cut off or damaged. How much comes out is the reader's business: whoever unpacks counts.

mod compress;
mod pipe;
#[cfg(test)]
mod tests;

pub use compress::{Compressor, Effort};
pub use pipe::Pipe;

use flate2::{Decompress, FlushDecompress};
use liblzma::stream::{Action, Stream};
use std::fmt;
use std::io::{self, Read};
use zstd::stream::raw::{DParameter, Decoder as Frames, Operation};

/// Bytes read from the source at once.
const BUFFER: usize = 128 << 10;

/// The largest window of zstd, as a power of two: 128 MiB, which is also what zstd(1) allows without being asked.
const LARGEST_WINDOW: u32 = 27;

/// What the decoder of xz may use; its strongest preset needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// The window of gzip, as a power of two: the only one there is.
const GZIP_WINDOW: u8 = 15;

/// The longest of the magic numbers.
const MAGIC: usize = 6;

/// What a stream is packed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// The .xz file format.
    Xz,
    /// Not packed, or with something that we do not know.
    Plain,
}

impl Format {
    /// By the first bytes of the stream.
    pub fn of(start: &[u8]) -> Format {
        match start {
            [0x1f, 0x8b, ..] => Format::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Format::Zstd,
            // A frame to be skipped, with which some begin.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Format::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Format::Xz,
            _ => Format::Plain,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Gzip => "gzip",
            Format::Zstd => "zstd",
            Format::Xz => "xz",
            Format::Plain => "plain",
        })
    }
}

/// The content of a stream, whatever it is packed with.
pub struct Decoder<R> {
    input: Input<R>,
    format: Format,
    /// None where nothing is packed.
    coder: Option<Coder>,
    state: State,
}

/// The source, with what was read from it and not yet used: `buffer[start..end]`.
struct Input<R> {
    source: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The source has nothing more.
    ended: bool,
}

/// What unpacks one stream.
enum Coder {
    Gzip(Decompress),
    Zstd(Frames<'static>),
    Xz(Stream),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Within a stream.
    Inside,
    /// Behind a stream, where another one may begin.
    Between,
    /// Behind zeros.
    Padding,
    /// There is nothing more.
    Ended,
}

/// What one step of a coder did.
struct Step {
    used: usize,
    made: usize,
    ended: bool,
}

impl<R: Read> Decoder<R> {
    /// Reads as much of `source` as tells what it is packed with.
    pub fn new(source: R) -> io::Result<Decoder<R>> {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        let mut input = Input { source, buffer, start: 0, end: 0, ended: false };
        input.fill(MAGIC)?;
        let format = Format::of(input.waiting());
        Ok(Decoder { input, format, coder: Coder::new(format)?, state: State::Inside })
    }

    /// What the stream is packed with.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The source, which has been read to its end if this has.
    pub fn into_inner(self) -> R {
        self.input.source
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(coder) = &mut self.coder else { return self.input.read(out) };
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state {
                State::Inside => {
                    self.input.fill(1)?;
                    let step = coder.step(self.input.waiting(), out)?;
                    let stuck = step.used == 0 && step.made == 0 && !step.ended;
                    if stuck {
                        let what = if self.input.waiting().is_empty() { "is cut off" } else { "is damaged" };
                        return Err(damage(format!("the {} stream {what}", self.format)));
                    }
                    self.input.start += step.used;
                    if step.ended {
                        self.state = State::Between;
                    }
                    if step.made > 0 {
                        return Ok(step.made);
                    }
                }
                State::Between | State::Padding => {
                    self.state = self.input.look_further(self.state, self.format)?;
                    if self.state == State::Inside {
                        coder.begin_again()?;
                    }
                }
                State::Ended => return Ok(0),
            }
        }
    }
}

impl<R: Read> Input<R> {
    fn waiting(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads until `wanted` bytes wait, or the source ends.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start + wanted > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        while self.end - self.start < wanted && !self.ended {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Bytes that are not packed: large reads go past our buffer.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && out.len() >= self.buffer.len() {
            return self.source.read(out);
        }
        self.fill(1)?;
        let count = self.waiting().len().min(out.len());
        out[..count].copy_from_slice(&self.buffer[self.start..self.start + count]);
        self.start += count;
        Ok(count)
    }

    /// What comes behind a stream, or behind zeros.
    fn look_further(&mut self, state: State, format: Format) -> io::Result<State> {
        self.fill(MAGIC)?;
        // Only xz has zeros between its streams.
        let another = Format::of(self.waiting()) == format && (state == State::Between || format == Format::Xz);
        match self.waiting().first() {
            None => Ok(State::Ended),
            Some(_) if another => Ok(State::Inside),
            Some(0) => {
                self.start += self.waiting().iter().take_while(|byte| **byte == 0).count();
                Ok(State::Padding)
            }
            Some(_) => Err(damage(format!("something stands behind the end of the {format} stream"))),
        }
    }
}

impl Coder {
    fn new(format: Format) -> io::Result<Option<Coder>> {
        Ok(Some(match format {
            Format::Gzip => Coder::Gzip(Decompress::new_gzip(GZIP_WINDOW)),
            Format::Zstd => {
                let mut frames = Frames::new()?;
                frames.set_parameter(DParameter::WindowLogMax(LARGEST_WINDOW))?;
                Coder::Zstd(frames)
            }
            Format::Xz => Coder::Xz(xz_stream()?),
            Format::Plain => return Ok(None),
        }))
    }

    /// For another stream behind one that has ended. Memory is kept where that can be done: a hostile file has one
    /// every few bytes.
    fn begin_again(&mut self) -> io::Result<()> {
        match self {
            Coder::Gzip(inflate) => inflate.reset(true),
            Coder::Zstd(frames) => frames.reinit()?,
            Coder::Xz(stream) => *stream = xz_stream()?,
        }
        Ok(())
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> io::Result<Step> {
        match self {
            Coder::Gzip(inflate) => {
                let (used, made) = (inflate.total_in(), inflate.total_out());
                let status = inflate
                    .decompress(input, out, FlushDecompress::None)
                    .map_err(|_| damage("the gzip stream is damaged".to_owned()))?;
                let (used, made) = ((inflate.total_in() - used) as usize, (inflate.total_out() - made) as usize);
                Ok(Step { used, made, ended: status == flate2::Status::StreamEnd })
            }
            Coder::Zstd(frames) => {
                let status = frames.run_on_buffers(input, out).map_err(|error| zstd(&error))?;
                Ok(Step { used: status.bytes_read, made: status.bytes_written, ended: status.remaining == 0 })
            }
            Coder::Xz(stream) => {
                let (used, made) = (stream.total_in(), stream.total_out());
                let status = stream.process(input, out, Action::Run).map_err(|error| xz(&error))?;
                let (used, made) = ((stream.total_in() - used) as usize, (stream.total_out() - made) as usize);
                Ok(Step { used, made, ended: status == liblzma::stream::Status::StreamEnd })
            }
        }
    }
}

/// An error of the stream itself, as opposed to one of its source.
fn damage(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn zstd(error: &io::Error) -> io::Error {
    // The library has no other way to tell than its words; a test holds them.
    damage(if error.to_string().contains("too much memory") {
        format!("the zstd stream needs a window larger than {} MiB", (1u64 << LARGEST_WINDOW) >> 20)
    } else {
        "the zstd stream is damaged".to_owned()
    })
}

fn xz_stream() -> io::Result<Stream> {
    Stream::new_stream_decoder(XZ_MEMORY, 0).map_err(|error| xz(&error))
}

fn xz(error: &liblzma::stream::Error) -> io::Error {
    use liblzma::stream::Error;
    damage(match error {
        Error::MemLimit => format!("the xz stream needs more than {} MiB of memory", XZ_MEMORY >> 20),
        Error::Mem => return io::Error::from_raw_os_error(libc::ENOMEM),
        Error::Options => "the xz stream uses options that are not known here".to_owned(),
        Error::UnsupportedCheck => "the xz stream has a checksum of a kind that is not known here".to_owned(),
        _ => "the xz stream is damaged".to_owned(),
    })
}
