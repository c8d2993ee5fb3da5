//! Whatever belljar is started in: another environment, another user, a lesser kernel, a container, a tracer. It works,
//! or it says what is missing and how to get it.

use crate::common::{Run, Scratch, available, belljar, call, command, installed, is_root, result, said};
use serde_json::json;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

/// Exit code, standard output and standard error.
/// Runs `line`, words divided by spaces, in which `BELLJAR` stands for the binary.
fn host(line: &str) -> Run {
    let program = belljar();
    let words = line.split_whitespace().map(|word| if word == "BELLJAR" { program.as_os_str() } else { word.as_ref() });
    let words: Vec<_> = words.collect();
    Command::new(words[0]).args(&words[1..]).output().unwrap_or_else(|error| panic!("{line}: {error}")).into()
}

/// A script of the host's shell, as root of a user namespace of its own, in which `$B` is belljar.
fn as_root_of_a_namespace(script: &str) -> Run {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script]).env("B", belljar());
    command.output().expect("start unshare").into()
}

/// The run with a kernel that answers `error` to `calls`.
fn injected(calls: &str, error: &str, options: &str) -> Run {
    host(&format!("strace -f -qq -o /dev/null -e inject={calls}:error={error} BELLJAR run {options} -- true"))
}

const REFUSED: Option<i32> = Some(125);

#[test]
fn nothing_of_the_callers_environment_reaches_the_command() {
    let mut run = command(["run", "--", "env"]);
    for name in ["LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "ENV", "NODE_OPTIONS", "PYTHONSTARTUP", "PYTHONPATH"] {
        run.env(name, "");
    }
    run.env("GIT_DIR", "/x").env("AWS_SECRET_ACCESS_KEY", "x").env("SSH_AUTH_SOCK", "/x").env("TERM", "xterm");
    run.env("PATH", "/x:/usr/bin").env("LANG", "de_DE").env("USER", "x").env("HOME", "/x").env("LC_ALL", "x");
    let run: Run = run.output().expect("start belljar").into();
    let (home, user) = if is_root() { ("/root", "root") } else { ("/home/sandbox", "sandbox") };
    let clean = format!(
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME={home}\nLANG=C.UTF-8\nTERM=dumb\nUSER={user}\n"
    );
    assert_eq!(said(&run), (Some(0), clean.as_str(), ""));
}

#[test]
fn a_variable_without_a_value_is_the_callers() {
    let run = command(["run", "--env", "ASKED", "--env", "EMPTY", "--", "sh", "-c", "echo \"$ASKED-${EMPTY-unset}\""])
        .env("ASKED", "yes")
        .env("EMPTY", "")
        .output();
    assert_eq!(said(&run.expect("start belljar").into()), (Some(0), "yes-\n", ""));
}

#[test]
fn no_file_is_read_that_was_not_named() {
    let scratch = Scratch::new("planted");
    let plan = |directory: &Scratch| {
        let mut run = command(["run", "--dry-run", "true"]);
        run.current_dir(&directory.0).env("HOME", &directory.0).env("XDG_CONFIG_HOME", &directory.0);
        Run::from(run.output().expect("start belljar")).stdout
    };
    let before = plan(&scratch);
    for name in ["belljar.toml", ".belljar.toml", "spec.toml", "sandbox.toml", "belljar.json", ".belljarrc"] {
        scratch.file(name, "hostname = \"planted\"\nnet = \"host\"\n");
    }
    for name in ["belljar", ".belljar", ".config"] {
        std::fs::create_dir(scratch.0.join(name)).expect("a directory");
        scratch.file(&format!("{name}/config.toml"), "hostname = \"planted\"\n");
    }
    assert_eq!(plan(&scratch), before);
}

#[test]
fn no_directory_of_the_callers_is_needed() {
    let scratch = Scratch::new("closed");
    std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o500)).expect("close it");
    for directory in ["/nonexistent", "/proc", scratch.0.to_str().expect("a name"), ""] {
        let mut run = command(["code", "python", "-e", "print(1)"]);
        for name in ["HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CACHE_HOME"] {
            run.env(name, directory);
        }
        assert_eq!(said(&run.output().expect("start belljar").into()), (Some(0), "1\n", ""), "{directory}");
    }
    let bare = command(["code", "python", "-e", "print(1)"]).env_clear().output();
    assert_eq!(said(&bare.expect("start belljar").into()), (Some(0), "1\n", ""));
}

#[test]
fn the_binary_works_alone_wherever_it_lies() {
    let scratch = Scratch::new("alone");
    let copy = scratch.0.join("b");
    crate::common::copy_program(belljar(), &copy);
    let run = Command::new(&copy).args(["run", "--", "echo", "alone"]).env_clear().current_dir("/").output();
    assert_eq!(said(&run.expect("start the copy").into()), (Some(0), "alone\n", ""));
}

