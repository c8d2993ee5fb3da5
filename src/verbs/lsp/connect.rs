//! `lsp connect`: a server of its own for an editor, whose messages go through standard input and output.
//!
//! What the server knows of open documents is the editor's to say, and so it shares it with nobody. Both sides are believed nothing but
//! their messages: one that is too long, or none, ends it. The server ends with the editor, however that ends.

use super::{ask, timeout};
use crate::error::{self, Error, Problem};
use crate::tools::language::{Asked, Command, Frames, Told as Item, Units, What, path_of, uri_of};
use crate::tools::session::stream::{Heard, Stream};
use crate::tools::session::{Ask, Kind};
use crate::tools::{Name, wire};
use crate::verbs::faults::{Env, Faults, problems_of};
use crate::verbs::session::{client, new_id, send_request};
use crate::verbs::words::{Text, Time, Word, many};
use crate::verbs::{Site, Told, Verb};
use clap::Args;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two looks whether nothing has come for too long.
const LOOK_MS: u16 = 1000;
/// What is read at once.
const PIECE: usize = 64 << 10;
/// How long a server has to end when the editor has.
const FAREWELL: Duration = Duration::from_secs(5);
/// What is text of a document or for people, whatever it begins with.
const NO_URI: [&str; 4] = ["text", "newText", "insertText", "value"];

/// `belljar lsp SANDBOX connect`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspConnect"))]
#[command(
    after_help = "An editor takes this command for a language server of its own. Where it sees the project in another directory than the \
sandbox does, `--path LOCAL:INSIDE` translates."
)]
pub struct Connect {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The language
    #[arg(value_name = "LANG")]
    language: Text,
    /// The project's directory inside [default: the sandbox's working directory]
    #[arg(value_name = "PROJECT")]
    project: Option<Word>,
    /// A directory of the editor, and where the sandbox has it; again for others [default: paths are the same]
    #[arg(long, value_name = "LOCAL:INSIDE")]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    path: Vec<Word>,
    /// How long it may take to find the server [default: 20s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    timeout: Option<Time>,
    /// The server's command and its arguments [default: that of the image's table, or of belljar's]
    #[arg(value_name = "COMMAND", last = true, num_args = 0..)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Text>"))]
    server: Vec<Text>,
}

/// How the server ended.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LanguageServerLeft"))]
pub struct Left {
    /// Its exit code; null where it was left to be ended.
    exit_code: Option<i32>,
}

impl Told for Left {
    fn people(&self) -> String {
        String::new()
    }

    fn code(&self) -> i32 {
        self.exit_code.unwrap_or(0)
    }
}

/// Directories here and there.
#[derive(Clone, Debug, Default, PartialEq)]
struct Paths(Vec<(PathBuf, PathBuf)>);

impl Paths {
    fn read(words: &[Word], faults: &mut Faults) -> Paths {
        let mut pairs = Vec::new();
        for word in words {
            let bytes = word.as_bytes();
            let split = bytes.iter().rposition(|byte| *byte == b':').map(|at| (&bytes[..at], &bytes[at + 1..]));
            let pair = split.map(|(local, inside)| (Name(local.to_vec()), Name(inside.to_vec())));
            match pair.filter(|(local, inside)| !local.0.is_empty() && inside.path().is_absolute()) {
                Some((local, inside)) => {
                    let local = std::path::absolute(local.path()).unwrap_or_else(|_| local.path().to_owned());
                    pairs.push((local, inside.path().to_owned()));
                }
                None => {
                    let problem = Problem::new("path", format!("`{}` is no pair of directories", word.display()));
                    faults
                        .0
                        .push(problem.hint("write LOCAL:INSIDE, as in `~/project:/work`, the second from the root"));
                }
            }
        }
        Paths(pairs)
    }

