//! A recipe and the files beside it, read into memory.

use crate::error::{Error, Problem, describe_io};
use crate::images::recipe::{Content, FILE, Recipe, parse};
use crate::spec::MAX_FILE;
use crate::sys::directory::open_within;
use nix::fcntl::{OFlag, ResolveFlag};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The largest file beside a recipe, in bytes. What is larger is data, and data is mounted.
const LARGEST: u64 = 64 << 20;

/// A recipe, and the bytes of its files.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The recipe.
    pub recipe: Recipe,
    /// What is in each of `recipe.files`.
    pub files: Vec<Vec<u8>>,
    /// The keys, where the recipe names a file with them.
    pub keyring: Option<Vec<u8>>,
}

/// The recipes that belljar brings, by name. They have no files beside them.
const OURS: [(&str, &str); 4] = [
    ("python", include_str!("../../rootfs/python/recipe.toml")),
    ("node", include_str!("../../rootfs/node/recipe.toml")),
    ("shell", include_str!("../../rootfs/shell/recipe.toml")),
    ("git", include_str!("../../rootfs/git/recipe.toml")),
];

impl Draft {
    /// The recipe of ours that is called `name`.
    pub fn ours(name: &str) -> Option<Draft> {
        let (_, text) = OURS.iter().find(|(ours, _)| *ours == name)?;
        // A test reads each of them.
        Some(Draft { recipe: parse(text).ok()?, files: Vec::new(), keyring: None })
    }

    /// Reads the recipe in the directory `path`.
    ///
    /// # Errors
    ///
    /// `Invalid` with everything that is wrong with it, and with every file that cannot be read.
    pub fn read(path: &Path) -> Result<Draft, Error> {
        let directory = File::open(path)
            .and_then(|found| {
                if found.metadata()?.is_dir() { Ok(found) } else { Err(io::Error::from_raw_os_error(libc::ENOTDIR)) }
            })
            .map_err(|error| {
                let problem = Problem::new("recipe", format!("`{}`: {}", path.display(), describe_io(&error)));
                let ours = OURS.map(|(name, _)| format!("`{name}`")).join(", ");
                let cure =
                    format!("name the directory that holds the recipe's `{FILE}`, or one of belljar's own: {ours}");
                Error::invalid(vec![problem.hint(cure)])
            })?;
        let shown = path.join(FILE);
        let of_recipe = |message: String| Problem::new("recipe", format!("`{}`: {message}", shown.display()));
        let text = beside(&directory, Path::new(FILE), MAX_FILE as u64)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| io::Error::other("is not UTF-8")))
            .map_err(|error| Error::invalid(vec![of_recipe(describe_io(&error))]))?;
        let recipe = parse(&text).map_err(|faults| {
            Error::invalid(
                faults
                    .into_iter()
                    .map(|fault| Problem { hint: fault.hint.clone(), ..of_recipe(fault.to_string()) })
                    .collect(),
            )
        })?;
        let mut problems = Vec::new();
        let mut read = |field: String, path: &Path| {
            let found =
                if path.is_absolute() { read(File::open(path), LARGEST) } else { beside(&directory, path, LARGEST) };
            found.unwrap_or_else(|error| {
                problems.push(of_recipe(format!("{field}: `{}`: {}", path.display(), describe_io(&error))));
                Vec::new()
            })
        };
        let keyring = recipe.base.keyring.as_ref().map(|path| read("base.keyring".to_owned(), path));
        let files = recipe.files.iter().enumerate().map(|(index, file)| match &file.content {
            Content::Text(text) => text.clone().into_bytes(),
            Content::Source(path) => read(format!("file[{index}].source"), path),
        });
        let files = files.collect();
        if problems.is_empty() { Ok(Draft { recipe, files, keyring }) } else { Err(Error::invalid(problems)) }
    }
}

/// A file below `directory`, whatever links lie there.
fn beside(directory: &File, path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    match open_within(directory, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK, resolve) {
        Ok(found) => read(Ok(File::from(found)), most),
        Err(nix::errno::Errno::EXDEV) => Err(io::Error::other("leads out of the recipe's directory")),
        Err(errno) => Err(errno.into()),
    }
}

fn read(file: io::Result<File>, most: u64) -> io::Result<Vec<u8>> {
    let file = file?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(io::Error::other(format!("more than {most} bytes"))) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recipe_of_ours_can_be_read_and_is_called_as_it_says() {
        for (name, text) in OURS {
            let recipe = parse(text).unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
            assert_eq!((recipe.name.as_deref(), recipe.files.len()), (Some(name), 0));
            assert!(Draft::ours(name).is_some());
        }
        assert_eq!(Draft::ours("perl"), None);
    }
}
