//! Messages with descriptors between the processes of a sandbox's network, and chance.
#![allow(unsafe_code)]

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// Receives one packet and at most one descriptor from a socket that keeps packets apart, without waiting; 0 bytes at its end.
/// EMSGSIZE when the packet was longer than the buffer, EMFILE when there was no number left for the descriptor.
pub fn receive_packet(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> nix::Result<(usize, Option<OwnedFd>)> {
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let mut vector = [IoSliceMut::new(bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut vector, Some(&mut space), flags)?;
    if message.flags.contains(MsgFlags::MSG_CTRUNC) {
        return Err(nix::errno::Errno::EMFILE);
    }
    let truncated = message.flags.contains(MsgFlags::MSG_TRUNC);
    let mut descriptor = None;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            for number in numbers {
                // SAFETY: the kernel has just installed this number for us. What there is beyond one is closed again.
                descriptor = Some(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
    }
    if truncated { Err(nix::errno::Errno::EMSGSIZE) } else { Ok((message.bytes, descriptor)) }
}

/// Sends one packet, with a descriptor or without, and does not wait.
pub fn send_packet(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> nix::Result<()> {
    let vector = [IoSlice::new(bytes)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let numbers = descriptor.map(|descriptor| [descriptor.as_raw_fd()]);
    let rights = numbers.as_ref().map(|numbers| [ControlMessage::ScmRights(numbers)]);
    let control: &[ControlMessage<'_>] = rights.as_ref().map_or(&[], |rights| rights);
    sendmsg::<()>(socket.as_raw_fd(), &vector, control, flags, None).map(|_| ())
}

/// Bytes that nobody can foresee (getrandom(2)).
pub fn random() -> std::io::Result<[u8; 8]> {
    let mut bytes = [0_u8; 8];
    // SAFETY: the buffer has the length that is given.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    // Up to 256 bytes come whole or not at all.
    if count == 8 { Ok(bytes) } else { Err(std::io::Error::last_os_error()) }
}
