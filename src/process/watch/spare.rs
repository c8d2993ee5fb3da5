//! Waiting for a spare: from its clone until its first process has nothing left to do. Nobody watches it then; it ends with its maker, or
//! with whoever has the socket to its first process by that time.

use super::Running;
use super::ending::together;
use crate::error::Error;
use crate::process::report::{Frame, SIZE};
use crate::process::spare::Held;
use crate::sys::{fd, proc};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// How long a sandbox may take to be made.
const PATIENCE: Duration = Duration::from_secs(30);

impl Running {
    /// What there is of the spare, whose namespaces are of these kinds, when it is ready.
    ///
    /// # Errors
    ///
    /// What kept it from being made; nothing is left of it then.
    pub(in crate::process) fn await_spare(self, kinds: &[i32]) -> Result<Held, Error> {
        let until = Instant::now() + PATIENCE;
        let mut sights: Option<(Vec<OwnedFd>, usize)> = None;
        loop {
            let mut list = [PollFd::new(self.first.control.as_fd(), PollFlags::POLLIN)];
            let left = until.saturating_duration_since(Instant::now());
            match poll(&mut list, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
                Ok(0) => return Err(self.abandon(Error::setup("make a spare sandbox", libc::ETIMEDOUT))),
                Ok(_) => {}
                Err(nix::errno::Errno::EINTR) => continue,
                Err(errno) => return Err(self.abandon(Error::setup("wait for a spare sandbox", errno as i32))),
            }
            let mut bytes = [0; SIZE];
            let heard = match fd::receive(self.first.control.as_fd(), &mut bytes) {
                Ok((SIZE, descriptors)) => Frame::decode(bytes).map(|frame| (frame, descriptors)),
                Ok(_) => None,
                Err(libc::EINTR) => continue,
                Err(errno) => return Err(self.abandon(Error::setup("hear of a spare sandbox", errno))),
            };
            match heard {
                Some((Frame::Ready { lists }, descriptors)) => sights = Some((descriptors, lists.into())),
                Some((Frame::Waiting, _)) => break,
                Some((Frame::Refused { payload, refusal }, _)) => {
                    let refused = self.refused(payload, refusal);
                    return Err(self.abandon(refused));
                }
                _ => return Err(self.abandon(Error::setup("make a spare sandbox: it ended", libc::ECHILD))),
            }
        }
        let Some((mut sights, lists)) = sights else {
            return Err(self.abandon(Error::setup("take over a spare sandbox's descriptors", libc::EMFILE)));
        };
        // Behind root, procfs and lists; the last is the writable layer, which nobody needs here.
        let namespaces = sights.split_off((2 + lists).min(sights.len()));
        let namespaces = namespaces.into_iter().zip(kinds.iter().copied()).collect();
        let Running { first, mut guards, .. } = self;
        let cgroup = guards.cgroup.take();
        let (pid, pidfd, control) = first.into_parts();
        match together(guards.close()) {
            Some(error) => {
                let _ = proc::send_signal(std::os::fd::AsRawFd::as_raw_fd(&pidfd), libc::SIGKILL);
                let _ = proc::wait_with_usage(pid);
                Err(error)
            }
            None => Ok(Held { pid, pidfd, control, sights, namespaces, cgroup }),
        }
    }
}
