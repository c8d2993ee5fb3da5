//! What unpacking an archive makes, as a list. The rules are those of `unpack`, which the tests of both and a fuzz target
//! hold together: what was unpacked is found equal.

use crate::trees::unpack::entry::{Entry, What};
use crate::trees::unpack::names::split;
use crate::trees::unpack::{OPAQUE, Refusal, escaped};
use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;

/// The files of a layer by their names.
pub struct Listing {
    names: HashMap<Vec<u8>, Name>,
    nodes: Vec<Node>,
}

struct Name {
    node: usize,
    /// It was found on disk.
    seen: bool,
}

/// One file, which may have several names.
pub struct Node {
    pub kind: Kind,
    /// None where any will do.
    pub mode: Option<u32>,
    pub attributes: BTreeMap<CString, Vec<u8>>,
    /// Device and inode of the first name that was found.
    inode: Option<(u64, u64)>,
    /// How many of its names were found.
    found: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    File {
        size: u64,
        digest: u64,
    },
    Directory {
        /// How many entries are in it.
        entries: u64,
    },
    Symlink(CString),
    Fifo,
    Whiteout,
}

impl Kind {
    pub fn is_directory(&self) -> bool {
        matches!(self, Kind::Directory { .. })
    }

    pub fn in_words(&self) -> &'static str {
        match self {
            Kind::File { .. } => "a file",
            Kind::Directory { .. } => "a directory",
            Kind::Symlink(_) => "a symbolic link",
            Kind::Fifo => "a fifo",
            Kind::Whiteout => "a whiteout",
        }
    }
}

/// The mode of directories that have no entry.
const UNNAMED: u32 = 0o755;
const ROOT: usize = 0;

impl Listing {
    /// Of an empty layer, whose root may have any mode.
    pub fn new() -> Listing {
        let root = Node::new(Kind::Directory { entries: 0 }, None);
        Listing { names: HashMap::new(), nodes: vec![root] }
    }

    /// One entry more, with size and digest of its content.
    pub fn add(&mut self, entry: Entry, (size, digest): (u64, u64)) -> Result<(), Refusal> {
        let Entry { path, what, mode, attributes, .. } = entry;
        match what {
            What::Directory => {
                let node = self.directory(&path)?;
                self.nodes[node].mode = Some(mode);
                self.nodes[node].attributes.extend(attributes);
                Ok(())
            }
            What::Opaque => {
                let node = self.way_to(&path)?;
                self.make_opaque(node);
                Ok(())
            }
            What::Whiteout => self.whiteout(path),
            What::Link(other) => self.link(path, &other),
            What::File(_) => {
                let mut node = Node::new(Kind::File { size, digest }, Some(mode));
                node.attributes.extend(attributes);
                self.put(path, node)
            }
            What::Fifo => self.put(path, Node::new(Kind::Fifo, Some(mode))),
            What::Symlink(target) => self.put(path, Node::new(Kind::Symlink(target), None)),
            What::Device | What::Bookkeeping => Ok(()),
        }
    }

    /// Takes out the whiteouts that have nothing to hide.
    pub fn tidy(&mut self) {
        let opaque =
            |listing: &Listing, path: &[u8]| listing.at(path).is_some_and(|node| node.attributes.contains_key(OPAQUE));
        let hidden = |path: &[u8]| {
            let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
            std::iter::once(0).chain(slashes).any(|end| opaque(self, &path[..end]))
        };
        let whiteouts = self.names.iter().filter(|(_, name)| self.nodes[name.node].kind == Kind::Whiteout);
        let gone: Vec<_> = whiteouts.map(|(path, _)| path).filter(|path| hidden(path)).cloned().collect();
        for path in gone {
            self.names.remove(&path);
        }
    }

    /// The file of that name, which is now found; none if there is no such name, or it was found before.
    pub fn see(&mut self, path: &[u8]) -> Option<usize> {
        let name = self.names.get_mut(path)?;
        name.seen = true;
        self.nodes[name.node].found += 1;
        Some(name.node)
    }

    /// The first name that was not found.
    pub fn unseen(&self) -> Option<&[u8]> {
        self.names.iter().filter(|(_, name)| !name.seen).map(|(path, _)| &path[..]).min()
    }

    pub fn node(&self, id: usize) -> &Node {
        &self.nodes[id]
    }

    pub fn root(&self) -> &Node {
        &self.nodes[ROOT]
    }

    pub fn at(&self, path: &[u8]) -> Option<&Node> {
        self.find(path).map(|id| &self.nodes[id])
    }

