//! Archives of images, read as they come: most have their index behind what it lists.
//!
//! So each entry is taken for what it looks like: a small document is kept in memory, a layer is unpacked out of sight. What
//! is not asked for afterwards was never in the store. An entry that is called by its digest has to have it. Links
//! between entries (as older Docker makes for layers that are alike) are followed by name, inside the archive only.

use super::super::digest::Digest;
use super::super::intake::{Expected, Intake, Staged};
use super::super::store::{self, LARGEST_DOCUMENT};
use super::{Parts, about, wrong, wrong_entry};
use crate::error::{self, Error, Failure, Problem};
use crate::trees::codec::Format;
use crate::trees::unpack::archive::{Archive, Kind, Member};
use crate::trees::unpack::names::{LONGEST_PATH, normalised};
use crate::trees::unpack::{Bounds, Refusal, escaped};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, Cursor, Read};

/// As many entries as an archive of images may have.
const MOST_ENTRIES: usize = 65_536;
/// What its documents may take together.
const MOST_DOCUMENTS: u64 = 64 << 20;
/// As much of an entry as tells what it is.
const START: u64 = 512;
/// Links that lead to links.
const MOST_LINKS: usize = 8;

/// What was in an archive.
pub struct Contents<'s, 'i> {
    intake: &'i Intake<'s>,
    entries: BTreeMap<String, Item<'s>>,
    documents: u64,
}

enum Item<'s> {
    Document(Vec<u8>),
    Layer(Box<Staged<'s>>),
    /// A blob that the store has already.
    Here(Expected),
    /// By the name of the other.
    Link(String),
    /// Nothing that can be used, which is said where it is asked for.
    Unfit(Error),
}

impl<'s, 'i> Contents<'s, 'i> {
    /// Reads all of `source`, an archive that is not packed itself.
    pub fn read(intake: &'i Intake<'s>, source: &mut (dyn Read + Send)) -> Result<Contents<'s, 'i>, Error> {
        let mut contents = Contents { intake, entries: BTreeMap::new(), documents: 0 };
        let mut archive = Archive::new(source);
        while let Some(member) = archive.next().map_err(refused)? {
            let name = name_of(&member.name)?;
            let item = match member.kind {
                Kind::Directory => continue,
                Kind::File => contents.file(&name, &member, &mut archive)?,
                Kind::Symlink(target) => Item::Link(beside(&name, &target)?),
                Kind::Link(target) => Item::Link(name_of(&target)?),
                Kind::Fifo | Kind::Device => {
                    return Err(wrong_entry(&name, "is neither a file nor a directory nor a link"));
                }
            };
            contents.insert(name, item)?;
        }
        if archive.is_unterminated() {
            return Err(wrong("it ends without its end mark: it was cut off"));
        }
        Ok(contents)
    }

    fn insert(&mut self, name: String, item: Item<'s>) -> Result<(), Error> {
        if self.entries.len() == MOST_ENTRIES {
            return Err(wrong(format!("it has more than {MOST_ENTRIES} entries")));
        }
        match self.entries.entry(name) {
            Entry::Vacant(free) => drop(free.insert(item)),
            // The content is the same, or would not have been taken.
            Entry::Occupied(mut known) if digest_of(known.key()).is_some() => {
                if matches!(known.get(), Item::Unfit(_)) {
                    known.insert(item);
                }
            }
            Entry::Occupied(known) => return Err(wrong_entry(known.key(), "is there twice")),
        }
        Ok(())
    }

    fn file(&mut self, name: &str, member: &Member, archive: &mut Archive<'_>) -> Result<Item<'s>, Error> {
        if member.map.is_some() {
            return Err(wrong_entry(name, "is a sparse file, which no archive of images has"));
        }
        let size = member.stored;
        let expected = digest_of(name).map(|digest| Expected { digest, size });
        // Smaller ones may be documents, which are wanted as they are here.
        if let Some(expected) = expected.filter(|expected| self.intake.store().has_blob(&expected.digest))
            && size > LARGEST_DOCUMENT
        {
            return Ok(Item::Here(expected));
        }
        let mut content = Content { archive, failed: None };
        let mut start = Vec::new();
        let read = content.by_ref().take(START).read_to_end(&mut start);
        if read.is_err() {
            return Err(content.failed.map_or_else(|| wrong_entry(name, "cannot be read"), refused));
        }
        let rest = Cursor::new(start.clone()).chain(content.by_ref());
        let item = if is_document(name, &start) {
            self.document(name, size, expected, rest)
        } else if size < START && Format::of(&start) == Format::Plain {
            Ok(Item::Unfit(wrong_entry(name, "is neither a document nor a layer")))
        } else {
            match self.intake.stage(rest, expected.as_ref(), &Bounds::default()) {
                Ok(staged) => Ok(Item::Layer(Box::new(staged))),
                // Not everything that is packed is a layer. Whoever wants this one hears of it.
                Err(error) if error.kind == error::Kind::Invalid => Ok(Item::Unfit(about(name, error))),
                Err(error) => Err(about(name, error)),
            }
        };
        // What is wrong with the whole archive is not this entry's fault.
        match content.failed {
            Some(refusal) => Err(refused(refusal)),
            None => item,
        }
    }

    fn document(
        &mut self,
        name: &str,
        size: u64,
        expected: Option<Expected>,
        mut content: impl Read,
    ) -> Result<Item<'s>, Error> {
        if size > LARGEST_DOCUMENT {
            let why = format!("is a document of {size} bytes; the largest may have {LARGEST_DOCUMENT}");
            return Ok(Item::Unfit(wrong_entry(name, why)));
        }
        self.documents += size;
        if self.documents > MOST_DOCUMENTS {
            return Err(wrong_entry(name, format!("with it there are more than {MOST_DOCUMENTS} bytes of documents")));
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|error| wrong_entry(name, error))?;
        match expected {
            Some(expected) if Digest::of(&bytes) != expected.digest => {
                Ok(Item::Unfit(wrong_entry(name, format!("its content is {}", Digest::of(&bytes)))))
            }
            _ => Ok(Item::Document(bytes)),
        }
    }
}

