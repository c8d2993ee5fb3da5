//! Documents that are open in a server, in step with the files.
//!
//! A document is opened when somebody asks about it. Before each question those whose files have changed are changed, and those whose
//! files are gone are closed. There are not many: the one that was asked for longest ago is closed for the next, unless somebody has
//! opened it himself.

use super::files::{Change, Files, Stamp};
use super::protocol::uri_of;
use super::server::Server;
use super::table::{Entry, document_language};
use super::texts;
use crate::error::{Error, Kind};
use crate::tools::Name;
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Documents that are open at once.
const MOST: usize = 64;

/// One document.
struct Document {
    text: String,
    version: i64,
    stamp: Stamp,
    /// Whether somebody has opened it himself.
    held: bool,
    /// The question that it was last opened for.
    used: u64,
    /// What had changed of the project until the server was told all of it.
    as_of: u64,
}

/// Those of one server.
#[derive(Default)]
pub struct Documents {
    open: BTreeMap<PathBuf, Document>,
    files: Files,
    questions: u64,
    /// The version of the last text that the server was told, of whichever document.
    versions: i64,
    /// How often it was seen that something of the project is another.
    changes: u64,
}

impl Documents {
    /// How many are open.
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// A file of the project that ends like that.
    pub fn first(&self, extensions: &[String]) -> Option<PathBuf> {
        self.files.first(extensions)
    }

    /// The text of one that is open.
    pub fn text(&self, path: &Path) -> Option<&str> {
        self.open.get(path).map(|document| document.text.as_str())
    }

    /// The version of one that is open.
    pub fn version(&self, path: &Path) -> Option<i64> {
        self.open.get(path).map(|document| document.version)
    }

    /// Brings all that the server knows in step with the files.
    ///
    /// # Errors
    ///
    /// The server takes nothing.
    pub fn follow(&mut self, server: &Server, project: &Path, entry: &Entry) -> Result<(), Error> {
        self.questions += 1;
        let mut gone = Vec::new();
        for (path, document) in &mut self.open {
            match fs::metadata(path) {
                Ok(found) if Stamp::of(&found) == document.stamp => {}
                Ok(_) => match read(path) {
                    Ok((text, stamp)) => {
                        document.stamp = stamp;
                        if document.text != text {
                            (self.versions, self.changes) = (self.versions + 1, self.changes + 1);
                            document.change(path, text, self.versions, (server, entry))?;
                        }
                    }
                    Err(_) => gone.push(path.clone()),
                },
                Err(_) => gone.push(path.clone()),
            }
        }
        for path in gone {
            self.changes += 1;
            self.close(&path, server)?;
        }
        let changes = self.files.look(project, &entry.reads);
        if !changes.is_empty() {
            self.changes += 1;
            let is_read = |path: &Path| entry.reads.iter().any(|end| path.extension() == Some(end.as_ref()));
            let (same, other): (Vec<_>, Vec<_>) =
                changes.iter().partition(|(path, change)| *change == Change::Changed && is_read(path));
            let closed = same.iter().map(|(path, _)| path).filter(|path| !self.open.contains_key(*path));
            let closed: Vec<PathBuf> = closed.take(if entry.rereads { MOST } else { 0 }).cloned().collect();
            let told = |(path, change): &(PathBuf, Change)| json!({ "uri": uri_of(path), "type": *change as u8 });
            let changes: Vec<_> = changes.iter().map(told).collect();
            server.notify("workspace/didChangeWatchedFiles", &json!({ "changes": changes }))?;
            for path in closed {
                self.reread(&path, server, entry)?;
            }
            if let Some(reload) = entry.reloads.as_ref().filter(|_| !other.is_empty()) {
                server.have_done("workspace/executeCommand", reload)?;
            }
        }
        Ok(())
    }

    /// Has the server read a file that is not open.
    fn reread(&mut self, path: &Path, server: &Server, entry: &Entry) -> Result<(), Error> {
        // What cannot be read or told is not known to it either.
        let Ok((text, _)) = read(path) else { return Ok(()) };
        if path.to_str().is_none() {
            return Ok(());
        }
        self.tell_open(path, &text, server, entry)?;
        server.notify("textDocument/didClose", &json!({ "textDocument": { "uri": uri_of(path) } }))
    }

