//! What `verify` finds.

use super::{NONE, two};
use crate::common::images::Home;
use std::fs;
use std::path::PathBuf;

/// Asserts that `damage` is found in a store of two images: the lines name all of `parts`.
fn found(damage: impl FnOnce(&Home), parts: &[&str]) {
    let home = two("verify");
    assert_eq!(home.verify(), NONE);
    damage(&home);
    let lines = home.verify().join("\n");
    for part in parts {
        assert!(lines.contains(part), "`{part}` is not in: {lines}");
    }
    let of = |kind: &str| lines.lines().filter(|line| line.starts_with(kind)).count();
    assert_eq!(of("store: "), of("hint: "), "{lines}");
}

/// The one file of that kind that passes.
fn file(home: &Home, directory: &str, wanted: impl Fn(&[u8]) -> bool) -> PathBuf {
    let paths = home.files(directory).into_iter().map(|name| home.path().join(directory).join(name));
    let mut found = paths.filter(|path| fs::read(path).is_ok_and(|bytes| wanted(&bytes)));
    found.next().expect("such a file")
}

/// The tree that has a file with this content.
fn in_tree(home: &Home, name: &str, content: &str) -> PathBuf {
    let trees = home.files("layers").into_iter().map(|tree| home.path().join("layers").join(tree).join(name));
    trees.into_iter().find(|path| fs::read_to_string(path).is_ok_and(|text| text == content)).expect("such a tree")
}

fn flip(path: &std::path::Path) {
    let mut bytes = fs::read(path).expect("read it");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("damage it");
}

#[test]
fn damaged_and_missing_blobs_are_found() {
    let gzip = |bytes: &[u8]| bytes.starts_with(&[0x1f, 0x8b]);
    let zstd = |bytes: &[u8]| bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    found(
        |home| flip(&file(home, "blobs/sha256", gzip)),
        &["store: the blob sha256:", "hint: remove what has it with"],
    );
    found(|home| flip(&file(home, "blobs/sha256", zstd)), &["store: the blob sha256:", "the zstd stream"]);
    found(|home| fs::remove_file(file(home, "blobs/sha256", gzip)).expect("remove it"), &["is missing"]);
    let manifest = |bytes: &[u8]| bytes.starts_with(b"{") && String::from_utf8_lossy(bytes).contains("schemaVersion");
    found(|home| flip(&file(home, "blobs/sha256", manifest)), &["store: the image ", "another digest"]);
    let config = |bytes: &[u8]| bytes.starts_with(b"{") && String::from_utf8_lossy(bytes).contains("rootfs");
    found(|home| fs::remove_file(file(home, "blobs/sha256", config)).expect("remove it"), &["store: the image "]);
}

#[test]
fn a_blob_that_is_another_one_is_found_although_it_is_whole() {
    found(
        |home| {
            let packed: Vec<_> = home.files("blobs/sha256").into_iter().filter(|name| name.ends_with(".zst")).collect();
            let path = |at: usize| home.path().join("blobs/sha256").join(&packed[at]);
            fs::copy(path(0), path(1)).expect("copy it");
        },
        &["its content is sha256:"],
    );
}

#[test]
fn whatever_was_changed_in_a_tree_is_found() {
    found(
        |home| fs::write(in_tree(home, "etc/mark", "one"), "two").expect("write"),
        &["store: the layer sha256:", "`etc/mark`", "one:1"],
    );
    found(|home| fs::remove_file(in_tree(home, "bin/hello", "#!")).expect("remove"), &["`bin/hello` is missing"]);
    found(
        |home| fs::write(in_tree(home, "etc/mark", "one").with_file_name("more"), "").expect("write"),
        &["`etc/more` is not of the layer"],
    );
    found(
        |home| {
            let tree = in_tree(home, "etc/mark", "two");
            fs::remove_dir_all(tree.parent().and_then(|etc| etc.parent()).expect("the tree")).expect("remove it");
        },
        &["store: the layer sha256:", "localhost/two:2: is missing"],
    );
}

#[test]
fn records_that_say_what_is_not_so_are_found() {
    let change = |from: &'static str, to: &'static str| {
        move |home: &Home| {
            let record = file(home, "images", |_| true);
            let text = fs::read_to_string(&record).expect("read the record");
            assert!(text.contains(from), "{text}");
            fs::write(&record, text.replace(from, to)).expect("write the record");
        }
    };
    found(change("/bin/hello", "/bin/other"), &["store: the image ", "something else than its configuration"]);
    found(change("\"hidden\":0", "\"hidden\":1"), &["store: the image ", "hides other layers"]);
    found(change("{", "["), &["store: the image "]);
    found(
        |home| {
            let record = file(home, "images", |_| true);
            let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&record).expect("read")).expect("JSON");
            value["layers"].as_array_mut().expect("layers").reverse();
            fs::write(&record, value.to_string()).expect("write the record");
        },
        &["other layers than its manifest"],
    );
}

#[test]
fn names_that_stand_for_nothing_and_what_nobody_needs_are_told_apart() {
    found(
        |home| {
            let digest = "7".repeat(64);
            fs::write(home.path().join("names/gone:1"), format!("sha256:{digest}\n")).expect("write a name");
            fs::write(home.path().join("names/No%2Fname!"), "").expect("write no name");
            fs::write(home.path().join("names/odd:1"), "what?").expect("write a name");
            fs::write(home.path().join("blobs/sha256/junk"), "").expect("write no blob");
            fs::write(home.path().join("blobs/sha256").join(&digest), "other").expect("write a blob");
        },
        &[
            "the name gone:1: stands for sha256:777",
            "is no name",
            "the name odd:1",
            "is no blob",
            "its content is",
            "image gc",
        ],
    );
    // An image that was given up, before anybody has cleared up.
    let home = two("unneeded");
    fs::remove_file(home.path().join("names/one:1")).expect("remove a name");
    assert_eq!(home.verify(), NONE);
}

#[test]
fn one_image_is_verified_without_the_others() {
    let home = two("one");
    let mark = in_tree(&home, "etc/mark", "two");
    fs::write(mark, "changed").expect("write");
    assert_eq!(home.done(&["image", "verify", "one:1"]), "all images match their digests\n");
    let run = home.call(&["image", "verify", "localhost/two:2"]);
    assert!(run.code == Some(1) && run.stderr.contains("`etc/mark`"), "{run:?}");
    let run = home.call(&["image", "verify", "three"]);
    assert!(run.code == Some(1) && run.stderr.contains("no image `three` here"), "{run:?}");
    let empty = Home::new("empty");
    assert_eq!(empty.verify(), NONE);
}

#[test]
fn the_cure_that_is_given_cures() {
    let home = two("cure");
    fs::write(in_tree(&home, "etc/mark", "one"), "changed").expect("write");
    flip(&file(&home, "blobs/sha256", |bytes| bytes.starts_with(&[0x1f, 0x8b])));
    let lines = home.verify().join("\n");
    let mut images: Vec<&str> = lines.split('`').filter_map(|part| part.strip_prefix("belljar image rm ")).collect();
    images.sort();
    for words in images.iter().flat_map(|images| images.split(' ')) {
        let _ = home.call(&["image", "rm", words]);
    }
    home.bring(&home.beside("two.tar"), None).expect("import");
    assert_eq!(home.verify(), NONE);
}
