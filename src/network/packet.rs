//! The packet process of a sandbox's network: a translator between the packets of the sandbox's device and sockets outside.
//!
//! It holds no policy and makes no socket: for each new flow it asks the dialer (`network::wire`), which hands over a socket that is
//! connected already, or says why not. TCP has no stack here (`packet/tcp.rs`): what the sandbox sends goes straight to the socket, and what
//! the socket holds is copied out and stays in it until the sandbox has acknowledged it. UDP and echo requests are flows of datagrams; DNS
//! over UDP goes to the dialer as messages.
//!
//! It promises:
//! - A target that is refused or dead is refused inside at once, in the same way. A SYN is answered when the connection outside stands.
//! - Under a [`Check`](crate::network::wire::Check) no byte goes out before its name is known to be allowed.
//! - Everything is bounded: flows ([`Limits`](crate::network::wire::Limits)), those that wait for the dialer, bytes that wait for the
//!   outside (4 MiB for all), time without an answer. What is too much is refused or lost, as on a network; the process goes on.
//! - No packet and no byte from either side ends it: every input is read as a stranger's.
//! - It waits in `epoll_wait` and nowhere else.
//!
//! It needs: the device non-blocking (`O_NONBLOCK`, set by whoever opens it), and no system call but read, writev, sendto (without an
//! address), recvfrom, recvmsg, setsockopt, shutdown, close, epoll_create1, epoll_ctl, epoll_wait, clock_gettime and those of the
//! allocator.

mod budget;
mod build;
mod checksum;
mod datagrams;
mod device;
mod headers;
pub mod hello;
pub mod host;
mod icmp;
pub mod names;
mod outbox;
mod query;
mod rate;
mod shared;
mod stream;
mod table;
mod tcp;
mod translator;

// Also what a fuzz target drives where there is neither a device nor a dialer.
pub use self::device::Device;
pub use self::outbox::Outbox;
pub use self::shared::Shared;
pub use self::translator::Translator;

use self::device::Read;
use self::rate::Time;
use crate::network::wire::{LONGEST, ToPacket};
use crate::sys::packet as sys;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Tokens of epoll that are no flows.
const DIALER: u64 = u64::MAX;
const DEVICE: u64 = u64::MAX - 1;
/// Packets, messages and events in one turn.
const TURN: usize = 128;
/// How long the last messages to the dialer may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long we are still there without a device. One that belongs to the sandbox's network namespace is gone before anybody can say that
/// the sandbox has ended; who has not said so by then has lost its network.
const BEREFT: Time = 10_000_000;

/// Moves packets until the dialer is gone or says [`ToPacket::Stop`], or the device has been gone for a while.
pub fn serve(dialer: OwnedFd) -> std::io::Result<()> {
    serve_with(dialer, true)
}

/// The same; without `peek_offset` as on a kernel that has no `SO_PEEK_OFF` for TCP.
pub fn serve_with(dialer: OwnedFd, peek_offset: bool) -> std::io::Result<()> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&dialer, EpollEvent::new(EpollFlags::EPOLLIN, DIALER))?;
    let shared = Shared::new(Outbox::new(dialer), peek_offset);
    let mut server = Server {
        translator: Translator::new(shared, epoll),
        frame: vec![0; device::LONGEST],
        message: vec![0; LONGEST],
        start: Instant::now(),
        asks_to_write: false,
        ends: None,
    };
    while server.turn()? {}
    server.say_farewell();
    Ok(())
}

/// The process.
struct Server {
    translator: Translator,
    /// Room for a packet of the device.
    frame: Vec<u8>,
    /// Room for a message of the dialer.
    message: Vec<u8>,
    start: Instant,
    /// Epoll is to tell when the dialer's socket takes more.
    asks_to_write: bool,
    /// The device is gone: when it is over, unless the dialer says so first.
    ends: Option<Time>,
}

