//! Which files of the host a sandbox on the `host` image sees.
//!
//! An allow-list: `/usr` and its siblings, and of `/etc` only what programs need to start and to know the world
//! (linker cache, certificates, time zone, alternatives). Nothing that can hold a secret.

use super::UNPRIVILEGED_ID;
use crate::error::{Problem, describe, describe_io};
use crate::spec::{Program, Source, Spec};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A file of the host by its name in its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A link to this.
    Link(String),
}

/// Directories beside `/usr` that hold programs and libraries. The stores of Nix and Guix are where those
/// distributions keep them.
const TOP_LEVEL: [&str; 9] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store", "gnu/store"];

/// Whether that is a place in the machine's files that sandboxes on them show.
pub fn is_shown(path: &Path) -> bool {
    let below = path.strip_prefix("/").unwrap_or(path);
    TOP_LEVEL.iter().chain(&["etc"]).any(|shown| below.starts_with(shown))
}

/// See the module's contract.
const ETC: [&str; 13] = [
    "alternatives",
    "crypto-policies",
    "fonts",
    "ld-musl-x86_64.path",
    "ld.so.cache",
    "localtime",
    "mime.types",
    "os-release",
    "pki",
    "protocols",
    "services",
    "ssl",
    "static",
];

/// What the OCI runtime specification's implementations mask, and what else tells of the kernel's keys, symbols,
/// configuration or of other users' doings (interrupts and scheduling give key strokes away). What nobody but root
/// may read needs no mask: the sandbox is never root on the host.
const MASKS: [&str; 29] = [
    "acpi",
    "asound",
    "buddyinfo",
    "bus",
    "cmdline",
    "config.gz",
    "consoles",
    "diskstats",
    "driver",
    "fs",
    "interrupts",
    "iomem",
    "ioports",
    "irq",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "latency_stats",
    "locks",
    "modules",
    "partitions",
    "pressure",
    "sched_debug",
    "schedstat",
    "scsi",
    "softirqs",
    "timer_list",
    "zoneinfo",
];

/// The existing ones of `/usr` and its siblings.
pub fn top_level() -> Vec<Entry> {
    TOP_LEVEL.iter().filter_map(|name| entry(Path::new("/"), name)).collect()
}

/// The existing ones of what programs need of `/etc`.
pub fn etc() -> Vec<Entry> {
    let directory = Path::new("/etc");
    let mut entries: Vec<Entry> = ETC.iter().filter_map(|name| entry(directory, name)).collect();
    entries.extend(java(directory));
    entries.retain_mut(|entry| resolve(directory, entry));
    entries
}

/// A link that leads into a tree which is shown inside stays a link; any other becomes what it leads to, and goes if
/// that is nothing.
fn resolve(directory: &Path, entry: &mut Entry) -> bool {
    let EntryKind::Link(target) = &entry.kind else { return true };
    if ["/usr/", "../usr/", "/nix/store/", "/gnu/store/"].iter().any(|tree| target.starts_with(tree)) {
        return true;
    }
    match fs::metadata(directory.join(&entry.name)) {
        Ok(found) if found.is_dir() => entry.kind = EntryKind::Directory,
        Ok(_) => entry.kind = EntryKind::File,
        Err(_) => return false,
    }
    true
}

/// OpenJDK keeps its configuration in `/etc/java-VERSION-openjdk` (Debian) or `/etc/java` (Fedora), and does not
/// start without it. The names of the installed ones lead there: `/usr/lib/jvm/java-VERSION-openjdk-ARCHITECTURE`.
fn java(directory: &Path) -> Vec<Entry> {
    let Ok(machines) = fs::read_dir("/usr/lib/jvm") else { return Vec::new() };
    let mut names: Vec<String> = machines
        .filter_map(|name| name.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name[..name.find("-openjdk")? + "-openjdk".len()].to_owned()))
        .collect();
    names.push("java".to_owned());
    names.sort();
    names.dedup();
    names.iter().filter_map(|name| entry(directory, name)).collect()
}

/// Entries of `/proc` to be masked: those that this kernel has and that others than root may read.
pub fn masks() -> Vec<Entry> {
    let mask = |name: &&str| {
        let found = fs::symlink_metadata(Path::new("/proc").join(name)).ok()?;
        let kind = if found.is_dir() { EntryKind::Directory } else { EntryKind::File };
        (found.mode() & 0o077 != 0).then(|| Entry { name: (*name).to_owned(), kind })
    };
    MASKS.iter().filter_map(mask).collect()
}

fn entry(directory: &Path, name: &str) -> Option<Entry> {
    let path = directory.join(name);
    let file_type = fs::symlink_metadata(&path).ok()?.file_type();
    let kind = if file_type.is_symlink() {
        EntryKind::Link(fs::read_link(&path).ok()?.into_os_string().into_string().ok()?)
    } else if file_type.is_dir() {
        EntryKind::Directory
    } else {
        EntryKind::File
    };
    Some(Entry { name: name.to_owned(), kind })
}

/// Whether each mount source is a directory; what is wrong with those that cannot be mounted.
pub fn mount_sources(spec: &Spec, real_root: bool, problems: &mut Vec<Problem>) -> Vec<bool> {
    let mut directories = Vec::with_capacity(spec.mounts.len());
    for mount in &spec.mounts {
        let source = mount.source.display();
        let found = match mount.beneath {
            None => fs::metadata(&mount.source),
            Some(_) => fs::symlink_metadata(&mount.source),
        };
        match found {
            Err(error) => {
                problems.push(Problem::of_mount(format!("source `{source}`: {}", describe_io(&error))));
                directories.push(false);
            }
            Ok(found) => {
                let mode = found.mode();
                let writable = (found.uid() == UNPRIVILEGED_ID && mode & 0o200 != 0)
                    || (found.gid() == UNPRIVILEGED_ID && mode & 0o020 != 0)
                    || mode & 0o002 != 0;
                if real_root && mount.writable && !writable {
                    problems.push(
                        Problem::of_mount(format!(
                            "source `{source}` would not be writable: a sandbox that root starts has user id {UNPRIVILEGED_ID} on the host"
                        ))
                        .hint(format!("`chown {UNPRIVILEGED_ID} {source}`, or start belljar as the directory's owner")),
                    );
                }
                directories.push(found.is_dir());
            }
        }
    }
    directories
}

/// The files that the spec names to be read.
pub fn named_files(spec: &Spec, problems: &mut Vec<Problem>) {
    if let Program::Code(code) = &spec.program
        && let Source::File(path) = &code.source
    {
        readable_file("code", path, problems);
    }
    if let Some(path) = &spec.stdin {
        readable_file("stdin", path, problems);
    }
}

fn readable_file(field: &str, path: &Path, problems: &mut Vec<Problem>) {
    let shown = path.display();
    let found = match fs::metadata(path) {
        Err(error) => Err(describe_io(&error)),
        Ok(found) if found.is_dir() => Err("is a directory".to_owned()),
        Ok(_) => nix::unistd::access(path, nix::unistd::AccessFlags::R_OK).map_err(|errno| describe(errno as i32)),
    };
    if let Err(message) = found {
        problems.push(Problem::new(field, format!("`{shown}`: {message}")));
    }
    if path.as_os_str().as_bytes().contains(&0) {
        problems.push(Problem::new(field, "contains a NUL byte"));
    }
}
