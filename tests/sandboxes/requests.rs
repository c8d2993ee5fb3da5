//! Requests of `rpc` that are refused, and what they are told: the one error object, with all that is wrong.

use super::rpc::Driver;
use crate::common::sandboxes::Sandboxes;
use serde_json::{Value, json};

/// The code, the kind and the fields of an error, which has an exit code and a message too.
fn told(answer: &Value) -> (i64, String, Vec<String>) {
    let data = &answer["error"]["data"];
    assert!(data["exit_code"].is_i64() && data["message"] == answer["error"]["message"], "{answer}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fields = data["fields"].as_array().into_iter().flatten().map(text).collect();
    (answer["error"]["code"].as_i64().unwrap_or_default(), text(&data["kind"]), fields)
}

#[test]
fn a_list_of_nothing_is_nothing_that_a_verb_can_work_on() {
    let sandboxes = Sandboxes::new("requests-empty");
    let mut driver = Driver::new(&sandboxes);
    let document: Value = serde_json::from_str(&sandboxes.done(&["schema", "rpc"])).expect("an object");
    let mut tried = 0;
    for method in document["methods"].as_array().expect("a list") {
        let required = method["params"].as_array().into_iter().flatten();
        for parameter in required.filter(|parameter| parameter["required"] == json!(true)) {
            let list = parameter["schema"].to_string().contains("OneOrSome");
            assert!(list || !parameter["schema"].to_string().contains("OneOrMany"), "{parameter}");
            if list {
                let name = parameter["name"].as_str().expect("a name");
                let answer = driver.call(method["name"].as_str().expect("a name"), json!({ name: [] }));
                let (code, kind, fields) = told(&answer);
                assert_eq!((code, kind.as_str()), (-32602, "misused"), "{answer}");
                assert!(fields.iter().any(|field| field == name), "{answer}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 8, "{tried}");
}

#[test]
fn a_name_that_is_given_twice_is_refused_and_nothing_is_done() {
    let sandboxes = Sandboxes::new("requests-twice");
    sandboxes.done(&["volume", "create", "a"]);
    let mut driver = Driver::new(&sandboxes);
    driver.says(r#"{"jsonrpc":"2.0","id":1,"method":"volume.rm","params":{"name":["b"],"name":["a"]}}"#);
    let answer = driver.hears();
    assert_eq!((&answer["id"], told(&answer)), (&json!(1), (-32600, "misused".into(), vec!["name".into()])));
    assert!(sandboxes.done(&["volume", "ls"]).contains('a'));
}

#[test]
fn every_error_of_rpc_is_the_error_object() {
    let sandboxes = Sandboxes::new("requests-errors");
    let mut driver = Driver::new(&sandboxes);
    for (line, code) in [("{", -32700), ("[]", -32600), ("{\"id\":7}", -32600), ("{\"id\":[]}", -32600)] {
        driver.says(line);
        let (told, kind, _) = told(&driver.hears());
        assert_eq!((told, kind.as_str()), (code, "misused"), "{line}");
    }
    let table = [
        ("none", json!({}), -32601, "misused", vec![]),
        ("version", json!({ "x": 1 }), -32602, "misused", vec!["x"]),
        ("cancel", json!({ "id": 7 }), -32602, "not_found", vec!["id"]),
        ("cancel", json!({ "x": 1 }), -32602, "misused", vec!["id", "x"]),
        ("input", json!({ "id": 7, "end": "yes", "x": 1 }), -32602, "misused", vec!["end", "x"]),
        ("ls", json!({ "stream": "yes", "x": 1 }), -32602, "misused", vec!["stream", "x"]),
    ];
    for (method, given, code, kind, fields) in table {
        let answer = driver.call(method, given);
        let fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
        assert_eq!(told(&answer), (code, kind.to_owned(), fields), "{answer}");
    }
    assert_eq!(driver.ends(), Some(0));
}

#[test]
fn all_that_is_wrong_with_a_request_is_said_at_once() {
    let sandboxes = Sandboxes::new("requests-all");
    let mut driver = Driver::new(&sandboxes);
    let table = [
        ("fs.write", json!({}), vec!["path", "sandbox"]),
        ("fs.write", json!({ "sandbox": 1, "path": true, "mode": "rwx", "x": 1 }), vec!["mode", "path", "x"]),
        ("create", json!({ "nmae": "box", "memory": "lots", "keep": 1 }), vec!["keep", "memory", "nmae"]),
        ("resize", json!({ "memory": "x", "pids": 0 }), vec!["memory", "name", "pids"]),
        ("stop", json!({ "grace": "x", "x": 1 }), vec!["grace", "name", "x"]),
        ("run", json!({ "memory": "x", "x": 1, "stream": 1 }), vec!["command", "memory", "stream", "x"]),
        ("exec", json!({ "command": [true], "timeout": "x" }), vec!["command", "name", "timeout"]),
        ("session.exec", json!({ "sandbox": "box", "timeout": "x" }), vec!["id", "lines", "timeout"]),
    ];
    for (method, given, fields) in table {
        let answer = driver.call(method, given);
        let exit_code = if matches!(method, "run" | "exec") { 125 } else { 2 };
        assert_eq!(answer["error"]["data"]["exit_code"], exit_code, "{answer}");
        let mut found = told(&answer);
        found.2.sort();
        let fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
        assert_eq!(found, (-32602, "misused".to_owned(), fields), "{method}: {answer}");
    }
}

#[test]
fn a_request_that_waits_for_input_ends_with_the_input_of_rpc() {
    let sandboxes = Sandboxes::new("requests-input");
    sandboxes.create("box", &[]);
    let mut driver = Driver::new(&sandboxes);
    driver.asks(1, "exec", json!({ "name": "box", "command": ["cat"], "input": true }));
    driver.asks(2, "input", json!({ "id": 1, "data": "hello" }));
    assert_eq!(driver.hears()["id"], 2);
    let (ended, answers) = driver.ends_and_says();
    assert_eq!((ended, answers.len(), &answers[0]["result"]["stdout"]), (Some(0), 1, &json!("hello")));
}

#[test]
fn a_file_of_control_characters_has_a_result() {
    let sandboxes = Sandboxes::new("requests-nuls");
    sandboxes.create("box", &[]);
    let made = sandboxes.shell("box", "head -c 60000000 /dev/zero > /tmp/nuls");
    assert_eq!(made.code, Some(0), "{made:?}");
    let mut driver = Driver::new(&sandboxes);
    let read = driver.result("fs.cat", json!({ "sandbox": "box", "path": "/tmp/nuls" }));
    assert_eq!((&read["encoding"], read["content"].as_str().map(str::len)), (&json!("base64"), Some(80_000_000)));
}

#[test]
fn the_same_fault_has_the_same_kind_and_names_the_parameter_whatever_verb_finds_it() {
    let sandboxes = Sandboxes::new("requests-kinds");
    sandboxes.create("box", &[]);
    let fifo = sandboxes.home().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    let (fifo, here) = (fifo.display().to_string(), sandboxes.home().join("here").display().to_string());
    let mut driver = Driver::new(&sandboxes);
    driver.result("session.create", json!({ "sandbox": "box", "id": "s" }));
    driver.result("session.exec", json!({ "sandbox": "box", "id": "s", "lines": "true" }));
    let inside = |path: &str| json!({ "sandbox": "box", "path": path });
    let session = |id: &str| json!({ "sandbox": "box", "id": id });
    let table = [
        // What is no file.
        ("fs.cat", inside("/dev/null"), "not_a_file", vec![]),
        ("fs.write", inside("/dev/null"), "not_a_file", vec![]),
        ("cp", json!({ "from": "box:/dev/null", "to": here }), "not_a_file", vec![]),
        ("cp", json!({ "from": fifo, "to": "box:/tmp" }), "not_a_file", vec![]),
        // What is not there.
        ("fs.cat", inside("/nope"), "not_found", vec![]),
        ("cp", json!({ "from": "box:/nope", "to": here }), "not_found", vec![]),
        ("import", json!({ "file": "/nope" }), "not_found", vec!["file"]),
        ("image.import", json!({ "file": "/nope" }), "not_found", vec!["file"]),
        ("image.load", json!({ "file": "/nope" }), "not_found", vec!["file"]),
        ("import", json!({ "file": "/tmp" }), "is_a_directory", vec!["file"]),
        ("stop", json!({ "name": "nope" }), "not_found", vec!["name"]),
        ("fs.ls", json!({ "sandbox": "nope", "path": "/" }), "not_found", vec!["sandbox"]),
        ("cp", json!({ "from": "nope:/a", "to": here }), "not_found", vec!["from"]),
        ("cp", json!({ "from": here, "to": "nope:/a" }), "not_found", vec![]),
        ("volume.rm", json!({ "name": "nope" }), "not_found", vec!["name"]),
        ("session.logs", session("nope"), "not_found", vec!["id"]),
        ("session.logs", json!({ "sandbox": "box", "id": "s", "job": 9 }), "not_found", vec!["job"]),
        ("session.interrupt", json!({ "sandbox": "box", "id": "s", "job": 1 }), "ended", vec![]),
        ("session.create", session("s"), "exists", vec!["id"]),
        // What cannot be a name, or a value.
        ("session.create", session("a b"), "misused", vec!["id"]),
        ("rename", json!({ "name": "box", "new": "a b" }), "misused", vec!["new"]),
        ("volume.create", json!({ "name": "a b" }), "misused", vec!["name"]),
        ("image.tag", json!({ "name": "none", "new": "X X" }), "misused", vec!["new", "name"]),
        ("pty.resize", json!({ "sandbox": "box", "id": "s", "columns": 0, "rows": 1 }), "misused", vec!["columns"]),
        ("resize", json!({ "name": "box" }), "misused", vec!["memory"]),
        ("fs.grep", json!({ "sandbox": "box", "path": "/", "text": "" }), "misused", vec!["text"]),
        ("run", json!({ "memory": "x", "command": "true" }), "misused", vec!["memory"]),
        ("exec", json!({ "name": "box", "timeout": "x", "command": "true" }), "misused", vec!["timeout"]),
        ("code", json!({ "lang": "cobol", "code": "x" }), "misused", vec!["lang"]),
        ("create", json!({ "memory": "x" }), "misused", vec!["memory"]),
    ];
    for (method, given, kind, fields) in table {
        let answer = driver.call(method, given);
        let found = told(&answer);
        let fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
        assert_eq!((found.1.as_str(), found.2), (kind, fields), "{method}: {answer}");
    }
}
