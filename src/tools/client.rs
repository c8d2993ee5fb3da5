//! The host's side of the tool: starts it in a sandbox, sends requests, and passes on its answers.

use super::Request;
use super::bulk::{In, Out, Sink};
use super::patient::{Patience, Patient};
use super::wire::{self, Ending, Inlet, Outlet};
use crate::error::{Error, Kind};
use crate::own::Own;
use crate::trees::unpack::Source;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a tool that was dismissed may take to end, and again when it was told to.
const LAST: Duration = Duration::from_secs(5);

/// How much longer a tool may live than others in a sandbox that ends.
const DYING: Duration = Duration::from_millis(250);

/// The most bytes of one answer that is kept: whoever is inside could go on for ever.
pub const MOST_BYTES: usize = 32 << 20;

/// The longest word of the host's side.
const LONGEST_WORD: usize = 16 << 10;

/// How many items an answer may have that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Most {
    /// None: it is done, or it is not.
    Nothing,
    /// What one thing is.
    One,
    /// Sessions: each of them is at least a process.
    Few,
    /// Files and lines: their bytes are bounded, [`MOST_BYTES`], and no more.
    Many,
}

impl Most {
    fn items(self) -> usize {
        match self {
            Most::Nothing => 0,
            Most::One => 1,
            Most::Few => 4096,
            Most::Many => usize::MAX,
        }
    }
}

/// A tool in one sandbox.
pub struct Client {
    child: Child,
    to: Option<Out<ChildStdin>>,
    from: Option<In<ChildStdout>>,
    /// Where the host's side says why there is no tool, or no longer. It ends with that side.
    word: Arc<OwnedFd>,
    patience: Patience,
    /// The most that any answer may take.
    within: Option<Duration>,
}

/// Writes the data of a request.
pub type Data<'a> = &'a mut dyn FnMut(&mut dyn Sink) -> Result<(), Error>;

/// Takes in one item, as JSON.
pub type Heard<'a> = &'a mut (dyn FnMut(&[u8]) -> io::Result<()> + Send);

impl Client {
    /// Starts the tool in a sandbox, by [`Own::Enter`]: that gives it its own standard streams, and says why it cannot on another pipe, as
    /// the JSON of an [`Error`]. That pipe stays outside: nobody inside speaks for the host. `stopped_too`: the files of a stopped sandbox
    /// will do. The sandbox is one of those in `home`, belljar's own directory.
    ///
    /// # Errors
    ///
    /// What keeps a process from being started.
    pub fn start(home: &Path, sandbox: &OsStr, stopped_too: bool) -> Result<Client, Error> {
        Client::of(|descriptor| {
            let mut command = Own::Enter { sandbox: sandbox.to_owned(), stopped_too, descriptor }.command();
            command.env("BELLJAR_HOME", home);
            command
        })
    }

