//! Images: build, import, export, inspect and clean up.

mod build;
mod change;
mod import;
mod look;
mod save;

pub use build::Build;
pub use change::{Gc, Rm, Tag};
pub use import::{Import, Load, Pull};
pub use look::{Inspect, Ls, Verify};
pub use save::Save;

use super::table;
use crate::error::{Error, Problem};
use crate::images::Reference;
use crate::images::store::may_name;

table! {
    /// What to do with images.
    Image, METHODS, described {
        /// Build an image from a recipe: a directory, or python, node or shell
        Build(Build) = "image.build",
        /// Bring in an OCI layout, a docker archive or a plain root archive
        Import(Import) = "image.import",
        /// Fetch an image from a registry
        Pull(Pull) = "image.pull",
        /// Write images into one file, for `load` elsewhere
        Save(Save) = "image.save",
        /// Bring in what `save` wrote
        Load(Load) = "image.load",
        /// List the images
        Ls(Ls) = "image.ls",
        /// Show all that is known of an image, as JSON
        Inspect(Inspect) = "image.inspect",
        /// Give an image another name
        Tag(Tag) = "image.tag",
        /// Take names away, and images that have no name left
        Rm(Rm) = "image.rm",
        /// Remove what no image needs: remains of what was interrupted, images without a name
        Gc(Gc) = "image.gc",
        /// Compare everything with its digest
        Verify(Verify) = "image.verify",
    }
}

/// The name of an image, as somebody typed it.
fn reference(word: &str) -> Result<Reference, Error> {
    Reference::parse(word).map_err(|why| Error::misused(vec![Problem::new("name", why)]))
}

/// The name that an image is about to have.
fn new_name(word: &str) -> Result<Reference, Error> {
    let name = reference(word)?;
    may_name(&name).map_err(|error| Error::misused(error.problems))?;
    Ok(name)
}
