//! The beginning of a command in a sandbox that has waited for it: from then on it is watched as any other.

use super::first::Stands;
use super::{Running, polled};
use crate::error::Error;
use crate::images::Lease;
use crate::process::given::{Place, go_on};
use crate::process::launch::BACKSTOP;
use crate::process::plan::Plan;
use crate::spec::{Order, Protection};
use crate::sys::signal::stop_self;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

/// How long a sandbox may take to be made.
const MAKING: Duration = Duration::from_secs(30);
/// How long pid 1 may take to say that it has a command: somebody may have stopped it.
const TAKING: Duration = Duration::from_millis(500);

/// When a command begins, and where pid 1 reads it to.
#[derive(Clone, Copy, Debug)]
pub(in crate::process) struct Beginning {
    pub(in crate::process) at: Instant,
    pub(in crate::process) place: Place,
}

impl Running {
    /// Waits until it stands before its last step.
    ///
    /// # Errors
    ///
    /// It will not; it is gone.
    pub(in crate::process) fn until_it_stands(mut self) -> Result<Running, Error> {
        match self.hear_until(Stands::Waits, MAKING) {
            true => Ok(self),
            false => Err(self.abandon(Error::setup("make a sandbox that waits for a command", libc::ETIMEDOUT))),
        }
    }

    /// Hears what pid 1 says until that is so; whether it is.
    fn hear_until(&mut self, stands: Stands, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while self.first.stands != stands {
            let left = until.saturating_duration_since(Instant::now());
            let over = self.ending.is_decided() || !self.ending.is_hearing();
            if over || !polled::is_readable(self.first.control.as_fd(), left) {
                return false;
            }
            self.hear();
        }
        true
    }

    /// Waits until `line` has something; `false`, where it has ended before, or we were told to end. What stops people's jobs stops us.
    pub(in crate::process) fn waits_for(&self, line: BorrowedFd<'_>) -> bool {
        loop {
            let listening = self.guards.listening.descriptor();
            let mut list =
                [self.first.pidfd.as_fd(), listening.as_fd(), line].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut list, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                Err(_) => return false,
                Ok(_) => {}
            }
            let [over, signalled, asked] = list.map(|polled| polled.any().unwrap_or(false));
            match signalled.then(|| self.guards.listening.next()).flatten() {
                Some(Signal::SIGTSTP) => stop_self(),
                Some(Signal::SIGWINCH) | None => {}
                Some(_) => return false,
            }
            if over || asked {
                return !over;
            }
        }
    }

    /// Has pid 1 go on with the command of `plan`, in a sandbox that was made without one. `lease` holds its image from now on.
    ///
    /// # Errors
    ///
    /// The error number, where nothing has begun: it is not what the plan makes, or has ended, or does not answer.
    pub(in crate::process) fn begin(
        &mut self,
        order: &Order,
        plan: Plan,
        lease: Option<Lease>,
        Beginning { at, place }: Beginning,
    ) -> Result<(), i32> {
        if !plan.is_made_as(&self.plan) {
            return Err(libc::ESTALE);
        }
        let Some(command) = plan.command() else { return Err(libc::EINVAL) };
        let left = order.spec.timeout.map(|timeout| (timeout + BACKSTOP).saturating_sub(at.elapsed()));
        place.send(self.first.control.as_fd(), command, left)?;
        if !self.hear_until(Stands::Begins, TAKING) {
            return Err(libc::ESRCH);
        }
        go_on(self.first.control.as_fd())?;
        let made = std::mem::replace(&mut self.plan, plan);
        // What it had to do without was told when it was made.
        let namespaces = made.enforcement.get(&Protection::Namespaces).cloned();
        self.plan.enforcement.extend(namespaces.map(|namespaces| (Protection::Namespaces, namespaces)));
        self.order = order.clone();
        self.started = at;
        self.holder.begin(at);
        self.guards.lease = lease;
        Ok(())
    }

    /// Ends it unused. A signal that has come meanwhile is for whoever goes on.
    pub(in crate::process) fn end_unused(mut self) {
        self.guards.listening.leave_pending();
        // What there was to say of its end nobody has asked for.
        drop(self.abandon(Error::setup("use a sandbox that waits", libc::ECANCELED)));
    }
}
