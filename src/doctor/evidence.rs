//! Comparison of what the first sandbox showed with what it promised.
//!
//! Judges text that the kernel wrote (`/proc`), as programs inside read it. Pure but for a look at our own namespaces.

use super::inside::Looked;
use super::report::Verified;
use crate::spec::Protection;
use std::collections::BTreeMap;
use std::path::Path;

/// Processes that may be seen inside: pid 1, the shell and what it starts.
const FEW: usize = 8;
/// Namespaces by their links in `/proc/self/ns`, as the sandbox looks at them.
const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// What was seen of each protection that shows itself.
pub fn hold(looked: &Looked) -> BTreeMap<Protection, Verified> {
    let outside: Vec<String> = NAMESPACES.iter().map(|name| namespace(name)).collect();
    [
        (Protection::Namespaces, namespaces(looked, &outside)),
        (Protection::Capabilities, capabilities(looked)),
        (Protection::Network, network(looked, &outside)),
        (Protection::Seccomp, seccomp(looked)),
        (Protection::Landlock, landlock(looked)),
        (Protection::Proc, proc(looked)),
    ]
    .into_iter()
    .map(|(protection, seen)| {
        let verified = match seen {
            Ok(()) => Verified::Yes,
            Err(Seen::Nothing(what)) => Verified::NotTried(format!("inside, {what}")),
            Err(Seen::Wrong(what)) => Verified::No(what),
        };
        (protection, verified)
    })
    .collect()
}

/// Why a protection was not seen to work.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// There was nothing to see.
    Nothing(String),
    /// There was, and it is wrong.
    Wrong(String),
}

fn wrong(what: impl Into<String>) -> Result<(), Seen> {
    Err(Seen::Wrong(what.into()))
}

fn section<'a>(looked: &'a Looked, name: &str) -> Result<&'a [String], Seen> {
    looked.lines(name).ok_or_else(|| Seen::Nothing(format!("nothing could show {name}")))
}

/// The namespace of ours, as `net:[4026531840]`.
fn namespace(name: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{name}"))
        .map(|link| link.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The value of a line of `/proc/self/status`.
fn status<'a>(looked: &'a Looked, key: &str) -> Result<&'a str, Seen> {
    let lines = section(looked, "status")?;
    let value = lines.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value.map(str::trim).ok_or_else(|| Seen::Nothing(format!("`/proc/self/status` has no {key}")))
}

fn namespaces(looked: &Looked, outside: &[String]) -> Result<(), Seen> {
    let inside = section(looked, "namespaces")?;
    if let Some(shared) = inside.iter().filter(|name| !name.starts_with("net:")).find(|name| outside.contains(name)) {
        return wrong(format!("the namespace {shared} is the host's"));
    }
    if inside.len() != NAMESPACES.len() {
        return Err(Seen::Nothing(format!("only {} namespaces could be seen", inside.len())));
    }
    mounts(section(looked, "mountinfo")?)?;
    match looked.lines("descriptors") {
        Some(open) if open.iter().any(|number| !["0", "1", "2"].contains(&number.as_str())) => {
            wrong(format!("open descriptors: {}", open.join(" ")))
        }
        _ => Ok(()),
    }
}

fn capabilities(looked: &Looked) -> Result<(), Seen> {
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let value = status(looked, set)?;
        if value.bytes().any(|digit| digit != b'0') {
            return wrong(format!("{set} is {value}: capabilities are left"));
        }
    }
    match status(looked, "NoNewPrivs")? {
        "1" => Ok(()),
        other => wrong(format!("programs could gain privileges (NoNewPrivs is {other})")),
    }
}

/// One mount as `/proc/self/mountinfo` has it.
struct Mount<'a> {
    point: &'a str,
    options: &'a str,
    kind: &'a str,
}

fn mount(line: &str) -> Option<Mount<'_>> {
    let (place, origin) = line.split_once(" - ")?;
    let mut words = place.split(' ').skip(4);
    let (point, options) = (words.next()?, words.next()?);
    Some(Mount { point, options, kind: origin.split(' ').next()? })
}

impl Mount<'_> {
    fn has(&self, option: &str) -> bool {
        self.options.split(',').any(|word| word == option)
    }
}

