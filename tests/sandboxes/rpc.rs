//! `belljar rpc`: one process, many requests.

use crate::common::sandboxes::Sandboxes;
use crate::common::{eventually, mark, processes_with};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A program that drives sandboxes.
pub struct Driver {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<Value>,
}

impl Driver {
    pub fn new(sandboxes: &Sandboxes) -> Driver {
        Driver::of(sandboxes.command(&["rpc"]))
    }

    /// By a command line that starts `belljar rpc`.
    pub fn of(mut command: std::process::Command) -> Driver {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start belljar");
        let requests = child.stdin.take().expect("its input");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let (tell, answers) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if tell.send(value).is_err() {
                    break;
                }
            }
        });
        Driver { child, requests, answers }
    }

    /// The process.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn says(&mut self, line: &str) {
        self.requests.write_all(format!("{line}\n").as_bytes()).expect("it reads");
    }

    /// Asks, and hears nothing yet.
    pub fn asks(&mut self, id: impl Into<Value>, method: &str, parameters: Value) {
        let mut parameters = parameters;
        if method == "create" {
            let missing = crate::common::allowed_to_be_missing().iter().filter(|word| !word.starts_with("--"));
            parameters["allow_missing"] = missing.copied().collect();
        }
        let id: Value = id.into();
        self.says(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters }).to_string());
    }

    /// The next that it says.
    pub fn hears(&self) -> Value {
        self.answers.recv_timeout(Duration::from_secs(60)).expect("an answer")
    }

    /// Asks and hears the answer to that, with nothing else in flight.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.asks(1, method, parameters);
        let answer = self.hears();
        assert_eq!((&answer["id"], &answer["jsonrpc"]), (&json!(1), &json!("2.0")), "{answer}");
        answer
    }

    /// Asks, passes over what is told as it comes, and hears the result.
    pub fn streamed(&mut self, method: &str, parameters: Value) -> Value {
        self.asks(1, method, parameters);
        let mut answer = std::iter::repeat_with(|| self.hears()).find(|said| said["id"] == 1).expect("an answer");
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].take()
    }

    pub fn result(&mut self, method: &str, parameters: Value) -> Value {
        let mut answer = self.call(method, parameters);
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].take()
    }

    pub fn error(&mut self, method: &str, parameters: Value) -> (i64, String, Value) {
        let answer = self.call(method, parameters);
        let error = &answer["error"];
        (
            error["code"].as_i64().expect("a number"),
            error["message"].as_str().expect("a text").to_owned(),
            error["data"].clone(),
        )
    }

    /// Its input ends: the exit code, and what it still says.
    pub fn ends_and_says(self) -> (Option<i32>, Vec<Value>) {
        let Driver { mut child, requests, answers } = self;
        drop(requests);
        let said = std::iter::from_fn(|| answers.recv_timeout(Duration::from_secs(60)).ok()).collect();
        (child.wait().expect("wait for belljar").code(), said)
    }

    /// It is killed, whatever is in flight.
    pub fn killed(mut self) {
        self.child.kill().expect("kill it");
        self.child.wait().expect("its end");
    }

    pub fn ends(mut self) -> Option<i32> {
        drop(self.requests);
        self.child.wait().expect("wait for belljar").code()
    }
}

/// Whether everything in `expected` is in `found`.
fn holds(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| found.get(key).is_some_and(|found| holds(found, value)))
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| holds(found, expected))
        }
        _ => found == expected,
    }
}

