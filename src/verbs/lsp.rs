//! `lsp`: what language servers in a sandbox know of its code.
//!
//! A verb is a question for the keeper inside ([`language`]), which starts the server where none runs. Places are lines and columns
//! from 1, as editors show them, and columns count characters unless somebody asks for units of UTF-16, which the protocol counts.
//!
//! On the command line the sandbox stands before the verb, `belljar lsp SANDBOX hover`; in `rpc` it is a parameter like the others.

mod change;
mod connect;
mod diagnostics;
mod look;
mod server;

pub use change::{Actions, Format, Rename};
pub use connect::Connect;
pub use diagnostics::Diagnostics;
pub use look::{Completions, Definition, Find, Hover, References, Signature, Symbols};
pub use server::{Close, Ls, Open, Start, Stop};

use super::faults::Faults;
use super::words::{Text, Time, Word, number_or_none};
use super::{Site, table};
use crate::error::{Error, Problem};
use crate::spec;
use crate::tools::language::{self, Asked, Place, Point, Told, Units, What};
use crate::tools::session::Ask;
use crate::tools::{Most, Name, Request, wire};
use clap::Args;
use serde::Deserialize;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

table! {
    /// What to do with language servers.
    Lsp, METHODS, described {
        /// Start the server of a language for a project, if it does not run
        Start(Start) = "lsp.start",
        /// End it
        Stop(Stop) = "lsp.stop",
        /// List the servers of a sandbox
        Ls(Ls) = "lsp.ls",
        /// List what could stand at a place
        Completions(Completions) = "lsp.completions",
        /// Tell what stands at a place: its type and what is written about it
        Hover(Hover) = "lsp.hover",
        /// Tell how the function is called whose arguments stand at a place
        Signature(Signature) = "lsp.signature",
        /// Find where it is defined that stands at a place
        Definition(Definition) = "lsp.definition",
        /// Find where it is used that stands at a place
        References(References) = "lsp.references",
        /// List what a file defines
        Symbols(Symbols) = "lsp.symbols",
        /// Find what a project defines by a part of the name
        Find(Find) = "lsp.find",
        /// Tell what is wrong with files
        Diagnostics(Diagnostics) = "lsp.diagnostics",
        /// Give another name to what stands at a place, everywhere
        Rename(Rename) = "lsp.rename",
        /// Set a file as the server would have it
        Format(Format) = "lsp.format",
        /// List what could be done at a place, or do it
        Actions(Actions) = "lsp.actions",
        /// Open a document, which stays open
        Open(Open) = "lsp.open",
        /// Close it again
        Close(Close) = "lsp.close",
        /// Be a language server for an editor, on standard input and output
        Connect(Connect) = "lsp.connect",
    }
}

impl Lsp {
    /// The same in that sandbox, which stands before the verb on the command line.
    pub fn inside(mut self, sandbox: Text) -> Lsp {
        let place = match &mut self {
            Lsp::Start(asked) => &mut asked.verb.sandbox,
            Lsp::Stop(asked) => &mut asked.verb.sandbox,
            Lsp::Ls(asked) => &mut asked.verb.sandbox,
            Lsp::Completions(asked) => &mut asked.verb.of.sandbox,
            Lsp::Hover(asked) => &mut asked.verb.of.sandbox,
            Lsp::Signature(asked) => &mut asked.verb.of.sandbox,
            Lsp::Definition(asked) => &mut asked.verb.of.sandbox,
            Lsp::References(asked) => &mut asked.verb.of.sandbox,
            Lsp::Symbols(asked) => &mut asked.verb.of.sandbox,
            Lsp::Find(asked) => &mut asked.verb.sandbox,
            Lsp::Diagnostics(asked) => &mut asked.verb.of.sandbox,
            Lsp::Rename(asked) => &mut asked.verb.of.sandbox,
            Lsp::Format(asked) => &mut asked.verb.of.sandbox,
            Lsp::Actions(asked) => &mut asked.verb.of.sandbox,
            Lsp::Open(asked) => &mut asked.verb.of.sandbox,
            Lsp::Close(asked) => &mut asked.verb.of.sandbox,
            Lsp::Connect(asked) => &mut asked.verb.sandbox,
        };
        *place = sandbox;
        self
    }
}

/// How long a question may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How much longer the tool inside may take, whose keeper counts that time.
const LONGER: Duration = Duration::from_secs(15);
/// The longest time that makes sense.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Which server, and how long it has.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspOf"))]
pub struct Of {
    /// The sandbox, by its name or the beginning of its id
    #[arg(skip)]
    pub sandbox: Text,
    /// The language [default: that of the file's name]
    #[arg(long, value_name = "LANG")]
    language: Option<Text>,
    /// The project's directory [default: the nearest above the file that looks like one]
    #[arg(long, value_name = "DIR")]
    project: Option<Word>,
    /// How long it may take [default: 20s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    timeout: Option<Time>,
    /// Columns count units of UTF-16, as the protocol does, instead of characters
    #[arg(long)]
    #[serde(default)]
    utf16: bool,
}

impl Of {
    /// The question, with what is wrong with its values.
    fn asked(self, what: What, faults: &mut Faults) -> (Text, Asked) {
        let timeout_ms = timeout(self.timeout.as_ref(), faults).as_millis() as u64;
        let language = self.language.map(|language| language.0);
        let units = if self.utf16 { Units::Utf16 } else { Units::Characters };
        (self.sandbox, Asked { language, project: self.project.map(Name::from), timeout_ms, units, what })
    }
}

