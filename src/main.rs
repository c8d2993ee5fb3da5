//! The `belljar` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything is opened: a caller that closed 0, 1 or 2 would have our files answer under their numbers.
    belljar::sys::fd::reserve_standard();
    // A panic ends the process where it is, in a child that was cloned too: nobody goes on with what is half done. Only `serve`,
    // which holds nothing, takes this back, and answers that one request with it.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
    let code = belljar::cli::main(std::env::args_os());
    ExitCode::from(u8::try_from(code).unwrap_or(125))
}
