//! How long a supervisor lets its sandbox last: until its time is over, or until nobody has called it for too long. Both are in the
//! sandbox's record, and may be changed while it runs.

use super::super::call::Answer;
use super::super::place::now;
use super::super::{Entry, Reason, Record};
use super::Supervisor;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// The times of one sandbox.
pub(super) struct Term {
    /// When it has lived long enough.
    expires: Cell<Option<Instant>>,
    /// How long it may be without a call.
    idle: Cell<Option<Duration>>,
}

impl Term {
    /// As its record says.
    pub(super) fn of(record: &Record) -> Term {
        Term { expires: Cell::new(expiry(record)), idle: Cell::new(idle(record)) }
    }

    /// As its record says now: its caller has written it down.
    pub(super) fn renew(&self, entry: &Entry) -> Answer {
        match entry.record() {
            Ok(record) => {
                self.expires.set(expiry(&record));
                self.idle.set(idle(&record));
                Answer::Done
            }
            Err(error) => Answer::Refused(error.to_string()),
        }
    }

    /// When it ends by itself; `last` is when the last call ended, where nobody calls now.
    pub(super) fn ends_at(&self, last: Option<Instant>) -> Option<Instant> {
        let idle = last.zip(self.idle.get()).map(|(last, idle)| last + idle);
        [self.expires.get(), idle].into_iter().flatten().min()
    }

    /// Why it has ended by itself.
    pub(super) fn reason(&self, now: Instant) -> Reason {
        if self.expires.get().is_some_and(|at| now >= at) { Reason::Ttl } else { Reason::Idle }
    }
}

impl Supervisor<'_> {
    /// Ends it where its time is over.
    pub(super) fn tend_term(&self, now: Instant) {
        if self.ends_at().is_some_and(|at| now >= at) {
            self.asked.set(Some((Duration::ZERO, self.term.reason(now))));
        }
    }
}

/// When its time is over, as long as somebody supervises it.
fn expiry(record: &Record) -> Option<Instant> {
    let age = Duration::from_secs(now().saturating_sub(record.created));
    record.ttl.map(|ttl| Instant::now() + Duration::from_secs(ttl).saturating_sub(age))
}

fn idle(record: &Record) -> Option<Duration> {
    [record.idle_stop, record.idle_rm].into_iter().flatten().min().map(Duration::from_secs)
}
