//! Links, and the ways out that lead through them.

use super::*;

#[test]
fn a_symbolic_link_may_lead_anywhere_and_is_never_followed() {
    let targets = ["/etc/shadow", "../victim/file", "../../../../..", "nowhere", "a", ".", "/dev/null"];
    let tar = (0..).zip(targets).fold(Tar::new(), |tar, (number, target)| tar.symlink(number.to_string(), target));
    let expected: Vec<_> = (0..).zip(targets).map(|(number, target)| format!("l {number} -> {target}")).collect();
    assert_eq!(unpacked(tar), expected);
}

#[test]
fn an_entry_behind_a_symbolic_link_of_the_layer_is_refused() {
    for target in ["../victim", "/", "b", ".", "nowhere"] {
        let layer = Tar::new().directory("b", 0o755).symlink("a", target);
        let through = "goes through the symbolic link `a`";
        for tar in [
            layer.clone().file("a/x", "out"),
            layer.clone().file("a/x/y/z", "out"),
            layer.clone().directory("a/x", 0o777),
            layer.clone().symlink("a/x", "out"),
            layer.clone().file("f", "").link("a/x", "f"),
            layer.clone().file("a/.wh.file", ""),
            layer.clone().file("a/.wh..wh..opq", ""),
            layer.clone().member(b'6', b"a/x", b"", |_| ()),
        ] {
            let refusal = refused(tar);
            assert!(refusal.ends_with(through), "to `{target}`: {refusal}");
        }
        let deep = Tar::new().directory("d", 0o755).symlink("d/a", target).file("d/a/x", "");
        assert_eq!(refused(deep), "entry `d/a/x`: goes through the symbolic link `d/a`");
    }
}

#[test]
fn a_link_that_takes_the_place_of_a_directory_that_is_open_is_not_followed() {
    // `a` has just been entered when it is replaced.
    let tar = Tar::new().directory("a", 0o755).symlink("a", "../victim").file("a/file", "out");
    assert_eq!(refused(tar), "entry `a/file`: goes through the symbolic link `a`");
    let tar = Tar::new().file("a/b", "").symlink("a", "../victim");
    assert_eq!(refused(tar), "entry `a`: stands where the archive has made a directory that is not empty");
}

#[test]
fn a_file_over_a_symbolic_link_replaces_the_link_and_not_what_it_leads_to() {
    let tar = Tar::new().symlink("a", "../victim/file").file("a", "in");
    assert_eq!(unpacked(tar), ["f 644 a: in"]);
}

#[test]
fn a_directory_over_a_symbolic_link_replaces_it() {
    let tar = Tar::new().symlink("a", "../victim").directory("a", 0o700).file("a/file", "in");
    assert_eq!(unpacked(tar), ["d 700 a", "f 644 a/file: in"]);
}

#[test]
fn an_entry_below_a_file_is_refused() {
    let through = "goes through `a`, which is no directory";
    for layer in [Tar::new().file("a", "x"), Tar::new().member(b'6', b"a", b"", |_| ())] {
        assert_eq!(refused(layer.clone().file("a/b", "")), format!("entry `a/b`: {through}"));
        assert_eq!(refused(layer.directory("a/b/c", 0o755)), format!("entry `a/b/c`: {through}"));
    }
}

#[test]
fn a_hard_link_has_a_file_of_this_layer_for_its_other_name() {
    let layer = || Tar::new().directory("d", 0o755).file("d/f", "x").symlink("s", "/etc").symlink("out", "../victim");
    let before = "which this layer does not have before it";
    for (other, why) in [
        ("../victim/file", "links to a name that leads upwards with `..`".to_owned()),
        ("/etc/passwd", "links to a name that begins at the root of the file system".to_owned()),
        ("", "links to a name that has no name".to_owned()),
        ("out/file", "is a hard link to `out/file` through a symbolic link".to_owned()),
        ("s/passwd", "is a hard link to `s/passwd` through a symbolic link".to_owned()),
        ("nothing", format!("is a hard link to `nothing`, {before}")),
        ("d/nothing", format!("is a hard link to `d/nothing`, {before}")),
        ("d/f/x", format!("is a hard link to `d/f/x`, {before}")),
        ("d", "is a hard link to `d`, which is a directory".to_owned()),
        ("./", "is a hard link to ``, which is a directory".to_owned()),
    ] {
        assert_eq!(refused(layer().link("x", other)), format!("entry `x`: {why}"));
    }
    let hidden = Tar::new().file(".wh.a", "").link("x", "a");
    assert_eq!(refused(hidden), "entry `x`: is a hard link to `a`, which is a whiteout");
}

#[test]
fn a_hard_link_to_a_symbolic_link_is_a_second_link() {
    let scratch = Scratch::new();
    let tar = Tar::new().symlink("a", "../victim/file").link("b", "a");
    scratch.unpack(&tar.end(), &Bounds::default()).expect("unpacked");
    assert_eq!(scratch.lines(), ["l a -> ../victim/file", "l b -> ../victim/file"]);
}

#[test]
fn a_write_through_a_hard_link_stays_in_the_layer() {
    // The classic: a hard link to a file outside, then content for it.
    let tar = Tar::new().symlink("s", "../victim/file").link("h", "s").file("h", "out");
    assert_eq!(unpacked(tar), ["f 644 h: out", "l s -> ../victim/file"]);
}

#[test]
fn a_hard_link_to_itself_changes_nothing() {
    assert_eq!(unpacked(Tar::new().file("a", "x").link("./a", "a")), ["f 644 a: x"]);
}

#[test]
fn a_symbolic_link_to_nothing_or_to_too_much_is_refused() {
    assert_eq!(refused(Tar::new().symlink("a", "")), "entry `a`: is a symbolic link to nothing");
    let long = refused(Tar::new().symlink("a", "x".repeat(4096)));
    assert_eq!(long, "entry `a`: is a symbolic link to more than 4095 bytes");
    let longest = "x".repeat(4095);
    assert_eq!(unpacked(Tar::new().symlink("a", &longest)).len(), 1);
}