    fn tell_open(&mut self, path: &Path, text: &str, server: &Server, entry: &Entry) -> Result<(), Error> {
        self.versions += 1;
        let told = seen(text, entry);
        let language = document_language(path, &entry.language);
        let item = json!({ "uri": uri_of(path), "languageId": language, "version": self.versions, "text": told });
        server.notify("textDocument/didOpen", &json!({ "textDocument": item }))
    }

    /// Opens one, if it is not.
    ///
    /// # Errors
    ///
    /// Why it cannot be read, or the server takes nothing.
    pub fn open(&mut self, path: &Path, hold: bool, server: &Server, entry: &Entry) -> Result<(), Error> {
        let questions = self.questions;
        if let Some(document) = self.open.get_mut(path) {
            document.used = questions;
            document.held |= hold;
            return Ok(());
        }
        if path.to_str().is_none() {
            let message = "its name, or that of a directory above, is not UTF-8, and servers answer with another one";
            return Err(Error::new(Kind::Invalid, message).about(&Name::from(path)).hint("give it another name"));
        }
        let (text, stamp) = read(path).map_err(|error| error.about(&Name::from(path)))?;
        while self.open.len() >= MOST {
            let free = self.open.iter().filter(|(_, one)| !one.held && one.used < questions);
            let Some(oldest) = free.min_by_key(|(_, one)| one.used).map(|(path, _)| path.clone()) else {
                return Err(Error::new(Kind::Busy, format!("more than {MOST} documents would be open"))
                    .hint("`belljar lsp close` those that nobody needs, or ask about fewer at once"));
            };
            self.close(&oldest, server)?;
        }
        server.forget_diagnostics(path);
        self.tell_open(path, &text, server, entry)?;
        let (version, as_of) = (self.versions, self.changes);
        self.open.insert(path.to_owned(), Document { text, version, stamp, held: hold, used: questions, as_of });
        Ok(())
    }

    /// Closes those of the files in which the server was told all before something of the project became another: opened again, it says
    /// all anew what is wrong with them. Each with whether somebody has opened it himself.
    ///
    /// # Errors
    ///
    /// The server takes nothing.
    pub fn close_old(&mut self, paths: &[&Path], server: &Server) -> Result<Vec<(PathBuf, bool)>, Error> {
        let changes = self.changes;
        let old = |path: &&Path| self.open.get(*path).filter(|one| one.as_of < changes).map(|one| one.held);
        let closed: Vec<(PathBuf, bool)> =
            paths.iter().filter_map(|path| old(path).map(|held| ((*path).to_owned(), held))).collect();
        closed.iter().try_for_each(|(path, _)| self.close(path, server).map(drop))?;
        Ok(closed)
    }

    /// Closes one; whether it was open.
    ///
    /// # Errors
    ///
    /// The server takes nothing.
    pub fn close(&mut self, path: &Path, server: &Server) -> Result<bool, Error> {
        if self.open.remove(path).is_none() {
            return Ok(false);
        }
        server.notify("textDocument/didClose", &json!({ "textDocument": { "uri": uri_of(path) } }))?;
        server.drop_diagnostics(path);
        Ok(true)
    }
}

impl Document {
    fn change(
        &mut self,
        path: &Path,
        text: String,
        version: i64,
        (server, entry): (&Server, &Entry),
    ) -> Result<(), Error> {
        self.version = version;
        server.forget_diagnostics(path);
        let changes = json!([{ "text": seen(&text, entry) }]);
        let params = json!({ "textDocument": { "uri": uri_of(path), "version": version }, "contentChanges": changes });
        self.text = text;
        server.notify("textDocument/didChange", &params)
    }
}

/// What the server is told of a text.
fn seen<'t>(text: &'t str, entry: &Entry) -> Cow<'t, str> {
    if entry.stands_in { texts::stand_in(text) } else { text.into() }
}

/// The text of a file, and by what its next change is seen: looked at first, so that none is missed.
fn read(path: &Path) -> Result<(String, Stamp), Error> {
    let stamp = fs::metadata(path).map(|found| Stamp::of(&found));
    stamp.and_then(|stamp| Ok((texts::read_text(path)?.text, stamp))).map_err(|error| Error::of_io(&error))
}
