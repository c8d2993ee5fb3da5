//! `belljar session`, `belljar exec --detach` and `belljar code --sandbox`: each read, asked of the tool inside, and told.
//!
//! Of what runs a job the exit code is the job's, 124 for one whose time was over, 130 for one that was interrupted, and 125 where belljar
//! failed; else 0 is done and 1 failed.

mod attach;
mod code;
mod said;
mod wait;

pub use attach::pty;
pub use code::code;

use super::args::session::{One, Verb};
use super::files;
use super::render::{self, Listed};
use crate::error::{self, Error};
use crate::spec;
use crate::tools::session::{Ask, Kind, Session};
use crate::tools::{Most, Name, Request, wire};
use said::Collected;
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

/// Exit code of what could not be done.
const UNDONE: i32 = 1;
/// How long the tool inside may take for what needs no waiting: to start it takes time of its own where much runs.
const AT_ONCE: Duration = Duration::from_secs(30);
/// The longest piece of code or lines: a frame holds it, escaped.
const LONGEST: usize = 128 << 10;
/// What to do with a longer one.
const COPY_IT: &str = "copy it in with `belljar cp`, and read it there";
/// Letters of a job's text in a table.
const WIDEST: usize = 200;
/// What one call gives to a job at once.
const PIECE: usize = 32 << 10;

/// Does it; the exit code.
pub fn run(verb: Verb, home: Option<&Path>) -> i32 {
    if home.is_none() {
        render::failure(&super::sandbox::no_home());
        return UNDONE;
    }
    let (json, done) = match verb {
        Verb::Create { one, workdir, json } => (json, create(&one, workdir, json)),
        Verb::Ls { sandbox, json } => (json, ls(&sandbox, json)),
        Verb::Exec { one, text, detach, timeout, json } => (json, exec(&one, text, detach, timeout, json)),
        Verb::Logs { one, job, follow, json } => (json, logs(&one, Ask::Logs { job, follow }, json)),
        Verb::Input { one, job, json } => (json, input(&one, job, json)),
        Verb::Interrupt { one, job, json } => (json, silently(&one, Ask::Interrupt { job }, json)),
        Verb::Rm { one, json } => (json, silently(&one, Ask::Remove, json)),
    };
    done.unwrap_or_else(|trouble| files::complain(&trouble, json, UNDONE))
}

/// Asks about one session, and takes in what it says.
fn listen(sandbox: &OsStr, id: &str, ask: Ask, said: &mut Collected) -> Result<(), Error> {
    let request = Request::Session { id: Some(id.to_owned()), ask };
    let mut client = files::client(sandbox, false)?;
    if let Request::Session { ask: Ask::Logs { follow: false, .. } | Ask::Run { wait: false, .. }, .. } = &request {
        client.answers_within(AT_ONCE);
    }
    said.hear(&mut client, &request)
}

/// Asks what has no answer but that it is done.
fn quietly(sandbox: &OsStr, id: &str, ask: Ask) -> Result<i32, Error> {
    let request = Request::Session { id: Some(id.to_owned()), ask };
    let mut client = files::client(sandbox, false)?;
    client.answers_within(AT_ONCE);
    client.order(&request)?;
    Ok(0)
}

/// Does what has nothing to tell but that it is done, in JSON where that is wanted; the exit code.
fn silently(one: &One, ask: Ask, json: bool) -> Result<i32, Error> {
    quietly(&one.sandbox, &one.id, ask)?;
    Ok(if json { told(json, &one.id, json!({ "session": one.id })) } else { 0 })
}

/// Says what was done; the exit code.
fn told(json: bool, people: &str, mut object: Value) -> i32 {
    object["version"] = json!(1);
    if json { render::object(&object, 0) } else { render::people(&format!("{people}\n"), 0) }
}

fn create(one: &One, workdir: Option<OsString>, json: bool) -> Result<i32, Error> {
    let ask = Ask::Create { kind: Kind::Shell, words: Vec::new(), env: Vec::new(), directory: workdir.map(Name::from) };
    quietly(&one.sandbox, &one.id, ask)?;
    Ok(told(json, &one.id, json!({ "session": one.id, "kind": Kind::Shell.name() })))
}

fn logs(one: &One, ask: Ask, json: bool) -> Result<i32, Error> {
    let mut said = Collected::new(json, None);
    listen(&one.sandbox, &one.id, ask, &mut said)?;
    said.tell()
}

