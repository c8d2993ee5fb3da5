//! From what a source lists to images in the store: every layer is unpacked and checked before the first comes to its
//! place, and names come last.

use super::super::digest::Digest;
use super::super::intake::{Expected, Intake, Layer, Staged};
use super::names::{self, Wish};
use super::{Imported, Parts, Reference, docker, layout, wrong_entry};
use crate::error::{Error, Problem};
use oci_spec::image::MediaType;
use std::collections::BTreeMap;

/// An image that a source lists.
pub struct Found {
    /// Its manifest; `None`: to be made.
    pub manifest: Option<Vec<u8>>,
    /// Its configuration.
    pub config: Vec<u8>,
    /// Its layers, the lowest first.
    pub layers: Vec<Part>,
    /// Names that it comes with.
    pub names: Vec<Reference>,
}

/// A layer that a source lists.
pub struct Part {
    /// The name of its entry.
    pub entry: String,
    /// What its blob has to be, where that is said.
    pub expected: Option<(Expected, MediaType)>,
    /// What its archive has to be.
    pub diff_id: Digest,
}

/// Brings in all images of a source.
pub fn images<'s>(intake: &Intake<'s>, parts: &mut dyn Parts<'s>, wish: &Wish<'_>) -> Result<Vec<Imported>, Error> {
    let mut found = listed(parts, wish)?;
    let names = names::decide(found.iter_mut().map(|image| std::mem::take(&mut image.names)).collect(), wish)?;
    let mut ready = BTreeMap::new();
    for part in found.iter_mut().flat_map(|image| &mut image.layers) {
        part.entry = parts.resolve(&part.entry)?;
        if !ready.contains_key(&part.entry) {
            ready.insert(part.entry.clone(), obtain(intake, parts, part)?);
        }
        let diff_id = ready.get(&part.entry).map_or(part.diff_id, |layer| layer.get().diff_id);
        if diff_id != part.diff_id {
            return Err(wrong_entry(
                &part.entry,
                format!("its archive is {diff_id}, not {} as the configuration says", part.diff_id),
            ));
        }
    }
    // From here on the source cannot be at fault.
    let placed = ready.into_iter().map(|(entry, layer)| Ok((entry, layer.place()?)));
    let placed = placed.collect::<Result<BTreeMap<String, Layer>, Error>>()?;
    let mut imported: Vec<Imported> = Vec::new();
    for (image, names) in found.iter().zip(names) {
        let layers: Vec<Layer> = image.layers.iter().filter_map(|part| placed.get(&part.entry).cloned()).collect();
        let manifest = match &image.manifest {
            Some(manifest) => manifest.clone(),
            None => docker::manifest(&image.config, &layers),
        };
        imported.push(Imported { manifest: intake.image(&manifest, &image.config, &layers)?, names });
    }
    for image in &imported {
        image.names.iter().try_for_each(|name| intake.store().name(name, &image.manifest))?;
    }
    Ok(imported)
}

/// What there is, by whichever list the source has. Where it has both, the layout's is the better: it has manifests.
fn listed(parts: &mut dyn Parts<'_>, wish: &Wish<'_>) -> Result<Vec<Found>, Error> {
    let Some(mut found) = layout::images(parts, wish)? else {
        return docker::images(parts, wish)?.ok_or_else(|| {
            let problem = Problem::new(
                "archive",
                "it has neither an `index.json` nor a `manifest.json`: it was cut off, or is none of images",
            );
            Error::invalid(vec![
                problem.hint("make it with `belljar image save`, `docker save` or `skopeo copy … oci-archive:FILE`"),
            ])
        });
    };
    if wish.name.is_none() {
        let mut familiar = docker::familiar(parts)?;
        for image in &mut found {
            if let Some(names) = familiar.remove(&Digest::of(&image.config)) {
                image.names = names;
            }
        }
    }
    Ok(found)
}

/// A layer, in the store or on its way.
enum Ready<'s> {
    Known(Layer),
    Staged(Box<Staged<'s>>),
}

impl Ready<'_> {
    fn get(&self) -> &Layer {
        match self {
            Ready::Known(layer) => layer,
            Ready::Staged(staged) => staged.layer(),
        }
    }

    fn place(self) -> Result<Layer, Error> {
        match self {
            Ready::Known(layer) => Ok(layer),
            Ready::Staged(staged) => staged.place(),
        }
    }
}

fn obtain<'s>(intake: &Intake<'s>, parts: &mut dyn Parts<'s>, part: &Part) -> Result<Ready<'s>, Error> {
    if let Some((expected, media_type)) = &part.expected
        && let Some(layer) = intake.known(expected, &part.diff_id, media_type)
    {
        return Ok(Ready::Known(layer));
    }
    let expected = part.expected.as_ref().map(|(expected, _)| expected);
    match parts.layer(&part.entry, expected)? {
        Some(staged) => Ok(Ready::Staged(Box::new(staged))),
        None => Err(wrong_entry(&part.entry, "is missing")),
    }
}
