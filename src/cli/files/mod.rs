//! Hidden processes of the verbs of files and sessions.

mod enter;

pub use enter::{enter_sandbox, keep_session, serve_tools, take_terminal};
