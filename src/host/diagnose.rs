//! Why this machine refuses, and what to do about it: from an errno and a look around to words.
//!
//! One table for `run` and for `doctor`. Each message of it has its heading in `docs/troubleshooting.md`; a test sees
//! to that.

use super::surroundings::Surroundings;
use crate::error::{Blocker, Error, Failure, describe};
use crate::step::{Call, Step};

/// For hosts where an administrator has to allow something.
const NEEDS_ADMINISTRATOR: &str = "without root there is no other way on this host: ask its administrator";
/// For containers whose engine has to be told.
const ALLOWS_NAMESPACES: &str = "run outside of the container, or start it with a seccomp profile that allows `clone`, `unshare`, `setns` and `mount` (docker, podman: `--security-opt seccomp=FILE`)";
/// The first kernel that has every system call of the set-up: mount_setattr(2).
const OLDEST_KERNEL: (u32, u32) = (5, 12);

fn blocker(message: impl Into<String>, hint: impl Into<String>) -> Blocker {
    Blocker { message: message.into(), hint: Some(hint.into()) }
}

/// The kernel did not give us the namespaces.
pub fn clone_refused(errno: i32) -> Error {
    no_namespaces(&Surroundings::look(), errno)
}

/// The supervisor could not map the sandbox's ids, or give its files to them.
pub fn ids_refused(attempt: &str, errno: i32) -> Error {
    if errno == libc::EPERM {
        return Error::from(blocker(
            format!("root of this container may not act for other user ids ({attempt}: {})", describe(errno)),
            "run belljar as an unprivileged user of the container",
        ));
    }
    Error::setup(attempt, errno)
}

/// newuidmap(1) or newgidmap(1) did not do what it was asked to.
pub fn helper_failed(program: &std::path::Path, said: &str) -> Error {
    Error::from(blocker(
        format!("`{}` does not map the range: {said}", program.display()),
        "see subuid(5) and newuidmap(1) for what it asks for; in a container its engine has to leave CAP_SETUID, CAP_SETGID and set-user-id bits in force",
    ))
}

/// The kernel refused a step. Some refusals are the host's way of saying that it does not allow sandboxes at all.
pub fn step_refused(number: usize, total: usize, step: &Step, call: Option<Call>, errno: i32) -> Error {
    let surroundings = Surroundings::look();
    if let Some(blocker) = host_refuses(&surroundings, step, errno) {
        return Error::from(blocker);
    }
    let namespace =
        matches!(step, Step::NewCgroups | Step::NewNetwork | Step::NewPeerNetwork | Step::StartPayload { .. })
            && errno == libc::ENOSPC;
    if namespace || (matches!(step, Step::StartPayload { .. }) && errno == libc::EAGAIN) {
        return no_namespaces(&surroundings, errno);
    }
    let call = call.and_then(Call::name).map_or_else(String::new, |call| format!(": {call}"));
    Error::from(Failure {
        step: Some((number, total)),
        attempt: format!("{step}{call}"),
        errno,
        hint: hint(&surroundings, step, errno),
    })
}

/// What certainly stands in the way, whatever was refused first. A list, since who mends one wants to know the next.
pub fn certain_blockers(surroundings: &Surroundings) -> Vec<Blocker> {
    let mut found = Vec::new();
    if surroundings.is_sandbox() {
        found.push(sandboxed());
    } else {
        found.extend(surroundings.namespaces_off.iter().map(|name| switched_off(name)));
    }
    if surroundings.unprivileged_clone_off && !surroundings.root {
        found.push(unprivileged_clone_off());
    }
    if (1, 0) <= surroundings.kernel && surroundings.kernel < OLDEST_KERNEL {
        let (major, minor) = surroundings.kernel;
        found.push(blocker(
            format!("the kernel is too old: Linux {major}.{minor}, and sandboxes need 5.12"),
            format!("boot a newer kernel; {NEEDS_ADMINISTRATOR}"),
        ));
    }
    found
}

