//! What `doctor` tells is what is there: on this host, and on hosts where something stands in the way, made for real where
//! they can be. What keeps a sandbox from running, doctor and `run` say in the same words.

use crate::common::{Run, Scratch, available, belljar, call, installed, is_root, result};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const PROTECTIONS: [&str; 12] = [
    "namespaces",
    "capabilities",
    "network",
    "seccomp",
    "landlock",
    "proc",
    "memory",
    "cpu",
    "cpu_time",
    "pids",
    "disk",
    "timeout",
];

/// Whether sandboxes work on this host; what doctor makes of it, as JSON.
fn healthy() -> Option<Value> {
    let run = call(["run", "--", "true"]);
    available("working sandboxes", run.code == Some(0)).then(|| result(&call(["doctor", "--json"])))
}

/// A script of the host's shell as root of a user namespace of its own, in which `$B` is belljar.
fn in_a_namespace(script: &str) -> Run {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script]).env("B", belljar());
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    command.output().expect("start unshare").into()
}

/// Belljar with a kernel that answers `error` to `calls`.
fn injected(calls: &str, error: &str, words: &[&str]) -> Run {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={calls}:error={error}")]);
    command.arg(belljar()).args(words).output().expect("start strace").into()
}

/// The messages of the blockers.
fn blockers(report: &Value) -> Vec<&str> {
    let blockers = report["blockers"].as_array().expect("blockers");
    blockers.iter().map(|blocker| blocker["message"].as_str().expect("a message")).collect()
}

/// What `run` says, as doctor has it: the message and the hint.
fn said(run: &Run) -> Value {
    let mut lines = run.stderr.lines();
    let mut next = |prefix: &str| lines.next().and_then(|line| line.strip_prefix(prefix)).map(str::to_owned);
    json!({ "message": next("belljar: "), "hint": next("hint: ") })
}

/// Both refuse, and for the same reason.
fn agree(run: &Run, doctor: &Run) -> Value {
    let report = result(doctor);
    assert_eq!((run.code, doctor.code, &report["ok"]), (Some(125), Some(1), &json!(false)), "{run:?}");
    assert_eq!(report["blockers"][0], said(run));
    report
}

#[test]
fn a_host_that_can_is_told_so_protection_by_protection() {
    let Some(report) = healthy() else { return };
    assert_eq!((&report["version"], &report["ok"], &report["blockers"]), (&json!(1), &json!(true), &json!([])));
    let names: Vec<&str> = report["protections"].as_object().expect("protections").keys().map(String::as_str).collect();
    let mut expected = PROTECTIONS.to_vec();
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn doctor_and_the_result_of_run_tell_the_same_enforcement() {
    let Some(report) = healthy() else { return };
    let run = result(&call(["run", "--json", "--cpu-time", "10", "--", "true"]));
    for name in PROTECTIONS {
        assert_eq!(report["protections"][name]["enforcement"], run["enforcement"][name], "{name}");
    }
}

#[test]
fn every_protection_of_this_host_was_seen_to_work() {
    let Some(report) = healthy() else { return };
    for name in PROTECTIONS {
        let finding = &report["protections"][name];
        // A machine that is too busy to spend 100 ms of CPU time in 20 s proves nothing.
        let busy = finding["verified"] == json!({ "not_tried": "the machine is too busy" });
        assert!(finding["verified"] == "yes" || busy, "{name}: {finding}");
    }
}

#[test]
fn the_text_has_a_line_for_each_protection_and_no_colour_where_nobody_looks() {
    if healthy().is_none() {
        return;
    }
    let run = call(["doctor"]);
    for name in PROTECTIONS {
        let lines: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with(&format!("  {name} "))).collect();
        assert_eq!(lines.len(), 1, "{name}: {}", run.stdout);
        assert!(lines[0].contains("seen to work") || lines[0].contains("not tried"), "{}", lines[0]);
    }
    assert!(run.stdout.contains("`--allow` works: policy on a "), "{}", run.stdout);
    assert_eq!((run.code, run.stdout.contains('\x1b'), run.stderr.as_str()), (Some(0), false, ""));
}

#[test]
fn the_languages_are_those_that_sandboxes_see() {
    let Some(report) = healthy() else { return };
    for (name, program) in [("python", "python3"), ("node", "node")] {
        let run = call(["run", "--", program, "--version"]);
        let version = if run.code == Some(0) { json!(run.stdout.trim()) } else { Value::Null };
        assert_eq!(report["host"]["languages"][name], version, "{name}");
    }
}

