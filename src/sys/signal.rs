//! Signals of the supervisor: blocked and read from a descriptor, so that no code runs at a bad moment.
#![allow(unsafe_code)]

use super::Answer;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What the supervisor listens to; everything else is blocked too while a sandbox lives. SIGALRM and SIGXCPU are
/// limits that a caller may have set for us, and that survive exec.
pub const HEARD: [Signal; 10] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGXCPU,
    Signal::SIGTSTP,
    Signal::SIGWINCH,
];

/// The caller's mask, put back when this is closed.
#[derive(Debug)]
pub struct Listening {
    descriptor: SignalFd,
    before: SigSet,
    drains: bool,
}

impl Listening {
    /// Blocks all signals and listens to those of [`HEARD`] that the caller did not have ignored, as nohup(1) and
    /// shells do: a blocked signal is queued even where it is ignored. Children begin with everything blocked.
    pub fn start() -> Answer<Listening> {
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before)).map_err(|errno| errno as i32)?;
        // A caller may have SIGCHLD ignored, and then the kernel throws away how a child ended.
        default_action(libc::SIGCHLD);
        let heard = HEARD.into_iter().filter(|signal| !is_ignored(*signal)).collect::<SigSet>();
        let descriptor = SignalFd::with_flags(&heard, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map_err(|errno| errno as i32)?;
        Ok(Listening { descriptor, before, drains: true })
    }

    /// The descriptor to poll.
    pub fn descriptor(&self) -> &SignalFd {
        &self.descriptor
    }

    /// The next signal that came, if any.
    pub fn next(&self) -> Option<Signal> {
        let info = self.descriptor.read_signal().ok().flatten()?;
        Signal::try_from(info.ssi_signo as i32).ok()
    }

    /// From now on there is no result to be told: what has come and was not acted on does to us what it does to others.
    pub fn leave_pending(&mut self) {
        self.drains = false;
    }

    /// Puts the caller's mask back. What came too late to be acted on must not end us before we have told the result.
    pub fn close(self) -> Answer<()> {
        while self.drains && self.next().is_some() {}
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None).map_err(|errno| errno as i32)
    }
}

/// The default action for `signal`.
pub fn default_action(signal: i32) {
    // SAFETY: SIG_DFL runs no code of ours.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Whether `signal` is ignored.
pub fn is_ignored(signal: Signal) -> bool {
    // SAFETY: `sigaction` is plain numbers, for which all-zero is a value, and is writable during the call; a null
    // new action changes nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal as i32, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Stops the calling process as job control would; returns when it is continued.
pub fn stop_self() {
    // SAFETY: raising SIGSTOP touches no memory; it cannot be blocked.
    unsafe { libc::raise(libc::SIGSTOP) };
}
