//! One fact a test: what is refused, in which words.

use super::*;
use crate::spec::{Code, Language, OutputLimit, Requirement, User, Userns};

fn good() -> Spec {
    Spec { program: Program::Command(vec!["true".into()]), ..Spec::default() }
}

/// The problems of a spec, as they are printed.
fn problems(spec: Spec) -> Vec<String> {
    match check(&spec) {
        Ok(()) => Vec::new(),
        Err(error) => error.problems.iter().map(Problem::to_string).collect(),
    }
}

fn mount(target: &str) -> Mount {
    Mount { source: "data".into(), target: target.into(), writable: false, beneath: None }
}

#[test]
fn the_default_spec_with_a_command_is_good() {
    assert_eq!(check(&good()), Ok(()));
}

#[test]
fn a_spec_needs_a_command_with_a_name_and_without_nul() {
    assert_eq!(problems(Spec::default()), ["command: no command"]);
    let command = |words: &[&str]| Spec { program: Program::Command(words.iter().map(Into::into).collect()), ..good() };
    assert_eq!(problems(command(&[""])), ["command: the name of the command is empty"]);
    assert_eq!(problems(command(&["a", "b\0c"])), ["command: word 2 has a NUL byte in it"]);
    assert_eq!(problems(command(&["a", ""])), [""; 0]);
}

#[test]
fn code_needs_no_command_but_a_nameable_file() {
    let code = |source| Spec {
        program: Program::Code(Code { language: Language::Python, source, args: Vec::new() }),
        ..Spec::default()
    };
    assert_eq!(problems(code(Source::Stdin)), [""; 0]);
    assert_eq!(problems(code(Source::Text("".into()))), [""; 0]);
    assert_eq!(problems(code(Source::Text("\0".into()))), ["code: the code has a NUL byte in it"]);
    assert_eq!(problems(code(Source::File("".into()))), ["code: the name of the file is empty"]);
    assert_eq!(problems(code(Source::File("a\0".into()))), ["code: the name of the file has a NUL byte in it"]);
}

#[test]
fn all_contradictions_are_reported_at_once_in_the_order_of_the_fields() {
    let spec = Spec {
        image: Some(String::new()),
        memory: 0,
        millicpus: 0,
        pids: 0,
        disk: 1,
        timeout: Some(Duration::ZERO),
        cpu_time: Some(Duration::MAX),
        output_limit: Some(OutputLimit { bytes: 0, kill: true }),
        hostname: String::new(),
        ..Spec::default()
    };
    assert_eq!(
        problems(spec),
        [
            "command: no command",
            "image: the name is empty",
            "memory: 0 bytes is less than 1 MiB",
            "cpus: not from 0.001 to 4096",
            "pids: not from 1 to 4194304",
            "disk: 1 bytes is less than 64 KiB",
            "timeout: is zero",
            "cpu_time: longer than 1000000 hours",
            "output_limit: 0 bytes is less than 1 bytes",
            "hostname: `` is no host name",
        ]
    );
}

#[test]
fn sizes_beyond_the_kernels_are_refused() {
    let spec = Spec { memory: u64::MAX, disk: 1 << 63, ..good() };
    assert_eq!(problems(spec), ["memory: larger than the kernel can count", "disk: larger than the kernel can count"]);
}

#[test]
fn cpu_time_may_exceed_the_deadline() {
    let spec = Spec { timeout: Some(Duration::from_secs(1)), cpu_time: Some(Duration::from_secs(9)), ..good() };
    assert_eq!(check(&spec), Ok(()));
}

#[test]
fn an_image_may_be_named_and_one_of_the_store_has_a_command_of_its_own() {
    for image in ["host", "python:3.12"] {
        assert_eq!(check(&Spec { image: Some(image.to_owned()), ..good() }), Ok(()));
    }
    let without = |image: &str| Spec { image: Some(image.to_owned()), ..Spec::default() };
    assert_eq!(problems(without("host")), ["command: no command"]);
    assert_eq!(check(&without("python")), Ok(()));
}

#[test]
fn every_network_mode_is_good_and_a_policy_has_bounds() {
    for net in [Network::None, Network::Host, Network::Open, Network::Only] {
        assert_eq!(check(&Spec { net, ..good() }), Ok(()));
    }
    let open = || Spec { net: Network::Open, ..good() };
    assert_eq!(problems(Spec { net_connections: 0, ..open() }), ["net_connections: is zero"]);
    assert_eq!(problems(Spec { net_connections: 1 << 20, ..open() }), ["net_connections: more than 32768"]);
    assert_eq!(problems(Spec { net_rate: Some(7), ..open() }), ["net_rate: 7 bytes is less than 4 KiB"]);
}

#[test]
fn an_allow_list_without_a_policy_is_never_ignored() {
    for (net, why) in
        [(Network::None, "there is no network"), (Network::Host, "nothing holds the host's network to it")]
    {
        let rules = || crate::spec::parse_target("example.org").unwrap();
        let spec = Spec { net, allow: rules(), deny: rules(), net_rate: Some(1 << 20), net_connections: 1, ..good() };
        assert_eq!(
            problems(spec),
            ["allow", "deny", "net_rate", "net_connections"].map(|field| format!("{field}: {why}"))
        );
    }
}

