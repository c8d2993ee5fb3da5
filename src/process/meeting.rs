//! Where pid 1 and its payload meet: words in the memory that both share, by which each waits for the other.

use super::report::Applied;
use crate::sys::child;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Words in the memory that both share.
#[derive(Debug, Default)]
pub struct Meeting {
    /// 0: not yet; 1: the network is ready; 2: it never will be.
    pub network: AtomicU32,
    /// 0: not yet; 1: the root is ready.
    pub root: AtomicU32,
    /// 0: not yet; 1: pid 1 or the leader has nothing left to do; 2: it has failed.
    pub release: AtomicU32,
    /// 1: the payload has come to its last step.
    pub executing: AtomicU32,
    /// A packed refusal of the payload, or 0.
    pub refusal: AtomicU64,
}

/// What is waited for will not come.
pub const NEVER: u32 = 2;

/// Sets `word`, and wakes whoever waits for that.
pub fn announce(word: &AtomicU32) -> Applied {
    word.store(1, Ordering::Release);
    child::wake(word);
    Ok(())
}

/// Looks this often before it sleeps: to be woken costs more than the other side usually still needs.
const PATIENCE: u32 = 1000;

/// What `word` is as soon as that is no longer 0, or 0.
pub fn spin(word: &AtomicU32) -> u32 {
    for _ in 0..PATIENCE {
        match word.load(Ordering::Acquire) {
            0 => core::hint::spin_loop(),
            value => return value,
        }
    }
    0
}

/// Waits until `word` is no longer 0; answers what it is.
pub fn await_change(word: &AtomicU32) -> u32 {
    loop {
        match spin(word) {
            0 => child::wait_on(word, 0, None),
            value => return value,
        }
    }
}
