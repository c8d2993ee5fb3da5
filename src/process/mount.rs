//! Mounts, as pid 1 makes them. What the spec asks for goes by descriptor, onto mount points that are resolved
//! without leaving the root. All attributes are set long before anybody inside can look.

use super::child::Walk;
use super::report::{Applied, Stop, at};
use crate::spec::User;
use crate::step::{Access, Call, Scope};
use crate::sys::child::{self, CWD, Fd};
use core::ffi::CStr;

const ATTR_RDONLY: u64 = 0x1;
const ATTR_NOSUID: u64 = 0x2;
const ATTR_NODEV: u64 = 0x4;
const ATTR_NOEXEC: u64 = 0x8;

const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
const RESOLVE_NO_SYMLINKS: u64 = 0x04;
const RESOLVE_BENEATH: u64 = 0x08;
const RESOLVE_IN_ROOT: u64 = 0x10;

const AT_RECURSIVE: u32 = 0x8000;

/// `PROC_SUPER_MAGIC` of `linux/magic.h`.
const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// Sets attributes of the mount at `path` below `directory`; an empty path means `directory` itself.
fn set(directory: Fd, path: &CStr, flags: u32, set: u64, clear: u64) -> Result<(), i32> {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: clear, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    child::set_mount_attributes(directory, path, flags, &attributes)
}

