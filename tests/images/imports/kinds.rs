//! Sources that are as they should be, of every kind.

use super::{NONE, docker, import_as, refused, refused_layout, root};
use crate::common::archives::{Image, Layout, Packing, Tar, blob, entry};
use crate::common::images::Home;
use serde_json::{Value, json};

#[test]
fn a_layout_comes_in_as_a_directory_and_as_an_archive_packed_in_every_way() {
    let image = Image::small("one");
    let layout = Layout::of(&image, "v1");
    for packing in Packing::ALL {
        let home = Home::new("layout");
        let taken = import_as(&home, "thing.tar.any", &packing.pack(&layout.tar().end())).expect("import");
        assert_eq!(taken, [format!("{} thing.tar.any:v1", image.digest())], "{packing:?}");
        assert_eq!(home.file("thing.tar.any:v1", "etc/mark").as_deref(), Some("one"));
        assert_eq!(home.verify(), NONE);
        // What is here already stays.
        let before = home.content();
        home.bring_stream(&layout.tar().end(), Some("thing.tar.any:v1")).expect("import once more");
        assert_eq!(home.content(), before);
    }
    let home = Home::new("layout-directory");
    layout.directory(&home.beside("some"));
    assert_eq!(home.bring(&home.beside("some"), None).expect("import"), [format!("{} some:v1", image.digest())]);
    assert_eq!(
        home.bring(&home.beside("some/."), Some("x/y:z")).expect("import"),
        [format!("{} x/y:z", image.digest())]
    );
    assert_eq!(home.names().len(), 2);
    assert_eq!(home.verify(), NONE);
}

#[test]
fn layers_may_be_packed_in_every_way_that_has_a_name() {
    let layer = |name: &str| Tar::default().file(name, "content").end();
    let image = Image::of(&[(layer("a"), Packing::Plain), (layer("b"), Packing::Gzip), (layer("c"), Packing::Zstd)]);
    let home = Home::new("packings");
    import_as(&home, "i", &Layout::of(&image, "").tar().end()).expect("import");
    for name in ["a", "b", "c"] {
        assert_eq!(home.file("i", name).as_deref(), Some("content"), "{name}");
    }
    assert_eq!(home.verify(), NONE);
}

#[test]
fn an_index_may_have_several_images_and_an_image_several_names() {
    let (one, two) = (Image::small("one"), Image::small("two"));
    let mut layout = Layout::of(&one, "localhost/one:1");
    layout.add(&two, "two:2");
    layout.add(&one, "again");
    let home = Home::new("several");
    let taken = import_as(&home, "f", &layout.tar().end()).expect("import");
    assert_eq!(taken, [format!("{} localhost/one:1 f:again", one.digest()), format!("{} two:2", two.digest())]);
    assert_eq!(home.file("two:2", "etc/mark").as_deref(), Some("two"));
    let why = home.bring(&home.beside("f"), Some("x")).expect_err("one name for two");
    assert!(why.contains("one name for 2 images"), "{why}");
}

#[test]
fn of_an_index_for_several_machines_this_one_s_image_is_taken() {
    let (ours, mut other) = (Image::small("ours"), Image::small("other"));
    other.config["architecture"] = json!("s390x");
    let for_machine = |image: &Image, architecture: &str| {
        let mut entry = entry(&image.manifest_file(), "manifest");
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entry
    };
    // What is for nothing has no blobs, as with those that Docker adds.
    let attestation = for_machine(&Image::small("nothing"), "unknown");
    let inner = json!({ "schemaVersion": 2, "manifests": [
        for_machine(&other, "s390x"), attestation, for_machine(&ours, "amd64")
    ] });
    let inner = inner.to_string().into_bytes();
    let mut layout = Layout::default();
    layout.blobs(&ours);
    layout.files.insert(blob(&inner), inner.clone());
    let mut outer = entry(&inner, "index");
    outer["annotations"] = json!({ "org.opencontainers.image.ref.name": "multi:1" });
    layout.entries = vec![outer];
    let home = Home::new("machines");
    assert_eq!(import_as(&home, "f", &layout.tar().end()).expect("import"), [format!("{} multi:1", ours.digest())]);

    // Entries that do not say what they are for are looked into.
    let silent = json!({ "schemaVersion": 2, "manifests": [
        entry(&other.manifest_file(), "manifest"), entry(&ours.manifest_file(), "manifest")
    ] });
    let silent = silent.to_string().into_bytes();
    layout.blobs(&other);
    layout.files.insert(blob(&silent), silent.clone());
    layout.entries = vec![entry(&silent, "index")];
    assert_eq!(import_as(&home, "g", &layout.tar().end()).expect("import"), [format!("{} g:latest", ours.digest())]);

    layout.entries = vec![for_machine(&other, "s390x"), entry(&other.manifest_file(), "manifest")];
    refused_layout(&layout, &["no image for linux/amd64", "there are some for linux/s390x"]);
}

#[test]
fn an_archive_of_docker_save_comes_in_and_its_manifest_is_the_same_everywhere() {
    let twice = Tar::default().file("twice", "yes").end();
    let other = Tar::default().file("other", "yes").end();
    let image = Image::of(&[(twice.clone(), Packing::Plain), (other, Packing::Gzip), (twice, Packing::Plain)]);
    let archive = docker(&[(&image, json!(["one:1", "ghcr.io/two/two:2"]))]).end();
    let mut digests = Vec::new();
    for packing in [Packing::Plain, Packing::Gzip] {
        let home = Home::new("docker");
        digests.push(import_as(&home, "d", &packing.pack(&archive)).expect("import"));
        assert_eq!(home.file("one:1", "twice").as_deref(), Some("yes"));
        assert_eq!(home.names().into_keys().collect::<Vec<_>>(), ["ghcr.io/two/two:2", "one:1"]);
        assert_eq!(home.verify(), NONE);
    }
    assert_eq!(digests[0], digests[1]);
    assert!(digests[0][0].ends_with(" one:1 ghcr.io/two/two:2"), "{digests:?}");
}

