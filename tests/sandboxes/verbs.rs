//! What holds for every verb: the same mistake ends in the same way, and what was done is said.

use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, said};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

fn object(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("no object ({error}): {run:?}"))
}

/// Every verb as the command line defines it: its words, and its parameters by name.
pub fn verbs(sandboxes: &Sandboxes) -> Vec<(Vec<String>, Vec<Value>)> {
    let document: Value = serde_json::from_str(&sandboxes.done(&["schema", "rpc"])).expect("an object");
    let methods = document["methods"].as_array().expect("a list").iter();
    let all = methods.map(|method| {
        let words = method["name"].as_str().expect("a name").split('.').map(str::to_owned).collect();
        (words, method["params"].as_array().cloned().unwrap_or_default())
    });
    let own = ["cancel", "input", "version"];
    all.filter(|(words, _): &(Vec<String>, _)| !own.contains(&words[0].as_str())).collect()
}

/// Whether the sandbox stands before the verb.
pub fn stands_before(verb: &[&str]) -> bool {
    matches!(verb.first(), Some(&"git" | &"lsp"))
}

/// How a verb is typed, with the sandbox where that stands before it.
pub fn line<'a>(verb: &[&'a str], sandbox: &'a str) -> Vec<&'a str> {
    match verb {
        [noun, rest @ ..] if stands_before(verb) => [&[*noun, sandbox][..], rest].concat(),
        _ => verb.to_vec(),
    }
}

#[test]
fn the_same_mistake_ends_in_the_same_way_in_every_verb() {
    let sandboxes = Sandboxes::new("mistakes");
    let all = verbs(&sandboxes);
    assert!(all.len() > 40, "{}", all.len());
    let mut unknown = 0;
    for (words, parameters) in &all {
        let verb: Vec<&str> = words.iter().map(String::as_str).collect();
        let of_a_command = matches!(verb[0], "run" | "code" | "exec");
        let misused = if of_a_command { 125 } else { 2 };
        let run = sandboxes.call(&[&line(&verb, "nope")[..], &["--no-such-option"]].concat());
        assert_eq!(run.code, Some(misused), "{verb:?}: {run:?}");
        // An unknown sandbox, by the verbs that have one as their first word.
        let first = parameters.iter().find(|parameter| parameter["required"] == json!(true));
        let named =
            first.and_then(|first| first["summary"].as_str()).is_some_and(|text| text.starts_with("The sandbox,"));
        if !named || verb == ["import"] {
            continue;
        }
        let required = parameters.iter().filter(|parameter| parameter["required"] == json!(true)).count();
        let mut values: Vec<&str> = (0..required).map(|at| if at == 0 { "nope" } else { "7" }).collect();
        match verb[..] {
            ["resize"] => values.extend(["--memory", "1G"]),
            ["life"] => values.extend(["--ttl", "1h"]),
            ["net", "set"] => values.extend(["--net", "none"]),
            ["export"] => values[1] = "--output=nowhere",
            ["git", "commit"] => values[1] = "--message=7",
            ["lsp", "completions" | "hover" | "signature" | "definition" | "references" | "rename" | "actions"] => {
                values[1] = "7:7:7";
            }
            _ => {}
        }
        let first = usize::from(stands_before(&verb));
        let run = sandboxes.call(&[&line(&verb, "nope")[..], &values[first..], &["--json"]].concat());
        assert_eq!(run.code, Some(if of_a_command { 125 } else { 1 }), "{verb:?}: {run:?}");
        assert!(run.stderr.starts_with("belljar: sandbox: no sandbox `nope`\nhint: "), "{verb:?}: {run:?}");
        let error = object(&run)["error"].take();
        assert_eq!(error["kind"], json!("not_found"), "{verb:?}: {run:?}");
        let keys: Vec<&str> = error.as_object().expect("an error").keys().map(String::as_str).collect();
        let expected = ["errno", "fields", "hint", "kind", "message", "path", "problems", "step"];
        assert_eq!(keys, expected, "{verb:?}");
        unknown += 1;
    }
    assert!(unknown > 20, "{unknown}");
    for words in [
        &["create", "--memory", "x"][..],
        &["create", "--label", "x"],
        &["resize", "box", "--memory", "x"],
        &["resize", "box"],
        &["life", "box"],
        &["life", "box", "--ttl", "x"],
        &["stop", "box", "--grace", "x"],
        &["label", "box", "x"],
        &["ls", "--label", "x"],
        &["fs", "chmod", "box", "/x", "rwx"],
        &["session", "exec", "box", "s", "true", "--timeout", "x"],
        &["snapshot", "create", "box", "NOT A NAME"],
        &["volume", "create", "not/a/name"],
    ] {
        let run = sandboxes.call(&[words, &["--json"]].concat());
        assert_eq!((run.code, &object(&run)["error"]["kind"]), (Some(2), &json!("misused")), "{words:?}: {run:?}");
    }
}

