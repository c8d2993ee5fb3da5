//! The sandbox's device: reads its packets, and writes packets to it. Both kinds put virtio's header in front of each; the veth pair puts
//! Ethernet between the two.

use super::build::{self, Transport, Way};
use super::headers::{self, Packet};
use crate::network::wire;
use crate::sys::packet as sys;
use std::os::fd::{AsFd, OwnedFd};

const VIRTIO: usize = 10;
const ETHERNET: usize = 14;
/// virtio's header, Ethernet and the longest packet of IP.
pub const LONGEST: usize = VIRTIO + ETHERNET + 65536;

/// What became of a read.
pub enum Read {
    /// So many bytes.
    Packet(usize),
    /// Nothing is there.
    Nothing,
    /// The device is gone, and with it the sandbox.
    Gone,
}

/// A device.
pub struct Device {
    fd: OwnedFd,
    kind: wire::Device,
    /// Of the sandbox's end of a veth pair, as its packets tell. They come first: nothing goes in that no packet from inside led to.
    address: [u8; 6],
}

impl Device {
    /// Takes a device over. It is non-blocking already.
    pub fn new(fd: OwnedFd, kind: wire::Device) -> Device {
        Device { fd, kind, address: [0xff; 6] }
    }

    /// Reads one packet.
    pub fn read(&mut self, buffer: &mut [u8]) -> Read {
        match sys::read_packet(self.fd.as_fd(), buffer) {
            // End of file: a device has none, but a stand-in may.
            Ok(0) => Read::Gone,
            Ok(length) => Read::Packet(length),
            Err(libc::EAGAIN | libc::EINTR | libc::ENOBUFS) => Read::Nothing,
            Err(_) => Read::Gone,
        }
    }

    /// Understands what was read; `None` when it is to be dropped.
    pub fn parse<'a>(&mut self, frame: &'a [u8]) -> Option<Packet<'a>> {
        let (virtio, mut packet) = frame.split_at_checked(VIRTIO)?;
        if self.kind == wire::Device::Veth {
            let (ethernet, rest) = packet.split_first_chunk::<ETHERNET>()?;
            let [_, _, _, _, _, _, a0, a1, a2, a3, a4, a5, _, _] = *ethernet;
            self.address = [a0, a1, a2, a3, a4, a5];
            packet = rest;
        }
        // A sum that the kernel has left to the device is not there to be verified.
        let complete = virtio.first().is_some_and(|flags| flags & 1 == 0);
        headers::parse(packet, complete)
    }

    /// Writes one packet. What the device does not take is lost, as on any link: TCP repeats it.
    pub fn write(&self, way: Way, transport: Transport, payload: &[u8]) {
        let ethernet = (self.kind == wire::Device::Veth).then_some(self.address);
        if let Some(head) = build::build(way, transport, payload.len(), ethernet) {
            let _ = sys::write_packet(self.fd.as_fd(), head.bytes(), payload);
        }
    }
}
