//! Calls to a supervisor: one datagram of JSON each way on a SOCK_SEQPACKET socket, with descriptors where something is joined.
//!
//! Only its owner, and root, can call: the socket lies in a directory that nobody else may enter, and the supervisor asks the
//! kernel who is there. It runs nothing for a caller, and reads no path that a caller sent.

use super::{Entry, Reason, Record, Run, WarmStats, errors, silence};
use crate::error::{Error, Failure};
use crate::outcome::Enforcement;
use crate::sys::fd;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen,
    sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// The longest datagram: what is known of the protections of one sandbox.
pub const LONGEST: usize = 64 << 10;
/// How long a supervisor may take to take a call in.
const AT_ONCE: Duration = Duration::from_secs(5);
/// How long it may take for what it does at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// Callers who wait to be heard.
const BACKLOG: i32 = 128;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// What a command needs to join. As long as the connection is there the sandbox counts as used, and when the sandbox
    /// ends the caller is told.
    Join,
    /// The same, with a leader that stands inside, where there is one that was brought there with the same program from the same
    /// surroundings.
    JoinLed {
        /// Which program, and what a process has from whoever starts it.
        key: String,
        /// The cgroup that it is in.
        cgroup: String,
    },
    /// Of one who has joined: that the leader of its command, which comes with the call as a pidfd, ends with the connection, and so does
    /// everything that descends from it. Needs no answer.
    Lead,
    /// To end, with so much time to do it.
    Stop {
        /// Milliseconds between asking and killing.
        grace_ms: u64,
        /// Why.
        #[serde(default = "stopped")]
        reason: Reason,
    },
    /// To be told of the end.
    Wait,
    /// The same, and that it ends when nobody is there any more who has asked so.
    Lease,
    /// That everybody inside stands still as long as the connection is there. The answer comes with the writable layer, where that is
    /// in memory.
    Freeze,
    /// Our own program as it is copied from there: the answer comes with it, if the supervisor has it.
    Program {
        /// What it was copied from.
        key: String,
    },
    /// That the supervisor keeps this copy of our own program for a while, which comes with the call.
    KeepProgram {
        /// What it was copied from.
        key: String,
    },
    /// What it uses now.
    Stats,
    /// Of one that waits: to be this sandbox from now on.
    Adopt {
        /// All that is written about it.
        record: Record,
    },
    /// To last as long as its record says now.
    Life,
    /// To be held to other limits.
    Limits {
        /// Bytes.
        memory: u64,
        /// Thousandths of a CPU.
        millicpus: u32,
        /// Processes and threads.
        pids: u32,
        /// Bytes of the writable layer. Where that is in memory it was made so large already.
        disk: u64,
    },
    /// To hold it to the policy of what may be reached that its spec has now.
    Policy,
    /// That it is filled as long as the connection is there, and may reach so much until then: it ends with the connection.
    Fill {
        /// In the place of its own; `None` where it has none.
        policy: Option<crate::spec::network::Policy>,
    },
    /// Of one who fills it: that it is whole, and is held to its own policy again.
    Filled,
    /// What leads to its ports: the answer comes with the user and the network namespace.
    Network,
    /// Of a template, to run code in a copy: the answer comes with a socket to its maker.
    Warm,
    /// Of a template, what it has now.
    WarmStats,
    /// Its processes: the answer comes with its procfs, opened anew.
    Processes,
    /// Its writable layer, where that is in memory: the answer comes with the user and the mount namespace, and with the layer.
    Layer,
}

