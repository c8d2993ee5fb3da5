//! Section B of the catalogue of attacks: interfaces of the kernel that are shut, each with the exact answer that the
//! program gets. One test for each case; numbers of calls are those of x86-64.
//!
//! Left out: 62, 63 are `tests/run/languages.rs` · 64's second half needs an option that logs denied calls.

use crate::common::{Scratch, python, python_result, shell};
use serde_json::Value;

const PRELUDE: &str = "
import ctypes, errno, mmap, os, resource, socket, struct, sys
L = ctypes.CDLL(None, use_errno=True)
def answer(value): return 'allowed' if value != -1 else errno.errorcode[ctypes.get_errno()]
def S(number, *args):
    args = [ctypes.c_long(a) if isinstance(a, int) else a for a in args] + [ctypes.c_long(0)] * (6 - len(args))
    return answer(L.syscall(ctypes.c_long(number), *args))
def sock(*args):
    try: socket.socket(*args).close(); return 'allowed'
    except OSError as e: return errno.errorcode[e.errno]
";

const PROFILES: [&str; 4] = ["default", "strict", "debug", "packages"];

/// What python printed after the prelude, in a run that went well.
fn printed(options: &[&str], code: &str) -> String {
    let run = python(options, &format!("{PRELUDE}{code}"));
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
    run.stdout
}

/// Every python expression of `calls` gives the answer that stands beside it, under `profile`.
fn answers_of(profile: &str, calls: &[(&str, &str)]) {
    let code: String = calls.iter().map(|(call, _)| format!("print({call:?}, '=', {call})\n")).collect();
    let expected: String = calls.iter().map(|(call, answer)| format!("{call} = {answer}\n")).collect();
    assert_eq!(printed(&["--seccomp", profile], &code), expected, "profile {profile}");
}

/// The same under every profile.
fn answers(calls: &[(&str, &str)]) {
    PROFILES.iter().for_each(|profile| answers_of(profile, calls));
}

/// All of these numbers get `answer`, with no arguments at all, under every profile.
fn all_answer(numbers: &[u32], answer: &str) {
    let calls: Vec<(String, &str)> = numbers.iter().map(|number| (format!("S({number})"), answer)).collect();
    answers(&calls.iter().map(|(call, answer)| (call.as_str(), *answer)).collect::<Vec<_>>());
}

// Case 28, CVE-2017-5226 (bubblewrap). With a terminal: `tests/run/terminal.rs`.
#[test]
fn no_keystroke_can_be_put_into_a_terminal() {
    answers(&[("S(16, 0, 0x5412, b'x')", "EPERM")]);
}

// Case 29, CVE-2019-10063 (flatpak): the kernel reads 32 bits of a request, a filter may read 64.
#[test]
fn a_request_with_high_bits_is_the_same_request() {
    answers(&[
        ("S(16, 0, 0x100005412, b'x')", "EPERM"),
        ("S(16, 0, -0x7fffffff00000000 + 0x5412, b'x')", "EPERM"),
        ("S(16, 0, 0x10000541c, b'x')", "EPERM"),
    ]);
}

// Case 30, CVE-2017-2636 (n_hdlc), and flatpak: the console's own ioctl, line disciplines, console redirection.
#[test]
fn no_terminal_gets_another_line_discipline() {
    answers(&[
        ("S(16, 0, 0x541c, b'\\2')", "EPERM"),
        ("S(16, 0, 0x5423, b'\\0' * 4)", "EPERM"),
        ("S(16, 0, 0x541d, 0)", "EPERM"),
    ]);
}

// Case 31, CVE-2022-0185, CVE-2023-32233.
#[test]
fn no_user_namespace_can_be_unshared() {
    answers(&[("S(272, 0x10000000)", "EPERM"), ("S(272, 0x10020000)", "EPERM"), ("S(272, 0x80)", "EPERM")]);
    for options in [&[][..], &["--user", "0"]] {
        assert_ne!(shell(options, "unshare -U true").code, Some(0));
        // Where the filter had a gap, the count would still refuse.
        assert_eq!(shell(options, "cat /proc/sys/user/max_user_namespaces").stdout, "0\n");
    }
}

// Case 32, the same by clone(2).
#[test]
fn no_namespace_can_be_cloned() {
    let flags =
        [0x1000_0000u32, 0x2_0000, 0x2000_0000, 0x4000_0000, 0x400_0000, 0x800_0000, 0x200_0000].map(|f| f | 17);
    let calls = flags.map(|flag| format!("S(56, {flag}, 0, 0, 0, 0)"));
    answers(&calls.each_ref().map(|call| (call.as_str(), "EPERM")));
}

