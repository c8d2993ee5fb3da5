//! fspick(2) and fsconfig(2): the options of a file system that is mounted.
#![allow(unsafe_code)]

use super::Answer;
use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use syscalls::{Errno, Sysno, syscall};

const FSPICK_CLOEXEC: u32 = 1;
const FSPICK_EMPTY_PATH: u32 = 8;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_RECONFIGURE: u32 = 7;

/// Gives the file system whose mount has its root at `root` other values for options. The caller has CAP_SYS_ADMIN in the user namespaces
/// of the file system and of its own mounts.
pub fn reconfigure(root: BorrowedFd<'_>, options: &[(&CStr, &CStr)]) -> Answer<()> {
    let flags = FSPICK_CLOEXEC | FSPICK_EMPTY_PATH;
    // SAFETY: the path is empty, and constant.
    let picked = unsafe { syscall!(Sysno::fspick, root.as_raw_fd(), c"".as_ptr(), flags) };
    let number = picked.map_err(Errno::into_raw)? as i32;
    // SAFETY: the kernel has just given us this number.
    let context = unsafe { OwnedFd::from_raw_fd(number) };
    let configure = |command: u32, name: Option<&CStr>, value: Option<&CStr>| {
        let [name, value] = [name, value].map(|text| text.map_or(core::ptr::null(), CStr::as_ptr));
        // SAFETY: both texts outlive the call, or are null where the command takes none.
        unsafe { syscall!(Sysno::fsconfig, context.as_raw_fd(), command, name, value, 0) }.map_err(Errno::into_raw)
    };
    for (name, value) in options {
        configure(FSCONFIG_SET_STRING, Some(name), Some(value))?;
    }
    configure(FSCONFIG_CMD_RECONFIGURE, None, None).map(drop)
}
