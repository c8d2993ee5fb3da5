//! Signals during a copy: it stops at the next piece, removes what is unfinished, and ends by the signal.
//!
//! Where that takes too long (somebody inside has stopped what we wait for), a thread removes what is half here and ends us.

use crate::error::Error;
use crate::sys::signal::{default_action, is_ignored};
use crate::tools::draft;
use nix::sys::signal::{SigSet, Signal, raise};
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// How long a copy may take to end in order.
const PATIENCE: Duration = Duration::from_secs(2);

static CAME: AtomicI32 = AtomicI32::new(0);

/// The signals that a copy listens to: those that the caller has not had ignored.
#[derive(Clone, Copy)]
pub struct Interrupt {
    set: SigSet,
    say: Say,
}

/// Hears why we end.
type Say = &'static (dyn Fn(&str) + Sync);

impl Interrupt {
    /// Listens from now on.
    ///
    /// # Errors
    ///
    /// What keeps a thread from being started.
    pub fn watch(say: Say) -> Result<Interrupt, Error> {
        let all = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
        let set: SigSet = all.into_iter().filter(|signal| !is_ignored(*signal)).collect();
        set.thread_block().map_err(|errno| Error::of_io(&errno.into()))?;
        let watched = Interrupt { set, say };
        let wait = move || {
            if let Ok(signal) = set.wait() {
                CAME.store(signal as i32, Ordering::Relaxed);
                std::thread::sleep(PATIENCE);
                draft::abandon();
                watched.end(signal);
            }
        };
        std::thread::Builder::new().spawn(wait).map_err(|error| Error::of_io(&error))?;
        Ok(watched)
    }

    /// Starts something that is to have the signals: nothing is half then.
    pub fn outside<T>(self, start: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.set.thread_unblock().map_err(|errno| Error::of_io(&errno.into()))?;
        let started = start();
        self.set.thread_block().map_err(|errno| Error::of_io(&errno.into()))?;
        started
    }

    /// Listens no more: for what leaves nothing here, and inside nothing either when its streams end.
    pub fn release(self) {
        let _ = self.set.thread_unblock();
    }

    /// Ends us by the signal that came, if one did.
    pub fn finish(self) {
        if let Ok(signal) = Signal::try_from(CAME.load(Ordering::Relaxed)) {
            self.end(signal);
        }
    }

    fn end(self, signal: Signal) {
        (self.say)(&format!("interrupted by {signal}: unfinished files were removed"));
        default_action(signal as i32);
        // Whoever called learns of the signal itself.
        let _ = self.set.thread_unblock().and_then(|()| raise(signal));
    }
}

/// Whether to go on.
///
/// # Errors
///
/// A signal came.
pub fn check() -> io::Result<()> {
    match CAME.load(Ordering::Relaxed) {
        0 => Ok(()),
        _ => Err(io::Error::other("interrupted")),
    }
}
