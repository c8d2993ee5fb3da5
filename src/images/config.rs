//! What of an image's configuration bears on a sandbox.
//!
//! Names of users are looked up here, once, in the `/etc/passwd` of the image's own layers, and nowhere else: the files
//! are opened below the layers' trees, and no link of theirs is followed.

use super::digest::Digest;
use super::store::Store;
use crate::error::{Error, Problem};
use crate::host::image::Config;
use crate::sys::directory::open_within;
use nix::fcntl::{OFlag, ResolveFlag};
use oci_spec::image::ImageConfiguration;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The largest `/etc/passwd` that is read.
const LARGEST: u64 = 256 << 10;

/// From the configuration of an image whose layers (the lowest first) are in the store.
///
/// # Errors
///
/// `Invalid` for a user that the image does not know.
pub fn read(store: &Store, layers: &[Digest], configuration: &ImageConfiguration) -> Result<Config, Error> {
    let mut config = Config {
        passwd: text(store, layers, "etc/passwd"),
        group: text(store, layers, "etc/group"),
        ..Config::default()
    };
    let Some(of_image) = configuration.config() else { return Ok(config) };
    config.entrypoint = of_image.entrypoint().clone().unwrap_or_default();
    config.cmd = of_image.cmd().clone().unwrap_or_default();
    config.env = of_image.env().clone().unwrap_or_default();
    config.env.retain(|line| !line.contains('\0') && line.split_once('=').is_some_and(|(name, _)| !name.is_empty()));
    config.workdir = of_image.working_dir().clone().filter(|path| path.starts_with('/'));
    config.stop_signal = of_image.stop_signal().clone();
    if let Some(user) = of_image.user().as_deref().filter(|user| !user.is_empty()) {
        config.user = Some(ids(user, &config)?);
    }
    Ok(config)
}

/// What the tree of a bundle says by itself.
pub fn of_tree(tree: &Path, stop_signal: Option<String>) -> Config {
    let text = |path: &str| small(tree, path).unwrap_or_default();
    Config { passwd: text("etc/passwd"), group: text("etc/group"), stop_signal, ..Config::default() }
}

/// `UID`, `NAME`, `UID:GID`, `NAME:GROUP` and so on, as the specification has it.
fn ids(word: &str, config: &Config) -> Result<(u32, u32), Error> {
    let (user, group) = word.split_once(':').map_or((word, None), |(user, group)| (user, Some(group)));
    let line = |text: &str, name: &str| -> Option<Vec<String>> {
        text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>()).find(|fields| fields[0] == name)
    };
    let account = line(&config.passwd, user);
    let field = |fields: &Option<Vec<String>>, index: usize| fields.as_ref()?.get(index)?.parse().ok();
    let by_number = |uid: u32| {
        let known = config.passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        known
            .filter(|fields| fields.get(2).is_some_and(|id| id.parse() == Ok(uid)))
            .find_map(|fields| fields.get(3)?.parse().ok())
    };
    let uid = user.parse().ok().or_else(|| field(&account, 2));
    let gid = match group.filter(|group| !group.is_empty()) {
        Some(group) => group.parse().ok().or_else(|| field(&line(&config.group, group), 2)),
        None => uid.and_then(|uid| field(&account, 3).or_else(|| by_number(uid)).or(Some(uid))),
    };
    uid.zip(gid).ok_or_else(|| {
        let problem = Problem::new("image", format!("its user `{}` is not in its `/etc/passwd`", word.escape_debug()));
        Error::invalid(vec![problem.hint("give the image a user that it has, or one by number")])
    })
}

/// A small file of the image: that of the topmost layer that has one.
fn text(store: &Store, layers: &[Digest], path: &str) -> String {
    layers.iter().rev().find_map(|layer| small(&store.layer(layer), path)).unwrap_or_default()
}

/// `None` where the tree has no such regular file; what is no text is none.
fn small(tree: &Path, path: &str) -> Option<String> {
    let tree = File::open(tree).ok()?;
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
    let file = File::from(open_within(&tree, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK, resolve).ok()?);
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let config = Config {
            passwd: "root:x:0:0:root:/root:/bin/sh\napp:x:100:101:app:/app:/bin/sh\n".to_owned(),
            group: "root:x:0:\nstaff:x:50:\n".to_owned(),
            ..Config::default()
        };
        for (word, wanted) in [
            ("0", Some((0, 0))),
            ("app", Some((100, 101))),
            ("100", Some((100, 101))),
            ("7", Some((7, 7))),
            ("app:staff", Some((100, 50))),
            ("7:8", Some((7, 8))),
            ("nobody", None),
            ("app:nogroup", None),
            ("-1", None),
        ] {
            assert_eq!(ids(word, &config).ok(), wanted, "{word}");
        }
    }
}
