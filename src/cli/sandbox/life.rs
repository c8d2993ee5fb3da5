//! What is done to sandboxes.

use super::{complain, no_home, place};
use crate::cli::parse::RunRequest;
use crate::cli::render;
use crate::cli::resolve::{self, resolve};
use crate::error::{Error, Kind};
use crate::sandbox::{self, Wish};
use serde_json::json;

/// A sandbox to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateRequest {
    /// The sandbox itself.
    pub run: RunRequest,
    /// What else is wanted of it.
    pub wish: Wish,
}

/// Makes it; the exit code.
pub fn create(request: CreateRequest) -> i32 {
    let json = request.run.report.json;
    let Some(home) = request.run.home.clone() else { return complain(&no_home(), json) };
    let store = resolve::store(&home);
    let made = resolve(request.run)
        .map_err(misused)
        .and_then(|spec| sandbox::create(&place(&home), Some(&store), spec, &request.wish));
    match made {
        Ok((entry, run)) if json => {
            let object = json!({ "version": 1, "id": entry.id, "name": entry.name(), "image": run.image,
                "enforcement": run.enforcement });
            render::object(&object, 0)
        }
        Ok((entry, _)) => render::people(&format!("{}\n", entry.name()), 0),
        Err(trouble) => complain(&trouble, json),
    }
}

/// A spec that cannot be is a request that is not understood.
pub fn misused(error: Error) -> Error {
    let kind = if error.kind == Kind::Invalid { Kind::Misused } else { error.kind };
    Error { kind, ..error }
}