    /// The inode of the first of a file's names; `inode` if this is it.
    pub fn first_inode(&mut self, id: usize, inode: (u64, u64)) -> (u64, u64) {
        *self.nodes[id].inode.get_or_insert(inode)
    }

    /// Whether one name of the file was found, and no other yet.
    pub fn first_name(&self, id: usize) -> bool {
        self.nodes[id].found == 1
    }

    fn find(&self, path: &[u8]) -> Option<usize> {
        if path.is_empty() { Some(ROOT) } else { self.names.get(path).map(|name| name.node) }
    }

    /// The directory of that path, with all above it, made where they are not.
    fn way_to(&mut self, path: &[u8]) -> Result<usize, Refusal> {
        let ends = (1..=path.len()).filter(|at| *at == path.len() || path[*at] == b'/');
        let mut node = ROOT;
        for end in ends {
            let part = &path[..end];
            node = match self.find(part) {
                Some(there) if self.nodes[there].kind.is_directory() => there,
                Some(there) if self.nodes[there].kind != Kind::Whiteout => {
                    return Err(Refusal::new(format!("goes through `{}`, which is no directory", escaped(part))));
                }
                Some(_) | None => self.make_directory(part)?,
            };
        }
        Ok(node)
    }

    /// The directory of an entry.
    fn directory(&mut self, path: &[u8]) -> Result<usize, Refusal> {
        self.way_to(split(path).0)?;
        match self.find(path) {
            Some(there) if self.nodes[there].kind.is_directory() => Ok(there),
            Some(_) | None => self.make_directory(path),
        }
    }

    /// A new directory, in place of what is there; over a whiteout it hides what lower layers have.
    fn make_directory(&mut self, path: &[u8]) -> Result<usize, Refusal> {
        let hides = self.at(path).is_some_and(|node| node.kind == Kind::Whiteout);
        self.insert(path.to_vec(), Node::new(Kind::Directory { entries: 0 }, Some(UNNAMED)))?;
        let node = self.nodes.len() - 1;
        if hides {
            self.make_opaque(node);
        }
        Ok(node)
    }

    fn put(&mut self, path: Vec<u8>, node: Node) -> Result<(), Refusal> {
        self.way_to(split(&path).0)?;
        self.insert(path, node)
    }

    fn link(&mut self, path: Vec<u8>, other: &[u8]) -> Result<(), Refusal> {
        let there = self.find(other).filter(|id| {
            let kind = &self.nodes[*id].kind;
            !kind.is_directory() && *kind != Kind::Whiteout
        });
        let Some(there) = there else {
            return Err(Refusal::new(format!("is a hard link to `{}`, which is no file", escaped(other))));
        };
        if path != other {
            self.way_to(split(&path).0)?;
            self.name(path, there)?;
        }
        Ok(())
    }

    fn whiteout(&mut self, path: Vec<u8>) -> Result<(), Refusal> {
        self.way_to(split(&path).0)?;
        match self.find(&path) {
            None => self.insert(path, Node::new(Kind::Whiteout, None)),
            Some(there) => {
                if self.nodes[there].kind.is_directory() {
                    self.make_opaque(there);
                }
                Ok(())
            }
        }
    }

    fn make_opaque(&mut self, node: usize) {
        self.nodes[node].attributes.insert(OPAQUE.to_owned(), b"y".to_vec());
    }

    fn insert(&mut self, path: Vec<u8>, node: Node) -> Result<(), Refusal> {
        self.nodes.push(node);
        self.name(path, self.nodes.len() - 1)
    }

    /// Gives a file a name, in place of what had it before. Its directory is there.
    fn name(&mut self, path: Vec<u8>, node: usize) -> Result<(), Refusal> {
        let directory = self.find(split(&path).0).unwrap_or(ROOT);
        match self.names.insert(path, Name { node, seen: false }) {
            Some(before) if matches!(self.nodes[before.node].kind, Kind::Directory { entries: 1.. }) => {
                Err(Refusal::new("stands where the archive has made a directory that is not empty"))
            }
            Some(_) => Ok(()),
            None => {
                if let Kind::Directory { entries } = &mut self.nodes[directory].kind {
                    *entries += 1;
                }
                Ok(())
            }
        }
    }
}

impl Node {
    fn new(kind: Kind, mode: Option<u32>) -> Node {
        Node { kind, mode, attributes: BTreeMap::new(), inode: None, found: 0 }
    }
}
