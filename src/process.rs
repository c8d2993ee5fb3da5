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
mod leader;
mod meter;
mod mount;
mod payload;
mod plan;
mod relay;
mod report;
mod tap;
mod throttle;
mod watch;

pub use meter::Nameless;
pub use plan::Plan;
pub use relay::Follower;
use watch::Nobody;
pub use watch::{Attendant, Running};

use crate::cgroup;
use crate::error::{Error, Failure};
use crate::host::cgroup::{Cgroup, Controllers, Place};
use crate::host::{Host, Image};
use crate::images::{self, Lease, Store};
use crate::outcome::{Enforcement, Enforcements, Outcome};
use crate::spec::{CgroupParent, Protection, Spec, check};
use crate::step::c_string;
use crate::sys::filesystem::reconfigure;
use crate::sys::{child as kernel, fd, worker};
use crate::{mounts, namespaces};
use nix::sys::signal::SigSet;
use nix::sys::wait::{WaitStatus, waitpid};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

/// How the caller wants the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// `true`: capture output into the outcome. `false`: the command writes where the caller does.
    pub capture: bool,
    /// Number of a step (from 1, init before payload) that is made to fail; for tests, in debug builds only.
    pub fail_step: Option<usize>,
}

/// What becomes of what the command writes.
struct Output {
    delivery: Delivery,
    /// Who is told it as it comes, instead of how `delivery` says.
    follower: Option<Follower>,
}

/// What a sandbox that lasts has for those who join it.
#[derive(Debug, Default)]
pub struct Held {
    /// Its namespaces, in the order of `namespaces::to_join`.
    pub namespaces: Vec<OwnedFd>,
    /// The user namespace of what runs in it, where it has a range of ids.
    pub users: Option<OwnedFd>,
    /// Its writable layer, where that is in memory: the directory as it is without what is mounted over it.
    pub writable: Option<OwnedFd>,
    /// Of a command that joined: whether its leader is inside.
    leader: bool,
}

/// What a command needs to join.
#[derive(Debug)]
pub struct Joined {
    /// Its namespaces, in the order of `namespaces::to_join`.
    pub namespaces: Vec<OwnedFd>,
    /// The user namespace of what runs in it, where it has a range of ids.
    pub users: Option<OwnedFd>,
    /// Its cgroup.
    pub cgroup: Option<OwnedFd>,
    /// Our own program, where that is to run: a sealed file in memory.
    pub program: Option<OwnedFd>,
    /// What is known of its protections.
    pub enforced: Enforcements,
    /// Of each of the spec's mounts, whether it is a directory.
    pub mount_is_directory: Vec<bool>,
}

/// Runs one command in a fresh sandbox and says what became of it. The sandbox is gone when this returns. Images are
/// looked up in `store`.
///
/// # Errors
///
/// `Invalid`, `Host` and `Setup`, when no command ran; nothing is left behind then either.
pub fn run(spec: &Spec, store: Option<&Store>, delivery: Delivery) -> Result<Outcome, Error> {
    begin(spec, store, Output { delivery, follower: None })
}

/// As [`run`] on the machine's own files, with `follower` told what the command writes to both streams, as it comes. It is
/// for commands of our own: what they write has no limit.
///
/// # Errors
///
/// As [`run`].
pub fn follow(spec: &Spec, follower: Follower) -> Result<Outcome, Error> {
    let delivery = Delivery { capture: true, fail_step: None };
    begin(spec, None, Output { delivery, follower: Some(follower) })
}

/// Makes a sandbox that lasts, and stays with it until it ends. What its own command writes is told to `follower`.
///
/// # Errors
///
/// As [`run`].
pub fn last(
    spec: &Spec,
    store: Option<&Store>,
    delivery: Delivery,
    follower: Follower,
    attendant: &mut dyn Attendant,
) -> Result<Outcome, Error> {
    check(spec)?;
    let lease = images::lease(spec, store)?;
    let image = root(spec, lease.as_ref());
    let host = cgroup::settle(spec, Host::probe(spec, image)?)?;
    let plan = Plan::new(spec, &host)?;
    let output = Output { delivery, follower: Some(follower) };
    launch::launch(spec, &host, plan, output, None)?.watch(attendant)
}

