//! What the kernel tells about itself and about processes.
#![allow(unsafe_code)]

use super::Answer;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Landlock's ABI version; 0 when the kernel has none or it is switched off.
pub fn landlock_abi() -> u32 {
    landlock_version().unwrap_or(0)
}

/// Landlock's ABI version: ENOSYS from a kernel without it, EOPNOTSUPP where it is switched off at boot
/// (landlock_create_ruleset(2)).
pub fn landlock_version() -> Answer<u32> {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the attribute must be null and its size zero.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<()>(),
            0usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    u32::try_from(version).map_err(|_| Errno::last_raw())
}

/// System calls of the set-up that older kernels lack and filters hide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recent {
    /// clone3(2), Linux 5.3; clone(2) stands in for it.
    Clone3,
    /// openat2(2), Linux 5.6.
    Openat2,
    /// close_range(2), Linux 5.9.
    CloseRange,
    /// mount_setattr(2), Linux 5.12.
    MountSetattr,
}

/// Whether `call` answers anything but ENOSYS.
pub fn is_known(call: Recent) -> bool {
    let number = match call {
        Recent::Clone3 => libc::SYS_clone3,
        Recent::Openat2 => libc::SYS_openat2,
        Recent::CloseRange => libc::SYS_close_range,
        Recent::MountSetattr => libc::SYS_mount_setattr,
    };
    let none = -1 as libc::c_long;
    // SAFETY: each of these refuses -1 as size or as flags (E2BIG, EINVAL) before it looks at any other argument.
    let result = unsafe { libc::syscall(number, none, none, none, none, none) };
    result >= 0 || Errno::last_raw() != libc::ENOSYS
}

/// Whether the kernel knows capability number `index` (prctl(2) `PR_CAPBSET_READ`).
pub fn capability_exists(index: u8) -> bool {
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(index), 0, 0, 0) >= 0 }
}

/// Whether no program that this process starts can gain privileges (prctl(2) `PR_GET_NO_NEW_PRIVS`).
pub fn no_new_privileges() -> bool {
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) > 0 }
}

/// Bytes of memory of the machine (sysinfo(2)).
pub fn total_memory() -> u64 {
    // SAFETY: `sysinfo` is plain numbers, for which all-zero is a value, and is writable during the call.
    unsafe {
        let mut info: libc::sysinfo = std::mem::zeroed();
        if libc::sysinfo(&raw mut info) == 0 { info.totalram as u64 * u64::from(info.mem_unit) } else { u64::MAX }
    }
}

/// The soft and the hard limit of each resource.
pub type Limits = [(u64, u64); HARD_LIMITS];

/// The limits of this process, as getrlimit(2) tells them; without one where a resource is not known.
pub fn limits() -> Limits {
    let mut limits = [(u64::MAX, u64::MAX); HARD_LIMITS];
    for (resource, both) in (0..).zip(&mut limits) {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is writable during the call.
        if unsafe { libc::getrlimit(resource, &raw mut limit) } == 0 {
            *both = (limit.rlim_cur, limit.rlim_max);
        }
    }
    limits
}

/// The hard ones among them.
pub fn hard_limits() -> [u64; HARD_LIMITS] {
    limits().map(|(_, hard)| hard)
}

/// Resources that the kernel limits: `RLIM_NLIMITS`.
pub const HARD_LIMITS: usize = 16;

/// CPUs that the caller may run on, by number and in ascending order (sched_getaffinity(2)); number 0 where the kernel
/// does not say.
pub fn usable_cpus() -> Vec<u32> {
    let mut mask = [0u64; 128];
    // SAFETY: the array is writable for its length during the call.
    let bytes = unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, size_of_val(&mask), mask.as_mut_ptr()) };
    if bytes <= 0 {
        return vec![0];
    }
    (0..)
        .zip(mask)
        .flat_map(|(word, bits)| (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit))
        .collect()
}

/// Makes `/proc/self` ours even where the executable may be run but not read (prctl(2) `PR_SET_DUMPABLE`).
pub fn be_dumpable() {
    // SAFETY: numbers only. It cannot fail for 1.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
}

/// Where the kernel reads the command line of this process: first byte and length (proc_pid_stat(5), fields 48 and
/// 49).
pub fn command_line() -> Answer<(*mut u8, usize)> {
    let stat = std::fs::read("/proc/self/stat").map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))?;
    // The name, field 2, may hold anything: the fields are counted after its end.
    let end = stat.iter().rposition(|byte| *byte == b')').ok_or(libc::EIO)?;
    let text = std::str::from_utf8(stat.get(end + 2..).unwrap_or_default()).map_err(|_| libc::EIO)?;
    let mut fields = text.split_ascii_whitespace().skip(48 - 3);
    let mut address = || fields.next()?.parse::<usize>().ok();
    let (start, end) = address().zip(address()).ok_or(libc::EIO)?;
    Ok((start as *mut u8, end.saturating_sub(start)))
}

