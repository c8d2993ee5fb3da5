//! Whole files in, whole specs or whole messages out.

use super::*;
use crate::spec::*;
use std::time::Duration;

const TOML: &str = r#"
command = ["make", "test"]
image = "host"
memory = "512M"
cpus = 0.5
pids = 64
disk = 1048576
disk_bandwidth = "2M"
timeout = "none"
cpu_time = 2.5
output_limit = "1M:kill"
net = "open"
allow = ["example.org:443"]
deny = ["10.0.0.1"]
net_rate = "1M"
net_connections = 9
publish = ["8080:80"]
mounts = ["./src:/src", { source = "/a:b", target = "/out", writable = true }]
workdir = "/src"
user = "1000:5"
userns = "single"
hostname = "box"
seccomp = "strict"
stdin = "in.txt"
tty = false
cgroup_parent = "none"
require = ["memory=exact", "seccomp"]
allow_missing = ["landlock"]
[env]
B = "2"
A = "1"
"#;

const JSON: &str = r#"{
  "command": ["make", "test"], "image": "host", "memory": "512M", "cpus": 0.5, "pids": 64, "disk": 1048576, "disk_bandwidth": "2M",
  "timeout": "none", "cpu_time": 2.5, "output_limit": "1M:kill", "net": "open", "allow": ["example.org:443"], "deny": ["10.0.0.1"], "net_rate": "1M",
  "net_connections": 9, "publish": ["8080:80"],
  "mounts": ["./src:/src", {"source": "/a:b", "target": "/out", "writable": true}], "workdir": "/src",
  "user": "1000:5", "userns": "single", "hostname": "box", "seccomp": "strict", "stdin": "in.txt", "tty": false, "cgroup_parent": "none",
  "require": ["memory=exact", "seccomp"], "allow_missing": ["landlock"], "env": {"B": "2", "A": "1"}
}"#;

fn full() -> PartialSpec {
    PartialSpec {
        program: Some(Program::Command(vec!["make".into(), "test".into()])),
        image: Some("host".to_owned()),
        memory: Some(512 << 20),
        millicpus: Some(500),
        pids: Some(64),
        disk: Some(1 << 20),
        disk_bandwidth: Some(2 << 20),
        timeout: Some(None),
        cpu_time: Some(Duration::from_millis(2500)),
        output_limit: Some(OutputLimit { bytes: 1 << 20, kill: true }),
        net: Some(NetworkWish::Mode(Network::Open)),
        allow: crate::spec::parse_target("example.org:443").unwrap(),
        deny: crate::spec::parse_target("10.0.0.1").unwrap(),
        net_rate: Some(1 << 20),
        net_connections: Some(9),
        publish: vec![Publish { address: std::net::Ipv4Addr::LOCALHOST.into(), host: 8080, inside: 80 }],
        mounts: vec![
            Mount { source: "./src".into(), target: "/src".into(), writable: false, beneath: None },
            Mount { source: "/a:b".into(), target: "/out".into(), writable: true, beneath: None },
        ],
        env: vec![("B".into(), "2".into()), ("A".into(), "1".into())],
        workdir: Some("/src".into()),
        user: Some(User { uid: 1000, gid: 5 }),
        userns: Some(Userns::Single),
        hostname: Some("box".to_owned()),
        seccomp: Some(Seccomp::Builtin("strict".to_owned())),
        stdin: Some("in.txt".into()),
        tty: Some(false),
        cgroup_parent: Some(CgroupParent::Without),
        require: vec![
            Requirement { protection: Protection::Memory, exact: true },
            Requirement { protection: Protection::Seccomp, exact: false },
        ],
        allow_missing: vec![Protection::Landlock],
    }
}

fn json_error(text: &str) -> String {
    from_json(text).unwrap_err().to_string()
}

fn toml_error(text: &str) -> String {
    from_toml(text).unwrap_err().to_string()
}

