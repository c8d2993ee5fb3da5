//! A program of a user, who has one of our packages and sandboxes of his own.

use crate::common::Run;
use crate::common::sandboxes::Sandboxes;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository. Where the tests run as another user it is a copy.
pub fn root() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is"))
}

/// Packages of others, which `tests/clients` installs.
pub fn packages(name: &str) -> PathBuf {
    std::env::var_os("BELLJAR_CLIENTS").map_or_else(|| "/var/lib/belljar-test-clients".into(), PathBuf::from).join(name)
}

/// A call of a program, at most five minutes long, in a directory that is the test's own, with the binary under test.
pub fn program(sandboxes: &Sandboxes, name: &str) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["300", name])
        .current_dir(&sandboxes.0.0)
        .env("BELLJAR", sandboxes.command(&[]).get_program())
        .env("BELLJAR_HOME", sandboxes.home())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The same with Python and our package from the sources.
pub fn python(sandboxes: &Sandboxes) -> Command {
    let mut command = program(sandboxes, "/usr/bin/python3");
    command.env("PYTHONPATH", root().join("sdk/python"));
    command
}

/// Runs it to its end, which must be a good one; what it printed.
pub fn done(command: &mut Command) -> String {
    let run = Run::from(command.output().expect("start the program"));
    assert_eq!(run.code, Some(0), "{}\n{}", run.stdout, run.stderr);
    run.stdout
}

/// Runs a part of a script that says `ok` when all of it was so, and leaves no sandbox.
pub fn walk(command: &mut Command, sandboxes: &Sandboxes, script: &Path, part: &str) {
    let said = done(command.arg(script).arg(part));
    assert!(said.ends_with("ok\n"), "{said}");
    assert_eq!(sandboxes.states(), []);
}
