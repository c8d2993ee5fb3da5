//! pid 1 of the sandbox: mounts, starts the payload, reaps, forwards signals, and ends when the payload ends or the
//! supervisor goes. With it the kernel ends everything else in the pid namespace.
#![allow(unsafe_code)]

use super::child::{Context, Duty, Walk, walk};
use super::leader;
use super::meeting::{NEVER, spin};
use super::report::{Applied, Errand, Frame, Refusal, Stop, at};
use crate::step::Call;
use crate::sys::allocator;
use crate::sys::child;
use crate::sys::clone::{self, Sibling};
use core::sync::atomic::Ordering;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Clones pid 1 into new `namespaces`; answers its pid and a descriptor of it. Returns to the supervisor only.
pub fn start(context: &Context<'_>, namespaces: i32, cgroup: Option<BorrowedFd<'_>>) -> Result<(i32, OwnedFd), i32> {
    // SAFETY: the supervisor has no other threads (adapters with threads start the binary itself), and the child
    // goes on with `run`, which uses `sys::child` on the memory that `context` prepared and never returns.
    match unsafe { clone::clone_process(namespaces, cgroup) }? {
        clone::Cloned::Child { in_cgroup } => run(context, in_cgroup && cgroup.is_some()),
        clone::Cloned::Parent(pid, pidfd) => Ok((pid, pidfd)),
    }
}

/// Runs pid 1, on the child's side of the clone.
fn run(context: &Context<'_>, in_cgroup: bool) -> ! {
    allocator::enter_child();
    for (first, last) in context.foreign {
        // A kernel without close_range(2) is below our floor; nothing is inherited by the payload in any case.
        let _ = child::close_range(*first, *last, 0);
    }
    // The caller's working directory may be gone, and pivot_root(2) moves only those who stand at the root. A
    // session of our own, so that no terminal's signals come here.
    let _ = child::change_directory(c"/");
    let _ = child::new_session();
    let mut state = Walk { in_cgroup, ..Walk::new() };
    match walk(context.init, false, context, &mut state) {
        Ok(()) => tend(context, &mut state),
        Err(refusal) => give_up(context, refusal),
    }
}

/// Tells the supervisor what went wrong. Where the payload's own refusal is the reason for ours, tells that.
pub fn give_up(context: &Context<'_>, refusal: Refusal) -> ! {
    // The payload waits for us, and does not end with a leader as it does with pid 1.
    context.meeting.release.store(NEVER, Ordering::Release);
    child::wake(&context.meeting.release);
    let frame = match Refusal::unpack(context.meeting.refusal.load(Ordering::Acquire)) {
        Some(refusal) => Frame::Refused { payload: true, refusal },
        None => Frame::Refused { payload: false, refusal },
    };
    send(context, frame);
    child::exit(125)
}

/// Tells the supervisor.
pub fn send(context: &Context<'_>, frame: Frame) {
    // If the supervisor is gone there is nobody to tell, and nothing else to do.
    let _ = child::send_descriptors(context.control, &frame.encode(), &[]);
}

/// Step `ForgetCommandLine`: leaves our name.
pub fn forget_command_line((start, length): (*mut u8, usize)) -> Applied {
    const NAME: &[u8] = b"belljar";
    // SAFETY: the kernel says that these bytes are the command line: writable memory of our own, which nobody reads
    // here any more; std has copied what it needs.
    unsafe {
        start.write_bytes(0, length);
        // The last byte stays 0: else the kernel takes what follows for a part of it (proc_pid_cmdline(5)).
        start.copy_from_nonoverlapping(NAME.as_ptr(), NAME.len().min(length.saturating_sub(1)));
    }
    Ok(())
}

/// Clones the leader of a command that joins.
pub fn sibling() -> Result<Sibling, i32> {
    // SAFETY: we are on the child's side of a clone, where nothing but `sys::child` is used on prepared memory, and so is
    // the leader, which goes on with the walk.
    unsafe { clone::clone_sibling() }
}

/// A descriptor of our own that stays open as long as we live.
pub fn borrow(fd: child::Fd) -> Option<BorrowedFd<'static>> {
    // SAFETY: opened by a step, and closed by nobody before the process ends.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Step `StartPayload`.
pub fn start_payload(context: &Context<'_>, state: &mut Walk, namespaces: i32) -> Applied {
    let argument = core::ptr::from_ref(context).cast_mut().cast();
    // SAFETY: the stack was made for this and is used by nobody else; it and the context stay until pid 1 ends,
    // which ends the payload too. `enter` uses `sys::child` only.
    let cloned = unsafe { clone::clone_sharing_memory(super::payload::enter, context.stack_top, argument, namespaces) };
    let (pid, pidfd) = cloned.map_err(|errno| Stop::at(Call::Only, errno))?;
    state.payload = pid;
    state.payload_pidfd = pidfd;
    Ok(())
}