#[test]
fn an_archive_that_is_both_has_the_names_that_people_know_and_the_manifest_of_its_layout() {
    let image = Image::small("both");
    let mut layout = Layout::of(&image, "");
    layout.entries[0]["annotations"] =
        json!({ "io.containerd.image.name": "docker.io/library/a:1", "org.opencontainers.image.ref.name": "1" });
    let home = Home::new("both");
    let taken = import_as(&home, "f", &layout.tar().end()).expect("import");
    assert_eq!(taken, [format!("{} docker.io/library/a:1", image.digest())]);
    let list = json!([{ "Config": blob(&image.config_file()), "RepoTags": ["a:1"],
        "Layers": image.layers.iter().map(|layer| blob(layer)).collect::<Vec<_>>() }]);
    layout.files.insert("manifest.json".to_owned(), list.to_string().into_bytes());
    assert_eq!(import_as(&home, "f", &layout.tar().end()).expect("import"), [format!("{} a:1", image.digest())]);
}

#[test]
fn docker_s_images_without_a_name_are_called_as_the_file_is() {
    let image = Image::small("x");
    for tags in [Value::Null, json!([]), json!(["<none>:<none>"])] {
        let home = Home::new("nameless");
        let taken = import_as(&home, "some-file.tar", &docker(&[(&image, tags)]).end()).expect("import");
        assert!(taken[0].ends_with(" some-file:latest"), "{taken:?}");
    }
    let home = Home::new("nameless");
    let why = home.bring_stream(&docker(&[(&image, Value::Null)]).end(), None).expect_err("no name at all");
    assert!(why.contains("the image has no name\nhint: give it a name with `--name`"), "{why}");
    assert_eq!(home.content(), NONE);
    let why = import_as(&home, "Some File", &docker(&[(&image, Value::Null)]).end()).expect_err("no name");
    assert!(why.contains("--name"), "{why}");
    refused(&docker(&[(&image, Value::Null), (&Image::small("y"), json!(["y:1"]))]).end(), &["2 images"]);
}

#[test]
fn a_plain_archive_becomes_an_image_of_one_layer_with_the_shell_it_has() {
    let mut digests = Vec::new();
    for packing in Packing::ALL {
        let home = Home::new("plain");
        let taken = import_as(&home, "debian-12.tar.gz", &packing.pack(&root().end())).expect("import");
        assert!(taken[0].ends_with(" debian-12:latest"), "{taken:?}");
        assert_eq!(home.file("debian-12", "usr/bin/sh").as_deref(), Some("#!"));
        let config = home.config("debian-12");
        assert_eq!(config["config"]["Cmd"], json!(["/bin/sh"]), "{config}");
        assert_eq!((&config["os"], &config["architecture"]), (&json!("linux"), &json!("amd64")));
        assert_eq!(home.verify(), NONE);
        digests.push((packing, taken));
    }
    // What no specification has a word for is kept plain.
    assert_eq!(digests[0].1, digests[3].1);

    let home = Home::new("plain");
    let with_bash = root().program("./usr/bin/bash", "#!").end();
    home.bring_stream(&with_bash, Some("b")).expect("import");
    assert_eq!(home.config("b")["config"]["Cmd"], json!(["/bin/bash"]));
    home.bring_stream(&Tar::default().program("init", "x:1").end(), Some("c")).expect("import");
    assert_eq!(home.config("c")["config"]["Cmd"], Value::Null);
    let why = home.bring_stream(&root().end(), None).expect_err("a name is needed");
    assert!(why.contains("--name"), "{why}");
    let why = home.bring_stream(&root().end(), Some("host")).expect_err("taken");
    assert!(why.contains("the machine's own file system"), "{why}");
}

#[test]
fn load_takes_archives_of_images_and_nothing_else() {
    let home = Home::new("load");
    let image = Image::small("x");
    let archive = home.0.file("a.tar", Layout::of(&image, "a:1").tar().end());
    assert_eq!(home.load(&archive).expect("load"), [format!("{} a:1", image.digest())]);
    let before = home.content();
    let plain = home.0.file("p.tar", root().end());
    let why = home.load(&plain).expect_err("no images");
    assert!(why.contains("archive of a root file system") && why.contains("`belljar image import` takes it"), "{why}");
    Layout::of(&image, "a:1").directory(&home.beside("d"));
    assert!(home.load(&home.beside("d")).expect_err("a directory").contains("it is a directory"));
    assert_eq!(home.content(), before);
}

#[test]
fn what_nobody_asks_for_is_not_kept() {
    let (image, unused) = (Image::small("x"), Image::small("unused"));
    let mut layout = Layout::of(&image, "x:1");
    layout.blobs(&unused);
    let junk = Packing::Gzip.pack(b"no archive at all");
    layout.files.insert(blob(&junk), junk);
    let home = Home::new("unused");
    import_as(&home, "f", &layout.tar().end()).expect("import");
    let alone = Home::new("alone");
    import_as(&alone, "f", &Layout::of(&image, "x:1").tar().end()).expect("import");
    assert_eq!(home.content(), alone.content());
}
