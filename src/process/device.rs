//! Steps that make a sandbox's interfaces, between clone and exec.

use super::child::{Context, Walk};
use super::report::{Applied, Frame, at};
use crate::step::Call;
use crate::sys::child::{self, CWD, Fd};

/// Step `LoopbackUp`.
pub fn loopback_up() -> Applied {
    let socket = at(Call::Socket, child::socket(libc::AF_INET, libc::SOCK_DGRAM, 0))?;
    let result = at(Call::Control, child::loopback_up(socket));
    child::close(socket);
    result
}

/// Step `OpenTun`.
pub fn open_tun(walk: &mut Walk, index: u32) -> Applied {
    let flags = libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let tun = at(Call::Open, child::open(CWD, c"/dev/net/tun", flags, 0))?;
    walk.device = tun;
    at(Call::Index, child::tun_index(tun, index))?;
    at(Call::Attach, child::tun_attach(tun, b"eth0"))?;
    at(Call::Offload, child::tun_offload(tun))
}

/// Bytes that may wait to be read: a second of nothing at full speed must not lose packets.
const RECEIVE_BUFFER: i32 = 16 << 20;

/// Step `OpenPacketSocket`. It takes in nothing until it is bound.
pub fn open_packet_socket(walk: &mut Walk, index: u32) -> Applied {
    let socket = at(Call::Socket, child::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, 0))?;
    walk.device = socket;
    let options = [
        (libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1),
        (libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1),
        (libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1),
        // As much of it as the host's limit allows.
        (libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER),
    ];
    for (level, option, value) in options {
        at(Call::Option, child::set_option(socket, level, option, value))?;
    }
    at(Call::Bind, child::bind_to_interface(socket, index))
}

/// Step `NewPeerNetwork`.
pub fn new_peer_network(walk: &mut Walk) -> Applied {
    let socket = at(Call::Socket, child::socket(libc::AF_INET, libc::SOCK_DGRAM, 0))?;
    let network = at(Call::Control, child::network_of(socket));
    child::close(socket);
    walk.network = network?;
    at(Call::Only, child::unshare(libc::CLONE_NEWNET))
}

/// The longest request that is completed here.
const LONGEST: usize = 256;

/// Step `MakePair`.
pub fn make_pair(walk: &Walk, message: &[u8]) -> Applied {
    let mut whole = [0; LONGEST];
    let whole = at(Call::Only, whole.get_mut(..message.len()).ok_or(libc::EMSGSIZE))?;
    whole.copy_from_slice(message);
    if let Some(place) = whole.last_chunk_mut() {
        *place = walk.network.to_ne_bytes();
    }
    netlink(whole)
}

/// Step `ReturnToNetwork`.
pub fn return_to_network(walk: &mut Walk) -> Applied {
    let namespace = core::mem::replace(&mut walk.network, -1);
    let joined = at(Call::Only, child::join_namespace(namespace, libc::CLONE_NEWNET));
    child::close(namespace);
    joined
}

/// Step `Netlink`.
pub fn netlink(message: &[u8]) -> Applied {
    let socket = at(Call::Socket, child::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE))?;
    let result = ask(socket, message);
    child::close(socket);
    result
}

fn ask(socket: Fd, message: &[u8]) -> Applied {
    at(Call::Send, child::write(socket, message))?;
    let mut answer = [0; 512];
    let length = at(Call::Acknowledge, child::read(socket, &mut answer))?;
    at(Call::Only, acknowledged(answer.get(..length).unwrap_or_default()))
}

/// What the kernel answers to a request: `struct nlmsghdr`, and behind it a negative error number, or 0 (netlink(7)).
fn acknowledged(answer: &[u8]) -> Result<(), i32> {
    match answer.get(16..).and_then(|error| error.first_chunk()) {
        Some(error) => match i32::from_ne_bytes(*error) {
            0 => Ok(()),
            error => Err(error.wrapping_neg()),
        },
        None => Err(libc::EPROTO),
    }
}

/// Step `HandDevice`. Our own copy goes: whoever closes the last one waits for the kernel to take the interface down.
pub fn hand_over(context: &Context<'_>, walk: &mut Walk) -> Applied {
    let device = core::mem::replace(&mut walk.device, -1);
    let sent = at(Call::Only, child::send_descriptors(context.control, &Frame::Device.encode(), &[device]));
    child::close(device);
    sent
}

#[cfg(test)]
mod tests {
    use super::acknowledged;

    #[test]
    fn an_acknowledgement_says_what_was_refused() {
        let answer = |error: i32| [[0; 16].as_slice(), &error.to_ne_bytes()].concat();
        assert_eq!(acknowledged(&answer(0)), Ok(()));
        assert_eq!(acknowledged(&answer(-libc::EPERM)), Err(libc::EPERM));
        assert_eq!(acknowledged(&[0; 18]), Err(libc::EPROTO));
    }
}
