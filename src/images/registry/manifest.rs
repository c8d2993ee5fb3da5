//! From a name to the one image that is wanted, every step by digest.
//!
//! What documents say is read by [`crate::images::manifest`]; here is whether to believe them, and which of an index's
//! images to take.

use super::auth::Session;
use super::trouble::{Failed, Patience, limited, wrong};
use super::url::Uri;
use crate::error::Error;
use crate::images::digest::Digest;
use crate::images::intake::Expected;
use crate::images::manifest::{self, Described, Kind, Platform};
use crate::images::reference::Reference;
use crate::images::store::LARGEST_DOCUMENT;
use crate::trees::progress::Progress;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};
use ureq::http::StatusCode;

/// What we understand.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// The cure for all that we do not.
const PUSH: &str = "push the image again with a current tool, its layers with it and none encrypted";
/// Indexes that name indexes.
const DEEPEST: usize = 3;

/// An image as its manifest has it.
pub struct Found {
    /// The manifest as it came.
    pub bytes: Vec<u8>,
    /// The configuration.
    pub config: Expected,
    /// Bytes that came until it was found.
    pub fetched: u64,
    /// Where it was found.
    pub url: Uri,
    manifest: ImageManifest,
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
    let mut url = session.url(&format!("manifests/{word}"))?;
    for _ in 0..DEEPEST {
        let (bytes, kind) = Patience::persist(progress, || document(session, &url, digest.as_ref(), size))?;
        fetched += bytes.len() as u64;
        let unread = |error| wrong(&url, &limited(&format!("is not to be read: {error}")), None);
        match kind {
            Kind::Manifest => {
                let manifest = ImageManifest::from_reader(bytes.as_slice()).map_err(unread)?;
                manifest::check_image(&manifest).map_err(|why| wrong(&url, &limited(&why), None))?;
                let config = Expected::of(manifest.config())?;
                return Ok(Found { bytes, config, fetched, url, manifest });
            }
            Kind::Index => {
                let index = ImageIndex::from_reader(bytes.as_slice()).map_err(unread)?;
                let expected = Expected::of(choose(&url, index.manifests(), platform)?)?;
                (word, digest, size) = (expected.digest.to_string(), Some(expected.digest), Some(expected.size));
                url = session.url(&format!("manifests/{word}"))?;
            }
        }
    }
    Err(wrong(&url, "is an index in an index in an index", None))
}

/// A manifest or an index, compared with all that is known of it.
fn document(
    session: &Session<'_>,
    url: &Uri,
    digest: Option<&Digest>,
    size: Option<u64>,
) -> Result<(Vec<u8>, Kind), Failed> {
    let answer = session.get(url, ACCEPT, 0)?;
    if answer.status != StatusCode::OK {
        return Err(answer.refusal());
    }
    let said = answer.header("Content-Type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    // Servers of files say `application/json` and the like, which says nothing.
    let said = if said.starts_with("application/vnd.") { said.to_owned() } else { String::new() };
    let announced = answer.header("Docker-Content-Digest").and_then(|digest| digest.parse::<Digest>().ok());
    let bytes = answer.read(LARGEST_DOCUMENT)?;
    let found = Digest::of(&bytes);
    if let Some(expected) = digest.or(announced.as_ref()).filter(|expected| **expected != found) {
        return Err(wrong(url, &format!("what came is {found}, not {expected}"), None).into());
    }
    if let Some(size) = size.filter(|size| *size != bytes.len() as u64) {
        return Err(wrong(url, &format!("{} bytes came, {size} were announced", bytes.len()), None).into());
    }
    let kind = manifest::kind(&bytes, &said).map_err(|why| wrong(url, &limited(&why), Some(PUSH)))?;
    Ok((bytes, kind))
}

/// The entry of an index for the platform.
fn choose<'a>(url: &Uri, entries: &'a [Descriptor], platform: &Platform) -> Result<&'a Descriptor, Error> {
    let fits = |found: &Platform| {
        found.os == platform.os
            && found.architecture == platform.architecture
            && (platform.variant.is_none() || found.variant == platform.variant)
    };
    let fitting = entries.iter().filter_map(|entry| Some((Platform::of(entry).filter(fits)?, entry)));
    // The lowest variant runs wherever a higher one does; none is lower still.
    if let Some((_, entry)) = fitting.min_by(|(a, _), (b, _)| a.cmp(b)) {
        return Ok(entry);
    }
    let known = entries.iter().filter_map(Platform::of).filter(|found| !found.is_unknown());
    let mut there: Vec<String> = known.map(|found| found.to_string()).collect();
    there.sort();
    there.dedup();
    let there = if there.is_empty() { "none".to_owned() } else { limited(&there.join(", ")) };
    Err(wrong(url, &format!("there is no image for {platform} in it; there are: {there}"), None))
}

