//! Images that are carried away: what is saved, what others make of it, and what they write themselves.

mod others;
mod saved;
mod verified;

use crate::common::archives::{Image, Layout};
use crate::common::images::Home;
use std::path::Path;
use std::process::{Command, Output};

const NONE: [&str; 0] = [];

/// A store with two small images, `one:1` and `localhost/two:2`.
fn two(name: &str) -> Home {
    let home = Home::new(name);
    let mut layout = Layout::of(&Image::small("one"), "one:1");
    layout.add(&Image::small("two"), "localhost/two:2");
    home.bring(&home.0.file("two.tar", layout.tar().end()), None).expect("import");
    home
}

/// A program of the host in `directory`, which must succeed; what it printed.
fn done(directory: &Path, program: &str, words: &[&str]) -> String {
    let output = ran(directory, program, words);
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The same, whatever comes of it. It finds a home and a directory of its own.
fn ran(directory: &Path, program: &str, words: &[&str]) -> Output {
    let home = directory.join("home");
    std::fs::create_dir_all(home.join("run")).expect("make a home");
    let mut command = Command::new(program);
    command.args(words).current_dir(directory).env("HOME", &home).env("XDG_RUNTIME_DIR", home.join("run"));
    command.env("TMPDIR", directory).output().unwrap_or_else(|error| panic!("start {program}: {error}"))
}
