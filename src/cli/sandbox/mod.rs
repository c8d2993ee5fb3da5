//! The verbs of sandboxes that last: each read, handed down and told.
//!
//! Tables for people, one object for `--json`. 0: done; 1: failed; 2: not understood. Of `exec` 125 means that we failed.

mod supervise;

pub use supervise::supervise;

use super::render;
use serde_json::Value;

/// What a verb tells: lines for people, an object for programs, and an exit code.
pub struct Told {
    pub people: String,
    pub object: Value,
    pub code: i32,
}

impl Told {
    pub fn new(people: impl Into<String>, object: Value) -> Told {
        Told { people: people.into(), object, code: 0 }
    }
}

pub use crate::verbs::{no_home, place};
