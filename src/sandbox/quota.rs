//! Disk limit of a kept sandbox. An ordinary user cannot set a quota, so the files are counted.
//!
//! Two witnesses. What is free on the file system is asked every few milliseconds, the sooner the less is left: the sandbox
//! cannot have taken more than has gone there, whoever took it. Only when that could be beyond the limit is everybody inside
//! stopped and the tree counted: nothing moves then, and what cannot be counted counts as passed. Files without a name count as
//! long as they are open. A walk from time to time, beside those who run, finds what others hid by deleting something of their
//! own.
//!
//! The walks are a thread's, since a million files take longer than the supervisor may be away from its clock. Nothing is
//! followed, and nothing but directories is opened.

use crate::mounts::inodes;
use crate::process::Nameless;
use crate::trees::tree;
use nix::sys::statvfs::fstatvfs;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Between two walks beside those who run, at least; and never more than a tenth of the time is spent on them.
const PAUSE: Duration = Duration::from_millis(500);
const THRIFT: u32 = 10;
/// Between two walks for which everybody is stopped: so many times as long as the last one took.
const REST: u32 = 3;
/// Between two looks at what is free, at most and at least.
const SLOW: Duration = Duration::from_millis(50);
const FAST: Duration = Duration::from_millis(2);
/// The same while everybody waits.
const STILL: Duration = Duration::from_micros(500);
/// Bytes and files that may be made in a second: what may happen between two looks.
const FILL_RATE: u64 = 2 << 30;
const FILE_RATE: u64 = 200_000;
/// Who deletes something above the limit may need so much for it: another block of a directory, a whiteout.
const TO_DELETE: Count = Count { bytes: 1 << 20, inodes: 64 };
/// How long a command waits for the first count of a tree.
const FIRST: Duration = Duration::from_millis(100);
/// Enough for a walk, which does not recurse.
const STACK: usize = 256 << 10;

/// Bytes and inodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    bytes: u64,
    inodes: u64,
}

impl Count {
    fn limit(bytes: u64) -> Count {
        Count { bytes, inodes: inodes(bytes) }
    }

    fn plus(self, other: Count) -> Count {
        Count { bytes: self.bytes.saturating_add(other.bytes), inodes: self.inodes.saturating_add(other.inodes) }
    }

    fn minus(self, other: Count) -> Count {
        Count { bytes: self.bytes.saturating_sub(other.bytes), inodes: self.inodes.saturating_sub(other.inodes) }
    }

    fn most(self, other: Count) -> Count {
        Count { bytes: self.bytes.max(other.bytes), inodes: self.inodes.max(other.inodes) }
    }

    /// Whether there is more of one than `limit` has.
    fn is_beyond(self, limit: Count) -> bool {
        self.bytes > limit.bytes || self.inodes > limit.inodes
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Nothing,
    /// Everybody inside has to stand still, and then [`Quota::count`] begins.
    Stop,
    /// The walk has ended: [`Quota::judge`] says whether the limit was passed, and everybody goes on.
    Judge,
}

/// The walk that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Walk {
    None,
    /// Beside those who run.
    Beside,
    /// While nobody does.
    Still,
}

/// The counter of one sandbox.
pub struct Quota {
    upper: File,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    walks: Receiver<Option<Count>>,
    walk: Walk,
    begun: Instant,
    took: Duration,
    /// What the walk found for which everybody stood still, until it is judged.
    found: Option<Count>,
    /// The last judged, and what was free then.
    counted: Count,
    free: Count,
    /// What has no name and cannot be looked at, by what has gone of the file system.
    hidden: Count,
    /// Whether anything was judged.
    known: bool,
    /// Whether somebody may have written since.
    dirty: bool,
    /// Whether somebody waits for a count, whoever runs inside.
    wanted: bool,
    /// Bytes at the last walk of either kind.
    bytes: u64,
    judged: Instant,
    next: Instant,
    /// When the next walk of each kind may begin.
    rested: Instant,
    beside: Instant,
}