impl<'s> Parts<'s> for Contents<'s, '_> {
    fn resolve(&self, name: &str) -> Result<String, Error> {
        let mut at = name_of(name.as_bytes())?;
        for _ in 0..=MOST_LINKS {
            match self.entries.get(&at) {
                Some(Item::Link(next)) => at.clone_from(next),
                _ => return Ok(at),
            }
        }
        Err(wrong_entry(name, "is a link that leads to links without end"))
    }

    fn document(&mut self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        match self.entries.get(&self.resolve(name)?) {
            None => Ok(None),
            Some(Item::Document(bytes)) => Ok(Some(bytes.clone())),
            Some(Item::Unfit(error)) => Err(error.clone()),
            Some(Item::Layer(_) | Item::Here(_) | Item::Link(_)) => Err(wrong_entry(name, "is no document")),
        }
    }

    fn layer(&mut self, name: &str, expected: Option<&Expected>) -> Result<Option<Staged<'s>>, Error> {
        let staged = match self.entries.remove(name) {
            None => return Ok(None),
            Some(Item::Layer(staged)) => *staged,
            Some(Item::Here(here)) => {
                let content = self.intake.store().content(&here.digest);
                let content =
                    content.map_err(|error| store::refused(format!("read the blob {}", here.digest), &error))?;
                self.intake.stage(content, Some(&here), &Bounds::default())?
            }
            Some(Item::Unfit(error)) => return Err(error),
            Some(Item::Document(_) | Item::Link(_)) => return Err(wrong_entry(name, "is no layer")),
        };
        let layer = staged.layer();
        match expected {
            Some(expected) if layer.blob != expected.digest => {
                Err(wrong_entry(name, format!("its content is {}", layer.blob)))
            }
            Some(expected) if layer.size != expected.size => {
                Err(wrong_entry(name, format!("has {} bytes, {} were announced", layer.size, expected.size)))
            }
            _ => Ok(Some(staged)),
        }
    }
}

/// JSON, or what has to be. A tar archive may begin with any letter, but says what it is.
fn is_document(name: &str, start: &[u8]) -> bool {
    let known = ["index.json", "manifest.json", "oci-layout", "repositories"];
    let json = matches!(start.trim_ascii_start().first(), Some(b'{' | b'['));
    let tar = start.get(257..262) == Some(b"ustar");
    known.contains(&name) || json && !tar && Format::of(start) == Format::Plain
}

/// The digest that an entry is called by.
fn digest_of(name: &str) -> Option<Digest> {
    Digest::from_hex(name.strip_prefix("blobs/sha256/")?)
}

/// A name in one form only, and of letters.
fn name_of(name: &[u8]) -> Result<String, Error> {
    let name = normalised(name, LONGEST_PATH).map_err(|why| wrong(format!("entry `{}`: {why}", escaped(name))))?;
    String::from_utf8(name).map_err(|error| wrong(format!("entry `{}`: is no text", escaped(error.as_bytes()))))
}

/// What a symbolic link at `name` leads to, which has to be in the archive.
fn beside(name: &str, target: &[u8]) -> Result<String, Error> {
    let out = || wrong_entry(name, format!("links to `{}`, which leads out of the archive", escaped(target)));
    let word = str::from_utf8(target).ok().filter(|word| !word.starts_with('/')).ok_or_else(out)?;
    let mut path: Vec<&str> = name.split('/').collect();
    path.pop();
    for part in word.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(path.pop().ok_or_else(out)?),
            part => path.push(part),
        }
    }
    Ok(path.join("/"))
}

fn refused(refusal: Refusal) -> Error {
    match refusal.io {
        Some(errno) => Error::from(Failure { step: None, attempt: refusal.why, errno, hint: refusal.hint }),
        None => {
            let problem = Problem::new("archive", refusal.to_string());
            Error::invalid(vec![Problem { hint: refusal.hint, ..problem }])
        }
    }
}

/// The content of an entry, as a stream. What is wrong with the archive is kept, for the words.
struct Content<'c, 'a> {
    archive: &'c mut Archive<'a>,
    failed: Option<Refusal>,
}

impl Read for Content<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.archive.read(buffer).map_err(|refusal| {
            let error = io::Error::new(io::ErrorKind::InvalidData, refusal.to_string());
            self.failed.get_or_insert(refusal);
            error
        })
    }
}
