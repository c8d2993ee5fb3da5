//! Bad requests: refused whole, with the field's name and the cure, and never understood as something else.

use crate::common::{Run, Scratch, call, call_with_input, command, result, shell};
use serde_json::{Value, json};
use std::process::Command;

/// What belljar complains about, without its name and its hints.
fn complaints(run: &Run) -> Vec<&str> {
    run.stderr.lines().filter_map(|line| line.strip_prefix("belljar: ")).collect()
}

/// A refusal: exit code 125, nothing on standard output, these complaints.
fn assert_refused(run: &Run, wanted: &[&str]) {
    assert_eq!((run.code, run.stdout.as_str(), complaints(run)), (Some(125), "", wanted.to_vec()), "{run:?}");
}

/// A script of the host's shell, in which `$B` is belljar.
fn sh(directory: &Scratch, script: &str) -> Run {
    let mut command = Command::new("sh");
    command.args(["-c", script]).env("B", crate::common::belljar()).current_dir(&directory.0);
    command.output().expect("start sh").into()
}

#[test]
fn a_wrong_value_is_refused_with_the_name_of_its_field() {
    let rows = [
        ("--memory=0", "memory: `0` is zero"),
        ("--memory=", "memory: `` is empty"),
        ("--memory=-1", "memory: `-1` is negative"),
        ("--memory=512", "memory: 512 bytes is less than 1 MiB"),
        ("--memory=18446744073709551616", "memory: `18446744073709551616` is larger than any machine has"),
        ("--memory=1e9", "memory: `1e9` has the unit `e9`, which is no unit of size"),
        ("--memory=NaN", "memory: `NaN` does not begin with a number"),
        ("--memory=1GB", "memory: `1GB` has the unit `GB`, which some read as 1000-based and some as 1024-based"),
        ("--memory=1.5", "memory: `1.5` is not a whole number of bytes"),
        ("--cpus=0", "cpus: `0` is zero"),
        ("--cpus=-0.5", "cpus: `-0.5` is negative"),
        ("--cpus=inf", "cpus: `inf` does not begin with a number"),
        ("--cpus=0.0001", "cpus: `0.0001` is finer than a thousandth of a CPU"),
        ("--cpus=4097", "cpus: `4097` is more than 4096 CPUs"),
        ("--pids=0", "pids: `0` is zero"),
        ("--pids=-1", "pids: `-1` is negative"),
        ("--pids=1.5", "pids: `1.5` is not a whole number"),
        ("--pids=4194305", "pids: `4194305` is more than the kernel can count"),
        ("--disk=0", "disk: `0` is zero"),
        ("--disk=1K", "disk: 1 KiB is less than 64 KiB"),
        ("--disk=9223372036854775808", "disk: `9223372036854775808` is larger than any machine has"),
        ("--timeout=0", "timeout: `0` is zero"),
        ("--timeout=-1s", "timeout: `-1s` is negative"),
        ("--timeout=never", "timeout: `never` does not begin with a number"),
        ("--timeout=1e9", "timeout: `1e9` has the unit `e`, which is no unit of time"),
        ("--timeout=99999999999h", "timeout: `99999999999h` is longer than 1000000 hours"),
        ("--cpu-time=0.0001", "cpu_time: `0.0001` is shorter than a millisecond"),
        ("--cpu-time=none", "cpu_time: `none` does not begin with a number"),
        ("--output-limit=0:kill", "output_limit: `0:kill` is zero"),
        ("--output-limit=1M:drop", "output_limit: `1M:drop` ends in `:drop`, which means nothing"),
        ("--user=root", "user: `root` is not of the form UID[:GID]"),
        ("--user=-1", "user: `-1` is not of the form UID[:GID]"),
        ("--user=4294967295", "user: 4294967295:4294967295 is out of range"),
        ("--user=4294967296", "user: `4294967296` is not of the form UID[:GID]"),
        ("--hostname=", "hostname: `` is no host name"),
        ("--hostname=a_b", "hostname: `a_b` is no host name"),
        ("--hostname=a\nb", "hostname: `a\\nb` is no host name"),
        ("--env==v", "env: a variable without a name"),
        ("--env=BELLJAR_NOT_SET", "env: `BELLJAR_NOT_SET` is not set here, so there is nothing to copy"),
        ("--workdir=tmp", "workdir: `tmp` is not absolute"),
        ("--workdir=/tmp/../etc", "workdir: `/tmp/../etc` has `..` in it"),
        ("--workdir=/proc/self/fd/7", "workdir: `/proc/self/fd/7` lies in `/proc`, which belongs to the sandbox"),
        ("--net=wide", "net: no network mode `wide`"),
        ("--net=./nonexistent.toml", "net: `./nonexistent.toml`: No such file or directory"),
        ("--net=/dev/zero", "net: `/dev/zero`: more than 1048576 bytes"),
        ("--allow=@pyton", "allow: `@pyton` is no set of rules"),
        ("--allow=10.0.0.0/33", "allow: `10.0.0.0/33` has `/33`, which is no length of a range"),
        (
            "--deny=010.0.0.1",
            "deny: `010.0.0.1` ends in a number, as an address does that some programs understand and others do not",
        ),
        ("--net-connections=0", "net_connections: `0` is zero"),
        ("--net-connections=40000", "net_connections: `40000` is more than there are ports for"),
        ("--mount=/tmp", "mount: `/tmp` is not of the form SRC:DST[:rw]"),
        ("--mount=:/data", "mount: `:/data` leaves a path empty"),
        ("--mount=/tmp:/data:rx", "mount: `/tmp:/data:rx` is not of the form SRC:DST[:rw]"),
        ("--mount=/tmp:data", "mount: target `data` is not absolute"),
        ("--mount=/tmp:/", "mount: target `/` would replace the whole root file system"),
        ("--mount=/tmp:/dev/shm", "mount: target `/dev/shm` lies in `/dev`, which belongs to the sandbox"),
        ("--mount=/nonexistent:/data", "mount: source `/nonexistent`: No such file or directory"),
        ("--mount=/etc/passwd/x:/data", "mount: source `/etc/passwd/x`: Not a directory"),
        ("--stdin=/nonexistent", "stdin: `/nonexistent`: No such file or directory"),
        ("--stdin=/", "stdin: `/`: is a directory"),
        ("--stdin=", "stdin: the name of the file is empty"),
        ("--seccomp=none", "seccomp: no profile `none`"),
        ("--seccomp=/nonexistent", "seccomp: `/nonexistent`: No such file or directory"),
        ("--seccomp=/dev/null", "seccomp: the profile `/dev/null` is empty"),
        ("--seccomp=/dev/zero", "seccomp: `/dev/zero`: more than 1048576 bytes"),
        ("--require=memry", "require: `memry` is no protection"),
        ("--require=memory=roughly", "require: `roughly` is no degree of enforcement"),
        ("--require=seccomp=exact", "require: `seccomp=exact`: only limits are exact or approximate"),
        ("--require=cpu_time", "require: `cpu_time` is required, and no such limit is set"),
        ("--allow-missing=all", "allow_missing: `all` is no protection"),
    ];
    for (option, complaint) in rows {
        assert_refused(&call(["run", option, "--", "true"]), &[complaint]);
    }
}

