//! The leaders that stand inside for the next command: nobody sees a difference but in time.

use crate::common::sandboxes::Sandboxes;
use crate::common::{Started, eventually, said};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Who stands inside and has no command, the first who came there first.
fn standing(sandboxes: &Sandboxes) -> Vec<Pid> {
    let all = std::fs::read_dir("/proc").expect("read /proc");
    let all = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let supervisors = sandboxes.supervisors();
    let status = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |status: &str, name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned()).unwrap_or_default()
    };
    let waits = |pid: &i32| {
        let status = status(*pid);
        let inside: Vec<&str> = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))
            .map_or(Vec::new(), |pids| pids.split_ascii_whitespace().collect());
        supervisors.contains(&field(&status, "PPid:").parse().unwrap_or(0))
            && inside.len() > 1
            && inside.last() != Some(&"1")
            && !field(&status, "State:").starts_with('Z')
            && std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).is_ok_and(|all| all.is_empty())
    };
    let mut found: Vec<Pid> = all.filter(waits).map(Pid::from_raw).collect();
    found.sort_by_key(|pid| inner(*pid).parse::<u32>().unwrap_or(0));
    found
}

/// Waits until exactly one stands there, and stays, besides whoever clones them, who came first.
fn one(sandboxes: &Sandboxes) -> Pid {
    let before = RefCell::new(Vec::new());
    let stays = eventually(20, || {
        std::thread::sleep(Duration::from_millis(30));
        let now = standing(sandboxes);
        let stays = now.len() == 2 && now == *before.borrow();
        before.replace(now);
        stays
    });
    assert!(stays, "{before:?}");
    before.take()[1]
}

/// As it is called inside.
fn inner(pid: Pid) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    pids.split_ascii_whitespace().last().unwrap_or_default().to_owned()
}

/// Everything that a command can see of how it was begun, but for the numbers of processes.
const SIGHT: &str = "grep -E '^(Cap|NoNew|Seccomp|Sig(Blk|Ign|Cgt)|Uid|Gid|Groups|Umask)' /proc/self/status; \
    ulimit -a; id; pwd; env | sort; umask; cat /proc/self/oom_score_adj /proc/self/cgroup; \
    nproc; ls /proc/self/fd; ls -l /proc/self/ns | sed 's/.*-> //'; ls /dev/shm /tmp; nice; echo end >&2";

#[test]
fn a_command_is_led_by_who_stood_inside_and_begins_as_any_other() {
    let sandboxes = Sandboxes::new("leaders");
    sandboxes.create("box", &["--env", "GIVEN=yes"]);
    assert!(standing(&sandboxes).is_empty(), "nobody has used it");
    let first = sandboxes.shell("box", SIGHT);
    assert!(first.code == Some(0) && first.stdout.contains("GIVEN=yes"), "{first:?}");
    let stood = inner(one(&sandboxes));
    let told = sandboxes.shell("box", "echo $PPID");
    assert_eq!(told.stdout.trim(), stood, "another led it");
    // And the one after it is another.
    let next = one(&sandboxes);
    assert_ne!(inner(next), stood);
    let second = sandboxes.shell("box", SIGHT);
    assert_eq!((second.stdout, second.stderr), (first.stdout, first.stderr));
    one(&sandboxes);
    let told =
        sandboxes.call(&["exec", "--env", "A=b", "--workdir", "/tmp", "box", "--", "sh", "-c", "echo $A $PWD; exit 3"]);
    assert_eq!(said(&told), (Some(3), "b /tmp\n", ""));
    one(&sandboxes);
    let told = sandboxes.call(&["code", "--sandbox", "box", "sh", "-e", "cat; echo $1", "x"]);
    assert_eq!(said(&told), (Some(0), "x\n", ""));
    one(&sandboxes);
    let stood = one(&sandboxes);
    assert_eq!(said(&sandboxes.call(&["fs", "cat", "box", "/etc/hostname"])), (Some(0), "belljar\n", ""));
    assert!(!standing(&sandboxes).contains(&stood), "our own tools are led as well");
    one(&sandboxes);
    let missing = sandboxes.call(&["exec", "box", "--", "no-such-program"]);
    assert!(missing.code == Some(127) && missing.stderr.contains("no-such-program"), "{missing:?}");
}

