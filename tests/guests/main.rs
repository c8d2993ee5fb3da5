//! Belljar in the guests of `tests/vm`: cgroup v2, systemd, other kernels. Outside of a guest these fail.

#[path = "../common/mod.rs"]
mod common;

mod cgroups;
mod hosts;
