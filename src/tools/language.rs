//! Language servers: programs inside that know a language, asked by the Language Server Protocol.
//!
//! A server has a keeper, which is a [session](super::session) of its own kind: a process of our own program inside the sandbox. It
//! starts the server when somebody asks, keeps its documents in step with the files, answers what the server asks of an editor, and
//! lets several callers ask at once. It starts a server that died again, stops one that nobody asks, and ends with the sandbox. There is
//! one for each language and project.
//!
//! A server is believed nothing: its messages have a longest length, what it sends unasked is dropped or has a bound, and a question
//! has a time in which it is answered or given up.

mod answer;
mod asking;
mod documents;
mod edits;
mod files;
mod keeper;
mod lines;
mod message;
mod project;
mod protocol;
mod server;
mod table;
mod telling;
mod texts;
mod wait;

pub use answer::answer;
pub use keeper::keep;
pub use message::{Frames, frame};
pub use protocol::{path_of, uri_of};
pub use table::of_path;

use super::Name;
use serde::{Deserialize, Serialize};

/// A question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The language; that of the file's name, where none is said.
    pub language: Option<String>,
    /// The directory of the project; found from the file, where none is said.
    pub project: Option<Name>,
    /// Milliseconds in which there has to be an answer.
    pub timeout_ms: u64,
    /// What columns count.
    pub units: Units,
    /// What is asked.
    pub what: What,
}

/// What columns count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    /// Characters, which are Unicode's code points.
    #[default]
    Characters,
    /// Units of UTF-16, as the protocol's own positions do.
    Utf16,
}

/// What is asked of a server, or of its keeper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// Starts it; nothing where it runs. One [`State`].
    Start {
        /// The command, in the place of the table's.
        server: Vec<String>,
        /// Milliseconds without a question after which it is stopped.
        idle_ms: Option<u64>,
    },
    /// Ends it, and its keeper. One [`State`].
    Stop,
    /// How it is; of all, where no language is named. [`State`]s.
    Look,
    /// The command that would be started. One [`Command`].
    Command,
    /// What could stand there. [`Completion`]s.
    Completions(Place),
    /// What is known of what stands there. One [`Hover`], or none.
    Hover(Place),
    /// How the function is called whose arguments stand there. [`Signature`]s.
    Signature(Place),
    /// Where it is defined. [`Location`]s.
    Definition(Place),
    /// Where it is used, and defined. [`Location`]s.
    References(Place),
    /// What a file defines. [`Symbol`]s.
    Symbols {
        /// The file.
        path: Name,
    },
    /// What the project defines by a name like that. [`Symbol`]s.
    WorkspaceSymbols {
        /// A part of the name.
        query: String,
    },
    /// What is wrong with files. [`Told::File`]s, each with its [`Diagnostic`]s behind it.
    Diagnostics {
        /// The files.
        paths: Vec<Name>,
    },
    /// Gives it another name everywhere. [`Told::File`]s, each with its [`Edit`]s behind it.
    Rename {
        /// Where it stands.
        place: Place,
        /// The name.
        name: String,
        /// Whether files are changed.
        write: bool,
    },
    /// Sets a file as the server would have it. As [`What::Rename`].
    Format {
        /// The file.
        path: Name,
        /// Whether it is changed.
        write: bool,
    },
    /// What could be done there. [`Action`]s; with `apply` the edits of one, as [`What::Rename`].
    Actions {
        /// Where.
        path: Name,
        /// From.
        start: Point,
        /// To.
        end: Point,
        /// The number of the one whose edits are wanted.
        apply: Option<u32>,
        /// Whether files are changed.
        write: bool,
    },
    /// Opens a document, which stays open. One [`State`].
    Open {
        /// The file.
        path: Name,
    },
    /// Closes it again. One [`State`].
    Close {
        /// The file.
        path: Name,
    },
}

impl What {
    /// The file that it is about, if it is about one.
    pub fn path(&self) -> Option<&Name> {
        match self {
            What::Completions(place)
            | What::Hover(place)
            | What::Signature(place)
            | What::Definition(place)
            | What::References(place)
            | What::Rename { place, .. } => Some(&place.path),
            What::Symbols { path }
            | What::Format { path, .. }
            | What::Actions { path, .. }
            | What::Open { path }
            | What::Close { path } => Some(path),
            What::Diagnostics { paths } => paths.first(),
            What::Start { .. } | What::Stop | What::Look | What::Command | What::WorkspaceSymbols { .. } => None,
        }
    }

    /// Whether a server is started for it that does not run.
    fn starts(&self) -> bool {
        !matches!(self, What::Stop | What::Look | What::Close { .. } | What::Command)
    }
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The file.
    pub path: Name,
    /// Where in it.
    #[serde(flatten)]
    pub point: Point,
}

/// A line and a column of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TextPoint"))]
pub struct Point {
    /// From 1.
    pub line: u32,
    /// From 1, in characters (Unicode's code points); with `utf16` in units of UTF-16.
    pub column: u32,
}

/// From one point to another, which is the first that does not belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TextRange"))]
pub struct Range {
    /// The first.
    pub start: Point,
    /// Behind the last.
    pub end: Point,
}

