//! `/dev`: six nodes of the host, a devpts and a `/dev/shm` of the sandbox's own, and the usual links.

use super::tree::Skeleton;
use crate::step::{Step, c_string};

/// The nodes: name, major and minor number (Documentation/admin-guide/devices.txt of the kernel).
pub const NODES: [(&str, (u32, u32)); 6] =
    [("full", (1, 7)), ("null", (1, 3)), ("random", (1, 8)), ("tty", (5, 0)), ("urandom", (1, 9)), ("zero", (1, 5))];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "dev/fd"),
    ("/proc/self/fd/0", "dev/stdin"),
    ("/proc/self/fd/1", "dev/stdout"),
    ("/proc/self/fd/2", "dev/stderr"),
    ("pts/ptmx", "dev/ptmx"),
];

/// Directories, links and mount points.
pub fn plan(skeleton: &mut Skeleton) {
    skeleton.directory("dev", 0o755);
    skeleton.directory("dev/pts", 0o755);
    skeleton.directory("dev/shm", 0o1777);
    for (name, _) in NODES {
        skeleton.empty_file(&format!("dev/{name}"));
    }
    for (target, path) in LINKS {
        skeleton.link(target, path);
    }
}

/// `/dev` itself and its nodes, read-only; then what can be written in it.
pub fn plan_mounts(source: String, init: &mut Vec<Step>) {
    init.push(Step::Show { source: c_string(source), target: c"root/dev".to_owned() });
    init.push(Step::OpenDevices);
    for (name, number) in NODES {
        init.push(Step::Device { name: c_string(name), number });
    }
    init.push(Step::SealDevices);
    init.push(Step::Terminals);
    // In the same tmpfs as the writable layer, so that one quota covers both.
    init.push(Step::Show { source: c"shm".to_owned(), target: c"root/dev/shm".to_owned() });
}
