//! The images of the recipes, for tests that need real ones. Built once for each recipe, which takes minutes and the
//! distribution's mirror, and kept in the user's cache, as a store and as one file for each image.

use super::{available, released};
use belljar::images::Digest;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where they are kept.
pub fn home() -> PathBuf {
    let named = std::env::var_os("BELLJAR_TEST_IMAGES").map(PathBuf::from);
    named.unwrap_or_else(|| {
        let home = std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
        below(&home)
    })
}

/// Has the image of a recipe in the store of [`home`]; whether it is there.
pub fn built(name: &str) -> bool {
    archive(name).is_some()
}

/// The image of a recipe as `belljar image save` writes it.
pub fn archive(name: &str) -> Option<PathBuf> {
    let home = home();
    fs::create_dir_all(&home).expect("make a directory for images");
    // Whoever wants the same one waits for it.
    let lock = File::create(home.join(format!("building-{name}"))).expect("make a lock");
    let _lock =
        Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno).expect("wait for others who build");
    let call = |words: &[&str]| call(&home, words);
    let kept = kept(&home, name);
    if kept.exists() && call(&["image", "inspect", name]).status.success() {
        return Some(kept);
    }
    let output = match elsewhere(&home, name) {
        Some(file) => call(&["image", "load", &file.to_string_lossy()]),
        None => call(&["image", "build", name]),
    };
    let why = String::from_utf8_lossy(&output.stderr);
    if !available(&format!("what it takes to build the image `{name}`: {why}"), output.status.success()) {
        return None;
    }
    let saved = call(&["image", "save", name, "-o", &kept.to_string_lossy()]);
    assert!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
    Some(kept)
}

/// A call of the released binary with its store at `home`.
pub fn call(home: &Path, words: &[&str]) -> Output {
    Command::new(released()).args(words).env("BELLJAR_HOME", home).output().expect("start belljar")
}

fn below(home: &Path) -> PathBuf {
    home.join(".cache/belljar-test-images")
}

/// A file of its own for each state of a recipe, so that nobody tests what a recipe made before it was changed.
fn kept(home: &Path, name: &str) -> PathBuf {
    let top = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let recipe = top.join("rootfs").join(name).join("recipe.toml");
    let digest = Digest::of(&fs::read(recipe).expect("read the recipe"));
    home.join(format!("{name}-{}.tar.zst", &digest.hex()[..16]))
}

/// What the ordinary user of the tests (tests/run-as-user) built already: root takes it as from another machine.
fn elsewhere(home: &Path, name: &str) -> Option<PathBuf> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let user = nix::unistd::User::from_name("belljar-test").ok()??;
    let file = kept(&below(&user.dir), name);
    (file.exists() && !file.starts_with(home)).then_some(file)
}
