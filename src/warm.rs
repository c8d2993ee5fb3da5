//! Warm interpreters: what a template's Python is started with, and the words that it is spoken to with.
//!
//! A template's Python imports once; for each run it is copied into a sandbox that was prepared for it. What is here is
//! data: the driver that Python runs, the shared object that it forks by, the script of a fork and the request of a run.
//! Who prepares the sandbox decides what stands in a script. Node has no fork: one is started in each sandbox beforehand,
//! and takes the same request.

pub mod request;
pub mod script;

use std::ffi::OsString;

/// The fork, a shared object that asks for no library, and behind it the driver, which loads it. Goes along with the first
/// message to a template's Python.
pub static FORK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fork.so"));

/// What a parked Node runs before it waits for code.
const PARKED: &str = include_str!("warm/parked.js");

/// The command line of a Node that is started ahead of its code, and what it loads, as code of its own. Its descriptor 3 is a
/// stream socket: it says `{"ready": …}` or `{"refused": …}` on it, then takes a request's JSON up to the end of what the
/// other side writes. Its standard streams are those of the run.
pub fn node_words(preload: &str) -> Vec<OsString> {
    ["node", "-e", PARKED, "--", preload].map(OsString::from).into()
}

/// What a template's Python begins with: it takes the first message, and runs the driver that came with it. Short, because
/// every copy has it for its command line.
const START: &str = "import _socket, os; channel = _socket.socket(fileno=os.dup(0)); \
    message, control, flags, _ = channel.recvmsg(1 << 18, 64, _socket.MSG_CMSG_CLOEXEC); \
    program = int.from_bytes(control[0][2], 'little'); \
    exec(compile(os.pread(program, 1 << 20, 0).split(b'\\n#belljar\\n')[1], '<belljar>', 'exec'))";

/// The command line of a template's Python. Its standard input is the socket over which it is spoken to.
pub fn words() -> Vec<OsString> {
    ["python3", "-u", "-c", START].map(OsString::from).into()
}