/// How to get Landlock, which the kernel refused with `errno`.
pub fn landlock_cure(surroundings: &Surroundings, errno: i32) -> String {
    let listed = |modules: &Vec<String>| modules.iter().any(|name| name == "landlock");
    let cure = match errno {
        libc::ENOSYS if surroundings.kernel < (5, 13) => "boot Linux 5.13 or newer".to_owned(),
        libc::ENOSYS | libc::EPERM if surroundings.filtered => {
            "a seccomp filter around us hides it: let it allow `landlock_create_ruleset`, `landlock_add_rule` and `landlock_restrict_self`".to_owned()
        }
        libc::EOPNOTSUPP => match &surroundings.security_modules {
            Some(modules) if !listed(modules) => {
                format!("switched off at boot: as root add landlock to the kernel parameter, as in `lsm=landlock,{}`, and reboot", modules.join(","))
            }
            Some(_) | None => "switched off at boot: as root add landlock to the kernel parameter `lsm=` and reboot".to_owned(),
        },
        _ => "the kernel was built without it: use one with CONFIG_SECURITY_LANDLOCK, and with landlock in CONFIG_LSM".to_owned(),
    };
    format!("{cure}; `--allow-missing landlock` goes on without this second layer")
}

fn no_namespaces(surroundings: &Surroundings, errno: i32) -> Error {
    let found = match errno {
        libc::ENOSPC | libc::EUSERS => match surroundings.namespaces_off.first() {
            Some(name) => switched_off(name),
            None => blocker(
                "the host's limit of namespaces is used up (`user.max_*_namespaces`)",
                "wait for other sandboxes to end, or as root raise the `user.max_*_namespaces` settings",
            ),
        },
        libc::EPERM | libc::EACCES => denied(surroundings, errno),
        libc::ENOSYS => blocker(
            "the kernel, or a seccomp filter around us, knows neither clone3 nor clone with namespaces",
            "run outside of the container, or give it a seccomp profile that allows `clone` with CLONE_NEWUSER",
        ),
        libc::EINVAL => blocker(
            "the kernel was built without one of the namespaces (user, mount, pid, uts, ipc, cgroup)",
            "use a kernel with CONFIG_USER_NS, CONFIG_PID_NS, CONFIG_UTS_NS, CONFIG_IPC_NS, CONFIG_CGROUPS",
        ),
        libc::EAGAIN => return no_processes(),
        _ => return Error::from(Failure { step: None, attempt: "clone pid 1".to_owned(), errno, hint: None }),
    };
    found.into()
}

/// The user may start no other process (fork(2), EAGAIN).
pub fn no_processes() -> Error {
    let found = blocker(
        "the limit of processes of this user is used up",
        "end other processes, or raise `ulimit -u`; in a container or a systemd unit, its limit of processes too",
    );
    found.into()
}

fn switched_off(name: &str) -> Blocker {
    blocker(
        format!("namespaces are switched off: `user.{name}` is 0"),
        format!("as root: `sysctl -w user.{name}=15000`; {NEEDS_ADMINISTRATOR}"),
    )
}

fn unprivileged_clone_off() -> Blocker {
    blocker(
        "unprivileged user namespaces are switched off: `kernel.unprivileged_userns_clone` is 0",
        format!("as root: `sysctl -w kernel.unprivileged_userns_clone=1`; {NEEDS_ADMINISTRATOR}"),
    )
}

fn sandboxed() -> Blocker {
    blocker(
        "we are inside a sandbox already: nested user namespaces are switched off here (by a seccomp filter, and `user.max_user_namespaces` is 0)",
        "run belljar outside of that sandbox",
    )
}

