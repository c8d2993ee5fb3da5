//! Archives of `docker save`: from `manifest.json` to the images for this machine.
//!
//! There is no manifest of an image in them and nothing is called by its digest, but the configuration vouches for the
//! layers. The manifest is made here, from nothing but configuration and layers, so that the same archive gives the same
//! image everywhere.

use super::super::digest::Digest;
use super::super::intake::Layer;
use super::super::manifest::{self, OCI_CONFIG, OCI_MANIFEST, Platform};
use super::super::reference::Reference;
use super::assemble::{Found, Part};
use super::names::{self, Wish};
use super::{Parts, layout, wrong_entry};
use crate::error::{Error, Problem};
use oci_spec::image::ImageConfiguration;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// What Docker calls an image without a name.
const NO_NAME: &str = "<none>:<none>";
const LIST: &str = "manifest.json";

/// An image, as the list in the archive has it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// The images of an archive; `None`, where it is none of these.
pub fn images(parts: &mut dyn Parts<'_>, wish: &Wish<'_>) -> Result<Option<Vec<Found>>, Error> {
    let Some(items) = list(parts)? else { return Ok(None) };
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for item in items {
        let config = parts.document(&item.config)?.ok_or_else(|| wrong_entry(&item.config, "is missing"))?;
        let digest = Digest::of(&config);
        if hex_of(&item.config).is_some_and(|named| named != digest) {
            return Err(wrong_entry(&item.config, format!("its content is {digest}")));
        }
        let read: ImageConfiguration = manifest::parse(&config).map_err(|why| wrong_entry(&item.config, why))?;
        let platform = Platform::of_image(&read);
        if !platform.is_ours() {
            others.push(platform);
            continue;
        }
        let diff_ids = manifest::diff_ids(&read).map_err(|why| wrong_entry(&item.config, why))?;
        let files = item.layers.unwrap_or_default();
        if files.len() != diff_ids.len() {
            let why = format!("has {} layers for an image whose configuration has {}", files.len(), diff_ids.len());
            return Err(wrong_entry(LIST, why));
        }
        let layers = files.into_iter().zip(diff_ids);
        let layers = layers.map(|(entry, diff_id)| Part { entry, expected: None, diff_id }).collect();
        let names = if wish.name.is_some() { Vec::new() } else { tags(item.repo_tags)? };
        // The same image under another name.
        match found.iter_mut().find(|known: &&mut Found| known.config == config) {
            Some(known) => known.names.extend(names),
            None => found.push(Found { manifest: None, config, layers, names }),
        }
    }
    if found.is_empty() {
        return Err(layout::nothing(&others));
    }
    Ok(Some(found))
}

/// Names by the configurations of images that an OCI layout has too: newer Docker writes both. Those here are as people
/// know them, while the layout's have Docker Hub before them.
pub fn familiar(parts: &mut dyn Parts<'_>) -> Result<BTreeMap<Digest, Vec<Reference>>, Error> {
    let mut known: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
    for item in list(parts)?.unwrap_or_default() {
        if let Some(digest) = hex_of(&item.config) {
            known.entry(digest).or_default().extend(tags(item.repo_tags)?);
        }
    }
    known.retain(|_, names| !names.is_empty());
    Ok(known)
}

/// The manifest of an image that has come without one.
pub fn manifest(config: &[u8], layers: &[Layer]) -> Vec<u8> {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| json!({ "mediaType": layer.media_type.to_string(), "digest": layer.blob, "size": layer.size }))
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": OCI_CONFIG,
            "digest": Digest::of(config),
            "size": config.len(),
        },
        "layers": layers,
    });
    manifest.to_string().into_bytes()
}

fn list(parts: &mut dyn Parts<'_>) -> Result<Option<Vec<Item>>, Error> {
    let Some(bytes) = parts.document(LIST)? else { return Ok(None) };
    if bytes.trim_ascii_start().starts_with(b"{") {
        let problem =
            Problem::new("archive", format!("entry `{LIST}`: is the manifest of one image, as skopeo's `dir:` has it"));
        return Err(Error::invalid(vec![problem.hint("`skopeo copy dir:DIR oci:OTHER` makes a layout of it")]));
    }
    manifest::parse(&bytes).map(Some).map_err(|why| wrong_entry(LIST, why))
}

fn tags(words: Option<Vec<String>>) -> Result<Vec<Reference>, Error> {
    words.unwrap_or_default().iter().filter(|word| *word != NO_NAME).map(|word| names::parse(word)).collect()
}

/// The digest that a configuration's entry is called by: `HEX.json`, `blobs/sha256/HEX`, `sha256:HEX`.
fn hex_of(name: &str) -> Option<Digest> {
    let last = name.rsplit(['/', ':']).next()?;
    Digest::from_hex(last.strip_suffix(".json").unwrap_or(last))
}
