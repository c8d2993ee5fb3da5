//! What goes wrong around belljar: its supervisor is killed at any moment, two hundred start at once, and the host
//! runs out of processes, descriptors, disk, namespaces, memory or keys. A run ends right, or it says what is used up
//! and how to get more; nothing is left of it either way.

use crate::common::chance::{Chance, scaled, scaled_from};
use crate::common::leavings::Before;
use crate::common::ranges::ranged;
use crate::common::{Run, allowed_to_be_missing, belljar, bind, command, installed, is_root, result};
use serde_json::json;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A run that was refused with exit code 125, for a reason that it names, with the cure for it. Nothing ran.
#[track_caller]
fn refused(run: &Run, cause: &str, cure: &str) {
    let mut lines = run.stderr.lines();
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    assert_eq!(run.code, Some(125), "{run:?}");
    assert!(first.starts_with("belljar: ") && first.contains(cause), "{cause}: {run:?}");
    assert!(second.starts_with("hint: ") && second.contains(cure), "{cure}: {run:?}");
}

/// Whether it ran (`right`) rather than being refused for that reason. There is nothing else.
#[track_caller]
fn ran(run: &Run, right: &str, cause: &str, cure: &str) -> bool {
    if run.code != Some(0) {
        refused(run, cause, cure);
        return false;
    }
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (right, ""));
    true
}

/// A small `n` is too little, a large one enough, and in between nothing else happens.
#[track_caller]
fn at_first_refused_at_last_right(outcomes: &[bool]) {
    assert_eq!((outcomes.first(), outcomes.last()), (Some(&false), Some(&true)), "{outcomes:?}");
}

/// Who has no privileges, whoever runs the tests: no limit of processes binds root, and his files lie where nobody
/// else may look.
fn unprivileged(before: &Before, program: &str) -> Command {
    const SOMEBODY: u32 = 54321;
    let mut command = Command::new(program);
    if is_root() {
        command.uid(SOMEBODY).gid(SOMEBODY);
    }
    let copy = before.scratch.0.join("belljar");
    if !copy.exists() {
        crate::common::copy_program(belljar(), &copy);
    }
    before.around(&mut command).env("B", copy);
    command
}

/// Runs `script` as an unprivileged user who is root of user and mount namespaces of his own. `$B` is belljar.
fn in_a_namespace(before: &Before, script: &str) -> Run {
    let mut command = unprivileged(before, "unshare");
    command.args(["--user", "--map-root-user", "--mount", "bash", "-c", script]);
    command.output().expect("start unshare").into()
}

/// Runs `script` in a shell of the caller's. `$B` is belljar.
fn in_a_shell(before: &Before, script: &str) -> Run {
    let mut shell = Command::new("bash");
    before.around(shell.args(["-c", script])).env("B", belljar()).output().expect("start bash").into()
}

/// Moments of a run that takes `life`, in no order: one in three in its first 3 ms, the others anywhere.
fn moment(chance: &mut Chance, round: usize, life: Duration) -> Duration {
    chance.moment(if round.is_multiple_of(3) { Duration::from_millis(3) } else { life })
}

#[test]
fn a_supervisor_that_is_killed_at_any_moment_of_its_life_leaves_nothing() {
    let before = Before::new("killed");
    let mount = bind(&before.scratch.0, "/mnt:rw");
    let shapes: [&[&str]; 4] =
        [&[], &["--json", "--memory", "64M", "--cpus", "0.5"], &["--tty"], &["--mount", &mount, "--cpu-time", "5s"]];
    killed_at_any_moment(&before, &shapes, scaled(200));
}

#[test]
fn a_supervisor_that_is_killed_while_it_has_ids_mapped_leaves_nothing() {
    // First, since a test beside this one would reap whom we ask.
    let before = Before::new("killed-range");
    if !ranged() {
        return;
    }
    let range = ["--userns", "range"];
    let (user, terminal) = ([&range[..], &["--user", "1000"]].concat(), [&range[..], &["--tty"]].concat());
    killed_at_any_moment(&before, &[&range, &user, &terminal], scaled(100));
}

