//! Packages of a distribution, with users and bits of their own, installed in an image.

use crate::common::images::{Home, Image};
use crate::common::ranges::ranged;
use crate::common::{Run, Scratch, bind, command, installed, languages};
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// An image with what installs packages, from the host's own programs: no mirror is asked.
fn with_dpkg() -> Image {
    let script = "mkdir -p usr/bin usr/sbin usr/lib usr/lib64 etc tmp var/lib/dpkg/info var/lib/dpkg/updates var/log root && \
        for name in bin sbin lib lib64; do ln -s usr/$name $name; done && : >var/lib/dpkg/status && : >var/lib/dpkg/available && \
        echo root:x:0:0:root:/root:/bin/sh >etc/passwd && echo root:x:0: >etc/group && \
        for program in sh dpkg dpkg-deb dpkg-query dpkg-split tar rm diff ldconfig start-stop-daemon useradd chown chmod stat touch \
          setpriv id grep cat mkdir; do path=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v $program) && \
          for file in $path $(ldd $path 2>/dev/null | grep -o '/[^ ]*'); do \
            mkdir -p .${file%/*} && { [ -e .$file ] || cp -L $file .$file; }; done; done";
    Image { layers: vec![script.to_owned()], config: json!({}) }
}

/// A package whose programs have set-user-id and set-group-id bits and whose script makes a user of its own.
fn package(scratch: &Scratch) {
    let postinst = "#!/bin/sh\nset -e\nuseradd --system --user-group --no-create-home thing\nchown thing:thing /var/lib/thing\n\
        chown root:thing /usr/bin/group-thing\nchmod 2755 /usr/bin/group-thing\n\
        setpriv --reuid thing --regid thing --init-groups touch /var/lib/thing/by-thing\n";
    let control = "Package: thing\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: a thing\n";
    for (path, text, mode) in [
        ("DEBIAN/control", control, 0o644),
        ("DEBIAN/postinst", postinst, 0o755),
        ("usr/bin/user-thing", "#!/bin/sh\n", 0o4755),
        ("usr/bin/group-thing", "#!/bin/sh\n", 0o755),
        ("var/lib/thing/data", "data\n", 0o640),
    ] {
        let path = scratch.0.join("tree").join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("make a directory");
        std::fs::write(&path, text).expect("write a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    }
    // Whatever the mask is that the tests run with.
    let build = "chmod -R g-w tree && dpkg-deb --root-owner-group --build tree thing.deb";
    let output = Command::new("sh").args(["-c", build]).current_dir(&scratch.0).output().expect("start sh");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_package_with_a_user_of_its_own_can_be_installed_in_an_image() {
    if !ranged() || !installed("dpkg-deb") {
        return;
    }
    let (home, scratch) = (Home::new("dpkg"), Scratch::new("package"));
    package(&scratch);
    home.import("dpkg", &with_dpkg());
    let mount = bind(&scratch.0.join("thing.deb"), "/thing.deb");
    let script = "dpkg --install /thing.deb >/tmp/log 2>&1 || cat /tmp/log; id -u thing >/tmp/id; read id </tmp/id; \
        stat -c '%U:%G %a %n' /usr/bin/*-thing /var/lib/thing /var/lib/thing/*; stat -c %u /var/lib/thing | grep -c \"^$id$\"";
    let run = home.call(&["run", "--image", "dpkg", "--userns", "range", "--mount", &mount, "--", "sh", "-c", script]);
    let expected = "root:thing 2755 /usr/bin/group-thing\nroot:root 4755 /usr/bin/user-thing\nthing:thing 755 /var/lib/thing\n\
        thing:thing 644 /var/lib/thing/by-thing\nroot:root 640 /var/lib/thing/data\n1\n";
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), expected, ""));
    // Without a range there is one id, and without the profile no set-user-id bit.
    for options in [&["--user", "0"][..], &["--userns", "range", "--seccomp", "default"]] {
        let words =
            [&["run", "--image", "dpkg", "--mount", &mount], options, &["--", "dpkg", "--install", "/thing.deb"]];
        let run = home.call(&words.concat());
        assert!(run.code == Some(1) && run.stderr.contains("Operation not permitted"), "{run:?}");
    }
}

#[test]
fn apt_get_installs_what_has_users_groups_and_bits_of_its_own() {
    if !ranged() || !languages::built("shell") {
        return;
    }
    // A user of its own, a program with root's rights and one with a group's, and one with root's for that user alone.
    let script = "
set -e
export DEBIAN_FRONTEND=noninteractive
quietly() { \"$@\" </dev/null >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }; }
quietly apt-get update
quietly apt-get install --yes --no-install-recommends sudo openssh-client dbus
dpkg --audit
stat -c '%U:%G %a %n' /usr/bin/sudo /usr/bin/ssh-agent /usr/lib/dbus-1.0/dbus-daemon-launch-helper
setpriv --reuid messagebus --regid messagebus --init-groups id -un
quietly apt-get purge --yes openssh-client dbus
ls /usr/bin/ssh-agent 2>/dev/null || echo gone";
    let mut command =
        command(["run", "--image", "shell", "--userns", "range", "--net", "host", "--", "sh", "-c", script]);
    let run = Run::from(command.env("BELLJAR_HOME", languages::home()).output().expect("start belljar"));
    let expected = "root:root 4755 /usr/bin/sudo\nroot:_ssh 2755 /usr/bin/ssh-agent\n\
        root:messagebus 4754 /usr/lib/dbus-1.0/dbus-daemon-launch-helper\nmessagebus\ngone\n";
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), expected), "{}", run.stderr);
}
