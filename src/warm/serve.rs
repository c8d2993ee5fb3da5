//! How a template is spoken to, as part of the shared object of `fork.rs`: a message with a script and descriptors comes, a
//! copy is made, an answer goes. No object of Python's is touched for it: a template that writes to its memory between two
//! forks breaks up the huge pages that it shares with its copies, and copies page tables again at the next.
#![allow(unsafe_code)]

use super::{Job, PLACES, call, exit, number};
use core::ptr::addr_of_mut;

/// As many as a message can carry.
const MOST: usize = 253;
/// A longer script is refused.
const LONGEST: usize = 256 << 10;
const CMSG_CLOEXEC: u64 = 0x4000_0000;
const TRUNCATED: i32 = 0x28;
const EINTR: i64 = -4;
const E2BIG: i32 = 7;
const EBADMSG: i32 = 74;

#[repr(C)]
struct Message {
    name: u64,
    name_length: u64,
    parts: *const [u64; 2],
    count: u64,
    control: *mut Control,
    control_length: u64,
    flags: i32,
    padding: i32,
}

#[repr(C)]
struct Control {
    length: u64,
    /// `SOL_SOCKET` and `SCM_RIGHTS`, both 1.
    kind: [i32; 2],
    descriptors: [i32; MOST],
    padding: i32,
}

#[repr(C, align(8))]
struct Blob([u8; LONGEST]);

static mut BLOB: Blob = Blob([0; LONGEST]);
static mut CONTROL: Control = Control { length: 0, kind: [0; 2], descriptors: [0; MOST], padding: 0 };

/// Makes a copy for each message that comes, until the other side ends. Returns in copies only: 1, or -2 where the script
/// failed in the copy itself.
///
/// # Safety
///
/// `job` is the driver's alone, the process has one thread, and that holds the interpreter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn belljar_serve(job: *mut Job) -> i32 {
    loop {
        // SAFETY: the caller's promise.
        let one = unsafe { &mut *job };
        let taken = receive(one);
        let result = if one.failed == 0 {
            // SAFETY: as above; the script is in memory that nobody else knows.
            unsafe { super::copy(job) }
        } else {
            -1
        };
        if result == 1 || result == -2 {
            return result;
        }
        for descriptor in descriptors(taken) {
            call(number::CLOSE, [*descriptor as u64, 0, 0, 0, 0, 0]);
        }
        answer(one);
    }
}

/// The first of what came along.
fn descriptors(count: usize) -> &'static [i32] {
    // SAFETY: written by `receive` only, before this is read.
    let all = unsafe { &(*addr_of_mut!(CONTROL)).descriptors };
    all.get(..count).unwrap_or_default()
}

/// Waits for a message, and prepares the job; how many descriptors came. What is wrong with it is in the job.
fn receive(job: &mut Job) -> usize {
    let mut word = [0_u8; 64];
    let part = [(&raw mut word) as u64, word.len() as u64];
    let control = addr_of_mut!(CONTROL);
    (job.failed, job.place, job.call, job.errno, job.pid) = (0, 0, 0, 0, 0);
    let mut message = Message {
        name: 0,
        name_length: 0,
        parts: &raw const part,
        count: 1,
        control,
        control_length: size_of::<Control>() as u64,
        flags: 0,
        padding: 0,
    };
    let length = loop {
        let result = call(number::RECVMSG, [job.channel as u64, (&raw mut message) as u64, CMSG_CLOEXEC, 0, 0, 0]);
        if result != EINTR {
            break result;
        }
    };
    if length <= 0 {
        exit(u64::from(length < 0));
    }
    job.parked = i32::from(word.starts_with(b"park"));
    // SAFETY: the kernel has written it, as long as it says.
    let came = unsafe { &*control };
    let header = 16;
    let whole = message.control_length >= header && came.kind == [1, 1] && message.flags & TRUNCATED == 0;
    let count = if message.control_length >= header { (came.length.saturating_sub(header) / 4) as usize } else { 0 };
    let taken = descriptors(count.min(MOST));
    // The script, what its calls name, and the copy's socket.
    match taken {
        [script, rest @ .., socket] if whole => {
            job.socket = *socket;
            job.descriptors = rest.as_ptr();
            job.count = rest.len() as u64;
            read(job, *script);
        }
        _ => job.fail(super::BLOB, 0, EBADMSG),
    }
    taken.len()
}

/// Reads the script from its memfd.
fn read(job: &mut Job, script: i32) {
    let blob = addr_of_mut!(BLOB).cast::<u8>();
    let length = call(number::PREAD64, [script as u64, blob as u64, LONGEST as u64, 0, 0, 0]);
    (job.blob, job.length) = (blob, length.max(0) as u64);
    if length < 0 || length as usize == LONGEST {
        job.fail(super::BLOB, 0, if length < 0 { -length as i32 } else { E2BIG });
    }
}

/// Says what became of it, as JSON.
fn answer(job: &Job) {
    let mut text = Text { bytes: [0; 160], length: 0 };
    if job.failed == 0 {
        text.push(b"{\"forked\":true,\"pid\":");
        text.number(job.pid);
        text.push(b"}");
    } else {
        text.push(b"{\"failed\":{\"list\":\"");
        text.push(PLACES.get(job.place as usize).copied().unwrap_or_default().as_bytes());
        text.push(b"\",\"call\":");
        text.number(i64::from(job.call));
        text.push(b",\"errno\":");
        text.number(i64::from(job.errno));
        text.push(b"}}");
    }
    let (start, length) = ((&raw const text.bytes) as u64, text.length as u64);
    call(number::SENDTO, [job.channel as u64, start, length, 0, 0, 0]);
}

struct Text {
    bytes: [u8; 160],
    length: usize,
}

impl Text {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(slot) = self.bytes.get_mut(self.length) {
                *slot = *byte;
                self.length += 1;
            }
        }
    }

    fn number(&mut self, value: i64) {
        let mut rest = value.unsigned_abs();
        let mut digits = [0_u8; 20];
        let mut count = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            (rest, count) = (rest / 10, count + 1);
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            self.push(b"-");
        }
        self.push(digits.get(20 - count..).unwrap_or_default());
    }
}
