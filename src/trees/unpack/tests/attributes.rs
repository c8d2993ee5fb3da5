//! Modes, owners and extended attributes.

use super::*;

#[test]
fn nobody_can_be_lent_rights_by_a_file() {
    let tar = Tar::new()
        .file_of_mode("setuid", 0o4755)
        .file_of_mode("setgid", 0o2755)
        .file_of_mode("both-and-sticky", 0o7777)
        .file_of_mode("with-type", 0o104_644)
        .directory("directory", 0o7777)
        .member(b'6', b"fifo", b"", |header| header.set_mode(0o6666));
    let expected = [
        "f 1777 both-and-sticky: ",
        "d 1777 directory",
        "p 666 fifo",
        "f 755 setgid: ",
        "f 755 setuid: ",
        "f 644 with-type: ",
    ];
    assert_eq!(unpacked(tar), expected);
}

#[test]
fn the_owner_can_always_read_a_file_and_do_everything_with_a_directory() {
    let tar = Tar::new()
        .directory("closed", 0)
        .file("closed/a", "x")
        .file_of_mode("closed/b", 0)
        .directory("read-only", 0o555)
        .file_of_mode("read-only/write-only", 0o222);
    let expected =
        ["d 700 closed", "f 644 closed/a: x", "f 400 closed/b: ", "d 755 read-only", "f 622 read-only/write-only: "];
    assert_eq!(unpacked(tar), expected);
}

