//! Facts about this machine and this process for the report, and which of them would make a protection better.

use super::cgroup;
use super::inside::{run, spec, text};
use super::report::{HostFacts, IdRanges, NetworkPolicy, Security};
use crate::host::surroundings::{Surroundings, read};
use crate::host::{self, ranges};
use crate::outcome::{Enforcement, Status};
use crate::spec::{Network, Program, Protection, Spec};
use crate::sys::proc::{self, Recent};
use std::collections::BTreeMap;
use std::ffi::OsString;

/// Everything that can be told without a sandbox.
pub fn gather(surroundings: &Surroundings) -> HostFacts {
    let call = |name: &str, call| (name.to_owned(), proc::is_known(call));
    HostFacts {
        kernel: read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
        architecture: std::env::consts::ARCH.to_owned(),
        uid: nix::unistd::geteuid().as_raw(),
        landlock_abi: proc::landlock_abi(),
        system_calls: BTreeMap::from([
            call("clone3", Recent::Clone3),
            call("close_range", Recent::CloseRange),
            call("mount_setattr", Recent::MountSetattr),
            call("openat2", Recent::Openat2),
        ]),
        overlay_in_user_namespaces: overlay(surroundings),
        cgroup: cgroup::probe(),
        security: Security {
            container: surroundings.container.clone(),
            seccomp_filter: surroundings.filtered,
            apparmor: surroundings.apparmor.clone(),
            apparmor_restricts_user_namespaces: surroundings.apparmor_restricts,
            selinux: surroundings.selinux.clone(),
        },
        languages: BTreeMap::new(),
        id_ranges: id_ranges(),
        network_policy: NetworkPolicy::default(),
    }
}

/// Unprivileged overlay mounts came with Linux 5.11. Where the file system is a module that nobody has loaded yet, the
/// list of file systems does not say whether it is there.
fn overlay(surroundings: &Surroundings) -> Option<bool> {
    if surroundings.kernel < (5, 11) {
        return Some(false);
    }
    let listed = read("/proc/filesystems")?.lines().any(|line| line.ends_with("\toverlay"));
    listed.then_some(true)
}

/// The versions of the languages that `code` knows, as they are seen in a sandbox; none where they are not there.
pub fn languages() -> BTreeMap<String, Option<String>> {
    let table: [(&str, &[&str]); 3] = [
        ("python", &["python3", "--version"]),
        ("node", &["node", "--version"]),
        // No option of sh(1) tells a version; the file behind the name does, as `dash` or `bash`.
        ("sh", &["readlink", "-f", "/bin/sh"]),
    ];
    table.into_iter().map(|(name, words)| (name.to_owned(), version(words))).collect()
}

fn version(words: &[&str]) -> Option<String> {
    let spec = Spec { program: Program::Command(words.iter().map(OsString::from).collect()), ..spec("") };
    let outcome = run(&spec).ok()?;
    if outcome.status != Status::Exited || outcome.exit_code != Some(0) {
        return None;
    }
    text(outcome.output.as_ref()).lines().next().map(str::to_owned)
}

/// Makes a sandbox that may reach nothing, by a policy: its device is made, and served to the end.
pub fn network_policy() -> NetworkPolicy {
    let failed = |reason: String, hint| NetworkPolicy { reason: Some(reason), hint, ..NetworkPolicy::default() };
    let outcome = match run(&Spec { net: Network::Only, ..spec(":") }) {
        Ok(outcome) => outcome,
        Err(error) => return failed(error.to_string(), error.hint),
    };
    match (outcome.network, outcome.enforcement.get(Protection::Network.name())) {
        (Some(network), Some(Enforcement::By { by, .. })) if !network.lost => {
            NetworkPolicy { available: true, device: Some(by.clone()), ..NetworkPolicy::default() }
        }
        _ => failed("a process that served it was ended before the sandbox".to_owned(), None),
    }
}

fn id_ranges() -> IdRanges {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let (subuid, subgid) = ranges::counts(uid.as_raw());
    let real_root = uid.is_root() && host::initial_user_namespace();
    let missing = match ranges::find(uid.as_raw(), gid.as_raw(), real_root) {
        Ok(_) => None,
        Err(error) => Some((error.to_string(), error.hint.unwrap_or_default())),
    };
    let (reason, hint) = missing.unzip();
    IdRanges { subuid, subgid, newuidmap: ranges::has_helpers(), available: reason.is_none(), reason, hint }
}

/// How to get more of a protection than there is.
pub fn hint(protection: Protection, enforcement: &Enforcement, host: &HostFacts) -> Option<String> {
    match (protection, enforcement) {
        (_, Enforcement::Enforced | Enforcement::By { exact: true, .. }) => None,
        (Protection::Landlock, Enforcement::Partly(_)) => Some(format!(
            "a newer kernel restricts more: Linux 5.19 has ABI 2, 6.2 ABI 3, 6.7 ABI 4, 6.10 ABI 5, 6.12 ABI 6; this one has ABI {}",
            host.landlock_abi
        )),
        // The blocker says how.
        (_, Enforcement::Partly(_) | Enforcement::Off(_)) => None,
        (_, Enforcement::By { exact: false, .. }) => Some(
            "readings are milliseconds apart, and what happens between two may pass the limit for a moment; exact limits take cgroup v2".to_owned(),
        ),
    }
}
