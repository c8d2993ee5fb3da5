//! The keeper's end of a stream ([`stream`](crate::tools::session::stream)): two threads for each caller, one each way.

use super::Keeper;
use super::answers::is_gone;
use crate::error::{self, Error};
use crate::tools::Name;
use crate::tools::session::jobs::Jobs;
use crate::tools::session::stream::SIZE;
use crate::tools::session::{Kind, Said, replay};
use crate::tools::wire;
use nix::poll::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The only one of such a session.
const JOB: u64 = 1;
/// Between two signs of life where nothing is said.
const PULSE: Duration = Duration::from_secs(1);
/// Between two looks at a process that does not read, whether it or the caller has gone.
const GLANCE_MS: u16 = 100;

impl Keeper {
    /// Is the other end of a caller's stream, until the process ends or the caller goes.
    pub(super) fn attach(&self, size: Option<(u16, u16)>, caller: &mut UnixStream) -> io::Result<Result<(), Error>> {
        if !matches!(self.kind, Kind::Terminal | Kind::Stream | Kind::Bridge) {
            let message = format!("the session `{}` is one of {}, and no stream", self.id, self.kind.name());
            return Ok(Err(Error::new(error::Kind::Misused, message)));
        }
        if let (Kind::Terminal, Some((columns, rows))) = (self.kind, size) {
            // Before anything is shown, which is drawn for this size. One that has ended still shows what it did.
            let _ = self.resize(columns, rows);
        }
        self.attached.store(true, Ordering::Release);
        let from = caller.try_clone()?;
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let taking = || {
                self.take_in(&from, &over);
                if !over.load(Ordering::Acquire) {
                    // Who has gone is told nothing more.
                    let _ = from.shutdown(Shutdown::Both);
                    self.jobs.change(|_| ());
                }
            };
            std::thread::Builder::new().stack_size(super::STACK).spawn_scoped(scope, taking)?;
            let shown = self.show(caller);
            over.store(true, Ordering::Release);
            caller.shutdown(Shutdown::Read)?;
            shown
        })
    }

    /// Gives the caller what the process writes.
    fn show(&self, caller: &UnixStream) -> io::Result<Result<(), Error>> {
        let mut to = BufWriter::with_capacity(wire::PIECE, caller);
        let known = |jobs: &Jobs, place: usize| {
            let mut state = jobs.lock();
            let job = state.job(JOB)?;
            Some((job.since(place), job.has_lost(place)))
        };
        let mut place = self.jobs.lock().job(JOB).map_or(0, |job| job.beginning());
        // The first word is that we are there.
        wire::write(&mut to, wire::PULSE, &[]).and_then(|()| to.flush())?;
        let (mut is_first, mut spoken) = (true, Instant::now());
        loop {
            let gone = || Error::new(error::Kind::NotFound, format!("nothing runs in the session `{}`", self.id));
            let Some(((mut said, next, end), has_lost)) = known(&self.jobs, place) else { return Ok(Err(gone())) };
            if has_lost {
                let message = "it was too slow: another took what it had not read yet";
                return Ok(Err(Error::new(error::Kind::Failed, message)));
            }
            if said.is_empty() && end.is_none() {
                if is_gone(caller) {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                if spoken.elapsed() >= PULSE {
                    wire::write(&mut to, wire::PULSE, &[]).and_then(|()| to.flush())?;
                    spoken = Instant::now();
                }
                // Who takes in what the caller sends says when it has gone.
                self.await_more(JOB, place, spoken + PULSE);
                continue;
            }
            if std::mem::take(&mut is_first) && self.kind == Kind::Terminal {
                said = replay::without_queries(said);
            }
            for (number, one) in said.iter().enumerate() {
                match one {
                    Said::Stdout(Name(bytes)) => wire::write(&mut to, wire::DATA, bytes)?,
                    other => wire::write_json(&mut to, wire::ITEM, other)?,
                }
                if self.kind != Kind::Terminal {
                    to.flush()?;
                    self.jobs.change(|state| state.job(JOB).map(|job| job.take(place + number + 1)));
                }
            }
            to.flush()?;
            (place, spoken) = (next, Instant::now());
            if let Some(end) = end {
                wire::write_json(&mut to, wire::ITEM, &Said::Ended(end)).and_then(|()| to.flush())?;
                return Ok(Ok(()));
            }
        }
    }

    /// Gives the process what the caller sends, until nothing more comes.
    fn take_in(&self, mut caller: &UnixStream, over: &AtomicBool) {
        let mut frame = Vec::new();
        while let Ok(Some(kind)) = wire::read(&mut caller, &mut frame) {
            match (kind, frame.as_slice()) {
                (wire::DATA, bytes) => self.give(bytes, caller, over),
                (SIZE, &[a, b, c, d]) => {
                    // It may end at any moment; that is told on the other way.
                    let _ = self.resize(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
                }
                (wire::END, _) if self.kind != Kind::Terminal => {
                    self.jobs.change(|state| state.job(JOB).map(|job| job.input = None));
                }
                (wire::END, _) => {}
                _ => return,
            }
        }
    }

    /// Gives it to a process at its pace. What one has closed its input to is for nobody.
    fn give(&self, bytes: &[u8], caller: &UnixStream, over: &AtomicBool) {
        let input = self.jobs.lock().job(JOB).and_then(|job| job.input.as_ref()?.try_clone().ok());
        let Some(input) = input else { return };
        let (mut file, mut rest): (&File, _) = (&input, bytes);
        while !rest.is_empty() && !over.load(Ordering::Acquire) {
            match file.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = poll(&mut [PollFd::new(input.as_fd(), PollFlags::POLLOUT)], GLANCE_MS);
                    if ready == Ok(0) && is_gone(caller) {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }
}
