//! One front door: the command line, `rpc` and the Python client tell the same of the same verb.

use super::rpc::Driver;
use super::verbs::{line as line_of, stands_before, verbs};
use crate::common::sandboxes::Sandboxes;
use crate::common::{allowed_to_be_missing, said};
use serde_json::{Value, json};
use std::process::Command;

/// What `--json` prints, and the exit code.
fn printed(sandboxes: &Sandboxes, words: &[&str]) -> (Value, i32) {
    let run = sandboxes.call(words);
    let object = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("no object ({error}): {run:?}"));
    (object, run.code.expect("an exit code"))
}

/// An error of rpc as the command line tells it: the object, and the exit code.
fn as_printed(mut answer: Value) -> (Value, i32) {
    let code = answer["error"]["data"]["exit_code"].as_i64().unwrap_or_else(|| panic!("no exit code: {answer}"));
    let mut error = answer["error"]["data"].take();
    error.as_object_mut().expect("an object").remove("exit_code");
    (error, code as i32)
}

/// Without what differs from one moment to the next.
fn still(value: &mut Value) {
    const MOVING: &[&str] =
        &["usage", "sandbox", "uptime_ms", "cpu_ms", "at", "started", "created", "modified", "memory_bytes", "pids"];
    match value {
        Value::Object(object) => {
            object.retain(|key, _| !MOVING.contains(&key.as_str()));
            object.values_mut().for_each(still);
        }
        Value::Array(items) => items.iter_mut().for_each(still),
        _ => {}
    }
}

#[test]
fn a_sandbox_that_is_not_there_is_the_same_error_through_every_door() {
    let sandboxes = Sandboxes::new("doors-errors");
    let mut driver = Driver::new(&sandboxes);
    let mut compared = 0;
    for (words, parameters) in verbs(&sandboxes) {
        let required = || parameters.iter().filter(|parameter| parameter["required"] == json!(true));
        let named = required().next().and_then(|first| first["summary"].as_str());
        if !named.is_some_and(|text| text.starts_with("The sandbox,")) {
            continue;
        }
        let verb: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut line = line_of(&verb, "nope");
        let mut given = json!({});
        for (at, parameter) in required().enumerate() {
            let name = parameter["name"].as_str().expect("a name");
            given[name] = json!(if at == 0 { "nope" } else { "7" });
            if words == ["export"] && name == "output" {
                line.push("--output=7");
            } else if words == ["git", "commit"] && name == "message" {
                line.push("--message=7");
            } else if at > 0 || !stands_before(&verb) {
                line.push(if at == 0 { "nope" } else { "7" });
            }
        }
        if words == ["net", "set"] {
            line.push("--net=none");
            given["net"] = json!("none");
        }
        if words == ["resize"] {
            line.push("--memory=1G");
            given["memory"] = json!("1G");
        }
        line.push("--json");
        let (object, code) = printed(&sandboxes, &line);
        let method = words.join(".");
        let by_rpc = as_printed(driver.call(&method, given));
        assert_eq!((object["error"].clone(), code), by_rpc, "{method}");
        compared += 1;
    }
    assert!(compared > 25, "{compared}");
}

#[test]
fn what_is_missing_or_unknown_is_the_same_fault_through_every_door() {
    let sandboxes = Sandboxes::new("doors-missing");
    let mut driver = Driver::new(&sandboxes);
    let fault = |(error, code): (Value, i32)| {
        let fields = error["fields"].as_array().cloned().unwrap_or_default();
        let mut fields: Vec<String> = fields.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        fields.sort();
        (error["kind"].clone(), fields, code)
    };
    for (words, parameters) in verbs(&sandboxes) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let method = words.join(".");
        let mut given: Vec<(&[&str], Value)> = Vec::new();
        if parameters.iter().any(|parameter| parameter["required"] == json!(true)) || words[0] == "exec" {
            given.push((&[], json!({})));
        }
        if !parameters.iter().any(|parameter| parameter["required"] == json!(true))
            && words[0] != "code"
            && words[0] != "run"
            && words[0] != "exec"
        {
            given.push((&["--unknown-option"], json!({ "unknown_option": true })));
        }
        for (more, parameters) in given {
            let (mut object, code) = printed(&sandboxes, &[&words[..], more, &["--json"]].concat());
            let by_rpc = fault(as_printed(driver.call(&method, parameters)));
            let by_line = fault((object["error"].take(), code));
            assert_eq!((&by_line.0, by_line.2), (&json!("misused"), by_rpc.2), "{method} {more:?}");
            assert_eq!(by_rpc.0, json!("misused"), "{method}");
            // rpc looks at values too, where the command line stops at its words.
            assert!(
                !by_line.1.is_empty() && by_line.1.iter().all(|field| by_rpc.1.contains(field)),
                "{method}: {by_line:?}"
            );
        }
    }
}

