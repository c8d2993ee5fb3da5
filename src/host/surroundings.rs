//! What of the host, of a container or of a security module may stand in a sandbox's way.
//!
//! Looked at only when something was refused, or when `doctor` asks: a start that succeeds does not pay for it.
//! Reads files of `/proc` and `/sys` and changes nothing. What cannot be read is taken to be absent.

use std::fs;
use std::path::Path;

/// The settings that limit how many namespaces of each kind there may be, in the order in which they are named.
const NAMESPACE_LIMITS: [&str; 7] = [
    "max_user_namespaces",
    "max_mnt_namespaces",
    "max_pid_namespaces",
    "max_uts_namespaces",
    "max_ipc_namespaces",
    "max_cgroup_namespaces",
    "max_net_namespaces",
];

/// The facts that [`diagnose`](super::diagnose) goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Release of the kernel, major and minor number; zeros when it does not say.
    pub kernel: (u32, u32),
    /// Effective user id 0, of whatever user namespace.
    pub root: bool,
    /// Debian's `kernel.unprivileged_userns_clone` is 0.
    pub unprivileged_clone_off: bool,
    /// Those of `user.max_*_namespaces` that are 0.
    pub namespaces_off: Vec<&'static str>,
    /// Our AppArmor label, as `docker-default (enforce)` or `unconfined`; none without AppArmor.
    pub apparmor: Option<String>,
    /// `kernel.apparmor_restrict_unprivileged_userns` is set, as on Ubuntu since 23.10.
    pub apparmor_restricts: bool,
    /// Our SELinux context, where it is enforced.
    pub selinux: Option<String>,
    /// A seccomp filter is around us.
    pub filtered: bool,
    /// Our root directory is no mount: chroot(2).
    pub chrooted: bool,
    /// Our own ids mean nothing in our user namespace.
    pub unmapped: bool,
    /// The container that we are in, by the traces that its kind leaves.
    pub container: Option<String>,
    /// The security modules of the kernel, where it tells.
    pub security_modules: Option<Vec<String>>,
}

/// Text of a file, trimmed; none when it cannot be read.
pub fn read(path: impl AsRef<Path>) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().trim_end_matches('\0').to_owned())
}

impl Surroundings {
    /// Looks around.
    pub fn look() -> Surroundings {
        let status = read("/proc/self/status").unwrap_or_default();
        let is_off = |path: &str| read(path).as_deref() == Some("0");
        let uid = nix::unistd::geteuid().as_raw();
        let gid = nix::unistd::getegid().as_raw();
        Surroundings {
            kernel: kernel(),
            root: uid == 0,
            unprivileged_clone_off: is_off("/proc/sys/kernel/unprivileged_userns_clone"),
            namespaces_off: NAMESPACE_LIMITS
                .into_iter()
                .filter(|name| is_off(&format!("/proc/sys/user/{name}")))
                .collect(),
            // Not `attr/current`: on other hosts that is the label of SELinux or Smack.
            apparmor: read("/proc/self/attr/apparmor/current").filter(|label| !label.is_empty()),
            apparmor_restricts: read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
                .is_some_and(|value| value != "0"),
            selinux: (read("/sys/fs/selinux/enforce").as_deref() == Some("1"))
                .then(|| read("/proc/self/attr/current"))
                .flatten(),
            filtered: status.lines().any(|line| line.split_ascii_whitespace().eq(["Seccomp:", "2"])),
            chrooted: fs::read_to_string("/proc/self/mountinfo").is_ok_and(|mounts| !has_root(&mounts)),
            unmapped: !is_mapped("/proc/self/uid_map", uid) || !is_mapped("/proc/self/gid_map", gid),
            container: container(),
            security_modules: read("/sys/kernel/security/lsm").map(|list| list.split(',').map(str::to_owned).collect()),
        }
    }

    /// The AppArmor profile that confines us, without its mode.
    pub fn apparmor_profile(&self) -> Option<&str> {
        let label = self.apparmor.as_deref().filter(|label| *label != "unconfined")?;
        match label.rsplit_once(" (") {
            // A profile that only grants is none that confines.
            Some((_, "unconfined)")) => None,
            Some((profile, _)) => Some(profile),
            None => Some(label),
        }
    }

