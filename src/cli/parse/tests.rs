//! Whole command lines in, whole requests or whole complaints out.

use super::*;
use crate::spec::{
    self, CgroupParent, Code, Language, Mount, Network, NetworkWish, OutputLimit, PartialSpec, Program, Protection,
    Publish, Requirement, Seccomp, Source, User, Userns,
};
use crate::verbs::code::Place;
use crate::verbs::wish;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

fn env(name: &str) -> Option<OsString> {
    match name {
        "TERM" => Some("xterm".into()),
        "TOKEN" => Some("secret".into()),
        _ => None,
    }
}

fn read(line: &[&str]) -> Result<Request, Usage> {
    parse(std::iter::once("belljar").chain(line.iter().copied()).map(OsString::from), &env)
}

fn run(line: &[&str]) -> wish::Request {
    match read(line) {
        Ok(Request::Run(asked)) => asked.verb.request(&env).expect("a request"),
        Ok(Request::Code(asked)) => match asked.verb.request(&env).expect("a request") {
            Place::Fresh(request) => *request,
            there => panic!("{line:?}: {there:?}"),
        },
        other => panic!("{line:?}: {other:?}"),
    }
}

/// Where its result goes.
fn report(line: &[&str]) -> Report {
    match read(line) {
        Ok(Request::Run(asked)) => asked.report.read().expect("a report"),
        other => panic!("{line:?}: {other:?}"),
    }
}

/// The complaints, as they are printed, and the exit code.
fn wrong(line: &[&str]) -> (Vec<String>, i32) {
    match read(line) {
        Err(Usage::Wrong { problems, exit_code, .. }) => (problems.iter().map(Problem::to_string).collect(), exit_code),
        Ok(request) if !request.problems(&env).is_empty() => {
            (request.problems(&env).iter().map(Problem::to_string).collect(), 125)
        }
        other => panic!("{line:?}: {other:?}"),
    }
}

fn command(words: &[&str]) -> Option<Program> {
    Some(Program::Command(words.iter().map(OsString::from).collect()))
}

fn code(language: Language, source: Source, args: &[&str]) -> Option<Program> {
    Some(Program::Code(Code { language, source, args: args.iter().map(OsString::from).collect() }))
}

#[test]
fn a_bare_command_wishes_nothing_else() {
    let wish = PartialSpec { program: command(&["ls", "-l"]), ..PartialSpec::default() };
    let request = wish::Request { wish, term: Some("xterm".to_owned()), ..wish::Request::default() };
    assert_eq!(run(&["run", "ls", "-l"]), request);
    assert_eq!(run(&["run", "--", "ls", "-l"]), request);
}

#[test]
fn every_flag_reaches_its_field() {
    let line = "run --image host --memory 512M --cpus 0.5 --pids 64 --disk 1M --disk-bandwidth 2M --timeout none --cpu-time 10s \
        --output-limit 1M:kill --net host --allow 10.0.0.1 --allow b.example:443 --deny c.example --net-rate 1M --net-connections 9 --mount /a:/b --mount c:/d:rw --env K=V --env TOKEN --publish 8080:80 --publish [::1]:0:81 \
        --workdir /w --user 1:2 --userns range --hostname h --seccomp ./p --stdin in --tty --spec s.toml --cgroup-parent /sys/fs/cgroup/a/b --require memory=exact \
        --allow-missing landlock --json --status-fd 3 --dry-run true";
    let line: Vec<&str> = line.split_whitespace().collect();
    let wish = PartialSpec {
        program: command(&["true"]),
        image: Some("host".to_owned()),
        memory: Some(512 << 20),
        millicpus: Some(500),
        pids: Some(64),
        disk: Some(1 << 20),
        disk_bandwidth: Some(2 << 20),
        timeout: Some(None),
        cpu_time: Some(Duration::from_secs(10)),
        output_limit: Some(OutputLimit { bytes: 1 << 20, kill: true }),
        net: Some(NetworkWish::Mode(Network::Host)),
        allow: ["10.0.0.1", "b.example:443"].iter().flat_map(|word| spec::parse_target(word).unwrap()).collect(),
        deny: spec::parse_target("c.example").unwrap(),
        net_rate: Some(1 << 20),
        net_connections: Some(9),
        publish: vec![
            Publish { address: Ipv4Addr::LOCALHOST.into(), host: 8080, inside: 80 },
            Publish { address: Ipv6Addr::LOCALHOST.into(), host: 0, inside: 81 },
        ],
        mounts: vec![
            Mount { source: "/a".into(), target: "/b".into(), writable: false, beneath: None },
            Mount { source: "c".into(), target: "/d".into(), writable: true, beneath: None },
        ],
        env: vec![("K".into(), "V".into()), ("TOKEN".into(), "secret".into())],
        workdir: Some("/w".into()),
        user: Some(User { uid: 1, gid: 2 }),
        userns: Some(Userns::Range),
        hostname: Some("h".to_owned()),
        seccomp: Some(Seccomp::Custom { path: "./p".into(), json: Vec::new() }),
        stdin: Some("in".into()),
        tty: Some(true),
        cgroup_parent: Some(CgroupParent::Below("/a/b".into())),
        require: vec![Requirement { protection: Protection::Memory, exact: true }],
        allow_missing: vec![Protection::Landlock],
    };
    assert_eq!(report(&line), Report { json: true, status_fd: Some(3) });
    let request = wish::Request {
        wish,
        spec_file: Some("s.toml".into()),
        term: Some("xterm".to_owned()),
        dry_run: true,
        ..wish::Request::default()
    };
    assert_eq!(run(&line), request);
}

