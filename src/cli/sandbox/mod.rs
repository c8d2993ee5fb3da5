//! Hidden process of the verbs of sandboxes: the supervisor.
//!
//! Tables for people, one object for `--json`. 0: done; 1: failed; 2: not understood. Of `exec` 125 means that we failed.

mod preview;
mod supervise;

pub use preview::preview;
pub use supervise::{make_spares, stand_by, supervise};

use super::{render, terminal};

pub use crate::verbs::place;
