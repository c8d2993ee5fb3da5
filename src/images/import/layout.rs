//! OCI image layouts: from `index.json` to the images for this machine.
//!
//! Every step is by digest, so that only `index.json` itself has to be believed. Entries for other machines are passed
//! over, and so is what is no image; if nothing is left, that is an error which says what there is.

use super::super::digest::Digest;
use super::super::intake::Expected;
use super::super::manifest::{self, Described, FULL_NAME, Kind, LAYOUT_VERSION, Platform, SHORT_NAME};
use super::super::store::LARGEST_DOCUMENT;
use super::assemble::{Found, Part};
use super::names::{self, Wish};
use super::{Parts, wrong, wrong_entry};
use crate::error::Error;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Indexes that name indexes.
const DEEPEST: usize = 4;
/// Platforms that a message names.
const MOST_SHOWN: usize = 8;
/// Bytes of documents that are looked at, all together: an index can name another as often as it likes. Each counts for
/// something, however small it is.
const MOST_READ: u64 = 256 << 20;
const LEAST_READ: u64 = 16 << 10;

/// The images of a layout; `None`, where there is none.
pub fn images(parts: &mut dyn Parts<'_>, wish: &Wish<'_>) -> Result<Option<Vec<Found>>, Error> {
    let Some(bytes) = parts.document("index.json")? else { return Ok(None) };
    check_version(parts)?;
    manifest::kind(&bytes, "")
        .and_then(|kind| if kind == Kind::Index { Ok(()) } else { Err("is a manifest, not an index".to_owned()) })
        .map_err(|why| wrong_entry("index.json", why))?;
    let index: ImageIndex = manifest::parse(&bytes).map_err(|why| wrong_entry("index.json", why))?;
    let mut search = Search { parts, left: MOST_READ, others: Vec::new() };
    // By the order in which they first come; each image once, whatever number of names it has.
    let mut known: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut found: Vec<Option<Found>> = Vec::new();
    for entry in index.manifests() {
        let digest = Expected::of(entry)?.digest;
        let at = match known.get(&digest) {
            Some(at) => *at,
            None => {
                found.push(search.at_top(entry)?);
                known.insert(digest, found.len() - 1);
                found.len() - 1
            }
        };
        if let Some(image) = found.get_mut(at).and_then(Option::as_mut)
            && wish.name.is_none()
        {
            image.names.extend(name_of(entry, wish)?);
        }
    }
    let found: Vec<Found> = found.into_iter().flatten().collect();
    if found.is_empty() {
        return Err(nothing(&search.others));
    }
    Ok(Some(found))
}

/// That there is no image, and what there is instead.
pub fn nothing(others: &[Platform]) -> Error {
    let mut others: Vec<String> = others.iter().filter(|other| !other.is_unknown()).map(Platform::to_string).collect();
    others.sort();
    others.dedup();
    others.truncate(MOST_SHOWN);
    let there = if others.is_empty() { String::new() } else { format!("; there are some for {}", others.join(", ")) };
    wrong(format!("it holds no image for linux/{}{}", manifest::architecture(), there.escape_debug()))
}

fn check_version(parts: &mut dyn Parts<'_>) -> Result<(), Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Layout {
        image_layout_version: String,
    }
    // Old programs left it out.
    let Some(bytes) = parts.document("oci-layout")? else { return Ok(()) };
    let layout: Layout = serde_json::from_slice(&bytes).map_err(|error| wrong_entry("oci-layout", error))?;
    if layout.image_layout_version != LAYOUT_VERSION {
        let version = layout.image_layout_version.escape_debug();
        return Err(wrong_entry("oci-layout", format!("is of version {version}, known is {LAYOUT_VERSION}")));
    }
    Ok(())
}

fn name_of(entry: &Descriptor, wish: &Wish<'_>) -> Result<Option<super::Reference>, Error> {
    let annotation =
        |key: &str| entry.annotations().as_ref()?.get(key).map(String::as_str).filter(|word| !word.is_empty());
    names::annotated(annotation(FULL_NAME), annotation(SHORT_NAME), wish)
}

