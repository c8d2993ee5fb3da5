//! Language servers in sandboxes: real ones on projects with known answers, and hostile ones of our own (`tests/programs/lsp`).

#[path = "../common/mod.rs"]
mod common;
mod world;

mod anew;
mod editor;
mod edits;
mod hostile;
mod others;
mod python;
mod typescript;
