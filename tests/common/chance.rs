//! Chance that can be repeated, and how much is done of what is slow because there is so much of it: `scale.rs` says by
//! which variables.

pub use super::scale::scaled_from;
use super::scale::seed;
use std::time::Duration;

/// A stream of numbers: splitmix64.
pub struct Chance(u64);

impl Chance {
    /// The stream of that name, the same for the same seed whatever other tests run.
    pub fn new(name: &str) -> Chance {
        // FNV-1a.
        let mixed = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Chance(seed() ^ mixed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A time shorter than `end`, in microseconds.
    pub fn moment(&mut self, end: Duration) -> Duration {
        Duration::from_micros(self.below(end.as_micros() as u64))
    }

    /// One of them.
    pub fn one<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }

    /// So many of the list as the scale wants, at least one, in their order.
    pub fn sample<T>(&mut self, list: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut list: Vec<T> = list.into_iter().collect();
        if list.is_empty() {
            return list;
        }
        let count = scaled(list.len());
        while list.len() > count {
            list.remove(self.below(list.len() as u64) as usize);
        }
        list
    }
}

/// So much of `whole` as the scale wants, at least 1.
pub fn scaled(whole: usize) -> usize {
    scaled_from(1, whole)
}
