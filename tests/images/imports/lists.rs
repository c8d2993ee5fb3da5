//! Indexes, manifests and configurations that say what is not so.

use super::{docker, import_as, refused, refused_layout};
use crate::common::archives::{Image, Layout, Tar, blob, entry};
use crate::common::images::Home;
use belljar::images::Digest;
use serde_json::json;

#[test]
fn a_manifest_that_says_what_is_not_so_is_refused() {
    let image = Image::small("x");
    let with = |change: &dyn Fn(&mut Image)| {
        let mut image = image.clone();
        change(&mut image);
        Layout::of(&image, "x:1")
    };
    refused_layout(
        &with(&|image| image.manifest["layers"][0]["size"] = json!(7)),
        &["blobs/sha256/", "7 were announced"],
    );
    let huge = json!(1u64 << 62);
    refused_layout(
        &with(&|image| image.manifest["layers"][1]["size"] = huge.clone()),
        &["blobs/sha256/", "were announced"],
    );
    let other = Digest::of(b"other");
    refused_layout(&with(&|image| image.manifest["layers"][0]["digest"] = json!(other)), &[&other.hex(), "is missing"]);
    refused_layout(
        &with(&|image| image.config["rootfs"]["diff_ids"][0] = json!(other)),
        &[&other.hex(), "blobs/sha256/"],
    );
    refused_layout(
        &with(&|image| image.config["rootfs"]["diff_ids"] = json!([other])),
        &["2 layers and the configuration 1"],
    );
    refused_layout(
        &with(&|image| {
            image.manifest["layers"] = json!([]);
            image.config["rootfs"]["diff_ids"] = json!([]);
        }),
        &["0 layers"],
    );
    let kind = json!("application/vnd.oci.image.layer.v1.tar+gzip+encrypted");
    refused_layout(&with(&|image| image.manifest["layers"][0]["mediaType"] = kind.clone()), &["is encrypted"]);
    refused_layout(&with(&|image| image.manifest["manifests"] = json!([])), &["a manifest and an index at once"]);
    refused_layout(
        &with(&|image| image.manifest["layers"][0]["digest"] = json!(format!("sha512:{}", "0".repeat(128)))),
        &["sha512"],
    );
    refused_layout(&with(&|image| image.manifest["layers"][0]["digest"] = json!("../../x")), &["digest"]);
}

#[test]
fn a_blob_that_is_not_what_it_is_called_is_refused() {
    let image = Image::small("x");
    for bytes in [image.layers[0].clone(), image.layers[1].clone(), image.config_file(), image.manifest_file()] {
        let mut layout = Layout::of(&image, "x:1");
        let name = blob(&bytes);
        // As long as the right one, so that only the digest can tell.
        let mut wrong = bytes.clone();
        *wrong.last_mut().expect("a byte") ^= 1;
        layout.files.insert(name.clone(), wrong);
        refused_layout(&layout, &[&name]);
        layout.files.remove(&name);
        refused_layout(&layout, &[&name, "is missing"]);
    }
}

#[test]
fn indexes_may_not_be_nested_without_end() {
    let image = Image::small("deep");
    let mut layout = Layout::of(&image, "");
    let mut inner = layout.entries[0].clone();
    for _ in 0..6 {
        let index = json!({ "schemaVersion": 2, "manifests": [inner] }).to_string().into_bytes();
        inner = entry(&index, "index");
        layout.files.insert(blob(&index), index);
    }
    layout.entries = vec![inner];
    refused_layout(&layout, &["lies in 4 indexes, each in another"]);
    // A loop would need a digest of itself; one that only claims to be is told by its content.
    let own = format!("sha256:{}", "1".repeat(64));
    let index = json!({ "schemaVersion": 2, "manifests": [
        { "mediaType": "application/vnd.oci.image.index.v1+json", "digest": own, "size": 200 }
    ] });
    let mut looping = Layout::default();
    looping.files.insert(format!("blobs/sha256/{}", "1".repeat(64)), index.to_string().into_bytes());
    looping.files.insert("index.json".to_owned(), index.to_string().into_bytes());
    refused_layout(&looping, &[&"1".repeat(64)]);
}

