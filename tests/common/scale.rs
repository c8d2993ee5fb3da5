//! The two variables that all tests follow, those in `src/` too.
//!
//! `BELLJAR_TEST_SEED`: a number from which everything follows that tests leave to chance. Without it each test program takes
//! one that nobody can foresee. A test that fails shows it.
//!
//! `BELLJAR_TEST_SCALE`: percent of the rounds, kills and steps that are done; 100 unless somebody says otherwise.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no whole number")))
}

/// The seed of this test program. A test that asks for it, and fails, shows it.
pub fn seed() -> u64 {
    static SEED: LazyLock<u64> = LazyLock::new(|| {
        variable("BELLJAR_TEST_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) % 1_000_000_000)
    });
    // Each test has a thread of its own.
    thread_local! { static TOLD: Cell<bool> = const { Cell::new(false) } }
    if !TOLD.replace(true) {
        eprintln!("BELLJAR_TEST_SEED={} repeats what was left to chance here", *SEED);
    }
    *SEED
}

/// So much of `whole` as the scale wants, at least `least`.
pub fn scaled_from(least: usize, whole: usize) -> usize {
    let scale = variable("BELLJAR_TEST_SCALE").unwrap_or(100) as usize;
    (whole * scale / 100).max(least)
}
