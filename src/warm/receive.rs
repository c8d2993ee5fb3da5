//! A run's request for a parked Node, as a shared object that Node loads: Node cannot take descriptors that come with a
//! message. Loading it waits on descriptor 3, puts what comes to 0, 1 and 2, and the request to 3. Freestanding, as
//! `fork.rs` is, and nothing but this.
#![no_std]
#![allow(unsafe_code)]

use core::arch::asm;

#[repr(C)]
struct Message {
    name: u64,
    name_length: u64,
    parts: *const [u64; 2],
    count: u64,
    control: *mut Control,
    control_length: u64,
    flags: u64,
}

/// The request, and the three standard descriptors.
#[repr(C)]
struct Control {
    length: u64,
    kind: [i32; 2],
    descriptors: [i32; 4],
}

#[cfg(target_arch = "x86_64")]
mod number {
    pub const RECVMSG: u64 = 47;
    pub const EXIT_GROUP: u64 = 231;
    pub const DUP3: u64 = 292;
    pub const CLOSE: u64 = 3;
}

const EINTR: i64 = -4;
const CHANNEL: u64 = 3;

/// Makes one system call: the kernel's answer, negative for an errno.
#[cfg(target_arch = "x86_64")]
fn call(number: u64, a: [u64; 3]) -> i64 {
    let result: i64;
    // SAFETY: the calls of this file touch its own memory only.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

fn exit() -> ! {
    loop {
        call(number::EXIT_GROUP, [125, 0, 0]);
    }
}

/// What Node calls when it has loaded this. It ends where nobody sends a request any more, or something else.
#[unsafe(no_mangle)]
pub extern "C" fn napi_register_module_v1(_: *mut u8, exports: *mut u8) -> *mut u8 {
    let mut word = [0_u8; 64];
    let part = [(&raw mut word) as u64, word.len() as u64];
    let mut control = Control { length: 0, kind: [0; 2], descriptors: [-1; 4] };
    let control_length = size_of::<Control>() as u64;
    let mut message = Message {
        name: 0,
        name_length: 0,
        parts: &raw const part,
        count: 1,
        control: &raw mut control,
        control_length,
        flags: 0,
    };
    let length = loop {
        let result = call(number::RECVMSG, [CHANNEL, (&raw mut message) as u64, 0]);
        if result != EINTR {
            break result;
        }
    };
    // SAFETY: the kernel has written it.
    let came = unsafe { core::ptr::read_volatile(&raw const control) };
    if length <= 0 || came.length != control_length || came.kind != [1, 1] {
        exit();
    }
    let [request, standard @ ..] = came.descriptors;
    for (descriptor, place) in standard.into_iter().zip(0..) {
        call(number::DUP3, [descriptor as u64, place, 0]);
    }
    call(number::DUP3, [request as u64, CHANNEL, 0]);
    for descriptor in came.descriptors {
        call(number::CLOSE, [descriptor as u64, 0, 0]);
    }
    exports
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit()
}