fn ls(sandbox: &OsStr, json: bool) -> Result<i32, Error> {
    let mut listed = Listed::new("sessions");
    let mut rows = vec![["ID", "KIND", "STATE", "JOBS", "LAST"].map(str::to_owned).to_vec()];
    let mut client = files::client(sandbox, false)?;
    client.answers_within(AT_ONCE);
    client.list(&Request::Session { id: None, ask: Ask::Look }, Most::Few, &mut |session: Session| {
        if !session.is_credible() {
            return Err(wire::nonsense("what is told of a session"));
        }
        if json {
            return listed.push(&session);
        }
        let state = match session.ended {
            Some(code) => format!("ended ({code})"),
            None if session.kind == Kind::Silent => "does not answer".to_owned(),
            None => "running".to_owned(),
        };
        let last = session.jobs.last();
        let first = |text: &str| text.lines().next().unwrap_or_default().chars().take(WIDEST).collect::<String>();
        let text = last.map(|job| Name::from(first(&job.text).as_str()).to_string());
        let count = last.map_or(0, |job| job.job).to_string();
        rows.push(vec![session.id, session.kind.name().to_owned(), state, count, text.unwrap_or_default()]);
        Ok(())
    })?;
    if json {
        return Ok(render::listed(&listed, 0));
    }
    let people = if rows.len() == 1 { "no sessions\n".to_owned() } else { crate::verbs::text::table(&rows) };
    Ok(render::people(&people, 0))
}

/// A time that somebody typed.
fn time(text: Option<&OsString>) -> Result<Option<Duration>, Error> {
    let read = |text: &OsString| spec::parse_duration(&text.to_string_lossy());
    text.map(read)
        .transpose()
        .map_err(|error| Error::new(error::Kind::Misused, format!("timeout: {error}")).hint(error.right))
}

fn exec(one: &One, text: String, detach: bool, timeout: Option<OsString>, json: bool) -> Result<i32, Error> {
    let timeout_ms = time(timeout.as_ref())?.map(|timeout| timeout.as_millis() as u64);
    if text.len() > LONGEST {
        return Err(Error::new(error::Kind::Invalid, "the lines are longer than 128 KiB").hint(COPY_IT));
    }
    let mut said = Collected::new(json, None);
    let ask = Ask::Run { kind: Kind::Shell, text, wait: !detach, timeout_ms };
    match detach {
        true => listen(&one.sandbox, &one.id, ask, &mut said)?,
        false => wait::run(&one.sandbox, &one.id, ask, &mut said)?,
    }
    if detach && !json {
        return Ok(render::print(&format!("{}\n", said.job()), 0));
    }
    said.tell()
}

fn input(one: &One, job: u64, json: bool) -> Result<i32, Error> {
    let mut client = files::client(&one.sandbox, false)?;
    // Whether there is such a job is known before anything is read, also where there is nothing to read.
    let mut known = false;
    let look = Request::Session { id: Some(one.id.clone()), ask: Ask::Look };
    client.list(&look, Most::One, &mut |session: Session| {
        known |= session.jobs.iter().any(|one| one.job == job);
        Ok(())
    })?;
    if !known {
        return Err(Error::new(
            error::Kind::NotFound,
            format!("no job {job} in the session `{}`", Name::from(one.id.as_str())),
        ));
    }
    let (mut stdin, mut piece, mut given) = (std::io::stdin().lock(), vec![0; PIECE], 0);
    loop {
        let count = stdin.read(&mut piece).map_err(|error| Error::of_io(&error))?;
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else {
            let object = json!({ "version": 1, "session": one.id, "job": job, "bytes": given });
            return Ok(if json { render::object(&object, 0) } else { 0 });
        };
        given += bytes.len();
        let ask = Ask::Input { job, bytes: Name(bytes.to_vec()) };
        client.order(&Request::Session { id: Some(one.id.clone()), ask })?;
    }
}

/// The exit code where a command was not started, as shells have it.
fn code_of(trouble: &Error, undone: i32) -> i32 {
    match trouble.kind {
        error::Kind::NoCommand => 127,
        error::Kind::NotExecutable => 126,
        _ => undone,
    }
}

/// An id that nobody has.
fn new_id(what: &str) -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{what}-{:08x}", RandomState::new().hash_one(std::process::id()) as u32)
}

/// Of what belljar says in the place of a job.
fn broken(error: std::io::Error) -> Error {
    crate::tools::said(&wire::nonsense(&error.to_string()))
}
