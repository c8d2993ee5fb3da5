//! Headers that lie, contradict each other, or are not whole.

use super::*;
use craft::record;

#[test]
fn a_size_in_the_extended_header_wins_so_that_nothing_can_be_smuggled_in() {
    // CVE-2025-62518: who takes the size of the ustar header, 0, would see the members of the inner archive.
    let inner = Tar::new().file("smuggled", "x").end();
    let size = inner.len().to_string();
    let tar = Tar::new()
        .pax(&[("size", size.as_bytes())])
        .member(b'0', b"archive.tar", b"", |header| header.set_size(0))
        .content(&inner)
        .file("after", "y");
    let scratch = Scratch::new();
    scratch.unpack(&tar.end(), &Bounds::default()).expect("unpacked");
    assert_eq!(names(&scratch.layer()), ["after", "archive.tar"]);
    assert!(fs::read(scratch.layer().join("archive.tar")).expect("read it") == inner);
}

#[test]
fn a_size_in_the_extended_header_wins_when_it_is_the_smaller_one_too() {
    let tar = Tar::new().pax(&[("size", b"0")]).member(b'0', b"a", b"", |header| header.set_size(512)).file("b", "x");
    assert_eq!(unpacked(tar), ["f 644 a: ", "f 644 b: x"]);
}

#[test]
fn a_value_with_a_line_end_hides_no_size() {
    // Who reads records by their lines stops at the first, and never sees the second.
    let inner = Tar::new().file("smuggled", "x").end();
    let size = inner.len().to_string();
    let tar = Tar::new()
        .pax(&[("SCHILY.xattr.user.a", b"x\n"), ("comment", b"\n"), ("size", size.as_bytes())])
        .member(b'0', b"archive.tar", b"", |header| header.set_size(0))
        .content(&inner);
    let scratch = Scratch::new();
    scratch.unpack(&tar.end(), &Bounds::default()).expect("unpacked");
    assert_eq!(names(&scratch.layer()), ["archive.tar"]);
}

#[test]
fn what_can_have_no_content_may_have_no_size() {
    let why = "has a size, but is no file that could have content";
    for kind in [b'1', b'2', b'3', b'4', b'5', b'6'] {
        let tar = Tar::new().file("f", "").member(kind, b"a", b"", |header| {
            header.set_size(512);
            header.as_old_mut().linkname[0] = b'f';
        });
        assert_eq!(refused(tar.file("hidden-or-not", "")), format!("entry `a`: {why}"));
        let tar = Tar::new().file("f", "").pax(&[("size", b"1")]).member(kind, b"a", b"", |_| ());
        assert_eq!(refused(tar), format!("entry `a`: {why}"));
    }
    let old_directory = Tar::new().member(b'0', b"a/", b"x", |_| ());
    assert_eq!(refused(old_directory), format!("entry `a/`: {why}"));
    assert_eq!(unpacked(Tar::new().member(0, b"a/", b"", |header| header.set_mode(0o755))), ["d 755 a"]);
}

#[test]
fn a_name_or_size_that_is_said_twice_is_refused() {
    let twice = [record("size", b"1"), record("size", b"2")].concat();
    let tar = Tar::new().member(b'x', b"x", &twice, |_| ()).file("a", "1");
    assert_eq!(refused(tar), "entry `x`: has `size` twice in its extended header");
    let two = Tar::new().pax(&[("path", b"b")]).pax(&[("path", b"c")]).file("a", "");
    assert_eq!(refused(two), "entry `PaxHeaders/x`: has two extended headers of one kind");
    let long = |kind: u8, tar: Tar| tar.member(kind, b"long", b"longname\0", |_| ());
    assert!(refused(long(b'L', long(b'L', Tar::new())).file("a", "")).ends_with("two extended headers of one kind"));
    assert!(refused(long(b'K', long(b'K', Tar::new())).symlink("a", "b")).ends_with("of one kind"));
    let both = long(b'L', Tar::new().pax(&[("path", b"other")])).file("a", "");
    assert_eq!(refused(both), "entry `other`: has its name in two extended headers");
    let both = long(b'K', Tar::new().pax(&[("linkpath", b"other")])).symlink("a", "b");
    assert_eq!(refused(both), "entry `a`: has its name in two extended headers");
}

#[test]
fn an_extended_header_that_describes_nothing_is_refused() {
    let nothing = "the archive ends behind an extended header that describes nothing";
    assert_eq!(refused(Tar::new().pax(&[("path", b"a")])), nothing);
    assert_eq!(refused(Tar::new().member(b'L', b"long", b"name\0", |_| ())), nothing);
}

#[test]
fn a_global_header_may_hold_a_comment_and_nothing_that_matters() {
    let tar = Tar::new().extended(b'g', &[("comment", b"0123456789abcdef")]).file("a", "x");
    assert_eq!(unpacked(tar), ["f 644 a: x"]);
    let tar = Tar::new().extended(b'g', &[("path", b"../victim/file")]).file("a", "x");
    assert_eq!(refused(tar), "entry `PaxHeaders/x`: a global header sets `path` for all entries");
    let tar = Tar::new().extended(b'g', &[("size", b"0")]).file("a", "x");
    assert_eq!(refused(tar), "entry `PaxHeaders/x`: a global header sets `size` for all entries");
}

