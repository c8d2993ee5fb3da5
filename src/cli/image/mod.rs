//! `belljar image`: each verb read, handed down and told.
//!
//! Tables for people, one object for `--json`; progress on standard error. 0: done; 1: failed; 2: not understood.

mod bring;
mod build;
mod look;

use super::args::image::{self as args, Verb};
use super::render;
use crate::error::{Error, Kind, Problem};
use crate::images::Reference;
use crate::images::store::may_name;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;

/// Exit code of what could not be done.
const UNDONE: i32 = 1;
/// Exit code of what is not understood.
const MISUSED: i32 = 2;

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
    if let Some((word, json)) = new_name(&verb)
        && let Err(error) = reference(word).and_then(|name| match verb {
            // What is pulled may be asked for by its digest as well.
            Verb::Pull(_) => Ok(()),
            _ => may_name(&name),
        })
    {
        return misused(&error, json);
    }
    let store = crate::verbs::store(home);
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
        Err(_) if render::is_refused() => render::FAILED,
        Err(error) => {
            render::failure(&error);
            if json {
                return render::error_object(&error, UNDONE);
            }
            UNDONE
        }
    }
}

/// The name that an image is about to have, and whether what becomes of it is told as an object.
fn new_name(verb: &Verb) -> Option<(&OsStr, bool)> {
    match verb {
        Verb::Import(import) => import.name.as_deref().map(|name| (name, import.json)),
        Verb::Pull(pull) => Some((&pull.reference, pull.json)),
        Verb::Build(build) => build.name.as_deref().map(|name| (name, build.json)),
        Verb::Tag(tag) => Some((&tag.new, false)),
        Verb::Load(_)
        | Verb::Save(_)
        | Verb::Verify(_)
        | Verb::Ls(_)
        | Verb::Inspect(_)
        | Verb::Rm(_)
        | Verb::Gc(_) => None,
    }
}

/// Tells what cannot be understood; the exit code.
fn misused(error: &Error, json: bool) -> i32 {
    render::failure(error);
    if json {
        let error = Error { kind: Kind::Misused, ..error.clone() };
        return render::error_object(&error, MISUSED);
    }
    MISUSED
}

/// A name that somebody typed.
fn reference(word: &OsStr) -> Result<Reference, Error> {
    Reference::parse(&word.to_string_lossy()).map_err(|why| Error::invalid(vec![Problem::new("name", why)]))
}

/// The same for an option.
fn optional(word: Option<&OsStr>) -> Result<Option<Reference>, Error> {
    word.map(reference).transpose()
}
