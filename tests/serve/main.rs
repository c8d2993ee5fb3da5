//! `belljar serve`: the official clients, unmodified, and requests that no client would send.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod daytona;
mod described;
mod e2b;
mod hostile;
mod load;
mod mcp;
mod page;
mod server;
mod tls;
mod warm;
