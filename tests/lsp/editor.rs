//! `lsp connect`: a real editor with a server in a sandbox.

use crate::common::{belljar, eventually, fixtures, installed};
use crate::world::World;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};

const MODULE: &str = "class Shape:\n    def __init__(self, side):\n        self.side = side\n\n    def area_of_it(self):\n        return self.side\n";
const MAIN: &str = "import shapes\n\none = shapes.Shape(3)\none.area_of_it()\n";

#[test]
fn neovim_finds_completes_and_is_told_what_is_wrong_with_paths_of_its_own() {
    if !installed("pylsp") || !installed("nvim") {
        return;
    }
    let world = World::new("lsp-editor");
    let here = world.0.0.0.join("a project");
    std::fs::create_dir(&here).expect("a directory");
    for (name, text) in [("shapes.py", MODULE), ("main.py", MAIN)] {
        std::fs::write(here.join(name), text).expect("a file");
    }
    world.0.done(&["cp", here.to_str().expect("a path"), "box:/tmp/work"]);
    let map = format!("{}:/tmp/work", here.display());
    let program = belljar().display().to_string();
    let command = json!([program, "lsp", "box", "connect", "python", "/tmp/work", "--path", map]);
    let answers = world.0.0.0.join("answers");
    let mut editor = Command::new("nvim");
    editor
        .args(["--headless", "--clean", "-n", "-c"])
        .arg(format!("luafile {}", fixtures().join("lsp/editor.lua").display()));
    editor.current_dir(&here).env("COMMAND", command.to_string()).env("ANSWERS", &answers).env("HOME", &world.0.0.0);
    for name in ["XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        editor.env(name, world.0.0.0.join(name));
    }
    editor.env("BELLJAR_HOME", world.0.home()).stdin(Stdio::null());
    let output = editor.output().expect("start nvim");
    let told = std::fs::read_to_string(&answers).unwrap_or_else(|_| panic!("{output:?}"));
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let uri = |name: &str| belljar::tools::language::uri_of(&here.join(name));
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told[0][0]["uri"], uri("shapes.py"), "{told:?}");
    assert_eq!(told[0][0]["range"]["start"]["line"], 4);
    assert_eq!((&told[1], &told[2], &told[3]), (&json!(uri("main.py")), &json!(["side"]), &json!("left")));
    // Of an editor's server nothing is left.
    assert!(eventually(10, || world.0.done(&["session", "ls", "box"]) == "no sessions\n"));
}

#[test]
fn the_server_of_an_editor_that_is_killed_ends() {
    if !installed("python3") {
        return;
    }
    let world = World::new("lsp-killed");
    world.0.done(&["cp", fixtures().join("lsp/server.py").to_str().expect("a path"), "box:/tmp/server.py"]);
    let words = ["lsp", "box", "connect", "odd", "/tmp", "--", "python3", "/tmp/server.py", "fine", "/tmp/log"];
    let mut command = world.0.command(&words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start belljar");
    let first =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "processId": 4_000_000 } }).to_string();
    let mut to = child.stdin.take().expect("its input");
    write!(to, "Content-Length: {}\r\n\r\n{first}", first.len()).expect("written");
    let mut from = BufReader::new(child.stdout.take().expect("its output"));
    let mut head = String::new();
    from.read_line(&mut head).expect("a head");
    let length: usize =
        head.trim().strip_prefix("Content-Length: ").and_then(|text| text.parse().ok()).expect("a length");
    let mut answer = vec![0; length + 2];
    from.read_exact(&mut answer).expect("an answer");
    let answer: Value = serde_json::from_slice(&answer[2..]).expect("JSON");
    assert_eq!(answer["result"]["capabilities"]["hoverProvider"], true);
    assert!(world.read("/tmp/log").contains("\"processId\": null"));
    child.kill().expect("kill it");
    child.wait().expect("wait for it");
    assert!(eventually(20, || world.0.done(&["session", "ls", "box"]) == "no sessions\n"));
    assert!(eventually(10, || world
        .0
        .shell("box", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'server.py [f]ine'")
        .stdout
        == "0\n"));
}

#[test]
fn a_server_or_an_editor_that_speaks_something_else_is_an_error() {
    if !installed("python3") {
        return;
    }
    let world = World::new("lsp-other");
    let run = |words: &[&str], input: &[u8]| {
        let mut command = world.0.command(&[&["lsp", "box", "connect"], words].concat());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start belljar");
        let mut to = child.stdin.take().expect("its input");
        // Whoever has ended reads nothing.
        let _ = to.write_all(input);
        let output = child.wait_with_output().expect("wait for it");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&["odd", "--", "yes"], b"");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("the language server does not speak the protocol: what stands before a message does not end"),
        "{said}"
    );
    let (code, said) = run(&["odd", "--", "cat"], b"Content-Length: 99999999999\r\n\r\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the editor does not speak the protocol: a message of 99999999999 bytes"), "{said}");
    let (code, said) = run(&["rust"], b"");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("rustup component add rust-analyzer"), "{said}");
}
