//! Reading a tar archive: blocks to members, strictly.
//!
//! What is between the lines of the format has made readers see different files in the same bytes (CVE-2025-62518). So
//! whatever two readers could understand in two ways is an error here: a size where there can be no content, a name
//! said twice, a header that describes nothing, anything but zeros behind the end. Where a size stands in an extended
//! header it wins, as POSIX has it. Extended headers are bounded, and content is streamed.

use super::header::{BLOCK, check, cut, name_of, number, size_of, terminated};
use super::pax::{Records, Time, decimal};
use super::refusal::Refusal;
use super::source::{From, Source};
use super::sparse::{Layout, Map, continuation, old_parts};
use crate::name::escaped;
use std::fs::File;
use std::io::{self, Read};
use tar::Header;

/// What the extended headers of one entry may take, and the map of a sparse file.
const LONGEST_HEADER: u64 = 1 << 20;
/// Zeros behind the end: archivers fill up a record, of 10 KiB unless told otherwise.
const LONGEST_END: u64 = 16 << 20;

/// What an archive holds, one after the other.
pub struct Archive<'a> {
    source: From<'a>,
    /// Bytes of the member's content that were not read yet.
    content: u64,
    /// And of the zeros that fill its last block.
    padding: u64,
    unterminated: bool,
}

/// One member, as it stands there.
#[derive(Debug)]
pub struct Member {
    pub name: Vec<u8>,
    pub kind: Kind,
    pub mode: u32,
    pub time: Time,
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of content in the archive.
    pub stored: u64,
    /// For a sparse file, where they go.
    pub map: Option<Map>,
}

/// What a member is.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    /// With its target, which may be anything.
    Symlink(Vec<u8>),
    /// With the name of the other, as it stands there.
    Link(Vec<u8>),
    Fifo,
    Device,
}

/// What stands before a member's own header and belongs to it.
#[derive(Default)]
struct Before {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Option<Records>,
}

