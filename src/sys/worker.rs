//! fork(2) for a process that answers several callers at once and has one thread.
#![allow(unsafe_code)]

use super::allocator::ALLOCATOR;
use super::{Answer, child};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{ForkResult, Pid, fork};
use std::os::fd::OwnedFd;

/// Makes ready to start copies: the quick memory of a start is left to them.
pub fn prepare() {
    ALLOCATOR.leave_to_copies();
}

/// Starts a copy of this process that does `work` and exits with what that answers. It has `descriptors` as 0, 1, 2 and so on, and
/// none of ours besides, `mask` as its signal mask, and is told to end (SIGTERM) when we do. The caller has no other threads.
pub fn start(descriptors: &[OwnedFd], mask: &SigSet, work: impl FnOnce() -> i32) -> Answer<Pid> {
    let parent = nix::unistd::getpid();
    // SAFETY: without other threads nobody has left a lock behind, and the copy may do whatever we may.
    match unsafe { fork() }.map_err(|errno| errno as i32)? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            ALLOCATOR.take_over();
            let code = match settle(descriptors, mask, parent) {
                Ok(()) => work(),
                Err(errno) => errno,
            };
            #[allow(clippy::exit)] // It is the end of a process of its own.
            // Not `_exit`: what the library still holds of standard output is written.
            std::process::exit(code)
        }
    }
}

fn settle(descriptors: &[OwnedFd], mask: &SigSet, parent: Pid) -> Answer<()> {
    let raw = |errno: nix::errno::Errno| errno as i32;
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM).map_err(raw)?;
    if nix::unistd::getppid() != parent {
        return Err(libc::ESRCH);
    }
    // Above all that will be written over.
    let count = descriptors.len() as i32;
    let high = |fd: &OwnedFd| nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(count)).map_err(raw);
    let copies = descriptors.iter().map(high).collect::<Answer<Vec<_>>>()?;
    for (number, copy) in copies.iter().enumerate() {
        child::duplicate(*copy, number as i32, 0)?;
    }
    child::close_range(count as u32, u32::MAX, 0)?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None).map_err(raw)
}
