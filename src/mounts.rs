//! The root file system: what is seen inside, and what of it can be written.
//!
//! A tmpfs with the sandbox's quota of bytes and inodes, which is the writable layer; in it, read-only, the host's
//! `/usr` and what programs need of `/etc`, or below it, as an overlay, the layers of an image; `/dev` with six nodes; a fresh `/proc`, masked, with `/proc/sys`
//! read-only; of `/sys` only a few files of our own. Everything is made on a scaffold (one tmpfs, mounted over the host's `/proc` in the new mount
//! namespace, since nobody may ask for that to be shown inside), then pivot_root(2) leaves the host's tree behind.
//!
//! Promises: no mount is ever visible with fewer restrictions than it ends up with; no mount point is followed out
//! of the root; mounts go in the order of the spec.

mod bundle;
mod dev;
mod etc;
mod nested;
mod overlay;
mod proc;
mod tree;
mod views;

pub use proc::{plan_network, plan_seal};
pub use views::Cgroup;

use crate::host::{EntryKind, Host};
use crate::identity;
use crate::spec::{Bundle, Lasting, Order, Spec};
use crate::step::{Access, Step, Steps, c_string};
use overlay::Writable;
use std::path::Path;
use tree::Skeleton;

/// An inode for every this many bytes of quota, as tmpfs(5) has it for memory, and never fewer than the skeleton
/// needs.
const BYTES_PER_INODE: u64 = 4096;
const LEAST_INODES: u64 = 1024;

/// Inodes of the quota for `disk` bytes.
pub fn inodes(disk: u64) -> u64 {
    (disk / BYTES_PER_INODE).max(LEAST_INODES)
}

/// Directories that can be written inside, for the second layer too.
pub fn writable_directories(order: &Order, host: &Host) -> Vec<String> {
    // An image is the sandbox's own as a whole; what is not to be written is read-only by its mount.
    if host.image.is_some() {
        return vec!["/".to_owned()];
    }
    // Who joins as another user has no home there.
    let home = if order.is_guest() { "/tmp" } else { identity::home(identity::user(&order.spec, host), host) };
    let mut writable: Vec<String> = ["/tmp", "/var", "/run", "/mnt", "/opt", "/srv"].map(str::to_owned).to_vec();
    if !writable.iter().any(|directory| directory == home) {
        writable.push(home.to_owned());
    }
    let workdir = order.spec.workdir.as_deref().map_or(home.into(), Path::to_string_lossy);
    // Everything lies below `/`: to let it be written would be to have no second layer at all.
    let covered = |path: &str| {
        Path::new(path).parent().is_none()
            || ["/usr", "/etc"].iter().any(|top| path == *top || path.starts_with(&format!("{top}/")))
            || order.spec.mounts.iter().any(|mount| Path::new(path).starts_with(&mount.target))
    };
    if !covered(&workdir) && !writable.iter().any(|directory| Path::new(&*workdir).starts_with(directory)) {
        writable.push(workdir.into_owned());
    }
    writable.extend(
        order
            .spec
            .mounts
            .iter()
            .filter(|mount| mount.writable)
            .map(|mount| mount.target.to_string_lossy().into_owned()),
    );
    writable
}

/// Confines the payload to as many CPUs as it is shown.
pub fn plan_processors(spec: &Spec, host: &Host, steps: &mut Steps) {
    views::plan_processors(spec, host, &mut steps.payload);
}

