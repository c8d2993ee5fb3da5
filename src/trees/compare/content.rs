//! A digest of content that does not depend on where its holes are: blocks of zeros do not enter it, so that a
//! sparse file of a tebibyte takes no longer than what is in it.

use nix::errno::Errno;
use nix::unistd::{Whence, lseek64};
use std::fs::File;
use std::hash::{BuildHasher as _, DefaultHasher, Hasher as _, RandomState};
use std::io::Read as _;
use std::os::fd::AsFd as _;

const BLOCK: usize = 4096;

/// Takes bytes at ascending offsets.
pub struct Content {
    hasher: DefaultHasher,
    /// Where the block at hand begins.
    start: u64,
    block: [u8; BLOCK],
    filled: usize,
}

impl Content {
    pub fn new(key: &RandomState) -> Content {
        Content { hasher: key.build_hasher(), start: 0, block: [0; BLOCK], filled: 0 }
    }

    /// Goes on at `offset`, over zeros; never backwards.
    pub fn skip_to(&mut self, offset: u64) {
        let within = offset % BLOCK as u64;
        if offset - within > self.start {
            self.take_block();
            self.start = offset - within;
        }
        let within = within as usize;
        if within > self.filled {
            self.block[self.filled..within].fill(0);
            self.filled = within;
        }
    }

    pub fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = bytes.len().min(BLOCK - self.filled);
            self.block[self.filled..self.filled + count].copy_from_slice(&bytes[..count]);
            self.filled += count;
            bytes = &bytes[count..];
            if self.filled == BLOCK {
                self.take_block();
                self.start += BLOCK as u64;
            }
        }
    }

    pub fn digest(mut self) -> u64 {
        self.take_block();
        self.hasher.finish()
    }

    /// A block and where it stands, the last one filled up with zeros.
    fn take_block(&mut self) {
        self.block[self.filled..].fill(0);
        self.filled = 0;
        if self.block != [0; BLOCK] {
            self.hasher.write_u64(self.start);
            self.hasher.write(&self.block);
        }
    }
}

/// The digest of a file on disk.
pub fn of_file(file: &mut File, key: &RandomState, buffer: &mut [u8]) -> nix::Result<u64> {
    let mut content = Content::new(key);
    let mut end = 0;
    loop {
        // ENXIO: there is nothing but a hole up to the end.
        let start = match lseek64(file.as_fd(), end, Whence::SeekData) {
            Ok(start) => start,
            Err(Errno::ENXIO) => return Ok(content.digest()),
            Err(errno) => return Err(errno),
        };
        end = lseek64(file.as_fd(), start, Whence::SeekHole)?;
        lseek64(file.as_fd(), start, Whence::SeekSet)?;
        content.skip_to(start as u64);
        let mut left = end.saturating_sub(start) as u64;
        while left > 0 {
            let piece = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = match file.read(&mut buffer[..piece]) {
                Ok(0) => return Ok(content.digest()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))),
            };
            content.write(&buffer[..count]);
            left -= count as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_and_zeros_are_the_same_and_nothing_else_is() {
        let key = RandomState::new();
        let digest = |parts: &[(u64, &[u8])]| {
            let mut content = Content::new(&key);
            for (offset, bytes) in parts {
                content.skip_to(*offset);
                content.write(bytes);
            }
            content.digest()
        };
        let mut whole = vec![0; 20_000];
        whole[..3].copy_from_slice(b"one");
        whole[9_000..9_003].copy_from_slice(b"two");
        let expected = digest(&[(0, &whole)]);
        assert_eq!(digest(&[(0, b"one"), (9_000, b"two")]), expected);
        assert_eq!(digest(&[(0, b"o"), (1, b"n"), (2, b"e"), (8_999, b"\0two\0"), (20_000, b"")]), expected);
        assert_eq!(digest(&[(0, &whole[..9_001]), (9_001, b"wo")]), expected);
        for other in [&[(0, &b"one"[..]), (9_001, b"two")][..], &[(0, b"one")], &[(0, b"one\0two")], &[]] {
            assert_ne!(digest(other), expected);
        }
        assert_ne!(digest(&[(0, &[1; BLOCK])]), digest(&[(BLOCK as u64, &[1; BLOCK])]));
    }
}
