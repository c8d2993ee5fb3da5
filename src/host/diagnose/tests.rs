//! Hosts that cannot be had where the tests run, as data.

use super::*;

/// A host where nothing stands in the way.
fn clean() -> Surroundings {
    Surroundings { kernel: (6, 8), apparmor: Some("unconfined".to_owned()), ..Surroundings::default() }
}

fn docker() -> Surroundings {
    Surroundings { apparmor: Some("docker-default (enforce)".to_owned()), filtered: true, ..clean() }
}

fn ubuntu() -> Surroundings {
    Surroundings { apparmor_restricts: true, ..clean() }
}

#[test]
fn a_refused_clone_names_what_stands_in_the_way() {
    let table = [
        (
            Surroundings { namespaces_off: vec!["max_net_namespaces"], ..clean() },
            libc::ENOSPC,
            "namespaces are switched off: `user.max_net_namespaces` is 0",
        ),
        (clean(), libc::ENOSPC, "the host's limit of namespaces is used up (`user.max_*_namespaces`)"),
        (
            Surroundings { unprivileged_clone_off: true, ..docker() },
            libc::EPERM,
            "unprivileged user namespaces are switched off: `kernel.unprivileged_userns_clone` is 0",
        ),
        (
            Surroundings { unprivileged_clone_off: true, root: true, ..docker() },
            libc::EPERM,
            "a seccomp filter around us denies user namespaces, as container engines do by default",
        ),
        (
            docker(),
            libc::EPERM,
            "a seccomp filter around us denies user namespaces, as container engines do by default",
        ),
        (docker(), libc::EACCES, "AppArmor denies user namespaces to this process (profile `docker-default`)"),
        (
            Surroundings { filtered: false, ..docker() },
            libc::EPERM,
            "a user namespace on this host has no privileges (clone pid 1: Operation not permitted)",
        ),
        (
            Surroundings { namespaces_off: vec!["max_user_namespaces"], filtered: true, ..clean() },
            libc::EPERM,
            "we are inside a sandbox already: nested user namespaces are switched off here (by a seccomp filter, and `user.max_user_namespaces` is 0)",
        ),
        (
            Surroundings { chrooted: true, ..clean() },
            libc::EPERM,
            "this process is in a chroot, where the kernel gives no user namespaces",
        ),
        (
            Surroundings { unmapped: true, ..clean() },
            libc::EPERM,
            "the user id of this process is not mapped in its user namespace, and so it may make no other",
        ),
        (
            ubuntu(),
            libc::EACCES,
            "AppArmor restricts unprivileged user namespaces on this host (`kernel.apparmor_restrict_unprivileged_userns` is 1)",
        ),
        (clean(), libc::EPERM, "the kernel denies user namespaces: Operation not permitted"),
        (clean(), libc::ENOMEM, "clone pid 1: Out of memory"),
    ];
    for (surroundings, errno, message) in table {
        assert_eq!(no_namespaces(&surroundings, errno).to_string(), message, "{surroundings:?}");
    }
}

#[test]
fn a_namespace_without_privileges_names_who_took_them() {
    let hint = |surroundings: &Surroundings| {
        let blocker = host_refuses(surroundings, &Step::PrivateMounts, libc::EACCES).expect("a blocker");
        blocker.hint.expect("a hint")
    };
    assert!(hint(&ubuntu()).starts_with("as root: `belljar doctor --apparmor-profile > /etc/apparmor.d/belljar"));
    assert!(hint(&docker()).starts_with("the AppArmor profile `docker-default` takes them away"));
    assert!(hint(&Surroundings { filtered: true, ..clean() }).starts_with("a seccomp filter around us may be"));
    let selinux = Surroundings { selinux: Some("u:r:container_t:s0".to_owned()), ..clean() };
    assert!(hint(&selinux).starts_with("SELinux may take them away (context `u:r:container_t:s0`"));
    // Where a profile already lifts Ubuntu's restriction, the restriction is not the reason.
    let profiled = Surroundings { apparmor: Some("belljar (unconfined)".to_owned()), ..ubuntu() };
    assert!(hint(&profiled).starts_with("AppArmor or another security module"));
}

#[test]
fn everything_that_is_certain_to_stand_in_the_way_is_named_at_once() {
    let surroundings = Surroundings {
        kernel: (5, 10),
        namespaces_off: vec!["max_user_namespaces", "max_net_namespaces"],
        unprivileged_clone_off: true,
        ..clean()
    };
    let messages: Vec<String> = certain_blockers(&surroundings).into_iter().map(|blocker| blocker.message).collect();
    let expected = [
        "namespaces are switched off: `user.max_user_namespaces` is 0",
        "namespaces are switched off: `user.max_net_namespaces` is 0",
        "unprivileged user namespaces are switched off: `kernel.unprivileged_userns_clone` is 0",
        "the kernel is too old: Linux 5.10, and sandboxes need 5.12",
    ];
    assert_eq!(messages, expected);
    assert_eq!([certain_blockers(&clean()), certain_blockers(&docker())], [Vec::new(), Vec::new()]);
}

