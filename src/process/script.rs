//! The steps of a payload as a script for a process that somebody else forks: what a payload does to itself before it executes, a copy
//! of a warm interpreter has done to it before any code of a run is there.
//!
//! A step that has a counterpart is translated, one by one and in the same order; the others belong to a process that is cloned by
//! pid 1 of its sandbox: they are named here, so that a new step is a new decision.

use super::plan::Plan;
use crate::error::Error;
use crate::step::{Capabilities, Command, Step};
use crate::sys::fd;
use crate::warm::script::{Argument, Call, Script};
use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// A script, and the descriptors that go along with it.
pub struct Written {
    script: Script,
    descriptors: Vec<OwnedFd>,
}

impl Written {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.script.encode()
    }

    /// What goes along, in order.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.descriptors.iter().map(|fd| fd.as_fd())
    }

    /// Sends one more along.
    fn take(&mut self, descriptor: OwnedFd) -> Argument {
        self.descriptors.push(descriptor);
        Argument::Descriptor(self.descriptors.len() as u64 - 1)
    }
}

fn number(value: impl Into<i64>) -> Argument {
    Argument::Number(value.into() as u64)
}

/// Writes down how a copy gets into `namespaces`, which are of these `kinds`, and into the cgroup, and what is done to it there by the
/// payload's steps of `plan`. Where `command` is given it executes that at the end, and is no copy any more.
///
/// # Errors
///
/// `Setup`, where a step has no counterpart.
pub fn write(
    plan: &Plan,
    namespaces: Vec<(OwnedFd, i32)>,
    cgroup: Option<OwnedFd>,
    ruleset: Option<OwnedFd>,
    command: Option<&Command>,
) -> Result<Written, Error> {
    let mut written = Written { script: Script::default(), descriptors: Vec::new() };
    if let Some(procs) = cgroup {
        // Itself, before it takes any memory.
        let (procs, zero) = (written.take(procs), written.script.keep(b"0"));
        written.script.outside.push(Call::new(libc::SYS_write, &[procs, Argument::Pointer(zero), number(1)]));
    }
    for (namespace, kind) in namespaces {
        let namespace = written.take(namespace);
        let call = Call::new(libc::SYS_setns, &[namespace, number(kind)]);
        // The namespace of users gives the right to the others; that of pids takes in only children.
        match kind {
            libc::CLONE_NEWUSER => written.script.outside.insert(usize::from(!written.script.outside.is_empty()), call),
            libc::CLONE_NEWPID => written.script.outside.push(call),
            _ => written.script.inside.push(call),
        }
    }
    let ruleset = ruleset.map(|ruleset| written.take(ruleset));
    let script = &mut written.script;
    let null = open(script, c"/dev/null", libc::O_RDWR);
    for standard in 0..=2 {
        script.inside.push(Call::new(libc::SYS_dup3, &[null, number(standard), number(0)]));
    }
    for step in &plan.steps.payload {
        translate(step, ruleset, script)?;
    }
    match command {
        // It is dumpable by itself from then on; until then its memory is the template's.
        Some(Command { candidates, arguments, environment }) => script.execute(candidates, arguments, environment),
        // As any program is that has just been executed.
        None => script.child.push(control(libc::PR_SET_DUMPABLE, 1, 0)),
    }
    Ok(written)
}

/// Opens a file inside; what it is there.
fn open(script: &mut Script, path: &CStr, flags: i32) -> Argument {
    let path = script.keep(path.to_bytes_with_nul());
    let flags = number(flags | libc::O_CLOEXEC);
    script.inside.push(Call::new(libc::SYS_openat, &[number(libc::AT_FDCWD), Argument::Pointer(path), flags]));
    Argument::Result(script.inside.len() as u64 - 1)
}

