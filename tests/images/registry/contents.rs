//! What comes is not what was announced, or nothing that we want: it is refused, and the store stays as it was.

use super::Home;
use super::images::{Image, OCI_MANIFEST, Part, Shelf, archive};
use super::real::Registry;
use super::server::{Reply, Server};
use serde_json::{Value, json};

/// A server with those answers, and a store that pulls from it; message and hints of the refusal.
fn refused(name: &str, shelf: Shelf) -> (String, String) {
    let server = Server::new(move |asked| shelf.answer(asked));
    let home = Home::new(name);
    let refused = home.refused(&format!("localhost:{}/x:1", server.port));
    home.assert_has_none();
    assert_eq!(home.files("partial"), [""; 0]);
    refused
}

#[test]
fn a_layer_that_was_changed_is_refused_and_leaves_the_store_as_it_was() {
    let Some(registry) = Registry::open() else { return };
    let (good, bad) = (Image::new("amd64", &[1_000]), Image::new("amd64", &[1_000, 500_000]));
    registry.push("a", "good", &good);
    registry.push("a", "bad", &bad);
    let changed = registry.stored(&bad.layers[1].digest());
    let mut bytes = std::fs::read(&changed).expect("the layer");
    bytes[300_000] ^= 1;
    std::fs::write(&changed, bytes).expect("change the layer");
    let home = Home::new("changed");
    home.pull(&format!("{}/a:good", registry.host())).expect("the good one");
    let (message, hint) = home.refused(&format!("{}/a:bad", registry.host()));
    let blob = format!("`http://{}/v2/a/blobs/{}`", registry.host(), bad.layers[1].digest());
    assert!(message.starts_with(&format!("image: {blob}: what came is sha256:")), "{message}");
    assert!(hint.starts_with("it was changed on its way or in the registry"), "{hint}");
    home.assert_has_only(&good);
    assert_eq!(home.names(), [format!("{}/a:good", registry.host())]);
}

#[test]
fn a_manifest_or_a_configuration_that_was_changed_is_refused() {
    let image = Image::new("amd64", &[10]);
    let mut other = image.clone();
    other.manifest.bytes.push(b' ');
    let digest = image.manifest.digest();
    let shelf = Shelf::new(&image).tag(&digest.to_string(), &other.manifest);
    let server = Server::new(move |asked| shelf.answer(asked));
    let home = Home::new("manifest");
    let (message, _) = home.refused(&format!("localhost:{}/x@{digest}", server.port));
    assert!(message.ends_with(&format!("what came is {}, not {digest}", other.manifest.digest())), "{message}");

    let true_digest = image.manifest.digest().to_string();
    let bytes = other.manifest.bytes.clone();
    let server = Server::new(move |_| Reply::body(bytes.clone()).with("Docker-Content-Digest", &*true_digest));
    let (message, _) = home.refused(&format!("localhost:{}/x:1", server.port));
    assert!(message.ends_with(&format!("what came is {}, not {digest}", other.manifest.digest())), "{message}");

    let (config, size) = (image.config.digest().to_string(), image.config.bytes.len());
    let shelf = Shelf::new(&image);
    let server = Server::new(move |asked| match asked.path.contains(&config) {
        true => Reply::body(vec![b' '; size]),
        false => shelf.answer(asked),
    });
    let (message, _) = home.refused(&format!("localhost:{}/x:1", server.port));
    assert!(message.contains("what came is sha256:"), "{message}");
    home.assert_has_none();
}

