//! `linux`: namespaces, ids, resources, and what is hidden.

use super::Wish;
use super::object::{Object, Reader};
use crate::spec::{Bundle, User};
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxIdMapping, LinuxNamespace, LinuxNamespaceType};
use std::path::{Path, PathBuf};

/// Entries of `/proc` and `/sys` that nobody can see or change in any sandbox: masked, read-only, or not there.
const HELD: [&str; 17] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/bus",
    "/proc/fs",
    "/proc/interrupts",
    "/proc/irq",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys",
    "/sys/firmware",
];

/// Those of them that can be seen, and not be changed.
const READ_ONLY: [&str; 3] = ["/proc/sys", "/proc/sysrq-trigger", "/sys"];

/// Devices that every sandbox has: major and minor numbers, `None` for all.
const DEVICES: [(i64, Option<i64>); 8] =
    [(1, Some(3)), (1, Some(5)), (1, Some(7)), (1, Some(8)), (1, Some(9)), (5, Some(0)), (5, Some(2)), (136, None)];

pub fn read(reader: &mut Reader, mut linux: Object, caller: User, wish: &mut Wish, bundle: &mut Bundle) {
    let listed: Vec<LinuxNamespace> = reader.take(&mut linux, "namespaces").unwrap_or_default();
    namespaces(reader, &linux.at("namespaces"), &listed);
    let inside = wish.spec.user.unwrap_or(User { uid: 0, gid: 0 });
    for (key, inside, outside) in [("uidMappings", inside.uid, caller.uid), ("gidMappings", inside.gid, caller.gid)] {
        let mappings: Vec<LinuxIdMapping> = reader.take(&mut linux, key).unwrap_or_default();
        let ours = |map: &LinuxIdMapping| (map.container_id(), map.host_id(), map.size()) == (inside, outside, 1);
        if !mappings.iter().all(ours) {
            let message = format!("one id is mapped, yours ({outside}), which is {inside} inside");
            reader.wrong(&linux.at(key), &message, "leave the mappings out");
        }
    }
    if let Some(resources) = reader.take_object(&mut linux, "resources") {
        self::resources(reader, resources, wish);
    }
    bundle.masked = paths(reader, &mut linux, "maskedPaths");
    bundle.sealed = paths(reader, &mut linux, "readonlyPaths");
    if linux.present("seccomp").is_some() {
        wish.filter = true;
    }
    if let Some(propagation) = reader.take::<String>(&mut linux, "rootfsPropagation")
        && !["", "private", "rprivate", "slave", "rslave", "unbindable", "runbindable"].contains(&propagation.as_str())
    {
        reader.wrong(&linux.at("rootfsPropagation"), "no mount leaves a sandbox", "leave it out");
    }
    reader.nothing_else(linux);
}

fn namespaces(reader: &mut Reader, path: &str, listed: &[LinuxNamespace]) {
    for (index, namespace) in listed.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if namespace.path().is_some() {
            let cure = "leave `path` out: every sandbox has namespaces of its own";
            reader.wrong(&format!("{path}.path"), "no sandbox joins somebody else's namespace", cure);
        }
        // All others a sandbox has, wished for or not.
        if namespace.typ() == LinuxNamespaceType::Time {
            reader.wrong(&path, "no namespace of its own for time", "leave it out");
        }
    }
}

fn paths(reader: &mut Reader, linux: &mut Object, key: &str) -> Vec<PathBuf> {
    let listed: Vec<String> = reader.take(linux, key).unwrap_or_default();
    let mut paths = Vec::new();
    for (index, path) in listed.into_iter().enumerate() {
        let place = format!("{}[{index}]", linux.at(key));
        let plain = Path::new(&path);
        if !plain.is_absolute() || plain.parent().is_none() || path.contains('\0') {
            let message = format!("`{}` is not an absolute path below the root", path.escape_debug());
            reader.wrong(&place, &message, "for the whole root there is `root.readonly`");
        } else if !["/proc", "/sys", "/dev"].iter().any(|ours| plain.starts_with(ours)) {
            paths.push(plain.to_owned());
        } else if !HELD.contains(&path.as_str()) || (key == "maskedPaths" && READ_ONLY.contains(&path.as_str())) {
            let message = format!("`{}` belongs to the sandbox", path.escape_debug());
            reader.wrong(&place, &message, "leave it out: `belljar run -- ls /proc` shows what there is");
        }
    }
    paths
}

fn resources(reader: &mut Reader, mut resources: Object, wish: &mut Wish) {
    if let Some(mut memory) = reader.take_object(&mut resources, "memory") {
        let limit: Option<i64> = reader.take(&mut memory, "limit");
        wish.spec.memory = limit.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
        let swap: Option<i64> = reader.take(&mut memory, "swap");
        if swap.is_some_and(|swap| swap > 0 && Some(swap) != limit) {
            reader.wrong(&memory.at("swap"), "no sandbox may swap", "leave it out, or make it what `limit` is");
        }
        reader.nothing_else(memory);
    }
    if let Some(mut pids) = reader.take_object(&mut resources, "pids") {
        let limit: Option<i64> = reader.take(&mut pids, "limit");
        if let Some(limit) = limit.filter(|limit| *limit > 0) {
            match u32::try_from(limit) {
                Ok(limit) => wish.spec.pids = Some(limit),
                Err(_) => reader.wrong(&pids.at("limit"), "is more than the kernel can count", "lower it"),
            }
        }
        reader.nothing_else(pids);
    }
    if let Some(mut cpu) = reader.take_object(&mut resources, "cpu") {
        let quota: Option<i64> = reader.take(&mut cpu, "quota");
        let period: Option<u64> = reader.take(&mut cpu, "period");
        if let Some(quota) = quota.and_then(|quota| u64::try_from(quota).ok()).filter(|quota| *quota > 0) {
            // In thousandths of a CPU, and at least one of them; 100 ms is the kernel's own period.
            let rate = (quota.saturating_mul(1000) / period.unwrap_or(100_000).max(1)).max(1);
            wish.spec.millicpus = Some(u32::try_from(rate).unwrap_or(u32::MAX));
        }
        // A share of what others leave: 0 and 1024 are no wish at all.
        if reader.take::<u64>(&mut cpu, "shares").is_some_and(|shares| ![0, 1024].contains(&shares)) {
            reader.wrong(&cpu.at("shares"), "there are no shares", "set `quota` and `period`");
        }
        reader.nothing_else(cpu);
    }
    let devices: Vec<LinuxDeviceCgroup> = reader.take(&mut resources, "devices").unwrap_or_default();
    for (index, rule) in devices.iter().enumerate() {
        let known = |(major, minor): &(i64, Option<i64>)| {
            rule.major() == Some(*major) && (minor.is_none() || rule.minor() == *minor)
        };
        if rule.allow() && !DEVICES.iter().any(known) {
            let path = format!("{}[{index}]", resources.at("devices"));
            reader.wrong(
                &path,
                "allows devices that no sandbox has",
                "take it out, if the command can do without them",
            );
        }
    }
    reader.nothing_else(resources);
}
