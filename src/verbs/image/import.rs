//! `image import`, `load` and `pull`.

use super::{new_name, reference};
use crate::error::{Error, Problem, describe_io};
use crate::images::import::{self, Imported, Source};
use crate::images::intake::Intake;
use crate::images::manifest::Platform;
use crate::images::reference::shortened;
use crate::images::registry::{self, Password};
use crate::images::shadows::{Shadow, shadows};
use crate::images::{Digest, Reference, Store};
use crate::name::Name;
use crate::trees::unpack::Bounds;
use crate::verbs::faults::both;
use crate::verbs::words::{Text, Word};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;

/// The longest password that is read.
const LONGEST_PASSWORD: u64 = 64 << 10;

/// A link that a layer of an image hides, which breaks images that were built on another base.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HiddenLink {
    /// Where it is, from the root.
    path: Name,
    /// Where it leads.
    target: Name,
    /// The layer whose directory hides it, counted from 1.
    layer: usize,
}

/// Those of an image, each of which is said at once too.
fn hidden_links(site: &Site<'_>, store: &Store, manifest: &Digest) -> Result<Vec<HiddenLink>, Error> {
    let layers = store.record(manifest)?.map(|record| record.layers).unwrap_or_default();
    let one = |Shadow { path, target, layer }: Shadow| {
        (site.say)(&format!(
            "layer {layer} has a directory `{}` where a lower layer has a link to `{}`: what was found by the link is hidden",
            path.display(),
            target.display()
        ));
        HiddenLink { path: Name::from(path.as_path()), target: Name::from(target.as_path()), layer }
    };
    Ok(shadows(store, &layers)?.into_iter().map(one).collect())
}

/// An image that came in.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ImageBrought"))]
pub struct OneBrought {
    /// Of its manifest.
    digest: Digest,
    /// Its names, with their tags.
    names: Vec<String>,
    /// Links that its layers hide.
    hidden_links: Vec<HiddenLink>,
}

/// The images that came in.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ImagesBrought"))]
pub struct Brought {
    /// In the order of their source.
    images: Vec<OneBrought>,
}

impl Brought {
    /// What is told of them.
    pub(super) fn of(site: &Site<'_>, store: &Store, images: &[Imported]) -> Result<Brought, Error> {
        let one = |image: &Imported| {
            let names = image.names.iter().map(Reference::name).collect();
            let hidden_links = hidden_links(site, store, &image.manifest)?;
            Ok(OneBrought { digest: image.manifest, names, hidden_links })
        };
        Ok(Brought { images: images.iter().map(one).collect::<Result<_, Error>>()? })
    }
}

impl Told for Brought {
    fn people(&self) -> String {
        let line = |OneBrought { digest, names, .. }: &OneBrought| {
            let names: Vec<&str> = names.iter().map(|name| shortened(name)).collect();
            let shown = if names.is_empty() { "without a name".to_owned() } else { names.join(", ") };
            format!("{shown}  {digest}\n")
        };
        self.images.iter().map(line).collect()
    }
}

fn source(word: &OsStr) -> Source<'_> {
    if word == "-" { Source::Stream(Box::new(std::io::stdin())) } else { Source::Path(Path::new(word)) }
}

/// `belljar image import`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Import {
    /// An archive, plain or compressed with gzip, zstd or xz; a directory; `-` for standard input
    #[arg(value_name = "FILE|DIR")]
    file: Word,
    /// Name of the image [default: the names that it comes with, or that of the file]
    #[arg(long, value_name = "NAME")]
    name: Option<Text>,
}

impl Verb for Import {
    type Told = Brought;

    fn run(self, site: &Site<'_>) -> Result<Brought, Error> {
        let name = self.name.as_deref().map(new_name).transpose();
        let (name, store) = both(name, site.store())?;
        let intake = Intake::begin(&store)?;
        let images = import::import(&intake, source(&self.file), name.as_ref(), &*(site.progress)())?;
        Brought::of(site, &store, &images)
    }
}

/// `belljar image load`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Load {
    /// The file; `-` for standard input
    #[arg(value_name = "FILE")]
    file: Word,
}

impl Verb for Load {
    type Told = Brought;

    fn run(self, site: &Site<'_>) -> Result<Brought, Error> {
        let store = site.store()?;
        let intake = Intake::begin(&store)?;
        let images = import::load(&intake, source(&self.file), &*(site.progress)())?;
        Brought::of(site, &store, &images)
    }
}

/// `belljar image pull`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pull {
    /// Name at the registry, as in `python:3.13-slim` or `ghcr.io/owner/name@sha256:…`
    #[arg(id = "ref", value_name = "REF")]
    #[serde(rename = "ref")]
    reference: Text,
    /// User at the registry [default: whom Docker's configuration has for it]
    #[arg(long, value_name = "NAME")]
    username: Option<Text>,
    /// Read the password from standard input
    #[arg(long)]
    #[serde(default)]
    password_stdin: bool,
}

impl Pull {
    /// The user whose password is to be read.
    fn user(&self) -> Result<Option<String>, Error> {
        match (&self.username, self.password_stdin) {
            (None, false) => Ok(None),
            (Some(Text(user)), true) => Ok(Some(user.clone())),
            (Some(_), false) => {
                let problem = Problem::new("username", "needs a password");
                let hint = "add `--password-stdin` and write the password to standard input";
                Err(Error::invalid(vec![problem.hint(hint)]))
            }
            (None, true) => {
                let problem = Problem::new("password_stdin", "needs a user");
                Err(Error::misused(vec![problem.hint("add `--username NAME`")]))
            }
        }
    }
}

/// An image that was fetched.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ImagePulled"))]
pub struct Pulled {
    /// Of its manifest.
    digest: Digest,
    /// Its name, with its tag.
    names: [String; 1],
    /// Bytes that came from the registry.
    fetched_bytes: u64,
    /// Bytes that were here already.
    kept_bytes: u64,
    /// Links that its layers hide.
    hidden_links: Vec<HiddenLink>,
}

impl Verb for Pull {
    type Told = Pulled;

    fn run(self, site: &Site<'_>) -> Result<Pulled, Error> {
        // A name with a digest is none that an image here may have, and may be asked for all the same.
        let ((reference, user), store) = both(both(reference(&self.reference), self.user()), site.store())?;
        let password = user.map(password).transpose()?;
        let asked = registry::Pull {
            reference: &reference,
            platform: Platform::ours(),
            password,
            site: &registry::Site::of(site.env),
            bounds: &Bounds::default(),
        };
        let intake = Intake::begin(&store)?;
        let pulled = registry::pull(&intake, &asked, &*(site.progress)())?;
        Ok(Pulled {
            digest: pulled.manifest,
            names: [pulled.name.name()],
            fetched_bytes: pulled.fetched_bytes,
            kept_bytes: pulled.kept_bytes,
            hidden_links: hidden_links(site, &store, &pulled.manifest)?,
        })
    }
}

impl Told for Pulled {
    fn people(&self) -> String {
        let [name] = &self.names;
        format!("{}  {}\n", shortened(name), self.digest)
    }
}

/// The user's, one line of standard input.
fn password(user: String) -> Result<Password, Error> {
    let wrong = |why: String| Error::invalid(vec![Problem::new("password_stdin", why)]);
    let mut text = String::new();
    let read = std::io::stdin().take(LONGEST_PASSWORD).read_to_string(&mut text);
    read.map_err(|error| wrong(format!("standard input: {}", describe_io(&error))))?;
    let password = text.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() { Err(wrong("standard input is empty".to_owned())) } else { Ok(Password { user, password }) }
}
