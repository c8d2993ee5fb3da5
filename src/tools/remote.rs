//! Git with a line to its caller, for what only the caller may give: passwords, and signatures of an ssh agent.
//!
//! The tool inside ([`inside`](super::inside)) starts git and speaks for it over the pipe that it has to the host's side anyway. Nothing
//! of what is given stands in a file, an environment, a command line or a setting: a password goes to git's helper over a socket pair
//! that only git's own processes have, and an agent is a socket in a directory of the call's own, which is gone with it.
//!
//! What is asked comes from inside and is believed by nobody: the caller decides what is answered ([`Caller`]).

use super::client::{Client, said};
use super::wire::{self, Ending};
use super::{Name, Request};
use crate::error::{Error, Kind};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

/// What git writes on standard output.
pub(super) const OUTPUT: u8 = b'o';
/// What git writes on standard error.
pub(super) const ERROR: u8 = b'r';
/// A question for a password, and the answer.
pub(super) const QUESTION: u8 = b'c';
/// Bytes for an ssh agent and from it: the number of the connection (32 bits, little endian), and none at its end.
pub(super) const AGENT: u8 = b'a';
/// The longest message of an ssh agent; OpenSSH's own limit.
pub(super) const LONGEST_MESSAGE: usize = 256 << 10;
/// Connections to the agent in one call.
pub(super) const MOST_CONNECTIONS: u32 = 64;
/// Bytes that git may print.
const LONGEST_OUTPUT: usize = 16 << 20;
/// How long the tool may be silent; it says every second that it is at work.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// How git is started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// What git is called.
    pub program: Name,
    /// Git's words, without its own name.
    pub words: Vec<Name>,
    /// Variables on top of the sandbox's.
    pub env: Vec<(Name, Name)>,
    /// Whether questions for passwords go to the caller, and to nobody else.
    pub asks: bool,
    /// How other machines are reached by ssh; without it, as the sandbox is set up.
    pub ssh: Option<Ssh>,
}

/// How other machines are reached by ssh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ssh {
    /// Whether the caller's agent signs.
    pub agent: bool,
    /// The keys by which machines are known, as sshd(8) has them; without any, those that they show at first are taken and told.
    pub known_hosts: Option<Name>,
}

/// How git has ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Its exit code; null where a signal has ended it.
    pub code: Option<i32>,
    /// The keys by which machines are known now.
    pub host_keys: Name,
}

/// What a call has come to.
#[derive(Debug, Default)]
pub struct Answer {
    /// What git has written on standard output.
    pub stdout: Vec<u8>,
    /// On standard error.
    pub stderr: Vec<u8>,
    /// How it has ended.
    pub ended: Ended,
}

/// Who is asked. Each question comes from inside a sandbox.
pub trait Caller {
    /// Answers a question of git's, lines of `key=value` as gitcredentials(7) has them; nothing, where there is nothing to say.
    fn credentials(&mut self, question: &[u8]) -> Vec<u8>;

    /// Answers one message to the agent, without its length.
    fn sign(&mut self, message: &[u8]) -> Vec<u8>;
}

/// Runs git by a tool that was started, and answers what it asks until it has ended or `deadline` has come.
///
/// # Errors
///
/// `TimedOut`; `TooLarge`; what the tool says, or why there is none any more.
pub fn run(
    mut client: Client,
    call: Call,
    caller: &mut dyn Caller,
    deadline: Option<Instant>,
) -> Result<Answer, Error> {
    client.begin(&Request::Git(Box::new(call)))?;
    let mut side = Side { client, come: Vec::new(), waiting: Vec::new(), connections: BTreeMap::new() };
    let mut answer = Answer::default();
    let mut last = Instant::now();
    loop {
        if side.write() | side.read()? {
            last = Instant::now();
        }
        if side.take(&mut answer, caller)? {
            return Ok(answer);
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            // With its pipe gone the tool ends git, and everything that git has started.
            return Err(Error::new(Kind::TimedOut, "git inside was not done in the time that it was given")
                .hint("give it more with `--timeout`"));
        }
        if now.duration_since(last) > SILENCE {
            return Err(said(&io::ErrorKind::TimedOut.into()));
        }
        side.wait(deadline.map_or(SILENCE, |deadline| deadline.duration_since(now).min(SILENCE)))?;
    }
}

