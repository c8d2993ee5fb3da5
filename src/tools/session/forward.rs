//! The tool's part of sessions: starts a keeper, or forwards requests and answers.
//!
//! A session is there exactly as long as somebody listens on its socket. The socket listens before the session's directory gets its
//! name, so that a directory without one is what a killed keeper has left, or the sandbox's last run, or a copy of its files.
//! Whoever does not answer in time is left alone, and ended where that is what was asked.

use super::{Ask, Kind, Session, descendants, is_id, place};
use crate::error::{self, Error};
use crate::own::Own;
use crate::tools::Name;
use crate::tools::language::What;
use crate::tools::wire;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt};
use nix::sys::stat::Mode;
use std::fs::{self, DirBuilder};
use std::io::{self, BufRead as _, Read as _, Write};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a keeper may take to answer what it knows.
const AT_ONCE: Duration = Duration::from_secs(5);
/// The same where several are asked.
const GLANCE: Duration = Duration::from_secs(1);
const SECOND: Duration = Duration::from_secs(1);
/// So many seconds a keeper may say nothing of a job that somebody waits for: it gives a sign of life in each.
const SILENT: u32 = 15;
/// How much longer than the server, whose time the caller has said, its keeper may take.
const LONGER: Duration = Duration::from_secs(2);
/// The same as [`SILENT`] for the keeper of a language server: shorter than whoever waits outside waits for us.
const SILENT_SERVER: u32 = 8;
/// How long the end of a job may take from the moment on in which it is told to end.
const ENDING: Duration = Duration::from_secs(10);

fn failed(what: &str) -> impl Fn(io::Error) -> Error {
    let what = what.to_owned();
    move |error| {
        let trouble = Error::of_io(&error);
        Error { message: format!("{what}: {}", trouble.message), ..trouble }
    }
}

/// Answers what is asked.
pub fn answer(id: Option<&str>, ask: &Ask, to: &mut dyn Write) -> Result<(), Error> {
    match (id, ask) {
        (None, Ask::Look) => look_at_all(to),
        (None, Ask::Language(asked)) => crate::tools::language::answer(asked, to),
        (None, _) => Err(Error::new(error::Kind::Invalid, "no session is named")),
        (Some(id), _) if !is_id(id) => Err(not_an_id(id)),
        (Some(id), Ask::Create { kind, words, env, directory }) => create(id, *kind, words, env, directory.as_ref()),
        (Some(id), Ask::Remove) => remove(id),
        (Some(id), ask) => pass_on(id, ask, to),
    }
}

/// Makes a session.
pub fn create(
    id: &str,
    kind: Kind,
    words: &[Name],
    env: &[(Name, Name)],
    directory: Option<&Name>,
) -> Result<(), Error> {
    let place = place();
    match DirBuilder::new().mode(0o700).create(&place) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("make a place for sessions")(error));
        }
        _ => {}
    }
    check_place(&place)?;
    if let Some(directory) = directory {
        // Needs what entering it needs.
        fs::metadata(directory.path().join("."))
            .map_err(|error| failed(&format!("enter {directory}"))(error).hint("choose another `--workdir`"))?;
    }
    let listener = claim(&place, id)?;
    let words = words.iter().map(|word| word.path().as_os_str().to_owned()).collect();
    let mut command = Own::Session { id: id.to_owned(), kind: kind.name().to_owned(), words }.command();
    command.envs(env.iter().map(|(name, value)| (name.path(), value.path())));
    command.current_dir(directory.map_or(Path::new("."), Name::path));
    command.stdin(Stdio::from(OwnedFd::from(listener)));
    let started = start(command);
    if started.is_err() {
        // What kept it from being made is what is told.
        let _ = fs::remove_dir_all(place.join(id));
    }
    started
}

/// Made by anybody else it would be his to exchange, and a link would lead to what is no session. Where there is none there is none
/// to be wrong.
fn check_place(place: &Path) -> Result<(), Error> {
    let found = match fs::symlink_metadata(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(failed("look at the place for sessions"))?,
    };
    if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() {
        return Err(
            Error::new(error::Kind::Denied, "the directory of sessions belongs to another user").about(&place.into())
        );
    }
    Ok(())
}

/// Makes the session's directory, in which its socket listens already.
fn claim(place: &Path, id: &str) -> Result<UnixListener, Error> {
    let (own, new) = (place.join(id), place.join(format!(".{id}.{}", std::process::id())));
    // What somebody with our number has left.
    let _ = fs::remove_dir_all(&new);
    let made = DirBuilder::new().mode(0o700).create(&new).and_then(|()| UnixListener::bind(new.join("socket")));
    let named = made.and_then(|listener| {
        if fs::symlink_metadata(&own).is_ok() && is_dead(&own)? {
            fs::remove_dir_all(&own)?;
        }
        fs::rename(&new, &own).map(|()| listener)
    });
    named.map_err(|error| {
        // What kept it from being made is what is told.
        let _ = fs::remove_dir_all(&new);
        match error.kind() {
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
                Error::new(error::Kind::Exists, format!("there is a session `{id}` already")).of_field("session")
            }
            _ => failed("make a place for the session")(error),
        }
    })
}

