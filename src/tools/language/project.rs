//! Which language and which project a question is about, and the session that keeps the server for both.

use super::table::{self, Entry};
use super::texts;
use super::{Asked, What};
use crate::error::{Error, Kind};
use crate::tools::Name;
use crate::tools::session;
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// What lies at the top of a project of any language.
const MARKS: [&str; 2] = [".git", ".hg"];
/// What the ids of sessions begin with that keep servers.
pub const PREFIX: &str = "lsp.";
/// Bytes of a path.
const LONGEST_PATH: u64 = 4096;

/// A server, as a question names it.
pub struct Wanted {
    /// How it is started.
    pub entry: Entry,
    /// Where.
    pub project: PathBuf,
    /// The session that keeps it, or would.
    pub id: String,
}

/// Where the session's directory says which project it is for.
pub fn note(directory: &Path) -> PathBuf {
    directory.join("project")
}

/// The id of the session for a language and a project.
fn id_of(language: &str, project: &Path) -> String {
    let hash = Sha256::digest(project.as_os_str().as_bytes());
    let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{language}.{hash}")
}

/// All sessions that keep servers.
pub fn kept() -> Vec<String> {
    let names = fs::read_dir(session::place()).into_iter().flatten();
    let mut ids: Vec<String> = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    ids.retain(|id| id.starts_with(PREFIX) && session::is_id(id));
    ids.sort();
    ids
}

/// The project of the server that a session keeps.
pub fn of_session(id: &str) -> Option<PathBuf> {
    let bytes = texts::read(&note(&session::place().join(id)), LONGEST_PATH).ok()?;
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

/// Projects of the servers of a language that are kept.
fn kept_projects(language: &str) -> Vec<PathBuf> {
    let beginning = format!("{PREFIX}{language}.");
    let ids = kept().into_iter().filter(|id| id.starts_with(&beginning));
    ids.filter_map(|id| of_session(&id)).collect()
}

/// The real path of a file; of one that is gone, where it would be.
fn real(path: &Name) -> PathBuf {
    let path = path.path();
    fs::canonicalize(path).unwrap_or_else(|_| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// The real path of a directory.
fn directory(path: &Name) -> Result<PathBuf, Error> {
    let found = fs::canonicalize(path.path()).and_then(|found| fs::metadata(found.join(".")).map(|_| found));
    found.map_err(|error| Error::of_io(&error).about(path).hint("name the project's directory inside"))
}

/// The same question with real paths, which do not count from anywhere.
pub fn with_real_paths(asked: &Asked) -> Asked {
    let mut asked = asked.clone();
    let make_real = |path: &mut Name| *path = Name::from(real(path).as_path());
    match &mut asked.what {
        What::Completions(place)
        | What::Hover(place)
        | What::Signature(place)
        | What::Definition(place)
        | What::References(place)
        | What::Rename { place, .. } => make_real(&mut place.path),
        What::Symbols { path }
        | What::Format { path, .. }
        | What::Actions { path, .. }
        | What::Open { path }
        | What::Close { path } => make_real(path),
        What::Diagnostics { paths } => paths.iter_mut().for_each(make_real),
        What::Start { .. } | What::Stop | What::Look | What::Command | What::WorkspaceSymbols { .. } => {}
    }
    asked
}

/// The server that a question is for; its paths are real.
///
/// # Errors
///
/// Language or project are not known.
pub fn wanted(asked: &Asked) -> Result<Wanted, Error> {
    let path = asked.what.path().map(Name::path);
    let language = match (&asked.language, path) {
        (Some(language), _) => language.clone(),
        (None, Some(path)) => table::language_of(path)?.ok_or_else(|| {
            Error::new(Kind::Misused, "the language is not known by the name of the file")
                .about(&Name::from(path))
                .hint("name it with `--language`")
                .of_field("language")
        })?,
        (None, None) => return Err(Error::new(Kind::Misused, "no language is named").of_field("language")),
    };
    let brings = matches!(&asked.what, What::Start { server, .. } if !server.is_empty());
    let is_kept = !asked.what.starts() || brings;
    let entry = match table::entry(&language) {
        // A server of any language may be kept whose command somebody has brought along.
        Err(error) if error.kind == Kind::NotFound => {
            let entry = table::entry_or_bare(&language.to_ascii_lowercase()).map_err(|_| error.clone())?;
            if !is_kept && kept_projects(&entry.language).is_empty() {
                return Err(error);
            }
            entry
        }
        found => found?,
    };
    let project = match (&asked.project, path) {
        (Some(project), _) => directory(project)?,
        (None, Some(path)) => of_file(path, &entry),
        (None, None) => of_nothing(&entry, asked.what.starts())?,
    };
    let id = id_of(&entry.language, &project);
    Ok(Wanted { entry, project, id })
}

/// The question about files, one for each server that knows some of them, in the order of the files.
///
/// # Errors
///
/// As [`wanted`].
pub fn by_server(asked: &Asked, paths: &[Name]) -> Result<Vec<Asked>, Error> {
    let (mut groups, mut last): (Vec<Asked>, _) = (Vec::new(), None);
    for path in paths {
        let one = Asked { what: What::Diagnostics { paths: vec![path.clone()] }, ..asked.clone() };
        let id = wanted(&one)?.id;
        match groups.last_mut() {
            Some(Asked { what: What::Diagnostics { paths }, .. }) if last.as_ref() == Some(&id) => {
                paths.push(path.clone());
            }
            _ => groups.push(one),
        }
        last = Some(id);
    }
    Ok(groups)
}

/// The project of a file: one whose server is kept, or one with a mark at its top, or the sandbox's working directory, or where it lies.
fn of_file(path: &Path, entry: &Entry) -> PathBuf {
    let above = || path.ancestors().skip(1);
    let kept = kept_projects(&entry.language);
    let has = |directory: &Path, mark: &str| fs::symlink_metadata(directory.join(mark)).is_ok();
    let own = |directory: &&Path| entry.marks.iter().any(|mark| has(directory, mark));
    let any = |directory: &&Path| MARKS.iter().any(|mark| has(directory, mark));
    let here = std::env::current_dir().unwrap_or_default();
    let found = above()
        .find(|directory| kept.iter().any(|project| project == directory))
        .or_else(|| above().find(own))
        .or_else(|| above().find(any))
        .or_else(|| above().find(|directory| **directory == here && here != Path::new("/")));
    found.or_else(|| path.parent()).unwrap_or(Path::new("/")).to_owned()
}

/// The project where no file is named: the one whose server is kept, or the sandbox's working directory.
fn of_nothing(entry: &Entry, starts: bool) -> Result<PathBuf, Error> {
    let here = std::env::current_dir().map_err(|error| Error::of_io(&error))?;
    let kept = kept_projects(&entry.language);
    match kept.as_slice() {
        [one] => Ok(one.clone()),
        [] => Ok(here),
        several if starts || several.contains(&here) => Ok(here),
        _ => Err(Error::new(
            Kind::Misused,
            format!("there are servers of {} projects for {}", kept.len(), entry.language),
        )
        .hint("name the project: `belljar lsp ls` lists them")
        .of_field("project")),
    }
}
