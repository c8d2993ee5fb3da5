//! The leader of a command that joins a sandbox: enters its namespaces, starts the command, and stays its parent.
//!
//! Two processes in a row. The first is a child of the supervisor's and joins; since the namespace of pids takes in only
//! children, it clones the leader, which is inside from its first instruction, and leaves. Neither can be traced or read by
//! anybody inside, as pid 1 cannot. The leader is the reaper of whatever the command leaves behind (prctl(2),
//! `PR_SET_CHILD_SUBREAPER`): when the command ends by itself the rest stays in the sandbox, and when it is ended the rest
//! ends with it.

use super::child::{Context, Walk};
use super::report::{Applied, Frame, Stop, at};
use super::{init, report};
use crate::step::Call;
use crate::sys::child;
use crate::sys::clone::Sibling;
use crate::sys::proc;
use std::os::fd::BorrowedFd;

/// Where the namespace of users of a range is among those to join: behind all others.
fn users(context: &Context<'_>) -> i32 {
    context.namespaces.last().copied().unwrap_or(-1)
}

/// Step `JoinNamespaces`.
pub fn join(context: &Context<'_>, kinds: &[i32]) -> Applied {
    for (fd, kind) in context.namespaces.iter().zip(kinds) {
        at(joining(*kind), child::join_namespace(*fd, *kind))?;
    }
    Ok(())
}

/// What it is called in messages to join a namespace of this kind.
fn joining(kind: i32) -> Call {
    match kind {
        libc::CLONE_NEWUSER => Call::JoinUsers,
        libc::CLONE_NEWNS => Call::JoinMounts,
        libc::CLONE_NEWPID => Call::JoinPids,
        libc::CLONE_NEWUTS => Call::JoinHostName,
        libc::CLONE_NEWIPC => Call::JoinIpc,
        libc::CLONE_NEWCGROUP => Call::JoinCgroups,
        _ => Call::JoinNetwork,
    }
}

/// Step `JoinUsers`.
pub fn join_users(context: &Context<'_>) -> Applied {
    child::join_namespace(users(context), libc::CLONE_NEWUSER).map_err(|errno| Stop::at(Call::Only, errno))
}

/// Step `Lead`: goes on in the leader only.
pub fn lead(context: &Context<'_>, walk: &mut Walk) -> Applied {
    match init::sibling().map_err(|errno| Stop::at(Call::Clone, errno))? {
        Sibling::Parent(pid, pidfd) => {
            let told = child::send_descriptors(context.control, &Frame::Joined(pid).encode(), &[pidfd]);
            match told {
                Ok(()) => child::exit(0),
                // Of a leader that nobody knows, nobody would ever hear.
                Err(errno) => {
                    let _ = proc::send_signal(pidfd, libc::SIGKILL);
                    Err(Stop::at(Call::TellSupervisor, errno))
                }
            }
        }
        Sibling::Child => {
            child::process_control(libc::PR_SET_CHILD_SUBREAPER, 1, 0)
                .map_err(|errno| Stop::at(Call::BecomeReaper, errno))?;
            let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
            walk.proc = child::open(child::CWD, c"/proc", flags, 0).map_err(|errno| Stop::at(Call::OpenProc, errno))?;
            Ok(())
        }
    }
}

/// Ends the command and everything that descends from it, whatever sessions it has made, and leaves.
pub fn end_everybody(context: &Context<'_>, state: &Walk) -> ! {
    loop {
        kill_children(state);
        // Whoever dies leaves its children to us: with the last of them we are done.
        match child::wait(-1, libc::__WALL) {
            Ok((pid, status)) if pid == state.payload => {
                init::tell_usage(context);
                init::send(context, report::Frame::Ended(status));
            }
            Ok(_) | Err(libc::EINTR) => {}
            Err(_) => child::exit(0),
        }
    }
}

/// One round. Who forks faster than it is found is found in the next.
fn kill_children(state: &Walk) {
    let Some(proc) = init::borrow(state.proc) else { return };
    let own = nix::unistd::getpid().as_raw();
    let mut buffer = [0u8; 4096];
    // Without a look there is nobody to be found, and the supervisor ends the whole sandbox.
    let _ = proc::for_each_number(proc, &mut buffer, |pid| {
        if parent(proc, pid) == Some(own) {
            let _ = child::kill(pid as i32, libc::SIGKILL);
        }
    });
}

/// The parent of a process, proc_pid_stat(5), field 4.
fn parent(proc: BorrowedFd<'_>, pid: u32) -> Option<i32> {
    let mut buffer = [0u8; 512];
    let stat = proc::read_process_file(proc, pid, "stat", &mut buffer).ok()?;
    // The name, field 2, may hold anything: the fields are counted after its end.
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let digits = stat.get(end + 4..)?.split(|byte| *byte == b' ').next()?;
    digits.iter().try_fold(0i32, |sum, digit| {
        digit.is_ascii_digit().then(|| sum.checked_mul(10)?.checked_add(i32::from(digit - b'0')))?
    })
}
