//! The attacks that capabilities are for, as user 0 of a range, who has some: all refused. Each is made twice, under the
//! profile that goes with a range, and under one that lets every call through, so that it is the kernel that refuses.

use crate::common::ranges::{as_user, first_id, ranged};
use crate::common::{Scratch, bind, is_root, python};

const PRELUDE: &str = "
import ctypes, errno, os, socket
L = ctypes.CDLL(None, use_errno=True)
def answer(value): return 'allowed' if value != -1 else errno.errorcode[ctypes.get_errno()]
def S(number, *args):
    args = [ctypes.c_long(a) if isinstance(a, int) else a for a in args] + [ctypes.c_long(0)] * (6 - len(args))
    return answer(L.syscall(ctypes.c_long(number), *args))
def part():
    space = ctypes.create_string_buffer(8)
    return (ctypes.c_ulong * 2)(ctypes.addressof(space), 8)
def attempt(f):
    try: f(); return 'allowed'
    except OSError as e: return errno.errorcode[e.errno]
";

/// Lets everything through but a call that nobody makes.
const EVERYTHING: &str = r#"{"all": {"mismatch_action": "allow", "match_action": {"errno": 38},
    "filter": [{"syscall": "lookup_dcookie", "comment": "a profile needs a rule"}]}}"#;

/// What each of `calls`, python expressions, answers, with these options and a profile that lets everything through.
fn answers(options: &[&str], before: &str, calls: &[&str]) -> Vec<String> {
    let scratch = Scratch::new("everything");
    let profile = scratch.file("everything.json", EVERYTHING).display().to_string();
    let code: String = calls.iter().map(|call| format!("print({call}, flush=True)\n")).collect();
    let options = [&["--userns", "range", "--seccomp", &profile], options].concat();
    let run = python(&options, &format!("{before}{PRELUDE}{code}"));
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
    run.stdout.lines().map(str::to_owned).collect()
}

/// All of them answer `expected`, to user 0 and to user 1000, and nothing is allowed under the usual profile.
fn all_answer(expected: &str, calls: &[&str]) {
    for before in ["", &as_user(1000, "")] {
        let answers = answers(&[], before, calls);
        for (call, answer) in calls.iter().zip(&answers) {
            assert_eq!(answer, expected, "{call} {before}");
        }
    }
    let code: String = calls.iter().map(|call| format!("print({call}, flush=True)\n")).collect();
    let run = python(&["--userns", "range"], &format!("{PRELUDE}{code}"));
    assert_eq!((run.code, run.stdout.lines().count()), (Some(0), calls.len()), "{}", run.stderr);
    assert!(!run.stdout.contains("allowed"), "{}", run.stdout);
}

#[test]
fn nothing_can_be_mounted_or_unmounted_and_no_mount_changed() {
    if !ranged() {
        return;
    }
    all_answer(
        "EPERM",
        &[
            "S(165, b'tmpfs', b'/mnt', b'tmpfs', 0, 0)",
            "S(165, b'/', b'/mnt', b'', 4096, 0)",
            "S(165, b'proc', b'/mnt', b'proc', 0, 0)",
            "S(165, b'', b'/usr', b'', 32 | 4096, 0)",
            "S(166, b'/proc/sys', 2)",
            "S(166, b'/usr', 2)",
            "S(155, b'/tmp', b'/tmp')",
            "S(428, -100, b'/usr', 1)",
            "S(430, b'tmpfs', 0)",
            "S(442, -100, b'/usr', 0, (ctypes.c_ulong * 4)(0, 1, 0, 0), 32)",
        ],
    );
}

#[test]
fn no_namespace_can_be_made_or_joined_and_no_root_changed() {
    if !ranged() {
        return;
    }
    let new = ["0x20000", "0x2000000", "0x4000000", "0x8000000", "0x20000000", "0x40000000", "0x80"];
    let calls: Vec<String> = new.iter().map(|flag| format!("S(272, {flag})")).collect();
    let mut calls: Vec<&str> = calls.iter().map(String::as_str).collect();
    calls.extend([
        "S(161, b'/tmp')",
        "S(308, os.open('/proc/self/ns/mnt', 0), 0)",
        "S(308, os.open('/proc/self/ns/net', 0), 0)",
    ]);
    all_answer("EPERM", &calls);
    all_answer(
        "EACCES",
        &["attempt(lambda: os.open('/proc/1/ns/user', 0))", "attempt(lambda: os.open('/proc/1/ns/mnt', 0))"],
    );
    // The count of the namespace above, which the sandbox's own has used up.
    let code = "[S(272, 0x10000000), S(56, 0x10000000 | 17, 0, 0, 0, 0)]";
    assert_eq!(answers(&[], "", &[code]), ["['ENOSPC', 'ENOSPC']"]);
}

