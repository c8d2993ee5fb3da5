//! Why this machine refuses, and what to do about it: from an errno and a look at the host to words.

use crate::error::{Blocker, Error, Failure};
use crate::step::Step;
use std::fs;

/// Hint for hosts where an administrator has to allow user namespaces.
const NEEDS_ADMINISTRATOR: &str = "without root there is no other way on this host: ask its administrator";

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn host(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::Host(Blocker { message: message.into(), hint: Some(hint.into()) })
}

/// Whether AppArmor restricts unprivileged user namespaces, as on Ubuntu since 23.10.
pub fn apparmor_restricts() -> bool {
    read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").is_some_and(|value| value != "0")
}

/// Whether we are below somebody's seccomp filter.
pub fn is_filtered() -> bool {
    read("/proc/self/status")
        .is_some_and(|status| status.lines().any(|line| line.split_ascii_whitespace().eq(["Seccomp:", "2"])))
}

/// The profile that confines us, if AppArmor does.
pub fn apparmor_profile() -> Option<String> {
    read("/proc/self/attr/apparmor/current")
        .or_else(|| read("/proc/self/attr/current"))
        .map(|label| label.trim_end_matches('\0').to_owned())
        .filter(|label| !label.is_empty() && label != "unconfined" && !label.contains("(unconfined)"))
}

/// The kernel did not give us the namespaces.
pub fn clone_refused(errno: i32) -> Error {
    match errno {
        libc::ENOSPC | libc::EUSERS => match exhausted_namespaces() {
            Some(name) => host(
                format!("namespaces are switched off: `user.{name}` is 0"),
                format!("as root: `sysctl -w user.{name}=15000`; {NEEDS_ADMINISTRATOR}"),
            ),
            None => host(
                "the host's limit of namespaces is used up (`user.max_*_namespaces`)",
                "wait for other sandboxes to end, or as root raise the `user.max_*_namespaces` settings",
            ),
        },
        libc::EPERM | libc::EACCES => namespaces_denied(errno),
        libc::ENOSYS => host(
            "the kernel, or a seccomp filter around us, knows neither clone3 nor clone with namespaces",
            "run outside of the container, or give it a seccomp profile that allows `clone` with CLONE_NEWUSER",
        ),
        libc::EINVAL => host(
            "the kernel was built without one of the namespaces (user, mount, pid, uts, ipc, cgroup)",
            "use a kernel with CONFIG_USER_NS, CONFIG_PID_NS, CONFIG_UTS_NS, CONFIG_IPC_NS, CONFIG_CGROUPS",
        ),
        libc::EAGAIN => {
            host("the limit of processes of this user is used up", "end other processes, or raise `ulimit -u`")
        }
        _ => Error::Setup(Failure { step: None, attempt: "clone pid 1".to_owned(), errno, hint: None }),
    }
}

/// The first namespace setting that is 0.
fn exhausted_namespaces() -> Option<&'static str> {
    [
        "max_user_namespaces",
        "max_mnt_namespaces",
        "max_pid_namespaces",
        "max_uts_namespaces",
        "max_ipc_namespaces",
        "max_cgroup_namespaces",
        "max_net_namespaces",
    ]
    .into_iter()
    .find(|name| read(&format!("/proc/sys/user/{name}")).as_deref() == Some("0"))
}

fn namespaces_denied(errno: i32) -> Error {
    if read("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        return host(
            "unprivileged user namespaces are switched off: `kernel.unprivileged_userns_clone` is 0",
            format!("as root: `sysctl -w kernel.unprivileged_userns_clone=1`; {NEEDS_ADMINISTRATOR}"),
        );
    }
    if let Some(profile) = apparmor_profile() {
        return host(
            format!("AppArmor denies user namespaces to this process (profile `{profile}`)"),
            format!(
                "as root: add `userns,` to that profile, or load the one that `belljar doctor --apparmor-profile` prints; {NEEDS_ADMINISTRATOR}"
            ),
        );
    }
    if apparmor_restricts() {
        return apparmor_restriction();
    }
    if is_filtered() {
        return host(
            "a seccomp filter around us denies user namespaces, as container engines do by default",
            "run outside of the container, or start it with a seccomp profile that allows `clone`, `unshare`, `setns` and `mount` (docker, podman: `--security-opt seccomp=FILE`)",
        );
    }
    host(
        format!("the kernel denies user namespaces: {}", crate::error::describe(errno)),
        format!("a security module may be the reason (see the kernel's log); {NEEDS_ADMINISTRATOR}"),
    )
}

