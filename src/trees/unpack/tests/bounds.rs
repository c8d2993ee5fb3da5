//! Bombs: how much a layer may hold is checked while it comes.

use super::*;
use std::io::{self, Read as _};

fn refused_with(tar: Tar, bounds: &Bounds) -> String {
    Scratch::new().unpack(&tar.end(), bounds).expect_err("refused").to_string()
}

#[test]
fn more_content_than_allowed_is_refused_before_it_is_written() {
    let bounds = Bounds { bytes: 10, ..Bounds::default() };
    let tar = || Tar::new().file("a", "12345").file("b", "12345");
    assert!(Scratch::new().unpack(&tar().end(), &bounds).is_ok());
    let refusal = refused_with(tar().file("c", "1"), &bounds);
    assert_eq!(refusal, "entry `c`: the layer has more than 10 bytes of content");
    // A size that is a lie is not waited for.
    let lie = Tar::new().member(b'0', b"a", b"", |header| header.set_size(11));
    assert_eq!(refused_with(lie, &bounds), "entry `a`: the layer has more than 10 bytes of content");
    let largest = Tar::new().pax(&[("size", b"18446744073709551615")]).file("a", "");
    assert!(refused(largest).contains("the layer has more than"));
}

#[test]
fn more_entries_than_allowed_are_refused() {
    let bounds = Bounds { entries: 3, ..Bounds::default() };
    let tar = || Tar::new().file("a", "").symlink("b", "a").link("c", "a");
    assert!(Scratch::new().unpack(&tar().end(), &bounds).is_ok());
    let too_many = "the layer has more than 3 files, directories and links";
    assert_eq!(refused_with(tar().directory("d", 0o755), &bounds), format!("entry `d`: {too_many}"));
    // The same entry again and again is work, too.
    let same = (0..4).fold(Tar::new(), |tar, _| tar.file("a", ""));
    assert_eq!(refused_with(same, &bounds), format!("entry `a`: {too_many}"));
    // And so are directories that have no entry.
    assert_eq!(refused_with(Tar::new().file("a/b/c/d", ""), &bounds), format!("entry `a/b/c/d`: {too_many}"));
}

#[test]
fn a_bomb_is_stopped_while_it_is_unpacked() {
    let header = Tar::new().member(b'0', b"bomb", b"", |header| header.set_size(10 << 30));
    let tar = header.0.chain(io::repeat(0).take(10 << 30));
    let scratch = Scratch::new();
    let bounds = Bounds { bytes: 1 << 30, ..Bounds::default() };
    let refusal = unpack(&mut tar.take(u64::MAX), scratch.open().as_fd(), None, &bounds).expect_err("refused");
    assert_eq!(refusal.to_string(), "entry `bomb`: the layer has more than 1073741824 bytes of content");
}

#[test]
fn extended_headers_are_bounded_too() {
    let mebibyte = vec![b'x'; 1 << 20];
    let why = "has an extended header of more than 1048576 bytes";
    let tar = Tar::new().pax(&[("comment", &mebibyte)]).file("a", "");
    assert_eq!(refused(tar), format!("entry `PaxHeaders/x`: {why}"));
    for kind in [b'L', b'K', b'g'] {
        let tar = Tar::new().member(kind, b"long", b"", |header| header.set_size(1 << 40)).file("a", "");
        assert_eq!(refused(tar), format!("entry `long`: {why}"));
    }
    // A long name is no longer than a path, whatever its header may hold.
    let tar = Tar::new().file("a/".repeat(100_000), "");
    assert!(refused(tar).ends_with("has a path of more than 4095 bytes"));
}

#[test]
fn zeros_without_end_are_not_waited_for() {
    let scratch = Scratch::new();
    let tar = Tar::new().file("a", "").0;
    let refusal = unpack(&mut tar.chain(io::repeat(0)), scratch.open().as_fd(), None, &Bounds::default());
    let refusal = refusal.expect_err("refused").to_string();
    assert_eq!(refusal, "the archive has more than 16777216 zeros at its end");
}

/// `Vec` has no `chain`.
trait Chain {
    fn chain<R: io::Read>(self, next: R) -> io::Chain<io::Cursor<Vec<u8>>, R>;
}

impl Chain for Vec<u8> {
    fn chain<R: io::Read>(self, next: R) -> io::Chain<io::Cursor<Vec<u8>>, R> {
        io::Read::chain(io::Cursor::new(self), next)
    }
}