/// How a server is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LanguageServer"))]
pub struct State {
    /// The language.
    pub language: String,
    /// The directory of its project.
    pub project: Name,
    /// Its command.
    pub server: Vec<String>,
    /// What it is doing.
    pub state: Phase,
    /// Documents that are open in it.
    pub documents: u32,
    /// How often it was started again because it had died.
    pub restarts: u32,
    /// Why it died last, or could not be started.
    pub failure: Option<String>,
    /// The session that keeps it.
    pub session: String,
}

/// What a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LanguageServerState"))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It has been started and is not ready.
    Starting,
    /// It answers.
    Running,
    /// It does not run: nobody asked for a while, or it has died. The next question starts it.
    Stopped,
    /// It has been ended, and its keeper with it.
    Ended,
}

impl Phase {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Stopped => "stopped",
            Phase::Ended => "ended",
        }
    }
}

/// The command of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// The language, as the table has it.
    pub language: String,
    /// Program and arguments.
    pub words: Vec<String>,
    /// The directory of the project.
    pub project: Name,
    /// What to do where there is no such program.
    pub cure: String,
}

/// Something that could stand at a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Completion {
    /// As it is shown in a list.
    pub label: String,
    /// What it is, as in `function`.
    pub kind: Option<String>,
    /// More of it, as in its type.
    pub detail: Option<String>,
    /// What is written about it.
    pub documentation: Option<String>,
    /// The text that goes in.
    pub insert: String,
    /// What that text replaces; the word before the place, where nothing is said.
    pub range: Option<Range>,
    /// What a list is sorted by; the label, where nothing is said.
    pub sort: Option<String>,
    /// What what was typed is compared with; the label, where nothing is said.
    pub filter: Option<String>,
    /// Whether it is not to be used any more.
    pub deprecated: bool,
}

/// What is known of what stands at a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "HoverText"))]
pub struct Hover {
    /// What is told.
    pub text: String,
    /// Whether it is Markdown.
    pub markdown: bool,
    /// What it is about.
    pub range: Option<Range>,
}

/// How a function is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Signature {
    /// All of it.
    pub label: String,
    /// What is written about it.
    pub documentation: Option<String>,
    /// Its parameters, as they stand in the label.
    pub parameters: Vec<String>,
    /// Whether it is the one that fits best.
    pub active: bool,
    /// The number of the parameter at the place, from 1.
    pub active_parameter: Option<u32>,
}

/// A range of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CodeLocation"))]
pub struct Location {
    /// The file.
    pub path: Name,
    /// Where in it.
    pub range: Range,
    /// Its first line, shortened where it is long; null where the file cannot be read.
    pub text: Option<String>,
}

/// Something that code defines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CodeSymbol"))]
pub struct Symbol {
    /// What it is called.
    pub name: String,
    /// What it is, as in `class`.
    pub kind: String,
    /// More of it.
    pub detail: Option<String>,
    /// What it is in.
    pub container: Option<String>,
    /// The file.
    pub path: Name,
    /// All of it.
    pub range: Range,
    /// Its name.
    pub selection: Range,
}

/// Something wrong with a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Diagnostic {
    /// Where.
    pub range: Range,
    /// How bad it is.
    pub severity: Severity,
    /// What the server calls it.
    pub code: Option<String>,
    /// Who says so.
    pub source: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "DiagnosticSeverity"))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is wrong.
    Error,
    /// It may be.
    Warning,
    /// It is worth to know.
    Information,
    /// It could be otherwise.
    Hint,
}

impl Severity {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Information => "information",
            Severity::Hint => "hint",
        }
    }
}

/// A piece of a file and what comes in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TextEdit"))]
pub struct Edit {
    /// The piece.
    pub range: Range,
    /// What comes in its place.
    pub text: String,
}

/// Something that could be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CodeAction"))]
pub struct Action {
    /// By which it is asked for, from 1, as long as the file stays as it is.
    pub number: u32,
    /// What it does.
    pub title: String,
    /// What kind of action it is, as in `quickfix`.
    pub kind: Option<String>,
    /// Whether it is the one to take.
    pub preferred: bool,
    /// Why it cannot be taken now.
    pub disabled: Option<String>,
}

/// One thing that is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// How a server is.
    State(State),
    /// Its command.
    Command(Command),
    /// There are more completions than are told.
    Incomplete,
    /// A completion.
    Completion(Completion),
    /// What is known.
    Hover(Hover),
    /// A signature.
    Signature(Signature),
    /// A range of a file.
    Location(Location),
    /// A symbol.
    Symbol(Symbol),
    /// The file that the next diagnostics or edits are of.
    File {
        /// Which.
        path: Name,
        /// Whether the server has said what it knows of it, or it was changed.
        done: bool,
    },
    /// Something wrong with it.
    Diagnostic(Diagnostic),
    /// An edit of it.
    Edit {
        /// What.
        edit: Edit,
        /// Whether the next is a piece of the same text.
        more: bool,
    },
    /// Something that could be done.
    Action(Action),
}
