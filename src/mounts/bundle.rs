//! What a bundle wants done to its root, beyond what every image gets.

use super::{inodes, overlay, tree};
use crate::host::Host;
use crate::identity;
use crate::spec::{Bundle, Order, Tmpfs};
use crate::step::{Access, Step, c_string};
use std::path::Path;
use tree::Skeleton;

/// Where shared memory lies on the scaffold.
const SHARED_MEMORY: &str = "/dev/shm";

/// Its empty directories, each with a file system of its own where it has a size of its own.
pub fn make(order: &Order, host: &Host, skeleton: &mut Skeleton) {
    let Some(bundle) = &order.bundle else { return };
    if !bundle.tmpfs.is_empty() {
        skeleton.scaffold_directory("tmpfs", 0o755);
    }
    for (number, tmpfs) in bundle.tmpfs.iter().enumerate() {
        let path = place_of(tmpfs, number);
        if path != "shm" {
            skeleton.scaffold_directory(&path, tmpfs.mode);
        }
        if let Some(bytes) = tmpfs.bytes {
            let mut options = format!("mode={:04o},size={bytes},nr_inodes={}", tmpfs.mode, inodes(bytes));
            if let Some(owner) = identity::owner(&order.spec, host) {
                options = format!("{options},uid={},gid={}", owner.uid, owner.gid);
            }
            let (path, options) = (c_string(path), c_string(options));
            skeleton.make.push(Step::Tmpfs { path, executable: tmpfs.executable, options });
        }
    }
}

/// Shows those that come after `count` mounts of the spec.
pub fn show(count: usize, order: &Order, host: &Host, steps: &mut Vec<Step>) {
    let Some(bundle) = &order.bundle else { return };
    let here = bundle.tmpfs.iter().enumerate().filter(|(_, tmpfs)| tmpfs.after == count);
    for (number, tmpfs) in here.filter(|(_, tmpfs)| tmpfs.target != Path::new(SHARED_MEMORY)) {
        overlay::place(&tmpfs.target, 0o755, true, [identity::owner(&order.spec, host); 2], steps);
        steps.push(Step::Bind {
            source: c_string(place_of(tmpfs, number)),
            target: tree::relative(&tmpfs.target),
            access: Access::ReadWrite,
        });
    }
}

fn place_of(tmpfs: &Tmpfs, number: usize) -> String {
    if tmpfs.target == Path::new(SHARED_MEMORY) { "shm".to_owned() } else { format!("tmpfs/{number}") }
}

/// Covers and seals, after everything that is mounted below the root, and as long as the working directory is the scaffold.
pub fn seal(bundle: Option<&Bundle>, init: &mut Vec<Step>) {
    let Some(bundle) = bundle else { return };
    init.extend(bundle.sealed.iter().map(|path| Step::SealPath { path: tree::relative(path) }));
    init.extend(bundle.masked.iter().map(|path| Step::Cover { path: tree::relative(path) }));
    if bundle.read_only {
        init.push(Step::SealRoot);
    }
}
