//! The first process of a launch, as the supervisor holds it: pid 1 of a sandbox, or the leader of a command that joins.

use super::polled;
use crate::cgroup::Cgroup;
use crate::process::taken::{Reaper, Waited};
use crate::sys::proc;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// How long a leader may take to end what it leads; after that the whole sandbox is ended.
const LEADERS_TIME: Duration = Duration::from_secs(3);
/// How long pid 1 may take from giving up its mounts to its end.
const LAST_BREATH: Duration = Duration::from_millis(1000);

/// The process, and the ways to it.
pub(in crate::process) struct First {
    /// As the host numbers it.
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    /// The socket to it.
    pub(super) control: OwnedFd,
    /// Its user namespace, where there are users inside who are not the caller.
    pub(super) user_namespace: Option<OwnedFd>,
    /// How far it is with a command that comes later.
    pub(super) stands: Stands,
    leading: Option<Leading>,
    /// Who waits for it, where that is not us.
    reaper: Option<Reaper>,
}

/// How far pid 1 of a sandbox is that was made without a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stands {
    /// It has something else to do.
    #[default]
    Not,
    /// It waits for the command.
    Waits,
    /// It has it.
    Begins,
}

/// How far a leader is.
#[derive(Default)]
struct Leading {
    /// Until then it is the messenger that brings it inside.
    inside: bool,
    /// Whether it is another's child, whom nobody but that one can ask how it ended; what it says that its command has used.
    stood: Option<Waited>,
    /// When a leader that was told to end has had time enough.
    until: Option<Instant>,
}

impl First {
    /// pid 1.
    pub(in crate::process) fn init(pid: i32, pidfd: OwnedFd, control: OwnedFd) -> First {
        let stands = Stands::default();
        First { pid, pidfd, control, user_namespace: None, stands, leading: None, reaper: None }
    }

    /// pid 1 of a sandbox that somebody else has made, who waits for it.
    pub(in crate::process) fn taken(pidfd: OwnedFd, control: OwnedFd, reaper: Reaper) -> First {
        // Nobody here has a child of that number, which is no pid.
        First { reaper: Some(reaper), ..First::init(i32::MAX, pidfd, control) }
    }

    /// The messenger that brings a leader inside.
    pub(in crate::process) fn messenger(pid: i32, pidfd: OwnedFd, control: OwnedFd) -> First {
        First { leading: Some(Leading::default()), ..First::init(pid, pidfd, control) }
    }

    /// A leader that stood inside, and leads our command now.
    pub(in crate::process) fn standing(leader: OwnedFd, control: OwnedFd) -> First {
        let leading = Leading { inside: true, stood: Some(Waited::default()), until: None };
        // Its number is its parent's to use.
        First { leading: Some(leading), ..First::init(0, leader, control) }
    }

    /// What a leader that stood inside has told of its command's use.
    pub(super) fn stood(&mut self) -> Option<&mut Waited> {
        self.leading.as_mut()?.stood.as_mut()
    }

    /// Waits for its end, which its pidfd has shown, and answers what it and its children have used.
    pub(super) fn wait(&mut self) -> Option<libc::rusage> {
        if let Some(reaper) = &mut self.reaper {
            return reaper().map(|waited| waited.usage());
        }
        match self.stood() {
            Some(used) => Some(used.usage()),
            None => proc::wait_with_usage(self.pid).ok().map(|(_, usage)| usage),
        }
    }

    /// Its pid, the descriptor of it, and the socket to it.
    pub(super) fn into_parts(self) -> (i32, OwnedFd, OwnedFd) {
        (self.pid, self.pidfd, self.control)
    }

    /// Whether it leads a command that joins.
    pub(super) fn leads(&self) -> bool {
        self.leading.is_some()
    }

    /// The leader, once it is inside.
    pub(super) fn leader(&self) -> Option<&OwnedFd> {
        self.leading.as_ref().filter(|leading| leading.inside).map(|_| &self.pidfd)
    }

    /// From the messenger to the leader inside, which is our child too.
    pub(super) fn goes_on_as(&mut self, pid: i32, pidfd: OwnedFd) {
        // The messenger is leaving; what it used is too little to be counted.
        let _ = proc::wait_with_usage(self.pid);
        (self.pid, self.pidfd) = (pid, pidfd);
        if let Some(leading) = &mut self.leading {
            leading.inside = true;
        }
    }

    /// Passes a signal on. Where it is gone, its end is about to be seen.
    pub(super) fn tell(&self, signal: i32) {
        let _ = nix::unistd::write(&self.control, &[signal as u8]);
    }

    /// Tells it that the publisher is where it counts. Where it is gone, its end is about to be seen.
    pub(super) fn tell_of_publisher(&self) {
        let _ = nix::unistd::write(&self.control, &[0]);
    }

    /// Whether there is a frame, or its end, to be heard.
    pub(super) fn has_told(&self) -> bool {
        polled::is_readable(self.control.as_fd(), Duration::ZERO)
    }

    /// Whether it has ended, or is about to.
    pub(super) fn is_ending(&self) -> bool {
        polled::is_readable(self.pidfd.as_fd(), LAST_BREATH)
    }

    /// Kills everybody in the cgroup; kills pid 1, and with it the kernel kills all. It may be gone already, which is as
    /// good. A leader is asked to do it, since with it nobody would know any more who descends from its command.
    pub(super) fn end(&mut self, cgroup: Option<&Cgroup>) {
        if let Some(leading) = self.leading.as_mut().filter(|leading| leading.inside) {
            leading.until.get_or_insert_with(|| Instant::now() + LEADERS_TIME);
            self.tell(libc::SIGKILL);
            // Whoever is inside may have stopped it.
            let _ = proc::send_signal(self.pidfd.as_raw_fd(), libc::SIGCONT);
            return;
        }
        if let Some(cgroup) = cgroup {
            cgroup.kill();
        }
        let _ = proc::send_signal(self.pidfd.as_raw_fd(), libc::SIGKILL);
    }

    /// When a leader that was told to end has had time enough.
    pub(super) fn until(&self) -> Option<Instant> {
        self.leading.as_ref()?.until
    }

    /// Gives up a leader that cannot end what it leads, or is kept from it: from here on it is killed as anybody is.
    pub(super) fn give_up(&mut self) {
        if let Some(leading) = &mut self.leading {
            *leading = Leading::default();
        }
    }
}