// Case 33: its flags lie in memory, where no filter reads; ENOSYS makes C libraries take clone(2).
#[test]
fn clone3_is_not_there() {
    answers(&[("S(435, 0, 0)", "ENOSYS"), ("S(435, b'\\0' * 88, 88)", "ENOSYS")]);
}

// Case 34.
#[test]
fn no_namespace_can_be_joined() {
    answers(&[
        ("S(308, os.open('/proc/self/ns/net', 0), 0)", "EPERM"),
        ("S(308, os.pidfd_open(os.getpid()), 0x10000000)", "EPERM"),
    ]);
}

// Case 35, CVE-2022-0185: mount, umount2, pivot_root, chroot, move_mount, open_tree, fsopen, fsconfig, fsmount,
// fspick, mount_setattr.
#[test]
fn nothing_can_be_mounted() {
    all_answer(&[165, 166, 155, 161, 429, 428, 430, 431, 432, 433, 442], "EPERM");
}

// Case 36, CVE-2016-0728, and isolate: keyrings are not in a namespace.
#[test]
fn the_kernels_keyrings_are_out_of_reach() {
    answers(&[
        ("S(250, 0, -3, 0)", "EPERM"),
        ("S(248, b'user', b'k', b'v', 1, -3)", "EPERM"),
        ("S(249, b'user', b'k', 0, 0)", "EPERM"),
    ]);
}

// Case 37, CVE-2021-3490, CVE-2021-31440.
#[test]
fn no_bpf_program_can_be_loaded() {
    all_answer(&[321], "EPERM");
}

// Case 38, CVE-2013-2094.
#[test]
fn no_performance_event_can_be_opened() {
    answers(&[("S(298, 0, 0, -1, -1, 0)", "EPERM")]);
}

// Case 39: stopping the kernel in the middle of a copy is what makes races certain.
#[test]
fn no_page_fault_can_be_handled_in_user_space() {
    answers(&[
        ("S(323, 0)", "EPERM"),
        ("S(323, 1)", "EPERM"),
        ("S(16, 0, 0xaa00, 0)", "EPERM"),
        ("os.path.exists('/dev/userfaultfd')", "False"),
    ]);
}

// Case 40, isolate and sandbox-runtime: its operations are calls that no filter sees.
#[test]
fn io_uring_is_not_there() {
    answers(&[("S(425, 1, b'\\0' * 120)", "ENOSYS"), ("S(426, 0)", "ENOSYS"), ("S(427, 0)", "ENOSYS")]);
}

// Case 41, CVE-2019-13272.
#[test]
fn no_process_can_reach_into_another() {
    let always = [("S(440, -1, 0, 0, 0, 0)", "EPERM"), ("S(438, -1, 0, 0)", "EPERM")];
    answers(&always);
    for profile in ["default", "strict"] {
        answers_of(
            profile,
            &[
                ("S(101, 0, 0, 0, 0)", "EPERM"),
                ("S(310, os.getpid(), 0, 0, 0, 0, 0)", "EPERM"),
                ("S(311, os.getpid(), 0, 0, 0, 0, 0)", "EPERM"),
                ("S(312, os.getpid(), os.getpid(), 0, 0, 0)", "EPERM"),
            ],
        );
    }
}

// Case 42, "shocker" (Docker, 2014).
#[test]
fn no_file_can_be_opened_by_handle() {
    answers(&[
        ("S(304, -1, 0, 0)", "EPERM"),
        ("S(304, os.open('/', 0), b'\\x08\\0\\0\\0\\1\\0\\0\\0' + b'\\2' * 8, 0)", "EPERM"),
    ]);
}

// Case 43, the profiles of Docker and Podman: name_to_handle_at, fanotify_init, fanotify_mark, lookup_dcookie, uselib,
// ustat, sysfs, _sysctl; and nfsservctl, which no kernel has any more.
#[test]
fn odd_and_old_calls_are_refused() {
    all_answer(&[303, 300, 301, 212, 134, 136, 139, 156], "EPERM");
    all_answer(&[180], "ENOSYS");
}

// Case 44: kexec_load, kexec_file_load, init_module, finit_module, delete_module, swapon, swapoff, reboot, acct,
// quotactl, quotactl_fd, iopl, ioperm.
#[test]
fn the_machine_cannot_be_administered() {
    all_answer(&[246, 320, 175, 313, 176, 167, 168, 169, 163, 179, 443, 172, 173], "EPERM");
}

