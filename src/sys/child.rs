//! System calls for the processes between clone and exec.
//!
//! Every function is one system call, takes memory that the supervisor prepared, and answers with the bare error
//! number. None allocates, formats, panics or touches thread-local storage.
#![allow(unsafe_code)]

mod network;
mod terminal;
mod usage;

pub use network::{bind_to_interface, loopback_up, network_of, set_option, socket, tun_attach, tun_index, tun_offload};
pub use terminal::{terminal_peer, unlock_terminal};
pub use usage::usage_of_children;

use super::Answer;
use core::ffi::CStr;
use core::sync::atomic::AtomicU32;
use syscalls::{Errno, Sysno, syscall};

/// A descriptor as a number: between clone and exec nothing is ever dropped.
pub type Fd = i32;

/// `AT_FDCWD`: paths are relative to the working directory.
pub const CWD: Fd = libc::AT_FDCWD;

const NONE: usize = 0;

fn answer(result: Result<usize, Errno>) -> Answer<usize> {
    result.map_err(Errno::into_raw)
}

fn done(result: Result<usize, Errno>) -> Answer<()> {
    result.map(|_| ()).map_err(Errno::into_raw)
}

fn descriptor(result: Result<usize, Errno>) -> Answer<Fd> {
    result.map(|fd| fd as Fd).map_err(Errno::into_raw)
}

/// _exit(2) of the whole process; never returns, whatever a filter answers.
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: exit_group takes a number and ends the process.
        let _ = unsafe { syscall!(Sysno::exit_group, status) };
        // A filter may refuse exit_group; a fault cannot be refused.
        // SAFETY: an undefined instruction raises SIGILL, whose action is the default here.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            core::arch::asm!("ud2", options(nomem, nostack))
        };
    }
}

/// open(2) below `directory`.
pub fn open(directory: Fd, path: &CStr, flags: i32, mode: u32) -> Answer<Fd> {
    // SAFETY: `path` is a C string that outlives the call; the kernel copies it.
    descriptor(unsafe { syscall!(Sysno::openat, directory, path.as_ptr(), flags, mode) })
}

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// openat2(2) with `resolve` flags (`RESOLVE_IN_ROOT`, …), again where something was renamed or mounted somewhere on the machine
/// meanwhile and the kernel could not be sure (EAGAIN).
pub fn open_resolved(directory: Fd, path: &CStr, flags: i32, resolve: u64) -> Answer<Fd> {
    let how = OpenHow { flags: flags as u32 as u64, mode: 0, resolve };
    loop {
        // SAFETY: `path` and `how` outlive the call; the size names the structure's version.
        let opened = descriptor(unsafe {
            syscall!(Sysno::openat2, directory, path.as_ptr(), core::ptr::from_ref(&how), size_of::<OpenHow>())
        });
        if opened != Err(libc::EAGAIN) {
            return opened;
        }
    }
}

/// close(2). The descriptor is gone whatever the answer is, so there is none.
pub fn close(fd: Fd) {
    // SAFETY: closing a number touches no memory; callers own the descriptor.
    let _ = unsafe { syscall!(Sysno::close, fd) };
}

/// close_range(2), with `flags` 0 or `CLOSE_RANGE_CLOEXEC`.
pub fn close_range(first: u32, last: u32, flags: u32) -> Answer<()> {
    // SAFETY: numbers only.
    done(unsafe { syscall!(Sysno::close_range, first, last, flags) })
}

/// write(2); answers the number of bytes written.
pub fn write(fd: Fd, bytes: &[u8]) -> Answer<usize> {
    // SAFETY: `bytes` is readable for its length during the call.
    answer(unsafe { syscall!(Sysno::write, fd, bytes.as_ptr(), bytes.len()) })
}

/// read(2); answers the number of bytes read.
pub fn read(fd: Fd, bytes: &mut [u8]) -> Answer<usize> {
    // SAFETY: `bytes` is writable for its length during the call.
    answer(unsafe { syscall!(Sysno::read, fd, bytes.as_mut_ptr(), bytes.len()) })
}

/// recvfrom(2) of what has arrived at a socket, without waiting; 0 when the other side is gone.
pub fn receive_waiting(socket: Fd, bytes: &mut [u8]) -> Answer<usize> {
    // SAFETY: `bytes` is writable for its length during the call; no address is asked for.
    answer(unsafe {
        syscall!(Sysno::recvfrom, socket, bytes.as_mut_ptr(), bytes.len(), libc::MSG_DONTWAIT, NONE, NONE)
    })
}