/// Nothing of the host but what is meant to be seen, that read-only, and never with set-user-id.
fn mounts(lines: &[String]) -> Result<(), Seen> {
    /// Where anything may be mounted.
    const PLACES: [&str; 12] = [
        "/usr",
        "/bin",
        "/sbin",
        "/lib",
        "/lib32",
        "/lib64",
        "/libx32",
        "/nix/store",
        "/gnu/store",
        "/etc",
        "/dev",
        "/proc",
    ];
    /// The sandbox's own.
    const WRITABLE: [&str; 3] = ["/", "/dev/pts", "/dev/shm"];
    let mounts: Vec<Mount<'_>> = lines.iter().filter_map(|line| mount(line)).collect();
    match mounts.iter().rfind(|mount| mount.point == "/") {
        Some(root) if root.kind == "tmpfs" => {}
        Some(root) => return wrong(format!("the root is a {}, not the sandbox's own", root.kind)),
        None => return wrong("the root is no mount"),
    }
    for Mount { point, kind, .. } in mounts.iter().filter(|mount| mount.point != "/") {
        // Files of ours, and at most the sandbox's own limits: a sysfs would be the host's.
        let views = Path::new(point).starts_with("/sys") && ["ramfs", "cgroup2"].contains(kind);
        if !views && !PLACES.iter().any(|place| Path::new(point).starts_with(place)) {
            return wrong(format!("`{point}` of the host is mounted inside"));
        }
    }
    for mount in mounts {
        if !mount.has("nosuid") {
            return wrong(format!("`{}` honours set-user-id", mount.point));
        }
        // What lies in `/proc` is another protection's.
        let has_own_rule = WRITABLE.contains(&mount.point) || Path::new(mount.point).starts_with("/proc");
        if !mount.has("ro") && !has_own_rule {
            return wrong(format!("`{}` can be written", mount.point));
        }
    }
    Ok(())
}

fn network(looked: &Looked, outside: &[String]) -> Result<(), Seen> {
    let names = section(looked, "namespaces")?;
    match names.iter().find(|name| name.starts_with("net:")) {
        None => return Err(Seen::Nothing("the network namespace could not be seen".to_owned())),
        Some(name) if outside.contains(name) => return wrong("the network is the host's"),
        Some(_) => {}
    }
    let lines = section(looked, "interfaces")?;
    let mut interfaces = lines.iter().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    match interfaces.find(|name| *name != "lo") {
        Some(other) => wrong(format!("there is an interface `{other}`")),
        None => Ok(()),
    }
}

fn seccomp(looked: &Looked) -> Result<(), Seen> {
    match status(looked, "Seccomp")? {
        "2" => Ok(()),
        other => wrong(format!("no filter is active (Seccomp is {other})")),
    }
}

/// The root is a tmpfs of the sandbox's own user: nothing but Landlock keeps it from writing there.
fn landlock(looked: &Looked) -> Result<(), Seen> {
    let writable = section(looked, "writable")?;
    if !writable.iter().any(|path| path == "/tmp") {
        return Err(Seen::Nothing("not even `/tmp` could be written".to_owned()));
    }
    match writable.iter().find(|path| *path != "/tmp") {
        Some(path) => wrong(format!("`{path}` could be written")),
        None => Ok(()),
    }
}

fn proc(looked: &Looked) -> Result<(), Seen> {
    let mounts: Vec<Mount<'_>> = section(looked, "mountinfo")?.iter().filter_map(|line| mount(line)).collect();
    let at = |point: &str| mounts.iter().rfind(|mount| mount.point == point);
    if at("/proc").is_none_or(|mount| mount.kind != "proc") {
        return wrong("`/proc` is no procfs");
    }
    if at("/proc/sys").is_none() {
        return wrong("`/proc/sys` is not sealed");
    }
    if let Some(mount) = mounts.iter().find(|mount| mount.point.starts_with("/proc/") && !mount.has("ro")) {
        return wrong(format!("`{}` can be written", mount.point));
    }
    let processes = section(looked, "processes")?;
    if processes.len() > FEW {
        return wrong(format!("{} processes can be seen", processes.len()));
    }
    match section(looked, "nested")? {
        [zero] if zero == "0" => Ok(()),
        other => wrong(format!("user namespaces can be made inside ({})", other.join(" "))),
    }
}

#[cfg(test)]
mod tests;
