//! The fork of a warm Python: a shared object that a template's interpreter loads, freestanding, so that one file serves
//! glibc and musl alike. `build.rs` compiles it alone and `script.rs` embeds it: it belongs to no module of belljar.
//!
//! [`serve::belljar_serve`] makes the interpreter's process once more for each message, inside of a sandbox that somebody
//! else has prepared. It decides nothing: the system calls that lead there come as three lists, and it makes them in their
//! order.
//!
//! ```text
//! Z, the interpreter   hooks before the fork; vfork
//!  └ H                 list `outside` (the cgroup, the user and the pid namespace); vfork
//!     └ H2             list `inside` (the other namespaces, confinement, the filter); the C library's fork
//!        └ C           list `child`; waits until H2 is gone; hooks after the fork; returns to the interpreter
//! ```
//!
//! H and H2 share Z's memory, each on a stack of its own, while Z waits: no page table is copied, what goes wrong is left
//! where Z reads it, and no code but this one runs in them before C is confined. C begins on H2's stack; it returns into
//! Z's frame, whose registers [`belljar_split`] saved. No hook of Python runs on a foreign stack: Python 3.14 would take
//! that for an overflow.
#![no_std]
#![allow(unsafe_code)]
// Compiled once more for Node, which needs less of it.
#![cfg_attr(node, allow(dead_code))]

#[cfg(not(node))]
mod arenas;
mod calls;
mod serve;

#[cfg(not(node))]
use calls::{RSEQ_SIGNATURE, thread_pointer};
use calls::{call, exit, number, reap, set_mask};
use core::arch::global_asm;

// The interpreter and its C library bring these; nothing else is linked.
#[cfg(not(node))]
unsafe extern "C" {
    fn fork() -> i32;
    fn __errno_location() -> *mut i32;
    fn PyOS_BeforeFork();
    fn PyOS_AfterFork_Parent();
    fn PyOS_AfterFork_Child();
}

unsafe extern "C" {
    fn belljar_split(
        flags: u64,
        stack: *mut u8,
        function: unsafe extern "C" fn(*mut Job) -> !,
        job: *mut Job,
        saved: *mut u64,
    ) -> i64;
    fn belljar_resume(saved: u64) -> !;
}

// `belljar_split` is clone(2) on another stack; it leaves in `saved` where its caller waits. `belljar_resume` returns
// from it with 0 once more: in a process that has a copy of the caller's memory, never in the caller's own.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".hidden belljar_split",
    ".globl belljar_split",
    ".type belljar_split, @function",
    "belljar_split:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov [r8], rsp",
    "mov r12, rdx",
    "mov r13, rcx",
    "xor edx, edx",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "jnz 2f",
    "xor ebp, ebp",
    "mov rdi, r13",
    "call r12",
    "ud2",
    ".hidden belljar_resume",
    ".globl belljar_resume",
    ".type belljar_resume, @function",
    "belljar_resume:",
    "mov rsp, rdi",
    "xor eax, eax",
    "2:",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
);

/// What the blob begins with: the magic and the lengths of the three lists. `script.rs` writes it.
#[repr(C)]
struct Header {
    magic: [u8; 8],
    lengths: [u64; 3],
}

#[repr(C)]
struct Call {
    number: u64,
    arguments: [u64; 6],
    kinds: [u8; 6],
    /// 0: a refusal ends the fork; 1: the call may be refused.
    on_error: u8,
    padding: u8,
}

const MAGIC: [u8; 8] = *b"BJWARM01";
const LITERAL: u8 = 0;
const POINTER: u8 = 1;
const DESCRIPTOR: u8 = 2;
const RESULT: u8 = 3;

/// A call that is none: puts its second argument to where the first points, as many bytes wide as the third says.
const PUT: u64 = u64::MAX;

/// Descriptors of libraries that a copy can keep.
const KEPT: usize = 8;

/// Results that a list can keep; a longer one is refused.
const LONGEST_LIST: usize = 512;

/// The lists, and the places where the fork itself can fail, by their numbers.
const PLACES: [&str; 9] =
    ["outside", "inside", "child", "script", "clone outside", "clone inside", "descriptors", "fork", "killed"];
const OUTSIDE: usize = 0;
const INSIDE: usize = 1;
const CHILD: usize = 2;
const BLOB: usize = 3;
const CLONE_OUTSIDE: usize = 4;
const CLONE_INSIDE: usize = 5;
const DESCRIPTORS: usize = 6;
const FORK: usize = 7;
const KILLED: usize = 8;