#[test]
fn a_network_policy_that_nobody_would_enforce_is_refused_and_never_ignored() {
    let rows: [(&[&str], &[&str]); 4] = [
        (&["--net=none", "--allow=example.org:443"], &["allow: there is no network"]),
        (&["--deny=example.org"], &["deny: there is no network"]),
        (&["--net=host", "--deny=@python"], &["deny: nothing holds the host's network to it"]),
        (
            &["--net-rate=1M", "--net-connections=5"],
            &["net_rate: there is no network", "net_connections: there is no network"],
        ),
    ];
    for (options, complaints) in rows {
        assert_refused(&shell(options, "echo ran"), complaints);
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let line = "run --memory=0 --pids=x --hostname=- --workdir=a --mount=/a --mount=/tmp:/proc --net=wide \
        --allow=010.0.0.1 --require=y --status-fd=1 true";
    let wanted = [
        "status_fd: `1` is no number above 2",
        "memory: `0` is zero",
        "pids: `x` does not begin with a number",
        "net: no network mode `wide`",
        "allow: `010.0.0.1` ends in a number, as an address does that some programs understand and others do not",
        "mount: `/a` is not of the form SRC:DST[:rw]",
        "require: `y` is no protection",
        "workdir: `a` is not absolute",
        "hostname: `-` is no host name",
    ];
    assert_refused(&call(line.split_whitespace()), &wanted);
}

#[test]
fn the_result_object_names_every_field_at_fault() {
    let found = result(&call(["run", "--json", "--memory=0", "--cpus=x", "--net=wide"]));
    let error = (&found["status"], &found["error"]["kind"], &found["error"]["fields"]);
    let fields = json!(["memory", "cpus", "net", "command"]);
    assert_eq!(error, (&json!("setup_failed"), &json!("misused"), &fields));
}

#[test]
fn misuse_ends_in_125_where_a_command_would_have_run_and_in_2_elsewhere() {
    let rows: [(&[&str], i32, &str); 10] = [
        (&["run"], 125, "command: no command"),
        (&["run", ""], 125, "command: the name of the command is empty"),
        (&["run", "--memry=1G", "true"], 125, "memry: `--memry` is no option of `belljar run`"),
        (&["run", "--pids"], 125, "pids: `--pids` has no value"),
        (&["run", "--pids=1", "--pids=2", "true"], 125, "pids: `--pids` is given twice"),
        (&["code"], 125, "lang: is missing"),
        (&["code", "perl", "x.pl"], 125, "lang: `perl` is no language that belljar knows"),
        (&[], 2, "command line: no verb"),
        (&["rum", "true"], 2, "command line: `rum` is no verb of `belljar`"),
        (&["schema", "everything"], 2, "of: `everything` is not `result`, `spec`, `doctor` or `rpc`"),
    ];
    for (line, code, complaint) in rows {
        let run = call(line);
        assert_eq!((run.code, complaints(&run)), (Some(code), vec![complaint]), "{line:?}");
    }
}

#[test]
fn a_fault_in_a_spec_file_has_line_column_and_field() {
    let rows = [
        ("a.toml", "command = [\"true\"]\nmemry = 1", "line 2, column 9: memry: no such field"),
        ("b.toml", "pids = 1\npids = 2", "line 2, column 1: duplicate key"),
        ("c.toml", "tty = \"yes\"", "line 1, column 7: tty: expected true or false, found a string"),
        ("d.toml", "\nmemory = \"2Q\"", "line 2, column 10: memory: `2Q` has the unit `Q`, which is no unit of size"),
        ("e.json", "{\"pids\": 1,\n \"pids\": 2}", "line 2, column 9: pids: given twice"),
        ("f.json", "{\"pids\": -1}", "line 1, column 11: pids: `-1` is negative"),
        ("g.json", "{\"pids\": 1}}", "line 1, column 12: trailing characters"),
        ("h.json", "", "line 1, column 1: EOF while parsing a value"),
        ("i.yaml", "pids: 1", "the format is not clear"),
    ];
    let scratch = Scratch::new("spec");
    for (name, text, fault) in rows {
        scratch.file(name, text);
        let run = sh(&scratch, &format!("\"$B\" run --spec {name} -- true"));
        assert_refused(&run, &[format!("spec: `{name}`: {fault}").as_str()]);
    }
}

#[test]
fn a_spec_that_is_no_sane_file_is_refused_at_once() {
    let scratch = Scratch::new("insane");
    scratch.file("latin.toml", b"hostname = \"\xe9\"");
    scratch.file("deep.json", "[".repeat(1 << 19));
    scratch.file("deep.toml", format!("env = {}", "[".repeat(1 << 19)));
    std::fs::File::create(scratch.0.join("huge.json")).and_then(|file| file.set_len(100 << 20)).expect("100 MB");
    let rows = [
        ("huge.json", "more than 1048576 bytes"),
        ("/dev/zero", "more than 1048576 bytes"),
        ("nonexistent.toml", "No such file or directory"),
        (".", "Is a directory"),
        ("latin.toml", "not UTF-8 from byte 13 on"),
        ("deep.json", "line 1, column 1: invalid type: sequence, expected a table of the fields of a spec"),
        ("deep.toml", "line 1, column 87: cannot recurse further; max recursion depth met"),
    ];
    for (name, fault) in rows {
        let run = sh(&scratch, &format!("\"$B\" run --spec {name} -- true"));
        assert_refused(&run, &[format!("spec: `{name}`: {fault}").as_str()]);
    }
    let endless = sh(&scratch, "\"$B\" run --spec - -- true < /dev/zero");
    assert_refused(&endless, &["spec: standard input: more than 1048576 bytes"]);
}

#[test]
fn a_spec_is_read_as_toml_or_json_from_a_file_or_from_standard_input() {
    let scratch = Scratch::new("formats");
    let toml = "command = [\"hostname\"]\nhostname = \"toml\"\n";
    let json = " \n{\"command\": [\"hostname\"], \"hostname\": \"json\"}";
    let toml_file = scratch.file("spec.toml", toml);
    let json_file = scratch.file("spec.json", json);
    for (spec, input, name) in [
        (toml_file.as_os_str(), "", "toml\n"),
        (json_file.as_os_str(), "", "json\n"),
        ("-".as_ref(), toml, "toml\n"),
        ("-".as_ref(), json, "json\n"),
    ] {
        let run = call_with_input(["run".as_ref(), "--spec".as_ref(), spec], input.as_bytes());
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), name, ""));
    }
}