/// How long a question may take.
fn timeout(word: Option<&Time>, faults: &mut Faults) -> Duration {
    let read = word.and_then(|time| faults.unit("timeout", &**time, spec::parse_duration));
    read.unwrap_or(TIMEOUT).min(LONGEST)
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LspAt"))]
pub struct At {
    /// The file inside and the place in it, as FILE:LINE:COLUMN; both count from 1
    #[arg(value_name = "FILE:LINE:COLUMN")]
    file: Word,
    /// The line, from 1, where it does not stand behind the file
    #[arg(long, value_name = "N")]
    #[serde(default, deserialize_with = "number_or_none")]
    line: Option<u32>,
    /// The column, from 1, where it does not stand behind the file
    #[arg(long, value_name = "N")]
    #[serde(default, deserialize_with = "number_or_none")]
    column: Option<u32>,
}

/// What stands before and behind the last colon, where that is a number.
fn split_number(word: &[u8]) -> Option<(&[u8], u32)> {
    let at = word.iter().rposition(|byte| *byte == b':')?;
    let digits = std::str::from_utf8(word.get(at + 1..)?).ok()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((word.get(..at)?, digits.parse().ok().filter(|_| is_number)?))
}

impl At {
    /// The place, if it is one.
    fn place(&self, faults: &mut Faults) -> Place {
        let bytes = self.file.as_bytes();
        let (path, line, column) = match (self.line, self.column) {
            (Some(line), Some(column)) => (bytes, line, column),
            (None, None) => {
                match split_number(bytes).and_then(|(rest, column)| Some((split_number(rest)?, column))) {
                    Some(((path, line), column)) => (path, line, column),
                    None => {
                        let problem = Problem::new("file", format!("`{}` names no place", Name(bytes.to_vec())));
                        faults.0.push(problem.hint(
                            "write FILE:LINE:COLUMN, as in `src/main.py:12:5`, or give both numbers by their names",
                        ));
                        (bytes, 1, 1)
                    }
                }
            }
            (line, _) => {
                let missing = if line.is_none() { "line" } else { "column" };
                faults
                    .0
                    .push(Problem::new(missing, "is missing").hint("give line and column, or write FILE:LINE:COLUMN"));
                (bytes, 1, 1)
            }
        };
        for (name, number) in [("line", line), ("column", column)] {
            if number == 0 {
                faults.0.push(Problem::new(name, "is 0").hint("lines and columns count from 1"));
            }
        }
        Place { path: file(OsStr::from_bytes(path), faults), point: Point { line, column } }
    }
}

/// The path of a file.
fn file(word: &OsStr, faults: &mut Faults) -> Name {
    if word.is_empty() {
        faults.0.push(Problem::new("file", "is empty"));
    }
    Name(word.as_bytes().to_vec())
}

/// Asks, and takes in what is told.
fn ask(site: &Site<'_>, sandbox: &str, asked: Asked, each: &mut (dyn FnMut(Told) -> bool + Send)) -> Result<(), Error> {
    let mut client = super::session::client(site.home()?, sandbox)?;
    client.answers_within(LONGER);
    let request = Request::Session { id: None, ask: Ask::Language(asked) };
    client.list(&request, Most::Many, &mut |told: Told| {
        if each(told) { Ok(()) } else { Err(wire::nonsense("nothing that was asked for")) }
    })
}

/// How a server is, after something that says it.
fn ask_state(site: &Site<'_>, sandbox: &str, asked: Asked) -> Result<language::State, Error> {
    let mut state = None;
    ask(site, sandbox, asked, &mut |told| match told {
        Told::State(one) => {
            state = Some(one);
            true
        }
        _ => false,
    })?;
    state.ok_or_else(|| crate::tools::said(&wire::nonsense("no state of a language server")))
}

/// A verb whose fields are those of several structs.
macro_rules! made_of {
    ($($verb:ident { $($part:ident: $kind:ty),+ })+) => {$(
        impl crate::verbs::parameters::Take for $verb {
            fn take(
                given: &mut serde_json::Map<String, serde_json::Value>,
                problems: &mut Vec<crate::error::Problem>,
            ) -> Option<$verb> {
                $(let $part = <$kind as crate::verbs::parameters::Take>::take(given, problems);)+
                Some($verb { $($part: $part?),+ })
            }

            fn names() -> Vec<&'static str> {
                [$(<$kind as crate::verbs::parameters::Take>::names()),+].concat()
            }
        }
    )+};
}

use made_of;

#[cfg(test)]
mod tests {
    use super::*;

    fn place(file: &str, line: Option<u32>, column: Option<u32>) -> Result<Place, String> {
        let mut faults = Faults::default();
        let place = At { file: file.into(), line, column }.place(&mut faults);
        faults.none().map(|()| place).map_err(|error| error.message)
    }

    #[test]
    fn a_place_stands_behind_the_file_or_has_names() {
        let of = |path: &str, line, column| Ok(Place { path: path.into(), point: Point { line, column } });
        assert_eq!(place("a.py:3:5", None, None), of("a.py", 3, 5));
        assert_eq!(place("a:7.py:3:5", None, None), of("a:7.py", 3, 5));
        assert_eq!(place("a.py:3:5", Some(1), Some(2)), of("a.py:3:5", 1, 2));
        for (file, line, column, complaint) in [
            ("a.py", None, None, "file: `a.py` names no place"),
            ("a.py:3", None, None, "file: `a.py:3` names no place"),
            ("a.py:3:+5", None, None, "file: `a.py:3:+5` names no place"),
            ("a.py", Some(3), None, "column: is missing"),
            ("a.py", None, Some(3), "line: is missing"),
            ("a.py:0:1", None, None, "line: is 0"),
            (":1:1", None, None, "file: is empty"),
        ] {
            assert_eq!(place(file, line, column), Err(complaint.to_owned()));
        }
    }
}
