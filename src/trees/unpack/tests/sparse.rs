//! Sparse files, in the four ways in which GNU tar writes them.

use super::*;
use tar::{GnuExtSparseHeader, Header};

/// What all of them unpack to: `one` at 0, `two` at 1 MiB, 3 MiB long.
fn check(tar: Tar) {
    let scratch = Scratch::new();
    let summary = scratch.unpack(&tar.file("after", "x").end(), &Bounds::default()).expect("unpacked");
    let path = scratch.layer().join("sparse");
    let content = fs::read(&path).expect("read it");
    let mut expected = vec![0; 3 << 20];
    expected[..3].copy_from_slice(b"one");
    expected[1 << 20..(1 << 20) + 3].copy_from_slice(b"two");
    assert!(content == expected);
    assert_eq!(summary.bytes, 7);
    let blocks = fs::metadata(&path).expect("it is there").blocks();
    assert!(blocks * 512 < 1 << 20, "{blocks} blocks");
    assert_eq!(fs::read(scratch.layer().join("after")).expect("read it"), b"x");
}

fn old_gnu(tar: Tar, size: u64, parts: &[(u64, u64)], stored: &[u8]) -> Tar {
    let fill = |slots: &mut [tar::GnuSparseHeader], parts: &[(u64, u64)]| {
        for (slot, (offset, length)) in slots.iter_mut().zip(parts) {
            slot.set_offset(*offset);
            slot.set_length(*length);
        }
    };
    let (first, rest) = parts.split_at(parts.len().min(4));
    let mut tar = tar.member(b'S', b"sparse", b"", |header: &mut Header| {
        header.set_size(stored.len() as u64);
        let gnu = header.as_gnu_mut().expect("a GNU header");
        fill(&mut gnu.sparse, first);
        gnu.set_real_size(size);
        gnu.set_is_extended(!rest.is_empty());
    });
    let blocks = rest.chunks(21);
    let count = blocks.len();
    for (number, parts) in blocks.enumerate() {
        let mut next = GnuExtSparseHeader::new();
        fill(next.sparse_mut(), parts);
        next.set_is_extended(number + 1 < count);
        tar.0.extend_from_slice(next.as_bytes());
    }
    tar.content(stored)
}

#[test]
fn the_old_gnu_format_is_unpacked() {
    check(old_gnu(Tar::new(), 3 << 20, &[(0, 3), (1 << 20, 3), (3 << 20, 0)], b"onetwo"));
}

#[test]
fn the_old_gnu_format_is_unpacked_with_a_long_map() {
    let mut parts: Vec<_> = (0..3).map(|at| (at, 1)).collect();
    parts.extend((0..40).map(|at| (1000 + at, 0)));
    parts.extend((0..3).map(|at| ((1 << 20) + at, 1)));
    check(old_gnu(Tar::new(), 3 << 20, &parts, b"onetwo"));
}

#[test]
fn the_extended_formats_are_unpacked() {
    let size = (3u64 << 20).to_string();
    let name: (&str, &[u8]) = ("GNU.sparse.name", b"sparse");
    let size_is = |key: &'static str| (key, size.as_bytes());
    let zero = [
        size_is("GNU.sparse.size"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.offset", b"0"),
        ("GNU.sparse.numbytes", b"3"),
        ("GNU.sparse.offset", b"1048576"),
        ("GNU.sparse.numbytes", b"3"),
    ];
    check(Tar::new().pax(&zero).file("sparse", "onetwo"));
    let one = [size_is("GNU.sparse.size"), ("GNU.sparse.numblocks", b"2"), ("GNU.sparse.map", b"0,3,1048576,3"), name];
    check(Tar::new().pax(&one).file("GNUSparseFile.1/sparse", "onetwo"));
}

fn in_content(size: u64, map: &str, content: &str) -> Tar {
    let size = size.to_string();
    let records: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"sparse"),
        ("GNU.sparse.realsize", size.as_bytes()),
    ];
    let mut whole = map.as_bytes().to_vec();
    whole.resize(whole.len().next_multiple_of(512), 0);
    whole.extend_from_slice(content.as_bytes());
    Tar::new().pax(&records).file("GNUSparseFile.1/sparse", whole)
}

#[test]
fn a_map_before_the_content_is_read() {
    check(in_content(3 << 20, "2\n0\n3\n1048576\n3\n", "onetwo"));
    // Longer than a block.
    let many: String = (0..300).map(|at| format!("{}\n0\n", 2000 + at)).collect();
    check(in_content(3 << 20, &format!("302\n0\n3\n{many}1048576\n3\n"), "onetwo"));
}

#[test]
fn maps_that_lie_are_refused() {
    let misfit = "has a map of its holes that does not fit its content";
    let nonsense = "has a map of its holes that makes no sense";
    for (map, why) in [
        ("1\n0\n4\n", misfit),
        ("1\n0\n2\n", misfit),
        ("2\n0\n2\n1\n1\n", misfit),
        ("1\n98\n3\n", misfit),
        ("1\n18446744073709551615\n3\n", misfit),
        ("1\n18446744073709551616\n3\n", nonsense),
        ("-1\n", nonsense),
        ("9\n0\n3\n", nonsense),
        ("18446744073709551615\n0\n3\n", nonsense),
        ("", nonsense),
        ("x\n", nonsense),
    ] {
        assert_eq!(refused(in_content(100, map, "one")), format!("entry `sparse`: {why}"), "{map}");
    }
    assert_eq!(refused(old_gnu(Tar::new(), 2, &[(0, 3)], b"one")), format!("entry `sparse`: {misfit}"));
    assert_eq!(refused(old_gnu(Tar::new(), 9, &[(5, 1), (0, 2)], b"one")), format!("entry `sparse`: {misfit}"));
    let twice = Tar::new().pax(&[("GNU.sparse.size", b"3"), ("GNU.sparse.map", b"0,3")]);
    assert_eq!(
        refused(old_gnu(twice, 3, &[(0, 3)], b"one")),
        "entry `sparse`: is sparse in two ways, or no file that could be"
    );
}

#[test]
fn a_map_without_end_is_refused() {
    let endless = old_gnu(Tar::new(), 100, &(0..60_000).map(|at| (at, 0)).collect::<Vec<_>>(), b"");
    assert_eq!(refused(endless), "entry `sparse`: has a map of its holes of more than 1048576 bytes");
    let endless = in_content(100, &format!("600000\n{}", "0\n".repeat(600_000)), "");
    assert_eq!(refused(endless), "entry `sparse`: has a map of its holes of more than 1048576 bytes");
}

#[test]
fn a_hole_takes_no_place_but_has_its_bounds() {
    let scratch = Scratch::new();
    let tar = old_gnu(Tar::new(), 1 << 40, &[(1 << 40, 0)], b"");
    scratch.unpack(&tar.clone().end(), &Bounds { bytes: 0, ..Bounds::default() }).expect("unpacked");
    let found = fs::metadata(scratch.layer().join("sparse")).expect("it is there");
    assert_eq!(found.len(), 1 << 40);
    assert!(found.blocks() < 100);
    let bounds = Bounds { file: (1 << 40) - 1, ..Bounds::default() };
    let refusal = Scratch::new().unpack(&tar.end(), &bounds).expect_err("refused");
    assert_eq!(refusal.to_string(), "entry `sparse`: is a file of more than 1099511627775 bytes");
    let huge = old_gnu(Tar::new(), 1 << 62, &[], b"");
    assert_eq!(refused(huge), "entry `sparse`: is a file of more than 1099511627776 bytes");
}
