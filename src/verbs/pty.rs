//! `pty`: terminals in a sandbox that keep running between calls. Each is a session of one command.

mod attach;

use super::faults::{Env, Faults, problems_of};
use super::session::{Made, Ran, send_request};
use super::words::{Text, Word, many, number};
use super::{Site, Told, Verb, table};
use crate::error::{self, Error, Problem};
use crate::tools::Name;
use crate::tools::session::{Ask, Kind};
use clap::Args;
use serde::{Deserialize, Serialize};

table! {
    /// What to do with terminals.
    Pty, METHODS, described {
        /// Start a shell, or a command, with a terminal of its own
        Create(Create) = "pty.create",
        /// Look at it and type into it; Ctrl-] leaves it alone again
        Attach(Attach) = "pty.attach",
        /// Give it another size
        Resize(Resize) = "pty.resize",
    }
}

/// `belljar pty create`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Create {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The session
    #[arg(value_name = "ID")]
    id: Text,
    /// Where it begins [default: the sandbox's working directory]
    #[arg(long, value_name = "DIR")]
    workdir: Option<Word>,
    /// The command and its arguments [default: bash, or sh]
    #[arg(value_name = "COMMAND", last = true, num_args = 0..)]
    #[serde(default, deserialize_with = "many")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrMany<Word>"))]
    command: Vec<Word>,
}

impl Verb for Create {
    type Told = Made;

    fn run(self, site: &Site<'_>) -> Result<Made, Error> {
        let home = site.home()?;
        let kind = Kind::Terminal;
        let ask = Ask::Create {
            kind,
            words: self.command.into_iter().map(|word| Name::from(word.0)).collect(),
            env: Vec::new(),
            directory: self.workdir.map(|word| Name::from(word.0)),
        };
        send_request(home, &self.sandbox, &self.id, ask)?;
        Ok(Made { session: self.id.0, kind })
    }

    /// As shells have it, where the command is not started.
    fn exit_code(error: &Error) -> i32 {
        match error.kind {
            error::Kind::NoCommand | error::Kind::NotExecutable => error.exit_code(),
            _ => super::exit_code(error),
        }
    }
}

/// `belljar pty attach`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Attach {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The session
    #[arg(value_name = "ID")]
    id: Text,
}

impl Verb for Attach {
    type Told = Ran;

    fn run(self, site: &Site<'_>) -> Result<Ran, Error> {
        attach::attach(&self, site)
    }
}

/// `belljar pty resize`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Resize {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
    /// The session
    #[arg(value_name = "ID")]
    id: Text,
    /// Columns
    #[arg(value_name = "COLUMNS")]
    #[serde(deserialize_with = "number")]
    columns: u16,
    /// Rows
    #[arg(value_name = "ROWS")]
    #[serde(deserialize_with = "number")]
    rows: u16,
}

/// The size that a terminal has now.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TerminalResized"))]
pub struct Resized {
    /// The session.
    session: String,
    /// Its columns.
    columns: u16,
    /// Its rows.
    rows: u16,
}

impl Resize {
    fn size(&self) -> Result<(u16, u16), Error> {
        let sides = [("columns", self.columns), ("rows", self.rows)];
        let wrong = sides.into_iter().filter(|(_, count)| !(1..=1000).contains(count));
        let problem = |(field, count)| Problem::new(field, format!("`{count}` is not from 1 to 1000"));
        let faults = Faults(wrong.map(problem).collect());
        faults.none().map(|()| (self.columns, self.rows))
    }
}

impl Verb for Resize {
    type Told = Resized;

    fn faults(self, _: Env<'_>) -> Vec<Problem> {
        problems_of(self.size())
    }

    fn run(self, site: &Site<'_>) -> Result<Resized, Error> {
        let home = site.home()?;
        let (columns, rows) = self.size()?;
        send_request(home, &self.sandbox, &self.id, Ask::Resize { columns, rows })?;
        Ok(Resized { session: self.id.0, columns, rows })
    }
}

impl Told for Resized {
    fn people(&self) -> String {
        format!("{}: {} columns, {} rows\n", self.session, self.columns, self.rows)
    }
}
