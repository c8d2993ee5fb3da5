//! Section A of the catalogue of attacks: escapes through bugs of the runtime itself. One test for each case that
//! `run` and `code` on the host's own files can meet; each names where the attack was seen first.
//!
//! Left out until what they attack exists:
//! 7, 8, 9, 10, 24, 25 need an image that somebody else made, and here the root is our own skeleton ·
//! 14 and 15 need names of sandboxes and of cgroups that a caller chooses ·
//! 16 and 17 need `exec`, which joins a sandbox that runs ·
//! 19 and 20 need a command that copies files out ·
//! 21 and 22 need protected paths below a writable mount, which nobody is promised yet.

use crate::common::{Scratch, bind, call, command, is_root, python, shell};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What python printed, after a run that went well.
fn printed(options: &[&str], code: &str) -> String {
    let run = python(options, code);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
    run.stdout
}

/// Answers of the kernel to `attempts`, python expressions, in one sandbox: `None` becomes `allowed`.
fn errors(options: &[&str], attempts: &[&str]) -> Vec<String> {
    let code = format!(
        "import os,errno,signal,socket,fcntl\ndef attempt(f):\n  try: f(); return 'allowed'\n  except OSError as e: return errno.errorcode[e.errno]\n{}",
        attempts.iter().map(|attempt| format!("print(attempt(lambda: {attempt}))\n")).collect::<String>()
    );
    printed(options, &code).lines().map(str::to_owned).collect()
}

// Case 1, CVE-2019-5736 (runc): the runtime's binary, reached through the process that is about to be the payload.
#[test]
fn the_binary_cannot_be_overwritten_through_proc() {
    let before = std::fs::read(crate::common::belljar()).expect("read belljar");
    let refused = errors(
        &[],
        &[
            "os.open('/proc/1/exe', os.O_RDONLY)",
            "os.open('/proc/1/exe', os.O_WRONLY | os.O_TRUNC)",
            "os.readlink('/proc/1/exe')",
            "os.open('/proc/1/map_files', os.O_RDONLY)",
        ],
    );
    assert_eq!(refused, ["EACCES"; 4]);
    let own = errors(&[], &["os.open('/proc/self/exe', os.O_WRONLY | os.O_APPEND)"]);
    assert!(own == ["EACCES"] || own == ["ETXTBSY"] || own == ["EROFS"], "{own:?}");
    assert!(before == std::fs::read(crate::common::belljar()).expect("read belljar"), "the binary has changed");
}

// Case 1, CVE-2019-5736 (runc): a script whose interpreter is the program that executes it, which is belljar.
#[test]
fn a_script_cannot_have_belljar_itself_as_interpreter() {
    let scratch = Scratch::new("interpreter");
    let script = scratch.file("script", "#!/proc/self/exe --version\n");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let run = call(["run", "--mount", &bind(&script, "/mnt/script"), "--", "/mnt/script"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(126), ""), "{}", run.stderr);
}

// Case 2, CVE-2024-21626 (runc, "leaky vessels").
#[test]
fn a_command_starts_with_three_descriptors() {
    // The fourth is the directory that is being listed.
    assert_eq!(printed(&[], "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"), "[0, 1, 2, 3]\n");
}

// Case 3, CVE-2024-21626: a working directory that is a descriptor of the runtime.
#[test]
fn a_working_directory_in_proc_is_refused() {
    for directory in ["/proc/self/fd/7", "/proc/self/cwd", "/tmp/../proc/self/fd/3", "/proc/1/root"] {
        let run = call(["run", "--workdir", directory, "--", "pwd"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(125), ""), "{directory}");
    }
}

