//! Writing members of a tar archive: times to the nanosecond, on both sides of 1970, and files with their holes.
//!
//! What is written is a whole archive, whatever happens to a file meanwhile: a member is as long as its header says. A file that
//! got shorter, or cannot be read to its end, is filled up with zeros, and the caller is told.

use crate::trees::unpack::names::LONGEST_PATH;
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use tar::{Builder, Header};

/// The most parts of a file between its holes: the map of them has to stay below what a reader takes.
const MOST_PARTS: usize = 20_000;
const BLOCK: usize = 512;

/// Seconds and nanoseconds since 1970 of the last change.
pub type Time = (i64, i64);

/// What an extended header says of the member that comes next.
pub type Records<'r> = &'r [(&'r str, &'r [u8])];

/// Writes a member that has no content.
///
/// # Errors
///
/// What cannot be written.
pub fn empty(builder: &mut Builder<impl Write>, mut header: Header, path: &Path, time: Time) -> io::Result<()> {
    extended(builder, &mut header, time, &[])?;
    header.set_size(0);
    builder.append_data(&mut header, path, io::empty())
}

/// Writes a regular file whose bytes are known.
///
/// # Errors
///
/// What cannot be written.
pub fn bytes(
    builder: &mut Builder<impl Write>,
    mut header: Header,
    path: &Path,
    content: &[u8],
    time: Time,
) -> io::Result<()> {
    extended(builder, &mut header, time, &[])?;
    header.set_size(content.len() as u64);
    builder.append_data(&mut header, path, content)
}

/// Writes a link to `target`.
///
/// # Errors
///
/// What cannot be written.
pub fn link(
    builder: &mut Builder<impl Write>,
    mut header: Header,
    path: &Path,
    target: &Path,
    time: Time,
) -> io::Result<()> {
    extended(builder, &mut header, time, &[])?;
    header.set_size(0);
    builder.append_link(&mut header, path, target)
}

/// Writes the header of a regular file: `length` bytes of content come behind it, and what [`fills`] up the last block.
///
/// # Errors
///
/// What cannot be written.
pub fn begin(
    builder: &mut Builder<impl Write>,
    mut header: Header,
    path: &Path,
    length: u64,
    time: Time,
) -> io::Result<()> {
    extended(builder, &mut header, time, &[])?;
    header.set_size(length);
    builder.append_data(&mut header, path, io::empty())
}

/// The zeros that fill the last block of so many bytes of content.
pub fn fills(length: u64) -> &'static [u8] {
    &[0; BLOCK][..(length.wrapping_neg() % BLOCK as u64) as usize]
}

/// A regular file that is open.
pub struct Opened {
    /// At its beginning.
    pub file: File,
    /// As long as it is to be in the archive.
    pub length: u64,
    /// Whether it has holes.
    pub sparse: bool,
    /// When it was changed.
    pub time: Time,
}

/// Writes a regular file; answers what kept it from being read to its end.
///
/// # Errors
///
/// What cannot be written.
pub fn file(
    builder: &mut Builder<impl Write>,
    mut header: Header,
    path: &Path,
    from: Opened,
) -> io::Result<Option<io::Error>> {
    let Opened { file, length, sparse, time } = from;
    if !sparse {
        extended(builder, &mut header, time, &[])?;
        header.set_size(length);
        let mut content = Content { parts: vec![(0, length)], at: 0, done: 0, file, fault: None };
        builder.append_data(&mut header, path, &mut content)?;
        return Ok(content.fault);
    }
    // GNU tar takes the map for one where the header is of POSIX's kind, as the map is.
    let mut posix = Header::new_ustar();
    posix.set_mode(header.mode()?);
    posix.set_uid(header.uid()?);
    posix.set_gid(header.gid()?);
    header = posix;
    let parts = parts(&file, length);
    let name = path.as_os_str().as_bytes();
    let size = length.to_string();
    let records: Records<'_> = &[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", name),
        ("GNU.sparse.realsize", size.as_bytes()),
    ];
    extended(builder, &mut header, time, records)?;
    let mut map = format!("{}\n", parts.len());
    parts.iter().for_each(|(from, length)| map.push_str(&format!("{from}\n{length}\n")));
    map.extend(std::iter::repeat_n('\0', map.len().wrapping_neg() % BLOCK));
    header.set_size(map.len() as u64 + parts.iter().map(|(_, length)| length).sum::<u64>());
    let mut content = Content { parts, at: 0, done: 0, file, fault: None };
    builder.append_data(&mut header, path, map.as_bytes().chain(&mut content))?;
    Ok(content.fault)
}

