//! Pulling: from the reference registry, and from servers that do what no decent registry does. All on loopback.

mod images;
mod real;
mod server;

mod command;
mod connections;
mod contents;
mod logins;
mod tls;

use crate::common::{Scratch, installed};
use belljar::error::Error;
use belljar::images::intake::Intake;
use belljar::images::manifest::Platform;
use belljar::images::registry::{self, Password, Pull, Pulled, Site};
use belljar::images::{Digest, Reference, Store};
use belljar::trees::progress::{Progress, Quiet, Task};
use belljar::trees::unpack::Bounds;
use images::{Image, Part, Shelf, index};
use real::Registry;
use serde_json::json;
use server::Server;
use std::process::Command;
use std::sync::Mutex;

fn platform(architecture: &str) -> Platform {
    Platform { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }
}

/// A store of the test's own, and how images come into it.
pub struct Home {
    store: Store,
    site: Site,
    login: Option<(String, String)>,
    platform: Platform,
    notes: Mutex<Vec<String>>,
    scratch: Scratch,
}

impl Home {
    /// An empty one; nobody is logged in anywhere.
    pub fn new(name: &str) -> Home {
        let scratch = Scratch::new(name);
        Home {
            store: Store::new(&scratch.0.join("store")),
            site: Site::default(),
            login: None,
            platform: platform("amd64"),
            notes: Mutex::default(),
            scratch,
        }
    }

    /// `belljar image pull NAME`.
    pub fn pull(&self, name: &str) -> Result<Pulled, Error> {
        let reference = Reference::parse(name).expect("a name");
        let password = self.login.clone().map(|(user, password)| Password { user, password });
        let pull = Pull {
            reference: &reference,
            platform: self.platform.clone(),
            password,
            site: &self.site,
            bounds: &Bounds::default(),
        };
        registry::pull(&Intake::begin(&self.store)?, &pull, self)
    }

    /// The same, which has to fail: message and hints.
    pub fn refused(&self, name: &str) -> (String, String) {
        let error = self.pull(name).expect_err("a pull that is refused");
        (error.to_string(), error.hints().collect::<Vec<_>>().join("; "))
    }

    /// What was said on the way.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().expect("the notes").clone()
    }

    /// Names of all images.
    pub fn names(&self) -> Vec<String> {
        self.store.names().expect("names").iter().map(|named| named.reference.name()).collect()
    }

    /// Files in one directory of the store.
    pub fn files(&self, directory: &str) -> Vec<String> {
        self.store.entries(directory).expect("a directory of the store")
    }

    /// Asserts that an image is here with everything that belongs to it, and nothing else.
    pub fn assert_has_only(&self, image: &Image) {
        let hex = |part: &Part| part.digest().hex();
        let mut blobs: Vec<String> = image.layers.iter().chain([&image.manifest, &image.config]).map(hex).collect();
        let mut found: Vec<String> =
            self.files("blobs/sha256").iter().map(|name| name.trim_end_matches(".zst").to_owned()).collect();
        blobs.sort();
        blobs.dedup();
        found.sort();
        assert_eq!(found, blobs);
        assert_eq!(self.files("images"), [hex(&image.manifest)]);
        assert_eq!((self.files("partial"), self.files("tmp")), (Vec::new(), Vec::new()));
    }

    /// Asserts that there is no image, nor work in progress.
    pub fn assert_has_none(&self) {
        for directory in ["names", "images", "tmp"] {
            assert_eq!(self.files(directory), [""; 0], "{directory}");
        }
    }
}

impl Progress for Home {
    fn begin(&self, what: &str, bytes: Option<u64>) -> Box<dyn Task> {
        Quiet.begin(what, bytes)
    }

    fn note(&self, line: &str) {
        self.notes.lock().expect("the notes").push(line.to_owned());
    }
}

#[test]
fn an_image_is_pulled_once_and_is_here_the_second_time() {
    let Some(registry) = Registry::open() else { return };
    let image = Image::new("amd64", &[200_000, 10, 10, 3_000_000, 0]);
    registry.push("team/app", "1", &image);
    let home = Home::new("pull");
    let name = format!("{}/team/app:1", registry.host());
    let pulled = home.pull(&name).expect("pulled");
    assert_eq!((pulled.manifest, pulled.name.name()), (image.manifest.digest(), name.clone()));
    assert_eq!((pulled.fetched_bytes, pulled.kept_bytes), (image.size(), 0));
    assert_eq!(home.names(), [name.as_str()]);
    home.assert_has_only(&image);
    let again = home.pull(&name).expect("pulled again");
    let small = (image.manifest.bytes.len() + image.config.bytes.len()) as u64;
    assert_eq!((again.fetched_bytes, again.kept_bytes), (small, image.size() - small));
    assert_eq!(again.manifest, pulled.manifest);
    home.assert_has_only(&image);
}

