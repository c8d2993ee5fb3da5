//! The main path: from a wish to what became of it.
//!
//! [`run`] reads aloud: check, probe, settle, plan, launch, watch. Everything that is decided is decided here, in the
//! supervisor, before the clone; the two processes on the other side (`init`, `payload`) walk the lists of steps.
//! The process that clones has no other threads.

mod acquire;
mod child;
mod exec;
mod init;
mod launch;
mod meter;
mod mount;
mod payload;
mod plan;
mod relay;
mod report;
mod tap;
mod throttle;
mod watch;

pub use plan::Plan;

use crate::cgroup;
use crate::error::Error;
use crate::host::Host;
use crate::outcome::Outcome;
use crate::spec::{Spec, check};

/// How the caller wants the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// `true`: capture output into the outcome. `false`: the command writes where the caller does.
    pub capture: bool,
    /// Number of a step (from 1, init before payload) that is made to fail; for tests, in debug builds only.
    pub fail_step: Option<usize>,
}

/// Runs one command in a fresh sandbox and says what became of it. The sandbox is gone when this returns.
///
/// # Errors
///
/// `Invalid`, `Host` and `Setup`, when no command ran; nothing is left behind then either.
pub fn run(spec: &Spec, delivery: Delivery) -> Result<Outcome, Error> {
    check(spec)?;
    let host = cgroup::settle(spec, Host::probe(spec)?)?;
    let plan = Plan::new(spec, &host)?;
    launch::launch(spec, &host, plan, delivery)?.watch()
}

/// The plan that [`run`] would carry out, without carrying it out.
///
/// # Errors
///
/// `Invalid` and `Host`, as [`run`].
pub fn plan(spec: &Spec) -> Result<Plan, Error> {
    check(spec)?;
    Plan::new(spec, &Host::probe(spec)?)
}
