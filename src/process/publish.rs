//! The publisher: the process that takes connections for a sandbox ([`inbound`]), as its supervisor holds it.
//!
//! Its ports are opened before there is a sandbox, so that one that cannot be had is an error before anything has begun. It is a copy of
//! the supervisor, which has one thread, and is told of the sandbox's network when that is there: until then connections wait. It joins
//! that network, gives up everything that it does not need, and says that it serves, or why not. It ends when the supervisor does.

use super::confine::{Remainder, confine};
use crate::error::Error;
use crate::host::UNPRIVILEGED_ID;
use crate::inbound::{self, Listener, Relay};
use crate::outcome::Published;
use crate::seccomp;
use crate::spec::{Publish, Spec};
use crate::sys::{child, fd, worker};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, shutdown, socketpair};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, geteuid};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

/// How long it may take, when the sandbox has ended, to deliver what was sent before.
const PATIENCE: u16 = 1000;
/// Bytes of its message: an error, or null for "from now on".
const LONGEST: usize = 4096;
/// The descriptor of the socket to the supervisor; behind it come the sockets that listen.
const LINE: i32 = 0;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is no sandbox yet.
    Waiting,
    /// It was told of the sandbox.
    Joining,
    /// Connections are taken.
    Serving,
    /// It has ended.
    Over,
}

/// What came of listening to it.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing that matters.
    Nothing,
    /// It cannot serve, or not any more before it ever did.
    Refused(Error),
    /// It has served, and ended: [`Publisher::published`] says why.
    Lost,
}

/// A publisher of ours. It ends with this value.
#[derive(Debug)]
pub struct Publisher {
    pid: Pid,
    line: OwnedFd,
    state: State,
    published: Vec<Published>,
}

impl Publisher {
    /// That of the ports that a sandbox wants, if it wants any.
    ///
    /// # Errors
    ///
    /// As [`Publisher::start`].
    pub fn of(spec: &Spec) -> Result<Option<Publisher>, Error> {
        if spec.publish.is_empty() { Ok(None) } else { Publisher::start("publish", &spec.publish).map(Some) }
    }

    /// That of these ports, which are named by the field `field`. The caller has one thread.
    ///
    /// # Errors
    ///
    /// `Invalid`, where a port cannot be had; `Setup`, where there is no room for another process.
    pub fn start(field: &str, ports: &[Publish]) -> Result<Publisher, Error> {
        let listeners = inbound::open(field, ports)?;
        let failed = |errno| Error::setup("start the publisher", errno);
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .map_err(|errno| failed(errno as i32))?;
        let line = fd::above_standard(ours).map_err(failed)?;
        fd::set_nonblocking(line.as_fd()).map_err(failed)?;
        let published: Vec<Published> = listeners.iter().map(|listener| listener.published.clone()).collect();
        let ports: Vec<u16> = published.iter().map(|one| one.to).collect();
        let sockets = listeners.into_iter().map(|Listener { socket, .. }| socket);
        let descriptors: Vec<OwnedFd> = std::iter::once(theirs).chain(sockets).collect();
        // A connection that breaks is an error and no signal; its supervisor ends it.
        let mut mask = SigSet::all();
        mask.remove(Signal::SIGTERM);
        let pid = worker::start(&descriptors, &mask, || publish(&ports)).map_err(failed)?;
        Ok(Publisher { pid, line, state: State::Waiting, published })
    }

    /// The ports, and what became of them.
    pub fn published(&self) -> &[Published] {
        &self.published
    }

