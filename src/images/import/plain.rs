//! A plain archive of a root file system: one layer, and a configuration that is made here.
//!
//! It says nothing that is not in the archive, so that the same archive gives the same image everywhere: the platform, a
//! search path, and the shell that is there, as the command where none is given.

use super::super::intake::{Intake, Staged};
use super::super::manifest::architecture;
use super::super::reference::Reference;
use super::super::store::{may_name, refused};
use super::names::{Wish, by_file};
use super::{Imported, docker};
use crate::error::{Error, Problem};
use crate::sys::directory::open_within;
use crate::trees::unpack::Bounds;
use nix::fcntl::{OFlag, ResolveFlag};
use nix::sys::stat::{SFlag, fstat};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SHELLS: &[&str] = &["bin/bash", "bin/sh"];
/// What an archive of images has.
const LISTS: &[&str] = &["oci-layout", "index.json", "manifest.json"];
/// What a root file system has, one or the other.
const OF_ROOTS: &[&str] = &["bin", "etc", "lib", "sbin", "usr"];

/// Brings it in. `stream` as it came, packed or not.
pub fn import(intake: &Intake<'_>, stream: impl Read + Send, wish: &Wish<'_>) -> Result<Vec<Imported>, Error> {
    let name = match wish.name {
        Some(name) => name.clone(),
        None => by_file(wish)?,
    };
    may_name(&name)?;
    let staged = intake.stage(stream, None, &Bounds::default())?;
    staged.check_end()?;
    let tree = Tree::open(&staged.tree())?;
    if let Some(directory) = tree.images() {
        return Err(misplaced(&directory));
    }
    let mut settings = json!({ "Env": [PATH] });
    if let Some(shell) = SHELLS.iter().find(|shell| tree.has(shell)) {
        settings["Cmd"] = json!([format!("/{shell}")]);
    }
    Ok(vec![finish(intake, staged, name, json!({ "config": settings }))?])
}

/// Brings in a root file system that comes with a configuration: `config`, `created` and the like, but for the platform
/// and the layer.
///
/// # Errors
///
/// As for [`import`](super::import).
pub fn with_configuration(
    intake: &Intake<'_>,
    stream: impl Read + Send,
    name: Reference,
    configuration: Value,
) -> Result<Imported, Error> {
    may_name(&name)?;
    let staged = intake.stage(stream, None, &Bounds::default())?;
    finish(intake, staged, name, configuration)
}

fn finish(intake: &Intake<'_>, staged: Staged<'_>, name: Reference, mut config: Value) -> Result<Imported, Error> {
    config["architecture"] = json!(architecture());
    config["os"] = json!("linux");
    config["rootfs"] = json!({ "type": "layers", "diff_ids": [staged.layer().diff_id] });
    let config = config.to_string().into_bytes();
    let layers = [staged.place()?];
    let manifest = intake.image(&docker::manifest(&config, &layers), &config, &layers)?;
    intake.store().name(&name, &manifest)?;
    Ok(Imported { manifest, names: vec![name] })
}

/// An archive of images that was taken for a root file system: made one directory too high, or in an order that nobody
/// else uses.
fn misplaced(directory: &str) -> Error {
    let why = match directory {
        "" => "it holds images, but begins with something else".to_owned(),
        directory => format!("the images in it lie in the directory `{}`", directory.escape_debug()),
    };
    let problem = Problem::new("archive", why);
    Error::invalid(vec![
        problem.hint("unpack it, and import the directory that has the `index.json` or `manifest.json`"),
    ])
}

/// The tree of a layer, looked at as from inside it.
struct Tree {
    root: File,
    top: Vec<String>,
}

impl Tree {
    fn open(path: &Path) -> Result<Tree, Error> {
        let read = || {
            let names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            Ok(Tree { root: File::open(path)?, top: names.collect::<io::Result<_>>()? })
        };
        read().map_err(|error: io::Error| refused(format!("read `{}`", path.display()), &error))
    }

    /// Whether a regular file is there, links followed as inside.
    fn has(&self, name: &str) -> bool {
        let found = open_within(&self.root, name, OFlag::O_PATH, ResolveFlag::RESOLVE_IN_ROOT).and_then(fstat);
        found.is_ok_and(|found| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG)
    }

    /// The directory, at the top or one below, that holds images instead of a root file system.
    fn images(&self) -> Option<String> {
        let below = |directory: &str| LISTS.iter().any(|list| self.has(&format!("{directory}{list}")));
        if self.top.iter().any(|name| OF_ROOTS.contains(&name.as_str())) {
            return None;
        }
        match self.top.as_slice() {
            _ if below("") => Some(String::new()),
            [only] if below(&format!("{only}/")) => Some(only.clone()),
            _ => None,
        }
    }
}
