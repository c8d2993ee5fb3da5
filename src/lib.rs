//! belljar: sandboxes for code that nobody has read, for unprivileged users, without a daemon.
//!
//! The house is in layers, and a layer imports only lower ones (`tests/rules/house.rs` enforces it):
//!
//! 0. `sys`: one system call per function.
//! 1. `spec`, `bundle`, `step`, `outcome`, `own`, `error`, `name`, `git`, `warm`: words, plain data.
//! 2. `host`, `trees`, `images`, `identity`, `namespaces`, `network`, `mounts`, `landlock`, `seccomp`, `limits`, `inbound`, `program`, `cgroup`:
//!    facilities.
//! 3. `process`: plan, launch, child, init, payload, watch.
//! 4. `build`, `doctor`, `sandbox`, `tools`: the product.
//! 5. `verbs`: the front door, every verb once.
//! 6. `serve`: the front door over HTTP.
//! 7. `cli`: bytes in, bytes out.

pub mod build;
pub mod bundle;
pub mod cgroup;
pub mod cli;
pub mod doctor;
pub mod error;
pub mod git;
pub mod host;
pub mod identity;
pub mod images;
pub mod inbound;
pub mod landlock;
pub mod limits;
pub mod mounts;
pub mod name;
pub mod namespaces;
pub mod network;
pub mod outcome;
pub mod own;
pub mod process;
pub mod program;
pub mod sandbox;
pub mod seccomp;
pub mod serve;
pub mod spec;
pub mod step;
pub mod sys;
pub mod tools;
pub mod trees;
pub mod verbs;
pub mod warm;
