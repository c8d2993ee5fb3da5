//! The two processes of a sandbox's network, as its supervisor holds them: started beside the sandbox, told of the device when it is
//! there, asked for the sum at the end.
//!
//! Both are copies of the supervisor, which has one thread. Each ends when the supervisor does, or the other one, and the network with
//! it; nobody waits for that: the kernel takes tens of milliseconds to take the device down.

use super::confine::{Remainder, confine};
use crate::error::Error;
use crate::host::{Host, UNPRIVILEGED_ID};
use crate::network::dialer::{self, LONGEST, Order, Report, Setup};
use crate::network::{self, Device, packet};
use crate::outcome::network::{Event, Happening, Summary};
use crate::seccomp;
use crate::spec::Spec;
use crate::spec::network::Policy;
use crate::sys::net::send_packet;
use crate::sys::{fd, worker};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::SigSet;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

/// How long the dialer may take to add up what there was.
const LAST_WORD: i64 = 2;
/// Bytes of the log that are kept: of a sandbox that ends with its command in memory, of others in their directory.
const LOG_IN_MEMORY: u64 = 1 << 20;
/// The same of a persistent sandbox.
const LOG_ON_DISK: u64 = 8 << 20;

/// The network of a running sandbox.
pub struct Network {
    /// The socket to the dialer.
    dialer: OwnedFd,
    device: Device,
    log: File,
    /// Whether the log is for the result. That of a persistent sandbox is read by whoever wants it.
    tells: bool,
    /// Our children, for whom nobody waits but the kernel.
    children: [Pid; 2],
    /// Whether one of them was gone too early.
    lost: bool,
}

impl Network {
    /// Starts both processes; `None` where the sandbox reaches nothing, or all that the host does. `log` is where connections are written
    /// down, which else is in memory.
    ///
    /// # Errors
    ///
    /// `Setup`, where the kernel gives no process or descriptor.
    pub fn start(spec: &Spec, host: &Host, log: Option<File>) -> Result<Option<Network>, Error> {
        let (Some(device), Some(policy)) = (network::device(spec.net, host), spec.policy()) else { return Ok(None) };
        let tells = log.is_none();
        let log_limit = if tells { LOG_IN_MEMORY } else { LOG_ON_DISK };
        let failed = |errno: i32| Error::setup("start the network", errno);
        let log = match log {
            Some(log) => log,
            None => log_in_memory().map_err(failed)?,
        };
        let pair = || {
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(|errno| failed(errno as i32))
        };
        let ((ours, to_supervisor), (to_packet, to_dialer)) = (pair()?, pair()?);
        let null = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
        let copy = |fd: BorrowedFd<'_>| fd.try_clone_to_owned();
        let errno = |error: std::io::Error| failed(error.raw_os_error().unwrap_or(libc::EIO));
        let standard = || Ok::<_, std::io::Error>([null()?, null()?, null()?]);
        let [a, b, c] = standard().map_err(errno)?;
        let dialers = [a, b, c, to_supervisor, to_packet, copy(log.as_fd()).map_err(errno)?];
        let [a, b, c] = standard().map_err(errno)?;
        let packets = [a, b, c, to_dialer];
        let (everything, become_ids) = (SigSet::empty(), host.real_root.then_some([UNPRIVILEGED_ID; 2]));
        let packet = worker::start(&packets, &everything, || serve_packets(become_ids));
        let packet = packet.map_err(failed)?;
        drop(packets);
        let setup = Setup { policy, log_limit, ..Setup::default() };
        let dialer = worker::start(&dialers, &everything, || dial(setup, become_ids));
        let dialer = dialer.map_err(failed)?;
        let patience = TimeVal::seconds(LAST_WORD);
        setsockopt(&ours, sockopt::ReceiveTimeout, &patience).map_err(|errno| failed(errno as i32))?;
        Ok(Some(Network { dialer: ours, device, log, tells, children: [packet, dialer], lost: false }))
    }

    /// Gives the packet process the sandbox's device. Our own copy goes.
    ///
    /// # Errors
    ///
    /// The dialer is gone.
    pub fn hand_over(&self, device: OwnedFd) -> Result<(), i32> {
        match self.ask(&Order::Device(self.device), Some(device.as_fd()))? {
            Report::Done => Ok(()),
            Report::Policy { .. } | Report::Ended(_) => Err(libc::ENETDOWN),
        }
    }

    /// Another policy, from now on. How many connections it does not allow any more, which were cut.
    ///
    /// # Errors
    ///
    /// The dialer is gone, and with it the network.
    pub fn set_policy(&self, policy: Policy) -> Result<u64, i32> {
        match self.ask(&Order::Policy(policy), None)? {
            Report::Policy { cut } => Ok(cut),
            Report::Done | Report::Ended(_) => Err(libc::ENETDOWN),
        }
    }

