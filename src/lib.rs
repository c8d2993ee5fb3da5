//! belljar.

pub mod seccomp;
