//! Sandboxes that are made while nobody asks for one, of the last kind that was asked for: `create` takes them.
//!
//! Each is made by a worker, and held by us with a lease: it ends with us, and with the next kind that somebody asks for. What has changed
//! since of the host or of us ([`Inherited`]) it would not show, and it is not offered then.

use super::ahead::Now;
use super::worker::Worker;
use crate::sandbox::{Facts, Template};
use crate::sys::inherited::Inherited;
use nix::errno::Errno;
use nix::poll::PollTimeout;
use nix::sys::signal::SigSet;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};
use nix::unistd::read;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// The most that are kept ready.
pub const MOST: u8 = 64;
/// How long nothing may happen before one is made, in milliseconds: whoever was just given one goes on with it.
const QUIET: u8 = 5;
/// Bytes of what a maker says: an id.
const ID: usize = 16;

/// Those that are ready, and the one that is made.
pub struct Kept {
    wanted: usize,
    template: Option<Template>,
    ready: Vec<Made>,
    making: Option<Making>,
}

struct Made {
    id: String,
    lease: OwnedFd,
    known: Known,
}

/// What one was made with.
pub struct Known(Inherited, (Facts, u64));

struct Making {
    /// What the worker answers.
    result: OwnedFd,
    said: Vec<u8>,
    lease: OwnedFd,
    known: Known,
    /// Whether it is still what is wanted.
    wanted: bool,
}

impl Known {
    /// What is true at this moment; `mounts`: how often the host's mounts have changed.
    pub fn now(mounts: u64) -> Known {
        Known(Inherited::now(), Known::facts(mounts))
    }

    /// What of it is the host's, now.
    pub fn facts(mounts: u64) -> (Facts, u64) {
        (Facts::now(), mounts)
    }

    /// Whether it is still so.
    pub fn is(&self, now: &Now, facts: &(Facts, u64)) -> bool {
        self.0 == **now && self.1 == *facts
    }
}

impl Kept {
    /// So many, when somebody has said of what kind.
    pub fn new(wanted: u8) -> Kept {
        Kept { wanted: wanted.into(), template: None, ready: Vec::new(), making: None }
    }

    /// How long to wait for anything else before one is made, where one is to be made.
    pub fn patience(&self) -> Option<PollTimeout> {
        let wanted = self.template.is_some() && self.making.is_none() && self.ready.len() < self.wanted;
        wanted.then(|| PollTimeout::from(QUIET))
    }

    /// Whether anybody can be offered any.
    pub fn is_on(&self) -> bool {
        self.wanted > 0
    }

    /// To wait for: that one was taken, has gone, or is made.
    pub fn interests(&self) -> impl Iterator<Item = &OwnedFd> {
        let making = self.making.iter().map(|making| &making.result);
        self.ready.iter().map(|made| &made.lease).chain(making)
    }

    /// Has one made.
    pub fn make(&mut self, mask: &SigSet, mounts: u64) {
        let Some(template) = self.template.clone() else { return };
        // Before the fork: what changes meanwhile is taken for a difference.
        let known = Known::now(mounts);
        let pair = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        );
        let started = pair
            .map_err(|errno| errno as i32)
            .and_then(|(lease, theirs)| Worker::maker(template, theirs, mask).map(|worker| (lease, worker)));
        match started {
            Ok((lease, Worker { outputs: [_, _, result], .. })) => {
                self.making = Some(Making { result, said: Vec::new(), lease, known, wanted: true });
            }
            // There may be room for it when the next one is asked for.
            Err(_) => self.template = None,
        }
    }

    /// Hears of those that were taken, have gone, or are made.
    pub fn tend(&mut self) {
        let mut gone = false;
        self.ready.retain(|made| {
            let mut word = [0; 64];
            match recv(made.lease.as_raw_fd(), &mut word, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN | Errno::EINTR) => true,
                // It says that it was taken, and no more.
                Ok(1..) => false,
                Ok(_) | Err(_) => {
                    gone = true;
                    false
                }
            }
        });
        if let Some(making) = &mut self.making {
            let mut piece = [0; 64];
            match read(&making.result, &mut piece) {
                Ok(count @ 1..) => making.said.extend_from_slice(piece.get(..count).unwrap_or_default()),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Ok(_) | Err(_) => gone |= self.made(),
            }
        }
        if gone {
            // Whoever ends them has a reason, as that there is no such image any more. The next who makes a sandbox says what is wanted.
            self.template = None;
        }
    }

    /// A maker has ended; whether it could not.
    fn made(&mut self) -> bool {
        let Some(Making { said, lease, known, wanted, .. }) = self.making.take() else { return false };
        match String::from_utf8(said) {
            Ok(id) if id.len() == ID => {
                if wanted {
                    self.ready.push(Made { id, lease, known });
                }
                false
            }
            _ => wanted,
        }
    }

    /// Those that may be taken. `now`: how we are.
    pub fn offered(&mut self, now: &Now, mounts: u64) -> Vec<String> {
        if self.ready.is_empty() {
            return Vec::new();
        }
        let facts = Known::facts(mounts);
        self.ready.retain(|Made { known, .. }| known.is(now, &facts));
        self.ready.iter().map(|made| made.id.clone()).collect()
    }

    /// Somebody has asked for one of this kind.
    pub fn want(&mut self, template: Template) {
        if self.template.as_ref() == Some(&template) || self.wanted == 0 {
            return;
        }
        // Those of another kind end with their leases; where the kind was forgotten, so are they.
        self.forget();
        self.template = Some(template);
    }

    /// Lets go of those that are ready; whether there were any.
    pub fn let_go(&mut self) -> bool {
        let any = !self.ready.is_empty();
        self.ready.clear();
        any
    }

    /// What is ready shows what is not so any more. No more are made until somebody asks.
    pub fn forget(&mut self) {
        self.template = None;
        self.ready.clear();
        if let Some(making) = &mut self.making {
            making.wanted = false;
        }
    }

    /// No more are made, and those that are ready end.
    pub fn end(&mut self) {
        self.wanted = 0;
        self.forget();
    }
}