/// The name of a blob's entry.
fn entry_of(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

struct Search<'p, 's> {
    parts: &'p mut dyn Parts<'s>,
    /// Bytes of documents that may still be read.
    left: u64,
    /// What was passed over.
    others: Vec<Platform>,
}

impl Search<'_, '_> {
    fn at_top(&mut self, entry: &Descriptor) -> Result<Option<Found>, Error> {
        match Platform::of(entry) {
            Some(platform) if !platform.is_ours() => {
                self.others.push(platform);
                Ok(None)
            }
            _ => self.follow(entry, 0),
        }
    }

    /// The image that an entry leads to, if it is for this machine.
    fn follow(&mut self, entry: &Descriptor, depth: usize) -> Result<Option<Found>, Error> {
        let name = entry_of(&Expected::of(entry)?.digest);
        if depth == DEEPEST {
            return Err(wrong_entry(&name, format!("lies in {DEEPEST} indexes, each in another")));
        }
        let bytes = self.read(entry)?;
        let kind = manifest::kind(&bytes, entry.media_type().as_ref()).map_err(|why| wrong_entry(&name, why))?;
        match kind {
            Kind::Manifest => self.image(&name, bytes),
            Kind::Index => {
                let index: ImageIndex = manifest::parse(&bytes).map_err(|why| wrong_entry(&name, why))?;
                self.choose(&index, depth)
            }
        }
    }

    /// The entry for this machine; where entries do not say what they are for, the first that turns out to be.
    fn choose(&mut self, index: &ImageIndex, depth: usize) -> Result<Option<Found>, Error> {
        let mut ours = Vec::new();
        for entry in index.manifests() {
            match Platform::of(entry) {
                Some(platform) if platform.is_ours() => ours.push((platform.variant, entry)),
                Some(platform) => self.others.push(platform),
                None => {}
            }
        }
        // The lowest variant runs wherever a higher one does; none is lower still.
        if let Some((_, entry)) = ours.into_iter().min_by(|(one, _), (other, _)| one.cmp(other)) {
            return self.follow(entry, depth + 1);
        }
        for entry in index.manifests().iter().filter(|entry| entry.platform().is_none()) {
            if let Some(found) = self.follow(entry, depth + 1)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn image(&mut self, name: &str, bytes: Vec<u8>) -> Result<Option<Found>, Error> {
        let manifest: ImageManifest = manifest::parse(&bytes).map_err(|why| wrong_entry(name, why))?;
        if manifest::check_image(&manifest).is_err() {
            return Ok(None);
        }
        let config = self.read(manifest.config())?;
        let of_config = entry_of(&Expected::of(manifest.config())?.digest);
        let read: ImageConfiguration = manifest::parse(&config).map_err(|why| wrong_entry(&of_config, why))?;
        let platform = Platform::of_image(&read);
        if !platform.is_ours() {
            self.others.push(platform);
            return Ok(None);
        }
        let layers = manifest::layers(&manifest, &read).map_err(|why| wrong_entry(name, why))?;
        let part = |layer: Described| Part {
            entry: entry_of(&layer.blob.digest),
            expected: Some((layer.blob, layer.media_type)),
            diff_id: layer.diff_id,
        };
        let layers = layers.into_iter().map(part).collect();
        Ok(Some(Found { manifest: Some(bytes), config, layers, names: Vec::new() }))
    }

    /// A document that is what its descriptor says.
    fn read(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        let expected = Expected::of(descriptor)?;
        let name = entry_of(&expected.digest);
        if expected.size > LARGEST_DOCUMENT {
            return Err(wrong_entry(
                &name,
                format!("is a document of {} bytes; the largest may have {LARGEST_DOCUMENT}", expected.size),
            ));
        }
        let Some(left) = self.left.checked_sub(expected.size.max(LEAST_READ)) else {
            return Err(wrong("its index names too many manifests and configurations"));
        };
        self.left = left;
        let bytes = self.parts.document(&name)?.ok_or_else(|| wrong_entry(&name, "is missing"))?;
        if bytes.len() as u64 != expected.size {
            return Err(wrong_entry(&name, format!("has {} bytes, {} were announced", bytes.len(), expected.size)));
        }
        let digest = Digest::of(&bytes);
        if digest != expected.digest {
            return Err(wrong_entry(&name, format!("its content is {digest}")));
        }
        Ok(bytes)
    }
}
