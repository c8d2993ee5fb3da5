//! A worker: a copy of this process that does one request and ends, with the pipes to it.
//!
//! Its descriptor 3 is a socket: there it hears its request, where it was forked before that was known, and there it answers. It works
//! for one request only: nothing that was used is used again.

use super::message;
use super::own::streams;
use crate::cli::{render, terminal};
use crate::error::Error;
use crate::process::{self, Poised, Shape};
use crate::sandbox::{self, Template, prepare};
use crate::sys::proc::Entered;
use crate::sys::{Answer, fd, worker};
use crate::verbs::{self, Method, Ready, Site};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, setsockopt, socketpair, sockopt};
use nix::unistd::{Pid, pipe2};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};

/// The descriptor that its request comes by and its result goes to.
const RESULT: RawFd = 3;
/// That of a maker by which its sandbox is held.
const LEASE: RawFd = 4;
/// The longest line that is handed to a worker that waits: what a socket takes at once. Who is asked for more is forked for it.
pub const LONGEST_HANDED: usize = 48 << 10;
/// Bytes of a result that wait in the socket, twice that at most: no more than is read of a worker that has ended.
const IN_SOCKET: usize = 64 << 10;
/// What a worker says first that was forked ahead and whose input others give: it has its request, and is the one that reads it.
/// Nothing, where what follows is read as JSON.
const BEGUN: &[u8] = b"\n";

/// A worker that has its request, or waits for it.
pub struct Worker {
    pub pid: Pid,
    /// Its standard input.
    pub input: OwnedFd,
    /// Its standard output, standard error and result.
    pub outputs: [OwnedFd; 3],
}

/// What it does: a verb, with its parameters.
pub struct Work {
    /// The verb.
    pub method: &'static Method,
    /// Its parameters.
    pub given: Map<String, Value>,
    /// Whether what it prints is told as it comes.
    pub stream: bool,
    /// Sandboxes that wait and may be taken, where any are kept ready.
    pub offered: Option<Vec<String>>,
}

/// What a worker answers, the exit code that goes with it, and what there was none of.
pub type Reply = (Answered, i32, Wanted);

/// What was asked for and can be made before the next one asks.
#[derive(Default, Serialize, Deserialize)]
pub struct Wanted {
    /// A sandbox.
    pub sandbox: Option<Template>,
    /// One for a command.
    pub run: Option<Shape>,
}

/// What a worker answers.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    Told(Value),
    Error(Error),
}

impl Work {
    /// Does it, in the worker; the exit code.
    fn run(&mut self, mut result: File, poised: Option<Poised>) -> i32 {
        let (method, given) = (self.method, std::mem::take(&mut self.given));
        let (sandboxes, run) = (self.offered.take().map(sandbox::Ready::new), process::Ready::new(poised));
        let ready = Ready { sandboxes: sandboxes.as_ref(), run: Some(&run) };
        let done = terminal::site_with(self.stream, ready, |site| method.call(given, site));
        let (answered, code) = match done {
            Ok((told, code)) => (Answered::Told(told), code),
            Err(error) => {
                let code = method.exit_code(&error);
                (Answered::Error(error), code)
            }
        };
        let wanted = Wanted { sandbox: sandboxes.and_then(sandbox::Ready::wanted), run: run.wanted() };
        let reply: Reply = (answered, code, wanted);
        let written = serde_json::to_vec(&reply).map_err(std::io::Error::from);
        match written.and_then(|text| result.write_all(&text)) {
            Ok(()) => hang_up(result),
            // The broker is gone, and with it whoever asked.
            Err(_) => return render::FAILED,
        }
        code
    }
}

impl Worker {
    /// Starts one for this work, which stays as it is here. `mask`: its signal mask.
    pub fn start(work: &mut Work, mask: &SigSet) -> Answer<Worker> {
        Worker::fork(mask, None, |result| work.run(result, None))
    }

    /// Starts one that waits for a request.
    pub fn ahead(entered: Option<Entered>, mask: &SigSet) -> Answer<Worker> {
        Worker::fork(mask, None, |line| await_request(line, None, entered))
    }