/// What callers meant who gave no reason yet.
fn stopped() -> Reason {
    Reason::Stopped
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Call::Join`]; comes with the descriptors, in this order.
    Joined {
        /// How many namespaces.
        namespaces: usize,
        /// Whether one for users follows.
        users: bool,
        /// Whether a cgroup follows.
        cgroup: bool,
        /// How far each protection is enforced.
        enforcement: BTreeMap<String, Enforcement>,
        /// Of each mount, whether it is a directory.
        mount_is_directory: Vec<bool>,
        /// Whether [`Call::Lead`] is understood.
        #[serde(default)]
        holds_leaders: bool,
        /// Whether a leader and the socket to it follow.
        #[serde(default)]
        led: bool,
    },
    /// It was done.
    Done,
    /// To [`Call::Policy`].
    Policy {
        /// Connections that it does not allow any more, and that were cut.
        cut: u64,
    },
    /// To [`Call::Stats`].
    Stats(Stats),
    /// To [`Call::WarmStats`].
    Warm(WarmStats),
    /// To [`Call::Join`], at any time: this limit was reached, and what ran inside was killed for it.
    Reached(String),
    /// To [`Call::Join`], at any time: everybody inside is asked to end.
    Ending {
        /// Why.
        reason: Reason,
        /// The signal that asks them.
        signal: i32,
    },
    /// To [`Call::Adopt`]: it is, and this is what is known of it.
    Adopted(Run),
    /// It ended so.
    Ended(Run),
    /// To [`Call::Join`]: there is more in the writable layer than there may be.
    Full,
    /// It could not be done.
    Refused(String),
}

/// What a sandbox uses at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stats {
    /// Bytes of memory of all processes and of the files in memory.
    pub memory_bytes: u64,
    /// The limit.
    pub memory_limit_bytes: u64,
    /// Processes and threads, without pid 1.
    pub pids: u32,
    /// The limit.
    pub pids_limit: u32,
    /// CPU time so far, milliseconds.
    pub cpu_ms: u64,
    /// The limit of the rate, thousandths of a CPU.
    pub millicpus_limit: u32,
    /// Bytes in the writable layer.
    pub disk_bytes: u64,
    /// The limit.
    pub disk_limit_bytes: u64,
    /// Milliseconds since it was ready.
    pub uptime_ms: u64,
    /// Callers of `wait --lease` with whom it ends.
    #[serde(default)]
    pub leases: usize,
}

/// The address of a sandbox's socket: by a descriptor of its directory, since a name of a socket has 107 bytes at most.
fn address(directory: &File) -> nix::Result<UnixAddr> {
    UnixAddr::new(format!("/proc/self/fd/{}/call", directory.as_raw_fd()).as_str())
}

fn new_socket() -> nix::Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
}

/// The socket of a new supervisor.
pub fn open(entry: &Entry) -> Result<OwnedFd, Error> {
    let failed = |error: io::Error| Error::attempt("listen to calls", &error);
    let directory = File::open(&entry.directory).map_err(failed)?;
    match std::fs::remove_file(entry.path("call")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let opened = || -> nix::Result<OwnedFd> {
        let listener = new_socket()?;
        bind(listener.as_raw_fd(), &address(&directory)?)?;
        listen(&listener, Backlog::new(BACKLOG)?)?;
        Ok(listener)
    };
    let listener = opened().map_err(|errno| failed(errno.into()))?;
    fd::set_nonblocking(listener.as_fd()).map_err(|errno| failed(io::Error::from_raw_os_error(errno)))?;
    Ok(listener)
}

/// Nothing may be written any more where there is more than there may be.
fn full(entry: &Entry) -> Error {
    let name = entry.name();
    Error::from(Failure {
        step: None,
        attempt: format!("run a command in `{name}`, which holds more than its `--disk`"),
        errno: libc::ENOSPC,
        hint: Some(format!("`belljar fs rm {name} PATH` makes room, `belljar resize {name} --disk SIZE` gives more")),
    })
}

/// One side of a call.
#[derive(Debug)]
pub struct Line {
    socket: OwnedFd,
    /// What the supervisor has to remember of a caller.
    pub asked: Cell<Asked>,
    /// Whether the caller runs nothing but our own program.
    pub own: Cell<bool>,
    /// The leader of the caller's command.
    pub leader: RefCell<Option<OwnedFd>>,
    /// Which leader the caller can use that stands inside.
    pub led: RefCell<Option<(String, String)>>,
}

/// What a caller waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// Nothing that is not done.
    #[default]
    Nothing,
    /// That everybody stands still.
    Freeze,
    /// To join, when everybody goes on again.
    Join,
    /// To be told what becomes of the sandbox, since it has joined.
    Joined,
    /// That the sandbox is not there without the caller.
    Fill,
    /// To be told that it has become a sandbox.
    Adopt,
    /// That the sandbox ends when the last who has asked so is gone.
    Lease,
}

impl Line {
    /// Calls the supervisor of a sandbox.
    ///
    /// # Errors
    ///
    /// `NotRunning`, where there is none.
    pub fn to(entry: &Entry) -> Result<Line, Error> {
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(libc::ENOENT | libc::ECONNREFUSED) if entry.directory.exists() => errors::not_running(&entry.name()),
            Some(libc::ENOENT | libc::ECONNREFUSED) => entry.removed(),
            // So many wait to be heard that nobody else can.
            Some(libc::EAGAIN) => entry.silent(),
            _ => Error::attempt("call the supervisor", &error),
        };
        fd::raise_limit();
        let directory = File::open(&entry.directory).map_err(failed)?;
        let connected = || -> nix::Result<OwnedFd> {
            let socket = new_socket()?;
            setsockopt(&socket, sockopt::SendTimeout, &TimeVal::seconds(AT_ONCE.as_secs() as i64))?;
            connect(socket.as_raw_fd(), &address(&directory)?)?;
            Ok(socket)
        };
        connected().map(Line::of).map_err(|errno| failed(errno.into()))
    }

    /// The supervisor's side of an accepted call.
    pub fn of(socket: OwnedFd) -> Line {
        Line {
            socket,
            asked: Cell::default(),
            own: Cell::default(),
            leader: RefCell::default(),
            led: RefCell::default(),
        }
    }

    /// The socket, where other things are to go through it from here on.
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// The process that listens there, if it can be seen.
    pub fn other_side(&self) -> Option<Pid> {
        let known = getsockopt(&self.socket, sockopt::PeerCredentials).ok().map(|peer| peer.pid());
        known.filter(|pid| *pid > 1).map(Pid::from_raw)
    }

    /// To wait for.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Says something, with descriptors.
    pub fn say(&self, words: &impl Serialize, descriptors: &[RawFd]) -> io::Result<()> {
        self.say_text(&serde_json::to_vec(words)?, descriptors)
    }

    /// The same of a text that is no JSON.
    pub fn say_text(&self, text: &[u8], descriptors: &[RawFd]) -> io::Result<()> {
        let control = [ControlMessage::ScmRights(descriptors)];
        let control = if descriptors.is_empty() { &control[..0] } else { &control[..] };
        let vector = [io::IoSlice::new(text)];
        sendmsg::<UnixAddr>(self.socket.as_raw_fd(), &vector, control, MsgFlags::MSG_NOSIGNAL, None)?;
        Ok(())
    }

    /// Answers with descriptors; or says why they cannot be sent, as where the user has too many of them in flight.
    pub fn hand(&self, answer: &Answer, descriptors: &[RawFd]) -> io::Result<()> {
        self.say(answer, descriptors)
            .or_else(|error| self.say(&Answer::Refused(format!("send what is asked for: {error}")), &[]))
    }

    /// Hears something; `None`: the other side is gone.
    pub fn hear<T: for<'a> Deserialize<'a>>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; LONGEST];
        loop {
            match fd::receive(self.socket.as_fd(), &mut bytes) {
                Ok((0, _)) | Err(libc::ECONNRESET) => return Ok(None),
                Ok((count, descriptors)) => {
                    return Ok(Some((serde_json::from_slice(bytes.get(..count).unwrap_or_default())?, descriptors)));
                }
                Err(libc::EINTR) => {}
                Err(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    ///
    /// `Ended`, where the supervisor went without an answer.
    pub fn ask(&self, entry: &Entry, call: &Call) -> Result<(Answer, Vec<OwnedFd>), Error> {
        self.ask_with(entry, call, &[])
    }

    /// The same with descriptors.
    ///
    /// # Errors
    ///
    /// As [`ask`](Line::ask).
    pub fn ask_with(&self, entry: &Entry, call: &Call, descriptors: &[RawFd]) -> Result<(Answer, Vec<OwnedFd>), Error> {
        let lost = |error: io::Error| match error.raw_os_error() {
            Some(libc::EPIPE | libc::ECONNRESET) => entry.ended(),
            _ => Error::attempt("call the supervisor", &error),
        };
        self.say(call, descriptors).map_err(lost)?;
        let until = match call {
            // It may be held still, or be counted, for as long as that takes; and it lives as long as it likes.
            Call::Join | Call::JoinLed { .. } | Call::Freeze | Call::Wait | Call::Lease => None,
            Call::Stop { .. }
            | Call::Program { .. }
            | Call::KeepProgram { .. }
            | Call::Stats
            | Call::Adopt { .. }
            | Call::Life
            | Call::Limits { .. }
            | Call::Policy
            | Call::Fill { .. }
            | Call::Filled
            | Call::Layer
            | Call::Network
            | Call::Warm
            | Call::WarmStats
            | Call::Processes
            | Call::Lead => Some(Instant::now() + PATIENCE),
        };
        // Whoever waits for its end waits for a stopped one as well.
        let waits = matches!(call, Call::Wait | Call::Lease);
        if !waits && !silence::await_word(self.descriptor(), self.other_side(), until) {
            return Err(entry.silent());
        }
        match self.hear().map_err(lost)? {
            Some((Answer::Refused(why), _)) => Err(Error::attempt(why, &io::Error::from_raw_os_error(0))),
            Some((Answer::Ended(run), _)) if !waits => Err(entry.ended_so(&run)),
            Some((Answer::Full, _)) => Err(full(entry)),
            Some(answer) => Ok(answer),
            None => Err(entry.ended()),
        }
    }
}
