//! Hosts as literals: the layouts that distributions have, and the callers that there are.

use crate::host::cgroup::{Cgroup, Controllers, Place};
use crate::host::image::Config;
use crate::host::ranges::{Extent, Helpers};
use crate::host::{Entry, EntryKind, Host, Image, Machine, Ranges, Reach, StreamKind};
use std::time::Duration;

fn directory(name: &str) -> Entry {
    Entry { name: name.to_owned(), kind: EntryKind::Directory }
}

fn file(name: &str) -> Entry {
    Entry { name: name.to_owned(), kind: EntryKind::File }
}

fn link(name: &str, target: &str) -> Entry {
    Entry { name: name.to_owned(), kind: EntryKind::Link(target.to_owned()) }
}

/// The host of that name in the rows.
pub fn named(name: &str) -> Host {
    match name {
        "debian" => debian(),
        "split" => split(),
        "alpine" => alpine(),
        "nixos" => nixos(),
        "with-java" => with_java(),
        "with-nothing" => Host { top_level: Vec::new(), etc: Vec::new(), masks: Vec::new(), ..debian() },
        "small" => {
            let machine = Machine { processors: vec![0], ..machine() };
            Host { memory: 512 << 20, cpus: 1, machine, ..debian() }
        }
        "image" => image(false),
        "image-of-root" => image(true),
        "limited" => Host { hard_limits: [0; 16], ..debian() },
        "delegated" => delegated(Controllers { cpu: true, io: false, memory: true, pids: true }),
        "delegated-with-io" => delegated(Controllers { cpu: true, io: true, memory: true, pids: true }),
        "delegated-without-cpu" => delegated(Controllers { cpu: false, io: false, memory: true, pids: true }),
        "login-session" => Host { cgroup: Cgroup::Scope, ..debian() },
        "range" => ranged(debian()),
        "range-of-root" => ranged(Host { uid: 0, gid: 0, real_root: true, ..debian() }),
        "range-in-two" => {
            let mut host = ranged(debian());
            let ranges = host.ranges.as_mut().expect("ranges");
            ranges.uids = vec![extent(1, 100_000, 1000), extent(1001, 300_000, 64535)];
            host
        }
        "image-with-range" => ranged(image(false)),
        "image-of-root-with-range" => ranged(image(true)),
        "delegated-with-range" => ranged(named("delegated")),
        "without-tun" => Host { reach: Reach { tun: false, ..debian().reach }, ..debian() },
        "without-ipv6" => Host { reach: Reach { ipv6: false, ..debian().reach }, ..debian() },
        "root" => Host { uid: 0, gid: 0, real_root: true, ..debian() },
        "root-of-a-container" => Host { uid: 0, gid: 0, ..debian() },
        "nobody" => Host { uid: 65534, gid: 65534, ..debian() },
        _ => match name.strip_prefix("landlock-").map(str::parse) {
            Some(Ok(landlock_abi)) => Host { landlock_abi, ..debian() },
            _ => panic!("no host `{name}`"),
        },
    }
}

/// What all rows are compared with: a merged `/usr`, a caller with user id 1000, Landlock ABI 6.
fn debian() -> Host {
    Host {
        uid: 1000,
        gid: 1000,
        real_root: false,
        nested: None,
        ranges: None,
        image: None,
        landlock_abi: 6,
        last_capability: 40,
        top_level: vec![
            directory("usr"),
            link("bin", "usr/bin"),
            link("sbin", "usr/sbin"),
            link("lib", "usr/lib"),
            link("lib64", "usr/lib64"),
        ],
        etc: vec![directory("alternatives"), file("ld.so.cache"), link("localtime", "/usr/share/zoneinfo/Etc/UTC")],
        masks: vec![directory("acpi"), file("kcore")],
        mount_is_directory: Vec::new(),
        streams: [StreamKind::Harmless; 3],
        memory: 8 << 30,
        cpus: 4,
        cgroup: Cgroup::undelegated("no cgroup v2 at /sys/fs/cgroup".to_owned()),
        disks: Vec::new(),
        machine: machine(),
        reach: Reach { tun: true, ipv6: true, certificates: None },
        hard_limits: [u64::MAX; 16],
    }
}

fn extent(inside: u32, outside: u32, count: u32) -> Extent {
    Extent { inside, outside, count }
}

/// Subordinate ids, of users from 100000 and of groups from 200000 on.
fn ranged(host: Host) -> Host {
    let helpers = Helpers { uids: "/usr/bin/newuidmap".into(), gids: "/usr/bin/newgidmap".into() };
    let ranges = Ranges {
        uids: vec![extent(1, 100_000, 65535)],
        gids: vec![extent(1, 200_000, 65535)],
        helpers: (!host.real_root).then_some(helpers),
    };
    Host { ranges: Some(ranges), ..host }
}

/// Two layers, a user of its own and all else that a configuration has.
fn image(real_root: bool) -> Host {
    let config = Config {
        entrypoint: vec!["/entry".to_owned()],
        cmd: vec!["serve".to_owned()],
        env: vec!["PATH=/app/bin:/bin".to_owned(), "LANG=C".to_owned()],
        user: (!real_root).then_some((7, 8)),
        workdir: Some("/srv/app".to_owned()),
        stop_signal: Some("SIGINT".to_owned()),
        passwd: "root:x:0:0:root:/root:/bin/sh\n".to_owned(),
        group: "root:x:0:\n".to_owned(),
    };
    let layers = vec!["/store/layers/a".into(), "/store/layers/b".into()];
    let image = Some(Image { shown: "app@sha256:00".to_owned(), layers, config });
    let id = if real_root { 0 } else { 1000 };
    Host { uid: id, gid: id, real_root, image, top_level: Vec::new(), etc: Vec::new(), ..debian() }
}

/// A cgroup of the caller's own.
fn delegated(controllers: Controllers) -> Host {
    let place = Place { directory: "/sys/fs/cgroup/mine".into(), controllers, crowded: false };
    Host { cgroup: Cgroup::In(place), disks: vec![(8, 0)], ..debian() }
}

/// belljar runs on the third of four CPUs.
fn machine() -> Machine {
    Machine {
        processors: vec![2, 3, 0, 1],
        description: Some("processor\t: 0\nmodel name\t: Some CPU\nsiblings\t: 4\n\n".to_owned()),
        uptime: Duration::from_millis(3_600_120),
        booted: 1_700_000_000,
        lists_cgroups: true,
    }
}

/// `/bin`, `/sbin`, `/lib` and `/lib64` are directories of their own.
fn split() -> Host {
    Host { top_level: ["usr", "bin", "sbin", "lib", "lib64"].map(directory).to_vec(), ..debian() }
}

/// musl: no `/lib64`, no linker cache, and the time zone is a file.
fn alpine() -> Host {
    Host {
        top_level: ["usr", "bin", "sbin", "lib"].map(directory).to_vec(),
        etc: vec![file("ld-musl-x86_64.path"), file("localtime"), directory("ssl")],
        ..debian()
    }
}

/// Programs live in `/nix/store`, `/usr` holds `env` alone, and `/etc` consists of links.
fn nixos() -> Host {
    Host {
        top_level: ["usr", "bin", "nix/store"].map(directory).to_vec(),
        etc: vec![
            link("localtime", "/nix/store/xyz-tzdata/UTC"),
            link("ssl", "/etc/static/ssl"),
            link("static", "/nix/store/abc-etc"),
        ],
        ..debian()
    }
}

/// Java keeps its configuration in `/etc`.
fn with_java() -> Host {
    let mut host = debian();
    host.etc.push(directory("java-17-openjdk"));
    host
}