// Case 45: modify_ldt (CVE-2014-9322 and its kin); set_thread_area is for 32-bit programs.
#[test]
fn the_local_descriptor_table_is_out_of_reach() {
    answers(&[("S(154, 0, 0, 0)", "EPERM"), ("S(205, 0)", "ENOSYS"), ("S(211, 0)", "ENOSYS")]);
}

// Case 46, flatpak.
#[test]
fn address_randomization_cannot_be_switched_off() {
    for profile in ["default", "strict"] {
        answers_of(
            profile,
            &[("S(135, 0x40000)", "EPERM"), ("S(135, 0x400000)", "EPERM"), ("S(135, 0x440000)", "EPERM")],
        );
    }
    answers_of("debug", &[("S(135, 0x40000)", "allowed"), ("S(135, 0x400000)", "EPERM")]);
    answers_of("default", &[("S(135, 0xffffffff)", "allowed"), ("S(135, 0)", "EPERM"), ("S(135, 8)", "EPERM")]);
}

/// Calls machine code from python.
fn machine_code(profile: &str, bytes: &str) -> Value {
    let code = format!(
        "{PRELUDE}
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex('{bytes}'))
print(ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(code)))())"
    );
    python_result(&["--seccomp", profile], &code)
}

// Case 47, isolate: `mov $20, %eax; int $0x80; ret` is getpid(2) of i386, which a filter for x86-64 reads as writev(2).
#[test]
fn a_call_of_the_32_bit_abi_ends_the_program_and_the_result_says_so() {
    for profile in PROFILES {
        let result = machine_code(profile, "b814000000cd80c3");
        assert_eq!(result["status"], "forbidden_syscall", "{result}");
        assert_eq!((&result["signal"], result["stdout"].as_str()), (&Value::from("SIGSYS"), Some("")), "{result}");
    }
}

// Case 47, turned round: the same page with an ordinary call works, so that it was the call that ended the program.
#[test]
fn machine_code_made_at_run_time_may_make_ordinary_calls() {
    // mov $39, %eax; syscall; ret
    let result = machine_code("default", "b8270000000f05c3");
    assert_eq!((&result["status"], &result["exit_code"]), (&Value::from("exited"), &Value::from(0)), "{result}");
}

// Case 48: the numbers of x32 are those of x86-64 with a bit set, which a filter that compares numbers does not know.
#[test]
fn a_call_of_the_x32_abi_never_does_anything() {
    answers(&[("S(0x40000000 + 39)", "ENOSYS"), ("S(0x40000000 + 165)", "ENOSYS"), ("S(0x40000000 + 520)", "ENOSYS")]);
}

// Case 49: a kernel newer than the filter.
#[test]
fn a_call_that_the_filter_does_not_know_is_not_there() {
    let code = "print({S(n) for n in [*range(472, 512), *range(548, 1100), 0x3fffffff, 0x7fffffff]})";
    for profile in PROFILES {
        assert_eq!(printed(&["--seccomp", profile], code), "{'ENOSYS'}\n", "{profile}");
    }
}

// Case 50, CVE-2026-31431.
#[test]
fn the_kernels_cryptography_has_no_socket() {
    answers(&[("sock(38, 5, 0)", "EAFNOSUPPORT"), ("sock(38, 5 | 0x80000, 0)", "EAFNOSUPPORT")]);
}

// Case 51, isolate: no network namespace keeps a hypervisor's sockets apart.
#[test]
fn the_hypervisor_has_no_socket() {
    answers(&[("sock(40, 1, 0)", "EAFNOSUPPORT"), ("sock(40, 2, 0)", "EAFNOSUPPORT")]);
}

// Case 52, CVE-2024-1086 (nf_tables), CVE-2022-25636.
#[test]
fn netlink_is_for_routes_only() {
    let code = "print({sock(16, kind, protocol) for kind in (2, 3) for protocol in range(1, 23)})";
    for profile in ["default", "debug"] {
        assert_eq!(printed(&["--seccomp", profile], code), "{'EPROTONOSUPPORT'}\n", "{profile}");
    }
    answers_of("strict", &[("sock(16, 3, 0)", "EAFNOSUPPORT"), ("sock(16, 3, 12)", "EAFNOSUPPORT")]);
}

// Case 53: glibc's getifaddrs reads, `ip link add` writes.
#[test]
fn interfaces_can_be_listed_but_not_made() {
    let code = "
print([name for _, name in socket.if_nameindex()])
s = socket.socket(16, 3, 0)
body = struct.pack('BxHiII', 0, 0, 0, 0, 0) + struct.pack('HH4s', 8, 3, b'dm0\\0') + struct.pack('HHHH5s3x', 20, 18 | 0x8000, 9, 1, b'dummy')
s.send(struct.pack('IHHII', 16 + len(body), 16, 0x605, 1, 0) + body)
print(errno.errorcode[-struct.unpack('i', s.recv(4096)[16:20])[0]])";
    assert_eq!(printed(&[], code), "['lo']\nEPERM\n");
    assert_eq!(printed(&["--user", "0"], code), "['lo']\nEPERM\n");
}

