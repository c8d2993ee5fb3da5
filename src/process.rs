//! The main path: from an order to what became of it.
//!
//! `start` reads aloud: check, lease the image, probe, settle, plan, launch; then somebody watches. Everything that is decided is
//! decided here, in the supervisor, before the clone; the two processes on the other side (`init`, `payload`) walk the lists of steps.
//! The process that clones has no other threads. What differs between a sandbox of one command, a persistent sandbox and a command
//! that joins one is in its `Role`.

mod acquire;
mod ahead;
mod child;
mod confine;
mod device;
mod enlarge;
mod exec;
mod given;
mod ids;
mod init;
mod joined;
mod launch;
mod leader;
mod meeting;
mod meter;
mod mount;
mod network;
mod payload;
mod plan;
mod poised;
mod publish;
mod relay;
mod report;
mod role;
mod script;
mod spare;
mod taken;
mod tap;
mod throttle;
mod watch;

pub use ahead::{Heard, Standing, ask_for_leader, hear_leaders, stand_by};
pub use enlarge::enlarge;
pub use joined::Joined;
pub use meter::Nameless;
pub use plan::Plan;
pub use poised::{Poised, Ready, Shape};
pub use publish::{News, Publisher};
pub use relay::Follower;
pub use role::Delivery;
pub use script::{in_memory, write as write_script};
pub use spare::{Ground, Held as SpareHeld, Load, Spare};
pub use taken::{Handed, Reaper, Waited, take};
pub use watch::{Attendant, Limits, Running};

use crate::error::Error;
use crate::host::{Host, Image};
use crate::images::{self, Lease, Store};
use crate::outcome::Outcome;
use crate::spec::{Order, check_order};
use role::{Output, Role};
use std::fs::File;
use std::os::fd::OwnedFd;

/// Runs one command in a fresh sandbox and says what became of it. The sandbox is gone when this returns. Images are
/// looked up in `store`.
///
/// # Errors
///
/// `Invalid`, `Host` and `Setup`, when no command ran; nothing is left behind then either.
pub fn run(order: &Order, store: Option<&Store>, delivery: Delivery) -> Result<Outcome, Error> {
    start(order, store, Role::Command(Output::Deliver(delivery)))?.watch(&mut [])
}

/// As [`run`], with somebody beside the loop; in a sandbox that is `ready`, where there is one as the order wants it.
///
/// # Errors
///
/// As [`run`].
pub fn run_attended(
    order: &Order,
    store: Option<&Store>,
    delivery: Delivery,
    ready: Option<&Ready>,
    attendant: &mut dyn Attendant,
) -> Result<Outcome, Error> {
    let running = match ready.and_then(|ready| ready.begin(order, store, delivery)) {
        Some(running) => running,
        None => start(order, store, Role::Command(Output::Deliver(delivery)))?,
    };
    running.watch(&mut [attendant])
}

/// As [`run`] on the machine's own files, with `follower` told what the command writes to both streams, as it comes. It is
/// for commands of our own: what they write has no limit.
///
/// # Errors
///
/// As [`run`].
pub fn follow(order: &Order, follower: Follower) -> Result<Outcome, Error> {
    start(order, None, Role::Command(Output::Follow(follower)))?.watch(&mut [])
}

/// What a persistent sandbox is heard and spoken to through.
pub struct Lines {
    /// Is told what its own command writes.
    pub log: Follower,
    /// Where its connections are written down.
    pub network_log: Option<File>,
    /// Standard input of its own command, where that is ours to speak to.
    pub input: Option<OwnedFd>,
}

/// Makes a persistent sandbox, and stays with it until it ends.
///
/// # Errors
///
/// As [`run`].
pub fn last(
    order: &Order,
    store: Option<&Store>,
    lines: Lines,
    attendant: &mut dyn Attendant,
) -> Result<Outcome, Error> {
    start(order, store, Role::Persistent(lines.log, lines.network_log, lines.input))?.watch(&mut [attendant])
}

/// Runs one command in a sandbox that is there already. `order` is the sandbox's own but for the program, and what belongs to
/// it.
///
/// # Errors
///
/// As [`run`]; an error of the kind `out_of_reach`, when somebody inside has put himself out of reach of the command's limits.
pub fn join(
    order: &Order,
    store: Option<&Store>,
    joined: &Joined,
    delivery: Delivery,
    attendant: &mut dyn Attendant,
) -> Result<Outcome, Error> {
    let running = match start(order, store, Role::Leader(joined, delivery)) {
        // Nothing has run: a leader of our own takes its place.
        Err(_) if joined.leader_lost.take() => start(order, store, Role::Leader(joined, delivery)),
        started => started,
    };
    running?.watch(&mut [attendant])
}

/// The way that all of them take.
fn start(order: &Order, store: Option<&Store>, role: Role<'_>) -> Result<Running, Error> {
    check_order(order)?;
    let lease = images::lease(order, store)?;
    let image = root(order, lease.as_ref());
    let host = role.probe(&order.spec, image)?;
    let plan = role.plan(order, &host)?;
    launch::launch(order, lease, host, plan, role)
}

/// The plan that [`run`] would carry out, without carrying it out.
///
/// # Errors
///
/// `Invalid` and `Host`, as [`run`].
pub fn plan(order: &Order, store: Option<&Store>) -> Result<Plan, Error> {
    check_order(order)?;
    let lease = images::lease(order, store)?;
    Plan::new(order, &Host::probe(&order.spec, root(order, lease.as_ref()))?)
}

/// What the sandbox's root is made of; `None`: the machine's own files.
fn root(order: &Order, lease: Option<&Lease>) -> Option<Image> {
    order.bundle.as_ref().map(images::of_bundle).or_else(|| lease.map(|lease| lease.image.clone()))
}