    /// To wait for; none once nothing will come any more.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        (self.state != State::Over).then(|| self.line.as_fd())
    }

    /// Whether connections are taken, or were.
    pub fn has_served(&self) -> bool {
        matches!(self.state, State::Serving | State::Over)
    }

    /// Tells it of the sandbox: its namespaces of users and of the network. An end that is not known yet is heard of later.
    ///
    /// # Errors
    ///
    /// The kernel does not hand them over.
    pub fn hand_over(&mut self, users: BorrowedFd<'_>, network: BorrowedFd<'_>) -> Result<(), i32> {
        self.state = State::Joining;
        match child::send_descriptors(self.line.as_raw_fd(), &[0], &[users.as_raw_fd(), network.as_raw_fd()]) {
            Ok(()) | Err(libc::EPIPE | libc::ECONNRESET) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// What it says, without waiting.
    pub fn hear(&mut self) -> News {
        if self.state == State::Over {
            return News::Nothing;
        }
        let mut message = [0; LONGEST];
        let count = match fd::receive(self.line.as_fd(), &mut message) {
            Err(libc::EAGAIN | libc::EINTR) => return News::Nothing,
            Ok((0, _)) | Err(_) => return self.lost(),
            Ok((count, _)) => count,
        };
        match serde_json::from_slice(message.get(..count).unwrap_or_default()) {
            Ok(None) => {
                self.state = State::Serving;
                News::Nothing
            }
            Ok(Some(error)) => News::Refused(error),
            Err(_) => self.lost(),
        }
    }

    /// It has ended, and nobody had told it to.
    fn lost(&mut self) -> News {
        let served = self.state == State::Serving;
        self.state = State::Over;
        // What has closed its line and goes on is no use to anybody.
        let _ = kill(self.pid, Signal::SIGKILL);
        let why = match waitpid(self.pid, None) {
            Ok(WaitStatus::Signaled(_, signal, _)) => format!("its publisher was ended by {}", signal.as_str()),
            Ok(WaitStatus::Exited(_, code)) => format!("its publisher exited with {code}"),
            _ => "its publisher has ended".to_owned(),
        };
        for one in &mut self.published {
            one.lost = Some(why.clone());
        }
        if served { News::Lost } else { News::Refused(Error::setup(format!("publish ports: {why}"), 0)) }
    }

    /// Ends it, since the sandbox has ended: what was sent inside is delivered before, to whoever takes it at once.
    pub fn close(mut self) {
        if self.state == State::Serving {
            let _ = shutdown(self.line.as_raw_fd(), Shutdown::Write);
            let mut list = [PollFd::new(self.line.as_fd(), PollFlags::POLLIN)];
            // Whoever interrupts us wants to have it shorter.
            let _ = poll(&mut list, PollTimeout::from(PATIENCE));
        }
        self.end();
    }

    fn end(&mut self) {
        if self.state != State::Over {
            self.state = State::Over;
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.end();
    }
}

/// The publisher's part. What it answers is its exit code.
fn publish(ports: &[u16]) -> i32 {
    let line = fd::own(LINE);
    // What a terminal sends to all of its session is not for it.
    let _ = nix::unistd::setsid();
    // Its command line is that of the supervisor.
    let _ = nix::sys::prctl::set_name(c"belljar-publish");
    fd::raise_limit();
    let mut byte = [0];
    let places = loop {
        match fd::receive(line.as_fd(), &mut byte) {
            Ok((1, places)) => break places,
            Err(libc::EINTR) => {}
            // There will be no sandbox.
            Ok(_) | Err(_) => child::exit(0),
        }
    };
    let listeners = (LINE + 1..).zip(ports).map(|(number, port)| (fd::own(number), *port)).collect();
    // Not `exit`: whatever the supervisor had still to write is the supervisor's.
    match prepare(places, &line, listeners, ports) {
        Ok(relay) => match relay.serve() {
            Ok(()) => child::exit(0),
            Err(errno) => child::exit(errno as i32),
        },
        Err(error) => {
            let message = serde_json::to_vec(&Some(error)).unwrap_or_default();
            let _ = child::write(LINE, &message);
            child::exit(1)
        }
    }
}

/// Joins, makes what it will need, gives up the rest, and says that connections are taken.
fn prepare(
    places: Vec<OwnedFd>,
    line: &OwnedFd,
    listeners: Vec<(OwnedFd, u16)>,
    ports: &[u16],
) -> Result<Relay, Error> {
    let failed = |attempt: &'static str| move |errno: i32| Error::setup(attempt, errno);
    let join = failed("let the publisher join the sandbox's network");
    let as_root = geteuid().is_root();
    let [users, network] = <[OwnedFd; 2]>::try_from(places).map_err(|_| join(libc::EMFILE))?;
    // The first for the right to the second.
    child::join_namespace(users.as_raw_fd(), libc::CLONE_NEWUSER).map_err(join)?;
    child::join_namespace(network.as_raw_fd(), libc::CLONE_NEWNET).map_err(join)?;
    let become_ids = if as_root { Some(nobody()?) } else { None };
    let prepared = failed("prepare the publisher");
    let copy = line.try_clone().map_err(|error| prepared(error.raw_os_error().unwrap_or(libc::EIO)))?;
    let relay = Relay::new(copy, listeners).map_err(|errno| prepared(errno as i32))?;
    let serves = serde_json::to_vec(&None::<Error>).unwrap_or_default();
    confine(Remainder { become_ids, readable: &[], ports: Some(ports), profile: seccomp::PUBLISHER })?;
    child::write(LINE, &serves).map_err(prepared)?;
    Ok(relay)
}

/// Whom it becomes, as the sandbox numbers ids: the user that the sandbox is outside, where root has started it.
fn nobody() -> Result<[u32; 2], Error> {
    let inside = |map: &str| {
        let of = |line: &str| {
            let numbers: Vec<u32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            numbers.get(1).filter(|outside| **outside == UNPRIVILEGED_ID).and(numbers.first()).copied()
        };
        let text = std::fs::read_to_string(map).map_err(|error| Error::attempt("read the map of ids", &error))?;
        text.lines().find_map(of).ok_or_else(|| Error::setup("find the publisher's id inside", libc::EINVAL))
    };
    Ok([inside("/proc/self/uid_map")?, inside("/proc/self/gid_map")?])
}