#[test]
fn the_help_of_each_verb_begins_with_what_it_does_and_says_a_default_once() {
    let sandboxes = Sandboxes::new("helps");
    let document: Value = serde_json::from_str(&sandboxes.done(&["schema", "rpc"])).expect("an object");
    for (words, _) in verbs(&sandboxes) {
        let summary = |method: &&Value| method["name"] == json!(words.join("."));
        let method = document["methods"].as_array().into_iter().flatten().find(summary).expect("a method");
        for long in ["--help", "-h"] {
            let verb: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut line = line(&verb, "box");
            line.push(long);
            let help = sandboxes.done(&line);
            let first = help.lines().next().unwrap_or_default();
            assert!(method["summary"].as_str().is_some_and(|text| text.starts_with(first)), "{line:?}: {first}");
            let twice = |line: &&str| line.matches("[default: ").count() > 1;
            assert_eq!(help.lines().find(twice), None, "{words:?}");
        }
    }
}

#[test]
fn what_was_done_is_said_to_people_and_to_programs() {
    let sandboxes = Sandboxes::new("told");
    sandboxes.create("box", &["--keep"]);
    assert_eq!(sandboxes.done(&["rename", "box", "other"]), "box is other now\n");
    let renamed = object(&sandboxes.call(&["rename", "--json", "other", "box"]));
    assert_eq!(renamed, json!({ "version": 1, "name": "box", "was": "other" }));
    let told = sandboxes.done(&["resize", "box", "--pids", "30"]);
    assert!(told.starts_with("box: memory 1 GiB, cpus ") && told.contains(", processes 30, disk "), "{told}");
    let resized = object(&sandboxes.call(&["resize", "--json", "box", "--memory", "512M"]));
    assert_eq!((&resized["name"], &resized["limits"]["memory_bytes"]), (&json!("box"), &json!(512 << 20)));
    assert_eq!(sandboxes.done(&["session", "create", "box", "s"]), "s\n");
    let made = object(&sandboxes.call(&["session", "create", "--json", "box", "t"]));
    assert_eq!(made, json!({ "version": 1, "session": "t", "kind": "shell" }));
    let gone = object(&sandboxes.call(&["session", "rm", "--json", "box", "t"]));
    assert_eq!(gone, json!({ "version": 1, "session": "t" }));
    let made = object(&sandboxes.call(&["pty", "create", "--json", "box", "p"]));
    assert_eq!(made["kind"], json!("terminal"));
    let sized = object(&sandboxes.call(&["pty", "resize", "--json", "box", "p", "100", "30"]));
    assert_eq!((&sized["columns"], &sized["rows"]), (&json!(100), &json!(30)));
    let logs = object(&sandboxes.call(&["logs", "--json", "box"]));
    assert_eq!(logs, json!({ "version": 1, "log": "", "truncated": false }));
    // Where commands begin.
    sandboxes.done(&["fs", "write", "box", "here"]);
    let listed = object(&sandboxes.call(&["fs", "ls", "--json", "box"]));
    assert_eq!(listed["entries"][0]["name"], json!("here"));
    // As docker exec is called.
    assert_eq!(said(&sandboxes.call(&["exec", "-i", "box", "--", "echo", "x"])), (Some(0), "x\n", ""));
    let run = sandboxes.call(&["exec", "-it", "box", "--", "sh", "-c", "test -t 0 && echo terminal"]);
    assert_eq!((run.code, run.stdout.trim_end()), (Some(0), "terminal"), "{run:?}");
    let help = sandboxes.done(&["create", "--help"]);
    assert!(help.contains("[default: none]") && !help.contains("5m"), "{help}");
}

#[test]
fn sandboxes_are_listed_in_the_order_in_which_they_were_made() {
    let sandboxes = Sandboxes::new("order");
    for name in ["c", "a", "b"] {
        sandboxes.create(name, &[]);
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    let listed = object(&sandboxes.call(&["ls", "--json"]));
    let names: Vec<&str> =
        listed["sandboxes"].as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["c", "a", "b"]);
}

