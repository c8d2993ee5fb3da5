//! Layers of every kind, most of them hostile. Each is unpacked beside files that nobody may touch, and those are compared
//! before and after.

mod attributes;
mod bounds;
pub mod craft;
mod headers;
mod links;
mod names;
mod overlay;
mod replacing;
mod sparse;

mod whiteouts;

use super::*;
use crate::trees::tree;
use craft::Tar;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A directory to unpack into, beside what is not to be touched.
pub struct Scratch {
    outer: PathBuf,
    before: Vec<String>,
}

impl Scratch {
    pub fn new() -> Scratch {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let outer = std::env::temp_dir().join(format!("belljar-unpack-{}-{number}", std::process::id()));
        for directory in ["into", "victim"] {
            fs::create_dir_all(outer.join(directory)).expect("make a directory");
        }
        fs::write(outer.join("victim/file"), "untouched").expect("write a file");
        fs::set_permissions(outer.join("victim/file"), Permissions::from_mode(0o640)).expect("set a mode");
        let mut scratch = Scratch { outer, before: Vec::new() };
        scratch.before = scratch.outside();
        scratch
    }

    pub fn layer(&self) -> PathBuf {
        self.outer.join("into")
    }

    pub fn open(&self) -> OwnedFd {
        File::open(self.layer()).expect("open the directory").into()
    }

    /// All that is beside the layer, with times.
    fn outside(&self) -> Vec<String> {
        let mut found = lines(&self.outer.join("victim"), Path::new(""));
        found.push(names(&self.outer).join(" "));
        for path in ["", "victim", "victim/file"] {
            let found_now = fs::symlink_metadata(self.outer.join(path)).expect("it is there");
            found.push(format!("{path} {:o} {} {}", found_now.mode(), found_now.mtime(), found_now.nlink()));
        }
        found
    }

    pub fn unpack(&self, tar: &[u8], bounds: &Bounds) -> Result<Summary, Refusal> {
        let answer = unpack(&mut &tar[..], self.open().as_fd(), None, bounds);
        assert_eq!(self.outside(), self.before, "something outside was touched");
        answer
    }

    fn lines(&self) -> Vec<String> {
        lines(&self.layer(), Path::new(""))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let parent = File::open(self.outer.parent().expect("below something")).expect("open the directory");
        tree::remove(parent.as_fd(), self.outer.file_name().expect("a name")).expect("remove the tree");
    }
}

/// What became of an archive: what was unpacked, a line each.
fn unpacked(tar: Tar) -> Vec<String> {
    let scratch = Scratch::new();
    scratch.unpack(&tar.end(), &Bounds::default()).unwrap_or_else(|refusal| panic!("refused: {refusal}"));
    scratch.lines()
}

/// Why an archive is refused.
fn refused(tar: Tar) -> String {
    refused_bytes(&tar.end())
}

fn refused_bytes(tar: &[u8]) -> String {
    let scratch = Scratch::new();
    match scratch.unpack(tar, &Bounds::default()) {
        Ok(_) => panic!("unpacked: {:#?}", scratch.lines()),
        Err(refusal) => refusal.to_string(),
    }
}

/// The entries below `directory`, each as one line: type, mode, path, and what it is.
fn lines(directory: &Path, path: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for name in names(&directory.join(path)) {
        let path = path.join(OsStr::from_bytes(name.as_bytes()));
        let full = directory.join(&path);
        let found = fs::symlink_metadata(&full).expect("it is there");
        let (kind, mode) = (found.file_type(), found.mode() & 0o7777);
        let shown = escaped(path.as_os_str().as_bytes());
        if kind.is_dir() {
            let opaque = attribute(&full, "user.overlay.opaque").map_or("", |_| " opaque");
            all.push(format!("d {mode:o} {shown}{opaque}"));
            all.extend(lines(directory, &path));
        } else if kind.is_symlink() {
            let target = fs::read_link(&full).expect("a link");
            all.push(format!("l {shown} -> {}", escaped(target.as_os_str().as_bytes())));
        } else if kind.is_char_device() {
            all.push(format!("w {shown} {}", found.rdev()));
        } else if kind.is_fifo() {
            all.push(format!("p {mode:o} {shown}"));
        } else {
            let content = fs::read(&full).unwrap_or_default();
            let links = if found.nlink() > 1 { format!(" ({} names)", found.nlink()) } else { String::new() };
            all.push(format!("f {mode:o} {shown}: {}{links}", escaped(&content)));
        }
    }
    all
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().unwrap_or_default()).collect();
    names.sort();
    names
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = [0; 256];
    let name = std::ffi::CString::new(name).expect("no NUL");
    let length = crate::sys::xattr::get(File::open(path).expect("open it").as_fd(), &name, &mut value).ok()?;
    Some(value[..length].to_vec())
}
