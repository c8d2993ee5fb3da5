//! The seven namespaces: user, mount, pid, uts, ipc, cgroup and, unless the host's network is asked for, net.
//!
//! The network namespace is the one that costs (a third of a millisecond); it is made by the payload's process
//! while pid 1 mounts, and pid 1 joins it before the payload goes on. The cgroup namespace begins where its maker is at
//! that time, and so pid 1 makes it when it is in the sandbox's cgroup.

use crate::host::Host;
use crate::spec::{Network, Order, Spec};
use crate::step::{Step, Steps, c_string};

/// Namespaces made by the clone of pid 1.
pub const OF_THE_CLONE: i32 =
    libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;

/// Starts the payload's process, which prepares its network meanwhile. With a range of ids that process comes later,
/// into a user namespace to which nothing belongs, and pid 1 prepares the network while the supervisor has the ids mapped.
pub fn plan_start(spec: &Spec, host: &Host, steps: &mut Steps) {
    steps.init.push(Step::NewCgroups);
    if host.ranges.is_some() {
        if own_network(spec) {
            steps.init.extend([Step::NewNetwork, Step::LoopbackUp]);
        }
        return;
    }
    steps.init.push(Step::StartPayload { namespaces: 0 });
    if own_network(spec) {
        steps.payload.extend([Step::NewNetwork, Step::LoopbackUp]);
    }
}

/// Whoever made the network has prepared it.
pub fn plan_ready(spec: &Spec, host: &Host, steps: &mut Steps) {
    if own_network(spec) && host.ranges.is_none() {
        steps.payload.push(Step::NetworkReady);
    }
}

/// The host name.
pub fn plan_host_name(spec: &Spec, steps: &mut Steps) {
    steps.init.push(Step::HostName(c_string(spec.hostname.clone())));
}

/// pid 1 joins the network, as soon as it is ready.
pub fn plan_join(spec: &Spec, host: &Host, steps: &mut Steps) {
    if own_network(spec) && host.ranges.is_none() {
        steps.init.push(Step::JoinNetwork);
    }
}

/// The namespaces of a sandbox that others will join, in the order in which they do: the user namespace gives the right to the
/// others. None, where nobody will.
pub fn to_join(order: &Order) -> Vec<i32> {
    if order.lasting.is_none() {
        // Whoever reaches a published port joins these two.
        return match order.spec.publish.is_empty() {
            true => Vec::new(),
            false => vec![libc::CLONE_NEWUSER, libc::CLONE_NEWNET],
        };
    }
    let mut kinds = vec![
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWCGROUP,
    ];
    if own_network(&order.spec) {
        kinds.push(libc::CLONE_NEWNET);
    }
    kinds
}

/// Whether the sandbox has a network namespace of its own.
pub fn own_network(spec: &Spec) -> bool {
    match spec.net {
        Network::None | Network::Open | Network::Only => true,
        Network::Host => false,
    }
}