#[test]
fn everything_after_the_command_is_its_own() {
    let table: [(&[&str], &[&str]); 5] = [
        (&["run", "grep", "--json", "-e", "x"], &["grep", "--json", "-e", "x"]),
        (&["run", "--", "--odd", "--json"], &["--odd", "--json"]),
        (&["run", "sh", "-c", "x", "--", "y"], &["sh", "-c", "x", "--", "y"]),
        (&["run", "--", "a", "--", "b"], &["a", "--", "b"]),
        (&["run", "env", "--help"], &["env", "--help"]),
    ];
    for (line, words) in table {
        assert_eq!((run(line).wish.program, report(line).json), (command(words), false), "{line:?}");
    }
}

#[test]
fn code_takes_options_on_both_sides_of_the_language() {
    let text = |text: &str| Source::Text(text.into());
    let file = |path: &str| Source::File(path.into());
    let table: [(&[&str], Option<Program>); 10] = [
        (&["python", "-e", "print(1)"], code(Language::Python, text("print(1)"), &[])),
        (&["-e", "print(1)", "python"], code(Language::Python, text("print(1)"), &[])),
        (&["python", "-e", "x", "a", "-b", "--json"], code(Language::Python, text("x"), &["a", "-b", "--json"])),
        (&["python", "-e", "x", "--", "-b"], code(Language::Python, text("x"), &["-b"])),
        (&["python", "-e", "-1"], code(Language::Python, text("-1"), &[])),
        (&["python", "-e", ""], code(Language::Python, text(""), &[])),
        (&["--pids", "9", "js", "a.js", "--pids"], code(Language::Node, file("a.js"), &["--pids"])),
        (&["bash", "--pids", "9", "a.sh"], code(Language::Shell, file("a.sh"), &[])),
        (&["sh", "-"], code(Language::Shell, Source::Stdin, &[])),
        (&["sh", "-", "-x"], code(Language::Shell, Source::Stdin, &["-x"])),
    ];
    for (words, program) in table {
        let line: Vec<&str> = std::iter::once("code").chain(words.iter().copied()).collect();
        assert_eq!(run(&line).wish.program, program, "{line:?}");
    }
}

#[test]
fn incomplete_code_says_what_is_missing() {
    assert_eq!(wrong(&["code"]), (vec!["lang: is missing".to_owned()], 125));
    assert_eq!(wrong(&["code", "python"]), (vec!["code: is missing".to_owned()], 125));
    let ruby = "lang: `ruby` is no language that belljar knows";
    assert_eq!(wrong(&["code", "ruby", "a.rb"]), (vec![ruby.to_owned()], 125));
    let twice = "spec: standard input cannot hold both the spec and the code";
    assert_eq!(wrong(&["code", "sh", "--spec", "-", "-"]), (vec![twice.to_owned()], 125));
    assert_eq!(run(&["code", "--spec", "s.toml"]).wish.program, None);
}

