//! What the process that takes connections for a sandbox may ask of the kernel.

use super::X86_64;
use crate::seccomp::evaluate::{Call, run};
use crate::seccomp::{NAMES, PUBLISHER, builtin, compile};
use serde_json::Value;

const SOURCE: &str = include_str!("../../../seccomp/publisher.json");

fn is_allowed(number: i64, args: [u64; 6]) -> bool {
    let call = Call { arch: X86_64, number: number as u32, args };
    match run(builtin(PUBLISHER).unwrap(), &call).verdict {
        libc::SECCOMP_RET_ALLOW => true,
        verdict => {
            assert_eq!(verdict, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
            false
        }
    }
}

#[test]
fn its_profile_is_that_of_the_file_and_nobody_can_ask_for_it() {
    let steps = |program: &[libc::sock_filter]| -> Vec<_> {
        program.iter().map(|step| (step.code, step.jt, step.jf, step.k)).collect()
    };
    assert_eq!(steps(&compile(SOURCE.as_bytes()).unwrap()), steps(builtin(PUBLISHER).unwrap()));
    assert!(!NAMES.contains(&PUBLISHER));
    let profile: Value = serde_json::from_str(SOURCE).unwrap();
    for rule in profile["permitted"]["filter"].as_array().unwrap() {
        assert!(rule["comment"].as_str().unwrap_or_default().len() > 8, "{rule}");
    }
}

#[test]
fn it_has_sockets_of_tcp_and_no_others() {
    let socket = |family, kind, protocol| is_allowed(libc::SYS_socket, [family, kind, protocol, 0, 0, 0]);
    let flags = (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64;
    for family in 0..64 {
        for kind in 0..12 {
            let tcp =
                [libc::AF_INET as u64, libc::AF_INET6 as u64].contains(&family) && kind == libc::SOCK_STREAM as u64;
            assert_eq!((socket(family, kind, 0), socket(family, kind | flags, 0)), (tcp, tcp), "{family} {kind}");
            assert!(!socket(family, kind, libc::IPPROTO_MPTCP as u64) && !socket(family, kind, 132), "{family} {kind}");
        }
    }
}

#[test]
fn it_opens_no_file_starts_nothing_and_hands_nothing_on() {
    use libc::{
        SYS_bind, SYS_clone, SYS_clone3, SYS_dup, SYS_execve, SYS_fcntl, SYS_fork, SYS_ioctl, SYS_kill, SYS_listen,
        SYS_mmap, SYS_mprotect, SYS_open, SYS_openat, SYS_prctl, SYS_ptrace, SYS_read, SYS_recvmsg, SYS_sendmsg,
        SYS_sendto, SYS_setns, SYS_unshare,
    };
    for number in [
        SYS_bind,
        SYS_clone,
        SYS_clone3,
        SYS_dup,
        SYS_execve,
        SYS_fcntl,
        SYS_fork,
        SYS_ioctl,
        SYS_kill,
        SYS_listen,
        SYS_mmap,
        SYS_mprotect,
        SYS_open,
        SYS_openat,
        SYS_prctl,
        SYS_ptrace,
        SYS_read,
        SYS_recvmsg,
        SYS_sendmsg,
        SYS_sendto,
        SYS_setns,
        SYS_unshare,
    ] {
        assert!(!is_allowed(number, [0; 6]), "{number}");
    }
    let write = |fd| is_allowed(libc::SYS_write, [fd, 0, 0, 0, 0, 0]);
    assert_eq!([write(0), write(1), write(3)], [true, false, false]);
}
