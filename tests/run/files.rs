//! Section C of the catalogue of attacks: files, mounts, `/proc`, `/sys`, `/dev`, and more. One test for each
//! case; numbers in the comments are the catalogue's. Cases 73 (submounts), 75, 76, 86 and 88 are in `tests/run/mounts.rs`.
//! None is left out.

use crate::common::{Scratch, available, bind, command, python, shell};
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the shell printed, in a run that went well.
pub fn printed(options: &[&str], script: &str) -> String {
    let run = shell(options, script);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.stdout
}

/// The kernel's answers to `attempts`, python expressions, in one sandbox.
pub fn errors(options: &[&str], attempts: &[&str]) -> Vec<String> {
    let code = format!(
        "import ctypes,errno,fcntl,os,socket,stat
def attempt(f):
  try: f(); return 'allowed'
  except OSError as e: return errno.errorcode[e.errno]
def write(path, text='1'): os.write(os.open(path, os.O_WRONLY), text.encode())
{}",
        attempts.iter().map(|attempt| format!("print(attempt(lambda: {attempt}))\n")).collect::<String>()
    );
    let run = python(options, &code);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
    run.stdout.lines().map(str::to_owned).collect()
}

/// Every attempt is refused, with one of `answers`, for the caller's own user and for root inside.
fn all_refused(attempts: &[&str], answers: &[&str]) {
    for options in [&[][..], &["--user", "0"]] {
        for (attempt, answer) in attempts.iter().zip(errors(options, attempts)) {
            assert!(answers.contains(&answer.as_str()), "{options:?} {attempt}: {answer}");
        }
    }
}

/// A sandbox that runs until this is dropped, and has printed a line already.
struct Waiting(Child);

