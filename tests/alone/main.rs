//! Tests that measure the machine or use it up: they run one after the other, with nothing beside them.

#[path = "../common/mod.rs"]
mod common;

mod faults;
mod limits;
