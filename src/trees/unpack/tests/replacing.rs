//! Names that come twice: the later entry replaces the earlier one, as tar does.

use super::*;

#[test]
fn a_later_entry_replaces_an_earlier_one() {
    let tar = Tar::new()
        .file("file", "old and longer")
        .file("file", "new")
        .file("to-link", "old")
        .symlink("to-link", "x")
        .file("to-directory", "old")
        .directory("to-directory", 0o750)
        .directory("to-file", 0o755)
        .file("to-file", "new")
        .member(b'6', b"fifo", b"", |_| ())
        .file("fifo", "new");
    let expected = ["f 644 fifo: new", "f 644 file: new", "d 750 to-directory", "f 644 to-file: new", "l to-link -> x"];
    assert_eq!(unpacked(tar), expected);
}

#[test]
fn a_directory_that_comes_again_keeps_its_content() {
    let tar = Tar::new().directory("a", 0o700).file("a/b", "x").directory("a", 0o755);
    assert_eq!(unpacked(tar), ["d 755 a", "f 644 a/b: x"]);
}

#[test]
fn a_directory_with_content_is_not_replaced_by_anything_else() {
    let layer = || Tar::new().directory("a", 0o755).file("a/b", "x").file("f", "");
    let why = "entry `a`: stands where the archive has made a directory that is not empty";
    for tar in [
        layer().file("a", ""),
        layer().symlink("a", "../victim"),
        layer().link("a", "f"),
        layer().member(b'6', b"a", b"", |_| ()),
    ] {
        assert_eq!(refused(tar), why);
    }
}

#[test]
fn a_file_that_replaces_one_of_several_names_leaves_the_others_alone() {
    let tar = Tar::new().file("a", "old").link("b", "a").file("a", "new");
    assert_eq!(unpacked(tar), ["f 644 a: new", "f 644 b: old"]);
}

#[test]
fn entries_may_come_in_any_order() {
    let tar = Tar::new().file("z/1", "1").file("a/1", "1").file("z/2", "2").file("b", "").file("a/2", "2");
    let expected = ["d 755 a", "f 644 a/1: 1", "f 644 a/2: 2", "f 644 b: ", "d 755 z", "f 644 z/1: 1", "f 644 z/2: 2"];
    assert_eq!(unpacked(tar), expected);
}

#[test]
fn a_directory_keeps_the_time_of_its_entry_whatever_happens_in_it_later() {
    let scratch = Scratch::new();
    let tar = Tar::new()
        .directory("./", 0o755)
        .directory("a", 0o755)
        .directory("a/b", 0o755)
        .file("a/b/c", "")
        .file("x/y", "")
        .file("a/d", "")
        .file("a/b/c", "again")
        .file("a/.wh.e", "")
        .directory("a/f", 0o755)
        .file("a/f", "");
    scratch.unpack(&tar.end(), &Bounds::default()).expect("unpacked");
    for path in ["", "a", "a/b", "a/b/c", "x/y", "a/d", "a/e", "a/f"] {
        let found = fs::symlink_metadata(scratch.layer().join(path)).expect("it is there");
        assert_eq!((found.mtime(), found.mtime_nsec()), (craft::TIME as i64, 0), "`{path}`");
    }
}

#[test]
fn times_are_kept_to_the_nanosecond_and_before_1970() {
    let scratch = Scratch::new();
    let tar = Tar::new()
        .pax(&[("mtime", b"1234567890.123456789")])
        .file("file", "")
        .pax(&[("mtime", b"1234567890.5")])
        .symlink("link", "file")
        .pax(&[("mtime", b"-1.5")])
        .directory("old", 0o755)
        .member(b'0', b"older", b"", |header| header.as_old_mut().mtime = [0xff; 12]);
    scratch.unpack(&tar.end(), &Bounds::default()).expect("unpacked");
    let time = |path: &str| {
        let found = fs::symlink_metadata(scratch.layer().join(path)).expect("it is there");
        (found.mtime(), found.mtime_nsec())
    };
    assert_eq!(time("file"), (1_234_567_890, 123_456_789));
    assert_eq!(time("link"), (1_234_567_890, 500_000_000));
    assert_eq!(time("old"), (-2, 500_000_000));
    assert_eq!(time("older"), (-1, 0));
}
