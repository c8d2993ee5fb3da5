//! Leaders that stand inside a sandbox before there is a command for them.
//!
//! To bring a leader inside takes two clones and seven namespaces, for which a caller waits. So the way is gone while nobody
//! waits: a process of our own ([`stand_by`]) goes it as a messenger does, and leaves behind a process that clones leaders, its
//! brothers, whenever it is sent a socket for one. It has given up every privilege before, nobody inside can look into it or into them, and
//! they have nothing of the host's but their memory. It runs no command, and so each leader begins as the first did.
//!
//! Whoever has the other end of a leader's socket hands it one command, and the descriptors that go with that ([`Standing::hand`]); it
//! makes the same plan of it as its caller, says so (`Taken`), and goes on as any leader when it hears that its caller has heard that: so
//! nothing is begun by a leader that was given up. It leads one command and leaves: nothing that was used is used again.
//!
//! A leader that does not say so in time has begun nothing, and is killed: the caller brings one of its own. Where nobody
//! has the other end any more it leaves.

use super::acquire::Acquired;
use super::child::{Context, Duty, Walk, walk};
use super::given::go_on;
use super::joined::Joined;
use super::meeting::Meeting;
use super::plan::Plan;
use super::report::{Frame, SIZE};
use super::{init, launch};
use crate::error::Error;
use crate::host::Host;
use crate::images::{self, Store};
use crate::outcome::Enforcements;
use crate::own::Own;
use crate::spec::Order;
use crate::sys::clone::Sibling;
use crate::sys::proc::Entered;
use crate::sys::{allocator, child, fd, proc};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, IntoRawFd as _, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// The longest command that is handed over; who has a longer one brings a leader of its own.
const LONGEST: usize = 60 << 10;
/// How long a leader may take to say that it has taken a command: it makes a plan meanwhile, and somebody inside may have stopped it.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a killed one may take to be gone.
const DYING: Duration = Duration::from_secs(5);

/// A leader that stands inside, from outside.
#[derive(Debug)]
pub struct Standing {
    /// Itself.
    pub leader: OwnedFd,
    /// The socket to it.
    pub control: OwnedFd,
}

/// What is handed over, with descriptors for 0, 1 and 2 and those that it names, in their order.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Command {
    order: Order,
    /// What is not written down with an order.
    own: Option<Own>,
    /// Milliseconds until the leader ends it by itself.
    time_left: Option<u64>,
    /// Whether a landlock ruleset follows.
    ruleset: bool,
    /// Whether code, or a program, follows.
    code: bool,
}

impl Standing {
    /// Gives it a command. With an error it has begun nothing, and is gone.
    pub(super) fn hand(&self, order: &Order, acquired: &Acquired, until: Option<Instant>) -> Result<(), Error> {
        let handed = self.give(order, acquired, until);
        if handed.is_err() {
            // Whatever it waits for, or whoever has stopped it: from now on it can begin nothing.
            let _ = proc::send_signal(self.leader.as_raw_fd(), libc::SIGKILL);
            wait(&self.leader, DYING)?;
        }
        handed
    }

    fn give(&self, order: &Order, acquired: &Acquired, until: Option<Instant>) -> Result<(), Error> {
        let failed = |errno: i32| Error::setup("hand a command to a leader", errno);
        let left = until.map(|until| until.saturating_duration_since(Instant::now()).as_millis() as u64);
        let extra = [&acquired.ruleset, &acquired.code];
        let command = Command {
            order: Order { own: None, ..order.clone() },
            own: order.own.clone(),
            time_left: left,
            ruleset: acquired.ruleset.is_some(),
            code: acquired.code.is_some(),
        };
        let text = serde_json::to_vec(&command).map_err(|_| failed(libc::EINVAL))?;
        if text.len() > LONGEST {
            return Err(failed(libc::EMSGSIZE));
        }
        // What cannot be written down whole (a bundle, privileges) is not for a leader that knows nothing of it.
        if serde_json::from_slice::<Command>(&text).ok().as_ref() != Some(&command) {
            return Err(failed(libc::EINVAL));
        }
        let descriptors: Vec<RawFd> =
            acquired.streams.iter().copied().chain(extra.into_iter().flatten().map(|fd| fd.as_raw_fd())).collect();
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let vector = [std::io::IoSlice::new(&text)];
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        sendmsg::<UnixAddr>(self.control.as_raw_fd(), &vector, &rights, flags, None)
            .map_err(|errno| failed(errno as i32))?;
        wait(&self.control, PATIENCE)?;
        let mut bytes = [0u8; SIZE];
        match fd::receive(self.control.as_fd(), &mut bytes).map_err(failed)? {
            (SIZE, _) if Frame::decode(bytes) == Some(Frame::Taken) => go_on(self.control.as_fd()).map_err(failed),
            _ => Err(failed(libc::ECONNRESET)),
        }
    }
}

