//! Standard output for bytes that are passed on unchanged.
//!
//! What it does not take is said at once, and whoever tells the error that comes of it says nothing more and ends in 125.

use super::cannot_write;
use std::io::{self, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};

static REFUSED: AtomicBool = AtomicBool::new(false);

/// It, as all that we pass on goes there.
pub struct Out(Stdout);

/// It.
pub fn out() -> Out {
    Out(io::stdout())
}

/// Whether it has taken no more of what was written to it.
pub fn is_refused() -> bool {
    REFUSED.load(Ordering::Relaxed)
}

fn refused(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::Interrupted && !REFUSED.swap(true, Ordering::Relaxed) {
        cannot_write("stdout", &error);
    }
    error
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(refused)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(refused)
    }
}
