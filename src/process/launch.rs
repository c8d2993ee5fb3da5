//! Launch: acquire, clone, and what the supervisor has to do before the child can go on.

use super::acquire::{Acquired, acquire};
use super::ahead::Standing;
use super::child::{Context, Duty};
use super::given::{Place, Room, room};
use super::joined::Joined;
use super::meeting::Meeting;
use super::network::Network;
use super::plan::Plan;
use super::publish::Publisher;
use super::role::{Delivery, Output, Role};
use super::watch::{First, Guards, Launched, Running};
use super::{ids, init};
use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::host::{Host, diagnose};
use crate::images::Lease;
use crate::spec::Order;
use crate::sys::proc;
use crate::sys::signal::Listening;
use core::ffi::c_char;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::time::TimeSpec;
use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// Bytes of the payload's stack until it executes. Debug builds keep every local of every step apart.
const STACK: usize = 256 << 10;

/// The deadline is the supervisor's to keep. When that is away from its clock, since somebody made it hard to see what is used,
/// pid 1 or the leader keeps it so much later.
pub(super) const BACKSTOP: Duration = Duration::from_millis(50);

/// Clones pid 1 and sets it going.
///
/// # Errors
///
/// `Invalid` for a file that cannot be opened, `Host` when the kernel gives no namespaces, `Setup` otherwise.
pub fn launch(order: &Order, lease: Option<Lease>, host: Host, plan: Plan, role: Role<'_>) -> Result<Running, Error> {
    let started = Instant::now();
    let delivery = role.delivery();
    let purpose = Purpose {
        started,
        capture: delivery.capture,
        duty: role.duty(order),
        joined: role.joined(),
        until: order.spec.timeout.and_then(|timeout| (started + BACKSTOP).checked_add(timeout)),
        fail_step: delivery.fail_step,
        given: None,
    };
    let mut acquired = acquire(order, &host, &plan, role)?;
    // The ports are the sandbox's, and open as long as it is there, whoever joins.
    let publisher = if purpose.duty == Duty::Lead { None } else { Publisher::of(&order.spec)? };
    if let Some(standing) = purpose.joined.and_then(Joined::take_leader) {
        let way = Way { lease, host, plan, purpose };
        return hand_over(order, standing, acquired, way);
    }
    let network_log = acquired.network_log.take();
    let mut launched = clone_first(&host, &plan, acquired, &purpose)?;
    (launched.guards.lease, launched.guards.publisher) = (lease, publisher);
    // While pid 1 makes the root.
    let network = Network::start(&order.spec, &host, network_log);
    let mut running = Running::new(order, host, plan, launched);
    match network {
        Ok(network) => running.serve_network(network),
        Err(error) => return Err(running.abandon(error)),
    }
    map_ids(running)
}

/// The same for a command that is not known yet, which comes to the place that is answered: pid 1 waits for it before it releases the
/// payload, and what `plan` says of the command is not done. There is no network that we serve.
///
/// # Errors
///
/// As [`launch`].
pub fn launch_ahead(order: &Order, host: Host, plan: Plan, delivery: Delivery) -> Result<(Running, Place), Error> {
    let acquired = acquire(order, &host, &plan, Role::Command(Output::Deliver(delivery)))?;
    let (room, place) = room();
    let purpose = Purpose {
        started: Instant::now(),
        capture: delivery.capture,
        duty: Duty::Run,
        joined: None,
        until: None,
        fail_step: None,
        given: Some(&room),
    };
    let launched = clone_first(&host, &plan, acquired, &purpose)?;
    Ok((map_ids(Running::new(order, host, plan, launched))?, place))
}

