//! Who waits for an answer, and how long.

use crate::error::{Error, Kind};
use crate::tools::wire;
use std::cell::Cell;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Between two looks whether a caller is still there.
const GLANCE: Duration = Duration::from_millis(100);
/// Between two signs of life to him.
const PULSE: Duration = Duration::from_secs(1);

/// Who waits, and how long.
pub struct Wait<'c> {
    caller: Option<&'c UnixStream>,
    deadline: Instant,
    spoken: Cell<Instant>,
}

impl<'c> Wait<'c> {
    /// So long, for a caller who may go.
    pub fn new(caller: Option<&'c UnixStream>, time: Duration) -> Wait<'c> {
        let now = Instant::now();
        Wait { caller, deadline: now + time, spoken: Cell::new(now) }
    }

    /// The same caller, and no longer than this.
    pub fn at_most(&self, time: Duration) -> Wait<'c> {
        let deadline = self.deadline.min(Instant::now() + time);
        Wait { caller: self.caller, deadline, spoken: self.spoken.clone() }
    }

    /// How long to wait until the next look; none when the time is over.
    ///
    /// # Errors
    ///
    /// The caller has gone.
    pub fn step(&self) -> Result<Option<Duration>, Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let gone = || Error::new(Kind::Ended, "the caller has gone");
        if let Some(mut caller) = self.caller {
            let mut list = [nix::poll::PollFd::new(caller.as_fd(), nix::poll::PollFlags::POLLHUP)];
            if nix::poll::poll(&mut list, 0u16).is_ok_and(|count| count > 0) {
                return Err(gone());
            }
            if self.spoken.get().elapsed() >= PULSE {
                self.spoken.set(Instant::now());
                wire::write(&mut caller, wire::PULSE, &[]).map_err(|_| gone())?;
            }
        }
        Ok((!left.is_zero()).then(|| left.min(GLANCE)))
    }
}
