//! Evidence of good and of faulty sandboxes.

use super::*;

/// What a sandbox shows in which everything is as it should be.
fn good() -> Looked {
    let section = |name: &str, lines: &str| (name.to_owned(), lines.lines().map(str::to_owned).collect());
    let status = "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
        CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1";
    let mounts = "113 43 0:46 /root / rw,nosuid,nodev - tmpfs tmpfs rw\n\
        114 113 254:0 /usr /usr ro,nosuid,nodev - ext4 /dev/vda rw\n\
        134 113 0:48 / /proc rw,nosuid,nodev,noexec - proc proc rw\n\
        135 134 0:48 /sys /proc/sys ro,nosuid,nodev,noexec - proc proc rw\n\
        136 113 0:49 /sys /sys ro,nosuid,nodev,noexec - ramfs ramfs rw,mode=755\n\
        137 136 0:50 / /sys/fs/cgroup ro,nosuid,nodev,noexec - cgroup2 cgroup2 rw\n\
        130 123 0:47 / /dev/pts rw,nosuid,noexec - devpts devpts rw";
    let namespaces = "cgroup:[1]\nipc:[2]\nmnt:[3]\nnet:[4]\npid:[5]\nuser:[6]\nuts:[7]";
    Looked {
        sections: BTreeMap::from([
            section("status", status),
            section("mountinfo", mounts),
            section("namespaces", namespaces),
            section("interfaces", "Inter-|   Receive\n face |bytes\n    lo:       0"),
            section("processes", "1\n2"),
            section("descriptors", "0\n1\n2"),
            section("writable", "/tmp"),
            section("nested", "0"),
        ]),
        ..Looked::default()
    }
}

/// The same, with `from` replaced by `to` in a section.
fn but(name: &str, from: &str, to: &str) -> Looked {
    let mut looked = good();
    let lines = looked.sections.get_mut(name).expect("a section");
    let text = lines.join("\n").replace(from, to);
    *lines = text.lines().map(str::to_owned).collect();
    looked
}

#[test]
fn a_sandbox_that_is_as_promised_is_seen_to_be() {
    assert!(hold(&good()).values().all(|verified| *verified == Verified::Yes), "{:?}", hold(&good()));
}

#[test]
fn what_was_promised_and_is_not_there_is_seen() {
    let own_net = namespace("net");
    let own_pid = namespace("pid");
    let table = [
        (Protection::Capabilities, but("status", "CapBnd:\t0000000000000000", "CapBnd:\t0000000000200000")),
        (Protection::Capabilities, but("status", "NoNewPrivs:\t1", "NoNewPrivs:\t0")),
        (Protection::Namespaces, but("namespaces", "pid:[5]", &own_pid)),
        (Protection::Namespaces, but("mountinfo", " /usr ro", " /home/ana ro")),
        (Protection::Namespaces, but("mountinfo", " /usr ro", " /usrx ro")),
        (Protection::Namespaces, but("mountinfo", " /usr ro", " /usr rw")),
        (Protection::Namespaces, but("mountinfo", "/usr ro,nosuid,nodev - ext4", "/usr rw,nosuid,nodev - tmpfs")),
        (Protection::Namespaces, but("mountinfo", "/usr ro,nosuid", "/usr ro")),
        (Protection::Namespaces, but("mountinfo", "- tmpfs", "- ext4")),
        (Protection::Namespaces, but("mountinfo", "- ramfs", "- sysfs")),
        (Protection::Namespaces, but("mountinfo", "/sys/fs/cgroup ro", "/sys/fs/cgroup rw")),
        (Protection::Namespaces, but("descriptors", "2", "2\n7")),
        (Protection::Network, but("interfaces", "lo:", "lo: 0\n  eth0:")),
        (Protection::Network, but("namespaces", "net:[4]", &own_net)),
        (Protection::Seccomp, but("status", "Seccomp:\t2", "Seccomp:\t0")),
        (Protection::Landlock, but("writable", "/tmp", "/tmp\n/")),
        (Protection::Proc, but("mountinfo", "/proc/sys ro", "/proc/sys rw")),
        (Protection::Proc, but("processes", "2", "2\n3\n4\n5\n6\n7\n8\n9")),
        (Protection::Proc, but("nested", "0", "15000")),
    ];
    for (protection, looked) in table {
        for (held, verified) in hold(&looked) {
            assert_eq!(matches!(verified, Verified::No(_)), held == protection, "{held:?} {verified:?} {looked:?}");
        }
    }
}

#[test]
fn where_nothing_could_look_nothing_is_said_to_be_seen() {
    let blind = Looked::default();
    assert!(hold(&blind).values().all(|verified| matches!(verified, Verified::NotTried(_))), "{:?}", hold(&blind));
}