#[test]
fn flags_win_over_the_spec_and_lists_append() {
    let scratch = Scratch::new("flags");
    let file =
        scratch.file("spec.toml", "command = [\"false\"]\nhostname = \"file\"\nenv = { A = \"file\", B = \"file\" }\n");
    let file = file.to_str().expect("a name");
    let script = "echo $(hostname) $A $B";
    let run = call(["run", "--spec", file, "--hostname=flag", "--env=A=flag", "--", "sh", "-c", script]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "flag flag file\n"));
}

#[test]
fn a_command_whose_spec_came_on_standard_input_reads_its_end() {
    let run = call_with_input(["run", "--spec", "-"], b"command = [\"wc\", \"-c\"]");
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "0\n"));
}

#[test]
fn standard_input_cannot_hold_both_the_spec_and_the_code() {
    let run = call_with_input(["code", "--spec", "-", "sh", "-"], b"");
    assert_refused(&run, &["spec: standard input cannot hold both the spec and the code"]);
}

#[test]
fn the_status_descriptor_gets_the_result_without_the_output() {
    let scratch = Scratch::new("status");
    let run = sh(&scratch, "\"$B\" run --status-fd 9 -- sh -c 'echo out; exit 3' 9>status");
    let status: Value =
        serde_json::from_str(&std::fs::read_to_string(scratch.0.join("status")).expect("a status")).expect("JSON");
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), "out\n"));
    assert_eq!((&status["status"], &status["exit_code"]), (&json!("exited"), &json!(3)));
    assert_eq!((status.get("stdout"), status.get("stderr")), (None, None));
}