impl Server {
    /// Waits, and does what there is to do. `false`: it is over.
    fn turn(&mut self) -> std::io::Result<bool> {
        let mut events = [EpollEvent::empty(); TURN];
        let count = match self.translator.epoll.wait(&mut events, self.timeout()) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        self.translator.shared.now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut goes_on = true;
        for event in events.iter().take(count) {
            goes_on &= match event.data() {
                DIALER => {
                    self.translator.shared.outbox.flush();
                    self.read_messages()
                }
                DEVICE => {
                    self.read_packets();
                    true
                }
                flow => {
                    self.translator.notice(flow, event.events());
                    true
                }
            };
        }
        self.translator.finish_turn();
        self.ask_to_write()?;
        let is_bereft = self.ends.is_some_and(|end| end <= self.translator.shared.now);
        Ok(goes_on && !is_bereft && !self.translator.shared.outbox.closed)
    }

    fn timeout(&self) -> EpollTimeout {
        let Some(next) = [self.translator.next_time(), self.ends].into_iter().flatten().min() else {
            return EpollTimeout::NONE;
        };
        let milliseconds = next.saturating_sub(self.translator.shared.now).div_ceil(1000);
        EpollTimeout::from(u16::try_from(milliseconds).unwrap_or(u16::MAX))
    }

    /// Reads messages of the dialer. `false`: it is gone, or wants an end.
    fn read_messages(&mut self) -> bool {
        for _ in 0..TURN {
            let socket = self.translator.shared.outbox.socket().as_fd();
            let (length, fd) = match sys::receive_message(socket, &mut self.message) {
                Ok((0, _)) => return false,
                Ok(received) => received,
                Err(libc::EAGAIN | libc::EINTR) => return true,
                Err(_) => return false,
            };
            let Ok(message) = postcard::from_bytes(self.message.get(..length).unwrap_or_default()) else {
                // Whatever it was, we cannot do it: closed rather than open.
                return false;
            };
            match message {
                ToPacket::Stop => return false,
                ToPacket::Device(kind) => {
                    let Some(fd) = fd else { return false };
                    if self.translator.epoll.add(&fd, EpollEvent::new(EpollFlags::EPOLLIN, DEVICE)).is_err() {
                        return false;
                    }
                    self.translator.shared.device = Some(Device::new(fd, kind));
                }
                message => self.translator.obey(message, fd),
            }
        }
        true
    }

    /// Reads packets of the device. One that is gone is closed.
    fn read_packets(&mut self) {
        for _ in 0..TURN {
            let Some(device) = &mut self.translator.shared.device else { return };
            match device.read(&mut self.frame) {
                Read::Packet(length) => self.translator.receive(self.frame.get(..length).unwrap_or_default()),
                Read::Nothing => return,
                Read::Gone => {
                    self.translator.shared.device = None;
                    self.ends = Some(self.translator.shared.now + BEREFT);
                }
            }
        }
    }

    /// Lets epoll tell when the dialer's socket takes more, while something waits for it.
    fn ask_to_write(&mut self) -> std::io::Result<()> {
        let asks = !self.translator.shared.outbox.is_empty();
        if asks != self.asks_to_write {
            let flags = if asks { EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT } else { EpollFlags::EPOLLIN };
            let mut event = EpollEvent::new(flags, DIALER);
            self.translator.epoll.modify(self.translator.shared.outbox.socket(), &mut event)?;
            self.asks_to_write = asks;
        }
        Ok(())
    }

    /// Closes all flows, and tells the dialer as long as it listens.
    fn say_farewell(&mut self) {
        self.translator.stop();
        let end = Instant::now() + FAREWELL;
        let Ok(epoll) = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC) else { return };
        let outbox = &mut self.translator.shared.outbox;
        let event = EpollEvent::new(EpollFlags::EPOLLOUT, DIALER);
        if epoll.add(outbox.socket(), event).is_err() {
            return;
        }
        while !outbox.is_empty() && !outbox.closed && Instant::now() < end {
            // Whether it takes something shows when it is tried.
            let _ = epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::from(100_u8));
            outbox.flush();
        }
    }
}
