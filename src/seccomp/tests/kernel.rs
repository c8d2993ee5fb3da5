//! The built-in programs in the kernel that runs the tests: what is refused is refused, and real programs start.

use std::process::{Command, Output};
use std::thread;

use super::{SOURCES, X86_64, to_seccompiler};
use crate::seccomp::builtin;
use crate::seccomp::evaluate::{Call, run};

/// Runs a command under a built-in profile, or says why it cannot be run here. A filter belongs to a thread and what it
/// starts, so a thread is all that is needed.
fn under(profile: &'static str, command: &[&str]) -> Option<Output> {
    let there = Command::new("sh").args(["-c", "command -v \"$0\" >/dev/null", command[0]]).status().unwrap().success();
    if !there {
        assert!(std::env::var_os("MUST_WORK").is_none(), "{} is not installed", command[0]);
        println!("skipped: {} is not installed", command[0]);
        return None;
    }
    let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    let filtered = thread::spawn(move || {
        seccompiler::apply_filter(&to_seccompiler(builtin(profile).unwrap())).unwrap();
        Command::new(&command[0]).args(&command[1..]).output().unwrap()
    });
    Some(filtered.join().unwrap())
}

fn says(profile: &'static str, command: &[&str], expected: &str) {
    if let Some(output) = under(profile, command) {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(out.trim_end(), expected, "{command:?} under {profile}: {}\n{err}", output.status);
    }
}

fn says_everywhere(command: &[&str], expected: &str) {
    for (profile, _) in SOURCES {
        says(profile, command, expected);
    }
}