/// The extended header of a member: what its own cannot say.
fn extended(
    builder: &mut Builder<impl Write>,
    header: &mut Header,
    (seconds, nanoseconds): Time,
    records: Records<'_>,
) -> io::Result<()> {
    header.set_mtime(u64::try_from(seconds).unwrap_or(0));
    let time = decimal((seconds, nanoseconds));
    let time = (nanoseconds != 0 || seconds < 0).then_some(("mtime", time.as_bytes()));
    let all: Vec<_> = time.into_iter().chain(records.iter().copied()).collect();
    if all.is_empty() { Ok(()) } else { builder.append_pax_extensions(all) }
}

/// A time as POSIX writes it.
fn decimal((seconds, nanoseconds): Time) -> String {
    match (seconds < 0, nanoseconds) {
        (_, 0) => seconds.to_string(),
        (false, _) => format!("{seconds}.{nanoseconds:09}"),
        (true, _) => format!("-{}.{:09}", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds),
    }
}

/// Offsets and lengths of what is between the holes of a file. Where there are too many parts, small holes are taken for content.
fn parts(file: &File, length: u64) -> Vec<(u64, u64)> {
    let mut parts: Vec<(u64, u64)> = Vec::new();
    let (mut at, mut least) = (0, 1);
    let end = i64::try_from(length).unwrap_or(i64::MAX);
    while at < end {
        let from = match lseek(file, at, Whence::SeekData) {
            Ok(from) if from < end => from,
            Ok(_) | Err(Errno::ENXIO) => break,
            // A file system that knows no holes.
            Err(_) => at,
        };
        let hole = lseek(file, from, Whence::SeekHole).unwrap_or(end).clamp(from + 1, end);
        push(&mut parts, (from as u64, (hole - from) as u64), least);
        while parts.len() > MOST_PARTS {
            least *= 2;
            let all = std::mem::take(&mut parts);
            all.into_iter().for_each(|part| push(&mut parts, part, least));
        }
        at = hole;
    }
    // The end of the last hole is told by a part without content.
    if parts.last().is_none_or(|(from, size)| from + size < length) {
        parts.push((length, 0));
    }
    parts
}

/// One part more, or a longer one where the hole before it is smaller than `least`.
fn push(parts: &mut Vec<(u64, u64)>, (from, length): (u64, u64), least: u64) {
    match parts.last_mut() {
        Some((before, size)) if from - (*before + *size) < least => *size = from + length - *before,
        _ => parts.push((from, length)),
    }
}

/// The parts of a file, one behind the other, exactly as long as was said.
struct Content {
    file: File,
    parts: Vec<(u64, u64)>,
    /// The part at hand, and how much of it was read.
    at: usize,
    done: u64,
    fault: Option<io::Error>,
}

impl Read for Content {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some((from, length)) = self.parts.get(self.at).copied() {
            if self.done == length {
                (self.at, self.done) = (self.at + 1, 0);
                continue;
            }
            let wanted = into.len().min(usize::try_from(length - self.done).unwrap_or(usize::MAX));
            let into = &mut into[..wanted];
            let count = match self.some(from, into) {
                Ok(0) => {
                    self.fault = Some(io::Error::other("it became shorter while it was read"));
                    continue;
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.fault = Some(error);
                    continue;
                }
            };
            self.done += count as u64;
            return Ok(count);
        }
        Ok(0)
    }
}

impl Content {
    fn some(&mut self, from: u64, into: &mut [u8]) -> io::Result<usize> {
        if self.fault.is_some() {
            into.fill(0);
            return Ok(into.len());
        }
        if self.done == 0 {
            self.file.seek(SeekFrom::Start(from))?;
        }
        self.file.read(into)
    }
}

/// Whether a path is longer than what readers of ours take.
pub fn is_too_long(path: &Path) -> bool {
    path.as_os_str().len() > LONGEST_PATH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_to_the_nanosecond_on_both_sides_of_1970() {
        let table = [
            ((0, 0), "0"),
            ((1, 5), "1.000000005"),
            ((-1, 0), "-1"),
            ((-2, 750_000_000), "-1.250000000"),
            ((-1, 750_000_000), "-0.250000000"),
        ];
        for (time, text) in table {
            assert_eq!(decimal(time), text, "{time:?}");
        }
    }

    #[test]
    fn small_holes_are_taken_for_content_where_there_are_too_many() {
        let mut parts = Vec::new();
        [(0, 10), (12, 10), (100, 10)].into_iter().for_each(|part| push(&mut parts, part, 4));
        assert_eq!(parts, [(0, 22), (100, 10)]);
    }
}