#[test]
fn a_mount_target_is_absolute_normal_and_not_the_kernels() {
    let table = [
        ("", "mount: target `` is empty"),
        ("data", "mount: target `data` is not absolute"),
        ("/", "mount: target `/` would replace the whole root file system"),
        ("/a/../b", "mount: target `/a/../b` has `..` in it"),
        ("/a/", "mount: target `/a/` is not in its shortest form: no `.`, no `//`, no slash at the end"),
        ("/a//b", "mount: target `/a//b` is not in its shortest form: no `.`, no `//`, no slash at the end"),
        ("/./a", "mount: target `/./a` is not in its shortest form: no `.`, no `//`, no slash at the end"),
        ("//proc", "mount: target `//proc` is not in its shortest form: no `.`, no `//`, no slash at the end"),
        ("/proc", "mount: target `/proc` lies in `/proc`, which belongs to the sandbox"),
        ("/proc/self", "mount: target `/proc/self` lies in `/proc`, which belongs to the sandbox"),
        ("/dev/null", "mount: target `/dev/null` lies in `/dev`, which belongs to the sandbox"),
        ("/sys", "mount: target `/sys` lies in `/sys`, which belongs to the sandbox"),
        ("/a\0b", "mount: `/a\\0b`: a path has a NUL byte in it"),
    ];
    for (target, message) in table {
        assert_eq!(problems(Spec { mounts: vec![mount(target)], ..good() }), [message]);
    }
    assert_eq!(problems(Spec { mounts: vec![mount("/process"), mount("/devel")], ..good() }), [""; 0]);
}

#[test]
fn two_mounts_on_one_target_are_refused() {
    let spec = Spec { mounts: vec![mount("/a"), mount("/a/b"), mount("/a")], ..good() };
    assert_eq!(problems(spec), ["mount: target `/a` is mounted on twice"]);
}

#[test]
fn a_variable_has_a_name_without_an_equals_sign() {
    let env = [("", "v"), ("A=B", "v"), ("A", "v\0"), ("LD_PRELOAD", "/lib/x.so")];
    let spec = Spec { env: env.iter().map(|(k, v)| (k.into(), v.into())).collect(), ..good() };
    assert_eq!(
        problems(spec),
        [
            "env: a variable without a name",
            "env: the name `A=B` has an equals sign in it",
            "env: `A` has a NUL byte in it",
        ]
    );
}

#[test]
fn a_working_directory_cannot_be_reached_through_proc() {
    let table = [
        ("/proc/self/fd/7", "workdir: `/proc/self/fd/7` lies in `/proc`, which belongs to the sandbox"),
        ("/tmp/../proc", "workdir: `/tmp/../proc` has `..` in it"),
        ("src", "workdir: `src` is not absolute"),
    ];
    for (path, message) in table {
        assert_eq!(problems(Spec { workdir: Some(path.into()), ..good() }), [message]);
    }
    assert_eq!(check(&Spec { workdir: Some("/".into()), ..good() }), Ok(()));
}

#[test]
fn the_id_that_means_unchanged_is_refused() {
    let spec = Spec { user: Some(User { uid: 0, gid: u32::MAX }), ..good() };
    assert_eq!(problems(spec), ["user: 0:4294967295 is out of range"]);
}

#[test]
fn a_host_name_follows_rfc_1123() {
    for name in ["a", "box-1", "9box", "a.example.org"] {
        assert_eq!(check(&Spec { hostname: name.to_owned(), ..good() }), Ok(()), "{name}");
    }
    for name in ["", "-a", "a-", "a..b", ".a", "a_b", "é", "a b", "a\0", &"a".repeat(64), &"a.".repeat(40)] {
        assert_eq!(problems(Spec { hostname: name.to_owned(), ..good() }).len(), 1, "{name}");
    }
}

#[test]
fn an_unknown_profile_is_refused_with_the_known_ones() {
    let spec = Spec { seccomp: Seccomp::Builtin("none".to_owned()), ..good() };
    let Err(Error { problems, .. }) = check(&spec) else { panic!("passed") };
    let hint = "the profiles are default, strict, debug, packages; a file is named with a `/` or ends in `.json`";
    assert_eq!(problems, [Problem::new("seccomp", "no profile `none`").hint(hint)]);
}

#[test]
fn a_user_is_one_of_the_range() {
    let with = |userns, gid| Spec { user: Some(User { uid: 1, gid }), userns, ..good() };
    assert_eq!(problems(with(Userns::Single, 65_536)), [""; 0]);
    assert_eq!(problems(with(Userns::Range, 65_535)), [""; 0]);
    assert_eq!(problems(with(Userns::Range, 65_536)), ["user: 1:65536 is not in the range"]);
}

#[test]
fn set_user_id_bits_and_a_writable_mount_exclude_each_other() {
    let with = |writable| Spec {
        seccomp: Seccomp::Builtin("packages".to_owned()),
        mounts: vec![Mount { writable, ..mount("/data") }],
        ..good()
    };
    assert_eq!(problems(with(false)), [""; 0]);
    let problem = "seccomp: `packages` lets set-user-id bits through, and `/data` is the host's and writable";
    assert_eq!(problems(with(true)), [problem]);
}

#[test]
fn a_terminal_and_a_file_as_input_exclude_each_other() {
    let spec = Spec { tty: true, stdin: Some("in".into()), ..good() };
    assert_eq!(problems(spec), ["tty: a terminal of its own and a file as standard input exclude each other"]);
}

#[test]
fn requirements_must_make_sense() {
    let require = |protection, exact| Requirement { protection, exact };
    let spec = Spec {
        require: vec![
            require(Protection::Memory, true),
            require(Protection::Landlock, true),
            require(Protection::Pids, false),
            require(Protection::CpuTime, false),
        ],
        allow_missing: vec![Protection::Pids],
        ..good()
    };
    assert_eq!(
        problems(spec),
        [
            "allow_missing: `pids` cannot be missing from a sandbox",
            "require: `landlock=exact`: only limits are exact or approximate",
            "require: `pids` is both required and allowed to be missing",
            "require: `cpu_time` is required, and no such limit is set",
        ]
    );
}