    /// One order and its answer. The dialer, which nothing inside can keep busy for long, answers at once.
    fn ask(&self, order: &Order, descriptor: Option<BorrowedFd<'_>>) -> Result<Report, i32> {
        let bytes = postcard::to_stdvec(order).map_err(|_| libc::EMSGSIZE)?;
        // One order at a time is on its way, so that there is room for it.
        send_packet(self.dialer.as_fd(), &bytes, descriptor).map_err(|errno| errno as i32)?;
        self.hear()
    }

    /// The dialer, which says nothing unasked: readable when it is gone. `None` once that is known.
    pub fn end(&self) -> Option<BorrowedFd<'_>> {
        (!self.lost).then(|| self.dialer.as_fd())
    }

    /// One of the two processes is gone, and the other has followed: nothing is reached any more. Writes that down.
    pub fn lose(&mut self) {
        self.lost = true;
        if let Ok(mut line) = serde_json::to_vec(&Event::now(Happening::Lost)) {
            line.push(b'\n');
            // On a full disk it is only the sandbox's result that says so.
            let _ = self.log.write_all(&line);
        }
        self.reap();
    }

    /// Takes leave of the children that have ended.
    fn reap(&self) {
        for child in self.children {
            // The packet process may still be ending; the kernel takes it then.
            let _ = nix::sys::wait::waitpid(child, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
        }
    }

    /// Ends the network of a sandbox that has ended. What there was, and the log, where that is in memory; `None` where either process was
    /// gone before.
    pub fn finish(&mut self) -> (Option<Summary>, Vec<u8>) {
        let summary = match self.ask(&Order::End, None) {
            Ok(Report::Ended(summary)) => Some(summary),
            Ok(Report::Done | Report::Policy { .. }) | Err(_) => None,
        };
        let mut log = Vec::new();
        if self.tells {
            // What cannot be read is less than there was, and the sum says how much that is. The dialer keeps its bound; we do not count on it.
            let _ = self.log.rewind().and_then(|()| (&self.log).take(2 * LOG_IN_MEMORY).read_to_end(&mut log));
        }
        self.reap();
        (summary, log)
    }

    fn hear(&self) -> Result<Report, i32> {
        let mut bytes = vec![0; LONGEST];
        loop {
            match fd::receive(self.dialer.as_fd(), &mut bytes) {
                Err(libc::EINTR) => {}
                Ok((0, _)) => return Err(libc::ENETDOWN),
                Ok((count, _)) => {
                    return postcard::from_bytes(bytes.get(..count).unwrap_or_default()).map_err(|_| libc::EBADMSG);
                }
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// A log for the result. It is open for appending, as every log of the dialer must be: it drops the older half in place, and would else go on
/// where it was, behind a hole.
fn log_in_memory() -> Result<File, i32> {
    let file = fd::memory_file(c"network")?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND)).map_err(|errno| errno as i32)?;
    Ok(File::from(file))
}

/// The descriptors that the two processes begin with: 0, 1 and 2 are /dev/null.
const FIRST: i32 = 3;

/// The packet process. What it answers is its exit code, which nobody but a debugger reads.
fn serve_packets(become_ids: Option<[u32; 2]>) -> i32 {
    apart();
    match confine(Remainder { become_ids, readable: &[], ports: None, profile: seccomp::PACKET }) {
        Ok(()) => i32::from(packet::serve(fd::own(FIRST)).is_err()),
        Err(_) => UNCONFINED,
    }
}

/// Where distributions keep the names of resolvers: where /etc/resolv.conf leads to.
const READABLE: [&str; 5] = ["/etc", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/connman"];
/// The exit code of a process that could not be confined, and did nothing.
const UNCONFINED: i32 = 125;

/// The dialer.
fn dial(setup: Setup, become_ids: Option<[u32; 2]>) -> i32 {
    apart();
    let [supervisor, packet, log] = [FIRST, FIRST + 1, FIRST + 2].map(fd::own);
    match confine(Remainder { become_ids, readable: &READABLE.map(Path::new), ports: None, profile: seccomp::DIALER }) {
        Ok(()) => i32::from(dialer::serve(supervisor, packet, File::from(log), setup).is_err()),
        Err(_) => UNCONFINED,
    }
}

/// A session of its own: the keys of a terminal are for the sandbox, and its network has the last word after it.
fn apart() {
    // It cannot fail for a new process, which leads no group.
    let _ = nix::unistd::setsid();
}
