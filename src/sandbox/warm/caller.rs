//! Whoever runs code by a template: takes a copy from the maker, and supervises it as any other sandbox.

use super::message::{Given, Wish};
use crate::error::{Error, Kind, Problem};
use crate::host::cgroup::Controllers;
use crate::images::Store;
use crate::outcome::{How, Outcome, Status, Warm};
use crate::process::{self, Attendant, Delivery, Handed, Running, Waited};
use crate::sandbox::call::{Call, Line};
use crate::sandbox::{Entry, Sandboxes, silence};
use crate::spec::{
    Code, Language, Order, OutputLimit, Program, Protection, Source, Spec, Warm as Template, show_duration,
};
use crate::warm::request::{INPUT, Request, TEXT};
use nix::poll::{PollFd, PollFlags};
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a maker may take for a copy, and no longer than half of what the run may: whoever is kept waiting begins anew.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a run has at least, however long it has waited for a copy: a time of nothing is none.
const LEAST: Duration = Duration::from_millis(1);
/// How long it may take to say what a sandbox has used that has ended.
const LAST_WORD: Duration = Duration::from_secs(2);
/// The most code that is read.
const LONGEST: u64 = 64 << 20;

/// A piece of code, and what is its own; the rest is the template's.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The code.
    pub code: Code,
    /// Variables on top of the template's.
    pub env: Vec<(OsString, OsString)>,
    /// Its wall clock. `None`: no deadline.
    pub timeout: Option<Duration>,
    /// The cap on its output.
    pub output_limit: Option<OutputLimit>,
    /// A file to read standard input from.
    pub stdin: Option<PathBuf>,
}

impl Piece {
    /// Why no copy can run it.
    fn begins_anew(&self) -> Option<String> {
        let acts = |(name, _): &&(OsString, OsString)| match (self.code.language, name.as_bytes()) {
            // It is only read by what is loaded.
            (Language::Node, b"NODE_ENV") => false,
            (Language::Node, b"UV_THREADPOOL_SIZE" | b"LANG" | b"LANGUAGE") => true,
            (Language::Node, name) => name.starts_with(b"NODE_") || name.starts_with(b"LC_"),
            (_, name) => name.starts_with(b"PYTHON"),
        };
        let (name, _) = self.env.iter().find(acts)?;
        Some(format!("environment: `{}` acts only where an interpreter begins", name.display()))
    }

    /// The template's order with this in the place of its own command.
    fn over(&self, template: &Order) -> Order {
        let mut env = template.spec.env.clone();
        env.extend(self.env.iter().cloned());
        let spec = Spec {
            program: Program::Code(self.code.clone()),
            env,
            timeout: self.timeout,
            output_limit: self.output_limit,
            stdin: self.stdin.clone(),
            ..template.spec.clone()
        };
        Order { spec, lasting: None, warm: None, ..template.clone() }
    }
}