#[test]
fn an_index_that_names_the_same_over_and_over_is_not_followed_without_end() {
    // Entries that do not say what they are for are looked into, and each has as many of its own.
    let mut other = Image::small("other");
    other.config["architecture"] = json!("s390x");
    let mut layout = Layout::default();
    layout.blobs(&other);
    let mut inner = entry(&other.manifest_file(), "manifest");
    for _ in 0..3 {
        let index = json!({ "schemaVersion": 2, "manifests": vec![inner; 3000] }).to_string().into_bytes();
        inner = entry(&index, "index");
        layout.files.insert(blob(&index), index);
    }
    layout.entries = vec![inner];
    refused(&layout.tar().end(), &["names too many manifests"]);
}

#[test]
fn two_images_cannot_have_one_name() {
    let mut layout = Layout::of(&Image::small("one"), "same:1");
    layout.add(&Image::small("two"), "same:1");
    refused_layout(&layout, &["two images are called `same:1`"]);
    refused(
        &docker(&[(&Image::small("one"), json!(["same:1"])), (&Image::small("two"), json!(["same:1"]))]).end(),
        &["two images are called `same:1`"],
    );
    refused_layout(&Layout::of(&Image::small("one"), "host:latest"), &["the machine's own file system"]);
    refused_layout(&Layout::of(&Image::small("one"), "No:Name!"), &["a tag is up to"]);
}

#[test]
fn docker_s_archives_are_checked_against_the_configuration() {
    let image = Image::small("x");
    let mut other = image.clone();
    other.config["rootfs"]["diff_ids"][1] = json!(Digest::of(b"other"));
    refused(
        &docker(&[(&other, json!(["x"]))]).end(),
        &["layer.tar", "as the configuration says", &Digest::of(b"other").hex()],
    );
    let mut fewer = image.clone();
    fewer.layers.pop();
    refused(
        &docker(&[(&fewer, json!(["x"]))]).end(),
        &["`manifest.json`", "1 layers for an image whose configuration has 2"],
    );
    let list = |config: &str, layer: &str| {
        json!([{ "Config": config, "RepoTags": ["x"], "Layers": [layer, layer] }]).to_string()
    };
    let tar = || Tar::default().file("c.json", image.config_file());
    refused(&tar().file("manifest.json", list("gone.json", "l")).end(), &["`gone.json`", "is missing"]);
    refused(&tar().file("manifest.json", list("c.json", "gone/layer.tar")).end(), &["`gone/layer.tar`", "is missing"]);
    refused(&tar().file("manifest.json", list("c.json", "../../etc/passwd")).end(), &["../../etc/passwd"]);
    refused(
        &tar().symlink("l", "m").symlink("m", "l").file("manifest.json", list("c.json", "l")).end(),
        &["`l`", "links without end"],
    );
    let wrong = format!("{}.json", "2".repeat(64));
    refused(
        &Tar::default().file(&wrong, image.config_file()).file("manifest.json", list(&wrong, "l")).end(),
        &[&wrong, "its content is"],
    );
    refused(&tar().file("manifest.json", "[{}]").end(), &["`manifest.json`", "Config"]);
    refused(&tar().file("manifest.json", "[]").end(), &["no image for linux/amd64"]);
    refused(&tar().end(), &["neither an `index.json` nor a `manifest.json`"]);
}

#[test]
fn a_layer_is_not_believed_to_be_another_one_that_is_here() {
    let (one, two) = (Image::small("one"), Image::small("two"));
    let home = Home::new("pairs");
    import_as(&home, "one.tar", &Layout::of(&one, "one:1").tar().end()).expect("import");
    import_as(&home, "two.tar", &Layout::of(&two, "two:1").tar().end()).expect("import");
    // Both the blob and the tree are here, but do not belong together.
    let mut lying = one.clone();
    lying.config["rootfs"]["diff_ids"][1] = two.config["rootfs"]["diff_ids"][1].clone();
    let before = home.content();
    let why = import_as(&home, "lying.tar", &Layout::of(&lying, "lying:1").tar().end()).expect_err("it lies");
    assert!(why.contains("as the configuration says"), "{why}");
    assert_eq!(home.content(), before);
}
