//! `belljar export` and `belljar import`.

use super::{complain, no_home, place};
use crate::cli::parse::RunRequest;
use crate::cli::progress::followed;
use crate::cli::render;
use crate::cli::resolve::{self, resolve};
use crate::error::{Error, Problem, describe_io};
use crate::sandbox::{self, Entry, Run};
use crate::trees::progress::Followed;
use serde_json::json;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;

/// A sandbox to be brought in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportRequest {
    /// What is wanted otherwise than the file says.
    pub run: RunRequest,
    /// The file.
    pub file: OsString,
    /// Its name; that of the file, where there is none.
    pub name: Option<String>,
}

fn invalid(field: &str, message: String, hint: &str) -> Error {
    Error::invalid(vec![Problem::new(field, message).hint(hint)])
}

/// Makes and starts it; the exit code.
pub fn import(request: ImportRequest) -> i32 {
    let json = request.run.report.json;
    match bring(request) {
        Ok((entry, run)) if json => {
            let object = json!({ "version": 1, "id": entry.id, "name": entry.name(), "image": run.image,
                "enforcement": run.enforcement });
            render::object(&object, 0)
        }
        Ok((entry, _)) => render::people(&format!("{}\n", entry.name()), 0),
        Err(trouble) => complain(&trouble, json),
    }
}

fn bring(mut request: ImportRequest) -> Result<(Entry, Run), Error> {
    let home = request.run.home.clone().ok_or_else(no_home)?;
    let mut size = None;
    let file: Box<dyn Read> = if request.file == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let opened = File::open(&request.file).map_err(|error| {
            let message = format!("`{}`: {}", request.file.to_string_lossy(), describe_io(&error));
            invalid("file", message, "name a file that `belljar export` wrote")
        })?;
        size = opened.metadata().ok().filter(std::fs::Metadata::is_file).map(|found| found.len());
        Box::new(opened)
    };
    let progress = followed();
    let task = progress.begin(&format!("importing {}", request.file.to_string_lossy()), size);
    let mut brought = sandbox::read(Box::new(Followed::new(file, task)))?;
    request.run.ambient = request.run.ambient.over(brought.spec.clone());
    let spec = resolve(request.run).map_err(super::life::misused)?;
    if let Some(name) = request.name {
        brought.name = name;
    }
    let store = resolve::store(&home);
    sandbox::import(&place(&home), &store, brought, spec)
}
