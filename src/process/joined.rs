//! What a command needs to join a sandbox, and what of the host's facts the sandbox has settled already.

use super::ahead::Standing;
use super::plan::Plan;
use crate::error::Error;
use crate::host::cgroup::{Cgroup, Controllers, Place};
use crate::host::{Host, Image};
use crate::outcome::{Enforcement, Enforcements};
use crate::spec::{CgroupParent, Order, Protection, Spec};
use crate::{cgroup, namespaces};
use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

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
    /// A leader that stands inside, until it is given the command.
    pub leader: RefCell<Option<Standing>>,
    /// Whether it could not be given to it.
    pub leader_lost: Cell<bool>,
}

impl Joined {
    /// The leader that stands inside, for whoever gives it the command.
    pub(super) fn take_leader(&self) -> Option<Standing> {
        self.leader.take()
    }

    /// There was one that could not take it.
    pub(super) fn lose_leader(&self) {
        self.leader_lost.set(true);
    }

    /// The host as a command finds it that joins: the sandbox has its cgroup and its mounts, whatever has become of them outside.
    pub(super) fn probe(&self, spec: &Spec, image: Option<Image>) -> Result<Host, Error> {
        let unasked = Spec { cgroup_parent: Some(CgroupParent::Without), mounts: Vec::new(), ..spec.clone() };
        let mut host = Host::probe_to_join(&unasked, image)?;
        host.mount_is_directory.clone_from(&self.mount_is_directory);
        if let Some(cgroup) = &self.cgroup {
            host.cgroup = held(&self.enforced);
            cgroup::approach(cgroup.as_fd())?;
        }
        if let Some(image) = &mut host.image {
            // It is of the sandbox's own command, and of no other.
            image.config.entrypoint.clear();
        }
        Ok(host)
    }

    /// The way inside of a leader that waits there.
    pub(super) fn way_of_a_leader(&self, order: &Order, host: &Host) -> Plan {
        Plan::stand_by(order, host, &namespaces::to_join(order), &self.enforced)
    }

    pub(super) fn plan(&self, order: &Order, host: &Host) -> Result<Plan, Error> {
        if self.leader.borrow().is_some() {
            return Plan::lead(order, host, &self.enforced);
        }
        Plan::join(order, host, &namespaces::to_join(order), &self.enforced)
    }
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