// Case 54, CVE-2020-14386, CVE-2017-7308.
#[test]
fn packets_cannot_be_made_by_hand() {
    for profile in ["default", "debug"] {
        answers_of(
            profile,
            &[
                ("sock(17, 3, 0)", "EAFNOSUPPORT"),
                ("sock(17, 2, 0)", "EAFNOSUPPORT"),
                ("sock(2, 3, 1)", "EPERM"),
                ("sock(10, 3, 58)", "EPERM"),
                ("sock(2, 10, 0)", "EPERM"),
            ],
        );
    }
    answers_of("strict", &[("sock(17, 3, 0)", "EAFNOSUPPORT"), ("sock(2, 3, 1)", "EAFNOSUPPORT")]);
}

// Case 55, CVE-2021-43267 (TIPC): modules that nobody meant to load.
#[test]
fn rare_families_of_sockets_are_not_there() {
    let families =
        "print({sock(family, kind, 0) for kind in (1, 2, 3, 5) for family in range(3, 64) if family not in (10, 16)})";
    for profile in PROFILES {
        assert_eq!(printed(&["--seccomp", profile], families), "{'EAFNOSUPPORT'}\n", "{profile}");
    }
    answers_of("strict", &[("sock(2, 1, 0)", "EAFNOSUPPORT"), ("sock(10, 1, 0)", "EAFNOSUPPORT")]);
}

// Case 56, CVE-2017-6074 (DCCP): DCCP, L2TP, SCTP, UDP-Lite, MPTCP.
#[test]
fn rare_protocols_are_not_there() {
    let code = "print({sock(f, k, p) for f in (2, 10) for k, p in ((6, 33), (2, 115), (1, 132), (5, 132), (2, 136), (1, 262))})";
    for profile in ["default", "debug"] {
        assert_eq!(printed(&["--seccomp", profile], code), "{'EPROTONOSUPPORT'}\n", "{profile}");
    }
}

// Case 57: a listener below ours would be asked before, or instead of, whoever listens above.
#[test]
fn a_filter_of_the_programs_own_may_not_have_a_listener() {
    answers(&[
        ("S(317, 1, 8, b'\\1' + b'\\0' * 15)", "EPERM"),
        ("S(317, 1, 0x88, b'\\1' + b'\\0' * 15)", "EPERM"),
        // One without is its own business: EFAULT says that the kernel looked for the program.
        ("S(317, 1, 0, 0)", "EFAULT"),
    ]);
}

// Case 58, evalbox: a program in memory is a program like others, except where the profile has no such memory.
#[test]
fn a_program_in_memory_is_confined_like_one_in_a_file() {
    let code = "
fd = os.memfd_create('x', 0)
os.write(fd, open('/usr/bin/unshare', 'rb').read())
os.execve(fd, ['unshare', '-U', 'true'], os.environ)";
    let run = python(&["--seccomp", "debug"], &format!("{PRELUDE}{code}"));
    assert!(run.code != Some(0) && run.stderr.contains("Operation not permitted"), "{run:?}");
    for profile in ["default", "strict", "packages"] {
        answers_of(profile, &[("S(319, b'x', 0)", "ENOSYS")]);
    }
}

// Case 59: memory that no limit counts.
#[test]
fn memory_can_be_neither_secret_nor_locked_without_limit() {
    answers(&[
        ("S(447, 0)", "EPERM"),
        ("S(151, 3)", "ENOMEM"),
        ("answer(-1 if L.mlock(ctypes.create_string_buffer(16 << 20), ctypes.c_size_t(16 << 20)) else 0)", "ENOMEM"),
        ("resource.getrlimit(resource.RLIMIT_MEMLOCK)", "(8388608, 8388608)"),
    ]);
}

// Case 60: vhangup, syslog, settimeofday, clock_settime, adjtimex, clock_adjtime, sethostname, setdomainname.
#[test]
fn clocks_names_and_the_kernels_log_are_out_of_reach() {
    all_answer(&[153, 103, 164, 227, 159, 305, 170, 171], "EPERM");
}