impl Found {
    /// The layers, the lowest first.
    ///
    /// # Errors
    ///
    /// `Invalid`, where the image is for another platform, or has layers that we cannot have.
    pub fn layers(&self, configuration: &ImageConfiguration, platform: &Platform) -> Result<Vec<Described>, Error> {
        let of = Platform::of_image(configuration);
        // Some tools leave the words empty.
        let differs = |said: &str, wanted: &str| !said.is_empty() && said != wanted;
        if differs(&of.os, &platform.os) || differs(&of.architecture, &platform.architecture) {
            let why = format!("is an image for {}, not for {platform}", limited(&of.to_string()));
            return Err(wrong(&self.url, &why, None));
        }
        manifest::layers(&self.manifest, configuration).map_err(|why| wrong(&self.url, &limited(&why), Some(PUSH)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn platform(word: &str) -> Platform {
        let words: Vec<String> = word.split('/').map(str::to_owned).collect();
        Platform { os: words[0].clone(), architecture: words[1].clone(), variant: words.get(2).cloned() }
    }

    #[test]
    fn of_an_index_the_image_is_taken_that_runs_on_the_most_machines_of_the_platform() {
        let url: Uri = "https://a.io/v2/x/manifests/1".parse().unwrap();
        let entry = |word: &str, size: u64| -> Descriptor {
            let of = platform(word);
            let mut value = json!({"os": of.os, "architecture": of.architecture});
            if let Some(variant) = of.variant {
                value["variant"] = json!(variant);
            }
            let kind = "application/vnd.oci.image.manifest.v1+json";
            serde_json::from_value(json!({"mediaType": kind, "digest": D, "size": size, "platform": value})).unwrap()
        };
        let bare = json!({"mediaType": "x/y", "digest": D, "size": 9});
        let mut entries = vec![serde_json::from_value(bare).unwrap()];
        for (size, word) in [
            "linux/arm/v6",
            "linux/arm/v7",
            "linux/arm64/v8",
            "linux/amd64/v2",
            "linux/amd64/v3",
            "windows/amd64",
            "unknown/unknown",
        ]
        .into_iter()
        .enumerate()
        {
            entries.push(entry(word, size as u64));
        }
        for (word, size) in
            [("linux/arm", 0), ("linux/arm64", 2), ("linux/amd64", 3), ("linux/amd64/v3", 4), ("windows/amd64", 5)]
        {
            assert_eq!(choose(&url, &entries, &platform(word)).map(Descriptor::size), Ok(size), "{word}");
        }
        let error = choose(&url, &entries, &platform("linux/s390x")).unwrap_err().to_string();
        let there = "linux/amd64/v2, linux/amd64/v3, linux/arm/v6, linux/arm/v7, linux/arm64, windows/amd64";
        let whole =
            format!("`https://a.io/v2/x/manifests/1`: there is no image for linux/s390x in it; there are: {there}");
        assert_eq!(error, format!("image: {whole}"));
        entries.push(entry("linux/amd64", 7));
        assert_eq!(choose(&url, &entries, &platform("linux/amd64")).map(Descriptor::size), Ok(7));
        assert!(choose(&url, &[], &platform("linux/amd64")).unwrap_err().to_string().ends_with("there are: none"));
    }
}
