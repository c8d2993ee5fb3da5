//! What the processes inside tell, frame by frame, and what comes with it.

use super::Running;
use super::ending::Ended;
use super::first::Stands;
use crate::process::meter::{Meter, Sight};
use crate::process::plan::files_in_memory;
use crate::process::relay::{Inlet, Outlet};
use crate::process::report::{Frame, SIZE};
use crate::process::taken::Waited;
use crate::sys::directory::open_within;
use crate::sys::fd;
use crate::sys::tty::copy_size;
use nix::fcntl::{OFlag, ResolveFlag};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

impl Running {
    /// A frame of pid 1 or the payload, or their end.
    pub(super) fn hear(&mut self) {
        let mut bytes = [0u8; SIZE];
        let descriptors = match fd::receive(self.first.control.as_fd(), &mut bytes) {
            Ok((SIZE, descriptors)) => descriptors,
            // Told once, before what is still to be read, when pid 1 ended without having read all that we sent.
            Err(libc::ECONNRESET | libc::EINTR) => return,
            Ok(_) => {
                self.ending.hears_no_more();
                return;
            }
            Err(errno) => {
                self.ending.hears_no_more();
                return self.end_without_eyes(errno);
            }
        };
        match Frame::decode(bytes) {
            Some(Frame::Ready { lists }) => self.ready(descriptors, lists.into()),
            Some(Frame::Joined(pid)) => self.joined(pid, descriptors),
            Some(Frame::Users) => self.held.users = descriptors.into_iter().next(),
            Some(Frame::Terminal) => self.terminal(descriptors),
            Some(Frame::Device) => self.device(descriptors),
            Some(Frame::UsedCpu(milliseconds)) => {
                self.used(|used| used.cpu = Duration::from_millis(milliseconds.unsigned_abs().into()));
            }
            Some(Frame::UsedMemory(kib)) => self.used(|used| used.largest = u64::from(kib.unsigned_abs()) << 10),
            Some(Frame::Waiting) => self.first.stands = Stands::Waits,
            Some(Frame::Taken) => self.first.stands = Stands::Begins,
            Some(Frame::KeyringShared) => self.plan.keyring_is_shared(),
            Some(Frame::Refused { payload, refusal }) => {
                // As long as the mounts are there.
                let error = self.refused(payload, refusal);
                self.ending.refuse(error);
                self.end();
            }
            Some(Frame::Ended(status)) => self.ending.tell(Ended::Status(status)),
            // Whoever is inside may kill it before it runs as well as after.
            Some(Frame::Lost(status)) if self.first.leads() && libc::WIFSIGNALED(status) => {
                self.ending.tell(Ended::Status(status));
            }
            Some(Frame::Lost(status)) => self.ending.tell(Ended::Lost(status)),
            // Heard by whoever waits for leaders, and by nobody later.
            Some(Frame::Standing) | None => {}
        }
    }

    fn used(&mut self, note: impl FnOnce(&mut Waited)) {
        if let Some(used) = self.first.stood() {
            note(used);
        }
    }

    fn ready(&mut self, descriptors: Vec<OwnedFd>, lists: usize) {
        if let Err(errno) = self.take_over(descriptors, lists) {
            self.end_without_eyes(errno);
        }
    }

    /// What a bundle has in memory besides the writable layer counts like it. Looked for before anything runs inside.
    fn own_places(&self, root: &OwnedFd) -> Result<Vec<OwnedFd>, i32> {
        let of_bundle = self.order.bundle.iter().flat_map(|bundle| &bundle.tmpfs).filter(|tmpfs| tmpfs.bytes.is_some());
        let of_bundle = of_bundle.map(|tmpfs| tmpfs.target.as_path());
        // Where files are kept on a disk, this is what is left in memory.
        let shared = self.order.keeps_files().then_some(Path::new("dev/shm"));
        let (flags, resolve) =
            (OFlag::O_PATH | OFlag::O_DIRECTORY, ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let open = |path| open_within(root, path, flags, resolve).map_err(|errno| errno as i32);
        let opened = of_bundle.chain(shared).map(open).collect();
        match opened {
            // A quick command may have ended before we look, and with pid 1 went the mounts. There is nothing to be held.
            Err(_) if self.first.is_ending() => Ok(Vec::new()),
            opened => opened,
        }
    }

    /// The supervisor would hold nobody to any limit.
    fn end_without_eyes(&mut self, errno: i32) {
        self.fail("take over the sandbox's descriptors", errno);
    }

    fn take_over(&mut self, descriptors: Vec<OwnedFd>, lists: usize) -> Result<(), i32> {
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next().ok_or(libc::EMFILE);
        let (root, proc) = (next()?, next()?);
        let lists: Vec<OwnedFd> = descriptors.by_ref().take(lists).collect();
        let places = self.own_places(&root)?;
        let mut meter = Meter::new(Sight {
            root,
            proc,
            in_memory: !self.order.keeps_files(),
            places,
            user_namespace: self.first.user_namespace.take(),
        });
        meter.count_ipc(lists, files_in_memory(&self.order));
        self.holder.meter = Some(meter);
        let mut rest: Vec<OwnedFd> = descriptors.collect();
        if !self.first.leads() && self.order.spec.tty {
            self.take_terminal(rest.pop().ok_or(libc::EMFILE)?)?;
        }
        if !self.first.leads() && self.order.hands_layer() {
            self.held.writable = Some(rest.pop().ok_or(libc::EMFILE)?);
        }
        self.held.namespaces = rest;
        self.publish()
    }

    /// The same of a sandbox that was ready before, and of the process in it: what that has in memory by now it shares with others.
    pub(in crate::process) fn take_over_spare(&mut self, sights: Vec<OwnedFd>, shares: bool) -> Result<(), i32> {
        let lists = sights.len().saturating_sub(2);
        self.take_over(sights, lists)?;
        self.holder.meter.iter_mut().filter(|_| shares).for_each(Meter::lend);
        Ok(())
    }

    fn take_terminal(&mut self, master: OwnedFd) -> Result<(), i32> {
        let Some(sink) = self.relays.terminal.take() else { return Ok(()) };
        copy_size(std::io::stdin(), &master);
        let errno = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EMFILE);
        let source = std::io::stdin().as_fd().try_clone_to_owned().map_err(errno)?;
        self.relays.input = Some(Inlet::to_terminal(source, master.try_clone().map_err(errno)?)?);
        self.relays.outputs.push((1, Outlet::new(master, sink)?));
        Ok(())
    }

    /// The packet process is to have it, and nobody else.
    fn device(&mut self, descriptors: Vec<OwnedFd>) {
        let handed = match (&self.guards.network, descriptors.into_iter().next()) {
            (Some(network), Some(device)) => network.hand_over(device),
            _ => Err(libc::EMFILE),
        };
        if let Err(errno) = handed {
            self.fail("hand over the network device", errno);
        }
    }

    fn terminal(&mut self, descriptors: Vec<OwnedFd>) {
        let taken = descriptors.into_iter().next().ok_or(libc::EMFILE).and_then(|master| self.take_terminal(master));
        if let Err(errno) = taken {
            self.end_without_eyes(errno);
        }
    }

    /// From the process that entered the namespaces to the leader inside, which is our child too.
    fn joined(&mut self, pid: i32, descriptors: Vec<OwnedFd>) {
        match descriptors.into_iter().next() {
            Some(pidfd) => {
                self.first.goes_on_as(pid, pidfd);
                // It may have said that it failed before anybody knew of it, or be too late.
                if self.ending.is_decided() {
                    self.end();
                }
            }
            None => self.end_without_eyes(libc::EMFILE),
        }
    }
}
