//! Other programs read what is saved here, and what they write is read here: skopeo, umoci and podman.

use super::{NONE, done, ran, two};
use crate::common::archives::{Image, Layout, Packing, Tar};
use crate::common::images::Home;
use crate::common::{available, installed};
use serde_json::Value;
use std::io::Write as _;

/// `skopeo copy`.
fn skopeo(home: &Home, words: &[&str]) {
    done(&home.0.0, "skopeo", &[&["--insecure-policy", "copy", "-q", "--preserve-digests"], words].concat());
}

/// What an image is to others, whatever its manifest: the digests of its archives.
fn layers(home: &Home, name: &str) -> Value {
    home.config(name)["rootfs"]["diff_ids"].clone()
}

#[test]
fn skopeo_reads_what_is_saved_and_the_image_stays_the_same() {
    if !installed("skopeo") {
        return;
    }
    let home = two("skopeo-reads");
    home.save(&["one:1", "localhost/two:2"], &home.beside("saved")).expect("save");
    let digest = home.names()["one:1"].clone();
    let seen = done(&home.0.0, "skopeo", &["inspect", "--format", "{{.Digest}}", "oci-archive:saved:1"]);
    assert_eq!(seen.trim(), digest);
    skopeo(&home, &["oci-archive:saved:1", "oci:layout:kept"]);
    let other = Home::new("skopeo-other");
    assert_eq!(other.bring(&home.beside("layout"), None).expect("import"), [format!("{digest} layout:kept")]);
    // By the list that older programs look for, with its names.
    done(
        &home.0.0,
        "skopeo",
        &["--insecure-policy", "copy", "-q", "docker-archive:saved:localhost/two:2", "oci:second:x"],
    );
    other.bring(&home.beside("second"), None).expect("import");
    assert_eq!(layers(&other, "second:x"), layers(&home, "localhost/two:2"));
    assert_eq!(other.verify(), NONE);
}

#[test]
fn what_skopeo_writes_is_read() {
    if !installed("skopeo") {
        return;
    }
    let home = two("skopeo-writes");
    home.save(&["one:1"], &home.beside("saved")).expect("save");
    let digest = home.names()["one:1"].clone();
    let other = Home::new("skopeo-written");
    skopeo(&home, &["oci-archive:saved", "oci-archive:archive.tar:v:2"]);
    assert_eq!(other.bring(&home.beside("archive.tar"), None).expect("import"), [format!("{digest} v:2")]);
    // The manifest has to be another one there.
    let words = ["--insecure-policy", "copy", "-q", "oci-archive:saved", "docker-archive:docker.tar:example.org/a/b:3"];
    done(&home.0.0, "skopeo", &words);
    other.bring(&home.beside("docker.tar"), None).expect("import");
    assert_eq!(layers(&other, "example.org/a/b:3"), layers(&home, "one:1"));
    assert_eq!(other.file("example.org/a/b:3", "etc/mark").as_deref(), Some("one"));
    skopeo(&home, &["oci-archive:saved", "dir:directory"]);
    let why = other.bring(&home.beside("directory"), Some("d")).expect_err("no layout");
    assert!(why.contains("`manifest.json`") && why.contains("oci:"), "{why}");
    assert_eq!(other.verify(), NONE);
    // What skopeo has taken over once, both sides see alike.
    other.save(&["example.org/a/b:3"], &home.beside("back")).expect("save");
    let seen = done(&home.0.0, "skopeo", &["inspect", "--format", "{{.Digest}}", "oci-archive:back"]);
    assert_eq!(seen.trim(), other.names()["example.org/a/b:3"]);
}

#[test]
fn layers_packed_with_zstd_go_to_skopeo_and_come_back() {
    if !installed("skopeo") {
        return;
    }
    let image = Image::of(&[(Tar::default().file("a", "b").end(), Packing::Zstd)]);
    let home = Home::new("zstd");
    home.bring(&home.0.file("z.tar", Layout::of(&image, "z:1").tar().end()), None).expect("import");
    home.save(&["z:1"], &home.beside("saved")).expect("save");
    skopeo(&home, &["oci-archive:saved", "oci:layout:2"]);
    let other = Home::new("zstd-other");
    assert_eq!(other.bring(&home.beside("layout"), None).expect("import"), [format!("{} layout:2", image.digest())]);
    assert_eq!(other.file("layout:2", "a").as_deref(), Some("b"));
}

#[test]
fn umoci_reads_what_is_saved() {
    if !installed("umoci") {
        return;
    }
    let home = two("umoci-reads");
    home.save(&["one:1"], &home.beside("saved")).expect("save");
    std::fs::create_dir(home.beside("layout")).expect("make a directory");
    done(&home.0.0, "tar", &["--zstd", "-xf", "saved", "-C", "layout"]);
    assert_eq!(done(&home.0.0, "umoci", &["ls", "--layout", "layout"]), "1\n");
    done(&home.0.0, "umoci", &["unpack", "--rootless", "--image", "layout:1", "bundle"]);
    let mark = std::fs::read_to_string(home.beside("bundle/rootfs/etc/mark")).expect("the file");
    assert_eq!(mark, "one");
    // Tags that would be the same are whole names.
    home.done(&["image", "tag", "localhost/two:2", "three:1"]);
    home.save(&["one:1", "three:1"], &home.beside("both")).expect("save");
    std::fs::create_dir(home.beside("layouts")).expect("make a directory");
    done(&home.0.0, "tar", &["--zstd", "-xf", "both", "-C", "layouts"]);
    assert_eq!(done(&home.0.0, "umoci", &["ls", "--layout", "layouts"]), "one:1\nthree:1\n");
}

