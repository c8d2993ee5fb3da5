//! Confines a process of belljar's own that reads what a sandbox sends: it keeps what it has open, and gets nothing else.

use crate::error::Error;
use crate::host::UNPRIVILEGED_ID;
use crate::sys::child;
use crate::{landlock, seccomp};
use std::path::Path;

/// Gives up what this process does not need: the root that it may be, capabilities, files but those that are `readable`, calls that its
/// built-in seccomp profile does not name. Nobody of the same user may look into it either.
///
/// # Errors
///
/// What the kernel refused: then it must not go on.
pub fn confine(real_root: bool, readable: &[&Path], profile: &str) -> Result<(), Error> {
    let failed = |attempt: &'static str| move |errno: i32| Error::setup(attempt, errno);
    let control = |option, value| child::process_control(option, value, 0).map(drop);
    if real_root {
        child::clear_groups()
            .and_then(|()| child::set_gid(UNPRIVILEGED_ID))
            .and_then(|()| child::set_uid(UNPRIVILEGED_ID))
            .map_err(failed("become nobody"))?;
    }
    child::set_capabilities(0).map_err(failed("clear capabilities"))?;
    control(libc::PR_SET_DUMPABLE, 0).map_err(failed("be undumpable"))?;
    // A change of credentials takes it back. Should the supervisor have ended meanwhile, the end of its socket says so.
    control(libc::PR_SET_PDEATHSIG, libc::SIGTERM as u64).map_err(failed("end with the supervisor"))?;
    control(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(failed("set no_new_privs"))?;
    landlock::confine(readable)?;
    let program = seccomp::builtin(profile).ok_or_else(|| Error::setup("find the seccomp profile", libc::ENOENT))?;
    child::install_filter(program).map_err(failed("install the seccomp filter"))
}