impl Quota {
    /// Counts what is in the directory `upper`, beginning now. `empty`: nobody runs inside yet.
    pub fn new(upper: File, empty: bool) -> std::io::Result<Quota> {
        let theirs = upper.try_clone()?;
        let over = Arc::new(AtomicBool::new(false));
        let ends = over.clone();
        let (tell, walks) = channel();
        let walk = move || {
            loop {
                std::thread::park();
                if ends.load(Ordering::Acquire) {
                    return;
                }
                let usage = tree::usage(theirs.as_fd()).ok();
                if tell.send(usage.map(|usage| Count { bytes: usage.bytes, inodes: usage.inodes })).is_err() {
                    return;
                }
            }
        };
        let thread = Builder::new().stack_size(STACK).spawn(walk)?;
        let now = Instant::now();
        let mut quota = Quota {
            upper,
            over,
            thread: Some(thread),
            walks,
            walk: Walk::None,
            begun: now,
            took: Duration::ZERO,
            found: None,
            counted: Count::default(),
            free: Count::default(),
            hidden: Count::default(),
            known: false,
            dirty: true,
            wanted: false,
            bytes: 0,
            judged: now,
            next: now,
            rested: now,
            beside: now + PAUSE,
        };
        quota.free = quota.ask_free();
        quota.begin(if empty { Walk::Still } else { Walk::Beside }, now);
        Ok(quota)
    }

    /// When to look again.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Whether there is something to find out though nobody runs inside.
    pub fn is_open(&self) -> bool {
        self.dirty || self.walk != Walk::None
    }

    /// Bytes at the last walk.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether somebody may begin to write: none, as long as that has to be found out.
    pub fn has_room(&mut self, limit: u64) -> Option<bool> {
        let limit = Count::limit(limit);
        if !self.known {
            // A tree is counted once more when it is in use, and nobody waits for a million files.
            let waits = self.begun.elapsed() < FIRST;
            if !waits {
                (self.walk, self.dirty) = (Walk::Beside, true);
            }
            return if waits { None } else { Some(true) };
        }
        let free = self.ask_free();
        let fresh = free == self.free || self.judged.elapsed() < SLOW;
        let sure = fresh && !self.dirty && self.walk == Walk::None;
        if sure || !self.at_most().most(self.counted).is_beyond(limit) {
            self.dirty = true;
            return Some(!self.counted.is_beyond(limit));
        }
        if self.walk != Walk::Still {
            // As soon as may be.
            (self.dirty, self.wanted, self.rested, self.next) = (true, true, self.begun, self.begun);
        }
        None
    }

    /// What to do now. `quiet`: nobody runs inside.
    pub fn look(&mut self, now: Instant, limit: u64, quiet: bool) -> Next {
        if now < self.next {
            return Next::Nothing;
        }
        self.dirty |= !quiet;
        let ceiling = self.ceiling(limit);
        let still = self.walk == Walk::Still;
        self.next = now + if still { STILL } else { pause(ceiling.minus(self.at_most())) };
        let beyond = self.at_most().is_beyond(ceiling);
        match self.walk {
            Walk::None if now >= self.rested && (beyond || self.wanted || !self.known || (quiet && self.dirty)) => {
                Next::Stop
            }
            Walk::None => {
                if now >= self.beside && !quiet {
                    self.begin(Walk::Beside, now);
                }
                Next::Nothing
            }
            Walk::Beside | Walk::Still => {
                let Some(found) = self.hear(now) else { return Next::Nothing };
                let still = std::mem::replace(&mut self.walk, Walk::None) == Walk::Still;
                self.found = found;
                match found {
                    _ if still => Next::Judge,
                    Some(count) if !count.is_beyond(ceiling) && self.known => {
                        self.bytes = count.bytes;
                        Next::Nothing
                    }
                    // Whoever moves trees about while they are walked through is looked at while nothing moves.
                    Some(_) | None => Next::Stop,
                }
            }
        }
    }

    /// Begins to count, since everybody stands still.
    pub fn count(&mut self, now: Instant) {
        self.begin(Walk::Still, now);
        self.next = now + STILL;
    }

    /// Whether there is more than there may be. `nameless`: what is open and has no name.
    pub fn judge(&mut self, limit: u64, nameless: Nameless) -> bool {
        let ceiling = self.ceiling(limit);
        let free = self.ask_free();
        let gone = self.free.minus(free);
        let named = self.found.take();
        let found = named.unwrap_or_default().plus(Count { bytes: nameless.bytes, inodes: nameless.files });
        // What has gone and was not found, of a sandbox that can hide something, is hidden there.
        let unfound = gone.minus(found.minus(self.counted.minus(self.hidden)));
        self.hidden = if nameless.may_hide && self.known { self.hidden.plus(unfound) } else { Count::default() };
        self.counted = found.plus(self.hidden);
        (self.bytes, self.free, self.judged) = (self.counted.bytes, free, Instant::now());
        (self.known, self.dirty, self.wanted) = (named.is_some(), false, false);
        named.is_none() || self.counted.is_beyond(ceiling)
    }