#[test]
fn the_status_descriptor_hears_of_errors_too() {
    let scratch = Scratch::new("errors");
    for (line, kind) in [
        ("run --memory=0 --status-fd=9 -- true", "misused"),
        ("run --status-fd 9 --memry -- true", "misused"),
        ("run --status-fd 9 -- nonexistent", "no_command"),
        ("run --status-fd 9 --require memory=exact -- true", "host"),
        ("run --status-fd 9 --workdir /usr/nonexistent -- true", "setup"),
    ] {
        sh(&scratch, &format!("\"$B\" {line} 9>status"));
        let text = std::fs::read_to_string(scratch.0.join("status")).expect("a status");
        let status: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error} in {text:?}"));
        assert_eq!((&status["status"], &status["error"]["kind"]), (&json!("setup_failed"), &json!(kind)), "{line}");
    }
}

#[test]
fn a_status_descriptor_that_cannot_be_written_to_is_refused() {
    let scratch = Scratch::new("unwritable");
    for (line, complaint) in [
        ("--status-fd 9", "status_fd: descriptor 9 cannot be written to: Bad file number"),
        ("--status-fd 9 9</dev/null", "status_fd: descriptor 9 cannot be written to: Bad file number"),
        ("--status-fd 2", "status_fd: `2` is no number above 2"),
        ("--status-fd -1", "status_fd: `-1` is no number above 2"),
        ("--status-fd 4294967296", "status_fd: `4294967296` is no number above 2"),
        ("--status-fd x", "status_fd: `x` is no number above 2"),
    ] {
        assert_refused(&sh(&scratch, &format!("\"$B\" run {line} -- touch /tmp/x")), &[complaint]);
    }
}

