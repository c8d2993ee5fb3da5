//! What the supervisor holds before it clones: descriptors, each closed when it is dropped.

use super::plan::Plan;
use super::relay::{Follower, Inlet, Outlet, Relays, Sink};
use super::role::{Delivery, Role};
use super::tap::Tap;
use crate::cgroup::Cgroup;
use crate::error::{Error, Problem, describe_io};
use crate::host::{Host, StreamKind, UNPRIVILEGED_ID, diagnose};
use crate::landlock;
use crate::program::LONGEST_ARGUMENT;
use crate::spec::{DEFAULT_OUTPUT_LIMIT, Order, OutputLimit, Runs, Source, Spec};
use crate::sys::fd;
use crate::sys::fd::open_anew;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;

/// The most code that is taken from what is no regular file: a pipe may have no end.
const LONGEST_PIPE: u64 = 64 << 20;

/// Descriptors for the child, and the supervisor's ends of its streams.
pub struct Acquired {
    /// The sandbox's cgroup.
    pub cgroup: Option<Cgroup>,
    /// The landlock ruleset.
    pub ruleset: Option<OwnedFd>,
    /// The code to copy in, or the program to execute.
    pub code: Option<OwnedFd>,
    /// What becomes 0, 1 and 2 of the payload.
    pub streams: [RawFd; 3],
    /// The child's ends among them, closed after the clone.
    pub child_ends: Vec<OwnedFd>,
    /// The supervisor's ends.
    pub relays: Relays,
    /// Where connections of a persistent sandbox are written down.
    pub network_log: Option<File>,
}

/// Opens everything that the plan needs.
///
/// # Errors
///
/// `Invalid` for a file that cannot be opened, `Setup` when the kernel has no descriptor left.
pub fn acquire(order: &Order, host: &Host, plan: &Plan, role: Role<'_>) -> Result<Acquired, Error> {
    let acquired = Acquired {
        cgroup: plan.cgroup.as_ref().map(Cgroup::create).transpose()?,
        ruleset: landlock::create_ruleset(order, host)?.map(above).transpose()?,
        code: code(order, role.program())?.map(above).transpose()?,
        streams: [0, 1, 2],
        child_ends: Vec::new(),
        relays: Relays::default(),
        network_log: role.network_log()?,
    };
    if role.is_spare() {
        return Ok(acquired);
    }
    streams(order, host, role, acquired)
}

/// The same for a sandbox that is there already, with all that its plan needs.
///
/// # Errors
///
/// As [`acquire`].
pub fn acquire_streams(order: &Order, host: &Host, role: Role<'_>) -> Result<Acquired, Error> {
    let acquired = Acquired {
        cgroup: None,
        ruleset: None,
        code: None,
        streams: [0, 1, 2],
        child_ends: Vec::new(),
        relays: Relays::default(),
        network_log: None,
    };
    streams(order, host, role, acquired)
}

fn streams(order: &Order, host: &Host, mut role: Role<'_>, mut acquired: Acquired) -> Result<Acquired, Error> {
    let (spec, delivery) = (&order.spec, role.delivery());
    if spec.tty {
        acquired.relays.terminal = Some(sink(spec, delivery, 1)?);
        return Ok(acquired);
    }
    match role.input() {
        Some(input) => {
            let input = above(input)?;
            acquired.streams[0] = input.as_raw_fd();
            acquired.child_ends.push(input);
        }
        None => standard_input(order, host, &mut acquired)?,
    }
    match role.follower() {
        Some(follower) => followed_output(host, follower, &mut acquired)?,
        None => standard_output(order, host, delivery, &mut acquired)?,
    }
    Ok(acquired)
}

fn above(descriptor: OwnedFd) -> Result<OwnedFd, Error> {
    fd::above_standard(descriptor).map_err(|errno| refused("move a descriptor", errno))
}

fn refused(attempt: &str, errno: i32) -> Error {
    Error::setup(attempt, errno)
}

fn failed(field: &str, what: &str, error: &std::io::Error) -> Error {
    Error::invalid(vec![Problem::new(field, format!("{what}: {}", describe_io(error)))])
}

/// The code that goes in as a file, or the program that is ours: a regular file as it is, anything else through a file in memory.
fn code(order: &Order, program: Option<&OwnedFd>) -> Result<Option<OwnedFd>, Error> {
    if let Runs::Own(_) = order.runs() {
        let copied = program.map_or_else(fd::own_program, OwnedFd::try_clone);
        let errno = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EIO);
        return copied.map(Some).map_err(|error| refused("copy our own program into memory", errno(error)));
    }
    let Runs::Code(code) = order.runs() else { return Ok(None) };
    match &code.source {
        Source::File(path) => {
            let shown = format!("`{}`", path.display());
            let file = File::open(path).map_err(|error| failed("code", &shown, &error))?;
            let regular = file.metadata().map_err(|error| failed("code", &shown, &error))?.is_file();
            if regular {
                return Ok(Some(file.into()));
            }
            let mut bytes = Vec::new();
            file.take(LONGEST_PIPE + 1).read_to_end(&mut bytes).map_err(|error| failed("code", &shown, &error))?;
            if bytes.len() as u64 > LONGEST_PIPE {
                let message = format!("{shown}: more than {LONGEST_PIPE} bytes");
                return Err(Error::invalid(vec![Problem::new("code", message)]));
            }
            in_memory(&bytes).map(Some)
        }
        Source::Text(text) if text.len() > LONGEST_ARGUMENT => in_memory(text.as_bytes()).map(Some),
        Source::Text(_) | Source::Stdin => Ok(None),
    }
}

