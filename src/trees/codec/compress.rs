//! Packing with zstd: on all processors, and always to the same bytes.
//!
//! The library cuts its input into jobs by size, however many workers there are and in whatever pieces it comes, so
//! that the output depends on nothing but the input, the level and the version of the library.

use std::io::{self, Write};
use zstd::stream::write::Encoder;

/// How hard it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// The library's own default: a third of the time of gzip's, for less space. For what is carried elsewhere.
    Usual,
    /// Half the time of that, for a sixth more space. For what somebody waits for, and is kept here.
    Quick,
}

impl Effort {
    fn level(self) -> i32 {
        match self {
            Effort::Usual => 3,
            Effort::Quick => 1,
        }
    }
}

/// Each worker holds some 20 MiB; more of them than this are faster than any disk.
const MOST_WORKERS: u32 = 8;

/// Packs what is written to it, and writes that to `sink`. Not finished is not written: call [`finish`](Self::finish).
pub struct Compressor<W: Write> {
    encoder: Encoder<'static, W>,
}

impl<W: Write> Compressor<W> {
    /// Nothing is written before the first byte comes.
    pub fn new(sink: W, effort: Effort) -> io::Result<Compressor<W>> {
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
        Compressor::with_workers(sink, effort, processors.min(MOST_WORKERS))
    }

    /// At least one worker: none at all would cut into jobs differently.
    pub(super) fn with_workers(sink: W, effort: Effort, workers: u32) -> io::Result<Compressor<W>> {
        let mut encoder = Encoder::new(sink, effort.level())?;
        encoder.include_checksum(true)?;
        encoder.multithread(workers.max(1))?;
        Ok(Compressor { encoder })
    }

    /// Writes what is left, and gives the sink back.
    pub fn finish(self) -> io::Result<W> {
        self.encoder.finish()
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encoder.write(bytes)
    }

    /// Does nothing, deliberately: a flush would end a job early, and the output depend on when it came.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
