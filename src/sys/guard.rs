//! The rule "nothing allocates between clone and exec", turned into a test.
//!
//! A raw-cloned child holds a photograph of every lock of its parent, the allocator's too: a child that allocates
//! can hang for ever (measured: 37 of 60 in a static musl binary with allocating threads). In debug and test builds
//! every allocation in a child ends it at once with [`ALLOCATED_IN_CHILD`], so that the test suite sees it.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit status of a child that allocated.
pub const ALLOCATED_IN_CHILD: i32 = 99;

static IN_CHILD: AtomicBool = AtomicBool::new(false);

/// Says that this process is between clone and exec. There is no way back.
pub fn enter_child() {
    IN_CHILD.store(true, Ordering::Relaxed);
}

/// The system's allocator behind the guard.
pub struct GuardedAllocator;

fn check() {
    if IN_CHILD.load(Ordering::Relaxed) {
        super::child::exit(ALLOCATED_IN_CHILD);
    }
}

// SAFETY: every call is handed to the system's allocator unchanged; the guard only ends the process.
unsafe impl GlobalAlloc for GuardedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: the caller's promise on `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        check();
        // SAFETY: `pointer` came from `alloc` above, that is from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}