#[test]
fn no_more_is_read_than_was_announced() {
    let image = Image::new("amd64", &[400_000]);
    let real = image.layers[0].bytes.len() as u64;
    let claiming = |size: u64| {
        Shelf::default()
            .add(&image)
            .tag("1", &image.clone().with(|manifest| manifest["layers"][0]["size"] = json!(size)).manifest)
    };
    for (name, size) in [("smaller", real - 1), ("larger", real + 1)] {
        let (message, _) = refused(name, claiming(size));
        assert!(message.ends_with(&format!("it has {real} bytes, {size} were announced")), "{message}");
    }
    let (message, _) = refused("huge", claiming(1 << 60));
    assert!(message.ends_with("1152921504606846976 bytes, more than a layer may have (68719476736)"), "{message}");
    // A registry that does not say how much comes is cut off where it has to end.
    let shelf = claiming(1_000);
    let layer = image.layers[0].digest().to_string();
    let server = Server::new(move |asked| match asked.path.contains(&layer) {
        true => shelf.answer(asked).untold(),
        false => shelf.answer(asked),
    });
    let home = Home::new("endless");
    let (message, _) = home.refused(&format!("localhost:{}/x:1", server.port));
    assert!(message.ends_with("more than 1000 bytes came, which were announced"), "{message}");
    assert_eq!(home.files("partial"), [""; 0]);
    home.assert_has_none();
}

#[test]
fn a_document_has_its_limit_whoever_announces_what() {
    let image = Image::new("amd64", &[10]);
    let large = Part::new(vec![b' '; (4 << 20) + 1], OCI_MANIFEST);
    let (message, _) = refused("large", Shelf::new(&image).tag("1", &large));
    assert!(message.ends_with("more than 4194304 bytes"), "{message}");
    let claiming = image.clone().with(|manifest| manifest["config"]["size"] = json!(5_000_000));
    let (message, _) = refused("config", Shelf::new(&claiming));
    assert!(message.ends_with("5000000 bytes, more than 4194304"), "{message}");
    // What an index says about a manifest's size counts too.
    let entry = |size: u64| {
        let mut entry = image.manifest.descriptor();
        entry["size"] = json!(size);
        entry["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        Part::new(json!({ "schemaVersion": 2, "manifests": [entry] }).to_string(), super::images::OCI_INDEX)
    };
    let (message, _) = refused("entry", Shelf::default().add(&image).tag("1", &entry(7)));
    assert!(message.ends_with(&format!("{} bytes came, 7 were announced", image.manifest.bytes.len())), "{message}");
}

#[test]
fn what_is_no_image_of_ours_is_refused_by_its_name() {
    let image = Image::new("amd64", &[10]);
    let layer = |kind: &str| {
        let kind = kind.to_owned();
        Shelf::new(&image.clone().with(|manifest| manifest["layers"][0]["mediaType"] = json!(kind)))
    };
    let document = |value: Value, kind: &str| Shelf::default().tag("1", &Part::new(value.to_string(), kind));
    let old = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let artifact = image
        .clone()
        .with(|manifest| manifest["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json"));
    let both = image.clone().with(|manifest| manifest["manifests"] = json!([]));
    for (name, shelf, why) in [
        ("old", document(json!({ "schemaVersion": 1, "fsLayers": [] }), old), "(schema 1)"),
        ("foreign", layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), "does not let others pass on"),
        ("encrypted", layer("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), "is encrypted"),
        ("artifact", Shelf::new(&artifact), "`application/vnd.cncf.helm.config.v1+json`, no image"),
        ("both", Shelf::new(&both), "is a manifest and an index at once"),
        ("page", document(json!("<html>"), "text/html"), "is no manifest"),
    ] {
        let (message, hint) = refused(name, shelf);
        assert!(message.contains(why), "{name}: {message}");
        assert_eq!(hint.starts_with("push the image again"), name != "artifact", "{name}: {hint}");
    }
}

#[test]
fn a_layer_that_is_another_when_it_is_unpacked_is_refused() {
    let image = Image::new("amd64", &[10]);
    let other = belljar::images::Digest::of(&archive("other", 10)).to_string();
    let mut config: Value = serde_json::from_slice(&image.config.bytes).expect("an object");
    config["rootfs"]["diff_ids"][0] = json!(other);
    let config = Part::new(config.to_string(), super::images::OCI_CONFIG);
    let descriptor = config.descriptor();
    let mut wrong = image.with(|manifest| manifest["config"] = descriptor);
    wrong.config = config;
    let (message, _) = refused("diff-id", Shelf::new(&wrong));
    assert!(message.ends_with(&format!(", not {other}")), "{message}");
}
