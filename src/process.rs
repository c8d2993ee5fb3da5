//! Stands in for the process layer until it lands; to be replaced.

use crate::error::{Blocker, Error};
use crate::outcome::Outcome;
use crate::spec::{Spec, check};
use std::fmt;

/// How the output reaches the caller.
pub struct Delivery {
    /// Captured into the outcome; else live.
    pub capture: bool,
}

/// What would be done.
pub struct Plan;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

/// Runs.
pub fn run(spec: &Spec, _delivery: Delivery) -> Result<Outcome, Error> {
    check(spec)?;
    Err(Error::Host(Blocker { message: "this build cannot run anything".to_owned(), hint: None }))
}

/// Plans.
pub fn plan(spec: &Spec) -> Result<Plan, Error> {
    check(spec)?;
    Ok(Plan)
}

/// Reports.
pub fn doctor(_json: bool, _apparmor_profile: bool) -> i32 {
    1
}
