//! Warm templates: a persistent sandbox whose command is an interpreter that has done what every run begins with, and that is copied into
//! a sandbox of its own for each run.
//!
//! ```text
//! supervisor   of the template, as of any sandbox; starts the maker, and brings callers to it
//! maker        makes spares inside of the template's namespaces of users and of pids, has the interpreter copied into each, keeps
//!              copies ready, and hands them over
//! interpreter  the template's command: executes what it is told by the maker, and runs no run's code
//! caller       supervises what it was handed, as it would any run
//! ```

pub mod caller;
pub mod copy;
pub mod maker;
pub mod message;

pub use caller::{Piece, run};
pub use maker::make_spares;
pub use message::WarmStats;