    /// The limit; or what there was already at the last count, and a little more.
    fn ceiling(&self, limit: u64) -> Count {
        let limit = Count::limit(limit);
        if self.known && self.counted.is_beyond(limit) { limit.most(self.counted.plus(TO_DELETE)) } else { limit }
    }

    /// What there is now, at most: nobody can have taken more than has gone.
    fn at_most(&self) -> Count {
        self.counted.plus(self.free.minus(self.ask_free()))
    }

    fn ask_free(&self) -> Count {
        // A file system that does not say has nothing free, and so everything is looked into.
        let Ok(found) = fstatvfs(&self.upper) else { return Count::default() };
        #[allow(clippy::unnecessary_cast)] // the types differ between C libraries
        Count { bytes: found.blocks_free() as u64 * found.fragment_size() as u64, inodes: found.files_free() as u64 }
    }

    fn begin(&mut self, walk: Walk, now: Instant) {
        (self.walk, self.begun) = (walk, now);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// What the walk found, once it has ended.
    fn hear(&mut self, now: Instant) -> Option<Option<Count>> {
        let found = match self.walks.try_recv() {
            Ok(found) => found,
            Err(TryRecvError::Empty) => return None,
            // It cannot end but with us. If it ever did, nothing would be counted.
            Err(TryRecvError::Disconnected) => None,
        };
        self.took = now - self.begun;
        self.rested = now + self.took * REST;
        self.beside = now + PAUSE.max(self.took * THRIFT);
        Some(found)
    }
}

/// Half of the room that is left must not fill before the next look.
fn pause(room: Count) -> Duration {
    let fills = |room: u64, rate: u64| Duration::from_nanos((room / 2).saturating_mul(1_000_000_000) / rate);
    fills(room.bytes.min(1 << 33), FILL_RATE).min(fills(room.inodes.min(1 << 33), FILE_RATE)).clamp(FAST, SLOW)
}

impl Drop for Quota {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_room_is_left_for_bytes_or_files_the_sooner_is_the_next_look() {
        let room = |bytes, inodes| pause(Count { bytes, inodes });
        assert_eq!((room(u64::MAX, u64::MAX), room(0, u64::MAX), room(u64::MAX, 0)), (SLOW, FAST, FAST));
        assert_eq!(room(64 << 20, 1 << 20), Duration::from_nanos(15_625_000));
        assert_eq!(room(1 << 40, 4000), Duration::from_millis(10));
    }

    /// What the next count finds, though somebody may run inside.
    fn judged(quota: &mut Quota, limit: u64) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            match quota.look(Instant::now(), limit, false) {
                Next::Nothing => std::thread::sleep(STILL),
                Next::Stop => quota.count(Instant::now()),
                Next::Judge => return quota.judge(limit, Nameless::default()),
            }
        }
        panic!("nothing was counted");
    }

    #[test]
    fn whoever_waits_for_room_in_a_full_sandbox_gets_an_answer_though_somebody_runs_inside() {
        let (limit, room) = (1 << 20, std::env::temp_dir().join(format!("belljar-quota-{}", std::process::id())));
        std::fs::create_dir(&room).expect("make it");
        let mut quota = Quota::new(File::open(&room).expect("open it"), true).expect("count");
        assert!(!judged(&mut quota, limit), "an empty directory is full");
        std::fs::write(room.join("much"), vec![1; 3 << 20]).expect("fill it");
        while !quota.at_most().is_beyond(Count::limit(limit)) {
            std::thread::sleep(STILL);
        }
        assert!(judged(&mut quota, limit), "more than the limit is no news");
        // Somebody was seen inside since, but is above the limit no further.
        quota.dirty = true;
        assert_eq!(quota.has_room(limit), None);
        judged(&mut quota, limit);
        assert_eq!(quota.has_room(limit), Some(false));
        std::fs::remove_dir_all(room).expect("remove it");
    }
}
