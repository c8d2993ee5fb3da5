//! The TypeScript package, as npm installs it: its types hold for a program that is compiled with them, and it does its work.

use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, Scratch, available, installed, released};
use crate::programs::{done, packages, program, root};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The package as it is installed, for all tests that run at the same time, and the script, compiled against its types.
static BUILT: Mutex<Weak<Scratch>> = Mutex::new(Weak::new());

/// Where that is; nothing without the tools for it. Whoever is the last to need it removes it.
fn built() -> Option<Arc<Scratch>> {
    let tools = packages("typescript");
    if !available("npm", installed("npm"))
        || !available("the TypeScript compiler: `tests/clients` installs it", tools.exists())
    {
        return None;
    }
    // One that failed to build it has said so.
    let mut known = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(built) = known.upgrade() {
        return Some(built);
    }
    let sandboxes = Sandboxes::new("sdk-npm-build");
    let scratch = Scratch::new("sdk-npm");
    let place = scratch.0.clone();
    let mut make = program(&sandboxes, "bash");
    make.arg(root().join("sdk/typescript/package")).arg(released()).arg(&place);
    let made = done(make.env("NODE_TOOLS", &tools).env("HOME", &place));
    assert!(made.trim().ends_with("belljar-0.1.0.tgz"), "{made}");
    std::fs::write(place.join("package.json"), "{\"type\": \"module\"}").expect("write a file");
    let install = ["install", "--silent", "--no-audit", "--no-fund", "--offline", made.trim()];
    done(program(&sandboxes, "npm").args(install).current_dir(&place).env("HOME", &place));
    std::fs::copy(root().join("tests/sdk/walk.mts"), place.join("walk.mts")).expect("copy the script");
    let types = tools.join("node_modules/@types");
    let mut compile = program(&sandboxes, tools.join("node_modules/.bin/tsc").to_str().expect("text"));
    compile.args(["--strict", "--target", "es2022", "--module", "nodenext", "--types", "node", "--typeRoots"]);
    done(compile.arg(types).arg("walk.mts").current_dir(&place));
    let built = Arc::new(scratch);
    *known = Arc::downgrade(&built);
    Some(built)
}

fn walks(part: &str) {
    let Some(built) = built() else { return };
    let place = &built.0;
    let sandboxes = Sandboxes::new(&format!("sdk-npm-{part}"));
    let directory = sandboxes.0.0.clone();
    std::fs::copy(place.join("walk.mjs"), directory.join("walk.mjs")).expect("copy the script");
    std::os::unix::fs::symlink(place.join("node_modules"), directory.join("node_modules")).expect("link the package");
    let said = done(program(&sandboxes, "/usr/bin/node").args(["walk.mjs", part]));
    assert!(said.ends_with("ok\n"), "{said}");
    assert_eq!(sandboxes.states(), []);
}

#[test]
fn commands_and_code_run_and_end_as_daytonas_callers_know_it() {
    walks("commands");
}

#[test]
fn files_go_in_and_out_and_are_found_and_changed() {
    walks("files");
}

#[test]
fn sessions_terminals_and_interpreters_remember() {
    walks("sessions");
}

#[test]
fn a_sandbox_is_made_of_steps_stopped_started_forked_and_removed() {
    walks("life");
}

#[test]
fn what_a_program_makes_goes_with_it_however_it_ends() {
    walks("ends");
}

#[test]
fn the_package_carries_the_binary_and_brings_the_command() {
    let Some(built) = built() else { return };
    let place = &built.0;
    let sandboxes = Sandboxes::new("sdk-npm-command");
    let mut command = program(&sandboxes, place.join("node_modules/.bin/belljar").to_str().expect("text"));
    command.env_remove("BELLJAR").env("PATH", "/usr/bin:/bin");
    assert!(done(command.arg("--version")).starts_with("belljar "));
    let mut failing = program(&sandboxes, place.join("node_modules/.bin/belljar").to_str().expect("text"));
    let run = failing.env_remove("BELLJAR").env("PATH", "/usr/bin:/bin").args(["inspect", "nowhere"]).output();
    let run = Run::from(run.expect("start it"));
    assert!(run.code != Some(0) && run.stderr.contains("no sandbox `nowhere`"), "{run:?}");
}

#[test]
fn its_methods_are_those_of_the_schema() {
    let sandboxes = Sandboxes::new("sdk-npm-generated");
    done(program(&sandboxes, "/usr/bin/node").arg(root().join("sdk/typescript/generate.mjs")).arg("--check"));
}