/// One fork: what the driver says of all of them, what came with the message, and what became of it.
#[repr(C)]
pub struct Job {
    /// The template's socket.
    channel: i32,
    /// Whether a copy waits until its parent is pid 1 of its sandbox.
    wait: i32,
    /// Where the C library keeps the thread's rseq area, from the thread pointer; used where `rseq_length` is not 0.
    rseq_offset: i64,
    rseq_length: u64,
    /// What failed: whether something did, the place, the call in it, the errno; 0 in `errno` says a process was killed.
    failed: i32,
    place: i32,
    call: i32,
    errno: i32,
    /// Whether the copy is made ahead of its code.
    parked: i32,
    /// The copy's socket: first as it came, then its number in the copy.
    socket: i32,
    /// Descriptors that libraries have of themselves, by rising number, and how many they are. A copy keeps them.
    kept: [i32; KEPT],
    kept_count: i32,
    padding: i32,
    /// The copy's number in its own sandbox.
    pid: i64,
    blob: *mut u8,
    length: u64,
    descriptors: *const i32,
    count: u64,
    saved: u64,
    /// Of H, whom nobody returns to.
    unused: u64,
}

/// A stack, aligned as calls want it.
#[repr(C, align(16))]
struct Stack<const LENGTH: usize>([u8; LENGTH]);

/// H makes system calls only; H2 runs the handlers of pthread_atfork(3) too. Untouched pages cost nothing.
static mut OUTER_STACK: Stack<{ 64 << 10 }> = Stack([0; 64 << 10]);
#[cfg(node)]
static mut LAST_STACK: Stack<{ 64 << 10 }> = Stack([0; 64 << 10]);
static mut INNER_STACK: Stack<{ 1 << 20 }> = Stack([0; 1 << 20]);

const CLONE_VM: u64 = 0x100;
const CLONE_VFORK: u64 = 0x4000;
const EINVAL: i32 = 22;
#[cfg(node)]
const ENOENT: i32 = 2;
#[cfg(node)]
const SIGCHLD: u64 = 17;
#[cfg(node)]
const PR_SET_DUMPABLE: u64 = 4;

impl Job {
    fn fail(&mut self, place: usize, call: usize, errno: i32) {
        if self.failed == 0 {
            (self.failed, self.place, self.call, self.errno) = (1, place as i32, call as i32, errno);
        }
    }

    /// The number of calls in each list, where all of them lie within the blob.
    fn lengths(&self) -> Option<[usize; 3]> {
        if (self.length as usize) < size_of::<Header>() {
            return None;
        }
        // SAFETY: the blob has room for the header, and is aligned for it.
        let header = unsafe { &*self.blob.cast::<Header>() };
        let mut room = (self.length as usize - size_of::<Header>()) / size_of::<Call>();
        let mut lengths = [0; 3];
        for (length, said) in lengths.iter_mut().zip(header.lengths) {
            *length = said as usize;
            if *length > LONGEST_LIST || *length > room {
                return None;
            }
            room -= *length;
        }
        (header.magic == MAGIC).then_some(lengths)
    }

    /// Makes the calls of a list. What is refused is left in the report.
    fn walk(&mut self, list: usize) -> bool {
        let Some(lengths) = self.lengths() else {
            self.fail(BLOB, 0, EINVAL);
            return false;
        };
        let first: usize = lengths.iter().take(list).sum();
        // SAFETY: `lengths` has seen that the lists lie within the blob.
        let calls = unsafe { self.blob.add(size_of::<Header>()).cast::<Call>().add(first) };
        let mut results = [0_i64; LONGEST_LIST];
        let wanted = lengths.get(list).copied().unwrap_or(0);
        for (index, kept) in (0..wanted).zip(0..) {
            // SAFETY: as above.
            let one = unsafe { &*calls.add(index) };
            let mut arguments = [0_u64; 6];
            for ((argument, value), kind) in arguments.iter_mut().zip(one.arguments).zip(one.kinds) {
                let Some(resolved) = self.resolve(value, kind, &results) else {
                    self.fail(BLOB, index, EINVAL);
                    return false;
                };
                *argument = resolved;
            }
            let result = if one.number == PUT { self.put(arguments) } else { call(one.number, arguments) };
            if (-4095..0).contains(&result) && one.on_error == 0 {
                self.fail(list, index, -(result as i32));
                return false;
            }
            if let Some(slot) = results.get_mut::<usize>(kept) {
                *slot = result;
            }
        }
        true
    }

