//! What manifests, indexes and configurations say, wherever they come from.
//!
//! Pure. What a document is, its own content says, and whoever points to it may not say otherwise: one that can be read as
//! two things is refused, because another program would read the other one (CVE-2021-41190).

use super::digest::Digest;
use super::intake::{Expected, MOST_LAYERS};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest, MediaType};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::fmt;

/// An annotation of an index's entry: the whole name of an image, as Docker and containerd keep it.
pub const FULL_NAME: &str = "io.containerd.image.name";
/// Another: its tag, and with some programs its whole name.
pub const SHORT_NAME: &str = "org.opencontainers.image.ref.name";
/// Of image layouts.
pub const LAYOUT_VERSION: &str = "1.0.0";

/// What kinds of documents are called.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// A configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of one image.
    Manifest,
    /// Of many.
    Index,
}

/// What an image is for, in Go's words. The lowest variant is the least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// `v2`; `None`: whatever runs on every machine of the architecture.
    pub variant: Option<String>,
}

impl Platform {
    /// This machine's.
    pub fn ours() -> Platform {
        Platform { os: "linux".to_owned(), architecture: architecture().to_owned(), variant: None }
    }

    /// Of an entry of an index, if that says.
    pub fn of(entry: &Descriptor) -> Option<Platform> {
        let platform = entry.platform().as_ref()?;
        let (os, architecture) = (platform.os().to_string(), platform.architecture().to_string());
        // Every arm64 is a v8.
        let variant =
            platform.variant().clone().filter(|variant| (architecture.as_str(), variant.as_str()) != ("arm64", "v8"));
        Some(Platform { os, architecture, variant })
    }

    /// Of an image.
    pub fn of_image(configuration: &ImageConfiguration) -> Platform {
        let (os, architecture) = (configuration.os().to_string(), configuration.architecture().to_string());
        Platform { os, architecture, variant: None }
    }

    /// Whether it is this machine's. Some tools leave the words empty.
    pub fn is_ours(&self) -> bool {
        ["", "linux"].contains(&self.os.as_str()) && ["", architecture()].contains(&self.architecture.as_str())
    }

    /// Signatures and the like are entries for nothing.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// This machine's architecture, in Go's words.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A document. The library's own readers keep their reasons to themselves.
///
/// # Errors
///
/// What is wrong with it, and where, for people.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// What `bytes` are, which somebody calls `said`.
///
/// # Errors
///
/// What is wrong with them, for people.
pub fn kind(bytes: &[u8], said: &str) -> Result<Kind, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        media_type: Option<String>,
        manifests: Option<IgnoredAny>,
        config: Option<IgnoredAny>,
        layers: Option<IgnoredAny>,
        fs_layers: Option<IgnoredAny>,
    }
    let shape: Shape = serde_json::from_slice(bytes).map_err(|error| format!("is no manifest: {error}"))?;
    if shape.fs_layers.is_some() {
        return Err(
            "is a manifest of Docker's first form (schema 1), in which nothing vouches for the content".to_owned()
        );
    }
    let (kind, names) = match (shape.manifests.is_some(), shape.config.is_some() || shape.layers.is_some()) {
        (true, false) => (Kind::Index, [OCI_INDEX, DOCKER_INDEX]),
        (false, true) => (Kind::Manifest, [OCI_MANIFEST, DOCKER_MANIFEST]),
        (true, true) => return Err("is a manifest and an index at once".to_owned()),
        (false, false) => return Err("is neither a manifest nor an index".to_owned()),
    };
    for word in shape.media_type.iter().map(String::as_str).chain([said]).filter(|word| !word.is_empty()) {
        if !names.contains(&word) {
            return Err(format!("is called `{}`, which it is not", word.escape_debug()));
        }
    }
    Ok(kind)
}

/// A layer as its image describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What its blob has to be.
    pub blob: Expected,
    /// In what form the blob is.
    pub media_type: MediaType,
    /// What its archive has to be.
    pub diff_id: Digest,
}