/// Waits for the payload's network, as long as there is a payload: nobody else would tell that it was killed.
pub fn await_network(context: &Context<'_>, state: &Walk) -> u32 {
    const GLANCE: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let word = &context.meeting.network;
    let mut payload = [libc::pollfd { fd: state.payload_pidfd, events: libc::POLLIN, revents: 0 }];
    let mut at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        match spin(word) {
            0 => child::wait_on(word, 0, Some(&GLANCE)),
            value => return value,
        }
        let ended = word.load(Ordering::Acquire) == 0 && child::poll(&mut payload, Some(&mut at_once)) == Ok(1);
        if ended && word.load(Ordering::Acquire) == 0 {
            return NEVER;
        }
    }
}

/// Step `BecomeMounter`.
pub fn become_mounter(uid: u32, gid: u32) -> Applied {
    at(Call::SetUid, child::keep_capabilities())?;
    at(Call::SetGroups, child::clear_groups())?;
    at(Call::SetGid, child::set_gid(gid))?;
    at(Call::SetUid, child::set_uid(uid))?;
    // A change of ids takes it back, and to join the payload's network is to look at the payload.
    at(Call::Only, child::process_control(libc::PR_SET_DUMPABLE, 1, 0)).map(|_| ())
}

/// Step `ReportReady`.
pub fn report_ready(context: &Context<'_>, state: &mut Walk, namespaces: &[i32]) -> Applied {
    let flags = libc::O_DIRECTORY | libc::O_CLOEXEC;
    let mut all = [-1; child::MOST_DESCRIPTORS];
    all[0] = child::open(child::CWD, c"/", libc::O_PATH | flags, 0).map_err(|errno| Stop::at(Call::OpenRoot, errno))?;
    all[1] = child::open(child::CWD, c"/proc", libc::O_RDONLY | flags, 0)
        .map_err(|errno| Stop::at(Call::OpenProc, errno))?;
    let mut count = 2;
    for held in &mut state.ipc {
        if let Some(slot) = all.get_mut(count).filter(|_| *held >= 0) {
            *slot = core::mem::replace(held, -1);
            count += 1;
        }
    }
    let lists = (count - 2) as u8;
    for (slot, kind) in all.iter_mut().skip(count).zip(namespaces) {
        *slot = child::open(child::CWD, namespace(*kind), libc::O_RDONLY | libc::O_CLOEXEC, 0)
            .map_err(|errno| Stop::at(Call::OpenNamespace, errno))?;
        count += 1;
    }
    for held in [&mut state.writable, &mut state.terminal] {
        if let Some(slot) = all.get_mut(count).filter(|_| *held >= 0) {
            *slot = core::mem::replace(held, -1);
            count += 1;
        }
    }
    let descriptors = all.get(..count).unwrap_or_default();
    child::send_descriptors(context.control, &Frame::Ready { lists }.encode(), descriptors)
        .map_err(|errno| Stop::at(Call::Send, errno))?;
    for fd in descriptors {
        child::close(*fd);
    }
    if context.duty != Duty::Lead {
        for fd in [&mut state.root, &mut state.proc] {
            child::close(core::mem::replace(fd, -1));
        }
    }
    Ok(())
}

/// Our own namespace of a kind.
fn namespace(kind: i32) -> &'static core::ffi::CStr {
    match kind {
        libc::CLONE_NEWUSER => c"/proc/self/ns/user",
        libc::CLONE_NEWNS => c"/proc/self/ns/mnt",
        libc::CLONE_NEWPID => c"/proc/self/ns/pid",
        libc::CLONE_NEWUTS => c"/proc/self/ns/uts",
        libc::CLONE_NEWIPC => c"/proc/self/ns/ipc",
        libc::CLONE_NEWCGROUP => c"/proc/self/ns/cgroup",
        _ => c"/proc/self/ns/net",
    }
}

/// Step `ReportUsers`, of the payload.
pub fn report_users(context: &Context<'_>) -> Applied {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    let users =
        child::open(child::CWD, c"/proc/self/ns/user", flags, 0).map_err(|errno| Stop::at(Call::Open, errno))?;
    child::send_descriptors(context.control, &Frame::Users.encode(), &[users])
        .map_err(|errno| Stop::at(Call::Send, errno))
}

/// Reaps and forwards until the payload or the supervisor is gone.
pub fn tend(context: &Context<'_>, state: &mut Walk) -> ! {
    // The standard streams are the payload's: a reader of its output must see the end when it closes them.
    let kept = [context.control, if context.duty == Duty::Lead { state.proc } else { -1 }];
    let [first, last] = [kept[0].min(kept[1]), kept[0].max(kept[1])];
    if first >= 0 {
        let _ = child::close_range(0, (first - 1) as u32, 0);
        let _ = child::close_range((first + 1) as u32, (last - 1) as u32, 0);
    } else {
        let _ = child::close_range(0, (last - 1) as u32, 0);
    }
    let _ = child::close_range((last + 1) as u32, u32::MAX, 0);
    let Ok(children) = child::signal_descriptor(1 << (libc::SIGCHLD - 1)) else { child::exit(125) };
    let mut watched = [
        libc::pollfd { fd: context.control, events: libc::POLLIN, revents: 0 },
        libc::pollfd { fd: children, events: libc::POLLIN, revents: 0 },
    ];
    state.time_left = state.time_left.or(context.time_left);
    loop {
        reap(context, state);
        if child::poll(&mut watched, state.time_left.as_mut()) == Ok(0) {
            // The supervisor should have ended everybody by now, and is kept from its clock.
            match context.duty {
                Duty::Lead => leader::end_everybody(context, state),
                Duty::Run | Duty::Wait | Duty::Spare => child::exit(0),
            }
        }
        forward(context, state);
        let mut record = [0u8; 128];
        let _ = child::read(children, &mut record);
    }
}

