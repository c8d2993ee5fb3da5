//! Mounts: what they promise to whoever asks for one, and the cases of the catalogue (73, 75, 76, 86, 88) that attack
//! it. What asks for propagation is tried in a mount namespace of the test's own, with shared mounts, as its root.

use super::files::{errors, printed};
use crate::common::{Scratch, available, bind, call, shell};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

/// Runs `script` as root of a mount namespace of its own, whose mounts are shared; `$belljar` is the binary.
fn in_shared_mounts(script: &str) -> Option<crate::common::Run> {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--propagation", "shared", "bash", "-ec"]);
    let there = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).status();
    if !available("unprivileged mount namespaces", there.is_ok_and(|status| status.success())) {
        return None;
    }
    let scratch = Scratch::new("shared");
    let script = format!("mount -t tmpfs t \"$d\"; cd \"$d\"\n{script}");
    command
        .env("d", &scratch.0)
        .env("belljar", crate::common::belljar())
        .env("allowed", crate::common::allowed_to_be_missing().join(" "));
    Some(command.arg(script).output().expect("start unshare").into())
}

// Case 75, the propagation tests of runc: mounts of the sandbox on a shared tree show up outside.
#[test]
fn a_run_leaves_the_mounts_of_the_host_alone() {
    let script = "cat /proc/self/mountinfo >before; mkdir data
        for i in 1 2 3 4 5; do $belljar run $allowed --mount \"$d/data:/mnt:rw\" -- sleep 0.3 & done
        while [ -n \"$(jobs -r)\" ]; do cat /proc/self/mountinfo >during; cmp before during; done; wait
        cat /proc/self/mountinfo | cmp before -; echo same";
    let Some(run) = in_shared_mounts(script) else { return };
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "same\n"), "{run:?}");
}

// Case 76, crun: what the host mounts below a shared directory while the sandbox runs stays outside.
#[test]
fn what_the_host_mounts_later_does_not_appear_inside() {
    let script = "mkdir data data/sub; mkfifo begun go
        $belljar run $allowed --mount \"$d:/mnt:rw\" -- sh -c 'echo begun >/mnt/begun; cat /mnt/go >/dev/null; ls /mnt/data/sub' & read x <begun
        mount -t tmpfs late data/sub; touch data/sub/late; echo >go; wait $!; ls data/sub";
    let Some(run) = in_shared_mounts(script) else { return };
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "late\n"), "{run:?}");
}

// Case 73 again, as the host has it: mounts below a read-only mount, and below one that may be written.
#[test]
fn a_read_only_mount_refuses_writes_on_its_submounts_too() {
    let script = "mkdir data data/sub data/sub/deep; mount -t tmpfs s data/sub; mkdir data/sub/deep; mount -t tmpfs s data/sub/deep
        touch data/f data/sub/f data/sub/deep/f; chmod -R a+rwX data
        $belljar run $allowed --mount \"$d/data:/mnt\" -- sh -c 'for d in /mnt /mnt/sub /mnt/sub/deep; do ls $d/f; (echo x >$d/f; touch $d/new; rm -f $d/f; chmod 0 $d/f; mv $d/f $d/g) 2>/dev/null; done; true'
        find data -type f -size +0; find data -name new -o -name g
        $belljar run $allowed --mount \"$d/data:/mnt:rw\" -- sh -c 'echo x >/mnt/sub/deep/f'; cat data/sub/deep/f";
    let Some(run) = in_shared_mounts(script) else { return };
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "/mnt/f\n/mnt/sub/f\n/mnt/sub/deep/f\nx\n"), "{run:?}");
}

// Case 86, sandbox-runtime: both mounts are of one file system.
#[test]
fn a_read_only_file_cannot_be_linked_or_moved_into_a_writable_mount() {
    let scratch = Scratch::new("link");
    for name in ["ro", "rw"] {
        std::fs::create_dir(scratch.0.join(name)).expect("make a directory");
        std::fs::set_permissions(scratch.0.join(name), std::fs::Permissions::from_mode(0o777)).expect("chmod");
    }
    let file = scratch.file("ro/file", "host");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).expect("chmod");
    let mounts = [bind(&scratch.0.join("ro"), "/mnt/ro"), bind(&scratch.0.join("rw"), "/mnt/rw:rw")];
    let answers = errors(
        &["--mount", &mounts[0], "--mount", &mounts[1]],
        &[
            "os.link('/mnt/ro/file', '/mnt/rw/file')",
            "os.link('/mnt/rw/../ro/file', '/mnt/rw/file')",
            "os.rename('/mnt/ro/file', '/mnt/rw/file')",
            "write('/mnt/ro/file')",
            "os.truncate('/mnt/ro/file', 0)",
            "os.chmod('/mnt/ro/file', 0)",
            "os.setxattr('/mnt/ro/file', 'user.x', b'')",
            "os.utime('/mnt/ro/file')",
        ],
    );
    assert_eq!(answers[..3], ["EXDEV", "EXDEV", "EXDEV"], "{answers:?}");
    assert!(answers[3..].iter().all(|answer| answer == "EROFS" || answer == "EACCES"), "{answers:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("read"), "host");
}

