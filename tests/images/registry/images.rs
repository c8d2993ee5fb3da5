//! Images for the tests, as a registry has them: manifests by name and by digest, blobs by digest.

use super::server::{Asked, Reply};
use belljar::images::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;

/// Media types.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Of an index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Of a layer.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Of a configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A part of an image.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it is.
    pub media_type: String,
}

impl Part {
    /// Of those bytes.
    pub fn new(bytes: impl Into<Vec<u8>>, media_type: &str) -> Part {
        Part { bytes: bytes.into(), media_type: media_type.to_owned() }
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// What others call it by.
    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest().to_string(), "size": self.bytes.len() })
    }
}

/// An image.
#[derive(Clone, Debug)]
pub struct Image {
    /// Manifest.
    pub manifest: Part,
    /// Configuration.
    pub config: Part,
    /// Layers, compressed.
    pub layers: Vec<Part>,
}

/// An archive with one file of so many bytes that hardly compress.
pub fn archive(name: &str, size: usize) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(size as u64);
    // Different for each name, the same at every run.
    let seed = Digest::of(name.as_bytes()).hex();
    let mut state = u64::from_str_radix(&seed[..16], 16).expect("digits") | 1;
    let content: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(size)
    .collect();
    archive.append_data(&mut header, name, content.as_slice()).expect("append a file");
    archive.into_inner().expect("end the archive")
}

impl Image {
    /// For a platform, with a layer of each of those sizes.
    pub fn new(architecture: &str, sizes: &[usize]) -> Image {
        let archives: Vec<Vec<u8>> =
            sizes.iter().enumerate().map(|(at, size)| archive(&format!("{architecture}-{at}"), *size)).collect();
        let layers: Vec<Part> = archives.iter().map(|archive| Part::new(gzip(archive), OCI_LAYER)).collect();
        let diff_ids: Vec<String> = archives.iter().map(|archive| Digest::of(archive).to_string()).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = Part::new(config.to_string(), OCI_CONFIG);
        let manifest = manifest(&config.descriptor(), &layers.iter().map(Part::descriptor).collect::<Vec<_>>());
        Image { manifest, config, layers }
    }

    /// With something else in its manifest.
    pub fn with(mut self, change: impl FnOnce(&mut Value)) -> Image {
        let mut value: Value = serde_json::from_slice(&self.manifest.bytes).expect("a manifest");
        change(&mut value);
        self.manifest.bytes = value.to_string().into_bytes();
        self
    }

    /// Bytes of all parts.
    pub fn size(&self) -> u64 {
        let parts = self.layers.iter().chain([&self.manifest, &self.config]);
        parts.map(|part| part.bytes.len() as u64).sum()
    }
}

fn manifest(config: &Value, layers: &[Value]) -> Part {
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers });
    Part::new(manifest.to_string(), OCI_MANIFEST)
}

/// An index of images, each with its platform.
pub fn index(entries: &[(&Image, Value)]) -> Part {
    let entry = |(image, platform): &(&Image, Value)| {
        let mut entry = image.manifest.descriptor();
        entry["platform"] = platform.clone();
        entry
    };
    let entries: Vec<Value> = entries.iter().map(entry).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
    Part::new(index.to_string(), OCI_INDEX)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("compress");
    encoder.finish().expect("compress")
}

/// What a registry without any rules answers: everything that is in it, to everybody.
#[derive(Clone, Debug, Default)]
pub struct Shelf(BTreeMap<String, Part>);

impl Shelf {
    /// With an image, by the tag `1` and by digest.
    pub fn new(image: &Image) -> Shelf {
        Shelf::default().add(image).tag("1", &image.manifest)
    }

    /// And another image, by digest.
    pub fn add(mut self, image: &Image) -> Shelf {
        for part in image.layers.iter().chain([&image.config]) {
            self.0.insert(format!("blobs/{}", part.digest()), part.clone());
        }
        self.0.insert(format!("manifests/{}", image.manifest.digest()), image.manifest.clone());
        self
    }

    /// And a manifest or an index by a tag.
    pub fn tag(mut self, tag: &str, part: &Part) -> Shelf {
        self.0.insert(format!("manifests/{tag}"), part.clone());
        self
    }

    /// The answer.
    pub fn answer(&self, asked: &Asked) -> Reply {
        match asked.path.strip_prefix("/v2/x/").and_then(|rest| self.0.get(rest)) {
            Some(part) => Reply::body(part.bytes.clone()).with("Content-Type", &*part.media_type).ranged(asked),
            None => Reply::status(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"not here"}]}"#),
        }
    }
}
