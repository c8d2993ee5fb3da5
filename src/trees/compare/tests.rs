//! Layers that are as they were unpacked, and layers that somebody has been at.

use super::*;
use crate::trees::unpack::tests::Scratch;
use crate::trees::unpack::tests::craft::Tar;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

/// A bit of everything.
fn layer() -> Tar {
    Tar::new()
        .directory("./", 0o755)
        .directory("etc", 0o700)
        .file("etc/passwd", "root")
        .file("etc/passwd", "root:x:0:0")
        .link("etc/passwd-", "etc/passwd")
        .file_of_mode("tool", 0o4755)
        .symlink("link", "../victim")
        .pax(&[("SCHILY.xattr.user.a", b"1")])
        .file("attributed", "x")
        .member(b'6', b"fifo", b"", |_| ())
        .file("unnamed/below/file", "x".repeat(10_000))
        .file("etc/.wh.gone", "")
        .file(".wh.renewed", "")
        .file("renewed/new", "")
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/.wh.superfluous", "")
        .pax(&[("GNU.sparse.size", b"1048576"), ("GNU.sparse.map", b"5,3,500000,3")])
        .file("sparse", "onetwo")
        .file("replaced", "")
        .directory("replaced", 0o755)
}

/// What is found after `spoil` was at a layer.
fn after(tar: &Tar, spoil: impl FnOnce(&Path)) -> Result<(), String> {
    let scratch = Scratch::new();
    let tar = tar.clone().end();
    scratch.unpack(&tar, &Bounds::default()).expect("unpacked");
    spoil(&scratch.layer());
    compare(&mut &tar[..], scratch.open().as_fd()).map_err(|difference| difference.to_string())
}

fn write(path: &Path, content: &str) {
    fs::write(path, content).expect("write a file");
}

#[test]
fn what_was_unpacked_is_found_equal() {
    assert_eq!(after(&layer(), |_| ()), Ok(()));
    assert_eq!(after(&Tar::new(), |_| ()), Ok(()));
}

#[test]
fn what_has_a_history_in_the_archive_is_found_equal() {
    let histories = [
        Tar::new().file("a", "old").link("b", "a").file("a", "new"),
        Tar::new().file("a", "old").link("b", "a").link("a", "b"),
        Tar::new().file("a", "x").link("a", "a"),
        Tar::new().file(".wh.a", "").file("a/b", "x"),
        Tar::new().file("a/b", "x").file(".wh.a", ""),
        Tar::new().file(".wh.a", "").file("a", "x").file(".wh.a", ""),
        Tar::new().directory("a", 0o755).file("a", "x").directory("a", 0o700).file("a/b", ""),
        Tar::new().file("a/.wh.b", "").file(".wh..wh..opq", ""),
        Tar::new().symlink("a", "b").link("c", "a").directory("a", 0o755),
        Tar::new().pax(&[("SCHILY.xattr.user.a", b"1")]).directory("a", 0o755).directory("a", 0o700),
        Tar::new().member(b'3', b"null", b"", |_| ()),
    ];
    for tar in histories {
        assert_eq!(after(&tar, |_| ()), Ok(()));
    }
}

#[test]
fn the_order_of_entries_and_the_number_of_blocks_do_not_matter() {
    assert_eq!(
        after(&layer(), |path| {
            // As a copy would leave it: without holes, and in another order.
            let content = fs::read(path.join("sparse")).expect("read it");
            fs::remove_file(path.join("sparse")).expect("remove it");
            fs::write(path.join("sparse"), content).expect("write it");
        }),
        Ok(())
    );
}

#[test]
fn every_change_is_found() {
    type Spoil = fn(&Path);
    let table: [(Spoil, &str); 20] = [
        (|path| write(&path.join("etc/passwd"), "root:x:0:1"), "` has another content"),
        (|path| write(&path.join("etc/passwd"), "root"), "` has 4 bytes in place of 10"),
        (|path| fs::remove_file(path.join("tool")).expect("remove it"), "`tool` is missing"),
        (|path| fs::remove_dir(path.join("replaced")).expect("remove it"), "`replaced` is missing"),
        (|path| write(&path.join("etc/extra"), ""), "`etc/extra` is not of the layer"),
        (|path| fs::create_dir(path.join("extra")).expect("make it"), "`extra` is not of the layer"),
        (|path| mode(&path.join("tool"), 0o4755), "`tool` has mode 4755 in place of 755"),
        (|path| mode(&path.join("etc"), 0o755), "`etc` has mode 755 in place of 700"),
        (|path| mode(path, 0o700), "`.` has mode 700 in place of 755"),
        (|path| mode(&path.join("unnamed"), 0o777), "`unnamed` has mode 777 in place of 755"),
        (
            |path| {
                fs::remove_file(path.join("link")).expect("remove it");
                symlink("/etc", path.join("link")).expect("make a link");
            },
            "`link` leads to `/etc`",
        ),
        (
            |path| {
                fs::remove_file(path.join("tool")).expect("remove it");
                symlink("/bin/sh", path.join("tool")).expect("make a link");
            },
            "`tool` is a symbolic link in place of a file",
        ),
        (
            |path| {
                fs::remove_file(path.join("fifo")).expect("remove it");
                write(&path.join("fifo"), "");
            },
            "`fifo` is a file in place of a fifo",
        ),
        (
            |path| {
                fs::remove_file(path.join("etc/gone")).expect("remove it");
            },
            "`etc/gone` is missing",
        ),
        (
            |path| {
                fs::remove_file(path.join("etc/gone")).expect("remove it");
                write(&path.join("etc/gone"), "");
            },
            "`etc/gone` is a file in place of a whiteout",
        ),
        (
            |path| {
                fs::remove_file(path.join("etc/passwd-")).expect("remove it");
                fs::copy(path.join("etc/passwd"), path.join("etc/passwd-")).expect("copy it");
            },
            "is another hard link than in the archive",
        ),
        (
            |path| {
                fs::remove_file(path.join("attributed")).expect("remove it");
                fs::hard_link(path.join("unnamed/below/file"), path.join("attributed")).expect("link it");
            },
            "",
        ),
        (
            |path| set(&path.join("attributed"), c"user.a", b"2"),
            "`attributed` has another value of the attribute `user.a`",
        ),
        (
            |path| set(&path.join("etc"), c"user.overlay.redirect", b"/"),
            "`etc` has the attribute `user.overlay.redirect`, which is not of the layer",
        ),
        (
            |path| {
                let file = fs::OpenOptions::new().write(true).open(path.join("sparse")).expect("open it");
                std::os::unix::fs::FileExt::write_at(&file, b"x", 900_000).expect("write it");
            },
            "`sparse` has another content",
        ),
    ];
    for (spoil, expected) in table {
        let found = after(&layer(), spoil).expect_err("spoilt");
        assert!(found.ends_with(expected), "{found} in place of {expected}");
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("set a mode");
}

fn set(path: &Path, name: &std::ffi::CStr, value: &[u8]) {
    xattr::set(File::open(path).expect("open it").as_fd(), name, value).expect("set an attribute");
}

#[test]
fn an_archive_that_is_none_is_no_difference() {
    let scratch = Scratch::new();
    let difference = compare(&mut &b"nonsense"[..], scratch.open().as_fd()).expect_err("no archive");
    assert_eq!(difference.to_string(), "cannot compare: the archive is cut off");
}
