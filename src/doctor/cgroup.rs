//! Whether a part of the cgroup v2 tree is ours to use.
//!
//! Found out by making a directory in our own cgroup and removing it, not by guessing from ids. No process is moved,
//! no controller switched. This version of belljar uses no cgroups; the answer says what a host has to offer.

use super::report::Cgroup;
use crate::error::describe_io;
use crate::host::surroundings::read;
use std::fs;
use std::path::{Path, PathBuf};

/// What a sandbox's limits need.
const NEEDED: [&str; 3] = ["cpu", "memory", "pids"];

/// Looks, and tries.
pub fn probe() -> Cgroup {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (mounts, own) = (text("/proc/self/mountinfo"), text("/proc/self/cgroup"));
    let found = Cgroup { version: version(&mounts).to_owned(), ..Cgroup::default() };
    let Some(directory) = directory(&mounts, &own) else {
        let reason = "no cgroup v2 is mounted that this process is in";
        return Cgroup { reason: Some(reason.to_owned()), hint: Some(hint(&found.version)), ..found };
    };
    let controllers: Vec<String> = read(directory.join("cgroup.controllers"))
        .unwrap_or_default()
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    let missing: Vec<&str> =
        NEEDED.into_iter().filter(|name| !controllers.iter().any(|controller| controller == name)).collect();
    let reason = match try_directory(&directory) {
        Err(reason) => Some(format!("no cgroup can be made in `{}`: {reason}", directory.display())),
        Ok(()) if !missing.is_empty() => Some(format!("it lacks the controllers {}", missing.join(", "))),
        Ok(()) => None,
    };
    Cgroup {
        directory: Some(directory.to_string_lossy().into_owned()),
        controllers,
        delegated: reason.is_none(),
        hint: reason.is_some().then(|| hint(&found.version)),
        reason,
        ..found
    }
}

/// How to get a cgroup of one's own. Where version 1 holds the controllers, version 2 has none to lend.
fn hint(version: &str) -> String {
    match version {
        "v1" | "hybrid" => "as root boot with the kernel parameter `systemd.unified_cgroup_hierarchy=1`, which leaves all controllers to cgroup v2",
        "none" => "start the container with its cgroup mounted and writable",
        _ => "without root: `systemd-run --user --scope -p Delegate=yes belljar ...`; as root for all users: write `[Service]` and `Delegate=cpu cpuset io memory pids` to /etc/systemd/system/user@.service.d/delegate.conf, run `systemctl daemon-reload`, and log in anew",
    }
    .to_owned()
}

/// Makes a cgroup and removes it.
fn try_directory(directory: &Path) -> Result<(), String> {
    let made = directory.join(format!("belljar-doctor-{}", std::process::id()));
    fs::create_dir(&made).map_err(|error| describe_io(&error))?;
    let removed = fs::remove_dir(&made);
    // A plain directory would take a process's id for the contents of a file.
    removed.map_err(|error| format!("`{}` was made and cannot be removed: {}", made.display(), describe_io(&error)))
}

/// Place and kind of every mount of a cgroup tree: what of the tree is shown, where, and as which kind.
fn trees(mounts: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    mounts.lines().filter_map(|line| {
        let (place, origin) = line.split_once(" - ")?;
        let mut words = place.split(' ').skip(3);
        let kind = origin.split(' ').next().filter(|kind| kind.starts_with("cgroup"))?;
        Some((words.next()?, words.next()?, kind))
    })
}

fn version(mounts: &str) -> &'static str {
    let has = |wanted: &str| trees(mounts).any(|(_, _, kind)| kind == wanted);
    match (has("cgroup"), has("cgroup2")) {
        (true, true) => "hybrid",
        (true, false) => "v1",
        (false, true) => "v2",
        (false, false) => "none",
    }
}

/// The directory of our own cgroup v2, by the line `0::PATH` of `/proc/self/cgroup` and the first mount that shows it.
fn directory(mounts: &str, own: &str) -> Option<PathBuf> {
    let path = Path::new(own.lines().find_map(|line| line.strip_prefix("0::"))?);
    trees(mounts).filter(|(_, _, kind)| *kind == "cgroup2").find_map(|(root, point, _)| {
        let below = path.strip_prefix(root).ok()?;
        Some(if below.as_os_str().is_empty() { PathBuf::from(point) } else { Path::new(point).join(below) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
    const V1: &str = "35 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

    #[test]
    fn the_kinds_of_hosts_are_told_apart() {
        let both = format!("{V1}{V2}");
        assert_eq!([V2, V1, both.as_str(), ""].map(version), ["v2", "v1", "hybrid", "none"]);
    }

    #[test]
    fn our_own_cgroup_is_found_below_whatever_part_is_mounted() {
        let part = "30 23 0:26 /user.slice /mnt/cg rw - cgroup2 cgroup2 rw\n";
        let own = "4:memory:/old\n0::/user.slice/a.scope\n";
        let found = |mounts: &str, own: &str| directory(mounts, own).map(|path| path.to_string_lossy().into_owned());
        assert_eq!(found(V2, own).as_deref(), Some("/sys/fs/cgroup/user.slice/a.scope"));
        assert_eq!(found(part, own).as_deref(), Some("/mnt/cg/a.scope"));
        assert_eq!(found(V2, "0::/\n").as_deref(), Some("/sys/fs/cgroup"));
        // Moved out of the part that our cgroup namespace shows (cgroup_namespaces(7)).
        assert_eq!([found(part, "0::/../b\n"), found(V1, own), found(V2, "4:memory:/old\n")], [None, None, None]);
    }
}
