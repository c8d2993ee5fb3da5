//! One command in a fresh sandbox: what it gets, what comes back, and what is left afterwards.

#[path = "../common/mod.rs"]
mod common;

mod bundle;
mod callers;
mod code;
mod ends;
mod files;
mod input;
mod languages;
mod mounts;
mod published;
mod smoke;
mod started;
mod steps;
mod streams;
mod terminal;
mod views;
mod warm;
