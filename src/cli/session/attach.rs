//! `belljar pty`: a terminal in a sandbox, and the caller's own before it.

use super::{Collected, quietly, told};
use crate::cli::args::session::{One, PtyVerb};
use crate::cli::{files, render};
use crate::error::{self, Error};
use crate::sys::tty::{RawTerminal, size};
use crate::tools::session::{Ask, Kind};
use crate::tools::{Client, Name, Request};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::json;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// Ctrl-]: leaves the terminal alone again.
const LEAVE: u8 = 0x1d;
/// Between two looks at the caller's size, and whether the command has ended.
const GLANCE_MS: u16 = 100;

/// Does it; the exit code.
pub fn pty(verb: PtyVerb, home: Option<&Path>) -> i32 {
    if home.is_none() {
        render::failure(&crate::cli::sandbox::no_home());
        return super::UNDONE;
    }
    let (json, done) = match verb {
        PtyVerb::Create { one, workdir, words, json } => {
            let ask = Ask::Create {
                kind: Kind::Terminal,
                words: words.into_iter().map(Name::from).collect(),
                env: Vec::new(),
                directory: workdir.map(Name::from),
            };
            let done = quietly(&one.sandbox, &one.id, ask);
            (json, done.map(|_| told(json, &one.id, json!({ "session": one.id, "kind": Kind::Terminal.name() }))))
        }
        PtyVerb::Attach { one } => (false, attach(&one)),
        PtyVerb::Resize { one, columns, rows, json } => {
            let done = quietly(&one.sandbox, &one.id, Ask::Resize { columns, rows });
            let size = format!("{}: {columns} columns, {rows} rows", one.id);
            (json, done.map(|_| told(json, &size, json!({ "session": one.id, "columns": columns, "rows": rows }))))
        }
    };
    done.unwrap_or_else(|trouble| files::complain(&trouble, json, super::code_of(&trouble, super::UNDONE)))
}

/// How looking at it ended.
type Seen = Result<Collected, Error>;

fn attach(one: &One) -> Result<i32, Error> {
    let mut typing = files::client(&one.sandbox, false)?;
    let ask = |client: &mut Client, ask: Ask| {
        let request = Request::Session { id: Some(one.id.clone()), ask };
        client.order(&request)
    };
    let stdin = std::io::stdin();
    let mut known = None;
    // Before anything is shown: it is drawn for this size.
    adapt(&stdin, &mut known, &mut |wish| ask(&mut typing, wish))?;
    let seen = look(one)?;
    let raw = RawTerminal::enter(stdin.as_fd());
    let result = type_in(&stdin, &seen, &mut known, &mut |wish| ask(&mut typing, wish));
    let restored = raw.map_or(Ok(()), RawTerminal::close);
    restored.map_err(|errno| Error::of_io(&std::io::Error::from_raw_os_error(errno)))?;
    match result? {
        Some(said) => said?.tell(),
        None => {
            if known.is_some() {
                // The cursor stands behind a prompt of the other side. Who cannot read this has gone.
                let _ = writeln!(std::io::stderr());
            }
            render::say("detached; the terminal goes on");
            Ok(0)
        }
    }
}

/// Shows what it shows, in a thread; how that ended comes through the channel.
fn look(one: &One) -> Result<Receiver<Seen>, Error> {
    let mut client = files::client(&one.sandbox, false)?;
    let request = Request::Session { id: Some(one.id.clone()), ask: Ask::Logs { job: 1, follow: true } };
    let (tell, seen) = channel();
    let shown = move || {
        let mut said = Collected::new(false, None);
        let result = said.hear(&mut client, &request);
        // Whoever has left does not wait for it.
        let _ = tell.send(result.map(|()| said));
    };
    std::thread::Builder::new().spawn(shown).map_err(|error| Error::of_io(&error))?;
    Ok(seen)
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

/// Passes on what is typed, until the command ends or the caller leaves.
fn type_in(
    stdin: &std::io::Stdin,
    seen: &Receiver<Seen>,
    known: &mut Option<(u16, u16)>,
    ask: &mut dyn FnMut(Ask) -> Result<(), Error>,
) -> Result<Option<Seen>, Error> {
    let (mut piece, mut open) = (vec![0; 4096], true);
    loop {
        match seen.try_recv() {
            Ok(result) => return Ok(Some(result)),
            Err(TryRecvError::Disconnected) => {
                return Err(Error::new(error::Kind::Failed, "nobody shows the terminal any more"));
            }
            Err(TryRecvError::Empty) => {}
        }
        // It may end at any moment; what it says then comes by the channel.
        let _ = adapt(stdin, known, ask);
        let mut list = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        let waiting = if open { &mut list[..] } else { &mut [] };
        if poll(waiting, PollTimeout::from(GLANCE_MS)).unwrap_or(0) == 0 {
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
            return Ok(None);
        }
    }
}
