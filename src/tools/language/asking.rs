//! The questions, one function for each: what the server is asked, and what is told of its answer.

use super::documents::Documents;
use super::edits;
use super::keeper::{Keeper, Running};
use super::lines::Lines;
use super::protocol::{self, Locations, Position, uri_of};
use super::server::Server;
use super::table;
use super::telling;
use super::texts::Texts;
use super::wait::Wait;
use super::{Asked, Diagnostic, Phase, Place, Point, Told, Units, What};
use crate::error::{Error, Kind};
use crate::tools::Name;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

/// Files whose diagnostics are waited for at once.
const AT_ONCE: usize = 32;
/// How long the diagnostics are waited for that an action may be about.
const A_MOMENT: Duration = Duration::from_secs(3);

/// What is said where nothing is known of any file, each of which has been told as that.
pub const NOTHING_CAME: &str = "nothing came from the language server about the files in time";

/// Takes one thing that is told.
pub type Tell<'t> = &'t mut dyn FnMut(&Told) -> Result<(), Error>;

/// One question to a server, with all that belongs to it.
struct Question<'q> {
    keeper: &'q Keeper,
    running: &'q Running,
    wait: &'q Wait<'q>,
    units: Units,
}

/// Asks, and tells what comes of it.
pub fn ask(keeper: &Arc<Keeper>, asked: &Asked, wait: &Wait<'_>, tell: Tell<'_>) -> Result<(), Error> {
    match &asked.what {
        What::Look => return tell(&Told::State(keeper.state())),
        What::Stop => {
            keeper.stop();
            let mut state = keeper.state();
            state.state = Phase::Ended;
            return tell(&Told::State(state));
        }
        What::Start { idle_ms, server } => {
            if !server.is_empty() && *server != keeper.entry.command {
                let message = format!("it is kept by another command, `{}`", keeper.entry.command.join(" "));
                return Err(Error::new(Kind::Exists, message).hint("`belljar lsp stop` it first"));
            }
            if let Some(idle) = idle_ms {
                keeper.idle_after(Duration::from_millis(*idle));
            }
            keeper.running(wait)?;
            return tell(&Told::State(keeper.state()));
        }
        What::Command => return Err(Error::new(Kind::Misused, "a question for the tool, and not for a keeper")),
        What::Close { path } => {
            keeper.held.lock().unwrap_or_else(PoisonError::into_inner).remove(path.path());
            if keeper.state().state == Phase::Running {
                let running = keeper.running(wait)?;
                running.documents().close(path.path(), &running.server)?;
            }
            return tell(&Told::State(keeper.state()));
        }
        _ => {}
    }
    let running = keeper.running(wait)?;
    let question = Question { keeper, running: &running, wait, units: asked.units };
    match &asked.what {
        What::Completions(place) => question.completions(place, tell),
        What::Hover(place) => question.hover(place, tell),
        What::Signature(place) => question.signature(place, tell),
        What::Definition(place) => question.locations("definitionProvider", "textDocument/definition", place, tell),
        What::References(place) => question.locations("referencesProvider", "textDocument/references", place, tell),
        What::Symbols { path } => question.symbols(path.path(), tell),
        What::WorkspaceSymbols { query } => question.workspace_symbols(query, tell),
        What::Diagnostics { paths } => question.diagnostics(paths, tell),
        What::Rename { place, name, write } => question.rename(place, name, *write, tell),
        What::Format { path, write } => question.format(path.path(), *write, tell),
        What::Actions { path, start, end, apply: None, .. } => question.actions(path.path(), (*start, *end), tell),
        What::Actions { path, start, end, apply: Some(number), write } => {
            question.apply(path.path(), (*start, *end), (*number, *write), tell)
        }
        What::Open { path } => {
            drop(question.open(&[path.path()], true)?);
            keeper.held.lock().unwrap_or_else(PoisonError::into_inner).insert(path.path().to_owned());
            tell(&Told::State(keeper.state()))
        }
        What::Start { .. } | What::Stop | What::Look | What::Command | What::Close { .. } => Ok(()),
    }
}

