//! The loopback interface of a new network namespace (netdevice(7)).

use super::{Fd, descriptor, done};
use crate::sys::Answer;
use syscalls::{Sysno, syscall};

/// socket(2) for the requests of netdevice(7).
pub fn interface_socket() -> Answer<Fd> {
    // SAFETY: numbers only.
    descriptor(unsafe { syscall!(Sysno::socket, libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })
}

#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    flags: i16,
    rest: [u8; 22],
}

/// ioctl(2) `SIOCSIFFLAGS`: brings `lo` up; the kernel adds 127.0.0.1 and ::1 by itself.
pub fn loopback_up(socket: Fd) -> Answer<()> {
    let mut request = InterfaceRequest { name: [0; libc::IFNAMSIZ], flags: 0, rest: [0; 22] };
    let [first, second, ..] = &mut request.name;
    *first = b'l';
    *second = b'o';
    request.flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: the structure has the size and layout of `struct ifreq` and outlives the call.
    done(unsafe { syscall!(Sysno::ioctl, socket, libc::SIOCSIFFLAGS as u32, core::ptr::from_ref(&request)) })
}