#[test]
fn the_transcript_of_the_documentation_is_what_happens() {
    let transcript = include_str!("../../docs/rpc.md")
        .split("```transcript\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("a transcript");
    let sandboxes = Sandboxes::new("transcript");
    let mut driver = Driver::new(&sandboxes);
    let (mut asked, mut heard) = (0, 0);
    for line in transcript.lines() {
        if let Some(request) = line.strip_prefix("--> ") {
            asked += 1;
            let said: Value = serde_json::from_str(request).expect("a request");
            match said["method"].as_str() {
                Some("create") => driver.asks(said["id"].clone(), "create", said["params"].clone()),
                _ => driver.says(request),
            }
        } else if let Some(answer) = line.strip_prefix("<-- ") {
            let expected: Value = serde_json::from_str(answer).expect("an answer");
            let found = driver.hears();
            heard += 1;
            assert!(holds(&found, &expected), "{expected} is not in {found}");
        }
    }
    assert!(asked >= 6 && heard > asked, "{asked} requests and {heard} answers");
    assert_eq!(driver.ends(), Some(0));
}

#[test]
fn a_request_has_the_result_that_the_command_line_prints() {
    let sandboxes = Sandboxes::new("same");
    let mut driver = Driver::new(&sandboxes);
    assert_eq!(driver.result("create", json!({ "name": "box" }))["name"], "box");
    let scripts = ["echo out; echo err >&2; exit 3", "kill -9 $$", "printf '\\377'", "pwd; env | sort", "sleep 9"];
    for script in scripts {
        let by_command = sandboxes.result(&["--timeout", "400ms"], "box", script);
        let command = ["sh", "-c", script];
        let by_request = driver.result("exec", json!({ "name": "box", "timeout": "400ms", "command": command }));
        for key in ["status", "exit_code", "signal", "stdout", "stderr", "stdout_encoding", "enforcement", "image"] {
            assert_eq!(by_request[key], by_command[key], "{key} of {script}");
        }
    }
    driver.result("fs.write", json!({ "sandbox": "box", "path": "/tmp/a b", "input": { "base64": "AP8K" } }));
    let read = driver.result("fs.cat", json!({ "sandbox": "box", "path": "/tmp/a b" }));
    assert_eq!(read, json!({ "version": 1, "path": "/tmp/a b", "content": "AP8K", "encoding": "base64" }));
    // What is inside may look like an answer, and is none.
    driver.result(
        "fs.write",
        json!({ "sandbox": "box", "path": "/tmp/false", "input": "{\"error\":{\"message\":\"x\"}}" }),
    );
    let taken = driver.result("cp", json!({ "from": "box:/tmp/false", "to": "-" }));
    assert_eq!(
        taken,
        json!({ "version": 1, "to": "-", "bytes": 25, "skipped": [], "skipped_more": 0, "failed": [],
            "content": "{\"error\":{\"message\":\"x\"}}", "encoding": "utf-8" })
    );
    driver.result("fs.rm", json!({ "sandbox": "box", "path": "/tmp/false" }));
    let listed = driver.result("fs.ls", json!({ "sandbox": "box", "path": "/tmp" }));
    assert_eq!(
        listed,
        serde_json::from_str::<Value>(&sandboxes.done(&["fs", "ls", "--json", "box", "/tmp"])).expect("an object")
    );
    driver.result("session.create", json!({ "sandbox": "box", "id": "s" }));
    driver.result("session.exec", json!({ "sandbox": "box", "id": "s", "lines": "cd /tmp; kept=7" }));
    let said = driver.result("session.exec", json!({ "sandbox": "box", "id": "s", "lines": "echo $kept $PWD" }));
    assert_eq!(said["stdout"], "7 /tmp\n");
    assert_eq!(driver.result("rm", json!({ "name": "box", "force": true }))["version"], 1);
    assert_eq!(driver.result("ls", json!({})), json!({ "version": 1, "sandboxes": [] }));
    assert_eq!(driver.ends(), Some(0));
}

#[test]
fn what_is_wrong_is_an_error_that_names_it() {
    let sandboxes = Sandboxes::new("wrong");
    let mut driver = Driver::new(&sandboxes);
    for (line, code) in [("{", -32700), ("[]", -32600), ("{\"jsonrpc\":\"2.0\",\"method\":\"ls\",\"id\":null}", -32600)]
    {
        driver.says(line);
        let answer = driver.hears();
        assert_eq!((&answer["id"], answer["error"]["code"].as_i64()), (&Value::Null, Some(code)), "{answer}");
    }
    assert_eq!(driver.error("exec.me", json!({})).0, -32601);
    let (code, message, data) = driver.error("fs.stat", json!({ "sandbox": "box", "path": "/", "nmae": "box" }));
    assert_eq!((code, message.as_str()), (-32602, "nmae: is no parameter of `fs.stat`"));
    assert!(data["hint"].as_str().is_some_and(|hint| hint.starts_with("it takes sandbox, ")), "{data}");
    let (code, message, _) = driver.error("create", json!({ "name": "box", "memory": "lots" }));
    assert!(code == -32602 && message.starts_with("memory: "), "{message}");
    assert_eq!(driver.error("stats", json!({})).0, -32602);
    let (code, message, data) = driver.error("exec", json!({ "name": "box", "command": ["true"] }));
    assert_eq!((code, message.as_str(), &data["kind"]), (-32000, "sandbox: no sandbox `box`", &json!("not_found")));
    assert!(data["hint"].as_str().is_some_and(|hint| hint.contains("belljar ls")), "{data}");
    assert_eq!(driver.error("cancel", json!({ "id": 77 })).1, "id: no such request is in flight");
    // A notification is done and not answered.
    driver.says("{\"jsonrpc\":\"2.0\",\"method\":\"nothing\"}");
    assert_eq!(driver.result("version", json!({}))["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(driver.ends(), Some(0));
}

#[test]
fn requests_run_beside_each_other_and_can_be_cancelled() {
    let sandboxes = Sandboxes::new("beside");
    let mut driver = Driver::new(&sandboxes);
    driver.result("create", json!({ "name": "box" }));
    driver.asks("slow", "exec", json!({ "name": "box", "command": ["sleep", "100"] }));
    for number in 0..40 {
        let script = format!("echo {number}");
        driver.asks(number, "exec", json!({ "name": "box", "command": ["sh", "-c", script] }));
    }
    driver.asks("slow", "version", json!({}));
    let mut seen = Vec::new();
    for _ in 0..41 {
        let answer = driver.hears();
        match answer["id"].as_i64() {
            Some(id) => {
                assert_eq!(answer["result"]["stdout"], format!("{id}\n"), "{answer}");
                seen.push(id);
            }
            // It has no call of its own.
            None => assert_eq!((&answer["id"], &answer["result"]["version"]), (&json!("slow"), &json!("0.1.0"))),
        }
    }
    seen.sort();
    assert_eq!(seen, (0..40).collect::<Vec<i64>>());
    let status = std::fs::read_to_string(format!("/proc/{}/status", driver.child.id())).expect("its status");
    assert!(status.contains("Threads:\t1\n"), "{status}");
    driver.asks("stop", "cancel", json!({ "id": "slow" }));
    assert_eq!(driver.hears(), json!({ "jsonrpc": "2.0", "id": "stop", "result": {} }));
    let ended = driver.hears();
    // It ended by the signal, as after Ctrl-C.
    assert_eq!((&ended["id"], &ended["result"]["signal"]), (&json!("slow"), &json!("SIGTERM")), "{ended}");
    let deaf = "trap '' TERM; echo deaf; while :; do sleep 0.1; done";
    driver.asks("deaf", "exec", json!({ "name": "box", "command": ["sh", "-c", deaf], "stream": true }));
    assert_eq!(driver.hears()["params"]["data"], "deaf\n");
    driver.says(r#"{"jsonrpc":"2.0","method":"cancel","params":{"id":"deaf"}}"#);
    let ended = std::iter::repeat_with(|| driver.hears()).find(|said| said["id"] == "deaf").expect("an answer");
    assert_eq!(ended["result"]["status"], "cancelled", "{ended}");
    assert_eq!(driver.ends(), Some(0));
}

#[test]
fn a_job_of_a_session_that_is_cancelled_is_interrupted_and_has_a_result() {
    let sandboxes = Sandboxes::new("cancelled-job");
    let mut driver = Driver::new(&sandboxes);
    driver.result("create", json!({ "name": "box" }));
    driver.result("session.create", json!({ "sandbox": "box", "id": "sh" }));
    driver.asks("job", "session.exec", json!({ "sandbox": "box", "id": "sh", "lines": "touch /tmp/begun; sleep 60" }));
    let begun = || sandboxes.shell("box", "test -e /tmp/begun").code == Some(0);
    assert!(eventually(30, begun));
    driver.asks("stop", "cancel", json!({ "id": "job" }));
    assert_eq!(driver.hears()["id"], "stop");
    let ended = driver.hears();
    let end = &ended["result"]["end"];
    assert_eq!((&ended["id"], &end["interrupted"]), (&json!("job"), &json!(true)), "{ended}");
    let next = driver.result("session.exec", json!({ "sandbox": "box", "id": "sh", "lines": "echo next" }));
    assert_eq!(next["stdout"], "next\n");
    assert_eq!(driver.ends(), Some(0));
}

#[test]
fn what_a_job_or_a_terminal_writes_comes_as_a_stream_or_in_the_result() {
    let sandboxes = Sandboxes::new("job-streams");
    let mut driver = Driver::new(&sandboxes);
    driver.result("create", json!({ "name": "box" }));
    driver.result("session.create", json!({ "sandbox": "box", "id": "sh" }));
    let lines = "echo out; sleep 1; echo no >&2; (exit 3)";
    driver.asks("job", "session.exec", json!({ "sandbox": "box", "id": "sh", "lines": lines, "stream": true }));
    let told = |of: &str, stream: &str, data: &str| json!({ "jsonrpc": "2.0", "method": "output", "params": { "id": of, "stream": stream, "data": data } });
    assert_eq!(driver.hears(), told("job", "stdout", "out\n"));
    assert_eq!(driver.hears(), told("job", "stderr", "no\n"));
    let ran = driver.hears()["result"].take();
    assert_eq!((&ran["stdout"], &ran["stderr"], &ran["end"]["exit_code"]), (&json!(null), &json!(null), &json!(3)));
    let logs = driver.result("session.logs", json!({ "sandbox": "box", "id": "sh", "job": "1" }));
    assert_eq!((&logs["stdout"], &logs["stderr"], &logs["end"]), (&json!("out\n"), &json!("no\n"), &ran["end"]));
    let both = json!({ "sandbox": "box", "id": "sh", "lines": "true", "detach": true, "timeout": 1 });
    driver.asks("both", "session.exec", both);
    assert_eq!(driver.hears()["error"]["data"]["fields"], json!(["timeout"]));
    let shell = json!({ "sandbox": "box", "id": "t", "command": ["sh", "-c", "read word; echo seen $word; exit 4"] });
    assert_eq!(driver.result("pty.create", shell)["kind"], "terminal");
    let seen = driver.result("pty.attach", json!({ "sandbox": "box", "id": "t", "input": "x\n" }));
    assert!(seen["stdout"].as_str().is_some_and(|text| text.contains("seen x")), "{seen}");
    assert_eq!(seen["end"]["exit_code"], 4);
    driver.asks("see", "pty.attach", json!({ "sandbox": "box", "id": "t", "stream": true }));
    let shown = driver.hears();
    assert!(shown["params"]["data"].as_str().is_some_and(|text| text.contains("seen x")), "{shown}");
    assert_eq!(driver.ends(), Some(0));
}

#[test]
fn streams_come_as_they_are_written_and_input_as_it_is_given() {
    let sandboxes = Sandboxes::new("streams");
    let mut driver = Driver::new(&sandboxes);
    driver.result("create", json!({ "name": "box" }));
    let script = "echo ready; read word; printf 'é%s' \"$word\"; echo no >&2; cat; exit 3";
    driver.asks("x", "exec", json!({ "name": "box", "command": ["sh", "-c", script], "stream": true, "input": true }));
    let output = |stream: &str, data: &str| json!({ "jsonrpc": "2.0", "method": "output", "params": { "id": "x", "stream": stream, "data": data } });
    assert_eq!(driver.hears(), output("stdout", "ready\n"));
    driver.asks("a", "input", json!({ "id": "x", "data": "word\n" }));
    let mut heard = [driver.hears(), driver.hears(), driver.hears()].map(|said| said.to_string());
    heard.sort();
    let taken = json!({ "jsonrpc": "2.0", "id": "a", "result": {} });
    let mut expected = [output("stdout", "éword"), output("stderr", "no\n"), taken].map(|said| said.to_string());
    expected.sort();
    assert_eq!(heard, expected);
    driver.asks("b", "input", json!({ "id": "x", "data": { "base64": "/w==" }, "end": true }));
    let heard = [driver.hears(), driver.hears(), driver.hears()];
    let has = |check: &dyn Fn(&Value) -> bool| heard.iter().any(check);
    assert!(has(&|said| said["params"]["base64"] == "/w=="), "{heard:?}");
    assert!(has(&|said| said["id"] == "b"), "{heard:?}");
    assert!(has(&|said| said["result"]["exit_code"] == 3 && said["result"]["status"] == "exited"), "{heard:?}");
    // What is never read is not told as taken.
    driver.asks("y", "exec", json!({ "name": "box", "command": ["sleep", "0.5"], "input": true }));
    driver.asks("c", "input", json!({ "id": "y", "data": "x".repeat(1_000_000) }));
    let heard = [driver.hears(), driver.hears()];
    let unread = heard.iter().find(|said| said["id"] == "c").expect("an answer");
    assert_eq!(unread["error"]["message"], "the request's command reads no more", "{unread}");
    // Given at once, and more than pipes hold.
    let long = "0123456789".repeat(100_000);
    let counted = driver.result("exec", json!({ "name": "box", "command": ["wc", "-c"], "input": long }));
    assert_eq!(counted["stdout"].as_str().map(str::trim), Some("1000000"));
    assert_eq!(driver.ends(), Some(0));
}

#[test]
fn a_slow_reader_loses_nothing_and_makes_nobody_grow() {
    let sandboxes = Sandboxes::new("slow");
    let mut driver = Driver::new(&sandboxes);
    driver.result("create", json!({ "name": "box" }));
    let mut command = sandboxes.command(&["rpc"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start belljar");
    let script = "yes 0123456 | head -c 40000000";
    let parameters = json!({ "name": "box", "command": ["sh", "-c", script], "stream": true });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "exec", "params": parameters });
    child.stdin.as_mut().expect("its input").write_all(format!("{request}\n").as_bytes()).expect("it reads");
    // The slow reader: by then all of it would have come, and lie in memory.
    std::thread::sleep(Duration::from_millis(1500));
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("its status");
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    assert!(peak.is_some_and(|peak| (100..32 << 10).contains(&peak)), "{peak:?} kB");
    drop(child.stdin.take());
    let mut length = 0;
    for line in BufReader::new(child.stdout.take().expect("its output")).lines() {
        let said: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        length += said["params"]["data"].as_str().map_or(0, str::len);
    }
    assert_eq!(length, 40_000_000);
    assert_eq!(child.wait().expect("wait for belljar").code(), Some(0));
    assert_eq!(driver.ends(), Some(0));
}

#[test]
fn who_is_gone_leaves_no_command_behind() {
    let sandboxes = Sandboxes::new("gone");
    sandboxes.create("box", &[]);
    for killed in [true, false] {
        let mark = mark("rpc");
        let mut driver = Driver::new(&sandboxes);
        let script = format!("echo ready; sleep 100; : {mark}");
        driver.asks(1, "exec", json!({ "name": "box", "command": ["sh", "-c", script], "stream": true }));
        assert_eq!(driver.hears()["params"]["data"], "ready\n");
        if killed {
            driver.child.kill().expect("killed");
        } else {
            // Told to end, it ends what is in flight, and says so.
            let pid = nix::unistd::Pid::from_raw(driver.child.id() as i32);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("told");
            let answers = std::iter::from_fn(|| driver.answers.recv_timeout(Duration::from_secs(20)).ok());
            assert!(answers.into_iter().any(|said| said["result"]["signal"] == "SIGTERM"));
        }
        driver.child.wait().expect("wait for belljar");
        assert!(eventually(20, || processes_with(&mark).is_empty()), "{:?}", processes_with(&mark));
    }
    assert_eq!(sandboxes.states(), [("box".to_owned(), "running".to_owned())]);
}

#[test]
fn a_file_on_standard_output_comes_by_stream_only() {
    let sandboxes = Sandboxes::new("rpc-raw");
    let mut driver = Driver::new(&sandboxes);
    let wanted = json!({ "name": "none", "output": "-" });
    let error = driver.call("image.save", wanted.clone())["error"]["data"].take();
    assert_eq!(error["fields"], json!(["name", "output"]), "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("with `stream`")), "{error}");
    let mut streamed = wanted;
    streamed["stream"] = json!(true);
    let error = driver.call("image.save", streamed)["error"]["data"].take();
    assert_eq!((&error["kind"], &error["fields"]), (&json!("not_found"), &json!(["name"])), "{error}");
}

#[test]
fn the_profile_of_doctor_is_a_result() {
    let sandboxes = Sandboxes::new("rpc-profile");
    let told = Driver::new(&sandboxes).call("doctor", json!({ "apparmor_profile": true }))["result"].take();
    assert_eq!(told["version"], 1, "{told}");
    assert!(told["apparmor_profile"].as_str().is_some_and(|text| text.contains("profile belljar ")), "{told}");
}