    fn translate(&self, path: &Path, inward: bool) -> Option<PathBuf> {
        self.0.iter().find_map(|(local, inside)| {
            let (from, to) = if inward { (local, inside) } else { (inside, local) };
            let rest = path.strip_prefix(from).ok()?;
            Some(if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) })
        })
    }

    fn uri(&self, text: &str, inward: bool) -> Option<String> {
        let is_one = text.starts_with("file://") && !text.contains(char::is_whitespace);
        let path = if is_one { path_of(text)? } else { return None };
        self.translate(&path, inward).map(|path| uri_of(&path))
    }

    /// All URIs in a value, which are keys too.
    fn apply(&self, value: &mut Value, inward: bool) {
        match value {
            Value::String(text) => {
                if let Some(new) = self.uri(text, inward) {
                    *text = new;
                }
            }
            Value::Array(all) => all.iter_mut().for_each(|one| self.apply(one, inward)),
            Value::Object(map) => {
                for (key, mut one) in std::mem::take(map) {
                    if !(one.is_string() && NO_URI.contains(&key.as_str())) {
                        self.apply(&mut one, inward);
                    }
                    map.insert(self.uri(&key, inward).unwrap_or(key), one);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A message on its way to the server (`inward`) or to the editor.
    fn message(&self, bytes: Vec<u8>, inward: bool) -> io::Result<Vec<u8>> {
        let is_first = inward && bytes.windows(INITIALIZE.len()).any(|part| part == INITIALIZE);
        if self.0.is_empty() && !is_first {
            return Ok(bytes);
        }
        let mut message: Value = serde_json::from_slice(&bytes).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("a message that is no JSON: {error}"))
        })?;
        if message["method"] == "initialize"
            && let Some(params) = message["params"].as_object_mut()
        {
            self.first(params);
        }
        self.apply(&mut message, inward);
        Ok(message.to_string().into_bytes())
    }

    /// What the editor says of itself.
    fn first(&self, params: &mut Map<String, Value>) {
        // A number of a process out here, by which a server would think in there that the editor has ended.
        params.insert("processId".to_owned(), Value::Null);
        let root =
            params.get("rootPath").and_then(Value::as_str).and_then(|path| self.translate(Path::new(path), true));
        if let Some(root) = root {
            params.insert("rootPath".to_owned(), Value::from(root.to_string_lossy()));
        }
    }
}

/// What stands in the first message.
const INITIALIZE: &[u8] = b"\"initialize\"";

impl Connect {
    fn asked(&self) -> Result<(Asked, Paths), Error> {
        let mut faults = Faults::default();
        let paths = Paths::read(&self.path, &mut faults);
        let timeout_ms = timeout(self.timeout.as_ref(), &mut faults).as_millis() as u64;
        faults.none()?;
        let (language, project) = (Some(self.language.0.clone()), self.project.clone().map(Name::from));
        Ok((Asked { language, project, timeout_ms, units: Units::default(), what: What::Command }, paths))
    }

    /// The command of the server, and where it begins.
    fn command(&self, site: &Site<'_>, asked: Asked) -> Result<Command, Error> {
        let mut command = None;
        ask(site, &self.sandbox, asked, &mut |told| match told {
            Item::Command(one) => {
                command = Some(one);
                true
            }
            _ => false,
        })?;
        let mut command = command.ok_or_else(|| crate::tools::said(&wire::nonsense("no command")))?;
        if !self.server.is_empty() {
            command.words = self.server.iter().map(|word| word.0.clone()).collect();
        }
        if command.words.is_empty() {
            let message = format!("no language server is known for `{}`", command.language);
            return Err(Error::new(error::Kind::NotFound, message)
                .of_field("language")
                .hint("give its command behind `--`, or have it in the image's table: docs/language-servers.md"));
        }
        Ok(command)
    }
}

impl Verb for Connect {
    type Told = Left;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.asked())
    }

    fn run(self, site: &Site<'_>) -> Result<Left, Error> {
        let (asked, paths) = self.asked()?;
        let home = site.home()?;
        let command = self.command(site, asked)?;
        let out = site.raw_output()?;
        let id = new_id("lsp-connect");
        let create = Ask::Create {
            kind: Kind::Bridge,
            words: command.words.iter().map(|word| Name::from(word.as_str())).collect(),
            env: Vec::new(),
            directory: Some(command.project),
        };
        send_request(home, &self.sandbox, &id, create).map_err(|error| match error.kind {
            error::Kind::NoCommand => error.hint(command.cure),
            _ => error,
        })?;
        let stream = Stream::open(client(home, &self.sandbox)?, &id, None)?;
        let words = (site.live_error)();
        let bridge =
            Bridge { stream, paths, out, words, to: Vec::new(), come: Frames::default(), told: Frames::default() };
        bridge.run()
    }
}

/// An editor and its server.
struct Bridge {
    stream: Stream,
    paths: Paths,
    out: Box<dyn Write + Send>,
    /// Where the server's standard error goes.
    words: Box<dyn Write + Send>,
    /// What the server has not taken yet.
    to: Vec<u8>,
    /// What the editor says.
    come: Frames,
    /// What the server says.
    told: Frames,
}

fn malformed(who: &str) -> impl Fn(io::Error) -> Error {
    let who = who.to_owned();
    move |error| Error::new(error::Kind::Malformed, format!("the {who} does not speak the protocol: {error}"))
}

