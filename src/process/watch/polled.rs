//! What a turn of the loop waits for. An entry is asked for by the token that adding it gave, never by its place in the list.

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::{TimeSpec, TimeValLike as _};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Descriptors to wait for.
#[derive(Default)]
pub(super) struct Polled<'a>(Vec<PollFd<'a>>);

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Entry(usize);

impl<'a> Polled<'a> {
    /// Waits until `fd` can be read, or has ended.
    pub(super) fn read(&mut self, fd: BorrowedFd<'a>) -> Entry {
        self.0.push(PollFd::new(fd, PollFlags::POLLIN));
        Entry(self.0.len() - 1)
    }

    /// Where those add what they wait for who look for themselves what has come.
    pub(super) fn others(&mut self) -> &mut Vec<PollFd<'a>> {
        &mut self.0
    }

    /// Waits, no longer than `patience`; how many are ready, or `None` where the wait was interrupted.
    pub(super) fn wait(&mut self, patience: Option<Duration>) -> Option<i32> {
        let patience = patience.map(|wait| TimeSpec::nanoseconds(wait.as_nanos().min(i64::MAX as u128) as i64));
        ppoll(&mut self.0, patience, None).ok()
    }

    /// Whether something has come there.
    pub(super) fn is_ready(&self, entry: Entry) -> bool {
        self.0.get(entry.0).and_then(PollFd::revents).is_some_and(|events| !events.is_empty())
    }
}

/// Whether `fd` can be read, or has ended, within `patience`.
pub(super) fn is_readable(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let mut polled = Polled::default();
    polled.read(fd);
    polled.wait(Some(patience)).is_some_and(|ready| ready > 0)
}
