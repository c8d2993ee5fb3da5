//! What a document is taken for, and which of an index's images is taken.

use super::*;
use serde_json::{Value, json};

const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn amd64() -> Platform {
    "linux/amd64".parse().unwrap()
}

fn url() -> Uri {
    "https://a.io/v2/x/manifests/1".parse().unwrap()
}

#[test]
fn a_platform_has_two_words_or_three() {
    for word in ["linux/amd64", "linux/arm/v7"] {
        assert_eq!(word.parse::<Platform>().unwrap().to_string(), word);
    }
    if cfg!(target_arch = "x86_64") {
        assert_eq!(Platform::default().to_string(), "linux/amd64");
    }
    for word in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux/ä", "linux/amd 64"] {
        let error = word.parse::<Platform>().unwrap_err();
        assert!(error.ends_with("is not `OS/ARCHITECTURE` or `OS/ARCHITECTURE/VARIANT`"), "{word}: {error}");
    }
}

#[test]
fn a_document_is_what_its_content_says_and_nobody_may_say_otherwise() {
    let manifest = json!({"schemaVersion": 2, "config": {}, "layers": []});
    let index = json!({"schemaVersion": 2, "manifests": []});
    let with = |document: &Value, name: &str, value: Value| {
        let mut document = document.clone();
        document[name] = value;
        document
    };
    let both = with(&manifest, "manifests", json!([]));
    let said_index = with(&manifest, "mediaType", json!(OCI_INDEX));
    for (document, content_type, expected) in [
        (manifest.clone(), "", "manifest"),
        (manifest.clone(), "application/json", "manifest"),
        (manifest.clone(), OCI_MANIFEST, "manifest"),
        (with(&manifest, "mediaType", json!(DOCKER_MANIFEST)), DOCKER_MANIFEST, "manifest"),
        (index.clone(), OCI_INDEX, "index"),
        (index.clone(), DOCKER_LIST, "index"),
        (manifest.clone(), OCI_INDEX, "it is called `application/vnd.oci.image.index.v1+json` and is none"),
        (said_index, OCI_MANIFEST, "it is called `application/vnd.oci.image.index.v1+json` and is none"),
        (index, DOCKER_MANIFEST, "it is called `application/vnd.docker.distribution.manifest.v2+json` and is none"),
        (both, OCI_MANIFEST, "a manifest and an index at once"),
        (
            json!({"schemaVersion": 2, "blobs": []}),
            "application/vnd.oci.artifact.manifest.v1+json",
            "`application/vnd.oci.artifact.manifest.v1+json`, no image",
        ),
        (json!({"schemaVersion": 1, "fsLayers": []}), "", "(schema 1)"),
        (manifest, "application/vnd.docker.distribution.manifest.v1+prettyjws", "(schema 1)"),
        (json!([]), "", "no manifest: "),
    ] {
        let found = match kind(document.to_string().as_bytes(), content_type) {
            Ok(Kind::Manifest) => "manifest".to_owned(),
            Ok(Kind::Index) => "index".to_owned(),
            Err((why, _)) => why,
        };
        assert!(found.contains(expected), "{document} as {content_type}: {found}");
    }
    // What is named twice is read one way by one tool, and the other way by another.
    let twice = br#"{"schemaVersion": 2, "manifests": [], "layers": [], "manifests": []}"#;
    assert!(kind(twice, "").is_err_and(|(why, _)| why.contains("duplicate field")));
}

