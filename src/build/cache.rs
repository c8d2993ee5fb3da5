//! Package cache: one directory of files, under apt's names for them.
//!
//! What lies there is trusted for nothing: a build takes a package only where its hash is the one of the signed lists. Any
//! number of builds may use it at once.

use super::refused;
use crate::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What nobody has fetched for so long goes: a release of Debian gets a new point every two months.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// Moves the packages in `fetched` to `cache`, and removes from there what is old.
pub fn keep(fetched: &Path, cache: &Path) -> Result<(), Error> {
    let kept = move_all(fetched, cache).and_then(|()| forget_old(cache));
    kept.map_err(|error| refused("keep packages in", &format!("`{}`", cache.display()), &error))
}

fn move_all(fetched: &Path, cache: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(fetched) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        // What packages brought could write there too, links as well.
        if !entry.file_type()?.is_file() || !name.to_string_lossy().ends_with(".deb") {
            continue;
        }
        // None is seen before it is whole.
        let part = cache.join(format!(".{}.{}", std::process::id(), name.to_string_lossy()));
        let moved = fs::copy(entry.path(), &part).and_then(|_| fs::rename(&part, cache.join(&name)));
        if moved.is_err() {
            let _ = fs::remove_file(&part);
        }
        moved?;
    }
    Ok(())
}

fn forget_old(cache: &Path) -> io::Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        let changed = entry.metadata().and_then(|found| found.modified());
        let age = changed.ok().and_then(|time| SystemTime::now().duration_since(time).ok());
        if age.is_some_and(|age| age > KEPT) {
            // Another build may have been quicker.
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