impl Waiting {
    fn new(mut command: Command) -> Waiting {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start belljar");
        let mut byte = [0];
        child.stdout.as_mut().expect("its output").read_exact(&mut byte).expect("it has begun");
        Waiting(child)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

// Case 65, runc's read-only paths: some of these belong to the sandbox's own root.
#[test]
fn kernel_settings_cannot_be_written() {
    all_refused(
        &[
            "write('/proc/sys/kernel/core_pattern')",
            "write('/proc/sys/vm/drop_caches')",
            "write('/proc/sys/user/max_user_namespaces', '100')",
            "write('/proc/sys/kernel/shmmax')",
            "write('/proc/sys/fs/mqueue/queues_max')",
            "write('/proc/sys/net/ipv4/ip_forward')",
            "write('/proc/sys/kernel/hostname')",
        ],
        &["EROFS", "EACCES", "EPERM", "ENOENT"],
    );
    let files = "find /proc/sys /proc/irq /proc/bus /proc/fs -type f -writable 2>/dev/null | head";
    assert_eq!(printed(&["--user", "0"], files), "");
}

// Case 66: only root of the host may write it, who is in no sandbox. To open it triggers nothing.
#[test]
fn the_system_request_key_is_out_of_reach() {
    // A kernel without it is as good as one whose trigger is the null device.
    let script = "cd /proc; [ ! -e sysrq-trigger ] || [ $(stat -c %t:%T sysrq-trigger) = 1:3 ] || \
        ! (: >sysrq-trigger) 2>/dev/null; echo $?";
    for options in [&[][..], &["--user", "0"]] {
        assert_eq!(printed(options, script), "0\n", "{options:?}");
    }
}

// Case 67, the masked paths of the OCI runtime specification, and what bubblewrap leaves open.
#[test]
fn what_tells_of_the_host_in_proc_is_empty() {
    let script = "cd /proc; for name in acpi asound buddyinfo bus cmdline config.gz consoles diskstats driver fs interrupts iomem \
        ioports irq kallsyms kcore key-users keys latency_stats locks modules partitions pressure sched_debug schedstat scsi \
        softirqs timer_list timer_stats zoneinfo kmsg vmallocinfo slabinfo pagetypeinfo kpagecount; do \
        [ ! -e $name ] || [ -z \"$(head -c 100 $name 2>/dev/null; ls -A $name/ 2>/dev/null)\" ] || echo $name; done";
    for options in [&[][..], &["--user", "0"]] {
        assert_eq!(printed(options, script), "", "{options:?}");
    }
}

// Case 68, CVE-2022-0492, CVE-2020-8694.
#[test]
fn there_is_no_sysfs() {
    let calls = ["os.stat('/sys/kernel')", "os.stat('/sys/class')", "os.stat('/sys/firmware')"];
    assert_eq!(errors(&[], &calls), ["ENOENT", "ENOENT", "ENOENT"]);
    assert_eq!(
        printed(&[], "cd /sys; echo *; echo */*; stat -f -c %T ."),
        "devices fs\ndevices/system fs/cgroup\nramfs\n"
    );
}

// Case 69, CVE-2022-0492.
#[test]
fn no_control_group_hierarchy_can_be_mounted() {
    let mount = "(lambda L: L.mount(b'cgroup', b'/mnt', b'cgroup', 0, b'rdma') and (_ for _ in ()).throw(OSError(ctypes.get_errno(), '')))(ctypes.CDLL(None, use_errno=True))";
    all_refused(&[mount, &mount.replace("b'cgroup'", "b'cgroup2'")], &["EPERM"]);
}

// Cases 70 and 71, where the sandbox has no cgroup of its own (`tests/guests/cgroups.rs` has the other): there is no file
// through which a process could leave its group or raise its limits.
#[test]
fn no_control_group_is_in_reach() {
    let script = "find / -xdev -name 'cgroup.procs' 2>/dev/null; find /sys/fs/cgroup ! -fstype ramfs; grep -v ':/$' /proc/self/cgroup; true";
    assert_eq!(printed(&["--cgroup-parent", "none"], script), "");
    // The hierarchy in the table of mounts is read-only, and covered: nobody inside can uncover it.
    let script = "grep -c ' - cgroup2 ' /proc/self/mountinfo; grep ' - cgroup2 ' /proc/self/mountinfo | cut -d' ' -f4-6; umount /sys/fs/cgroup 2>&1 | grep -c .";
    let found = printed(&["--cgroup-parent", "none"], script);
    assert!(
        ["1\n/ /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime\n1\n", "0\n1\n"].contains(&found.as_str()),
        "{found}"
    );
}

// Case 72.
#[test]
fn there_are_no_devices_but_the_harmless() {
    let list = "cd /dev; for f in * pts/*; do [ -L $f ] || [ ! -c $f -a ! -b $f ] || echo $f; done | tr '\\n' ' '; ls | tr '\\n' ' '";
    assert_eq!(
        printed(&[], list),
        "full null random tty urandom zero pts/ptmx fd full null ptmx pts random shm stderr stdin stdout tty urandom zero "
    );
    all_refused(
        &[
            "os.mknod('/tmp/memory', stat.S_IFCHR | 0o666, os.makedev(1, 1))",
            "os.mknod('/dev/shm/disk', stat.S_IFBLK | 0o666, os.makedev(8, 0))",
            "open('/dev/tty')",
        ],
        &["EPERM", "ENXIO"],
    );
}

// Case 73, runc's gap with submounts: every mount has its flags, whoever made it.
#[test]
fn every_mount_is_nosuid_and_read_only_or_meant_to_be_written() {
    let scratch = Scratch::new("flags");
    let mounts = [bind(&scratch.0, "/mnt/ro"), bind(&scratch.0, "/mnt/rw:rw")];
    let table = printed(&["--mount", &mounts[0], "--mount", &mounts[1]], "cat /proc/self/mountinfo");
    assert!(table.lines().count() > 10, "{table}");
    for line in table.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (point, flags) = (fields[4], fields[5].split(',').collect::<Vec<_>>());
        let is_device = point.starts_with("/dev/") && point != "/dev/shm";
        let is_mask = point.starts_with("/proc/") && flags.contains(&"ro");
        let writable = ["/", "/dev/pts", "/dev/shm", "/mnt/rw"].contains(&point);
        assert!(flags.contains(&"nosuid"), "{line}");
        assert!(flags.contains(&"nodev") || is_device || is_mask, "{line}");
        assert!(flags.contains(&"noexec") || !(is_device || point.starts_with("/proc")), "{line}");
        assert_eq!(flags.contains(&"ro"), !writable, "{line}");
        // No optional field: neither shared with anybody nor slave of anybody.
        assert_eq!(fields[6], "-", "{line}");
    }
}

// Case 74: `su` is there, and changes nothing.
#[test]
fn a_set_user_id_program_gains_nothing() {
    // Made on the host, shown inside: the mount does not honour the bits.
    let scratch = Scratch::new("set-id");
    let program = scratch.0.join("id");
    crate::common::copy_program("/usr/bin/id", &program);
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o6755)).expect("set its bits");
    let script = "test -u /mnt/id && test \"$(/mnt/id -u)\" = \"$(id -u)\" && grep NoNewPrivs: /proc/self/status";
    assert_eq!(shell(&["--mount", &bind(&scratch.0, "/mnt")], script).stdout, "NoNewPrivs:\t1\n");
    assert_ne!(shell(&[], "su -c true </dev/null").code, Some(0));
}