/// sendfile(2) from the current offset of `from`; answers the number of bytes moved, 0 at the end of file.
pub fn send_file(to: Fd, from: Fd, count: usize) -> Answer<usize> {
    // SAFETY: a null offset means "use and move the file's own".
    answer(unsafe { syscall!(Sysno::sendfile, to, from, NONE, count) })
}

/// dup3(2).
pub fn duplicate(from: Fd, to: Fd, flags: i32) -> Answer<()> {
    // SAFETY: numbers only; callers own `to`.
    done(unsafe { syscall!(Sysno::dup3, from, to, flags) })
}

/// fcntl(2) `F_SETFD` 0: the descriptor survives exec.
pub fn keep_at_exec(fd: Fd) -> Answer<()> {
    // SAFETY: numbers only.
    done(unsafe { syscall!(Sysno::fcntl, fd, libc::F_SETFD, 0) })
}

/// mkdirat(2).
pub fn make_directory(directory: Fd, path: &CStr, mode: u32) -> Answer<()> {
    // SAFETY: `path` outlives the call.
    done(unsafe { syscall!(Sysno::mkdirat, directory, path.as_ptr(), mode) })
}

/// mknodat(2) of an empty regular file: open(2) and close(2) in one.
pub fn make_file(directory: Fd, path: &CStr, mode: u32) -> Answer<()> {
    // SAFETY: `path` outlives the call.
    done(unsafe { syscall!(Sysno::mknodat, directory, path.as_ptr(), libc::S_IFREG | mode, 0) })
}

/// symlinkat(2).
pub fn symlink(target: &CStr, directory: Fd, path: &CStr) -> Answer<()> {
    // SAFETY: both strings outlive the call.
    done(unsafe { syscall!(Sysno::symlinkat, target.as_ptr(), directory, path.as_ptr()) })
}

/// fchownat(2), not following a link; an empty path means `directory` itself.
pub fn change_owner(directory: Fd, path: &CStr, uid: u32, gid: u32) -> Answer<()> {
    // SAFETY: `path` outlives the call.
    done(unsafe {
        syscall!(Sysno::fchownat, directory, path.as_ptr(), uid, gid, libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH)
    })
}

/// umask(2), which cannot fail.
pub fn umask(mask: u32) {
    // SAFETY: a number only.
    let _ = unsafe { syscall!(Sysno::umask, mask) };
}

/// chdir(2).
pub fn change_directory(path: &CStr) -> Answer<()> {
    // SAFETY: `path` outlives the call.
    done(unsafe { syscall!(Sysno::chdir, path.as_ptr()) })
}

/// fchdir(2).
pub fn enter(directory: Fd) -> Answer<()> {
    // SAFETY: a number only.
    done(unsafe { syscall!(Sysno::fchdir, directory) })
}

/// fstat(2).
pub fn status(fd: Fd) -> Answer<libc::stat> {
    // SAFETY: `stat` is plain numbers, for which all-zero is a value.
    let mut status: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: the structure is writable during the call. `fstat` exists on every 64-bit architecture.
    done(unsafe { syscall!(Sysno::fstat, fd, core::ptr::from_mut(&mut status)) })?;
    Ok(status)
}

/// fstatfs(2), of which only the magic number of the file system is answered.
pub fn file_system_magic(fd: Fd) -> Answer<i64> {
    // SAFETY: `statfs` is plain numbers, for which all-zero is a value.
    let mut status: libc::statfs = unsafe { core::mem::zeroed() };
    // SAFETY: the structure is writable during the call.
    done(unsafe { syscall!(Sysno::fstatfs, fd, core::ptr::from_mut(&mut status)) })?;
    #[allow(clippy::unnecessary_cast)] // the type differs between C libraries
    Ok(status.f_type as i64)
}

/// mount(2).
pub fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u64, data: &CStr) -> Answer<()> {
    // SAFETY: all strings outlive the call; the kernel copies at most a page of `data`.
    done(unsafe { syscall!(Sysno::mount, source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr()) })
}

