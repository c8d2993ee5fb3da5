//! What is understood, what is refused and where.

use super::{Wish, read};
use crate::spec::{Mount, Program, ResourceLimit, Tmpfs, User};
use serde_json::{Value, json};

const CALLER: User = User { uid: 1000, gid: 1001 };

/// Something small that is right.
fn small() -> Value {
    json!({
        "ociVersion": "1.2.0",
        "root": { "path": "rootfs" },
        "process": { "args": ["sh"], "cwd": "/", "user": { "uid": 0, "gid": 0 } },
        "linux": { "namespaces": [{ "type": "network" }, { "type": "mount" }] },
    })
}

/// With `value` at the place `path`, in which objects are parted by dots.
fn with(path: &str, value: Value) -> String {
    let mut whole = small();
    let mut here = &mut whole;
    for key in path.split('.') {
        here = &mut here[key];
    }
    *here = value;
    whole.to_string()
}

fn wish(path: &str, value: Value) -> super::Wish {
    read(&with(path, value), CALLER).expect("a wish")
}

/// Place and message of what is wrong.
fn faults(text: &str) -> Vec<String> {
    let problems = read(text, CALLER).expect_err("a refusal");
    assert!(problems.iter().all(|problem| problem.field == "JSON" || !problem.message.is_empty()), "{problems:?}");
    problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
}