impl Question<'_> {
    fn server(&self) -> &Server {
        &self.running.server
    }

    /// Opens documents, with all that is open in step.
    fn open(&self, paths: &[&Path], hold: bool) -> Result<MutexGuard<'_, Documents>, Error> {
        let mut documents = self.running.documents();
        documents.follow(self.server(), &self.keeper.project, &self.keeper.entry)?;
        for path in paths {
            documents.open(path, hold, self.server(), &self.keeper.entry)?;
        }
        if !self.keeper.entry.hesitates || paths.is_empty() {
            return Ok(documents);
        }
        // It does not wait with what others ask.
        drop(documents);
        let moment = self.wait.at_most(A_MOMENT);
        for path in paths {
            self.server().await_word(path, &moment)?;
        }
        Ok(self.running.documents())
    }

    /// Opens documents of which the server is to say what is wrong with them as all is now; the version of each. One that is open already
    /// is opened again where something of the project has changed since: what is wrong with it may be another thing now, or may not be
    /// said again because it is not.
    fn open_anew(&self, paths: &[&Path]) -> Result<Vec<i64>, Error> {
        if self.server().can("diagnosticProvider").is_none() {
            let mut documents = self.running.documents();
            documents.follow(self.server(), &self.keeper.project, &self.keeper.entry)?;
            let closed = documents.close_old(paths, self.server())?;
            drop(documents);
            if !closed.is_empty() {
                // What a server says at the end of a document, that nothing is wrong with it, is not what it says at its beginning.
                self.server().await_turn(self.wait)?;
                for (path, held) in closed {
                    self.running.documents().open(&path, held, self.server(), &self.keeper.entry)?;
                }
            }
        }
        let documents = self.open(paths, false)?;
        Ok(paths.iter().map(|path| documents.version(path).unwrap_or_default()).collect())
    }

    /// The server can do that.
    fn can(&self, what: &str, deed: &str) -> Result<(), Error> {
        if self.server().can(what).is_some() {
            return Ok(());
        }
        let name = self.keeper.entry.command.first().map_or("", String::as_str);
        Err(Error::new(Kind::Invalid, format!("the language server `{name}` does not know how to: {deed}")))
    }

    /// Opens the document, and makes what is asked about a place of it.
    fn at(&self, place: &Place) -> Result<Value, Error> {
        let path = place.path.path();
        let documents = self.open(&[path], false)?;
        let position = self.position(&documents, path, place.point)?;
        Ok(json!({ "textDocument": { "uri": uri_of(path) }, "position": position }))
    }

    fn lines<'t>(&self, text: &'t str) -> Lines<'t> {
        Lines::of(text, self.server().counting(), false)
    }

    fn position(&self, documents: &Documents, path: &Path, point: Point) -> Result<Position, Error> {
        let lines = self.lines(documents.text(path).unwrap_or_default());
        let wrong = |message| Err(Error::new(Kind::Invalid, message).about(&Name::from(path)));
        if point.line as usize > lines.count() {
            return wrong(format!("there is no line {}: it has {}", point.line, lines.count()));
        }
        let columns = lines.columns(point.line.saturating_sub(1) as usize, self.units);
        if point.column > columns {
            return wrong(format!("there is no column {}: line {} ends at {columns}", point.column, point.line));
        }
        Ok(lines.position(point, self.units))
    }

    fn ask<T: DeserializeOwned>(&self, method: &str, params: &Value) -> Result<Option<T>, Error> {
        self.server().ask(method, params, self.wait)
    }

    /// Uses the texts of files, with those that are open as the server has them.
    fn with_texts<T>(&self, tell: impl FnOnce(&mut Texts<'_>) -> T) -> T {
        let documents = self.running.documents();
        tell(&mut Texts::new(&documents, self.units, self.server().counting()))
    }

    fn completions(&self, place: &Place, tell: Tell<'_>) -> Result<(), Error> {
        self.can("completionProvider", "complete")?;
        let mut params = self.at(place)?;
        params["context"] = json!({ "triggerKind": 1 });
        let Some(found) = self.ask("textDocument/completion", &params)? else { return Ok(()) };
        self.with_texts(|texts| telling::completions(found, place.path.path(), texts, tell))
    }

    fn hover(&self, place: &Place, tell: Tell<'_>) -> Result<(), Error> {
        self.can("hoverProvider", "tell what stands at a place")?;
        let params = self.at(place)?;
        let Some(found) = self.ask("textDocument/hover", &params)? else { return Ok(()) };
        self.with_texts(|texts| telling::hover(found, place.path.path(), texts, tell))
    }

    fn signature(&self, place: &Place, tell: Tell<'_>) -> Result<(), Error> {
        self.can("signatureHelpProvider", "tell how a function is called")?;
        let params = self.at(place)?;
        let Some(found) = self.ask("textDocument/signatureHelp", &params)? else { return Ok(()) };
        telling::signatures(found, tell)
    }

    fn locations(&self, what: &str, method: &str, place: &Place, tell: Tell<'_>) -> Result<(), Error> {
        self.can(what, method.rsplit('/').next().unwrap_or(method))?;
        let mut params = self.at(place)?;
        params["context"] = json!({ "includeDeclaration": true });
        let found: Option<Locations> = self.ask(method, &params)?;
        let found = found.map(telling::places).unwrap_or_default();
        let locations = self.with_texts(|texts| texts.locations(found));
        locations.into_iter().try_for_each(|location| tell(&Told::Location(location)))
    }

    fn symbols(&self, path: &Path, tell: Tell<'_>) -> Result<(), Error> {
        self.can("documentSymbolProvider", "list what a file defines")?;
        drop(self.open(&[path], false)?);
        let params = json!({ "textDocument": { "uri": uri_of(path) } });
        let found: Vec<protocol::Symbol> = self.ask("textDocument/documentSymbol", &params)?.unwrap_or_default();
        self.with_texts(|texts| telling::symbols(found, path, texts, tell))
    }

    fn workspace_symbols(&self, query: &str, tell: Tell<'_>) -> Result<(), Error> {
        self.can("workspaceSymbolProvider", "find what a project defines")?;
        let first = {
            let documents = self.open(&[], false)?;
            // Some know of no project before a file of it is open.
            if documents.count() == 0 { documents.first(&self.keeper.entry.extensions) } else { None }
        };
        if let Some(first) = first {
            drop(self.open(&[&first], false)?);
        }
        let found: Vec<protocol::Symbol> =
            self.ask("workspace/symbol", &json!({ "query": query }))?.unwrap_or_default();
        self.with_texts(|texts| telling::symbols(found, &self.keeper.project, texts, tell))
    }

    fn diagnostics(&self, paths: &[Name], tell: Tell<'_>) -> Result<(), Error> {
        let mut came = 0;
        for some in paths.chunks(AT_ONCE) {
            let files: Vec<&Path> = some.iter().map(Name::path).collect();
            let versions = self.open_anew(&files)?;
            for (path, version) in files.into_iter().zip(versions) {
                let found = self.diagnostics_of(path, version, self.wait)?;
                came += u32::from(found.is_some());
                tell(&Told::File { path: Name::from(path), done: found.is_some() })?;
                let found = found.unwrap_or_default().into_iter().map(|value| telling::diagnostic(&value));
                let found = found.collect::<Result<Vec<_>, _>>()?;
                self.with_texts(|texts| self.tell_diagnostics(path, &found, texts, tell))?;
            }
        }
        if came == 0 {
            return Err(Error::new(Kind::TimedOut, NOTHING_CAME)
                .hint("give it longer with `--timeout`; some servers say nothing of files that they do not know"));
        }
        Ok(())
    }

    fn tell_diagnostics(
        &self,
        path: &Path,
        found: &[protocol::Diagnostic],
        texts: &mut Texts<'_>,
        tell: Tell<'_>,
    ) -> Result<(), Error> {
        let ranges: Vec<protocol::Range> = found.iter().map(|one| one.range).collect();
        for (one, (range, _)) in found.iter().zip(texts.ranges(path, &ranges)) {
            let code = one.code.as_ref().map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
            let (severity, source, message) = (one.severity(), one.source.clone(), one.message.clone());
            tell(&Told::Diagnostic(Diagnostic { range, severity, code, source, message }))?;
        }
        Ok(())
    }

    /// What the server says of a file, as it says it; none where nothing came.
    fn diagnostics_of(&self, path: &Path, version: i64, wait: &Wait<'_>) -> Result<Option<Vec<Value>>, Error> {
        if self.server().can("diagnosticProvider").is_some() {
            let params = json!({ "textDocument": { "uri": uri_of(path) } });
            let pulled: Option<protocol::Pulled> = self.server().ask("textDocument/diagnostic", &params, wait)?;
            return Ok(Some(pulled.unwrap_or_default().items));
        }
        let Some(published) = self.server().diagnostics(path, version, wait)? else { return Ok(None) };
        let Some(text) = published.diagnostics else {
            let message = "the language server says more of it than is taken, 1 MiB";
            return Err(Error::new(Kind::TooLarge, message).about(&Name::from(path)));
        };
        serde_json::from_str(text.get())
            .map(Some)
            .map_err(|error| Error::new(Kind::Malformed, format!("the diagnostics of the language server: {error}")))
    }

    fn rename(&self, place: &Place, name: &str, write: bool, tell: Tell<'_>) -> Result<(), Error> {
        self.can("renameProvider", "rename")?;
        let path = place.path.path();
        let mut params = self.at(place)?;
        let old = {
            let documents = self.running.documents();
            let text = documents.text(path).unwrap_or_default();
            edits::word_at(text, self.lines(text).byte_of_point(place.point, self.units)).to_owned()
        };
        let wrong = |message: &str| Err(Error::new(Kind::Invalid, message).about(&place.path));
        match old.as_str() {
            "" => return wrong("there is no name at that place"),
            old if old == name => return wrong("it is called that already"),
            _ => {}
        }
        if !table::is_name(name, &self.keeper.entry.language) {
            let message = format!("`{}` is no name in {}", name.escape_debug(), self.keeper.entry.language);
            return Err(Error::new(Kind::Invalid, message).of_field("name"));
        }
        params["newName"] = json!(name);
        let found: Option<protocol::WorkspaceEdit> = self.ask("textDocument/rename", &params)?;
        if self.edit(found.unwrap_or_default(), Some(&old), write, tell)? == 0 {
            return wrong("the language server finds nothing to rename there");
        }
        Ok(())
    }

    fn format(&self, path: &Path, write: bool, tell: Tell<'_>) -> Result<(), Error> {
        self.can("documentFormattingProvider", "format")?;
        drop(self.open(&[path], false)?);
        let options =
            json!({ "tabSize": 4, "insertSpaces": true, "trimTrailingWhitespace": true, "insertFinalNewline": true });
        let params = json!({ "textDocument": { "uri": uri_of(path) }, "options": options });
        let found: Vec<protocol::TextEdit> = self.ask("textDocument/formatting", &params)?.unwrap_or_default();
        self.edit(edits::of_one(path, found), None, write, tell).map(drop)
    }

    /// Tells edits, and makes them where that is asked for; `name`: what is renamed. Of how many files they are.
    fn edit(
        &self,
        edit: protocol::WorkspaceEdit,
        name: Option<&str>,
        write: bool,
        tell: Tell<'_>,
    ) -> Result<usize, Error> {
        let files = edits::by_file(edit)?;
        let _alone = self.keeper.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let wish = edits::Wish { name, stands_in: self.keeper.entry.stands_in };
        let mut drafts = self.with_texts(|texts| {
            let draft =
                |(path, edits): (PathBuf, Vec<protocol::TextEdit>)| edits::Changed::new(path, edits, texts, wish);
            files.into_iter().map(draft).collect::<Result<Vec<_>, Error>>()
        })?;
        drafts.retain(edits::Changed::is_any);
        if write {
            edits::write(&drafts)?;
        }
        drafts.iter().try_for_each(|draft| draft.tell(write, tell))?;
        Ok(drafts.len())
    }

    /// What could be done, as the server says it.
    fn actions_of(&self, path: &Path, (start, end): (Point, Point)) -> Result<Vec<Value>, Error> {
        self.can("codeActionProvider", "propose actions")?;
        let version = self.open_anew(&[path])?.into_iter().next().unwrap_or_default();
        let range = {
            let documents = self.running.documents();
            let [start, end] = [start, end].map(|point| self.position(&documents, path, point));
            protocol::Range { start: start?, end: end? }
        };
        let moment = self.wait.at_most(A_MOMENT);
        let known = self.diagnostics_of(path, version, &moment)?.unwrap_or_default();
        let touches = |value: &Value| {
            let of: Option<protocol::Range> = serde_json::from_value(value["range"].clone()).ok();
            of.is_some_and(|of| of.start <= range.end && range.start <= of.end)
        };
        let known: Vec<Value> = known.into_iter().filter(touches).collect();
        let params = json!({ "textDocument": { "uri": uri_of(path) }, "range": range, "context": { "diagnostics": known, "triggerKind": 1 } });
        Ok(self.ask("textDocument/codeAction", &params)?.unwrap_or_default())
    }

    fn actions(&self, path: &Path, range: (Point, Point), tell: Tell<'_>) -> Result<(), Error> {
        for (number, value) in self.actions_of(path, range)?.into_iter().enumerate() {
            tell(&Told::Action(telling::action(value, number as u32 + 1)?))?;
        }
        Ok(())
    }

    /// The edits of one of them.
    fn apply(
        &self,
        path: &Path,
        range: (Point, Point),
        (number, write): (u32, bool),
        tell: Tell<'_>,
    ) -> Result<(), Error> {
        let found = self.actions_of(path, range)?;
        let count = found.len();
        let value = found.into_iter().nth((number as usize).wrapping_sub(1)).ok_or_else(|| {
            let message = format!("there is no action {number}: there are {count}");
            Error::new(Kind::NotFound, message).of_field("apply")
        })?;
        let mut action = telling::parse_action(value.clone())?;
        if let protocol::Action::Action { edit: None, command: None, data: Some(_), .. } = &action {
            let resolved: Option<Value> = self.ask("codeAction/resolve", &value)?;
            action = telling::parse_action(resolved.unwrap_or(value))?;
        }
        let (edit, command) = match action {
            protocol::Action::Command(command) => (None, Some(command)),
            protocol::Action::Action { disabled: Some(disabled), .. } => {
                return Err(Error::new(Kind::Invalid, format!("the action cannot be taken: {}", disabled.reason)));
            }
            protocol::Action::Action { edit, command, .. } => (edit, command),
        };
        if let Some(edit) = edit {
            return self.edit(edit, None, write, tell).map(drop);
        }
        let command = command.ok_or_else(|| Error::new(Kind::Invalid, "the action does nothing"))?;
        let wanted = {
            let _alone = self.keeper.writing.lock().unwrap_or_else(PoisonError::into_inner);
            self.server().want_edits();
            let params = json!({ "command": command.command, "arguments": command.arguments });
            let done = self.ask::<serde::de::IgnoredAny>("workspace/executeCommand", &params);
            let wanted = self.server().wanted_edits();
            done.map(|_| wanted)?
        };
        let Some(wanted) = wanted.first() else {
            return Err(Error::new(
                Kind::Invalid,
                "the action makes no edit, and nothing else is done for a language server",
            ));
        };
        let wanted: telling::Wanted = serde_json::from_str(wanted.get())
            .map_err(|error| Error::new(Kind::Malformed, format!("the edit of the language server: {error}")))?;
        self.edit(wanted.edit, None, write, tell).map(drop)
    }
}
