//! The tool inside: reads requests from one stream and answers on another, until the first ends.
//!
//! It may do what every command of the sandbox may, and no more; whoever else is inside may be in its way, and gains nothing
//! by it. It opens nothing that could make it wait, and holds no more in memory than a file that is to be changed.

mod change;
mod look;
mod remote;
mod search;
mod watch;

use super::bulk::{Bare, In, Out, Sink};
use super::patient::Patience;
use super::session::{self, Ask, stream};
use super::wire::{self, Inlet, Outlet};
use super::{Name, Pushed, Request};
use crate::error::{Error, Kind};
use nix::sys::signal::{SigSet, Signal};
use serde::Serialize;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Between two words of a tool that is at work.
const PULSE: Duration = Duration::from_secs(1);

/// The answering side of one request.
pub struct Answer<'a> {
    to: &'a mut dyn Sink,
    /// Bytes that may still be written to files; nobody else counts them.
    room: &'a mut Option<u64>,
    /// When something was said last.
    said: Instant,
}

impl Answer<'_> {
    fn item(&mut self, item: &impl Serialize) -> io::Result<()> {
        wire::write_json(self.to, wire::ITEM, item)
    }

    /// Says now and then that we are at work, so that nobody gives us up.
    fn pulse(&mut self) -> io::Result<()> {
        if self.said.elapsed() < PULSE {
            return Ok(());
        }
        self.said = Instant::now();
        wire::write(self.to, wire::PULSE, &[])?;
        self.to.flush()
    }

    /// Takes so many bytes from what may be written.
    fn take(&mut self, bytes: u64) -> Result<(), Error> {
        let Some(room) = self.room else { return Ok(()) };
        *room = room.checked_sub(bytes).ok_or_else(|| Error::of_io(&io::Error::from_raw_os_error(libc::ENOSPC)))?;
        Ok(())
    }
}

/// Serves until the pipe `from` ends, and answers on the pipe `to`. What keeps it from going on is said there. `room`: how many bytes may be written to files, where nobody counts them.
///
/// # Errors
///
/// Streams that break off, and what is no request.
pub fn serve(from: impl AsFd + Send, to: impl AsFd, room: Option<u64>) -> io::Result<()> {
    let patience = Patience::default();
    let mut from = In::new(Bare(from), patience.clone())?;
    let mut to = Out::new(Bare(to), patience)?;
    answer_all(&mut from, &mut to, room).inspect_err(|error| {
        let trouble = Error::of_io(error).about(&Name::from("request"));
        // Whoever asks has gone, or does not speak as we do.
        let _ = wire::write_json(&mut to, wire::FAILED, &trouble).and_then(|()| to.flush());
    })
}

fn answer_all<R: AsFd + Send, W: AsFd>(
    from: &mut In<Bare<R>>,
    to: &mut Out<Bare<W>>,
    mut room: Option<u64>,
) -> io::Result<()> {
    crate::sys::directory::go_by_steps();
    // A file that a limit does not allow is an error and not our end.
    SigSet::from(Signal::SIGXFSZ).thread_block()?;
    let mut frame = Vec::new();
    while let Some(kind) = wire::read(from, &mut frame)? {
        if kind != wire::REQUEST {
            return Err(wire::nonsense("no request"));
        }
        let request: Request = wire::parse(&frame)?;
        if let Request::Session { id: Some(id), ask: ask @ Ask::Attach { .. } } = &request {
            match session::attach(id, ask) {
                // From here on there is nothing else on this connection.
                Ok(keeper) if stream::forward::forward(&keeper, from, to)? => {
                    wire::write_json(to, wire::END, &Some(session::killed(id))).and_then(|()| to.flush())?;
                    return Ok(());
                }
                Ok(_) => return Ok(()),
                Err(trouble) => wire::write_json(to, wire::END, &Some(trouble)).and_then(|()| to.flush())?,
            }
            continue;
        }
        if let Request::Git(call) = &request {
            // From here on there is nothing else on this connection.
            return remote::run(call, from, to);
        }
        let mut answer = Answer { to, room: &mut room, said: Instant::now() };
        // What moves data ends by itself when nobody is there any more, and leaves nothing half behind.
        let in_order = request.has_data() || matches!(request, Request::Pull { .. });
        let told_to_end: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        if in_order {
            told_to_end.thread_block()?;
        }
        let result = if request.has_data() {
            let mut aside = |_: u8, _: &[u8]| Err(wire::nonsense("no data"));
            let mut data = Inlet::new(from, &mut aside);
            let result = take(&request, &mut data, &mut answer);
            data.drain()?;
            result
        } else {
            give(&request, &mut answer)
        };
        wire::write_json(to, wire::END, &result.err())?;
        to.flush()?;
        if in_order {
            told_to_end.thread_unblock()?;
        }
    }
    Ok(())
}

