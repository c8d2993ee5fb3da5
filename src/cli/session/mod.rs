//! `belljar code --sandbox`: read, asked of the tool inside, and told.
//!
//! The exit code is that of the code, 124 for one whose time was over, 130 for one that was interrupted, and 125 where belljar failed.

mod code;

pub use code::code;
