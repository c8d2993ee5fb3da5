//! What the built-in profiles promise, for every number and many arguments.

use std::collections::BTreeSet;

use proptest::prelude::*;
use seccompiler::TargetArch;
use serde_json::Value;

use super::{SOURCES, X86_64, cases};
use crate::seccomp::evaluate::{Call, run};
use crate::seccomp::profile::Profile;
use crate::seccomp::{BUILD, NAMES, builtin, compile, tree};

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

fn verdict(profile: &str, number: i64, args: [u64; 6]) -> u32 {
    run(builtin(profile).unwrap(), &Call { arch: X86_64, number: number as u32, args }).verdict
}

fn errno(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

#[test]
fn every_name_has_a_program_and_other_names_have_none() {
    assert!(NAMES.iter().all(|name| builtin(name).is_some()));
    assert!(builtin("Default").is_none() && builtin("").is_none());
}

#[test]
fn the_embedded_programs_are_those_of_the_files() {
    for (name, json) in SOURCES {
        let steps = |program: &[libc::sock_filter]| -> Vec<_> {
            program.iter().map(|step| (step.code, step.jt, step.jf, step.k)).collect()
        };
        assert_eq!(steps(&compile(json.as_bytes()).unwrap()), steps(builtin(name).unwrap()), "{name}");
    }
}

#[test]
fn every_rule_has_a_reason() {
    for (name, json) in SOURCES {
        let profile: Value = serde_json::from_str(json).unwrap();
        for (filter, body) in profile.as_object().unwrap() {
            for rule in body["filter"].as_array().unwrap() {
                let reason = rule["comment"].as_str().unwrap_or_default();
                assert!(reason.len() > 8, "{name}: {filter}: {rule}");
            }
        }
    }
}

#[test]
fn every_call_that_has_a_name_has_a_decision() {
    // Newer than seccompiler's table, so no profile can name them: ENOSYS, as for all numbers unknown.
    let nameless: BTreeSet<&str> = [
        "uprobe",
        "setxattrat",
        "getxattrat",
        "listxattrat",
        "removexattrat",
        "open_tree_attr",
        "file_getattr",
        "file_setattr",
    ]
    .into();
    for (name, json) in SOURCES {
        let profile = Profile::parse(json.as_bytes(), TargetArch::x86_64).unwrap();
        let decided: BTreeSet<u32> =
            profile.filters.iter().flat_map(|filter| &filter.rules).map(|rule| rule.number).collect();
        let undecided: BTreeSet<&str> = (0..1024)
            .filter_map(syscalls::Sysno::new)
            .filter(|call| !decided.contains(&(call.id() as u32)))
            .map(|call| call.name())
            .collect();
        assert_eq!(undecided, nameless, "{name}");
    }
}

#[test]
fn names_have_the_numbers_that_another_library_gives_them() {
    for (_, json) in SOURCES {
        let profile = Profile::parse(json.as_bytes(), TargetArch::x86_64).unwrap();
        for rule in profile.filters.iter().flat_map(|filter| &filter.rules) {
            let number: syscalls::Sysno = rule.syscall.parse().unwrap();
            assert_eq!(rule.number, number.id() as u32, "{}", rule.syscall);
        }
    }
}

#[test]
fn the_profiles_compile_for_aarch64() {
    let arch = TargetArch::aarch64;
    for (name, json) in SOURCES {
        let profile = Profile::parse(json.as_bytes(), arch).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(tree::compile(&profile, arch).unwrap().len() < 320);
    }
}

#[test]
fn a_verdict_without_arguments_takes_few_steps() {
    for name in NAMES {
        let program = builtin(name).unwrap();
        let steps = |number| run(program, &Call { arch: X86_64, number, args: [0; 6] }).constant_steps;
        let total: usize = (0..470).map(steps).sum();
        assert!(total < 470 * 11, "{name}: {total} steps in {} instructions", program.len());
        assert!(program.len() < 320, "{name}: {} instructions", program.len());
    }
}

#[test]
fn another_abi_kills_the_process() {
    for name in NAMES {
        for arch in [0x4000_0003, 0xc000_00b7, 0] {
            let call = Call { arch, number: 20, args: [0; 6] };
            assert_eq!(run(builtin(name).unwrap(), &call).verdict, libc::SECCOMP_RET_KILL_PROCESS, "{name} {arch:x}");
        }
    }
}

#[test]
fn numbers_that_nobody_knows_answer_enosys() {
    for name in NAMES {
        for number in [463, 470, 471, 500, 600, 1000, 0x3fff_ffff, 0x4000_0000 + 39, 0x4000_0208, 0xffff_ffff] {
            assert_eq!(verdict(name, number, [0; 6]), errno(libc::ENOSYS), "{name} {number}");
        }
    }
}

#[test]
fn ordinary_sockets_are_allowed_and_strict_has_local_ones_only() {
    const CLOEXEC_NONBLOCK: u64 = 0o2_004_000;
    let internet =
        [(2, 1, 0), (2, 1, 6), (2, 2, 0), (2, 2, 17), (2, 2, 1), (10, 1, 0), (10, 2, 58), (16, 3, 0), (16, 2, 0)];
    for (family, kind, protocol) in internet {
        let args = [family, kind | CLOEXEC_NONBLOCK, protocol, 0, 0, 0];
        assert_eq!(verdict("default", libc::SYS_socket, args), ALLOW, "{args:?}");
        assert_eq!(verdict("strict", libc::SYS_socket, args), errno(libc::EAFNOSUPPORT), "{args:?}");
    }
    for name in NAMES {
        assert_eq!(verdict(name, libc::SYS_socket, [1, 1 | CLOEXEC_NONBLOCK, 0, 0, 0, 0]), ALLOW);
        assert_eq!(verdict(name, libc::SYS_socketpair, [1, 2, 0, 0, 0, 0]), ALLOW);
    }
}

#[test]
fn strict_has_no_locks_no_leases_and_no_sync() {
    for command in [5, 6, 7, 36, 37, 38] {
        assert_eq!(verdict("strict", libc::SYS_fcntl, [3, command, 0, 0, 0, 0]), errno(libc::ENOLCK));
        assert_eq!(verdict("default", libc::SYS_fcntl, [3, command, 0, 0, 0, 0]), ALLOW);
    }
    assert_eq!(verdict("strict", libc::SYS_fcntl, [3, 1024, 0, 0, 0, 0]), errno(libc::EPERM));
    assert_eq!(verdict("strict", libc::SYS_flock, [0; 6]), errno(libc::ENOLCK));
    assert_eq!(verdict("strict", libc::SYS_sync, [0; 6]), errno(libc::EPERM));
    assert_eq!(verdict("strict", libc::SYS_fcntl, [3, 1030, 0, 0, 0, 0]), ALLOW);
}

#[test]
fn what_nobody_needs_and_a_hostile_program_can_use_is_refused() {
    use libc::{SYS_mbind, SYS_memfd_create, SYS_personality, SYS_seccomp, SYS_set_mempolicy, SYS_vmsplice};
    for name in NAMES.into_iter().chain(["build"]) {
        for number in [SYS_mbind, SYS_set_mempolicy, SYS_vmsplice] {
            assert_eq!(verdict(name, number, [0; 6]), errno(libc::EPERM), "{name} {number}");
        }
        // Installing a filter is allowed, asking about filters is not.
        for operation in [2, 3] {
            assert_eq!(
                verdict(name, SYS_seccomp, [operation, 0, 0, 0, 0, 0]),
                errno(libc::EPERM),
                "{name} {operation}"
            );
        }
        let debug = name == "debug";
        assert_eq!(verdict(name, SYS_personality, [8, 0, 0, 0, 0, 0]), errno(libc::EPERM), "{name}");
        let randomized = if debug { ALLOW } else { errno(libc::EPERM) };
        assert_eq!(verdict(name, SYS_personality, [0x4_0000, 0, 0, 0, 0, 0]), randomized, "{name}");
        let in_memory = if debug { ALLOW } else { errno(libc::ENOSYS) };
        assert_eq!(verdict(name, SYS_memfd_create, [0; 6]), in_memory, "{name}");
        for number in [libc::SYS_sync, libc::SYS_syncfs] {
            let answer = if name == "build" { errno(0) } else { errno(libc::EPERM) };
            assert_eq!(verdict(name, number, [3, 0, 0, 0, 0, 0]), answer, "{name} {number}");
        }
    }
}

#[test]
fn what_runtimes_need_to_start_is_allowed() {
    let needed = [
        libc::SYS_arch_prctl,
        libc::SYS_rseq,
        libc::SYS_set_robust_list,
        libc::SYS_statx,
        libc::SYS_faccessat2,
        libc::SYS_close_range,
        libc::SYS_futex_waitv,
        libc::SYS_epoll_pwait2,
        libc::SYS_membarrier,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_send_signal,
        libc::SYS_fchmodat2,
        libc::SYS_execveat,
        libc::SYS_mseal,
        libc::SYS_landlock_create_ruleset,
        libc::SYS_landlock_restrict_self,
        libc::SYS_getrandom,
        335,
        453,
    ];
    for name in NAMES {
        for number in needed {
            assert_eq!(verdict(name, number, [0; 6]), ALLOW, "{name} {number}");
        }
        // A thread as glibc makes one, vfork as posix_spawn does, and a further filter of the program's own.
        assert_eq!(verdict(name, libc::SYS_clone, [0x003d_0f00, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(verdict(name, libc::SYS_clone, [0x4111, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(verdict(name, libc::SYS_seccomp, [1, 1, 0, 0, 0, 0]), ALLOW);
        assert_eq!(verdict(name, libc::SYS_prctl, [4, 0, 0, 0, 0, 0]), ALLOW);
    }
}

#[test]
fn the_profile_for_builds_pretends_owners_identities_and_syncing_and_allows_chroot_and_any_mode() {
    use libc::{SYS_chmod, SYS_chown, SYS_chroot, SYS_fchmod, SYS_fchmodat, SYS_fchmodat2, SYS_fchown, SYS_fchownat};
    use libc::{
        SYS_fdatasync, SYS_fsync, SYS_setresuid, SYS_setreuid, SYS_setuid, SYS_sync, SYS_sync_file_range, SYS_syncfs,
    };
    use libc::{SYS_lchown, SYS_setfsgid, SYS_setfsuid, SYS_setgid, SYS_setgroups, SYS_setregid, SYS_setresgid};
    let pretended = [
        SYS_chown,
        SYS_lchown,
        SYS_fchown,
        SYS_fchownat,
        SYS_setuid,
        SYS_setgid,
        SYS_setreuid,
        SYS_setregid,
        SYS_setresuid,
        SYS_setresgid,
        SYS_setfsuid,
        SYS_setfsgid,
        SYS_setgroups,
        SYS_fsync,
        SYS_fdatasync,
        SYS_sync,
        SYS_syncfs,
        SYS_sync_file_range,
    ];
    let allowed = [SYS_chroot, SYS_chmod, SYS_fchmod, SYS_fchmodat, SYS_fchmodat2];
    for number in 0..480 {
        for argument in [0, 0o4755, 2, u64::MAX] {
            let expected = match number {
                number if pretended.contains(&number) => errno(0),
                number if allowed.contains(&number) => ALLOW,
                number => verdict("default", number, [argument; 6]),
            };
            assert_eq!(verdict(BUILD, number, [argument; 6]), expected, "{number} {argument:o}");
        }
    }
    assert!(!NAMES.contains(&BUILD));
}

#[test]
fn the_profile_for_packages_is_the_default_but_for_set_user_id_bits() {
    use libc::{SYS_chmod, SYS_fchmod, SYS_fchmodat, SYS_fchmodat2};
    let allowed = [SYS_chmod, SYS_fchmod, SYS_fchmodat, SYS_fchmodat2];
    for number in 0..480 {
        for argument in [0, 0o4755, 2, u64::MAX] {
            let expected = match number {
                number if allowed.contains(&number) => ALLOW,
                number => verdict("default", number, [argument; 6]),
            };
            assert_eq!(verdict("packages", number, [argument; 6]), expected, "{number} {argument:o}");
        }
    }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn strict_allows_less_than_default_and_default_less_than_debug(
        number in 0..480_u32,
        args in proptest::array::uniform6(prop_oneof![0..64_u64, 1000..1040_u64, 0x5400..0x5460_u64, any::<u64>()]),
    ) {
        let call = Call { arch: X86_64, number, args };
        let allows = |name| run(builtin(name).unwrap(), &call).verdict == ALLOW;
        prop_assert!(!allows("strict") || allows("default"));
        prop_assert!(!allows("default") || allows("debug"));
    }
}
