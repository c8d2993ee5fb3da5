//! Makes a sandbox and starts its supervisor.

use super::place::{is_name, now};
use super::ready::{READY, Ready};
use super::{Entry, Record, Run, Sandboxes, State, errors, silence};
use crate::error::{Error, Kind, Problem};
use crate::images::{self, Store};
use crate::own::Own;
use crate::spec::{Lasting, Order, check_order};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader, PipeWriter};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Stdio};
use std::time::Duration;

/// What is wanted besides the sandbox itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Its name; its id, where there is none.
    pub name: Option<String>,
    /// What it may be found by.
    pub labels: BTreeMap<String, String>,
    /// Whether it stays, with its files, when it ends.
    pub keep: bool,
    /// From its making to its removal.
    pub ttl: Option<Duration>,
    /// Without a call until it is stopped.
    pub idle_stop: Option<Duration>,
    /// Without a call until it is removed.
    pub idle_rm: Option<Duration>,
}

/// What the supervisor says when it is ready, or why it is not.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It runs.
    Ready(Run),
    /// It does not, and why.
    Failed(Error),
}

/// Makes a sandbox and waits until it can be entered.
///
/// # Errors
///
/// `NameTaken`, and whatever keeps the sandbox from being made; nothing is left of it then.
pub fn create(sandboxes: &Sandboxes, store: Option<&Store>, order: Order, wish: &Wish) -> Result<(Entry, Run), Error> {
    create_or_take(sandboxes, store, order, wish, None)
}

/// The same, or takes one of those that wait, where that is what would be made.
///
/// # Errors
///
/// As [`create`].
pub fn create_or_take(
    sandboxes: &Sandboxes,
    store: Option<&Store>,
    mut order: Order,
    wish: &Wish,
    ready: Option<&Ready>,
) -> Result<(Entry, Run), Error> {
    order.lasting = Some(Lasting::default());
    check_wish(&order, wish)?;
    let on_the_host = super::capture::on_the_host(&order.spec, store)?;
    if on_the_host.is_some() {
        if order.warm.is_some() {
            let problem = Problem::new("image", "a snapshot on the machine's own files cannot be a template's");
            return Err(Error::misused(vec![problem.hint("name an image, or `--image host`")]));
        }
        order.spec.image = Some(images::store::HOST.to_owned());
    }
    // Not the name: that may stand for another image by the time the sandbox is entered.
    let lease = images::lease(&order, store)?;
    if let Some(lease) = &lease {
        order.spec.image = Some(lease.record.manifest.to_string());
    }
    let id = new_id();
    let name = wish.name.clone().unwrap_or_else(|| id.clone());
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs().max(1));
    let record = Record {
        version: 1,
        id: id.clone(),
        name: name.clone(),
        labels: wish.labels.clone(),
        created: now(),
        keep: wish.keep,
        filling: false,
        ttl: seconds(wish.ttl),
        idle_stop: seconds(wish.idle_stop),
        idle_rm: seconds(wish.idle_rm),
    };
    if let Some((lease, store)) = on_the_host.zip(store) {
        sandboxes.sweep()?;
        let draft = super::capture::Draft { record, order };
        return super::capture::restore(sandboxes, store, &lease, draft);
    }
    if let Some(ready) = ready
        && let Some(taken) = ready.take(sandboxes, store, &order, &record)?
    {
        return Ok(taken);
    }
    drop(lease);
    sandboxes.sweep()?;
    if wish.keep {
        order.lasting = Some(Lasting { kept: Some(sandboxes.place(&id)), guest: false });
    }
    let (entry, turn) = sandboxes.add(&record, &order)?;
    let begun = pin_image(&entry, &record, &order, store).and_then(|()| match order.warm {
        None => begin(&entry, &entry.id, Stdio::null()),
        Some(_) => begin_template(&entry),
    });
    // A preload takes as long as it takes: meanwhile others may end the template.
    let turn = Some(turn).filter(|_| order.warm.is_none());
    let started = begun.and_then(|starting| starting.report(&entry));
    if started.is_err() {
        let _turn = turn.or_else(|| entry.turn().ok());
        // What kept it from being made is what the caller has to know. Somebody may have removed it.
        let _ = sandboxes.remove(&entry);
    }
    started.map(|run| (entry, run))
}

/// Keeps the image of a sandbox that is kept from being removed, as long as the sandbox's directory is there.
pub(super) fn pin_image(entry: &Entry, record: &Record, order: &Order, store: Option<&Store>) -> Result<(), Error> {
    match (store, images::lease(order, store)?) {
        (Some(store), Some(lease)) if record.keep && !entry.path("image").exists() => {
            Ok(store.pin(&lease.record.manifest, &entry.path("image"))?)
        }
        _ => Ok(()),
    }
}

