//! One request of `rpc`, and what comes and goes between its caller and its worker.

use super::message::{self, Code, Refusal};
use super::worker::{Answered, Reply, Wanted, Worker};
use crate::cli::render;
use crate::error::{Error, Kind};
use crate::verbs::Method;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, read, write};
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

/// Bytes that a call may print in all where nobody wants them as they come.
const LONGEST: usize = 256 << 20;
/// Bytes of input that may wait for a worker.
pub const LONGEST_INPUT: usize = 64 << 20;
/// What is said of input that nobody takes.
const NO_READER: &str = "the request's command reads no more";
/// Bytes that are told of what a worker said that is no more.
const LAST_WORDS: usize = 4 << 10;
/// Pieces that hold a pipe.
const PIPEFULS: usize = 4;
/// The names of a worker's streams.
const STREAMS: [&str; 2] = ["stdout", "stderr"];
/// Where its result is among its outputs.
const RESULT: usize = 2;

/// A call in flight.
pub struct Call {
    /// The request's, unless it was a notification.
    pub id: Option<Value>,
    /// Its number among all of them.
    pub number: u64,
    method: &'static Method,
    pid: Pid,
    stream: bool,
    input: Option<OwnedFd>,
    given: VecDeque<u8>,
    /// Whether other requests give it.
    given_later: bool,
    /// Whether the worker has closed its input with some of what was given unread.
    unread: bool,
    /// Whether nothing comes after what was given.
    last: bool,
    /// Requests that gave input, and are answered when all is taken.
    givers: Vec<Value>,
    /// Standard output, standard error and the result.
    outputs: [Option<OwnedFd>; 3],
    kept: [Vec<u8>; 3],
    too_long: bool,
    cancelled: bool,
    /// What the worker has answered, when all of that is there.
    reply: Option<Reply>,
    /// How it ended: its exit code, or the signal.
    ended: Option<Result<i32, Signal>>,
    /// The request's line, where the worker was forked before that came and may not have read it yet.
    handed: Option<Handed>,
}

/// What became of a line that was handed to a worker that waits.
enum Handed {
    Sent(Vec<u8>),
    /// It was gone before it had read it, and has done nothing therefore.
    Unread(Vec<u8>),
}

impl Handed {
    fn unread(self) -> Handed {
        match self {
            Handed::Sent(line) | Handed::Unread(line) => Handed::Unread(line),
        }
    }
}

/// What a call is told of its request.
pub struct Asked {
    /// The verb.
    pub method: &'static Method,
    /// The request's number among all of them.
    pub number: u64,
    /// Whether what it prints is told as it comes.
    pub stream: bool,
    /// Its standard input.
    pub input: Input,
}

/// What standard input is.
pub enum Input {
    /// Empty.
    None,
    /// These bytes.
    All(Vec<u8>),
    /// What other requests will give.
    Given,
}

impl Input {
    /// Whether other requests give it.
    pub fn is_given(&self) -> bool {
        matches!(self, Input::Given)
    }
}

impl Call {
    /// Of a worker that has its request, or was handed it: then `line` is that.
    pub fn of(id: Option<Value>, asked: Asked, worker: Worker, line: Option<Vec<u8>>) -> Call {
        let Asked { method, number, stream, input } = asked;
        let given_later = input.is_given();
        let (given, last) = match input {
            Input::None => (VecDeque::new(), true),
            Input::All(bytes) => (bytes.into(), true),
            Input::Given => (VecDeque::new(), false),
        };
        let Worker { pid, input, outputs } = worker;
        let mut call = Call {
            id,
            number,
            method,
            pid,
            stream,
            input: Some(input),
            given,
            given_later,
            unread: false,
            last,
            givers: Vec::new(),
            outputs: outputs.map(Some),
            kept: Default::default(),
            too_long: false,
            cancelled: false,
            reply: None,
            ended: None,
            handed: line.map(Handed::Sent),
        };
        call.feed();
        call
    }

    /// Tells it to end.
    pub fn cancel(&mut self) {
        self.cancelled = true;
        // Where it has ended, that is about to be seen.
        let _ = kill(self.pid, Signal::SIGTERM);
    }

    /// Nobody can give it input any more.
    pub fn end_input(&mut self) {
        self.last = true;
        self.feed();
    }

