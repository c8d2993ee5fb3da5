//! Sources of images, whole, damaged and hostile, and what becomes of them in a store.

use super::Run;
use super::images::Home;
use belljar::images::{Digest, Store};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

impl Home {
    /// `belljar image import SOURCE [--name NAME]`: a line for each image, its digest and its names.
    pub fn bring(&self, source: &Path, name: Option<&str>) -> Result<Vec<String>, String> {
        self.brought(&[&["import", &source.to_string_lossy()], named(&name).as_slice()].concat(), b"")
    }

    /// The same from standard input.
    pub fn bring_stream(&self, bytes: &[u8], name: Option<&str>) -> Result<Vec<String>, String> {
        self.brought(&[&["import", "-"], named(&name).as_slice()].concat(), bytes)
    }

    /// `belljar image load SOURCE`.
    pub fn load(&self, source: &Path) -> Result<Vec<String>, String> {
        self.brought(&["load", &source.to_string_lossy()], b"")
    }

    fn brought(&self, words: &[&str], input: &[u8]) -> Result<Vec<String>, String> {
        let told = succeeded(self.call_with_input(&[&["image"], words, &["--json"]].concat(), input))?;
        let told: Value = serde_json::from_str(&told).expect("an object");
        let words = |image: &Value| {
            let names = image["names"].as_array().expect("names").iter();
            let words =
                [&image["digest"]].into_iter().chain(names).map(|word| word.as_str().expect("a word").to_owned());
            words.collect::<Vec<_>>().join(" ")
        };
        Ok(told["images"].as_array().expect("a list").iter().map(words).collect())
    }

    /// `belljar image save NAMES -o PATH`.
    pub fn save(&self, names: &[&str], path: &Path) -> Result<(), String> {
        let path = path.to_string_lossy();
        succeeded(self.call(&[&["image", "save"], names, &["-o", &path]].concat())).map(drop)
    }

    /// `belljar image verify`: a line for each fault and each cure.
    pub fn verify(&self) -> Vec<String> {
        match succeeded(self.call(&["image", "verify"])) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.lines().map(str::to_owned).collect(),
        }
    }

    fn call_with_input(&self, words: &[&str], input: &[u8]) -> Run {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start belljar");
        let mut pipe = child.stdin.take().expect("its standard input");
        std::thread::scope(|scope| {
            // What is refused is not read to its end.
            scope.spawn(move || drop(pipe.write_all(input)));
            child.wait_with_output().expect("wait for belljar").into()
        })
    }

    /// The store, as the library has it.
    pub fn store(&self) -> Store {
        Store::new(&self.path())
    }

    /// Names and the digests behind them.
    pub fn names(&self) -> BTreeMap<String, String> {
        let names = self.store().names().expect("the names");
        names.into_iter().map(|named| (named.reference.name(), named.manifest.to_string())).collect()
    }

    /// The configuration of an image.
    pub fn config(&self, name: &str) -> Value {
        let told: Value = serde_json::from_str(&self.done(&["image", "inspect", name])).expect("an object");
        told["config"].clone()
    }

    /// A file of an image's layers, the topmost that has it.
    pub fn file(&self, name: &str, path: &str) -> Option<String> {
        let lease = self.store().lease(name).expect("the image");
        lease.image.layers.iter().rev().find_map(|layer| std::fs::read_to_string(layer.join(path)).ok())
    }

    /// Everything in the store but its lock and its version.
    pub fn content(&self) -> Vec<String> {
        let mut found = Vec::new();
        for directory in ["blobs/sha256", "layers", "images", "names", "partial", "tmp"] {
            found.extend(self.files(directory).into_iter().map(|name| format!("{directory}/{name}")));
        }
        found
    }

    /// A place beside the store.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.0.0.join(name)
    }
}

fn named<'a>(name: &Option<&'a str>) -> Vec<&'a str> {
    name.iter().flat_map(|name| ["--name", name]).collect()
}

/// What a call printed, or what it said of its failure.
fn succeeded(run: Run) -> Result<String, String> {
    match run.code {
        Some(0) => Ok(run.stdout),
        Some(1 | 2) => {
            // Other lines tell how far it is.
            let said = run.stderr.lines().filter_map(|line| {
                line.strip_prefix("belljar: ").or_else(|| line.starts_with("hint: ").then_some(line))
            });
            Err(said.collect::<Vec<_>>().join("\n"))
        }
        _ => panic!("{run:?}"),
    }
}

/// A tar archive in the making. Names go in as they are.
#[derive(Default)]
pub struct Tar(Vec<u8>);

impl Tar {
    /// A file.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Tar {
        self.entry(name, tar::EntryType::Regular, "", 0o644, content.as_ref())
    }

    /// A program.
    pub fn program(self, name: &str, content: impl AsRef<[u8]>) -> Tar {
        self.entry(name, tar::EntryType::Regular, "", 0o755, content.as_ref())
    }

    /// A directory.
    pub fn directory(self, name: &str) -> Tar {
        self.entry(name, tar::EntryType::Directory, "", 0o755, b"")
    }

    /// A symbolic link.
    pub fn symlink(self, name: &str, target: &str) -> Tar {
        self.entry(name, tar::EntryType::Symlink, target, 0o777, b"")
    }

    /// Anything.
    pub fn entry(self, name: &str, kind: tar::EntryType, target: &str, mode: u32, content: &[u8]) -> Tar {
        self.header(name, kind, target, mode, content.len() as u64).bytes(content)
    }

    /// A header, whatever comes behind it.
    pub fn header(mut self, name: &str, kind: tar::EntryType, target: &str, mode: u32, size: u64) -> Tar {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self
    }

    fn bytes(mut self, content: &[u8]) -> Tar {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// The archive without its end.
    pub fn cut(self) -> Vec<u8> {
        self.0
    }

    /// The archive.
    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
    Xz,
}

