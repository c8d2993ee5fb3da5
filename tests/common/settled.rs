//! The same surroundings for every test, however the test program was started: by a terminal, by nohup(1), by a service
//! that ignores signals, with other descriptors, limits and variables than ours. A test that is about surroundings makes
//! them for the command that it starts.
#![allow(unsafe_code)] // system calls that std has no words for

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::stat::{Mode, umask};
use std::ffi::OsStr;
use std::sync::LazyLock;

/// Variables of ours that are for the tests, or for the guests of `tests/vm`.
pub const OURS: [&str; 8] = [
    "BELLJAR_BIN",
    "BELLJAR_RELEASE_BIN",
    "BELLJAR_FIXTURES",
    "BELLJAR_GUEST",
    "BELLJAR_PLACE",
    "BELLJAR_TEST_IMAGES",
    "BELLJAR_TEST_SEED",
    "BELLJAR_TEST_SCALE",
];

/// Variables that change what programs say or do, ours or those that tests call.
const FOREIGN: [&str; 32] = [
    "BASH_ENV",
    "CARGO_MAKEFLAGS",
    "CDPATH",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLORTERM",
    "COLUMNS",
    "DOCKER_CONFIG",
    "ENV",
    "FORCE_COLOR",
    "GREP_COLORS",
    "GREP_OPTIONS",
    "GZIP",
    "LANG",
    "LANGUAGE",
    "LINES",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    "NO_COLOR",
    "NODE_OPTIONS",
    "POSIXLY_CORRECT",
    "REGISTRY_AUTH_FILE",
    "RUST_LOG",
    "SHELLOPTS",
    "SOURCE_DATE_EPOCH",
    "TAR_OPTIONS",
    "TERM",
    "TZ",
    "XZ_DEFAULTS",
    "XZ_OPT",
    "ZSTD_CLEVEL",
];

/// Families of such variables.
const FAMILIES: [&str; 5] = ["BELLJAR_", "GIT_", "LC_", "PYTHON", "XDG_"];

/// Settles the process, once. Whoever starts anything asks for a program or for a scratch directory first, and thereby for this.
pub fn settle() {
    static SETTLED: LazyLock<()> = LazyLock::new(|| {
        variables();
        signals();
        limits();
        umask(Mode::from_bits_truncate(0o022));
        // A child gets what a test gives it, and nothing that the caller had left open.
        let flags = libc::CLOSE_RANGE_CLOEXEC;
        belljar::sys::child::close_range(3, u32::MAX, flags).expect("mark foreign descriptors");
    });
    *SETTLED
}

fn variables() {
    let foreign = |name: &OsStr| {
        let name = name.to_string_lossy();
        let of_a_family = FAMILIES.iter().any(|family| name.starts_with(family));
        // The last is where the user's systemd is.
        let kept = OURS.contains(&&*name) || name == "XDG_RUNTIME_DIR";
        FOREIGN.contains(&&*name) || of_a_family && !kept
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| foreign(name)) {
        // SAFETY: whatever else reads variables here is std, which has a lock for them.
        unsafe { std::env::remove_var(name) };
    }
}

/// What is ignored stays ignored in children (execve(2)), and what is blocked in children of threads.
fn signals() {
    for signal in (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGPIPE, 32, 33].contains(signal)) {
        // SAFETY: both arguments are of this frame, and nothing is set but what the kernel has for everybody.
        unsafe {
            let mut found: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, std::ptr::null(), &raw mut found) == 0 && found.sa_sigaction == libc::SIG_IGN {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).expect("unblock all signals");
}

/// Soft limits as a login has them, as far as the hard ones go.
fn limits() {
    const LOGIN: [(Resource, rlim_t); 6] = [
        (Resource::RLIMIT_NOFILE, 4096),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_STACK, 8 << 20),
        (Resource::RLIMIT_FSIZE, rlim_t::MAX),
        (Resource::RLIMIT_CPU, rlim_t::MAX),
        (Resource::RLIMIT_AS, rlim_t::MAX),
    ];
    for (resource, wanted) in LOGIN {
        let (_, hard) = getrlimit(resource).expect("look at a limit");
        setrlimit(resource, wanted.min(hard), hard).expect("set a limit");
    }
}