/// Waits for whoever has ended; ends with the payload. Where the payload could not execute, pid 1 stays until the
/// supervisor has looked at the reason and ends it: with pid 1 the mounts go.
fn reap(context: &Context<'_>, state: &Walk) {
    while let Ok((pid, status)) = child::wait(-1, libc::WNOHANG | libc::__WALL) {
        if pid == 0 {
            return;
        }
        if pid == state.payload {
            if state.taken {
                send(context, Frame::Ended(status));
                child::exit(0)
            }
            let waits = matches!(context.duty, Duty::Wait | Duty::Spare);
            if waits && context.meeting.refusal.load(Ordering::Acquire) == 0 {
                // Not before: whoever counts what is inside of a spare must not find the payload of nothing.
                if context.duty == Duty::Spare {
                    send(context, Frame::Waiting);
                }
                continue;
            }
            let meeting = &context.meeting;
            let frame = match Refusal::unpack(meeting.refusal.load(Ordering::Acquire)) {
                Some(refusal) => {
                    send(context, Frame::Refused { payload: true, refusal });
                    continue;
                }
                None if meeting.executing.load(Ordering::Acquire) == 0 => Frame::Lost(status),
                None => Frame::Ended(status),
            };
            tell_usage(context);
            send(context, frame);
            child::exit(0)
        }
    }
}

/// Where our parent is not who wants to know: what the command and its children have used so far.
pub fn tell_usage(context: &Context<'_>) {
    if let Some((milliseconds, kib)) = context.tells_usage.then(child::usage_of_children).and_then(Result::ok) {
        send(context, Frame::UsedCpu(milliseconds));
        send(context, Frame::UsedMemory(kib));
    }
}

/// Passes signals on to the payload's process group.
fn forward(context: &Context<'_>, state: &mut Walk) {
    let mut signals = [0u8; 16];
    match child::receive_waiting(context.control, &mut signals) {
        // The supervisor is gone.
        Ok(0) if context.duty == Duty::Lead => leader::end_everybody(context, state),
        Ok(0) => child::exit(0),
        Ok(count) => {
            let told = signals.get(..count).unwrap_or_default();
            if let Some(errand) = Errand::decode(told).filter(|_| context.duty == Duty::Spare) {
                return run_errand(context, state, errand);
            }
            for signal in signals.iter().take(count).map(|signal| i32::from(*signal)) {
                match context.duty {
                    // To everybody but ourselves.
                    Duty::Wait => drop(child::kill(-1, signal)),
                    Duty::Lead if signal == libc::SIGKILL => leader::end_everybody(context, state),
                    Duty::Spare if !state.taken => {}
                    Duty::Run | Duty::Lead | Duty::Spare => pass_on(state, signal),
                }
            }
        }
        // Nothing has come.
        Err(_) => {}
    }
}

/// A signal for the payload.
fn pass_on(state: &Walk, signal: i32) {
    if child::kill(-state.payload, signal).is_err() {
        // It has not made its session yet.
        let _ = child::kill(state.payload, signal);
    }
}

/// Step `AwaitPublisher`: until the supervisor has heard of it, which says 0. What it says else are signals.
pub fn await_publisher(context: &Context<'_>, state: &Walk) -> Applied {
    let mut told = [0u8; 16];
    loop {
        match child::read(context.control, &mut told) {
            // The supervisor is gone.
            Ok(0) => child::exit(0),
            Ok(count) => {
                for byte in told.iter().take(count) {
                    match byte {
                        0 => return Ok(()),
                        signal => pass_on(state, i32::from(*signal)),
                    }
                }
            }
            Err(libc::EINTR) => {}
            Err(errno) => return Err(Stop::at(Call::Only, errno)),
        }
    }
}

/// What pid 1 of a spare is told.
fn run_errand(context: &Context<'_>, state: &mut Walk, errand: Errand) {
    match errand {
        Errand::Payload(pid) => {
            (state.payload, state.taken) = (pid, true);
            if child::kill(pid, 0).is_err() {
                // It has ended before anybody knew that it was to be waited for.
                send(context, Frame::Lost(libc::SIGKILL));
                child::exit(0)
            }
        }
        Errand::TimeLeft(milliseconds) => {
            let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
            state.time_left = Some(libc::timespec { tv_sec: seconds.into(), tv_nsec: i64::from(rest) * 1_000_000 });
        }
    }
}
