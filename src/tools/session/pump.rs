//! A job's output, from its pipes to its log.

use super::jobs::{Jobs, on_stream};
use crate::sys::tty::read_to_the_end;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;

/// Bytes that are taken at once.
const PIECE: usize = 32 << 10;

/// Standard output and standard error of a job, or of several in a row.
pub struct Streams(pub [Option<File>; 2]);

/// Makes reading answer at once.
pub fn without_waiting(file: &File) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    fcntl(file, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

impl Streams {
    /// Takes what is there; whether something was.
    fn take(&mut self, jobs: &Jobs, job: u64) -> bool {
        let (mut piece, mut some) = (vec![0; PIECE], false);
        for (number, stream) in self.0.iter_mut().enumerate() {
            let Some(file) = stream else { continue };
            if jobs.is_full(job) {
                continue;
            }
            match read_to_the_end(|| read(&*file, &mut piece)) {
                Ok(0) => *stream = None,
                Ok(count) => {
                    some = true;
                    jobs.say(job, on_stream(number, &piece[..count]));
                }
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(_) => *stream = None,
            }
        }
        some
    }

    /// Takes everything that is there.
    pub fn drain(&mut self, jobs: &Jobs, job: u64) {
        while self.take(jobs, job) {}
    }

    /// Waits for the streams and `control`, and takes what comes, until `done` says so of what came on `control` (nothing, where
    /// that has ended), the streams have ended, or, with `while_open`, the session has.
    pub fn pump(
        &mut self,
        jobs: &Jobs,
        job: u64,
        control: Option<&mut File>,
        while_open: bool,
        done: &mut dyn FnMut(&[u8]) -> bool,
    ) {
        let mut control = control;
        let mut piece = vec![0; PIECE];
        loop {
            jobs.await_room(job, while_open);
            let mut list: Vec<PollFd<'_>> =
                self.0.iter().flatten().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)).collect();
            list.extend(control.as_ref().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)));
            if list.is_empty() {
                return;
            }
            // How a session ends is told by its process, not by a stream.
            list.extend(while_open.then(|| PollFd::new(jobs.over(), PollFlags::POLLIN)));
            let _ = poll(&mut list, PollTimeout::NONE);
            drop(list);
            // What was written before something was told is heard before it.
            let told = control.as_mut().map(|file| file.read(&mut piece));
            self.drain(jobs, job);
            let over = match told {
                Some(Ok(count)) => done(piece.get(..count).unwrap_or_default()),
                Some(Err(error)) => {
                    !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) && done(&[])
                }
                None => false,
            };
            if over || (while_open && jobs.lock().ended.is_some()) {
                return self.drain(jobs, job);
            }
        }
    }

    /// Takes what still comes from what goes on in the background, until it ends too.
    pub fn leave(mut self, jobs: &Arc<Jobs>, job: u64) {
        let jobs = jobs.clone();
        if self.0.iter().all(Option::is_none) {
            return;
        }
        // Without a thread it stays unread.
        let _ = std::thread::Builder::new()
            .stack_size(128 << 10)
            .spawn(move || self.pump(&jobs, job, None, false, &mut |_| false));
    }
}
