//! What a supervisor answers to calls about its sandbox's network, and what it writes down of published ports.

use super::super::call::{Answer, Asked, Line};
use super::{Reason, Supervisor};
use crate::process::Running;
use crate::spec::network::Policy;
use std::io::Result;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

impl Supervisor<'_> {
    /// Holds the sandbox to the policy that its spec has now: its caller has written it down.
    pub(super) fn set_policy(&self, running: &mut Running) -> Answer {
        let policy = self.entry.order().map(|order| order.spec.policy().unwrap_or_default());
        match policy.and_then(|policy| running.set_policy(policy)) {
            Ok(cut) => Answer::Policy { cut },
            Err(error) => Answer::Refused(error.to_string()),
        }
    }

    /// Lends the sandbox what its maker needs to fill it.
    pub(super) fn fill(&self, line: &Line, policy: Option<Policy>, running: &mut Running) -> Result<()> {
        line.asked.set(Asked::Fill);
        match policy.map(|policy| running.set_policy(policy)) {
            Some(Err(error)) => line.say(&Answer::Refused(error.to_string()), &[]),
            Some(Ok(_)) | None => line.say(&Answer::Done, &[]),
        }
    }

    /// It is whole: what was lent ends.
    pub(super) fn filled(&self, line: &Line, running: &mut Running) -> Result<()> {
        let answer = if self.order.spec.net.has_policy() { self.set_policy(running) } else { Answer::Done };
        if !matches!(answer, Answer::Refused(_)) {
            line.asked.set(Asked::Nothing);
        }
        line.say(&answer, &[])
    }

    /// Ends a sandbox whose maker is gone before it was whole.
    pub(super) fn abandon(&self, line: &Line, running: &mut Running) {
        if line.asked.get() == Asked::Fill {
            // It ends in any case; until then it reaches what it was made with.
            let _ = self.set_policy(running);
            self.asked.set(Some((Duration::ZERO, Reason::Stopped)));
        }
    }

    /// Whether somebody calls. Who only holds a lease does not.
    pub(super) fn is_called(&self) -> bool {
        self.lines.iter().any(|line| line.asked.get() != Asked::Lease)
    }

    /// Writes down that published ports are lost.
    pub(super) fn tell_published(&mut self, running: &Running) {
        if let Some(run) = self.run.as_mut().filter(|run| run.published != running.published()) {
            run.published = running.published().to_vec();
            // Where there is no room for it, `inspect` shows a port that is closed; the sandbox does not end for that.
            let _ = self.entry.note("run.json", run);
        }
    }
}

/// Hands over what leads to the sandbox's ports: its namespaces of users and of the network.
pub(super) fn hand_namespaces(line: &Line, running: &Running) -> Result<()> {
    match running.network() {
        Some(places) => line.hand(&Answer::Done, &places),
        None => line.say(&Answer::Refused("the sandbox has no network of its own, or is not ready".to_owned()), &[]),
    }
}

/// Hands over the sandbox's procfs.
pub(super) fn hand_processes(line: &Line, running: &Running) -> Result<()> {
    match running.processes() {
        Ok(proc) => line.hand(&Answer::Done, &[proc.as_raw_fd()]),
        Err(error) => line.say(&Answer::Refused(format!("open the sandbox's `/proc`: {error}")), &[]),
    }
}
