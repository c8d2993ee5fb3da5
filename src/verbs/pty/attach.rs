//! A terminal in a sandbox, and the caller's own, or what stands in its place, before it.

use super::Attach;
use crate::error::{self, Error};
use crate::sys::tty::{RawTerminal, size};
use crate::tools::session::{Ask, Said};
use crate::tools::{Client, Name, Request};
use crate::verbs::Site;
use crate::verbs::session::{Collected, Ran, client};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, sync_channel};

/// Ctrl-]: leaves the terminal alone again.
const LEAVE: u8 = 0x1d;
/// Between two looks at the caller's size.
const GLANCE_MS: u16 = 100;
/// What may wait to be shown.
const MOST_UNSEEN: usize = 64;

/// What is seen of it, or how looking at it ended.
enum Seen {
    Said(Said),
    Ended(Result<(), Error>),
}

/// What is seen, and a pipe in which a byte stands for each.
struct View {
    seen: Receiver<Seen>,
    woken: PipeReader,
}

/// Shows what it shows and types what is typed; the end, if it ends before the caller leaves.
pub fn attach(one: &Attach, site: &Site<'_>) -> Result<Ran, Error> {
    let mut typing = client(&one.sandbox)?;
    let ask = |client: &mut Client, ask: Ask| {
        let request = Request::Session { id: Some(one.id.0.clone()), ask };
        client.order(&request)
    };
    let stdin = std::io::stdin();
    let mut known = None;
    // Before anything is shown: it is drawn for this size.
    adapt(&stdin, &mut known, &mut |wish| ask(&mut typing, wish))?;
    let mut said = Collected::new(site, None);
    let mut view = look(one)?;
    let raw = RawTerminal::enter(stdin.as_fd());
    let result = type_in(&stdin, (&mut view, &mut said), &mut known, &mut |wish| ask(&mut typing, wish));
    let restored = raw.map_or(Ok(()), RawTerminal::close);
    restored.map_err(|errno| Error::of_io(&std::io::Error::from_raw_os_error(errno)))?;
    if !result? {
        if known.is_some() {
            // The cursor stands behind a prompt of the other side. Who cannot read this has gone.
            let _ = writeln!((site.live_error)());
        }
        (site.say)("detached; the terminal goes on");
    }
    said.finish(site)
}

/// Looks at it, in a thread.
fn look(one: &Attach) -> Result<View, Error> {
    let mut client = client(&one.sandbox)?;
    let request = Request::Session { id: Some(one.id.0.clone()), ask: Ask::Logs { job: 1, follow: true } };
    let (tell, seen) = sync_channel(MOST_UNSEEN);
    let (woken, mut wake) = io::pipe().map_err(|error| Error::of_io(&error))?;
    let shown = move || {
        let mut pass = |one: Seen| {
            let told = tell.send(one).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe));
            told.and_then(|()| wake.write_all(&[0]))
        };
        let ended = client.follow(&request, &mut |said| pass(Seen::Said(said)));
        // Whoever has left does not wait for it.
        let _ = pass(Seen::Ended(ended));
    };
    std::thread::Builder::new().spawn(shown).map_err(|error| Error::of_io(&error))?;
    Ok(View { seen, woken })
}

impl View {
    /// Takes in some of what has come, so that who types is not kept waiting; whether it has ended.
    fn take(&mut self, said: &mut Collected<'_>) -> Result<bool, Error> {
        let gone = || Error::new(error::Kind::Failed, "nobody shows the terminal any more");
        let count = self.woken.read(&mut [0; MOST_UNSEEN]).map_err(|error| Error::of_io(&error))?;
        if count == 0 {
            return Err(gone());
        }
        for _ in 0..count {
            match self.seen.recv().map_err(|_| gone())? {
                Seen::Said(one) => said.take(one).map_err(|error| crate::tools::said(&error))?,
                Seen::Ended(how) => return how.map(|()| true),
            }
        }
        Ok(false)
    }
}

/// Gives it the caller's size, where that has changed.
fn adapt(
    stdin: &std::io::Stdin,
    known: &mut Option<(u16, u16)>,
    ask: &mut dyn FnMut(Ask) -> Result<(), Error>,
) -> Result<(), Error> {
    let now = size(stdin);
    if now == *known {
        return Ok(());
    }
    *known = now;
    now.map_or(Ok(()), |(columns, rows)| ask(Ask::Resize { columns: columns.min(1000), rows: rows.clamp(1, 1000) }))
}

/// Shows what comes and passes on what is typed, until the command ends or the caller leaves; whether it has ended.
fn type_in(
    stdin: &std::io::Stdin,
    (view, said): (&mut View, &mut Collected<'_>),
    known: &mut Option<(u16, u16)>,
    ask: &mut dyn FnMut(Ask) -> Result<(), Error>,
) -> Result<bool, Error> {
    let (mut piece, mut open) = (vec![0; 4096], true);
    loop {
        // It may end at any moment; what it says then comes by the channel.
        let _ = adapt(stdin, known, ask);
        let mut list = vec![PollFd::new(view.woken.as_fd(), PollFlags::POLLIN)];
        list.extend(open.then(|| PollFd::new(stdin.as_fd(), PollFlags::POLLIN)));
        if poll(&mut list, PollTimeout::from(GLANCE_MS)).unwrap_or(0) == 0 {
            continue;
        }
        let came = |at: usize| list.get(at).and_then(PollFd::any).unwrap_or(false);
        let (woken, typed) = (came(0), came(1));
        drop(list);
        if woken && view.take(said)? {
            return Ok(true);
        }
        if !typed {
            continue;
        }
        // Not by way of the library's buffer: what it held back, poll(2) would not tell of.
        let count = nix::unistd::read(stdin, &mut piece).map_err(|errno| Error::of_io(&errno.into()))?;
        let typed = piece.get(..count).unwrap_or_default();
        open = !typed.is_empty();
        let until = typed.iter().position(|byte| *byte == LEAVE);
        let bytes = Name(typed.get(..until.unwrap_or(count)).unwrap_or_default().to_vec());
        if !bytes.0.is_empty() {
            let _ = ask(Ask::Input { job: 1, bytes });
        }
        if until.is_some() {
            return Ok(false);
        }
    }
}
