//! Descriptors of the supervisor.
#![allow(unsafe_code)]

use super::Answer;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, SealFlag, fcntl, open};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Makes sure that descriptors 0, 1 and 2 are open, so that nothing we open ever lands there. A caller may have
/// closed them (`<&- >&-`); `/dev/null` stands in.
pub fn reserve_standard() {
    for wanted in 0..=2 {
        // SAFETY: asking for flags of a number touches no memory.
        let closed = unsafe { libc::fcntl(wanted, libc::F_GETFD) } < 0;
        if closed && let Ok(null) = open("/dev/null", OFlag::O_RDWR, Mode::empty()) {
            // open(2) gives the lowest free number, and those below are open: it is `wanted`.
            std::mem::forget(null);
        }
    }
}

/// Raises the number of files that this process may have open to what it may be: as long as more descriptors of its user's
/// are on their way through sockets, whoever has put them there, it can send none (unix(7), `ETOOMANYREFS`).
pub fn raise_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // Where it is refused all goes on as before.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Takes over a descriptor that the caller passed by number, to be written to.
pub fn inherited(fd: RawFd) -> std::io::Result<OwnedFd> {
    if fd <= 2 {
        return Err(std::io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: only asked for its flags; a closed number answers EBADF.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags < 0 {
        return Err(std::io::Error::last_os_error());
    }
    if flags & libc::O_ACCMODE == libc::O_RDONLY || flags & libc::O_PATH != 0 {
        return Err(std::io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: open, above 2 by the caller's check, and from now on ours alone.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(owned)
}

/// The null device (character device 1:3).
pub fn is_null_device(fd: BorrowedFd<'_>) -> bool {
    nix::sys::stat::fstat(fd)
        .is_ok_and(|found| found.st_mode & libc::S_IFMT == libc::S_IFCHR && found.st_rdev == libc::makedev(1, 3))
}

/// Whether reads and writes of `fd` do not wait.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> Answer<()> {
    let flags = fcntl(fd, FcntlArg::F_GETFL).map_err(|errno| errno as i32)?;
    let flags = OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK;
    fcntl(fd, FcntlArg::F_SETFL(flags)).map_err(|errno| errno as i32)?;
    Ok(())
}

/// The same file, opened anew so that it does not make us wait.
pub fn open_anew(fd: BorrowedFd<'_>, access: OFlag) -> Option<OwnedFd> {
    let flags = access | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    open(format!("/proc/self/fd/{}", fd.as_raw_fd()).as_str(), flags, Mode::empty()).ok()
}

/// Moves a descriptor of ours above 2, where wiring the standard streams cannot overwrite it.
pub fn above_standard(fd: OwnedFd) -> Answer<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    let number = fcntl(fd.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(3)).map_err(|errno| errno as i32)?;
    // SAFETY: the kernel has just given us this number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Takes standard output away and leaves `/dev/null` in its place, for a program that speaks to whoever started it once.
pub fn take_stdout() -> Option<std::fs::File> {
    let taken = std::io::stdout().as_fd().try_clone_to_owned().ok()?;
    let null = std::fs::File::options().write(true).open("/dev/null").ok()?;
    nix::unistd::dup2_stdout(&null).ok()?;
    Some(taken.into())
}

/// read(2) of up to `most` bytes into `bytes`, in the place of what was there. Memory that nothing is read into is not touched.
pub fn read_anew(from: BorrowedFd<'_>, bytes: &mut Vec<u8>, most: usize) -> nix::Result<usize> {
    bytes.clear();
    bytes.reserve(most);
    // SAFETY: so many bytes were reserved, and they are ours to be written during the call.
    let count = nix::errno::Errno::result(unsafe { libc::read(from.as_raw_fd(), bytes.as_mut_ptr().cast(), most) })?;
    // SAFETY: the kernel has written so many.
    unsafe { bytes.set_len(count.unsigned_abs()) };
    Ok(count.unsigned_abs())
}

/// Takes standard input away and leaves `/dev/null` in its place, where it is a socket to whoever started us.
pub fn take_stdin() -> Option<OwnedFd> {
    let taken = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
    let null = std::fs::File::open("/dev/null").ok()?;
    nix::unistd::dup2_stdin(&null).ok()?;
    Some(taken)
}

/// A number that the kernel has just given us, and that nobody else knows.
pub fn own(number: RawFd) -> OwnedFd {
    // SAFETY: callers pass what accept4(2) answered.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// A sealed-off file in memory, for code that comes from no regular file.
pub fn memory_file(name: &std::ffi::CStr) -> Answer<OwnedFd> {
    nix::sys::memfd::memfd_create(name, nix::sys::memfd::MFdFlags::MFD_CLOEXEC).map_err(|errno| errno as i32)
}

/// Nobody changes a file with these any more, nor takes them away (memfd_create(2)).
const SEALS: SealFlag =
    SealFlag::F_SEAL_SEAL.union(SealFlag::F_SEAL_SHRINK).union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_WRITE);

/// A copy in memory of the program that we are, which nobody can change any more (CVE-2019-5736). All of it is the kernel's to
/// copy.
pub fn own_program() -> std::io::Result<OwnedFd> {
    sealed(c"belljar", |copy| std::io::copy(&mut std::fs::File::open("/proc/self/exe")?, copy).map(drop))
}

/// A file in memory of these bytes, which nobody can change any more.
pub fn sealed_file(name: &std::ffi::CStr, bytes: &[u8]) -> std::io::Result<OwnedFd> {
    sealed(name, |file| std::io::Write::write_all(file, bytes))
}

fn sealed(
    name: &std::ffi::CStr,
    fill: impl FnOnce(&mut std::fs::File) -> std::io::Result<()>,
) -> std::io::Result<OwnedFd> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let mut file = std::fs::File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?);
    fill(&mut file)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SEALS))?;
    Ok(file.into())
}

