//! The wheel that carries the binary: installed where nothing of belljar is, it works.

use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, released};
use crate::programs::{done, program, root};
use std::path::PathBuf;

/// Makes the wheel of the binary that users get, and installs it for a Python of its own: where that Python is.
fn installed(sandboxes: &Sandboxes) -> PathBuf {
    let place = &sandboxes.0.0;
    // pip leaves things behind where it builds, and reads settings at home.
    let mut make = program(sandboxes, "bash");
    make.arg(root().join("sdk/python/wheel")).arg(released()).arg("dist").arg("--no-build-isolation");
    let made = done(make.env("PATH", "/usr/bin:/bin").env("HOME", place));
    let wheel = made.trim();
    assert!(
        wheel.starts_with("dist/belljar-") && wheel.contains("-py3-none-manylinux") && wheel.contains("musllinux"),
        "{wheel}"
    );
    done(program(sandboxes, "/usr/bin/python3").args(["-m", "venv", "--without-pip", "fresh"]));
    let pip = ["-m", "pip", "--quiet", "--python", "fresh/bin/python", "install", "--no-index", "--no-deps", wheel];
    done(program(sandboxes, "/usr/bin/python3").args(pip).env("HOME", place));
    place.join("fresh/bin")
}

#[test]
fn a_fresh_python_with_the_wheel_makes_sandboxes_with_nothing_else_installed() {
    let sandboxes = Sandboxes::new("sdk-wheel");
    let bin = installed(&sandboxes);
    let script = "import belljar, belljar.binary, subprocess, sys\nprint(belljar.binary.find())\n\
                  with belljar.Daytona() as daytona: print(daytona.create().process.code_run('print(6 * 7)').result)";
    let mut command = program(&sandboxes, bin.join("python").to_str().expect("text"));
    let said = done(command.env_remove("BELLJAR").env("PATH", "/usr/bin:/bin").args(["-c", script]));
    let (path, result) = said.split_once('\n').expect("two lines");
    assert!(path.starts_with(bin.parent().expect("a directory").to_str().expect("text")), "{said}");
    assert_eq!(result, "42\n\n");
    // The command line comes with it.
    let mut line = program(&sandboxes, bin.join("belljar").to_str().expect("text"));
    let listed = done(line.env_remove("BELLJAR").env("PATH", "/usr/bin:/bin").args(["ls", "--json"]));
    assert!(listed.contains("\"sandboxes\":[]"), "{listed}");
    // Another binary is taken where somebody names it.
    let mut named = program(&sandboxes, bin.join("python").to_str().expect("text"));
    let told = done(named.args(["-c", "import belljar.binary; print(belljar.binary.find())"]));
    assert_eq!(told.trim(), sandboxes.command(&[]).get_program().to_str().expect("text"));
}

#[test]
fn without_a_binary_no_wheel_is_made() {
    let sandboxes = Sandboxes::new("sdk-no-wheel");
    let run = program(&sandboxes, "bash").arg(root().join("sdk/python/wheel")).args(["/nowhere", "dist"]).output();
    let run = Run::from(run.expect("start bash"));
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.starts_with("wheel: /nowhere is no program"), "{run:?}");
}