impl Packing {
    /// All of them.
    pub const ALL: [Packing; 4] = [Packing::Plain, Packing::Gzip, Packing::Zstd, Packing::Xz];

    /// Packs.
    pub fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Packing::Plain => bytes.to_vec(),
            Packing::Gzip => {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                packed.write_all(bytes).and_then(|()| packed.finish()).expect("pack with gzip")
            }
            Packing::Zstd => zstd::encode_all(bytes, 3).expect("pack with zstd"),
            Packing::Xz => {
                let mut packed = liblzma::write::XzEncoder::new(Vec::new(), 6);
                packed.write_all(bytes).and_then(|()| packed.finish()).expect("pack with xz")
            }
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Packing::Plain | Packing::Xz => "application/vnd.oci.image.layer.v1.tar",
            Packing::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Packing::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// `blobs/sha256/HEX`.
pub fn blob(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(bytes).hex())
}

/// An image in parts, before anything is called by its digest.
#[derive(Clone)]
pub struct Image {
    /// The configuration.
    pub config: Value,
    /// The manifest, but for the configuration.
    pub manifest: Value,
    /// The layers as they are packed.
    pub layers: Vec<Vec<u8>>,
}

impl Image {
    /// Of these layers, plain archives.
    pub fn of(layers: &[(Vec<u8>, Packing)]) -> Image {
        let diff_ids: Vec<Digest> = layers.iter().map(|(layer, _)| Digest::of(layer)).collect();
        let packed: Vec<Vec<u8>> = layers.iter().map(|(layer, packing)| packing.pack(layer)).collect();
        let entry = |(layer, (_, packing)): (&Vec<u8>, &(Vec<u8>, Packing))| json!({ "mediaType": packing.media_type(), "digest": Digest::of(layer), "size": layer.len() });
        let entries: Vec<Value> = packed.iter().zip(layers).map(entry).collect();
        Image {
            config: json!({
                "architecture": "amd64", "os": "linux",
                "config": { "Cmd": ["/bin/hello"], "Env": ["A=B"] },
                "rootfs": { "type": "layers", "diff_ids": diff_ids },
            }),
            manifest: json!({
                "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": entries,
            }),
            layers: packed,
        }
    }

    /// A small one of two layers.
    pub fn small(mark: &str) -> Image {
        let below = Tar::default().directory("etc/").file("etc/mark", "below").file("etc/of", mark).end();
        let above = Tar::default().directory("bin/").program("bin/hello", "#!").file("etc/mark", mark).end();
        Image::of(&[(below, Packing::Gzip), (above, Packing::Plain)])
    }

    /// The configuration as a file.
    pub fn config_file(&self) -> Vec<u8> {
        self.config.to_string().into_bytes()
    }

    /// The manifest as a file.
    pub fn manifest_file(&self) -> Vec<u8> {
        let config = self.config_file();
        let mut manifest = self.manifest.clone();
        manifest["config"] = json!({
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": Digest::of(&config), "size": config.len(),
        });
        manifest.to_string().into_bytes()
    }

    /// The manifest's digest.
    pub fn digest(&self) -> String {
        Digest::of(&self.manifest_file()).to_string()
    }
}

/// An entry of an index.
pub fn entry(bytes: &[u8], kind: &str) -> Value {
    json!({ "mediaType": format!("application/vnd.oci.image.{kind}.v1+json"), "digest": Digest::of(bytes), "size": bytes.len() })
}

/// An image layout in the making.
#[derive(Clone)]
pub struct Layout {
    /// Files by their names, in the order of an archive.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Entries of `index.json`.
    pub entries: Vec<Value>,
}

impl Default for Layout {
    fn default() -> Layout {
        let version = br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec();
        Layout { files: [("oci-layout".to_owned(), version)].into(), entries: Vec::new() }
    }
}

impl Layout {
    /// With one image, which has that tag or name.
    pub fn of(image: &Image, name: &str) -> Layout {
        let mut layout = Layout::default();
        layout.add(image, name);
        layout
    }

    /// Adds an image, which has that tag or name.
    pub fn add(&mut self, image: &Image, name: &str) {
        self.blobs(image);
        let mut entry = entry(&image.manifest_file(), "manifest");
        if !name.is_empty() {
            entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        }
        self.entries.push(entry);
    }

    /// Adds the blobs of an image.
    pub fn blobs(&mut self, image: &Image) {
        for bytes in [image.config_file(), image.manifest_file()].into_iter().chain(image.layers.clone()) {
            self.files.insert(blob(&bytes), bytes);
        }
    }

    /// Its files, `index.json` among them unless there is one already.
    pub fn all(&self) -> BTreeMap<String, Vec<u8>> {
        let index = json!({ "schemaVersion": 2, "manifests": self.entries });
        let mut files = self.files.clone();
        files.entry("index.json".to_owned()).or_insert_with(|| index.to_string().into_bytes());
        files
    }

    /// As an archive.
    pub fn tar(&self) -> Tar {
        self.all().iter().fold(Tar::default(), |tar, (name, bytes)| tar.file(name, bytes))
    }

    /// As a directory.
    pub fn directory(&self, path: &Path) {
        std::fs::create_dir_all(path.join("blobs/sha256")).expect("make a directory");
        for (name, bytes) in self.all() {
            std::fs::write(path.join(name), bytes).expect("write a file");
        }
    }
}
