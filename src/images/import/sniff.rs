//! What an archive holds, told by its first entries: images, or a root file system.
//!
//! Archives of images begin with blobs, documents, or directories that are called by digests, and a root file system with
//! none of these. What is read to find out is kept, so that the whole can be read again from its beginning.

use super::unreadable;
use crate::error::{Error, Problem};
use crate::trees::codec::Decoder;
use crate::trees::unpack::Refusal;
use crate::trees::unpack::archive::{self, Archive, Member};
use crate::trees::unpack::names::{LONGEST_PATH, normalised};
use std::io::{self, Chain, Cursor, Read};

/// As much of a source as may be read before it is known.
const LONGEST_HEAD: u64 = 4 << 20;

/// What an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Images,
    Root,
}

/// A source that can be read from its beginning.
pub type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// What is in `source`, and all of it.
pub fn sniff<R: Read + Send>(mut source: R) -> Result<(Kind, Whole<R>), Error> {
    let mut head = Head { source: source.by_ref().take(LONGEST_HEAD), read: Vec::new(), failed: None };
    let kind = match Decoder::new(&mut head) {
        Ok(mut content) => look(&mut Archive::new(&mut content)),
        Err(error) => Err(Refusal::unreadable(&error)),
    };
    let Head { read, failed, .. } = head;
    if let Some(error) = failed {
        return Err(unreadable(&error));
    }
    // A whole head without an answer is a root file system of many directories, or what nobody can tell from one.
    let kind = match kind {
        Ok(kind) => kind,
        Err(_) if read.len() as u64 == LONGEST_HEAD => Kind::Root,
        Err(refusal) => return Err(none(refusal.to_string())),
    };
    Ok((kind, Cursor::new(read).chain(source)))
}

fn none(why: String) -> Error {
    let problem = Problem::new("archive", why);
    Error::invalid(vec![problem.hint(
        "what can be brought in is a tar archive, plain or packed with gzip, zstd or xz, or a directory with an OCI layout",
    )])
}

fn look(archive: &mut Archive<'_>) -> Result<Kind, Refusal> {
    let mut seen = false;
    while let Some(member) = archive.next()? {
        seen = true;
        if let Some(kind) = told_by(&member) {
            return Ok(kind);
        }
    }
    if seen { Ok(Kind::Images) } else { Err(Refusal::new("there is nothing in it")) }
}

/// `None`: directories that both may have.
fn told_by(member: &Member) -> Option<Kind> {
    // What is wrong with a name is said by whoever unpacks it.
    let Some(name) = normalised(&member.name, LONGEST_PATH).ok().and_then(|name| String::from_utf8(name).ok()) else {
        return Some(Kind::Root);
    };
    let parts: Vec<&str> = name.split('/').collect();
    let images = match (&member.kind, parts.as_slice()) {
        (archive::Kind::Directory, ["" | "blobs"] | ["blobs", _]) => return None,
        (archive::Kind::Directory, [name]) if is_hex(name) => return None,
        (archive::Kind::Directory, _) => false,
        (_, ["blobs", _, ..]) => true,
        (_, [directory, "VERSION" | "json" | "layer.tar"]) => is_hex(directory),
        (_, [file]) => is_part(file),
        _ => false,
    };
    Some(if images { Kind::Images } else { Kind::Root })
}

/// Files at the top of an archive of images.
fn is_part(file: &str) -> bool {
    let known = ["oci-layout", "index.json", "manifest.json", "repositories"];
    let endings = [".json", ".tar", ".tar.gz", ".tgz", ".tar.zst"];
    known.contains(&file)
        || endings.iter().any(|ending| file.ends_with(ending))
        || is_hex(file)
        || file.starts_with("sha256:")
}

fn is_hex(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Keeps what is read, and what the system refused.
struct Head<R> {
    source: R,
    read: Vec<u8>,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Head<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.source.read(buffer) {
            Ok(count) => {
                self.read.extend_from_slice(&buffer[..count]);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let told = io::Error::from(error.kind());
                self.failed.get_or_insert(error);
                Err(told)
            }
        }
    }
}