#[test]
fn nothing_from_inside_reaches_a_terminal_as_more_than_text() {
    let sandboxes = Sandboxes::new("escaped");
    sandboxes.create("box", &[]);
    let names = "mkdir /tmp/t; cd /tmp/t; printf 'x\\033[2Jx\\n' > \"$(printf 'a\\033[31mb\\nbelljar: all is well')\"; \
        printf 'x\\033[2Jx\\n' > \"$(printf 'ex\\342\\200\\256gpj')\"; mkfifo \"$(printf 'f\\033]0;title\\007')\"";
    assert_eq!(said(&sandboxes.shell("box", names)), (Some(0), "", ""));
    let active = |letter: char| letter.is_control() && letter != '\n' || ('\u{202a}'..='\u{202e}').contains(&letter);
    let into = sandboxes.0.0.join("into");
    let into = into.to_str().expect("text");
    for words in [
        &["fs", "ls", "box", "/tmp/t"][..],
        &["fs", "ls", "--json", "box", "/tmp/t"],
        &["fs", "tree", "box", "/tmp/t"],
        &["fs", "find", "--json", "box", "/tmp/t"],
        &["fs", "grep", "box", "/tmp/t", "x"],
        &["fs", "grep", "--json", "box", "/tmp/t", "x"],
        &["fs", "cat", "box", "/tmp/t/no\u{1b}[2J\u{202e}\nbelljar: forged"],
        &["diff", "box"],
        &["diff", "--json", "box"],
        &["cp", "box:/tmp/t", into],
        &["label", "box", "a=\u{1b}[2J\u{202e}"],
        &["exec", "box\u{1b}[2J", "--", "true"],
        &["run", "--memory", "\u{1b}[2J\u{202e}", "--", "true"],
    ] {
        let run = sandboxes.call(words);
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(!all.contains(active), "{words:?}: {run:?}");
        assert!(
            !all.lines().any(|line| line.starts_with("belljar: all is well") || line == "belljar: forged"),
            "{run:?}"
        );
    }
}

#[test]
fn exec_is_another_user_only_where_there_are_several() {
    let sandboxes = Sandboxes::new("users");
    sandboxes.create("box", &["--user", "5:6"]);
    let run = sandboxes.call(&["exec", "--user", "5:6", "box", "--", "id", "-u"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "5\n"), "{run:?}");
    for user in ["0", "1000", "5:7"] {
        let run = sandboxes.call(&["exec", "--user", user, "box", "--", "id", "-u"]);
        let why = "belljar: user: the sandbox has one user, and `exec` cannot be another\n";
        assert!(run.code == Some(125) && run.stderr.starts_with(why), "{run:?}");
    }
}