/// Kills so many supervisors, of runs with these options in turn.
fn killed_at_any_moment(before: &Before, shapes: &[&[&str]], rounds: usize) {
    // It detaches what ignores every polite signal, works a little, and ends by itself.
    let script = "setsid sh -c 'trap \"\" TERM HUP INT; sleep 60' & sleep 60 & echo x >/tmp/x; sleep 0.02";
    let start = |round: usize| {
        let mut command = command([&["run"], shapes[round % shapes.len()], &["--", "sh", "-c", script]].concat());
        before.around(&mut command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start belljar")
    };
    let begun = Instant::now();
    for round in 0..shapes.len() {
        assert!(start(round).wait().expect("wait for belljar").success());
    }
    let life = begun.elapsed() / shapes.len() as u32;
    let (mut chance, mut with_cgroup) = (Chance::new("killed-supervisors"), 0);
    for round in 0..rounds {
        let moment = moment(&mut chance, round, life);
        let mut child = start(round);
        std::thread::sleep(moment);
        child.kill().expect("kill the supervisor");
        child.wait().expect("wait for it");
        println!("round {round}: killed after {moment:?} of {life:?}");
        before.no_process_is_left();
        with_cgroup += usize::from(!before.cgroups_left().is_empty());
    }
    // Where sandboxes have cgroups that nobody else takes away, some moments were after they had been made.
    assert!(with_cgroup > rounds / 10 || std::env::var_os("BELLJAR_PLACE").is_none_or(|place| place != "delegated"));
    // What can only be tidied up by somebody who is alive is tidied up by the next.
    assert_eq!(before.around(&mut command(["run", "--", "true"])).status().expect("start belljar").code(), Some(0));
    before.nothing_is_left();
}

/// keyctl(2) with two arguments, for use between fork and exec.
fn keyctl(operation: i32, first: i64, second: i64) -> i64 {
    // SAFETY: these operations take numbers, or a null pointer.
    #[allow(unsafe_code)]
    unsafe {
        libc::syscall(libc::SYS_keyctl, operation, first, second)
    }
}

/// Gives the calling thread a session keyring of its own, as everybody has who logged in: from now on each sandbox that it
/// starts takes a key of the user's quota, as long as there is one. Where the user has 200, there are fewer than that.
fn log_in() {
    const JOIN_SESSION_KEYRING: i32 = 1;
    keyctl(JOIN_SESSION_KEYRING, 0, 0);
}

#[test]
fn two_hundred_sandboxes_at_once_all_end_right() {
    let before = Before::new("at-once");
    let mount = bind(&before.scratch.0, "/mnt:rw");
    log_in();
    let start = |number: usize| {
        let script =
            format!("echo {number} >/mnt/{number}; sleep 0.5; echo out {number}; echo err >&2; exit {}", number % 100);
        let mut command = command(["run", "--pids", "8", "--mount", &mount, "--", "sh", "-c", &script]);
        before.around(&mut command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start belljar")
    };
    let children: Vec<_> = (0..scaled_from(20, 200)).map(start).collect();
    for (number, child) in children.into_iter().enumerate() {
        let run: Run = child.wait_with_output().expect("wait for belljar").into();
        let expected = (Some(number as i32 % 100), format!("out {number}\n"), "err\n".to_owned());
        assert_eq!((run.code, run.stdout, run.stderr), expected);
        let file = std::fs::read_to_string(before.scratch.0.join(number.to_string())).expect("its file");
        assert_eq!(file, format!("{number}\n"));
    }
    before.nothing_is_left();
}

/// Whoever has answered and is still taken down counts as a process of the user's: the next request waits for that.
#[test]
fn where_there_is_room_for_one_request_all_are_done_one_after_the_other() {
    let before = Before::new("room");
    if !(installed("unshare") && installed("prlimit")) {
        return;
    }
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"ls"}"#;
    let answered = |most: usize, asked: usize| {
        let code = format!(
            "import subprocess, sys\nrpc = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\nfor _ in range({asked}):\n  rpc.stdin.write(b\"\"\"{request}\n\"\"\"); rpc.stdin.flush(); print(rpc.stdout.readline().decode())\nrpc.stdin.close(); rpc.wait()"
        );
        let script = format!("exec prlimit --nproc={most}:{most} python3 -c '{code}' $B rpc --workers 0");
        let run = in_a_namespace(&before, &script);
        (run.stdout.matches("\"result\"").count(), run)
    };
    let enough = (1..16).find(|most| answered(*most, 1).0 == 1).expect("there is enough at some time");
    let refused = answered(enough - 1, 1).1;
    let cause = "the limit of processes of this user is used up";
    assert!(refused.stdout.contains(cause), "{refused:?}");
    let all = scaled_from(30, 100);
    let (count, run) = answered(enough, all);
    assert_eq!(count, all, "with {enough}: {run:?}");
    before.nothing_is_left();
}

#[test]
fn a_user_without_processes_left_is_told_so() {
    let before = Before::new("processes");
    if !(installed("unshare") && installed("prlimit")) {
        return;
    }
    let (cause, cure) = ("the limit of processes of this user is used up", "raise `ulimit -u`");
    let mut outcomes = Vec::new();
    // Only belljar's own processes count in a namespace of its own: supervisor, pid 1, payload.
    for most in 1..=5 {
        let run = in_a_namespace(&before, &format!("exec prlimit --nproc={most}:{most} $B run --pids 1 -- echo right"));
        outcomes.push(ran(&run, "right\n", cause, cure));
    }
    at_first_refused_at_last_right(&outcomes);
    before.nothing_is_left();
}

#[test]
fn a_caller_without_descriptors_left_is_told_so() {
    let before = Before::new("descriptors");
    if !installed("prlimit") {
        return;
    }
    let hog = "import sys; x = bytearray(200 << 20); print(len(x))";
    // With 10 more open, which belljar neither hands on nor needs.
    let mut chance = Chance::new("descriptors");
    let open = "for n in 3 4 5 6 7 8 9 10 11 12; do eval \"exec $n</dev/null\"; done;";
    for (others, least) in [("", 3), (open, 13)] {
        for options in [&["--json"][..], &["--tty"], &["--output-limit", "1M"]] {
            let options = options.join(" ");
            let mut outcomes = Vec::new();
            for most in [least].into_iter().chain(chance.sample(least + 1..least + 18)).chain([64]) {
                let limit = format!("{others} exec prlimit --nofile={most}:{most}");
                let run = in_a_shell(&before, &format!("{limit} $B run {options} -- true"));
                if run.code != Some(0) {
                    refused(&run, "Too many open files", "raise the limit of open files (`ulimit -n`)");
                }
                outcomes.push(run.code == Some(0));
                // Whoever comes into being with so few is held to its limits all the same.
                let run = in_a_shell(&before, &format!("{limit} $B code python {options} --memory 64M -e '{hog}'"));
                if run.code != Some(137) {
                    refused(&run, "Too many open files", "raise the limit of open files (`ulimit -n`)");
                }
            }
            at_first_refused_at_last_right(&outcomes);
        }
    }
    before.nothing_is_left();
}

/// Runs belljar with `injection` done to system calls of the supervisor, and of nobody else; what it did meanwhile.
fn traced(before: &Before, injection: &str, words: &str) -> (Run, String) {
    let log = before.scratch.0.join("trace");
    let run = in_a_shell(before, &format!("exec strace -qq -o {} {injection} $B {words}", log.display()));
    (run, std::fs::read_to_string(log).expect("read the trace"))
}

#[test]
fn a_host_without_descriptors_or_memory_is_named_whenever_the_supervisor_asks_for_some() {
    let before = Before::new("asking");
    if !installed("strace") {
        return;
    }
    let (words, mut chance) = ("run --json -- echo right", Chance::new("asking"));
    let whole = result(&traced(&before, "", words).0);
    let asking = [
        ("openat", "ENFILE", "File table overflow", "`fs.file-max`"),
        ("memfd_create,pipe2,socketpair,signalfd4", "ENFILE", "File table overflow", "`fs.file-max`"),
        ("clone3", "ENOMEM", "Out of memory", "`ulimit -v`"),
    ];
    for (calls, errno, cause, cure) in asking {
        let (_, trace) = traced(&before, &format!("-e trace={calls}"), words);
        assert!(trace.lines().count() > 0, "{calls}");
        for number in chance.sample(1..=trace.lines().count().min(40)) {
            let injection = format!("-e trace={calls} -e inject={calls}:error={errno}:when={number}");
            let (run, trace) = traced(&before, &injection, words);

            if run.code == Some(0) {
                // It was not needed. Nothing is weaker for that.
                let result = result(&run);
                assert_eq!(
                    (&result["stdout"], &result["enforcement"]),
                    (&json!("right\n"), &whole["enforcement"]),
                    "{trace}"
                );
            } else {
                refused(&run, cause, cure);
            }
        }
    }
    before.nothing_is_left();
}

#[test]
fn a_supervisor_that_cannot_look_any_more_ends_the_sandbox() {
    let before = Before::new("blind");
    if !installed("strace") {
        return;
    }
    let (_, trace) = traced(&before, "-e trace=openat", "run -- true");
    let later = trace.lines().count() + 50;
    let injection = format!("-e trace=openat -e inject=openat:error=ENFILE:when={later}+");
    let (run, _) = traced(&before, &injection, "run --timeout 60s -- sleep 50");
    refused(&run, "read what the sandbox uses: File table overflow", "`fs.file-max`");
    before.nothing_is_left();
}

#[test]
fn the_supervisor_writes_no_file_of_the_host() {
    let before = Before::new("nowhere");
    if !installed("strace") {
        return;
    }
    let mount = bind(&before.scratch.0, "/mnt:rw");
    for words in ["run --json -- sh -c 'echo x >/tmp/x'", &format!("run --mount {mount} --tty -- sleep 0.2")] {
        let (_, trace) = traced(&before, "-e trace=%file,ftruncate,fallocate,fchmod,fchown", words);
        let maps = |line: &str| line.contains("/uid_map\"") || line.contains("/gid_map\"");
        let reads = [
            "open",
            "openat",
            "access",
            "faccessat",
            "faccessat2",
            "stat",
            "lstat",
            "newfstatat",
            "statx",
            "readlink",
            "readlinkat",
            "getcwd",
            "execve",
            "statfs",
            "chdir",
        ];
        for line in trace.lines().filter(|line| !line.starts_with(['-', '+'])) {
            let call = line.split('(').next().unwrap_or_default();
            let pipe_of_root = is_root() && call == "fchown" && line.contains(", 65534, 65534)");
            assert!(reads.contains(&call) || pipe_of_root, "{line}");
            let writes =
                ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"].iter().any(|flag| line.contains(flag));
            // A pipe of the sandbox's own, opened anew.
            let own = line.contains("\"/proc/self/fd/");
            assert!(!writes || maps(line) || own || line.contains("\"/dev/"), "{line}");
        }
    }
    before.nothing_is_left();
}

#[test]
fn a_full_disk_stops_only_who_writes_to_it() {
    let before = Before::new("full");
    if !installed("unshare") {
        return;
    }
    // Neither bytes nor inodes are left where the caller stands and where temporary files go.
    let full = "mount -t tmpfs -o size=64k,nr_inodes=3 full $HOME && cd $HOME && export TMPDIR=$HOME || exit 9
        : >taken; : >other; cat /dev/zero >taken 2>&-; ! : 2>&- >more || exit 9; ";
    let on_full = |script: &str| in_a_namespace(&before, &format!("{full}{script}"));
    let right = |run: &Run, output: &str| assert_eq!((run.code, run.stdout.as_str()), (Some(0), output), "{run:?}");
    right(&on_full("$B run -- echo right"), "right\n");
    right(&on_full("$B code python -e 'print(open(\"/tmp/x\", \"w\").write(\"x\" * 10**6))'"), "1000000\n");
    right(
        &on_full(
            "$B run --mount $HOME:/mnt:rw -- sh -c 'echo x >>/mnt/taken || echo full; echo x >/tmp/x && echo right' 2>&1 | tail -n 2",
        ),
        "full\nright\n",
    );
    let (cause, cure) = ("No space left on device", "what is written to is full");
    for options in ["", "--json", "--status-fd 3 3>>taken 4"] {
        let to = if options.ends_with('4') { "/dev/null" } else { "taken" };
        refused(&on_full(&format!("$B run {} -- echo right >>{to}", options.trim_end_matches('4'))), cause, cure);
    }
    before.nothing_is_left();
}

#[test]
fn a_host_without_namespaces_left_is_told_so() {
    let before = Before::new("namespaces");
    if !installed("unshare") {
        return;
    }
    // One sandbox runs while the other starts.
    let script = |kind: &str, most: u32| {
        format!(
            "echo {most} >/proc/sys/user/max_{kind}_namespaces
            coproc $B run -- sh -c 'echo ready; exec sleep 60'; first=$!; read ready <&${{COPROC[0]}}
            [ \"$ready\" ] || exec $B run -- echo right
            $B run -- echo right; code=$?; kill $first; wait $first; exit $code"
        )
    };
    for kind in ["user", "mnt", "pid", "uts", "ipc", "cgroup", "net"] {
        let outcomes: Vec<bool> = [1, 2, 3, 4, 20]
            .into_iter()
            .map(|most| {
                let run = in_a_namespace(&before, &script(kind, most));
                let lines =
                    run.stderr.lines().filter(|line| line.starts_with("belljar: ") || line.starts_with("hint: "));
                let stderr = lines.take(2).map(|line| format!("{line}\n")).collect();
                let run = Run { stderr: if run.code == Some(0) { String::new() } else { stderr }, ..run };
                if run.code == Some(0) {
                    return true;
                }
                refused(&run, "", "user.max_");
                assert!(
                    run.stderr.contains("limit of namespaces is used up")
                        || run.stderr.contains("limit of mount namespaces"),
                    "{kind} {most}: {run:?}"
                );
                false
            })
            .collect();
        at_first_refused_at_last_right(&outcomes);
    }
    before.nothing_is_left();
}

#[test]
fn a_supervisor_without_memory_says_so() {
    let before = Before::new("memory");
    if !installed("prlimit") {
        return;
    }
    // A program that was compiled for tests takes more than 32 MiB by itself.
    for (limit, sizes) in [("as", (1..=128u64).chain([512])), ("data", (1..=24).chain([2048]))] {
        let step: u64 = if limit == "as" { 512 << 10 } else { 64 << 10 };
        let mut outcomes = Vec::new();
        for size in sizes.map(|number| number * step) {
            let call = |words: &str| in_a_shell(&before, &format!("exec prlimit --{limit}={size} $B {words}"));
            // Below what the program itself takes, the kernel ends it before its first instruction.
            if call("--version").code.is_none() {
                continue;
            }
            let run = call("run --json --output-limit 8M -- head -c 200000 /dev/zero");
            match run.code {
                Some(0) => assert_eq!(result(&run)["stdout"].as_str().map(str::len), Some(200_000)),
                // The command has the caller's limits as well.
                Some(127 | 1) | Some(139) => {
                    assert!(!run.stderr.is_empty() || run.stdout.contains("signal"), "{run:?}")
                }
                _ => refused(&run, "emory", "`ulimit -v`"),
            }
            outcomes.push(run.code == Some(0));
        }
        at_first_refused_at_last_right(&outcomes);
    }
    before.nothing_is_left();
}

/// Calls belljar for a user who has logged in and has no key left.
fn without_keys(before: &Before, words: &[&str]) -> Run {
    let mut caller = unprivileged(before, "bash");
    // SAFETY: system calls only.
    #[allow(unsafe_code)]
    unsafe {
        caller.pre_exec(|| {
            log_in();
            let mut full = 0;
            // The keyrings of sandboxes that have just ended go a moment later, and make room once more.
            for number in 0..1_000_000u32 {
                let digit = |place: u32| b'a' + (number >> (4 * place) & 15) as u8;
                let name = [digit(0), digit(1), digit(2), digit(3), digit(4), 0];
                let (kind, session) = (c"user".as_ptr(), -3i64);
                if libc::syscall(libc::SYS_add_key, kind, name.as_ptr(), c"x".as_ptr(), 1usize, session) < 0 {
                    full += 1;
                    libc::usleep(10_000);
                }
                if full == 100 {
                    return Ok(());
                }
            }
            Err(std::io::Error::from_raw_os_error(libc::E2BIG))
        })
    };
    let words = [&["run"], allowed_to_be_missing(), words].concat();
    caller.args(["-c", "exec $B \"$@\"", "belljar"]).args(words).output().expect("fill the quota").into()
}

#[test]
fn a_user_without_keys_left_gets_sandboxes_that_no_keyring_can_be_reached_from_and_the_result_says_so() {
    let before = Before::new("keys");
    for profile in ["default", "strict", "debug"] {
        let result = result(&without_keys(&before, &["--json", "--seccomp", profile, "--", "echo", "right"]));
        let why =
            "the user's quota of keys is used up, and the session keyring is the caller's; no system call reaches it";
        let told = (&result["stdout"], &result["enforcement"]["namespaces"]);
        assert_eq!(told, (&json!("right\n"), &json!({ "partly": why })), "{result}");
    }
    before.nothing_is_left();
}

#[test]
fn a_user_without_keys_left_gets_no_sandbox_that_the_callers_keys_could_be_reached_from() {
    let before = Before::new("keys-needed");
    let profile = before.scratch.0.join("profile.json");
    let all_but_one =
        r#"{"f": {"mismatch_action": "allow", "match_action": {"errno": 1}, "filter": [{"syscall": "bpf"}]}}"#;
    std::fs::write(&profile, all_but_one).expect("write a profile");
    for options in [["--require", "namespaces"], ["--seccomp", profile.to_str().expect("a path of ours")]] {
        let run = without_keys(&before, &[&options[..], &["--", "echo", "ran"]].concat());
        refused(&run, "join a new session keyring: ", "`kernel.keys.maxkeys`");
    }
    before.nothing_is_left();
}
