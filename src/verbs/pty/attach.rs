//! `pty attach`: connects the caller's terminal with one in a sandbox.

use super::Attach;
use crate::error::Error;
use crate::sys::signal::{default_action, is_ignored};
use crate::sys::tty::{RawTerminal, size};
use crate::tools::Name;
use crate::tools::session::stream::{Heard, Stream};
use crate::tools::session::{End, Said};
use crate::verbs::Site;
use crate::verbs::session::{Collected, Ran, client};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io::{Stdin, Write as _};
use std::os::fd::AsFd as _;

/// Ctrl-]: leaves the terminal alone again.
const LEAVE: u8 = 0x1d;
/// Between two looks whether nothing has come for too long.
const LOOK_MS: u16 = 1000;
/// What is taken at once of what is typed.
const PIECE: usize = 4096;

/// Shows what it shows and types what is typed; the end, if it ends before the caller leaves.
pub fn attach(one: &Attach, site: &Site<'_>) -> Result<Ran, Error> {
    let stdin = std::io::stdin();
    let mut said = Collected::new(site, None);
    let mut screen = Screen { known: size_of(&stdin), signals: None };
    let client = client(site.home()?, &one.sandbox)?;
    // From now on, since what we start is to hear them too.
    screen.signals = Some(listen()?);
    let mut stream = Stream::open(client, &one.id.0, screen.known)?;
    let raw = RawTerminal::enter(stdin.as_fd());
    let result = screen.converse(&stdin, &mut stream, &mut said);
    let restored = raw.map_or(Ok(()), RawTerminal::close);
    restored.map_err(|errno| Error::of_io(&std::io::Error::from_raw_os_error(errno)))?;
    match result? {
        Left::By(signal) => end_by(signal)?,
        Left::Ended(end) => said.take(Said::Ended(end)).map_err(|error| crate::tools::said(&error))?,
        Left::Alone => {
            if screen.known.is_some() {
                // The cursor stands behind a prompt of the other side. Who cannot read this has gone.
                let _ = writeln!((site.live_error)());
            }
            (site.say)("detached; the terminal keeps running");
        }
    }
    said.finish(site)
}

/// Columns and rows, as far as a terminal inside can have them.
fn size_of(stdin: &Stdin) -> Option<(u16, u16)> {
    size(stdin).map(|(columns, rows)| (columns.min(1000), rows.clamp(1, 1000)))
}

/// Signals that end us, and would leave the caller's terminal raw.
const ENDS: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
];

/// Tells of each change of the caller's size, and of what is to end us, unless the caller has that ignored.
fn listen() -> Result<SignalFd, Error> {
    let ends = ENDS.into_iter().filter(|signal| !is_ignored(*signal));
    let heard: SigSet = ends.chain([Signal::SIGWINCH]).collect();
    let watched = heard
        .thread_block()
        .and_then(|()| SignalFd::with_flags(&heard, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC));
    watched.map_err(|errno| Error::of_io(&errno.into()))
}

/// Ends us by a signal, so that the caller learns of it.
fn end_by(signal: Signal) -> Result<(), Error> {
    default_action(signal as i32);
    let raised = SigSet::from(signal).thread_unblock().and_then(|()| raise(signal));
    raised.map_err(|errno| Error::of_io(&errno.into()))
}

/// Why nobody looks at the terminal any more.
enum Left {
    /// What runs in it has ended.
    Ended(End),
    /// The caller left it alone.
    Alone,
    /// The caller was told to end.
    By(Signal),
}

/// The caller's terminal, or what stands in its place.
struct Screen {
    known: Option<(u16, u16)>,
    signals: Option<SignalFd>,
}

impl Screen {
    /// Shows what the command writes and passes on what is typed, until it ends or the caller leaves.
    fn converse(&mut self, stdin: &Stdin, stream: &mut Stream, said: &mut Collected<'_>) -> Result<Left, Error> {
        // On standard output, as on a terminal.
        let mut show = |heard: Heard<'_>| {
            let (Heard::Output(bytes) | Heard::Error(bytes)) = heard;
            said.take(Said::Stdout(Name(bytes.to_vec())))
        };
        let (mut piece, mut typed) = (vec![0; PIECE], Vec::new());
        let (mut open, mut leaves) = (true, false);
        loop {
            typed.drain(..stream.send(&typed));
            if let Some(end) = stream.step(&mut show)? {
                return Ok(Left::Ended(end));
            }
            if leaves && typed.is_empty() && stream.is_ready() {
                return Ok(Left::Alone);
            }
            let takes = open && !leaves && typed.is_empty() && stream.is_ready();
            let mut list: Vec<PollFd<'_>> =
                takes.then(|| PollFd::new(stdin.as_fd(), PollFlags::POLLIN)).into_iter().collect();
            list.extend(self.signals.iter().map(|signals| PollFd::new(signals.as_fd(), PollFlags::POLLIN)));
            stream.interests(&mut list);
            match poll(&mut list, LOOK_MS) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::of_io(&errno.into())),
            }
            let has_typed = takes && list[0].any().unwrap_or(false);
            drop(list);
            if let Some(signal) = self.adapt(stdin, stream) {
                return Ok(Left::By(signal));
            }
            if has_typed {
                // Not by way of the library's buffer: what it held back, poll(2) would not tell of.
                let count = nix::unistd::read(stdin, &mut piece).map_err(|errno| Error::of_io(&errno.into()))?;
                let keys = &piece[..count];
                let until = keys.iter().position(|byte| *byte == LEAVE);
                (open, leaves) = (count > 0, until.is_some());
                typed.extend_from_slice(&keys[..until.unwrap_or(count)]);
            }
        }
    }

    /// Gives the terminal the caller's size, where that has changed; the signal that is to end us, if one came.
    fn adapt(&mut self, stdin: &Stdin, stream: &mut Stream) -> Option<Signal> {
        let came = self.signals.as_ref().and_then(|signals| signals.read_signal().ok().flatten())?;
        let signal = Signal::try_from(came.ssi_signo as i32).ok()?;
        if signal != Signal::SIGWINCH {
            return Some(signal);
        }
        let now = size_of(stdin);
        if now != self.known {
            self.known = now;
            now.into_iter().for_each(|size| stream.resize(size));
        }
        None
    }
}