/// Why user namespaces are denied altogether. The order is that of certainty: what the kernel tells of itself comes
/// before what only may be the reason. A filter of a container engine answers EPERM, AppArmor EACCES; in containers
/// of docker both are around us, and either may have been relaxed.
fn denied(surroundings: &Surroundings, errno: i32) -> Blocker {
    if surroundings.unprivileged_clone_off && !surroundings.root {
        return unprivileged_clone_off();
    }
    if surroundings.unmapped {
        return blocker(
            "the user id of this process is not mapped in its user namespace, and so it may make no other",
            "map it where that namespace is made, as in `unshare --user --map-current-user`",
        );
    }
    if surroundings.chrooted {
        return blocker(
            "this process is in a chroot, where the kernel gives no user namespaces",
            "run belljar outside of the chroot, or enter its directory with pivot_root(2), as containers do",
        );
    }
    if surroundings.is_sandbox() {
        return sandboxed();
    }
    if surroundings.filtered && errno == libc::EPERM {
        return blocker(
            "a seccomp filter around us denies user namespaces, as container engines do by default",
            ALLOWS_NAMESPACES,
        );
    }
    if let Some(profile) = surroundings.apparmor_profile() {
        // EPERM is the answer to the other namespaces, which need a capability in the first.
        if errno == libc::EPERM {
            return powerless(surroundings, "clone pid 1", errno);
        }
        return blocker(
            format!("AppArmor denies user namespaces to this process (profile `{profile}`)"),
            format!(
                "as root: add `userns,` to that profile, or load the one that `belljar doctor --apparmor-profile` prints; {NEEDS_ADMINISTRATOR}"
            ),
        );
    }
    if surroundings.apparmor_takes_privileges() {
        return restricted();
    }
    let reason = match &surroundings.selinux {
        Some(context) => format!("SELinux may be the reason (context `{context}`; as root: `ausearch -m avc`)"),
        None => "a security module may be the reason (see the kernel's log), or a chroot".to_owned(),
    };
    blocker(
        format!("the kernel denies user namespaces: {}", describe(errno)),
        format!("{reason}; {NEEDS_ADMINISTRATOR}"),
    )
}

fn restricted() -> Blocker {
    blocker(
        "AppArmor restricts unprivileged user namespaces on this host (`kernel.apparmor_restrict_unprivileged_userns` is 1)",
        format!(
            "as root: `belljar doctor --apparmor-profile > /etc/apparmor.d/belljar && apparmor_parser -r /etc/apparmor.d/belljar`; {NEEDS_ADMINISTRATOR}"
        ),
    )
}

/// Refusals of a step that are refusals of any sandbox.
fn host_refuses(surroundings: &Surroundings, step: &Step, errno: i32) -> Option<Blocker> {
    if !matches!(errno, libc::EPERM | libc::EACCES) {
        return None;
    }
    match step {
        // AppArmor on Ubuntu 24.04 lets the namespace come into being and takes its capabilities away: what needs one
        // first is refused.
        Step::NewCgroups
        | Step::MapIds { .. }
        | Step::HostName(_)
        | Step::PrivateMounts
        | Step::Scaffold { .. }
        | Step::NewNetwork
        | Step::StartPayload { .. } => Some(powerless(surroundings, &step.to_string(), errno)),
        Step::Proc => Some(blocker(
            "the host's `/proc` is partly masked, as inside of containers, and so the kernel gives no fresh one",
            "start the container with an unmasked `/proc` (docker: `--security-opt systempaths=unconfined`, podman: `--security-opt unmask=ALL`)",
        )),
        _ => None,
    }
}

/// There is a user namespace, but what should be allowed in it is not.
fn powerless(surroundings: &Surroundings, attempt: &str, errno: i32) -> Blocker {
    if surroundings.apparmor_takes_privileges() {
        return restricted();
    }
    let message = format!("a user namespace on this host has no privileges ({attempt}: {})", describe(errno));
    if let Some(profile) = surroundings.apparmor_profile() {
        return blocker(
            message,
            format!(
                "the AppArmor profile `{profile}` takes them away: start the container without it (docker, podman: `--security-opt apparmor=unconfined`), or as root load the profile that `belljar doctor --apparmor-profile` prints"
            ),
        );
    }
    if surroundings.filtered {
        return blocker(message, format!("a seccomp filter around us may be the reason: {ALLOWS_NAMESPACES}"));
    }
    if let Some(context) = &surroundings.selinux {
        return blocker(
            message,
            format!(
                "SELinux may take them away (context `{context}`; as root: `ausearch -m avc`; docker, podman: `--security-opt label=disable`)"
            ),
        );
    }
    blocker(
        message,
        "AppArmor or another security module takes them away: as root load the profile that `belljar doctor --apparmor-profile` prints, or see the kernel's log",
    )
}

