//! Changes to an existing sandbox: stop, remove, rename, label, resize; and waiting for its end.

use super::call::{Answer, Call, Line, Stats};
use super::{Entry, Reason, Record, Run, Sandboxes, State, WarmStats, errors, silence};
use crate::error::{Error, Kind, Problem};
use crate::process;
use crate::spec::{self, PartialSpec, Spec};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a supervisor may take beyond the grace before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at a log that grows.
const GLANCE: Duration = Duration::from_millis(50);

/// Ends a sandbox: everybody inside is asked to, and killed after `grace`. Answers how it ended; a sandbox that nobody wanted
/// kept is removed.
///
/// # Errors
///
/// `NotRunning`.
pub fn stop(sandboxes: &Sandboxes, word: &str, grace: Duration) -> Result<Run, Error> {
    end_for(sandboxes, word, grace, Reason::Stopped)
}

/// The same for any reason.
pub(super) fn end_for(sandboxes: &Sandboxes, word: &str, grace: Duration, reason: Reason) -> Result<Run, Error> {
    let entry = sandboxes.find(word)?;
    let _turn = entry.turn()?;
    end(sandboxes, &entry, grace, reason)
}

fn end(sandboxes: &Sandboxes, entry: &Entry, grace: Duration, reason: Reason) -> Result<Run, Error> {
    if !entry.lives() {
        return Err(errors::not_running(&entry.name()));
    }
    let run = loop {
        match Line::to(entry) {
            Ok(line) => break hang_up(entry, &line, grace, reason)?,
            // On its way down, or up: whoever had started it was killed. Nobody may start it while we have the turn.
            Err(error) if error.kind == Kind::NotRunning => match entry.at_rest() {
                Ok(true) => std::thread::sleep(GLANCE),
                Ok(false) => break None,
                Err(_) => {
                    entry.kill_supervisor();
                    break None;
                }
            },
            Err(error) if error.kind == Kind::Silent => {
                entry.kill_supervisor();
                break None;
            }
            Err(error) => return Err(error),
        }
    };
    entry.await_end();
    let run = run.unwrap_or_else(|| entry.run());
    if entry.record().is_ok_and(|record| !record.keep) {
        sandboxes.remove(entry)?;
    }
    Ok(run)
}

/// Asks the supervisor to end, and ends it where it does not.
fn hang_up(entry: &Entry, line: &Line, grace: Duration, reason: Reason) -> Result<Option<Run>, Error> {
    let failed = |error: std::io::Error| Error::attempt("call the supervisor", &error);
    let until = Instant::now() + grace + PATIENCE;
    match line.say(&Call::Stop { grace_ms: grace.as_millis() as u64, reason }, &[]) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET)) => return Ok(None),
        said => said.map_err(failed)?,
    }
    if !silence::await_word(line.descriptor(), line.other_side(), Some(until)) {
        // It does not listen.
        entry.kill_supervisor();
        return Ok(None);
    }
    match line.hear::<Answer>().map_err(failed)? {
        Some((Answer::Ended(run), _)) => Ok(Some(run)),
        _ => Ok(None),
    }
    .inspect(|_| entry.await_end())
}

/// Removes a sandbox and its files; one that runs only if it may be killed.
///
/// # Errors
///
/// `Running`, where it may not.
pub fn remove(sandboxes: &Sandboxes, word: &str, kill: bool) -> Result<(), Error> {
    let entry = sandboxes.find(word)?;
    let _turn = if kill { entry.turn_by_force()? } else { entry.turn()? };
    if entry.lives() {
        if !kill {
            return Err(errors::running(&entry.name()));
        }
        match end(sandboxes, &entry, Duration::ZERO, Reason::Removed) {
            Ok(_) => {}
            Err(error) if matches!(error.kind, Kind::NotRunning | Kind::Ended) => {}
            Err(error) => return Err(error),
        }
    }
    sandboxes.remove(&entry)
}

