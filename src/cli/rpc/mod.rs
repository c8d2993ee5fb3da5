//! `belljar rpc`: JSON-RPC 2.0 over standard input and output, one object a line, any number of requests in flight.
//!
//! A request is a verb of the front door, by name. Each is done by a copy of this process (fork(2)), made while nobody asks where there
//! was time for it, which comes back through pipes; this process has one thread, waits for all of them, and never clones a sandbox itself. When input ends, what is in flight is
//! brought to its end; when nobody hears us any more, it is cancelled. A reader that is slow slows the commands down, and nothing
//! is dropped.

mod ahead;
mod call;
mod message;
mod mounts;
mod own;
mod poised;
mod ready;
mod worker;

use super::{render, terminal};
use crate::error::{Error, Kind, Problem};
use crate::host::diagnose::no_processes;
use crate::sys::fd::open_anew;
use crate::sys::inherited::Inherited;
use crate::sys::signal::default_action;
use crate::sys::worker::prepare;
use crate::verbs::{self, parameters};
use ahead::{Ahead, Now};
pub use ahead::{MOST as MOST_AHEAD, USUAL as USUALLY_AHEAD};
use call::{Asked, Call};
use message::{Code, Refusal, Request};
use mounts::Mounts;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, read, write};
use own::{Cancel, InputOf, Version, streams};
use poised::Poised;
use ready::Kept;
pub use ready::MOST as MOST_READY;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use worker::{Work, Worker};

/// The longest line that is read.
const LONGEST_LINE: usize = 96 << 20;
/// Requests in flight at once.
const MOST_CALLS: usize = 256;
/// How long a request may wait for what was ready to be gone, where the host has no room for both; and how often that is tried.
const GOING: Duration = Duration::from_secs(2);
const GLANCE: Duration = Duration::from_millis(2);
/// Bytes that may wait for our reader before commands have to.
const HIGH_WATER: usize = 1 << 20;
/// What a pipe takes for sure when it says that it takes anything (PIPE_BUF).
const CAREFUL: usize = 4096;
const PIECE: usize = 64 << 10;

struct Broker {
    signals: SignalFd,
    /// The caller's.
    mask: SigSet,
    /// Our own description of standard output, where there can be one: then writing does not wait.
    out: Option<OwnedFd>,
    read: Vec<u8>,
    to_write: VecDeque<u8>,
    /// For what is read at once.
    piece: Vec<u8>,
    calls: Vec<Call>,
    /// Workers that have answered, and that the kernel still takes down.
    leaving: Vec<Pid>,
    ahead: Ahead,
    /// Sandboxes that are made before they are asked for.
    kept: Kept,
    /// Those that are made before there is a command for them.
    poised: Poised,
    /// What they would show of the host.
    mounts: Mounts,
    /// The number of the latest request.
    number: u64,
    /// How long what was let go of for a request may take to be gone.
    going_until: Option<Instant>,
    /// Whether more requests may come.
    open: bool,
    /// Whether what is read belongs to a line that was too long, and refused.
    overlong: bool,
}

/// Whether a line asks for something that can be done, or why it does not.
///
/// # Errors
///
/// As it is answered.
pub fn understand(line: &[u8]) -> Result<(), String> {
    let request = message::read(line).map_err(|unread| unread.1.error.to_string())?;
    if let Some(method) = verbs::method(&request.method) {
        return method.check(request.parameters, terminal::ENV).map_err(|error| error.to_string());
    }
    Err("no such method".to_owned())
}

/// Answers until input ends and everything is answered; the exit code. `ahead`: how many workers wait for requests; `ready`: how many
/// sandboxes for their creation.
pub fn serve(ahead: u8, ready: u8) -> i32 {
    let served = Broker::new(ahead, ready).and_then(|mut broker| {
        let mut turned = Ok(());
        while turned.is_ok() && (broker.open || !broker.calls.is_empty() || !broker.to_write.is_empty()) {
            turned = broker.turn();
        }
        broker.ahead.end();
        broker.poised.await_end();
        turned
    });
    match served {
        Ok(()) => 0,
        // Nobody hears us: what is in flight ends with us.
        Err(Errno::EPIPE) => render::FAILED,
        Err(errno) => {
            render::say(&format!("cannot continue: {}", errno.desc()));
            render::FAILED
        }
    }
}