#[test]
fn a_layer_that_is_in_an_image_twice_is_fetched_once() {
    let image = Image::new("amd64", &[100, 5_000]);
    let mut twice = image.clone();
    let config = String::from_utf8(image.config.bytes.clone()).expect("text");
    let mut config: serde_json::Value = serde_json::from_str(&config).expect("an object");
    let ids = config["rootfs"]["diff_ids"].as_array().expect("a list").clone();
    config["rootfs"]["diff_ids"] = json!([ids[0], ids[1], ids[0]]);
    twice.config.bytes = config.to_string().into_bytes();
    let descriptor = twice.config.descriptor();
    twice = twice.with(|manifest| {
        manifest["config"] = descriptor;
        let first = manifest["layers"][0].clone();
        manifest["layers"].as_array_mut().expect("a list").push(first);
    });
    let shelf = Shelf::new(&twice);
    let server = Server::new(move |asked| shelf.answer(asked));
    let home = Home::new("twice");
    let pulled = home.pull(&format!("localhost:{}/x:1", server.port)).expect("pulled");
    let record = home.store.record(&pulled.manifest).expect("a store").expect("a record");
    assert_eq!((record.layers.len(), record.layers[0]), (3, record.layers[2]));
    assert_eq!(server.asked_for(&image.layers[0].digest().to_string()).len(), 1);
}

#[test]
fn what_docker_pushes_is_pulled() {
    let Some(registry) = Registry::open().filter(|_| installed("skopeo")) else { return };
    registry.push("a", "oci", &Image::new("amd64", &[100_000, 10]));
    let place = |tag: &str| format!("docker://{}/a:{tag}", registry.host());
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", "--format", "v2s2"]);
    let output = skopeo.args([place("oci"), place("docker")]).output().expect("start skopeo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let home = Home::new("docker");
    let pulled = home.pull(&format!("{}/a:docker", registry.host())).expect("pulled");
    let manifest = String::from_utf8(home.store.document(&pulled.manifest).expect("the manifest")).expect("text");
    for kind in ["distribution.manifest.v2+json", "container.image.v1+json", "image.rootfs.diff.tar.gzip"] {
        assert!(manifest.contains(&format!("application/vnd.docker.{kind}")), "{manifest}");
    }
}

#[test]
fn layers_are_pulled_however_they_are_compressed() {
    let image = Image::new("amd64", &[100_000]);
    let plain = images::archive("amd64-0", 100_000);
    let zstd = zstd::encode_all(plain.as_slice(), 1).expect("compress");
    for (name, bytes, kind) in [("plain", plain, ""), ("zstd", zstd, "+zstd")] {
        let layer = Part::new(bytes, &format!("application/vnd.oci.image.layer.v1.tar{kind}"));
        let descriptor = layer.descriptor();
        let mut image = image.clone().with(|manifest| manifest["layers"][0] = descriptor);
        image.layers = vec![layer];
        let shelf = Shelf::new(&image);
        let server = Server::new(move |asked| shelf.answer(asked));
        let home = Home::new(name);
        home.pull(&format!("localhost:{}/x:1", server.port)).expect(name);
        home.assert_has_only(&image);
    }
}

#[test]
fn a_digest_names_the_image_exactly() {
    let Some(registry) = Registry::open() else { return };
    let (old, new) = (Image::new("amd64", &[10]), Image::new("amd64", &[11]));
    registry.push("a", "1", &old);
    registry.push("a", "1", &new);
    let home = Home::new("digest");
    let name = |digest: Digest| format!("{}/a:1@{digest}", registry.host());
    assert_eq!(home.pull(&name(old.manifest.digest())).expect("the old one").manifest, old.manifest.digest());
    home.assert_has_only(&old);
    assert_eq!(home.names(), [format!("{}/a:1", registry.host())]);
    let (message, hint) = home.refused(&name(Digest::of(b"none")));
    assert!(message.contains("404 Not Found (MANIFEST_UNKNOWN: manifest unknown)"), "{message}");
    assert_eq!(hint, "check name and tag");
}

#[test]
fn of_an_index_the_image_for_this_platform_is_pulled() {
    let Some(registry) = Registry::open() else { return };
    let (amd64, arm64) = (Image::new("amd64", &[10]), Image::new("arm64", &[10]));
    let linux = |architecture: &str| json!({ "os": "linux", "architecture": architecture });
    for image in [&amd64, &arm64] {
        registry.push("a", &image.manifest.digest().to_string(), image);
    }
    registry.push_manifest("a", "both", &index(&[(&arm64, linux("arm64")), (&amd64, linux("amd64"))]));
    let nothing = json!({ "os": "unknown", "architecture": "unknown" });
    registry.push_manifest("a", "arm", &index(&[(&arm64, linux("arm64")), (&amd64, nothing)]));
    let mut home = Home::new("index");
    let both = format!("{}/a:both", registry.host());
    assert_eq!(home.pull(&both).expect("pulled").manifest, amd64.manifest.digest());
    home.assert_has_only(&amd64);
    let (message, _) = home.refused(&format!("{}/a:arm", registry.host()));
    assert!(message.ends_with("there is no image for linux/amd64 in it; there are: linux/arm64"), "{message}");
    // Not behind an index either.
    let (message, _) = home.refused(&format!("{}/a@{}", registry.host(), arm64.manifest.digest()));
    assert!(message.ends_with("is an image for linux/arm64, not for linux/amd64"), "{message}");
    home.platform = platform("arm64");
    assert_eq!(home.pull(&both).expect("pulled").manifest, arm64.manifest.digest());
    let by_digest = format!("{}/a@{}", registry.host(), index(&[(&arm64, linux("arm64"))]).digest());
    assert!(home.refused(&by_digest).0.contains("404"));
}