impl Bridge {
    fn run(mut self) -> Result<Left, Error> {
        let stdin = io::stdin();
        let (mut piece, mut left) = (vec![0; PIECE], None::<Instant>);
        loop {
            while self.stream.is_ready() && !self.to.is_empty() {
                let count = self.stream.send(&self.to);
                self.to.drain(..count);
            }
            if left.is_some() && self.to.is_empty() {
                self.stream.end_input();
            }
            if let Some(end) = self.step()? {
                return Ok(Left { exit_code: end });
            }
            if left.is_some_and(|at| at.elapsed() > FAREWELL) {
                return Ok(Left { exit_code: None });
            }
            let takes = left.is_none() && self.to.is_empty();
            let mut list: Vec<PollFd<'_>> =
                takes.then(|| PollFd::new(stdin.as_fd(), PollFlags::POLLIN)).into_iter().collect();
            self.stream.interests(&mut list);
            match poll(&mut list, LOOK_MS) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::of_io(&errno.into())),
            }
            let has_come = takes && list[0].any().unwrap_or(false);
            drop(list);
            if has_come {
                let count = nix::unistd::read(&stdin, &mut piece).map_err(|errno| Error::of_io(&errno.into()))?;
                if count == 0 {
                    left = Some(Instant::now());
                }
                self.come.take(&piece[..count]);
                while let Some(message) = self.come.following().map_err(malformed("editor"))? {
                    let message = self.paths.message(message, true).map_err(malformed("editor"))?;
                    self.to.extend(crate::tools::language::frame(&message));
                }
            }
        }
    }

    /// Moves what can be moved; the exit code of the server, if it has ended.
    fn step(&mut self) -> Result<Option<Option<i32>>, Error> {
        let (told, words) = (&mut self.told, &mut self.words);
        let end = self.stream.step(&mut |heard| match heard {
            Heard::Output(bytes) => {
                told.take(bytes);
                Ok(())
            }
            // Whoever does not want to hear it does not end the server.
            Heard::Error(bytes) => words.write_all(bytes).or(Ok(())),
        })?;
        let mut said = false;
        while let Some(message) = self.told.following().map_err(malformed("language server"))? {
            let message = self.paths.message(message, false).map_err(malformed("language server"))?;
            let frame = crate::tools::language::frame(&message);
            self.out.write_all(&frame).map_err(|error| Error::of_io(&error))?;
            said = true;
        }
        if said {
            self.out.flush().map_err(|error| Error::of_io(&error))?;
        }
        Ok(end.map(|end| end.exit_code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths() -> Paths {
        let mut faults = Faults::default();
        let paths = Paths::read(&["/home/a b/p:/work".into()], &mut faults);
        assert_eq!(faults.none(), Ok(()));
        paths
    }

    fn sent(message: &Value, inward: bool) -> Value {
        let sent = paths().message(message.to_string().into_bytes(), inward).unwrap();
        serde_json::from_slice(&sent).unwrap()
    }

    #[test]
    fn uris_are_translated_both_ways_as_values_and_keys_and_texts_are_not() {
        let here = json!({ "method": "x", "params": { "uri": "file:///home/a%20b/p/x.py", "text": "file:///home/a%20b/p",
            "changes": { "file:///home/a%20b/p": ["file:///home/a%20b/pp", "file:///etc"] } } });
        let there = json!({ "method": "x", "params": { "uri": "file:///work/x.py", "text": "file:///home/a%20b/p",
            "changes": { "file:///work": ["file:///home/a%20b/pp", "file:///etc"] } } });
        assert_eq!(sent(&here, true), there);
        let mut back = here;
        back["params"]["text"] = json!("file:///home/a%20b/p");
        assert_eq!(sent(&there, false), back);
    }

    #[test]
    fn the_editors_process_is_no_process_in_there() {
        let first = json!({ "method": "initialize", "params": { "processId": 7, "rootPath": "/home/a b/p/q", "rootUri": null } });
        let params = sent(&first, true)["params"].clone();
        assert_eq!(params, json!({ "processId": null, "rootPath": "/work/q", "rootUri": null }));
        let plain = Paths::default().message(first.to_string().into_bytes(), true).unwrap();
        let plain: Value = serde_json::from_slice(&plain).unwrap();
        assert_eq!(plain["params"]["processId"], json!(null));
        let other = b"{ \"a\" : 1 }".to_vec();
        assert_eq!(Paths::default().message(other.clone(), true).unwrap(), other);
    }

    #[test]
    fn a_pair_that_is_none_is_refused() {
        for word in ["/a", "/a:b", ":/b", "/a:"] {
            let mut faults = Faults::default();
            Paths::read(&[word.into()], &mut faults);
            assert_eq!(faults.0.len(), 1, "{word}");
        }
    }
}
