//! Running code in a sandbox that was ready before: its caller supervises it as any other, from the moment that it has it.

use super::acquire::acquire_streams;
use super::plan::Plan;
use super::report::Errand;
use super::role::{Delivery, Role};
use super::watch::{Attendant, First, Guards, Launched, Running};
use crate::cgroup::{self, Cgroup};
use crate::error::Error;
use crate::host::Host;
use crate::host::cgroup::{Cgroup as Place, Controllers, Place as Directory};
use crate::limits;
use crate::outcome::{Enforcements, Outcome};
use crate::spec::{CgroupParent, Order, Protection, Spec, check_order};
use crate::step::Steps;
use crate::sys::proc;
use crate::sys::signal::Listening;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::fmt;
use std::io::IoSlice;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::script::in_memory;

/// What a process that somebody else has waited for used, with all that it had waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// CPU time.
    pub cpu: Duration,
    /// Bytes of the largest process.
    pub largest: u64,
}

impl Waited {
    /// As the kernel would say it.
    pub fn usage(self) -> libc::rusage {
        let mut usage = proc::no_usage();
        usage.ru_utime.tv_sec = self.cpu.as_secs() as i64;
        usage.ru_utime.tv_usec = i64::from(self.cpu.subsec_micros());
        usage.ru_maxrss = (self.largest >> 10) as i64;
        usage
    }
}

/// Waits for a sandbox's first process, whose parent somebody else is; `None` where that cannot be told.
pub type Reaper = Box<dyn FnMut() -> Option<Waited>>;

/// A sandbox that was ready, with the process in it that waits for code.
pub struct Handed {
    /// The socket to its first process.
    pub control: OwnedFd,
    /// That process.
    pub pidfd: OwnedFd,
    /// The socket to the process that waits for code.
    pub socket: OwnedFd,
    /// Whether it shares memory with what it was copied from.
    pub shares: bool,
    /// Its `/`, its `/proc`, and lists of System V IPC.
    pub sights: Vec<OwnedFd>,
    /// The root file system, as results name it.
    pub image: String,
    /// How far each protection is enforced.
    pub enforcement: Enforcements,
    /// Its cgroup, and the controllers that hold limits there.
    pub cgroup: Option<(PathBuf, Controllers)>,
    /// Waits for its first process.
    pub reaper: Reaper,
}

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handed").field("image", &self.image).finish_non_exhaustive()
    }
}

impl Handed {
    /// The host as the sandbox's maker found it, as far as a supervisor needs it.
    fn host(&self, spec: &Spec) -> Result<Host, Error> {
        let unasked = Spec { cgroup_parent: Some(CgroupParent::Without), mounts: Vec::new(), ..spec.clone() };
        let mut host = Host::probe_to_join(&unasked, None)?;
        if let Some((directory, controllers)) = &self.cgroup {
            let directory = directory.parent().map(PathBuf::from).unwrap_or_default();
            host.cgroup = Place::In(Directory { directory, controllers: *controllers, crowded: false });
        }
        Ok(host)
    }

    fn plan(&self, order: &Order, host: &Host) -> Plan {
        let mut enforcement = self.enforcement.clone();
        enforcement.remove(&Protection::Timeout);
        let timeout = limits::enforcement(order, host, Protection::Timeout);
        enforcement.extend(timeout.map(|timeout| (Protection::Timeout, timeout)));
        Plan {
            steps: Steps::default(),
            namespaces: 0,
            cgroup: cgroup::plan(&order.spec, host),
            id_maps: None,
            image: self.image.clone(),
            stop_signal: None,
            enforcement,
        }
    }
}

/// Has `request` run by the process that waits, and says what came of it. `order` is that of the sandbox, with what belongs to this run
/// only.
///
/// # Errors
///
/// As of a command in a fresh sandbox.
pub fn take(
    order: &Order,
    handed: Handed,
    request: &[u8],
    delivery: Delivery,
    attendant: &mut dyn Attendant,
) -> Result<Outcome, Error> {
    let started = Instant::now();
    check_order(order)?;
    let host = handed.host(&order.spec)?;
    let plan = handed.plan(order, &host);
    let mut acquired = acquire_streams(order, &host, Role::Taken(delivery))?;
    let request = in_memory(request)?;
    let refused = |attempt: &str, errno: i32| Error::setup(attempt, errno);
    let listening = Listening::start().map_err(|errno| refused("listen to signals", errno))?;
    let Handed { control, pidfd, socket, shares, sights, cgroup, reaper, .. } = handed;
    let first = First::taken(pidfd, control, reaper);
    let cgroup = cgroup.map(|(directory, _)| Cgroup::adopt(directory));
    let launched = Launched {
        duty: Role::Taken(delivery).duty(order),
        capture: delivery.capture,
        relays: std::mem::take(&mut acquired.relays),
        started,
        first,
        guards: Guards { lease: None, listening, cgroup, network: None, terminal: None, publisher: None },
    };
    let mut running = Running::new(order, host, plan, launched);
    if let Err(errno) = running.take_over_spare(sights, shares) {
        return Err(running.abandon(refused("take over the sandbox's descriptors", errno)));
    }
    if let Some(timeout) = order.spec.timeout {
        let left = i32::try_from((timeout + super::launch::BACKSTOP).as_millis()).unwrap_or(i32::MAX);
        // A sandbox that has ended by now is seen to have.
        let _ = nix::unistd::write(running.control().as_fd(), &Errand::TimeLeft(left).encode());
    }
    let [input, output, error] = acquired.streams;
    let sent = [request.as_raw_fd(), input, output, error];
    let said = sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(b"run")],
        &[ControlMessage::ScmRights(&sent)],
        MsgFlags::MSG_NOSIGNAL,
        None,
    );
    if let Err(errno) = said {
        return Err(running.abandon(refused("hand the code to the warm interpreter", errno as i32)));
    }
    drop(acquired);
    drop(socket);
    running.watch(&mut [attendant])
}