// Case 3, CVE-2024-21626: the same behind a link that another sandbox may have made.
#[test]
fn a_working_directory_behind_a_link_to_a_descriptor_never_lies_outside() {
    let scratch = Scratch::new("workdir");
    let mount = bind(&scratch.0, "/mnt");
    for number in 0..24 {
        symlink(format!("/proc/self/fd/{number}"), scratch.0.join(format!("d{number}"))).expect("make a link");
        let workdir = format!("/mnt/d{number}");
        let run = call(["run", "--mount", &mount, "--workdir", &workdir, "--", "ls", "-a", "../../../.."]);
        let inside = !run.stdout.contains("lost+found") && !run.stdout.contains("boot");
        assert!(run.code == Some(125) || inside, "{run:?}");
    }
}

// Case 4, CVE-2024-21626 and bubblewrap: after a pivot the working directory may still be of the old root.
#[test]
fn the_working_directory_lies_inside() {
    let outside = Scratch::new("outside");
    let run = command(["run", "--", "pwd", "-P"]).current_dir(&outside.0).output().expect("start belljar");
    let home = if is_root() { "/root\n" } else { "/home/sandbox\n" };
    assert_eq!(String::from_utf8_lossy(&run.stdout), home);
    assert_eq!(shell(&["--workdir", "/made/for/this"], "pwd -P; ls -A").stdout, "/made/for/this\n");
}

/// `belljar run` below a python that passes on what `open` (python) opened.
fn with_inherited(open: &str, inside: &str) -> crate::common::Run {
    let starter = format!(
        "import os,sys,socket,select,signal\nfor fd in [{open}]:\n  fd = fd if isinstance(fd, int) else fd.detach() if hasattr(fd, 'detach') else os.dup(fd.fileno())\n  os.dup2(fd, fd + 50, inheritable=True)\nos.execv(sys.argv[1], sys.argv[1:])"
    );
    let mut command = Command::new("python3");
    command.args(["-c", &starter]).arg(crate::common::belljar()).args(["run", "--", "python3", "-c", inside]);
    command.stdin(std::process::Stdio::null()).output().expect("start python3").into()
}

const OPEN_DESCRIPTORS: &str = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))";

// Case 5, bubblewrap passes on what it was given.
#[test]
fn files_and_directories_that_the_caller_has_open_do_not_get_in() {
    let run = with_inherited("os.open('/etc/passwd', 0), os.open('/', 0), os.open('/', os.O_PATH)", OPEN_DESCRIPTORS);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "[0, 1, 2, 3]\n"), "{}", run.stderr);
}

// Case 6, sandbox-runtime: a socket hands over descriptors, an epoll or pidfd shows what it watches.
#[test]
fn sockets_and_event_descriptors_that_the_caller_has_open_do_not_get_in() {
    let open = "socket.socket(), socket.socketpair()[0], select.epoll(), os.eventfd(0), os.pidfd_open(os.getpid())";
    let run = with_inherited(open, OPEN_DESCRIPTORS);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "[0, 1, 2, 3]\n"), "{}", run.stderr);
}

// Case 11, CVE-2021-30465 and CVE-2023-27561 (runc): the mount point is a link out of the root.
#[test]
fn a_mount_point_that_is_a_link_stays_inside_the_root() {
    let scratch = Scratch::new("link");
    let (workspace, data, host) = (scratch.0.join("workspace"), scratch.0.join("data"), scratch.0.join("host"));
    for directory in [&workspace, &data, &host] {
        std::fs::create_dir(directory).expect("make a directory");
    }
    std::fs::write(data.join("marker"), "").expect("write a file");
    symlink(&host, workspace.join("absolute")).expect("make a link");
    symlink("../../../../../../..", workspace.join("upwards")).expect("make a link");
    for target in ["/mnt/absolute", "/mnt/upwards/srv", "/mnt/upwards/../../srv"] {
        let run = call([
            "run",
            "--mount",
            &bind(&workspace, "/mnt"),
            "--mount",
            &bind(&data, target),
            "--",
            "sh",
            "-c",
            "ls /srv /mnt",
        ]);
        assert!(matches!(run.code, Some(0 | 125)), "{run:?}");
        assert_eq!(std::fs::read_dir(&host).expect("list").count(), 0, "{target}");
    }
}