/// What has come from whoever clones leaders.
#[derive(Debug)]
pub enum Heard {
    /// Nothing yet.
    Nothing,
    /// It is inside; a pidfd of it.
    Inside(OwnedFd),
    /// A leader waits at the next of the sockets that were sent; a pidfd of it.
    Leader(OwnedFd),
}

/// Hears what has come, without waiting.
///
/// # Errors
///
/// There will be no leader: the error number.
pub fn hear_leaders(control: BorrowedFd<'_>) -> Result<Heard, i32> {
    let mut list = [PollFd::new(control, PollFlags::POLLIN)];
    if poll(&mut list, PollTimeout::ZERO).is_ok_and(|ready| ready == 0) {
        return Ok(Heard::Nothing);
    }
    let mut bytes = [0u8; SIZE];
    let (count, descriptors) = fd::receive(control, &mut bytes)?;
    match Frame::decode(bytes).filter(|_| count == SIZE) {
        Some(Frame::Joined(_)) => descriptors.into_iter().next().map(Heard::Inside).ok_or(libc::EMFILE),
        Some(Frame::Standing) => descriptors.into_iter().next().map(Heard::Leader).ok_or(libc::EMFILE),
        _ => Err(libc::ECONNRESET),
    }
}

/// Waits until there is something to be read.
fn wait(from: &OwnedFd, patience: Duration) -> Result<(), Error> {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(from.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Err(Error::setup("wait for a leader", libc::ETIMEDOUT)),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(Error::setup("wait for a leader", errno as i32)),
            Ok(_) => return Ok(()),
        }
    }
}

/// Asks for a leader that waits at `socket`.
///
/// # Errors
///
/// The error number.
pub fn ask_for_leader(control: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> Result<(), i32> {
    child::send_descriptors(control.as_raw_fd(), &[0], &[socket.as_raw_fd()])
}

/// Leaves a process in the sandbox that clones a leader for each socket that comes through `control`. It and they are children of our
/// parent. Ends this process, which has no other threads.
///
/// # Errors
///
/// What keeps it from being brought there; nothing is inside then.
pub fn stand_by(order: &Order, store: Option<&Store>, joined: &Joined, control: OwnedFd) -> Result<(), Error> {
    let control = fd::above_standard(control).map_err(|errno| Error::setup("move a descriptor", errno))?;
    let lease = images::lease(order, store)?;
    let host = joined.probe(&order.spec, super::root(order, lease.as_ref()))?;
    drop(lease);
    let plan = joined.way_of_a_leader(order, &host);
    // It reads that its children have ended from a descriptor, as those do whose caller listens to signals.
    child::set_signal_mask(u64::MAX).map_err(|errno| Error::setup("block signals", errno))?;
    let number = |fd: &OwnedFd| fd.as_raw_fd();
    let namespaces: Vec<RawFd> = joined.namespaces.iter().map(number).collect();
    let inside = Inside {
        control: control.as_raw_fd(),
        entered: Entered::find(),
        command_line: proc::command_line().map_err(|errno| Error::setup("find the command line", errno))?,
        enforced: &joined.enforced,
        host: &host,
    };
    let mut stack = Vec::new();
    let cgroup = joined.cgroup.as_ref().map_or(-1, number);
    let context = Context { namespaces: &namespaces, cgroup, ..inside.context(&plan, &mut stack) };
    let mut state = Walk { in_cgroup: false, ..Walk::new() };
    // From the step `Lead` on it is who stays inside that goes on.
    if let Err(refusal) = walk(context.init, false, &context, &mut state) {
        init::give_up(&context, refusal);
    }
    inside.clone_leaders(state)
}

/// What whoever stays inside has while it waits.
struct Inside<'a> {
    control: RawFd,
    entered: Option<Entered>,
    command_line: (*mut u8, usize),
    enforced: &'a Enforcements,
    host: &'a Host,
}