/// Lets go of the memory that holds our own program's instructions: they are read again when they are needed, and as long as
/// others run the same program they are in the host's memory all the same (madvise(2), `MADV_DONTNEED`).
pub fn release_instructions() {
    release(false);
}

/// The same, and of what our own program has that never changes.
pub fn release_program() {
    release(true);
}

fn release(constants_too: bool) {
    // Without a look nothing is released, which costs memory and nothing else.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    // Constants lie before the instructions; what lies behind them was written to before it was made read-only.
    let constants = maps.lines().take_while(|line| constants_too && is_of_program(line, "r--p"));
    for (start, end) in constants.filter_map(bounds).chain(instructions(&maps)) {
        advise(start, end - start, libc::MADV_DONTNEED);
    }
}

/// Whether a line tells of a file that is mapped with these rights. Nobody writes there, so that nothing is lost (proc_pid_maps(5)).
fn is_of_program(line: &str, rights: &str) -> bool {
    line.split_ascii_whitespace().nth(1) == Some(rights) && line.contains('/')
}

fn bounds(line: &str) -> Option<(usize, usize)> {
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    usize::from_str_radix(start, 16).ok().zip(usize::from_str_radix(end, 16).ok())
}

fn instructions(maps: &str) -> impl Iterator<Item = (usize, usize)> {
    maps.lines().filter(|line| is_of_program(line, "r-xp")).filter_map(bounds)
}

fn advise(start: usize, length: usize, advice: libc::c_int) {
    // SAFETY: a mapping of a file that is not written to: what is dropped comes back as it was, and what is fetched was there.
    unsafe { libc::madvise(start as *mut libc::c_void, length, advice) };
}

/// Where the instructions are that a start enters: they stand first (docs/decisions/033-order-of-functions.md).
#[derive(Clone, Copy, Debug)]
pub struct Entered(usize, usize);

impl Entered {
    /// How many bytes they are.
    const LENGTH: usize = 1400 << 10;

    /// Finds them; nothing, where that cannot be seen.
    pub fn find() -> Option<Entered> {
        let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
        let (start, end) = instructions(&maps).next()?;
        Some(Entered(start, (end - start).min(Entered::LENGTH)))
    }

    /// Has them in this process's page tables, so that it takes no page faults for them when it is needed. A copy of a process begins with
    /// none of its parent's (madvise(2), `MADV_POPULATE_READ`, since Linux 5.14; before, nothing happens).
    pub fn touch(self) {
        advise(self.0, self.1, libc::MADV_POPULATE_READ);
    }
}