// Case 77, chroot(2): the classic ways out of a root.
#[test]
fn nothing_leads_above_the_root() {
    let script =
        "stat -Lc %d:%i / /.. /../../.. /proc/self/root /proc/self/root/.. | sort -u | wc -l; ls -A / | tr '\\n' ' '";
    let top = printed(&[], script);
    let names: Vec<&str> = top.split_whitespace().skip(1).collect();
    assert!(top.starts_with("1\n"), "{top}");
    let known = "bin dev etc gnu home lib lib32 lib64 libx32 mnt nix opt proc root run sbin srv sys tmp usr var";
    assert!(names.iter().all(|name| known.split(' ').any(|known| known == *name)), "{top}");
    all_refused(
        &["os.chroot('/tmp')", "os.listdir('/proc/1/root/..')", "os.chdir('/proc/1/cwd')", "os.listdir('/proc/1/fd')"],
        &["EPERM", "EACCES"],
    );
}

// Case 78, the tests of bubblewrap.
#[test]
fn the_hosts_tree_is_not_mounted_any_more() {
    let host = std::fs::read_to_string("/proc/self/mountinfo").expect("read mountinfo");
    let device = |table: &str| {
        let line = table.lines().find(|line| line.split(' ').nth(4) == Some("/")).expect("a root");
        line.split(' ').nth(2).map(str::to_owned)
    };
    let inside = printed(&[], "cat /proc/self/mountinfo");
    let root = device(&host);
    assert_ne!(device(&inside), root);
    for line in inside.lines().filter(|line| line.split(' ').nth(2).map(str::to_owned) == root) {
        let fields: Vec<&str> = line.split(' ').collect();
        assert!(fields[4].starts_with("/usr") || fields[4].starts_with("/etc/") || fields[3] != "/", "{line}");
    }
}

// Case 79: secrets of the host, by their usual names and by where this test put one.
#[test]
fn the_hosts_homes_secrets_and_temporary_files_are_invisible() {
    let scratch = Scratch::new("secret");
    let secret = scratch.file("secret", "secret");
    let home = std::env::var("HOME").expect("a home");
    let paths = [
        &*secret.to_string_lossy(),
        "/etc/shadow",
        "/etc/sudoers",
        "/etc/ssh",
        "/etc/machine-id",
        "/boot",
        "/root/.ssh",
    ]
    .map(|path| format!("os.stat('{path}')"));
    assert_eq!(errors(&[], &paths.each_ref().map(String::as_str)), ["ENOENT"; 7]);
    assert_eq!(
        printed(&[], "ls -A /tmp /var/tmp ~ /var/lib /var/log /mnt /srv /opt 2>&1 | grep -v ':$' | grep .; true"),
        ""
    );
    assert_ne!(shell(&[], &format!("ls -A {home} | grep .")).code, Some(0));
}

// Case 80, sandbox-runtime.
#[test]
fn the_hosts_sockets_are_invisible() {
    let list = "find / -xdev -type s 2>/dev/null; find /run /tmp /dev/shm -mindepth 1 ! -path /run/lock; env | grep -iE 'sock|display|dbus|xdg'; true";
    assert_eq!(printed(&[], list), "");
}

// Case 81, CVE-2020-15257 (containerd-shim).
#[test]
fn abstract_sockets_of_the_host_are_out_of_reach() {
    use std::os::linux::net::SocketAddrExt as _;
    let name = format!("belljar-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = std::os::unix::net::UnixListener::bind_addr(&address).expect("listen");
    let connect = format!("socket.socket(socket.AF_UNIX).connect('\\0{name}')");
    assert_eq!(errors(&[], &[&connect]), ["ECONNREFUSED"]);
    // With the host's network it is Landlock that keeps them apart.
    let landlock = crate::common::shell_result(&["--net", "host"], "true")["enforcement"]["landlock"] == "enforced";
    if available("Landlock's ABI 6", landlock) {
        assert_eq!(errors(&["--net", "host"], &[&connect]), ["EPERM"]);
    }
}

// Case 82, isolate.
#[test]
fn message_queues_and_shared_memory_of_the_host_are_out_of_reach() {
    if !crate::common::installed("ipcmk") {
        return;
    }
    let made = Command::new("ipcmk").args(["-M", "4096", "-S", "1", "-Q", "-p", "666"]).output().expect("start ipcmk");
    let made = String::from_utf8_lossy(&made.stdout).into_owned();
    let ids: Vec<&str> =
        made.split_whitespace().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit())).collect();
    let inside = printed(&[], "cat /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg | grep -vc key || true");
    let remove = Command::new("ipcrm").args(["-m", ids[0], "-q", ids[1], "-s", ids[2]]).status();
    assert!(ids.len() == 3 && remove.is_ok_and(|status| status.success()), "{made}");
    assert_eq!(inside, "0\n");
    let queue = format!("/belljar-test-{}", std::process::id());
    let open = |flags: u32| {
        format!("import ctypes; print(ctypes.CDLL('librt.so.1').mq_open(b'{queue}', {flags}, 0o666, None) >= 0)")
    };
    let code = open(0o102);
    let host = Command::new("python3").args(["-c", &code]).output().expect("start python3");
    assert_eq!(String::from_utf8_lossy(&host.stdout), "True\n");
    let inside = python(&[], &open(0o2)).stdout;
    let unlink = format!("import ctypes; ctypes.CDLL('librt.so.1').mq_unlink(b'{queue}')");
    Command::new("python3").args(["-c", &unlink]).status().expect("start python3");
    assert_eq!(inside, "False\n");
}

