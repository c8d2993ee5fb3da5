//! Persistent sandboxes: made once, entered many times, and gone without a trace.

#[path = "../common/mod.rs"]
mod common;

mod ahead;
mod attacks;
mod captured;
mod carried;
mod client;
mod contexts;
mod copies;
mod cuts;
mod day;
mod doors;
mod ended;
mod exec;
mod files;
mod interrupts;
mod keepers;
mod kept;
mod killed;
mod leaders;
mod lease;
mod life;
mod lost;
mod poised;
mod published;
mod ready;
mod requests;
mod rpc;
mod sessions;
mod stopped;
mod storm;
mod streams;
mod terminals;
mod verbs;
mod volumes;
mod watch;
