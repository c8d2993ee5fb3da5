//! Names: every way out by a name alone.

use super::*;

#[test]
fn an_ordinary_layer_is_unpacked_as_it_is() {
    let tar = Tar::new()
        .directory("./", 0o755)
        .directory("./etc/", 0o755)
        .file("./etc/passwd", "root:x:0:0::/:/bin/sh\n")
        .directory("./tmp/", 0o1777)
        .directory("./usr/", 0o755)
        .directory("./usr/bin/", 0o755)
        .member(b'0', b"./usr/bin/sh", b"#!", |header| header.set_mode(0o755))
        .link("./usr/bin/dash", "./usr/bin/sh")
        .symlink("./bin", "usr/bin")
        .member(b'6', b"./run/pipe", b"", |header| header.set_mode(0o600));
    let expected = [
        "l bin -> usr/bin",
        "d 755 etc",
        "f 644 etc/passwd: root:x:0:0::/:/bin/sh\\n",
        "d 755 run",
        "p 600 run/pipe",
        "d 1777 tmp",
        "d 755 usr",
        "d 755 usr/bin",
        "f 755 usr/bin/dash: #! (2 names)",
        "f 755 usr/bin/sh: #! (2 names)",
    ];
    assert_eq!(unpacked(tar), expected);
}

#[test]
fn a_name_that_leads_out_is_refused_with_the_entry_named() {
    let up = "leads upwards with `..`";
    let root = "begins at the root of the file system";
    for (name, why) in [
        ("../victim/file", up),
        ("..", up),
        ("a/../../victim/file", up),
        ("a/b/../../..", up),
        ("./../victim", up),
        ("a/..", up),
        ("/etc/passwd", root),
        ("//victim", root),
        ("/.", root),
    ] {
        let expected = format!("entry `{name}`: {why}");
        for tar in [
            Tar::new().file(name, ""),
            Tar::new().directory("a", 0o755).directory(name, 0o755),
            Tar::new().symlink(name, "x"),
            Tar::new().file("f", "").link(name, "f"),
            Tar::new().member(b'3', name.as_bytes(), b"", |_| ()),
            Tar::new().pax(&[("path", name.as_bytes())]).file("ok", ""),
        ] {
            assert_eq!(refused(tar), expected);
        }
    }
    assert_eq!(refused(Tar::new().file("", "")), "entry ``: has no name");
}

#[test]
fn an_absolute_name_comes_with_its_cure() {
    let scratch = Scratch::new();
    let refusal = scratch.unpack(&Tar::new().file("/a", "").end(), &Bounds::default()).expect_err("refused");
    assert_eq!(refusal.hint.as_deref(), Some("make the archive from inside the tree: `tar -C TREE -c .`"));
}

#[test]
fn the_same_holds_for_names_that_are_long_or_in_two_fields() {
    let long = format!("{}/../../../x", ["a"; 60].join("/"));
    assert!(refused(Tar::new().file(&long, "x")).ends_with("leads upwards with `..`"));
    // The prefix of a POSIX header is the first part of the name.
    let prefixed = |prefix: &[u8], name: &[u8]| {
        let mut header = tar::Header::new_ustar();
        let fields = header.as_ustar_mut().expect("a POSIX header");
        fields.prefix[..prefix.len()].copy_from_slice(prefix);
        fields.name[..name.len()].copy_from_slice(name);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(0);
        header.set_cksum();
        Tar(header.as_bytes().to_vec())
    };
    assert_eq!(refused(prefixed(b"..", b"victim/x")), "entry `../victim/x`: leads upwards with `..`");
    assert_eq!(refused(prefixed(b"/victim", b"x")), "entry `/victim/x`: begins at the root of the file system");
    assert_eq!(unpacked(prefixed(b"a/b", b"c")), ["d 755 a", "d 755 a/b", "f 644 a/b/c: "]);
}