/// open_tree(2).
pub fn open_tree(directory: Fd, path: &CStr, flags: u32) -> Answer<Fd> {
    // SAFETY: `path` outlives the call.
    descriptor(unsafe { syscall!(Sysno::open_tree, directory, path.as_ptr(), flags) })
}

/// mount_setattr(2) of the mount at `path` below `directory`; an empty path means `directory` itself.
pub fn set_mount_attributes(directory: Fd, path: &CStr, flags: u32, attributes: &libc::mount_attr) -> Answer<()> {
    // SAFETY: the path and the structure outlive the call; the size names the structure's version.
    done(unsafe {
        syscall!(
            Sysno::mount_setattr,
            directory,
            path.as_ptr(),
            flags | libc::AT_EMPTY_PATH as u32,
            core::ptr::from_ref(attributes),
            size_of::<libc::mount_attr>()
        )
    })
}

const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;

/// move_mount(2) of a detached tree to `path` below `target`, no link followed; an empty path means `target`.
pub fn attach_tree(tree: Fd, target: Fd, path: &CStr) -> Answer<()> {
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths outlive the call.
    done(unsafe { syscall!(Sysno::move_mount, tree, c"".as_ptr(), target, path.as_ptr(), flags) })
}

/// umount2(2).
pub fn unmount(path: &CStr, flags: i32) -> Answer<()> {
    // SAFETY: `path` outlives the call.
    done(unsafe { syscall!(Sysno::umount2, path.as_ptr(), flags) })
}

/// pivot_root(2).
pub fn pivot_root(new_root: &CStr, put_old: &CStr) -> Answer<()> {
    // SAFETY: both strings outlive the call.
    done(unsafe { syscall!(Sysno::pivot_root, new_root.as_ptr(), put_old.as_ptr()) })
}

/// unshare(2).
pub fn unshare(flags: i32) -> Answer<()> {
    // SAFETY: a number only; CLONE_VM and CLONE_THREAD are never among the flags.
    done(unsafe { syscall!(Sysno::unshare, flags) })
}

/// setns(2); `fd` is a namespace or a pidfd.
pub fn join_namespace(fd: Fd, kinds: i32) -> Answer<()> {
    // SAFETY: numbers only.
    done(unsafe { syscall!(Sysno::setns, fd, kinds) })
}

/// sethostname(2).
pub fn set_host_name(name: &[u8]) -> Answer<()> {
    // SAFETY: `name` is readable for its length.
    done(unsafe { syscall!(Sysno::sethostname, name.as_ptr(), name.len()) })
}

/// prctl(2) with up to four numbers.
pub fn process_control(option: i32, a: u64, b: u64) -> Answer<usize> {
    // SAFETY: only options whose arguments are numbers are used (PDEATHSIG, DUMPABLE, NO_NEW_PRIVS, CAPBSET_DROP,
    // CAP_AMBIENT).
    answer(unsafe { syscall!(Sysno::prctl, option, a, b, NONE, NONE) })
}

/// prctl(2) `PR_SET_SECUREBITS`: a change of users takes no capability away.
pub fn keep_capabilities() -> Answer<()> {
    const SECBIT_NO_SETUID_FIXUP: u64 = 1 << 2;
    process_control(libc::PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0).map(|_| ())
}

/// sched_setaffinity(2) of the caller itself.
pub fn set_affinity(mask: &[u64]) -> Answer<()> {
    // SAFETY: the words are readable for their size during the call.
    done(unsafe { syscall!(Sysno::sched_setaffinity, 0, size_of_val(mask), mask.as_ptr()) })
}

/// setsid(2).
pub fn new_session() -> Answer<()> {
    // SAFETY: no arguments.
    done(unsafe { syscall!(Sysno::setsid) })
}

/// setgroups(2) to nothing.
pub fn clear_groups() -> Answer<()> {
    // SAFETY: a count of zero reads no memory.
    done(unsafe { syscall!(Sysno::setgroups, 0, NONE) })
}

/// setresgid(2), all three alike.
pub fn set_gid(gid: u32) -> Answer<()> {
    // SAFETY: numbers only.
    done(unsafe { syscall!(Sysno::setresgid, gid, gid, gid) })
}