/// Runs one command in a sandbox that is there already. `spec` is the sandbox's own but for the program, and what belongs to
/// it.
///
/// # Errors
///
/// As [`run`]; an error of the kind `out_of_reach`, when somebody inside has put himself out of reach of the command's limits.
pub fn join(
    spec: &Spec,
    store: Option<&Store>,
    joined: &Joined,
    delivery: Delivery,
    attendant: &mut dyn Attendant,
) -> Result<Outcome, Error> {
    check(spec)?;
    let lease = images::lease(spec, store)?;
    // The sandbox has its cgroup and its mounts, whatever has become of them on the host.
    let unasked = Spec { cgroup_parent: Some(CgroupParent::Without), mounts: Vec::new(), ..spec.clone() };
    let mut host = Host::probe_to_join(&unasked, root(spec, lease.as_ref()))?;
    host.mount_is_directory.clone_from(&joined.mount_is_directory);
    if let Some(cgroup) = &joined.cgroup {
        host.cgroup = held(&joined.enforced);
        cgroup::approach(cgroup.as_fd())?;
    }
    if let Some(image) = &mut host.image {
        // It is of the sandbox's own command, and of no other.
        image.config.entrypoint.clear();
    }
    let plan = Plan::join(spec, &host, &namespaces::to_join(spec), &joined.enforced)?;
    let output = Output { delivery, follower: None };
    launch::launch(spec, &host, plan, output, Some(joined))?.watch(attendant)
}

fn begin(spec: &Spec, store: Option<&Store>, output: Output) -> Result<Outcome, Error> {
    check(spec)?;
    // Held until the sandbox is gone.
    let lease = images::lease(spec, store)?;
    let image = root(spec, lease.as_ref());
    let host = cgroup::settle(spec, Host::probe(spec, image)?)?;
    let plan = Plan::new(spec, &host)?;
    launch::launch(spec, &host, plan, output, None)?.watch(&mut Nobody)
}

/// Makes the writable layer of a sandbox larger whose files are in memory: its user and mount namespaces, the layer, and the bytes that
/// it may have from now on.
///
/// # Errors
///
/// `Setup`, where the kernel refuses it.
pub fn enlarge(places: [OwnedFd; 3], bytes: u64) -> Result<(), Error> {
    let failed = |errno| {
        Error::from(Failure { step: None, attempt: "enlarge the writable layer".to_owned(), errno, hint: None })
    };
    let mask = SigSet::thread_get_mask().map_err(|errno| failed(errno as i32))?;
    // Whoever has joined cannot come back, so that somebody else does it.
    let child = worker::start(&places, &mask, || match enlarge_inside(bytes) {
        Ok(()) => 0,
        Err(errno) => errno,
    });
    match waitpid(child.map_err(failed)?, None) {
        Ok(WaitStatus::Exited(_, 0)) => Ok(()),
        Ok(WaitStatus::Exited(_, errno)) => Err(failed(errno)),
        _ => Err(failed(libc::EIO)),
    }
}

/// The worker's part, with the three places as 0, 1 and 2. It runs nothing, and follows no name that the sandbox has made: above the
/// layer is the scaffold, which nobody inside can reach.
fn enlarge_inside(bytes: u64) -> Result<(), i32> {
    kernel::join_namespace(0, libc::CLONE_NEWUSER)?;
    kernel::join_namespace(1, libc::CLONE_NEWNS)?;
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let top = fd::own(kernel::open(2, c"..", flags, 0)?);
    let (size, inodes) = (c_string(bytes.to_string()), c_string(mounts::inodes(bytes).to_string()));
    reconfigure(top.as_fd(), &[(c"size", &size), (c"nr_inodes", &inodes)])
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

/// The cgroup of a sandbox that is joined, by what is known of its protections: what it holds is not held again.
fn held(enforced: &Enforcements) -> Cgroup {
    let by_cgroup = |protection| match enforced.get(&protection) {
        Some(Enforcement::By { by, .. }) => by == "cgroup",
        _ => false,
    };
    let controllers = Controllers {
        cpu: by_cgroup(Protection::Cpu),
        io: by_cgroup(Protection::DiskBandwidth),
        memory: by_cgroup(Protection::Memory),
        pids: by_cgroup(Protection::Pids),
    };
    Cgroup::In(Place { directory: PathBuf::new(), controllers, crowded: false })
}

/// What the sandbox's root is made of; `None`: the machine's own files.
fn root(spec: &Spec, lease: Option<&Lease>) -> Option<Image> {
    spec.bundle.as_ref().map(images::of_bundle).or_else(|| lease.map(|lease| lease.image.clone()))
}
