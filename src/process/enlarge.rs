//! A larger writable layer for a sandbox that runs and has its files in memory.
//!
//! It runs nothing, and follows no name that the sandbox has made: above the layer is the scaffold, which nobody inside can reach.

use crate::error::Error;
use crate::mounts;
use crate::step::c_string;
use crate::sys::filesystem::reconfigure;
use crate::sys::{child, fd, worker};
use nix::sys::signal::SigSet;
use nix::sys::wait::{WaitStatus, waitpid};
use std::os::fd::{AsFd as _, OwnedFd};

/// Makes it larger: the sandbox's user and mount namespaces, the layer, and the bytes that it may have from now on.
///
/// # Errors
///
/// `Setup`, where the kernel refuses it.
pub fn enlarge(places: [OwnedFd; 3], bytes: u64) -> Result<(), Error> {
    let failed = |errno| Error::setup("enlarge the writable layer", errno);
    let mask = SigSet::thread_get_mask().map_err(|errno| failed(errno as i32))?;
    // Whoever has joined cannot come back, so that somebody else does it.
    let child = worker::start(&places, &mask, || match inside(bytes) {
        Ok(()) => 0,
        Err(errno) => errno,
    });
    match waitpid(child.map_err(failed)?, None) {
        Ok(WaitStatus::Exited(_, 0)) => Ok(()),
        Ok(WaitStatus::Exited(_, errno)) => Err(failed(errno)),
        _ => Err(failed(libc::EIO)),
    }
}

/// The worker's part, with the three places as 0, 1 and 2.
fn inside(bytes: u64) -> Result<(), i32> {
    child::join_namespace(0, libc::CLONE_NEWUSER)?;
    child::join_namespace(1, libc::CLONE_NEWNS)?;
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let top = fd::own(child::open(2, c"..", flags, 0)?);
    let (size, inodes) = (c_string(bytes.to_string()), c_string(mounts::inodes(bytes).to_string()));
    reconfigure(top.as_fd(), &[(c"size", &size), (c"nr_inodes", &inodes)])
}