/// An id that nobody has.
pub(super) fn new_id() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// Refuses what is no name.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    if is_name(name) {
        return Ok(());
    }
    let problem = Problem::new("name", format!("`{}` is not a valid sandbox name", name.escape_debug()));
    let problem = problem.hint("use letters, digits, `.`, `_` and `-`, and begin with a letter or digit");
    Err(Error::misused(vec![problem]))
}

/// What no persistent sandbox can be.
fn check_wish(order: &Order, wish: &Wish) -> Result<(), Error> {
    let mut problems = match check_order(order) {
        Err(error) if error.kind == Kind::Invalid => error.problems,
        Err(error) => return Err(error),
        Ok(()) => Vec::new(),
    };
    if let Some(name) = wish.name.as_deref()
        && let Err(Error { problems: wrong, .. }) = check_name(name)
    {
        problems.extend(wrong);
    }
    if wish.keep && order.spec.userns == crate::spec::Userns::Range {
        let problem = Problem::new("keep", "files of a range of ids cannot be kept");
        problems.push(problem.hint("leave `--keep` or `--userns range` out"));
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::misused(problems)) }
}

/// Starts a sandbox that was stopped.
///
/// # Errors
///
/// `Running`, and whatever keeps it from being started.
pub fn start(sandboxes: &Sandboxes, word: &str) -> Result<(Entry, Run), Error> {
    let entry = sandboxes.find(word)?;
    let turn = entry.turn()?;
    // A template may take any time until it is ready.
    if entry.state() == State::Starting && entry.order()?.warm.is_some() {
        return Err(errors::running(&entry.name()));
    }
    // One that is stopping is waited for.
    if entry.at_rest()? {
        return Err(errors::running(&entry.name()));
    }
    if !entry.directory.exists() {
        return Err(errors::not_found(word));
    }
    if entry.record()?.filling {
        // Whoever copied its files was killed.
        sandboxes.remove(&entry)?;
        return Err(errors::not_found(word));
    }
    let run = launch(&entry)?;
    drop(turn);
    Ok((entry, run))
}

/// Starts the supervisor, and waits until it is ready or has said why it is not.
pub(super) fn launch(entry: &Entry) -> Result<Run, Error> {
    launch_as(entry, &entry.id, Stdio::null())
}

/// Starts the supervisor of a template, which ends with us until it is ready.
fn begin_template(entry: &Entry) -> Result<Starting, Error> {
    let (theirs, ours) = std::io::pipe().map_err(|error| Error::attempt(ATTEMPT, &error))?;
    Ok(Starting { _held: Some(ours), ..begin(entry, &entry.id, theirs.into())? })
}

/// The same of one that waits, whose supervisor ends when nobody has the other end of `lease`.
pub(super) fn launch_ready(entry: &Entry, lease: OwnedFd) -> Result<Run, Error> {
    launch_as(entry, &format!("{READY}{}", entry.id), lease.into())
}

fn launch_as(entry: &Entry, name: &str, stdin: Stdio) -> Result<Run, Error> {
    begin(entry, name, stdin)?.report(entry)
}

const ATTEMPT: &str = "start the supervisor";

/// A supervisor that has not reported yet.
struct Starting {
    child: Child,
    /// What it ends with until then, where it does.
    _held: Option<PipeWriter>,
}

fn begin(entry: &Entry, name: &str, stdin: Stdio) -> Result<Starting, Error> {
    let mut command = Own::Supervise { id: name.to_owned() }.command();
    // Of its last run nothing is told any more.
    entry.note("run.json", &Run::default())?;
    // It has another working directory, from which a home that counts from ours cannot be found.
    command.envs(entry.directory.ancestors().nth(2).map(|home| ("BELLJAR_HOME", home)));
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn().map_err(|error| Error::attempt(ATTEMPT, &error))?;
    Ok(Starting { child, _held: None })
}

impl Starting {
    /// Waits until it is ready or has said why it is not.
    fn report(mut self, entry: &Entry) -> Result<Run, Error> {
        let child = &mut self.child;
        let mut line = String::new();
        if let Some(pipe) = child.stdout.take() {
            if !silence::await_word(pipe.as_fd(), Some(nix::unistd::Pid::from_raw(child.id() as i32)), None) {
                let trouble = entry.silent();
                entry.kill_supervisor();
                let _ = child.kill();
                let _ = child.wait();
                return Err(trouble);
            }
            BufReader::new(pipe).read_line(&mut line).map_err(|error| Error::attempt(ATTEMPT, &error))?;
        }
        match serde_json::from_str(&line) {
            Ok(Report::Ready(run)) => Ok(run),
            Ok(Report::Failed(error)) => {
                // It has written all there is to say, and leaves.
                let _ = child.wait();
                Err(error)
            }
            Err(_) => {
                let _ = child.kill();
                let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(Error::setup(format!("{ATTEMPT}: it exited without reporting ({status})"), 0))
            }
        }
    }
}
