//! The interfaces of a new network namespace (netdevice(7), packet(7), rtnetlink(7); tun: Documentation/networking/tuntap.rst).

use super::{Fd, belonging, control, descriptor, done};
use crate::sys::Answer;
use syscalls::{Sysno, syscall};

/// socket(2), closed at exec.
pub fn socket(family: i32, kind: i32, protocol: i32) -> Answer<Fd> {
    // SAFETY: numbers only.
    descriptor(unsafe { syscall!(Sysno::socket, family, kind | libc::SOCK_CLOEXEC, protocol) })
}

/// ioctl(2) `SIOCGSKNS` (Linux 4.10): the network namespace of a socket, which needs no procfs.
pub fn network_of(socket: Fd) -> Answer<Fd> {
    belonging(socket, libc::SIOCGSKNS as u32, 0)
}

#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    flags: i16,
    rest: [u8; 22],
}

impl InterfaceRequest {
    fn new(name: &[u8], flags: i32) -> InterfaceRequest {
        let mut request = InterfaceRequest { name: [0; libc::IFNAMSIZ], flags: flags as i16, rest: [0; 22] };
        // The last byte stays 0.
        for (slot, byte) in request.name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name) {
            *slot = *byte;
        }
        request
    }

    /// ioctl(2) about an interface.
    fn ask(&self, fd: Fd, request: u32) -> Answer<()> {
        // SAFETY: the structure has the size and layout of `struct ifreq` and outlives the call.
        done(unsafe { syscall!(Sysno::ioctl, fd, request, core::ptr::from_ref(self)) })
    }
}

/// ioctl(2) `SIOCSIFFLAGS`: brings `lo` up; the kernel adds 127.0.0.1 and ::1 by itself.
pub fn loopback_up(socket: Fd) -> Answer<()> {
    InterfaceRequest::new(b"lo", libc::IFF_UP | libc::IFF_RUNNING).ask(socket, libc::SIOCSIFFLAGS as u32)
}

/// `TUNSETIFINDEX` of linux/if_tun.h.
const TUNSETIFINDEX: u32 = 0x4004_54da;
/// `TUNSETIFF`.
const TUNSETIFF: u32 = 0x4004_54ca;
/// `TUNSETOFFLOAD`.
const TUNSETOFFLOAD: u32 = 0x4004_54d0;
/// `TUN_F_CSUM`, `TUN_F_TSO4` and `TUN_F_TSO6`: whoever reads takes packets without checksums, and segments of any length.
const OFFLOADS: usize = 1 | 2 | 4;

/// ioctl(2) `TUNSETIFINDEX`: the number that the interface is to have.
pub fn tun_index(tun: Fd, index: u32) -> Answer<()> {
    // SAFETY: the word outlives the call.
    done(unsafe { syscall!(Sysno::ioctl, tun, TUNSETIFINDEX, core::ptr::from_ref(&index)) })
}

/// ioctl(2) `TUNSETIFF`: makes the interface. Packets come with a header of virtio, and with nothing else.
pub fn tun_attach(tun: Fd, name: &[u8]) -> Answer<()> {
    InterfaceRequest::new(name, libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR).ask(tun, TUNSETIFF)
}

/// ioctl(2) `TUNSETOFFLOAD`.
pub fn tun_offload(tun: Fd) -> Answer<()> {
    control(tun, TUNSETOFFLOAD, OFFLOADS)
}

/// setsockopt(2) with a number.
pub fn set_option(socket: Fd, level: i32, option: i32, value: i32) -> Answer<()> {
    // SAFETY: the word outlives the call, and its length is said.
    done(unsafe { syscall!(Sysno::setsockopt, socket, level, option, core::ptr::from_ref(&value), size_of::<i32>()) })
}

/// bind(2) of a packet socket to an interface.
pub fn bind_to_interface(socket: Fd, index: u32) -> Answer<()> {
    let protocol = (libc::ETH_P_ALL as u16).to_be();
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol,
        sll_ifindex: index as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the address outlives the call, and its length is said.
    done(unsafe { syscall!(Sysno::bind, socket, core::ptr::from_ref(&address), size_of::<libc::sockaddr_ll>()) })
}
