//! Images: root file systems kept on disk, content-addressed, one directory per layer.
//!
//! The store lies in one directory of the caller's (`$XDG_DATA_HOME/belljar`). Manifests, configurations and layers
//! are those of the OCI image specification and are named by their sha256; nothing is ever changed in place. A sandbox
//! mounts the layers' trees as the lower directories of an overlay.
//!
//! Promises: an image is there as a whole or not at all, whatever is killed at whatever moment; any number of processes
//! may use the store at once; what a sandbox uses is not removed under it; no archive writes outside the directory it
//! is unpacked into. Nothing is fetched unasked.

pub mod capture;
pub mod digest;
pub mod garbage;
pub mod import;
pub mod intake;
pub mod manifest;
pub mod pack;
pub mod recipe;
pub mod reference;
pub mod registry;
pub mod save;
pub mod shadows;
pub mod store;
pub mod verify;

mod config;

use crate::error::{Error, Problem};
use crate::host::Image;
use crate::spec::{Bundle, Language, Order, Runs};

pub use digest::Digest;
pub use reference::Reference;
pub use store::{Lease, Store};

/// The image that `spec` runs on, held; `None`: the machine's own file system. Code runs on the image of its language
/// where there is one.
///
/// # Errors
///
/// `NotFound`, where there is no image of the name that is asked for; `Invalid` for one that sandboxes of this kind cannot run on.
pub fn lease(order: &Order, store: Option<&Store>) -> Result<Option<Lease>, Error> {
    if order.bundle.is_some() {
        return Ok(None);
    }
    match (order.spec.image.as_deref(), order.runs()) {
        (Some(store::HOST), _) | (None, Runs::Command(_) | Runs::Nothing | Runs::Own(_)) => Ok(None),
        (Some(name), _) => match store {
            Some(store) => {
                let lease = store.lease(name)?;
                match lease.record.needs_host {
                    true => Err(Error::invalid(vec![
                        Problem::new("image", format!("`{name}` lies on the machine's own files"))
                            .hint(format!("`belljar create --image {name}` makes a sandbox from it")),
                    ])),
                    false => Ok(Some(lease)),
                }
            }
            None => Err(Error::invalid(vec![
                Problem::new("image", "there is no place for images")
                    .hint("set `BELLJAR_HOME`, `XDG_DATA_HOME` or `HOME`"),
            ])),
        },
        (None, Runs::Code(code)) => {
            let name = match code.language {
                Language::Python => "python",
                Language::Node => "node",
                Language::Shell => "shell",
            };
            store.map_or(Ok(None), |store| store.find_own(name))
        }
    }
}

/// The root of a bundle as a sandbox is started from it.
pub fn of_bundle(bundle: &Bundle) -> Image {
    Image {
        shown: format!("bundle:{}", bundle.directory.display()),
        layers: vec![bundle.root.clone()],
        config: config::of_tree(&bundle.root, bundle.stop_signal.clone()),
    }
}