    /// Closes what is not the copy's, whatever was open: the table of H2 is its own. The kernel's answer to what failed.
    fn close_others(&mut self) -> i64 {
        let count = (self.kept_count.max(0) as usize).min(KEPT);
        let kept = self.kept;
        let kept = kept.get(..count).unwrap_or_default();
        let mut place = 3;
        while kept.contains(&place) {
            place += 1;
        }
        let mut result = 0;
        if self.socket != place {
            result = call(number::DUP3, [self.socket as u64, place as u64, 0, 0, 0, 0]).min(0);
        }
        self.socket = place;
        let mut from = 3;
        for one in 3..=kept.last().copied().unwrap_or(3).max(place) {
            if one == place || kept.contains(&one) {
                if from < one {
                    result = result.min(call(number::CLOSE_RANGE, [from as u64, one as u64 - 1, 0, 0, 0, 0]));
                }
                from = one + 1;
            }
        }
        result.min(call(number::CLOSE_RANGE, [from as u64, u64::from(u32::MAX), 0, 0, 0, 0]))
    }

    fn put(&mut self, [place, value, width, ..]: [u64; 6]) -> i64 {
        let within = place >= self.blob as u64 && place.saturating_add(width) <= self.blob as u64 + self.length;
        match width {
            // SAFETY: the place lies within the blob, which nobody else reads meanwhile.
            4 if within => unsafe { (place as *mut u32).write_unaligned(value as u32) },
            // SAFETY: as above.
            8 if within => unsafe { (place as *mut u64).write_unaligned(value) },
            _ => return -i64::from(EINVAL),
        }
        0
    }

    fn resolve(&self, value: u64, kind: u8, results: &[i64]) -> Option<u64> {
        match kind {
            LITERAL => Some(value),
            POINTER => (value < self.length).then(|| self.blob as u64 + value),
            // SAFETY: the message's array has `count` numbers.
            DESCRIPTOR => (value < self.count).then(|| unsafe { *self.descriptors.add(value as usize) as u64 }),
            RESULT => results.get(value as usize).map(|result| *result as u64),
            _ => None,
        }
    }
}

/// Makes the interpreter's process once more: 0 in the interpreter, 1 in the child, -1 where the report says why not.
///
/// # Safety
///
/// `job` and what it points to are the caller's alone, the process has one thread, and that holds the interpreter.
unsafe fn copy(job: *mut Job) -> i32 {
    // SAFETY: the caller's promise. H and H2 use the same job while this process waits, C a copy of it.
    let one = unsafe { &mut *job };
    if one.lengths().is_none() {
        one.fail(BLOB, 0, EINVAL);
        return -1;
    }
    let saved = &raw mut one.saved;
    // SAFETY: the driver holds the interpreter.
    #[cfg(not(node))]
    unsafe {
        PyOS_BeforeFork();
    }
    let before = set_mask(u64::MAX);
    // SAFETY: nobody else uses the stack while this process waits, and a child's copy of it is the child's.
    let pid = unsafe { belljar_split(CLONE_VM | CLONE_VFORK, top(&raw mut OUTER_STACK), outer, job, saved) };
    #[cfg(not(node))]
    if pid == 0 {
        return born(one);
    }
    if pid < 0 {
        one.fail(CLONE_OUTSIDE, 0, -(pid as i32));
    } else {
        ended(one, reap(pid));
    }
    set_mask(before);
    // SAFETY: as before the fork.
    #[cfg(not(node))]
    unsafe {
        PyOS_AfterFork_Parent();
    }
    if one.failed == 0 { 0 } else { -1 }
}

/// Where a stack begins.
fn top<const LENGTH: usize>(stack: *mut Stack<LENGTH>) -> *mut u8 {
    stack.cast::<u8>().wrapping_add(LENGTH)
}

/// Notes an end that nobody has reported: a filter or the kernel killed a helper.
fn ended(job: &mut Job, status: i32) {
    if status != 0 {
        job.fail(KILLED, (status & 0x7f) as usize, 0);
    }
}

