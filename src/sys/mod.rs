//! The door to the kernel: one system call per function, and nothing that decides.
//!
//! Two kinds of functions live here. Those of [`child`] are for the processes between clone and exec: they issue
//! the system call itself, never touch `errno` (pid 1 and the payload share their memory until exec, thread-local
//! storage included), never allocate, never format, and answer with the bare error number. All others are for the
//! supervisor, and lean on nix.
//!
//! `unsafe` is allowed here, in `process/child.rs` and in `process/init.rs`, and nowhere else (`tests/rules/house.rs`).

pub mod allocator;
pub mod child;
pub mod clone;
pub mod directory;
pub mod fd;
pub mod filesystem;
pub mod inherited;
pub mod net;
pub mod packet;
pub mod proc;
pub mod signal;
pub mod tty;
pub mod worker;
pub mod xattr;

/// What the kernel answered: a value, or the error number.
pub type Answer<T> = Result<T, i32>;