#[test]
fn a_snapshot_of_a_sandbox_on_the_machines_own_files_makes_others_like_it() {
    let sandboxes = Sandboxes::new("on-the-host");
    sandboxes.create("box", &[]);
    sandboxes.shell("box", "mkdir -p /opt/mine; echo kept > /opt/mine/f; ln -s f /opt/mine/l; echo tmp > /tmp/t");
    let before = crate::common::result(&sandboxes.call(&["inspect", "box"]))["created"].clone();
    sandboxes.done(&["snapshot", "create", "box", "mine"]);
    let listed = object(&sandboxes.call(&["snapshot", "ls", "--json"]));
    let created = &listed["snapshots"][0]["created"];
    assert!(created.as_str() >= before.as_str(), "{listed}");
    let taken = sandboxes.call(&["snapshot", "create", "--json", "box", "mine"]);
    assert_eq!((taken.code, &object(&taken)["error"]["kind"]), (Some(1), &json!("name_taken")));
    sandboxes.done(&["snapshot", "create", "--force", "box", "mine"]);
    sandboxes.create("twin", &["--image", "mine"]);
    let look = "cat /opt/mine/f /tmp/t; readlink /opt/mine/l; ls /usr/bin | head -1 | wc -l";
    assert_eq!(said(&sandboxes.shell("twin", look)), (Some(0), "kept\ntmp\nf\n1\n", ""));
    let run = sandboxes.command(&["run", "--image", "mine", "--", "true"]).output().expect("start belljar");
    let run = Run::from(run);
    assert!(run.code == Some(125) && run.stderr.contains("`mine` lies on the machine's own files"), "{run:?}");
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_is_answered() {
    let sandboxes = Sandboxes::new("long-lines");
    let mut rpc = sandboxes.command(&["rpc"]);
    let mut rpc = rpc.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start belljar");
    let mut to = rpc.stdin.take().expect("its input");
    let writer = std::thread::spawn(move || {
        let piece = vec![b'x'; 1 << 20];
        (0..100).for_each(|_| to.write_all(&piece).expect("written"));
        to.write_all(b"\n{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"label\",\"params\":{\"name\":\"nope\",\"label\":{\"a\":\"b\"}}}\n")
            .expect("written");
    });
    let lines: Vec<Value> = BufReader::new(rpc.stdout.take().expect("its output"))
        .lines()
        .map(|line| serde_json::from_str(&line.expect("a line")).expect("an object"))
        .collect();
    writer.join().expect("joined");
    assert!(rpc.wait().expect("ended").success());
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!((&lines[0]["error"]["code"], &lines[0]["id"]), (&json!(-32700), &Value::Null));
    assert_eq!((&lines[1]["id"], &lines[1]["error"]["data"]["kind"]), (&json!(7), &json!("not_found")));
}

#[test]
fn what_has_ended_is_dated_in_the_same_way_everywhere_and_no_job_is_fed_that_is_not_there() {
    let sandboxes = Sandboxes::new("dated");
    sandboxes.create("box", &["--keep"]);
    sandboxes.done(&["session", "create", "box", "sh"]);
    let nothing = "belljar: no job 99 in the session `sh`\n";
    assert_eq!(said(&sandboxes.call(&["session", "input", "box", "sh", "99"])), (Some(1), "", nothing));
    sandboxes.done(&["stop", "box"]);
    let inspected = sandboxes.inspect("box")["end"].take();
    let waited = object(&sandboxes.call(&["wait", "--json", "box"]))["end"].take();
    let listed = object(&sandboxes.call(&["ls", "--json"]))["sandboxes"][0]["end"].take();
    assert!(inspected["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{inspected}");
    assert_eq!((&waited, &listed), (&inspected, &inspected));
    assert_eq!(inspected["reason"], "stopped");
}

#[test]
fn an_image_cannot_be_given_a_name_that_is_none() {
    let sandboxes = Sandboxes::new("misnamed");
    for words in [
        &["name", "import", "x.tar", "--name", "A B"][..],
        &["ref", "pull", "A B"],
        &["new", "tag", "x", "A B"],
        &["name", "build", "x", "--name", "A B"],
    ] {
        let run = sandboxes.call(&[&["image"], &words[1..], &["--json"]].concat());
        assert_eq!((run.code, &object(&run)["error"]["fields"][0]), (Some(2), &json!(words[0])), "{words:?}: {run:?}");
    }
}

#[test]
fn what_is_told_of_memory_that_was_too_much_is_more_than_the_limit() {
    let sandboxes = Sandboxes::new("peak");
    sandboxes.create("box", &["--keep", "--memory", "100M"]);
    sandboxes.shell("box", "head -c 300M /dev/zero | tail -c 300M | wc -c");
    let end = object(&sandboxes.call(&["wait", "--json", "box"]))["end"].take();
    let peak = end["usage"]["peak_memory_bytes"].as_u64();
    assert!(end["status"] == "out_of_memory" && peak.is_some_and(|peak| peak >= 95 << 20), "{end}");
}

#[test]
fn what_standard_output_does_not_take_is_said_in_the_same_way_by_every_verb() {
    let sandboxes = Sandboxes::new("unwritten");
    sandboxes.done(&["create", "--keep", "box", "--", "sh", "-c", "echo said; sleep 1019"]);
    assert_eq!(sandboxes.shell("box", "echo x >/tmp/f").code, Some(0));
    sandboxes.done(&["session", "create", "box", "s"]);
    for words in [
        &["ls"][..],
        &["inspect", "box"],
        &["logs", "box"],
        &["logs", "--json", "box"],
        &["fs", "ls", "box", "/tmp"],
        &["fs", "cat", "box", "/tmp/f"],
        &["fs", "cat", "--json", "box", "/tmp/f"],
        &["cp", "box:/tmp/f", "-"],
        &["session", "exec", "box", "s", "echo x"],
        &["session", "exec", "--json", "box", "s", "echo x"],
        &["session", "logs", "box", "s", "1"],
        &["export", "--without-image", "box", "-o", "-"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("open it");
        let run: crate::common::Run = sandboxes.command(words).stdout(full).output().expect("start belljar").into();
        let told = "belljar: cannot write to stdout: No space left on device\n";
        assert!(run.code == Some(125) && run.stderr.starts_with(told), "{words:?}: {run:?}");
        assert_eq!(run.stderr.matches("belljar: ").count(), 1, "{words:?}: {run:?}");
    }
}