#[test]
fn a_wrong_checksum_is_named_as_what_it_may_be() {
    let mut tar = Tar::new().file("a", "x").end();
    tar[0] ^= 1;
    let why = "the archive has a header with a wrong checksum: it is damaged, or no tar archive";
    assert_eq!(refused_bytes(&tar), why);
    assert_eq!(refused_bytes(&b"PK\x03\x04".repeat(500)), why);
    let refusal = Scratch::new().unpack(&b"BZh9".repeat(500), &Bounds::default()).expect_err("refused");
    assert_eq!(refusal.hint.as_deref(), Some("a layer is a tar archive, plain or packed with gzip, zstd or xz"));
}

#[test]
fn an_archive_that_is_cut_off_anywhere_is_refused_or_known_to_have_no_end() {
    let tar = Tar::new().directory("d", 0o755).pax(&[("mtime", b"1")]).file("d/a", "x".repeat(600)).symlink("b", "c");
    let whole = tar.clone().end();
    let mut unterminated = Vec::new();
    for length in (0..tar.0.len() + 1).filter(|length| matches!(length % 512, 0 | 1 | 100 | 511)) {
        match Scratch::new().unpack(&whole[..length], &Bounds::default()) {
            Ok(summary) if summary.unterminated => unterminated.push(length),
            Ok(_) => panic!("{length} of {} is taken for whole", whole.len()),
            Err(refusal) => assert!(refusal.to_string().contains("cut off"), "{length} of {}: {refusal}", whole.len()),
        }
    }
    // Behind nothing, the directory, the file's content with some of its zeros, the link.
    assert_eq!(unterminated, [0, 512, 2660, 3071, 3072, 3584]);
    // One block of zeros is an end; more of them are the rule.
    for length in [tar.0.len() + 512, tar.0.len() + 700, whole.len()] {
        let summary = Scratch::new().unpack(&whole[..length], &Bounds::default()).expect("whole");
        assert!(!summary.unterminated, "{length}");
    }
}

#[test]
fn nothing_but_zeros_may_follow_the_end() {
    let mut tar = Tar::new().file("a", "").end();
    tar.extend([0; 9216]);
    assert!(Scratch::new().unpack(&tar, &Bounds::default()).is_ok());
    tar.extend(Tar::new().file("hidden", "").end());
    assert_eq!(refused_bytes(&tar), "something stands behind the end of the archive");
    let mut tar = Tar::new().file("a", "").0;
    tar.extend([0; 512]);
    tar.extend(Tar::new().file("hidden", "").end());
    assert_eq!(refused_bytes(&tar), "something stands behind the end of the archive");
}

#[test]
fn an_empty_archive_is_an_empty_layer() {
    assert_eq!(unpacked(Tar::new()), [""; 0]);
}

#[test]
fn types_that_are_not_known_are_refused() {
    for (kind, shown) in [(b'V', "V"), (b'M', "M"), (b'D', "D"), (b'X', "X"), (b'9', "9"), (0xff, "\\xff")] {
        let tar = Tar::new().member(kind, b"a", b"", |_| ());
        assert_eq!(refused(tar), format!("entry `a`: has the type `{shown}`, which is not known here"));
    }
    assert_eq!(unpacked(Tar::new().member(b'7', b"contiguous", b"x", |_| ())), ["f 644 contiguous: x"]);
}

#[test]
fn numbers_that_are_none_are_refused() {
    type Spoil = fn(&mut tar::OldHeader);
    let spoils: [(Spoil, &str); 4] = [
        (|header| header.size = *b"0000000000x\0", "has a size that is no number"),
        (|header| header.size = [0xff; 12], "has a size that is no number"),
        (|header| header.mode = *b"rwxr-xr\0", "has a mode that is no number"),
        (|header| header.mtime = *b"yesterday\0\0\0", "has a time that is no number"),
    ];
    for (spoil, why) in spoils {
        let tar = Tar::new().member(b'0', b"a", b"", |header| spoil(header.as_old_mut()));
        assert_eq!(refused(tar), format!("entry `a`: {why}"));
    }
    let tar = Tar::new().pax(&[("size", b"0x10")]).file("a", "");
    assert_eq!(refused(tar), "entry `PaxHeaders/x`: has a wrong `size` in its extended header");
}

#[test]
fn a_header_of_a_version_that_is_not_known_is_refused() {
    let tar = Tar::new().member(b'0', b"a", b"", |header| header.as_mut_bytes()[263..265].copy_from_slice(b"99"));
    assert_eq!(refused(tar), "entry `a`: has a header of a version that is not known here");
    // Before POSIX there was no version.
    let tar = Tar::new().member(b'0', b"a", b"x", |header| header.as_mut_bytes()[257..265].fill(0));
    assert_eq!(unpacked(tar), ["f 644 a: x"]);
}

#[test]
fn an_archive_that_cannot_be_read_says_why() {
    struct Fails(std::io::ErrorKind);
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::new(self.0, "the gzip stream is damaged"))
        }
    }
    let scratch = Scratch::new();
    let refuse =
        |kind| unpack(&mut Fails(kind), scratch.open().as_fd(), None, &Bounds::default()).expect_err("refused");
    assert_eq!(refuse(std::io::ErrorKind::InvalidData).to_string(), "the gzip stream is damaged");
    let other = refuse(std::io::ErrorKind::TimedOut).to_string();
    assert_eq!(other, "cannot read the archive: the gzip stream is damaged");
}