#[test]
fn toml_and_json_say_the_same() {
    assert_eq!(from_json(JSON), Ok(full()));
    assert_eq!(from_toml(TOML).map(|spec| spec.env.len()), Ok(2));
    let mut toml = from_toml(TOML).unwrap();
    // The order of keys in a TOML table is not ours to rely on.
    toml.env = full().env;
    assert_eq!(toml, full());
}

#[test]
fn an_empty_file_says_nothing() {
    assert_eq!(from_toml(""), Ok(PartialSpec::default()));
    assert_eq!(from_json("{}"), Ok(PartialSpec::default()));
}

#[test]
fn code_has_a_language_one_source_and_arguments() {
    let code = |source, args: &[&str]| {
        Some(Program::Code(Code { language: Language::Python, source, args: args.iter().map(Into::into).collect() }))
    };
    let read = |text| from_toml(text).map(|spec| spec.program);
    assert_eq!(
        read(r#"code = { language = "python", text = "print(1)", args = ["a"] }"#),
        Ok(code(Source::Text("print(1)".into()), &["a"]))
    );
    assert_eq!(read("[code]\nlanguage = \"python3\"\nfile = \"a.py\""), Ok(code(Source::File("a.py".into()), &[])));
    assert_eq!(read("code = { language = \"python\", stdin = true }"), Ok(code(Source::Stdin, &[])));
}

#[test]
fn an_error_in_json_has_line_column_and_field() {
    let table = [
        ("", "line 1, column 1: EOF while parsing a value"),
        ("[]", "line 1, column 1: invalid type: sequence, expected a table of the fields of a spec"),
        ("{\n  \"memory\": \"1Q\"\n}", "line 2, column 16: memory: `1Q` has the unit `Q`, which is no unit of size"),
        ("{\"memry\": 1}", "line 1, column 10: memry: no such field"),
        ("{\"pids\": 1, \"pids\": 2}", "line 1, column 20: pids: given twice"),
        ("{\"env\": {\"A\": \"1\", \"A\": \"2\"}}", "line 1, column 22: env: `A` is given twice"),
        ("{\"pids\": true}", "line 1, column 13: pids: expected a number or a string, found true or false"),
        ("{\"pids\": -1}", "line 1, column 11: pids: `-1` is negative"),
        ("{\"pids\": null}", "line 1, column 13: pids: expected a number or a string, found null"),
        ("{\"memory\": 1e9}", "line 1, column 14: memory: expected a whole number or a string, found a fraction"),
        ("{\"cpus\": 1e400}", "line 1, column 14: cpus: number out of range"),
        ("{\"command\": \"ls\"}", "line 1, column 16: command: expected a list, found a string"),
        ("{\"command\": [\"ls\", 1]}", "line 1, column 21: command[1]: expected a string, found a number"),
        ("{\"pids\": 1} x", "line 1, column 13: trailing characters"),
        ("{\"pids\": }", "line 1, column 10: pids: expected value"),
    ];
    assert_eq!(table.map(|(text, _)| json_error(text)), table.map(|(_, message)| message.to_owned()));
}

#[test]
fn an_error_in_toml_has_line_column_and_field() {
    let table = [
        ("pids = 1\nmemory = \"1Q\"", "line 2, column 10: memory: `1Q` has the unit `Q`, which is no unit of size"),
        ("\n\nmemry = 1", "line 3, column 9: memry: no such field"),
        ("pids = 1\npids = 2", "line 2, column 1: duplicate key"),
        ("tty = \"yes\"", "line 1, column 7: tty: expected true or false, found a string"),
        ("cpus = nan", "line 1, column 8: cpus: `NaN` does not begin with a number"),
        ("cpus = inf", "line 1, column 8: cpus: `inf` does not begin with a number"),
        ("env = { A = 1 }", "line 1, column 7: env.A: expected a string, found a number"),
        ("mounts = [\"/a:/b\", \"/c\"]", "line 1, column 10: mounts[1]: `/c` is not of the form SRC:DST[:rw]"),
        ("mounts = [{ source = \"/a\" }]", "line 1, column 10: mounts[0]: a mount needs `target`"),
        ("mounts = [{ src = \"/a\" }]", "line 1, column 10: mounts[0].src: no such field"),
        ("require = [\"memry\"]", "line 1, column 11: require[0]: `memry` is no protection"),
        ("code = { language = \"ruby\" }", "line 1, column 8: code.language: `ruby` is no language that belljar knows"),
        ("code = { language = \"sh\" }", "line 1, column 8: code: one of `text`, `file` and `stdin = true` is missing"),
        ("code = { text = \"\", file = \"\" }", "line 1, column 8: code.text: the code is given twice"),
        (
            "command = [\"a\"]\n[code]\nlanguage = \"sh\"\nstdin = true",
            "line 1, column 11: command: `command` and `code` cannot both be given",
        ),
    ];
    assert_eq!(table.map(|(text, _)| toml_error(text)), table.map(|(_, message)| message.to_owned()));
}

#[test]
fn an_unknown_field_is_answered_with_the_known_ones() {
    assert_eq!(from_json("{\"memry\": 1}").unwrap_err().hint, Some(format!("the fields are {}", KEYS_LINE)));
    let hint = from_json("{\"mount\": []}").unwrap_err().hint;
    assert_eq!(hint.as_deref(), Some("the mounts of a spec file are a list, `mounts`"));
}

const KEYS_LINE: &str = "command, code, image, memory, cpus, pids, disk, disk_bandwidth, timeout, cpu_time, output_limit, net, allow, \
     deny, net_rate, net_connections, publish, mounts, env, workdir, user, userns, hostname, seccomp, stdin, tty, cgroup_parent, require, allow_missing";

#[test]
fn a_file_beyond_a_mebibyte_is_refused_unread() {
    let text = " ".repeat(MAX_FILE + 1);
    assert_eq!(json_error(&text), "a spec of 1048577 bytes; at most 1048576 are read");
    assert_eq!(toml_error(&text), "a spec of 1048577 bytes; at most 1048576 are read");
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let deep = MAX_FILE / 2 - 32;
    for text in [
        format!("{{\"env\": {}{}}}", "[".repeat(deep), "]".repeat(deep)),
        format!("{{\"env\": {}1{}}}", "{\"a\":".repeat(deep / 4), "}".repeat(deep / 4)),
        "[".repeat(deep),
    ] {
        assert!(from_json(&text).is_err());
    }
    for text in [
        format!("env = {}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("env = {}1", "{a=".repeat(deep / 2)),
        format!("env.{}a = 1", "a.".repeat(deep / 2)),
        format!("[env.{}a]", "a.".repeat(deep / 2)),
        format!("[env.\"\".{}a]", "a.".repeat(deep / 2)),
        format!("[[env.{}a]]", "a.".repeat(deep / 2)),
        format!("env = {{ {}a = 1 }}", "a.".repeat(deep / 2)),
    ] {
        assert!(from_toml(&text).is_err());
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC*", key in "[a-z_]{1,8}", value in "[-0-9a-zA-Z.:/\"'\\[\\]{}, ]*") {
        for text in [text, format!("{key} = {value}"), format!("{{\"{key}\": {value}}}")] {
            // What comes out is of no interest here.
            let _ = (from_json(&text), from_toml(&text));
        }
    }

    #[test]
    fn no_value_makes_a_unit_panic(text in "[0-9]{0,24}\\.?[0-9]{0,12}[a-zA-Zµ:]{0,5}[0-9]{0,3}[hms]{0,2}") {
        let _ = (parse_bytes(&text), parse_cpus(&text), parse_count(&text), parse_output_limit(&text));
        if let Ok(time) = parse_duration(&text) && time.subsec_nanos() % 1_000_000 == 0 {
            assert_eq!(parse_duration(&show_duration(time)), Ok(time));
        }
    }
}
