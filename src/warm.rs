//! Warm interpreters: what a template's interpreter is started with, and the words that it is spoken to with.
//!
//! A template's Python imports once; for each run it is copied into a sandbox that was prepared for it. What is here is
//! data: the driver that Python runs, the shared object that it forks by, the script of a fork and the request of a run.
//! Who prepares the sandbox decides what stands in a script. Node has no fork: a template's Node has another
//! one executed in each sandbox, which takes the same request.

pub mod request;
pub mod script;

use crate::spec::Language;
use base64::Engine as _;
use std::ffi::OsString;

/// The fork, a shared object that asks for no library, and behind it the driver, which loads it. Goes along with the first
/// message to a template's Python.
pub static FORK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fork.so"));

/// What a parked Node runs before it waits for code, and the shared object that it waits by.
const PARKED: (&str, &[u8]) = (include_str!("warm/parked.js"), include_bytes!(concat!(env!("OUT_DIR"), "/receive.so")));
/// What a template's Node runs, and the shared object that it has others executed by.
const SPAWN: (&str, &[u8]) = (include_str!("warm/spawn.js"), include_bytes!(concat!(env!("OUT_DIR"), "/spawn.so")));

/// The command line of a template's interpreter. Its standard input is the socket over which it is spoken to.
pub fn words_of(language: Language) -> Vec<OsString> {
    if language == Language::Node { node_words() } else { words() }
}

/// The command line of a template's Node, which is spoken to as Python is.
pub fn node_words() -> Vec<OsString> {
    ["node".into(), "-e".into(), with_library(SPAWN)].into()
}

/// The command line of a parked Node, which a script executes, with code that loads what it is to have loaded.
pub fn parked_words(preload: &str) -> Vec<OsString> {
    ["node".into(), "-e".into(), with_library(PARKED), "--".into(), preload.into()].into()
}

fn with_library((code, library): (&str, &[u8])) -> OsString {
    code.replace("@LIBRARY@", &base64::engine::general_purpose::STANDARD.encode(library)).into()
}

/// What a template's Python begins with: it takes the first message, and runs the driver that came with it. Short, because
/// every copy has it for its command line.
const START: &str = "import _socket, os; channel = _socket.socket(fileno=os.dup(0)); \
    message, control, flags, _ = channel.recvmsg(1 << 18, 64, _socket.MSG_CMSG_CLOEXEC); \
    program = int.from_bytes(control[0][2], 'little'); \
    exec(compile(os.pread(program, 1 << 20, 0).split(b'\\n#belljar\\n')[1], '<belljar>', 'exec'))";

/// The command line of a template's Python.
pub fn words() -> Vec<OsString> {
    ["python3", "-u", "-c", START].map(OsString::from).into()
}
