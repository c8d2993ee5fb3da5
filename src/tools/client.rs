//! The host's side of the tool: starts it in a sandbox, asks, and passes on what it hears.

use super::wire::{self, Ending, Inlet, Outlet, PIECE, Tail};
use super::{Request, Trouble};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The most items of one answer that is kept, and their bytes: whoever is inside could go on for ever.
const MOST_ITEMS: u64 = 4_000_000;
const MOST_BYTES: usize = 256 << 20;

/// A tool in one sandbox.
pub struct Client {
    child: Child,
    to: Option<BufWriter<ChildStdin>>,
    from: Option<BufReader<Tail<Patient>>>,
    /// When the host waits no longer.
    until: Option<Instant>,
}

/// What the tool says, until a time that the host keeps: inside, everything can be stopped.
struct Patient {
    from: ChildStdout,
    until: Option<Instant>,
}

impl Read for Patient {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(until) = self.until {
            let rest = until.saturating_duration_since(Instant::now());
            let mut list = [PollFd::new(self.from.as_fd(), PollFlags::POLLIN)];
            let time = PollTimeout::try_from(rest.as_millis()).unwrap_or(PollTimeout::MAX);
            if poll(&mut list, time)? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        self.from.read(into)
    }
}

/// Writes the data of a request.
pub type Data<'a> = &'a mut dyn FnMut(&mut dyn Write) -> Result<(), Trouble>;

/// Takes in one item, as JSON.
pub type Heard<'a> = &'a mut (dyn FnMut(&[u8]) -> io::Result<()> + Send);

impl Client {
    /// Starts the tool. `program` is what brings it into the sandbox, which is the adapter's to know: it passes its own standard
    /// streams on, and says in a frame why it cannot.
    ///
    /// # Errors
    ///
    /// What keeps a process from being started.
    pub fn start(program: &[OsString]) -> Result<Client, Trouble> {
        let (first, words) = program.split_first().ok_or_else(|| Trouble::new("failed", "no program to start"))?;
        let mut command = Command::new(first);
        // In a process group of its own: what a terminal sends to all of a group is for the caller to act on, who ends this in order.
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(|error| Trouble::of(&error))?;
        let streams = child.stdin.take().zip(child.stdout.take());
        let (to, from) = streams.ok_or_else(|| Trouble::new("failed", "no streams to the tool"))?;
        let from = BufReader::with_capacity(PIECE, Tail::new(Patient { from, until: None }));
        Ok(Client { child, to: Some(BufWriter::new(to)), from: Some(from), until: None })
    }

    /// From now on, whatever is asked has to be answered within this time.
    pub fn answers_within(&mut self, time: Duration) {
        self.until = Instant::now().checked_add(time);
        if let Some(from) = self.from.as_mut() {
            from.get_mut().inner_mut().until = self.until;
        }
    }

    /// Asks, sends `data` if the request takes any, and passes on items and data as they come.
    ///
    /// # Errors
    ///
    /// What the tool says, or why there is none any more.
    pub fn ask(
        &mut self,
        request: &Request,
        data: Option<Data<'_>>,
        heard: Heard<'_>,
        given: &mut dyn FnMut(&mut (dyn Read + Send)) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let sent = self.send(request, data);
        // Where it does not listen any more, it has said why.
        let broken = sent.as_ref().err().is_some_and(|trouble| trouble.kind == "broken");
        if let Err(trouble) = sent
            && !broken
        {
            return Err(trouble);
        }
        let mut failed = None;
        let Some(from) = self.from.as_mut() else { return Err(Trouble::new("failed", "the tool was dismissed")) };
        let mut aside = |kind: u8, bytes: &[u8]| match kind {
            wire::ITEM => heard(bytes),
            wire::FAILED => {
                failed = Some(wire::parse::<Trouble>(bytes)?);
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            _ => Err(wire::nonsense("a frame that nobody asked for")),
        };
        let mut inlet = Inlet::new(from, &mut aside);
        let taken = given(&mut inlet).and_then(|()| inlet.drain().map_err(|error| said(&error)));
        let (end, broken) = (inlet.end.take(), inlet.broken);
        if let Some(trouble) = failed {
            return Err(trouble);
        }
        if broken && let Some(trouble) = self.last_word() {
            return Err(trouble);
        }
        match (end.as_deref().map(wire::parse::<Ending>), taken) {
            // What the tool says is the reason why its data is cut off.
            (Some(Ok(Some(trouble))), _) => Err(trouble),
            (_, Err(trouble)) => Err(trouble),
            (Some(Ok(None)), Ok(())) => Ok(()),
            (Some(Err(error)), Ok(())) => Err(said(&error)),
            (None, Ok(())) => Err(said(&io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// As [`ask`](Client::ask), for items of one shape that the caller keeps: there is an end to how many.
    pub fn list<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        each: &mut (dyn FnMut(T) -> io::Result<()> + Send),
    ) -> Result<(), Trouble> {
        let (mut items, mut length) = (0, 0);
        let mut count = |bytes: &[u8]| {
            items += 1;
            length += bytes.len();
            match items <= MOST_ITEMS && length <= MOST_BYTES {
                true => each(wire::parse(bytes)?),
                false => Err(wire::nonsense("there is more than anybody would keep")),
            }
        };
        self.ask(request, None, &mut count, &mut |_| Ok(()))
    }

    /// The same for items that the caller passes on as they come.
    pub fn follow<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        each: &mut (dyn FnMut(T) -> io::Result<()> + Send),
    ) -> Result<(), Trouble> {
        self.ask(request, None, &mut |bytes| each(wire::parse(bytes)?), &mut |_| Ok(()))
    }

    /// Why the tool was cut off, if the host's side says it.
    fn last_word(&mut self) -> Option<Trouble> {
        self.to = None;
        let mut from = self.from.take()?;
        // Whoever is inside could go on for ever.
        io::copy(&mut (&mut from).take(2 * wire::LONGEST as u64), &mut io::sink()).ok()?;
        from.get_ref().last_word()
    }

    fn send(&mut self, request: &Request, data: Option<Data<'_>>) -> Result<(), Trouble> {
        let Some(to) = self.to.as_mut() else { return Err(Trouble::new("broken", "the tool was dismissed")) };
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::BrokenPipe => Trouble::new("broken", "the tool does not listen any more"),
            _ => Trouble::of(&error),
        };
        wire::write_json(to, wire::REQUEST, request).map_err(broken)?;
        if let Some(data) = data {
            let mut outlet = Outlet::new(to);
            data(&mut outlet)?;
            outlet.flush().map_err(broken)?;
            wire::write(to, wire::END, &[]).map_err(broken)?;
        }
        to.flush().map_err(broken)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let late = self.until.is_some_and(|until| Instant::now() >= until);
        // Without its streams it ends.
        self.to = None;
        self.from = None;
        if late {
            // Unless what it has started inside is stopped: it is told to end that, and is not waited for.
            let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
            return;
        }
        let _ = self.child.wait();
    }
}

/// What is said of an error on the way in.
pub fn said(error: &io::Error) -> Trouble {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Trouble::new("ended", "the tool inside was ended before it had answered");
    }
    if error.kind() == io::ErrorKind::TimedOut {
        return Trouble::new("failed", "the sandbox does not answer: what runs in it is stopped, or has no time")
            .hint("`belljar rm -f` removes it in any case");
    }
    Trouble::of(error)
}