impl Inside<'_> {
    fn context<'p>(&self, plan: &'p Plan, stack: &mut [u8]) -> Context<'p> {
        Context {
            init: &plan.steps.init,
            payload: &plan.steps.payload,
            control: self.control,
            foreign: &[],
            duty: Duty::Lead,
            namespaces: &[],
            ruleset: -1,
            cgroup: -1,
            code: -1,
            time_left: None,
            streams: [-1; 3],
            arguments: std::ptr::null(),
            environment: std::ptr::null(),
            command_line: self.command_line,
            given: None,
            stack_top: launch::top(stack),
            tells_usage: true,
            fail: None,
            meeting: Meeting::default(),
        }
    }

    /// Clones leaders until nobody wants any.
    fn clone_leaders(&self, state: Walk) -> ! {
        // Of the host nothing is left open.
        if close_all_but(&[self.control, state.proc]).is_err() {
            child::exit(125);
        }
        loop {
            let Some(socket) = self.next_socket() else { child::exit(0) };
            let socket = socket.into_raw_fd();
            match init::sibling() {
                Ok(Sibling::Parent(_, pidfd)) => {
                    let told = child::send_descriptors(self.control, &Frame::Standing.encode(), &[pidfd]);
                    child::close(socket);
                    child::close(pidfd);
                    if told.is_err() {
                        child::exit(125);
                    }
                }
                Ok(Sibling::Child) => {
                    child::close(self.control);
                    Inside { control: socket, ..*self }.lead(state)
                }
                // It is done without.
                Err(_) => child::exit(125),
            }
        }
    }

    fn next_socket(&self) -> Option<OwnedFd> {
        let mut byte = [0];
        let (_, descriptors) = receive(self.control, &mut byte)?;
        fd::above_standard(descriptors.into_iter().next()?).ok()
    }

    /// Waits for a command, leads it, and leaves. What it cannot take it has not begun.
    fn lead(&self, mut state: Walk) -> ! {
        if child::process_control(libc::PR_SET_CHILD_SUBREAPER, 1, 0).is_err() {
            child::exit(125);
        }
        self.entered.inspect(|entered| entered.touch());
        let Some((command, descriptors)) = self.hear() else { child::exit(0) };
        let order = Order { own: command.own, ..command.order };
        let Ok(plan) = Plan::lead(&order, self.host, self.enforced) else { child::exit(125) };
        let mut stack = launch::stack();
        let (arguments, environment) = launch::words(&plan);
        let mut numbers = descriptors.iter().map(|fd| fd.as_raw_fd());
        let (Some(input), Some(output), Some(error)) = (numbers.next(), numbers.next(), numbers.next()) else {
            child::exit(125)
        };
        let mut next = |there: bool| if there { numbers.next().unwrap_or(-1) } else { -1 };
        let (ruleset, code) = (next(command.ruleset), next(command.code));
        let time_left = command.time_left.map(|left| *TimeSpec::from(Duration::from_millis(left)).as_ref());
        let context = Context {
            streams: [input, output, error],
            ruleset,
            code,
            time_left,
            arguments: arguments.as_ptr(),
            environment: environment.as_ptr(),
            ..self.context(&plan, &mut stack)
        };
        if self.tell(Frame::Taken).is_err() || receive(self.control, &mut [0]).is_none() {
            child::exit(0);
        }
        // From here on the command's process shares our memory.
        allocator::enter_child();
        match walk(context.init, false, &context, &mut state) {
            Ok(()) => init::tend(&context, &mut state),
            Err(refusal) => init::give_up(&context, refusal),
        }
    }

    fn tell(&self, frame: Frame) -> Result<(), i32> {
        child::send_descriptors(self.control, &frame.encode(), &[])
    }

    /// The command; nothing, where there is nobody any more, or nothing that can be read.
    fn hear(&self) -> Option<(Command, Vec<OwnedFd>)> {
        let mut bytes = vec![0; LONGEST];
        let (count, descriptors) = receive(self.control, &mut bytes)?;
        // Which nobody closes who then goes on: the payload's are copies.
        let descriptors = descriptors.into_iter().map(fd::above_standard).collect::<Result<_, _>>().ok()?;
        Some((serde_json::from_slice(bytes.get(..count)?).ok()?, descriptors))
    }
}

/// The next message; nothing, where there is nobody any more.
fn receive(from: RawFd, bytes: &mut [u8]) -> Option<(usize, Vec<OwnedFd>)> {
    let from = init::borrow(from)?;
    loop {
        match fd::receive(from, bytes) {
            Err(libc::EINTR) => {}
            Ok((0, _)) | Err(_) => return None,
            Ok(message) => return Some(message),
        }
    }
}

/// Closes every descriptor but these two.
fn close_all_but(kept: &[RawFd; 2]) -> Result<(), i32> {
    let (low, high) = (kept[0].min(kept[1]), kept[0].max(kept[1]));
    for (first, last) in [(0, low - 1), (low + 1, high - 1), (high + 1, RawFd::MAX)] {
        if first <= last {
            child::close_range(first as u32, last as u32, 0)?;
        }
    }
    Ok(())
}