// Case 12, CVE-2021-30465 and CVE-2024-45310 (runc): the component is swapped while the mount point is looked up.
#[test]
fn a_mount_point_that_is_swapped_for_a_link_meanwhile_stays_inside_the_root() {
    let scratch = Scratch::new("race");
    let (workspace, data, host) = (scratch.0.join("workspace"), scratch.0.join("data"), scratch.0.join("host"));
    for directory in [&workspace, &data, &host, &workspace.join("a")] {
        std::fs::create_dir(directory).expect("make a directory");
    }
    std::fs::set_permissions(&workspace, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
    std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
    std::fs::create_dir(host.join("b")).expect("make a directory");
    std::fs::create_dir(workspace.join("a/b")).expect("make a directory");
    let end = Instant::now() + Duration::from_secs(2);
    let swapped = workspace.clone();
    symlink(&host, workspace.join("link")).expect("make a link");
    let swapper = std::thread::spawn(move || {
        let swap = |from: &str, to: &str| std::fs::rename(swapped.join(from), swapped.join(to)).expect("swap");
        while Instant::now() < end {
            for (from, to) in [("a", "dir"), ("link", "a"), ("a", "link"), ("dir", "a")] {
                swap(from, to);
            }
        }
    });
    let (workspace, data) = (bind(&workspace, "/mnt:rw"), bind(&data, "/mnt/a/b:rw"));
    let mut went_well = 0;
    while Instant::now() < end {
        let run = shell(&["--mount", &workspace, "--mount", &data], "cat /proc/self/mountinfo; touch /mnt/a/b/marker");
        went_well += i32::from(run.stdout.contains("/data /mnt/"));
        assert!(run.code.is_some() && !host.join("b/marker").exists(), "{run:?}");
        for line in run.stdout.lines().filter(|line| line.contains("/data ")) {
            let point = line.split(' ').nth(4).unwrap_or_default();
            assert!(point.starts_with("/mnt/"), "{line}");
        }
    }
    swapper.join().expect("join the swapper");
    assert!(went_well > 0, "no run won its race");
}

// Case 13, CVE-2024-45310 (runc): a missing mount point is made where the host sees it.
#[test]
fn a_missing_mount_point_below_a_mount_is_not_made_on_the_host() {
    let scratch = Scratch::new("missing");
    let mounts = [bind(&scratch.0, "/mnt:rw"), bind(Path::new("/usr"), "/mnt/new/place")];
    let run = shell(&["--mount", &mounts[0], "--mount", &mounts[1]], "true");
    assert_eq!(run.code, Some(125), "{run:?}");
    assert_eq!(std::fs::read_dir(&scratch.0).expect("list").count(), 0);
}

// Case 18, sandbox-runtime: pid 1 has the caller's identity, and whoever writes its memory is it.
#[test]
fn pid_1_cannot_be_looked_into() {
    let entries = [
        "environ",
        "auxv",
        "maps",
        "smaps",
        "smaps_rollup",
        "pagemap",
        "mem",
        "io",
        "stack",
        "syscall",
        "personality",
        "timers",
        "fdinfo",
        "fd",
        "ns",
        "map_files",
    ];
    let mut attempts: Vec<String> =
        entries.iter().map(|entry| format!("os.read(os.open('/proc/1/{entry}', os.O_RDONLY), 1)")).collect();
    attempts.extend(["root", "cwd", "exe", "ns/mnt"].map(|link| format!("os.readlink('/proc/1/{link}')")));
    attempts.extend(
        ["mem", "oom_score_adj", "comm", "clear_refs", "coredump_filter", "uid_map", "setgroups", "attr/current"]
            .map(|entry| format!("os.write(os.open('/proc/1/{entry}', os.O_WRONLY), b'1')")),
    );
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    for options in [&[][..], &["--user", "0"], &["--seccomp", "debug"]] {
        for (attempt, answer) in attempts.iter().zip(errors(options, &attempts)) {
            assert!(
                ["EACCES", "EPERM", "ENOENT", "EROFS"].contains(&answer.as_str()),
                "{options:?} {attempt}: {answer}"
            );
        }
    }
}

// Case 18: the command line of pid 1 is the caller's, with the host's paths and perhaps a secret in `--env`.
#[test]
fn the_callers_command_line_is_invisible() {
    let scratch = Scratch::new("secret-path");
    let mount = bind(&scratch.0, "/mnt");
    let run = shell(&["--env", "SECRET=hunter2", "--mount", &mount], "cat /proc/1/cmdline /proc/1/comm /proc/1/stat");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(!run.stdout.contains("hunter2") && !run.stdout.contains("secret-path"), "{:?}", run.stdout);
}

// Case 18: a traced or stopped pid 1 would no longer end with the supervisor's deadline.
#[test]
fn pid_1_can_be_neither_traced_nor_killed_nor_stopped() {
    let code = "
import ctypes, os, signal, time
libc = ctypes.CDLL(None, use_errno=True)
def state(name):
    try: return open(f'/proc/{name}/stat').read().split(')')[1][:3]
    except (FileNotFoundError, ProcessLookupError): return ''
print([libc.ptrace(request, 1, 0, 0) for request in (16, 0x4206)])
for number in range(1, 65):
    for send in (lambda: os.kill(1, number), lambda: libc.syscall(234, 1, 1, number),
                 lambda: libc.syscall(129, 1, number, ctypes.create_string_buffer(b'\\0' * 8 + b'\\xff' * 4, 128))):
        try: send()
        except OSError: pass
def eventually(look, right):
    end = time.time() + 10
    while look() != right and time.time() < end: time.sleep(0.01)
    print(look())
eventually(lambda: open('/proc/1/stat').read().split(')')[1].split()[0], 'S')
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(0.05); os._exit(0)
    os._exit(0)
os.wait()
eventually(lambda: [name for name in os.listdir('/proc') if name.isdigit() and 'Z' in state(name)], [])";
    for options in [&[][..], &["--seccomp", "debug"]] {
        // It still sleeps in its loop, and still reaps orphans.
        assert_eq!(printed(options, code), "[-1, -1]\nS\n[]\n", "{options:?}");
    }
}

// Case 18 where `fs.suid_dumpable` is 1: becoming somebody else undoes what made pid 1 unreadable.
#[test]
fn pid_1_is_made_unreadable_again_after_every_change_of_ids() {
    let plan = call(["run", "--dry-run", "--", "true"]).stdout;
    let steps: Vec<&str> = plan.lines().filter_map(|line| Some(line.trim().split_once("  ")?.1)).collect();
    assert!(steps.contains(&"be undumpable"), "{plan}");
    for (index, _) in steps.iter().enumerate().filter(|(_, step)| step.starts_with("become ")) {
        assert_eq!(steps[index + 1], "be undumpable", "{plan}");
    }
}

// Case 23, reports of agents that found other names for a forbidden program: the policy is of the process, not of a name.
#[test]
fn every_way_to_execute_a_program_meets_the_same_filter() {
    let show = "grep -E '^(NoNewPrivs|Seccomp|CapBnd):' /proc/self/status";
    let direct = shell(&[], show).stdout;
    assert_eq!(direct, "CapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
    let code = format!(
        "
import os, subprocess
show = \"{show}\"
interpreter = [line.split()[-1] for line in open('/proc/self/maps') if '/ld-' in line or 'ld-musl' in line][:1]
ways = [['/proc/self/root/usr/bin/sh'], ['/usr/bin/../bin/sh'], *([path, '/usr/bin/sh'] for path in interpreter)]
for way in ways:
    print(subprocess.run([*way, '-c', show], capture_output=True, text=True).stdout, end='', flush=True)
fd = os.memfd_create('sh', 0)
os.write(fd, open('/usr/bin/sh', 'rb').read())
os.execve(fd, ['sh', '-c', show], os.environ)"
    );
    // The only profile under which a program can lie in memory.
    let all = printed(&["--seccomp", "debug"], &code);
    assert!(all.len() >= 3 * direct.len() && all.replace(&direct, "").is_empty(), "{all}");
}

// Case 26: names that make an interpreter run code, and secrets; isolate and pipelock.
#[test]
fn the_callers_environment_stays_outside() {
    let output = command(["run", "--env", "ASKED=for", "--", "env"])
        .env("LD_PRELOAD", "")
        .env("BASH_ENV", "/tmp/x")
        .env("NODE_OPTIONS", "--require=/tmp/x")
        .env("PYTHONSTARTUP", "/tmp/x")
        .env("GIT_SSH_COMMAND", "/tmp/x")
        .env("SSH_AUTH_SOCK", "/tmp/x")
        .env("API_TOKEN", "secret")
        .output()
        .expect("start belljar");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ASKED", "HOME", "LANG", "PATH", "TERM", "USER"]);
}

// Case 27: a workspace that configures the tool that guards it.
#[test]
fn a_spec_in_the_working_directory_is_not_loaded() {
    let scratch = Scratch::new("config");
    for name in ["belljar.toml", ".belljar.toml", "belljar.json", "sandbox.toml", ".belljar", "spec.toml"] {
        scratch.file(name, "net = \"host\"\nhostname = \"taken\"\n");
    }
    let output = command(["run", "--", "hostname"])
        .current_dir(&scratch.0)
        .env("XDG_CONFIG_HOME", &scratch.0)
        .output()
        .expect("start belljar");
    let name = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !name.contains("taken"), "{name}");
}

// CVE-2022-0185's way in, seen from the other side: a user namespace of the sandbox's own with a root in it.
#[test]
fn root_inside_has_no_capability_and_gets_none() {
    let caps = printed(
        &["--user", "0:0"],
        "import os\nprint(os.getresuid(), [l.split()[1] for l in open('/proc/self/status') if l.startswith('Cap')])",
    );
    assert_eq!(caps, format!("(0, 0, 0) {:?}\n", ["0000000000000000"; 5]).replace('"', "'"));
    let refused = errors(
        &["--user", "0:0"],
        &["os.setuid(1)", "os.setgroups([])", "os.chown('/usr', 1, 1)", "os.chroot('/tmp')", "os.nice(-1)"],
    );
    assert_eq!(refused, ["EINVAL", "EPERM", "EROFS", "EPERM", "EPERM"]);
}

// A supplementary group of root's (`disk`, `docker`) must not come along where root drops its id for the sandbox's.
#[test]
fn a_sandbox_is_its_caller_on_the_host_and_nobody_where_that_is_root() {
    let scratch = Scratch::new("nobody");
    let mount = bind(&scratch.0, "/mnt:rw");
    let run = shell(&["--mount", &mount], "touch /mnt/file; grep Groups: /proc/self/status");
    // Without privileges setgroups(2) is given up, and the caller's other groups stay, as nobody's inside.
    assert!(!is_root() || run.stdout == "Groups:\t \n", "{run:?}");
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(scratch.0.join("file")).expect("look"));
    assert_eq!(owner, if is_root() { 65534 } else { nix::unistd::geteuid().as_raw() });
}

// bubblewrap and others hand the caller's pipes in: reopened through /proc, they can be used the other way round.
#[test]
fn the_callers_pipes_cannot_be_turned_round() {
    let inject = "timeout 1 sh -c \"echo evil > /proc/self/fd/0\"; true";
    let script = format!("printf 'one\\ntwo\\n' | (read -r x; $B run -- sh -c '{inject}'; cat)");
    assert_eq!(host_shell(&script), "two\n");
    let steal = "timeout 1 head -c 5 < /proc/self/fd/1 > /tmp/stolen; cat /tmp/stolen >&2";
    let script = format!("(printf first; $B run -- sh -c '{steal}') 2>&1 | (sleep 2; cat)");
    assert_eq!(host_shell(&script), "first");
}

/// What a shell of the host prints, with `$B` for belljar.
fn host_shell(script: &str) -> String {
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .env("B", crate::common::belljar())
        .output()
        .expect("start a shell");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
