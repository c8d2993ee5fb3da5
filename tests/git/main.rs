//! Git in a sandbox: what its repositories are told to be, what is done to them, and what none of them can do to the host.

#[path = "../common/mod.rs"]
mod common;

mod brought;
mod differences;
mod hostile;
mod large;
mod local;
mod made;
mod remotes;
mod repository;
mod secrets;
mod transfers;
