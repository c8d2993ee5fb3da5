//! `mounts`: what is ours in any case, directories of the bundle, and empty ones.

use super::object::{Object, Reader};
use crate::spec::{Bundle, Mount, PartialSpec, Tmpfs, parse_bytes};
use std::path::{Component, Path, PathBuf};

/// What every sandbox has at these places, and of which types the specification's and the runtimes' examples want it.
/// What their options restrict is restricted there too.
const OURS: [(&str, &[&str]); 10] = [
    ("/proc", &["proc"]),
    ("/dev", &["tmpfs"]),
    ("/dev/pts", &["devpts"]),
    ("/dev/mqueue", &["mqueue"]),
    ("/sys", &["sysfs", "bind", "none", "rbind"]),
    ("/sys/fs/cgroup", &["cgroup", "cgroup2", "bind"]),
    ("/dev/shm", &["tmpfs"]),
    ("/etc/resolv.conf", &["bind", "none", ""]),
    ("/etc/hosts", &["bind", "none", ""]),
    ("/etc/hostname", &["bind", "none", ""]),
];
const SHARED_MEMORY: &str = "/dev/shm";

/// Options that say what holds for every mount of a sandbox, or what nobody can tell from the outside.
const EMPTY_WISHES: [&str; 17] = [
    "nosuid",
    "nodev",
    "noatime",
    "relatime",
    "strictatime",
    "nodiratime",
    "private",
    "rprivate",
    "slave",
    "rslave",
    "async",
    "bind",
    "rbind",
    "defaults",
    "nostrictatime",
    "norelatime",
    "silent",
];

pub fn read(reader: &mut Reader, list: Vec<Object>, spec: &mut PartialSpec, bundle: &mut Bundle) {
    for mut mount in list {
        let path = mount.path.clone();
        let target: String = reader.take(&mut mount, "destination").unwrap_or_default();
        let kind: String = reader.take(&mut mount, "type").unwrap_or_default();
        let source: Option<String> = reader.take(&mut mount, "source");
        let options: Vec<String> = reader.take(&mut mount, "options").unwrap_or_default();
        reader.nothing_else(mount);
        if !is_plain(&target) {
            let shown = format!("`{}` is not an absolute path without `..`", target.escape_debug());
            reader.wrong(&format!("{path}.destination"), &shown, "name it as it is inside: `/data`");
            continue;
        }
        let binds = options.iter().any(|option| option == "bind" || option == "rbind");
        let ours = OURS.iter().find(|(place, _)| *place == target);
        match ours {
            Some((place, kinds)) if kinds.contains(&kind.as_str()) => {
                for option in options.iter().filter(|option| !holds_on_ours(option)) {
                    unknown(reader, &path, option);
                }
                if *place == SHARED_MEMORY {
                    bundle
                        .tmpfs
                        .extend(tmpfs(reader, &path, &target, &options, spec).filter(|wish| wish.bytes.is_some()));
                }
            }
            _ if lies_in_ours(&target) => {
                let message = format!("`{}` belongs to the sandbox", target.escape_debug());
                reader.wrong(&path, &message, "take it out, if the command can do without it");
            }
            _ if kind == "tmpfs" => bundle.tmpfs.extend(tmpfs(reader, &path, &target, &options, spec)),
            _ if kind == "bind" || binds => {
                let source = PathBuf::from(source.unwrap_or_default());
                let writable = bind(reader, &path, &options);
                spec.mounts.push(Mount { source, target: target.into(), writable, beneath: None });
            }
            _ => {
                let message = format!("no mounts of the type `{}`", kind.escape_debug());
                reader.wrong(&format!("{path}.type"), &message, "there are `bind` and `tmpfs`");
            }
        }
    }
}

/// Whether an option asks for no more than what holds for what is ours.
fn holds_on_ours(option: &str) -> bool {
    let name = option.split('=').next().unwrap_or(option);
    let ours =
        ["ro", "rro", "rw", "noexec", "exec", "newinstance", "mode", "ptmxmode", "size", "nr_inodes", "uid", "gid"];
    EMPTY_WISHES.contains(&option) || ours.contains(&name)
}

/// Absolute, and in the form in which it is compared.
fn is_plain(path: &str) -> bool {
    let parts = Path::new(path).components();
    path.starts_with('/')
        && !path.contains('\0')
        && !Path::new(path).components().any(|part| part == Component::ParentDir)
        && parts.collect::<PathBuf>().as_os_str() == path
}

fn lies_in_ours(target: &str) -> bool {
    ["/proc", "/dev", "/sys"].iter().any(|place| Path::new(target).starts_with(place))
}

/// Whether it can be written to.
fn bind(reader: &mut Reader, path: &str, options: &[String]) -> bool {
    let mut writable = true;
    for option in options {
        match option.as_str() {
            "ro" | "rro" => writable = false,
            "rw" => writable = true,
            option if EMPTY_WISHES.contains(&option) => {}
            option => unknown(reader, path, option),
        }
    }
    writable
}

fn tmpfs(reader: &mut Reader, path: &str, target: &str, options: &[String], spec: &PartialSpec) -> Option<Tmpfs> {
    let mut wish =
        Tmpfs { target: target.into(), mode: 0o1777, bytes: None, executable: true, after: spec.mounts.len() };
    for option in options {
        match option.split_once('=').unwrap_or((option, "")) {
            ("size", size) => match bytes(size) {
                Some(size) => wish.bytes = Some(size),
                None => {
                    reader.wrong(&format!("{path}.options"), &format!("`{option}` is no size"), "give it as `size=64m`")
                }
            },
            ("mode", mode) => match u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o1777) {
                Some(mode) => wish.mode = mode,
                None => {
                    reader.wrong(
                        &format!("{path}.options"),
                        &format!("`{option}` is no mode"),
                        "give it as `mode=1777`",
                    );
                }
            },
            ("noexec", "") => wish.executable = false,
            ("exec" | "rw" | "noswap", "") => {}
            (option, "") if EMPTY_WISHES.contains(&option) => {}
            _ => unknown(reader, path, option),
        }
    }
    if !wish.executable && wish.bytes.is_none() {
        let cure = "give it one: `size=64m`, which is taken off the writable layer's";
        reader.wrong(&format!("{path}.options"), "`noexec` takes a file system with a size of its own", cure);
    }
    Some(wish)
}

/// As tmpfs(5) has it: `k`, `m`, `g`; no per cent, which would be of the host's memory.
fn bytes(text: &str) -> Option<u64> {
    let with_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    if with_unit { parse_bytes(text).ok() } else { text.parse().ok() }.filter(|bytes| *bytes > 0)
}

fn unknown(reader: &mut Reader, path: &str, option: &str) {
    let message = format!("`{}` is nothing that belljar does", option.escape_debug());
    reader.wrong(&format!("{path}.options"), &message, "take it out, if the command can do without it");
}
