//! The allocator: quick at the start, and none at all between clone and exec.
//!
//! **Quick.** A supervisor lives for milliseconds and allocates some hundred small things before it clones; musl's
//! allocator spends more on them than the kernel on the namespaces (docs/decisions/009). The first
//! 256 KiB are therefore cut from a static arena and never given back; what comes later, or is large, is the
//! system's.
//!
//! A process that lives long and has copies of itself do the work ([`worker`](super::worker)) leaves the arena to them: each begins with
//! what was left when the first was made. A copy of such a copy does not: what the one before it has cut is still in use.
//!
//! **None in the child.** A raw-cloned child holds a photograph of every lock of its parent, the allocator's too: a
//! child that allocates can hang for ever (measured: 37 of 60 in a static musl binary with allocating threads). In
//! debug and test builds every allocation in a child ends it at once with [`ALLOCATED_IN_CHILD`], so that the test
//! suite sees it.
//!
//! **Words when there is none left.** An error needs memory to be handed up, so this is the one place below the adapters
//! that speaks; the standard library would abort instead, which looks like a crash. The sandbox goes with its
//! supervisor.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Exit status of a child that allocated.
pub const ALLOCATED_IN_CHILD: i32 = 99;

/// Bytes of the arena: what a start needs, twice.
const ARENA: usize = 256 << 10;
/// Larger requests are the system's, which can give them back.
const LARGE: usize = 16 << 10;

/// That of this program.
#[global_allocator]
pub(super) static ALLOCATOR: Allocator = Allocator::new();

static IN_CHILD: AtomicBool = AtomicBool::new(false);

/// Says that this process is between clone and exec. There is no way back.
pub fn enter_child() {
    IN_CHILD.store(true, Ordering::Relaxed);
}

/// What is said when the system gives no more memory.
const OUT_OF_MEMORY: &[u8] = b"belljar: out of memory\nhint: end what uses the memory of this host or container, or \
raise the limit that holds us (`ulimit -v`, `ulimit -d`)\n";
/// Exit code of a failure of ours.
const FAILED: i32 = 125;

/// The block, or the end.
fn or_end(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        // Whoever closed standard error did not want to hear it.
        let _ = super::child::write(2, OUT_OF_MEMORY);
        super::child::exit(FAILED);
    }
    block
}

fn check() {
    if cfg!(debug_assertions) && IN_CHILD.load(Ordering::Relaxed) {
        super::child::exit(ALLOCATED_IN_CHILD);
    }
}

/// What malloc(3) promises on x86-64, and what C code rests on: who puts the headers of a message into a buffer of bytes, and
/// the unwinder with the exception that it is given.
const LEAST_ALIGNMENT: usize = 16;

/// The arena before the system's allocator.
pub struct Allocator {
    arena: UnsafeCell<[u8; ARENA]>,
    used: AtomicUsize,
    /// As much was used when the rest was left to copies of this process; all of it where it never was, or was taken over already.
    left: AtomicUsize,
}

// SAFETY: `used` hands each byte of the arena to one caller only, whatever the thread.
unsafe impl Sync for Allocator {}

impl Allocator {
    /// With nothing used.
    pub const fn new() -> Allocator {
        Allocator { arena: UnsafeCell::new([0; ARENA]), used: AtomicUsize::new(0), left: AtomicUsize::new(ARENA) }
    }

    /// Cuts nothing from the arena any more: what is left of it is for copies of this process (fork(2)).
    pub fn leave_to_copies(&self) {
        let used = self.used.swap(ARENA, Ordering::Relaxed);
        self.left.fetch_min(used, Ordering::Relaxed);
    }

    /// In such a copy, which has no other threads: goes on where the process that it was copied from left off. Nothing is left to
    /// copies of the copy, whose blocks they have.
    pub fn take_over(&self) {
        self.used.store(self.left.swap(ARENA, Ordering::Relaxed), Ordering::Relaxed);
    }

    fn base(&self) -> *mut u8 {
        self.arena.get().cast()
    }

    /// Whether `pointer` was cut from the arena.
    fn owns(&self, pointer: *mut u8) -> bool {
        (self.base() as usize..self.base() as usize + ARENA).contains(&(pointer as usize))
    }