/// Steps of pid 1, from the scaffold to the root that only has to be entered.
///
/// `code` is the step that brings a file of code in, told where the root is made.
pub fn plan(
    order: &Order,
    host: &Host,
    cgroup: Cgroup,
    code: impl FnOnce(&dyn Fn(&str) -> String) -> Option<Step>,
    steps: &mut Steps,
) {
    let init = &mut steps.init;
    init.push(Step::PrivateMounts);
    // The rest of the quota lies on file systems of their own.
    let disk =
        order.spec.layer().min(order.spec.disk - order.bundle.as_ref().map_or(0, Bundle::bytes).min(order.spec.disk));
    init.push(Step::Scaffold { options: c_string(format!("mode=0755,size={disk},nr_inodes={}", inodes(disk))) });
    let kept = order.lasting.as_ref().and_then(|lasting| lasting.kept.as_deref());
    let overlaid = host.image.is_some() || kept.is_some();
    let mut skeleton = if overlaid { Skeleton::upper() } else { Skeleton::new() };
    for name in ["root", tree::SEALED] {
        skeleton.scaffold_directory(name, 0o755);
    }
    skeleton.make.push(Step::Sealed);
    skeleton.sealed_directory("empty");
    skeleton.scaffold_directory("shm", 0o1777);
    bundle::make(order, host, &mut skeleton);
    skeleton.scaffold_file("null");
    if overlaid {
        overlay::plan(host.image.as_ref(), kept, order.lasting.is_some(), &mut skeleton);
    }
    if host.image.is_none() {
        system(host, &mut skeleton);
    }
    etc::plan(&order.spec, host, &mut skeleton);
    if host.image.is_none() {
        places(&order.spec, host, &mut skeleton);
    }
    dev::plan(&mut skeleton);
    skeleton.directory("proc", 0o755);
    views::plan(&order.spec, host, cgroup, &mut skeleton);
    mounts(order, host, &mut skeleton);
    if let Some(code) = code(&|path| skeleton.place_of(path)) {
        skeleton.directory("run/code", 0o755);
        skeleton.make.push(code);
    }
    own(&order.spec, host, &mut skeleton);
    let devices = skeleton.place_of("dev");
    init.extend(skeleton.make);
    if order.lasting.is_some() && kept.is_none() {
        init.push(Step::HoldWritable { path: c_string(if overlaid { overlay::APART } else { "root" }) });
    }
    let layer = match &order.lasting {
        None => Writable::Own,
        Some(Lasting { kept: None, .. }) => Writable::Apart,
        Some(Lasting { kept: Some(_), .. }) => Writable::Kept,
    };
    init.push(if overlaid { overlay::root(host.image.as_ref(), layer) } else { Step::Root });
    if host.image.is_some() {
        overlay::places(&order.spec, host, init);
    }
    init.extend(skeleton.show);
    init.push(Step::SealTrees);
    dev::plan_mounts(devices, init);
    init.extend(skeleton.mounts);
    nested::plan_devices(order, init);
    init.push(Step::MaskSources);
    bundle::seal(order.bundle.as_ref(), init);
    views::show_sys(cgroup, init);
    proc::plan(order, host, init);
    views::show_proc(host, init);
    nested::plan_proc(order, init);
}

/// Gives what pid 1 makes to whom it belongs.
fn own(spec: &Spec, host: &Host, skeleton: &mut Skeleton) {
    let home = identity::home(identity::user(spec, host), host);
    let homes = std::iter::once(Path::new(home)).chain(spec.workdir.as_deref());
    let homes: Vec<String> = homes.map(|path| path.to_string_lossy().trim_matches('/').to_owned()).collect();
    skeleton.own(identity::owner(spec, host), identity::owner_of_home(spec, host), &homes);
}

/// The host's programs and libraries.
fn system(host: &Host, skeleton: &mut Skeleton) {
    for entry in &host.top_level {
        match &entry.kind {
            EntryKind::Link(target) => skeleton.link(target, &entry.name),
            EntryKind::Directory => {
                skeleton.directory(&entry.name, 0o755);
                skeleton.show(&format!("/{}", entry.name), &entry.name);
            }
            EntryKind::File => {}
        }
    }
}

/// Directories that programs expect to find and to be able to write.
fn places(spec: &Spec, host: &Host, skeleton: &mut Skeleton) {
    for (path, mode) in [
        ("mnt", 0o755),
        ("opt", 0o755),
        ("run", 0o755),
        ("srv", 0o755),
        ("tmp", 0o1777),
        ("var", 0o755),
        ("var/cache", 0o755),
        ("var/lib", 0o755),
        ("var/log", 0o755),
        ("var/tmp", 0o1777),
    ] {
        skeleton.directory(path, mode);
    }
    skeleton.link("/run", "var/run");
    let home = identity::home(identity::user(spec, host), host).trim_start_matches('/');
    if home.starts_with("home/") {
        // Of several users none need know of the others.
        skeleton.directory("home", 0o711);
    }
    skeleton.directory(home, 0o700);
    if let Some(workdir) = &spec.workdir {
        skeleton.place(&workdir.to_string_lossy());
    }
}

/// The mounts of the spec, in its order.
fn mounts(order: &Order, host: &Host, skeleton: &mut Skeleton) {
    for (index, (mount, is_directory)) in order.spec.mounts.iter().zip(&host.mount_is_directory).enumerate() {
        bundle::show(index, order, host, &mut skeleton.mounts);
        if host.image.is_some() {
            let owner = identity::owner(&order.spec, host);
            overlay::place(&mount.target, 0o755, *is_directory, [owner; 2], &mut skeleton.mounts);
        } else {
            skeleton.mount_point(&mount.target.to_string_lossy(), *is_directory);
        }
        let access = if mount.writable { Access::ReadWrite } else { Access::ReadOnly };
        let (source, target) = (c_string(mount.source.as_os_str().as_encoded_bytes()), tree::relative(&mount.target));
        let below = mount.beneath.as_ref().map(|root| (root, mount.source.strip_prefix(root).unwrap_or(&mount.source)));
        skeleton.mounts.push(match below {
            None => Step::Bind { source, target, access },
            Some((root, below)) => Step::BindBeneath {
                root: c_string(root.as_os_str().as_encoded_bytes()),
                path: c_string(Path::new(".").join(below).as_os_str().as_encoded_bytes()),
                target,
                access,
            },
        });
    }
    bundle::show(order.spec.mounts.len(), order, host, &mut skeleton.mounts);
}