// Case 61: PR_SET_MM, PR_SCHED_CORE, PR_SET_MEMORY_MERGE.
#[test]
fn what_a_process_says_of_itself_to_the_kernel_is_limited() {
    answers(&[
        ("S(157, 35, 13, 0, 0, 0)", "EPERM"),
        ("S(157, 62, 1, 0, 1, 0)", "EPERM"),
        ("S(157, 67, 1, 0, 0, 0)", "EPERM"),
        // Low 32 bits count here too.
        ("S(157, 0x100000023, 13, 0, 0, 0)", "EPERM"),
        // No way back out of no_new_privs, and none to capabilities.
        ("S(157, 38, 0, 0, 0, 0)", "EINVAL"),
        ("S(157, 47, 2, 0, 0, 0)", "EPERM"),
    ]);
}

// Case 64, landrun and sandbox-runtime: a program that is refused something must be able to go on.
#[test]
fn a_refused_call_does_not_end_the_program() {
    let result = python_result(&[], &format!("{PRELUDE}print(S(165), S(425), sock(38, 5, 0))"));
    assert_eq!((&result["status"], &result["exit_code"]), (&Value::from("exited"), &Value::from(0)), "{result}");
}

// CVE-2025-4598, CVE-2025-5054: a limit of 1 keeps the host's handler of core dumps away, a limit of 0 does not, and
// lowering a limit takes no privilege.
#[test]
fn the_limit_that_keeps_core_dumps_from_a_handler_cannot_be_changed() {
    let code = "
class Limit(ctypes.Structure): _fields_ = [('soft', ctypes.c_ulong), ('hard', ctypes.c_ulong)]
zero, old = Limit(0, 0), Limit(7, 7)
S(160, 4, ctypes.byref(zero)); print(resource.getrlimit(resource.RLIMIT_CORE))
S(302, 0, 4, ctypes.byref(zero), 0); print(resource.getrlimit(resource.RLIMIT_CORE))
S(302, 0, 4, ctypes.byref(zero), ctypes.byref(old)); print(resource.getrlimit(resource.RLIMIT_CORE))
S(302, os.getpid(), 0x100000004, ctypes.byref(zero), 0); print(resource.getrlimit(resource.RLIMIT_CORE))";
    for profile in PROFILES {
        assert_eq!(printed(&["--seccomp", profile], code), "(1, 1)\n".repeat(4), "{profile}");
    }
}

// systemd-coredump and apport run outside and read what the dead process left: no file, and no handler to look.
#[test]
fn a_crash_leaves_no_core_dump_behind() {
    let scratch = Scratch::new("core");
    let mount = format!("{}:/mnt:rw", scratch.0.display());
    let run = shell(
        &["--mount", &mount, "--workdir", "/mnt"],
        "sh -c 'kill -SEGV $$'; ulimit -c unlimited; sh -c 'kill -ABRT $$'; ls -A",
    );
    assert_eq!(run.stdout, "", "{run:?}");
    assert_eq!(std::fs::read_dir(&scratch.0).expect("list").count(), 0);
}

// A set-user-id program made in a writable mount lends the caller's rights to every other user of the host.
#[test]
fn no_program_can_be_made_that_lends_its_owners_rights() {
    // The profile `packages` is for these, and excludes writable mounts.
    for profile in PROFILES.into_iter().filter(|profile| *profile != "packages") {
        answers_of(
            profile,
            &[
                ("S(90, b'/tmp/f', 0o4755)", "EPERM"),
                ("S(91, -1, 0o4755)", "EPERM"),
                ("S(268, -100, b'/tmp/f', 0o6755)", "EPERM"),
                ("S(452, -100, b'/tmp/f', 0o4755, 0)", "EPERM"),
            ],
        );
    }
    answers(&[
        ("S(2, b'/tmp/f', os.O_CREAT | os.O_WRONLY, 0o4755)", "EPERM"),
        ("S(257, -100, b'/tmp/f', os.O_CREAT | os.O_WRONLY, 0o2755)", "EPERM"),
        ("S(257, -100, b'/tmp', os.O_TMPFILE | os.O_WRONLY, 0o4755)", "EPERM"),
        ("S(85, b'/tmp/f', 0o4755)", "EPERM"),
        ("S(133, b'/tmp/f', 0o104755, 0)", "EPERM"),
        ("S(259, -100, b'/tmp/f', 0o104755, 0)", "EPERM"),
        ("S(437, -100, b'/tmp/f', 0, 0)", "ENOSYS"),
        ("os.path.exists('/tmp/f')", "False"),
        ("S(257, -100, b'/tmp', 0, 0o4755)", "allowed"),
        ("S(257, -100, b'/tmp/g', os.O_CREAT | os.O_WRONLY, 0o755)", "allowed"),
        ("S(268, -100, b'/tmp/g', 0o700)", "allowed"),
    ]);
}