#[test]
fn no_device_and_no_raw_socket_can_be_made() {
    if !ranged() {
        return;
    }
    all_answer(
        "EPERM",
        &[
            "attempt(lambda: os.mknod('/tmp/m', 0o20666, os.makedev(1, 1)))",
            "attempt(lambda: os.mknod('/tmp/d', 0o60666, os.makedev(254, 0)))",
            "attempt(lambda: socket.socket(2, 3, 1))",
        ],
    );
    assert_eq!(answers(&[], "", &["attempt(lambda: socket.socket(17, 3, 768))"]), ["EPERM"]);
    // Some kernels have no IPv6.
    let version_6 = answers(&[], "", &["attempt(lambda: socket.socket(10, 3, 58))"]);
    assert!(["EPERM", "EAFNOSUPPORT"].contains(&version_6[0].as_str()), "{version_6:?}");
}

#[test]
fn no_file_gets_a_capability_and_no_other_set_of_the_own_grows() {
    if !ranged() {
        return;
    }
    // A file's capability CAP_NET_RAW, permitted and effective, in the second version of its form and in the third.
    let words = |words: &str| format!("__import__('struct').pack('<{words})");
    let second = words("5I', 0x2000001, 1 << 13, 0, 0, 0");
    let third = words("6I', 0x3000001, 1 << 13, 0, 0, 0, 0");
    let file = "open('/tmp/f', 'w').close()";
    let set = |value: &str| format!("attempt(lambda: ({file}, os.setxattr('/tmp/f', 'security.capability', {value})))");
    // CAP_SYS_ADMIN into the effective set, the inheritable one and the bounding one.
    let capset = |sets: [u32; 3]| {
        let [effective, permitted, inheritable] = sets;
        format!(
            "S(126, (ctypes.c_uint * 2)(0x20080522, 0), (ctypes.c_uint * 6)({effective}, {permitted}, {inheritable}, 0, 0, 0))"
        )
    };
    let admin = 1 << 21;
    let calls =
        [set(&second), set(&third), capset([admin, admin, 0]), capset([0, 0, admin]), "S(157, 24, 21)".to_owned()];
    all_answer("EPERM", &calls.each_ref().map(String::as_str));
}

#[test]
fn the_machine_and_its_clock_obey_nobody_inside() {
    if !ranged() {
        return;
    }
    all_answer(
        "EPERM",
        &[
            "S(170, b'x', 1)",
            "S(171, b'x', 1)",
            "S(164, (ctypes.c_long * 2)(0, 0), 0)",
            "S(163, 0)",
            "S(168, b'/dev/null')",
            "S(167, b'/dev/null', 0)",
            "S(169, 0xfee1dead, 672274793, 0x1234567)",
            "S(304, -100, __import__('struct').pack('iiQ', 8, 1, 0), 0)",
            "S(144, 0, 1, (ctypes.c_int * 1)(1))",
        ],
    );
}

#[test]
fn pid_1_cannot_be_looked_into_traced_or_ended() {
    if !ranged() {
        return;
    }
    all_answer("EPERM", &["S(101, 16, 1, 0, 0)", "S(101, 0x4206, 1, 0, 0)", "S(310, 1, part(), 1, part(), 1, 0)"]);
    all_answer(
        "EACCES",
        &[
            "attempt(lambda: os.open('/proc/1/mem', 2))",
            "attempt(lambda: os.open('/proc/1/environ', 0))",
            "attempt(lambda: os.listdir('/proc/1/fd'))",
            "attempt(lambda: os.listdir('/proc/1/root'))",
            "attempt(lambda: os.readlink('/proc/1/exe'))",
        ],
    );
    // pid 1 is the caller's, as user 0 is, and as the command of a sandbox with one id is: who ends the sandbox that way ends
    // with it, and limits go down only. No signal of the sandbox's ends it.
    let limits = [
        "attempt(lambda: __import__('resource').prlimit(1, 7, (64, 64)))",
        "attempt(lambda: __import__('resource').prlimit(1, 7, (128, 128)))",
    ];
    assert_eq!(answers(&[], "", &limits), ["allowed", "EPERM"]);
    assert_eq!(answers(&[], &as_user(1000, ""), &limits), ["EPERM", "EPERM"]);
    assert_eq!(answers(&[], "", &["[attempt(lambda: os.kill(1, 9)), os.stat('/proc/1').st_ino > 0][1]"]), ["True"]);
}