/// Clones pid 1, or the messenger.
fn clone_first(host: &Host, plan: &Plan, mut acquired: Acquired, purpose: &Purpose<'_>) -> Result<Launched, Error> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .map_err(|errno| refused("make a socket pair", errno as i32))?;
    let keep = |fd| crate::sys::fd::above_standard(fd).map_err(|errno| refused("move a descriptor", errno));
    let (ours, theirs) = (keep(ours)?, keep(theirs)?);
    proc::be_dumpable();
    crate::sys::fd::raise_limit();
    let listening = Listening::start().map_err(|errno| refused("listen to signals", errno))?;
    let cloned = as_owner(host, || clone_init(plan, &acquired, &theirs, purpose));
    drop(theirs);
    acquired.child_ends.clear();
    let (pid, pidfd) = match cloned {
        Ok(child) => child,
        Err(errno) => {
            // Putting the mask back cannot fail for a mask that the kernel gave us.
            let _ = listening.close();
            return Err(diagnose::clone_refused(errno));
        }
    };
    let first = match purpose.duty {
        Duty::Run | Duty::Wait | Duty::Spare => First::init(pid, pidfd, ours),
        Duty::Lead => First::messenger(pid, pidfd, ours),
    };
    let Acquired { cgroup, relays, .. } = acquired;
    let guards = Guards { lease: None, listening, cgroup, network: None, terminal: None, publisher: None };
    let Purpose { duty, capture, started, .. } = *purpose;
    Ok(Launched { duty, capture, relays, started, first, guards })
}

/// All that a launch has come to before anybody is cloned.
struct Way<'a> {
    lease: Option<Lease>,
    host: Host,
    plan: Plan,
    purpose: Purpose<'a>,
}

/// Gives the command to a leader that stands inside. Where that cannot take it, nothing has run.
fn hand_over(order: &Order, standing: Standing, mut acquired: Acquired, way: Way<'_>) -> Result<Running, Error> {
    let Way { lease, host, plan, purpose } = way;
    crate::sys::fd::raise_limit();
    let listening = Listening::start().map_err(|errno| refused("listen to signals", errno))?;
    let handed = standing.hand(order, &acquired, purpose.until);
    acquired.child_ends.clear();
    match handed {
        Ok(()) => {
            let first = First::standing(standing.leader, standing.control);
            let guards = Guards { lease, listening, cgroup: None, network: None, terminal: None, publisher: None };
            let Purpose { capture, started, .. } = purpose;
            let launched = Launched { duty: Duty::Lead, capture, relays: acquired.relays, started, first, guards };
            Ok(Running::new(order, host, plan, launched))
        }
        Err(error) => {
            // As where it cannot be cloned.
            let _ = listening.close();
            if let Some(joined) = purpose.joined {
                joined.lose_leader();
            }
            Err(error)
        }
    }
}

/// Makes a namespace of users whose owner is the user of the sandbox. That is the caller, but for root inside of a template.
fn as_owner<T>(host: &Host, clone: impl FnOnce() -> Result<T, i32>) -> Result<T, i32> {
    let (Some([uid, _]), true) = (host.nested, host.real_root) else { return clone() };
    let errno = |errno: nix::errno::Errno| errno as i32;
    crate::sys::child::keep_capabilities()?;
    nix::unistd::seteuid(uid.into()).map_err(errno)?;
    // A change of ids takes it back.
    proc::be_dumpable();
    let cloned = clone();
    nix::unistd::seteuid(host.uid.into()).map_err(errno)?;
    cloned
}

/// What the first process is there for, and what it joins.
struct Purpose<'a> {
    started: Instant,
    /// Whether output goes into the outcome.
    capture: bool,
    duty: Duty,
    joined: Option<&'a Joined>,
    /// When it ends the command by itself.
    until: Option<Instant>,
    /// The step that a test wants to fail.
    fail_step: Option<usize>,
    /// Where the command is read to, where it is not known yet.
    given: Option<&'a Room>,
}

fn refused(attempt: &str, errno: i32) -> Error {
    Error::setup(attempt, errno)
}