/// The host's side of the conversation.
struct Side {
    client: Client,
    come: Vec<u8>,
    waiting: Vec<u8>,
    /// Bytes of connections to the agent that are no whole message yet.
    connections: BTreeMap<u32, Vec<u8>>,
}

impl Side {
    /// Writes what can be written; whether something was.
    fn write(&mut self) -> bool {
        let before = self.waiting.len();
        while !self.waiting.is_empty() {
            match self.client.try_write(&self.waiting) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // It has ended, and why comes from the other side.
                Err(_) => self.waiting.clear(),
            }
        }
        self.waiting.len() < before
    }

    /// Reads what can be read; whether something was.
    fn read(&mut self) -> Result<bool, Error> {
        let start = self.come.len();
        self.come.resize(start + PIECE, 0);
        let read = self.client.try_read(&mut self.come[start..]);
        self.come.truncate(start + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => {
                let why = self.client.last_word();
                Err(why.unwrap_or_else(|| said(&io::ErrorKind::UnexpectedEof.into())))
            }
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(said(&error)),
        }
    }

    fn wait(&self, time: Duration) -> Result<(), Error> {
        let (to, from, word) = self.client.descriptors();
        let mut list: Vec<PollFd<'_>> = from.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).into_iter().collect();
        list.extend(to.filter(|_| !self.waiting.is_empty()).map(|fd| PollFd::new(fd, PollFlags::POLLOUT)));
        list.push(PollFd::new(word, PollFlags::POLLIN));
        match poll(&mut list, PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Error::of_io(&errno.into())),
        }
    }

    /// Takes whole frames; whether the last was among them.
    fn take(&mut self, answer: &mut Answer, caller: &mut dyn Caller) -> Result<bool, Error> {
        let come = std::mem::take(&mut self.come);
        let mut rest = come.as_slice();
        while let Some((kind, length)) = wire::head_of(rest).map_err(|error| said(&error))? {
            let Some(frame) = rest.get(wire::HEAD..wire::HEAD + length) else { break };
            rest = &rest[wire::HEAD + length..];
            match kind {
                OUTPUT => keep(&mut answer.stdout, frame)?,
                ERROR => keep(&mut answer.stderr, frame)?,
                QUESTION => {
                    let given = caller.credentials(frame);
                    self.frame(QUESTION, &given);
                }
                AGENT => self.agent(frame, caller)?,
                wire::PULSE => {}
                wire::ITEM => answer.ended = wire::parse(frame).map_err(|error| said(&error))?,
                wire::FAILED => return Err(wire::parse::<Error>(frame).map_err(|error| said(&error))?.from_inside()),
                wire::END => {
                    return match wire::parse::<Ending>(frame).map_err(|error| said(&error))? {
                        Some(trouble) => Err(trouble.from_inside()),
                        None => Ok(true),
                    };
                }
                _ => return Err(said(&wire::nonsense("an unexpected frame"))),
            }
        }
        self.come = rest.to_vec();
        Ok(false)
    }

    /// Bytes of one connection to the agent; whole messages are answered.
    fn agent(&mut self, frame: &[u8], caller: &mut dyn Caller) -> Result<(), Error> {
        let Some((number, bytes)) = frame.split_first_chunk::<4>() else {
            return Err(said(&wire::nonsense("no connection")));
        };
        let id = u32::from_le_bytes(*number);
        if bytes.is_empty() {
            self.connections.remove(&id);
            return Ok(());
        }
        if self.connections.len() >= MOST_CONNECTIONS as usize && !self.connections.contains_key(&id) {
            return Err(said(&wire::nonsense("too many connections")));
        }
        let held = self.connections.entry(id).or_default();
        held.extend_from_slice(bytes);
        let mut answers = number.to_vec();
        while let Some((length, _)) = held.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            if length > LONGEST_MESSAGE {
                return Err(said(&wire::nonsense("a message to the agent that is too long")));
            }
            let Some(message) = held.get(4..4 + length) else { break };
            let given = caller.sign(message);
            answers.extend((given.len() as u32).to_be_bytes());
            answers.extend(given);
            held.drain(..4 + length);
        }
        if answers.len() > number.len() {
            self.frame(AGENT, &answers);
        }
        Ok(())
    }

    fn frame(&mut self, kind: u8, bytes: &[u8]) {
        // A vector takes everything, and no answer is longer than a frame.
        let _ = wire::write(&mut self.waiting, kind, bytes);
    }
}