fn in_memory(bytes: &[u8]) -> Result<OwnedFd, Error> {
    let file = fd::memory_file(c"belljar-code").map_err(|errno| refused("make a file in memory", errno))?;
    let mut file = File::from(file);
    file.write_all(bytes)
        .and_then(|()| file.rewind())
        .map_err(|error| refused("write a file in memory", error.raw_os_error().unwrap_or(libc::EIO)))?;
    Ok(file.into())
}

/// A pipe of the sandbox's user, who may open it anew as `/dev/stdout` too.
fn pipe(host: &Host) -> Result<(OwnedFd, OwnedFd), Error> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| refused("make a pipe", errno as i32))?;
    if host.real_root {
        nix::unistd::fchown(&read, Some(UNPRIVILEGED_ID.into()), Some(UNPRIVILEGED_ID.into()))
            .map_err(|errno| diagnose::ids_refused("give a pipe away", errno as i32))?;
    }
    if host.ranges.is_some() {
        // Of a range only user 0 is the caller. Nobody else on the host has a name for a pipe.
        nix::sys::stat::fchmod(&read, Mode::from_bits_truncate(0o666))
            .map_err(|errno| refused("open a pipe for all users inside", errno as i32))?;
    }
    Ok((above(read)?, above(write)?))
}

fn standard_input(order: &Order, host: &Host, acquired: &mut Acquired) -> Result<(), Error> {
    let source = match &order.spec.stdin {
        Some(path) => {
            let file = File::open(path).map_err(|error| failed("stdin", &format!("`{}`", path.display()), &error))?;
            above(file.into())?
        }
        None if host.streams[0] == StreamKind::Harmless => return Ok(()),
        None => duplicate(0)?,
    };
    // What our own program inside is told is for it alone: it has the pipe itself, with nobody between.
    if matches!(order.runs(), Runs::Own(_)) && order.spec.stdin.is_none() && is_pipe(&source) {
        return Ok(());
    }
    let (read, write) = pipe(host)?;
    acquired.streams[0] = read.as_raw_fd();
    acquired.child_ends.push(read);
    let failed = |errno| refused("set up standard input", errno);
    // Where /proc is not there to open it anew, a pipe is read like anything else, ahead.
    match is_pipe(&source).then(|| open_anew(source.as_fd(), OFlag::O_RDONLY)).flatten() {
        Some(again) => acquired.relays.tap = Some(Tap::new(again, write).map_err(failed)?),
        None => acquired.relays.input = Some(Inlet::new(source, write).map_err(failed)?),
    }
    Ok(())
}

fn is_pipe(fd: &OwnedFd) -> bool {
    nix::sys::stat::fstat(fd).is_ok_and(|status| status.st_mode & libc::S_IFMT == libc::S_IFIFO)
}

/// A second descriptor of one of our own standard streams.
fn duplicate(number: RawFd) -> Result<OwnedFd, Error> {
    // std asks for a number above 2.
    let result = match number {
        0 => std::io::stdin().as_fd().try_clone_to_owned(),
        1 => std::io::stdout().as_fd().try_clone_to_owned(),
        _ => std::io::stderr().as_fd().try_clone_to_owned(),
    };
    result.map_err(|error| refused("duplicate a standard stream", error.raw_os_error().unwrap_or(libc::EBADF)))
}

fn sink(spec: &Spec, delivery: Delivery, number: RawFd) -> Result<Sink, Error> {
    if delivery.capture {
        let limit = spec.output_limit.unwrap_or(OutputLimit { bytes: DEFAULT_OUTPUT_LIMIT, kill: false });
        Ok(Sink::capture(limit))
    } else {
        Ok(Sink::stream(duplicate(number)?, spec.output_limit))
    }
}

fn standard_output(order: &Order, host: &Host, delivery: Delivery, acquired: &mut Acquired) -> Result<(), Error> {
    let spec = &order.spec;
    let own = matches!(order.runs(), Runs::Own(_)) && duplicate(1).is_ok_and(|stdout| is_pipe(&stdout));
    let direct = |number: usize| {
        let harmless = host.streams[number] == StreamKind::Harmless;
        !delivery.capture && spec.output_limit.is_none() && (harmless || number == 1 && own)
    };
    // Where both go to the same file or terminal, one pipe for both keeps the order in which they were written.
    let together = !delivery.capture && spec.output_limit.is_none() && !direct(1) && !direct(2) && same_file();
    for number in 1..=2 {
        if direct(number) {
            continue;
        }
        if number == 2 && together {
            acquired.streams[2] = acquired.streams[1];
            continue;
        }
        let (read, write) = pipe(host)?;
        acquired.streams[number] = write.as_raw_fd();
        acquired.child_ends.push(write);
        let sink = sink(spec, delivery, number as RawFd)?;
        let outlet = Outlet::new(read, sink).map_err(|errno| refused("set up output", errno))?;
        acquired.relays.outputs.push((number, outlet));
    }
    Ok(())
}

/// One pipe for both, which keeps the order in which they were written.
fn followed_output(host: &Host, follower: Follower, acquired: &mut Acquired) -> Result<(), Error> {
    let (read, write) = pipe(host)?;
    acquired.streams[1..].fill(write.as_raw_fd());
    acquired.child_ends.push(write);
    let outlet = Outlet::new(read, Sink::follow(follower)).map_err(|errno| refused("set up output", errno))?;
    acquired.relays.outputs.push((1, outlet));
    Ok(())
}

/// Whether standard output and standard error are the same file.
fn same_file() -> bool {
    let status =
        |result: nix::Result<libc::stat>| result.ok().map(|status| (status.st_dev, status.st_ino, status.st_rdev));
    let output = status(nix::sys::stat::fstat(std::io::stdout()));
    output.is_some() && output == status(nix::sys::stat::fstat(std::io::stderr()))
}