#[test]
fn attributes_of_the_user_are_kept_and_those_of_the_system_are_not() {
    let scratch = Scratch::new();
    let tar = Tar::new()
        .pax(&[
            ("SCHILY.xattr.user.mime", b"text/plain\n\0"),
            ("SCHILY.xattr.user.empty", b""),
            ("SCHILY.xattr.security.capability", b"\x01\0\0\x02"),
            ("SCHILY.xattr.security.selinux", b"x"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.system.posix_acl_access", b"x"),
            ("SCHILY.xattr.", b"x"),
        ])
        .member(b'0', b"file", b"x", |header| header.set_mode(0o444))
        .pax(&[("SCHILY.xattr.user.of-a-directory", b"1")])
        .directory("directory", 0o555);
    scratch.unpack(&tar.end(), &Bounds::default()).expect("unpacked");
    let file = File::open(scratch.layer().join("file")).expect("open it");
    let mut names = [0; 256];
    let length = crate::sys::xattr::list(file.as_fd(), &mut names).expect("the names");
    let mut names: Vec<_> = names[..length].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user")).collect();
    names.sort();
    assert_eq!(names, [&b"user.empty"[..], b"user.mime"]);
    let path = |name: &str| scratch.layer().join(name);
    assert_eq!(attribute(&path("file"), "user.mime").as_deref(), Some(&b"text/plain\n\0"[..]));
    assert_eq!(attribute(&path("directory"), "user.of-a-directory").as_deref(), Some(&b"1"[..]));
    for name in ["security.capability", "trusted.overlay.opaque", "system.posix_acl_access"] {
        assert_eq!(attribute(&path("file"), name), None, "{name}");
    }
    assert_eq!(scratch.lines(), ["d 755 directory", "f 444 file: x"]);
}

#[test]
fn attributes_by_which_overlayfs_steers_itself_are_refused() {
    for name in ["opaque", "redirect", "metacopy", "whiteout", "origin", "impure", "overlay.opaque", ""] {
        let key = format!("SCHILY.xattr.user.overlay.{name}");
        let expected = format!("entry `a`: has the attribute `user.overlay.{name}`, by which overlayfs steers itself");
        assert_eq!(refused(Tar::new().pax(&[(&key, b"/etc")]).file("a", "")), expected);
        assert_eq!(refused(Tar::new().pax(&[(&key, b"/etc")]).directory("a", 0o755)), expected);
    }
}

#[test]
fn attributes_that_cannot_be_are_refused() {
    let key = "SCHILY.xattr.user.a";
    let only = "entry `a`: has attributes, which only files and directories can have";
    assert_eq!(refused(Tar::new().pax(&[(key, b"x")]).symlink("a", "b")), only);
    assert_eq!(refused(Tar::new().pax(&[(key, b"x")]).member(b'6', b"a", b"", |_| ())), only);
    let tar = Tar::new().pax(&[("SCHILY.xattr.user.a\0b", b"x")]).file("a", "");
    assert_eq!(refused(tar), "entry `a`: has an attribute with a NUL in its name");
    let long = format!("SCHILY.xattr.user.{}", "x".repeat(300));
    let scratch = Scratch::new();
    let refusal = scratch.unpack(&Tar::new().pax(&[(&long, b"x")]).file("a", "").end(), &Bounds::default());
    let refusal = refusal.expect_err("refused");
    assert_eq!(refusal.io, Some(libc::ERANGE));
    assert_eq!(refusal.hint.as_deref(), Some("the file system has no room for attributes as large"));
}

#[test]
fn everything_belongs_to_whoever_unpacks() {
    let scratch = Scratch::new();
    let tar = Tar::new().directory("a", 0o755).file("a/b", "").symlink("c", "x").file(".wh.d", "");
    scratch.unpack(&tar.end(), &Bounds::default()).expect("unpacked");
    let me = nix::unistd::geteuid().as_raw();
    for path in ["a", "a/b", "c", "d"] {
        assert_eq!(fs::symlink_metadata(scratch.layer().join(path)).expect("it is there").uid(), me, "{path}");
    }
}

#[test]
fn root_can_give_everything_to_somebody_and_nobody_else_can() {
    let scratch = Scratch::new();
    let tar = Tar::new()
        .directory("a", 0o755)
        .file_of_mode("a/b", 0o4711)
        .file("unnamed/f", "")
        .symlink("c", "x")
        .link("e", "a/b")
        .member(b'6', b"p", b"", |_| ())
        .file(".wh.d", "");
    let answer = unpack(&mut &tar.end()[..], scratch.open().as_fd(), Some((12_345, 54_321)), &Bounds::default());
    if !nix::unistd::geteuid().is_root() {
        assert_eq!(answer.expect_err("refused").io, Some(libc::EPERM));
        return;
    }
    answer.expect("unpacked");
    for path in ["", "a", "a/b", "unnamed", "unnamed/f", "c", "e", "p", "d"] {
        let found = fs::symlink_metadata(scratch.layer().join(path)).expect("it is there");
        assert_eq!((found.uid(), found.gid()), (12_345, 54_321), "`{path}`");
    }
    let expected =
        ["d 755 a", "f 711 a/b:  (2 names)", "l c -> x", "w d 0", "f 711 e:  (2 names)", "p 644 p", "d 755 unnamed"];
    assert_eq!(scratch.lines()[..expected.len()], expected);
}

#[test]
fn the_umask_of_the_caller_changes_nothing() {
    // In a process of its own: a umask is everybody's.
    let program = std::env::current_exe().expect("this test");
    let inner = "trees::unpack::tests::attributes::an_ordinary_layer_under_any_umask";
    let command = format!("umask 777; exec {} --exact {inner} --include-ignored", program.display());
    let output = std::process::Command::new("sh").args(["-c", &command]).output().expect("run a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "runs in a process with a umask of 777, started by the test above"]
fn an_ordinary_layer_under_any_umask() {
    let directory = std::env::temp_dir().join(format!("belljar-umask-{}", std::process::id()));
    fs::create_dir(&directory).expect("make a directory");
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).expect("set a mode");
    let tar = Tar::new()
        .pax(&[("SCHILY.xattr.user.a", b"b")])
        .file("a/b", "x")
        .directory("c", 0o750)
        .member(b'6', b"p", b"", |_| ())
        .end();
    let open = File::open(&directory).expect("open the directory");
    unpack(&mut &tar[..], open.as_fd(), None, &Bounds::default()).expect("unpacked");
    let found = lines(&directory, Path::new(""));
    let parent = File::open(directory.parent().expect("below something")).expect("open it");
    tree::remove(parent.as_fd(), directory.file_name().expect("a name")).expect("remove the tree");
    assert_eq!(found, ["d 755 a", "f 644 a/b: x", "d 750 c", "p 644 p"]);
}