fn keep(held: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Error> {
    if held.len() + bytes.len() > LONGEST_OUTPUT {
        return Err(Error::new(Kind::TooLarge, "git inside printed more than 16 MiB"));
    }
    held.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    struct Echo(Vec<Vec<u8>>);

    impl Caller for Echo {
        fn credentials(&mut self, question: &[u8]) -> Vec<u8> {
            self.0.push(question.to_vec());
            b"username=u\n\n".to_vec()
        }

        fn sign(&mut self, message: &[u8]) -> Vec<u8> {
            self.0.push(message.to_vec());
            vec![5]
        }
    }

    /// A tool that says these bytes, and is silent afterwards.
    fn heard(bytes: &[u8], deadline: Option<Duration>) -> (Result<Answer, Error>, Vec<Vec<u8>>) {
        let file = std::env::temp_dir().join(format!("belljar-remote-{}-{:p}", std::process::id(), bytes));
        std::fs::write(&file, bytes).unwrap();
        let tool = |_| {
            let mut command = Command::new("sh");
            command.args(["-c", "cat \"$0\"; cat >/dev/null; true"]).arg(&file);
            command
        };
        let mut caller = Echo(Vec::new());
        let call = Call { program: "git".into(), words: Vec::new(), env: Vec::new(), asks: true, ssh: None };
        let deadline = deadline.map(|time| Instant::now() + time);
        let answer = run(Client::of(tool).unwrap(), call, &mut caller, deadline);
        std::fs::remove_file(file).unwrap();
        (answer, caller.0)
    }

    fn frames(all: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, frame) in all {
            wire::write(&mut bytes, *kind, frame).unwrap();
        }
        bytes
    }

    #[test]
    fn questions_are_asked_and_output_is_kept() {
        let message = [&[1, 0, 0, 0][..], &3u32.to_be_bytes(), b"abc", &1u32.to_be_bytes()].concat();
        let bytes = frames(&[
            (OUTPUT, b"out"),
            (QUESTION, b"protocol=https\n"),
            (ERROR, b"err"),
            (AGENT, &message),
            (AGENT, b"\x01\0\0\0d"),
            (wire::ITEM, br#"{"code":3,"host_keys":""}"#),
            (wire::END, b"null"),
        ]);
        let (answer, asked) = heard(&bytes, None);
        let answer = answer.unwrap();
        assert_eq!((answer.stdout, answer.stderr), (b"out".to_vec(), b"err".to_vec()));
        assert_eq!(answer.ended.code, Some(3));
        assert_eq!(asked, [b"protocol=https\n".to_vec(), b"abc".to_vec(), b"d".to_vec()]);
    }

    #[test]
    fn what_is_too_long_or_makes_no_sense_is_refused_and_silence_has_an_end() {
        let long = [&[1, 0, 0, 0][..], &u32::MAX.to_be_bytes()].concat();
        for bytes in [frames(&[(AGENT, &long)]), frames(&[(AGENT, b"\x01")]), frames(&[(b'z', b"")])] {
            assert_eq!(heard(&bytes, None).0.unwrap_err().kind, Kind::Failed);
        }
        let (answer, _) = heard(b"", Some(Duration::from_millis(50)));
        assert_eq!(answer.unwrap_err().kind, Kind::TimedOut);
    }
}
