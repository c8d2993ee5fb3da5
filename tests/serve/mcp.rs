//! The Model Context Protocol, by the official clients and by bytes that none of them sends.

use crate::common::sandboxes::Sandboxes;
use crate::common::{belljar, eventually};
use crate::server::{Server, is_well, packages, program};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

/// Runs a part of a script whose client starts `belljar mcp` itself, over sandboxes of its own.
fn walks(client: &str, script: &str, part: &str, sandboxes: &Sandboxes) {
    let Some(packages) = packages(client) else { return };
    let mut command = program(script, part, &packages);
    let told = command
        .current_dir(&sandboxes.0.0)
        .env("BELLJAR", belljar())
        .env("BELLJAR_HOME", sandboxes.home())
        .output()
        .expect("start the script");
    is_well(&told);
}

fn leaves_nothing(client: &str, script: &str, part: &str) {
    let sandboxes = Sandboxes::new(&format!("mcp-{part}"));
    walks(client, script, part, &sandboxes);
    assert!(eventually(20, || sandboxes.states().is_empty()), "{:?}", sandboxes.states());
    assert!(eventually(20, || sandboxes.leavings().is_empty()), "{:?}", sandboxes.leavings());
}

#[test]
fn a_model_does_its_work_by_the_revision_of_2026() {
    leaves_nothing("mcp", "walk_mcp.py", "new");
}

#[test]
fn a_model_does_its_work_by_the_handshake_of_before() {
    leaves_nothing("mcp", "walk_mcp.py", "old");
}

#[test]
fn no_tool_reaches_more_of_the_network_than_the_options_say() {
    leaves_nothing("mcp", "walk_mcp.py", "network");
}

#[test]
fn many_calls_go_on_at_once_and_a_cancelled_one_ends() {
    leaves_nothing("mcp", "walk_mcp.py", "calls");
}

#[test]
fn the_client_of_npm_does_its_work() {
    leaves_nothing("mcp-npm", "walk_mcp.mjs", "local");
}

#[test]
fn options_set_the_limits_and_name_the_sandboxes_that_stay() {
    let sandboxes = Sandboxes::new("mcp-terms");
    sandboxes.create("mine", &[]);
    sandboxes.create("other", &[]);
    assert_eq!(sandboxes.shell("mine", "echo of the user > note").code, Some(0));
    walks("mcp", "walk_mcp.py", "terms", &sandboxes);
    assert_eq!(sandboxes.shell("mine", "cat answer").stdout, "seen\n");
    assert!(eventually(20, || sandboxes.states().len() == 2), "{:?}", sandboxes.states());
}

#[test]
fn the_same_tools_are_there_over_http() {
    for (client, script, part) in [("mcp", "walk_mcp.py", "http"), ("mcp-npm", "walk_mcp.mjs", "remote")] {
        let Some(packages) = packages(client) else { return };
        let server = Server::new(&format!("mcp-{part}"));
        server.sandboxes.create("other", &[]);
        let mut command = program(script, part, &packages);
        command.current_dir(&server.sandboxes.0.0).env("URL", server.url()).env("TOKEN", &server.token);
        is_well(&command.output().expect("start the script"));
        assert_eq!(server.sandboxes.states(), [("other".to_owned(), "running".to_owned())]);
    }
}

#[test]
fn over_http_nobody_is_answered_without_the_token_and_a_wrong_body_is_refused() {
    let server = Server::new("mcp-hostile");
    let json = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
    assert_eq!(server.ask("POST", "/mcp", json, list).0, 401);
    let token = format!("Authorization: Bearer {}\r\n{json}", server.token);
    assert_eq!(server.ask("POST", "/mcp", &format!("Origin: http://evil.example\r\n{token}"), list).0, 403);
    for (body, method) in
        [("{", "POST"), ("[]", "POST"), ("\u{0}", "POST"), ("", "POST"), ("", "GET"), ("", "DELETE"), ("", "PUT")]
    {
        let (status, told) = server.ask(method, "/mcp", &token, body);
        assert!((400..500).contains(&status), "{method} {body:?}: {status} {told}");
    }
    assert_eq!(server.ask("POST", "/mcp", &token.replace("application/json\r\n", "text/plain\r\n"), list).0, 415);
    assert_eq!(server.asked("GET", "/api/sandbox", "").0, 200);
}

