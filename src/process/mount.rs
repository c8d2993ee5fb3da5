//! Mounts, as pid 1 makes them: by descriptor, with their attributes set before anybody can see them, onto mount
//! points that are resolved without leaving the root.

use super::child::Walk;
use crate::step::Access;
use crate::sys::child::{self, CWD, Fd};
use core::ffi::CStr;

type Applied = Result<(), (u8, i32)>;

const ATTR_RDONLY: u64 = 0x1;
const ATTR_NOSUID: u64 = 0x2;
const ATTR_NODEV: u64 = 0x4;
const ATTR_NOEXEC: u64 = 0x8;

const RESOLVE_NO_XDEV: u64 = 0x01;
const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
const RESOLVE_NO_SYMLINKS: u64 = 0x04;
const RESOLVE_BENEATH: u64 = 0x08;
const RESOLVE_IN_ROOT: u64 = 0x10;

const AT_RECURSIVE: u32 = 0x8000;

/// `PROC_SUPER_MAGIC` of `linux/magic.h`.
const PROC_SUPER_MAGIC: i64 = 0x9fa0;

fn at<T>(stage: u8, answer: Result<T, i32>) -> Result<T, (u8, i32)> {
    answer.map_err(|errno| (stage, errno))
}

/// A detached copy of the tree at `source` with `attributes`, onto `target`.
fn attach(stage: u8, tree: Fd, attributes: u64, flags: u32, target: Fd) -> Applied {
    let attributes =
        libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    at(stage, child::set_mount_attributes(tree, flags, &attributes))?;
    at(stage + 1, child::attach_tree(tree, target))
}

/// The mount point `target` of the new root. Links are followed as they will be inside, never out of the root
/// (CVE-2021-30465, CVE-2024-45310).
fn mount_point(walk: &Walk, target: &CStr) -> Result<Fd, i32> {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    child::open_resolved(walk.root, target, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
}

/// Shows `source` at `target`.
pub fn bind(walk: &Walk, source: &CStr, target: &CStr, access: Access) -> Applied {
    let clone = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | AT_RECURSIVE;
    let tree = at(0, child::open_tree(CWD, source, clone))?;
    let attributes = match access {
        Access::ReadOnly => ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV,
        Access::ReadWrite => ATTR_NOSUID | ATTR_NODEV,
    };
    let private = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    at(1, child::set_mount_attributes(tree, AT_RECURSIVE, &private))?;
    let point = at(2, mount_point(walk, target))?;
    let result = at(3, child::attach_tree(tree, point));
    child::close(point);
    child::close(tree);
    result
}

/// Shows the host's device node `name`, after a look at its number: a host's `/dev` may itself be somebody's work
/// (CVE-2025-31133).
pub fn device(walk: &Walk, name: &CStr, (major, minor): (u32, u32)) -> Applied {
    let host = at(0, child::open(CWD, c"/dev", libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC, 0))?;
    let tree = at(0, child::open_tree(host, name, libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC))?;
    child::close(host);
    at(1, is_device(tree, major, minor))?;
    let dev = at(4, mount_point(walk, c"dev"))?;
    let point =
        at(4, child::open_resolved(dev, name, libc::O_PATH | libc::O_CLOEXEC, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS))?;
    let result = attach(3, tree, ATTR_RDONLY | ATTR_NOSUID | ATTR_NOEXEC, 0, point);
    child::close(dev);
    child::close(point);
    child::close(tree);
    result
}

fn is_device(fd: Fd, major: u32, minor: u32) -> Result<(), i32> {
    let status = child::status(fd)?;
    let right = status.st_mode & libc::S_IFMT == libc::S_IFCHR && status.st_rdev == libc::makedev(major, minor);
    if right { Ok(()) } else { Err(libc::ENXIO) }
}

/// Mounts a procfs of the new pid namespace and keeps hold of it.
pub fn proc(walk: &mut Walk) -> Applied {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    at(0, child::mount(c"proc", c"root/proc", c"proc", flags, c""))?;
    walk.proc = at(1, child::open(CWD, c"root/proc", libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC, 0))?;
    // Everything below is written and masked through this descriptor (CVE-2019-19921, CVE-2025-52881).
    match at(1, child::file_system_magic(walk.proc))? {
        PROC_SUPER_MAGIC => Ok(()),
        _ => Err((1, libc::ENOTSUP)),
    }
}

/// An entry of the procfs itself: no link, and nothing that is mounted on it.
fn entry(walk: &Walk, name: &CStr, flags: i32) -> Result<Fd, i32> {
    let resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    child::open_resolved(walk.proc, name, flags | libc::O_CLOEXEC, resolve)
}

/// Covers an entry of the procfs by an empty directory or by `/dev/null`.
pub fn mask(walk: &Walk, name: &CStr, directory: bool) -> Applied {
    let point = at(0, entry(walk, name, libc::O_PATH | libc::O_NOFOLLOW))?;
    let source = if directory { c"empty" } else { c"/dev/null" };
    let tree = at(2, child::open_tree(CWD, source, libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC))?;
    if !directory {
        at(1, is_device(tree, 1, 3))?;
    }
    let result = attach(3, tree, ATTR_RDONLY | ATTR_NOSUID | ATTR_NOEXEC, 0, point);
    child::close(point);
    child::close(tree);
    result
}

/// Writes a setting of the new namespaces.
pub fn setting(walk: &Walk, name: &CStr, value: &CStr) -> Applied {
    let settings = at(0, entry(walk, c"sys", libc::O_PATH | libc::O_DIRECTORY))?;
    let resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    let fd = at(0, child::open_resolved(settings, name, libc::O_WRONLY | libc::O_CLOEXEC, resolve))?;
    let result = at(1, child::write(fd, value.to_bytes())).map(|_| ());
    child::close(fd);
    child::close(settings);
    result
}

/// `/proc/sys` once more on itself, read-only: some of its files belong to the sandbox's own root.
pub fn seal_settings(walk: &Walk) -> Applied {
    let point = at(0, entry(walk, c"sys", libc::O_PATH | libc::O_DIRECTORY))?;
    let tree = at(2, child::open_tree(walk.proc, c"sys", libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC))?;
    let result = attach(3, tree, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC, 0, point);
    child::close(point);
    child::close(tree);
    result
}