#[test]
fn who_stands_inside_has_no_right_that_a_command_could_take_from_it() {
    let sandboxes = Sandboxes::new("leaders-rights");
    sandboxes.create("box", &[]);
    sandboxes.shell("box", "true");
    let status = std::fs::read_to_string(format!("/proc/{}/status", one(&sandboxes))).expect("it lives");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t0000000000000000")), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    // Nobody inside looks into it, and it has nothing open but its socket, our procfs and what it waits with.
    let open = "cd /proc; for p in [0-9]*; do [ $p = 1 ] || [ $p = $$ ] || ls $p/fd $p/root $p/mem >/dev/null 2>&1; done; \
        cat /proc/$PPID/mem 2>&1 >/dev/null | head -c 300; ls /proc/$PPID/fd 2>&1";
    let told = sandboxes.shell("box", open);
    assert!(told.stdout.matches("ermission denied").count() == 2, "{told:?}");
}

#[test]
fn who_was_killed_or_stopped_from_inside_is_replaced_and_nothing_is_begun_twice() {
    let sandboxes = Sandboxes::new("leaders-hostile");
    sandboxes.create("box", &[]);
    sandboxes.shell("box", "true");
    for signal in ["KILL", "STOP"] {
        one(&sandboxes);
        // Whoever is inside may signal what has its user.
        let hostile = format!(
            "for p in $(cd /proc; ls -d [0-9]*); do [ $p = $$ ] || [ $p = $PPID ] || kill -{signal} $p; done 2>/dev/null; true"
        );
        assert_eq!(sandboxes.shell("box", &hostile).code, Some(0));
        let pid = one(&sandboxes);
        // Its successor, this time from outside, in the moment before it is used.
        kill(pid, if signal == "KILL" { Signal::SIGKILL } else { Signal::SIGSTOP }).expect("it lives");
        let told = sandboxes.shell("box", "echo begun >> /tmp/begun; wc -l < /tmp/begun; rm /tmp/begun");
        assert_eq!(said(&told), (Some(0), "1\n", ""), "{signal}");
    }
}

#[test]
fn who_is_not_needed_leaves_and_an_idle_sandbox_uses_no_time() {
    let sandboxes = Sandboxes::new("leaders-idle");
    sandboxes.create("box", &[]);
    sandboxes.shell("box", "true");
    let pid = one(&sandboxes);
    let time = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<u64> = stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .split_ascii_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|word| word.parse().ok())
            .collect();
        fields.iter().sum::<u64>()
    };
    let supervisor = sandboxes.supervisors()[0];
    std::thread::sleep(Duration::from_secs(1));
    let (before, theirs) = (time(supervisor), time(pid.as_raw()));
    std::thread::sleep(Duration::from_secs(3));
    assert!(time(supervisor) - before <= 1 && time(pid.as_raw()) == theirs, "ticks of 10 ms in three seconds");
    assert!(eventually(20, || standing(&sandboxes).is_empty()), "it waits for ever");
    assert!(eventually(5, || std::fs::metadata(format!("/proc/{pid}")).is_err()), "nobody asked how it ended");
    assert_eq!(said(&sandboxes.shell("box", "echo on")), (Some(0), "on\n", ""));
}