#[test]
fn nothing_is_left_of_the_examination() {
    let Some(report) = healthy() else { return };
    if let Some(directory) = report["host"]["cgroup"]["directory"].as_str() {
        let names = std::fs::read_dir(directory)
            .expect("the cgroup")
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let left: Vec<String> = names.filter(|name| name.starts_with("belljar-doctor")).collect();
        assert_eq!(left, Vec::<String>::new());
    }
    assert!(!Path::new("/tmp/belljar-doctor").exists() && !Path::new("/belljar-doctor").exists());
}

#[test]
fn standard_input_stays_the_callers() {
    if healthy().is_none() {
        return;
    }
    let mut command = Command::new("sh");
    command.args(["-c", "echo kept | { \"$B\" doctor >/dev/null; cat; }"]).env("B", belljar());
    let run: Run = command.output().expect("start sh").into();
    assert_eq!(run.stdout, "kept\n");
}

#[test]
fn a_sandbox_inside_a_sandbox_is_named_as_what_it_is() {
    if healthy().is_none() {
        return;
    }
    let binary = belljar();
    let directory = binary.parent().expect("its directory").to_str().expect("a name").to_owned();
    let inner = format!("/mnt/bin/{}", binary.file_name().expect("its name").to_str().expect("a name"));
    let inside = |words: &[&str]| {
        let mount = format!("{directory}:/mnt/bin");
        call([&["run", "--mount", &mount, "--", &inner][..], words].concat())
    };
    let report = agree(&inside(&["run", "--", "true"]), &inside(&["doctor", "--json"]));
    let message = "we are inside a sandbox already: nested user namespaces are switched off here (by a seccomp filter, and \
        `user.max_user_namespaces` is 0)";
    assert_eq!(blockers(&report), [message]);
}

#[test]
fn namespaces_that_are_switched_off_are_all_named() {
    if !installed("unshare") || healthy().is_none() {
        return;
    }
    let off = |kind: &str| format!("namespaces are switched off: `user.max_{kind}_namespaces` is 0");
    for kind in ["user", "mnt", "net"] {
        let with =
            |words: &str| in_a_namespace(&format!("echo 0 >/proc/sys/user/max_{kind}_namespaces; \"$B\" {words}"));
        let report = agree(&with("run -- true"), &with("doctor --json"));
        assert_eq!(blockers(&report), [off(kind)]);
    }
    let both =
        "echo 0 >/proc/sys/user/max_uts_namespaces; echo 0 >/proc/sys/user/max_net_namespaces; \"$B\" doctor --json";
    assert_eq!(blockers(&result(&in_a_namespace(both))), [off("uts"), off("net")]);
}

#[test]
fn a_masked_proc_is_named_with_its_cure() {
    if !installed("unshare") || healthy().is_none() {
        return;
    }
    let masked = |words: &str| in_a_namespace(&format!("mount --bind /dev/null /proc/version; \"$B\" {words}"));
    let report = agree(&masked("run -- true"), &masked("doctor --json"));
    let message = "the host's `/proc` is partly masked, as inside of containers, and so the kernel gives no fresh one";
    assert_eq!(blockers(&report), [message]);
}

#[test]
fn a_user_id_that_is_not_mapped_is_named() {
    if !installed("unshare") || healthy().is_none() {
        return;
    }
    let unmapped = |words: &[&str]| -> Run {
        let mut command = Command::new("unshare");
        command.arg("--user").arg(belljar()).args(words).output().expect("start unshare").into()
    };
    let report = agree(&unmapped(&["run", "--", "true"]), &unmapped(&["doctor", "--json"]));
    let message = "the user id of this process is not mapped in its user namespace, and so it may make no other";
    assert_eq!(blockers(&report), [message]);
}

/// Starts a program below a filter that answers EPERM to clone with CLONE_NEWUSER and ENOSYS to clone3, as the engines of
/// containers do. Classic BPF on x86-64: 56 is clone, 435 clone3; the flags are the low word of the first argument.
const CONTAINER: &str = r#"
import ctypes, os, struct, sys
def bpf(code, k, jt=0, jf=0):
    return struct.pack("HBBI", code, jt, jf, k)
