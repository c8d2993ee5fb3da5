//! Extended attributes of open files and directories.
#![allow(unsafe_code)]

use super::Answer;
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Sets one (fsetxattr(2)), whether there was one of that name or not.
pub fn set(fd: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Answer<()> {
    // SAFETY: the kernel reads the name to its NUL, and `value` for its length.
    let result = unsafe { libc::fsetxattr(fd.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    if result == 0 { Ok(()) } else { Err(Errno::last_raw()) }
}

/// Reads one into `buffer` (fgetxattr(2)); its length, or ERANGE when it is longer.
pub fn get(fd: BorrowedFd<'_>, name: &CStr, buffer: &mut [u8]) -> Answer<usize> {
    // SAFETY: the kernel reads the name to its NUL; the buffer is writable for its length during the call.
    let length = unsafe { libc::fgetxattr(fd.as_raw_fd(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(length).map_err(|_| Errno::last_raw())
}

/// Reads the names of all into `buffer`, a NUL after each (flistxattr(2)); their length, or ERANGE when they are longer.
pub fn list(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Answer<usize> {
    // SAFETY: the buffer is writable for its length during the call.
    let length = unsafe { libc::flistxattr(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(length).map_err(|_| Errno::last_raw())
}