#[test]
fn a_missing_landlock_is_told_by_its_reason() {
    let modules = |list: &str| Some(list.split(',').map(str::to_owned).collect());
    let table = [
        (Surroundings { kernel: (5, 10), ..clean() }, libc::ENOSYS, "boot Linux 5.13 or newer"),
        (docker(), libc::ENOSYS, "a seccomp filter around us hides it"),
        (clean(), libc::ENOSYS, "the kernel was built without it"),
        (
            Surroundings { security_modules: modules("capability,yama"), ..clean() },
            libc::EOPNOTSUPP,
            "switched off at boot: as root add landlock to the kernel parameter, as in `lsm=landlock,capability,yama`",
        ),
        (clean(), libc::EOPNOTSUPP, "switched off at boot: as root add landlock to the kernel parameter `lsm=`"),
    ];
    for (surroundings, errno, cure) in table {
        let found = landlock_cure(&surroundings, errno);
        assert!(found.starts_with(cure), "{found}");
    }
}

#[test]
fn a_quota_of_the_host_that_is_used_up_is_told_by_what_the_step_takes_of_it() {
    let cure = |step: &Step, errno| hint(&clean(), step, errno).unwrap_or_default();
    let device = Step::Device { name: c"null".to_owned(), number: (1, 3) };
    let directory = Step::Directory { path: c"root".to_owned(), mode: 0o755 };
    for (step, errno, name) in [
        (&device, libc::ENOSPC, "`user.max_mnt_namespaces`"),
        (&Step::MaskSources, libc::ENOSPC, "`user.max_mnt_namespaces`"),
        (&Step::Proc, libc::ENOSPC, "`fs.mount-max`"),
        (&directory, libc::ENOSPC, "`--disk`"),
        (&Step::SessionKeyring { needed: true }, libc::EDQUOT, "`kernel.keys.maxkeys`"),
    ] {
        assert!(cure(step, errno).contains(name), "{step}");
    }
}

#[test]
fn a_payload_that_cannot_be_cloned_is_as_a_pid_1_that_cannot() {
    for errno in [libc::EAGAIN, libc::ENOSPC] {
        assert_eq!(
            step_refused(2, 9, &Step::StartPayload { namespaces: 0 }, Some(Call::Only), errno),
            clone_refused(errno)
        );
    }
}

#[test]
fn a_system_call_that_a_filter_hides_is_no_old_kernel() {
    let cure = |surroundings: &Surroundings| hint(surroundings, &Step::SealTrees, libc::ENOSYS);
    assert_eq!(cure(&clean()).as_deref(), Some("mounts need Linux 5.12 or newer"));
    assert!(cure(&docker()).is_some_and(|cure| cure.starts_with("a seccomp filter around us hides")));
}

/// Whether `text` is what `pattern` describes, in which `...` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once("...") {
        None => text == pattern,
        Some((head, tail)) => text
            .strip_prefix(head)
            .is_some_and(|rest| (0..=rest.len()).any(|at| rest.is_char_boundary(at) && is_like(&rest[at..], tail))),
    }
}

#[test]
fn every_message_has_its_heading_in_the_document_on_troubles() {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let path = std::path::Path::new(&root).join("docs/troubleshooting.md");
    let document = std::fs::read_to_string(path).expect("the document");
    let headings: Vec<&str> = document.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let off = |name| Surroundings { namespaces_off: vec![name], ..clean() };
    let surroundings = [
        clean(),
        docker(),
        ubuntu(),
        off("max_user_namespaces"),
        off("max_net_namespaces"),
        Surroundings { filtered: true, ..off("max_user_namespaces") },
        Surroundings { unprivileged_clone_off: true, ..clean() },
        Surroundings { chrooted: true, ..clean() },
        Surroundings { unmapped: true, ..clean() },
        Surroundings { kernel: (5, 10), ..clean() },
    ];
    let errnos = [libc::ENOSPC, libc::EPERM, libc::EACCES, libc::ENOSYS, libc::EINVAL, libc::EAGAIN];
    let mut messages = vec![ids_refused("write uid_map", libc::EPERM).to_string()];
    for surroundings in &surroundings {
        messages.extend(errnos.iter().map(|errno| no_namespaces(surroundings, *errno).to_string()));
        let steps = [Step::PrivateMounts, Step::Proc];
        messages.extend(steps.iter().filter_map(|step| Some(host_refuses(surroundings, step, libc::EPERM)?.message)));
        messages.extend(certain_blockers(surroundings).into_iter().map(|blocker| blocker.message));
    }
    for message in messages {
        assert!(headings.iter().any(|heading| is_like(&message, heading)), "no heading for: {message}");
    }
}

#[test]
fn where_no_network_device_can_be_had_the_cure_is_named() {
    let steps = [
        Step::Netlink { what: "bring up0 up", message: Vec::new() },
        Step::MakePair { message: Vec::new() },
        Step::OpenPacketSocket { index: 1 },
        Step::OpenTun { index: 1 },
    ];
    for step in steps {
        for errno in [libc::EOPNOTSUPP, libc::EPERM, libc::EAFNOSUPPORT, libc::ENODEV] {
            let hint = hint(&clean(), &step, errno).expect("a cure");
            assert!(hint.contains("/dev/net/tun") && hint.contains("`--net none`"), "{step}: {hint}");
        }
    }
}
