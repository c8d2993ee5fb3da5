//! Arguments to a [`Request`]. Pure: opens no file and prints nothing.

mod misuse;
mod narrow;

use super::args::{self, Cli, Rpc, Verb};
use super::run::Commanded;
use crate::error::Problem;
use crate::own::Own;
use crate::verbs::code::Code;
use crate::verbs::create::Create;
use crate::verbs::exec::Exec;
pub use crate::verbs::faults::Env;
use crate::verbs::run::Run;
use crate::verbs::sandbox::Sandbox;
use crate::verbs::wish::home;
use crate::verbs::{self, Reported};
use clap::error::ErrorKind;
use clap::{Args, FromArgMatches};
use misuse::Place;
use std::ffi::OsString;
use std::path::PathBuf;

/// How a word before a verb is shown.
const SANDBOX: &str = "SANDBOX";

/// What an adapter can be asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// `run`.
    Run(Box<Commanded<Run>>),
    /// `code`.
    Code(Box<Commanded<Code>>),
    /// `exec`.
    Exec(Box<Commanded<Exec>>),
    /// What to ask about the host.
    Host(verbs::host::Host),
    /// `volume`, and where volumes are.
    Volume(verbs::volume::Volume),
    /// `warm`.
    Warm(Box<verbs::warm::Warm>),
    /// `net`.
    Net(verbs::net::Net),
    /// `rpc`.
    Rpc(Rpc),
    /// `serve`.
    Serve(args::Serve),
    /// `mcp`.
    Mcp(args::Mcp),
    /// `completions`: `bash`, `zsh` or `fish`.
    Completions(String),
    /// `man`: the directory to write to.
    Man(PathBuf),
    /// `image`.
    Image(verbs::image::Image),
    /// A verb of persistent sandboxes.
    Sandbox(Box<Sandbox>),
    /// `snapshot`.
    Snapshot(verbs::sandbox::Snapshot),
    /// `cp`.
    Copies(verbs::files::Copies),
    /// `fs`.
    Fs(verbs::files::Fs),
    /// Not for people: a role in which belljar starts itself, and where sandboxes are.
    Own(Own, Option<PathBuf>),
    /// `git`.
    Git(Box<verbs::git::Git>),
    /// `lsp`.
    Lsp(Box<verbs::lsp::Lsp>),
    /// `pty`.
    Pty(verbs::pty::Pty),
    /// `preview`.
    Preview(Reported<verbs::preview::Preview>),
    /// `port`.
    Port(verbs::port::Port),
    /// `session`.
    Session(verbs::session::Session),
}

impl Request {
    /// What is wrong with the values of a verb that runs a command, as it is said when it is about to be done.
    pub fn problems(&self, env: Env<'_>) -> Vec<Problem> {
        let (report, request) = match self {
            Request::Run(asked) => (&asked.report, asked.verb.clone().request(env).map(drop)),
            Request::Code(asked) => (&asked.report, asked.verb.clone().request(env).map(drop)),
            Request::Exec(asked) => (&asked.report, asked.verb.clone().request(env).map(drop)),
            _ => return Vec::new(),
        };
        let of_report = report.read().err();
        of_report.into_iter().chain(request.err().into_iter().flat_map(|error| error.problems)).collect()
    }
}

/// Where the result goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One object on stdout.
    pub json: bool,
    /// The same without the output, to a descriptor.
    pub status_fd: Option<i32>,
}

/// Why there is no request.
#[derive(Clone, Debug, PartialEq)]
pub enum Usage {
    /// Help or the version was asked for: text for stdout.
    Asked(String),
    /// The command line is wrong.
    Wrong {
        /// Everything that is wrong with it.
        problems: Vec<Problem>,
        /// 125 for `run`, `code` and `exec`, 2 for all others.
        exit_code: i32,
        /// Where the caller expects to read of it.
        report: Report,
    },
}

