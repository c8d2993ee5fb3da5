//! clone3(2), twice: a process of its own for pid 1, and one that shares pid 1's memory for the payload.
#![allow(unsafe_code)]

use super::Answer;
use core::ffi::c_void;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd, OwnedFd};
use syscalls::{Errno, Sysno, syscall};

/// For clone3(2) only: the new process begins in the cgroup `clone_args.cgroup` (Linux 5.7).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of a clone we are on.
#[derive(Debug)]
pub enum Cloned {
    /// The caller; the child's pid and a descriptor that refers to it whatever becomes of the number.
    Parent(i32, OwnedFd),
    /// The child.
    Child {
        /// Whether it is in the cgroup that was asked for, if one was.
        in_cgroup: bool,
    },
}

/// Clones the calling process like fork(2), into new namespaces and into `cgroup`. Falls back to clone(2) where clone3 is not
/// known, as below the seccomp filters of container engines; the child has to enter the cgroup itself then.
///
/// # Safety
///
/// The child may only use `sys::child` on memory prepared before, and must end in exec or exit: it holds a
/// photograph of every lock. The caller has no other threads.
pub unsafe fn clone_process(namespaces: i32, cgroup: Option<BorrowedFd<'_>>) -> Answer<Cloned> {
    let mut pidfd: i32 = -1;
    let flags = namespaces | libc::CLONE_PIDFD;
    let into_cgroup = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    let arguments = libc::clone_args {
        flags: u64::from(flags as u32) | into_cgroup,
        pidfd: core::ptr::from_mut(&mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.map_or(0, |cgroup| cgroup.as_raw_fd() as u64),
    };
    // SAFETY: without CLONE_VM both sides go on with their own copy of this very stack, as after fork(2).
    let mut result = unsafe { syscall!(Sysno::clone3, core::ptr::from_ref(&arguments), size_of::<libc::clone_args>()) };
    let known = result != Err(Errno::ENOSYS);
    if !known {
        let flags = flags | libc::SIGCHLD;
        // SAFETY: as above; clone(2) writes the pidfd through its third argument.
        result = unsafe { syscall!(Sysno::clone, flags, 0, core::ptr::from_mut(&mut pidfd), 0, 0) };
    }
    match result.map_err(Errno::into_raw)? {
        0 => Ok(Cloned::Child { in_cgroup: known }),
        // SAFETY: the kernel has just given us this descriptor.
        pid => Ok(Cloned::Parent(pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) })),
    }
}

/// Which side of a clone of a sibling we are on.
#[derive(Debug)]
pub enum Sibling {
    /// The caller; the sibling's pid and a descriptor of it.
    Parent(i32, i32),
    /// The sibling.
    Child,
}

/// Clones the calling process like fork(2), but as another child of its parent (`CLONE_PARENT`), and inside of the namespace
/// of pids that it has joined.
///
/// # Safety
///
/// Both sides may only use `sys::child` on memory prepared before, and must end in exec or exit.
pub unsafe fn clone_sibling() -> Answer<Sibling> {
    let mut pidfd: i32 = -1;
    // clone(2), not clone3: the signal at the end is that of the caller's own end, and no number may be given there.
    let flags = libc::CLONE_PARENT | libc::CLONE_PIDFD;
    // SAFETY: without CLONE_VM both sides go on with their own copy of this very stack, as after fork(2); clone(2) writes the
    // pidfd through its third argument.
    let result = unsafe { syscall!(Sysno::clone, flags, 0, core::ptr::from_mut(&mut pidfd), 0, 0) };
    match result.map_err(Errno::into_raw)? {
        0 => Ok(Sibling::Child),
        pid => Ok(Sibling::Parent(pid as i32, pidfd)),
    }
}

/// Joins `namespaces`, each with its kind, and goes on in a sibling, which is in the namespace of pids among them from its first
/// instruction; the caller is left behind with the sibling's pid and a descriptor of it. `None` in the sibling. EBUSY in a process with
/// threads, whose locks it would hold for ever.
pub fn go_on_inside(namespaces: &[(BorrowedFd<'_>, i32)]) -> Answer<Option<(i32, OwnedFd)>> {
    let errno = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EIO);
    if std::fs::read_dir("/proc/self/task").map_err(errno)?.count() != 1 {
        return Err(libc::EBUSY);
    }
    for (namespace, kind) in namespaces {
        super::child::join_namespace(namespace.as_raw_fd(), *kind)?;
    }
    // SAFETY: there is no other thread, as was just seen, and so the sibling may do what the caller may.
    match unsafe { clone_sibling() }? {
        Sibling::Child => Ok(None),
        // SAFETY: the kernel has just given us this descriptor.
        Sibling::Parent(pid, pidfd) => Ok(Some((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))),
    }
}

/// Runs `look` in a process of its own that has joined `user_namespace`, and answers what it answers. EBUSY in a process with threads, whose locks it would hold for ever.
pub fn in_user_namespace(user_namespace: BorrowedFd<'_>, look: impl FnOnce() -> Vec<u8>) -> Answer<Vec<u8>> {
    let errno = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EIO);
    if std::fs::read_dir("/proc/self/task").map_err(errno)?.count() != 1 {
        return Err(libc::EBUSY);
    }
    let (mut read, write) = std::io::pipe().map_err(errno)?;
    // SAFETY: there is no other thread, as was just seen, and so the child may do what its parent may. It ends here.
    match unsafe { clone_process(0, None) }? {
        Cloned::Child { .. } => {
            let joined = super::child::join_namespace(user_namespace.as_raw_fd(), libc::CLONE_NEWUSER);
            let told = joined.and_then(|()| (&write).write_all(&look()).map_err(errno));
            super::child::exit(told.err().unwrap_or(0))
        }
        Cloned::Parent(pid, _) => {
            drop(write);
            let mut told = Vec::new();
            let received = read.read_to_end(&mut told).map_err(errno);
            let (status, _) = super::proc::wait_with_usage(pid)?;
            received?;
            match libc::WEXITSTATUS(status) {
                _ if !libc::WIFEXITED(status) => Err(libc::EINTR),
                0 => Ok(told),
                errno => Err(errno),
            }
        }
    }
}

/// Clones a process that shares the caller's memory, runs `entry(argument)` on a stack of its own and never
/// returns from it. Answers its pid and a pidfd. It begins in new `namespaces`.
///
/// # Safety
///
/// `stack_top` is the upper end of memory that nothing else uses, and both it and `argument` stay valid until
/// the new process has executed or ended. `entry` may only use `sys::child`.
pub unsafe fn clone_sharing_memory(
    entry: extern "C" fn(*mut c_void) -> i32,
    stack_top: *mut c_void,
    argument: *mut c_void,
    namespaces: i32,
) -> Answer<(i32, i32)> {
    let mut pidfd: i32 = -1;
    let flags = libc::CLONE_VM | libc::CLONE_PIDFD | libc::SIGCHLD | namespaces;
    // SAFETY: promised by the caller. libc's clone is a few instructions of assembly around the system call: it
    // allocates nothing; it may write the caller's errno, which nobody reads.
    let pid = unsafe { libc::clone(entry, stack_top, flags, argument, core::ptr::from_mut(&mut pidfd)) };
    if pid < 0 {
        // SAFETY: reads the calling process's own errno, set by the call above.
        return Err(unsafe { *libc::__errno_location() });
    }
    Ok((pid, pidfd))
}
