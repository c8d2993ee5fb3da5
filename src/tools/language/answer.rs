//! The tool's part: finds the server that a question is for, has it kept, and passes the question on.

use super::project::{self, Wanted};
use super::{Asked, Command, Phase, State, Told, What};
use crate::error::{Error, Kind};
use crate::tools::Name;
use crate::tools::session::{self, Ask, forward};
use crate::tools::wire;
use std::io::Write;

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
        answered => answered,
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
                let language = id.strip_prefix(project::PREFIX).and_then(|rest| rest.split('.').next());
                let state = State {
                    language: language.unwrap_or_default().to_owned(),
                    project: Name::default(),
                    server: Vec::new(),
                    state: Phase::Stopped,
                    documents: 0,
                    restarts: 0,
                    failure: Some(error.message),
                    session: id.clone(),
                };
                wire::write_json(to, wire::ITEM, &Told::State(state)).map_err(|error| Error::of_io(&error))?;
            }
        }
    }
    Ok(())
}
