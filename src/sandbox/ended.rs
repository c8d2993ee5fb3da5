//! How sandboxes without `--keep` ended: remembered for a while after their removal, for a `wait` that comes late.
//!
//! `ended/AT-ID` below the sandboxes' directory, AT in microseconds since 1970. Nothing of them is ever entered or started.

use super::place::is_name;
use super::{Entry, Run, Sandboxes};
use serde::{Deserialize, Serialize};
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// For how long an end is told.
const TOLD_FOR: Duration = Duration::from_secs(3600);
/// How many are told, the newest.
const MOST: usize = 256;

#[derive(Serialize, Deserialize)]
struct Told {
    name: String,
    run: Run,
}

impl Sandboxes {
    /// Keeps the end of a sandbox that is about to be removed. What cannot be written is not told later, which is what whoever
    /// asks then hears.
    pub(super) fn remember(&self, entry: &Entry, name: &str, run: &Run) {
        let told = Told { name: name.to_owned(), run: run.clone() };
        let place = self.ended();
        let draft = place.join(format!(".{}", entry.id));
        let Ok(text) = serde_json::to_vec(&told) else { return };
        let _ = fs::create_dir_all(&place);
        let written =
            fs::write(&draft, text).and_then(|()| fs::rename(&draft, place.join(file_name(since_1970(), &entry.id))));
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        self.forget();
    }

    /// How the last sandbox of that name or id ended, where that is still known.
    pub(super) fn remembered(&self, word: &str) -> Option<Run> {
        if !is_name(word) {
            return None;
        }
        let told = |file: &String| -> Option<(String, Told)> {
            let (_, id) = file.split_once('-')?;
            Some((id.to_owned(), serde_json::from_slice(&fs::read(self.ended().join(file)).ok()?).ok()?))
        };
        let mut found = self.ends().into_iter().rev().filter_map(|file| told(&file));
        found.find(|(id, told)| told.name == word || id == word).map(|(_, told)| told.run)
    }

    /// Removes what is told no longer.
    fn forget(&self) {
        let ends = self.ends();
        let old = |file: &String| {
            let at = file.split_once('-').and_then(|(at, _)| at.parse::<u64>().ok());
            at.is_none_or(|at| since_1970().saturating_sub(Duration::from_micros(at)) > TOLD_FOR)
        };
        let too_many = ends.len().saturating_sub(MOST);
        for (_, file) in ends.iter().enumerate().filter(|(index, file)| *index < too_many || old(file)) {
            let _ = fs::remove_file(self.ended().join(file));
        }
    }

    /// The files, oldest first.
    fn ends(&self) -> Vec<String> {
        let files = fs::read_dir(self.ended()).into_iter().flatten();
        let mut names: Vec<String> = files.filter_map(|file| file.ok()?.file_name().into_string().ok()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Of a width that sorts by time.
fn file_name(at: Duration, id: &str) -> String {
    format!("{:020}-{id}", at.as_micros())
}