#[test]
fn settings_of_the_kernel_and_id_maps_cannot_be_written() {
    if !ranged() {
        return;
    }
    // Whoever owns them, they are read-only; and modules and ports are not there at all where the kernel has none.
    let calls = [
        "attempt(lambda: os.open('/proc/sys/user/max_user_namespaces', 1))",
        "attempt(lambda: os.open('/proc/sys/kernel/hostname', 1))",
        "S(175, b'', 0, b'')",
        "S(172, 3)",
    ];
    let answers_of = |before: &str| answers(&[], before, &calls);
    for answer in [answers_of(""), answers_of(&as_user(1000, ""))].concat() {
        assert!(["EROFS", "EACCES", "EPERM", "ENOSYS"].contains(&answer.as_str()), "{answer}");
    }
    let calls = [
        "attempt(lambda: os.write(os.open('/proc/self/uid_map', 1), b'0 0 1'))",
        "attempt(lambda: os.write(os.open('/proc/self/gid_map', 1), b'0 0 1'))",
        "attempt(lambda: os.open('/proc/self/setgroups', 1))",
    ];
    // All of /proc is read-only.
    assert_eq!(answers(&[], "", &calls), ["EROFS", "EROFS", "EROFS"]);
}

#[test]
fn capabilities_are_worth_nothing_for_files_of_the_hosts_other_users() {
    if !ranged() {
        return;
    }
    // Of root, and for root's sandbox of somebody who is not in its range.
    let calls = [
        "attempt(lambda: os.open('/mnt/shadow', 0))",
        "attempt(lambda: os.chown('/mnt/shadow', 0, 0))",
        "attempt(lambda: os.chmod('/mnt/shadow', 0o644))",
        "attempt(lambda: os.listdir('/mnt/root'))",
    ];
    let mounts = ["--mount", "/etc/shadow:/mnt/shadow"];
    let mut options = mounts.to_vec();
    if is_root() {
        options.extend(["--mount", "/root:/mnt/root"]);
    }
    let answers = answers(&options, "", &calls);
    let expected = if is_root() { "EACCES" } else { "ENOENT" };
    assert_eq!(answers, ["EACCES", "EROFS", "EROFS", expected]);
}

#[test]
fn nobody_inside_is_root_of_the_host_or_shares_an_id_with_its_users() {
    if !ranged() {
        return;
    }
    let scratch = Scratch::new("ids");
    let mount = bind(&scratch.0, "/mnt:rw");
    let code = "
import os
for uid in [0, 1, 65534, 65535, 65536, 65537, 4294967294]:
    try: open(f'/mnt/{uid}', 'w').close(); os.chown(f'/mnt/{uid}', uid, 0); print(uid)
    except OSError as error: print(error.strerror)
try: os.setresuid(65536, 65536, 65536)
except OSError as error: print(error.strerror)
";
    let run = python(&["--userns", "range", "--mount", &mount], code);
    let invalid = "Invalid argument\n".repeat(4);
    assert_eq!((run.code, run.stdout), (Some(0), format!("0\n1\n65534\n65535\n{invalid}")), "{}", run.stderr);
    let owner =
        |name: &str| std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(scratch.0.join(name)).expect("a file"));
    let caller = if is_root() { 65534 } else { nix::unistd::geteuid().as_raw() };
    let first = first_id();
    assert_eq!(["0", "1", "65535"].map(owner), [caller, first, first + 65534]);
    assert!(["0", "1", "65534", "65535", "65536"].iter().all(|name| owner(name) != 0));
}
