//! Hosts without a range, and those where nobody maps it.

use crate::common::ranges::ranged;
use crate::common::{Run, Scratch, assert_gone, available, belljar, is_root, result};
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Whether there is what other files can be mounted over.
fn has_files() -> bool {
    let files = ["/etc/subuid", "/etc/subgid", "/usr/bin/newuidmap", "/usr/bin/newgidmap"].map(Path::new);
    available("subuid(5) and newuidmap(1)", files.iter().all(|file| file.exists()))
}

/// A run with a range on a host with these files, as root of a user namespace of the test's own.
fn on_host(subuid: &str, subgid: &str, before: &str) -> Run {
    calls_on_host(subuid, subgid, before, "run --userns range -- true")
}

fn calls_on_host(subuid: &str, subgid: &str, before: &str, words: &str) -> Run {
    let scratch = Scratch::new("host");
    let helper = "#!/bin/sh\necho \"${0##*/}: not today\" >&2\nexit 1\n";
    for (name, text) in [("subuid", subuid), ("subgid", subgid), ("newuidmap", helper), ("newgidmap", helper)] {
        let path = scratch.file(name, text);
        let mode = if name.starts_with("new") { 0o4755 } else { 0o644 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    }
    let over = "for name in etc/subuid etc/subgid usr/bin/newuidmap usr/bin/newgidmap; do mount --bind \"$D/${name##*/}\" /$name; done";
    let script = format!("{over}; {before}; exec \"$B\" {words}");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", &script]);
    command.env("B", belljar()).env("D", &scratch.0).env("BELLJAR_CGROUP_PARENT", "none");
    command.output().expect("start unshare").into()
}

#[test]
fn what_is_missing_for_a_range_is_said_with_the_package_the_line_and_the_command() {
    if !has_files() {
        return;
    }
    let good = "root:100000:65536\n";
    let table = [
        (
            on_host("ana:100000:65536\n", "bob:165536:65536\n", ":"),
            "/etc/subuid and /etc/subgid have no range of 65535 ids for `root`",
            "as root: `usermod --add-subuids 231072-296607 --add-subgids 231072-296607 root`, or the line `root:231072:65536` in /etc/subuid and /etc/subgid",
        ),
        (
            on_host(good, "root:100000:65534\n", ":"),
            "/etc/subgid has no range of 65535 ids for `root`",
            "as root: `usermod --add-subgids 165536-231071 root`, or the line `root:165536:65536` in /etc/subgid",
        ),
        (
            on_host("root:0:70000\n0:100000:65536\n", good, ":"),
            "`/etc/subuid` gives `root` id 0 of the host, which is no subordinate one",
            "as root correct its line `root:0:70000`",
        ),
        (
            on_host(good, good, "chmod u-s \"$D/newgidmap\""),
            "`/usr/bin/newgidmap` has neither the set-user-id bit nor a capability",
            "as root: `chmod u+s /usr/bin/newgidmap`, or install its package anew",
        ),
        (
            on_host(good, good, "mount -t tmpfs none /usr/bin"),
            "newuidmap and newgidmap are not installed",
            "as root install the package `uidmap` (Debian, Ubuntu), `shadow-utils` (Fedora), `shadow` (Arch, openSUSE) or `shadow-uidmap` (Alpine)",
        ),
    ];
    for (run, message, hint) in table {
        let said = format!("belljar: a range of ids (`userns`) cannot be had: {message}\nhint: {hint}\n");
        assert_eq!((run.code, run.stderr), (Some(125), said));
    }
}

#[test]
fn what_newuidmap_says_is_passed_on_and_nothing_is_left() {
    if !has_files() {
        return;
    }
    let run = on_host("root:100000:65536\n", "root:100000:65536\n", ":");
    assert_eq!(run.code, Some(125), "{run:?}");
    let said = "belljar: `/usr/bin/newuidmap` does not map the range: newuidmap: not today\nhint: see subuid(5)";
    assert!(run.stderr.starts_with(said), "{run:?}");
    assert_gone("no such mark");
}

#[test]
fn doctor_says_whether_a_range_can_be_had_and_how() {
    if !has_files() {
        return;
    }
    let ids_of = |subuid, subgid, words: &str| {
        let run = calls_on_host(subuid, subgid, ":", &format!("doctor {words}"));
        if words.is_empty() { json!(run.stdout) } else { result(&run)["host"]["id_ranges"].take() }
    };
    let (good, short) = ("root:100000:65536\n", "root:100000:65534\n");
    let there =
        json!({"available": true, "subuid": 65536, "subgid": 65536, "newuidmap": true, "reason": null, "hint": null});
    assert_eq!(ids_of(good, good, "--json"), there);
    let reason = "a range of ids (`userns`) cannot be had: /etc/subgid has no range of 65535 ids for `root`";
    let hint = "as root: `usermod --add-subgids 165536-231071 root`, or the line `root:165536:65536` in /etc/subgid";
    let missing = json!({"available": false, "subuid": 65536, "subgid": 65534, "newuidmap": true, "reason": reason, "hint": hint});
    assert_eq!(ids_of(good, short, "--json"), missing);
    // The hint is one of what could be better, which nothing is for who may pass the limit of processes, as root may.
    let text = ids_of(good, short, "");
    assert!(text.as_str().is_some_and(|text| text.contains(reason) && (is_root() || text.contains(hint))), "{text}");
}

#[test]
fn where_nobody_may_gain_privileges_the_reason_is_named() {
    if !ranged() || is_root() {
        return;
    }
    let mut command = Command::new("setpriv");
    command.args(["--no-new-privs", "--"]).arg(belljar()).args(["run", "--userns", "range", "--", "true"]);
    let run: Run = command.output().expect("start setpriv").into();
    let said = "belljar: a range of ids (`userns`) cannot be had: this process and what it starts may not gain privileges (no_new_privs), and newuidmap has to\nhint: ";
    assert!(run.code == Some(125) && run.stderr.starts_with(said), "{run:?}");
}