#[test]
fn what_umoci_writes_is_read() {
    if !installed("umoci") {
        return;
    }
    let home = Home::new("umoci-writes");
    let umoci = |words: &[&str]| done(&home.0.0, "umoci", words);
    umoci(&["init", "--layout", "made"]);
    umoci(&["new", "--image", "made:first"]);
    std::fs::create_dir_all(home.beside("tree/etc")).expect("make a directory");
    std::fs::write(home.beside("tree/etc/a"), "inserted").expect("write a file");
    umoci(&["insert", "--rootless", "--image", "made:first", "tree", "/"]);
    umoci(&["config", "--image", "made:first", "--config.cmd", "/bin/x", "--tag", "second"]);
    umoci(&["unpack", "--rootless", "--image", "made:second", "bundle"]);
    std::fs::write(home.beside("bundle/rootfs/etc/b"), "repacked").expect("write a file");
    std::fs::remove_file(home.beside("bundle/rootfs/etc/a")).expect("remove a file");
    umoci(&["repack", "--image", "made:third", "bundle"]);
    let taken = home.bring(&home.beside("made"), None).expect("import");
    assert_eq!(taken.len(), 3, "{taken:?}");
    assert_eq!(home.file("made:first", "etc/a").as_deref(), Some("inserted"));
    assert_eq!(home.file("made:third", "etc/b").as_deref(), Some("repacked"));
    assert_eq!(home.config("made:second")["config"]["Cmd"][0], "/bin/x");
    assert_eq!(home.verify(), NONE);
    // As an archive too, and what is saved of it umoci reads.
    done(&home.0.0, "tar", &["-C", "made", "-czf", "made.tar.gz", "."]);
    let other = Home::new("umoci-archive");
    assert_eq!(other.bring(&home.beside("made.tar.gz"), None).expect("import"), taken);
}

#[test]
fn podman_loads_what_is_saved_and_sees_the_same_files() {
    if !installed("podman") || !installed("busybox") {
        return;
    }
    let home = Home::new("podman");
    let busybox = std::fs::read("/usr/bin/busybox").or_else(|_| std::fs::read("/bin/busybox")).expect("read busybox");
    let root = Tar::default().directory("bin/").program("bin/busybox", busybox).symlink("bin/sh", "busybox");
    let root = root.directory("etc/").file("etc/motd", "hello\n");
    home.bring_stream(&Packing::Gzip.pack(&root.end()), Some("small:1")).expect("import");
    home.save(&["small:1"], &home.beside("saved")).expect("save");
    let storage = ["--root", "podman", "--runroot", "podman-run", "--storage-driver", "vfs"];
    let managed = [&storage[..], &["--cgroup-manager", "cgroupfs", "--events-backend", "file"]].concat();
    let podman = |words: &[&str]| done(&home.0.0, "podman", &[&managed, words].concat());
    // In podman's own user namespace, where its files can be seen and removed.
    let script =
        "set -e; c=$(podman \"$@\" create --network none small:1); cat \"$(podman \"$@\" mount \"$c\")/etc/motd\"";
    let loaded = podman(&["load", "-q", "-i", "saved"]);
    assert!(loaded.contains("docker.io/library/small:1"), "{loaded}");
    let seen = podman(&["image", "inspect", "--format", "{{.Os}} {{.Config.Cmd}}", "small:1"]);
    assert_eq!(seen, "linux [/bin/sh]\n");
    let inner = [&["-c", script, "sh"], &managed[..]].concat();
    let motd = if crate::common::is_root() {
        done(&home.0.0, "sh", &inner)
    } else {
        podman(&[&["unshare", "sh"], &inner[..]].concat())
    };
    assert!(motd.ends_with("hello\n"), "{motd}");
    let run = [&managed[..], &["run", "--rm", "--network", "none", "small:1", "cat", "/etc/motd"]].concat();
    let run = ran(&home.0.0, "podman", &run);
    if run.status.success() {
        assert_eq!(String::from_utf8_lossy(&run.stdout), "hello\n");
    } else {
        // Where its own runtime refuses the host, which is not ours to prove, the files are the proof.
        let why = String::from_utf8_lossy(&run.stderr);
        writeln!(std::io::stderr(), "podman loads images here but cannot run them: {}", why.trim()).expect("say so");
    }
    // Not `reset`, which would look for the storage of others.
    ran(&home.0.0, "podman", &[&storage[..], &["rm", "-af"]].concat());
    ran(&home.0.0, "podman", &[&storage[..], &["unshare", "rm", "-rf", "podman", "podman-run"]].concat());
    assert!(available("an image for podman", true));
}

#[test]
fn what_podman_saves_is_loaded_with_its_names() {
    if !installed("podman") {
        return;
    }
    let home = two("podman-saves");
    home.save(&["one:1"], &home.beside("saved")).expect("save");
    let storage = ["--root", "podman", "--runroot", "podman-run", "--storage-driver", "vfs"];
    let podman = |words: &[&str]| done(&home.0.0, "podman", &[&storage[..], words].concat());
    podman(&["load", "-q", "-i", "saved"]);
    for format in ["oci-archive", "docker-archive"] {
        podman(&["save", "-q", "--format", format, "-o", format, "one:1"]);
        let other = Home::new("podman-saved");
        let taken = other.load(&home.beside(format)).expect("load");
        assert!(taken[0].ends_with(" docker.io/library/one:1"), "{format}: {taken:?}");
        // The name that one types finds it.
        assert_eq!(layers(&other, "one:1"), layers(&home, "one:1"), "{format}");
        assert_eq!(other.verify(), NONE);
    }
    ran(&home.0.0, "podman", &[&storage[..], &["unshare", "rm", "-rf", "podman", "podman-run"]].concat());
}
