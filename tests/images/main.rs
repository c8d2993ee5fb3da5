//! Images: imported, pulled, kept, saved, carried to other machines.

#[path = "../common/mod.rs"]
mod common;

mod airgap;
mod archives;
mod imports;
mod registry;
mod store;
