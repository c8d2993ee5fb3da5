//! The disk limit of a sandbox whose files are kept: an ordinary user has no quota to give, and so what is there is counted.
//!
//! A thread of the supervisor walks through the files while anybody runs inside, since a million of them take longer than the
//! supervisor may be away from its clock. Over the limit, whoever runs is killed as soon as there is more than before: who
//! deletes, lists or fetches is let be. Nothing is followed, and nothing but directories is opened.

use super::Entry;
use crate::images::tree;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Between two walks, at least; and never more than a tenth of the time is spent on walks.
const PAUSE: Duration = Duration::from_millis(500);
/// Enough for a walk, which does not recurse.
const STACK: usize = 256 << 10;

/// The counter of one sandbox.
pub struct Quota {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Bytes at the look before, if whoever wrote since is still there.
    before: Option<u64>,
    /// The last walk that was looked at.
    seen: u64,
    next: Instant,
}

#[derive(Default)]
struct Shared {
    bytes: AtomicU64,
    /// How many walks have ended.
    walks: AtomicU64,
    /// Milliseconds of the last.
    took: AtomicU64,
    over: AtomicBool,
}

impl Quota {
    /// Counts what is in `entry`'s upper layer, beginning now.
    pub fn new(entry: &Entry) -> std::io::Result<Quota> {
        let upper = File::open(entry.path("upper"))?;
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let walk = move || {
            while !theirs.over.load(Ordering::Acquire) {
                let begun = Instant::now();
                // What cannot be read is not less than it was.
                if let Ok(usage) = tree::usage(upper.as_fd()) {
                    theirs.bytes.store(usage.bytes, Ordering::Release);
                }
                theirs.took.store(begun.elapsed().as_millis() as u64, Ordering::Release);
                theirs.walks.fetch_add(1, Ordering::AcqRel);
                std::thread::park();
            }
        };
        let thread = Builder::new().stack_size(STACK).spawn(walk)?;
        Ok(Quota { shared, thread: Some(thread), before: None, seen: 0, next: Instant::now() + PAUSE })
    }

    /// When to look again.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Bytes at the last walk.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Acquire)
    }

    /// Whether what runs inside has to end: there is more than there may be, and more than at the look before. Sets the next walk
    /// going.
    pub fn is_passed(&mut self, now: Instant, limit: u64) -> bool {
        if now < self.next {
            return false;
        }
        let walks = self.shared.walks.load(Ordering::Acquire);
        let took = Duration::from_millis(self.shared.took.load(Ordering::Acquire));
        self.next = now + PAUSE.max(took * 10);
        if walks == self.seen {
            return false;
        }
        self.seen = walks;
        let bytes = self.bytes();
        let before = self.before.replace(bytes);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
        let passed = bytes > limit && before.is_some_and(|before| bytes > before);
        if passed {
            // What was written until they died is in the next walk, and nobody's fault who comes then.
            self.before = None;
        }
        passed
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}