#[test]
fn all_wrong_values_are_reported_at_once_with_the_contradictions() {
    let line = [
        "run",
        "--memory",
        "18446744073709551616",
        "--cpus",
        "NaN",
        "--pids",
        "-1",
        "--disk",
        "1.5",
        "--timeout",
        "1e9",
        "--cpu-time",
        "5min",
        "--output-limit",
        "0",
        "--mount",
        "x",
        "--user",
        "root",
        "--env",
        "NOPE",
        "--require",
        "memry",
        "--allow-missing",
        "x",
        "--status-fd",
        "2",
        "--workdir",
        "proc",
        "--net",
        "wide",
        "--allow",
        "10.0.0.0/33",
        "true",
    ];
    let complaints = [
        "status_fd: `2` is no number above 2",
        "memory: `18446744073709551616` is larger than any machine has",
        "cpus: `NaN` does not begin with a number",
        "pids: `-1` is negative",
        "disk: `1.5` is not a whole number of bytes",
        "timeout: `1e9` has the unit `e`, which is no unit of time",
        "cpu_time: `5min` has the unit `min`, which is no unit of time",
        "output_limit: `0` is zero",
        "net: no network mode `wide`",
        "allow: `10.0.0.0/33` has `/33`, which is no length of a range",
        "mount: `x` is not of the form SRC:DST[:rw]",
        "env: `NOPE` is not set here, so there is nothing to copy",
        "user: `root` is not of the form UID[:GID]",
        "require: `memry` is no protection",
        "allow_missing: `x` is no protection",
        "workdir: `proc` is not absolute",
    ];
    assert_eq!(wrong(&line), (complaints.map(str::to_owned).to_vec(), 125));
}

#[test]
fn a_missing_command_is_reported_beside_wrong_values_unless_a_spec_file_may_have_it() {
    let zero = "pids: `0` is zero".to_owned();
    assert_eq!(wrong(&["run", "--pids", "0"]), (vec![zero.clone(), "command: no command".to_owned()], 125));
    assert_eq!(wrong(&["run", "--pids", "0", "--spec", "s.toml"]), (vec![zero], 125));
}

#[test]
fn a_flag_given_twice_is_an_error_that_names_it() {
    let memory = "memory: `--memory` is given twice";
    assert_eq!(wrong(&["run", "--memory", "1G", "--memory", "2G", "true"]), (vec![memory.to_owned()], 125));
    let json = "json: `--json` is given twice";
    assert_eq!(wrong(&["run", "--json", "--json", "true"]), (vec![json.to_owned()], 125));
    let stdin = "stdin: `--stdin` is given twice";
    assert_eq!(wrong(&["code", "--stdin", "a", "sh", "--stdin", "b", "-"]), (vec![stdin.to_owned()], 125));
}

#[test]
fn an_unknown_flag_is_answered_with_a_similar_one() {
    let Err(Usage::Wrong { problems, exit_code: 125, .. }) = read(&["run", "--memry", "1G", "true"]) else {
        panic!("understood")
    };
    let problem = Problem::new("memry", "`--memry` is no option of `belljar run`");
    assert_eq!(problems, [problem.hint("a similar option is `--memory`; try `belljar run --help`")]);
}

#[test]
fn a_flag_without_its_value_is_an_error_that_names_it() {
    let message = "timeout: `--timeout` has no value";
    assert_eq!(wrong(&["run", "--timeout"]), (vec![message.to_owned()], 125));
}

#[test]
fn other_commands_end_in_2_when_misused() {
    let (complaints, code) = wrong(&["rn", "true"]);
    assert_eq!((complaints[0].as_str(), code), ("command line: `rn` is no verb of `belljar`", 2));
    assert_eq!(wrong(&[]), (vec!["command line: no verb".to_owned()], 2));
    assert_eq!(wrong(&["completions", "tcsh"]).1, 2);
    assert_eq!(wrong(&["doctor", "--json", "--apparmor-profile"]).1, 2);
}

