//! `image tag`, `rm` and `gc`.

use super::new_name;
use crate::error::{Error, Problem};
use crate::images::garbage;
use crate::images::reference::shortened;
use crate::images::store::{Named, short};
use crate::images::{Digest, Reference, Store};
use crate::sandbox;
use crate::verbs::faults::{all, both};
use crate::verbs::text::size;
use crate::verbs::words::{Text, some};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};

/// `belljar image tag`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tag {
    /// The image
    #[arg(value_name = "NAME")]
    name: Text,
    /// Another name for it
    #[arg(value_name = "NEW")]
    new: Text,
}

/// An image with another name.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ImageTagged"))]
pub struct Tagged {
    /// Of its manifest.
    digest: Digest,
    /// The name that it has now too, with its tag.
    name: String,
}

impl Verb for Tag {
    type Told = Tagged;

    fn run(self, site: &Site<'_>) -> Result<Tagged, Error> {
        let found = site.store().and_then(|store| Ok((store.lease(&self.name)?, store)));
        let (new, (lease, store)) =
            both(new_name(&self.new).map_err(|error| error.rename_field("name", "new")), found)?;
        let digest = lease.record.manifest;
        store.name(&new, &digest)?;
        Ok(Tagged { digest, name: new.name() })
    }
}

impl Told for Tagged {
    fn people(&self) -> String {
        String::new()
    }
}

/// `belljar image rm`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rm {
    /// Names, or digests for all names of an image
    #[arg(value_name = "NAME", required = true)]
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrSome<Text>"))]
    name: Vec<Text>,
}

/// What was removed because nobody needs it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ImagesFreed"))]
pub struct Freed {
    /// On the disk.
    bytes: u64,
    /// Images.
    images: Vec<Digest>,
    /// How many trees of layers.
    layers: usize,
    /// How many blobs, whole and partial.
    blobs: usize,
    /// Images without a name that a sandbox still uses.
    in_use: Vec<Digest>,
}

impl Freed {
    fn of(garbage::Removed { images, layers, blobs, bytes, in_use }: garbage::Removed) -> Freed {
        Freed { bytes, images, layers, blobs, in_use }
    }
}

/// The same as part of a result.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ImagesCollected"))]
pub struct Collected {
    /// Of this object; 1.
    version: u32,
    #[serde(flatten)]
    freed: Freed,
}

/// Names that are gone.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ImagesRemoved"))]
pub struct Removed {
    /// With their tags, in the order in which they were asked for.
    names: Vec<String>,
    /// What was removed with them; null where others add to the store, and it is for `image gc` to remove.
    removed: Option<Collected>,
}

impl Verb for Rm {
    type Told = Removed;

    /// All are looked up before the first goes.
    fn run(self, site: &Site<'_>) -> Result<Removed, Error> {
        let store = site.store()?;
        let known = store.names()?;
        let going = all(self.name.iter().map(|word| going_by(&store, &known, word)))?.concat();
        for name in &going {
            store.unname(name)?;
        }
        sandbox::end_nameless(&site.sandboxes()?, &store)?;
        let removed = store.collect(false)?.map(|removed| Collected { version: 1, freed: Freed::of(removed) });
        Ok(Removed { names: going.iter().map(Reference::name).collect(), removed })
    }
}

/// The names that `word` means: itself, or all of the image by a digest.
fn going_by(store: &Store, known: &[Named], word: &str) -> Result<Vec<Reference>, Error> {
    if let Ok(reference) = Reference::parse(word)
        && reference.digest.is_none()
        && store.named(&reference)?.is_some()
    {
        return Ok(vec![reference]);
    }
    let manifest = store.lease(word)?.record.manifest;
    let names: Vec<Reference> =
        known.iter().filter(|named| named.manifest == manifest).map(|named| named.reference.clone()).collect();
    // A name that somebody else's registry gives is not removed by a shorter one that only finds it.
    match names.as_slice() {
        [_] | [] => Ok(names),
        _ if manifest.to_string() == word || manifest.hex().starts_with(word) => Ok(names),
        several => {
            let shown: Vec<String> = several.iter().map(|name| format!("`{}`", short(name))).collect();
            let problem =
                Problem::new("name", format!("`{}` has several names: {}", word.escape_debug(), shown.join(", ")));
            Err(Error::invalid(vec![problem.hint("name the one to remove, or the image by its digest")]))
        }
    }
}

impl Told for Removed {
    fn people(&self) -> String {
        let mut text: String =
            self.names.iter().map(|name| format!("removed the name {}\n", shortened(name))).collect();
        match &self.removed {
            Some(removed) => text.push_str(&removed.freed.people()),
            None => {
                text.push_str("others are adding to the store now: `belljar image gc` frees the space afterwards\n")
            }
        }
        text
    }
}

/// `belljar image gc`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gc {}

impl Verb for Gc {
    type Told = Freed;

    fn run(self, site: &Site<'_>) -> Result<Freed, Error> {
        let store = site.store()?;
        sandbox::end_nameless(&site.sandboxes()?, &store)?;
        if let Some(removed) = store.collect(false)? {
            return Ok(Freed::of(removed));
        }
        (site.say)("waiting for other processes that are adding to the store");
        Ok(Freed::of(store.collect(true)?.unwrap_or_default()))
    }
}

impl Told for Freed {
    fn people(&self) -> String {
        let waits = |image: &Digest| {
            format!("{} is in use: it goes with the next `belljar image gc` after that\n", image.short())
        };
        let mut text: String = self.in_use.iter().map(waits).collect();
        let (freed, images) = (size(self.bytes), self.images.len());
        text.push_str(&format!("freed {freed}: {images} images, {} layers, {} blobs\n", self.layers, self.blobs));
        text
    }
}
