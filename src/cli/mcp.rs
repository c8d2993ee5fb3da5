//! `belljar mcp`: reads what was asked, and serves.

use super::args::Mcp;
use super::{render, terminal};
use crate::error::Error;
use crate::serve::mcp::{self, Terms, Wish};
use crate::verbs;
use std::ffi::OsString;

/// Serves until its input ends; the exit code.
pub fn mcp(asked: Mcp) -> i32 {
    match wish(asked).and_then(mcp::serve) {
        Ok(()) => 0,
        Err(error) => {
            render::failure(&error);
            verbs::exit_code(&error)
        }
    }
}

fn wish(asked: Mcp) -> Result<Wish, Error> {
    let program = std::env::current_exe().map_err(|error| Error::attempt("find belljar itself", &error))?;
    let Mcp { image, net, allow, memory, cpus, disk, sandbox, ready } = asked;
    let terms = Terms { image, net: net.unwrap_or_default(), allow, memory, cpus, disk };
    Ok(Wish {
        program,
        home: verbs::wish::home(terminal::ENV).map(OsString::from),
        terms,
        sandboxes: sandbox,
        ready: ready.unwrap_or_default(),
    })
}