/// Prepares every byte that the child will touch, and clones.
fn clone_init(
    plan: &Plan,
    acquired: &Acquired,
    control: &OwnedFd,
    purpose: &Purpose<'_>,
) -> Result<(i32, OwnedFd), i32> {
    let Purpose { duty, joined, until, fail_step, given, .. } = *purpose;
    let number = |fd: &Option<OwnedFd>| fd.as_ref().map_or(-1, |fd| fd.as_raw_fd());
    let (ruleset, code) = (number(&acquired.ruleset), number(&acquired.code));
    let mut kept: Vec<RawFd> = acquired.streams.to_vec();
    let cgroup = acquired.cgroup.as_ref().and_then(Cgroup::descriptor);
    let cgroup = cgroup.or_else(|| joined.and_then(|joined| joined.cgroup.as_ref().map(|cgroup| cgroup.as_fd())));
    let namespaces: Vec<RawFd> = joined
        .iter()
        .flat_map(|joined| joined.namespaces.iter().chain(&joined.users))
        .map(|fd| fd.as_raw_fd())
        .collect();
    let cgroup_number = cgroup.map_or(-1, |cgroup| cgroup.as_raw_fd());
    kept.extend([control.as_raw_fd(), ruleset, code, cgroup_number]);
    kept.extend(&namespaces);
    let foreign = gaps(kept);
    let (arguments, environment) = words(plan);
    let mut stack = stack();
    let context = Context {
        init: &plan.steps.init,
        payload: &plan.steps.payload,
        control: control.as_raw_fd(),
        foreign: &foreign,
        duty,
        namespaces: &namespaces,
        ruleset,
        cgroup: cgroup_number,
        code,
        time_left: until.map(|until| *TimeSpec::from(until.saturating_duration_since(Instant::now())).as_ref()),
        streams: acquired.streams,
        arguments: arguments.as_ptr(),
        environment: environment.as_ptr(),
        command_line: proc::command_line()?,
        given,
        stack_top: top(&mut stack),
        tells_usage: false,
        fail: fail_step.and_then(|number| fail(plan, number)),
        meeting: Meeting::default(),
    };
    // Of one that begins as somebody else the kernel would ask whether that may put it there.
    let own = nix::unistd::geteuid() == nix::unistd::getuid();
    init::start(&context, plan.namespaces, cgroup.filter(|_| own))
}

/// Memory for the payload until it executes.
pub(super) fn stack() -> Vec<u8> {
    vec![0u8; STACK]
}

/// Its upper end, as the ABI wants it: a multiple of 16.
pub(super) fn top(stack: &mut [u8]) -> *mut core::ffi::c_void {
    (stack.as_mut_ptr_range().end as usize & !15) as *mut core::ffi::c_void
}

/// The step that a test wants to fail, as list and index.
fn fail(plan: &Plan, number: usize) -> Option<(bool, usize)> {
    let index = number.checked_sub(1)?;
    let init = plan.steps.init.len();
    Some(if index < init { (false, index) } else { (true, index - init) })
}

/// `argv` and `envp`.
pub(super) fn words(plan: &Plan) -> (Vec<*const c_char>, Vec<*const c_char>) {
    match plan.command() {
        Some(command) => (pointers(&command.arguments), pointers(&command.environment)),
        None => (pointers(&[]), pointers(&[])),
    }
}

/// A null-terminated array of pointers.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([core::ptr::null()]).collect()
}

/// Ranges of numbers above 2 that are not kept.
fn gaps(mut kept: Vec<RawFd>) -> Vec<(u32, u32)> {
    kept.sort_unstable();
    kept.dedup();
    let mut gaps = Vec::new();
    let mut first = 3u32;
    for fd in kept.into_iter().filter_map(|fd| u32::try_from(fd).ok()).filter(|fd| *fd > 2) {
        if fd > first {
            gaps.push((first, fd - 1));
        }
        first = fd + 1;
    }
    gaps.push((first, u32::MAX));
    gaps
}

/// Who maps ids that are not the caller's stands outside; then the child goes on.
fn map_ids(mut running: Running) -> Result<Running, Error> {
    let Some(maps) = running.id_maps() else { return Ok(running) };
    let mapped = ids::write(running.seen_pid(), &maps).and_then(|()| {
        let errno = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EIO);
        running.hold_user_namespace().map_err(|error| refused("open pid 1's user namespace", errno(error)))
    });
    let released = || {
        nix::unistd::write(running.control().as_fd(), &[0])
            .map(|_| ())
            .map_err(|errno| diagnose::ids_refused("release pid 1", errno as i32))
    };
    match mapped.and_then(|()| released()) {
        Ok(()) => Ok(running),
        Err(error) => Err(running.abandon(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_kept_stays_open() {
        assert_eq!(gaps(vec![0, 1, 2, 7, 5, -1]), vec![(3, 4), (6, 6), (8, u32::MAX)]);
        assert_eq!(gaps(vec![3]), vec![(4, u32::MAX)]);
    }
}
