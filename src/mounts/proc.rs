//! `/proc`: fresh, of the new pid namespace; what tells of the host is masked, `/proc/sys` read-only.
//!
//! Before that, the settings of the new namespaces are written: each bounds what a sandbox can take of the kernel, of the user or
//! of the machine where no other limit reaches.

use crate::host::{EntryKind, Host};
use crate::spec::{Order, Privileges, Seccomp};
use crate::step::{Scope, Step, c_string};
use std::ffi::CStr;

/// Of the user's quota, which all sandboxes of a user share: an eighth of the usual 128, and watches for a large tree.
const USERS: [(&CStr, &CStr); 2] =
    [(c"sys/user/max_inotify_instances", c"16"), (c"sys/user/max_inotify_watches", c"16384")];

/// Programs inside may have any port, which is theirs alone. What waits in a connection to oneself is taken from what the
/// machine has for all connections together.
const NETWORK: [(&CStr, &CStr); 3] = [
    (c"net/ipv4/ip_unprivileged_port_start", c"0"),
    (c"net/ipv4/tcp_wmem", c"4096 16384 131072"),
    (c"net/ipv4/tcp_rmem", c"4096 131072 131072"),
];

fn write(settings: &[(&CStr, &CStr)], of: Scope, init: &mut Vec<Step>) {
    init.extend(settings.iter().map(|(name, value)| Step::Setting {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
        of,
    }));
}

/// Steps of pid 1, after the root is there.
pub fn plan(order: &Order, host: &Host, init: &mut Vec<Step>) {
    init.push(Step::Proc);
    // Nested user namespaces are impossible twice over: by the filter, and by this count, which belongs to the
    // new user namespace. With a range of ids one more is made, the payload's.
    let count = match order.warm {
        // Those of its runs: in this one nobody can make any, by the filter alone.
        Some(_) => c"1024",
        None if host.ranges.is_some() => c"1",
        None => c"0",
    };
    write(&[(c"sys/user/max_user_namespaces", count)], Scope::Users, init);
    write(&USERS, Scope::Users, init);
    init.push(Step::SealSettings);
    for entry in &host.masks {
        init.push(Step::Mask { name: c_string(entry.name.clone()), directory: entry.kind == EntryKind::Directory });
    }
}

/// Steps of pid 1 when it is in the sandbox's root, and in the `network` that it has of its own, if it has. The group `pings` may send
/// echo requests without a raw socket, which nobody may without being told (icmp(7)).
pub fn plan_network(network: bool, pings: Option<u32>, host: &Host, init: &mut Vec<Step>) {
    if network {
        write(&NETWORK, Scope::Network, init);
    }
    init.extend(pings.map(|group| Step::Setting {
        name: c"net/ipv4/ping_group_range".to_owned(),
        value: c_string(format!("{group} {group}")),
        of: Scope::Network,
    }));
    // The settings of IPC only the namespace's user 0 may write, and most sandboxes have none. A cgroup counts it, else we do.
    if !host.cgroup.controllers().memory {
        init.push(Step::HoldIpc);
    }
}

/// The last of `/proc`: whoever debugs writes the memory of others in it, and who builds has it twice.
pub fn plan_seal(order: &Order, init: &mut Vec<Step>) {
    let debugs = matches!(&order.spec.seccomp, Seccomp::Builtin(name) if name == "debug");
    if !debugs && !matches!(order.privileges, Privileges::Build { .. }) {
        init.push(Step::SealProc);
    }
}