    /// Ubuntu's restriction applies to us: no profile of ours lifts it, and root is exempt.
    pub fn apparmor_takes_privileges(&self) -> bool {
        self.apparmor_restricts && !self.root && self.apparmor.as_deref().is_none_or(|label| label == "unconfined")
    }

    /// A sandbox, ours or one like it: a filter, and no user namespace below.
    pub fn is_sandbox(&self) -> bool {
        self.filtered && self.namespaces_off.contains(&"max_user_namespaces")
    }
}

/// Release of the kernel, as (6, 18) of `6.18.3-generic`.
pub fn kernel() -> (u32, u32) {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|word| word.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether a list of mounts, as `/proc/self/mountinfo` has it, knows a mount at `/`: below chroot(2) there is none,
/// unless the directory was one.
fn has_root(mounts: &str) -> bool {
    mounts.lines().any(|line| line.split(' ').nth(4) == Some("/"))
}

/// Whether an id map, as `/proc/self/uid_map` has it, knows `id`. A map that cannot be read is no reason to doubt.
fn is_mapped(path: &str, id: u32) -> bool {
    fs::read_to_string(path).map_or(true, |map| maps(&map, id))
}

fn maps(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        let first: Option<u32> = words.next().and_then(|word| word.parse().ok());
        let count: Option<u32> = words.nth(1).and_then(|word| word.parse().ok());
        matches!((first, count), (Some(first), Some(count)) if id >= first && id - first < count)
    })
}

/// The kind of container, by what it leaves for others to see.
fn container() -> Option<String> {
    if let Some(name) = read("/run/systemd/container").filter(|name| !name.is_empty()) {
        return Some(name);
    }
    let traces = [
        ("/run/.containerenv", "podman"),
        ("/.dockerenv", "docker"),
        ("/var/run/secrets/kubernetes.io", "kubernetes"),
        ("/dev/.lxd-mounts", "lxd"),
    ];
    if let Some((_, name)) = traces.into_iter().find(|(path, _)| Path::new(path).exists()) {
        return Some(name.to_owned());
    }
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default().to_lowercase();
    if release.contains("microsoft") {
        return Some("wsl".to_owned());
    }
    let cgroup = read("/proc/1/cgroup").unwrap_or_default();
    ["docker", "kubepods", "libpod", "lxc"].into_iter().find(|name| cgroup.contains(name)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_profile_that_confines_is_one() {
        let profile = |label: &str| {
            let surroundings = Surroundings { apparmor: Some(label.to_owned()), ..Surroundings::default() };
            surroundings.apparmor_profile().map(str::to_owned)
        };
        let table = [
            ("unconfined", None),
            ("belljar (unconfined)", None),
            ("docker-default (enforce)", Some("docker-default")),
            ("a (b) (complain)", Some("a (b)")),
            ("odd", Some("odd")),
        ];
        for (label, expected) in table {
            assert_eq!(profile(label).as_deref(), expected, "{label}");
        }
    }

    #[test]
    fn the_restriction_of_apparmor_does_not_bind_root_nor_who_has_a_profile() {
        let takes = |label: &str, root| {
            Surroundings { apparmor: Some(label.to_owned()), apparmor_restricts: true, root, ..Surroundings::default() }
                .apparmor_takes_privileges()
        };
        assert_eq!(
            [takes("unconfined", false), takes("unconfined", true), takes("belljar (unconfined)", false)],
            [true, false, false]
        );
    }

    #[test]
    fn a_root_directory_that_is_no_mount_is_seen() {
        let mount = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n";
        let proc = "22 27 0:21 / /proc rw,relatime - proc proc rw\n";
        assert_eq!([has_root(&format!("{proc}{mount}")), has_root(proc), has_root("")], [true, false, false]);
    }

    #[test]
    fn ids_are_looked_for_in_every_line_of_a_map() {
        let map = "         0     100000      65536\n     65536       1000          1\n";
        let found = [0, 65535, 65536, 65537].map(|id| maps(map, id));
        assert_eq!((found, maps("", 0)), ([true, true, true, false], false));
    }
}
