//! The three threads of a server: what it is told, what it says, what it writes to standard error.

use super::{LAST_WORDS, Published, Server};
use crate::error::{Error, Kind};
use crate::tools::language::message::{self, Message};
use crate::tools::language::protocol;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::io::{self, BufReader, Read as _, Write as _};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// Bytes of the diagnostics of one file.
const MOST_DIAGNOSTICS: usize = 1 << 20;
/// How long it takes at most until the exit code of a process is known that has closed its output.
const REAPED: Duration = Duration::from_millis(500);

impl Server {
    /// Gives it what it is told, as fast as it reads.
    pub(super) fn tell(&self, mut to: ChildStdin) {
        loop {
            let next = {
                let mut state = self.lock();
                loop {
                    if state.gone.is_some() {
                        return;
                    }
                    if let Some(next) = state.waiting.pop_front() {
                        break next;
                    }
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            };
            let written = to.write_all(&next);
            self.lock().length -= next.len();
            if written.is_err() {
                // Why it reads no more is said by whoever hears it.
                return;
            }
        }
    }

    /// Hears what it says, until it has ended.
    pub(super) fn hear(&self, from: ChildStdout) {
        let (mut from, mut bytes) = (BufReader::with_capacity(64 << 10, from), Vec::new());
        let error = loop {
            match message::read(&mut from, &mut bytes) {
                Ok(true) => {}
                Ok(false) => break self.death(),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break self.death(),
                Err(error) => break self.malformed(&error.to_string()),
            }
            let taken = match serde_json::from_slice::<Message>(&bytes) {
                Ok(message) => self.take(message),
                Err(error) => break self.malformed(&format!("a message that is no JSON-RPC: {error}")),
            };
            if let Err(error) = taken {
                break error;
            }
            if bytes.capacity() > 1 << 20 {
                bytes = Vec::new();
            }
        };
        self.fail(error);
    }

    /// How it ended.
    fn death(&self) -> Error {
        let until = Instant::now() + REAPED;
        let mut state = self.lock();
        while state.code.is_none() && Instant::now() < until {
            state = self.changed.wait_timeout(state, REAPED).unwrap_or_else(PoisonError::into_inner).0;
        }
        let how = match state.code {
            Some(code) if code > 128 => format!("was killed by signal {}", code - 128),
            Some(code) => format!("ended with exit code {code}"),
            None => "has closed its output".to_owned(),
        };
        let words = String::from_utf8_lossy(&state.last_words).trim().to_owned();
        let error = Error::new(Kind::Ended, format!("the language server `{}` {how}", self.name));
        match words.lines().last() {
            Some(_) => error.hint(format!("the next question starts it again; it said: {words}")),
            None => error.hint("the next question starts it again"),
        }
    }

    /// Keeps what it wrote to standard error last.
    pub(super) fn overhear(&self, mut words: ChildStderr) {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = words.read(&mut piece) {
            let mut state = self.lock();
            state.last_words.extend_from_slice(piece.get(..count).unwrap_or_default());
            let over = state.last_words.len().saturating_sub(LAST_WORDS);
            state.last_words.drain(..over);
        }
    }

    /// One message.
    fn take(&self, message: Message) -> Result<(), Error> {
        match (message.id, message.method) {
            (Some(id), Some(method)) => self.answer(&id, &method, message.params),
            (Some(id), None) => {
                let answered = message.error.map_or(Ok(message.result), Err);
                // Under a number that is none of ours, or an old one, it answers nothing.
                let Ok(number) = id.get().parse::<i64>() else { return Ok(()) };
                let mut state = self.lock();
                if let Some(slot) = state.awaited.get_mut(&number) {
                    *slot = Some(answered);
                    state.unanswered.clear();
                    self.changed.notify_all();
                } else if state.unanswered.contains(&number) {
                    // Nobody waits for that any more, and it is slow and not dead.
                    state.unanswered.clear();
                }
                Ok(())
            }
            (None, Some(method)) if method == "textDocument/publishDiagnostics" => {
                let params = message.params.ok_or_else(|| self.malformed("diagnostics of nothing"))?;
                let said: protocol::Published = serde_json::from_str(params.get())
                    .map_err(|error| self.malformed(&format!("its diagnostics: {error}")))?;
                let Some(path) = protocol::path_of(&said.uri) else { return Ok(()) };
                let diagnostics = (said.diagnostics.get().len() <= MOST_DIAGNOSTICS).then(|| said.diagnostics.into());
                // Only of files that are open: a server may know of thousands.
                if let Some(slot) = self.lock().published.get_mut(&path) {
                    *slot = Some(Published { version: said.version, at: Instant::now(), diagnostics });
                    self.changed.notify_all();
                }
                Ok(())
            }
            (None, Some(_)) => Ok(()),
            (None, None) => Err(self.malformed("a message that says nothing")),
        }
    }

    /// Answers what it asks of an editor.
    fn answer(&self, id: &RawValue, method: &str, params: Option<Box<RawValue>>) -> Result<(), Error> {
        let result = match method {
            "workspace/configuration" => {
                let params: Value =
                    params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
                let items = params["items"].as_array().into_iter().flatten();
                Ok(items.map(|item| self.setting(item["section"].as_str().unwrap_or_default())).collect())
            }
            "workspace/workspaceFolders" => Ok(self.folders.clone()),
            "workspace/applyEdit" => {
                let mut state = self.lock();
                match (&mut state.wanted, params) {
                    (Some(wanted), Some(params)) if wanted.is_empty() => {
                        wanted.push(params);
                        Ok(json!({ "applied": true }))
                    }
                    _ => Ok(json!({ "applied": false, "failureReason": "nobody has asked for an edit" })),
                }
            }
            "window/showDocument" => Ok(json!({ "success": false })),
            "client/registerCapability"
            | "client/unregisterCapability"
            | "window/workDoneProgress/create"
            | "window/showMessageRequest"
            | "workspace/codeLens/refresh"
            | "workspace/diagnostic/refresh"
            | "workspace/inlayHint/refresh"
            | "workspace/semanticTokens/refresh" => Ok(Value::Null),
            _ => Err(json!({ "code": -32601, "message": "belljar does not do that" })),
        };
        let answer = match result {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
        };
        self.send(&answer)
    }

    /// What the table says under a name with dots in it.
    fn setting(&self, section: &str) -> Value {
        let parts = section.split('.').filter(|part| !part.is_empty());
        let mut at = self.settings.as_ref();
        for part in parts {
            at = at.and_then(|at| at.get(part));
        }
        at.cloned().unwrap_or_default()
    }
}
