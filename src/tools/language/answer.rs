//! The tool's part: finds the server that a question is for, has it kept, and passes the question on.

use super::asking::NOTHING_CAME;
use super::project::{self, Wanted};
use super::{Asked, Command, Phase, State, Told, What};
use crate::error::{Error, Kind};
use crate::tools::Name;
use crate::tools::session::{self, Ask, forward};
use crate::tools::wire;
use std::io::Write;
use std::time::Instant;

/// Answers a question.
///
/// # Errors
///
/// What the keeper says, or why there is none.
pub fn answer(asked: &Asked, to: &mut dyn Write) -> Result<(), Error> {
    if asked.language.is_none() && asked.what == What::Look {
        return look_at_all(asked, to);
    }
    let asked = project::with_real_paths(asked);
    match &asked.what {
        What::Diagnostics { paths } if paths.len() > 1 => {
            let mut groups = project::by_server(&asked, paths)?;
            match groups.as_mut_slice() {
                [one] => answer_one(std::mem::replace(one, asked), to),
                _ => answer_each(groups, to),
            }
        }
        _ => answer_one(asked, to),
    }
}

/// The diagnostics of files that several servers know, within one time.
fn answer_each(groups: Vec<Asked>, to: &mut dyn Write) -> Result<(), Error> {
    let (begun, mut silent, mut came) = (Instant::now(), None, false);
    for group in groups {
        let left = group.timeout_ms.saturating_sub(begun.elapsed().as_millis() as u64).max(1);
        match answer_one(Asked { timeout_ms: left, ..group.clone() }, to) {
            Ok(()) => came = true,
            // What the others say is told all the same, and of these that nothing is known.
            Err(error) if error.message == NOTHING_CAME => silent = Some(error),
            Err(error) => return Err(error),
        }
    }
    silent.filter(|_| !came).map_or(Ok(()), Err)
}

fn answer_one(asked: Asked, to: &mut dyn Write) -> Result<(), Error> {
    let wanted = project::wanted(&asked)?;
    if asked.what == What::Command {
        let (language, words) = (wanted.entry.language, wanted.entry.command);
        let project = Name::from(wanted.project.as_path());
        let command = Command { language, words, project, cure: wanted.entry.cure };
        return wire::write_json(to, wire::ITEM, &Told::Command(command)).map_err(|error| Error::of_io(&error));
    }
    let ask = Ask::Language(asked.clone());
    match forward::pass_on(&wanted.id, &ask, to) {
        Err(error) if matches!(error.kind, Kind::NotFound | Kind::Lost) && error.is_of("session") => {
            if !asked.what.starts() {
                let project = Name::from(wanted.project.as_path());
                let message = format!("no language server for {} is kept for {project}", wanted.entry.language);
                return Err(Error::new(Kind::NotFound, message).hint("`belljar lsp ls` lists them"));
            }
            make(&wanted, &asked.what)?;
            forward::pass_on(&wanted.id, &ask, to)
        }
        Err(error) if forward::is_silent(&error, &wanted.id) => silent(&wanted, &asked.what, to),
        answered => answered,
    }
}

/// What becomes of a question to a keeper that does not answer: who wants it to end has it ended.
fn silent(wanted: &Wanted, what: &What, to: &mut dyn Write) -> Result<(), Error> {
    if *what == What::Stop {
        forward::remove(&wanted.id)?;
        let state = state_of(&wanted.id, Phase::Ended, SILENT.to_owned());
        return wire::write_json(to, wire::ITEM, &Told::State(state)).map_err(|error| Error::of_io(&error));
    }
    let message = format!("the language server for {}: {SILENT}", wanted.entry.language);
    Err(Error::new(Kind::TimedOut, message).hint("`belljar lsp stop` ends it in any case"))
}

/// What is said of a keeper that does not answer.
const SILENT: &str = "what keeps it does not answer: it is stopped, or busy";

/// What is known from outside of a server.
fn state_of(id: &str, state: Phase, failure: String) -> State {
    let language = id.strip_prefix(project::PREFIX).and_then(|rest| rest.split('.').next());
    State {
        language: language.unwrap_or_default().to_owned(),
        project: project::of_session(id).map(|project| Name::from(project.as_path())).unwrap_or_default(),
        server: Vec::new(),
        state,
        documents: 0,
        restarts: 0,
        failure: Some(failure),
        session: id.to_owned(),
    }
}

/// Makes the session that keeps the server; it is as good where another was quicker.
fn make(wanted: &Wanted, what: &What) -> Result<(), Error> {
    let (server, idle_ms) = match what {
        What::Start { server, idle_ms } => (server.as_slice(), *idle_ms),
        _ => (&[][..], None),
    };
    let idle_ms = idle_ms.unwrap_or(super::keeper::IDLE.as_millis() as u64);
    let mut words = vec![
        Name::from(wanted.entry.language.as_str()),
        Name::from(wanted.project.as_path()),
        Name::from(idle_ms.to_string().as_str()),
    ];
    words.extend(server.iter().map(|word| Name::from(word.as_str())));
    let directory = Some(Name::from(wanted.project.as_path()));
    match forward::create(&wanted.id, session::Kind::Language, &words, &[], directory.as_ref()) {
        Err(error) if error.kind == Kind::Exists => Ok(()),
        made => made,
    }
}

/// How all are that are kept. One that does not answer does not keep the others from it.
fn look_at_all(asked: &Asked, to: &mut dyn Write) -> Result<(), Error> {
    for id in project::kept() {
        match forward::pass_on(&id, &Ask::Language(asked.clone()), to) {
            Ok(()) => {}
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Lost | Kind::Ended) => {}
            Err(error) => {
                let why = if forward::is_silent(&error, &id) { SILENT.to_owned() } else { error.message };
                let state = state_of(&id, Phase::Stopped, why);
                wire::write_json(to, wire::ITEM, &Told::State(state)).map_err(|error| Error::of_io(&error))?;
            }
        }
    }
    Ok(())
}
