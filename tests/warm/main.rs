//! Warm templates: an interpreter that has loaded what is needed, for each run one in a fresh sandbox.

#[path = "../common/mod.rs"]
mod common;

mod node;
mod refusals;
mod runs;
mod template;

use common::sandboxes::Sandboxes;
use common::{Run, allowed_to_be_missing, result};
use serde_json::Value;

/// A template of these options on the machine's own files, in a home of its own.
fn template(name: &str, options: &[&str]) -> Sandboxes {
    let sandboxes = Sandboxes::new(name);
    let made = create(&sandboxes, "numbers", options);
    assert_eq!((made.code, made.stdout.as_str()), (Some(0), "numbers\n"), "{made:?}");
    sandboxes
}

/// Makes one.
fn create(sandboxes: &Sandboxes, name: &str, options: &[&str]) -> Run {
    let words = [&["warm", "create", "--image", "host"], allowed_to_be_missing(), options, &[name]].concat();
    sandboxes.call(&words)
}

/// Runs code by it; the result.
fn run(sandboxes: &Sandboxes, options: &[&str], code: &str) -> Value {
    let words = [&["code", "python", "--json", "--warm", "numbers"], options, &["-e", code]].concat();
    result(&sandboxes.call(&words))
}

/// What `warm inspect` says of it.
fn known(sandboxes: &Sandboxes) -> Value {
    serde_json::from_str(&sandboxes.done(&["warm", "inspect", "numbers"])).expect("an object")
}