/// A process that speaks by lines.
struct Raw {
    child: std::process::Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Raw {
    fn new(sandboxes: &Sandboxes, options: &[&str]) -> Raw {
        let mut command = sandboxes.command(&[&["mcp"], options].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start belljar");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Raw { child, lines }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("a pipe"), "{line}").expect("it reads");
    }

    fn hear(&mut self) -> serde_json::Value {
        let line = self.lines.next().expect("a line").expect("text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn greet(&mut self) {
        self.say(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#);
        assert_eq!(self.hear()["result"]["serverInfo"]["name"], "belljar");
        self.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    }

    fn call(&mut self, tool: &str, arguments: serde_json::Value) -> serde_json::Value {
        let params = serde_json::json!({ "name": tool, "arguments": arguments });
        self.say(
            &serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string(),
        );
        self.hear()["result"].take()
    }
}

#[test]
fn its_sandboxes_go_with_it_though_it_was_killed() {
    let sandboxes = Sandboxes::new("mcp-killed");
    for end in ["kill -9", "end of input", "SIGTERM"] {
        let mut raw = Raw::new(&sandboxes, &[]);
        raw.greet();
        raw.call("create_sandbox", serde_json::json!({}));
        raw.call("run_command", serde_json::json!({ "command": "true" }));
        assert_eq!(sandboxes.states().len(), 2, "{end}");
        // Until it is held it has an end of its own.
        let lasts = |name: &str| sandboxes.inspect(name)["ttl_seconds"].is_null();
        assert!(eventually(20, || sandboxes.states().iter().all(|(name, _)| lasts(name))), "{end}");
        match end {
            "kill -9" => raw.child.kill().expect("kill it"),
            "SIGTERM" => {
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(raw.child.id() as i32), nix::sys::signal::SIGTERM)
                    .expect("tell it")
            }
            _ => drop(raw.child.stdin.take()),
        }
        let status = raw.child.wait().expect("its end");
        assert!(end == "kill -9" || status.success(), "{end}: {status}");
        assert!(eventually(20, || sandboxes.states().is_empty()), "{end}: {:?}", sandboxes.states());
    }
}

#[test]
fn a_tool_that_makes_a_sandbox_gets_one_that_was_ready() {
    let sandboxes = Sandboxes::new("mcp-ready");
    let mut raw = Raw::new(&sandboxes, &["--ready", "1"]);
    raw.greet();
    raw.call("create_sandbox", serde_json::json!({}));
    let from = sandboxes.one_ready();
    let told = raw.call("create_sandbox", serde_json::json!({}));
    assert!(told.to_string().contains(&from), "{told}, {from}");
    assert!(eventually(20, || sandboxes.states().iter().all(|(name, _)| sandboxes.leases(name) == 1)), "it holds them");
    raw.child.kill().expect("kill it");
    raw.child.wait().expect("its end");
    assert!(eventually(20, || sandboxes.supervisors().is_empty()), "{:?}", sandboxes.leavings());
}

#[test]
fn lines_that_are_no_messages_do_not_end_it() {
    let sandboxes = Sandboxes::new("mcp-lines");
    let mut raw = Raw::new(&sandboxes, &[]);
    raw.greet();
    raw.say("no json");
    assert_eq!(raw.hear()["error"]["code"], -32700);
    // As Python writes a name that is no text.
    raw.say(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"run_command","arguments":{"command":"\udcff"}}}"#);
    let told = raw.hear();
    assert_eq!((&told["id"], &told["error"]["code"]), (&7.into(), &(-32700).into()), "{told}");
    raw.say(r#"{"jsonrpc":"1.0","id":77,"method":"ping"}"#);
    assert_eq!(raw.hear()["id"], 77);
    raw.say(&format!(r#"{{"jsonrpc":"2.0","id":8,"method":"ping","params":{{"a":"{}"}}}}"#, "x".repeat(33 << 20)));
    let told = raw.hear();
    assert!(told["error"]["message"].as_str().is_some_and(|why| why.contains("32 MiB")), "{told}");
    let large = serde_json::json!({ "path": "large", "content": "x".repeat(20 << 20) });
    let told = raw.call("write_file", large);
    assert!(told["content"][0]["text"].as_str().is_some_and(|text| text.contains("20971520")), "{told}");
    raw.say(r#"{"jsonrpc":"2.0","id":"x","method":"no/such","params":{}}"#);
    raw.say(&format!(
        r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"name":"none","arguments":{{"a":"{}"}}}}}}"#,
        "x".repeat(100_000)
    ));
    let mut told = Vec::new();
    while told.len() < 2 {
        told.extend(Some(raw.hear()).filter(|said| !said["id"].is_null()));
    }
    assert!(told.iter().all(|said| said["error"]["message"].is_string()), "{told:?}");
    let told = raw.call("run_command", serde_json::json!({ "command": "echo on" }));
    assert_eq!(told["content"][0]["text"], "on\n", "{told}");
}

#[test]
fn wrong_options_are_said_to_whoever_has_set_them() {
    let sandboxes = Sandboxes::new("mcp-options");
    for (words, why) in [
        (&["--memory", "much"][..], "memory"),
        (&["--cpus=-1"], "cpus"),
        (&["--allow", "a b"], "allow"),
        (&["--net", "none", "--allow", "example.org"], "allow"),
        (&["--image", "nowhere"], "nowhere"),
        (&["--sandbox", "nowhere"], "nowhere"),
        (&["--net", "host"], "net"),
    ] {
        let mut command = sandboxes.command(&[&["mcp"], words].concat());
        let told = command.stdin(Stdio::null()).output().expect("start belljar");
        let said = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(!told.status.success() && said.contains(why) && told.stdout.is_empty(), "{words:?}: {told:?}");
    }
    // A settings file may name a command that is asked for its version first.
    assert!(Command::new(belljar()).args(["mcp", "--help"]).output().expect("start belljar").status.success());
}
