//! How far a long task is, told to whoever wants to show it. Nothing below the adapters prints.

use std::io::{self, Read};

/// Somebody who follows.
pub trait Progress: Sync {
    /// A task begins: what it is about, and how many bytes it has, where that is known.
    fn begin(&self, what: &str, bytes: Option<u64>) -> Box<dyn Task>;
    /// Something that happened, in a line.
    fn note(&self, line: &str);
}

/// One task; it ends when it is dropped.
pub trait Task: Send {
    /// So many more bytes are done.
    fn advance(&mut self, bytes: u64);
}

/// Nobody follows.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&self, _: &str, _: Option<u64>) -> Box<dyn Task> {
        Box::new(Quiet)
    }

    fn note(&self, _: &str) {}
}

impl Task for Quiet {
    fn advance(&mut self, _: u64) {}
}

/// A reader whose bytes count for a task.
pub struct Followed<R> {
    inner: R,
    task: Box<dyn Task>,
}

impl<R> Followed<R> {
    /// Around `inner`.
    pub fn new(inner: R, task: Box<dyn Task>) -> Followed<R> {
        Followed { inner, task }
    }
}

impl<R: Read> Read for Followed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.task.advance(count as u64);
        Ok(count)
    }
}
