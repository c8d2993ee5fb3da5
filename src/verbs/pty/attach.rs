//! `pty attach`: connects the caller's terminal with one in a sandbox.

use super::Attach;
use crate::error::Error;
use crate::sys::tty::{RawTerminal, size};
use crate::tools::Name;
use crate::tools::session::stream::{Heard, Stream};
use crate::tools::session::{End, Said};
use crate::verbs::Site;
use crate::verbs::session::{Collected, Ran, client};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{SigSet, Signal};
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
    let mut screen = Screen { known: size_of(&stdin), resized: None };
    let client = client(site.home()?, &one.sandbox)?;
    // From now on, since what we start is to hear it too.
    screen.resized = Some(watch_size()?);
    let mut stream = Stream::open(client, &one.id.0, screen.known)?;
    let raw = RawTerminal::enter(stdin.as_fd());
    let result = screen.converse(&stdin, &mut stream, &mut said);
    let restored = raw.map_or(Ok(()), RawTerminal::close);
    restored.map_err(|errno| Error::of_io(&std::io::Error::from_raw_os_error(errno)))?;
    match result? {
        Some(end) => said.take(Said::Ended(end)).map_err(|error| crate::tools::said(&error))?,
        None => {
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

/// Tells of each change of the caller's size.
fn watch_size() -> Result<SignalFd, Error> {
    let mut changes = SigSet::empty();
    changes.add(Signal::SIGWINCH);
    let watched = changes
        .thread_block()
        .and_then(|()| SignalFd::with_flags(&changes, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC));
    watched.map_err(|errno| Error::of_io(&errno.into()))
}

/// The caller's terminal, or what stands in its place.
struct Screen {
    known: Option<(u16, u16)>,
    resized: Option<SignalFd>,
}

impl Screen {
    /// Shows what the command writes and passes on what is typed, until it ends or the caller leaves.
    fn converse(&mut self, stdin: &Stdin, stream: &mut Stream, said: &mut Collected<'_>) -> Result<Option<End>, Error> {
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
                return Ok(Some(end));
            }
            if leaves && typed.is_empty() && stream.is_ready() {
                return Ok(None);
            }
            let takes = open && !leaves && typed.is_empty() && stream.is_ready();
            let mut list: Vec<PollFd<'_>> =
                takes.then(|| PollFd::new(stdin.as_fd(), PollFlags::POLLIN)).into_iter().collect();
            list.extend(self.resized.iter().map(|changes| PollFd::new(changes.as_fd(), PollFlags::POLLIN)));
            stream.interests(&mut list);
            match poll(&mut list, LOOK_MS) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::of_io(&errno.into())),
            }
            let has_typed = takes && list[0].any().unwrap_or(false);
            drop(list);
            self.adapt(stdin, stream);
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

    /// Gives the terminal the caller's size, where that has changed.
    fn adapt(&mut self, stdin: &Stdin, stream: &mut Stream) {
        let changes = self.resized.as_ref().and_then(|changes| changes.read_signal().ok().flatten());
        if changes.is_none() {
            return;
        }
        let now = size_of(stdin);
        if now != self.known {
            self.known = now;
            now.into_iter().for_each(|size| stream.resize(size));
        }
    }
}