/// Runs a piece of code in a sandbox of its own, by a copy of the template that `word` names where one can be had, and says what came
/// of it.
///
/// # Errors
///
/// `NotFound`, `Invalid` where it is no template or the code is of another language, and whatever keeps code from being run.
pub fn run(
    sandboxes: &Sandboxes,
    word: &str,
    store: Option<&Store>,
    piece: &Piece,
    delivery: Delivery,
) -> Result<(Outcome, Spec), Error> {
    let (entry, template, Template { language, .. }) = super::template(sandboxes, word, "warm")?;
    if piece.code.language != language {
        let problem = Problem::new("lang", format!("`{}` is a template of {}", entry.name(), language.name()));
        return Err(Error::misused(vec![problem.hint("name one of this language, or leave `--warm` out")]));
    }
    // Each Node is one of its own.
    let shares = language != Language::Node;
    let order = piece.over(&template);
    let begun = Instant::now();
    let patience = piece.timeout.map_or(PATIENCE, |timeout| PATIENCE.min(timeout / 2));
    let copy = match piece.begins_anew().map_or_else(|| take(&entry, shares, patience), Err) {
        Ok(copy) => copy,
        Err(why) => {
            // With what is left of its time.
            let left = piece.timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()).max(LEAST));
            let spec = Spec { timeout: left, ..order.spec.clone() };
            let outcome = process::run(&Order { spec, ..order.clone() }, store, delivery)?;
            return Ok((Outcome { warm: Some(Warm::cold(why)), ..outcome }, order.spec));
        }
    };
    let how = if copy.parked { How::Parked } else { How::Forked };
    let request = request(piece, &copy)?;
    let Copy { handed, line, .. } = copy;
    let mut lease = Lease { line, over: false };
    let outcome = process::take(&order, handed, request.as_bytes(), delivery, &mut lease);
    match outcome {
        Ok(outcome) => {
            // It ran, and all that it wrote is here; what has ended it is the template's end.
            let ended = lease.over && outcome.status == Status::Cancelled && outcome.error.is_none();
            let error = if ended { Some(entry.ended()) } else { outcome.error };
            let mut outcome = Outcome { warm: Some(Warm::copied(how, shares)), error, ..outcome };
            outcome.enforcement.extend(outcome.warm.as_ref().and_then(Warm::enforcement));
            Ok((outcome, order.spec))
        }
        Err(error) if error.kind == Kind::Setup && lease.is_over() => Err(entry.ended()),
        Err(error) => Err(error),
    }
}

/// A copy.
struct Copy {
    handed: Handed,
    parked: bool,
    environment: Vec<(OsString, OsString)>,
    directory: OsString,
    /// The call to the supervisor: the template counts as used as long as it is there.
    line: Line,
}

/// Takes a copy; why there is none, where there is none.
fn take(entry: &Entry, shares: bool, patience: Duration) -> Result<Copy, String> {
    let line = Line::to(entry).map_err(|error| error.to_string())?;
    let (_, descriptors) = line.ask(entry, &Call::Warm).map_err(|error| error.to_string())?;
    let Some(maker) = descriptors.into_iter().next().map(Line::of) else {
        return Err("its supervisor leads to no maker".to_owned());
    };
    let gone = |_| "its maker is gone".to_owned();
    maker.say(&Wish::Take, &[]).map_err(gone)?;
    if !silence::await_word(maker.descriptor(), None, Some(Instant::now() + patience)) {
        return Err(format!("its maker has said nothing for {}", show_duration(patience)));
    }
    let (given, descriptors) = maker.hear::<Given>().map_err(gone)?.ok_or_else(|| "its maker is gone".to_owned())?;
    let (parked, image, enforcement, cgroup, controllers, environment, directory) = match given {
        Given::Copy { parked, image, enforcement, cgroup, controllers, environment, directory } => {
            (parked, image, enforcement, cgroup, controllers, environment, directory)
        }
        Given::None(why) => return Err(why),
        Given::Used { .. } => return Err("its maker speaks out of turn".to_owned()),
    };
    let mut descriptors = descriptors.into_iter();
    let mut next = || descriptors.next().ok_or_else(|| "no descriptor is left".to_owned());
    let (control, pidfd, socket) = (next()?, next()?, next()?);
    let sights: Vec<OwnedFd> = descriptors.collect();
    let [cpu, io, memory, pids] = controllers;
    let controllers = Controllers { cpu, io, memory, pids };
    let known = |(name, how): (String, _)| Some((Protection::from_name(&name)?, how));
    let variable = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (line.get(..at)?, line.get(at + 1..)?);
        Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec())))
    };
    Ok(Copy {
        handed: Handed {
            control,
            pidfd,
            socket,
            shares,
            sights,
            image,
            enforcement: enforcement.into_iter().filter_map(known).collect(),
            cgroup: cgroup.map(|directory| (directory, controllers)),
            reaper: Box::new(move || reap(&maker)),
        },
        parked,
        environment: environment.iter().filter_map(|line| variable(&line.0)).collect(),
        directory: OsString::from_vec(directory.0),
        line,
    })
}