    /// The next bytes of the arena, if it has them.
    fn cut(&self, layout: Layout) -> Option<*mut u8> {
        if layout.size() > LARGE {
            return None;
        }
        let base = self.base() as usize;
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let start = (base + used).next_multiple_of(layout.align().max(LEAST_ALIGNMENT)) - base;
            let end = start.checked_add(layout.size()).filter(|end| *end <= ARENA)?;
            match self.used.compare_exchange_weak(used, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(self.base().wrapping_add(start)),
                Err(now) => used = now,
            }
        }
    }

    /// Moves the end of the last block from `old` to `new` bytes after `pointer`; `false` if it is not the last.
    fn resize_last(&self, pointer: *mut u8, old: usize, new: usize) -> bool {
        let start = pointer as usize - self.base() as usize;
        start + new <= ARENA
            && self.used.compare_exchange(start + old, start + new, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Default for Allocator {
    fn default() -> Self {
        Allocator::new()
    }
}

// SAFETY: blocks of the arena are aligned, disjoint and live as long as the program; all others are the system's,
// which is called with the caller's own layout. `owns` tells them apart.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        match self.cut(layout) {
            Some(pointer) => pointer,
            // SAFETY: the caller's promise on `layout` is passed on.
            None => or_end(unsafe { System.alloc(layout) }),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check();
        match self.cut(layout) {
            // SAFETY: so many bytes were just cut. A copy of this process may begin where another's blocks were.
            Some(pointer) => unsafe {
                pointer.write_bytes(0, layout.size());
                pointer
            },
            // The system's is zero where it is new, and not touched for that. SAFETY: the caller's promise is passed on.
            None => or_end(unsafe { System.alloc_zeroed(layout) }),
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        check();
        if self.owns(pointer) {
            self.resize_last(pointer, layout.size(), 0);
        } else {
            // SAFETY: not from the arena, so from the system's allocator, with this layout.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check();
        if !self.owns(pointer) {
            // SAFETY: not from the arena, so from the system's allocator, with this layout; `size` is the caller's.
            return or_end(unsafe { System.realloc(pointer, layout, size) });
        }
        if size <= LARGE && self.resize_last(pointer, layout.size(), size) {
            return pointer;
        }
        // SAFETY: the caller promises that `size`, rounded up to the alignment, does not overflow.
        let fresh = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        // SAFETY: both blocks are at least this long, and a new block overlaps no old one.
        unsafe { ptr::copy_nonoverlapping(pointer, fresh, layout.size().min(size)) };
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    #[test]
    fn blocks_are_aligned_and_disjoint() {
        let allocator = Box::new(Allocator::new());
        let first = allocator.cut(layout(3, 1)).expect("room") as usize;
        let second = allocator.cut(layout(64, 64)).expect("room") as usize;
        assert_eq!(second % 64, 0);
        assert!(second >= first + 3);
        let third = allocator.cut(layout(1, 1)).expect("room") as usize;
        assert_eq!([first, third].map(|address| address % 16), [0, 0], "as malloc(3) aligns");
    }

    #[test]
    fn what_is_large_or_does_not_fit_is_left_to_the_system() {
        let allocator = Box::new(Allocator::new());
        assert!(allocator.cut(layout(LARGE + 1, 1)).is_none());
        for _ in 0..ARENA / LARGE {
            assert!(allocator.cut(layout(LARGE, 1)).is_some());
        }
        assert!(allocator.cut(layout(1, 1)).is_none());
    }

    #[test]
    fn what_is_left_to_copies_is_cut_by_them_and_neither_before_nor_by_copies_of_copies() {
        let allocator = Box::new(Allocator::new());
        let own = allocator.cut(layout(64, 16)).expect("room") as usize;
        for _ in 0..2 {
            allocator.leave_to_copies();
            assert!(allocator.cut(layout(64, 16)).is_none());
        }
        allocator.take_over();
        assert_eq!(allocator.cut(layout(64, 16)).map(|pointer| pointer as usize), Some(own + 64));
        allocator.take_over();
        assert!(allocator.cut(layout(64, 16)).is_none());
        let never_left = Box::new(Allocator::new());
        never_left.take_over();
        assert!(never_left.cut(layout(64, 16)).is_none());
    }

    #[test]
    fn the_last_block_grows_where_it_is_and_an_earlier_one_moves() {
        let allocator = Box::new(Allocator::new());
        // SAFETY: layouts are those of the blocks; nothing is used after it was given back.
        unsafe {
            let first = allocator.alloc(layout(8, 8));
            first.write_bytes(7, 8);
            assert_eq!(allocator.realloc(first, layout(8, 8), 64), first);
            let second = allocator.alloc(layout(8, 8));
            let moved = allocator.realloc(first, layout(64, 8), 128);
            assert_ne!(moved, first);
            assert!(moved > second);
            assert_eq!(std::slice::from_raw_parts(moved, 8), [7; 8]);
        }
    }

    /// How a child ends that does `deed` after it has entered the guard.
    fn end_of_child(deed: fn()) -> WaitStatus {
        // SAFETY: the child makes system calls, and the one allocation that the guard is there to stop.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Child => {
                enter_child();
                deed();
                super::super::child::exit(0)
            }
            ForkResult::Parent { child } => waitpid(child, None).expect("wait for the child"),
        }
    }

    fn exited(status: WaitStatus) -> i32 {
        let WaitStatus::Exited(_, code) = status else { panic!("{status:?}") };
        code
    }

    #[test]
    fn a_child_that_allocates_ends_at_once() {
        assert_eq!(exited(end_of_child(|| drop(std::hint::black_box(vec![1u8; 32])))), ALLOCATED_IN_CHILD);
    }

    #[test]
    fn who_gets_no_memory_ends_as_a_failure_of_ours() {
        let deed = || drop(std::hint::black_box(Vec::<u8>::with_capacity(isize::MAX as usize)));
        // SAFETY: as in `end_of_child`; it has not entered the guard, so that it may ask.
        let status = match unsafe { fork() }.expect("fork") {
            ForkResult::Child => {
                super::super::child::close(2);
                deed();
                super::super::child::exit(0)
            }
            ForkResult::Parent { child } => waitpid(child, None).expect("wait for the child"),
        };
        assert_eq!(exited(status), FAILED);
    }

    #[test]
    fn a_child_that_does_not_allocate_goes_on() {
        assert_eq!(exited(end_of_child(|| ())), 0);
    }
}
