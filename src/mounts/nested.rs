//! A root that is built inside: it has the sandbox's devices and its `/proc` too, for those who chroot(2) into it.
//!
//! Whoever builds may not mount, so it is done for him, on mount points that he has to have made before the start. Nothing is
//! shown there that is not in the sandbox anyway.

use super::{dev, tree};
use crate::spec::{Order, Privileges};
use crate::step::{Access, Step, c_string};
use std::path::Path;

/// The devices, after `/dev` is what it stays, and after the mounts of the spec: the root lies on one.
pub fn plan_devices(order: &Order, init: &mut Vec<Step>) {
    let Privileges::Build { root } = &order.privileges else { return };
    for (name, _) in dev::NODES {
        init.push(again(&format!("root/dev/{name}"), &root.join("dev").join(name)));
    }
}

/// `/proc`, after it has its masks. The working directory is the procfs by now, and the scaffold lies on the host's.
pub fn plan_proc(order: &Order, init: &mut Vec<Step>) {
    let Privileges::Build { root } = &order.privileges else { return };
    init.push(again("/proc/root/proc", &root.join("proc")));
}

fn again(source: &str, target: &Path) -> Step {
    Step::Bind { source: c_string(source), target: tree::relative(target), access: Access::Again }
}
