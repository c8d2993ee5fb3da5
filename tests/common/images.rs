//! Images for the tests: small ones, made from a few files, as an OCI layout that belljar imports.

use super::{Run, Scratch, command};
use belljar::images::Digest;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A store of the test's own, gone with the value.
pub struct Home(pub Scratch);

impl Home {
    /// An empty one.
    pub fn new(name: &str) -> Home {
        Home(Scratch::new(name))
    }

    /// Where it lies.
    pub fn path(&self) -> PathBuf {
        self.0.0.join("store")
    }

    /// A call of the binary on it.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = command(words);
        command.env("BELLJAR_HOME", self.path());
        command
    }

    /// Calls the binary.
    pub fn call(&self, words: &[&str]) -> Run {
        self.command(words).output().expect("start belljar").into()
    }

    /// Calls the binary, which must succeed; what it printed.
    pub fn done(&self, words: &[&str]) -> String {
        let run = self.call(words);
        assert_eq!(run.code, Some(0), "{words:?}: {run:?}");
        run.stdout
    }

    /// `belljar run --image IMAGE -- sh -c SCRIPT`.
    pub fn shell(&self, image: &str, script: &str) -> Run {
        self.call(&["run", "--image", image, "--", "sh", "-c", script])
    }

    /// Brings an image in under a name.
    pub fn import(&self, name: &str, image: &Image) {
        self.done(&["image", "import", "--name", name, &image.layout(&self.0).to_string_lossy()]);
    }

    /// Names and digests as `ls --json` tells them.
    pub fn images(&self) -> Vec<Value> {
        let object: Value = serde_json::from_str(&self.done(&["image", "ls", "--json"])).expect("an object");
        object["images"].as_array().expect("a list").clone()
    }

    /// Files below one directory of the store.
    pub fn files(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path().join(directory)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// An image to be made.
pub struct Image {
    /// A script for each layer, run in its empty directory by the host's shell; `busybox` puts a shell there.
    pub layers: Vec<String>,
    /// The `config` of its configuration.
    pub config: Value,
}

/// A layer with a static busybox in it and links for what tests use.
pub const BUSYBOX: &str = "mkdir -p bin etc tmp usr/bin && cp \"$(command -v busybox)\" bin/busybox && \
    for name in sh ls cat id pwd env rm mkdir touch chmod readlink stat sleep kill df wc ln mv test echo true grep; do \
    ln -s busybox bin/$name; done && printf 'root:x:0:0:root:/root:/bin/sh\\napp:x:77:78:app:/home/app:/bin/sh\\n' >etc/passwd && \
    printf 'root:x:0:\\napp:x:78:\\n' >etc/group";

impl Image {
    /// One layer with a shell, and no configuration.
    pub fn busybox() -> Image {
        Image { layers: vec![BUSYBOX.to_owned()], config: json!({}) }
    }

    /// Another layer above.
    pub fn above(mut self, script: &str) -> Image {
        self.layers.push(script.to_owned());
        self
    }

    /// With this configuration.
    pub fn with(self, config: Value) -> Image {
        Image { config, ..self }
    }

    /// Writes it as an OCI layout.
    pub fn layout(&self, scratch: &Scratch) -> PathBuf {
        let place = Scratch::new("layout");
        let root = scratch.0.join(format!("layout-{}", place.0.file_name().expect("a name").to_string_lossy()));
        std::fs::create_dir_all(root.join("blobs/sha256")).expect("make a layout");
        let mut layers = Vec::new();
        for (number, script) in self.layers.iter().enumerate() {
            let tree = place.0.join(format!("layer-{number}"));
            let archive = place.0.join(format!("layer-{number}.tar"));
            std::fs::create_dir(&tree).expect("make a directory");
            shell(&tree, &format!("set -e; umask 022; {script}"));
            shell(&place.0, &format!("tar --numeric-owner --xattrs -cf layer-{number}.tar -C layer-{number} ."));
            layers.push(std::fs::read(archive).expect("read the archive"));
        }
        // What cannot be deleted otherwise.
        shell(&place.0, "chmod -R u+rwX .");
        layout(&root, &layers, &self.config);
        root
    }
}

/// Writes layers, uncompressed archives all, as an OCI layout.
pub fn layout(root: &Path, layers: &[Vec<u8>], config: &Value) {
    let blob = |bytes: &[u8], kind: &str| {
        let digest = Digest::of(bytes);
        std::fs::write(root.join("blobs/sha256").join(digest.hex()), bytes).expect("write a blob");
        json!({ "mediaType": kind, "digest": digest.to_string(), "size": bytes.len() })
    };
    let descriptors: Vec<Value> =
        layers.iter().map(|layer| blob(layer, "application/vnd.oci.image.layer.v1.tar")).collect();
    let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    let configuration = json!({
        "architecture": "amd64", "os": "linux", "config": config,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let configuration = blob(configuration.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": configuration, "layers": descriptors,
    });
    let manifest = blob(manifest.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json");
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    std::fs::write(root.join("index.json"), index.to_string()).expect("write the index");
    std::fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("write the version");
}

/// A script of the host's shell that must succeed.
pub fn shell(directory: &Path, script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).current_dir(directory).output().expect("start sh");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