fn control(option: i32, first: u64, second: u64) -> Call {
    Call::new(libc::SYS_prctl, &[number(option), Argument::Number(first), Argument::Number(second)])
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn translate(step: &Step, ruleset: Option<Argument>, script: &mut Script) -> Result<(), Error> {
    match step {
        Step::FileModeMask(mask) => script.inside.push(Call::new(libc::SYS_umask, &[number(*mask)])),
        Step::Limit { resource, soft, hard, .. } => {
            let limit = Argument::Pointer(script.keep(&bytes(&[*soft, *hard])));
            let call = Call::new(libc::SYS_prlimit64, &[number(0), number(*resource), limit]);
            // Whoever makes the copy counts as well, until it is made.
            let counted = *resource == libc::RLIMIT_NPROC as u32;
            if counted { script.child.push(call) } else { script.inside.push(call) }
        }
        Step::SessionKeyring { needed } => {
            const KEYCTL_JOIN_SESSION_KEYRING: i32 = 1;
            let call = Call::new(libc::SYS_keyctl, &[number(KEYCTL_JOIN_SESSION_KEYRING), number(0)]);
            script.inside.push(if *needed { call } else { call.or_not() });
        }
        Step::DropBounding { last, keep } => drop_bounding(*last, *keep, script),
        Step::Processors(processors) => {
            let mask = bytes(processors.mask());
            let place = Argument::Pointer(script.keep(&mask));
            script.inside.push(Call::new(libc::SYS_sched_setaffinity, &[number(0), number(mask.len() as i64), place]));
        }
        Step::BecomeUser { uid, gid } => {
            script.inside.push(Call::new(libc::SYS_setgroups, &[number(0), number(0)]));
            script.inside.push(Call::new(libc::SYS_setresgid, &[number(*gid); 3]));
            script.inside.push(Call::new(libc::SYS_setresuid, &[number(*uid); 3]));
        }
        Step::ClearCapabilities { keep } => {
            const VERSION_3: u32 = 0x2008_0522;
            let (low, high) = (keep.bits() as u32, (keep.bits() >> 32) as u32);
            let data: Vec<u8> = [low, low, 0, high, high, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
            let (header, data) = (script.keep(&bytes(&[u64::from(VERSION_3)])), script.keep(&data));
            let arguments = [Argument::Pointer(header), Argument::Pointer(data)];
            script.inside.push(Call::new(libc::SYS_capset, &arguments));
        }
        Step::NoNewPrivileges => script.inside.push(control(libc::PR_SET_NO_NEW_PRIVS, 1, 0)),
        Step::WorkingDirectory(path) => {
            let path = script.keep(path.to_bytes_with_nul());
            script.inside.push(Call::new(libc::SYS_chdir, &[Argument::Pointer(path)]));
        }
        Step::Landlock { rules } => {
            let ruleset = ruleset.ok_or_else(|| Error::setup("restrict by landlock", libc::EBADF))?;
            landlock(ruleset, rules, script);
        }
        Step::Seccomp { program, .. } => seccomp(program, script),
        Step::NewSession => script.child.push(Call::new(libc::SYS_setsid, &[])),
        // Of pid 1's own child: its network, which the spare has, and that it waits for pid 1, which has nothing left to do.
        Step::NewNetwork | Step::LoopbackUp | Step::NetworkReady | Step::AwaitRoot | Step::AwaitRelease => {}
        // The interpreter was executed with all signals as they are by default, and who makes the copy lets them in.
        Step::DefaultSignals | Step::UnblockSignals => {}
        // A copy has nothing open, is given its streams with the code, and is as undumpable as the interpreter until the end.
        Step::CloseDescriptors | Step::StandardStreams | Step::BeUndumpable | Step::Execute(_) => {}
        step => return Err(Error::setup(format!("do to a copy of a warm interpreter: {step}"), libc::ENOTSUP)),
    }
    Ok(())
}

fn drop_bounding(last: u8, keep: Capabilities, script: &mut Script) {
    const PR_CAP_AMBIENT: i32 = 47;
    const PR_CAP_AMBIENT_CLEAR_ALL: u64 = 4;
    script.inside.push(control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0));
    let dropped = (0..=last).filter(|capability| !keep.has(*capability));
    script.inside.extend(dropped.map(|capability| control(libc::PR_CAPBSET_DROP, capability.into(), 0)));
}

fn landlock(ruleset: Argument, rules: &[(std::ffi::CString, u64)], script: &mut Script) {
    const PATH_BENEATH: i32 = 1;
    for (path, access) in rules {
        let file = open(script, path, libc::O_PATH);
        // `struct landlock_path_beneath_attr`: the rights, and behind them the descriptor.
        let rule = script.keep(&bytes(&[*access, 0]));
        script.inside.push(Call::put(rule.plus(8), file, 4));
        let arguments = [ruleset, number(PATH_BENEATH), Argument::Pointer(rule), number(0)];
        script.inside.push(Call::new(libc::SYS_landlock_add_rule, &arguments));
    }
    script.inside.push(Call::new(libc::SYS_landlock_restrict_self, &[ruleset, number(0)]));
}

fn seccomp(program: &[libc::sock_filter], script: &mut Script) {
    const SECCOMP_SET_MODE_FILTER: i32 = 1;
    let words = program.iter().flat_map(|step| {
        let [low, high] = step.code.to_ne_bytes();
        let [a, b, c, d] = step.k.to_ne_bytes();
        [low, high, step.jt, step.jf, a, b, c, d]
    });
    let filter = script.keep(&words.collect::<Vec<u8>>());
    // `struct sock_fprog`: the length, and behind it the address.
    let head = script.keep(&bytes(&[program.len() as u64, 0]));
    script.inside.push(Call::put(head.plus(8), Argument::Pointer(filter), 8));
    let arguments = [number(SECCOMP_SET_MODE_FILTER), number(0), Argument::Pointer(head)];
    script.inside.push(Call::new(libc::SYS_seccomp, &arguments));
}

/// The script in a file in memory that nobody can change, for who executes it.
///
/// # Errors
///
/// `Setup`, where there is none left.
pub fn in_memory(bytes: &[u8]) -> Result<OwnedFd, Error> {
    fd::sealed_file(c"belljar-script", bytes)
        .map_err(|error| Error::setup("write a script into memory", error.raw_os_error().unwrap_or(libc::EIO)))
}
