//! What hostile code tries from inside: known attacks, the kernel's surface, and hiding from those who count.

#[path = "../common/mod.rs"]
mod common;

mod cpu;
mod escapes;
mod hiding;
mod kernel;
mod quotas;
