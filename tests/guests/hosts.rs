//! Belljar on other machines than the one at hand: the guests of `tests/vm`, a module for each. First that a guest is what
//! its name says, so that nobody tests less than he thinks; then what is to be seen only there.
//!
//! `make test-vm` runs these; `cargo test` on the machine itself passes them by.

use crate::common::{call, result, shell};
use serde_json::{Value, json};

/// Fails outside of the guest that the test is about.
fn in_guest(name: &str) {
    let guest = std::env::var("BELLJAR_GUEST").unwrap_or_default();
    assert_eq!(guest, name, "this is for a guest of tests/vm: `make test-vm` runs it");
    assert_eq!(nix::unistd::getuid().as_raw(), 1000);
}

fn report() -> Value {
    result(&call(["doctor", "--json"]))
}

/// The blockers that doctor names, but for the missing Landlock, which `run` was allowed to do without.
fn blockers(report: &Value) -> Vec<Value> {
    let all = report["blockers"].as_array().expect("blockers").iter();
    all.filter(|blocker| !blocker["message"].as_str().expect("a message").starts_with("landlock: ")).cloned().collect()
}

/// No sandbox can be had: `run` names this blocker and this cure and nothing else, and doctor agrees.
fn refused(message: &str, hint: &str) {
    let run = shell(&[], "echo ran");
    let said = format!("belljar: {message}\nhint: {hint}\n");
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(125), "", said.as_str()));
    let error = &result(&shell(&["--json"], "echo ran"))["error"];
    assert_eq!((&error["kind"], &error["message"], &error["hint"]), (&json!("host"), &json!(message), &json!(hint)));
    let doctor = call(["doctor", "--json"]);
    assert_eq!((doctor.code, &result(&doctor)["ok"]), (Some(1), &json!(false)));
    assert_eq!(blockers(&result(&doctor)), [json!({ "message": message, "hint": hint })]);
    let text = call(["doctor"]);
    assert_eq!(
        (text.code, text.stdout.contains(message), text.stdout.contains(hint)),
        (Some(1), true, true),
        "{text:?}"
    );
}

/// A sandbox can be had.
fn works() {
    let run = shell(&[], "echo ran");
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), "ran\n", ""));
    assert_eq!(blockers(&report()), Vec::<Value>::new());
}

/// We are in a unit of this name, and sandboxes have cgroups: in a part of the tree that is ours, or in a scope that the
/// user's systemd makes.
fn cgroup(unit: &str, scope: bool) {
    let own = std::fs::read_to_string("/proc/self/cgroup").expect("our cgroup");
    assert!(own.contains(unit), "{own}");
    let cgroup = report()["host"]["cgroup"].clone();
    let found = (&cgroup["version"], &cgroup["delegated"], &cgroup["scope"]);
    assert_eq!(found, (&json!("v2"), &json!(true), &json!(scope)), "{cgroup}");
}

fn kernel(release: &str) {
    let found = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("read the kernel's release");
    assert!(found.starts_with(release), "{found}");
}

const NO_OTHER_WAY: &str = "without root there is no other way on this host: ask its administrator";

mod micro {
    use super::*;

    #[test]
    fn a_cgroup_with_its_controllers_is_ours() {
        in_guest("micro");
        cgroup("/tests.scope", false);
    }
}

/// A sandbox can be had, and these devices.
fn devices(guest: &str, tun: bool, veth: bool) {
    in_guest(guest);
    let modules = std::fs::read_to_string("/proc/modules").expect("read the modules");
    let loaded = |name: &str| modules.lines().any(|line| line.split(' ').next() == Some(name));
    assert_eq!((loaded("tun"), loaded("veth"), std::path::Path::new("/dev/net/tun").exists()), (tun, veth, tun));
    works();
}

mod no_tun {
    #[test]
    fn there_is_no_tun_device() {
        super::devices("no-tun", false, true);
    }
}

