//! Warm interpreters: what a template's Python is started with, and the words that it is spoken to with.
//!
//! A template's Python imports once; for each run it is copied into a sandbox that was prepared for it. What is here is
//! data: the driver that Python runs, the shared object that it forks by, the script of a fork and the request of a run.
//! Who prepares the sandbox decides what stands in a script. Node has no fork: one is started in each sandbox beforehand,
//! and takes the same request.

pub mod request;
pub mod script;

use std::ffi::OsString;

/// The driver: what Python runs before the preload.
pub const DRIVER: &str = include_str!("warm/zygote.py");

/// The fork, a shared object that asks for no library: the driver loads it.
pub static FORK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fork.so"));

/// What a parked Node runs before it waits for code.
const PARKED: &str = include_str!("warm/parked.js");

/// The command line of a Node that is started ahead of its code, and what it loads, as code of its own. Its descriptor 3 is a
/// stream socket: it says `{"ready": …}` or `{"refused": …}` on it, then takes a request's JSON up to the end of what the
/// other side writes. Its standard streams are those of the run.
pub fn node_words(preload: &str) -> Vec<OsString> {
    ["node", "-e", PARKED, "--", preload].map(OsString::from).into()
}

/// The command line of a template's Python. Its standard input is the socket over which it is spoken to.
pub fn words() -> Vec<OsString> {
    // The driver's frames have a name by which it takes them out of tracebacks.
    let start = "import sys; exec(compile(sys.argv.pop(), '<belljar>', 'exec'))";
    ["python3", "-u", "-c", start, DRIVER].map(OsString::from).into()
}
