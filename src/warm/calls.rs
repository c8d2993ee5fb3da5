//! System calls as the shared object of `fork.rs` makes them: by itself, since between vfork(2) and the copy no code of the C
//! library may run.
#![allow(unsafe_code)]

use core::arch::asm;

const WAIT_ALL: u64 = 0x4000_0000;
const SIG_SETMASK: u64 = 2;

/// The system calls that it makes of itself.
#[cfg(target_arch = "x86_64")]
pub mod number {
    pub const MMAP: u64 = 9;
    pub const MPROTECT: u64 = 10;
    pub const MUNMAP: u64 = 11;
    pub const RT_SIGPROCMASK: u64 = 14;
    pub const CLOSE: u64 = 3;
    pub const PREAD64: u64 = 17;
    pub const SCHED_YIELD: u64 = 24;
    pub const MADVISE: u64 = 28;
    pub const SENDTO: u64 = 44;
    pub const RECVMSG: u64 = 47;
    pub const WAIT4: u64 = 61;
    #[cfg(node)]
    pub const PRCTL: u64 = 157;
    pub const GETPPID: u64 = 110;
    pub const EXIT_GROUP: u64 = 231;
    pub const DUP3: u64 = 292;
    pub const RSEQ: u64 = 334;
    pub const CLOSE_RANGE: u64 = 436;
}

/// What rseq(2) knows the area of a library by.
#[cfg(target_arch = "x86_64")]
pub const RSEQ_SIGNATURE: u64 = 0x5305_3053;

/// Makes one system call: the kernel's answer, negative for an errno.
#[cfg(target_arch = "x86_64")]
pub fn call(number: u64, a: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: whoever wrote the script, or the caller in this file, answers for what the call does to this process.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// The thread pointer, from which the C library counts its rseq area.
#[cfg(target_arch = "x86_64")]
pub fn thread_pointer() -> u64 {
    let pointer: u64;
    // SAFETY: the ABI keeps the pointer itself at its first word.
    unsafe { asm!("mov {}, fs:0", out(reg) pointer, options(nostack, readonly, preserves_flags)) };
    pointer
}

pub fn exit(status: u64) -> ! {
    loop {
        call(number::EXIT_GROUP, [status, 0, 0, 0, 0, 0]);
    }
}

/// Sets the blocked signals; the mask before.
pub fn set_mask(mask: u64) -> u64 {
    let mut before = 0_u64;
    let (new, old) = ((&raw const mask) as u64, (&raw mut before) as u64);
    call(number::RT_SIGPROCMASK, [SIG_SETMASK, new, old, 8, 0, 0]);
    before
}

/// Takes the dead child; its status as of wait4(2).
pub fn reap(pid: i64) -> i32 {
    let mut status = 0_i32;
    call(number::WAIT4, [pid as u64, (&raw mut status) as u64, WAIT_ALL, 0, 0, 0]);
    status
}