#[test]
fn a_caller_that_asked_for_json_gets_it_however_wrong_the_rest_is() {
    let report = |line: &[&str]| match read(line) {
        Err(Usage::Wrong { report, .. }) => report,
        // It is known before anything else is read.
        Ok(Request::Run(asked)) => asked.report.read().expect("a report"),
        other => panic!("{other:?}"),
    };
    let both = Report { json: true, status_fd: Some(3) };
    assert_eq!(report(&["run", "--json", "--status-fd", "3", "--memry"]), both);
    assert_eq!(report(&["run", "--memry", "--json", "--status-fd=3"]), both);
    assert_eq!(report(&["run", "--memory", "0", "--json", "--status-fd=3"]), both);
    assert_eq!(report(&["run", "--memry", "--", "--json"]), Report::default());
}

#[test]
fn help_and_version_are_asked_for_and_no_error() {
    for line in [&["--help"][..], &["run", "--help"], &["code", "-h"], &["help", "run"], &["--version"]] {
        assert!(matches!(read(line), Err(Usage::Asked(_))), "{line:?}");
    }
    let Err(Usage::Asked(version)) = read(&["--version"]) else { panic!("no version") };
    assert_eq!(version, format!("belljar {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_help_of_run_says_unit_and_default_of_every_option() {
    let Err(Usage::Asked(help)) = read(&["run", "-h"]) else { panic!("no help") };
    for heading in ["Limits:", "File system:", "Network:", "Identity:", "Input and output:", "Protections:"] {
        assert!(help.contains(heading), "{heading}");
    }
    for option in args::whole().find_subcommand("run").unwrap().get_opts() {
        let short = option.get_help().unwrap().to_string();
        assert!(short.contains("[default: "), "{}: {short}", option.get_id());
    }
}

#[test]
fn the_other_commands_are_read() {
    let doctor = |json, apparmor_profile| {
        let verb = verbs::host::Doctor { apparmor_profile };
        Ok(Request::Host(verbs::host::Host::Doctor(verbs::Reported { verb, json })))
    };
    assert_eq!(read(&["doctor"]), doctor(false, false));
    assert_eq!(read(&["doctor", "--json"]), doctor(true, false));
    assert_eq!(read(&["doctor", "--apparmor-profile"]), doctor(false, true));
    assert_eq!(read(&["completions", "zsh"]), Ok(Request::Completions("zsh".to_owned())));
    assert_eq!(read(&["man", "out"]), Ok(Request::Man("out".into())));
}

#[test]
fn bytes_that_are_no_text_pass_where_the_kernel_takes_them_and_nowhere_else() {
    let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let line = |flag: &[u8]| vec![bytes(b"belljar"), bytes(b"run"), bytes(flag), bytes(b"\xff")];
    let Ok(Request::Run(asked)) = parse(line(b"--env=K=\xfe"), &env) else { panic!("refused") };
    let request = asked.verb.request(&env).expect("a request");
    assert_eq!(request.wish.env, [(bytes(b"K"), bytes(b"\xfe"))]);
    assert_eq!(request.wish.program, Some(Program::Command(vec![bytes(b"\xff")])));
    let Ok(request) = parse(line(b"--hostname=\xfe"), &env) else { panic!("refused") };
    assert_eq!(request.problems(&env), [Problem::new("hostname", "`\u{fffd}` is not UTF-8")]);
}

#[test]
fn a_terminal_name_that_is_none_is_left_out() {
    for term in ["", "a b", "a\nb"] {
        let line = ["belljar", "run", "true"].map(OsString::from);
        let env = |name: &str| (name == "TERM").then(|| OsString::from(term));
        let Ok(Request::Run(asked)) = parse(line, &env) else { panic!("refused") };
        assert_eq!(asked.verb.request(&env).expect("a request").term, None);
    }
}

#[test]
fn a_role_of_our_own_is_read_before_anything_else() {
    let own = Own::Session { id: "a".into(), kind: "command".into(), words: vec!["run".into(), "--help".into()] };
    assert_eq!(read(&["keep-session", "a", "command", "run", "--help"]), Ok(Request::Own(own, None)));
    let complaint = "serve-tools: `much` is not a number of bytes".to_owned();
    assert_eq!(wrong(&["serve-tools", "much"]), (vec![complaint], 2));
}
