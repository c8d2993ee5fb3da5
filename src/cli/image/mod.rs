//! `belljar image`: each verb read, handed down and told.
//!
//! Tables for people, one object for `--json`; progress on standard error. 0: done; 1: failed; 2: not understood.

mod bring;
mod build;
mod look;

use super::args::image::{self as args, Verb};
use super::{render, resolve};
use crate::error::{Error, Problem};
use crate::images::Reference;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;

/// Exit code of what could not be done.
const UNDONE: i32 = 1;

/// What a verb tells: lines for people, an object for programs.
struct Told {
    people: String,
    object: Value,
}

/// Does it; the exit code.
pub fn run(verb: Verb, home: Option<&Path>) -> i32 {
    let Some(home) = home else {
        let problem =
            Problem::new("image", "there is no place for images").hint("set `BELLJAR_HOME`, `XDG_DATA_HOME` or `HOME`");
        render::problems(&[problem]);
        return UNDONE;
    };
    let store = resolve::store(home);
    let (json, told) = match verb {
        Verb::Import(import) => (import.json, bring::import(&store, &import)),
        Verb::Load(load) => (load.json, bring::load(&store, &load)),
        Verb::Save(save) => (save.json, bring::save(&store, &save)),
        Verb::Verify(verify) => (verify.json, bring::verify(&store, &verify)),
        Verb::Pull(pull) => (pull.json, bring::pull(&store, &pull)),
        Verb::Build(build) => (build.json, build::build(&store, &build)),
        Verb::Ls(ls) => (ls.json, look::ls(&store, ls.digests)),
        Verb::Inspect(inspect) => (inspect.json, look::inspect(&store, &inspect.name)),
        Verb::Tag(tag) => (false, look::tag(&store, &tag)),
        Verb::Rm(rm) => (rm.json, look::rm(&store, &rm.names)),
        Verb::Gc(gc) => (gc.json, look::gc(&store)),
    };
    match told {
        Ok(told) if json && !told.object.is_null() => render::object(&told.object, 0),
        Ok(told) => render::people(&told.people, 0),
        Err(error) => {
            render::failure(&error);
            if json {
                let report = serde_json::json!({ "version": 1, "error": crate::outcome::ErrorReport::new(&error) });
                return render::object(&report, UNDONE);
            }
            UNDONE
        }
    }
}

/// A name that somebody typed.
fn reference(word: &OsStr) -> Result<Reference, Error> {
    Reference::parse(&word.to_string_lossy()).map_err(|why| Error::Invalid(vec![Problem::new("name", why)]))
}

/// The same for an option.
fn optional(word: Option<&OsStr>) -> Result<Option<Reference>, Error> {
    word.map(reference).transpose()
}