#[test]
fn a_verb_that_cannot_be_understood_is_misused_through_every_door() {
    let sandboxes = Sandboxes::new("doors-misused");
    let mut driver = Driver::new(&sandboxes);
    for (words, _) in verbs(&sandboxes) {
        let method = words.join(".");
        let answer = driver.call(&method, json!({ "no_such_parameter": 1 }));
        assert_eq!(answer["error"]["code"], json!(-32602), "{method}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("no_such_parameter"), "{method}: {answer}");
    }
    // All of it at once, by both roads.
    let (object, code) = printed(&sandboxes, &["resize", "box", "--memory=x", "--pids=0", "--json"]);
    let by_rpc = as_printed(driver.call("resize", json!({ "name": "box", "memory": "x", "pids": 0 })));
    assert_eq!((object["error"].clone(), code), by_rpc);
    assert_eq!(by_rpc.0["fields"], json!(["memory", "pids"]));
    let answer = driver.call("rm", json!({ "name": true, "force": 1, "nmae": "box" }));
    assert_eq!(answer["error"]["data"]["fields"], json!(["force", "name", "nmae"]), "{answer}");
    let (object, code) = printed(&sandboxes, &["run", "--memory=0", "--json", "--", "true"]);
    let by_rpc = as_printed(driver.call("run", json!({ "memory": 0, "command": "true" })));
    assert_eq!((object["error"].clone(), code), by_rpc);
}

#[test]
fn what_a_verb_tells_is_the_same_through_every_door() {
    let sandboxes = Sandboxes::new("doors-results");
    sandboxes.create("box", &["--label", "for=doors"]);
    assert_eq!(said(&sandboxes.shell("box", "mkdir /tmp/d; echo hello > /tmp/d/a")), (Some(0), "", ""));
    let mut driver = Driver::new(&sandboxes);
    let missing: Vec<&str> = allowed_to_be_missing().iter().copied().filter(|word| !word.starts_with("--")).collect();
    let table = [
        ("ls", "ls", json!({})),
        ("ls --label for=doors", "ls", json!({ "label": { "for": "doors" } })),
        ("inspect box", "inspect", json!({ "name": "box" })),
        ("stats box", "stats", json!({ "name": "box" })),
        ("logs box", "logs", json!({ "name": "box" })),
        ("label box a=b", "label", json!({ "name": "box", "label": ["a=b"] })),
        ("resize box --pids 99", "resize", json!({ "name": "box", "pids": 99 })),
        ("diff box", "diff", json!({ "name": "box" })),
        ("snapshot ls", "snapshot.ls", json!({})),
        ("volume ls", "volume.ls", json!({})),
        ("exec box -- sh -c id;exit+3", "exec", json!({ "name": "box", "command": ["sh", "-c", "id;exit 3"] })),
        ("exec box -- nonexistent", "exec", json!({ "name": "box", "command": "nonexistent" })),
        ("fs ls box /tmp/d", "fs.ls", json!({ "sandbox": "box", "path": "/tmp/d" })),
        ("fs tree box /tmp", "fs.tree", json!({ "sandbox": "box", "path": "/tmp" })),
        ("fs stat box /tmp/d/a", "fs.stat", json!({ "sandbox": "box", "path": "/tmp/d/a" })),
        ("fs cat box /tmp/d/a", "fs.cat", json!({ "sandbox": "box", "path": "/tmp/d/a" })),
        ("fs cat box /nope", "fs.cat", json!({ "sandbox": "box", "path": "/nope" })),
        ("fs find box /tmp --name a", "fs.find", json!({ "sandbox": "box", "path": "/tmp", "name": "a" })),
        ("fs grep box /tmp hello", "fs.grep", json!({ "sandbox": "box", "path": "/tmp", "text": "hello" })),
        ("fs mkdir box /tmp/d", "fs.mkdir", json!({ "sandbox": "box", "path": "/tmp/d" })),
        ("session ls box", "session.ls", json!({ "sandbox": "box" })),
        ("session logs box none", "session.logs", json!({ "sandbox": "box", "id": "none" })),
        ("image ls", "image.ls", json!({})),
        ("image rm none", "image.rm", json!({ "name": "none" })),
        ("image verify", "image.verify", json!({})),
        ("run -- nonexistent", "run", json!({ "command": ["nonexistent"] })),
        ("run -- echo hello", "run", json!({ "command": ["echo", "hello"] })),
        ("code sh -e echo+hello", "code", json!({ "lang": "sh", "code": "echo hello" })),
    ];
    for (line, method, mut given) in table {
        let mut words: Vec<String> = line.split(' ').map(|word| word.replace('+', " ")).collect();
        let at = words.iter().position(|word| word == "--").unwrap_or(words.len());
        words.insert(if method == "code" { 1 } else { at }, "--json".to_owned());
        if matches!(method, "run" | "code") {
            given["allow_missing"] = json!(missing);
            missing.iter().for_each(|missing| words.insert(1, format!("--allow-missing={missing}")));
        }
        let (mut by_line, code) = printed(&sandboxes, &words.iter().map(String::as_str).collect::<Vec<_>>());
        let mut answer = driver.call(method, given);
        let mut by_rpc = match answer.get("error") {
            Some(_) => {
                let (error, by_rpc) = as_printed(answer);
                assert_eq!(code, by_rpc, "{line}: {by_line}");
                by_line = by_line["error"].take();
                error
            }
            None => answer["result"].take(),
        };
        still(&mut by_line);
        still(&mut by_rpc);
        assert_eq!(by_line, by_rpc, "{line}");
    }
}

#[test]
fn a_part_that_could_not_be_done_is_named_in_the_result_through_every_door() {
    let sandboxes = Sandboxes::new("doors-parts");
    sandboxes.create("box", &["--keep"]);
    let mut driver = Driver::new(&sandboxes);
    let here = sandboxes.home().join("here");
    std::fs::write(&here, "12345").expect("a file");
    let (here, none) = (here.display().to_string(), sandboxes.home().join("none").display().to_string());
    for volume in ["one", "two"] {
        sandboxes.done(&["volume", "create", volume]);
    }
    assert_eq!(said(&sandboxes.shell("box", "mkdir /tmp/d; echo hello > /tmp/d/a")), (Some(0), "", ""));
    // Of several, one is not there: by the line, by rpc, and what names it in both.
    let table = [
        (vec!["cp", &none, &here, "box:/tmp/d"], "cp", json!({ "from": [none, here], "to": "box:/tmp/d" })),
        (vec!["volume", "rm", "none", "one"], "volume.rm", json!({ "name": ["none", "two"] })),
        (
            vec!["fs", "replace", "box", "hello", "hello", "/tmp/none", "/tmp/d/a"],
            "fs.replace",
            json!({ "sandbox": "box", "text": "hello", "new": "hello", "file": ["/tmp/none", "/tmp/d/a"] }),
        ),
        (vec!["stop", "none", "box"], "stop", json!({ "name": ["none", "box"] })),
    ];
    for (mut words, method, given) in table {
        words.push("--json");
        let (by_line, code) = printed(&sandboxes, &words);
        assert_eq!(code, 1, "{by_line}");
        let by_rpc = driver.call(method, given)["result"].take();
        for told in [&by_line, &by_rpc] {
            let failed = if method == "stop" { &told["sandboxes"] } else { &told["failed"] };
            assert_eq!(failed[0]["error"]["kind"], "not_found", "{method}: {told}");
            assert!(method == "stop" || failed[1].is_null(), "{method}: {told}");
        }
    }
    sandboxes.done(&["start", "box"]);
    // What was told as it came has no list, and names what failed all the same.
    let files = json!(["/tmp/none", "/tmp/d/a"]);
    let given = json!({ "sandbox": "box", "text": "x", "new": "y", "file": files, "stream": true });
    let told = driver.streamed("fs.replace", given);
    assert_eq!((&told["files"], &told["failed"][0]["path"]), (&Value::Null, &json!("/tmp/none")), "{told}");
    // One alone is an error.
    let error = as_printed(driver.call("cp", json!({ "from": none, "to": "box:/tmp" })));
    assert_eq!((&error.0["kind"], error.1), (&json!("not_found"), 1));
}

#[test]
fn a_copy_says_where_it_is_and_how_much_of_it() {
    let sandboxes = Sandboxes::new("doors-where");
    sandboxes.create("box", &[]);
    let mut driver = Driver::new(&sandboxes);
    let tree = sandboxes.home().join("tree");
    std::fs::create_dir_all(&tree).expect("a directory");
    std::fs::write(tree.join("a"), "12345").expect("a file");
    std::fs::write(tree.join("b"), "678").expect("a file");
    let tree = tree.display().to_string();
    let mut copied = |from: &str, to: &str| {
        let told = driver.call("cp", json!({ "from": from, "to": to }))["result"].take();
        (told["to"].as_str().unwrap_or_default().to_owned(), told["bytes"].as_u64())
    };
    assert_eq!(copied(&tree, "box:/tmp/new"), ("/tmp/new".to_owned(), Some(8)));
    // Into a directory that is there.
    assert_eq!(copied(&tree, "box:/tmp"), ("/tmp/tree".to_owned(), Some(8)));
    assert_eq!(copied(&format!("{tree}/a"), "box:/tmp/new"), ("/tmp/new/a".to_owned(), Some(5)));
    let back = sandboxes.home().join("back").display().to_string();
    assert_eq!(copied("box:/tmp/new", &back), (back, Some(8)));
}

#[test]
fn the_python_client_is_what_the_schema_says_and_drives_a_sandbox() {
    let sandboxes = Sandboxes::new("doors-client");
    // Where the tests run as another user it is a copy of the tree.
    let root =
        std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is"));
    let check = Command::new("python3").arg(root.join("sdk/python/generate.py")).arg("--check").output();
    let check = check.expect("python3 is there");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let script = r#"
import os, sys, threading, typing
import belljar, belljar.methods as methods

# Every annotation names something that is there.
for name, one in vars(methods).items():
    if isinstance(one, type) and one.__module__ == "belljar.methods":
        typing.get_type_hints(one)
        for function in vars(one).values():
            if callable(function) and not getattr(function, "__name__", "_").startswith("_"):
                typing.get_type_hints(function)

def is_a(value, kind):
    """Whether a value is what its annotation says, TypedDicts with all of their keys."""
    origin = typing.get_origin(kind)
    if origin is typing.Union:
        return any(is_a(value, one) for one in typing.get_args(kind))
    if origin is typing.Literal:
        return value in typing.get_args(kind)
    if origin is list:
        return isinstance(value, list) and all(is_a(one, typing.get_args(kind)[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(is_a(one, typing.get_args(kind)[1]) for one in value.values())
    if typing.is_typeddict(kind):
        hints = typing.get_type_hints(kind)
        return isinstance(value, dict) and kind.__required_keys__ <= set(value) and all(
            is_a(value[key], hint) for key, hint in hints.items() if key in value)
    if kind is float:
        return isinstance(value, (int, float))
    return kind is typing.Any or isinstance(value, kind)

def typed(function, **given):
    result = function(**given)
    kind = typing.get_type_hints(function)["return"]
    assert is_a(result, kind), (function.__name__, kind, result)
    return result

missing = [word for word in os.environ.get("MISSING", "").split(",") if word]
with belljar.Client([os.environ["BELLJAR"], "rpc"]) as client:
    made = typed(client.create, name="box", allow_missing=missing, label={"for": "client"})
    assert made["name"] == "box", made
    told = typed(client.exec, name="box", command=["sh", "-c", "read line; echo $line; exit 3"], input="hello\n")
    assert (told["exit_code"], told["stdout"]) == (3, "hello\n"), told
    pieces = []
    told = client.exec(name="box", command=["echo", "live"], on_output=lambda stream, data: pieces.append((stream, data)))
    assert pieces == [("stdout", b"live\n")], pieces
    typed(client.fs.write, sandbox="box", path="/tmp/a", input=b"\xff\x00")
    content = typed(client.fs.cat, sandbox="box", path="/tmp/a")
    assert (content["content"], content["encoding"]) == ("/wA=", "base64"), content
    assert [known["name"] for known in typed(client.ls)["sandboxes"]] == ["box"]
    for function in (client.inspect, client.stats):
        typed(function, name="box")
    # Threads, each with its own answer.
    answers = {}
    def ask(number):
        answers[number] = client.exec(name="box", command=["echo", str(number)])["stdout"]
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert answers == {number: f"{number}\n" for number in range(8)}, answers
    try:
        client.stop(name="nope")
    except belljar.Error as error:
        assert (error.kind, error.data["fields"]) == ("not_found", ["name"]), error.data
        assert error.hint == "`belljar ls` lists them", error.hint
    else:
        raise AssertionError("stopped")
    typed(client.rm, name=["box"], force=True)
try:
    client.ls()
except belljar.Lost:
    print("ok")
"#;
    let belljar = sandboxes.command(&[]).get_program().to_owned();
    let missing: Vec<&str> = allowed_to_be_missing().iter().copied().filter(|word| !word.starts_with("--")).collect();
    let told = Command::new("python3")
        .args(["-c", script])
        .env("PYTHONPATH", root.join("sdk/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("BELLJAR", belljar)
        .env("BELLJAR_HOME", sandboxes.home())
        .env("MISSING", missing.join(","))
        .output()
        .expect("python3 is there");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!((text(&told.stdout).as_str(), text(&told.stderr).as_str()), ("ok\n", ""));
}
