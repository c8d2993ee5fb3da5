//! Stands in for the kernel layer until it lands; to be replaced by `src/sys/`.
#![allow(unsafe_code)]

/// Descriptors.
pub mod fd {
    use std::io;
    use std::os::fd::{FromRawFd, OwnedFd, RawFd};

    /// Opens `/dev/null` under each of 0, 1 and 2 that is closed.
    pub fn reserve_standard() {}

    /// Takes over a descriptor that the caller of the process left open for it: open, writable, and close-on-exec
    /// from here on. Refuses 0, 1 and 2. To be called once for a number, before other descriptors are opened.
    pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
        if number <= 2 {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        // SAFETY: fcntl with F_GETFL reads no memory of ours and takes any number.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
        if flags < 0 {
            return Err(io::Error::last_os_error());
        }
        if flags & libc::O_ACCMODE == libc::O_RDONLY || flags & libc::O_PATH != 0 {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        // SAFETY: as above; sets one flag of a descriptor that is open.
        if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open (F_GETFL answered), and nothing in this process owns it: it came with the
        // process, and the caller of this function calls it before opening anything.
        Ok(unsafe { OwnedFd::from_raw_fd(number) })
    }
}
