//! Confines a process of belljar's own that reads what a sandbox sends: it keeps what it has open, and gets nothing else.

use crate::error::Error;
use crate::sys::child;
use crate::{landlock, seccomp};
use std::path::Path;

/// What is left to such a process besides what it has open.
#[derive(Clone, Copy, Debug)]
pub struct Remainder<'a> {
    /// The user and the group that it becomes, as its own user namespace numbers them; `None`: it stays what it is.
    pub become_ids: Option<[u32; 2]>,
    /// What it may read, with everything beneath.
    pub readable: &'a [&'a Path],
    /// The ports that it may connect to by TCP; `None`: all of them. Kernels before 6.7 do not restrict that.
    pub ports: Option<&'a [u16]>,
    /// The built-in seccomp profile with its system calls.
    pub profile: &'static str,
}

/// Gives up everything else: the root that this process may be, capabilities, files, system calls. Nobody of the same user may look into
/// it either.
///
/// # Errors
///
/// What the kernel refused: then it must not go on.
pub fn confine(remainder: Remainder<'_>) -> Result<(), Error> {
    let failed = |attempt: &'static str| move |errno: i32| Error::setup(attempt, errno);
    let control = |option, value| child::process_control(option, value, 0).map(drop);
    if let Some([uid, gid]) = remainder.become_ids {
        child::clear_groups()
            .and_then(|()| child::set_gid(gid))
            .and_then(|()| child::set_uid(uid))
            .map_err(failed("become nobody"))?;
    }
    child::set_capabilities(0).map_err(failed("clear capabilities"))?;
    control(libc::PR_SET_DUMPABLE, 0).map_err(failed("be undumpable"))?;
    // A change of credentials takes it back. Should the supervisor have ended meanwhile, the end of its socket says so.
    control(libc::PR_SET_PDEATHSIG, libc::SIGTERM as u64).map_err(failed("end with the supervisor"))?;
    control(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(failed("set no_new_privs"))?;
    landlock::confine(remainder.readable, remainder.ports)?;
    let program = seccomp::builtin(remainder.profile);
    let program = program.ok_or_else(|| Error::setup("find the seccomp profile", libc::ENOENT))?;
    child::install_filter(program).map_err(failed("install the seccomp filter"))
}
