//! The publisher of a sandbox with published ports, as the loop sees it.

use super::Running;
use crate::outcome::Published;
use crate::process::publish::News;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};

impl Running {
    /// Ports that are reached from the host, and what became of them.
    pub fn published(&self) -> &[Published] {
        self.guards.publisher.as_ref().map_or(&[], |publisher| publisher.published())
    }

    /// Whether every port that was asked for leads inside by now.
    pub fn has_published(&self) -> bool {
        self.guards.publisher.as_ref().is_none_or(|publisher| publisher.has_served())
    }

    /// What leads to ports inside: the namespaces of users and of the network. None where the network is the host's.
    pub fn network(&self) -> Option<[RawFd; 2]> {
        let own = crate::namespaces::own_network(&self.order.spec);
        match &self.held()?.namespaces[..] {
            [users, .., network] if own => Some([users.as_raw_fd(), network.as_raw_fd()]),
            _ => None,
        }
    }

    /// The sandbox's procfs, for who looks at it in a place and at a pace of his own.
    pub fn processes(&self) -> std::io::Result<OwnedFd> {
        let meter = self.holder.meter.as_ref().ok_or(std::io::ErrorKind::NotFound)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(openat(meter.proc(), ".", flags, Mode::empty())?)
    }

    /// Hands the publisher what leads to the ports inside: of the namespaces that pid 1 has handed over, those of users and of
    /// the network are the first and the last.
    pub(super) fn publish(&mut self) -> Result<(), i32> {
        let Some(publisher) = &mut self.guards.publisher else { return Ok(()) };
        match &self.held.namespaces[..] {
            [users, .., network] => publisher.hand_over(users.as_fd(), network.as_fd()),
            _ => Err(libc::EMFILE),
        }
    }

    /// What the publisher says. A sandbox whose ports cannot be reached is not what was asked for; one whose ports are lost goes on, and
    /// the result says so.
    pub(super) fn hear_publisher(&mut self) {
        let Some(publisher) = &mut self.guards.publisher else { return };
        let served = publisher.has_served();
        match publisher.hear() {
            News::Nothing if !served && publisher.has_served() => self.first.tell_of_publisher(),
            News::Refused(error) if !self.ending.is_near() => self.end_with(error),
            News::Refused(_) | News::Lost | News::Nothing => {}
        }
    }
}
