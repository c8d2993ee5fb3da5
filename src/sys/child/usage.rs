//! What children have used, for a leader whose own parent does not ask.

use super::done;
use crate::sys::Answer;
use syscalls::{Sysno, syscall};

/// getrusage(2) of the children that were waited for: milliseconds of CPU time, and KiB of the largest of them.
pub fn usage_of_children() -> Answer<(i32, i32)> {
    // SAFETY: `rusage` is plain numbers, for which all-zero is a value.
    let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
    // SAFETY: the structure is writable during the call.
    done(unsafe { syscall!(Sysno::getrusage, libc::RUSAGE_CHILDREN, core::ptr::from_mut(&mut usage)) })?;
    let clamped = |number: i64| number.clamp(0, i64::from(i32::MAX)) as i32;
    let micros = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    Ok((clamped(seconds * 1000 + micros / 1000), clamped(usage.ru_maxrss)))
}