/// A directory's numeric entries: the processes of a procfs, the descriptors of a process.
pub fn for_each_number(proc: BorrowedFd<'_>, buffer: &mut [u8], mut visit: impl FnMut(u32)) -> Answer<()> {
    // SAFETY: numbers only.
    if unsafe { libc::lseek(proc.as_raw_fd(), 0, libc::SEEK_SET) } < 0 {
        return Err(Errno::last_raw());
    }
    loop {
        // SAFETY: the buffer is writable for its length during the call.
        let read = unsafe { libc::syscall(libc::SYS_getdents64, proc.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
        if read < 0 {
            return Err(Errno::last_raw());
        }
        if read == 0 {
            return Ok(());
        }
        let mut records = &buffer[..read as usize];
        // struct linux_dirent64: ino 8, off 8, reclen 2, type 1, name (getdents64(2)).
        while let Some(length) = records.get(16..18).map(|bytes| usize::from(u16::from_ne_bytes([bytes[0], bytes[1]])))
        {
            let (record, rest) = records.split_at(length.min(records.len()));
            if let Some(id) = record.get(19..).and_then(number) {
                visit(id);
            }
            records = rest;
        }
    }
}

/// The decimal number that a NUL-terminated name is.
fn number(name: &[u8]) -> Option<u32> {
    let digits = name.split(|byte| *byte == 0).next().filter(|digits| !digits.is_empty())?;
    digits.iter().try_fold(0u32, |sum, digit| {
        digit.is_ascii_digit().then(|| sum.checked_mul(10)?.checked_add(u32::from(digit - b'0')))?
    })
}

/// Opens `PID/NAME` below a procfs for reading.
pub fn open_process_entry(proc: BorrowedFd<'_>, pid: u32, name: &str) -> Answer<OwnedFd> {
    let mut path = [0u8; 64];
    write_path(&mut path, pid, name);
    // SAFETY: the path is NUL-terminated and outlives the call.
    let fd = unsafe { libc::openat(proc.as_raw_fd(), path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(Errno::last_raw());
    }
    // SAFETY: the kernel has just given us this number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads `PID/NAME` below a procfs into `buffer`; answers what was read.
pub fn read_process_file<'a>(proc: BorrowedFd<'_>, pid: u32, name: &str, buffer: &'a mut [u8]) -> Answer<&'a [u8]> {
    let fd = open_process_entry(proc, pid, name)?;
    let length = nix::unistd::read(&fd, buffer).map_err(|errno| errno as i32)?;
    Ok(&buffer[..length])
}

/// Sends `signal` to process `pid` of a procfs of any pid namespace below ours: its directory serves as pidfd.
pub fn signal_process(proc: BorrowedFd<'_>, pid: u32, signal: i32) -> Answer<()> {
    let fd = open_process_entry(proc, pid, "")?;
    send_signal(fd.as_raw_fd(), signal)
}

/// pidfd_send_signal(2).
pub fn send_signal(pidfd: RawFd, signal: i32) -> Answer<()> {
    // SAFETY: a null siginfo means "as kill(2) would".
    let result =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, std::ptr::null::<libc::siginfo_t>(), 0) };
    if result == 0 { Ok(()) } else { Err(Errno::last_raw()) }
}

/// The pid of a process in the innermost namespace that it is in; `None` where it has ended.
pub fn innermost_pid(pidfd: BorrowedFd<'_>) -> Option<u32> {
    let told = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    // From ours to its own (proc_pid_fdinfo(5)); -1 or nothing once it has ended.
    let pids = told.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    pids.split_ascii_whitespace().last()?.parse().ok().filter(|pid| *pid > 0)
}

/// Asks a child that has ended how, without waiting, so that nothing of it is left; whether there is nothing left of it.
pub fn reap(child: BorrowedFd<'_>) -> bool {
    // SAFETY: `siginfo_t` is plain numbers, for which all-zero is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let (id, flags) = (child.as_raw_fd() as libc::id_t, libc::WEXITED | libc::WNOHANG | libc::__WALL);
    // SAFETY: the structure is writable during the call.
    let waited = unsafe { libc::waitid(libc::P_PIDFD, id, &raw mut info, flags) };
    // Nobody's child, or another's, is nothing to us. SAFETY: the kernel has filled it in, or left it 0.
    waited != 0 || unsafe { info.si_pid() } != 0
}

/// Asks all children that have ended inside of a namespace of processes how, but for its first: of whom nobody may have been told.
pub fn reap_inside() {
    let own = format!("PPid:\t{}\n", std::process::id());
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        // Gone by now, or another's.
        let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        let mut pids = pids.split_ascii_whitespace();
        let inside = pids.next().is_some() && pids.next_back().is_some_and(|pid| pid != "1");
        if inside && status.contains(&own) && status.contains("State:\tZ") {
            let _ =
                nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), Some(nix::sys::wait::WaitPidFlag::WNOHANG));
        }
    }
}

/// The pid of a process as `/proc` numbers it; `None` where it has ended.
pub fn seen_pid(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let told = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let pid = told.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    pid.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Whether a process has ended, and leaves at most its status to be read.
pub fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut list = [nix::poll::PollFd::new(pidfd, nix::poll::PollFlags::POLLIN)];
    nix::poll::poll(&mut list, nix::poll::PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// `PID/NAME\0` into a buffer that is large enough for both.
fn write_path(path: &mut [u8; 64], pid: u32, name: &str) {
    use std::io::Write as _;
    let mut rest = &mut path[..63];
    // The longest number and name are far below 63 bytes; a cut name would be an ENOENT.
    let _ = write!(rest, "{pid}/{name}");
}

/// What somebody used who used nothing.
pub fn no_usage() -> libc::rusage {
    // SAFETY: `rusage` is plain numbers, for which all-zero is a value.
    unsafe { std::mem::zeroed() }
}

/// wait4(2) for one child: its wait status and what it and its waited-for children used.
pub fn wait_with_usage(pid: i32) -> Answer<(i32, libc::rusage)> {
    let mut status = 0;
    let mut usage = no_usage();
    loop {
        // SAFETY: both are writable during the call.
        let result = unsafe { libc::wait4(pid, &raw mut status, libc::__WALL, &raw mut usage) };
        if result == pid {
            return Ok((status, usage));
        }
        let errno = Errno::last_raw();
        if errno != libc::EINTR {
            return Err(errno);
        }
    }
}

/// An extended attribute of at most 256 bytes (getxattr(2)); `None` where there is none.
pub fn extended_attribute(path: &std::path::Path, name: &str) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
    let name = std::ffi::CString::new(name).ok()?;
    let mut value = vec![0u8; 256];
    // SAFETY: two C strings, and a buffer of the given size.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    value.truncate(usize::try_from(length).ok()?);
    Some(value)
}