#[test]
fn of_an_index_the_image_is_taken_that_runs_on_every_machine_of_the_platform() {
    let entry = |os: &str, architecture: &str, variant: Option<&str>, size: u64| -> Descriptor {
        let mut platform = json!({"os": os, "architecture": architecture});
        if let Some(variant) = variant {
            platform["variant"] = json!(variant);
        }
        let entry = json!({"mediaType": OCI_MANIFEST, "digest": D, "size": size, "platform": platform});
        serde_json::from_value(entry).unwrap()
    };
    let bare = json!({"mediaType": OCI_MANIFEST, "digest": D, "size": 9});
    let entries = [
        serde_json::from_value(bare).unwrap(),
        entry("unknown", "unknown", None, 8),
        entry("windows", "amd64", None, 7),
        entry("linux", "amd64", Some("v3"), 6),
        entry("linux", "amd64", Some("v2"), 5),
        entry("linux", "arm64", Some("v8"), 4),
        entry("linux", "arm", Some("v7"), 3),
        entry("linux", "arm", Some("v6"), 2),
    ];
    for (platform, size) in [
        ("linux/amd64", 5),
        ("linux/amd64/v3", 6),
        ("linux/arm64", 4),
        ("linux/arm64/v8", 4),
        ("linux/arm", 2),
        ("windows/amd64", 7),
    ] {
        let found = choose(&url(), &entries, &platform.parse().unwrap()).map(Descriptor::size);
        assert_eq!(found, Ok(size), "{platform}");
    }
    let with_base = [&entries[..], &[entry("linux", "amd64", None, 1)]].concat();
    assert_eq!(choose(&url(), &with_base, &amd64()).map(Descriptor::size), Ok(1));
    let error = choose(&url(), &entries, &"linux/s390x".parse().unwrap()).unwrap_err().to_string();
    let there = "linux/amd64/v2, linux/amd64/v3, linux/arm/v6, linux/arm/v7, linux/arm64, windows/amd64";
    let expected =
        format!("image: `https://a.io/v2/x/manifests/1`: there is no image for linux/s390x in it; there are: {there}");
    assert_eq!(error, expected);
    assert!(choose(&url(), &[], &amd64()).unwrap_err().to_string().ends_with("there are: none"));
}

#[test]
fn layers_that_we_cannot_have_are_refused_by_name() {
    let manifest = |config: &str, layer: &str| -> ImageManifest {
        let part = |kind: &str| json!({"mediaType": kind, "digest": D, "size": 1});
        serde_json::from_value(json!({"schemaVersion": 2, "config": part(config), "layers": [part(layer)]})).unwrap()
    };
    let oci = "application/vnd.oci.image.config.v1+json";
    for (layer, kind) in [
        ("application/vnd.oci.image.layer.v1.tar", MediaType::ImageLayer),
        ("application/vnd.oci.image.layer.v1.tar+gzip", MediaType::ImageLayerGzip),
        ("application/vnd.oci.image.layer.v1.tar+zstd", MediaType::ImageLayerZstd),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", MediaType::ImageLayerGzip),
        ("application/vnd.docker.image.rootfs.diff.tar.zstd", MediaType::ImageLayerZstd),
    ] {
        let (_, layers) = parts(&url(), &manifest(oci, layer)).unwrap();
        assert_eq!(layers[0].1, kind, "{layer}");
    }
    for (config, layer, why) in [
        (
            oci,
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            ": kept by its maker and not in the registry",
        ),
        (
            oci,
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            ": kept by its maker and not in the registry",
        ),
        (oci, "application/vnd.oci.image.layer.v1.tar+gzip+encrypted", ": encrypted"),
        (oci, "application/vnd.oci.image.layer.v1.tar+lz4", ": no form of a layer that we know"),
        (oci, "application/vnd.wasm.content.layer.v1+wasm", ": no form of a layer that we know"),
        ("application/vnd.cncf.helm.config.v1+json", "x", "`application/vnd.cncf.helm.config.v1+json`, no image"),
        ("application/vnd.oci.empty.v1+json", "x", "`application/vnd.oci.empty.v1+json`, no image"),
    ] {
        let error = parts(&url(), &manifest(config, layer)).unwrap_err().to_string();
        assert!(error.ends_with(why), "{layer}: {error}");
        assert!(error.contains(&format!("layer 1 of 1 is `{layer}`")) || layer == "x", "{error}");
    }
}