/// A call whose refusal the kernel itself would answer otherwise, or not at all, with arguments that do no harm if let
/// through: number, arguments, errno.
type Row = (&'static str, i64, [u64; 6], i32);

const ANY: [u64; 6] = [u64::MAX; 6];

const REFUSED: &[Row] = &[
    ("unshare a user namespace", libc::SYS_unshare, [0x1000_0000, 0, 0, 0, 0, 0], libc::EPERM),
    ("unshare a time namespace", libc::SYS_unshare, [0x80, 0, 0, 0, 0, 0], libc::EPERM),
    ("clone into a user namespace", libc::SYS_clone, [0x1000_0011, 0, 0, 0, 0, 0], libc::EPERM),
    ("clone3", libc::SYS_clone3, [0; 6], libc::ENOSYS),
    ("setns", libc::SYS_setns, ANY, libc::EPERM),
    ("mount", libc::SYS_mount, ANY, libc::EPERM),
    ("umount2", libc::SYS_umount2, ANY, libc::EPERM),
    ("pivot_root", libc::SYS_pivot_root, ANY, libc::EPERM),
    ("chroot", libc::SYS_chroot, ANY, libc::EPERM),
    ("open_tree", libc::SYS_open_tree, ANY, libc::EPERM),
    ("move_mount", libc::SYS_move_mount, ANY, libc::EPERM),
    ("fsopen", libc::SYS_fsopen, ANY, libc::EPERM),
    ("fsconfig", libc::SYS_fsconfig, ANY, libc::EPERM),
    ("mount_setattr", libc::SYS_mount_setattr, ANY, libc::EPERM),
    ("add_key", libc::SYS_add_key, ANY, libc::EPERM),
    ("keyctl", libc::SYS_keyctl, ANY, libc::EPERM),
    ("bpf", libc::SYS_bpf, ANY, libc::EPERM),
    ("perf_event_open", libc::SYS_perf_event_open, ANY, libc::EPERM),
    ("userfaultfd", libc::SYS_userfaultfd, ANY, libc::EPERM),
    ("io_uring_setup", libc::SYS_io_uring_setup, ANY, libc::ENOSYS),
    ("ptrace", libc::SYS_ptrace, ANY, libc::EPERM),
    ("process_vm_readv", libc::SYS_process_vm_readv, ANY, libc::EPERM),
    ("process_madvise", libc::SYS_process_madvise, ANY, libc::EPERM),
    ("pidfd_getfd", libc::SYS_pidfd_getfd, ANY, libc::EPERM),
    ("kcmp", libc::SYS_kcmp, ANY, libc::EPERM),
    ("open_by_handle_at", libc::SYS_open_by_handle_at, ANY, libc::EPERM),
    ("name_to_handle_at", libc::SYS_name_to_handle_at, ANY, libc::EPERM),
    ("fanotify_init", libc::SYS_fanotify_init, ANY, libc::EPERM),
    ("kexec_load", libc::SYS_kexec_load, ANY, libc::EPERM),
    ("init_module", libc::SYS_init_module, ANY, libc::EPERM),
    ("swapon", libc::SYS_swapon, ANY, libc::EPERM),
    ("reboot", libc::SYS_reboot, ANY, libc::EPERM),
    ("acct", libc::SYS_acct, ANY, libc::EPERM),
    ("quotactl", libc::SYS_quotactl, ANY, libc::EPERM),
    ("syslog", libc::SYS_syslog, ANY, libc::EPERM),
    ("settimeofday", libc::SYS_settimeofday, ANY, libc::EPERM),
    ("clock_settime", libc::SYS_clock_settime, ANY, libc::EPERM),
    ("adjtimex", libc::SYS_adjtimex, ANY, libc::EPERM),
    ("sethostname", libc::SYS_sethostname, ANY, libc::EPERM),
    ("memfd_secret", libc::SYS_memfd_secret, ANY, libc::EPERM),
    ("personality ADDR_NO_RANDOMIZE", libc::SYS_personality, [0x4_0000, 0, 0, 0, 0, 0], libc::EPERM),
    ("mknodat of a device", libc::SYS_mknodat, [u64::MAX, 0, 0x2000 | 0o666, 0x103, 0, 0], libc::EPERM),
    ("ioctl TIOCSTI", libc::SYS_ioctl, [u64::MAX, 0x5412, 0, 0, 0, 0], libc::EPERM),
    ("ioctl TIOCSTI with high bits", libc::SYS_ioctl, [u64::MAX, 0x7_0000_5412, 0, 0, 0, 0], libc::EPERM),
    ("ioctl TIOCLINUX", libc::SYS_ioctl, [u64::MAX, 0x541c, 0, 0, 0, 0], libc::EPERM),
    ("ioctl TIOCSETD", libc::SYS_ioctl, [u64::MAX, 0x5423, 0, 0, 0, 0], libc::EPERM),
    ("prctl PR_SET_MM", libc::SYS_prctl, [35, 0, 0, 0, 0, 0], libc::EPERM),
    ("seccomp with a listener", libc::SYS_seccomp, [1, 8, 0, 0, 0, 0], libc::EPERM),
    ("a raw socket", libc::SYS_socket, [2, 3, 1, 0, 0, 0], libc::EPERM),
    ("MPTCP", libc::SYS_socket, [2, 1, 262, 0, 0, 0], libc::EPROTONOSUPPORT),
    ("SCTP over IPv6", libc::SYS_socket, [10, 1, 132, 0, 0, 0], libc::EPROTONOSUPPORT),
    ("UDP-Lite", libc::SYS_socket, [2, 2, 136, 0, 0, 0], libc::EPROTONOSUPPORT),
    ("netfilter's netlink", libc::SYS_socket, [16, 3, 12, 0, 0, 0], libc::EPROTONOSUPPORT),
    ("AF_ALG", libc::SYS_socket, [38, 5, 0, 0, 0, 0], libc::EAFNOSUPPORT),
    ("AF_VSOCK", libc::SYS_socket, [40, 1, 0, 0, 0, 0], libc::EAFNOSUPPORT),
    ("AF_PACKET", libc::SYS_socket, [17, 3, 0, 0, 0, 0], libc::EAFNOSUPPORT),
    ("a family with high bits", libc::SYS_socket, [0x1_0000_0026, 5, 0, 0, 0, 0], libc::EAFNOSUPPORT),
    ("a pair of TIPC sockets", libc::SYS_socketpair, [30, 1, 0, 0, 0, 0], libc::EAFNOSUPPORT),
    ("getpid of x32", 0x4000_0000 + 39, [0; 6], libc::ENOSYS),
    ("number 1000", 1000, ANY, libc::ENOSYS),
];

const CALLER: &str = "
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
for row in sys.argv[1:]:
    number, *args = [ctypes.c_ulong(int(word)) for word in row.split()]
    ctypes.set_errno(0)
    result = libc.syscall(number, *args)
    print(ctypes.get_errno() if result == -1 else 0)
";

#[test]
fn the_kernel_refuses_what_the_default_profile_refuses() {
    let mut command = vec!["python3", "-c", CALLER];
    let mut words = Vec::new();
    for (what, number, args, errno) in REFUSED {
        // Nothing reaches the kernel that the interpreter would let through.
        let call = Call { arch: X86_64, number: u32::try_from(*number).unwrap(), args: *args };
        let errno = libc::SECCOMP_RET_ERRNO | u32::try_from(*errno).unwrap();
        assert_eq!(run(builtin("default").unwrap(), &call).verdict, errno, "{what}");
        words.push(args.iter().fold(number.to_string(), |row, arg| format!("{row} {arg}")));
    }
    command.extend(words.iter().map(String::as_str));
    if let Some(output) = under("default", &command) {
        let answers = String::from_utf8(output.stdout).unwrap();
        let answers: Vec<i32> = answers.lines().map(|line| line.parse().unwrap()).collect();
        let expected: Vec<i32> = REFUSED.iter().map(|row| row.3).collect();
        assert_eq!(answers, expected, "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_shell_with_a_pipe_runs() {
    says_everywhere(&["sh", "-c", "echo hello | cat"], "hello");
    says_everywhere(&["bash", "-c", "cat <(echo hello)"], "hello");
}

#[test]
fn python_runs_with_threads_processes_and_a_loop() {
    let code = "
import asyncio, json, subprocess, threading, tempfile, sqlite3, ctypes, multiprocessing.pool
async def main():
    process = await asyncio.create_subprocess_exec('echo', 'hello', stdout=subprocess.PIPE)
    return (await process.communicate())[0].decode().strip()
thread = threading.Thread(target=tempfile.TemporaryFile().close); thread.start(); thread.join()
print(asyncio.run(main()))";
    says_everywhere(&["python3", "-c", code], "hello");
}

#[test]
fn node_runs_with_workers_files_and_children() {
    let code = "
const { Worker } = require('worker_threads');
require('fs').readFile('/proc/self/stat', () =>
  new Worker('process.exit(0)', { eval: true }).on('exit', () =>
    console.log(require('child_process').execSync('echo hello').toString().trim())));";
    says_everywhere(&["node", "-e", code], "hello");
}

#[test]
fn gcc_compiles_and_the_program_runs() {
    let script = "d=$(mktemp -d) && cd $d && echo 'int puts(const char*);int main(){puts(\"hello\");}' > a.c && \
                  gcc a.c -o a && ./a; rm -r $d";
    if under("default", &["gcc", "--version"]).is_some() {
        says_everywhere(&["sh", "-c", script], "hello");
    }
}

#[test]
fn java_compiles_and_runs() {
    let script = "d=$(mktemp -d) && cd $d && \
                  echo 'class A{public static void main(String[] a){System.out.println(\"hello\");}}' > A.java && \
                  java -XX:-UsePerfData A.java; rm -r $d";
    // Its performance file wants a lock, and says on stdout that strict has none.
    if under("default", &["java", "-version"]).is_some() {
        says_everywhere(&["sh", "-c", script], "hello");
    }
}

#[test]
fn git_tar_make_and_package_tools_run() {
    let commit = "d=$(mktemp -d) && cd $d && git init -q && echo a > a && git add a && \
                  git -c user.name=a -c user.email=a@b commit -qm hello && git log --format=%s; rm -rf $d";
    for profile in ["default", "debug"] {
        says(profile, &["sh", "-c", commit], "hello");
        says(profile, &["tar", "cf", "/dev/null", "/etc/passwd"], "");
        says(profile, &["make", "-s", "-f", "/dev/null", "--eval", "all:;@echo hello"], "hello");
        for tool in ["curl", "npm", "dpkg"] {
            says(profile, &["sh", "-c", "\"$0\" --version >/dev/null && echo hello", tool], "hello");
        }
        says(profile, &["sh", "-c", "python3 -m pip --version >/dev/null && echo hello"], "hello");
    }
}

#[test]
fn go_compiles_and_serves_on_loopback() {
    let program = "package main\nimport (\"fmt\";\"net\")\nfunc main(){l,e:=net.Listen(\"tcp\",\"127.0.0.1:0\");\
                   if e!=nil{panic(e)};go net.Dial(\"tcp\",l.Addr().String());c,_:=l.Accept();c.Close();fmt.Println(\"hello\")}";
    let script = format!(
        "d=$(mktemp -d) && cd $d && printf %s '{program}' > a.go && \
         HOME=$d GOCACHE=$d/c GOTOOLCHAIN=local GOFLAGS=-p=2 CGO_ENABLED=0 go run a.go; chmod -R u+w $d; rm -r $d"
    );
    if under("default", &["go", "version"]).is_some() {
        says("default", &["sh", "-c", &script], "hello");
    }
}

#[test]
fn a_debugged_child_is_traced_under_debug_only() {
    let code = "
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
pid = os.fork()
if pid == 0:
    os._exit(ctypes.get_errno() if libc.ptrace(0, 0, 0, 0) == -1 else 0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
    says("debug", &["python3", "-c", code], "0");
    says("default", &["python3", "-c", code], &libc::EPERM.to_string());
}

#[test]
fn a_program_may_sandbox_itself_further() {
    // A filter of one instruction that allows everything, and a Landlock version query.
    let code = "
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
class Program(ctypes.Structure): _fields_ = [('len', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
allow = ctypes.create_string_buffer(b'\\x06\\0\\0\\0\\0\\0\\xff\\x7f', 8)
print(libc.syscall(317, 1, 0, ctypes.byref(Program(1, ctypes.addressof(allow)))))";
    says_everywhere(&["python3", "-c", code], "0");
}
