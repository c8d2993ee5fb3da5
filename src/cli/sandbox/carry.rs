//! `belljar export` and `belljar import`.

use super::{Told, complain, no_home, place, supervisor, word};
use crate::cli::args::sandbox as args;
use crate::cli::parse::RunRequest;
use crate::cli::progress::followed;
use crate::cli::render;
use crate::cli::resolve::{self, resolve};
use crate::error::{Error, Problem, describe_io};
use crate::images::save::Target;
use crate::sandbox::{self, Entry, Run, Sandboxes};
use crate::trees::progress::Followed;
use serde_json::json;
use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::Path;

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

pub fn export(sandboxes: &Sandboxes, home: &Path, export: &args::Export) -> Result<Told, Error> {
    let store = resolve::store(home);
    let name = word(&export.name);
    let exported = sandbox::Export { sandbox: &name, with_image: !export.without_image };
    let progress = followed();
    let left_out = if export.output == "-" {
        if export.json {
            let hint = "name a file in the place of `-`, or go without `--json`";
            return Err(invalid("json", "the file goes to standard output, where the object would".to_owned(), hint));
        }
        if std::io::stdout().is_terminal() {
            return Err(invalid("output", "standard output is a terminal".to_owned(), "name a file, or pipe it on"));
        }
        sandbox::export(sandboxes, &store, exported, &mut render::out(), &*progress)?
    } else {
        let mut target = Target::open(Path::new(&export.output))?;
        let left_out = sandbox::export(sandboxes, &store, exported, target.file(), &*progress)?;
        target.finish()?;
        left_out
    };
    for field in &left_out {
        render::say(&format!("left out {field}: what is the host's is given again where the file is imported"));
    }
    let shown = export.output.to_string_lossy();
    let people = if export.output == "-" { String::new() } else { format!("{shown}\n") };
    Ok(Told::new(people, json!({ "version": 1, "file": shown, "left_out": left_out })))
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
        Err(trouble) => complain(trouble, json),
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
    sandbox::import(&place(&home), &store, brought, spec, &supervisor())
}