/// Cures for refusals of steps that depend on what was asked for.
fn hint(surroundings: &Surroundings, step: &Step, errno: i32) -> Option<String> {
    let text = match (step, errno) {
        (_, libc::ENOSYS) if surroundings.filtered && surroundings.kernel >= OLDEST_KERNEL => {
            "a seccomp filter around us hides this system call: let it allow `open_tree`, `move_mount`, `mount_setattr`, `openat2` and `close_range`"
        }
        (Step::Seccomp { .. }, libc::ENOSYS | libc::EINVAL) => "the kernel needs CONFIG_SECCOMP_FILTER",
        (_, libc::ENOSYS) => "mounts need Linux 5.12 or newer",
        (Step::BindBeneath { .. }, libc::ELOOP | libc::EXDEV | libc::ENOENT | libc::ENOTDIR) => {
            "somebody who has the volume has put something else there meanwhile: look what it is, or choose another path in it"
        }
        (Step::Bind { .. } | Step::BindBeneath { .. }, libc::EACCES) => {
            "the path is not reachable for the user that belljar runs as"
        }
        (Step::Bind { .. }, libc::ENOENT) => {
            "the mount point does not exist, and nothing can be made below `/usr`: choose another target"
        }
        (Step::WorkingDirectory(_), libc::ENOENT) => {
            "the directory exists neither in the sandbox nor can it be made there: choose another `--workdir`"
        }
        (Step::WorkingDirectory(_), _) => "choose another `--workdir`",
        // A tree that is being mounted is a mount namespace of its own until it has its place.
        (Step::Bind { .. } | Step::BindBeneath { .. } | Step::Device { .. } | Step::MaskSources, libc::ENOSPC) => {
            "the host's limit of mount namespaces or of mounts is used up: end other sandboxes, or as root raise `user.max_mnt_namespaces` or `fs.mount-max`"
        }
        (Step::Show { .. } | Step::Root | Step::Mask { .. } | Step::Proc | Step::SealSettings, libc::ENOSPC) => {
            "the host's limit of mounts is used up: as root raise `fs.mount-max`"
        }
        // Only who logged in has a session keyring, and with it a quota for the next.
        (Step::SessionKeyring { .. }, libc::EDQUOT) => {
            "each sandbox takes one key of this user's quota: end other sandboxes, as root raise `kernel.keys.maxkeys` and `kernel.keys.maxbytes`, or use a seccomp profile that lets no call to keyrings through and leave `--require namespaces` out"
        }
        (Step::Directory { .. } | Step::File { .. } | Step::Link { .. }, libc::ENOSPC) => {
            "the writable layer is too small for the root itself: raise `--disk`"
        }
        (Step::Place { .. }, libc::EEXIST | libc::ELOOP) => {
            "the image has a link there that leads to nothing: choose another target or directory, or put right the image"
        }
        (Step::Place { .. }, libc::ENOTDIR) => "the image has a file there: choose another target or directory",
        (Step::Netlink { .. } | Step::MakePair { .. } | Step::OpenPacketSocket { .. }, _) => {
            "a network policy needs a device: as root let this user open `/dev/net/tun` (`chmod 666 /dev/net/tun`), or load the module `veth` for a kernel with CONFIG_VETH and CONFIG_PACKET; `--net none` needs none"
        }
        (Step::OpenTun { .. }, _) => {
            "a network policy needs a device: as root load the module `tun`; where this user may not open `/dev/net/tun`, a veth pair serves; `--net none` needs none"
        }
        (Step::Overlay { .. }, libc::ENODEV) => "the kernel has no overlayfs: load the module `overlay`, as root",
        (Step::Overlay { .. }, libc::EPERM) => {
            "the kernel lets no ordinary user mount overlayfs: Linux 5.11 and newer do"
        }
        (Step::Overlay { .. }, libc::EINVAL) => {
            "the image store's file system cannot be a layer: let `BELLJAR_HOME` lie on ext4, XFS, Btrfs or tmpfs"
        }
        (Step::Overlay { .. }, libc::EACCES | libc::ENOENT) => {
            "the image store is not reachable for the user that belljar runs as"
        }
        (Step::CopyIn { .. }, libc::ENOSPC) => "the code does not fit the writable layer: raise `--disk`",
        (Step::Limit { .. }, libc::EPERM) => {
            "the caller's own hard limit is lower: raise it (`ulimit -H`) or ask for less"
        }
        (Step::Scaffold { .. }, libc::EINVAL) => "`--disk` is larger than this kernel takes",
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests;