    /// The same by another `command`, which is told the number of the pipe for the host's side.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn of(command: impl FnOnce(RawFd) -> Command) -> Result<Client, Error> {
        // In a process group of its own: what a terminal sends to all of a group is for the caller to act on, who ends this in order.
        let failed = |error: io::Error| Error::of_io(&error);
        let (word, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| failed(errno.into()))?;
        // Should another process of ours be started at the same moment, it holds the pipe and does nothing with it.
        fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty())).map_err(|errno| failed(errno.into()))?;
        let mut command = command(theirs.as_raw_fd());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        drop(theirs);
        let streams = child.stdin.take().zip(child.stdout.take());
        let (to, from) = streams.ok_or_else(|| Error::new(Kind::Failed, "no streams to the tool"))?;
        let word = Arc::new(word);
        let patience = Patience::until(word.clone());
        let to = Out::new(to, patience.clone()).map_err(failed)?;
        let from = In::new(from, patience.clone()).map_err(failed)?;
        Ok(Client { child, to: Some(to), from: Some(from), word, patience, within: None })
    }

    /// From now on the tool may be silent no longer than this, whatever is asked.
    pub fn answers_within(&mut self, time: Duration) {
        self.within = Some(time);
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
        given: &mut dyn FnMut(&mut dyn Source) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let patience = [request.patience(), self.within].into_iter().flatten().min();
        self.patience.set(patience);
        let sent = self.send(request, data);
        // Where it does not listen any more, it has said why.
        let broken = sent.as_ref().err().is_some_and(|trouble| trouble.kind == Kind::Broken);
        if let Err(trouble) = sent
            && !broken
        {
            return Err(trouble);
        }
        let mut failed = None;
        let Some(from) = self.from.as_mut() else { return Err(Error::new(Kind::Failed, "the tool was dismissed")) };
        let mut aside = |kind: u8, bytes: &[u8]| match kind {
            wire::ITEM => heard(bytes),
            wire::FAILED => {
                failed = Some(wire::parse::<Error>(bytes)?.from_inside());
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            _ => Err(wire::nonsense("an unexpected frame")),
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
            // What the tool says is the reason why its data is cut off. Where something has ended in there, the whole sandbox may
            // have with it, and only the host's side knows that and why.
            (Some(Ok(Some(trouble))), _) => {
                let inside = trouble.from_inside();
                let host = if inside.kind == Kind::Ended { self.word_of_the_end() } else { None };
                Err(host.unwrap_or(inside))
            }
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
        most: Most,
        each: &mut (dyn FnMut(T) -> io::Result<()> + Send),
    ) -> Result<(), Error> {
        let (mut items, mut length) = (0, 0);
        let mut count = |bytes: &[u8]| {
            items += 1;
            length += bytes.len();
            let too_much = |what: &str| Err(io::Error::new(io::ErrorKind::OutOfMemory, what));
            match most {
                Most::Nothing => Err(wire::nonsense("an unexpected item")),
                _ if items > most.items() => too_much(&format!("more than {} answers", most.items())),
                _ if length > MOST_BYTES => too_much("more than 32 MiB of answers"),
                _ => each(wire::parse(bytes)?),
            }
        };
        self.ask(request, None, &mut count, &mut |_| Ok(()))
    }

    /// As [`ask`](Client::ask), for what is done or is not, and has no answer but that.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn order(&mut self, request: &Request) -> Result<(), Error> {
        self.list::<serde::de::IgnoredAny>(request, Most::Nothing, &mut |_| Ok(()))
    }

    /// The same for items that the caller passes on as they come.
    pub fn follow<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        each: &mut (dyn FnMut(T) -> io::Result<()> + Send),
    ) -> Result<(), Error> {
        self.ask(request, None, &mut |bytes| each(wire::parse(bytes)?), &mut |_| Ok(()))
    }

    /// Begins what goes on over the same pipes from there on.
    pub fn begin(&mut self, request: &Request) -> Result<(), Error> {
        self.patience.set(request.patience());
        match self.send(request, None) {
            // Where it does not listen any more, it has said why.
            Err(trouble) if trouble.kind == Kind::Broken => Ok(()),
            sent => sent,
        }
    }

    /// What can be waited for: the pipe to the tool, the one from it, and the host's side.
    pub fn descriptors(&self) -> (Option<BorrowedFd<'_>>, Option<BorrowedFd<'_>>, BorrowedFd<'_>) {
        (self.to.as_ref().map(Out::as_fd), self.from.as_ref().map(In::as_fd), self.word.as_fd())
    }

    /// Writes what can be written without waiting.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.try_write(bytes)
    }

    /// Reads what can be read without waiting; 0 also where the host's side has ended or said why.
    pub fn try_read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.from.as_mut().ok_or(io::ErrorKind::UnexpectedEof)?;
        match from.try_read(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut word = [PollFd::new(self.word.as_fd(), PollFlags::POLLIN)];
                if poll(&mut word, PollTimeout::ZERO) == Ok(0) {
                    return Err(error);
                }
            }
            read => return read,
        }
        // What came before that comes first.
        match from.try_read(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            read => read,
        }
    }

    /// Why the sandbox has ended, if it has: its processes are killed one after the other, and the tool lives a moment longer than
    /// what it speaks of.
    pub(super) fn word_of_the_end(&mut self) -> Option<Error> {
        self.patience.set(Some(DYING));
        // Nothing comes from a tool that lives on.
        let _ = self.from.as_mut()?.await_more();
        self.patience.set(Some(LAST));
        self.last_word()
    }

    /// Why the tool was cut off, if the host's side says it.
    pub(super) fn last_word(&mut self) -> Option<Error> {
        self.to = None;
        let mut from = self.from.take()?;
        // It may still have something to say, and could go on for ever.
        io::copy(&mut (&mut from).take(2 * wire::LONGEST as u64), &mut io::sink()).ok()?;
        let patience = Patience::default();
        patience.set(Some(LAST));
        let mut word = Patient::new(File::from(self.word.try_clone().ok()?), patience).ok()?;
        let (mut said, mut piece) = (Vec::new(), vec![0; LONGEST_WORD]);
        loop {
            match word.read(&mut piece).ok()? {
                0 => return None,
                count if said.len() + count > LONGEST_WORD => return None,
                count => said.extend_from_slice(&piece[..count]),
            }
            if let Ok(trouble) = wire::parse(&said) {
                return Some(trouble);
            }
        }
    }

    fn send(&mut self, request: &Request, data: Option<Data<'_>>) -> Result<(), Error> {
        let Some(to) = self.to.as_mut() else { return Err(Error::new(Kind::Broken, "the tool was dismissed")) };
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::BrokenPipe => Error::new(Kind::Broken, "the tool does not listen any more"),
            _ => Error::of_io(&error),
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
        // Without its streams it ends. What has not been written by now is not wanted any more.
        if let Some(to) = self.to.take() {
            to.close();
        }
        self.from = None;
        let until = Instant::now() + LAST;
        // Where somebody inside keeps it from ending it is told to, and at last made to.
        for (signal, patience) in [(None, until), (Some(Signal::SIGTERM), until + LAST)] {
            if let Some(signal) = signal {
                let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
            }
            while Instant::now() < patience {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is said of an error on the way in.
pub fn said(error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Error::new(Kind::Ended, "the tool inside was ended before it had answered");
    }
    if error.kind() == io::ErrorKind::TimedOut {
        return Error::new(Kind::Failed, "the sandbox does not answer: what runs in it is stopped, or has no time")
            .hint("`belljar rm -f` removes it in any case");
    }
    Error::of_io(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::Entry;

    /// A tool that says what this script writes.
    fn tool(script: &str) -> Client {
        let shell = |descriptor: RawFd| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script, &descriptor.to_string()]);
            command
        };
        Client::of(shell).unwrap()
    }

    fn list(script: &str) -> Result<(), Error> {
        tool(script).list::<Entry>(&Request::Stat { path: "x".into() }, Most::Many, &mut |_| Ok(()))
    }

    const FORGED: &str = r#"{"kind":"not_running","message":"forged","path":null,"hint":null}"#;

    #[test]
    fn a_kind_of_the_hosts_is_believed_from_the_host_alone() {
        let length = |text: &str| format!("\\{:03o}\\000\\000\\000", text.len());
        let forged = list(&format!("printf '{}x%s' '{FORGED}'", length(FORGED))).unwrap_err();
        assert_eq!((forged.kind.word(), forged.message.as_str()), ("failed", "forged"));
        let ended = list(&format!("printf '{}e%s' '{FORGED}'", length(FORGED))).unwrap_err();
        assert_eq!(ended.kind, Kind::Failed);
        let word = format!("printf '%s' '{FORGED}' > /proc/self/fd/$0");
        for half in ["", "\\100", "\\100\\000\\000\\000d", "\\100\\000\\000\\000dhalf"] {
            let own = list(&format!("printf '{half}'; {word}")).unwrap_err();
            assert_eq!((own.kind, own.message.as_str()), (Kind::NotRunning, "forged"), "{half}");
        }
    }

    #[test]
    fn the_end_of_the_hosts_side_is_heard_whoever_holds_the_pipe_open() {
        let begun = Instant::now();
        let word = format!("printf '%s' '{FORGED}' > /proc/self/fd/$0");
        let held = list(&format!("sleep 20 & {word}")).unwrap_err();
        assert_eq!(held.kind, Kind::NotRunning);
        assert!(begun.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn a_flood_of_answers_is_refused_before_it_takes_our_memory() {
        let entry = format!(
            r#"{{"path":"{}","kind":"file","size":1,"mode":420,"modified":0,"uid":0,"gid":0,"target":null}}"#,
            "x".repeat(4000)
        );
        let (low, high) = (entry.len() % 256, entry.len() / 256);
        let script = format!("while printf '\\{low:03o}\\{high:03o}\\000\\000i%s' '{entry}'; do :; done 2>/dev/null");
        let flooded = list(&script).unwrap_err();
        assert_eq!((flooded.kind.word(), flooded.message.as_str()), ("too_large", "more than 32 MiB of answers"));
    }

    #[test]
    fn there_are_no_more_answers_than_the_question_has() {
        let flood = "while printf '\\004\\000\\000\\000inull'; do :; done 2>/dev/null";
        let ask =
            |most| tool(flood).list::<serde_json::Value>(&Request::Stat { path: "x".into() }, most, &mut |_| Ok(()));
        let told = |most| ask(most).map_err(|trouble| trouble.message).unwrap_err();
        assert!(told(Most::Nothing).ends_with("an unexpected item"));
        assert_eq!(told(Most::One), "more than 1 answers");
        assert_eq!(told(Most::Few), "more than 4096 answers");
    }

    #[test]
    fn a_tool_that_is_silent_is_given_up() {
        let mut client = tool("sleep 60 & wait");
        let begun = Instant::now();
        let mut buffer = Vec::new();
        client.patience.set(Some(Duration::from_millis(50)));
        let error = wire::read(client.from.as_mut().unwrap(), &mut buffer).unwrap_err();
        assert_eq!((error.kind(), Error::of_io(&error).kind.word()), (io::ErrorKind::TimedOut, "ended"));
        assert!(begun.elapsed() < Duration::from_secs(5));
        client.child.kill().unwrap();
    }
}
