//! Memory for Python's arenas and for nothing else, as part of the shared object of `fork.rs`: one arena behind the other
//! in huge pages. Scattered over many mappings, as CPython leaves them, each costs page tables at every fork.
#![allow(unsafe_code)]

use super::{call, number};
use core::ffi::c_void;
use core::ptr::{addr_of_mut, null_mut};

/// The arenas of this process.
#[repr(C)]
struct Region {
    next: usize,
    end: usize,
    /// Up to here it can be written to.
    ready: usize,
    base: usize,
    /// Of an arena.
    length: usize,
    /// Whether new arenas come from elsewhere: in a child they are ordinary.
    sealed: bool,
    free: [usize; 256],
    count: usize,
}

static mut REGION: Region =
    Region { next: 0, end: 0, ready: 0, base: 0, length: 0, sealed: false, free: [0; 256], count: 0 };

const HUGE: usize = 2 << 20;
/// In 3.9; since 3.10 it is four times that.
const SHORTEST_ARENA: usize = 256 << 10;
const RESERVED: usize = 4 << 30;
const READ_WRITE: u64 = 3;
/// `MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE`.
const PRIVATE: u64 = 0x4022;
const DONTNEED: u64 = 4;

fn map(length: usize, protection: u64) -> usize {
    let address = call(number::MMAP, [0, length as u64, protection, PRIVATE, u64::MAX, 0]);
    if address < 0 { 0 } else { address as usize }
}

impl Region {
    fn take(&mut self, length: usize) -> usize {
        // Since 3.11 the interpreter asks for its stack of frames here too, in shorter pieces.
        if self.length == 0 && length >= SHORTEST_ARENA {
            self.length = length;
        }
        if self.sealed || length != self.length {
            return 0;
        }
        if self.count > 0 {
            self.count -= 1;
            return self.free.get(self.count).copied().unwrap_or(0);
        }
        if self.end == 0 {
            // Nothing of it counts as memory before it can be written to.
            let start = map(RESERVED, 0);
            if start == 0 {
                return 0;
            }
            self.base = start.next_multiple_of(HUGE);
            (self.next, self.ready, self.end) = (self.base, self.base, start + RESERVED);
        }
        let until = self.next + length;
        if until > self.end {
            return 0;
        }
        if until > self.ready {
            let more = (until - self.ready).next_multiple_of(HUGE).min(self.end - self.ready);
            if call(number::MPROTECT, [self.ready as u64, more as u64, READ_WRITE, 0, 0, 0]) < 0 {
                return 0;
            }
            self.ready += more;
        }
        self.next = until;
        until - length
    }
}

/// `alloc` of `PyObjectArenaAllocator`.
#[unsafe(no_mangle)]
pub extern "C" fn belljar_take_arena(_: *mut c_void, length: usize) -> *mut c_void {
    // SAFETY: CPython asks with the interpreter held: one at a time.
    let region = unsafe { &mut *addr_of_mut!(REGION) };
    let taken = region.take(length);
    let address = if taken == 0 { map(length, READ_WRITE) } else { taken };
    if address == 0 { null_mut() } else { address as *mut c_void }
}

/// `free` of `PyObjectArenaAllocator`.
#[unsafe(no_mangle)]
pub extern "C" fn belljar_leave_arena(_: *mut c_void, arena: *mut c_void, length: usize) {
    // SAFETY: as above.
    let region = unsafe { &mut *addr_of_mut!(REGION) };
    let address = arena as usize;
    if address < region.base || address >= region.next {
        call(number::MUNMAP, [address as u64, length as u64, 0, 0, 0, 0]);
        return;
    }
    call(number::MADVISE, [address as u64, length as u64, DONTNEED, 0, 0, 0]);
    if let Some(slot) = region.free.get_mut(region.count) {
        *slot = address;
        region.count += 1;
    }
}

/// From now on arenas are ordinary memory: what is allocated behind the preload is a child's own.
#[unsafe(no_mangle)]
pub extern "C" fn belljar_seal_arenas() {
    // SAFETY: the driver calls it with the interpreter held.
    unsafe { (*addr_of_mut!(REGION)).sealed = true };
}

/// madvise(2), which not every libc exports with the newest advice; the errno, or 0.
#[unsafe(no_mangle)]
pub extern "C" fn belljar_advise(start: u64, length: u64, advice: u64) -> i32 {
    -(call(number::MADVISE, [start, length, advice, 0, 0, 0]) as i32)
}
