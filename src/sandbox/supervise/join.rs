//! What a supervisor hands to whoever joins: the sandbox's namespaces, and a leader where one stands inside.

use super::Supervisor;
use crate::process::Running;
use crate::sandbox::call::{Answer, Asked, Line};
use std::io::Result;
use std::os::fd::{AsRawFd as _, RawFd};
use std::time::Instant;

impl Supervisor<'_> {
    /// Lets a caller join, as soon as everybody goes on.
    pub(super) fn join_in_time(&mut self, line: &Line, running: &Running) -> Result<()> {
        if self.frozen.get() {
            line.asked.set(Asked::Join);
            return Ok(());
        }
        self.join(line, running)
    }

    /// Lets a caller join.
    pub(super) fn join(&mut self, line: &Line, running: &Running) -> Result<()> {
        // Our own tools delete and fetch, which must be possible; what they write beyond the limit is found as everybody's is.
        match if line.own.get() { Some(true) } else { self.has_room() } {
            Some(true) => {}
            Some(false) => return line.say(&Answer::Full, &[]),
            None => {
                line.asked.set(Asked::Join);
                return Ok(());
            }
        }
        let Some((mut answer, mut descriptors)) = self.handed(running) else {
            let why = match self.forge {
                Some(_) => "the template is not ready yet: its preload still runs",
                None => "the sandbox is not ready",
            };
            return line.say(&Answer::Refused(why.to_owned()), &[]);
        };
        let standing = line.led.take().and_then(|key| self.ahead.take(&key, running.cgroup().is_some()));
        if let (Some(standing), Answer::Joined { led, .. }) = (&standing, &mut answer) {
            *led = true;
            descriptors.extend([standing.leader.as_raw_fd(), standing.control.as_raw_fd()]);
        }
        line.hand(&answer, &descriptors)?;
        // Should the caller be killed, we see to the end of it.
        line.leader.replace(standing.map(|standing| standing.leader));
        line.asked.set(Asked::Joined);
        match self.reason {
            Some((reason, signal)) => line.say(&Answer::Ending { reason, signal }, &[]),
            None => Ok(()),
        }
    }

    /// What is needed to join; nothing as long as the sandbox is not ready.
    fn handed(&self, running: &Running) -> Option<(Answer, Vec<RawFd>)> {
        let (held, run) = (running.held()?, self.run.as_ref()?);
        let cgroup = running.cgroup();
        let mut descriptors: Vec<RawFd> = held.namespaces.iter().chain(&held.users).map(|fd| fd.as_raw_fd()).collect();
        descriptors.extend(cgroup.map(|cgroup| cgroup.as_raw_fd()));
        let answer = Answer::Joined {
            namespaces: held.namespaces.len(),
            users: held.users.is_some(),
            cgroup: cgroup.is_some(),
            enforcement: run.enforcement.clone(),
            mount_is_directory: run.mount_is_directory.clone(),
            holds_leaders: true,
            led: false,
        };
        Some((answer, descriptors))
    }

    /// Has a leader brought inside where one is wanted, and lets go whom nobody wants.
    pub(super) fn tend_ahead(&mut self, running: &mut Running, now: Instant) {
        if self.reason.is_some() || self.asked.get().is_some() {
            self.ahead.let_go();
        }
        let handed = if self.ahead.is_due(now) && !self.frozen.get() { self.handed(running) } else { None };
        self.ahead.tend(now, handed);
        running.set_standing(self.ahead.count());
    }
}
