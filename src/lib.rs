//! A rootless, daemonless sandbox for code that nobody has read.
//!
//! Layers are modules, and a layer uses only those before it: words (`spec`, `outcome`, `error`), then the
//! facilities, the process that runs, and the adapters (`cli`).

pub mod cli;
pub mod error;
pub mod outcome;
pub mod process;
pub mod spec;
pub mod sys;
