//! Servers by the table alone, and those that an image names by itself.

use crate::common::{eventually, installed};
use crate::world::{World, places, words};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Stdio;

#[test]
fn clangd_counts_in_bytes_and_nobody_sees_that() {
    if !installed("clangd") {
        return;
    }
    let world = World::new("lsp-clangd");
    world.0.done(&["fs", "mkdir", "box", "/tmp/work"]);
    world.write("/tmp/work/compile_flags.txt", "-Wall\n");
    world.write("/tmp/work/area.h", "int area_of(int side);\n");
    world.write(
        "/tmp/work/main.c",
        "#include \"area.h\"\n\nint main(void) {\n  /* \u{1f600}\u{e4} */ return area_of(3);\n}\n",
    );
    let main = "/tmp/work/main.c";
    // Behind 18 characters, which are 19 units of UTF-16 and 22 bytes.
    let told = world.told(&["definition", &format!("{main}:4:20")]);
    assert_eq!(places(&told, "locations"), [("/tmp/work/area.h".to_owned(), 1, 5)]);
    let told = world.told(&["references", "/tmp/work/area.h:1:5", "--project", "/tmp/work", "--language", "c"]);
    assert!(places(&told, "locations").contains(&(main.to_owned(), 4, 19)), "{told}");
    assert_eq!(world.servers()[0]["language"], "cpp");
    world.write(main, "#include \"area.h\"\n\nint main(void) {\n  return area(3);\n}\n");
    let told = world.told(&["diagnostics", main]);
    let wrong = told["files"][0]["diagnostics"].as_array().expect("a list");
    assert!(!wrong.is_empty() && wrong[0]["range"]["start"] == json!({ "line": 4, "column": 10 }), "{told}");
}

#[test]
fn bash_language_server_is_found_by_the_end_of_a_name() {
    if !installed("bash-language-server") {
        return;
    }
    let world = World::new("lsp-bash");
    world.write("/tmp/greet.sh", "greet() {\n  echo \"$1\"\n}\n\ngreet you\n");
    let told = world.told(&["definition", "greet.sh:5:2"]);
    assert_eq!(places(&told, "locations"), [("/tmp/greet.sh".to_owned(), 1, 1)]);
    let told = world.told(&["symbols", "greet.sh"]);
    assert!(words(&told, "symbols", "name").contains(&"greet".to_owned()), "{told}");
}

#[test]
fn the_table_of_an_image_names_languages_and_what_they_are_told() {
    if !installed("python3") {
        return;
    }
    let world = World::new("lsp-table");
    let server = crate::common::fixtures().join("lsp/server.py");
    let own = world.0.0.0.join("etc");
    std::fs::create_dir(&own).expect("a directory");
    let table = "[odd]\ncommand = ['python3', '/etc/belljar/server.py', 'asks']\nextensions = ['odd']\n\
        settings = { a = { b = 7 }, c = 'x' }\n";
    std::fs::write(own.join("language-servers.toml"), table).expect("a file");
    std::fs::copy(server, own.join("server.py")).expect("a file");
    let mount = format!("{}:/etc/belljar", own.display());
    world.0.create("other", &["--mount", &mount, "--workdir", "/tmp", "--memory", "2G"]);
    let outside = world.0.0.file("a.odd", "one\n");
    world.0.done(&["cp", outside.to_str().expect("a path"), "other:/tmp/a.odd"]);
    let run = world.0.call(&["lsp", "other", "hover", "a.odd:1:1", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let told: Value = serde_json::from_str(&run.stdout).expect("an object");
    let asked: Value = serde_json::from_str(told["hover"]["text"].as_str().expect("a text")).expect("a list");
    assert_eq!(asked[0], json!([7, "x"]));
    std::fs::write(own.join("language-servers.toml"), "[odd]\ncommands = 7\n").expect("a file");
    let run = world.0.call(&["lsp", "other", "hover", "b.odd:1:1", "--json"]);
    let error: Value = serde_json::from_str(&run.stdout).expect("an object");
    assert_eq!(
        (&error["error"]["kind"], &error["error"]["path"]),
        (&json!("invalid"), &json!("/etc/belljar/language-servers.toml"))
    );
}

#[test]
fn a_place_has_names_in_rpc_and_one_server_answers_many_at_once() {
    if !installed("python3") {
        return;
    }
    let world = World::new("lsp-rpc");
    world.0.done(&[
        "cp",
        crate::common::fixtures().join("lsp/server.py").to_str().expect("a path"),
        "box:/tmp/server.py",
    ]);
    world.write("/tmp/a.odd", "one\n");
    assert_eq!(world.call(&["start", "odd", "/tmp", "--", "python3", "/tmp/server.py", "fine"]).code, Some(0));
    let ask = |id: usize| {
        let params = json!({ "sandbox": "box", "file": "a.odd", "line": 1, "column": 1, "language": "odd" });
        json!({ "jsonrpc": "2.0", "id": id, "method": "lsp.hover", "params": params }).to_string() + "\n"
    };
    let wrong = json!({ "jsonrpc": "2.0", "id": 99, "method": "lsp.hover", "params": { "sandbox": "box", "file": "a.odd", "line": 0, "column": 1 } });
    let input = (1..9).map(ask).collect::<String>() + &wrong.to_string() + "\n";
    let mut command = world.0.command(&["rpc"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start belljar");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("wait for it");
    let answers: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect();
    let text = |answer: &Value| answer["result"]["hover"]["text"].as_str().map(str::to_owned);
    let mut texts: Vec<String> = answers.iter().filter_map(text).collect();
    texts.sort();
    let ends: Vec<&str> = texts.iter().filter_map(|text| text.split(' ').nth(1)).collect();
    assert_eq!(ends, ["1", "2", "3", "4", "5", "6", "7", "8"], "{answers:?}");
    let refused = answers.iter().find(|answer| answer["id"] == 99).expect("an answer");
    assert_eq!(refused["error"]["data"]["fields"], json!(["line"]), "{refused}");
}

#[test]
fn a_server_ends_with_its_sandbox_and_is_a_session_among_others() {
    if !installed("python3") {
        return;
    }
    let world = World::new("lsp-session");
    world.0.done(&[
        "cp",
        crate::common::fixtures().join("lsp/server.py").to_str().expect("a path"),
        "box:/tmp/server.py",
    ]);
    assert_eq!(world.call(&["start", "odd", "/tmp", "--", "python3", "/tmp/server.py", "fine"]).code, Some(0));
    let listed: Value = serde_json::from_str(&world.0.done(&["session", "ls", "box", "--json"])).expect("an object");
    let session = &listed["sessions"][0];
    assert_eq!((&session["kind"], &session["id"]), (&json!("language"), &world.servers()[0]["session"]));
    // What is for shells is not for it.
    let id = session["id"].as_str().expect("an id");
    let run = world.0.call(&["session", "exec", "box", id, "true", "--json"]);
    let error: Value = serde_json::from_str(&run.stdout).expect("an object");
    assert_eq!(error["error"]["kind"], "misused", "{error}");
    world.0.done(&["session", "rm", "box", id]);
    assert_eq!(world.servers(), [Value::Null; 0]);
    assert!(eventually(10, || world
        .0
        .shell("box", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'server.py [f]ine'")
        .stdout
        == "0\n"));
}