/// The layers of an image, the lowest first.
///
/// # Errors
///
/// Why the image is none that can be had, for people.
pub fn layers(manifest: &ImageManifest, configuration: &ImageConfiguration) -> Result<Vec<Described>, String> {
    let diff_ids = diff_ids(configuration)?;
    if manifest.layers().len() != diff_ids.len() {
        let (blobs, archives) = (manifest.layers().len(), diff_ids.len());
        return Err(format!("the manifest has {blobs} layers and the configuration {archives}"));
    }
    let layer = |(descriptor, diff_id): (&Descriptor, Digest)| {
        let digest: Digest = descriptor.digest().to_string().parse()?;
        let media_type =
            layer_kind(descriptor.media_type().as_ref()).map_err(|why| format!("the layer {digest} {why}"))?;
        Ok(Described { blob: Expected { digest, size: descriptor.size() }, media_type, diff_id })
    };
    manifest.layers().iter().zip(diff_ids).map(layer).collect()
}

/// What the archives of an image's layers have to be.
///
/// # Errors
///
/// What is no digest, or too many of them, for people.
pub fn diff_ids(configuration: &ImageConfiguration) -> Result<Vec<Digest>, String> {
    let count = configuration.rootfs().diff_ids().len();
    if count == 0 || count > MOST_LAYERS {
        return Err(format!("the configuration has {count} layers, not 1 to {MOST_LAYERS}"));
    }
    let diff_ids = configuration.rootfs().diff_ids().iter().map(|word| word.parse());
    diff_ids.collect::<Result<_, String>>().map_err(|why| format!("`rootfs.diff_ids` of the configuration: {why}"))
}

/// Whether a manifest is one of an image, and not of something else that registries keep.
///
/// # Errors
///
/// What it is of, for people.
pub fn check_image(manifest: &ImageManifest) -> Result<(), String> {
    let kind = manifest.config().media_type().to_string();
    if [OCI_CONFIG, DOCKER_CONFIG].contains(&kind.as_str()) {
        return Ok(());
    }
    Err(format!("is an artifact with a configuration of `{}`, no image", kind.escape_debug()))
}

/// What a layer is in the words of the OCI specification, or why it is none that can be had.
fn layer_kind(said: &str) -> Result<MediaType, String> {
    const OCI: &str = "application/vnd.oci.image.layer.v1.tar";
    const DOCKER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    match said.strip_prefix(OCI).or_else(|| said.strip_prefix(DOCKER)) {
        Some("") => Ok(MediaType::ImageLayer),
        Some("+gzip" | ".gzip") => Ok(MediaType::ImageLayerGzip),
        Some("+zstd" | ".zstd") => Ok(MediaType::ImageLayerZstd),
        _ if said.ends_with("+encrypted") => Err("is encrypted".to_owned()),
        _ if said.contains(".nondistributable.") || said.contains(".foreign.") => {
            Err("is one that its maker does not let others pass on".to_owned())
        }
        _ => Err(format!("is of the form `{}`, which is not known here", said.escape_debug())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_what_its_content_says() {
        for (text, said, kind_or_why) in [
            (r#"{"config":{},"layers":[]}"#, OCI_MANIFEST, Ok(Kind::Manifest)),
            (r#"{"config":{},"layers":[]}"#, "", Ok(Kind::Manifest)),
            (r#"{"manifests":[]}"#, DOCKER_INDEX, Ok(Kind::Index)),
            (r#"{"manifests":[],"layers":[]}"#, OCI_INDEX, Err("is a manifest and an index at once")),
            (r#"{"manifests":[]}"#, OCI_MANIFEST, Err("which it is not")),
            (&format!(r#"{{"mediaType":"{OCI_INDEX}","config":{{}}}}"#), OCI_MANIFEST, Err("which it is not")),
            (r#"{"fsLayers":[]}"#, "", Err("in which nothing vouches for the content")),
            ("{}", "", Err("is neither a manifest nor an index")),
            ("[]", "", Err("is no manifest: ")),
        ] {
            match (kind(text.as_bytes(), said), kind_or_why) {
                (Err(why), Err(part)) => assert!(why.contains(part), "{text}: {why}"),
                (found, expected) => assert_eq!(found.ok(), expected.ok(), "{text}"),
            }
        }
    }

    #[test]
    fn layers_are_of_known_forms() {
        for (said, found) in [
            ("application/vnd.oci.image.layer.v1.tar", Some(MediaType::ImageLayer)),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Some(MediaType::ImageLayerZstd)),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Some(MediaType::ImageLayerGzip)),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", None),
            ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", None),
            ("application/vnd.oci.image.layer.v1.squashfs", None),
        ] {
            assert_eq!(layer_kind(said).ok(), found, "{said}");
        }
    }
}
