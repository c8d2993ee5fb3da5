//! The disks behind what is shown inside, for `io.max`, which knows whole disks only.

use crate::error::{Problem, describe_io};
use crate::spec::Spec;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Device numbers of the disks that hold `system` (`/usr`, or an image's layers) and the mounts of `spec`; none unless
/// their bandwidth is limited.
pub fn behind<'p>(
    spec: &'p Spec,
    system: impl Iterator<Item = &'p Path>,
    problems: &mut Vec<Problem>,
) -> Vec<(u64, u64)> {
    if spec.disk_bandwidth.is_none() {
        return Vec::new();
    }
    let mut disks = Vec::new();
    for path in system.chain(spec.mounts.iter().map(|mount| mount.source.as_path())) {
        match fs::metadata(path).map_err(|error| describe_io(&error)).and_then(|found| disk(found.dev())) {
            Ok(Some(disk)) => disks.push(disk),
            // A file system in memory or of the network.
            Ok(None) => {}
            Err(why) => {
                let problem = Problem::new("disk_bandwidth", format!("`{}`: {why}", path.display()));
                problems.push(problem.hint("leave it out, or mount from a file system on a disk"));
            }
        }
    }
    disks.sort_unstable();
    disks.dedup();
    disks
}

/// The disk of a file system's device. Partitions count for their disk.
fn disk(device: u64) -> Result<Option<(u64, u64)>, String> {
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let entry = format!("/sys/dev/block/{major}:{minor}");
    if !Path::new(&entry).exists() {
        // Several disks, or none, behind a number that is no device's: btrfs, overlayfs, tmpfs.
        return if major == 0 && !backed_by_memory(device) {
            Err("its file system does not say which disk it is on".to_owned())
        } else {
            Ok(None)
        };
    }
    if !Path::new(&entry).join("partition").exists() {
        return Ok(Some((major, minor)));
    }
    let text = fs::read_to_string(format!("{entry}/../dev")).map_err(|error| describe_io(&error))?;
    let numbers =
        text.trim().split_once(':').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    numbers.map(Some).ok_or_else(|| format!("`{}` is no device number", text.trim()))
}

/// Whether a file system without a device is one in memory, by the mounts of this process.
fn backed_by_memory(device: u64) -> bool {
    let wanted = format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().any(|line| {
        let kind = line.split_once(" - ").and_then(|(_, origin)| origin.split(' ').next());
        line.split(' ').nth(2) == Some(&wanted) && matches!(kind, Some("tmpfs" | "ramfs" | "proc" | "sysfs"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_limit_no_disk_is_looked_for() {
        let mut problems = Vec::new();
        assert_eq!(behind(&Spec::default(), std::iter::once(Path::new("/usr")), &mut problems), []);
        assert!(problems.is_empty());
    }

    #[test]
    fn a_file_system_in_memory_has_no_disk() {
        let proc = fs::metadata("/proc").expect("there is a /proc").dev();
        assert_eq!(disk(proc), Ok(None));
    }
}