/// What takes data.
fn take(request: &Request, data: &mut Inlet<'_>, answer: &mut Answer<'_>) -> Result<(), Error> {
    match request {
        Request::Write { path, mode, parents, append } => {
            let how = change::Writing { mode: *mode, parents: *parents, append: *append };
            change::write(path.path(), how, data, answer).map_err(|trouble| trouble.about(path))
        }
        Request::Push { path, name } => {
            let put = super::tree::put(data, path.path(), name.path().as_os_str(), *answer.room)?;
            answer.take(put.bytes)?;
            let placed = Pushed::Placed { place: Name::from(put.place.as_path()), bytes: put.bytes };
            let left_out = put.skipped.into_iter().map(Pushed::LeftOut);
            std::iter::once(placed)
                .chain(left_out)
                .try_for_each(|item| answer.item(&item))
                .map_err(|error| Error::of_io(&error))
        }
        _ => Err(Error::new(Kind::Invalid, "no request that takes data")),
    }
}

/// What gives something.
fn give(request: &Request, answer: &mut Answer<'_>) -> Result<(), Error> {
    match request {
        Request::List { path, depth } => look::list(path, *depth, answer),
        Request::Stat { path } => look::stat(path, answer),
        Request::Read { path, offset, length } => look::read(path, *offset, *length, answer),
        Request::Find { path, pattern, kind, depth } => search::find(path, pattern.as_deref(), *kind, *depth, answer),
        Request::Grep { path, pattern, files, ignore_case } => {
            search::grep(path, pattern, files.as_deref(), *ignore_case, answer)
        }
        Request::Watch { path, recursive } => watch::watch(path, *recursive, answer),
        Request::Replace { files, pattern, text } => search::replace(files, pattern, text, answer),
        Request::MakeDirectory { path, parents, mode } => {
            change::make_directory(path.path(), *parents, *mode).map_err(|trouble| trouble.about(path))
        }
        Request::Remove { path, recursive, force } => {
            change::remove(path.path(), *recursive, *force).map_err(|trouble| trouble.about(path))
        }
        Request::Move { from, to, replace } => change::rename(from, to, *replace),
        Request::ChangeMode { path, mode, recursive } => change::mode(path, *mode, *recursive),
        Request::Session { id, ask } => session::answer(id.as_deref(), ask, answer.to),
        Request::Pull { path, name } => pull(path, name, answer),
        Request::Measure { path } => measure(path, answer),
        Request::Write { .. } | Request::Push { .. } => Err(Error::new(Kind::Invalid, "a request without its data")),
        Request::Git(_) => Err(Error::new(Kind::Invalid, "a request that answers by itself")),
    }
}

/// The bytes of all regular files below a path, as far as they can be seen.
fn measure(path: &super::Name, answer: &mut Answer<'_>) -> Result<(), Error> {
    let real = std::fs::canonicalize(path.path()).map_err(|error| Error::of_io(&error).about(path))?;
    answer.item(&super::tree::measure(&real)).map_err(|error| Error::of_io(&error))
}

fn pull(path: &super::Name, name: &super::Name, answer: &mut Answer<'_>) -> Result<(), Error> {
    // A link that was asked for by name stands for what it leads to.
    let real = std::fs::canonicalize(path.path()).map_err(|error| Error::of_io(&error).about(path))?;
    let skipped = std::cell::RefCell::new(Vec::new());
    let mut outlet = Outlet::new(answer.to);
    super::tree::pack(&real, name.path(), super::tree::Owner::Sandbox, &mut outlet, &mut |left_out| {
        skipped.borrow_mut().push(left_out);
        Ok(())
    })?;
    outlet.flush().map_err(|error| Error::of_io(&error))?;
    skipped.into_inner().iter().try_for_each(|left_out| answer.item(left_out)).map_err(|error| Error::of_io(&error))
}
