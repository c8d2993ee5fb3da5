//! Code in a persistent sandbox: once, or in an interpreter that stays.

use super::Existing;
use crate::error::{self, Error, Problem};
use crate::outcome::Outcome;
use crate::program;
use crate::sandbox::{self, Exec};
use crate::spec::{Language, Source, Spec};
use crate::tools::bulk::Sink;
use crate::tools::session::{Ask, Kind};
use crate::tools::{Name, Request, wire};
use crate::verbs::Site;
use crate::verbs::faults::Faults;
use crate::verbs::session::{COPY_IT, Collected, Context, LONGEST, Ran, client, new_id, send_request, wait_for};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

/// As a command, with the code as a file inside where it comes as one.
///
/// # Errors
///
/// As of `exec`, and where the code cannot be read or copied in.
pub fn once(there: Existing, site: &Site<'_>) -> Result<(Outcome, Spec), Error> {
    let Existing { sandbox, code, exec: command, .. } = there;
    let run = |words: Vec<OsString>| {
        let command = Exec { words, ..command.clone() };
        sandbox::exec(&site.sandboxes()?, &sandbox, Some(&site.store()?), &command, site.delivery())
    };
    let file = match &code.source {
        Source::File(path) => path.clone(),
        Source::Text(text) if text.len() > program::LONGEST_ARGUMENT => PathBuf::new(),
        Source::Text(_) | Source::Stdin => return run(program::code_words(&code, None)),
    };
    let name = program::file_name(&file, code.language);
    let directory = format!("/tmp/.belljar-{}", new_id("code"));
    let path = Name::from(format!("{directory}/{name}").as_str());
    let mut client = client(site.home()?, &sandbox)?;
    let mut send = |to: &mut dyn Sink| match &code.source {
        Source::Text(text) => to.write_all(text.as_bytes()).map_err(|error| Error::of_io(&error)),
        _ => File::open(&file)
            .and_then(|mut from| io::copy(&mut from, to))
            .map(drop)
            .map_err(|error| Error::of_io(&error).about(&Name::from(file.as_path()))),
    };
    let write = Request::Write { path: path.clone(), mode: Some(0o444), parents: true, append: false };
    client.ask(&write, Some(&mut send), &mut |_| Ok(()), &mut |_| Ok(()))?;
    let ran = run(program::code_words(&code, Some(path.path().as_os_str())));
    let gone = Request::Remove { path: Name::from(directory.as_str()), recursive: true, force: true };
    // The sandbox may have ended with the command.
    let _ = client.order(&gone);
    ran
}

/// In an interpreter, which is started where there is none.
///
/// # Errors
///
/// As of a session, and where the code cannot be read.
pub fn in_context(request: &Existing, id: &str, site: &Site<'_>) -> Result<Ran, Error> {
    let kind = match request.code.language {
        Language::Python => Kind::Python,
        Language::Node => Kind::Node,
        Language::Shell => Kind::Shell,
    };
    let mut faults = Faults::default();
    if !request.code.args.is_empty() {
        faults.0.push(Problem::new("file", "code in a context has no arguments"));
    }
    if request.exec.output_limit.is_some() {
        let problem = Problem::new("output_limit", "does not go with `context`, which keeps 10 MiB of each job");
        faults.0.push(problem.hint("leave `--output-limit` out"));
    }
    faults.none()?;
    if let Some(directory) = &request.save {
        std::fs::create_dir_all(directory)
            .map_err(|error| Error::of_io(&error).about(&Name::from(directory.as_path())))?;
    }
    let text = text(&request.code.source)?;
    let timeout_ms = request.exec.timeout.as_ref().map(Duration::as_millis).map(|time| time as u64);
    let (home, sandbox) = (site.home()?, request.sandbox.as_str());
    let mut said = Collected::new(site, request.save.clone());
    said.is_of_context(Context::Continued);
    let ask = || Ask::Run { kind, text: text.clone(), wait: true, timeout_ms };
    let how = match wait_for(home, (sandbox, id), ask(), &mut said) {
        Err(trouble) if trouble.kind == error::Kind::Lost => Context::Anew,
        Err(trouble) if trouble.kind == error::Kind::SessionEnded => {
            send_request(home, sandbox, id, Ask::Remove)?;
            Context::Anew
        }
        Err(trouble) if is_missing(&trouble) => Context::New,
        told => return told.and_then(|()| said.finish(site)),
    };
    let pair = |(name, value): &(OsString, OsString)| (Name::from(name.clone()), Name::from(value.clone()));
    let create = Ask::Create {
        kind,
        words: Vec::new(),
        env: request.exec.env.iter().map(pair).collect(),
        directory: request.exec.workdir.as_deref().map(Name::from),
    };
    match send_request(home, sandbox, id, create) {
        // Somebody was quicker, and it goes on for us.
        Err(trouble) if trouble.kind == error::Kind::Exists => {}
        made => {
            made?;
            said.is_of_context(how);
        }
    }
    if how == Context::Anew {
        (site.say)(&format!("the context `{id}` had ended and was started anew: what it had set is gone"));
    }
    wait_for(home, (sandbox, id), ask(), &mut said)?;
    said.finish(site)
}

/// Whether a trouble is that there is no such session.
fn is_missing(trouble: &Error) -> bool {
    trouble.kind == error::Kind::NotFound && trouble.is_of("session")
}

fn text(source: &Source) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = match source {
        Source::Text(text) => {
            bytes.extend_from_slice(text.as_bytes());
            Ok(0)
        }
        Source::Stdin => io::stdin().lock().take(LONGEST as u64 + 1).read_to_end(&mut bytes),
        Source::File(path) => File::open(path).and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| match source {
        Source::File(path) => Error::of_io(&error).about(&Name::from(path.as_path())),
        // What belljar says in the place of a job.
        _ => crate::tools::said(&wire::nonsense(&error.to_string())),
    })?;
    if bytes.len() > LONGEST {
        return Err(Error::misused(vec![Problem::new("code", "is longer than 128 KiB").hint(COPY_IT)]));
    }
    String::from_utf8(bytes).map_err(|_| Error::misused(vec![Problem::new("code", "is not UTF-8")]))
}