/// H, outside of the sandbox but for its user namespace.
unsafe extern "C" fn outer(job: *mut Job) -> ! {
    // SAFETY: Z waits, and has lent its job.
    let one = unsafe { &mut *job };
    if one.walk(OUTSIDE) {
        let unused = &raw mut one.unused;
        // SAFETY: as in `copy`.
        let pid = unsafe { belljar_split(CLONE_VM | CLONE_VFORK, top(&raw mut INNER_STACK), inner, job, unused) };
        if pid < 0 {
            one.fail(CLONE_INSIDE, 0, -(pid as i32));
        } else {
            ended(one, reap(pid));
        }
    }
    exit(0)
}

/// H2, inside. The sandbox's pid 1 becomes the parent of what it leaves behind.
unsafe extern "C" fn inner(job: *mut Job) -> ! {
    // SAFETY: as in `outer`.
    let one = unsafe { &mut *job };
    if !one.walk(INSIDE) {
        exit(0);
    }
    let closed = one.close_others();
    if closed < 0 {
        one.fail(DESCRIPTORS, 0, -(closed as i32));
        exit(0);
    }
    leave(one)
}

/// Node has threads that a copy would lack: what is left inside executes another one, which the list of the child does.
/// Until then it shares Z's memory too, and H2 waits.
#[cfg(node)]
fn leave(one: &mut Job) -> ! {
    let (job, unused) = (&raw mut *one, &raw mut one.unused);
    // SAFETY: as in `copy`.
    let pid =
        unsafe { belljar_split(CLONE_VM | CLONE_VFORK | SIGCHLD, top(&raw mut LAST_STACK), execute, job, unused) };
    if pid < 0 {
        one.fail(FORK, 0, -(pid as i32));
    }
    one.pid = pid;
    exit(0)
}

/// C, up to its execution.
#[cfg(node)]
unsafe extern "C" fn execute(job: *mut Job) -> ! {
    // SAFETY: as in `outer`.
    let one = unsafe { &mut *job };
    set_mask(0);
    if one.walk(CHILD) {
        one.fail(CHILD, 0, ENOENT);
    }
    exit(125)
}

/// What Node calls when it has loaded this: serves the socket at descriptor 0, and never returns. Nobody looks into its memory
/// from a sandbox; what is executed there has its own, and a script must not make this one dumpable again.
#[cfg(node)]
#[unsafe(no_mangle)]
pub extern "C" fn napi_register_module_v1(_: *mut u8, exports: *mut u8) -> *mut u8 {
    call(number::PRCTL, [PR_SET_DUMPABLE, 0, 0, 0, 0, 0]);
    // SAFETY: nothing but numbers and pointers, which may be null until a message comes.
    let mut job: Job = unsafe { core::mem::zeroed() };
    // SAFETY: the job is this function's own. Node's other threads wait for its first one.
    unsafe { serve::belljar_serve(&raw mut job) };
    exports
}

#[cfg(not(node))]
fn leave(one: &mut Job) -> ! {
    // SAFETY: the C library's own, with the handlers of libraries; the process has one thread.
    match unsafe { fork() } {
        // SAFETY: this is a copy of Z's memory, in which the frame that waits was left as it is.
        0 => unsafe { belljar_resume(one.saved) },
        // SAFETY: the library's errno, of the one thread.
        pid if pid < 0 => one.fail(FORK, 0, unsafe { *__errno_location() }),
        pid => one.pid = i64::from(pid),
    }
    exit(0)
}

/// C, in Z's frame and on Z's stack, but in the sandbox. Until here no code of the template's preload ran that could
/// reach outside.
#[cfg(not(node))]
fn born(job: &mut Job) -> i32 {
    // vfork(2) takes rseq away, and sched_getcpu(3) would read an old number for ever.
    if job.rseq_length != 0 {
        let area = thread_pointer().wrapping_add_signed(job.rseq_offset);
        call(number::RSEQ, [area, job.rseq_length, 0, RSEQ_SIGNATURE, 0, 0]);
    }
    let done = job.walk(CHILD);
    // As long as H2 lives, so does Z's wait: code that stops H2 would stop the template.
    while job.wait != 0 && call(number::GETPPID, [0; 6]) != 1 {
        call(number::SCHED_YIELD, [0; 6]);
    }
    // SAFETY: this thread held the interpreter when it was copied.
    unsafe { PyOS_AfterFork_Child() };
    set_mask(0);
    if done { 1 } else { -2 }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(134)
}