mod no_veth {
    #[test]
    fn there_are_no_veth_pairs() {
        super::devices("no-veth", true, false);
    }
}

mod no_device {
    #[test]
    fn there_is_neither() {
        super::devices("no-device", false, false);
    }
}

mod lasting {
    use super::*;

    #[test]
    fn a_cgroup_with_its_controllers_is_ours() {
        in_guest("lasting");
        cgroup("/tests.scope", false);
    }
}

mod scope {
    use super::*;

    #[test]
    fn a_cgroup_with_its_controllers_is_ours() {
        in_guest("scope");
        cgroup("/user@1000.service/app.slice/run-", false);
    }
}

mod session {
    use super::*;

    #[test]
    fn the_cgroup_of_a_login_is_roots_and_the_users_systemd_is_asked_for_another() {
        in_guest("session");
        cgroup("/user-1000.slice/session-", true);
    }
}

mod userns_limit {
    use super::*;

    #[test]
    fn a_host_whose_limit_of_user_namespaces_is_0_is_named_with_its_cure() {
        in_guest("userns-limit");
        refused(
            "namespaces are switched off: `user.max_user_namespaces` is 0",
            &format!("as root: `sysctl -w user.max_user_namespaces=15000`; {NO_OTHER_WAY}"),
        );
    }
}

mod userns_clone {
    use super::*;

    #[test]
    fn a_host_without_unprivileged_user_namespaces_is_named_with_its_cure() {
        in_guest("userns-clone");
        refused(
            "unprivileged user namespaces are switched off: `kernel.unprivileged_userns_clone` is 0",
            &format!("as root: `sysctl -w kernel.unprivileged_userns_clone=1`; {NO_OTHER_WAY}"),
        );
    }
}

mod apparmor_deny {
    use super::*;

    #[test]
    fn a_profile_that_denies_user_namespaces_is_named_with_its_cure() {
        in_guest("apparmor-deny");
        refused(
            "AppArmor denies user namespaces to this process (profile `denies`)",
            &format!(
                "as root: add `userns,` to that profile, or load the one that `belljar doctor --apparmor-profile` prints; {NO_OTHER_WAY}"
            ),
        );
    }
}

mod apparmor_powerless {
    use super::*;

    #[test]
    fn a_profile_that_takes_the_privileges_away_is_named_with_its_cure() {
        in_guest("apparmor-powerless");
        refused(
            "a user namespace on this host has no privileges (clone pid 1: Operation not permitted)",
            "the AppArmor profile `powerless` takes them away: start the container without it (docker, podman: `--security-opt \
             apparmor=unconfined`), or as root load the profile that `belljar doctor --apparmor-profile` prints",
        );
    }
}

mod apparmor_cure {
    use super::*;

    #[test]
    fn the_profile_that_doctor_prints_lifts_the_restriction() {
        in_guest("apparmor-cure");
        assert_eq!(report()["host"]["security"]["apparmor"], "belljar (unconfined)");
        works();
    }
}

mod uml_612 {
    use super::*;

    #[test]
    fn the_kernel_is_the_one_of_2024() {
        in_guest("uml-612");
        kernel("6.12.");
        cgroup("/tests.scope", false);
    }
}

mod uml_61 {
    use super::*;

    #[test]
    fn the_kernel_is_the_one_of_2022() {
        in_guest("uml-61");
        kernel("6.1.");
        cgroup("/tests.scope", false);
    }
}

mod qemu {
    use super::*;

    #[test]
    fn the_machine_has_what_user_mode_linux_lacks() {
        in_guest("qemu");
        let report = report();
        assert_eq!((&report["ok"], report["host"]["landlock_abi"].as_u64()), (&json!(true), Some(6)));
        cgroup("/tests.scope", false);
        let all = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").expect("the controllers");
        assert!(all.contains("cpuset"), "{all}");
        assert!(std::thread::available_parallelism().is_ok_and(|count| count.get() == 2));
    }
}