impl Broker {
    fn new(ahead: u8, ready: u8) -> nix::Result<Broker> {
        prepare();
        // Where it is ignored, the kernel does not tell how a child ended.
        default_action(nix::libc::SIGCHLD);
        let heard: SigSet = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&heard), Some(&mut mask))?;
        let stdout = std::io::stdout();
        let regular = nix::sys::stat::fstat(&stdout)?.st_mode & nix::libc::S_IFMT == nix::libc::S_IFREG;
        Ok(Broker {
            signals: SignalFd::with_flags(&heard, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?,
            mask,
            out: if regular { None } else { open_anew(stdout.as_fd(), OFlag::O_WRONLY) },
            read: Vec::new(),
            to_write: VecDeque::new(),
            piece: vec![0; PIECE],
            calls: Vec::new(),
            leaving: Vec::new(),
            ahead: Ahead::new(ahead),
            kept: Kept::new(ready),
            poised: Poised::new(ready),
            mounts: Mounts::watch(ready > 0),
            number: 0,
            going_until: None,
            open: true,
            overlong: false,
        })
    }

    /// Waits for anything, and deals with it.
    fn turn(&mut self) -> nix::Result<()> {
        let hear = self.to_write.len() < HIGH_WATER;
        let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
        let writing = if self.to_write.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        // Without anything to write too: that nobody reads any more is always told.
        let mut list = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN), PollFd::new(stdout.as_fd(), writing)];
        let asks = self.open && hear;
        list.extend(asks.then(|| PollFd::new(stdin.as_fd(), PollFlags::POLLIN)));
        for call in &self.calls {
            let (input, outputs) = call.interests(hear);
            list.extend(input.map(|input| PollFd::new(input.as_fd(), PollFlags::POLLOUT)));
            list.extend(outputs.map(|output| PollFd::new(output.as_fd(), PollFlags::POLLIN)));
        }
        let patience = self.ahead.patience(self.calls.len(), MOST_CALLS).filter(|_| self.open);
        let to_poise = self.poised.patience().filter(|_| self.open);
        let to_make = self.kept.patience().filter(|_| self.open);
        let others = list.len();
        list.extend(self.kept.interests().map(|kept| PollFd::new(kept.as_fd(), PollFlags::POLLIN)));
        // The last one.
        let mounts = self.mounts.descriptor();
        let watches =
            mounts.map(|mounts| PollFd::new(mounts, PollFlags::POLLPRI)).map(|mounts| list.push(mounts)).is_some();
        match poll(&mut list, patience.or(to_poise).or(to_make).unwrap_or(PollTimeout::NONE)) {
            Err(Errno::EINTR) => return Ok(()),
            Ok(0) => {
                drop(list);
                match (patience, to_poise) {
                    (Some(_), _) => self.ahead.make(&self.mask),
                    (None, Some(_)) => self.poised.make(&self.mask, self.mounts.changes()),
                    (None, None) => self.kept.make(&self.mask, self.mounts.changes()),
                }
                return Ok(());
            }
            ready => ready?,
        };
        let told = |at: usize| list.get(at).and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        let (signalled, writable, asked) = (!told(0).is_empty(), told(1), asks && !told(2).is_empty());
        let stirred = list.iter().skip(others).any(|kept| kept.any() == Some(true));
        let remounted = watches && list.last().and_then(PollFd::any) == Some(true);
        drop(list);
        if remounted && self.mounts.look() {
            self.kept.forget();
            self.poised.forget();
        }
        if stirred {
            self.kept.tend();
        }
        if writable.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL) {
            return Err(Errno::EPIPE);
        }
        if signalled {
            self.listen()?;
        }
        for at in 0..self.calls.len() {
            let Some(call) = self.calls.get_mut(at) else { continue };
            for line in call.pump(hear, &mut self.piece) {
                self.tell(&line);
            }
        }
        self.finish();
        if asked {
            self.take(stdin.as_fd())?;
        }
        if writable.contains(PollFlags::POLLOUT) || !self.to_write.is_empty() {
            self.write(stdout.as_fd(), writable.contains(PollFlags::POLLOUT))?;
        }
        Ok(())
    }

    /// Children that ended, and signals that tell us to.
    fn listen(&mut self) -> nix::Result<()> {
        while let Some(info) = self.signals.read_signal()? {
            if info.ssi_signo == Signal::SIGCHLD as u32 {
                continue;
            }
            self.open = false;
            self.kept.end();
            self.poised.end();
            self.calls.iter_mut().for_each(Call::cancel);
        }
        loop {
            let (pid, how) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Ok(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Err(signal)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(()),
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            };
            self.leaving.retain(|leaving| *leaving != pid);
            if !self.calls.iter_mut().any(|call| call.reaped(pid, how)) {
                self.ahead.reaped(pid);
                self.poised.reaped(pid);
            }
        }
    }

    /// Answers what has come to its end.
    fn finish(&mut self) {
        let mut lines = Vec::new();
        for call in &mut self.calls {
            lines.extend(call.fed());
        }
        let (over, going): (Vec<Call>, Vec<Call>) =
            std::mem::take(&mut self.calls).into_iter().partition(Call::is_over);
        self.calls = going;
        let (anew, over): (Vec<Call>, Vec<Call>) = over.into_iter().partition(|call| call.undone().is_some());
        for mut call in anew {
            if self.begin_anew(&mut call) {
                self.calls.push(call);
            } else {
                call.give_up();
                lines.extend(call.fed());
                lines.extend(call.answer().0);
            }
        }
        for mut call in over {
            let ((answer, wanted), number) = (call.answer(), call.number);
            self.leaving.extend(call.leaving());
            lines.extend(answer);
            wanted.sandbox.into_iter().for_each(|wanted| self.kept.want(wanted));
            wanted.run.into_iter().for_each(|wanted| self.poised.want(wanted, number));
        }
        lines.iter().for_each(|line| self.tell(line));
    }

    /// Gives a request to another worker, whose first has not read it; whether there is one.
    fn begin_anew(&self, call: &mut Call) -> bool {
        let read = call.undone().and_then(|line| message::read(line).ok());
        let Some(Request { method, mut parameters, .. }) = read else { return false };
        let (Some(method), Ok((stream, input))) = (verbs::method(&method), streams(&mut parameters)) else {
            return false;
        };
        let started = Worker::start(&mut Work { method, given: parameters, stream, offered: None }, &self.mask);
        started.map(|worker| call.begin_anew(worker, input)).is_ok()
    }

    fn tell(&mut self, line: &Value) {
        self.to_write.extend(line.to_string().as_bytes());
        self.to_write.push_back(b'\n');
    }

    fn write(&mut self, stdout: BorrowedFd<'_>, ready: bool) -> nix::Result<()> {
        let written = match &self.out {
            Some(out) => write(out, self.to_write.as_slices().0),
            None if ready => {
                let first = self.to_write.as_slices().0;
                write(stdout, first.get(..CAREFUL).unwrap_or(first))
            }
            None => return Ok(()),
        };
        match written {
            Ok(count) => drop(self.to_write.drain(..count)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    fn take(&mut self, stdin: BorrowedFd<'_>) -> nix::Result<()> {
        let count = match read(stdin, &mut self.piece) {
            Ok(0) => {
                self.open = false;
                // A last line without an end is one all the same.
                0
            }
            Ok(count) => count,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        let searched = self.read.len();
        self.read.extend_from_slice(self.piece.get(..count).unwrap_or_default());
        let mut from = 0;
        while let Some(end) = self.read.iter().skip(searched.max(from)).position(|byte| *byte == b'\n') {
            let end = searched.max(from) + end;
            let line = self.read.get(from..end).unwrap_or_default().to_vec();
            from = end + 1;
            if !std::mem::take(&mut self.overlong) {
                self.ask(&line);
            }
        }
        self.read.drain(..from);
        // The rest of a line that was refused is passed over.
        if self.overlong {
            self.read.clear();
        }
        if !self.open {
            let line = std::mem::take(&mut self.read);
            self.ask(&line);
            self.kept.end();
            self.poised.end();
            self.calls.iter_mut().for_each(Call::end_input);
        } else if self.read.len() > LONGEST_LINE {
            let error = Error::new(Kind::TooLarge, "a line is longer than 96 MiB");
            self.tell(&message::error(&Value::Null, Code::Parse, &error, verbs::exit_code(&error)));
            self.read = Vec::new();
            self.overlong = true;
        }
        Ok(())
    }

    /// One line.
    fn ask(&mut self, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let request = match message::read(line) {
            Ok(request) => request,
            Err(unread) => return self.refuse(&unread.0, &unread.1),
        };
        let id = request.id.clone();
        let done = match request.method.as_str() {
            "cancel" => self.cancel(request),
            "input" => self.input(request),
            "version" => parameters::read(&request.method, request.parameters, |_: Version| Vec::new())
                .map(|_| Some(json!({ "version": env!("CARGO_PKG_VERSION") })))
                .map_err(parameters_refused),
            _ => self.call(request, line).map(|()| None),
        };
        let Some(id) = id else { return };
        match done {
            Ok(Some(result)) => self.tell(&message::result(&id, &result)),
            Ok(None) => {}
            Err(refusal) => self.refuse(&id, &refusal),
        }
    }

    fn refuse(&mut self, id: &Value, refusal: &Refusal) {
        self.tell(&message::error(id, refusal.code, &refusal.error, refusal.exit_code));
    }

    fn call(&mut self, request: Request, line: &[u8]) -> Result<(), Refusal> {
        let Request { id, method, mut parameters } = request;
        let Some(found) = verbs::method(&method) else {
            let why = format!("no method `{}`", method.escape_debug());
            let mut refusal = Refusal::whole(Code::Method, why);
            refusal.error = refusal.error.hint("`belljar schema rpc` lists them");
            return Err(refusal);
        };
        let of_method = |code, error: Error| Refusal { exit_code: found.exit_code(&error), code, error };
        if id.is_some() && self.calls.iter().any(|call| call.id == id) {
            return Err(Refusal::of(Code::Request, "id", "a request in flight has the same"));
        }
        if self.calls.len() >= MOST_CALLS {
            let error = Error::new(Kind::Busy, format!("{MOST_CALLS} requests are in flight already"));
            return Err(of_method(Code::Failed, error.hint("wait for the answer to one of them")));
        }
        let (stream, input) = streams(&mut parameters).map_err(|mut problems| {
            // What is wrong with all others is said with it.
            problems.extend(
                found.check(parameters.clone(), terminal::ENV).err().into_iter().flat_map(|error| error.problems),
            );
            of_method(Code::Parameters, Error::misused(problems))
        })?;
        let poises = self.poised.does(&method, &parameters);
        self.number += 1;
        let (now, number) = (Now::new(Inherited::now), self.number);
        let mounts = self.mounts.changes();
        let offered = (self.kept.is_on() && method == "create").then(|| self.kept.offered(&now, mounts));
        let poised = poises.then(|| self.poised.take(line, number, (&now, mounts))).flatten();
        let (worker, handed) = match poised.or_else(|| self.ahead.take(line, offered.as_deref(), &now)) {
            Some(worker) => (worker, Some(line.to_vec())),
            None => {
                let mut work = Work { method: found, given: parameters, stream, offered };
                let mut started = Worker::start(&mut work, &self.mask);
                let patience = Instant::now() + GOING;
                if started.is_err() && self.let_go() {
                    self.going_until = Some(patience);
                }
                // Those that waited have what it takes, or who has just answered, and take a moment to be gone: for whoever comes meanwhile, too.
                while started.is_err() && self.somebody_goes(patience) {
                    std::thread::sleep(GLANCE);
                    // Who has ended and was not asked for counts still.
                    let heard = self.listen().map_err(|errno| errno as i32);
                    started = heard.and_then(|()| Worker::start(&mut work, &self.mask));
                }
                let failed = |errno| match errno {
                    nix::libc::EAGAIN => of_method(Code::Internal, no_processes()),
                    _ => of_method(Code::Internal, Error::setup("start a worker", errno)),
                };
                (started.map_err(failed)?, None)
            }
        };
        let call = Call::of(id, Asked { method: found, number, stream, input }, worker, handed);
        self.calls.push(call);
        Ok(())
    }

    /// Whether somebody is about to be gone, whom a request waits for until then at most.
    fn somebody_goes(&self, patience: Instant) -> bool {
        let until = if self.leaving.is_empty() { self.going_until } else { Some(patience) };
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Lets go of everything that waits; whether there was any.
    fn let_go(&mut self) -> bool {
        let kept = self.kept.let_go();
        self.ahead.let_go() | self.poised.let_go() | kept
    }

    fn of(&mut self, id: &Value) -> Result<&mut Call, Refusal> {
        let found = self.calls.iter_mut().find(|call| call.id.as_ref() == Some(id));
        found.ok_or_else(|| {
            let problem = Problem::new("id", "no such request is in flight");
            parameters_refused(Error::of(Kind::NotFound, vec![problem]))
        })
    }

    fn cancel(&mut self, request: Request) -> Result<Option<Value>, Refusal> {
        let read = parameters::read(&request.method, request.parameters, |_: Cancel| Vec::new());
        self.of(&read.map_err(parameters_refused)?.id.0)?.cancel();
        Ok(Some(json!({})))
    }

    fn input(&mut self, request: Request) -> Result<Option<Value>, Refusal> {
        let read = parameters::read(&request.method, request.parameters, |_: InputOf| Vec::new());
        let InputOf { id, data, end } = read.map_err(parameters_refused)?;
        let data = data.map(|data| data.0).unwrap_or_default();
        self.of(&id.0)?.give(data.as_encoded_bytes(), end, request.id)?;
        // Answered when it has been taken.
        self.finish();
        Ok(None)
    }
}

fn parameters_refused(error: Error) -> Refusal {
    Refusal::new(Code::Parameters, error)
}
