//! `image ls`, `inspect` and `verify`. Nothing is changed.

use crate::error::{Error, Problem};
use crate::images::reference::shortened;
use crate::images::store::damaged;
use crate::images::verify::{self, Fault};
use crate::images::{Digest, Reference};
use crate::name::Name;
use crate::verbs::text::{heading, size, table};
use crate::verbs::words::Text;
use crate::verbs::{Object, Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// `belljar image ls`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ls {
    /// Show digests in full
    #[arg(long)]
    #[serde(default)]
    digests: bool,
}

/// An image.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "OneImage"))]
pub struct One {
    /// Of its manifest.
    digest: Digest,
    /// Its names, with their tags.
    names: Vec<String>,
    /// Bytes of the files of all layers.
    bytes: u64,
    /// How many layers it has.
    layers: usize,
    /// When it was made, as its makers say it (RFC 3339); null where they do not.
    created: Option<String>,
}

/// The images that there are.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Images"))]
pub struct All {
    /// By their digests.
    images: Vec<One>,
    /// Whether people see whole digests.
    #[serde(skip)]
    in_full: bool,
}

impl Verb for Ls {
    type Told = All;

    fn run(self, site: &Site<'_>) -> Result<All, Error> {
        let store = site.store()?;
        let mut names: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
        for named in store.names()? {
            names.entry(named.manifest).or_default().push(named.reference);
        }
        let mut images = Vec::new();
        for digest in store.manifests()? {
            let Some(record) = store.record(&digest)? else { continue };
            let names = names.remove(&digest).unwrap_or_default().iter().map(Reference::name).collect();
            let (bytes, layers, created) = (record.bytes, record.layers.len(), record.created);
            images.push(One { digest, names, bytes, layers, created });
        }
        Ok(All { images, in_full: self.digests })
    }
}

impl Told for All {
    /// A line for each name, and for each image without one.
    fn people(&self) -> String {
        if self.images.is_empty() {
            return "no images yet; add one with `belljar image build`, `import`, `load` or `pull`\n".to_owned();
        }
        let mut rows = Vec::new();
        for image in &self.images {
            let digest = if self.in_full { image.digest.to_string() } else { image.digest.short() };
            let created = image.created.as_deref().map_or("", |created| created.get(..10).unwrap_or(created));
            let mut names: Vec<&str> = image.names.iter().map(|name| shortened(name)).collect();
            if names.is_empty() {
                names.push("<none>");
            }
            let row = |name: &str| vec![name.to_owned(), digest.clone(), size(image.bytes), created.to_owned()];
            rows.extend(names.into_iter().map(row));
        }
        rows.sort();
        rows.insert(0, heading(["NAME", "DIGEST", "SIZE", "CREATED"]));
        // Numbers end in one column.
        let widest = rows.iter().filter_map(|row| row.get(2)).map(String::len).max().unwrap_or(0);
        rows.iter_mut().filter_map(|row| row.get_mut(2)).for_each(|size| *size = format!("{size:>widest$}"));
        table(&rows)
    }
}

/// `belljar image inspect`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Inspect {
    /// The image
    #[arg(value_name = "NAME")]
    name: Text,
}

/// A layer of an image.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ImageLayer"))]
pub struct Layer {
    /// Of its archive, not compressed.
    diff_id: Digest,
    /// Where its files are on the host.
    path: Name,
}

/// Everything that is known of an image.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "KnownImage"))]
pub struct Known {
    /// Of its manifest.
    digest: Digest,
    /// Its names, with their tags.
    names: Vec<String>,
    /// Bytes of the files of all layers.
    bytes: u64,
    /// When it was made, as its makers say it (RFC 3339); null where they do not.
    created: Option<String>,
    /// As the OCI image specification has it.
    manifest: Value,
    /// As the OCI image specification has it.
    config: Value,
    /// The lowest first.
    layers: Vec<Layer>,
}

impl Verb for Inspect {
    type Told = Known;

    fn run(self, site: &Site<'_>) -> Result<Known, Error> {
        let store = site.store()?;
        let lease = store.lease(&self.name)?;
        let record = &lease.record;
        let document = |digest: &Digest| -> Result<Value, Error> {
            let bytes = store.document(digest)?;
            serde_json::from_slice(&bytes).map_err(|error| damaged(&format!("the blob {digest}"), &error.to_string()))
        };
        let named = store.names()?.into_iter().filter(|named| named.manifest == record.manifest);
        let mut names: Vec<String> = named.map(|named| named.reference.name()).collect();
        names.sort();
        Ok(Known {
            digest: record.manifest,
            names,
            bytes: record.bytes,
            created: record.created.clone(),
            manifest: document(&record.manifest)?,
            config: document(&record.config_digest)?,
            layers: record
                .layers
                .iter()
                .map(|layer| Layer { diff_id: *layer, path: Name::from(store.layer(layer).as_path()) })
                .collect(),
        })
    }
}

impl Told for Known {
    /// The object, on many lines.
    fn people(&self) -> String {
        // Names, numbers and documents that came from JSON always become JSON.
        serde_json::to_value(Object::of(self)).map_or_else(|_| String::new(), |object| format!("{object:#}\n"))
    }
}

/// `belljar image verify`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verify {
    /// The image [default: everything]
    #[arg(value_name = "NAME")]
    name: Option<Text>,
}

/// Images that match their digests.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ImagesVerified"))]
pub struct Verified {
    /// None: where there are some, that is an error, whose `problems` are they.
    faults: Vec<Fault>,
}

impl Verb for Verify {
    type Told = Verified;

    fn run(self, site: &Site<'_>) -> Result<Verified, Error> {
        let faults = verify::verify(&site.store()?, self.name.as_deref(), &*(site.progress)())?;
        if faults.is_empty() {
            return Ok(Verified { faults });
        }
        let problem = |fault: &Fault| Problem::new("store", fault.to_string()).hint(&fault.cure);
        Err(Error::invalid(faults.iter().map(problem).collect()))
    }
}

impl Told for Verified {
    fn people(&self) -> String {
        "all images match their digests\n".to_owned()
    }
}
