//! The skeleton: directories, links, small files and mount points of the root.
//!
//! On the `host` image it is the root itself. On any other it is the overlay's upper layer, where whatever has the same
//! name in a layer below is hidden: a link there, whoever made it, leads nowhere.

use crate::spec::User;
use crate::step::{Step, c_string};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::path::Path;

/// The file system of the scaffold that becomes read-only as a whole: what masks and views are made of.
pub const SEALED: &str = "sealed";

/// The upper layer of an image's overlay.
pub const UPPER: &str = "upper";

/// What is made on the scaffold, and what is then mounted on it, each in order.
#[derive(Debug, Default)]
pub struct Skeleton {
    /// Below an overlay, not the root itself.
    upper: bool,
    /// Makes directories, links and files.
    pub make: Vec<Step>,
    /// Shows trees of the host.
    pub show: Vec<Step>,
    /// Mounts that the spec asks for; after the image's own, so that they win.
    pub mounts: Vec<Step>,
    made: BTreeSet<String>,
    made_sealed: BTreeSet<String>,
    bound: Vec<String>,
}

/// A path below the root, as mounts resolve it.
pub fn relative(path: &Path) -> CString {
    c_string(path.strip_prefix("/").unwrap_or(path).as_os_str().as_encoded_bytes())
}

impl Skeleton {
    /// Nothing yet, with room for what most plans make: a list that has to grow is copied.
    pub fn new() -> Skeleton {
        Skeleton { make: Vec::with_capacity(128), ..Skeleton::default() }
    }

    /// The same for the upper layer of an overlay.
    pub fn upper() -> Skeleton {
        Skeleton { upper: true, ..Skeleton::new() }
    }

    /// Where on the scaffold a path of the root is made. `/dev` is no part of an overlay: it is mounted as a whole.
    pub fn place_of(&self, path: &str) -> String {
        match path.strip_prefix("dev") {
            Some(rest) if self.upper && (rest.is_empty() || rest.starts_with('/')) => format!("devices{rest}"),
            _ if self.upper => format!("{UPPER}/{path}"),
            _ => format!("root/{path}"),
        }
    }

    /// A directory of the scaffold itself.
    pub fn scaffold_directory(&mut self, name: &str, mode: u32) {
        self.make.push(Step::Directory { path: c_string(name), mode });
    }

    /// A directory of the sealed one, with its parents.
    pub fn sealed_directory(&mut self, path: &str) {
        let mut directory = String::from(SEALED);
        for name in path.split('/') {
            directory = format!("{directory}/{name}");
            if self.made_sealed.insert(directory.clone()) {
                self.scaffold_directory(&directory, 0o755);
            }
        }
    }

    /// A file of the sealed directory, which nobody changes.
    pub fn sealed_file(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.sealed_directory(parent);
        }
        let path = c_string(format!("{SEALED}/{path}"));
        self.make.push(Step::File { path, mode: 0o444, content: content.into() });
    }

    /// A symbolic link of the sealed directory.
    pub fn sealed_link(&mut self, target: &str, path: &str) {
        self.make.push(Step::Link { target: c_string(target), path: c_string(format!("{SEALED}/{path}")) });
    }

    /// A file of the scaffold itself, to mount something on.
    pub fn scaffold_file(&mut self, name: &str) {
        self.make.push(Step::EmptyFile { path: c_string(name) });
    }

    /// A directory of the root with its parents; made once, whoever asks first.
    pub fn directory(&mut self, path: &str, mode: u32) {
        let path = path.trim_matches('/');
        if path.is_empty() || self.made.contains(path) {
            return;
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent, 0o755);
        }
        self.made.insert(path.to_owned());
        self.make.push(Step::Directory { path: c_string(self.place_of(path)), mode });
    }

    /// A symbolic link of the root.
    pub fn link(&mut self, target: &str, path: &str) {
        if self.made.insert(path.to_owned()) {
            self.make.push(Step::Link { target: c_string(target), path: c_string(self.place_of(path)) });
        }
    }

    /// A file of the root, to mount something on.
    pub fn empty_file(&mut self, path: &str) {
        if self.made.insert(path.to_owned()) {
            self.make.push(Step::EmptyFile { path: c_string(self.place_of(path)) });
        }
    }

    /// A small file of the root.
    pub fn file(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        if self.made.insert(path.to_owned()) {
            let path = c_string(self.place_of(path));
            self.make.push(Step::File { path, mode: 0o644, content: content.into() });
        }
    }

    /// A tree of the host at a mount point that was made before.
    pub fn show(&mut self, source: &str, target: &str) {
        self.bound.push(target.to_owned());
        self.show.push(Step::Show { source: c_string(source), target: c_string(format!("root/{target}")) });
    }

    /// Whether `path` lies in a tree of the host that is shown as it is, where nothing can be made.
    fn is_bound(&self, path: &str) -> bool {
        self.bound.iter().any(|bound| Path::new(path).starts_with(bound))
    }

    /// A directory that the spec wants to exist, unless the host's tree has to have it.
    pub fn place(&mut self, path: &str) {
        let path = path.trim_matches('/').to_owned();
        if !self.is_bound(&path) {
            self.directory(&path, 0o755);
        }
    }

    /// A mount point that the spec wants.
    pub fn mount_point(&mut self, path: &str, is_directory: bool) {
        let path = path.trim_matches('/').to_owned();
        if self.is_bound(&path) {
            // The host's tree must have it: nothing can be made there, and the mount says so if it does not.
            return;
        }
        if is_directory {
            self.directory(&path, 0o755);
        } else {
            if let Some((parent, _)) = path.rsplit_once('/') {
                self.directory(parent, 0o755);
            }
            self.empty_file(&path);
        }
    }

    /// Gives what pid 1 has made with another id to its owner; `homes`, the user's own directories, to that user.
    pub fn own(&mut self, owner: Option<User>, user: Option<User>, homes: &[String]) {
        let homes: Vec<String> = homes.iter().map(|home| self.place_of(home)).collect();
        let given: Vec<Step> = self
            .make
            .iter()
            .filter_map(|step| {
                let (Step::Directory { path, .. } | Step::File { path, .. }) = step else { return None };
                let is_home = homes.iter().any(|home| home.as_bytes() == path.as_bytes());
                let User { uid, gid } = if is_home { user } else { owner }?;
                let sealed = path.as_bytes().starts_with(SEALED.as_bytes());
                (!sealed).then(|| Step::Own { path: path.clone(), uid, gid })
            })
            .collect();
        self.make.extend(given);
    }
}