#[test]
fn a_result_that_cannot_be_delivered_is_a_failure_of_ours() {
    let scratch = Scratch::new("full");
    for (line, complaint) in [
        (
            "--status-fd 9 -- true 9>/dev/full",
            "cannot write to the descriptor of `--status-fd`: No space left on device",
        ),
        ("--json -- true >/dev/full", "cannot write to stdout: No space left on device"),
        ("--dry-run -- true >/dev/full", "cannot write to stdout: No space left on device"),
    ] {
        assert_refused(&sh(&scratch, &format!("\"$B\" run {line}")), &[complaint]);
    }
}

#[test]
fn json_is_one_object_on_one_line_whatever_went_wrong() {
    for (line, code, kind) in [
        ("run --json --memory=0 -- true", 125, json!("misused")),
        ("run --memry --json -- true", 125, json!("misused")),
        ("run --json -- nonexistent", 127, json!("no_command")),
        ("run --json -- /usr", 126, json!("not_executable")),
        ("run --json --require cpu=exact -- true", 125, json!("host")),
        ("run --json --workdir /usr/nonexistent -- true", 125, json!("setup")),
        ("run --json -- true", 0, Value::Null),
    ] {
        let run = call(line.split_whitespace());
        assert_eq!((run.code, run.stdout.lines().count()), (Some(code), 1), "{line}");
        assert_eq!(result(&run)["error"].get("kind").unwrap_or(&Value::Null), &kind, "{line}");
    }
}

#[test]
fn a_dry_run_does_nothing() {
    let scratch = Scratch::new("dry");
    let mount = format!("{}:/out:rw", scratch.0.display());
    let run = call(["run", "--dry-run", "--mount", &mount, "--", "touch", "/out/x"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert_eq!(std::fs::read_dir(&scratch.0).expect("list").count(), 0);
}

#[test]
fn a_dry_run_prints_one_step_a_line_and_the_same_as_json() {
    let text = call(["run", "--dry-run", "true"]).stdout;
    let numbered: Vec<&str> = text.lines().filter_map(|line| Some(line.trim_start().split_once("  ")?.1)).collect();
    let found = result(&call(["run", "--dry-run", "--json", "true"]));
    assert_eq!(found, json!({"version": 1, "image": "host", "steps": numbered}));
    let titles: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(titles, ["clone: user mount pid uts ipc", "init:", "payload:"]);
}

#[test]
fn help_is_for_standard_output_and_no_failure() {
    for line in [&["--help"][..], &["run", "--help"], &["code", "-h"], &["--version"], &["schema"], &["schema", "spec"]]
    {
        let run: Run = command(line).output().expect("start belljar").into();
        assert_eq!((run.code, run.stderr.as_str(), run.stdout.is_empty()), (Some(0), "", false), "{line:?}");
    }
}

#[test]
fn input_that_nobody_reads_holds_nobody_up() {
    let run = call_with_input(["run", "--", "true"], &vec![b'x'; 8 << 20]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
}

#[test]
fn input_of_any_kind_ends_where_it_ends() {
    let scratch = Scratch::new("stdin");
    scratch.file("two", "one\ntwo\n");
    for (script, output) in [
        ("\"$B\" run -- wc -c <&-", "0\n"),
        ("\"$B\" run -- wc -c </dev/null", "0\n"),
        ("\"$B\" run -- wc -c <two", "8\n"),
        ("\"$B\" run --stdin two -- wc -c </dev/null", "8\n"),
        ("\"$B\" run -- head -c 3 </dev/zero | wc -c", "3\n"),
        ("mkfifo f; (cat two >f &); \"$B\" run -- cat <f", "one\ntwo\n"),
        // As if the command had read the file itself: what it left is still there.
        ("(\"$B\" run -- sh -c 'read line; echo \"inside $line\"'; cat) <two", "inside one\ntwo\n"),
    ] {
        let run = sh(&scratch, script);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), output, ""), "{script}");
    }
}
