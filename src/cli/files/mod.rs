//! The processes behind the tools in a sandbox.

mod enter;

pub use enter::{enter, keep, serve, take};