/// Reads a command line; the first word is the program's own name.
pub fn parse(args: impl IntoIterator<Item = OsString>, env: Env<'_>) -> Result<Request, Usage> {
    let words: Vec<OsString> = args.into_iter().collect();
    let rest = words.get(1..).unwrap_or_default();
    if let Some(own) = Own::read(rest) {
        let wrong = |problem| Usage::Wrong { problems: vec![problem], exit_code: 2, report: Report::default() };
        return own.map(|own| Request::Own(own, home(env))).map_err(wrong);
    }
    match rest.first().and_then(|word| word.to_str()) {
        // Without the definition of the whole command line, which would take the memory that is there for its workers.
        Some("rpc") if rest.len() == 1 => Ok(Request::Rpc(Rpc::default())),
        Some("exec") => Ok(Request::Exec(Box::new(alone("exec", "belljar exec", rest)?))),
        Some("run") => Ok(Request::Run(Box::new(alone("run", "belljar run", rest)?))),
        Some("code") => Ok(Request::Code(Box::new(alone("code", "belljar code", rest)?))),
        Some("create") => {
            let create = alone::<Reported<Create>>("create", "belljar create", rest).map_err(as_others)?;
            Ok(Request::Sandbox(Box::new(Sandbox::Create(create))))
        }
        _ => match narrow::read(&words).map_or_else(|| whole(&words).map(|cli| cli.verb), Ok)? {
            // Reached by `belljar -- run …` only; the same request.
            Verb::Run(run) => Ok(Request::Run(Box::new(run))),
            Verb::Code(code) => Ok(Request::Code(Box::new(code))),
            Verb::Exec(exec) => Ok(Request::Exec(Box::new(exec))),
            Verb::Sandbox(verb) => Ok(Request::Sandbox(Box::new(verb))),
            Verb::Snapshot(snapshot) => Ok(Request::Snapshot(snapshot.verb)),
            Verb::Pty(pty) => Ok(Request::Pty(pty.verb)),
            Verb::Lsp(lsp) => Ok(Request::Lsp(Box::new(lsp.verb.inside(lsp.sandbox)))),
            Verb::Preview(preview) => Ok(Request::Preview(preview)),
            Verb::Port(port) => Ok(Request::Port(port.verb)),
            Verb::Session(session) => Ok(Request::Session(session.verb)),
            Verb::Copies(verb) => Ok(Request::Copies(verb)),
            Verb::Fs(fs) => Ok(Request::Fs(fs.verb)),
            Verb::Git(git) => Ok(Request::Git(Box::new(git.verb.inside(git.sandbox)))),
            Verb::Image(image) => Ok(Request::Image(image.verb)),
            Verb::Volume(volume) => Ok(Request::Volume(volume.verb)),
            Verb::Warm(warm) => Ok(Request::Warm(Box::new(warm.verb))),
            Verb::Net(net) => Ok(Request::Net(net.verb)),
            Verb::Rpc(rpc) => Ok(Request::Rpc(rpc)),
            Verb::Serve(serve) => Ok(Request::Serve(serve)),
            Verb::Mcp(mcp) => Ok(Request::Mcp(mcp)),
            Verb::Host(verb) => Ok(Request::Host(verb)),
            Verb::Completions(completions) => Ok(Request::Completions(completions.shell)),
            Verb::Man(man) => Ok(Request::Man(man.dir.into())),
        },
    }
}

/// For a verb that takes the options of `run` and ends as all others do.
fn as_others(usage: Usage) -> Usage {
    match usage {
        Usage::Wrong { problems, report, .. } => Usage::Wrong { problems, exit_code: 2, report },
        asked => asked,
    }
}

fn alone<A: Args>(name: &'static str, usage_name: &'static str, words: &[OsString]) -> Result<A, Usage> {
    let mut command = args::alone::<A>(name, usage_name);
    let read = command.try_get_matches_from_mut(words).and_then(|mut matches| A::from_arg_matches_mut(&mut matches));
    read.map_err(|error| usage(&error, &Place { command: &command, name: usage_name }, words, 125))
}

fn whole(words: &[OsString]) -> Result<Cli, Usage> {
    let mut command = args::whole();
    let read = command.try_get_matches_from_mut(words).and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    read.map_err(|error| {
        // The deepest verb that was named; `help` is clap's own.
        let verbs = words.get(1..).unwrap_or_default().iter().map_while(|word| word.to_str());
        let mut place = (&command, "belljar".to_owned());
        for verb in verbs.skip_while(|verb| *verb == "help") {
            place = match place.0.find_subcommand(verb) {
                Some(found) => (found, format!("{} {verb}", place.1)),
                // The sandbox, which stands before the verb.
                None if place.0.has_subcommands() && place.0.get_positionals().next().is_some() => {
                    if place.1.ends_with(SANDBOX) {
                        break;
                    }
                    (place.0, format!("{} {SANDBOX}", place.1))
                }
                None => break,
            };
        }
        usage(&error, &Place { command: place.0, name: &place.1 }, words, 2)
    })
}

/// clap's error in our form.
fn usage(error: &clap::Error, place: &Place<'_>, words: &[OsString], exit_code: i32) -> Usage {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Usage::Asked(error.render().to_string()),
        _ => Usage::Wrong { problems: place.problems(error, words), exit_code, report: expected_report(words) },
    }
}

/// Where a caller whose command line cannot be read wants to hear of it: a tool that asked for JSON must get
/// JSON, whatever else it got wrong.
fn expected_report(words: &[OsString]) -> Report {
    let mut report = Report::default();
    let mut words = words.iter().map(|word| word.to_str().unwrap_or_default()).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        let number = match word {
            "--json" => {
                report.json = true;
                continue;
            }
            "--status-fd" => words.next(),
            other => other.strip_prefix("--status-fd="),
        };
        if let Some(Ok(number)) = number.map(str::parse) {
            report.status_fd = Some(number);
        }
    }
    report
}

#[cfg(test)]
mod tests;
