//! The main path: from a wish to what became of it.
//!
//! [`run`] reads aloud: check, lease the image, probe, settle, plan, launch, watch. Everything that is decided is decided here, in the
//! supervisor, before the clone; the two processes on the other side (`init`, `payload`) walk the lists of steps.
//! The process that clones has no other threads.

mod acquire;
mod child;
mod exec;
mod ids;
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
pub use relay::Follower;

use crate::cgroup;
use crate::error::Error;
use crate::host::{Host, Image};
use crate::images::{self, Lease, Store};
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

/// Runs one command in a fresh sandbox and says what became of it. The sandbox is gone when this returns. Images are
/// looked up in `store`.
///
/// # Errors
///
/// `Invalid`, `Host` and `Setup`, when no command ran; nothing is left behind then either.
pub fn run(spec: &Spec, store: Option<&Store>, delivery: Delivery) -> Result<Outcome, Error> {
    begin(spec, store, delivery, None)
}

/// As [`run`] on the machine's own files, with `follower` told what the command writes to both streams, as it comes. It is
/// for commands of our own: what they write has no limit.
///
/// # Errors
///
/// As [`run`].
pub fn follow(spec: &Spec, follower: Follower) -> Result<Outcome, Error> {
    begin(spec, None, Delivery { capture: true, fail_step: None }, Some(follower))
}

fn begin(spec: &Spec, store: Option<&Store>, delivery: Delivery, follower: Option<Follower>) -> Result<Outcome, Error> {
    check(spec)?;
    // Held until the sandbox is gone.
    let lease = images::lease(spec, store)?;
    let image = root(spec, lease.as_ref());
    let host = cgroup::settle(spec, Host::probe(spec, image)?)?;
    let plan = Plan::new(spec, &host)?;
    launch::launch(spec, &host, plan, delivery, follower)?.watch()
}

/// The plan that [`run`] would carry out, without carrying it out.
///
/// # Errors
///
/// `Invalid` and `Host`, as [`run`].
pub fn plan(spec: &Spec, store: Option<&Store>) -> Result<Plan, Error> {
    check(spec)?;
    let lease = images::lease(spec, store)?;
    Plan::new(spec, &Host::probe(spec, root(spec, lease.as_ref()))?)
}

/// What the sandbox's root is made of; `None`: the machine's own files.
fn root(spec: &Spec, lease: Option<&Lease>) -> Option<Image> {
    spec.bundle.as_ref().map(images::of_bundle).or_else(|| lease.map(|lease| lease.image.clone()))
}