/// Gives a sandbox another name.
///
/// # Errors
///
/// `NameTaken`.
pub fn rename(sandboxes: &Sandboxes, word: &str, name: &str) -> Result<(), Error> {
    super::start::check_name(name)?;
    let entry = sandboxes.find(word)?;
    let _turn = entry.turn()?;
    let mut record = entry.record()?;
    if record.name == name {
        return Ok(());
    }
    sandboxes.claim(name, &entry.id)?;
    let before = std::mem::replace(&mut record.name, name.to_owned());
    match entry.write("record.json", &record) {
        Ok(()) => sandboxes.unname(&before, &entry.id),
        Err(error) => {
            sandboxes.unname(name, &entry.id);
            return Err(error);
        }
    }
    Ok(())
}

/// Sets labels, and takes those away that are set to nothing.
pub fn label(
    sandboxes: &Sandboxes,
    word: &str,
    labels: &BTreeMap<String, Option<String>>,
) -> Result<BTreeMap<String, String>, Error> {
    let entry = sandboxes.find(word)?;
    let _turn = entry.turn()?;
    let mut record = entry.record()?;
    for (key, value) in labels {
        match value {
            Some(value) => drop(record.labels.insert(key.clone(), value.clone())),
            None => drop(record.labels.remove(key)),
        }
    }
    entry.write("record.json", &record)?;
    Ok(record.labels)
}

/// What may be changed of how long a sandbox lasts: what is not given stays, `None` inside is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lasting {
    /// Whether it stays, with its files, when it ends.
    pub keep: Option<bool>,
    /// From its making to its removal.
    pub ttl: Option<Option<Duration>>,
    /// Without a call until it is stopped.
    pub idle_stop: Option<Option<Duration>>,
    /// Without a call until it is removed.
    pub idle_rm: Option<Option<Duration>>,
}

/// Changes how long a sandbox lasts; the record as it is then.
///
/// # Errors
///
/// `Invalid`, where its files are in memory and were to be kept.
pub fn last(sandboxes: &Sandboxes, word: &str, lasting: Lasting) -> Result<Record, Error> {
    let entry = sandboxes.find(word)?;
    let _turn = entry.turn()?;
    let mut record = entry.record()?;
    if lasting.keep == Some(true) && !entry.keeps_files() {
        let problem = Problem::new("keep", "its files are in memory, and end with it");
        return Err(Error::invalid(vec![
            problem.hint("make another with `--keep`, from a `belljar snapshot` of this one"),
        ]));
    }
    let seconds =
        |new: Option<Option<Duration>>, old| new.map_or(old, |time| time.map(|time| time.as_secs_f64().ceil() as u64));
    record.keep = lasting.keep.unwrap_or(record.keep);
    record.ttl = seconds(lasting.ttl, record.ttl);
    record.idle_stop = seconds(lasting.idle_stop, record.idle_stop);
    record.idle_rm = seconds(lasting.idle_rm, record.idle_rm);
    entry.write("record.json", &record)?;
    if entry.lives() {
        Line::to(&entry)?.ask(&entry, &Call::Life)?;
    }
    Ok(record)
}

/// Waits for the end and answers how it was.
///
/// # Errors
///
/// `NotFound`; `Ended`, where nobody knows how.
pub fn wait(sandboxes: &Sandboxes, word: &str, lease: bool) -> Result<Run, Error> {
    let entry = match sandboxes.find(word) {
        Err(error) if error.kind == Kind::NotFound => return sandboxes.remembered(word).ok_or(error),
        found => found?,
    };
    let line = match Line::to(&entry) {
        Ok(line) => line,
        Err(error) if error.kind == Kind::NotRunning => {
            // Not yet, or not any more.
            entry.await_end();
            let run = entry.run();
            return Ok(if run.end.is_some() { run } else { sandboxes.remembered(&entry.id).unwrap_or(run) });
        }
        Err(error) => return Err(error),
    };
    let answer = line.ask(&entry, &if lease { Call::Lease } else { Call::Wait });
    match answer {
        Ok((Answer::Ended(run), _)) => {
            // And has put things in order.
            entry.await_end();
            Ok(run)
        }
        Err(error) if error.kind != Kind::Ended => Err(error),
        // Its last word is in the files, where they are kept.
        Ok(_) | Err(_) => {
            entry.await_end();
            let run = entry.run();
            let known = if run.end.is_some() { Some(run) } else { sandboxes.remembered(&entry.id) };
            known.ok_or_else(|| entry.ended())
        }
    }
}

