//! The payload's process, up to its execution.
//!
//! Shares pid 1's memory, on a stack of its own. What goes wrong is left in the meeting place, where pid 1 finds it
//! when the process has ended: by then a filter may forbid everything else.
#![allow(unsafe_code)]

use super::child::{Context, Walk, walk};
use super::given;
use super::meeting::NEVER;
use super::report::{Applied, Stop, at};
use crate::step::Call;
use crate::sys::child;
use core::ffi::{CStr, c_char, c_void};
use core::sync::atomic::Ordering;
use std::ffi::CString;

/// Where the clone begins. `argument` is pid 1's `Context`.
pub extern "C" fn enter(argument: *mut c_void) -> i32 {
    // SAFETY: pid 1 passes its own context, which lives until pid 1 ends; nobody changes it but through atomics.
    let context = unsafe { &*argument.cast::<Context<'_>>() };
    let mut state = Walk::new();
    if let Err(refusal) = walk(context.payload, true, context, &mut state) {
        let meeting = &context.meeting;
        meeting.refusal.store(refusal.pack(), Ordering::Release);
        if meeting.network.compare_exchange(0, NEVER, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            child::wake(&meeting.network);
        }
    }
    child::exit(125)
}

/// Step `DefaultSignals`.
pub fn default_signals() -> Applied {
    for signal in 1..=64 {
        if signal != libc::SIGKILL && signal != libc::SIGSTOP {
            at(Call::Only, child::default_action(signal))?;
        }
    }
    Ok(())
}

/// execve(2) of the first candidate that can be executed, as execvp(3) chooses: what does not exist is passed over,
/// what may not be executed is remembered. Without a candidate it is the file that is open as code. A refusal names the candidate.
/// A command that came later takes the place of all that.
pub fn execute(candidates: &[CString], context: &Context<'_>) -> Applied {
    if let Some(room) = context.given {
        return given::execute(room, context);
    }
    let words = (context.arguments, context.environment);
    if candidates.is_empty() {
        context.meeting.executing.store(1, Ordering::Release);
        // SAFETY: as below.
        let errno = unsafe { child::execute_open(context.code, words.0, words.1) };
        return Err(Stop::candidate(0, errno));
    }
    execute_first(candidates.iter().map(CString::as_c_str), context, words)
}

/// The arrays that execve(2) takes: `argv` and `envp`.
type Words = (*const *const c_char, *const *const c_char);

/// execve(2) of the first of these that can be executed.
pub fn execute_first<'c>(
    candidates: impl Iterator<Item = &'c CStr>,
    context: &Context<'_>,
    (arguments, environment): Words,
) -> Applied {
    context.meeting.executing.store(1, Ordering::Release);
    let mut refusal = Stop::candidate(0, libc::ENOENT);
    for (index, path) in (0u8..).zip(candidates) {
        // SAFETY: both arrays were null-terminated by the supervisor and live as long as the context.
        match unsafe { child::execute(path, arguments, environment) } {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => refusal = Stop::candidate(index, libc::EACCES),
            errno => return Err(Stop::candidate(index, errno)),
        }
    }
    Err(refusal)
}