impl<'a> Archive<'a> {
    pub fn new(source: &'a mut (dyn Read + Send)) -> Archive<'a> {
        Archive { source: From::Read(source), content: 0, padding: 0, unterminated: false }
    }

    /// The same from a source that may move content to files by itself.
    pub fn passed(source: &'a mut dyn Source) -> Archive<'a> {
        Archive { source: From::Passed(source), content: 0, padding: 0, unterminated: false }
    }

    /// The next member; none behind the last. Content that was not read is passed over.
    pub fn next(&mut self) -> Result<Option<Member>, Refusal> {
        self.pass_over()?;
        let mut before = Before::default();
        loop {
            let block = self.block()?;
            self.unterminated = block.is_none();
            let Some(block) = block.filter(|block| *block != [0; BLOCK]) else {
                if before.name.is_some() || before.link.is_some() || before.records.is_some() {
                    let why = "the archive ends behind an extended header that describes nothing";
                    return Err(if self.unterminated { cut_off() } else { Refusal::new(why) });
                }
                self.end()?;
                return Ok(None);
            };
            let header = Header::from_byte_slice(&block);
            check(header, &block)?;
            let shown = || name_of(header);
            if !self.extends(header, &mut before).map_err(|refusal| refusal.about(&shown()))? {
                return self.member(header, before).map(Some);
            }
        }
    }

    /// Whether it ended behind a member, without the mark that says so. Only who knows its digest can tell whether
    /// something is missing: some programs leave the mark out, and the zeros before it (umoci 0.4 does).
    pub fn is_unterminated(&self) -> bool {
        self.unterminated
    }

    /// Content of the member, up to its end.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, Refusal> {
        let wanted = out.len().min(usize::try_from(self.content).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.some(&mut out[..wanted])?;
        if count == 0 {
            return Err(Refusal::new("the archive is cut off in its content").again());
        }
        self.content -= count as u64;
        Ok(count)
    }

    /// Moves content of the member to `file`; 0 where that cannot be, and it is to be read.
    pub fn pass(&mut self, file: &File, most: u64) -> Result<u64, Refusal> {
        let wanted = most.min(self.content);
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.source.pass(file, wanted).map_err(|error| Refusal::unreadable(&error))?;
        self.content -= count;
        Ok(count)
    }

    /// Takes a header that belongs to the next one; `false` if it is a member's own.
    fn extends(&mut self, header: &Header, before: &mut Before) -> Result<bool, Refusal> {
        let twice = || Refusal::new("has two extended headers of one kind");
        let kind = header.as_old().linkflag[0];
        if !matches!(kind, b'x' | b'g' | b'L' | b'K') {
            return Ok(false);
        }
        let bytes = self.extension(size_of(header)?)?;
        match kind {
            b'g' => Records::check_global(&bytes).map_err(Refusal::new)?,
            b'x' if before.records.is_some() => return Err(twice()),
            b'x' => before.records = Some(Records::parse(&bytes).map_err(Refusal::new)?),
            b'L' if before.name.is_some() => return Err(twice()),
            b'L' => before.name = Some(terminated(bytes)),
            _ if before.link.is_some() => return Err(twice()),
            _ => before.link = Some(terminated(bytes)),
        }
        Ok(true)
    }

    /// The content of an extended header.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, Refusal> {
        if size > LONGEST_HEADER {
            return Err(Refusal::new(format!("has an extended header of more than {LONGEST_HEADER} bytes")));
        }
        self.begin(size);
        let mut bytes = vec![0; size as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            filled += self.read(&mut bytes[filled..])?;
        }
        self.pass_over()?;
        Ok(bytes)
    }

    /// A member from its own header and what stood before it.
    fn member(&mut self, header: &Header, before: Before) -> Result<Member, Refusal> {
        let records = before.records.unwrap_or_default();
        let contradicts = before.name.is_some() && records.path.is_some();
        let name = records.sparse.name.clone().or(records.path.clone()).or(before.name);
        let name = name.unwrap_or_else(|| name_of(header));
        let about = |why: &str| Refusal::new(why).about(&name);
        if contradicts || (before.link.is_some() && records.link.is_some()) {
            return Err(about("has its name in two extended headers"));
        }
        let link = || records.link.clone().or(before.link.clone()).unwrap_or_else(|| cut(&header.as_old().linkname));
        let size = match records.size {
            Some(size) => size,
            None => size_of(header).map_err(|refusal| refusal.about(&name))?,
        };
        let kind = match header.as_old().linkflag[0] {
            // Before POSIX, directories were files whose name ends like this.
            0 | b'0' if name.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::Link(link()),
            b'2' => Kind::Symlink(link()),
            b'3' | b'4' => Kind::Device,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => return Err(about(&format!("has the type `{}`, which is not known here", escaped(&[other])))),
        };
        if kind != Kind::File && size != 0 {
            return Err(about("has a size, but is no file that could have content"));
        }
        let old = header.as_old();
        let mode = number(&old.mode).ok_or_else(|| about("has a mode that is no number"))?;
        let seconds = number(&old.mtime).ok_or_else(|| about("has a time that is no number"))?;
        let time = records.time.unwrap_or(Time { seconds, nanoseconds: 0 });
        self.begin(size);
        let map = self.map(header, &records, &kind).map_err(|refusal| refusal.about(&name))?;
        let (stored, mode) = (self.content, (mode & 0o7777) as u32);
        Ok(Member { name, kind, mode, time, attributes: records.attributes, stored, map })
    }

    /// Where the holes of a sparse file are. Reads what stands of it before the content.
    fn map(&mut self, header: &Header, records: &Records, kind: &Kind) -> Result<Option<Map>, Refusal> {
        let old_style = header.as_old().linkflag[0] == b'S';
        let layout = records.sparse.layout(self.content).map_err(Refusal::new)?;
        match (old_style, layout) {
            (true, Layout::Dense) => self.old_map(header).map(Some),
            (false, Layout::Dense) => Ok(None),
            (false, Layout::Header(map)) if *kind == Kind::File => Ok(Some(map)),
            (false, Layout::Content(size)) if *kind == Kind::File => self.map_in_content(size).map(Some),
            _ => Err(Refusal::new("is sparse in two ways, or no file that could be")),
        }
    }

    fn old_map(&mut self, header: &Header) -> Result<Map, Refusal> {
        let wrong = || Refusal::new("has a map of its holes that makes no sense");
        let gnu = header.as_gnu().ok_or_else(|| Refusal::new("is sparse in a way that is not known here"))?;
        let field = |bytes: &[u8]| number(bytes).and_then(|number| u64::try_from(number).ok());
        let mut parts = old_parts(&gnu.sparse, field).ok_or_else(wrong)?;
        let mut more = gnu.isextended[0] != 0;
        let mut taken = 0;
        while more {
            taken += BLOCK as u64;
            if taken > LONGEST_HEADER {
                return Err(Refusal::new(format!("has a map of its holes of more than {LONGEST_HEADER} bytes")));
            }
            let block = self.block()?.ok_or_else(cut_off)?;
            let next = continuation(&block);
            parts.extend(old_parts(next.sparse(), field).ok_or_else(wrong)?);
            more = next.isextended[0] != 0;
        }
        let size = field(&gnu.realsize).ok_or_else(wrong)?;
        Map::new(size, parts, self.content).map_err(Refusal::new)
    }

    /// A count, then offsets and lengths in turn, each number on a line; filled up to whole blocks.
    fn map_in_content(&mut self, size: u64) -> Result<Map, Refusal> {
        let wrong = || Refusal::new("has a map of its holes that makes no sense");
        let mut text: Vec<u8> = Vec::new();
        let (mut numbers, mut parsed) = (Vec::new(), 0);
        loop {
            while let Some(end) = text[parsed..].iter().position(|byte| *byte == b'\n') {
                numbers.push(decimal(&text[parsed..parsed + end]).ok_or_else(wrong)?);
                parsed += end + 1;
                if numbers.len() as u64 == numbers[0].saturating_mul(2).saturating_add(1) {
                    let parts = numbers[1..].as_chunks::<2>().0.iter().map(|[offset, length]| (*offset, *length));
                    return Map::new(size, parts.collect(), self.content).map_err(Refusal::new);
                }
            }
            if text.len() as u64 >= LONGEST_HEADER {
                return Err(Refusal::new(format!("has a map of its holes of more than {LONGEST_HEADER} bytes")));
            }
            let mut block = [0; BLOCK];
            let mut filled = 0;
            while filled < BLOCK {
                match self.read(&mut block[filled..])? {
                    0 => return Err(wrong()),
                    count => filled += count,
                }
            }
            text.extend_from_slice(&block);
        }
    }

    /// From now on, `size` bytes of content.
    fn begin(&mut self, size: u64) {
        self.content = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    /// Goes behind the content of the member.
    fn pass_over(&mut self) -> Result<(), Refusal> {
        let mut waste = [0; 16 << 10];
        while self.read(&mut waste)? > 0 {}
        while self.padding > 0 {
            let wanted = self.padding as usize;
            match self.some(&mut waste[..wanted])? {
                // The end of the source comes once more where the next header is looked for.
                0 => self.padding = 0,
                count => self.padding -= count as u64,
            }
        }
        Ok(())
    }

    /// Reads what is behind the first block of zeros, which must be zeros too: a reader that goes on there would see
    /// other files than we do.
    fn end(&mut self) -> Result<(), Refusal> {
        let mut waste = [0; 16 << 10];
        let mut length = 0;
        loop {
            let count = self.some(&mut waste)?;
            length += count as u64;
            if count == 0 {
                return Ok(());
            } else if waste[..count].iter().any(|byte| *byte != 0) {
                return Err(Refusal::new("something stands behind the end of the archive"));
            } else if length > LONGEST_END {
                return Err(Refusal::new(format!("the archive has more than {LONGEST_END} zeros at its end")));
            }
        }
    }

    /// A block; none at the end of the source.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Refusal> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.some(&mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(cut_off()),
                count => filled += count,
            }
        }
        Ok(Some(block))
    }

    fn some(&mut self, out: &mut [u8]) -> Result<usize, Refusal> {
        loop {
            match self.source.read(out) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Refusal::unreadable(&error)),
            }
        }
    }
}

fn cut_off() -> Refusal {
    Refusal::new("the archive is cut off").again()
}