/// Starts the keeper, and waits until it answers or has said why it does not.
fn start(mut command: Command) -> Result<(), Error> {
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed("start the session"))?;
    // It has our hold on the socket, too: who comes is to hear when the keeper is gone.
    drop(command);
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        io::BufReader::new(out.take(64 << 10)).read_line(&mut line).map_err(failed("start the session"))?;
    }
    match line.strip_suffix('\n') {
        Some("ready") => Ok(()),
        Some(why) => Err(wire::parse(why.as_bytes()).map_err(failed("start the session"))?),
        None => Err(Error::new(error::Kind::Failed, "the session ended before it was ready")),
    }
}

/// Connects, and never waits: a keeper that takes nobody in is stopped.
fn reach(own: &Path) -> io::Result<UnixStream> {
    let stream = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    connect(stream.as_raw_fd(), &UnixAddr::new(&own.join("socket"))?)?;
    let stream = UnixStream::from(stream);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Whether nobody listens there.
fn is_dead(own: &Path) -> io::Result<bool> {
    match reach(own) {
        Ok(_) => Ok(false),
        Err(error) if is_gone(&error) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// Whether an error says that a session does not answer.
pub fn is_silent(error: &Error, id: &str) -> bool {
    error.message == silent(id).message
}

fn silent(id: &str) -> Error {
    Error::new(error::Kind::Failed, format!("the session `{id}` does not answer: what keeps it is stopped, or busy"))
        .hint("`belljar session rm` ends it in any case")
}

/// The session's socket, or why there is none.
fn open(id: &str) -> Result<UnixStream, Error> {
    let place = place();
    check_place(&place)?;
    let own = place.join(id);
    reach(&own).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => silent(id),
        _ if is_gone(&error) && fs::symlink_metadata(&own).is_ok() => {
            // Its keeper was killed, or went with the sandbox's last run.
            let _ = fs::remove_dir_all(&own);
            let why = "what kept it was killed, or the sandbox was stopped since";
            Error::new(error::Kind::Lost, format!("the session `{id}` is lost: {why}"))
                .hint("make another; what it had set is gone")
                .of_field("session")
        }
        _ if is_gone(&error) => Error::new(error::Kind::NotFound, format!("no session `{id}`")).of_field("session"),
        _ => failed("reach the session")(error),
    })
}

/// How long the keeper may say nothing, from now on.
fn patience(ask: &Ask) -> Option<Duration> {
    match ask {
        Ask::Look | Ask::Input { .. } | Ask::Resize { .. } | Ask::Create { .. } | Ask::Remove => Some(AT_ONCE),
        Ask::Interrupt { .. } => Some(ENDING),
        Ask::Run { wait: false, .. } | Ask::Logs { follow: false, .. } => Some(AT_ONCE),
        Ask::Run { timeout_ms, .. } => timeout_ms.map(|time| Duration::from_millis(time) + ENDING),
        Ask::Language(asked) => Some(match asked.what {
            What::Look => GLANCE,
            What::Stop => AT_ONCE,
            _ => Duration::from_millis(asked.timeout_ms) + LONGER,
        }),
        Ask::Logs { .. } | Ask::Attach { .. } => None,
    }
}

/// Whether its keeper says every second that it is there, until the job ends.
fn is_awaited(ask: &Ask) -> bool {
    matches!(ask, Ask::Run { wait: true, .. } | Ask::Logs { follow: true, .. })
}

/// Waits for the next word of a keeper, second by second: where everybody inside was stopped, so were we, and that counts as one.
fn await_word(socket: &UnixStream, deadline: Option<Instant>, seconds: u32) -> io::Result<()> {
    for _ in 0..seconds {
        let step = deadline.map_or(SECOND, |at| at.saturating_duration_since(Instant::now()).min(SECOND));
        let timeout = PollTimeout::try_from(step).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) if deadline.is_some_and(|at| Instant::now() >= at) => break,
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Asks for a stream; the connection that is one then.
pub fn attach(id: &str, ask: &Ask) -> Result<UnixStream, Error> {
    if !is_id(id) {
        return Err(not_an_id(id));
    }
    let mut socket = open(id)?;
    let begun = socket
        .set_write_timeout(Some(AT_ONCE))
        .and_then(|()| wire::write_json(&mut socket, wire::REQUEST, ask))
        .and_then(|()| socket.set_write_timeout(None));
    match begun {
        Ok(()) => Ok(socket),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Err(silent(id)),
        Err(_) => Err(killed(id)),
    }
}

fn not_an_id(id: &str) -> Error {
    Error::new(error::Kind::Misused, format!("`{}` is no id of a session", id.escape_debug()))
        .hint("use letters, digits, `-`, `_` and `.`, at most 64")
        .of_field("session")
}

/// Passes on one request and its answers, frame by frame.
pub fn pass_on(id: &str, ask: &Ask, to: &mut dyn Write) -> Result<(), Error> {
    let socket = open(id)?;
    converse(id, socket, (ask, patience(ask)), to)
}

fn converse(
    id: &str,
    mut socket: UnixStream,
    (ask, patience): (&Ask, Option<Duration>),
    to: &mut dyn Write,
) -> Result<(), Error> {
    let heard = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => silent(id),
        // It went before it had taken the question.
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => killed(id),
        _ => failed("hear the session")(error),
    };
    socket.set_write_timeout(Some(AT_ONCE)).map_err(heard)?;
    let deadline = patience.map(|patience| Instant::now() + patience);
    wire::write_json(&mut socket, wire::REQUEST, ask).map_err(heard)?;
    let mut frame = Vec::new();
    // What has begun to come comes.
    socket.set_read_timeout(Some(AT_ONCE)).map_err(heard)?;
    let seconds = match ask {
        Ask::Language(_) => SILENT_SERVER,
        ask if is_awaited(ask) => SILENT,
        _ => u32::MAX,
    };
    loop {
        await_word(&socket, deadline, seconds).map_err(heard)?;
        match wire::read(&mut socket, &mut frame).map_err(heard)? {
            Some(wire::END) => {
                return match wire::parse::<wire::Ending>(&frame).map_err(failed("hear the session"))? {
                    Some(trouble) => Err(trouble),
                    None => Ok(()),
                };
            }
            Some(kind) => {
                wire::write(to, kind, &frame)
                    .and_then(|()| to.flush())
                    .map_err(failed("tell what the session says"))?;
            }
            None => return Err(killed(id)),
        }
    }
}

/// What is said of a session whose keeper broke off.
pub fn killed(id: &str) -> Error {
    Error::new(error::Kind::Ended, format!("the session `{id}` was killed"))
}

/// Ends it, whether it answers or not, and whatever is in its place.
///
/// # Errors
///
/// There is none, or it cannot be removed.
pub fn remove(id: &str) -> Result<(), Error> {
    let place = place();
    check_place(&place)?;
    let found = fs::symlink_metadata(place.join(id));
    let socket = match found {
        // Somebody inside has made it, and nobody listens there; behind a link it would not be ours to ask.
        Ok(found) if !found.is_dir() => None,
        _ => match open(id) {
            Ok(socket) => Some(socket),
            // There is nothing left of it now, or will not be.
            Err(trouble) if trouble.kind == error::Kind::Lost => return clear(&place, id),
            Err(trouble) if trouble.kind == error::Kind::NotFound => return Err(trouble),
            Err(_) => None,
        },
    };
    let keeper = socket.as_ref().and_then(|socket| getsockopt(socket, sockopt::PeerCredentials).ok());
    let told = socket.map(|socket| converse(id, socket, (&Ask::Remove, Some(AT_ONCE)), &mut io::sink()));
    match told {
        Some(Ok(())) => return Ok(()),
        Some(Err(trouble)) if trouble.kind == error::Kind::Ended => {}
        _ => {
            // The kernel says who listens there.
            let known = keeper.map(|who| who.pid()).or_else(|| descendants::keeper_of(id));
            if let Some(pid) = known.filter(|pid| *pid > 1) {
                descendants::kill_with_all_below(pid);
            }
        }
    }
    clear(&place, id)
}

/// Removes what is left of a session: no link is followed, and what forbids to be looked at goes too.
fn clear(place: &Path, id: &str) -> Result<(), Error> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let above = nix::fcntl::open(place, flags, Mode::empty());
    let above = above.map_err(|errno| failed("look at the place for sessions")(errno.into()))?;
    crate::trees::tree::remove(above.as_fd(), id.as_ref())
        .map_err(|failure| Error::new(error::Kind::Failed, format!("remove what is left of the session: {failure}")))
}

fn look_at_all(to: &mut dyn Write) -> Result<(), Error> {
    let place = place();
    check_place(&place)?;
    let listed = match fs::read_dir(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed.map_err(failed("look at the sessions"))?,
    };
    let mut ids: Vec<String> = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    ids.sort();
    for id in ids.iter().filter(|id| is_id(id)) {
        let looked = open(id).and_then(|socket| converse(id, socket, (&Ask::Look, Some(GLANCE)), to));
        match looked {
            Ok(()) => {}
            Err(trouble) if matches!(trouble.kind, error::Kind::NotFound | error::Kind::Ended | error::Kind::Lost) => {}
            Err(_) => {
                let session = Session { id: id.clone(), kind: Kind::Silent, ended: None, jobs: Vec::new() };
                wire::write_json(to, wire::ITEM, &session).map_err(failed("tell of the session"))?;
            }
        }
    }
    Ok(())
}

/// For the keeper: the socket that the tool has given it, and where it lies.
pub fn given(id: &str) -> io::Result<(UnixListener, PathBuf)> {
    let listener = UnixListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Once more, so that the kernel tells whoever connects that it is us (unix(7), `SO_PEERCRED`).
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::MAXALLOWABLE)?;
    Ok((listener, place().join(id)))
}