#[test]
fn a_name_with_a_nul_is_refused() {
    assert_eq!(refused(Tar::new().pax(&[("path", b"a\0b")]).file("x", "")), "entry `a\\0b`: has a NUL in its name");
    let tar = Tar::new().pax(&[("linkpath", b"a\0b")]).symlink("x", "y");
    assert_eq!(refused(tar), "entry `x`: is a symbolic link to a name with a NUL");
    let long = Tar::new().member(b'L', b"././@LongLink", b"a\0/../b\0", |_| ()).file("x", "");
    assert_eq!(refused(long), "entry `a\\0/../b`: has a NUL in its name");
}

#[test]
fn names_that_are_no_text_are_kept_and_escaped_in_messages() {
    let names: [&[u8]; 4] = [b"\xff\xfe", b"a\nb", b"-rf", b"\x1b[31m"];
    let scratch = Scratch::new();
    let tar = names.iter().fold(Tar::new(), |tar, name| tar.file(name, "x"));
    scratch.unpack(&tar.end(), &Bounds::default()).expect("unpacked");
    for name in names {
        assert!(scratch.layer().join(OsStr::from_bytes(name)).is_file());
    }
    let refusal = refused(Tar::new().file(b"\x1b[31m\n\xff/../x", ""));
    assert_eq!(refusal, "entry `\\u{1b}[31m\\n\\xff/../x`: leads upwards with `..`");
}

#[test]
fn names_are_as_long_as_the_kernel_takes_them() {
    let longest = vec!["d".repeat(200); 20].join("/") + "/" + &"f".repeat(74);
    assert_eq!(longest.len(), 4094);
    let scratch = Scratch::new();
    scratch.unpack(&Tar::new().file(&longest, "deep").end(), &Bounds::default()).expect("unpacked");
    let too_long = format!("{longest}xx");
    assert!(refused(Tar::new().file(&too_long, "")).ends_with("has a path of more than 4095 bytes"));
    assert!(refused(Tar::new().file("n".repeat(256), "")).ends_with("has a name of more than 255 bytes"));
    let bounds = Bounds { name: 10, ..Bounds::default() };
    let refusal = Scratch::new().unpack(&Tar::new().file("12345/67890", "").end(), &bounds).expect_err("refused");
    assert_eq!(refusal.to_string(), "entry `12345/67890`: has a path of more than 10 bytes");
}

#[test]
fn the_deepest_path_there_can_be_is_unpacked_and_removed() {
    let deepest = ["d"; 2047].join("/");
    let tar = Tar::new().directory(&deepest, 0o755).file(format!("{deepest}/f"), "x");
    let scratch = Scratch::new();
    let summary = scratch.unpack(&tar.end(), &Bounds::default()).expect("unpacked");
    assert_eq!(summary.entries, 2);
}

#[test]
fn directories_without_an_entry_are_made() {
    let tar = Tar::new().file("a/b/c/d", "x").directory("a/b", 0o700).file("a/e/f", "y");
    let expected = ["d 755 a", "d 700 a/b", "d 755 a/b/c", "f 644 a/b/c/d: x", "d 755 a/e", "f 644 a/e/f: y"];
    assert_eq!(unpacked(tar), expected);
}

#[test]
fn the_root_of_the_layer_has_an_entry_or_none() {
    let scratch = Scratch::new();
    let tar = Tar::new().file("a", "").directory("./", 0o2751).file("b", "");
    scratch.unpack(&tar.end(), &Bounds::default()).expect("unpacked");
    let root = fs::metadata(scratch.layer()).expect("it is there");
    assert_eq!((root.mode() & 0o7777, root.mtime()), (0o751, craft::TIME as i64));
    for tar in [Tar::new().file(".", ""), Tar::new().symlink("./", "/etc"), Tar::new().file("a", "").link(".", "a")] {
        assert!(refused(tar).ends_with("is the root of the layer, but no directory"));
    }
}

#[test]
fn a_directory_that_is_not_empty_is_not_unpacked_into() {
    let scratch = Scratch::new();
    scratch.unpack(&Tar::new().file("a", "").end(), &Bounds::default()).expect("unpacked");
    let refusal = scratch.unpack(&Tar::new().file("b", "").end(), &Bounds::default()).expect_err("refused");
    assert_eq!(refusal.to_string(), "the directory to unpack into is not empty");
}