/// What the maker says of a sandbox that has ended.
fn reap(maker: &Line) -> Option<Waited> {
    if !silence::await_word(maker.descriptor(), None, Some(Instant::now() + LAST_WORD)) {
        return None;
    }
    match maker.hear::<Given>() {
        Ok(Some((Given::Used { cpu_us, largest }, _))) => Some(Waited { cpu: Duration::from_micros(cpu_us), largest }),
        _ => None,
    }
}

/// What the copy is told.
fn request(piece: &Piece, copy: &Copy) -> Result<String, Error> {
    let mut environment = copy.environment.clone();
    for (name, value) in &piece.env {
        match environment.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.clone_from(value),
            None => environment.push((name.clone(), value.clone())),
        }
    }
    let mut code = Vec::new();
    let unread = |what: &str, error: &std::io::Error| {
        let message = format!("{what}: {}", crate::error::describe_io(error));
        Error::invalid(vec![Problem::new("code", message)])
    };
    let name = match &piece.code.source {
        Source::Text(text) => {
            code.extend(text.as_bytes());
            OsString::from(TEXT)
        }
        Source::Stdin => {
            let read = std::io::stdin().lock().take(LONGEST + 1).read_to_end(&mut code);
            read.map_err(|error| unread("standard input", &error))?;
            OsString::from(INPUT)
        }
        Source::File(path) => {
            let shown = format!("`{}`", path.display());
            let file = std::fs::File::open(path).map_err(|error| unread(&shown, &error))?;
            file.take(LONGEST + 1).read_to_end(&mut code).map_err(|error| unread(&shown, &error))?;
            crate::program::code_file_path(path, piece.code.language)
        }
    };
    if code.len() as u64 > LONGEST {
        return Err(Error::invalid(vec![Problem::new("code", format!("more than {LONGEST} bytes"))]));
    }
    let arguments: Vec<&OsStr> = piece.code.args.iter().map(OsString::as_os_str).collect();
    let environment: Vec<(&OsStr, &OsStr)> =
        environment.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())).collect();
    let request = Request {
        code: &code,
        name: &name,
        arguments: &arguments,
        environment: &environment,
        directory: &copy.directory,
        seed: seed()?,
    };
    Ok(request.encode())
}

fn seed() -> Result<[u8; 32], Error> {
    let mut seed = [0; 32];
    for part in seed.chunks_exact_mut(8) {
        let random = crate::sys::net::random().map_err(|error| Error::attempt("get random bytes", &error))?;
        part.copy_from_slice(&random);
    }
    Ok(seed)
}

/// The call to the supervisor of the template.
struct Lease {
    line: Line,
    over: bool,
}

impl Lease {
    /// Whether the template has ended, or is ending: it speaks to us of nothing else.
    fn is_over(&mut self) -> bool {
        self.hears(LAST_WORD)
    }

    fn hears(&mut self, patience: Duration) -> bool {
        let until = Some(Instant::now() + patience);
        self.over = self.over || silence::await_word(self.line.descriptor(), None, until);
        self.over
    }

    /// With the template ends the run.
    fn tell(&mut self, running: &mut Running, patience: Duration) {
        if !self.over && self.hears(patience) {
            running.sandbox_ended(false);
        }
    }
}

impl Attendant for Lease {
    fn interests<'a>(&'a self, list: &mut Vec<PollFd<'a>>) -> Option<Instant> {
        if !self.over {
            list.push(PollFd::new(self.line.descriptor(), PollFlags::POLLIN));
        }
        None
    }

    fn attend(&mut self, running: &mut Running, _now: Instant) {
        self.tell(running, Duration::ZERO);
    }

    fn gone(&mut self, running: &mut Running) {
        // The kernel is quicker than the supervisor of the template.
        self.tell(running, LAST_WORD);
    }
}