/// What it uses.
pub fn stats(entry: &Entry) -> Result<Stats, Error> {
    match Line::to(entry)?.ask(entry, &Call::Stats)? {
        (Answer::Stats(stats), _) => Ok(stats),
        _ => Err(entry.ended()),
    }
}

/// What a template has now.
pub fn warm_stats(entry: &Entry) -> Result<WarmStats, Error> {
    match Line::to(entry)?.ask(entry, &Call::WarmStats)? {
        (Answer::Warm(stats), _) => Ok(stats),
        _ => Err(entry.ended()),
    }
}

/// Other limits, from now on and for later starts. Memory, CPU rate and processes of one that runs; the disk of one that does
/// not.
///
/// # Errors
///
/// `Running`, for the disk; `Invalid` for values that no sandbox may have.
pub fn resize(sandboxes: &Sandboxes, word: &str, wish: &PartialSpec) -> Result<Spec, Error> {
    let entry = sandboxes.find(word)?;
    let _turn = entry.turn()?;
    let mut order = entry.order()?;
    let keeps_files = order.keeps_files();
    let spec = &mut order.spec;
    let before = spec.layer();
    spec.memory = wish.memory.unwrap_or(spec.memory);
    spec.millicpus = wish.millicpus.unwrap_or(spec.millicpus);
    spec.pids = wish.pids.unwrap_or(spec.pids);
    let lives = entry.lives();
    if let Some(disk) = wish.disk {
        let problem =
            |message: &str, hint: &str| Error::invalid(vec![Problem::new("disk", message.to_owned()).hint(hint)]);
        if disk < spec.disk {
            return Err(problem("the writable layer can only be made larger", "make another sandbox"));
        }
        spec.disk = disk;
    }
    spec::check(spec)?;
    // What is kept is counted, and has no size of its own.
    if lives && spec.layer() > before && !keeps_files {
        let places = <[OwnedFd; 3]>::try_from(Line::to(&entry)?.ask(&entry, &Call::Layer)?.1);
        process::enlarge(places.map_err(|_| errors::not_running(&entry.name()))?, spec.layer())?;
    }
    if lives {
        let Spec { memory, millicpus, pids, disk, .. } = *spec;
        Line::to(&entry)?.ask(&entry, &Call::Limits { memory, millicpus, pids, disk })?;
    }
    entry.write("spec.json", &order)?;
    Ok(order.spec)
}

/// Whether the sandbox's own command has written as much as is kept of it, or more.
pub fn is_log_full(entry: &Entry) -> bool {
    std::fs::metadata(entry.path("log")).is_ok_and(|found| found.len() >= super::supervise::LONGEST_LOG)
}

/// Copies what the sandbox's own command has written to `to`; with `follow`, until it ends.
pub fn follow_log(entry: &Entry, follow: bool, to: &mut dyn Write) -> Result<(), Error> {
    let attempt = "read the log";
    let mut log = match File::open(entry.path("log")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        log => log.map_err(|error| Error::attempt(attempt, &error))?,
    };
    let mut bytes = vec![0; 64 << 10];
    loop {
        // Before the last read: what is written until then is read.
        let over = !follow || !matches!(entry.state(), State::Running | State::Starting);
        loop {
            let count = log.read(&mut bytes).map_err(|error| Error::attempt(attempt, &error))?;
            if count == 0 {
                break;
            }
            to.write_all(bytes.get(..count).unwrap_or_default())
                .map_err(|error| Error::attempt("write the log", &error))?;
        }
        to.flush().map_err(|error| Error::attempt("write the log", &error))?;
        if over {
            return Ok(());
        }
        std::thread::sleep(GLANCE);
    }
}