// Case 83, isolate 2.6.
#[test]
fn two_sandboxes_share_no_memory_and_no_temporary_files() {
    let mark = "belljar-shared";
    let script = format!("for d in /dev/shm /tmp /var/tmp /run/lock; do echo x >$d/{mark}; done; echo; cat");
    let _first = Waiting::new(command(["run", "--", "sh", "-c", &script]));
    assert_eq!(printed(&[], &format!("find /dev/shm /tmp /var /run -name {mark}")), "");
}

// Case 84, isolate: a lock on a file that both see is a channel, where nobody may lock there is none.
#[test]
fn under_strict_no_lock_can_be_a_channel() {
    let attempts = [
        "fcntl.flock(os.open('/usr/bin/env', 0), fcntl.LOCK_SH)",
        "fcntl.lockf(os.open('/usr/bin/env', 0), fcntl.LOCK_SH)",
        "fcntl.fcntl(os.open('/usr/bin/env', 0), 37, b'\\0' * 32)",
    ];
    assert_eq!(errors(&["--seccomp", "strict"], &attempts), ["ENOLCK"; 3]);
}

// Case 85, isolate: a lease makes those who open the file wait, a watch tells when they do.
#[test]
fn the_hosts_files_can_be_neither_leased_nor_watched() {
    let lease = "fcntl.fcntl(os.open('/usr/bin/env', 0), 1024, fcntl.F_WRLCK)";
    let watch = "fcntl.fcntl(os.open('/usr', 0), 1026, 4)";
    assert_eq!(errors(&[], &[lease]), ["EACCES"]);
    assert_eq!(errors(&["--seccomp", "strict"], &[lease, watch]), ["EPERM", "EPERM"]);
    let code = "import ctypes; print(ctypes.CDLL(None).inotify_init1(0))";
    assert_eq!(python(&["--seccomp", "strict"], code).stdout, "-1\n");
}

// Case 87: what Landlock's first ABIs do not restrict is refused by the mounts alone.
#[test]
fn the_hosts_programs_and_settings_cannot_be_changed() {
    all_refused(
        &[
            "os.truncate('/usr/bin/env', 0)",
            "os.rename('/usr/bin/env', '/usr/bin/env2')",
            "os.unlink('/usr/bin/env')",
            "os.mkdir('/usr/new')",
            "open('/usr/local/new', 'w')",
            "open('/etc/ld.so.cache', 'a')",
            "open('/etc/ssl/new', 'w')",
            "os.chmod('/usr/bin/env', 0o777)",
            "open('/etc/ld.so.preload', 'w')",
            "open('/new', 'w')",
            "open('/dev/new', 'w')",
        ],
        &["EROFS", "EACCES", "EXDEV"],
    );
}

// Case 87, where the working directory is the root: what may be written is still only what lies in known places.
#[test]
fn a_working_directory_at_the_root_does_not_lift_the_second_layer() {
    assert_eq!(errors(&["--workdir", "/"], &["open('/new', 'w')", "os.mkdir('/new')"]), ["EACCES", "EACCES"]);
}

// Case 89: the writable layer goes with its mount, and nobody walks through it.
#[test]
fn a_maze_of_directories_costs_nothing_to_leave() {
    let code = "
import os
os.chdir('/tmp')
for i in range(5000): os.mkdir('d' * 250); os.chdir('d' * 250)
os.chdir('/tmp'); [os.symlink(f'l{i + 1}', f'l{i}') for i in range(50)]; os.mkdir('x'); os.chmod('x', 0); print('made')";
    let scratch = Scratch::new("maze");
    let mut maze = command(["code", "python", "-e", code]);
    let started = Instant::now();
    let output = maze.env("TMPDIR", &scratch.0).output().expect("start belljar");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "made\n", "{output:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(std::fs::read_dir(&scratch.0).expect("list").count(), 0);
}

// The listing of a process tells of others; here only of the sandbox's own.
#[test]
fn processes_of_the_host_are_invisible() {
    assert_eq!(printed(&[], "cd /proc; echo [0-9]*; kill -0 2; kill -9 -1; echo alive"), "1 2\nalive\n");
}
