//! `image save`: images as one file.

use crate::error::Error;
use crate::images::save::{self, Wanted};
use crate::images::{Reference, Store};
use crate::verbs::faults::{all, both};
use crate::verbs::words::{Text, Word, some};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// `belljar image save`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Save {
    /// Images
    #[arg(value_name = "NAME", required = true)]
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrSome<Text>"))]
    name: Vec<Text>,
    /// The file; `-` for standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Word,
}

/// A file of images.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ImagesSaved"))]
pub struct Saved {
    /// Where it is; `-` where it went to standard output.
    file: String,
}

impl Verb for Save {
    type Told = Saved;

    fn run(self, site: &Site<'_>) -> Result<Saved, Error> {
        let store = site.store()?;
        let out = (&*self.output == "-").then(|| site.raw_output()).transpose();
        let (images, out) = both(all(self.name.iter().map(|word| wanted(&store, word))), out)?;
        let progress = (site.progress)();
        match out {
            Some(mut out) => save::save(&store, &images, &mut *out, &*progress)?,
            None => save::save_file(&store, &images, Path::new(&*self.output), &*progress)?,
        }
        Ok(Saved { file: self.output.to_string_lossy().into_owned() })
    }
}

/// An image, and its name if `word` is one.
fn wanted(store: &Store, word: &str) -> Result<Wanted, Error> {
    let lease = store.lease(word)?;
    let reference = Reference::parse(word).ok().map(|reference| Reference { digest: None, ..reference });
    let names = reference.iter().flat_map(|reference| [reference.clone(), reference.remote()]);
    for name in names {
        if store.named(&name)? == Some(lease.record.manifest) {
            return Ok(Wanted { name: Some(name), lease });
        }
    }
    Ok(Wanted { name: None, lease })
}

impl Told for Saved {
    fn people(&self) -> String {
        if self.file == "-" { String::new() } else { format!("{}\n", self.file) }
    }
}