LOAD, EQUAL, SET, ANSWER = 0x20, 0x15, 0x45, 0x06
filter = b"".join([
    bpf(LOAD, 0),
    bpf(EQUAL, 435, 0, 1), bpf(ANSWER, 0x50000 | 38),
    bpf(EQUAL, 56, 0, 3),
    bpf(LOAD, 16), bpf(SET, 0x10000000, 0, 1), bpf(ANSWER, 0x50000 | 1),
    bpf(ANSWER, 0x7fff0000),
])
libc = ctypes.CDLL(None, use_errno=True)
text = ctypes.create_string_buffer(filter)
program = struct.pack("HxxxxxxQ", len(filter) // 8, ctypes.addressof(text))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program) == 0
os.execv(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn the_filter_of_a_container_engine_is_named() {
    if !installed("python3") || healthy().is_none() {
        return;
    }
    let contained = |words: &[&str]| -> Run {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", CONTAINER]).arg(belljar()).args(words).output().expect("start python").into()
    };
    let report = agree(&contained(&["run", "--", "true"]), &contained(&["doctor", "--json"]));
    let message = "a seccomp filter around us denies user namespaces, as container engines do by default";
    assert_eq!(blockers(&report), [message]);
    let host = &report["host"];
    assert_eq!((&host["system_calls"]["clone3"], &host["security"]["seccomp_filter"]), (&json!(false), &json!(true)));
}

#[test]
fn a_chroot_is_named() {
    if !installed("unshare") || healthy().is_none() {
        return;
    }
    let scratch = Scratch::new("chroot");
    let root = scratch.0.display();
    let chrooted = |words: &str| {
        in_a_namespace(&format!(
            "mount -t tmpfs none '{root}'; cd '{root}'; mkdir -p root/proc root/dev; : >root/dev/null; cp \"$B\" root/b
             mount --bind /dev/null root/dev/null; mount --rbind /proc root/proc; exec chroot root /b {words}"
        ))
    };
    let report = agree(&chrooted("run -- true"), &chrooted("doctor --json"));
    assert_eq!(blockers(&report), ["this process is in a chroot, where the kernel gives no user namespaces"]);
}

#[test]
fn a_kernel_without_landlock_is_examined_all_the_same() {
    if !installed("strace") || healthy().is_none() {
        return;
    }
    let without = |words: &[&str]| injected("landlock_create_ruleset", "EOPNOTSUPP", words);
    let doctor = without(&["doctor", "--json"]);
    let report = result(&doctor);
    assert_eq!((doctor.code, &report["ok"]), (Some(1), &json!(false)));
    assert_eq!(json!(blockers(&report)[0]), said(&without(&["run", "--", "true"]))["message"]);
    let finding = |name: &str| &report["protections"][name];
    assert_eq!(finding("landlock")["enforcement"], json!({ "off": "the kernel has no Landlock" }));
    assert_eq!((&finding("seccomp")["verified"], &finding("pids")["verified"]), (&json!("yes"), &json!("yes")));
    let hint = report["blockers"][0]["hint"].as_str().expect("a hint");
    assert!(hint.starts_with("switched off at boot: as root add landlock to the kernel parameter"), "{hint}");
}

#[test]
fn what_the_kernel_refuses_on_the_way_is_told_as_run_tells_it() {
    if !installed("strace") || healthy().is_none() {
        return;
    }
    for (calls, error) in [
        ("clone3", "EINVAL"),
        ("clone3", "EAGAIN"),
        ("clone3,clone", "ENOSYS"),
        ("mount_setattr", "ENOSYS"),
        ("seccomp", "EINVAL"),
    ] {
        let with = |words: &[&str]| injected(calls, error, words);
        agree(&with(&["run", "--", "true"]), &with(&["doctor", "--json"]));
    }
}

#[test]
fn a_host_that_cannot_is_told_in_words_too() {
    if !installed("unshare") || healthy().is_none() {
        return;
    }
    let run = in_a_namespace("echo 0 >/proc/sys/user/max_user_namespaces; exec \"$B\" doctor");
    let cure = "What is missing, and how to get it:\n  - namespaces are switched off: `user.max_user_namespaces` is 0\n    \
        hint: as root: `sysctl -w user.max_user_namespaces=15000`; without root there is no other way on this host: ask its \
        administrator\n";
    assert!(run.code == Some(1) && run.stdout.ends_with(cure), "{}", run.stdout);
}

#[test]
fn the_apparmor_profile_is_for_the_program_that_prints_it() {
    let run = call(["doctor", "--apparmor-profile"]);
    let line = format!("profile belljar {} flags=(unconfined) {{", belljar().display());
    assert!(run.code == Some(0) && run.stdout.lines().any(|found| found == line), "{}", run.stdout);
    if Path::new("/etc/apparmor.d/abi/4.0").exists() && is_root() && installed("apparmor_parser") {
        let mut check = Command::new("sh");
        check.args(["-c", "\"$B\" doctor --apparmor-profile | apparmor_parser --skip-kernel-load --skip-cache"]);
        let parsed: Run = check.env("B", belljar()).output().expect("start sh").into();
        assert_eq!((parsed.code, parsed.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn the_schema_of_the_report_can_be_had() {
    let schema = result(&call(["schema", "doctor"]));
    assert_eq!(schema["title"], "Report");
}
