//! What belljar finds around it: settings, privileges, ranges of ids, and what `doctor` says of them.

#[path = "../common/mod.rs"]
mod common;

mod doctor;
mod range;
mod surroundings;
