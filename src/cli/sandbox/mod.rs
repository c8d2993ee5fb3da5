//! Hidden process of the verbs of sandboxes: the supervisor.
//!
//! Tables for people, one object for `--json`. 0: done; 1: failed; 2: not understood. Of `exec` 125 means that we failed.

mod supervise;

pub use supervise::supervise;

use super::render;

pub use crate::verbs::place;