#[test]
fn the_release_binary_needs_no_dynamic_linker() {
    let Some(path) = std::env::var_os("BELLJAR_RELEASE_BIN") else {
        assert!(!available("a release binary named by BELLJAR_RELEASE_BIN", false));
        return;
    };
    let Ok(elf) = std::fs::read(&path) else {
        assert!(!available("the release binary (`make build` makes it)", false));
        return;
    };
    // Elf64_Ehdr: e_phoff at 32, e_phentsize at 54, e_phnum at 56; Elf64_Phdr begins with p_type (elf(5)).
    let number = |at: usize, size: usize| {
        elf[at..at + size].iter().rev().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let (first, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let kinds: Vec<usize> = (0..count).map(|index| number(first + index * size, 4)).collect();
    const PT_LOAD: usize = 1;
    const PT_INTERP: usize = 3;
    assert_eq!((kinds.contains(&PT_LOAD), kinds.contains(&PT_INTERP)), (true, false), "{kinds:?}");
}

#[test]
fn a_sandbox_inside_a_sandbox_is_refused() {
    let directory = belljar();
    let directory = directory.parent().expect("its directory").to_str().expect("a name");
    let name = belljar().file_name().expect("its name").to_str().expect("a name").to_owned();
    let inner = format!("/mnt/bin/{name}");
    let run = call(["run", "--mount", &format!("{directory}:/mnt/bin"), "--", &inner, "run", "--", "true"]);
    let message = "belljar: we are inside a sandbox already: nested user namespaces are switched off here (by a seccomp \
        filter, and `user.max_user_namespaces` is 0)\nhint: run belljar outside of that sandbox\n";
    assert_eq!(said(&run), (REFUSED, "", message));
}

#[test]
fn a_tracer_changes_nothing() {
    if installed("strace") {
        let run = host("strace -f -qq -o /dev/null BELLJAR run -- echo traced");
        assert_eq!(said(&run), (Some(0), "traced\n", ""));
    }
}

#[test]
fn root_of_a_namespace_runs_sandboxes_like_any_user() {
    if installed("unshare") {
        assert_eq!(said(&as_root_of_a_namespace("\"$B\" run -- id -u")), (Some(0), "0\n", ""));
    }
}

#[test]
fn what_a_sandbox_makes_belongs_to_the_caller_or_to_nobody_where_that_is_root() {
    let scratch = Scratch::new("owner");
    let mount = format!("{}:/out:rw", scratch.0.display());
    let run = call(["run", "--mount", &mount, "--", "touch", "/out/made"]);
    let made = std::fs::metadata(scratch.0.join("made")).expect("the file");
    let caller = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let owner = if is_root() { (65534, 65534) } else { caller };
    assert_eq!((run.code, (made.uid(), made.gid())), (Some(0), owner));
}

#[test]
fn a_writable_mount_gives_no_more_than_the_caller_has_and_root_is_told_so_before() {
    let scratch = Scratch::new("denied");
    std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o555)).expect("close it");
    let source = scratch.0.display().to_string();
    let run = call(["run", "--mount", &format!("{source}:/out:rw"), "--", "touch", "/out/x"]);
    let told = format!(
        "belljar: mount: source `{source}` would not be writable: a sandbox that root starts has user id 65534 on the \
         host\nhint: `chown 65534 {source}`, or start belljar as the directory's owner\n"
    );
    let tried = "touch: cannot touch '/out/x': Permission denied\n";
    let expected = if is_root() { (REFUSED, "", told.as_str()) } else { (Some(1), "", tried) };
    assert_eq!(said(&run), expected);
}

#[test]
fn privileges_are_not_needed_except_by_root_who_has_to_give_them_up() {
    if !installed("setpriv") {
        return;
    }
    let (line, expected) = if is_root() {
        let message = "belljar: root of this container may not act for other user ids (give a pipe away: Operation not permitted)\n\
            hint: run belljar as an unprivileged user of the container\n";
        ("setpriv --bounding-set=-all --inh-caps=-all BELLJAR run -- true", (REFUSED, "", message))
    } else {
        ("setpriv --no-new-privs --inh-caps=-all BELLJAR run -- true", (Some(0), "", ""))
    };
    assert_eq!(said(&host(line)), expected);
}