fn apparmor_restriction() -> Error {
    host(
        "AppArmor restricts unprivileged user namespaces on this host (`kernel.apparmor_restrict_unprivileged_userns` is 1)",
        format!(
            "as root: `belljar doctor --apparmor-profile > /etc/apparmor.d/belljar && apparmor_parser -r /etc/apparmor.d/belljar`; {NEEDS_ADMINISTRATOR}"
        ),
    )
}

/// The supervisor could not write the id maps.
pub fn maps_refused(attempt: &str, errno: i32) -> Error {
    if errno == libc::EPERM {
        return host(
            format!("root of this container may not map user ids ({attempt}: {})", crate::error::describe(errno)),
            "run belljar as an unprivileged user of the container",
        );
    }
    Error::Setup(Failure { step: None, attempt: attempt.to_owned(), errno, hint: None })
}

/// The kernel refused a step. Some refusals are the host's way of saying that it does not allow sandboxes at all.
pub fn step_refused(number: usize, total: usize, step: &Step, stage: u8, errno: i32) -> Error {
    let denied = matches!(errno, libc::EPERM | libc::EACCES);
    // AppArmor on Ubuntu 24.04 lets the namespace come into being and takes its capabilities away: what needs one
    // first is refused.
    let first = matches!(
        step,
        Step::MapIds { .. } | Step::HostName(_) | Step::PrivateMounts | Step::Scaffold { .. } | Step::NewNetwork
    );
    if denied && first {
        if apparmor_restricts() {
            return apparmor_restriction();
        }
        return host(
            format!("a user namespace on this host has no privileges ({step}: {})", crate::error::describe(errno)),
            "AppArmor or another security module takes them away: as root load the profile that `belljar doctor --apparmor-profile` prints, or see the kernel's log",
        );
    }
    if matches!(step, Step::Proc) && denied {
        return host(
            "the host's `/proc` is partly masked, as inside of containers, and so the kernel gives no fresh one",
            "start the container with an unmasked `/proc` (docker: `--security-opt systempaths=unconfined`, podman: `--security-opt unmask=ALL`)",
        );
    }
    if matches!(step, Step::NewNetwork | Step::StartPayload) && errno == libc::ENOSPC {
        return clone_refused(errno);
    }
    let stage = step.stage(stage).map_or_else(String::new, |stage| format!(": {stage}"));
    Error::Setup(Failure {
        step: Some((number, total)),
        attempt: format!("{step}{stage}"),
        errno,
        hint: hint(step, errno),
    })
}

/// Cures for refusals of steps that depend on what was asked for.
fn hint(step: &Step, errno: i32) -> Option<String> {
    let text = match (step, errno) {
        (Step::Bind { .. } | Step::SealTrees, libc::ENOSYS) => "mounts need Linux 5.12 or newer",
        (Step::Bind { .. }, libc::EACCES) => "the path is not reachable for the user that belljar runs as",
        (Step::Bind { .. }, libc::ENOENT) => {
            "the mount point does not exist, and nothing can be made below `/usr`: choose another target"
        }
        (Step::WorkingDirectory(_), libc::ENOENT) => {
            "the directory exists neither in the sandbox nor can it be made there: choose another `--workdir`"
        }
        (Step::WorkingDirectory(_), _) => "choose another `--workdir`",
        (Step::CopyIn { .. }, libc::ENOSPC) => "the code does not fit the writable layer: raise `--disk`",
        (Step::Limit { .. }, libc::EPERM) => {
            "the caller's own hard limit is lower: raise it (`ulimit -H`) or ask for less"
        }
        (Step::Scaffold { .. }, libc::EINVAL) => "`--disk` is larger than this kernel takes",
        _ => return None,
    };
    Some(text.to_owned())
}
