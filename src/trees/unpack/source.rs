//! Where an archive comes from: bytes that are read, and, where the kernel can, moved to a file without being read.

use std::fs::File;
use std::io::{self, Read};

/// Bytes that may go straight to a file.
pub trait Source: Read + Send {
    /// Moves up to `most` of the next bytes to `file`, where its position is. 0: it cannot, nothing more comes, or something is wrong,
    /// and who reads and writes hears of that.
    ///
    /// # Errors
    ///
    /// What is no concern of the file's.
    fn pass(&mut self, file: &File, most: u64) -> io::Result<u64> {
        let _ = (file, most);
        Ok(0)
    }
}

impl Source for &[u8] {}

/// A source, and how it is read.
pub(super) enum From<'a> {
    Read(&'a mut (dyn Read + Send)),
    Passed(&'a mut dyn Source),
}

impl From<'_> {
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            From::Read(source) => source.read(into),
            From::Passed(source) => source.read(into),
        }
    }

    pub(super) fn pass(&mut self, file: &File, most: u64) -> io::Result<u64> {
        match self {
            From::Read(_) => Ok(0),
            From::Passed(source) => source.pass(file, most),
        }
    }
}