#[test]
fn a_caller_with_low_limits_has_sandboxes_with_low_limits() {
    if !installed("prlimit") {
        return;
    }
    let low = "--core=0:0 --nofile=64:64 --memlock=65536:65536 --msgqueue=0:0 --sigpending=64:64 --rtprio=0:0";
    let run = host(&format!("prlimit {low} BELLJAR run -- cat /proc/self/limits"));
    let limit = |name: &str| {
        let line = run.stdout.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_ascii_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let names =
        ["Max core file size", "Max open files", "Max locked memory", "Max msgqueue size", "Max pending signals"];
    assert_eq!(names.map(limit).concat(), ["0", "0", "64", "64", "65536", "65536", "0", "0", "64", "64"], "{run:?}");
}

#[test]
fn a_limit_that_was_asked_for_and_cannot_be_had_is_an_error() {
    if !installed("prlimit") {
        return;
    }
    // As many as other tests of the same user do not use up meanwhile.
    let run = host("prlimit --nproc=1500:1500 BELLJAR run --pids 1500 -- true");
    let (_, what) = run.stderr.split_once(": limit ").unwrap_or_default();
    let message = "RLIMIT_NPROC to 1501 (hard 1501): Operation not permitted\nhint: the caller's own hard limit is lower: \
        raise it (`ulimit -H`) or ask for less\n";
    assert_eq!((run.code, what), (REFUSED, message), "{run:?}");
}

#[test]
fn namespaces_that_are_switched_off_are_named_with_their_setting() {
    if !installed("unshare") {
        return;
    }
    for kind in ["user", "mnt", "pid", "uts", "ipc", "cgroup", "net"] {
        let run = as_root_of_a_namespace(&format!("echo 0 >/proc/sys/user/max_{kind}_namespaces; \"$B\" run -- true"));
        let message = format!(
            "belljar: namespaces are switched off: `user.max_{kind}_namespaces` is 0\nhint: as root: `sysctl -w \
             user.max_{kind}_namespaces=15000`; without root there is no other way on this host: ask its administrator\n"
        );
        assert_eq!(said(&run), (REFUSED, "", message.as_str()));
    }
}

#[test]
fn a_masked_proc_around_us_is_named_with_its_cure() {
    if !installed("unshare") {
        return;
    }
    let run = as_root_of_a_namespace("mount --bind /dev/null /proc/version; \"$B\" run -- true");
    let message = "belljar: the host's `/proc` is partly masked, as inside of containers, and so the kernel gives no \
        fresh one\nhint: start the container with an unmasked `/proc` (docker: `--security-opt \
        systempaths=unconfined`, podman: `--security-opt unmask=ALL`)\n";
    assert_eq!(said(&run), (REFUSED, "", message));
}

#[test]
fn a_kernel_that_refuses_the_clone_is_explained() {
    if !installed("strace") {
        return;
    }
    let rows = [
        (
            "clone3,clone",
            "ENOSYS",
            "belljar: the kernel, or a seccomp filter around us, knows neither clone3 nor clone with namespaces",
        ),
        (
            "clone3",
            "EINVAL",
            "belljar: the kernel was built without one of the namespaces (user, mount, pid, uts, ipc, cgroup)",
        ),
        ("clone3", "EAGAIN", "belljar: the limit of processes of this user is used up"),
        ("clone3", "EUSERS", "belljar: the host's limit of namespaces is used up (`user.max_*_namespaces`)"),
    ];
    for (calls, error, message) in rows {
        let run = injected(calls, error, "");
        let mut lines = run.stderr.lines();
        let (first, hint) = (lines.next(), lines.next().is_some_and(|line| line.starts_with("hint: ")));
        assert_eq!((run.code, first, hint), (REFUSED, Some(message), true), "{calls} {error}");
    }
}

#[test]
fn a_kernel_or_filter_without_clone3_is_good_enough() {
    if installed("strace") {
        assert_eq!(said(&injected("clone3", "ENOSYS", "")), (Some(0), "", ""));
    }
}

#[test]
fn a_kernel_without_landlock_is_refused_unless_that_is_allowed() {
    if !installed("strace") {
        return;
    }
    let message = "belljar: landlock: the kernel has no Landlock\nhint: see `belljar doctor`; `--allow-missing \
        landlock` goes on without it\n";
    let refused = injected("landlock_create_ruleset", "EOPNOTSUPP", "");
    assert_eq!(said(&refused), (REFUSED, "", message));
    let allowed = result(&injected("landlock_create_ruleset", "EOPNOTSUPP", "--json --allow-missing landlock"));
    let off = json!({"off": "the kernel has no Landlock"});
    assert_eq!((&allowed["status"], &allowed["enforcement"]["landlock"]), (&json!("exited"), &off));
}

#[test]
fn a_kernel_that_is_too_old_is_told_by_the_step_that_it_does_not_know() {
    if !installed("strace") {
        return;
    }
    for (call, options, attempt) in [
        ("mount_setattr", "", "make what is shown read-only: read-only"),
        ("openat2", "--mount /usr:/data", "bind /usr on data ro: open mount point"),
    ] {
        let run = injected(call, "ENOSYS", options);
        let (place, what) = run.stderr.split_once(": ").and_then(|(_, rest)| rest.split_once(": ")).expect("a message");
        let cure = "hint: mounts need Linux 5.12 or newer";
        assert_eq!(what, format!("{attempt}: Function not implemented\n{cure}\n"), "{call}");
        assert!(run.code == REFUSED && place.starts_with("step "), "{run:?}");
    }
}

#[test]
fn a_filter_that_cannot_be_installed_means_that_nothing_runs() {
    if installed("strace") {
        let run = host("strace -f -qq -o /dev/null -e inject=seccomp:error=EINVAL BELLJAR run -- echo ran");
        assert_eq!((run.code, run.stdout.as_str()), (REFUSED, ""), "{run:?}");
        assert!(run.stderr.contains("install seccomp profile default"), "{run:?}");
    }
}

#[test]
fn keyrings_are_not_needed() {
    if installed("strace") {
        assert_eq!(said(&injected("keyctl", "ENOSYS", "")), (Some(0), "", ""));
    }
}
