//! Whiteouts: what they become, and what they may not.

use super::*;

#[test]
fn a_whiteout_becomes_the_device_that_overlayfs_knows() {
    let tar = Tar::new().file(".wh.a", "").file("d/.wh.b", "").file("d/.wh..hidden", "");
    assert_eq!(unpacked(tar), ["w a 0", "d 755 d", "w d/.hidden 0", "w d/b 0"]);
}

#[test]
fn aufs_made_hard_links_of_them() {
    let tar = Tar::new().file(".wh..wh.aufs", "").link(".wh.a", ".wh..wh.aufs").link("d/.wh.b", ".wh..wh.aufs");
    assert_eq!(unpacked(tar), ["w a 0", "d 755 d", "w d/b 0"]);
}

#[test]
fn an_opaque_directory_is_marked_as_overlayfs_knows_it() {
    let tar = Tar::new().directory("a", 0o755).file("a/.wh..wh..opq", "").file("b/.wh..wh..opq", "").file("b/c", "x");
    assert_eq!(unpacked(tar), ["d 755 a opaque", "d 755 b opaque", "f 644 b/c: x"]);
}

#[test]
fn a_layer_that_hides_everything_says_so() {
    let scratch = Scratch::new();
    let tar = Tar::new().file("a", "").file(".wh..wh..opq", "");
    assert!(scratch.unpack(&tar.end(), &Bounds::default()).expect("unpacked").opaque);
    let other = Scratch::new();
    let tar = Tar::new().file("a/.wh..wh..opq", "");
    assert!(!other.unpack(&tar.end(), &Bounds::default()).expect("unpacked").opaque);
}

#[test]
fn an_entry_wins_over_a_whiteout_of_its_name_whichever_comes_first() {
    let whiteout = |tar: Tar| tar.file(".wh.a", "");
    type Add = fn(Tar) -> Tar;
    let kinds: [(Add, &str); 3] = [
        (|tar| tar.file("a", "x"), "f 644 a: x"),
        (|tar| tar.symlink("a", "x"), "l a -> x"),
        (|tar| tar.member(b'6', b"a", b"", |_| ()), "p 644 a"),
    ];
    for (entry, expected) in kinds {
        assert_eq!(unpacked(entry(whiteout(Tar::new()))), [expected]);
        assert_eq!(unpacked(whiteout(entry(Tar::new()))), [expected]);
    }
    assert_eq!(unpacked(whiteout(whiteout(Tar::new()))), ["w a 0"]);
}

#[test]
fn a_directory_beside_a_whiteout_of_its_name_shows_nothing_of_lower_layers() {
    let expected = ["d 755 a opaque", "f 644 a/b: x"];
    assert_eq!(unpacked(Tar::new().file(".wh.a", "").directory("a", 0o755).file("a/b", "x")), expected);
    assert_eq!(unpacked(Tar::new().directory("a", 0o755).file("a/b", "x").file(".wh.a", "")), expected);
    assert_eq!(unpacked(Tar::new().file("a/b", "x").file(".wh.a", "")), expected);
    assert_eq!(unpacked(Tar::new().file(".wh.a", "").file("a/b", "x")), expected);
    assert_eq!(unpacked(Tar::new().file(".wh.a", "").file("a/b", "x").directory("a", 0o755)), expected);
}

#[test]
fn a_whiteout_with_nothing_to_hide_is_left_out() {
    let tar = Tar::new()
        .file("a/.wh..wh..opq", "")
        .file("a/.wh.b", "")
        .file("a/c/.wh.d", "")
        .file("a/c/e", "x")
        .file("f/.wh.g", "");
    assert_eq!(unpacked(tar), ["d 755 a opaque", "d 755 a/c", "f 644 a/c/e: x", "d 755 f", "w f/g 0"]);
    let tar = Tar::new().file("a/.wh.b", "").file(".wh..wh..opq", "");
    assert_eq!(unpacked(tar), ["d 755 a"]);
}

#[test]
fn what_aufs_keeps_for_itself_is_passed_over() {
    let tar = Tar::new()
        .file(".wh..wh.aufs", "")
        .directory(".wh..wh.orph", 0o700)
        .directory(".wh..wh.plnk", 0o700)
        .file(".wh..wh.plnk/12.34", "x")
        .file("a", "");
    assert_eq!(unpacked(tar), ["f 644 a: "]);
}

#[test]
fn a_whiteout_that_makes_no_sense_is_refused() {
    for name in [".wh.", ".wh..", ".wh...", "a/.wh.", "a/.wh.."] {
        assert_eq!(refused(Tar::new().file(name, "")), format!("entry `{name}`: is a whiteout of nothing"));
    }
    assert_eq!(refused(Tar::new().file(".wh.a/b", "")), "entry `.wh.a/b`: lies below a whiteout");
    assert_eq!(refused(Tar::new().file(".wh.a", "x")), "entry `.wh.a`: is a whiteout with content");
    let no_file = "has the name of a whiteout, but is no file";
    assert_eq!(refused(Tar::new().directory(".wh.a", 0o755)), format!("entry `.wh.a`: {no_file}"));
    assert_eq!(refused(Tar::new().symlink(".wh.a", "b")), format!("entry `.wh.a`: {no_file}"));
    assert_eq!(refused(Tar::new().symlink(".wh..wh..opq", "b")), format!("entry `.wh..wh..opq`: {no_file}"));
    assert_eq!(refused(Tar::new().file("../.wh.victim", "")), "entry `../.wh.victim`: leads upwards with `..`");
}

#[test]
fn a_device_is_counted_and_not_made() {
    let device = |tar: Tar, name: &str, kind: u8, major, minor| {
        tar.member(kind, name.as_bytes(), b"", |header| {
            header.set_device_major(major).expect("a GNU header");
            header.set_device_minor(minor).expect("a GNU header");
        })
    };
    let tar = device(Tar::new().directory("dev", 0o755), "dev/null", b'3', 1, 3);
    let tar = device(device(tar, "dev/sda", b'4', 8, 0), "not-a-whiteout", b'3', 0, 0);
    let scratch = Scratch::new();
    let summary = scratch.unpack(&tar.end(), &Bounds::default()).expect("unpacked");
    assert_eq!(
        summary,
        Summary { entries: 4, bytes: 0, skipped: 3, opaque: false, unterminated: false, too_large: Vec::new() }
    );
    assert_eq!(scratch.lines(), ["d 755 dev"]);
}