/// The mount point `target` of the new root. Links are followed as they will be inside, never out of the root
/// (CVE-2021-30465, CVE-2024-45310).
fn mount_point(walk: &Walk, target: &CStr) -> Result<Fd, i32> {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    child::open_resolved(walk.root, target, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
}

/// Step `Overlay`.
pub fn overlay(walk: &mut Walk, options: &CStr) -> Applied {
    at(Call::Mount, child::mount(c"overlay", c"root", c"overlay", libc::MS_NOSUID | libc::MS_NODEV, options))?;
    walk.root = at(Call::Open, child::open(CWD, c"root", libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC, 0))?;
    Ok(())
}

/// Step `Place`. Links of the image are followed as they will be inside, never out of the root.
pub fn place(walk: &Walk, path: &CStr, mode: u32, directory: bool, owner: Option<User>) -> Applied {
    match mount_point(walk, path) {
        Ok(there) => {
            child::close(there);
            return Ok(());
        }
        Err(libc::ENOENT) => {}
        Err(errno) => return Err(Stop::at(Call::Look, errno)),
    }
    let bytes = path.to_bytes_with_nul();
    let slash = bytes.iter().rposition(|byte| *byte == b'/');
    let mut buffer = [0; libc::PATH_MAX as usize];
    let (parent, name) = match slash {
        Some(slash) => {
            buffer
                .get_mut(..slash)
                .ok_or(Stop::at(Call::OpenParent, libc::ENAMETOOLONG))?
                .copy_from_slice(&bytes[..slash]);
            (
                CStr::from_bytes_until_nul(&buffer).map_err(|_| Stop::at(Call::OpenParent, libc::ENAMETOOLONG))?,
                &bytes[slash + 1..],
            )
        }
        None => (c".", bytes),
    };
    let name = CStr::from_bytes_with_nul(name).map_err(|_| Stop::at(Call::Make, libc::EINVAL))?;
    let parent = at(Call::OpenParent, mount_point(walk, parent))?;
    let made = if directory { child::make_directory(parent, name, mode) } else { child::make_file(parent, name, mode) };
    let given = match (made, owner) {
        (Err(errno), _) => Err(Stop::at(Call::Make, errno)),
        (Ok(()), Some(User { uid, gid })) => at(Call::GiveAway, child::change_owner(parent, name, uid, gid)),
        (Ok(()), None) => Ok(()),
    };
    child::close(parent);
    given
}

/// Step `Give`.
pub fn give(walk: &Walk, path: &CStr, User { uid, gid }: User) -> Applied {
    let directory = at(Call::Open, mount_point(walk, path))?;
    let given = at(Call::ChangeOwner, child::change_owner(directory, c"", uid, gid));
    child::close(directory);
    given
}

/// Shows `source` at `target`.
pub fn bind(walk: &Walk, source: &CStr, target: &CStr, access: Access) -> Applied {
    let clone = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | AT_RECURSIVE;
    let tree = at(Call::OpenTree, child::open_tree(CWD, source, clone))?;
    attach(walk, tree, target, access)
}

/// Step `BindBeneath`.
pub fn bind_beneath(walk: &Walk, root: &CStr, path: &CStr, target: &CStr, access: Access) -> Applied {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    let top = at(Call::OpenVolume, child::open(CWD, root, flags | libc::O_DIRECTORY, 0))?;
    let below = child::open_resolved(top, path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    child::close(top);
    let below = at(Call::OpenBeneath, below)?;
    let clone = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | AT_RECURSIVE | libc::AT_EMPTY_PATH as u32;
    let tree = at(Call::OpenTree, child::open_tree(below, c"", clone));
    child::close(below);
    attach(walk, tree?, target, access)
}

/// Gives a tree that nobody sees its attributes, and shows it.
fn attach(walk: &Walk, tree: child::Fd, target: &CStr, access: Access) -> Applied {
    let attributes = match access {
        Access::ReadOnly => ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV,
        Access::ReadWrite => ATTR_NOSUID | ATTR_NODEV,
        Access::Again => ATTR_NOSUID,
    };
    at(Call::SetAttributes, set(tree, c"", AT_RECURSIVE, attributes, 0))?;
    let point = at(Call::OpenMountPoint, mount_point(walk, target))?;
    let result = at(Call::MoveMount, child::attach_tree(tree, point, c""));
    child::close(point);
    child::close(tree);
    result
}

/// Step `Tmpfs`.
pub fn tmpfs(path: &CStr, executable: bool, options: &CStr) -> Applied {
    let executable = if executable { 0 } else { libc::MS_NOEXEC };
    at(Call::Only, child::mount(c"tmpfs", path, c"tmpfs", libc::MS_NOSUID | libc::MS_NODEV | executable, options))
}

/// Step `Cover`. Links are followed as they will be inside, so that no other name leads to what is covered.
pub fn cover(walk: &Walk, path: &CStr) -> Applied {
    let Some(point) = standing(walk, path)? else { return Ok(()) };
    let directory = at(Call::Look, child::status(point))?.st_mode & libc::S_IFMT == libc::S_IFDIR;
    let source = if directory { c"sealed/empty" } else { c"null" };
    let tree = at(Call::OpenTree, child::open_tree(CWD, source, libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC))?;
    let covered = at(Call::MoveMount, child::attach_tree(tree, point, c""));
    child::close(point);
    child::close(tree);
    covered
}

/// Step `SealPath`.
pub fn seal_path(walk: &Walk, path: &CStr) -> Applied {
    let Some(point) = standing(walk, path)? else { return Ok(()) };
    let clone = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | AT_RECURSIVE | libc::AT_EMPTY_PATH as u32;
    let tree = at(Call::OpenTree, child::open_tree(point, c"", clone))?;
    at(Call::SetAttributes, set(tree, c"", AT_RECURSIVE, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, 0))?;
    let sealed = at(Call::MoveMount, child::attach_tree(tree, point, c""));
    child::close(point);
    child::close(tree);
    sealed
}

/// What stands at a path of the root, if anything does.
fn standing(walk: &Walk, path: &CStr) -> Result<Option<Fd>, Stop> {
    match mount_point(walk, path) {
        Ok(point) => Ok(Some(point)),
        Err(libc::ENOENT | libc::ENOTDIR) => Ok(None),
        Err(errno) => Err(Stop::at(Call::OpenMountPoint, errno)),
    }
}

/// Step `SealRoot`.
pub fn seal_root(walk: &Walk) -> Applied {
    at(Call::Only, set(walk.root, c"", 0, ATTR_RDONLY, 0))
}

/// Step `SealTrees`.
pub fn seal_trees(walk: &Walk) -> Applied {
    at(Call::ReadOnly, set(walk.root, c"", AT_RECURSIVE, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, 0))?;
    at(Call::RootWritable, set(walk.root, c"", 0, 0, ATTR_RDONLY))
}

/// Step `Sealed`. A ramfs has no quota and needs none: nobody writes to it but we. It is mounted sooner than a tmpfs.
pub fn sealed() -> Applied {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    at(Call::Only, child::mount(c"ramfs", c"sealed", c"ramfs", flags, c"mode=0755"))
}

/// Step `OpenDevices`.
pub fn open_devices(walk: &mut Walk) -> Applied {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    walk.devices.0 = at(Call::OpenHost, child::open(CWD, c"/dev", flags, 0))?;
    walk.devices.1 = at(Call::OpenSandbox, child::open(CWD, c"root/dev", flags | libc::O_NOFOLLOW, 0))?;
    Ok(())
}

/// Shows the host's device node `name`, after a look at its number: a host's `/dev` may itself be somebody's work
/// (CVE-2025-31133).
pub fn device(walk: &Walk, name: &CStr, (major, minor): (u32, u32)) -> Applied {
    let (host, inside) = walk.devices;
    let tree = at(Call::OpenTree, child::open_tree(host, name, libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC))?;
    at(Call::Check, is_device(tree, major, minor))?;
    let result = at(Call::MoveMount, child::attach_tree(tree, inside, name));
    child::close(tree);
    result
}

/// Step `SealDevices`. Writing to a device is no writing to its mount.
pub fn seal_devices(walk: &mut Walk) -> Applied {
    let (host, inside) = core::mem::replace(&mut walk.devices, (-1, -1));
    at(Call::ReadOnly, set(inside, c"", AT_RECURSIVE, ATTR_RDONLY | ATTR_NOSUID | ATTR_NOEXEC, 0))?;
    at(Call::NoOtherDevices, set(inside, c"", 0, ATTR_NODEV, 0))?;
    // A caller may have few descriptors to give.
    child::close(host);
    child::close(inside);
    Ok(())
}

fn is_device(fd: Fd, major: u32, minor: u32) -> Result<(), i32> {
    let status = child::status(fd)?;
    let right = status.st_mode & libc::S_IFMT == libc::S_IFCHR && status.st_rdev == libc::makedev(major, minor);
    if right { Ok(()) } else { Err(libc::ENXIO) }
}

/// Step `MaskSources`: from here on one bind is a whole mask, and one is a whole view.
pub fn mask_sources() -> Applied {
    let tree =
        at(Call::OpenTree, child::open_tree(CWD, c"/dev/null", libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC))?;
    at(Call::Check, is_device(tree, 1, 3))?;
    at(Call::SetAttributes, set(tree, c"", 0, ATTR_RDONLY | ATTR_NOSUID | ATTR_NOEXEC, 0))?;
    at(Call::MoveMount, child::attach_tree(tree, CWD, c"null"))?;
    child::close(tree);
    at(Call::ReadOnly, set(CWD, c"sealed", 0, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC, 0))
}

/// Mounts a procfs of the new pid namespace and makes it the working directory: everything below is written and
/// masked through what was checked here to be a procfs (CVE-2019-19921, CVE-2025-52881).
pub fn proc(walk: &mut Walk) -> Applied {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    at(Call::Mount, child::mount(c"proc", c"root/proc", c"proc", flags, c""))?;
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    walk.proc = at(Call::Open, child::open(CWD, c"root/proc", flags, 0))?;
    match at(Call::Check, child::file_system_magic(walk.proc))? {
        PROC_SUPER_MAGIC => at(Call::ChangeDirectory, child::enter(walk.proc)),
        _ => Err(Stop::at(Call::Check, libc::ENOTSUP)),
    }
}

/// Covers an entry of the procfs, which is the working directory. The scaffold lies on the host's `/proc`.
pub fn mask(name: &CStr, directory: bool) -> Applied {
    let source = if directory { c"/proc/sealed/empty" } else { c"/proc/null" };
    at(Call::Only, child::mount(source, name, c"", libc::MS_BIND, c""))
}

/// Shows one of our files instead of an entry of the procfs, which is the working directory.
pub fn view(source: &CStr, name: &CStr) -> Applied {
    at(Call::Only, child::mount(source, name, c"", libc::MS_BIND, c""))
}

/// Step `MountCgroups`. Read-only also where it is about to be covered: it begins at the group that belljar is in then.
pub fn mount_cgroups() -> Applied {
    let flags = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    // Whatever the refusal (a kernel without cgroups, the rules of a container around us), only the line of the mount
    // table is missing: the files that cover it are there.
    let _ = child::mount(c"cgroup2", c"root/sys/fs/cgroup", c"cgroup2", flags, c"");
    Ok(())
}

/// Writes a setting of the new namespaces. The file shows the namespace of who opens it.
pub fn setting(walk: &Walk, name: &CStr, value: &CStr, of: Scope) -> Applied {
    let directory = if of == Scope::Network { walk.settings } else { CWD };
    let fd = at(Call::Open, child::open(directory, name, libc::O_WRONLY | libc::O_NOFOLLOW | libc::O_CLOEXEC, 0))?;
    let result = at(Call::Write, child::write(fd, value.to_bytes())).map(|_| ());
    child::close(fd);
    result
}

/// Step `HoldIpc`. A kernel without System V IPC has no such lists, and nothing to count.
pub fn hold_ipc(walk: &mut Walk) -> Applied {
    child::close(core::mem::replace(&mut walk.settings, -1));
    for (fd, name) in walk.ipc.iter_mut().zip([c"/proc/sysvipc/shm", c"/proc/sysvipc/sem", c"/proc/sysvipc/msg"]) {
        match child::open(CWD, name, libc::O_RDONLY | libc::O_CLOEXEC, 0) {
            Err(libc::ENOENT) => {}
            answer => *fd = at(Call::Only, answer)?,
        }
    }
    Ok(())
}

/// `/proc/sys` once more on itself, read-only: some of its files belong to the sandbox's own root. Those of the network are
/// written when that is there, past the mount.
pub fn seal_settings(walk: &mut Walk) -> Applied {
    walk.settings = at(Call::Hold, child::open(CWD, c"sys", libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC, 0))?;
    at(Call::Bind, child::mount(c"sys", c"sys", c"", libc::MS_BIND, c""))?;
    at(Call::ReadOnly, set(CWD, c"sys", 0, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC, 0))
}

/// Step `SealProc`. What a descriptor's link in there leads to is opened through its own mount.
pub fn seal_proc() -> Applied {
    at(Call::Only, set(CWD, c"/proc", 0, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC, 0))
}
