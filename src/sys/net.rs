//! Messages with descriptors between the processes of a sandbox's network, and chance.
#![allow(unsafe_code)]

use super::fd;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

/// Receives one packet and at most one descriptor from a socket that keeps packets apart, without waiting; 0 bytes at its end.
/// EMSGSIZE when the packet was longer than the buffer, EMFILE when there was no number left for the descriptor.
pub fn receive_packet(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> nix::Result<(usize, Option<OwnedFd>)> {
    let (count, mut descriptors, flags) = fd::message(socket, bytes, MsgFlags::MSG_DONTWAIT)?;
    if flags.contains(MsgFlags::MSG_CTRUNC) {
        return Err(Errno::EMFILE);
    }
    if flags.contains(MsgFlags::MSG_TRUNC) {
        return Err(Errno::EMSGSIZE);
    }
    // What there is beyond one is closed again.
    Ok((count, descriptors.pop()))
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