/// setresuid(2), all three alike.
pub fn set_uid(uid: u32) -> Answer<()> {
    // SAFETY: numbers only.
    done(unsafe { syscall!(Sysno::setresuid, uid, uid, uid) })
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// capset(2): effective and permitted sets to the same, and the inheritable one to nothing: what a user other than 0
/// executes could else take from it what a file offers (CVE-2022-24769).
pub fn set_capabilities(bits: u64) -> Answer<()> {
    let header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    let (low, high) = (bits as u32, (bits >> 32) as u32);
    let data = [low, low, 0, high, high, 0];
    // SAFETY: version 3 reads the header and two triples of words, both of which outlive the call.
    done(unsafe { syscall!(Sysno::capset, core::ptr::from_ref(&header), data.as_ptr()) })
}

/// prlimit(2) of the caller itself.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> Answer<()> {
    let limit = [soft, hard];
    // SAFETY: the pair outlives the call; no old value is asked for.
    done(unsafe { syscall!(Sysno::prlimit64, 0, resource, limit.as_ptr(), NONE) })
}

/// keyctl(2) `KEYCTL_JOIN_SESSION_KEYRING`: a new anonymous session keyring.
pub fn new_session_keyring() -> Answer<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: u32 = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    done(unsafe { syscall!(Sysno::keyctl, KEYCTL_JOIN_SESSION_KEYRING, NONE) })
}

#[repr(C)]
struct KernelSigaction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// Bytes of the kernel's signal set.
const SIGSET_SIZE: usize = 8;

