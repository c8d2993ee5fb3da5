//! System calls of the packet process. None of them waits: every call on a socket says `MSG_DONTWAIT`, and the device comes
//! non-blocking.
#![allow(unsafe_code)]

use super::{Answer, fd};
use nix::sys::socket::sockopt::{Linger, OobInline, TcpNoDelay};
use nix::sys::socket::{MsgFlags, Shutdown, setsockopt};
use std::io::IoSlice;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd};

/// Pieces of a sink in one call of [`peek_past`].
const MOST_PIECES: usize = 64;

/// Receives one message and the descriptor that comes with it. 0 bytes: the other end is closed. A descriptor for which no number is
/// left (`RLIMIT_NOFILE`) does not come, and the message comes without it.
pub fn receive_message(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Answer<(usize, Option<OwnedFd>)> {
    let (count, mut descriptors, _) =
        fd::message(socket, bytes, MsgFlags::MSG_DONTWAIT).map_err(|errno| errno as i32)?;
    Ok((count, descriptors.pop()))
}

/// Sends what fits without waiting, to where the socket is connected; no `SIGPIPE`.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Answer<usize> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    nix::sys::socket::send(socket.as_raw_fd(), bytes, flags).map_err(|errno| errno as i32)
}

/// Receives what is there.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Answer<usize> {
    nix::sys::socket::recv(socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT).map_err(|errno| errno as i32)
}

/// Copies what is there and leaves it there; begins where `SO_PEEK_OFF` says.
pub fn peek(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Answer<usize> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK;
    nix::sys::socket::recv(socket.as_raw_fd(), bytes, flags).map_err(|errno| errno as i32)
}

/// Copies what is there beyond the first `skip` bytes, and leaves all of it there: the first bytes go into `sink`, over and over. Answers
/// how many bytes there are, the skipped ones among them. EINVAL: `skip` is more than 64 times the sink.
pub fn peek_past(socket: BorrowedFd<'_>, skip: usize, sink: &mut [u8], bytes: &mut [u8]) -> Answer<usize> {
    let pieces = skip.div_ceil(sink.len().max(1));
    if pieces > MOST_PIECES {
        return Err(libc::EINVAL);
    }
    let mut vector = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; MOST_PIECES + 1];
    let mut left = skip;
    for piece in vector.iter_mut().take(pieces) {
        *piece = libc::iovec { iov_base: sink.as_mut_ptr().cast(), iov_len: left.min(sink.len()) };
        left = left.saturating_sub(sink.len());
    }
    if let Some(last) = vector.get_mut(pieces) {
        *last = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    }
    // SAFETY: all-zero is a valid `msghdr`: no address, no control messages.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = vector.as_mut_ptr();
    message.msg_iovlen = (pieces + 1) as _;
    // SAFETY: each piece lies within `sink` or `bytes`, which are ours for the call; that pieces overlap only mixes what nobody reads.
    let count = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    usize::try_from(count).map_err(|_| nix::errno::Errno::last_raw())
}

/// Throws away the first `count` bytes of a TCP socket without a copy (`MSG_TRUNC`, tcp(7)). Answers how many.
pub fn discard(socket: BorrowedFd<'_>, count: usize) -> Answer<usize> {
    let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    // SAFETY: with MSG_TRUNC a TCP socket writes nothing; another one answers EFAULT.
    let count = unsafe { libc::recv(socket.as_raw_fd(), std::ptr::null_mut(), count, flags) };
    usize::try_from(count).map_err(|_| nix::errno::Errno::last_raw())
}

/// Sets where the next peek begins (`SO_PEEK_OFF`). EOPNOTSUPP: TCP before Linux 6.9, and over IPv6 for some versions more.
pub fn set_peek_offset(socket: BorrowedFd<'_>, offset: i32) -> Answer<()> {
    set_number(socket, (libc::SOL_SOCKET, libc::SO_PEEK_OFF), offset)
}

/// Lets a TCP socket take no more while `bytes` wait in it that were never sent (`TCP_NOTSENT_LOWAT`, tcp(7)). What is on its way is not
/// counted: a far peer is as fast as before.
pub fn bound_unsent(socket: &OwnedFd, bytes: i32) -> Answer<()> {
    set_number(socket.as_fd(), (libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT), bytes)
}

/// setsockopt(2) with a number, for options that nix does not have.
fn set_number(socket: BorrowedFd<'_>, (level, name): (i32, i32), value: i32) -> Answer<()> {
    let size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the option is one int.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) } {
        0 => Ok(()),
        _ => Err(nix::errno::Errno::last_raw()),
    }
}

/// Sends small segments at once: the sandbox's own stack has waited already (Nagle) if it wanted to.
pub fn send_at_once(socket: &OwnedFd) -> Answer<()> {
    setsockopt(socket, TcpNoDelay, &true).map_err(|errno| errno as i32)
}

/// Leaves urgent bytes among the others (RFC 6093), where a peek sees them.
pub fn keep_urgent_inline(socket: &OwnedFd) -> Answer<()> {
    setsockopt(socket, OobInline, &true).map_err(|errno| errno as i32)
}

/// Lets closing reset the connection (`SO_LINGER` with 0 seconds, socket(7)).
pub fn reset_on_close(socket: &OwnedFd) -> Answer<()> {
    setsockopt(socket, Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).map_err(|errno| errno as i32)
}

/// Tells the other side that nothing more comes.
pub fn finish_writing(socket: BorrowedFd<'_>) -> Answer<()> {
    nix::sys::socket::shutdown(socket.as_raw_fd(), Shutdown::Write).map_err(|errno| errno as i32)
}

/// Reads one packet of a device.
pub fn read_packet(device: BorrowedFd<'_>, bytes: &mut [u8]) -> Answer<usize> {
    nix::unistd::read(device, bytes).map_err(|errno| errno as i32)
}

/// Writes one packet to a device: its headers, then its payload.
pub fn write_packet(device: BorrowedFd<'_>, headers: &[u8], payload: &[u8]) -> Answer<usize> {
    let vector = [IoSlice::new(headers), IoSlice::new(payload)];
    nix::sys::uio::writev(device, &vector).map_err(|errno| errno as i32)
}
