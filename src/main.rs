//! The `belljar` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything is opened: a caller that closed 0, 1 or 2 would have our files answer under their numbers.
    belljar::sys::fd::reserve_standard();
    let code = belljar::cli::main(std::env::args_os());
    ExitCode::from(u8::try_from(code).unwrap_or(125))
}