/// rt_sigaction(2): the default action for `signal`.
pub fn default_action(signal: i32) -> Answer<()> {
    let action = KernelSigaction { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: the structure outlives the call; SIG_DFL runs no code of ours.
    done(unsafe { syscall!(Sysno::rt_sigaction, signal, core::ptr::from_ref(&action), NONE, SIGSET_SIZE) })
}

/// rt_sigprocmask(2) `SIG_SETMASK`.
pub fn set_signal_mask(mask: u64) -> Answer<()> {
    // SAFETY: the word outlives the call.
    done(unsafe { syscall!(Sysno::rt_sigprocmask, libc::SIG_SETMASK, core::ptr::from_ref(&mask), NONE, SIGSET_SIZE) })
}

/// signalfd4(2) for `mask`, non-blocking and close-on-exec.
pub fn signal_descriptor(mask: u64) -> Answer<Fd> {
    let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
    // SAFETY: the word outlives the call.
    descriptor(unsafe { syscall!(Sysno::signalfd4, -1i32, core::ptr::from_ref(&mask), SIGSET_SIZE, flags) })
}

/// kill(2).
pub fn kill(pid: i32, signal: i32) -> Answer<()> {
    // SAFETY: numbers only.
    done(unsafe { syscall!(Sysno::kill, pid, signal) })
}

/// wait4(2); answers the pid (0: none yet) and its wait status.
pub fn wait(pid: i32, options: i32) -> Answer<(i32, i32)> {
    let mut status = 0i32;
    // SAFETY: the word is writable during the call; no usage is asked for.
    let pid = answer(unsafe { syscall!(Sysno::wait4, pid, core::ptr::from_mut(&mut status), options, NONE) })?;
    Ok((pid as i32, status))
}

/// ppoll(2); the kernel takes what has passed off `left`. None: without limit of time.
pub fn poll(descriptors: &mut [libc::pollfd], left: Option<&mut libc::timespec>) -> Answer<usize> {
    let left = left.map_or(core::ptr::null_mut(), core::ptr::from_mut);
    // SAFETY: slice and time are writable; null time and mask mean "for ever" and "unchanged".
    answer(unsafe { syscall!(Sysno::ppoll, descriptors.as_mut_ptr(), descriptors.len(), left, NONE, SIGSET_SIZE) })
}

/// futex(2) `FUTEX_WAIT` while `word` is `expected`, so long at most. None: without limit of time.
pub fn wait_on(word: &AtomicU32, expected: u32, most: Option<&libc::timespec>) {
    let most = most.map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: the word lives in memory that both processes share and outlives the call, as the time does. Every answer (woken,
    // changed, interrupted, late) means the same to the caller: look again.
    let _ = unsafe { syscall!(Sysno::futex, word.as_ptr(), libc::FUTEX_WAIT, expected, most) };
}

/// futex(2) `FUTEX_WAKE` of everybody.
pub fn wake(word: &AtomicU32) {
    // SAFETY: as in `wait_on`.
    let _ = unsafe { syscall!(Sysno::futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// landlock_add_rule(2) for everything beneath `directory`.
pub fn allow_beneath(ruleset: Fd, directory: Fd, access: u64) -> Answer<()> {
    const LANDLOCK_RULE_PATH_BENEATH: u32 = 1;
    let rule = PathBeneath { allowed_access: access, parent_fd: directory };
    // SAFETY: the rule outlives the call.
    done(unsafe {
        syscall!(Sysno::landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, core::ptr::from_ref(&rule), 0)
    })
}

/// landlock_restrict_self(2).
pub fn restrict_self(ruleset: Fd) -> Answer<()> {
    // SAFETY: numbers only.
    done(unsafe { syscall!(Sysno::landlock_restrict_self, ruleset, 0) })
}

/// seccomp(2) `SECCOMP_SET_MODE_FILTER`.
pub fn install_filter(program: &[libc::sock_filter]) -> Answer<()> {
    let header = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: the program outlives the call; the kernel copies and checks it.
    done(unsafe { syscall!(Sysno::seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, core::ptr::from_ref(&header)) })
}

/// execve(2); only ever answers an error.
///
/// # Safety
///
/// `arguments` and `environment` are null-terminated arrays of C strings that stay where they are.
pub unsafe fn execute(path: &CStr, arguments: *const *const i8, environment: *const *const i8) -> i32 {
    // SAFETY: promised by the caller.
    match unsafe { syscall!(Sysno::execve, path.as_ptr(), arguments, environment) } {
        Ok(_) => 0,
        Err(errno) => errno.into_raw(),
    }
}

/// execveat(2) of an open file; only ever answers an error.
///
/// # Safety
///
/// As [`execute`].
pub unsafe fn execute_open(fd: Fd, arguments: *const *const i8, environment: *const *const i8) -> i32 {
    // SAFETY: promised by the caller.
    match unsafe { syscall!(Sysno::execveat, fd, c"".as_ptr(), arguments, environment, libc::AT_EMPTY_PATH) } {
        Ok(_) => 0,
        Err(errno) => errno.into_raw(),
    }
}

/// ioctl(2) with a number.
pub fn control(fd: Fd, request: u32, value: usize) -> Answer<()> {
    // SAFETY: only requests that take a number are used (TIOCSCTTY, TIOCSPTLCK through a pointer has its own).
    done(unsafe { syscall!(Sysno::ioctl, fd, request, value) })
}

/// The most descriptors of one message: those of a sandbox that others join.
pub const MOST_DESCRIPTORS: usize = 14;

/// ioctl(2) that answers a descriptor.
fn belonging(fd: Fd, request: u32, flags: i32) -> Answer<Fd> {
    // SAFETY: numbers only.
    descriptor(unsafe { syscall!(Sysno::ioctl, fd, request, flags) })
}

/// sendmsg(2) of `bytes` together with up to [`MOST_DESCRIPTORS`] (`SCM_RIGHTS`).
pub fn send_descriptors(socket: Fd, bytes: &[u8], descriptors: &[Fd]) -> Answer<()> {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        descriptors: [Fd; MOST_DESCRIPTORS],
    }
    // SAFETY: `cmsghdr` and `msghdr` are plain numbers and pointers, for which all-zero is a value.
    let (mut control, mut message): (Control, libc::msghdr) = unsafe { (core::mem::zeroed(), core::mem::zeroed()) };
    let count = descriptors.len().min(control.descriptors.len());
    for (slot, fd) in control.descriptors.iter_mut().zip(descriptors) {
        *slot = *fd;
    }
    let length = size_of::<libc::cmsghdr>() + count * size_of::<Fd>();
    control.header.cmsg_len = length as _;
    control.header.cmsg_level = libc::SOL_SOCKET;
    control.header.cmsg_type = libc::SCM_RIGHTS;
    let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    message.msg_iov = core::ptr::from_mut(&mut vector);
    message.msg_iovlen = 1;
    if count > 0 {
        message.msg_control = core::ptr::from_mut(&mut control).cast();
        message.msg_controllen = length as _;
    }
    // SAFETY: all parts of the message outlive the call. MSG_NOSIGNAL: a dead supervisor must be an answer.
    done(unsafe { syscall!(Sysno::sendmsg, socket, core::ptr::from_ref(&message), libc::MSG_NOSIGNAL) })
}
