//! Manifests: from a name to the one image that is wanted, every step by digest.
//!
//! What a document is says its own content, and whoever sends it may not say otherwise: one that can be read as two
//! things is refused, because another tool would read the other one (CVE-2021-41190).

use super::auth::Session;
use super::trouble::{Patience, limited, wrong};
use super::url::Uri;
use crate::error::Error;
use crate::images::digest::Digest;
use crate::images::intake::Expected;
use crate::images::progress::Progress;
use crate::images::reference::Reference;
use crate::images::store::LARGEST_DOCUMENT;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fmt;
use std::str::FromStr;
use ureq::http::StatusCode;

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's first form: `…manifest.v1+json`, `…manifest.v1+prettyjws`.
const DOCKER_OLD: &str = "application/vnd.docker.distribution.manifest.v1+";
const CONFIGURATIONS: &[&str] =
    &["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
/// Indexes that name indexes.
const DEEPEST: usize = 3;

/// What an image is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// In Go's words: `amd64`.
    pub architecture: String,
    /// `v2`; `None`: whatever runs on the most machines of the architecture.
    pub variant: Option<String>,
}

impl Default for Platform {
    fn default() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Platform::new("linux", architecture, None)
    }
}

impl Platform {
    fn new(os: &str, architecture: &str, variant: Option<&str>) -> Platform {
        // Every arm64 is a v8, said or not.
        let variant = variant.filter(|variant| (architecture, *variant) != ("arm64", "v8"));
        Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant: variant.map(str::to_owned) }
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(word: &str) -> Result<Platform, String> {
        let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let parts: Vec<&str> = word.split('/').collect();
        match parts.as_slice() {
            [os, architecture, variant @ ..] if variant.len() < 2 && parts.iter().all(is_word) => {
                Ok(Platform::new(os, architecture, variant.first().copied()))
            }
            _ => Err(format!("`{}` is not `OS/ARCHITECTURE` or `OS/ARCHITECTURE/VARIANT`", word.escape_debug())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// An image as its manifest has it.
pub struct Found {
    /// The manifest as it came.
    pub bytes: Vec<u8>,
    /// Its digest.
    pub digest: Digest,
    /// The configuration.
    pub config: Expected,
    /// The layers, the lowest first.
    pub layers: Vec<(Expected, MediaType)>,
    /// Bytes that came until it was found.
    pub fetched: u64,
    /// Where it was found.
    pub url: Uri,
}

enum Kind {
    Manifest,
    Index,
}

/// Parts that tell a manifest from an index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

/// The image that `reference` names.
///
/// # Errors
///
/// `Invalid`, where there is none for the platform, or one that we cannot have; `Host`, where the network is in the way.
pub fn find(
    session: &Session<'_>,
    reference: &Reference,
    platform: &Platform,
    progress: &dyn Progress,
) -> Result<Found, Error> {
    let mut word = reference.digest.map_or_else(|| reference.tag.clone(), |digest| digest.to_string());
    let (mut digest, mut size, mut fetched) = (reference.digest, None, 0);
    for _ in 0..DEEPEST {
        let url = session.url(&format!("manifests/{word}"))?;
        let (bytes, found, kind) = Patience::persist(progress, || document(session, &url, digest.as_ref(), size))?;
        fetched += bytes.len() as u64;
        match kind {
            Kind::Manifest => {
                let manifest = ImageManifest::from_reader(bytes.as_slice());
                let manifest = manifest.map_err(|error| wrong(&url, &limited(&format!("manifest: {error}")), None))?;
                let (config, layers) = parts(&url, &manifest)?;
                return Ok(Found { bytes, digest: found, config, layers, fetched, url });
            }
            Kind::Index => {
                let index = ImageIndex::from_reader(bytes.as_slice());
                let index = index.map_err(|error| wrong(&url, &limited(&format!("index: {error}")), None))?;
                let expected = Expected::of(choose(&url, index.manifests(), platform)?)?;
                (word, digest, size) = (expected.digest.to_string(), Some(expected.digest), Some(expected.size));
            }
        }
    }
    Err(wrong(&session.url(&format!("manifests/{word}"))?, "an index in an index in an index", None))
}

type Document = (Vec<u8>, Digest, Kind);

/// A manifest or an index, checked against all that is known of it.
fn document(
    session: &Session<'_>,
    url: &Uri,
    digest: Option<&Digest>,
    size: Option<u64>,
) -> Result<Document, super::trouble::Failed> {
    let accept = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].join(", ");
    let answer = session.get(url, &accept, 0)?;
    if answer.status != StatusCode::OK {
        return Err(answer.refusal());
    }
    let said =
        answer.header("Content-Type").unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
    let announced = answer.header("Docker-Content-Digest").and_then(|digest| digest.parse::<Digest>().ok());
    let bytes = answer.read(LARGEST_DOCUMENT)?;
    let found = Digest::of(&bytes);
    if let Some(expected) = digest.or(announced.as_ref()).filter(|expected| **expected != found) {
        return Err(wrong(url, &format!("what came is {found}, not {expected}"), None).into());
    }
    if let Some(size) = size.filter(|size| *size != bytes.len() as u64) {
        return Err(wrong(url, &format!("{} bytes came, {size} were announced", bytes.len()), None).into());
    }
    let kind = kind(&bytes, &said).map_err(|(why, hint)| wrong(url, &why, hint))?;
    Ok((bytes, found, kind))
}

/// What a document is.
fn kind(bytes: &[u8], said: &str) -> Result<Kind, (String, Option<&'static str>)> {
    let old = || {
        let why = "Docker's first form of a manifest (schema 1), in which nothing vouches for its content".to_owned();
        (why, Some("push the image again with a current tool"))
    };
    let plain = |why: String| (why, None);
    if said.starts_with(DOCKER_OLD) {
        return Err(old());
    }
    let shape: Shape =
        serde_json::from_slice(bytes).map_err(|error| plain(limited(&format!("no manifest: {error}"))))?;
    if shape.schema_version == Some(1) || shape.fs_layers.is_some() {
        return Err(old());
    }
    let kind = match (shape.manifests.is_some(), shape.config.is_some() || shape.layers.is_some()) {
        (true, false) => Kind::Index,
        (false, true) => Kind::Manifest,
        (true, true) => return Err(plain("a manifest and an index at once".to_owned())),
        (false, false) => {
            let named = shape.media_type.as_deref().unwrap_or(said);
            return Err(plain(format!("`{}`, no image", limited(named))));
        }
    };
    for named in shape.media_type.as_deref().into_iter().chain([said]) {
        let contradicts = match kind {
            Kind::Manifest => [OCI_INDEX, DOCKER_LIST].contains(&named),
            Kind::Index => [OCI_MANIFEST, DOCKER_MANIFEST].contains(&named),
        };
        if contradicts {
            return Err(plain(format!("it is called `{named}` and is none")));
        }
    }
    Ok(kind)
}

/// The entry of an index for the platform.
fn choose<'a>(url: &Uri, entries: &'a [Descriptor], platform: &Platform) -> Result<&'a Descriptor, Error> {
    let of = |entry: &Descriptor| {
        let known = entry.platform().as_ref()?;
        Some(Platform::new(&known.os().to_string(), &known.architecture().to_string(), known.variant().as_deref()))
    };
    let fits = |found: &Platform| {
        found.os == platform.os
            && found.architecture == platform.architecture
            && (platform.variant.is_none() || found.variant == platform.variant)
    };
    let fitting = entries.iter().filter_map(|entry| Some((of(entry).filter(fits)?, entry)));
    // The lowest variant runs wherever a higher one does; none is lower still.
    if let Some((_, entry)) = fitting.min_by(|(a, _), (b, _)| a.variant.cmp(&b.variant)) {
        return Ok(entry);
    }
    // Signatures and the like are entries for nothing.
    let mut there: Vec<String> = entries.iter().filter_map(of).map(|found| found.to_string()).collect();
    there.retain(|found| !found.starts_with("unknown/"));
    there.sort();
    there.dedup();
    let there = if there.is_empty() { "none".to_owned() } else { limited(&there.join(", ")) };
    Err(wrong(url, &format!("there is no image for {platform} in it; there are: {there}"), None))
}

/// Configuration and layers, each of a kind that we can have.
fn parts(url: &Uri, manifest: &ImageManifest) -> Result<(Expected, Vec<(Expected, MediaType)>), Error> {
    let kind = manifest.config().media_type().to_string();
    if !CONFIGURATIONS.contains(&kind.as_str()) {
        let why = format!("an artifact with a configuration of `{}`, no image", limited(&kind));
        return Err(wrong(url, &why, None));
    }
    let layer = |(at, layer): (usize, &Descriptor)| {
        let named = layer.media_type().to_string();
        let media_type = layer_type(&named).map_err(|(why, hint)| {
            let why = format!("layer {} of {} is `{}`: {why}", at + 1, manifest.layers().len(), limited(&named));
            wrong(url, &why, hint)
        })?;
        Ok((Expected::of(layer)?, media_type))
    };
    let layers = manifest.layers().iter().enumerate().map(layer).collect::<Result<_, Error>>()?;
    Ok((Expected::of(manifest.config())?, layers))
}

/// What a layer is in the words of the OCI specification, or why it is none for us.
fn layer_type(named: &str) -> Result<MediaType, (&'static str, Option<&'static str>)> {
    const DOCKER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    const OCI: &str = "application/vnd.oci.image.layer.v1.tar";
    let form = named.strip_prefix(OCI).or_else(|| named.strip_prefix(DOCKER));
    match form {
        Some("") => Ok(MediaType::ImageLayer),
        Some("+gzip" | ".gzip") => Ok(MediaType::ImageLayerGzip),
        Some("+zstd" | ".zstd") => Ok(MediaType::ImageLayerZstd),
        _ if named.ends_with("+encrypted") => {
            Err(("encrypted", Some("decrypt the image where its key is, and push it to a registry of yours")))
        }
        _ if named.contains(".nondistributable.") || named.contains(".foreign.") => {
            Err(("kept by its maker and not in the registry", Some("pull an image without such layers")))
        }
        _ => Err(("no form of a layer that we know", None)),
    }
}

/// How many layers the configuration knows, and that it is of the platform.
///
/// # Errors
///
/// `Invalid`, where it is not.
pub fn check(found: &Found, configuration: &ImageConfiguration, platform: &Platform) -> Result<Vec<Digest>, Error> {
    let (os, architecture) = (configuration.os().to_string(), configuration.architecture().to_string());
    // Some tools leave it out of images that stand alone.
    let differs = |said: &str, wanted: &str| !said.is_empty() && said != wanted;
    if differs(&os, &platform.os) || differs(&architecture, &platform.architecture) {
        let why = format!("an image for {}/{}, not for {platform}", limited(&os), limited(&architecture));
        return Err(wrong(&found.url, &why, None));
    }
    let diff_ids: Result<Vec<Digest>, String> =
        configuration.rootfs().diff_ids().iter().map(|diff_id| diff_id.parse()).collect();
    let diff_ids = diff_ids.map_err(|why| wrong(&found.url, &format!("configuration: {why}"), None))?;
    if diff_ids.len() != found.layers.len() {
        let why = format!("{} layers in the manifest, {} in the configuration", found.layers.len(), diff_ids.len());
        return Err(wrong(&found.url, &why, None));
    }
    Ok(diff_ids)
}

#[cfg(test)]
mod tests;