// Case 88: what a sandbox leaves in a writable mount can be removed by whoever lent it.
#[test]
fn what_is_made_in_a_writable_mount_belongs_to_the_caller() {
    let scratch = Scratch::new("remove");
    let mount = bind(&scratch.0, "/mnt:rw");
    printed(&["--mount", &mount], "mkdir -p /mnt/a/b && touch '/mnt/a/new\nline' && chmod 0 /mnt/a/b /mnt/a");
    for directory in ["a", "a/b"] {
        std::fs::set_permissions(scratch.0.join(directory), std::fs::Permissions::from_mode(0o700)).expect("chmod");
    }
    std::fs::remove_dir_all(scratch.0.join("a")).expect("remove");
}

#[test]
fn a_writable_mount_can_be_written_and_the_host_sees_it() {
    let scratch = Scratch::new("rw");
    let file = scratch.file("file", "before");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).expect("chmod");
    let mount = bind(&scratch.0, "/mnt:rw");
    printed(&["--mount", &mount], "echo inside >/mnt/new; mkdir /mnt/dir; mv /mnt/new /mnt/dir; echo after >/mnt/file");
    let read = |name| std::fs::read_to_string(scratch.0.join(name)).expect("read");
    assert_eq!((read("dir/new").as_str(), read("file").as_str()), ("inside\n", "after\n"));
    std::fs::remove_file(scratch.0.join("dir/new")).ok();
}

#[test]
fn a_single_file_can_be_mounted() {
    let scratch = Scratch::new("file");
    let (first, second) = (scratch.file("first", "1"), scratch.file("second", "2"));
    std::fs::set_permissions(&second, std::fs::Permissions::from_mode(0o666)).expect("chmod");
    let mounts = [bind(&first, "/made/up/first"), bind(&second, "/srv/second:rw")];
    let run = shell(
        &["--mount", &mounts[0], "--mount", &mounts[1]],
        "cat /made/up/first; echo 3 >/srv/second; echo 4 >/made/up/first",
    );
    assert!(run.code != Some(0) && run.stdout == "1", "{run:?}");
    assert_eq!(std::fs::read_to_string(&second).expect("read"), "3\n");
}

#[test]
fn mounts_are_made_in_the_order_given() {
    let scratch = Scratch::new("order");
    for name in ["a", "b"] {
        std::fs::create_dir_all(scratch.0.join(name).join("sub")).expect("make a directory");
        scratch.file(&format!("{name}/sub/name"), name);
    }
    let (whole, below) = (bind(&scratch.0.join("a"), "/mnt"), bind(&scratch.0.join("b/sub"), "/mnt/sub"));
    let see = |first: &str, second: &str| printed(&["--mount", first, "--mount", second], "cat /mnt/sub/name");
    let seen = [see(&whole, &below), see(&below, &whole)];
    assert_eq!(seen, ["b", "a"]);
}

// CVE-2021-30465's other side: links in a mount lead where they lead inside.
#[test]
fn a_link_in_a_mount_does_not_lead_to_the_host() {
    let scratch = Scratch::new("links");
    let outside = scratch.file("outside", "host");
    std::fs::create_dir(scratch.0.join("data")).expect("make a directory");
    symlink(&outside, scratch.0.join("data/absolute")).expect("make a link");
    symlink("../outside", scratch.0.join("data/relative")).expect("make a link");
    let run =
        shell(&["--mount", &bind(&scratch.0.join("data"), "/mnt/data")], "cat /mnt/data/absolute /mnt/data/relative");
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:?}");
}

#[test]
fn what_is_written_to_the_private_layer_vanishes() {
    let write = "for d in /tmp /var /opt /srv /run /mnt ~; do echo x >$d/left || exit 1; done";
    assert_eq!(call(["run", "--", "sh", "-c", write]).code, Some(0));
    assert_eq!(printed(&[], "find / -xdev -name left 2>/dev/null"), "");
    assert!(["/tmp", "/var", "/opt", "/srv", "/run", "/mnt"].iter().all(|d| !Path::new(d).join("left").exists()));
}