#[test]
fn a_sandbox_stops_at_once_though_somebody_stands_inside() {
    let sandboxes = Sandboxes::new("leaders-stop");
    sandboxes.create("box", &["--keep"]);
    sandboxes.shell("box", "true");
    one(&sandboxes);
    let began = Instant::now();
    sandboxes.done(&["stop", "box"]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    sandboxes.done(&["start", "box"]);
    sandboxes.shell("box", "true");
    let pid = one(&sandboxes);
    sandboxes.supervisors().into_iter().for_each(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives"));
    // Whoever inherits it may take its time to ask how it ended.
    let status = || std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    assert!(eventually(10, || status().is_empty() || status().contains("State:\tZ")), "it has outlived its sandbox");
}

#[test]
fn limits_deadlines_use_and_what_stays_behind_are_as_ever() {
    let sandboxes = Sandboxes::new("leaders-limits");
    sandboxes.create("box", &[]);
    sandboxes.shell("box", "true");
    one(&sandboxes);
    let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done";
    let told = sandboxes.result(&[], "box", busy);
    assert!(told["usage"]["cpu_ms"].as_u64() > Some(50), "{told}");
    assert!(told["usage"]["peak_memory_bytes"].as_u64() > Some(200 << 10), "{told}");
    one(&sandboxes);
    let told = sandboxes.result(&["--timeout", "500ms"], "box", "sleep 100 & sleep 200");
    assert_eq!(told["status"], "timed_out", "{told}");
    one(&sandboxes);
    // What a command has left behind stays when the command has ended by itself.
    assert_eq!(sandboxes.shell("box", "sleep 1000 > /dev/null 2>&1 & echo $! > /tmp/pid").code, Some(0));
    one(&sandboxes);
    assert_eq!(sandboxes.shell("box", "kill -0 $(cat /tmp/pid) && kill $(cat /tmp/pid)").code, Some(0));
    one(&sandboxes);
    let mut caller =
        Started::new(&mut sandboxes.command(&["exec", "box", "--", "sh", "-c", "echo on; exec sleep 1000"]));
    assert_eq!(caller.first_line(), "on");
    caller.signal(Signal::SIGKILL);
    let left = "ps ax -o args 2>/dev/null | grep -c '[s]leep 1000'; for p in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $p; echo; done | grep -c '^sleep 1000'";
    assert!(eventually(10, || sandboxes.shell("box", left).stdout.lines().last() == Some("0")));
}

#[test]
fn who_calls_from_other_surroundings_has_them_in_the_command() {
    let sandboxes = Sandboxes::new("leaders-place");
    sandboxes.create("box", &[]);
    sandboxes.shell("box", "true");
    one(&sandboxes);
    let mut slow = std::process::Command::new("nice");
    let call = sandboxes.command(&["exec", "box", "--", "nice"]);
    slow.args(["-n", "7"]).arg(call.get_program()).args(call.get_args());
    slow.envs(call.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let told = slow.output().expect("start nice");
    assert_eq!(String::from_utf8_lossy(&told.stdout), "7\n", "{told:?}");
    assert_eq!(said(&sandboxes.call(&["exec", "box", "--", "nice"])), (Some(0), "0\n", ""));
}

#[test]
fn nobody_stands_inside_where_nothing_is_to_be_made_ready() {
    let sandboxes = Sandboxes::new("leaders-none");
    let none = |words: &[&str]| {
        let run = sandboxes.command(words).env("BELLJAR_AHEAD", "none").output().expect("start belljar");
        assert!(run.status.success(), "{run:?}");
    };
    none(&["create", "box"]);
    none(&["exec", "box", "--", "true"]);
    sandboxes.shell("box", "true");
    std::thread::sleep(Duration::from_millis(500));
    assert!(standing(&sandboxes).is_empty());
    let wrong = sandboxes.command(&["ls"]).env("BELLJAR_AHEAD", "3").output().expect("start belljar");
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && said.starts_with("belljar: BELLJAR_AHEAD: `3` is not `none`\nhint: "), "{said}");
}

#[test]
fn a_sandbox_ends_at_whatever_moment_somebody_is_brought_inside() {
    let sandboxes = Sandboxes::new("leaders-moment");
    for moment in (0..24).map(|step| step * 2) {
        sandboxes.create("box", &["--keep"]);
        sandboxes.shell("box", "true");
        std::thread::sleep(Duration::from_millis(moment));
        let began = Instant::now();
        sandboxes.done(&["stop", "box"]);
        assert_eq!(sandboxes.states(), [("box".to_owned(), "stopped".to_owned())], "after {moment} ms");
        assert!(began.elapsed() < Duration::from_secs(8), "after {moment} ms: {:?}", began.elapsed());
        sandboxes.done(&["rm", "box"]);
    }
}
