//! What changes in a project between two questions, by looking at it: servers are told as an editor would tell them.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Files that are looked at; of a project with more the rest is the server's own to watch.
const MOST: usize = 20_000;
/// Directories in which nothing is looked at: they hold what others made, and are large.
const LEFT_OUT: [&str; 8] = [".git", ".hg", "node_modules", "__pycache__", ".venv", "venv", "target", ".mypy_cache"];
/// What settings of tools end with, beside the language's own files.
const SETTINGS: [&str; 6] = ["json", "toml", "cfg", "ini", "txt", "mod"];

/// By which a change of a file is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: (i64, i64),
    changed: (i64, i64),
    size: u64,
    inode: u64,
}

impl Stamp {
    /// Of a file.
    pub fn of(found: &Metadata) -> Stamp {
        Stamp {
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
            size: found.len(),
            inode: found.ino(),
        }
    }
}

/// What became of a file; the number is the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Created = 1,
    /// It is another.
    Changed = 2,
    /// It is gone.
    Removed = 3,
}

/// The files of a project as they were seen last.
#[derive(Default)]
pub struct Files {
    seen: Option<BTreeMap<PathBuf, Stamp>>,
}

impl Files {
    /// One whose name ends like that.
    pub fn first(&self, extensions: &[String]) -> Option<PathBuf> {
        let has_end = |path: &&PathBuf| {
            let end = path.extension().and_then(|end| end.to_str());
            end.is_some_and(|end| extensions.iter().any(|one| one == end))
        };
        self.seen.iter().flat_map(BTreeMap::keys).find(has_end).cloned()
    }

    /// Looks again; what has changed since. The first time nothing has.
    pub fn look(&mut self, project: &Path, extensions: &[String]) -> Vec<(PathBuf, Change)> {
        let mut now = BTreeMap::new();
        let mut waiting = vec![project.to_owned()];
        while let Some(directory) = waiting.pop() {
            // Whatever cannot be looked at is nothing that a server sees either.
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                let name = entry.file_name();
                if kind.is_dir() && !LEFT_OUT.iter().any(|left_out| name == *left_out) {
                    waiting.push(entry.path());
                } else if kind.is_file() && is_of_interest(Path::new(&name), extensions) {
                    now.extend(entry.metadata().ok().map(|found| (entry.path(), Stamp::of(&found))));
                }
            }
            if now.len() + waiting.len() > MOST {
                break;
            }
        }
        let Some(before) = self.seen.replace(now) else { return Vec::new() };
        let now = self.seen.as_ref().into_iter().flatten();
        let mut changes = Vec::new();
        for (path, stamp) in now {
            match before.get(path) {
                None => changes.push((path.clone(), Change::Created)),
                Some(old) if old != stamp => changes.push((path.clone(), Change::Changed)),
                Some(_) => {}
            }
        }
        let seen = self.seen.as_ref();
        let gone = before.into_keys().filter(|path| seen.is_none_or(|seen| !seen.contains_key(path)));
        changes.extend(gone.map(|path| (path, Change::Removed)));
        changes
    }
}

fn is_of_interest(name: &Path, extensions: &[String]) -> bool {
    let end = name.extension().and_then(|end| end.to_str()).unwrap_or_default();
    // A language of which nothing is known may have files of any name.
    extensions.is_empty() || extensions.iter().any(|one| one == end) || SETTINGS.contains(&end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_changed_and_removed_is_seen_and_nothing_else() {
        let place = std::env::temp_dir().join(format!("belljar-files-{}", std::process::id()));
        fs::create_dir_all(place.join("node_modules")).unwrap();
        let write = |name: &str, text: &str| fs::write(place.join(name), text).unwrap();
        for name in ["a.py", "b.py", "c.py", "x.png", "node_modules/d.py"] {
            write(name, "1");
        }
        let (mut files, python) = (Files::default(), ["py".to_owned()]);
        assert_eq!(files.look(&place, &python), []);
        assert_eq!(files.look(&place, &python), []);
        for (name, text) in [("a.py", "22"), ("d.py", "1"), ("x.png", "22"), ("node_modules/d.py", "22")] {
            write(name, text);
        }
        fs::remove_file(place.join("b.py")).unwrap();
        let of = |name: &str, change| (place.join(name), change);
        let expected = [of("a.py", Change::Changed), of("d.py", Change::Created), of("b.py", Change::Removed)];
        assert_eq!(files.look(&place, &python), expected);
        fs::remove_dir_all(place).unwrap();
    }
}