    /// Starts one that waits for a request with a sandbox that waits for a command.
    pub fn poised(shape: Shape, entered: Option<Entered>, mask: &SigSet) -> Answer<Worker> {
        Worker::fork(mask, None, |line| {
            // Who has stopped us must not keep it when `rpc` is gone.
            let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGCONT);
            let store = |site: &Site<'_>| site.home.is_some().then(|| site.store()).transpose();
            match terminal::site(false, |site| Poised::make(shape, store(site)?.as_ref())) {
                Ok(poised) => await_request(line, Some(poised), entered),
                // Whoever runs a command next is told why.
                Err(_) => render::FAILED,
            }
        })
    }

    /// Starts one that makes a sandbox which waits for somebody, and answers its id. It is there as long as the other end of `lease` is.
    pub fn maker(template: Template, lease: OwnedFd, mask: &SigSet) -> Answer<Worker> {
        Worker::fork(mask, Some(lease), |mut result| {
            let Ok(lease) = fd::inherited(LEASE) else { return render::FAILED };
            let made = terminal::site(false, |site| prepare(&site.sandboxes()?, template, lease));
            // Without an answer it is not there, and another is made when somebody has asked again.
            made.map_or(render::FAILED, |id| result.write_all(id.as_bytes()).map_or(render::FAILED, |()| 0))
        })
    }

    fn fork(mask: &SigSet, lease: Option<OwnedFd>, act: impl FnOnce(File) -> i32) -> Answer<Worker> {
        let raw = |errno: Errno| errno as i32;
        let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(raw);
        let (stdin, input) = pipe()?;
        let (output, stdout) = pipe()?;
        let (error, stderr) = pipe()?;
        let stream = (AddressFamily::Unix, SockType::Stream);
        let (ours, theirs) = socketpair(stream.0, stream.1, None, SockFlag::SOCK_CLOEXEC).map_err(raw)?;
        setsockopt(&theirs, sockopt::SndBuf, &IN_SOCKET).map_err(raw)?;
        for end in [&input, &output, &error, &ours] {
            fd::set_nonblocking(end.as_fd())?;
        }
        let descriptors: Vec<OwnedFd> = [stdin, stdout, stderr, theirs].into_iter().chain(lease).collect();
        let pid = worker::start(&descriptors, mask, || match fd::inherited(RESULT) {
            // Closed in whatever it starts and leaves behind.
            Ok(result) => act(result.into()),
            Err(_) => render::FAILED,
        })?;
        Ok(Worker { pid, input, outputs: [output, error, ours] })
    }

    /// Hands its request to one that waits; whether all of that has been taken.
    pub fn ask(&self, line: &[u8], offered: Option<&[String]>) -> bool {
        // A line has no end in it: what stands behind one is what is offered.
        let offered = offered.map_or(String::new(), |ids| format!("\n{}", ids.join(" ")));
        let length = u32::try_from(line.len() + offered.len()).unwrap_or(u32::MAX).to_le_bytes();
        let frame = [&length, line, offered.as_bytes()].concat();
        let sent = send(self.outputs[2].as_raw_fd(), &frame, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT);
        sent.is_ok_and(|count| count == frame.len())
    }
}

/// Says that nothing more comes: to take a process down takes its time, and nobody waits for that who has the answer.
fn hang_up(result: File) {
    drop(result);
    // Where the broker is gone nobody misses what is left of it.
    let _ = std::io::stdout().flush();
    for stream in [nix::libc::STDOUT_FILENO, nix::libc::STDERR_FILENO] {
        let _ = nix::unistd::close(stream);
    }
}

/// In a worker that waits: does what it is asked. Where nobody asks, and nobody will, it ends.
fn await_request(mut line: File, poised: Option<Poised>, entered: Option<Entered>) -> i32 {
    entered.inspect(|entered| entered.touch());
    let waits = poised.as_ref().is_none_or(|poised| poised.waits_for(line.as_fd()));
    let Some(request) = waits.then(|| hear_request(&mut line)).flatten() else {
        poised.into_iter().for_each(Poised::end);
        return 0;
    };
    let (request, offered) = match request.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let ids = request.get(end + 1..).unwrap_or_default();
            let ids = String::from_utf8_lossy(ids).split_ascii_whitespace().map(str::to_owned).collect();
            (request.get(..end).unwrap_or_default(), Some(ids))
        }
        None => (request.as_slice(), None),
    };
    // The broker has read the same line, and has said everything that is wrong with it.
    let Ok(message::Request { method, mut parameters, .. }) = message::read(request) else { return render::FAILED };
    let (Some(method), Ok((stream, input))) = (verbs::method(&method), streams(&mut parameters)) else {
        return render::FAILED;
    };
    if input.is_given() && line.write_all(BEGUN).is_err() {
        return render::FAILED;
    }
    Work { method, given: parameters, stream, offered }.run(line, poised)
}

/// The next request; nothing, where nobody will ask.
fn hear_request(line: &mut File) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    line.read_exact(&mut length).ok()?;
    let mut request = vec![0; u32::from_le_bytes(length) as usize];
    line.read_exact(&mut request).ok()?;
    Some(request)
}
