//! Which files of the host a sandbox on the `host` image sees.
//!
//! An allow-list: `/usr` and its siblings, and of `/etc` only what programs need to start and to know the world
//! (linker cache, certificates, time zone, alternatives). Nothing that can hold a secret.

use super::UNPRIVILEGED_ID;
use crate::error::Problem;
use crate::spec::{Program, Source, Spec};
use std::fs;
use std::io;
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

/// See the module's contract. Entries ending in `*` stand for every name that begins so.
const ETC: [&str; 16] = [
    "alternatives",
    "crypto-policies",
    "fonts",
    "java*",
    "ld-musl-x86_64.path",
    "ld.so.cache",
    "localtime",
    "mime.types",
    "os-release",
    "perl",
    "pki",
    "protocols",
    "services",
    "ssl",
    "static",
    "terminfo",
];

/// What the OCI runtime specification's implementations mask, and everything else of procfs that tells of the
/// host or of other users and can be read without privileges.
const MASKS: [&str; 31] = [
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
    "sysrq-trigger",
    "timer_list",
    "timer_stats",
    "zoneinfo",
];

/// The existing ones of `/usr` and its siblings.
pub fn top_level() -> Vec<Entry> {
    TOP_LEVEL.iter().filter_map(|name| entry(Path::new("/"), name)).collect()
}

/// The existing ones of what programs need of `/etc`.
pub fn etc() -> Vec<Entry> {
    let directory = Path::new("/etc");
    let mut entries: Vec<Entry> =
        ETC.iter().filter(|name| !name.ends_with('*')).filter_map(|name| entry(directory, name)).collect();
    entries.extend(java(directory));
    entries
}

/// OpenJDK keeps its configuration in `/etc/java-VERSION-openjdk`, and does not start without it. Only looked for
/// where there is a Java at all: reading a directory costs more than all the rest.
fn java(directory: &Path) -> Vec<Entry> {
    if !Path::new("/usr/lib/jvm").exists() {
        return Vec::new();
    }
    let Ok(names) = fs::read_dir(directory) else { return Vec::new() };
    let mut found: Vec<Entry> = names
        .filter_map(|name| name.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("java"))
        .filter_map(|name| entry(directory, &name))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Entries of `/proc` to be masked that this kernel has.
pub fn masks() -> Vec<Entry> {
    MASKS.iter().filter_map(|name| entry(Path::new("/proc"), name)).collect()
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
        match fs::metadata(&mount.source) {
            Err(error) => {
                problems.push(Problem::of_mount(format!("source `{source}`: {}", reason(&error))));
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
        Err(error) => Err(reason(&error)),
        Ok(found) if found.is_dir() => Err("is a directory".to_owned()),
        Ok(_) => nix::unistd::access(path, nix::unistd::AccessFlags::R_OK)
            .map_err(|errno| reason(&io::Error::from_raw_os_error(errno as i32))),
    };
    if let Err(message) = found {
        problems.push(Problem::new(field, format!("`{shown}`: {message}")));
    }
    if path.as_os_str().as_bytes().contains(&0) {
        problems.push(Problem::new(field, "contains a NUL byte"));
    }
}

/// The kernel's words, without the number that std appends.
fn reason(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), crate::error::describe)
}
