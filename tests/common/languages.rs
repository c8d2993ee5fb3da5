//! The images of the recipes, for tests that need real ones. Built once for each user, which takes minutes and the
//! distribution's mirror, and kept in the user's cache.

use super::{available, command};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::path::PathBuf;

/// Where they are kept.
pub fn home() -> PathBuf {
    let named = std::env::var_os("BELLJAR_TEST_IMAGES").map(PathBuf::from);
    named.unwrap_or_else(|| {
        let home = std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
        home.join(".cache/belljar-test-images")
    })
}

/// Builds the image of a recipe unless it is there; whether it is.
pub fn built(name: &str) -> bool {
    let home = home();
    fs::create_dir_all(&home).expect("make a directory for images");
    // One at a time: they would fetch the same packages.
    let lock = File::create(home.join("building")).expect("make a lock");
    let _lock =
        Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno).expect("wait for others who build");
    let call = |words: &[&str]| command(words).env("BELLJAR_HOME", &home).output().expect("start belljar");
    if call(&["image", "inspect", name]).status.success() {
        return true;
    }
    let output = call(&["image", "build", name]);
    let why = String::from_utf8_lossy(&output.stderr);
    available(&format!("what it takes to build the image `{name}`: {why}"), output.status.success())
}