#[test]
fn a_command_with_its_surroundings_is_understood() {
    let process = json!({
        "args": ["sh", "-c", "true"], "env": ["A=1", "B=x=y"], "cwd": "/work", "terminal": true,
        "user": { "uid": 5, "gid": 6, "additionalGids": [6], "umask": 18 }, "noNewPrivileges": true, "oomScoreAdj": 100,
        "capabilities": { "bounding": ["CAP_KILL"], "effective": ["CAP_AUDIT_WRITE"] },
        "rlimits": [
            { "type": "RLIMIT_NOFILE", "soft": 10, "hard": 20 },
            { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
        ],
    });
    let wish = wish("process", process);
    let spec = &wish.spec;
    assert_eq!(spec.program, Some(Program::Command(vec!["sh".into(), "-c".into(), "true".into()])));
    assert_eq!(spec.env, [("A".into(), "1".into()), ("B".into(), "x=y".into())]);
    assert_eq!((spec.workdir.as_deref(), spec.tty), (Some(std::path::Path::new("/work")), Some(true)));
    assert_eq!(spec.user, Some(User { uid: 5, gid: 6 }));
    let limit = ResourceLimit { resource: libc::RLIMIT_NOFILE as u32, name: "RLIMIT_NOFILE", soft: 10, hard: 20 };
    assert_eq!(wish.bundle.limits, [limit]);
    assert!(!wish.filter);
}

#[test]
fn mounts_keep_their_order_and_what_is_ours_is_passed_over() {
    let mounts = json!([
        { "destination": "/proc", "type": "proc", "source": "proc" },
        { "destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
        { "destination": "/etc/resolv.conf", "type": "bind", "source": "/etc/resolv.conf", "options": ["rbind", "ro"] },
        { "destination": "/a", "type": "bind", "source": "data", "options": ["rbind", "ro"] },
        { "destination": "/a/t", "type": "tmpfs", "options": ["nosuid", "mode=755"] },
        { "destination": "/b", "source": "more", "options": ["bind", "rw"] },
    ]);
    let Wish { spec, bundle, .. } = wish("mounts", mounts);
    let mount = |source: &str, target: &str, writable| Mount {
        source: source.into(),
        target: target.into(),
        writable,
        beneath: None,
    };
    assert_eq!(spec.mounts, [mount("data", "/a", false), mount("more", "/b", true)]);
    let tmpfs = bundle.tmpfs;
    let shared = Tmpfs { target: "/dev/shm".into(), mode: 0o1777, bytes: Some(64 << 20), executable: false, after: 0 };
    let own = Tmpfs { target: "/a/t".into(), mode: 0o755, bytes: None, executable: true, after: 1 };
    assert_eq!(tmpfs, [shared, own]);
}

#[test]
fn resources_become_limits() {
    let resources = json!({
        "memory": { "limit": 67108864, "swap": 67108864 }, "pids": { "limit": 32 },
        "cpu": { "quota": 50000, "period": 100000, "shares": 1024 },
        "devices": [{ "allow": false, "access": "rwm" }, { "allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw" }],
    });
    let spec = wish("linux.resources", resources).spec;
    assert_eq!((spec.memory, spec.pids, spec.millicpus), (Some(64 << 20), Some(32), Some(500)));
    let none =
        wish("linux.resources", json!({ "memory": { "limit": -1 }, "pids": { "limit": 0 }, "cpu": { "quota": -1 } }));
    assert_eq!((none.spec.memory, none.spec.pids, none.spec.millicpus), (None, None, None));
}

#[test]
fn the_caller_is_told_what_he_has_to_say_himself() {
    assert_eq!(wish("linux.namespaces", json!([{ "type": "mount" }])).spec.net, None);
    assert!(wish("linux.seccomp", json!({ "defaultAction": "SCMP_ACT_ALLOW" })).filter);
}

#[test]
fn a_stop_signal_comes_from_the_images_annotation() {
    let wish = wish("annotations", json!({ "org.opencontainers.image.stopSignal": "SIGUSR1", "else": "" }));
    assert_eq!(wish.bundle.stop_signal.as_deref(), Some("SIGUSR1"));
}

#[test]
fn what_is_not_done_is_refused_by_its_place() {
    for (place, value, wanted) in [
        ("ociVersion", json!("2.0.0"), "ociVersion: `2.0.0` is not known"),
        ("root", Value::Null, "root: is missing"),
        ("root", json!({ "path": "" }), "root.path: is missing"),
        ("hooks", json!({ "prestart": [{ "path": "/bin/true" }] }), "hooks: would run programs on the host"),
        ("domainname", json!("x"), "domainname: is nothing that belljar does"),
        ("windows", json!({ "layerFolders": ["x"] }), "windows: is nothing that belljar does"),
        ("process.apparmorProfile", json!("x"), "process.apparmorProfile: is nothing that belljar does"),
        ("process.selinuxLabel", json!("x"), "process.selinuxLabel: is nothing that belljar does"),
        ("process.scheduler", json!({ "policy": "SCHED_RR" }), "process.scheduler: is nothing that belljar does"),
        ("process.oomScoreAdj", json!(-5), "process.oomScoreAdj: is below 0"),
        ("process.user.additionalGids", json!([7]), "process.user.additionalGids: there is one group in a sandbox"),
        ("process.user.umask", json!(0), "process.user.umask: is 18 (022) in every sandbox"),
        ("process.env", json!(["A"]), "process.env[0]: is not `NAME=VALUE`"),
        ("process.args", json!("sh"), "process.args: invalid type: string \"sh\", expected a sequence"),
        (
            "process.capabilities",
            json!({ "ambient": ["CAP_SYS_ADMIN"] }),
            "process.capabilities.ambient: CAP_SYS_ADMIN: no sandbox has capabilities",
        ),
        (
            "process.rlimits",
            json!([{ "type": "RLIMIT_NPROC", "soft": 1, "hard": 1 }]),
            "process.rlimits[0]: processes are counted for the whole sandbox",
        ),
        (
            "process.rlimits",
            json!([{ "type": "RLIMIT_CORE", "soft": 1, "hard": 1 }]),
            "process.rlimits[0]: is 0 in every sandbox",
        ),
        (
            "process.rlimits",
            json!([{ "type": "RLIMIT_AS", "soft": 2, "hard": 1 }]),
            "process.rlimits[0]: the soft limit is above the hard one",
        ),
        ("mounts", json!([{ "destination": "/n", "type": "nfs" }]), "mounts[0].type: no mounts of the type `nfs`"),
        (
            "mounts",
            json!([{ "destination": "/x/../y", "type": "tmpfs" }]),
            "mounts[0].destination: `/x/../y` is not an absolute path without `..`",
        ),
        (
            "mounts",
            json!([{ "destination": "x", "type": "tmpfs" }]),
            "mounts[0].destination: `x` is not an absolute path without `..`",
        ),
        (
            "mounts",
            json!([{ "destination": "/proc/sys", "type": "bind", "source": "x" }]),
            "mounts[0]: `/proc/sys` belongs to the sandbox",
        ),
        (
            "mounts",
            json!([{ "destination": "/dev", "type": "bind", "source": "/dev" }]),
            "mounts[0]: `/dev` belongs to the sandbox",
        ),
        (
            "mounts",
            json!([{ "destination": "/b", "type": "bind", "source": "x", "options": ["noexec"] }]),
            "mounts[0].options: `noexec` is nothing that belljar does",
        ),
        (
            "mounts",
            json!([{ "destination": "/b", "type": "bind", "source": "x", "uidMappings": [{ "containerID": 0 }] }]),
            "mounts[0].uidMappings: is nothing that belljar does",
        ),
        (
            "mounts",
            json!([{ "destination": "/t", "type": "tmpfs", "options": ["size=50%"] }]),
            "mounts[0].options: `size=50%` is no size",
        ),
        (
            "mounts",
            json!([{ "destination": "/t", "type": "tmpfs", "options": ["noexec"] }]),
            "mounts[0].options: `noexec` takes a file system with a size of its own",
        ),
        ("linux.devices", json!([{ "path": "/dev/fuse" }]), "linux.devices: is nothing that belljar does"),
        ("linux.sysctl", json!({ "net.ipv4.ip_forward": "1" }), "linux.sysctl: is nothing that belljar does"),
        ("linux.cgroupsPath", json!("/x"), "linux.cgroupsPath: is nothing that belljar does"),
        ("linux.rootfsPropagation", json!("shared"), "linux.rootfsPropagation: no mount leaves a sandbox"),
        (
            "linux.namespaces",
            json!([{ "type": "network", "path": "/proc/1/ns/net" }]),
            "linux.namespaces[0].path: no sandbox joins somebody else's namespace",
        ),
        (
            "linux.uidMappings",
            json!([{ "containerID": 0, "hostID": 100000, "size": 65536 }]),
            "linux.uidMappings: one id is mapped, yours (1000), which is 0 inside",
        ),
        (
            "linux.gidMappings",
            json!([{ "containerID": 0, "hostID": 1000, "size": 1 }]),
            "linux.gidMappings: one id is mapped, yours (1001), which is 0 inside",
        ),
        (
            "linux.maskedPaths",
            json!(["/proc/self/mem"]),
            "linux.maskedPaths[0]: `/proc/self/mem` belongs to the sandbox",
        ),
        (
            "mounts",
            json!([{ "destination": "/proc", "type": "proc", "options": ["hidepid=2"] }]),
            "mounts[0].options: `hidepid=2` is nothing that belljar does",
        ),
        ("linux.maskedPaths", json!(["/proc/sys"]), "linux.maskedPaths[0]: `/proc/sys` belongs to the sandbox"),
        ("linux.readonlyPaths", json!(["etc"]), "linux.readonlyPaths[0]: `etc` is not an absolute path below the root"),
        ("linux.readonlyPaths", json!(["/"]), "linux.readonlyPaths[0]: `/` is not an absolute path below the root"),
        (
            "linux.resources",
            json!({ "memory": { "limit": 1, "swap": 2 } }),
            "linux.resources.memory.swap: no sandbox may swap",
        ),
        (
            "linux.resources",
            json!({ "memory": { "reservation": 2 } }),
            "linux.resources.memory.reservation: is nothing that belljar does",
        ),
        ("linux.resources", json!({ "cpu": { "shares": 2 } }), "linux.resources.cpu.shares: there are no shares"),
        (
            "linux.resources",
            json!({ "cpu": { "cpus": "0" } }),
            "linux.resources.cpu.cpus: is nothing that belljar does",
        ),
        (
            "linux.resources",
            json!({ "blockIO": { "weight": 5 } }),
            "linux.resources.blockIO: is nothing that belljar does",
        ),
        (
            "linux.resources",
            json!({ "unified": { "memory.high": "1" } }),
            "linux.resources.unified: is nothing that belljar does",
        ),
        (
            "linux.resources",
            json!({ "devices": [{ "allow": true, "access": "rwm" }] }),
            "linux.resources.devices[0]: allows devices that no sandbox has",
        ),
        ("linux.frobnicate", json!(1), "linux.frobnicate: is nothing that belljar does"),
    ] {
        let found = faults(&with(place, value.clone()));
        assert!(found.iter().any(|fault| fault.starts_with(wanted)), "{place} {value}: {found:#?}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let mut whole = small();
    whole["hooks"] = json!({ "poststop": [{}] });
    whole["linux"]["sysctl"] = json!({ "a": "b" });
    whole["process"]["rlimits"] = json!([{ "type": "RLIMIT_NICE", "soft": 1, "hard": 1 }]);
    assert_eq!(faults(&whole.to_string()).len(), 3);
}

#[test]
fn what_is_no_configuration_is_refused() {
    for text in ["", "[]", "{", "null", "{\"ociVersion\":1}", &"[".repeat(100_000)] {
        assert!(read(text, CALLER).is_err(), "{}", &text[..text.len().min(40)]);
    }
}

#[test]
fn a_key_that_is_given_twice_is_refused() {
    let text = small().to_string().replacen("\"root\":", "\"root\":{\"path\":\"other\"},\"root\":", 1);
    let found = faults(&text);
    assert!(found[0].starts_with("JSON: `root` is given twice"), "{found:?}");
}
