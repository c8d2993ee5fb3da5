//! Chance that can be repeated, and how much is done of what is slow because there is so much of it.
//!
//! `BELLJAR_TEST_SEED`: a number from which everything follows that tests leave to chance. Without it each test program takes
//! one that nobody can foresee. A test that fails shows it.
//!
//! `BELLJAR_TEST_SCALE`: percent of the rounds, kills and steps that are done; 100 unless somebody says otherwise.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::time::Duration;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no whole number")))
}

/// The seed of this test program.
fn seed() -> u64 {
    static SEED: LazyLock<u64> = LazyLock::new(|| {
        variable("BELLJAR_TEST_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) % 1_000_000_000)
    });
    *SEED
}

/// A stream of numbers: splitmix64.
pub struct Chance(u64);

impl Chance {
    /// The stream of that name, the same for the same seed whatever other tests run.
    pub fn new(name: &str) -> Chance {
        // Shown when the test fails.
        eprintln!("to repeat `{name}`: BELLJAR_TEST_SEED={}", seed());
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

/// So much of `whole` as the scale wants, at least `least`.
pub fn scaled_from(least: usize, whole: usize) -> usize {
    let scale = variable("BELLJAR_TEST_SCALE").unwrap_or(100) as usize;
    (whole * scale / 100).max(least)
}