/// Whether it is a file in memory that nobody can change any more.
pub fn is_sealed(fd: &OwnedFd) -> bool {
    let seals = fcntl(fd, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_truncate);
    seals.is_ok_and(|seals| seals.contains(SEALS))
}

/// Two ends of a connection that keeps messages apart and is closed at exec (unix(7), SOCK_SEQPACKET).
pub fn pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Lets the empty file `to` share the blocks of `from` (`FICLONE`); `false` where the file system cannot.
pub fn share_blocks(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
    // SAFETY: the request takes a descriptor's number.
    unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONE as _, from.as_raw_fd()) == 0 }
}

/// Bytes that wait in a pipe (`FIONREAD`).
pub fn waiting_bytes(fd: BorrowedFd<'_>) -> u64 {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD as _, &raw mut count) };
    if result == 0 { count.max(0) as u64 } else { 0 }
}

/// Receives bytes and up to [`MOST_DESCRIPTORS`](super::child::MOST_DESCRIPTORS) descriptors from `socket`; 0 bytes at the end of the stream. EMFILE when the caller has
/// no numbers left for all of them: the kernel then delivers some, and those stay open until the caller ends.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Answer<(usize, Vec<OwnedFd>)> {
    let (count, descriptors, flags) = message(socket, bytes, MsgFlags::empty()).map_err(|errno| errno as i32)?;
    if flags.contains(MsgFlags::MSG_CTRUNC) { Err(libc::EMFILE) } else { Ok((count, descriptors)) }
}

/// recvmsg(2) with descriptors, and the flags of what came. With MSG_CTRUNC none of the descriptors is handed over.
pub(super) fn message(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    flags: MsgFlags,
) -> nix::Result<(usize, Vec<OwnedFd>, MsgFlags)> {
    let mut space = nix::cmsg_space!([RawFd; super::child::MOST_DESCRIPTORS]);
    let mut vector = [std::io::IoSliceMut::new(bytes)];
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut vector, Some(&mut space), flags)?;
    let mut descriptors = Vec::new();
    // With MSG_CTRUNC nix answers ENOBUFS.
    for control in message.cmsgs().into_iter().flatten() {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just installed these numbers for us.
            descriptors.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    Ok((message.bytes, descriptors, message.flags))
}