    /// Takes over input; `from`: who is answered when the worker has taken it.
    ///
    /// # Errors
    ///
    /// It takes none, or no more at present.
    pub fn give(&mut self, bytes: &[u8], end: bool, from: Option<Value>) -> Result<(), Refusal> {
        let refused = |kind, message: &str| Err(Refusal::new(Code::Failed, Error::new(kind, message)));
        if self.unread {
            return refused(Kind::Ended, NO_READER);
        }
        if self.last {
            return refused(Kind::Invalid, "the request takes no input, or no more");
        }
        if self.given.len() + bytes.len() > LONGEST_INPUT {
            return refused(Kind::TooLarge, "more than 64 MiB of input wait for the request's command to read them");
        }
        self.given.extend(bytes);
        self.last = end;
        self.givers.extend(from);
        self.feed();
        Ok(())
    }

    /// Writes input as far as the worker takes it: what others give is not given twice, and waits until it is known who takes it.
    fn feed(&mut self) {
        if self.given_later && self.handed.is_some() {
            return;
        }
        while let Some(input) = self.input.as_ref().filter(|_| !self.given.is_empty()) {
            match write(input, self.given.as_slices().0) {
                Ok(count) => drop(self.given.drain(..count)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // It reads no more.
                Err(_) => {
                    self.given.clear();
                    (self.unread, self.last) = (true, true);
                }
            }
        }
        if self.last {
            self.input = None;
        }
    }

    /// Answers for those whose input was taken, or never will be.
    pub fn fed(&mut self) -> Vec<Value> {
        if (!self.given.is_empty() && !self.is_over()) || self.undone().is_some() {
            return Vec::new();
        }
        let lost = self.unread || !self.given.is_empty();
        let answer = |id: &Value| match lost {
            true => message::error(id, Code::Failed, &Error::new(Kind::Ended, NO_READER), 1),
            false => message::result(id, &json!({})),
        };
        std::mem::take(&mut self.givers).iter().map(answer).collect()
    }

    /// What it waits for: input to be taken, and, with `hear`, output.
    pub fn interests(&self, hear: bool) -> (Option<&OwnedFd>, impl Iterator<Item = &OwnedFd>) {
        let waits = self.given_later && self.handed.is_some();
        (
            self.input.as_ref().filter(|_| !self.given.is_empty() && !waits),
            self.outputs.iter().flatten().filter(move |_| hear),
        )
    }

    /// Moves what can be moved; what is to be told at once.
    pub fn pump(&mut self, hear: bool, piece: &mut [u8]) -> Vec<Value> {
        self.feed();
        let mut told = Vec::new();
        for number in (0..self.outputs.len()).filter(|_| hear) {
            let bytes = self.take(number, piece);
            let Some(kept) = self.kept.get_mut(number) else { continue };
            kept.extend_from_slice(bytes);
            if number == RESULT && !kept.is_empty() && self.handed.take().is_some() {
                self.feed();
            }
            if self.ended.is_some() {
                self.take_the_rest(number, piece);
            }
            let Some(kept) = self.kept.get_mut(number) else { continue };
            let live = self.stream && number < STREAMS.len();
            let open = self.outputs.get(number).is_some_and(Option::is_some);
            if live && let (Some(id), Some(name)) = (&self.id, STREAMS.get(number)) {
                let count = if open { message::whole_characters(kept) } else { kept.len() };
                let bytes: Vec<u8> = kept.drain(..count).collect();
                told.extend((!bytes.is_empty()).then(|| message::output(id, name, &bytes)));
            } else if live {
                kept.clear();
            } else if kept.len() > LONGEST {
                self.too_long = true;
                kept.clear();
            }
        }
        if self.outputs[RESULT].is_none() && !self.kept[RESULT].is_empty() {
            self.reply = serde_json::from_slice(&std::mem::take(&mut self.kept[RESULT])).ok();
        }
        if self.too_long && !self.cancelled {
            self.cancel();
        }
        told
    }

    /// Reads what a worker that has ended left in a pipe, which is no more than the pipe holds. Nobody would wake us for it again
    /// where somebody else still has the other end, and whoever that is may write for ever.
    fn take_the_rest(&mut self, number: usize, piece: &mut [u8]) {
        for _ in 0..PIPEFULS {
            let more = self.take(number, piece).to_vec();
            if let Some(kept) = self.kept.get_mut(number) {
                kept.extend_from_slice(&more);
            }
        }
        if let Some(slot) = self.outputs.get_mut(number) {
            *slot = None;
        }
    }

    fn take<'p>(&mut self, number: usize, piece: &'p mut [u8]) -> &'p [u8] {
        let Some(slot) = self.outputs.get_mut(number) else { return &[] };
        let Some(output) = slot.as_ref() else { return &[] };
        match read(output, piece) {
            Ok(count @ 1..) => return piece.get(..count).unwrap_or_default(),
            Err(Errno::EAGAIN | Errno::EINTR) => {
                // Whoever it has left behind may hold the stream, and says nothing that is the worker's.
                if self.ended.is_some() {
                    *slot = None;
                }
            }
            // What was sent there nobody has read (unix(7)).
            Err(Errno::ECONNRESET) if number == RESULT => {
                *slot = None;
                self.handed = self.handed.take().map(Handed::unread);
            }
            Ok(_) | Err(_) => *slot = None,
        }
        &[]
    }

    /// A child has ended; whether it was this worker.
    pub fn reaped(&mut self, pid: Pid, how: Result<i32, Signal>) -> bool {
        if pid == self.pid {
            self.ended = Some(how);
        }
        pid == self.pid
    }

    /// Whether there is nothing more to come: its worker has ended, or has answered and said that this was all.
    pub fn is_over(&self) -> bool {
        self.outputs.iter().all(Option::is_none) && (self.ended.is_some() || self.reply.is_some())
    }

    /// Its worker, where that has answered and not ended yet.
    pub fn leaving(&self) -> Option<Pid> {
        self.ended.is_none().then_some(self.pid)
    }

    /// The line of a call that is over and of which nothing was done: its worker had gone before it had read it.
    pub fn undone(&self) -> Option<&[u8]> {
        match &self.handed {
            Some(Handed::Unread(line)) if !self.cancelled => Some(line),
            _ => None,
        }
    }

    /// Nobody will do it.
    pub fn give_up(&mut self) {
        self.handed = None;
    }

    /// Begins anew with another worker, which has its request. `input` is as at the first time; what others gave meanwhile is
    /// there still.
    pub fn begin_anew(&mut self, worker: Worker, input: Input) {
        if let Input::All(bytes) = input {
            (self.given, self.last) = (bytes.into(), true);
        }
        let Worker { pid, input, outputs } = worker;
        (self.pid, self.input, self.outputs) = (pid, Some(input), outputs.map(Some));
        (self.handed, self.ended, self.unread) = (None, None, false);
        self.feed();
    }

    /// The answer, and what there was none of.
    pub fn answer(&mut self) -> (Option<Value>, Wanted) {
        match self.reply.take() {
            Some((answered, code, wanted)) => (self.answer_of(Some((answered, code))), wanted),
            None => (self.answer_of(None), Wanted::default()),
        }
    }

    fn answer_of(&self, answered: Option<(Answered, i32)>) -> Option<Value> {
        let id = self.id.as_ref()?;
        let failed = |code, error: Error| message::error(id, code, &error, self.method.exit_code(&error));
        if self.too_long {
            let error = Error::new(Kind::TooLarge, "it printed more than 256 MiB");
            return Some(failed(Code::Failed, error.hint("ask for it with `stream`, or by a file")));
        }
        let cancelled = || failed(Code::Cancelled, Error::new(Kind::Cancelled, "cancelled"));
        Some(match (answered, self.ended) {
            (Some((Answered::Told(object), code)), _) => match object.get("error").filter(|error| !error.is_null()) {
                Some(error) => of_verb(id, &known(error), code),
                None => message::result(id, &object),
            },
            (Some((Answered::Error(error), code)), _) => of_verb(id, &error, code),
            (None, _) if self.cancelled => cancelled(),
            (None, Some(Err(signal))) => {
                failed(Code::Internal, Error::new(Kind::Failed, format!("its worker was killed by {signal}")))
            }
            (None, ended) => {
                let said = self.kept[1].get(..LAST_WORDS).unwrap_or(&self.kept[1]);
                let said = String::from_utf8_lossy(said).trim_end().to_owned();
                let error = Error::new(Kind::Failed, "its worker ended without an answer");
                let error = if said.is_empty() { error } else { error.hint(format!("it said: {said}")) };
                let code = ended.and_then(Result::ok).unwrap_or(render::FAILED);
                message::error(id, Code::Internal, &error, code)
            }
        })
    }
}

/// The error in an object of `--json`.
fn known(error: &Value) -> Error {
    Error::deserialize(error).unwrap_or_else(|_| Error::new(Kind::Failed, "it failed"))
}

/// What a verb could not do.
fn of_verb(id: &Value, error: &Error, exit_code: i32) -> Value {
    let invalid = matches!(error.kind, Kind::Invalid | Kind::Misused);
    message::error(id, if invalid { Code::Parameters } else { Code::Failed }, error, exit_code)
}
